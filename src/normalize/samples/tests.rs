use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::model::activity::{Streams, StreamsColumns};
use crate::model::columns::Columns;
use crate::store::dataset::merge::merge;

const BUCKET: Bucket = Bucket(7);
const SOURCE: &str = "strava";

/// What is told of a record at a time: with a second series or without, and in which year it began.
#[derive(Debug, Clone, Copy)]
struct Told {
    id: u32,
    year: i16,
    is_full: bool,
}

fn rows(all: &[(i64, Told)]) -> RecordBatch {
    let mut columns = StreamsColumns::default();
    for (fetched_s, told) in all {
        let start = format!("{}-05-01T10:00:{:02}Z", told.year, told.id % 60);
        let streams = Streams {
            user_id: format!("user-{}", told.id % 3),
            source_id: told.id.to_string(),
            start_time: start.parse().unwrap(),
            samples: 1,
            time_s: Some(vec![Some(*fetched_s as i32)]),
            power_w: told.is_full.then(|| vec![Some(200)]),
            origin: "api".to_string(),
            fetched_at: Timestamp::from_second(*fetched_s).unwrap(),
            ..Streams::default()
        };
        columns.push(&streams.counted());
    }
    dataset::batch::<Streams>(&mut columns)
}

fn commit(lake: &Lake, new: &[(i64, Told)]) {
    let samples = Samples { lake, bucket: BUCKET, source: SOURCE, made: &MadeFrom::default() };
    samples.commit(&[rows(new)]).unwrap();
}

fn in_order(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

fn said(batch: &RecordBatch) -> Vec<String> {
    let rows = Rows(batch);
    let row = |at| {
        let time = |name| rows.time(name, at).unwrap();
        let id = rows.text("source_id", at);
        format!("{id} {} {} {:?}", time("start_time"), time("fetched_at"), rows.whole("series", at))
    };
    (0..batch.num_rows()).map(row).collect()
}

fn of_file(lake: &Lake, key: &Key) -> Vec<String> {
    dataset::read(lake, key, None).unwrap().iter().flat_map(said).collect()
}

/// What other tools read: every file that is there.
fn all_rows(lake: &Lake) -> Vec<String> {
    let files = dataset::files(lake, &lake.streams_folder()).unwrap();
    in_order(files.iter().flat_map(|key| of_file(lake, key)).collect())
}

/// What our readers take: of each record the row that they come to last.
fn taken_rows(lake: &Lake) -> Vec<String> {
    let files = dataset::streams(lake, SOURCE, BUCKET).unwrap();
    let rows = files.iter().flat_map(|key| of_file(lake, key));
    let of_record = |row: String| (row.split(' ').next().unwrap().to_string(), row);
    in_order(rows.map(of_record).collect::<HashMap<String, String>>().into_values().collect())
}

fn lake_in(folder: &Path) -> Lake {
    Lake::open_or_create(folder).unwrap()
}

/// The versions that are kept, by the slow way.
fn kept(all: &[(i64, Told)]) -> Vec<String> {
    in_order(merge(Table::Streams, &[rows(all)]).flat_map(|batch| said(&batch)).collect())
}

fn numbered(told: impl IntoIterator<Item = Told>) -> Vec<(i64, Told)> {
    (1_700_000_000..).zip(told).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn many_batches_end_in_the_rows_of_one(
        told in proptest::collection::vec((0_u32..30, 2023_i16..2025, any::<bool>()), 1..60),
        size in 1_usize..4,
    ) {
        let told = numbered(told.into_iter().map(|(id, year, is_full)| Told { id, year, is_full }));
        let folder = tempfile::tempdir().unwrap();
        let (stepwise, at_once) = (lake_in(&folder.path().join("a")), lake_in(&folder.path().join("b")));
        told.chunks(size).for_each(|batch| commit(&stepwise, batch));
        commit(&at_once, &told);
        prop_assert_eq!(all_rows(&stepwise), kept(&told));
        prop_assert_eq!(all_rows(&at_once), kept(&told));
        for key in dataset::streams(&stepwise, SOURCE, BUCKET).unwrap() {
            let year = key.stem().rsplit('-').next().unwrap().to_string();
            for row in of_file(&stepwise, &key) {
                prop_assert!(row.contains(&format!(" {year}-")), "{} has {}", key, row);
            }
        }
    }
}

/// A file with what tells one writing of it from another.
type Written = (PathBuf, SystemTime);

fn files_of(lake: &Lake) -> Vec<Written> {
    let folder = lake.place(&lake.streams_folder());
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::metadata(&path).unwrap().modified().unwrap())).collect()
}

