//! Weeks of fetching in seconds: the real scheduler against a server that counts as Strava does, under a virtual
//! clock.
//!
//! The server has fixed windows and days, live traffic of somebody else that comes and goes with the hours, answers
//! that take their time, dates that are wrong now and then, and tokens that end. What is not simulated is bytes: a
//! page is its entries.

pub mod picture;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

use super::emulator::Limits;
use crate::fetch::account::Work;
use crate::fetch::budget::{Budget, PairSeen, RateSeen};
use crate::fetch::clock::ServerClock;
use crate::fetch::reserve::Reserve;
use crate::fetch::scheduler::{Bounds, Scheduler, Step};
use crate::model::secret::Secret;
use crate::sources::strava::endpoints::{Depth, News, list::PER_PAGE};
use crate::sources::strava::walk::{Progress, Wanted};
use crate::sources::strava::{self, api::ListEntry};
use crate::store::landing::Ask;
use crate::store::state::accounts::Account;

const BEGIN_S: i64 = 1_790_000_000;
const DAY_S: i64 = 86_400;
const TOKEN_S: i64 = 6 * 3_600;

#[derive(Debug, Clone)]
pub struct Options {
    pub seed: u64,
    pub accounts: usize,
    /// Of all accounts together.
    pub activities: u64,
    pub days: u32,
    pub depth: Depth,
    pub limits: Limits,
    /// None learns it.
    pub reserve: Option<f64>,
    /// Share of the read limit of a day that live traffic uses, on average.
    pub live: f64,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    pub calls: u64,
    /// What the limits and live traffic left on whole days with work, and the share of it that was used.
    pub left_by_live: u64,
    pub share_of_left_by_live: f64,
    /// The same without the room that the reserve still kept for calls of others when a window or a day ended.
    pub left_by_reserve: u64,
    pub share_of_left_by_reserve: f64,
    /// Calls of ours that were refused for the rate.
    pub refused: u64,
    /// Calls that brought nothing new.
    pub wasted: u64,
    pub live_calls: u64,
    /// Live calls that found no room, and would have had it without ours.
    pub live_refused: u64,
    /// Live calls that would have found no room without ours either.
    pub live_beyond: u64,
    pub lists_done: usize,
    /// When the middle account's list was known, and the last one's, in hours from the start.
    pub list_hours_median: f64,
    pub list_hours_last: f64,
    /// The fewest and most calls that an account was given that waits for the same as the first in line.
    pub fewest_calls: u64,
    pub most_calls: u64,
    pub decisions: u64,
    pub days: Vec<Day>,
    pub hours: Vec<Hour>,
}

/// One day of the budget.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Day {
    pub calls: u64,
    pub live: u64,
    /// What the limits and live traffic left.
    pub left_by_live: u64,
    /// Room that was kept for calls of others at the ends of its windows, and at its own.
    pub kept_at_windows: u64,
    pub kept_at_its_end: u64,
}

/// One hour of it.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Hour {
    pub calls: u64,
    pub live: u64,
}

struct Server {
    limits: Limits,
    rng: Pcg64Mcg,
    live: f64,
    all: Counts,
    /// As if there were no calls of ours.
    live_alone: Counts,
    /// Live calls until this second are counted.
    live_until_s: i64,
    /// The window whose end has not come yet.
    ending: i64,
}

/// What was counted in the running window and on the running day, each with its number.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    window: (i64, u32),
    day: (i64, u32),
}

impl Counts {
    fn roll(&mut self, limits: &Limits, second: i64) {
        let window = second.div_euclid(i64::from(limits.short_window_s));
        let day = second.div_euclid(i64::from(limits.day_s));
        if window != self.window.0 {
            self.window = (window, 0);
        }
        if day != self.day.0 {
            self.day = (day, 0);
        }
    }

