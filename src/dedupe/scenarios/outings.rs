//! Wholes and parts: what is one outing though it was recorded in pieces, and what is several though one device ran
//! through.

use super::*;
use crate::sources::Source::{Apple, Files, Fitbit, Garmin, Strava};

/// The runs of a day on skis: name, minute and minutes.
const RUNS: [(&str, i64, f64); 5] =
    [("a", 12, 6.0), ("b", 34, 9.0), ("c", 66, 4.5), ("d", 151, 11.0), ("e", 223, 7.0)];

#[test]
fn a_day_on_skis_and_all_its_runs_are_one_outing() {
    // However the whole calls itself, and also where its own source tells of the runs.
    for (sport, beside) in [("alpine_ski", Strava), ("workout", Apple), ("snowboard", Garmin)] {
        let mut person = Person::default();
        person.add(record(Garmin, "day", sport, 0, 250.0, 55.0));
        for (name, minute, minutes) in RUNS {
            person.add(record(beside, name, "alpine_ski", minute * 60, minutes, minutes / 3.0));
        }
        if beside == Garmin {
            person.add(record(Fitbit, "band", "alpine_ski", 20, 249.5, 54.0));
        }
        person.link().are_one(&["day", "a", "b", "c", "d", "e"]);
    }
}

/// A race as one source tells of it: name, minute, minutes and kilometres.
const RACE: [(&str, i64, f64, f64); 3] =
    [("swim", 0, 30.0, 1.5), ("ride", 33, 75.0, 40.0), ("run", 111, 59.0, 10.0)];

#[test]
fn a_race_is_one_outing_with_its_legs_where_a_record_tells_of_the_whole() {
    // The event as Garmin has it, with its legs as rows; as a ride by a bike computer that ran through; as no record.
    for whole in [Some(("workout", true)), Some(("ride", false)), None] {
        let mut person = Person::default();
        if let Some((sport, is_parent)) = whole {
            person.add(record(Garmin, "event", sport, 7, 170.0, 51.5)).is_parent = is_parent;
        }
        for (sport, minute, minutes, km) in RACE {
            person.add(record(Fitbit, sport, sport, minute * 60 + 7, minutes, km));
            // The other recorder told nothing of the swim, and died on the bike.
            if sport != "swim" {
                let minutes = if sport == "ride" { 47.0 } else { minutes };
                person.add(record(Strava, &format!("{sport} again"), sport, minute * 60 + 40, minutes, km));
            }
        }
        let found = person.link();
        if whole.is_some() {
            found.are_one(&["event", "swim", "ride", "ride again", "run", "run again"]);
        } else {
            found.are_one(&["ride", "ride again"]);
            found.are_one(&["run", "run again"]);
            found.are_two("swim", "ride");
            found.are_two("ride again", "run");
        }
    }
}

#[test]
fn an_event_is_made_of_what_its_own_source_says_also_where_a_leg_is_missing_and_of_the_changes() {
    let mut person = Person::default();
    let event = person.add(record(Garmin, "event", "run", 0, 170.0, 51.5));
    (event.sport, event.is_parent) = (None, true);
    for (name, sport, minute, minutes, km) in
        [("swim", "swim", 0, 30.0, 1.5), ("change", "run", 30, 2.5, 0.2), ("ride", "ride", 33, 75.0, 40.0)]
    {
        let leg = person.add(record(Garmin, name, sport, minute * 60, minutes, km));
        leg.sport = leg.sport.filter(|_| name != "change");
    }
    person.add(record(Strava, "ride again", "ride", 33 * 60, 75.0, 40.0));
    person.link().are_one(&["event", "swim", "change", "ride", "ride again"]);
}

