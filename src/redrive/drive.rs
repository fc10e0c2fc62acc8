//! Sends what is planned: oldest first, never two of one user at a time unless that is allowed, at a pace.
//!
//! A loop over lanes, one for each user that is being sent for. What is ready of all of them is written to the
//! ledger in one go, then sent; what came back is written in one go, too. A message whose end is unknown is sent
//! again before anything later of its user; where it stays unknown, the user's lane ends there, so that the order
//! holds.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use governor::clock::{Clock, DefaultClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::task::JoinSet;

use super::message::Builder;
use super::plan::{Decision, Held, HeldFigures, Reason, UserPlan, hold};
use super::sinks::{Message, Outcome, Sink};
use super::{Options, Watch};
use crate::error::{Error, Result};
use crate::fitglue::runs::{self, Status, Statuses};
use crate::store::dataset::cells::Rows;
use crate::store::lake::Lake;
use crate::store::state::deliveries::{End, Intent, Ledger};

/// Attempts at one message, before its user's lane ends.
const MOST_ATTEMPTS: u32 = 10;
/// Refusals with no delivery between them, before it is taken for granted that the sink refuses everything.
const MOST_REFUSALS: u32 = 20;
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// How often an export that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

type Pace = RateLimiter<NotKeyed, InMemoryState, DefaultClock>;

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Driven {
    pub sink: String,
    pub delivered: u64,
    pub delivered_bytes: u64,
    pub rejected: u64,
    /// Attempts, of which one message may take several.
    pub attempts: u64,
    /// Messages that were begun before, by this run or another, and that may have arrived twice, under one id.
    pub sent_again: u64,
    /// Messages whose end is not known; the next run sends them again.
    pub unknown: u64,
    /// Messages of an earlier run that may have arrived, and that this one left alone.
    pub unsettled_before: u64,
    /// Not begun, because something before them did not end, or the run was stopped.
    pub left: u64,
    pub beyond_limit: u64,
    pub delivered_before: u64,
    pub held: BTreeMap<&'static str, HeldFigures>,
    /// Of messages that were refused: one of them, and why.
    pub rejected_why: Option<String>,
    /// Of messages whose end is not known: one of them, and why.
    pub unknown_why: Option<String>,
    /// How the runs ended that were waited for; None where they were not.
    pub runs: Option<BTreeMap<String, u64>>,
    pub seconds: f64,
}

impl Driven {
    pub fn is_held_for(&self, reason: Reason) -> bool {
        self.held.contains_key(reason.name())
    }
}

/// What somebody who watches is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Messages that ended, of this run.
    Ended { delivered: u64, rejected: u64 },
    /// An attempt came to nothing that is known, and will be made again.
    Trouble { user_id: String, why: String },
}

/// What is to be sent once more.
struct Again {
    message: Arc<Message>,
    at: usize,
    attempt: u32,
    not_before: Instant,
}

struct Lane<'a> {
    plan: UserPlan,
    builder: Builder<'a>,
    next: usize,
    in_flight: usize,
    again: Vec<Again>,
    pace: Option<Pace>,
    /// The user's pace has let one through that everybody's has not yet.
    may_send: bool,
    /// A run that has to end first.
    run: Option<Awaited>,
    ended: bool,
}

/// A run whose end is waited for.
struct Awaited {
    run_id: String,
    since: Instant,
    /// What was told of it before the message went, which is no answer to it.
    before: Option<(Status, Option<i64>)>,
}

/// A message that came back.
struct Back {
    user: String,
    at: usize,
    attempt: u32,
    message: Arc<Message>,
    outcome: Result<Outcome>,
}

/// When there is something to do next.
#[derive(Default)]
struct Wake(Option<Instant>);

impl Wake {
    fn at(&mut self, time: Instant) {
        self.0 = Some(self.0.map_or(time, |before| before.min(time)));
    }
}

struct Driver<'a> {
    lake: &'a Lake,
    options: &'a Options,
    sink: Arc<dyn Sink>,
    ledger: &'a Ledger,
    lanes: Vec<Lane<'a>>,
    all_planned: bool,
    /// Whose turn it is first.
    turn: usize,
    pace: Option<Pace>,
    clock: DefaultClock,
    sends: JoinSet<Back>,
    room: u64,
    failing_since: Option<Instant>,
    refusals: u32,
    stopped: bool,
    failed: Option<Error>,
    watched: Option<Watched<'a>>,
    driven: Driven,
}

