//! Clusters to workouts: wholes and parts put where they belong, and how each record tells of its workout.
//!
//! A whole and its parts are one outing where somebody went on after a break: runs on skis with lifts between them,
//! the legs of a triathlon, the halves of a hike. They are several where one device ran through while somebody did
//! one thing after another: where the way does not go on, or after a long pause.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{Clusters, Group, Role};
use super::compare;
use super::footprint::Footprint;
use super::join::Join;
use super::midnight;
use super::race;
use super::record::Record;
use super::relation;
use super::repetition::Repetitions;
use super::snow;
use crate::model::sport::{ANY_FAMILY, GYM, SNOW, Sport};

/// After a longer break it is another outing, unless the outing is long, too.
const LONGEST_BREAK_S: i64 = 15 * 60;
/// So soon after one thing another is begun by whoever goes on.
const AT_ONCE_S: i64 = 8 * 60;
/// Whoever forgets the watch first changes and goes somewhere else.
const SHORTEST_PAUSE_S: i64 = 10 * 60;
/// Between two things people stop a watch, or stop it soon: what it ran through for longer is a rest.
const SHORTEST_REST_S: i64 = 30 * 60;
/// Where the way goes on, people rest as long as this.
const LONGEST_REST_S: i64 = 100 * 60;
/// What starts so little before the one before has ended begins with its end.
const SLIP_S: i64 = 60;
/// Parts in parts in parts are none.
const MOST_NESTED: usize = 8;

/// One way in which a whole is cut: its parts, in the order of time, and the longest pause between two.
#[derive(Debug, Clone, PartialEq)]
struct Cut {
    parts: Vec<usize>,
    gap_s: i64,
    is_sum: bool,
}

/// What is cut into what.
#[derive(Debug, Default)]
struct Parts {
    wholes: BTreeMap<usize, Vec<Cut>>,
    whole_of: BTreeMap<usize, usize>,
}

/// The groups, with recordings in parts put where they belong. `rests` are clusters that belong to another one.
pub fn groups(clusters: &Clusters, joins: &[Join], rests: &BTreeMap<usize, usize>) -> Vec<Group> {
    let Parts { wholes, whole_of } = parts(clusters, joins);
    let has_parts = !(wholes.is_empty() && rests.is_empty());
    let repetitions = if has_parts { Repetitions::of(clusters) } else { Repetitions::default() };
    let several: BTreeMap<usize, &Cut> = wholes
        .iter()
        .filter_map(|(whole, cuts)| Some((*whole, several(clusters, &repetitions, *whole, cuts)?)))
        .collect();
    // What is told in parts where the whole is one workout belongs to it.
    let mut parts_of: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut wholes_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (part, whole) in &whole_of {
        match several.get(whole) {
            None => drop(parts_of.entry(*whole).or_default().insert(*part)),
            // What a forgotten watch did not move for is no part of it.
            Some(cut) if stood_still(clusters, *whole, cut) && !is_first(clusters, cut, *part) => {}
            Some(cut) if cut.parts.contains(part) => drop(wholes_of.insert(*part, *whole)),
            Some(_) => {}
        }
    }
    for (rest, whole) in rests {
        let is_part_or_whole = whole_of.contains_key(rest) || wholes.contains_key(rest);
        let is_in_another = whole_of.contains_key(whole) || several.contains_key(whole);
        let is_free = !is_part_or_whole && !is_in_another && !rests.contains_key(whole);
        if is_free && !repetitions.are_among(&[*rest]) {
            parts_of.entry(*whole).or_default().insert(*rest);
        }
    }
    let absorbed: BTreeSet<usize> = parts_of.values().flatten().copied().collect();
    let mut groups = Vec::new();
    for (cluster, members) in clusters.members.iter().enumerate() {
        if members.is_empty() || absorbed.contains(&cluster) || several.contains_key(&cluster) {
            continue;
        }
        let mut group = with_roles(clusters, members);
        let mut below: Vec<usize> = parts_of.get(&cluster).into_iter().flatten().copied().collect();
        while let Some(part) = below.pop() {
            group.extend(clusters.members[part].iter().map(|at| (*at, Role::Part)));
            below.extend(parts_of.get(&part).into_iter().flatten());
        }
        if let Some(whole) = wholes_of.get(&cluster) {
            group.extend(clusters.members[*whole].iter().map(|at| (*at, Role::Whole)));
        }
        groups.push(Group { members: group });
    }
    // Wholes of wholes of wholes: whatever was left over is a workout of its own.
    let told: BTreeSet<usize> =
        groups.iter().flat_map(|g: &Group| g.members.iter().map(|(at, _)| *at)).collect();
    for members in clusters.members.iter().filter(|members| !members.is_empty()) {
        if members.iter().all(|at| !told.contains(at)) {
            groups.push(Group { members: with_roles(clusters, members) });
        }
    }
    snow::gather(clusters, &mut groups);
    race::gather(clusters, &mut groups);
    midnight::gather(clusters, &mut groups);
    for group in &mut groups {
        group.members.sort_by_key(|(at, role)| {
            let record = &clusters.records[*at];
            (*role, record.source, record.source_id.clone())
        });
    }
    groups.sort_by_key(|group| group.members.iter().map(|(at, _)| *at).min());
    groups
}

