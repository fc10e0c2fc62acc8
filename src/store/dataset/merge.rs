//! Many versions of rows to one row each.
//!
//! The newest version of a row wins; of the columns that only a whole activity carries, the
//! newest version that has them. Both are maxima, so merging in any order and any number of
//! steps ends in the same rows. That holds for what one origin told: an activity that both the API
//! and an archive told of is put together, column by column, from the two rows that remain.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StringBuilder};
use arrow::compute::interleave;

use super::Table;
use crate::error::Result;
use crate::model::activity::DETAIL_COLUMNS;
use crate::model::columns::{Builder, Column, TimeArray, TimeType};
use crate::sources::formats::json;

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
    start: Option<&'a TimeArray>,
    fetched_at: &'a TimeArray,
    detail_at: Option<&'a TimeArray>,
    /// Of streams, where what the API told comes before what an archive did.
    origin: Option<&'a StringArray>,
}

/// The merged rows, in the order of the table: by user, start and id. Of two versions that
/// were fetched in the same microsecond, the one in the later batch and row wins.
pub fn merge<'a>(table: Table, versions: &'a [RecordBatch]) -> impl Iterator<Item = RecordBatch> + use<'a> {
    let picks = pick(table, versions);
    let rows = if table == Table::Streams { OUTPUT_ROWS_STREAMS } else { OUTPUT_ROWS };
    let detail: HashSet<&str> = match table {
        Table::Activities => DETAIL_COLUMNS.iter().copied().collect(),
        _ => HashSet::new(),
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

/// The rows of activities that the API and archives told of, in the order of the table; of each, one row.
/// What the API says comes first; what only a whole activity has comes from the archive while the API
/// has told no more than its line in a list.
pub fn coalesce<'a>(
    api: &'a [RecordBatch],
    archive: &'a [RecordBatch],
) -> impl Iterator<Item = RecordBatch> + use<'a> {
    let all: Vec<&RecordBatch> = api.iter().chain(archive).collect();
    let deciding: Vec<Deciding> = all.iter().map(|batch| Deciding::of(Table::Activities, batch)).collect();
    let rows = |batches: &[RecordBatch], first: usize| -> Vec<Row> {
        let numbered = batches.iter().enumerate();
        numbered
            .flat_map(|(number, batch)| (0..batch.num_rows()).map(move |row| (first + number, row)))
            .collect()
    };
    let key = |row: Row| -> Vec<Option<&str>> { deciding[row.0].key(row.1).collect() };
    let mut pairs: HashMap<Vec<Option<&str>>, Pair> = HashMap::new();
    for row in rows(api, 0) {
        pairs.entry(key(row)).or_default().api = Some(row);
    }
    for row in rows(archive, api.len()) {
        pairs.entry(key(row)).or_default().archive = Some(row);
    }
    let mut pairs: Vec<Pair> = pairs.into_values().collect();
    let start = |pair: &Pair| {
        let row = pair.first();
        deciding[row.0].start.map(|start| start.value(row.1))
    };
    pairs.sort_by(|a, b| {
        let user = |pair: &Pair| deciding[pair.first().0].key(pair.first().1).next().flatten();
        user(a)
            .cmp(&user(b))
            .then_with(|| start(a).cmp(&start(b)))
            .then_with(|| deciding[a.first().0].key(a.first().1).cmp(deciding[b.first().0].key(b.first().1)))
    });
    for pair in &mut pairs {
        pair.has_detail = pair.api.is_some_and(|row| deciding[row.0].detail_at(row.1).is_some());
    }
    let schema = Table::Activities.schema();
    let mut at = 0;
    std::iter::from_fn(move || {
        let chunk = &pairs[at..pairs.len().min(at + OUTPUT_ROWS)];
        at += chunk.len();
        if chunk.is_empty() {
            return None;
        }
        let columns: Vec<ArrayRef> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| match field.name().as_str() {
                "origin" => Arc::new(words(chunk, |pair| pair.origin(&all, index))) as ArrayRef,
                "archive_ref" => Arc::new(words(chunk, |pair| pair.archive_ref(&all))),
                "extra" => Arc::new(words(chunk, |pair| pair.extra(&all, index))),
                "computed" => computed(chunk, &all, index),
                name => {
                    let sources: Vec<&dyn Array> = all.iter().map(|b| b.column(index).as_ref()).collect();
                    let rows: Vec<Row> = chunk.iter().map(|pair| pair.teller(&all, index, name)).collect();
                    interleave(&sources, &rows).expect("versions of one table have one schema")
                }
            })
            .collect();
        Some(RecordBatch::try_new(schema.clone(), columns).expect("versions of one table have one schema"))
    })
}

/// One activity, as it was told by the API and by an archive. At least one of them told.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    api: Option<Row>,
    archive: Option<Row>,
    has_detail: bool,
}