/// Sends everything that the plans have. What was done is told even where it ends in an error.
pub async fn run<'a>(
    lake: &'a Lake,
    options: &'a Options,
    sink: Arc<dyn Sink>,
    ledger: &'a Ledger,
    mut plans: mpsc::Receiver<Result<UserPlan>>,
    watch: &mut dyn FnMut(Event),
) -> (Driven, Result<()>) {
    let begin = Instant::now();
    let everybody = if options.is_webhook() {
        Quota::with_period(options.webhook_period)
    } else {
        Some(Quota::per_second(options.per_second))
    };
    let mut driver = Driver {
        lake,
        options,
        sink,
        ledger,
        lanes: Vec::new(),
        all_planned: false,
        turn: 0,
        pace: everybody.map(|quota| RateLimiter::direct(quota.allow_burst(NonZeroU32::MIN))),
        clock: DefaultClock::default(),
        sends: JoinSet::new(),
        room: options.limit.unwrap_or(u64::MAX),
        failing_since: None,
        refusals: 0,
        stopped: false,
        failed: None,
        watched: options.watch.as_ref().map(Watched::new),
        driven: Driven {
            sink: options.sink.to_string(),
            runs: options.watch.as_ref().map(|_| BTreeMap::new()),
            ..Driven::default()
        },
    };
    let ended = driver.drive(&mut plans, watch).await;
    let mut driven = driver.driven;
    driven.seconds = begin.elapsed().as_secs_f64();
    (driven, ended.and_then(|()| driver.failed.map_or(Ok(()), Err)))
}

impl<'a> Driver<'a> {
    async fn drive(
        &mut self,
        plans: &mut mpsc::Receiver<Result<UserPlan>>,
        watch: &mut dyn FnMut(Event),
    ) -> Result<()> {
        loop {
            while self.wants_plans() {
                match plans.try_recv() {
                    Ok(plan) => self.open(plan?),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => self.all_planned = true,
                }
            }
            self.look_at_runs()?;
            let wake = self.send_what_is_ready()?;
            self.close_lanes();
            if self.sends.is_empty() && self.lanes.is_empty() && (self.all_planned || self.is_stopping()) {
                return Ok(());
            }
            self.wait(wake, plans, watch).await?;
        }
    }

    fn wants_plans(&self) -> bool {
        !self.all_planned && !self.is_stopping() && self.lanes.len() < self.options.concurrency
    }

    fn open(&mut self, plan: UserPlan) {
        for entry in &plan.entries {
            match &entry.decision {
                Decision::Send => {}
                Decision::Done => self.driven.delivered_before += 1,
                Decision::Held(held) => hold(&mut self.driven.held, &plan.user_id, entry, held),
            }
        }
        let period = Quota::with_period(self.options.per_user).filter(|_| !self.options.unordered);
        self.lanes.push(Lane {
            builder: Builder::new(self.lake, self.options),
            plan,
            next: 0,
            in_flight: 0,
            again: Vec::new(),
            pace: period.map(|quota| RateLimiter::direct(quota.allow_burst(NonZeroU32::MIN))),
            may_send: false,
            run: None,
            ended: false,
        });
    }

