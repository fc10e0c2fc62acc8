//! What is known of one account, and what to ask for next: decided from what has landed, without doing it.
//!
//! The list is walked from newest to oldest, page after page, and ends on an empty page, never on a short one. Pages
//! are numbered, so that activities of one second are not lost at a border and no activity is listed twice; a walk
//! that is taken up later, when deletions may have shifted the pages, goes on below the oldest second it saw. Later
//! walks end some way below the newest activity known by then. What a line of the list says of an activity is kept
//! as a hash: where it differs from the one that a detail was fetched under, the detail is owed anew.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::sources::strava::api::ListEntry;
use crate::sources::strava::archive::ArchivedEntry;
use crate::sources::strava::endpoints::{self, About, Depth, News, OF_ACTIVITIES};
use crate::store::landing::Ask;

/// A later walk goes this far below the newest activity known: devices sync late.
const LOOKBACK_S: i64 = 30 * DAY_S;
/// Pages of a walk that follow each other within this time cannot have been shifted by much.
const RESUMED_AFTER_S: i64 = 600;
/// More pages than this are no athlete's.
const MAX_PAGES: u32 = 10_000;
/// A start further ahead than this is a device without a clock.
const FUTURE_S: i64 = 2 * DAY_S;
/// What is younger than this may not be there yet.
const FRESH_S: i64 = 3 * DAY_S;
/// What is not there yet is asked for again after these times, and then never.
const NOT_YET_S: [i64; 4] = [3 * 3_600, 12 * 3_600, DAY_S, 3 * DAY_S];
const DAY_S: i64 = 86_400;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub depth: Depth,
    /// A list that was walked since then is fresh enough.
    pub fresh_since: Timestamp,
    /// A list that was walked to its oldest activity since then need not be walked that far again.
    pub whole_since: Timestamp,
    /// What is fetched anew, though it was fetched before.
    pub anew: Option<Anew>,
}

/// What is fetched anew. What was fetched since the time named here is new enough, so a run that is cut goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anew {
    pub fetched_before: Timestamp,
    /// Of activities that began since then.
    pub started_since: Timestamp,
    /// Of these activities; empty means all.
    pub ids: Vec<String>,
}

impl Anew {
    fn covers(&self, id: &str, start_s: i64, fetched_s: i64) -> bool {
        fetched_s < self.fetched_before.as_second()
            && start_s >= self.started_since.as_second()
            && (self.ids.is_empty() || self.ids.iter().any(|wanted| wanted == id))
    }
}

impl Wanted {
    /// `whole_age` is how old the last walk of the whole list may be; None for as old as it likes.
    pub fn new(
        depth: Depth,
        now: Timestamp,
        max_age: SignedDuration,
        whole_age: Option<SignedDuration>,
    ) -> Wanted {
        let ago = |age: SignedDuration| now.saturating_sub(age).unwrap_or(Timestamp::MIN);
        let whole_since = whole_age.map_or(Timestamp::MIN, ago);
        Wanted { depth, fresh_since: ago(max_age), whole_since, anew: None }
    }
}

/// What has landed of one account.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    walk: Walk,
    scans: u32,
    /// The first page of the last walk that ended: the list is as fresh as that.
    walked_at: Option<Timestamp>,
    /// The same, of the last walk that went to the oldest activity.
    whole_at: Option<Timestamp>,
    known: HashMap<Box<str>, Known>,
    /// How many of the known ones are gone.
    gone: usize,
}

#[derive(Debug, Clone, Default, PartialEq)]
enum Walk {
    #[default]
    NotBegun,
    At(At),
    Ended,
}

/// A walk under way.
#[derive(Debug, Clone, PartialEq)]
struct At {
    until_s: Option<i64>,
    before_s: Option<i64>,
    /// The page to ask for next.
    page: u32,
    /// When its first page came, and when its last one.
    began_at: Timestamp,
    page_at: Timestamp,
    oldest_s: i64,
    /// Whether starts only ever went down. If not, they are no cursor.
    is_ordered: bool,
    /// Something of the last page could not be read. It may have been cut, so the next page begins where it ended.
    has_hole: bool,
}

/// One activity.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    pub start_s: i64,
    pub manual: bool,
    /// What the list's line says, hashed; 0 before a list had it.
    print: u64,
    /// The last walk that listed it; 0 where only an archive has it.
    scan: u32,
    /// When it can have come to be: its start, or when a later walk first listed it.
    since_s: i64,
    /// It was in the list and is in it no more.
    is_gone: bool,
    had: [Had; OF_ACTIVITIES],
}

