//! Tokens that end, are refused, or do not come.

use super::*;

#[test]
fn a_refused_token_is_refreshed_once_and_what_is_refused_with_a_new_one_is_refused_itself() {
    let mut world = World::settled(works(1), Bounds { concurrency: 1, ..BOUNDS });
    world.walked(1, 1);
    let sent = world.get();
    world.answered();
    world.scheduler.token_refused(sent.0, &sent.1, "HTTP 401".to_string(), world.now_ms);
    assert_eq!(world.next(), Step::Refresh { account: 0 });
    assert_eq!(world.next(), Step::Await);
    world.scheduler.refreshed(0, account(0, i64::MAX));
    assert_eq!(world.get(), sent, "the same is asked for again");
    world.answered();
    world.scheduler.token_refused(sent.0, &sent.1, "HTTP 401".to_string(), world.now_ms);
    assert_eq!(parked(&mut world.scheduler).len(), 1);
    let streams = world.get();
    assert_eq!(kind(&streams.1), 2, "the account goes on");
    world.land(&streams, News::Whole);
    assert_eq!(world.next(), Step::End);
}

#[test]
fn a_list_that_is_refused_with_a_new_token_too_is_an_athlete_who_took_the_access_back() {
    let mut world = World::settled(works(1), Bounds { concurrency: 1, ..BOUNDS });
    for is_last in [false, true] {
        let sent = world.get();
        world.answered();
        world.scheduler.token_refused(sent.0, &sent.1, "HTTP 401".to_string(), world.now_ms);
        if !is_last {
            assert_eq!(world.next(), Step::Refresh { account: 0 });
            world.scheduler.refreshed(0, account(0, i64::MAX));
        }
    }
    let effects = world.scheduler.effects();
    assert_eq!(effects[0], Effect::Refused { account: 0 });
    assert!(matches!(&effects[1], Effect::Failed(failure) if failure.reason.contains("consent again")));
    assert_eq!(world.next(), Step::End);
}

#[test]
fn tokens_that_another_process_stored_and_the_api_refuses_are_no_revocation() {
    let mut world = World::settled(works(1), Bounds { concurrency: 1, ..BOUNDS });
    let sent = world.get();
    world.answered();
    world.scheduler.token_refused(sent.0, &sent.1, "HTTP 401".to_string(), world.now_ms);
    assert_eq!(world.next(), Step::Refresh { account: 0 });
    world.scheduler.refreshed_elsewhere(0, account(0, i64::MAX));
    let sent = world.get();
    world.answered();
    world.scheduler.token_refused(sent.0, &sent.1, "HTTP 401".to_string(), world.now_ms);
    assert!(matches!(&world.scheduler.effects()[..], [Effect::Failed(_)]));
}

#[test]
fn without_the_application_a_refused_token_is_nobodys_revocation() {
    let mut world = World::settled(works(1), Bounds { concurrency: 1, has_app: false, ..BOUNDS });
    let sent = world.get();
    world.answered();
    world.scheduler.token_refused(sent.0, &sent.1, "HTTP 401".to_string(), world.now_ms);
    assert!(matches!(&world.scheduler.effects()[..], [Effect::Failed(_)]));
    let ends = |expires_at| Work::new(account(0, expires_at), Progress::default(), u32::MAX, Vec::new());
    let mut world = World::settled(vec![ends(BEGIN_S)], Bounds { concurrency: 1, has_app: false, ..BOUNDS });
    assert_eq!(world.next(), Step::End);
    assert!(failures(&mut world.scheduler)[0].contains("LONGRUN_STRAVA_CLIENT_ID"));
}

