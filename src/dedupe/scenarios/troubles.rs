//! Each class of trouble that people report, found.

use super::*;
use crate::sources::Source::{Apple, Files, Fitbit, Garmin, Strava};

#[test]
fn a_forgotten_stop_is_found_from_a_fifth_longer_to_eight_times() {
    for times in [1.2, 2.0, 4.0, 8.0] {
        let whole = record(Garmin, "a", "run", 0, 45.0, 9.0);
        two(whole, record(Strava, "b", "run", 12, 45.0 * times, 9.4)).are_one(&["a", "b"]);
    }
}

#[test]
fn a_device_that_died_or_was_started_late_is_found() {
    for (from, minutes) in [(5, 20.0), (5, 40.0), (45 * 60, 45.0), (80 * 60, 11.0)] {
        let whole = record(Garmin, "a", "ride", 0, 91.0, 40.0);
        two(whole, record(Strava, "b", "gravel_ride", from, minutes, minutes * 0.44)).are_one(&["a", "b"]);
    }
}

#[test]
fn what_was_cropped_or_cut_is_found() {
    let whole = || record(Garmin, "a", "run", 0, 60.0, 12.0);
    // At either end, and both.
    for (from, minutes) in [(0, 48.0), (720, 48.0), (360, 48.0), (600, 40.0)] {
        two(whole(), record(Strava, "b", "run", from, minutes, minutes / 5.0)).are_one(&["a", "b"]);
    }
    // In the middle: what was cut out is missing, not its time.
    two(whole(), record(Strava, "b", "run", 0, 44.0, 9.0)).are_one(&["a", "b"]);
}

#[test]
fn a_pause_that_one_side_does_not_count_changes_nothing() {
    let mut whole = record(Garmin, "a", "ride", 0, 180.0, 60.0);
    whole.moving_s = Some(8_000.0);
    two(whole, record(Files, "b", "ride", 3, 8_000.0 / 60.0, 60.1)).are_one(&["a", "b"]);
    two(record(Garmin, "a", "ride", 0, 180.0, 60.0), record(Files, "b", "ride", 3, 120.0, 59.0))
        .are_one(&["a", "b"]);
}

#[test]
fn treadmills_pools_and_bad_receivers_are_wrong_about_the_distance_only() {
    for km in [7.0, 13.0] {
        two(record(Garmin, "a", "run", 0, 50.0, 10.0), record(Fitbit, "b", "run", 40, 51.0, km))
            .are_one(&["a", "b"]);
    }
    two(record(Garmin, "a", "swim", 0, 50.0, 2.0), record(Apple, "b", "swim", 20, 49.0, 4.0))
        .are_one(&["a", "b"]);
}

#[test]
fn a_watch_that_ran_through_holds_each_of_what_it_recorded() {
    let run_and_gym = |minute: i64| {
        let mut person = Person::default();
        person.add(record(Garmin, "through", "run", 0, minute as f64 + 80.0, 12.0));
        person.add(record(Strava, "run", "run", 5, 60.0, 11.0));
        person.add(record(Hevy, "gym", "weight_training", minute * 60, 79.0, 0.0));
        let found = person.link();
        found.are_one(&["through", "run"]);
        found.are_one(&["through", "gym"]);
        found
    };
    // Whether they follow at once or after a meal.
    run_and_gym(66).are_two("run", "gym");
    run_and_gym(105).are_two("run", "gym");
}

#[test]
fn a_triathlon_is_found_as_one_and_as_three() {
    let mut person = Person::default();
    person.add(record(Garmin, "all", "workout", 0, 170.0, 51.5));
    person.add(record(Strava, "swim", "swim", 8, 30.0, 1.5));
    person.add(record(Strava, "ride", "ride", 33 * 60, 75.0, 40.0));
    person.add(record(Strava, "run", "run", 111 * 60, 59.0, 10.0));
    let found = person.link();
    found.are_one(&["all", "swim", "ride", "run"]);
}

#[test]
fn a_day_on_skis_holds_its_runs_with_lifts_and_lunch_between_them() {
    let mut person = Person::default();
    person.add(record(Garmin, "day", "alpine_ski", 0, 300.0, 40.0));
    for (name, at) in [("r1", 9), ("r2", 31), ("r3", 70), ("r4", 95), ("r5", 200), ("r6", 260)] {
        person.add(record(Apple, name, "alpine_ski", at * 60, 7.0, 3.0));
    }
    let found = person.link();
    for run in ["r1", "r2", "r3", "r4", "r5", "r6"] {
        found.are_one(&["day", run]);
    }
}