/// Which clusters are parts of which, by the joins that do not contradict each other.
fn parts(clusters: &Clusters, joins: &[Join]) -> Parts {
    let mut parts = Parts::default();
    for join in joins {
        let whole = clusters.of[join.whole];
        let mut cut: Vec<usize> = join.parts.iter().map(|part| clusters.of[*part]).collect();
        let mut told = BTreeSet::new();
        cut.retain(|part| *part != whole && told.insert(*part));
        let is_free = |part: &usize| {
            let is_above = std::iter::successors(Some(whole), |at| parts.whole_of.get(at).copied());
            // A part of a part of it, or of another whole, is no part of its own.
            parts.whole_of.get(part).is_none_or(|of| *of == whole)
                && !is_above.take(MOST_NESTED).any(|above| above == *part)
                && !clusters.are_two(*part, whole)
        };
        cut.retain(is_free);
        let is_apart = |at: usize| cut[at + 1..].iter().any(|other| clusters.are_two(cut[at], *other));
        if !cut.is_empty() && !(0..cut.len()).any(is_apart) {
            parts.whole_of.extend(cut.iter().map(|part| (*part, whole)));
            let cuts = parts.wholes.entry(whole).or_default();
            if cuts.iter().all(|other| other.parts != cut) {
                cuts.push(Cut { parts: cut, gap_s: join.gap_s, is_sum: join.is_sum });
            }
        }
    }
    parts
}

/// The parts of a whole that are workouts of their own; None where all are one outing. Of several ways to cut it
/// the one that most sources tell.
fn several<'c>(
    clusters: &Clusters,
    repetitions: &Repetitions,
    whole: usize,
    cuts: &'c [Cut],
) -> Option<&'c Cut> {
    let is_several =
        |cut: &&Cut| !cut.is_sum && (repetitions.are_among(&cut.parts) || !is_outing(clusters, whole, cut));
    cuts.iter().filter(is_several).max_by_key(|cut| tell(clusters, cut))
}

/// How many sources tell of the part that most tell of.
fn tell(clusters: &Clusters, cut: &Cut) -> usize {
    cut.parts.iter().map(|part| clusters.sources(*part).len()).max().unwrap_or(0)
}

