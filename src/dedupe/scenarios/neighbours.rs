//! Neighbours that stay apart, and what is for somebody to look at.

use super::*;
use crate::sources::Source::{Apple, Fitbit, Garmin, HealthConnect, Strava};

#[test]
fn repetitions_and_a_warm_up_race_and_cool_down_are_each_their_own() {
    let mut person = Person::default();
    for n in 0..6 {
        person.add(record(Garmin, &format!("a{n}"), "run", n * 300, 3.5, 1.0));
        person.add(record(Strava, &format!("b{n}"), "run", n * 300 + 8, 3.5, 1.0));
    }
    for (name, source, late_s) in [("g", Garmin, 0), ("s", Strava, 25)] {
        person.add(record(source, &format!("{name} warm"), "run", DAY_S + late_s, 15.0, 2.5));
        person.add(record(source, &format!("{name} race"), "run", DAY_S + 1_200 + late_s, 41.0, 10.0));
        person.add(record(source, &format!("{name} cool"), "run", DAY_S + 4_000 + late_s, 12.0, 2.0));
    }
    let found = person.link();
    for n in 0..6 {
        found.are_one(&[&format!("a{n}"), &format!("b{n}")]);
        found.are_two(&format!("a{n}"), &format!("b{}", (n + 1) % 6));
    }
    found.are_one(&["g race", "s race"]);
    found.are_one(&["g warm", "s warm"]);
    found.are_two("g warm", "s race");
    found.are_two("g race", "s cool");
}

#[test]
fn the_same_way_on_another_day_or_there_and_back_is_another() {
    let mut person = Person::default();
    for day in 0..10 {
        let source = if day % 2 == 0 { Garmin } else { Strava };
        person
            .add(record(source, &format!("d{day}"), "run", day * DAY_S, 50.0 + (day % 3) as f64, 10.0))
            .footprint = way(0.0, 0.0, 10.0);
    }
    person.add(record(Garmin, "there", "ride", 20 * DAY_S + 7 * HOUR_S, 25.0, 8.0)).footprint =
        way(0.0, 0.0, 8.0);
    person.add(record(Strava, "back", "ride", 20 * DAY_S + 7 * HOUR_S + 2_100, 26.1, 8.0)).footprint =
        way(0.0, 0.0, 8.0);
    person.add(record(Garmin, "school", "walk", 21 * DAY_S + 7 * HOUR_S, 10.0, 0.8));
    person.add(record(Fitbit, "home", "walk", 21 * DAY_S + 7 * HOUR_S + 1_200, 10.4, 0.8));
    let found = person.link();
    for day in 1..10 {
        found.are_two(&format!("d{}", day - 1), &format!("d{day}"));
    }
    found.are_two("there", "back");
    found.are_two("school", "home");
}

#[test]
fn a_walk_in_a_hike_a_warm_up_before_lifting_and_classes_back_to_back_stay_apart() {
    let mut person = Person::default();
    person.add(record(Garmin, "hike", "hike", 0, 300.0, 18.0));
    person.add(record(Fitbit, "walk", "walk", 140 * 60, 14.0, 1.0));
    person.add(record(Garmin, "warm up", "run", DAY_S, 12.0, 2.0));
    person.add(record(Hevy, "lift", "weight_training", DAY_S, 60.0, 0.0));
    person.add(record(Garmin, "spin", "ride", 2 * DAY_S, 45.0, 0.0));
    person.add(record(Apple, "pump", "weight_training", 2 * DAY_S + 2_640, 45.0, 0.0));
    person.add(record(Garmin, "yoga 1", "yoga", 3 * DAY_S, 60.0, 0.0));
    person.add(record(Apple, "yoga 2", "yoga", 3 * DAY_S + 3_500, 60.0, 0.0));
    let found = person.link();
    found.are_two("hike", "walk");
    found.are_two("warm up", "lift");
    found.are_two("spin", "pump");
    found.are_two("yoga 1", "yoga 2");
}

