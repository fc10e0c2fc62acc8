//! What a dataset costs on the disk, in bytes that no machine's speed changes.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;

use longrun::sources::strava::endpoints::STREAMS;
use longrun::store::lake::Lake;
use longrun::store::landing::{Header, Landing};
use longrun::testing::synth::{self, Options, strava};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;

use crate::support::{Place, parquet_files, rows};

/// Lines of Strava's list, with 90 points each, take 307. They took 323 before the columns had encodings of their own, and
/// 304 with tracks that Zstandard had looked at.
const MOST_PER_ACTIVITY: u64 = 309;
const MOST_OF_A_NULL_COLUMN: i64 = 100;

fn footer(path: &std::path::Path) -> ParquetMetaData {
    let file = File::open(path).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().metadata().as_ref().clone()
}

#[test]
fn an_activity_costs_few_bytes_and_a_column_without_values_next_to_none() {
    let place = Place::new();
    place.run(&["synth", "landing", "--users", "2", "--activities", "3000"]).expect(0);
    place.run(&["normalize"]).expect(0);
    let (mut bytes, mut activities, mut null_columns) = (0, 0, 0);
    for path in parquet_files(&place.lake(), "activities") {
        bytes += std::fs::metadata(&path).unwrap().len();
        let footer = footer(&path);
        activities += footer.file_metadata().num_rows() as u64;
        let [group] = footer.row_groups() else { panic!("one row group") };
        for column in group.columns() {
            // What a list never says.
            if ["description", "file_sha256", "parent_id"].contains(&column.column_path().string().as_str()) {
                null_columns += 1;
                let size = column.compressed_size();
                assert!(size <= MOST_OF_A_NULL_COLUMN, "{size} bytes of {}", column.column_path());
            }
        }
    }
    assert_eq!(activities, 6000);
    assert!(null_columns >= 3);
    let each = bytes / activities;
    assert!(each <= MOST_PER_ACTIVITY, "{each} bytes an activity");
}

/// Each run replaces files by others, which have another inode, and removes some.
#[test]
fn a_day_of_samples_does_not_write_the_year_again() {
    const DAYS: usize = 40;
    let place = Place::new();
    let lake = Lake::open_or_create(&place.lake()).unwrap();
    let person = synth::person(Options { seed: 4, users: 1, activities: 80 }, 0);
    let bodies = person.workouts.iter().filter_map(|workout| strava::streams(&person, workout));
    let (mut seen, mut written, mut days) = (HashMap::new(), 0, 0);
    for (day, body) in bodies.take(DAYS).enumerate() {
        let start_s = 1_704_103_200 + day as i64 * 86_400;
        let mut landing = Landing::open(&lake).unwrap();
        let header = Header {
            v: 1,
            source: "strava".to_string(),
            ask: STREAMS.ask(&day.to_string(), start_s),
            user_id: person.user_id.clone(),
            account_id: "1".to_string(),
            request: format!("/activities/{day}/streams"),
            fetched_at: jiff::Timestamp::from_second(start_s + 9_000).unwrap(),
            after: None,
            status: 200,
        };
        landing.append(&header, body.as_bytes()).unwrap();
        landing.close().unwrap();
        place.run(&["normalize"]).expect(0);
        let there = parquet_files(&place.lake(), "streams").into_iter().map(|path| {
            let stat = std::fs::metadata(path).unwrap();
            ((stat.ino(), stat.mtime(), stat.mtime_nsec()), stat.len())
        });
        let there: HashMap<_, u64> = there.collect();
        written +=
            there.iter().filter(|(file, _)| !seen.contains_key(*file)).map(|(_, bytes)| bytes).sum::<u64>();
        (seen, days) = (there, day + 1);
    }
    let at_the_end: u64 = seen.values().sum();
    assert_eq!((days, rows(&place.lake(), "streams").len()), (DAYS, DAYS));
    assert!(at_the_end > 200_000 && seen.len() < 32, "{at_the_end} bytes in {} files", seen.len());
    let times = written as f64 / at_the_end as f64;
    assert!(times < 3.0, "{written} bytes were written for {at_the_end}: {times:.1} for each");
}
