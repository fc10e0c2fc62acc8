//! Whose turn it is, and whether a request may be sent now: decided without doing it.
//!
//! Plain values in, plain values out. The driver sends what [`Scheduler::next`] says and tells it what came of it; a
//! simulation does the same under a clock of its own. A decision costs the logarithm of the number of accounts.
//!
//! Lists come before details and details before streams, an unfinished list before a new one, then who ranks higher,
//! then who was served least. Local times are milliseconds of a clock that never jumps.

use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;

use super::account::{Turn, Work};
use super::budget::{Budget, Grant, RateSeen};
use super::clock::ServerClock;
use super::endpoints::{self, Told};
use super::outage::{Outage, Suspect, Trouble};
use super::walk::Wanted;
use super::{Failure, Stop, Why};
use crate::store::landing::Ask;
use crate::store::state::accounts::Account;
use crate::store::state::parked::Parked;

/// So many failures of its own set a thing aside.
const ATTEMPTS: u32 = 3;
/// So many accounts are looked through for one that did not fail in an outage.
const LOOKED_AT: usize = 64;
/// By so much a date may differ from when its answer was under way.
const DATE_MARGIN_S: i64 = 2;

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

/// What is to be told to others, or kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Failed(Failure),
    Parked { user_id: String, parked: Parked },
    Unparked { account_id: String, ask: Ask },
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
        // Until answers agree on the time, one at a time.
        let is_careful = self.outage.is_some() || !self.clock.is_settled();
        if self.in_flight >= self.bounds.concurrency || (is_careful && self.in_flight > 0) {
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
            self.stop = Some(Stop::Outage { reason });
            return Some(if self.in_flight > 0 { Step::Await } else { Step::End });
        }
        Some(Step::WaitUntil { local_ms: probe_at_ms, why: Why::Outage(reason) })
    }

    /// Who is next; in an outage, who did not fail in it, where there is somebody.
    fn pick(&self, local_ms: i64) -> Option<usize> {
        let first = self.ready.first()?.account;
        let Some(outage) = &self.outage else { return Some(first) };
        let now = self.now(local_ms);
        let is_innocent = |turn: &&Turn| {
            let ask = self.accounts[turn.account].peek(&self.wanted, now);
            !outage.is_suspect(&Suspect { account: turn.account, ask })
        };
        let innocent = self.ready.iter().take(LOOKED_AT).find(is_innocent);
        Some(innocent.map_or(first, |turn| turn.account))
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
        Step::Refresh { account: index }
    }

    /// Something that was sent has come back, or never will.
    fn came_back(&mut self) {
        self.in_flight -= 1;
    }

    /// An answer has come to a request that was sent at `sent_ms`. Returns the time at which it was given, unix
    /// seconds: what it is dated, if that can be.
    pub fn answered(&mut self, sent_ms: i64, local_ms: i64, date_s: Option<i64>, rate: RateSeen) -> i64 {
        self.came_back();
        self.answer_sent_ms = sent_ms;
        let before_ms = self.clock.now_ms(local_ms);
        if let Some(date_s) = date_s {
            self.clock.saw(date_s, local_ms);
        }
        let now_ms = self.clock.now_ms(local_ms);
        if now_ms.abs_diff(before_ms) > 1_000 {
            self.budget.moved(before_ms, now_ms);
            self.latest_s = i64::MIN;
        }
        let now_s = now_ms.div_euclid(1_000);
        let first_s = self.clock.now_ms(sent_ms).div_euclid(1_000) - DATE_MARGIN_S;
        let can_be = |date_s: &i64| (first_s..=now_s + DATE_MARGIN_S).contains(date_s);
        // A date that cannot be right says nothing. What came with it counts for the latest window there is.
        let at_s = date_s.filter(can_be).unwrap_or_else(|| now_s.max(self.latest_s));
        self.latest_s = self.latest_s.max(at_s);
        self.budget.answered(at_s, rate);
        at_s
    }

    /// No whole answer has come.
    pub fn unanswered(&mut self) {
        self.came_back();
        self.budget.unanswered();
    }

    /// An answer has landed.
    pub fn landed(&mut self, index: usize, ask: &Ask, told: Told, at: Timestamp, local_ms: i64) {
        self.api_is_well(index, ask, local_ms);
        let now = self.now(local_ms);
        let activities = self.accounts[index].progress.activities();
        let is_unparked = self.change(index, |work, wanted| {
            work.progress.take(ask, told, at);
            work.refused_tokens.remove(ask);
            if endpoints::activity(ask).is_none() {
                work.listed(wanted, now);
            }
            work.unpark(ask)
        });
        if endpoints::activity(ask).is_none() {
            self.activities += self.accounts[index].progress.activities();
            self.activities -= activities;
        }
        if is_unparked {
            let account_id = self.accounts[index].account.account_id.clone();
            self.effects.push(Effect::Unparked { account_id, ask: ask.clone() });
        }
    }

    /// The server refused a request for the rate. `retry_after_ms` is how long it wants to be left alone.
    pub fn over_the_limit(&mut self, index: usize, ask: &Ask, retry_after_ms: Option<i64>, local_ms: i64) {
        self.api_is_well(index, ask, local_ms);
        self.held_until_ms = self.held_until_ms.max(local_ms + retry_after_ms.unwrap_or(0));
        self.retries += 1;
        self.budget.refused(self.clock.now_ms(local_ms).div_euclid(1_000));
        self.change(index, |work, _| work.put_back(ask, true));
    }

    /// What was asked for is asked for again, with newer tokens.
    pub fn again(&mut self, index: usize, ask: &Ask) {
        self.change(index, |work, _| work.put_back(ask, true));
    }

    /// The access token that is in use was refused.
    pub fn token_refused(&mut self, index: usize, ask: &Ask, reason: String, local_ms: i64) {
        self.api_is_well(index, ask, local_ms);
        let work = &mut self.accounts[index];
        let is_first = work.refused_tokens.insert(ask.clone());
        if work.awaits_refresh() || (self.bounds.has_app && is_first) {
            self.change(index, |work, _| {
                work.put_back(ask, true);
                work.distrust();
            });
        } else if self.bounds.has_app && endpoints::activity(ask).is_some() {
            // With a token that was just given: it is this thing that is refused.
            self.refused(index, ask, reason, local_ms);
        } else {
            let user_id = &self.accounts[index].account.user_id;
            let reason = format!(
                "strava refuses the access token ({reason}); let the athlete give consent again: `longrun connect strava --user {user_id}`"
            );
            self.change(index, |work, _| work.put_back(ask, true));
            self.give_up(index, reason);
        }
    }

    /// One thing is refused, and perhaps the account with it.
    pub fn refused(&mut self, index: usize, ask: &Ask, reason: String, local_ms: i64) {
        self.api_is_well(index, ask, local_ms);
        self.change(index, |work, _| work.put_back(ask, true));
        self.set_aside(index, ask, format!("strava refuses it ({reason})"), local_ms);
    }

    /// A thing is set aside, or the account where it is the list.
    fn set_aside(&mut self, index: usize, ask: &Ask, reason: String, local_ms: i64) {
        let now_s = self.now(local_ms).as_second();
        let parked = self.change(index, |work, _| work.park(ask, reason.clone(), now_s));
        match parked {
            Some(parked) => {
                let user_id = self.accounts[index].account.user_id.clone();
                self.effects.push(Effect::Parked { user_id, parked });
            }
            None => {
                let what = (endpoints::of(ask).describe)(ask);
                self.give_up(index, format!("{what}: {reason}; run the same command again later"));
            }
        }
    }

    /// A request did not get a sensible answer.
    pub fn trouble(
        &mut self,
        index: usize,
        ask: &Ask,
        trouble: Trouble,
        reason: String,
        retry_after_ms: Option<i64>,
        local_ms: i64,
    ) {
        self.retries += 1;
        self.change(index, |work, _| work.put_back(ask, false));
        let suspect = Suspect { account: index, ask: Some(ask.clone()) };
        if self.outage.is_none() {
            self.outages += 1;
        }
        let outage = self.outage.get_or_insert_with(|| Outage::begin(local_ms));
        outage.failed(suspect.clone(), trouble, reason.clone(), local_ms, retry_after_ms);
        let failures = outage.failures_of(&suspect) + self.accounts[index].failures_of(ask);
        if failures >= ATTEMPTS && self.has_suspects_only() {
            self.set_aside(index, ask, reason, local_ms);
        }
    }

    /// Whether nothing is left to send but what has failed in this outage.
    fn has_suspects_only(&self) -> bool {
        let Some(outage) = &self.outage else { return false };
        let mut sendable = 0;
        for turn in self.ready.iter().take(LOOKED_AT) {
            sendable += self.accounts[turn.account].sendable();
            if sendable > outage.suspects() {
                return false;
            }
        }
        self.in_flight == 0
    }

    /// Something was answered well: this.
    fn api_is_well(&mut self, account: usize, ask: &Ask, local_ms: i64) {
        // What was sent before the trouble began may have been answered before it, too.
        let answer_sent_ms = self.answer_sent_ms;
        let Some(outage) = self.outage.take_if(|outage| outage.since_ms <= answer_sent_ms) else { return };
        let reason = outage.reason.clone();
        let well = Suspect { account, ask: Some(ask.clone()) };
        let Some(suspect) = outage.over().filter(|suspect| *suspect != well) else { return };
        let Suspect { account, ask: Some(ask) } = suspect else { return };
        let failures = self.accounts[account].failed(&ask);
        // What failed another day already is not tried more often than once.
        if failures >= ATTEMPTS || self.accounts[account].is_parked(&ask) {
            self.set_aside(account, &ask, reason, local_ms);
        }
    }

    /// Another process has stored newer tokens.
    pub fn adopt(&mut self, index: usize, account: Account) {
        self.change(index, |work, _| work.renew(account));
    }

    /// A refresh was not needed: newer tokens were stored already.
    pub fn refreshed_elsewhere(&mut self, index: usize, account: Account) {
        self.came_back();
        self.adopt(index, account);
    }

    /// A refresh gave new tokens, and they are stored.
    pub fn refreshed(&mut self, index: usize, account: Account) {
        self.came_back();
        self.change(index, |work, _| work.renew(account));
        if let Some(outage) = self.token_outage.take() {
            for waiting in std::mem::take(&mut self.tokenless) {
                self.change(waiting, |work, _| work.end_refresh());
            }
            let reason = outage.reason.clone();
            if let Some(suspect) = outage.over().filter(|suspect| suspect.account != index) {
                self.accounts[suspect.account].refresh_failures += 1;
                if self.accounts[suspect.account].refresh_failures >= ATTEMPTS {
                    let reason = format!(
                        "the token could not be refreshed in {ATTEMPTS} attempts: {reason}; run the same command again later"
                    );
                    self.give_up(suspect.account, reason);
                }
            }
        }
    }

    /// The token endpoint refuses the refresh token.
    pub fn refresh_refused(&mut self, index: usize, reason: &str) {
        self.came_back();
        let user_id = &self.accounts[index].account.user_id;
        let reason = format!(
            "strava refuses the refresh token ({reason}); let the athlete give consent again: `longrun connect strava --user {user_id}`"
        );
        self.give_up(index, reason);
    }

    /// The token endpoint did not answer well.
    pub fn refresh_trouble(
        &mut self,
        index: usize,
        reason: String,
        retry_after_ms: Option<i64>,
        local_ms: i64,
    ) {
        self.came_back();
        self.retries += 1;
        if self.token_outage.is_none() {
            self.outages += 1;
        }
        let outage = self.token_outage.get_or_insert_with(|| Outage::begin(local_ms));
        let suspect = Suspect { account: index, ask: None };
        outage.failed(suspect, Trouble::OfTheApi, reason, local_ms, retry_after_ms);
        self.wait_for_tokens(index);
    }

    fn give_up(&mut self, index: usize, reason: String) {
        if self.accounts[index].is_given_up() {
            return;
        }
        self.change(index, |work, _| work.give_up());
        let user_id = self.accounts[index].account.user_id.clone();
        self.effects.push(Effect::Failed(Failure { user_id, reason }));
    }
}
