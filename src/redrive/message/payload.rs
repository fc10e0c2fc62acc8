//! The bytes of a message: an `ActivityPayload` in a structured-mode CloudEvent, as the live pipeline's own
//! services write it.
//!
//! That is protobuf's JSON with the fields' own names, in the order of their declaration, what is zero or absent
//! left out; then compacted and escaped for HTML. So the bytes are a function of the activity, and another attempt
//! sends the same ones. They are written here straight from columns: through a tree of values it would take
//! several times as long.

use jiff::Timestamp;

use super::json::{Clock, Json};
use crate::model::activity::{ExerciseSet, Lap};

/// What the envelope says where it came from.
const CE_SOURCE: &str = "/longrun/redrive";
const CE_TYPE: &str = "com.fitglue.activity.created";

/// A message: the payload's own fields, and the activity.
#[derive(Debug, Clone, Default)]
pub struct Payload<'a> {
    /// `SOURCE_STRAVA`
    pub source: &'a str,
    pub user_id: &'a str,
    /// As the source said it, to the byte.
    pub original_json: Option<&'a str>,
    /// Sorted by key.
    pub metadata: &'a [(&'a str, String)],
    /// Of the source.
    pub activity_id: &'a str,
    pub start: Timestamp,
    pub name: Option<&'a str>,
    pub description: Option<&'a str>,
    /// `ACTIVITY_TYPE_RUN`; empty where the pipeline has none for the sport.
    pub sport: &'a str,
    pub elapsed_s: f64,
    pub distance_m: Option<f64>,
    pub calories_kcal: Option<f64>,
    pub laps: &'a [Lap],
    pub sets: &'a [ExerciseSet],
    pub samples: Option<&'a Samples>,
    /// The live pipeline reads Strava's numbers as 32-bit floats.
    pub as_f32: bool,
}

/// What a re-drive adds to what a live event has.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    pub execution_id: &'a str,
    pub pipeline_id: &'a str,
}

/// Sample series. Every list that is there is as long as `time_s`; where a sensor said nothing, it has a zero,
/// which the message leaves out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// Since the start.
    pub time_s: Vec<i32>,
    pub heart_rate_bpm: Option<Vec<i32>>,
    pub power_w: Option<Vec<i32>>,
    pub cadence_rpm: Option<Vec<i32>>,
    pub speed_mps: Option<Vec<f64>>,
    pub altitude_m: Option<Vec<f64>>,
    pub lat_deg: Option<Vec<f64>>,
    pub lon_deg: Option<Vec<f64>>,
    pub distance_m: Option<Vec<f64>>,
    pub temperature_c: Option<Vec<Option<i32>>>,
    /// Only every so manieth is sent; 0 and 1 are all.
    pub every: usize,
}

impl Samples {
    /// The mean of the heart rates as the live pipeline takes it, whole and zeros included, and the highest.
    fn heart_rates(&self) -> Option<(i64, i32)> {
        let rates = self.heart_rate_bpm.as_deref().filter(|rates| !rates.is_empty())?;
        let sum: i64 = rates.iter().map(|rate| i64::from(*rate)).sum();
        Some((sum / rates.len() as i64, rates.iter().copied().max().unwrap_or(0).max(0)))
    }
}

/// The whole message.
pub fn message(payload: &Payload, delivery: Delivery) -> Vec<u8> {
    let samples = payload.samples.map_or(0, |samples| samples.time_s.len());
    let mut out =
        Json(Vec::with_capacity(1024 + payload.original_json.map_or(0, str::len) * 5 / 4 + samples * 256));
    out.open(b'{');
    out.text("specversion", "1.0");
    out.text("id", delivery.execution_id);
    out.text("source", CE_SOURCE);
    out.text("type", CE_TYPE);
    out.text("datacontenttype", "application/json");
    out.time("time", payload.start);
    out.key("data");
    write_payload(&mut out, payload, delivery);
    out.close(b'}');
    out.0
}

fn write_payload(out: &mut Json, p: &Payload, delivery: Delivery) {
    out.open(b'{');
    out.text("source", p.source);
    out.text("user_id", p.user_id);
    out.time("timestamp", p.start);
    if let Some(original) = p.original_json {
        out.text("original_payload_json", original);
    }
    if !p.metadata.is_empty() {
        out.key("metadata");
        out.open(b'{');
        for (key, value) in p.metadata {
            // A map keeps its empty values.
            out.comma();
            out.string(key);
            out.0.push(b':');
            out.string(value);
        }
        out.close(b'}');
    }
    out.key("standardized_activity");
    write_activity(out, p);
    out.text("pipeline_execution_id", delivery.execution_id);
    out.text("activity_id", p.activity_id);
    out.text("pipeline_id", delivery.pipeline_id);
    out.close(b'}');
}

fn write_activity(out: &mut Json, p: &Payload) {
    out.open(b'{');
    out.text("source", p.source);
    out.text("external_id", p.activity_id);
    out.text("user_id", p.user_id);
    out.time("start_time", p.start);
    out.text("name", p.name.unwrap_or_default());
    out.text("type", p.sport);
    out.key("sessions");
    out.open(b'[');
    write_session(out, p);
    out.close(b']');
    out.text("description", p.description.unwrap_or_default());
    out.close(b'}');
}

