//! What agreeing and disagreeing is worth: the match weights of Fellegi and Sunter.
//!
//! Six comparisons, as independent of each other as records of workouts let them be (time is one of
//! them, because start, end and duration are one thing seen three ways). Each has levels; of each level,
//! `m` is how often pairs that are the same workout show it, and `u` how often others do. Its weight is
//! log2(m / u), in bits: ten bits are odds of a thousand to one. Weights of the comparisons add up to the
//! pair's, from the prior odds that a candidate is a match at all.
//!
//! `m`, `u` and the prior are learned from unlabelled pairs by expectation maximisation, starting
//! from the table below, which also counts as pairs that were seen before, so that a small lake does not
//! learn nonsense. They lie in the lake as a file that people can read, pin and edit.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};

/// A level, and how often it was found where the starting table comes from.
#[derive(Debug)]
pub struct Level {
    pub name: &'static str,
    m: f64,
    u: f64,
}

/// One of the things that are compared.
#[derive(Debug)]
pub struct Comparison {
    pub name: &'static str,
    pub levels: &'static [Level],
}

const fn level(name: &'static str, m: f64, u: f64) -> Level {
    Level { name, m, u }
}

/// In the order of a [`Pattern`].
pub const COMPARISONS: [Comparison; 6] = [
    Comparison {
        name: "time",
        levels: &[
            // Start and duration agree: to the second, to 20 s, to a minute, to five.
            level("same", 0.38, 0.000_5),
            level("aligned", 0.16, 0.000_5),
            level("close", 0.24, 0.001),
            level("loose", 0.03, 0.002),
            // Starts agree, durations do not.
            level("start", 0.03, 0.02),
            // One lies within the other, or they overlap.
            level("inside", 0.003, 0.01),
            level("overlap", 0.005, 0.03),
            // Shifted by what the zone was off, by other whole hours, by quarters; durations agree.
            level("zone", 0.04, 0.03),
            level("hour", 0.005, 0.22),
            level("quarter", 0.001, 0.50),
            // Only the day is known: durations agree, or do not.
            level("day", 0.03, 0.03),
            level("day_only", 0.002, 0.12),
            level("beside", 0.004, 0.04),
        ],
    },
    Comparison {
        name: "distance",
        levels: &[
            level("same", 0.62, 0.01),
            level("close", 0.26, 0.03),
            level("near", 0.05, 0.08),
            level("miles_for_km", 0.02, 0.02),
            level("different", 0.05, 0.86),
        ],
    },
    Comparison {
        name: "sport",
        levels: &[
            level("same", 0.80, 0.20),
            level("family", 0.11, 0.08),
            level("unspecific", 0.07, 0.12),
            level("different", 0.02, 0.60),
        ],
    },
    Comparison {
        name: "track",
        levels: &[
            level("same", 0.93, 0.004),
            level("cropped", 0.045, 0.006),
            level("partly", 0.015, 0.03),
            level("elsewhere", 0.01, 0.96),
        ],
    },
    Comparison {
        name: "identity",
        levels: &[
            // The same file or the id that the other names; the same file name; one device, one second.
            level("same", 0.25, 0.000_001),
            level("name", 0.05, 0.000_1),
            level("device", 0.30, 0.001),
            level("another", 0.000_5, 0.30),
            level("none", 0.40, 0.70),
        ],
    },
    Comparison {
        name: "effort",
        levels: &[
            level("same", 0.50, 0.06),
            level("close", 0.35, 0.14),
            level("apart", 0.10, 0.20),
            level("different", 0.05, 0.60),
        ],
    },
];

pub const TIME: usize = 0;
pub const DISTANCE: usize = 1;
pub const SPORT: usize = 2;
pub const TRACK: usize = 3;
pub const IDENTITY: usize = 4;
pub const EFFORT: usize = 5;

/// There is nothing to compare.
pub const ABSENT: u8 = u8::MAX;

/// The level of each comparison.
pub type Pattern = [u8; COMPARISONS.len()];

/// The number of a level, by its name.
pub const fn number(comparison: usize, name: &str) -> u8 {
    let levels = COMPARISONS[comparison].levels;
    let mut at = 0;
    while at < levels.len() {
        if is_same(levels[at].name, name) {
            return at as u8;
        }
        at += 1;
    }
    panic!("the level is in the table")
}

const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

pub fn level_name(comparison: usize, level: u8) -> Option<&'static str> {
    COMPARISONS[comparison].levels.get(usize::from(level)).map(|level| level.name)
}

/// How often a level shows, among matches and among others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chances {
    pub m: f64,
    pub u: f64,
}

/// A model: the share of candidates that match, and the chances of every level.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    pub prior: f64,
    pub chances: Vec<Vec<Chances>>,
    /// Pairs that it was learned from; none where somebody wrote it.
    pub learned_from: Option<u64>,
    /// log2(m / u) of every level, and of the prior odds.
    bits: Vec<Vec<f64>>,
    prior_bits: f64,
}

