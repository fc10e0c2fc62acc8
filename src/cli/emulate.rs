//! `longrun emulate strava`

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use super::output::say;
use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::store::local;
use crate::testing::emulator::{Config, Emulator, History, Limits, Recorded, Scenario, Synthetic, limits};
use crate::testing::synth;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// Strava API v3, until this is stopped
    Strava(Strava),
    /// Weeks of fetching in seconds: the real scheduler under a virtual clock, against limits and live traffic
    Schedule(super::simulate::Args),
}

#[derive(Debug, clap::Args)]
struct Strava {
    /// The loopback port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Serve this folder of recorded bodies instead of invented people
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    #[command(flatten)]
    people: People,
    /// Requests per window: overall short and day, read short and day
    #[arg(long, default_value = "200,2000,100,1000", value_name = "N,N,N,N", value_parser = limits::four)]
    limits: [u32; 4],
    /// Lengths of the rate windows in seconds
    #[arg(long, default_value = "900,86400", value_name = "SHORT,DAY", value_parser = super::fetch::windows)]
    windows: (u32, u32),
    /// Seconds that an access token lives
    #[arg(long, default_value_t = 21_600, value_name = "SECONDS")]
    token_lifetime: u64,
    /// A file of what goes wrong, what athletes change and what else spends the limits; docs/emulator.md shows one
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Give shorter pages than asked for
    #[arg(long)]
    short_pages: bool,
    /// Write the accounts here, as `longrun accounts add` reads them
    #[arg(long, value_name = "FILE")]
    accounts_file: Option<PathBuf>,
    /// Write each request here with the status of its answer, as lines of JSON
    #[arg(long, value_name = "FILE")]
    requests_file: Option<PathBuf>,
    /// Write here what a reader must come to, per user
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    truth_file: Option<PathBuf>,
}

/// Who is invented.
#[derive(Debug, Clone, clap::Args)]
pub struct People {
    /// The same seed gives the same people
    #[arg(long, default_value_t = synth::Options::default().seed)]
    pub seed: u64,
    /// How many people
    #[arg(long, default_value_t = synth::Options::default().users, value_name = "N")]
    pub users: u32,
    /// Activities of each
    #[arg(long, default_value_t = synth::Options::default().activities, value_name = "N")]
    pub activities: u32,
}

impl People {
    pub fn options(&self) -> synth::Options {
        synth::Options { seed: self.seed, users: self.users, activities: self.activities }
    }
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let args = match args.source {
        Source::Strava(args) => args,
        Source::Schedule(args) => return super::simulate::run(context, args),
    };
    let history: Box<dyn History> = match &args.from {
        Some(folder) => {
            let recorded = Recorded::open(folder)?;
            for path in &recorded.skipped {
                say!("not an activity or its streams, left alone: {}", path.display());
            }
            Box::new(recorded)
        }
        None => {
            let people = synth::people(args.people.options());
            if let Some(file) = &args.truth_file {
                let truth: Vec<_> = people.iter().map(synth::strava::totals).collect();
                write_lines(file, &truth)?;
            }
            Box::new(Synthetic::new(people))
        }
    };
    let [overall_short, overall_day, read_short, read_day] = args.limits;
    let (short_window_s, day_s) = args.windows;
    let scenario = args.scenario.as_deref().map(Scenario::open).transpose()?.unwrap_or_default();
    let create = |path: &PathBuf| std::fs::File::create(path).map_err(Error::io("create", path));
    let config = Config {
        port: args.port,
        limits: Limits { overall_short, overall_day, read_short, read_day, short_window_s, day_s },
        token_lifetime: Duration::from_secs(args.token_lifetime),
        short_pages: args.short_pages,
        clock_offset_s: scenario.clock_offset_s,
        latency: scenario.latency(),
        old_tokens: scenario.old_tokens,
        scenario,
        requests_file: args.requests_file.as_ref().map(create).transpose()?,
        ..Config::default()
    };
    let (client_id, client_secret) = (config.client_id.clone(), config.client_secret.clone());
    let emulator = Emulator::start(config, history)?;
    if let Some(file) = &args.accounts_file {
        write_lines(file, &emulator.accounts())?;
    }
    // As a shell would set them: `eval` this and `longrun fetch` talks to the emulator.
    output::print(&format!(
        "export LONGRUN_STRAVA_URL={}\nexport LONGRUN_STRAVA_OAUTH_URL={}\nexport LONGRUN_STRAVA_WINDOWS={short_window_s},{day_s}\n\
         export LONGRUN_STRAVA_CLIENT_ID={client_id}\nexport LONGRUN_STRAVA_CLIENT_SECRET={client_secret}",
        emulator.base_url(),
        emulator.oauth_url()
    ))?;
    say!("serving until this is stopped (Ctrl-C)");
    loop {
        std::thread::park();
    }
}

fn write_lines(path: &PathBuf, lines: &[impl serde::Serialize]) -> Result<()> {
    let path = std::path::absolute(path).map_err(Error::io("find", path))?;
    local::replace(&path, |out| {
        use std::io::Write;
        lines.iter().try_for_each(|line| {
            serde_json::to_writer(&mut *out, line)?;
            out.write_all(b"\n")
        })
    })
    .map(drop)
}
