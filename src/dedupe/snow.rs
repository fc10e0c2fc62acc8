//! A day on snow: runs that one source tells of one by one are one outing, with a record of the whole or without.

use super::cluster::{Clusters, Group, Role};
use super::relation;
use crate::model::sport::{ANY_FAMILY, SNOW};
use crate::sources::Source;

/// Whoever goes down for longer goes on a tour.
const LONGEST_RUN_S: i64 = 30 * 60;
/// Lunch, and a queue at the lift.
const LONGEST_PAUSE_S: i64 = 90 * 60;

/// Some runs, or the whole of a day.
struct Day {
    span: (i64, i64),
    /// Which sources tell of runs, and when.
    runs: Vec<(Source, (i64, i64))>,
    groups: Vec<usize>,
}

impl Day {
    fn members<'a>(&'a self, groups: &'a [Group]) -> impl Iterator<Item = usize> + 'a {
        self.groups.iter().flat_map(|number| groups[*number].members.iter().map(|(at, _)| *at))
    }

    /// Whether somebody went uphill by themselves, so that there was no lift: a warm-up and a race on skis are two.
    fn goes_up(&self, clusters: &Clusters, groups: &[Group]) -> bool {
        self.members(groups)
            .filter_map(|at| clusters.records[at].sport)
            .any(|sport| ["nordic_ski", "backcountry_ski"].contains(&sport.name))
    }
}

/// Brings together the groups of one day's runs, and with them what tells of the whole day.
pub fn gather(clusters: &Clusters, groups: &mut Vec<Group>) {
    let mut order: Vec<(i64, usize)> = Vec::new();
    for (number, group) in groups.iter().enumerate().filter(|(_, group)| is_on_snow(clusters, group)) {
        let start_s = timed(clusters, group).map(|at| clusters.placed[at].start_s).min();
        order.extend(start_s.map(|start_s| (start_s, number)));
    }
    order.sort_unstable();
    let mut days: Vec<Day> = Vec::new();
    for (_, number) in order {
        let day = day(clusters, &groups[number], number);
        let is_denied = |last: &Day| {
            let members = |group: &usize| groups[*group].members.iter().map(|(at, _)| clusters.of[*at]);
            last.groups
                .iter()
                .flat_map(members)
                .any(|one| members(&number).any(|other| clusters.is_denied(one, other)))
        };
        match days.last_mut().filter(|last| goes_on(last, &day) && !is_denied(last)) {
            Some(last) => {
                last.span.1 = last.span.1.max(day.span.1);
                last.runs.extend(day.runs);
                last.groups.extend(day.groups);
            }
            None => days.push(day),
        }
    }
    days.retain(|day| day.groups.len() > 1 && !day.goes_up(clusters, groups));
    days.retain(|day| !clusters.are_denied(&day.members(groups).collect::<Vec<_>>()));
    for day in days {
        let mut members = Vec::new();
        for number in &day.groups {
            members.append(&mut groups[*number].members);
        }
        for (at, role) in &mut members {
            if clusters.placed[*at].length_s <= LONGEST_RUN_S {
                *role = Role::Part;
            }
        }
        groups[day.groups[0]].members = members;
    }
    groups.retain(|group| !group.members.is_empty());
}

/// Whether most that is said of it is that it was on snow, and no record of it belongs to another workout, too.
fn is_on_snow(clusters: &Clusters, group: &Group) -> bool {
    let families: Vec<&str> = group
        .members
        .iter()
        .filter_map(|(at, _)| clusters.records[*at].sport)
        .map(|sport| sport.family)
        .filter(|family| *family != ANY_FAMILY)
        .collect();
    let on_snow = families.iter().filter(|family| **family == SNOW).count();
    2 * on_snow > families.len()
        && group.members.iter().all(|(_, role)| *role != Role::Whole)
        && timed(clusters, group).next().is_some()
}

/// The records that say when they were: what was typed in is at no time.
fn timed(clusters: &Clusters, group: &Group) -> impl Iterator<Item = usize> {
    group.members.iter().map(|(at, _)| *at).filter(|at| !clusters.placed[*at].is_by_hand)
}

fn day(clusters: &Clusters, group: &Group, number: usize) -> Day {
    let spans = || timed(clusters, group).map(|at| clusters.placed[at].span());
    let from_s = spans().map(|span| span.0).min().unwrap_or_default();
    let to_s = spans().map(|span| span.1).max().unwrap_or_default();
    let runs =
        timed(clusters, group).filter(|at| (1..=LONGEST_RUN_S).contains(&clusters.placed[*at].length_s));
    let runs = runs.map(|at| (clusters.records[at].source, clusters.placed[at].span()));
    Day { span: (from_s, to_s), runs: runs.collect(), groups: vec![number] }
}

/// Whether one source tells of runs of both, one after the other and none at once.
fn goes_on(day: &Day, next: &Day) -> bool {
    let is_near = next.span.0 - day.span.1 <= LONGEST_PAUSE_S;
    // A record that began late or ended early holds some of the runs.
    let are_many = |one: &Day, other: &Day| {
        one.runs.iter().filter(|(source, _)| other.runs.iter().any(|(with, _)| with == source)).count() > 1
    };
    let is_run = next.span.1 - next.span.0 <= LONGEST_RUN_S
        || day.span.1 - day.span.0 <= LONGEST_RUN_S
        || (are_many(day, next) && are_many(next, day));
    let both = |is: &dyn Fn((i64, i64), (i64, i64)) -> bool| {
        let of_one = |(source, span): &(Source, (i64, i64))| {
            day.runs.iter().any(|(other, before)| other == source && is(*before, *span))
        };
        next.runs.iter().any(of_one)
    };
    is_near && is_run && both(&|_, _| true) && !both(&|one, other| relation::overlap_s(one, other) > 0)
}
