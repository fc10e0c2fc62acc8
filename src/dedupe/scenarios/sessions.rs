//! What one recorder tells as several and another as one: repetitions, a ride and a run, pieces.

use super::*;
use crate::sources::Source::{Apple, Fitbit, Garmin, Strava};

#[test]
fn repetitions_are_each_their_own_though_a_watch_recorded_them_in_one() {
    for (first, last) in [(0, 6), (2, 4)] {
        let mut person = Person::default();
        for n in 0..6 {
            for source in [Strava, Fitbit] {
                let one = record(source, &format!("{source} {n}"), "run", 700 + n * 430, 4.0, 0.95);
                person.add(one);
            }
        }
        let (start_s, seconds) = (690 + first * 430, (last - first) * 430 - 170);
        person.add(record(Garmin, "through", "run", start_s, seconds as f64 / 60.0, seconds as f64 / 360.0));
        let found = person.link();
        for n in 0..6 {
            found.are_one(&[&format!("strava {n}"), &format!("fitbit {n}")]);
            found.are_two(&format!("strava {n}"), &format!("fitbit {}", (n + 1) % 6));
        }
        (first..last).for_each(|n| found.are_one(&["through", &format!("strava {n}")]));
    }
}

#[test]
fn uneven_repetitions_are_each_their_own_with_what_was_run_before_and_after_them() {
    let mut person = Person::default();
    let seconds = [809, 224, 261, 381, 291, 173, 224, 492];
    let mut start_s = 130;
    for (n, seconds) in seconds.into_iter().enumerate() {
        let minutes = f64::from(seconds) / 60.0;
        person.add(record(Strava, &format!("saved {n}"), "run", start_s, minutes, minutes * 0.2));
        // One was stopped only when the next one began.
        start_s += i64::from(seconds) + if n == 3 { 9 } else { 140 };
    }
    person.add(record(Garmin, "through", "run", 0, start_s as f64 / 60.0, start_s as f64 / 450.0));
    let found = person.link();
    for n in 0..seconds.len() {
        found.are_one(&["through", &format!("saved {n}")]);
        found.are_two(&format!("saved {n}"), &format!("saved {}", (n + 1) % seconds.len()));
    }
}

#[test]
fn pieces_of_any_length_are_of_the_outing_that_another_recorded_in_one() {
    let mut person = Person::default();
    person.add(record(Garmin, "whole", "run", 0, 61.0, 11.0));
    let mut start_s = 10;
    for (n, minutes) in [6.0, 14.5, 9.0, 28.0].into_iter().enumerate() {
        person.add(record(Strava, &format!("piece {n}"), "run", start_s, minutes, minutes * 0.18));
        start_s += (minutes * 60.0) as i64 + 55;
    }
    person.link().are_one(&["whole", "piece 0", "piece 1", "piece 2", "piece 3"]);
}

#[test]
fn a_warm_up_and_the_first_repetition_are_two_though_a_watch_recorded_both_in_one() {
    let mut person = Person::default();
    person.add(record(Strava, "warm-up", "run", 5, 11.0, 1.9));
    for n in 0..4 {
        person.add(record(Strava, &format!("rep {n}"), "run", 760 + n * 430, 4.0, 0.95));
    }
    person.add(record(Garmin, "through", "run", 0, 16.7, 2.9));
    let found = person.link();
    found.are_one(&["through", "warm-up"]);
    found.are_one(&["through", "rep 0"]);
    found.are_two("warm-up", "rep 0");
}

#[test]
fn a_ride_and_a_run_are_two_though_a_watch_called_both_a_ride_and_one_where_it_was_a_workout() {
    let both = |sport: &str| {
        let mut person = Person::default();
        person.add(record(Garmin, "through", sport, 0, 88.0, 23.0));
        for source in [Strava, Apple] {
            person.add(record(source, &format!("ride {source}"), "ride", 6, 52.5, 18.6));
            person.add(record(source, &format!("run {source}"), "run", 56 * 60, 31.4, 4.3));
        }
        person.link()
    };
    let found = both("ride");
    found.are_two("ride strava", "run apple");
    found.are_one(&["through", "ride strava", "ride apple"]);
    both("workout").are_one(&["through", "ride strava", "run apple"]);
}

#[test]
fn a_piece_however_little_is_of_what_it_lies_in_and_what_went_further_is_not() {
    let piece = |sport: &str, km: f64| {
        two(record(Garmin, "whole", "ride", 0, 181.3, 61.4), record(Strava, "piece", sport, 4_217, 9.2, km))
    };
    let found = piece("ride", 3.6);
    found.are_one(&["whole", "piece"]);
    let bits = found.linked.pairs.iter().map(|s| s.bits).fold(0.0, f64::max);
    assert!(bits < Thresholds::default().match_odds.log2(), "its weight alone would do: {bits}");
    let said = found.explained("whole", "piece");
    assert!(said.contains("one of them is a part of the other"), "{said}");
    piece("ride", 85.0).are_two("whole", "piece");
    piece("run", 3.6).are_two("whole", "piece");
    piece("workout", 3.6).are_two("whole", "piece");
}

