//! One person's records to pairs with decisions and groups of the same workout: a pure function.

use std::collections::{BTreeMap, HashMap};

use super::block::{self, Pair};
use super::clock::{Clock, Sighting};
use super::cluster::{self, Group};
use super::compare::{self, Timing};
use super::parts::{self, Join};
use super::record::{Quality, Record};
use super::weights::{DISTANCE, IDENTITY, Pattern, Seen, TIME, TRACK, Weights, number};
use super::{Thresholds, assign};
use crate::sources::Source;
use crate::store::state::answers::{Answer, Answers};

/// What became of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Match,
    /// It may be; somebody should look.
    Review,
    NoMatch,
}

/// What decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The weights by themselves.
    Weight,
    /// Another pair of the same record was worth more.
    Assigned,
    /// Two of one source would have come together.
    Conflict,
    /// The stricter rule for copies within one source.
    Copy,
    /// One is a part of the other.
    Part,
    /// Others brought them together.
    Group,
    /// A person said so.
    Person,
}

impl Decision {
    pub fn name(self) -> &'static str {
        match self {
            Decision::Match => "match",
            Decision::Review => "review",
            Decision::NoMatch => "no_match",
        }
    }
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::Weight => "weight",
            Reason::Assigned => "assigned",
            Reason::Conflict => "conflict",
            Reason::Copy => "copy",
            Reason::Part => "part",
            Reason::Group => "group",
            Reason::Person => "person",
        }
    }
}

/// Two records, what was found out about them, and what was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    pub pair: Pair,
    /// What the second clock was taken to be ahead.
    pub clock_s: i64,
    pub shift_s: i64,
    pub pattern: Pattern,
    /// log2 of the odds that it is the same workout.
    pub bits: f64,
    pub decision: Decision,
    pub reason: Reason,
}

/// Everything that was found out about one person's records.
#[derive(Debug, Default)]
pub struct Linked {
    pub pairs: Vec<Scored>,
    pub groups: Vec<Group>,
    pub crowded: u64,
}

/// The candidates with their patterns, clocks fitted.
pub struct Compared {
    pub pairs: Vec<Scored>,
    pub clocks: BTreeMap<(Source, Source), Clock>,
    crowded: u64,
}

/// Compares one person's records, which are sorted by start.
pub fn compare(records: &[Record], weights: &Weights) -> Compared {
    let candidates = block::candidates(records);
    let mut pairs: Vec<Scored> =
        candidates.pairs.iter().map(|pair| scored(records, *pair, 0, weights)).collect();
    let clocks = clocks(records, &pairs);
    for scored in &mut pairs {
        let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
        let clock_s = clocks.get(&(a.source, b.source)).and_then(|clock| clock.ahead_s(a.start_s));
        if let Some(clock_s) = clock_s.filter(|clock_s| clock_s.abs() > 1) {
            let timing = compare::timing(a, b, clock_s).unwrap_or(BESIDE);
            // A clock explains; where it does not, it is not held against the pair.
            let mut pattern = scored.pattern;
            pattern[TIME] = timing.level;
            if weights.score(&pattern) > scored.bits {
                scored.clock_s = clock_s;
                scored.shift_s = timing.shift_s;
                scored.pattern = pattern;
                scored.bits = weights.score(&pattern);
            }
        }
    }
    Compared { pairs, clocks, crowded: candidates.crowded }
}

const BESIDE: Timing = Timing { level: number(TIME, "beside"), shift_s: 0 };

fn scored(records: &[Record], pair: Pair, clock_s: i64, weights: &Weights) -> Scored {
    let (a, b) = (&records[pair.a], &records[pair.b]);
    let timing = compare::timing(a, b, clock_s).unwrap_or(BESIDE);
    let pattern = compare::pattern(a, b, timing);
    Scored {
        pair,
        clock_s,
        shift_s: timing.shift_s,
        pattern,
        bits: weights.score(&pattern),
        decision: Decision::NoMatch,
        reason: Reason::Weight,
    }
}

/// From pairs that are sure without a clock: the best of both sides, and starts that mean something.
fn clocks(records: &[Record], pairs: &[Scored]) -> BTreeMap<(Source, Source), Clock> {
    const SURE_BITS: f64 = 5.0;
    let mut best: HashMap<(usize, Source), f64> = HashMap::new();
    let sides = |pair: Pair| [(pair.a, records[pair.b].source), (pair.b, records[pair.a].source)];
    for scored in pairs {
        for side in sides(scored.pair) {
            let most = best.entry(side).or_insert(f64::NEG_INFINITY);
            *most = most.max(scored.bits);
        }
    }
    let mut sightings: BTreeMap<(Source, Source), Vec<Sighting>> = BTreeMap::new();
    for scored in pairs {
        let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
        let ahead_s = b.start_s - a.start_s;
        let is_told = [a, b].iter().all(|r| r.quality == Quality::Exact && !r.is_manual);
        let is_best = sides(scored.pair).iter().all(|side| best[side] <= scored.bits);
        if a.source != b.source
            && is_told
            && is_best
            && scored.bits >= SURE_BITS
            && scored.shift_s == 0
            && ahead_s.abs() <= compare::NEAR_S
        {
            sightings.entry((a.source, b.source)).or_default().push((a.start_s, ahead_s));
        }
    }
    sightings.into_iter().map(|(sources, seen)| (sources, Clock::new(seen))).collect()
}

