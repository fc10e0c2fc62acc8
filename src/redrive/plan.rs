//! What would be sent, in which order, and what is held back and why: decided without sending anything.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::RecordBatch;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;
use uuid::Uuid;

use super::Options;
use super::message;
use super::message::originals::{self, Original};
use super::message::samples::{Place, Places};
use super::reconcile::{self, Standing, Teller, Workout};
use crate::error::Result;
use crate::fitglue::runs::Runs;
use crate::fitglue::source_name;
use crate::fitglue::uploads;
use crate::fitglue::users::{Pipeline, User, Users};
use crate::sources::Source;
use crate::store::dataset;
use crate::store::dataset::cells::Rows;
use crate::store::lake::{Bucket, Lake};
use crate::store::state::deliveries::{End, Ledger, Sent, State};

/// Why a workout that is owed is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    pub reason: Reason,
    /// In a sentence.
    pub why: String,
}

/// The kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing is known of the user, or of the tier.
    UnknownUser,
    /// No pipeline, none that is known and enabled, or more than one that would take it.
    NoPipeline,
    /// A destination of the pipeline is a source, too.
    WritesBack,
    /// It could be the same as one that the pipeline has: a person has to say.
    ForReview,
    /// The enricher drops what took no time.
    NoDuration,
    /// No message can say when it began.
    NoTime,
    /// Longer than what passes through the pipeline.
    TooLarge,
    /// What the source said of it is gone from the landing.
    OriginalGone,
    /// The sink takes Strava's activities only.
    NotStrava,
    /// One before it may have arrived or not, and is left out now.
    UnsettledBefore,
    /// It was delivered before, and its run has come to nothing since.
    DeliveredBefore,
    /// The sink has refused it before.
    RejectedBefore,
    /// The tier's syncs of this month are used up.
    TierBudget,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::UnknownUser => "unknown_user",
            Reason::NoPipeline => "no_pipeline",
            Reason::WritesBack => "writes_back",
            Reason::ForReview => "for_review",
            Reason::NoDuration => "no_duration",
            Reason::NoTime => "no_time",
            Reason::TooLarge => "too_large",
            Reason::OriginalGone => "original_gone",
            Reason::NotStrava => "not_strava",
            Reason::UnsettledBefore => "unsettled_before",
            Reason::DeliveredBefore => "delivered_before",
            Reason::RejectedBefore => "rejected_before",
            Reason::TierBudget => "tier_budget",
        }
    }
}

impl Held {
    pub fn new(reason: Reason, why: impl Into<String>) -> Held {
        Held { reason, why: why.into() }
    }
}

/// What is to be done with a workout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Send,
    /// It was delivered, and the pipeline's export is only older than that.
    Done,
    Held(Held),
}

/// A workout that the pipeline should have, and has not.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub golden_id: String,
    pub start: Timestamp,
    pub sport: Option<String>,
    pub title: Option<String>,
    pub standing: Standing,
    pub decision: Decision,
    pub execution_id: String,
    pub pipeline_id: String,
    pub destinations: Vec<String>,
    /// Attempts before this one that nobody knows the end of.
    pub unsettled: u32,
    /// When the last of those was, unix seconds.
    pub unsettled_s: i64,
    /// Who is sent, and whoever else tells of it.
    pub teller: Option<Teller>,
    pub others: Vec<Teller>,
    pub samples: Option<Place>,
    pub original: Option<Original>,
}

/// One user's, oldest first.
#[derive(Debug)]
pub struct UserPlan {
    pub user_id: String,
    pub entries: Vec<Entry>,
    /// What the rows of tellers stand in.
    pub batches: Vec<RecordBatch>,
    /// Samples of others, for merging.
    pub places: Places,
    /// None where the tier has no limit.
    pub syncs_left: Option<u64>,
    /// Messages since then are counted in that.
    pub counted_since_s: i64,
    /// When the oldest began of those that may have arrived, are owed, and are not among the entries.
    pub unsettled_elsewhere: Option<Timestamp>,
}

