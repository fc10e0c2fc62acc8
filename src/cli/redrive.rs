//! `longrun redrive`

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::output::say;
use super::{Context, Exit, fetch, output};
use crate::error::{Error, Result};
use crate::model::secret::Secret;
use crate::model::sport;
use crate::redrive::drive::{Driven, Event};
use crate::redrive::plan::{HeldFigures, List, Reason, Summary};
use crate::redrive::reconcile::Standing;
use crate::redrive::sinks::{Address, Settings};
use crate::redrive::{self, Options, Watch};
use crate::store::lake::Lake;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Send; without it, only what would be sent is said
    #[arg(long)]
    apply: bool,
    /// Where messages go: file:PATH, cloudevents:URL, webhook:URL or pubsub:projects/PROJECT/topics/TOPIC
    ///
    /// An address may hold a secret in its query: it is shown without.
    #[arg(long, env = "LONGRUN_SINK", value_name = "SINK", hide_env_values = true)]
    sink: String,
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
    /// Send activities whose original is gone from the landing, without it
    #[arg(long)]
    without_original: bool,
    /// Syncs of a hobbyist's month that are left to the live pipeline
    #[arg(long, default_value_t = 5, value_name = "N")]
    leave_syncs: u64,
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
    /// An export of runs that somebody keeps up to date: wait there for each run to end before the next of its user
    #[arg(long, value_name = "FILE", conflicts_with = "unordered")]
    wait_for_runs: Option<PathBuf>,
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
            sink: self.sink.parse()?,
            users: self.users.clone(),
            since: self.since,
            until: self.until,
            sports: self.sports.clone(),
            standings: self.status.clone(),
            limit: self.limit,
            pipeline: self.pipeline.clone(),
            merged: self.merged,
            thin: self.thin,
            allow_write_back: self.allow_write_back,
            retry_rejected: self.retry_rejected,
            without_original: self.without_original,
            leave_syncs: self.leave_syncs,
            per_second: self.per_second,
            per_user: unsigned(self.per_user),
            webhook_period: unsigned(self.webhook_every),
            concurrency: self.concurrency as usize,
            unordered: self.unordered,
            patience: unsigned(self.patience),
            watch: self
                .wait_for_runs
                .clone()
                .map(|export| Watch { export, longest: unsigned(self.run_timeout) }),
        })
    }
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let lake = context.open()?;
    let options = args.options()?;
    check(&options)?;
    if !args.apply {
        let list = if context.json { List::Everything } else { List::FirstToSend(args.list) };
        let plan = redrive::plan(&lake, &options, list)?;
        if context.json {
            output::json(&plan)?;
        } else {
            output::print(table(&plan).trim_end())?;
        }
        describe_plan(&plan);
        return Ok(Exit::Done);
    }
    let settings = Settings {
        token: args.sink_token,
        subscription_id: args.subscription_id,
        timeout: Some(unsigned(args.timeout)),
    };
    let driven = apply(&lake, &options, &settings)?;
    if context.json {
        output::json(&driven)?;
    }
    describe(&driven);
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
    if matches!(options.sink, Address::Webhook(_)) && (options.pipeline.is_some() || options.watch.is_some())
    {
        return Err(Error::Usage(
            "a webhook goes to all pipelines that take Strava, as runs with ids of their own; leave out --pipeline and \
             --wait-for-runs"
                .to_string(),
        ));
    }
    Ok(())
}

fn exit(driven: &Driven) -> Exit {
    if driven.unknown > 0 || driven.left > 0 {
        Exit::Incomplete
    } else if driven.is_held_for(Reason::TierBudget) {
        Exit::StoppedAtQuota
    } else if driven.rejected > 0 || !driven.held.is_empty() {
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
        describe(&driven);
    }
    ended.map(|()| driven)
}

