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
