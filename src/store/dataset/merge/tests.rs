use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch};
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::error::Result;
use crate::model::activity::{Activity, ActivityColumns, Streams, StreamsColumns};
use crate::model::columns::{Columns, TableRow};
use crate::store::dataset::batch;

/// A version of activity `id`: a line in a list or the whole, at a time, with some columns absent and some computed.
#[derive(Debug, Clone)]
struct Version {
    id: u8,
    fetched_s: i64,
    is_detail: bool,
    has: [bool; 6],
    is_computed: bool,
    is_sure: bool,
}

/// What the versions are merged by: a column of the row and one of the whole, computed ones, one that goes with
/// another, and fields of `extra`.
const CHECKED: [&str; 9] = [
    "title",
    "description",
    "distance_m",
    "calories_kcal",
    "file_sha256",
    "partial",
    "start_time",
    "fetched_at",
    "detail_at",
];

fn activity(v: &Version) -> Activity {
    let fetched_at = Timestamp::from_second(v.fetched_s).unwrap();
    let [title, description, distance, calories, file, extra] = v.has;
    Activity {
        user_id: format!("user-{}", v.id % 2),
        source_id: v.id.to_string(),
        start_time: Timestamp::from_second(1_000_000 - i64::from(v.id) + v.fetched_s * 7).unwrap(),
        start_quality: if v.is_sure { "exact" } else { "zone_unknown" }.to_string(),
        title: title.then(|| format!("title of {}", v.fetched_s)),
        description: description.then(|| format!("description of {}", v.fetched_s)),
        distance_m: distance.then_some(v.fetched_s as f64 + 1.0),
        calories_kcal: calories.then_some(v.fetched_s as f64 + 1.0),
        computed: (v.is_computed && (distance || calories)).then(|| {
            let names = [(distance, "distance_m"), (calories, "calories_kcal")];
            names.iter().filter(|(has, _)| *has).map(|(_, name)| name.to_string()).collect()
        }),
        file_sha256: file.then(|| format!("hash of {}", v.fetched_s)),
        partial: (v.fetched_s % 2 == 0).then(|| format!("cut at {}", v.fetched_s)),
        extra: extra.then(|| format!("{{\"b\":{0},\"a{1}\":{0}}}", v.fetched_s, v.fetched_s % 3)),
        fetched_at,
        detail_at: v.is_detail.then_some(fetched_at),
        ..Activity::default()
    }
}

fn rows(versions: &[Version]) -> RecordBatch {
    let mut columns = ActivityColumns::default();
    versions.iter().for_each(|v| columns.push(&activity(v)));
    batch::<Activity>(&mut columns)
}

fn merged(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    merge(Table::Activities, batches).collect()
}

fn versions() -> impl Strategy<Value = Vec<Version>> {
    // Times are distinct: of two versions of one instant the later to arrive wins.
    let one = (0_u8..5, any::<bool>(), any::<[bool; 6]>(), any::<bool>(), any::<bool>());
    prop::collection::vec(one, 0..24).prop_map(|all| {
        let numbered = all.into_iter().enumerate();
        let version = numbered.map(|(i, (id, is_detail, has, is_computed, is_sure))| Version {
            id,
            fetched_s: i as i64,
            is_detail,
            has,
            is_computed,
            is_sure,
        });
        version.collect()
    })
}

/// One cell as text; None where it is null.
fn cell(batch: &RecordBatch, name: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(name).unwrap();
    column.is_valid(row).then(|| format!("{:?}", column.slice(row, 1)))
}

/// The rule, the slow way: of each column, all versions that say something are sorted from worst to best.
fn slowly(all: &[Version]) -> BTreeMap<(String, &'static str), Option<String>> {
    let mut expected = BTreeMap::new();
    let ids: HashSet<u8> = all.iter().map(|v| v.id).collect();
    for id in ids {
        let own: Vec<&Version> = all.iter().filter(|v| v.id == id).collect();
        let newest = *own.last().unwrap();
        for name in CHECKED {
            let says = |v: &Version, name: &str| cell(&rows(std::slice::from_ref(v)), name, 0);
            let lead =
                Activity::COLUMNS.iter().find(|column| column.name == name).unwrap().with.unwrap_or(name);
            let is_of_detail = Activity::COLUMNS.iter().any(|column| column.name == lead && column.is_detail);
            let mut saying: Vec<&Version> = own.iter().copied().filter(|v| says(v, lead).is_some()).collect();
            saying.sort_by_key(|v| v.fetched_s);
            saying.sort_by_key(|v| is_of_detail && v.is_detail);
            saying.sort_by_key(|v| !(v.is_computed && ["distance_m", "calories_kcal"].contains(&lead)));
            saying.sort_by_key(|v| lead != "start_time" || v.is_sure);
            expected.insert((id.to_string(), name), says(saying.last().unwrap_or(&newest), name));
        }
    }
    expected
}

