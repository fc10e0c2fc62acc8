//! The Strava API to the landing: every account's list, activities and streams, inside the rate
//! limits, resumable at any instant.
//!
//! What is owed follows from what has landed ([`history`], [`plan`]); whether it may be asked
//! for now, from the budget ([`budget`]). This module does it: a loop on one thread that hands
//! out requests to accounts in turn, lists first, and lands each answer before the next
//! decision.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::{Quota, RateLimiter};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};
use serde::Serialize;
use tokio::task::JoinSet;

use super::budget::{Budget, Grant, ServerClock, Window};
use super::client::{Answer, App, Client, NoGrant};
use super::walk::{Depth, Progress, Wanted, describe, request};
use crate::error::{Error, Result};
use crate::sources::strava;
use crate::store::lake::Lake;
use crate::store::landing::{Ask, Header, Landing};
use crate::store::state::State;
use crate::store::state::accounts::{Account, Accounts, Secret};

/// A response that is no answer, or not the one, is asked for this often.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// An access token that ends sooner is refreshed first.
const TOKEN_MARGIN_S: i64 = 60;

#[derive(Debug, Clone)]
pub struct Options {
    pub depth: Depth,
    /// Only these users; empty means everybody.
    pub users: Vec<String>,
    pub app: Option<App>,
    pub concurrency: usize,
    pub per_second: NonZeroU32,
    /// Share of a full window that is left to the live pipeline.
    pub reserve: f64,
    /// Longest wait for a window; None waits as long as it takes.
    pub max_wait: Option<Duration>,
    pub max_requests: Option<u64>,
    pub max_age: SignedDuration,
    pub whole_list: bool,
    /// Ask also for what an imported archive has.
    pub ignore_archives: bool,
    pub short_window_s: u32,
    pub day_s: u32,
}

/// What a run did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    pub accounts: usize,
    pub activities: usize,
    pub requests: u64,
    pub pages: u64,
    pub details: u64,
    pub streams: u64,
    pub gone: u64,
    pub retries: u64,
    pub token_refreshes: u64,
    pub waits: u64,
    pub waited_s: f64,
    pub landed_bytes: u64,
    pub seconds: f64,
    /// The read pair as last seen.
    pub budget: Option<super::budget::Pair>,
    /// Why it ended before everything was there.
    pub stopped: Option<Stop>,
    pub failures: Vec<Failure>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The next request fits at this time.
    Quota { window: String, until: Timestamp },
    /// As many requests as were allowed.
    MaxRequests,
}

/// Something that was owed and did not come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    pub user_id: String,
    pub reason: String,
}

/// What a watcher is told.
#[derive(Debug)]
pub enum Event<'a> {
    /// `left` is how many requests are still owed, as far as is known.
    Landed {
        done: u64,
        left: u64,
        activities: usize,
        budget: &'a Budget,
    },
    Waiting {
        window: &'static str,
        left_s: i64,
        until: Timestamp,
    },
    Failed(&'a Failure),
}

/// Fetches what is owed of every account.
pub async fn run(
    lake: &Lake,
    client: &Client,
    options: &Options,
    watch: &mut dyn FnMut(Event),
) -> Result<Summary> {
    let mut fetch = Fetch::open(lake, client, options)?;
    let begin = Instant::now();
    let done = fetch.drive(watch).await;
    // Also after a failure: what was spent is spent.
    fetch.save()?;
    done?;
    fetch.landing.close()?;
    let mut summary = fetch.summary;
    summary.activities = fetch.accounts.iter().map(|a| a.progress.activities()).sum();
    summary.budget = Some(fetch.budget.read);
    summary.seconds = begin.elapsed().as_secs_f64();
    Ok(summary)
}

/// One account under way.
struct Under {
    account: Account,
    progress: Progress,
    /// Beyond the list; filled when the list is known.
    owed: VecDeque<Ask>,
    list_is_known: bool,
    list_in_flight: bool,
    refreshing: bool,
    /// Since the last request: the new token is used, however soon it ends.
    refreshed: bool,
    attempts: HashMap<Ask, u32>,
    refresh_attempts: u32,
    not_before: Instant,
    failed: bool,
}

/// What came back.
enum Flight {
    Answer { account: usize, ask: Ask, token: Secret, answer: Result<Answer, String> },
    Grant { account: usize, grant: Result<super::client::Grant, NoGrant> },
}

