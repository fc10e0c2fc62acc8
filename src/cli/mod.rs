//! The command line: one file per command with its flags and its summary, and nothing else.
//!
//! stdout carries data, stderr is for people.

mod accounts;
#[cfg(feature = "testing")]
mod bench;
#[cfg(feature = "testing")]
mod cast;
mod connect;
mod dedupe;
#[cfg(feature = "testing")]
mod demo;
#[cfg(unix)]
mod doctor;
#[cfg(feature = "testing")]
mod emulate;
#[cfg(feature = "testing")]
mod evaluate;
mod export;
mod fetch;
mod import;
mod inbox;
mod install;
mod lake;
mod log;
mod normalize;
mod odds;
mod output;
mod pipeline;
mod plan;
mod purge;
mod reconcile;
mod redrive;
mod redrive_said;
mod redrive_status;
mod report;
mod run;
mod run_tasks;
#[cfg(feature = "testing")]
mod simulate;
mod stats;
mod status;
mod store_status;
#[cfg(feature = "testing")]
mod synth;
mod task;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};

use output::say;

use crate::error::{Error, Result};
use crate::store::lake::Lake;
use crate::store::place::Place;

/// Export athletes' whole history from Strava within its rate limits, add their history from other
/// sources, and turn it all into one Parquet dataset with each workout counted once
///
/// Try it without an account: `longrun demo`.
///
/// For real: `longrun connect strava --user ID` (or `longrun accounts add FILE`), `longrun fetch`,
/// `longrun import auto PATH --user ID`, `longrun normalize`, `longrun dedupe`, `longrun report`.
/// With the live pipeline's exports: `longrun pipeline import FILE`, `longrun reconcile`,
/// `longrun redrive`.
///
/// You can stop any command at any instant and run it again.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Cli {
    /// The folder that holds all data; for tasks on many machines a bucket: gs://…, s3://…
    #[arg(long, global = true, env = "LONGRUN_LAKE", default_value = "lake", value_name = "DIR|URL", value_parser = place())]
    lake: Place,
    /// Print the result as JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   failed
  2   wrong usage
  3   done, with rejects or with messages held back: each reason is printed
  75  stopped at a quota (of an API or a tier): run the same command again later";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every stage on this machine, with an emulated Strava and invented people
    #[cfg(feature = "testing")]
    Demo(demo::Args),
    /// Connect an athlete's account through the browser
    Connect(connect::Args),
    /// Add, list, export or remove accounts
    Accounts(accounts::Args),
    /// Preview what a fetch would cost: calls by kind, days, and when it would be done
    Plan(plan::Args),
    /// Fetch what is still missing from every account
    Fetch(Box<fetch::Args>),
    /// Show where every account stands: how fresh, what is fetched, what is owed, what was refused
    Status(status::Args),
    /// Check that the lake is sound: checksums of landing and archives, rows against landing
    Verify(verify::Args),
    /// Forget a user: no byte of theirs stays in the lake; only a preview without --apply
    Purge(purge::Args),
    /// Do whatever is due, in order: fetch, import, normalize, dedupe, report, reconcile
    ///
    /// What is not set up is left out: without accounts nothing is fetched, without --inbox nothing is imported, without
    /// the pipeline's exports nothing is reconciled. A stage that fails does not stop the others. Nothing waits for a
    /// rate window, unless --max-wait says so: what is left is fetched by the next run. Nothing is sent anywhere.
    Run(Box<run::Args>),
    /// Import account exports and device files of any source
    ///
    /// Each archive is copied into the lake once; the next `normalize` reads it. An archive that was
    /// imported before is skipped. If it has changed since, its records replace the older ones.
    Import(import::Args),
    /// Import what the live pipeline has: its users, runs and uploads
    #[command(alias = "ledger")]
    Pipeline(pipeline::Args),
    /// Turn everything that was fetched and imported into Parquet
    Normalize(normalize::Args),
    /// Find the records of the same workout, and write one row per workout
    ///
    /// `matches` keeps every pair that was compared, with the evidence; `golden` has the workouts, with the
    /// origin of each field. Nothing is deleted. Only what has changed is done again.
    Dedupe(dedupe::Args),
    /// Write a web page with totals, overlaps, pairs to review, conflicts and rejects
    Report(report::Args),
    /// Write workouts as files that other tools open: CSV, GeoJSON, GeoParquet, GPX, FIT; or all of a user as a zip
    ///
    /// Each workout counts once. Points of GPX have times, heart rate and power where samples are there.
    Export(export::Args),
    /// Compare the workouts with what the live pipeline has
    ///
    /// Run `longrun pipeline import` and `longrun dedupe` first. Counts for each user the workouts that are there,
    /// there through another source (duplicate), uploaded by the pipeline itself (loop), in an unknown state
    /// (unclear), blocked by the tier, failed, or missing.
    Reconcile(reconcile::Args),
    /// Send the live pipeline what it missed; only a preview without --apply
    ///
    /// Sends each user's oldest workouts first, at a set pace, under ids that make a repeat overwrite the same run.
    /// What was delivered is never sent again; what may have arrived is sent again under the same id.
    Redrive(Box<redrive::Args>),
    /// Sum the workouts by year, sport and more; best efforts, streaks, Eddington numbers
    ///
    /// Each workout counts once, on the day of the athlete's own calendar. `heart_load` is Banister's TRIMP: minutes ×
    /// r × 0.64 × e^(1.92 r), where r is the share of the reserve between the resting and the highest heart rate.
    /// `power_load` is Coggan's: hours × (weighted power ÷ threshold power)² × 100. What is said per week is divided by
    /// the weeks from the first to the last day of the line.
    Stats(Box<stats::Args>),
    /// Copy a lake to an object store and back; make one, or change how many buckets it has
    Lake(lake::Args),
    /// Check the disk, the clock, the lake, keys, the network and the pipeline's exports, and say what to do
    #[cfg(unix)]
    Doctor(doctor::Args),
    /// Print what completes longrun's commands in a shell
    ///
    /// `longrun completions bash > /etc/bash_completion.d/longrun`, and likewise for zsh, fish, elvish and PowerShell.
    Completions(install::Completions),
    /// Write a man page for each command
    Man(install::Man),
    /// Measure `normalize` beside DuckDB, Polars and pyarrow on this machine, and check its output
    ///
    /// Invents activities, installs the others from PyPI in an environment of its own, lets all take turns, and prints
    /// medians of whole processes with their spread.
    #[cfg(feature = "testing")]
    Bench(bench::Args),
    /// Run an emulated Strava on this machine, or try the scheduler on weeks of it
    #[cfg(feature = "testing")]
    Emulate(emulate::Args),
    /// Write invented histories as files
    #[cfg(feature = "testing")]
    Synth(synth::Args),
}

