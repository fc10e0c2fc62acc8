//! What a policy asks to be forgotten of what Strava gave: answers that are too old, activities that it no longer has,
//! and accounts whose athletes took the access back. Archives are no business of a policy.
//!
//! Of each bucket, what can be made anew goes first, and the landing, which it is made from, after it: a run that is
//! killed in between finds the same again. That an activity is gone follows from answers that may go first; so which
//! ones are being forgotten is written down before, and struck off at the end.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::Result;
use crate::model::policy::Terms;
use crate::sources::strava::{self, endpoints, history};
use crate::store::lake::{Bucket, Lake};
use crate::store::landing::{self, Ask, Fate, Frames, Header, Piece, Position};
use crate::store::purge::{forget_letters, lock_all, remove_datasets, remove_of_everybody};
use crate::store::state::State;

/// What a policy asks to be forgotten by now.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Expired {
    /// Answers that were fetched too long ago.
    pub responses: u64,
    /// When the oldest of them was fetched.
    pub oldest: Option<Timestamp>,
    /// Activities that Strava has had no more for too long.
    pub activities: u64,
    /// Accounts whose athletes took the access back too long ago.
    pub accounts: u64,
    /// Answers that lost their part about these.
    pub shortened: u64,
    /// Of landing, that nobody could read.
    pub unreadable_bytes: u64,
    /// Files of datasets that are to be made anew.
    pub dataset_files: usize,
    pub reports: usize,
    pub state_rows: usize,
}

/// Somebody's activities, or accounts.
type Theirs = HashSet<(String, String)>;

/// What is to be forgotten of a bucket.
struct Judge<'a> {
    fetched_before_s: i64,
    gone: &'a Theirs,
    /// Of these accounts everything goes.
    refused: &'a Theirs,
}

impl Judge<'_> {
    fn is_old(&self, header: &Header) -> bool {
        header.fetched_at.as_second() < self.fetched_before_s || self.is_refused(header)
    }

    fn is_refused(&self, header: &Header) -> bool {
        !self.refused.is_empty()
            && self.refused.contains(&(header.user_id.clone(), header.account_id.clone()))
    }

    fn is_gone(&self, user_id: &str, id: &str) -> bool {
        !self.gone.is_empty() && self.gone.contains(&(user_id.to_string(), id.to_string()))
    }

    fn fate(&self, header: &Header, body: &[u8]) -> Fate {
        if header.source != strava::SOURCE {
            return Fate::Stays;
        }
        if self.is_old(header) {
            return Fate::Goes;
        }
        match endpoints::activity(&header.ask) {
            Some((id, _)) if self.is_gone(&header.user_id, id) => Fate::Goes,
            None if matches!(header.ask, Ask::List { .. }) && !self.gone.is_empty() => {
                self.shortened(&header.user_id, body)
            }
            _ => Fate::Stays,
        }
    }

    /// A page of the list without what is gone. One that cannot be read may hold it, and goes.
    fn shortened(&self, user_id: &str, body: &[u8]) -> Fate {
        #[derive(serde::Deserialize)]
        struct Line {
            id: serde_json::Number,
        }
        let Ok(lines) = serde_json::from_slice::<Vec<&RawValue>>(body) else { return Fate::Goes };
        let stays = |line: &&&RawValue| {
            serde_json::from_str(line.get())
                .is_ok_and(|line: Line| !self.is_gone(user_id, &line.id.to_string()))
        };
        let kept: Vec<&str> = lines.iter().filter(stays).map(|line| line.get()).collect();
        if kept.len() == lines.len() {
            return Fate::Stays;
        }
        Fate::Becomes(format!("[{}]", kept.join(",")).into_bytes())
    }
}

fn cutoff_s(terms: &Terms, now: Timestamp) -> i64 {
    terms.cached_s().map_or(i64::MIN, |kept_s| now.as_second() - kept_s)
}

/// Accounts that were refused for so long that nothing of them may be kept, each with its user.
fn long_refused(state: &State, terms: &Terms, now: Timestamp) -> Result<Vec<(String, String)>> {
    terms.revoked_s().map_or(Ok(Vec::new()), |kept_s| state.refused_before(now.as_second() - kept_s + 1))
}

