//! Few records, so few rivals decide: what lies apart on one day, is of one sport and has no other that it could be
//! one with is one workout, though its clock, its hand or its length is wrong.
//!
//! This is asked last, of what is still without a partner. How the two lie in time, how long they took, and how much
//! else there is around them each speak for or against it by some bits; the sizes that the other comparisons hold
//! against each other count half, because whoever writes a wrong time often writes a wrong size, too.

use std::collections::BTreeSet;

use super::block::{self, Pair};
use super::cluster::Clusters;
use super::company::Company;
use super::compare::{self, Confusion};
use super::levels::{DISTANCE, EFFORT, IDENTITY, Pattern, SPORT, TIME, TRACK, number};
use super::placed::Placed;
use super::record::Record;
use super::relation::{self, DAY_S, QUARTER_S, SHIFTED_S, Timing};
use super::scored::{Decision, Reason, Scored};
use super::titles::Titles;
use super::uploaded;
use super::weights::Weights;
use crate::model::sport::ANY_FAMILY;
use crate::sources::Source;

/// Whatever lies further apart is of two days.
const FURTHEST_S: i64 = 26 * 3600;
/// Where there is more around, nothing follows from being there.
const MOST_NEAR: usize = 12;
/// Records of one cluster that are compared with those of another.
const MOST_COMPARED: usize = 8;
/// Sizes by which two lasted equally long, as far as anybody says.
const ONE_LENGTH: f64 = 0.15;
const COPIED_LENGTH: f64 = 0.02;
/// That one is the only copy of a log that the other has.
const UPLOADED_BITS: f64 = 5.0;
/// A pair must fit better than any other of its two by this.
const CLEAR_BITS: f64 = 1.0;
/// Clocks that are off by as much are off together.
const ONE_SHIFT_S: i64 = 90;
/// A band finds a walk minutes after it began.
const LATE_S: i64 = 600;
/// And as long.
const ONE_STRETCH_S: i64 = 31 * DAY_S;

const STRAY: u8 = number(TIME, "stray");
const STRAY_BY_HAND: u8 = number(TIME, "stray_by_hand");

/// Whether a pair was found here.
pub fn is_stray(scored: &Scored) -> bool {
    [STRAY, STRAY_BY_HAND].contains(&scored.pattern[TIME])
}

/// What is one workout so far, as one.
struct Told {
    cluster: usize,
    span: (i64, i64),
    sources: BTreeSet<Source>,
    families: BTreeSet<&'static str>,
    is_by_hand: bool,
    /// The day as the clock on the wall shows it.
    day: i64,
}

/// Two that could be one, by the pair of records that fits best.
struct Stray {
    told: (usize, usize),
    pair: Pair,
    pattern: Pattern,
    bits: f64,
    ahead_s: i64,
    is_end: bool,
}

/// The pairs that lie apart and are one workout, or may be, with what they are worth; the surest first. `parts` are
/// the clusters that are a part of another, or its whole.
pub fn find(
    clusters: &Clusters,
    company: &Company,
    parts: &BTreeSet<usize>,
    weights: &Weights,
) -> Vec<Scored> {
    let all = told(clusters);
    let titles = Titles::of(clusters);
    let uploaded = uploaded::find(clusters);
    let mut strays: Vec<Stray> = Vec::new();
    for (x, one) in all.iter().enumerate().filter(|(_, one)| !parts.contains(&one.cluster)) {
        let later = all[x + 1..].iter().take_while(|other| other.span.0 - one.span.0 <= FURTHEST_S);
        let later = later.count();
        if later > MOST_NEAR {
            continue;
        }
        let free = (x + 1..=x + later).filter(|y| !parts.contains(&all[*y].cluster));
        strays.extend(
            free.filter_map(|y| stray(clusters, company, (&all, &titles, &uploaded), (x, y), weights)),
        );
    }
    support(clusters, &mut strays);
    clear(&all, strays, weights)
}

