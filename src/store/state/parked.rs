//! Things of an account that the source refused, each with its reason and the time of the next try.

use std::collections::HashMap;

use rusqlite::params;
use serde::Serialize;

use super::rates::Rates;
use super::rows;
use crate::error::Result;

/// One thing that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parked {
    pub account_id: String,
    /// As landing frames name it: detail, streams.
    pub kind: String,
    pub id: String,
    pub reason: String,
    pub tries: u32,
    /// Not before this is it asked for again, unix seconds.
    pub next_s: i64,
}

impl Rates {
    /// What is set aside, by account.
    pub fn parked(&self) -> Result<HashMap<String, Vec<Parked>>> {
        self.check(|db| {
            let sql = "SELECT account_id, kind, id, reason, tries, next_s FROM parked WHERE source = 'strava' ORDER BY next_s";
            let parked = rows(db, sql, [], |row| {
                Ok(Parked {
                    account_id: row.get(0)?,
                    kind: row.get(1)?,
                    id: row.get(2)?,
                    reason: row.get(3)?,
                    tries: row.get(4)?,
                    next_s: row.get(5)?,
                })
            })?;
            let mut all: HashMap<String, Vec<Parked>> = HashMap::new();
            for parked in parked {
                all.entry(parked.account_id.clone()).or_default().push(parked);
            }
            Ok(all)
        })
    }

    pub fn park(&self, parked: &Parked) -> Result<()> {
        self.check(|db| {
            db.execute(
                "INSERT OR REPLACE INTO parked (source, account_id, kind, id, reason, tries, next_s)
                 VALUES ('strava', ?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    parked.account_id,
                    parked.kind,
                    parked.id,
                    parked.reason,
                    parked.tries,
                    parked.next_s
                ],
            )
            .map(drop)
        })
    }

    pub fn unpark(&self, account_id: &str, kind: &str, id: &str) -> Result<()> {
        self.check(|db| {
            db.execute(
                "DELETE FROM parked WHERE source = 'strava' AND account_id = ?1 AND kind = ?2 AND id = ?3",
                params![account_id, kind, id],
            )
            .map(drop)
        })
    }
}
