//! The command line: one file per command with its flags and its summary, and nothing else.
//!
//! stdout carries data, stderr is for people.

mod accounts;
mod connect;
mod dedupe;
#[cfg(feature = "testing")]
mod demo;
#[cfg(feature = "testing")]
mod emulate;
#[cfg(feature = "testing")]
mod evaluate;
mod fetch;
mod import;
mod normalize;
mod output;
mod pipeline;
mod reconcile;
mod redrive;
mod report;
mod stats;
#[cfg(feature = "testing")]
mod synth;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::say;

use crate::error::{Error, Result};
use crate::store::lake::Lake;

/// Export athletes' whole history from Strava inside its rate limits, bring in what other sources
/// have of it, normalize it all into Parquet, find the activities that are the same workout, and give
/// the live pipeline what it missed.
///
/// Try it without an account: `longrun demo`. For real: `longrun connect strava --user ID` (or
/// `longrun accounts add`), then `longrun fetch`, `longrun import auto PATH --user ID`,
/// `longrun normalize`, `longrun dedupe`, `longrun report`; and with the live pipeline's exports
/// `longrun pipeline import FILE`, `longrun reconcile`, `longrun redrive`. Every command can be stopped
/// at any instant and run again.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Cli {
    /// The folder that everything is kept in
    #[arg(long, global = true, env = "LONGRUN_LAKE", default_value = "lake", value_name = "DIR")]
    lake: PathBuf,
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
  3   done, but some records were not taken, or held back: see the rejects, or what was said
  75  stopped at a quota, of an API or a tier: run the same command again later";

#[derive(Debug, Subcommand)]
enum Command {
    /// Do the whole job on this machine, with an emulated Strava and invented people
    #[cfg(feature = "testing")]
    Demo(demo::Args),
    /// Let an athlete give consent in the browser, and keep the tokens
    Connect(connect::Args),
    /// Add, list, export or remove accounts
    Accounts(accounts::Args),
    /// Fetch what is missing of every account into the landing
    Fetch(fetch::Args),
    /// Bring in archives and files of other sources
    ///
    /// They are copied into the lake, once, and read by the next `normalize`. An archive that was
    /// imported before is passed over; one that has changed is another one, and its records come
    /// over the older ones.
    Import(import::Args),
    /// Tell what the live pipeline has: its users, runs and uploads
    #[command(alias = "ledger")]
    Pipeline(pipeline::Args),
    /// Turn what has landed and was imported into Parquet
    Normalize(normalize::Args),
    /// Find the activities that are the same workout, and make one row of each workout
    ///
    /// Every pair of activities that could be one is kept in `matches` with what speaks for it, and the
    /// workouts in `golden`, with what each field is from. Nothing is deleted. Only what has changed is done
    /// again.
    Dedupe(dedupe::Args),
    /// Write a page of what was found: totals, overlaps of sources, what to look at, conflicts, rejects
    Report(report::Args),
    /// Say what the live pipeline has of every workout, and what it never saw
    ///
    /// Wants the pipeline's exports (`longrun pipeline import`) and golden activities (`longrun dedupe`). Of each
    /// user: workouts that are there, there through another source (duplicate), uploaded by the pipeline itself
    /// (loop), blocked by the tier, failed, or missing.
    Reconcile(reconcile::Args),
    /// Give the live pipeline what it missed; a dry run unless --apply
    ///
    /// Oldest first of each user, at a pace, under ids that make a repeat overwrite the same run. Can be stopped
    /// at any instant and run again: what was delivered is never sent twice, and what may have arrived goes
    /// again under its id.
    Redrive(redrive::Args),
    /// Sum the activities per source, sport and year
    Stats,
    /// Serve an emulated API on this machine
    #[cfg(feature = "testing")]
    Emulate(emulate::Args),
    /// Write invented histories, without a server
    #[cfg(feature = "testing")]
    Synth(synth::Args),
}

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Done,
    /// Some of what was owed did not come; each was named.
    Incomplete,
    DoneWithRejects,
    StoppedAtQuota,
}

/// What every command is given.
struct Context {
    lake: PathBuf,
    json: bool,
}

impl Context {
    fn open(&self) -> Result<Lake> {
        Lake::open(&self.lake)
    }

    fn open_or_create(&self) -> Result<Lake> {
        Lake::open_or_create(&self.lake)
    }
}

impl Cli {
    pub fn run(self) -> ExitCode {
        let context = Context { lake: self.lake, json: self.json };
        let ended = match self.command {
            #[cfg(feature = "testing")]
            Command::Demo(args) => demo::run(&context, args),
            Command::Connect(args) => connect::run(&context, args),
            Command::Accounts(args) => accounts::run(&context, args),
            Command::Fetch(args) => fetch::run(&context, args),
            Command::Import(args) => import::run(&context, args),
            Command::Pipeline(args) => pipeline::run(&context, args),
            Command::Normalize(args) => normalize::run(&context, args),
            Command::Dedupe(args) => dedupe::run(&context, args),
            Command::Report(args) => report::run(&context, args),
            Command::Reconcile(args) => reconcile::run(&context, args),
            Command::Redrive(args) => redrive::run(&context, args),
            Command::Stats => stats::run(&context),
            #[cfg(feature = "testing")]
            Command::Emulate(args) => emulate::run(args),
            #[cfg(feature = "testing")]
            Command::Synth(args) => synth::run(&context, args),
        };
        let code = match ended {
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
}
