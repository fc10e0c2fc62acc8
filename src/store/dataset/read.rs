//! Reading the files of a dataset.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::column::page::PageReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;
use twox_hash::XxHash64;

use super::geometry;
use super::keys::{activities_beside, sources};
use super::made_from::{MadeFrom, made_from};
use super::points::Points;
use super::stamp;
use crate::error::{Error, Result};
use crate::store::backend::Key;
use crate::store::lake::{Bucket, Lake};

/// Of a batch.
const ROWS: usize = 8192;
/// More columns than these are read with the whole file: one at a time would ask the disk for a hundred small pieces.
const FEW_COLUMNS: usize = 40;

/// What the footer of a file says; None where there is none.
pub(super) fn metadata(lake: &Lake, key: &Key) -> Result<Option<ArrowReaderMetadata>> {
    let Some(file) = lake.backend().open(key)? else { return Ok(None) };
    ArrowReaderMetadata::load(&file, Default::default()).map(Some).map_err(|e| damaged(lake, key, &e))
}

/// Refuses a file whose rows have other columns than this longrun's. `command` makes it anew.
pub fn check_schema(lake: &Lake, key: &Key, command: &str) -> Result<()> {
    let Some(metadata) = metadata(lake, key)? else { return Ok(()) };
    check(lake, key, metadata.metadata(), command)
}

fn check(lake: &Lake, key: &Key, metadata: &ParquetMetaData, command: &str) -> Result<()> {
    if MadeFrom::of(metadata).is_some() {
        return Ok(());
    }
    let what = format!("its columns are another longrun's; run `longrun {command}`, which makes it anew");
    Err(Error::damaged(lake.place(key), what))
}

/// Whether a file has tracks as lines, too.
pub fn has_geometry(lake: &Lake, key: &Key) -> Result<bool> {
    let Some(metadata) = metadata(lake, key)? else { return Ok(false) };
    Ok(metadata.parquet_schema().columns().iter().any(|leaf| geometry::is_one(&leaf.path().string())))
}

/// Changes when the file does; None where there is none. The end of a Parquet file says where its columns
/// are, how long, and what it was made from. Which run put it makes no difference.
pub fn fingerprint(lake: &Lake, key: &Key) -> Result<Option<u64>> {
    let Some(file) = lake.backend().open(key)? else { return Ok(None) };
    let length = file.stat.bytes;
    let read = || -> io::Result<u64> {
        let end = file.range(length.saturating_sub(8)..length)?;
        let footer = end.first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
        let begin = length.saturating_sub(8 + footer);
        let bytes = file.range(begin.saturating_sub(stamp::LENGTH)..length)?;
        let (before, end) = bytes.split_at(begin.min(stamp::LENGTH) as usize);
        let own = if stamp::parse(before).is_some() { length - stamp::LENGTH } else { length };
        Ok(XxHash64::oneshot(own, end))
    };
    read().map(Some).map_err(Error::io("read", lake.place(key)))
}

/// Rows of a file that is not there are none. `columns` names the wanted ones; None means all.
pub fn read(lake: &Lake, key: &Key, columns: Option<&[&str]>) -> Result<Vec<RecordBatch>> {
    rows(lake, key, columns, None)
}

/// The same of a file that is refused where its rows have other columns than this longrun's. `command` makes it anew.
pub fn read_checked(
    lake: &Lake,
    key: &Key,
    columns: Option<&[&str]>,
    command: &str,
) -> Result<Vec<RecordBatch>> {
    rows(lake, key, columns, Some(command))
}

fn rows(lake: &Lake, key: &Key, columns: Option<&[&str]>, command: Option<&str>) -> Result<Vec<RecordBatch>> {
    if columns.is_some_and(|columns| columns.len() <= FEW_COLUMNS) {
        let Some(file) = lake.backend().open(key)? else { return Ok(Vec::new()) };
        return of_columns(lake, key, file, columns, command, ROWS)?.collect();
    }
    let Some(bytes) = lake.backend().read(key)? else { return Ok(Vec::new()) };
    of_columns(lake, key, bytes, columns, command, ROWS)?.collect()
}

/// Every source's activities of a bucket.
pub fn activities(lake: &Lake, bucket: Bucket, columns: Option<&[&str]>) -> Result<Vec<RecordBatch>> {
    let mut batches = Vec::new();
    for source in sources(lake, bucket)? {
        let key = lake.activities(&source, bucket);
        batches.extend(read_checked(lake, &key, columns, "normalize")?);
    }
    Ok(batches)
}

/// The rows of a file; none where it is of another schema.
pub fn current(lake: &Lake, key: &Key) -> Result<Vec<RecordBatch>> {
    if made_from(lake, key)?.is_some() { read(lake, key, None) } else { Ok(Vec::new()) }
}

/// Rows of a file, some at a time.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>>>;

/// Reads a file some rows at a time.
pub fn batches(lake: &Lake, key: &Key, columns: Option<&[&str]>, rows: usize) -> Result<Batches> {
    let Some(file) = lake.backend().open(key)? else { return Ok(Box::new(std::iter::empty())) };
    of_columns(lake, key, file, columns, None, rows)
}