fn of_rows(batches: &[RecordBatch]) -> BTreeMap<(String, &'static str), Option<String>> {
    let mut found = BTreeMap::new();
    for batch in batches {
        let ids = batch.column_by_name("source_id").unwrap().as_string::<i32>();
        for row in 0..batch.num_rows() {
            for name in CHECKED {
                found.insert((ids.value(row).to_string(), name), cell(batch, name, row));
            }
        }
    }
    found
}

fn version(fetched_s: i64, is_detail: bool, has: [bool; 6]) -> Version {
    Version { id: 1, fetched_s, is_detail, has, is_computed: false, is_sure: true }
}

fn text(batch: &RecordBatch, name: &str) -> String {
    batch.column_by_name(name).unwrap().as_string::<i32>().value(0).to_string()
}

#[test]
fn a_newer_list_keeps_what_only_the_whole_activity_had() {
    let whole = version(10, true, [true; 6]);
    let list = version(20, false, [true, false, true, false, false, false]);
    let result = merged(&[rows(&[whole]), rows(&[list])]);
    assert_eq!(result[0].num_rows(), 1);
    assert_eq!(text(&result[0], "title"), "title of 20");
    assert_eq!(text(&result[0], "description"), "description of 10");
    assert_eq!(text(&result[0], "file_sha256"), "hash of 10");
}

#[test]
fn a_thinner_version_empties_nothing_and_the_row_says_what_is_older() {
    let (full, thin) =
        (version(10, true, [true; 6]), version(20, true, [true, false, false, false, false, false]));
    let result = merged(&[rows(std::slice::from_ref(&full)), rows(&[thin])]);
    let kept = activity(&full);
    assert_eq!(text(&result[0], "title"), "title of 20");
    assert_eq!(Some(text(&result[0], "description")), kept.description);
    assert_eq!(Some(text(&result[0], "extra")), kept.extra);
    assert_eq!(Some(text(&result[0], "partial")), kept.partial, "it is of the same file");
    let earlier = result[0].column_by_name("earlier").unwrap().as_list::<i32>().value(0);
    let names: Vec<_> = earlier.as_struct().column(0).as_string::<i32>().iter().flatten().collect();
    let older = ["description", "distance_m", "calories_kcal", "file_sha256", "extra.a1", "extra.b"];
    assert_eq!(names.iter().collect::<HashSet<_>>(), older.iter().collect::<HashSet<_>>());
}

