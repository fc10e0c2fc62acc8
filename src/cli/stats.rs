//! `longrun stats`

use super::{Context, Exit, output};
use crate::dedupe::Gone;
use crate::error::Result;
use crate::report::stats::{self, Line};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Sum also what its source no longer has, or no longer shows
    #[arg(long)]
    with_gone: bool,
}

pub fn run(context: &Context, args: &Args) -> Result<Exit> {
    let gone = if args.with_gone { Gone::Counted } else { Gone::LeftOut };
    let lines = stats::by_source_sport_and_year(&context.open()?, gone)?;
    if context.json {
        output::json(&lines)?;
    } else {
        output::print(table(&lines).trim_end())?;
    }
    Ok(Exit::Done)
}

pub fn table(lines: &[Line]) -> String {
    let row = |line: &Line| {
        vec![
            line.source.clone(),
            line.sport.clone(),
            line.year.to_string(),
            output::count(line.activities),
            format!("{:.1}", line.distance_km),
            format!("{:.1}", line.moving_h),
            output::count(line.elevation_gain_m as u64),
            output::count(line.track_points),
        ]
    };
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    output::table(&["source", "sport", "year", "activities", "km", "hours", "climb m", "points"], &rows)
}