#[test]
fn a_hike_is_found_in_two_halves_and_a_night_in_two_days() {
    let mut person = Person::default();
    person.add(record(Garmin, "hike", "hike", 0, 300.0, 18.0));
    person.add(record(Strava, "up", "hike", 10, 110.0, 8.0));
    person.add(record(Strava, "down", "hike", 160 * 60, 139.0, 9.5));
    let found = person.link();
    found.are_one(&["hike", "up"]);
    found.are_one(&["hike", "down"]);
    let mut person = Person::default();
    person.add(record(Garmin, "night", "ride", 22 * HOUR_S, 200.0, 70.0));
    person.add(record(Fitbit, "before", "ride", 22 * HOUR_S, 119.99, 42.0));
    person.add(record(Fitbit, "after", "ride", 24 * HOUR_S, 80.0, 28.0));
    let found = person.link();
    found.are_one(&["night", "before"]);
    found.are_one(&["night", "after"]);
}

/// A lifter whose log writes local time without a zone, beside a watch, over some weeks with daylight saving.
fn lifter(offset_of_day: impl Fn(i64) -> i64, tells_zone: bool) -> Found {
    let mut person = Person::default();
    for day in 0..40 {
        let start_s = day * 2 * DAY_S + 17 * HOUR_S + (day * 977) % 4_000;
        let offset_s = offset_of_day(day * 2);
        let watch =
            person.add(record(Garmin, &format!("w{day}"), "workout", start_s, 62.0 + (day % 9) as f64, 0.0));
        watch.heart_rate_bpm = Some(110.0);
        watch.utc_offset_s = tells_zone.then_some(offset_s as i32);
        let local_s = (start_s + 240 + offset_s) / 60 * 60;
        let log = person.add(record(
            Hevy,
            &format!("h{day}"),
            "weight_training",
            local_s,
            55.0 - (day % 5) as f64,
            0.0,
        ));
        log.quality = Quality::ZoneUnknown;
    }
    person.link()
}

#[test]
fn a_log_in_local_time_follows_the_persons_days() {
    for tells_zone in [true, false] {
        let found = lifter(|day| if day < 42 { HOUR_S } else { 2 * HOUR_S }, tells_zone);
        for day in 0..40 {
            found.are_one(&[&format!("w{day}"), &format!("h{day}")]);
        }
        let abroad = lifter(|day| if (20..34).contains(&day) { -5 * HOUR_S } else { HOUR_S }, tells_zone);
        for day in 0..40 {
            abroad.are_one(&[&format!("w{day}"), &format!("h{day}")]);
        }
    }
}

/// Somebody who trains most days, with a recorder whose clock is off for some of them.
fn runner(off_s: impl Fn(i64) -> Option<i64>) -> Found {
    let mut person = Person::default();
    for day in 0..30 {
        let start_s = day * DAY_S + 6 * HOUR_S + (day * 1_237) % 7_000;
        let minutes = 31.0 + ((day * 7) % 23) as f64;
        person.add(record(Garmin, &format!("a{day}"), "run", start_s, minutes, minutes / 5.3));
        if let Some(off_s) = off_s(day) {
            person.add(record(
                Files,
                &format!("b{day}"),
                "run",
                start_s + off_s + day % 7,
                minutes + 0.1,
                minutes / 5.25,
            ));
        }
    }
    person.link()
}

#[test]
fn a_clock_that_is_off_for_days_is_found_from_those_days() {
    for off_s in [7 * 60, 37 * 60, -3 * HOUR_S, 11 * HOUR_S + 1_234] {
        let found = runner(|day| Some(if (10..16).contains(&day) { off_s } else { 0 }));
        for day in 0..30 {
            found.are_one(&[&format!("a{day}"), &format!("b{day}")]);
        }
    }
    // Local time written as UTC, always.
    let found = runner(|_| Some(9 * HOUR_S));
    (0..30).for_each(|day| found.are_one(&[&format!("a{day}"), &format!("b{day}")]));
}

#[test]
fn starts_that_are_ends_are_found() {
    let mut person = Person::default();
    for day in 0..12 {
        let start_s = day * DAY_S + 7 * HOUR_S + (day * 771) % 3_000;
        let minutes = 41.3 + (day % 7) as f64 * 3.0;
        person.add(record(Garmin, &format!("a{day}"), "run", start_s, minutes, minutes / 5.0));
        let end_s = start_s + (minutes * 60.0) as i64 + 4;
        person.add(record(Files, &format!("b{day}"), "run", end_s, minutes, minutes / 5.02));
    }
    let found = person.link();
    (0..12).for_each(|day| found.are_one(&[&format!("a{day}"), &format!("b{day}")]));
}

