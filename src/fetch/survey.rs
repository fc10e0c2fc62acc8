//! Where every account stands, and what is still to come: read from the stores, without a request.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use super::budget::{Budget, Room};
use super::reserve::Reserve;
use super::{Doubted, named};
use crate::error::Result;
use crate::sources::strava::endpoints::{self, OF_ACTIVITIES, list::PER_PAGE};
use crate::sources::strava::walk::{Progress, Wanted};
use crate::sources::strava::{history, scope};
use crate::store::lake::Lake;
use crate::store::state::accounts::{Account, Accounts, Identity};
use crate::store::state::parked::Parked;
use crate::store::state::rates::Rates;

/// Activities of an athlete, where nothing is known of anybody.
const TYPICAL: u64 = 500;

/// What is looked at.
#[derive(Debug, Clone)]
pub struct Question {
    pub wanted: Wanted,
    pub users: Vec<String>,
    pub ignore_archives: bool,
    pub reserve: Option<f64>,
    pub short_window_s: u32,
    pub day_s: u32,
    /// No more calls than this.
    pub max_calls: Option<u64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Survey {
    pub accounts: Vec<Standing>,
    /// Calls that are owed, by kind.
    pub calls: BTreeMap<&'static str, u64>,
    pub calls_owed: u64,
    /// Whether a list is not known to its end, and its calls are a guess.
    pub is_estimate: bool,
    /// What fits into the rate windows at the limits as last seen.
    pub room: Room,
    /// Whole rate windows and days that the calls take.
    pub windows: u64,
    pub days: u64,
    /// When the last call fits, if no other traffic needs more than the reserve.
    pub done_at: Option<Timestamp>,
}

/// One account.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    pub user_id: String,
    pub account_id: String,
    /// The list is as fresh as that.
    pub fresh_as_of: Option<Timestamp>,
    /// What was deleted, or came late, is known as of then.
    pub whole_list_as_of: Option<Timestamp>,
    /// Why a later walk of the whole list does not count, and when the next one is.
    pub doubt: Option<Doubted>,
    pub activities: usize,
    /// How many activities have it, by kind.
    pub fetched: BTreeMap<&'static str, usize>,
    /// Calls that are owed, by kind.
    pub calls: BTreeMap<&'static str, u64>,
    pub is_estimate: bool,
    /// Things that were refused, with their reasons and next tries.
    pub parked: Vec<Parked>,
    /// Activities that the source had and has no more.
    pub gone: usize,
    /// When the oldest of what is there was fetched.
    pub oldest: Option<Timestamp>,
    /// What the athlete granted; None where nobody said.
    pub scope: Option<String>,
    /// What cannot be fetched with that, and the way out.
    pub lack: Option<&'static str>,
    pub token_ends: Option<Timestamp>,
    /// Since when the athlete is known to have taken the access back.
    pub refused_since: Option<Timestamp>,
    /// Since when Strava has not taken its refresh token: the athlete took the access back, or it is not the newest one.
    pub refresh_refused_since: Option<Timestamp>,
    /// Since when its tokens are known to be another athlete's.
    pub mistaken_since: Option<Timestamp>,
    /// Why nothing could be read of it.
    pub unreadable: Option<String>,
}

/// Looks at every account of a lake. No key is needed, since no token is read.
pub fn survey(lake: &Lake, question: &Question, now: Timestamp) -> Result<Survey> {
    let tokens = Accounts::open_to_read(lake)?;
    let identities: HashMap<String, Identity> =
        tokens.identities()?.into_iter().map(|identity| (identity.account_id.clone(), identity)).collect();
    let accounts = named(&tokens, &question.users)?;
    let rates = Rates::open_to_read(lake)?;
    let mut parked = rates.parked()?;
    let mut history = history::read(lake, &accounts, question.ignore_archives)?;
    let reserve = Reserve::choose(question.reserve, &rates.live()?);
    let mut budget = Budget::new(question.short_window_s, question.day_s, reserve);
    budget.restore(&rates.windows()?, now.as_millisecond());

    let typical = typical(history.progress.values());
    let standings: Vec<Standing> = accounts
        .into_iter()
        .map(|account| {
            let unreadable = history.unreadable.get(&lake.bucket(&account.user_id)).cloned();
            let progress = history.progress.remove(&account.account_id).unwrap_or_default();
            let parked = parked.remove(&account.account_id).unwrap_or_default();
            let time = |s: Option<i64>| s.and_then(|s| Timestamp::from_second(s).ok());
            let identity = identities.get(&account.account_id);
            let revoked_at_s = identity.and_then(|identity| identity.revoked_at_s);
            let refused_since =
                time(revoked_at_s.or_else(|| identity.and_then(|identity| identity.refused_at_s)));
            let mistaken_since = time(identity.and_then(|identity| identity.mistaken_at_s));
            let refresh_refused_since = time(identity.and_then(|identity| identity.refresh_refused_at_s));
            let is_asked = unreadable.is_none() && revoked_at_s.is_none();
            let mut standing = standing(account, &progress, parked, unreadable, question, typical, now);
            if !is_asked {
                (standing.calls, standing.is_estimate) = (BTreeMap::new(), false);
            }
            Standing { refused_since, refresh_refused_since, mistaken_since, ..standing }
        })
        .collect();
    let mut calls = BTreeMap::new();
    for standing in &standings {
        for (kind, count) in &standing.calls {
            *calls.entry(*kind).or_default() += count;
        }
    }
    let calls_owed = calls.values().sum::<u64>().min(question.max_calls.unwrap_or(u64::MAX));
    let room = budget.room(now.as_millisecond());
    let done_s = room.done_s(calls_owed, now.as_second());
    Ok(Survey {
        is_estimate: standings.iter().any(|standing| standing.is_estimate),
        accounts: standings,
        calls,
        calls_owed,
        windows: calls_owed.div_ceil(room.short.max(1)),
        days: calls_owed.div_ceil(room.day.max(1)),
        room,
        done_at: done_s.and_then(|s| Timestamp::from_second(s).ok()),
    })
}

