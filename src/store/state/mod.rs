//! The state database: what cannot be made anew from the stores. All of its SQL is in this folder.
//!
//! The schema is a list of numbered migrations; `user_version` says how many a database has had. Each is one
//! transaction, so a database that is killed in between is of the version before or after.

pub mod accounts;
pub mod answers;
pub mod deliveries;
pub mod exports;
mod migrations;
pub mod parked;
pub mod purges;
pub mod rates;
mod reading;
pub mod seal;
pub mod snapshot;
pub mod zones;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::{Error, Result};

const NAME: &str = "state.db";
/// Another process may be in the middle of a write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The database, open.
#[derive(Debug)]
pub struct State {
    pub(crate) db: Connection,
    path: PathBuf,
}

impl State {
    /// Opens it for writing; makes it where there is none, readable by nobody else: it holds the tokens.
    pub fn open(root: &Path) -> Result<State> {
        let path = root.join(NAME);
        make_private(&path)?;
        let fail = |e: rusqlite::Error| state_error(&path, &e);
        let mut db = Connection::open(&path).map_err(fail)?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
        // A token that was rotated is on the disk before it is used.
        db.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
        // A token that is removed or replaced leaves no bytes in the file.
        db.pragma_update(None, "secure_delete", true).map_err(fail)?;
        migrations::bring_up(&mut db, &path)?;
        Ok(State { db, path })
    }

    /// Opens it for reading; None where there is none.
    ///
    /// Nothing is changed, also where this process may not write or the disk is full; but what a killed process left
    /// half done has to be taken back before anybody can read. One of an older version is read as a copy in memory.
    pub fn open_if_there(root: &Path) -> Result<Option<State>> {
        let path = root.join(NAME);
        if !path.exists() {
            return Ok(None);
        }
        let fail = |e: rusqlite::Error| state_error(&path, &e);
        let mut db = reading::open(&path).map_err(fail)?;
        if !migrations::is_current(&db).map_err(fail)? {
            db = reading::copied(&db).map_err(fail)?;
            migrations::bring_up(&mut db, &path)?;
            db.pragma_update(None, "query_only", true).map_err(fail)?;
        }
        Ok(Some(State { db, path }))
    }

    /// The same; where there is none, an empty one that nothing is left of.
    pub fn open_to_read(root: &Path) -> Result<State> {
        State::open_if_there(root)?.map_or_else(State::in_memory, Ok)
    }

    /// A database that is gone when it is dropped.
    pub fn in_memory() -> Result<State> {
        let path = PathBuf::from(":memory:");
        let mut db = Connection::open_in_memory().map_err(|e| state_error(&path, &e))?;
        migrations::bring_up(&mut db, &path)?;
        Ok(State { db, path })
    }

    /// An error of the database as an error of its file.
    pub fn check<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|e| state_error(&self.path, &e))
    }

    /// Leaves nothing of what was deleted or replaced in the log of writes, which another process may have open.
    fn empty_log(&self) -> Result<()> {
        self.check(empty_log(&self.db))
    }

    /// The same, and gives back the room of what was deleted.
    fn shrink(&self) -> Result<()> {
        self.check(shrink(&self.db))
    }

    /// From now on, whoever opens it next, writes go into a log of their own beside it.
    fn write_ahead(&self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let changed = self.db.pragma_update(None, "journal_mode", "WAL");
            let is_busy = changed
                .as_ref()
                .is_err_and(|e| e.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy));
            // SQLite does not wait by itself here, where two change it at once.
            if !is_busy || begin.elapsed() > BUSY_TIMEOUT {
                return self.check(changed);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// All of the work or nothing of it. It must not wait for anything: every other process waits for it.
    pub fn write<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        // From its begin on, nobody else writes: what it reads first is as it will be when it writes.
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate);
        self.check(transaction.and_then(|transaction| {
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        }))
    }
}

fn empty_log(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn shrink(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("VACUUM")?;
    empty_log(db)
}

/// All rows of a query, each as `row` makes it.
fn rows<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    row: impl FnMut(&rusqlite::Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare_cached(sql)?.query_map(params, row)?.collect()
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
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            let what = "restore it from a copy, or move it away and add the accounts again: answers and what was delivered are in it";
            return Error::damaged(path, format!("{error}; {what}"));
        }
        _ => std::io::ErrorKind::Other,
    };
    Error::io("use", path)(std::io::Error::new(kind, error.to_string()))
}

#[cfg(unix)]
fn make_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if !path.exists() {
        std::fs::OpenOptions::new()
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
    fn what_a_killed_process_left_half_done_is_taken_back_by_a_reader() {
        let (killed, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        drop(State::open(killed.path()).unwrap());
        let db = Connection::open(killed.path().join(NAME)).unwrap();
        db.execute_batch("CREATE TABLE toys (name TEXT); INSERT INTO toys VALUES ('bear')").unwrap();
        // More than the cache holds, so that the file is changed before the commit.
        db.pragma_update(None, "cache_size", 1).unwrap();
        db.execute_batch(
            "BEGIN; INSERT INTO toys
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) SELECT i FROM n",
        )
        .unwrap();
        for name in [NAME, "state.db-journal"] {
            std::fs::copy(killed.path().join(name), left.path().join(name)).unwrap();
        }
        let state = State::open_if_there(left.path()).unwrap().unwrap();
        let toys = state.db.query_row("SELECT count(*) FROM toys", [], |row| row.get::<_, i64>(0));
        assert_eq!(toys.unwrap(), 1);
        assert!(state.db.execute("DELETE FROM toys", []).is_err(), "it is open for reading");
    }

    #[test]
    fn several_that_write_ahead_at_once_wait_for_each_other() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            drop(State::open(folder.path()).unwrap());
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| State::open(folder.path()).unwrap().write_ahead().unwrap());
                }
            });
        }
    }
}
