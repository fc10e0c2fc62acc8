//! A lake: where its stores lie, by keys, and which bucket a user falls in.
//!
//! ```text
//! lake/
//! ├── lake.toml                                  format, bucket count, hash
//! ├── state.db                                   SQLite: accounts, tokens, rate windows, answers, what the live
//! │                                              pipeline exported, what was delivered to it; mode 0600
//! ├── rules.json · weights.toml                  athletes' own rules for sports · what agreeing is worth
//! ├── policy.toml                                how long sources let what their APIs gave be kept
//! ├── landing/strava/017/000042-000.jsonl.zst    segments: one zstd frame per answer of the API
//! ├── landing/archives/017/000003.json           what was imported, by number; and the archives, by their hashes
//! ├── activities/strava-017.parquet              one row per record
//! ├── streams/strava-017-2024.parquet            sample series as lists, one row per record; beside it, what came
//! │                                              later: strava-017-2024.0033-0048.parquet (`dataset::Piece`)
//! ├── rejects/strava-017.parquet                 what was not taken, why, and where its bytes are
//! ├── origins/strava-api-017.parquet             what each origin said, where the API and archives both did
//! ├── origins/hevy-gone-017.parquet              what its source no longer has, and since when
//! ├── matches/017.parquet · golden/017.parquet   one row per compared pair · one row per workout
//! ├── reports/report.html                       and of each run in tasks, run-<id>.html
//! └── locks/ · tmp/                              held while a store is written · in the making
//! ```
//!
//! Nothing but Parquet lies in the folders of datasets, and all files of one folder have one schema and lie side by
//! side, because that is what every reader opens without a word (Spark looks no deeper). Nothing crosses
//! users and a user never leaves a bucket, so a bucket is a complete, independent unit of work.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use twox_hash::XxHash64;

use super::backend::{Backend, Key};
use super::local::Local;
use super::migrate;
use super::names::{BUCKETS, CHARTER, Charter, FORMAT, HASH, MOST_BUCKETS, REPORTS, write_charter};
use super::place::Place;
use super::rebucket;
use super::state::State;
use crate::error::{Error, Result};

pub use super::names::Bucket;

#[derive(Debug, Clone)]
pub struct Lake {
    root: PathBuf,
    backend: Arc<dyn Backend>,
    buckets: u32,
    has_geometry: bool,
}

/// The bucket of a user, of so many.
pub fn bucket_of(user_id: &str, buckets: u32) -> Bucket {
    Bucket((XxHash64::oneshot(0, user_id.as_bytes()) % u64::from(buckets)) as u32)
}

/// Whether a user is among those who were named; everybody is where none were.
pub fn is_among(users: &[String], user: &str) -> bool {
    users.is_empty() || users.iter().any(|named| named == user)
}

impl Lake {
    /// Opens a lake wherever it is.
    pub fn open_at(place: &Place) -> Result<Lake> {
        match place {
            Place::Folder(root) => Lake::open(root),
            Place::Url(url) => Lake::on(remote(url, Patience::Minutes)?, url),
        }
    }

    /// Opens the lake that lies on a backend; `name` is how people find it.
    pub fn on(backend: Arc<dyn Backend>, name: &str) -> Result<Lake> {
        let Some(text) = backend.read(&Key::new(CHARTER))? else {
            return Err(Error::Usage(format!(
                "there is no lake at {name}: it has no {CHARTER}; `longrun --lake FOLDER lake push {name}` makes one"
            )));
        };
        let text = String::from_utf8_lossy(&text);
        let charter = read_charter(&text, name, &backend.place(&Key::new(CHARTER)))?;
        if charter.format < FORMAT {
            return Err(Error::Usage(format!(
                "{name} is a lake of an older format; pull it with the longrun that pushed it, and push it anew"
            )));
        }
        Ok(Lake { root: name.into(), backend, buckets: charter.buckets, has_geometry: charter.geometry })
    }

    /// Opens a lake that is there. One of an older format is brought over first.
    pub fn open(root: &Path) -> Result<Lake> {
        match rebucket::cut_off(root) {
            Some(buckets) => Err(Error::Usage(format!(
                "the change of {} to {buckets} buckets was cut off; `longrun lake rebucket {buckets}` carries it on",
                root.display()
            ))),
            None => Lake::open_as_it_is(root),
        }
    }

