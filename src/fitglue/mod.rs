//! The live pipeline, as its database was exported: what it uploaded, which runs it made of which activities, its
//! users' tiers and their pipelines.
//!
//! ```text
//! users/{uid}                             tier, sync_count_this_month, [pipelines]
//! users/{uid}/pipelines/{id}              source, destinations, disabled
//! users/{uid}/pipeline_runs/{id}          source, source_activity_id, status
//! users/{uid}/uploaded_activities/{key}   destination, destination_id, start_time
//! ```
//!
//! A document is known by its path or by its fields, so one file may hold all kinds, and one command imports them.

pub mod boosters;
pub mod enricher;
mod export;
pub mod runs;
pub mod uploads;
pub mod users;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, Write};
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::numbers::count_of;
use crate::sources::Source;
use crate::store::lake::Lake;
use crate::store::state::exports::{Exports, ExportsWriter, Import, PipelineRow, Row, UploadRow, UserRow};
use export::Document;

pub use export::Cut;

/// What the pipeline calls a source, in lower case: `strava`, `file_upload`. It knows neither Garmin nor what a
/// device's file came from.
pub fn source_name(source: Source) -> &'static str {
    static NAMES: LazyLock<HashMap<Source, String>> =
        LazyLock::new(|| Source::ALL.into_iter().map(|s| (s, source_of(s.spec().fitglue))).collect());
    &NAMES[&source]
}

