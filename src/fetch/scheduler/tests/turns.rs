//! Whose turn it is, and for what is waited.

use super::*;

#[test]
fn lists_come_before_details_before_streams_and_who_was_served_least_comes_next() {
    let mut world = World::settled(works(2), Bounds { concurrency: 1, ..BOUNDS });
    world.walked(2, 3);
    assert_eq!((world.scheduler.activities(), world.scheduler.left()), (6, 12));
    let mut asked = Vec::new();
    loop {
        match world.next() {
            Step::Get { account, ask } => {
                world.land(&(account, ask.clone()), News::Whole);
                asked.push((kind(&ask), account));
            }
            Step::End => break,
            other => panic!("{other:?}"),
        }
    }
    let turns: Vec<(usize, usize)> =
        [1, 2].into_iter().flat_map(|kind| (0..6).map(move |n| (kind, n % 2))).collect();
    assert_eq!(asked, turns);
    assert_eq!(world.scheduler.left(), 0);
}

#[test]
fn who_ranks_higher_comes_first_and_an_unfinished_list_before_a_new_one() {
    let ranked = |(number, rank)| Work::new(account(number, i64::MAX), Progress::default(), rank, Vec::new());
    let mut world =
        World::settled([(0, 7), (1, 5), (2, 6)].map(ranked).into(), Bounds { concurrency: 1, ..BOUNDS });
    let mut order = Vec::new();
    for _ in 0..3 {
        let sent = world.get();
        order.push(sent.0);
        world.list(&sent, &[("7", 1)]);
        let last = world.get();
        assert_eq!(last.0, sent.0);
        world.land(&last, page(&[]));
    }
    assert_eq!(order, [1, 2, 0]);
}

#[test]
fn until_answers_agree_on_the_time_one_request_goes_out_at_a_time_and_then_as_many_as_may() {
    let mut world = World::new(works(9), BOUNDS);
    for _ in 0..3 {
        let sent = world.get();
        assert_eq!(world.next(), Step::Await);
        world.land(&sent, page(&[]));
    }
    let flying: Vec<Sent> = (0..4).map(|_| world.get()).collect();
    assert_eq!(world.next(), Step::Await);
    assert_eq!(
        flying.iter().map(|(account, _)| account).collect::<HashSet<_>>().len(),
        4,
        "of one list one page"
    );
    world.land(&flying[0], page(&[]));
    world.get();
}

#[test]
fn a_run_ends_after_as_many_calls_as_it_may_make_and_when_they_are_back() {
    let mut world = World::settled(works(9), Bounds { max_requests: Some(5), ..BOUNDS });
    let flying = [world.get(), world.get()];
    assert_eq!(world.next(), Step::Await);
    for sent in flying {
        assert_eq!(world.scheduler.stop, Some(Stop::MaxRequests));
        assert_eq!(world.next(), Step::Await);
        world.land(&sent, page(&[]));
    }
    assert_eq!(world.next(), Step::End);
    assert_eq!(world.scheduler.requests, 5);
}

