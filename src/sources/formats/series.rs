//! Time series that know nothing of workouts, and the parts of them that lie within some.

use std::cmp::Reverse;

use super::recording::Sample;
use crate::model::activity::Activity;

/// When activities took place.
#[derive(Debug, Default)]
pub struct Windows {
    /// Begin and end in unix milliseconds, and which activity; by their begins.
    all: Vec<(i64, i64, usize)>,
    longest_ms: i64,
}

/// A longer one is a mistake that would gather everything.
const LONGEST_S: f64 = 2.0 * 86_400.0;

impl Windows {
    pub fn of<'a>(activities: impl Iterator<Item = &'a Activity>) -> Windows {
        let window = |(at, a): (usize, &Activity)| {
            let begin_ms = a.start_time.as_millisecond();
            let seconds = a.elapsed_s.or(a.moving_s).unwrap_or(0.0).clamp(0.0, LONGEST_S);
            (begin_ms, begin_ms + (seconds * 1000.0) as i64, at)
        };
        let mut all: Vec<_> = activities.enumerate().map(window).collect();
        all.sort_unstable();
        let longest_ms = all.iter().map(|(begin, end, _)| end - begin).max().unwrap_or(0);
        Windows { all, longest_ms }
    }

    /// The activities that a moment lies in.
    pub fn at(&self, time_ms: i64) -> impl Iterator<Item = usize> {
        self.within(time_ms, time_ms).map(|(_, _, at)| at)
    }

    /// Whether one of them was going on between two moments.
    pub fn touch(&self, from_ms: i64, to_ms: i64) -> bool {
        self.within(from_ms, to_ms).next().is_some()
    }

    /// The activities that went on between two moments: begin, end and which.
    pub fn within(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = (i64, i64, usize)> {
        let begun = self.all.partition_point(|(begin, _, _)| *begin <= to_ms);
        let earliest = from_ms.saturating_sub(self.longest_ms);
        let candidates = self.all[..begun].iter().rev().take_while(move |(begin, _, _)| *begin >= earliest);
        candidates.filter(move |(_, end, _)| *end >= from_ms).copied()
    }
}

/// How much there was of something between two moments, in unix milliseconds.
pub type Span = (i64, i64, f64);

/// What all of them sum to, with no moment counted twice: a watch and a phone, or minutes and the whole, tell the same
/// way twice. None where there are none.
pub fn sum_of_spans(mut spans: Vec<Span>) -> Option<f64> {
    // Of those that begin together, the longest tells.
    spans.sort_by_key(|(begin, end, _)| (*begin, Reverse(*end)));
    let mut told_until = i64::MIN;
    let share = |(begin, end, value): Span| {
        let untold = end.saturating_sub(begin.max(told_until)).max(0);
        let is_new = begin >= told_until;
        told_until = told_until.max(end);
        if is_new { value } else { value * untold as f64 / end.saturating_sub(begin).max(1) as f64 }
    };
    spans.into_iter().map(share).reduce(|sum, value| sum + value)
}

/// A heart rate: unix milliseconds and beats a minute.
pub type Rate = (i64, i32);

/// Puts heart rates among samples that have none: in the sample of the same second, or in one of
/// their own.
pub fn add_heart_rates(samples: &mut Vec<Sample>, rates: &[Rate]) {
    if samples.iter().any(|sample| sample.heart_rate_bpm.is_some()) || rates.is_empty() {
        return;
    }
    samples.extend(rates.iter().map(|(time_ms, bpm)| Sample {
        time_ms: *time_ms,
        heart_rate_bpm: Some(*bpm),
        stretch: OF_NO_STRETCH,
        ..Sample::default()
    }));
    // Stable: of one second, what was there stands before the rate.
    samples.sort_by_key(|sample| sample.time_ms.div_euclid(1000));
    samples.dedup_by(|rate, sample| {
        let is_same = rate.time_ms.div_euclid(1000) == sample.time_ms.div_euclid(1000)
            && (rate.lat_e7.is_none() && rate.distance_m.is_none());
        if is_same {
            sample.heart_rate_bpm = sample.heart_rate_bpm.or(rate.heart_rate_bpm);
        }
        is_same
    });
    let mut stretch = 0;
    for sample in samples {
        if sample.stretch == OF_NO_STRETCH {
            sample.stretch = stretch;
        }
        stretch = sample.stretch;
    }
}

/// Of a rate whose sample is that of no record: it belongs to the stretch around it.
const OF_NO_STRETCH: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_overlaps_is_counted_once() {
        let minutes = |from: i64| (from..from + 10).map(|m| (m * 60_000, (m + 1) * 60_000, 5.0));
        assert_eq!(sum_of_spans(minutes(0).collect()), Some(50.0));
        let whole = [(0, 600_000, 48.0)];
        assert_eq!(sum_of_spans(minutes(0).chain(whole).collect()), Some(48.0), "minutes within the whole");
        assert_eq!(sum_of_spans(minutes(0).chain(minutes(0)).collect()), Some(50.0), "twice");
        assert_eq!(
            sum_of_spans(vec![(0, 60_000, 6.0), (30_000, 90_000, 6.0)]),
            Some(9.0),
            "half of the second"
        );
        assert_eq!(sum_of_spans(vec![(5, 5, 1.0), (7, 7, 1.0)]), Some(2.0), "moments");
        assert_eq!(sum_of_spans(vec![(i64::MIN, i64::MAX, 1.0), (0, 9, 1.0)]), Some(1.0));
        assert_eq!(sum_of_spans(Vec::new()), None);
    }

    proptest! {
        #[test]
        fn the_activities_at_a_moment_are_those_that_a_slow_search_finds(
            spans in prop::collection::vec((0_i64..1000, 0_i64..300), 0..40), moment in 0_i64..1400
        ) {
            let activities: Vec<Activity> = spans
                .iter()
                .map(|(begin, length)| Activity {
                    start_time: Timestamp::from_second(*begin).unwrap(),
                    elapsed_s: Some(*length as f64),
                    ..Activity::default()
                })
                .collect();
            let windows = Windows::of(activities.iter());
            let mut found: Vec<usize> = windows.at(moment * 1000).collect();
            found.sort_unstable();
            let slow: Vec<usize> = (0..spans.len())
                .filter(|at| (spans[*at].0..=spans[*at].0 + spans[*at].1).contains(&moment))
                .collect();
            prop_assert_eq!(found, slow);
        }
    }
}