    /// Takes from the lanes what may go now, writes it down, and sends it.
    fn send_what_is_ready(&mut self) -> Result<Wake> {
        let mut wake = Wake::default();
        let mut ready: Vec<(usize, Arc<Message>, usize, u32)> = Vec::new();
        let lanes = self.lanes.len();
        'lanes: for turn in 0..lanes {
            let number = (self.turn + turn) % lanes;
            while ready.len() < self.options.concurrency {
                match self.next_of(number, &mut wake)? {
                    Next::Message(message, at, attempt) => ready.push((number, message, at, attempt)),
                    Next::NothingNow => continue 'lanes,
                    Next::NobodyNow => break 'lanes,
                }
            }
        }
        self.turn = (self.turn + 1) % lanes.max(1);
        let intents: Vec<Intent> = ready
            .iter()
            .map(|(number, message, at, _)| {
                let entry = &self.lanes[*number].plan.entries[*at];
                Intent {
                    user_id: message.user_id.clone(),
                    execution_id: message.execution_id.clone(),
                    golden_id: entry.golden_id.clone(),
                    start_s: message.start_s,
                    syncs: entry.destinations.len() as u64,
                }
            })
            .collect();
        if !intents.is_empty() {
            self.ledger.intend(&intents, Timestamp::now())?;
        }
        for (number, message, at, attempt) in ready {
            self.driven.attempts += 1;
            let sink = self.sink.clone();
            let user = self.lanes[number].plan.user_id.clone();
            self.sends.spawn(async move {
                let outcome = sink.send(&message).await;
                Back { user, at, attempt, message, outcome }
            });
        }
        Ok(wake)
    }

    /// The next message of a lane, where there is one that may go now.
    fn next_of(&mut self, number: usize, wake: &mut Wake) -> Result<Next> {
        let is_stopping = self.is_stopping();
        let lane = &mut self.lanes[number];
        let most = if self.options.unordered { self.options.concurrency } else { 1 };
        lane.ended |= is_stopping;
        if lane.ended || lane.run.is_some() || lane.in_flight >= most {
            return Ok(Next::NothingNow);
        }
        let now = Instant::now();
        let again = lane.again.iter().position(|again| again.not_before <= now);
        if again.is_none()
            && let Some(first) = lane.again.iter().map(|again| again.not_before).min()
        {
            wake.at(first);
            if !self.options.unordered {
                return Ok(Next::NothingNow);
            }
        }
        lane.skip_what_is_not_sent();
        if again.is_none() && self.room == 0 {
            let rest = &lane.plan.entries[lane.next..];
            self.driven.beyond_limit += rest.iter().filter(|e| e.decision == Decision::Send).count() as u64;
            lane.next = lane.plan.entries.len();
        }
        if again.is_none() && lane.next == lane.plan.entries.len() {
            return Ok(Next::NothingNow);
        }
        if !lane.may_send
            && let Some(pace) = &lane.pace
        {
            if let Err(not_yet) = pace.check() {
                wake.at(now + not_yet.wait_time_from(self.clock.now()));
                return Ok(Next::NothingNow);
            }
            lane.may_send = true;
        }
        if let Some(Err(not_yet)) = self.pace.as_ref().map(Pace::check) {
            wake.at(now + not_yet.wait_time_from(self.clock.now()));
            return Ok(Next::NobodyNow);
        }
        lane.may_send = false;
        if let Some(again) = again {
            let again = lane.again.swap_remove(again);
            lane.in_flight += 1;
            return Ok(Next::Message(again.message, again.at, again.attempt));
        }
        while lane.next < lane.plan.entries.len() {
            let at = lane.next;
            match lane.builder.build(&lane.plan, at)? {
                Ok(bytes) => {
                    lane.next += 1;
                    self.room -= 1;
                    self.driven.sent_again += u64::from(lane.plan.entries[at].unsettled > 0);
                    lane.in_flight += 1;
                    return Ok(Next::Message(Arc::new(message(&lane.plan, at, bytes)), at, 1));
                }
                Err(held) => {
                    hold(&mut self.driven.held, &lane.plan.user_id, &lane.plan.entries[at], &held);
                    lane.plan.entries[at].decision = Decision::Held(held);
                    lane.skip_what_is_not_sent();
                }
            }
        }
        Ok(Next::NothingNow)
    }

    /// Waits until something came back, or something may go.
    async fn wait(
        &mut self,
        mut wake: Wake,
        plans: &mut mpsc::Receiver<Result<UserPlan>>,
        watch: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let mut back = Vec::new();
        if self.lanes.iter().any(|lane| lane.run.is_some()) {
            wake.at(Instant::now() + LOOK_EVERY);
        }
        let until = wake.0.filter(|_| !self.is_stopping());
        let wants_plans = self.wants_plans();
        tokio::select! {
            plan = plans.recv(), if wants_plans => match plan {
                Some(plan) => self.open(plan?),
                None => self.all_planned = true,
            },
            Some(joined) = self.sends.join_next(), if !self.sends.is_empty() => back.push(joined),
            () = sleep_until(until), if until.is_some() => {}
            else => {}
        }
        while let Some(joined) = self.sends.try_join_next() {
            back.push(joined);
        }
        let mut ends = Vec::new();
        for joined in back {
            let back = joined.map_err(|e| Error::Remote(format!("a send was cut off: {e}")))?;
            if let Some(end) = self.take_back(back, watch) {
                ends.push(end);
            }
        }
        if !ends.is_empty() {
            self.ledger.settle(&ends, Timestamp::now())?;
            watch(Event::Ended { delivered: self.driven.delivered, rejected: self.driven.rejected });
        }
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        self.stopped || self.failed.is_some()
    }

    /// What a message's end means for its lane, and what the ledger is told of it.
    fn take_back(&mut self, back: Back, watch: &mut dyn FnMut(Event)) -> Option<End> {
        let now = Instant::now();
        let lane =
            self.lanes.iter_mut().find(|lane| lane.plan.user_id == back.user).expect("its lane waits for it");
        lane.in_flight -= 1;
        let end = |state: &'static str, reason: Option<String>| {
            let (user_id, execution_id) = (back.user.clone(), back.message.execution_id.clone());
            Some(End { user_id, execution_id, state, reason })
        };
        match back.outcome {
            Ok(Outcome::Delivered) => {
                self.failing_since = None;
                self.refusals = 0;
                self.driven.delivered += 1;
                self.driven.delivered_bytes += back.message.bytes.len() as u64;
                if let Some(watched) = &self.watched {
                    let run_id = back.message.execution_id.clone();
                    let before = watched.before.get(&(back.user.clone(), run_id.clone())).cloned();
                    lane.run = Some(Awaited { run_id, since: now, before });
                }
                end("delivered", None)
            }
            Ok(Outcome::Rejected(why)) => {
                self.failing_since = None;
                self.driven.rejected += 1;
                self.refusals += 1;
                self.stopped |= self.refusals >= MOST_REFUSALS;
                let name = &lane.plan.entries[back.at].golden_id;
                self.driven.rejected_why.get_or_insert_with(|| format!("{name} of {}: {why}", back.user));
                end("rejected", Some(why))
            }
            Ok(Outcome::Unknown { why, retry_after }) => {
                // A wait that the sink asks for is no failing of it.
                let asked_for = retry_after.unwrap_or_default();
                let since = *self.failing_since.get_or_insert(now + asked_for);
                let is_out_of_reach = now.saturating_duration_since(since) >= self.options.patience;
                self.stopped |= is_out_of_reach;
                if is_out_of_reach || back.attempt >= MOST_ATTEMPTS {
                    lane.ended = true;
                    self.driven.unknown += 1;
                    let name = &lane.plan.entries[back.at].golden_id;
                    self.driven.unknown_why = Some(format!("{name} of {}: {why}", back.user));
                } else {
                    watch(Event::Trouble { user_id: back.user.clone(), why: why.clone() });
                    self.driven.sent_again +=
                        u64::from(back.attempt == 1 && lane.plan.entries[back.at].unsettled == 0);
                    let backoff = FIRST_BACKOFF.saturating_mul(1 << (back.attempt - 1)).min(LONGEST_BACKOFF);
                    // Not much longer than the sink may be out of reach at all.
                    let wait = backoff.min(self.options.patience).max(asked_for);
                    let (message, not_before) = (back.message.clone(), now + wait);
                    lane.again.push(Again { message, at: back.at, attempt: back.attempt + 1, not_before });
                }
                end("unknown", Some(why))
            }
            Err(e) => {
                self.driven.unknown += 1;
                lane.ended = true;
                self.failed.get_or_insert(e);
                None
            }
        }
    }

    /// Lanes whose run has ended go on.
    fn look_at_runs(&mut self) -> Result<()> {
        let Some(watched) = &mut self.watched else { return Ok(()) };
        let awaited = self
            .lanes
            .iter()
            .filter_map(|lane| Some((lane.plan.user_id.clone(), lane.run.as_ref()?.run_id.clone())));
        let awaited: HashSet<(String, String)> = awaited.collect();
        if awaited.is_empty() {
            return Ok(());
        }
        watched.look(&awaited)?;
        for lane in &mut self.lanes {
            let Some(run) = &lane.run else { continue };
            let told = watched.statuses.get(&(lane.plan.user_id.clone(), run.run_id.clone()));
            let told = told.filter(|told| run.before.as_ref() != Some(*told) && told.0.is_final());
            let status = told.map(|(status, _)| status);
            let name = match status {
                Some(status) => status.name(),
                None if run.since.elapsed() >= watched.watch.longest => "not_seen",
                None => continue,
            };
            *self.driven.runs.get_or_insert_default().entry(name.to_string()).or_default() += 1;
            if status == Some(&Status::TierBlocked) {
                // The pipeline counts otherwise than we do, and it is the one that counts.
                let why = "the pipeline has blocked a run of this user's tier";
                for entry in &mut lane.plan.entries[lane.next..] {
                    if entry.decision == Decision::Send {
                        let held = Held::new(Reason::TierBudget, why);
                        hold(&mut self.driven.held, &lane.plan.user_id, entry, &held);
                        entry.decision = Decision::Held(held);
                    }
                }
            }
            lane.run = None;
        }
        Ok(())
    }

    fn close_lanes(&mut self) {
        let stopping = self.is_stopping();
        for lane in &mut self.lanes {
            lane.skip_what_is_not_sent();
            lane.ended |= stopping;
            if stopping {
                lane.run = None;
            }
        }
        let driven = &mut self.driven;
        self.lanes.retain(|lane| {
            let has_sent_all = lane.next == lane.plan.entries.len() && lane.again.is_empty();
            let is_over = (lane.ended || has_sent_all) && lane.in_flight == 0 && lane.run.is_none();
            if is_over {
                driven.unknown += lane.again.len() as u64;
                let rest = &lane.plan.entries[lane.next..];
                driven.left += rest.iter().filter(|entry| entry.decision == Decision::Send).count() as u64;
            }
            !is_over
        });
    }
}