/// Names of the pipeline's enums by their numbers.
type Numbered = [(&'static str, u32)];

const SOURCES: &Numbered = &[
    ("hevy", 1),
    ("fitbit", 3),
    ("parkrun_results", 4),
    ("file_upload", 5),
    ("strava", 6),
    ("apple_health", 8),
    ("health_connect", 9),
    ("oura", 10),
    ("polar", 11),
    ("wahoo", 12),
    ("intervals", 13),
    ("trainingpeaks", 14),
    ("googlesheets", 15),
    ("github", 16),
];

const DESTINATIONS: &Numbered = &[
    ("strava", 1),
    ("showcase", 2),
    ("hevy", 3),
    ("trainingpeaks", 4),
    ("intervals", 5),
    ("googlesheets", 6),
    ("github", 7),
];

/// Whether the pipeline uploads to a source, from where its own uploads come back.
pub fn is_written_to(source: &str) -> bool {
    matches!(source, "strava" | "hevy")
}

/// A name of an enum in the one spelling: `SOURCE_FILE_UPLOAD`, `FileUpload` and `5` are `file_upload`. One that is
/// not known stays as it is, in lower case.
fn plain_name(name: &str, prefixes: &[&str], known: &Numbered) -> String {
    let squash = |name: &str| name.replace(['_', '-', ' '], "");
    let name = name.trim().to_lowercase();
    let plain = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name);
    let is_it =
        |(known, number): &&(&str, u32)| squash(known) == squash(plain) || plain == number.to_string();
    known.iter().find(is_it).map_or(plain, |(known, _)| known).to_string()
}

/// What the pipeline calls a source, in lower case.
fn source_of(name: &str) -> String {
    plain_name(name, &["activity_source_", "source_"], SOURCES)
}

fn destination_of(name: &str) -> String {
    plain_name(name, &["destination_", "source_"], DESTINATIONS)
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Imported {
    pub entries: u64,
    pub uploads: u64,
    pub runs: u64,
    /// Runs whose status this longrun does not know.
    pub runs_of_unknown_status: u64,
    pub users: u64,
    pub pipelines: u64,
    /// Rows that were not known before.
    pub new: u64,
    /// Documents that cannot be read, each with where it stands and why.
    pub refused: Vec<String>,
}

impl Imported {
    fn count(&mut self, item: &Item) {
        self.entries += 1;
        match item {
            Item::Upload(_) => self.uploads += 1,
            Item::Run(run) => {
                self.runs += 1;
                self.runs_of_unknown_status += u64::from(matches!(run.status, runs::Status::Unknown(_)));
            }
            Item::User(user) => {
                self.users += 1;
                self.pipelines += user.pipelines.as_ref().map_or(0, Vec::len) as u64;
            }
            Item::Pipeline(_) => self.pipelines += 1,
        }
    }
}

/// What a document is.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    Upload(UploadRow),
    Run(runs::Run),
    User(UserRow),
    Pipeline(PipelineRow),
}

impl Item {
    fn row(self) -> Row {
        match self {
            Item::Upload(upload) => Row::Upload(upload),
            Item::Run(run) => Row::Run(run.row()),
            Item::User(user) => Row::User(user),
            Item::Pipeline(pipeline) => Row::Pipeline(pipeline),
        }
    }
}

/// A document of an export that was written then, unix seconds.
fn read_item(value: serde_json::Value, written_s: i64) -> std::result::Result<Item, String> {
    let document = Document::of(value)?;
    let pipeline = |document: &Document| users::pipeline(document, &document.user_id()?).map(Item::Pipeline);
    match document.collection() {
        Some("pipeline_runs") => return runs::read(&document).map(Item::Run),
        Some("uploaded_activities") => return uploads::read(&document).map(Item::Upload),
        Some("pipelines") => return pipeline(&document),
        Some("users") => return users::read(&document, written_s).map(Item::User),
        _ => {}
    }
    if document.has(&["source_activity_id", "sourceActivityId"]) || document.has(&["status"]) {
        runs::read(&document).map(Item::Run)
    } else if document.has(&["tier", "pipelines", "sync_count_this_month", "syncCountThisMonth"]) {
        users::read(&document, written_s).map(Item::User)
    } else if document.has(&["destinations"]) {
        pipeline(&document)
    } else {
        uploads::read(&document).map(Item::Upload)
    }
}

/// Rows of one transaction: few enough that nobody who waits for it gives up.
const ROWS_AT_A_TIME: usize = 5_000;

/// Puts an export that was written then into the lake: all of it that can be read or, where it is cut off, nothing.
///
/// Everything is read before anything is written: an input may be slow, and while the state database is held, a
/// fetch beside this cannot keep the tokens that it was just given. What was read waits in a temporary file.
pub fn import(
    lake: &Lake,
    file: &str,
    input: impl BufRead,
    written: Timestamp,
    now: Timestamp,
) -> Result<Result<Imported, Cut>> {
    let mut imported = Imported::default();
    let mut spool = Spool::new()?;
    let mut failed = None;
    let written_s = written.min(now).as_second();
    let read = export::each(input, &mut |place, value| {
        match value.and_then(|value| read_item(value, written_s)) {
            Ok(item) => {
                imported.count(&item);
                failed = spool.add(&item.row()).err();
            }
            Err(reason) => imported.refused.push(format!("{place}: {reason}")),
        }
        failed.is_none()
    })?;
    if let Some(e) = failed {
        return Err(e);
    }
    if let Err(cut) = read {
        return Ok(Err(cut));
    }
    let writer = ExportsWriter::open(lake)?;
    let before = writer.count()?;
    spool.each(ROWS_AT_A_TIME, &mut |rows| writer.write(rows, now.as_second()))?;
    writer.finish(&Import {
        file: file.to_string(),
        imported_s: now.as_second(),
        written_s,
        entries: imported.entries,
        runs: imported.runs,
        refused: imported.refused.len() as u64,
    })?;
    imported.new = writer.count()?.saturating_sub(before);
    Ok(Ok(imported))
}

/// Rows in a temporary file without a name, so that an export of any length fits in memory.
struct Spool(BufWriter<File>);

impl Spool {
    fn fail(e: std::io::Error) -> Error {
        Error::io("use a temporary file in", std::env::temp_dir())(e)
    }

    fn new() -> Result<Spool> {
        Ok(Spool(BufWriter::new(tempfile::tempfile().map_err(Spool::fail)?)))
    }

    fn add(&mut self, row: &Row) -> Result<()> {
        serde_json::to_writer(&mut self.0, row).map_err(|e| Spool::fail(e.into()))?;
        self.0.write_all(b"\n").map_err(Spool::fail)
    }

    /// Hands the rows over, so many at a time.
    fn each(self, at_a_time: usize, take: &mut dyn FnMut(&[Row]) -> Result<()>) -> Result<()> {
        let mut file = self.0.into_inner().map_err(|e| Spool::fail(e.into_error()))?;
        file.rewind().map_err(Spool::fail)?;
        let mut rows = Vec::with_capacity(at_a_time);
        for line in BufReader::new(file).lines() {
            let line = line.map_err(Spool::fail)?;
            rows.push(serde_json::from_str(&line).map_err(|e| Spool::fail(e.into()))?);
            if rows.len() == at_a_time {
                take(&rows)?;
                rows.clear();
            }
        }
        if rows.is_empty() { Ok(()) } else { take(&rows) }
    }
}

/// Whether a file says which runs there are: some, or none at all (`[]`).
fn has_runs(import: &Import) -> bool {
    import.runs > 0 || (import.entries == 0 && import.refused == 0)
}

/// Whether an export had runs, or said that there are none (`[]`): without that, everything would seem to be
/// missing there.
pub fn knows_runs(lake: &Lake) -> Result<bool> {
    Ok(Exports::open(lake)?.imports()?.iter().any(has_runs))
}

/// How old the newest export of the pipeline's runs may be, where nobody says otherwise.
pub const EXPORT_AGE: &str = "24h";

/// Why what seems to be missing in the pipeline may be there, as far as its exports go; None where they are good
/// enough to send by.
pub fn why_not_to_send(
    imports: &[Import],
    now: Timestamp,
    max_age: Duration,
    accept_refusals: bool,
) -> Option<String> {
    // Later ones come over earlier ones of the same name.
    let newest: BTreeMap<&str, &Import> =
        imports.iter().map(|import| (import.file.as_str(), import)).collect();
    if let Some(import) = newest.values().find(|import| import.refused > 0 && !accept_refusals) {
        return Some(format!(
            "{} of {} could not be read, so runs may be there that longrun does not know of; mend the export and import \
             it again, or send all the same with --accept-refusals",
            count_of(import.refused, "document", "documents"),
            import.file
        ));
    }
    let written_s = imports.iter().filter(|import| has_runs(import)).map(|import| import.written_s).max()?;
    let age_s = now.as_second().saturating_sub(written_s);
    (age_s.unsigned_abs() > max_age.as_secs()).then(|| {
        let (age, most) = (hours(age_s.unsigned_abs()), hours(max_age.as_secs()));
        if age_s < 0 {
            return format!(
                "the newest export of the pipeline's runs was written {age} from now by this machine's clock; set the clock, \
                 and import the export again"
            );
        }
        format!(
            "the newest export of the pipeline's runs is {age} old, and may be {most} (--max-export-age); export them anew, \
             so that what went there since is not sent again"
        )
    })
}

fn hours(seconds: u64) -> String {
    match seconds / 3600 {
        0 => format!("{} minutes", seconds / 60),
        1 => "1 hour".to_string(),
        hours if hours < 72 => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_that_are_old_or_had_refusals_are_not_sent_by() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let import = |file: &str, hours_old: i64, runs: u64, refused: u64| Import {
            file: file.to_string(),
            imported_s: 1_000_000,
            written_s: 1_000_000 - hours_old * 3600,
            entries: runs,
            runs,
            refused,
        };
        let why = |imports: &[Import], accept: bool| {
            why_not_to_send(imports, now, Duration::from_secs(24 * 3600), accept)
        };
        assert_eq!(why(&[import("a", 2, 5, 0)], false), None);
        assert!(why(&[import("a", 30, 5, 0)], false).unwrap().contains("30 hours old"));
        assert_eq!(
            why(&[import("a", 30, 5, 0), import("b", 1, 0, 0)], false),
            None,
            "`[]` is an export, too"
        );
        let refused = [import("a", 2, 5, 1)];
        assert!(why(&refused, false).unwrap().contains("1 document of a could not be read"));
        assert_eq!(why(&refused, true), None);
        assert_eq!(why(&[import("a", 2, 5, 1), import("a", 1, 6, 0)], false), None, "it was mended");
        assert!(!has_runs(&import("a", 1, 0, 1)), "a refused document is not no runs");
    }
}
