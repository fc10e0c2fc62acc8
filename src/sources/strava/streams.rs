//! Bodies of `GET /activities/{id}/streams`.

use jiff::Timestamp;

use super::SOURCE;
use super::api::position;
use crate::model::activity::{SCHEMA_VERSION, Streams};
use crate::sources::formats::json::{self, Value, fields, flag, is_absent, number, rounded, series, text};
use crate::sources::{Fault, ReadFrom};

/// Reads a body: an object by type, or a list of streams. A stream that cannot be read, or is of another length
/// than the others, is lost alone; a bad value of it is none. What was lost comes with the streams.
pub fn activity_streams(
    body: &[u8],
    source_id: &str,
    start_time: Timestamp,
    from: &ReadFrom,
) -> Result<(Streams, Vec<Fault>), Fault> {
    let mut read = Reading::default();
    let mut faults = Vec::new();
    json::with_document(body, |value| {
        if let Some(elements) = value.elements() {
            for stream in elements {
                let name = stream.get("type").ok_or_else(|| Fault::field("type", "missing"));
                match name.and_then(|name| text("type", name)) {
                    Ok(name) => read.add(&name, stream, &mut faults),
                    Err(fault) => faults.push(fault),
                }
            }
            return Ok(());
        }
        fields(value, &mut faults, |key, stream, faults| {
            read.add(key, stream, faults);
            Ok(true)
        })
        .map(drop)
    })
    .map_err(|fault| fault.of(Some(source_id)))?;
    let samples = read.keep_one_length(&mut faults);
    let streams = Streams {
        user_id: from.user_id.clone(),
        source: SOURCE.to_string(),
        source_id: source_id.to_string(),
        start_time,
        samples: i32::try_from(samples).expect("a body has fewer samples than bytes"),
        origin: "api".to_string(),
        fetched_at: from.fetched_at,
        raw_ref: format!("{}#0", from.raw_ref),
        schema_version: SCHEMA_VERSION,
        ..read.streams
    };
    Ok((streams, faults.into_iter().map(|fault| fault.of(Some(source_id))).collect()))
}

#[derive(Default)]
struct Reading {
    streams: Streams,
    /// Of each stream, its name and how many samples it has.
    lengths: Vec<(String, usize)>,
}

impl Reading {
    fn add(&mut self, name: &str, stream: Value<'_, '_>, faults: &mut Vec<Fault>) {
        let Some(data) = stream.get("data").filter(|v| !is_absent(*v)) else { return };
        match self.insert(name, data, faults) {
            Ok(Some(length)) => self.lengths.push((name.to_string(), length)),
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
    }

    /// The number of its samples; none of a type that Strava may add, which stays in the landing.
    fn insert(
        &mut self,
        name: &str,
        data: Value<'_, '_>,
        faults: &mut Vec<Fault>,
    ) -> Result<Option<usize>, Fault> {
        let streams = &mut self.streams;
        let numbers = |faults| series(name, data, faults, |v| number(name, v));
        let wholes = |faults| series(name, data, faults, |v| rounded(name, v));
        Ok(Some(match name {
            "time" => streams.time_s.insert(wholes(faults)?).len(),
            "distance" => streams.distance_m.insert(numbers(faults)?).len(),
            "altitude" => streams.altitude_m.insert(numbers(faults)?).len(),
            "velocity_smooth" => streams.speed_mps.insert(numbers(faults)?).len(),
            "heartrate" => streams.heart_rate_bpm.insert(wholes(faults)?).len(),
            "cadence" => streams.cadence_rpm.insert(wholes(faults)?).len(),
            "watts" => streams.power_w.insert(wholes(faults)?).len(),
            "temp" => streams.temperature_c.insert(wholes(faults)?).len(),
            "moving" => streams.moving.insert(series(name, data, faults, |v| flag(name, v))?).len(),
            "grade_smooth" => streams.grade_percent.insert(numbers(faults)?).len(),
            "latlng" => {
                let points = series(name, data, faults, |v| point(name, v))?;
                streams.lat_e7 = Some(points.iter().map(|p| p.map(|(lat, _)| lat)).collect());
                streams.lon_e7 = Some(points.iter().map(|p| p.map(|(_, lon)| lon)).collect());
                points.len()
            }
            _ => return Ok(None),
        }))
    }

    /// Drops the streams that are not as long as most of them; of lengths that are as frequent, that of `time`
    /// counts, or else the longest. What is left is as long as this says.
    fn keep_one_length(&mut self, faults: &mut Vec<Fault>) -> usize {
        let votes = |length: usize| self.lengths.iter().filter(|(_, other)| *other == length).count();
        let Some((_, length)) = self
            .lengths
            .iter()
            .max_by_key(|(name, length)| (votes(*length), name == "time", *length))
            .cloned()
        else {
            return 0;
        };
        for (name, other) in self.lengths.iter().filter(|(_, other)| *other != length) {
            let s = &mut self.streams;
            match name.as_str() {
                "time" => s.time_s = None,
                "distance" => s.distance_m = None,
                "altitude" => s.altitude_m = None,
                "velocity_smooth" => s.speed_mps = None,
                "heartrate" => s.heart_rate_bpm = None,
                "cadence" => s.cadence_rpm = None,
                "watts" => s.power_w = None,
                "temp" => s.temperature_c = None,
                "moving" => s.moving = None,
                "grade_smooth" => s.grade_percent = None,
                _ => (s.lat_e7, s.lon_e7) = (None, None),
            }
            faults.push(Fault::field(name, format!("has {other} samples where the others have {length}")));
        }
        length
    }
}

fn point(field: &str, value: Value<'_, '_>) -> Result<(i32, i32), Fault> {
    let whole_e7 = |degrees: f64| (degrees * 1e7).round() as i32;
    match position(field, value)? {
        (Some(lat), Some(lon)) => Ok((whole_e7(lat), whole_e7(lon))),
        _ => Err(Fault::field(field, "expected latitude and longitude")),
    }
}
