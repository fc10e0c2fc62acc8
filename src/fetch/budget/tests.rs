use proptest::prelude::*;

use super::*;

const HOUR_MS: i64 = 3_600_000;

fn seen(short_used: u32, day_used: u32) -> RateSeen {
    let pair = |factor: u32| {
        Some(PairSeen { short_limit: 100 * factor, day_limit: 1_000 * factor, short_used, day_used })
    };
    RateSeen { overall: pair(2), read: pair(1) }
}

fn learned(reserve: f64, short_used: u32, day_used: u32, now_ms: i64) -> Budget {
    let mut budget = Budget::new(900, 86_400, Reserve::Share(reserve));
    assert_eq!(budget.take(now_ms), Grant::Go);
    budget.answered(now_ms / 1000, now_ms, seen(short_used, day_used));
    budget
}

fn grants(budget: &mut Budget, now_ms: i64) -> u32 {
    let mut granted = 0;
    while budget.take(now_ms) == Grant::Go {
        granted += 1;
    }
    granted
}

#[test]
fn one_request_goes_out_to_learn_the_limits() {
    let mut budget = Budget::new(900, 86_400, Reserve::Share(0.0));
    assert_eq!(budget.take(0), Grant::Go);
    assert_eq!(budget.take(0), Grant::AfterAnswer);
    budget.answered(0, 0, seen(1, 1));
    assert_eq!(grants(&mut budget, 0), 99);
}

#[test]
fn the_reserve_shrinks_with_the_time_to_the_reset() {
    let mut at_start = learned(0.2, 1, 1, 0);
    assert_eq!(grants(&mut at_start, 0), 79);
    let Grant::WaitUntil { ms, window: "read" } = at_start.take(0) else { panic!() };
    assert_eq!(at_start.take(ms - 1), Grant::WaitUntil { ms, window: "read" });
    assert_eq!(at_start.take(ms), Grant::Go);
    let mut near_the_end = learned(0.2, 1, 1, 899_000);
    assert_eq!(grants(&mut near_the_end, 899_000), 98);
}

#[test]
fn a_spent_window_waits_for_its_reset_and_a_spent_day_for_midnight() {
    let mut budget = learned(0.0, 100, 100, 10_000);
    assert_eq!(budget.take(10_000), Grant::WaitUntil { ms: 900_000, window: "read" });
    assert_eq!(budget.take(900_000), Grant::Go);
    let mut budget = learned(0.0, 5, 1_000, HOUR_MS);
    assert_eq!(budget.take(HOUR_MS), Grant::WaitUntil { ms: 24 * HOUR_MS, window: "read day" });
}

#[test]
fn answers_out_of_order_never_lower_the_count() {
    let mut budget = learned(0.0, 90, 90, 0);
    budget.answered(0, 0, seen(20, 20));
    assert_eq!(grants(&mut budget, 0), 10);
    // From the window before: nothing about this one.
    let mut budget = learned(0.0, 3, 3, 900_000);
    budget.answered(899, 899 * 1_000, seen(99, 99));
    assert_eq!(budget.read.short.used, 3);
}

#[test]
fn a_refusal_from_elsewhere_closes_the_window_at_once() {
    let mut budget = learned(0.0, 3, 3, 10_000);
    budget.answered(10, 10 * 1_000, RateSeen::default());
    budget.refused(10);
    assert!(matches!(budget.take(11_000), Grant::WaitUntil { ms: 900_000, .. }));
}

#[test]
fn a_limit_of_nothing_is_not_believed_and_limits_move_both_ways() {
    let mut budget = learned(0.0, 3, 3, 0);
    let none = PairSeen { short_limit: 0, day_limit: 0, short_used: 4, day_used: 4 };
    budget.take(0);
    budget.answered(0, 0, RateSeen { overall: Some(none), read: Some(none) });
    assert_eq!((budget.read.short.limit, budget.read.short.used), (100, 4));
    let wider = PairSeen { short_limit: 300, day_limit: 3_000, short_used: 5, day_used: 5 };
    budget.take(0);
    budget.answered(0, 0, RateSeen { overall: Some(wider), read: Some(wider) });
    assert_eq!(grants(&mut budget, 0), 295);
}

