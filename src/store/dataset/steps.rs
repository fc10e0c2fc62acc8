//! Column chunks that are made here, for a small part of the work that Parquet's own writer would have with them: the
//! points of tracks, as lists of whole numbers in DELTA_BINARY_PACKED, and columns without any value.
//!
//! That writer turns each point into two levels and an index before it looks at its value, and packs bit by bit. Here a
//! list is two runs of levels, and 32 differences are packed at a time, by code that knows how many bits each takes.
//! Tracks are most of what normalizing writes, so this is worth a file; every other column goes through the crate.

use arrow::array::{Array, AsArray, ListArray};
use arrow::datatypes::Int32Type;
use parquet::basic::Encoding;
use parquet::errors::Result;
use parquet::schema::types::ColumnDescPtr;

use super::pages::{Chunk, Closed};

/// After so many values a page ends.
const VALUES_OF_PAGE: usize = 128 << 10;
/// Differences share their least one within a block, and the bits that each takes within a quarter of it: the
/// smallest pieces that the format has.
const BLOCK: usize = 128;
pub const QUARTER: usize = 32;
/// What a definition level says of a list.
pub const NO_LIST: u8 = 0;
const EMPTY_LIST: u8 = 1;
pub const ELEMENT: u8 = 2;

/// A column of tracks in the making.
pub struct Steps {
    column: ColumnDescPtr,
    chunk: Chunk,
    rows: u64,
    page: OpenPage,
}

#[derive(Default)]
struct OpenPage {
    repetitions: Runs,
    definitions: Runs,
    levels: u32,
    values: Packed,
}

impl Steps {
    /// Of a list that may be null, of numbers that may not.
    pub fn of(column: ColumnDescPtr) -> Steps {
        assert_eq!(
            (column.max_rep_level(), column.max_def_level()),
            (1, i16::from(ELEMENT)),
            "a track's levels"
        );
        Steps { column, chunk: Chunk::default(), rows: 0, page: OpenPage::default() }
    }

    pub fn add(&mut self, lists: &ListArray) -> Result<()> {
        let values = lists.values().as_primitive::<Int32Type>().values();
        for (row, ends) in lists.value_offsets().windows(2).enumerate() {
            let list = &values[ends[0] as usize..ends[1] as usize];
            self.page.push(Some(list).filter(|_| lists.is_valid(row)));
            if self.page.values.count >= VALUES_OF_PAGE {
                self.end_page()?;
            }
        }
        self.rows += lists.len() as u64;
        Ok(())
    }

    fn end_page(&mut self) -> Result<()> {
        let page = &mut self.page;
        let levels_bytes = page.repetitions.bytes.len() + page.definitions.bytes.len();
        let mut bytes = Vec::with_capacity(levels_bytes + page.values.blocks.len() + 2 * BLOCK * 4);
        page.repetitions.finish(&mut bytes);
        page.definitions.finish(&mut bytes);
        page.values.finish(&mut bytes);
        self.chunk.add_plain(std::mem::take(&mut page.levels), Encoding::DELTA_BINARY_PACKED, bytes)
    }

    pub fn close(mut self) -> Result<Closed> {
        if self.page.levels > 0 {
            self.end_page()?;
        }
        self.chunk.close_plain(self.column, Encoding::DELTA_BINARY_PACKED, self.rows)
    }
}

/// A column of so many rows, none of which has a value. It may lie within lists and records: nothing is there at all.
pub fn without_values(column: ColumnDescPtr, rows: usize) -> Result<Closed> {
    assert!(column.max_def_level() > 0, "{} always has a value", column.path());
    let levels = u32::try_from(rows).expect("a row group is small");
    let mut bytes = Vec::new();
    for _ in 0..1 + usize::from(column.max_rep_level() > 0) {
        let mut nothing = Runs::default();
        nothing.push(0, levels);
        nothing.finish(&mut bytes);
    }
    let mut chunk = Chunk::default();
    chunk.add_plain(levels, Encoding::PLAIN, bytes)?;
    chunk.close_plain(column, Encoding::PLAIN, rows as u64)
}

impl OpenPage {
    fn push(&mut self, list: Option<&[i32]>) {
        let elements = list.map_or(0, <[i32]>::len) as u32;
        self.repetitions.push(0, 1);
        self.repetitions.push(1, elements.saturating_sub(1));
        match list {
            None => self.definitions.push(NO_LIST, 1),
            Some([]) => self.definitions.push(EMPTY_LIST, 1),
            Some(values) => {
                self.definitions.push(ELEMENT, elements);
                self.values.push(values);
            }
        }
        self.levels += elements.max(1);
    }
}

