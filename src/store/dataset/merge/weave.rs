//! Rows of streams out of several files, and new ones among them, while those files are read: a year of samples need not
//! fit in memory.

use std::collections::VecDeque;

use arrow::array::{ArrayRef, RecordBatch};

use super::{Keys, OUTPUT_ROWS_STREAMS, Row, sort_as_table, taken};
use crate::error::Result;
use crate::store::dataset::{Batches, Table};

/// The columns of streams that say where a row stands.
pub const PLACING: [&str; 3] = ["user_id", "source_id", "start_time"];

/// A file whose rows stand in the order of the table.
pub struct Part {
    /// The placing columns of its rows.
    pub rows: RecordBatch,
    /// Of each row, whether it is wanted.
    pub stays: Vec<bool>,
    /// The whole rows.
    pub reader: Batches,
}

/// The rows of the parts that stay, and `entering` ones of `new`, in the order of the table. Of a record there is one.
pub fn weave(
    parts: Vec<Part>,
    new: Vec<RecordBatch>,
    entering: &[Row],
) -> impl Iterator<Item = Result<RecordBatch>> {
    let order = order(&parts, &new, entering);
    let mut windows: Vec<Window> = parts.into_iter().map(|part| Window::of(part.reader)).collect();
    let schema = Table::Streams.schema();
    let mut at = 0;
    std::iter::from_fn(move || {
        let chunk = &order[at..order.len().min(at + OUTPUT_ROWS_STREAMS)];
        at += chunk.len();
        if chunk.is_empty() {
            return None;
        }
        for (number, window) in windows.iter_mut().enumerate() {
            let needed = || chunk.iter().filter(|row| row.0 == number).map(|row| row.1);
            if let (Some(first), Some(last)) = (needed().next(), needed().next_back())
                && let Err(e) = window.slide(first, last)
            {
                return Some(Err(e));
            }
        }
        let mut batches: Vec<&RecordBatch> = Vec::new();
        let mut begins = Vec::new();
        for window in &windows {
            begins.push(batches.len());
            batches.extend(&window.loaded);
        }
        let new_begin = batches.len();
        batches.extend(&new);
        let place = |row: &Row| match windows.get(row.0) {
            Some(window) => window.place(begins[row.0], row.1),
            None => (new_begin + row.0 - windows.len(), row.1),
        };
        let rows: Vec<Row> = chunk.iter().map(place).collect();
        let places = 0..schema.fields().len();
        let columns = places.map(|place| taken(batches.iter().map(|batch| batch.column(place)), &rows));
        let columns: Vec<ArrayRef> = columns.collect();
        Some(Ok(RecordBatch::try_new(schema.clone(), columns).expect("rows of one table have one schema")))
    })
}

/// The rows by the number of their part, or of their new batch behind those, and in it.
fn order(parts: &[Part], new: &[RecordBatch], entering: &[Row]) -> Vec<Row> {
    let batches = parts.iter().map(|part| &part.rows).chain(new);
    let keys: Vec<Keys> = batches.map(|batch| Keys::of(Table::Streams.key(), batch)).collect();
    let staying = |(number, part): (usize, &Part)| {
        let rows = part.stays.iter().enumerate().filter(|(_, stays)| **stays);
        rows.map(move |(row, _)| (number, row)).collect::<Vec<Row>>()
    };
    let mut order: Vec<Row> = parts.iter().enumerate().flat_map(staying).collect();
    order.extend(entering.iter().map(|row| (parts.len() + row.0, row.1)));
    sort_as_table(&keys, &mut order, |row| (*row, *row));
    order
}

/// The whole rows of a file that are in memory.
struct Window {
    reader: Batches,
    /// The number of the first one.
    begin: usize,
    loaded: VecDeque<RecordBatch>,
}

impl Window {
    fn of(reader: Batches) -> Window {
        Window { reader, begin: 0, loaded: VecDeque::new() }
    }

    /// Drops what lies before these rows, and reads on until all of them are there.
    fn slide(&mut self, first: usize, last: usize) -> Result<()> {
        let mut end = self.begin + self.loaded.iter().map(RecordBatch::num_rows).sum::<usize>();
        loop {
            while self.loaded.front().is_some_and(|batch| self.begin + batch.num_rows() <= first) {
                self.begin += self.loaded.pop_front().map_or(0, |batch| batch.num_rows());
            }
            if end > last {
                return Ok(());
            }
            let batch = self.reader.next().expect("the file has the rows whose places were read from it")?;
            end += batch.num_rows();
            self.loaded.push_back(batch);
        }
    }

    /// Where a row is, with the batches of this window beginning here among all.
    fn place(&self, begins: usize, row: usize) -> Row {
        let mut rest = row - self.begin;
        for (number, batch) in self.loaded.iter().enumerate() {
            if rest < batch.num_rows() {
                return (begins + number, rest);
            }
            rest -= batch.num_rows();
        }
        unreachable!("the window was moved to where the row is")
    }
}