    /// Counts a call. Returns whether it is refused.
    fn count(&mut self, limits: &Limits) -> bool {
        let is_full = self.window.1 >= limits.read_short || self.day.1 >= limits.read_day;
        self.window.1 += 1;
        self.day.1 += 1;
        is_full
    }
}

impl Server {
    fn roll(&mut self, second: i64) {
        self.all.roll(&self.limits, second);
        self.live_alone.roll(&self.limits, second);
    }

    /// Others' calls up to a second.
    fn live(&mut self, second: i64, outcome: &mut Outcome) {
        let mean = self.live * f64::from(self.limits.read_day) / DAY_S as f64;
        while self.live_until_s < second {
            self.live_until_s += 1;
            self.roll(self.live_until_s);
            // More by day than by night.
            let hour = self.live_until_s.rem_euclid(DAY_S) as f64 / 3_600.0;
            let now = mean * (1.0 + 0.8 * ((hour - 14.0) * std::f64::consts::PI / 12.0).cos());
            if self.rng.random::<f64>() < now {
                outcome.live_calls += 1;
                let is_refused = self.all.count(&self.limits);
                let is_beyond = self.live_alone.count(&self.limits);
                outcome.live_refused += u64::from(is_refused && !is_beyond);
                outcome.live_beyond += u64::from(is_beyond);
                if let Some(day) = outcome.days.get_mut(day_of(self.live_until_s)) {
                    day.live += u64::from(!is_refused);
                }
                if let Some(hour) = outcome.hours.get_mut(hour_of(self.live_until_s)) {
                    hour.live += u64::from(!is_refused);
                }
            }
        }
    }

    /// Time goes on to a second. Where a window ends with that, what was kept in it for calls of others to the last is
    /// noted.
    fn pass(&mut self, second: i64, scheduler: &Scheduler, outcome: &mut Outcome) {
        let (length_s, day_s) = (i64::from(self.limits.short_window_s), i64::from(self.limits.day_s));
        let end_s = (self.ending + 1) * length_s;
        if second < end_s {
            return;
        }
        self.ending = second.div_euclid(length_s);
        self.live(end_s - 1, outcome);
        let kept = scheduler.budget.kept(scheduler.clock.now_ms((end_s - BEGIN_S) * 1_000 - 1));
        let Some(day) = outcome.days.get_mut(day_of(end_s - 1)) else { return };
        let unused = |limit: u32, used: u32| u64::from(limit.saturating_sub(used));
        day.kept_at_windows += u64::from(kept[0]).min(unused(self.limits.read_short, self.all.window.1));
        if end_s.rem_euclid(day_s) == 0 {
            day.kept_at_its_end = u64::from(kept[1]).min(unused(self.limits.read_day, self.all.day.1));
        }
    }

    fn rate(&self) -> RateSeen {
        let pair = |short_limit, day_limit| {
            Some(PairSeen { short_limit, day_limit, short_used: self.all.window.1, day_used: self.all.day.1 })
        };
        let limits = &self.limits;
        RateSeen {
            overall: pair(limits.overall_short, limits.overall_day),
            read: pair(limits.read_short, limits.read_day),
        }
    }
}

/// From the beginning of the first day.
fn day_of(second: i64) -> usize {
    usize::try_from(second.div_euclid(DAY_S) - BEGIN_S.div_euclid(DAY_S)).unwrap_or(0)
}

fn hour_of(second: i64) -> usize {
    usize::try_from((second - BEGIN_S.div_euclid(DAY_S) * DAY_S).div_euclid(3_600)).unwrap_or(0)
}

/// What comes back, and when.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Coming {
    Grant { account: usize },
    Answer { account: usize, number: u64 },
}

struct Sent {
    ask: Ask,
    at_ms: i64,
    date_s: i64,
    rate: RateSeen,
    is_refused: bool,
}

