//! How much of a window is kept for the live pipeline, which spends from the same limits.
//!
//! Either a share of a full window, which shrinks with the time to the reset, or what live traffic is expected to need
//! until then, learned from the usage that was not ours, by hour of the UTC day, with room for chance. Both come to
//! nothing at the reset, so nothing is left unused.

use serde::Serialize;

use crate::store::state::rates::Observed;

/// Below this much observation, a share is kept.
const ENOUGH_S: f64 = 6.0 * 3_600.0;
/// How many standard deviations of chance there is room for.
const CHANCE: f64 = 3.0;
/// Never more than this share of a limit.
const MOST: f64 = 0.9;
const HOURS: usize = 24;
const HOUR_MS: i64 = 3_600_000;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reserve {
    /// Of a full window.
    Share(f64),
    /// Calls that live traffic makes per second, in each hour of the UTC day.
    Learned(Vec<f64>),
}

/// What is kept until enough was learned.
const FIRST_SHARE: f64 = 0.2;

impl Reserve {
    /// The share that was asked for, or what was learned.
    pub fn choose(share: Option<f64>, observed: &[Observed]) -> Reserve {
        share.map_or_else(|| Reserve::learn(observed, FIRST_SHARE), Reserve::Share)
    }

    /// Learned, where enough was seen; the share otherwise.
    pub fn learn(observed: &[Observed], share: f64) -> Reserve {
        let (seconds, calls) = observed.iter().fold((0.0, 0.0), |(s, c), o| (s + o.seconds, c + o.calls));
        if seconds < ENOUGH_S {
            return Reserve::Share(share);
        }
        let mean = calls / seconds;
        let of_hour = |hour: usize| {
            let of_it = observed.iter().filter(|o| usize::from(o.hour) == hour);
            let (seconds, calls) = of_it.fold((0.0, 0.0), |(s, c), o| (s + o.seconds, c + o.calls));
            // What little was seen of an hour is taken together with an hour of the mean.
            (calls + mean * 3_600.0) / (seconds + 3_600.0)
        };
        Reserve::Learned((0..HOURS).map(of_hour).collect())
    }

    /// Calls of a window that are kept, with this limit and length, from `now_ms` to its end.
    pub fn kept(&self, limit: u32, length_ms: i64, now_ms: i64, end_ms: i64) -> u32 {
        let left_ms = (end_ms - now_ms).max(0);
        let most = f64::from(limit) * MOST;
        match self {
            Reserve::Share(share) => {
                // Rounded up: until the reset one call is kept, because another may have been made unseen.
                (f64::from(limit) * share * left_ms as f64 / length_ms as f64).ceil() as u32
            }
            Reserve::Learned(per_s) => {
                let expected = expected(per_s, now_ms, end_ms);
                (expected + CHANCE * expected.sqrt()).ceil().min(most) as u32
            }
        }
    }

    /// The share of a whole window that is not ours, on average.
    pub fn share_of(&self, limit: u32, length_ms: i64) -> f64 {
        match self {
            Reserve::Share(share) => share / 2.0,
            Reserve::Learned(per_s) => {
                let mean = per_s.iter().sum::<f64>() / HOURS as f64;
                (mean * length_ms as f64 / 1_000.0 / f64::from(limit.max(1))).min(MOST)
            }
        }
    }
}

/// Calls between two times.
fn expected(per_s: &[f64], from_ms: i64, to_ms: i64) -> f64 {
    let mut calls = 0.0;
    let mut at_ms = from_ms;
    while at_ms < to_ms {
        let next_ms = ((at_ms.div_euclid(HOUR_MS) + 1) * HOUR_MS).min(to_ms);
        let hour = at_ms.div_euclid(HOUR_MS).rem_euclid(HOURS as i64) as usize;
        calls += per_s[hour] * (next_ms - at_ms) as f64 / 1_000.0;
        at_ms = next_ms;
    }
    calls
}

/// Watches a window for calls that are not ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    /// None for the window that this process began in: others of our calls may be in its count.
    window: Option<i64>,
    ours: u32,
    others: u32,
    until_ms: i64,
    seen: Vec<Observed>,
    current: i64,
}

impl Watch {
    pub fn new() -> Watch {
        Watch { window: None, ours: 0, others: 0, until_ms: 0, seen: Vec::new(), current: i64::MIN }
    }

    /// A call of ours goes out in this window.
    pub fn sent(&mut self, index: i64, length_ms: i64) {
        if index != self.current {
            self.end(length_ms);
            self.window = (self.current != i64::MIN).then_some(index);
            (self.current, self.ours, self.others) = (index, 0, 0);
            self.until_ms = index.saturating_mul(length_ms);
        }
        self.ours += 1;
    }

    /// The server has counted so many in it.
    pub fn counted(&mut self, index: i64, used: u32, now_ms: i64) {
        if index == self.current {
            self.others = self.others.max(used.saturating_sub(self.ours));
            self.until_ms = self.until_ms.max(now_ms);
        }
    }

    fn end(&mut self, length_ms: i64) {
        let Some(window) = self.window else { return };
        let begin_ms = window.saturating_mul(length_ms);
        let seconds = (self.until_ms - begin_ms) as f64 / 1_000.0;
        if seconds > 0.0 {
            let hour = begin_ms.div_euclid(HOUR_MS).rem_euclid(HOURS as i64) as u8;
            self.seen.push(Observed { hour, seconds, calls: f64::from(self.others) });
        }
    }

    /// What was seen since the last time.
    pub fn take(&mut self) -> Vec<Observed> {
        std::mem::take(&mut self.seen)
    }
}

impl Default for Watch {
    fn default() -> Watch {
        Watch::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_traffic_is_learned_by_the_hour_and_kept_for() {
        let busy = Observed { hour: 14, seconds: 20.0 * 3_600.0, calls: 2_000.0 };
        let quiet = Observed { hour: 3, seconds: 20.0 * 3_600.0, calls: 20.0 };
        let reserve = Reserve::learn(&[busy, quiet], 0.2);
        let window = |hour: i64| reserve.kept(100, 900_000, hour * HOUR_MS, hour * HOUR_MS + 900_000);
        assert!(window(14) > 35 && window(3) < 8, "{} {}", window(14), window(3));
        assert_eq!(reserve.kept(100, 900_000, 900_000, 900_000), 0, "nothing at the reset");
        assert_eq!(reserve.kept(10, 900_000, 14 * HOUR_MS, 14 * HOUR_MS + 900_000), 9, "never the whole");
    }

    #[test]
    fn little_observation_teaches_nothing() {
        let little = Observed { hour: 14, seconds: 3_600.0, calls: 2_000.0 };
        assert_eq!(Reserve::learn(&[little], 0.2), Reserve::Share(0.2));
    }

    #[test]
    fn only_what_is_not_ours_is_seen_and_never_in_the_first_window() {
        let mut watch = Watch::new();
        for (index, others) in [(10, 7), (11, 3), (12, 0)] {
            (0..5).for_each(|_| watch.sent(index, 900_000));
            watch.counted(index, 5 + others, index * 900_000 + 450_000);
        }
        assert_eq!(watch.take(), [Observed { hour: 2, seconds: 450.0, calls: 3.0 }]);
        assert_eq!(watch.take(), []);
    }
}
