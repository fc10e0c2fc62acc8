//! `longrun emulate schedule`

use std::path::PathBuf;

use super::output::say;
use super::{Context, Exit, fetch, output};
use crate::error::{Error, Result};
use crate::sources::strava::endpoints::Depth;
use crate::testing::emulator::{Limits, limits};
use crate::testing::simulation::{Options, Outcome, picture, run as simulate};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The same seed gives the same weeks
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many accounts
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    accounts: usize,
    /// Activities of all accounts together
    #[arg(long, default_value_t = 5_000_000, value_name = "N")]
    activities: u64,
    #[arg(long, default_value_t = 28, value_name = "N")]
    days: u32,
    /// How much of every activity
    #[arg(long, value_enum, default_value = "streams")]
    depth: Depth,
    /// Requests per window: overall short and day, read short and day
    #[arg(long, default_value = "600,60000,300,30000", value_name = "N,N,N,N", value_parser = limits::four)]
    limits: [u32; 4],
    /// Share of a full rate window that is left to others; learned, where it is not given
    #[arg(long, value_name = "SHARE", value_parser = fetch::share)]
    reserve: Option<f64>,
    /// Share of the read limit of a day that others use, on average
    #[arg(long, default_value_t = 0.1, value_name = "SHARE", value_parser = fetch::share)]
    live: f64,
    /// Draw the budget over the days here, as SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let [overall_short, overall_day, read_short, read_day] = args.limits;
    let limits = Limits { overall_short, overall_day, read_short, read_day, ..Limits::default() };
    let options = Options {
        seed: args.seed,
        accounts: args.accounts,
        activities: args.activities,
        days: args.days,
        depth: args.depth,
        limits,
        reserve: args.reserve,
        live: args.live,
    };
    let begin = std::time::Instant::now();
    let outcome = simulate(&options);
    if let Some(file) = &args.picture {
        let windows = 3_600 / limits.short_window_s;
        let svg = picture::svg(&outcome.hours, u64::from(limits.read_short * windows));
        std::fs::write(file, svg).map_err(Error::io("write", file))?;
    }
    if context.json {
        output::json(&outcome)?;
    } else {
        output::print(table(&outcome).trim_end())?;
    }
    describe(&options, &outcome, begin.elapsed().as_secs_f64());
    Ok(Exit::Done)
}

fn table(outcome: &Outcome) -> String {
    let rows: Vec<Vec<String>> = outcome
        .days
        .iter()
        .enumerate()
        .filter(|(_, day)| day.left_by_live > 0)
        .map(|(number, day)| {
            let mut row = vec![number.to_string()];
            row.extend([day.live, day.left_by_live, day.calls].map(output::count));
            row.push(format!("{:.2} %", 100.0 * day.calls as f64 / day.left_by_live as f64));
            row
        })
        .collect();
    output::table(&["day", "live calls", "left to us", "used", "share"], &rows)
}

fn describe(options: &Options, outcome: &Outcome, seconds: f64) {
    let o = outcome;
    say!(
        "seed {}: {} days of {} accounts with {} activities in {}",
        options.seed,
        options.days,
        output::count(options.accounts as u64),
        output::count(options.activities),
        output::seconds(seconds)
    );
    say!(
        "{} calls: {:.2} % of what live traffic left, {:.2} % of that without the room still kept for it at the reset",
        output::count(o.calls),
        100.0 * o.share_of_left_by_live,
        100.0 * o.share_of_left_by_reserve
    );
    say!("{} refused for the rate, {} brought nothing", output::count(o.refused), output::count(o.wasted));
    say!(
        "{} live calls: {} found no room because of ours, {} would have found none anyway",
        output::count(o.live_calls),
        output::count(o.live_refused),
        output::count(o.live_beyond)
    );
    say!(
        "{} lists known, half of them after {:.1} h, the last after {:.1} h",
        output::count(o.lists_done as u64),
        o.list_hours_median,
        o.list_hours_last
    );
    say!(
        "accounts with work left were given between {} and {} calls",
        output::count(o.fewest_calls),
        output::count(o.most_calls)
    );
    say!("{:.2} µs for a decision", 1e6 * seconds / o.decisions.max(1) as f64);
}