#[test]
fn a_refused_refresh_token_is_the_accounts_trouble_and_no_revocation() {
    for (reason, effects) in [("RefreshToken refresh_token invalid", 2), ("Application client_id invalid", 1)]
    {
        let ended = Work::new(account(0, BEGIN_S), Progress::default(), u32::MAX, Vec::new());
        let mut world = World::settled(vec![ended], BOUNDS);
        assert_eq!(world.next(), Step::Refresh { account: 0 });
        world.scheduler.refresh_refused(0, reason);
        let told = world.scheduler.effects();
        assert_eq!(told.len(), effects);
        assert!(!told.contains(&Effect::Refused { account: 0 }), "it may have been renewed elsewhere");
        assert_eq!(world.next(), Step::End);
    }
}

#[test]
fn a_token_is_renewed_a_minute_before_it_ends_and_the_others_go_on_meanwhile() {
    let ends = |n: usize, in_s: i64| {
        Work::new(account(n, BEGIN_S + in_s), Progress::default(), n as u32 + 1, Vec::new())
    };
    // The clock is up to two seconds behind until it has settled.
    let mut world = World::settled(vec![ends(0, 55), ends(1, 65)], BOUNDS);
    assert_eq!(world.next(), Step::Refresh { account: 0 });
    let other = world.get();
    assert_eq!(other.0, 1);
    world.scheduler.refreshed(0, account(0, BEGIN_S + 55));
    let again = world.get();
    assert_eq!(again.0, 0, "one that was just given is used, however soon it ends");
    world.land(&again, page(&[("7", 1)]));
    let again = world.get();
    assert_eq!(again.0, 0, "and to its end, since another one would end as soon");
    world.land(&again, page(&[]));
    world.now_ms += 60_000;
    assert_eq!(world.next(), Step::Refresh { account: 0 });
}

#[test]
fn an_outage_of_the_token_endpoint_is_waited_through_and_frees_everybody_at_once() {
    let ended = |n| Work::new(account(n, BEGIN_S), Progress::default(), u32::MAX, Vec::new());
    let mut world = World::settled((0..3).map(ended).collect(), Bounds { patience_ms: 60_000, ..BOUNDS });
    assert_eq!(world.next(), Step::Refresh { account: 0 });
    world.scheduler.refresh_trouble(0, "HTTP 503".to_string(), None, world.now_ms);
    assert_eq!(world.scheduler.outages, 1);
    assert!(matches!(world.wait(), Why::Outage(reason) if reason == "HTTP 503"));
    let Step::Refresh { account: second } = world.next() else { panic!() };
    world.scheduler.refresh_trouble(second, "HTTP 503".to_string(), None, world.now_ms);
    assert_eq!((world.scheduler.outages, world.scheduler.retries), (1, 2));
    world.wait();
    let Step::Refresh { account: third } = world.next() else { panic!() };
    world.scheduler.refreshed(third, account(third, i64::MAX));
    let mut next = Vec::new();
    for _ in 0..3 {
        next.push(match world.next() {
            Step::Refresh { account } | Step::Get { account, .. } => account,
            other => panic!("{other:?}"),
        });
    }
    next.sort_unstable();
    assert_eq!(next, [0, 1, 2], "nobody waits any more");
}

/// Account 0 cannot renew its token, and account 1 does so for every call. When account 0 is given up, and why.
fn given_up(between_ms: i64, rounds: usize) -> Option<(i64, String)> {
    let ended = |n: usize| Work::new(account(n, BEGIN_S), Progress::default(), n as u32 + 1, Vec::new());
    let mut world = World::settled((0..2).map(ended).collect(), Bounds { concurrency: 1, ..BOUNDS });
    world.now_ms += 86_400_000;
    let begin_ms = world.now_ms;
    for _ in 0..rounds {
        match world.next() {
            Step::Refresh { account: 0 } => {
                world.scheduler.refresh_trouble(0, "HTTP 500".to_string(), None, world.now_ms);
            }
            Step::Refresh { account: n } => {
                world.scheduler.refreshed(n, account(n, BEGIN_S));
                world.now_ms += between_ms;
            }
            Step::Get { account, ask } => {
                world.scheduler.unanswered();
                world.scheduler.again(account, &ask);
            }
            Step::WaitUntil { local_ms, .. } => world.now_ms = local_ms,
            other => panic!("{other:?}"),
        }
        if let Some(failure) = failures(&mut world.scheduler).pop() {
            return Some((world.now_ms - begin_ms, failure));
        }
    }
    None
}

