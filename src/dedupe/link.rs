//! One person's records to pairs with decisions and groups of the same workout: a pure function.
//!
//! ```text
//! zones ─ timeline ─ block ─ relation, compare ─ clock ─ company ─ sequence ─ decide ─ cluster ─ lonely, stray ─ outing, snow, race, midnight
//! (of days) (where each  (which  (levels)         (seconds) (shared  (parts)  (pairs)  (what     (what         (workouts,
//!            record lies) pairs)                              accounts)                 overlaps)  lies apart)    parts)
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::Thresholds;
use super::alone;
use super::block::{self, Pair};
use super::clock::{Clock, Sighting};
use super::cluster::{self, Clusters, Group};
use super::company::Company;
use super::compare::{self, Confusion};
use super::decide;
use super::false_start::FalseStarts;
use super::join::Join;
use super::learn::Seen;
use super::levels::{DISTANCE, SPORT, TIME, TRACK, number};
use super::lonely;
use super::outing;
use super::placed::Placed;
use super::record::{Quality, Record};
use super::relation::{self, Kind};
use super::rest;
use super::scored::{Decision, Reason, Scored, scored};
use super::sequence;
use super::sports;
use super::stray;
use super::sums;
use super::timeline;
use super::weights::Weights;
use super::zones::Zones;
use crate::sources::Source;
use crate::store::state::answers::{Answer, Answers};

const SOURCES: usize = Source::ALL.len();

/// Everything that was found out about one person's records.
#[derive(Debug, Default)]
pub struct Linked {
    pub pairs: Vec<Scored>,
    pub groups: Vec<Group>,
    /// Where each record truly lies.
    pub placed: Vec<Placed>,
    pub crowded: u64,
    /// Pairs of records that were looked at while groups came together: what a crowded day costs.
    pub looked_at: u64,
}

/// The candidates with their patterns, zones and clocks found.
pub struct Compared {
    /// Sorted by pair.
    pub pairs: Vec<Scored>,
    pub placed: Vec<Placed>,
    company: Company,
    crowded: u64,
}

/// Compares one person's records, which are sorted by start, where they truly lie.
pub fn compare(records: &[Record], weights: &Weights, answers: &Answers) -> Compared {
    let placed = timeline::place(records, &answers.zones);
    let candidates = block::candidates(records, &placed);
    let new = |(pair, timing): &block::Candidate| {
        scored(records, *pair, (0, *timing), weights, &Confusion::default())
    };
    let mut pairs: Vec<Scored> = candidates.pairs.iter().map(new).collect();
    set_clocks(records, &placed, &mut pairs, weights);
    learn_sports(records, &mut pairs, weights);
    let company = Company::of(records, &pairs);
    company.mark(&mut pairs, weights);
    sequence::mark(records, &placed, &company, &mut pairs, weights);
    mark_alone(records, &mut pairs, weights);
    for scored in &mut pairs {
        scored.shift_s += told_shift_s(records, &placed, scored.pair);
    }
    Compared { pairs, placed, company, crowded: candidates.crowded }
}

/// What the second record was moved by against the first when they were placed.
fn told_shift_s(records: &[Record], placed: &[Placed], pair: Pair) -> i64 {
    let moved_s = |at: usize| records[at].start_s - placed[at].start_s;
    moved_s(pair.b) - moved_s(pair.a)
}

/// Follows clocks that are off by seconds to minutes, and looks at the pairs again that they explain.
fn set_clocks(records: &[Record], placed: &[Placed], pairs: &mut [Scored], weights: &Weights) {
    let clocks = clocks(records, placed, pairs);
    for scored in pairs.iter_mut() {
        let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
        let at_s = placed[scored.pair.a].start_s;
        let clock_s = clocks.get(&(a.source, b.source)).and_then(|clock| clock.ahead_s(at_s));
        if let Some(clock_s) = clock_s.filter(|clock_s| clock_s.abs() > 1)
            && let Some(timing) =
                relation::timing((a, &placed[scored.pair.a]), (b, &placed[scored.pair.b]), clock_s)
        {
            let again = self::scored(records, scored.pair, (clock_s, timing), weights, &Confusion::default());
            // A clock explains; where it does not, it is not held against the pair.
            if again.bits > scored.bits {
                *scored = again;
            }
        }
    }
}

