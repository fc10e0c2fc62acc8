//! What lies apart on one day and has no other that it could be.

use super::*;
use crate::sources::Source::{Apple, Fitbit, Garmin, HealthConnect, Strava};

/// A ride that two sources tell of, as a third tells of it.
fn ride_and(other: Record) -> Person {
    let mut person = Person::default();
    person.add(record(Garmin, "garmin", "ride", 9 * HOUR_S, 150.0, 64.8)).heart_rate_bpm = Some(118.0);
    person.add(record(Strava, "strava", "ride", 9 * HOUR_S + 2, 150.0, 64.8)).heart_rate_bpm = Some(118.0);
    person.add(other);
    person
}

#[test]
fn a_clock_that_is_off_by_any_time_and_a_length_that_is_off_a_little_are_no_second_ride() {
    let mut late = record(Fitbit, "fitbit", "ride", 9 * HOUR_S + 5_027, 153.0, 66.0);
    late.heart_rate_bpm = Some(119.0);
    ride_and(late).link().are_one(&["garmin", "strava", "fitbit"]);
}

#[test]
fn a_second_ride_of_another_length_is_no_wrong_clock() {
    let found = ride_and(record(Fitbit, "fitbit", "ride", 18 * HOUR_S + 700, 45.0, 17.0)).link();
    found.are_two("garmin", "fitbit");
}

#[test]
fn what_follows_soon_is_the_next_thing_that_somebody_did() {
    let found = ride_and(record(Fitbit, "fitbit", "ride", 9 * HOUR_S + 10_200, 100.0, 40.0)).link();
    found.are_two("garmin", "fitbit");
}

#[test]
fn the_same_ride_on_the_next_day_is_another() {
    let mut person = ride_and(record(Fitbit, "fitbit", "ride", 9 * HOUR_S + DAY_S + 240, 150.0, 64.8));
    person.add(record(Garmin, "before", "ride", 9 * HOUR_S - 2 * DAY_S, 150.0, 64.8));
    person.link().are_two("garmin", "fitbit");
}

#[test]
fn what_was_typed_in_is_the_only_thing_of_that_day_that_it_can_be_whatever_its_sizes() {
    let hand = |source: Source, minutes: f64| {
        let mut hand = record(source, "hand", "run", 12 * HOUR_S, minutes, 0.0);
        hand.is_manual = true;
        hand
    };
    let run = |start_s: i64, name: &str| record(Garmin, name, "run", start_s, 47.0, 9.1);
    two(run(7 * HOUR_S, "run"), hand(Strava, 75.0)).are_one(&["run", "hand"]);
    // Typed into a hub that has the recording, too.
    let mut person = Person::default();
    person.add(run(7 * HOUR_S, "run"));
    person.add(record(Apple, "copy", "run", 7 * HOUR_S, 47.0, 9.1));
    person.add(hand(Apple, 60.0));
    person.link().are_one(&["run", "copy", "hand"]);
    // What has another length and another distance may be another run.
    let mut far = hand(Strava, 75.0);
    far.distance_m = Some(20_000.0);
    two(run(7 * HOUR_S, "run"), far).is_for_review("run", "hand");
    // And another sport is another workout.
    let swim = record(Garmin, "swim", "swim", 7 * HOUR_S, 47.0, 1.5);
    two(swim, hand(Strava, 50.0)).are_two("swim", "hand");
}

#[test]
fn of_two_runs_of_a_day_nobody_knows_which_was_typed_in() {
    let mut person = Person::default();
    person.add(record(Garmin, "morning", "run", 7 * HOUR_S, 47.0, 9.1));
    person.add(record(Garmin, "evening", "run", 18 * HOUR_S, 48.0, 9.3));
    person.add(record(HealthConnect, "hand", "run", 12 * HOUR_S, 75.0, 0.0)).is_manual = true;
    let found = person.link();
    found.are_two("morning", "hand");
    found.are_two("evening", "hand");
}

#[test]
fn a_start_that_is_an_end_is_found_whatever_the_other_lost() {
    let mut person = Person::default();
    person.add(record(Garmin, "died", "run", 8 * HOUR_S, 21.0, 4.1));
    person.add(record(Fitbit, "late", "run", 9 * HOUR_S + 20, 60.0, 11.6));
    person.link().are_one(&["died", "late"]);
}