#[test]
fn a_swim_and_a_ride_and_a_run_of_one_day_are_three_and_so_is_a_race_with_a_warm_up() {
    let mut person = Person::default();
    for (sport, minute, minutes, km) in RACE {
        person.add(record(Fitbit, sport, sport, minute * 120 + 7, minutes, km));
        person.add(record(Strava, &format!("{sport} again"), sport, minute * 120 + 9, minutes, km));
    }
    for (name, sport, minute, minutes, km) in [
        ("warm-up", "run", 0, 12.0, 2.0),
        ("race", "ride", 20, 61.0, 33.0),
        ("cool-down", "run", 88, 9.0, 1.4),
    ] {
        person.add(record(Fitbit, name, sport, DAY_S + minute * 60 + 7, minutes, km));
    }
    let found = person.link();
    found.are_one(&["ride", "ride again"]);
    found.are_two("swim", "ride");
    found.are_two("ride", "run");
    found.are_two("warm-up", "race");
    found.are_two("race", "cool-down");
}

#[test]
fn the_halves_of_a_hike_are_one_outing_where_the_second_begins_at_the_hut() {
    let mut person = Person::default();
    person.add(record(Garmin, "whole", "hike", 0, 310.0, 17.0)).footprint = way(0.0, 0.0, 17.0);
    person.add(record(Fitbit, "to the hut", "hike", 60, 150.0, 9.0)).footprint = way(0.0, 0.0, 9.0);
    person.add(record(Fitbit, "from the hut", "hike", 205 * 60, 104.0, 8.0)).footprint = way(0.0, 9.0, 17.0);
    let found = person.link();
    found.are_one(&["whole", "to the hut", "from the hut"]);
    let whole = found.linked.groups.iter().find(|group| group.members.len() == 3).expect("they are one");
    let parts = whole.members.iter().filter(|(_, role)| *role == crate::dedupe::cluster::Role::Part);
    assert_eq!(parts.count(), 2, "{whole:?}");
}

#[test]
fn two_errands_that_a_watch_ran_through_are_two_and_it_belongs_to_both() {
    // Not from where the other ended, of another sport, or hours later.
    for (place, sport, minute) in [(6.0, "ride", 35), (0.0, "run", 75), (0.0, "ride", 300)] {
        let mut person = Person::default();
        person.add(record(Fitbit, "through", "ride", 5, minute as f64 + 28.0, 17.0));
        person.add(record(Garmin, "first", "ride", 0, 30.0, 9.0)).footprint = way(0.0, 0.0, 9.0);
        person.add(record(Garmin, "second", sport, minute * 60, 28.0, 8.0)).footprint = way(place, 9.0, 17.0);
        let found = person.link();
        found.are_one(&["through", "first"]);
        found.are_one(&["through", "second"]);
        found.are_two("first", "second");
    }
}

#[test]
fn laps_from_the_car_are_one_outing_where_a_watch_ran_through_the_rests() {
    // Each source tells of the laps, and each lap begins where the one before did and ends elsewhere.
    let mut person = Person::default();
    person.add(record(Fitbit, "day", "hike", 0, 210.0, 18.3));
    for (name, minute, from, minutes, km) in
        [("first", 0, 2.0, 64.0, 6.0), ("second", 90, 2.0, 55.0, 5.2), ("third", 151, 2.0, 58.0, 5.7)]
    {
        for source in [Strava, Apple] {
            let lap = record(source, &format!("{source} {name}"), "hike", minute * 60, minutes, km);
            person.add(lap).footprint = way(0.0, from, from + km);
        }
    }
    person.link().are_one(&["day", "strava first", "apple second", "strava third"]);
}

#[test]
fn a_forgotten_watch_that_lay_still_belongs_to_what_it_began_with() {
    let mut person = Person::default();
    person.add(record(Garmin, "forgotten", "hike", 0, 152.0, 5.1));
    person.add(record(Apple, "hike", "hike", 40, 66.0, 5.2)).footprint = way(0.0, 0.0, 5.2);
    person.add(record(Apple, "dog", "walk", 91 * 60, 37.0, 2.4)).footprint = way(0.0, 0.0, 2.4);
    let found = person.link();
    found.are_one(&["forgotten", "hike"]);
    found.are_two("forgotten", "dog");
    found.are_two("hike", "dog");
    // It went on: both halves of what it recorded.
    let mut person = Person::default();
    person.add(record(Garmin, "all", "hike", 0, 152.0, 7.7));
    person.add(record(Apple, "up", "hike", 40, 66.0, 5.2)).footprint = way(0.0, 0.0, 5.2);
    person.add(record(Apple, "on", "hike", 91 * 60, 57.0, 2.4)).footprint = way(0.0, 5.2, 7.6);
    person.link().are_one(&["all", "up", "on"]);
}