/// The starting table counts as this many pairs, of either kind.
const SEEN_BEFORE: f64 = 300.0;
const PRIOR: f64 = 0.15;
/// Nothing is impossible.
const LEAST: f64 = 1e-7;
/// No comparison by itself says more than this either way.
const MOST_BITS: f64 = 20.0;

impl Default for Weights {
    fn default() -> Self {
        let chances = |comparison: &Comparison| {
            let m: f64 = comparison.levels.iter().map(|level| level.m).sum();
            let u: f64 = comparison.levels.iter().map(|level| level.u).sum();
            comparison.levels.iter().map(|level| Chances { m: level.m / m, u: level.u / u }).collect()
        };
        Weights::new(PRIOR, COMPARISONS.iter().map(chances).collect())
    }
}

impl Weights {
    fn new(prior: f64, chances: Vec<Vec<Chances>>) -> Weights {
        let bits = |c: &Chances| (c.m.max(LEAST) / c.u.max(LEAST)).log2().clamp(-MOST_BITS, MOST_BITS);
        let bits = chances.iter().map(|levels| levels.iter().map(bits).collect()).collect();
        Weights { prior, prior_bits: (prior / (1.0 - prior)).log2(), chances, learned_from: None, bits }
    }

    /// The same, as somebody's own: never learned anew.
    pub fn pinned(self) -> Weights {
        Weights { learned_from: None, ..self }
    }

    /// What the comparison says, in bits; nothing where there is nothing to compare.
    pub fn bits(&self, comparison: usize, level: u8) -> f64 {
        self.bits[comparison].get(usize::from(level)).copied().unwrap_or(0.0)
    }

    /// The log2 of the odds that the pair is the same workout, before anything is compared.
    pub fn prior_bits(&self) -> f64 {
        self.prior_bits
    }

    /// The log2 of the odds that the pair is the same workout.
    pub fn score(&self, pattern: &Pattern) -> f64 {
        let compared: f64 =
            pattern.iter().enumerate().map(|(comparison, level)| self.bits(comparison, *level)).sum();
        self.prior_bits + compared
    }

    /// Learns from unlabelled pairs: how often each pattern was seen, and how often where there can be no
    /// match.
    ///
    /// Of three kinds of candidates, the patterns of one are known: pairs by chance are as those of records
    /// that were moved some weeks. Those of matches, and of parts with their wholes, are found by expectation
    /// maximisation. Chance and parts together are the others of `u`.
    pub fn learn(&self, seen: &Seen) -> Weights {
        const ROUNDS: usize = 300;
        const STILL: f64 = 1e-7;
        let chance = shares(&self.u_as_counts(), &seen.by_chance);
        let total: f64 = seen.candidates.values().map(|count| *count as f64).sum::<f64>() + SEEN_BEFORE;
        let mut matches = self.chances.iter().map(|c| c.iter().map(|c| c.m).collect()).collect();
        let mut parts = part_shares();
        let (mut of_matches, mut of_parts) = (self.prior, 0.05);
        for _ in 0..ROUNDS {
            let (mut in_matches, mut in_parts) = (self.m_as_counts(), scaled(&part_shares(), SEEN_BEFORE));
            let (mut sum_matches, mut sum_parts) = (SEEN_BEFORE * self.prior, SEEN_BEFORE * 0.05);
            for (pattern, count) in &seen.candidates {
                let as_match = of_matches * likelihood(&matches, pattern);
                let as_part = of_parts * likelihood(&parts, pattern);
                let as_chance = (1.0 - of_matches - of_parts) * likelihood(&chance, pattern);
                let all = as_match + as_part + as_chance;
                if all <= 0.0 {
                    continue;
                }
                let count = *count as f64;
                let (match_share, part_share) = (as_match / all * count, as_part / all * count);
                sum_matches += match_share;
                sum_parts += part_share;
                for (comparison, level) in pattern.iter().enumerate() {
                    let level = usize::from(*level);
                    if let Some(sum) = in_matches[comparison].get_mut(level) {
                        *sum += match_share;
                        in_parts[comparison][level] += part_share;
                    }
                }
            }
            for level in PART_LEVELS {
                // What parts look like is not learned as what matches look like.
                let level = usize::from(number(TIME, level));
                in_matches[TIME][level] = self.chances[TIME][level].m * sum_matches;
            }
            in_matches[IDENTITY] = self.chances[IDENTITY].iter().map(|c| c.m).collect();
            in_parts[IDENTITY] = self.chances[IDENTITY].iter().map(|c| c.u).collect();
            (matches, parts) = (normalised(in_matches), normalised(in_parts));
            let before = of_matches;
            of_matches = (sum_matches / total).clamp(0.001, 0.95);
            of_parts = (sum_parts / total).clamp(0.0, 0.98 - of_matches);
            if (of_matches - before).abs() < STILL {
                break;
            }
        }
        let others = (1.0 - of_matches).max(0.001);
        let of_chance = (others - of_parts).max(0.0) / others;
        let mut chances: Vec<Vec<Chances>> = Vec::new();
        for comparison in 0..COMPARISONS.len() {
            let u = chance[comparison].iter().zip(&parts[comparison]);
            let u = u.map(|(chance, part)| of_chance * chance + (1.0 - of_chance) * part);
            let both = matches[comparison].iter().zip(u).map(|(m, u)| Chances { m: *m, u });
            chances.push(both.collect());
        }
        // The same file is the same file: a lake without one does not teach otherwise.
        chances[IDENTITY].clone_from(&self.chances[IDENTITY]);
        Weights { learned_from: Some(seen.pairs()), ..Weights::new(of_matches, chances) }
    }

