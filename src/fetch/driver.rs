//! Does what the scheduler says: sends, lands each answer before the next decision (`answers`), keeps tokens and counts.

mod answers;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use super::account::Work;
use super::athletes::Athletes;
use super::budget::Budget;
use super::client::{Answer, Client, Grant, NoGrant};
use super::clock::ServerClock;
use super::local_time::LocalTime;
use super::metrics::{Page, asked};
use super::reserve::Reserve;
use super::scheduler::{Bounds, Effect, Scheduler, Step};
use super::{Doubted, Event, Failure, Options, Stop, Summary, Why, chosen, survey};
use crate::error::{Error, Result};
use crate::model::secret::{Secret, Secrets};
use crate::signals::Signals;
use crate::sources::strava;
use crate::sources::strava::walk::Wanted;
use crate::sources::strava::{endpoints, history};
use crate::store::lake::Lake;
use crate::store::landing::{Ask, Landing};
use crate::store::state::accounts::{Account, Accounts, Identity, Opened};
use crate::store::state::parked::Parked;
use crate::store::state::rates::Rates;

/// Between two looks at the clock while waiting: a machine that slept wakes within this time.
const LOOK: Duration = Duration::from_secs(1);
/// How often counts are stored while there is plenty.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Fetches what is owed of every account.
pub async fn run(
    lake: &Lake,
    client: &Client,
    options: &Options,
    watch: &mut dyn FnMut(Event),
) -> Result<Summary> {
    let begin = Instant::now();
    let mut fetch = Fetch::open(lake, client, options, watch)?;
    let done = fetch.drive(watch).await;
    // Also after a failure: tokens that were asked for are stored, and what was spent is spent.
    fetch.finish_refreshes().await?;
    fetch.save()?;
    done?;
    let _guard = fetch.landing.close()?;
    history::keep(lake)?;
    let mut summary = fetch.summary;
    summary.activities = fetch.scheduler.activities();
    summary.requests = fetch.scheduler.requests;
    summary.retries = fetch.scheduler.retries;
    summary.outages = fetch.scheduler.outages;
    summary.stopped.clone_from(&fetch.scheduler.stop);
    summary.budget = Some(fetch.scheduler.budget.read);
    let doubted = |work: &Work| work.progress.doubt().map(|doubt| Doubted::of(&work.account.user_id, doubt));
    summary.doubts = fetch.scheduler.accounts().iter().filter_map(doubted).collect();
    let is_known = |id: &str| fetch.scheduler.accounts().iter().any(|work| work.progress.has_known(id));
    let anew = options.anew.iter().flat_map(|anew| &anew.ids);
    summary.unknown = anew.filter(|id| !is_known(id)).cloned().collect();
    summary.seconds = begin.elapsed().as_secs_f64();
    tracing::info!(calls = summary.requests, activities = summary.activities, "ended");
    Ok(summary)
}

/// What came back.
enum Flight {
    Answer { account: usize, ask: Ask, token: Secret, sent_ms: i64, answer: Result<Answer, String> },
    Grant { account: usize, grant: Result<Grant, NoGrant> },
}

struct Fetch<'a> {
    client: &'a Client,
    options: &'a Options,
    scheduler: Scheduler,
    rates: Rates,
    tokens: Accounts,
    why_no_new_tokens: Option<&'static str>,
    landing: Landing,
    time: LocalTime,
    pace: DefaultDirectRateLimiter,
    flights: JoinSet<Flight>,
    saved: Instant,
    summary: Summary,
    /// Accounts none of whose tokens were taken the last time.
    refused: HashSet<String>,
    /// Whose answers those of each account are.
    athletes: Athletes,
}

