//! `longrun stats`

use std::path::PathBuf;

use clap::Subcommand;
use jiff::civil::Date;

use super::output::say;
use super::{Context, Exit, output};
use crate::dedupe::Gone;
use crate::error::Result;
use crate::stats::{self, Capacity, Counting, Filter, Key, Sheet};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Group by these, in this order
    #[arg(long, value_enum, value_delimiter = ',', default_value = "year,sport", value_name = "KEY,…")]
    by: Vec<Key>,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    capacity: CapacityArgs,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Best efforts of each user: shortest times, longest ways, most power
    ///
    /// From the samples of device files and of `fetch --depth streams`. Breaks count, as they do in a race.
    Efforts,
    /// Days and weeks in a row with a workout
    Streaks,
    /// The Eddington number of each user: the most days that each had at least as many kilometres (or miles)
    Eddington,
}

#[derive(Debug, clap::Args)]
struct Chosen {
    /// Only this user; can be given several times
    #[arg(long = "user", value_name = "ID", global = true)]
    users: Vec<String>,
    /// Only from this day on, in the athlete's calendar
    #[arg(long, value_name = "DATE", global = true)]
    since: Option<Date>,
    /// Only up to this day
    #[arg(long, value_name = "DATE", global = true)]
    until: Option<Date>,
    /// Only this sport, such as trail_run, or family of sports: run, ride, walk, swim, snow, gym, …
    #[arg(long, value_name = "SPORT", global = true)]
    sport: Option<String>,
    /// Count every record of every source, and not each workout once
    #[arg(long, global = true)]
    told: bool,
    /// With --told: count also what its source no longer has, or no longer shows
    #[arg(long, requires = "told", global = true)]
    with_gone: bool,
}

#[derive(Debug, clap::Args)]
struct CapacityArgs {
    /// For the load by heart rate: the athlete's resting heart rate; 60 by default
    #[arg(long, value_name = "BPM")]
    resting_heart_rate: Option<f64>,
    /// For the load by heart rate: the athlete's highest; by default what at least three workouts reached
    #[arg(long, value_name = "BPM")]
    highest_heart_rate: Option<f64>,
    /// For the load by power: what the athlete holds for an hour; by default the most weighted power of 45 minutes or
    /// longer
    #[arg(long, value_name = "WATTS")]
    threshold_power: Option<f64>,
}

#[derive(Debug, clap::Args)]
struct Form {
    /// Print as CSV
    #[arg(long, conflicts_with = "json", global = true)]
    csv: bool,
    /// Write to this Parquet file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["csv", "json"], global = true)]
    parquet: Option<PathBuf>,
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let lake = context.open()?;
    let gone = if args.chosen.with_gone { Gone::Counted } else { Gone::LeftOut };
    let filter = Filter {
        users: args.chosen.users,
        since: args.chosen.since,
        until: args.chosen.until,
        sport: args.chosen.sport,
        counting: if args.chosen.told { Counting::Told(gone) } else { Counting::Once },
    };
    let sheet = match args.what {
        None => {
            let capacity = Capacity {
                resting_bpm: args.capacity.resting_heart_rate,
                highest_bpm: args.capacity.highest_heart_rate,
                threshold_w: args.capacity.threshold_power,
            };
            stats::sums(&lake, &args.by, &filter, capacity)?
        }
        Some(What::Efforts) => stats::efforts(&lake, &filter)?,
        Some(What::Streaks) => stats::streaks(&lake, &filter)?,
        Some(What::Eddington) => stats::eddington(&lake, &filter)?,
    };
    match args.form.parquet {
        Some(path) => {
            sheet.write_parquet(&path)?;
            say!("wrote {} to {}", output::count_of(sheet.len() as u64, "line", "lines"), path.display());
        }
        None if context.json => output::json(&sheet)?,
        None if args.form.csv => output::print(sheet.csv().trim_end())?,
        None if sheet.is_empty() => say!("nothing to count"),
        None => output::print(table(&sheet).trim_end())?,
    }
    Ok(Exit::Done)
}

/// For people.
pub fn table(sheet: &Sheet) -> String {
    let (head, rows) = sheet.shown();
    output::table(&head, &rows)
}
