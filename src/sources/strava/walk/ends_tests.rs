//! What a list that was cut makes of what is known.

use super::super::Wanted;
use super::*;
use crate::sources::strava::api::ListEntry;
use crate::sources::strava::endpoints::{Depth, News};

const NOW_S: i64 = 1_790_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// So many activities, an hour apart, newest first.
fn history(count: usize) -> Vec<ListEntry> {
    let entry = |i: usize| ListEntry {
        id: i.to_string(),
        start_s: NOW_S - 40 * DAY_S - 3_600 * i as i64,
        manual: false,
        print: 1,
    };
    (0..count).map(entry).collect()
}

/// Whoever asks at this second walks the whole list.
fn whole(second: i64) -> Wanted {
    Wanted { depth: Depth::List, fresh_since: at(second), whole_since: at(second), anew: None }
}

/// Walks whole at a second. `lies` says which pages come empty; what is `there` is found by its id. Returns how many calls
/// that took.
fn walk(
    progress: &mut Progress,
    list: &[ListEntry],
    second: i64,
    lies: impl Fn(&Ask) -> bool,
    there: &[ListEntry],
) -> usize {
    for calls in 0.. {
        let Some(ask) = progress.next_page(&whole(second), at(second)) else { return calls };
        let news = match &ask {
            Ask::List { .. } if lies(&ask) => News::Page(Vec::new()),
            Ask::List { before_s, page, .. } => {
                let below = list.iter().filter(|e| before_s.is_none_or(|b| e.start_s < b));
                News::Page(below.skip((*page as usize - 1) * 200).take(200).cloned().map(Some).collect())
            }
            Ask::OfActivity { id, .. } if there.iter().any(|e| e.id == *id) => News::Whole,
            Ask::OfActivity { .. } => News::NotFound,
        };
        progress.take(&ask, news, at(second));
        assert!(calls < 100, "the walk does not end");
    }
    unreachable!()
}

fn never(_: &Ask) -> bool {
    false
}

fn is_page_2(ask: &Ask) -> bool {
    matches!(ask, Ask::List { page: 2, .. })
}

fn is_below_the_first(ask: &Ask) -> bool {
    !matches!(ask, Ask::List { page: 1, before_s: None, .. })
}

#[test]
fn an_empty_page_behind_a_full_one_ends_no_list_that_goes_on() {
    for count in [201, 450, 900] {
        let list = history(count);
        let mut progress = Progress::default();
        walk(&mut progress, &list, NOW_S, is_page_2, &list);
        assert_eq!((progress.activities(), progress.doubt()), (count, None));
        walk(&mut progress, &list, NOW_S + 100, is_page_2, &list);
        assert_eq!((progress.activities(), progress.gone_count()), (count, 0));
        assert_eq!(progress.whole_at(), Some(at(NOW_S + 100)));
    }
}

#[test]
fn a_list_that_is_cut_whatever_is_asked_is_in_doubt_and_is_walked_again_a_day_later() {
    let list = history(450);
    let mut progress = Progress::default();
    assert_eq!(walk(&mut progress, &list, NOW_S, is_below_the_first, &list), 4);
    let doubt = progress.doubt().cloned().unwrap();
    assert_eq!((doubt.at, doubt.id.as_deref(), progress.whole_at()), (at(NOW_S), Some("199"), None));
    assert_eq!(doubt.next(), at(NOW_S + DAY_S));
    // Until then only the newest part is walked, and not before somebody wants it anew.
    let plain = |now_s: i64, fresh_s: i64| {
        progress.next_page(&Wanted { fresh_since: at(fresh_s), ..whole(NOW_S - 9 * DAY_S) }, at(now_s))
    };
    assert_eq!(plain(NOW_S + 60, NOW_S - 60), None);
    assert!(matches!(plain(NOW_S + 60, NOW_S + 30), Some(Ask::List { until_s: Some(_), .. })));
    assert!(matches!(plain(NOW_S + DAY_S, NOW_S + 30), Some(Ask::List { until_s: None, .. })));
    walk(&mut progress, &list, NOW_S + 100, never, &list);
    assert_eq!((progress.activities(), progress.doubt()), (450, None));
}

