use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

#[path = "walk/known_tests.rs"]
mod known;

const NOW_S: i64 = 1_790_000_000;

fn entry(id: usize, start_s: i64) -> ListEntry {
    ListEntry { id: id.to_string(), start_s, manual: id % 5 == 0, print: 1 }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn wanted(fresh_s: i64) -> Wanted {
    Wanted { depth: Depth::Streams, fresh_since: at(fresh_s), whole_since: Timestamp::MIN, anew: None }
}

/// Serves a list as Strava does, in pages of `size`.
fn serve(history: &[ListEntry], ask: &Ask, size: usize) -> Vec<Option<ListEntry>> {
    let Ask::List { before_s, page, .. } = ask else { panic!("{ask:?}") };
    let mut matching: Vec<&ListEntry> =
        history.iter().filter(|e| before_s.is_none_or(|b| e.start_s < b)).collect();
    matching.sort_by_key(|e| (std::cmp::Reverse(e.start_s), e.id.clone()));
    matching.into_iter().skip((*page as usize - 1) * size).take(size).cloned().map(Some).collect()
}

/// Walks to the end, a page every `pause_s`. Returns the number of pages.
fn walk_with(
    progress: &mut Progress,
    history: &[ListEntry],
    size: usize,
    wanted: &Wanted,
    pause_s: i64,
) -> usize {
    for pages in 0.. {
        let now = at(NOW_S + pages as i64 * pause_s);
        let Some(ask) = progress.next_page(wanted, now) else { return pages };
        progress.take(&ask, News::Page(serve(history, &ask, size)), now);
        assert!(pages < 10_000, "the walk does not end");
    }
    unreachable!()
}

fn walk(progress: &mut Progress, history: &[ListEntry]) -> usize {
    walk_with(progress, history, 200, &wanted(NOW_S), 1)
}

fn owed(progress: &Progress) -> Vec<String> {
    let mut owed = Vec::new();
    for index in 0..endpoints::OF_ACTIVITIES {
        let endpoint = endpoints::of_activities(index);
        for one in progress.owed(index, &wanted(NOW_S), at(NOW_S)) {
            owed.push(endpoints::describe(&endpoint.ask(&one.id, one.start_s)));
        }
    }
    owed
}

fn detail(id: &str) -> Ask {
    endpoints::of_activities(0).ask(id, 0)
}

#[test]
fn a_list_costs_a_request_for_200_and_one_that_is_empty_and_where_the_last_was_full_one_to_be_sure() {
    for (count, calls) in [(0, 1), (1, 2), (199, 2), (200, 3), (201, 3), (400, 4), (401, 4), (1_000, 7)] {
        let history: Vec<ListEntry> = (0..count).map(|i| entry(i, i as i64 * 1000)).collect();
        let mut progress = Progress::default();
        assert_eq!(walk(&mut progress, &history), calls, "{count} activities");
        assert_eq!(progress.activities(), count);
        // Later the count tells.
        let whole = Wanted { whole_since: at(NOW_S + 50), ..wanted(NOW_S + 50) };
        let mut pages = 0;
        while let Some(ask) = progress.next_page(&whole, at(NOW_S + 100)) {
            progress.take(&ask, News::Page(serve(&history, &ask, 200)), at(NOW_S + 100));
            pages += 1;
        }
        assert_eq!(pages, count.div_ceil(200) + 1, "{count} activities, once more");
    }
}

#[test]
fn a_later_walk_stops_below_what_is_known() {
    let mut history: Vec<ListEntry> = (0..2_000).map(|i| entry(i, i as i64 * 86_400)).collect();
    let mut progress = Progress::default();
    walk(&mut progress, &history);
    history.push(entry(9_999, 2_000 * 86_400));
    // Synced late: older than the newest.
    history.push(entry(9_998, 1_985 * 86_400 + 7));
    let mut later = progress.clone();
    let ask = later.next_page(&wanted(NOW_S + 100), at(NOW_S + 200)).unwrap();
    later.take(&ask, News::Page(serve(&history, &ask, 200)), at(NOW_S + 200));
    assert_eq!(later.next_page(&wanted(NOW_S + 100), at(NOW_S + 200)), None, "one page is enough");
    assert_eq!(later.activities(), 2_002);
}

/// As a later start reads it.
fn repacked(progress: &Progress) -> Progress {
    let [owner, other] = ["1", "2"].map(|account| ("u".to_string(), account.to_string()));
    let all = HashMap::from([(owner.clone(), progress.clone()), (other, progress.clone())]);
    let bytes = packed::pack(&all, &packed::MadeFrom::default());
    packed::unpack(&bytes.into()).unwrap().0.remove(&owner).unwrap()
}

#[test]
fn a_date_in_the_future_shortens_no_walk() {
    let mut history: Vec<ListEntry> = (0..500).map(|i| entry(i, NOW_S - 1_000 * i as i64)).collect();
    history.push(entry(9_999, NOW_S + 40 * 365 * 86_400));
    let mut progress = Progress::default();
    walk(&mut progress, &history);
    for progress in [repacked(&progress), progress] {
        let Some(Ask::List { until_s: Some(until_s), .. }) =
            progress.next_page(&wanted(NOW_S + 100), at(NOW_S + 200))
        else {
            panic!()
        };
        assert_eq!(until_s, NOW_S - LOOKBACK_S);
    }
}

#[test]
fn a_page_out_of_order_ends_no_walk_and_loses_nothing() {
    // The first page holds a start of 1970 between the others.
    let mut pages: Vec<Vec<Option<ListEntry>>> = (0..3)
        .map(|page| (0..5).map(|i| Some(entry(page * 5 + i, NOW_S - (page * 5 + i) as i64))).collect())
        .collect();
    pages[0][2] = Some(entry(2, 5));
    pages.push(Vec::new());
    let mut progress = Progress::default();
    let mut asked = Vec::new();
    // Between pages a day goes by: starts that are out of order are no cursor.
    for (number, page) in pages.into_iter().enumerate() {
        let now = at(NOW_S + number as i64 * 86_400);
        let ask = progress.next_page(&wanted(NOW_S), now).unwrap();
        progress.take(&ask, News::Page(page), now);
        asked.push(ask);
    }
    assert!(progress.is_walked() && progress.activities() == 15);
    assert!(matches!(asked[3], Ask::List { before_s: None, page: 4, .. }), "{asked:?}");
}

#[test]
fn a_resumed_walk_counts_as_of_its_first_page_and_goes_on_below_what_it_saw() {
    let mut history: Vec<ListEntry> = (0..1_000).map(|i| entry(i, NOW_S - i as i64 * 100)).collect();
    let mut progress = Progress::default();
    let first = progress.next_page(&wanted(NOW_S), at(NOW_S)).unwrap();
    progress.take(&first, News::Page(serve(&history, &first, 200)), at(NOW_S));
    // Meanwhile three of the first page were deleted: page 2 begins three later now.
    history.drain(10..13);
    let later_s = NOW_S + 86_400;
    while let Some(ask) = progress.next_page(&wanted(NOW_S), at(later_s)) {
        progress.take(&ask, News::Page(serve(&history, &ask, 200)), at(later_s));
    }
    assert_eq!(progress.walked_at(), Some(at(NOW_S)));
    assert!((200..1_000).all(|id| progress.known.open().contains_key(id.to_string().as_str())));
}

#[test]
fn a_walk_ends_below_its_end_and_never_by_starts_out_of_order() {
    let page =
        |starts: &[i64]| News::Page(starts.iter().zip(1..).map(|(s, id)| Some(entry(id, *s))).collect());
    for (starts, ends) in
        [(&[30, 20, 9][..], true), (&[30, 20, 10], false), (&[20, 30, 9], false), (&[20, 20, 9], true)]
    {
        let mut progress = Progress::default();
        let ask = Ask::List { scan: 1, until_s: Some(10), before_s: None, page: 1 };
        progress.take(&ask, page(starts), at(NOW_S));
        assert_eq!(progress.is_walked(), ends, "{starts:?}");
    }
}

#[test]
fn a_list_that_was_walked_in_the_future_is_walked_again() {
    let mut progress = Progress::default();
    let history = [entry(1, 1_000)];
    let asks =
        |progress: &Progress, now_s: i64| progress.next_page(&wanted(NOW_S - DAY_S), at(now_s)).is_some();
    while let Some(ask) = progress.next_page(&wanted(NOW_S), at(NOW_S)) {
        progress.take(&ask, News::Page(serve(&history, &ask, 200)), at(NOW_S + DAY_S));
        assert!(progress.scans < 9);
        if progress.is_walked() {
            break;
        }
    }
    assert!(asks(&progress, NOW_S) && !asks(&progress, NOW_S + DAY_S));
}

#[test]
fn a_list_that_repeats_a_page_for_ever_is_asked_for_it_a_few_times_and_nothing_is_thought_gone() {
    let page =
        |ids: &[usize]| News::Page(ids.iter().map(|id| Some(entry(*id, 1_000 - *id as i64))).collect());
    let mut progress = Progress::default();
    let mut asked = Vec::new();
    while let Some(ask @ Ask::List { before_s, page: number, .. }) = progress.next_page(&wanted(0), at(NOW_S))
    {
        asked.push((before_s, number));
        progress.take(&ask, page(&[1, 2, 3]), at(NOW_S));
        if progress.is_walked() {
            break;
        }
    }
    assert_eq!(asked, [(None, 1), (Some(998), 1), (Some(998), 2)]);
    assert_eq!((progress.activities(), progress.whole_at()), (3, None));
    assert!(progress.doubt().is_some(), "which is said");
    let again = |second: i64| progress.next_page(&wanted(second), at(second));
    assert_eq!(again(NOW_S), None);
    let whole = Ask::List { scan: 2, until_s: None, before_s: None, page: 1 };
    assert_eq!(again(NOW_S + DAY_S + 1), Some(whole), "the whole of it a day later");
    // Where starts go up and down, nothing is known to lie below.
    let mut progress = Progress::default();
    for number in 1..3 {
        let ask = Ask::List { scan: 1, until_s: None, before_s: None, page: number };
        progress.take(&ask, page(&[3, 1, 2]), at(NOW_S));
    }
    assert!(progress.is_walked() && progress.whole_at().is_none());
    // Pages that were shifted by as much as a page are gone on with below, and the walk is whole.
    let mut progress = Progress::default();
    for ids in [&[1, 2, 3][..], &[1, 2, 3], &[3, 4], &[4]] {
        let ask = progress.next_page(&wanted(0), at(NOW_S)).unwrap();
        progress.take(&ask, page(ids), at(NOW_S));
    }
    assert_eq!((progress.activities(), progress.whole_at()), (4, Some(at(NOW_S))));
}

#[test]
fn a_walk_is_resumed_below_what_it_saw_once_ten_minutes_have_gone_by() {
    let mut progress = Progress::default();
    let first = progress.next_page(&wanted(NOW_S), at(NOW_S)).unwrap();
    let full = (1..PER_PAGE as usize).map(|id| Some(entry(1_000 + id, 500))).chain([Some(entry(2, 400))]);
    progress.take(&first, News::Page(full.collect()), at(NOW_S));
    let next = |progress: &Progress, second: i64| match progress.next_page(&wanted(NOW_S), at(second)) {
        Some(Ask::List { before_s, page, .. }) => (before_s, page),
        other => panic!("{other:?}"),
    };
    assert_eq!(next(&progress, NOW_S + RESUMED_AFTER_S), (None, 2));
    assert_eq!(next(&progress, NOW_S + RESUMED_AFTER_S + 1), (Some(401), 1));
    // Whole pages of one second: the same bound again would ask for the same page for ever.
    let resumed = Ask::List { scan: 1, until_s: None, before_s: Some(401), page: 1 };
    progress.take(&resumed, News::Page(vec![Some(entry(3, 400))]), at(NOW_S + 1_000));
    assert_eq!(next(&progress, NOW_S + 9_000), (Some(401), 2));
    progress.take(&resumed, News::Page(vec![Some(entry(4, 300))]), at(NOW_S + 1_001));
    assert_eq!(next(&progress, NOW_S + 9_000), (Some(301), 1));
}

#[test]
fn a_page_of_which_nothing_can_be_read_is_followed_by_the_next() {
    let mut progress = Progress::default();
    let ask = Ask::List { scan: 1, until_s: None, before_s: None, page: 1 };
    progress.take(&ask, News::Page(vec![None, None]), at(NOW_S));
    assert_eq!(
        progress.next_page(&wanted(0), at(NOW_S)),
        Some(Ask::List { scan: 1, until_s: None, before_s: None, page: 2 })
    );
}

#[test]
fn a_list_without_end_is_given_up_after_more_pages_than_anybody_has() {
    let mut progress = Progress::default();
    let list = |page: u32| Ask::List { scan: 1, until_s: None, before_s: None, page };
    for page in 1..=MAX_PAGES {
        let ask = progress.next_page(&wanted(0), at(NOW_S));
        assert_eq!(ask, Some(list(page)));
        progress.take(&list(page), News::Page(vec![Some(entry(page as usize, 0))]), at(NOW_S));
    }
    assert_eq!(progress.next_page(&wanted(0), at(NOW_S)), None);
}

#[test]
fn behind_a_record_that_cannot_be_read_the_next_page_begins_with_the_oldest_one_seen() {
    let mut progress = Progress::default();
    let ask = Ask::List { scan: 1, until_s: None, before_s: None, page: 1 };
    let full = (1..PER_PAGE as usize).map(|id| Some(entry(id, 9_000 - id as i64))).chain([None]);
    progress.take(&ask, News::Page(full.collect()), at(NOW_S));
    let oldest_s = 9_000 - (PER_PAGE as i64 - 1);
    assert_eq!(
        progress.next_page(&wanted(0), at(NOW_S)),
        Some(Ask::List { scan: 1, until_s: None, before_s: Some(oldest_s + 1), page: 1 })
    );
}

#[test]
fn a_list_that_was_never_walked_whole_is_walked_whole() {
    let mut progress = Progress::default();
    let short = Ask::List { scan: 1, until_s: Some(10), before_s: None, page: 1 };
    progress.take(&short, News::Page(vec![Some(entry(1, 5))]), at(NOW_S));
    assert!(progress.is_walked() && progress.whole_at().is_none());
    let later = wanted(NOW_S + 100);
    let Some(Ask::List { until_s, .. }) = progress.next_page(&later, at(NOW_S + 200)) else { panic!() };
    assert_eq!(until_s, None);
    // As old as it may just be is fresh enough, for the list and for the whole of it.
    let mut progress = Progress::default();
    walk(&mut progress, &[entry(1, NOW_S - DAY_S)]);
    let just = Wanted { whole_since: at(NOW_S), ..wanted(NOW_S) };
    assert_eq!(progress.next_page(&just, at(NOW_S + 200)), None);
    let later = Wanted { fresh_since: at(NOW_S + 1), ..just };
    let Some(Ask::List { until_s, .. }) = progress.next_page(&later, at(NOW_S + 200)) else { panic!() };
    assert_eq!(
        until_s,
        Some(NOW_S - DAY_S - LOOKBACK_S),
        "a whole walk that is just fresh enough shortens it"
    );
}

#[test]
fn a_page_that_was_cut_ends_no_list_where_the_next_one_comes_empty() {
    let history: Vec<ListEntry> = (0..600).map(|id| entry(id, 1_000 * (600 - id as i64))).collect();
    let mut progress = Progress::default();
    let mut calls = 0;
    while let Some(ask) = progress.next_page(&wanted(NOW_S), at(NOW_S)) {
        calls += 1;
        let news = match &ask {
            Ask::List { .. } => {
                let cut = match calls {
                    2 => 50,
                    3 => 0,
                    _ => 200,
                };
                News::Page(serve(&history, &ask, 200).into_iter().take(cut).collect())
            }
            _ => News::Whole,
        };
        progress.take(&ask, news, at(NOW_S));
    }
    // The oldest one seen is there by its id, so that the list is not believed to end with it.
    assert!(progress.doubt().is_some() && progress.whole_at().is_none());
    let whole = Wanted { whole_since: at(NOW_S), ..wanted(NOW_S) };
    let walked = walk_with(&mut progress, &history, 200, &whole, 1);
    assert_eq!((progress.activities(), walked), (250, 0), "not within a day");
    let later = NOW_S + DAY_S + 1;
    while let Some(ask) = progress.next_page(&Wanted { whole_since: at(later), ..wanted(later) }, at(later)) {
        progress.take(&ask, News::Page(serve(&history, &ask, 200)), at(later));
    }
    assert_eq!((progress.activities(), progress.doubt()), (600, None));
}

proptest! {
    #[test]
    fn no_activity_is_lost_whatever_ties_page_sizes_and_pauses_there_are(
        starts in prop::collection::vec(0_i64..60, 0..300),
        size in 1_usize..40,
        pause_s in prop::sample::select(vec![1_i64, 3_600]),
    ) {
        let history: Vec<ListEntry> = starts.iter().enumerate().map(|(i, s)| entry(i, *s)).collect();
        let mut progress = Progress::default();
        walk_with(&mut progress, &history, size, &wanted(NOW_S), pause_s);
        let found: HashSet<&str> = progress.known.open().keys().map(|id| &**id).collect();
        let there: HashSet<&str> = history.iter().map(|e| e.id.as_str()).collect();
        prop_assert_eq!(found, there);
    }
}
