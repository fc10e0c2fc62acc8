//! `longrun redrive`

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::output::say;
use super::{Context, Exit, fetch, output, redrive_said as said, redrive_status};
use crate::error::{Error, Result};
use crate::fitglue;
use crate::model::secret::Secret;
use crate::model::sport;
use crate::redrive::drive::{Driven, Event};
use crate::redrive::message::Content;
use crate::redrive::plan::{List, Reason};
use crate::redrive::plan_file::PlanFile;
use crate::redrive::reconcile::Standing;
use crate::redrive::sinks::{Carries, Settings};
use crate::redrive::{self, Options, Watch, WatchFrom};
use crate::store::lake::Lake;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Send; without it, preview what would be sent
    ///
    /// With a file of --plan, exactly what is in it, unless the lake or the pipeline's exports have changed since.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    apply: Option<Option<PathBuf>>,
    /// Write what would be sent to a file, for --apply FILE
    #[arg(long, value_name = "FILE", conflicts_with = "apply")]
    plan: Option<PathBuf>,
    /// Where messages go: file:PATH, cloudevents:URL, webhook:URL, pubsub:projects/PROJECT/topics/TOPIC, or
    /// rehearse:DIR, which sends nothing and says what the pipeline would do with them
    ///
    /// An address may hold a secret in its query: it is shown without. `#batch=N` behind a cloudevents address sends up
    /// to N events in one request, to an endpoint that takes application/cloudevents-batch+json.
    #[arg(long, env = "LONGRUN_SINK", value_name = "SINK", hide_env_values = true, required = true)]
    sink: Option<String>,
    /// Only this user; can be given several times
    #[arg(long = "user", value_name = "ID")]
    users: Vec<String>,
    /// Only workouts that began on this day (UTC) or later
    #[arg(long, value_name = "DATE", value_parser = day)]
    since: Option<Timestamp>,
    /// Only workouts that began before this day (UTC)
    #[arg(long, value_name = "DATE", value_parser = day)]
    until: Option<Timestamp>,
    /// Only this sport, as in data/sports.csv; can be given several times
    #[arg(long = "sport", value_name = "SPORT", value_parser = known_sport)]
    sports: Vec<String>,
    /// Only workouts that stand so: missing, failed, tier_blocked
    #[arg(
        long,
        value_name = "STATUS",
        value_delimiter = ',',
        default_value = "missing,failed,tier_blocked",
        hide_possible_values = true
    )]
    status: Vec<Standing>,
    /// Send so many messages at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// The pipeline that takes them, where a user has more than one for a source
    #[arg(long, value_name = "ID")]
    pipeline: Option<String>,
    /// Put in the heart rates and strength sets that other sources have of the same workout
    #[arg(long)]
    merged: bool,
    /// Leave out records of what is too long to pass through the pipeline, and say so in its metadata
    #[arg(long)]
    thin: bool,
    /// Send to pipelines that write to Strava or Hevy, from where it comes back
    #[arg(long)]
    allow_write_back: bool,
    /// Send what the sink has refused before once more
    #[arg(long)]
    retry_rejected: bool,
    /// Send this workout (its golden id) or record (strava:123) once more although it was delivered; can be given
    /// several times
    #[arg(long, value_name = "NAME")]
    again: Vec<String>,
    /// Send activities whose original is gone from the landing, without it
    #[arg(long)]
    without_original: bool,
    /// Syncs of a hobbyist's month that are left to the live pipeline
    #[arg(long, default_value_t = 5, value_name = "N")]
    leave_syncs: u64,
    /// Send nothing when the newest export of the pipeline's runs is older
    #[arg(long, default_value = fitglue::EXPORT_AGE, value_name = "DURATION", value_parser = fetch::duration)]
    max_export_age: SignedDuration,
    /// Send although documents of an export could not be read
    #[arg(long)]
    accept_refusals: bool,
    /// Messages per second at most
    #[arg(long, default_value = "10", value_name = "N")]
    per_second: NonZeroU32,
    /// From one message of a user to the next at least
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = fetch::duration)]
    per_user: SignedDuration,
    /// From one webhook event to the next at least: each makes the pipeline ask Strava twice, out of the quota that
    /// the live pipeline lives on
    #[arg(long, default_value = "20s", value_name = "DURATION", value_parser = fetch::duration)]
    webhook_every: SignedDuration,
    /// Users that messages are sent for at a time
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    concurrency: u32,
    /// Let messages of one user overtake each other: faster, and wrong for streaks, milestones and records
    #[arg(long)]
    unordered: bool,
    /// Stop when the sink has been out of reach for so long
    #[arg(long, default_value = "2m", value_name = "DURATION", value_parser = fetch::duration)]
    patience: SignedDuration,
    /// Wait for each run to end before the next of its user, in an export of runs that is kept up to date
    ///
    /// A file, which may grow while it is read; an https address; or command:COMMAND, a shell command that prints the
    /// newest export.
    #[arg(long, value_name = "EXPORT", conflicts_with = "unordered")]
    wait_for_runs: Option<WatchFrom>,
    /// Wait for a run so long at most
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = fetch::duration)]
    run_timeout: SignedDuration,
    /// Wait for the sink's answer so long at most
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = fetch::duration)]
    timeout: SignedDuration,
    /// Of the webhook events, as Strava gave it to the pipeline
    #[arg(long, default_value_t = 0, value_name = "ID")]
    subscription_id: u64,
    /// A bearer token for an HTTP sink; better given by the environment than as a flag, which other users can see
    #[arg(long, env = "LONGRUN_SINK_TOKEN", value_name = "TOKEN", hide_env_values = true, value_parser = fetch::secret)]
    sink_token: Option<Secret>,
    /// Workouts that a dry run lists
    #[arg(long, default_value_t = 10, value_name = "N")]
    list: usize,
}

