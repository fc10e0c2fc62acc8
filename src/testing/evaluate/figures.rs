//! Precision, recall and F1, and the intervals that chance leaves open.

use std::collections::HashSet;
use std::hash::Hash;
use std::iter::Sum;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

/// Right, wrong and missed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub right: u64,
    pub wrong: u64,
    pub missed: u64,
}

impl Counts {
    pub fn of<T: Eq + Hash>(found: &HashSet<T>, truth: &HashSet<T>) -> Counts {
        let right = found.intersection(truth).count() as u64;
        Counts { right, wrong: found.len() as u64 - right, missed: truth.len() as u64 - right }
    }

    /// One more, that was found or not and is true or not.
    pub fn saw(&mut self, was_found: bool, is_true: bool) {
        match (was_found, is_true) {
            (true, true) => self.right += 1,
            (true, false) => self.wrong += 1,
            (false, true) => self.missed += 1,
            (false, false) => {}
        }
    }

    pub fn precision(&self) -> f64 {
        share(self.right, self.right + self.wrong)
    }

    pub fn recall(&self) -> f64 {
        share(self.right, self.right + self.missed)
    }

    pub fn f1(&self) -> f64 {
        share(2 * self.right, 2 * self.right + self.wrong + self.missed)
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(all: I) -> Counts {
        all.fold(Counts::default(), |sum, one| Counts {
            right: sum.right + one.right,
            wrong: sum.wrong + one.wrong,
            missed: sum.missed + one.missed,
        })
    }
}

/// Of nothing, everything is right.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// A share, and the interval that holds the true one in 95 of 100 cases.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    pub right: u64,
    pub wrong: u64,
    pub missed: u64,
    pub precision: Estimate,
    pub recall: Estimate,
    pub f1: Estimate,
}

const RESAMPLES: usize = 1_000;

impl Scores {
    /// Of the counts of people. People are independent of each other and their records are not, so people are
    /// what is drawn again. Where next to nothing went wrong that has nothing to draw, so an interval is at
    /// least Wilson's.
    pub fn of(people: &[Counts]) -> Scores {
        let sum: Counts = people.iter().copied().sum();
        let mut dice = Pcg64Mcg::seed_from_u64(95);
        let mut drawn: [Vec<f64>; 3] = Default::default();
        if sum.wrong + sum.missed > 0 {
            for _ in 0..RESAMPLES {
                let again: Counts =
                    (0..people.len()).map(|_| people[dice.random_range(0..people.len())]).sum();
                for (values, value) in drawn.iter_mut().zip([again.precision(), again.recall(), again.f1()]) {
                    values.push(value);
                }
            }
        }
        let estimate = |value: f64, drawn: &mut Vec<f64>, tries: u64| {
            let (mut low, mut high) = wilson(value, tries);
            if !drawn.is_empty() {
                drawn.sort_by(f64::total_cmp);
                low = low.min(drawn[RESAMPLES / 40]);
                high = high.max(drawn[RESAMPLES - 1 - RESAMPLES / 40]);
            }
            Estimate { value, low, high }
        };
        let [precision, recall, f1] = &mut drawn;
        Scores {
            right: sum.right,
            wrong: sum.wrong,
            missed: sum.missed,
            precision: estimate(sum.precision(), precision, sum.right + sum.wrong),
            recall: estimate(sum.recall(), recall, sum.right + sum.missed),
            f1: estimate(sum.f1(), f1, sum.right + (sum.wrong + sum.missed) / 2),
        }
    }
}

/// A share of independent tries.
pub fn share_of(right: u64, tries: u64) -> Estimate {
    let value = share(right, tries);
    let (low, high) = wilson(value, tries);
    Estimate { value, low, high }
}

/// Wilson's score interval.
fn wilson(share: f64, tries: u64) -> (f64, f64) {
    const Z: f64 = 1.959_964;
    if tries == 0 {
        return (0.0, 1.0);
    }
    let n = tries as f64;
    let middle = share + Z * Z / (2.0 * n);
    let width = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((middle - width) / scale).max(0.0), ((middle + width) / scale).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_hold_their_values_and_grow_with_clustered_errors() {
        // As printed for 10 of 10 and 81 of 263 in the literature.
        let (low, high) = wilson(1.0, 10);
        assert!((low - 0.7225).abs() < 1e-3 && high > 0.999_999, "{low} {high}");
        let (low, high) = wilson(81.0 / 263.0, 263);
        assert!((low - 0.2553).abs() < 1e-3 && (high - 0.3662).abs() < 1e-3, "{low} {high}");
        let even: Vec<Counts> = vec![Counts { right: 99, wrong: 1, missed: 0 }; 100];
        let mut odd = vec![Counts { right: 100, wrong: 0, missed: 0 }; 98];
        odd.extend([Counts { right: 50, wrong: 50, missed: 0 }; 2]);
        let (even, odd) = (Scores::of(&even), Scores::of(&odd));
        assert_eq!(even.precision.value, odd.precision.value);
        assert!(odd.precision.low < even.precision.low - 0.005, "{odd:?} {even:?}");
        let none = Scores::of(&[Counts::default()]);
        assert_eq!((none.f1.value, none.f1.low), (1.0, 0.0));
    }
}
