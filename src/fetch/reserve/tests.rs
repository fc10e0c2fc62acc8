use super::*;

const WINDOW_MS: i64 = 900_000;

/// Calls that are kept where the count was last seen at a time, it is now another, and the window ends at a third.
fn kept(reserve: &Reserve, limit: u32, (seen_ms, now_ms, end_ms): (i64, i64, i64)) -> u32 {
    let running = Running { limit, length_ms: WINDOW_MS, end_ms, seen_ms, left: limit, is_idle: true };
    reserve.kept(&running, now_ms, &Watch::knowing(&[watched(10_000.0, 0.0)]))
}

fn watched(seconds: f64, calls: f64) -> Observed {
    Observed { hour: 14, seconds, calls }
}

#[test]
fn live_traffic_is_learned_by_the_hour_and_kept_for() {
    let busy = Observed { hour: 14, seconds: 20.0 * 3_600.0, calls: 2_000.0 };
    let quiet = Observed { hour: 3, seconds: 20.0 * 3_600.0, calls: 20.0 };
    let reserve = Reserve::learn(&[busy, quiet]);
    let window = |hour: i64| {
        let begin_ms = hour * HOUR_MS;
        kept(&reserve, 100, (begin_ms, begin_ms, begin_ms + WINDOW_MS))
    };
    assert!(window(14) > 35 && window(3) < 8, "{} {}", window(14), window(3));
    assert_eq!(kept(&reserve, 100, (WINDOW_MS, WINDOW_MS, WINDOW_MS)), 0, "nothing at the reset");
    let busy_ms = 14 * HOUR_MS;
    assert_eq!(kept(&reserve, 10, (busy_ms, busy_ms, busy_ms + WINDOW_MS)), 9, "never the whole");
    // A minute before the end, what nobody has seen yet is kept beside what is to come.
    let end_ms = busy_ms + WINDOW_MS;
    let kept = |seen_ms: i64| kept(&reserve, 100, (seen_ms, end_ms - 60_000, end_ms));
    assert!(kept(end_ms - 90_000) > kept(end_ms - 60_000));
}

#[test]
fn little_observation_teaches_nothing() {
    let little = Observed { hour: 14, seconds: 3_600.0, calls: 2_000.0 };
    assert_eq!(Reserve::learn(&[little]), Reserve::Guess(0.2));
}

/// A call in a hundred seconds, at every hour.
fn even() -> Vec<f64> {
    vec![0.01; HOURS]
}

#[test]
fn an_hour_that_was_hardly_watched_is_thought_to_be_like_the_busiest() {
    let of = |hour: u8, hours: f64, calls: f64| Observed { hour, seconds: hours * 3_600.0, calls };
    // Six hours are enough.
    let seen = [of(3, 2.0, 100.0), of(4, 4.0, 500.0), of(6, 0.5, 30.0), of(7, 0.49, 20.0)];
    let Reserve::Learned(per_s) = Reserve::learn(&seen) else { panic!() };
    let calls: Vec<f64> = (3..8).map(|hour| (per_s[hour] * 3_600.0).round()).collect();
    assert_eq!(calls, [50.0, 125.0, 125.0, 61.0, 125.0], "a call is added to each; half an hour is enough");
    assert_eq!(Reserve::learn(&[of(3, 6.0, 0.0)]), Reserve::Learned(vec![0.0; HOURS]));
}

#[test]
fn what_is_kept_has_room_for_chance_for_other_days_and_for_what_nobody_has_seen() {
    let learned = Reserve::Learned(even());
    // Nine to come: nine by chance, and a quarter of nine from one day to another.
    assert_eq!(kept(&learned, 1_000, (0, 0, WINDOW_MS)), 31);
    // One to come, and three that nobody has seen.
    assert_eq!(kept(&learned, 1_000, (500_000, 800_000, WINDOW_MS)), 16);
    let guess = |seen_ms, now_ms| kept(&Reserve::Guess(0.2), 100, (seen_ms, now_ms, WINDOW_MS));
    assert_eq!((guess(0, 0), guess(0, 450_000), guess(450_000, 450_000)), (38, 44, 26));
    assert_eq!(guess(451_000, 450_000), 26);
}

