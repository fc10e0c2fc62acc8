//! Fitbit: Takeout's exercise and heart-rate files, the newer tables of exercises, and lists of
//! the Web API.
//!
//! Times in Takeout are UTC and do not say so. Heart rates come as one series per day, whatever
//! was done in it: an exercise gets the part of it that lies within.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use rayon::prelude::*;

use super::formats::csv::{self, Quotes, Row, cell};
use super::formats::json::{self, Value, fields, id, missing, number, text};
use super::formats::recording::{HEART_RATES_BPM, Recording, Sample};
use super::formats::series::{Rate, Windows, add_heart_rates};
use super::formats::time;
use super::formats::zip::{ArchiveEntry, Container};
use super::{ArchiveItem, Fault, Found, OnItem, Parsed, Ranks, ReadFrom, Spec, degrees_e7, records};
use crate::error::Result;
use crate::model::activity::Activity;

/// What is true of this source.
pub const SPEC: Spec = Spec {
    name: "fitbit",
    help: "The Takeout folder or zip, or bodies of the Web API",
    fitglue: "SOURCE_FITBIT",
    ranks: Ranks { written: 40, measured: 60, sets: 40, sent: 30 },
    can_echo: false,
    gathers: false,
    app_key: None,
    only_sport: None,
    recognises,
    read,
};

const METRES_PER_MILE: f64 = 1609.344;
const METRES_PER_FOOT: f64 = 0.3048;
/// Days of heart rates that are read at a time.
const DAYS_AT_A_TIME: usize = 64;

pub fn recognises(archive: &Container) -> bool {
    archive.entries().iter().any(|entry| is_exercises(entry) || is_table(entry))
        || archive.ending(".json").take(100).any(|entry| is_web_list(&archive.head(entry, 4096)))
}

/// `exercise-0.json`, `exercise-100.json`, …
fn is_exercises(entry: &ArchiveEntry) -> bool {
    let name = entry.file_name().to_lowercase();
    (name.starts_with("exercise-") || name.ends_with("exercise.json")) && name.ends_with(".json")
}

fn is_table(entry: &ArchiveEntry) -> bool {
    let name = entry.file_name().to_lowercase();
    name.starts_with("userexercises") && name.ends_with(".csv")
}

fn is_web_list(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    (head.contains("\"logId\"") || head.contains("\"caloriesOut\""))
        && (head.contains("\"activities\"") || head.contains("\"activityName\""))
}

pub fn read(archive: &Container, from: &ReadFrom, each: OnItem<'_>) -> Result<()> {
    let lists: Vec<&ArchiveEntry> = archive
        .ending(".json")
        .filter(|e| is_exercises(e) || (!is_series(e) && is_web_list(&archive.head(e, 4096))))
        .collect();
    let read: Vec<Vec<ArchiveItem>> = lists.par_iter().map(|entry| exercises(archive, entry, from)).collect();
    let tables: Vec<&ArchiveEntry> = archive.entries().iter().filter(|e| is_table(e)).collect();
    let tables: Vec<Vec<ArchiveItem>> = tables.par_iter().map(|entry| table(archive, entry, from)).collect();
    let mut found = Vec::new();
    for item in read.into_iter().chain(tables).flatten() {
        match item.found {
            Found::Activity(taken) => found.push((item.kind, item.at, taken)),
            _ => each(item)?,
        }
    }
    let mut found = joined(found);
    let windows = Windows::of(found.iter().map(|(_, _, taken)| &taken.activity));
    let mut rates: Vec<Vec<Rate>> = vec![Vec::new(); found.len()];
    let days: Vec<&ArchiveEntry> = archive.ending(".json").filter(|e| is_wanted(e, &windows)).collect();
    for some in days.chunks(DAYS_AT_A_TIME) {
        let read: Vec<_> =
            some.par_iter().map(|entry| (entry, heart_rates(archive, entry, &windows))).collect();
        for (entry, read) in read {
            match read {
                Ok(hits) => hits.into_iter().for_each(|(at, rate)| rates[at].push(rate)),
                Err(fault) => each(ArchiveItem::fault("file", format!("!{}", entry.name), fault))?,
            }
        }
    }
    let mut points: Vec<Vec<Sample>> = vec![Vec::new(); found.len()];
    let days: Vec<(&ArchiveEntry, DaySeries)> =
        archive.ending(".csv").filter_map(|entry| Some((entry, day_series(entry, &windows)?))).collect();
    for some in days.chunks(DAYS_AT_A_TIME) {
        let read: Vec<_> =
            some.par_iter().map(|(entry, kind)| (entry, day(archive, entry, *kind, &windows))).collect();
        for (entry, read) in read {
            let at = || format!("!{}", entry.name);
            match read {
                Ok(day) => {
                    day.rates.into_iter().for_each(|(at, rate)| rates[at].push(rate));
                    day.points.into_iter().for_each(|(at, point)| points[at].push(point));
                    if day.unreadable > 0 {
                        let reason = format!("{} rows cannot be read", day.unreadable);
                        each(ArchiveItem::fault("file", at(), Fault::record(reason)))?;
                    }
                }
                Err(fault) => each(ArchiveItem::fault("file", at(), fault))?,
            }
        }
    }
    for (((kind, at, mut taken), mut rates), mut samples) in found.drain(..).zip(rates).zip(points) {
        rates.sort_unstable();
        samples.sort_by_key(|sample| sample.time_ms);
        add_heart_rates(&mut samples, &rates);
        let (activity, streams) = Recording::new(taken.activity, samples).finish();
        taken.streams = streams.map(|streams| from.streams(streams, &activity));
        taken.activity = activity;
        each(ArchiveItem::of(kind, at, Ok(*taken)))?;
    }
    Ok(())
}

