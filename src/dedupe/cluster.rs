//! Pairs to groups: everything that tells of one workout.
//!
//! The surest pairs come first. Two groups come together where no source would then tell of two things at one time
//! that cannot be one, or of two things one after the other; where nobody said otherwise; and where all that is
//! known of the pairs between them speaks for it: one good pair does not outvote three bad ones.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::block::{self, Pair};
use super::company::{self, Company, Tie};
use super::copies::Copies;
use super::decide;
use super::false_start::FalseStarts;
use super::forgotten;
use super::habits::Habits;
use super::join::Join;
use super::levels::{TIME, TRACK, number};
use super::placed::Placed;
use super::record::Record;
use super::relation::{self, Kind};
use super::scored::{Decision, Reason, Scored};
use super::stray;
use crate::model::sport::SNOW;
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

/// The numbers of each record's groups.
pub fn groups_of(records: usize, groups: &[Group]) -> Vec<Vec<usize>> {
    let mut of = vec![Vec::new(); records];
    for (number, group) in groups.iter().enumerate() {
        group.members.iter().for_each(|(at, _)| of[*at].push(number));
    }
    of
}

/// What a pair says that was not even worth comparing.
const NEVER_COMPARED_BITS: f64 = -6.0;
const MOST_BITS: f64 = 20.0;
/// That a source tells twice is rarer than that two sources tell.
const ONE_SOURCE_BITS: f64 = 2.0;
/// Nobody tells of one workout more often; a thousand records of one second are an error.
const MOST_MEMBERS: usize = 64;
/// What did not come together can when others have: so often they are asked again.
const MOST_ROUNDS: usize = 4;

/// What keeps two clusters apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// Nothing.
    Not,
    /// A person said so, or they are two things.
    Two,
    /// Two people may have used one account.
    Doubtful,
    /// More speaks against it than for it.
    Unlikely,
}

/// Something of each of some pairs, sorted by pair.
struct Known<T>(Vec<(Pair, T)>);

impl<T: Copy> Known<T> {
    fn of(&self, pair: Pair) -> Option<T> {
        let at = self.0.binary_search_by_key(&pair, |(pair, _)| *pair).ok()?;
        Some(self.0[at].1)
    }
}

impl<T> Default for Known<T> {
    fn default() -> Known<T> {
        Known(Vec::new())
    }
}

impl<T> FromIterator<(Pair, T)> for Known<T> {
    fn from_iter<I: IntoIterator<Item = (Pair, T)>>(pairs: I) -> Known<T> {
        let mut known: Vec<(Pair, T)> = pairs.into_iter().collect();
        known.sort_by_key(|(pair, _)| *pair);
        Known(known)
    }
}

pub struct Clusters<'a> {
    pub records: &'a [Record],
    pub placed: &'a [Placed],
    answers: &'a Answers,
    /// Of each record, its cluster; of each cluster, its records.
    pub of: Vec<usize>,
    pub members: Vec<Vec<usize>>,
    bits: Known<f64>,
    /// Of pairs of one source.
    ties: Known<Tie>,
    /// Pairs of records that were looked at to see whether their clusters come together.
    looked_at: Cell<u64>,
    /// Clusters that did not come together, with the sizes that they had: while they have these, they will not.
    refused: HashMap<(usize, usize), (usize, usize)>,
    habits: Habits,
    copies: Copies,
    false_starts: FalseStarts,
    /// Pairs that were at two places at one time, or are two things that one device recorded, or of which one lay still
    /// meanwhile.
    two: BTreeSet<Pair>,
}

