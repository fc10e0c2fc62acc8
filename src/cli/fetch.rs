//! `longrun fetch`

use std::num::NonZeroU32;
use std::time::Duration;

use indicatif::ProgressBar;
use jiff::SignedDuration;

use super::output::say;
use super::{Context, Exit, output};
use crate::error::Result;
use crate::fetch::client::{App, Client};
use crate::fetch::walk::Depth;
use crate::fetch::{self, Event, Options, Stop, Summary};
use crate::http;
use crate::store::lake::Lake;
use crate::store::state::accounts::Secret;

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
    /// Share of a full rate window that is left to others using the same application; the
    /// nearer the reset, the less of it is kept
    #[arg(long, default_value_t = 0.2, value_name = "SHARE", value_parser = share)]
    reserve: f64,
    /// Stop with exit code 75 instead of waiting longer than this for a rate window
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    max_wait: Option<SignedDuration>,
    /// Stop with exit code 75 after this many requests
    #[arg(long, value_name = "N")]
    max_requests: Option<u64>,
    /// A list that was walked to its end within this time is not asked for again
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = duration)]
    max_age: SignedDuration,
    /// Walk the whole list again, not only its newest part
    #[arg(long)]
    whole_list: bool,
    /// Ask also for the whole of what an imported archive has, which has no segment efforts
    #[arg(long)]
    ignore_archives: bool,
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

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "expected a share below 1, such as 0.2".to_string())
}

pub fn duration(text: &str) -> Result<SignedDuration, String> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    parsed
        .filter(|d| !d.is_negative())
        .ok_or_else(|| "expected a duration, such as 90s, 15m or 2h".to_string())
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let lake = context.open()?;
    let client = args.api.client()?;
    let options = Options {
        depth: args.depth,
        users: args.users,
        app: args.api.app(),
        concurrency: args.concurrency as usize,
        per_second: args.per_second,
        reserve: args.reserve,
        max_wait: args.max_wait.map(|wait| Duration::try_from(wait).unwrap_or(Duration::ZERO)),
        max_requests: args.max_requests,
        max_age: args.max_age,
        whole_list: args.whole_list,
        ignore_archives: args.ignore_archives,
        short_window_s: args.api.windows.0,
        day_s: args.api.windows.1,
    };
    let summary = fetch(&lake, &client, &options)?;
    if context.json {
        output::json(&summary)?;
    }
    describe(&summary);
    Ok(match (&summary.stopped, summary.failures.is_empty()) {
        (Some(_), _) => Exit::StoppedAtQuota,
        (None, false) => Exit::Incomplete,
        (None, true) => Exit::Done,
    })
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

fn show(bar: &ProgressBar, announced: &mut Option<jiff::Timestamp>, event: &Event) {
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
        Event::Waiting { window, left_s, until } => {
            let until = until.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC");
            bar.set_message(format!("the {window} window is spent: waiting {left_s} s, until {until}"));
            // Where no bar is seen, each wait is said once.
            if !output::is_watched() && announced.is_none_or(|said| said < jiff::Timestamp::now()) {
                *announced = jiff::Timestamp::now().checked_add(SignedDuration::from_secs(*left_s)).ok();
                say!("the {window} window is spent: waiting {left_s} s, until {until}");
            }
        }
        Event::Failed(failure) => {
            bar.suspend(|| say!("user {}: {}", failure.user_id, failure.reason));
        }
    }
}

/// The summary for people.
pub fn describe(summary: &Summary) {
    let s = summary;
    say!(
        "fetched {} activities of {} accounts with {} requests in {} ({} pages, {} details, {} streams, {} gone; {} retries)",
        output::count(s.activities as u64),
        output::count(s.accounts as u64),
        output::count(s.requests),
        output::seconds(s.seconds),
        output::count(s.pages),
        output::count(s.details),
        output::count(s.streams),
        output::count(s.gone),
        output::count(s.retries),
    );
    say!(
        "waited {} times for a rate window, {} together; landed {}",
        s.waits,
        output::seconds(s.waited_s),
        output::bytes(s.landed_bytes)
    );
    match &s.stopped {
        Some(Stop::Quota { window, until }) => {
            say!("stopped: the {window} window is spent; run the same command again after {until}");
        }
        Some(Stop::MaxRequests) => {
            say!("stopped after --max-requests; run the same command again to go on");
        }
        None => {}
    }
    if !s.failures.is_empty() {
        say!("{} things did not come; each is named above", s.failures.len());
    }
}
