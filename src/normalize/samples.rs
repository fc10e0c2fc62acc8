//! New samples among those of a bucket.
//!
//! The row of a record stands in one file. A record that was not there before goes into the piece that its batch makes
//! (`store::dataset::Piece`). One that is told of again stays in its file, and only that one is written again. Where its
//! start was moved to another year, it goes into that year's new piece first and out of its file then: a run that is killed
//! between leaves it in both, of which readers take one and the next run the better one.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use jiff::tz::TimeZone;

use crate::error::Result;
use crate::store::backend::Key;
use crate::store::dataset::cells::Rows;
use crate::store::dataset::merge::{DECIDING, PLACING, Part, Row, pick, weave};
use crate::store::dataset::{self, MadeFrom, Piece, Pieces, Table};
use crate::store::lake::{Bucket, Lake};

#[cfg(test)]
mod tests;

/// Rows that are read at a time, of all files together: each is thousands of samples.
const ROWS: usize = 64;
/// The columns that say which record a row is of.
const RECORD: [&str; 2] = ["user_id", "source_id"];

/// A record of a source: its user and its id.
type Record = (String, String);

/// The samples that a source has in a bucket.
pub struct Samples<'a> {
    pub lake: &'a Lake,
    pub bucket: Bucket,
    pub source: &'a str,
    /// What a file says that is written.
    pub made: &'a MadeFrom,
}

/// The rows of a file that are of records that are told of again.
struct Held {
    piece: Piece,
    /// Their deciding columns.
    rows: RecordBatch,
}

/// What becomes of a file's rows.
#[derive(Default)]
struct Change {
    /// Records whose rows are replaced by others that enter.
    replaced: HashSet<Record>,
    /// Records whose rows stand in another file from now on.
    moved: HashSet<Record>,
    entering: Vec<Row>,
}

impl Samples<'_> {
    /// Puts new rows among those that are there. Returns the bytes written.
    pub fn commit(&self, new: &[RecordBatch]) -> Result<u64> {
        if new.is_empty() {
            return Ok(0);
        }
        let Pieces { standing, left_over } = self.pieces()?;
        let mut records: HashSet<Record> = new.iter().flat_map(records_of).collect();
        let mut held = Vec::new();
        for piece in &left_over {
            let rows = self.read(*piece, &DECIDING)?;
            records.extend(rows.iter().flat_map(records_of));
            held.extend(rows.map(|rows| Held { piece: *piece, rows }));
        }
        // Of versions that are equally good the last is taken: what stands before what is left over, what is new first.
        for piece in &standing {
            if self.read(*piece, &RECORD)?.is_some_and(|rows| are_of(&rows, &records).true_count() > 0)
                && let Some(rows) = self.read(*piece, &DECIDING)?
            {
                held.push(Held { piece: *piece, rows: filtered(&rows, &are_of(&rows, &records)) });
            }
        }
        let versions: Vec<RecordBatch> =
            held.iter().map(|held| held.rows.clone()).chain(new.iter().cloned()).collect();
        let (mut changes, years) = plan(&held, &left_over, &versions);
        let entering = changes.values().chain(years.values()).flat_map(|change| &change.entering);
        let rows = self.whole_rows(&held, new, entering.map(|row| row.0).collect())?;

        let mut written = 0;
        let mut replaced = left_over.clone();
        for (year, mut change) in years {
            let next = Piece::next(year, &[standing.as_slice(), &left_over].concat());
            let taken: Vec<Piece> = standing.iter().filter(|piece| next.replaces(piece)).copied().collect();
            let mut moved = HashSet::new();
            for of_taken in taken.iter().filter_map(|piece| changes.remove(piece)) {
                change.replaced.extend(of_taken.replaced);
                change.entering.extend(of_taken.entering);
                moved.extend(of_taken.moved);
            }
            written += self.write(next, &taken, change, &rows)?;
            if !moved.is_empty() {
                changes.insert(next, Change { moved, ..Change::default() });
            }
            replaced.extend(taken);
        }
        for (piece, change) in changes {
            written += self.write(piece, &[piece], change, &rows)?;
        }
        replaced.iter().try_for_each(|piece| self.lake.backend().remove(&self.key(*piece)))?;
        Ok(written)
    }

    fn key(&self, piece: Piece) -> Key {
        self.lake.streams(self.source, self.bucket, piece)
    }

    /// Without those of another schema, whose rows are made anew.
    fn pieces(&self) -> Result<Pieces> {
        let mut pieces = Pieces::list(self.lake, self.source, self.bucket)?;
        for list in [&mut pieces.standing, &mut pieces.left_over] {
            let mut current = Vec::new();
            for piece in list.drain(..) {
                let key = self.key(piece);
                if dataset::made_from(self.lake, &key)?.is_some() {
                    current.push(piece);
                } else {
                    self.lake.backend().remove(&key)?;
                }
            }
            *list = current;
        }
        Ok(pieces)
    }

    /// Some columns of a file; None where it has no rows.
    fn read(&self, piece: Piece, columns: &[&str]) -> Result<Option<RecordBatch>> {
        let batches = dataset::read(self.lake, &self.key(piece), Some(columns))?;
        Ok(together(&batches))
    }

    /// All columns of the held rows that go elsewhere, in the places of their files, and the new rows behind them.
    fn whole_rows(
        &self,
        held: &[Held],
        new: &[RecordBatch],
        wanted: HashSet<usize>,
    ) -> Result<Vec<RecordBatch>> {
        let mut rows = Vec::new();
        for (number, Held { piece, rows: of_file }) in held.iter().enumerate() {
            let mut found = vec![RecordBatch::new_empty(Table::Streams.schema())];
            if wanted.contains(&number) {
                let records: HashSet<Record> = records_of(of_file).collect();
                for batch in dataset::batches(self.lake, &self.key(*piece), None, ROWS)? {
                    let batch = batch?;
                    found.push(filtered(&batch, &are_of(&batch, &records)));
                }
            }
            rows.extend(together(&found));
        }
        rows.extend(new.iter().cloned());
        Ok(rows)
    }

    /// Writes the rows of files, as they were changed, into one.
    fn write(&self, to: Piece, from: &[Piece], change: Change, rows: &[RecordBatch]) -> Result<u64> {
        let mut parts = Vec::new();
        for piece in from {
            let Some(rows) = self.read(*piece, &PLACING)? else { continue };
            let leaves = |record: &Record| change.replaced.contains(record) || change.moved.contains(record);
            let stays = records_of(&rows).map(|record| !leaves(&record)).collect();
            let at_once = (ROWS / from.len()).max(1);
            let reader = dataset::batches(self.lake, &self.key(*piece), None, at_once)?;
            parts.push(Part { rows, stays, reader });
        }
        let rows = weave(parts, rows.to_vec(), &change.entering);
        dataset::write_as_read(self.lake, &self.key(to), Table::Streams, self.made, rows)
    }
}

