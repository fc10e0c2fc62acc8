//! Device files made after public bug reports: each test is named after what it claims, and goes
//! through the binary. The files lie beside the project.

use std::path::Path;

use longrun::model::sport;

use crate::support::{Place, Row, fixtures};

/// The activities and the streams of a file, or of a folder of files.
pub struct Read {
    pub activities: Vec<Row>,
    pub streams: Vec<Row>,
}

pub fn read_path(path: &Path) -> Read {
    let place = Place::new();
    place.run(&["import", "files", path.to_str().unwrap(), "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(0);
    Read { activities: place.rows("activities"), streams: place.rows("streams") }
}

/// What is read of a file below the folder of reports; None where it is not there.
fn reported(case: &str, file: &str) -> Option<Read> {
    let folder = fixtures("reported")?.join(case);
    Some(read_path(&folder.join(file)))
}

impl Read {
    /// The only activity.
    #[track_caller]
    pub fn only(&self) -> &Row {
        assert_eq!(self.activities.len(), 1, "{:?}", self.activities);
        &self.activities[0]
    }

    #[track_caller]
    pub fn is(&self, told: &[(&str, f64)]) {
        for (column, expected) in told {
            let value = number(self.only(), column);
            let near = (value - expected).abs() <= 0.01 * expected.abs().max(1.0);
            assert!(near, "{column} is {value}, not {expected}: {:?}", self.only());
        }
    }

    /// The values of a series of the only stream row; nulls are None.
    #[track_caller]
    pub fn series(&self, column: &str) -> Vec<Option<f64>> {
        assert_eq!(self.streams.len(), 1);
        series(&self.streams[0], column)
    }

    #[track_caller]
    pub fn doubts(&self, field: &str) {
        let doubts = self.only().get("doubts").map_or("", String::as_str);
        assert!(doubts.contains(&format!("field: {field},")), "no doubt about {field} in {doubts}");
    }

    #[track_caller]
    pub fn is_partial(&self, words: &str) {
        let partial = self.only().get("partial").map_or("", String::as_str);
        assert!(partial.contains(words), "no {words:?} in {partial:?}");
    }
}

#[track_caller]
fn number(row: &Row, column: &str) -> f64 {
    row.get(column).unwrap_or_else(|| panic!("no {column} in {row:?}")).parse().unwrap()
}

pub fn series(row: &Row, column: &str) -> Vec<Option<f64>> {
    let Some(printed) = row.get(column) else { return Vec::new() };
    printed
        .trim_matches(['[', ']'])
        .split(", ")
        .map(|value| value.trim_end_matches(',').parse().ok())
        .collect()
}

pub fn known(series: &[Option<f64>]) -> usize {
    series.iter().flatten().count()
}

/// Sample times count from the start and never fall.
#[track_caller]
fn rises(series: &[Option<f64>]) {
    let times: Vec<f64> = series.iter().map(|time| time.unwrap()).collect();
    assert!(times[0] >= 0.0 && times.is_sorted(), "{times:?}");
}

const START: &str = "2024-05-04T07:00:00";

#[test]
fn the_id_of_a_tcx_activity_is_a_name_and_no_time() {
    for file in ["id-is-end.tcx", "id-is-number.tcx"] {
        let Some(read) = reported("01-tcx-id-is-not-the-start", file) else { return };
        assert_eq!(read.only()["start_time"], START, "{file}");
        read.is(&[("elapsed_s", 600.0)]);
        rises(&read.series("time_s"));
    }
}

#[test]
fn a_session_without_times_keeps_its_sums() {
    let Some(read) = reported("02-fit-session-without-start", "own.fit") else { return };
    assert_eq!((read.only()["start_time"].as_str(), read.only()["sport"].as_str()), (START, "ride"));
    read.is(&[
        ("elapsed_s", 658.083),
        ("distance_m", 3599.62),
        ("elevation_gain_m", 20.0),
        ("calories_kcal", 77.0),
    ]);
    assert!(!read.only().contains_key("partial"), "{:?}", read.only());
}

#[test]
fn an_elapsed_time_that_was_swapped_with_the_time_in_motion_is_swapped_back() {
    let Some(read) = reported("03-fit-elapsed-and-timer-swapped", "own.fit") else { return };
    read.is(&[("elapsed_s", 3600.0), ("moving_s", 1500.0), ("distance_m", 7200.0)]);
    read.doubts("elapsed_s");
    read.doubts("moving_s");
}

#[test]
fn records_and_time_stamps_outvote_a_session_that_is_shorter() {
    let Some(read) = reported("04-fit-session-shorter-than-its-samples", "own.fit") else { return };
    read.is(&[("elapsed_s", 4962.0), ("distance_m", 14_886.0), ("avg_speed_mps", 3.0)]);
    read.doubts("elapsed_s");
}

#[test]
fn power_of_an_application_is_power() {
    for file in ["own-native-field-num.fit", "own-named-only.fit"] {
        let Some(read) = reported("05-fit-power-in-developer-fields", file) else { return };
        read.is(&[("avg_power_w", 251.0)]);
        assert_eq!(known(&read.series("power_w")), 601, "{file}");
    }
}

#[test]
fn heart_rates_that_a_strap_kept_are_read() {
    let Some(read) = reported("06-fit-heart-rate-in-hr-messages", "own.fit") else { return };
    let rates = read.series("heart_rate_bpm");
    assert_eq!(known(&rates), 113);
    let (low, high) =
        (rates.iter().flatten().copied().reduce(f64::min), rates.iter().flatten().copied().reduce(f64::max));
    assert_eq!((low, high), (Some(100.0), Some(128.0)));
    // 100, and every rate up to 127 four times, and 128.
    read.is(&[("avg_heart_rate_bpm", 113.63)]);
    rises(&read.series("time_s"));
}

#[test]
fn numbers_with_a_comma_are_numbers() {
    for file in ["commas.gpx", "comma-in-ele.gpx"] {
        let Some(read) = reported("07-gpx-comma-decimals", file) else { return };
        read.is(&[
            ("elapsed_s", 500.0),
            ("distance_m", 1000.0),
            ("elevation_low_m", 100.0),
            ("elevation_high_m", 150.0),
            ("elevation_gain_m", 50.0),
        ]);
        assert_eq!(known(&read.series("lat_e7")), 501, "{file}");
    }
}

#[test]
fn nothing_is_summed_across_the_border_of_two_segments() {
    let Some(read) = reported("08-gpx-gap-between-segments", "own.gpx") else { return };
    read.is(&[
        ("distance_m", 3600.0),
        ("track_length_m", 3600.0),
        ("moving_s", 1200.0),
        ("avg_speed_mps", 3.0),
        ("elapsed_s", 7800.0),
    ]);
    assert_eq!(read.only()["elevation_gain_m"], "0.0");
}

#[test]
fn a_leg_counts_from_what_its_counter_read_before() {
    let Some(read) = reported("10-fit-later-sessions-without-distance", "own.fit") else { return };
    let mut legs = read.activities.clone();
    legs.sort_by_key(|row| row["start_time"].clone());
    let metres: Vec<f64> = legs.iter().map(|row| number(row, "distance_m")).collect();
    assert_eq!(metres.len(), 3);
    for (metres, expected) in metres.iter().zip([1800.0, 9600.0, 1800.0]) {
        assert!((metres - expected).abs() <= 10.0, "{metres} and not {expected}");
    }
    for row in &read.streams {
        assert!(series(row, "distance_m")[0].unwrap() < 20.0);
        rises(&series(row, "time_s"));
    }
}

#[test]
fn points_whose_times_cannot_be_read_are_counted() {
    let Some(read) = reported("12-tcx-time-with-two-z", "zz.tcx") else { return };
    assert_eq!(known(&read.series("heart_rate_bpm")), 61);
    let Some(read) = reported("12-tcx-time-with-two-z", "some-points-untimed.tcx") else { return };
    read.is_partial("31 points without a readable time");
    assert!(number(read.only(), "elapsed_s") >= number(read.only(), "moving_s"));
    assert_eq!(read.only()["start_time"], START);
}

#[test]
fn one_impossible_time_costs_one_sample() {
    for file in ["year-0.gpx", "year-1970.gpx", "year-1999.gpx"] {
        let Some(read) = reported("13-gpx-one-impossible-time", file) else { return };
        let start = &read.only()["start_time"];
        assert!(["2024-05-04T07:00:00", "2024-05-04T07:00:01"].contains(&start.as_str()), "{file}: {start}");
        let elapsed_s = number(read.only(), "elapsed_s");
        assert!((299.0..=300.0).contains(&elapsed_s), "{file}: {elapsed_s}");
        let times = read.series("time_s");
        assert_eq!(times.len(), 300, "{file}");
        rises(&times);
        assert!(read.only().contains_key("partial"), "{file}");
    }
}

#[test]
fn samples_of_an_earlier_day_are_left_out() {
    for file in ["with-session.fit", "without-session.fit"] {
        let Some(read) = reported("14-fit-stale-records-first", file) else { return };
        assert_eq!(read.only()["start_time"], START, "{file}");
        let elapsed_s = number(read.only(), "elapsed_s");
        assert!((1799.0..=1800.0).contains(&elapsed_s), "{file}: {elapsed_s}");
        rises(&read.series("time_s"));
        read.is_partial("11 samples outside the recording");
    }
}

#[test]
fn the_zone_stands_in_a_time_stamp_correlation_too() {
    let Some(read) = reported("15-fit-zone-in-timestamp-correlation", "own.fit") else { return };
    assert_eq!(read.only()["utc_offset_s"], "36000");
}

#[test]
fn an_altitude_before_it_is_known_is_none() {
    let Some(read) = reported("16-fit-altitude-before-it-is-known", "own.fit") else { return };
    read.is(&[("elevation_low_m", 110.0)]);
    assert_eq!(read.only()["elevation_gain_m"], "0.0");
}

#[test]
fn laps_tell_what_no_session_does() {
    let Some(read) = reported("17-fit-laps-and-no-session", "own.fit") else { return };
    assert_eq!(read.only()["sport"], "run");
    read.is(&[
        ("elapsed_s", 340.741),
        ("moving_s", 300.0),
        ("distance_m", 1050.0),
        ("calories_kcal", 51.0),
        ("avg_heart_rate_bpm", 154.0),
    ]);
}

#[test]
fn several_records_of_a_second_are_one_sample() {
    let Some(read) = reported("19-fit-several-records-a-second", "own.fit") else { return };
    for column in ["lat_e7", "power_w", "heart_rate_bpm"] {
        assert_eq!(known(&read.series(column)), 601, "{column}");
    }
    read.is(&[("avg_power_w", 201.0), ("avg_heart_rate_bpm", 86.0), ("distance_m", 5237.4)]);
}

#[test]
fn sports_and_sub_sports_of_the_profile_have_names_here() {
    let Some(folder) = fixtures("reported") else { return };
    let read = read_path(&folder.join("25-fit-indoor-bike-as-fitness-equipment"));
    let sport_of = |file: &str| {
        let row = read.activities.iter().find(|row| row["external_id"] == file).unwrap();
        row.get("sport").cloned().unwrap_or_default()
    };
    for (file, sport) in [
        ("4-6.fit", "ride"),
        ("4-5.fit", "ride"),
        ("4-27.fit", "walk"),
        ("4-1.fit", "run"),
        ("4-14.fit", "rowing"),
        ("4-15.fit", "elliptical"),
        ("4-16.fit", "stair_stepper"),
        ("4-20.fit", "weight_training"),
        ("2-6.fit", "ride"),
        ("2-5.fit", "ride"),
        ("2-48.fit", "ride"),
        ("1-58.fit", "virtual_run"),
        ("5-17.fit", "swim"),
        ("10-26.fit", "workout"),
        ("11-27.fit", "walk"),
        ("13-37.fit", "backcountry_ski"),
        ("15-14.fit", "rowing"),
        ("21-28.fit", "ebike_ride"),
        ("31-69.fit", "rock_climbing"),
        ("41-0.fit", "kayaking"),
        ("62-0.fit", "high_intensity_interval_training"),
        ("64-84.fit", "pickleball"),
    ] {
        assert_eq!(sport_of(file), sport, "{file}");
    }
}

#[test]
fn type_names_and_numbers_of_gpx_are_sports() {
    let Some(folder) = fixtures("reported") else { return };
    let read = read_path(&folder.join("41-gpx-type-names"));
    for (name, sport) in [
        ("1", "ride"),
        ("4", "hike"),
        ("9", "run"),
        ("10", "walk"),
        ("16", "swim"),
        ("17", "virtual_ride"),
        ("18", "ebike_ride"),
        ("cycling", "ride"),
        ("e_bike_fitness", "ebike_ride"),
        ("gravel_cycling", "gravel_ride"),
        ("hiking", "hike"),
        ("indoor_cycling", "ride"),
        ("lap_swimming", "swim"),
        ("mountain_biking", "mountain_bike_ride"),
        ("open_water_swimming", "swim"),
        ("road_biking", "ride"),
        ("running", "run"),
        ("trail_running", "trail_run"),
        ("treadmill_running", "run"),
        ("virtual_ride", "virtual_ride"),
    ] {
        let row = read.activities.iter().find(|row| row["sport_raw"] == name).unwrap();
        assert_eq!(row.get("sport").map(String::as_str), Some(sport), "{name}");
        assert!(sport::named(sport).is_some());
    }
}

#[test]
fn points_out_of_order_are_put_in_order() {
    for file in ["own.gpx", "own-sorted.gpx"] {
        let Some(read) = reported("42-gpx-points-out-of-order", file) else { return };
        read.is(&[("distance_m", 3000.0), ("elapsed_s", 600.0)]);
        assert!(number(read.only(), "moving_s") <= number(read.only(), "elapsed_s"));
        rises(&read.series("time_s"));
    }
}

#[test]
fn laps_without_points_count() {
    let Some(read) = reported("43-tcx-laps-longer-than-the-points", "own.tcx") else { return };
    read.is(&[("elapsed_s", 900.0), ("moving_s", 900.0)]);
    assert_eq!(read.only()["start_time"], START);
}
