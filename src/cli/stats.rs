//! `longrun stats`

use std::path::PathBuf;

use clap::Subcommand;
use jiff::civil::Date;

use super::output::say;
use super::{Context, Exit, output, task};
use crate::dedupe::Gone;
use crate::error::{Error, Result};
use crate::stats::{self, Capacity, Counting, Filter, Key, Sheet};
use crate::store::each::Gathered;
use crate::store::lake::Lake;
use crate::tasks::{Stats, Step};

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
    #[command(flatten)]
    task: task::Args,
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

/// The table that was asked for.
struct Asked {
    what: Option<What>,
    by: Vec<Key>,
    filter: Filter,
    capacity: Capacity,
}

impl Asked {
    fn sheet(&self, lake: &Lake) -> Result<Gathered<Sheet>> {
        match self.what {
            None => stats::sums(lake, &self.by, &self.filter, self.capacity),
            Some(What::Efforts) => stats::efforts(lake, &self.filter),
            Some(What::Streaks) => stats::streaks(lake, &self.filter),
            Some(What::Eddington) => stats::eddington(lake, &self.filter),
        }
    }

    /// Where a run keeps it.
    fn folder(&self) -> &'static str {
        match self.what {
            None => "stats",
            Some(What::Efforts) => "stats-efforts",
            Some(What::Streaks) => "stats-streaks",
            Some(What::Eddington) => "stats-eddington",
        }
    }
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let gone = if args.chosen.with_gone { Gone::Counted } else { Gone::LeftOut };
    let filter = Filter {
        users: args.chosen.users,
        since: args.chosen.since,
        until: args.chosen.until,
        sport: args.chosen.sport,
        buckets: Vec::new(),
        counting: if args.chosen.told { Counting::Told(gone) } else { Counting::Once },
    };
    let capacity = Capacity {
        resting_bpm: args.capacity.resting_heart_rate,
        highest_bpm: args.capacity.highest_heart_rate,
        threshold_w: args.capacity.threshold_power,
    };
    let asked = Asked { what: args.what, by: args.by, filter, capacity };
    if let Some(id) = args.task.run_id() {
        // A line of one person is of one bucket; others would have to be summed again.
        if asked.what.is_none() && !asked.by.contains(&Key::User) {
            return Err(Error::Usage(
                "the lines of a task are each of one user: add user to --by".to_string(),
            ));
        }
        let sheet = |lake: &Lake| asked.sheet(lake)?.all();
        return task::run(
            context,
            &args.task,
            id,
            &Step::Stats(Stats { name: asked.folder(), sheet: &sheet }),
        );
    }
    let lake = context.open_anywhere()?;
    let some = args.task.some(&lake)?;
    let asked = Asked { filter: Filter { buckets: some, ..asked.filter }, ..asked };
    let Gathered { of_rest: sheet, failed } = asked.sheet(&lake)?;
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
    output::left_out(&failed);
    Ok(Exit::of(failed.is_empty()))
}

/// For people.
pub fn table(sheet: &Sheet) -> String {
    let (head, rows) = sheet.shown();
    output::table(&head, &rows)
}
