//! Which pairs are worth comparing: those of one person that could be the same workout.
//!
//! Records are sorted by where they were placed in time, and each looks a bounded time and a bounded number of
//! records ahead, so the cost grows with the number of records.

use std::collections::HashMap;

use super::compare;
use super::placed::Placed;
use super::record::Record;
use super::relation::{self, Kind, Timing};

/// Two records, by their places; the first is of the source that comes first, or starts first within one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    pub a: usize,
    pub b: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Candidates {
    /// Sorted.
    pub pairs: Vec<Candidate>,
    /// Records with more neighbours than are looked at.
    pub crowded: u64,
}

/// Records that one record looks at. Nobody has so many in two days.
const MOST_LOOKED_AT: usize = 1_000;
/// Pairs of one record with those after it.
const MOST_PAIRS: usize = 100;

/// A candidate, and how the two lie.
pub type Candidate = (Pair, Timing);

/// The candidates among one person's records, and where they were placed.
pub fn candidates(records: &[Record], placed: &[Placed]) -> Candidates {
    let mut found = Candidates::default();
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.sort_by_key(|at| (placed[*at].start_s, *at));
    let mut timed: Vec<Candidate> = Vec::new();
    for (nth, at) in order.iter().enumerate() {
        let horizon_s = relation::DAY_S.max(placed[*at].length_s);
        let (mut looked_at, mut paired) = (0, 0);
        for other in &order[nth + 1..] {
            if placed[*other].start_s - placed[*at].start_s > horizon_s {
                break;
            }
            looked_at += 1;
            if looked_at > MOST_LOOKED_AT || paired == MOST_PAIRS {
                found.crowded += 1;
                break;
            }
            let pair = pair(records, *at, *other);
            let of = |at: usize| (&records[at], &placed[at]);
            let timing = relation::timing(of(pair.a), of(pair.b), 0);
            if let Some(timing) = timing.filter(|timing| is_worth_it(of(pair.a).0, of(pair.b).0, *timing)) {
                paired += 1;
                timed.push((pair, timing));
            }
        }
    }
    let beside = Timing { level: relation::BESIDE, shift_s: 0 };
    timed.sort_unstable_by_key(|(pair, _)| *pair);
    let mut by_key = by_key(records);
    by_key.sort_unstable();
    by_key.dedup();
    by_key.retain(|pair| timed.binary_search_by_key(pair, |(pair, _)| *pair).is_err());
    timed.extend(by_key.into_iter().map(|pair| (pair, beside)));
    timed.sort_unstable_by_key(|(pair, _)| *pair);
    found.pairs = timed;
    found
}

/// Two that lie apart and are of sports that nobody takes for one another are none, but for those that are
/// alike to the second.
fn is_worth_it(a: &Record, b: &Record, timing: Timing) -> bool {
    match relation::kind(timing.level) {
        Kind::Shifted => {
            !compare::are_of_other_sports(a, b)
                || relation::apart(a, b).is_some_and(|(off_s, _)| off_s <= 2.0)
        }
        Kind::ByHand => !compare::are_of_other_sports(a, b),
        _ => timing.level != relation::BESIDE,
    }
}

/// The two in the order in which a pair has them.
pub fn pair(records: &[Record], one: usize, other: usize) -> Pair {
    let rank = |at: usize| (records[at].source, at);
    if rank(one) <= rank(other) { Pair { a: one, b: other } } else { Pair { a: other, b: one } }
}

/// Records that share a key, or of which one names the other, however far apart.
fn by_key(records: &[Record]) -> Vec<Pair> {
    const MOST_SHARING: usize = 16;
    let mut holders: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, record) in records.iter().enumerate() {
        for key in [record.file, record.upload].into_iter().flatten() {
            holders.entry(key).or_default().push(at);
        }
    }
    let mut pairs = Vec::new();
    for holders in holders.values().filter(|holders| holders.len() <= MOST_SHARING) {
        for (at, one) in holders.iter().enumerate() {
            pairs.extend(holders[at + 1..].iter().map(|other| pair(records, *one, *other)));
        }
    }
    let named = records.iter().enumerate().filter_map(|(at, r)| Some((at, r.came_from.as_ref()?)));
    let named: Vec<_> = named.collect();
    if !named.is_empty() {
        let by_id: HashMap<_, usize> =
            records.iter().enumerate().map(|(at, r)| ((r.source, r.source_id.as_str()), at)).collect();
        for (at, (source, id)) in named {
            if let Some(other) = by_id.get(&(*source, id.as_str())) {
                pairs.push(pair(records, at, *other));
            }
        }
    }
    pairs
}
