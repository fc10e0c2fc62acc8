//! Reading the points of tracks, which are most of what a row takes.
//!
//! Parquet's reader of lists can read lists in lists of anything, and asks each point several times whether it is there.
//! These are lists of whole numbers, which is one pass over their levels.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, ListArray, RecordBatch};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderBuilder;
use parquet::basic::Type;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::Int32Type;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescriptor;

/// What a definition level says of a list.
const NO_LIST: i16 = 0;
const ELEMENT: i16 = 2;

/// The columns of lists that are read here, and where each stands in a batch.
pub struct Points<R>(Vec<(usize, FieldRef, Lists<R>)>);

impl<R: ChunkReader + Clone + 'static> Points<R> {
    /// Those among the wanted columns of a file, and the others, which are left to Parquet's reader.
    pub fn of<I>(file: &R, meant: &ArrowReaderBuilder<I>, wanted: &ProjectionMask) -> (Self, ProjectionMask) {
        let all = meant.parquet_schema();
        let (mut points, mut others, mut roots) = (Vec::new(), Vec::new(), Vec::new());
        for leaf in (0..all.num_columns()).filter(|leaf| wanted.leaf_included(*leaf)) {
            let root = all.get_column_root_idx(leaf);
            if roots.last() != Some(&root) {
                roots.push(root);
            }
            let field = &meant.schema().fields()[root];
            match element(field, &all.column(leaf)) {
                Some(element) => {
                    let lists = Lists::of(file.clone(), meant.metadata().clone(), leaf, element.clone());
                    points.push((roots.len() - 1, field.clone(), lists));
                }
                None => others.push(leaf),
            }
        }
        (Points(points), ProjectionMask::leaves(all, others))
    }

    /// Puts the next lists among the other columns of their rows.
    pub fn among(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        if self.0.is_empty() {
            return Ok(batch);
        }
        let (schema, mut columns, rows) = batch.into_parts();
        let mut fields = schema.fields().to_vec();
        for (place, field, lists) in &mut self.0 {
            fields.insert(*place, field.clone());
            columns.insert(*place, lists.next(rows)?);
        }
        let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
        Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
    }
}

/// The element of a column that is read here: of lists that may be null, of whole numbers that may not.
fn element<'a>(field: &'a Field, leaf: &ColumnDescriptor) -> Option<&'a FieldRef> {
    let DataType::List(element) = field.data_type() else { return None };
    let is_one = (leaf.max_rep_level(), leaf.max_def_level()) == (1, ELEMENT)
        && leaf.physical_type() == Type::INT32
        && *element.data_type() == DataType::Int32;
    is_one.then_some(element)
}

/// One column of lists, read from front to back.
struct Lists<R> {
    file: Arc<R>,
    metadata: Arc<ParquetMetaData>,
    element: FieldRef,
    leaf: usize,
    /// The next row group.
    group: usize,
    open: Option<ColumnReaderImpl<Int32Type>>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

impl<R: ChunkReader + 'static> Lists<R> {
    fn of(file: R, metadata: Arc<ParquetMetaData>, leaf: usize, element: FieldRef) -> Lists<R> {
        let (definitions, repetitions) = (Vec::new(), Vec::new());
        Lists {
            file: Arc::new(file),
            metadata,
            element,
            leaf,
            group: 0,
            open: None,
            definitions,
            repetitions,
        }
    }

    /// The lists of the next rows, as many as there are said to be.
    fn next(&mut self, rows: usize) -> Result<ArrayRef> {
        self.definitions.clear();
        self.repetitions.clear();
        let mut values: Vec<i32> = Vec::new();
        let mut left = rows;
        while left > 0 {
            let mut reader = match self.open.take() {
                Some(reader) => reader,
                None => {
                    let (reader, levels) = self.next_group(left)?;
                    values.reserve(levels);
                    self.definitions.reserve(levels);
                    self.repetitions.reserve(levels);
                    reader
                }
            };
            let levels = (Some(&mut self.definitions), Some(&mut self.repetitions));
            let (read, ..) = reader.read_records(left, levels.0, levels.1, &mut values)?;
            if read > 0 {
                left -= read;
                self.open = Some(reader);
            }
        }
        let mut offsets: Vec<i32> = Vec::with_capacity(rows + 1);
        let mut are_lists: Vec<bool> = Vec::with_capacity(rows);
        let mut end = 0;
        for (repetition, definition) in self.repetitions.iter().zip(&self.definitions) {
            if *repetition == 0 {
                offsets.push(end);
                are_lists.push(*definition != NO_LIST);
            }
            end += i32::from(*definition == ELEMENT);
        }
        offsets.push(end);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let nulls = Some(NullBuffer::from(are_lists)).filter(|nulls| nulls.null_count() > 0);
        let values = Arc::new(Int32Array::from(values));
        Ok(Arc::new(ListArray::try_new(self.element.clone(), offsets, values, nulls)?))
    }

