//! Writing a file of a dataset, whole.

use std::io::{self, ErrorKind};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;

use super::{MadeFrom, Table, properties};
use crate::error::{Error, Result};
use crate::store::backend::Key;
use crate::store::lake::Lake;

/// Values that are turned into levels and pages at a time. The writer holds several numbers for each, and pieces of memory
/// of this size are used again where those for all rows would be fresh pages each time.
const VALUES_AT_A_TIME: usize = 64 << 10;

/// Replaces a file. Returns the bytes written.
pub fn write(
    lake: &Lake,
    key: &Key,
    table: Table,
    made_from: &MadeFrom,
    batches: impl IntoIterator<Item = RecordBatch>,
) -> Result<u64> {
    let batches: Vec<RecordBatch> = batches.into_iter().collect();
    let has_value = |place: usize| batches.iter().any(|batch| has_values(batch.column(place)));
    let empty: Vec<bool> = (0..table.schema().fields().len()).map(|place| !has_value(place)).collect();
    put(lake, key, table, made_from, &empty, batches.into_iter().map(Ok))
}

/// Replaces a file with rows that are read while they are written. Returns the bytes written.
pub fn write_as_read(
    lake: &Lake,
    key: &Key,
    table: Table,
    made_from: &MadeFrom,
    batches: impl Iterator<Item = Result<RecordBatch>>,
) -> Result<u64> {
    put(lake, key, table, made_from, &[], batches)
}

fn has_values(column: &ArrayRef) -> bool {
    column.null_count() < column.len()
}

/// `empty` says of each column whether no row has a value of it, where that is known.
fn put(
    lake: &Lake,
    key: &Key,
    table: Table,
    made_from: &MadeFrom,
    empty: &[bool],
    mut batches: impl Iterator<Item = Result<RecordBatch>>,
) -> Result<u64> {
    let properties = properties(&table.schema(), &table.columns(), empty, table.rows_per_group())
        .set_key_value_metadata(Some(made_from.metadata()))
        .build();
    let mut unreadable: Option<Error> = None;
    let written = lake.backend().put(key, &mut |out| {
        // The columns' Parquet types say all that the Arrow schema would.
        let options =
            ArrowWriterOptions::new().with_properties(properties.clone()).with_skip_arrow_metadata(true);
        let mut writer = ArrowWriter::try_new_with_options(out, table.schema(), options).map_err(to_io)?;
        for batch in batches.by_ref() {
            match batch {
                Ok(batch) => pieces(&batch).try_for_each(|piece| writer.write(&piece)).map_err(to_io)?,
                Err(e) => {
                    unreadable = Some(e);
                    return Err(ErrorKind::InvalidData.into());
                }
            }
        }
        writer.close().map(drop).map_err(to_io)
    });
    match unreadable {
        Some(e) => Err(e),
        None => written,
    }
}

/// The rows of a batch, few enough at a time.
fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let longest = batch.columns().iter().filter_map(|column| column.as_list_opt::<i32>());
    let values = longest.map(|list| list.values().len()).max().unwrap_or(0).max(batch.num_rows());
    let rows = (VALUES_AT_A_TIME * batch.num_rows() / values.max(1)).clamp(1, batch.num_rows().max(1));
    (0..batch.num_rows()).step_by(rows).map(move |at| batch.slice(at, rows.min(batch.num_rows() - at)))
}

/// A full disk comes wrapped; its kind is what tells the way out.
fn to_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(inner) => *inner,
            Err(inner) => io::Error::other(inner),
        },
        other => io::Error::other(other),
    }
}