/// Activities of an athlete, as far as is known of those whose list is.
pub fn typical<'a>(all: impl Iterator<Item = &'a Progress>) -> u64 {
    let (mut athletes, mut activities) = (0, 0);
    for progress in all.filter(|progress| progress.is_walked()) {
        athletes += 1;
        activities += progress.activities() as u64;
    }
    if athletes == 0 { TYPICAL } else { activities.div_ceil(athletes) }
}

fn standing(
    account: Account,
    progress: &Progress,
    parked: Vec<Parked>,
    unreadable: Option<String>,
    question: &Question,
    typical: u64,
    now: Timestamp,
) -> Standing {
    let Owing { calls, is_estimate } = owing(progress, &parked, &question.wanted, typical, now);
    let had = |index: usize| (endpoints::of_activities(index).kind, progress.had(index));
    Standing {
        doubt: progress.doubt().map(|doubt| Doubted::of(&account.user_id, doubt)),
        user_id: account.user_id,
        account_id: account.account_id,
        fresh_as_of: progress.walked_at(),
        whole_list_as_of: progress.whole_at(),
        activities: progress.activities(),
        fetched: (0..OF_ACTIVITIES).map(had).collect(),
        calls,
        is_estimate,
        parked,
        gone: progress.gone_count(),
        oldest: progress.oldest(),
        lack: account.scope.as_deref().and_then(scope::lack),
        scope: account.scope,
        token_ends: Timestamp::from_second(account.expires_at).ok(),
        refused_since: None,
        refresh_refused_since: None,
        mistaken_since: None,
        unreadable,
    }
}

/// Calls that are owed, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Owing {
    pub calls: BTreeMap<&'static str, u64>,
    /// Whether a list is not known to its end, and its calls are a guess.
    pub is_estimate: bool,
}

impl Owing {
    pub fn add(&mut self, other: Owing) {
        for (kind, count) in other.calls {
            *self.calls.entry(kind).or_default() += count;
        }
        self.is_estimate |= other.is_estimate;
    }
}

/// What is owed of one account. `typical` is how many activities an athlete has.
pub fn owing(progress: &Progress, parked: &[Parked], wanted: &Wanted, typical: u64, now: Timestamp) -> Owing {
    let known = progress.activities() as u64;
    let is_known = progress.is_walked();
    // While a list is not known to its end, it is thought to be as long as others', and longer than what is known.
    let expected = if is_known { known } else { typical.max(known) };
    let mut calls = BTreeMap::new();
    calls.insert(endpoints::ALL[0].kind, pages(progress, wanted, expected, now));
    for index in 0..OF_ACTIVITIES {
        let endpoint = endpoints::of_activities(index);
        let is_due = |id: &str| {
            let is_it = |parked: &&Parked| parked.kind == endpoint.kind && parked.id == id;
            parked.iter().find(is_it).is_none_or(|parked| parked.next_s <= now.as_second())
        };
        let owed = if parked.is_empty() {
            progress.owed_count(index, wanted, now)
        } else {
            progress.owed(index, wanted, now).iter().filter(|owed| is_due(&owed.id)).count()
        };
        let unlisted = if endpoint.depth <= wanted.depth { expected - known } else { 0 };
        calls.insert(endpoint.kind, owed as u64 + unlisted);
    }
    Owing { calls, is_estimate: !is_known }
}

/// Calls that a list takes to its end.
fn pages(progress: &Progress, wanted: &Wanted, expected: u64, now: Timestamp) -> u64 {
    use crate::store::landing::Ask;
    match progress.next_page(wanted, now) {
        None => 0,
        // A later walk goes down to what is known, and mostly that is a page.
        Some(Ask::List { until_s: Some(_), .. }) => 1,
        Some(_) if progress.is_walking() => {
            expected.saturating_sub(progress.activities() as u64).div_ceil(u64::from(PER_PAGE)) + 1
        }
        Some(_) => expected.div_ceil(u64::from(PER_PAGE)) + 1,
    }
}