/// The same id for the same activity, source and pipeline, so that a repeat overwrites its run: a name-based UUID
/// (version 5), and the pipeline's own id behind it, as the pipeline does with the runs of a split activity.
pub fn execution_id(source: Source, source_id: &str, pipeline_id: &str) -> String {
    let name = format!("longrun/redrive/{}/{source_id}/{pipeline_id}", message::source(source));
    format!("{}-{pipeline_id}", Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
}

/// The pipeline that a user's workout goes to, and who tells it: the first teller that exactly one enabled
/// pipeline takes, or the one pipeline that was named.
pub fn route<'a>(
    workout: &'a Workout,
    user: &User,
    wanted: Option<&str>,
    allow_write_back: bool,
) -> std::result::Result<(&'a Teller, Pipeline), Held> {
    let tellers = || workout.tellers.iter().filter(|t| t.is_same && !t.is_echo);
    if tellers().next().is_none() {
        return Err(Held::new(Reason::NoPipeline, "nobody tells of the whole of it but the pipeline itself"));
    }
    let takes = |pipeline: &Pipeline, teller: &Teller| pipeline.source == source_name(teller.source);
    let none = |why: String| Held::new(Reason::NoPipeline, why);
    let sources = || tellers().map(|t| source_name(t.source)).collect::<Vec<_>>().join(", ");
    let found = if let Some(id) = wanted {
        let pipeline = user.pipelines.iter().find(|p| p.id == id);
        let pipeline = pipeline.ok_or_else(|| none(format!("the user has no pipeline {id:?}")))?;
        if pipeline.is_disabled {
            return Err(none(format!("pipeline {id:?} is disabled, and what is sent to it would vanish")));
        }
        let teller = tellers().find(|teller| takes(pipeline, teller));
        let nobody =
            || none(format!("pipeline {id:?} takes {}, and this was told by {}", pipeline.source, sources()));
        (teller.ok_or_else(nobody)?, pipeline.clone())
    } else {
        let mut found = None;
        for teller in tellers() {
            let mut taking = user.pipelines.iter().filter(|p| !p.is_disabled && takes(p, teller));
            match (taking.next(), taking.next()) {
                (Some(_), Some(_)) => {
                    let source = source_name(teller.source);
                    return Err(none(format!(
                        "more than one pipeline takes {source}; name one with --pipeline"
                    )));
                }
                (Some(pipeline), None) => {
                    found = Some((teller, pipeline.clone()));
                    break;
                }
                _ => {}
            }
        }
        found.ok_or_else(|| none(format!("no enabled pipeline takes {}", sources())))?
    };
    check_write_back(&found.1, allow_write_back)?;
    Ok(found)
}

fn check_write_back(pipeline: &Pipeline, is_allowed: bool) -> std::result::Result<(), Held> {
    match pipeline.writes_back_to().filter(|_| !is_allowed) {
        Some(destination) => Err(Held::new(
            Reason::WritesBack,
            format!(
                "pipeline {:?} writes to {destination}, which is a source, too; --allow-write-back sends it all the same",
                pipeline.id
            ),
        )),
        None => Ok(()),
    }
}

/// The same through a webhook of Strava's, which goes to all pipelines that take Strava at once.
pub fn route_live<'a>(
    workout: &'a Workout,
    user: &User,
    allow_write_back: bool,
) -> std::result::Result<(&'a Teller, Pipeline), Held> {
    let teller = workout.tellers.iter().find(|t| t.is_same && !t.is_echo && t.source == Source::Strava);
    let teller = teller.ok_or_else(|| {
        Held::new(Reason::NotStrava, "a webhook of Strava can tell of Strava's activities only")
    })?;
    let mut all = Pipeline { id: "live".to_string(), ..Pipeline::default() };
    let taking = user.pipelines.iter().filter(|p| !p.is_disabled && p.source == source_name(Source::Strava));
    let mut any = false;
    for pipeline in taking {
        check_write_back(pipeline, allow_write_back)?;
        all.destinations.extend(pipeline.destinations.iter().cloned());
        any = true;
    }
    if any {
        Ok((teller, all))
    } else {
        Err(Held::new(Reason::NoPipeline, "no enabled pipeline takes strava"))
    }
}

