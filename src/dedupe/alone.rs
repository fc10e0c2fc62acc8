//! What overlaps and has no other that it could be one with: a body is in one place, and so a strength log that was
//! opened late and a watch that was stopped early tell of one workout, however little of them is at one time.

use std::collections::BTreeMap;

use super::block::Pair;
use super::cluster::{Apart, Clusters};
use super::company::Company;
use super::levels::{ABSENT, DISTANCE, EFFORT, SPORT, TIME, TRACK, number};
use super::relation::{self, Kind};
use super::scored::{Reason, Scored};
use crate::model::sport::GYM;
use crate::sources::Source;

/// One run of somebody's day on skis says nothing of whose day it was.
const LEAST_OF_OTHER: i64 = 10;

/// The surest pair of each two clusters that only lie beside each other.
pub fn find(clusters: &Clusters, company: &Company, pairs: &[Scored]) -> Vec<Pair> {
    let mut beside: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (number, scored) in pairs.iter().enumerate() {
        let both = clusters.both(scored.pair);
        let is_at_once = matches!(relation::kind(scored.pattern[TIME]), Kind::Whole | Kind::Part);
        if both.0 != both.1 && is_at_once {
            beside.entry(both.0).or_default().push((both.1, number));
            beside.entry(both.1).or_default().push((both.0, number));
        }
    }
    let is_alone = |cluster: usize, other: usize| beside[&cluster].iter().all(|(beside, _)| *beside == other);
    let mut found = Vec::new();
    for (one, others) in &beside {
        let (one, other) = (*one, others[0].0);
        if !is_alone(one, other) {
            continue;
        }
        let own: Vec<&Scored> = others.iter().map(|(_, number)| &pairs[*number]).collect();
        let may_be = match is_alone(other, one) {
            true => one < other && may_be_one(clusters, company, (one, other), &own),
            false => may_be_piece(clusters, (one, other), &own),
        };
        let (of_one_s, of_other_s) = (length_s(clusters, one), length_s(clusters, other));
        if may_be
            && LEAST_OF_OTHER * of_one_s.min(of_other_s) >= of_one_s.max(of_other_s)
            && own
                .iter()
                .all(|s| speaks_for(clusters, s) && s.reason != Reason::Person && !company.is_beside(s.pair))
        {
            let surest = own.iter().max_by(|x, y| x.bits.total_cmp(&y.bits));
            found.extend(surest.map(|s| s.pair));
        }
    }
    found
}

/// Whether two that have no other beside them tell of one workout, as far as their sources and all their pairs say. A
/// hub holds a copy of each, where each is told by another source, too.
fn may_be_one(clusters: &Clusters, company: &Company, (one, other): (usize, usize), own: &[&Scored]) -> bool {
    let (of_one, of_other) = (clusters.sources(one), clusters.sources(other));
    let both: Vec<Source> = of_one.intersection(&of_other).copied().collect();
    let are_copies = both.iter().all(|source| source.spec().is_hub())
        && both.len() < of_one.len().min(of_other.len())
        && !own.iter().any(|s| is_beyond(s));
    (both.is_empty() || are_copies)
        && of_one.iter().chain(&of_other).all(|s| !company.is_shared(*s))
        && clusters.bits_between(one, other) > 0.0
        && !clusters.are_two(one, other)
}

/// Whether one is a piece of the other, which may have other pieces before and after it.
fn may_be_piece(clusters: &Clusters, (piece, whole): (usize, usize), own: &[&Scored]) -> bool {
    let is_piece = |s: &&Scored| s.pattern[TIME] == number(TIME, "piece");
    length_s(clusters, piece) < length_s(clusters, whole)
        && own.iter().all(is_piece)
        && clusters.apart(piece, whole) == Apart::Not
}

/// Whether they overlap, and each goes on where the other does not.
fn is_beyond(scored: &Scored) -> bool {
    const BEYOND: [u8; 2] = [number(TIME, "overlap"), number(TIME, "partly")];
    BEYOND.contains(&scored.pattern[TIME])
}

/// Whether a piece that has another name tells of so much of the whole that it is no walk of its own within a hike,
/// and of two bodies that were measured: a log lies where somebody opened it.
fn is_much(clusters: &Clusters, scored: &Scored) -> bool {
    let both = [scored.pair.a, scored.pair.b];
    let [one_s, other_s] = both.map(|at| clusters.placed[at].length_s);
    10 * one_s.min(other_s) >= 3 * one_s.max(other_s)
        && both.iter().all(|at| clusters.records[*at].measures())
}

/// Whether a record tells of a thing that begins or ends with another one for a reason: some minutes on a machine before
/// lifting, and what was typed in.
fn is_chained(clusters: &Clusters, at: usize) -> bool {
    let record = &clusters.records[at];
    record.is_by_hand() || record.sport.is_some_and(|sport| sport.family == GYM)
}

fn length_s(clusters: &Clusters, cluster: usize) -> i64 {
    clusters.placed[clusters.typical(cluster)].length_s
}

/// Whether nothing but how little they overlap speaks against it. A band that does not know what it saw finds a walk
/// within anything.
fn speaks_for(clusters: &Clusters, scored: &Scored) -> bool {
    let is = |comparison: usize, level: &str| scored.pattern[comparison] == number(comparison, level);
    let is_any = |comparison: usize, levels: &[&str]| levels.iter().any(|level| is(comparison, level));
    let is_as_fast = scored.pattern[DISTANCE] == ABSENT || is(DISTANCE, "pace");
    // Of what begins or ends together, or lies within the other for most of it, one has a wrong name.
    let is_most = is_any(TIME, &["same", "aligned", "close", "loose", "contained"])
        || (is_any(TIME, &["starts", "ends"])
            && ![scored.pair.a, scored.pair.b].iter().any(|at| is_chained(clusters, *at)));
    let may_be_one_sport = match is(TIME, "piece") {
        true => is_any(SPORT, &["unspecific", "family", "confused"]) && is_much(clusters, scored),
        false => is(SPORT, "unspecific"),
    };
    (!is_beyond(scored) || is_as_fast)
        && (is(SPORT, "same") || is_most || may_be_one_sport)
        && !is(TRACK, "elsewhere")
        && !is(EFFORT, "other")
        && !is(EFFORT, "different")
}
