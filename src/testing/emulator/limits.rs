//! The rate windows as the server counts them.

/// Requests allowed per window, and how long windows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub overall_short: u32,
    pub overall_day: u32,
    pub read_short: u32,
    pub read_day: u32,
    pub short_window_s: u32,
    pub day_s: u32,
}

impl Default for Limits {
    /// Strava's own for a new application.
    fn default() -> Self {
        Limits {
            overall_short: 200,
            overall_day: 2_000,
            read_short: 100,
            read_day: 1_000,
            short_window_s: 900,
            day_s: 86_400,
        }
    }
}

/// Four limits: overall short and day, read short and day.
pub fn four(text: &str) -> Result<[u32; 4], String> {
    let numbers: Option<Vec<u32>> = text.split(',').map(|n| n.parse().ok()).collect();
    numbers
        .and_then(|n| n.try_into().ok())
        .ok_or_else(|| "expected four numbers, such as 200,2000,100,1000".to_string())
}

/// Counts of the running windows. Everything served here is a read, so it counts in both pairs.
#[derive(Debug, Default)]
pub struct Usage {
    short_index: i64,
    day_index: i64,
    short: u32,
    day: u32,
}

impl Usage {
    /// Counts requests. Says which limit they are over, in the word of the 429's body.
    pub fn count(&mut self, limits: &Limits, now_s: i64, requests: u32) -> Option<&'static str> {
        let short_index = now_s.div_euclid(i64::from(limits.short_window_s));
        let day_index = now_s.div_euclid(i64::from(limits.day_s));
        if short_index != self.short_index {
            (self.short_index, self.short) = (short_index, 0);
        }
        if day_index != self.day_index {
            (self.day_index, self.day) = (day_index, 0);
        }
        self.short += requests;
        self.day += requests;
        if self.short > limits.read_short || self.day > limits.read_day {
            Some("rate limit")
        } else if self.short > limits.overall_short || self.day > limits.overall_day {
            Some("overall rate limit")
        } else {
            None
        }
    }

    pub fn headers(&self, limits: &Limits) -> [(&'static str, String); 4] {
        let usage = format!("{},{}", self.short, self.day);
        [
            ("x-ratelimit-limit", format!("{},{}", limits.overall_short, limits.overall_day)),
            ("x-ratelimit-usage", usage.clone()),
            ("x-readratelimit-limit", format!("{},{}", limits.read_short, limits.read_day)),
            ("x-readratelimit-usage", usage),
        ]
    }
}
