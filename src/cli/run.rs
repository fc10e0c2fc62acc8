//! `longrun run`

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::output::say;
use super::{Context, Exit, dedupe, fetch, inbox, normalize, output, reconcile, report, run_tasks};
use crate::error::{Error, Result};
use crate::fitglue;
use crate::http;
use crate::report::Overview;
use crate::signals::Signals;
use crate::store::dataset;
use crate::store::lake::Lake;
use crate::store::state::accounts::Accounts;
use crate::store::state::zones;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    tasks: Option<run_tasks::Action>,
    /// Import what lies in this folder, as DIR/<user>/<archive>; then it is moved to DIR/done or DIR/refused
    #[arg(long, value_name = "DIR")]
    inbox: Option<PathBuf>,
    /// Leave an archive in the inbox until it has not changed for this long
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = fetch::duration)]
    settle: SignedDuration,
    /// The time zone of local times in the inbox that come without one, such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Stop after this stage
    #[arg(long, value_enum, default_value = "reconcile", value_name = "STAGE")]
    until: Stage,
    /// Do it again and again, and begin so long after the last begin; stop with Ctrl-C, SIGTERM or SIGHUP
    #[arg(long, value_name = "DURATION", value_parser = pause)]
    every: Option<SignedDuration>,
    #[command(flatten, next_help_heading = "Fetching")]
    fetch: fetch::Args,
}

/// Without one, a run would follow the other for ever.
fn pause(text: &str) -> Result<SignedDuration, String> {
    let pause = fetch::duration(text)?;
    if pause < SignedDuration::from_secs(1) {
        return Err("expected at least a second".to_string());
    }
    Ok(pause)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Stage {
    Fetch,
    Import,
    Normalize,
    Dedupe,
    Report,
    Reconcile,
}

impl Stage {
    /// As it is called on the command line.
    fn name(self) -> String {
        self.to_possible_value().expect("no stage is hidden").get_name().to_string()
    }
}

/// The figures of a run, which the next one is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Figures {
    at: Timestamp,
    records: u64,
    workouts: u64,
    km: f64,
    to_review: u64,
    rejects: u64,
    /// What the live pipeline is owed, where its runs are known.
    owed: Option<u64>,
}

impl Figures {
    fn of(overview: &Overview, at: Timestamp) -> Figures {
        Figures {
            at,
            records: overview.activities.count,
            workouts: overview.workouts.count,
            km: overview.workouts.distance_km,
            to_review: overview.pairs.review,
            rejects: overview.rejects.iter().map(|reject| reject.count).sum(),
            owed: overview.pipeline.as_ref().map(|pipeline| pipeline.reconciled.totals.owed()),
        }
    }
}

/// What a run came to.
#[derive(Debug, Serialize)]
struct Outcome {
    /// Stages that failed, a sentence each.
    failed: Vec<String>,
    /// None where there is nothing to report on.
    figures: Option<Figures>,
    /// Those of the run before.
    before: Option<Figures>,
}

pub fn run(context: &Context, mut args: Args) -> Result<Exit> {
    if let Some(action) = args.tasks.take() {
        return run_tasks::run(context, action);
    }
    if let Some(zone) = &args.timezone {
        zones::check(zone)?;
    }
    args.fetch.no_wait |= args.fetch.max_wait.is_none();
    let lake = context.open_or_create()?;
    let observed = fetch::observe(&args.fetch)?;
    let stop = Stop::listen()?;
    loop {
        let begin = Instant::now();
        let (outcome, exit) = once(&lake, &args, &observed, &stop);
        if context.json {
            output::json(&outcome)?;
        }
        describe(&outcome);
        let Some(every) = args.every else { return Ok(exit) };
        let pause = Duration::try_from(every).unwrap_or_default().saturating_sub(begin.elapsed());
        if !stop.is_asked() {
            say!("the next run begins in {}", output::seconds(pause.as_secs_f64()));
        }
        if stop.wait(pause) {
            say!("stopped");
            return Ok(Exit::Done);
        }
    }
}

