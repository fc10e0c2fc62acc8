//! An API that stumbles, and things that it cannot give.

use super::*;

#[test]
fn a_refused_thing_is_set_aside_alone_and_a_refused_list_is_the_account() {
    let mut world = World::settled(works(2), Bounds { concurrency: 1, ..BOUNDS });
    world.walked(1, 2);
    let list = world.get();
    world.answered();
    world.scheduler.refused(list.0, &list.1, "HTTP 403".to_string(), world.now_ms);
    let failed = failures(&mut world.scheduler);
    assert_eq!(failed.len(), 1);
    assert!(failed[0].starts_with("user-1: ") && failed[0].contains("HTTP 403"), "{failed:?}");
    let sent = world.get();
    world.answered();
    world.scheduler.refused(sent.0, &sent.1, "HTTP 403".to_string(), world.now_ms);
    let now_s = world.scheduler.clock.now_ms(world.now_ms).div_euclid(1_000);
    let effects = world.scheduler.effects();
    let [Effect::Parked { user_id, parked }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(
        (user_id.as_str(), parked.id.as_str(), parked.tries),
        ("user-0", endpoints::activity(&sent.1).unwrap().0, 1)
    );
    assert_eq!(parked.next_s, now_s + 86_400);
    let mut rest = Vec::new();
    while let Step::Get { account, ask } = world.next() {
        assert_ne!(ask, sent.1, "another day");
        world.land(&(account, ask.clone()), News::Whole);
        rest.push(account);
    }
    assert_eq!(rest, [0; 3]);
    assert_eq!(world.scheduler.account(0).parked_count(), 1);
}

#[test]
fn an_outage_probes_one_at_a_time_with_other_things_and_ever_longer_pauses() {
    let mut world = World::settled(works(3), BOUNDS);
    world.walked(3, 2);
    let flying = [world.get(), world.get(), world.get()];
    world.now_ms += 100;
    for sent in &flying {
        world.fail(sent, Trouble::OfTheApi);
    }
    assert_eq!(world.scheduler.outages, 1);
    let mut pauses = Vec::new();
    let mut probes = Vec::new();
    for _ in 0..5 {
        let before_ms = world.now_ms;
        assert!(matches!(world.wait(), Why::Outage(_)));
        pauses.push(world.now_ms - before_ms);
        let probe = world.get();
        assert_eq!(world.next(), Step::Await, "one at a time");
        world.fail(&probe, Trouble::OfTheApi);
        probes.push(probe);
    }
    assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000]);
    assert!(!flying.contains(&probes[0]), "who did not fail in it is asked first");
    assert!(parked(&mut world.scheduler).is_empty(), "and nobody is blamed");
    world.wait();
    let probe = world.get();
    world.land(&probe, News::Whole);
    for _ in 0..4 {
        world.get();
    }
}

#[test]
fn an_answer_to_what_was_sent_before_an_outage_does_not_end_it() {
    let mut world = World::settled(works(3), BOUNDS);
    world.walked(3, 2);
    let (early, failing) = (world.get(), world.get());
    let sent_ms = world.now_ms;
    world.now_ms += 1_000;
    world.fail(&failing, Trouble::OfTheApi);
    world.now_ms += 100;
    let at_s = BEGIN_S + 1;
    world.scheduler.answered(sent_ms, world.now_ms, Some(at_s), RateSeen::default());
    world.scheduler.landed(
        early.0,
        &early.1,
        News::Whole,
        Timestamp::from_second(at_s).unwrap(),
        world.now_ms,
    );
    assert!(matches!(world.wait(), Why::Outage(_)));
}

