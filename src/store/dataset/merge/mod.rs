//! Many versions of rows to one row each.
//!
//! Activities are merged column by column (`upsert`): of each column, the newest version that says something. Of
//! streams and rejects one version is kept whole (`whole`; those of streams are put among others by `weave`). Either way the best is a maximum, so merging in any
//! order and any number of steps ends in the same rows. That holds for what one origin said: an activity that both
//! the API and an archive have is put together from the two rows that remain (`origins`).

mod notes;
mod origins;
pub(super) mod upsert;
mod weave;
mod whole;

#[cfg(test)]
mod tests;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use twox_hash::XxHash64;

use super::{Table, cells};
use crate::model::columns::{TimeArray, TimeType};
pub use origins::coalesce;
pub use weave::{PLACING, Part, weave};
pub use whole::{DECIDING, pick};

/// Rows per batch that is given out: few enough that the memory of one is at hand for the next.
const OUTPUT_ROWS: usize = 2048;
const OUTPUT_ROWS_STREAMS: usize = 256;

/// A row: number of its batch, number in it.
pub type Row = (usize, usize);

/// The merged rows, in the order of the table: by user, start and id. Of two versions that are equally good and
/// were fetched in the same microsecond, the one in the later batch and row wins.
pub fn merge<'a>(table: Table, versions: &'a [RecordBatch]) -> Box<dyn Iterator<Item = RecordBatch> + 'a> {
    match table {
        Table::Activities => {
            Box::new(upsert::merged(table.columns(), table.schema(), table.key(), versions.iter().collect()))
        }
        _ => Box::new(whole::merged(table, versions)),
    }
}

/// What says of each row which one it is and where it stands, of one batch.
struct Keys<'a> {
    key: Vec<&'a StringArray>,
    start: Option<&'a TimeArray>,
}

impl<'a> Keys<'a> {
    fn of(names: &[&str], batch: &'a RecordBatch) -> Keys<'a> {
        let column = |name: &&str| batch.column_by_name(name).expect("its table is keyed by it").as_string();
        Keys { key: names.iter().map(column).collect(), start: times(batch, "start_time") }
    }

    fn key(&self, row: usize) -> impl Iterator<Item = Option<&'a str>> {
        self.key.iter().map(move |column| column.is_valid(row).then(|| column.value(row)))
    }

    fn hash(&self, row: usize) -> u64 {
        self.key(row).fold(0, |hash, part| XxHash64::oneshot(hash, part.unwrap_or_default().as_bytes()))
    }

    fn user(&self, row: usize) -> Option<&'a str> {
        self.key(row).next().flatten()
    }
}

fn times<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a TimeArray> {
    batch.column_by_name(name).map(|column| column.as_primitive::<TimeType>())
}

/// Rows with the same key stand together, in the order of their arrival. Hashes are sorted, which are compared faster
/// than what they are of.
fn grouped(keys: &[Keys], batches: &[&RecordBatch]) -> Vec<Row> {
    let numbered = batches.iter().enumerate();
    let rows = numbered.flat_map(|(number, batch)| (0..batch.num_rows()).map(move |row| (number, row)));
    let mut rows: Vec<(u64, Row)> = rows.map(|row| (keys[row.0].hash(row.1), row)).collect();
    rows.sort_unstable_by(|(a_hash, a), (b_hash, b)| {
        let by_key = || keys[a.0].key(a.1).cmp(keys[b.0].key(b.1));
        a_hash.cmp(b_hash).then_with(by_key).then_with(|| a.cmp(b))
    });
    rows.into_iter().map(|(_, row)| row).collect()
}

fn are_versions(keys: &[Keys], a: &Row, b: &Row) -> bool {
    keys[a.0].key(a.1).eq(keys[b.0].key(b.1))
}

/// Puts groups in the order of the table. `place` says the row whose user and key count, and the one whose start.
fn sort_as_table<T>(keys: &[Keys], groups: &mut Vec<T>, place: impl Fn(&T) -> (Row, Row)) {
    let start = |row: Row| keys[row.0].start.map(|start| start.value(row.1));
    let placed = |group: T| {
        let (row, starts) = place(&group);
        (keys[row.0].user(row.1), start(starts), row, group)
    };
    let mut placed: Vec<_> = groups.drain(..).map(placed).collect();
    placed.sort_unstable_by(|(a_user, a_start, a, _), (b_user, b_start, b, _)| {
        let by_key = || keys[a.0].key(a.1).cmp(keys[b.0].key(b.1));
        a_user.cmp(b_user).then_with(|| a_start.cmp(b_start)).then_with(by_key)
    });
    groups.extend(placed.into_iter().map(|(.., group)| group));
}

/// Some rows of one column.
fn taken<'a>(arrays: impl Iterator<Item = &'a ArrayRef>, rows: &[Row]) -> ArrayRef {
    cells::taken(&arrays.map(AsRef::as_ref).collect::<Vec<_>>(), rows)
}
