//! Cells of a batch by the names of their columns, for whoever reads rows one at a time.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int32Array, ListArray, RecordBatch,
    StringArray, StructArray,
};
use arrow::compute::interleave;
use arrow::datatypes::{Float32Type, Float64Type, Int32Type};
use jiff::Timestamp;

use crate::model::columns::TimeType;
use crate::model::sparse::null_array;

/// A batch whose columns are asked for by name.
#[derive(Clone, Copy)]
pub struct Rows<'a>(pub &'a RecordBatch);

impl<'a> Rows<'a> {
    pub fn column(&self, name: &str) -> &'a dyn Array {
        self.0.column_by_name(name).expect("the column is in the dataset").as_ref()
    }

    pub fn words(&self, name: &str) -> &'a StringArray {
        self.column(name).as_string::<i32>()
    }

    pub fn word(&self, name: &str, row: usize) -> Option<String> {
        let words = self.words(name);
        words.is_valid(row).then(|| words.value(row).to_string())
    }

    pub fn text(&self, name: &str, row: usize) -> String {
        self.word(name, row).unwrap_or_default()
    }

    pub fn number(&self, name: &str, row: usize) -> Option<f64> {
        let values: &Float64Array = self.column(name).as_primitive::<Float64Type>();
        values.is_valid(row).then(|| values.value(row)).filter(|value| value.is_finite())
    }

    pub fn small(&self, name: &str, row: usize) -> f32 {
        let values: &Float32Array = self.column(name).as_primitive::<Float32Type>();
        values.value(row)
    }

    pub fn whole(&self, name: &str, row: usize) -> Option<i32> {
        let values: &Int32Array = self.column(name).as_primitive::<Int32Type>();
        values.is_valid(row).then(|| values.value(row))
    }

    /// Milliseconds since 1970, as scripts in a browser count.
    pub fn time_ms(&self, name: &str, row: usize) -> i64 {
        self.column(name).as_primitive::<TimeType>().value(row).div_euclid(1000)
    }

    pub fn list(&self, name: &str) -> &'a ListArray {
        self.column(name).as_list::<i32>()
    }

    pub fn time(&self, name: &str, row: usize) -> Option<Timestamp> {
        let values = self.column(name).as_primitive::<TimeType>();
        values.is_valid(row).then(|| Timestamp::from_microsecond(values.value(row)).ok()).flatten()
    }

    pub fn is_true(&self, name: &str, row: usize) -> bool {
        let values: &BooleanArray = self.column(name).as_boolean();
        values.is_valid(row) && values.value(row)
    }

    /// Whose activity it is: user, source and id.
    pub fn activity(&self, row: usize) -> (String, String, String) {
        (self.text("user_id", row), self.text("source", row), self.text("source_id", row))
    }

    /// The records within a list, as a batch of their own; None where there is no list.
    pub fn within(&self, name: &str, row: usize) -> Option<RecordBatch> {
        let list = self.list(name);
        list.is_valid(row).then(|| RecordBatch::from(structs(list, row)))
    }
}

/// Some rows of one column, by the numbers of their batches and in them.
pub fn taken(arrays: &[&dyn Array], rows: &[(usize, usize)]) -> ArrayRef {
    match arrays.first() {
        Some(first) if arrays.iter().all(|array| array.null_count() == array.len()) => {
            null_array(first.data_type(), rows.len())
        }
        _ => interleave(arrays, rows).expect("all batches are of one schema"),
    }
}

/// The batch with other values in these columns.
pub fn replaced<'a>(
    batch: &RecordBatch,
    columns: impl IntoIterator<Item = (&'a str, ArrayRef)>,
) -> RecordBatch {
    let schema = batch.schema();
    let mut all: Vec<ArrayRef> = batch.columns().to_vec();
    for (name, values) in columns {
        all[schema.index_of(name).expect("the column is in the dataset")] = values;
    }
    RecordBatch::try_new(schema, all).expect("the columns are of the schema")
}

pub fn structs(list: &ListArray, row: usize) -> StructArray {
    list.value(row).as_struct().clone()
}

pub fn field(of: &StructArray, name: &str, at: usize) -> String {
    of.column_by_name(name).expect("the list has it").as_string::<i32>().value(at).to_string()
}
