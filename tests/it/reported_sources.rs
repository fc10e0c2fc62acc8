//! Exports of services made after public reports, each read through the binary to what is right.

use std::path::PathBuf;

use crate::support::{Place, Row};

/// The folder of a case; none, and a word why, where the fixtures are not beside the checkout.
fn case(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/reported").join(name);
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

/// A lake with what was imported from a case.
fn normalized(source: &str, name: &str) -> Option<Place> {
    let folder = case(name)?;
    let place = Place::new();
    place.run(&["import", source, folder.to_str().unwrap(), "--user", "u"]).expect(0);
    place.run(&["normalize"]);
    Some(place)
}

fn by_id(rows: &[Row], id: &str) -> Row {
    rows.iter().find(|row| row["source_id"] == id).unwrap_or_else(|| panic!("no {id} in {rows:?}")).clone()
}

fn number(row: &Row, column: &str) -> f64 {
    row.get(column).unwrap_or_else(|| panic!("no {column} in {row:?}")).parse().unwrap()
}

#[test]
fn a_file_that_was_unpacked_after_the_export_is_still_found() {
    let Some(place) = normalized("strava", "09-strava-export-already-gunzipped") else { return };
    assert_eq!(number(&place.rows("streams")[0], "samples"), 601.0);
}

#[test]
fn a_multisport_parent_is_told_apart_from_its_legs_and_is_in_no_sum() {
    let Some(place) = normalized("garmin", "20-garmin-multisport-parent") else { return };
    let rows = place.rows("activities");
    assert_eq!(by_id(&rows, "100")["is_parent"], "true");
    for leg in ["101", "102", "103"] {
        let leg = by_id(&rows, leg);
        assert_eq!((leg["parent_id"].as_str(), leg.get("is_parent")), ("100", None));
    }
    let stats = place.run(&["stats", "--told", "--json"]).expect(0).json();
    let lines = stats.as_array().expect("a list of sums");
    let distance_km: f64 = lines.iter().map(|line| line["km"].as_f64().unwrap()).sum();
    assert!((distance_km - 13.2).abs() < 1e-6, "{stats}");
}

#[test]
fn health_connects_climb_speed_power_and_sets_are_read() {
    let Some(place) = normalized("health-connect", "21-health-connect-climb-speed-sets") else { return };
    let rows = place.rows("activities");
    let ride = rows.iter().find(|row| row["sport_raw"] == "biking").unwrap();
    let all = ["elevation_gain_m", "avg_speed_mps", "avg_power_w"].map(|column| number(ride, column));
    assert_eq!((all, ride["manual"].as_str()), ([312.5, 5.5, 180.0], "true"));
    let strength = rows.iter().find(|row| row["sport_raw"] == "strength_training").unwrap();
    let sets = &strength["exercise_sets"];
    for reps in ["reps: 10", "reps: 9", "reps: 8"] {
        assert!(sets.contains(reps), "{sets}");
    }
    assert_eq!(sets.matches("weight_kg: 60.0").count(), 3, "{sets}");
    assert_eq!(strength["manual"], "false");
}

#[test]
fn an_exercise_that_comes_again_behind_itself_is_a_new_one() {
    let Some(place) = normalized("hevy", "22-hevy-same-exercise-twice-in-a-row") else { return };
    let rows = place.rows("activities");
    let indices: Vec<&str> = rows[0]["exercise_sets"]
        .split("exercise_index: ")
        .skip(1)
        .map(|rest| rest.split([',', '}']).next().unwrap())
        .collect();
    assert_eq!(indices, ["0", "0", "1", "1", "2"]);
}

#[test]
fn googles_day_series_give_rates_and_a_track() {
    let Some(place) = normalized("fitbit", "23-fitbit-takeout-google-series") else { return };
    let streams = place.rows("streams");
    let list = |column: &str| -> Vec<String> {
        streams[0][column].trim_matches(['[', ']']).split(", ").map(str::to_string).collect()
    };
    let rates = list("heart_rate_bpm").iter().filter(|bpm| bpm.parse::<i32>().is_ok()).count();
    assert_eq!(rates, 361);
    let points = list("lat_e7").iter().filter(|degrees| degrees.parse::<i32>().is_ok()).count();
    assert_eq!(points, 1801);
    assert!(place.rows("activities")[0].contains_key("track_lat_e5"));
}

#[test]
fn a_moving_time_of_zero_without_a_track_is_no_value() {
    let Some(place) = normalized("garmin", "29-moving-time-zero-without-a-track") else { return };
    let rows = place.rows("activities");
    assert_eq!(number(&by_id(&rows, "201"), "moving_s"), 3600.0);
    assert_eq!(number(&by_id(&rows, "202"), "moving_s"), 1800.0);
}

#[test]
fn apples_units_pauses_and_cadences_are_read() {
    let Some(place) = normalized("apple", "31-apple-units-pauses-laps") else { return };
    let rows = place.rows("activities");
    let of = |sport: &str| rows.iter().find(|row| row["sport_raw"] == sport).unwrap();
    let near = |row: &Row, column: &str, right: f64| {
        assert!((number(row, column) - right).abs() < 1e-6, "{column} of {row:?}");
    };
    near(of("Walking"), "distance_m", 2011.68);
    near(of("Walking"), "moving_s", 1155.0);
    near(of("Swimming"), "distance_m", 1828.8);
    near(of("Cycling"), "moving_s", 3600.0);
    near(of("Cycling"), "avg_cadence_rpm", 82.0);
    near(of("Cycling"), "max_cadence_rpm", 110.0);
}

#[test]
fn dates_in_every_language_of_stravas_archive_are_read() {
    let Some(place) = normalized("strava", "35-strava-dates-of-languages") else { return };
    let rows = place.rows("activities");
    assert_eq!(rows.len(), 13, "{:?}", place.rows("rejects"));
    assert_eq!(by_id(&rows, "9000000101")["start_time"], "2024-08-01T07:00:00");
    assert_eq!(by_id(&rows, "9000000112")["start_time"], "2024-12-04T07:00:00");
}