#[test]
fn a_warm_up_and_a_race_on_skis_are_two_because_nobody_took_a_lift() {
    let mut person = Person::default();
    person.add(record(Fitbit, "warm-up", "nordic_ski", 0, 14.0, 2.2));
    // A hub knows one word for all that is done on skis.
    person.add(record(Apple, "warm-up again", "alpine_ski", 2, 14.0, 2.2));
    person.add(record(Fitbit, "race", "nordic_ski", 25 * 60, 27.0, 7.4));
    person.add(record(Fitbit, "cool-down", "nordic_ski", 61 * 60, 12.0, 1.9));
    let found = person.link();
    found.are_one(&["warm-up", "warm-up again"]);
    found.are_two("warm-up", "race");
    found.are_two("race", "cool-down");
}

#[test]
fn what_one_watch_records_while_it_records_is_no_part_of_it() {
    // A warm-up within the time of the strength training, by the same watch; the log says when the sets began.
    let mut person = Person::default();
    person.add(record(Garmin, "strength", "weight_training", 0, 75.0, 0.0)).heart_rate_bpm = Some(112.0);
    person.add(record(Garmin, "treadmill", "run", 90, 11.0, 2.0)).heart_rate_bpm = Some(141.0);
    person.add(record(Files, "treadmill again", "run", 92, 11.0, 2.0));
    person.add(record(Hevy, "sets", "weight_training", 14 * 60, 58.0, 0.0));
    let found = person.link();
    found.are_one(&["strength", "sets"]);
    found.are_one(&["treadmill", "treadmill again"]);
    found.are_two("strength", "treadmill");
    found.are_two("strength", "treadmill again");
}

#[test]
fn what_was_put_a_while_later_and_lasts_as_long_is_one() {
    // Somebody set the start by eye; nothing else was on that day.
    let mut person = Person::default();
    person.add(record(Garmin, "told", "yoga", 0, 61.4, 0.0));
    person.add(record(Strava, "put later", "yoga", 1_300, 61.4, 0.0));
    person.link().are_one(&["told", "put later"]);
    // Two that train one after the other at their own pace are not.
    two(record(Garmin, "hers", "run", 0, 40.0, 7.0), record(Strava, "his", "run", 1_200, 47.0, 10.5))
        .are_two("hers", "his");
}

#[test]
fn a_start_that_is_an_end_is_found_where_neither_has_another_and_not_where_classes_follow() {
    two(record(Garmin, "told", "ride", 0, 74.3, 31.0), record(Fitbit, "stamped", "ride", 4_470, 74.1, 30.1))
        .are_one(&["told", "stamped"]);
    let mut person = Person::default();
    for (source, late_s) in [(Garmin, 0), (Apple, 9)] {
        person.add(record(source, &format!("{source} first"), "yoga", late_s, 45.0, 0.0));
        person.add(record(source, &format!("{source} second"), "yoga", 2_710 + late_s, 45.0, 0.0));
    }
    let found = person.link();
    found.are_one(&["garmin first", "apple first"]);
    found.are_one(&["garmin second", "apple second"]);
    found.are_two("garmin first", "apple second");
    found.are_two("apple first", "garmin second");
}

#[test]
fn a_lonely_pair_that_lies_an_hour_apart_is_one_and_the_next_lap_is_another() {
    // The night after the clocks changed; nothing else on that day.
    two(record(Garmin, "told", "run", 0, 44.2, 8.31), record(Fitbit, "an hour on", "run", 3_604, 43.9, 8.4))
        .are_one(&["told", "an hour on"]);
    // Half an hour later and as long: the way back.
    two(record(Garmin, "there", "run", 0, 24.2, 4.31), record(Fitbit, "back", "run", 1_830, 23.9, 4.4))
        .are_two("there", "back");
    // Where either has another that it could be, an hour says little.
    let mut person = Person::default();
    person.add(record(Garmin, "told", "run", 0, 44.2, 8.31));
    person.add(record(Fitbit, "told again", "run", 8, 44.1, 8.35));
    person.add(record(Fitbit, "an hour on", "run", 3_604, 43.9, 8.4));
    person.link().are_two("told", "an hour on");
}

