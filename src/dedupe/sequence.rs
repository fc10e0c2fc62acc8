//! Wholes and parts: a day on skis as one record and as its runs, a triathlon as one and as three, a watch
//! that ran through, a ride that midnight cut in two.
//!
//! Parts follow each other within the whole. They need not add up: lifts, lunches and rests lie between
//! them, and some may not be there. Where they begin and end with the whole it does not matter what sport
//! each was; else they must be of the whole's.

use std::collections::{BTreeMap, BTreeSet};

use super::block::Pair;
use super::cluster::Clusters;
use super::company::Company;
use super::join::Join;
use super::levels::{ABSENT, EFFORT, SPORT, TIME, TRACK, number};
use super::placed::Placed;
use super::record::Record;
use super::relation::{self, Kind};
use super::scored::{Decision, Reason, Scored};
use super::weights::Weights;
use crate::model::sport::{GYM, SNOW};
use crate::sources::Source;

/// A part is shorter than its whole, by more than what a stop button costs,
const MOST_OF_WHOLE: f64 = 0.92;
/// and lies within it.
const LEAST_INSIDE: f64 = 0.7;
/// So many parts of one sport, however long each is, are no slips of a thumb.
const FEWEST_OF_ANY_LENGTH: usize = 4;
/// Parts of one whole that are looked at.
const MOST_PARTS: usize = 200;

/// Whether one is a part of the other, by their times.
fn is_part(part: &Placed, whole: &Placed) -> bool {
    let shared_s = relation::overlap_s(part.span(), whole.span()) as f64;
    part.length_s > 0
        && (part.length_s as f64) < MOST_OF_WHOLE * whole.length_s as f64
        && shared_s >= LEAST_INSIDE * part.length_s as f64
}

/// Of each whole, the pairs with what lies within it.
fn within(placed: &[Placed], pairs: &[Scored], is_meant: impl Fn(&Scored) -> bool) -> Wholes {
    let mut wholes = Wholes::new();
    for (number, scored) in pairs.iter().enumerate().filter(|(_, s)| is_meant(s)) {
        let (a, b) = (scored.pair.a, scored.pair.b);
        for (part, whole) in [(a, b), (b, a)] {
            if is_part(&placed[part], &placed[whole]) {
                wholes.entry(whole).or_default().push((part, number));
            }
        }
    }
    wholes.retain(|_, parts| parts.len() > 1);
    wholes
}

/// Of each whole, its parts and the numbers of the pairs.
type Wholes = BTreeMap<usize, Vec<(usize, usize)>>;

/// A stretch of time that parts tell of; stretches lie one after the other.
#[derive(Debug)]
struct Slot {
    span: (i64, i64),
    parts: Vec<usize>,
}

/// The most stretches that follow each other. What holds several of them (another whole that lacks a piece)
/// is in none.
fn slots(placed: &[Placed], parts: impl Iterator<Item = usize>) -> Vec<Slot> {
    let length_s = |span: (i64, i64)| span.1 - span.0;
    let mut parts: Vec<usize> = parts.collect();
    parts.sort_by_key(|at| (placed[*at].end_s(), *at));
    let mut slots: Vec<Slot> = Vec::new();
    for at in parts.into_iter().take(MOST_PARTS) {
        let span = placed[at].span();
        let Some((last, before)) = slots.split_last_mut() else {
            slots.push(Slot { span, parts: vec![at] });
            continue;
        };
        let shared_s = relation::overlap_s(last.span, span);
        let (shorter_s, longer_s) =
            (length_s(last.span).min(length_s(span)), length_s(last.span).max(length_s(span)));
        // One was started late, or died.
        let is_alone = before.last().is_none_or(|slot| relation::overlap_s(slot.span, span) == 0);
        let lacks_an_end = is_alone && 10 * shared_s >= 7 * shorter_s && longer_s <= 4 * shorter_s;
        if 5 * shared_s <= shorter_s {
            slots.push(Slot { span, parts: vec![at] });
        } else if 2 * shared_s >= longer_s || lacks_an_end {
            last.parts.push(at);
        }
    }
    slots
}

