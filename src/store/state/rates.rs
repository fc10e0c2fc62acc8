//! Rate windows and the server's clock, as the last process left them.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};
use serde::Serialize;

use super::{State, rows};
use crate::error::Result;
use crate::store::lake::Lake;

/// One fixed window, as the server last said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    pub limit: u32,
    pub used: u32,
    pub length_s: u32,
    /// Server time divided by the length.
    pub index: i64,
}

/// Calls that were not ours, in an hour of the UTC day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    pub hour: u8,
    /// How long that hour was watched for, over all days.
    pub seconds: f64,
    pub calls: f64,
}

/// Of an hour of the day no more than so many hours are remembered, so that what was long ago fades.
const REMEMBERED_S: f64 = 14.0 * 3_600.0;

pub struct Rates(State);

impl Rates {
    pub fn open(lake: &Lake) -> Result<Rates> {
        lake.state().map(Rates)
    }

    /// For who only reads. Nothing is changed.
    pub fn open_to_read(lake: &Lake) -> Result<Rates> {
        lake.state_to_read().map(Rates)
    }

    pub(super) fn check<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.0.check(work(&self.0.db))
    }

    /// The windows, each with the name of its pair.
    pub fn windows(&self) -> Result<Vec<(String, Window)>> {
        self.check(|db| {
            let sql = "SELECT pair, max_requests, used, length_s, window_index FROM rate_windows
                       WHERE source = 'strava'";
            rows(db, sql, [], |row| {
                let window = Window {
                    limit: row.get(1)?,
                    used: row.get(2)?,
                    length_s: row.get(3)?,
                    index: row.get(4)?,
                };
                Ok((row.get(0)?, window))
            })
        })
    }

    /// By how much the server's clock was ahead of this machine's, when they were last compared.
    pub fn ahead_ms(&self) -> Result<i64> {
        self.check(|db| {
            let mut statement = db.prepare("SELECT ahead_ms FROM clocks WHERE source = 'strava'")?;
            let mut rows = statement.query([])?;
            Ok(match rows.next()? {
                Some(row) => row.get(0)?,
                None => 0,
            })
        })
    }

    /// The time by the server's clock, as it was last seen: what landed is dated by it. Where the two clocks are as near
    /// as dates of whole seconds can tell, this machine's time.
    pub fn now(&self) -> Result<Timestamp> {
        const TOLD_APART_MS: u64 = 2_000;
        let ahead_ms = self.ahead_ms()?;
        let ahead_ms = if ahead_ms.unsigned_abs() < TOLD_APART_MS { 0 } else { ahead_ms };
        let now = Timestamp::now();
        Ok(now.saturating_add(SignedDuration::from_millis(ahead_ms)).unwrap_or(now))
    }

    /// `ahead_ms` is None while it is a guess.
    pub fn save(&self, windows: &[(&str, Window)], ahead_ms: Option<i64>) -> Result<()> {
        self.0.write(|db| {
            for (pair, window) in windows {
                db.execute(
                    "INSERT OR REPLACE INTO rate_windows (source, pair, length_s, max_requests, used, window_index)
                     VALUES ('strava', ?1, ?2, ?3, ?4, ?5)",
                    params![pair, window.length_s, window.limit, window.used, window.index],
                )?;
            }
            if let Some(ahead_ms) = ahead_ms {
                db.execute(
                    "INSERT OR REPLACE INTO clocks (source, ahead_ms) VALUES ('strava', ?1)",
                    params![ahead_ms],
                )?;
            }
            Ok(())
        })
    }

    /// What live traffic there was, by hour of the UTC day.
    pub fn live(&self) -> Result<Vec<Observed>> {
        self.check(|db| {
            rows(db, "SELECT hour, seconds, calls FROM live_calls WHERE source = 'strava'", [], |row| {
                Ok(Observed { hour: row.get(0)?, seconds: row.get(1)?, calls: row.get(2)? })
            })
        })
    }

    pub fn add_live(&self, observed: &[Observed]) -> Result<()> {
        if observed.is_empty() {
            return Ok(());
        }
        self.0.write(|db| {
            for one in observed {
                db.execute(
                    "INSERT INTO live_calls (source, hour, seconds, calls) VALUES ('strava', ?1, ?2, ?3)
                     ON CONFLICT (source, hour) DO UPDATE SET seconds = seconds + excluded.seconds,
                       calls = calls + excluded.calls",
                    params![one.hour, one.seconds, one.calls],
                )?;
            }
            db.execute(
                "UPDATE live_calls SET seconds = seconds / 2, calls = calls / 2 WHERE seconds > ?1",
                params![REMEMBERED_S],
            )?;
            Ok(())
        })
    }
}
