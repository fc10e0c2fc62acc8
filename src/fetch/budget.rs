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

use super::reserve::{Reserve, Running, Watch};
use crate::store::state::rates::Observed;
pub use crate::store::state::rates::Window;

/// What an answer's headers say of one pair of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairSeen {
    pub short_limit: u32,
    pub day_limit: u32,
    pub short_used: u32,
    pub day_used: u32,
}

/// The reserve is learned anew each time that live traffic was watched for so much longer.
const LEARN_EVERY_S: f64 = 900.0;

/// The four rate headers of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateSeen {
    pub overall: Option<PairSeen>,
    pub read: Option<PairSeen>,
}

/// The quarter hour and the day of one of the two limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Windows {
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

#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    pub overall: Windows,
    pub read: Windows,
    in_flight: u32,
    /// When the counts were last seen, if ever, in milliseconds of the server's clock.
    seen_ms: Option<i64>,
    /// It is at least so much later than by that clock. Windows roll without it; what others can still call until the
    /// reset is counted with it.
    pub lead_ms: i64,
    reserve: Reserve,
    /// Calls that are not ours.
    pub live: Watch,
    /// For how long live traffic had been watched when the reserve was last learned.
    learned_at_s: f64,
    /// Whether the limits and counts are the server's own, as of the last answer. If not, requests go out one
    /// at a time.
    is_learned: bool,
    /// The counts are an earlier process's, and may be too high.
    is_restored: bool,
}

impl Budget {
    /// The first guess: Strava's limits for a new application. `reserve` is what is kept for others.
    pub fn new(short_s: u32, day_s: u32, reserve: Reserve) -> Budget {
        let pair = |short, day| Windows {
            short: Window { limit: short, used: 0, length_s: short_s, index: i64::MIN },
            day: Window { limit: day, used: 0, length_s: day_s, index: i64::MIN },
        };
        Budget {
            overall: pair(200, 2_000),
            read: pair(100, 1_000),
            in_flight: 0,
            seen_ms: None,
            lead_ms: 0,
            reserve,
            live: Watch::default(),
            learned_at_s: 0.0,
            is_learned: false,
            is_restored: false,
        }
    }

    /// With what is known of live traffic from before.
    pub fn knowing(self, live: &[Observed]) -> Budget {
        Budget { live: Watch::knowing(live), ..self }
    }

    /// What is kept follows what is seen, where nobody asked for a share.
    fn learn(&mut self) {
        let watched_s = self.live.watched_s();
        if watched_s - self.learned_at_s >= LEARN_EVERY_S && !matches!(self.reserve, Reserve::Share(_)) {
            self.reserve = Reserve::learn(&self.live.known());
            self.learned_at_s = watched_s;
        }
    }

    /// Takes a request out of the budget, if it has one left.
    pub fn take(&mut self, now_ms: i64) -> Grant {
        let grant = self.look(now_ms);
        if grant == Grant::Go {
            self.in_flight += 1;
            let day = &self.read.day;
            self.live.sent(day.index_at(now_ms.div_euclid(1_000)), day.length_ms());
        }
        grant
    }

    /// Whether a request may be sent now.
    pub fn look(&self, now_ms: i64) -> Grant {
        if !self.is_learned && self.in_flight > 0 {
            return Grant::AfterAnswer;
        }
        let free_at = |(name, window): (&'static str, &Window)| {
            (window.free_at(now_ms, self.in_flight, self.kept_of(window, now_ms)), name)
        };
        let (ms, window) = self.windows().map(free_at).into_iter().max().expect("there are four");
        if ms > now_ms { Grant::WaitUntil { ms, window } } else { Grant::Go }
    }

    /// How much of a window that runs now is kept for others at a time of it.
    fn kept_of(&self, window: &Window, now_ms: i64) -> impl Fn(i64) -> u32 {
        let (limit, length_ms, end_ms) = (window.limit, window.length_ms(), window.end_ms(now_ms));
        let at_latest_ms = move |ms: i64| ms.saturating_add(self.lead_ms).min(end_ms);
        // At its beginning nothing was used of it.
        let seen_ms = self.seen_ms.unwrap_or(now_ms).max(end_ms - length_ms).min(at_latest_ms(now_ms));
        let (left, is_idle) = (window.left_at(now_ms.div_euclid(1_000)), self.in_flight == 0);
        let running = Running { limit, length_ms, end_ms, seen_ms, left, is_idle };
        move |ms| self.reserve.kept(&running, at_latest_ms(ms), &self.live)
    }

    /// How much of the read pair's window and day is kept for others.
    pub fn kept(&self, now_ms: i64) -> [u32; 2] {
        [&self.read.short, &self.read.day].map(|window| self.kept_of(window, now_ms)(now_ms))
    }

