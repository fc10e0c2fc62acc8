//! What would be sent, in which order, and what is held and why: decided without sending anything.
//!
//! A bucket at a time, through the `stages`: what its users are owed is [routed](super::route), weighed, and let
//! through as far as each user's `tier` allows.

mod before;
pub mod held;
mod reviews;
mod stages;
pub mod summary;
mod tier;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use jiff::Timestamp;

pub use held::{AllHeld, Held, HeldFigures, Reason, count};
pub use stages::{End, Owed, Planned, Ready, Routed, Settled, Unsettled, UserPlan, Weighed};
pub use summary::{Line, List, Summary, UserFigures};

use super::Options;
use super::message::{Builder, Draft, MAX_ENCODED_BYTES, Unsendable, content, originals};
use super::plan_file::Only;
use super::reconcile::{self, Standing};
use super::route::{Route, boosters_of, route, route_again};
use super::sinks::{self, Capabilities, Carries};
use super::workouts::{Member, Workout, Workouts};
use crate::error::Result;
use crate::fitglue::runs::Runs;
use crate::fitglue::uploads::Uploads;
use crate::fitglue::users::Users;
use crate::sources::Source;
use crate::store::dataset::Places;
use crate::store::each::each_in_order;
use crate::store::lake::{Bucket, Lake};
use crate::store::state::deliveries::{self, Deliveries, Delivery, Ended, Progress};
use crate::store::state::exports::Exports;
use before::{Before, Sent};
use reviews::Reviews;
use tier::Allowance;

/// What planning a bucket came to.
pub type OfBucket = Result<Vec<UserPlan>>;

/// Everything that planning reads once.
struct Known {
    users: Users,
    uploads: Uploads,
    now: Timestamp,
}

/// Plans one bucket after the other, as one of several that do.
struct Planner<'a> {
    lake: &'a Lake,
    options: &'a Options,
    known: &'a Known,
    exports: Exports,
    deliveries: Deliveries,
    /// Whether the deliveries learn what the pipeline's export says of messages that may have arrived.
    settles: bool,
}

/// A user's workouts on their way through the stages.
struct OnTheWay<T> {
    user_id: String,
    items: Vec<Result<T, Box<Settled>>>,
    unsettled_elsewhere: Option<Timestamp>,
}

/// Hands over the plans, a bucket at a time and in the order of sending, until `take` wants no more; `--limit` counts
/// through them in that order. Buckets are planned on all cores, a few ahead of who takes them. How many messages of
/// `options.only` are in the plans.
pub fn plans(
    lake: &Lake,
    options: &Options,
    settles: bool,
    mut take: impl FnMut(OfBucket) -> bool,
) -> Result<u64> {
    let exports = Exports::open(lake)?;
    let known = Known { users: Users::read(&exports)?, uploads: Uploads::read(lake)?, now: Timestamp::now() };
    let (mut room, mut kept) = (options.limit.unwrap_or(u64::MAX), 0);
    let planner = || {
        let deliveries = Deliveries::for_planning(lake, &options.sink.key())?;
        Ok(Planner { lake, options, known: &known, exports: Exports::open(lake)?, deliveries, settles })
    };
    each_in_order(&lake.buckets_of(&options.users), planner, Planner::bucket, |of_bucket| {
        take(of_bucket.map(|mut plans| {
            for plan in &mut plans {
                kept += options.only.as_ref().map_or(0, |only| plan.keep(only));
                plan.limit(&mut room);
            }
            plans
        }))
    });
    Ok(kept)
}