fn write_session(out: &mut Json, p: &Payload) {
    let rounded = |value: f64| if p.as_f32 { f64::from(value as f32) } else { value };
    let distance = p.distance_m.map(rounded);
    out.open(b'{');
    out.time("start_time", p.start);
    out.number("total_elapsed_time", p.elapsed_s);
    out.number("total_distance", distance.unwrap_or(0.0));
    let samples = p.samples.filter(|samples| !samples.time_s.is_empty());
    if let Some(samples) = samples {
        out.key("laps");
        out.open(b'[');
        out.open(b'{');
        out.time("start_time", p.start);
        out.number("total_elapsed_time", p.elapsed_s);
        out.number("total_distance", distance.unwrap_or(0.0));
        out.key("records");
        write_records(out, p, samples);
        out.flag("is_telemetry_container_only");
        out.close(b'}');
        out.close(b']');
    } else if !p.laps.is_empty() {
        out.key("laps");
        out.open(b'[');
        for lap in p.laps {
            out.comma();
            out.open(b'{');
            if let Some(start) = lap.start_time {
                out.time("start_time", start);
            }
            out.number("total_elapsed_time", lap.elapsed_s.unwrap_or(0.0));
            out.number("total_distance", lap.distance_m.map_or(0.0, rounded));
            out.close(b'}');
        }
        out.close(b']');
    }
    if !p.sets.is_empty() {
        out.key("strength_sets");
        out.open(b'[');
        p.sets.iter().for_each(|set| write_set(out, set));
        out.close(b']');
    }
    if let Some(calories) = p.calories_kcal.map(rounded).filter(|calories| calories.is_finite()) {
        out.present_number("total_calories", calories);
    }
    if let Some((mean, highest)) = samples.and_then(Samples::heart_rates) {
        out.present_whole("avg_heart_rate", mean);
        out.present_whole("max_heart_rate", i64::from(highest));
    }
    out.close(b'}');
}

fn write_set(out: &mut Json, set: &ExerciseSet) {
    out.comma();
    out.open(b'{');
    out.text("exercise_name", set.exercise_name.as_deref().unwrap_or_default());
    out.whole("reps", set.reps.unwrap_or(0));
    out.number("weight_kg", set.weight_kg.unwrap_or(0.0));
    // Of a set only the duration is known, not when it began.
    out.whole("duration_seconds", set.duration_s.unwrap_or(0.0) as i32);
    out.text("notes", set.notes.as_deref().unwrap_or_default());
    out.text("superset_id", set.superset_id.as_deref().unwrap_or_default());
    out.number("distance_meters", set.distance_m.unwrap_or(0.0));
    out.text("set_type", set.set_type.as_deref().unwrap_or_default());
    out.close(b'}');
}

fn write_records(out: &mut Json, p: &Payload, s: &Samples) {
    let start_ms = p.start.as_millisecond();
    let mut clock = Clock::default();
    let whole = |column: &Option<Vec<i32>>, at: usize| column.as_ref().map_or(0, |values| values[at]);
    let number = |column: &Option<Vec<f64>>, at: usize| {
        let value = column.as_ref().map_or(0.0, |values| values[at]);
        if p.as_f32 { f64::from(value as f32) } else { value }
    };
    out.open(b'[');
    let last = s.time_s.len() - 1;
    for at in (0..s.time_s.len()).filter(|at| s.every < 2 || at % s.every == 0 || *at == last) {
        out.comma();
        out.0.extend_from_slice(b"{\"timestamp\":");
        clock.write(&mut out.0, start_ms + i64::from(s.time_s[at]) * 1000);
        out.next_whole(b",\"heart_rate\":", whole(&s.heart_rate_bpm, at));
        out.next_whole(b",\"power\":", whole(&s.power_w, at));
        out.next_whole(b",\"cadence\":", whole(&s.cadence_rpm, at));
        out.next_number(b",\"speed\":", number(&s.speed_mps, at));
        out.next_number(b",\"altitude\":", number(&s.altitude_m, at));
        out.next_number(b",\"position_lat\":", number(&s.lat_deg, at));
        out.next_number(b",\"position_long\":", number(&s.lon_deg, at));
        out.next_number(b",\"distance\":", number(&s.distance_m, at));
        if let Some(temperature) = s.temperature_c.as_ref().and_then(|values| values[at]) {
            out.present_whole("temperature", i64::from(temperature));
        }
        out.close(b'}');
    }
    out.close(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_heart_rate_is_whole_and_counts_zeros() {
        let samples = |rates: &[i32]| Samples { heart_rate_bpm: Some(rates.to_vec()), ..Samples::default() };
        assert_eq!(samples(&[120, 131]).heart_rates(), Some((125, 131)));
        assert_eq!(samples(&[0, 0, 100]).heart_rates(), Some((33, 100)));
        assert_eq!(samples(&[]).heart_rates(), None);
    }
}
