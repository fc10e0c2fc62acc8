//! The store of normalized rows: Parquet files of one source and bucket, replaced whole.
//!
//! ```text
//! activities/source=strava/bucket=017.parquet            rows by user, start, id
//! streams/source=strava/bucket=017/year=2024.parquet
//! rejects/source=strava/bucket=017.parquet
//! matches/bucket=017.parquet
//! golden/bucket=017.parquet
//! ```
//!
//! A file of activities says in its own metadata how far into the landing and the log of archives
//! it was made from, so rows and progress commit together: it is written last, after the streams
//! and rejects of the same landing.

pub mod cells;
pub mod merge;

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use twox_hash::XxHash64;

use crate::error::{Error, Result};
use crate::model::activity::{Activity, Reject, SCHEMA_VERSION, Streams};
use crate::model::columns::{Columns, Record};
use crate::model::golden;
use crate::model::pair::Match;
use crate::sources::Source;
use crate::store::lake::{Bucket, Lake};
use crate::store::local;

/// One of the datasets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Activities,
    Streams,
    Rejects,
    Matches,
    Golden,
}

impl Table {
    pub fn schema(self) -> SchemaRef {
        Arc::new(Schema::new(match self {
            Table::Activities => <Activity as Record>::Columns::fields(),
            Table::Streams => <Streams as Record>::Columns::fields(),
            Table::Rejects => <Reject as Record>::Columns::fields(),
            Table::Matches => <Match as Record>::Columns::fields(),
            Table::Golden => return golden::schema(),
        }))
    }

    /// What makes two rows versions of one.
    fn key(self) -> &'static [&'static str] {
        match self {
            Table::Activities | Table::Streams => &["user_id", "source_id"],
            Table::Rejects => &["user_id", "raw_ref", "field", "reason"],
            Table::Matches | Table::Golden => unreachable!("they are made anew, and have no versions"),
        }
    }

    /// Rows of streams are long: a group of few of them already fills a reader's memory.
    fn rows_per_group(self) -> usize {
        match self {
            Table::Activities | Table::Rejects | Table::Matches | Table::Golden => 65_536,
            Table::Streams => 256,
        }
    }
}

/// Rows of one record type as a batch.
pub fn batch<R: Record>(columns: &mut R::Columns) -> RecordBatch {
    let schema = Arc::new(Schema::new(R::Columns::fields()));
    RecordBatch::try_new(schema, columns.finish()).expect("the columns are of the schema by construction")
}

/// What a file says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The landing was taken up to here.
    pub landing_offset: u64,
    /// The log of imported archives was taken up to here.
    pub archives_offset: u64,
    /// Who told the rows.
    pub origins: Origins,
    /// Of the rules and the ledger that the rows were marked with.
    pub annotations: u64,
    /// Of the files that it was made from, where it was made from other datasets.
    pub made_from: u64,
}

/// Who told the rows of a file: the API, archives, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origins {
    pub api: bool,
    pub archive: bool,
}

const OFFSET_KEY: &str = "longrun.landing_offset";
const ARCHIVES_KEY: &str = "longrun.archives_offset";
const ORIGINS_KEY: &str = "longrun.origins";
const ANNOTATIONS_KEY: &str = "longrun.annotations";
const MADE_FROM_KEY: &str = "longrun.made_from";
const VERSION_KEY: &str = "longrun.schema_version";

/// Replaces a file. Returns the bytes written.
pub fn write(
    path: &Path,
    table: Table,
    provenance: Provenance,
    batches: impl IntoIterator<Item = RecordBatch>,
) -> Result<u64> {
    write_as_read(path, table, provenance, batches.into_iter().map(Ok))
}