    /// Opens the next row group; and about how many levels so many of its rows have.
    fn next_group(&mut self, wanted: usize) -> Result<(ColumnReaderImpl<Int32Type>, usize)> {
        let Some(group) = self.metadata.row_groups().get(self.group) else {
            let schema = self.metadata.file_metadata().schema_descr();
            let path = schema.column(self.leaf).path().string();
            return Err(ParquetError::EOF(format!("column {path} has too few rows")));
        };
        self.group += 1;
        let (chunk, rows) = (group.column(self.leaf), group.num_rows().unsigned_abs() as usize);
        let pages = SerializedPageReader::new(self.file.clone(), chunk, rows, None)?;
        // A footer may say anything, but hardly a point takes less than a quarter of a byte.
        let all = chunk.num_values().unsigned_abs().min(4 * self.file.len()) as f64;
        let levels = (all * wanted.min(rows) as f64 / rows.max(1) as f64) as usize;
        Ok((ColumnReaderImpl::new(chunk.column_descr_ptr(), Box::new(pages)), levels))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::properties::WriterProperties;
    use proptest::prelude::*;

    use super::*;
    use crate::model::columns::{Builder, Cell};

    type Track = Option<Vec<i32>>;

    /// A file with groups of so many rows: a list, a number, another list.
    fn file(tracks: &[(Track, Track)], rows_of_group: usize) -> Bytes {
        let column = |of: &dyn Fn(&(Track, Track)) -> Track| {
            let mut column = <Track as Cell>::Builder::new();
            tracks.iter().for_each(|both| of(both).add(&mut column));
            column.finish()
        };
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..tracks.len() as i64));
        let columns = [
            ("lat", column(&|both| both.0.clone()), true),
            ("number", numbers, false),
            ("lon", column(&|both| both.1.clone()), true),
        ];
        let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut out = Vec::new();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows_of_group)).build();
        let mut writer = ArrowWriter::try_new(&mut out, rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        out.into()
    }

    fn builder(file: &Bytes, rows: usize) -> ParquetRecordBatchReaderBuilder<Bytes> {
        ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().with_batch_size(rows)
    }

    /// By the crate's own reader.
    fn slow(file: &Bytes, wanted: &[usize], rows: usize) -> Vec<RecordBatch> {
        let meant = builder(file, rows);
        let mask = ProjectionMask::leaves(meant.parquet_schema(), wanted.iter().copied());
        meant.with_projection(mask).build().unwrap().map(Result::unwrap).collect()
    }

    fn fast(file: &Bytes, wanted: &[usize], rows: usize) -> Vec<RecordBatch> {
        let meant = builder(file, rows);
        let mask = ProjectionMask::leaves(meant.parquet_schema(), wanted.iter().copied());
        let (mut points, mask) = Points::of(file, &meant, &mask);
        assert_eq!(points.0.len(), wanted.iter().filter(|leaf| **leaf != 1).count());
        let reader = meant.with_projection(mask).build().unwrap();
        reader.map(|batch| points.among(batch.unwrap()).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn lists_are_read_as_by_the_crate(
            tracks in prop::collection::vec(
                (
                    prop::option::of(prop::collection::vec(any::<i32>(), 0..9)),
                    prop::option::of(prop::collection::vec(any::<i32>(), 0..3)),
                ),
                0..60,
            ),
            rows_of_group in 1_usize..40,
            rows in 1_usize..40,
        ) {
            let file = file(&tracks, rows_of_group);
            for wanted in [&[0, 1, 2][..], &[2], &[0, 1], &[1], &[]] {
                prop_assert_eq!(fast(&file, wanted, rows), slow(&file, wanted, rows));
            }
        }
    }
}
