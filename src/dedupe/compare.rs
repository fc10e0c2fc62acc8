//! Two records beside each other: which level of agreement each comparison shows.

use super::record::{Quality, Record};
use super::weights::{ABSENT, DISTANCE, EFFORT, IDENTITY, Pattern, SPORT, TIME, TRACK, number};
use crate::model::sport::ANY_FAMILY;

/// Zones lie whole quarters of an hour apart,
pub const QUARTER_S: i64 = 900;
/// and two of them a day and two hours at most; people take local time for UTC, so no record is off by
/// more than half of that and its daylight saving.
pub const FURTHEST_SHIFT_S: i64 = 14 * 3600;
/// Starts this near are worth looking at, whatever the durations.
pub const NEAR_S: i64 = 20 * 60;
/// A shifted start is this near where it belongs.
pub const SHIFTED_S: i64 = 75;
pub const DAY_S: i64 = 86_400;

/// How two records lie in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    pub level: u8,
    /// Whole quarters of an hour that the second one is shifted by.
    pub shift_s: i64,
}

/// How far durations are apart, in seconds and as a share of the longer; of elapsed and moving times, the
/// two that fit best, because devices that pause by themselves count only one of them.
pub fn apart(a: &Record, b: &Record) -> Option<(f64, f64)> {
    let mut best: Option<(f64, f64)> = None;
    for one in [a.elapsed_s, a.moving_s].into_iter().flatten() {
        for other in [b.elapsed_s, b.moving_s].into_iter().flatten() {
            let off = (one - other).abs();
            if best.is_none_or(|(least, _)| off < least) {
                best = Some((off, off / one.max(other)));
            }
        }
    }
    best
}

/// Where two records lie in time; None where they have nothing to do with each other. `clock_s` is what
/// the second one's clock is known to be ahead.
pub fn timing(a: &Record, b: &Record, clock_s: i64) -> Option<Timing> {
    let ahead_s = b.start_s - a.start_s - clock_s;
    let durations = apart(a, b);
    let within = |seconds: f64, share: f64| durations.is_some_and(|(s, p)| s <= seconds || p <= share);
    let level = |name: &str| Some(Timing { level: number(TIME, name), shift_s: 0 });
    if let Some((hidden, other)) = match (a.quality, b.quality) {
        (Quality::Hidden, _) => Some((a, b)),
        (_, Quality::Hidden) => Some((b, a)),
        _ => None,
    } {
        // It says a second after local midnight.
        let day = hidden.start_s - 1..hidden.start_s - 1 + DAY_S;
        return match day.contains(&other.start_s) {
            true if within(30.0, 0.02) => level("day"),
            true => level("day_only"),
            false => None,
        };
    }
    let off_s = ahead_s.abs();
    let (longer_s, shorter_s) = {
        let (a, b) = (a.elapsed_s.unwrap_or(0.0), b.elapsed_s.unwrap_or(0.0));
        (a.max(b), a.min(b))
    };
    let b_end_s = b.end_s() - clock_s;
    let overlap_s = (a.end_s().min(b_end_s) - a.start_s.max(b.start_s - clock_s)).max(0) as f64;
    match off_s {
        0..=3 if within(5.0, 0.01) => return level("same"),
        0..=20 if within(30.0, 0.03) => return level("aligned"),
        0..=75 if within(75.0, 0.05) => return level("close"),
        0..=330 if within(330.0, 0.1) && overlap_s >= 0.5 * longer_s => return level("loose"),
        _ => {}
    }
    if let Some(shifted) = shifted(a, b, ahead_s).filter(|_| within(60.0, 0.04)) {
        return Some(shifted);
    }
    if off_s <= SHIFTED_S {
        return level("start");
    }
    if overlap_s > 0.0 {
        return level(if overlap_s >= 0.9 * shorter_s { "inside" } else { "overlap" });
    }
    if off_s <= NEAR_S { level("beside") } else { None }
}

fn shifted(a: &Record, b: &Record, ahead_s: i64) -> Option<Timing> {
    let shift_s = (ahead_s as f64 / QUARTER_S as f64).round() as i64 * QUARTER_S;
    if shift_s == 0 || shift_s.abs() > FURTHEST_SHIFT_S || (ahead_s - shift_s).abs() > SHIFTED_S {
        return None;
    }
    let zones = [a.utc_offset_s, b.utc_offset_s].into_iter().flatten();
    let is_zone = zones.map(i64::from).any(|offset_s| offset_s.abs() == shift_s.abs());
    let name = match shift_s % 3600 {
        _ if is_zone => "zone",
        0 => "hour",
        _ => "quarter",
    };
    Some(Timing { level: number(TIME, name), shift_s })
}

