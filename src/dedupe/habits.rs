//! Which of a person's devices and apps tell of one workout within one source: a watch and a bike computer both upload
//! to one account, two apps both write into one hub.
//!
//! Where that is a habit, what they tell apart can be one workout, as if each had an account of its own. Where it is
//! none, whatever an account tells of twice is two workouts.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{Record, Recorder};
use super::scored::{Decision, Scored};

/// Of the workouts of the one that has fewer, so many are told by both.
const LEAST_SHARE: usize = 3;
const FEWEST: usize = 3;

#[derive(Debug, Default)]
pub struct Habits {
    /// Pairs of recorders of one source, both ways.
    twice: BTreeSet<(Recorder, Recorder)>,
}

impl Habits {
    /// By the pairs that match at one time.
    pub fn of(records: &[Record], pairs: &[Scored]) -> Habits {
        let mut told: BTreeMap<Recorder, usize> = BTreeMap::new();
        for record in records {
            *told.entry(record.recorder()).or_insert(0) += 1;
        }
        let mut both: BTreeMap<(Recorder, Recorder), BTreeSet<usize>> = BTreeMap::new();
        for scored in pairs.iter().filter(|s| s.decision == Decision::Match) {
            let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
            if a.source == b.source && !a.is_of_one_recorder_with(b) {
                let (one, other) = (a.recorder(), b.recorder());
                let key = (one.min(other), one.max(other));
                both.entry(key).or_default().insert(scored.pair.a);
            }
        }
        let is_habit = |(one, other): &(Recorder, Recorder), n: usize| {
            n >= FEWEST && LEAST_SHARE * n >= told[one].min(told[other])
        };
        let habits = both.into_iter().filter(|(key, at)| is_habit(key, at.len()));
        Habits { twice: habits.flat_map(|((one, other), _)| [(one, other), (other, one)]).collect() }
    }

    /// Whether two records are of one source and of two recorders that both tell of one workout.
    pub fn are_two(&self, a: &Record, b: &Record) -> bool {
        !self.twice.is_empty() && self.twice.contains(&(a.recorder(), b.recorder()))
    }

    /// Whether two records are of one source, which tells of a workout once.
    pub fn are_one_teller(&self, a: &Record, b: &Record) -> bool {
        a.source == b.source && !self.are_two(a, b)
    }
}
