//! `longrun ledger`

use std::path::PathBuf;

use clap::Subcommand;

use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::ledger;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Take in the pipeline's uploaded activities, as JSON or JSON lines
    ///
    /// What the pipeline itself wrote to Strava or Hevy is then marked `uploaded_by_pipeline` by
    /// the next `normalize`. Entries name a user_id, a destination with a destination_id, or, while the
    /// upload is pending, a start_time.
    Import { file: PathBuf },
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let Action::Import { file } = args.action;
    let text = std::fs::read_to_string(&file).map_err(Error::io("read", &file))?;
    let imported = ledger::import(&context.open_or_create()?, &text)?;
    if context.json {
        output::json(&imported)?;
    }
    let placed: Vec<String> =
        imported.refused.iter().map(|what| format!("{}, {what}", file.display())).collect();
    output::complaints(&placed);
    eprintln!(
        "took in {} entries, {} of them new; `longrun normalize` marks what they uploaded",
        output::count(imported.entries),
        output::count(imported.new)
    );
    Ok(if imported.refused.is_empty() { Exit::Done } else { Exit::DoneWithRejects })
}