struct Fetch<'a> {
    client: &'a Client,
    options: &'a Options,
    store: Store,
    tokens: Accounts,
    landing: Landing,
    accounts: Vec<Under>,
    budget: Budget,
    clock: ServerClock,
    /// Local time is counted from here, so that a clock that jumps changes nothing.
    epoch: Instant,
    wanted: Wanted,
    turn: usize,
    flights: JoinSet<Flight>,
    saved: Instant,
    summary: Summary,
}

impl<'a> Fetch<'a> {
    fn open(lake: &Lake, client: &'a Client, options: &'a Options) -> Result<Fetch<'a>> {
        let tokens = Accounts::open(lake)?;
        let landing = Landing::open(lake)?;
        let mut all = tokens.list()?;
        for user in &options.users {
            if !all.iter().any(|account| account.user_id == *user) {
                return Err(Error::Usage(format!(
                    "user {user} has no account in this lake; `longrun accounts list` shows who has"
                )));
            }
        }
        all.retain(|a| {
            a.source == strava::SOURCE && (options.users.is_empty() || options.users.contains(&a.user_id))
        });
        if all.is_empty() {
            return Err(Error::Usage(
                "there is no account to fetch; add some with `longrun connect strava` or `longrun accounts add`".to_string(),
            ));
        }
        let now = Timestamp::now();
        let wanted = Wanted::new(options.depth, now, options.max_age, options.whole_list);
        let mut progress = super::history::read(lake, &all, options.ignore_archives)?;
        let accounts: Vec<Under> = all
            .into_iter()
            .map(|account| Under {
                progress: progress.remove(&account.account_id).unwrap_or_default(),
                account,
                owed: VecDeque::new(),
                list_is_known: false,
                list_in_flight: false,
                refreshing: false,
                refreshed: false,
                attempts: HashMap::new(),
                refresh_attempts: 0,
                not_before: Instant::now(),
                failed: false,
            })
            .collect();
        let store = Store(lake.state()?);
        let mut budget = Budget::new(options.short_window_s, options.day_s, options.reserve);
        let ahead_ms = store.load(&mut budget)?;
        let summary = Summary { accounts: accounts.len(), ..Summary::default() };
        Ok(Fetch {
            client,
            options,
            store,
            tokens,
            landing,
            accounts,
            budget,
            clock: ServerClock::guess(now.as_millisecond() + ahead_ms),
            epoch: Instant::now(),
            wanted,
            turn: 0,
            flights: JoinSet::new(),
            saved: Instant::now(),
            summary,
        })
    }

    async fn drive(&mut self, watch: &mut dyn FnMut(Event)) -> Result<()> {
        // In-window pacing. Bursts beyond the concurrency would only queue.
        let burst = NonZeroU32::new(self.options.concurrency.max(1) as u32).expect("at least one");
        let pace = RateLimiter::direct(Quota::per_second(self.options.per_second).allow_burst(burst));
        loop {
            let mut wait = None;
            while self.flights.len() < self.options.concurrency.max(1) && self.summary.stopped.is_none() {
                let Some((account, ask)) = self.next() else { break };
                if self.needs_refresh(account) {
                    self.put_back(account, ask);
                    self.send_refresh(account, watch);
                    continue;
                }
                if self.options.max_requests.is_some_and(|max| self.summary.requests >= max) {
                    self.put_back(account, ask);
                    self.summary.stopped = Some(Stop::MaxRequests);
                    break;
                }
                match self.budget.take(self.now_ms()) {
                    Grant::Go => {
                        pace.until_ready().await;
                        self.send(account, ask);
                    }
                    Grant::AfterAnswer => {
                        self.put_back(account, ask);
                        break;
                    }
                    Grant::WaitUntil { ms, window } => {
                        self.put_back(account, ask);
                        wait = Some((ms, window));
                        break;
                    }
                }
            }
            match self.flights.join_next().await {
                Some(flight) => {
                    let flight = flight.map_err(|e| Error::Remote(format!("a request ended early: {e}")))?;
                    self.land(flight, watch)?;
                }
                None => match (wait, self.next_retry()) {
                    _ if self.summary.stopped.is_some() => return Ok(()),
                    (Some((ms, window)), _) => self.wait_for_window(ms, window, watch).await?,
                    (None, Some(at)) => tokio::time::sleep_until(at.into()).await,
                    (None, None) => return Ok(()),
                },
            }
        }
    }

    fn local_ms(&self) -> i64 {
        self.epoch.elapsed().as_millis() as i64
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms(self.local_ms())
    }

    /// The next request: accounts in turn, those with an unfinished list first.
    fn next(&mut self) -> Option<(usize, Ask)> {
        let count = self.accounts.len();
        let now = Instant::now();
        for lists in [true, false] {
            for step in 0..count {
                let index = (self.turn + step) % count;
                let under = &mut self.accounts[index];
                if under.failed || under.refreshing || under.not_before > now {
                    continue;
                }
                let ask = if lists { under.next_page(&self.wanted) } else { under.owed.pop_front() };
                if let Some(ask) = ask {
                    self.turn = index + 1;
                    return Some((index, ask));
                }
            }
        }
        None
    }

    fn put_back(&mut self, account: usize, ask: Ask) {
        let under = &mut self.accounts[account];
        match ask {
            Ask::List { .. } => under.list_in_flight = false,
            Ask::Detail { .. } | Ask::Streams { .. } => under.owed.push_front(ask),
        }
    }

    /// When the first account that is pausing goes on.
    fn next_retry(&self) -> Option<Instant> {
        let waits = |under: &&Under| !under.failed && (!under.owed.is_empty() || !under.list_is_known);
        self.accounts.iter().filter(waits).map(|under| under.not_before).min()
    }

    fn needs_refresh(&self, account: usize) -> bool {
        let under = &self.accounts[account];
        !under.refreshed && under.account.expires_at - TOKEN_MARGIN_S < self.now_ms() / 1000
    }

    fn send_refresh(&mut self, index: usize, watch: &mut dyn FnMut(Event)) {
        let under = &mut self.accounts[index];
        let Some(app) = self.options.app.clone() else {
            let reason = "the access token has ended, and a new one takes the application's id and secret: set \
                          LONGRUN_STRAVA_CLIENT_ID and LONGRUN_STRAVA_CLIENT_SECRET";
            self.fail(index, reason.to_string(), watch);
            return;
        };
        under.refreshing = true;
        let (client, account) = (self.client.clone(), under.account.clone());
        self.flights.spawn(async move {
            Flight::Grant { account: index, grant: client.refresh(&app, &account).await }
        });
    }

    fn send(&mut self, index: usize, ask: Ask) {
        self.summary.requests += 1;
        let client = self.client.clone();
        let under = &mut self.accounts[index];
        under.refreshed = false;
        let token = under.account.access_token.clone();
        self.flights.spawn(async move {
            let answer = client.get(&request(&ask), &token).await;
            Flight::Answer { account: index, ask, token, answer }
        });
    }

    fn land(&mut self, flight: Flight, watch: &mut dyn FnMut(Event)) -> Result<()> {
        match flight {
            Flight::Grant { account, grant } => self.land_grant(account, grant, watch),
            Flight::Answer { account, ask, token, answer } => match answer {
                Ok(answer) => self.land_answer(account, ask, &token, answer, watch),
                Err(reason) => {
                    self.budget.unanswered();
                    self.again(account, ask, reason, watch);
                    Ok(())
                }
            },
        }
    }

    fn land_grant(
        &mut self,
        index: usize,
        grant: Result<super::client::Grant, NoGrant>,
        watch: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let under = &mut self.accounts[index];
        under.refreshing = false;
        match grant {
            Ok(grant) => {
                self.summary.token_refreshes += 1;
                under.refresh_attempts = 0;
                under.refreshed = true;
                under.account.access_token = grant.access_token;
                under.account.refresh_token = grant.refresh_token;
                under.account.expires_at = grant.expires_at;
                // On the disk before it is used: the old refresh token may have ended.
                self.tokens.rotate(&under.account)?;
            }
            Err(NoGrant::Refused(reason)) => {
                let user_id = &under.account.user_id;
                let reason = format!(
                    "strava refuses the refresh token ({reason}); let the athlete give consent again: `longrun connect strava --user {user_id}`"
                );
                self.fail(index, reason, watch);
            }
            Err(NoGrant::Trouble(reason)) => {
                under.refresh_attempts += 1;
                if under.refresh_attempts < ATTEMPTS {
                    under.not_before = Instant::now() + pause(under.refresh_attempts);
                    self.summary.retries += 1;
                } else {
                    let reason = format!(
                        "the token could not be refreshed in {ATTEMPTS} attempts: {reason}; run the same command again later"
                    );
                    self.fail(index, reason, watch);
                }
            }
        }
        Ok(())
    }

    fn land_answer(
        &mut self,
        index: usize,
        ask: Ask,
        token: &Secret,
        answer: Answer,
        watch: &mut dyn FnMut(Event),
    ) -> Result<()> {
        if let Some(date_s) = answer.date_s {
            self.clock.saw(date_s, self.local_ms());
        }
        let date_s = answer.date_s.unwrap_or_else(|| self.now_ms().div_euclid(1000));
        self.budget.answered(date_s, answer.rate);
        if answer.status == 429 {
            self.budget.refused(date_s);
        }
        self.save_now_and_then(answer.status == 429)?;
        let user_id = self.accounts[index].account.user_id.clone();
        let said = super::client::said(&answer.body);
        // That an activity is gone is an answer; that a whole list is, is a refusal.
        let is_list = matches!(ask, Ask::List { .. });
        match answer.status {
            200 => return self.land_body(index, ask, date_s, answer, watch),
            404 if !is_list => return self.land_body(index, ask, date_s, answer, watch),
            429 => {
                self.summary.retries += 1;
                self.put_back(index, ask);
            }
            401 if self.accounts[index].account.access_token != *token => {
                // A newer token has come since.
                self.put_back(index, ask);
            }
            401 if self.options.app.is_some() && self.attempt(index, &ask) == 1 => {
                self.put_back(index, ask);
                if !self.accounts[index].refreshing {
                    self.send_refresh(index, watch);
                }
            }
            401 => {
                let reason = format!(
                    "strava refuses the access token (HTTP 401{said}); let the athlete give consent again: `longrun connect strava --user {user_id}`"
                );
                self.fail(index, reason, watch);
            }
            403 if said.contains("Application") => {
                return Err(Error::Remote(format!(
                    "strava refuses the application (HTTP 403{said}); look after it at https://www.strava.com/settings/api, then run the same command again"
                )));
            }
            403 | 404 => {
                let reason = format!("strava refuses {} (HTTP {}{said})", describe(&ask), answer.status);
                self.fail(index, reason, watch);
            }
            status => self.again(index, ask, format!("HTTP {status}{said}"), watch),
        }
        Ok(())
    }

    /// Lands a body, then sees what it means.
    fn land_body(
        &mut self,
        index: usize,
        ask: Ask,
        date_s: i64,
        answer: Answer,
        watch: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let under = &mut self.accounts[index];
        let header = Header {
            v: 1,
            source: strava::SOURCE.to_string(),
            request: request(&ask),
            ask,
            user_id: under.account.user_id.clone(),
            account_id: under.account.account_id.clone(),
            fetched_at: strava::api::start_time(date_s),
            status: answer.status,
        };
        self.summary.landed_bytes += self.landing.append(&header, &answer.body)?;
        let read = under.progress.landed(&header, &answer.body);
        let ask = header.ask;
        if let Err(super::walk::Unreadable(reason)) = read {
            let reason = format!("{reason} (the answer is kept in the landing)");
            self.again(index, ask, reason, watch);
            return Ok(());
        }
        match (&ask, answer.status) {
            (_, 404) => self.summary.gone += 1,
            (Ask::List { .. }, _) => self.summary.pages += 1,
            (Ask::Detail { .. }, _) => self.summary.details += 1,
            (Ask::Streams { .. }, _) => self.summary.streams += 1,
        }
        if matches!(ask, Ask::List { .. }) {
            under.list_in_flight = false;
            under.attempts.clear();
            // Fresh enough, however short the time that is asked for.
            if under.progress.is_walked() {
                under.know_list(self.wanted.depth);
            }
        }
        let left =
            self.accounts.iter().filter(|a| !a.failed).map(|a| a.requests_left(self.wanted.depth)).sum();
        let done = self.summary.pages + self.summary.details + self.summary.streams + self.summary.gone;
        let activities = self.accounts.iter().map(|a| a.progress.activities()).sum();
        watch(Event::Landed { done, left, activities, budget: &self.budget });
        Ok(())
    }

    fn attempt(&mut self, index: usize, ask: &Ask) -> u32 {
        let attempts = self.accounts[index].attempts.entry(ask.clone()).or_default();
        *attempts += 1;
        *attempts
    }

    /// Asks once more, after a pause that grows, up to a last time.
    fn again(&mut self, index: usize, ask: Ask, reason: String, watch: &mut dyn FnMut(Event)) {
        let attempts = self.attempt(index, &ask);
        if attempts < ATTEMPTS {
            self.accounts[index].not_before = Instant::now() + pause(attempts);
            self.summary.retries += 1;
            self.put_back(index, ask);
            return;
        }
        let reason = format!(
            "{} did not come in {ATTEMPTS} attempts: {reason}; run the same command again later",
            describe(&ask)
        );
        if matches!(ask, Ask::List { .. }) {
            self.fail(index, reason, watch);
        } else {
            // One activity that does not come is no reason to leave the others.
            self.report(index, reason, watch);
        }
    }

    fn fail(&mut self, index: usize, reason: String, watch: &mut dyn FnMut(Event)) {
        if !self.accounts[index].failed {
            self.accounts[index].failed = true;
            self.report(index, reason, watch);
        }
    }

    fn report(&mut self, index: usize, reason: String, watch: &mut dyn FnMut(Event)) {
        let failure = Failure { user_id: self.accounts[index].account.user_id.clone(), reason };
        watch(Event::Failed(&failure));
        self.summary.failures.push(failure);
    }

    async fn wait_for_window(
        &mut self,
        ms: i64,
        window: &'static str,
        watch: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let left_ms = ms - self.now_ms();
        let until =
            Timestamp::now().saturating_add(SignedDuration::from_millis(left_ms)).unwrap_or(Timestamp::MAX);
        if self.options.max_wait.is_some_and(|max| left_ms > max.as_millis() as i64) {
            self.summary.stopped = Some(Stop::Quota { window: window.to_string(), until });
            return Ok(());
        }
        self.save()?;
        let begin = Instant::now();
        self.summary.waits += 1;
        while ms > self.now_ms() {
            let left_ms = ms - self.now_ms();
            watch(Event::Waiting { window, left_s: (left_ms + 999) / 1000, until });
            tokio::time::sleep(Duration::from_millis(left_ms.clamp(1, 1_000) as u64)).await;
        }
        self.summary.waited_s += begin.elapsed().as_secs_f64();
        Ok(())
    }

    /// A crash may forget a second's requests while there is plenty; near a limit, none.
    fn save_now_and_then(&mut self, must: bool) -> Result<()> {
        if must || self.budget.is_tight() || self.saved.elapsed() > Duration::from_secs(1) {
            self.save()?;
        }
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        self.saved = Instant::now();
        let ahead_ms = self.now_ms() - Timestamp::now().as_millisecond();
        let ahead_ms = Some(ahead_ms).filter(|_| self.clock.is_measured());
        self.store.save(&self.budget, ahead_ms)
    }
}