#[test]
fn a_spent_window_is_waited_for_only_as_long_as_somebody_wants_to_wait() {
    for (max_wait_ms, waits) in [(WINDOW_MS, true), (WINDOW_MS + 2_000, true), (WINDOW_MS - 5_000, false)] {
        let mut world = World::settled(works(9), Bounds { max_wait_ms: Some(max_wait_ms), ..BOUNDS });
        world.limit = 4;
        let sent = world.get();
        world.land(&sent, page(&[]));
        match world.next() {
            Step::WaitUntil { why: Why::Window("read"), local_ms } => {
                assert!(waits);
                assert!((WINDOW_MS..WINDOW_MS + 2_500).contains(&local_ms), "{local_ms}");
                world.now_ms = local_ms - 1;
                assert!(matches!(world.next(), Step::WaitUntil { .. }));
                world.now_ms = local_ms;
                world.used = 0;
                world.get();
            }
            Step::End => {
                assert!(!waits);
                assert!(
                    matches!(&world.scheduler.stop, Some(Stop::Quota { window, .. }) if window == "read")
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn after_a_refusal_for_the_rate_nothing_goes_out_before_the_server_wants_it_and_then_one_alone() {
    let mut world = World::settled(works(3), BOUNDS);
    let (first, second) = (world.get(), world.get());
    world.answered();
    world.scheduler.over_the_limit(first.0, &first.1, Some(WINDOW_MS + 60_000), world.now_ms);
    world.answered();
    world.scheduler.over_the_limit(second.0, &second.1, Some(1_000), world.now_ms);
    assert_eq!(world.scheduler.retries, 2);
    let mut waits = 0;
    while world.now_ms < WINDOW_MS + 60_000 {
        let why = world.wait();
        assert!(matches!(why, Why::Window(_)), "{why:?}");
        waits += 1;
    }
    assert!(waits <= 2, "for the window, and then for what is left of the time: {waits}");
    world.used = 0;
    assert!(world.now_ms < WINDOW_MS + 63_000);
    let mut asked = vec![world.get()];
    assert_eq!(world.next(), Step::Await, "one goes out until an answer says how much is left");
    let sent = asked[0].clone();
    world.land(&sent, page(&[]));
    asked.extend([world.get(), world.get()]);
    assert!(asked.contains(&first) && asked.contains(&second), "what was refused is asked for again");
}

#[test]
fn a_date_that_cannot_be_right_is_replaced_by_when_the_answer_was_under_way() {
    let mut world = World::settled(works(8), BOUNDS);
    world.now_ms = 10_000;
    let now_s = world.scheduler.clock.now_ms(10_000).div_euclid(1_000);
    for (shift_s, is_taken) in
        [(0, true), (2, true), (3, false), (-2, true), (-3, false), (7_200, false), (-7_200, false)]
    {
        world.get();
        let date_s = now_s + shift_s;
        let at_s = world.scheduler.answered(10_000, 10_000, Some(date_s), RateSeen::default());
        if is_taken {
            assert_eq!(at_s, date_s);
        } else {
            assert!((now_s..=now_s + 2).contains(&at_s), "{shift_s}: {}", at_s - now_s);
        }
    }
}

#[test]
fn what_comes_with_a_date_that_cannot_be_right_counts_for_the_latest_time_that_was_told() {
    let mut world = World::settled(works(8), BOUNDS);
    world.now_ms = 10_000;
    let now_s = world.scheduler.clock.now_ms(10_000).div_euclid(1_000);
    let mut told = |date_s: i64| {
        world.get();
        world.scheduler.answered(10_000, 10_000, Some(date_s), RateSeen::default())
    };
    assert_eq!(told(now_s + 2), now_s + 2);
    assert_eq!(told(now_s), now_s, "one that was given before");
    assert_eq!(told(now_s + 90_000), now_s + 2);
}

#[test]
fn whoever_wants_it_to_stop_waits_for_what_is_in_flight_and_no_longer() {
    let mut world = World::settled(works(3), BOUNDS);
    let sent = world.get();
    world.scheduler.stop = Some(Stop::Interrupted);
    assert_eq!(world.next(), Step::Await);
    world.scheduler.unanswered();
    world.scheduler.again(sent.0, &sent.1);
    assert_eq!(world.next(), Step::End);
}

#[test]
fn a_list_that_is_fresh_enough_is_not_walked_again() {
    let mut progress = Progress::default();
    let at = Timestamp::from_second(BEGIN_S - 600).unwrap();
    let ask = |page| Ask::List { scan: 1, until_s: None, before_s: None, page };
    progress.take(&ask(1), page(&[("7", 86_400)]), at);
    progress.take(&ask(2), page(&[]), at);
    let work = Work::new(account(0, i64::MAX), progress, u32::MAX, Vec::new());
    let mut world = World::settled(vec![work], Bounds { concurrency: 1, ..BOUNDS });
    assert_eq!((world.scheduler.activities(), world.scheduler.left()), (1, 2));
    assert_eq!(world.scheduler.account(0).parked_count(), 0);
    assert_eq!(kind(&world.get().1), 1);
}

#[test]
fn an_account_is_given_up_once() {
    let mut world = World::settled(works(1), BOUNDS);
    world.scheduler.give_up(0, "one reason".to_string());
    world.scheduler.give_up(0, "another".to_string());
    assert_eq!(failures(&mut world.scheduler), ["user-0: one reason"]);
    assert_eq!((world.next(), world.scheduler.left()), (Step::End, 0));
}

#[test]
fn a_list_that_is_not_known_yet_is_thought_to_owe_what_its_depth_asks_for() {
    let mut progress = Progress::default();
    let at = Timestamp::from_second(BEGIN_S).unwrap();
    let ask = Ask::List { scan: 1, until_s: None, before_s: None, page: 1 };
    progress.take(&ask, page(&[("7", 100), ("8", 200)]), at);
    let work = Work::new(account(0, i64::MAX), progress, u32::MAX, Vec::new());
    let wanted = |depth| Wanted::new(depth, at, SignedDuration::from_hours(1), None);
    let left = [Depth::List, Depth::Detail, Depth::Streams].map(|depth| work.left(&wanted(depth)));
    let endpoints =
        |depth| endpoints::ALL.iter().skip(1).filter(|endpoint| endpoint.depth <= depth).count() as u64;
    let expected = [Depth::List, Depth::Detail, Depth::Streams].map(|depth| 2 + 2 * endpoints(depth));
    assert_eq!(left, expected);
    assert!(left[0] < left[1] && left[1] < left[2]);
}

#[test]
fn a_clock_that_is_found_wrong_takes_its_windows_with_it() {
    // By this machine, which is an hour behind, another window is running.
    let behind_ms = 3_600_000;
    let begin = Timestamp::from_second(BEGIN_S).unwrap();
    let mut world = World::new(works(6), BOUNDS);
    world.scheduler.clock = ServerClock::guess(begin.as_millisecond() - behind_ms);
    world.limit = 3;
    for _ in 0..2 {
        let sent = world.get();
        world.land(&sent, page(&[]));
    }
    // The third says nothing of the counts: the two before it are known from where the clock was wrong.
    let sent = world.get();
    let at_s = world.scheduler.answered(0, 0, Some(BEGIN_S), RateSeen::default());
    world.scheduler.landed(sent.0, &sent.1, page(&[]), Timestamp::from_second(at_s).unwrap(), 0);
    assert!(world.scheduler.clock.is_settled());
    assert!(matches!(world.next(), Step::WaitUntil { local_ms, .. } if local_ms <= WINDOW_MS + 3_000));
}

#[test]
fn the_first_answer_of_a_run_lands_with_its_own_date() {
    // Dates are cut to whole seconds, so the last run held the server to be behind.
    for ahead_ms in [-900, 0, 900] {
        let mut world = World::new(works(1), BOUNDS);
        world.scheduler.clock = ServerClock::guess(BEGIN_S * 1_000 + ahead_ms);
        world.get();
        let at_s = world.scheduler.answered(250, 300, Some(BEGIN_S), RateSeen::default());
        assert_eq!(at_s, BEGIN_S, "{ahead_ms}");
    }
}

#[test]
fn an_answer_has_seen_what_was_called_until_it_was_sent_at_the_latest_that_this_can_have_been() {
    let mut world = World::settled(works(4), BOUNDS);
    world.scheduler.budget = Budget::new(900, 86_400, Reserve::Learned(vec![0.05; 24]));
    world.now_ms = 1_900;
    for _ in 0..4 {
        let sent = world.get();
        world.land(&sent, page(&[]));
    }
    // Dates are cut to seconds, and most were 0.9 s behind those that came first.
    let Scheduler { clock, budget, .. } = &world.scheduler;
    assert_eq!((clock.now_ms(1_900), clock.lead_ms()), (BEGIN_S * 1_000 + 1_000, 900));
    let kept = |after_ms: i64| budget.kept(clock.now_ms(1_900) + after_ms)[0];
    assert_eq!(kept(0), 98, "nothing was called since: room for 45 to come");
    assert_eq!(kept(900), 99, "and for one in nearly a second that nobody saw");
}

#[test]
fn what_was_owed_by_a_clock_that_was_ahead_is_asked_for_all_the_same() {
    let mut progress = Progress::default();
    let at = |s: i64| Timestamp::from_second(BEGIN_S + s).unwrap();
    let ask = |page| Ask::List { scan: 1, until_s: None, before_s: None, page };
    progress.take(&ask(1), page(&[("7", 3_600)]), at(-60));
    progress.take(&ask(2), page(&[]), at(-60));
    for index in 0..endpoints::OF_ACTIVITIES {
        let ask = endpoints::of_activities(index).ask("7", BEGIN_S - 3_600);
        progress.take(&ask, News::Nothing, at(-60));
    }
    let wanted = Wanted::new(Depth::Streams, at(0), SignedDuration::from_hours(24), None);
    let mut work = Work::new(account(0, i64::MAX), progress, u32::MAX, Vec::new());
    work.look(&wanted, at(4 * 3_600));
    assert!(work.turn(0).is_some(), "three hours are over");
    assert!(work.next(&wanted, at(0)).is_some());
}
