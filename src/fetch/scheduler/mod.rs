//! Whose turn it is, and whether a request may be sent now: decided without doing it.
//!
//! Plain values in, plain values out. The driver sends what [`Scheduler::next`] says and reports what came of it (`answers`); a
//! simulation does the same under a clock of its own. A decision costs the logarithm of the number of accounts.
//!
//! Lists come before details and details before streams, an unfinished list before a new one, then who ranks higher,
//! then who was served least. Local times are milliseconds of a clock that never jumps.

mod answers;

use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;

use super::account::{Turn, Work};
use super::budget::{Budget, Grant};
use super::clock::ServerClock;
use super::outage::{Outage, Suspect};
use super::{Failure, Stop, Why};
use crate::sources::strava::walk::Wanted;
use crate::store::landing::Ask;
use crate::store::state::parked::Parked;

/// So many accounts are looked through for one that did not fail in an outage.
const LOOKED_AT: usize = 64;

/// What a run may do.
#[derive(Debug, Clone)]
pub struct Bounds {
    pub concurrency: usize,
    pub max_requests: Option<u64>,
    /// Longest wait for a window.
    pub max_wait_ms: Option<i64>,
    /// Longest outage.
    pub patience_ms: i64,
    /// Whether tokens can be refreshed.
    pub has_app: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Get {
        account: usize,
        ask: Ask,
    },
    Refresh {
        account: usize,
    },
    /// Until something that is in flight has come back.
    Await,
    WaitUntil {
        local_ms: i64,
        why: Why,
    },
    End,
}

/// What others have to know, or to keep.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Failed(Failure),
    /// A token that was just given is not taken: the athlete took the access back.
    Refused {
        account: usize,
    },
    /// The refresh token is not taken, and nobody knows why.
    RefreshRefused {
        account: usize,
    },
    Parked {
        user_id: String,
        parked: Parked,
    },
    Unparked {
        account_id: String,
        ask: Ask,
    },
}

pub struct Scheduler {
    pub wanted: Wanted,
    pub budget: Budget,
    pub clock: ServerClock,
    pub stop: Option<Stop>,
    pub requests: u64,
    pub retries: u64,
    pub outages: u64,
    accounts: Vec<Work>,
    ready: BTreeSet<Turn>,
    /// Accounts that wait for the token endpoint.
    tokenless: VecDeque<usize>,
    /// The server asked to be left alone until then.
    held_until_ms: i64,
    outage: Option<Outage>,
    token_outage: Option<Outage>,
    bounds: Bounds,
    in_flight: usize,
    /// How many of them are asked of the token endpoint, which has no part in the limits nor in the clock.
    refreshing: usize,
    /// The latest time at which an answer was given.
    latest_s: i64,
    /// When the request was sent whose answer came last.
    answer_sent_ms: i64,
    left: u64,
    activities: usize,
    effects: Vec<Effect>,
}

impl Scheduler {
    pub fn new(
        accounts: Vec<Work>,
        wanted: Wanted,
        budget: Budget,
        clock: ServerClock,
        bounds: Bounds,
        local_ms: i64,
    ) -> Scheduler {
        let mut scheduler = Scheduler {
            wanted,
            budget,
            clock,
            stop: None,
            requests: 0,
            retries: 0,
            outages: 0,
            accounts,
            ready: BTreeSet::new(),
            tokenless: VecDeque::new(),
            held_until_ms: i64::MIN,
            outage: None,
            token_outage: None,
            bounds,
            in_flight: 0,
            refreshing: 0,
            latest_s: i64::MIN,
            answer_sent_ms: i64::MIN,
            left: 0,
            activities: 0,
            effects: Vec::new(),
        };
        let now = scheduler.now(local_ms);
        for index in 0..scheduler.accounts.len() {
            let work = &mut scheduler.accounts[index];
            work.look(&scheduler.wanted, now);
            scheduler.left += work.left(&scheduler.wanted);
            scheduler.activities += work.progress.activities();
            scheduler.ready.extend(work.turn(index));
        }
        scheduler
    }

    pub fn account(&self, index: usize) -> &Work {
        &self.accounts[index]
    }

    pub fn accounts(&self) -> &[Work] {
        &self.accounts
    }

    /// Requests that are still owed, as far as is known.
    pub fn left(&self) -> u64 {
        self.left
    }

    pub fn activities(&self) -> usize {
        self.activities
    }

    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn now(&self, local_ms: i64) -> Timestamp {
        Timestamp::from_millisecond(self.clock.now_ms(local_ms)).unwrap_or(Timestamp::MAX)
    }

    /// Changes an account, and puts it where it then belongs.
    fn change<T>(&mut self, index: usize, change: impl FnOnce(&mut Work, &Wanted) -> T) -> T {
        let work = &mut self.accounts[index];
        if let Some(turn) = work.turn(index) {
            self.ready.remove(&turn);
        }
        self.left -= work.left(&self.wanted);
        let done = change(work, &self.wanted);
        self.left += work.left(&self.wanted);
        self.ready.extend(work.turn(index));
        done
    }

    /// What to do next.
    pub fn next(&mut self, local_ms: i64) -> Step {
        loop {
            // None: an account was put aside, and the next one is looked at.
            if let Some(step) = self.step(local_ms) {
                return step;
            }
        }
    }

    /// Nothing more is sent. What is in flight comes back first.
    fn idle(&self, step: Step) -> Step {
        if self.in_flight > 0 { Step::Await } else { step }
    }

