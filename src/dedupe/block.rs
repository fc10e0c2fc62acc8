//! Which pairs are worth comparing: those of one person that could be the same workout in spite of wrong
//! zones, hidden starts and drifting clocks.
//!
//! Records are sorted by start, and each looks a bounded time and a bounded number of records ahead, so the
//! cost grows with the number of records.

use std::collections::HashMap;

use super::compare::{self, FURTHEST_SHIFT_S, NEAR_S};
use super::record::{Quality, Record};

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
    pub pairs: Vec<Pair>,
    /// Records with more neighbours than are looked at.
    pub crowded: u64,
}

/// Longer ones are errors, and would be beside everything.
const LONGEST_S: i64 = 48 * 3600;
/// Records that one record looks at. Nobody has so many in two days.
const MOST_LOOKED_AT: usize = 1_000;
/// Pairs of one record with those after it.
const MOST_PAIRS: usize = 100;
/// Two of one source are only ever compared as copies of each other.
const COPY_S: i64 = 5;

/// The candidates among one person's records, which are sorted by start.
pub fn candidates(records: &[Record]) -> Candidates {
    let mut found = Candidates::default();
    for (at, record) in records.iter().enumerate() {
        let horizon_s = match record.quality {
            Quality::Hidden => 86_400,
            _ => (FURTHEST_SHIFT_S + NEAR_S).max((record.end_s() - record.start_s).min(LONGEST_S)),
        };
        let mut looked_at = 0;
        let mut paired = 0;
        for (other, next) in records.iter().enumerate().skip(at + 1) {
            // Of a hidden start that comes later in the list, the day still holds this record.
            if next.start_s - record.start_s > horizon_s {
                break;
            }
            looked_at += 1;
            if looked_at > MOST_LOOKED_AT || paired == MOST_PAIRS {
                found.crowded += 1;
                break;
            }
            if is_candidate(record, next) {
                paired += 1;
                found.pairs.push(pair(records, at, other));
            }
        }
    }
    found.pairs.extend(by_key(records));
    found.pairs.sort_unstable();
    found.pairs.dedup();
    found
}

fn is_candidate(a: &Record, b: &Record) -> bool {
    if a.source == b.source {
        return (a.start_s - b.start_s).abs() <= COPY_S && a.quality != Quality::Hidden;
    }
    // As the pair will be compared, but for the clocks: those are off by less than what is near.
    compare::timing(a, b, 0).is_some()
}

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
