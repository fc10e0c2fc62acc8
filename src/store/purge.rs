//! Forgetting a person: no byte of theirs stays in landing, archives, datasets, reports or the state database.
//!
//! What is to be forgotten is written down first and struck off last, so a purge that is killed goes on where the next
//! one begins. Datasets of the person's bucket are removed whole, since they can be made anew from what is left; the
//! landing and the archives cannot, and are rewritten without the person.

use jiff::Timestamp;
use serde::Serialize;

use super::archives;
use super::backend::{Guard, Key};
use super::dataset;
use super::forgotten;
use super::lake::{Bucket, Lake};
use super::landing::{self, Fate};
use crate::error::{Error, Result};
use crate::store::names;

/// What a purge took away, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Purged {
    pub users: usize,
    pub responses: u64,
    /// Of landing, that nobody could read, and so of anybody.
    pub unreadable_bytes: u64,
    pub archives: usize,
    /// Files of datasets that are to be made anew for others in the bucket.
    pub dataset_files: usize,
    pub reports: usize,
    pub state_rows: usize,
}

/// Where messages lie that sinks refused.
pub const DEAD_LETTERS: &str = "redrive/dead-letters.jsonl";

/// Everybody who writes a part of the lake is kept out.
const LOCKS: [(&str, &str); 5] = [
    ("landing", "the landing"),
    ("archives", "the imported archives"),
    ("dataset", "the dataset"),
    ("matches", "the matches"),
    ("redrive", "the redrive"),
];

/// Keeps everybody out who writes a part of the lake.
pub fn lock_all(lake: &Lake) -> Result<Vec<Box<dyn Guard>>> {
    LOCKS.iter().map(|(name, what)| lake.backend().lock(name, what)).collect()
}

/// Forgets these users, and those that an earlier purge did not get to.
pub fn purge(lake: &Lake, users: &[String]) -> Result<Purged> {
    let _locks = lock_all(lake)?;
    let state = lake.state()?;
    state.begin_purge(users)?;
    let mut purged = Purged::default();
    for user in state.pending_purges()? {
        let (bucket, now) = (lake.bucket(&user), Timestamp::now());
        forgotten::note(lake, &user, now, false)?;
        purged.users += 1;
        // Its tokens first: nothing more is fetched.
        purged.state_rows += state.forget(&user)?;
        let forgotten =
            landing::forget(
                lake,
                bucket,
                |header, _| {
                    if header.user_id == user { Fate::Goes } else { Fate::Stays }
                },
            )?;
        purged.responses += forgotten.frames;
        purged.unreadable_bytes += forgotten.damaged_bytes;
        purged.archives += forget_archives(lake, bucket, &user)?;
        purged.dataset_files += remove_datasets(lake, bucket)?;
        purged.reports += remove_reports(lake)?;
        forget_letters(lake, |letter| letter.user_id == user)?;
        // What was staged by runs that were killed.
        lake.backend().scratch()?;
        state.end_purge(&user)?;
        forgotten::note(lake, &user, now, true)?;
    }
    Ok(purged)
}

/// Forgets these users in a lake that lies in a store, and looks afterwards whether nothing of them is left. What lies
/// there of runs is of everybody, and goes as well: tasks that are still under way find no plan any more, and end.
pub fn purge_store(lake: &Lake, users: &[String]) -> Result<Purged> {
    let mut purged = Purged { users: users.len(), ..Purged::default() };
    let now = Timestamp::now();
    users.iter().try_for_each(|user| forgotten::note(lake, user, now, false))?;
    let runs = lake.backend().list(&Key::new(names::RUNS))?;
    runs.iter().try_for_each(|(key, _)| lake.backend().remove(key))?;
    purged.reports += remove_reports(lake)?;
    for user in users {
        let bucket = lake.bucket(user);
        let is_theirs = |header: &landing::Header| header.user_id == *user;
        let fate =
            |header: &landing::Header, _: &[u8]| if is_theirs(header) { Fate::Goes } else { Fate::Stays };
        let forgotten = landing::forget(lake, bucket, fate)?;
        purged.responses += forgotten.frames;
        purged.unreadable_bytes += forgotten.damaged_bytes;
        purged.archives += forget_archives(lake, bucket, user)?;
        purged.dataset_files += remove_datasets(lake, bucket)?;
    }
    prove(lake, users)?;
    users.iter().try_for_each(|user| forgotten::note(lake, user, now, true))?;
    Ok(purged)
}