impl Planner<'_> {
    fn capabilities(&self) -> &Capabilities {
        self.options.sink.capabilities()
    }

    /// The plans of a bucket's users who are owed something.
    fn bucket(&self, bucket: Bucket) -> OfBucket {
        let Workouts { batches, by_user } =
            Workouts::read(self.lake, bucket, &self.known.uploads, &self.options.users)?;
        let reviews = Reviews::read(self.lake, bucket)?;
        let mut routed = Vec::new();
        for (user_id, workouts) in &by_user {
            let of_user = self.route_user(user_id, workouts, &reviews)?;
            if !of_user.items.is_empty() {
                routed.push(of_user);
            }
        }
        if routed.is_empty() {
            return Ok(Vec::new());
        }
        let weighed = self.weigh(bucket, &batches, routed)?;
        weighed.into_iter().map(|of_user| self.allow(of_user, &batches)).collect()
    }

    /// Owed to routed: which of a user's workouts are asked for, and which way each goes.
    fn route_user(&self, user_id: &str, workouts: &[Workout], reviews: &Reviews) -> Result<OnTheWay<Routed>> {
        let runs = Runs::read(&self.exports, user_id)?;
        let mut sent = self.deliveries.of_user(user_id)?;
        self.settle(user_id, &runs, &mut sent)?;
        let sent = Sent::of(&sent);
        let standings: Vec<Standing> =
            workouts.iter().map(|w| reconcile::standing(w, &runs, self.known.now.as_second())).collect();
        // Records that the pipeline has or made, or that nobody knows whether it has.
        let not_owed = workouts.iter().zip(&standings).filter(|(_, standing)| !standing.is_owed());
        let mut taken: HashSet<String> =
            not_owed.flat_map(|(workout, _)| workout.members.iter().map(Member::name)).collect();
        let mut of_user =
            OnTheWay { user_id: user_id.to_string(), items: Vec::new(), unsettled_elsewhere: None };
        for (workout, standing) in workouts.iter().zip(standings) {
            let goes_again = self.options.goes_again(workout);
            if !standing.is_owed() && !goes_again {
                continue;
            }
            let before = Before::of(user_id, workout, &sent);
            let (is_unsettled, is_delivered) = (before.unsettled(&runs).is_some(), before.is_delivered());
            if !goes_again && !self.options.wants(workout, standing) {
                // What is gone can never go again, and keeps nothing back.
                if is_unsettled && workout.members.iter().any(|member| !member.is_gone) {
                    of_user.unsettled_elsewhere = of_user.unsettled_elsewhere.or(Some(workout.start));
                }
                if is_delivered || is_unsettled {
                    taken.extend(workout.members.iter().map(Member::name));
                }
                continue;
            }
            let beside = reviews.beside(user_id, workout, &taken);
            let routed = self.route_workout(user_id, workout, standing, &runs, &before, beside);
            if routed.is_ok() || is_delivered || is_unsettled {
                taken.extend(workout.members.iter().map(Member::name));
            }
            of_user.items.push(routed);
        }
        Ok(of_user)
    }

    /// Messages that may have arrived have, where the pipeline has their runs.
    fn settle(&self, user_id: &str, runs: &Runs, sent: &mut [Delivery]) -> Result<()> {
        let mut ends = Vec::new();
        for delivery in sent.iter_mut() {
            let is_unsettled = matches!(delivery.progress, Progress::Unsettled { .. });
            let run = runs.with_id(&delivery.execution_id);
            // A run that came to nothing may be of an earlier attempt, and is owed again whoever made it.
            if is_unsettled && run.is_some_and(|run| !before::came_to_nothing(run)) {
                delivery.progress = Progress::Delivered;
                ends.push(deliveries::End {
                    user_id: user_id.to_string(),
                    execution_id: delivery.execution_id.clone(),
                    ended: Ended::Delivered,
                    reason: None,
                });
            }
        }
        if self.settles && !ends.is_empty() {
            self.deliveries.settle(&ends, self.known.now)?;
        }
        Ok(())
    }

    fn route_workout(
        &self,
        user_id: &str,
        workout: &Workout,
        standing: Standing,
        runs: &Runs,
        before: &Before,
        beside: Option<(String, String)>,
    ) -> Result<Routed, Box<Settled>> {
        let options = self.options;
        let owed = Owed {
            golden_id: workout.golden_id.clone(),
            start: workout.start,
            sport: workout.sport.clone(),
            title: workout.title.clone(),
            standing,
        };
        let Some(user) = self.known.users.get(user_id).filter(|user| user.tier.is_some()) else {
            let why = "nothing is known of the user's tier and pipelines; `longrun pipeline import` an export of users";
            return Err(owed.held(Held::new(Reason::UnknownUser, why)));
        };
        // What has been delivered once is not delivered again, whichever record and pipeline it would be today.
        if let Some((delivery, end)) = before.settling(runs).filter(|_| !options.goes_again(workout)) {
            return Err(before::settled(owed, delivery, end));
        }
        let unsettled = before.unsettled(runs);
        // It goes on the way on which it may have arrived, while that is open.
        let again = unsettled.and_then(|(delivery, member)| {
            let member = member.filter(|member| !member.is_echo && !member.is_gone)?;
            match self.capabilities().carries {
                Carries::Message => {
                    route_again(member, user, &delivery.execution_id, options.allow_write_back)
                }
                Carries::IdOf(_) => None,
            }
        });
        let wanted = options.pipeline.as_deref();
        let carries = self.capabilities().carries;
        let routed =
            again.unwrap_or_else(|| route(workout, user_id, user, carries, wanted, options.allow_write_back));
        let (member, mut way) = match routed {
            Ok(routed) => routed,
            Err(held) => {
                let mut settled = owed.held(held);
                settled.unsettled = unsettled.and_then(|(delivery, _)| before::unsettled_of(delivery));
                return Err(settled);
            }
        };
        let same_way = before.same_way(user_id, member, &way);
        if let Some(delivery) = same_way {
            way.execution_id.clone_from(&delivery.execution_id);
        }
        let others = workout.members.iter().filter(|m| m.is_same && *m != member).cloned().collect();
        let routed = Routed {
            owed,
            member: member.clone(),
            others,
            route: way,
            unsettled: same_way.and_then(before::unsettled_of),
        };
        if let Some(Delivery { progress: Progress::Rejected(why), .. }) = same_way
            && !options.retry_rejected
        {
            let why = format!("{} has refused it: {why}; --retry-rejected sends it once more", options.sink);
            return Err(routed.held(Held::new(Reason::RejectedBefore, why)));
        }
        if let Some((one, other)) = beside {
            let why = format!(
                "{one} could be the same as {other}, which the pipeline has, made or gets; `longrun dedupe decide` which it is"
            );
            return Err(routed.held(Held::new(Reason::ForReview, why)));
        }
        if routed.member.elapsed_s.is_none_or(|elapsed_s| elapsed_s <= 0.0) {
            let why = "it took no time, and the enricher drops what takes none";
            return Err(routed.held(Held::new(Reason::NoDuration, why)));
        }
        Ok(routed)
    }

    /// Routed to weighed: what each message is made of, and that the sink and the pipeline can take it.
    fn weigh(
        &self,
        bucket: Bucket,
        batches: &Arc<[RecordBatch]>,
        routed: Vec<OnTheWay<Routed>>,
    ) -> Result<Vec<OnTheWay<Weighed>>> {
        let places = Places::of(self.lake, bucket)?;
        let mut wanted = HashSet::new();
        for of_user in &routed {
            for Routed { member, .. } in of_user.items.iter().flatten() {
                let (rows, row) = member.rows(batches);
                if member.source == Source::Strava && rows.time("detail_at", row).is_some() {
                    wanted.insert((of_user.user_id.clone(), member.source_id.clone()));
                }
            }
        }
        let details = originals::details(self.lake, bucket, &wanted)?;
        let mut builder = Builder::new(self.lake, self.options.content, batches.clone());
        let needs_account = self.capabilities().needs_account;
        let is_whole = self.capabilities().carries == Carries::Message;
        let mut weigh = |user_id: &str, routed: Routed| -> Result<Result<Weighed, Box<Settled>>> {
            let (rows, at) = routed.member.rows(batches);
            if needs_account && rows.word("source_account_id", at).is_none() {
                let why = "no record says whose account it is from, and the sink needs that";
                return Ok(Err(routed.held(Held::new(Reason::NoAccount, why))));
            }
            let place = |m: &Member| places.get(m.source.name(), user_id, &m.source_id).cloned();
            let detail = details.get(&(user_id.to_string(), routed.member.source_id.clone()));
            let original = (routed.member.source == Source::Strava)
                .then(|| detail.cloned().or_else(|| originals::of_reference(&rows.text("raw_ref", at))));
            let draft = Draft {
                user_id: user_id.to_string(),
                execution_id: routed.route.execution_id.clone(),
                pipeline_id: routed.route.pipeline_id.clone(),
                samples: place(&routed.member),
                original: original.flatten(),
                others: routed.others.iter().map(|other| (other.clone(), place(other))).collect(),
                member: routed.member.clone(),
                content: content(rows, at),
            };
            if let Some(why) = if is_whole { builder.check(&draft)? } else { None } {
                return Ok(Err(routed.held(unsendable(why, self.options.content.thin))));
            }
            let Routed { owed, route: Route { destinations, .. }, unsettled, .. } = routed;
            Ok(Ok(Weighed { owed, draft, destinations, unsettled }))
        };
        let mut all = Vec::with_capacity(routed.len());
        for OnTheWay { user_id, items, unsettled_elsewhere } in routed {
            let mut weighed = Vec::with_capacity(items.len());
            for item in items {
                weighed.push(match item {
                    Ok(routed) => weigh(&user_id, routed)?,
                    Err(settled) => Err(settled),
                });
            }
            all.push(OnTheWay { user_id, items: weighed, unsettled_elsewhere });
        }
        Ok(all)
    }

    /// Weighed to ready.
    fn allow(&self, of_user: OnTheWay<Weighed>, batches: &Arc<[RecordBatch]>) -> Result<UserPlan> {
        let OnTheWay { user_id, items, unsettled_elsewhere } = of_user;
        let user = self.known.users.get(&user_id);
        let counted_since_s = user.map_or(0, |user| tier::counted_since_s(user, self.known.now));
        let syncs_left = match user {
            Some(user) => {
                let own = self.options.sink.key();
                let is_counted = |sink: &str| {
                    sink == own || (self.capabilities().reaches_pipeline && sinks::reaches_pipeline(sink))
                };
                let by_sink = self.deliveries.syncs_since(&user_id, counted_since_s)?;
                let counted = by_sink.iter().filter(|(sink, _)| is_counted(sink));
                let sent = counted.fold(0_u64, |sum, (_, syncs)| sum.saturating_add(*syncs));
                tier::syncs_left(user, sent, self.options.leave_syncs, self.known.now)
            }
            None => Some(0),
        };
        let allowance = Allowance {
            syncs_left,
            counted_since_s,
            leave_syncs: self.options.leave_syncs,
            unsettled_elsewhere,
            unordered: self.options.unordered,
        };
        let planned = tier::allow(items, allowance);
        let tier = user.and_then(|user| user.tier);
        let mut boosters = BTreeMap::new();
        for planned in &planned {
            if let (Planned::Ready(ready), Some(user)) = (planned, user)
                && !boosters.contains_key(&ready.draft.pipeline_id)
            {
                let id = ready.draft.pipeline_id.clone();
                boosters.insert(id, boosters_of(user, &ready.draft.pipeline_id, ready.draft.member.source));
            }
        }
        Ok(UserPlan {
            user_id,
            planned,
            beyond_limit: 0,
            batches: batches.clone(),
            syncs_left,
            tier,
            boosters,
        })
    }
}

