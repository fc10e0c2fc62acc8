//! Output: readable numbers, tables and progress bars for people, JSON for machines.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::error::{Error, Result};
pub use crate::numbers::{count, count_of};

/// Why some records are missing from a summary.
pub fn not_deduped(records: u64) -> String {
    let records = count_of(records, "record", "records");
    format!("{records} came after the last `longrun dedupe`, and this leaves them out")
}

/// Bytes with a binary unit.
pub fn bytes(number: u64) -> String {
    indicatif::HumanBytes(number).to_string()
}

pub fn seconds(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    indicatif::HumanDuration(Duration::from_secs_f64(seconds)).to_string()
}

/// `2026-01-05`, in UTC.
pub fn date(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

/// `2026-01-05 08:00`, in UTC.
pub fn minute(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Prints a line for people, on stderr. If that fails (a closed pipe, a full disk), the work goes on.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::line(format_args!($($text)*)) };
}
pub(crate) use say;

/// What [`say!`] does.
pub fn line(text: fmt::Arguments) {
    writeln!(std::io::stderr(), "{text}").ok();
}

/// Data for machines, on stdout.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).expect("results are plain");
    print(&text)
}

/// Prints a line of data, on stdout. A reader that has gone away is not an error.
pub fn print(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("write to", "stdout")(e)),
        _ => Ok(()),
    }
}

/// Prints the first complaints and the number of the others, on stderr.
pub fn complaints(all: &[String]) {
    const SHOWN: usize = 20;
    all.iter().take(SHOWN).for_each(|complaint| say!("{complaint}"));
    if all.len() > SHOWN {
        say!("… and {} more", all.len() - SHOWN);
    }
}

/// Says what could not be read, and is missing for it.
pub fn left_out(all: &[impl fmt::Display]) {
    let all: Vec<String> = all.iter().map(|what| format!("left out: {what}")).collect();
    complaints(&all);
}

/// A progress bar on stderr, hidden unless that is a terminal.
pub fn bar(length: u64, template: &str) -> ProgressBar {
    let target = if is_watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    bar.set_style(
        ProgressStyle::with_template(template).expect("templates are fixed").progress_chars("█▉▊▋▌▍▎▏ "),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Whether a person watches stderr.
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// An aligned table: the first column to the left, the others to the right.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        format!("  {}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let rows = [vec!["run".to_string(), "10".to_string()], vec!["Łyżwy".to_string(), "7".to_string()]];
        assert_eq!(table(&["sport", "n"], &rows), "  sport   n\n  run    10\n  Łyżwy   7\n");
    }
}