#[test]
fn a_token_that_fails_for_minutes_while_another_is_renewed_is_given_up_and_not_for_a_few_bad_answers() {
    assert_eq!(given_up(0, 200), None);
    let (after_ms, why) = given_up(20_000, 200).unwrap();
    assert!((120_000..180_000).contains(&after_ms), "{after_ms}");
    assert!(why.contains("for 2 minutes, while others could: HTTP 500"), "{why}");
    let (_, why) = given_up(3_600_000, 200).unwrap();
    assert!(why.contains("for 120 minutes"), "three times at least: {why}");
}

#[test]
fn tokens_are_asked_for_again_at_the_time_of_the_next_probe() {
    let ended = |n: usize| Work::new(account(n, BEGIN_S), Progress::default(), n as u32 + 1, Vec::new());
    let mut world = World::settled((0..2).map(ended).collect(), BOUNDS);
    assert_eq!(world.next(), Step::Refresh { account: 0 });
    world.scheduler.refresh_trouble(0, "HTTP 500".to_string(), Some(500), world.now_ms);
    world.now_ms += 500;
    assert_eq!(world.next(), Step::Refresh { account: 1 }, "whoever has not failed, in turn");
}

#[test]
fn what_another_process_stored_is_used_and_nothing_is_asked_twice_for_it() {
    let ended = Work::new(account(0, BEGIN_S), Progress::default(), u32::MAX, Vec::new());
    let mut world = World::settled(vec![ended], BOUNDS);
    assert_eq!(world.next(), Step::Refresh { account: 0 });
    world.scheduler.refreshed_elsewhere(0, account(0, i64::MAX));
    let sent = world.get();
    assert_eq!(sent.0, 0);
    world.answered();
    let newer = Account { access_token: Secret::new("newer"), ..account(0, i64::MAX) };
    world.scheduler.again(sent.0, &sent.1);
    world.scheduler.adopt(0, newer.clone());
    assert_eq!(world.scheduler.account(0).account, newer);
    assert_eq!(world.get(), sent);
}

#[test]
fn several_refusals_of_one_token_are_one_refresh_and_blame_no_thing() {
    let mut world = World::settled(works(1), BOUNDS);
    world.walked(1, 3);
    let flying = [world.get(), world.get(), world.get()];
    for sent in &flying {
        world.answered();
        world.scheduler.token_refused(sent.0, &sent.1, "HTTP 401".to_string(), world.now_ms);
        // Also a thing that was refused before, while new tokens are on their way.
        world.scheduler.again(sent.0, &sent.1);
    }
    assert_eq!(world.next(), Step::Refresh { account: 0 });
    assert!(world.scheduler.account(0).awaits_refresh());
    assert_eq!(world.scheduler.effects(), []);
    world.scheduler.refreshed(0, account(0, i64::MAX));
    assert!(!world.scheduler.account(0).awaits_refresh());
    // A new one that is refused has ended as well, whatever was thought of it.
    let sent = world.get();
    world.scheduler.account(0);
    world.answered();
    world.scheduler.again(sent.0, &sent.1);
    world.scheduler.adopt(0, account(0, i64::MAX));
    world.scheduler.change(0, |work, _| work.distrust());
    assert!(world.scheduler.account(0).awaits_refresh());
    assert_eq!(world.next(), Step::Refresh { account: 0 });
}

#[test]
fn a_token_is_renewed_once_less_than_a_minute_is_left_of_it() {
    let work = Work::new(account(0, BEGIN_S + 60), Progress::default(), u32::MAX, Vec::new());
    assert!(!work.needs_refresh(BEGIN_S) && work.needs_refresh(BEGIN_S + 1));
}