#[test]
fn fields_without_a_column_are_kept_one_by_one() {
    let (old, new) = (version(10, true, [true; 6]), version(12, true, [true; 6]));
    let result = merged(&[rows(&[old, new])]);
    assert_eq!(text(&result[0], "extra"), r#"{"a0":12,"a1":10,"b":12}"#);
}

#[test]
fn what_was_computed_gives_way_to_what_was_stated_even_before() {
    let stated = version(10, true, [true; 6]);
    let computed = Version { is_computed: true, ..version(20, true, [true; 6]) };
    let result = merged(&[rows(&[stated]), rows(&[computed])]);
    assert_eq!(cell(&result[0], "computed", 0), None);
    let distance = result[0].column_by_name("distance_m").unwrap();
    assert_eq!(distance.as_primitive::<arrow::datatypes::Float64Type>().value(0), 11.0);
}

fn streams(versions: &[Version]) -> RecordBatch {
    let mut columns = StreamsColumns::default();
    for v in versions {
        let samples = |has: bool| has.then(|| vec![Some(v.fetched_s as i32), None]);
        let streams = Streams {
            user_id: format!("user-{}", v.id % 3),
            source_id: v.id.to_string(),
            start_time: Timestamp::from_second(1_000_000 - i64::from(v.id) * 3).unwrap(),
            samples: 2,
            time_s: samples(true),
            heart_rate_bpm: samples(v.has[0]),
            power_w: samples(v.has[1]),
            origin: if v.is_detail { "api" } else { "archive" }.to_string(),
            fetched_at: Timestamp::from_second(v.fetched_s).unwrap(),
            ..Streams::default()
        };
        columns.push(&streams.counted());
    }
    batch::<Streams>(&mut columns)
}

fn together(batches: &[RecordBatch]) -> RecordBatch {
    arrow::compute::concat_batches(&Table::Streams.schema(), batches).unwrap()
}

#[test]
fn streams_with_fewer_series_do_not_take_the_place_of_fuller_ones() {
    let full = version(10, false, [true; 6]);
    let thin = version(20, true, [true, false, true, true, true, true]);
    let again = version(30, false, [true; 6]);
    let fetched = |versions: &[Version]| {
        let rows: Vec<RecordBatch> = merge(Table::Streams, &[streams(versions)]).collect();
        times(&rows[0], "fetched_at").unwrap().value(0) / 1_000_000
    };
    assert_eq!(fetched(&[full.clone(), thin.clone()]), 10);
    assert_eq!(fetched(&[full, thin, again]), 30);
}

#[test]
fn streams_of_an_activity_that_was_cropped_take_the_place_of_longer_ones() {
    let row = |fetched_s: i64, samples: usize, series: usize, origin: &str| {
        let list = |at: usize| (at < series).then(|| vec![Some(7); samples]);
        let streams = Streams {
            user_id: "u".to_string(),
            source_id: "1".to_string(),
            samples: samples as i32,
            time_s: list(0),
            heart_rate_bpm: list(1),
            power_w: list(2),
            origin: origin.to_string(),
            fetched_at: Timestamp::from_second(fetched_s).unwrap(),
            ..Streams::default()
        };
        let mut columns = StreamsColumns::default();
        columns.push(&streams.counted());
        batch::<Streams>(&mut columns)
    };
    let fetched = |versions: &[RecordBatch]| {
        let rows: Vec<RecordBatch> = merge(Table::Streams, versions).collect();
        times(&rows[0], "fetched_at").unwrap().value(0) / 1_000_000
    };
    let (first, thin, cropped) = (row(10, 9, 3, "api"), row(20, 9, 2, "api"), row(30, 5, 1, "api"));
    assert_eq!(fetched(&[first.clone(), thin.clone()]), 10, "a thinner telling of the same");
    assert_eq!(fetched(&[first.clone(), thin, cropped.clone()]), 30);
    assert_eq!(fetched(&[cropped.clone(), row(40, 9, 2, "api"), first]), 40, "and uncropped again");
    assert_eq!(fetched(&[cropped, row(5, 9, 3, "archive")]), 5, "an archive's stand beside the API's");
}

proptest! {
    #[test]
    fn streams_that_are_read_while_they_are_written_end_as_those_in_memory(
        all in versions(), cut in 0_usize..24, piece in 1_usize..5
    ) {
        let (first, second) = all.split_at(cut.min(all.len()));
        let old: Vec<RecordBatch> = merge(Table::Streams, &[streams(first)]).collect();
        let file = together(&old);
        let versions = [file.clone(), streams(second)];
        let slow: Vec<RecordBatch> = merge(Table::Streams, &versions).collect();
        // The file as two, of every second row each.
        let picks = pick(Table::Streams, &versions);
        let part = |odd: usize| {
            let numbers: Vec<Row> = (0..file.num_rows()).filter(|row| row % 2 == odd).map(|row| (0, row)).collect();
            let columns = file.columns().iter().map(|column| taken([column].into_iter(), &numbers)).collect();
            let rows = RecordBatch::try_new(file.schema(), columns).unwrap();
            let stays = numbers.iter().map(|row| picks.contains(row)).collect();
            let pieces: Vec<Result<RecordBatch>> = (0..rows.num_rows())
                .step_by(piece)
                .map(|at| Ok(rows.slice(at, piece.min(rows.num_rows() - at))))
                .collect();
            Part { rows, stays, reader: Box::new(pieces.into_iter()) }
        };
        let entering: Vec<Row> = picks.iter().filter(|row| row.0 == 1).map(|row| (0, row.1)).collect();
        let fast = weave(vec![part(0), part(1)], vec![versions[1].clone()], &entering);
        let fast: Vec<RecordBatch> = fast.collect::<Result<_>>().unwrap();
        prop_assert_eq!(together(&fast), together(&slow));
    }

    #[test]
    fn each_column_is_that_of_the_best_version_that_says_something(all in versions()) {
        prop_assert_eq!(of_rows(&merged(&[rows(&all)])), slowly(&all));
    }

    #[test]
    fn the_order_and_the_steps_of_merging_do_not_matter(
        all in versions(), cut in 0_usize..24, again in 0_usize..24
    ) {
        let at_once = merged(&[rows(&all)]);
        let (first, rest) = all.split_at(cut.min(all.len()));
        let (second, third) = rest.split_at(again.min(rest.len()));
        let mut stepwise = merged(&[rows(third)]);
        stepwise.push(rows(first));
        let mut stepwise = merged(&stepwise);
        stepwise.insert(0, rows(second));
        prop_assert_eq!(&merged(&stepwise), &at_once);
        prop_assert_eq!(&merged(&at_once), &at_once);
        let ids: HashSet<u8> = all.iter().map(|v| v.id).collect();
        prop_assert_eq!(at_once.iter().map(RecordBatch::num_rows).sum::<usize>(), ids.len());
    }
}
