//! One account, several devices or several people.

use super::*;
use crate::sources::Source::{Apple, Files, Fitbit, Garmin, Strava};

#[test]
fn copies_of_two_devices_in_one_hub_are_one_though_their_sizes_differ() {
    let mut person = Person::default();
    person.add(record(Strava, "told", "run", 0, 74.0, 15.3)).heart_rate_bpm = Some(151.0);
    // A foot pod counts twice the way, under another name; a band rounds.
    person.add(record(Apple, "pod", "workout", 4, 74.0, 31.5));
    person.add(record(Apple, "band", "run", 30, 72.0, 15.6));
    person.link().are_one(&["told", "pod", "band"]);
}

#[test]
fn somebody_who_rides_elsewhere_on_one_evening_makes_overlaps_of_that_evening_say_little() {
    let mut person = Person::default();
    person.add(record(Garmin, "own", "ride", 480, 50.0, 15.0));
    person.add(record(Strava, "child", "walk", 700, 51.0, 3.0)).footprint = way(30.0, 0.0, 3.0);
    person.add(record(Strava, "partner", "ride", 0, 92.0, 26.0)).footprint = way(60.0, 0.0, 26.0);
    let found = person.link();
    found.are_two("own", "partner");
    found.are_two("own", "child");
    found.are_two("partner", "child");
}

#[test]
fn a_couple_that_trains_together_is_two_hearts() {
    let mut person = Person::default();
    for day in 0..4 {
        let at = day * DAY_S;
        let own =
            |r: &mut Record, bpm: f64| (r.heart_rate_bpm, r.footprint) = (Some(bpm), way(0.0, 0.0, 9.0));
        own(person.add(record(Garmin, &format!("g{day}"), "run", at, 52.0, 9.0)), 143.0);
        own(person.add(record(Strava, &format!("hers{day}"), "run", at + 3, 52.0, 9.02)), 143.0);
        own(person.add(record(Strava, &format!("his{day}"), "run", at + 21, 52.2, 9.05)), 168.0);
    }
    let found = person.link();
    for day in 0..4 {
        found.are_one(&[&format!("g{day}"), &format!("hers{day}")]);
        found.are_two(&format!("his{day}"), &format!("hers{day}"));
        found.are_two(&format!("his{day}"), &format!("g{day}"));
    }
}

#[test]
fn a_part_whose_heart_leaves_none_to_the_rest_is_no_part() {
    // 63 minutes at 111 within 85 at 142: the rest would have been at 230.
    let mut long = record(Strava, "gym", "workout", 0, 85.0, 0.0);
    long.heart_rate_bpm = Some(142.0);
    let mut run = record(Garmin, "run", "run", 20, 63.0, 12.5);
    run.heart_rate_bpm = Some(111.0);
    two(long, run).are_two("gym", "run");
}

#[test]
fn two_pairs_that_a_watch_and_a_band_tell_apart_are_two_though_they_overlap() {
    let mut person = Person::default();
    for (source, late_s) in [(Garmin, 0), (Fitbit, 6)] {
        let long = person.add(record(source, &format!("{source} long"), "walk", late_s, 80.0, 6.0));
        long.heart_rate_bpm = Some(114.0);
        let short = person.add(record(source, &format!("{source} short"), "walk", 1_800 + late_s, 42.0, 3.6));
        short.heart_rate_bpm = Some(101.0);
    }
    let found = person.link();
    found.are_one(&["garmin long", "fitbit long"]);
    found.are_one(&["garmin short", "fitbit short"]);
    found.are_two("garmin long", "fitbit short");
}

#[test]
fn a_sport_that_somebody_edited_on_a_copy_is_that_of_the_recording_too() {
    let mut person = Person::default();
    let mut recorded = |source, name: &str, sport: &str, start_s, file| {
        person.add(record(source, name, sport, start_s, 52.0, 21.0)).file = Some(file);
    };
    recorded(Files, "bike computer", "ride", 0, 1);
    recorded(Strava, "edited", "run", 0, 1);
    recorded(Files, "watch", "ride", 12, 2);
    recorded(Strava, "watch again", "ride", 12, 2);
    person.link().are_one(&["bike computer", "edited", "watch", "watch again"]);
}

#[test]
fn what_was_typed_in_beside_the_recording_of_a_device_is_of_no_second_device() {
    let mut person = Person::default();
    person.add(record(Garmin, "watch", "ride", 52, 57.4, 0.0)).heart_rate_bpm = Some(141.0);
    person.add(record(Strava, "trainer", "virtual_ride", 140, 56.0, 23.4));
    person.add(record(Garmin, "typed", "virtual_ride", 300, 55.0, 23.5)).is_manual = true;
    person.link().are_one(&["watch", "trainer", "typed"]);
}

