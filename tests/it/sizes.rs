//! What a dataset costs on the disk, in bytes that no machine's speed changes.

use std::fs::File;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;

use crate::support::{Place, parquet_files};

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
