//! Activities, merged column by column.
//!
//! Of each column, the best version that says something: what the source stated before what was computed from
//! samples, of detail columns what came with the whole activity before a line in a list, then the newest. So a
//! thinner version never empties what a fuller one gave. A row says in `earlier` which of its values are older than
//! itself, and in `computed` which were computed; so it stands for all the versions it was made of, and merging
//! it with further ones ends where merging all at once would.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use serde_json::value::RawValue;

use super::notes::{Age, EXTRA, Notes, Reader};
use super::{Keys, OUTPUT_ROWS, Row, are_versions, grouped, sort_as_table, taken, times};
use crate::model::activity::Earlier;
use crate::model::column::Column;
use crate::model::columns::{Builder, Cell, TimeArray};

/// How good a version's value of a column is; the greatest is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    /// A start of which only the day is known, or not the zone, gives way to one that is known.
    is_sure: bool,
    is_stated: bool,
    age: Age,
}

/// The merged rows of a table with these columns.
pub fn merged<'a>(
    columns: Vec<&'static Column>,
    schema: SchemaRef,
    key: &[&str],
    batches: Vec<&'a RecordBatch>,
) -> impl Iterator<Item = RecordBatch> + use<'a> {
    let keys: Vec<Keys> = batches.iter().map(|batch| Keys::of(key, batch)).collect();
    let rows = grouped(&keys, &batches);
    let mut groups: Vec<Range<usize>> = Vec::new();
    for group in rows.chunk_by(|a, b| are_versions(&keys, a, b)) {
        let begin = groups.last().map_or(0, |last| last.end);
        groups.push(begin..begin + group.len());
    }
    let versions = Versions::of(columns, batches, &rows, &groups);
    let start = versions.reader.place("start_time");
    sort_as_table(&keys, &mut groups, |group| {
        let group = &rows[group.clone()];
        let begins = start.filter(|_| group.len() > 1).map_or(group[0], |start| versions.best(group, start));
        (group[0], begins)
    });
    let mut at = 0;
    std::iter::from_fn(move || {
        let chunk: Vec<&[Row]> =
            groups[at..groups.len().min(at + OUTPUT_ROWS)].iter().map(|group| &rows[group.clone()]).collect();
        at += chunk.len();
        (!chunk.is_empty()).then(|| versions.row_each(&chunk, &schema))
    })
}

/// All versions of all rows.
struct Versions<'a> {
    columns: Vec<&'static Column>,
    batches: Vec<&'a RecordBatch>,
    /// Of each column, the place of the one that it goes with; most go by themselves.
    leads: Vec<usize>,
    reader: Reader,
    fetched_at: Vec<&'a TimeArray>,
    detail_at: Vec<Option<&'a TimeArray>>,
    quality: Vec<Option<&'a StringArray>>,
    /// Of rows that have other versions.
    notes: HashMap<Row, Notes>,
}