#[test]
fn tokens_are_asked_for_in_turn_while_their_endpoint_is_down_and_not_before_it_may_be_probed() {
    let ended = |n| Work::new(account(n, BEGIN_S), Progress::default(), u32::MAX, Vec::new());
    let mut world = World::settled((0..3).map(ended).collect(), Bounds { patience_ms: 60_000, ..BOUNDS });
    let mut asked = Vec::new();
    for _ in 0..6 {
        match world.next() {
            Step::Refresh { account } => {
                asked.push(account);
                // The others come to stand in line while one is under way.
                world.scheduler.refresh_trouble(account, "HTTP 503".to_string(), None, world.now_ms);
            }
            Step::WaitUntil { local_ms, .. } => {
                world.now_ms = local_ms - 1;
                assert!(matches!(world.next(), Step::WaitUntil { .. }));
                world.now_ms = local_ms;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(asked, [0, 0, 1], "who came first, and then another one each time");
}

#[test]
fn while_a_token_is_awaited_and_nothing_else_is_there_it_is_awaited() {
    let ended = |n| Work::new(account(n, BEGIN_S), Progress::default(), u32::MAX, Vec::new());
    let mut world = World::settled(vec![ended(0), ended(1)], BOUNDS);
    let (Step::Refresh { account: first }, Step::Refresh { .. }) = (world.next(), world.next()) else {
        panic!()
    };
    world.scheduler.refresh_trouble(first, "HTTP 503".to_string(), None, world.now_ms);
    assert_eq!(world.next(), Step::Await);
}

#[test]
fn a_token_endpoint_that_takes_long_holds_up_nobody_whose_tokens_are_sound() {
    let mut works = works(6);
    works[0] = Work::new(account(0, 0), Progress::default(), 0, Vec::new());
    let mut world = World::new(works, Bounds { concurrency: 2, ..BOUNDS });
    assert_eq!(world.next(), Step::Refresh { account: 0 });
    // Before the clock has settled one at a time, and then two.
    for index in 1..4 {
        let sent = world.get();
        assert_eq!((sent.0, world.next()), (index, Step::Await));
        world.land(&sent, page(&[]));
    }
    let sent = [world.get(), world.get()];
    assert_eq!((sent[0].0, sent[1].0, world.next()), (4, 5, Step::Await));
    sent.iter().for_each(|sent| world.land(sent, page(&[])));
    assert_eq!(world.next(), Step::Await);
    world.scheduler.refreshed(0, account(0, i64::MAX));
    assert_eq!(world.get().0, 0);
}

#[test]
fn no_more_tokens_are_asked_for_at_a_time_than_calls() {
    let works = (0..3).map(|n| Work::new(account(n, 0), Progress::default(), 0, Vec::new())).collect();
    let mut world = World::new(works, Bounds { concurrency: 2, ..BOUNDS });
    for index in 0..2 {
        assert_eq!(world.next(), Step::Refresh { account: index });
    }
    assert_eq!(world.next(), Step::Await);
    world.scheduler.refreshed(0, account(0, i64::MAX));
    assert_eq!(world.get().0, 0);
}

#[test]
fn tokens_that_are_kept_are_in_use_and_another_athletes_answers_end_the_account() {
    let mut world = World::settled(works(1), BOUNDS);
    world.scheduler.keep(0, account(0, 77));
    assert_eq!(world.scheduler.account(0).account.expires_at, 77);
    world.scheduler.keep(0, account(0, i64::MAX));
    let sent = world.get();
    world.answered();
    world.scheduler.mistaken(sent.0, &sent.1, "they are of athlete 9".to_string(), world.now_ms);
    assert_eq!(failures(&mut world.scheduler), ["user-0: they are of athlete 9"]);
    assert_eq!(world.next(), Step::End);
}