fn told(clusters: &Clusters) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    for (cluster, members) in clusters.members.iter().enumerate().filter(|(_, own)| !own.is_empty()) {
        let placed = &clusters.placed[clusters.typical(cluster)];
        let sports = members.iter().filter_map(|at| clusters.records[*at].sport);
        all.push(Told {
            cluster,
            span: placed.span(),
            sources: clusters.sources(cluster),
            families: sports.map(|sport| sport.family).filter(|family| *family != ANY_FAMILY).collect(),
            is_by_hand: members.iter().all(|at| clusters.placed[*at].is_by_hand),
            day: (placed.start_s + placed.offset_s.unwrap_or(0)).div_euclid(DAY_S),
        });
    }
    all.sort_by_key(|told| (told.span, told.cluster));
    all
}

/// Two of all, and what is known of them so far.
fn stray(
    clusters: &Clusters,
    company: &Company,
    (all, titles, uploaded): (&[Told], &Titles, &BTreeSet<(usize, usize)>),
    (x, y): (usize, usize),
    weights: &Weights,
) -> Option<Stray> {
    let (one, other) = (&all[x], &all[y]);
    let is_by_hand = one.is_by_hand != other.is_by_hand;
    let is_told_twice = clusters.are_told_by_one(one.cluster, other.cluster);
    let named = titles.bits(clusters, (one.cluster, other.cluster), FURTHEST_S);
    let both = (one.cluster.min(other.cluster), one.cluster.max(other.cluster));
    let uploaded = uploaded.contains(&both).then_some(UPLOADED_BITS);
    let named = uploaded.or(named);
    if (is_told_twice && !is_by_hand && named.is_none()) || clusters.are_two(one.cluster, other.cluster) {
        return None;
    }
    let level = if is_by_hand { STRAY_BY_HAND } else { STRAY };
    let (size_bits, pair, pattern) = best_pair(clusters, (one.cluster, other.cluster), level, weights)?;
    let is_elsewhere = pattern[TRACK] == number(TRACK, "elsewhere");
    if company.is_beside(pair) || is_elsewhere || pattern[IDENTITY] == number(IDENTITY, "another") {
        return None;
    }
    let of = |at: usize| (&clusters.records[at], &clusters.placed[at]);
    let lie = Lie::of(of(pair.a), of(pair.b));
    // A copy lasts as long, to the minute where it is of a log.
    let named = named.filter(|_| uploaded.is_some() || lie.lengths <= COPIED_LENGTH);
    if is_told_twice && !is_by_hand && named.is_none() {
        return None;
    }
    let circumstances = if is_by_hand {
        by_hand(clusters, all, (x, y), (pair, &pattern))?
    } else {
        if lie.shared > 0.2 && is_contradicted(&pattern) {
            return None;
        }
        let mut bits = lie.bits() + around(all, (x, y), lie.ahead_s);
        let is_settled = |at: usize| clusters.placed[at].is_settled;
        let are_confirmed = [one, other].iter().all(|told| clusters.is_confirmed(told.cluster));
        bits += match (is_settled(pair.a), is_settled(pair.b)) {
            (false, false) => 1.0,
            (true, true) => -0.5,
            _ => 0.0,
        };
        // Two clocks that agree are both off by a zone, or neither is.
        bits += match are_confirmed {
            _ if named.is_some() => 0.0,
            true if lie.is_zone || lie.is_hours() => -0.6,
            true => -2.0,
            false => 0.0,
        };
        // Two devices tell of one account: more often each of them tells of something else.
        if named.is_none() && !one.sources.is_disjoint(&other.sources) {
            bits -= 1.0;
        }
        let mut sources = one.sources.iter().chain(&other.sources);
        bits - if sources.any(|source| company.is_shared(*source)) { 1.5 } else { 0.0 }
    };
    Some(Stray {
        told: (x, y),
        pair,
        pattern,
        bits: circumstances + named.unwrap_or(0.0) + 0.5 * size_bits.clamp(-8.0, 8.0),
        ahead_s: lie.ahead_s,
        is_end: lie.is_end,
    })
}