/// Marks pairs of a part and its whole where several parts make the whole up.
pub fn mark(
    records: &[Record],
    placed: &[Placed],
    company: &Company,
    pairs: &mut [Scored],
    weights: &Weights,
) {
    let can_be = |s: &Scored| {
        relation::kind(s.pattern[TIME]) == Kind::Part
            && s.pattern[TRACK] != number(TRACK, "elsewhere")
            && s.pattern[TIME] != number(TIME, "partly")
            && s.pattern[TIME] != number(TIME, "company")
    };
    let wholes = within(placed, pairs, can_be);
    if wholes.is_empty() {
        return;
    }
    let twins = twins(records, pairs);
    for (whole, parts) in wholes {
        let span = placed[whole].span();
        let length_s = (span.1 - span.0) as f64;
        let all = slots(placed, parts.iter().map(|(part, _)| *part));
        if all.len() < 2 {
            continue;
        }
        let covered_s: i64 = all.iter().map(|slot| relation::overlap_s(slot.span, span)).sum();
        let near_s = 300.0_f64.max(0.06 * length_s) as i64;
        let (first, last) = (all[0].span.0, all.iter().map(|slot| slot.span.1).max().unwrap_or(span.1));
        let fills = (first - span.0).abs() <= near_s
            && (last - span.1).abs() <= near_s
            && covered_s as f64 >= 0.5 * length_s;
        let is_in_gym = records[whole].sport.is_some_and(|sport| sport.family == GYM)
            && records[whole].distance_m.is_none();
        let is_on_snow = |at: usize| records[at].sport.is_some_and(|sport| sport.family == SNOW);
        let fits = |scored: &Scored| {
            let Pair { a, b } = scored.pair;
            scored.pattern[SPORT] != number(SPORT, "different")
                && (scored.pattern[SPORT] != ABSENT || is_on_snow(a) || is_on_snow(b))
        };
        let fitting = slots(placed, parts.iter().filter(|(_, n)| fits(&pairs[*n])).map(|(part, _)| *part));
        let fitting_s: i64 = fitting.iter().map(|slot| relation::overlap_s(slot.span, span)).sum();
        let least = if fitting.len() > 2 { 0.05 } else { 0.25 };
        let are_many = fitting.len() > 1 && fitting_s as f64 >= least * length_s;
        let in_sequence: BTreeSet<usize> = all.iter().flat_map(|slot| slot.parts.iter().copied()).collect();
        for (part, number_of_pair) in parts.iter().filter(|(part, _)| in_sequence.contains(part)) {
            let scored = &mut pairs[*number_of_pair];
            let (of_part, of_whole) = (records[*part].source, records[whole].source);
            let is_within = of_part == of_whole;
            // Whose devices tell of the whole and of a piece of it tell of two things, but for what people go down
            // many times.
            let tells_both = |source: Source, other: usize| {
                !company.gathers(source) && (is_within || twins.contains(&(other, source)))
            };
            let is_new = is_on_snow(*part) || !(tells_both(of_part, whole) || tells_both(of_whole, *part));
            // A watch in the gym does not record the way there, and records one thing at a time.
            let may_be_any = !is_within && !is_in_gym;
            let is_one_device =
                is_within && !company.gathers(of_part) && !(is_on_snow(*part) || records[whole].is_parent);
            // Two devices may share an account: one for each repetition, one for all of them.
            let are_repetitions = fitting.len() >= FEWEST_OF_ANY_LENGTH && fits(scored);
            // Its own source says what an event is made of, the changes between its legs included.
            let is_of_event = is_within && records[whole].is_parent;
            if is_one_device && !are_repetitions {
                continue;
            }
            if is_of_event
                || (fills && (may_be_any || fits(scored)))
                || (are_many && fits(scored) && is_new && !records[whole].is_manual)
            {
                scored.pattern[TIME] = number(TIME, "sequence");
                if ["different", "kin"].iter().any(|level| scored.pattern[SPORT] == number(SPORT, level)) {
                    scored.pattern[SPORT] = ABSENT;
                }
                // Of several things in one recording the mean says little.
                if scored.pattern[EFFORT] != number(EFFORT, "close") {
                    scored.pattern[EFFORT] = ABSENT;
                }
                scored.bits = weights.score(&scored.pattern);
            }
        }
    }
}

/// Records that have one of the same length in a source.
fn twins(records: &[Record], pairs: &[Scored]) -> BTreeSet<(usize, Source)> {
    const LAST: u8 = number(TIME, "loose");
    let are_twins = |s: &&Scored| s.pattern[TIME] <= LAST && s.bits > 0.0;
    pairs
        .iter()
        .filter(are_twins)
        .flat_map(|s| [(s.pair.a, records[s.pair.b].source), (s.pair.b, records[s.pair.a].source)])
        .collect()
}

/// The clusters that hold several others, one after the other. Each is named by one of its records, because clusters
/// still grow.
pub fn joins(clusters: &Clusters, pairs: &[Scored]) -> Vec<Join> {
    let mut wholes: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let is_meant = |s: &&Scored| s.decision == Decision::Match && s.reason != Reason::Person;
    for scored in pairs.iter().filter(is_meant) {
        let (a, b) = (scored.pair.a, scored.pair.b);
        for (part, whole) in [(a, b), (b, a)] {
            if is_part(&clusters.placed[part], &clusters.placed[whole])
                && clusters.of[part] != clusters.of[whole]
            {
                wholes.entry(clusters.of[whole]).or_default().insert(clusters.of[part]);
            }
        }
    }
    let mut joins = Vec::new();
    for (whole, parts) in wholes.iter().filter(|(_, parts)| parts.len() > 1) {
        let is_within = |part: usize| {
            let wholes = &clusters.members[*whole];
            wholes.iter().any(|whole| is_part(&clusters.placed[part], &clusters.placed[*whole]))
        };
        let fits = |part: &&usize| {
            is_within(clusters.typical(**part))
                && !clusters.are_two(**part, *whole)
                && clusters.bits_between(**part, *whole) > 0.0
        };
        let typical = parts.iter().filter(fits).map(|part| clusters.typical(*part));
        let all = slots(clusters.placed, typical);
        if all.len() < 2 {
            continue;
        }
        let gaps = all.windows(2).map(|two| two[1].span.0 - two[0].span.1);
        let gap_s = gaps.max().unwrap_or(0);
        let parts: Vec<usize> = all.into_iter().flat_map(|slot| slot.parts).collect();
        joins.push(Join { whole: clusters.typical(*whole), parts, gap_s, is_sum: false });
    }
    joins.sort_by_key(|join| (join.parts.len(), clusters.placed[join.whole].start_s, join.whole));
    joins
}
