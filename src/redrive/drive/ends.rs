//! What becomes of attempts that came back: what is written down of each, and what it means for its user's lane.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::lane::{Attempt, Lane};
use super::runs::Awaited;
use super::{Back, Driver, Event};
use crate::error::Result;
use crate::fitglue::runs::Status;
use crate::redrive::plan::{Held, Reason, count};
use crate::redrive::sinks::Outcome;
use crate::store::state::deliveries::{End, Ended};

/// Attempts at one message, before its user's lane ends.
const MOST_ATTEMPTS: u32 = 10;
/// Refusals with no delivery between them, before it is taken for granted that the sink refuses everything.
const MOST_REFUSALS: u32 = 20;
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

impl Driver<'_> {
    pub(super) fn take_back(
        &mut self,
        back: Back,
        ends: &mut Vec<End>,
        watch: &mut dyn FnMut(Event),
    ) -> Result<()> {
        match back.outcomes {
            Ok(outcomes) => {
                assert_eq!(outcomes.len(), back.attempts.len(), "a sink says of each message how it ended");
                for (attempt, outcome) in back.attempts.into_iter().zip(outcomes) {
                    ends.push(self.end(attempt, outcome, watch)?);
                }
            }
            Err(e) => {
                for attempt in back.attempts {
                    self.bytes_on_the_way -= attempt.message.bytes.len();
                    let lane = self.lane(attempt.lane);
                    lane.on_the_way -= 1;
                    lane.ended = true;
                    self.driven.unknown += 1;
                }
                self.failed.get_or_insert(e);
            }
        }
        Ok(())
    }

    fn lane(&mut self, number: u64) -> &mut Lane {
        let at = self.lanes.binary_search_by_key(&number, |lane| lane.number);
        &mut self.lanes[at.expect("a lane waits for what is on its way")]
    }

    /// What an attempt's end means for its lane, and what is written down of it.
    fn end(&mut self, attempt: Attempt, outcome: Outcome, watch: &mut dyn FnMut(Event)) -> Result<End> {
        let now = Instant::now();
        let user_id = attempt.message.user_id.clone();
        let execution_id = attempt.message.execution_id.clone();
        self.bytes_on_the_way -= attempt.message.bytes.len();
        self.lane(attempt.lane).on_the_way -= 1;
        let name = || format!("{} of {user_id}", attempt.ready.owed.golden_id);
        let (ended, reason) = match outcome {
            Outcome::Delivered => {
                self.failing_since = None;
                self.refusals = 0;
                self.driven.delivered += 1;
                self.driven.delivered_bytes += attempt.message.bytes.len() as u64;
                if self.follower.is_some() {
                    self.lane(attempt.lane).run = Some(Awaited { run_id: execution_id.clone(), since: now });
                }
                (Ended::Delivered, None)
            }
            Outcome::Rejected(why) => {
                self.failing_since = None;
                self.driven.rejected += 1;
                self.refusals += 1;
                self.stopped |= self.refusals >= MOST_REFUSALS;
                self.driven.rejected_why.get_or_insert_with(|| format!("{}: {why}", name()));
                self.dead_letters.add(&attempt.message, &why, Timestamp::now())?;
                self.driven.dead_letters.get_or_insert_with(|| self.dead_letters.path.display().to_string());
                (Ended::Rejected, Some(why))
            }
            Outcome::Unknown { why, retry_after } => {
                // A wait that the sink asks for is no failing of it.
                let asked_for = retry_after.unwrap_or_default();
                let since = *self.failing_since.get_or_insert(now + asked_for);
                let is_out_of_reach = now.saturating_duration_since(since) >= self.options.patience;
                self.stopped |= is_out_of_reach;
                if is_out_of_reach || attempt.number >= MOST_ATTEMPTS {
                    self.driven.unknown += 1;
                    self.driven.unknown_why = Some(format!("{}: {why}", name()));
                    self.lane(attempt.lane).ended = true;
                } else {
                    watch(Event::Trouble { user_id: user_id.clone(), why: why.clone() });
                    let is_first = attempt.number == 1 && attempt.ready.unsettled.is_none();
                    self.driven.sent_again += u64::from(is_first);
                    let backoff =
                        FIRST_BACKOFF.saturating_mul(1 << (attempt.number - 1)).min(LONGEST_BACKOFF);
                    // Not much longer than the sink may be out of reach at all.
                    let wait = backoff.min(self.options.patience).max(asked_for);
                    self.lane(attempt.lane).send_again(attempt, now + wait);
                }
                (Ended::Unknown, Some(why))
            }
        };
        Ok(End { user_id, execution_id, ended, reason })
    }

    /// Lanes whose run has ended go on.
    pub(super) fn look_at_runs(&mut self) -> Result<()> {
        let Some(follower) = &self.follower else { return Ok(()) };
        for lane in &mut self.lanes {
            let Some(run) = &lane.run else { continue };
            let status = follower.ended(&lane.user_id, run)?;
            let name = match &status {
                Some(status) => status.name(),
                None if run.since.elapsed() >= follower.longest => "not_seen",
                None => continue,
            };
            *self.driven.runs.get_or_insert_default().entry(name.to_string()).or_default() += 1;
            if status == Some(Status::TierBlocked) {
                // The pipeline counts otherwise than we do, and it is the one that counts.
                let held =
                    Held::new(Reason::TierBudget, "the pipeline has blocked a run of this user's tier");
                for ready in lane.take_rest() {
                    count(&mut self.driven.held, &lane.user_id, &ready.owed.golden_id, &held);
                }
            }
            lane.run = None;
        }
        Ok(())
    }
}
