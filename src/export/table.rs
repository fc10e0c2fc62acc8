//! The columns of `golden` that hold one value, and their rows as CSV.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Without lists, and without the bounds of the track, which its line has.
pub fn flat(rows: &RecordBatch) -> RecordBatch {
    let is_flat = |field: &Field| {
        let is_nested = matches!(field.data_type(), DataType::List(_) | DataType::Struct(_));
        !is_nested && !field.name().starts_with("bbox_")
    };
    let schema = rows.schema();
    let kept: Vec<usize> = (0..schema.fields().len()).filter(|at| is_flat(schema.field(*at))).collect();
    rows.project(&kept).expect("the columns are there")
}

/// With more columns behind.
pub fn with(
    rows: &RecordBatch,
    more: Vec<(Field, ArrayRef)>,
    schema: impl FnOnce(Vec<Field>) -> Schema,
) -> RecordBatch {
    let mut fields: Vec<Field> = rows.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut columns = rows.columns().to_vec();
    for (field, column) in more {
        fields.push(field);
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(schema(fields)), columns).expect("the columns are of the schema")
}

/// The columns as they are printed. Of zones, the formatter knows only offsets.
pub fn printable(rows: &RecordBatch) -> Vec<ArrayRef> {
    let printable = |column: &ArrayRef| match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let times = column.as_primitive::<TimestampMicrosecondType>().clone();
            Arc::new(times.with_timezone("+00:00")) as ArrayRef
        }
        _ => Arc::clone(column),
    };
    rows.columns().iter().map(printable).collect()
}

/// Writes the values of a printable column as text: times as RFC 3339, nothing where there is none.
pub fn texts(column: &dyn Array) -> ArrayFormatter<'_> {
    ArrayFormatter::try_new(column, &FormatOptions::default()).expect("every flat type has a text")
}

pub fn csv(rows: &RecordBatch) -> Vec<u8> {
    const SOUND: &str = "memory takes it";
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(rows.schema().fields().iter().map(|field| field.name())).expect(SOUND);
    let columns = printable(rows);
    let columns: Vec<ArrayFormatter> = columns.iter().map(|column| texts(column)).collect();
    for row in 0..rows.num_rows() {
        out.write_record(columns.iter().map(|column| column.value(row).to_string())).expect(SOUND);
    }
    out.into_inner().expect(SOUND)
}
