//! How far the clock of one source runs ahead of another's, and how that changes: fitted for each person
//! and pair of sources from the pairs that match without doubt.
//!
//! A clock that loses half a second a day, and is set right now and then, is followed by the median of its
//! neighbours in time: no line would fit it, and no fixed window holds it for long.

/// One sure pair: when, and how far the second record's start is ahead of the first's.
pub type Sighting = (i64, i64);

/// What is known of one pair of sources, by time.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Clock {
    sightings: Vec<Sighting>,
}

/// Neighbours that are looked at, on both sides together.
const NEIGHBOURS: usize = 9;
/// With fewer, a few odd pairs would move the clock.
const FEWEST: usize = 5;
/// A sighting from another season says nothing of today's clock.
const FURTHEST_S: i64 = 90 * 86_400;

impl Clock {
    pub fn new(mut sightings: Vec<Sighting>) -> Clock {
        sightings.sort_unstable();
        Clock { sightings }
    }

    /// Seconds that the second source is ahead at a time. None where nobody knows.
    pub fn ahead_s(&self, at_s: i64) -> Option<i64> {
        let all = &self.sightings;
        let middle = all.partition_point(|(when, _)| *when < at_s);
        let (mut from, mut to) = (middle, middle);
        while to - from < NEIGHBOURS {
            let before = from.checked_sub(1).map(|before| at_s - all[before].0);
            let after = all.get(to).map(|(when, _)| when - at_s);
            match (before, after) {
                (Some(before), after)
                    if before <= FURTHEST_S && after.is_none_or(|after| before <= after) =>
                {
                    from -= 1;
                }
                (_, Some(after)) if after <= FURTHEST_S => to += 1,
                _ => break,
            }
        }
        let mut ahead: Vec<i64> = all[from..to].iter().map(|(_, ahead)| *ahead).collect();
        if ahead.len() < FEWEST {
            return None;
        }
        ahead.sort_unstable();
        Some(ahead[ahead.len() / 2])
    }

    /// Seconds gained per day, between corrections: the median slope of neighbours some weeks apart, after
    /// Theil and Sen. None where there is too little to say.
    pub fn drift(&self) -> Option<Drift> {
        const FEWEST_SLOPES: usize = 20;
        const NEAREST_S: i64 = 10 * 86_400;
        let mut slopes = Vec::new();
        for (at, (when, ahead)) in self.sightings.iter().enumerate() {
            let later = &self.sightings[at + 1..];
            let later = &later[later.partition_point(|(later, _)| later - when < NEAREST_S)..];
            let near = later.iter().take_while(|(later, _)| later - when <= FURTHEST_S);
            for (later, later_ahead) in near.take(3 * NEIGHBOURS) {
                slopes.push((later_ahead - ahead) as f64 / ((later - when) as f64 / 86_400.0));
            }
        }
        if slopes.len() < FEWEST_SLOPES {
            return None;
        }
        let s_per_day = median(&mut slopes);
        let mut apart: Vec<f64> = slopes.iter().map(|slope| (slope - s_per_day).abs()).collect();
        // The median absolute deviation as a standard deviation, and that of a median. Slopes share their
        // ends, so there are no more independent ones than sightings.
        let deviation = 1.4826 * median(&mut apart);
        Some(Drift { s_per_day, error: 1.2533 * deviation / (self.sightings.len() as f64).sqrt() })
    }
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// How a clock drifts, and the standard error of that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    pub s_per_day: f64,
    pub error: f64,
}

impl Drift {
    /// Whether it drifts by more than chance and more than nothing: 0.05 s a day are 18 s in a year.
    pub fn is_sure(&self) -> bool {
        self.s_per_day.abs() >= 0.05_f64.max(3.0 * self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_drifts_and_is_set_right_is_followed() {
        const DAY_S: i64 = 86_400;
        // Half a second a day, set right every 400 days, seen every third day with some seconds of jitter.
        let truth = |day: i64| day % 400 / 2;
        let seen = (0..400).map(|n| n * 3).map(|day| (day * DAY_S, truth(day) + (day * 7) % 11 - 5));
        let clock = Clock::new(seen.collect());
        for day in [100, 350, 390, 500, 777, 1100] {
            let off = (clock.ahead_s(day * DAY_S).unwrap() - truth(day)).abs();
            assert!(off <= 9, "day {day}: off by {off} s");
        }
        let drift = clock.drift().unwrap();
        assert!((drift.s_per_day - 0.5).abs() < 0.05 && drift.is_sure(), "{drift:?}");
        let steady = Clock::new((0..400).map(|n| (n * 3 * DAY_S, (n * 7) % 41 - 20)).collect());
        assert!(!steady.drift().unwrap().is_sure(), "{:?}", steady.drift());
        assert_eq!(clock.ahead_s(5_000 * DAY_S), None, "years after the last");
        assert_eq!(Clock::new(vec![(0, 90); 4]).ahead_s(0), None, "four are too few");
    }
}
