//! Streams and rejects, of which one version is kept whole.
//!
//! The samples of one version cannot be put beside those of another, which was sampled at other times. So of streams
//! the fullest version is kept, by the number of its series; then the API's before an archive's; then the newest. An
//! activity that was cropped has another number of samples: of the API's versions only those count that have as many
//! as the newest, back to the first that has not.

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;

use super::{
    Keys, OUTPUT_ROWS, OUTPUT_ROWS_STREAMS, Row, are_versions, grouped, sort_as_table, taken, times,
};
use crate::model::columns::TimeArray;
use crate::store::dataset::Table;

/// The columns of streams that decide which version of a row is kept.
pub const DECIDING: [&str; 7] =
    ["user_id", "source_id", "start_time", "series", "samples", "origin", "fetched_at"];

/// What says how good the rows of one batch are.
struct Ranks<'a> {
    fetched_at: &'a TimeArray,
    /// Of streams: how many lists of samples there are, how long they are, and who said them.
    series: Option<&'a Int32Array>,
    samples: Option<&'a Int32Array>,
    origin: Option<&'a StringArray>,
}

impl<'a> Ranks<'a> {
    fn of(table: Table, batch: &'a RecordBatch) -> Ranks<'a> {
        let of_streams = |name: &str| batch.column_by_name(name).filter(|_| table == Table::Streams);
        Ranks {
            fetched_at: times(batch, "fetched_at").expect("every table has it"),
            series: of_streams("series").map(|column| column.as_primitive::<Int32Type>()),
            samples: of_streams("samples").map(|column| column.as_primitive::<Int32Type>()),
            origin: of_streams("origin").map(|column| column.as_string()),
        }
    }

    fn is_api(&self, row: usize) -> bool {
        self.origin.is_some_and(|origin| origin.value(row) == "api")
    }

    fn rank(&self, row: usize) -> (i32, bool, i64) {
        let series = self.series.map_or(0, |series| series.value(row));
        (series, self.is_api(row), self.fetched_at.value(row))
    }
}

/// From when on the API's versions of one row have as many samples as the newest of them.
fn as_long_since(ranks: &[Ranks], group: &[Row]) -> i64 {
    let mut of_api: Vec<(i64, Option<i32>)> = group
        .iter()
        .filter(|row| ranks[row.0].is_api(row.1))
        .map(|row| {
            (ranks[row.0].fetched_at.value(row.1), ranks[row.0].samples.map(|samples| samples.value(row.1)))
        })
        .collect();
    of_api.sort_unstable_by_key(|(fetched_at, _)| std::cmp::Reverse(*fetched_at));
    let is_as_long = |version: &&(i64, Option<i32>)| version.1 == of_api[0].1;
    of_api.iter().take_while(is_as_long).last().map_or(i64::MIN, |(fetched_at, _)| *fetched_at)
}

/// The best version of each row, in the order of the table.
pub fn pick(table: Table, versions: &[RecordBatch]) -> Vec<Row> {
    let batches: Vec<&RecordBatch> = versions.iter().collect();
    let keys: Vec<Keys> = versions.iter().map(|batch| Keys::of(table.key(), batch)).collect();
    let ranks: Vec<Ranks> = versions.iter().map(|batch| Ranks::of(table, batch)).collect();
    let rows = grouped(&keys, &batches);
    let groups = rows.chunk_by(|a, b| are_versions(&keys, a, b));
    let best = groups.filter_map(|group| {
        let since = as_long_since(&ranks, group);
        let counts =
            |row: &&Row| !ranks[row.0].is_api(row.1) || ranks[row.0].fetched_at.value(row.1) >= since;
        // `max_by_key` gives the last of equals.
        group.iter().filter(counts).max_by_key(|row| ranks[row.0].rank(row.1)).copied()
    });
    let mut best: Vec<Row> = best.collect();
    sort_as_table(&keys, &mut best, |row| (*row, *row));
    best
}

pub fn merged(table: Table, versions: &[RecordBatch]) -> impl Iterator<Item = RecordBatch> {
    let picks = pick(table, versions);
    let rows = if table == Table::Streams { OUTPUT_ROWS_STREAMS } else { OUTPUT_ROWS };
    let schema = table.schema();
    let mut at = 0;
    std::iter::from_fn(move || {
        let chunk = &picks[at..picks.len().min(at + rows)];
        at += chunk.len();
        if chunk.is_empty() {
            return None;
        }
        let places = 0..schema.fields().len();
        let columns = places.map(|place| taken(versions.iter().map(|batch| batch.column(place)), chunk));
        let columns: Vec<ArrayRef> = columns.collect();
        Some(RecordBatch::try_new(schema.clone(), columns).expect("versions of one table have one schema"))
    })
}