#[test]
fn a_wrong_clock_that_is_put_right_keeps_the_counts() {
    let mut budget = learned(0.0, 95, 95, 7_200_000);
    budget.moved(7_200_000, 0);
    assert_eq!(grants(&mut budget, 0), 5);
}

#[test]
fn what_is_stored_covers_what_was_in_flight_and_the_first_answer_puts_it_right() {
    let mut before = learned(0.0, 50, 50, 0);
    (0..4).for_each(|_| assert_eq!(before.take(0), Grant::Go));
    let stored: Vec<(String, Window)> =
        before.stored().into_iter().map(|(pair, w)| (pair.to_string(), w)).collect();
    let mut after = Budget::new(900, 86_400, Reserve::Share(0.0));
    after.restore(&stored, 1_000);
    assert_eq!(after.read.short.used, 54);
    assert_eq!(after.take(1_000), Grant::Go);
    // Two of the four never reached the server.
    after.answered(1, 1_000, seen(53, 53));
    assert_eq!(grants(&mut after, 1_000), 47);
    // A window of the future, which a wrong date left behind, is running now and ends with it.
    let mut healed = Budget::new(900, 86_400, Reserve::Share(0.0));
    let far = Window { limit: 100, used: 100, length_s: 900, index: 1_000 };
    healed.restore(&[("read".to_string(), far)], 1_000);
    assert_eq!(healed.take(1_000), Grant::WaitUntil { ms: 900_000, window: "read" });
    assert_eq!(healed.take(900_000), Grant::Go);
}

#[test]
fn the_end_of_many_requests_is_counted_in_windows_and_days() {
    let room = learned(0.0, 40, 940, 0).room(1_000);
    assert_eq!((room.short_left, room.day_left), (60, 60));
    assert_eq!(room.done_s(60, 1), Some(1));
    // The rest of today, then eleven windows of the next day.
    assert_eq!(room.done_s(60 + 1_000 + 1, 1), Some(2 * 86_400));
    assert_eq!(room.done_s(60 + 150, 1), Some(86_400 + 900));
}

proptest! {
    /// A server that counts, with other users of the same application, latencies and lost
    /// answers: it never has to refuse us.
    #[test]
    fn no_request_is_sent_that_the_budget_does_not_cover(
        limit in 1_u32..40,
        day in 1_u32..200,
        steps in prop::collection::vec((0_u8..4, 0_i64..3_000), 1..400),
    ) {
        let (short_s, day_s) = (10, 60);
        let mut budget = Budget::new(short_s, day_s, Reserve::Share(0.0));
        // Unlearned limits may be above the real ones; one request finds out.
        let (mut now_ms, mut flying) = (0_i64, Vec::new());
        let (mut short, mut today) = ((0, 0_u32), (0, 0_u32));
        for (action, pause) in steps {
            now_ms += pause;
            let index = |length: u32| now_ms / 1000 / i64::from(length);
            if short.0 != index(short_s) { short = (index(short_s), 0); }
            if today.0 != index(day_s) { today = (index(day_s), 0); }
            match action {
                0..=2 => if budget.take(now_ms) == Grant::Go {
                    short.1 += 1;
                    today.1 += 1;
                    prop_assert!(short.1 <= limit && today.1 <= day, "refused at {now_ms}");
                    let pair = PairSeen { short_limit: limit, day_limit: day, short_used: short.1, day_used: today.1 };
                    flying.push((now_ms / 1000, RateSeen { overall: Some(pair), read: Some(pair) }));
                },
                // Any of the answers may be the next to arrive.
                _ => if !flying.is_empty() {
                    let (date_s, seen) = flying.swap_remove(pause as usize % flying.len());
                    budget.answered(date_s, date_s * 1_000, seen);
                },
            }
        }
    }
}