#[test]
fn runs_of_one_day_on_snow_are_one_outing_without_a_whole_and_those_of_two_days_are_two() {
    let mut person = Person::default();
    for day in 0..2 {
        for (name, minute, minutes) in RUNS {
            let at = day * DAY_S + minute * 60;
            person.add(record(Strava, &format!("{name}{day}"), "snowboard", at, minutes, minutes / 3.0));
        }
    }
    let found = person.link();
    for day in 0..2 {
        let names: Vec<String> = RUNS.iter().map(|(name, _, _)| format!("{name}{day}")).collect();
        found.are_one(&names.iter().map(String::as_str).collect::<Vec<_>>());
    }
    found.are_two("e0", "a1");
    // Runs of another sport are repetitions.
    let mut person = Person::default();
    for (name, minute, minutes) in RUNS {
        person.add(record(Strava, name, "run", minute * 60, minutes, minutes / 5.0));
    }
    person.link().are_two("a", "b");
}

#[test]
fn a_second_record_of_a_whole_that_lacks_its_beginning_changes_nothing_about_the_parts() {
    let mut person = Person::default();
    person.add(record(Fitbit, "through", "ride", 8, 124.0, 17.3));
    person.add(record(Apple, "its copy, cropped", "ride", 612, 92.0, 13.1));
    for (name, sport, minute, minutes, km) in
        [("first", "ride", 0, 28.4, 8.1), ("second", "run", 57, 30.2, 5.3), ("third", "hike", 95, 29.6, 1.6)]
    {
        person.add(record(Strava, name, sport, minute * 60, minutes, km));
        person.add(record(Garmin, &format!("{name} again"), sport, minute * 60 + 3, minutes, km));
    }
    let found = person.link();
    for name in ["first", "second", "third"] {
        found.are_one(&[name, &format!("{name} again"), "through"]);
    }
    found.are_two("first", "second");
    found.are_two("second", "third");
    found.are_two("first", "third");
}

#[test]
fn run_ride_and_run_within_minutes_stay_three_where_nobody_tells_of_the_whole() {
    let legs = || {
        let mut person = Person::default();
        person.add(record(Garmin, "run", "run", 0, 31.0, 6.2));
        person.add(record(Garmin, "ride", "ride", 31 * 60 + 150, 75.0, 38.0));
        person.add(record(Garmin, "again", "run", 106 * 60 + 300, 26.0, 5.0));
        person
    };
    let found = legs().link();
    found.are_two("run", "ride");
    found.are_two("ride", "again");
    let mut person = legs();
    person.add(record(Strava, "duathlon", "workout", 12, 137.5, 49.2));
    person.link().are_one(&["run", "ride", "again", "duathlon"]);
}

#[test]
fn a_strength_log_that_was_opened_late_and_a_watch_that_was_stopped_early_are_one_where_nothing_else_is_near()
{
    for (sport, minute, minutes) in
        [("weight_training", 24, 71.0), ("workout", 31, 80.0), ("weight_training", 12, 19.0)]
    {
        let mut person = Person::default();
        person.add(record(Fitbit, "watch", sport, 0, 52.0, 0.0));
        person.add(record(Apple, "log", "weight_training", minute * 60, minutes, 0.0));
        let found = person.link();
        found.are_one(&["watch", "log"]);
    }
}

#[test]
fn what_overlaps_a_little_stays_apart_where_a_third_lies_beside_it_or_it_is_another_sport() {
    let mut person = Person::default();
    person.add(record(Fitbit, "class", "weight_training", 0, 50.0, 0.0));
    person.add(record(Apple, "next class", "weight_training", 40 * 60, 50.0, 0.0));
    person.add(record(Fitbit, "last class", "weight_training", 85 * 60, 50.0, 0.0));
    person.add(record(Fitbit, "walk", "walk", DAY_S, 50.0, 4.0));
    person.add(record(Apple, "lifting", "weight_training", DAY_S + 35 * 60, 50.0, 0.0));
    let found = person.link();
    found.are_two("class", "last class");
    found.are_two("walk", "lifting");
}