/// How a command ended, unless it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Done,
    /// Some of what was owed did not come; each is named on stderr.
    Incomplete,
    DoneWithRejects,
    StoppedAtQuota,
}

impl Exit {
    fn of(is_whole: bool) -> Exit {
        if is_whole { Exit::Done } else { Exit::Incomplete }
    }
}

/// The options that every command has.
struct Context {
    lake: Place,
    json: bool,
}

impl Context {
    /// The lake's folder, for commands that need one: what they write is of one machine.
    fn folder(&self) -> Result<&Path> {
        match &self.lake {
            Place::Folder(folder) => Ok(folder),
            Place::Url(url) => Err(Error::Usage(format!(
                "this command works on a lake in a folder: bring {url} here with `longrun --lake FOLDER lake pull {url}`"
            ))),
        }
    }

    fn open(&self) -> Result<Lake> {
        Lake::open(self.folder()?)
    }

    /// For commands that read only what lies in the store.
    fn open_anywhere(&self) -> Result<Lake> {
        Lake::open_at(&self.lake)
    }

    fn open_or_create(&self) -> Result<Lake> {
        Lake::open_or_create(self.folder()?)
    }
}

/// Reads where a lake is.
fn place() -> impl TypedValueParser<Value = Place> {
    OsStringValueParser::new().try_map(Place::named)
}

impl Cli {
    pub fn run(self) -> ExitCode {
        let code = match self.end() {
            Ok(Exit::Done) => 0,
            Ok(Exit::Incomplete) => 1,
            Ok(Exit::DoneWithRejects) => 3,
            Ok(Exit::StoppedAtQuota) => 75,
            Err(error) => {
                say!("error: {error}");
                if matches!(error, Error::Usage(_)) { 2 } else { 1 }
            }
        };
        ExitCode::from(code)
    }

    fn end(self) -> Result<Exit> {
        let context = Context { lake: self.lake, json: self.json };
        match self.command {
            #[cfg(feature = "testing")]
            Command::Demo(args) => demo::run(&context, args),
            Command::Connect(args) => connect::run(&context, args),
            Command::Accounts(args) => accounts::run(&context, args),
            Command::Plan(args) => plan::run(&context, args),
            Command::Fetch(args) => fetch::run(&context, &args),
            Command::Run(args) => run::run(&context, *args),
            Command::Status(args) => status::run(&context, args),
            Command::Verify(args) => verify::run(&context, &args),
            Command::Purge(args) => purge::run(&context, args),
            Command::Import(args) => import::run(&context, args),
            Command::Pipeline(args) => pipeline::run(&context, args),
            Command::Normalize(args) => normalize::run(&context, args),
            Command::Dedupe(args) => dedupe::run(&context, args),
            Command::Report(args) => report::run(&context, args),
            Command::Export(args) => export::run(&context, args),
            Command::Reconcile(args) => reconcile::run(&context, args),
            Command::Redrive(args) => redrive::run(&context, *args),
            #[cfg(unix)]
            Command::Doctor(args) => doctor::run(&context, &args),
            Command::Lake(args) => lake::run(&context, args),
            Command::Stats(args) => stats::run(&context, *args),
            Command::Completions(args) => install::completions(&args),
            Command::Man(args) => install::man(&args),
            #[cfg(feature = "testing")]
            Command::Bench(args) => bench::run(&context, &args),
            #[cfg(feature = "testing")]
            Command::Emulate(args) => emulate::run(&context, args),
            #[cfg(feature = "testing")]
            Command::Synth(args) => synth::run(&context, args),
        }
    }
}
