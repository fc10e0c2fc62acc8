//! Whose history may be fetched, and with which tokens. The only place where tokens lie.

use std::collections::HashMap;

use rusqlite::{Connection, params};
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

/// What a token of an account is sealed with, besides the key.
fn place(source: &str, account_id: &str, token: &str) -> String {
    format!("{source}/{account_id}/{token}")
}

/// An account whose tokens do not open, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    pub user_id: String,
    pub reason: String,
}

impl Closed {
    pub fn error(self) -> Error {
        Error::Usage(self.reason)
    }
}

/// An account with its tokens, where those open.
pub type Opened = std::result::Result<Account, Closed>;

const NO_KEY: &str = "the tokens of this lake are sealed; set LONGRUN_KEY, or LONGRUN_KEY_FILE, to the key they were sealed with";
const OTHER_KEY: &str = "the tokens of this lake are sealed with another key; set LONGRUN_KEY, or LONGRUN_KEY_FILE, to that \
                         one, or change it with `longrun accounts rekey --old-key-file`; where it is lost, `longrun accounts \
                         remove` whose tokens those are, and add them again";

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
    /// Since when Strava has taken none of its tokens.
    pub refused_at_s: Option<i64>,
    /// Since when the athlete is known to have taken the access back, as somebody said.
    pub revoked_at_s: Option<i64>,
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
    /// later are the ones that work, and older ones take their place only where that is asked for. Where tokens are
    /// sealed, it takes a key that opens some.
    pub fn add(&mut self, accounts: &[Account], replace: Replace) -> Result<Added> {
        let newest = newest_of_each(accounts)?;
        let mut added = Added::default();
        let mut write = Vec::new();
        for account in newest {
            let key = [account.source.as_str(), account.account_id.as_str()];
            let there = self.rows("WHERE source = ?1 AND account_id = ?2", &key)?.pop();
            match &there {
                Some(Account { user_id: owner, .. }) if *owner != account.user_id => {
                    return Err(Error::Usage(format!(
                        "{} account {} belongs to user {owner} and cannot be added for user {}; remove it first with `longrun accounts remove {owner}`",
                        account.source, account.account_id, account.user_id
                    )));
                }
                Some(stored) if stored.expires_at > account.expires_at && replace == Replace::OlderOnly => {
                    added.older += 1;
                    continue;
                }
                Some(_) => added.renewed += 1,
                None => added.new += 1,
            }
            // The tokens of before are no new consent.
            let is_consent = there.is_none_or(|stored| {
                self.opened(stored).map_or(true, |stored| stored.refresh_token != account.refresh_token)
            });
            write.push((account, is_consent));
        }
        let rows: Vec<[String; 2]> = write.iter().map(|(account, _)| self.stored(account)).collect();
        let reason = self.state.write(|db| {
            if let Some(reason) = why_not_sealed_with(self.key.as_ref(), db)? {
                return Ok(Some(reason));
            }
            write.iter().zip(rows).try_for_each(|((account, is_consent), [access_token, refresh_token])| {
                db.execute(
                    "INSERT INTO accounts (source, account_id, user_id, access_token, refresh_token, expires_at_s, scope)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (source, account_id) DO UPDATE SET access_token = excluded.access_token,
                       refresh_token = excluded.refresh_token, expires_at_s = excluded.expires_at_s,
                       scope = coalesce(excluded.scope, scope), refused_at_s = NULL, refresh_refused_at_s = NULL,
                       revoked_at_s = iif(?8, NULL, revoked_at_s),
                       mistaken_at_s = NULL",
                    params![
                        account.source,
                        account.account_id,
                        account.user_id,
                        access_token,
                        refresh_token,
                        account.expires_at,
                        account.scope,
                        is_consent
                    ],
                )
                .map(drop)
            })?;
            Ok(None)
        })?;
        reason.map_or(Ok(added), |reason| Err(Error::Usage(reason.to_string())))
    }

    /// Why new tokens cannot be stored: others are sealed, and not with this key.
    pub fn why_no_new_tokens(&self) -> Result<Option<&'static str>> {
        self.state.check(why_not_sealed_with(self.key.as_ref(), &self.state.db))
    }

    /// The tokens as they are stored: sealed, where there is a key.
    fn stored(&self, account: &Account) -> [String; 2] {
        [("access", &account.access_token), ("refresh", &account.refresh_token)].map(|(name, token)| {
            match &self.key {
                Some(key) => key.seal(token, &place(&account.source, &account.account_id, name)),
                None => token.expose().to_string(),
            }
        })
    }

    /// An account as it is stored, with its tokens open.
    pub fn opened(&self, account: Account) -> Opened {
        opened_with(&[self.key.as_ref()], account)
    }

    /// Everybody's, with their tokens or why those do not open.
    pub fn list(&self) -> Result<Vec<Opened>> {
        Ok(self.list_stored()?.into_iter().map(|account| self.opened(account)).collect())
    }

    /// Everybody's, for showing: the tokens are as they are stored, and no key is needed.
    pub fn list_stored(&self) -> Result<Vec<Account>> {
        self.rows("", &[])
    }

    /// One account as it is stored now: another process may have renewed its tokens.
    pub fn find(&self, source: &str, account_id: &str) -> Result<Option<Opened>> {
        let found = self.rows("WHERE source = ?1 AND account_id = ?2", &[source, account_id])?.pop();
        Ok(found.map(|account| self.opened(account)))
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

    /// Forgets the tokens of a user, to the last byte. Returns how many accounts those were.
    pub fn remove(&self, user_id: &str) -> Result<usize> {
        let delete = "DELETE FROM accounts WHERE user_id = ?1";
        let count = self.state.check(self.state.db.execute(delete, params![user_id]))?;
        self.state.empty_log()?;
        Ok(count)
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

    /// A user took the access back, as somebody knows who runs this. It stays so until newer tokens come. Returns how
    /// many accounts those were.
    pub fn revoked(&self, user_id: &str, now_s: i64) -> Result<usize> {
        let sql = "UPDATE accounts SET revoked_at_s = coalesce(revoked_at_s, refused_at_s, refresh_refused_at_s, ?2)
                   WHERE user_id = ?1";
        self.state.check(self.state.db.execute(sql, params![user_id, now_s]))
    }

    /// Which athlete each account of Strava is, as far as is known.
    pub fn identities(&self) -> Result<Vec<Identity>> {
        let sql = "SELECT account_id, user_id, athlete_id, mistaken_at_s, refresh_refused_at_s, refused_at_s, revoked_at_s
                   FROM accounts WHERE source = 'strava'";
        self.state.check(rows(&self.state.db, sql, [], |row| {
            Ok(Identity {
                account_id: row.get(0)?,
                user_id: row.get(1)?,
                athlete_id: row.get(2)?,
                mistaken_at_s: row.get(3)?,
                refresh_refused_at_s: row.get(4)?,
                refused_at_s: row.get(5)?,
                revoked_at_s: row.get(6)?,
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

    /// Seals every token with another key, or with none: all of them or, on an error, none. What is sealed with that
    /// key already stays so. Returns how many accounts there are. Whoever calls this holds the landing: a fetch in the
    /// middle of it would have the key from before.
    pub fn rekey(&mut self, key: Option<Key>) -> Result<usize> {
        let old = std::mem::replace(&mut self.key, key);
        let opened = |account| opened_with(&[old.as_ref(), self.key.as_ref()], account);
        let accounts: Vec<Account> = self
            .list_stored()?
            .into_iter()
            .map(opened)
            .collect::<std::result::Result<_, Closed>>()
            .map_err(Closed::error)?;
        let count = accounts.len();
        let rows: Vec<[String; 2]> = accounts.iter().map(|account| self.stored(account)).collect();
        self.state.write(|db| {
            accounts.iter().zip(rows).try_for_each(|(account, [access_token, refresh_token])| {
                let sql = "UPDATE accounts SET access_token = ?3, refresh_token = ?4 WHERE source = ?1 AND account_id = ?2";
                db.execute(sql, params![account.source, account.account_id, access_token, refresh_token])
                    .map(drop)
            })
        })?;
        self.state.empty_log()?;
        Ok(count)
    }
}

/// Opens the tokens of an account with one of these keys.
fn opened_with(keys: &[Option<&Key>], mut account: Account) -> Opened {
    let keys = || keys.iter().copied().flatten();
    for name in ["access", "refresh"] {
        let place = place(&account.source, &account.account_id, name);
        let token = if name == "access" { &mut account.access_token } else { &mut account.refresh_token };
        if !is_sealed(token.expose()) {
            continue;
        }
        let Some(opened) = keys().find_map(|key| key.open(token.expose(), &place)) else {
            let user_id = account.user_id;
            let reason = match keys().next() {
                None => NO_KEY.to_string(),
                Some(_) => format!(
                    "the tokens of user {user_id} do not open with this key; set LONGRUN_KEY, or LONGRUN_KEY_FILE, to the key \
                     they were sealed with, or, where only theirs do not open, give them anew with `longrun accounts add --replace`"
                ),
            };
            return Err(Closed { user_id, reason });
        };
        *token = opened;
    }
    Ok(account)
}

/// Why nothing can be sealed with this key, or stored without one, beside what is sealed already.
fn why_not_sealed_with(key: Option<&Key>, db: &Connection) -> rusqlite::Result<Option<&'static str>> {
    let mut statement = db.prepare_cached("SELECT source, account_id, refresh_token FROM accounts")?;
    let mut stored = statement.query([])?;
    let mut is_sealed_lake = false;
    while let Some(row) = stored.next()? {
        let (source, account_id, token): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if !is_sealed(&token) {
            continue;
        }
        let Some(key) = key else { return Ok(Some(NO_KEY)) };
        if key.open(&token, &place(&source, &account_id, "refresh")).is_some() {
            return Ok(None);
        }
        is_sealed_lake = true;
    }
    Ok(is_sealed_lake.then_some(OTHER_KEY))
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
