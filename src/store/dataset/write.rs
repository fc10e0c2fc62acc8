//! Writing a file of a dataset, whole.

use std::io::{self, ErrorKind, Write};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
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
    let has_geometry = geometry::belongs_to(lake, key);
    let layout = Layout::of(table, empty, made_from, has_geometry);
    let mut unreadable: Option<Error> = None;
    let written = lake.backend().put(key, &mut |out| {
        let mut file = OpenFile::of(&layout, out).map_err(to_io)?;
        for batch in batches.by_ref() {
            match batch {
                Ok(batch) if has_geometry => file.add(&geometry::with_columns(&batch)).map_err(to_io)?,
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
    /// Of each column, how it is made.
    kinds: Vec<Kind>,
    properties: WriterProperties,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By the crate's own writer.
    Usual,
    /// Lists of points.
    Steps,
    /// No row has a value.
    Empty,
}

impl Layout {
    fn of(table: Table, empty: &[bool], made_from: &MadeFrom, has_geometry: bool) -> Layout {
        let (mut schema, columns) = (table.schema(), table.columns());
        let mut metadata = made_from.metadata();
        let kinds = columns.iter().enumerate().map(|(place, column)| {
            let is_empty = empty.get(place) == Some(&true) && schema.field(place).is_nullable();
            match column.encoding {
                Encoding::Steps => Kind::Steps,
                // That a column is empty is for readers to know before they look.
                _ if is_empty && !column.has_statistics => Kind::Empty,
                _ => Kind::Usual,
            }
        });
        let mut kinds: Vec<Kind> = kinds.collect();
        if has_geometry {
            schema = geometry::with_fields(&schema);
            kinds.resize(schema.fields().len(), Kind::Usual);
            metadata.push(geometry::metadata(None));
        }
        Layout {
            kinds,
            rows_per_group: table.rows_per_group(),
            properties: properties(&schema, &columns, empty).set_key_value_metadata(Some(metadata)).build(),
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
    /// Of each column, its leaves in the file.
    columns: Vec<Vec<Leaf>>,
}

enum Leaf {
    Usual(Box<ArrowColumnWriter>),
    Steps(Box<Steps>),
    Empty(ColumnDescPtr),
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
        let mut columns: Vec<Vec<Leaf>> = self.layout.kinds.iter().map(|_| Vec::new()).collect();
        for (at, (writer, column)) in writers.into_iter().zip(self.file.schema_descr().columns()).enumerate()
        {
            let place = self.file.schema_descr().get_column_root_idx(at);
            columns[place].push(match self.layout.kinds[place] {
                Kind::Usual => Leaf::Usual(Box::new(writer)),
                Kind::Steps => Leaf::Steps(Box::new(Steps::of(column.clone()))),
                Kind::Empty => Leaf::Empty(column.clone()),
            });
        }
        Ok(Group { rows: 0, columns })
    }

    fn end_group(&mut self) -> ParquetResult<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let mut out = self.file.next_row_group()?;
        for leaf in group.columns.into_iter().flatten() {
            match leaf {
                Leaf::Usual(writer) => writer.close()?.append_to_row_group(&mut out)?,
                Leaf::Steps(steps) => steps.close()?.append_to(&mut out)?,
                Leaf::Empty(column) => without_values(column, group.rows)?.append_to(&mut out)?,
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
        for (place, leaves) in self.columns.iter_mut().enumerate() {
            let column = batch.column(place);
            match layout.kinds[place] {
                Kind::Empty => {}
                Kind::Steps => {
                    for leaf in leaves {
                        if let Leaf::Steps(steps) = leaf {
                            steps.add(column.as_list())?;
                        }
                    }
                }
                Kind::Usual => {
                    for piece in pieces(column) {
                        let values = compute_leaves(layout.schema.field(place), &piece)?;
                        for (leaf, values) in leaves.iter_mut().zip(&values) {
                            if let Leaf::Usual(writer) = leaf {
                                writer.write(values)?;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
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