#[test]
fn much_that_vanishes_at_once_is_gone_only_if_it_is_not_there_by_its_id() {
    for kept in [0, 50, 400] {
        let list = history(450);
        let mut progress = Progress::default();
        walk(&mut progress, &list, NOW_S, never, &list);
        let mut lied = progress.clone();
        walk(&mut lied, &list[..kept], NOW_S + 100, never, &list);
        assert_eq!((lied.gone_count(), lied.whole_at()), (0, Some(at(NOW_S))), "{kept} are listed");
        assert!(lied.doubt().is_some());
        let mut gone = progress.clone();
        walk(&mut gone, &list[..kept], NOW_S + 100, never, &list[..kept]);
        assert_eq!((gone.gone_count(), gone.activities()), (450 - kept, kept));
        assert_eq!((gone.whole_at(), gone.doubt()), (Some(at(NOW_S + 100)), None));
    }
}

#[test]
fn each_of_a_few_that_are_not_listed_is_asked_for_by_its_id() {
    let list = history(450);
    let mut progress = Progress::default();
    walk(&mut progress, &list, NOW_S, never, &list);
    let mut gone = progress.clone();
    assert_eq!(walk(&mut gone, &list[FEW..], NOW_S + 100, never, &list[FEW..]), 4 + FEW);
    assert_eq!((gone.gone_count(), gone.doubt()), (FEW, None));
    // One more, and one of them stands for all.
    let mut more = progress.clone();
    assert_eq!(walk(&mut more, &list[FEW + 1..], NOW_S + 100, never, &list[FEW + 1..]), 4 + 1);
    assert_eq!((more.gone_count(), more.doubt()), (FEW + 1, None));
    let whys = |progress: &Progress| -> Vec<GoneWhy> {
        progress.known.iter().filter_map(|(_, known)| Some(known.gone?.why)).collect()
    };
    assert_eq!(whys(&gone), [GoneWhy::NotListed; FEW]);
    // The oldest one is listed, and then it is not there.
    let mut oldest = Progress::default();
    walk(&mut oldest, &list[..400], NOW_S, is_below_the_first, &[]);
    assert_eq!(whys(&oldest), [GoneWhy::NotFound]);
    // Pages were shifted by what was deleted while they were walked, and one that is there was on none of them.
    let there: Vec<ListEntry> = [&list[..2], &list[3..]].concat();
    let listed: Vec<ListEntry> = [&list[..1], &list[3..]].concat();
    let calls = walk(&mut progress, &listed, NOW_S + 100, never, &there);
    assert!(calls <= 4 + 2, "{calls}");
    assert!(progress.known.iter().all(|(id, known)| known.gone.is_none() || id == "2"));
    assert!(progress.doubt().is_some());
}

#[test]
fn what_a_walk_could_not_take_in_is_asked_for_again() {
    let list = history(450);
    let page = |page: usize| -> Vec<Option<ListEntry>> {
        list.iter().skip((page - 1) * 200).take(200).cloned().map(Some).collect()
    };
    let walked = |pages: &[(u32, Vec<Option<ListEntry>>)]| {
        let mut progress = Progress::default();
        for (number, entries) in pages {
            let ask = Ask::List { scan: 1, until_s: None, before_s: None, page: *number };
            progress.take(&ask, News::Page(entries.clone()), at(NOW_S));
        }
        assert!(progress.is_walked());
        progress
    };
    let daily = |second: i64| Wanted { whole_since: Timestamp::MIN, ..whole(second) };
    let asks_for_all = |progress: &Progress, second: i64| {
        let ask = progress.next_page(&daily(second), at(second));
        matches!(ask, Some(Ask::List { scan: 2, until_s: None, page: 1, .. }))
    };
    let sound = walked(&[(1, page(1)), (2, page(2)), (3, page(3)), (4, Vec::new())]);
    assert!(sound.doubt().is_none() && !asks_for_all(&sound, NOW_S + DAY_S + 1));
    // A page that landed and is damaged since: at once. Behind the last full page the walk goes on by itself.
    for lost in 0..2 {
        let mut pages = vec![(1, page(1)), (2, page(2)), (3, page(3)), (4, Vec::new())];
        pages.remove(lost);
        assert!(asks_for_all(&walked(&pages), NOW_S + 1), "page {} is lost", lost + 1);
    }
    // Records that could not be read: said, and a day later, for they may never be readable.
    let mut hurt = page(2);
    hurt[7] = None;
    let hurt = walked(&[(1, page(1)), (2, hurt), (3, page(3)), (4, Vec::new())]);
    assert!(hurt.doubt().is_some_and(|doubt| doubt.reason().contains("could not be read")));
    assert!(!asks_for_all(&hurt, NOW_S + 1) && asks_for_all(&hurt, NOW_S + DAY_S + 1));
}

