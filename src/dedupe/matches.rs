//! The store of pairs: what was compared, what it was worth, and what was decided.

use jiff::{SignedDuration, Timestamp};

use super::link::Scored;
use super::record::Record;
use super::weights::{COMPARISONS, Weights, level_name};
use crate::dataset::columns::record;

record! {
    /// One row of the `matches` dataset: two activities of one user that could be the same workout. Weights
    /// are in bits: log2 of how much likelier what was found is of one workout than of two.
    pub struct Match, MatchColumns {
        pub user_id: String,
        pub source_a: String,
        pub source_id_a: String,
        pub source_b: String,
        pub source_id_b: String,
        pub start_time_a: Timestamp,
        pub start_time_b: Timestamp,
        /// What the clock of the second source was found to be ahead of the first's.
        pub clock_s: i32,
        /// Whole quarters of an hour between the starts, where zones were taken for each other.
        pub shift_s: i32,
        /// The level of each comparison; null where there was nothing to compare.
        pub time: Option<String>,
        pub distance: Option<String>,
        pub sport: Option<String>,
        pub track: Option<String>,
        pub identity: Option<String>,
        pub effort: Option<String>,
        /// Before anything is compared.
        pub prior_bits: f32,
        pub time_bits: f32,
        pub distance_bits: f32,
        pub sport_bits: f32,
        pub track_bits: f32,
        pub identity_bits: f32,
        pub effort_bits: f32,
        /// The sum of the above: log2 of the odds that it is one workout.
        pub bits: f32,
        pub probability: f32,
        /// `match`, `review` or `no_match`.
        pub decision: String,
        /// `weight`; or `assigned` (another pair was worth more), `conflict` (two of one source would have
        /// come together), `copy` (within one source), `part`, `group` (others brought them together), or `person`.
        pub reason: String,
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

pub fn row(user_id: &str, records: &[Record], scored: &Scored, weights: &Weights) -> Match {
    let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
    let level = |comparison: usize| level_name(comparison, scored.pattern[comparison]).map(str::to_string);
    let bits = |comparison: usize| weights.bits(comparison, scored.pattern[comparison]) as f32;
    const { assert!(COMPARISONS.len() == 6, "each has its columns") };
    let odds = scored.bits.exp2();
    Match {
        user_id: user_id.to_string(),
        source_a: a.source.to_string(),
        source_id_a: a.source_id.clone(),
        source_b: b.source.to_string(),
        source_id_b: b.source_id.clone(),
        start_time_a: time(a.start_s),
        start_time_b: time(b.start_s),
        clock_s: scored.clock_s as i32,
        shift_s: scored.shift_s as i32,
        time: level(0),
        distance: level(1),
        sport: level(2),
        track: level(3),
        identity: level(4),
        effort: level(5),
        prior_bits: weights.prior_bits() as f32,
        time_bits: bits(0),
        distance_bits: bits(1),
        sport_bits: bits(2),
        track_bits: bits(3),
        identity_bits: bits(4),
        effort_bits: bits(5),
        bits: scored.bits as f32,
        probability: (odds / (1.0 + odds)) as f32,
        decision: scored.decision.name().to_string(),
        reason: scored.reason.name().to_string(),
    }
}
