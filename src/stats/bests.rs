//! The best stretches of one recording.

/// What was covered since the beginning, at ascending times: straight between the samples. Distance in metres, or
/// energy in joules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Course {
    times_s: Vec<f64>,
    sums: Vec<f64>,
}

impl Course {
    /// Adds a sample. One that is earlier than the last, or less, is left out.
    pub fn push(&mut self, time_s: f64, sum: f64) {
        let is_next = |values: &[f64], value: f64| values.last().is_none_or(|last| value >= *last);
        if is_next(&self.times_s, time_s) && is_next(&self.sums, sum) {
            self.times_s.push(time_s);
            self.sums.push(sum);
        }
    }

    pub fn last(&self) -> Option<(f64, f64)> {
        Some((*self.times_s.last()?, *self.sums.last()?))
    }

    /// The shortest time in which this much was covered.
    pub fn shortest(&self, sum: f64) -> Option<f64> {
        let mut best: Option<f64> = None;
        each_stretch(&self.sums, &self.times_s, sum, |time_s| {
            best = Some(best.map_or(time_s, |b| b.min(time_s)));
        });
        best
    }

    /// The most that was covered in this time.
    pub fn most(&self, time_s: f64) -> Option<f64> {
        let mut best: Option<f64> = None;
        each_stretch(&self.times_s, &self.sums, time_s, |sum| best = Some(best.map_or(sum, |b| b.max(sum))));
        best
    }
}

/// How far `other` gets while `along` gets on by `length`, for each stretch that begins or ends at a sample. What is
/// straight between samples has its extremes there.
fn each_stretch(along: &[f64], other: &[f64], length: f64, mut take: impl FnMut(f64)) {
    let (mut ahead, mut behind) = (0, 0);
    for (here, value) in along.iter().zip(other) {
        if let Some(there) = value_at(along, other, &mut ahead, here + length) {
            take(there - value);
        }
        if let Some(there) = value_at(along, other, &mut behind, here - length) {
            take(value - there);
        }
    }
}

/// The value of `other` where `along` has this one; None outside of it. `next` is the first sample that is not before
/// it, and only moves on.
fn value_at(along: &[f64], other: &[f64], next: &mut usize, value: f64) -> Option<f64> {
    while along.get(*next).is_some_and(|v| *v < value) {
        *next += 1;
    }
    let here = *along.get(*next)?;
    if here == value {
        return Some(other[*next]);
    }
    let before = next.checked_sub(1)?;
    let share = (value - along[before]) / (here - along[before]);
    Some(other[before] + share * (other[*next] - other[before]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(samples: &[(f64, f64)]) -> Course {
        let mut course = Course::default();
        samples.iter().for_each(|(time_s, sum)| course.push(*time_s, *sum));
        course
    }

    #[test]
    fn the_fastest_kilometre_need_not_begin_at_a_sample() {
        // 2 m/s, then 5 m/s, then 2 m/s again.
        let run = course(&[(0.0, 0.0), (250.0, 500.0), (410.0, 1300.0), (660.0, 1800.0)]);
        assert_eq!(run.shortest(800.0), Some(160.0));
        assert_eq!(run.shortest(1000.0), Some(260.0));
        assert_eq!(run.shortest(1801.0), None);
        assert_eq!(run.most(160.0), Some(800.0));
        assert_eq!(run.most(661.0), None);
        assert_eq!(Course::default().most(1.0), None);
    }

    #[test]
    fn samples_that_go_back_are_left_out() {
        let run = course(&[(0.0, 0.0), (10.0, 50.0), (5.0, 60.0), (20.0, 40.0), (20.0, 100.0)]);
        assert_eq!(run, course(&[(0.0, 0.0), (10.0, 50.0), (20.0, 100.0)]));
    }

    proptest::proptest! {
        #[test]
        fn no_stretch_is_better_than_the_best(
            steps in proptest::collection::vec((1_u32..30, 0_u32..200), 1..40), tried in 0.0_f64..1.0, length in 1.0_f64..600.0
        ) {
            let (mut time_s, mut metres) = (0.0, 0.0);
            let mut run = course(&[(0.0, 0.0)]);
            for (seconds, more) in steps {
                time_s += f64::from(seconds);
                metres += f64::from(more);
                run.push(time_s, metres);
            }
            let begin = tried * (time_s - length);
            if begin >= 0.0 {
                let covered = |t: f64| value_at(&run.times_s, &run.sums, &mut 0, t).unwrap();
                let here = covered(begin + length) - covered(begin);
                proptest::prop_assert!(run.most(length).unwrap() >= here - 1e-6);
            }
        }
    }
}
