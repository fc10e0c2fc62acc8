//! Records that their source no longer has, or no longer shows. Their rows stay, and say when and how that was found, so
//! that workouts and sums can leave them out.
//!
//! What Strava no longer has follows from what has landed of it. What an archive says is gone stays known in a file of
//! its own beside those of the origins, so that an older version that is imported later does not bring it back.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, new_null_array};

use super::Summary;
use crate::error::Result;
use crate::model::activity::Activity;
use crate::model::columns::{TimeArray, TimeType};
use crate::sources::strava::history::Missing;
use crate::sources::strava::scope;
use crate::sources::strava::walk::GoneWhy;
use crate::sources::{Gone, ReadFrom, Source};
use crate::store::dataset::cells::{Rows, replaced};
use crate::store::dataset::merge::merge;
use crate::store::dataset::{self, MadeFrom, Table};
use crate::store::lake::{Bucket, Lake};
use crate::store::state::accounts::scopes;

/// The name of the origin that says nothing but what is gone.
const ORIGIN: &str = "gone";
const AT: &str = "gone_at";
pub const WHY: &str = "gone_why";

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

/// The end of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    at_us: i64,
    why: &'static str,
}

/// When records went, by user and id.
#[derive(Debug, Default)]
pub struct AllGone(HashMap<(String, String), End>);

/// What Strava no longer has of a bucket, as it has landed.
pub fn landed(lake: &Lake, bucket: Bucket) -> Result<AllGone> {
    let missing = crate::sources::strava::history::missing(lake, bucket)?;
    if missing.is_empty() {
        return Ok(AllGone::default());
    }
    let scopes = scopes(lake)?;
    let end = |Missing { user_id, account_id, id, gone }: Missing| {
        let may_be_private = scopes.get(&account_id).is_some_and(|granted| !scope::covers_private(granted));
        let why = match gone.why {
            _ if may_be_private => "deleted_or_private",
            GoneWhy::NotFound => "not_found",
            GoneWhy::NotListed => "not_listed",
        };
        ((user_id, id), End { at_us: gone.at_s * 1_000_000, why })
    };
    Ok(AllGone(missing.into_iter().map(end).collect()))
}

/// Keeps what archives say is gone, beside what they said before. The file is written before the rows that go.
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
        let known = (0..batch.num_rows())
            .map(|row| (record(batch, row), End { at_us: times.value(row), why: "deleted" }));
        all.0.extend(known);
    }
    Ok(all)
}

impl AllGone {
    /// Rows with when and how they went. One that is newer than its end has come back.
    pub fn mark(&self, other: &AllGone, batch: RecordBatch) -> RecordBatch {
        if self.0.is_empty() && other.0.is_empty() {
            return batch;
        }
        let times = Rows(&batch).column("fetched_at").as_primitive::<TimeType>();
        let ends: Vec<Option<End>> = (0..batch.num_rows())
            .map(|row| {
                let record = record(&batch, row);
                let end = self.0.get(&record).or_else(|| other.0.get(&record));
                end.filter(|end| end.at_us >= times.value(row)).copied()
            })
            .collect();
        let at: TimeArray = ends.iter().map(|end| end.map(|end| end.at_us)).collect();
        let why: StringArray = ends.iter().map(|end| end.map(|end| end.why)).collect();
        let columns: [(&str, ArrayRef); 2] = [(AT, Arc::new(at.with_timezone("UTC"))), (WHY, Arc::new(why))];
        replaced(&batch, columns)
    }
}

/// Rows without what was said of their ends and when they expire, which follows from elsewhere and is said anew.
pub fn without(batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
    let none = |batch: RecordBatch| {
        let null = |name: &str| new_null_array(Rows(&batch).column(name).data_type(), batch.num_rows());
        replaced(&batch, [AT, WHY, "expires_at"].map(|name| (name, null(name))))
    };
    batches.into_iter().map(none).collect()
}

fn record(batch: &RecordBatch, row: usize) -> (String, String) {
    let rows = Rows(batch);
    (rows.text("user_id", row), rows.text("source_id", row))
}
