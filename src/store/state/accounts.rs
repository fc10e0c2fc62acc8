//! Whose history may be fetched, and with which tokens. The only place where tokens lie.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::seal::{Key, is_sealed};
use super::{State, rows};
use crate::error::{Error, Result};
use crate::model::secret::Secret;
use crate::store::lake::Lake;

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
    /// What the athlete granted, as the source writes it; None where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// What lists of accounts are of that were written when there was only one source with an API.
fn strava() -> String {
    "strava".to_string()
}

impl Account {
    /// What a token of this account is sealed with, besides the key.
    fn place(&self, token: &str) -> String {
        format!("{}/{}/{token}", self.source, self.account_id)
    }
}

/// Which athlete an account is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub account_id: String,
    pub user_id: String,
    /// As answers named the athlete, where the account's id is no number of Strava's.
    pub athlete_id: Option<String>,
    /// Since when its tokens have been another athlete's.
    pub mistaken_at_s: Option<i64>,
    /// Since when its refresh token has not been taken.
    pub refresh_refused_at_s: Option<i64>,
}

/// What became of accounts that were to be added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    pub new: usize,
    pub renewed: usize,
    /// The lake has newer tokens than these.
    pub older: usize,
}

/// Whether older tokens may take the place of newer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    OlderOnly,
    Any,
}

pub struct Accounts {
    state: State,
    key: Option<Key>,
}

impl Accounts {
    /// Tokens are sealed with the key of the environment, where it has one.
    pub fn open(lake: &Lake) -> Result<Accounts> {
        Accounts::open_with(lake, Key::from_env()?)
    }

    /// For who only reads. Nothing is changed.
    pub fn open_to_read(lake: &Lake) -> Result<Accounts> {
        Ok(Accounts { state: lake.state_to_read()?, key: Key::from_env()? })
    }

    pub fn open_with(lake: &Lake, key: Option<Key>) -> Result<Accounts> {
        Ok(Accounts { state: lake.state()?, key })
    }

