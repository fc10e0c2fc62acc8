//! What is known of one account, and what to ask for next: decided from what has landed, without doing it.
//!
//! The list is walked from newest to oldest, page after page, and never ends on a short one: behind that comes a page
//! that begins with the oldest activity seen, and ends the list where it has nothing else. Pages
//! are numbered, so that activities of one second are not lost at a border and no activity is listed twice; a walk
//! that is taken up later, when deletions may have shifted the pages, goes on below the oldest second it saw. Later
//! walks end some way below the newest activity known by then. What a line of the list says of an activity is kept
//! as a hash: where it differs from the one that a detail was fetched under, the detail is owed anew. What an empty
//! page is believed is in `ends.rs`.

mod activities;
mod ends;
mod known;
pub mod packed;

use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};

use self::activities::Activities;
pub use self::ends::Doubt;
use self::ends::{DOUBTED_S, End};
use self::known::{FRESH_S, Had};
pub use self::known::{Gone, GoneWhy, Known};
use super::api::ListEntry;
use super::archive::ArchivedEntry;
use super::endpoints::{self, Depth, News, list::PER_PAGE};
use crate::store::landing::Ask;

/// A later walk goes this far below the newest activity known: devices sync late.
const LOOKBACK_S: i64 = 30 * DAY_S;
/// Pages of a walk that follow each other within this time are not taken to be shifted by what was deleted meanwhile.
/// One that comes later begins with the oldest activity seen, which costs a line of it.
const RESUMED_AFTER_S: i64 = 60;
/// More pages than this are no athlete's.
const MAX_PAGES: u32 = 10_000;
/// By so much a time may be ahead where two clocks keep time.
const CLOCKS_APART_S: i64 = 3_600;
/// A start further ahead than this is a device without a clock.
const FUTURE_S: i64 = 2 * DAY_S;
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

/// Whether an answer can tell that something is gone: it is not found, or a later walk of a whole list comes to an
/// end without it.
pub fn may_tell_of_ends(ask: &Ask, status: u16) -> bool {
    status != 200 || matches!(ask, Ask::List { scan: 2.., until_s: None, .. })
}

/// What has landed of one account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    walk: Walk,
    scans: u32,
    /// The first page of the last walk that ended: the list is as fresh as that.
    walked_at: Option<Timestamp>,
    /// The same, of the last walk that went to the oldest activity.
    whole_at: Option<Timestamp>,
    /// Why the last walk that came to an end was not whole, though it was to be.
    doubt: Option<Doubt>,
    known: Activities,
    /// When the first answer that is there came.
    oldest: Option<Timestamp>,
    /// The latest time that an answer is dated. Later answers are newer than it, whatever they are dated.
    newest: Option<Timestamp>,
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
    /// Something of any page could not be read, so what was not seen may be there all the same.
    has_had_holes: bool,
    /// Records came that could not be read.
    has_unread: bool,
    /// Records of the last page.
    length: u32,
    /// Not all of them began in the same second, so a page that begins with the oldest one is shorter, if it is the last.
    is_spread: bool,
    end: End,
}

/// Something that is owed of an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    pub id: Box<str>,
    pub start_s: i64,
}

impl Progress {
    /// Takes in an answer.
    pub fn take(&mut self, ask: &Ask, news: News, at: Timestamp) {
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
        let told_at = self.newest.map_or(at, |newest| newest.max(at));
        self.newest = Some(told_at);
        match (ask, news) {
            (Ask::List { scan, until_s, before_s, page }, News::Page(entries)) => {
                self.listed(*scan, (*until_s, *before_s, *page), &entries, at);
            }
            // No list at all, which is a refusal and no answer.
            (Ask::List { .. }, _) => {}
            (ask, news) => {
                let Some((index, id)) = endpoints::place(ask) else { return };
                let is_there = news != News::NotFound;
                let is_look = self.look().is_some_and(|look| look == *ask);
                let known = self.known.open().entry(id.into()).or_default();
                let (print, at_s) = (known.print, at.as_second());
                self.gone -= usize::from(known.gone.is_some());
                if news == News::NotFound && endpoints::of_activities(index).is_the_activity {
                    // A fresh upload may not be there yet.
                    let was_there = matches!(known.had[index], Had::Whole { .. });
                    if was_there || at_s - known.since_s >= FRESH_S {
                        let is_listed = !is_look || known.scan == self.scans;
                        let why = if is_listed { GoneWhy::NotFound } else { GoneWhy::NotListed };
                        known.gone.get_or_insert(Gone { at_s: told_at.as_second(), why });
                    }
                } else if news == News::Whole {
                    known.is_back(at_s);
                }
                self.gone += usize::from(known.gone.is_some());
                known.had[index] = match (news, known.had[index]) {
                    (News::Whole, _) => Had::Whole { print, at_s },
                    (_, Had::Nothing { times, print: before, .. }) if print == before => {
                        Had::Nothing { print, at_s, times: times.saturating_add(1) }
                    }
                    _ => Had::Nothing { print, at_s, times: 1 },
                };
                if is_look {
                    self.looked(id, is_there, at);
                }
            }
        }
    }

