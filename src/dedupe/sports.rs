//! What a record may be of besides the sport that it names: somebody edited one of two copies of a recording.

use std::collections::BTreeMap;

use super::compare::{self, Confusion};
use super::levels::{DISTANCE, EFFORT, IDENTITY, SPORT, TIME, TRACK, number};
use super::record::Record;
use super::scored::Scored;
use super::weights::Weights;
use crate::model::sport::Sport;

/// Nobody edits a copy of a copy of a copy.
const MOST: usize = 4;

/// Looks again at the sports of pairs of which one has a copy that is of another sport.
pub fn follow_copies(records: &[Record], pairs: &mut [Scored], confusion: &Confusion, weights: &Weights) {
    let mut copies: BTreeMap<usize, Vec<Sport>> = BTreeMap::new();
    for scored in pairs.iter().filter(|s| is_other(s) && is_copy(s)) {
        let (a, b) = (scored.pair.a, scored.pair.b);
        for (of, from) in [(a, b), (b, a)] {
            let told = copies.entry(of).or_default();
            if let Some(sport) = records[from].sport.filter(|_| told.len() < MOST) {
                told.push(sport);
            }
        }
    }
    if copies.is_empty() {
        return;
    }
    let sports = |at: usize| -> Vec<Option<Sport>> {
        let told = copies.get(&at).into_iter().flatten().copied().map(Some);
        [records[at].sport].into_iter().chain(told).collect()
    };
    for scored in pairs.iter_mut().filter(|s| is_other(s)) {
        let (a, b) = (scored.pair.a, scored.pair.b);
        let called = |at: usize, sport: &Option<Sport>| (records[at].source, *sport);
        let levels =
            sports(a).into_iter().flat_map(|one| sports(b).into_iter().map(move |other| (one, other)));
        let levels =
            levels.map(|(one, other)| compare::sports(called(a, &one), called(b, &other), confusion));
        let best = levels.max_by(|x, y| weights.bits(SPORT, *x).total_cmp(&weights.bits(SPORT, *y)));
        if let Some(level) =
            best.filter(|level| weights.bits(SPORT, *level) > weights.bits(SPORT, scored.pattern[SPORT]))
        {
            scored.pattern[SPORT] = level;
            scored.bits = weights.score(&scored.pattern);
        }
    }
}

fn is_other(scored: &Scored) -> bool {
    ["different", "kin"].iter().any(|level| scored.pattern[SPORT] == number(SPORT, level))
}

/// Whether two are one recording, whatever they call it: the same file, or the same to the second and the metre.
fn is_copy(scored: &Scored) -> bool {
    let is = |comparison: usize, level: &str| scored.pattern[comparison] == number(comparison, level);
    is(IDENTITY, "same")
        || (is(TIME, "same") && is(DISTANCE, "same") && (is(TRACK, "same") || is(EFFORT, "same")))
}
