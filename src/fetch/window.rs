//! One fixed rate window: what is left of it, and when a request fits.

use crate::store::state::rates::Window;

impl Window {
    pub(super) fn end_ms(&self, now_ms: i64) -> i64 {
        // An answer may be of the next window already: the clock is a little behind the server's.
        let index = now_ms.div_euclid(self.length_ms()).max(self.index);
        index.saturating_add(1).saturating_mul(self.length_ms())
    }

    pub(super) fn index_at(&self, date_s: i64) -> i64 {
        date_s.div_euclid(i64::from(self.length_s))
    }

    pub(super) fn length_ms(&self) -> i64 {
        i64::from(self.length_s) * 1_000
    }

    /// When a request fits: now, when what is `kept` for others at a time has shrunk enough, or at the reset.
    pub(super) fn free_at(&self, now_ms: i64, in_flight: u32, kept: impl Fn(i64) -> u32) -> i64 {
        let end_ms = self.end_ms(now_ms);
        let used = if self.index_at(now_ms.div_euclid(1000)) > self.index { 0 } else { self.used };
        let Some(left) = self.limit.checked_sub(used.saturating_add(in_flight).saturating_add(1)) else {
            return end_ms;
        };
        let fits = |ms: i64| kept(ms) <= left;
        if fits(now_ms) {
            return now_ms;
        }
        // What is kept grows for a while by what is not seen, and then shrinks to nothing. So it crosses what is left
        // once, between these.
        let (mut too_early, mut fits_at) = (now_ms, end_ms);
        while fits_at - too_early > 1 {
            let middle = too_early + (fits_at - too_early) / 2;
            if fits(middle) { fits_at = middle } else { too_early = middle }
        }
        fits_at
    }

    pub(super) fn left_at(&self, now_s: i64) -> u32 {
        if self.index_at(now_s) > self.index { self.limit } else { self.limit.saturating_sub(self.used) }
    }

    pub(super) fn roll(&mut self, date_s: i64) -> bool {
        let index = self.index_at(date_s);
        if index > self.index {
            (self.index, self.used) = (index, 0);
        }
        index == self.index
    }

    pub(super) fn saw(&mut self, date_s: i64, used: u32, limit: u32) {
        // An answer from a window that has ended says nothing about this one.
        if self.roll(date_s) {
            self.used = self.used.max(used);
            if limit > 0 {
                self.limit = limit;
            }
        }
    }

    pub(super) fn count(&mut self, date_s: i64) {
        if self.roll(date_s) {
            self.used = self.used.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
