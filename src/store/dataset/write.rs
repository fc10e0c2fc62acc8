//! Writing a file of a dataset, whole.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnDescPtr;

use super::pages::{Closed, compressed};
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
    properties: WriterPropertiesPtr,
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
            properties: Arc::new(
                properties(&schema, &columns).set_key_value_metadata(Some(metadata)).build(),
            ),
            schema,
        }
    }

    /// The crate gives the writers of a whole file, so this is one with that column.
    fn alone(&self, field: &Arc<Field>) -> ParquetResult<Alone> {
        let schema = Arc::new(Schema::new([field.clone()].to_vec()));
        let root = ArrowSchemaConverter::new().convert(&schema)?.root_schema_ptr();
        let file = SerializedFileWriter::new(Vec::new(), root, self.properties.clone())?;
        let leaves = ArrowRowGroupWriterFactory::new(&file, schema).create_column_writers(0)?;
        Ok(Alone { file, leaves })
    }
}

/// A file on its way, of which one row group is in the making.
struct OpenFile<'a, W: Write + Send> {
    layout: &'a Layout,
    file: SerializedFileWriter<W>,
    group: Option<Group>,
}

struct Group {
    rows: usize,
    columns: Vec<OpenColumn>,
}

enum OpenColumn {
    Steps(Box<Steps>),
    /// Half of an activity's columns have no value in a whole file. Such a one is counted until it has a value: a writer
    /// takes memory from the beginning.
    Nulls(usize),
    Usual(Box<Alone>),
}

/// A file in memory of one column, whose pages are not compressed yet.
struct Alone {
    file: SerializedFileWriter<Vec<u8>>,
    leaves: Vec<ArrowColumnWriter>,
}

impl<'a, W: Write + Send> OpenFile<'a, W> {
    fn of(layout: &'a Layout, out: W) -> ParquetResult<Self> {
        // The columns' Parquet types say all that the Arrow schema would.
        let schema = ArrowSchemaConverter::new().convert(&layout.schema)?;
        let file = SerializedFileWriter::new(out, schema.root_schema_ptr(), layout.properties.clone())?;
        Ok(OpenFile { layout, file, group: None })
    }

