//! What becomes of each pair: match, review, or neither, and why.
//!
//! What a person said comes first. Then what overlaps: a body is in one place, so every pair that is worth it is a
//! match, and how they come together shows which of them contradict each other. What lies apart is asked last, of
//! records that are still without a partner in the other's source: a wrong clock and a word typed in explain only
//! what nothing else explains.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Thresholds;
use super::assign::{self, Edge};
use super::block::{self, Pair};
use super::cluster::Clusters;
use super::company::{Company, Tie};
use super::compare::Confusion;
use super::false_start::FalseStarts;
use super::levels::{DISTANCE, EFFORT, IDENTITY, SPORT, TIME, TRACK, number};
use super::placed::Placed;
use super::record::Record;
use super::relation::{self, Kind, Timing};
use super::scored::{Decision, Reason, Scored, scored};
use super::weights::Weights;
use crate::model::sport::GYM;
use crate::sources::Source;
use crate::store::state::answers::{Answer, Answers};

/// A pair that lies apart must fit better than any other by this, or nothing tells which it is.
const CLEAR_BITS: f64 = 2.0;

/// What a person said about a pair.
pub fn answer(records: &[Record], answers: &Answers, pair: Pair) -> Option<Answer> {
    if answers.is_empty() {
        return None;
    }
    answers.of(&records[pair.a].name(), &records[pair.b].name())
}

/// What a person answered about is a pair, however unlikely.
pub fn add_answered(records: &[Record], pairs: &mut Vec<Scored>, weights: &Weights, answers: &Answers) {
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
            let beside = Timing { level: relation::BESIDE, shift_s: 0 };
            pairs.push(scored(records, pair, (0, beside), weights, &Confusion::default()));
        }
    }
    pairs.sort_by_key(|scored| scored.pair);
}

/// Decides what overlaps, or says itself that it is one, by its weight. What can come together is seen when it does.
pub fn at_once(
    records: &[Record],
    placed: &[Placed],
    pairs: &mut [Scored],
    (company, false_starts): (&Company, &FalseStarts),
    thresholds: Thresholds,
) {
    for scored in pairs.iter_mut().filter(|s| s.reason != Reason::Person && !is_apart(s)) {
        scored.decision = by_bits(scored.bits, thresholds);
        let is_within = records[scored.pair.a].source == records[scored.pair.b].source;
        if is_within {
            scored.reason = Reason::Copy;
            if company.tie(records, scored) == Tie::Cut {
                scored.decision = Decision::NoMatch;
            }
        }
    }
    let is_short =
        |s: &&Scored| s.decision == Decision::Match && relation::kind(s.pattern[TIME]) == Kind::Part;
    let shorter = |s: &Scored| {
        let [a, b] = [s.pair.a, s.pair.b];
        if placed[a].length_s <= placed[b].length_s { a } else { b }
    };
    let parts: HashSet<usize> = pairs.iter().filter(is_short).map(shorter).collect();
    for scored in pairs.iter_mut().filter(|s| s.decision == Decision::Review && s.reason != Reason::Person) {
        let is_one = is_plain_part(records, placed, scored, company, &parts)
            || is_begun_anew(records, placed, scored, company, false_starts);
        if is_one {
            (scored.decision, scored.reason) = (Decision::Match, Reason::Part);
        }
    }
}

/// Whether one recorder had begun in vain when another began, as far as they overlap.
fn is_begun_anew(
    records: &[Record],
    placed: &[Placed],
    scored: &Scored,
    company: &Company,
    false_starts: &FalseStarts,
) -> bool {
    let Pair { a, b } = scored.pair;
    relation::kind(scored.pattern[TIME]) == Kind::Part
        && false_starts.are_one(records, placed, a, b)
        && scored.pattern[EFFORT] != number(EFFORT, "other")
        && scored.pattern[TRACK] != number(TRACK, "elsewhere")
        && !company.is_beside(scored.pair)
}

/// Whether two overlap and nothing speaks against one being a part of the other: a body is in one place, and of one
/// sport at one time no two things. Weights alone charge a part for how little it is. What is a part of something else
/// needs no other that it overlaps with.
fn is_plain_part(
    records: &[Record],
    placed: &[Placed],
    scored: &Scored,
    company: &Company,
    parts: &HashSet<usize>,
) -> bool {
    let is = |comparison: usize, level: &str| scored.pattern[comparison] == number(comparison, level);
    let Pair { a: one, b: other } = scored.pair;
    let (a, b) = (&records[one], &records[other]);
    let is_within = a.source == b.source;
    let is_in_gym = [a, b].iter().any(|r| r.sport.is_some_and(|sport| sport.family == GYM));
    let lengths = [one, other].map(|at| placed[at].length_s);
    let is_much = 10 * lengths[0].min(lengths[1]) >= 3 * lengths[0].max(lengths[1]);
    let is_free = ![one, other].iter().any(|at| parts.contains(at));
    (is(TIME, "piece") || (is(TIME, "overlap") && !is_within && is_free))
        && (is(SPORT, "same") || (is(SPORT, "unspecific") && is_much && !is_in_gym))
        && !is(DISTANCE, "beyond")
        && !is(EFFORT, "other")
        && !is(EFFORT, "different")
        && !is(TRACK, "elsewhere")
        && !is(TRACK, "partly")
        && !company.is_beside(scored.pair)
        && ![a, b].iter().any(|r| company.is_shared(r.source) || r.is_by_hand())
}

