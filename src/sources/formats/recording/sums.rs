//! Sums of samples, where a device left them out and it is honest to compute them.

use super::Sample;
use crate::model::activity::{Activity, Lap};
use crate::model::polyline::{self, Track};

/// Slower than this is standing still, in metres per second.
pub const STANDSTILL_MPS: f64 = 0.5;
/// Nobody knows what happened in a longer hole: it was moved for as long as the way takes at the usual speed.
const LONGEST_STEP_S: f64 = 60.0;
/// The share of an activity that samples have to cover before its sums are computed from them.
const LEAST_SHARE: f64 = 0.5;
const LEAST_MOVING_SHARE: f64 = 0.05;
const LATEST_FIRST_MS: i64 = 6 * 3_600_000;
/// Climbing counts once it exceeds what satellites and barometers make up.
const CLIMB_M: f64 = 3.0;

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
    if a.track_lat_e5.is_none() {
        fill_track(a, samples);
    }
    let elapsed_s = covered_s(a, samples).map(|s| s.max(a.moving_s.unwrap_or(0.0)));
    let mut computed = a.computed.take().unwrap_or_default();
    // Samples of a part tell little of the whole.
    let is_whole = match (a.elapsed_s, ends_ms(samples)) {
        (Some(stated), Some((first, last))) => (last - first) as f64 / 1000.0 >= stated * LEAST_SHARE,
        _ => true,
    };
    let climbs = climbs(samples).filter(|_| is_whole);
    // Hardly ever moving means that the samples do not tell.
    let least_s = a.elapsed_s.or(elapsed_s).unwrap_or(0.0) * LEAST_MOVING_SHARE;
    let moving_s = moving_s(samples).filter(|s| is_whole && *s >= least_s);
    let walked_m = counted_m(samples).or(a.track_length_m).filter(|_| is_whole);
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

fn fill_track(a: &mut Activity, samples: &[Sample]) {
    let position = |s: &Sample| Some((s.lat_e7?, s.lon_e7?));
    let points: Vec<(i32, i32)> = samples.iter().filter_map(position).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    let degrees = |e7: i32| f64::from(e7) / 1e7;
    a.start_lat_deg = a.start_lat_deg.or(Some(degrees(first.0)));
    a.start_lon_deg = a.start_lon_deg.or(Some(degrees(first.1)));
    a.end_lat_deg = a.end_lat_deg.or(Some(degrees(last.0)));
    a.end_lon_deg = a.end_lon_deg.or(Some(degrees(last.1)));
    a.set_track(track(points.into_iter()));
    // The line is one; what was covered between its stretches is not known.
    if stretches(samples).nth(1).is_some() {
        let lengths = stretches(samples).map(|part| track(part.iter().filter_map(position)).length_m());
        a.track_length_m = Some(lengths.sum());
    }
}

/// What was recorded between pauses.
pub fn stretches(samples: &[Sample]) -> impl Iterator<Item = &[Sample]> {
    samples.chunk_by(|a, b| a.stretch == b.stretch)
}

/// When the first sample and the last one are, in unix milliseconds.
fn ends_ms(samples: &[Sample]) -> Option<(i64, i64)> {
    let first_ms = samples.first()?.time_ms;
    let wider = |(first, last): (i64, i64), s: &Sample| (first.min(s.time_ms), last.max(s.time_ms));
    Some(samples.iter().fold((first_ms, first_ms), wider))
}

/// Seconds from the start to the last sample or the end of the last lap.
pub fn covered_s(a: &Activity, samples: &[Sample]) -> Option<f64> {
    let (first_ms, last_ms) = ends_ms(samples)?;
    let start_ms = a.start_time.as_millisecond();
    // Samples that begin hours later are dated by another clock.
    let begin_ms = if (0..=LATEST_FIRST_MS).contains(&(first_ms - start_ms)) { start_ms } else { first_ms };
    let laps_s = a.laps.as_ref().and_then(|laps| laps_s(begin_ms, laps)).unwrap_or(0.0);
    Some(((last_ms - begin_ms) as f64 / 1000.0).max(laps_s))
}

