//! `longrun normalize`

use std::path::PathBuf;
use std::time::Instant;

use super::output::say;
use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::model::sport::Rules;
use crate::normalize::{self, Summary};
use crate::store::each::Run;
use crate::store::lake::Lake;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rules that decide a sport by the words of a title, from now on:
    /// [{"substring": "parkrun", "target_type": "Run"}, …]; the first that fits decides
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Forget the rules
    #[arg(long, conflicts_with = "rules")]
    no_rules: bool,
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let lake = context.open()?;
    if let Some(file) = &args.rules {
        let text = std::fs::read_to_string(file).map_err(Error::io("read", file))?;
        Rules::parse(&text).map_err(|e| Error::Usage(format!("{}: {e}", file.display())))?;
        lake.put(&lake.rules(), text.as_bytes())?;
    }
    if args.no_rules {
        lake.backend().remove(&lake.rules())?;
    }
    let begin = Instant::now();
    let run = normalize(&lake)?;
    if context.json {
        output::json(&run)?;
    }
    output::complaints(&run.failed);
    describe(&lake, &run.summary, begin.elapsed().as_secs_f64());
    Ok(match &run {
        run if !run.failed.is_empty() => Exit::Incomplete,
        run if run.summary.rejects > 0 => Exit::DoneWithRejects,
        _ => Exit::Done,
    })
}

/// Normalizes with a progress bar.
pub fn normalize(lake: &Lake) -> Result<Run<Summary>> {
    let bar = output::bar(
        normalize::pending_bytes(lake)?,
        "  normalize {bar:30} {bytes}/{total_bytes}, {eta} left",
    );
    let run = normalize::run(lake, |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    run
}

/// The summary for people.
pub fn describe(lake: &Lake, s: &Summary, seconds: f64) {
    if s.buckets_rewritten == 0 {
        say!("nothing new has landed or was imported; the dataset is as it was");
        return;
    }
    if s.responses > 0 {
        say!(
            "normalized {} responses ({} of JSON, {} landed)",
            output::count(s.responses),
            output::bytes(s.json_bytes),
            output::bytes(s.landing_bytes),
        );
    }
    if s.archives > 0 {
        say!(
            "read {} archives ({}): {} records, {} of them no workouts",
            output::count(s.archives),
            output::bytes(s.archive_bytes),
            output::count(s.records),
            output::count(s.not_activities),
        );
    }
    say!(
        "wrote {} of Parquet in {} buckets in {}: {} activities ({} new), {} track points, {} streams",
        output::bytes(s.written_bytes),
        s.buckets_rewritten,
        output::seconds(seconds),
        output::count(s.activities),
        output::count(s.activities_added),
        output::count(s.points),
        output::count(s.streams)
    );
    if s.rejects > 0 {
        say!(
            "{} records or fields were not taken: which, why and where their bytes are is in {}",
            output::count(s.rejects),
            lake.place(&lake.rejects_folder()).display()
        );
    }
}