impl Pair {
    fn first(&self) -> Row {
        self.api.or(self.archive).expect("one of them told")
    }

    /// Whose value of a column is taken.
    fn teller(&self, all: &[&RecordBatch], index: usize, name: &str) -> Row {
        let (Some(api), Some(archive)) = (self.api, self.archive) else { return self.first() };
        let archive_first = !self.has_detail && DETAIL_COLUMNS.contains(&name) && name != "detail_at";
        let (first, second) = if archive_first { (archive, api) } else { (api, archive) };
        let has = |row: Row| all[row.0].column(index).is_valid(row.1);
        if has(first) || !has(second) { first } else { second }
    }

    fn word<'a>(all: &[&'a RecordBatch], index: usize, row: Row) -> Option<&'a str> {
        let column = all[row.0].column(index).as_string::<i32>();
        column.is_valid(row.1).then(|| column.value(row.1))
    }

    fn origin(&self, all: &[&RecordBatch], index: usize) -> Option<String> {
        match (self.api, self.archive) {
            (Some(_), Some(_)) => Some("api+archive".to_string()),
            _ => Pair::word(all, index, self.first()).map(str::to_string),
        }
    }

    fn archive_ref(&self, all: &[&RecordBatch]) -> Option<String> {
        let (_, archive) = self.api.zip(self.archive)?;
        let raw_ref = all[archive.0].schema_ref().index_of("raw_ref").expect("every row has it");
        Pair::word(all, raw_ref, archive).map(str::to_string)
    }

    /// Fields without a column, those of the archive under a name of their own.
    fn extra(&self, all: &[&RecordBatch], index: usize) -> Option<String> {
        let api = self.api.and_then(|row| Pair::word(all, index, row));
        let archive = self.archive.and_then(|row| Pair::word(all, index, row));
        if self.api.is_none() {
            return archive.map(str::to_string);
        }
        json::joined(api.map(str::to_string), "archive", archive.map(str::to_string))
    }
}

fn words(chunk: &[Pair], word: impl Fn(&Pair) -> Option<String>) -> StringArray {
    let mut column = StringBuilder::new();
    chunk.iter().for_each(|pair| column.append_option(word(pair)));
    column.finish()
}

/// Of what an archive's row had computed, what ended in the row.
fn computed(chunk: &[Pair], all: &[&RecordBatch], index: usize) -> ArrayRef {
    let mut column = <Option<Vec<String>> as Column>::Builder::default();
    for pair in chunk {
        let names = |row: Row| -> Vec<String> {
            let list = all[row.0].column(index).as_list::<i32>();
            if list.is_null(row.1) {
                return Vec::new();
            }
            list.value(row.1).as_string::<i32>().iter().flatten().map(str::to_string).collect()
        };
        let kept = match (pair.api, pair.archive) {
            (Some(api), Some(archive)) => {
                let schema = all[api.0].schema_ref();
                let is_archives = |name: &String| {
                    schema.index_of(name).is_ok_and(|index| pair.teller(all, index, name) == archive)
                };
                names(archive).into_iter().filter(is_archives).chain(names(api)).collect()
            }
            _ => names(pair.first()),
        };
        Some(kept).filter(|kept| !kept.is_empty()).add(&mut column);
    }
    Builder::finish(&mut column)
}

