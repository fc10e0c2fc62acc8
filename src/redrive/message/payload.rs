//! The bytes of a message: an `ActivityPayload` in a structured-mode CloudEvent, as the live pipeline's own
//! services write it.
//!
//! That is protobuf's JSON with the fields' own names, in the order of their declaration, what is zero or absent
//! left out; then compacted and escaped for HTML. So the bytes are a function of the activity, and another attempt
//! sends the same ones. They are written here straight from columns: through a tree of values it would take
//! several times as long.

use jiff::Timestamp;
use jiff::tz::TimeZone;

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
        out.open(b'{');
        out.key("timestamp");
        clock.write(&mut out.0, start_ms + i64::from(s.time_s[at]) * 1000);
        out.whole("heart_rate", whole(&s.heart_rate_bpm, at));
        out.whole("power", whole(&s.power_w, at));
        out.whole("cadence", whole(&s.cadence_rpm, at));
        out.number("speed", number(&s.speed_mps, at));
        out.number("altitude", number(&s.altitude_m, at));
        out.number("position_lat", number(&s.lat_deg, at));
        out.number("position_long", number(&s.lon_deg, at));
        out.number("distance", number(&s.distance_m, at));
        if let Some(temperature) = s.temperature_c.as_ref().and_then(|values| values[at]) {
            out.present_whole("temperature", i64::from(temperature));
        }
        out.close(b'}');
    }
    out.close(b']');
}

/// Writes times that mostly go on by a second.
#[derive(Default)]
struct Clock {
    day: Option<i64>,
    date: [u8; 11],
}

impl Clock {
    /// RFC 3339 with `Z`, in quotes; a fraction only where there is one.
    fn write(&mut self, out: &mut Vec<u8>, unix_ms: i64) {
        const DAY_S: i64 = 86_400;
        let (second, ms) = (unix_ms.div_euclid(1000), unix_ms.rem_euclid(1000));
        let (day, of_day) = (second.div_euclid(DAY_S), second.rem_euclid(DAY_S));
        if self.day != Some(day) {
            let date = Timestamp::from_second(day * DAY_S).unwrap_or_default().to_zoned(TimeZone::UTC).date();
            let [century, of_century] = two_digits(date.year().unsigned_abs());
            let ([m0, m1], [d0, d1]) =
                (digits(date.month().unsigned_abs()), digits(date.day().unsigned_abs()));
            let ([y0, y1], [y2, y3]) = (digits(century), digits(of_century));
            self.date = [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T'];
            self.day = Some(day);
        }
        let of_day = of_day as u32;
        let ([h0, h1], [m0, m1], [s0, s1]) =
            (digits((of_day / 3600) as u8), digits((of_day / 60 % 60) as u8), digits((of_day % 60) as u8));
        out.push(b'"');
        out.extend_from_slice(&self.date);
        out.extend_from_slice(&[h0, h1, b':', m0, m1, b':', s0, s1]);
        if ms != 0 {
            let [t0, t1] = digits((ms / 10) as u8);
            out.extend_from_slice(&[b'.', t0, t1, b'0' + (ms % 10) as u8]);
        }
        out.extend_from_slice(b"Z\"");
    }
}

fn two_digits(year: u16) -> [u8; 2] {
    [(year / 100 % 100) as u8, (year % 100) as u8]
}

fn digits(below_100: u8) -> [u8; 2] {
    [b'0' + below_100 / 10, b'0' + below_100 % 10]
}

/// JSON that is being written.
struct Json(Vec<u8>);

impl Json {
    fn open(&mut self, bracket: u8) {
        self.0.push(bracket);
    }

    fn close(&mut self, bracket: u8) {
        self.0.push(bracket);
    }

    /// Before everything but the first within a bracket.
    fn comma(&mut self) {
        if !matches!(self.0.last(), Some(b'{' | b'[')) {
            self.0.push(b',');
        }
    }

    fn key(&mut self, name: &str) {
        self.comma();
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.key(name);
            self.string(value);
        }
    }

    fn time(&mut self, name: &str, time: Timestamp) {
        self.key(name);
        Clock::default().write(&mut self.0, time.as_millisecond());
    }

