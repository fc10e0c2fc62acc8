//! What becomes of a workout on its way from owed to ready. Each stage is made once, of the one before, with
//! everything that it promises; what falls out on the way is settled.
//!
//! ```text
//! Owed ─▶ Routed ─▶ Weighed ─▶ Ready
//!    └───────┴─────────┴─────▶ Settled: delivered before, or held for a reason
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use jiff::Timestamp;

use super::held::Held;
use crate::fitglue::users::Tier;
use crate::redrive::message::Draft;
use crate::redrive::reconcile::Standing;
use crate::redrive::route::Route;
use crate::redrive::workouts::Member;

/// A workout that the pipeline should have, and has not.
#[derive(Debug, Clone, PartialEq)]
pub struct Owed {
    pub golden_id: String,
    pub start: Timestamp,
    pub sport: Option<String>,
    pub title: Option<String>,
    pub standing: Standing,
}

/// Attempts before this one that nobody knows the end of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled {
    pub attempts: u32,
    /// When the last of them was, unix seconds.
    pub last_s: i64,
}

/// Where it goes, and which of its records.
#[derive(Debug, Clone, PartialEq)]
pub struct Routed {
    pub owed: Owed,
    pub member: Member,
    /// The other records of the whole workout.
    pub others: Vec<Member>,
    pub route: Route,
    pub unsettled: Option<Unsettled>,
}

/// What its message is made of, which is known to be no longer than it may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighed {
    pub owed: Owed,
    pub draft: Draft,
    pub destinations: Vec<String>,
    pub unsettled: Option<Unsettled>,
}

/// May be sent now: the tier has syncs for it, and nothing before it is in doubt.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready(Weighed);

impl Ready {
    /// Only [`super::tier`] lets a message through.
    pub(super) fn let_through(weighed: Weighed) -> Ready {
        Ready(weighed)
    }
}

impl std::ops::Deref for Ready {
    type Target = Weighed;

    fn deref(&self) -> &Weighed {
        &self.0
    }
}

/// Not sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    pub owed: Owed,
    pub route: Option<Route>,
    /// The record that would be sent, `strava:123`.
    pub record: Option<String>,
    pub unsettled: Option<Unsettled>,
    pub end: End,
}

#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// It was delivered, and the pipeline's export is only older than that.
    Delivered,
    Held(Held),
}

/// One that is planned.
#[derive(Debug, Clone, PartialEq)]
pub enum Planned {
    Ready(Box<Ready>),
    Settled(Box<Settled>),
}

impl Planned {
    pub fn owed(&self) -> &Owed {
        match self {
            Planned::Ready(ready) => &ready.owed,
            Planned::Settled(settled) => &settled.owed,
        }
    }
}

impl Owed {
    pub fn held(self, held: Held) -> Box<Settled> {
        Box::new(Settled { owed: self, route: None, record: None, unsettled: None, end: End::Held(held) })
    }
}

impl Routed {
    pub fn held(self, held: Held) -> Box<Settled> {
        Box::new(Settled {
            record: Some(self.member.name()),
            route: Some(self.route),
            unsettled: self.unsettled,
            owed: self.owed,
            end: End::Held(held),
        })
    }
}

impl Weighed {
    pub fn route(&self) -> Route {
        Route {
            pipeline_id: self.draft.pipeline_id.clone(),
            execution_id: self.draft.execution_id.clone(),
            destinations: self.destinations.clone(),
        }
    }

    pub fn held(self, held: Held) -> Box<Settled> {
        Box::new(Settled {
            record: Some(self.draft.member.name()),
            route: Some(self.route()),
            unsettled: self.unsettled,
            owed: self.owed,
            end: End::Held(held),
        })
    }
}

/// One user's, oldest first.
#[derive(Debug)]
pub struct UserPlan {
    pub user_id: String,
    pub planned: Vec<Planned>,
    /// Ready, and beyond the most messages that were asked for.
    pub beyond_limit: u64,
    /// What the rows of members stand in.
    pub batches: Arc<[RecordBatch]>,
    /// None where the tier has no limit.
    pub syncs_left: Option<u64>,
    pub tier: Option<Tier>,
    /// Of the pipelines that messages go to: their boosters, where an export says.
    pub boosters: BTreeMap<String, Option<Vec<String>>>,
}