/// Replaces a file with rows that are read while they are written. Returns the bytes written.
pub fn write_as_read(
    path: &Path,
    table: Table,
    provenance: Provenance,
    batches: impl Iterator<Item = Result<RecordBatch>>,
) -> Result<u64> {
    let entry = |key: &str, value: String| KeyValue::new(key.to_string(), value);
    let properties = properties(table)
        .set_key_value_metadata(Some(vec![
            entry(VERSION_KEY, SCHEMA_VERSION.to_string()),
            entry(OFFSET_KEY, provenance.landing_offset.to_string()),
            entry(ARCHIVES_KEY, provenance.archives_offset.to_string()),
            entry(ORIGINS_KEY, provenance.origins.number().to_string()),
            entry(ANNOTATIONS_KEY, provenance.annotations.to_string()),
            entry(MADE_FROM_KEY, provenance.made_from.to_string()),
        ]))
        .build();
    let mut unreadable = None;
    let written = local::replace(path, |out| {
        // The columns' Parquet types say all that the Arrow schema would.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let mut writer = ArrowWriter::try_new_with_options(out, table.schema(), options).map_err(to_io)?;
        for batch in batches {
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

fn properties(table: Table) -> parquet::file::properties::WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(3).expect("the level exists");
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by(concat!("longrun ", env!("CARGO_PKG_VERSION")).to_string())
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(table.rows_per_group()));
    let schema = ArrowSchemaConverter::new().convert(&table.schema()).expect("the schema is plain");
    for column in schema.columns() {
        let path = column.path().clone();
        let name = path.parts()[0].as_str();
        // What people look for. Footers of small files would be mostly the extremes of the others.
        if matches!(
            name,
            "user_id" | "source_id" | "start_time" | "sport" | "distance_m" | "elapsed_s" | "fetched_at"
        ) {
            properties = properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::Chunk);
        }
        // Neighbouring points, and sample times, differ by little.
        let is_walk = matches!(name, "track_lat_e5" | "track_lon_e5" | "lat_e7" | "lon_e7" | "time_s");
        if is_walk {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        } else if matches!(name, "raw_ref" | "source_id") {
            // Each value shares most of its characters with the one before.
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BYTE_ARRAY);
        }
    }
    properties
}

/// What a file says of itself; None where there is none, or one of another schema, which the
/// landing is read for anew.
pub fn provenance(path: &Path) -> Result<Option<Provenance>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let metadata = ArrowReaderMetadata::load(&file, Default::default()).map_err(|e| damaged(path, &e))?;
    let entries = metadata.metadata().file_metadata().key_value_metadata();
    let value = |key: &str| -> Option<u64> {
        entries?.iter().find(|entry| entry.key == key)?.value.as_deref()?.parse().ok()
    };
    if value(VERSION_KEY) != Some(SCHEMA_VERSION as u64) {
        return Ok(None);
    }
    let read = || {
        Some(Provenance {
            landing_offset: value(OFFSET_KEY)?,
            archives_offset: value(ARCHIVES_KEY)?,
            origins: Origins::of_number(value(ORIGINS_KEY)?),
            annotations: value(ANNOTATIONS_KEY)?,
            made_from: value(MADE_FROM_KEY).unwrap_or_default(),
        })
    };
    Ok(read())
}

impl Origins {
    fn number(self) -> u64 {
        u64::from(self.api) | u64::from(self.archive) << 1
    }

    fn of_number(number: u64) -> Origins {
        Origins { api: number & 1 == 1, archive: number & 2 == 2 }
    }

    pub fn are_both(self) -> bool {
        self.api && self.archive
    }
}

/// Refuses a file whose rows have other columns than this longrun's. `command` makes it anew.
pub fn check_schema(path: &Path, command: &str) -> Result<()> {
    if path.exists() && provenance(path)?.is_none() {
        let what = format!("its columns are another longrun's; run `longrun {command}`, which makes it anew");
        return Err(Error::damaged(path, what));
    }
    Ok(())
}

/// Changes when the file does; None where there is none. The end of a Parquet file says where its columns
/// are, how long, and what it was made from.
pub fn fingerprint(path: &Path) -> Result<Option<u64>> {
    let Some(mut file) = open(path)? else { return Ok(None) };
    let mut read = || -> io::Result<u64> {
        let length = file.metadata()?.len();
        let mut end = Vec::new();
        file.seek(SeekFrom::Start(length.saturating_sub(8)))?;
        file.read_to_end(&mut end)?;
        let footer = end.first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
        file.seek(SeekFrom::Start(length.saturating_sub(8 + footer)))?;
        end.clear();
        file.read_to_end(&mut end)?;
        Ok(XxHash64::oneshot(length, &end))
    };
    read().map(Some).map_err(Error::io("read", path))
}

