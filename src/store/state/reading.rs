//! The database as it is, for who only reads.

use std::path::Path;

use reqwest::Url;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{BUSY_TIMEOUT, rows};

/// Opens a database without changing it.
///
/// One with a log of its writes beside it is read through a file that its processes share. Where that cannot be made,
/// because nothing can be written there, nobody else can write either, and with an empty log the database is whole.
pub fn open(path: &Path) -> rusqlite::Result<Connection> {
    let opened = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|db| {
        db.busy_timeout(BUSY_TIMEOUT)?;
        db.pragma_update(None, "query_only", true)?;
        // Only the first look finds out whether it can be read.
        db.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
        Ok(db)
    });
    match opened {
        Err(e) if cannot_share(&e) && !has_log(path) => immutable(path),
        opened => opened,
    }
}

/// Whether the file that its processes share could not be made.
fn cannot_share(error: &rusqlite::Error) -> bool {
    use ErrorCode::{CannotOpen, DiskFull, PermissionDenied, ReadOnly, SystemIoFailure};
    matches!(
        error.sqlite_error_code(),
        Some(CannotOpen | ReadOnly | PermissionDenied | DiskFull | SystemIoFailure)
    )
}

/// Whether there are writes beside the database that are not in it yet.
fn has_log(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(name).is_ok_and(|log| log.len() > 0)
}

fn immutable(path: &Path) -> rusqlite::Result<Connection> {
    let url = std::path::absolute(path).ok().and_then(|path| Url::from_file_path(path).ok());
    let mut url = url.ok_or_else(|| rusqlite::Error::InvalidPath(path.to_path_buf()))?;
    url.set_query(Some("immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(url.as_str(), flags)
}

/// All that is in a database, in memory.
pub fn copied(db: &Connection) -> rusqlite::Result<Connection> {
    let copy = Connection::open_in_memory()?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    copy.pragma_update(None, "user_version", version)?;
    let made = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'
                ORDER BY type <> 'table'";
    let made = rows(db, made, [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    for (kind, name, sql) in made {
        copy.execute_batch(&sql)?;
        if kind == "table" {
            let mut all = db.prepare(&format!("SELECT * FROM \"{name}\""))?;
            let width = all.column_count();
            let places = vec!["?"; width].join(",");
            let mut insert = copy.prepare(&format!("INSERT INTO \"{name}\" VALUES ({places})"))?;
            let mut all = all.query([])?;
            while let Some(row) = all.next()? {
                let cells =
                    (0..width).map(|at| row.get::<_, Value>(at)).collect::<rusqlite::Result<Vec<_>>>()?;
                insert.execute(rusqlite::params_from_iter(cells))?;
            }
        }
    }
    Ok(copy)
}