/// The pair of records of two clusters whose sizes agree best, and what these are worth.
fn best_pair(
    clusters: &Clusters,
    (one, other): (usize, usize),
    level: u8,
    weights: &Weights,
) -> Option<(f64, Pair, Pattern)> {
    let mut best: Option<(f64, Pair, Pattern)> = None;
    for x in clusters.members[one].iter().take(MOST_COMPARED) {
        for y in clusters.members[other].iter().take(MOST_COMPARED) {
            let pair = block::pair(clusters.records, *x, *y);
            let (a, b) = (&clusters.records[pair.a], &clusters.records[pair.b]);
            // What lacks an end has other sizes.
            let is_part = relation::apart(a, b).is_none_or(|(_, share)| share > ONE_LENGTH);
            let timing = Timing { level: if is_part { number(TIME, "partly") } else { level }, shift_s: 0 };
            let mut pattern = compare::pattern(a, b, timing, &Confusion::default());
            pattern[TIME] = level;
            let bits = weights.score(&pattern) - weights.prior_bits() - weights.bits(TIME, level);
            if best.as_ref().is_none_or(|(most, ..)| bits > *most) {
                best = Some((bits, pair, pattern));
            }
        }
    }
    best
}

/// Whether two that overlap cannot be one by all else.
fn is_contradicted(pattern: &Pattern) -> bool {
    let contradicts = |comparison: usize, level: &str| pattern[comparison] == number(comparison, level);
    contradicts(EFFORT, "other")
        || contradicts(EFFORT, "different")
        || contradicts(SPORT, "different")
        || contradicts(SPORT, "kin")
        || contradicts(DISTANCE, "beyond")
}

/// How two records lie apart.
struct Lie {
    /// How far the second is ahead, by starts and by ends: whoever starts late ends at the same time.
    ahead_s: i64,
    end_ahead_s: i64,
    /// One starts where the other ends, or would with its own length taken off.
    is_end: bool,
    /// It starts its own length after the other's start, which lasted another time.
    is_stamped_at_end: bool,
    is_zone: bool,
    is_near_zone: bool,
    shared: f64,
    gap_s: i64,
    /// How far their lengths are apart, as a share.
    lengths: f64,
}

impl Lie {
    fn of(a: (&Record, &Placed), b: (&Record, &Placed)) -> Lie {
        let (p, q) = (a.1, b.1);
        let (ahead_s, end_ahead_s) = (q.start_s - p.start_s, q.end_s() - p.end_s());
        let ends = [q.start_s - p.end_s(), p.start_s - q.end_s(), ahead_s - q.length_s, ahead_s + p.length_s];
        let offsets = || [p.offset_s, q.offset_s].into_iter().flatten().filter(|offset_s| *offset_s != 0);
        let is_by_zone = |within_s: i64| {
            let is_zone = |s: i64| offsets().any(|offset_s| (s.abs() - offset_s.abs()).abs() <= within_s);
            is_zone(ahead_s) || is_zone(end_ahead_s)
        };
        let touches = ends[..2].iter().any(|s| s.abs() <= ONE_SHIFT_S);
        let shorter_s = p.length_s.min(q.length_s).max(1);
        Lie {
            ahead_s,
            end_ahead_s,
            is_end: ends.iter().any(|s| s.abs() <= ONE_SHIFT_S),
            is_stamped_at_end: !touches && ends[2..].iter().any(|s| s.abs() <= ONE_SHIFT_S),
            is_zone: is_by_zone(SHIFTED_S),
            is_near_zone: (a.0.utc_offset_s.is_none() || b.0.utc_offset_s.is_none()) && is_by_zone(LATE_S),
            shared: relation::overlap_s(p.span(), q.span()) as f64 / shorter_s as f64,
            gap_s: p.start_s.max(q.start_s) - p.end_s().min(q.end_s()),
            lengths: relation::apart(a.0, b.0).map_or(1.0, |(_, share)| share),
        }
    }

    fn is_hours(&self) -> bool {
        let off_s = |s: i64| s.rem_euclid(4 * QUARTER_S).min((-s).rem_euclid(4 * QUARTER_S));
        off_s(self.ahead_s).min(off_s(self.end_ahead_s)) <= SHIFTED_S
    }