    /// Adds accounts, or renews the tokens of those that are there: all of them or, on an error, none. An
    /// account stays with its user. A refresh ends the refresh token before it, so the tokens that end
    /// later are the ones that work, and older ones take their place only where that is asked for.
    pub fn add(&mut self, accounts: &[Account], replace: Replace) -> Result<Added> {
        let newest = newest_of_each(accounts)?;
        let mut added = Added::default();
        let mut write = Vec::new();
        for account in newest {
            let there = self.state.check(
                self.state
                    .db
                    .query_row(
                        "SELECT user_id, expires_at_s FROM accounts WHERE source = ?1 AND account_id = ?2",
                        params![account.source, account.account_id],
                        |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)),
                    )
                    .optional(),
            )?;
            match there {
                Some((owner, _)) if owner != account.user_id => {
                    return Err(Error::Usage(format!(
                        "{} account {} belongs to user {owner} and cannot be added for user {}; remove it first with `longrun accounts remove {owner}`",
                        account.source, account.account_id, account.user_id
                    )));
                }
                Some((_, end_s)) if end_s > account.expires_at && replace == Replace::OlderOnly => {
                    added.older += 1;
                    continue;
                }
                Some(_) => added.renewed += 1,
                None => added.new += 1,
            }
            write.push(account);
        }
        let rows: Vec<[String; 2]> = write.iter().map(|account| self.stored(account)).collect();
        self.state.write(|db| {
            write.iter().zip(rows).try_for_each(|(account, [access_token, refresh_token])| {
                db.execute(
                    "INSERT INTO accounts (source, account_id, user_id, access_token, refresh_token, expires_at_s, scope)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (source, account_id) DO UPDATE SET access_token = excluded.access_token,
                       refresh_token = excluded.refresh_token, expires_at_s = excluded.expires_at_s,
                       scope = coalesce(excluded.scope, scope), refused_at_s = NULL, refresh_refused_at_s = NULL,
                       mistaken_at_s = NULL",
                    params![
                        account.source,
                        account.account_id,
                        account.user_id,
                        access_token,
                        refresh_token,
                        account.expires_at,
                        account.scope
                    ],
                )
                .map(drop)
            })
        })?;
        Ok(added)
    }

    /// The tokens as they are stored: sealed, where there is a key.
    fn stored(&self, account: &Account) -> [String; 2] {
        [("access", &account.access_token), ("refresh", &account.refresh_token)].map(|(name, token)| {
            match &self.key {
                Some(key) => key.seal(token, &account.place(name)),
                None => token.expose().to_string(),
            }
        })
    }

    fn opened(&self, mut account: Account) -> Result<Account> {
        for name in ["access", "refresh"] {
            let place = account.place(name);
            let token = if name == "access" { &mut account.access_token } else { &mut account.refresh_token };
            if !is_sealed(token.expose()) {
                continue;
            }
            let Some(key) = &self.key else {
                return Err(Error::Usage(
                    "the tokens of this lake are sealed; set LONGRUN_KEY, or LONGRUN_KEY_FILE, to the key they were sealed with"
                        .to_string(),
                ));
            };
            *token = key.open(token.expose(), &place).ok_or_else(|| {
                Error::Usage(format!(
                    "the tokens of user {} do not open with this key; set LONGRUN_KEY, or LONGRUN_KEY_FILE, to the key they were sealed with",
                    account.user_id
                ))
            })?;
        }
        Ok(account)
    }

    /// Whether the environment has a key that tokens are sealed with.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Everybody's, with their tokens.
    pub fn list(&self) -> Result<Vec<Account>> {
        self.rows("", &[])?.into_iter().map(|account| self.opened(account)).collect()
    }

    /// Everybody's, for showing: the tokens are as they are stored, and no key is needed.
    pub fn list_stored(&self) -> Result<Vec<Account>> {
        self.rows("", &[])
    }

    /// One account as it is stored now: another process may have renewed its tokens.
    pub fn find(&self, source: &str, account_id: &str) -> Result<Option<Account>> {
        let found = self.rows("WHERE source = ?1 AND account_id = ?2", &[source, account_id])?.pop();
        found.map(|account| self.opened(account)).transpose()
    }

    fn rows(&self, which: &str, values: &[&str]) -> Result<Vec<Account>> {
        let mut statement = self.state.check(self.state.db.prepare(&format!(
            "SELECT source, account_id, user_id, access_token, refresh_token, expires_at_s, scope
             FROM accounts {which} ORDER BY user_id, source, account_id"
        )))?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
            Ok(Account {
                source: row.get(0)?,
                account_id: row.get(1)?,
                user_id: row.get(2)?,
                access_token: Secret::new(row.get::<_, String>(3)?),
                refresh_token: Secret::new(row.get::<_, String>(4)?),
                expires_at: row.get(5)?,
                scope: row.get(6)?,
            })
        });
        self.state.check(rows.and_then(Iterator::collect))
    }

    /// Forgets the tokens of a user. Returns how many accounts those were.
    pub fn remove(&self, user_id: &str) -> Result<usize> {
        self.state.check(self.state.db.execute("DELETE FROM accounts WHERE user_id = ?1", params![user_id]))
    }

    /// Keeps the tokens that a refresh gave. They are on the disk when this returns: the
    /// refresh token from before may have ended already.
    pub fn rotate(&self, account: &Account) -> Result<()> {
        let [access_token, refresh_token] = self.stored(account);
        self.state
            .check(self.state.db.execute(
                "UPDATE accounts SET access_token = ?3, refresh_token = ?4, expires_at_s = ?5,
               refresh_refused_at_s = NULL WHERE source = ?1 AND account_id = ?2",
                params![account.source, account.account_id, access_token, refresh_token, account.expires_at],
            ))
            .map(drop)
    }

    /// The source has refused every token of an account since then, or, with None, takes them again. Who was refused
    /// before is so since that time.
    pub fn refused(&self, source: &str, account_id: &str, since_s: Option<i64>) -> Result<()> {
        let sql = "UPDATE accounts SET refused_at_s = CASE WHEN ?3 IS NULL THEN NULL ELSE coalesce(refused_at_s, ?3) END
                   WHERE source = ?1 AND account_id = ?2";
        self.state.check(self.state.db.execute(sql, params![source, account_id, since_s])).map(drop)
    }

    /// The token endpoint has not taken the refresh token of an account since then. That may be a revocation, and may be
    /// a token that was renewed elsewhere. What was known before is so since that time.
    pub fn refresh_refused(&self, account: &Account, since_s: i64) -> Result<()> {
        let sql = "UPDATE accounts SET refresh_refused_at_s = coalesce(refresh_refused_at_s, ?3)
                   WHERE source = ?1 AND account_id = ?2";
        let values = params![account.source, account.account_id, since_s];
        self.state.check(self.state.db.execute(sql, values)).map(drop)
    }

    /// A user took the access back, as somebody knows who runs this. Returns how many accounts those were.
    pub fn revoked(&self, user_id: &str, now_s: i64) -> Result<usize> {
        let sql = "UPDATE accounts SET refused_at_s = coalesce(refused_at_s, refresh_refused_at_s, ?2) WHERE user_id = ?1";
        self.state.check(self.state.db.execute(sql, params![user_id, now_s]))
    }

    /// Since when accounts of Strava have been refused, in unix seconds, by their ids.
    pub fn all_refused(&self) -> Result<HashMap<String, i64>> {
        let sql = "SELECT account_id, refused_at_s FROM accounts WHERE source = 'strava' AND refused_at_s IS NOT NULL";
        let all = self.state.check(rows(&self.state.db, sql, [], |row| Ok((row.get(0)?, row.get(1)?))))?;
        Ok(all.into_iter().collect())
    }

    /// Which athlete each account of Strava is, as far as is known.
    pub fn identities(&self) -> Result<Vec<Identity>> {
        let sql = "SELECT account_id, user_id, athlete_id, mistaken_at_s, refresh_refused_at_s
                   FROM accounts WHERE source = 'strava'";
        self.state.check(rows(&self.state.db, sql, [], |row| {
            Ok(Identity {
                account_id: row.get(0)?,
                user_id: row.get(1)?,
                athlete_id: row.get(2)?,
                mistaken_at_s: row.get(3)?,
                refresh_refused_at_s: row.get(4)?,
            })
        }))
    }

    /// The answers to an account name this athlete.
    pub fn learned(&self, account: &Account, athlete_id: &str) -> Result<()> {
        let sql =
            "UPDATE accounts SET athlete_id = ?3, mistaken_at_s = NULL WHERE source = ?1 AND account_id = ?2";
        let values = params![account.source, account.account_id, athlete_id];
        self.state.check(self.state.db.execute(sql, values)).map(drop)
    }

    /// The tokens of an account have been another athlete's since then, or, with None, are its own. What was known
    /// before is so since that time.
    pub fn mistaken(&self, account: &Account, since_s: Option<i64>) -> Result<()> {
        let sql = "UPDATE accounts SET mistaken_at_s = CASE WHEN ?3 IS NULL THEN NULL ELSE coalesce(mistaken_at_s, ?3) END
                   WHERE source = ?1 AND account_id = ?2";
        let values = params![account.source, account.account_id, since_s];
        self.state.check(self.state.db.execute(sql, values)).map(drop)
    }

    /// Seals every token with another key, or with none: all of them or, on an error, none. Returns how many
    /// accounts there are.
    pub fn rekey(&mut self, key: Option<Key>) -> Result<usize> {
        let accounts = self.list()?;
        self.key = key;
        let count = accounts.len();
        self.add(&accounts, Replace::Any)?;
        // The pages that the old texts stood in are free now, and still hold them.
        self.state.check(self.state.db.execute_batch("VACUUM"))?;
        Ok(count)
    }
}

