//! `longrun normalize`

use std::path::PathBuf;
use std::time::Instant;

use super::output::say;
use super::{Context, Exit, output, task};
use crate::error::{Error, Result};
use crate::model::policy::Policy;
use crate::model::sport::Rules;
use crate::normalize::{self, Summary, UnnamedSports};
use crate::store::each::Run;
use crate::store::lake::Lake;
use crate::tasks::Step;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rules that set the sport by a text in the title, from now on: [{"substring": "parkrun",
    /// "target_type": "Run"}, …]. The first rule that fits decides
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Forget the rules
    #[arg(long, conflicts_with = "rules")]
    no_rules: bool,
    /// Say in `expires_at` when each row is to be fetched anew or forgotten, from now on: `strava-2026`, or a TOML file.
    /// Nothing is forgotten by this; `longrun purge --expired` does it
    #[arg(long, value_name = "NAME|FILE")]
    policy: Option<String>,
    /// Forget the policy
    #[arg(long, conflicts_with = "policy")]
    no_policy: bool,
    #[command(flatten)]
    task: task::Args,
}

/// The text of a policy: of one that comes with longrun, or of a file.
pub fn policy_text(name: &str) -> Result<String> {
    if let Some(text) = Policy::known(name) {
        return Ok(text.to_string());
    }
    let text = std::fs::read_to_string(name).map_err(Error::io("read", name))?;
    Policy::parse(&text)
        .map_err(|e| Error::Usage(format!("{name} is no policy ({e}); `--policy strava-2026` is one")))?;
    Ok(text)
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    if let Some(id) = args.task.run_id() {
        if args.rules.is_some() || args.no_rules || args.policy.is_some() || args.no_policy {
            return Err(Error::Usage(
                "a task goes by its plan: set rules and policy before `run plan`".to_string(),
            ));
        }
        return task::run(context, &args.task, id, &Step::Normalize);
    }
    let lake = context.open()?;
    if let Some(file) = &args.rules {
        let text = std::fs::read_to_string(file).map_err(Error::io("read", file))?;
        Rules::parse(&text).map_err(|e| Error::Usage(format!("{}: {e}", file.display())))?;
        lake.put(&lake.rules(), text.as_bytes())?;
    }
    if args.no_rules {
        lake.backend().remove(&lake.rules())?;
    }
    if let Some(name) = &args.policy {
        lake.put(&lake.policy(), policy_text(name)?.as_bytes())?;
    }
    if args.no_policy {
        lake.backend().remove(&lake.policy())?;
    }
    let begin = Instant::now();
    let run = match args.task.some(&lake)?.as_slice() {
        [] => normalize(&lake)?,
        some => normalize::run_some(&lake, some, |_| {})?,
    };
    if context.json {
        output::json(&run)?;
    }
    output::complaints(&run.failed);
    describe(&lake, &run.summary, begin.elapsed().as_secs_f64());
    Ok(exit(&run))
}

pub fn exit(run: &Run<Summary>) -> Exit {
    match run {
        run if !run.failed.is_empty() => Exit::Incomplete,
        run if run.summary.rejects > 0 => Exit::DoneWithRejects,
        _ => Exit::Done,
    }
}

/// Normalizes, with a progress bar.
pub fn normalize(lake: &Lake) -> Result<Run<Summary>> {
    let bar = output::bar(
        normalize::pending_bytes(lake)?,
        "  normalize {bar:30} {bytes}/{total_bytes}, {eta} left",
    );
    let run = normalize::run(lake, |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    run
}

/// Names of sports that are shown to people.
const SHOWN: usize = 5;

fn say_unnamed(sports: &UnnamedSports) {
    let all = sports.all();
    if all.is_empty() {
        return;
    }
    let shown = all.iter().take(SHOWN);
    let mut names: Vec<String> = shown
        .map(|sport| {
            format!("{} {} ({})", sport.source, sport.name.escape_debug(), output::count(sport.records))
        })
        .collect();
    if all.len() > SHOWN {
        names.push(format!("{} more", output::count((all.len() - SHOWN) as u64)));
    }
    let many = output::count_of(all.len() as u64, "sport", "sports");
    say!("{many} without a name here: {}", names.join(", "));
}

/// Prints the summary.
pub fn describe(lake: &Lake, s: &Summary, seconds: f64) {
    if s.buckets_rewritten == 0 {
        say!("nothing new was fetched or imported; the dataset is up to date");
        return;
    }
    if s.responses > 0 {
        say!(
            "read {} ({} of JSON from {} of landing)",
            output::count_of(s.responses, "API answer", "API answers"),
            output::bytes(s.json_bytes),
            output::bytes(s.landing_bytes),
        );
    }
    if s.archives > 0 {
        say!(
            "read {} ({}): {}, {} skipped (steps, sleep, settings)",
            output::count_of(s.archives, "archive", "archives"),
            output::bytes(s.archive_bytes),
            output::count_of(s.records, "record", "records"),
            output::count(s.not_activities),
        );
    }
    say!(
        "wrote {} ({} new) with {} and {}",
        output::count_of(s.activities, "activity", "activities"),
        output::count(s.activities_added),
        output::count_of(s.points, "track point", "track points"),
        output::count_of(s.streams, "sample series", "sample series"),
    );
    say!(
        "{} of Parquet in {}, in {}",
        output::bytes(s.written_bytes),
        output::count_of(s.buckets_rewritten, "bucket", "buckets"),
        output::seconds(seconds)
    );
    say_unnamed(&s.unnamed_sports);
    if s.rejects > 0 {
        say!(
            "{}; {} says what, why and where the bytes are",
            output::count_of(s.rejects, "reject", "rejects"),
            lake.place(&lake.rejects_folder()).display()
        );
    }
}