/// Since when messages count against what is left of a tier: since the export that tells of the user was written, or,
/// where that was in another month, since this one began.
pub fn counted_since_s(user: &User, now: Timestamp) -> i64 {
    user.written_s.max(month_start(now).as_second())
}

/// What a user's tier has left this month, beside what is left to the live pipeline. `sent` are the syncs of the
/// messages since [`counted_since_s`].
pub fn syncs_left(user: &User, sent: u64, leave: u64, now: Timestamp) -> Option<u64> {
    let of_tier = user.tier?.syncs_a_month()?;
    // An export of another month says nothing of this one.
    let told = if user.told_s >= month_start(now).as_second() { user.syncs_used } else { 0 };
    Some(of_tier.saturating_sub(told + sent + leave))
}

/// The first second of the calendar month, in UTC.
pub fn month_start(now: Timestamp) -> Timestamp {
    let date = now.to_zoned(TimeZone::UTC).date().first_of_month();
    DateTime::from(date).to_zoned(TimeZone::UTC).map_or(now, |start| start.timestamp())
}

/// What was sent of a workout before.
struct Before<'a> {
    execution_id: String,
    sent: Sent,
    teller: &'a Teller,
    pipeline: Pipeline,
}

/// The message of a workout that came furthest, whichever record told of it to whichever pipeline.
fn sent_before<'a>(workout: &'a Workout, user: &User, sent: &HashMap<String, Sent>) -> Option<Before<'a>> {
    if sent.is_empty() {
        return None;
    }
    let live = Pipeline { id: "live".to_string(), ..Pipeline::default() };
    let ways = workout.tellers.iter().flat_map(|teller| {
        user.pipelines
            .iter()
            .chain([&live])
            .map(move |pipeline| (teller, pipeline.clone()))
            .collect::<Vec<_>>()
    });
    let known = ways.filter_map(|(teller, pipeline)| {
        let execution_id = execution_id(teller.source, &teller.source_id, &pipeline.id);
        let sent = sent.get(&execution_id)?.clone();
        Some(Before { execution_id, sent, teller, pipeline })
    });
    known.min_by_key(|before| match before.sent.state {
        State::Delivered => 0,
        State::Unsettled { .. } => 1,
        State::Rejected(_) => 2,
    })
}

/// Everything that planning reads once.
pub struct Planner<'a> {
    pub lake: &'a Lake,
    pub options: &'a Options,
    pub users: Users,
    pub uploads: uploads::Ledger,
    pub ledger: &'a Ledger,
    pub now: Timestamp,
    /// Whether the ledger learns what the pipeline's export says of messages that may have arrived.
    pub settles: bool,
}

