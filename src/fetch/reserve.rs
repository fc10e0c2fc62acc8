//! How much of a window is kept for the live pipeline, which spends from the same limits.
//!
//! Either a share of a full window, which shrinks with the time to the reset, or what live traffic is expected to need
//! until then, learned from the usage that was not ours, by hour of the UTC day, with room for chance. Both come to
//! nothing at the reset, so nothing is left unused.

use serde::Serialize;

use crate::store::state::rates::Observed;

/// Below this much observation, a share is kept.
const ENOUGH_S: f64 = 6.0 * 3_600.0;
/// How often others may call more than there is room for, each time that a call of ours is weighed.
const CHANCE: f64 = 1e-5;
/// The same of what they called since the count was last seen. Each call of ours sees it again, so less will do.
const UNSEEN_CHANCE: f64 = 1e-2;
/// From here on, calls are about normally distributed, and room is counted in standard deviations.
const MANY: f64 = 12.0;
const DEVIATIONS: f64 = 4.0;
/// By this share the same hour differs from day to day.
const DAYS_DIFFER: f64 = 0.25;
/// What is recent: the last half hour counts most, and tells of the next.
const RECENT_MS: i64 = 1_800_000;
/// A plan counts with no more than this share of a limit for others.
const MOST: f64 = 0.9;
/// A count that was not seen for so long may be looked at with one call.
const LOOK_AFTER_MS: i64 = HOUR_MS;
const HOURS: usize = 24;
const HOUR_S: f64 = 3_600.0;
const HOUR_MS: i64 = 3_600_000;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reserve {
    /// Of a full window: somebody asked for it.
    Share(f64),
    /// The same until enough was learned, with room for chance; more where more was seen.
    Guess(f64),
    /// Calls that live traffic makes per second, in each hour of the UTC day.
    Learned(Vec<f64>),
}

/// What is kept until enough was learned.
const FIRST_SHARE: f64 = 0.2;
/// The guess counts as if so many calls had been seen.
const GUESS_CALLS: f64 = 4.0;
/// What was seen of an hour tells of others, if it was watched for so long.
const TELLING_S: f64 = 300.0;

impl Reserve {
    /// The share that was asked for, or what was learned.
    pub fn choose(share: Option<f64>, observed: &[Observed]) -> Reserve {
        share.map_or_else(|| Reserve::learn(observed), Reserve::Share)
    }

    /// Learned, where enough was seen; a guess otherwise.
    pub fn learn(observed: &[Observed]) -> Reserve {
        let (seconds, calls) = observed.iter().fold((0.0, 0.0), |(s, c), o| (s + o.seconds, c + o.calls));
        if seconds < ENOUGH_S {
            return Reserve::Guess(FIRST_SHARE);
        }
        let mean = calls / seconds;
        let of_hours: [(f64, f64); HOURS] = std::array::from_fn(|hour| {
            let of_it = observed.iter().filter(|o| usize::from(o.hour) == hour);
            of_it.fold((0.0, 0.0), |(s, c), o| (s + o.seconds, c + o.calls))
        });
        // What little was seen of an hour is taken together with a call in the time that one takes on average.
        let per_s = of_hours.map(|(seconds, calls)| (calls + 1.0) / (seconds + mean.recip()));
        let is_watched = |hour: &usize| of_hours[*hour].0 >= HOUR_S / 2.0;
        let busiest = (0..HOURS).filter(is_watched).map(|hour| per_s[hour]).fold(mean, f64::max);
        // One that was hardly watched may be the busiest of all: a day that is spent by noon shows no afternoon.
        let of_hour = |hour: usize| if is_watched(&hour) { per_s[hour] } else { busiest };
        Reserve::Learned((0..HOURS).map(of_hour).collect())
    }

