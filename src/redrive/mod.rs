//! Giving the live pipeline what it missed.
//!
//! ```text
//! golden ─┐
//! runs    ├─ reconcile ─▶ plan ─────────────▶ drive ─▶ sink: file, CloudEvents, webhook, Pub/Sub
//! uploads ┘  (where each   (owed → routed →    (order,
//!             stands)       weighed → ready     pace)  ◀──▶ deliveries: intent, then how it ended
//!                           or held)
//!                             └── message (bytes)
//! ```
//!
//! A plan is made without sending anything; a dry run and a run walk the same one. What is sent goes oldest first of
//! each user, at a pace; each message under an id that follows from the user, the record and the pipeline, so that
//! another attempt overwrites the same run. After a crash, the same command sends what is still owed: what may have
//! arrived goes again under its id, what was delivered never.
mod changed;
pub mod drive;
pub mod message;
mod options;
pub mod plan;
pub mod plan_file;
pub mod reconcile;
pub mod route;
pub mod sinks;
pub mod status;
pub mod workouts;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;

pub use options::{Options, Watch, WatchFrom};

use crate::dedupe::{self, Behind};
use crate::error::{Error, Result};
use crate::fitglue::users::Users;
use crate::numbers::count_of;
use crate::store::lake::Lake;
use crate::store::state::deliveries::{self, Deliveries};
use crate::store::state::exports::Exports;
use crate::{fitglue, http};
use drive::{Driven, Event};
use plan::{List, OfBucket, Summary};
use sinks::Settings;

/// Takes damaged files apart from what ends the work: a bucket that cannot be read is said and left out, and the
/// others go on. The inner error is for people.
fn damage_apart<T>(result: Result<T>) -> Result<Result<T, String>> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(damage @ Error::Damaged { .. }) => Ok(Err(damage.to_string())),
        Err(e) => Err(e),
    }
}

/// An error that says what has to be done first.
fn check(lake: &Lake, options: &Options) -> Result<()> {
    reconcile::check(lake, &options.users)?;
    match dedupe::behind(lake, &options.users)? {
        Behind { activities: 0, is_stale: false } => Ok(()),
        // Answers and changed records may make other workouts of what is sent.
        Behind { activities: 0, is_stale: true } => Err(Error::Usage(
            "records or answers have changed since the last `longrun dedupe`; run it first, so that nothing is sent that \
             somebody has decided otherwise"
                .to_string(),
        )),
        // What is sent now cannot come after what turns out to be older.
        Behind { activities, .. } => Err(Error::Usage(format!(
            "{} came after the last `longrun dedupe`; run it first, so that nothing is sent twice or before something older",
            count_of(activities, "activity", "activities")
        ))),
    }
}

/// Why nothing is sent by the pipeline's exports, if so.
fn why_not_to_send(lake: &Lake, options: &Options) -> Result<Option<String>> {
    if !options.sink.capabilities().remembers {
        return Ok(None);
    }
    let imports = Exports::open(lake)?.imports()?;
    let (now, max_age) = (Timestamp::now(), options.max_export_age);
    Ok(fitglue::why_not_to_send(&imports, now, max_age, options.accept_refusals))
}

/// What would be sent.
pub fn plan(lake: &Lake, options: &Options, list: List) -> Result<Summary> {
    check(lake, options)?;
    let mut summary = Summary { sink: options.sink.to_string(), ..Summary::default() };
    let mut ended = Ok(());
    plan::plans(lake, options, false, |of_bucket| {
        match damage_apart(of_bucket) {
            Ok(Ok(plans)) => plans.iter().for_each(|plan| summary.add(plan, list)),
            Ok(Err(damage)) => summary.damaged.push(damage),
            Err(e) => ended = Err(e),
        }
        ended.is_ok()
    })?;
    ended?;
    summary.set_pace(options);
    summary.why_not_to_send = why_not_to_send(lake, options)?;
    Ok(summary)
}

/// What would be sent now, to the pipeline's sink that was used last; where none was, to a file. The inner error says
/// why nothing would.
pub fn preview(lake: &Lake, users: &[String]) -> Result<Result<Summary, String>> {
    const UNTIL_ONE_IS_USED: &str = "file:messages.jsonl";
    let used = deliveries::sinks(lake)?.into_iter().rev();
    let mut used = used.filter(|key| sinks::reaches_pipeline(key)).filter_map(|key| key.parse().ok());
    let sink = used.next().map_or_else(|| UNTIL_ONE_IS_USED.parse(), Ok)?;
    let options = Options { users: users.to_vec(), ..Options::to(sink) };
    match plan(lake, &options, List::FirstToSend(0)) {
        Ok(summary) => Ok(Ok(summary)),
        Err(Error::Usage(why)) => Ok(Err(why)),
        Err(e) => Err(e),
    }
}

/// Buckets whose plans are ready before anybody needs them, beside those that the planners have.
const BUCKETS_AHEAD: usize = 1;

/// Sends what is owed. Says what was done even where it ends in an error.
pub fn run(
    lake: &Lake,
    options: &Options,
    settings: &Settings,
    watch: &mut dyn FnMut(Event),
) -> Result<(Driven, Result<()>)> {
    let _guard = lake.backend().lock("redrive", "the redrive")?;
    check(lake, options)?;
    if let Some(why) = why_not_to_send(lake, options)? {
        return Err(Error::Usage(why));
    }
    let key = options.sink.key();
    let (deliveries, users) = if options.sink.capabilities().remembers {
        (Deliveries::open(lake, &key)?, None)
    } else {
        (Deliveries::forgotten(&key)?, Some(Arc::new(Users::read(&Exports::open(lake)?)?)))
    };
    let settings = Settings { has_taken: deliveries.delivered()? > 0, users, ..settings.clone() };
    let dead_letters = lake.root().join(crate::store::purge::DEAD_LETTERS);
    // Planning reads the disk; those who wait for answers must not wait for that.
    let ((mut driven, of_plan), ended) = std::thread::scope(|scope| -> Result<_> {
        let (ready, queue) = mpsc::channel(BUCKETS_AHEAD);
        let planning = scope.spawn(move || {
            // Nobody listens any more where the run has stopped.
            let send = |of_bucket: OfBucket| {
                let is_empty = of_bucket.as_ref().is_ok_and(Vec::is_empty);
                is_empty || ready.blocking_send(of_bucket).is_ok()
            };
            plan::plans(lake, options, true, send)
        });
        let (driven, ended) = http::block_on(async {
            let sink: Arc<dyn sinks::Sink> = Arc::from(options.sink.open(&settings).await?);
            Ok(drive::run(lake, options, sink, &deliveries, dead_letters, queue, watch).await)
        })??;
        let planned = planning.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(match planned {
            Ok(of_plan) => ((driven, of_plan), ended),
            Err(e) => ((driven, 0), ended.and(Err(e))),
        })
    })?;
    if let (Some(only), Ok(())) = (&options.only, &ended) {
        driven.not_planned = only.len().saturating_sub(of_plan);
    }
    if ended.is_ok() {
        driven.unsettled_before = deliveries.unsettled()?.saturating_sub(driven.unknown);
    }
    Ok((driven, ended))
}
