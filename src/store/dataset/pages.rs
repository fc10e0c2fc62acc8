//! Column chunks that are put together here, page by page, and what compresses them.
//!
//! The crate's writer makes two Zstandard contexts for every column of every file, of which one is for reading and never
//! used: in a file of some thousand rows their fresh memory takes as long as what is done with it. So that writer leaves
//! its pages as they are, and one context for each thread compresses them. Each gets a checksum, which that writer
//! leaves out.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageReader, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnChunkMetaDataBuilder};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::checksum;

/// A good compromise for columns: higher levels cost more time than they save bytes.
const LEVEL: i32 = 3;

thread_local! {
    static COMPRESSOR: RefCell<zstd::bulk::Compressor<'static>> =
        RefCell::new(zstd::bulk::Compressor::new(LEVEL).expect("the level exists"));
}

/// The bytes of a chunk, and what the footer says of them.
pub struct Closed(Bytes, ColumnCloseResult);

impl Closed {
    pub fn append_to<W: Write + Send>(self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<()> {
        group.append_column(&self.0, self.1)
    }
}

/// The chunk of one column in the making.
pub struct Chunk {
    written: TrackedWrite<Vec<u8>>,
    uncompressed_bytes: usize,
    levels: u64,
}

impl Default for Chunk {
    fn default() -> Chunk {
        Chunk { written: TrackedWrite::new(Vec::new()), uncompressed_bytes: 0, levels: 0 }
    }
}

impl Chunk {
    /// A page that is not compressed: there is nothing in its bits that would make it smaller.
    pub fn add_plain(&mut self, levels: u32, encoding: Encoding, bytes: Vec<u8>) -> Result<()> {
        let uncompressed_bytes = bytes.len();
        let page = Page::DataPage {
            buf: Bytes::from(bytes),
            num_values: levels,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        self.levels += u64::from(levels);
        self.add(CompressedPage::new(page, uncompressed_bytes))
    }

    fn add(&mut self, page: CompressedPage) -> Result<()> {
        let (begin, checksum) = (self.written.inner().len(), crc32fast::hash(page.data()));
        let written = SerializedPageWriter::new(&mut self.written).write_page(page)?;
        self.written.flush()?;
        let grown = checksum::put(self.written.inner_mut(), begin, checksum)?;
        self.uncompressed_bytes += written.uncompressed_size + grown;
        Ok(())
    }

    pub fn close_plain(self, column: ColumnDescPtr, encoding: Encoding, rows: u64) -> Result<Closed> {
        let metadata = ColumnChunkMetaData::builder(column)
            .set_encodings(vec![Encoding::RLE, encoding])
            .set_compression(Compression::UNCOMPRESSED)
            .set_num_values(self.levels.cast_signed())
            .set_data_page_offset(0);
        self.close(metadata, rows)
    }

    fn close(self, metadata: ColumnChunkMetaDataBuilder, rows: u64) -> Result<Closed> {
        let bytes = Bytes::from(self.written.into_inner()?);
        let metadata = metadata
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.uncompressed_bytes as i64)
            .build()?;
        let closed = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: rows,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok(Closed(bytes, closed))
    }
}

/// A chunk of a file in memory, with its pages compressed.
pub fn compressed(file: &Arc<Bytes>, chunk: &ColumnChunkMetaData, rows: i64) -> Result<Closed> {
    let rows = rows.unsigned_abs();
    let mut pages = SerializedPageReader::new(file.clone(), chunk, rows as usize, None)?;
    let mut packed = Chunk::default();
    let mut dictionary_bytes = None;
    while let Some(mut page) = pages.get_next_page()? {
        let (Page::DataPage { buf, .. } | Page::DataPageV2 { buf, .. } | Page::DictionaryPage { buf, .. }) =
            &mut page;
        let uncompressed_bytes = buf.len();
        *buf = Bytes::from(COMPRESSOR.with_borrow_mut(|compressor| compressor.compress(buf))?);
        let is_dictionary = page.is_dictionary_page();
        packed.add(CompressedPage::new(page, uncompressed_bytes))?;
        if is_dictionary {
            dictionary_bytes = Some(packed.written.inner().len() as i64);
        }
    }
    let level = ZstdLevel::try_new(LEVEL)?;
    let metadata = chunk
        .clone()
        .into_builder()
        .set_compression(Compression::ZSTD(level))
        .set_dictionary_page_offset(dictionary_bytes.map(|_| 0))
        .set_data_page_offset(dictionary_bytes.unwrap_or(0));
    packed.close(metadata, rows)
}
