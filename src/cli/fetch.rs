//! `longrun fetch`

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use super::output::say;
use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::fetch::client::{App, Client};
use crate::fetch::metrics::{Metrics, Server};
use crate::fetch::{self, Doubted, Event, Options, Stop, Summary, Why};
use crate::http;
use crate::model::secret::Secret;
use crate::sources::strava::endpoints::{self, Depth};
use crate::sources::strava::walk::Anew;
use crate::store::lake::Lake;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    api: Api,
    /// How much of every activity
    #[arg(long, value_enum, default_value = "list")]
    depth: Depth,
    /// Only this user; can be given several times
    #[arg(long = "user", value_name = "ID")]
    users: Vec<String>,
    /// Requests under way at a time
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    concurrency: u32,
    /// Requests sent per second at most, inside a window that has room
    #[arg(long, default_value = "10", value_name = "N")]
    per_second: NonZeroU32,
    /// Share of a full rate window that is left to others using the same application; the nearer the reset, the less
    /// of it is kept. By default what they are learned to need, by hour of the day, and 0.2 until that is known
    #[arg(long, value_name = "SHARE", value_parser = share)]
    reserve: Option<f64>,
    /// Stop with exit code 75 instead of waiting longer than this for a rate window
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub max_wait: Option<SignedDuration>,
    /// Stop with exit code 75 instead of waiting for a rate window at all
    #[arg(long, conflicts_with = "max_wait")]
    pub no_wait: bool,
    /// Wait this long through an outage of the API, then stop with exit code 75
    #[arg(long, default_value = "6h", value_name = "DURATION", value_parser = duration)]
    patience: SignedDuration,
    /// Stop with exit code 75 after this many requests
    #[arg(long, alias = "max-requests", value_name = "N")]
    max_calls: Option<u64>,
    /// A list that was walked to its end within this time is not asked for again
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = duration)]
    max_age: SignedDuration,
    /// Walk the whole list again, not only its newest part
    #[arg(long)]
    whole_list: bool,
    /// Walk the whole list of each account whose last whole walk is older than this: finds what was deleted, and what
    /// was uploaded late with an old date
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "whole_list")]
    sweep: Option<SignedDuration>,
    /// Fetch details and streams anew that were fetched before this time; the same time again goes on with what a run
    /// that was cut left
    #[arg(long, value_name = "TIME")]
    refetch_before: Option<Timestamp>,
    /// With --refetch-before: only of this activity; can be given several times
    #[arg(long = "id", value_name = "ID", requires = "refetch_before")]
    ids: Vec<String>,
    /// With --refetch-before: only of activities that began at this time or later
    #[arg(long, value_name = "TIME", requires = "refetch_before")]
    since: Option<Timestamp>,
    /// A file with a user on each line: these come before everybody else, in this order
    #[arg(long, value_name = "FILE")]
    priority: Option<PathBuf>,
    /// Ask also for the whole of what an imported archive has, which has no segment efforts
    #[arg(long)]
    ignore_archives: bool,
    /// Tell Prometheus how it goes, at http://ADDR/metrics; a port alone is one of this machine's own (loopback)
    #[arg(long, value_name = "ADDR", value_parser = address)]
    metrics: Option<SocketAddr>,
    /// Write what is done to this file, as JSON lines, behind what is in it
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// A port, or an address with one.
fn address(text: &str) -> Result<SocketAddr, String> {
    let of_port = || Some(SocketAddr::from((Ipv4Addr::LOCALHOST, text.parse().ok()?)));
    let parsed = text.parse().ok().or_else(of_port);
    parsed.ok_or_else(|| "expected a port or an address, such as 9464 or 0.0.0.0:9464".to_string())
}

/// Where the API is, and for which application.
#[derive(Debug, clap::Args)]
pub struct Api {
    /// The API; `longrun emulate strava` prints another one
    #[arg(
        long,
        env = "LONGRUN_STRAVA_URL",
        default_value = "https://www.strava.com/api/v3",
        value_name = "URL"
    )]
    base_url: String,
    /// Where tokens are given; stays where it is when the API moves
    #[arg(
        long,
        env = "LONGRUN_STRAVA_OAUTH_URL",
        default_value = "https://www.strava.com/oauth",
        value_name = "URL"
    )]
    oauth_url: String,
    /// The application that athletes gave consent to
    #[arg(long, env = "LONGRUN_STRAVA_CLIENT_ID", value_name = "ID")]
    client_id: Option<String>,
    /// Its secret; better given by the environment than as a flag, which other users can see
    #[arg(long, env = "LONGRUN_STRAVA_CLIENT_SECRET", value_name = "SECRET", hide_env_values = true, value_parser = secret)]
    client_secret: Option<Secret>,
    /// Lengths of the API's rate windows in seconds
    #[arg(long, env = "LONGRUN_STRAVA_WINDOWS", default_value = "900,86400", value_name = "SHORT,DAY", value_parser = windows)]
    windows: (u32, u32),
}

