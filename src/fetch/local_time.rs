//! The time of this machine as a run needs it.

use std::time::{Duration, Instant, SystemTime};

/// Time since the run began. It goes on while the machine sleeps, and no setting of a clock turns it back.
pub struct LocalTime {
    epoch: Instant,
    wall: SystemTime,
    slept: Duration,
}

impl LocalTime {
    pub fn new() -> LocalTime {
        LocalTime { epoch: Instant::now(), wall: SystemTime::now(), slept: Duration::ZERO }
    }

    /// The time, and whether this machine slept, or its clock was set, since the last look.
    pub fn now_ms(&mut self) -> (i64, bool) {
        /// Clocks are put right by less than this all the time.
        const JUMP: Duration = Duration::from_secs(5);
        let awake = self.epoch.elapsed() + self.slept;
        let by_the_wall = self.wall.elapsed().unwrap_or(awake);
        let has_jumped = by_the_wall > awake + JUMP;
        if has_jumped {
            self.slept += by_the_wall - awake;
        }
        (i64::try_from((self.epoch.elapsed() + self.slept).as_millis()).unwrap_or(i64::MAX), has_jumped)
    }
}