    fn m_as_counts(&self) -> Shares {
        self.chances.iter().map(|levels| levels.iter().map(|c| c.m * SEEN_BEFORE).collect()).collect()
    }

    fn u_as_counts(&self) -> Shares {
        self.chances.iter().map(|levels| levels.iter().map(|c| c.u * SEEN_BEFORE).collect()).collect()
    }

    /// As a file that people read and edit.
    pub fn to_toml(&self) -> String {
        let mut text = String::from(
            "# How often levels of agreement show among pairs that are the same workout (m) and among others (u).\n\
             # The weight of a level is log2(m / u).\n",
        );
        writeln!(text, "prior = {}", self.prior).expect("memory");
        if let Some(pairs) = self.learned_from {
            writeln!(text, "learned_from = {pairs}").expect("memory");
        }
        for (comparison, (c, chances)) in COMPARISONS.iter().zip(&self.chances).enumerate() {
            writeln!(text, "\n[{}]", c.name).expect("memory");
            for (number, (level, Chances { m, u })) in c.levels.iter().zip(chances).enumerate() {
                let bits = self.bits(comparison, number as u8);
                writeln!(text, "{} = {{ m = {m}, u = {u} }} # {bits:+.1} bits", level.name).expect("memory");
            }
        }
        text
    }

    /// Those that a lake keeps.
    pub fn read(path: &Path) -> Result<Weights> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        Weights::parse(&text, path)
    }

    /// What a file says; `path` names it in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Weights> {
        let advise = |e| Error::damaged(path, format!("{e}; `longrun dedupe --learn` makes it anew"));
        Weights::from_toml(text).map_err(advise)
    }

    pub fn from_toml(text: &str) -> Result<Weights> {
        #[derive(Deserialize)]
        struct Written {
            m: f64,
            u: f64,
        }
        #[derive(Deserialize)]
        struct File {
            prior: f64,
            learned_from: Option<u64>,
            #[serde(flatten)]
            comparisons: BTreeMap<String, BTreeMap<String, Written>>,
        }
        let usage = |e: String| Error::Usage(format!("the weights cannot be read: {e}"));
        let file: File = toml::from_str(text).map_err(|e| usage(e.message().to_string()))?;
        let is_chance = |value: f64| value > 0.0 && value < 1.0;
        if !is_chance(file.prior) {
            return Err(usage(format!("prior = {} is not between 0 and 1", file.prior)));
        }
        let mut chances = Vec::new();
        for comparison in &COMPARISONS {
            let levels = file.comparisons.get(comparison.name);
            let levels = levels.ok_or_else(|| usage(format!("[{}] is missing", comparison.name)))?;
            let one = |level: &Level| {
                let place = format!("{} in [{}]", level.name, comparison.name);
                let written = levels.get(level.name).ok_or_else(|| usage(format!("{place} is missing")))?;
                if !is_chance(written.m) || !is_chance(written.u) {
                    return Err(usage(format!("{place}: m and u are shares between 0 and 1")));
                }
                Ok(Chances { m: written.m, u: written.u })
            };
            if let Some(stranger) = levels.keys().find(|k| comparison.levels.iter().all(|l| l.name != **k)) {
                return Err(usage(format!("[{}] has no level {stranger:?}", comparison.name)));
            }
            chances.push(comparison.levels.iter().map(one).collect::<Result<_>>()?);
        }
        Ok(Weights { learned_from: file.learned_from, ..Weights::new(file.prior, chances) })
    }
}

/// Of each comparison, the share of each level.
type Shares = Vec<Vec<f64>>;

/// What weights are learned from.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Seen {
    /// How often each pattern shows among candidates of different sources,
    pub candidates: BTreeMap<Pattern, u64>,
    /// and among those that there would be if no workout had two records.
    pub by_chance: BTreeMap<Pattern, u64>,
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
    }
}