/// A watch and what a band told of the same hour, each with a copy in a hub; km of the band's record.
fn watch_and_band(sport: &str, minutes: (i64, f64), km: f64) -> Found {
    let mut person = Person::default();
    for (source, name) in [(Strava, "watch"), (Apple, "copy of watch")] {
        person.add(record(source, name, "ride", 0, 43.4, 18.3)).device = Some(1);
    }
    for (source, name) in [(Fitbit, "band"), (Apple, "copy of band")] {
        person.add(record(source, name, sport, minutes.0 * 60 + 12, minutes.1, km)).device = Some(2);
    }
    person.link()
}

#[test]
fn a_piece_that_a_band_told_is_of_the_ride_that_it_lies_within_though_a_hub_holds_both() {
    for sport in ["ride", "gravel_ride"] {
        watch_and_band(sport, (6, 15.1), 6.1).are_one(&["watch", "copy of watch", "band", "copy of band"]);
    }
    // So little, and under another name, may be anything.
    watch_and_band("gravel_ride", (6, 7.1), 2.9).are_two("watch", "band");
    watch_and_band("walk", (6, 15.1), 1.2).are_two("watch", "band");
}

#[test]
fn what_begins_together_is_one_though_one_has_a_wrong_name_and_lifting_is_no_beginning_of_a_ride() {
    watch_and_band("run", (1, 33.2), 0.0).are_one(&["watch", "copy of watch", "band", "copy of band"]);
    watch_and_band("weight_training", (1, 33.2), 0.0).are_two("watch", "band");
}

#[test]
fn a_day_on_skis_is_one_though_its_record_began_late() {
    let mut person = Person::default();
    for (name, minute, minutes) in RUNS {
        person.add(record(Strava, name, "alpine_ski", minute * 60, minutes, minutes / 3.0));
    }
    person.add(record(Garmin, "most of the day", "alpine_ski", 50 * 60, 185.0, 30.0));
    person.link().are_one(&["most of the day", "a", "b", "c", "d", "e"]);
}

#[test]
fn a_run_is_one_though_a_phone_had_a_hole_of_minutes_while_the_watch_went_on() {
    // The phone began again 5 km further on; who stood still or drove meanwhile did two things.
    let run = |whole_km: f64| {
        let mut person = Person::default();
        person.add(record(Garmin, "watch", "run", 0, 132.0, whole_km));
        person.add(record(Strava, "before", "run", 20, 76.0, 14.0)).footprint = way(0.0, 0.0, 14.0);
        person.add(record(Strava, "after", "run", 105 * 60, 27.0, 5.0)).footprint = way(0.0, 19.5, 24.5);
        person.link()
    };
    run(24.4).are_one(&["watch", "before", "after"]);
    for whole_km in [19.1, 41.0] {
        run(whole_km).are_two("before", "after");
    }
}

#[test]
fn a_hike_is_one_though_the_second_recorder_began_before_the_first_one_ended() {
    let mut person = Person::default();
    person.add(record(Garmin, "whole", "hike", 0, 210.0, 13.0));
    person.add(record(Strava, "to the hut", "hike", 12, 80.0, 5.0)).footprint = way(0.0, 0.0, 5.0);
    person.add(record(Apple, "from before it", "hike", 67 * 60, 143.0, 8.9)).footprint = way(0.0, 4.1, 13.0);
    person.link().are_one(&["whole", "to the hut", "from before it"]);
}

/// A warm-up, a race and a cool-down, and somebody's line about that day in the evening.
fn race_day(typed_km: f64, typed_minutes: f64) -> Found {
    let mut person = Person::default();
    for (name, minute, minutes, km) in
        [("warm-up", 600, 11.2, 1.8), ("race", 629, 49.3, 10.0), ("cool-down", 683, 9.8, 1.5)]
    {
        let part = person.add(record(Garmin, name, "run", minute * 60 + 11, minutes, km));
        (part.device, part.utc_offset_s) = (Some(1), Some(0));
        let copy = person.add(record(Strava, &format!("{name} copy"), "run", minute * 60 + 11, minutes, km));
        copy.utc_offset_s = Some(0);
    }
    let typed = person.add(record(Garmin, "typed", "run", 690 * 60, typed_minutes, typed_km));
    typed.utc_offset_s = Some(0);
    person.link()
}

