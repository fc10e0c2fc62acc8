//! More records than anybody makes: the work stays in proportion.

use super::*;
use crate::sources::Source::{Apple, Files, Fitbit, Garmin, Strava};

/// So many records in one day, of sources and sports in turn.
fn crowd(count: i64, start_s: impl Fn(i64) -> i64, minutes: impl Fn(i64) -> f64) -> Found {
    let mut person = Person::default();
    for n in 0..count {
        let source = [Strava, Garmin, Fitbit, Apple, Files][(n % 5) as usize];
        let sport = ["run", "ride", "workout", "alpine_ski"][(n / 5 % 4) as usize];
        person.add(record(source, &format!("{n}"), sport, start_s(n), minutes(n), (n % 23) as f64));
    }
    person.link()
}

#[test]
fn a_day_with_thousands_of_records_costs_so_much_for_each() {
    type Days = [(&'static str, fn(i64) -> i64, fn(i64) -> f64); 3];
    let days: Days = [
        ("all day long", |n| n * 7_919 % DAY_S, |n| 30.0 + (n * 31 % 60) as f64),
        ("at one second", |_| 0, |_| 60.0),
        (
            "runs within days",
            |n| n * 7_919 % DAY_S,
            |n| if n % 50 == 0 { 330.0 } else { 5.0 + (n % 10) as f64 },
        ),
    ];
    for (name, start_s, minutes) in days {
        for count in [750, 3_000] {
            let Linked { pairs, groups, looked_at, .. } = crowd(count, start_s, minutes).linked;
            let told: usize = groups.iter().map(|group| group.members.len()).sum();
            assert!(told >= count as usize, "{name}: nothing is lost");
            assert!(pairs.len() as i64 <= 101 * count, "{name}: {} pairs of {count}", pairs.len());
            assert!(looked_at as i64 <= 1_000 * count, "{name}: {looked_at} for {count}");
        }
    }
}
