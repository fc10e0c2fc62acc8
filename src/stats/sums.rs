//! Sums over groups of workouts, with polars.
//!
//! Each bucket is summed by itself and the sums are summed once more, so memory grows with the groups and not with the
//! workouts.

use std::collections::BTreeSet;

use clap::ValueEnum;
use polars::prelude::{Column, DataFrame, PolarsError, SortMultipleOptions};

use super::calendar;
use super::load::{self, Capacity};
use super::rows::{Filter, Row, each};
use super::sheet::{Sheet, Values};
use crate::error::Result;
use crate::store::each::Gathered;
use crate::store::lake::Lake;

/// What workouts are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Key {
    /// By ISO 8601, from Monday
    Week,
    Month,
    Year,
    Sport,
    /// All that tell of a workout
    Source,
    User,
    /// By the id that the source gives it
    Gear,
    Device,
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Key::Week => "week",
            Key::Month => "month",
            Key::Year => "year",
            Key::Sport => "sport",
            Key::Source => "source",
            Key::User => "user",
            Key::Gear => "gear",
            Key::Device => "device",
        }
    }

    fn of(self, row: &Row) -> String {
        match self {
            Key::Week => calendar::week(row.day),
            Key::Month => calendar::month(row.day),
            Key::Year => calendar::year(row.day),
            Key::Sport => row.sport.clone(),
            Key::Source => row.source.clone(),
            Key::User => row.user.clone(),
            Key::Gear => row.gear.clone().unwrap_or_default(),
            Key::Device => row.device.clone().unwrap_or_default(),
        }
    }
}

/// What is summed. Days are not summed: the first and the last say how long the group lasted.
const SUMMED: [&str; 6] =
    ["workouts", "distance_m", "moving_s", "elevation_gain_m", "heart_load", "power_load"];
const FIRST_DAY: &str = "first_day";
const LAST_DAY: &str = "last_day";

/// The workouts of a lake, summed by these keys and in their order.
pub fn sums(lake: &Lake, by: &[Key], filter: &Filter, capacity: Capacity) -> Result<Gathered<Sheet>> {
    // A key that is named twice groups no finer.
    let mut by: Vec<Key> = by.to_vec();
    let mut seen = BTreeSet::new();
    by.retain(|key| seen.insert(key.name()));
    let by = by.as_slice();
    let names: Vec<&str> = by.iter().map(|key| key.name()).collect();
    let of_buckets = each(lake, filter, |_, rows| {
        let mut loads = Vec::with_capacity(rows.len());
        for person in rows.chunk_by(|a, b| a.user == b.user) {
            let capacity = load::of_person(capacity, person);
            loads.extend(person.iter().map(|row| (load::heart(row, capacity), load::power(row, capacity))));
        }
        let taken = rows.iter().zip(loads).filter(|(row, _)| filter.takes(row)).collect::<Vec<_>>();
        Ok(sound(frame(by, &taken).and_then(|frame| summed(&frame, &names))))
    })?;
    // Nothing has all columns, too.
    let none = sound(frame(by, &[]));
    Ok(of_buckets.map(|of_buckets| {
        let all = of_buckets.into_iter().fold(none, |all, more| sound(all.vstack(&more)));
        sound(summed(&all, &names).and_then(|sums| sheet(&sums, &names)))
    }))
}

/// The columns are made here, so if they do not fit each other, this file has a bug.
fn sound<T>(result: Result<T, PolarsError>) -> T {
    result.expect("columns have the types that are summed")
}

type Split = (Option<f64>, Option<f64>);

/// A row per workout, in the columns of the sums.
fn frame(by: &[Key], rows: &[(&Row, Split)]) -> Result<DataFrame, PolarsError> {
    let numbers = |of: &dyn Fn(&Row) -> f64| -> Vec<Option<f64>> {
        rows.iter().map(|(row, _)| Some(of(row))).collect()
    };
    let days = || rows.iter().map(|(row, _)| row.day).collect::<Vec<i64>>();
    let values: [Vec<Option<f64>>; 6] = [
        numbers(&|_| 1.0),
        numbers(&|row| row.distance_m),
        numbers(&|row| row.moving_s),
        numbers(&|row| row.elevation_gain_m),
        rows.iter().map(|(_, (heart, _))| *heart).collect(),
        rows.iter().map(|(_, (_, power))| *power).collect(),
    ];
    let keys = by.iter().map(|key| {
        Column::new(key.name().into(), rows.iter().map(|(row, _)| key.of(row)).collect::<Vec<String>>())
    });
    let values = SUMMED.iter().zip(values).map(|(name, values)| Column::new((*name).into(), values));
    let days = [FIRST_DAY, LAST_DAY].map(|name| Column::new(name.into(), days()));
    DataFrame::new(rows.len(), keys.chain(values).chain(days).collect())
}

