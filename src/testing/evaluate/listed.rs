//! The records of a lake, with as much of each as published rules and the keys of a truth ask for.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::model::sport::{self, Sport};
use crate::store::dataset;
use crate::store::dataset::cells::Rows;
use crate::store::lake::Lake;

#[derive(Debug, Clone)]
pub struct Listed {
    pub source: String,
    pub source_id: String,
    pub external_id: Option<String>,
    pub raw_ref: String,
    pub file_sha256: Option<String>,
    pub start_s: i64,
    pub utc_offset_s: Option<i32>,
    pub elapsed_s: Option<f64>,
    pub distance_m: Option<f64>,
    pub sport: Option<Sport>,
}

impl Listed {
    pub fn end_s(&self) -> i64 {
        self.start_s + self.elapsed_s.unwrap_or(0.0) as i64
    }

    pub fn name(&self) -> String {
        format!("{}:{}", self.source, self.source_id)
    }
}

const COLUMNS: [&str; 11] = [
    "user_id",
    "source",
    "source_id",
    "external_id",
    "raw_ref",
    "file_sha256",
    "start_time",
    "utc_offset_s",
    "elapsed_s",
    "distance_m",
    "sport",
];

/// Everybody's records, sorted by start.
pub fn read(lake: &Lake) -> Result<BTreeMap<String, Vec<Listed>>> {
    let mut people: BTreeMap<String, Vec<Listed>> = BTreeMap::new();
    for bucket in lake.buckets() {
        for batch in dataset::activities(lake, bucket, Some(&COLUMNS))? {
            let rows = Rows(&batch);
            for row in 0..batch.num_rows() {
                let (user_id, source, source_id) = rows.activity(row);
                people.entry(user_id).or_default().push(Listed {
                    source,
                    source_id,
                    external_id: rows.word("external_id", row),
                    raw_ref: rows.text("raw_ref", row),
                    file_sha256: rows.word("file_sha256", row),
                    start_s: rows.time_ms("start_time", row).div_euclid(1000),
                    utc_offset_s: rows.whole("utc_offset_s", row),
                    elapsed_s: rows.number("elapsed_s", row),
                    distance_m: rows.number("distance_m", row),
                    sport: rows.word("sport", row).and_then(|name| sport::named(&name)),
                });
            }
        }
    }
    for records in people.values_mut() {
        records
            .sort_by(|a, b| (a.start_s, &a.source, &a.source_id).cmp(&(b.start_s, &b.source, &b.source_id)));
    }
    Ok(people)
}