    /// Takes in what an imported archive has: its activities are not asked for one by one again.
    pub fn archived(&mut self, entries: &[ArchivedEntry]) {
        for entry in entries {
            let known = self.known.open().entry(entry.id.as_str().into()).or_default();
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
        let has_hole = entries.iter().any(Option::is_none);
        let (mut began_at, mut oldest_s, mut is_ordered, mut has_had_holes) = (at, i64::MAX, true, has_hole);
        let (mut length_before, mut end) = (0, End::Ahead);
        let mut has_unread = has_hole;
        if let Walk::At(walk) = &self.walk
            && scan == self.scans
        {
            (began_at, oldest_s, is_ordered) = (walk.began_at, walk.oldest_s, walk.is_ordered);
            (length_before, end) = (walk.length, walk.end);
            has_had_holes |= walk.has_had_holes;
            has_unread |= walk.has_unread;
        }
        let follows = self.follows(scan, before_s, page);
        // There is at least what it begins with, or the list is not what it was.
        let is_anchored = page == 1 && oldest_s < i64::MAX && before_s == Some(oldest_s.saturating_add(1));
        self.scans = self.scans.max(scan);
        let was_ordered = is_ordered;
        let mut is_known = entries.iter().any(Option::is_some);
        for entry in entries.iter().flatten() {
            let all = self.known.open();
            is_known &= all.get(entry.id.as_str()).is_some_and(|known| known.scan == scan);
            let is_new = !all.contains_key(entry.id.as_str());
            let known = all.entry(entry.id.as_str().into()).or_default();
            if is_new {
                known.since_s = if scan > 1 { at.as_second() } else { entry.start_s };
            }
            (known.start_s, known.manual, known.print) = (entry.start_s, entry.manual, entry.print);
            self.gone -= usize::from(known.gone.is_some());
            known.is_back(at.as_second());
            known.scan = scan;
            is_ordered &= entry.start_s <= oldest_s;
            oldest_s = oldest_s.min(entry.start_s);
        }
        // A later page with nothing on it but what this walk has listed: the pages were shifted, or never end.
        let is_repeated = page > 1 && is_known;
        // What comes twice says nothing of the order.
        is_ordered |= is_known && was_ordered;
        let is_below = |until_s: i64| is_ordered && oldest_s < until_s;
        let can_go_on_below = is_ordered && is_lower(oldest_s, before_s);
        let length = entries.len() as u32;
        let newest_s = entries.iter().flatten().map(|entry| entry.start_s).max();
        let walk = At {
            until_s,
            before_s,
            page: page + 1,
            began_at,
            page_at: at,
            oldest_s,
            is_ordered,
            has_hole: has_hole || is_repeated,
            has_had_holes: has_had_holes || is_repeated,
            has_unread,
            length,
            is_spread: newest_s.is_some_and(|newest_s| newest_s > oldest_s),
            end: End::Ahead,
        };
        if !follows {
            // What came before it landed and is damaged since. The list is walked anew.
            self.walk = Walk::Ended;
        } else if (is_repeated && !can_go_on_below) || until_s.is_some_and(is_below) {
            // Nobody knows what lies behind it. Where a whole list was to be walked, the next run does that again.
            self.end(false, began_at);
            self.doubt_what_lacks(&walk);
            if is_repeated && !until_s.is_some_and(is_below) {
                self.doubt = Some(Doubt { at, id: None });
            }
        } else if is_known
            && (is_anchored && length < length_before || end == End::Again && length < PER_PAGE)
        {
            self.come_to_end(walk);
        } else if !entries.is_empty() {
            self.walk = Walk::At(walk);
        } else if is_anchored {
            self.walk = Walk::At(At { end: End::LookForOldest, ..walk });
        } else if length_before >= PER_PAGE && end == End::Ahead && !self.is_all_there(until_s) {
            self.walk = Walk::At(At { page, end: End::Again, ..walk });
        } else {
            self.come_to_end(walk);
        }
    }

    /// Whether a page is the one to come next, or one that was there before.
    fn follows(&self, scan: u32, before_s: Option<i64>, page: u32) -> bool {
        match &self.walk {
            Walk::At(walk) if scan == self.scans && before_s == walk.before_s => page <= walk.page,
            Walk::At(walk) if scan == self.scans => {
                page == 1 && before_s == Some(walk.oldest_s.saturating_add(1))
            }
            _ => page == 1 && before_s.is_none(),
        }
    }

    fn end(&mut self, is_whole: bool, began_at: Timestamp) {
        self.walk = Walk::Ended;
        self.walked_at = Some(began_at);
        if is_whole {
            self.whole_at = Some(began_at);
            self.doubt = None;
        }
    }

    /// The page to ask for next; None when the list is known. Two pages are never asked for at
    /// a time: the second follows from the first.
    pub fn next_page(&self, wanted: &Wanted, now: Timestamp) -> Option<Ask> {
        match &self.walk {
            Walk::At(at) if at.page > MAX_PAGES => None,
            Walk::At(at) if at.end.is_looked_for() => self.look(),
            Walk::At(at) => {
                let is_anchored = at.has_hole
                    || at.length < PER_PAGE && at.is_spread
                    || at.end == End::Again
                    || at.page_at.as_second() + RESUMED_AFTER_S < now.as_second();
                let (before_s, page) = if is_anchored && at.is_ordered && is_lower(at.oldest_s, at.before_s) {
                    (Some(at.oldest_s.saturating_add(1)), 1)
                } else {
                    (at.before_s, at.page)
                };
                Some(Ask::List { scan: self.scans, until_s: at.until_s, before_s, page })
            }
            Walk::Ended if self.is_fresh(wanted, now) => None,
            Walk::NotBegun | Walk::Ended => {
                // An archive shortens no walk: it may lack what nobody knows of.
                let is_shortened = self.is_whole_enough(wanted, now);
                let until_s = self.newest_s(now).map(|s| s - LOOKBACK_S).filter(|_| is_shortened);
                Some(Ask::List { scan: self.scans + 1, until_s, before_s: None, page: 1 })
            }
        }
    }

    fn is_fresh(&self, wanted: &Wanted, now: Timestamp) -> bool {
        is_since(self.walked_at, wanted.fresh_since, now) && self.is_whole_enough(wanted, now)
    }

    /// Whether the whole list need not be walked: it was, or that was tried in vain not long ago.
    fn is_whole_enough(&self, wanted: &Wanted, now: Timestamp) -> bool {
        let is_in_vain = |doubt: &Doubt| {
            doubt.at >= wanted.whole_since && doubt.at.as_second() + DOUBTED_S > now.as_second()
        };
        is_since(self.whole_at, wanted.whole_since, now) || self.doubt.as_ref().is_some_and(is_in_vain)
    }

    /// The newest start that a clock can have shown.
    fn newest_s(&self, now: Timestamp) -> Option<i64> {
        self.known.newest_s(now.as_second() + FUTURE_S)
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

    /// The latest time that an answer is dated.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// When the oldest answer that is there came.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.oldest
    }

    /// Activities that are gone are known as of this.
    pub fn whole_at(&self) -> Option<Timestamp> {
        self.whole_at
    }

    /// Why its list counts as not whole.
    pub fn doubt(&self) -> Option<&Doubt> {
        self.doubt.as_ref()
    }

    /// What is owed at an endpoint of activities, by its index, newest first.
    pub fn owed(&self, index: usize, wanted: &Wanted, now: Timestamp) -> Vec<Owed> {
        if endpoints::of_activities(index).depth > wanted.depth {
            return Vec::new();
        }
        let owed = self.known.owed(index, wanted, now);
        let mut owed: Vec<Owed> =
            owed.map(|(id, known)| Owed { id: id.as_str().into(), start_s: known.start_s }).collect();
        owed.sort_by(|a, b| b.start_s.cmp(&a.start_s).then_with(|| b.id.cmp(&a.id)));
        owed
    }

    /// How much is owed there.
    pub fn owed_count(&self, index: usize, wanted: &Wanted, now: Timestamp) -> usize {
        let is_wanted = endpoints::of_activities(index).depth <= wanted.depth;
        if is_wanted { self.known.owed_count(index, wanted, now) } else { 0 }
    }

    /// A request for an activity that was answered well before, if there is one that will do.
    pub fn any_had(&self, will_do: impl Fn(&Ask) -> bool) -> Option<Ask> {
        let had = self.known.iter().filter(|(_, known)| known.gone.is_none() && known.has_detail());
        had.map(|(id, known)| endpoints::DETAIL.ask(&id, known.start_s)).find(will_do)
    }

    /// How many of the activities have what an endpoint gives, in the version that the list tells of.
    pub fn had(&self, index: usize) -> usize {
        self.known.had_count(index)
    }

    /// Activities that are there.
    pub fn activities(&self) -> usize {
        self.known.len() - self.gone
    }

    /// Whether a list or an archive has, or had, an activity.
    pub fn has_known(&self, id: &str) -> bool {
        self.known.iter().any(|(known, _)| known == id)
    }

    /// Activities that the list or an archive has, and that are not gone.
    pub fn ids(&self) -> impl Iterator<Item = CompactString> {
        self.known.iter().filter(|(_, known)| known.gone.is_none()).map(|(id, _)| id)
    }

    /// How many activities the source had and has no more.
    pub fn gone_count(&self) -> usize {
        self.gone
    }

    /// Activities that the source had and has no more.
    pub fn gone(&self) -> impl Iterator<Item = (CompactString, Gone)> {
        self.known.iter().filter_map(|(id, known)| Some((id, known.gone?)))
    }
}

/// Whether something was done since a time. What lies in the future was dated by a clock that was wrong.
fn is_since(at: Option<Timestamp>, since: Timestamp, now: Timestamp) -> bool {
    at.is_some_and(|at| at >= since && at.as_second() <= now.as_second() + CLOCKS_APART_S)
}

/// Whether a page that begins at the oldest second that was seen begins lower than those before it.
fn is_lower(oldest_s: i64, before_s: Option<i64>) -> bool {
    oldest_s < i64::MAX && before_s.is_none_or(|before_s| oldest_s.saturating_add(1) < before_s)
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
