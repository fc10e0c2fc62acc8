//! Giving the live pipeline what it missed.
//!
//! ```text
//! golden ─┐
//! runs    ├─ reconcile ─▶ plan ─▶ message ─▶ drive ─▶ sink: file, CloudEvents, webhook, Pub/Sub
//! uploads ┘  (where each   (who,   (bytes)   (order,
//!             stands)       why not)          pace)  ◀──▶ ledger: intent, then how it ended
//! ```
//!
//! A plan is made without sending anything. What is sent goes oldest first, never two of one user at a time, at a
//! pace; each message under an id that follows from the activity and its pipeline, so that another attempt
//! overwrites the same run. After a crash, the same command sends what is still owed: what may have arrived goes
//! again under its id, what was delivered never.
pub mod drive;
pub mod message;
pub mod plan;
pub mod reconcile;
pub mod sinks;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::store::lake::Lake;
use crate::store::state::deliveries::Ledger;
use crate::{dedupe, http};
use drive::{Driven, Event};
use plan::{List, Planner, Summary};
use reconcile::{Standing, Workout};
use sinks::Settings;

/// What is to be sent, and how.
#[derive(Debug, Clone)]
pub struct Options {
    pub sink: sinks::Address,
    /// Only these; everybody where there are none.
    pub users: Vec<String>,
    /// Workouts that began at this time or later.
    pub since: Option<Timestamp>,
    /// Workouts that began before this time.
    pub until: Option<Timestamp>,
    /// Canonical sports; all where there are none.
    pub sports: Vec<String>,
    pub standings: Vec<Standing>,
    /// Messages at most.
    pub limit: Option<u64>,
    /// The one pipeline that takes them.
    pub pipeline: Option<String>,
    /// Whether heart rates and sets that other sources have are put in.
    pub merged: bool,
    /// Whether records are left out of what is too long.
    pub thin: bool,
    pub allow_write_back: bool,
    /// Whether what a sink has refused is sent once more.
    pub retry_rejected: bool,
    /// Whether an activity is sent when what its source said of it is gone.
    pub without_original: bool,
    /// Syncs of a tier that are left to the live pipeline.
    pub leave_syncs: u64,
    pub per_second: NonZeroU32,
    /// From one message of a user to the next.
    pub per_user: Duration,
    /// From one webhook event to the next at least: each makes the pipeline ask Strava twice.
    pub webhook_period: Duration,
    /// Users that are sent for at a time.
    pub concurrency: usize,
    /// Whether messages of one user may be on their way at the same time.
    pub unordered: bool,
    /// How long a sink may be out of reach.
    pub patience: Duration,
    /// An export of runs that is kept up to date, to wait for each run's outcome.
    pub watch: Option<Watch>,
}

#[derive(Debug, Clone)]
pub struct Watch {
    pub export: PathBuf,
    pub longest: Duration,
}

impl Options {
    /// Everything that is owed, to a sink, at an easy pace.
    pub fn to(sink: sinks::Address) -> Options {
        Options {
            sink,
            users: Vec::new(),
            since: None,
            until: None,
            sports: Vec::new(),
            standings: Standing::OWED.to_vec(),
            limit: None,
            pipeline: None,
            merged: false,
            thin: false,
            allow_write_back: false,
            retry_rejected: false,
            without_original: false,
            leave_syncs: 5,
            per_second: NonZeroU32::new(10).expect("not zero"),
            per_user: Duration::from_secs(1),
            webhook_period: Duration::from_secs(20),
            concurrency: 16,
            unordered: false,
            patience: Duration::from_secs(120),
            watch: None,
        }
    }

    fn is_webhook(&self) -> bool {
        matches!(self.sink, sinks::Address::Webhook(_))
    }

    fn wants(&self, workout: &Workout, standing: Standing) -> bool {
        self.standings.contains(&standing)
            && self.since.is_none_or(|since| workout.start >= since)
            && self.until.is_none_or(|until| workout.start < until)
            && (self.sports.is_empty()
                || workout.sport.as_ref().is_some_and(|sport| self.sports.contains(sport)))
    }
}

/// An error that says what has to be done first.
fn check(lake: &Lake, options: &Options) -> Result<()> {
    reconcile::check(lake, &options.users)?;
    match dedupe::not_deduped(lake, &options.users)? {
        0 => Ok(()),
        // What is sent now cannot come after what turns out to be older.
        more => Err(Error::Usage(format!(
            "{more} activities came after the last `longrun dedupe`; run it first, so that nothing is sent twice or \
             before something older"
        ))),
    }
}

/// What would be sent.
pub fn plan(lake: &Lake, options: &Options, list: List) -> Result<Summary> {
    check(lake, options)?;
    let ledger = Ledger::open(lake, &options.sink.key())?;
    let planner = Planner::new(lake, options, &ledger, false)?;
    let mut summary = Summary { sink: options.sink.to_string(), ..Summary::default() };
    let mut room = options.limit.unwrap_or(u64::MAX);
    for plan in planner.plans() {
        summary.add(&plan?, &mut room, list);
    }
    summary.set_pace(options);
    Ok(summary)
}

/// Users whose plans are ready before anybody needs them.
const PLANS_AHEAD: usize = 8;

/// Sends what is owed. What was done is told even where it ends in an error.
pub fn run(
    lake: &Lake,
    options: &Options,
    settings: &Settings,
    watch: &mut dyn FnMut(Event),
) -> Result<(Driven, Result<()>)> {
    let _guard = lake.backend().lock("redrive", "the redrive")?;
    check(lake, options)?;
    let ledger = Ledger::open(lake, &options.sink.key())?;
    let of_planner = Ledger::open(lake, &options.sink.key())?;
    // Planning reads the disk; those who wait for answers must not wait for that.
    let (mut driven, ended) = std::thread::scope(|scope| -> Result<_> {
        let (ready, queue) = mpsc::channel(PLANS_AHEAD);
        scope.spawn(move || {
            // Nobody listens any more where the run has stopped.
            let send = |plan| ready.blocking_send(plan).is_ok();
            match Planner::new(lake, options, &of_planner, true) {
                Ok(planner) => drop(planner.plans().all(send)),
                Err(e) => drop(send(Err(e))),
            }
        });
        http::block_on(async {
            let sink: Arc<dyn sinks::Sink> = Arc::from(sinks::open(&options.sink, settings).await?);
            Ok(drive::run(lake, options, sink, &ledger, queue, watch).await)
        })?
    })?;
    if ended.is_ok() {
        driven.unsettled_before = ledger.unsettled()?.saturating_sub(driven.unknown);
    }
    Ok((driven, ended))
}