    fn bits(&self) -> f64 {
        const BASE_BITS: f64 = -4.3;
        let by = match () {
            () if self.is_stamped_at_end => 3.0,
            () if self.is_zone => 3.0,
            () if self.is_near_zone => 2.0,
            () if self.is_end => 1.3,
            () if self.is_hours() => 1.8,
            () => 0.0,
        };
        let far = match self.ahead_s.abs() {
            ..7_200 => 3.0,
            7_200..50_700 => 0.5,
            50_700..68_400 => 0.0,
            // The same again on the next day.
            _ => -3.7,
        };
        let length = match self.lengths {
            off if off <= 0.01 => 1.9,
            off if off <= 0.03 => 1.3,
            off if off <= ONE_LENGTH => 0.8,
            _ => 0.0,
        };
        // What overlaps is hardly two; what follows soon is the next thing that somebody did.
        let is_explained = self.is_end || (self.is_hours() && self.lengths <= ONE_LENGTH);
        let next = match self.gap_s {
            ..0 if self.shared > 0.5 => -0.8,
            0..1_800 if !is_explained => -4.0,
            1_800..5_400 if !is_explained => -0.8,
            _ => 0.0,
        };
        BASE_BITS + by + far + length + next
    }
}

/// What else there is around two that lie apart.
fn around(all: &[Told], (x, y): (usize, usize), ahead_s: i64) -> f64 {
    let from = all.partition_point(|told| told.span.0 < all[x].span.0 - FURTHEST_S);
    let near = all[from..].iter().take_while(|told| told.span.0 <= all[x].span.0 + FURTHEST_S);
    let near = near.count() - 1 - usize::from(all[y].span.0 - all[x].span.0 <= FURTHEST_S);
    match near {
        0 => 1.4,
        1 => 0.6,
        // Repetitions are alike, and so are the ways to school.
        4.. if ahead_s.abs() < 7_200 => -1.1,
        _ => 0.0,
    }
}

/// Of what was typed in and something else: whether it is of that day, and what else of that day it could be.
fn by_hand(
    clusters: &Clusters,
    all: &[Told],
    (x, y): (usize, usize),
    (pair, pattern): (Pair, &Pattern),
) -> Option<f64> {
    let (hand, other) = if all[x].is_by_hand { (x, y) } else { (y, x) };
    let is_any = |comparison: usize, levels: &[&str]| {
        levels.iter().any(|level| pattern[comparison] == number(comparison, level))
    };
    if is_any(SPORT, &["different", "kin"]) {
        return None;
    }
    let is_kin = |one: &Told, other: &Told| {
        one.families.is_empty() || other.families.is_empty() || !one.families.is_disjoint(&other.families)
    };
    let is_that_day = all[hand].day == all[other].day;
    let near = x.saturating_sub(MOST_NEAR)..all.len().min(y + MOST_NEAR);
    let rivals = near.filter(|z| {
        let (told, is_one) = (&all[*z], *z == hand || *z == other);
        let days = [all[hand].day, all[other].day];
        let (least, most) = if is_that_day { (0, 0) } else { (-1, 1) };
        let is_near = days.iter().any(|day| (day + least..=day + most).contains(&told.day));
        !is_one && is_near && (is_kin(told, &all[hand]) || is_kin(told, &all[other]))
    });
    let rivals = rivals.count();
    let lengths = relation::apart(&clusters.records[pair.a], &clusters.records[pair.b]);
    let is_as_long = lengths.is_some_and(|(_, share)| share <= ONE_LENGTH);
    let has_one_size = is_as_long || is_any(DISTANCE, &["same", "close", "near"]);
    let distances = clusters.records[pair.a].distance_m.zip(clusters.records[pair.b].distance_m);
    let went_elsewhere =
        distances.is_some_and(|(one, other)| (one - other).abs() > ONE_LENGTH * one.max(other));
    let is_told_twice = !all[hand].sources.is_disjoint(&all[other].sources);
    let is_sure = clusters.members[all[hand].cluster].iter().any(|at| clusters.records[*at].is_manual);
    let mut bits = match (is_that_day, rivals) {
        (true, 0) => 5.0,
        (false, 0) if has_one_size => 3.0,
        (true, 1 | 2) if has_one_size => 1.5,
        _ => -2.0,
    };
    if is_told_twice {
        bits -= 1.0;
    }
    // Whoever remembers neither how long nor how far it was can mean another one that nobody recorded.
    if went_elsewhere && !is_as_long {
        bits -= 5.0;
    }
    // It may only look as if.
    if !is_sure {
        if relation::is_next_to(&clusters.placed[pair.a], &clusters.placed[pair.b]) {
            return None;
        }
        bits -= 1.0;
    }
    Some(bits)
}