#[test]
fn an_outage_ends_the_run_when_patience_ends() {
    let mut world = World::settled(works(2), Bounds { patience_ms: 3_500, ..BOUNDS });
    world.walked(2, 2);
    let (first, other) = (world.get(), world.get());
    world.fail(&first, Trouble::OfTheApi);
    world.fail(&other, Trouble::OfTheApi);
    let begin_ms = world.now_ms;
    let mut failed = 2;
    loop {
        match world.next() {
            Step::WaitUntil { local_ms, .. } => world.now_ms = local_ms,
            Step::Get { account, ask } => {
                world.fail(&(account, ask), Trouble::OfTheApi);
                failed += 1;
            }
            Step::End => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(&world.scheduler.stop, Some(Stop::Outage { reason }) if reason == "HTTP 503"));
    assert_eq!(world.now_ms - begin_ms, 3_500, "the next probe would have come after it");
    assert_eq!(world.scheduler.retries, failed);
}

#[test]
fn one_thing_that_fails_for_ever_is_set_aside_after_three_times_and_costs_one_call_the_next_day() {
    let fails = |world: &mut World| {
        let mut calls = 0;
        let mut set_aside = Vec::new();
        loop {
            match world.next() {
                Step::Get { account, ask }
                    if endpoints::activity(&ask).is_some_and(|(id, _)| id == "100") && kind(&ask) == 1 =>
                {
                    calls += 1;
                    world.fail(&(account, ask), Trouble::OfOneThing);
                }
                Step::Get { account, ask } => world.land(&(account, ask), News::Whole),
                Step::WaitUntil { local_ms, .. } => world.now_ms = local_ms,
                Step::End => return (calls, set_aside),
                other => panic!("{other:?}"),
            }
            set_aside.extend(parked(&mut world.scheduler));
        }
    };
    for activities in [1, 2, 6] {
        let mut world = World::settled(works(1), Bounds { concurrency: 1, ..BOUNDS });
        world.walked(1, activities);
        assert_eq!(fails(&mut world), (3, vec![("100".to_string(), 1)]), "of {activities}");
    }
    // Set aside another day already: once is enough.
    let before = Parked {
        account_id: "0".to_string(),
        kind: "detail".to_string(),
        id: "100".to_string(),
        reason: String::new(),
        tries: 1,
        next_s: BEGIN_S,
    };
    let work = Work::new(account(0, i64::MAX), Progress::default(), u32::MAX, vec![before]);
    let mut world = World::settled(vec![work], Bounds { concurrency: 1, ..BOUNDS });
    world.walked(1, 6);
    assert_eq!(fails(&mut world), (1, vec![("100".to_string(), 2)]));
}

#[test]
fn what_was_set_aside_waits_for_its_day_and_is_struck_off_when_it_comes() {
    for (next_s, comes) in [(BEGIN_S, true), (BEGIN_S + 86_400, false)] {
        let before = Parked {
            account_id: "0".to_string(),
            kind: "detail".to_string(),
            id: "100".to_string(),
            reason: String::new(),
            tries: 1,
            next_s,
        };
        let work = Work::new(account(0, i64::MAX), Progress::default(), u32::MAX, vec![before]);
        let mut world = World::settled(vec![work], Bounds { concurrency: 1, ..BOUNDS });
        world.walked(1, 1);
        let mut kinds = Vec::new();
        while let Step::Get { account, ask } = world.next() {
            kinds.push(kind(&ask));
            world.land(&(account, ask), News::Whole);
        }
        assert_eq!(kinds.contains(&1), comes);
        let struck_off = world
            .scheduler
            .effects()
            .iter()
            .filter(|effect| matches!(effect, Effect::Unparked { .. }))
            .count();
        assert_eq!(struck_off, usize::from(comes));
    }
}

#[test]
fn what_is_asked_for_again_comes_first_and_what_failed_comes_last() {
    let mut world = World::settled(works(1), Bounds { concurrency: 1, ..BOUNDS });
    world.walked(1, 3);
    let first = world.get();
    world.answered();
    world.scheduler.again(first.0, &first.1);
    let again = world.get();
    assert_eq!(again, first);
    world.fail(&again, Trouble::OfOneThing);
    world.wait();
    let mut order = Vec::new();
    while let Step::Get { account, ask } = world.next() {
        order.push(ask.clone());
        world.land(&(account, ask), News::Whole);
    }
    assert_eq!(order.iter().position(|ask| *ask == first.1), Some(2));
}

#[test]
fn a_list_that_failed_once_is_no_account_to_give_up() {
    let mut world = World::settled(works(3), Bounds { concurrency: 1, ..BOUNDS });
    let failing = world.get();
    world.fail(&failing, Trouble::OfOneThing);
    world.wait();
    let other = world.get();
    assert_ne!(other.0, failing.0);
    world.land(&other, page(&[]));
    assert_eq!(failures(&mut world.scheduler), Vec::<String>::new());
    let accounts: Vec<usize> = (0..2)
        .map(|_| {
            let sent = world.get();
            world.land(&sent, page(&[]));
            sent.0
        })
        .collect();
    assert!(accounts.contains(&failing.0));
}

#[test]
fn patience_counts_from_the_beginning_of_an_outage() {
    let mut world = World::settled(works(2), Bounds { patience_ms: 60_000, ..BOUNDS });
    world.now_ms = 10_000_000;
    world.used = 0;
    let sent = world.get();
    world.fail(&sent, Trouble::OfTheApi);
    assert!(matches!(world.wait(), Why::Outage(_)));
    // What the server asks for is waited for, and no longer than there is patience.
    let sent = world.get();
    let mut flying = Vec::new();
    world.answered();
    let wait_ms = Some(70_000);
    let reason = || "HTTP 503".to_string();
    world.scheduler.trouble(sent.0, &sent.1, Trouble::OfTheApi, reason(), wait_ms, world.now_ms);
    flying.push(world.next());
    assert_eq!(flying, [Step::End]);
}

#[test]
fn what_has_its_turn_before_anything_else_of_an_account_is_what_can_be_at_fault_alone() {
    let mut world = World::settled(works(2), Bounds { concurrency: 1, ..BOUNDS });
    assert_eq!(world.scheduler.account(0).in_turn(), 1, "a page");
    world.scheduler.give_up(1, "somebody else".to_string());
    assert_eq!(world.scheduler.account(1).in_turn(), 0);
    world.walked(1, 3);
    let mut in_turn = Vec::new();
    while let Step::Get { account, ask } = world.next() {
        in_turn.push((kind(&ask), world.scheduler.account(0).in_turn()));
        world.land(&(account, ask), News::Whole);
    }
    // The first is under way: two more of its kind, or three of the next.
    assert_eq!(in_turn, [(1, 2), (1, 1), (1, 3), (2, 2), (2, 1), (2, 0)]);
}

/// One thing fails, and everything else is well but what `others` says fails as well. Returns how often it was asked for.
fn failing_among_others(
    trouble: Trouble,
    others: impl Fn(usize) -> bool,
) -> (usize, Vec<(String, u32)>, Step) {
    let mut world = World::settled(works(2), Bounds { concurrency: 1, patience_ms: 20_000, ..BOUNDS });
    let first = world.get();
    world.list(&first, &[("100", 1)]);
    let sent = world.get();
    world.land(&sent, page(&[]));
    let second = world.get();
    let ids: Vec<String> = (0..9).map(|n| format!("20{n}")).collect();
    let ids: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 5_000_000)).collect();
    world.list(&second, &ids);
    world.end_list(second.0, &ids);
    let (mut calls, mut set_aside) = (0, Vec::new());
    loop {
        match world.next() {
            Step::Get { account, ask }
                if endpoints::activity(&ask).unwrap().0 == "100" && kind(&ask) == 1 =>
            {
                calls += 1;
                world.fail(&(account, ask), trouble);
            }
            Step::Get { account, ask } if others(calls) => world.fail(&(account, ask), Trouble::OfTheApi),
            Step::Get { account, ask } => world.land(&(account, ask), News::Whole),
            Step::WaitUntil { local_ms, .. } => world.now_ms = local_ms,
            step => return (calls, set_aside, step),
        }
        set_aside.extend(parked(&mut world.scheduler));
    }
}

