//! The server's clock, as many answers agree on it.
//!
//! Windows end by the server's time, and one answer in a thousand has a wrong `Date`: a proxy's, a cache's, a
//! broken machine's. So no single answer moves the clock. It is the median of the last answers, and until some of
//! them agree it is a guess, under which requests go out one at a time.

use std::collections::VecDeque;

/// So many of the last answers are looked at.
const SAMPLES: usize = 31;
/// So many have to agree, and be more than half.
const AGREEING: usize = 3;
/// `Date` has whole seconds, and an answer takes its time.
const AGREE_WITHIN_MS: i64 = 2_000;
/// Between two machines that both keep time, before answers agree.
const GUESS_MARGIN_MS: i64 = 2_000;

/// Server time minus local time. Honest answers are dated at or before the time at which they arrive, so their median
/// is never ahead of the server: a window that has ended by this clock has ended there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerClock {
    guess_ms: i64,
    samples: VecDeque<i64>,
    agreed_ms: Option<i64>,
    /// By how much the latest of the dates that agree is later than that.
    lead_ms: i64,
}

impl ServerClock {
    /// Before the first answer: by how much the server was ahead when it was last seen.
    pub fn guess(ahead_ms: i64) -> ServerClock {
        ServerClock {
            guess_ms: ahead_ms - GUESS_MARGIN_MS,
            samples: VecDeque::new(),
            agreed_ms: None,
            lead_ms: 0,
        }
    }

    /// An answer dated `date_s` arrived at local time `local_ms`, which must not jump.
    pub fn saw(&mut self, date_s: i64, local_ms: i64) {
        self.samples.push_back(date_s.saturating_mul(1_000).saturating_sub(local_ms));
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
        let mut sorted: Vec<i64> = self.samples.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted[(sorted.len() - 1) / 2];
        let agreeing = || sorted.iter().filter(|ms| ms.abs_diff(median) <= AGREE_WITHIN_MS as u64);
        if agreeing().count() >= AGREEING && 2 * agreeing().count() > sorted.len() {
            self.agreed_ms = Some(median);
            self.lead_ms = agreeing().next_back().map_or(0, |latest| latest - median);
        }
    }

    /// Local time has jumped: this machine slept, or its clock was set. What was agreed on is a guess again.
    pub fn jumped(&mut self) {
        self.guess_ms = self.ahead_ms();
        self.samples.clear();
        (self.agreed_ms, self.lead_ms) = (None, 0);
    }

    pub fn ahead_ms(&self) -> i64 {
        self.agreed_ms.unwrap_or(self.guess_ms)
    }

    pub fn now_ms(&self, local_ms: i64) -> i64 {
        local_ms.saturating_add(self.ahead_ms())
    }

    /// The latest that it can be at a local time: a guess is behind by its margin.
    pub fn latest_ms(&self, local_ms: i64) -> i64 {
        let margin_ms = if self.is_settled() { 0 } else { GUESS_MARGIN_MS };
        self.now_ms(local_ms).saturating_add(margin_ms)
    }

    /// How much later than by this clock it is at least, if every date that agrees is right. Dates are cut to whole
    /// seconds and answers take their time, so the latest ones are nearest to the truth; but one that is ahead is
    /// enough to spoil this, so no window ends by it.
    pub fn lead_ms(&self) -> i64 {
        self.lead_ms
    }

    /// Whether answers agree, and this is more than a guess.
    pub fn is_settled(&self) -> bool {
        self.agreed_ms.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_never_ahead_of_the_server() {
        let mut clock = ServerClock::guess(0);
        // The server is 5.9 s ahead; its dates are cut to seconds, its answers take 300 ms.
        for sent_ms in (0..20_000).step_by(700) {
            clock.saw((sent_ms + 150 + 5_900) / 1000, sent_ms + 300);
            assert!(clock.now_ms(sent_ms + 300) <= sent_ms + 300 + 5_900);
        }
        assert!(clock.is_settled() && clock.ahead_ms() > 5_900 - 1_300);
        let latest_ms = clock.ahead_ms() + clock.lead_ms();
        assert!((5_500..=5_900).contains(&latest_ms), "{latest_ms}");
    }

    #[test]
    fn one_wrong_date_moves_nothing_wherever_it_comes() {
        for wrong_at in 0..20 {
            let mut clock = ServerClock::guess(0);
            for second in 0..20 {
                let ahead = if second == wrong_at { 7_200 } else { 0 };
                clock.saw(second + ahead, second * 1_000 + 100);
                assert!(clock.ahead_ms().abs() <= GUESS_MARGIN_MS, "{wrong_at}: {}", clock.ahead_ms());
            }
            assert!(clock.is_settled());
        }
    }

    #[test]
    fn a_server_that_sets_its_clock_is_followed_once_most_answers_agree() {
        let mut clock = ServerClock::guess(0);
        (0..40).for_each(|second| clock.saw(second, second * 1_000));
        (40..80).for_each(|second| clock.saw(second + 3_600, second * 1_000));
        assert_eq!(clock.ahead_ms(), 3_600_000);
    }

    #[test]
    fn before_it_is_agreed_on_the_time_is_thought_to_be_early_and_three_answers_agree_on_it() {
        let mut clock = ServerClock::guess(10_000);
        assert_eq!((clock.now_ms(0), clock.is_settled()), (10_000 - GUESS_MARGIN_MS, false));
        // Two seconds apart still agree.
        [0, 2, 2].into_iter().for_each(|date_s| clock.saw(date_s, 0));
        assert_eq!((clock.is_settled(), clock.ahead_ms()), (true, 2_000));
        // Half of them is not most of them.
        let mut clock = ServerClock::guess(0);
        [1_000, 2_000, 3_000, 0, 0, 0].into_iter().for_each(|date_s| clock.saw(date_s, 0));
        assert!(!clock.is_settled());
        clock.saw(0, 0);
        assert!(clock.is_settled());
    }

    #[test]
    fn of_two_dates_in_the_middle_the_earlier_one_is_taken_and_old_ones_are_forgotten() {
        let mut clock = ServerClock::guess(0);
        [0, 0, 2, 2].into_iter().for_each(|date_s| clock.saw(date_s, 0));
        assert_eq!((clock.ahead_ms(), clock.lead_ms()), (0, 2_000));
        // A clock that is another one is followed after half of what is looked at, however long the old one was seen.
        (0..10 * SAMPLES).for_each(|_| clock.saw(0, 0));
        (0..=SAMPLES / 2).for_each(|_| clock.saw(60, 0));
        assert_eq!(clock.ahead_ms(), 60_000);
    }

    #[test]
    fn a_jump_of_local_time_makes_it_a_guess_again() {
        let mut clock = ServerClock::guess(0);
        (0..5).for_each(|second| clock.saw(second, second * 1_000));
        clock.saw(5, 4_500);
        assert_eq!((clock.ahead_ms(), clock.lead_ms()), (0, 500));
        clock.jumped();
        assert!(!clock.is_settled());
        assert_eq!((clock.ahead_ms(), clock.lead_ms()), (0, 0));
    }
}
