//! A Strava that stumbles: what is waited for, what is set aside, what is asked again.

use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longrun::testing::emulator::{Asked, Config, Limits, Twist};
use longrun::testing::synth::Options;

use crate::support::{Ended, WIDE, World, rows};

const PEOPLE: Options = Options { seed: 61, users: 3, activities: 20 };

fn world(script: impl Fn(&Asked) -> Option<Twist> + Send + Sync + 'static) -> World {
    let config = Config { limits: WIDE, script: Some(Box::new(script)), ..Config::default() };
    World::of(PEOPLE, config).0
}

fn answered(world: &World, status: u16) -> usize {
    world.emulator.log().iter().filter(|request| request.status == status).count()
}

fn with(status: u16, body: &str) -> Option<Twist> {
    Some(Twist { instead: Some((status, body.as_bytes().to_vec())), ..Twist::default() })
}

fn header(name: &'static str, value: &str) -> (Cow<'static, str>, String) {
    (name.into(), value.to_string())
}

#[test]
fn one_wrong_date_costs_no_refused_call_in_this_run_nor_in_the_next() {
    for wrong in [1, 2, 9] {
        for shift_s in [7_200, -7_200] {
            let script = move |asked: &Asked| {
                let date_shift_s = if asked.number == wrong { shift_s } else { 0 };
                Some(Twist { date_shift_s, ..Twist::default() })
            };
            let limits = Limits { read_short: 25, short_window_s: 1, ..WIDE };
            let config = Config { limits, script: Some(Box::new(script)), ..Config::default() };
            let (world, _) = World::of(PEOPLE, config);
            let summary = world.fetch(&["--depth", "detail"]).expect(0).json();
            assert_eq!((&summary["details"], &summary["over_the_limit"]), (&60.into(), &0.into()));
            world.fetch(&["--max-age", "0s"]).expect(0);
            assert_eq!(answered(&world, 429), 0, "answer {wrong} dated {shift_s} s off");
        }
    }
}

#[test]
fn headers_that_say_nothing_lock_nobody_out() {
    for limit in ["0,0", ""] {
        let headers = vec![header("x-ratelimit-limit", limit), header("x-readratelimit-limit", limit)];
        let world = world(move |_| Some(Twist { headers: headers.clone(), ..Twist::default() }));
        // Early in a window much of the default limit is kept for live traffic that nobody has seen yet.
        let all = ["--depth", "detail", "--reserve", "0"];
        let summary = world.fetch(&all).expect(0).json();
        assert_eq!(summary["details"], 60);
        world.fetch(&[&all[..], &["--max-age", "0s"]].concat()).expect(0);
    }
}

#[test]
fn a_limit_that_is_told_with_another_status_blames_nobody() {
    let limits = Limits { short_window_s: 2, ..WIDE };
    let (world, _) = World::of(PEOPLE, Config { limits, ..Config::default() });
    let body = r#"{"message":"Rate Limit Exceeded","errors":[{"resource":"Application","field":"rate limit","code":"exceeded"}]}"#;
    world.emulator.plant("/activities/", 403, body);
    let summary = world.fetch(&["--depth", "detail"]).expect(0).json();
    assert_eq!((&summary["details"], &summary["over_the_limit"]), (&60.into(), &1.into()));
}

/// From the first detail on, the API is down for a while.
fn down_for(duration: Duration, trouble: Twist) -> impl Fn(&Asked) -> Option<Twist> {
    let begin = Mutex::new(None);
    move |asked: &Asked| {
        let mut begin = begin.lock().unwrap();
        if begin.is_none() && !asked.path_and_query.contains("/activities/") {
            return None;
        }
        let begin = *begin.get_or_insert(asked.elapsed);
        (asked.elapsed < begin + duration).then(|| trouble.clone())
    }
}

#[test]
fn an_outage_is_waited_through_and_costs_almost_nothing() {
    for status in [500, 503, 597] {
        let twist = with(status, "<html>maintenance</html>").unwrap();
        let world = world(down_for(Duration::from_secs(4), twist));
        let ended = world.fetch(&["--depth", "detail"]).expect(0);
        let summary = ended.json();
        assert_eq!((&summary["details"], &summary["parked"]), (&60.into(), &0.into()), "{}", ended.stderr);
        let failed = answered(&world, status);
        // Four in flight, then probes after 0.5, 1, 2, 4 s.
        assert!(failed <= 9, "HTTP {status}: {failed} calls were spent on the outage");
        assert!(ended.stderr.contains("the API does not answer well (HTTP"), "{}", ended.stderr);
    }
}

