//! The rules that others have published for the same question, as they state them, on the same records.
//! Each is asked of pairs of different sources of one person; what follows by way of a third record is not
//! added for them.

use super::listed::Listed;
use crate::model::sport::ANY_FAMILY;

/// A published rule.
pub struct Rule {
    pub name: &'static str,
    /// In words.
    pub rule: &'static str,
    is_same: fn(&Listed, &Listed) -> bool,
}

pub const BASELINES: [Rule; 12] = [
    Rule {
        name: "overlap and sport",
        rule: "they overlap at all, and the types fit",
        is_same: |a, b| overlap(a, b) > 0.0 && are_compatible(a, b),
    },
    Rule {
        name: "tapiriik",
        rule: "compatible types; start ±3 min, or the same minute and second ±1 min at any hour or half hour within 38 h",
        is_same: |a, b| {
            let off_s = off_s(a, b);
            let of_half_hour = off_s % 1800;
            are_compatible(a, b)
                && (off_s <= 180 || (off_s <= 38 * 3600 && of_half_hour.min(1800 - of_half_hour) <= 60))
        },
    },
    Rule {
        name: "dreeve",
        rule: "same sport and the same second; or the same file name and start ±60 s",
        is_same: |a, b| {
            (is_one_sport(a, b) && a.start_s == b.start_s) || (shares_key(a, b) && off_s(a, b) <= 60)
        },
    },
    Rule {
        name: "pacelore",
        rule: "external id; or same sport and start within 300 s",
        is_same: |a, b| shares_key(a, b) || (is_one_sport(a, b) && off_s(a, b) < 300),
    },
    Rule {
        name: "RideTool",
        rule: "provider id; or the same minute and distance; or start ±2 min, duration ±15 %, distance ±10 %",
        is_same: |a, b| {
            let minute = |r: &Listed| (r.start_s / 60, r.distance_m.map(|m| m.round() as i64));
            shares_key(a, b)
                || minute(a) == minute(b)
                || (off_s(a, b) <= 120
                    && within(a.elapsed_s, b.elapsed_s, 0.15)
                    && within(a.distance_m, b.distance_m, 0.10))
        },
    },
    Rule {
        name: "Cyclelytic",
        rule: "start ±5 min, duration ±10 %",
        is_same: |a, b| off_s(a, b) <= 300 && within(a.elapsed_s, b.elapsed_s, 0.10),
    },
    Rule {
        name: "TrainStack",
        rule: "same type, start ±2 min, duration ±10 %",
        is_same: |a, b| is_one_sport(a, b) && off_s(a, b) <= 120 && within(a.elapsed_s, b.elapsed_s, 0.10),
    },
    Rule {
        name: "OpenVitals",
        rule: "overlap of 85 % or more; start and end ±15 min",
        is_same: |a, b| overlap(a, b) >= 0.85 && off_s(a, b) <= 900 && (a.end_s() - b.end_s()).abs() <= 900,
    },
    Rule {
        name: "hevy2garmin",
        rule: "overlap of 70 % or more, less than 20 min apart, types that fit",
        is_same: |a, b| overlap(a, b) >= 0.70 && off_s(a, b) < 1200 && are_compatible(a, b),
    },
    Rule {
        name: "endurain",
        rule: "same type and the same second",
        is_same: |a, b| is_one_sport(a, b) && a.start_s == b.start_s,
    },
    Rule {
        name: "mosaicmesh",
        rule: "same day and type, duration ±5 min",
        is_same: |a, b| {
            let day = |r: &Listed| (r.start_s + i64::from(r.utc_offset_s.unwrap_or(0))).div_euclid(86_400);
            let durations = a.elapsed_s.zip(b.elapsed_s);
            is_one_sport(a, b) && day(a) == day(b) && durations.is_some_and(|(a, b)| (a - b).abs() <= 300.0)
        },
    },
    Rule {
        name: "±5 minutes",
        rule: "start ±5 min (strava-to-fittrackee)",
        is_same: |a, b| off_s(a, b) <= 300,
    },
];

fn off_s(a: &Listed, b: &Listed) -> i64 {
    (a.start_s - b.start_s).abs()
}

fn is_one_sport(a: &Listed, b: &Listed) -> bool {
    a.sport.map(|s| s.name) == b.sport.map(|s| s.name)
}

fn are_compatible(a: &Listed, b: &Listed) -> bool {
    match (a.sport, b.sport) {
        (Some(a), Some(b)) => a.family == b.family || [a.family, b.family].contains(&ANY_FAMILY),
        _ => true,
    }
}

fn shares_key(a: &Listed, b: &Listed) -> bool {
    let are_one = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    let names = |from: &Listed, to: &Listed| {
        let numbers = from.external_id.as_deref().unwrap_or_default();
        to.source == "garmin" && numbers.contains(&to.source_id)
    };
    are_one(&a.file_sha256, &b.file_sha256)
        || are_one(&a.external_id, &b.external_id)
        || names(a, b)
        || names(b, a)
}

/// Whether two values are there and apart by a share of the greater at most; two that are both not there agree.
fn within(a: Option<f64>, b: Option<f64>, share: f64) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= share * a.max(b),
        (None, None) => true,
        _ => false,
    }
}

/// Of the shorter one.
fn overlap(a: &Listed, b: &Listed) -> f64 {
    let shared = (a.end_s().min(b.end_s()) - a.start_s.max(b.start_s)).max(0) as f64;
    shared / (a.elapsed_s.unwrap_or(0.0).min(b.elapsed_s.unwrap_or(0.0))).max(1.0)
}

/// No rule looks further.
const FURTHEST_S: i64 = 39 * 3600;

/// The pairs that a rule takes for one workout, of records that are sorted by start.
pub fn pairs(records: &[Listed], rule: &Rule) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, a) in records.iter().enumerate() {
        let later = records.iter().enumerate().skip(at + 1);
        for (other, b) in later.take_while(|(_, b)| b.start_s - a.start_s <= FURTHEST_S) {
            if a.source != b.source && (rule.is_same)(a, b) {
                found.push((at, other));
            }
        }
    }
    found
}