/// Where a command is named that makes the file anew, its schema is checked.
fn of_columns<R: ChunkReader + Clone + 'static>(
    lake: &Lake,
    key: &Key,
    file: R,
    columns: Option<&[&str]>,
    command: Option<&str>,
    rows: usize,
) -> Result<Batches> {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file.clone()).map_err(|e| damaged(lake, key, &e))?;
    if let Some(command) = command {
        check(lake, key, builder.metadata(), command)?;
    }
    let mask = match columns {
        Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
        // The lines of tracks are made of the lists, which are what longrun reads.
        None => {
            let all = builder.parquet_schema();
            let own =
                (0..all.num_columns()).filter(|leaf| !geometry::is_one(&all.column(*leaf).path().string()));
            ProjectionMask::leaves(all, own)
        }
    };
    let (mut points, mask) = Points::of(&file, &builder, &mask);
    let mut reader =
        builder.with_projection(mask).with_batch_size(rows).build().map_err(|e| damaged(lake, key, &e))?;
    let mut next =
        move || reader.next().map(|batch| points.among(batch?).map_err(ArrowError::from)).transpose();
    let (lake, key) = (lake.clone(), key.clone());
    Ok(Box::new(std::iter::from_fn(move || {
        unless_it_panics(&mut next).map_err(|e| damaged(&lake, &key, &e)).transpose()
    })))
}

/// The header of a page has no checksum, and the crate panics over some that contradict each other.
fn unless_it_panics<T>(read: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, ArrowError> {
    let contradiction = || ArrowError::ParquetError("its pages contradict each other".to_string());
    panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(contradiction()))
}

/// Reads every page of a file, each with its checksum, and no value of them.
pub fn check_pages(lake: &Lake, key: &Key) -> Result<()> {
    let Some(bytes) = lake.backend().read(key)? else { return Ok(()) };
    let pages = || -> Result<(), ParquetError> {
        let metadata = ArrowReaderMetadata::load(&bytes, Default::default())?;
        let file = Arc::new(bytes.clone());
        for group in metadata.metadata().row_groups() {
            let rows = group.num_rows().unsigned_abs() as usize;
            for chunk in group.columns() {
                let mut pages = SerializedPageReader::new(file.clone(), chunk, rows, None)?;
                let mut values = 0;
                while let Some(page) = pages.get_next_page()? {
                    values += if page.is_dictionary_page() { 0 } else { i64::from(page.num_values()) };
                }
                if values != chunk.num_values() {
                    return Err(ParquetError::General(
                        "its pages have not as many values as they should".to_string(),
                    ));
                }
            }
        }
        Ok(())
    };
    pages().map_err(|e| damaged(lake, key, &e))
}

/// Some rows of a file, by their numbers, which ascend.
pub fn read_rows(lake: &Lake, key: &Key, columns: &[&str], rows: &[usize]) -> Result<Vec<RecordBatch>> {
    let Some(file) = lake.backend().open(key)? else { return Ok(Vec::new()) };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(lake, key, &e))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let total = builder.metadata().file_metadata().num_rows().unsigned_abs() as usize;
    if rows.last().is_none_or(|last| *last >= total) {
        return Ok(Vec::new());
    }
    let wanted = rows.iter().map(|row| *row..row + 1);
    let selection = RowSelection::from_consecutive_ranges(wanted, total);
    let reader = builder.with_projection(mask).with_row_selection(selection).build();
    let reader = reader.map_err(|e| damaged(lake, key, &e))?;
    unless_it_panics(|| reader.collect()).map_err(|e| damaged(lake, key, &e))
}

/// The number of rows, from the footer alone.
pub fn row_count(lake: &Lake, key: &Key) -> Result<u64> {
    let Some(metadata) = metadata(lake, key)? else { return Ok(0) };
    Ok(metadata.metadata().file_metadata().num_rows().unsigned_abs())
}

/// The greatest word of a column, by the statistics of its row groups; None where there is no row, or no statistics.
pub fn greatest_word(lake: &Lake, key: &Key, column: &str) -> Result<Option<String>> {
    let Some(metadata) = metadata(lake, key)? else { return Ok(None) };
    let groups = metadata.metadata().row_groups().iter();
    let chunks =
        groups.flat_map(|group| group.columns()).filter(|chunk| chunk.column_path().string() == column);
    let greatest = chunks.filter_map(|chunk| chunk.statistics()?.max_bytes_opt());
    Ok(greatest.max().map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

/// What makes a file anew.
fn way_out(lake: &Lake, key: &Key) -> String {
    if key.is_below(&lake.golden_folder()) || key.is_below(&lake.matches_folder()) {
        return "delete it and run `longrun dedupe`, which makes it anew".to_string();
    }
    // Samples and rejects are written beside the activities of a source and bucket, whose file says what was read.
    match activities_beside(lake, key) {
        Some(activities) => format!(
            "delete it and {}, and run `longrun normalize`, which makes both anew",
            lake.place(&activities).display()
        ),
        None => "delete it and run `longrun normalize`, which makes it anew".to_string(),
    }
}

pub(super) fn damaged(lake: &Lake, key: &Key, error: &dyn std::fmt::Display) -> Error {
    Error::damaged(lake.place(key), format!("{error}; {}", way_out(lake, key)))
}
