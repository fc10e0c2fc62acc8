//! Pairs to groups: everything that tells of one workout.
//!
//! The surest pairs come first. Two groups come together where no source would then tell twice (unless as
//! copies, or as a person said), nobody said otherwise, and all that is known of the pairs between them
//! speaks for it: one good pair does not outvote three bad ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::block::{self, Pair};
use super::link::{Decision, Reason, Scored};
use super::parts::Join;
use super::record::Record;
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
/// A watch that is started again at once was stopped by mistake.
const STARTED_AGAIN_S: i64 = 15;

/// The groups of one person's records; each record is in one at least. Pairs that cannot come together are
/// left for review.
pub fn groups(records: &[Record], pairs: &mut [Scored], joins: &mut [Join], answers: &Answers) -> Vec<Group> {
    let mut clusters = Clusters::new(records, pairs, answers);
    let mut order: Vec<usize> =
        (0..pairs.len()).filter(|at| pairs[*at].decision == Decision::Match).collect();
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
    clusters.with_parts(joins)
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

/// A join is used where each of its parts is in a group with the whole.
fn mark_used(joins: &mut [Join], groups: &[Group]) {
    let mut groups_of: HashMap<usize, BTreeSet<usize>> = HashMap::new();
    for (number, group) in groups.iter().enumerate() {
        for (at, _) in &group.members {
            groups_of.entry(*at).or_default().insert(number);
        }
    }
    for join in joins {
        let of_whole = &groups_of[&join.whole];
        join.is_used = join.parts.iter().all(|part| !groups_of[part].is_disjoint(of_whole));
    }
}

struct Clusters<'a> {
    records: &'a [Record],
    answers: &'a Answers,
    /// Of each record, its cluster; of each cluster, its records.
    of: Vec<usize>,
    members: Vec<Vec<usize>>,
    bits: HashMap<Pair, f64>,
    /// Pairs of one source that may be together.
    copies: BTreeSet<Pair>,
}

impl<'a> Clusters<'a> {
    fn new(records: &'a [Record], pairs: &[Scored], answers: &'a Answers) -> Clusters<'a> {
        let is_copy = |s: &&Scored| {
            s.decision == Decision::Match && records[s.pair.a].source == records[s.pair.b].source
        };
        Clusters {
            records,
            answers,
            of: (0..records.len()).collect(),
            members: (0..records.len()).map(|record| vec![record]).collect(),
            bits: pairs.iter().map(|s| (s.pair, s.bits.clamp(-MOST_BITS, MOST_BITS))).collect(),
            copies: pairs.iter().filter(is_copy).map(|s| s.pair).collect(),
        }
    }

    /// Whether the two are in one cluster now.
    fn merge(&mut self, pair: Pair, is_certain: bool) -> bool {
        let (one, other) = (self.of[pair.a], self.of[pair.b]);
        if one == other {
            return true;
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
                } else {
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

    fn answer(&self, x: usize, y: usize) -> Option<Answer> {
        if self.answers.is_empty() {
            return None;
        }
        self.answers.of(&self.records[x].name(), &self.records[y].name())
    }

    fn sources(&self, cluster: usize) -> BTreeSet<Source> {
        self.members[cluster].iter().map(|record| self.records[*record].source).collect()
    }

    fn are_apart(&self, one: usize, other: usize) -> bool {
        self.members[one]
            .iter()
            .any(|x| self.members[other].iter().any(|y| self.answer(*x, *y) == Some(Answer::Different)))
    }

    /// Which clusters are parts of which, by the joins that do not contradict each other.
    fn parts(&self, joins: &mut [Join]) -> Parts {
        let mut parts = Parts::default();
        for join in joins {
            let whole = self.of[join.whole];
            let cut: Vec<usize> = join.parts.iter().map(|part| self.of[*part]).collect();
            let are_many = cut.iter().collect::<BTreeSet<_>>().len() == cut.len();
            let fits = |part: &usize| {
                let is_above = std::iter::successors(Some(whole), |at| parts.whole_of.get(at).copied());
                parts.whole_of.get(part).is_none_or(|of| *of == whole)
                    && !is_above.take(MOST_NESTED).any(|above| above == *part)
                    && self.sources(*part).is_disjoint(&self.sources(whole))
                    && !self.are_apart(*part, whole)
            };
            let is_apart = |at: usize| cut[at + 1..].iter().any(|other| self.are_apart(cut[at], *other));
            if are_many && cut.iter().all(fits) && !(0..cut.len()).any(is_apart) {
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

    /// The groups, with recordings in parts put where they belong.
    fn with_parts(self, joins: &mut [Join]) -> Vec<Group> {
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
            let mut group: Vec<(usize, Role)> = members.iter().map(|at| (*at, Role::Same)).collect();
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
                groups.push(Group { members: members.iter().map(|at| (*at, Role::Same)).collect() });
            }
        }
        mark_used(joins, &groups);
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
