//! Clocks that are off, and what is off with them.

use super::*;
use crate::sources::Source::{Apple, Files, Fitbit, Garmin, Strava};

/// A runner whose watch tells Garmin and Strava, and whose phone writes files of its own; neither the way nor the
/// hour of two days is the same.
fn runner_with_phone(watch_off_s: impl Fn(i64, i64) -> i64) -> Person {
    let mut person = Person::default();
    for day in 0..24 {
        let start_s = day * DAY_S + 7 * HOUR_S + (day * 2_741) % 9_000;
        let minutes = 33.4 + ((day * 11) % 37) as f64;
        let off_s = watch_off_s(day, (minutes * 60.0) as i64);
        for (source, name) in [(Garmin, "g"), (Strava, "s")] {
            let copy =
                record(source, &format!("{name}{day}"), "run", start_s + off_s, minutes, minutes / 5.4);
            person.add(copy).device = Some(7);
        }
        let own = record(Files, &format!("p{day}"), "run", start_s + 9, minutes + 0.3, minutes / 5.3);
        person.add(own).device = Some(8);
    }
    person
}

#[test]
fn copies_of_a_recording_are_no_witnesses_of_its_clock() {
    for off_s in [-37 * 60, 5 * HOUR_S + 411, -17 * HOUR_S - 123] {
        let found = runner_with_phone(|day, _| if (8..15).contains(&day) { off_s } else { 0 }).link();
        (0..24).for_each(|day| found.are_one(&[&format!("g{day}"), &format!("s{day}"), &format!("p{day}")]));
    }
}

#[test]
fn starts_that_are_ends_are_found_with_their_copies_though_no_two_are_as_long() {
    let found = runner_with_phone(|day, length_s| if day > 11 { length_s } else { 0 }).link();
    (0..24).for_each(|day| found.are_one(&[&format!("g{day}"), &format!("s{day}"), &format!("p{day}")]));
}

#[test]
fn one_app_writes_local_time_into_a_hub_that_another_writes_well_into() {
    let mut person = Person::default();
    for day in 0..14 {
        let start_s = day * DAY_S + 15 * HOUR_S + (day * 1_931) % 6_000;
        let minutes = 41.0 + ((day * 5) % 19) as f64;
        let km = minutes / 2.6;
        person.add(record(Fitbit, &format!("band{day}"), "ride", start_s, minutes, km)).heart_rate_bpm =
            Some(131.0);
        let good = person.add(record(Apple, &format!("good{day}"), "ride", start_s, minutes, km));
        (good.app, good.heart_rate_bpm) = (Some(1), Some(131.0));
        // The other app tells of what a computer on the handlebars recorded.
        let local = person.add(record(
            Apple,
            &format!("local{day}"),
            "ride",
            start_s + 40 + 2 * HOUR_S,
            minutes - 0.8,
            km * 1.01,
        ));
        (local.app, local.utc_offset_s) = (Some(2), Some(7_200));
    }
    let found = person.link();
    for day in 0..14 {
        found.are_one(&[&format!("band{day}"), &format!("good{day}"), &format!("local{day}")]);
    }
}

#[test]
fn the_way_back_is_no_clock_that_is_off() {
    let mut person = Person::default();
    for day in 0..3 {
        let there_s = day * DAY_S + 6 * HOUR_S + day * 311;
        // Of the way there a band tells, too; the way back is as long.
        person.add(record(Fitbit, &format!("band{day}"), "walk", there_s + 4, 10.4, 0.7));
        for (way, start_s) in [("there", there_s), ("back", there_s + 1_249)] {
            for source in [Strava, Apple] {
                let copy = record(source, &format!("{way}{day}{source}"), "walk", start_s, 10.6, 0.7);
                person.add(copy).device = Some(3);
            }
        }
    }
    let found = person.link();
    for day in 0..3 {
        found.are_one(&[&format!("there{day}strava"), &format!("band{day}")]);
        found.are_two(&format!("back{day}strava"), &format!("band{day}"));
        found.are_two(&format!("back{day}strava"), &format!("there{day}strava"));
    }
}