    fn add(&mut self, batch: &RecordBatch) -> ParquetResult<()> {
        let mut at = 0;
        while at < batch.num_rows() {
            let mut group = match self.group.take() {
                Some(group) => group,
                None => self.begin_group(),
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

    /// The leaves of a column, which lie side by side.
    fn leaves(&self, place: usize) -> impl Iterator<Item = &ColumnDescPtr> {
        let all = self.file.schema_descr();
        let own = move |(at, _): &(usize, _)| all.get_column_root_idx(*at) == place;
        all.columns().iter().enumerate().skip_while(move |at| !own(at)).take_while(own).map(|(_, leaf)| leaf)
    }

    fn begin_group(&self) -> Group {
        let column = |(place, has_steps): (usize, &bool)| match self.leaves(place).next() {
            Some(leaf) if *has_steps => OpenColumn::Steps(Box::new(Steps::of(leaf.clone()))),
            _ => OpenColumn::Nulls(0),
        };
        Group { rows: 0, columns: self.layout.are_steps.iter().enumerate().map(column).collect() }
    }

    fn end_group(&mut self) -> ParquetResult<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let leaves: Vec<Vec<ColumnDescPtr>> =
            (0..group.columns.len()).map(|place| self.leaves(place).cloned().collect()).collect();
        let mut out = self.file.next_row_group()?;
        for (column, leaves) in group.columns.into_iter().zip(leaves) {
            match column {
                OpenColumn::Steps(steps) => steps.close()?.append_to(&mut out)?,
                OpenColumn::Nulls(rows) => {
                    leaves
                        .into_iter()
                        .try_for_each(|leaf| without_values(leaf, rows)?.append_to(&mut out))?;
                }
                OpenColumn::Usual(alone) => {
                    alone.close()?.into_iter().try_for_each(|leaf| leaf.append_to(&mut out))?;
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
                OpenColumn::Nulls(rows) if column.null_count() == column.len() => *rows += column.len(),
                OpenColumn::Nulls(rows) => {
                    let mut alone = layout.alone(field)?;
                    if *rows > 0 {
                        alone.add(field, &null_array(field.data_type(), *rows))?;
                    }
                    pieces(column).try_for_each(|piece| alone.add(field, &piece))?;
                    *open = OpenColumn::Usual(Box::new(alone));
                }
                OpenColumn::Usual(alone) => {
                    pieces(column).try_for_each(|piece| alone.add(field, &piece))?;
                }
            }
        }
        Ok(())
    }
}

impl Alone {
    fn add(&mut self, field: &Field, column: &ArrayRef) -> ParquetResult<()> {
        let values = compute_leaves(field, column)?;
        self.leaves.iter_mut().zip(&values).try_for_each(|(writer, values)| writer.write(values))
    }

    /// The chunks of the leaves, compressed.
    fn close(mut self) -> ParquetResult<Vec<Closed>> {
        let mut group = self.file.next_row_group()?;
        for leaf in self.leaves {
            leaf.close()?.append_to_row_group(&mut group)?;
        }
        let chunks = group.close()?;
        let file = Arc::new(Bytes::from(self.file.into_inner()?));
        chunks.columns().iter().map(|chunk| compressed(&file, chunk, chunks.num_rows())).collect()
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

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, StringArray};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ArrowReaderMetadata;
    use parquet::arrow::arrow_writer::ArrowWriterOptions;
    use parquet::basic::{Compression, Encoding, ZstdLevel};
    use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
    use parquet::file::serialized_reader::SerializedPageReader;
    use parquet::schema::types::ColumnPath;
    use proptest::prelude::*;

    use super::*;
    use crate::model::columns::{Builder, Cell};

    /// With pages and dictionaries that are soon full.
    fn properties() -> WriterPropertiesBuilder {
        let numbers = ColumnPath::from("numbers");
        WriterProperties::builder()
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_write_batch_size(16)
            .set_data_page_size_limit(300)
            .set_dictionary_page_size_limit(600)
            .set_column_dictionary_enabled(numbers.clone(), false)
            .set_column_encoding(numbers, Encoding::BYTE_STREAM_SPLIT)
    }

    /// The file of a writer that compresses by itself.
    fn slow(rows: &RecordBatch) -> Vec<u8> {
        let packed = properties().set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap())).build();
        let options = ArrowWriterOptions::new().with_properties(packed).with_skip_arrow_metadata(true);
        let mut writer = ArrowWriter::try_new_with_options(Vec::new(), rows.schema(), options).unwrap();
        writer.write(rows).unwrap();
        writer.into_inner().unwrap()
    }

    fn fast(rows: &RecordBatch) -> Vec<u8> {
        let layout = Layout {
            schema: rows.schema(),
            rows_per_group: usize::MAX,
            are_steps: vec![false; rows.num_columns()],
            properties: Arc::new(properties().build()),
        };
        let mut out = Vec::new();
        let mut file = OpenFile::of(&layout, &mut out).unwrap();
        file.add(rows).unwrap();
        file.close().unwrap();
        out
    }

    /// Of every column of a file, its pages, and what the footer says but for sizes: the crate writes no checksums.
    fn told(file: Vec<u8>) -> Vec<String> {
        let file = Arc::new(Bytes::from(file));
        let metadata = ArrowReaderMetadata::load(&*file, Default::default()).unwrap();
        let mut told = Vec::new();
        for chunk in metadata.metadata().row_groups().iter().flat_map(|group| group.columns()) {
            let rows = chunk.num_values() as usize;
            let pages = SerializedPageReader::new(file.clone(), chunk, rows, None).unwrap();
            told.extend(pages.map(|page| format!("{:?}", page.unwrap())));
            let says = (chunk.num_values(), chunk.compression(), chunk.statistics());
            told.push(format!("{says:?} {:?}", chunk.encodings().collect::<Vec<_>>()));
        }
        told
    }

    proptest! {
        #[test]
        fn a_file_has_the_pages_that_the_crate_would_write(
            rows in prop::collection::vec(
                (
                    prop::option::of(prop_oneof!["[a-c]{0,2}", "\\PC{0,30}"]),
                    prop::option::of(prop_oneof![Just(1.5), any::<f64>()]),
                    prop::option::of(prop::collection::vec(-3..3_i32, 0..9)),
                ),
                0..400,
            ),
        ) {
            // A column without any value is written another way.
            let first = (Some("a".to_string()), Some(1.0), Some(vec![7]));
            let rows: Vec<_> = [first].into_iter().chain(rows).collect();
            let mut lists = <Option<Vec<i32>> as Cell>::Builder::new();
            rows.iter().for_each(|(_, _, list)| list.add(&mut lists));
            let columns: [(&str, ArrayRef, bool); 3] = [
                ("words", Arc::new(rows.iter().map(|(word, ..)| word.as_deref()).collect::<StringArray>()), true),
                ("numbers", Arc::new(rows.iter().map(|(_, number, _)| *number).collect::<Float64Array>()), true),
                ("lists", lists.finish(), true),
            ];
            let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
            prop_assert_eq!(told(fast(&batch)), told(slow(&batch)));
        }
    }
}
