//! Writing a file of a dataset, whole.

use std::io::{self, ErrorKind, Write};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Field, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnDescPtr;

use super::steps::{Steps, without_values};
use super::{MadeFrom, Table, geometry, properties};
use crate::error::{Error, Result};
use crate::model::column::Encoding;
use crate::model::sparse::null_array;
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
    let has_geometry = geometry::belongs_to(lake, key);
    let layout = Layout::of(table, made_from, has_geometry);
    let mut unreadable: Option<Error> = None;
    let written = lake.backend().put(key, &mut |out| {
        let mut file = OpenFile::of(&layout, out).map_err(to_io)?;
        for batch in batches.by_ref() {
            match batch {
                Ok(batch) if has_geometry => {
                    geometry::with_columns(&batch).try_for_each(|piece| file.add(&piece)).map_err(to_io)?;
                }
                Ok(batch) => file.add(&batch).map_err(to_io)?,
                Err(e) => {
                    unreadable = Some(e);
                    return Err(ErrorKind::InvalidData.into());
                }
            }
        }
        file.close().map_err(to_io)
    });
    match unreadable {
        Some(e) => Err(e),
        None => written,
    }
}

/// How a file is laid out.
struct Layout {
    schema: SchemaRef,
    rows_per_group: usize,
    /// Of each column, whether it has the points of tracks.
    are_steps: Vec<bool>,
    properties: WriterProperties,
}

impl Layout {
    fn of(table: Table, made_from: &MadeFrom, has_geometry: bool) -> Layout {
        let (mut schema, columns) = (table.schema(), table.columns());
        let mut metadata = made_from.metadata();
        let mut are_steps: Vec<bool> =
            columns.iter().map(|column| column.encoding == Encoding::Steps).collect();
        if has_geometry {
            schema = geometry::with_fields(&schema);
            are_steps.resize(schema.fields().len(), false);
            metadata.push(geometry::metadata(None));
        }
        Layout {
            are_steps,
            rows_per_group: table.rows_per_group(),
            properties: properties(&schema, &columns).set_key_value_metadata(Some(metadata)).build(),
            schema,
        }
    }
}

/// A file on its way, of which one row group is in the making.
struct OpenFile<'a, W: Write + Send> {
    layout: &'a Layout,
    file: SerializedFileWriter<W>,
    factory: ArrowRowGroupWriterFactory,
    group: Option<Group>,
}

struct Group {
    rows: usize,
    columns: Vec<OpenColumn>,
}

enum OpenColumn {
    Steps(Box<Steps>),
    /// Half of an activity's columns have no value in a whole file. Such a one is counted until it has a value.
    Usual {
        nulls: usize,
        has_values: bool,
        leaves: Vec<(ColumnDescPtr, ArrowColumnWriter)>,
    },
}

impl<'a, W: Write + Send> OpenFile<'a, W> {
    fn of(layout: &'a Layout, out: W) -> ParquetResult<Self> {
        // The columns' Parquet types say all that the Arrow schema would.
        let options = ArrowWriterOptions::new()
            .with_properties(layout.properties.clone())
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(out, layout.schema.clone(), options)?;
        let (file, factory) = writer.into_serialized_writer()?;
        Ok(OpenFile { layout, file, factory, group: None })
    }

    fn add(&mut self, batch: &RecordBatch) -> ParquetResult<()> {
        let mut at = 0;
        while at < batch.num_rows() {
            let mut group = match self.group.take() {
                Some(group) => group,
                None => self.begin_group()?,
            };
            let rows = (batch.num_rows() - at).min(self.layout.rows_per_group - group.rows);
            group.add(self.layout, &batch.slice(at, rows))?;
            at += rows;
            let is_full = group.rows == self.layout.rows_per_group;
            self.group = Some(group);
            if is_full {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn begin_group(&self) -> ParquetResult<Group> {
        let writers = self.factory.create_column_writers(self.file.flushed_row_groups().len())?;
        let leaves = self.file.schema_descr();
        let mut columns: Vec<OpenColumn> = Vec::with_capacity(self.layout.are_steps.len());
        for (at, (writer, leaf)) in writers.into_iter().zip(leaves.columns()).enumerate() {
            let place = leaves.get_column_root_idx(at);
            let leaf = leaf.clone();
            match columns.get_mut(place) {
                Some(OpenColumn::Usual { leaves, .. }) => leaves.push((leaf, writer)),
                _ if self.layout.are_steps[place] => {
                    columns.push(OpenColumn::Steps(Box::new(Steps::of(leaf))));
                }
                _ => {
                    let leaves = vec![(leaf, writer)];
                    columns.push(OpenColumn::Usual { nulls: 0, has_values: false, leaves });
                }
            }
        }
        Ok(Group { rows: 0, columns })
    }

    fn end_group(&mut self) -> ParquetResult<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let mut out = self.file.next_row_group()?;
        for column in group.columns {
            match column {
                OpenColumn::Steps(steps) => steps.close()?.append_to(&mut out)?,
                OpenColumn::Usual { has_values, leaves, .. } => {
                    for (leaf, writer) in leaves {
                        if has_values {
                            writer.close()?.append_to_row_group(&mut out)?;
                        } else {
                            without_values(leaf, group.rows)?.append_to(&mut out)?;
                        }
                    }
                }
            }
        }
        out.close().map(drop)
    }

    fn close(mut self) -> ParquetResult<()> {
        self.end_group()?;
        self.file.close().map(drop)
    }
}

impl Group {
    fn add(&mut self, layout: &Layout, batch: &RecordBatch) -> ParquetResult<()> {
        self.rows += batch.num_rows();
        for ((open, column), field) in
            self.columns.iter_mut().zip(batch.columns()).zip(layout.schema.fields())
        {
            match open {
                OpenColumn::Steps(steps) => steps.add(column.as_list())?,
                OpenColumn::Usual { nulls, has_values: false, .. } if column.null_count() == column.len() => {
                    *nulls += column.len();
                }
                OpenColumn::Usual { nulls, has_values, leaves } => {
                    let before = std::mem::take(nulls);
                    if !std::mem::replace(has_values, true) && before > 0 {
                        write_leaves(field, &null_array(field.data_type(), before), leaves)?;
                    }
                    pieces(column).try_for_each(|piece| write_leaves(field, &piece, leaves))?;
                }
            }
        }
        Ok(())
    }
}

fn write_leaves(
    field: &Field,
    column: &ArrayRef,
    leaves: &mut [(ColumnDescPtr, ArrowColumnWriter)],
) -> ParquetResult<()> {
    let values = compute_leaves(field, column)?;
    leaves.iter_mut().zip(&values).try_for_each(|((_, writer), values)| writer.write(values))
}

/// A column, few enough values at a time.
fn pieces(column: &ArrayRef) -> impl Iterator<Item = ArrayRef> {
    let rows = column.len();
    let values = column.as_list_opt::<i32>().map_or(0, |list| list.values().len()).max(rows);
    let step = (VALUES_AT_A_TIME * rows / values.max(1)).clamp(1, rows.max(1));
    (0..rows).step_by(step).map(move |at| column.slice(at, step.min(rows - at)))
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
