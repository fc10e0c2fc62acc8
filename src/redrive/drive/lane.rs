//! One user's messages on their way: what is next, and when it may go.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::pacer::Pacer;
use super::runs::Awaited;
use crate::error::Result;
use crate::redrive::Options;
use crate::redrive::message::{Builder, Unsendable};
use crate::redrive::plan::{Planned, Ready, UserPlan};
use crate::redrive::sinks::{Carries, Message, Pace};
use crate::store::lake::Lake;
use crate::store::state::deliveries::Intent;

/// An attempt at a message.
pub struct Attempt {
    pub ready: Ready,
    pub message: Message,
    /// 1 is the first of this run.
    pub number: u32,
    /// Its place among its user's messages.
    place: usize,
    /// Of its lane.
    pub lane: u64,
}

/// An attempt without its message.
pub struct Rest {
    ready: Ready,
    number: u32,
    place: usize,
    lane: u64,
}

impl Attempt {
    pub fn parts(self) -> (Message, Rest) {
        let Attempt { ready, message, number, place, lane } = self;
        (message, Rest { ready, number, place, lane })
    }

    pub fn whole((message, rest): (Message, Rest)) -> Attempt {
        let Rest { ready, number, place, lane } = rest;
        Attempt { ready, message, number, place, lane }
    }

    pub fn intent(&self) -> Intent {
        Intent {
            user_id: self.message.user_id.clone(),
            execution_id: self.message.execution_id.clone(),
            golden_id: self.ready.owed.golden_id.clone(),
            start_s: self.message.start_s,
            syncs: self.ready.destinations.len() as u64,
            content: self.ready.draft.content,
        }
    }
}

/// A message that was made, or why there is none.
struct Made {
    ready: Ready,
    bytes: Result<std::result::Result<Vec<u8>, Unsendable>>,
}

impl Made {
    fn length(&self) -> usize {
        self.bytes.as_ref().map_or(0, |bytes| bytes.as_ref().map_or(0, Vec::len))
    }
}

/// What a lane gives when it is asked for its next message.
pub enum Next {
    Attempt(Attempt),
    /// It cannot be built any more.
    Unsendable(Ready, Unsendable),
    Nothing,
}

pub struct Lane {
    /// Later lanes have higher numbers.
    pub number: u64,
    pub user_id: String,
    queue: VecDeque<Ready>,
    /// Made before their turn; they go before the queue.
    made: VecDeque<Made>,
    builder: Builder,
    carries: Carries,
    next_place: usize,
    /// Sent, or about to be, and not back yet.
    pub on_the_way: usize,
    /// What is to be sent once more, and when at the earliest; in the order of their places.
    again: Vec<(Instant, Attempt)>,
    pub pace: Option<Pacer>,
    /// The user's pace has let one through that everybody's has not yet.
    pub may_send: bool,
    /// A run that has to end first.
    pub run: Option<Awaited>,
    /// Nothing of it is sent any more.
    pub ended: bool,
}

impl Lane {
    /// A lane for what is ready of a user's plan.
    pub fn new(lake: &Lake, number: u64, plan: UserPlan, options: &Options) -> Lane {
        let ready = plan.planned.into_iter().filter_map(|planned| match planned {
            Planned::Ready(ready) => Some(*ready),
            Planned::Settled(_) => None,
        });
        Lane {
            number,
            user_id: plan.user_id,
            queue: ready.collect(),
            made: VecDeque::new(),
            builder: Builder::new(lake, options.content, plan.batches),
            carries: options.sink.capabilities().carries,
            next_place: 0,
            on_the_way: 0,
            again: Vec::new(),
            pace: Pacer::every(options.per_user)
                .filter(|_| !options.unordered && options.sink.capabilities().pace != Pace::None),
            may_send: false,
            run: None,
            ended: false,
        }
    }

    /// Messages that were not begun.
    pub fn left(&self) -> u64 {
        (self.made.len() + self.queue.len()) as u64
    }

    /// Messages that were begun, and whose end is not known.
    pub fn in_doubt(&self) -> u64 {
        self.again.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.left() == 0 && self.again.is_empty()
    }

    /// Takes out what was not begun.
    pub fn take_rest(&mut self) -> impl Iterator<Item = Ready> + use<> {
        let made = std::mem::take(&mut self.made).into_iter().map(|made| made.ready);
        made.chain(std::mem::take(&mut self.queue))
    }

