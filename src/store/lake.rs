//! Where the stores lie, which bucket a user falls in, and the state database.
//!
//! ```text
//! lake/
//! ├── lake.toml                                        format version, bucket count, hash
//! ├── state.db                                         SQLite: accounts, tokens, rate windows, what the live
//! │                                                    pipeline said of itself, what was sent to it; mode 0600
//! ├── rules.json                                       the athletes' own rules for sports
//! ├── landing/strava/bucket=017.jsonl.zst              one zstd frame per API response
//! ├── landing/archives/bucket=017.jsonl                what was imported, a line each
//! ├── landing/archives/bucket=017/9f86d081…            the archives, by their hashes
//! ├── activities/source=strava/bucket=017.parquet      one row per activity
//! ├── origins/source=strava/origin=api/bucket=017.parquet   each origin's rows, where there are two
//! ├── streams/source=strava/bucket=017/year=2024.parquet   one row per activity, sample series as lists
//! ├── rejects/source=strava/bucket=017.parquet         what was not taken, why, and where its bytes are
//! ├── matches/bucket=017.parquet                       one row per pair of activities that was compared
//! ├── golden/bucket=017.parquet                        one row per workout
//! ├── redrive/                                         held by the redrive that runs
//! ├── reports/report.html                              a page to look at
//! └── weights.toml                                     what agreeing and disagreeing is worth
//! ```
//!
//! Nothing crosses users and a user never leaves a bucket, so a bucket is a complete,
//! independent unit of work.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use crate::error::{Error, Result};
use crate::store::local;

/// The version of the layout above. A lake of a newer one is refused.
const FORMAT: u32 = 1;
/// Enough that a bucket of millions of activities fits in memory many times over.
const BUCKETS: u32 = 128;
const HASH: &str = "xxh64";

#[derive(Debug, Clone)]
pub struct Lake {
    root: PathBuf,
    buckets: u32,
}

/// `lake.toml`.
#[derive(Serialize, Deserialize)]
struct Charter {
    format: u32,
    buckets: u32,
    hash: String,
}

/// Whether a user is among those who were named; everybody is where none were.
pub fn is_among(users: &[String], user: &str) -> bool {
    users.is_empty() || users.iter().any(|named| named == user)
}

/// A bucket's number, below the lake's bucket count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(pub u32);

impl std::fmt::Display for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "bucket={:03}", self.0)
    }
}

impl Lake {
    /// Opens a lake that is there.
    pub fn open(root: &Path) -> Result<Lake> {
        let charter = root.join("lake.toml");
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
        // The version is read by itself: a newer charter may say things this longrun cannot parse.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version = toml::from_str(&text).map_err(|e| Error::damaged(&charter, e.message()))?;
        if version.format > FORMAT {
            return Err(Error::Usage(format!(
                "{} is a lake of format {}, and this longrun knows formats up to {FORMAT}; use a newer longrun",
                root.display(),
                version.format
            )));
        }
        let Charter { buckets, hash, .. } =
            toml::from_str(&text).map_err(|e| Error::damaged(&charter, e.message()))?;
        if buckets == 0 || hash != HASH {
            return Err(Error::damaged(&charter, format!("{buckets} buckets by hash {hash:?}")));
        }
        Ok(Lake { root: root.to_path_buf(), buckets })
    }

