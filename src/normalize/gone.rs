//! Records that their source no longer has. They stay known, in a file of their own beside those of the origins, so
//! that an older version that is imported later does not bring them back, whatever comes first.

use std::collections::HashMap;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use super::Summary;
use crate::error::Result;
use crate::model::activity::Activity;
use crate::model::columns::TimeType;
use crate::sources::{Gone, ReadFrom, Source};
use crate::store::dataset::cells::Rows;
use crate::store::dataset::merge::merge;
use crate::store::dataset::{self, MadeFrom, Table};
use crate::store::lake::{Bucket, Lake};

/// The name of the origin that says nothing but what is gone.
const ORIGIN: &str = "gone";

/// A record that is gone as a row of activities: whose it was, and when it went.
pub fn row(gone: Gone, at: &str, from: &ReadFrom) -> Activity {
    Activity {
        source_id: gone.source_id,
        start_time: gone.at,
        fetched_at: gone.at,
        detail_at: Some(gone.at),
        ..from.activity(at)
    }
}

/// When records went, in unix microseconds, by user and id.
#[derive(Debug, Default)]
pub struct AllGone(HashMap<(String, String), i64>);

/// Keeps what went, beside what went before, and gives all of it. The file is written before the rows that go.
pub fn keep(
    lake: &Lake,
    bucket: Bucket,
    source: Source,
    made: &MadeFrom,
    new: Vec<RecordBatch>,
    summary: &mut Summary,
) -> Result<AllGone> {
    let key = lake.origins(source.name(), ORIGIN, bucket);
    let mut versions = dataset::current(lake, &key)?;
    if !new.is_empty() {
        versions.extend(new);
        versions = merge(Table::Activities, &versions).collect();
        summary.written_bytes += dataset::write(lake, &key, Table::Activities, made, versions.clone())?;
    }
    let mut all = AllGone::default();
    for batch in &versions {
        let times = Rows(batch).column("fetched_at").as_primitive::<TimeType>();
        let known = (0..batch.num_rows()).map(|row| (record(batch, row), times.value(row)));
        all.0.extend(known);
    }
    Ok(all)
}

impl AllGone {
    /// Leaves out the versions that are not newer than the end of their record.
    pub fn leave_out(&self, versions: &mut [RecordBatch]) {
        if self.0.is_empty() {
            return;
        }
        for batch in versions {
            let times = Rows(batch).column("fetched_at").as_primitive::<TimeType>();
            let stays =
                |row: usize| self.0.get(&record(batch, row)).is_none_or(|end| times.value(row) > *end);
            let kept: BooleanArray = (0..batch.num_rows()).map(|row| Some(stays(row))).collect();
            *batch = filter_record_batch(batch, &kept).expect("a row has an answer each");
        }
    }
}

fn record(batch: &RecordBatch, row: usize) -> (String, String) {
    let rows = Rows(batch);
    (rows.text("user_id", row), rows.text("source_id", row))
}