/// What an endpoint gave of an activity.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Had {
    #[default]
    NotAsked,
    /// When the list's line said this. 0 stands for whatever it said.
    Whole { print: u64, at_s: i64 },
    /// It was not there, so often.
    Nothing { print: u64, at_s: i64, times: u8 },
}

/// Something that is owed of an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    pub id: Box<str>,
    pub start_s: i64,
}

impl Known {
    /// When what the endpoint at this index gives is owed: a time that may be in the past; None for never.
    fn owed_at_s(&self, index: usize, id: &str, anew: Option<&Anew>) -> Option<i64> {
        let is_other = |print: u64| print != self.print && print != 0 && self.print != 0;
        let about = About { id, is_manual: self.manual };
        match self.had[index] {
            _ if self.is_gone || !endpoints::of_activities(index).can_be_had(&about) => None,
            Had::NotAsked => Some(i64::MIN),
            Had::Whole { print, at_s } => {
                let is_anew = anew.is_some_and(|anew| anew.covers(id, self.start_s, at_s));
                (is_anew || is_other(print)).then_some(i64::MIN)
            }
            Had::Nothing { print, .. } if is_other(print) => Some(i64::MIN),
            Had::Nothing { at_s, times, .. } => {
                let pause_s = NOT_YET_S.get(usize::from(times).saturating_sub(1))?;
                (at_s - self.since_s < FRESH_S * i64::from(times)).then_some(at_s + pause_s)
            }
        }
    }
}

impl Progress {
    /// Takes in an answer.
    pub fn take(&mut self, ask: &Ask, news: News, at: Timestamp) {
        match (ask, news) {
            (Ask::List { scan, until_s, before_s, page }, News::Page(entries)) => {
                self.listed(*scan, (*until_s, *before_s, *page), &entries, at);
            }
            // No list at all, which is a refusal and no answer.
            (Ask::List { .. }, _) => {}
            (ask, news) => {
                let Some((index, id)) = endpoints::place(ask) else { return };
                let known = self.known.entry(id.into()).or_default();
                let had = &mut known.had[index];
                *had = match (news, *had) {
                    (News::Nothing, Had::Nothing { times, print, .. }) if print == known.print => {
                        Had::Nothing { print, at_s: at.as_second(), times: times.saturating_add(1) }
                    }
                    (News::Nothing, _) => Had::Nothing { print: known.print, at_s: at.as_second(), times: 1 },
                    _ => Had::Whole { print: known.print, at_s: at.as_second() },
                };
            }
        }
    }

    /// Takes in what an imported archive has: its activities are not asked for one by one again.
    pub fn archived(&mut self, entries: &[ArchivedEntry]) {
        for entry in entries {
            let known = self.known.entry(entry.id.as_str().into()).or_default();
            known.start_s = entry.start_s;
            known.manual |= entry.manual;
            for (index, had) in known.had.iter_mut().enumerate() {
                let is_told = endpoints::of_activities(index).depth <= Depth::Detail || entry.has_file;
                if is_told && *had == Had::NotAsked {
                    *had = Had::Whole { print: known.print, at_s: i64::MIN };
                }
            }
        }
    }

    fn listed(
        &mut self,
        scan: u32,
        (until_s, before_s, page): (Option<i64>, Option<i64>, u32),
        entries: &[Option<ListEntry>],
        at: Timestamp,
    ) {
        let (mut began_at, mut oldest_s, mut is_ordered) = (at, i64::MAX, true);
        if let Walk::At(walk) = &self.walk
            && scan == self.scans
        {
            (began_at, oldest_s, is_ordered) = (walk.began_at, walk.oldest_s, walk.is_ordered);
        }
        self.scans = self.scans.max(scan);
        for entry in entries.iter().flatten() {
            let is_new = !self.known.contains_key(entry.id.as_str());
            let known = self.known.entry(entry.id.as_str().into()).or_default();
            if is_new {
                known.since_s = if scan > 1 { at.as_second() } else { entry.start_s };
            }
            (known.start_s, known.manual, known.print) = (entry.start_s, entry.manual, entry.print);
            self.gone -= usize::from(known.is_gone);
            (known.scan, known.is_gone) = (scan, false);
            is_ordered &= entry.start_s <= oldest_s;
            oldest_s = oldest_s.min(entry.start_s);
        }
        let is_below = |until_s: i64| is_ordered && oldest_s < until_s;
        if entries.is_empty() || until_s.is_some_and(is_below) {
            self.end(until_s.is_none(), scan, began_at);
        } else {
            let page = page + 1;
            self.walk = Walk::At(At {
                until_s,
                before_s,
                page,
                began_at,
                page_at: at,
                oldest_s,
                is_ordered,
                has_hole: entries.iter().any(Option::is_none),
            });
        }
    }

