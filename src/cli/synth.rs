//! `longrun synth`

use std::path::PathBuf;

use clap::Subcommand;

use super::emulate::People;
use super::{Context, Exit, output};
use crate::error::Result;
use crate::synth;

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
    /// Write the list entries of invented people as JSON lines, one activity a line
    Ndjson {
        #[command(flatten)]
        people: People,
        file: PathBuf,
    },
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let (written, activities) = match args.what {
        What::Landing { people } => {
            let options = people.options();
            let lake = context.open_or_create()?;
            (synth::bulk::land(&lake, options)?, u64::from(options.users) * u64::from(options.activities))
        }
        What::Ndjson { people, file } => {
            let options = people.options();
            (synth::bulk::ndjson(&file, options)?, u64::from(options.users) * u64::from(options.activities))
        }
    };
    eprintln!("wrote {} activities, {}", output::count(activities), output::bytes(written));
    Ok(Exit::Done)
}