#[test]
fn what_fails_a_third_time_among_others_that_are_well_is_set_aside_and_in_an_outage_it_is_not() {
    let (calls, set_aside, _) = failing_among_others(Trouble::OfOneThing, |_| false);
    assert_eq!((calls, set_aside), (3, vec![("100".to_string(), 1)]));
    let (_, set_aside, _) = failing_among_others(Trouble::OfOneThing, |calls| calls >= 3);
    assert_eq!(set_aside, [], "nobody is to blame for what ends in an outage");
}

#[test]
fn a_failure_of_the_api_is_believed_of_one_thing_only_after_six_of_them() {
    let (calls, set_aside, _) = failing_among_others(Trouble::OfTheApi, |_| false);
    assert_eq!((calls, set_aside), (6, vec![("100".to_string(), 1)]));
}

#[test]
fn an_answer_to_what_was_sent_as_an_outage_began_or_later_ends_it() {
    for (sent_ms, is_over) in [(-1, false), (0, true), (1, true)] {
        let mut world = World::settled(works(3), BOUNDS);
        world.walked(3, 2);
        let (well, failing) = (world.get(), world.get());
        world.now_ms += 1_000;
        world.fail(&failing, Trouble::OfTheApi);
        let sent_ms = world.now_ms + sent_ms;
        world.now_ms += 10;
        let at_s = world.scheduler.answered(sent_ms, world.now_ms, None, RateSeen::default());
        let at = Timestamp::from_second(at_s).unwrap();
        world.scheduler.landed(well.0, &well.1, News::Whole, at, world.now_ms);
        assert_eq!(matches!(world.next(), Step::Get { .. }), is_over, "{sent_ms}");
    }
}

