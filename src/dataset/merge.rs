//! Many versions of rows to one row each.
//!
//! The newest version of a row wins; of the columns that only a whole activity carries, the
//! newest version that has them. Both are maxima, so merging in any order and any number of
//! steps ends in the same rows.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::compute::interleave;
use arrow::datatypes::TimestampMillisecondType;

use super::Table;
use crate::activity::DETAIL_COLUMNS;

/// Rows per batch that is given out.
const OUTPUT_ROWS: usize = 8192;
const OUTPUT_ROWS_STREAMS: usize = 256;

/// A row: number of its batch, number in it.
type Row = (usize, usize);

/// One row of the result: where its columns come from.
struct Pick {
    newest: Row,
    newest_detail: Row,
}

/// The columns that decide, of one batch.
struct Deciding<'a> {
    key: Vec<Option<&'a StringArray>>,
    start: Option<&'a TimestampMillisecondArray>,
    fetched_at: &'a TimestampMillisecondArray,
    detail_at: Option<&'a TimestampMillisecondArray>,
}

/// The merged rows, in the order of the table: by user, start and id. Of two versions that
/// were fetched in the same millisecond, the one in the later batch and row wins.
pub fn merge<'a>(table: Table, versions: &'a [RecordBatch]) -> impl Iterator<Item = RecordBatch> + use<'a> {
    let picks = pick(table, versions);
    let rows = if table == Table::Streams { OUTPUT_ROWS_STREAMS } else { OUTPUT_ROWS };
    let detail: HashSet<&str> = match table {
        Table::Activities => DETAIL_COLUMNS.iter().copied().collect(),
        Table::Streams | Table::Rejects => HashSet::new(),
    };
    let schema = table.schema();
    let mut at = 0;
    std::iter::from_fn(move || {
        let chunk = &picks[at..picks.len().min(at + rows)];
        at += chunk.len();
        if chunk.is_empty() {
            return None;
        }
        let newest: Vec<Row> = chunk.iter().map(|pick| pick.newest).collect();
        let newest_detail: Vec<Row> = chunk.iter().map(|pick| pick.newest_detail).collect();
        let columns = schema.fields().iter().enumerate().map(|(index, field)| {
            let sources: Vec<&dyn Array> = versions.iter().map(|b| b.column(index).as_ref()).collect();
            let rows = if detail.contains(field.name().as_str()) { &newest_detail } else { &newest };
            interleave(&sources, rows).expect("versions of one table have one schema")
        });
        let columns: Vec<ArrayRef> = columns.collect();
        Some(RecordBatch::try_new(schema.clone(), columns).expect("versions of one table have one schema"))
    })
}

fn pick(table: Table, versions: &[RecordBatch]) -> Vec<Pick> {
    let deciding: Vec<Deciding> = versions.iter().map(|batch| Deciding::of(table, batch)).collect();
    let mut rows: Vec<Row> = versions
        .iter()
        .enumerate()
        .flat_map(|(number, batch)| (0..batch.num_rows()).map(move |row| (number, row)))
        .collect();
    let key = |&(batch, row): &Row| deciding[batch].key(row);
    // Stable, so that within a key the rows stay in the order of their arrival.
    rows.sort_by(|a, b| key(a).cmp(key(b)));
    let mut picks: Vec<Pick> = rows
        .chunk_by(|a, b| key(a).eq(key(b)))
        .map(|group| {
            // `max_by_key` gives the last of equals.
            let newest =
                *group.iter().max_by_key(|r| deciding[r.0].fetched_at.value(r.1)).expect("not empty");
            let newest_detail = group
                .iter()
                .filter_map(|r| Some((deciding[r.0].detail_at(r.1)?, *r)))
                .max_by_key(|(detail_at, _)| *detail_at)
                .map_or(newest, |(_, row)| row);
            Pick { newest, newest_detail }
        })
        .collect();
    let start = |pick: &Pick| deciding[pick.newest.0].start.map(|start| start.value(pick.newest.1));
    picks.sort_by(|a, b| {
        let user = |pick: &Pick| deciding[pick.newest.0].key(pick.newest.1).next().flatten();
        user(a)
            .cmp(&user(b))
            .then_with(|| start(a).cmp(&start(b)))
            .then_with(|| key(&a.newest).cmp(key(&b.newest)))
    });
    picks
}