impl Api {
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    pub fn client(&self) -> Result<Client> {
        Client::new(&self.base_url, &self.oauth_url)
    }

    pub fn app(&self) -> Option<App> {
        let client_secret = self.client_secret.clone()?;
        Some(App { client_id: self.client_id.clone()?, client_secret })
    }
}

pub fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

pub fn windows(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once(',').and_then(|(short, day)| Some((short.parse().ok()?, day.parse().ok()?)));
    parsed
        .filter(|(short, day)| *short > 0 && day > short)
        .ok_or_else(|| "expected two numbers, such as 900,86400".to_string())
}

pub fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "expected a share below 1, such as 0.2".to_string())
}

pub fn duration(text: &str) -> Result<SignedDuration, String> {
    let day = SpanRelativeTo::days_are_24_hours();
    let parsed = text.parse::<Span>().ok().and_then(|span| span.to_duration(day).ok());
    parsed
        .filter(|d| !d.is_negative())
        .ok_or_else(|| "expected a duration, such as 90s, 15m, 2h or 7d".to_string())
}

/// Where it is told how fetches go; until it is dropped.
pub struct Observed {
    metrics: Option<Arc<Metrics>>,
    _server: Option<Server>,
}

/// Begins the log and the metrics, which a process has once.
pub fn observe(args: &Args) -> Result<Observed> {
    if let Some(path) = &args.log {
        super::log::begin(path)?;
    }
    let metrics = args.metrics.map(|_| Arc::new(Metrics::default()));
    let server = args.metrics.zip(metrics.clone()).map(|(address, metrics)| Server::start(address, metrics));
    let server = server.transpose()?;
    if let Some(server) = &server {
        say!("metrics at http://{}/metrics", server.address);
    }
    Ok(Observed { metrics, _server: server })
}

pub fn run(context: &Context, args: &Args) -> Result<Exit> {
    let lake = context.open()?;
    let (summary, exit) = run_on(&lake, args, &observe(args)?)?;
    if context.json {
        output::json(&summary)?;
    }
    describe(&summary);
    Ok(exit)
}

/// Fetches what the flags ask for.
pub fn run_on(lake: &Lake, args: &Args, observed: &Observed) -> Result<(Summary, Exit)> {
    let client = args.api.client()?;
    let priority = match &args.priority {
        Some(path) => std::fs::read_to_string(path).map_err(Error::io("read", path))?,
        None => String::new(),
    };
    let max_wait = if args.no_wait { Some(SignedDuration::ZERO) } else { args.max_wait };
    let options = Options {
        depth: args.depth,
        users: args.users.clone(),
        priority: priority.lines().map(str::trim).filter(|user| !user.is_empty()).map(String::from).collect(),
        app: args.api.app(),
        concurrency: args.concurrency as usize,
        per_second: args.per_second,
        reserve: args.reserve,
        max_wait: max_wait.map(unsigned),
        patience: unsigned(args.patience),
        max_requests: args.max_calls,
        max_age: args.max_age,
        whole_age: if args.whole_list { Some(args.max_age) } else { args.sweep },
        ignore_archives: args.ignore_archives,
        anew: args.refetch_before.map(|fetched_before| Anew {
            fetched_before,
            started_since: args.since.unwrap_or(Timestamp::MIN),
            ids: args.ids.clone(),
        }),
        short_window_s: args.api.windows.0,
        day_s: args.api.windows.1,
        metrics: observed.metrics.clone(),
    };
    let summary = fetch(lake, &client, &options)?;
    let exit = match &summary.stopped {
        Some(_) => Exit::StoppedAtQuota,
        None if !summary.failures.is_empty() => Exit::Incomplete,
        None if summary.parked > 0 || !summary.doubts.is_empty() || !summary.unknown.is_empty() => {
            Exit::DoneWithRejects
        }
        None => Exit::Done,
    };
    Ok((summary, exit))
}

fn unsigned(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or(Duration::ZERO)
}

/// Fetches with a progress bar.
pub fn fetch(lake: &Lake, client: &Client, options: &Options) -> Result<Summary> {
    let bar = output::bar(0, "  fetch {bar:30} {pos}/{len} answers, {eta} left · {msg}");
    let mut announced = None;
    let mut watch = |event: Event| show(&bar, &mut announced, &event);
    let summary = http::block_on(fetch::run(lake, client, options, &mut watch));
    bar.finish_and_clear();
    summary?
}

