//! What a device says of itself that cannot be so: another number in each file, and years that are long ago.

use super::*;
use crate::sources::Source::{Files, Garmin, HealthConnect, Strava};

#[test]
fn a_watch_of_which_each_file_has_a_number_of_its_own_moves_no_repetition_onto_the_next() {
    let mut person = Person::default();
    for week in 0..8 {
        for n in 0..7 {
            let start_s = week * 7 * DAY_S + 18 * HOUR_S + n * 400;
            for source in [Files, Strava] {
                let name = format!("{source} {week} {n}");
                let one = person.add(record(source, &name, "run", start_s, 3.5 + n as f64 / 100.0, 0.8));
                let number = Some((source as u64) << 8 | n as u64);
                (one.serial, one.device, one.model) = (number, number, Some(9));
                one.footprint = way(0.0, 0.0, 0.8);
            }
        }
    }
    let found = person.link();
    for (week, n) in (0..8).flat_map(|week| (0..6).map(move |n| (week, n))) {
        found.are_one(&[&format!("files {week} {n}"), &format!("strava {week} {n}")]);
        found.are_two(&format!("files {week} {n}"), &format!("strava {week} {}", n + 1));
    }
}

/// A runner of some weeks with a band, and a watch that is off for four days.
fn rolled_over(off_s: i64) -> Found {
    let mut person = Person::default();
    for day in 0..24 {
        let start_s = day * DAY_S + 7 * HOUR_S + (day * 2_741) % 9_000;
        let minutes = 33.4 + ((day * 11) % 37) as f64;
        person.add(record(
            HealthConnect,
            &format!("band {day}"),
            "run",
            start_s + 20,
            minutes + 0.7,
            minutes / 5.3,
        ));
        let off_s = if (5..9).contains(&day) { off_s } else { 0 };
        person.add(record(Garmin, &format!("watch {day}"), "run", start_s + off_s, minutes, minutes / 5.4));
    }
    person.link()
}

#[test]
fn weeks_that_rolled_over_are_put_right_and_what_was_long_ago_stays() {
    const ROLLOVER_S: i64 = -7_168 * DAY_S;
    let found = rolled_over(ROLLOVER_S);
    (0..24).for_each(|day| found.are_one(&[&format!("watch {day}"), &format!("band {day}")]));
    let found = rolled_over(ROLLOVER_S + 3 * DAY_S + 5 * HOUR_S);
    (5..9).for_each(|day| found.are_two(&format!("watch {day}"), &format!("band {day}")));
}
