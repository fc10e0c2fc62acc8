//! A recording as a device file tells it: the samples, and the sums that the device wrote.
//!
//! Sums that it left out are computed from the samples where that is honest, and named in
//! `computed`. What a device says of itself is never overwritten.

use jiff::Timestamp;

use crate::model::activity::{Activity, Streams};
use crate::model::polyline::Track;

/// One moment. Positions are whole 1e-7 degrees; both or none are there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// Since 1970.
    pub time_ms: i64,
    pub lat_e7: Option<i32>,
    pub lon_e7: Option<i32>,
    pub altitude_m: Option<f64>,
    /// Since the start of the recording.
    pub distance_m: Option<f64>,
    pub speed_mps: Option<f64>,
    pub heart_rate_bpm: Option<i32>,
    pub cadence_rpm: Option<i32>,
    pub power_w: Option<i32>,
    pub temperature_c: Option<i32>,
    pub grade_percent: Option<f64>,
}

/// An activity in the making: whose it is, and where it came from, is for the caller to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    pub activity: Activity,
    pub samples: Vec<Sample>,
    /// The device's clock was never set: its times are right among themselves, and nowhere else.
    pub is_device_time: bool,
}

/// Slower than this is standing still, in metres per second.
const STANDSTILL_MPS: f64 = 0.5;
/// Nobody knows what happened in a longer hole.
const LONGEST_STEP_S: f64 = 60.0;
/// The share of an activity that samples have to cover before its sums are computed from them.
const LEAST_SHARE: f64 = 0.5;
const LEAST_MOVING_SHARE: f64 = 0.05;
/// Climbing counts once it exceeds what satellites and barometers make up.
const CLIMB_M: f64 = 3.0;

impl Recording {
    pub fn new(activity: Activity, samples: Vec<Sample>) -> Recording {
        Recording { activity, samples, is_device_time: false }
    }

    /// Moves everything to another start.
    pub fn begin_at(&mut self, start: Timestamp) {
        let by_ms = start.as_millisecond() - self.activity.start_time.as_millisecond();
        self.activity.start_time = start;
        self.samples.iter_mut().for_each(|sample| sample.time_ms += by_ms);
        let moved = |at: Timestamp| Timestamp::from_millisecond(at.as_millisecond() + by_ms).ok();
        for lap in self.activity.laps.iter_mut().flatten() {
            lap.start_time = lap.start_time.and_then(moved);
        }
    }

    /// Fills the sums that are missing, and gives the samples as a row of `streams`.
    pub fn finish(mut self) -> (Activity, Option<Streams>) {
        if self.samples.is_empty() {
            return (self.activity, None);
        }
        // Null Island is what receivers say before they know.
        for sample in self.samples.iter_mut().filter(|s| (s.lat_e7, s.lon_e7) == (Some(0), Some(0))) {
            (sample.lat_e7, sample.lon_e7) = (None, None);
        }
        fill(&mut self.activity, &self.samples);
        let streams = streams(&self.activity, &self.samples);
        (self.activity, Some(streams))
    }
}

/// Sets `column` where it is empty and there is a value, and remembers that it was computed.
macro_rules! compute {
    ($activity:ident, $computed:ident, $($column:ident: $value:expr;)*) => {$(
        if $activity.$column.is_none()
            && let Some(value) = $value
        {
            $activity.$column = Some(value);
            $computed.push(stringify!($column).to_string());
        }
    )*};
}