/// Weeks that sources are moved against each other, so that what is left are pairs by chance: of the same
/// days and hours of the week.
const MOVED_WEEKS: [i64; 4] = [1, -1, 3, -4];

/// How often patterns show among one person's candidates of different sources, and by chance.
pub fn seen(records: &[Record], weights: &Weights) -> Seen {
    const WEEK_S: i64 = 7 * 86_400;
    let mut seen = Seen::default();
    let is_across = |records: &[Record], pair: Pair| records[pair.a].source != records[pair.b].source;
    for scored in compare(records, weights).pairs {
        if is_across(records, scored.pair) {
            *seen.candidates.entry(scored.pattern).or_insert(0) += 1;
        }
    }
    for weeks in MOVED_WEEKS {
        let mut moved = records.to_vec();
        for record in &mut moved {
            record.start_s += record.source as i64 * weeks * WEEK_S;
            (record.file, record.upload, record.came_from) = (None, None, None);
        }
        moved.sort_by_key(|record| (record.start_s, record.source));
        for pair in block::candidates(&moved).pairs {
            if is_across(&moved, pair) {
                let pattern = scored(&moved, pair, 0, weights).pattern;
                *seen.by_chance.entry(pattern).or_insert(0) += 1;
            }
        }
    }
    seen
}

/// Links one person's records, which are sorted by start, source and id.
pub fn link(records: &[Record], weights: &Weights, thresholds: Thresholds, answers: &Answers) -> Linked {
    const TRIES: usize = 3;
    let Compared { mut pairs, clocks, crowded } = compare(records, weights);
    add_answered(records, &mut pairs, weights, answers);
    let mut joins = parts::joins(records, &clocks, weights, thresholds, &pairs);
    joins.retain(|join| !is_answered(records, join, answers));
    let mut tries = 0;
    loop {
        tries += 1;
        let mut decided = pairs.clone();
        decide(records, &mut decided, &joins, thresholds, answers);
        let groups = cluster::groups(records, &mut decided, &mut joins, answers);
        // A join that came to nothing must not keep its records from other partners.
        if joins.iter().all(|join| join.is_used) || tries == TRIES {
            add_parts(records, &mut decided, joins);
            settle(&mut decided, &groups);
            return Linked { pairs: decided, groups, crowded };
        }
        joins.retain(|join| join.is_used);
    }
}

/// Whether a person spoke about the records of a join.
fn is_answered(records: &[Record], join: &Join, answers: &Answers) -> bool {
    if answers.is_empty() {
        return false;
    }
    let own: Vec<String> = join.parts.iter().chain([&join.whole]).map(|at| records[*at].name()).collect();
    answers.names().any(|(one, other)| own.iter().any(|name| name == one || name == other))
}

/// What came together through others is settled, whatever the pair by itself was worth.
fn settle(pairs: &mut [Scored], groups: &[Group]) {
    let mut groups_of: HashMap<usize, Vec<usize>> = HashMap::new();
    for (number, group) in groups.iter().enumerate() {
        group.members.iter().for_each(|(at, _)| groups_of.entry(*at).or_default().push(number));
    }
    for scored in pairs.iter_mut().filter(|s| s.decision != Decision::Match && s.reason != Reason::Person) {
        let (of_a, of_b) = (&groups_of[&scored.pair.a], &groups_of[&scored.pair.b]);
        if of_a.iter().any(|number| of_b.contains(number)) {
            (scored.decision, scored.reason) = (Decision::Match, Reason::Group);
        }
    }
}

/// What a person answered about is a pair, however unlikely.
fn add_answered(records: &[Record], pairs: &mut Vec<Scored>, weights: &Weights, answers: &Answers) {
    if answers.is_empty() {
        return;
    }
    let by_name: HashMap<String, usize> =
        records.iter().enumerate().map(|(at, record)| (record.name(), at)).collect();
    let known = pairs.len();
    for (one, other) in answers.names() {
        let (Some(one), Some(other)) = (by_name.get(one), by_name.get(other)) else { continue };
        let pair = block::pair(records, *one, *other);
        if pairs[..known].binary_search_by_key(&pair, |scored| scored.pair).is_err() {
            pairs.push(scored(records, pair, 0, weights));
        }
    }
    pairs.sort_by_key(|scored| scored.pair);
}

