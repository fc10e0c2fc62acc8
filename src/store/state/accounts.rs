//! Whose history may be fetched, and with which tokens. The only place where tokens lie.

use std::fmt;

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::State;
use crate::error::{Error, Result};
use crate::store::lake::Lake;

/// Something that must never be shown. It says so in every debug output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// For the header or the store that it is meant for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// One athlete's account at a source. This is also the line that `accounts add` reads and
/// `accounts export` writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    #[serde(default = "strava")]
    pub source: String,
    pub user_id: String,
    pub account_id: String,
    pub access_token: Secret,
    pub refresh_token: Secret,
    /// When the access token ends, unix seconds.
    pub expires_at: i64,
}

fn strava() -> String {
    crate::sources::strava::SOURCE.to_string()
}

pub struct Accounts(State);

impl Accounts {
    pub fn open(lake: &Lake) -> Result<Accounts> {
        lake.state().map(Accounts)
    }

    /// Adds accounts, or replaces the tokens of those that are there: all of them or, on an
    /// error, none. An account stays with its user.
    pub fn add(&mut self, accounts: &[Account]) -> Result<()> {
        for account in accounts {
            let owner = self.0.check(
                self.0
                    .db
                    .query_row(
                        "SELECT user_id FROM accounts WHERE source = ?1 AND account_id = ?2",
                        params![account.source, account.account_id],
                        |row| row.get::<_, String>(0),
                    )
                    .optional(),
            )?;
            if let Some(owner) = owner.filter(|owner| *owner != account.user_id) {
                return Err(Error::Usage(format!(
                    "{} account {} belongs to user {owner} and cannot be added for user {}; remove it first",
                    account.source, account.account_id, account.user_id
                )));
            }
        }
        self.0.write(|db| {
            accounts.iter().try_for_each(|account| {
                db.execute(
                    "INSERT INTO accounts (source, account_id, user_id, access_token, refresh_token, expires_at_s)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (source, account_id) DO UPDATE SET access_token = excluded.access_token,
                       refresh_token = excluded.refresh_token, expires_at_s = excluded.expires_at_s",
                    params![
                        account.source,
                        account.account_id,
                        account.user_id,
                        account.access_token.expose(),
                        account.refresh_token.expose(),
                        account.expires_at
                    ],
                )
                .map(drop)
            })
        })
    }

    pub fn list(&self) -> Result<Vec<Account>> {
        let read = |row: &Row| {
            Ok(Account {
                source: row.get(0)?,
                account_id: row.get(1)?,
                user_id: row.get(2)?,
                access_token: Secret(row.get(3)?),
                refresh_token: Secret(row.get(4)?),
                expires_at: row.get(5)?,
            })
        };
        let mut statement = self.0.check(self.0.db.prepare(
            "SELECT source, account_id, user_id, access_token, refresh_token, expires_at_s
             FROM accounts ORDER BY user_id, source, account_id",
        ))?;

        self.0.check(statement.query_map([], read).and_then(Iterator::collect))
    }

    /// Forgets the tokens of a user. Returns how many accounts those were.
    pub fn remove(&self, user_id: &str) -> Result<usize> {
        self.0.check(self.0.db.execute("DELETE FROM accounts WHERE user_id = ?1", params![user_id]))
    }

    /// Keeps the tokens that a refresh gave. They are on the disk when this returns: the
    /// refresh token from before may have ended already.
    pub fn rotate(&self, account: &Account) -> Result<()> {
        self.0
            .check(self.0.db.execute(
                "UPDATE accounts SET access_token = ?3, refresh_token = ?4, expires_at_s = ?5
             WHERE source = ?1 AND account_id = ?2",
                params![
                    account.source,
                    account.account_id,
                    account.access_token.expose(),
                    account.refresh_token.expose(),
                    account.expires_at
                ],
            ))
            .map(drop)
    }
}