/// What is gone for so long that it is to be forgotten.
fn long_gone(lake: &Lake, bucket: Bucket, terms: &Terms, now: Timestamp) -> Result<Vec<(String, String)>> {
    let Some(kept_s) = terms.gone_s() else { return Ok(Vec::new()) };
    let mut missing = history::missing(lake, bucket)?;
    missing.retain(|missing| missing.gone.at_s + kept_s < now.as_second());
    Ok(missing.into_iter().map(|missing| (missing.user_id, missing.id)).collect())
}

/// What these terms ask to be forgotten by now. Nothing is changed.
pub fn expired(lake: &Lake, terms: &Terms, now: Timestamp) -> Result<Expired> {
    let mut expired = Expired::default();
    let refused = lake.state_if_there()?.map_or(Ok(Vec::new()), |state| long_refused(&state, terms, now))?;
    expired.accounts = refused.len() as u64;
    let refused: Theirs = refused.into_iter().collect();
    let judge = Judge { fetched_before_s: cutoff_s(terms, now), gone: &Theirs::new(), refused: &refused };
    for bucket in lake.buckets() {
        for piece in Frames::open(lake, bucket, Position::default())? {
            let Piece::Frame(frame) = piece? else { continue };
            let Ok((header, _)) = frame.open() else { continue };
            if judge.is_old(&header) {
                expired.responses += 1;
                let oldest = expired.oldest.get_or_insert(header.fetched_at);
                *oldest = header.fetched_at.min(*oldest);
            }
        }
        expired.activities += long_gone(lake, bucket, terms, now)?.len() as u64;
    }
    Ok(expired)
}

/// Forgets it, and what an earlier run did not get to.
pub fn forget(lake: &Lake, terms: &Terms, now: Timestamp) -> Result<Expired> {
    let _locks = lock_all(lake)?;
    let state = lake.state()?;
    let mut expired = Expired::default();
    for bucket in lake.buckets() {
        state.begin_forgetting(&long_gone(lake, bucket, terms, now)?)?;
    }
    // Their rows of the state are what says so, and go last.
    let accounts = long_refused(&state, terms, now)?;
    expired.accounts = accounts.len() as u64;
    let refused: Theirs = accounts.iter().cloned().collect();
    let gone: Theirs = state.forgetting()?.into_iter().collect();
    expired.activities = gone.len() as u64;
    let judge = Judge { fetched_before_s: cutoff_s(terms, now), gone: &gone, refused: &refused };
    for bucket in lake.buckets() {
        if !has_any(lake, bucket, &judge, &mut expired.oldest)? {
            continue;
        }
        expired.reports += remove_of_everybody(lake)?;
        expired.dataset_files += remove_datasets(lake, bucket)?;
        let forgotten = landing::forget(lake, bucket, |header, body| judge.fate(header, body))?;
        expired.responses += forgotten.frames;
        expired.shortened += forgotten.shortened;
        expired.unreadable_bytes += forgotten.damaged_bytes;
    }
    let is_refused = |user: &str| refused.iter().any(|(refused, _)| refused == user);
    forget_letters(lake, |letter| {
        judge.is_gone(&letter.user_id, &letter.activity_id) || is_refused(&letter.user_id)
    })?;
    // What was staged by runs that were killed.
    lake.backend().scratch()?;
    expired.state_rows = state.end_forgetting()? + state.forget_accounts(&accounts)?;
    Ok(expired)
}

/// Whether anything of a bucket is to be forgotten.
fn has_any(lake: &Lake, bucket: Bucket, judge: &Judge, oldest: &mut Option<Timestamp>) -> Result<bool> {
    // What an archive has of it stays, but the row says still that it is gone, and what the API said of it.
    let mut has_any = judge.gone.iter().chain(judge.refused).any(|(user, _)| lake.bucket(user) == bucket);
    for piece in Frames::open(lake, bucket, Position::default())? {
        let Piece::Frame(frame) = piece? else { continue };
        let Ok((header, _)) = frame.open() else { continue };
        if judge.is_old(&header) {
            has_any = true;
            *oldest = Some(oldest.map_or(header.fetched_at, |oldest| oldest.min(header.fetched_at)));
        }
    }
    Ok(has_any)
}