#[test]
fn what_was_logged_beside_the_recording_of_a_device_is_of_no_second_body() {
    let gym = |log_bpm: Option<f64>| {
        let mut person = Person::default();
        let watch = person.add(record(Garmin, "watch", "weight_training", 0, 45.2, 0.0));
        (watch.heart_rate_bpm, watch.device) = (Some(93.0), Some(1));
        let log = person.add(record(Garmin, "log", "weight_training", -86, 47.7, 0.0));
        (log.heart_rate_bpm, log.device) = (log_bpm, Some(2));
        person.add(record(Hevy, "original", "weight_training", -86, 47.7, 0.0));
        person.link()
    };
    gym(None).are_one(&["watch", "log", "original"]);
    // Two hearts are two people.
    gym(Some(131.0)).are_two("watch", "log");
}

#[test]
fn whoever_records_everything_twice_does_so_also_where_somebody_borrows_the_account() {
    let mut person = Person::default();
    for day in 0..12 {
        let at = day * DAY_S;
        let name = |who: &str| format!("{who} {day}");
        person.add(record(Strava, &name("watch"), "ride", at, 61.0, 24.0)).footprint = way(0.0, 0.0, 24.0);
        let second = person.add(record(Strava, &name("bike computer"), "ride", at + 25, 60.2, 24.3));
        second.footprint = way(0.0, 0.1, 24.0);
        if day % 3 == 0 {
            let guest = person.add(record(Strava, &name("guest"), "run", at + 900, 40.0, 7.0));
            guest.footprint = way(60.0, 0.0, 7.0);
        }
    }
    let found = person.link();
    for day in 0..12 {
        found.are_one(&[&format!("watch {day}"), &format!("bike computer {day}")]);
    }
    found.are_two("watch 3", "guest 3");
}

#[test]
fn a_log_that_was_opened_before_the_watch_is_of_no_second_body_though_one_account_holds_both() {
    let gym = |log_sport: &str| {
        let mut person = Person::default();
        let watch = person.add(record(Garmin, "watch", "weight_training", 470, 58.0, 0.0));
        (watch.heart_rate_bpm, watch.device) = (Some(104.0), Some(1));
        person.add(record(Files, "file", "weight_training", 470, 58.0, 0.0)).heart_rate_bpm = Some(104.0);
        person.add(record(Garmin, "log", log_sport, 0, 66.0, 0.0));
        person.add(record(Strava, "copy", log_sport, 0, 66.0, 0.0));
        person.link()
    };
    gym("weight_training").are_one(&["watch", "file", "log", "copy"]);
    gym("swim").are_two("watch", "log");
}

#[test]
fn an_account_into_which_apps_write_holds_a_whole_that_another_device_recorded_beside_the_parts() {
    // The band's account also takes over what the watch recorded: so it did one evening with a ride of one length.
    let parts = |takes_over: bool| {
        let mut person = Person::default();
        for (source, name) in [(Strava, "ride"), (Fitbit, "band's ride"), (Fitbit, "ride taken over")] {
            if takes_over || name != "ride taken over" {
                person.add(record(source, name, "ride", -DAY_S, 50.0, 21.0));
            }
        }
        for (source, name) in [(Strava, "whole"), (Fitbit, "whole taken over")] {
            person.add(record(source, name, "run", 7, 75.0, 8.3));
        }
        for (name, minute, minutes, km) in
            [("warm-up", 0, 13.0, 1.8), ("race", 27, 29.0, 5.0), ("cool-down", 63, 12.0, 1.5)]
        {
            person.add(record(Fitbit, name, "run", minute * 60 + 9, minutes, km));
            person.add(record(Garmin, &format!("{name} again"), "run", minute * 60 + 9, minutes, km));
        }
        person.link()
    };
    parts(true).are_one(&["whole", "whole taken over", "warm-up", "race again", "cool-down"]);
    parts(false).are_two("whole", "race");
}

#[test]
fn of_two_devices_that_begin_and_end_together_one_has_a_wrong_name() {
    let both =
        |person: &mut Person, source: Source, (at_s, devices): (i64, [u64; 2]), sport: &str, km: f64| {
            let watch = format!("watch {at_s}");
            person.add(record(source, &watch, "ride", at_s, 61.0, 24.1)).device = Some(devices[0]);
            let phone = format!("phone {at_s}");
            person.add(record(source, &phone, sport, at_s + 9, 61.2, km)).device = Some(devices[1]);
        };
    // Both write into one account, and on the first day one of them was left on another sport.
    let mut person = Person::default();
    for day in 0..8 {
        let sport = if day == 0 { "rowing" } else { "ride" };
        both(&mut person, Strava, (day * DAY_S, [1, 2]), sport, 24.2);
    }
    person.link().are_one(&["watch 0", "phone 0"]);
    // A hub gathers: there what is of one size is one, and else two.
    let in_hub = |devices: [u64; 2], km: f64| {
        let mut person = Person::default();
        both(&mut person, Apple, (0, devices), "rowing", km);
        person.link()
    };
    in_hub([1, 2], 24.2).are_one(&["watch 0", "phone 0"]);
    in_hub([1, 2], 2.1).are_two("watch 0", "phone 0");
    // One watch records one thing at a time.
    in_hub([1, 1], 24.2).are_two("watch 0", "phone 0");
}

