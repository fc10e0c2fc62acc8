//! What one recorder tells as several and another as one: repetitions, pieces of a crash.

use super::*;
use crate::sources::Source::{Fitbit, Garmin, Strava};

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
