//! Recorders that somebody forgot to stop: one lay at home while they did something else.

use std::collections::HashMap;

use super::block::Pair;
use super::levels::TIME;
use super::placed::Placed;
use super::record::Record;
use super::relation::{self, Kind};
use super::scored::Scored;

/// Whoever stops late has done so within this.
const LEAST_S: i64 = 10 * 60;
/// So much of the way was over by then.
const ALL_BUT: f64 = 0.92;
/// Both began within this.
const TOGETHER_S: i64 = 150;
/// Presses are not to the second.
const SLIP_S: i64 = 60;

/// Pairs of what lay still and what was done meanwhile: another record says when it had gone all of its way.
pub fn beside(records: &[Record], placed: &[Placed], pairs: &[Scored]) -> Vec<Pair> {
    let of_parts = || pairs.iter().filter(|s| relation::kind(s.pattern[TIME]) == Kind::Part).map(|s| s.pair);
    let mut went_until_s: HashMap<usize, i64> = HashMap::new();
    for pair in of_parts() {
        let (short, long) = by_length(placed, pair);
        // Whoever knows how long somebody moved does not know when that was over.
        let is_sure = placed[short].is_timed() && records[short].elapsed_s.is_some();
        if !is_sure || (placed[short].start_s - placed[long].start_s).abs() > TOGETHER_S {
            continue;
        }
        let is_all = distances(records, short, long).is_some_and(|(of_short, of_long)| {
            of_short >= ALL_BUT * of_long && of_short <= of_long / ALL_BUT
        });
        if is_all && placed[long].end_s() - placed[short].end_s() >= LEAST_S {
            let until_s = went_until_s.entry(long).or_insert(i64::MAX);
            *until_s = placed[short].end_s().min(*until_s);
        }
    }
    let lay_still = |(long, other): (usize, usize)| {
        let is_later = went_until_s.get(&long).is_some_and(|s| placed[other].start_s >= s - SLIP_S)
            && placed[other].is_timed()
            && placed[other].start_s > placed[long].start_s + TOGETHER_S;
        let has_gone = distances(records, other, long)
            .is_some_and(|(of_other, of_long)| of_other > 2.0 * (1.0 - ALL_BUT) * of_long);
        is_later && has_gone
    };
    of_parts().filter(|pair| lay_still((pair.a, pair.b)) || lay_still((pair.b, pair.a))).collect()
}

fn by_length(placed: &[Placed], pair: Pair) -> (usize, usize) {
    if placed[pair.a].length_s <= placed[pair.b].length_s { (pair.a, pair.b) } else { (pair.b, pair.a) }
}

fn distances(records: &[Record], one: usize, other: usize) -> Option<(f64, f64)> {
    records[one].distance_m.zip(records[other].distance_m)
}