/// A run that one recorder has in two pieces, of which the first is the most, and a band in one.
fn broken_off(pause_s: i64, sport: &str) -> Found {
    let mut person = Person::default();
    for source in [Strava, Apple] {
        person.add(record(source, &format!("first {source}"), "run", 0, 25.8, 3.72));
        person.add(record(source, &format!("rest {source}"), sport, 1_549 + pause_s, 5.1, 0.72));
    }
    let seconds = (1_549 + pause_s + 306) as f64;
    person.add(record(Fitbit, "band", "run", 1, seconds / 60.0, 4.5));
    person.link()
}

#[test]
fn what_is_left_of_an_outing_that_another_recorded_in_one_belongs_to_it() {
    for pause_s in [10, 100] {
        broken_off(pause_s, "run").are_one(&[
            "first strava",
            "first apple",
            "rest strava",
            "rest apple",
            "band",
        ]);
    }
    broken_off(10, "weight_training").are_two("first strava", "rest strava");
}

#[test]
fn lifting_between_two_machines_is_a_workout_of_its_own_whatever_ran_through_all() {
    let mut person = Person::default();
    person.add(record(Fitbit, "through", "workout", 0, 108.0, 3.6));
    for source in [Strava, Apple] {
        person.add(record(source, &format!("row {source}"), "rowing", 7, 6.7, 1.2));
        person.add(record(source, &format!("lift {source}"), "weight_training", 690, 79.0, 0.0));
        person.add(record(source, &format!("run {source}"), "run", 5_467, 16.4, 2.4));
    }
    let found = person.link();
    for (one, other) in [("row", "lift"), ("lift", "run"), ("row", "run")] {
        found.are_two(&format!("{one} strava"), &format!("{other} apple"));
    }
    found.are_one(&["through", "lift strava", "lift apple"]);
}

#[test]
fn what_a_watch_ran_through_for_long_is_a_rest() {
    let ride = |rest_min: i64| {
        let mut person = Person::default();
        for source in [Strava, Apple] {
            person.add(record(source, &format!("there {source}"), "ride", 5, 106.0, 36.6));
            let start_s = (106 + rest_min) * 60;
            person.add(record(source, &format!("back {source}"), "ride", start_s, 72.7, 24.9));
        }
        person.add(record(Garmin, "through", "ride", 0, 179.0 + rest_min as f64, 61.5));
        person.link()
    };
    ride(92).are_one(&["there strava", "there apple", "back strava", "back apple", "through"]);
    ride(240).are_two("there strava", "back strava");
}

#[test]
fn lessons_are_each_their_own_though_a_watch_ran_through_and_lifting_with_a_break_is_one() {
    let session = |sports: [&str; 2], source: Source| {
        let mut person = Person::default();
        person.add(record(source, "first", sports[0], 0, 31.0, 0.0));
        person.add(record(source, "second", sports[1], 32 * 60, 45.0, 0.0));
        person.add(record(Garmin, "through", "workout", 20, 77.0, 0.0));
        person.link()
    };
    for sports in [["yoga", "yoga"], ["high_intensity_interval_training", "pilates"], ["ride", "yoga"]] {
        let found = session(sports, Strava);
        found.are_two("first", "second");
        found.are_one(&["through", "first"]);
        found.are_one(&["through", "second"]);
    }
    session(["weight_training", "weight_training"], Strava).are_one(&["first", "second", "through"]);
}

#[test]
fn rides_in_a_game_are_each_their_own_though_a_watch_ran_through_and_one_that_broke_off_is_one() {
    let evening = |titles: &[&str], kind: &str| {
        let mut person = Person::default();
        for (n, title) in titles.iter().enumerate() {
            let ride = record(Strava, &format!("saved {n}"), kind, n as i64 * 1_500, 23.0, 13.0);
            // A bike computer's file of a ride without a place is one on a trainer.
            person.add(Record { title: titles::given(title), file: Some(n as u64), ..ride });
        }
        let minutes = titles.len() as f64 * 25.0 - 2.5;
        person.add(record(Garmin, "through", "ride", 15, minutes, minutes * 0.55));
        person.link()
    };
    for kind in ["virtual_ride", "ride"] {
        let three = evening(&["Tempo", "Tempo", "Tempo"], kind);
        three.are_two("saved 0", "saved 1");
        three.are_two("saved 1", "saved 2");
        three.are_one(&["through", "saved 2"]);
        evening(&["Crit City", "Easy"], kind).are_two("saved 0", "saved 1");
        evening(&["Tempo", "Tempo"], kind).are_one(&["saved 0", "saved 1", "through"]);
    }
}