#[test]
fn patience_ends_and_the_way_out_is_said() {
    let world = world(|_| with(503, "busy"));
    let ended = world.fetch(&["--patience", "1s"]).expect(75);
    assert!(ended.stderr.contains("longer than --patience (HTTP 503)"), "{}", ended.stderr);
    assert!(world.emulator.log().len() <= 4);
}

#[test]
fn the_server_is_left_alone_for_as_long_as_it_asks() {
    let twist = Twist { headers: vec![header("retry-after", "2")], ..with(503, "").unwrap() };
    let world = world(down_for(Duration::from_secs(1), twist));
    let ended = world.fetch(&["--depth", "detail", "--concurrency", "1"]).expect(0);
    assert!(ended.json()["seconds"].as_f64().unwrap() >= 2.0);
    assert_eq!(answered(&world, 503), 1);
}

#[test]
fn a_token_endpoint_that_is_down_is_waited_for() {
    let script = |asked: &Asked| {
        (asked.path_and_query == "/oauth/token" && asked.elapsed < Duration::from_secs(3))
            .then(|| with(503, "").unwrap())
    };
    let world = world(script);
    world.emulator.revoke_access();
    let summary = world.fetch(&[]).expect(0).json();
    assert_eq!((&summary["activities"], &summary["token_refreshes"]), (&60.into(), &3.into()));
}

#[test]
fn a_refusal_of_one_thing_is_of_that_thing_alone() {
    for (status, calls) in [(401, 2), (402, 1), (403, 1), (500, 3)] {
        let refused = Mutex::new(None);
        let script = move |asked: &Asked| {
            let id = asked.path_and_query.strip_prefix("/api/v3/activities/")?.split(['?', '/']).next()?;
            let mut refused = refused.lock().unwrap();
            let refused = refused.get_or_insert_with(|| id.to_string());
            (refused == id).then(|| with(status, "").unwrap())
        };
        let world = world(script);
        let ended = world.fetch(&["--depth", "detail"]).expect(3);
        let summary = ended.json();
        assert_eq!((&summary["details"], &summary["parked"]), (&59.into(), &1.into()), "HTTP {status}");
        assert!(ended.stderr.contains("set aside until"), "{}", ended.stderr);
        assert!(answered(&world, status) <= calls, "HTTP {status}: {} calls", answered(&world, status));
        let again = world.fetch(&["--depth", "detail"]).expect(0).json();
        assert_eq!(again["requests"], 0, "it is tried again another day");
    }
}

#[test]
fn what_an_athlete_edited_is_fetched_anew_and_kudos_are_not() {
    let options = Options { seed: 63, users: 3, activities: 60 };
    let (world, people) = World::of(options, Config { limits: WIDE, ..Config::default() });
    let streams = |workout: &longrun::testing::synth::Workout| {
        longrun::testing::synth::strava::streams(&people[0], workout).is_some()
    };
    let id = people[0].workouts.iter().rev().find(|w| streams(w)).unwrap().id.to_string();
    world.fetch(&["--depth", "streams"]).expect(0);
    let again = || world.fetch(&["--depth", "streams", "--max-age", "0s"]).expect(0).json();
    assert_eq!(again()["requests"], 3, "a page each");
    world
        .emulator
        .edit(&id, serde_json::json!({"kudos_count": 99, "comment_count": 3, "total_photo_count": 2}));
    assert_eq!(again()["requests"], 3);
    world.emulator.edit(&id, serde_json::json!({"name": "Renamed"}));
    let summary = again();
    assert_eq!((&summary["details"], &summary["streams"]), (&1.into(), &1.into()));
    assert_eq!(again()["requests"], 3, "and once is enough");
}

#[test]
fn a_list_costs_a_call_for_200_and_an_empty_page() {
    for (activities, first) in [(399, 3), (400, 4)] {
        let options = Options { seed: 62, users: 1, activities };
        let (world, _) = World::of(options, Config { limits: WIDE, ..Config::default() });
        assert_eq!(
            world.fetch(&[]).expect(0).json()["requests"],
            first,
            "a full page before the end is made sure of"
        );
        let again = world.fetch(&["--whole-list", "--max-age", "0s"]).expect(0).json();
        assert_eq!(again["requests"], 3, "and once is enough");
    }
}