fn day(text: &str) -> Result<Timestamp, String> {
    let date: jiff::civil::Date =
        text.parse().map_err(|_| "expected a day, such as 2024-05-31".to_string())?;
    date.to_zoned(jiff::tz::TimeZone::UTC).map(|day| day.timestamp()).map_err(|e| e.to_string())
}

fn known_sport(text: &str) -> Result<String, String> {
    sport::named(text)
        .map(|sport| sport.name.to_string())
        .ok_or_else(|| format!("{text:?} is no sport of data/sports.csv"))
}

fn unsigned(duration: SignedDuration) -> Duration {
    const LONGEST: Duration = Duration::from_secs(366 * 86_400);
    Duration::try_from(duration).unwrap_or_default().min(LONGEST)
}

impl Args {
    fn options(&self) -> Result<Options> {
        Ok(Options {
            sink: self.sink.as_deref().unwrap_or_default().parse()?,
            users: self.users.clone(),
            since: self.since,
            until: self.until,
            sports: self.sports.clone(),
            standings: self.status.clone(),
            only: None,
            limit: self.limit,
            pipeline: self.pipeline.clone(),
            content: Content {
                merged: self.merged,
                thin: self.thin,
                without_original: self.without_original,
            },
            allow_write_back: self.allow_write_back,
            retry_rejected: self.retry_rejected,
            again: self.again.clone(),
            leave_syncs: self.leave_syncs,
            max_export_age: unsigned(self.max_export_age),
            accept_refusals: self.accept_refusals,
            per_second: self.per_second,
            per_user: unsigned(self.per_user),
            request_period: unsigned(self.webhook_every),
            concurrency: self.concurrency as usize,
            unordered: self.unordered,
            patience: unsigned(self.patience),
            watch: self.wait_for_runs.clone().map(|from| Watch { from, longest: unsigned(self.run_timeout) }),
        })
    }
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Say what was sent when, and what became of it by the newest export of the pipeline
    Status,
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let lake = context.open()?;
    if let Some(Action::Status) = args.action {
        return redrive_status::run(context, &lake);
    }
    let mut options = args.options()?;
    check(&options)?;
    // A rehearsal sends nothing.
    if args.apply.is_none() && (options.sink.capabilities().remembers || args.plan.is_some()) {
        let is_whole = context.json || args.plan.is_some();
        let list = if is_whole { List::Everything } else { List::FirstToSend(args.list) };
        let mut plan = redrive::plan(&lake, &options, list)?;
        if let Some(file) = &args.plan {
            PlanFile::of(&lake, &options, &plan, Timestamp::now())?.write(file)?;
            say!("wrote the plan; `--apply {}` sends exactly that", file.display());
        }
        if !context.json {
            plan.entries.retain(|line| line.is_ready);
            plan.entries.truncate(args.list);
        }
        if context.json {
            output::json(&plan)?;
        } else {
            output::print(said::table(&plan).trim_end())?;
        }
        said::describe_plan(&plan, &options);
        return Ok(Exit::Done);
    }
    if let Some(Some(file)) = &args.apply {
        options = PlanFile::read(file)?.options(&lake, options)?;
    }
    let settings = Settings {
        token: args.sink_token,
        subscription_id: args.subscription_id,
        timeout: Some(unsigned(args.timeout)),
        ..Settings::default()
    };
    let driven = apply(&lake, &options, &settings)?;
    if context.json {
        output::json(&driven)?;
    }
    said::describe(&driven);
    Ok(exit(&driven))
}

/// What cannot be asked for.
fn check(options: &Options) -> Result<()> {
    if let Some(other) = options.standings.iter().find(|standing| !standing.is_owed()) {
        return Err(Error::Usage(format!(
            "workouts that are {:?} are never sent; --status takes missing, failed and tier_blocked",
            other.name()
        )));
    }
    if let Carries::IdOf(source) = options.sink.capabilities().carries
        && (options.pipeline.is_some() || options.watch.is_some())
    {
        return Err(Error::Usage(format!(
            "{} sends ids to all pipelines that take {source}, as runs with ids of their own; leave out --pipeline and \
             --wait-for-runs",
            options.sink
        )));
    }
    Ok(())
}

fn exit(driven: &Driven) -> Exit {
    if driven.unknown > 0 || driven.left > 0 || !driven.damaged.is_empty() {
        Exit::Incomplete
    } else if driven.is_held_for(Reason::TierBudget) {
        Exit::StoppedAtQuota
    } else if driven.rejected > 0 || driven.not_planned > 0 || !driven.held.is_empty() {
        Exit::DoneWithRejects
    } else {
        Exit::Done
    }
}

/// Sends, with a progress bar.
pub fn apply(lake: &Lake, options: &Options, settings: &Settings) -> Result<Driven> {
    let bar = output::bar(0, "  redrive {spinner} {pos} messages, {per_sec} · {msg}");
    let mut said = None;
    let mut watch = |event: Event| match event {
        Event::Ended { delivered, rejected } => bar.set_position(delivered + rejected),
        Event::Trouble { user_id, why } => {
            bar.set_message(why.clone());
            // Where no bar is seen, each trouble is said once.
            if !output::is_watched() && said.as_ref() != Some(&why) {
                say!("user {user_id}: {why}; it will be sent again under the same id");
                said = Some(why);
            }
        }
    };
    let ended = redrive::run(lake, options, settings, &mut watch);
    bar.finish_and_clear();
    let (driven, ended) = ended?;
    if ended.is_err() && driven.delivered > 0 {
        said::describe(&driven);
    }
    ended.map(|()| driven)
}
