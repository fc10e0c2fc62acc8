use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

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

#[test]
fn a_date_in_the_future_shortens_no_walk() {
    let mut history: Vec<ListEntry> = (0..500).map(|i| entry(i, NOW_S - 1_000 * i as i64)).collect();
    history.push(entry(9_999, NOW_S + 40 * 365 * 86_400));
    let mut progress = Progress::default();
    walk(&mut progress, &history);
    let Some(Ask::List { until_s: Some(until_s), .. }) =
        progress.next_page(&wanted(NOW_S + 100), at(NOW_S + 200))
    else {
        panic!()
    };
    assert_eq!(until_s, NOW_S - LOOKBACK_S);
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
fn what_an_archive_told_is_not_asked_for_again() {
    let history: Vec<ListEntry> = (0..2_000).map(|i| entry(i, i as i64 * 86_400)).collect();
    let mut progress = Progress::default();
    let archived = |e: &ListEntry| ArchivedEntry {
        id: e.id.clone(),
        start_s: e.start_s,
        manual: e.manual,
        has_file: e.id != "7",
    };
    // The list is walked all the same: the archive may lack what it does not know of.
    assert_eq!(walk(&mut progress, &history), 12);
    progress.archived(&history[..1_900].iter().map(archived).collect::<Vec<_>>());
    let owed = owed(&progress);
    let of = |id: &str| owed.iter().filter(|what| what.ends_with(&format!("activity {id}"))).count();
    assert_eq!((of("1950"), of("1951"), of("1899"), of("7")), (1, 2, 0, 1), "1950 is manual, 7 has no file");
}

#[test]
fn what_is_owed_is_newest_first_and_leaves_out_what_cannot_be_there() {
    let mut progress = Progress::default();
    walk(&mut progress, &[entry(5, 50), entry(1, 10), entry(2, 20)]);
    progress.take(&detail("2"), News::Whole, at(NOW_S));
    assert_eq!(
        owed(&progress),
        ["activity 5", "activity 1", "the streams of activity 2", "the streams of activity 1"]
    );
}

#[test]
fn what_was_edited_is_owed_again_and_counts_alone_ask_for_nothing() {
    let mut progress = Progress::default();
    let history = [entry(1, 10), entry(2, 20)];
    walk(&mut progress, &history);
    for id in ["1", "2"] {
        progress.take(&detail(id), News::Whole, at(NOW_S));
        progress.take(&endpoints::of_activities(1).ask(id, 0), News::Whole, at(NOW_S));
    }
    assert_eq!(owed(&progress), Vec::<String>::new());
    let mut edited = history.clone();
    edited[1].print = 2;
    let ask = progress.next_page(&wanted(NOW_S + 1_000), at(NOW_S + 2_000)).unwrap();
    progress.take(&ask, News::Page(edited.map(Some).to_vec()), at(NOW_S + 2_000));
    assert_eq!(owed(&progress), ["activity 2", "the streams of activity 2"]);
}

#[test]
fn what_is_to_be_fetched_anew_is_owed_once_more_and_not_after_that() {
    let mut progress = Progress::default();
    walk(&mut progress, &[entry(1, 10), entry(2, 20), entry(3, 30)]);
    for id in ["1", "2", "3"] {
        progress.take(&detail(id), News::Whole, at(NOW_S));
    }
    let anew = |since_s: i64, ids: &[&str]| Wanted {
        anew: Some(Anew {
            fetched_before: at(NOW_S + 10),
            started_since: at(since_s),
            ids: ids.iter().map(|id| id.to_string()).collect(),
        }),
        ..wanted(NOW_S)
    };
    let owed = |progress: &Progress, wanted: &Wanted| -> Vec<String> {
        progress.owed(0, wanted, at(NOW_S + 20)).iter().map(|owed| owed.id.to_string()).collect()
    };
    assert_eq!(owed(&progress, &anew(20, &[])), ["3", "2"]);
    assert_eq!(owed(&progress, &anew(0, &["1"])), ["1"]);
    assert_eq!(owed(&progress, &anew(0, &["1", "3"])), ["3", "1"]);
    let mut just = progress.clone();
    just.take(&detail("1"), News::Whole, at(NOW_S + 10));
    assert_eq!(owed(&just, &anew(0, &["1"])), Vec::<String>::new(), "what came in that second is new enough");
    progress.take(&detail("1"), News::Whole, at(NOW_S + 15));
    assert_eq!(owed(&progress, &anew(0, &["1"])), Vec::<String>::new());
}

#[test]
fn what_is_not_there_yet_is_asked_for_after_hours_then_days_then_never() {
    let mut progress = Progress::default();
    let fresh = entry(1, NOW_S - 600);
    let old = entry(2, NOW_S - 90 * DAY_S);
    walk(&mut progress, &[fresh, old]);
    let streams = |id: &str| endpoints::of_activities(1).ask(id, 0);
    for id in ["1", "2"] {
        progress.take(&detail(id), News::Nothing, at(NOW_S));
        progress.take(&streams(id), News::Nothing, at(NOW_S));
    }
    let mut now_s = NOW_S;
    let mut asked = Vec::new();
    while now_s < NOW_S + 60 * DAY_S {
        for index in [0, 1] {
            for owed in progress.owed(index, &wanted(NOW_S), at(now_s)) {
                asked.push((index, owed.id.to_string(), (now_s - NOW_S) / 3_600));
                progress.take(&endpoints::of_activities(index).ask(&owed.id, 0), News::Nothing, at(now_s));
            }
        }
        now_s += 3_600;
    }
    let hours = |index: usize, id: &str| -> Vec<i64> {
        asked.iter().filter(|(at, of, _)| (*at, of.as_str()) == (index, id)).map(|(.., hour)| *hour).collect()
    };
    assert_eq!((hours(0, "1"), hours(1, "1")), (vec![3, 15, 39, 111], vec![3, 15, 39, 111]));
    assert_eq!(hours(0, "2"), [3, 15, 39, 111], "an activity is never empty");
    assert_eq!(hours(1, "2"), Vec::<i64>::new(), "what is old may have no streams");
}

#[test]
fn what_is_listed_again_after_it_was_not_found_is_asked_for_again_a_few_times() {
    let mut progress = Progress::default();
    let history = [entry(1, NOW_S - 90 * DAY_S)];
    walk(&mut progress, &history);
    for index in [0, 1] {
        progress.take(&endpoints::of_activities(index).ask("1", 0), News::NotFound, at(NOW_S));
    }
    assert_eq!(progress.gone_count(), 1);
    let mut asked = [0, 0];
    for day in 1..60 {
        let now = at(NOW_S + day * DAY_S);
        let daily = Wanted { whole_since: now, ..wanted(now.as_second()) };
        while let Some(ask) = progress.next_page(&daily, now) {
            progress.take(&ask, News::Page(serve(&history, &ask, 200)), now);
        }
        assert_eq!(progress.gone_count(), 0, "the list has it");
        for index in [0, 1] {
            for owed in progress.owed(index, &daily, now) {
                asked[index] += 1;
                progress.take(&endpoints::of_activities(index).ask(&owed.id, 0), News::NotFound, now);
            }
        }
    }
    assert!(asked.iter().all(|calls| (1..=5).contains(calls)), "{asked:?}");
}

#[test]
fn what_a_whole_walk_does_not_list_any_more_is_gone_until_it_is_back() {
    let mut progress = Progress::default();
    let mut history: Vec<ListEntry> = (0..10).map(|i| entry(i, NOW_S - i as i64)).collect();
    walk(&mut progress, &history);
    let deleted = history.remove(3);
    let again = Wanted { whole_since: at(NOW_S + 100), ..wanted(NOW_S + 100) };
    let rewalk = |progress: &mut Progress, history: &[ListEntry], second: i64| {
        while let Some(ask) = progress.next_page(&again, at(second)) {
            let news = match &ask {
                Ask::List { .. } => News::Page(serve(history, &ask, 200)),
                Ask::OfActivity { .. } => News::NotFound,
            };
            progress.take(&ask, news, at(second));
        }
    };
    rewalk(&mut progress, &history, NOW_S + 200);
    let gone = Gone { at_s: NOW_S + 200, why: GoneWhy::NotListed };
    assert_eq!(progress.gone().collect::<Vec<_>>(), [("3".into(), gone)]);
    assert!(!owed(&progress).contains(&"activity 3".to_string()));
    history.push(deleted);
    let ask = Ask::List { scan: 3, until_s: None, before_s: None, page: 1 };
    progress.take(&ask, News::Page(serve(&history, &ask, 200)), at(NOW_S + 300));
    assert_eq!(progress.gone().count(), 0);
}

#[test]
fn what_is_not_found_is_gone_unless_it_is_fresh_and_comes_back_with_the_list() {
    let mut progress = Progress::default();
    let history = [entry(1, NOW_S - 600), entry(2, NOW_S - 90 * DAY_S)];
    walk(&mut progress, &history);
    for id in ["1", "2"] {
        progress.take(&detail(id), News::NotFound, at(NOW_S + 100));
        // Streams that are not found are no activity that is not found.
        progress.take(&endpoints::of_activities(1).ask(id, 0), News::NotFound, at(NOW_S + 100));
    }
    let gone = Gone { at_s: NOW_S + 100, why: GoneWhy::NotFound };
    assert_eq!(progress.gone().collect::<Vec<_>>(), [("2".into(), gone)]);
    assert_eq!((progress.activities(), owed(&progress)), (1, Vec::new()));
    let ask = Ask::List { scan: 2, until_s: None, before_s: None, page: 1 };
    progress.take(&ask, News::Page(history.map(Some).to_vec()), at(NOW_S + 200));
    assert_eq!((progress.gone().count(), progress.activities()), (0, 2));
    assert_eq!(owed(&progress), Vec::<String>::new(), "the list alone does not ask for it over and over");
}

#[test]
fn a_walk_that_could_not_read_everything_says_of_nothing_that_it_is_gone() {
    let mut progress = Progress::default();
    let history = [entry(1, NOW_S - 600), entry(2, NOW_S - 900)];
    walk(&mut progress, &history);
    let page = |page| Ask::List { scan: 2, until_s: None, before_s: None, page };
    progress.take(&page(1), News::Page(vec![Some(history[0].clone()), None]), at(NOW_S + 200));
    progress.take(&page(2), News::Page(Vec::new()), at(NOW_S + 201));
    assert_eq!(
        (progress.gone().count(), progress.whole_at()),
        (0, Some(at(NOW_S))),
        "the walk before was whole"
    );
    assert_eq!(progress.doubt().map(|doubt| doubt.at), Some(at(NOW_S + 201)));
}

#[test]
fn only_what_is_not_there_and_later_walks_of_whole_lists_tell_of_ends() {
    let list = |scan, until_s| Ask::List { scan, until_s, before_s: None, page: 1 };
    assert!(may_tell_of_ends(&detail("7"), 404) && !may_tell_of_ends(&detail("7"), 200));
    assert!(may_tell_of_ends(&list(2, None), 200) && !may_tell_of_ends(&list(1, None), 200));
    assert!(!may_tell_of_ends(&list(2, Some(5)), 200));
}

#[test]
fn what_was_fetched_and_what_is_gone_is_counted() {
    let mut progress = Progress::default();
    walk(&mut progress, &[entry(1, 10), entry(2, 20), entry(3, 30)]);
    for (id, second) in [("2", NOW_S + 5), ("1", NOW_S + 9)] {
        progress.take(&detail(id), News::Whole, at(second));
    }
    progress.take(&detail("3"), News::NotFound, at(NOW_S + 10));
    assert_eq!((progress.had(0), progress.had(1)), (2, 0));
    assert_eq!(progress.oldest(), Some(at(NOW_S)), "that of the list");
    assert_eq!((progress.gone_count(), progress.activities()), (1, 2));
    let ids: HashSet<CompactString> = progress.ids().collect();
    assert_eq!(ids, HashSet::from(["1".into(), "2".into()]));
    // What was edited is not had in its last version.
    let mut edited = entry(2, 20);
    edited.print = 2;
    let ask = Ask::List { scan: 2, until_s: Some(0), before_s: None, page: 1 };
    progress.take(&ask, News::Page(vec![Some(edited)]), at(NOW_S + 20));
    assert_eq!(progress.had(0), 1);
}

#[test]
fn an_archive_without_a_file_still_owes_the_samples_and_what_was_typed_in_stays_so() {
    let mut progress = Progress::default();
    let archived = |id: &str, manual: bool, has_file: bool| ArchivedEntry {
        id: id.to_string(),
        start_s: 50,
        manual,
        has_file,
    };
    progress.archived(&[archived("1", false, false), archived("2", false, true), archived("3", true, false)]);
    assert_eq!(owed(&progress), ["the streams of activity 1"]);
    progress.archived(&[archived("3", false, false)]);
    assert_eq!(owed(&progress), ["the streams of activity 1"]);
    // A walk that does not come across them says nothing: no list ever had them.
    let again = Wanted { whole_since: at(NOW_S), ..wanted(NOW_S) };
    for second in [NOW_S + 1, NOW_S + 2] {
        let Some(ask) = progress.next_page(&again, at(second)) else { continue };
        progress.take(&ask, News::Page(Vec::new()), at(second));
    }
    assert_eq!(progress.gone_count(), 0);
}

#[test]
fn what_a_later_walk_listed_first_is_new_as_of_then() {
    let mut progress = Progress::default();
    walk(&mut progress, &[entry(1, NOW_S - 90 * DAY_S)]);
    // Uploaded now, with a date of long ago.
    let ask = progress.next_page(&wanted(NOW_S + 100), at(NOW_S + 200)).unwrap();
    progress.take(&ask, News::Page(vec![Some(entry(2, NOW_S - 80 * DAY_S))]), at(NOW_S + 200));
    for id in ["1", "2"] {
        progress.take(&detail(id), News::NotFound, at(NOW_S + 300));
    }
    let gone: Vec<CompactString> = progress.gone().map(|(id, _)| id).collect();
    assert_eq!(gone, ["1"], "a fresh upload may not be there yet");
    progress.take(&detail("2"), News::NotFound, at(NOW_S + 200 + FRESH_S));
    assert_eq!(progress.gone_count(), 2, "three days later it is");
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
    assert_eq!(asked, [(None, 1), (None, 2), (Some(998), 1), (Some(998), 2)]);
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
    for ids in [&[1, 2, 3][..], &[1, 2, 3], &[3, 4], &[]] {
        let ask = progress.next_page(&wanted(0), at(NOW_S)).unwrap();
        progress.take(&ask, page(ids), at(NOW_S));
    }
    assert_eq!((progress.activities(), progress.whole_at()), (4, Some(at(NOW_S))));
}

#[test]
fn a_walk_is_resumed_below_what_it_saw_once_ten_minutes_have_gone_by() {
    let mut progress = Progress::default();
    let first = progress.next_page(&wanted(NOW_S), at(NOW_S)).unwrap();
    progress.take(&first, News::Page(vec![Some(entry(1, 500)), Some(entry(2, 400))]), at(NOW_S));
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
