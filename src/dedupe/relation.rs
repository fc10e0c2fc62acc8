//! How two records of one person lie in time: the one thing that decides what the rest can tell.
//!
//! A body is in one place, so two records that overlap are one outing, or one is a part of the other. What
//! overlaps is a *relation*: the same, starting together, ending together, contained, overlapping. Records
//! that lie apart can still be one where a clock or a zone is wrong, or where only the day is known; those
//! relations ask for sizes that agree.

use super::levels::{TIME, number};
use super::placed::Placed;
use super::record::{Quality, Record};

/// Zones lie whole quarters of an hour apart,
pub const QUARTER_S: i64 = 900;
/// and two of them a day and two hours at most; people take local time for UTC, so no record is off by
/// more than half of that and its daylight saving.
const FURTHEST_SHIFT_S: i64 = 14 * 3600;
/// Starts this near are worth looking at, whatever the durations.
pub const NEAR_S: i64 = 20 * 60;
/// A shifted start is this near where it belongs.
pub const SHIFTED_S: i64 = 75;
pub const DAY_S: i64 = 86_400;
/// Two that start (or end) together do so within this, or a twentieth of the shorter.
const TOGETHER_S: i64 = 150;

/// They have nothing to do with each other.
pub const BESIDE: u8 = number(TIME, "beside");

/// How two records lie in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    pub level: u8,
    /// What the second one is shifted by, beyond what is known of its zone and clock.
    pub shift_s: i64,
}

/// What kinds of relations there are, for those that treat them alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They start and end together: sizes should agree.
    Whole,
    /// One is a part of the other, or has lost a part: sizes cannot agree.
    Part,
    /// They lie apart, by what a clock or a zone may be off: sizes must agree.
    Shifted,
    /// Typed in, or only the day is known: sizes agree roughly.
    ByHand,
    /// They hardly touch, or do not.
    Apart,
}

/// By the numbers of the levels.
pub fn kind(level: u8) -> Kind {
    const SLID: u8 = number(TIME, "slid");
    const PARTLY: u8 = number(TIME, "partly");
    const TOUCH: u8 = number(TIME, "touch");
    const MOVED: u8 = number(TIME, "moved_alone");
    const DAY_ONLY: u8 = number(TIME, "day_only");
    match level {
        level if level <= SLID => Kind::Whole,
        level if level <= PARTLY => Kind::Part,
        TOUCH => Kind::Apart,
        level if level <= MOVED => Kind::Shifted,
        level if level <= DAY_ONLY => Kind::ByHand,
        _ => Kind::Apart,
    }
}

/// How far durations are apart, in seconds and as a share of the longer; of elapsed and moving times, the
/// two that fit best, because devices that pause by themselves count only one of them.
pub fn apart(a: &Record, b: &Record) -> Option<(f64, f64)> {
    let mut best: Option<(f64, f64)> = None;
    for (one, other) in [
        (a.elapsed_s, b.elapsed_s),
        (a.elapsed_s, b.moving_s),
        (a.moving_s, b.elapsed_s),
        (a.moving_s, b.moving_s),
    ] {
        if let (Some(one), Some(other)) = (one, other) {
            let off = (one - other).abs();
            if best.is_none_or(|(least, _)| off < least) {
                best = Some((off, one.max(other)));
            }
        }
    }
    best.map(|(off, longer)| (off, off / longer))
}

/// The seconds that two spans share.
pub fn overlap_s(a: (i64, i64), b: (i64, i64)) -> i64 {
    (a.1.min(b.1) - a.0.max(b.0)).max(0)
}

