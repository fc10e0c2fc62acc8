//! What overlaps and has no other that it could be one with: a body is in one place, and so a strength log that was
//! opened late and a watch that was stopped early tell of one workout, however little of them is at one time.

use std::collections::BTreeMap;

use super::block::Pair;
use super::cluster::{Apart, Clusters};
use super::company::Company;
use super::levels::{ABSENT, DISTANCE, EFFORT, SPORT, TIME, TRACK, number};
use super::relation::{self, Kind};
use super::scored::{Reason, Scored};

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
            true => one < other && may_be_one(clusters, company, (one, other)),
            false => may_be_piece(clusters, (one, other), &own),
        };
        let (of_one_s, of_other_s) = (length_s(clusters, one), length_s(clusters, other));
        if may_be
            && LEAST_OF_OTHER * of_one_s.min(of_other_s) >= of_one_s.max(of_other_s)
            && own.iter().all(|s| speaks_for(s) && s.reason != Reason::Person && !company.is_beside(s.pair))
        {
            let surest = own.iter().max_by(|x, y| x.bits.total_cmp(&y.bits));
            found.extend(surest.map(|s| s.pair));
        }
    }
    found
}

/// Whether two that have no other beside them tell of one workout, as far as their sources and all their pairs say.
fn may_be_one(clusters: &Clusters, company: &Company, (one, other): (usize, usize)) -> bool {
    let (of_one, of_other) = (clusters.sources(one), clusters.sources(other));
    of_one.is_disjoint(&of_other)
        && of_one.iter().chain(&of_other).all(|s| !company.is_shared(*s))
        && clusters.bits_between(one, other) > 0.0
        && !clusters.are_two(one, other)
}

/// Whether one is a piece of the other, which may have other pieces before and after it.
fn may_be_piece(clusters: &Clusters, (piece, whole): (usize, usize), own: &[&Scored]) -> bool {
    let is_piece =
        |s: &&Scored| s.pattern[TIME] == number(TIME, "piece") && s.pattern[SPORT] == number(SPORT, "same");
    length_s(clusters, piece) < length_s(clusters, whole)
        && own.iter().all(is_piece)
        && clusters.apart(piece, whole) == Apart::Not
}

fn length_s(clusters: &Clusters, cluster: usize) -> i64 {
    clusters.placed[clusters.typical(cluster)].length_s
}

/// Whether nothing but how little they overlap speaks against it. A band that does not know what it saw finds a walk
/// within anything.
fn speaks_for(scored: &Scored) -> bool {
    let is = |comparison: usize, level: &str| scored.pattern[comparison] == number(comparison, level);
    let is_beyond = is(TIME, "overlap") || is(TIME, "partly");
    let is_as_fast = scored.pattern[DISTANCE] == ABSENT || is(DISTANCE, "pace");
    // Of what begins and ends together, or lies within the other for most of it, one has a wrong name.
    let is_most = ["same", "aligned", "close", "loose", "contained"].iter().any(|level| is(TIME, level));
    (!is_beyond || is_as_fast)
        && (is(SPORT, "same") || is_most || (is(SPORT, "unspecific") && !is(TIME, "piece")))
        && !is(TRACK, "elsewhere")
        && !is(EFFORT, "other")
        && !is(EFFORT, "different")
}