/// A watch and a bike computer that both upload to an account that names no device, and the watch on another sport once.
fn under_two_names(sport: &str, later_s: i64) -> Found {
    let mut person = Person::default();
    for day in 0..8 {
        let mut add = |source, name: &str, device, (start_s, minutes): (i64, f64), sport: &str| {
            let name = format!("{name} {day}");
            let one = person.add(record(source, &name, sport, day * DAY_S + start_s, minutes, 0.0));
            (one.device, one.heart_rate_bpm) = (device, Some(140.0));
        };
        let (sport, later_s) = if day == 0 { (sport, later_s) } else { ("ride", 7) };
        add(Garmin, "watch", Some(1), (0, 36.7), sport);
        add(Strava, "copy of the watch", None, (0, 36.7), sport);
        add(Files, "computer", Some(2), (later_s, 36.6), "ride");
        add(Strava, "copy of the computer", None, (later_s, 36.6), "ride");
    }
    person.link()
}

#[test]
fn an_account_that_names_no_device_may_hold_one_workout_under_two_names() {
    let names = ["watch 0", "copy of the watch 0", "computer 0", "copy of the computer 0"];
    under_two_names("hike", 7).are_one(&names);
    under_two_names("hike", 20 * 60).are_two("watch 0", "computer 0");
}

/// Ten walks that an account holds twice, and a phone tells as the first of both.
fn walks(second_bpm: impl Fn(i64) -> f64) -> Found {
    let mut person = Person::default();
    for day in 0..10 {
        let at = day * DAY_S;
        person.add(record(Apple, &format!("phone {day}"), "walk", at, 36.0, 3.1)).heart_rate_bpm =
            Some(105.0);
        person.add(record(Strava, &format!("own {day}"), "walk", at, 36.0, 3.1)).heart_rate_bpm = Some(105.0);
        let second = record(Strava, &format!("second {day}"), "walk", at + 9, 35.8, 3.12);
        person.add(second).heart_rate_bpm = Some(second_bpm(day));
    }
    person.link()
}

#[test]
fn a_couple_is_known_by_its_hearts_though_they_beat_as_one_now_and_then() {
    // Never as far apart as two hearts would have to be on one day alone.
    let found = walks(|day| 105.0 + [1.0, 9.0, -11.0, 6.0, 3.0, 10.0, -9.0, 4.0, 7.0, -10.0][day as usize]);
    for day in 0..10 {
        found.are_one(&[&format!("phone {day}"), &format!("own {day}")]);
        found.are_two(&format!("second {day}"), &format!("own {day}"));
    }
    // Two wrists of one body.
    let found = walks(|day| 105.0 + [1.0, 3.0, -2.0, 0.0, 5.0, 1.0, -1.0, 2.0, 9.0, -1.0][day as usize]);
    (0..10).for_each(|day| found.are_one(&[&format!("second {day}"), &format!("own {day}")]));
}

#[test]
fn an_app_that_tells_another_heart_of_the_same_recording_makes_no_second_body() {
    let mut person = Person::default();
    for day in 0..4 {
        let mut recorded = |source, name: &str, late_s: i64, km: f64, bpm: f64| {
            let mut ride =
                record(source, &format!("{source} {name} {day}"), "ride", day * DAY_S + late_s, 61.0, km);
            (ride.heart_rate_bpm, ride.footprint) = (Some(bpm), way(0.0, 0.0, 24.0));
            ride.device = Some(name.len() as u64);
            person.add(ride);
        };
        for (name, late_s, km) in [("watch", 0, 24.0), ("computer", 8, 24.2)] {
            recorded(Strava, name, late_s, km, 143.0);
            // Of the whole ride; the other counts what moved.
            recorded(Files, name, late_s, km, if name == "watch" { 140.0 } else { 161.0 });
        }
    }
    let found = person.link();
    for day in 0..4 {
        let names = ["strava watch", "files watch", "strava computer", "files computer"];
        let names = names.map(|name| format!("{name} {day}"));
        found.are_one(&names.each_ref().map(String::as_str));
    }
}