impl<'a> Clusters<'a> {
    pub fn new(
        records: &'a [Record],
        placed: &'a [Placed],
        pairs: &[Scored],
        company: &Company,
        false_starts: FalseStarts,
        answers: &'a Answers,
    ) -> Clusters<'a> {
        let is_elsewhere =
            |s: &Scored| s.bits < 0.0 && s.pattern[TRACK] == number(TRACK, "elsewhere") && is_at_once(s);
        let habits = Habits::of(records, pairs);
        let is_within = |s: &&Scored| {
            let (a, b) = (&records[s.pair.a], &records[s.pair.b]);
            a.source == b.source && !(decide::is_apart(s) && habits.are_two(a, b))
        };
        let ties: Known<Tie> =
            pairs.iter().filter(is_within).map(|s| (s.pair, company.tie(records, s))).collect();
        let are_of_one_device =
            |s: &Scored| ties.of(s.pair).is_some_and(|tie| are_of_one_device(records, company, s, tie));
        let are_two = |s: &&Scored| is_elsewhere(s) || are_of_one_device(s);
        let mut two: BTreeSet<Pair> = pairs.iter().filter(are_two).map(|s| s.pair).collect();
        two.extend(forgotten::beside(records, placed, pairs));
        let mut clusters = Clusters {
            records,
            placed,
            answers,
            of: (0..records.len()).collect(),
            members: (0..records.len()).map(|record| vec![record]).collect(),
            looked_at: Cell::new(0),
            refused: HashMap::new(),
            bits: Known::default(),
            habits,
            copies: Copies::of(records),
            false_starts,
            ties,
            two,
        };
        clusters.weigh(pairs);
        clusters
    }

    /// Takes over what pairs are worth now.
    pub fn weigh(&mut self, pairs: &[Scored]) {
        self.bits = pairs.iter().map(|s| (s.pair, s.bits.clamp(-MOST_BITS, MOST_BITS))).collect();
        self.refused.clear();
    }

    /// Brings together what the matches among these pairs say, the surest first. What cannot come together is left
    /// with why.
    pub fn bring_together(&mut self, pairs: &[Scored], is_meant: impl Fn(&Scored) -> bool) {
        let is_edge = |s: &Scored| s.decision == Decision::Match && is_meant(s);
        let mut left: Vec<usize> = (0..pairs.len()).filter(|at| is_edge(&pairs[*at])).collect();
        left.sort_by(|x, y| {
            let (x, y) = (&pairs[*x], &pairs[*y]);
            let is_person = |scored: &Scored| scored.reason == Reason::Person;
            is_person(y).cmp(&is_person(x)).then(y.bits.total_cmp(&x.bits)).then(x.pair.cmp(&y.pair))
        });
        for _ in 0..MOST_ROUNDS {
            let before = left.len();
            left.retain(|at| !self.merge(pairs[*at].pair, pairs[*at].reason == Reason::Person));
            if left.len() == before || left.is_empty() {
                break;
            }
        }
    }

    /// Brings together two clusters of which a hub holds a copy each, where each of them says that it lies. Whether it
    /// did.
    pub fn bring_with_copies(&mut self, pair: Pair) -> bool {
        let (to, from) = self.both(pair);
        let may = to != from
            && self.members[to].len() + self.members[from].len() <= MOST_MEMBERS
            && !self.are_two(to, from);
        if may {
            self.unite(to, from);
        }
        may
    }

    /// Whether the two are in one cluster now.
    fn merge(&mut self, pair: Pair, is_certain: bool) -> bool {
        let (to, from) = self.both(pair);
        if to == from {
            return true;
        }
        let sizes = (self.members[to].len(), self.members[from].len());
        if sizes.0 + sizes.1 > MOST_MEMBERS || self.refused.get(&(to, from)) == Some(&sizes) {
            return false;
        }
        let may = match is_certain {
            true => !self.is_denied(to, from),
            false => self.apart(to, from) == Apart::Not,
        };
        if !may {
            self.refused.insert((to, from), sizes);
            return false;
        }
        self.unite(to, from);
        true
    }

    fn unite(&mut self, to: usize, from: usize) {
        let moved = std::mem::take(&mut self.members[from]);
        moved.iter().for_each(|record| self.of[*record] = to);
        self.members[to].extend(moved);
    }

    /// Whether a person said of two of these records that they are different.
    pub fn are_denied(&self, members: &[usize]) -> bool {
        let is_denied = |x: usize, y: usize| self.answer(x, y) == Some(Answer::Different);
        !self.answers.is_empty()
            && (0..members.len()).any(|at| members[at + 1..].iter().any(|y| is_denied(members[at], *y)))
    }

    /// Whether a person said of two of their records that they are different.
    pub fn is_denied(&self, one: usize, other: usize) -> bool {
        !self.answers.is_empty()
            && self.members[one]
                .iter()
                .any(|x| self.members[other].iter().any(|y| self.answer(*x, *y) == Some(Answer::Different)))
    }

    /// The clusters of a pair, the smaller number first.
    pub fn both(&self, pair: Pair) -> (usize, usize) {
        let (one, other) = (self.of[pair.a], self.of[pair.b]);
        (one.min(other), one.max(other))
    }

    /// What keeps two clusters apart.
    pub fn apart(&self, one: usize, other: usize) -> Apart {
        if self.is_denied(one, other) {
            return Apart::Two;
        }
        let product = self.members[one].len() * self.members[other].len();
        self.looked_at.set(self.looked_at.get() + product as u64);
        let are_told_elsewhere = self.sources(one).len() > 1 && self.sources(other).len() > 1;
        let (mut sum, mut is_doubtful) = (0.0, false);
        for x in &self.members[one] {
            for y in &self.members[other] {
                let pair = block::pair(self.records, *x, *y);
                let bits = self.bits.of(pair);
                if self.two.contains(&pair) {
                    return Apart::Two;
                }
                if self.false_starts.are_one(self.records, self.placed, *x, *y) {
                    sum += bits.unwrap_or(0.0).max(0.0);
                    continue;
                }
                let source = self.records[*x].source;
                let are_one_teller = self.habits.are_one_teller(&self.records[*x], &self.records[*y]);
                if are_one_teller || self.ties.of(pair).is_some() {
                    match self.ties.of(pair) {
                        None | Some(Tie::Cut) => return Apart::Two,
                        Some(Tie::Doubtful) => is_doubtful |= !(are_told_elsewhere && source.spec().gathers),
                        Some(Tie::Free) => {}
                    }
                    sum += bits.map_or(NEVER_COMPARED_BITS, |bits| bits - ONE_SOURCE_BITS);
                } else if !self.are_parts_of_one(*x, *y, (one, other)) {
                    sum += bits.unwrap_or(NEVER_COMPARED_BITS);
                }
            }
        }
        match () {
            () if sum <= 0.0 => Apart::Unlikely,
            () if is_doubtful => Apart::Doubtful,
            () => Apart::Not,
        }
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

    pub fn looked_at(&self) -> u64 {
        self.looked_at.get()
    }

    /// Whether several recordings agree that it was then: copies of one are one witness.
    pub fn is_confirmed(&self, cluster: usize) -> bool {
        self.copies.recordings(&self.members[cluster]) > 1
    }

    /// Whether something that tells of a workout once tells of a record and, in another cluster, of another.
    pub fn is_told_by(&self, cluster: usize, other: usize) -> bool {
        let other = &self.records[other];
        self.members[cluster].iter().any(|at| self.habits.are_one_teller(&self.records[*at], other))
    }

    /// Whether two records are by something that tells of a workout once.
    pub fn are_one_teller(&self, one: usize, other: usize) -> bool {
        self.habits.are_one_teller(&self.records[one], &self.records[other])
    }

    /// Whether something that tells of a workout once tells of two clusters.
    pub fn are_told_by_one(&self, one: usize, other: usize) -> bool {
        self.members[other].iter().any(|at| self.is_told_by(one, *at))
    }

    pub fn sources(&self, cluster: usize) -> BTreeSet<Source> {
        self.members[cluster].iter().map(|record| self.records[*record].source).collect()
    }

    /// All that is known of the pairs between two clusters.
    pub fn bits_between(&self, one: usize, other: usize) -> f64 {
        let bits = |x: usize, y: usize| self.bits.of(block::pair(self.records, x, y)).unwrap_or(0.0);
        let of = |x: &usize| -> f64 { self.members[other].iter().map(|y| bits(*x, *y)).sum() };
        self.members[one].iter().map(of).sum()
    }

    /// The record of a cluster that lasts neither long nor short among the others.
    pub fn typical(&self, cluster: usize) -> usize {
        let mut members = self.members[cluster].clone();
        members.sort_by_key(|at| (self.placed[*at].length_s, *at));
        members[(members.len() - 1) / 2]
    }

    /// The records of a record's cluster.
    pub fn members_beside(&self, at: usize) -> Vec<usize> {
        self.members[self.of[at]].clone()
    }

    /// All pairs of a record of a whole and one of a part of it, however it is cut.
    pub fn pairs_of(&self, joins: &[Join]) -> BTreeSet<Pair> {
        let mut cuts: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for join in joins {
            let parts = join.parts.iter().map(|part| self.of[*part]);
            cuts.entry(self.of[join.whole]).or_default().extend(parts);
        }
        let of = |(whole, parts): (usize, BTreeSet<usize>)| -> Vec<Pair> {
            let parts = parts.into_iter().filter(|part| *part != whole).flat_map(|part| &self.members[part]);
            parts
                .flat_map(|x| self.members[whole].iter().map(|y| block::pair(self.records, *x, *y)))
                .collect()
        };
        cuts.into_iter().flat_map(of).collect()
    }

    /// Whether a person said of two clusters that they are different, or a pair between them cannot be one.
    pub fn are_two(&self, one: usize, other: usize) -> bool {
        let were_two = |x: usize, y: usize| self.two.contains(&block::pair(self.records, x, y));
        self.is_denied(one, other)
            || self.members[one].iter().any(|x| self.members[other].iter().any(|y| were_two(*x, *y)))
    }
}

