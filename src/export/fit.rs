//! FIT, a file for a workout: its sums and laps, and the samples of its best recording where they are there. Places
//! without times are left out: a FIT record is of a moment.

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::Float64Type;
use jiff::Timestamp;

use super::samples::{Samples, value};
use crate::model::columns::TimeType;
use crate::sources::formats::fit;
use crate::sources::formats::fit::write::{self, ENUM, Message, UINT8, Writer};
use crate::store::dataset::cells::Rows;

/// Local numbers of the kinds of messages.
const FILE_ID: u8 = 0;
const EVENT: u8 = 1;
const RECORD: u8 = 2;
const LAP: u8 = 3;
const SESSION: u8 = 4;
const ACTIVITY: u8 = 5;

/// None where FIT cannot tell when it was.
pub fn file(rows: &Rows, row: usize, samples: Option<&Samples>) -> Option<Vec<u8>> {
    let start = rows.time("start_time", row)?;
    let start_s = start.as_second();
    let elapsed_s = rows.number("elapsed_s", row).or_else(|| rows.number("moving_s", row)).unwrap_or(0.0);
    let end_s = start_s + elapsed_s.round() as i64;
    if !write::can_tell(start_s) || !write::can_tell(end_s) {
        return None;
    }
    let mut file = Writer::default();
    // Of no maker's: `development` in the profile.
    const DEVELOPMENT: f64 = 255.0;
    let id = Message::new()
        .u8(0, ENUM, Some(fit::FILE_TYPE_ACTIVITY as u8))
        .u16(1, Some(DEVELOPMENT))
        .u16(2, Some(0.0))
        .u32(4, Some(write::time(start_s)));
    file.both(FILE_ID, 0, &id);
    let timer = |at_s: i64, kind: u8| {
        Message::new().u32(253, Some(write::time(at_s))).u8(0, ENUM, Some(0)).u8(1, ENUM, Some(kind))
    };
    const START: u8 = 0;
    const STOP_ALL: u8 = 4;
    file.both(EVENT, 21, &timer(start_s, START));
    if let Some(samples) = samples {
        file.all(RECORD, 20, records(samples));
    }
    file.push(EVENT, &timer(end_s, STOP_ALL));
    let laps = laps(rows, row);
    let count = laps.len().max(1);
    match laps.is_empty() {
        true => file.both(LAP, 19, &whole_as_lap(rows, row, start_s, end_s)),
        false => file.all(LAP, 19, laps),
    }
    file.both(SESSION, 18, &session(rows, row, start_s, end_s, count));
    let offset_s = rows.whole("utc_offset_s", row).map(i64::from);
    let activity = Message::new()
        .u32(253, Some(write::time(end_s)))
        .u32(0, Some(rows.number("moving_s", row).unwrap_or(elapsed_s) * 1000.0))
        .u16(1, Some(1.0))
        .u32(5, offset_s.map(|offset_s| write::time(end_s + offset_s)));
    file.both(ACTIVITY, 34, &activity);
    Some(file.finish())
}

/// With the fields of the sensors that were there. A sample without a time is left out.
fn records(of: &Samples) -> impl Iterator<Item = Message> {
    let whole = |value: Option<i32>| value.and_then(|value| u8::try_from(value).ok());
    (0..of.count).filter_map(move |at| {
        let time_s = of.start.as_second() + i64::from(value(&of.time_s, at)?);
        let mut record = Message::new().u32(253, write::can_tell(time_s).then(|| write::time(time_s)));
        if of.lat_e7.is_some() && of.lon_e7.is_some() {
            record = record
                .i32(0, write::semicircles(value(&of.lat_e7, at)))
                .i32(1, write::semicircles(value(&of.lon_e7, at)));
        }
        if of.altitude_m.is_some() {
            record = record.u16(2, value(&of.altitude_m, at).map(|m| (m + 500.0) * 5.0));
        }
        if of.distance_m.is_some() {
            record = record.u32(5, value(&of.distance_m, at).map(|m| m * 100.0));
        }
        if of.speed_mps.is_some() {
            record = record.u16(6, value(&of.speed_mps, at).map(|mps| mps * 1000.0));
        }
        if of.heart_rate_bpm.is_some() {
            record = record.u8(3, UINT8, whole(value(&of.heart_rate_bpm, at)));
        }
        if of.cadence_rpm.is_some() {
            record = record.u8(4, UINT8, whole(value(&of.cadence_rpm, at)));
        }
        if of.power_w.is_some() {
            record = record.u16(7, value(&of.power_w, at).map(f64::from));
        }
        if of.temperature_c.is_some() {
            record = record.i8(13, value(&of.temperature_c, at).map(f64::from));
        }
        Some(record)
    })
}

