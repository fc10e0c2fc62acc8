//! Records that are copies of one recording: a watch's run in its own service, in Strava and in a hub.
//!
//! They are wrong together. So copies are no witnesses of where a recording lies in time, and where its clock was
//! off, all of them move. Nor can two recordings be one workout where one device recorded both.

use super::compare;
use super::record::{Quality, Record};
use super::relation;

/// Records that one is held against.
const MOST_NEAR: usize = 24;
/// One begins no later than this after the other; whoever rounds to minutes is up to one off.
const LATEST_S: i64 = 60;

/// Which of one person's records are copies of each other.
#[derive(Debug, Default)]
pub struct Copies {
    /// Of each record, its group; of each group, its records.
    of: Vec<usize>,
    groups: Vec<Vec<usize>>,
}

impl Copies {
    /// Of records that are sorted by start.
    pub fn of(records: &[Record]) -> Copies {
        let mut copies = Copies {
            of: (0..records.len()).collect(),
            groups: (0..records.len()).map(|at| vec![at]).collect(),
        };
        for (at, record) in records.iter().enumerate() {
            let later =
                records[at + 1..].iter().take_while(|other| other.start_s - record.start_s <= LATEST_S);
            for (n, other) in later.take(MOST_NEAR).enumerate() {
                if are_copies(record, other) {
                    copies.unite(at, at + 1 + n);
                }
            }
        }
        copies
    }

    fn unite(&mut self, one: usize, other: usize) {
        let (to, from) = (self.of[one].min(self.of[other]), self.of[one].max(self.of[other]));
        if to != from {
            let moved = std::mem::take(&mut self.groups[from]);
            moved.iter().for_each(|at| self.of[*at] = to);
            self.groups[to].extend(moved);
        }
    }

    /// A record and its copies.
    pub fn beside(&self, at: usize) -> &[usize] {
        &self.groups[self.of[at]]
    }

    /// How many recordings these are copies of.
    pub fn recordings(&self, records: &[usize]) -> usize {
        let mut of: Vec<usize> = records.iter().map(|at| self.of[*at]).collect();
        of.sort_unstable();
        of.dedup();
        of.len()
    }

    /// Each group.
    pub fn groups(&self) -> impl Iterator<Item = &[usize]> {
        self.groups.iter().map(Vec::as_slice).filter(|group| !group.is_empty())
    }

    /// Whether two are of different recordings, and no device made both.
    pub fn are_apart(&self, records: &[Record], one: usize, other: usize) -> bool {
        self.of[one] != self.of[other]
            && !self
                .beside(one)
                .iter()
                .any(|x| self.beside(other).iter().any(|y| made_both(&records[*x], &records[*y])))
    }
}

/// Whether one device made both, as far as they say. It records one thing at a time, and so none of two that lie upon
/// each other.
fn made_both(a: &Record, b: &Record) -> bool {
    if !a.is_of_one_recorder_with(b) {
        return false;
    }
    let shared_s = relation::overlap_s((a.start_s, a.end_s()), (b.start_s, b.end_s()));
    let shorter_s = (a.end_s() - a.start_s).min(b.end_s() - b.start_s);
    shared_s == 0 || 2 * shared_s < shorter_s
}

/// Whether a heart beat as often in both, and both burnt as much: no two recordings agree so exactly.
pub fn are_exact(a: &Record, b: &Record) -> bool {
    let is_same = |one: Option<f64>, other: Option<f64>| {
        one.zip(other).is_some_and(|(one, other)| (one - other).abs() <= 0.01)
    };
    is_same(a.heart_rate_bpm, b.heart_rate_bpm) && is_same(a.calories_kcal, b.calories_kcal)
}

/// Whether it took as long as somebody set a machine to, or was rounded.
pub fn is_round(record: &Record) -> bool {
    record.elapsed_s.is_none_or(|elapsed_s| elapsed_s % 60.0 == 0.0)
}

/// Whether one seems to be a copy of the other: at one time, equally long, and of all that both measured nothing
/// that two devices would hardly agree on is different.
fn are_copies(a: &Record, b: &Record) -> bool {
    let is_rounded = |r: &Record| r.quality == Quality::Minute || r.start_s % 60 == 0;
    let slack = if is_rounded(a) || is_rounded(b) { 60 } else { 3 };
    let Some((off_s, share)) = relation::apart(a, b) else { return false };
    if (a.start_s - b.start_s).abs() > slack || !(off_s <= slack as f64 || share <= 0.005) {
        return false;
    }
    let (mut same, mut other) = (0, 0);
    let mut compare = |one: Option<f64>, two: Option<f64>, is_same: fn(f64, f64) -> bool| {
        if let Some((one, two)) = one.zip(two) {
            *(if is_same(one, two) { &mut same } else { &mut other }) += 1;
        }
    };
    compare(a.distance_m, b.distance_m, |one, two| (one - two).abs() <= 0.02 * one.max(two));
    compare(a.heart_rate_bpm, b.heart_rate_bpm, |one, two| (one - two).abs() <= 1.5);
    // A hub adds what a body burns anyway, or leaves it out.
    let is_to_the_second = (a.start_s - b.start_s).abs() <= 1 && off_s <= 1.0;
    if !(is_to_the_second && [a, b].iter().any(|r| r.source.spec().is_hub())) {
        compare(a.calories_kcal, b.calories_kcal, |one, two| (one - two).abs() <= 0.02 * one.max(two) + 1.0);
    }
    let is_one_device = a.device.is_some() && a.device == b.device;
    // Of what somebody edited the rest is as it was.
    is_one_device
        || (same >= 2 && other <= 1)
        || (other == 0 && (same > 0 || !compare::are_of_other_sports(a, b)))
}