/// Looks whether nothing of these users is left, by what the store lists now.
fn prove(lake: &Lake, users: &[String]) -> Result<()> {
    for user in users {
        let bucket = lake.bucket(user);
        let mut left: Vec<String> = dataset_files(lake, bucket)?.iter().map(Key::to_string).collect();
        left.extend(lake.backend().list(&Key::new(names::RUNS))?.iter().map(|(key, _)| key.to_string()));
        let imports = archives::list(lake, bucket)?.imports;
        let theirs = imports.iter().filter(|(_, import)| import.user_id == *user);
        left.extend(theirs.map(|(number, _)| names::import_key(bucket, *number).to_string()));
        for piece in landing::Frames::open(lake, bucket, landing::Position::default())? {
            if let landing::Piece::Frame(frame) = piece?
                && frame.open().is_ok_and(|(header, _)| header.user_id == *user)
            {
                left.push(frame.place());
            }
        }
        if let Some(first) = left.first() {
            return Err(Error::Busy {
                store: format!(
                    "{}: {first} came back while user {user} was forgotten; it",
                    lake.root().display()
                ),
                holder: "a task, a push".to_string(),
            });
        }
    }
    Ok(())
}

/// Imports of a person, and the archives that are nobody else's.
fn forget_archives(lake: &Lake, bucket: Bucket, user: &str) -> Result<usize> {
    let imports = archives::list(lake, bucket)?;
    let (theirs, others): (Vec<_>, Vec<_>) =
        imports.imports.iter().partition(|(_, import)| import.user_id == user);
    for (number, import) in &theirs {
        if !others.iter().any(|(_, other)| other.sha256 == import.sha256) {
            lake.backend().remove(&names::archive_key(bucket, &import.sha256))?;
        }
        lake.backend().remove(&names::import_key(bucket, *number))?;
    }
    Ok(theirs.len())
}

/// Removes what was made of a bucket, which can be made anew from what is left. Returns how many files those were.
pub fn remove_datasets(lake: &Lake, bucket: Bucket) -> Result<usize> {
    let keys = dataset_files(lake, bucket)?;
    keys.iter().try_for_each(|key| lake.backend().remove(key).map(drop))?;
    Ok(keys.len())
}

/// Removes all reports, which are of everybody. Returns how many those were.
pub fn remove_reports(lake: &Lake) -> Result<usize> {
    let reports = lake.backend().list(&Key::new("reports"))?;
    reports.iter().try_for_each(|(key, _)| lake.backend().remove(key).map(drop))?;
    Ok(reports.len())
}

/// A message that a sink refused, as far as it says whose it is.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Letter {
    pub user_id: String,
    pub activity_id: String,
}

/// Takes messages that sinks refused out of the file of them. A line that cannot be read may be anybody's, and goes.
pub fn forget_letters(lake: &Lake, goes: impl Fn(&Letter) -> bool) -> Result<()> {
    let key = Key::new(DEAD_LETTERS);
    let Some(bytes) = lake.backend().read(&key)? else { return Ok(()) };
    let stays = |line: &&[u8]| serde_json::from_slice(line).is_ok_and(|letter: Letter| !goes(&letter));
    let kept: Vec<u8> =
        bytes.split_inclusive(|byte| *byte == b'\n').filter(stays).flatten().copied().collect();
    if kept.len() == bytes.len() { Ok(()) } else { lake.put(&key, &kept) }
}

/// Every dataset's files of a bucket.
fn dataset_files(lake: &Lake, bucket: Bucket) -> Result<Vec<Key>> {
    let mut found = Vec::new();
    for folder in names::DATASETS {
        for key in dataset::files(lake, &Key::new(folder))? {
            let name = key.file_name().trim_end_matches(".parquet");
            let number = bucket.to_string();
            let is_of_bucket = name.split('-').any(|part| part == number);
            if is_of_bucket {
                found.push(key);
            }
        }
    }
    Ok(found)
}
