//! Heart rates that a strap kept and handed over afterwards: `hr` messages.
//!
//! One of them says when the strap's own clock read what; the others say its low 12 bits at every
//! beat, 1/1024 s each, which count on from the beat before.

use super::decode::Message;
use super::{EPOCH_S, is_time};
use crate::sources::formats::series::Rate;

/// Of the strap's clock in a second.
const TICKS: f64 = 1024.0;

#[derive(Debug, Default)]
pub struct HeartRates {
    pub rates: Vec<Rate>,
    /// A time in unix milliseconds, and what the strap's clock read then.
    anchor: Option<(f64, u32)>,
    /// What the strap's clock read at the last beat.
    clock: u32,
}

impl HeartRates {
    pub fn take(&mut self, m: Message<'_>) {
        if let (Some(time_s), Some(clock)) = (m.int(253).filter(|s| is_time(*s)), m.int(9)) {
            let fraction = m.int(0).map_or(0.0, |fraction| fraction as f64 / 32_768.0);
            self.clock = clock as u32;
            self.anchor = Some((((time_s + EPOCH_S) as f64 + fraction) * 1000.0, self.clock));
        }
        let Some((time_ms, clock)) = self.anchor else { return };
        let mut add = |now: u32, bpm: u8| {
            // The clock runs for 48 days before it starts over.
            let since = f64::from(now.wrapping_sub(clock) as i32) / TICKS * 1000.0;
            if bpm > 0 && bpm < u8::MAX {
                self.rates.push(((time_ms + since).round() as i64, i32::from(bpm)));
            }
        };
        let rates = m.list(6);
        if m.int(9).is_some() && m.list(10).is_empty() {
            let clocks = m.list(9).chunks_exact(4).map(|b| m.word(b));
            for (now, bpm) in clocks.zip(rates) {
                add(now, *bpm);
                self.clock = now;
            }
            return;
        }
        // Two beats in three bytes.
        let low_bits = m.list(10).chunks_exact(3).flat_map(|bytes| {
            let [a, b, c] = [u32::from(bytes[0]), u32::from(bytes[1]), u32::from(bytes[2])];
            [a | (b & 0x0f) << 8, b >> 4 | c << 4]
        });
        for (low, bpm) in low_bits.zip(rates) {
            let now = self.clock.wrapping_add(low.wrapping_sub(self.clock) & 0xfff);
            add(now, *bpm);
            self.clock = now;
        }
    }
}
