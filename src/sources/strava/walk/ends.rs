//! Whether an empty page is the end of a list. It may be a fault of whatever stands between, and what is absent from a
//! list that was cut counts as gone, so an end is believed where it fits what is known, and is asked for where not:
//!
//! | what comes | what is asked |
//! |---|---|
//! | a short page, or an empty one behind a full one | a page that begins with the oldest activity seen |
//! | nothing else on that, or an empty page with everything listed that was listed before | nothing: that is the end |
//! | not even that one on it | that activity, by its id |
//! | the end of the whole list, and a few that were listed before are missing | each of them, by its id |
//! | the end, and much that was listed before is missing | one of that, by its id |
//!
//! What is there by its id and not on the list is a [`Doubt`]: nothing counts as gone, and the whole list is walked
//! again another day.

use compact_str::CompactString;
use jiff::Timestamp;

use super::{At, DAY_S, Gone, GoneWhy, Known, Progress, Walk};
use crate::sources::strava::endpoints;
use crate::store::landing::Ask;

/// The whole list is walked again after so long, or when somebody asks for it.
pub const DOUBTED_S: i64 = DAY_S;
/// So many may be deleted between two walks one by one, and more only at once.
const FEW: usize = 5;

/// How far it is known whether a walk has come to the end of the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing has looked like it.
    #[default]
    Ahead,
    /// An empty page came behind a full one: what lies there is asked for again.
    Again,
    /// The oldest activity seen was not listed again: it is asked for by its id.
    LookForOldest,
    /// Much is missing: one of it is asked for by its id.
    LookForMissing,
}

impl End {
    pub fn is_looked_for(self) -> bool {
        matches!(self, End::LookForOldest | End::LookForMissing)
    }
}

/// A list that was to be walked whole, and had not what is there, or had what could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// When that was found.
    pub at: Timestamp,
    /// What is there; None where the list had records that could not be read, or only repeated itself.
    pub id: Option<String>,
}

impl Doubt {
    /// For a person.
    pub fn reason(&self) -> String {
        match &self.id {
            Some(id) => {
                format!("Strava left activities out of the list: activity {id} is there and was not on it")
            }
            None => "the list has activities that could not be read, or pages that repeat".to_string(),
        }
    }

    /// When the whole list is walked again.
    pub fn next(&self) -> Timestamp {
        Timestamp::from_second(self.at.as_second() + DOUBTED_S).unwrap_or(Timestamp::MAX)
    }
}

impl Progress {
    /// What is asked for by its id, before the end of a walk is believed.
    pub(super) fn look(&self) -> Option<Ask> {
        let Walk::At(at) = &self.walk else { return None };
        let (id, known) = match at.end {
            End::Ahead | End::Again => return None,
            End::LookForOldest => {
                let is_it =
                    |(_, known): &(_, Known)| known.scan == self.scans && known.start_s == at.oldest_s;
                self.known.iter().find(is_it)?
            }
            End::LookForMissing => {
                let mut missing: Vec<(CompactString, Known)> = self.missing(at.until_s).collect();
                missing.sort_by_key(|(_, known)| known.start_s);
                // A list is cut at an end of it, so the one in the middle is the least likely to be gone by itself.
                let middle = missing.len() / 2;
                missing.into_iter().nth(middle)?
            }
        };
        Some(endpoints::DETAIL.ask(&id, known.start_s))
    }

    /// What was asked for by its id is there, or is not.
    pub(super) fn looked(&mut self, id: &str, is_there: bool, now: Timestamp) {
        let Walk::At(at) = &self.walk else { return };
        let at = at.clone();
        if is_there {
            self.end(false, at.began_at);
            self.doubt = Some(Doubt { at: now, id: Some(id.to_string()) });
        } else if at.end == End::LookForOldest || at.until_s.is_none() && self.are_few_missed(id) {
            self.come_to_end(at);
        } else {
            self.close(at);
        }
    }

    /// What earlier walks listed, that this one was to come across and did not.
    fn missing(&self, until_s: Option<i64>) -> impl Iterator<Item = (CompactString, Known)> {
        let is_missing = move |(_, known): &(CompactString, Known)| {
            (1..self.scans).contains(&known.scan)
                && known.gone.is_none()
                && until_s.is_none_or(|until_s| known.start_s >= until_s)
        };
        self.known.iter().filter(is_missing)
    }

    /// Whether this walk has come across all that a whole list had.
    pub(super) fn is_all_there(&self, until_s: Option<i64>) -> bool {
        self.whole_at.is_some() && self.missing(until_s).next().is_none()
    }

    /// Everything on the list was seen.
    pub(super) fn come_to_end(&mut self, at: At) {
        let missing = self.missing(at.until_s).count();
        // Nothing is said to be gone by a walk that was not to see everything.
        let is_little = at.until_s.is_some() && missing <= FEW;
        // What could not be read is missing, too, and then nothing is said to be gone.
        if missing == 0 || at.has_had_holes || is_little {
            self.close(at);
        } else {
            self.walk = Walk::At(At { end: End::LookForMissing, ..at });
        }
    }

    fn close(&mut self, at: At) {
        let is_whole = at.until_s.is_none();
        self.end(is_whole && !at.has_unread, at.began_at);
        self.doubt_what_lacks(&at);
        if is_whole && !at.has_had_holes {
            self.miss();
        }
    }

    /// A walk that has ended had records that could not be read.
    pub(super) fn doubt_what_lacks(&mut self, at: &At) {
        if at.has_unread {
            self.doubt = Some(Doubt { at: at.page_at, id: None });
        }
    }

    /// One that this whole walk did not come across is not there by its id either. Whether those that are left are so few
    /// that each is asked for.
    fn are_few_missed(&mut self, id: &str) -> bool {
        let at_s = self.told_s();
        if let Some(known) = self.known.open().get_mut(id) {
            self.gone += usize::from(known.gone.is_none());
            known.gone.get_or_insert(Gone { at_s, why: GoneWhy::NotListed });
        }
        self.missing(None).count() < FEW
    }

    /// When the last answer counts as fetched.
    fn told_s(&self) -> i64 {
        self.newest.map_or(i64::MIN, Timestamp::as_second)
    }

    /// What an earlier walk listed and this whole one did not is gone.
    fn miss(&mut self) {
        let (scan, at_s) = (self.scans, self.told_s());
        self.gone = 0;
        for known in self.known.open().values_mut() {
            if known.scan > 0 && known.scan < scan {
                known.gone.get_or_insert(Gone { at_s, why: GoneWhy::NotListed });
            }
            self.gone += usize::from(known.gone.is_some());
        }
    }
}

#[cfg(test)]
#[path = "ends_tests.rs"]
mod tests;
