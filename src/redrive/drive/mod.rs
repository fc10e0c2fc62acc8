//! Sends what is planned: oldest first, never two of one user at a time unless the sink keeps their order or that is
//! allowed, at a pace.
//!
//! A loop over lanes, one for each user that is being sent for. What the paces let go next is made on all cores. What is
//! ready of all of them is written down in one go, then sent; what came back is written down in one go, too. A message
//! whose end is unknown is sent again before anything later of its user; where it stays unknown, the user's lane ends
//! there, so that the order holds.

mod dead_letters;
mod driven;
mod ends;
mod lane;
mod pacer;
mod runs;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use rayon::prelude::*;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::task::JoinSet;

pub use driven::Driven;

use super::Options;
use super::plan::{OfBucket, UserPlan, count, unsendable};
use super::sinks::{Capabilities, Outcome, Pace, Sink};
use crate::error::{Error, Result};
use crate::store::lake::Lake;
use crate::store::state::deliveries::{Deliveries, Intent};
use dead_letters::DeadLetters;
use lane::{Attempt, Lane, Next};
use pacer::Pacer;
use runs::{Follower, LOOK_EVERY};

/// Messages of one user in one call, of a sink that keeps their order.
const MOST_OF_A_USER: usize = 64;
/// Lanes that are open for a sink that takes many messages at once.
const LANES_OF_BATCHES: usize = 256;
/// From this attempt on, a message goes in a call of its own, so that what is wrong with it keeps nobody else back.
const ALONE_FROM: u32 = 3;
/// Bytes of messages that are in a call, or about to be,
const MOST_BYTES_ON_THE_WAY: usize = 64 << 20;
/// and of those that were made before their turn.
const MOST_BYTES_MADE: usize = 32 << 20;

/// What a watcher sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Messages that ended, of this run.
    Ended { delivered: u64, rejected: u64 },
    /// An attempt came to nothing that is known, and will be made again.
    Trouble { user_id: String, why: String },
}

/// Attempts that came back from one call.
struct Back {
    attempts: Vec<Attempt>,
    outcomes: Result<Vec<Outcome>>,
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
    capabilities: &'a Capabilities,
    sink: Arc<dyn Sink>,
    deliveries: &'a Deliveries,
    dead_letters: DeadLetters,
    /// By their numbers.
    lanes: Vec<Lane>,
    next_lane: u64,
    /// Plans of users whose turn has not come.
    waiting: VecDeque<UserPlan>,
    all_planned: bool,
    /// Whose turn it is first.
    turn: usize,
    pace: Option<Pacer>,
    sends: JoinSet<Back>,
    bytes_on_the_way: usize,
    failing_since: Option<Instant>,
    refusals: u32,
    stopped: bool,
    failed: Option<Error>,
    follower: Option<Follower>,
    driven: Driven,
}

/// Sends everything that the plans have. Says what was done even where it ends in an error.
pub async fn run(
    lake: &Lake,
    options: &Options,
    sink: Arc<dyn Sink>,
    deliveries: &Deliveries,
    dead_letters: std::path::PathBuf,
    mut plans: mpsc::Receiver<OfBucket>,
    watch: &mut dyn FnMut(Event),
) -> (Driven, Result<()>) {
    let begin = Instant::now();
    let capabilities = options.sink.capabilities();
    let mut driver = Driver {
        lake,
        options,
        capabilities,
        sink,
        deliveries,
        dead_letters: DeadLetters::new(dead_letters, options.sink.to_string()),
        lanes: Vec::new(),
        next_lane: 0,
        waiting: VecDeque::new(),
        all_planned: false,
        turn: 0,
        pace: match capabilities.pace {
            Pace::Requests => Pacer::every(options.request_period),
            Pace::None => None,
            Pace::Messages => Some(Pacer::per_second(options.per_second)),
        },
        sends: JoinSet::new(),
        bytes_on_the_way: 0,
        failing_since: None,
        refusals: 0,
        stopped: false,
        failed: None,
        follower: options.watch.as_ref().map(Follower::start),
        driven: Driven {
            sink: options.sink.to_string(),
            runs: options.watch.as_ref().map(|_| Default::default()),
            ..Driven::default()
        },
    };
    let mut ended = driver.drive(&mut plans, watch).await;
    ended = ended.and_then(|()| driver.failed.take().map_or(Ok(()), Err));
    match driver.sink.close() {
        Ok(said) => driver.driven.said = said,
        Err(e) => ended = ended.and(Err(e)),
    }
    driver.driven.seconds = begin.elapsed().as_secs_f64();
    (driver.driven, ended)
}