/// What becomes of the files that hold rows, and of the years that have new ones.
fn plan(
    held: &[Held],
    left_over: &[Piece],
    versions: &[RecordBatch],
) -> (BTreeMap<Piece, Change>, BTreeMap<i16, Change>) {
    let mut holders: HashMap<Record, Vec<Piece>> = HashMap::new();
    for held in held.iter().filter(|held| !left_over.contains(&held.piece)) {
        records_of(&held.rows).for_each(|record| holders.entry(record).or_default().push(held.piece));
    }
    let mut changes: BTreeMap<Piece, Change> = BTreeMap::new();
    let mut years: BTreeMap<i16, Change> = BTreeMap::new();
    for best in pick(Table::Streams, versions) {
        let rows = Rows(&versions[best.0]);
        let record = (rows.text("user_id", best.1), rows.text("source_id", best.1));
        let start = rows.time("start_time", best.1).unwrap_or_default();
        let year = start.to_zoned(TimeZone::UTC).year();
        let holders = holders.get(&record).map_or(&[][..], Vec::as_slice);
        let home = holders.iter().find(|piece| piece.year == year);
        for other in holders.iter().filter(|piece| Some(*piece) != home) {
            changes.entry(*other).or_default().moved.insert(record.clone());
        }
        match home {
            Some(home) if held.get(best.0).is_some_and(|held| held.piece == *home) => {}
            Some(home) => {
                let change = changes.entry(*home).or_default();
                change.replaced.insert(record);
                change.entering.push(best);
            }
            None => years.entry(year).or_default().entering.push(best),
        }
    }
    (changes, years)
}

fn records_of(batch: &RecordBatch) -> impl Iterator<Item = Record> {
    let rows = Rows(batch);
    (0..batch.num_rows()).map(move |row| (rows.text("user_id", row), rows.text("source_id", row)))
}

fn are_of(batch: &RecordBatch, records: &HashSet<Record>) -> BooleanArray {
    records_of(batch).map(|record| Some(records.contains(&record))).collect()
}

fn filtered(batch: &RecordBatch, rows: &BooleanArray) -> RecordBatch {
    filter_record_batch(batch, rows).expect("a row has an answer each")
}

fn together(batches: &[RecordBatch]) -> Option<RecordBatch> {
    let first = batches.first()?;
    Some(concat_batches(&first.schema(), batches).expect("batches of one file have one schema"))
}
