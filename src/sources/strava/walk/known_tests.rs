//! What is owed of activities, and what is gone.

use super::*;

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
fn what_was_not_there_is_asked_for_as_if_it_were_new_once_the_list_says_something_else() {
    let start_s = NOW_S - 100;
    let line = |print: u64| {
        let entry = ListEntry { id: "7".to_string(), start_s, manual: false, print };
        News::Page(vec![Some(entry)])
    };
    let list = Ask::List { scan: 1, until_s: None, before_s: None, page: 1 };
    let streams = endpoints::of_activities(1).ask("7", start_s);
    let mut progress = Progress::default();
    progress.take(&list, line(1), at(NOW_S));
    let times = |progress: &Progress| match progress.known.iter().next().unwrap().1.had[1] {
        Had::Nothing { times, .. } => times,
        other => panic!("{other:?}"),
    };
    for expected in [1, 2] {
        progress.take(&streams, News::Nothing, at(NOW_S));
        assert_eq!(times(&progress), expected);
    }
    progress.take(&list, line(2), at(NOW_S));
    progress.take(&streams, News::Nothing, at(NOW_S));
    assert_eq!(times(&progress), 1);
}

#[test]
fn what_is_not_there_is_owed_at_once_after_an_edit_or_when_somebody_wants_it_and_not_for_ever() {
    let since_s = NOW_S - 30 * DAY_S;
    let known = |at_s: i64, times: u8| {
        let mut known = Known { start_s: since_s, since_s, print: 1, ..Known::default() };
        known.had[1] = Had::Nothing { print: 1, at_s, times };
        known
    };
    let owed_at_s = |known: &Known, anew: Option<&Anew>| known.owed_at_s(1, "7", anew);
    // Twice in six days, and later no more.
    let last_s = since_s + 6 * DAY_S;
    assert_eq!(owed_at_s(&known(last_s - 1, 2), None), Some(last_s - 1 + 12 * 3_600));
    assert_eq!(owed_at_s(&known(last_s, 2), None), None);
    assert_eq!(owed_at_s(&Known { print: 2, ..known(last_s, 2) }, None), Some(i64::MIN));
    let anew = Anew { fetched_before: at(NOW_S), started_since: at(0), ids: Vec::new() };
    assert_eq!(owed_at_s(&known(last_s, 2), Some(&anew)), Some(i64::MIN));
}

#[test]
fn a_witness_is_there_and_was_had_from_the_api() {
    let detail = |id: &str| endpoints::of_activities(0).ask(id, 0);
    let any = |progress: &Progress| progress.any_had(|_| true).map(|ask| endpoints::describe(&ask));
    let mut progress = Progress::default();
    progress.archived(&[ArchivedEntry { id: "1".to_string(), start_s: 0, manual: false, has_file: true }]);
    progress.take(&endpoints::of_activities(1).ask("2", 0), News::Whole, at(NOW_S));
    assert_eq!(any(&progress), None, "of an archive, or only samples");
    progress.take(&detail("3"), News::Whole, at(NOW_S));
    assert_eq!(any(&progress), Some(endpoints::describe(&detail("3"))));
    progress.take(&detail("3"), News::NotFound, at(NOW_S));
    assert_eq!(any(&progress), None, "gone by now");
    assert!(["1", "2", "3"].iter().all(|id| progress.has_known(id)) && !progress.has_known("4"));
}

#[test]
fn what_comes_later_is_newer_whatever_it_is_dated() {
    let mut progress = Progress::default();
    progress.take(&detail("3"), News::Whole, at(NOW_S + DAY_S));
    progress.take(&detail("3"), News::NotFound, at(NOW_S));
    assert_eq!(progress.newest(), Some(at(NOW_S + DAY_S)));
    assert_eq!(progress.gone().next().unwrap().1.at_s, NOW_S + DAY_S);
    // As late as two clocks may be apart is no future.
    let since = |ahead_s: i64| is_since(Some(at(NOW_S + ahead_s)), at(NOW_S), at(NOW_S));
    assert!(since(CLOCKS_APART_S) && !since(CLOCKS_APART_S + 1));
}