fn session(rows: &Rows, row: usize, start_s: i64, end_s: i64, laps: usize) -> Message {
    let number = |column: &str| rows.number(column, row);
    let scaled = |column: &str, scale: f64| number(column).map(|value| value * scale);
    let small = |column: &str| number(column).map(|value| value.round().clamp(0.0, 254.0) as u8);
    let (sport, sub_sport) = fit::numbers_of_sport(&rows.text("sport", row));
    let degrees = |column: &str| write::semicircles(number(column).map(|degrees| (degrees * 1e7) as i32));
    Message::new()
        .u32(253, Some(write::time(end_s)))
        .u32(2, Some(write::time(start_s)))
        .i32(3, degrees("start_lat_deg"))
        .i32(4, degrees("start_lon_deg"))
        .u8(5, ENUM, Some(sport))
        .u8(6, ENUM, Some(sub_sport))
        .u32(7, scaled("elapsed_s", 1000.0))
        .u32(8, scaled("moving_s", 1000.0).or_else(|| scaled("elapsed_s", 1000.0)))
        .u32(9, scaled("distance_m", 100.0))
        .u16(11, number("calories_kcal"))
        .u16(14, scaled("avg_speed_mps", 1000.0))
        .u16(15, scaled("max_speed_mps", 1000.0))
        .u8(16, UINT8, small("avg_heart_rate_bpm"))
        .u8(17, UINT8, small("max_heart_rate_bpm"))
        .u8(18, UINT8, small("avg_cadence_rpm"))
        .u8(19, UINT8, small("max_cadence_rpm"))
        .u16(20, number("avg_power_w"))
        .u16(21, number("max_power_w"))
        .u16(22, number("elevation_gain_m"))
        .u16(23, number("elevation_loss_m"))
        .u16(25, Some(0.0))
        .u16(26, Some(laps as f64))
        .u16(34, number("weighted_power_w"))
        .u32(48, scaled("work_kj", 1000.0))
        .i8(57, number("temperature_c"))
}

/// Every file of an activity has a lap.
fn whole_as_lap(rows: &Rows, row: usize, start_s: i64, end_s: i64) -> Message {
    let scaled = |column: &str, scale: f64| rows.number(column, row).map(|value| value * scale);
    Message::new()
        .u32(253, Some(write::time(end_s)))
        .u32(2, Some(write::time(start_s)))
        .u32(7, scaled("elapsed_s", 1000.0))
        .u32(8, scaled("moving_s", 1000.0).or_else(|| scaled("elapsed_s", 1000.0)))
        .u32(9, scaled("distance_m", 100.0))
}

/// The laps whose start is known.
fn laps(rows: &Rows, row: usize) -> Vec<Message> {
    let Some(laps) = rows.within("laps", row).map(StructArray::from) else { return Vec::new() };
    let number = |column: &str, at: usize| {
        let values = laps.column_by_name(column).expect("laps have it").as_primitive::<Float64Type>();
        values.is_valid(at).then(|| values.value(at))
    };
    let starts = laps.column_by_name("start_time").expect("laps have it").as_primitive::<TimeType>();
    let lap = |at: usize| {
        let start = starts.is_valid(at).then(|| Timestamp::from_microsecond(starts.value(at)).ok())??;
        let start_s = start.as_second();
        let elapsed_s = number("elapsed_s", at)?;
        let end_s = start_s + elapsed_s.round() as i64;
        let scaled = |column: &str, scale: f64| number(column, at).map(|value| value * scale);
        let small = |column: &str| number(column, at).map(|value| value.round().clamp(0.0, 254.0) as u8);
        (write::can_tell(start_s) && write::can_tell(end_s)).then(|| {
            Message::new()
                .u32(253, Some(write::time(end_s)))
                .u32(2, Some(write::time(start_s)))
                .u32(7, Some(elapsed_s * 1000.0))
                .u32(8, scaled("moving_s", 1000.0).or(Some(elapsed_s * 1000.0)))
                .u32(9, scaled("distance_m", 100.0))
                .u16(13, scaled("avg_speed_mps", 1000.0))
                .u16(14, scaled("max_speed_mps", 1000.0))
                .u8(15, UINT8, small("avg_heart_rate_bpm"))
                .u8(16, UINT8, small("max_heart_rate_bpm"))
                .u8(17, UINT8, small("avg_cadence_rpm"))
                .u16(19, number("avg_power_w", at))
                .u16(21, number("elevation_gain_m", at))
        })
    };
    (0..laps.len()).filter_map(lap).collect()
}