#[test]
fn what_is_kept_follows_what_is_seen_where_nobody_asked_for_a_share() {
    for (reserve, learns) in [(Reserve::Guess(0.2), true), (Reserve::Share(0.2), false)] {
        let mut budget = Budget::new(900, 86_400, reserve.clone());
        let mut answer = |at_s: i64, used: u32| {
            budget.take(at_s * 1_000);
            budget.answered(at_s, at_s * 1_000, seen(1, used));
            (budget.live.watched_s(), budget.learned_at_s)
        };
        let learned_at = |s: f64| if learns { s } else { 0.0 };
        answer(0, 1);
        assert_eq!(answer(899, 10), (899.0, 0.0));
        assert_eq!(answer(900, 10), (900.0, learned_at(900.0)));
        assert_eq!(answer(1_700, 20), (1_700.0, learned_at(900.0)));
        for hour in 1..8 {
            answer(hour * 3_600, hour as u32 * 100);
        }
        assert_eq!(matches!(budget.reserve, Reserve::Learned { .. }), learns);
        assert_eq!(budget.reserve == reserve, !learns);
    }
}

#[test]
fn a_count_that_was_not_seen_for_an_hour_is_looked_at_with_one_call_while_half_of_it_is_left() {
    // Others are thought to need the whole day.
    let at = |used: u32| {
        let mut budget = learned(0.0, 1, used, 0);
        budget.reserve = Reserve::Learned(vec![1.0; 24]);
        budget.read.short.limit = 100_000;
        budget.overall.short.limit = 100_000;
        budget
    };
    let mut budget = at(499);
    assert!(matches!(budget.look(HOUR_MS - 1), Grant::WaitUntil { .. }));
    let day_ms = 24 * HOUR_MS;
    let waits = |ms| Grant::WaitUntil { ms, window: "read day" };
    assert_eq!(budget.look(0), waits(HOUR_MS));
    assert_eq!(budget.take(HOUR_MS), Grant::Go);
    assert!(matches!(budget.take(HOUR_MS), Grant::WaitUntil { .. }), "and with no other beside it");
    let Grant::WaitUntil { ms, .. } = at(500).look(HOUR_MS) else { panic!("half of it is used") };
    assert!(ms > day_ms - 900_000 && ms <= day_ms, "{ms}");
}

#[test]
fn a_request_without_an_answer_is_no_longer_under_way_and_may_have_been_counted() {
    let mut budget = learned(0.0, 3, 3, 0);
    assert_eq!((budget.take(0), budget.in_flight), (Grant::Go, 1));
    budget.unanswered();
    assert_eq!(budget.in_flight, 0);
    assert_eq!(budget.stored().map(|(_, window)| window.used), [4; 4]);
}

#[test]
fn a_refusal_closes_the_window_that_the_headers_say_is_spent_and_the_running_one_where_they_name_none() {
    let used = |overall: (u32, u32), read: (u32, u32)| {
        let pair = |factor: u32, (short_used, day_used): (u32, u32)| {
            Some(PairSeen { short_limit: 100 * factor, day_limit: 1_000 * factor, short_used, day_used })
        };
        RateSeen { overall: pair(2, overall), read: pair(1, read) }
    };
    for (seen, is_named) in [
        (used((200, 5), (5, 5)), true),
        (used((5, 2_000), (5, 5)), true),
        (used((5, 5), (100, 5)), true),
        (used((5, 5), (5, 1_000)), true),
        (used((199, 1_999), (99, 999)), false),
    ] {
        let mut budget = learned(0.0, 1, 1, 0);
        budget.take(10_000);
        budget.answered(10, 10 * 1_000, seen);
        let before = budget.clone();
        budget.refused(10);
        assert_eq!(budget.overall == before.overall && budget.read == before.read, is_named, "{seen:?}");
        assert!(matches!(budget.look(11_000), Grant::WaitUntil { .. }), "{seen:?}");
    }
    // The running one is the one in which it was refused, and not the one that was seen last.
    let mut budget = learned(0.0, 1, 1, 0);
    budget.refused(1_000);
    assert_eq!(budget.look(1_001_000), Grant::WaitUntil { ms: 1_800_000, window: "read" });
}

#[test]
fn what_is_sent_is_written_down_first_once_a_quarter_of_a_window_is_left() {
    let tight = |used: u32, in_flight: u32| {
        let mut budget = learned(0.0, used, used, 0);
        (0..in_flight).for_each(|_| assert_eq!(budget.take(0), Grant::Go));
        budget.is_tight()
    };
    assert!(!tight(74, 0) && tight(75, 0) && tight(74, 1) && !tight(73, 1));
}