    /// The same, also in the middle of a change of the bucket count, for whoever carries that on.
    pub fn open_as_it_is(root: &Path) -> Result<Lake> {
        let charter = root.join(CHARTER);
        let text = match fs::read_to_string(&charter) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !root.exists() => {
                return Err(Error::Usage(format!(
                    "there is no lake at {}; name one with --lake, or make one with `longrun accounts add` or `longrun demo`",
                    root.display()
                )));
            }
            Err(e)
                if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
            {
                return Err(Error::Usage(format!(
                    "{} is not a lake: it has no lake.toml; name another folder with --lake",
                    root.display()
                )));
            }
            Err(e) => return Err(Error::io("read", &charter)(e)),
        };
        let charter = read_charter(&text, &root.display().to_string(), &charter)?;
        let local = Local::new(root);
        let (buckets, has_geometry) = (charter.buckets, charter.geometry);
        if charter.format < FORMAT {
            migrate::to_format_2(root, &local, Charter { format: FORMAT, ..charter })?;
        }
        Ok(Lake { root: root.to_path_buf(), backend: Arc::new(local), buckets, has_geometry })
    }

    /// Opens a lake, making one where there is nothing yet.
    pub fn open_or_create(root: &Path) -> Result<Lake> {
        Lake::open_or_create_of(root, None)
    }

    /// The same, with so many buckets where it is made. One that is there has to have as many.
    pub fn open_or_create_of(root: &Path, buckets: Option<u32>) -> Result<Lake> {
        let is_empty = match fs::read_dir(root) {
            // A crash while the lake was made can leave the folder of staged files behind: still nothing. Nor are
            // hidden files.
            Ok(entries) => entries.flatten().all(|e| {
                let name = e.file_name();
                name == "tmp" || name.as_encoded_bytes().starts_with(b".")
            }),
            Err(e) => e.kind() == std::io::ErrorKind::NotFound,
        };
        if is_empty {
            write_charter(&Local::new(root), &Charter::new(buckets.unwrap_or(BUCKETS), false))?;
        }
        let lake = Lake::open(root)?;
        match buckets {
            Some(wanted) if wanted != lake.buckets => Err(Error::Usage(format!(
                "{} has {} buckets; `longrun lake rebucket {wanted}` gives it {wanted}",
                root.display(),
                lake.buckets
            ))),
            _ => Ok(lake),
        }
    }

    /// The folder, for messages and for what lies beside the stores.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + use<> {
        (0..self.buckets).map(Bucket)
    }

    /// The bucket of everything that belongs to a user.
    pub fn bucket(&self, user_id: &str) -> Bucket {
        bucket_of(user_id, self.buckets)
    }

    /// The buckets of some users; all where there are none.
    pub fn buckets_of(&self, users: &[String]) -> Vec<Bucket> {
        if users.is_empty() {
            return self.buckets().collect();
        }
        let mut buckets: Vec<Bucket> = users.iter().map(|user| self.bucket(user)).collect();
        buckets.sort_unstable();
        buckets.dedup();
        buckets
    }

    /// How long sources let what their APIs gave be kept.
    pub fn policy(&self) -> Key {
        Key::new("policy.toml")
    }

    /// The athletes' own rules for sports.
    pub fn rules(&self) -> Key {
        Key::new("rules.json")
    }

    /// What pairs are scored with.
    pub fn weights(&self) -> Key {
        Key::new("weights.toml")
    }

    pub fn report(&self, name: &str) -> Key {
        Key::new(REPORTS).join(name)
    }

    /// Replaces a small file.
    pub fn put(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.backend.put(key, &mut |out| out.write_all(bytes)).map(drop)
    }

    /// A small text file; None where there is none.
    pub fn text(&self, key: &Key) -> Result<Option<String>> {
        let Some(bytes) = self.backend.read(key)? else { return Ok(None) };
        let text = String::from_utf8(bytes.into()).map_err(|e| Error::damaged(self.place(key), e))?;
        Ok(Some(text))
    }

    /// How people find an object.
    pub fn place(&self, key: &Key) -> PathBuf {
        self.backend.place(key)
    }

    /// Whether `activities` and `golden` have tracks as lines, too.
    pub fn has_geometry(&self) -> bool {
        self.has_geometry
    }

    /// How many buckets there are.
    pub fn bucket_count(&self) -> u32 {
        self.buckets
    }

    /// The state database, open for writing.
    pub fn state(&self) -> Result<State> {
        self.has_state()?;
        State::open(&self.root)
    }

    /// The state database for who only reads: as it is, and empty where there is none yet.
    pub fn state_to_read(&self) -> Result<State> {
        self.has_state()?;
        State::open_to_read(&self.root)
    }

    fn has_state(&self) -> Result<()> {
        if self.backend.is_remote() {
            return Err(Error::Usage(format!(
                "accounts, answers and deliveries stay on the machine that fetches, and not at {}; use the lake there",
                self.root.display()
            )));
        }
        Ok(())
    }

    /// The state database as it is; None where there is none yet.
    pub fn state_if_there(&self) -> Result<Option<State>> {
        if self.backend.is_remote() {
            return Ok(None);
        }
        State::open_if_there(&self.root)
    }
}