/// Runs it. Times are milliseconds from the start, by a local clock that is 40 s behind the server's.
pub fn run(options: &Options) -> Outcome {
    const BEHIND_MS: i64 = 40_000;
    let mut rng = Pcg64Mcg::seed_from_u64(options.seed);
    let sizes = sizes(options, &mut rng);
    let begin = Timestamp::from_second(BEGIN_S).expect("a time");
    let wanted = Wanted::new(options.depth, begin, SignedDuration::from_hours(24 * 365), None);
    let works =
        (0..options.accounts).map(|n| Work::new(account(n), Progress::default(), u32::MAX, Vec::new()));
    let limits = options.limits;
    let bounds = Bounds {
        concurrency: 8,
        max_requests: None,
        max_wait_ms: None,
        patience_ms: i64::MAX,
        has_app: true,
    };
    let reserve = Reserve::choose(options.reserve, &[]);
    let budget = Budget::new(limits.short_window_s, limits.day_s, reserve);
    let clock = ServerClock::guess(begin.as_millisecond() - BEHIND_MS);
    let mut scheduler = Scheduler::new(works.collect(), wanted, budget, clock, bounds, 0);
    let mut server = Server {
        limits,
        rng: Pcg64Mcg::seed_from_u64(options.seed ^ 1),
        live: options.live,
        all: Counts::default(),
        live_alone: Counts::default(),
        live_until_s: BEGIN_S,
        ending: BEGIN_S.div_euclid(i64::from(limits.short_window_s)),
    };
    let days = options.days as usize + 1;
    let (days, hours) = (vec![Day::default(); days], vec![Hour::default(); 24 * days]);
    let mut outcome = Outcome { days, hours, ..Outcome::default() };
    let mut coming: BinaryHeap<Reverse<(i64, Coming)>> = BinaryHeap::new();
    let mut sent: std::collections::HashMap<u64, Sent> = std::collections::HashMap::new();
    let mut list_done_ms: Vec<i64> = Vec::new();
    let mut calls_of = vec![0_u64; options.accounts];
    let end_ms = i64::from(options.days) * DAY_S * 1_000;
    let mut now_ms = 0_i64;
    let mut has_ended = false;
    while now_ms < end_ms && !has_ended {
        let server_s = BEGIN_S + now_ms.div_euclid(1_000);
        outcome.decisions += 1;
        let step = scheduler.next(now_ms);
        match step {
            Step::Get { account, ask } => {
                server.live(server_s, &mut outcome);
                server.roll(server_s);
                let is_refused = server.all.count(&limits);
                outcome.calls += 1;
                outcome.refused += u64::from(is_refused);
                calls_of[account] += 1;
                outcome.days[day_of(server_s)].calls += u64::from(!is_refused);
                outcome.hours[hour_of(server_s)].calls += u64::from(!is_refused);
                let is_wrong = rng.random_range(0..1_000) == 0;
                let date_s = server_s + if is_wrong { rng.random_range(-90_000..90_000) } else { 0 };
                let takes_ms = rng.random_range(80..900);
                let number = outcome.calls;
                coming.push(Reverse((now_ms + takes_ms, Coming::Answer { account, number })));
                sent.insert(number, Sent { ask, at_ms: now_ms, date_s, rate: server.rate(), is_refused });
            }
            Step::Refresh { account } => {
                coming.push(Reverse((now_ms + rng.random_range(80..900), Coming::Grant { account })));
            }
            Step::Await => {
                let Reverse((at_ms, what)) = coming.pop().expect("something is awaited");
                now_ms = now_ms.max(at_ms);
                server.pass(BEGIN_S + now_ms.div_euclid(1_000), &scheduler, &mut outcome);
                match what {
                    Coming::Grant { account } => {
                        let mut renewed = scheduler.account(account).account.clone();
                        renewed.expires_at = BEGIN_S + now_ms / 1_000 + TOKEN_S;
                        scheduler.refreshed(account, renewed);
                    }
                    Coming::Answer { account, number } => {
                        let sent = sent.remove(&number).expect("it was sent");
                        let was_walked = scheduler.account(account).progress.is_walked();
                        land(&mut scheduler, account, sent, now_ms, sizes[account]);
                        if !was_walked && scheduler.account(account).progress.is_walked() {
                            list_done_ms.push(now_ms);
                        }
                    }
                }
            }
            Step::WaitUntil { local_ms, .. } => {
                now_ms = local_ms.max(now_ms + 1);
                server.pass(BEGIN_S + now_ms.div_euclid(1_000), &scheduler, &mut outcome);
            }
            Step::End => has_ended = true,
        }
    }
    server.live(BEGIN_S + now_ms / 1_000, &mut outcome);
    // Those who wait for the same: who has nothing left but streams waits until nobody's details are owed.
    let next = |index: usize| scheduler.account(index).turn(index).map(|turn| turn.endpoint);
    let first = (0..options.accounts).filter_map(next).min();
    let served: Vec<u64> =
        (0..options.accounts).filter(|n| first.is_some() && next(*n) == first).map(|n| calls_of[n]).collect();
    outcome.fewest_calls = served.iter().copied().min().unwrap_or(0);
    outcome.most_calls = served.iter().copied().max().unwrap_or(0);
    outcome.lists_done = list_done_ms.len();
    let hours = |ms: Option<&i64>| ms.map_or(0.0, |ms| *ms as f64 / 3_600_000.0);
    outcome.list_hours_median = hours(list_done_ms.get(list_done_ms.len() / 2));
    outcome.list_hours_last = hours(list_done_ms.last());
    outcome.wasted = outcome.refused;
    whole_days(&mut outcome, options, has_ended);
    outcome
}

