//! The Strava API to the landing: every account's list, activities and streams, inside the rate
//! limits, resumable at any instant.
//!
//! What is owed follows from what has landed ([`history`](crate::sources::strava::history), [`walk`](crate::sources::strava::walk)); whose turn it is, and whether it may be asked
//! for now, is decided without doing anything ([`scheduler`]: turns, [`budget`], [`clock`], [`outage`]); what an answer
//! means, too (`verdict`). The `driver` does it: a loop on one thread that sends what the scheduler says, and lands
//! each answer before the next decision.

pub mod account;
mod athletes;
pub mod budget;
pub mod client;
pub mod clock;
mod driver;
mod local_time;
pub mod metrics;
pub mod outage;
pub mod reserve;
pub mod retention;
pub mod scheduler;
pub mod survey;
mod verdict;
pub mod verify;
mod window;

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use self::budget::{Budget, Windows};
use self::client::App;
use self::metrics::Metrics;
use self::survey::Owing;
use crate::error::{Error, Result};
use crate::sources::strava;
use crate::sources::strava::endpoints::Depth;
use crate::sources::strava::walk::{Anew, Doubt};
use crate::store::lake::is_among;
use crate::store::state::accounts::{Account, Accounts, Closed, Identity};
use crate::store::state::parked::Parked;

pub use driver::run;

#[derive(Debug, Clone)]
pub struct Options {
    pub depth: Depth,
    /// Only these users; empty means everybody.
    pub users: Vec<String>,
    /// These users come before the others, in this order.
    pub priority: Vec<String>,
    pub app: Option<App>,
    pub concurrency: usize,
    pub per_second: NonZeroU32,
    /// Share of a full window that is left to the live pipeline; None for what it is learned to need.
    pub reserve: Option<f64>,
    /// Longest wait for a window; None waits as long as it takes.
    pub max_wait: Option<Duration>,
    /// How long an outage of the API is waited through.
    pub patience: Duration,
    pub max_requests: Option<u64>,
    pub max_age: SignedDuration,
    /// How old the last walk of a whole list may be; None for as old as it likes.
    pub whole_age: Option<SignedDuration>,
    /// Ask also for what an imported archive has.
    pub ignore_archives: bool,
    /// Fetch this anew, though it was fetched before.
    pub anew: Option<Anew>,
    pub short_window_s: u32,
    pub day_s: u32,
    /// Who is told how it goes.
    pub metrics: Option<Arc<Metrics>>,
}

/// What a run did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    pub accounts: usize,
    pub activities: usize,
    pub requests: u64,
    /// Calls that were owed when it began, by kind; a guess where a list was not known to its end.
    pub planned: Owing,
    /// Calls that were made, by kind.
    pub calls: BTreeMap<&'static str, u64>,
    /// Answers by what they are: pages, details, streams.
    #[serde(flatten)]
    pub answers: BTreeMap<&'static str, u64>,
    /// Answers that say that something is not there, or not yet.
    pub gone: u64,
    pub retries: u64,
    /// Requests that were refused for the rate.
    pub over_the_limit: u64,
    /// Things that were refused and are tried again another day.
    pub parked: u64,
    /// Accounts whose tokens are another athlete's.
    pub mistaken: u64,
    pub token_refreshes: u64,
    pub waits: u64,
    pub waited_s: f64,
    pub outages: u64,
    pub landed_bytes: u64,
    pub seconds: f64,
    /// The read pair as last seen.
    pub budget: Option<Windows>,
    /// Why it ended before everything was there.
    pub stopped: Option<Stop>,
    pub failures: Vec<Failure>,
    /// Lists that were to be walked whole and were not.
    pub doubts: Vec<Doubted>,
    /// Activities that were to be fetched anew and that no list has.
    pub unknown: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The next request fits at this time.
    Quota { window: String, until: Timestamp },
    /// As many requests as were allowed.
    MaxRequests,
    /// The API answered nothing well for longer than was to be waited.
    Outage { reason: String },
    /// Somebody asked for it: Ctrl-C, SIGTERM or SIGHUP.
    Interrupted,
}

/// Something that was owed and did not come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    pub user_id: String,
    pub reason: String,
}

/// A list that counts as not whole, so that nothing counts as gone by it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Doubted {
    pub user_id: String,
    pub reason: String,
    /// When a fetch walks the whole list again.
    pub next: Timestamp,
}

impl Doubted {
    fn of(user_id: &str, doubt: &Doubt) -> Doubted {
        Doubted { user_id: user_id.to_string(), reason: doubt.reason(), next: doubt.next() }
    }
}

/// Why nothing is sent for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// This window is spent.
    Window(&'static str),
    /// The API, or its token endpoint, does not answer well.
    Outage(String),
}

/// What a watcher sees.
#[derive(Debug)]
pub enum Event<'a> {
    /// `left` is how many requests are still owed, as far as is known.
    Landed {
        done: u64,
        left: u64,
        activities: usize,
        budget: &'a Budget,
    },
    Waiting {
        why: &'a Why,
        left_s: i64,
        until: Timestamp,
    },
    Failed(&'a Failure),
    Parked {
        user_id: &'a str,
        parked: &'a Parked,
    },
    /// What is in flight is awaited, and then the run ends.
    Stopping,
}

/// The accounts of Strava of these users, as they are stored; of everybody, where nobody is named.
fn named(tokens: &Accounts, users: &[String]) -> Result<Vec<Account>> {
    let mut all = tokens.list_stored()?;
    for user in users {
        if !all.iter().any(|account| account.user_id == *user) {
            return Err(Error::Usage(format!(
                "user {user} has no account in this lake; `longrun accounts list` shows who has"
            )));
        }
    }
    all.retain(|a| a.source == strava::SOURCE && is_among(users, &a.user_id));
    Ok(all)
}

/// The accounts that a run is for, and those of them that were named or have no tokens that open, and why not. Whose
/// access was taken back is left alone.
fn chosen(
    tokens: &Accounts,
    users: &[String],
    identities: &[Identity],
) -> Result<(Vec<Account>, Vec<Failure>)> {
    let mut all = named(tokens, users)?;
    let mut failures = Vec::new();
    let revoked: HashSet<&str> = identities
        .iter()
        .filter(|identity| identity.revoked_at_s.is_some())
        .map(|identity| identity.account_id.as_str())
        .collect();
    all.retain(|account| {
        let is_revoked = revoked.contains(account.account_id.as_str());
        if is_revoked && !users.is_empty() {
            let user_id = account.user_id.clone();
            let reason = format!(
                "the athlete took the access back; to ask for it again: `longrun connect strava --user {user_id}`"
            );
            failures.push(Failure { user_id, reason });
        }
        !is_revoked
    });
    if all.is_empty() && failures.is_empty() {
        return Err(Error::Usage(
            "there is no account to fetch; add some with `longrun connect strava` or `longrun accounts add`"
                .to_string(),
        ));
    }
    let mut accounts = Vec::new();
    for account in all {
        match tokens.opened(account) {
            Ok(account) => accounts.push(account),
            Err(Closed { user_id, reason }) => failures.push(Failure { user_id, reason }),
        }
    }
    match failures.pop_if(|_| accounts.is_empty()) {
        Some(failure) => Err(Error::Usage(failure.reason)),
        None => Ok((accounts, failures)),
    }
}
