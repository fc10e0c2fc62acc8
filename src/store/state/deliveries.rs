//! What was re-driven. An intent is on the disk before its message is sent, and how it ended once that is known.
//!
//! An intent without an end is one that a crash cut off: it may have arrived, as one that timed out. Both are sent
//! again under the same id. One that was delivered never is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::params;

use super::State;
use crate::error::Result;
use crate::store::lake::Lake;

/// How far a message came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Meant to be sent, or sent without an answer.
    Unsettled {
        attempts: u32,
    },
    Delivered,
    Rejected(String),
}

/// A message that was sent, or was about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub golden_id: String,
    pub execution_id: String,
    pub progress: Progress,
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
    /// A digest of what the message says of its record.
    pub content: i64,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Delivered,
    Rejected,
    Unknown,
}

impl Ended {
    fn name(self) -> &'static str {
        match self {
            Ended::Delivered => "delivered",
            Ended::Rejected => "rejected",
            Ended::Unknown => "unknown",
        }
    }
}

/// How a message ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub user_id: String,
    pub execution_id: String,
    pub ended: Ended,
    pub reason: Option<String>,
}

/// Of the database's pages, in memory.
const CACHE_KIB: i64 = 64 << 10;
/// 32 MiB of pages that changed.
const CHECKPOINT_PAGES: i64 = 8192;

/// The messages to one sink.
pub struct Deliveries {
    state: State,
    sink: String,
}

impl Deliveries {
    pub fn open(lake: &Lake, sink: &str) -> Result<Deliveries> {
        let deliveries = Deliveries::for_planning(lake, sink)?;
        let state = &deliveries.state;
        // Rows of random ids change all over the table, so most of it stays in memory, and goes back to its file rarely.
        state.check(state.db.pragma_update(None, "cache_size", -CACHE_KIB))?;
        state.check(state.db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES))?;
        Ok(deliveries)
    }

    /// For who reads each user's once, beside others who do.
    pub fn for_planning(lake: &Lake, sink: &str) -> Result<Deliveries> {
        let state = lake.state()?;
        // One sync for a group of messages, and readers are never in the way.
        state.write_ahead()?;
        Ok(Deliveries { state, sink: sink.to_string() })
    }

    /// Deliveries that nobody remembers, for a rehearsal.
    pub fn forgotten(sink: &str) -> Result<Deliveries> {
        Ok(Deliveries { state: State::in_memory()?, sink: sink.to_string() })
    }

    /// A user's messages.
    pub fn of_user(&self, user_id: &str) -> Result<Vec<Delivery>> {
        let read = || -> rusqlite::Result<Vec<Delivery>> {
            let mut statement = self.state.db.prepare_cached(
                "SELECT execution_id, golden_id, state, reason, attempts, changed_s FROM redrives
                 WHERE sink = ?1 AND user_id = ?2",
            )?;
            let rows = statement.query_map(params![self.sink, user_id], |row| {
                let progress = match row.get::<_, String>(2)?.as_str() {
                    "delivered" => Progress::Delivered,
                    "rejected" => Progress::Rejected(row.get::<_, Option<String>>(3)?.unwrap_or_default()),
                    _ => Progress::Unsettled { attempts: row.get(4)? },
                };
                Ok(Delivery {
                    execution_id: row.get(0)?,
                    golden_id: row.get(1)?,
                    progress,
                    changed_s: row.get(5)?,
                })
            })?;
            rows.collect()
        };
        self.state.check(read())
    }

    /// Syncs that a user's messages may have spent since a moment, by sink.
    pub fn syncs_since(&self, user_id: &str, since_s: i64) -> Result<BTreeMap<String, u64>> {
        let read = || -> rusqlite::Result<BTreeMap<String, u64>> {
            let mut statement = self.state.db.prepare_cached(
                "SELECT sink, coalesce(sum(syncs), 0) FROM redrives
                 WHERE user_id = ?1 AND changed_s >= ?2 AND state <> 'rejected' GROUP BY sink",
            )?;
            let rows = statement.query_map(params![user_id, since_s], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
            })?;
            rows.collect()
        };
        self.state.check(read())
    }

    fn count(&self, states: &str) -> Result<u64> {
        let count = format!("SELECT count(*) FROM redrives WHERE sink = ?1 AND state IN ({states})");
        let count = self.state.db.query_row(&count, [&self.sink], |row| row.get::<_, i64>(0));
        Ok(self.state.check(count)?.unsigned_abs())
    }

    /// Messages that were begun and not settled, whoever's.
    pub fn unsettled(&self) -> Result<u64> {
        self.count("'intended', 'unknown'")
    }

    pub fn delivered(&self) -> Result<u64> {
        self.count("'delivered'")
    }

    /// Writes down what is about to be sent. It is on the disk when this returns.
    pub fn intend(&self, intents: &[Intent], now: Timestamp) -> Result<()> {
        self.state.write(|db| {
            let mut statement = db.prepare_cached(
                "INSERT INTO redrives VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'intended', NULL, 1, ?7, ?8)
                 ON CONFLICT DO UPDATE SET state = 'intended', attempts = attempts + 1, syncs = excluded.syncs,
                   changed_s = excluded.changed_s, content = excluded.content",
            )?;
            intents.iter().try_for_each(|i| {
                let (syncs, now_s) = (i.syncs.cast_signed(), now.as_second());
                statement
                    .execute(params![
                        self.sink,
                        i.user_id,
                        i.execution_id,
                        i.golden_id,
                        i.start_s,
                        syncs,
                        now_s,
                        i.content
                    ])
                    .map(drop)
            })
        })
    }

    /// Writes down how messages ended.
    pub fn settle(&self, ends: &[End], now: Timestamp) -> Result<()> {
        self.state.write(|db| {
            let mut statement = db.prepare_cached(
                "UPDATE redrives SET state = ?4, reason = ?5, changed_s = ?6
                 WHERE sink = ?1 AND user_id = ?2 AND execution_id = ?3",
            )?;
            ends.iter().try_for_each(|end| {
                let (state, now_s) = (end.ended.name(), now.as_second());
                statement
                    .execute(params![self.sink, end.user_id, end.execution_id, state, end.reason, now_s])
                    .map(drop)
            })
        })
    }
}