    fn flag(&mut self, name: &str) {
        self.key(name);
        self.0.extend_from_slice(b"true");
    }

    fn whole(&mut self, name: &str, value: i32) {
        if value != 0 {
            self.present_whole(name, i64::from(value));
        }
    }

    fn present_whole(&mut self, name: &str, value: i64) {
        self.key(name);
        self.0.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Left out where it is zero, and where no JSON number says it.
    fn number(&mut self, name: &str, value: f64) {
        if value.to_bits() != 0 && value.is_finite() {
            self.present_number(name, value);
        }
    }

    fn present_number(&mut self, name: &str, value: f64) {
        self.key(name);
        write_number(&mut self.0, value);
    }

    fn string(&mut self, text: &str) {
        self.0.push(b'"');
        let bytes = text.as_bytes();
        let mut written = 0;
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            // U+2028 and U+2029 are line ends to JavaScript.
            let separator =
                byte == 0xe2 && bytes[at..].starts_with(&[0xe2, 0x80]) && bytes[at + 2] & 0xfe == 0xa8;
            if !(byte < 0x20 || matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&') || separator) {
                at += 1;
                continue;
            }
            self.0.extend_from_slice(&bytes[written..at]);
            if separator {
                self.0.extend_from_slice(if bytes[at + 2] == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                at += 2;
            } else {
                self.escape(byte);
            }
            at += 1;
            written = at;
        }
        self.0.extend_from_slice(&bytes[written..]);
        self.0.push(b'"');
    }

    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]);
                self.0.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
                return;
            }
        };
        self.0.extend_from_slice(&[b'\\', short]);
    }
}

/// The fewest digits that come back to the same number, written as Go writes them.
fn write_number(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if size == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
    } else if (1e-5..1e16).contains(&size) {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(value);
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    } else if (1e-6..1e21).contains(&size) {
        out.extend_from_slice(value.to_string().as_bytes());
    } else {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').expect("the format has an exponent");
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        out.extend_from_slice(format!("{digits}e{sign}{exponent}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> String {
        let mut out = Vec::new();
        write_number(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, text) in [
            (3.0, "3"),
            (f64::from(51.50735_f32), "51.50735092163086"),
            (-0.0, "-0"),
            (1e-5, "0.00001"),
            (1.5e-6, "0.0000015"),
            (1e-7, "1e-7"),
            (1.25e-10, "1.25e-10"),
            (1e15, "1000000000000000"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn strings_are_escaped_for_html_and_javascript() {
        let mut json = Json(Vec::new());
        json.string("a\"\\\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}<b>&é\u{2028}\u{2029}\u{202a}🏃");
        let text = String::from_utf8(json.0).unwrap();
        assert_eq!(
            text,
            "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\u{7f}\\u003cb\\u003e\\u0026é\\u2028\\u2029\u{202a}🏃\""
        );
        json = Json(Vec::new());
        json.string("\u{e2}\u{80}");
        assert_eq!(String::from_utf8(json.0).unwrap(), "\"\u{e2}\u{80}\"");
    }

    #[test]
    fn times_have_a_fraction_only_where_there_is_one() {
        let mut clock = Clock::default();
        let mut out = Vec::new();
        for ms in
            [1_767_600_000_000, 1_767_600_000_050, 1_767_657_599_999, 1_767_657_600_000, -62_135_596_800_000]
        {
            clock.write(&mut out, ms);
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"2026-01-05T08:00:00Z\"\"2026-01-05T08:00:00.050Z\"\"2026-01-05T23:59:59.999Z\"\"2026-01-06T00:00:00Z\"\"0001-01-01T00:00:00Z\""
        );
    }

    #[test]
    fn the_mean_heart_rate_is_whole_and_counts_zeros() {
        let samples = |rates: &[i32]| Samples { heart_rate_bpm: Some(rates.to_vec()), ..Samples::default() };
        assert_eq!(samples(&[120, 131]).heart_rates(), Some((125, 131)));
        assert_eq!(samples(&[0, 0, 100]).heart_rates(), Some((33, 100)));
        assert_eq!(samples(&[]).heart_rates(), None);
    }
}
