//! Reading the points of tracks, which are most of what a row takes.
//!
//! Parquet's reader of lists can read lists in lists of anything, and asks each point several times whether it is there.
//! These are lists of whole numbers. Where their differences are packed, as longrun writes them, they are unpacked here;
//! what others write is one pass over their levels.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, ListArray, RecordBatch};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderBuilder;
use parquet::basic::Type;
use parquet::column::page::{Page, PageReader};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::Int32Type;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescriptor;

use super::steps::{ELEMENT, NO_LIST};
use super::unpacked::{self, Packed};

/// The columns of lists that are read here, and where each stands in a batch.
pub struct Points<R: ChunkReader>(Vec<(usize, FieldRef, Lists<R>)>);

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
    let is_one = (leaf.max_rep_level(), leaf.max_def_level()) == (1, i16::from(ELEMENT))
        && leaf.physical_type() == Type::INT32
        && *element.data_type() == DataType::Int32;
    is_one.then_some(element)
}

/// One column of lists, read from front to back.
struct Lists<R: ChunkReader> {
    file: Arc<R>,
    metadata: Arc<ParquetMetaData>,
    element: FieldRef,
    leaf: usize,
    /// The next row group.
    group: usize,
    open: Option<Open>,
    /// What was read and not asked for yet.
    ready: unpacked::Lists,
}

/// The rest of a row group.
enum Open {
    /// Its pages, and its rows.
    Packed(Box<dyn Iterator<Item = Result<Page>> + Send>, usize),
    Usual(Box<ColumnReaderImpl<Int32Type>>),
}

impl<R: ChunkReader + 'static> Lists<R> {
    fn of(file: R, metadata: Arc<ParquetMetaData>, leaf: usize, element: FieldRef) -> Lists<R> {
        let ready = unpacked::Lists::default();
        Lists { file: Arc::new(file), metadata, element, leaf, group: 0, open: None, ready }
    }

    /// The lists of the next rows, as many as there are said to be.
    fn next(&mut self, rows: usize) -> Result<ArrayRef> {
        loop {
            // The last list of a page may go on in the next one.
            let needed = rows + usize::from(matches!(self.open, Some(Open::Packed(..))));
            let Some(missing) = needed.checked_sub(self.ready.begins.len()).filter(|missing| *missing > 0)
            else {
                break;
            };
            let open = match self.open.take() {
                Some(open) => open,
                None => self.next_group(missing)?,
            };
            self.open = self.read_some(open, missing)?;
        }
        let lists = self.ready.take(rows);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(lists.begins));
        let nulls = Some(NullBuffer::from(lists.are_lists)).filter(|nulls| nulls.null_count() > 0);
        let values = Arc::new(Int32Array::from(lists.values));
        Ok(Arc::new(ListArray::try_new(self.element.clone(), offsets, values, nulls)?))
    }

    /// Reads a page, or so many rows; what is left of the group then.
    fn read_some(&mut self, open: Open, rows: usize) -> Result<Option<Open>> {
        let mut usual = match open {
            Open::Packed(mut pages, of_group) => {
                let Some(page) = pages.next().transpose()? else { return Ok(None) };
                let Some(packed) = Packed::of(&page)? else {
                    return Err(ParquetError::General("a column is packed in two ways".to_string()));
                };
                packed.add_to(&mut self.ready, of_group)?;
                return Ok(Some(Open::Packed(pages, of_group)));
            }
            Open::Usual(usual) => usual,
        };
        let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
        let mut end = self.ready.values.len() as i32;
        let levels = (Some(&mut definitions), Some(&mut repetitions));
        let (read, ..) = usual.read_records(rows, levels.0, levels.1, &mut self.ready.values)?;
        for (repetition, definition) in repetitions.iter().zip(&definitions) {
            if *repetition == 0 {
                self.ready.begins.push(end);
                self.ready.are_lists.push(*definition != i16::from(NO_LIST));
            }
            end += i32::from(*definition == i16::from(ELEMENT));
        }
        Ok(Some(Open::Usual(usual)).filter(|_| read > 0))
    }

    /// Opens the next row group, of which so many rows are wanted.
    fn next_group(&mut self, wanted: usize) -> Result<Open> {
        let Some(group) = self.metadata.row_groups().get(self.group) else {
            let schema = self.metadata.file_metadata().schema_descr();
            let path = schema.column(self.leaf).path().string();
            return Err(ParquetError::EOF(format!("column {path} has too few rows")));
        };
        self.group += 1;
        let (chunk, rows) = (group.column(self.leaf), group.num_rows().unsigned_abs() as usize);
        // A footer may say anything, but hardly a point takes less than a quarter of a byte.
        let all = chunk.num_values().unsigned_abs().min(4 * self.file.len()) as f64;
        self.ready.values.reserve((all * wanted.min(rows) as f64 / rows.max(1) as f64) as usize);
        let pages = || SerializedPageReader::new(self.file.clone(), chunk, rows, None);
        let mut rest = pages()?;
        if let Some(first) = rest.get_next_page()?
            && Packed::of(&first)?.is_some()
        {
            return Ok(Open::Packed(Box::new(std::iter::once(Ok(first)).chain(rest)), rows));
        }
        Ok(Open::Usual(Box::new(ColumnReaderImpl::new(chunk.column_descr_ptr(), Box::new(pages()?)))))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::basic::Encoding;
    use parquet::file::properties::WriterProperties;
    use proptest::prelude::*;

    use super::*;
    use crate::model::columns::{Builder, Cell};

    type Track = Option<Vec<i32>>;

    /// A file with groups of so many rows: a list, a number, another list.
    fn file(tracks: &[(Track, Track)], rows_of_group: usize, encoding: Encoding) -> Bytes {
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
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(rows_of_group))
            .set_dictionary_enabled(encoding == Encoding::RLE_DICTIONARY)
            .set_write_batch_size(4)
            .set_data_page_size_limit(40);
        let properties = match encoding {
            Encoding::RLE_DICTIONARY => properties.build(),
            other => properties.set_encoding(other).build(),
        };
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
            for encoding in [Encoding::RLE_DICTIONARY, Encoding::PLAIN, Encoding::DELTA_BINARY_PACKED] {
                let file = file(&tracks, rows_of_group, encoding);
                for wanted in [&[0, 1, 2][..], &[2], &[0, 1], &[1], &[]] {
                    prop_assert_eq!(fast(&file, wanted, rows), slow(&file, wanted, rows));
                }
            }
        }

        #[test]
        fn what_is_damaged_ends_in_an_error_or_in_other_lists(
            tracks in prop::collection::vec(
                prop::option::of(prop::collection::vec(-900..900, 0..90)).prop_map(|track| (track, None)),
                1..40,
            ),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let whole = file(&tracks, 20, Encoding::DELTA_BINARY_PACKED);
            let chunk = builder(&whole, 1).metadata().row_group(0).column(0).byte_range();
            let mut bytes = whole.to_vec();
            bytes[chunk.0 as usize + at.index(chunk.1 as usize)] = byte;
            let file = Bytes::from(bytes);
            let meant = builder(&file, 7);
            let mask = ProjectionMask::leaves(meant.parquet_schema(), [0]);
            let (mut points, mask) = Points::of(&file, &meant, &mask);
            for batch in meant.with_projection(mask).build().unwrap() {
                let (batch, rows) = (batch.unwrap(), tracks.len());
                match points.among(batch) {
                    Ok(batch) => prop_assert!(batch.num_rows() <= rows),
                    Err(_) => break,
                }
            }
        }
    }
}