#[test]
fn when_the_counts_were_last_seen_only_goes_on_and_moves_with_the_clock() {
    let mut budget = learned(0.0, 3, 3, 100_000);
    assert_eq!(budget.seen_ms, Some(100_000));
    budget.answered(50, 50 * 1_000, seen(2, 2));
    budget.answered(120, 120 * 1_000, RateSeen::default());
    assert_eq!(budget.seen_ms, Some(100_000), "neither an older answer nor one without headers");
    budget.answered(130, 130 * 1_000, RateSeen { read: None, ..seen(4, 4) });
    assert_eq!(budget.seen_ms, Some(130_000));
    budget.answered(130, 130_900, seen(4, 4));
    assert_eq!(budget.seen_ms, Some(130_900), "it was counted after it was sent");
    budget.answered(132, 131_500, seen(4, 4));
    assert_eq!(budget.seen_ms, Some(132_000), "and no earlier than it is dated");
    budget.seen_ms = Some(130_000);
    // The clock was an hour behind: the windows that were running by it are running still.
    let index = |budget: &Budget| (budget.read.short.index, budget.overall.day.index);
    assert_eq!(index(&budget), (0, 0));
    (budget.read.day.index, budget.overall.short.index) = (7, -1);
    budget.moved(130_000, 3_730_000);
    assert_eq!((budget.seen_ms, index(&budget)), (Some(3_730_000), (4, 0)));
    assert_eq!(budget.overall.short.index, -1, "what is over stays so");
    assert_eq!(
        budget.read.day.index, 0,
        "and none lies in the future: a clock that was ahead counted it there"
    );
}

/// How much is kept of the second window, a minute after its beginning.
fn kept_of_the_second(seen_ms: i64, lead_ms: i64) -> u32 {
    let mut budget = Budget::new(900, 86_400, Reserve::Guess(0.1));
    (budget.seen_ms, budget.lead_ms) = (Some(seen_ms), lead_ms);
    budget.kept(960_000)[0]
}

#[test]
fn what_others_call_unseen_is_kept_since_the_window_began_or_was_last_seen() {
    let kept = |seen_ms| kept_of_the_second(seen_ms, 0);
    assert_eq!(kept(900_000), kept(-5_000_000), "at its beginning nothing was used of it");
    assert!(kept(900_000) > kept(930_000) && kept(930_000) > kept(960_000));
    assert_eq!(kept(960_000), kept(970_000));
}

#[test]
fn what_others_can_still_call_is_counted_from_the_latest_that_it_can_be() {
    // It was seen just now.
    let kept = |lead_ms| kept_of_the_second(960_000 + lead_ms, lead_ms);
    assert!(kept(0) > kept(60_000), "a minute less");
    assert_eq!((kept(840_000), kept(10_000_000)), (0, 0), "to the reset");
    let mut budget = learned(0.5, 80, 80, 450_000);
    let Grant::WaitUntil { ms, .. } = budget.look(450_000) else { panic!() };
    budget.lead_ms = 2_000;
    assert_eq!(budget.look(450_000), Grant::WaitUntil { ms: ms - 2_000, window: "read" });
}

#[test]
fn what_is_kept_of_a_window_and_of_a_day_is_what_the_reserve_keeps() {
    assert_eq!(learned(0.2, 40, 440, 0).kept(0), [20, 200]);
    assert_eq!(learned(0.2, 40, 440, 0).kept(450_000), [10, 199], "an hour is 8.3 calls of a day's reserve");
    assert_eq!(learned(0.2, 40, 440, 0).kept(12 * HOUR_MS), [20, 100]);
}

#[test]
fn a_plan_counts_with_what_the_reserve_leaves() {
    let room = learned(0.2, 40, 440, 0).room(1_000);
    assert_eq!((room.short, room.day), (90, 900));
    let room = learned(0.0, 40, 440, 0).room(1_000);
    // The rest of this window, a whole one, and a call of the next.
    assert_eq!(room.done_s(60 + 100, 1), Some(900));
    assert_eq!(room.done_s(60 + 100 + 1, 1), Some(1_800));
    assert_eq!(room.done_s(560 + 1_000, 1), Some(86_400 + 9 * 900), "all of the next day");
    assert_eq!(Room { day: 0, ..room }.done_s(9, 1), None);
    assert_eq!(Room { short: 0, ..room }.done_s(9, 1), None);
}