/// Whether two lie apart, so that only a clock, a zone or a person's memory can bring them together.
pub fn is_apart(scored: &Scored) -> bool {
    matches!(relation::kind(scored.pattern[TIME]), Kind::Shifted | Kind::ByHand)
        && scored.pattern[IDENTITY] != number(IDENTITY, "same")
}

/// Decides what lies apart, of records that have no partner by the other's recorder; the matches.
pub fn apart(
    records: &[Record],
    pairs: &mut [Scored],
    clusters: &Clusters,
    thresholds: Thresholds,
) -> BTreeSet<Pair> {
    let of = |at: usize| clusters.of[at];
    let is_told = |at: usize| clusters.is_confirmed(of(at));
    let is_meant = |s: &Scored| {
        // Two that others confirm at their own times are two, unless a zone lies between them.
        let is_edit = ["quarter", "end_for_start", "end_alone", "moved", "moved_alone"]
            .iter()
            .any(|level| s.pattern[TIME] == number(TIME, level));
        is_apart(s) && !(is_edit && is_told(s.pair.a) && is_told(s.pair.b))
    };
    let is_taken = |at: usize, other: usize| clusters.is_told_by(of(at), other);
    let mut round = Round::new(records, pairs, thresholds, is_taken, is_meant);
    round.only_clear_ones(records, pairs);
    let is_match = |n: &&usize| pairs[**n].decision == Decision::Match;
    round.asked.iter().filter(is_match).map(|n| pairs[*n].pair).collect()
}

/// Each record of a pair, and the source in which the other is its partner.
fn sides(records: &[Record], pair: Pair) -> [(usize, Source); 2] {
    [(pair.a, records[pair.b].source), (pair.b, records[pair.a].source)]
}

/// Follows what people said.
pub fn by_persons(records: &[Record], pairs: &mut [Scored], answers: &Answers) {
    for scored in pairs.iter_mut() {
        let Some(said) = answer(records, answers, scored.pair) else { continue };
        scored.reason = Reason::Person;
        scored.decision = if said == Answer::Same { Decision::Match } else { Decision::NoMatch };
    }
}

/// One assignment: pairs of two sources in which each record has one partner at most.
struct Round {
    /// Numbers of all that were asked.
    asked: Vec<usize>,
}

impl Round {
    fn new(
        records: &[Record],
        pairs: &mut [Scored],
        thresholds: Thresholds,
        is_taken: impl Fn(usize, usize) -> bool,
        is_meant: impl Fn(&Scored) -> bool,
    ) -> Round {
        let mut round = Round { asked: Vec::new() };
        let mut edges: BTreeMap<(Source, Source), Vec<(usize, Edge)>> = BTreeMap::new();
        let review = thresholds.review_odds.log2();
        for (number, scored) in pairs.iter_mut().enumerate() {
            let Pair { a, b } = scored.pair;
            let sources = (records[a].source, records[b].source);
            if sources.0 == sources.1
                || scored.reason == Reason::Person
                || scored.decision == Decision::Match
                || scored.bits < review
                || !is_meant(scored)
            {
                continue;
            }
            if is_taken(a, b) || is_taken(b, a) {
                scored.reason = Reason::Assigned;
                continue;
            }
            round.asked.push(number);
            // From the threshold on, so that every edge is worth something.
            edges.entry(sources).or_default().push((number, (a, b, scored.bits - review + 0.001)));
        }
        for edges in edges.into_values() {
            let all: Vec<Edge> = edges.iter().map(|(_, edge)| *edge).collect();
            let chosen = assign::best(&all);
            for (number, (a, b, _)) in edges {
                let scored = &mut pairs[number];
                if chosen.binary_search_by_key(&(a, b), |edge| (edge.0, edge.1)).is_ok() {
                    scored.decision = by_bits(scored.bits, thresholds);
                } else {
                    scored.reason = Reason::Assigned;
                }
            }
        }
        round
    }

    /// What lies apart is believed only where no other pair of the same records fits as well.
    fn only_clear_ones(&mut self, records: &[Record], pairs: &mut [Scored]) {
        let mut bits: HashMap<(usize, Source), Vec<f64>> = HashMap::new();
        for number in &self.asked {
            for side in sides(records, pairs[*number].pair) {
                bits.entry(side).or_default().push(pairs[*number].bits);
            }
        }
        for number in &self.asked {
            let own = pairs[*number].bits;
            let is_clear = sides(records, pairs[*number].pair).iter().all(|side| {
                let near = bits[side].iter().filter(|bits| **bits > own - CLEAR_BITS);
                near.count() == 1
            });
            if pairs[*number].decision == Decision::Match && !is_clear {
                (pairs[*number].decision, pairs[*number].reason) = (Decision::Review, Reason::Rivals);
            }
        }
    }
}

fn by_bits(bits: f64, thresholds: Thresholds) -> Decision {
    match bits {
        bits if bits >= thresholds.match_odds.log2() => Decision::Match,
        bits if bits >= thresholds.review_odds.log2() => Decision::Review,
        _ => Decision::NoMatch,
    }
}