    fn end(&mut self, is_whole: bool, scan: u32, began_at: Timestamp) {
        self.walk = Walk::Ended;
        self.walked_at = Some(began_at);
        if is_whole {
            self.whole_at = Some(began_at);
            self.gone = 0;
            for known in self.known.values_mut() {
                known.is_gone = known.scan > 0 && known.scan < scan;
                self.gone += usize::from(known.is_gone);
            }
        }
    }

    /// The page to ask for next; None when the list is known. Two pages are never asked for at
    /// a time: the second follows from the first.
    pub fn next_page(&self, wanted: &Wanted, now: Timestamp) -> Option<Ask> {
        match &self.walk {
            Walk::At(at) if at.page > MAX_PAGES => None,
            Walk::At(at) => {
                let is_resumed = at.has_hole || at.page_at.as_second() + RESUMED_AFTER_S < now.as_second();
                let next_s = at.oldest_s.saturating_add(1);
                let is_lower = at.oldest_s < i64::MAX && at.before_s.is_none_or(|before_s| next_s < before_s);
                let (before_s, page) = if is_resumed && at.is_ordered && is_lower {
                    (Some(next_s), 1)
                } else {
                    (at.before_s, at.page)
                };
                Some(Ask::List { scan: self.scans, until_s: at.until_s, before_s, page })
            }
            Walk::Ended if self.is_fresh(wanted) => None,
            Walk::NotBegun | Walk::Ended => {
                // An archive shortens no walk: it may lack what nobody knows of.
                let is_shortened = self.whole_at.is_some_and(|at| at >= wanted.whole_since);
                let until_s = self.newest_s(now).map(|s| s - LOOKBACK_S).filter(|_| is_shortened);
                Some(Ask::List { scan: self.scans + 1, until_s, before_s: None, page: 1 })
            }
        }
    }

    fn is_fresh(&self, wanted: &Wanted) -> bool {
        let since = |at: Option<Timestamp>, since: Timestamp| at.is_some_and(|at| at >= since);
        since(self.walked_at, wanted.fresh_since) && since(self.whole_at, wanted.whole_since)
    }

    /// The newest start that a clock can have shown.
    fn newest_s(&self, now: Timestamp) -> Option<i64> {
        let latest_s = now.as_second() + FUTURE_S;
        self.known.values().map(|known| known.start_s).filter(|start_s| *start_s <= latest_s).max()
    }

    /// Whether a walk has come to its end.
    pub fn is_walked(&self) -> bool {
        self.walk == Walk::Ended
    }

    /// Whether a walk is under way.
    pub fn is_walking(&self) -> bool {
        matches!(self.walk, Walk::At(_))
    }

    /// The list is as fresh as this.
    pub fn walked_at(&self) -> Option<Timestamp> {
        self.walked_at
    }

    /// Activities that are gone are known as of this.
    pub fn whole_at(&self) -> Option<Timestamp> {
        self.whole_at
    }

    /// What is owed at an endpoint of activities, by its index, newest first.
    pub fn owed(&self, index: usize, wanted: &Wanted, now: Timestamp) -> Vec<Owed> {
        if endpoints::of_activities(index).depth > wanted.depth {
            return Vec::new();
        }
        let is_owed = |id: &str, known: &Known| {
            let at_s = known.owed_at_s(index, id, wanted.anew.as_ref());
            at_s.is_some_and(|at_s| at_s <= now.as_second())
        };
        let owed = self.known.iter().filter(|(id, known)| is_owed(id, known));
        let mut owed: Vec<Owed> =
            owed.map(|(id, known)| Owed { id: id.clone(), start_s: known.start_s }).collect();
        owed.sort_by(|a, b| b.start_s.cmp(&a.start_s).then_with(|| b.id.cmp(&a.id)));
        owed
    }

    /// How many of the activities have what an endpoint gives, in the version that the list tells of.
    pub fn had(&self, index: usize) -> usize {
        let is_had = |id: &str, known: &Known| {
            matches!(known.had[index], Had::Whole { .. }) && known.owed_at_s(index, id, None).is_none()
        };
        self.known.iter().filter(|(id, known)| is_had(id, known)).count()
    }

    /// Activities that are there.
    pub fn activities(&self) -> usize {
        self.known.len() - self.gone
    }

    /// Activities that the list or an archive has, and that are not gone.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.known.iter().filter(|(_, known)| !known.is_gone).map(|(id, _)| &**id)
    }

    /// Activities that were in the list and are in it no more.
    pub fn gone(&self) -> impl Iterator<Item = &str> {
        self.known.iter().filter(|(_, known)| known.is_gone).map(|(id, _)| &**id)
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
