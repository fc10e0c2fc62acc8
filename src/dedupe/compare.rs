//! Two records beside each other: which level of agreement each comparison shows, as far as their relation
//! in time lets it tell.

use std::collections::{BTreeMap, HashSet};

use super::levels::{ABSENT, DISTANCE, EFFORT, IDENTITY, Pattern, SPORT, TIME, TRACK, number};
use super::record::Record;
use super::relation::{self, Kind, Timing};
use crate::model::sport::{ANY_FAMILY, Sport};
use crate::sources::Source;

/// A source and what it calls a sport.
type Called = (Source, &'static str);

/// Sports that this person's sources take for one another, learned from pairs that time alone makes sure:
/// one band calls rowing a workout, another a ride a run.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Confusion(HashSet<(Called, Called)>);

/// Families of which people, and more so their bands, take one for the other.
const KIN: [[&str; 2]; 2] = [["run", "walk"], ["paddle", "gym"]];

/// So many sure pairs make a habit; one is a slip.
const HABIT: usize = 2;

impl Confusion {
    /// Of pairs of records that are sure whatever their sports.
    pub fn of<'a>(sure: impl Iterator<Item = (&'a Record, &'a Record)>) -> Confusion {
        let mut counts: BTreeMap<(Called, Called), usize> = BTreeMap::new();
        for (a, b) in sure {
            let (Some(one), Some(other)) = (a.sport, b.sport) else { continue };
            if one.family != other.family {
                *counts.entry(((a.source, one.name), (b.source, other.name))).or_insert(0) += 1;
            }
        }
        Confusion(counts.into_iter().filter(|(_, count)| *count >= HABIT).map(|(called, _)| called).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn knows(&self, a: Called, b: Called) -> bool {
        self.0.contains(&(a, b)) || self.0.contains(&(b, a))
    }
}

/// The levels of a pair that lies so in time.
pub fn pattern(a: &Record, b: &Record, timing: Timing, confusion: &Confusion) -> Pattern {
    let kind = relation::kind(timing.level);
    let mut pattern = [ABSENT; 6];
    pattern[TIME] = timing.level;
    pattern[DISTANCE] = if kind == Kind::Part { distance_of_part(a, b) } else { distance(a, b) };
    pattern[SPORT] = sport(a, b, confusion);
    pattern[TRACK] = track(a, b);
    pattern[IDENTITY] = identity(a, b, kind);
    pattern[EFFORT] = if kind == Kind::Part { heart_rate_of_part(a, b, timing) } else { effort(a, b) };
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

/// A part goes no further than its whole; more than a treadmill or a pool can be wrong is too much.
fn distance_of_part(a: &Record, b: &Record) -> u8 {
    let (Some(one), Some(other)) = (a.distance_m, b.distance_m) else { return ABSENT };
    let (part, whole) = match a.elapsed_s.unwrap_or(0.0) <= b.elapsed_s.unwrap_or(0.0) {
        true => (one, other),
        false => (other, one),
    };
    let pace = |r: &Record, metres: f64| metres / r.moving_s.or(r.elapsed_s).unwrap_or(0.0).max(1.0);
    let paces = (pace(a, one), pace(b, other));
    let name = match part <= 1.35 * whole {
        true if (paces.0 - paces.1).abs() <= 0.08 * paces.0.max(paces.1) => "pace",
        true => "within",
        false => "beyond",
    };
    number(DISTANCE, name)
}

pub fn sport(a: &Record, b: &Record, confusion: &Confusion) -> u8 {
    let level = sports((a.source, a.sport), (b.source, b.sport), confusion);
    let is_other = ["kin", "different"].iter().any(|name| level == number(SPORT, name));
    if is_other && (is_misnamed(a) || is_misnamed(b)) { number(SPORT, "unspecific") } else { level }
}

/// Whether nobody takes the sports of two for one another, whoever tells of them.
pub fn are_of_other_sports(a: &Record, b: &Record) -> bool {
    sport(a, b, &Confusion::default()) == number(SPORT, "different")
}

/// Whether hardly anybody goes as fast at what it is called: a band takes a ride for a walk. Its name says nothing then.
fn is_misnamed(record: &Record) -> bool {
    let most_mps = match record.sport.map(|sport| sport.family) {
        Some("walk" | "swim") => 2.5,
        Some("run") => 7.0,
        _ => return false,
    };
    record.distance_m.zip(record.elapsed_s).is_some_and(|(metres, seconds)| metres > most_mps * seconds)
}

/// Of two sources, and what each calls it.
pub fn sports(a: (Source, Option<Sport>), b: (Source, Option<Sport>), confusion: &Confusion) -> u8 {
    let (Some(one), Some(other)) = (a.1, b.1) else { return ABSENT };
    let name = if one.name == other.name {
        "same"
    } else if one.family == other.family {
        "family"
    } else if [one.family, other.family].contains(&ANY_FAMILY) {
        "unspecific"
    } else if confusion.knows((a.0, one.name), (b.0, other.name)) {
        "confused"
    } else if are_kin(one.family, other.family) {
        "kin"
    } else {
        "different"
    };
    number(SPORT, name)
}

/// Whether people take sports of one family for those of another.
pub fn are_kin(one: &str, other: &str) -> bool {
    KIN.iter().any(|kin| [[one, other], [other, one]].contains(kin))
}

fn track(a: &Record, b: &Record) -> u8 {
    let tells_nothing = |r: &Record| r.is_virtual || r.footprint.is_one_place;
    if tells_nothing(a) || tells_nothing(b) {
        return ABSENT;
    }
    let (one, other) = a.footprint.shares(&b.footprint);
    let (most, least) = (one.max(other), one.min(other));
    let name = match (most, least) {
        (most, least) if most >= 0.85 && least >= 0.75 => "same",
        // Cropped, cut or broken off: one lies wholly on the other.
        (most, _) if most >= 0.75 => "inside",
        (most, _) if most >= 0.25 => "partly",
        _ => "elsewhere",
    };
    number(TRACK, name)
}

fn identity(a: &Record, b: &Record, kind: Kind) -> u8 {
    let are_one = |a: Option<u64>, b: Option<u64>| a.is_some() && a == b;
    if are_one(a.file, b.file) {
        // One file can hold several sessions, one after the other.
        return number(IDENTITY, if kind == Kind::Apart { "none" } else { "same" });
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
    let has_both = |key: fn(&Record) -> Option<u64>| key(a).is_some() && key(b).is_some();
    if has_both(|r| r.file) || has_both(|r| r.upload) { number(IDENTITY, "none") } else { ABSENT }
}

/// Heart rate, or the calories where one has none.
fn effort(a: &Record, b: &Record) -> u8 {
    let name = if let (Some(one), Some(other)) = (a.heart_rate_bpm, b.heart_rate_bpm) {
        match (one - other).abs() {
            off if off <= 2.5 => "same",
            off if off <= 7.0 => "close",
            off if off <= 15.0 => "apart",
            off if off <= 24.0 => "different",
            _ => "other",
        }
    } else if let (Some(one), Some(other)) = (a.calories_kcal, b.calories_kcal) {
        match (one - other).abs() / one.max(other) {
            off if off <= 0.05 => "same",
            off if off <= 0.2 => "close",
            // Everybody counts calories differently: little follows.
            _ => return ABSENT,
        }
    } else {
        return ABSENT;
    };
    number(EFFORT, name)
}

/// The mean of a part can be another than that of the whole, as far as the rest of the whole leaves it to a heart.
fn heart_rate_of_part(a: &Record, b: &Record, timing: Timing) -> u8 {
    let (Some(one), Some(other)) = (a.heart_rate_bpm, b.heart_rate_bpm) else { return ABSENT };
    let seconds = |r: &Record| r.elapsed_s.unwrap_or(0.0);
    let (part, whole) =
        if seconds(a) <= seconds(b) { ((a, one), (b, other)) } else { ((b, other), (a, one)) };
    let share = seconds(part.0) / seconds(whole.0).max(1.0);
    let is_inside = ["starts", "ends", "contained", "piece", "sequence"]
        .iter()
        .any(|level| timing.level == number(TIME, level));
    let rest_bpm = (whole.1 - share * part.1) / (1.0 - share).max(0.02);
    match (one - other).abs() {
        off if off <= 4.0 => number(EFFORT, "close"),
        off if off > 30.0 && share >= 0.7 => number(EFFORT, "different"),
        off if off > 10.0 && is_inside && !(LOWEST_BPM..=HIGHEST_BPM).contains(&rest_bpm) => {
            number(EFFORT, "other")
        }
        _ => ABSENT,
    }
}

/// Means over minutes that no heart of somebody who trains goes below or beyond.
const LOWEST_BPM: f64 = 45.0;
const HIGHEST_BPM: f64 = 205.0;