/// Somebody whose watch and phone both upload to one account, and who runs alone with the phone now and then.
fn runner_with_one_account(off_s: i64) -> Found {
    let mut person = Person::default();
    for day in 0..16 {
        let start_s = day * DAY_S + 6 * HOUR_S + (day * 1_733) % 8_000;
        let minutes = 29.2 + ((day * 13) % 31) as f64;
        let off_s = if day == 9 { off_s } else { 0 };
        for (source, name) in [(Garmin, "g"), (Strava, "w")] {
            let own = record(source, &format!("{name}{day}"), "run", start_s + off_s, minutes, minutes / 5.5);
            person.add(own).device = Some(7);
        }
        for (source, name) in [(Files, "f"), (Strava, "p")] {
            let own =
                record(source, &format!("{name}{day}"), "run", start_s + 12, minutes - 0.1, minutes / 5.45);
            person.add(own).device = Some(8);
        }
    }
    person.link()
}

#[test]
fn two_devices_that_tell_one_account_of_one_workout_do_so_when_a_clock_is_off() {
    let found = runner_with_one_account(HOUR_S);
    (0..16).for_each(|day| {
        found.are_one(&[&format!("g{day}"), &format!("w{day}"), &format!("f{day}"), &format!("p{day}")]);
    });
}

#[test]
fn a_hub_counts_other_calories_and_holds_a_copy_all_the_same() {
    let mut person = Person::default();
    for day in 0..16 {
        let start_s = day * DAY_S + 6 * HOUR_S + (day * 1_777) % 7_200;
        let minutes = 17.0 + ((day * 7) % 11) as f64;
        let told = person.add(record(Strava, &format!("told{day}"), "ride", start_s, minutes, minutes / 2.8));
        told.calories_kcal = Some(190.0);
        let copy =
            person.add(record(Apple, &format!("copy{day}"), "workout", start_s, minutes, minutes / 2.8));
        (copy.app, copy.calories_kcal) = (Some(3), Some(246.0));
        // The band never heard of summer time, and finds some rides late.
        let late_s = if day % 3 == 0 { 150 } else { 4 };
        let late = minutes - (late_s / 60) as f64;
        let start_s = start_s - HOUR_S + late_s;
        person.add(record(Fitbit, &format!("band{day}"), "ride", start_s, late, 0.0)).calories_kcal =
            Some(150.0);
        let copy = person.add(record(Apple, &format!("bands{day}"), "ride", start_s, late, 0.0));
        (copy.app, copy.calories_kcal) = (Some(4), Some(201.0));
    }
    let found = person.link();
    for day in 0..16 {
        found.are_one(&[&format!("told{day}"), &format!("copy{day}"), &format!("band{day}")]);
    }
}

#[test]
fn starts_that_are_ends_on_a_clock_that_is_hours_off_are_found_from_the_days_that_agree() {
    const OFF_S: i64 = 6 * HOUR_S + 1_800;
    let mut person = Person::default();
    for (day, minutes, km) in [(0, 31.0, 5.1), (1, 52.0, 9.7), (3, 44.0, 7.2), (4, 67.0, 12.4)] {
        let start_s = day * DAY_S + 64_000 + day * 977;
        person.add(record(Strava, &format!("told {day}"), "run", start_s, minutes, km));
        let ended_s = start_s + (minutes * 60.0) as i64 - OFF_S - day * 3;
        person.add(record(Files, &format!("off {day}"), "run", ended_s, minutes, km));
    }
    let found = person.link();
    for day in [0, 1, 3, 4] {
        found.are_one(&[&format!("told {day}"), &format!("off {day}")]);
    }
}

/// A run that a source tells twice, once hours away, with a copy elsewhere of each; what it is longer by there.
fn told_again(hours: i64, longer_s: f64, seconds: f64) -> Found {
    let mut person = Person::default();
    for (source, name) in [(Strava, "run"), (Files, "file")] {
        person.add(record(source, name, "run", 23 * HOUR_S + 384, seconds / 60.0, 8.431));
    }
    for (source, name) in [(Strava, "again"), (Apple, "hub")] {
        let start_s = (23 - hours) * HOUR_S + 384;
        person.add(record(source, name, "run", start_s, (seconds + longer_s) / 60.0, 8.431));
    }
    person.link()
}

#[test]
fn a_copy_at_another_hour_is_one_with_its_recording_and_a_run_that_is_almost_as_long_is_another() {
    let found = told_again(4, 0.0, 2_690.0);
    found.are_one(&["run", "file", "again", "hub"]);
    let said = found.explained("file", "again");
    assert!(said.contains("Taken to start 4 h 00 min "), "{said}");
    assert!(said.contains("as long to the second as what starts there"), "{said}");
    told_again(4, 7.0, 2_690.0).are_two("run", "again");
    // As long as somebody set a machine to.
    told_again(4, 0.0, 2_700.0).are_two("run", "again");
    // To work and back, as two sources have it.
    let mut person = Person::default();
    for (name, hour) in [("there", 8), ("back", 18)] {
        for source in [Strava, Garmin] {
            person.add(record(source, name, "ride", hour * HOUR_S + 423, 1_918.0 / 60.0, 13.6656));
        }
    }
    person.link().are_two("there", "back");
}