    /// Calls of a window that are kept for others from `now_ms` to its end, with what was seen of them. What they have
    /// called since the count was last seen is not in that count, and is kept as well. One call is always left, and
    /// one may look at a count that was not seen for long: otherwise nobody would learn that too much was kept.
    pub fn kept(&self, window: &Running, now_ms: i64, live: &Watch) -> u32 {
        let Running { limit, length_ms, end_ms, seen_ms, left, is_idle } = *window;
        let may_look = is_idle && now_ms - seen_ms >= LOOK_AFTER_MS;
        let room = |per_s: &[f64], [unseen, coming]: [f64; 2]| {
            let others = Others { per_s, recent_per_s: live.recent_per_s() };
            let coming = || room_for(others.calls(now_ms, end_ms), coming, CHANCE);
            let unseen = room_for(others.calls(seen_ms, now_ms), unseen, UNSEEN_CHANCE);
            unseen + if may_look { 0 } else { coming() }
        };
        let most = match self {
            // Rounded up: until the reset one call is kept, because another may have been made unseen.
            Reserve::Share(share) => {
                let share_left = (end_ms - now_ms).max(0) as f64 / length_ms as f64;
                return (f64::from(limit) * share * share_left).ceil() as u32;
            }
            _ if may_look && left > limit / 2 => 0,
            Reserve::Guess(share) => {
                let guess_per_s = f64::from(limit) * share * 1_000.0 / length_ms as f64;
                let seen =
                    live.means(guess_per_s).map(|(per_s, differs)| room(&[per_s; HOURS], [differs; 2]));
                seen.fold(room(&[guess_per_s; HOURS], [0.0; 2]), u32::max)
            }
            Reserve::Learned(per_s) => room(per_s, [0.0, DAYS_DIFFER]),
        };
        most.min(limit.saturating_sub(1))
    }

    /// The share of a whole window that is not ours, on average.
    pub fn share_of(&self, limit: u32, length_ms: i64) -> f64 {
        match self {
            Reserve::Share(share) | Reserve::Guess(share) => share / 2.0,
            Reserve::Learned(per_s) => {
                let mean = per_s.iter().sum::<f64>() / HOURS as f64;
                (mean * length_ms as f64 / 1_000.0 / f64::from(limit.max(1))).min(MOST)
            }
        }
    }
}

/// A window that runs.
#[derive(Debug, Clone, Copy)]
pub struct Running {
    pub limit: u32,
    pub length_ms: i64,
    pub end_ms: i64,
    /// When its count was last seen.
    pub seen_ms: i64,
    /// What was left of it then.
    pub left: u32,
    /// Nothing of ours is under way.
    pub is_idle: bool,
}

/// Calls that others make per second, in each hour of the UTC day, and of late.
struct Others<'a> {
    per_s: &'a [f64],
    recent_per_s: f64,
}

impl Others<'_> {
    /// Calls between two times, as expected.
    fn calls(&self, from_ms: i64, to_ms: i64) -> f64 {
        let mut calls = 0.0;
        for_hours(from_ms, to_ms, |hour, seconds| calls += self.per_s[hour] * seconds);
        // Who calls more than this hour is known for goes on with it for a while.
        let soon_ms = to_ms.min(from_ms + RECENT_MS);
        let usual_per_s = self.per_s[from_ms.div_euclid(HOUR_MS).rem_euclid(HOURS as i64) as usize];
        calls + (self.recent_per_s - usual_per_s).max(0.0) * (soon_ms - from_ms).max(0) as f64 / 1_000.0
    }
}

/// The fewest calls that are exceeded no more often than `chance`, where `mean` are expected. They come independently, and
/// their mean differs by the share `differs` from one day to another.
fn room_for(mean: f64, differs: f64, chance: f64) -> u32 {
    if mean > MANY {
        let room = (mean + DEVIATIONS * (mean + (differs * mean).powi(2)).sqrt()).ceil() as u32;
        // By chance few need more room, relative to the mean; more calls need no less than fewer.
        return if mean < 2.0 * MANY { room.max(room_for(MANY, differs, chance)) } else { room };
    }
    // A Poisson distribution whose mean is itself gamma distributed: a negative binomial one.
    let spread = differs.powi(2) * mean;
    let mut of_it = if spread > 0.0 { (-spread.ln_1p() / differs.powi(2)).exp() } else { (-mean).exp() };
    let mut beyond = 1.0 - of_it;
    let mut room = 0;
    while beyond > chance {
        let n = f64::from(room);
        of_it *= (mean + n * spread) / ((n + 1.0) * (1.0 + spread));
        beyond -= of_it;
        room += 1;
    }
    room
}

