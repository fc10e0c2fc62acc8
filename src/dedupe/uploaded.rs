//! Copies of a log that carry the time of their upload: an app that does not pass on when somebody lifted passes on
//! when it was told of it.
//!
//! Such a copy begins after the log's end and before another log of its length, lasts as long as the log to the minute
//! that logs are written to, and measures nothing: no body was there.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::Clusters;
use super::compare::{self, Confusion};
use super::levels::{SPORT, number};
use super::record::Record;
use super::relation::DAY_S;
use crate::sources::Source;

/// Logs are written to the minute, at either end.
const MINUTE_S: i64 = 60;

/// Pairs of clusters of which one is a copy of a log in the other, the smaller number first. Where a copy could be of
/// two logs, or a log has two copies, nothing tells which.
pub fn find(clusters: &Clusters) -> BTreeSet<(usize, usize)> {
    let measured = clusters.records.iter().filter(|r| r.measures());
    let measuring: BTreeSet<(Source, u64)> = measured.filter_map(|r| Some((r.source, r.device?))).collect();
    let is_unmeasured = |cluster: &usize| is_unmeasured(clusters, *cluster, &measuring);
    let copies: Vec<usize> = (0..clusters.members.len()).filter(is_unmeasured).collect();
    if copies.is_empty() {
        return BTreeSet::new();
    }
    let logs = (0..clusters.records.len()).filter(|at| clusters.records[*at].source == Source::Hevy);
    let mut found: BTreeSet<(usize, usize)> = BTreeSet::new();
    for log in logs {
        let own = copies.iter().filter(|copy| is_copy(clusters, log, **copy));
        found.extend(own.map(|copy| (clusters.of[log], *copy)));
    }
    let mut times: BTreeMap<usize, usize> = BTreeMap::new();
    for cluster in found.iter().flat_map(|(log, copy)| [log, copy]) {
        *times.entry(*cluster).or_insert(0) += 1;
    }
    let is_only = |(log, copy): &(usize, usize)| times[log] == 1 && times[copy] == 1;
    let ordered = |(log, copy): (usize, usize)| (log.min(copy), log.max(copy));
    found.into_iter().filter(is_only).map(ordered).collect()
}

/// Whether no body was there, as far as all of its records say: a watch measures at least some of what it records,
/// and an app that has a number like a watch never does.
fn is_unmeasured(clusters: &Clusters, cluster: usize, measuring: &BTreeSet<(Source, u64)>) -> bool {
    let mut members = clusters.members[cluster].iter().map(|at| &clusters.records[*at]).peekable();
    let is_of_watch = |r: &Record| r.device.is_some_and(|device| measuring.contains(&(r.source, device)));
    members.peek().is_some() && members.all(|r| !r.measures() && !is_of_watch(r) && r.source != Source::Hevy)
}

fn is_copy(clusters: &Clusters, log: usize, copy: usize) -> bool {
    let of_log = &clusters.placed[log];
    let is_told_after = |at: &usize| {
        let placed = &clusters.placed[*at];
        let sport = compare::sport(&clusters.records[log], &clusters.records[*at], &Confusion::default());
        (of_log.end_s() - MINUTE_S..=of_log.end_s() + DAY_S).contains(&placed.start_s)
            && (placed.length_s - of_log.length_s).abs() <= MINUTE_S
            && sport != number(SPORT, "different")
    };
    // A name that only one of several copies has was edited there.
    let has_other_name = |at: &usize| has_other_name(&clusters.records[log], &clusters.records[*at]);
    of_log.length_s > 0
        && clusters.of[log] != copy
        && clusters.members[copy].iter().all(is_told_after)
        && !clusters.members[copy].iter().all(has_other_name)
        && !clusters.are_two(clusters.of[log], copy)
}

/// Whether people called the two otherwise.
fn has_other_name(one: &Record, other: &Record) -> bool {
    one.title.zip(other.title).is_some_and(|(one, other)| one != other)
}
