//! A plan in figures: what an operator decides by.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::held::{AllHeld, Held, Reason, count};
use super::stages::{End, Planned, UserPlan};
use crate::fitglue::boosters;
use crate::redrive::Options;
use crate::redrive::reconcile::{Standing, month};
use crate::redrive::sinks::Pace;

/// Which workouts a dry run lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// What is held, too.
    Everything,
    FirstToSend(usize),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    pub sink: String,
    /// Workouts that are owed, whatever becomes of them.
    pub owed: u64,
    pub send: u64,
    /// Of those, begun before without a known end.
    pub send_again: u64,
    /// Delivered before, and not yet in the pipeline's export.
    pub delivered_before: u64,
    /// Beyond `--limit`.
    pub beyond_limit: u64,
    pub held: AllHeld,
    /// Syncs that it costs, by destination.
    pub syncs: BTreeMap<String, u64>,
    /// Messages by pipeline.
    pub pipelines: BTreeMap<String, u64>,
    /// By the month in which their workouts began, `2024-05`.
    pub months: BTreeMap<String, u64>,
    /// By tier.
    pub tiers: BTreeMap<&'static str, TierFigures>,
    pub boosters: BoosterFigures,
    /// At the pace that was asked for.
    pub takes_s: f64,
    pub users: Vec<UserFigures>,
    /// In the order of sending, user by user.
    pub entries: Vec<Line>,
    /// Buckets that could not be read, and why; nothing of their users is in the plan.
    pub damaged: Vec<String>,
    /// Why `--apply` would send nothing of it.
    pub why_not_to_send: Option<String>,
}

/// What a tier's users would be sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TierFigures {
    pub users: u64,
    pub messages: u64,
    /// Uploads, each of which is a sync.
    pub syncs: u64,
    /// Whether a month has so many syncs only.
    pub is_limited: bool,
}

/// Messages that pass through boosters which treat history as news, by booster.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct BoosterFigures {
    /// Each run waits for an answer of the user, who gets a push.
    pub ask: BTreeMap<String, u64>,
    /// They count on from one activity to the next.
    pub keep_count: BTreeMap<String, u64>,
    /// They take today for the day of the activity.
    pub read_clock: BTreeMap<String, u64>,
    /// This longrun does not know what they do.
    pub unknown: BTreeMap<String, u64>,
    /// Messages to pipelines whose boosters no export names.
    pub not_said: u64,
}