/// Whether the parts of a whole are one outing.
fn is_outing(clusters: &Clusters, whole: usize, cut: &Cut) -> bool {
    if cut.is_sum {
        return true;
    }
    let told = cut.parts.iter().chain([&whole]).filter_map(|cluster| sport(clusters, *cluster));
    let families: BTreeSet<&str> = told.map(|s| s.family).collect();
    // Whoever goes down a mountain goes up again by lift, whatever one of the runs is called.
    let is_on_snow = |cluster: &usize| sport(clusters, *cluster).is_some_and(|sport| sport.family == SNOW);
    let runs = cut.parts.iter().filter(|part| is_on_snow(part)).count();
    if families.iter().eq([&SNOW]) || (is_on_snow(&whole) && 2 * runs > cut.parts.len()) {
        return true;
    }
    let legs: Vec<Option<&str>> =
        cut.parts.iter().map(|part| sport(clusters, *part).map(|s| s.family)).collect();
    let is_event = clusters.members[whole].iter().any(|at| clusters.records[*at].is_parent);
    if is_event || (race::is_race(&legs) && cut.gap_s <= race::LONGEST_CHANGE_S) {
        return true;
    }
    let has_track = |cluster: &usize| track(clusters, *cluster).is_some();
    let is_indoors = !cut.parts.iter().chain([&whole]).any(has_track);
    if stood_still(clusters, whole, cut)
        || (is_indoors && (are_lessons(clusters, cut) || are_games(clusters, whole, cut)))
    {
        return false;
    }
    let leads: Vec<Option<bool>> =
        cut.parts.windows(2).map(|two| leads_to(clusters, two[0], two[1])).collect();
    let is_on_one_way = leads.iter().all(|leads| *leads == Some(true));
    // Lunch takes a quarter of the day; where the way goes on it may take half.
    let longest_s = length_s(clusters, whole) / if is_on_one_way { 2 } else { 4 };
    if is_named_after_leg(clusters, whole, &legs) && !is_on_one_way {
        return false;
    }
    let families = families.len();
    if families <= 1 && went_on_between(clusters, whole, cut) {
        return true;
    }
    if leads.contains(&Some(false)) {
        return false;
    }
    match families {
        0 | 1 if is_on_one_way => cut.gap_s <= LONGEST_REST_S.max(longest_s),
        0 | 1 => cut.gap_s <= LONGEST_BREAK_S.max(longest_s) || is_long_rest(clusters, whole, cut),
        _ if is_round_lifting(&legs) && sport(clusters, whole).is_none_or(|sport| sport.family == GYM) => {
            false
        }
        _ if is_on_one_way => cut.gap_s <= LONGEST_BREAK_S,
        _ => cut.gap_s <= AT_ONCE_S,
    }
}

/// Whether the whole went hardly further than the first of its parts, though others went on: a watch that somebody
/// forgot to stop lay at home while they did something else.
fn stood_still(clusters: &Clusters, whole: usize, cut: &Cut) -> bool {
    let Some(first) = cut.parts.first().map(|part| clusters.typical(*part)) else { return false };
    let rest = cut.parts.iter().filter(|part| !is_first(clusters, cut, **part));
    let mut rest_m = 0.0;
    let mut told_s = clusters.placed[first].end_s();
    for at in rest.map(|part| clusters.typical(*part)) {
        let distance_m = distance_m(clusters, clusters.of[at]);
        if clusters.placed[at].start_s >= told_s - LONGEST_BREAK_S / 3 {
            rest_m += distance_m.unwrap_or(0.0);
            told_s = clusters.placed[at].end_s();
        }
    }
    let both = distance_m(clusters, whole).zip(distance_m(clusters, clusters.of[first]));
    cut.gap_s > SHORTEST_PAUSE_S
        && both
            .is_some_and(|(whole_m, first_m)| whole_m <= 1.25 * first_m && whole_m < first_m + rest_m / 2.0)
}

/// Whether there is a long rest between the parts, which are most of the whole all the same.
fn is_long_rest(clusters: &Clusters, whole: usize, cut: &Cut) -> bool {
    let parts = cut.parts.iter().map(|part| clusters.placed[clusters.typical(*part)].length_s);
    (SHORTEST_REST_S..=LONGEST_REST_S).contains(&cut.gap_s)
        && 2 * parts.sum::<i64>() >= length_s(clusters, whole)
}

