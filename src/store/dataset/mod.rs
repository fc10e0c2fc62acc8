//! The store of normalized rows: Parquet files of one source and bucket, replaced whole.
//!
//! A file of activities says in its own metadata how far into the landing and the archives it was made from, so rows
//! and progress commit together: it is written last, after the streams and rejects of the same landing.

pub mod cells;
mod checksum;
pub mod geometry;
mod keys;
mod made_from;
pub mod merge;
mod pages;
mod pieces;
mod places;
mod points;
mod read;
pub mod stamp;
mod steps;
#[cfg(test)]
mod toy;
mod unpacked;
mod write;

pub use keys::{all_files, files, sources, used_buckets};
pub use made_from::{ArchivesRead, FileState, MadeFrom, Origins, made_from};
pub use pieces::{Piece, Pieces, is_left_over, streams};
pub use places::{Place, Places, Recordings, read_places, read_wanted};
pub use read::*;
pub use write::{write, write_as_read};

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::Encoding;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::model::activity::{Activity, Reject, Streams};
use crate::model::column::{self, Column};
use crate::model::columns::{Columns, TableRow};
use crate::model::golden;
use crate::model::pair::Match;

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
            Table::Activities => <Activity as TableRow>::Columns::fields(),
            Table::Streams => <Streams as TableRow>::Columns::fields(),
            Table::Rejects => <Reject as TableRow>::Columns::fields(),
            Table::Matches => <Match as TableRow>::Columns::fields(),
            Table::Golden => return golden::schema(),
        }))
    }

    /// The columns of the schema, and what is true of them.
    pub fn columns(self) -> Vec<&'static Column> {
        match self {
            Table::Activities => Activity::COLUMNS.iter().collect(),
            Table::Streams => Streams::COLUMNS.iter().collect(),
            Table::Rejects => Reject::COLUMNS.iter().collect(),
            Table::Matches => Match::COLUMNS.iter().collect(),
            Table::Golden => golden::columns(),
        }
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

/// Rows of one type as a batch.
pub fn batch<R: TableRow>(columns: &mut R::Columns) -> RecordBatch {
    let schema = Arc::new(Schema::new(R::Columns::fields()));
    RecordBatch::try_new(schema, columns.finish()).expect("the columns are of the schema by construction")
}

/// How the columns are packed, as each of them says. What compresses their pages then is in `pages`.
fn properties(schema: &Schema, columns: &[&Column]) -> parquet::file::properties::WriterPropertiesBuilder {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("longrun ", env!("CARGO_PKG_VERSION")).to_string())
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    let schema = ArrowSchemaConverter::new().convert(schema).expect("the schema is plain");
    for leaf in schema.columns() {
        let path = leaf.path().clone();
        if geometry::is_one(&path.string()) {
            // Coordinates hardly pack, and their bounds tell a reader what it need not read.
            properties = properties
                .set_column_encoding(path.clone(), Encoding::PLAIN)
                .set_column_dictionary_enabled(path.clone(), false);
            if path.parts().len() > 1 {
                properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
            }
            continue;
        }
        let place = columns.iter().position(|column| column.name == path.parts()[0]);
        let place = place.expect("the schema is that of the columns");
        let column = columns[place];
        if column.has_statistics {
            properties = properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::Chunk);
        }
        if column.encoding == column::Encoding::Steps {
            // They are made in `steps`, which needs nothing of the crate's.
            continue;
        }
        let packed = match column.encoding {
            column::Encoding::Dictionary | column::Encoding::Steps => continue,
            column::Encoding::Plain => Encoding::PLAIN,
            column::Encoding::BytesApart => Encoding::BYTE_STREAM_SPLIT,
            column::Encoding::Differences => Encoding::DELTA_BINARY_PACKED,
            column::Encoding::Prefixes => Encoding::DELTA_BYTE_ARRAY,
        };
        properties =
            properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, packed);
    }
    properties
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, TimeUnit};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::model::activity::Doubt;
    use crate::store::backend::Key;
    use crate::store::lake::Lake;
    use crate::store::landing::Position;

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
    fn long_lists_are_written_in_pieces_and_read_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open_or_create(dir.path()).unwrap();
        let key = Key::new("t.parquet");
        let mut columns = <Activity as TableRow>::Columns::default();
        let points = |row: i32| (row % 3 > 0).then(|| (0..row % 40 * 100).collect::<Vec<i32>>());
        for row in 0..500 {
            let title = (row == 250).then(|| "the only title".to_string());
            columns.push(&Activity { track_lat_e5: points(row), title, ..Activity::default() });
        }
        let rows = batch::<Activity>(&mut columns);
        // A value that comes late is no less one.
        let parts = [rows.slice(0, 200), rows.slice(200, 300)];
        write(&lake, &key, Table::Activities, &MadeFrom::default(), parts).unwrap();
        let back = read(&lake, &key, None).unwrap();
        assert_eq!(arrow::compute::concat_batches(&rows.schema(), &back).unwrap(), rows);
    }

    #[test]
    fn columns_that_are_used_again_hold_what_fresh_ones_do() {
        let mut used = <Activity as TableRow>::Columns::default();
        for rows in [40, 3, 0, 100] {
            let mut fresh = <Activity as TableRow>::Columns::default();
            for row in 0..rows {
                let text = |every: i32| (row % every == 0).then(|| format!("{rows} {row}"));
                let doubts = text(4).map(|reason| vec![Doubt { field: "title".to_string(), reason }]);
                let activity = Activity {
                    source_id: row.to_string(),
                    title: text(rows.min(7)),
                    device_name: text(2).filter(|_| rows == 3),
                    trainer: (row % 3 > 0).then_some(row % 2 == 0),
                    elapsed_s: (row > 5).then_some(f64::from(row)),
                    track_lat_e5: (row % 5 > 0).then(|| (0..row).collect()),
                    doubts,
                    ..Activity::default()
                };
                used.push(&activity);
                fresh.push(&activity);
            }
            assert_eq!(batch::<Activity>(&mut used), batch::<Activity>(&mut fresh));
        }
    }

    #[test]
    fn a_file_reads_back_with_the_schema_it_was_written_with() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open_or_create(dir.path()).unwrap();
        for table in [Table::Activities, Table::Streams, Table::Rejects, Table::Matches, Table::Golden] {
            let key = Key::new("t.parquet");
            let made = MadeFrom {
                landing: Position { run: 3, number: 1, offset: 7 },
                archives: ArchivesRead {
                    below: 8,
                    left_in_place: [(5, None), (6, Some(FileState { bytes: 1, modified_ms: 2 }))].into(),
                },
                origins: Origins { api: true, archive: false },
                annotations: u64::MAX,
                datasets: 9,
            };
            write(&lake, &key, table, &made, [RecordBatch::new_empty(table.schema())]).unwrap();
            let file = lake.backend().open(&key).unwrap().unwrap();
            let read = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            assert_eq!(read.schema().fields(), table.schema().fields());
            assert_eq!(made_from(&lake, &key).unwrap(), Some(made));
        }
    }
}