impl BoosterFigures {
    fn add(&mut self, boosters: Option<&Vec<String>>) {
        let Some(boosters) = boosters else {
            self.not_said += 1;
            return;
        };
        let mut count =
            |figures: fn(&mut BoosterFigures) -> &mut BTreeMap<String, u64>, name: &String| match figures(
                self,
            )
            .get_mut(name)
            {
                Some(count) => *count += 1,
                None => drop(figures(self).insert(name.clone(), 1)),
            };
        for name in boosters {
            match boosters::known(name) {
                Some(booster) => {
                    if booster.asks {
                        count(|figures| &mut figures.ask, name);
                    }
                    if booster.keeps_count {
                        count(|figures| &mut figures.keep_count, name);
                    }
                    if booster.reads_clock {
                        count(|figures| &mut figures.read_clock, name);
                    }
                }
                None => count(|figures| &mut figures.unknown, name),
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserFigures {
    pub user_id: String,
    pub send: u64,
    pub held: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    pub syncs: u64,
    pub syncs_left: Option<u64>,
}

/// A workout in a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    pub user_id: String,
    pub golden_id: String,
    pub start: Timestamp,
    pub sport: Option<String>,
    pub title: Option<String>,
    pub standing: Standing,
    pub record: Option<String>,
    pub pipeline_id: String,
    pub execution_id: String,
    pub destinations: Vec<String>,
    pub attempts_before: u32,
    /// Whether it would be sent.
    pub is_ready: bool,
    pub held: Option<Held>,
}

impl Summary {
    pub fn add(&mut self, plan: &UserPlan, list: List) {
        let mut figures = UserFigures {
            user_id: plan.user_id.clone(),
            send: 0,
            held: 0,
            first: None,
            last: None,
            syncs: 0,
            syncs_left: plan.syncs_left,
        };
        self.owed += plan.planned.len() as u64 + plan.beyond_limit;
        self.beyond_limit += plan.beyond_limit;
        for planned in &plan.planned {
            match planned {
                Planned::Ready(ready) => {
                    self.send += 1;
                    self.send_again += u64::from(ready.unsettled.is_some());
                    figures.send += 1;
                    figures.syncs += ready.destinations.len() as u64;
                    figures.first = figures.first.or(Some(ready.owed.start));
                    figures.last = Some(ready.owed.start);
                    *self.pipelines.entry(ready.draft.pipeline_id.clone()).or_default() += 1;
                    *self.months.entry(month(ready.owed.start)).or_default() += 1;
                    self.boosters.add(plan.boosters.get(&ready.draft.pipeline_id).and_then(Option::as_ref));
                    for destination in &ready.destinations {
                        *self.syncs.entry(destination.clone()).or_default() += 1;
                    }
                }
                Planned::Settled(settled) => match &settled.end {
                    End::Delivered => self.delivered_before += 1,
                    End::Held(held) => {
                        figures.held += 1;
                        count(&mut self.held, &plan.user_id, &settled.owed.golden_id, held);
                    }
                },
            }
            let is_listed = match list {
                List::Everything => true,
                List::FirstToSend(most) => matches!(planned, Planned::Ready(_)) && self.entries.len() < most,
            };
            if is_listed {
                self.entries.push(Line::of(&plan.user_id, planned));
            }
        }
        if let Some(tier) = plan.tier.filter(|_| figures.send > 0) {
            let of_tier = self.tiers.entry(tier.name()).or_default();
            of_tier.users += 1;
            of_tier.messages += figures.send;
            of_tier.syncs += figures.syncs;
            of_tier.is_limited = tier.syncs_a_month().is_some();
        }
        self.users.push(figures);
    }

    pub fn is_held_for(&self, reason: Reason) -> bool {
        self.held.contains_key(reason.name())
    }

    /// Sets how long it takes: as long as the whole, or as the longest user, at their paces.
    pub fn set_pace(&mut self, options: &Options) {
        let longest = self.users.iter().map(|user| user.send).max().unwrap_or(0);
        let pace = options.sink.capabilities().pace;
        let all_s = match pace {
            Pace::None => 0.0,
            Pace::Requests => self.send as f64 * options.request_period.as_secs_f64(),
            Pace::Messages => self.send as f64 / f64::from(options.per_second.get()),
        };
        let user_s = if options.unordered || pace == Pace::None {
            0.0
        } else {
            longest as f64 * options.per_user.as_secs_f64()
        };
        self.takes_s = all_s.max(user_s);
    }
}

impl Line {
    fn of(user_id: &str, planned: &Planned) -> Line {
        let (route, record, unsettled, held) = match planned {
            Planned::Ready(ready) => {
                (Some(ready.route()), Some(ready.draft.member.name()), ready.unsettled, None)
            }
            Planned::Settled(settled) => {
                let held = match &settled.end {
                    End::Held(held) => Some(held.clone()),
                    End::Delivered => None,
                };
                (settled.route.clone(), settled.record.clone(), settled.unsettled, held)
            }
        };
        let owed = planned.owed();
        let (pipeline_id, execution_id, destinations) = route
            .map(|route| (route.pipeline_id, route.execution_id, route.destinations))
            .unwrap_or_default();
        Line {
            user_id: user_id.to_string(),
            golden_id: owed.golden_id.clone(),
            start: owed.start,
            sport: owed.sport.clone(),
            title: owed.title.clone(),
            standing: owed.standing,
            record,
            pipeline_id,
            execution_id,
            destinations,
            attempts_before: unsettled.map_or(0, |unsettled| unsettled.attempts),
            is_ready: matches!(planned, Planned::Ready(_)),
            held,
        }
    }
}
