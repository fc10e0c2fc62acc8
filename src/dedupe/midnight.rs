//! What midnight cut in two: a recorder that keeps days apart ends one record with the last second of a day and begins
//! the next one with the first of the next.

use std::collections::HashMap;

use super::cluster::{self, Clusters, Group, Role};
use super::placed::Placed;
use super::relation::DAY_S;
use crate::sources::Source;

/// The second before midnight may belong to either side.
const SLIP_S: i64 = 2;
/// Whoever records all day long has no outing.
const LONGEST_S: i64 = 36 * 3600;

/// Brings together the groups of the two halves.
pub fn gather(clusters: &Clusters, groups: &mut Vec<Group>) {
    let mut ends: HashMap<(Source, i64), Vec<usize>> = HashMap::new();
    for at in (0..clusters.records.len()).filter(|at| is_to_the_second(clusters, *at)) {
        ends.entry((clusters.records[at].source, clusters.placed[at].end_s())).or_default().push(at);
    }
    let mut groups_of = cluster::groups_of(clusters.records.len(), groups);
    for later in
        (0..clusters.records.len()).filter(|at| is_to_the_second(clusters, *at) && at_midnight(clusters, *at))
    {
        let start_s = clusters.placed[later].start_s;
        let before = (start_s - SLIP_S..=start_s + SLIP_S)
            .filter_map(|end_s| ends.get(&(clusters.records[later].source, end_s)))
            .flatten()
            .find(|before| are_halves(clusters, **before, later));
        let Some((&[to], &[from])) = before.map(|at| (&groups_of[*at][..], &groups_of[later][..])) else {
            continue;
        };
        let all = || groups[to].members.iter().chain(&groups[from].members);
        let members: Vec<usize> = all().map(|(at, _)| *at).collect();
        let spans =
            || members.iter().map(|at| &clusters.placed[*at]).filter(|p| p.is_timed()).map(Placed::span);
        let from_s = spans().map(|span| span.0).min().unwrap_or_default();
        let to_s = spans().map(|span| span.1).max().unwrap_or_default();
        let is_too_long = to_s - from_s > LONGEST_S;
        let has_whole = all().any(|(_, role)| *role == Role::Whole);
        if to == from || is_too_long || has_whole || clusters.are_denied(&members) {
            continue;
        }
        let mut halves = std::mem::take(&mut groups[from].members);
        halves.append(&mut groups[to].members);
        for (at, role) in &mut halves {
            groups_of[*at] = vec![to];
            let placed = &clusters.placed[*at];
            if placed.is_timed() {
                let is_all = 10 * placed.length_s >= 9 * (to_s - from_s);
                *role = if is_all { Role::Same } else { Role::Part };
            }
        }
        groups[to].members = halves;
    }
    groups.retain(|group| !group.members.is_empty());
}

/// Whether it says when it was, to the second: whatever is planned begins and ends at full hours.
fn is_to_the_second(clusters: &Clusters, at: usize) -> bool {
    let placed = &clusters.placed[at];
    placed.is_timed() && (placed.start_s % 60 != 0 || placed.length_s % 60 != 0)
}

/// Whether it begins with a day of the person's zone.
fn at_midnight(clusters: &Clusters, at: usize) -> bool {
    let placed = &clusters.placed[at];
    placed.offset_s.is_some_and(|offset_s| (placed.start_s + offset_s) % DAY_S == 0)
}

/// Whether one account tells of both, under one name.
fn are_halves(clusters: &Clusters, before: usize, later: usize) -> bool {
    let (a, b) = (&clusters.records[before], &clusters.records[later]);
    let are_one_sport = a.sport.zip(b.sport).is_some_and(|(one, other)| one.family == other.family);
    before != later && a.is_of_one_account_with(b) && are_one_sport
}
