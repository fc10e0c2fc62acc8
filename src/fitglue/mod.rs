//! What the live pipeline says of itself, as its database was exported: what it uploaded, which runs it made of
//! which activities, its users' tiers and their pipelines.
//!
//! ```text
//! users/{uid}                             tier, sync_count_this_month, [pipelines]
//! users/{uid}/pipelines/{id}              source, destinations, disabled
//! users/{uid}/pipeline_runs/{id}          source, source_activity_id, status
//! users/{uid}/uploaded_activities/{key}   destination, destination_id, start_time
//! ```
//!
//! An entry is known by its path or by its fields, so one file may hold all kinds, and one command takes them.

mod export;
pub mod runs;
pub mod uploads;
pub mod users;

use std::io::BufRead;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::error::Result;
use crate::sources::Source;
use crate::store::lake::Lake;
use export::Entry;

pub use export::Cut;

/// What the pipeline calls a source, in lower case: `strava`, `file_upload`. It knows neither Garmin nor what a
/// device's file came from.
pub fn source_name(source: Source) -> String {
    source_of(source.spec().fitglue)
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

/// What an import of an export did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Imported {
    pub entries: u64,
    pub uploads: u64,
    pub runs: u64,
    /// Runs whose status this longrun does not know.
    pub runs_of_unknown_status: u64,
    pub users: u64,
    pub pipelines: u64,
    /// Entries that were not known before.
    pub new: u64,
    /// Entries that cannot be read, each with where it stands and why.
    pub refused: Vec<String>,
}

/// One entry, of whichever kind.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Upload(uploads::Upload),
    Run(runs::Run),
    User(users::Told),
    Pipeline { user_id: String, pipeline: users::Pipeline },
}

fn read_entry(value: serde_json::Value) -> std::result::Result<Told, String> {
    let entry = Entry::of(value)?;
    match entry.collection() {
        Some("pipeline_runs") => return runs::read(&entry).map(Told::Run),
        Some("uploaded_activities") => return uploads::read(&entry).map(Told::Upload),
        Some("pipelines") => return read_pipeline(&entry),
        Some("users") => return users::read(&entry).map(Told::User),
        _ => {}
    }
    if entry.has(&["source_activity_id", "sourceActivityId"]) || entry.has(&["status"]) {
        runs::read(&entry).map(Told::Run)
    } else if entry.has(&["tier", "pipelines", "sync_count_this_month", "syncCountThisMonth"]) {
        users::read(&entry).map(Told::User)
    } else if entry.has(&["destinations"]) {
        read_pipeline(&entry)
    } else {
        uploads::read(&entry).map(Told::Upload)
    }
}

fn read_pipeline(entry: &Entry) -> std::result::Result<Told, String> {
    Ok(Told::Pipeline { user_id: entry.user_id()?, pipeline: users::pipeline(entry)? })
}

/// Puts an export that was written then into the lake: all of it that can be read, or, where it is cut off, nothing.
pub fn import(
    lake: &Lake,
    input: impl BufRead,
    written: Timestamp,
    now: Timestamp,
) -> Result<Result<Imported, Cut>> {
    // Read first, and written then: a slow input must not keep everybody else from the state database.
    let mut imported = Imported::default();
    let mut entries = Vec::new();
    let read = export::each(input, &mut |place, value| {
        match value.and_then(read_entry) {
            Ok(told) => entries.push(told),
            Err(reason) => imported.refused.push(format!("{place}: {reason}")),
        }
        true
    })?;
    if let Err(cut) = read {
        return Ok(Err(cut));
    }
    imported.entries = entries.len() as u64;
    imported.new = lake.state()?.write(|db| {
        let before = count(db)?;
        entries.iter().try_for_each(|told| insert(db, told, (written, now), &mut imported))?;
        db.execute(
            "INSERT INTO pipeline_exports VALUES (?1, ?2, ?3)",
            params![now.as_second(), imported.entries.cast_signed(), imported.runs.cast_signed()],
        )?;
        Ok(count(db)? - before)
    })?;
    Ok(Ok(imported))
}

fn insert(
    db: &Connection,
    told: &Told,
    (written, now): (Timestamp, Timestamp),
    imported: &mut Imported,
) -> rusqlite::Result<()> {
    match told {
        Told::Upload(upload) => {
            imported.uploads += 1;
            uploads::insert(db, upload)
        }
        Told::Run(run) => {
            imported.runs += 1;
            imported.runs_of_unknown_status += u64::from(matches!(run.status, runs::Status::Unknown(_)));
            runs::insert(db, run)
        }
        Told::User(user) => {
            imported.users += 1;
            imported.pipelines += user.pipelines.as_ref().map_or(0, Vec::len) as u64;
            users::insert(db, user, written, now)
        }
        Told::Pipeline { user_id, pipeline } => {
            imported.pipelines += 1;
            users::insert_pipeline(db, user_id, pipeline)
        }
    }
}

fn count(db: &Connection) -> rusqlite::Result<u64> {
    let all = "SELECT (SELECT count(*) FROM uploads) + (SELECT count(*) FROM runs)
               + (SELECT count(*) FROM pipeline_users) + (SELECT count(*) FROM pipelines)";
    db.query_row(all, [], |row| row.get::<_, i64>(0)).map(|n| n.unsigned_abs())
}

/// Reads from the state database; what an empty or older one does not have is the default.
fn read_state<T: Default>(lake: &Lake, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
    let Some(state) = lake.state_if_there()? else { return Ok(T::default()) };
    state.check(read(&state.db))
}

/// Whether the pipeline ever told of runs, or said that it has none (`[]`): without that, everything would seem
/// to be missing there.
pub fn has_told_of_runs(lake: &Lake) -> Result<bool> {
    read_state(lake, |db| {
        let told = "SELECT count(*) FROM pipeline_exports WHERE runs > 0 OR entries = 0";
        db.query_row(told, [], |row| row.get::<_, i64>(0)).map(|n| n > 0)
    })
}
