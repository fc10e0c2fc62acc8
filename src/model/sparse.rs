//! Columns without values, which cost next to nothing.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::DataType;

use super::columns::{Builder, Value};

/// Collects a column that may have no values, as half of an activity's columns have none in a whole file. Such a one is
/// counted, and takes no memory.
pub struct Sparse<T: Value> {
    /// Before the first value.
    nulls: usize,
    has_values: bool,
    values: T::Builder,
}

impl<T: Value> Sparse<T> {
    pub(super) fn with_values(&mut self) -> &mut T::Builder {
        if !self.has_values {
            (0..self.nulls).for_each(|_| T::append_null(&mut self.values));
            self.has_values = true;
        }
        &mut self.values
    }

    pub(super) fn append_null(&mut self) {
        if self.has_values {
            T::append_null(&mut self.values);
        } else {
            self.nulls += 1;
        }
    }
}

impl<T: Value> Builder for Sparse<T> {
    fn new() -> Self {
        Sparse { nulls: 0, has_values: false, values: T::Builder::new() }
    }

    fn finish(&mut self) -> ArrayRef {
        let nulls = std::mem::take(&mut self.nulls);
        if std::mem::take(&mut self.has_values) {
            self.values.finish()
        } else {
            null_array(&T::data_type(), nulls)
        }
    }
}

/// So many rows without a value. All that are of one type lie in the same memory.
pub fn null_array(data_type: &DataType, rows: usize) -> ArrayRef {
    static LONGEST: LazyLock<Mutex<HashMap<DataType, ArrayRef>>> = LazyLock::new(Mutex::default);
    let mut longest = LONGEST.lock().expect("no thread panics while it holds this");
    let array = longest.entry(data_type.clone()).or_insert_with(|| new_null_array(data_type, rows));
    if array.len() < rows {
        *array = new_null_array(data_type, rows.next_power_of_two());
    }
    array.slice(0, rows)
}