/// What `lake.toml` says, if this longrun can go by it.
fn read_charter(text: &str, name: &str, place: &Path) -> Result<Charter> {
    let unreadable = |what: &str| {
        let what = format!(
            "{what}; put back the one that a backup has, or that of another lake with as many buckets"
        );
        Error::damaged(place, what)
    };
    // The version is read by itself: a newer charter may say things this longrun cannot parse.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let version: Version = toml::from_str(text).map_err(|e| unreadable(e.message()))?;
    if version.format > FORMAT {
        return Err(Error::Usage(format!(
            "{name} is a lake of format {}, and this longrun knows formats up to {FORMAT}; use a newer longrun",
            version.format
        )));
    }
    let charter: Charter = toml::from_str(text).map_err(|e| unreadable(e.message()))?;
    if charter.buckets == 0 || charter.buckets > MOST_BUCKETS || charter.hash != HASH {
        return Err(unreadable(&format!("{} buckets by hash {:?}", charter.buckets, charter.hash)));
    }
    Ok(charter)
}

/// How long a store that does not answer is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As long as an outage of minutes takes: for work.
    Minutes,
    /// For a person who wants to know what is wrong.
    Seconds,
}

/// The backend that a URL names.
#[cfg(feature = "cloud")]
pub fn remote(url: &str, patience: Patience) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(super::object::Object::open(url, patience)?))
}

#[cfg(not(feature = "cloud"))]
pub fn remote(url: &str, _: Patience) -> Result<Arc<dyn Backend>> {
    Err(Error::Usage(format!(
        "{url}: this longrun was built without object stores; build it with `cargo install --path . --features cloud`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_keeps_the_bucket_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open_or_create(dir.path()).unwrap();
        // Pinned: another value would orphan every lake on disk.
        assert_eq!(lake.bucket("user-1"), Bucket(104));
        assert_eq!(lake.bucket("").to_string(), "025");
    }

    #[test]
    fn what_is_not_a_lake_is_said_to_be_none() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("holiday.jpg"), b"").unwrap();
        let e = Lake::open_or_create(dir.path()).unwrap_err().to_string();
        assert!(e.contains("is not a lake") && e.contains("--lake"), "{e}");
        let e = Lake::open(&dir.path().join("nothing")).unwrap_err().to_string();
        assert!(e.contains("there is no lake"), "{e}");
        fs::write(dir.path().join("lake.toml"), "format = 7\nlayers = \"three\"\n").unwrap();
        let e = Lake::open(dir.path()).unwrap_err().to_string();
        assert!(e.contains("format 7") && e.contains("newer longrun"), "{e}");
    }

    #[cfg(unix)]
    #[test]
    fn the_state_database_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open_or_create(dir.path()).unwrap();
        drop(lake.state().unwrap());
        let mode = fs::metadata(dir.path().join("state.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
