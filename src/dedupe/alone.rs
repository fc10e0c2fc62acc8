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
        let other = others[0].0;
        let own: Vec<&Scored> = others.iter().map(|(_, number)| &pairs[*number]).collect();
        if !is_alone(*one, other) {
            continue;
        }
        if !is_alone(other, *one) {
            found.extend(surest_piece(clusters, company, (*one, other), &own));
            continue;
        }
        if *one > other {
            continue;
        }
        let surest = own.iter().max_by(|x, y| x.bits.total_cmp(&y.bits));
        let length_s = |cluster: usize| clusters.placed[clusters.typical(cluster)].length_s;
        let (shorter_s, longer_s) =
            (length_s(*one).min(length_s(other)), length_s(*one).max(length_s(other)));
        let may_be = LEAST_OF_OTHER * shorter_s >= longer_s
            && own.iter().all(|s| speaks_for(s) && s.reason != Reason::Person && !company.is_beside(s.pair))
            && clusters.sources(*one).is_disjoint(&clusters.sources(other))
            && clusters.sources(*one).iter().chain(&clusters.sources(other)).all(|s| !company.is_shared(*s))
            && clusters.bits_between(*one, other) > 0.0
            && !clusters.are_two(*one, other);
        found.extend(surest.filter(|_| may_be).map(|s| s.pair));
    }
    found
}

/// The surest pair of a piece and what it lies within, which may have other pieces before and after it.
fn surest_piece(
    clusters: &Clusters,
    company: &Company,
    (piece, whole): (usize, usize),
    own: &[&Scored],
) -> Option<Pair> {
    let is_piece = |s: &&Scored| {
        s.pattern[TIME] == number(TIME, "piece")
            && s.pattern[SPORT] == number(SPORT, "same")
            && speaks_for(s)
            && s.reason != Reason::Person
            && !company.is_beside(s.pair)
    };
    let length_s = |cluster: usize| clusters.placed[clusters.typical(cluster)].length_s;
    let may_be = length_s(piece) < length_s(whole)
        && LEAST_OF_OTHER * length_s(piece) >= length_s(whole)
        && own.iter().all(is_piece)
        && clusters.apart(piece, whole) == Apart::Not;
    own.iter().max_by(|x, y| x.bits.total_cmp(&y.bits)).filter(|_| may_be).map(|s| s.pair)
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
