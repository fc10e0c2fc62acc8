//! What a lake teaches about its weights without labels, and what people's answers add.
//!
//! Expectation maximisation over the patterns of candidates: each is taken for a match as far as the weights
//! so far say, and the shares of levels are counted anew. What pairs by chance look like is seen in the same
//! records with sources moved some weeks against each other. The shipped table counts as pairs seen before,
//! and nothing that is learned departs from it by more than `FURTHEST_BITS`: a lake of ten people works as
//! well as one of ten thousand, and a strange one does not teach nonsense.

use std::collections::BTreeMap;

use super::levels::{COMPARISONS, Pattern};
use super::weights::{Chances, Weights};

/// The starting table counts as this many pairs, of either kind.
const SEEN_BEFORE: f64 = 1_000.0;
/// An answer counts as this many pairs: a person looked at it.
const ANSWER_WEIGHT: f64 = 5.0;
/// How far a learned weight may be from the shipped one.
const FURTHEST_BITS: f64 = 0.5;
const ROUNDS: usize = 60;
const STILL: f64 = 1e-5;

/// What weights are learned from.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Seen {
    /// How often each pattern shows among candidates of different sources,
    pub candidates: BTreeMap<Pattern, u64>,
    /// and among those that there would be if no workout had two records.
    pub by_chance: BTreeMap<Pattern, u64>,
    /// Of pairs that people spoke about: said to be the same, and different.
    pub answered: BTreeMap<Pattern, (u64, u64)>,
}

impl Seen {
    pub fn pairs(&self) -> u64 {
        self.candidates.values().sum()
    }

    pub fn add(&mut self, other: Seen) {
        for (to, from) in [(&mut self.candidates, other.candidates), (&mut self.by_chance, other.by_chance)] {
            for (pattern, count) in from {
                *to.entry(pattern).or_insert(0) += count;
            }
        }
        for (pattern, (same, different)) in other.answered {
            let sums = self.answered.entry(pattern).or_insert((0, 0));
            *sums = (sums.0 + same, sums.1 + different);
        }
    }
}

/// Of each comparison, the share (or count) of each level.
type Shares = Vec<Vec<f64>>;

impl Weights {
    /// Learns from unlabelled pairs and from answers. What the relation in time and the identity are worth
    /// is not learned.
    pub fn learn(&self, seen: &Seen) -> Weights {
        let mut chance = self.counts(|c| c.u);
        for (pattern, count) in &seen.by_chance {
            count_in(&mut chance, pattern, *count as f64);
        }
        for (pattern, (_, different)) in &seen.answered {
            count_in(&mut chance, pattern, *different as f64 * ANSWER_WEIGHT);
        }
        let chance = normalised(chance);
        let mut now = self.clone();
        for _ in 0..ROUNDS {
            let mut matches = self.counts(|c| c.m);
            for (pattern, count) in &seen.candidates {
                let odds = now.score(pattern).clamp(-40.0, 40.0).exp2();
                count_in(&mut matches, pattern, *count as f64 * odds / (1.0 + odds));
            }
            for (pattern, (same, _)) in &seen.answered {
                count_in(&mut matches, pattern, *same as f64 * ANSWER_WEIGHT);
            }
            let next = self.near(&normalised(matches), &chance);
            let moved = now.furthest(&next);
            now = next;
            if moved < STILL {
                break;
            }
        }
        now.learned_from = Some(seen.pairs());
        now
    }

    fn counts(&self, share: impl Fn(&Chances) -> f64) -> Shares {
        let of = |levels: &Vec<Chances>| levels.iter().map(|c| share(c) * SEEN_BEFORE).collect();
        self.chances.iter().map(of).collect()
    }

    /// These shares, as far as they are not too far from the shipped ones.
    fn near(&self, matches: &Shares, chance: &Shares) -> Weights {
        let mut chances = self.chances.clone();
        for (at, comparison) in COMPARISONS.iter().enumerate().filter(|(_, c)| c.is_learned) {
            for level in 0..comparison.levels.len() {
                let shipped = self.bits(at, level as u8);
                let (m, u) = (matches[at][level], chance[at][level]);
                let learned = (m / u).log2();
                let bits = learned.clamp(shipped - FURTHEST_BITS, shipped + FURTHEST_BITS);
                chances[at][level] = Chances { m, u: (m / bits.exp2()).min(0.999) };
            }
        }
        Weights::new(self.prior, chances)
    }