/// Messages that came equally far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub sink: String,
    /// `intended`, `delivered`, `rejected` or `unknown`.
    pub state: String,
    /// Of their runs, by the newest export; None where it has none.
    pub run_status: Option<String>,
    pub count: u64,
    /// Unix seconds.
    pub first_s: i64,
    pub last_s: i64,
}

/// Everything that was sent, by how far it came.
pub fn overview(lake: &Lake) -> Result<Vec<Sent>> {
    let state = lake.state_to_read()?;
    let read = || -> rusqlite::Result<Vec<Sent>> {
        let mut statement = state.db.prepare(
            "SELECT m.sink, m.state, r.status, count(*), min(m.changed_s), max(m.changed_s)
             FROM redrives m LEFT JOIN runs r ON r.user_id = m.user_id AND r.run_id = m.execution_id
             GROUP BY m.sink, m.state, r.status ORDER BY m.sink",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Sent {
                sink: row.get(0)?,
                state: row.get(1)?,
                run_status: row.get(2)?,
                count: row.get::<_, i64>(3)?.unsigned_abs(),
                first_s: row.get(4)?,
                last_s: row.get(5)?,
            })
        })?;
        rows.collect()
    };
    state.check(read())
}

/// A message that was delivered, and what it said of its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredContent {
    pub sink: String,
    pub execution_id: String,
    pub content: i64,
    /// Unix seconds.
    pub delivered_s: i64,
}

/// Everything that was delivered, by user; what earlier versions delivered without a digest is left out.
pub fn delivered_contents(lake: &Lake) -> Result<BTreeMap<String, Vec<DeliveredContent>>> {
    let state = lake.state_to_read()?;
    let sql = "SELECT user_id, sink, execution_id, content, changed_s FROM redrives
               WHERE state = 'delivered' AND content IS NOT NULL";
    let all = super::rows(&state.db, sql, [], |row| {
        let content = DeliveredContent {
            sink: row.get(1)?,
            execution_id: row.get(2)?,
            content: row.get(3)?,
            delivered_s: row.get(4)?,
        };
        Ok((row.get::<_, String>(0)?, content))
    });
    let mut by_user: BTreeMap<String, Vec<DeliveredContent>> = BTreeMap::new();
    for (user_id, content) in state.check(all)? {
        by_user.entry(user_id).or_default().push(content);
    }
    Ok(by_user)
}

/// The sinks that something was sent to, in the order in which that was last.
pub fn sinks(lake: &Lake) -> Result<Vec<String>> {
    let state = lake.state_to_read()?;
    let sql = "SELECT sink FROM redrives GROUP BY sink ORDER BY max(changed_s), sink";
    state.check(super::rows(&state.db, sql, [], |row| row.get(0)))
}

/// How many users something was sent for.
pub fn users_by_sink(lake: &Lake) -> Result<Vec<(String, u64)>> {
    let state = lake.state_to_read()?;
    let read = || -> rusqlite::Result<Vec<(String, u64)>> {
        let mut statement =
            state.db.prepare("SELECT sink, count(DISTINCT user_id) FROM redrives GROUP BY sink")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
        rows.collect()
    };
    state.check(read())
}