fn show(bar: &ProgressBar, announced: &mut Option<Timestamp>, event: &Event) {
    match event {
        Event::Landed { done, left, activities, budget } => {
            bar.set_length(done + left);
            bar.set_position(*done);
            let (short, day) = (budget.read.short, budget.read.day);
            bar.set_message(format!(
                "{} activities · budget left {} this window, {} today",
                output::count(*activities as u64),
                short.limit.saturating_sub(short.used),
                output::count(u64::from(day.limit.saturating_sub(day.used)))
            ));
        }
        Event::Waiting { why, left_s, until } => {
            let until_text = until.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC");
            let why = match why {
                Why::Window(window) => format!("the {window} window is spent"),
                Why::Outage(reason) => format!("the API does not answer well ({reason})"),
            };
            let text = format!("{why}: waiting {left_s} s, until {until_text}");
            bar.set_message(text.clone());
            // Where no bar is seen, each wait is said once.
            if !output::is_watched() && announced.is_none_or(|said| said < Timestamp::now()) {
                *announced = Some(*until);
                say!("{text}");
            }
        }
        Event::Parked { user_id, parked } => {
            bar.suspend(|| {
                let next = Timestamp::from_second(parked.next_s).map(output::minute).unwrap_or_default();
                say!(
                    "user {user_id}: {} of activity {} set aside until {next} UTC: {}",
                    parked.kind,
                    parked.id,
                    parked.reason
                );
            });
        }
        Event::Stopping => {
            bar.suspend(|| say!("stopping: waiting for the requests that are in flight"));
        }
        Event::Failed(failure) => {
            bar.suspend(|| say!("user {}: {}", failure.user_id, failure.reason));
        }
    }
}

/// What was planned beside what came of it, where they differ.
fn compare(s: &Summary) {
    let about = if s.planned.is_estimate { "about " } else { "" };
    let planned: u64 = s.planned.calls.values().sum();
    let kinds = endpoints::ALL.iter().map(|endpoint| endpoint.kind).filter_map(|kind| {
        let of = |calls: &BTreeMap<&str, u64>| calls.get(kind).copied().unwrap_or(0);
        let (planned, made) = (of(&s.planned.calls), of(&s.calls));
        (planned + made > 0)
            .then(|| format!("{kind} {} of {about}{}", output::count(made), output::count(planned)))
    });
    say!(
        "made {} of {about}{} planned ({})",
        output::count(s.calls.values().sum()),
        output::count_of(planned, "call", "calls"),
        kinds.collect::<Vec<_>>().join(", ")
    );
}

/// Why a list counts as not whole, and what comes of that.
pub fn say_doubt(doubted: &Doubted) {
    say!(
        "user {}: {}; nothing counts as gone by it, and a fetch after {} UTC walks the whole list again (`longrun fetch \
         --whole-list --max-age 0s` does now)",
        doubted.user_id,
        doubted.reason,
        output::minute(doubted.next)
    );
}

/// The summary for people.
pub fn describe(summary: &Summary) {
    let s = summary;
    let answers = endpoints::ALL.iter().map(|endpoint| {
        (s.answers.get(endpoint.answers).copied().unwrap_or(0), endpoint.answer, endpoint.answers)
    });
    let came = answers.chain([(s.gone, "not there", "not there"), (s.retries, "repeated", "repeated")]);
    let came: Vec<String> = came
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, more)| output::count_of(number, one, more))
        .collect();
    say!(
        "{} of {}; {} in {}{}{}",
        output::count_of(s.activities as u64, "activity", "activities"),
        output::count_of(s.accounts as u64, "account", "accounts"),
        output::count_of(s.requests, "call", "calls"),
        output::seconds(s.seconds),
        if came.is_empty() { "" } else { ": " },
        came.join(", "),
    );
    if s.calls != s.planned.calls.iter().filter(|(_, n)| **n > 0).map(|(k, n)| (*k, *n)).collect() {
        compare(s);
    }
    if s.waits > 0 {
        say!(
            "waited {} {} for a rate window, {} in all",
            s.waits,
            if s.waits == 1 { "time" } else { "times" },
            output::seconds(s.waited_s)
        );
    }
    say!("landed {}", output::bytes(s.landed_bytes));
    match &s.stopped {
        Some(Stop::Quota { window, until }) => {
            say!("stopped: the {window} window is spent; run the same command again after {until}");
        }
        Some(Stop::MaxRequests) => {
            say!("stopped after --max-calls; run the same command again to go on");
        }
        Some(Stop::Outage { reason }) => {
            say!(
                "stopped: the API did not answer well for longer than --patience ({reason}); run the same command again later"
            );
        }
        Some(Stop::Interrupted) => say!("stopped; run the same command again to go on"),
        None => {}
    }
    if s.parked > 0 {
        say!("{} set aside, listed above; a later run tries again", s.parked);
    }
    s.doubts.iter().for_each(say_doubt);
    if !s.unknown.is_empty() {
        say!("no list has {}; was it deleted, or is it another account's?", s.unknown.join(", "));
    }
    if s.mistaken > 0 {
        say!(
            "{} {} another athlete's tokens, listed above; nothing of them was kept",
            s.mistaken,
            if s.mistaken == 1 { "account has" } else { "accounts have" }
        );
    }
    if !s.failures.is_empty() {
        say!(
            "{} {} could not be fetched, listed above",
            s.failures.len(),
            if s.failures.len() == 1 { "account" } else { "accounts" }
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_to_weeks() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800), ("1w", 604_800)] {
            assert_eq!(duration(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        for text in ["", "7", "-1h", "1mo", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
