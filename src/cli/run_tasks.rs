//! `longrun run plan`, `learn`, `progress`, `finish`: what stands around the tasks of a run on many machines.

use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;

use super::odds::Odds;
use super::output::say;
use super::{Context, Exit, output, report};
use crate::dedupe::Gone;
use crate::error::Result;
use crate::store::lake::Lake;
use crate::store::names;
use crate::tasks::{self, Plan, Wanted};

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Begin a run on many machines: write down what all its tasks go by, and print its name
    ///
    /// Then run, on as many machines as you like: `normalize --run ID`, then once `run learn ID`, then `dedupe --run ID`,
    /// and once `run finish ID`. docs/scale.md says how.
    Plan(PlanArgs),
    /// Learn what pairs are scored with, once, when everything is normalized
    Learn(OfRun),
    /// Show how far a run is
    Progress(OfRun),
    /// Write the page of a run, when the tasks `report --run ID` have collected what there is to say of each bucket
    Report(ReportArgs),
    /// End a run: check that every bucket is done, sum, and list the files that readers may take
    Finish(OfRun),
}

#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// The name of the run; by default the time
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The lake on this machine whose answers, uploads and accounts count, where --lake is a URL
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    odds: Odds,
    /// Count also what its source no longer has, or no longer shows
    #[arg(long)]
    with_gone: bool,
}

#[derive(Debug, clap::Args)]
pub struct OfRun {
    /// The name of the run
    id: String,
}

#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    #[command(flatten)]
    of: OfRun,
    /// Where to write the page [default: reports/run-ID.html in the lake]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    lists: report::Lists,
}

pub fn run(context: &Context, action: Action) -> Result<Exit> {
    let lake = context.open_anywhere()?;
    match action {
        Action::Plan(args) => plan(context, &lake, args),
        Action::Learn(of) => learn(context, &lake, &of.id),
        Action::Progress(of) => progress(context, &lake, &of.id),
        Action::Report(args) => page(context, &lake, args),
        Action::Finish(of) => finish(context, &lake, &of.id),
    }
}

fn plan(context: &Context, lake: &Lake, args: PlanArgs) -> Result<Exit> {
    let wanted = Wanted {
        id: args.id,
        thresholds: args.odds.thresholds()?,
        gone: if args.with_gone { Gone::Counted } else { Gone::LeftOut },
    };
    let home = args.state.as_deref().map(Lake::open).transpose()?;
    let home = home.as_ref().or_else(|| Some(lake).filter(|lake| !lake.backend().is_remote()));
    if home.is_none() {
        say!("planned without answers, uploads and accounts; --state names the lake that has them");
    }
    let plan = tasks::plan(lake, home, &wanted, Timestamp::now())?;
    if !plan.older.is_empty() {
        say!("this ends {}, whose tasks write nothing any more", plan.older.join(", "));
    }
    let bytes: u64 = plan.planned.iter().map(|planned| planned.bytes).sum();
    let most = plan.planned.iter().map(|planned| planned.bytes).max().unwrap_or(0);
    if context.json {
        output::json(&json!({
            "run": plan.id, "buckets": plan.planned.len(), "bytes": bytes, "largest_bytes": most,
            "has_weights": plan.weights.is_some(),
        }))?;
    } else {
        output::print(&plan.id)?;
    }
    say!(
        "run {}: {} with {} to work on, the largest has {}; {}",
        plan.id,
        output::count_of(plan.planned.len() as u64, "bucket", "buckets"),
        output::bytes(bytes),
        output::bytes(most),
        match plan.weights {
            Some(_) => "the weights are known",
            None => "the weights are learned when everything is normalized (`longrun run learn`)",
        }
    );
    Ok(Exit::Done)
}

fn learn(context: &Context, lake: &Lake, id: &str) -> Result<Exit> {
    let learned = tasks::learn(lake, &Plan::read(lake, id)?)?;
    if context.json {
        output::json(&learned)?;
    }
    match (learned.was_known, learned.pairs) {
        (true, _) => say!("run {id} has its weights"),
        (false, pairs) => {
            say!("learned the weights from {}", output::count_of(pairs.unwrap_or(0), "pair", "pairs"));
        }
    }
    Ok(Exit::Done)
}

fn progress(context: &Context, lake: &Lake, id: &str) -> Result<Exit> {
    let plan = Plan::read(lake, id)?;
    let (progress, is_over) = (tasks::progress(lake, &plan)?, plan.is_over(lake)?);
    let newer = tasks::newer(lake, &plan)?;
    let buckets = plan.planned.len();
    if context.json {
        output::json(&json!({
            "run": id, "buckets": buckets, "done": progress, "is_finished": is_over, "newer_run": newer,
        }))?;
    }
    for (step, done) in &progress {
        say!(
            "{step}: {} of {}",
            output::count(*done as u64),
            output::count_of(buckets as u64, "bucket", "buckets")
        );
    }
    match newer.filter(|_| !is_over) {
        Some(newer) => say!("run {id} is over: run {newer} was planned after it"),
        None => say!("{}", if is_over { "the run is finished" } else { "the run is not finished" }),
    }
    Ok(Exit::Done)
}

fn page(context: &Context, lake: &Lake, args: ReportArgs) -> Result<Exit> {
    let plan = Plan::read(lake, &args.of.id)?;
    let bar = output::bar(plan.planned.len() as u64, "  report {bar:30} {pos}/{len} buckets, {eta} left");
    let page = tasks::report(lake, &plan, args.lists.most(), |done| bar.inc(done));
    bar.finish_and_clear();
    let (path, overview) = report::keep(lake, page?, args.out, &names::run_page(&plan.id))?;
    report::tell(context, &path, &overview)
}

fn finish(context: &Context, lake: &Lake, id: &str) -> Result<Exit> {
    let finished = tasks::finish(lake, &Plan::read(lake, id)?)?;
    if context.json {
        output::json(&finished)?;
    }
    output::complaints(&finished.found);
    say!(
        "run {id} is finished: {}, {}, {}; {} lists {}",
        output::count_of(finished.activities, "record", "records"),
        if finished.is_deduped {
            output::count_of(finished.workouts, "workout", "workouts")
        } else {
            "not deduped".to_string()
        },
        output::count_of(finished.rejects, "reject", "rejects"),
        lake.place(&tasks::part_key(id, "done.json")).display(),
        output::count_of(finished.files.len() as u64, "file", "files"),
    );
    let is_sound = finished.rejects == 0 && finished.found.is_empty();
    Ok(if is_sound { Exit::Done } else { Exit::DoneWithRejects })
}
