//! What a row says of single columns of its own: which were computed, and which are older than the row.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};

use super::Row;
use crate::model::activity::Earlier;
use crate::model::column::Column;
use crate::model::columns::TimeType;

/// `earlier` names a field of `extra` behind this.
pub const EXTRA: &str = "extra.";

/// When a value was fetched, and whether with the whole of the activity or with its line in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age {
    pub is_detail: bool,
    pub fetched_at: i64,
}

/// The notes of one row; columns by their places.
#[derive(Debug, Default)]
pub struct Notes {
    pub computed: BTreeSet<usize>,
    pub earlier: BTreeMap<usize, Age>,
    /// Of fields of `extra`, by their names.
    pub extra: BTreeMap<String, Age>,
}

/// Reads notes, which name columns, to their places.
pub struct Reader(HashMap<&'static str, usize>);

impl Reader {
    pub fn of(columns: &[&'static Column]) -> Reader {
        Reader(columns.iter().enumerate().map(|(place, column)| (column.name, place)).collect())
    }

    pub fn place(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }

    /// None where the row says nothing of single columns, as most do.
    pub fn read(&self, batches: &[&RecordBatch], row: Row) -> Option<Notes> {
        let list = |name: &str| {
            let list = batches[row.0].column(self.place(name)?).as_list::<i32>();
            list.is_valid(row.1).then(|| list.value(row.1))
        };
        let (computed, earlier) = (list("computed"), list("earlier"));
        if computed.is_none() && earlier.is_none() {
            return None;
        }
        let mut notes = Notes::default();
        if let Some(computed) = computed {
            let names = computed.as_string::<i32>().iter().flatten();
            notes.computed = names.filter_map(|name| self.place(name)).collect();
        }
        if let Some(earlier) = earlier {
            let fields = earlier.as_struct();
            let names = fields.column(0).as_string::<i32>();
            let times = fields.column(1).as_primitive::<TimeType>();
            let details = fields.column(2).as_boolean();
            for at in 0..fields.len() {
                let age = Age { is_detail: details.value(at), fetched_at: times.value(at) };
                let name = names.value(at);
                if let Some(field) = name.strip_prefix(EXTRA) {
                    notes.extra.insert(field.to_string(), age);
                } else if let Some(place) = self.place(name) {
                    notes.earlier.insert(place, age);
                }
            }
        }
        Some(notes)
    }
}

impl Age {
    /// As it is written down.
    pub fn of(self, column: String) -> Earlier {
        let fetched_at = jiff::Timestamp::from_microsecond(self.fetched_at).expect("it was a time before");
        Earlier { column, fetched_at, is_detail: self.is_detail }
    }
}
