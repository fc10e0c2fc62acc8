//! A pair with what was found out about it, and what was decided.

use super::block::Pair;
use super::compare::{self, Confusion};
use super::levels::Pattern;
use super::record::Record;
use super::relation::Timing;
use super::weights::Weights;

/// What became of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    NoMatch,
    /// It may be; somebody should look.
    Review,
    Match,
}

/// What decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The weights by themselves.
    Weight,
    /// Another pair of the same record was worth more.
    Assigned,
    /// It would have brought together what cannot be one.
    Conflict,
    /// Another record fits about as well, and nothing tells which.
    Rivals,
    /// The stricter rule for two records of one source.
    Copy,
    /// One is one of several parts of the other.
    Part,
    /// Others brought them together.
    Group,
    /// A person said so.
    Person,
}

impl Decision {
    pub fn name(self) -> &'static str {
        match self {
            Decision::Match => "match",
            Decision::Review => "review",
            Decision::NoMatch => "no_match",
        }
    }
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::Weight => "weight",
            Reason::Assigned => "assigned",
            Reason::Conflict => "conflict",
            Reason::Rivals => "rivals",
            Reason::Copy => "copy",
            Reason::Part => "part",
            Reason::Group => "group",
            Reason::Person => "person",
        }
    }
}

/// Two records, what was found out about them, and what was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    pub pair: Pair,
    /// What the second clock was taken to be ahead.
    pub clock_s: i64,
    pub shift_s: i64,
    pub pattern: Pattern,
    /// What speaks for or against it that no level names: what else there is around the two.
    pub circumstances_bits: f64,
    /// log2 of the odds that it is the same workout.
    pub bits: f64,
    pub decision: Decision,
    pub reason: Reason,
}

pub fn scored(
    records: &[Record],
    pair: Pair,
    (clock_s, timing): (i64, Timing),
    weights: &Weights,
    confusion: &Confusion,
) -> Scored {
    let pattern = compare::pattern(&records[pair.a], &records[pair.b], timing, confusion);
    Scored {
        pair,
        clock_s,
        shift_s: timing.shift_s,
        pattern,
        circumstances_bits: 0.0,
        bits: weights.score(&pattern),
        decision: Decision::NoMatch,
        reason: Reason::Weight,
    }
}
