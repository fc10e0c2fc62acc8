//! What to ask for next, for one account: decided from what has landed, without doing it.
//!
//! The list is walked from newest to oldest with a time cursor. A page's oldest second is read
//! again with the next page, so that activities that share it with the page's border are not
//! lost. The walk ends on an empty page, never on a short one, or, when the list was walked
//! before, some way below the newest activity known by then. Details and streams follow,
//! newest first, for what the list told of.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::sources::strava::api::{ListEntry, list_entries};
use crate::sources::strava::archive::ArchivedEntry;
use crate::store::landing::{Ask, Header};

/// What a page may hold at most, and is asked for.
pub const PER_PAGE: u32 = 200;
/// A second walk goes this far below the newest activity known: devices sync late.
const LOOKBACK_S: i64 = 30 * 86_400;
/// One second with more pages of activities than this is no athlete's.
const MAX_PAGES_OF_A_SECOND: u32 = 1_000;

/// How much is fetched of every activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// The list's line: one request for 200 activities
    List,
    /// And the whole of it, with laps and efforts: one request each
    Detail,
    /// And its samples: two requests each
    Streams,
}

/// Which walk is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub depth: Depth,
    /// A list that was walked to its end since then is fresh enough.
    pub fresh_since: Timestamp,
    /// Walk the whole list again, not only its newest part.
    pub whole_list: bool,
}

/// What has landed of one account.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    walk: Walk,
    scans: u32,
    /// When a walk last reached its end.
    walked_at: Option<Timestamp>,
    known: HashMap<String, Known>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Walk {
    #[default]
    NotBegun,
    /// The next page to ask for.
    At {
        until_s: Option<i64>,
        before_s: Option<i64>,
        page: u32,
    },
    Ended,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    start_s: i64,
    manual: bool,
    has_detail: bool,
    has_streams: bool,
}

/// Why a page does not bring the walk on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl Progress {
    /// Takes in a response that is in the landing.
    pub fn landed(&mut self, header: &Header, body: &[u8]) -> Result<(), Unreadable> {
        match &header.ask {
            Ask::List { .. } if header.status != 200 => Ok(()),
            Ask::List { scan, until_s, before_s, page } => {
                let entries = list_entries(body).map_err(Unreadable)?;
                self.listed(*scan, (*until_s, *before_s, *page), &entries, header.fetched_at)
            }
            Ask::Detail { id, .. } => {
                readable(header.status, body)?;
                self.known.entry(id.clone()).or_default().has_detail = true;
                Ok(())
            }
            Ask::Streams { id, .. } => {
                readable(header.status, body)?;
                self.known.entry(id.clone()).or_default().has_streams = true;
                Ok(())
            }
        }
    }

    /// Takes in what an imported archive told of: its activities are not asked for one by one again.
    pub fn archived(&mut self, entries: &[ArchivedEntry]) {
        for entry in entries {
            let known = self.known.entry(entry.id.clone()).or_default();
            known.start_s = entry.start_s;
            known.manual |= entry.manual;
            known.has_detail = true;
            known.has_streams |= entry.has_file;
        }
    }

    fn listed(
        &mut self,
        scan: u32,
        (until_s, before_s, page): (Option<i64>, Option<i64>, u32),
        entries: &[Option<ListEntry>],
        fetched_at: Timestamp,
    ) -> Result<(), Unreadable> {
        let Some(oldest_s) = entries.iter().flatten().map(|entry| entry.start_s).min() else {
            if !entries.is_empty() {
                return Err(Unreadable(format!(
                    "none of the {} records on the page can be read",
                    entries.len()
                )));
            }
            self.scans = self.scans.max(scan);
            self.walk = Walk::Ended;
            self.walked_at = Some(fetched_at);
            return Ok(());
        };
        self.scans = self.scans.max(scan);
        for entry in entries.iter().flatten() {
            let known = self.known.entry(entry.id.clone()).or_default();
            (known.start_s, known.manual) = (entry.start_s, entry.manual);
        }
        if until_s.is_some_and(|until_s| oldest_s < until_s) {
            self.walk = Walk::Ended;
            self.walked_at = Some(fetched_at);
            return Ok(());
        }
        // The border second once more. Where a page was all one second, its next page.
        let next_s = oldest_s.saturating_add(1);
        self.walk = if before_s.is_none_or(|before_s| next_s < before_s) {
            Walk::At { until_s, before_s: Some(next_s), page: 1 }
        } else if page < MAX_PAGES_OF_A_SECOND {
            Walk::At { until_s, before_s, page: page + 1 }
        } else {
            return Err(Unreadable(format!("page {page} still shows the second {next_s}")));
        };
        Ok(())
    }

    /// The page to ask for next; None when the list is known. Two pages are never asked for at
    /// a time: the second follows from the first.
    pub fn next_page(&self, wanted: &Wanted) -> Option<Ask> {
        match self.walk {
            Walk::At { until_s, before_s, page } => {
                Some(Ask::List { scan: self.scans, until_s, before_s, page })
            }
            Walk::Ended if self.walked_at.is_some_and(|at| at >= wanted.fresh_since) => None,
            Walk::NotBegun | Walk::Ended => {
                let newest_s = self.known.values().map(|known| known.start_s).max();
                // What an archive told shortens no walk: it may lack what nobody knows of.
                let is_shortened = self.walked_at.is_some() && !wanted.whole_list;
                let until_s = newest_s.map(|s| s - LOOKBACK_S).filter(|_| is_shortened);
                Some(Ask::List { scan: self.scans + 1, until_s, before_s: None, page: 1 })
            }
        }
    }

    /// Whether a walk has come to its end.
    pub fn is_walked(&self) -> bool {
        self.walk == Walk::Ended
    }

    /// What is owed beyond the list, newest first.
    pub fn owed(&self, depth: Depth) -> VecDeque<Ask> {
        let mut newest_first: Vec<(&String, &Known)> = self.known.iter().collect();
        newest_first.sort_by(|a, b| b.1.start_s.cmp(&a.1.start_s).then_with(|| b.0.cmp(a.0)));
        let mut owed = VecDeque::new();
        for (id, known) in newest_first {
            let (id, start_s) = (id.clone(), known.start_s);
            if depth >= Depth::Detail && !known.has_detail {
                owed.push_back(Ask::Detail { id: id.clone(), start_s });
            }
            // What was typed in has no samples.
            if depth >= Depth::Streams && !known.has_streams && !known.manual {
                owed.push_back(Ask::Streams { id, start_s });
            }
        }
        owed
    }

    pub fn activities(&self) -> usize {
        self.known.len()
    }

    /// Requests that are still needed, while the list is not known to its end: a guess.
    pub fn requests_left(&self, depth: Depth) -> u64 {
        let each = match depth {
            Depth::List => 0,
            Depth::Detail => 1,
            Depth::Streams => 2,
        };
        2 + each * self.known.len() as u64
    }
}