#[test]
fn the_less_was_watched_the_more_is_kept_and_what_was_seen_counts_at_once() {
    let kept = |limit, seconds, calls| {
        let (end_ms, seen_ms) = (WINDOW_MS, 0);
        let running = Running { limit, length_ms: WINDOW_MS, end_ms, seen_ms, left: limit, is_idle: true };
        Reserve::Guess(0.2).kept(&running, 0, &Watch::knowing(&[watched(seconds, calls)]))
    };
    // Of the guess of a fifth nothing is known: four calls of it count as seen, so it may be wrong by half.
    assert_eq!((kept(300, 0.0, 0.0), kept(100, 0.0, 0.0)), (184, 64));
    // Nothing in a minute and in five: 30 ± 15, and then the guess as it is.
    assert_eq!((kept(300, 60.0, 0.0), kept(300, 300.0, 0.0)), (94, 91));
    // 26 calls in 160 seconds, with those of the guess: 146 ± 29 in a window.
    assert_eq!(kept(300, 100.0, 22.0), 271);
    assert_eq!(kept(300, 3_000.0, 10.0), 91, "a guess is never too high, with so little seen");
    assert_eq!(kept(300, 3_000.0, 2_000.0), 299, "one call is left, to see the count with");
    assert_eq!(kept(0, 0.0, 0.0), 0);
}

#[test]
fn before_enough_was_watched_every_hour_of_five_minutes_or_more_counts_with_the_guess() {
    let seen = |hour, seconds, calls| Observed { hour, seconds, calls };
    let means = |all: &[Observed]| -> Vec<_> {
        let rounded = |(per_s, differs): (f64, f64)| ((per_s * 1e4).round(), (differs * 100.0).round());
        Watch::knowing(all).means(0.02).map(rounded).collect()
    };
    assert_eq!(means(&[]), [(200.0, 50.0)]);
    // In 500 seconds 36 calls. The other hour was watched for too short, and counts with all: 44 in 799.
    let two = [seen(14, 300.0, 32.0), seen(15, 299.0, 8.0)];
    assert_eq!(means(&two), [(720.0, 17.0), (551.0, 15.0)]);
}

#[test]
fn a_count_that_was_not_seen_for_an_hour_is_looked_at_where_there_is_room_for_what_nobody_saw() {
    let end_ms = 24 * HOUR_MS;
    let kept = |reserve: &Reserve, now_ms, left, is_idle| {
        let running = Running { limit: 1_000, length_ms: 24 * HOUR_MS, end_ms, seen_ms: 0, left, is_idle };
        reserve.kept(&running, now_ms, &Watch::knowing(&[watched(7_200.0, 0.0)]))
    };
    for (reserve, whole, unseen) in [(Reserve::Guess(0.2), 264, 16), (Reserve::Learned(even()), 999, 60)] {
        let before = kept(&reserve, HOUR_MS - 1, 500, true);
        assert_eq!(before, whole, "before the hour is over");
        assert!(kept(&reserve, HOUR_MS, 500, false) + 9 > before, "nor while one is under way");
        assert_eq!(kept(&reserve, HOUR_MS, 500, true), unseen, "room for what was called in it");
        assert_eq!(kept(&reserve, HOUR_MS, 501, true), 0, "no room is needed where more than half is left");
    }
}

#[test]
fn room_is_exceeded_no_more_often_than_it_may_be() {
    // Poisson: 1 - e^-m (1 + m + …).
    assert_eq!(room_for(0.0, 0.0, 1e-4), 0);
    assert_eq!((room_for(0.009, 0.0, 1e-2), room_for(0.011, 0.0, 1e-2)), (0, 1));
    assert_eq!((room_for(0.0141, 0.0, 1e-4), room_for(0.0143, 0.0, 1e-4)), (1, 2));
    assert_eq!(room_for(1.0, 0.0, 1e-4), 6, "8.3e-5 of the time it is more");
    // With a mean that differs, more than six is too often: a mean of 1 and a shape of 16.
    assert_eq!(room_for(1.0, 0.25, 1e-4), 7);
    assert_eq!(
        (room_for(12.0, 0.25, 1e-4), room_for(12.1, 0.25, 1e-4)),
        (34, 34),
        "counted, and then as if normal, but no less"
    );
    assert_eq!(room_for(100.0, 0.25, 1e-4), 208, "100, and four times the root of 100 + 625");
    for differs in [0.0, 0.1, 0.25, 0.5] {
        for chance in [CHANCE, UNSEEN_CHANCE] {
            let rooms: Vec<u32> = (0..800).map(|n| room_for(f64::from(n) / 8.0, differs, chance)).collect();
            assert!(rooms.is_sorted(), "more calls need no less room: {differs} {chance}");
        }
    }
}

