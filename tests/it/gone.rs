//! What an athlete deleted or hid: its row says so, and workouts and sums leave it out until it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use longrun::testing::emulator::{Asked, Config, Twist};
use longrun::testing::synth::Options;

use crate::support::{Row, WIDE, World, rows, timeless};

const PEOPLE: Options = Options { seed: 91, users: 2, activities: 30 };

fn settle(world: &World, dedupe: &[&str]) {
    world.run(&["normalize"]).expect(0);
    world.run(&[&["dedupe"], dedupe].concat()).expect(0);
}

fn sweep(world: &World) {
    world.fetch(&["--depth", "detail", "--max-age", "0s", "--sweep", "0s"]).expect(0);
}

/// The rows that say that they are gone, as their ids and why.
fn gone(world: &World) -> Vec<(String, String)> {
    let is_gone = |row: Row| Some((row["source_id"].clone(), row.get("gone_why")?.clone()));
    rows(&world.lake_folder(), "activities").into_iter().filter_map(is_gone).collect()
}

/// What the rows tell, whenever it was fetched.
fn told(world: &World) -> Vec<Row> {
    let mut rows = timeless(rows(&world.lake_folder(), "activities"));
    for row in &mut rows {
        row.remove("earlier");
    }
    rows
}

fn workouts(world: &World) -> usize {
    rows(&world.lake_folder(), "golden").len()
}

fn summed(world: &World, args: &[&str]) -> u64 {
    let lines = world.run(&[&["stats", "--json"], args].concat()).expect(0).json();
    lines.as_array().unwrap().iter().map(|line| line["workouts"].as_u64().unwrap()).sum()
}

#[test]
fn what_was_deleted_or_hidden_is_left_out_of_workouts_and_sums_until_it_is_back() {
    let (world, people) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    world.fetch(&["--depth", "detail"]).expect(0);
    settle(&world, &[]);
    let before = told(&world);
    assert_eq!((workouts(&world), summed(&world, &[])), (60, 60));
    let (deleted, hidden) = (people[0].workouts[7].id.to_string(), people[1].workouts[11].id.to_string());

    // Private is nothing to hide from who was granted everything.
    world.emulator.set_private(&hidden, true);
    world.emulator.delete(&deleted);
    sweep(&world);
    settle(&world, &[]);
    assert_eq!(gone(&world), [(deleted.clone(), "not_listed".to_string())]);
    assert_eq!(
        (workouts(&world), summed(&world, &[]), summed(&world, &["--told", "--with-gone"])),
        (59, 59, 60)
    );

    world.emulator.grant(&people[1].user_id, "read,activity:read");
    world.add_accounts();
    sweep(&world);
    settle(&world, &[]);
    let mut both =
        vec![(deleted.clone(), "not_listed".to_string()), (hidden.clone(), "deleted_or_private".to_string())];
    both.sort();
    let mut found = gone(&world);
    found.sort();
    assert_eq!(found, both);
    assert_eq!((workouts(&world), summed(&world, &[])), (58, 58));
    let status = world.run(&["status", "--json"]).expect(0).json();
    let all: u64 = status["accounts"].as_array().unwrap().iter().map(|a| a["gone"].as_u64().unwrap()).sum();
    assert_eq!(all, 2, "status and rows are of one mind");
    settle(&world, &["--with-gone"]);
    assert_eq!(workouts(&world), 60);
    world.run(&["report"]).expect(0);

    world.emulator.restore(&deleted);
    world.emulator.set_private(&hidden, false);
    sweep(&world);
    settle(&world, &[]);
    assert_eq!(gone(&world), []);
    assert!(told(&world) == before, "as if it had never been away");
    assert_eq!(workouts(&world), 60);
}

#[test]
fn what_is_not_found_by_its_id_is_gone_until_a_list_has_it() {
    let (world, people) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    world.fetch(&["--depth", "detail"]).expect(0);
    let id = people[0].workouts[3].id.to_string();
    world.emulator.delete(&id);
    // Times are whole seconds: what was fetched in this one counts as before.
    let now = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2)).to_string();
    let again = ["--depth", "detail", "--max-age", "24h", "--refetch-before", &now, "--id", &id];
    assert_eq!(world.fetch(&again).expect(0).json()["gone"], 1);
    settle(&world, &[]);
    assert_eq!((gone(&world), workouts(&world)), (vec![(id.clone(), "not_found".to_string())], 59));
    assert_eq!(world.fetch(&again).expect(0).json()["requests"], 0, "it is not asked for again");
    world.emulator.restore(&id);
    world.fetch(&["--max-age", "0s"]).expect(0);
    settle(&world, &[]);
    assert_eq!((gone(&world), workouts(&world)), (vec![], 60));
}

#[test]
fn what_a_clock_that_was_ahead_dated_is_older_than_what_came_after_it() {
    let is_ahead = Arc::new(AtomicBool::new(true));
    let ahead = is_ahead.clone();
    let script = move |_: &Asked| {
        let date_shift_s = if ahead.load(Ordering::Relaxed) { 3 * 86_400 } else { 0 };
        Some(Twist { date_shift_s, ..Twist::default() })
    };
    let config = Config { limits: WIDE, script: Some(Box::new(script)), ..Config::default() };
    let (world, people) = World::of(PEOPLE, config);
    world.fetch(&["--depth", "detail"]).expect(0);
    settle(&world, &[]);
    is_ahead.store(false, Ordering::Relaxed);

    let (edited, deleted) = (people[0].workouts[7].id.to_string(), people[1].workouts[11].id.to_string());
    world.emulator.delete(&deleted);
    for name in ["Renamed", "And again"] {
        world.emulator.edit(&edited, serde_json::json!({"name": name}));
        sweep(&world);
        settle(&world, &[]);
        let rows = rows(&world.lake_folder(), "activities");
        let row = rows.iter().find(|row| row["source_id"] == edited).unwrap();
        assert_eq!(row["title"], name);
        assert_eq!(gone(&world), [(deleted.clone(), "not_listed".to_string())]);
        assert_eq!(workouts(&world), 59);
    }
    world.emulator.restore(&deleted);
    sweep(&world);
    settle(&world, &[]);
    assert_eq!((gone(&world), workouts(&world)), (vec![], 60));
}

