//! What is left of an outing whose recorder broke off and was begun again, where another recorded on meanwhile.
//!
//! The piece that is the most of it, or begins or ends with it, came together with what the other recorded. The rest
//! follows that piece at once, or goes before it, and the other recording lies upon both: so it is of the same outing.

use std::collections::BTreeMap;

use super::block::Pair;
use super::cluster::Clusters;
use super::company::Company;
use super::levels::{DISTANCE, EFFORT, SPORT, TIME, TRACK, number};
use super::relation::{self, Kind};
use super::scored::{Reason, Scored};

/// Whoever saw that it had stopped begins again so soon.
const LONGEST_PAUSE_S: i64 = 5 * 60;
/// Minutes that are rounded overlap by as much.
const SLIP_S: i64 = 60;

/// The clusters that are the rest of another one, and of which.
pub fn find(clusters: &Clusters, company: &Company, pairs: &[Scored]) -> BTreeMap<usize, usize> {
    let mut found = BTreeMap::new();
    for scored in pairs.iter().filter(|s| may_be_one(s) && !company.is_beside(s.pair)) {
        let Pair { a, b } = scored.pair;
        for (rest, whole) in [(a, b), (b, a)] {
            let (of_rest, of_whole) = (clusters.of[rest], clusters.of[whole]);
            if of_rest != of_whole
                && is_carried_on(clusters, rest, whole)
                && !clusters.are_two(of_rest, of_whole)
            {
                found.entry(of_rest).or_insert(of_whole);
            }
        }
    }
    found
}

/// Whether two overlap, are of one sport, and nothing speaks against one outing.
fn may_be_one(scored: &Scored) -> bool {
    let is = |comparison: usize, level: &str| scored.pattern[comparison] == number(comparison, level);
    relation::kind(scored.pattern[TIME]) == Kind::Part
        && scored.bits > 0.0
        && scored.reason != Reason::Person
        && is(SPORT, "same")
        && !is(TRACK, "elsewhere")
        && !is(EFFORT, "other")
        && !is(EFFORT, "different")
        && !is(DISTANCE, "beyond")
}

/// Whether a record lies upon another and upon a piece right before or after that, which is of its cluster and which the
/// other's recorder made as well; and hardly goes on before and after the two.
fn is_carried_on(clusters: &Clusters, rest: usize, whole: usize) -> bool {
    let span = |at: usize| clusters.placed[at].span();
    let length_s = |span: (i64, i64)| span.1 - span.0;
    let shared_s = |other: (i64, i64)| relation::overlap_s(other, span(whole));
    let lies_upon = |other: (i64, i64)| {
        10 * shared_s(other) >= 7 * length_s(other) || 4 * shared_s(other) >= length_s(span(whole))
    };
    let is_piece = |at: &usize| {
        let (piece, rest_s) = (span(*at), span(rest));
        let pause_s = (piece.0 - rest_s.1).max(rest_s.0 - piece.1);
        let both = (piece.0.min(rest_s.0), piece.1.max(rest_s.1));
        *at != whole
            && clusters.records[*at].sport == clusters.records[rest].sport
            && clusters.are_one_teller(*at, rest)
            && (-SLIP_S..=LONGEST_PAUSE_S).contains(&pause_s)
            && lies_upon(piece)
            && 10 * shared_s(both) >= 9 * length_s(span(whole))
    };
    lies_upon(span(rest)) && clusters.members[clusters.of[whole]].iter().any(is_piece)
}