impl<'a> Deciding<'a> {
    fn of(table: Table, batch: &'a RecordBatch) -> Deciding<'a> {
        let time = |name: &str| {
            batch.column_by_name(name).map(|column| column.as_primitive::<TimestampMillisecondType>())
        };
        Deciding {
            key: table
                .key()
                .iter()
                .map(|name| batch.column_by_name(name).map(|column| column.as_string()))
                .collect(),
            start: time("start_time"),
            fetched_at: time("fetched_at").expect("every table has it"),
            detail_at: time("detail_at"),
        }
    }

    fn key(&self, row: usize) -> impl Iterator<Item = Option<&'a str>> {
        self.key.iter().map(move |column| column.filter(|c| c.is_valid(row)).map(|c| c.value(row)))
    }

    fn detail_at(&self, row: usize) -> Option<i64> {
        self.detail_at.filter(|column| column.is_valid(row)).map(|column| column.value(row))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::activity::{Activity, ActivityColumns};
    use crate::dataset::batch;
    use crate::dataset::columns::Columns;

    /// A version of activity `id`, told by a list or whole, at a time.
    #[derive(Debug, Clone, Copy)]
    struct Version {
        id: u8,
        fetched_s: i64,
        is_detail: bool,
    }

    fn rows(versions: &[Version]) -> RecordBatch {
        let mut columns = ActivityColumns::default();
        for v in versions {
            let fetched_at = Timestamp::from_second(v.fetched_s).unwrap();
            columns.push(&Activity {
                user_id: format!("user-{}", v.id % 2),
                source_id: v.id.to_string(),
                start_time: Timestamp::from_second(1_000_000 - i64::from(v.id)).unwrap(),
                title: Some(format!("title of {}", v.fetched_s)),
                description: v.is_detail.then(|| format!("description of {}", v.fetched_s)),
                track_lat_e5: v.is_detail.then(|| vec![i32::from(v.id), v.fetched_s as i32]),
                fetched_at,
                detail_at: v.is_detail.then_some(fetched_at),
                ..Activity::default()
            });
        }
        batch::<Activity>(&mut columns)
    }

    fn merged(batches: &[RecordBatch]) -> Vec<RecordBatch> {
        merge(Table::Activities, batches).collect()
    }

    fn versions() -> impl Strategy<Value = Vec<Version>> {
        // Times are distinct: of two versions of one instant the later to arrive wins.
        prop::collection::vec((0_u8..6, any::<bool>()), 0..24).prop_map(|all| {
            let version =
                |(i, (id, is_detail)): (usize, (u8, bool))| Version { id, fetched_s: i as i64, is_detail };
            all.into_iter().enumerate().map(version).collect()
        })
    }

    #[test]
    fn a_newer_list_keeps_what_only_the_whole_activity_told() {
        let whole = Version { id: 1, fetched_s: 10, is_detail: true };
        let list = Version { id: 1, fetched_s: 20, is_detail: false };
        let result = merged(&[rows(&[whole]), rows(&[list])]);
        let text =
            |name: &str| result[0].column_by_name(name).unwrap().as_string::<i32>().value(0).to_string();
        assert_eq!(result[0].num_rows(), 1);
        assert_eq!(text("title"), "title of 20");
        assert_eq!(text("description"), "description of 10");
    }

    proptest! {
        #[test]
        fn the_order_and_the_steps_of_merging_do_not_matter(all in versions(), cut in 0_usize..24) {
            let at_once = merged(&[rows(&all)]);
            let (first, second) = all.split_at(cut.min(all.len()));
            let mut stepwise = merged(&[rows(second)]);
            stepwise.push(rows(first));
            prop_assert_eq!(&merged(&stepwise), &at_once);
            prop_assert_eq!(&merged(&at_once), &at_once);
            let ids: HashSet<u8> = all.iter().map(|v| v.id).collect();
            prop_assert_eq!(at_once.iter().map(RecordBatch::num_rows).sum::<usize>(), ids.len());
        }
    }
}