#[test]
fn two_people_on_one_account_stay_two() {
    let mut person = Person::default();
    for day in 0..5 {
        let at = |place: f64| way(place, 0.0, 9.0);
        person.add(record(Garmin, &format!("hers {day}"), "run", day * DAY_S, 55.0, 9.0)).footprint = at(0.0);
        person
            .add(record(Strava, &format!("hers again {day}"), "run", day * DAY_S + 2, 55.0, 9.0))
            .footprint = at(0.0);
        person.add(record(Strava, &format!("his {day}"), "run", day * DAY_S + 400, 50.0, 9.0)).footprint =
            at(40.0);
    }
    // One evening in one gym, each with a watch and a heart.
    person.add(record(Garmin, "her class", "workout", 9 * DAY_S, 60.0, 0.0)).heart_rate_bpm = Some(118.0);
    person.add(record(Garmin, "his class", "workout", 9 * DAY_S + 20, 60.0, 0.0)).heart_rate_bpm =
        Some(149.0);
    let found = person.link();
    for day in 0..5 {
        found.are_one(&[&format!("hers {day}"), &format!("hers again {day}")]);
        found.are_two(&format!("hers {day}"), &format!("his {day}"));
        found.are_two(&format!("hers again {day}"), &format!("his {day}"));
    }
    found.are_two("her class", "his class");
}

#[test]
fn a_single_pair_gets_no_shift_that_the_days_around_it_contradict() {
    // Every day twice at the same hours, seen by one source each on one day only.
    let mut person = Person::default();
    for day in 0..20 {
        for (name, hour, minutes) in [("m", 7, 30.0), ("e", 18, 31.0)] {
            let start_s = day * DAY_S + hour * HOUR_S + (day * 331) % 900;
            if day != 10 || name == "m" {
                person.add(record(
                    Garmin,
                    &format!("g{name}{day}"),
                    "ride",
                    start_s,
                    minutes + (day % 4) as f64,
                    8.0,
                ));
            }
            if day != 10 || name == "e" {
                person.add(record(
                    Strava,
                    &format!("s{name}{day}"),
                    "ride",
                    start_s + 5,
                    minutes + (day % 4) as f64,
                    8.02,
                ));
            }
        }
    }
    let found = person.link();
    found.are_two("gm10", "se10");
    (0..20)
        .filter(|day| *day != 10)
        .for_each(|day| found.are_one(&[&format!("gm{day}"), &format!("sm{day}")]));
}

#[test]
fn a_virtual_ride_and_a_real_one_of_one_evening_are_two() {
    let mut person = Person::default();
    person.add(record(Strava, "real", "ride", 0, 60.0, 25.0)).footprint = way(0.0, 0.0, 25.0);
    person.add(record(HealthConnect, "virtual", "virtual_ride", 70 * 60, 60.0, 30.0));
    person.link().are_two("real", "virtual");
}

#[test]
fn what_cannot_be_told_is_for_somebody_to_look_at() {
    // One run on skis within somebody's day on them, and nothing of where.
    let day = record(Garmin, "day", "alpine_ski", 0, 300.0, 40.0);
    two(day, record(Apple, "run", "alpine_ski", 100 * 60, 6.0, 2.0)).is_for_review("day", "run");
}

#[test]
fn repetitions_are_as_regular_as_a_wrong_clock_and_none() {
    let mut person = Person::default();
    // Four with a watch that died, and four more with a band.
    for n in 0..4 {
        person.add(record(Garmin, &format!("g{n}"), "run", n * 400, 2.0, 0.5));
        person.add(record(Fitbit, &format!("f{n}"), "run", (n + 4) * 400, 2.0, 0.5));
    }
    let found = person.link();
    for n in 0..4 {
        found.are_two(&format!("g{n}"), &format!("f{n}"));
    }
}