#[test]
fn what_gives_local_time_and_starts_minutes_late_is_for_somebody_to_look_at() {
    let mut person = Person::default();
    let mut told = record(Strava, "told", "hike", 3 * HOUR_S + 78, 325.3, 21.2);
    told.utc_offset_s = Some(20_700);
    person.add(told);
    person.add(record(Fitbit, "local", "hike", 3 * HOUR_S + 20_700 + 389, 316.7, 19.1));
    person.link().is_for_review("told", "local");
}

#[test]
fn a_copy_that_was_stamped_with_its_upload_is_known_by_its_name() {
    let gym = |copied: &str, device: u64| {
        let mut person = Person::default();
        for day in 0..9 {
            let run = record(Garmin, &format!("run{day}"), "run", day * 4 * DAY_S, 31.0 + day as f64, 6.0);
            person.add(run).device = Some(1);
        }
        let at = 18 * HOUR_S + DAY_S;
        let title = |text: &str| titles::given(text);
        person.add(record(Hevy, "log", "weight_training", at, 58.0, 0.0)).title = title("Legs");
        let watch = person.add(record(Garmin, "watch", "workout", at + 170, 51.3, 0.0));
        (watch.title, watch.device, watch.heart_rate_bpm) = (title("Oslo Cardio"), Some(1), Some(104.0));
        let copy = person.add(record(Garmin, "copy", "weight_training", at + 5 * HOUR_S + 605, 58.0, 0.0));
        (copy.title, copy.device) = (title(copied), Some(device));
        person.link()
    };
    gym("legs", 2).are_one(&["log", "watch", "copy"]);
    // The device that recorded the one knows whether there was another.
    gym("Legs", 1).are_two("watch", "copy");
    gym("Arms", 2).are_two("watch", "copy");
}

/// Hevy's log of an hour's lifting in local time of nobody knows where, a watch's, and a copy that an app sent to two
/// accounts when it got round to it; and the same some days later.
fn lifting(later_s: i64, copy: impl Fn(&mut Record)) -> Found {
    let mut person = Person::default();
    for (day, minutes) in [(1, 58.0), (4, 71.0)] {
        let at = 18 * HOUR_S + day * DAY_S;
        let named = |name: &str| format!("{name}{day}");
        person.add(record(Hevy, &named("log"), "weight_training", at, minutes, 0.0)).title =
            titles::given("Legs");
        let watch = record(Garmin, &named("watch"), "weight_training", at + 20, minutes - 7.0, 0.0);
        let watch = person.add(watch);
        (watch.device, watch.heart_rate_bpm) = (Some(1), Some(104.0));
        for (source, name) in [(Strava, "strava"), (Garmin, "garmin")] {
            let start_s = at + (minutes * 60.0) as i64 + later_s;
            let sent = person.add(record(source, &named(name), "workout", start_s, minutes + 0.6, 0.0));
            // The app's number.
            sent.device = (source == Garmin).then_some(7);
            copy(sent);
        }
    }
    person.link()
}

#[test]
fn a_copy_of_a_log_that_begins_with_its_upload_is_known_by_its_length() {
    let found = lifting(4_492, |_| ());
    found.are_one(&["log1", "watch1", "strava1", "garmin1"]);
    found.are_one(&["log4", "watch4", "strava4", "garmin4"]);
    found.are_two("strava1", "log4");
    // What a device measured is a workout of its own, and so is what lasted another time.
    let measured = |r: &mut Record| r.heart_rate_bpm = Some(118.0);
    lifting(4_492, measured).are_two("log1", "strava1");
    let longer = |r: &mut Record| r.elapsed_s = r.elapsed_s.map(|s| s + 300.0);
    lifting(4_492, longer).are_two("log1", "strava1");
    // And the watch would know of it.
    let of_watch = |r: &mut Record| r.device = (r.source == Garmin).then_some(1);
    lifting(4_492, of_watch).are_two("log1", "garmin1");
    // A name that somebody gave to one of the copies is an edit; one that all have is that of something else.
    let edited = |r: &mut Record| r.title = titles::given("Arms").filter(|_| r.source == Garmin);
    lifting(4_492, edited).are_one(&["log1", "watch1", "strava1", "garmin1"]);
    let other = |r: &mut Record| r.title = titles::given("Arms");
    lifting(4_492, other).are_two("log1", "strava1");
}
