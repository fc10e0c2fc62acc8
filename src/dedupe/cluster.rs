//! Pairs to groups: everything that tells of one workout.
//!
//! The surest pairs come first. Two groups come together where no source would then tell twice (unless as
//! copies, or as a person said), nobody said otherwise, and all that is known of the pairs between them
//! speaks for it: one good pair does not outvote three bad ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::block::{self, Pair};
use super::levels::{TRACK, number};
use super::link::{Decision, Reason, Scored};
use super::record::Record;
use super::relation;
use super::sequence::Join;
use super::timeline::Placed;
use crate::sources::Source;
use crate::store::state::answers::{Answer, Answers};

/// How a record belongs to a workout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It tells of it.
    Same,
    /// It tells of a part of it.
    Part,
    /// It tells of it and of others in one.
    Whole,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Same => "same",
            Role::Part => "part",
            Role::Whole => "whole",
        }
    }
}

/// One workout, and the records that tell of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// By their places, in the order of sources and ids.
    pub members: Vec<(usize, Role)>,
}

/// What a pair says that was not even worth comparing.
const NEVER_COMPARED_BITS: f64 = -6.0;
const MOST_BITS: f64 = 20.0;
/// Nobody tells of one workout more often; a thousand records of one second are an error.
const MOST_MEMBERS: usize = 128;
/// A watch that is started again at once was stopped by mistake.
const STARTED_AGAIN_S: i64 = 15;

/// The groups of one person's records; each record is in one at least. Pairs that cannot come together are
/// left for review.
pub fn groups(
    records: &[Record],
    placed: &[Placed],
    pairs: &mut [Scored],
    joins: &[Join],
    answers: &Answers,
) -> Vec<Group> {
    let mut clusters = Clusters::new(records, placed, pairs, answers);
    let of_joins: BTreeSet<Pair> = joins
        .iter()
        .flat_map(|join| join.parts.iter().map(|part| block::pair(records, *part, join.whole)))
        .collect();
    let is_edge = |s: &Scored| {
        s.decision == Decision::Match && (s.reason == Reason::Person || !of_joins.contains(&s.pair))
    };
    let mut order: Vec<usize> = (0..pairs.len()).filter(|at| is_edge(&pairs[*at])).collect();
    order.sort_by(|x, y| {
        let (x, y) = (&pairs[*x], &pairs[*y]);
        let is_person = |scored: &Scored| scored.reason == Reason::Person;
        is_person(y).cmp(&is_person(x)).then(y.bits.total_cmp(&x.bits)).then(x.pair.cmp(&y.pair))
    });
    for at in order {
        if !clusters.merge(pairs[at].pair, pairs[at].reason == Reason::Person) {
            (pairs[at].decision, pairs[at].reason) = (Decision::Review, Reason::Conflict);
        }
    }
    let groups = clusters.with_parts(joins);
    let groups_of = groups_of(records.len(), &groups);
    for scored in pairs.iter_mut().filter(|s| s.reason != Reason::Person && of_joins.contains(&s.pair)) {
        let (of_a, of_b) = (&groups_of[scored.pair.a], &groups_of[scored.pair.b]);
        (scored.decision, scored.reason) = match of_a.iter().any(|group| of_b.contains(group)) {
            true => (Decision::Match, Reason::Part),
            false => (Decision::Review, Reason::Conflict),
        };
    }
    groups
}

/// The numbers of each record's groups.
pub fn groups_of(records: usize, groups: &[Group]) -> Vec<Vec<usize>> {
    let mut of = vec![Vec::new(); records];
    for (number, group) in groups.iter().enumerate() {
        group.members.iter().for_each(|(at, _)| of[*at].push(number));
    }
    of
}

/// Parts in parts in parts are none.
const MOST_NESTED: usize = 8;

/// What is cut into what.
#[derive(Debug, Default)]
struct Parts {
    /// Of each whole, the ways it is cut, and the longest pause in each.
    wholes: BTreeMap<usize, Vec<(Vec<usize>, i64)>>,
    whole_of: BTreeMap<usize, usize>,
}

struct Clusters<'a> {
    records: &'a [Record],
    placed: &'a [Placed],
    answers: &'a Answers,
    /// Of each record, its cluster; of each cluster, its records.
    of: Vec<usize>,
    members: Vec<Vec<usize>>,
    bits: HashMap<Pair, f64>,
    /// Pairs of one source that may be together.
    copies: BTreeSet<Pair>,
    /// Pairs that were at two places at one time.
    elsewhere: BTreeSet<Pair>,
}