/// Where two records lie in time; None where they have nothing to do with each other. `clock_s` is what
/// the second one's clock is known to be ahead, beyond where it was placed.
pub fn timing(a: (&Record, &Placed), b: (&Record, &Placed), clock_s: i64) -> Option<Timing> {
    let level = |name: &str| Some(Timing { level: number(TIME, name), shift_s: 0 });
    let one_hides = [a, b].iter().any(|(r, _)| r.quality == Quality::Hidden);
    let by_hand = [(a, b), (b, a)].into_iter().find(|(one, _)| one.1.is_by_hand);
    if !one_hides && let Some(name) = overlapping(a, b, clock_s) {
        let is_part = name != "starts" && kind(number(TIME, name)) == Kind::Part;
        // What was typed in overlaps by chance where its sizes are others.
        return match by_hand {
            Some((hand, other)) if is_part && is_sure_of_hand(hand.0) && a.0.source != b.0.source => {
                level(if by_day(hand.0, other.0) == "day_only" { "partly" } else { name })
            }
            _ => level(name),
        };
    }
    if a.0.is_of_one_recorder_with(b.0) {
        return None;
    }
    if let Some((hand, other)) = by_hand
        && is_that_day(hand, other)
        && (is_sure_of_hand(hand.0) || !is_next_to(a.1, b.1))
    {
        return level(by_day(hand.0, other.0));
    }
    if one_hides {
        return None;
    }
    let ahead_s = b.1.start_s - a.1.start_s - clock_s;
    if let Some(shifted) = shifted(a, b, ahead_s) {
        return Some(shifted);
    }
    if touches(a.1, b.1, clock_s) {
        return level("touch");
    }
    if ahead_s.abs() <= NEAR_S { level("beside") } else { None }
}

/// Whether it says itself that it was typed in; else it only looks so.
fn is_sure_of_hand(hand: &Record) -> bool {
    hand.is_manual || hand.quality == Quality::Hidden
}

/// One right after the other: a course after a course has a round start, too.
pub fn is_next_to(a: &Placed, b: &Placed) -> bool {
    let gap_s = a.start_s.max(b.start_s) - a.end_s().min(b.end_s());
    gap_s <= 2 * NEAR_S
}

fn touches(a: &Placed, b: &Placed, clock_s: i64) -> bool {
    overlap_s(a.span(), (b.start_s - clock_s, b.end_s() - clock_s)) > 0
}

/// The relation of two that overlap for more than a fifth of the shorter one.
fn overlapping(a: (&Record, &Placed), b: (&Record, &Placed), clock_s: i64) -> Option<&'static str> {
    let ahead_s = b.1.start_s - a.1.start_s - clock_s;
    let off_s = ahead_s.abs();
    // Whoever writes minutes only is up to one off at either end.
    let slack_s = [a, b].iter().filter(|(r, _)| r.quality != Quality::Exact).count() as i64 * 60;
    let durations = apart(a.0, b.0);
    let within = |seconds: f64, share: f64| durations.is_some_and(|(s, p)| s <= seconds || p <= share);
    let (of_a, of_b) = (a.1.length_s, b.1.length_s);
    if of_a == 0 || of_b == 0 {
        // It does not say how long it took.
        let is_inside = overlap_s((0, of_a.max(1)), (ahead_s, ahead_s + of_b.max(1))) > 0;
        return match off_s {
            0..=75 => Some("starts"),
            _ if off_s <= 330 => Some("partly"),
            _ if is_inside => Some("piece"),
            _ => None,
        };
    }
    let (shorter_s, longer_s) = (of_a.min(of_b), of_a.max(of_b));
    let shared_s = overlap_s((0, of_a), (ahead_s, ahead_s + of_b));
    let ends_off_s = (ahead_s + of_b - of_a).abs();
    match off_s {
        0..=3 if within(5.0, 0.01) => return Some("same"),
        _ if off_s <= 20 + slack_s / 2 && within(30.0, 0.03) => return Some("aligned"),
        _ if off_s <= 75 + slack_s / 2 && within(75.0, 0.05) => return Some("close"),
        _ => {}
    }
    let is_half = 2 * shared_s >= longer_s;
    let loose_s = 330.min(longer_s / 5) + slack_s;
    if off_s <= loose_s && is_half && (ends_off_s <= loose_s || within(loose_s as f64, 0.1)) {
        return Some("loose");
    }
    let together_s = TOGETHER_S.max(shorter_s / 20).min(longer_s / 6) + slack_s;
    let share = shared_s as f64 / shorter_s as f64;
    match () {
        () if off_s <= together_s && share >= 0.5 => Some("starts"),
        () if ends_off_s <= together_s && share >= 0.5 => Some("ends"),
        () if share >= 0.2 && within(3.0, 0.01) && !are_far_apart(a.0, b.0) => Some("slid"),
        () if share >= 0.9 && is_half => Some("contained"),
        () if share >= 0.9 => Some("piece"),
        () if share >= 0.4 => Some("overlap"),
        () if share >= 0.2 => Some("partly"),
        () => None,
    }
}

