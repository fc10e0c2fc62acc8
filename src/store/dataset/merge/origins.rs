//! Activities that both the API and an archive have: one row of the two.
//!
//! What the API says comes first. What only a whole activity has comes from the archive while the API has given no
//! more than its line in a list, and what was computed from samples gives way to what was stated.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};

use super::notes::{Notes, Reader};
use super::upsert::lists;
use super::{Keys, OUTPUT_ROWS, Row, sort_as_table, taken};
use crate::model::column::Column;
use crate::model::extra;
use crate::store::dataset::Table;

/// The rows of activities that the API and archives have, in the order of the table; of each, one row.
pub fn coalesce<'a>(
    api: &'a [RecordBatch],
    archive: &'a [RecordBatch],
) -> impl Iterator<Item = RecordBatch> + use<'a> {
    let both = Both::of(api.iter().chain(archive).collect());
    let keys: Vec<Keys> = both.batches.iter().map(|batch| Keys::of(Table::Activities.key(), batch)).collect();
    let mut pairs: HashMap<Vec<Option<&str>>, OriginPair> = HashMap::new();
    for (number, batch) in both.batches.iter().enumerate() {
        for row in 0..batch.num_rows() {
            let pair = pairs.entry(keys[number].key(row).collect()).or_default();
            let of_origin = if number < api.len() { &mut pair.api } else { &mut pair.archive };
            *of_origin = Some((number, row));
        }
    }
    let mut pairs: Vec<OriginPair> = pairs.into_values().collect();
    sort_as_table(&keys, &mut pairs, |pair| (pair.first(), pair.first()));
    let schema = Table::Activities.schema();
    let mut at = 0;
    std::iter::from_fn(move || {
        let chunk = &pairs[at..pairs.len().min(at + OUTPUT_ROWS)];
        at += chunk.len();
        if chunk.is_empty() {
            return None;
        }
        let known: Vec<Known> = chunk.iter().map(|pair| both.known(pair)).collect();
        let words = |word: &dyn Fn(&OriginPair) -> Option<String>| -> ArrayRef {
            Arc::new(chunk.iter().map(word).collect::<StringArray>())
        };
        let columns = both.columns.iter().enumerate().map(|(place, column)| match column.name {
            "origin" => words(&|pair| both.origin(pair, place)),
            "archive_ref" => words(&|pair| both.archive_ref(pair)),
            "extra" => words(&|pair| both.extra(pair, place)),
            "computed" => lists(chunk.iter().zip(&known).map(|(pair, known)| both.computed(pair, known))),
            "earlier" => lists(chunk.iter().zip(&known).map(|(pair, known)| both.earlier(pair, known))),
            _ => {
                let rows = chunk.iter().zip(&known).map(|(pair, known)| both.giver(pair, known, place));
                let rows: Vec<Row> = rows.collect();
                taken(both.batches.iter().map(|batch| batch.column(place)), &rows)
            }
        });
        let columns: Vec<ArrayRef> = columns.collect();
        Some(RecordBatch::try_new(schema.clone(), columns).expect("versions of one table have one schema"))
    })
}

/// One activity, as the API and an archive have it. One of them has.
#[derive(Debug, Clone, Copy, Default)]
struct OriginPair {
    api: Option<Row>,
    archive: Option<Row>,
}

impl OriginPair {
    fn first(&self) -> Row {
        self.api.or(self.archive).expect("one of them has it")
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        self.api.into_iter().chain(self.archive)
    }
}

/// What is known of a pair before its columns are looked at.
struct Known {
    /// The API gave the whole activity.
    has_detail: bool,
    api: Notes,
    archive: Notes,
}

/// The rows of both origins, those of the API before the others.
struct Both<'a> {
    columns: Vec<&'static Column>,
    batches: Vec<&'a RecordBatch>,
    reader: Reader,
}