impl<'a> Planner<'a> {
    pub fn new(
        lake: &'a Lake,
        options: &'a Options,
        ledger: &'a Ledger,
        settles: bool,
    ) -> Result<Planner<'a>> {
        let (users, uploads) = (Users::read(lake)?, uploads::Ledger::read(lake)?);
        Ok(Planner { lake, options, users, uploads, ledger, now: Timestamp::now(), settles })
    }

    /// The plans, a bucket at a time.
    pub fn plans(&self) -> impl Iterator<Item = Result<UserPlan>> {
        self.lake.buckets_of(&self.options.users).into_iter().flat_map(|bucket| match self.bucket(bucket) {
            Ok(plans) => plans.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(e) => vec![Err(e)],
        })
    }

    /// The plans of a bucket's users who are owed something.
    fn bucket(&self, bucket: Bucket) -> Result<Vec<UserPlan>> {
        let told = reconcile::read(self.lake, bucket, &self.uploads, &self.options.users)?;
        let mut places = Places::default();
        Source::ALL.into_iter().try_for_each(|source| places.add(self.lake, source, bucket))?;
        let reviews = self.reviews(bucket)?;
        let mut plans = Vec::new();
        for (user_id, workouts) in &told.workouts {
            let mut plan = self.user(user_id, workouts, &reviews)?;
            if plan.entries.is_empty() {
                continue;
            }
            plan.batches.clone_from(&told.batches);
            for entry in &mut plan.entries {
                let Some(teller) = &entry.teller else { continue };
                let of = |t: &Teller| places.of(t.source, user_id, &t.source_id).cloned();
                entry.samples = of(teller);
                for other in &entry.others {
                    plan.places.extend(other.source, user_id, &other.source_id, of(other));
                }
            }
            plans.push(plan);
        }
        self.add_originals(bucket, &mut plans)?;
        plans.iter_mut().try_for_each(|plan| self.check(plan))?;
        Ok(plans)
    }

    /// Names of records that somebody should look at beside another: user and names.
    fn reviews(&self, bucket: Bucket) -> Result<HashMap<(String, String), Vec<String>>> {
        const COLUMNS: [&str; 6] =
            ["user_id", "source_a", "source_id_a", "source_b", "source_id_b", "decision"];
        let mut reviews: HashMap<(String, String), Vec<String>> = HashMap::new();
        let path = self.lake.matches(bucket);
        dataset::check_schema(self.lake, &path, "dedupe")?;
        for batch in dataset::read(self.lake, &path, Some(&COLUMNS))? {
            let rows = Rows(&batch);
            for row in (0..batch.num_rows()).filter(|row| rows.words("decision").value(*row) == "review") {
                let user = rows.text("user_id", row);
                let a = format!("{}:{}", rows.text("source_a", row), rows.text("source_id_a", row));
                let b = format!("{}:{}", rows.text("source_b", row), rows.text("source_id_b", row));
                reviews.entry((user.clone(), a.clone())).or_default().push(b.clone());
                reviews.entry((user, b)).or_default().push(a);
            }
        }
        Ok(reviews)
    }

    fn user(
        &self,
        user_id: &str,
        workouts: &[Workout],
        reviews: &HashMap<(String, String), Vec<String>>,
    ) -> Result<UserPlan> {
        let runs = Runs::read(self.lake, user_id)?;
        let mut sent = self.ledger.of_user(user_id)?;
        self.settle(user_id, &runs, &mut sent)?;
        let user = self.users.get(user_id);
        // The pipeline has them, or will have them when their turn comes.
        let mut taken: HashSet<String> = HashSet::new();
        let mut standings = Vec::with_capacity(workouts.len());
        for workout in workouts {
            let standing = reconcile::standing(workout, &runs, self.now.as_second());
            if matches!(standing, Standing::There | Standing::Duplicate) {
                taken.extend(workout.tellers.iter().map(Teller::name));
            }
            standings.push(standing);
        }
        let mut entries = Vec::new();
        let mut unsettled_elsewhere = None;
        for (workout, standing) in workouts.iter().zip(standings) {
            let before = user.and_then(|user| sent_before(workout, user, &sent));
            if !self.options.wants(workout, standing) {
                let is_unsettled =
                    before.as_ref().is_some_and(|b| matches!(b.sent.state, State::Unsettled { .. }));
                if standing.is_owed() && is_unsettled {
                    unsettled_elsewhere = unsettled_elsewhere.or(Some(workout.start));
                }
                continue;
            }
            let looked_at = workout.tellers.iter().find_map(|teller| {
                let beside = reviews.get(&(user_id.to_string(), teller.name()))?;
                beside.iter().find(|name| taken.contains(*name)).map(|name| (teller.name(), name.clone()))
            });
            let entry = self.entry(workout, standing, user, &runs, before, looked_at);
            if !matches!(entry.decision, Decision::Held(_)) {
                taken.extend(workout.tellers.iter().map(Teller::name));
            }
            entries.push(entry);
        }
        let counted_since_s = user.map_or(0, |user| counted_since_s(user, self.now));
        let syncs_left = match user {
            Some(user) => {
                let since = self.ledger.syncs_since(user_id, counted_since_s)?;
                syncs_left(user, since, self.options.leave_syncs, self.now)
            }
            None => Some(0),
        };
        Ok(UserPlan {
            user_id: user_id.to_string(),
            entries,
            batches: Vec::new(),
            places: Places::default(),
            syncs_left,
            counted_since_s,
            unsettled_elsewhere,
        })
    }

    /// Messages that may have arrived have, where the pipeline tells of their runs.
    fn settle(&self, user_id: &str, runs: &Runs, sent: &mut HashMap<String, Sent>) -> Result<()> {
        let mut ends = Vec::new();
        for (execution_id, message) in sent.iter_mut() {
            if matches!(message.state, State::Unsettled { .. }) && runs.with_id(execution_id).is_some() {
                message.state = State::Delivered;
                ends.push(End {
                    user_id: user_id.to_string(),
                    execution_id: execution_id.clone(),
                    state: "delivered",
                    reason: None,
                });
            }
        }
        if self.settles && !ends.is_empty() {
            self.ledger.settle(&ends, self.now)?;
        }
        Ok(())
    }

    fn entry(
        &self,
        workout: &Workout,
        standing: Standing,
        user: Option<&User>,
        runs: &Runs,
        before: Option<Before>,
        looked_at: Option<(String, String)>,
    ) -> Entry {
        let mut entry = Entry {
            golden_id: workout.golden_id.clone(),
            start: workout.start,
            sport: workout.sport.clone(),
            title: workout.title.clone(),
            standing,
            decision: Decision::Send,
            execution_id: String::new(),
            pipeline_id: String::new(),
            destinations: Vec::new(),
            unsettled: 0,
            unsettled_s: 0,
            teller: None,
            others: Vec::new(),
            samples: None,
            original: None,
        };
        let held = |entry: &mut Entry, held: Held| entry.decision = Decision::Held(held);
        let Some(user) = user.filter(|user| user.tier.is_some()) else {
            let why = "nothing is known of the user's tier and pipelines; `longrun pipeline import` an export of users";
            held(&mut entry, Held::new(Reason::UnknownUser, why));
            return entry;
        };
        // What has been delivered once is not delivered again, whoever would tell of it now.
        if let Some(Before { sent: Sent { state: State::Delivered, changed_s }, execution_id, .. }) = &before
        {
            let run = runs.with_id(execution_id);
            entry.execution_id.clone_from(execution_id);
            entry.decision = match run.filter(|run| run.updated_s.is_none_or(|at| at >= *changed_s)) {
                Some(run) => {
                    let why = format!(
                        "it was delivered before, and its run {} is {}",
                        run.run_id,
                        run.status.name()
                    );
                    Decision::Held(Held::new(Reason::DeliveredBefore, why))
                }
                None => Decision::Done,
            };
            return entry;
        }
        let options = self.options;
        let routed = match &before {
            // It goes on the way on which it may have arrived.
            Some(Before { sent: Sent { state: State::Unsettled { .. }, .. }, teller, pipeline, .. })
                if !options.is_webhook() && !pipeline.is_disabled && !teller.is_echo =>
            {
                check_write_back(pipeline, options.allow_write_back).map(|()| (*teller, pipeline.clone()))
            }
            _ if options.is_webhook() => route_live(workout, user, options.allow_write_back),
            _ => route(workout, user, options.pipeline.as_deref(), options.allow_write_back),
        };
        let (teller, pipeline) = match routed {
            Ok(routed) => routed,
            Err(why) => {
                held(&mut entry, why);
                return entry;
            }
        };
        entry.execution_id = execution_id(teller.source, &teller.source_id, &pipeline.id);
        entry.pipeline_id = pipeline.id;
        entry.destinations = pipeline.destinations;
        entry.others = workout.tellers.iter().filter(|t| t.is_same && *t != teller).cloned().collect();
        entry.teller = Some(teller.clone());
        if let Some(before) = before.filter(|before| before.execution_id == entry.execution_id) {
            match before.sent.state {
                State::Rejected(why) if !options.retry_rejected => {
                    let why = format!(
                        "{} has refused it: {why}; --retry-rejected sends it once more",
                        options.sink
                    );
                    held(&mut entry, Held::new(Reason::RejectedBefore, why));
                    return entry;
                }
                State::Unsettled { attempts } => {
                    (entry.unsettled, entry.unsettled_s) = (attempts, before.sent.changed_s);
                }
                _ => {}
            }
        }
        if let Some((one, other)) = looked_at {
            let why = format!(
                "{one} could be the same as {other}, which the pipeline has or gets; `longrun dedupe decide` which it is"
            );
            held(&mut entry, Held::new(Reason::ForReview, why));
        } else if teller.elapsed_s.is_none_or(|elapsed_s| elapsed_s <= 0.0) {
            let why = "it took no time, and the enricher drops what takes none";
            held(&mut entry, Held::new(Reason::NoDuration, why));
        }
        entry
    }

    /// Finds what Strava said of its activities.
    fn add_originals(&self, bucket: Bucket, plans: &mut [UserPlan]) -> Result<()> {
        let mut wanted = HashSet::new();
        for plan in plans.iter() {
            for teller in
                plan.entries.iter().filter(|e| e.decision == Decision::Send).filter_map(|e| e.teller.as_ref())
            {
                let rows = Rows(&plan.batches[teller.row.0]);
                if teller.source == Source::Strava && rows.time("detail_at", teller.row.1).is_some() {
                    wanted.insert((plan.user_id.clone(), teller.source_id.clone()));
                }
            }
        }
        let details = originals::details(self.lake, bucket, &wanted)?;
        for plan in plans {
            for entry in &mut plan.entries {
                let Some(teller) = entry.teller.as_ref().filter(|t| t.source == Source::Strava) else {
                    continue;
                };
                let rows = Rows(&plan.batches[teller.row.0]);
                let detail = details.get(&(plan.user_id.clone(), teller.source_id.clone()));
                entry.original = match detail {
                    Some(detail) => Some(detail.clone()),
                    None => originals::of_reference(&rows.text("raw_ref", teller.row.1)),
                };
            }
        }
        Ok(())
    }

    /// Holds back what cannot pass: what is too long, what is gone, and what the tier has no syncs for.
    fn check(&self, plan: &mut UserPlan) -> Result<()> {
        let mut left = plan.syncs_left;
        let mut builder = message::Builder::new(self.lake, self.options);
        // What may have arrived and does not go now keeps back whatever began later.
        let mut unsettled_since = plan.unsettled_elsewhere.filter(|_| !self.options.unordered);
        for at in 0..plan.entries.len() {
            let (start, unsettled) = (plan.entries[at].start, plan.entries[at].unsettled);
            if plan.entries[at].decision == Decision::Send {
                if let Some(since) = unsettled_since.filter(|since| *since < start) {
                    let why = format!(
                        "a message of what began at {since} may have arrived, and does not go now; what comes later waits for it"
                    );
                    plan.entries[at].decision = Decision::Held(Held::new(Reason::UnsettledBefore, why));
                } else if let Some(held) = builder.check(plan, at)? {
                    plan.entries[at].decision = Decision::Held(held);
                }
            }
            if plan.entries[at].decision != Decision::Send {
                let is_held = matches!(plan.entries[at].decision, Decision::Held(_));
                if is_held && unsettled > 0 && !self.options.unordered {
                    unsettled_since = Some(unsettled_since.map_or(start, |since| since.min(start)));
                }
                continue;
            }
            let entry = &mut plan.entries[at];
            let cost = entry.destinations.len() as u64;
            // One that was begun may have been counted.
            let is_counted = entry.unsettled > 0 && entry.unsettled_s >= plan.counted_since_s;
            let cost = if is_counted { 0 } else { cost };
            match &mut left {
                Some(left) if *left < cost => {
                    // Whatever comes later must not come before it.
                    *left = 0;
                    let why = format!(
                        "syncs it needs: {cost}; the hobbyist's tier has fewer left this month (--leave-syncs {} are for \
                         the live pipeline)",
                        self.options.leave_syncs
                    );
                    entry.decision = Decision::Held(Held::new(Reason::TierBudget, why));
                }
                Some(left) => *left -= cost,
                None => {}
            }
        }
        Ok(())
    }
}