/// A clock that is off is off for others of its days, too.
fn support(clusters: &Clusters, strays: &mut [Stray]) {
    let sources = |s: &Stray| (clusters.records[s.pair.a].source, clusters.records[s.pair.b].source);
    let start_s = |s: &Stray| clusters.placed[s.pair.a].start_s;
    let supports = |one: &Stray, other: &Stray| {
        let is_other = ![one.told.0, one.told.1].iter().any(|at| [other.told.0, other.told.1].contains(at));
        let is_as_far = (one.ahead_s - other.ahead_s).abs() <= ONE_SHIFT_S || (one.is_end && other.is_end);
        is_other && is_as_far && sources(one) == sources(other) && one.pattern[TIME] == other.pattern[TIME]
    };
    let mut found = vec![0.0; strays.len()];
    for (at, one) in strays.iter().enumerate() {
        let later = strays[at + 1..].iter().enumerate();
        let near = later.take_while(|(_, other)| start_s(other) - start_s(one) <= ONE_STRETCH_S);
        for (n, other) in near.take(8 * MOST_NEAR).filter(|(_, other)| supports(one, other)) {
            const BITS: f64 = 1.3;
            const MOST: f64 = 2.6;
            for (to, from) in [(at, other), (at + 1 + n, one)] {
                if from.bits > -2.0 {
                    found[to] = f64::min(found[to] + BITS, MOST);
                }
            }
        }
    }
    for (stray, bits) in strays.iter_mut().zip(found) {
        stray.bits += bits;
    }
}

/// Those that no other fits as well as, as scored pairs.
fn clear(all: &[Told], strays: Vec<Stray>, weights: &Weights) -> Vec<Scored> {
    /// That both fit nothing else better.
    const BEST_BITS: f64 = 1.3;
    const CALIBRATED_BITS: f64 = 2.0;
    let mut most = vec![[f64::NEG_INFINITY; 2]; all.len()];
    for stray in &strays {
        for at in [stray.told.0, stray.told.1] {
            let [first, second] = &mut most[at];
            if stray.bits > *first {
                (*second, *first) = (*first, stray.bits);
            } else if stray.bits > *second {
                *second = stray.bits;
            }
        }
    }
    let scored = |stray: Stray| {
        let ends = [stray.told.0, stray.told.1];
        let is_best = ends.iter().all(|at| {
            let [first, second] = most[*at];
            stray.bits >= first && stray.bits - second >= CLEAR_BITS
        });
        let mut scored = Scored {
            pair: stray.pair,
            clock_s: 0,
            shift_s: stray.ahead_s,
            pattern: stray.pattern,
            circumstances_bits: 0.0,
            bits: stray.bits + CALIBRATED_BITS + if is_best { BEST_BITS } else { 0.0 },
            decision: Decision::NoMatch,
            reason: if is_best { Reason::Weight } else { Reason::Rivals },
        };
        scored.circumstances_bits = scored.bits - weights.score(&scored.pattern);
        scored
    };
    let mut found: Vec<Scored> = strays.into_iter().map(scored).collect();
    found.sort_by(|x, y| y.bits.total_cmp(&x.bits).then(x.pair.cmp(&y.pair)));
    found
}