impl<'a> Fetch<'a> {
    fn open(
        lake: &Lake,
        client: &'a Client,
        options: &'a Options,
        watch: &mut dyn FnMut(Event),
    ) -> Result<Fetch<'a>> {
        let tokens = Accounts::open(lake)?;
        let landing = Landing::open(lake)?;
        let identities = tokens.identities()?;
        let (all, failures) = chosen(&tokens, &options.users, &identities)?;
        let rates = Rates::open(lake)?;
        let mut parked = rates.parked()?;
        let mut landed = history::read_and_keep(lake, &all, options.ignore_archives)?;
        let mut summary = Summary { accounts: all.len() + failures.len(), ..Summary::default() };
        failures.iter().for_each(|failure| watch(Event::Failed(failure)));
        summary.failures = failures;
        for endpoint in endpoints::ALL {
            summary.answers.insert(endpoint.answers, 0);
        }
        let ranks: HashMap<&str, u32> =
            options.priority.iter().zip(0..).map(|(user, rank)| (user.as_str(), rank)).collect();
        let typical = survey::typical(landed.progress.values());
        let now = rates.now()?;
        let wanted = Wanted::new(options.depth, now, options.max_age, options.whole_age);
        let wanted = Wanted { anew: options.anew.clone(), ..wanted };
        let mut works = Vec::new();
        for account in all {
            // Others go on where one bucket cannot be read.
            if let Some(reason) = landed.unreadable.get(&lake.bucket(&account.user_id)) {
                let failure = Failure { user_id: account.user_id, reason: reason.clone() };
                watch(Event::Failed(&failure));
                summary.failures.push(failure);
                continue;
            }
            let progress = landed.progress.remove(&account.account_id).unwrap_or_default();
            let parked = parked.remove(&account.account_id).unwrap_or_default();
            let rank = ranks.get(account.user_id.as_str()).copied().unwrap_or(u32::MAX);
            summary.planned.add(survey::owing(&progress, &parked, &wanted, typical, now));
            works.push(Work::new(account, progress, rank, parked));
        }
        let why_no_new_tokens = tokens.why_no_new_tokens()?;
        let is_refused = |identity: &&Identity| identity.refused_at_s.is_some();
        let refused =
            identities.iter().filter(is_refused).map(|identity| identity.account_id.clone()).collect();
        let athletes = Athletes::of(identities);
        let clock = ServerClock::guess(Timestamp::now().as_millisecond() + rates.ahead_ms()?);
        let live = rates.live()?;
        let reserve = Reserve::choose(options.reserve, &live);
        let mut budget = Budget::new(options.short_window_s, options.day_s, reserve).knowing(&live);
        budget.restore(&rates.windows()?, clock.now_ms(0));
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let bounds = Bounds {
            concurrency: options.concurrency.max(1),
            max_requests: options.max_requests,
            max_wait_ms: options.max_wait.map(ms),
            patience_ms: ms(options.patience),
            has_app: options.app.is_some(),
        };
        // Bursts beyond the concurrency would only queue.
        let burst = NonZeroU32::new(bounds.concurrency as u32).expect("at least one");
        Ok(Fetch {
            client,
            options,
            scheduler: Scheduler::new(works, wanted, budget, clock, bounds, 0),
            rates,
            tokens,
            why_no_new_tokens,
            landing,
            time: LocalTime::new(),
            pace: RateLimiter::direct(Quota::per_second(options.per_second).allow_burst(burst)),
            flights: JoinSet::new(),
            saved: Instant::now(),
            summary,
            refused,
            athletes,
        })
    }

    async fn drive(&mut self, watch: &mut dyn FnMut(Event)) -> Result<()> {
        let mut signals = Signals::new()?;
        loop {
            let now_ms = self.now_ms();
            match self.scheduler.next(now_ms) {
                Step::Get { account, ask } => {
                    // Near a limit, what is sent is known before it is sent, whatever ends this process.
                    self.save_now_and_then()?;
                    self.pace.until_ready().await;
                    self.send(account, ask);
                }
                Step::Refresh { account } => self.refresh(account)?,
                Step::Await => tokio::select! {
                    flight = self.flights.join_next() => {
                        let flight = flight.expect("something is awaited");
                        let flight = flight.map_err(|e| Error::Remote(format!("a request ended early: {e}")))?;
                        self.land(flight, watch)?;
                    }
                    () = signals.any() => self.stop(watch),
                    () = asked(self.options.metrics.as_deref()) => self.say(None),
                },
                Step::WaitUntil { local_ms, why } => self.wait(local_ms, &why, &mut signals, watch).await?,
                Step::End => return self.tell(watch),
            }
            self.tell(watch)?;
        }
    }

    /// Tells who asked how it goes.
    fn say(&mut self, waits_until_s: Option<i64>) {
        let Some(metrics) = &self.options.metrics else { return };
        let now_ms = self.time.now_ms().0;
        let now_ms = self.scheduler.clock.now_ms(now_ms);
        metrics.say(Page::of(&self.scheduler, &self.summary, now_ms, waits_until_s));
    }

    fn stop(&mut self, watch: &mut dyn FnMut(Event)) {
        if self.scheduler.stop.is_none() {
            self.scheduler.stop = Some(Stop::Interrupted);
            watch(Event::Stopping);
        }
    }

    /// Milliseconds of a clock that does not jump, and tells the scheduler where this machine's did.
    fn now_ms(&mut self) -> i64 {
        let (now_ms, has_jumped) = self.time.now_ms();
        if has_jumped {
            self.scheduler.clock.jumped();
        }
        now_ms
    }

    /// The server's time, unix seconds.
    fn server_s(&mut self) -> i64 {
        let now_ms = self.now_ms();
        self.scheduler.clock.now_ms(now_ms).div_euclid(1_000)
    }

    fn send(&mut self, index: usize, ask: Ask) {
        *self.summary.calls.entry(endpoints::kind(&ask)).or_default() += 1;
        let client = self.client.clone();
        let Account { access_token: token, refresh_token, .. } =
            self.scheduler.account(index).account.clone();
        let app = self.options.app.as_ref();
        let secrets = app.map_or_else(
            || Secrets::of([token.clone(), refresh_token.clone()]),
            |app| app.secrets_with([&token, &refresh_token]),
        );
        let sent_ms = self.now_ms();
        self.flights.spawn(async move {
            let answer = client.get(&endpoints::path(&ask), &token, &secrets).await;
            Flight::Answer { account: index, ask, token, sent_ms, answer }
        });
    }

    /// The account as it is stored now, if its tokens are others than those in use.
    fn stored_meanwhile(&self, index: usize) -> Result<Option<Opened>> {
        let account = &self.scheduler.account(index).account;
        let stored = self.tokens.find(&account.source, &account.account_id)?;
        Ok(stored.filter(|stored| {
            stored.as_ref().map_or(true, |stored| {
                stored.access_token != account.access_token || stored.refresh_token != account.refresh_token
            })
        }))
    }

    fn refresh(&mut self, index: usize) -> Result<()> {
        match (self.stored_meanwhile(index)?, self.why_no_new_tokens) {
            (Some(Ok(stored)), _) => {
                self.scheduler.refreshed_elsewhere(index, stored);
                return Ok(());
            }
            // What cannot be kept is not asked for: the refresh token would have ended.
            (Some(Err(closed)), _) => {
                self.scheduler.refresh_given_up(index, closed.reason);
                return Ok(());
            }
            (None, Some(reason)) => {
                self.scheduler.refresh_given_up(index, reason.to_string());
                return Ok(());
            }
            (None, None) => {}
        }
        // Where nothing can be written, on a full disk, this ends the run before the old refresh token has ended.
        self.save()?;
        let app = self.options.app.clone().expect("without it, nothing is refreshed");
        let (client, account) = (self.client.clone(), self.scheduler.account(index).account.clone());
        self.flights.spawn(async move {
            Flight::Grant { account: index, grant: client.refresh(&app, &account).await }
        });
        Ok(())
    }

    /// Stores and tells what the scheduler decided.
    fn tell(&mut self, watch: &mut dyn FnMut(Event)) -> Result<()> {
        for effect in self.scheduler.effects() {
            match effect {
                Effect::Failed(failure) => {
                    tracing::warn!(user = failure.user_id, reason = failure.reason, "account given up");
                    watch(Event::Failed(&failure));
                    self.summary.failures.push(failure);
                }
                Effect::Refused { account } => {
                    let now_s = self.server_s();
                    let account = &self.scheduler.account(account).account;
                    self.tokens.refused(&account.source, &account.account_id, Some(now_s))?;
                }
                Effect::RefreshRefused { account } => {
                    let now_s = self.server_s();
                    self.tokens.refresh_refused(&self.scheduler.account(account).account, now_s)?;
                }
                Effect::Parked { user_id, parked } => {
                    let Parked { kind, id, reason, next_s, .. } = &parked;
                    tracing::warn!(user = user_id, kind, id, reason, next_s, "set aside");
                    self.rates.park(&parked)?;
                    self.summary.parked += 1;
                    watch(Event::Parked { user_id: &user_id, parked: &parked });
                }
                Effect::Unparked { account_id, ask } => {
                    if let Some((index, id)) = endpoints::place(&ask) {
                        self.rates.unpark(&account_id, endpoints::of_activities(index).kind, id)?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn wait(
        &mut self,
        until_ms: i64,
        why: &Why,
        signals: &mut Signals,
        watch: &mut dyn FnMut(Event),
    ) -> Result<()> {
        self.save()?;
        let begin = Instant::now();
        let mut is_first = true;
        self.summary.waits += u64::from(matches!(why, Why::Window(_)));
        loop {
            let left_ms = until_ms - self.now_ms();
            if left_ms <= 0 || self.scheduler.stop.is_some() {
                break;
            }
            let left = SignedDuration::from_millis(left_ms);
            let until = Timestamp::now().saturating_add(left).unwrap_or(Timestamp::MAX);
            watch(Event::Waiting { why, left_s: (left_ms + 999) / 1000, until });
            if is_first {
                tracing::info!(why = ?why, until = %until, "waits");
                is_first = false;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK.min(Duration::from_millis(left_ms as u64))) => {}
                () = signals.any() => self.stop(watch),
                () = asked(self.options.metrics.as_deref()) => self.say(Some(until.as_second())),
            }
        }
        if matches!(why, Why::Window(_)) {
            self.summary.waited_s += begin.elapsed().as_secs_f64();
        }
        Ok(())
    }

    /// Whatever ended the run: the tokens before those in flight may have ended already.
    async fn finish_refreshes(&mut self) -> Result<()> {
        while let Some(flight) = self.flights.join_next().await {
            if let Ok(Flight::Grant { account, grant: Ok(grant) }) = flight {
                let now_s = self.server_s();
                self.tokens.rotate(&renewed(&self.scheduler.account(account).account, grant, now_s))?;
            }
        }
        Ok(())
    }

    /// A crash may forget a second's requests while there is plenty; near a limit, none.
    fn save_now_and_then(&mut self) -> Result<()> {
        if self.scheduler.budget.is_tight() || self.saved.elapsed() > SAVE_EVERY {
            self.save()?;
        }
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        self.saved = Instant::now();
        let now_ms = self.now_ms();
        let clock = &self.scheduler.clock;
        let ahead_ms = clock.now_ms(now_ms) - Timestamp::now().as_millisecond();
        let ahead_ms = Some(ahead_ms).filter(|_| clock.is_settled());
        self.rates.save(&self.scheduler.budget.stored(), ahead_ms)?;
        self.rates.add_live(&self.scheduler.budget.live.take())
    }
}

/// An account with what was given: what was not stays as it was.
fn renewed(account: &Account, grant: Grant, now_s: i64) -> Account {
    let mut renewed = account.clone();
    if grant.access_token.is_some() {
        renewed.expires_at = grant.ends_at(now_s);
    }
    renewed.access_token = grant.access_token.unwrap_or(renewed.access_token);
    renewed.refresh_token = grant.refresh_token.unwrap_or(renewed.refresh_token);
    renewed
}