/// The levels of a pair that lies so in time.
pub fn pattern(a: &Record, b: &Record, timing: Timing) -> Pattern {
    let mut pattern = [ABSENT; 6];
    pattern[TIME] = timing.level;
    pattern[DISTANCE] = distance(a, b);
    pattern[SPORT] = sport(a, b);
    pattern[TRACK] = track(a, b);
    pattern[IDENTITY] = identity(a, b, timing);
    pattern[EFFORT] = effort(a, b);
    pattern
}

/// Whether one distance is the other with miles taken for kilometres.
pub fn is_miles_for_km(one: f64, other: f64) -> bool {
    const MILE_KM: f64 = 1.609_344;
    (one.max(other) / one.min(other) / MILE_KM - 1.0).abs() <= 0.035
}

fn distance(a: &Record, b: &Record) -> u8 {
    let (Some(one), Some(other)) = (a.distance_m, b.distance_m) else { return ABSENT };
    let longer = one.max(other);
    let off = longer - one.min(other);
    number(
        DISTANCE,
        match off / longer {
            share if share <= 0.012 || off <= 20.0 => "same",
            share if share <= 0.045 => "close",
            share if share <= 0.12 => "near",
            _ if is_miles_for_km(one, other) => "miles_for_km",
            _ => "different",
        },
    )
}

fn sport(a: &Record, b: &Record) -> u8 {
    let (Some(one), Some(other)) = (a.sport, b.sport) else { return ABSENT };
    let name = if one.name == other.name {
        "same"
    } else if one.family == other.family {
        "family"
    } else if [one.family, other.family].contains(&ANY_FAMILY) {
        "unspecific"
    } else {
        "different"
    };
    number(SPORT, name)
}

fn track(a: &Record, b: &Record) -> u8 {
    if a.footprint.is_empty() || b.footprint.is_empty() {
        return ABSENT;
    }
    let (one, other) = (a.footprint.share_within(&b.footprint), b.footprint.share_within(&a.footprint));
    let (most, least) = (one.max(other), one.min(other));
    let name = match (most, least) {
        (most, least) if most >= 0.85 && least >= 0.75 => "same",
        (most, least) if most >= 0.85 && least >= 0.25 => "cropped",
        (most, _) if most >= 0.3 => "partly",
        _ => "elsewhere",
    };
    number(TRACK, name)
}

fn identity(a: &Record, b: &Record, timing: Timing) -> u8 {
    let are_one = |a: Option<u64>, b: Option<u64>| a.is_some() && a == b;
    // One file can hold several sessions, one after the other.
    let lies_apart = ["inside", "overlap", "beside"].map(|level| number(TIME, level)).contains(&timing.level);
    if are_one(a.file, b.file) {
        return number(IDENTITY, if lies_apart { "none" } else { "same" });
    }
    for (from, to) in [(a, b), (b, a)] {
        if let Some((source, id)) = &from.came_from
            && *source == to.source
        {
            return number(IDENTITY, if *id == to.source_id { "same" } else { "another" });
        }
    }
    if are_one(a.upload, b.upload) {
        return number(IDENTITY, "name");
    }
    if are_one(a.serial, b.serial) && (a.start_s - b.start_s).abs() <= 2 {
        return number(IDENTITY, "device");
    }
    number(IDENTITY, "none")
}

/// Heart rate, or the calories where one has none.
fn effort(a: &Record, b: &Record) -> u8 {
    let name = if let (Some(one), Some(other)) = (a.heart_rate_bpm, b.heart_rate_bpm) {
        match (one - other).abs() {
            off if off <= 2.5 => "same",
            off if off <= 7.0 => "close",
            off if off <= 15.0 => "apart",
            _ => "different",
        }
    } else if let (Some(one), Some(other)) = (a.calories_kcal, b.calories_kcal) {
        match (one - other).abs() / one.max(other) {
            off if off <= 0.05 => "same",
            off if off <= 0.2 => "close",
            off if off <= 0.4 => "apart",
            _ => "different",
        }
    } else {
        return ABSENT;
    };
    number(EFFORT, name)
}