/// Every stage that is due, once.
fn once(lake: &Lake, args: &Args, observed: &fetch::Observed, stop: &Stop) -> (Outcome, Exit) {
    let mut outcome = Outcome { failed: Vec::new(), figures: None, before: None };
    let mut exits = Vec::new();
    for stage in Stage::value_variants().iter().copied().filter(|stage| *stage <= args.until) {
        if stop.is_asked() {
            break;
        }
        stop.is_fetching.store(stage == Stage::Fetch, Ordering::SeqCst);
        match due(stage, lake, args, observed, &mut outcome) {
            Ok(exit) => exits.push(exit),
            Err(e) => outcome.failed.push(format!("{}: {e}", stage.name())),
        }
    }
    stop.is_fetching.store(false, Ordering::SeqCst);
    let is_any = |exit: Exit| exits.contains(&exit);
    let exit = match () {
        () if !outcome.failed.is_empty() || is_any(Exit::Incomplete) => Exit::Incomplete,
        () if is_any(Exit::StoppedAtQuota) => Exit::StoppedAtQuota,
        () if is_any(Exit::DoneWithRejects) => Exit::DoneWithRejects,
        () => Exit::Done,
    };
    (outcome, exit)
}

/// A stage, if it is set up.
fn due(
    stage: Stage,
    lake: &Lake,
    args: &Args,
    observed: &fetch::Observed,
    outcome: &mut Outcome,
) -> Result<Exit> {
    let has = |folder| Ok::<_, Error>(!dataset::files(lake, &folder)?.is_empty());
    match stage {
        Stage::Fetch => {
            if Accounts::open_to_read(lake)?.list_stored()?.is_empty() {
                return Ok(Exit::Done);
            }
            say!("fetch");
            let (summary, exit) = fetch::run_on(lake, &args.fetch, observed)?;
            fetch::describe(&summary);
            Ok(exit)
        }
        Stage::Import => {
            let Some(folder) = &args.inbox else { return Ok(Exit::Done) };
            say!("import");
            let settle = Duration::try_from(args.settle).unwrap_or_default();
            let taken = inbox::take(lake, folder, settle, args.timezone.as_deref())?;
            describe_inbox(&taken);
            Ok(match taken {
                taken if !taken.failed.is_empty() => Exit::Incomplete,
                taken if taken.refused > 0 => Exit::DoneWithRejects,
                _ => Exit::Done,
            })
        }
        Stage::Normalize => {
            say!("normalize");
            let begin = Instant::now();
            let run = normalize::normalize(lake)?;
            output::complaints(&run.failed);
            normalize::describe(lake, &run.summary, begin.elapsed().as_secs_f64());
            Ok(normalize::exit(&run))
        }
        Stage::Dedupe => {
            if !has(lake.activities_folder())? {
                return Ok(Exit::Done);
            }
            say!("dedupe");
            let begin = Instant::now();
            let run = dedupe::run_on(lake, &crate::dedupe::Options::default())?;
            output::complaints(&run.failed);
            dedupe::describe(&run.summary, begin.elapsed().as_secs_f64());
            Ok(Exit::of(run.failed.is_empty()))
        }
        Stage::Report => {
            if !has(lake.golden_folder())? {
                return Ok(Exit::Done);
            }
            say!("report");
            let (page, overview) = report::write(lake, &crate::report::Options::default(), None)?;
            report::describe(&overview);
            say!("open {} in a browser", page.display());
            let key = lake.report("figures.json");
            let figures = Figures::of(&overview, Timestamp::now());
            // Figures of another longrun are none to compare with.
            outcome.before = lake.text(&key)?.and_then(|text| serde_json::from_str(&text).ok());
            outcome.figures = Some(figures);
            lake.put(&key, &serde_json::to_vec(&figures).expect("figures are plain"))?;
            Ok(Exit::of(overview.left_out.is_empty()))
        }
        Stage::Reconcile => {
            if !has(lake.golden_folder())? || !fitglue::knows_runs(lake)? {
                return Ok(Exit::Done);
            }
            say!("reconcile");
            let reconciled = crate::redrive::reconcile::reconcile(lake, &[], Timestamp::now())?;
            reconcile::describe(&reconciled, 0);
            Ok(Exit::of(reconciled.damaged.is_empty()))
        }
    }
}

fn describe_inbox(taken: &inbox::Taken) {
    output::complaints(&taken.failed);
    let mut said = vec![output::count_of(taken.imported, "archive", "archives") + " imported"];
    for (count, what) in [
        (taken.known, "imported before"),
        (taken.refused, "refused"),
        (taken.waiting, "still being written"),
        (taken.failed.len() as u64, "failed"),
    ] {
        if count > 0 {
            said.push(format!("{} {what}", output::count(count)));
        }
    }
    say!("{}", said.join(", "));
}