/// Every state of the files between two steps of a run that made `after` of `before`: files in the order in which they were
/// written, and then what was removed.
fn between(before: &[Written], after: &[Written]) -> Vec<(Vec<PathBuf>, Vec<PathBuf>)> {
    let mut written: Vec<&Written> = after.iter().filter(|file| !before.contains(file)).collect();
    written.sort_by_key(|file| file.1);
    let written: Vec<PathBuf> = written.into_iter().map(|file| file.0.clone()).collect();
    let is_gone = |path: &PathBuf| after.iter().all(|file| file.0 != *path);
    let gone: Vec<PathBuf> = before.iter().map(|file| file.0.clone()).filter(is_gone).collect();
    let puts = (0..written.len()).map(|many| (written[..many].to_vec(), Vec::new()));
    let removals = (0..gone.len()).map(|many| (written.clone(), gone[..many].to_vec()));
    puts.chain(removals).collect()
}

#[test]
fn a_run_that_is_cut_between_any_two_steps_leaves_each_record_s_old_row_or_its_new_one() {
    // Every third batch moves a record to another year and back, and every fourth tells of an old one again.
    let new = |batch: u32| Told { id: 100 + batch, year: 2024, is_full: true };
    let batch = |number: u32| {
        let mut told = vec![new(number)];
        if number.is_multiple_of(3) {
            told.push(Told { id: 1, year: 2023 + (number % 2) as i16, is_full: number.is_multiple_of(5) });
        }
        if number > 4 && number.is_multiple_of(4) {
            told.push(new(number - 4));
        }
        let fetched_s = 1_700_000_000 + i64::from(number) * 100;
        (fetched_s..).zip(told).collect::<Vec<(i64, Told)>>()
    };
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_in(&folder.path().join("lake"));
    let copy = |to: &str| {
        let (to, from) = (folder.path().join(to), lake.place(&lake.streams_folder()));
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let target = to.join(entry.file_name());
            fs::copy(entry.path(), target).unwrap();
        }
        to
    };
    commit(&lake, &batch(0));
    let mut states = 0;
    for number in 1..36 {
        let (files_before, rows_before) = (files_of(&lake), taken_rows(&lake));
        let old = copy(&format!("old-{number}"));
        commit(&lake, &batch(number));
        let rows_after = taken_rows(&lake);
        assert_eq!(all_rows(&lake), rows_after, "batch {number}");
        for (step, (written, removed)) in between(&files_before, &files_of(&lake)).into_iter().enumerate() {
            let cut = lake_in(&folder.path().join(format!("cut-{number}-{step}")));
            let streams = cut.place(&cut.streams_folder());
            fs::create_dir_all(&streams).unwrap();
            let into = |path: &Path| streams.join(path.file_name().unwrap());
            for path in fs::read_dir(&old).unwrap().map(|entry| entry.unwrap().path()) {
                fs::copy(&path, into(&path)).unwrap();
            }
            for path in written {
                fs::copy(&path, into(&path)).unwrap();
            }
            removed.iter().for_each(|path| fs::remove_file(into(path)).unwrap());
            let rows = taken_rows(&cut);
            for row in &rows {
                assert!(rows_before.contains(row) || rows_after.contains(row), "{number}, {step}: {row}");
            }
            for row in &rows_before {
                let id = format!("{} ", row.split(' ').next().unwrap());
                assert!(rows.iter().any(|row| row.starts_with(&id)), "{number}, {step}: {row} is lost");
            }
            commit(&cut, &batch(number));
            assert_eq!(all_rows(&cut), rows_after, "{number}, {step}");
            states += 1;
        }
    }
    assert!(states > 60, "{states} states");
}

#[test]
fn what_is_left_over_counts_where_it_is_better() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_in(folder.path());
    let told = |id: u32| Told { id, year: 2024, is_full: true };
    (0..16).for_each(|id| commit(&lake, &[(i64::from(id), told(id))]));
    let third = dataset::files(&lake, &lake.streams_folder()).unwrap()[3].clone();
    commit(&lake, &[(16, told(16))]);
    assert_eq!(dataset::files(&lake, &lake.streams_folder()).unwrap().len(), 2);
    // Somebody else wrote it meanwhile.
    dataset::write(&lake, &third, Table::Streams, &MadeFrom::default(), [rows(&[(99, told(3))])]).unwrap();
    assert!(!taken_rows(&lake).iter().any(|row| row.contains("00:01:39")));
    commit(&lake, &[(17, told(17))]);
    assert_eq!(all_rows(&lake), taken_rows(&lake));
    assert_eq!(all_rows(&lake).len(), 18);
    assert!(all_rows(&lake).iter().any(|row| row.starts_with("3 ") && row.contains("00:01:39")));
}

#[test]
fn rows_of_another_schema_are_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_in(folder.path());
    let told = |id: u32| Told { id, year: 2024, is_full: true };
    (0..3).for_each(|id| commit(&lake, &[(i64::from(id), told(id))]));
    for key in dataset::files(&lake, &lake.streams_folder()).unwrap() {
        let bytes = lake.backend().read(&key).unwrap().unwrap();
        let at = bytes.windows(22).position(|some| some == b"longrun.schema_version").unwrap();
        let mut bytes = bytes.to_vec();
        bytes[at] = b'L';
        lake.put(&key, &bytes).unwrap();
    }
    commit(&lake, &[(9, told(9))]);
    assert_eq!(all_rows(&lake).len(), 1);
}