impl UserPlan {
    /// Messages that would be sent.
    pub fn ready(&self) -> u64 {
        self.planned.iter().filter(|planned| matches!(planned, Planned::Ready(_))).count() as u64
    }

    /// Takes out what is ready and not in a plan that was looked at. How many of that plan go, or went before.
    fn keep(&mut self, only: &Only) -> u64 {
        let mut kept = 0;
        self.planned.retain(|planned| {
            let (id, is_ready) = match planned {
                Planned::Ready(ready) => (Some(&ready.draft.execution_id), true),
                Planned::Settled(settled) => {
                    let went = settled.route.as_ref().filter(|_| settled.end == End::Delivered);
                    (went.map(|route| &route.execution_id), false)
                }
            };
            let is_named = id.is_some_and(|id| only.has(&self.user_id, id));
            kept += u64::from(is_named);
            is_named || !is_ready
        });
        kept
    }

    /// Takes out what is ready beyond the messages that there is room for.
    fn limit(&mut self, room: &mut u64) {
        let before = self.planned.len();
        self.planned.retain(|planned| match planned {
            Planned::Ready(_) if *room == 0 => false,
            Planned::Ready(_) => {
                *room -= 1;
                true
            }
            Planned::Settled(_) => true,
        });
        self.beyond_limit = (before - self.planned.len()) as u64;
    }
}

/// Why a message cannot be, as a reason to hold it.
pub fn unsendable(why: Unsendable, is_thinned: bool) -> Held {
    match why {
        Unsendable::NoTime => Held::new(Reason::NoTime, "it began in a year that no message can say"),
        Unsendable::OriginalGone(why) => Held::new(
            Reason::OriginalGone,
            format!("{why}; `longrun fetch` gets it again, --without-original sends the rest"),
        ),
        Unsendable::TooLarge { encoded_bytes } => {
            let way = if is_thinned { "" } else { "; --thin sends every second sample, or fewer" };
            Held::new(
                Reason::TooLarge,
                format!(
                    "it takes {encoded_bytes} bytes in base64, and {MAX_ENCODED_BYTES} pass through the pipeline{way}"
                ),
            )
        }
    }
}
