//! A pair that was scored as a row of the `matches` dataset.

use jiff::{SignedDuration, Timestamp};

use super::levels::{COMPARISONS, level_name};
use super::placed::Placed;
use super::record::Record;
use super::scored::Scored;
use super::weights::Weights;
use crate::model::pair::Match;

fn time(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

pub fn row(
    user_id: &str,
    (records, placed): (&[Record], &[Placed]),
    scored: &Scored,
    weights: &Weights,
) -> Match {
    let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
    let level = |comparison: usize| level_name(comparison, scored.pattern[comparison]);
    let bits = |comparison: usize| weights.bits(comparison, scored.pattern[comparison]) as f32;
    const { assert!(COMPARISONS.len() == 6, "each has its columns") };
    let odds = scored.bits.exp2();
    let moved = |at: usize| {
        let moved_s = placed[at].start_s - records[at].start_s;
        (moved_s as i32, (moved_s != 0).then(|| placed[at].why.name()))
    };
    let ((moved_a_s, moved_a_why), (moved_b_s, moved_b_why)) = (moved(scored.pair.a), moved(scored.pair.b));
    Match {
        user_id: user_id.to_string(),
        source_a: a.source.name(),
        source_id_a: a.source_id.clone(),
        source_b: b.source.name(),
        source_id_b: b.source_id.clone(),
        start_time_a: time(a.start_s),
        start_time_b: time(b.start_s),
        clock_s: scored.clock_s as i32,
        shift_s: scored.shift_s as i32,
        moved_a_s,
        moved_a_why,
        moved_b_s,
        moved_b_why,
        time: level(0),
        distance: level(1),
        sport: level(2),
        track: level(3),
        identity: level(4),
        effort: level(5),
        prior_bits: weights.prior_bits() as f32,
        time_bits: bits(0) + scored.circumstances_bits as f32,
        distance_bits: bits(1),
        sport_bits: bits(2),
        track_bits: bits(3),
        identity_bits: bits(4),
        effort_bits: bits(5),
        bits: scored.bits as f32,
        probability: (odds / (1.0 + odds)) as f32,
        decision: scored.decision.name(),
        reason: scored.reason.name(),
    }
}
