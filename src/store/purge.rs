//! Forgetting a person: no byte of theirs stays in the places where a lake names people, or in the state database.
//!
//! What is to be forgotten is written down first and struck off last, so a purge that is killed goes on where the next
//! one begins. Datasets of the person's bucket are removed whole, since they can be made anew from what is left; the
//! landing and the archives cannot, and are rewritten without the person.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

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
    /// Files that are of everybody: reports, and what lies there of runs.
    pub reports: usize,
    /// Lines of what was sent, or would be.
    pub lines: u64,
    pub state_rows: usize,
}

/// How a place has people in it, and so how one of them is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A frame for each answer: rewritten without theirs.
    Answers,
    /// Imports of one person each: theirs go, with the archives that are nobody else's.
    Imports,
    /// Files of a bucket, which can be made anew: removed.
    Buckets,
    /// Files that are of everybody, which can be made anew as well: removed.
    Everybody,
    /// Files of lines, each of one person: rewritten without theirs. A file that has no lines is of everybody.
    Lines,
}

/// Every folder of a lake that names people, in the order in which one of them is taken out. Tasks that are still under
/// way find no plan any more, so they end first. Beside these only the state database names anybody.
pub fn places() -> impl Iterator<Item = (&'static str, Holds)> {
    [
        (names::RUNS, Holds::Everybody),
        (names::REPORTS, Holds::Everybody),
        (names::SEGMENTS, Holds::Answers),
        (names::ARCHIVES, Holds::Imports),
    ]
    .into_iter()
    .chain(names::DATASETS.map(|folder| (folder, Holds::Buckets)))
    .chain([(names::REDRIVE, Holds::Lines)])
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
        let now = Timestamp::now();
        forgotten::note(lake, &user, now, false)?;
        purged.users += 1;
        // Its tokens first: nothing more is fetched.
        purged.state_rows += state.forget(&user)?;
        take_out(lake, &user, &mut purged)?;
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
    users.iter().try_for_each(|user| take_out(lake, user, &mut purged))?;
    prove(lake, users)?;
    users.iter().try_for_each(|user| forgotten::note(lake, user, now, true))?;
    Ok(purged)
}

