//! How many requests may be sent, and when the next one may.
//!
//! Strava counts in fixed windows, quarter hours and the UTC day, in two pairs, overall and
//! reads, for all users of an application together; a refused request still counts against
//! the day. So what the server says it has counted is the truth, kept as the maximum seen
//! within a window, since answers arrive out of order. Requests in flight count as spent. A
//! reserve for the live pipeline, which spends from the same windows, shrinks with the time
//! to the reset and is never touched.
//!
//! Plain values in, plain values out: times are milliseconds of the server's clock.

use serde::Serialize;

/// What an answer's headers say of one pair of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairSeen {
    pub short_limit: u32,
    pub day_limit: u32,
    pub short_used: u32,
    pub day_used: u32,
}

/// The four rate headers of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateSeen {
    pub overall: Option<PairSeen>,
    pub read: Option<PairSeen>,
}

/// One fixed window, as the server last told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    pub limit: u32,
    pub used: u32,
    pub length_s: u32,
    /// Server time divided by the length.
    pub index: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pair {
    pub short: Window,
    pub day: Window,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    Go,
    /// Not before the limits have been learned from the answer that is under way.
    AfterAnswer,
    /// Not before this time of the server's clock.
    WaitUntil {
        ms: i64,
        window: &'static str,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budget {
    pub overall: Pair,
    pub read: Pair,
    in_flight: u32,
    reserve: f64,
    /// Whether the limits are the server's own, and not a first guess.
    is_learned: bool,
}

impl Budget {
    /// The first guess: Strava's limits for a new application. `reserve` is the share of a full
    /// window that is kept for others.
    pub fn new(short_s: u32, day_s: u32, reserve: f64) -> Budget {
        let pair = |short, day| Pair {
            short: Window { limit: short, used: 0, length_s: short_s, index: i64::MIN },
            day: Window { limit: day, used: 0, length_s: day_s, index: i64::MIN },
        };
        Budget { overall: pair(200, 2_000), read: pair(100, 1_000), in_flight: 0, reserve, is_learned: false }
    }

    /// Takes a request out of the budget, if it has one left.
    pub fn take(&mut self, now_ms: i64) -> Grant {
        if !self.is_learned && self.in_flight > 0 {
            return Grant::AfterAnswer;
        }
        let (in_flight, reserve) = (self.in_flight, self.reserve);
        let free_at =
            |(name, window): (&'static str, &Window)| (window.free_at(now_ms, in_flight, reserve), name);
        let (ms, window) = self.windows().map(free_at).into_iter().max().expect("there are four");
        if ms > now_ms {
            return Grant::WaitUntil { ms, window };
        }
        self.in_flight += 1;
        Grant::Go
    }

    fn windows(&self) -> [(&'static str, &Window); 4] {
        [
            ("overall", &self.overall.short),
            ("read", &self.read.short),
            ("overall day", &self.overall.day),
            ("read day", &self.read.day),
        ]
    }

    /// A request was answered, at this time of the server's clock.
    pub fn answered(&mut self, date_s: i64, seen: RateSeen) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for (pair, seen) in [(&mut self.overall, seen.overall), (&mut self.read, seen.read)] {
            match seen {
                Some(seen) => {
                    pair.short.saw(date_s, seen.short_used, seen.short_limit);
                    pair.day.saw(date_s, seen.day_used, seen.day_limit);
                    self.is_learned = true;
                }
                // An answer without headers was counted all the same.
                None => {
                    pair.short.count(date_s);
                    pair.day.count(date_s);
                }
            }
        }
    }

    /// A request came back without an answer. The server may have counted it.
    pub fn unanswered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for pair in [&mut self.overall, &mut self.read] {
            pair.short.used += 1;
            pair.day.used += 1;
        }
    }

    /// The server refused a request for the rate, at this time: others have spent what was
    /// left. Nothing more is sent before the window that is over has ended; where the headers
    /// name none, that is the short one.
    pub fn refused(&mut self, date_s: i64) {
        let is_over = |window: &Window| window.used >= window.limit;
        let is_day = is_over(&self.overall.day) || is_over(&self.read.day);
        let is_short = is_over(&self.overall.short) || is_over(&self.read.short);
        if !is_day && !is_short {
            for pair in [&mut self.overall, &mut self.read] {
                let limit = pair.short.limit;
                pair.short.saw(date_s, limit, limit);
            }
        }
    }

    /// Whether some window is nearly spent, so that a restart must know of it.
    pub fn is_tight(&self) -> bool {
        self.windows().iter().any(|(_, w)| w.limit.saturating_sub(w.used) <= w.limit / 4)
    }

    /// Windows as an earlier process left them.
    pub fn restore(&mut self, pair: &str, stored: Window) {
        let pair = match pair {
            "overall" => &mut self.overall,
            _ => &mut self.read,
        };
        for window in [&mut pair.short, &mut pair.day] {
            if window.length_s == stored.length_s {
                *window = stored;
            }
        }
    }
}

impl Window {
    fn end_ms(&self, now_ms: i64) -> i64 {
        let length_ms = i64::from(self.length_s) * 1000;
        (now_ms.div_euclid(length_ms) + 1) * length_ms
    }

    fn index_at(&self, date_s: i64) -> i64 {
        date_s.div_euclid(i64::from(self.length_s))
    }

    /// When a request fits: now, when the reserve has shrunk enough, or at the reset.
    fn free_at(&self, now_ms: i64, in_flight: u32, reserve: f64) -> i64 {
        let length_ms = f64::from(self.length_s) * 1000.0;
        let used = if self.index_at(now_ms.div_euclid(1000)) > self.index { 0 } else { self.used };
        let Some(left) = self.limit.checked_sub(used + in_flight + 1) else {
            return self.end_ms(now_ms);
        };
        let full = f64::from(self.limit) * reserve;
        let reserved = (full * (self.end_ms(now_ms) - now_ms) as f64 / length_ms).floor();
        if reserved <= f64::from(left) {
            return now_ms;
        }
        // The reserve is at most `left` once less than this is left of the window.
        let enough_ms = (f64::from(left) + 1.0) * length_ms / full;
        self.end_ms(now_ms) - (enough_ms.ceil() as i64 - 1).max(0)
    }

    fn roll(&mut self, date_s: i64) -> bool {
        let index = self.index_at(date_s);
        if index > self.index {
            (self.index, self.used) = (index, 0);
        }
        index == self.index
    }

    fn saw(&mut self, date_s: i64, used: u32, limit: u32) {
        // An answer from a window that has ended says nothing about this one.
        if self.roll(date_s) {
            self.used = self.used.max(used);
            self.limit = limit;
        }
    }

    fn count(&mut self, date_s: i64) {
        if self.roll(date_s) {
            self.used += 1;
        }
    }
}

/// The server's clock, from below: never ahead of it, so that a window that has ended by this
/// clock has ended there. `Date` has whole seconds; each answer can only raise the estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerClock {
    /// Server time minus local time, at least.
    pub ahead_ms: i64,
    is_measured: bool,
}