#[test]
fn what_was_typed_in_is_found_where_few_others_are_on_that_day() {
    let noon = 12 * HOUR_S;
    for (start_s, minutes, km) in
        [(0, 45.0, 10.0), (noon, 50.0, 10.0), (21 * HOUR_S + 1_800, 50.0, 9.7), (noon, 45.0, 0.0)]
    {
        let mut person = Person::default();
        person.add(record(Garmin, "a", "run", 7 * HOUR_S + 433, 47.3, 9.83));
        person.add(record(Garmin, "other day", "run", DAY_S + 7 * HOUR_S, 47.0, 9.9));
        person.add(record(Strava, "b", "run", start_s, minutes, km)).is_manual = true;
        let found = person.link();
        found.are_one(&["a", "b"]);
        found.are_two("b", "other day");
    }
    // Two that fit alike: nothing tells which.
    let mut person = Person::default();
    person.add(record(Garmin, "a", "run", 7 * HOUR_S + 433, 47.3, 9.83));
    person.add(record(Garmin, "a2", "run", 17 * HOUR_S + 433, 47.9, 9.90));
    person.add(record(Strava, "b", "run", 12 * HOUR_S, 45.0, 10.0)).is_manual = true;
    let found = person.link();
    found.are_two("a", "b");
    found.are_two("a2", "b");
}

#[test]
fn an_edited_start_is_found_where_nothing_else_fits() {
    let mut edited = record(Strava, "b", "run", 9 * HOUR_S + 17, 47.35, 9.83);
    edited.footprint = way(0.0, 0.0, 9.8);
    let mut told = record(Garmin, "a", "run", 7 * HOUR_S + 433, 47.35, 9.83);
    told.footprint = way(0.0, 0.0, 9.8);
    two(told, edited).are_one(&["a", "b"]);
}

#[test]
fn copies_in_a_health_hub_all_belong_to_the_workout() {
    let mut person = Person::default();
    person.add(record(Garmin, "watch", "run", 0, 40.0, 8.0)).heart_rate_bpm = Some(150.0);
    person.add(record(Apple, "c1", "run", 1, 40.0, 8.0));
    person.add(record(Apple, "c2", "workout", 30, 40.5, 0.0)).calories_kcal = Some(410.0);
    person.add(record(Apple, "c3", "walk", 0, 40.0, 0.0));
    let found = person.link();
    found.are_one(&["watch", "c1", "c2"]);
    found.are_one(&["watch", "c3"]);
}

#[test]
fn two_devices_on_one_account_are_one_ride() {
    let mut person = Person::default();
    person.add(record(Strava, "watch", "ride", 0, 90.0, 40.1)).footprint = way(0.0, 0.0, 40.0);
    person.add(record(Strava, "head unit", "ride", 95, 86.0, 39.8)).footprint = way(0.0, 0.3, 39.8);
    person.add(record(Garmin, "g", "ride", 96, 86.0, 39.8)).footprint = way(0.0, 0.3, 39.8);
    person.link().are_one(&["watch", "head unit", "g"]);
}

#[test]
fn a_trainer_app_rides_elsewhere_than_its_trainer() {
    let mut person = Person::default();
    person.add(record(Strava, "app", "virtual_ride", 0, 60.0, 31.0)).footprint = way(900.0, 0.0, 31.0);
    person.add(record(Files, "trainer", "ride", 20, 61.0, 29.0));
    person.add(record(Fitbit, "band", "workout", -300, 72.0, 0.0)).heart_rate_bpm = Some(140.0);
    person.link().are_one(&["app", "trainer", "band"]);
}

#[test]
fn what_a_record_does_not_say_is_no_disagreement() {
    let mut bare = record(Fitbit, "b", "workout", 25, 31.0, 0.0);
    bare.sport = None;
    two(record(Garmin, "a", "rowing", 0, 30.0, 6.0), bare).are_one(&["a", "b"]);
}