impl<'a> Versions<'a> {
    fn of(
        columns: Vec<&'static Column>,
        batches: Vec<&'a RecordBatch>,
        rows: &[Row],
        groups: &[Range<usize>],
    ) -> Versions<'a> {
        let reader = Reader::of(&columns);
        let lead = |(own, column): (usize, &&'static Column)| {
            column.with.map_or(own, |lead| reader.place(lead).expect("a column goes with one of its table"))
        };
        let of_many = groups.iter().filter(|group| group.len() > 1).flat_map(|group| &rows[group.clone()]);
        let notes = of_many.filter_map(|row| Some((*row, reader.read(&batches, *row)?))).collect();
        Versions {
            leads: columns.iter().enumerate().map(lead).collect(),
            fetched_at: batches.iter().map(|b| times(b, "fetched_at").expect("every row has it")).collect(),
            detail_at: batches.iter().map(|b| times(b, "detail_at")).collect(),
            quality: batches.iter().map(|b| Some(b.column_by_name("start_quality")?.as_string())).collect(),
            notes,
            reader,
            columns,
            batches,
        }
    }

    /// How old a column's value is where the row says nothing else of it.
    fn usual_age(&self, row: Row, column: usize) -> Age {
        let detail_at = self.detail_at[row.0].filter(|column| column.is_valid(row.1));
        match detail_at.filter(|_| self.columns[column].is_detail) {
            Some(detail_at) => Age { is_detail: true, fetched_at: detail_at.value(row.1) },
            None => Age { is_detail: false, fetched_at: self.fetched_at[row.0].value(row.1) },
        }
    }

    fn age(&self, row: Row, column: usize) -> Age {
        let noted = self.notes.get(&row).and_then(|notes| notes.earlier.get(&column));
        noted.copied().unwrap_or_else(|| self.usual_age(row, column))
    }

    fn standing(&self, row: Row, column: usize) -> Standing {
        let quality = self.quality[row.0].filter(|_| self.columns[column].name == "start_time");
        Standing {
            is_sure: quality.is_none_or(|quality| !matches!(quality.value(row.1), "hidden" | "zone_unknown")),
            is_stated: self.notes.get(&row).is_none_or(|notes| !notes.computed.contains(&column)),
            age: self.age(row, column),
        }
    }

    fn says(&self, row: Row, column: usize) -> bool {
        self.batches[row.0].column(column).is_valid(row.1)
    }

    /// The version whose value of a column is kept; the newest where none has any.
    fn best(&self, group: &[Row], column: usize) -> Row {
        let lead = self.leads[column];
        // `max_by_key` gives the last of equals.
        let best =
            group.iter().filter(|row| self.says(**row, lead)).max_by_key(|row| self.standing(**row, lead));
        *best.unwrap_or_else(|| self.newest(group))
    }

    fn newest<'r>(&self, group: &'r [Row]) -> &'r Row {
        group.iter().max_by_key(|row| self.fetched_at[row.0].value(row.1)).expect("a group has a row")
    }

    /// A row for each group.
    fn row_each(&self, groups: &[&[Row]], schema: &SchemaRef) -> RecordBatch {
        let many: Vec<usize> = (0..groups.len()).filter(|at| groups[*at].len() > 1).collect();
        let kept: Vec<Kept> = many.iter().map(|at| self.kept(groups[*at])).collect();
        let firsts: Vec<Row> = groups.iter().map(|group| group[0]).collect();
        let columns = self.columns.iter().enumerate().map(|(place, column)| {
            let arrays = self.batches.iter().map(|batch| batch.column(place));
            let mut rows = firsts.clone();
            // What a group says of its own columns is in an array of its own, behind the batches.
            let made: Option<ArrayRef> = match column.name {
                _ if many.is_empty() => None,
                "extra" => {
                    Some(Arc::new(kept.iter().map(|kept| kept.extra.as_deref()).collect::<StringArray>()))
                }
                "computed" => Some(lists(kept.iter().map(|kept| self.names(&kept.computed)))),
                "earlier" => Some(lists(kept.iter().map(|kept| kept.earlier.clone()))),
                _ => None,
            };
            for (number, (at, kept)) in many.iter().zip(&kept).enumerate() {
                rows[*at] = if made.is_some() { (self.batches.len(), number) } else { kept.rows[place] };
            }
            taken(arrays.chain(&made), &rows)
        });
        RecordBatch::try_new(schema.clone(), columns.collect())
            .expect("versions of one table have one schema")
    }

    fn names(&self, places: &[usize]) -> Vec<String> {
        places.iter().map(|place| self.columns[*place].name.to_string()).collect()
    }

    /// What is kept of several versions of one row.
    fn kept(&self, group: &[Row]) -> Kept {
        let rows: Vec<Row> = (0..self.columns.len()).map(|column| self.best(group, column)).collect();
        let is_computed = |column: &usize| {
            let notes = self.notes.get(&rows[*column]);
            notes.is_some_and(|n| n.computed.contains(column)) && self.says(rows[*column], *column)
        };
        // The row that comes of it was fetched when the newest of them was.
        let usual: Vec<Age> = self.usual_ages(group);
        let mut earlier = Vec::new();
        for (place, column) in self.columns.iter().enumerate() {
            let age = self.age(rows[place], place);
            // These are put together from what is kept, and the fields of `extra` are noted one by one.
            let is_made = matches!(column.name, "extra" | "computed" | "earlier");
            let follows = self.leads[place] != place;
            if !is_made && !follows && age != usual[place] && self.says(rows[place], place) {
                earlier.push(age.of(column.name.to_string()));
            }
        }
        let extra = self.reader.place("extra").and_then(|extra| {
            let fields = self.extra(group, extra)?;
            let older = fields.ages.into_iter().filter(|(_, age)| *age != usual[extra]);
            earlier.extend(older.map(|(field, age)| age.of(format!("{EXTRA}{field}"))));
            Some(fields.text)
        });
        Kept { computed: (0..rows.len()).filter(is_computed).collect(), extra, earlier, rows }
    }

    fn usual_ages(&self, group: &[Row]) -> Vec<Age> {
        let columns = 0..self.columns.len();
        columns
            .map(|column| {
                let ages = group.iter().map(|row| self.usual_age(*row, column));
                ages.max().expect("a group has a row")
            })
            .collect()
    }

    /// The fields without a column, each from the best version that has it.
    fn extra(&self, group: &[Row], column: usize) -> Option<Extra> {
        let text = |row: Row| self.batches[row.0].column(column).as_string::<i32>().value(row.1);
        let texts: Vec<(Row, &str)> =
            group.iter().filter(|row| self.says(**row, column)).map(|row| (*row, text(*row))).collect();
        let first = texts.first()?.1;
        let mut best: BTreeMap<String, (Age, Box<RawValue>)> = BTreeMap::new();
        for (row, text) in &texts {
            let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap_or_default();
            let notes = self.notes.get(row);
            for (field, value) in fields {
                let noted = notes.and_then(|notes| notes.extra.get(&field).copied());
                let age = noted.unwrap_or_else(|| self.usual_age(*row, column));
                if best.get(&field).is_none_or(|(best, _)| *best <= age) {
                    best.insert(field, (age, value));
                }
            }
        }
        let ages = best.iter().map(|(field, (age, _))| (field.clone(), *age)).collect();
        let text = if texts.iter().all(|(_, text)| *text == first) {
            first.to_string()
        } else {
            let values: BTreeMap<&String, &RawValue> =
                best.iter().map(|(field, (_, value))| (field, value.as_ref())).collect();
            serde_json::to_string(&values).expect("it was JSON before")
        };
        Some(Extra { text, ages })
    }
}

/// What is kept of several versions of one row.
struct Kept {
    /// Of each column, the version that gives it.
    rows: Vec<Row>,
    computed: Vec<usize>,
    earlier: Vec<Earlier>,
    extra: Option<String>,
}

struct Extra {
    text: String,
    ages: Vec<(String, Age)>,
}

/// A column of lists; an empty one is none.
pub fn lists<T>(values: impl Iterator<Item = Vec<T>>) -> ArrayRef
where
    Option<Vec<T>>: Cell,
{
    let mut column = <Option<Vec<T>> as Cell>::Builder::new();
    for list in values {
        Some(list).filter(|list| !list.is_empty()).add(&mut column);
    }
    column.finish()
}