/// Between two machines that both keep time, before the first answer.
const UNMEASURED_MARGIN_MS: i64 = 2_000;

impl ServerClock {
    /// Before the first answer: by how much the server was ahead when it was last seen.
    pub fn guess(ahead_ms: i64) -> ServerClock {
        ServerClock { ahead_ms: ahead_ms - UNMEASURED_MARGIN_MS, is_measured: false }
    }

    /// An answer dated `date_s` arrived at local time `local_ms`. Local time must not jump: it
    /// is monotonic time since some start.
    pub fn saw(&mut self, date_s: i64, local_ms: i64) {
        let ahead_ms = date_s * 1000 - local_ms;
        if !self.is_measured || ahead_ms > self.ahead_ms {
            *self = ServerClock { ahead_ms, is_measured: true };
        }
    }

    pub fn now_ms(&self, local_ms: i64) -> i64 {
        local_ms + self.ahead_ms
    }

    /// Whether the server was heard, and this is more than a guess.
    pub fn is_measured(&self) -> bool {
        self.is_measured
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn seen(short_used: u32, day_used: u32) -> RateSeen {
        let pair = |factor: u32| {
            Some(PairSeen { short_limit: 100 * factor, day_limit: 1_000 * factor, short_used, day_used })
        };
        RateSeen { overall: pair(2), read: pair(1) }
    }

    fn learned(reserve: f64, short_used: u32, day_used: u32, now_ms: i64) -> Budget {
        let mut budget = Budget::new(900, 86_400, reserve);
        assert_eq!(budget.take(now_ms), Grant::Go);
        budget.answered(now_ms / 1000, seen(short_used, day_used));
        budget
    }

    fn grants(budget: &mut Budget, now_ms: i64) -> u32 {
        let mut granted = 0;
        while budget.take(now_ms) == Grant::Go {
            granted += 1;
        }
        granted
    }

    #[test]
    fn one_request_goes_out_to_learn_the_limits() {
        let mut budget = Budget::new(900, 86_400, 0.0);
        assert_eq!(budget.take(0), Grant::Go);
        assert_eq!(budget.take(0), Grant::AfterAnswer);
        budget.answered(0, seen(1, 1));
        assert_eq!(grants(&mut budget, 0), 99);
    }

    #[test]
    fn the_reserve_shrinks_with_the_time_to_the_reset() {
        let mut at_start = learned(0.2, 1, 1, 0);
        assert_eq!(grants(&mut at_start, 0), 79);
        let Grant::WaitUntil { ms, window: "read" } = at_start.take(0) else { panic!() };
        assert_eq!(at_start.take(ms - 1), Grant::WaitUntil { ms, window: "read" });
        assert_eq!(at_start.take(ms), Grant::Go);
        let mut near_the_end = learned(0.2, 1, 1, 899_000);
        assert_eq!(grants(&mut near_the_end, 899_000), 99);
    }

    #[test]
    fn a_spent_window_waits_for_its_reset_and_a_spent_day_for_midnight() {
        let mut budget = learned(0.0, 100, 100, 10_000);
        assert_eq!(budget.take(10_000), Grant::WaitUntil { ms: 900_000, window: "read" });
        assert_eq!(budget.take(900_000), Grant::Go);
        let mut budget = learned(0.0, 5, 1_000, HOUR_MS);
        assert_eq!(budget.take(HOUR_MS), Grant::WaitUntil { ms: 24 * HOUR_MS, window: "read day" });
    }

    #[test]
    fn answers_out_of_order_never_lower_the_count() {
        let mut budget = learned(0.0, 90, 90, 0);
        budget.answered(0, seen(20, 20));
        assert_eq!(grants(&mut budget, 0), 10);
        // From the window before: nothing about this one.
        let mut budget = learned(0.0, 3, 3, 900_000);
        budget.answered(899, seen(99, 99));
        assert_eq!(budget.read.short.used, 3);
    }

    #[test]
    fn a_refusal_from_elsewhere_closes_the_window_at_once() {
        let mut budget = learned(0.0, 3, 3, 10_000);
        budget.answered(10, RateSeen::default());
        budget.refused(10);
        assert!(matches!(budget.take(11_000), Grant::WaitUntil { ms: 900_000, .. }));
    }

    #[test]
    fn the_clock_is_never_ahead_of_the_server() {
        let mut clock = ServerClock::guess(0);
        // The server is 5.9 s ahead; its dates are cut to seconds, its answers take 300 ms.
        for sent_ms in (0..20_000).step_by(700) {
            let date_s = (sent_ms + 150 + 5_900) / 1000;
            clock.saw(date_s, sent_ms + 300);
            let now_ms = clock.now_ms(sent_ms + 300);
            assert!(now_ms <= sent_ms + 300 + 5_900);
        }
        assert!(clock.ahead_ms > 5_900 - 1_300);
    }

    proptest! {
        /// A server that counts, with other users of the same application, latencies and lost
        /// answers: it never has to refuse us.
        #[test]
        fn no_request_is_sent_that_the_budget_does_not_cover(
            limit in 1_u32..40,
            day in 1_u32..200,
            steps in prop::collection::vec((0_u8..4, 0_i64..3_000), 1..400),
        ) {
            let (short_s, day_s) = (10, 60);
            let mut budget = Budget::new(short_s, day_s, 0.0);
            // Unlearned limits may be above the real ones; one request finds out.
            let (mut now_ms, mut flying) = (0_i64, Vec::new());
            let (mut short, mut today) = ((0, 0_u32), (0, 0_u32));
            for (action, pause) in steps {
                now_ms += pause;
                let index = |length: u32| now_ms / 1000 / i64::from(length);
                if short.0 != index(short_s) { short = (index(short_s), 0); }
                if today.0 != index(day_s) { today = (index(day_s), 0); }
                match action {
                    0..=2 => if budget.take(now_ms) == Grant::Go {
                        short.1 += 1;
                        today.1 += 1;
                        prop_assert!(short.1 <= limit && today.1 <= day, "refused at {now_ms}");
                        let pair = PairSeen { short_limit: limit, day_limit: day, short_used: short.1, day_used: today.1 };
                        flying.push((now_ms / 1000, RateSeen { overall: Some(pair), read: Some(pair) }));
                    },
                    // Any of the answers may be the next to arrive.
                    _ => if !flying.is_empty() {
                        let (date_s, seen) = flying.swap_remove(pause as usize % flying.len());
                        budget.answered(date_s, seen);
                    },
                }
            }
        }
    }
}