#[test]
fn more_of_one_second_than_a_page_holds_are_all_found_though_a_page_comes_empty() {
    let second = history(1).remove(0).start_s;
    let list: Vec<ListEntry> =
        history(450).into_iter().map(|entry| ListEntry { start_s: second, ..entry }).collect();
    let mut progress = Progress::default();
    walk(&mut progress, &list, NOW_S, |ask| is_page_2(ask) && !is_below_the_first(ask), &list);
    assert_eq!(progress.activities(), 450);
    let mut progress = Progress::default();
    let is_first_page_2 = |ask: &Ask| matches!(ask, Ask::List { page: 2, before_s: None, .. });
    walk(&mut progress, &list, NOW_S, is_first_page_2, &list);
    assert_eq!(progress.activities(), 450);
}

#[test]
fn a_page_that_does_not_follow_those_before_it_makes_a_walk_that_is_not_whole() {
    let list = history(450);
    let page = |first: usize| News::Page(list.iter().skip(first).take(200).cloned().map(Some).collect());
    let ask = |scan: u32, before_s: Option<i64>, page: u32| Ask::List { scan, until_s: None, before_s, page };
    let below = |index: usize| Some(list[index].start_s + 1);
    let oldest = below(449);
    let walked = |asks: &[(Ask, usize)]| {
        let mut progress = Progress::default();
        asks.iter().for_each(|(ask, first)| progress.take(ask, page(*first), at(NOW_S)));
        assert!(progress.is_walked());
        progress.whole_at().is_some()
    };
    let begun = || vec![(ask(1, None, 1), 0), (ask(1, None, 2), 200)];
    let with = |asks: Vec<(Ask, usize)>| walked(&[begun(), asks].concat());
    assert!(with(vec![(ask(1, None, 3), 400), (ask(1, oldest, 1), 449)]));
    assert!(with(vec![(ask(1, below(399), 1), 399), (ask(1, oldest, 1), 449)]));
    // What came before is damaged: of the same walk,
    assert!(!with(vec![(ask(1, below(430), 1), 430), (ask(1, oldest, 1), 449)]));
    assert!(!with(vec![(ask(1, below(399), 2), 440), (ask(1, oldest, 1), 449)]));
    // and of a later one, whose first pages are the former one's.
    assert!(!with(vec![(ask(2, None, 3), 400), (ask(2, oldest, 1), 449)]));
    assert!(!with(vec![(ask(2, below(399), 1), 399), (ask(2, oldest, 1), 449)]));
}

#[test]
fn a_walk_of_the_newest_part_misses_only_what_lies_there_and_a_few_may_be_deleted() {
    let list = history(450);
    let mut progress = Progress::default();
    walk(&mut progress, &list, NOW_S, never, &list);
    for (missing, looks) in [(FEW, false), (FEW + 1, true)] {
        let until_s = Some(list[missing - 1].start_s);
        let mut progress = progress.clone();
        let ask = Ask::List { scan: 2, until_s, before_s: None, page: 1 };
        progress.take(&ask, News::Page(Vec::new()), at(NOW_S + 100));
        assert_eq!(progress.look().is_some(), looks, "{missing} are missing");
    }
}
