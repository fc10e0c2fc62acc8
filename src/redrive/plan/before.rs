//! What was sent of a workout before: known by its records, so that it does not matter what its pipeline is called
//! today, or whether it is still there.

use crate::fitglue::runs::{Run, Runs, Status};
use crate::redrive::route::{Route, is_of, pipeline_of};
use crate::redrive::workouts::{Member, Workout};
use crate::store::state::deliveries::{Delivery, Progress};

use super::held::{Held, Reason};
use super::stages::{End, Owed, Settled, Unsettled};

/// The messages of a workout, the newest first, each with the one of today's records that it was of.
pub struct Before<'a>(Vec<(&'a Delivery, Option<&'a Member>)>);

impl<'a> Before<'a> {
    pub fn of(user_id: &str, workout: &'a Workout, sent: &'a [Delivery]) -> Before<'a> {
        let of_workout = sent.iter().filter_map(|delivery| {
            let member = workout.members.iter().find(|member| is_of(&delivery.execution_id, user_id, member));
            (member.is_some() || delivery.golden_id == workout.golden_id).then_some((delivery, member))
        });
        let mut of_workout: Vec<_> = of_workout.collect();
        of_workout.sort_by_key(|(delivery, _)| std::cmp::Reverse(delivery.changed_s));
        Before(of_workout)
    }

    pub fn is_delivered(&self) -> bool {
        self.0.iter().any(|(delivery, _)| delivery.progress == Progress::Delivered)
    }

    /// The delivery that settles the workout, and what it means today. One whose run came to nothing since settles
    /// nothing: it is owed again.
    pub fn settling(&self, runs: &Runs) -> Option<(&'a Delivery, End)> {
        let delivered = self.0.iter().filter(|(delivery, _)| delivery.progress == Progress::Delivered);
        delivered.into_iter().find_map(|(delivery, _)| Some((*delivery, settles(delivery, runs)?)))
    }

    /// The newest that may have arrived, as far as nothing settles the workout.
    pub fn unsettled(&self, runs: &Runs) -> Option<(&'a Delivery, Option<&'a Member>)> {
        let is_unsettled = |delivery: &Delivery| matches!(delivery.progress, Progress::Unsettled { .. });
        let unsettled = self.0.iter().find(|(delivery, _)| is_unsettled(delivery)).copied();
        unsettled.filter(|_| self.settling(runs).is_none())
    }

    /// The same record to the same pipeline keeps the id that it went under before.
    pub fn same_way(&self, user_id: &str, member: &Member, way: &Route) -> Option<&'a Delivery> {
        let is_same = |delivery: &Delivery| {
            is_of(&delivery.execution_id, user_id, member)
                && pipeline_of(&delivery.execution_id) == way.pipeline_id
        };
        self.0.iter().find(|(delivery, _)| is_same(delivery)).map(|(delivery, _)| *delivery)
    }
}

fn settles(delivery: &Delivery, runs: &Runs) -> Option<End> {
    let Some(run) = runs.with_id(&delivery.execution_id) else { return Some(End::Delivered) };
    match run.updated_s {
        Some(updated_s) if updated_s < delivery.changed_s => Some(End::Delivered),
        Some(_) if came_to_nothing(run) => None,
        _ => {
            let why = format!("it was delivered before, and its run {} is {}", run.run_id, run.status.name());
            Some(End::Held(Held::new(Reason::DeliveredBefore, why)))
        }
    }
}

pub fn came_to_nothing(run: &Run) -> bool {
    matches!(run.status, Status::Failed | Status::TierBlocked)
}

/// A workout that nothing is to be done about.
pub fn settled(owed: Owed, delivery: &Delivery, end: End) -> Box<Settled> {
    let route = Route {
        pipeline_id: pipeline_of(&delivery.execution_id).to_string(),
        execution_id: delivery.execution_id.clone(),
        destinations: Vec::new(),
    };
    Box::new(Settled { owed, route: Some(route), record: None, unsettled: None, end })
}

/// How often it was tried, where it may have arrived.
pub fn unsettled_of(delivery: &Delivery) -> Option<Unsettled> {
    match delivery.progress {
        Progress::Unsettled { attempts } => Some(Unsettled { attempts, last_s: delivery.changed_s }),
        _ => None,
    }
}