/// Whether the whole went on between its parts as it did within them: a recorder that died and was started again has
/// a hole, and the other has none.
fn went_on_between(clusters: &Clusters, whole: usize, cut: &Cut) -> bool {
    const AS_FAST: std::ops::RangeInclusive<f64> = 0.7..=1.3;
    let (mut parts_s, mut parts_m) = (0, 0.0);
    let (from_s, to_s) = clusters.placed[clusters.typical(whole)].span();
    let mut told_s = from_s;
    for part in &cut.parts {
        let (start_s, end_s) = clusters.placed[clusters.typical(*part)].span();
        if start_s < told_s - SLIP_S {
            continue;
        }
        let Some(part_m) = distance_m(clusters, *part) else { return false };
        (parts_s, parts_m, told_s) = (parts_s + end_s - start_s, parts_m + part_m, end_s);
    }
    let hole_s = to_s - from_s - parts_s;
    let Some(whole_m) = distance_m(clusters, whole) else { return false };
    let speeds = ((whole_m - parts_m) / hole_s.max(1) as f64, parts_m / parts_s.max(1) as f64);
    hole_s > LONGEST_BREAK_S / 3 && AS_FAST.contains(&(speeds.0 / speeds.1))
}

/// Whether a part is the first of the cut, or at the same time.
fn is_first(clusters: &Clusters, cut: &Cut, part: usize) -> bool {
    let placed = |part: usize| &clusters.placed[clusters.typical(part)];
    cut.parts.first().is_some_and(|first| {
        let (one, other) = (placed(*first), placed(part));
        2 * relation::overlap_s(one.span(), other.span()) >= one.length_s.min(other.length_s)
    })
}

/// Whether people went from one thing on the spot to another, or from one lesson to the next. Lifting and climbing have
/// many breaks, and a recorder that died is soon begun again.
fn are_lessons(clusters: &Clusters, cut: &Cut) -> bool {
    const LESSONS: [&str; 5] = ["crossfit", "dance", "high_intensity_interval_training", "pilates", "yoga"];
    let sports = cut.parts.iter().filter_map(|part| sport(clusters, *part));
    let names: BTreeMap<&str, &str> = sports.map(|sport| (sport.name, sport.family)).collect();
    match names.len() {
        0 => false,
        1 => cut.gap_s >= SLIP_S && names.keys().all(|name| LESSONS.contains(name)),
        _ => names.values().any(|family| *family == GYM),
    }
}

/// Whether these are rides or runs in a game, each of them saved by itself: many, or two that are called something
/// else. A game that broke off leaves two of one name.
fn are_games(clusters: &Clusters, whole: usize, cut: &Cut) -> bool {
    let records = |cluster: usize| clusters.members[cluster].iter().map(|at| &clusters.records[*at]);
    if !cut.parts.iter().chain([&whole]).any(|cluster| records(*cluster).any(Record::is_on_trainer)) {
        return false;
    }
    let mut told_s = i64::MIN;
    let mut titles: Vec<BTreeSet<u64>> = Vec::new();
    for part in &cut.parts {
        let (start_s, end_s) = clusters.placed[clusters.typical(*part)].span();
        if start_s >= told_s.saturating_sub(SLIP_S) {
            titles.push(records(*part).filter_map(|record| record.title).collect());
            told_s = end_s;
        }
    }
    let are_other =
        |two: &[BTreeSet<u64>]| !two[0].is_empty() && !two[1].is_empty() && two[0].is_disjoint(&two[1]);
    titles.len() > 2 || titles.windows(2).any(are_other)
}

/// Whether somebody went from a machine to lifting or back: two, whatever ran through both.
fn is_round_lifting(legs: &[Option<&str>]) -> bool {
    legs.contains(&Some(GYM)) && legs.iter().any(|leg| *leg != Some(GYM))
}