#[test]
fn a_band_that_calls_a_sport_by_another_name_is_learned() {
    let mut person = Person::default();
    for day in 0..6 {
        person.add(record(Garmin, &format!("a{day}"), "rowing", day * DAY_S, 30.0, 6.0));
        // Of the last one the band saw a part only.
        let minutes = if day == 5 { 19.0 } else { 30.1 };
        person.add(record(Fitbit, &format!("b{day}"), "weight_training", day * DAY_S + 9, minutes, 0.0));
    }
    person.link().are_one(&["a5", "b5"]);
}

#[test]
fn one_size_that_agrees_and_one_that_is_roughly_right_make_what_was_typed_in() {
    // The machine counted another way, and the phone guessed the energy.
    let mut person = Person::default();
    person.add(record(Garmin, "told", "rowing", 15 * HOUR_S + 516, 62.4, 10.2)).heart_rate_bpm = Some(131.0);
    let typed = person.add(record(Apple, "typed", "rowing", 12 * HOUR_S, 60.0, 11.2));
    typed.calories_kcal = Some(480.0);
    person.link().are_one(&["told", "typed"]);
}

/// A ride that was begun, ended after two minutes and begun anew: as two sources have it.
fn begun_twice(begin_s: i64) -> Person {
    let mut person = Person::default();
    for (source, name) in [(Strava, "strava"), (Garmin, "garmin")] {
        person.add(record(source, &format!("{name} stub"), "ride", begin_s, 2.0, 0.6));
        person.add(record(source, &format!("{name} ride"), "ride", begin_s + 150, 55.0, 21.0));
    }
    person
}

#[test]
fn a_false_start_belongs_to_what_was_begun_then_where_another_recorder_tells_of_both() {
    let mut person = begun_twice(0);
    person.add(record(Fitbit, "band", "ride", 45, 56.5, 21.4));
    person.link().are_one(&["strava stub", "garmin stub", "strava ride", "garmin ride", "band"]);
    // So does one that was begun itself before the first was ended.
    let mut person = begun_twice(0);
    person.add(record(Fitbit, "band", "ride", 90, 55.7, 21.2));
    person.link().are_one(&["strava stub", "garmin stub", "strava ride", "garmin ride", "band"]);
    // Nothing else says that they are one.
    let found = begun_twice(0).link();
    found.are_two("strava stub", "strava ride");
    found.are_two("strava stub", "garmin ride");
}

#[test]
fn two_recorders_that_were_both_begun_in_vain_tell_of_one_outing() {
    let mut person = begun_twice(20);
    person.add(record(Fitbit, "band stub", "ride", 0, 3.6, 0.9));
    person.add(record(Fitbit, "band", "ride", 260, 53.5, 20.4));
    person.link().are_one(&["strava stub", "garmin stub", "strava ride", "band stub", "band"]);
}

#[test]
fn a_short_thing_after_another_one_is_no_false_start() {
    let mut person = begun_twice(20 * 60);
    for (source, name) in [(Strava, "strava"), (Garmin, "garmin")] {
        person.add(record(source, &format!("{name} before"), "ride", 0, 15.0, 6.0));
    }
    person.add(record(Fitbit, "band", "ride", 20 * 60 + 45, 56.5, 21.4));
    person.link().are_two("strava stub", "strava ride");
}

#[test]
fn what_begins_and_ends_together_and_has_no_other_is_one_whatever_one_of_them_calls_it() {
    let mut person = Person::default();
    person.add(record(Garmin, "watch", "run", 0, 52.0, 9.8));
    person.add(record(Fitbit, "band", "walk", 170, 48.0, 0.0));
    person.link().are_one(&["watch", "band"]);
}

#[test]
fn pieces_of_one_sport_lie_within_what_holds_them() {
    let mut person = Person::default();
    person.add(record(Garmin, "watch", "run", 0, 80.0, 14.0));
    person.add(record(Fitbit, "first", "run", 15 * 60, 12.0, 2.1));
    person.add(record(Fitbit, "second", "run", 50 * 60, 14.0, 2.4));
    person.link().are_one(&["watch", "first", "second"]);
}

#[test]
fn what_went_too_fast_for_its_name_may_be_anything() {
    let ride_and_walk = |km: f64| {
        let mut person = Person::default();
        for source in [Strava, Apple] {
            person.add(record(source, &format!("ride {source}"), "ride", 0, 174.0, 65.2));
        }
        person.add(record(Fitbit, "band", "walk", 900, 96.0, km));
        person.link()
    };
    ride_and_walk(36.0).are_one(&["ride strava", "ride apple", "band"]);
    ride_and_walk(7.0).are_two("ride strava", "band");
}