#[test]
fn what_somebody_typed_in_for_a_warm_up_a_race_and_a_cool_down_is_their_whole() {
    race_day(13.5, 95.0).are_one(&["typed", "warm-up", "race", "race copy", "cool-down"]);
    // Of the race alone, or of neither.
    for (km, minutes) in [(10.0, 50.0), (21.0, 130.0)] {
        race_day(km, minutes).are_two("warm-up", "race");
    }
}

#[test]
fn what_was_typed_in_without_a_distance_is_no_whole_of_what_it_happens_to_span() {
    let mut person = Person::default();
    for (name, minute, minutes) in [("one", 2, 4.3), ("two", 9, 4.1), ("three", 16, 9.6)] {
        person.add(record(Garmin, name, "run", minute * 60 + 20, minutes, minutes / 5.0));
        person.add(record(Strava, &format!("{name} copy"), "run", minute * 60 + 20, minutes, minutes / 5.0));
    }
    person.add(record(Apple, "typed", "workout", 0, 280.0, 0.0)).is_manual = true;
    let found = person.link();
    found.are_one(&["one", "one copy"]);
    found.are_two("one", "two");
    found.are_two("typed", "two");
}

#[test]
fn a_loop_that_was_run_while_a_forgotten_watch_lay_still_is_another() {
    let mut person = Person::default();
    for source in [Strava, Garmin] {
        let mut told = |name: &str, minute: i64, minutes: f64, km: f64| {
            let run = record(source, &format!("{name} {source}"), "run", minute * 60, minutes, km);
            person.add(run).footprint = way(0.0, 0.0, 6.0);
        };
        told("forgotten", 0, 136.0, 6.1);
        told("trimmed", 0, 35.0, 6.0);
        told("next", 96, 34.0, 6.1);
        told("next forgotten", 96, 90.0, 6.2);
    }
    let found = person.link();
    for source in [Strava, Garmin] {
        found.are_one(&[&format!("forgotten {source}"), &format!("trimmed {source}")]);
        found.are_one(&[&format!("next {source}"), &format!("next forgotten {source}")]);
        found.are_two(&format!("forgotten {source}"), &format!("next {source}"));
        found.are_two(&format!("forgotten {source}"), &format!("next forgotten {source}"));
    }
}

#[test]
fn runs_on_snow_are_one_day_though_one_account_rounds_them_to_minutes() {
    let mut person = Person::default();
    for (name, minute, minutes) in RUNS {
        let at = minute * 60;
        person.add(record(Garmin, name, "workout", at + 20, minutes, minutes / 3.0)).footprint =
            way(0.0, 0.0, minutes / 3.0);
        let typed =
            person.add(record(Strava, &format!("{name} typed"), "snowboard", at, minutes, minutes / 3.0));
        typed.is_manual = true;
    }
    let found = person.link();
    found.are_one(&RUNS.map(|(name, ..)| name));
}

#[test]
fn what_midnight_cut_in_two_is_one_and_what_begins_then_is_another() {
    let evening = |second_s: i64, sport: &str| {
        let mut person = Person::default();
        for source in [Strava, Garmin] {
            // 23:42:10 to midnight, and on.
            let before = format!("before {source}");
            let one = person.add(record(source, &before, "walk", DAY_S - 1_070, 1_069.0 / 60.0, 1.4));
            one.utc_offset_s = Some(0);
            let after = format!("after {source}");
            person.add(record(source, &after, sport, DAY_S + second_s, 22.3, 1.8)).utc_offset_s = Some(0);
        }
        person.link()
    };
    evening(0, "walk").are_one(&["before strava", "before garmin", "after strava", "after garmin"]);
    evening(90, "walk").are_two("before strava", "after garmin");
    evening(0, "ride").are_two("before strava", "after garmin");
}