    /// Bytes of messages that were made before their turn.
    pub fn made_bytes(&self) -> usize {
        self.made.iter().map(Made::length).sum()
    }

    /// How many of its messages may go now beside those that are on their way, of which `taken` are for the same call.
    pub fn room(&self, most: usize, taken: usize, is_ordered: bool) -> usize {
        // In order, nothing goes while another call has some of them.
        let is_busy = is_ordered && self.on_the_way > taken;
        if self.ended || self.run.is_some() || is_busy { 0 } else { most.saturating_sub(self.on_the_way) }
    }

    /// How many of those that were not begun may go in the next call, as far as this lane goes.
    pub fn may_go(&self, now: Instant, most: usize, is_ordered: bool) -> usize {
        let of_pace = self.pace.as_ref().map_or(most, Pacer::at_once);
        let is_time = self.next_at(now, is_ordered).is_some_and(|at| at <= now);
        if is_time { self.room(most, 0, is_ordered).min(of_pace).min(self.left() as usize) } else { 0 }
    }

    /// Whether so many wait that were made before their turn.
    pub fn has_made(&self, most: usize) -> bool {
        self.made.len() >= most
    }

    /// Makes messages before their turn, until so many wait, or all lanes' have so many `bytes`.
    pub fn make_ahead(&mut self, most: usize, bytes: &AtomicUsize, most_bytes: usize) {
        while !self.has_made(most)
            && bytes.load(Ordering::Relaxed) < most_bytes
            && let Some(made) = self.make()
        {
            bytes.fetch_add(made.length(), Ordering::Relaxed);
            // One that fails ends the run when its turn comes; what goes before it is sent.
            let has_failed = made.bytes.is_err();
            self.made.push_back(made);
            if has_failed {
                return;
            }
        }
    }

    fn make(&mut self) -> Option<Made> {
        let ready = self.queue.pop_front()?;
        let bytes = match self.carries {
            // The sink says that there is an activity, and no more.
            Carries::IdOf(_) => Ok(Ok(Vec::new())),
            Carries::Message => {
                let mut next = self.queue.iter().filter_map(|ready| ready.draft.samples.as_ref());
                self.builder.build(&ready.draft, &mut next)
            }
        };
        Some(Made { ready, bytes })
    }

    pub fn send_again(&mut self, attempt: Attempt, not_before: Instant) {
        let at = self.again.partition_point(|(_, other)| other.place < attempt.place);
        self.again.insert(at, (not_before, attempt));
    }

    /// When the next message may go at the earliest, as far as this lane goes: now, or later; None where there is none.
    /// In order, what failed goes before everything else.
    pub fn next_at(&self, now: Instant, is_ordered: bool) -> Option<Instant> {
        let again = self.again.iter().map(|(not_before, _)| *not_before);
        let again = if is_ordered { again.max() } else { again.min() };
        match again {
            Some(not_before) if is_ordered || self.left() == 0 => Some(not_before.max(now)),
            _ => (!self.is_empty()).then_some(now),
        }
    }

    /// The next message. To be called only when [`Lane::next_at`] says now.
    pub fn next(&mut self, now: Instant) -> Result<Next> {
        if let Some(at) = self.again.iter().position(|(not_before, _)| *not_before <= now) {
            let (_, attempt) = self.again.remove(at);
            return Ok(Next::Attempt(Attempt { number: attempt.number + 1, ..attempt }));
        }
        let made = self.made.pop_front().or_else(|| self.make());
        let Some(Made { ready, bytes }) = made else { return Ok(Next::Nothing) };
        let bytes = match bytes {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(why)) => return Ok(Next::Unsendable(ready, why)),
            Err(e) => {
                // It was not begun; nothing behind it was made.
                self.queue.push_front(ready);
                return Err(e);
            }
        };
        let message = Message {
            user_id: self.user_id.clone(),
            execution_id: ready.draft.execution_id.clone(),
            activity_id: ready.draft.member.source_id.clone(),
            account_id: self.builder.account_id(&ready.draft),
            start_s: ready.owed.start.as_second(),
            bytes,
        };
        self.next_place += 1;
        let place = self.next_place;
        Ok(Next::Attempt(Attempt { ready, message, number: 1, place, lane: self.number }))
    }
}