/// Fills what the samples tell of an activity and it does not say itself.
pub fn fill(a: &mut Activity, samples: &[Sample]) {
    let positions = |s: &Sample| Some((s.lat_e7?, s.lon_e7?));
    if a.track_lat_e5.is_none() {
        let points: Vec<(i32, i32)> = samples.iter().filter_map(positions).collect();
        if let (Some(first), Some(last)) = (points.first(), points.last()) {
            let degrees = |e7: i32| f64::from(e7) / 1e7;
            a.start_lat_deg = a.start_lat_deg.or(Some(degrees(first.0)));
            a.start_lon_deg = a.start_lon_deg.or(Some(degrees(first.1)));
            a.end_lat_deg = a.end_lat_deg.or(Some(degrees(last.0)));
            a.end_lon_deg = a.end_lon_deg.or(Some(degrees(last.1)));
            a.set_track(track(&points));
        }
    }
    let times = samples.iter().map(|s| s.time_ms);
    let elapsed_s = times.clone().max().zip(times.min()).map(|(last, first)| (last - first) as f64 / 1000.0);
    let mut computed = a.computed.take().unwrap_or_default();
    // Samples of a part tell little of the whole.
    let is_whole = match (a.elapsed_s, elapsed_s) {
        (Some(told), Some(sampled)) => sampled >= told * LEAST_SHARE,
        _ => true,
    };
    let climbs = climbs(samples).filter(|_| is_whole);
    // Hardly ever moving means that the samples do not tell.
    let least_s = a.elapsed_s.or(elapsed_s).unwrap_or(0.0) * LEAST_MOVING_SHARE;
    let moving_s = moving_s(samples).filter(|s| is_whole && *s >= least_s);
    let walked_m = known_distance(samples).or(a.track_length_m).filter(|_| is_whole);
    let known = |value: fn(&Sample) -> Option<f64>| samples.iter().filter_map(value);
    let heart_rate = |s: &Sample| s.heart_rate_bpm.filter(|bpm| *bpm > 0).map(f64::from);
    let cadence = |s: &Sample| s.cadence_rpm.filter(|rpm| *rpm > 0).map(f64::from);
    let power = |s: &Sample| s.power_w.map(f64::from);
    compute! { a, computed,
        elapsed_s: elapsed_s.filter(|s| *s > 0.0);
        distance_m: walked_m;
        moving_s: moving_s;
        elevation_gain_m: climbs.map(|climbs| climbs.0);
        elevation_loss_m: climbs.map(|climbs| climbs.1);
        elevation_low_m: known(|s| s.altitude_m).reduce(f64::min);
        elevation_high_m: known(|s| s.altitude_m).reduce(f64::max);
        avg_heart_rate_bpm: mean(known(heart_rate));
        max_heart_rate_bpm: known(heart_rate).reduce(f64::max);
        avg_cadence_rpm: mean(known(cadence));
        max_cadence_rpm: known(cadence).reduce(f64::max);
        avg_power_w: mean(known(power));
        max_power_w: known(power).reduce(f64::max);
        max_speed_mps: known(|s| s.speed_mps).reduce(f64::max);
        temperature_c: mean(known(|s| s.temperature_c.map(f64::from)));
    }
    let seconds = a.moving_s.or(a.elapsed_s).filter(|s| *s > 0.0);
    compute! { a, computed,
        avg_speed_mps: a.distance_m.zip(seconds).map(|(m, s)| m / s);
    }
    a.computed = Some(computed).filter(|computed| !computed.is_empty());
}

