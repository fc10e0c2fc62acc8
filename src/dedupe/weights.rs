//! What agreeing and disagreeing is worth: the match weights of Fellegi and Sunter.
//!
//! Of each level of each comparison (see [`levels`](super::levels)), `m` is how often pairs that are the
//! same workout show it, and `u` how often others do. Its weight is log2(m / u), in bits: ten bits are odds
//! of a thousand to one. Weights of the comparisons add up to the pair's, from the prior odds that a
//! candidate is a match at all. They lie in the lake as a file that people can read, pin and edit; how a
//! lake teaches them is in [`learn`](super::learn).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;

pub use super::learn::Seen;
pub use super::levels::{COMPARISONS, Comparison, level_name};
use super::levels::{Level, Pattern};
use crate::error::{Error, Result};

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

const PRIOR: f64 = 0.15;
/// Nothing is impossible.
const LEAST: f64 = 1e-7;
/// No comparison by itself says more than this either way.
const MOST_BITS: f64 = 20.0;

impl Default for Weights {
    fn default() -> Self {
        let chances = |comparison: &Comparison| {
            comparison.levels.iter().map(|level| Chances { m: level.m, u: level.u }).collect()
        };
        Weights::new(PRIOR, COMPARISONS.iter().map(chances).collect())
    }
}

impl Weights {
    pub(super) fn new(prior: f64, chances: Vec<Vec<Chances>>) -> Weights {
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
            ("inside =", "crooked =", "[track] has no level \"crooked\""),
            ("prior =", "prior", "cannot be read"),
        ] {
            let e = Weights::from_toml(&text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(e.contains(says), "{e}");
        }
    }
}
