//! What becomes of each pair: match, review, or neither, and why.
//!
//! What a person said comes first. Then what overlaps: each record has one partner in each other source
//! where it can choose, and more where its source tells the same thing twice or in parts. What lies apart is
//! asked last, of records that are still without a partner: a wrong clock and a word typed in explain only
//! what nothing else explains.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Thresholds;
use super::assign::{self, Edge};
use super::block::{self, Pair};
use super::compare::Confusion;
use super::levels::{ABSENT, DISTANCE, EFFORT, IDENTITY, SPORT, TIME, TRACK, number};
use super::link::{Decision, Reason, Scored, scored};
use super::record::Record;
use super::relation::{self, Kind, Timing};
use super::timeline::Placed;
use super::weights::Weights;
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

/// Decides every pair of one person. They are sorted.
pub fn decide(
    records: &[Record],
    placed: &[Placed],
    pairs: &mut [Scored],
    thresholds: Thresholds,
    answers: &Answers,
) {
    let spoken_for = by_persons(records, pairs, answers);
    let is_shared = is_shared_account(records, pairs);
    for scored in pairs.iter_mut().filter(|s| s.reason != Reason::Person) {
        if records[scored.pair.a].source == records[scored.pair.b].source {
            let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
            scored.decision = within_source(a, b, scored, is_shared);
            scored.reason = Reason::Copy;
        }
    }
    let mut first = Round::new(records, pairs, thresholds, &spoken_for, |s| {
        !matches!(relation::kind(s.pattern[TIME]), Kind::Shifted | Kind::ByHand)
            || s.pattern[IDENTITY] == number(IDENTITY, "same")
    });
    first.more_partners(records, placed, pairs, is_shared);
    let mut taken = spoken_for;
    for scored in pairs.iter().filter(|s| s.decision == Decision::Match) {
        taken.extend(sides(records, scored.pair));
    }
    let confirmed: HashSet<usize> =
        pairs.iter().filter(|s| s.decision == Decision::Match).flat_map(|s| [s.pair.a, s.pair.b]).collect();
    let mut second = Round::new(records, pairs, thresholds, &taken, |s| {
        // Two that others confirm at their own times are two, unless a zone lies between them.
        let is_edit = ["quarter", "end_for_start", "moved"].map(|level| number(TIME, level));
        matches!(relation::kind(s.pattern[TIME]), Kind::Shifted | Kind::ByHand)
            && !(is_edit.contains(&s.pattern[TIME])
                && confirmed.contains(&s.pair.a)
                && confirmed.contains(&s.pair.b))
    });
    second.only_clear_ones(records, pairs);
}

/// Each record of a pair, and the source in which the other is its partner.
fn sides(records: &[Record], pair: Pair) -> [(usize, Source); 2] {
    [(pair.a, records[pair.b].source), (pair.b, records[pair.a].source)]
}

/// Follows what people said. Whoever they spoke for has that partner in the other's source.
fn by_persons(records: &[Record], pairs: &mut [Scored], answers: &Answers) -> HashSet<(usize, Source)> {
    let mut spoken_for = HashSet::new();
    for scored in pairs.iter_mut() {
        let Some(said) = answer(records, answers, scored.pair) else { continue };
        scored.reason = Reason::Person;
        scored.decision = if said == Answer::Same { Decision::Match } else { Decision::NoMatch };
        if said == Answer::Same {
            spoken_for.extend(sides(records, scored.pair));
        }
    }
    spoken_for
}

/// Whether two people seem to use one account: at one time in one source at two places, or with two hearts.
fn is_shared_account(records: &[Record], pairs: &[Scored]) -> bool {
    const A_HABIT: usize = 3;
    let at_two_places = |s: &&Scored| {
        let (a, b) = (&records[s.pair.a], &records[s.pair.b]);
        let is = |comparison: usize, level: &str| s.pattern[comparison] == number(comparison, level);
        let kind = relation::kind(s.pattern[TIME]);
        let has_other_heart = kind == Kind::Whole && (is(EFFORT, "different") || is(EFFORT, "other"));
        a.source == b.source
            && matches!(kind, Kind::Whole | Kind::Part)
            && !is(TIME, "partly")
            && (is(TRACK, "elsewhere") || has_other_heart)
    };
    pairs.iter().filter(at_two_places).take(A_HABIT).count() == A_HABIT
}