impl<'a> Clusters<'a> {
    fn new(
        records: &'a [Record],
        placed: &'a [Placed],
        pairs: &[Scored],
        answers: &'a Answers,
    ) -> Clusters<'a> {
        let is_copy = |s: &&Scored| {
            s.decision == Decision::Match && records[s.pair.a].source == records[s.pair.b].source
        };
        let is_elsewhere = |s: &&Scored| s.bits < 0.0 && s.pattern[TRACK] == number(TRACK, "elsewhere");
        Clusters {
            records,
            placed,
            answers,
            of: (0..records.len()).collect(),
            members: (0..records.len()).map(|record| vec![record]).collect(),
            bits: pairs.iter().map(|s| (s.pair, s.bits.clamp(-MOST_BITS, MOST_BITS))).collect(),
            copies: pairs.iter().filter(is_copy).map(|s| s.pair).collect(),
            elsewhere: pairs.iter().filter(is_elsewhere).map(|s| s.pair).collect(),
        }
    }

    /// Whether the two are in one cluster now.
    fn merge(&mut self, pair: Pair, is_certain: bool) -> bool {
        let (one, other) = (self.of[pair.a], self.of[pair.b]);
        if one == other {
            return true;
        }
        if self.members[one].len() + self.members[other].len() > MOST_MEMBERS {
            return false;
        }
        let mut sum = 0.0;
        for x in &self.members[one] {
            for y in &self.members[other] {
                let between = block::pair(self.records, *x, *y);
                let (a, b) = (&self.records[*x], &self.records[*y]);
                if self.answer(*x, *y) == Some(Answer::Different) {
                    return false;
                }
                if a.source == b.source {
                    if !is_certain && !self.copies.contains(&between) {
                        return false;
                    }
                } else if !self.are_parts_of_one(*x, *y, (one, other)) {
                    sum += self.bits.get(&between).copied().unwrap_or(NEVER_COMPARED_BITS);
                }
            }
        }
        let is_copy = self.copies.contains(&pair);
        if sum <= 0.0 && !is_certain && !is_copy {
            return false;
        }
        let (to, from) = (one.min(other), one.max(other));
        let moved = std::mem::take(&mut self.members[from]);
        moved.iter().for_each(|record| self.of[*record] = to);
        self.members[to].extend(moved);
        true
    }

    /// Whether two lie one after the other within a record of the two clusters: what lacks the end and what
    /// lacks the beginning have nothing to do with each other, and do not contradict each other.
    fn are_parts_of_one(&self, x: usize, y: usize, (one, other): (usize, usize)) -> bool {
        let span = |at: usize| self.placed[at].span();
        let length_s = |at: usize| self.placed[at].length_s;
        let shared_s = |x: usize, y: usize| relation::overlap_s(span(x), span(y));
        if 4 * shared_s(x, y) > length_s(x).min(length_s(y)) {
            return false;
        }
        let holds = |whole: &usize| {
            [x, y].iter().all(|part| part != whole && 10 * shared_s(*part, *whole) >= 7 * length_s(*part))
        };
        self.members[one].iter().chain(&self.members[other]).any(holds)
    }

    fn answer(&self, x: usize, y: usize) -> Option<Answer> {
        if self.answers.is_empty() {
            return None;
        }
        self.answers.of(&self.records[x].name(), &self.records[y].name())
    }

    /// Whether a person said so, or they were at two places at one time.
    fn are_two(&self, x: usize, y: usize) -> bool {
        self.answer(x, y) == Some(Answer::Different)
            || self.elsewhere.contains(&block::pair(self.records, x, y))
    }

    fn sources(&self, cluster: usize) -> BTreeSet<Source> {
        self.members[cluster].iter().map(|record| self.records[*record].source).collect()
    }

    fn are_apart(&self, one: usize, other: usize) -> bool {
        self.members[one].iter().any(|x| self.members[other].iter().any(|y| self.are_two(*x, *y)))
    }

    /// Which clusters are parts of which, by the joins that do not contradict each other.
    fn parts(&self, joins: &[Join]) -> Parts {
        let mut parts = Parts::default();
        for join in joins {
            let whole = self.of[join.whole];
            let mut cut: Vec<usize> = join.parts.iter().map(|part| self.of[*part]).collect();
            let mut told = BTreeSet::new();
            cut.retain(|part| *part != whole && told.insert(*part));
            let is_free = |part: &usize| {
                let is_above = std::iter::successors(Some(whole), |at| parts.whole_of.get(at).copied());
                // A part of a part of it, or of another whole, is no part of its own.
                parts.whole_of.get(part).is_none_or(|of| *of == whole)
                    && !is_above.take(MOST_NESTED).any(|above| above == *part)
                    && !self.are_apart(*part, whole)
            };
            cut.retain(is_free);
            let is_apart = |at: usize| cut[at + 1..].iter().any(|other| self.are_apart(cut[at], *other));
            if !cut.is_empty() && !(0..cut.len()).any(is_apart) {
                parts.whole_of.extend(cut.iter().map(|part| (*part, whole)));
                let cuts = parts.wholes.entry(whole).or_default();
                if cuts.iter().all(|(other, _)| *other != cut) {
                    cuts.push((cut, join.gap_s));
                }
            }
        }
        parts
    }

    /// The parts of a whole that are workouts of their own: where at least as many sources tell of them as
    /// of the whole, and not as one that was started again at once.
    fn as_many<'c>(&self, whole: usize, cuts: &'c [(Vec<usize>, i64)]) -> Option<&'c Vec<usize>> {
        let tell_one = self.sources(whole).len();
        let tell = |cut: &Vec<usize>| cut.iter().map(|part| self.sources(*part).len()).max().unwrap_or(0);
        let are_own = cuts.iter().filter(|(cut, gap_s)| {
            tell(cut) > tell_one || (tell(cut) == tell_one && *gap_s > STARTED_AGAIN_S)
        });
        are_own.map(|(cut, _)| cut).max_by_key(|cut| tell(cut))
    }

    /// How each record of one cluster tells of its workout: by the length that most sources agree on, and of
    /// as many the longest.
    fn with_roles(&self, members: &[usize]) -> Vec<(usize, Role)> {
        const ALIKE: f64 = 0.1;
        const MUCH_SHORTER: f64 = 0.8;
        const MUCH_LONGER: f64 = 1.25;
        let length_s = |at: usize| self.placed[at].length_s as f64;
        let measured: Vec<usize> = members
            .iter()
            .copied()
            .filter(|at| self.placed[*at].length_s > 0 && !self.placed[*at].is_by_hand)
            .collect();
        let agree = |at: usize| -> usize {
            let alike = measured
                .iter()
                .filter(|other| (length_s(**other) - length_s(at)).abs() <= ALIKE * length_s(at));
            alike.map(|other| self.records[*other].source).collect::<BTreeSet<_>>().len()
        };
        let reference = measured
            .iter()
            .copied()
            .max_by(|x, y| agree(*x).cmp(&agree(*y)).then(length_s(*x).total_cmp(&length_s(*y))));
        let Some(reference) = reference else {
            return members.iter().map(|at| (*at, Role::Same)).collect();
        };
        let went_as_far = |at: usize| {
            let both = self.records[at].distance_m.zip(self.records[reference].distance_m);
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

    /// The groups, with recordings in parts put where they belong.
    fn with_parts(self, joins: &[Join]) -> Vec<Group> {
        let Parts { wholes, whole_of } = self.parts(joins);
        let many: BTreeMap<usize, &Vec<usize>> =
            wholes.iter().filter_map(|(whole, cuts)| Some((*whole, self.as_many(*whole, cuts)?))).collect();
        // What is told in parts where the whole is one workout belongs to it.
        let mut parts_of: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        let mut wholes_of: BTreeMap<usize, usize> = BTreeMap::new();
        for (part, whole) in &whole_of {
            match many.get(whole) {
                None => drop(parts_of.entry(*whole).or_default().insert(*part)),
                Some(parts) if parts.contains(part) => drop(wholes_of.insert(*part, *whole)),
                Some(_) => {}
            }
        }
        let absorbed: BTreeSet<usize> = parts_of.values().flatten().copied().collect();
        let mut groups = Vec::new();
        for (cluster, members) in self.members.iter().enumerate() {
            if members.is_empty() || absorbed.contains(&cluster) || many.contains_key(&cluster) {
                continue;
            }
            let mut group = self.with_roles(members);
            let mut below: Vec<usize> = parts_of.get(&cluster).into_iter().flatten().copied().collect();
            while let Some(part) = below.pop() {
                group.extend(self.members[part].iter().map(|at| (*at, Role::Part)));
                below.extend(parts_of.get(&part).into_iter().flatten());
            }
            if let Some(whole) = wholes_of.get(&cluster) {
                group.extend(self.members[*whole].iter().map(|at| (*at, Role::Whole)));
            }
            groups.push(Group { members: group });
        }
        // Wholes of wholes of wholes: whatever was left over is a workout of its own.
        let told: BTreeSet<usize> =
            groups.iter().flat_map(|g: &Group| g.members.iter().map(|(at, _)| *at)).collect();
        for members in self.members.iter().filter(|members| !members.is_empty()) {
            if members.iter().all(|at| !told.contains(at)) {
                groups.push(Group { members: self.with_roles(members) });
            }
        }
        for group in &mut groups {
            group.members.sort_by_key(|(at, role)| {
                let record = &self.records[*at];
                (*role, record.source, record.source_id.clone())
            });
        }
        groups.sort_by_key(|group| group.members.iter().map(|(at, _)| *at).min());
        groups
    }
}