enum Next {
    Message(Arc<Message>, usize, u32),
    /// This lane has nothing that may go now.
    NothingNow,
    /// Everybody's pace is used up.
    NobodyNow,
}

impl Lane<'_> {
    fn skip_what_is_not_sent(&mut self) {
        let rest = &self.plan.entries[self.next..];
        self.next += rest.iter().take_while(|entry| entry.decision != Decision::Send).count();
    }
}

fn message(plan: &UserPlan, at: usize, bytes: Vec<u8>) -> Message {
    let entry = &plan.entries[at];
    let teller = entry.teller.as_ref().expect("who is sent has been chosen");
    Message {
        user_id: plan.user_id.clone(),
        execution_id: entry.execution_id.clone(),
        activity_id: teller.source_id.clone(),
        account_id: Rows(&plan.batches[teller.row.0]).word("source_account_id", teller.row.1),
        start_s: entry.start.as_second(),
        bytes,
    }
}

async fn sleep_until(time: Option<Instant>) {
    if let Some(time) = time {
        tokio::time::sleep_until(time.into()).await;
    }
}

/// An export of runs that somebody keeps up to date.
struct Watched<'a> {
    watch: &'a Watch,
    seen: Option<(SystemTime, u64, usize)>,
    statuses: Statuses,
    /// As it was before anything was sent.
    before: Statuses,
}

impl Watched<'_> {
    fn new(watch: &Watch) -> Watched<'_> {
        let mut watched = Watched { watch, seen: None, statuses: Statuses::new(), before: Statuses::new() };
        // One that cannot be read yet has told nothing yet.
        if let Ok(file) = File::open(&watch.export) {
            watched.before = runs::statuses(BufReader::new(file), |_, _| true).unwrap_or_default();
        }
        watched
    }

    /// Reads it anew where it has changed, or others are waited for. One that is not there yet has no runs.
    fn look(&mut self, awaited: &HashSet<(String, String)>) -> Result<()> {
        let path = &self.watch.export;
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Error::io("read", path)(e)),
        };
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let is_known = awaited.iter().all(|run| self.statuses.contains_key(run));
        let seen = (modified, metadata.len(), awaited.len());
        if self.seen != Some(seen) || !is_known {
            let file = File::open(path).map_err(Error::io("read", path))?;
            self.statuses = runs::statuses(BufReader::new(file), |user, run| {
                awaited.contains(&(user.to_string(), run.to_string()))
            })?;
            self.seen = Some(seen);
        }
        Ok(())
    }
}
