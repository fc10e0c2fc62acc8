//! Writing a file of a dataset, whole.

use std::io::{self, ErrorKind};

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;

use super::{MadeFrom, Table, properties};
use crate::error::{Error, Result};
use crate::store::backend::Key;
use crate::store::lake::Lake;

/// Replaces a file. Returns the bytes written.
pub fn write(
    lake: &Lake,
    key: &Key,
    table: Table,
    made_from: &MadeFrom,
    batches: impl IntoIterator<Item = RecordBatch>,
) -> Result<u64> {
    write_as_read(lake, key, table, made_from, batches.into_iter().map(Ok))
}

/// Replaces a file with rows that are read while they are written. Returns the bytes written.
pub fn write_as_read(
    lake: &Lake,
    key: &Key,
    table: Table,
    made_from: &MadeFrom,
    mut batches: impl Iterator<Item = Result<RecordBatch>>,
) -> Result<u64> {
    let properties = properties(&table.schema(), &table.columns(), table.rows_per_group())
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
                Ok(batch) => writer.write(&batch).map_err(to_io)?,
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