/// Levels, as runs of equal ones (RLE, each level in a byte of its own).
#[derive(Default)]
struct Runs {
    bytes: Vec<u8>,
    level: u8,
    length: u32,
}

impl Runs {
    fn push(&mut self, level: u8, length: u32) {
        if length > 0 && level != self.level {
            self.end();
            self.level = level;
        }
        self.length += length;
    }

    fn end(&mut self) {
        if self.length > 0 {
            push_varint(u64::from(self.length) << 1, &mut self.bytes);
            self.bytes.push(self.level);
            self.length = 0;
        }
    }

    /// Writes them behind their length in bytes, and begins anew.
    fn finish(&mut self, out: &mut Vec<u8>) {
        self.end();
        out.extend_from_slice(&u32::try_from(self.bytes.len()).expect("a page is small").to_le_bytes());
        out.append(&mut self.bytes);
        self.level = 0;
    }
}

fn push_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn push_zigzag(number: i32, out: &mut Vec<u8>) {
    push_varint(u64::from(((number << 1) ^ (number >> 31)).cast_unsigned()), out);
}

/// DELTA_BINARY_PACKED, as the Parquet format describes it. Differences wrap around, as its own do.
struct Packed {
    count: usize,
    first: i32,
    last: i32,
    /// Those of the block that is not full yet.
    differences: [i32; BLOCK],
    filled: usize,
    blocks: Vec<u8>,
}

impl Default for Packed {
    fn default() -> Packed {
        Packed { count: 0, first: 0, last: 0, differences: [0; BLOCK], filled: 0, blocks: Vec::new() }
    }
}

impl Packed {
    fn push(&mut self, mut values: &[i32]) {
        if let ([first, rest @ ..], 0) = (values, self.count) {
            (self.first, self.last, self.count, values) = (*first, *first, 1, rest);
        }
        while let [first, ..] = values {
            let (now, later) = values.split_at(values.len().min(BLOCK - self.filled));
            let differences = &mut self.differences[self.filled..][..now.len()];
            differences[0] = first.wrapping_sub(self.last);
            let pairs = now.iter().zip(&now[1..]);
            differences[1..].iter_mut().zip(pairs).for_each(|(one, (a, b))| *one = b.wrapping_sub(*a));
            (self.last, values) = (now[now.len() - 1], later);
            self.count += now.len();
            self.filled += now.len();
            if self.filled == BLOCK {
                self.end_block();
            }
        }
    }

    fn end_block(&mut self) {
        let count = std::mem::take(&mut self.filled);
        let least = self.differences[..count].iter().fold(i32::MAX, |least, one| least.min(*one));
        // What lies behind the last value takes no bits.
        self.differences[count..].fill(least);
        push_zigzag(least, &mut self.blocks);
        let above = self.differences.map(|one| one.wrapping_sub(least).cast_unsigned());
        let quarters: [&[u32; QUARTER]; BLOCK / QUARTER] = std::array::from_fn(|quarter| {
            above[quarter * QUARTER..].first_chunk().expect("it is in the block")
        });
        let bits = quarters.map(|quarter| 32 - quarter.iter().fold(0, |all, one| all | one).leading_zeros());
        self.blocks.extend(bits.map(|bits| bits as u8));
        let used = quarters.iter().zip(bits).take(count.div_ceil(QUARTER));
        used.for_each(|(quarter, bits)| pack_quarter(quarter, bits, &mut self.blocks));
    }

    /// Writes them, and begins anew.
    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.filled > 0 {
            self.end_block();
        }
        push_varint(BLOCK as u64, out);
        push_varint((BLOCK / QUARTER) as u64, out);
        push_varint(self.count as u64, out);
        push_zigzag(self.first, out);
        out.append(&mut self.blocks);
        (self.count, self.first) = (0, 0);
    }
}

