//! What was sent of a workout before: known by its records, so that it does not matter what its pipeline is called
//! today, or whether it is still there.

use std::collections::{BTreeSet, HashMap};

use crate::fitglue::runs::{Run, Runs, Status};
use crate::redrive::route::{Route, ids_of, is_of, pipeline_of};
use crate::redrive::workouts::{Member, Workout};
use crate::store::state::deliveries::{Delivery, Progress};

use super::held::{Held, Reason};
use super::stages::{End, Owed, Settled, Unsettled};

/// A user's messages, to be looked up by what they were of: each workout asks, and a user may have thousands of both.
pub struct Sent<'a> {
    by_id: HashMap<&'a str, &'a Delivery>,
    by_workout: HashMap<&'a str, Vec<&'a Delivery>>,
    /// That some of them went to.
    pipelines: BTreeSet<&'a str>,
}

impl<'a> Sent<'a> {
    pub fn of(all: &'a [Delivery]) -> Sent<'a> {
        let mut by_workout: HashMap<&str, Vec<&Delivery>> = HashMap::new();
        for delivery in all {
            by_workout.entry(&delivery.golden_id).or_default().push(delivery);
        }
        Sent {
            by_id: all.iter().map(|delivery| (delivery.execution_id.as_str(), delivery)).collect(),
            by_workout,
            pipelines: all.iter().map(|delivery| pipeline_of(&delivery.execution_id)).collect(),
        }
    }
}

/// The messages of a workout, the newest first, each with the one of today's records that it was of.
pub struct Before<'a>(Vec<(&'a Delivery, Option<&'a Member>)>);

impl<'a> Before<'a> {
    pub fn of(user_id: &str, workout: &'a Workout, sent: &Sent<'a>) -> Before<'a> {
        let mut found: HashMap<&str, (&Delivery, Option<&Member>)> = HashMap::new();
        for member in &workout.members {
            let ids = sent.pipelines.iter().flat_map(|pipeline| ids_of(user_id, member, pipeline));
            for delivery in ids.filter_map(|id| sent.by_id.get(id.as_str()).copied()) {
                found.entry(&delivery.execution_id).or_insert((delivery, Some(member)));
            }
        }
        for delivery in sent.by_workout.get(workout.golden_id.as_str()).into_iter().flatten() {
            found.entry(&delivery.execution_id).or_insert((delivery, None));
        }
        let mut of_workout: Vec<_> = found.into_values().collect();
        of_workout
            .sort_by(|(a, _), (b, _)| (b.changed_s, &a.execution_id).cmp(&(a.changed_s, &b.execution_id)));
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
