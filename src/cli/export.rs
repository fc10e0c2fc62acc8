//! `longrun export`

use std::path::PathBuf;

use super::output::say;
use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::export::{self, Exported, Form, Format, Options};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to write to: one folder, or one zip, for each user
    to: PathBuf,
    /// Only this user; can be given several times
    #[arg(long = "user", value_name = "ID")]
    users: Vec<String>,
    /// In these formats
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "csv,geojson,geoparquet,gpx,fit",
        value_name = "FORMAT,…"
    )]
    format: Vec<Format>,
    /// One zip for each user, together with what was imported and fetched of them, as it came
    #[arg(long)]
    zip: bool,
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let lake = context.open()?;
    let to = std::path::absolute(&args.to).map_err(Error::io("find", &args.to))?;
    let form = if args.zip { Form::Zip } else { Form::Folder };
    let options = Options { users: args.users, formats: args.format, form };
    let bar = output::bar(lake.buckets().count() as u64, "  export {bar:30} {pos}/{len} buckets, {eta} left");
    let exported = export::export(&lake, &to, &options, |done| bar.inc(done));
    bar.finish_and_clear();
    let exported = exported?;
    if context.json {
        output::json(&exported)?;
    }
    describe(&exported);
    say!("they are in {}", args.to.display());
    if exported.beyond_fit > 0 {
        let workouts = output::count_of(exported.beyond_fit, "workout", "workouts");
        say!("no FIT file of {workouts} from before July 1998 or after January 2126: FIT has no such times");
    }
    output::complaints(&exported.missing);
    output::left_out(&exported.left_out);
    Ok(Exit::of(exported.missing.is_empty() && exported.left_out.is_empty()))
}

fn describe(exported: &Exported) {
    say!(
        "exported {} of {}, {} with a track: {}, {}",
        output::count_of(exported.workouts, "workout", "workouts"),
        output::count_of(exported.users, "person", "people"),
        output::count(exported.tracks),
        output::count_of(exported.files, "file", "files"),
        output::bytes(exported.bytes),
    );
}