fn readable(status: u16, body: &[u8]) -> Result<(), Unreadable> {
    if status != 200 {
        return Ok(());
    }
    let read = serde_json::from_slice::<serde::de::IgnoredAny>(body);
    read.map(drop).map_err(|e| Unreadable(format!("not valid JSON: {e}")))
}

/// Path and query of a request.
pub fn request(ask: &Ask) -> String {
    match ask {
        Ask::List { before_s, page, .. } => {
            let before = before_s.map_or_else(String::new, |before_s| format!("&before={before_s}"));
            let page = if *page > 1 { format!("&page={page}") } else { String::new() };
            format!("/athlete/activities?per_page={PER_PAGE}{before}{page}")
        }
        Ask::Detail { id, .. } => format!("/activities/{id}?include_all_efforts=true"),
        Ask::Streams { id, .. } => format!(
            "/activities/{id}/streams?keys=time,distance,latlng,altitude,velocity_smooth,heartrate,cadence,watts,temp,moving,grade_smooth&key_by_type=true"
        ),
    }
}

/// What a request was for, for a person.
pub fn describe(ask: &Ask) -> String {
    match ask {
        Ask::List { before_s: None, .. } => "the newest page of the list".to_string(),
        Ask::List { before_s: Some(before_s), .. } => match Timestamp::from_second(*before_s) {
            Ok(before) => format!("the page of the list before {before}"),
            Err(_) => format!("the page of the list before second {before_s}"),
        },
        Ask::Detail { id, .. } => format!("activity {id}"),
        Ask::Streams { id, .. } => format!("the streams of activity {id}"),
    }
}

