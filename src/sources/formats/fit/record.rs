//! Records: the samples of a file.

use super::decode::{Field, Message, NONE_WIDENED};
use super::part::Part;
use super::{EPOCH_S, is_time};
use crate::sources::degrees_e7_of_semicircles;
use crate::sources::formats::recording::{Lost, Sample};

/// Fields of four bytes for what others hold in two.
const WIDE_SPEED: u8 = 73;
const WIDE_ALTITUDE: u8 = 78;
/// What the raw altitude 0 says; devices write it before they know one.
const NO_ALTITUDE_M: f64 = -500.0;

impl Message<'_> {
    /// Metres a second, and a counter of sixteenths of a metre.
    fn compressed_speed_distance(&self, field: &Field) -> Option<(f64, u32)> {
        let &[a, b, c] = self.bytes_of(field)? else { return None };
        let (a, b, c) = (u32::from(a), u32::from(b), u32::from(c));
        let (speed, counter) = (a | (b & 0x0f) << 8, b >> 4 | c << 4);
        (speed != 0xfff || counter != 0xfff).then_some((f64::from(speed) / 100.0, counter))
    }
}

impl Part {
    pub(super) fn take_record(&mut self, message: Message<'_>, compressed_time_s: Option<i64>) {
        let mut sample = Sample { stretch: self.stretch, ..Sample::default() };
        let mut time_s = compressed_time_s;
        let mut altitude = None;
        let mut speed = None;
        for field in &message.definition.fields {
            // Two numbers in three bytes, any of which may be 255.
            if field.number == 8 {
                if let Some((speed_mps, counter)) = message.compressed_speed_distance(field) {
                    speed = speed.or(Some(speed_mps));
                    sample.distance_m = sample.distance_m.or(Some(self.rolled(counter)));
                }
                continue;
            }
            let Some(value) = message.int_of(field) else { continue };
            match field.number {
                WIDE_ALTITUDE | WIDE_SPEED if value == NONE_WIDENED => {}
                253 => time_s = Some(value).filter(|s| is_time(*s)),
                0 => sample.lat_e7 = degrees_e7_of_semicircles(value, 90.0),
                1 => sample.lon_e7 = degrees_e7_of_semicircles(value, 180.0),
                2 => altitude = altitude.or(Some(value as f64 / 5.0 - 500.0)),
                WIDE_ALTITUDE => altitude = Some(value as f64 / 5.0 - 500.0),
                3 => sample.heart_rate_bpm = i32::try_from(value).ok().filter(|bpm| *bpm > 0),
                4 => sample.cadence_rpm = i32::try_from(value).ok(),
                5 => sample.distance_m = Some(value as f64 / 100.0),
                6 => speed = speed.or(Some(value as f64 / 1000.0)),
                WIDE_SPEED => speed = Some(value as f64 / 1000.0),
                7 => sample.power_w = i32::try_from(value).ok(),
                13 => sample.temperature_c = i32::try_from(value).ok(),
                9 => sample.grade_percent = Some(value as f64 / 100.0),
                _ => {}
            }
        }
        sample.altitude_m = altitude.filter(|altitude| *altitude != NO_ALTITUDE_M);
        sample.speed_mps = speed;
        if !message.definition.developer.is_empty() {
            add_developer_fields(&mut sample, message);
        }
        // A record without a time of its own is of the time before.
        let time_s = time_s.unwrap_or(self.last_time_s);
        if time_s == 0 {
            return self.unread.add(Lost::UntimedPoint, 1);
        }
        if sample.lat_e7.is_none() || sample.lon_e7.is_none() {
            (sample.lat_e7, sample.lon_e7) = (None, None);
        }
        sample.time_ms = (time_s + EPOCH_S) * 1000;
        self.samples.push(sample);
    }

    /// Metres from a counter of sixteenths that starts over at 4096.
    fn rolled(&mut self, counter: u32) -> f64 {
        let metres = match self.compressed_distance {
            Some((before, metres)) => metres + f64::from((counter + 4096 - before) % 4096) / 16.0,
            None => f64::from(counter) / 16.0,
        };
        self.compressed_distance = Some((counter, metres));
        metres
    }
}

/// Where the device itself says nothing, what an application says.
fn add_developer_fields(sample: &mut Sample, message: Message<'_>) {
    let whole = |value: f64| (value.abs() < 1e6).then(|| value.round() as i32);
    for field in &message.definition.developer {
        let Some(value) = message.developer_value(field) else { continue };
        match field.meaning.number {
            2 | 78 => sample.altitude_m = sample.altitude_m.or(Some(value)),
            3 => sample.heart_rate_bpm = sample.heart_rate_bpm.or(whole(value).filter(|bpm| *bpm > 0)),
            4 => sample.cadence_rpm = sample.cadence_rpm.or(whole(value)),
            5 => sample.distance_m = sample.distance_m.or(Some(value)),
            6 | 73 => sample.speed_mps = sample.speed_mps.or(Some(value)),
            7 => sample.power_w = sample.power_w.or(whole(value)),
            9 => sample.grade_percent = sample.grade_percent.or(Some(value)),
            13 => sample.temperature_c = sample.temperature_c.or(whole(value)),
            _ => {}
        }
    }
}
