//! What midnight cut in two: a recorder that keeps days apart ends one record with the last second of a day and begins
//! the next one with the first of the next.

use std::collections::HashMap;

use super::cluster::{self, Clusters, Group, Role};
use super::relation::DAY_S;
use crate::model::sport::Sport;
use crate::sources::Source;

/// The second before midnight may belong to either side.
const SLIP_S: i64 = 2;
/// Where nobody knows the zone, midnight is at a whole hour.
const HOUR_S: i64 = 3600;

/// Brings together the groups of the two halves.
pub fn gather(clusters: &Clusters, groups: &mut Vec<Group>) {
    let mut ends: HashMap<(Source, i64), Vec<usize>> = HashMap::new();
    for at in (0..clusters.records.len()).filter(|at| is_timed(clusters, *at)) {
        ends.entry((clusters.records[at].source, clusters.placed[at].end_s())).or_default().push(at);
    }
    let mut groups_of = cluster::groups_of(clusters.records.len(), groups);
    for later in
        (0..clusters.records.len()).filter(|at| is_timed(clusters, *at) && at_midnight(clusters, *at))
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
        if to == from || all().any(|(_, role)| *role == Role::Whole) || clusters.are_denied(&members) {
            continue;
        }
        let spans = || members.iter().map(|at| clusters.placed[*at].span());
        let from_s = spans().map(|span| span.0).min().unwrap_or_default();
        let to_s = spans().map(|span| span.1).max().unwrap_or_default();
        let mut halves = std::mem::take(&mut groups[from].members);
        halves.append(&mut groups[to].members);
        for (at, role) in &mut halves {
            groups_of[*at] = vec![to];
            let is_whole = 10 * clusters.placed[*at].length_s >= 9 * (to_s - from_s);
            *role = if is_whole { Role::Same } else { Role::Part };
        }
        groups[to].members = halves;
    }
    groups.retain(|group| !group.members.is_empty());
}

/// Whether it says when it was, to the second: whatever is planned begins and ends at full hours.
fn is_timed(clusters: &Clusters, at: usize) -> bool {
    let placed = &clusters.placed[at];
    placed.length_s > 0 && !placed.is_by_hand && (placed.start_s % 60 != 0 || placed.length_s % 60 != 0)
}

fn at_midnight(clusters: &Clusters, at: usize) -> bool {
    let placed = &clusters.placed[at];
    match placed.offset_s {
        Some(offset_s) => (placed.start_s + offset_s) % DAY_S == 0,
        None => placed.start_s % HOUR_S == 0,
    }
}

/// Whether one account tells of both, under one name.
fn are_halves(clusters: &Clusters, before: usize, later: usize) -> bool {
    let (a, b) = (&clusters.records[before], &clusters.records[later]);
    let family = |sport: Option<Sport>| sport.map(|sport| sport.family);
    before != later && a.is_of_one_account_with(b) && family(a.sport) == family(b.sport)
}