/// One row per group.
fn summed(rows: &DataFrame, names: &[&str]) -> Result<DataFrame, PolarsError> {
    if rows.height() == 0 {
        return Ok(rows.clone());
    }
    if names.is_empty() {
        return one_row(rows, names);
    }
    rows.group_by(names.iter().copied())?.apply(|group| one_row(&group, names))
}

/// A group as one row. A sum of nothing is absent.
fn one_row(group: &DataFrame, names: &[&str]) -> Result<DataFrame, PolarsError> {
    let mut columns: Vec<Column> = Vec::with_capacity(group.width());
    for name in names {
        columns.push(group.column(name)?.head(Some(1)));
    }
    for name in SUMMED {
        let values = group.column(name)?.f64()?;
        let sum = (values.null_count() < values.len()).then(|| values.iter().flatten().sum::<f64>());
        columns.push(Column::new(name.into(), [sum]));
    }
    let days = |name: &str| -> Result<Vec<i64>, PolarsError> {
        Ok(group.column(name)?.i64()?.iter().flatten().collect())
    };
    columns.push(Column::new(FIRST_DAY.into(), [days(FIRST_DAY)?.into_iter().min()]));
    columns.push(Column::new(LAST_DAY.into(), [days(LAST_DAY)?.into_iter().max()]));
    DataFrame::new(1, columns)
}

fn sheet(sums: &DataFrame, names: &[&str]) -> Result<Sheet, PolarsError> {
    let sums = if names.is_empty() {
        sums.clone()
    } else {
        sums.sort(names.iter().copied(), SortMultipleOptions::default())?
    };
    let numbers = |name: &str| -> Result<Vec<Option<f64>>, PolarsError> {
        Ok(sums.column(name)?.f64()?.iter().collect())
    };
    let days = |name: &str| -> Result<Vec<Option<i64>>, PolarsError> {
        Ok(sums.column(name)?.i64()?.iter().collect())
    };
    let scaled = |values: &[Option<f64>], by: f64| {
        values.iter().map(|value| value.map(|value| value / by)).collect::<Vec<_>>()
    };
    let (first, last) = (days(FIRST_DAY)?, days(LAST_DAY)?);
    let weeks: Vec<f64> = first
        .iter()
        .zip(&last)
        .map(|(first, last)| ((last.unwrap_or(0) - first.unwrap_or(0) + 1) as f64 / 7.0).max(1.0))
        .collect();
    let weekly = |values: &[Option<f64>]| -> Vec<Option<f64>> {
        values.iter().zip(&weeks).map(|(value, weeks)| value.map(|value| value / weeks)).collect()
    };
    let date = |days: &[Option<i64>]| {
        Values::Words(days.iter().map(|day| day.map(|day| calendar::date(day).to_string())).collect())
    };
    let workouts = numbers("workouts")?;
    let km = scaled(&numbers("distance_m")?, 1000.0);
    let hours = scaled(&numbers("moving_s")?, 3600.0);
    let mut sheet = Sheet::default();
    for name in names {
        let words = sums.column(name)?.str()?.iter().map(|word| word.map(str::to_string));
        sheet = sheet.with(name, Values::Words(words.collect()));
    }
    let whole = workouts.iter().map(|count| count.map(|count| count as i64)).collect();
    Ok(sheet
        .with("workouts", Values::Whole(whole))
        .with("km", Values::Numbers(km.clone(), 1))
        .with("hours", Values::Numbers(hours.clone(), 1))
        .with("climb_m", Values::Numbers(numbers("elevation_gain_m")?, 0))
        .with("heart_load", Values::Numbers(numbers("heart_load")?, 0))
        .with("power_load", Values::Numbers(numbers("power_load")?, 0))
        .with("workouts_per_week", Values::Numbers(weekly(&workouts), 1))
        .with("km_per_week", Values::Numbers(weekly(&km), 1))
        .with("hours_per_week", Values::Numbers(weekly(&hours), 1))
        .with("first_day", date(&first))
        .with("last_day", date(&last)))
}
