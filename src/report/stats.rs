//! Sums by source, sport and year over the activities dataset, with polars. Each source is summed by itself, so a
//! workout that two sources have is in both sums.
//!
//! Files are read one at a time and summed at once, so memory is bounded by a bucket.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Float64Type;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use polars::prelude::{Column, DataFrame, PolarsError, SortMultipleOptions};
use serde::Serialize;

use crate::dedupe::Gone;
use crate::error::Result;
use crate::model::columns::TimeType;
use crate::store::dataset;
use crate::store::lake::Lake;

/// The columns that are read.
const COLUMNS: [&str; 10] = [
    "source",
    "sport",
    "sport_raw",
    "start_time",
    "distance_m",
    "moving_s",
    "elevation_gain_m",
    "track_lat_e5",
    "is_parent",
    "gone_at",
];

/// One sport in one year, from one source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    pub source: String,
    pub sport: String,
    pub year: i32,
    pub activities: u64,
    pub distance_km: f64,
    pub moving_h: f64,
    pub elevation_gain_m: f64,
    pub track_points: u64,
}

/// The lines of a lake, by source, sport and year. Sports without a canonical name go by their raw one.
pub fn by_source_sport_and_year(lake: &Lake, gone: Gone) -> Result<Vec<Line>> {
    let mut sums: Option<DataFrame> = None;
    for path in dataset::files(lake, &lake.activities_folder())? {
        let mut all = sums.take();
        for batch in dataset::read(lake, &path, Some(&COLUMNS))? {
            let rows = sound(frame(&summed(&batch, gone)));
            all = Some(match all {
                Some(before) => sound(before.vstack(&rows)),
                None => rows,
            });
        }
        sums = all.map(|all| sound(sum(&all)));
    }
    Ok(sums.map_or_else(Vec::new, |sums| sound(lines(&sums))))
}

/// The columns are made here, so if they do not fit each other, this file has a bug.
fn sound<T>(result: Result<T, PolarsError>) -> T {
    result.expect("columns have the types that are summed")
}

const KEYS: [&str; 3] = ["source", "sport", "year"];
const SUMMED: [&str; 5] = ["activities", "distance_m", "moving_s", "elevation_gain_m", "track_points"];

/// The rows without the wholes of multisport events, whose legs are rows of their own, and without what is gone.
fn summed(batch: &RecordBatch, gone: Gone) -> RecordBatch {
    let column = |name: &str| batch.column_by_name(name).expect("the column was asked for");
    let (is_parent, gone_at) = (column("is_parent").as_boolean(), column("gone_at"));
    let is_summed = |(row, is_parent): (usize, Option<bool>)| {
        is_parent != Some(true) && (gone == Gone::Counted || gone_at.is_null(row))
    };
    let keep: BooleanArray = is_parent.iter().enumerate().map(|row| Some(is_summed(row))).collect();
    filter_record_batch(batch, &keep).expect("there is a flag for each row")
}

/// A row per activity, in the columns of the sums.
fn frame(batch: &RecordBatch) -> Result<DataFrame, PolarsError> {
    let column = |name: &str| batch.column_by_name(name).expect("the column was asked for");
    let (sport, raw) = (column("sport").as_string::<i32>(), column("sport_raw").as_string::<i32>());
    let names = (0..batch.num_rows()).map(|row| {
        let either = [sport, raw].into_iter().find(|names| names.is_valid(row));
        either.map_or("unknown", |names| names.value(row))
    });
    let sources: Vec<Option<&str>> = column("source").as_string::<i32>().iter().collect();
    let starts = column("start_time").as_primitive::<TimeType>();
    let year = |us: &i64| {
        Timestamp::from_microsecond(*us).map_or(0, |t| i32::from(t.to_zoned(TimeZone::UTC).year()))
    };
    let years: Vec<i32> = starts.values().iter().map(year).collect();
    let numbers =
        |name: &str| -> Vec<Option<f64>> { column(name).as_primitive::<Float64Type>().iter().collect() };
    let tracks = column("track_lat_e5").as_list::<i32>();
    let points: Vec<u64> = (0..tracks.len())
        .map(|row| if tracks.is_valid(row) { tracks.value_length(row) as u64 } else { 0 })
        .collect();
    DataFrame::new(
        batch.num_rows(),
        vec![
            Column::new("source".into(), sources),
            Column::new("sport".into(), names.collect::<Vec<_>>()),
            Column::new("year".into(), years),
            Column::new("activities".into(), vec![1_u64; batch.num_rows()]),
            Column::new("distance_m".into(), numbers("distance_m")),
            Column::new("moving_s".into(), numbers("moving_s")),
            Column::new("elevation_gain_m".into(), numbers("elevation_gain_m")),
            Column::new("track_points".into(), points),
        ],
    )
}

/// One row per source, sport and year, in the columns it was given.
#[expect(
    deprecated,
    reason = "eager grouping; the lazy engine would double the time a fresh machine compiles"
)]
fn sum(rows: &DataFrame) -> Result<DataFrame, PolarsError> {
    let mut sums = rows.group_by(KEYS)?.select(SUMMED).sum()?;
    let names: Vec<String> = KEYS.iter().chain(&SUMMED).map(|name| (*name).to_string()).collect();
    sums.set_column_names(&names)?;
    Ok(sums)
}

fn lines(sums: &DataFrame) -> Result<Vec<Line>, PolarsError> {
    let sums = sums.sort(KEYS, SortMultipleOptions::default())?;
    let mut lines = Vec::with_capacity(sums.height());
    for row in 0..sums.height() {
        let number = |name: &str| -> Result<f64, PolarsError> {
            Ok(sums.column(name)?.get(row)?.try_extract::<f64>().unwrap_or(0.0))
        };
        let word = |name: &str| -> Result<String, PolarsError> {
            Ok(sums.column(name)?.str()?.get(row).unwrap_or("unknown").to_string())
        };
        lines.push(Line {
            source: word("source")?,
            sport: word("sport")?,
            year: number("year")? as i32,
            activities: number("activities")? as u64,
            distance_km: number("distance_m")? / 1000.0,
            moving_h: number("moving_s")? / 3600.0,
            elevation_gain_m: number("elevation_gain_m")?,
            track_points: number("track_points")? as u64,
        });
    }
    Ok(lines)
}