#[test]
fn a_plan_counts_with_the_calls_of_others_on_average() {
    assert_eq!(Reserve::Share(0.2).share_of(100, 900_000), 0.1);
    let learned = Reserve::Learned(even());
    assert!((learned.share_of(100, 900_000) - 0.09).abs() < 1e-9);
    assert_eq!((learned.share_of(5, 900_000), learned.share_of(0, 900_000)), (MOST, MOST));
}

#[test]
fn who_calls_more_than_usual_goes_on_with_it_for_half_an_hour() {
    let others = |recent_per_s: f64, from_ms: i64, to_ms: i64| {
        Others { per_s: &even(), recent_per_s }.calls(from_ms, to_ms).round()
    };
    let calls = |recent_per_s: f64, to_s: i64| others(recent_per_s, 0, to_s * 1_000);
    assert_eq!((calls(0.0, 900), calls(0.005, 900)), (9.0, 9.0), "less than usual counts for nothing");
    assert_eq!((calls(0.02, 900), calls(0.02, 3_600)), (18.0, 54.0));
    assert_eq!(others(0.02, 7_200_000, 8_100_000), 18.0, "whenever it begins");
}

#[test]
fn what_was_called_of_late_counts_most_and_what_was_seen_is_kept_by_the_hour() {
    const DAY_MS: i64 = 24 * HOUR_MS;
    let before = Observed { hour: 14, seconds: 60.0, calls: 3.0 };
    let mut watch = Watch::knowing(&[before]);
    assert_eq!(watch.known(), [before]);
    watch.sent(1, DAY_MS);
    watch.counted(1, 1, DAY_MS);
    watch.counted(1, 181, DAY_MS + RECENT_MS);
    let tenth = 0.1 * (1.0 - (-1.0_f64).exp());
    assert!((watch.recent_per_s() - tenth).abs() < 1e-9, "{}", watch.recent_per_s());
    // The same instant again tells nothing new.
    watch.counted(1, 181, DAY_MS + RECENT_MS);
    watch.counted(1, 181, DAY_MS + 2 * RECENT_MS);
    assert!((watch.recent_per_s() - tenth * (-1.0_f64).exp()).abs() < 1e-9, "{}", watch.recent_per_s());
    assert_eq!(watch.known()[0], Observed { hour: 0, seconds: 3_600.0, calls: 180.0 });
    watch.take();
    watch.counted(1, 181, DAY_MS + 2 * RECENT_MS + 59_000);
    assert_eq!(watch.take(), []);
    watch.counted(1, 181, DAY_MS + 2 * RECENT_MS + 60_000);
    assert_eq!(watch.take().len(), 1, "a minute is worth writing down");
}

#[test]
fn only_what_is_not_ours_is_seen_also_while_nothing_is_sent() {
    const DAY_MS: i64 = 24 * HOUR_MS;
    let mut watch = Watch::default();
    // The first answer only says where the count stood.
    watch.sent(10, DAY_MS);
    watch.counted(10, 70, 10 * DAY_MS + 2 * HOUR_MS);
    assert_eq!(watch.take(), []);
    (0..5).for_each(|_| watch.sent(10, DAY_MS));
    watch.counted(10, 81, 10 * DAY_MS + 4 * HOUR_MS);
    let of = |hour: u8, calls: f64| Observed { hour, seconds: 3_600.0, calls };
    assert_eq!(watch.take(), [of(2, 3.0), of(3, 3.0)]);
    // A new day begins with nothing, and one of ours is still under way.
    (0..5).for_each(|_| watch.sent(11, DAY_MS));
    watch.counted(11, 4, 11 * DAY_MS + HOUR_MS);
    assert_eq!(watch.take(), [of(0, 0.0)]);
    watch.counted(11, 9, 11 * DAY_MS + 2 * HOUR_MS);
    assert_eq!(watch.take(), [of(1, 4.0)]);
}