/// From pairs that are sure without a clock: the best of both sides, and starts that mean something.
fn clocks(records: &[Record], placed: &[Placed], pairs: &[Scored]) -> BTreeMap<(Source, Source), Clock> {
    const SURE_BITS: f64 = 5.0;
    const LAST: u8 = number(TIME, "starts");
    let mut best = vec![[f64::NEG_INFINITY; SOURCES]; records.len()];
    let sides = |pair: Pair| [(pair.a, records[pair.b].source), (pair.b, records[pair.a].source)];
    for scored in pairs {
        for (at, source) in sides(scored.pair) {
            let most = &mut best[at][source as usize];
            *most = most.max(scored.bits);
        }
    }
    let mut sightings: BTreeMap<(Source, Source), Vec<Sighting>> = BTreeMap::new();
    for scored in pairs.iter().filter(|s| s.pattern[TIME] <= LAST && s.bits >= SURE_BITS) {
        let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
        let is_told = [a, b].iter().all(|r| r.quality == Quality::Exact && !r.is_manual);
        let is_best =
            sides(scored.pair).into_iter().all(|(at, source)| best[at][source as usize] <= scored.bits);
        if a.source != b.source && is_told && is_best {
            let (a_s, b_s) = (placed[scored.pair.a].start_s, placed[scored.pair.b].start_s);
            sightings.entry((a.source, b.source)).or_default().push((a_s, b_s - a_s));
        }
    }
    sightings.into_iter().map(|(sources, seen)| (sources, Clock::new(seen))).collect()
}

/// Learns what this person's sources call each other's sports, and looks at those pairs again.
fn learn_sports(records: &[Record], pairs: &mut [Scored], weights: &Weights) {
    const LAST_SURE: u8 = number(TIME, "close");
    const DIFFERENT: u8 = number(SPORT, "different");
    let is_sure = |s: &&Scored| {
        s.pattern[TIME] <= LAST_SURE
            && s.pattern[DISTANCE] != number(DISTANCE, "different")
            && s.pattern[TRACK] != number(TRACK, "elsewhere")
    };
    let of = |s: &Scored| (&records[s.pair.a], &records[s.pair.b]);
    let confusion = Confusion::of(pairs.iter().filter(is_sure).map(of));
    sports::follow_copies(records, pairs, &confusion, weights);
    if confusion.is_empty() {
        return;
    }
    for scored in pairs.iter_mut().filter(|s| s.pattern[SPORT] == DIFFERENT) {
        scored.pattern[SPORT] = compare::sport(&records[scored.pair.a], &records[scored.pair.b], &confusion);
        scored.bits = weights.score(&scored.pattern);
    }
}

/// Few words decide where there are few rivals: what was typed in and is the only one of its day that fits.
fn mark_alone(records: &[Record], pairs: &mut [Scored], weights: &Weights) {
    const DAY: u8 = number(TIME, "day");
    const DAY_ONE: u8 = number(TIME, "day_one");
    const ALONE: u8 = number(TIME, "day_alone");
    let sides = |pair: Pair| [(pair.a, records[pair.b].source), (pair.b, records[pair.a].source)];
    let could_be = |s: &Scored| {
        [DAY, DAY_ONE].contains(&s.pattern[TIME])
            || (matches!(relation::kind(s.pattern[TIME]), Kind::Whole | Kind::Part) && s.bits > 0.0)
    };
    let mut rivals = vec![[0_u32; SOURCES]; records.len()];
    for scored in pairs.iter().filter(|s| could_be(s)) {
        for (at, source) in sides(scored.pair) {
            rivals[at][source as usize] += 1;
        }
    }
    for scored in pairs.iter_mut().filter(|s| [DAY, DAY_ONE].contains(&s.pattern[TIME])) {
        if sides(scored.pair).into_iter().all(|(at, source)| rivals[at][source as usize] == 1) {
            scored.pattern[TIME] = ALONE;
            scored.bits = weights.score(&scored.pattern);
        }
    }
}

/// Brings two together, with their copies, where nothing is in the way of that.
fn bring(clusters: &mut Clusters, pairs: &mut [Scored], pair: Pair) {
    if clusters.bring_with_copies(pair) {
        let at = pairs.binary_search_by_key(&pair, |s| s.pair).expect("it is one of them");
        (pairs[at].decision, pairs[at].reason) = (Decision::Match, Reason::Group);
    }
}

/// Brings together what lies apart and has no other that it could be, the surest first; asks about what is likely.
fn bring_strays(
    clusters: &mut Clusters,
    pairs: &mut Vec<Scored>,
    strays: Vec<Scored>,
    thresholds: Thresholds,
) {
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    for mut stray in strays.into_iter().filter(|s| s.bits >= thresholds.review_odds.log2()) {
        let both = clusters.both(stray.pair);
        let known = pairs.binary_search_by_key(&stray.pair, |s| s.pair);
        let is_known =
            known.is_ok_and(|at| pairs[at].reason == Reason::Person || pairs[at].bits >= stray.bits);
        if is_known || [both.0, both.1].iter().any(|cluster| taken.contains(cluster)) {
            continue;
        }
        taken.extend([both.0, both.1]);
        let is_sure = stray.bits >= thresholds.match_odds.log2() && stray.reason != Reason::Rivals;
        stray.decision = match is_sure && clusters.bring_with_copies(stray.pair) {
            true => Decision::Match,
            false => Decision::Review,
        };
        match known {
            Ok(at) => pairs[at] = stray,
            Err(at) => pairs.insert(at, stray),
        }
    }
}

/// Weeks that sources are moved against each other, so that what is left are pairs by chance: of the same
/// days and hours of the week.
const MOVED_WEEKS: [i64; 4] = [1, -1, 3, -4];