/// The first workouts of a plan.
fn table(plan: &Summary) -> String {
    let head = ["user", "start", "sport", "status", "record", "pipeline", "destinations"];
    let rows: Vec<Vec<String>> = plan
        .entries
        .iter()
        .map(|line| {
            vec![
                line.user_id.clone(),
                output::minute(line.start),
                line.sport.clone().unwrap_or_default(),
                line.standing.name().to_string(),
                line.record.clone().unwrap_or_default(),
                line.pipeline_id.clone(),
                line.destinations.join(", "),
            ]
        })
        .collect();
    if rows.is_empty() { String::new() } else { output::table(&head, &rows) }
}

fn describe_plan(plan: &Summary) {
    let listed = plan.entries.iter().filter(|line| line.held.is_none()).count() as u64;
    if plan.send > listed {
        say!("… and {} more; --list or --json shows them", output::count(plan.send - listed));
    }
    say!(
        "{} workouts are owed; {} would go to {}, oldest first of each of {} users, in about {} at this pace",
        output::count(plan.owed),
        output::count(plan.send),
        plan.sink,
        output::count(plan.users.iter().filter(|user| user.send > 0).count() as u64),
        output::seconds(plan.takes_s)
    );
    if plan.send_again > 0 {
        say!(
            "{} of them were begun before without a known end, and would go again under the same ids",
            output::count(plan.send_again)
        );
    }
    if !plan.syncs.is_empty() {
        let syncs: Vec<String> =
            plan.syncs.iter().map(|(name, count)| format!("{} to {name}", output::count(*count))).collect();
        say!(
            "it would cost the users {} syncs: {}",
            output::count(plan.syncs.values().sum()),
            syncs.join(", ")
        );
    }
    describe_rest(plan.delivered_before, plan.beyond_limit, &plan.held);
    say!("nothing was sent; --apply sends");
}

fn describe_rest(
    delivered_before: u64,
    beyond_limit: u64,
    held: &std::collections::BTreeMap<&'static str, HeldFigures>,
) {
    if delivered_before > 0 {
        say!(
            "{} were delivered before, and are never sent again; the pipeline's export does not have them yet",
            output::count(delivered_before)
        );
    }
    if beyond_limit > 0 {
        say!("{} are beyond --limit", output::count(beyond_limit));
    }
    for (reason, figures) in held {
        say!(
            "held back, {reason}: {} (such as {}: {})",
            output::count(figures.count),
            figures.example,
            figures.why
        );
    }
}

pub fn describe(driven: &Driven) {
    if driven.unsettled_before > 0 {
        say!(
            "{} messages of an earlier run are unsettled, and outside of what was asked for now; run without filters to settle them",
            output::count(driven.unsettled_before)
        );
    }
    say!(
        "delivered {} messages ({}) to {} in {}, with {} attempts",
        output::count(driven.delivered),
        output::bytes(driven.delivered_bytes),
        driven.sink,
        output::seconds(driven.seconds),
        output::count(driven.attempts)
    );
    if driven.sent_again > 0 {
        say!(
            "{} messages were sent again under the same ids, because nobody knew whether they had arrived",
            output::count(driven.sent_again)
        );
    }
    if let Some(why) = &driven.rejected_why {
        say!("{} were refused, such as {why}", output::count(driven.rejected));
    }
    if driven.unknown > 0 || driven.left > 0 {
        say!(
            "{} messages may or may not have arrived, and {} were not begun{}; nothing is lost, run the same command again",
            output::count(driven.unknown),
            output::count(driven.left),
            driven.unknown_why.as_ref().map_or(String::new(), |why| format!(" ({why})"))
        );
    }
    describe_rest(driven.delivered_before, driven.beyond_limit, &driven.held);
    match &driven.runs {
        Some(runs) if !runs.is_empty() => {
            let runs: Vec<String> =
                runs.iter().map(|(name, count)| format!("{} {name}", output::count(*count))).collect();
            say!("their runs: {}", runs.join(", "));
        }
        _ if driven.delivered > 0 => {
            say!(
                "delivered means that the sink has taken them: what became of their runs is not known \
                 (--wait-for-runs, or `longrun pipeline import` of a newer export and `longrun reconcile`)"
            );
        }
        _ => {}
    }
}
