use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int32Type};
use jiff::Timestamp;

use super::*;
use crate::dedupe::record;
use crate::model::activity::{Activity, ActivityColumns};
use crate::model::polyline::Track;
use crate::store::dataset::batch;

fn activity(source: &str, id: &str, start_s: i64, elapsed_s: f64) -> Activity {
    Activity {
        user_id: "u".to_string(),
        source: source.to_string(),
        source_id: id.to_string(),
        start_time: Timestamp::from_second(1_700_000_000 + start_s).unwrap(),
        start_quality: "exact".to_string(),
        elapsed_s: Some(elapsed_s),
        ..Activity::default()
    }
}

/// A third of a hike: its track is of two points that say which piece it is.
fn piece(source: &str, id: &str, number: i32, heart_rate_bpm: f64) -> Activity {
    let start_s = i64::from(number) * 1_200;
    let mut piece = Activity {
        distance_m: Some(1_000.0),
        elevation_gain_m: Some(50.0),
        avg_heart_rate_bpm: Some(heart_rate_bpm),
        ..activity(source, id, start_s, 1_100.0)
    };
    piece.set_track(Track { lat_e5: vec![number * 10, number * 10 + 1], lon_e5: vec![0, number] });
    piece
}

/// The golden row of one workout.
fn row_of(activities: &[(Activity, Role)]) -> RecordBatch {
    let mut columns = ActivityColumns::default();
    activities.iter().for_each(|(activity, _)| columns.push(activity));
    let batch = batch::<Activity>(&mut columns);
    let records: Vec<Record> = record::of_batch(&batch).into_iter().map(Option::unwrap).collect();
    let rows: Vec<Row> = (0..records.len()).map(|at| (0, at)).collect();
    let members = activities.iter().enumerate().map(|(at, (_, role))| (at, *role)).collect();
    let groups = [Group { members }];
    super::rows(&[batch], &[Linked { records: &records, rows: &rows, groups: &groups }])
}

fn number(row: &RecordBatch, name: &str) -> Option<f64> {
    row.column_by_name(name).unwrap().as_primitive::<Float64Type>().iter().next().unwrap()
}

fn latitudes(row: &RecordBatch) -> Vec<i32> {
    let list = row.column_by_name("track_lat_e5").unwrap().as_list::<i32>().value(0);
    list.as_primitive::<Int32Type>().values().to_vec()
}

#[test]
fn a_recording_in_three_pieces_gives_its_track_in_the_order_of_time() {
    let whole = Activity { distance_m: Some(3_200.0), ..activity("fitbit", "w", 0, 3_500.0) };
    let row = row_of(&[
        (whole, Role::Same),
        (piece("files", "c", 2, 130.0), Role::Part),
        (piece("files", "a", 0, 110.0), Role::Part),
        (piece("files", "b", 1, 120.0), Role::Part),
        // A copy of one of them is not counted again.
        (piece("strava", "1", 1, 120.0), Role::Part),
    ]);
    assert_eq!(latitudes(&row), [0, 1, 10, 11, 20, 21]);
    assert_eq!(number(&row, "distance_m"), Some(3_200.0), "a part never lowers a whole");
    assert_eq!(number(&row, "elapsed_s"), Some(3_500.0));
    assert_eq!(number(&row, "elevation_gain_m"), Some(150.0), "the pieces cover it");
    assert_eq!(number(&row, "avg_heart_rate_bpm"), Some(120.0));
    let north = row.column_by_name("bbox_north_e5").unwrap().as_primitive::<Int32Type>().value(0);
    assert_eq!(north, 21);
    let lineage = row.column_by_name("lineage").unwrap().as_list::<i32>().value(0);
    let why = lineage.as_struct().column_by_name("why").unwrap().as_string::<i32>();
    assert_eq!(why.iter().flatten().filter(|why| *why == "piece").count(), 3);
}

#[test]
fn pieces_that_do_not_cover_a_workout_say_where_it_went_and_no_sums() {
    let row = row_of(&[
        (activity("fitbit", "w", 0, 7_200.0), Role::Same),
        (piece("files", "b", 1, 120.0), Role::Part),
        (piece("files", "a", 0, 110.0), Role::Part),
    ]);
    assert_eq!(latitudes(&row), [0, 1, 10, 11]);
    assert!(number(&row, "track_length_m").is_some_and(|m| m > 1.0));
    assert_eq!((number(&row, "distance_m"), number(&row, "avg_heart_rate_bpm")), (None, None));
}

#[test]
fn a_workout_that_only_its_parts_have_counts_each_of_them_once() {
    let row = row_of(&[
        (piece("files", "a", 0, 110.0), Role::Part),
        (piece("files", "b", 1, 130.0), Role::Part),
        (piece("strava", "1", 0, 110.0), Role::Part),
    ]);
    assert_eq!(number(&row, "distance_m"), Some(2_000.0));
    assert_eq!(number(&row, "avg_heart_rate_bpm"), Some(120.0));
    assert_eq!(latitudes(&row), [0, 1, 10, 11]);
}

#[test]
fn two_recordings_that_differ_are_a_conflict_and_a_part_is_none() {
    let ride = |source: &str, distance_m: f64| Activity {
        distance_m: Some(distance_m),
        ..activity(source, source, 0, 3_600.0)
    };
    let row = row_of(&[
        (ride("garmin", 30_000.0), Role::Same),
        (ride("strava", 34_000.0), Role::Same),
        (ride("files", 9_000.0), Role::Part),
    ]);
    let conflicts = row.column_by_name("conflicts").unwrap().as_list::<i32>().value(0);
    assert_eq!(conflicts.len(), 1);
    let other = conflicts.as_struct().column_by_name("other").unwrap().as_string::<i32>();
    assert_eq!(other.value(0), "34000");
}