    /// Opens a lake, making one where there is nothing yet.
    pub fn open_or_create(root: &Path) -> Result<Lake> {
        let is_empty = match fs::read_dir(root) {
            // A crash while the lake was made can leave a staged charter behind: still nothing.
            Ok(entries) => entries.flatten().all(|e| e.file_name().as_encoded_bytes().starts_with(b".")),
            Err(e) => e.kind() == std::io::ErrorKind::NotFound,
        };
        if is_empty {
            let charter = Charter { format: FORMAT, buckets: BUCKETS, hash: HASH.to_string() };
            let text = toml::to_string(&charter).expect("the charter is plain");
            local::replace(&root.join("lake.toml"), |w| w.write_all(text.as_bytes()))?;
        }
        Lake::open(root)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + use<> {
        (0..self.buckets).map(Bucket)
    }

    /// The bucket of everything that belongs to a user.
    pub fn bucket(&self, user_id: &str) -> Bucket {
        Bucket((XxHash64::oneshot(0, user_id.as_bytes()) % u64::from(self.buckets)) as u32)
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

    pub fn landing_folder(&self) -> PathBuf {
        self.root.join("landing/strava")
    }

    pub fn landing(&self, bucket: Bucket) -> PathBuf {
        self.landing_folder().join(format!("{bucket}.jsonl.zst"))
    }

    pub fn archives_folder(&self) -> PathBuf {
        self.root.join("landing/archives")
    }

    /// What was imported into a bucket, a line each.
    pub fn archives_log(&self, bucket: Bucket) -> PathBuf {
        self.archives_folder().join(format!("{bucket}.jsonl"))
    }

    /// The imported archives of a bucket.
    pub fn archives(&self, bucket: Bucket) -> PathBuf {
        self.archives_folder().join(bucket.to_string())
    }

    /// The athletes' own rules for sports.
    pub fn rules(&self) -> PathBuf {
        self.root.join("rules.json")
    }

    pub fn activities_folder(&self) -> PathBuf {
        self.root.join("activities")
    }

    pub fn activities(&self, source: &str, bucket: Bucket) -> PathBuf {
        self.activities_folder().join(format!("source={source}/{bucket}.parquet"))
    }

    /// The rows as the API or the archives told them, where both did and `activities` has their sum.
    pub fn origins(&self, source: &str, origin: &str, bucket: Bucket) -> PathBuf {
        self.root.join(format!("origins/source={source}/origin={origin}/{bucket}.parquet"))
    }

    pub fn streams_folder(&self) -> PathBuf {
        self.root.join("streams")
    }

    pub fn streams(&self, source: &str, bucket: Bucket, year: i16) -> PathBuf {
        self.streams_folder().join(format!("source={source}/{bucket}/year={year}.parquet"))
    }

    pub fn rejects_folder(&self) -> PathBuf {
        self.root.join("rejects")
    }

    pub fn rejects(&self, source: &str, bucket: Bucket) -> PathBuf {
        self.rejects_folder().join(format!("source={source}/{bucket}.parquet"))
    }

    pub fn matches_folder(&self) -> PathBuf {
        self.root.join("matches")
    }

    pub fn matches(&self, bucket: Bucket) -> PathBuf {
        self.matches_folder().join(format!("{bucket}.parquet"))
    }

    pub fn golden_folder(&self) -> PathBuf {
        self.root.join("golden")
    }

    pub fn golden(&self, bucket: Bucket) -> PathBuf {
        self.golden_folder().join(format!("{bucket}.parquet"))
    }

    pub fn reports_folder(&self) -> PathBuf {
        self.root.join("reports")
    }

    /// Where a redrive keeps others out.
    pub fn redrive_folder(&self) -> PathBuf {
        self.root.join("redrive")
    }

    /// What pairs are scored with.
    pub fn weights(&self) -> PathBuf {
        self.root.join("weights.toml")
    }

    /// The path as reports and `raw_ref` columns tell it: below the lake, with `/`.
    pub fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// The state database, readable by nobody else: it holds the tokens.
    pub fn state(&self) -> Result<Connection> {
        let path = self.root.join("state.db");
        make_private(&path)?;
        let fail = |e: rusqlite::Error| state_error(&path, &e);
        let db = Connection::open(&path).map_err(fail)?;
        db.busy_timeout(std::time::Duration::from_secs(10)).map_err(fail)?;
        // A token that was rotated is on the disk before it is used.
        db.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
        db.execute_batch(include_str!("state/001.sql")).map_err(fail)?;
        Ok(db)
    }
}

/// Besides one per core, because a worker that syncs a file waits for the disk.
const WORKERS_AT_THE_DISK: usize = 1;

/// Works on buckets in parallel, and gives what came of each, in their order, or the first error. Few
/// buckets are open at a time, which bounds the memory: what is parallel within one runs on rayon's threads,
/// and those must not start on another bucket while they wait.
pub fn each_bucket<T: Send>(buckets: &[Bucket], work: impl Fn(Bucket) -> Result<T> + Sync) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Result<Vec<(Bucket, T)>>> = Mutex::new(Ok(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..(rayon::current_num_threads() + WORKERS_AT_THE_DISK).min(buckets.len()) {
            scope.spawn(|| {
                while let Some(bucket) = buckets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = work(*bucket);
                    let mut done = done.lock().expect("no thread panics while it holds this");
                    match (&mut *done, result) {
                        (Ok(all), Ok(result)) => all.push((*bucket, result)),
                        (Ok(_), Err(e)) => *done = Err(e),
                        (Err(_), _) => {}
                    }
                    if done.is_err() {
                        break;
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no thread panics while it holds this")?;
    done.sort_by_key(|(bucket, _)| *bucket);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// An error of the state database as an error of its file.
pub fn state_error(path: &Path, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => std::io::ErrorKind::StorageFull,
        // The file that its processes share memory by could not grow.
        Some(ErrorCode::SystemIoFailure)
            if error
                .sqlite_error()
                .is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE) =>
        {
            std::io::ErrorKind::StorageFull
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => std::io::ErrorKind::PermissionDenied,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => return Error::damaged(path, error),
        _ => std::io::ErrorKind::Other,
    };
    Error::io("use", path)(std::io::Error::new(kind, error.to_string()))
}

#[cfg(unix)]
fn make_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if !path.exists() {
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::io("create", path))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> Result<()> {
    Ok(())
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
        assert_eq!(lake.bucket("").to_string(), "bucket=025");
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
