//! Recordings that were told twice, once at a wrong hour or on a wrong day: an account's history that was uploaded to
//! another one by a tool that took local time for UTC.
//!
//! Some of what such a tool uploads lies beside recordings that are right, in one account and of one device, so it is no
//! clock that was off. But a copy is as long to the second and of one size, and its minutes and seconds are the
//! original's: two recordings hardly ever agree in all three.

use std::collections::BTreeMap;

use super::agreement::{LONGEST_OVERLAP_S, PARTNER_BITS, agreement};
use super::compare;
use super::copies::{self, Copies};
use super::placed::{Placed, Why};
use super::record::{Quality, Record};
use super::relation::{DAY_S, QUARTER_S};

/// A day, and what daylight saving takes of one.
const FURTHEST_S: i64 = DAY_S + 2 * 3600;
/// Records of one length that one is held against, and records beside it.
const MOST_OF_A_LENGTH: usize = 24;
const MOST_NEAR: usize = 48;
/// Of one person as far apart, for others to be of one recording whatever their sizes.
const FEWEST_SURE: usize = 3;

/// Puts the copies of a person's recordings where the originals lie. Records are sorted by start.
pub fn bring_together(records: &[Record], copies: &Copies, placed: &mut [Placed]) {
    let mut starts: Vec<(i64, usize)> = placed.iter().enumerate().map(|(at, p)| (p.start_s, at)).collect();
    starts.sort_unstable();
    for (one, other) in twins(records, placed) {
        let apart_s = placed[other].start_s - placed[one].start_s;
        let [of_one, of_other] = [one, other].map(|at| beside(copies, placed, at));
        if apart_s == 0 || are_two(records, &of_one, &of_other) {
            continue;
        }
        let worth = |own: &[usize]| {
            let of_others = own.iter().map(|at| support(records, &starts, placed, *at, [&of_one, &of_other]));
            let knows_zone = own.iter().any(|at| records[*at].utc_offset_s.is_some());
            (of_others.max().unwrap_or(0), knows_zone, own.len())
        };
        let (moved, by_s) =
            if worth(&of_other) > worth(&of_one) { (of_one, apart_s) } else { (of_other, -apart_s) };
        for at in moved {
            placed[at].start_s += by_s;
            placed[at].why = Why::Copy;
        }
    }
}

/// A record, and its copies that lie where it does.
fn beside(copies: &Copies, placed: &[Placed], at: usize) -> Vec<usize> {
    let lies_there = |other: &usize| (placed[*other].start_s - placed[at].start_s).abs() <= 60;
    copies.beside(at).iter().copied().filter(lies_there).collect()
}

/// Where two sources tell of both, they are two: on the way to work and back, say.
fn are_two(records: &[Record], one: &[usize], other: &[usize]) -> bool {
    let has = |of: &[usize], source| of.iter().any(|at| records[*at].source == source);
    let mut sources: Vec<_> = one.iter().map(|at| records[*at].source).collect();
    sources.sort_unstable();
    sources.dedup();
    let are_exact = one.iter().any(|x| other.iter().any(|y| copies::are_exact(&records[*x], &records[*y])));
    !are_exact && sources.iter().filter(|source| has(other, **source)).count() > 1
}

/// How many records beside one speak for its lying there, without those that are wrong or right with it.
fn support(
    records: &[Record],
    starts: &[(i64, usize)],
    placed: &[Placed],
    at: usize,
    without: [&Vec<usize>; 2],
) -> usize {
    let start_s = placed[at].start_s;
    let from = starts.partition_point(|(other_s, _)| *other_s < start_s - LONGEST_OVERLAP_S);
    let near = starts[from..].iter().take_while(|(other_s, _)| *other_s <= start_s + placed[at].length_s);
    let others = near.map(|(_, other)| *other).filter(|other| !without.iter().any(|own| own.contains(other)));
    let speaks = |other: &usize| {
        let agreement = agreement(records, placed, (at, start_s), *other);
        agreement.at_most() >= PARTNER_BITS && agreement.bits() >= PARTNER_BITS
    };
    others.take(MOST_NEAR).filter(speaks).count()
}