/// Seconds from the start to the end of the last lap.
fn laps_s(begin_ms: i64, laps: &[Lap]) -> Option<f64> {
    let end_s = |lap: &Lap| {
        let begins_s = (lap.start_time?.as_millisecond() - begin_ms) as f64 / 1000.0;
        Some(begins_s + lap.elapsed_s.or(lap.moving_s)?)
    };
    laps.iter().filter_map(end_s).reduce(f64::max)
}

pub fn counted_m(samples: &[Sample]) -> Option<f64> {
    samples.iter().filter_map(|s| s.distance_m).reduce(f64::max)
}

/// Metres along the positions, within stretches.
pub fn path_m(samples: &[Sample]) -> Option<f64> {
    let mut path_m = None;
    for part in stretches(samples) {
        let mut located = part.iter().filter(|s| s.lat_e7.is_some());
        let Some(mut before) = located.next() else { continue };
        for sample in located {
            *path_m.get_or_insert(0.0) += distance_m(before, sample).unwrap_or(0.0);
            before = sample;
        }
    }
    path_m
}

pub fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

fn track(points: impl Iterator<Item = (i32, i32)>) -> Track {
    let mut track = Track::default();
    let e5 = |e7: i32| (f64::from(e7) / 100.0).round() as i32;
    for (lat, lon) in points {
        let point = (e5(lat), e5(lon));
        // Standing still is one point.
        if (track.lat_e5.last(), track.lon_e5.last()) != (Some(&point.0), Some(&point.1)) {
            track.lat_e5.push(point.0);
            track.lon_e5.push(point.1);
        }
    }
    track
}

/// Seconds between samples of one stretch that were left faster than a standstill; None where
/// nothing tells.
pub fn moving_s(samples: &[Sample]) -> Option<f64> {
    let (mut tells, mut moving_s, mut moving_m) = (false, 0.0, 0.0);
    // Seconds and metres of the long ones.
    let mut holes: Vec<(f64, f64)> = Vec::new();
    for part in stretches(samples) {
        // Samples of other sensors may lie between those that tell where.
        let mut located = part.iter().filter(|s| s.distance_m.is_some() || s.lat_e7.is_some()).peekable();
        let Some(mut before) = located.next() else { continue };
        while let Some(sample) = located.next() {
            // A counter that falls for one sample takes nobody back.
            let falls = |later: &Sample| before.distance_m.zip(later.distance_m).is_some_and(|(b, l)| l < b);
            if falls(sample) && located.peek().is_some_and(|next| !falls(next)) {
                continue;
            }
            let seconds = (sample.time_ms - before.time_ms) as f64 / 1000.0;
            let metres = match (before.distance_m, sample.distance_m) {
                (Some(before), Some(after)) => Some(after - before),
                _ => distance_m(before, sample),
            };
            before = sample;
            let Some(metres) = metres else { continue };
            tells = true;
            if seconds > LONGEST_STEP_S {
                holes.push((seconds, metres));
            } else if seconds > 0.0 && metres / seconds >= STANDSTILL_MPS {
                moving_s += seconds;
                moving_m += metres;
            }
        }
    }
    let usual_mps = if moving_s > 0.0 { moving_m / moving_s } else { STANDSTILL_MPS };
    moving_s += holes.iter().map(|(seconds, metres)| (metres / usual_mps).clamp(0.0, *seconds)).sum::<f64>();
    tells.then_some(moving_s)
}

fn distance_m(a: &Sample, b: &Sample) -> Option<f64> {
    Some(polyline::between_e7_m((a.lat_e7?, a.lon_e7?), (b.lat_e7?, b.lon_e7?)))
}

/// Metres up and down within stretches: every swing that is larger than the noise.
pub fn climbs(samples: &[Sample]) -> Option<(f64, f64)> {
    let parts = stretches(samples).filter_map(climbs_of);
    parts.reduce(|sum, part| (sum.0 + part.0, sum.1 + part.1))
}

fn climbs_of(samples: &[Sample]) -> Option<(f64, f64)> {
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
