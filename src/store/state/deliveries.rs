//! What was re-driven. An intent is on the disk before its message is sent, and how it ended once that is known.
//!
//! An intent without an end is one that a crash cut off: it may have arrived, as one that timed out. Both are sent
//! again under the same id. One that was delivered never is.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::params;

use super::State as Database;
use crate::error::Result;
use crate::store::lake::Lake;

/// How far a message came, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Meant to be sent, or sent without an answer.
    Unsettled {
        attempts: u32,
    },
    Delivered,
    Rejected(String),
}

/// A message, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub state: State,
    /// Unix seconds.
    pub changed_s: i64,
}

/// What is written down of a message before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub user_id: String,
    pub execution_id: String,
    pub golden_id: String,
    pub start_s: i64,
    pub syncs: u64,
}

/// How a message ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub user_id: String,
    pub execution_id: String,
    /// `delivered`, `rejected` or `unknown`.
    pub state: &'static str,
    pub reason: Option<String>,
}

/// The messages to one sink.
pub struct Ledger {
    database: Database,
    sink: String,
}

impl Ledger {
    pub fn open(lake: &Lake, sink: &str) -> Result<Ledger> {
        let database = lake.state()?;
        // One sync for a group of messages, and readers are never in the way.
        database.check(database.db.pragma_update(None, "journal_mode", "WAL"))?;
        Ok(Ledger { database, sink: sink.to_string() })
    }

    /// A user's messages, by execution id.
    pub fn of_user(&self, user_id: &str) -> Result<HashMap<String, Sent>> {
        let read = || -> rusqlite::Result<HashMap<String, Sent>> {
            let mut statement = self.database.db.prepare_cached(
                "SELECT execution_id, state, reason, attempts, changed_s FROM redrives WHERE sink = ?1 AND user_id = ?2",
            )?;
            let rows = statement.query_map(params![self.sink, user_id], |row| {
                let state = match row.get::<_, String>(1)?.as_str() {
                    "delivered" => State::Delivered,
                    "rejected" => State::Rejected(row.get::<_, Option<String>>(2)?.unwrap_or_default()),
                    _ => State::Unsettled { attempts: row.get(3)? },
                };
                Ok((row.get(0)?, Sent { state, changed_s: row.get(4)? }))
            })?;
            rows.collect()
        };
        self.database.check(read())
    }

    /// Syncs that a user's messages may have used since a moment, through whatever sink leads to the pipeline: all
    /// but files, or this one.
    pub fn syncs_since(&self, user_id: &str, since_s: i64) -> Result<u64> {
        let sum = self.database.db.query_row(
            "SELECT coalesce(sum(syncs), 0) FROM redrives
             WHERE user_id = ?2 AND changed_s >= ?3 AND state <> 'rejected'
               AND (sink = ?1 OR (?1 NOT LIKE 'file:%' AND sink NOT LIKE 'file:%'))",
            params![self.sink, user_id, since_s],
            |row| row.get::<_, i64>(0),
        );
        Ok(self.database.check(sum)?.unsigned_abs())
    }

    /// Messages that were begun and not settled, whoever's.
    pub fn unsettled(&self) -> Result<u64> {
        let count = self.database.db.query_row(
            "SELECT count(*) FROM redrives WHERE sink = ?1 AND state IN ('intended', 'unknown')",
            [&self.sink],
            |row| row.get::<_, i64>(0),
        );
        Ok(self.database.check(count)?.unsigned_abs())
    }

    /// Writes down what is about to be sent. It is on the disk when this returns.
    pub fn intend(&self, intents: &[Intent], now: Timestamp) -> Result<()> {
        let sink = self.sink.clone();
        self.database.write(|db| {
            let mut statement = db.prepare_cached(
                "INSERT INTO redrives VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'intended', NULL, 1, ?7)
                 ON CONFLICT DO UPDATE SET state = 'intended', attempts = attempts + 1, syncs = excluded.syncs,
                   changed_s = excluded.changed_s",
            )?;
            intents.iter().try_for_each(|i| {
                let (syncs, now_s) = (i.syncs.cast_signed(), now.as_second());
                statement
                    .execute(params![sink, i.user_id, i.execution_id, i.golden_id, i.start_s, syncs, now_s])
                    .map(drop)
            })
        })
    }

    /// Writes down how messages ended.
    pub fn settle(&self, ends: &[End], now: Timestamp) -> Result<()> {
        let sink = self.sink.clone();
        self.database.write(|db| {
            let mut statement = db.prepare_cached(
                "UPDATE redrives SET state = ?4, reason = ?5, changed_s = ?6
                 WHERE sink = ?1 AND user_id = ?2 AND execution_id = ?3",
            )?;
            ends.iter().try_for_each(|end| {
                statement
                    .execute(params![
                        sink,
                        end.user_id,
                        end.execution_id,
                        end.state,
                        end.reason,
                        now.as_second()
                    ])
                    .map(drop)
            })
        })
    }
}