    /// The most that a weight of the other differs, in bits.
    fn furthest(&self, other: &Weights) -> f64 {
        let of = |at: usize| {
            (0..COMPARISONS[at].levels.len() as u8)
                .map(move |level| (self.bits(at, level) - other.bits(at, level)).abs())
        };
        (0..COMPARISONS.len()).flat_map(of).fold(0.0, f64::max)
    }
}

fn count_in(counts: &mut Shares, pattern: &Pattern, count: f64) {
    for (comparison, level) in pattern.iter().enumerate() {
        if let Some(sum) = counts[comparison].get_mut(usize::from(*level)) {
            *sum += count;
        }
    }
}

/// Levels of parts add up to one by themselves, and so do the others.
fn normalised(mut counts: Shares) -> Shares {
    const LEAST: f64 = 1e-7;
    for (levels, comparison) in counts.iter_mut().zip(&COMPARISONS) {
        for is_of_part in [false, true] {
            let is_meant = |at: usize| comparison.levels[at].is_of_part == is_of_part;
            let sum: f64 = (0..levels.len()).filter(|at| is_meant(*at)).map(|at| levels[at]).sum();
            for at in (0..levels.len()).filter(|at| is_meant(*at)) {
                levels[at] = (levels[at] / sum.max(LEAST)).clamp(LEAST, 1.0 - LEAST);
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::levels::{ABSENT, DISTANCE, SPORT, TIME, number};
    use super::*;

    fn pattern(when: &str, distance: &str, sport: &str) -> Pattern {
        [number(TIME, when), number(DISTANCE, distance), number(SPORT, sport), ABSENT, ABSENT, ABSENT]
    }

    #[test]
    fn a_lake_teaches_what_its_sources_do_and_a_small_or_strange_one_little() {
        let mut seen = Seen::default();
        // In this lake the sources seldom agree on the distance to the metre.
        for (distance, share) in [("same", 5), ("close", 70), ("different", 25)] {
            for when in ["same", "close"] {
                seen.candidates.insert(pattern(when, distance, "same"), share * 900);
            }
        }
        for (distance, share) in [("same", 2), ("near", 8), ("different", 90)] {
            seen.candidates.insert(pattern("moved", distance, "different"), share * 900);
            seen.by_chance.insert(pattern("moved", distance, "different"), share * 2_700);
        }
        let (shipped, learned) = (Weights::default(), Weights::default().learn(&seen));
        let moved = |weights: &Weights, name: &str| {
            weights.bits(DISTANCE, number(DISTANCE, name)) - shipped.bits(DISTANCE, number(DISTANCE, name))
        };
        assert!(moved(&learned, "same") < -0.45 && moved(&learned, "close") > 0.45, "{learned:?}");
        assert!(moved(&learned, "same") >= -FURTHEST_BITS - 1e-9);
        for at in 0..COMPARISONS[TIME].levels.len() as u8 {
            assert_eq!(learned.bits(TIME, at), shipped.bits(TIME, at), "what must be true is not learned");
        }
        for count in seen.candidates.values_mut().chain(seen.by_chance.values_mut()) {
            *count = count.div_ceil(9_000);
        }
        let few = Weights::default().learn(&seen);
        assert!(moved(&few, "close") < 0.25, "{}", moved(&few, "close"));
    }

    #[test]
    fn an_answer_teaches_and_many_teach_more() {
        let mut seen = Seen::default();
        let odd = pattern("same", "different", "same");
        seen.answered.insert(odd, (3, 0));
        let worth = |weights: &Weights| weights.bits(DISTANCE, number(DISTANCE, "different"));
        let shipped = worth(&Weights::default());
        let few = worth(&Weights::default().learn(&seen));
        seen.answered.insert(odd, (200, 0));
        let many = worth(&Weights::default().learn(&seen));
        assert!(shipped < few && few < many, "{shipped} {few} {many}");
    }
}