/// What was granted, by account; those that nobody knows it of are left out.
pub fn scopes(lake: &Lake) -> Result<HashMap<String, String>> {
    let Some(state) = lake.state_if_there()? else { return Ok(HashMap::new()) };
    let sql = "SELECT account_id, scope FROM accounts WHERE source = 'strava' AND scope IS NOT NULL";
    let all = state.check(rows(&state.db, sql, [], |row| Ok((row.get(0)?, row.get(1)?))))?;
    Ok(all.into_iter().collect())
}

/// One of each account, with the tokens that end last. Two users of one account are an error.
fn newest_of_each(accounts: &[Account]) -> Result<Vec<&Account>> {
    let mut at: HashMap<(&str, &str), usize> = HashMap::new();
    let mut newest: Vec<&Account> = Vec::new();
    for account in accounts {
        let place = *at.entry((&account.source, &account.account_id)).or_insert(newest.len());
        let Some(other) = newest.get_mut(place) else {
            newest.push(account);
            continue;
        };
        if other.user_id != account.user_id {
            return Err(Error::Usage(format!(
                "{} account {} is given to two users, {} and {}; it can belong to one of them",
                account.source, account.account_id, other.user_id, account.user_id
            )));
        }
        if account.expires_at > other.expires_at {
            *other = account;
        }
    }
    Ok(newest)
}