fn is_at_once(scored: &Scored) -> bool {
    matches!(relation::kind(scored.pattern[TIME]), Kind::Whole | Kind::Part)
}

/// Whether two records overlap of which nothing says that they are one, where one device records one thing at a time.
fn are_of_one_device(records: &[Record], company: &Company, scored: &Scored, tie: Tie) -> bool {
    let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
    let is_on_snow = |r: &Record| r.sport.is_some_and(|sport| sport.family == SNOW);
    !company.gathers(a.source)
        && is_at_once(scored)
        && (tie != Tie::Free || !company::is_one_thing(a, b, scored))
        && !(is_on_snow(a) || is_on_snow(b) || a.is_parent || b.is_parent || a.is_by_hand() != b.is_by_hand())
}

/// Settles what the groups decided: what is in one came together, whatever the pair by itself was worth; what is
/// not is for somebody to look at where nothing but doubt keeps it apart. Of two groups one pair, the surest,
/// stands for all.
pub fn settle(clusters: &Clusters, pairs: &mut [Scored], groups: &[Group], of_joins: &BTreeSet<Pair>) {
    let groups_of = groups_of(clusters.records.len(), groups);
    let mut asked: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut known: HashMap<(usize, usize), Apart> = HashMap::new();
    for (number, scored) in pairs.iter_mut().enumerate().filter(|(_, s)| s.reason != Reason::Person) {
        let Pair { a, b } = scored.pair;
        if groups_of[a].iter().any(|group| groups_of[b].contains(group)) {
            if of_joins.contains(&scored.pair) {
                scored.reason = Reason::Part;
            } else if clusters.records[a].source == clusters.records[b].source {
                scored.reason = Reason::Copy;
            } else if scored.decision != Decision::Match {
                scored.reason = Reason::Group;
            }
            scored.decision = Decision::Match;
            continue;
        }
        if scored.decision == Decision::NoMatch {
            continue;
        }
        let was_match = scored.decision == Decision::Match;
        let both = clusters.both(scored.pair);
        let apart = *known.entry(both).or_insert_with(|| match both {
            (one, other) if one == other => Apart::Not,
            (one, other) => clusters.apart(one, other),
        });
        (scored.decision, scored.reason) = match apart {
            Apart::Two => (Decision::NoMatch, Reason::Assigned),
            Apart::Doubtful => (Decision::Review, Reason::Copy),
            Apart::Unlikely if was_match => (Decision::Review, Reason::Conflict),
            // What lies apart was asked by what else there is, not by its sum.
            Apart::Unlikely if stray::is_stray(scored) => (Decision::Review, scored.reason),
            Apart::Unlikely => (Decision::NoMatch, Reason::Assigned),
            Apart::Not => (Decision::Review, scored.reason),
        };
        if scored.decision == Decision::Review {
            asked.entry(both).or_insert(number);
        }
    }
    mark_copies(clusters.records, pairs);
    let surest: BTreeMap<(usize, usize), usize> =
        pairs.iter().enumerate().fold(asked, |mut surest, (at, s)| {
            if s.decision == Decision::Review
                && let Some(best) = surest.get_mut(&clusters.both(s.pair))
                && s.bits > pairs[*best].bits
            {
                *best = at;
            }
            surest
        });
    for (at, scored) in pairs.iter_mut().enumerate() {
        let is_surest = surest.get(&clusters.both(scored.pair)) == Some(&at);
        if scored.decision == Decision::Review && !is_surest && scored.reason != Reason::Person {
            (scored.decision, scored.reason) = (Decision::NoMatch, Reason::Group);
        }
    }
}

/// Of several records of one source that match another, all but the surest are copies.
fn mark_copies(records: &[Record], pairs: &mut [Scored]) {
    let is_meant = |s: &Scored| s.decision == Decision::Match && s.reason == Reason::Weight;
    let sides = |pair: Pair| [(pair.a, records[pair.b].source), (pair.b, records[pair.a].source)];
    let mut surest = vec![[None; Source::ALL.len()]; records.len()];
    for (at, scored) in pairs.iter().enumerate().filter(|(_, s)| is_meant(s)) {
        for (record, source) in sides(scored.pair) {
            let best = &mut surest[record][source as usize];
            if best.is_none_or(|best: usize| scored.bits > pairs[best].bits) {
                *best = Some(at);
            }
        }
    }
    for (at, scored) in pairs.iter_mut().enumerate().filter(|(_, s)| is_meant(s)) {
        if sides(scored.pair).into_iter().any(|(record, source)| surest[record][source as usize] != Some(at))
        {
            scored.reason = Reason::Copy;
        }
    }
}
