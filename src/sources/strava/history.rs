//! What has landed of each account, or was imported of it, read from the stores themselves: there
//! is no cursor beside them that could disagree.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::archive as strava_archive;
use super::endpoints;
use super::walk::{Gone, Progress};
use crate::error::Result;
use crate::sources::Source;
use crate::sources::formats::zip::Container;
use crate::store::archives;
use crate::store::lake::{Bucket, Lake};
use crate::store::landing::{Frames, Piece, Position};
use crate::store::state::accounts::Account;

/// What has landed.
#[derive(Debug, Default)]
pub struct History {
    /// Of each account, by its id. Accounts of which nothing landed are left out.
    pub progress: HashMap<String, Progress>,
    /// Buckets that could not be read, and why.
    pub unreadable: BTreeMap<Bucket, String>,
}

/// Reads what has landed of accounts. What archives have counts as fetched, unless they are to be ignored.
pub fn read(lake: &Lake, accounts: &[Account], ignore_archives: bool) -> Result<History> {
    let mut by_bucket: BTreeMap<Bucket, HashMap<&str, &str>> = BTreeMap::new();
    for account in accounts {
        let users = by_bucket.entry(lake.bucket(&account.user_id)).or_default();
        users.insert(&account.account_id, &account.user_id);
    }
    let buckets: Vec<(Bucket, Result<HashMap<String, Progress>>)> = by_bucket
        .par_iter()
        .map(|(bucket, wanted)| (*bucket, read_bucket(lake, *bucket, wanted, ignore_archives)))
        .collect();
    let mut history = History::default();
    for (bucket, read) in buckets {
        match read {
            Ok(progress) => history.progress.extend(progress),
            Err(e) => drop(history.unreadable.insert(bucket, e.to_string())),
        }
    }
    Ok(history)
}

/// What has landed of each account of each user of a bucket. What landed for another user, who had the account
/// before, is theirs.
fn landed(lake: &Lake, bucket: Bucket) -> Result<HashMap<(String, String), Progress>> {
    let mut landed: HashMap<(String, String), Progress> = HashMap::new();
    for piece in Frames::open(lake, bucket, Position::default())? {
        // What is damaged is normalize's to report; what it held is asked for again.
        let Piece::Frame(frame) = piece? else { continue };
        let Ok((header, body)) = frame.open() else { continue };
        // An answer that cannot be read does not bring the account on.
        if let Ok(news) = endpoints::read(&header.ask, header.status, &body) {
            let progress = landed.entry((header.user_id, header.account_id)).or_default();
            progress.take(&header.ask, news, header.fetched_at);
        }
    }
    Ok(landed)
}

/// An activity that Strava had and has no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub user_id: String,
    pub account_id: String,
    pub id: String,
    pub gone: Gone,
}

/// What has gone of everybody in a bucket.
pub fn missing(lake: &Lake, bucket: Bucket) -> Result<Vec<Missing>> {
    let mut missing = Vec::new();
    for ((user_id, account_id), progress) in landed(lake, bucket)? {
        missing.extend(progress.gone().map(|(id, gone)| Missing {
            user_id: user_id.clone(),
            account_id: account_id.clone(),
            id: id.to_string(),
            gone,
        }));
    }
    Ok(missing)
}

/// `wanted` gives the user of each account.
fn read_bucket(
    lake: &Lake,
    bucket: Bucket,
    wanted: &HashMap<&str, &str>,
    ignore_archives: bool,
) -> Result<HashMap<String, Progress>> {
    let is_wanted = |user: &str, account: &str| wanted.get(account).is_some_and(|of| *of == user);
    let mut progress: HashMap<String, Progress> = landed(lake, bucket)?
        .into_iter()
        .filter(|((user, account), _)| is_wanted(user, account))
        .map(|((_, account), progress)| (account, progress))
        .collect();
    for (_, import) in archives::list(lake, bucket)?.imports {
        let accounts: Vec<&str> =
            wanted.iter().filter(|(_, user)| **user == import.user_id).map(|(account, _)| *account).collect();
        // Of two accounts, nobody knows whose archive it is.
        let [account] = accounts[..] else { continue };
        if import.source != Source::Strava.name() || ignore_archives {
            continue;
        }
        // One that is gone from its place tells nothing; normalize says so.
        let Ok(found) = archives::find(lake, bucket, &import) else { continue };
        let scratch = lake.backend().scratch()?;
        let Ok(archive) = Container::open(&found.path, &import.name, &scratch) else { continue };
        progress.entry(account.to_string()).or_default().archived(&strava_archive::entries(&archive));
    }
    Ok(progress)
}
