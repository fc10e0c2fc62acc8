//! What comes back, and what it means for what is asked next.

use jiff::Timestamp;

use super::{Effect, LOOKED_AT, Scheduler};
use crate::fetch::Failure;
use crate::fetch::budget::RateSeen;
use crate::fetch::outage::{Outage, Suspect, Trouble};
use crate::fetch::verdict::names_the_grant;
use crate::sources::strava::endpoints::{self, News};
use crate::store::landing::Ask;
use crate::store::state::accounts::Account;

/// So many failures of its own set a thing aside.
const ATTEMPTS: u32 = 3;
/// The same of what is hardly one thing's own.
const HARDLY_ITS_OWN: u32 = 2 * ATTEMPTS;
/// An account whose tokens cannot be refreshed for so long, while those of others can, has a trouble of its own.
const LONGEST_WITHOUT_TOKENS_MS: i64 = 2 * 60_000;
/// By so much a date may differ from when its answer was under way.
const DATE_MARGIN_S: i64 = 2;

impl Scheduler {
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
        let last_s = self.clock.latest_ms(local_ms).div_euclid(1_000) + DATE_MARGIN_S;
        let can_be = |date_s: &i64| (first_s..=last_s).contains(date_s);
        // A date that cannot be right says nothing. What came with it counts for the latest window there is.
        let at_s = date_s.filter(can_be).unwrap_or_else(|| now_s.max(self.latest_s));
        self.latest_s = self.latest_s.max(at_s);
        self.budget.lead_ms = self.clock.lead_ms();
        // Counted when it was given, so when it was sent at the earliest.
        let counted_ms = self.clock.now_ms(sent_ms) + self.clock.lead_ms();
        self.budget.answered(at_s, counted_ms, rate);
        at_s
    }

    /// No whole answer has come.
    pub fn unanswered(&mut self) {
        self.came_back();
        self.budget.unanswered();
    }

    /// An answer has landed.
    pub fn landed(&mut self, index: usize, ask: &Ask, news: News, at: Timestamp, local_ms: i64) {
        self.api_is_well(index, ask, local_ms);
        let now = self.now(local_ms);
        let activities = self.accounts[index].progress.activities();
        let is_unparked = self.change(index, |work, wanted| {
            let is_walking = work.is_walking_by(ask);
            work.progress.take(ask, news, at);
            work.refused_tokens.remove(ask);
            let is_unparked = work.unpark(ask);
            if is_walking {
                work.listed(wanted, now);
            }
            is_unparked
        });
        self.activities += self.accounts[index].progress.activities();
        self.activities -= activities;
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
            // One that had just been given, too.
            if self.accounts[index].is_given {
                self.effects.push(Effect::Refused { account: index });
            }
            self.give_up(index, reason);
        }
    }

    /// One thing is refused, and perhaps the account with it.
    pub fn refused(&mut self, index: usize, ask: &Ask, reason: String, local_ms: i64) {
        self.api_is_well(index, ask, local_ms);
        self.change(index, |work, _| work.put_back(ask, true));
        self.set_aside(index, ask, format!("strava refuses it ({reason})"), local_ms);
    }

    /// The answer is of another athlete than the account.
    pub fn mistaken(&mut self, index: usize, ask: &Ask, reason: String, local_ms: i64) {
        self.api_is_well(index, ask, local_ms);
        self.change(index, |work, _| work.put_back(ask, true));
        self.give_up(index, reason);
    }

    /// A thing is set aside, or the account where it is the list.
    fn set_aside(&mut self, index: usize, ask: &Ask, reason: String, local_ms: i64) {
        let now = self.now(local_ms);
        let parked = self.change(index, |work, wanted| work.park(ask, reason.clone(), wanted, now));
        match parked {
            Some(parked) => {
                let user_id = self.accounts[index].account.user_id.clone();
                self.effects.push(Effect::Parked { user_id, parked });
            }
            None => {
                let what = endpoints::describe(ask);
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
            self.outage.iter_mut().for_each(|outage| outage.forget(&suspect));
            self.set_aside(index, ask, reason, local_ms);
        } else if self.is_hardly_believed(&suspect, ask) && self.has_suspects_only() {
            self.call_witness(index);
        }
    }

    /// Whether a thing has failed so often in this outage that it may be its own fault after all.
    fn is_hardly_believed(&self, suspect: &Suspect, ask: &Ask) -> bool {
        let often = if self.accounts[suspect.account].is_parked(ask) { 1 } else { HARDLY_ITS_OWN };
        self.outage.as_ref().is_some_and(|outage| outage.times(suspect).is_multiple_of(often))
    }

    /// Nothing is left to ask but what fails. What was answered well before is asked for once more: it tells whether the
    /// API is down.
    fn call_witness(&mut self, index: usize) {
        let Some(outage) = &self.outage else { return };
        let is_suspect = |ask: &Ask| outage.is_suspect(&Suspect { account: index, ask: Some(ask.clone()) });
        if let Some(witness) = self.accounts[index].progress.any_had(|ask| !is_suspect(ask)) {
            self.change(index, |work, _| work.put_back(&witness, true));
        }
    }

    /// Whether nothing has its turn but what has failed in this outage.
    fn has_suspects_only(&self) -> bool {
        let Some(outage) = &self.outage else { return false };
        let mut in_turn = 0;
        for turn in self.ready.iter().take(LOOKED_AT) {
            in_turn += self.accounts[turn.account].in_turn();
            if in_turn > outage.suspects() {
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
        let failed = outage.clone();
        let Some(suspect) = outage.over().filter(|suspect| *suspect != well) else { return };
        // What is hardly one thing's own takes longer to be believed of it.
        let attempts = if failed.failures_of(&suspect) > 0 { ATTEMPTS } else { HARDLY_ITS_OWN };
        let in_this_outage = failed.times(&suspect);
        let Suspect { account, ask: Some(ask) } = suspect else { return };
        let failures = self.accounts[account].failed(&ask);
        // What failed another day already is not tried more often than once.
        if failures.max(in_this_outage) >= attempts || self.accounts[account].is_parked(&ask) {
            self.set_aside(account, &ask, reason, local_ms);
        }
    }

    /// Another process has stored newer tokens.
    pub fn adopt(&mut self, index: usize, account: Account) {
        self.change(index, |work, _| work.renew(account));
    }

    /// An account's refresh token is another one from now on. That changes nothing of whose turn it is.
    pub fn keep(&mut self, index: usize, account: Account) {
        self.accounts[index].account = account;
    }

    /// A refresh was not needed: newer tokens were stored already.
    pub fn refreshed_elsewhere(&mut self, index: usize, account: Account) {
        self.refresh_ended();
        self.adopt(index, account);
    }

    /// A refresh gave new tokens, and they are stored.
    pub fn refreshed(&mut self, index: usize, account: Account) {
        self.refresh_ended();
        self.change(index, |work, _| {
            work.renew(account);
            work.is_given = true;
        });
        if let Some(outage) = self.token_outage.take() {
            for waiting in std::mem::take(&mut self.tokenless) {
                self.change(waiting, |work, _| work.end_refresh());
            }
            let reason = outage.reason.clone();
            let (since_ms, until_ms) = (outage.since_ms, outage.probe_at_ms);
            if let Some(suspect) = outage.over().filter(|suspect| suspect.account != index) {
                let failures = self.accounts[suspect.account].refresh_failed(since_ms);
                let lasted_ms = until_ms - failures.since_ms;
                // Whose tokens end often may meet a few bad answers in a row.
                if failures.times >= ATTEMPTS && lasted_ms >= LONGEST_WITHOUT_TOKENS_MS {
                    let minutes = lasted_ms / 60_000;
                    let reason = format!(
                        "the token could not be refreshed for {minutes} minutes, while others could: {reason}; run the same command again later"
                    );
                    self.give_up(suspect.account, reason);
                }
            }
        }
    }

    /// New tokens were not asked for: they could not be kept.
    pub fn refresh_given_up(&mut self, index: usize, reason: String) {
        self.refresh_ended();
        self.give_up(index, reason);
    }

    /// The token endpoint refuses the refresh token.
    pub fn refresh_refused(&mut self, index: usize, reason: &str) {
        if names_the_grant(reason) {
            self.effects.push(Effect::RefreshRefused { account: index });
        }
        let user_id = &self.accounts[index].account.user_id;
        let reason = format!(
            "strava refuses the refresh token ({reason}): it is not the newest one, or the athlete took the access back; give the \
             account its newest tokens with `longrun accounts add`, or let the athlete give consent again: `longrun connect strava \
             --user {user_id}`"
        );
        self.refresh_given_up(index, reason);
    }

    /// The token endpoint did not answer well.
    pub fn refresh_trouble(
        &mut self,
        index: usize,
        reason: String,
        retry_after_ms: Option<i64>,
        local_ms: i64,
    ) {
        self.refresh_ended();
        self.retries += 1;
        if self.token_outage.is_none() {
            self.outages += 1;
        }
        let outage = self.token_outage.get_or_insert_with(|| Outage::begin(local_ms));
        let suspect = Suspect { account: index, ask: None };
        outage.failed(suspect, Trouble::OfTheApi, reason, local_ms, retry_after_ms);
        self.wait_for_tokens(index);
    }

    pub(super) fn give_up(&mut self, index: usize, reason: String) {
        if self.accounts[index].is_given_up() {
            return;
        }
        self.change(index, |work, _| work.give_up());
        let user_id = self.accounts[index].account.user_id.clone();
        self.effects.push(Effect::Failed(Failure { user_id, reason }));
    }
}
