//! How often something may happen.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

pub struct Pacer {
    burst: NonZeroU32,
    limiter: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    clock: DefaultClock,
}

impl Pacer {
    /// Once in a period; None for a period of no length.
    pub fn every(period: Duration) -> Option<Pacer> {
        Quota::with_period(period).map(|quota| Pacer::of(quota, NonZeroU32::MIN))
    }

    /// So often a second. What came too late is made up for, as far as a tenth of a second goes.
    pub fn per_second(rate: NonZeroU32) -> Pacer {
        let burst = NonZeroU32::new(rate.get() / 10).unwrap_or(NonZeroU32::MIN);
        Pacer::of(Quota::per_second(rate), burst)
    }

    fn of(quota: Quota, burst: NonZeroU32) -> Pacer {
        let limiter = RateLimiter::direct(quota.allow_burst(burst));
        Pacer { burst, limiter, clock: DefaultClock::default() }
    }

    /// So many turns there are at once, at most.
    pub fn at_once(&self) -> usize {
        self.burst.get() as usize
    }

    /// Takes a turn, or says when there is one.
    pub fn take(&self, now: Instant) -> Result<(), Instant> {
        self.limiter.check().map_err(|not_yet| now + not_yet.wait_time_from(self.clock.now()))
    }
}