/// An exercise, what kind of record it was, and where it stands.
type Exercise = (&'static str, String, Box<Parsed>);

/// Takeout has most exercises twice, in lists and in tables, under ids that do not match. Those that begin and
/// last alike are one, by the list's id.
fn joined(found: Vec<Exercise>) -> Vec<Exercise> {
    const SAME_START_S: i64 = 5;
    const SAME_SHARE: f64 = 0.1;
    let (mut lists, tables): (Vec<Exercise>, Vec<Exercise>) =
        found.into_iter().partition(|(kind, _, _)| *kind == "record");
    let mut by_start: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (at, (_, _, taken)) in lists.iter().enumerate() {
        by_start.entry(taken.activity.start_time.as_second()).or_default().push(at);
    }
    let mut alone = Vec::new();
    for row in tables {
        let a = &row.2.activity;
        let start_s = a.start_time.as_second();
        let lasts_alike = |at: &&usize| {
            let (one, other) = (a.elapsed_s, lists[**at].2.activity.elapsed_s);
            one.zip(other).is_none_or(|(one, other)| (one - other).abs() <= SAME_SHARE * one.max(other))
        };
        let near = by_start.range(start_s - SAME_START_S..=start_s + SAME_START_S).flat_map(|(_, at)| at);
        match near.copied().collect::<Vec<_>>().iter().find(lasts_alike) {
            Some(at) => lists[*at].2.activity.complete_with(row.2.activity),
            None => alone.push(row),
        }
    }
    lists.extend(alone);
    lists
}

/// The exercises of one list.
fn exercises(archive: &Container, entry: &ArchiveEntry, from: &ReadFrom) -> Vec<ArchiveItem> {
    records(archive, entry, "activities", "logId", |value, is_api, at| {
        Some(exercise(value, is_api, from, at))
    })
}

fn exercise(value: Value<'_, '_>, is_api: bool, from: &ReadFrom, at: &str) -> Result<Parsed, Fault> {
    let mut a = from.activity(at);
    if is_api {
        a.origin = "api".to_string();
    }
    let unit = value.get("distanceUnit").and_then(|v| v.as_str());
    let metres_per_unit = match unit {
        Some(unit) if unit.starts_with("Mile") => Some(METRES_PER_MILE),
        Some(unit) if unit.starts_with("Kilometer") => Some(1000.0),
        Some(unit) if unit.starts_with("Meter") => Some(1.0),
        // Daily lists are metric where nobody asked for other units.
        None if is_api => Some(1000.0),
        _ => None,
    };
    let (mut start, mut start_date, mut elapsed) = (None, None, None);
    let mut faults = Vec::new();
    let extra = fields(value, &mut faults, |key, v, _| {
        let scaled = |scale: f64| number(key, v).map(|n| Some(n * scale));
        match key {
            "logId" => a.source_id = id(key, v)?,
            "activityName" | "name" => a.sport_raw = Some(text(key, v)?),
            "startTime" => start = Some(text(key, v)?),
            "startDate" => start_date = Some(text(key, v)?),
            "duration" => elapsed = scaled(1e-3)?,
            "activeDuration" => a.moving_s = scaled(1e-3)?,
            "calories" => a.calories_kcal = scaled(1.0)?,
            "averageHeartRate" => a.avg_heart_rate_bpm = scaled(1.0)?,
            "distance" => match metres_per_unit {
                Some(metres) => a.distance_m = scaled(metres)?,
                None => return Ok(false),
            },
            // Kilometres or miles an hour.
            "speed" => match unit {
                Some(unit) if unit.starts_with("Mile") => a.avg_speed_mps = scaled(METRES_PER_MILE / 3600.0)?,
                Some(_) => a.avg_speed_mps = scaled(1.0 / 3.6)?,
                None => return Ok(false),
            },
            // Metres or feet, as the account has it; where nothing tells, it is not guessed.
            "elevationGain" => match unit {
                Some(unit) if unit.starts_with("Mile") => a.elevation_gain_m = scaled(METRES_PER_FOOT)?,
                Some(unit) if unit.starts_with("Kilometer") => a.elevation_gain_m = scaled(1.0)?,
                _ => return Ok(false),
            },
            "source" => {
                a.device_name = v.get("name").and_then(|v| v.as_str()).map(str::to_string);
                return Ok(false);
            }
            "logType" => {
                a.manual = Some(text(key, v)? == "manual");
                return Ok(false);
            }
            "description" => a.description = Some(text(key, v)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    a.extra = extra;
    if a.source_id.is_empty() {
        return Err(missing("logId", &faults));
    }
    let start = start.ok_or_else(|| missing("startTime", &faults))?;
    set_start(&mut a, &start, start_date.as_deref(), from)
        .ok_or_else(|| Fault::expected("startTime", "a time", &start))?;
    if value.get("hasStartTime").and_then(|v| v.as_bool()) == Some(false) {
        a.start_quality = "hidden".to_string();
    }
    a.elapsed_s = elapsed;
    let faults = faults.into_iter().map(|fault| fault.of(Some(&a.source_id))).collect();
    Ok(Parsed::new(a, None, faults))
}

/// `04/22/19 04:00:05` in UTC, a time with an offset, or the minute of a day that a list names.
fn set_start(a: &mut Activity, start: &str, date: Option<&str>, from: &ReadFrom) -> Option<()> {
    if let Some(time) = takeout_time(start) {
        a.start_time = time;
        return Some(());
    }
    if let Some((time, offset_s)) = time::with_offset(start) {
        a.start_time = time;
        a.utc_offset_s = offset_s;
        return Some(());
    }
    let date: Date = date?.parse().ok()?;
    let clock: Time = start.parse().ok()?;
    let (time, offset_s, _) = from.local(date.to_datetime(clock))?;
    a.start_time = time;
    a.utc_offset_s = offset_s;
    a.start_quality = if offset_s.is_some() { "minute" } else { "zone_unknown" }.to_string();
    Some(())
}

/// `MM/DD/YY HH:MM:SS`, UTC.
fn takeout_time(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() != 17 || bytes[2] != b'/' || bytes[5] != b'/' || bytes[11] != b':' {
        return None;
    }
    let number = |at: usize| {
        let (tens, ones) = (bytes[at].checked_sub(b'0')?, bytes[at + 1].checked_sub(b'0')?);
        (tens < 10 && ones < 10).then(|| (tens * 10 + ones).cast_signed())
    };
    let date = Date::new(2000 + i16::from(number(6)?), number(0)?, number(3)?).ok()?;
    let time = Time::new(number(9)?, number(12)?, number(15)?, 0).ok()?;
    time::as_utc(date.to_datetime(time))
}

/// A table of `UserExercises_*.csv`, whose lengths are millimetres.
fn table(archive: &Container, entry: &ArchiveEntry, from: &ReadFrom) -> Vec<ArchiveItem> {
    let at = format!("!{}", entry.name);
    let bytes = match archive.read(entry) {
        Ok(bytes) => bytes,
        Err(fault) => return vec![ArchiveItem::fault("file", at, fault)],
    };
    let text = csv::text(&bytes);
    let table = match csv::table(&text, Quotes::Doubled) {
        Ok(table) => table,
        Err(fault) => return vec![ArchiveItem::fault("file", at, fault)],
    };
    let column = |name: &str| table.column(&[name]);
    let (id, start) = (column("exercise_id"), column("exercise_start"));
    if id.is_none() || start.is_none() {
        return vec![ArchiveItem::fault(
            "file",
            at,
            Fault::record("no column exercise_id or exercise_start"),
        )];
    }
    let row = |(number, row): (usize, Row<'_>)| {
        let row = &row;
        let at = format!("{at}#{number}");
        let mut faults = Vec::new();
        let taken = (|| {
            let id = cell(row, id).ok_or_else(|| Fault::field("exercise_id", "missing"))?;
            // A zero says that nothing was measured.
            let mut value = |name: &str, scale: f64| {
                let text = cell(row, column(name))?;
                csv::number(name, text)
                    .map_err(|fault| faults.push(fault.of(Some(id))))
                    .ok()
                    .filter(|n| *n != 0.0)
                    .map(|n| n * scale)
            };
            let mut a = from.activity(&at);
            a.source_id = id.to_string();
            let time = |name: &str| cell(row, column(name)).and_then(time::utc);
            a.start_time = time("exercise_start")
                .ok_or_else(|| Fault::field("exercise_start", "expected a time").of(Some(id)))?;
            a.elapsed_s = time("exercise_end").map(|end| end.duration_since(a.start_time).as_secs_f64());
            a.utc_offset_s = cell(row, column("utc_offset")).and_then(offset_s);
            a.sport_raw = cell(row, column("activity_name")).map(str::to_string);
            a.manual = cell(row, column("log_type")).map(|kind| kind.eq_ignore_ascii_case("manual"));
            a.calories_kcal =
                value("tracker_total_calories", 1.0).or_else(|| value("manually_logged_total_calories", 1.0));
            a.distance_m = value("tracker_total_distance_mm", 1e-3)
                .or_else(|| value("manually_logged_total_distance_mm", 1e-3));
            a.elevation_gain_m = value("tracker_total_altitude_mm", 1e-3);
            a.avg_heart_rate_bpm = value("tracker_avg_heart_rate", 1.0);
            a.max_heart_rate_bpm = value("tracker_peak_heart_rate", 1.0);
            let mut extra = Vec::new();
            // Speeds of these tables are not in the unit that they name, and nobody has said in which.
            for name in [
                "tracker_total_steps",
                "tracker_cardio_load",
                "pool_length",
                "tracker_avg_speed_mm_per_second",
                "tracker_peak_speed_mm_per_second",
            ] {
                extra.extend(value(name, 1.0).map(|value| (name, value)));
            }
            a.extra = super::extra(&extra);
            Ok(a)
        })();
        ArchiveItem::of("row", at, taken.map(|activity| Parsed::new(activity, None, faults)))
    };
    table.rows().enumerate().map(row).collect()
}

/// `+01:00`, `-0800` or seconds.
fn offset_s(text: &str) -> Option<i32> {
    let probe = format!("2000-01-01T00:00:00{text}");
    time::with_offset(&probe).and_then(|(_, offset)| offset).or_else(|| text.parse().ok())
}

/// What a table of a day in Google's Takeout holds.
#[derive(Debug, Clone, Copy)]
enum DaySeries {
    HeartRate,
    Location,
}

/// Values of a day that lie within exercises, each with the number of its exercise.
#[derive(Default)]
struct Day {
    rates: Vec<(usize, Rate)>,
    points: Vec<(usize, Sample)>,
    unreadable: usize,
}

/// Whether a table is one of a day that an exercise touches: `heart_rate_2024-05-04.csv`, in whatever folder.
fn day_series(entry: &ArchiveEntry, windows: &Windows) -> Option<DaySeries> {
    let name = entry.file_name().to_lowercase();
    let kinds = [("heart_rate_", DaySeries::HeartRate), ("gps_location_", DaySeries::Location)];
    let (rest, kind) = kinds.iter().find_map(|(prefix, kind)| Some((name.strip_prefix(prefix)?, *kind)))?;
    let date: Date = rest.strip_suffix(".csv")?.parse().ok()?;
    touches(windows, date).then_some(kind)
}

fn day(archive: &Container, entry: &ArchiveEntry, kind: DaySeries, windows: &Windows) -> Result<Day, Fault> {
    let bytes = archive.read(entry)?;
    let text = csv::text(&bytes);
    let table = csv::table(&text, Quotes::Doubled)?;
    let column = |name: &str| {
        table.column(&[name]).ok_or_else(|| Fault::record(format!("the table has no column {name}")))
    };
    let time = column("timestamp")?;
    let (bpm, latitude, longitude) = match kind {
        DaySeries::HeartRate => (Some(column("beats per minute")?), None, None),
        DaySeries::Location => (None, Some(column("latitude")?), Some(column("longitude")?)),
    };
    let altitude = table.column(&["altitude"]);
    let mut day = Day::default();
    for row in table.rows() {
        let number = |column: Option<usize>| csv::number("", cell(&row, column)?).ok();
        let time_ms = cell(&row, Some(time)).and_then(time::utc).map(Timestamp::as_millisecond);
        let place = number(latitude).zip(number(longitude));
        let place = place.and_then(|(lat, lon)| degrees_e7(lat, 90.0).zip(degrees_e7(lon, 180.0)));
        match (time_ms, number(bpm).filter(|bpm| HEART_RATES_BPM.contains(&(bpm.round() as i32))), place) {
            (Some(time_ms), Some(bpm), _) => {
                day.rates.extend(windows.at(time_ms).map(|at| (at, (time_ms, bpm.round() as i32))));
            }
            (Some(time_ms), None, Some((lat_e7, lon_e7))) => {
                let point = Sample {
                    time_ms,
                    lat_e7: Some(lat_e7),
                    lon_e7: Some(lon_e7),
                    altitude_m: number(altitude),
                    ..Sample::default()
                };
                day.points.extend(windows.at(time_ms).map(|at| (at, point)));
            }
            _ => day.unreadable += 1,
        }
    }
    Ok(day)
}

fn is_series(entry: &ArchiveEntry) -> bool {
    entry.file_name().to_lowercase().starts_with("heart_rate-")
}

/// Whether a file is the heart rate of a day that an exercise touches. Days are local, so their
/// neighbours count.
fn is_wanted(entry: &ArchiveEntry, windows: &Windows) -> bool {
    let name = entry.file_name();
    let date = is_series(entry).then(|| name.get("heart_rate-".len()..name.len() - ".json".len())).flatten();
    matches!(date.map(str::parse::<Date>), Some(Ok(date)) if touches(windows, date))
}

/// Whether an exercise lies in a day, wherever in the world the day is.
fn touches(windows: &Windows, date: Date) -> bool {
    let Some(noon) = time::as_utc(date.at(12, 0, 0, 0)) else { return false };
    const AROUND_MS: i64 = 36 * 3_600_000;
    windows.touch(noon.as_millisecond() - AROUND_MS, noon.as_millisecond() + AROUND_MS)
}

/// The rates of a day that lie within exercises.
fn heart_rates(
    archive: &Container,
    entry: &ArchiveEntry,
    windows: &Windows,
) -> Result<Vec<(usize, Rate)>, Fault> {
    let bytes = archive.read(entry)?;
    let mut hits = Vec::new();
    json::with_document(&bytes, |value| {
        for element in value.elements().ok_or_else(|| Fault::record("expected a list"))? {
            let time = element.get("dateTime").and_then(|v| v.as_str()).and_then(takeout_time);
            let bpm = element.get("value").and_then(|v| v.get("bpm")).and_then(|v| v.as_f64());
            let (Some(time), Some(bpm)) = (time, bpm) else { continue };
            let time_ms = time.as_millisecond();
            let bpm = bpm.round() as i32;
            if HEART_RATES_BPM.contains(&bpm) {
                hits.extend(windows.at(time_ms).map(|at| (at, (time_ms, bpm))));
            }
        }
        Ok(())
    })?;
    Ok(hits)
}