    fn windows(&self) -> [(&'static str, &Window); 4] {
        [
            ("overall", &self.overall.short),
            ("read", &self.read.short),
            ("overall day", &self.overall.day),
            ("read day", &self.read.day),
        ]
    }

    /// A request that was sent at `sent_ms` was answered, both times of the server's clock.
    pub fn answered(&mut self, date_s: i64, sent_ms: i64, seen: RateSeen) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(read) = seen.read {
            self.live.counted(self.read.day.index_at(date_s), read.day_used, date_s * 1_000);
            self.learn();
        }
        if seen.overall.or(seen.read).is_some() {
            self.seen_ms = self.seen_ms.max(Some(sent_ms.max(date_s * 1_000)));
        }
        let is_restored = self.is_restored;
        for (pair, seen) in [(&mut self.overall, seen.overall), (&mut self.read, seen.read)] {
            match seen {
                Some(seen) => {
                    if is_restored {
                        (pair.short.used, pair.day.used) = (0, 0);
                    }
                    pair.short.saw(date_s, seen.short_used, seen.short_limit);
                    pair.day.saw(date_s, seen.day_used, seen.day_limit);
                    self.is_learned = true;
                    self.is_restored = false;
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
            pair.short.used = pair.short.used.saturating_add(1);
            pair.day.used = pair.day.used.saturating_add(1);
        }
    }

    /// The server refused a request for the rate, at this time: others have spent what was
    /// left. Nothing more is sent before the window that is over has ended; where the headers
    /// name none, that is the short one. What comes after it goes out one at a time until an answer says how
    /// much is left.
    pub fn refused(&mut self, date_s: i64) {
        self.is_learned = false;
        let is_over = |window: &Window| window.used >= window.limit;
        let is_day = is_over(&self.overall.day) || is_over(&self.read.day);
        let is_short = is_over(&self.overall.short) || is_over(&self.read.short);
        if !is_day && !is_short {
            for short in [&mut self.overall.short, &mut self.read.short] {
                short.index = short.index.max(short.index_at(date_s));
                short.used = short.used.max(short.limit);
            }
        }
    }

    /// Whether some window is nearly spent, so that a restart must know of it.
    pub fn is_tight(&self) -> bool {
        let left = |w: &Window| w.limit.saturating_sub(w.used.saturating_add(self.in_flight));
        self.windows().iter().any(|(_, w)| left(w) <= w.limit / 4)
    }

    /// The clock was found to be wrong: a window that was running by it still is.
    pub fn moved(&mut self, from_ms: i64, to_ms: i64) {
        self.seen_ms = self.seen_ms.map(|seen_ms| seen_ms + to_ms - from_ms);
        for window in self.windows_mut() {
            let index = window.index_at(to_ms.div_euclid(1_000));
            // One that would lie in the future is running now.
            if window.index == window.index_at(from_ms.div_euclid(1_000)) || window.index > index {
                window.index = index;
            }
        }
    }

    fn windows_mut(&mut self) -> [&mut Window; 4] {
        let (overall, read) = (&mut self.overall, &mut self.read);
        [&mut overall.short, &mut overall.day, &mut read.short, &mut read.day]
    }

    /// The windows for an earlier process's successor: what is in flight may have been counted.
    pub fn stored(&self) -> [(&'static str, Window); 4] {
        [
            ("overall", self.overall.short),
            ("overall", self.overall.day),
            ("read", self.read.short),
            ("read", self.read.day),
        ]
        .map(|(pair, w)| (pair, Window { used: w.used.saturating_add(self.in_flight), ..w }))
    }

    /// Windows as an earlier process left them. One that lies in the future by the clock is running now.
    pub fn restore(&mut self, stored: &[(String, Window)], now_ms: i64) {
        for (pair, stored) in stored {
            let pair = if pair == "overall" { &mut self.overall } else { &mut self.read };
            for window in [&mut pair.short, &mut pair.day] {
                if window.length_s == stored.length_s {
                    let index = stored.index.min(window.index_at(now_ms.div_euclid(1_000)));
                    *window = Window { index, ..*stored };
                    self.is_restored = true;
                }
            }
        }
    }

    /// What fits into the windows, if nobody else uses any: for estimates.
    pub fn room(&self, now_ms: i64) -> Room {
        let short = self.overall.short.limit.min(self.read.short.limit);
        let day = self.overall.day.limit.min(self.read.day.limit);
        let (short_ms, day_ms) = (self.read.short.length_ms(), self.read.day.length_ms());
        let left = |window: &Window| window.left_at(now_ms.div_euclid(1_000));
        let of = |a: &Window, b: &Window| left(a).min(left(b));
        Room {
            short: (f64::from(short) * (1.0 - self.reserve.share_of(short, short_ms))) as u64,
            day: (f64::from(day) * (1.0 - self.reserve.share_of(day, day_ms))) as u64,
            short_left: u64::from(of(&self.overall.short, &self.read.short)),
            day_left: u64::from(of(&self.overall.day, &self.read.day)),
            short_s: i64::from(self.read.short.length_s),
            day_s: i64::from(self.read.day.length_s),
        }
    }
}

/// What fits into windows, at the limits as they were last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Into a whole window and a whole day, beside the reserve.
    pub short: u64,
    pub day: u64,
    /// Into what is left of the running ones.
    pub short_left: u64,
    pub day_left: u64,
    short_s: i64,
    day_s: i64,
}

impl Room {
    /// When so many requests are through, from a time on, both in seconds; None where no request ever fits.
    pub fn done_s(&self, requests: u64, now_s: i64) -> Option<i64> {
        if self.short == 0 || self.day == 0 {
            return None;
        }
        let today = requests.min(self.day_left);
        let windows = |requests: u64, first: u64| requests.saturating_sub(first).div_ceil(self.short) as i64;
        let next = |length_s: i64| (now_s.div_euclid(length_s) + 1) * length_s;
        if requests <= self.day_left {
            let more = windows(today, self.short_left);
            return Some(if more == 0 { now_s } else { next(self.short_s) + (more - 1) * self.short_s });
        }
        let rest = requests - today;
        let days = (rest - 1) / self.day;
        let last = rest - days * self.day;
        Some(next(self.day_s) + days as i64 * self.day_s + (windows(last, 0) - 1) * self.short_s)
    }
}

#[cfg(test)]
mod tests;