/// How parts lie to their wholes.
const PART_LEVELS: [&str; 4] = ["start", "inside", "overlap", "beside"];

/// What parts look like beside their wholes, to begin with.
fn part_shares() -> Shares {
    let of = |comparison: usize, shares: &[(&str, f64)]| -> Vec<f64> {
        let levels = COMPARISONS[comparison].levels.iter();
        let share =
            |level: &Level| shares.iter().find(|(name, _)| *name == level.name).map_or(0.0, |(_, s)| *s);
        levels.map(share).collect()
    };
    vec![
        of(TIME, &[("start", 0.4), ("inside", 0.5), ("overlap", 0.08), ("beside", 0.02)]),
        of(
            DISTANCE,
            &[("same", 0.001), ("close", 0.002), ("near", 0.007), ("miles_for_km", 0.09), ("different", 0.9)],
        ),
        of(SPORT, &[("same", 0.8), ("family", 0.1), ("unspecific", 0.07), ("different", 0.03)]),
        of(TRACK, &[("same", 0.02), ("cropped", 0.78), ("partly", 0.15), ("elsewhere", 0.05)]),
        COMPARISONS[IDENTITY].levels.iter().map(|level| level.u).collect(),
        of(EFFORT, &[("same", 0.4), ("close", 0.3), ("apart", 0.1), ("different", 0.2)]),
    ]
}

fn scaled(shares: &Shares, by: f64) -> Shares {
    shares.iter().map(|levels| levels.iter().map(|share| share * by).collect()).collect()
}

fn normalised(mut counts: Shares) -> Shares {
    for levels in &mut counts {
        let sum: f64 = levels.iter().sum();
        levels.iter_mut().for_each(|count| *count /= sum.max(LEAST));
    }
    counts
}

/// The shares that counts come to, on top of what was seen before.
fn shares(before: &Shares, seen: &BTreeMap<Pattern, u64>) -> Shares {
    let mut counts = before.clone();
    for (pattern, count) in seen {
        for (comparison, level) in pattern.iter().enumerate() {
            if let Some(sum) = counts[comparison].get_mut(usize::from(*level)) {
                *sum += *count as f64;
            }
        }
    }
    normalised(counts)
}

fn likelihood(shares: &Shares, pattern: &Pattern) -> f64 {
    let of = |(comparison, level): (usize, &u8)| {
        shares[comparison].get(usize::from(*level)).copied().unwrap_or(1.0)
    };
    pattern.iter().enumerate().map(of).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_as_they_were_written_and_nothing_else_is() {
        let weights = Weights::default();
        let text = weights.to_toml();
        assert_eq!(Weights::from_toml(&text).unwrap(), weights);
        for (from, to, says) in [
            ("[sport]", "[colour]", "[sport] is missing"),
            ("prior = 0.15", "prior = 1.5", "prior = 1.5"),
            ("miles_for_km = { m = 0.02", "miles_for_km = { m = 0", "miles_for_km in [distance]: m and u"),
            ("cropped =", "crooked =", "[track] has no level \"crooked\""),
            ("prior =", "prior", "cannot be read"),
        ] {
            let e = Weights::from_toml(&text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(e.contains(says), "{e}");
        }
    }

    #[test]
    fn weights_that_made_the_pairs_are_learned_back() {
        // Of 18,000 candidates a half matches; in this lake distances are worse and sports better than usual.
        let pattern = |when, distance, sport| {
            [number(TIME, when), number(DISTANCE, distance), number(SPORT, sport), ABSENT, ABSENT, ABSENT]
        };
        let mut seen = Seen::default();
        for (distance, share) in [("same", 30), ("close", 50), ("different", 20)] {
            for when in ["same", "close"] {
                seen.candidates.insert(pattern(when, distance, "same"), share * 45);
            }
        }
        for (distance, share) in [("same", 2), ("near", 8), ("different", 90)] {
            for (when, times) in [("overlap", 40), ("hour", 50)] {
                seen.candidates.insert(pattern(when, distance, "different"), share * times);
                // Three times as many were looked at where there can be none.
                seen.by_chance.insert(pattern(when, distance, "different"), share * times * 3);
            }
        }
        let learned = Weights::default().learn(&seen);
        assert!((learned.prior - 0.5).abs() < 0.03, "{}", learned.prior);
        let m = |name| learned.chances[DISTANCE][usize::from(number(DISTANCE, name))].m;
        assert!((m("close") - 0.5).abs() < 0.03 && (m("same") - 0.3).abs() < 0.03);
        let u = learned.chances[DISTANCE][usize::from(number(DISTANCE, "near"))].u;
        assert!((u - 0.08).abs() < 0.02, "{u}");
        assert!(learned.score(&pattern("close", "different", "same")) > 3.0);
    }
}