impl Driver<'_> {
    async fn drive(
        &mut self,
        plans: &mut mpsc::Receiver<OfBucket>,
        watch: &mut dyn FnMut(Event),
    ) -> Result<()> {
        loop {
            while self.wants_plans() {
                match plans.try_recv() {
                    Ok(of_bucket) => self.take_plans(of_bucket)?,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => self.all_planned = true,
                }
            }
            self.open_lanes();
            self.look_at_runs()?;
            let wake = self.send_what_is_ready()?;
            self.close_lanes();
            let is_over = self.all_planned && self.waiting.is_empty();
            if self.sends.is_empty() && self.lanes.is_empty() && (is_over || self.is_stopping()) {
                return Ok(());
            }
            self.wait(wake, plans, watch).await?;
        }
    }

    fn most_lanes(&self) -> usize {
        if self.capabilities.batch > 1 { LANES_OF_BATCHES } else { self.options.concurrency }
    }

    fn wants_plans(&self) -> bool {
        !self.all_planned
            && !self.is_stopping()
            && self.waiting.is_empty()
            && self.lanes.len() < self.most_lanes()
    }

    fn is_stopping(&self) -> bool {
        self.stopped || self.failed.is_some()
    }

    fn take_plans(&mut self, of_bucket: OfBucket) -> Result<()> {
        match super::damage_apart(of_bucket)? {
            Ok(plans) => {
                plans.iter().for_each(|plan| self.driven.add_settled(plan));
                self.waiting.extend(plans);
            }
            Err(damage) => self.driven.damaged.push(damage),
        }
        Ok(())
    }

    fn open_lanes(&mut self) {
        while self.lanes.len() < self.most_lanes()
            && let Some(plan) = self.waiting.pop_front()
        {
            self.lanes.push(Lane::new(self.lake, self.next_lane, plan, self.options));
            self.next_lane += 1;
        }
    }

    /// Takes from the lanes what may go now, writes it down, and sends it.
    fn send_what_is_ready(&mut self) -> Result<Wake> {
        let mut wake = Wake::default();
        let mut ready: Vec<Attempt> = Vec::new();
        let lanes = self.lanes.len();
        let most = self.capabilities.batch.max(self.options.concurrency);
        if self.capabilities.batch > 1 && self.sends.len() >= self.options.concurrency {
            return Ok(wake);
        }
        self.make_ahead(most);
        'lanes: for turn in 0..lanes {
            let number = (self.turn + turn) % lanes;
            let mut of_lane = 0;
            while ready.len() < most && self.bytes_on_the_way < MOST_BYTES_ON_THE_WAY {
                match self.next_of(number, of_lane, &mut wake) {
                    Ok(Turn::Attempt(attempt)) => {
                        self.bytes_on_the_way += attempt.message.bytes.len();
                        of_lane += 1;
                        ready.push(*attempt);
                    }
                    Ok(Turn::NothingNow) => continue 'lanes,
                    Ok(Turn::NobodyNow) => break 'lanes,
                    // It ends the run; what was ready before it goes.
                    Err(e) => {
                        self.failed.get_or_insert(e);
                        break 'lanes;
                    }
                }
            }
        }
        self.turn = (self.turn + 1) % lanes.max(1);
        if ready.is_empty() {
            return Ok(wake);
        }
        let intents: Vec<Intent> = ready.iter().map(Attempt::intent).collect();
        self.deliveries.intend(&intents, Timestamp::now())?;
        self.driven.attempts += ready.len() as u64;
        if ready.len() >= most {
            // Others may be ready, too.
            wake.at(Instant::now());
        }
        while !ready.is_empty() {
            let attempts = self.next_call(&mut ready);
            let sink = self.sink.clone();
            self.sends.spawn(async move {
                let (messages, rest): (Vec<_>, Vec<_>) = attempts.into_iter().map(Attempt::parts).unzip();
                let outcomes = sink.send(&messages).await;
                let attempts = messages.into_iter().zip(rest).map(Attempt::whole).collect();
                Back { attempts, outcomes }
            });
        }
        Ok(wake)
    }

    /// Makes on all cores what the next call will take, as far as the paces will let it go.
    fn make_ahead(&mut self, most: usize) {
        if self.is_stopping() {
            return;
        }
        let of_everybody = self.pace.as_ref().map_or(most, |pace| pace.at_once().min(most));
        let (of_a_user, is_ordered) = (self.most_of_a_user(), !self.options.unordered);
        let turn = self.turn % self.lanes.len().max(1);
        let (later, first) = self.lanes.split_at_mut(turn);
        let bytes = AtomicUsize::new(0);
        let (mut wanted, mut going, now) = (Vec::new(), 0, Instant::now());
        for lane in first.iter_mut().chain(later) {
            bytes.fetch_add(lane.made_bytes(), Ordering::Relaxed);
            let of_lane = lane.may_go(now, of_a_user, is_ordered);
            if going < of_everybody && !lane.has_made(of_lane) {
                wanted.push((lane, of_lane));
            }
            going += of_lane;
        }
        wanted.into_par_iter().for_each(|(lane, most)| lane.make_ahead(most, &bytes, MOST_BYTES_MADE));
    }

    /// Takes out what goes in one call.
    fn next_call(&self, ready: &mut Vec<Attempt>) -> Vec<Attempt> {
        // Where calls keep the order, the messages of a user stay in one.
        let is_alone = |attempt: &&Attempt| !self.capabilities.keeps_order && attempt.number >= ALONE_FROM;
        let together = ready.iter().take(self.capabilities.batch).take_while(|attempt| !is_alone(attempt));
        let rest = ready.split_off(together.count().max(1));
        std::mem::replace(ready, rest)
    }

    /// Messages of one user that may be on their way together.
    fn most_of_a_user(&self) -> usize {
        match (self.options.unordered, self.capabilities.keeps_order && self.follower.is_none()) {
            (true, _) => self.options.concurrency,
            (false, true) => MOST_OF_A_USER,
            (false, false) => 1,
        }
    }

    /// The next message of a lane, where there is one that may go now. `taken` were taken for the same call.
    fn next_of(&mut self, number: usize, taken: usize, wake: &mut Wake) -> Result<Turn> {
        let (is_stopping, most) = (self.is_stopping(), self.most_of_a_user());
        let is_ordered = !self.options.unordered;
        let lane = &mut self.lanes[number];
        lane.ended |= is_stopping;
        if lane.room(most, taken, is_ordered) == 0 {
            return Ok(Turn::NothingNow);
        }
        let now = Instant::now();
        match lane.next_at(now, is_ordered) {
            None => return Ok(Turn::NothingNow),
            Some(at) if at > now => {
                wake.at(at);
                return Ok(Turn::NothingNow);
            }
            Some(_) => {}
        }
        if !lane.may_send
            && let Some(Err(at)) = lane.pace.as_ref().map(|pace| pace.take(now))
        {
            wake.at(at);
            return Ok(Turn::NothingNow);
        }
        lane.may_send = true;
        if let Some(Err(at)) = self.pace.as_ref().map(|pace| pace.take(now)) {
            wake.at(at);
            return Ok(Turn::NobodyNow);
        }
        lane.may_send = false;
        loop {
            match lane.next(now)? {
                Next::Attempt(attempt) => {
                    lane.on_the_way += 1;
                    let is_first = attempt.number == 1;
                    self.driven.sent_again += u64::from(is_first && attempt.ready.unsettled.is_some());
                    return Ok(Turn::Attempt(Box::new(attempt)));
                }
                Next::Unsendable(ready, why) => {
                    let held = unsendable(why, self.options.content.thin);
                    count(&mut self.driven.held, &lane.user_id, &ready.owed.golden_id, &held);
                }
                Next::Nothing => return Ok(Turn::NothingNow),
            }
        }
    }

    /// Waits until something came back, or something may go.
    async fn wait(
        &mut self,
        mut wake: Wake,
        plans: &mut mpsc::Receiver<OfBucket>,
        watch: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let mut back = Vec::new();
        if self.lanes.iter().any(|lane| lane.run.is_some()) {
            wake.at(Instant::now() + LOOK_EVERY);
        }
        let until = wake.0.filter(|_| !self.is_stopping());
        let wants_plans = self.wants_plans();
        tokio::select! {
            of_bucket = plans.recv(), if wants_plans => match of_bucket {
                Some(of_bucket) => self.take_plans(of_bucket)?,
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
            self.take_back(back, &mut ends, watch)?;
        }
        if !ends.is_empty() {
            self.deliveries.settle(&ends, Timestamp::now())?;
            watch(Event::Ended { delivered: self.driven.delivered, rejected: self.driven.rejected });
        }
        Ok(())
    }

    fn close_lanes(&mut self) {
        let stopping = self.is_stopping();
        if stopping {
            let waiting = self.waiting.drain(..).map(|plan| plan.ready());
            self.driven.left += waiting.sum::<u64>();
        }
        for lane in &mut self.lanes {
            lane.ended |= stopping;
            if stopping {
                lane.run = None;
            }
        }
        let driven = &mut self.driven;
        self.lanes.retain(|lane| {
            let is_over = (lane.ended || lane.is_empty()) && lane.on_the_way == 0 && lane.run.is_none();
            if is_over {
                driven.unknown += lane.in_doubt();
                driven.left += lane.left();
            }
            !is_over
        });
    }
}

enum Turn {
    Attempt(Box<Attempt>),
    /// This lane has nothing that may go now.
    NothingNow,
    /// Everybody's pace is used up.
    NobodyNow,
}

async fn sleep_until(time: Option<Instant>) {
    if let Some(time) = time {
        tokio::time::sleep_until(time.into()).await;
    }
}
