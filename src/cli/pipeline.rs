//! `longrun pipeline`

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;

use super::output::say;
use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::fitglue::{self, Imported};
use crate::store::lake::Lake;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Import exports of the pipeline's database, as JSON or JSON lines
    ///
    /// Users (tier, sync_count_this_month, pipelines), runs (source_activity_id, status), and uploaded
    /// activities (destination, destination_id, start_time), each with its user_id or its path, in one file or in
    /// many. What the pipeline itself wrote to Strava or Hevy is marked `uploaded_by_pipeline` by the next
    /// `normalize`.
    Import {
        /// Exports, in any order; `[]` says that there is nothing
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let Action::Import { files } = args.action;
    let lake = context.open_or_create()?;
    let mut total = Imported::default();
    for file in &files {
        let imported = import(&lake, file)?;
        total.entries += imported.entries;
        total.uploads += imported.uploads;
        total.runs += imported.runs;
        total.runs_of_unknown_status += imported.runs_of_unknown_status;
        total.users += imported.users;
        total.pipelines += imported.pipelines;
        total.new += imported.new;
        total.refused.extend(imported.refused.into_iter().map(|what| format!("{}, {what}", file.display())));
    }
    if context.json {
        output::json(&total)?;
    }
    output::complaints(&total.refused);
    describe(&total);
    Ok(if total.refused.is_empty() { Exit::Done } else { Exit::DoneWithRejects })
}

/// Imports one export.
pub fn import(lake: &Lake, file: &PathBuf) -> Result<Imported> {
    let input = File::open(file).map_err(Error::io("read", file))?;
    let now = Timestamp::now();
    let written = input.metadata().and_then(|metadata| metadata.modified()).ok();
    let written = written.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or(now);
    fitglue::import(lake, &file.display().to_string(), BufReader::new(input), written, now)?
        .map_err(|cut| Error::Usage(format!("{}: {cut}", file.display())))
}

pub fn describe(imported: &Imported) {
    let i = imported;
    let of = |count: u64, one: &str, many: &str| {
        format!("{} {}", output::count(count), if count == 1 { one } else { many })
    };
    say!(
        "imported {}, {}, {} and {} ({} new)",
        of(i.runs, "run", "runs"),
        of(i.uploads, "upload", "uploads"),
        of(i.users, "user", "users"),
        of(i.pipelines, "pipeline", "pipelines"),
        output::count(i.new)
    );
    if i.runs_of_unknown_status > 0 {
        let (runs, their) = if i.runs_of_unknown_status == 1 {
            ("run is", "its activity is")
        } else {
            ("runs are", "their activities are")
        };
        say!(
            "{} {runs} in a state that this longrun does not know; {their} left alone",
            output::count(i.runs_of_unknown_status)
        );
    }
    if i.uploads > 0 {
        say!("`longrun normalize` marks what the pipeline uploaded itself");
    }
}
