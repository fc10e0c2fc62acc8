//! `longrun synth`

use std::path::PathBuf;

use clap::Subcommand;

use super::emulate::People;
use super::output::say;
use super::{Context, Exit, output};
use crate::error::Result;
use crate::sources::Source;
use crate::testing::synth;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Land the lists of invented people, as a fetch would have, in a new lake
    Landing {
        #[command(flatten)]
        people: People,
    },
    /// Make the activities of invented people in a new lake, as `normalize` would have, and write the truth
    /// of which are the same workout
    Activities {
        #[command(flatten)]
        people: People,
        /// Where to write which of them are the same workout, as JSON lines
        truth: PathBuf,
    },
    /// Write the list entries of invented people as JSON lines, one activity a line
    Ndjson {
        #[command(flatten)]
        people: People,
        /// Where to write it
        file: PathBuf,
    },
    /// Write what invented people's sources would export, a manifest to import it with, and the truth of
    /// which records are the same workout
    Exports {
        #[command(flatten)]
        people: People,
        /// Only these sources
        #[arg(long, value_name = "SOURCE", value_enum, value_delimiter = ',')]
        only: Vec<Source>,
        /// Where to write the archives, `manifest.csv` and `truth.jsonl`
        folder: PathBuf,
    },
    /// Write people with everything that goes wrong: their exports by person and source, and `truth.csv`
    Corpus {
        #[command(flatten)]
        people: People,
        /// A new folder
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Write what a live pipeline would export of invented people: users, runs and uploads
    Pipeline {
        #[command(flatten)]
        people: People,
        /// Where to write it, as JSON lines
        file: PathBuf,
    },
    /// Write an Apple Health export of at least so many bytes
    AppleExport {
        #[command(flatten)]
        people: People,
        #[arg(long, value_name = "N")]
        bytes: u64,
        /// Where to write it
        file: PathBuf,
    },
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let (written, activities) = match args.what {
        What::Exports { people, only, folder } => {
            let only = (!only.is_empty()).then_some(only.as_slice());
            let written = synth::exports::write(&folder, people.options(), only)?;
            let manifest = folder.join("manifest.csv");
            say!(
                "wrote {} exports; import them with `longrun import --manifest {}`",
                output::count(written.exports),
                manifest.display()
            );
            (written.bytes, written.records)
        }
        What::Corpus { people, out } => {
            let written = synth::corpus::write(&out, people.options())?;
            say!(
                "wrote {} records of {} workouts; measure with `longrun dedupe evaluate --corpus {}`",
                output::count(written.records),
                output::count(written.workouts),
                out.display()
            );
            return Ok(Exit::Done);
        }
        What::AppleExport { people, bytes, file } => {
            let options = people.options();
            (synth::exports::write_large_apple_export(&file, options, bytes)?, u64::from(options.activities))
        }
        What::Pipeline { people, file } => {
            let bytes = synth::pipeline::write(&file, people.options())?;
            say!(
                "wrote {}; import it with `longrun pipeline import {}`",
                output::bytes(bytes),
                file.display()
            );
            return Ok(Exit::Done);
        }
        What::Landing { people } => {
            let options = people.options();
            let lake = context.open_or_create()?;
            (synth::bulk::land(&lake, options)?, u64::from(options.users) * u64::from(options.activities))
        }
        What::Activities { people, truth } => {
            synth::rows::write(&context.open_or_create()?, people.options(), &truth)?
        }
        What::Ndjson { people, file } => {
            let options = people.options();
            (synth::bulk::ndjson(&file, options)?, u64::from(options.users) * u64::from(options.activities))
        }
    };
    say!("wrote {} activities, {}", output::count(activities), output::bytes(written));
    Ok(Exit::Done)
}