/// Watches the day's count for calls that are not ours.
///
/// The count of a day goes on when nothing of ours is sent, so every answer says how many others there were since the
/// one before, however long that was: in the minutes in which a window is spent, and in the hours until the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Watch {
    day: Option<Day>,
    /// By hour of the UTC day: all that is known, and what of it is not written down yet.
    known: [Seen; HOURS],
    unsaved: [Seen; HOURS],
    recent_per_s: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Day {
    index: i64,
    ours: u32,
    /// Others' calls until `until_ms`; None in a day that this process did not see the beginning of, until it knows
    /// how many were counted before.
    others: Option<i64>,
    until_ms: i64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Seen {
    seconds: f64,
    calls: f64,
}

/// What was watched for less is not worth writing down yet.
const LEAST_S: f64 = 60.0;

impl Watch {
    /// With what was seen before.
    pub fn knowing(observed: &[Observed]) -> Watch {
        let mut watch = Watch::default();
        for one in observed {
            watch.known[usize::from(one.hour) % HOURS].add(one.seconds, one.calls);
        }
        watch
    }

    /// A call of ours goes out on this day.
    pub fn sent(&mut self, index: i64, length_ms: i64) {
        let is_first = self.day.is_none();
        match &mut self.day {
            Some(day) if day.index >= index => day.ours += 1,
            day => {
                let until_ms = index.saturating_mul(length_ms);
                *day = Some(Day { index, ours: 1, others: (!is_first).then_some(0), until_ms });
            }
        }
    }

    /// The server has counted so many on it.
    pub fn counted(&mut self, index: i64, used: u32, now_ms: i64) {
        let Some(day) = self.day.as_mut().filter(|day| day.index == index) else { return };
        // What is in flight may not be counted yet, so this is too few at times, and never too many.
        let others = i64::from(used) - i64::from(day.ours);
        match day.others {
            Some(before) if now_ms > day.until_ms => {
                let calls = (others - before).max(0) as f64;
                let seconds = (now_ms - day.until_ms) as f64 / 1_000.0;
                let per_s = calls / seconds;
                let weight = 1.0 - (-seconds * 1_000.0 / RECENT_MS as f64).exp();
                self.recent_per_s += weight * (per_s - self.recent_per_s);
                for_hours(day.until_ms, now_ms, |hour, seconds| {
                    self.known[hour].add(seconds, per_s * seconds);
                    self.unsaved[hour].add(seconds, per_s * seconds);
                });
                day.others = Some(before.max(others));
                day.until_ms = now_ms;
            }
            Some(_) => {}
            None => (day.others, day.until_ms) = (Some(others), now_ms),
        }
    }

    /// How many calls others made of late.
    pub fn recent_per_s(&self) -> f64 {
        self.recent_per_s
    }

    /// For how long calls were watched, ever.
    pub fn watched_s(&self) -> f64 {
        self.all().seconds
    }

    fn all(&self) -> Seen {
        let mut all = Seen::default();
        self.known.iter().for_each(|seen| all.add(seen.seconds, seen.calls));
        all
    }

    /// What was seen in all and in each hour, each together with a guess: calls per second, and the share by which they
    /// may differ. The fewer calls a mean rests on, the more that is: what is not known of it is gamma distributed.
    fn means(&self, guess_per_s: f64) -> impl Iterator<Item = (f64, f64)> {
        let with_guess = move |seen: Seen| {
            let calls = GUESS_CALLS + seen.calls;
            (calls / (GUESS_CALLS / guess_per_s + seen.seconds), calls.sqrt().recip())
        };
        let hours = self.known.into_iter().filter(|seen| seen.seconds >= TELLING_S);
        hours.chain([self.all()]).map(with_guess)
    }

    /// All that is known.
    pub fn known(&self) -> Vec<Observed> {
        observed(&self.known)
    }

    /// What was seen since the last time.
    pub fn take(&mut self) -> Vec<Observed> {
        if self.unsaved.iter().map(|seen| seen.seconds).sum::<f64>() < LEAST_S {
            return Vec::new();
        }
        observed(&std::mem::take(&mut self.unsaved))
    }
}

impl Seen {
    fn add(&mut self, seconds: f64, calls: f64) {
        self.seconds += seconds;
        self.calls += calls;
    }
}

fn observed(seen: &[Seen; HOURS]) -> Vec<Observed> {
    let hours = seen.iter().zip(0..).filter(|(seen, _)| seen.seconds > 0.0);
    hours.map(|(seen, hour)| Observed { hour, seconds: seen.seconds, calls: seen.calls }).collect()
}

/// Goes through the hours of the UTC day from one time to another, with the seconds that fall in each.
fn for_hours(from_ms: i64, to_ms: i64, mut each: impl FnMut(usize, f64)) {
    let mut at_ms = from_ms;
    while at_ms < to_ms {
        let next_ms = ((at_ms.div_euclid(HOUR_MS) + 1) * HOUR_MS).min(to_ms);
        each(at_ms.div_euclid(HOUR_MS).rem_euclid(HOURS as i64) as usize, (next_ms - at_ms) as f64 / 1_000.0);
        at_ms = next_ms;
    }
}

#[cfg(test)]
mod tests;
