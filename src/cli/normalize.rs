//! `longrun normalize`

use std::time::Instant;

use super::{Context, Exit, output};
use crate::error::Result;
use crate::lake::Lake;
use crate::normalize::{self, Summary};

pub fn run(context: &Context) -> Result<Exit> {
    let lake = context.open()?;
    let begin = Instant::now();
    let summary = normalize(&lake)?;
    if context.json {
        output::json(&summary)?;
    }
    describe(&lake, &summary, begin.elapsed().as_secs_f64());
    Ok(if summary.rejects > 0 { Exit::DoneWithRejects } else { Exit::Done })
}

/// Normalizes with a progress bar.
pub fn normalize(lake: &Lake) -> Result<Summary> {
    let bar = output::bar(
        normalize::pending_bytes(lake)?,
        "  normalize {bar:30} {bytes}/{total_bytes} of landing, {eta} left",
    );
    let summary = normalize::run(lake, |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    summary
}

/// The summary for people.
pub fn describe(lake: &Lake, s: &Summary, seconds: f64) {
    if s.responses == 0 {
        eprintln!("nothing new has landed; the dataset is as it was");
        return;
    }
    eprintln!(
        "normalized {} responses ({} of JSON, {} landed) in {}",
        output::count(s.responses),
        output::bytes(s.json_bytes),
        output::bytes(s.landing_bytes),
        output::seconds(seconds)
    );
    eprintln!(
        "wrote {} of Parquet in {} buckets: {} activities ({} new), {} track points, {} streams",
        output::bytes(s.written_bytes),
        s.buckets_rewritten,
        output::count(s.activities),
        output::count(s.activities_added),
        output::count(s.points),
        output::count(s.streams)
    );
    if s.rejects > 0 {
        eprintln!(
            "{} records or fields were not taken: which, why and where their bytes are is in {}",
            output::count(s.rejects),
            lake.rejects_folder().display()
        );
    }
}