/// How often patterns show among one person's candidates of different sources, by chance, and among those
/// that somebody spoke about.
pub fn seen(records: &[Record], weights: &Weights, answers: &Answers) -> Seen {
    const WEEK_S: i64 = 7 * 86_400;
    let mut seen = Seen::default();
    let is_across = |records: &[Record], pair: Pair| records[pair.a].source != records[pair.b].source;
    let mut pairs = compare(records, weights, answers).pairs;
    decide::add_answered(records, &mut pairs, weights, answers);
    for scored in pairs.iter().filter(|s| is_across(records, s.pair)) {
        match decide::answer(records, answers, scored.pair) {
            None => *seen.candidates.entry(scored.pattern).or_insert(0) += 1,
            Some(answer) => {
                let (same, different) = seen.answered.entry(scored.pattern).or_insert((0, 0));
                *(if answer == Answer::Same { same } else { different }) += 1;
            }
        }
    }
    let zones = Zones::of(records, &answers.zones);
    let told: Vec<Placed> = records.iter().map(|record| Placed::as_told(record, &zones)).collect();
    let mut moved = records.to_vec();
    for record in &mut moved {
        (record.file, record.upload, record.came_from) = (None, None, None);
    }
    let mut placed = told.clone();
    for weeks in MOVED_WEEKS {
        for (at, record) in records.iter().enumerate() {
            let moved_s = record.source as i64 * weeks * WEEK_S;
            moved[at].start_s = record.start_s + moved_s;
            placed[at].start_s = told[at].start_s + moved_s;
        }
        for (pair, timing) in block::candidates(&moved, &placed).pairs {
            if is_across(&moved, pair) {
                let pattern = compare::pattern(&moved[pair.a], &moved[pair.b], timing, &Confusion::default());
                *seen.by_chance.entry(pattern).or_insert(0) += 1;
            }
        }
    }
    seen
}

/// Links one person's records, which are sorted by start, source and id.
pub fn link(records: &[Record], weights: &Weights, thresholds: Thresholds, answers: &Answers) -> Linked {
    let Compared { mut pairs, placed, company, crowded } = compare(records, weights, answers);
    decide::add_answered(records, &mut pairs, weights, answers);
    decide::by_persons(records, &mut pairs, answers);
    let false_starts = FalseStarts::of(records, &placed);
    decide::at_once(records, &placed, &mut pairs, (&company, &false_starts), thresholds);
    let mut clusters = Clusters::new(records, &placed, &pairs, &company, false_starts, answers);
    clusters.bring_together(&pairs, |s| {
        s.reason == Reason::Person || relation::kind(s.pattern[TIME]) != Kind::Part
    });
    // What is cut into several stays cut, until it is known whether they are one outing.
    let mut joins = sequence::joins(&clusters, &pairs);
    joins.extend(sums::find(&clusters));
    // Two records of one whole, of which one lacks an end, are one whole first.
    let wholes: BTreeSet<usize> = joins.iter().flat_map(|join| clusters.members_beside(join.whole)).collect();
    let of_joins = clusters.pairs_of(&joins);
    clusters.bring_together(&pairs, |s| {
        [s.pair.a, s.pair.b].iter().all(|at| wholes.contains(at)) && !of_joins.contains(&s.pair)
    });
    let of_joins = clusters.pairs_of(&joins);
    clusters.bring_together(&pairs, |s| !of_joins.contains(&s.pair));
    for pair in alone::find(&clusters, &company, &pairs) {
        bring(&mut clusters, &mut pairs, pair);
    }
    let lonely = lonely::mark(&clusters, &mut pairs, weights);
    clusters.weigh(&pairs);
    let apart = decide::apart(records, &mut pairs, &clusters, thresholds);
    clusters.bring_together(&pairs, |s| apart.contains(&s.pair));
    for pair in lonely {
        let at = pairs.binary_search_by_key(&pair, |s| s.pair).expect("it is one of them");
        let is_sure = pairs[at].bits >= thresholds.match_odds.log2() && pairs[at].reason != Reason::Person;
        if is_sure && clusters.bring_with_copies(pair) {
            (pairs[at].decision, pairs[at].reason) = (Decision::Match, Reason::Weight);
        }
    }
    let of_join = |join: &Join| -> Vec<usize> {
        join.parts.iter().chain([&join.whole]).map(|at| clusters.of[*at]).collect()
    };
    let parts: BTreeSet<usize> = joins.iter().flat_map(of_join).collect();
    let strays = stray::find(&clusters, &company, &parts, weights);
    bring_strays(&mut clusters, &mut pairs, strays, thresholds);
    joins.extend(sums::find(&clusters));
    let rests = rest::find(&clusters, &company, &pairs);
    let groups = outing::groups(&clusters, &joins, &rests);
    cluster::settle(&clusters, &mut pairs, &groups, &of_joins);
    Linked { looked_at: clusters.looked_at(), pairs, groups, placed, crowded }
}