/// The stricter rule for two records of one source that overlap: two devices of one person, a copy of a
/// copy, or two people on one account.
fn within_source(a: &Record, b: &Record, scored: &Scored, is_shared: bool) -> Decision {
    let is = |comparison: usize, level: &str| scored.pattern[comparison] == number(comparison, level);
    let is_any = |comparison: usize, levels: &[&str]| levels.iter().any(|level| is(comparison, level));
    let kind = relation::kind(scored.pattern[TIME]);
    let is_copy = is(TIME, "same") && is(DISTANCE, "same") && is_any(TRACK, &["same"]);
    if is(IDENTITY, "same") || is_copy {
        return Decision::Match;
    }
    if !matches!(kind, Kind::Whole | Kind::Part) || is_any(TIME, &["partly"]) {
        return Decision::NoMatch;
    }
    // The same heart beats at one rate, on whatever wrist.
    let hearts = a.heart_rate_bpm.zip(b.heart_rate_bpm).map(|(one, other)| (one - other).abs());
    let has_other_heart = kind == Kind::Whole && hearts.is_some_and(|off| off > 12.0);
    // A hub takes over what it is given, under whatever name.
    let is_other_sport = is(SPORT, "different") && !is(TIME, "same");
    if is(TRACK, "elsewhere") || is_other_sport || has_other_heart {
        return Decision::NoMatch;
    }
    if is(TIME, "sequence") {
        return Decision::Match;
    }
    // A walk that a band found in a hike is in its own source beside the hike.
    if is(TIME, "piece") {
        return Decision::Review;
    }
    let one_heart = hearts.is_some_and(|off| off <= 4.0);
    let sizes = is_any(DISTANCE, &["same", "close"]);
    let was_alike = is_any(TIME, &["same", "aligned", "close"]);
    let says_nothing_else = scored.pattern[DISTANCE] == ABSENT && scored.pattern[EFFORT] == ABSENT;
    let is_sure = match kind {
        Kind::Whole => {
            is_any(TRACK, &["same", "inside"]) || sizes || one_heart || (was_alike && says_nothing_else)
        }
        _ => is_any(TRACK, &["same", "inside"]) || (one_heart && scored.pattern[TRACK] == ABSENT),
    };
    // Of a couple that trains together only the hearts differ.
    if is_sure && (!is_shared || one_heart) { Decision::Match } else { Decision::Review }
}

/// One assignment: pairs of two sources in which each record has one partner at most.
struct Round {
    /// Numbers of pairs that were worth it and were not taken.
    left: Vec<usize>,
    /// Of each record, its partner in a source.
    partner: HashMap<(usize, Source), usize>,
    /// Numbers of all that were asked.
    asked: Vec<usize>,
    /// From these on, a pair is surer than sure.
    sure_bits: f64,
}

/// By so much.
const SURER_BITS: f64 = 3.0;

impl Round {
    fn new(
        records: &[Record],
        pairs: &mut [Scored],
        thresholds: Thresholds,
        taken: &HashSet<(usize, Source)>,
        is_meant: impl Fn(&Scored) -> bool,
    ) -> Round {
        let sure_bits = thresholds.match_odds.log2() + SURER_BITS;
        let mut round = Round { left: Vec::new(), partner: HashMap::new(), asked: Vec::new(), sure_bits };
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
            if sides(records, scored.pair).iter().any(|side| taken.contains(side)) {
                scored.reason = Reason::Assigned;
                continue;
            }
            round.asked.push(number);
            if scored.pattern[TIME] == self::number(TIME, "sequence") {
                // A whole has as many partners as it has parts.
                scored.decision = by_bits(scored.bits, thresholds);
                scored.reason = Reason::Part;
                continue;
            }
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
                    round.partner.insert((a, records[b].source), b);
                    round.partner.insert((b, records[a].source), a);
                } else {
                    scored.reason = Reason::Assigned;
                    if scored.bits >= thresholds.match_odds.log2() {
                        round.left.push(number);
                    }
                }
            }
        }
        round
    }

    /// Pairs that would match if one of the two had no better partner: where that partner is told twice, or
    /// in parts, both belong.
    fn more_partners(
        &mut self,
        records: &[Record],
        placed: &[Placed],
        pairs: &mut [Scored],
        is_shared: bool,
    ) {
        for number in std::mem::take(&mut self.left) {
            let Pair { a, b } = pairs[number].pair;
            let mut decision = Decision::Match;
            let mut twins = Vec::new();
            for ((own, source), other) in sides(records, pairs[number].pair).into_iter().zip([b, a]) {
                let Some(rival) = self.partner.get(&(own, source)).copied().filter(|r| *r != other) else {
                    continue;
                };
                let shared_s = relation::overlap_s(placed[rival].span(), placed[other].span());
                let shorter_s = placed[rival].length_s.min(placed[other].length_s);
                if 10 * shared_s <= shorter_s {
                    // One after the other: both are parts of the longer.
                    continue;
                }
                let twin = pairs.binary_search_by_key(&block::pair(records, rival, other), |s| s.pair).ok();
                decision = decision.min(twin.map_or(Decision::NoMatch, |twin| pairs[twin].decision));
                twins.extend(twin);
            }
            // What is nearly alike, and lies with a third record so well, is told twice.
            if decision == Decision::Review && pairs[number].bits >= self.sure_bits && !is_shared {
                decision = Decision::Match;
                for twin in twins {
                    pairs[twin].decision = Decision::Match;
                }
            }
            pairs[number].decision = decision;
            if decision == Decision::Match {
                pairs[number].reason = Reason::Copy;
            }
        }
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