impl<'a> Both<'a> {
    fn of(batches: Vec<&'a RecordBatch>) -> Both<'a> {
        let columns = Table::Activities.columns();
        Both { reader: Reader::of(&columns), columns, batches }
    }

    fn place(&self, name: &str) -> usize {
        self.reader.place(name).expect("activities have it")
    }

    fn says(&self, row: Row, place: usize) -> bool {
        self.batches[row.0].column(place).is_valid(row.1)
    }

    fn known(&self, pair: &OriginPair) -> Known {
        let notes = |row: Option<Row>| row.and_then(|row| self.reader.read(&self.batches, row));
        Known {
            has_detail: pair.api.is_some_and(|row| self.says(row, self.place("detail_at"))),
            api: notes(pair.api).unwrap_or_default(),
            archive: notes(pair.archive).unwrap_or_default(),
        }
    }

    /// The row that gives a column.
    fn giver(&self, pair: &OriginPair, known: &Known, place: usize) -> Row {
        let (Some(api), Some(archive)) = (pair.api, pair.archive) else { return pair.first() };
        let column = self.columns[place];
        let lead = column.with.map_or(place, |lead| self.place(lead));
        match (self.says(api, lead), self.says(archive, lead)) {
            (true, false) => return api,
            (false, true) => return archive,
            (false, false) => return api,
            (true, true) => {}
        }
        let is_computed = |notes: &Notes| notes.computed.contains(&lead);
        let archive_first = match (is_computed(&known.api), is_computed(&known.archive)) {
            (true, false) => true,
            (false, true) => false,
            _ => column.is_detail && !known.has_detail && column.name != "detail_at",
        };
        if archive_first { archive } else { api }
    }

    fn word(&self, row: Row, place: usize) -> Option<&'a str> {
        let column = self.batches[row.0].column(place).as_string::<i32>();
        column.is_valid(row.1).then(|| column.value(row.1))
    }

    fn origin(&self, pair: &OriginPair, place: usize) -> Option<String> {
        match (pair.api, pair.archive) {
            (Some(_), Some(_)) => Some("api+archive".to_string()),
            _ => self.word(pair.first(), place).map(str::to_string),
        }
    }

    fn archive_ref(&self, pair: &OriginPair) -> Option<String> {
        let (_, archive) = pair.api.zip(pair.archive)?;
        self.word(archive, self.place("raw_ref")).map(str::to_string)
    }

    /// Fields without a column, those of the archive under a name of their own.
    fn extra(&self, pair: &OriginPair, place: usize) -> Option<String> {
        let text = |row: Option<Row>| row.and_then(|row| self.word(row, place)).map(str::to_string);
        if pair.api.is_none() {
            return text(pair.archive);
        }
        extra::joined(text(pair.api), "archive", text(pair.archive))
    }

    /// Of what each row says of single columns, what is true of the columns that it gives.
    fn noted<T>(
        &self,
        pair: &OriginPair,
        known: &Known,
        of: impl Fn(&Notes) -> Vec<(usize, T)>,
    ) -> Vec<(usize, T)> {
        let mut noted = Vec::new();
        for row in pair.rows() {
            let notes = if Some(row) == pair.api { &known.api } else { &known.archive };
            let given = of(notes).into_iter().filter(|(place, _)| self.giver(pair, known, *place) == row);
            noted.extend(given);
        }
        noted.sort_by_key(|(place, _)| *place);
        noted
    }

    fn computed(&self, pair: &OriginPair, known: &Known) -> Vec<String> {
        let noted = self.noted(pair, known, |notes| notes.computed.iter().map(|at| (*at, ())).collect());
        noted.into_iter().map(|(place, ())| self.columns[place].name.to_string()).collect()
    }

    fn earlier(&self, pair: &OriginPair, known: &Known) -> Vec<crate::model::activity::Earlier> {
        let noted =
            self.noted(pair, known, |notes| notes.earlier.iter().map(|(at, age)| (*at, *age)).collect());
        noted.into_iter().map(|(place, age)| age.of(self.columns[place].name.to_string())).collect()
    }
}