/// Whether a whole has the name of one of its legs, and each of them has a name of its own: a watch that ran through a
/// ride and a run calls both a ride. In the gym people go from one thing to the next.
fn is_named_after_leg(clusters: &Clusters, whole: usize, legs: &[Option<&str>]) -> bool {
    let named = sport(clusters, whole).map(|sport| sport.family);
    let others: BTreeSet<&str> = legs.iter().flatten().copied().collect();
    named.is_some()
        && legs.iter().all(Option::is_some)
        && legs.contains(&named)
        && others.len() > 1
        && !others.contains(GYM)
        && !others.iter().any(|one| others.iter().any(|other| compare::are_kin(one, other)))
}

/// How far a cluster went, by the record in the middle.
fn distance_m(clusters: &Clusters, cluster: usize) -> Option<f64> {
    let records = clusters.members[cluster].iter().map(|at| &clusters.records[*at]);
    let mut told: Vec<f64> = records.filter(|r| !r.is_manual).filter_map(|r| r.distance_m).collect();
    told.sort_by(f64::total_cmp);
    told.get(told.len().saturating_sub(1) / 2).copied()
}

fn length_s(clusters: &Clusters, cluster: usize) -> i64 {
    clusters.members[cluster].iter().map(|at| clusters.placed[*at].length_s).max().unwrap_or(0)
}

/// Whether one part begins where another ended or began, as far as their tracks tell.
fn leads_to(clusters: &Clusters, one: usize, next: usize) -> Option<bool> {
    track(clusters, one)?.leads_to(track(clusters, next)?)
}

/// The way that a cluster went, if one of its records tells.
fn track<'c>(clusters: &'c Clusters, cluster: usize) -> Option<&'c Footprint> {
    let records = clusters.members[cluster].iter().map(|at| &clusters.records[*at]);
    records.filter(|r| !r.is_virtual && !r.footprint.is_empty()).map(|r| &r.footprint).next()
}

/// What most records of a cluster call the sport.
fn sport(clusters: &Clusters, cluster: usize) -> Option<Sport> {
    let mut votes: BTreeMap<&str, (usize, Sport)> = BTreeMap::new();
    let sports = clusters.members[cluster].iter().filter_map(|at| clusters.records[*at].sport);
    for sport in sports.filter(|sport| sport.family != ANY_FAMILY) {
        votes.entry(sport.family).or_insert((0, sport)).0 += 1;
    }
    votes.into_values().max_by_key(|(votes, _)| *votes).map(|(_, sport)| sport)
}

/// How each record of one cluster tells of its workout: by the length that most sources agree on, and of
/// as many the longest.
fn with_roles(clusters: &Clusters, members: &[usize]) -> Vec<(usize, Role)> {
    const ALIKE: f64 = 0.1;
    const MUCH_SHORTER: f64 = 0.8;
    const MUCH_LONGER: f64 = 1.25;
    let length_s = |at: usize| clusters.placed[at].length_s as f64;
    let measured: Vec<usize> = members.iter().copied().filter(|at| clusters.placed[*at].is_timed()).collect();
    let agree = |at: usize| -> usize {
        let alike =
            measured.iter().filter(|other| (length_s(**other) - length_s(at)).abs() <= ALIKE * length_s(at));
        alike.map(|other| clusters.records[*other].source).collect::<BTreeSet<_>>().len()
    };
    let reference = measured
        .iter()
        .copied()
        .max_by(|x, y| agree(*x).cmp(&agree(*y)).then(length_s(*x).total_cmp(&length_s(*y))));
    let Some(reference) = reference else {
        return members.iter().map(|at| (*at, Role::Same)).collect();
    };
    let went_as_far = |at: usize| {
        let both = clusters.records[at].distance_m.zip(clusters.records[reference].distance_m);
        both.is_some_and(|(one, other)| (one - other).abs() <= 0.15 * other)
    };
    let role = |at: usize| {
        if !measured.contains(&at) || went_as_far(at) {
            return Role::Same;
        }
        match length_s(at) / length_s(reference) {
            share if share < MUCH_SHORTER => Role::Part,
            share if share > MUCH_LONGER => Role::Whole,
            _ => Role::Same,
        }
    };
    members.iter().map(|at| (*at, role(*at))).collect()
}