/// Pairs of one recording, the nearest first.
fn twins(records: &[Record], placed: &[Placed]) -> Vec<(usize, usize)> {
    // Courses begin at the same whole minute every day.
    let can_tell = |r: &Record| {
        r.quality == Quality::Exact && r.start_s % 60 != 0 && !r.is_by_hand() && !copies::is_round(r)
    };
    let mut by_length: Vec<(f64, usize)> = records
        .iter()
        .enumerate()
        .filter(|(_, record)| can_tell(record))
        .filter_map(|(at, record)| Some((record.elapsed_s?, at)))
        .collect();
    by_length.sort_by(|(one, a), (other, b)| one.total_cmp(other).then(a.cmp(b)));
    let (mut twins, mut doubtful) = (Vec::new(), Vec::new());
    for (n, (least_s, at)) in by_length.iter().enumerate() {
        let alike = by_length[n + 1..].iter().take_while(|(length_s, _)| length_s - least_s <= 1.0);
        for (_, other) in alike.take(MOST_OF_A_LENGTH) {
            let (one, other) = (*at.min(other), *at.max(other));
            let [a, b] = [&records[one], &records[other]];
            if lie_apart(&placed[one], &placed[other])
                && !compare::are_of_other_sports(a, b)
                && !lie_elsewhere(a, b)
            {
                if is_sure(a, b) { &mut twins } else { &mut doubtful }.push((one, other));
            }
        }
    }
    // A tool does the same to all that it uploads; sizes are measured anew by whoever reads tracks, or edited.
    let quarters = |(one, other): &(usize, usize)| {
        let apart_s = placed[*other].start_s - placed[*one].start_s;
        (apart_s as f64 / QUARTER_S as f64).round().abs() as i64
    };
    let mut by_quarters: BTreeMap<i64, usize> = BTreeMap::new();
    twins.iter().for_each(|twin| *by_quarters.entry(quarters(twin)).or_default() += 1);
    doubtful.retain(|twin| by_quarters.get(&quarters(twin)).is_some_and(|sure| *sure >= FEWEST_SURE));
    twins.extend(doubtful);
    twins.sort_by_key(|twin| (quarters(twin), *twin));
    twins
}

/// Whether two lie whole quarters of an hour apart, to the second.
fn lie_apart(a: &Placed, b: &Placed) -> bool {
    let apart_s = b.start_s - a.start_s;
    let off_s = apart_s.rem_euclid(QUARTER_S);
    (QUARTER_S - 1..=FURTHEST_S).contains(&apart_s.abs()) && off_s.min(QUARTER_S - off_s) <= 1
}

/// Whether their tracks say that these are two. In one account, a copy has the very points: the way home is as long as
/// the way to work, but begins some metres beside its end.
fn lie_elsewhere(a: &Record, b: &Record) -> bool {
    if a.footprint.is_empty() || b.footprint.is_empty() || a.is_virtual || b.is_virtual {
        return false;
    }
    if a.source == b.source && !a.footprint.begins_with(&b.footprint) {
        return true;
    }
    let (of_one, of_other) = a.footprint.shares(&b.footprint);
    of_one.max(of_other) < 0.25
}

/// In one account, somebody may have done the same on the next day: there it takes a track, or a heart.
fn is_sure(a: &Record, b: &Record) -> bool {
    let is_told = a.source != b.source || a.footprint.begins_with(&b.footprint) || copies::are_exact(a, b);
    is_told && are_of_one_size(a, b)
}

fn are_of_one_size(a: &Record, b: &Record) -> bool {
    let is_within = |one: Option<f64>, other: Option<f64>, share: f64| {
        one.zip(other).map(|(one, other)| (one - other).abs() <= share * one.max(other))
    };
    is_within(a.distance_m, b.distance_m, 0.03).unwrap_or_else(|| {
        let effort = [(a.heart_rate_bpm, b.heart_rate_bpm), (a.calories_kcal, b.calories_kcal)];
        let mut are_same =
            effort.into_iter().filter_map(|(one, other)| is_within(one, other, 0.01)).peekable();
        let have_paused = a.has_paused() && b.has_paused();
        (are_same.peek().is_some() && are_same.all(|is_same| is_same))
            || (have_paused && is_within(a.moving_s, b.moving_s, 0.001) == Some(true))
    })
}