#[test]
fn a_copy_at_another_hour_that_two_sources_tell_is_known_by_what_a_heart_did() {
    let told = |off_bpm: f64| {
        let mut person = Person::default();
        for (name, hour, bpm) in [("run", 11, 158.157), ("again", 6, 158.157 + off_bpm)] {
            for source in [Strava, Apple] {
                let at_s = hour * HOUR_S + 2_317;
                let one = person.add(record(
                    source,
                    &format!("{name} {source}"),
                    "run",
                    at_s,
                    1_917.0 / 60.0,
                    5.54,
                ));
                (one.heart_rate_bpm, one.calories_kcal) = (Some(bpm), Some(397.191));
            }
        }
        person.link()
    };
    told(0.0).are_one(&["run strava", "run apple", "again strava", "again apple"]);
    told(0.4).are_two("run strava", "again apple");
}

/// A commuter with a watch and a bike computer; what the computer uploads is hours late, and so lies upon nothing, while
/// its own files are right.
#[test]
fn a_recording_stays_with_the_other_device_though_its_copy_lies_at_another_hour() {
    let mut person = Person::default();
    for day in 0..20 {
        let start_s = day * DAY_S + 11 * HOUR_S + (day * 1_217) % 5_000;
        let minutes = 28.0 + ((day * 7) % 13) as f64;
        let mut add = |source, name: &str, device, start_s, minutes: f64| {
            let one =
                person.add(record(source, &format!("{name}{day}"), "ride", start_s, minutes, minutes / 2.7));
            (one.device, one.utc_offset_s) = (Some(device), Some(-12_600));
        };
        add(Garmin, "watch", 7, start_s + 9, minutes);
        add(Strava, "copy of the watch", 7, start_s + 9, minutes);
        add(Files, "computer", 8, start_s, minutes - 0.2);
        add(Strava, "copy of the computer", 8, start_s + 12_600, minutes - 0.2);
    }
    let found = person.link();
    for day in 0..20 {
        let names = ["watch", "copy of the watch", "computer", "copy of the computer"];
        let names = names.map(|name| format!("{name}{day}"));
        found.are_one(&names.each_ref().map(String::as_str));
    }
}

#[test]
fn an_account_that_names_no_device_may_hold_what_two_recorded_at_one_time() {
    let mut person = Person::default();
    for day in 0..20 {
        let start_s = day * DAY_S + 9 * HOUR_S + (day * 1_217) % 5_000;
        let minutes = 61.0 + ((day * 7) % 13) as f64;
        let mut add = |source, name: &str, device, start_s, minutes: f64| {
            let name = format!("{name}{day}");
            let one = person.add(record(source, &name, "ride", start_s, minutes, minutes / 2.7));
            (one.device, one.utc_offset_s) = (device, Some(8 * 3600));
        };
        add(Garmin, "watch", Some(7), start_s, minutes);
        add(Strava, "copy of the watch", None, start_s, minutes);
        // From some day on what writes the files takes local time for UTC.
        let off_s = if day >= 10 { 8 * HOUR_S } else { 0 };
        add(Files, "file of the watch", Some(7), start_s + off_s, minutes);
        add(Apple, "computer", Some(8), start_s + 5, minutes - 0.1);
        add(Strava, "copy of the computer", None, start_s + 5, minutes - 0.1);
    }
    let found = person.link();
    for day in 0..20 {
        let names = ["watch", "copy of the watch", "file of the watch", "computer", "copy of the computer"];
        let names = names.map(|name| format!("{name}{day}"));
        found.are_one(&names.each_ref().map(String::as_str));
    }
}