fn pause(attempts: u32) -> Duration {
    FIRST_PAUSE * 2_u32.pow(attempts.saturating_sub(1).min(6))
}

impl Under {
    fn next_page(&mut self, wanted: &Wanted) -> Option<Ask> {
        if self.list_in_flight || self.list_is_known {
            return None;
        }
        match self.progress.next_page(wanted) {
            Some(ask) => {
                self.list_in_flight = true;
                Some(ask)
            }
            None => {
                self.know_list(wanted.depth);
                None
            }
        }
    }

    fn know_list(&mut self, depth: Depth) {
        self.list_is_known = true;
        self.owed = self.progress.owed(depth);
    }

    fn requests_left(&self, depth: Depth) -> u64 {
        if self.list_is_known { self.owed.len() as u64 } else { self.progress.requests_left(depth) }
    }
}

/// Rate windows and the server's clock, in the state database.
struct Store(State);

impl Store {
    fn load(&self, budget: &mut Budget) -> Result<i64> {
        self.0.check(self.try_load(budget))
    }

    fn try_load(&self, budget: &mut Budget) -> rusqlite::Result<i64> {
        let mut statement = self.0.db.prepare(
            "SELECT pair, max_requests, used, length_s, window_index FROM rate_windows WHERE source = 'strava'",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let window =
                Window { limit: row.get(1)?, used: row.get(2)?, length_s: row.get(3)?, index: row.get(4)? };
            budget.restore(&row.get::<_, String>(0)?, window);
        }
        let mut statement = self.0.db.prepare("SELECT ahead_ms FROM clocks WHERE source = 'strava'")?;
        let mut rows = statement.query([])?;
        Ok(match rows.next()? {
            Some(row) => row.get(0)?,
            None => 0,
        })
    }

    fn save(&mut self, budget: &Budget, ahead_ms: Option<i64>) -> Result<()> {
        self.0.write(|db| write_windows(db, budget, ahead_ms))
    }
}

fn write_windows(db: &Connection, budget: &Budget, ahead_ms: Option<i64>) -> rusqlite::Result<()> {
    for (name, pair) in [("overall", &budget.overall), ("read", &budget.read)] {
        for window in [pair.short, pair.day] {
            db.execute(
                    "INSERT OR REPLACE INTO rate_windows (source, pair, length_s, max_requests, used, window_index)
                     VALUES ('strava', ?1, ?2, ?3, ?4, ?5)",
                    params![name, window.length_s, window.limit, window.used, window.index],
                )?;
        }
    }
    if let Some(ahead_ms) = ahead_ms {
        db.execute(
            "INSERT OR REPLACE INTO clocks (source, ahead_ms) VALUES ('strava', ?1)",
            params![ahead_ms],
        )?;
    }
    Ok(())
}
