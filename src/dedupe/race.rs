//! A triathlon or a duathlon told leg by leg, and as a whole. Without a record of the whole nobody can tell a race from a
//! morning of training: its legs stay apart.

use std::collections::HashSet;

use super::cluster::{self, Clusters, Group, Role};
use super::relation;
use crate::model::sport::ANY_FAMILY;

/// The legs of each race.
const RACES: [[&str; 3]; 2] = [["swim", "ride", "run"], ["run", "ride", "run"]];
/// Between two legs people change their shoes.
pub const LONGEST_CHANGE_S: i64 = 20 * 60;
/// A recorder that was started late, or stopped late, makes two legs overlap.
const LONGEST_OVERLAP_S: i64 = 10 * 60;
/// Records after a leg among which the next one is looked for.
const MOST_LOOKED_AT: usize = 32;

/// What a record tells of, and when.
struct Leg {
    span: (i64, i64),
    family: Option<&'static str>,
    at: usize,
}

/// Whether these are the legs of a race, in its order; of one of them nobody may know what it was.
pub fn is_race(legs: &[Option<&str>]) -> bool {
    let is_one = |race: &[&str; 3]| {
        legs.len() == race.len() && legs.iter().zip(race).all(|(leg, of)| leg.is_none_or(|leg| leg == *of))
    };
    RACES.iter().any(is_one) && legs.iter().filter(|leg| leg.is_none()).count() <= 1
}

/// Brings together the groups of each race's legs, and with them what tells of the whole race.
pub fn gather(clusters: &Clusters, groups: &mut Vec<Group>) {
    let mut legs: Vec<Leg> = (0..clusters.records.len()).filter_map(|at| leg(clusters, at)).collect();
    legs.sort_by_key(|leg| (leg.span, leg.at));
    let mut groups_of = cluster::groups_of(clusters.records.len(), groups);
    let mut told: HashSet<usize> = HashSet::new();
    for first in 0..legs.len() {
        if told.contains(&legs[first].at) {
            continue;
        }
        let Some(race) = RACES.iter().find_map(|race| race_from(&legs, first, race)) else { continue };
        let span = (legs[race[0]].span.0, legs[race[2]].span.1);
        let belongs = |leg: &&Leg| is_whole(leg, span) || is_of(&legs, &race, leg);
        let own: Vec<usize> = around(&legs, span).iter().filter(belongs).map(|leg| leg.at).collect();
        if clusters.are_denied(&own) {
            continue;
        }
        told.extend(&own);
        let mut numbers: Vec<usize> = own.iter().flat_map(|at| groups_of[*at].iter().copied()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut members: Vec<(usize, Role)> = Vec::new();
        for number in &numbers {
            members.append(&mut groups[*number].members);
        }
        let most_s = (span.1 - span.0) * 3 / 4;
        for (at, role) in &mut members {
            *role = if clusters.placed[*at].length_s < most_s { Role::Part } else { Role::Same };
            groups_of[*at] = vec![numbers[0]];
        }
        members.sort_unstable();
        members.dedup();
        groups[numbers[0]].members = members;
    }
    groups.retain(|group| !group.members.is_empty());
}

/// The legs of a race that begins with this one.
fn race_from(legs: &[Leg], first: usize, race: &[&'static str; 3]) -> Option<[usize; 3]> {
    let next = |before: usize, family: &'static str| {
        (before + 1..legs.len().min(before + 1 + MOST_LOOKED_AT)).filter(move |at| {
            let change_s = legs[*at].span.0 - legs[before].span.1;
            legs[*at].family == Some(family) && (-LONGEST_OVERLAP_S..=LONGEST_CHANGE_S).contains(&change_s)
        })
    };
    let [swim, ride, run] = *race;
    if legs[first].family != Some(swim) {
        return None;
    }
    // A recorder that died on the bike has no run after it; another has.
    let mut races = next(first, ride).filter_map(|ride| Some([first, ride, next(ride, run).next()?]));
    let found = races.next()?;
    let span = (legs[first].span.0, legs[found[2]].span.1);
    around(legs, span).iter().any(|leg| is_whole(leg, span)).then_some(found)
}

/// What begins at the time of a race, or so long before it that it could be the whole of it.
fn around(legs: &[Leg], (from_s, to_s): (i64, i64)) -> &[Leg] {
    let first = legs.partition_point(|leg| leg.span.0 < from_s - (to_s - from_s));
    let last = legs.partition_point(|leg| leg.span.0 < to_s);
    &legs[first..last]
}

/// Whether something tells of all of a race.
fn is_whole(leg: &Leg, span: (i64, i64)) -> bool {
    let shared_s = relation::overlap_s(leg.span, span);
    10 * shared_s >= 8 * (leg.span.1 - leg.span.0).max(span.1 - span.0)
}

/// Whether something tells of one leg of a race, or of some of it.
fn is_of(legs: &[Leg], race: &[usize; 3], other: &Leg) -> bool {
    race.iter().any(|at| {
        let leg = &legs[*at];
        let shared_s = relation::overlap_s(leg.span, other.span);
        let is_kin = other.family.is_none_or(|family| leg.family == Some(family));
        is_kin && 10 * shared_s >= 7 * (other.span.1 - other.span.0)
    })
}

fn leg(clusters: &Clusters, at: usize) -> Option<Leg> {
    let placed = &clusters.placed[at];
    let family = clusters.records[at].sport.map(|sport| sport.family).filter(|family| *family != ANY_FAMILY);
    placed.is_timed().then(|| Leg { span: placed.span(), family, at })
}