/// The rows of streams, merged like the others; but those that are in a file already are read as they are
/// needed, because a year of them need not fit in memory.
///
/// `old` are the deciding columns of the file's rows, and `reader` gives the whole rows in the same
/// order; what it gives is what the file was merged to before.
pub fn merge_streams(
    old: &[RecordBatch],
    mut reader: impl Iterator<Item = Result<RecordBatch>>,
    new: &[RecordBatch],
) -> impl Iterator<Item = Result<RecordBatch>> {
    let first_rows: Vec<usize> = old
        .iter()
        .scan(0, |rows, batch| {
            let first = *rows;
            *rows += batch.num_rows();
            Some(first)
        })
        .collect();
    let versions: Vec<RecordBatch> = old.iter().chain(new).cloned().collect();
    let picks = pick(Table::Streams, &versions);
    let olds = old.len();
    let new = new.to_vec();
    let schema = Table::Streams.schema();
    // Whole rows of the file that are in memory, and the number of the first one of each batch.
    let mut loaded: VecDeque<(usize, RecordBatch)> = VecDeque::new();
    let mut next_row = 0;
    let mut at = 0;
    std::iter::from_fn(move || {
        let chunk = &picks[at..picks.len().min(at + OUTPUT_ROWS_STREAMS)];
        at += chunk.len();
        if chunk.is_empty() {
            return None;
        }
        // The file is in the order of the picks, so its rows are needed in the order they come.
        let row_of = |row: Row| (row.0 < olds).then(|| first_rows[row.0] + row.1);
        let needed: Vec<usize> = chunk.iter().filter_map(|pick| row_of(pick.newest)).collect();
        if let Some(first) = needed.first() {
            while loaded.front().is_some_and(|(begin, batch)| begin + batch.num_rows() <= *first) {
                loaded.pop_front();
            }
        }
        while needed.last().is_some_and(|last| *last >= next_row) {
            match reader.next() {
                Some(Ok(batch)) => {
                    let begin = next_row;
                    next_row += batch.num_rows();
                    if needed.first().is_some_and(|first| next_row > *first) {
                        loaded.push_back((begin, batch));
                    }
                }
                Some(Err(e)) => return Some(Err(e)),
                None => unreachable!("the file has the rows whose deciding columns were read from it"),
            }
        }
        let place = |row: Row| match row_of(row) {
            Some(number) => {
                let batch = loaded.partition_point(|(begin, batch)| begin + batch.num_rows() <= number);
                (batch, number - loaded[batch].0)
            }
            None => (loaded.len() + row.0 - olds, row.1),
        };
        let rows: Vec<Row> = chunk.iter().map(|pick| place(pick.newest)).collect();
        let batches: Vec<&RecordBatch> = loaded.iter().map(|(_, batch)| batch).chain(&new).collect();
        let columns = (0..schema.fields().len()).map(|index| {
            let sources: Vec<&dyn Array> = batches.iter().map(|b| b.column(index).as_ref()).collect();
            interleave(&sources, &rows).expect("versions of one table have one schema")
        });
        let columns: Vec<ArrayRef> = columns.collect();
        Some(
            Ok(RecordBatch::try_new(schema.clone(), columns).expect("versions of one table have one schema")),
        )
    })
}

/// The columns of streams that decide which version of a row is kept, and where it stands.
pub const DECIDING: [&str; 5] = ["user_id", "source_id", "start_time", "origin", "fetched_at"];

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
            let newest = *group.iter().max_by_key(|r| deciding[r.0].rank(r.1)).expect("not empty");
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
        let time = |name: &str| batch.column_by_name(name).map(|column| column.as_primitive::<TimeType>());
        Deciding {
            key: table
                .key()
                .iter()
                .map(|name| batch.column_by_name(name).map(|column| column.as_string()))
                .collect(),
            start: time("start_time"),
            fetched_at: time("fetched_at").expect("every table has it"),
            detail_at: time("detail_at"),
            origin: (table == Table::Streams)
                .then(|| batch.column_by_name("origin").expect("streams have it").as_string()),
        }
    }

    fn rank(&self, row: usize) -> (bool, i64) {
        (self.origin.is_some_and(|origin| origin.value(row) == "api"), self.fetched_at.value(row))
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
    use crate::model::activity::{Activity, ActivityColumns, Streams, StreamsColumns};
    use crate::model::columns::Columns;
    use crate::store::dataset::batch;

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

    fn stream_rows(versions: &[Version]) -> RecordBatch {
        let mut columns = StreamsColumns::default();
        for v in versions {
            columns.push(&Streams {
                user_id: format!("user-{}", v.id % 3),
                source_id: v.id.to_string(),
                start_time: Timestamp::from_second(1_000_000 - i64::from(v.id) * 3).unwrap(),
                samples: 2,
                time_s: Some(vec![Some(v.fetched_s as i32), None]),
                origin: if v.is_detail { "api" } else { "archive" }.to_string(),
                fetched_at: Timestamp::from_second(v.fetched_s).unwrap(),
                ..Streams::default()
            });
        }
        batch::<Streams>(&mut columns)
    }

    fn together(batches: &[RecordBatch]) -> RecordBatch {
        arrow::compute::concat_batches(&Table::Streams.schema(), batches).unwrap()
    }

    proptest! {
        #[test]
        fn streams_that_are_read_while_they_are_written_end_as_those_in_memory(
            all in versions(), cut in 0_usize..24, piece in 1_usize..5
        ) {
            let (first, second) = all.split_at(cut.min(all.len()));
            let old: Vec<RecordBatch> = merge(Table::Streams, &[stream_rows(first)]).collect();
            let file = together(&old);
            let new = [stream_rows(second)];
            let slow: Vec<RecordBatch> = merge(Table::Streams, &[file.clone(), new[0].clone()]).collect();
            let pieces = (0..file.num_rows()).step_by(piece);
            let pieces: Vec<RecordBatch> =
                pieces.map(|at| file.slice(at, piece.min(file.num_rows() - at))).collect();
            let fast: Vec<RecordBatch> =
                merge_streams(&old, pieces.into_iter().map(Ok), &new).collect::<Result<_>>().unwrap();
            prop_assert_eq!(together(&fast), together(&slow));
        }

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