#[test]
fn a_zone_that_was_taken_off_in_the_wrong_direction_is_found() {
    let mut person = Person::default();
    for day in 0..16 {
        let start_s = day * DAY_S + 3 * HOUR_S + (day * 1_217) % 5_000;
        let minutes = 31.0 + ((day * 7) % 13) as f64;
        let mut add = |source, name: &str, start_s| {
            let one =
                person.add(record(source, &format!("{name}{day}"), "run", start_s, minutes, minutes / 5.5));
            (one.device, one.utc_offset_s) = (Some(7), (source == Garmin).then_some(8 * 3600));
        };
        add(Garmin, "watch", start_s);
        add(Strava, "backwards", start_s + 16 * HOUR_S);
    }
    let found = person.link();
    (0..16).for_each(|day| found.are_one(&[&format!("watch{day}"), &format!("backwards{day}")]));
}

/// A runner whose phone writes files, some of which a tool uploaded again from Strava's copies, off by so much.
fn runner_who_uploaded_again(off_s: i64) -> Found {
    let mut person = Person::default();
    for day in 0..12 {
        let start_s = day * DAY_S + 7 * HOUR_S + (day * 2_741 + 17) % 9_000;
        let minutes = (2_011 + (day * 677) % 1_900) as f64 / 60.0;
        let own = [(Files, "own", 0, 1.0), (Strava, "strava", 0, 1.0), (Files, "again", off_s, 1.01)];
        for (source, name, off_s, of_way) in own {
            let copy = record(
                source,
                &format!("{name}{day}"),
                "run",
                start_s + off_s,
                minutes,
                of_way * minutes / 5.4,
            );
            person.add(copy).device = (source == Files).then_some(8);
        }
        person
            .add(record(Garmin, &format!("watch{day}"), "run", start_s + 21, minutes - 0.4, minutes / 5.3))
            .device = Some(7);
    }
    person.link()
}

#[test]
fn what_was_uploaded_again_at_a_wrong_hour_or_day_is_one_with_the_original_in_the_same_account() {
    for off_s in [3 * HOUR_S, -5 * HOUR_S - 1_800, DAY_S, -DAY_S] {
        let found = runner_who_uploaded_again(off_s);
        for day in 0..12 {
            found.are_one(&[
                &format!("own{day}"),
                &format!("strava{day}"),
                &format!("again{day}"),
                &format!("watch{day}"),
            ]);
        }
    }
}

#[test]
fn the_same_way_at_the_same_minute_of_every_day_is_another_each_day() {
    let mut person = Person::default();
    for day in 0..20 {
        let seconds = 2_403 + (day * 37) % 61;
        for source in [Strava, Garmin] {
            let minutes = seconds as f64 / 60.0;
            person.add(record(
                source,
                &format!("{source}{day}"),
                "run",
                day * DAY_S + 6 * HOUR_S,
                minutes,
                7.31,
            ));
        }
    }
    let found = person.link();
    for day in 0..20 {
        found.are_one(&[&format!("strava{day}"), &format!("garmin{day}")]);
        found.are_two(&format!("strava{day}"), &format!("garmin{}", (day + 1) % 20));
    }
}

#[test]
fn a_course_at_the_same_minute_of_every_day_is_another_each_day_whichever_account_has_it() {
    let mut person = Person::default();
    for day in 0..20 {
        let source = if day % 2 == 0 { Strava } else { Garmin };
        let seconds = 2_403 + (day * 37) % 2;
        let start_s = day * DAY_S + 18 * HOUR_S;
        person.add(record(source, &format!("course{day}"), "run", start_s, seconds as f64 / 60.0, 7.31));
    }
    let found = person.link();
    (1..20).for_each(|day| found.are_two(&format!("course{day}"), &format!("course{}", day - 1)));
}

#[test]
fn there_and_back_are_two_though_as_long_to_the_second_and_hours_apart_to_the_second() {
    let mut person = Person::default();
    for (way, start_s) in [("there", 7 * HOUR_S + 187), ("back", 16 * HOUR_S + 187)] {
        for source in [Strava, Garmin] {
            person.add(record(source, &format!("{way} {source}"), "ride", start_s, 1_507.0 / 60.0, 8.43));
        }
    }
    person.link().are_two("there strava", "back garmin");
    // In one account, a copy begins at the very point.
    for (beside_km, are_one) in [(0.0, true), (0.03, false)] {
        let mut person = Person::default();
        for (way, hour, place) in [("there", 7, 0.0), ("back", 16, beside_km)] {
            let one = record(Strava, way, "ride", hour * HOUR_S + 187, 1_507.0 / 60.0, 8.43);
            person.add(one).footprint = self::way(place, 0.0, 8.4);
        }
        let found = person.link();
        if are_one { found.are_one(&["there", "back"]) } else { found.are_two("there", "back") }
    }
}