/// Takes a person out of every place.
fn take_out(lake: &Lake, user: &str, purged: &mut Purged) -> Result<()> {
    let bucket = lake.bucket(user);
    for (folder, holds) in places() {
        match holds {
            Holds::Answers => {
                let fate = |header: &landing::Header, _: &[u8]| {
                    if header.user_id == user { Fate::Goes } else { Fate::Stays }
                };
                let forgotten = landing::forget(lake, bucket, fate)?;
                purged.responses += forgotten.frames;
                purged.unreadable_bytes += forgotten.damaged_bytes;
            }
            Holds::Imports => purged.archives += forget_archives(lake, bucket, user)?,
            Holds::Buckets => purged.dataset_files += remove_all(lake, &of_bucket(lake, folder, bucket)?)?,
            Holds::Everybody => purged.reports += remove_all(lake, &listed(lake, folder)?)?,
            Holds::Lines => {
                for key in listed(lake, folder)? {
                    if is_of_lines(&key) {
                        purged.lines +=
                            Lines { lake, key: &key, goes: &|line| is_named(line, user) }.forget()?;
                    } else {
                        purged.reports += remove_all(lake, &[key])?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// What there is of a person in a place, by what is listed now.
fn left(lake: &Lake, user: &str, folder: &str, holds: Holds) -> Result<Vec<String>> {
    let bucket = lake.bucket(user);
    let named = |keys: Vec<Key>| keys.iter().map(Key::to_string).collect();
    Ok(match holds {
        Holds::Everybody => named(listed(lake, folder)?),
        Holds::Lines => {
            let mut left = listed(lake, folder)?;
            left.retain(is_of_lines);
            let lines = |key: &Key| Lines { lake, key, goes: &|line| is_named(line, user) }.count();
            let counts: Vec<u64> = left.iter().map(lines).collect::<Result<_>>()?;
            let mut counts = counts.iter();
            left.retain(|_| counts.next().is_some_and(|lines| *lines > 0));
            named(left)
        }
        Holds::Buckets => named(of_bucket(lake, folder, bucket)?),
        Holds::Imports => {
            let imports = archives::list(lake, bucket)?.imports;
            let theirs = imports.iter().filter(|(_, import)| import.user_id == *user);
            theirs.map(|(number, _)| names::import_key(bucket, *number).to_string()).collect()
        }
        Holds::Answers => {
            let mut left = Vec::new();
            for piece in landing::Frames::open(lake, bucket, landing::Position::default())? {
                if let landing::Piece::Frame(frame) = piece?
                    && frame.open().is_ok_and(|(header, _)| header.user_id == *user)
                {
                    left.push(frame.place());
                }
            }
            left
        }
    })
}

/// Looks whether nothing of these users is left in a store, where nobody could be kept out.
fn prove(lake: &Lake, users: &[String]) -> Result<()> {
    for user in users {
        for (folder, holds) in places() {
            if let Some(first) = left(lake, user, folder, holds)?.first() {
                return Err(Error::Busy {
                    store: format!(
                        "{}: {first} came back while user {user} was forgotten; it",
                        lake.root().display()
                    ),
                    holder: "a task, a push".to_string(),
                });
            }
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
    let of = |folder: &&str| of_bucket(lake, folder, bucket);
    let keys: Vec<Vec<Key>> = names::DATASETS.iter().map(of).collect::<Result<_>>()?;
    remove_all(lake, &keys.concat())
}

/// Removes what is of everybody: reports, and what lies there of runs. Returns how many files those were.
pub fn remove_of_everybody(lake: &Lake) -> Result<usize> {
    let folders = places().filter(|(_, holds)| *holds == Holds::Everybody);
    folders.map(|(folder, _)| remove_all(lake, &listed(lake, folder)?)).sum()
}

fn remove_all(lake: &Lake, keys: &[Key]) -> Result<usize> {
    keys.iter().try_for_each(|key| lake.backend().remove(key).map(drop))?;
    Ok(keys.len())
}

/// The files of a folder, but for locks, which say nothing.
fn listed(lake: &Lake, folder: &str) -> Result<Vec<Key>> {
    let keys = lake.backend().list(&Key::new(folder))?.into_iter().map(|(key, _)| key);
    Ok(keys.filter(|key| !key.file_name().starts_with('.')).collect())
}

/// A message that a sink refused, as far as it says whose it is.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Letter {
    pub user_id: String,
    pub activity_id: String,
}

/// Takes messages that sinks refused out of the file of them.
pub fn forget_letters(lake: &Lake, goes: impl Fn(&Letter) -> bool) -> Result<()> {
    let key = Key::new(DEAD_LETTERS);
    let goes = |line: &[u8]| serde_json::from_slice(line).map_or(true, |letter: Letter| goes(&letter));
    Lines { lake, key: &key, goes: &goes }.forget().map(drop)
}

fn is_of_lines(key: &Key) -> bool {
    key.file_name().ends_with(".jsonl")
}

/// A file of lines, of which some go.
struct Lines<'a> {
    lake: &'a Lake,
    key: &'a Key,
    goes: &'a dyn Fn(&[u8]) -> bool,
}

impl Lines<'_> {
    /// How many go.
    fn count(&self) -> Result<u64> {
        let Some(path) = self.lake.backend().path(self.key)? else { return Ok(0) };
        self.read(&path, |_| Ok(())).map_err(Error::io("read", &path))
    }

    /// Rewrites the file without them. Returns how many those were.
    fn forget(&self) -> Result<u64> {
        let gone = self.count()?;
        if let Some(path) = self.lake.backend().path(self.key)?.filter(|_| gone > 0) {
            let write =
                &mut |out: &mut (dyn Write + Send)| self.read(&path, |line| out.write_all(line)).map(drop);
            self.lake.backend().put(self.key, write)?;
        }
        Ok(gone)
    }

    fn read(&self, path: &Path, mut stays: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
        let (mut file, mut line, mut gone) = (BufReader::new(File::open(path)?), Vec::new(), 0);
        while file.read_until(b'\n', &mut line)? > 0 {
            if (self.goes)(&line) {
                gone += 1;
            } else {
                stays(&line)?;
            }
            line.clear();
        }
        Ok(gone)
    }
}

/// Whether a line of JSON names a person, as a text or as a part of a path. One that cannot be read may be anybody's.
fn is_named(line: &[u8], user: &str) -> bool {
    fn is_in(value: &Value, user: &str) -> bool {
        match value {
            Value::String(text) => text.split('/').any(|part| part == user) || text == user,
            Value::Array(values) => values.iter().any(|value| is_in(value, user)),
            Value::Object(fields) => fields.iter().any(|(name, value)| name == user || is_in(value, user)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    serde_json::from_slice(line).map_or(true, |value: Value| is_in(&value, user))
}

/// A dataset's files of a bucket.
fn of_bucket(lake: &Lake, folder: &str, bucket: Bucket) -> Result<Vec<Key>> {
    let number = bucket.to_string();
    let is_of_bucket = |key: &Key| key.stem().split('-').any(|part| part == number);
    Ok(dataset::files(lake, &Key::new(folder))?.into_iter().filter(is_of_bucket).collect())
}