/// Compares whole days with work with what they left.
fn whole_days(outcome: &mut Outcome, options: &Options, has_ended: bool) {
    // The first and the last day are parts of days, and the last one may have run out of work.
    let last = outcome.days.len().saturating_sub(if has_ended { 2 } else { 1 });
    let mut used = 0;
    for day in outcome.days.iter_mut().take(last).skip(1) {
        let windows = u64::from(options.limits.day_s / options.limits.short_window_s);
        let (of_day, of_windows) =
            (u64::from(options.limits.read_day), windows * u64::from(options.limits.read_short));
        day.left_by_live = of_day.min(of_windows).saturating_sub(day.live);
        outcome.left_by_live += day.left_by_live;
        let without_kept = (of_day - day.kept_at_its_end).min(of_windows - day.kept_at_windows);
        outcome.left_by_reserve += without_kept.saturating_sub(day.live);
        used += day.calls;
    }
    let share = |left: u64| if left == 0 { 0.0 } else { used as f64 / left as f64 };
    outcome.share_of_left_by_live = share(outcome.left_by_live);
    outcome.share_of_left_by_reserve = share(outcome.left_by_reserve);
}

fn land(scheduler: &mut Scheduler, account: usize, sent: Sent, now_ms: i64, size: u64) {
    let at_s = scheduler.answered(sent.at_ms, now_ms, Some(sent.date_s), sent.rate);
    if sent.is_refused {
        scheduler.over_the_limit(account, &sent.ask, None, now_ms);
        return;
    }
    let news = match &sent.ask {
        Ask::List { before_s, page, .. } => News::Page(page_of(account, size, *before_s, *page)),
        _ => News::Whole,
    };
    let at = Timestamp::from_second(at_s).expect("a time");
    scheduler.landed(account, &sent.ask, news, at, now_ms);
}

/// A page of an account's list: activity `n` of `size` began `n` days before the start.
fn page_of(account: usize, size: u64, before_s: Option<i64>, page: u32) -> Vec<Option<ListEntry>> {
    let start_s = |n: u64| BEGIN_S - n as i64 * DAY_S / 2;
    let first = before_s.map_or(0, |before_s| ((BEGIN_S - before_s) * 2 / DAY_S + 1).max(0) as u64);
    let first = first + u64::from(page - 1) * u64::from(PER_PAGE);
    let entry = |n: u64| {
        Some(ListEntry {
            id: format!("{account}{n:05}"),
            start_s: start_s(n),
            manual: n.is_multiple_of(17),
            print: 1,
        })
    };
    (first..size.min(first + u64::from(PER_PAGE))).map(entry).collect()
}