#[cfg(unix)]
#[test]
fn a_refresh_in_flight_is_stored_when_the_run_is_stopped() {
    for signal in ["-TERM", "-INT"] {
        let (asked, was_asked) = std::sync::mpsc::channel();
        let asked = Mutex::new(asked);
        let script = move |request: &Asked| {
            if request.path_and_query != "/oauth/token" {
                return None;
            }
            // Once nobody waits for it any more, this is nobody's business.
            let _ = asked.lock().unwrap().send(());
            Some(Twist { delay: Duration::from_millis(700), ..Twist::default() })
        };
        let world = world(script);
        world.emulator.revoke_access();
        let child = world.command(&["fetch"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
        was_asked.recv_timeout(Duration::from_secs(20)).unwrap();
        let process = child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &process]).status().unwrap().success());
        let ended = Ended::of(child.wait_with_output().unwrap()).expect(75);
        assert!(ended.stderr.contains("stopping: waiting for the requests"), "{}", ended.stderr);
        // The refresh token from before has ended: only the one that came while the run ended works.
        assert_eq!(world.fetch(&[]).expect(0).json()["activities"], 60);
    }
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_at_the_limit_provokes_nothing() {
    let killed = std::sync::Arc::new(AtomicUsize::new(0));
    let process = killed.clone();
    let script = move |asked: &Asked| {
        if asked.number == 38 {
            let process = process.load(Ordering::SeqCst).to_string();
            let _ = std::process::Command::new("kill").args(["-9", &process]).status();
        }
        Some(Twist { delay: Duration::from_millis(30), ..Twist::default() })
    };
    let limits = Limits { read_short: 40, short_window_s: 3_600, ..WIDE };
    let config = Config { limits, script: Some(Box::new(script)), ..Config::default() };
    let (world, _) = World::of(PEOPLE, config);
    let args = ["fetch", "--depth", "detail", "--reserve", "0", "--concurrency", "8", "--no-wait"];
    let mut child = world.command(&args).stderr(std::process::Stdio::null()).spawn().unwrap();
    killed.store(child.id() as usize, Ordering::SeqCst);
    assert_eq!(child.wait().unwrap().code(), None, "it was killed");
    Ended::of(world.command(&args).output().unwrap()).expect(75);
    assert_eq!(answered(&world, 429), 0);
    // The emulator counts what comes, also from who is killed before the answer.
    assert!(world.emulator.log().len() >= 38);
}

#[test]
fn tokens_that_another_process_stored_are_used_before_an_account_is_given_up() {
    let slow = |asked: &Asked| {
        let is_detail = asked.path_and_query.contains("/activities/");
        is_detail.then(|| Twist { delay: Duration::from_millis(100), ..Twist::default() })
    };
    let world = world(slow);
    let args = ["fetch", "--depth", "detail", "--concurrency", "1", "--json"];
    let mut child = world
        .command(&args)
        .env_remove("LONGRUN_STRAVA_CLIENT_SECRET")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while world.emulator.log().len() < 8 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    // New ones are added beside it; then those that it began with end.
    let lines: String =
        world.emulator.accounts().iter().map(|a| serde_json::to_string(a).unwrap() + "\n").collect();
    let file = world.folder.path().join("newer.jsonl");
    std::fs::write(&file, lines).unwrap();
    world.run(&["accounts", "add", file.to_str().unwrap()]).expect(0);
    world.emulator.revoke_older_access();
    let ended = Ended::of(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(ended.json()["details"], 60);
}

#[test]
fn a_page_of_something_before_strava_is_no_answer_about_an_activity() {
    for (status, body) in [
        (404, "<html>nginx</html>"),
        (410, "gone"),
        (200, "null"),
        (200, r#"{"message":"busy","errors":[]}"#),
    ] {
        let world =
            world(move |asked| match asked.path_and_query.contains("/activities/") && asked.number < 12 {
                true => with(status, body),
                false => None,
            });
        let summary = world.fetch(&["--depth", "streams"]).expect(0).json();
        assert_eq!(
            (&summary["details"], &summary["failures"]),
            (&60.into(), &serde_json::json!([])),
            "{body}"
        );
        let again = world.fetch(&["--depth", "streams", "--max-age", "0s"]).expect(0).json();
        assert_eq!(again["details"], 0, "{body}");
        world.run(&["normalize"]);
        let rows = rows(&world.lake_folder(), "activities");
        assert!(rows.len() == 60 && rows.iter().all(|row| !row.contains_key("gone_at")), "{body}");
        assert_eq!(rows.iter().filter(|row| row.contains_key("detail_at")).count(), 60, "{body}");
    }
}