impl Wanted {
    pub fn new(depth: Depth, now: Timestamp, max_age: SignedDuration, whole_list: bool) -> Wanted {
        Wanted { depth, fresh_since: now.saturating_sub(max_age).unwrap_or(Timestamp::MIN), whole_list }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn entry(id: usize, start_s: i64) -> ListEntry {
        ListEntry { id: id.to_string(), start_s, manual: id % 5 == 0 }
    }

    fn wanted(depth: Depth) -> Wanted {
        Wanted { depth, fresh_since: Timestamp::from_second(0).unwrap(), whole_list: false }
    }

    /// Serves a list as Strava does, in pages of `size`.
    fn serve(history: &[ListEntry], ask: &Ask, size: usize) -> Vec<Option<ListEntry>> {
        let Ask::List { before_s, page, .. } = ask else { panic!("{ask:?}") };
        let mut matching: Vec<&ListEntry> =
            history.iter().filter(|e| before_s.is_none_or(|b| e.start_s < b)).collect();
        matching.sort_by_key(|e| (std::cmp::Reverse(e.start_s), e.id.clone()));
        matching.into_iter().skip((*page as usize - 1) * size).take(size).cloned().map(Some).collect()
    }

    /// Walks to the end. Returns the number of pages.
    fn walk(progress: &mut Progress, history: &[ListEntry], size: usize, at_s: i64) -> usize {
        let wanted = Wanted { fresh_since: Timestamp::from_second(at_s).unwrap(), ..wanted(Depth::List) };
        for pages in 0.. {
            let Some(ask) = progress.next_page(&wanted) else { return pages };
            let Ask::List { scan, until_s, before_s, page } = ask.clone() else { panic!("{ask:?}") };
            let entries = serve(history, &ask, size);
            progress.listed(scan, (until_s, before_s, page), &entries, wanted.fresh_since).unwrap();
            assert!(pages < 10_000, "the walk does not end");
        }
        unreachable!()
    }

    #[test]
    fn four_hundred_activities_take_five_requests() {
        let history: Vec<ListEntry> = (0..400).map(|i| entry(i, i as i64 * 1000)).collect();
        let mut progress = Progress::default();
        // 200; 199 and one again; the last and one again; the last again; nothing.
        assert_eq!(walk(&mut progress, &history, 200, 5), 5);
        assert_eq!(progress.activities(), 400);
    }

    #[test]
    fn a_second_walk_stops_below_what_is_known() {
        let mut history: Vec<ListEntry> = (0..2_000).map(|i| entry(i, i as i64 * 86_400)).collect();
        let mut progress = Progress::default();
        walk(&mut progress, &history, 200, 5);
        history.push(entry(9_999, 2_000 * 86_400));
        // Synced late: older than the newest.
        history.push(entry(9_998, 1_985 * 86_400 + 7));
        assert_eq!(walk(&mut progress, &history, 200, 6), 1);
        assert_eq!(progress.activities(), 2_002);
        assert_eq!(progress.next_page(&wanted(Depth::List)), None, "fresh enough");
    }

    #[test]
    fn what_an_archive_told_is_not_asked_for_again() {
        let history: Vec<ListEntry> = (0..2_000).map(|i| entry(i, i as i64 * 86_400)).collect();
        let mut progress = Progress::default();
        let archived = |e: &ListEntry| ArchivedEntry {
            id: e.id.clone(),
            start_s: e.start_s,
            manual: e.manual,
            has_file: e.id != "7",
        };
        progress.archived(&history[..1_900].iter().map(archived).collect::<Vec<_>>());
        // The list is walked all the same: the archive may lack what it does not know of.
        assert_eq!(walk(&mut progress, &history, 200, 5), 13);
        let owed = progress.owed(Depth::Streams);
        let of =
            |id: &str| owed.iter().filter(|ask| describe(ask).ends_with(&format!("activity {id}"))).count();
        assert_eq!(
            (of("1950"), of("1951"), of("1899"), of("7")),
            (1, 2, 0, 1),
            "1950 is manual, 7 has no file"
        );
    }

    #[test]
    fn what_is_owed_is_newest_first_and_leaves_out_what_cannot_be_there() {
        let mut progress = Progress::default();
        walk(&mut progress, &[entry(5, 50), entry(1, 10), entry(2, 20)], 200, 5);
        progress.known.get_mut("2").unwrap().has_detail = true;
        let owed: Vec<String> = progress.owed(Depth::Streams).iter().map(describe).collect();
        assert_eq!(
            owed,
            ["activity 5", "the streams of activity 2", "activity 1", "the streams of activity 1"]
        );
    }

    proptest! {
        #[test]
        fn no_activity_is_lost_whatever_ties_and_page_sizes_there_are(
            starts in prop::collection::vec(0_i64..60, 0..300),
            size in 1_usize..40,
        ) {
            let history: Vec<ListEntry> = starts.iter().enumerate().map(|(i, s)| entry(i, *s)).collect();
            let mut progress = Progress::default();
            walk(&mut progress, &history, size, 5);
            let found: HashSet<String> = progress.known.keys().cloned().collect();
            let there: HashSet<String> = history.iter().map(|e| e.id.clone()).collect();
            prop_assert_eq!(found, there);
        }
    }
}
