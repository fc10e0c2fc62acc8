//! What a run did.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::redrive::plan::{AllHeld, End, Planned, Reason, UserPlan, count};

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
    /// Of a plan that was looked at: messages that are held now, are not owed, or never were planned.
    pub not_planned: u64,
    pub held: AllHeld,
    /// Of messages that were refused: one of them, and why.
    pub rejected_why: Option<String>,
    /// Of messages whose end is not known: one of them, and why.
    pub unknown_why: Option<String>,
    /// Where what was refused stands with its answer, if anything was.
    pub dead_letters: Option<String>,
    /// How the runs ended that were waited for; None where they were not.
    pub runs: Option<BTreeMap<String, u64>>,
    /// Buckets that could not be read, and why; nothing of their users was sent.
    pub damaged: Vec<String>,
    /// What the sink says of it all.
    pub said: Option<String>,
    pub seconds: f64,
}

impl Driven {
    pub fn is_held_for(&self, reason: Reason) -> bool {
        self.held.contains_key(reason.name())
    }

    /// Counts what is not sent of a plan.
    pub(super) fn add_settled(&mut self, plan: &UserPlan) {
        self.beyond_limit += plan.beyond_limit;
        for planned in &plan.planned {
            match planned {
                Planned::Settled(settled) => match &settled.end {
                    End::Delivered => self.delivered_before += 1,
                    End::Held(held) => count(&mut self.held, &plan.user_id, &settled.owed.golden_id, held),
                },
                Planned::Ready(_) => {}
            }
        }
    }
}