/// Whether both say how far they went, and one went much further.
fn are_far_apart(a: &Record, b: &Record) -> bool {
    let both = a.distance_m.zip(b.distance_m);
    both.is_some_and(|(one, other)| (one - other).abs() > 0.12 * one.max(other))
}

/// Whether what was typed in can be of the day of the other. Where only a date was given it is written as
/// midnight or noon, of the local day or of UTC.
fn is_that_day(hand: (&Record, &Placed), other: (&Record, &Placed)) -> bool {
    let day = |seconds: i64| seconds.div_euclid(DAY_S);
    let Some(offset_s) = other.1.offset_s.or(hand.1.offset_s) else {
        let is_near = (other.1.start_s - hand.1.start_s).abs() <= DAY_S / 3;
        return is_near || day(other.1.start_s) == day(hand.1.start_s);
    };
    let that = day(other.1.start_s + offset_s);
    if hand.0.quality == Quality::Hidden {
        // It says a second after local midnight.
        let from_s = hand.1.start_s - 1;
        return (from_s..from_s + DAY_S).contains(&other.1.start_s);
    }
    let is_date = hand.0.start_s % (DAY_S / 2) == 0;
    day(hand.1.start_s + offset_s) == that || (is_date && day(hand.0.start_s) == that)
}

fn by_day(hand: &Record, other: &Record) -> &'static str {
    let duration = apart(hand, other).map(|(s, share)| (s <= 450.0 || share <= 0.15, share <= 0.25));
    let distance = hand.distance_m.zip(other.distance_m).map(|(a, b)| {
        let off = (a - b).abs();
        (off <= 0.07 * a.max(b) || off <= 550.0, off <= 0.25 * a.max(b))
    });
    match (duration, distance) {
        (Some((true, _)), Some((true, _))) => "day",
        (Some((true, _)), None) | (None, Some((true, _))) => "day_one",
        // Machines and memories are wrong about one of the two.
        (Some((true, _)), Some((false, true))) | (Some((false, true)), Some((true, _))) => "day_one",
        _ => "day_only",
    }
}

/// Of two that lie apart: by what, where sizes agree closely enough to say so. Where the days around both
/// speak against a wrong zone, it is worth less.
fn shifted(a: (&Record, &Placed), b: (&Record, &Placed), ahead_s: i64) -> Option<Timing> {
    let (off_s, share) = apart(a.0, b.0)?;
    let within = |seconds: f64, part: f64| off_s <= seconds || share <= part;
    if ahead_s.abs() > FURTHEST_SHIFT_S + SHIFTED_S {
        return None;
    }
    let found = |name: &str, shift_s: i64| Some(Timing { level: number(TIME, name), shift_s });
    let shift_s = (ahead_s as f64 / QUARTER_S as f64).round() as i64 * QUARTER_S;
    let is_quarter = shift_s != 0 && (ahead_s - shift_s).abs() <= SHIFTED_S;
    // With its own length taken off it starts where the other does.
    let [of_a, of_b] = [a, b].map(|(_, placed)| placed.length_s);
    if [ahead_s + of_a, ahead_s - of_b].iter().any(|s| s.abs() <= 60) && within(60.0, 0.045) {
        return found("end_for_start", ahead_s);
    }
    let is_contradicted = a.1.is_settled && b.1.is_settled;
    if is_quarter && within(60.0, 0.04) {
        let zones = [a.1.offset_s, b.1.offset_s].into_iter().flatten();
        let is_zone = zones.into_iter().any(|offset_s| offset_s.abs() == shift_s.abs());
        return match (shift_s % 3600, is_contradicted) {
            (_, false) if is_zone => found("zone", shift_s),
            (0, false) => found("hour", shift_s),
            (_, true) if is_zone => found("hour", shift_s),
            _ if within(30.0, 0.01) => found("quarter", shift_s),
            _ => None,
        };
    }
    let has_one_distance = a.0.distance_m.zip(b.0.distance_m).is_some_and(|(one, other)| {
        let off_m = (one - other).abs();
        off_m <= 0.045 * one.max(other)
    });
    if within(2.0, 0.003) || (has_one_distance && within(30.0, 0.03)) {
        found("moved", ahead_s)
    } else {
        None
    }
}
