//! The versions of the schema, and how a database of an older one gets there.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{shrink, state_error};
use crate::error::{Error, Result};

/// In order; the first makes what there was before versions were counted. To change the schema, add one.
const MIGRATIONS: &[&str] = &[
    include_str!("001.sql"),
    include_str!("002.sql"),
    include_str!("003.sql"),
    include_str!("004.sql"),
    include_str!("005.sql"),
    include_str!("006.sql"),
    include_str!("007.sql"),
    include_str!("008.sql"),
    include_str!("009.sql"),
    include_str!("010.sql"),
    include_str!("011.sql"),
    include_str!("012.sql"),
    include_str!("013.sql"),
];

/// Before this many, what was deleted stayed in the file.
const LEAVES_NOTHING: usize = 12;

/// Columns that came before versions were counted, with what older rows have in them.
const COLUMNS_OF_VERSION_1: &[(&str, &str, &str)] =
    &[("pipeline_exports", "runs", "0"), ("pipeline_users", "written_s", "told_s")];

fn version(db: &Connection) -> rusqlite::Result<usize> {
    db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
        .map(|version| version.unsigned_abs() as usize)
}

pub fn is_current(db: &Connection) -> rusqlite::Result<bool> {
    Ok(version(db)? == MIGRATIONS.len())
}

/// Applies what a database has not had yet.
pub fn bring_up(db: &mut Connection, path: &Path) -> Result<()> {
    let fail = |e: rusqlite::Error| state_error(path, &e);
    let found = version(db).map_err(fail)?;
    if found > MIGRATIONS.len() {
        return Err(Error::Usage(format!(
            "{} is of version {found}, and this longrun knows versions up to {}; use a newer longrun",
            path.display(),
            MIGRATIONS.len()
        )));
    }
    // Before its version says so: one that is killed here does it again.
    if found < LEAVES_NOTHING && has_pages(db).map_err(fail)? {
        shrink(db).map_err(fail)?;
    }
    for number in found..MIGRATIONS.len() {
        apply(db, number).map_err(fail)?;
    }
    Ok(())
}

fn has_pages(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).map(|pages| pages > 0)
}

fn apply(db: &mut Connection, number: usize) -> rusqlite::Result<()> {
    // Takes the turn before it looks, because another process may be doing the same.
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version(&transaction)? == number {
        if number == 0 {
            add_columns_of_version_1(&transaction)?;
        }
        transaction.execute_batch(MIGRATIONS[number])?;
        transaction.pragma_update(None, "user_version", number as i64 + 1)?;
    }
    transaction.commit()
}

fn add_columns_of_version_1(db: &Connection) -> rusqlite::Result<()> {
    for (table, column, value) in COLUMNS_OF_VERSION_1 {
        let has_column = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
        let has_column = db.query_row(has_column, (table, column), |row| row.get::<_, i64>(0))? > 0;
        if db.table_exists(None, *table)? && !has_column {
            db.execute_batch(&format!(
                "ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0;
                 UPDATE {table} SET {column} = {value};"
            ))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::accounts::Accounts;
    use super::*;
    use crate::store::lake::Lake;

    /// The schema as the commits before version 1 had it, by what each of them added.
    const EARLIER: [&str; 5] = [
        "CREATE TABLE accounts (source TEXT NOT NULL, account_id TEXT NOT NULL, user_id TEXT NOT NULL,
           access_token TEXT NOT NULL, refresh_token TEXT NOT NULL, expires_at_s INTEGER NOT NULL,
           PRIMARY KEY (source, account_id)) STRICT;
         CREATE TABLE rate_windows (source TEXT NOT NULL, pair TEXT NOT NULL, length_s INTEGER NOT NULL,
           max_requests INTEGER NOT NULL, used INTEGER NOT NULL, window_index INTEGER NOT NULL,
           PRIMARY KEY (source, pair, length_s)) STRICT;
         INSERT INTO accounts VALUES ('strava', '1', 'alice', 'access', 'refresh', 7)",
        "CREATE TABLE clocks (source TEXT PRIMARY KEY, ahead_ms INTEGER NOT NULL) STRICT",
        "CREATE TABLE uploads (user_id TEXT NOT NULL, entry TEXT NOT NULL, destination TEXT, destination_id TEXT,
           start_s INTEGER, duration_s REAL, source TEXT, external_id TEXT, uploaded_at TEXT,
           PRIMARY KEY (user_id, entry)) STRICT",
        "CREATE TABLE answers (user_id TEXT NOT NULL, one TEXT NOT NULL, other TEXT NOT NULL, answer TEXT NOT NULL,
           answered_at_s INTEGER NOT NULL, PRIMARY KEY (user_id, one, other)) STRICT",
        "CREATE TABLE pipeline_users (user_id TEXT PRIMARY KEY, tier TEXT, syncs_used INTEGER NOT NULL,
           told_s INTEGER NOT NULL) STRICT;
         INSERT INTO pipeline_users VALUES ('alice', 'hobbyist', 3, 1000);
         CREATE TABLE pipeline_exports (taken_in_s INTEGER NOT NULL, entries INTEGER NOT NULL) STRICT;
         INSERT INTO pipeline_exports VALUES (1000, 5)",
    ];

    #[test]
    fn a_database_of_any_earlier_commit_opens_and_keeps_its_tokens() {
        for commits in 1..=EARLIER.len() {
            let dir = tempfile::tempdir().unwrap();
            let lake = Lake::open_or_create(dir.path()).unwrap();
            let db = Connection::open(dir.path().join("state.db")).unwrap();
            EARLIER[..commits].iter().for_each(|sql| db.execute_batch(sql).unwrap());
            drop(db);
            let bytes = || std::fs::read(dir.path().join("state.db")).unwrap();
            let before = bytes();
            let read = Accounts::open_to_read(&lake).unwrap().list().unwrap();
            assert_eq!(read.len(), 1, "after {commits} commits, for who only reads");
            assert!(bytes() == before, "which changes nothing");
            let accounts = Accounts::open(&lake).unwrap().list().unwrap();
            assert_eq!(accounts.len(), 1, "after {commits} commits");
            assert_eq!(accounts[0].as_ref().unwrap().refresh_token.expose(), "refresh");
            let state = State::open_if_there(dir.path()).unwrap().unwrap();
            assert!(is_current(&state.db).unwrap());
            if commits == EARLIER.len() {
                let read = |sql: &str| state.db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
                assert_eq!(read("SELECT written_s FROM pipeline_users"), 1000);
                assert_eq!(read("SELECT runs FROM pipeline_exports"), 0);
            }
        }
    }

    #[test]
    fn a_database_of_a_newer_longrun_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(State::open(dir.path()).unwrap());
        let db = Connection::open(dir.path().join("state.db")).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        let e = State::open(dir.path()).unwrap_err().to_string();
        assert!(e.contains("version 99") && e.contains("newer longrun"), "{e}");
    }
}