/// What has changed since the last run, and what failed.
fn describe(outcome: &Outcome) {
    if let (Some(now), Some(before)) = (outcome.figures, outcome.before) {
        let changes = changes(&before, &now);
        let since = output::minute(before.at);
        match changes.is_empty() {
            true => say!("nothing has changed since {since} UTC"),
            false => say!("since {since} UTC: {}", changes.join(", ")),
        }
    }
    output::complaints(&outcome.failed);
}

fn changes(before: &Figures, now: &Figures) -> Vec<String> {
    let counts = [
        (before.records, now.records, "record", "records"),
        (before.workouts, now.workouts, "workout", "workouts"),
        (before.km.round() as u64, now.km.round() as u64, "km", "km"),
        (before.to_review, now.to_review, "pair to review", "pairs to review"),
        (before.rejects, now.rejects, "reject", "rejects"),
        (
            before.owed.unwrap_or(0),
            now.owed.unwrap_or(0),
            "workout owed to the pipeline",
            "workouts owed to the pipeline",
        ),
    ];
    let changed = counts.into_iter().filter(|(before, now, ..)| before != now);
    let said = changed.map(|(before, now, one, more)| {
        let sign = if now > before { "+" } else { "−" };
        format!("{sign}{}", output::count_of(now.abs_diff(before), one, more))
    });
    said.collect()
}

/// Whether somebody asked for an end. The stage that is at work is finished first; a second time ends it at once, which
/// costs nothing but its work. A fetch would lose the tokens that are on their way to it: it hears the first time itself,
/// and is always waited for.
struct Stop {
    asked: Arc<AtomicBool>,
    is_fetching: Arc<AtomicBool>,
    changed: Arc<(Mutex<()>, Condvar)>,
}

/// Ended by Ctrl-C, as shells have it.
const INTERRUPTED: i32 = 130;

impl Stop {
    fn listen() -> Result<Stop> {
        let stop = Stop { asked: Arc::default(), is_fetching: Arc::default(), changed: Arc::default() };
        let (asked, is_fetching, changed) =
            (stop.asked.clone(), stop.is_fetching.clone(), stop.changed.clone());
        let listening = move || {
            http::block_on(async {
                let mut signals = Signals::new()?;
                signals.any().await;
                asked.store(true, Ordering::SeqCst);
                let (guard, condition) = &*changed;
                drop(guard.lock());
                condition.notify_all();
                loop {
                    signals.any().await;
                    if !is_fetching.load(Ordering::SeqCst) {
                        std::process::exit(INTERRUPTED)
                    }
                }
            })?
        };
        let builder = std::thread::Builder::new().name("signals".to_string());
        builder
            .spawn(move || -> Result<()> { listening() })
            .map_err(Error::io("start", "a thread for signals"))?;
        Ok(stop)
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits so long by the clock on the wall, which also counts while a machine sleeps. Returns whether an end was
    /// asked for.
    fn wait(&self, pause: Duration) -> bool {
        const LOOK: Duration = Duration::from_secs(30);
        let until = Timestamp::now() + pause;
        let (guard, condition) = &*self.changed;
        let mut held = guard.lock().expect("no thread panics while it holds this");
        loop {
            let left = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
            if self.is_asked() || left.is_zero() {
                return self.is_asked();
            }
            held =
                condition.wait_timeout(held, left.min(LOOK)).expect("no thread panics while it holds this").0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_said_with_its_sign() {
        let before = Figures {
            at: Timestamp::UNIX_EPOCH,
            records: 10,
            workouts: 8,
            km: 99.6,
            to_review: 2,
            rejects: 0,
            owed: None,
        };
        assert!(changes(&before, &before).is_empty());
        let now = Figures { records: 1_012, workouts: 9, km: 110.2, to_review: 1, owed: Some(1), ..before };
        assert_eq!(
            changes(&before, &now),
            [
                "+1,002 records",
                "+1 workout",
                "+10 km",
                "−1 pair to review",
                "+1 workout owed to the pipeline"
            ]
        );
    }
}