    fn step(&mut self, local_ms: i64) -> Option<Step> {
        if self.stop.is_some() {
            return Some(self.idle(Step::End));
        }
        let asking = self.in_flight - self.refreshing;
        // Until answers agree on the time, one at a time.
        let at_most = if self.clock.is_settled() { self.bounds.concurrency } else { 1 };
        let is_probing = self.outage.is_some() && self.in_flight > 0;
        if asking >= at_most || self.refreshing >= self.bounds.concurrency || is_probing {
            return Some(Step::Await);
        }
        if let Some(step) = self.probe(local_ms) {
            return Some(step);
        }
        let Some(index) = self.pick(local_ms) else {
            return Some(self.without_tokens(local_ms));
        };
        let now_ms = self.clock.now_ms(local_ms);
        match self.budget.look(now_ms) {
            Grant::AfterAnswer => return Some(Step::Await),
            Grant::WaitUntil { ms, window } => return Some(self.wait_for_window(ms, window, local_ms)),
            Grant::Go if self.held_until_ms > local_ms => {
                let ms = now_ms + self.held_until_ms - local_ms;
                return Some(self.wait_for_window(ms, "refused", local_ms));
            }
            Grant::Go => {}
        }
        if self.accounts[index].needs_refresh(now_ms.div_euclid(1_000)) {
            return self.refresh(index, local_ms);
        }
        if self.bounds.max_requests.is_some_and(|max| self.requests >= max) {
            self.stop = Some(Stop::MaxRequests);
            return Some(self.idle(Step::End));
        }
        let now = self.now(local_ms);
        let ask = self.change(index, |work, wanted| work.next(wanted, now));
        let ask = ask.expect("who is ready owes something");
        self.budget.take(now_ms);
        self.in_flight += 1;
        self.requests += 1;
        Some(Step::Get { account: index, ask })
    }

    fn wait_for_window(&mut self, ms: i64, window: &'static str, local_ms: i64) -> Step {
        let wait_ms = ms - self.clock.now_ms(local_ms);
        if self.bounds.max_wait_ms.is_some_and(|max_ms| wait_ms > max_ms) {
            let until = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
            self.stop = Some(Stop::Quota { window: window.to_string(), until });
            return self.idle(Step::End);
        }
        self.idle(Step::WaitUntil { local_ms: local_ms + wait_ms, why: Why::Window(window) })
    }

    /// In an outage: when the next request may find out whether it is over.
    fn probe(&mut self, local_ms: i64) -> Option<Step> {
        let outage = self.outage.as_ref()?;
        self.wait_out(outage.since_ms, outage.probe_at_ms, outage.reason.clone(), local_ms)
    }

    fn wait_out(&mut self, since_ms: i64, probe_at_ms: i64, reason: String, local_ms: i64) -> Option<Step> {
        if probe_at_ms <= local_ms {
            return None;
        }
        if probe_at_ms - since_ms > self.bounds.patience_ms {
            // Nothing is in flight any more: in an outage, whoever decides has waited for it.
            self.stop = Some(Stop::Outage { reason });
            return Some(Step::End);
        }
        Some(Step::WaitUntil { local_ms: probe_at_ms, why: Why::Outage(reason) })
    }

    /// Who is next; in an outage, who did not fail in it, where there is somebody.
    fn pick(&mut self, local_ms: i64) -> Option<usize> {
        let first = self.ready.first()?.account;
        if self.outage.is_none() {
            return Some(first);
        }
        let now = self.now(local_ms);
        let next: Vec<usize> = self.ready.iter().take(LOOKED_AT).map(|turn| turn.account).collect();
        let innocent = next.into_iter().find(|account| {
            let ask = self.change(*account, |work, wanted| work.peek(wanted, now));
            let suspect = Suspect { account: *account, ask };
            self.outage.as_ref().is_some_and(|outage| !outage.is_suspect(&suspect))
        });
        Some(innocent.unwrap_or(first))
    }

    /// Nobody is ready: is somebody waiting for the token endpoint?
    fn without_tokens(&mut self, local_ms: i64) -> Step {
        if self.in_flight > 0 {
            return Step::Await;
        }
        let Some(outage) = &self.token_outage else { return Step::End };
        let (since_ms, at_ms, reason) = (outage.since_ms, outage.probe_at_ms, outage.reason.clone());
        if let Some(step) = self.wait_out(since_ms, at_ms, reason, local_ms) {
            return step;
        }
        // Another one each time: the first may be at fault itself.
        match self.tokenless.pop_front() {
            Some(index) => self.begin_refresh(index),
            None => Step::End,
        }
    }

    fn refresh(&mut self, index: usize, local_ms: i64) -> Option<Step> {
        if !self.bounds.has_app {
            let reason = "the access token has ended, and a new one takes the application's id and secret: set \
                          LONGRUN_STRAVA_CLIENT_ID and LONGRUN_STRAVA_CLIENT_SECRET";
            self.give_up(index, reason.to_string());
            return None;
        }
        if self.token_outage.as_ref().is_some_and(|outage| local_ms < outage.probe_at_ms) {
            self.wait_for_tokens(index);
            return None;
        }
        Some(self.begin_refresh(index))
    }

    fn wait_for_tokens(&mut self, index: usize) {
        self.tokenless.push_back(index);
        self.change(index, |work, _| work.wait_for_tokens());
    }

    fn begin_refresh(&mut self, index: usize) -> Step {
        self.change(index, |work, _| work.begin_refresh());
        self.in_flight += 1;
        self.refreshing += 1;
        Step::Refresh { account: index }
    }

    /// Something that was sent has come back, or never will.
    fn came_back(&mut self) {
        self.in_flight -= 1;
    }

    /// A refresh has, whatever came of it.
    fn refresh_ended(&mut self) {
        self.refreshing -= 1;
        self.came_back();
    }
}

#[cfg(test)]
mod tests;