fn known_distance(samples: &[Sample]) -> Option<f64> {
    samples.iter().filter_map(|s| s.distance_m).reduce(f64::max)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

fn track(points: &[(i32, i32)]) -> Track {
    let mut track = Track::default();
    let e5 = |e7: i32| (f64::from(e7) / 100.0).round() as i32;
    for (lat, lon) in points {
        let point = (e5(*lat), e5(*lon));
        // Standing still is one point.
        if (track.lat_e5.last(), track.lon_e5.last()) != (Some(&point.0), Some(&point.1)) {
            track.lat_e5.push(point.0);
            track.lon_e5.push(point.1);
        }
    }
    track
}

/// Seconds between samples that were left faster than a standstill; None where nothing tells.
fn moving_s(samples: &[Sample]) -> Option<f64> {
    let mut moving_s = None;
    // Samples of other sensors may lie between those that tell where.
    let mut located = samples.iter().filter(|s| s.distance_m.is_some() || s.lat_e7.is_some());
    let mut before = located.next()?;
    for sample in located {
        let seconds = (sample.time_ms - before.time_ms) as f64 / 1000.0;
        let metres = match (before.distance_m, sample.distance_m) {
            (Some(before), Some(after)) => Some(after - before),
            _ => distance_m(before, sample),
        };
        before = sample;
        let Some(metres) = metres else { continue };
        let moving = moving_s.get_or_insert(0.0);
        if seconds > 0.0 && seconds <= LONGEST_STEP_S && metres / seconds >= STANDSTILL_MPS {
            *moving += seconds;
        }
    }
    moving_s
}

fn distance_m(a: &Sample, b: &Sample) -> Option<f64> {
    const METRES_PER_E7: f64 = 6_371_008.8 * std::f64::consts::PI / 180.0 * 1e-7;
    let north = f64::from(b.lat_e7?) - f64::from(a.lat_e7?);
    let east = f64::from(b.lon_e7?) - f64::from(a.lon_e7?);
    let east = if east.abs() > 1.8e9 { 3.6e9 - east.abs() } else { east };
    let cosine = (f64::from(a.lat_e7?) * 1e-7).to_radians().cos();
    Some((north * north + east * cosine * (east * cosine)).sqrt() * METRES_PER_E7)
}

/// Metres up and down: every swing that is larger than the noise.
fn climbs(samples: &[Sample]) -> Option<(f64, f64)> {
    let mut altitudes = samples.iter().filter_map(|s| s.altitude_m);
    let mut turn = altitudes.next()?;
    let (mut up, mut down) = (0.0, 0.0);
    let mut extreme = turn;
    let mut climbing = None;
    for altitude in altitudes {
        match climbing {
            None if (altitude - turn).abs() >= CLIMB_M => {
                climbing = Some(altitude > turn);
                extreme = altitude;
            }
            Some(true) if altitude > extreme => extreme = altitude,
            Some(true) if extreme - altitude >= CLIMB_M => {
                up += extreme - turn;
                (turn, extreme, climbing) = (extreme, altitude, Some(false));
            }
            Some(false) if altitude < extreme => extreme = altitude,
            Some(false) if altitude - extreme >= CLIMB_M => {
                down += turn - extreme;
                (turn, extreme, climbing) = (extreme, altitude, Some(true));
            }
            _ => {}
        }
    }
    match climbing {
        Some(true) => up += extreme - turn,
        Some(false) => down += turn - extreme,
        None => {}
    }
    Some((up, down))
}

/// The samples as lists. A list that would hold nothing is not there.
pub fn streams(a: &Activity, samples: &[Sample]) -> Streams {
    let start_ms = a.start_time.as_millisecond();
    let since = |s: &Sample| i32::try_from((s.time_ms - start_ms).div_euclid(1000)).ok();
    fn column<T>(samples: &[Sample], value: impl Fn(&Sample) -> Option<T>) -> Option<Vec<Option<T>>> {
        samples.iter().any(|s| value(s).is_some()).then(|| samples.iter().map(value).collect())
    }
    Streams {
        start_time: a.start_time,
        samples: i32::try_from(samples.len()).unwrap_or(i32::MAX),
        time_s: column(samples, since),
        distance_m: column(samples, |s| s.distance_m),
        lat_e7: column(samples, |s| s.lat_e7),
        lon_e7: column(samples, |s| s.lon_e7),
        altitude_m: column(samples, |s| s.altitude_m),
        speed_mps: column(samples, |s| s.speed_mps),
        heart_rate_bpm: column(samples, |s| s.heart_rate_bpm),
        cadence_rpm: column(samples, |s| s.cadence_rpm),
        power_w: column(samples, |s| s.power_w),
        temperature_c: column(samples, |s| s.temperature_c),
        grade_percent: column(samples, |s| s.grade_percent),
        ..Streams::default()
    }
}

/// A recording whose start is that of its first sample, where the file names none.
pub fn first_time(samples: &[Sample]) -> Option<Timestamp> {
    let first = samples.iter().map(|s| s.time_ms).min()?;
    Timestamp::from_millisecond(first).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64, altitude_m: f64, metres_north: f64) -> Sample {
        Sample {
            time_ms: 1_700_000_000_000 + second * 1000,
            lat_e7: Some(520_000_000 + (metres_north * 89.932) as i32),
            lon_e7: Some(130_000_000),
            altitude_m: Some(altitude_m),
            heart_rate_bpm: Some(120 + second as i32 % 2),
            ..Sample::default()
        }
    }

    #[test]
    fn sums_come_from_the_samples_and_say_so() {
        // A minute at 3 m/s, a minute standing, a minute back down.
        let samples: Vec<Sample> = (0..=180)
            .map(|s| match s {
                0..=60 => at(s, s as f64 / 3.0, s as f64 * 3.0),
                61..=120 => at(s, 20.0 + (s % 2) as f64, 180.0),
                _ => at(s, 20.0 - (s - 120) as f64 / 3.0, 180.0 + (s - 120) as f64 * 3.0),
            })
            .collect();
        let start = first_time(&samples).unwrap();
        let activity = Activity { start_time: start, max_heart_rate_bpm: Some(150.0), ..Activity::default() };
        let (a, streams) = Recording::new(activity, samples).finish();
        assert_eq!(a.elapsed_s, Some(180.0));
        assert_eq!(a.moving_s, Some(120.0));
        assert!((a.distance_m.unwrap() - 360.0).abs() < 2.0, "{:?}", a.distance_m);
        assert_eq!(a.elevation_gain_m.map(f64::round), Some(21.0));
        assert_eq!(a.elevation_loss_m.map(f64::round), Some(21.0));
        assert_eq!(a.max_heart_rate_bpm, Some(150.0), "what the device said stays");
        let computed = a.computed.unwrap();
        assert!(computed.contains(&"elevation_loss_m".to_string()));
        assert!(!computed.contains(&"max_heart_rate_bpm".to_string()));
        assert_eq!(streams.unwrap().samples, 181);
    }

    #[test]
    fn noise_is_no_climb() {
        let samples: Vec<Sample> = (0..600).map(|s| at(s, 100.0 + (s % 3) as f64, 0.0)).collect();
        assert_eq!(climbs(&samples), Some((0.0, 0.0)));
    }
}
