//! The store of pairs: what was compared, what it was worth, and what was decided.

use jiff::Timestamp;

use super::columns::record;

record! {
    /// One row of the `matches` dataset: two activities of one user that could be the same workout. Weights
    /// are in bits: log2 of how much likelier what was found is of one workout than of two.
    pub struct Match, MatchColumns {
        #[col(statistics)]
        pub user_id: String,
        pub source_a: &'static str,
        #[col(encoding = Plain)]
        pub source_id_a: String,
        pub source_b: &'static str,
        #[col(encoding = Plain)]
        pub source_id_b: String,
        #[col(encoding = Differences)]
        pub start_time_a: Timestamp,
        #[col(encoding = Plain)]
        pub start_time_b: Timestamp,
        /// What the clock of the second source was found to be ahead of the first's.
        pub clock_s: i32,
        /// What the second start is later than it should be for reasons of zone or clock: what the two records
        /// were moved by, and the shift of this pair.
        pub shift_s: i32,
        /// What was found for the days around each record: what it was moved by before pairs were compared,
        /// and why: `local_time` (it gives local time as UTC), `clock` (off for a stretch of days),
        /// `copy` (of what lies there, told at another hour), `end_for_start`, `answered` (somebody said in which
        /// zone its clock was); null where it lies where it says.
        pub moved_a_s: i32,
        pub moved_a_why: Option<&'static str>,
        pub moved_b_s: i32,
        pub moved_b_why: Option<&'static str>,
        /// The level of each comparison; null where there was nothing to compare.
        pub time: Option<&'static str>,
        pub distance: Option<&'static str>,
        pub sport: Option<&'static str>,
        pub track: Option<&'static str>,
        pub identity: Option<&'static str>,
        pub effort: Option<&'static str>,
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
        pub decision: &'static str,
        /// `weight`; or `assigned` (another pair was worth more), `conflict` (it would have brought together
        /// what cannot be one), `rivals` (another record fits about as well), `copy` (given twice by one
        /// source), `part`, `group` (others brought them together), or `person`.
        pub reason: &'static str,
    }
}