#[test]
fn what_was_not_granted_is_stored_shown_and_said_with_the_way_out() {
    let (world, people) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    world.emulator.grant(&people[0].user_id, "read,activity:read");
    world.emulator.grant(&people[1].user_id, "read");
    world.add_accounts();
    let listed = world.run(&["accounts", "list"]).expect(0);
    assert!(listed.stdout.contains("read,activity:read\n"), "{}", listed.stdout);
    assert!(listed.stderr.contains("did not grant activity:read_all"), "{}", listed.stderr);
    let ended = world.fetch(&[]).expect(1);
    assert_eq!(ended.json()["activities"], 30);
    assert!(ended.stderr.contains("activity:read_permission missing"), "{}", ended.stderr);
    assert!(ended.stderr.contains("connect again with"), "{}", ended.stderr);
    assert_eq!(ended.json()["token_refreshes"], 0, "new tokens would grant no more");
    let status = world.run(&["status"]).expect(0);
    assert!(status.stderr.contains("the athlete granted no activities"), "{}", status.stderr);
    // What is not said again stays as it was.
    let file = world.folder.path().join("plain.jsonl");
    let mut account = serde_json::to_value(&world.emulator.accounts()[0]).unwrap();
    account.as_object_mut().unwrap().remove("scope");
    std::fs::write(&file, account.to_string()).unwrap();
    world.run(&["accounts", "add", file.to_str().unwrap()]).expect(0);
    assert_eq!(world.run(&["accounts", "list", "--json"]).expect(0).json()[0]["scope"], "read,activity:read");
}

#[test]
fn an_empty_page_in_the_middle_of_a_list_makes_nothing_gone_and_hides_nothing() {
    let options = Options { seed: 92, users: 2, activities: 450 };
    let empty = |asked: &Asked| {
        let is_page_2 = asked.path_and_query.ends_with("&page=2");
        is_page_2.then(|| Twist { instead: Some((200, b"[]".to_vec())), ..Twist::default() })
    };
    let config = Config { limits: WIDE, script: Some(Box::new(empty)), ..Config::default() };
    let (world, _) = World::of(options, config);
    assert_eq!(world.fetch(&[]).expect(0).json()["activities"], 900);
    let swept = world.fetch(&["--whole-list", "--max-age", "0s"]).expect(0).json();
    assert_eq!((&swept["activities"], &swept["calls"]["detail"]), (&900.into(), &serde_json::Value::Null));
    world.run(&["normalize"]).expect(0);
    assert_eq!((rows(&world.lake_folder(), "activities").len(), gone(&world)), (900, vec![]));
}

#[test]
fn a_list_that_leaves_out_what_is_there_by_its_id_is_in_doubt_and_that_is_said() {
    let options = Options { seed: 93, users: 2, activities: 250 };
    let lies = Arc::new(AtomicBool::new(false));
    let is_lying = lies.clone();
    let short = move |asked: &Asked| {
        let is_list = asked.path_and_query.contains("/athlete/activities");
        let is_cut =
            is_list && (asked.path_and_query.contains("before=") || asked.path_and_query.contains("&page="));
        (is_cut && is_lying.load(Ordering::SeqCst))
            .then(|| Twist { instead: Some((200, b"[]".to_vec())), ..Twist::default() })
    };
    let config = Config { limits: WIDE, script: Some(Box::new(short)), ..Config::default() };
    let (world, _) = World::of(options, config);
    world.fetch(&[]).expect(0);
    let sweep = ["--whole-list", "--max-age", "0s"];
    lies.store(true, Ordering::SeqCst);
    let ended = world.fetch(&sweep).expect(3);
    assert!(ended.stderr.contains("is there and was not on it; nothing counts as gone"), "{}", ended.stderr);
    assert_eq!(
        (&ended.json()["activities"], ended.json()["doubts"].as_array().unwrap().len()),
        (&500.into(), 2)
    );
    let status = world.run(&["status"]).expect(0);
    assert!(status.stderr.contains("Strava left activities out of the list"), "{}", status.stderr);
    world.run(&["normalize"]).expect(0);
    assert_eq!(gone(&world), []);
    lies.store(false, Ordering::SeqCst);
    assert_eq!(world.fetch(&sweep).expect(0).json()["doubts"], serde_json::json!([]));
    // Who cannot be asked for what is missing does not hold the account up.
    lies.store(true, Ordering::SeqCst);
    world.emulator.plant("/activities/", 403, "");
    let ended = world.fetch(&[&sweep[..], &["--concurrency", "1"]].concat()).expect(3);
    assert!(ended.stderr.contains("set aside until"), "{}", ended.stderr);
    assert_eq!(world.run(&["status", "--json"]).expect(0).json()["accounts"][0]["gone"], 0);
}
