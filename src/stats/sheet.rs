//! A table of results: printed for people, or as JSON, CSV and Parquet for machines.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq};

use crate::error::{Error, Result};
use crate::numbers::count;

/// Columns of one length, each with its name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sheet {
    columns: Vec<(String, Values)>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Words(Vec<Option<String>>),
    Whole(Vec<Option<i64>>),
    /// With so many digits behind the point where people read them.
    Numbers(Vec<Option<f64>>, usize),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::Words(values) => values.len(),
            Values::Whole(values) => values.len(),
            Values::Numbers(values, _) => values.len(),
        }
    }

    /// Nothing where there is no value.
    fn text(&self, row: usize) -> String {
        match self {
            Values::Words(values) => values[row].clone().unwrap_or_default(),
            Values::Whole(values) => values[row].map(|value| value.to_string()).unwrap_or_default(),
            Values::Numbers(values, _) => {
                values[row].map(|value| exact(value).to_string()).unwrap_or_default()
            }
        }
    }

    /// The same, for people.
    fn shown(&self, row: usize) -> String {
        match self {
            Values::Words(_) => self.text(row),
            Values::Whole(values) => values[row].map(|value| count(value.unsigned_abs())).unwrap_or_default(),
            Values::Numbers(values, digits) => {
                values[row].map(|value| format!("{value:.digits$}")).unwrap_or_default()
            }
        }
    }

    fn array(&self) -> ArrayRef {
        match self {
            Values::Words(values) => Arc::new(StringArray::from_iter(values)),
            Values::Whole(values) => Arc::new(Int64Array::from(values.clone())),
            Values::Numbers(values, _) => Arc::new(Float64Array::from(values.clone())),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Values::Words(values) => values.iter().all(Option::is_none),
            Values::Whole(values) => values.iter().all(Option::is_none),
            Values::Numbers(values, _) => values.iter().all(Option::is_none),
        }
    }
}

impl Sheet {
    /// Adds a column, which has as many values as the others.
    pub fn with(mut self, name: &str, values: Values) -> Sheet {
        assert!(self.columns.is_empty() || values.len() == self.len(), "columns have one length");
        self.columns.push((name.to_string(), values));
        self
    }

    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |(_, values)| values.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the columns and the cells of each row, for people: without the columns that are empty.
    pub fn shown(&self) -> (Vec<&str>, Vec<Vec<String>>) {
        let columns: Vec<_> = self.columns.iter().filter(|(_, values)| !values.is_empty()).collect();
        let row = |row: usize| columns.iter().map(|(_, values)| values.shown(row)).collect();
        (columns.iter().map(|(name, _)| name.as_str()).collect(), (0..self.len()).map(row).collect())
    }

    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = |cells: Vec<String>| writer.write_record(cells).expect("memory takes every row");
        write(self.columns.iter().map(|(name, _)| name.clone()).collect());
        for row in 0..self.len() {
            write(self.columns.iter().map(|(_, values)| values.text(row)).collect());
        }
        String::from_utf8(writer.into_inner().expect("memory takes every row")).expect("cells are text")
    }

    pub fn write_parquet(&self, path: &Path) -> Result<()> {
        let columns = self.columns.iter().map(|(name, values)| (name, values.array(), true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns have one length");
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("the types are plain");
        writer.write(&batch).and_then(|()| writer.close()).expect("memory takes every row");
        let mut file = std::fs::File::create(path).map_err(Error::io("write", path))?;
        file.write_all(&bytes).map_err(Error::io("write", path))
    }
}

impl Serialize for Sheet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.len()))?;
        for row in 0..self.len() {
            rows.serialize_element(&Line { sheet: self, row })?;
        }
        rows.end()
    }
}

struct Line<'a> {
    sheet: &'a Sheet,
    row: usize,
}

impl Serialize for Line<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(self.sheet.columns.len()))?;
        for (name, values) in &self.sheet.columns {
            match values {
                Values::Words(values) => fields.serialize_entry(name, &values[self.row])?,
                Values::Whole(values) => fields.serialize_entry(name, &values[self.row])?,
                Values::Numbers(values, _) => fields.serialize_entry(name, &values[self.row].map(exact))?,
            }
        }
        fields.end()
    }
}

/// Metres of kilometres, and no noise behind them.
fn exact(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        Sheet::default()
            .with("sport", Values::Words(vec![Some("run".into()), Some("a, b".into())]))
            .with("workouts", Values::Whole(vec![Some(3), None]))
            .with("km", Values::Numbers(vec![Some(12.345), None], 1))
            .with("watts", Values::Numbers(vec![None, None], 0))
    }

    #[test]
    fn a_sheet_is_csv_json_and_a_table() {
        assert_eq!(sheet().csv(), "sport,workouts,km,watts\nrun,3,12.345,\n\"a, b\",,,\n");
        let json = serde_json::to_string(&sheet()).unwrap();
        let first = r#"{"sport":"run","workouts":3,"km":12.345,"watts":null}"#;
        assert_eq!(json, format!(r#"[{first},{{"sport":"a, b","workouts":null,"km":null,"watts":null}}]"#));
        let sheet = sheet();
        let (head, rows) = sheet.shown();
        assert_eq!(
            (head, &rows[0]),
            (vec!["sport", "workouts", "km"], &vec!["run".into(), "3".into(), "12.3".into()])
        );
    }

    #[test]
    fn parquet_has_the_same_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.parquet");
        sheet().write_parquet(&path).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 100).unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!((batches[0].num_rows(), batches[0].num_columns()), (2, 4));
    }
}