/// The lowest bits of each value, one behind the other. For each number of bits the compiler makes code of its own, in
/// which every shift is known.
fn pack_quarter(values: &[u32; QUARTER], bits: u32, out: &mut Vec<u8>) {
    fn packed<const BITS: usize>(values: &[u32; QUARTER], out: &mut Vec<u8>) {
        let mut words = [0_u32; BITS];
        for (at, value) in values.iter().enumerate() {
            let (word, shift) = (at * BITS / 32, at * BITS % 32);
            words[word] |= value << shift;
            if shift + BITS > 32 {
                words[word + 1] = value >> (32 - shift);
            }
        }
        out.extend_from_slice(words.map(u32::to_le_bytes).as_flattened());
    }
    macro_rules! by_bits {
        ($($known:literal)*) => {
            match bits {
                0 => {}
                $($known => packed::<$known>(values, out),)*
                _ => unreachable!("a number has 32 bits"),
            }
        };
    }
    by_bits!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch};
    use arrow::compute::concat;
    use bytes::Bytes;
    use parquet::arrow::ProjectionMask;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use proptest::prelude::*;

    use super::super::points::Points;
    use super::*;
    use crate::model::columns::{Builder, Cell};

    type Lists = Vec<Option<Vec<i32>>>;

    fn batch(lists: &Lists) -> RecordBatch {
        let mut column = <Option<Vec<i32>> as Cell>::Builder::new();
        lists.iter().for_each(|list| list.add(&mut column));
        RecordBatch::try_from_iter_with_nullable([("track", column.finish(), true)]).unwrap()
    }

    /// The file that the crate's own writer makes.
    fn slow(rows: &RecordBatch) -> Vec<u8> {
        let mut out = Vec::new();
        let encoded = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::DELTA_BINARY_PACKED)
            .build();
        let mut writer = ArrowWriter::try_new(&mut out, rows.schema(), Some(encoded)).unwrap();
        writer.write(rows).unwrap();
        writer.close().unwrap();
        out
    }

    fn fast(rows: &RecordBatch, cut: usize) -> Vec<u8> {
        let schema = ArrowSchemaConverter::new().convert(&rows.schema()).unwrap();
        let mut out = Vec::new();
        let mut file = SerializedFileWriter::new(&mut out, schema.root_schema_ptr(), Arc::default()).unwrap();
        let mut steps = Steps::of(file.schema_descr().column(0));
        let cut = cut.min(rows.num_rows());
        for part in [rows.slice(0, cut), rows.slice(cut, rows.num_rows() - cut)] {
            steps.add(part.column(0).as_list()).unwrap();
        }
        let closed = steps.close().unwrap();
        let mut group = file.next_row_group().unwrap();
        closed.append_to(&mut group).unwrap();
        group.close().unwrap();
        file.close().unwrap();
        out
    }

    fn read(file: Vec<u8>) -> Vec<ArrayRef> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
        reader
            .with_batch_size(1 << 20)
            .build()
            .unwrap()
            .map(|batch| batch.unwrap().column(0).clone())
            .collect()
    }

    /// By what unpacks them here, so many rows at a time.
    fn unpacked(file: Vec<u8>, rows: usize) -> Vec<ArrayRef> {
        let file = Bytes::from(file);
        let meant = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().with_batch_size(rows);
        let (mut points, none) = Points::of(&file, &meant, &ProjectionMask::all());
        let reader = meant.with_projection(none).build().unwrap();
        reader.map(|batch| points.among(batch.unwrap()).unwrap().column(0).clone()).collect()
    }

    fn check(lists: &Lists, cut: usize) {
        let rows = batch(lists);
        let meant = read(slow(&rows));
        assert_eq!(read(fast(&rows, cut)), meant);
        assert_eq!(unpacked(fast(&rows, cut), 1 << 20), meant);
        let pieces = unpacked(fast(&rows, cut), cut + 1);
        let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
        assert_eq!(&concat(&pieces).unwrap(), &meant[0]);
    }

    proptest! {
        #[test]
        fn any_lists_read_back_as_what_the_crate_writes(
            lists in prop::collection::vec(
                prop::option::of(prop_oneof![
                    prop::collection::vec(any::<i32>(), 0..70),
                    prop::collection::vec(-900..900, 0..300),
                    (any::<i32>(), 0_usize..200).prop_map(|(value, length)| vec![value; length]),
                ]),
                1..40,
            ),
            cut in 0_usize..40,
        ) {
            check(&lists, cut);
        }
    }

    #[test]
    fn every_number_of_bits_is_packed() {
        for bits in 0..32 {
            let steps = |n: i32| {
                if n % 2 == 0 { 0 } else { (1_u32 << bits).wrapping_sub(n as u32 / 50).cast_signed() }
            };
            check(&vec![Some((0..161).map(steps).collect()), None, Some(Vec::new())], 1);
        }
    }

    #[test]
    fn a_chunk_of_many_pages_is_whole() {
        let track = |row: i32| (row % 7 > 0).then(|| (0..row % 5_000).map(|n| n * n % 1_013 - row).collect());
        check(&(0..400).map(|row| track(row * 41)).collect(), 123);
    }

    #[test]
    fn a_point_takes_the_bits_of_its_difference() {
        let lists: Lists =
            (0..100).map(|row: i32| Some((0..128).map(|n| n * 37 % 101 + row).collect())).collect();
        let bytes = |file: Vec<u8>| {
            let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
            reader.metadata().row_group(0).column(0).compressed_size()
        };
        let rows = batch(&lists);
        // The crate's page has no checksum.
        assert!(bytes(fast(&rows, 0)) <= bytes(slow(&rows)) + 6);
    }
}