/// How many activities each account has: few have many.
fn sizes(options: &Options, rng: &mut Pcg64Mcg) -> Vec<u64> {
    let weights: Vec<f64> =
        (0..options.accounts).map(|_| (-rng.random::<f64>().max(1e-9).ln()).powf(1.3) + 0.02).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| (w / total * options.activities as f64).round() as u64).collect()
}

fn account(number: usize) -> Account {
    Account {
        source: strava::SOURCE.to_string(),
        user_id: format!("user-{number}"),
        account_id: number.to_string(),
        access_token: Secret::new("simulated"),
        refresh_token: Secret::new("simulated"),
        expires_at: BEGIN_S + TOKEN_S,
        scope: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            seed: 20_261_125,
            accounts: 60,
            activities: 9_000,
            days: 5,
            depth: Depth::Streams,
            limits: Limits::default(),
            reserve: None,
            live: 0.05,
        }
    }

    #[test]
    fn a_week_of_the_real_scheduler_provokes_no_refusal_and_uses_what_is_left() {
        let outcome = run(&options());
        assert_eq!(outcome.lists_done, 60);
        assert_eq!((outcome.refused, outcome.live_refused), (0, 0), "{outcome:?}");
        // Of small windows the room for a live call that nobody has seen yet is much.
        assert!(outcome.share_of_left_by_live >= 0.99, "{outcome:?}");
        assert!(outcome.share_of_left_by_reserve >= 0.995, "{outcome:?}");
        // Everybody with work left was served about as often.
        assert!(outcome.most_calls - outcome.fewest_calls <= 3, "{outcome:?}");
    }

    #[test]
    fn live_traffic_that_nobody_knew_of_finds_room_from_the_first_window_on() {
        for (seed, live) in [(1, 0.2), (2, 0.3), (4, 0.45)] {
            let outcome = run(&Options { seed, live, accounts: 120, activities: 60_000, ..options() });
            assert_eq!((outcome.refused, outcome.live_refused, outcome.live_beyond), (0, 0, 0), "{live}");
            assert!(outcome.share_of_left_by_live > 0.85, "{live}: {outcome:?}");
        }
        let defaults = Limits::default();
        let limits =
            Limits { overall_short: 600, overall_day: 60_000, read_short: 300, read_day: 30_000, ..defaults };
        for seed in 1..4 {
            let large =
                Options { seed, live: 0.3, limits, accounts: 120, activities: 60_000, days: 2, ..options() };
            let outcome = run(&large);
            assert_eq!((outcome.refused, outcome.live_refused, outcome.live_beyond), (0, 0, 0), "{seed}");
            assert!(outcome.share_of_left_by_live > 0.9, "{seed}: {outcome:?}");
        }
    }

    #[test]
    fn where_nobody_else_calls_nothing_is_ever_refused() {
        let outcome = run(&Options { live: 0.0, reserve: Some(0.0), ..options() });
        assert_eq!((outcome.refused, outcome.lists_done), (0, 60));
    }

    #[test]
    fn a_decision_does_not_grow_with_the_accounts() {
        let time = |accounts: usize| {
            let options = Options { accounts, activities: accounts as u64 * 3, days: 2, ..options() };
            let begin = std::time::Instant::now();
            let outcome = run(&options);
            begin.elapsed().as_secs_f64() / outcome.decisions as f64
        };
        time(10);
        let (few, many) = (time(100), time(10_000));
        assert!(many < 20.0 * few, "a decision takes {few} s among 100 and {many} s among 10,000");
    }
}