/// Which workouts a dry run lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// What is held back, too.
    Everything,
    FirstToSend(usize),
}

/// What a dry run says, and what a run would have done.
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
    pub held: BTreeMap<&'static str, HeldFigures>,
    /// Syncs that it costs, by destination.
    pub syncs: BTreeMap<String, u64>,
    /// At the pace that was asked for.
    pub takes_s: f64,
    pub users: Vec<UserFigures>,
    /// In the order of sending, user by user.
    pub entries: Vec<Line>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HeldFigures {
    pub count: u64,
    /// One of them, and why.
    pub example: String,
    pub why: String,
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

/// Counts one that is held back.
pub fn hold(all: &mut BTreeMap<&'static str, HeldFigures>, user_id: &str, entry: &Entry, held: &Held) {
    let figures = all.entry(held.reason.name()).or_default();
    figures.count += 1;
    if figures.count == 1 {
        figures.example = format!("{} of {user_id}", entry.golden_id);
        figures.why.clone_from(&held.why);
    }
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
    pub held: Option<Held>,
}

impl Summary {
    /// Adds a user's plan. `room` is what `--limit` still allows.
    pub fn add(&mut self, plan: &UserPlan, room: &mut u64, list: List) {
        let mut figures = UserFigures {
            user_id: plan.user_id.clone(),
            send: 0,
            held: 0,
            first: None,
            last: None,
            syncs: 0,
            syncs_left: plan.syncs_left,
        };
        for entry in &plan.entries {
            self.owed += 1;
            match &entry.decision {
                Decision::Send if *room == 0 => {
                    self.beyond_limit += 1;
                    continue;
                }
                Decision::Send => {
                    *room -= 1;
                    self.send += 1;
                    self.send_again += u64::from(entry.unsettled > 0);
                    figures.send += 1;
                    figures.syncs += entry.destinations.len() as u64;
                    figures.first = figures.first.or(Some(entry.start));
                    figures.last = Some(entry.start);
                    for destination in &entry.destinations {
                        *self.syncs.entry(destination.clone()).or_default() += 1;
                    }
                }
                Decision::Done => self.delivered_before += 1,
                Decision::Held(held) => {
                    figures.held += 1;
                    hold(&mut self.held, &plan.user_id, entry, held);
                }
            }
            let is_listed = match list {
                List::Everything => true,
                List::FirstToSend(most) => entry.decision == Decision::Send && self.entries.len() < most,
            };
            if is_listed {
                self.entries.push(Line::of(&plan.user_id, entry));
            }
        }
        self.users.push(figures);
    }

    /// Sets how long it takes: as long as the whole, or as the longest user, at their paces.
    pub fn set_pace(&mut self, options: &Options) {
        let longest = self.users.iter().map(|user| user.send).max().unwrap_or(0);
        let all_s = if options.is_webhook() {
            self.send as f64 * options.webhook_period.as_secs_f64()
        } else {
            self.send as f64 / f64::from(options.per_second.get())
        };
        let user_s = if options.unordered { 0.0 } else { longest as f64 * options.per_user.as_secs_f64() };
        self.takes_s = all_s.max(user_s);
    }
}

impl Line {
    fn of(user_id: &str, entry: &Entry) -> Line {
        Line {
            user_id: user_id.to_string(),
            golden_id: entry.golden_id.clone(),
            start: entry.start,
            sport: entry.sport.clone(),
            title: entry.title.clone(),
            standing: entry.standing,
            record: entry.teller.as_ref().map(Teller::name),
            pipeline_id: entry.pipeline_id.clone(),
            execution_id: entry.execution_id.clone(),
            destinations: entry.destinations.clone(),
            attempts_before: entry.unsettled,
            held: match &entry.decision {
                Decision::Held(held) => Some(held.clone()),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitglue::users::Tier;

    fn user(tier: Tier, syncs_used: u64, told_s: i64, pipelines: Vec<Pipeline>) -> User {
        User { tier: Some(tier), syncs_used, told_s, written_s: told_s, pipelines }
    }

    fn pipeline(id: &str, source: &str, destinations: &[&str]) -> Pipeline {
        Pipeline {
            id: id.to_string(),
            source: source.to_string(),
            destinations: destinations.iter().map(|d| (*d).to_string()).collect(),
            is_disabled: false,
        }
    }

    fn workout(tellers: &[(Source, bool)]) -> Workout {
        let teller = |(source, is_echo): &(Source, bool)| Teller {
            source: *source,
            source_id: "7".to_string(),
            is_same: true,
            start_s: 0,
            elapsed_s: Some(1.0),
            is_echo: *is_echo,
            row: (0, 0),
        };
        Workout {
            golden_id: "g".to_string(),
            start: Timestamp::UNIX_EPOCH,
            sport: None,
            title: None,
            tellers: tellers.iter().map(teller).collect(),
        }
    }

    #[test]
    fn an_execution_id_is_the_same_for_ever() {
        // Pinned: another one would make a second run of everything that was ever sent.
        assert_eq!(execution_id(Source::Strava, "123", "p1"), "797b8c7e-3aa7-5af5-844f-b32fca494b35-p1");
        assert_ne!(execution_id(Source::Hevy, "123", "p1"), execution_id(Source::Strava, "123", "p1"));
    }

    #[test]
    fn a_workout_goes_to_the_one_pipeline_that_takes_it() {
        let both = workout(&[(Source::Strava, false), (Source::Hevy, false)]);
        let show = || pipeline("p1", "strava", &["showcase"]);
        let of = |pipelines: Vec<Pipeline>, wanted: Option<&str>, allow: bool| {
            let user = user(Tier::Athlete, 0, 0, pipelines);
            route(&both, &user, wanted, allow)
                .map(|(teller, pipeline)| format!("{} {}", teller.source, pipeline.id))
                .map_err(|held| held.reason)
        };
        assert_eq!(of(vec![show()], None, false), Ok("strava p1".to_string()));
        assert_eq!(of(vec![pipeline("h", "hevy", &[])], None, false), Ok("hevy h".to_string()));
        assert_eq!(of(vec![show(), pipeline("p2", "strava", &[])], None, false), Err(Reason::NoPipeline));
        assert_eq!(
            of(vec![show(), pipeline("p2", "strava", &[])], Some("p2"), false),
            Ok("strava p2".to_string())
        );
        assert_eq!(of(vec![show()], Some("p9"), false), Err(Reason::NoPipeline));
        assert_eq!(of(vec![pipeline("f", "fitbit", &[])], None, false), Err(Reason::NoPipeline));
        assert_eq!(
            of(vec![Pipeline { is_disabled: true, ..show() }], Some("p1"), false),
            Err(Reason::NoPipeline)
        );
        assert_eq!(
            of(vec![pipeline("w", "strava", &["showcase", "hevy"])], None, false),
            Err(Reason::WritesBack)
        );
        assert_eq!(of(vec![pipeline("w", "strava", &["hevy"])], None, true), Ok("strava w".to_string()));
        let three = user(
            Tier::Athlete,
            0,
            0,
            vec![show(), pipeline("p2", "strava", &["github"]), pipeline("h", "hevy", &["x"])],
        );
        let (_, live) = route_live(&both, &three, false).unwrap();
        assert_eq!(live.destinations, ["showcase", "github"], "a webhook goes to all of them");
        let echo = workout(&[(Source::Strava, true)]);
        let user = user(Tier::Athlete, 0, 0, vec![show()]);
        assert!(route(&echo, &user, None, false).is_err(), "an echo is never sent");
    }

    #[test]
    fn a_tier_has_what_nobody_has_used_this_month() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let told_s = "2026-11-20T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
        let last_month_s = "2026-10-20T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
        let left = |user: &User, sent: u64| syncs_left(user, sent, 5, now);
        assert_eq!(left(&user(Tier::Athlete, 90, told_s, vec![]), 3), None);
        assert_eq!(left(&user(Tier::Hobbyist, 4, told_s, vec![]), 3), Some(13));
        assert_eq!(left(&user(Tier::Hobbyist, 24, told_s, vec![]), 3), Some(0));
        let of_last_month = user(Tier::Hobbyist, 24, last_month_s, vec![]);
        assert_eq!(left(&of_last_month, 9), Some(11));
        assert_eq!(counted_since_s(&of_last_month, now), month_start(now).as_second());
        assert_eq!(month_start(now).to_string(), "2026-11-01T00:00:00Z");
    }
}