/// Rows of a file that is not there are none. `columns` names the wanted ones; None means all.
pub fn read(path: &Path, columns: Option<&[&str]>) -> Result<Vec<RecordBatch>> {
    const ROWS: usize = 8192;
    if columns.is_some() {
        return batches(path, columns, ROWS)?.collect();
    }
    // All of it at once: a column at a time would ask the disk for a hundred small pieces.
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Bytes::from(bytes),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("read", path)(e)),
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| damaged(path, &e))?;
    let reader = reader.with_batch_size(ROWS).build().map_err(|e| damaged(path, &e))?;
    reader.map(|batch| batch.map_err(|e| damaged(path, &e))).collect()
}

/// Every source's activities of a bucket.
pub fn activities(lake: &Lake, bucket: Bucket, columns: Option<&[&str]>) -> Result<Vec<RecordBatch>> {
    let mut batches = Vec::new();
    for source in Source::ALL {
        let path = lake.activities(source.name(), bucket);
        check_schema(&path, "normalize")?;
        batches.extend(read(&path, columns)?);
    }
    Ok(batches)
}

/// Rows of a file, some at a time.
pub fn batches(
    path: &Path,
    columns: Option<&[&str]>,
    rows: usize,
) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>>>> {
    let Some(file) = open(path)? else { return Ok(Box::new(std::iter::empty())) };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(path, &e))?;
    let mask = match columns {
        Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
        None => ProjectionMask::all(),
    };
    let reader =
        builder.with_projection(mask).with_batch_size(rows).build().map_err(|e| damaged(path, &e))?;
    let path = path.to_path_buf();
    Ok(Box::new(reader.map(move |batch| batch.map_err(|e| damaged(&path, &e)))))
}

/// Some rows of a file, by their numbers, which ascend.
pub fn read_rows(path: &Path, columns: &[&str], rows: &[usize]) -> Result<Vec<RecordBatch>> {
    let Some(file) = open(path)? else { return Ok(Vec::new()) };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(path, &e))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let total = builder.metadata().file_metadata().num_rows().unsigned_abs() as usize;
    if rows.last().is_none_or(|last| *last >= total) {
        return Ok(Vec::new());
    }
    let wanted = rows.iter().map(|row| *row..row + 1);
    let selection = RowSelection::from_consecutive_ranges(wanted, total);
    let reader = builder.with_projection(mask).with_row_selection(selection).build();
    reader.map_err(|e| damaged(path, &e))?.map(|batch| batch.map_err(|e| damaged(path, &e))).collect()
}

/// The number of rows, from the footer alone.
pub fn row_count(path: &Path) -> Result<u64> {
    let Some(file) = open(path)? else { return Ok(0) };
    let metadata = ArrowReaderMetadata::load(&file, Default::default()).map_err(|e| damaged(path, &e))?;
    Ok(metadata.metadata().file_metadata().num_rows().unsigned_abs())
}

fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::damaged(path, format!("{error}; delete it and run `longrun normalize`, which makes it anew"))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, TimeUnit};

    use super::*;

    #[test]
    fn lists_and_times_are_named_and_counted_as_every_reader_expects() {
        fn check(field: &Field) {
            match field.data_type() {
                DataType::List(of) => {
                    assert_eq!(of.name(), "element", "of {}", field.name());
                    check(of);
                }
                DataType::Struct(fields) => fields.iter().for_each(|field| check(field)),
                DataType::Timestamp(unit, zone) => {
                    let is = (*unit, zone.as_deref());
                    assert_eq!(is, (TimeUnit::Microsecond, Some("UTC")), "{}", field.name());
                }
                _ => {}
            }
        }
        for table in [Table::Activities, Table::Streams, Table::Rejects, Table::Matches, Table::Golden] {
            table.schema().fields().iter().for_each(|field| check(field));
        }
    }

    #[test]
    fn a_file_reads_back_with_the_schema_it_was_written_with() {
        let dir = tempfile::tempdir().unwrap();
        for table in [Table::Activities, Table::Streams, Table::Rejects, Table::Matches, Table::Golden] {
            let path = dir.path().join("t.parquet");
            let origins = Origins { api: true, archive: false };
            let provenance = Provenance {
                landing_offset: 7,
                archives_offset: 8,
                origins,
                annotations: u64::MAX,
                made_from: 9,
            };
            write(&path, table, provenance, [RecordBatch::new_empty(table.schema())]).unwrap();
            let file = open(&path).unwrap().unwrap();
            let read = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            assert_eq!(read.schema().fields(), table.schema().fields());
            assert_eq!(super::provenance(&path).unwrap(), Some(provenance));
        }
    }
}