#[test]
fn what_fails_for_ever_and_is_left_alone_is_set_aside_once_a_witness_says_that_the_api_is_well() {
    let run = |is_down: bool| {
        let mut world = World::settled(works(1), Bounds { concurrency: 1, ..BOUNDS });
        let first = world.get();
        world.list(&first, &[("100", 5_000_000), ("101", 5_000_000)]);
        let sent = world.get();
        world.land(&sent, page(&[]));
        let (mut calls, mut others, mut set_aside) = (0, 0, Vec::new());
        loop {
            match world.next() {
                Step::Get { account, ask }
                    if endpoints::activity(&ask).unwrap().0 == "100" && kind(&ask) == 2 =>
                {
                    calls += 1;
                    world.fail(&(account, ask), Trouble::OfTheApi);
                }
                Step::Get { account, ask } if is_down && calls > 0 => {
                    others += 1;
                    world.fail(&(account, ask), Trouble::OfTheApi);
                }
                Step::Get { account, ask } => {
                    others += 1;
                    world.land(&(account, ask), News::Whole);
                }
                Step::WaitUntil { local_ms, .. } => world.now_ms = local_ms,
                step => {
                    assert_eq!(step, Step::End);
                    return (calls, others, set_aside, world.now_ms);
                }
            }
            set_aside.extend(parked(&mut world.scheduler));
        }
    };
    let (calls, others, set_aside, ms) = run(false);
    assert_eq!((calls, set_aside), (6, vec![("100".to_string(), 1)]));
    assert_eq!(others, 4, "two details, the other's streams, and the witness");
    assert!(ms < 120_000, "{ms}");
    let (calls, others, set_aside, _) = run(true);
    assert_eq!(set_aside, [], "an outage is waited for");
    assert!(calls + others < 40, "{calls} and {others} calls in an hour");
}

#[test]
fn what_a_walk_asks_for_by_its_id_may_be_set_aside_and_brings_the_walk_on_when_it_comes() {
    let at = Timestamp::from_second(BEGIN_S - 100_000).unwrap();
    let ids: Vec<String> = (0..9).map(|n| n.to_string()).collect();
    let ids: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 5_000_000)).collect();
    let list = |scan: u32, page: u32| Ask::List { scan, until_s: None, before_s: None, page };
    // A second walk of the whole list came across nothing, so one of them is looked for.
    let mut progress = Progress::default();
    for (scan, number, there) in [(1, 1, &ids[..]), (1, 2, &[]), (2, 1, &[])] {
        progress.take(&list(scan, number), page(there), at);
    }
    let wanted = Wanted { fresh_since: at, ..World::new(Vec::new(), BOUNDS).scheduler.wanted.clone() };
    let now = Timestamp::from_second(BEGIN_S).unwrap();
    let look = progress.next_page(&wanted, now).unwrap();
    let (_, id) = endpoints::place(&look).unwrap();
    for (later_s, is_due) in [(-1, true), (0, true), (1, false)] {
        let parked = Parked {
            account_id: "0".to_string(),
            kind: endpoints::DETAIL.kind.to_string(),
            id: id.to_string(),
            reason: String::new(),
            tries: 1,
            next_s: BEGIN_S + later_s,
        };
        let mut work = Work::new(account(0, i64::MAX), progress.clone(), 0, vec![parked]);
        work.look(&wanted, now);
        let ask = work.next(&wanted, now).unwrap();
        assert_eq!(ask == look, is_due, "{later_s}");
        if is_due {
            assert!(work.is_walking_by(&ask), "the walk goes on from it");
        }
    }
}