/// The stricter rule within one source: the same second and duration, and the same file, name, or all that was recorded is the same.
fn is_copy(records: &[Record], scored: &Scored) -> bool {
    let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
    let is = |comparison: usize, level: &str| scored.pattern[comparison] == number(comparison, level);
    let has_the_same_name = is(IDENTITY, "name");
    let went_the_same_way = is(TRACK, "same") && is(DISTANCE, "same");
    let measured_the_same = [a, b].iter().all(|r| !r.is_manual && r.footprint.is_empty())
        && is(DISTANCE, "same")
        && a.heart_rate_bpm.is_some()
        && a.heart_rate_bpm == b.heart_rate_bpm;
    let is_one_file = a.file.is_some() && a.file == b.file;
    is(TIME, "same") && (is_one_file || has_the_same_name || went_the_same_way || measured_the_same)
}

fn decide(
    records: &[Record],
    pairs: &mut [Scored],
    joins: &[Join],
    thresholds: Thresholds,
    answers: &Answers,
) {
    let mut edges: BTreeMap<(Source, Source), Vec<(usize, assign::Edge)>> = BTreeMap::new();
    // Whoever a person has spoken for has that partner in the other's source, and whoever is told in
    // parts there has those.
    let mut spoken_for: std::collections::HashSet<(usize, Source)> = joins
        .iter()
        .flat_map(|join| {
            let of_parts = join.parts.iter().map(|part| (*part, records[join.whole].source));
            of_parts.chain([(join.whole, records[join.parts[0]].source)])
        })
        .collect();
    let answer = |pair: Pair| {
        if answers.is_empty() { None } else { answers.of(&records[pair.a].name(), &records[pair.b].name()) }
    };
    for scored in pairs.iter_mut() {
        let Pair { a, b } = scored.pair;
        match answer(scored.pair) {
            Some(Answer::Same) => {
                (scored.decision, scored.reason) = (Decision::Match, Reason::Person);
                spoken_for.extend([(a, records[b].source), (b, records[a].source)]);
            }
            Some(Answer::Different) => {
                (scored.decision, scored.reason) = (Decision::NoMatch, Reason::Person);
            }
            None => {}
        }
    }
    for (number, scored) in pairs.iter_mut().enumerate() {
        let Pair { a, b } = scored.pair;
        if scored.reason == Reason::Person {
            continue;
        }
        let sources = (records[a].source, records[b].source);
        if sources.0 == sources.1 {
            if is_copy(records, scored) {
                (scored.decision, scored.reason) = (Decision::Match, Reason::Copy);
            }
        } else if scored.bits >= thresholds.review_bits() {
            if spoken_for.contains(&(a, sources.1)) || spoken_for.contains(&(b, sources.0)) {
                scored.reason = Reason::Assigned;
            } else {
                // From the threshold on, so that every edge is worth something.
                let worth = scored.bits - thresholds.review_bits() + 0.001;
                edges.entry(sources).or_default().push((number, (a, b, worth)));
            }
        }
    }
    for edges in edges.into_values() {
        let all: Vec<assign::Edge> = edges.iter().map(|(_, edge)| *edge).collect();
        let taken = assign::best(&all);
        for (number, (a, b, _)) in edges {
            let scored = &mut pairs[number];
            if taken.binary_search_by_key(&(a, b), |edge| (edge.0, edge.1)).is_err() {
                scored.reason = Reason::Assigned;
            } else if scored.bits >= thresholds.match_bits() {
                scored.decision = Decision::Match;
            } else {
                scored.decision = Decision::Review;
            }
        }
    }
}

/// Pairs of parts with their wholes, with what the parts together were worth. Where they contradict
/// other pairs, they are for somebody to look at.
fn add_parts(records: &[Record], pairs: &mut Vec<Scored>, joins: Vec<Join>) {
    let known = pairs.len();
    for join in joins {
        let (decision, reason) = match join.is_used {
            true => (Decision::Match, Reason::Part),
            false => (Decision::Review, Reason::Conflict),
        };
        for part in &join.parts {
            let pair = block::pair(records, *part, join.whole);
            let together = Scored {
                pair,
                clock_s: join.clock_s,
                shift_s: 0,
                pattern: join.pattern,
                bits: join.bits,
                decision,
                reason,
            };
            match pairs[..known].binary_search_by_key(&pair, |scored| scored.pair) {
                // What a person said stands.
                Ok(at) if pairs[at].reason == Reason::Person => {}
                Ok(at) => pairs[at] = together,
                Err(_) => pairs.push(together),
            }
        }
    }
    pairs.sort_by_key(|scored| scored.pair);
}
