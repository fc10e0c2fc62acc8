//! What lies apart and has no other that it could be one with, on either side: nothing speaks for two workouts then.
//!
//! Clocks that were not set after the night they changed, and starts that are ends. Copies in a hub lie where the
//! original lies: they go with it, and are no rivals.

use std::collections::{BTreeMap, BTreeSet};

use super::block::Pair;
use super::cluster::Clusters;
use super::levels::{TIME, number};
use super::relation::{self, Kind};
use super::scored::Scored;
use super::weights::Weights;
use crate::sources::Source;

const END_ALONE: u8 = number(TIME, "end_alone");
const HOUR_ALONE: u8 = number(TIME, "hour_alone");
const MOVED_ALONE: u8 = number(TIME, "moved_alone");

/// What a pair lies apart by, and what it is called where it is alone.
const LEVELS: [(u8, u8); 5] = [
    (number(TIME, "end_for_start"), END_ALONE),
    (number(TIME, "zone"), HOUR_ALONE),
    (number(TIME, "hour"), HOUR_ALONE),
    (number(TIME, "quarter"), MOVED_ALONE),
    (number(TIME, "moved"), MOVED_ALONE),
];

fn alone(scored: &Scored) -> Option<u8> {
    LEVELS.iter().find(|(level, _)| *level == scored.pattern[TIME]).map(|(_, alone)| *alone)
}

/// Marks the pairs between two clusters that are alone. Of clusters that share a hub, the surest pair is handed back.
pub fn mark(clusters: &Clusters, pairs: &mut [Scored], weights: &Weights) -> Vec<Pair> {
    // Each cluster, and the source of the other's record.
    let sides = |pair: Pair| {
        let source = |at: usize| clusters.records[at].source;
        [(clusters.of[pair.a], source(pair.b)), (clusters.of[pair.b], source(pair.a))]
    };
    let mut rivals: BTreeMap<(usize, Source), BTreeSet<usize>> = BTreeMap::new();
    let is_by_hand = |s: &Scored| relation::kind(s.pattern[TIME]) == Kind::ByHand && s.bits > 0.0;
    for scored in pairs.iter().filter(|s| alone(s).is_some() || is_by_hand(s)) {
        let [of_a, of_b] = sides(scored.pair);
        rivals.entry(of_a).or_default().insert(of_b.0);
        rivals.entry(of_b).or_default().insert(of_a.0);
    }
    let mut surest: BTreeMap<(usize, usize), (f64, Pair)> = BTreeMap::new();
    for scored in pairs.iter_mut() {
        let Some(level) = alone(scored) else { continue };
        let (one, other) = clusters.both(scored.pair);
        if one == other || sides(scored.pair).iter().any(|side| rivals[side].len() > 1) {
            continue;
        }
        let shared = shared(clusters, one, other);
        // A clock that is off is off in no copy of another time.
        let may_be_copies = shared == Shared::Nothing || (shared == Shared::Hub && level == END_ALONE);
        if !may_be_copies || (level == MOVED_ALONE && is_moved_by_chance(clusters, scored.pair)) {
            continue;
        }
        scored.pattern[TIME] = level;
        scored.bits = weights.score(&scored.pattern);
        let best = surest.entry((one, other)).or_insert((f64::NEG_INFINITY, scored.pair));
        if shared == Shared::Hub && scored.bits > best.0 {
            *best = (scored.bits, scored.pair);
        }
    }
    let surest = surest.into_values().filter(|(bits, _)| *bits > 0.0);
    surest.map(|(_, pair)| pair).collect()
}

/// What two clusters have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shared {
    Nothing,
    /// Only hubs, which hold copies of each; and each has a source of its own.
    Hub,
    /// A device that tells of both, or nothing else: they are two.
    Device,
}

fn shared(clusters: &Clusters, one: usize, other: usize) -> Shared {
    let (of_one, of_other) = (clusters.sources(one), clusters.sources(other));
    let both: Vec<_> = of_one.intersection(&of_other).collect();
    let has_own = both.len() < of_one.len().min(of_other.len());
    // People post to Strava themselves; a hub takes over what it is given.
    match both.iter().all(|source| source.spec().is_hub()) {
        _ if both.is_empty() => Shared::Nothing,
        true if has_own => Shared::Hub,
        _ => Shared::Device,
    }
}

/// Sizes agree by chance where any shift would do: of what others confirm at their own times, and of the next lap.
fn is_moved_by_chance(clusters: &Clusters, pair: Pair) -> bool {
    let is_told = |at: usize| clusters.is_confirmed(clusters.of[at]);
    (is_told(pair.a) && is_told(pair.b))
        || relation::is_next_to(&clusters.placed[pair.a], &clusters.placed[pair.b])
}
