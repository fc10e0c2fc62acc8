//! Answers that are not those that were asked for: of another athlete, or of another activity.

use std::collections::HashMap;
use std::sync::Mutex;

use longrun::testing::emulator::{Asked, Config, Twist};
use longrun::testing::synth::Options;
use serde_json::Value;

use crate::support::{Ended, Row, WIDE, World, rows};

const PEOPLE: Options = Options { seed: 67, users: 3, activities: 20 };

/// The lake's accounts as lines, changed and given to it again.
fn give(world: &World, change: impl FnOnce(&mut Vec<Value>)) {
    let exported = world.run(&["accounts", "export"]).expect(0).stdout;
    let mut lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let file = world.folder.path().join("tokens.jsonl");
    std::fs::write(&file, text).unwrap();
    world.run(&["accounts", "add", file.to_str().unwrap(), "--replace"]).expect(0);
}

/// Gives the first two accounts each other's tokens.
fn swap(lines: &mut [Value]) {
    for token in ["access_token", "refresh_token", "expires_at"] {
        let first = lines[0][token].take();
        let second = std::mem::replace(&mut lines[1][token], first);
        lines[0][token] = second;
    }
}

fn told(world: &World) -> Vec<(String, String)> {
    world.run(&["normalize"]).expect(0);
    let told = |row: &Row| (row["user_id"].clone(), row["source_id"].clone());
    let mut all: Vec<(String, String)> = rows(&world.lake_folder(), "activities").iter().map(told).collect();
    all.sort();
    all
}

fn mistaken(world: &World) -> Vec<String> {
    let status = world.run(&["status", "--json"]).expect(0).json();
    let accounts = status["accounts"].as_array().unwrap().iter();
    let mistaken = accounts.filter(|account| !account["mistaken_since"].is_null());
    mistaken.map(|account| account["user_id"].as_str().unwrap().to_string()).collect()
}

fn assert_both_are_named(ended: &Ended) {
    assert_eq!(ended.json()["mistaken"], 2, "{}", ended.stderr);
    for (user, other) in [("user-0000", "user-0001"), ("user-0001", "user-0000")] {
        let lines = ended.stderr.lines();
        let line = lines.into_iter().find(|line| line.starts_with(&format!("user {user}: "))).unwrap();
        assert!(
            line.contains("these tokens are of athlete") && line.contains(&format!("(user {other})")),
            "{line}"
        );
        assert!(line.contains("longrun accounts add --replace"), "{line}");
    }
    assert!(ended.stderr.contains("2 accounts have another athlete's tokens"), "{}", ended.stderr);
}

#[test]
fn nothing_is_kept_of_tokens_that_are_another_athletes_and_with_the_right_ones_all_is_there() {
    let (world, people) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    give(&world, |lines| swap(lines));
    assert_both_are_named(&world.fetch(&["--depth", "detail"]).expect(1));
    assert!(told(&world).iter().all(|(user, _)| user == "user-0002"));
    assert_eq!(mistaken(&world), ["user-0000", "user-0001"]);
    let status = world.run(&["status"]).expect(0).stderr;
    assert!(status.contains("user user-0001: the tokens have been another athlete's since"), "{status}");
    give(&world, |lines| swap(lines));
    assert_eq!(mistaken(&world), Vec::<String>::new(), "other tokens are looked at anew");
    world.fetch(&["--depth", "detail"]).expect(0);
    let mut right: Vec<(String, String)> = people
        .iter()
        .flat_map(|person| {
            person.workouts.iter().map(|workout| (person.user_id.clone(), workout.id.to_string()))
        })
        .collect();
    right.sort();
    assert_eq!(told(&world), right);
    // Also once their own are there, and it is found again that an athlete is who it was.
    give(&world, |lines| swap(lines));
    assert_both_are_named(&world.fetch(&["--max-age", "0s", "--sweep", "0s"]).expect(1));
    assert_eq!(told(&world), right);
}

#[test]
fn accounts_with_ids_of_somebody_elses_are_who_answers_first_named() {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    let exported = world.run(&["accounts", "export"]).expect(0).stdout;
    for user in ["user-0000", "user-0001", "user-0002"] {
        world.run(&["accounts", "remove", user]).expect(0);
    }
    let rename = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line["account_id"] = format!("of-{}", line["user_id"].as_str().unwrap()).into();
        format!("{line}\n")
    };
    let file = world.folder.path().join("renamed.jsonl");
    std::fs::write(&file, exported.lines().map(rename).collect::<String>()).unwrap();
    world.run(&["accounts", "add", file.to_str().unwrap()]).expect(0);
    world.fetch(&[]).expect(0);
    let right = told(&world);
    assert_eq!(right.len(), 60);
    give(&world, |lines| swap(lines));
    assert_both_are_named(&world.fetch(&["--max-age", "0s"]).expect(1));
    assert_eq!(told(&world), right);
}

#[test]
fn an_answer_about_another_activity_is_no_answer_and_no_row() {
    let people = Options { seed: 68, users: 1, activities: 8 };
    let (asked, times) = (Mutex::new(Vec::new()), Mutex::new(HashMap::<u64, u32>::new()));
    // The first activity is never answered, the second one is the second time.
    let script = move |request: &Asked| {
        let id: u64 =
            request.path_and_query.strip_prefix("/api/v3/activities/")?.split('?').next()?.parse().ok()?;
        let mut asked = asked.lock().unwrap();
        if !asked.contains(&id) {
            asked.push(id);
        }
        let mut times = times.lock().unwrap();
        let times = times.entry(id).or_default();
        *times += 1;
        let place = asked.iter().position(|other| *other == id)?;
        let body = format!(
            r#"{{"id":{},"name":"Of somebody else","sport_type":"Run","start_date":"2024-05-01T06:00:00Z",
                "elapsed_time":600,"moving_time":600,"distance":1000.0}}"#,
            id + 1
        );
        let is_wrong = place == 0 || (place == 1 && *times == 1);
        is_wrong.then(|| Twist { instead: Some((200, body.into_bytes())), ..Twist::default() })
    };
    let config = Config { limits: WIDE, script: Some(Box::new(script)), ..Config::default() };
    let (world, people) = World::of(people, config);
    let ended = world.fetch(&["--depth", "detail"]).expect(3);
    let summary = ended.json();
    assert_eq!((&summary["details"], &summary["parked"]), (&7.into(), &1.into()), "{}", ended.stderr);
    let said =
        ended.stderr.contains("asked for activity ") && ended.stderr.contains(", answered with activity ");
    assert!(said, "{}", ended.stderr);
    let status = world.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["accounts"][0]["fetched"]["detail"], 7);
    world.run(&["normalize"]).expect(3);
    let rows = rows(&world.lake_folder(), "activities");
    let mut ids: Vec<&str> = rows.iter().map(|row| row["source_id"].as_str()).collect();
    ids.sort_unstable();
    let mut right: Vec<String> = people[0].workouts.iter().map(|workout| workout.id.to_string()).collect();
    right.sort_unstable();
    assert_eq!(ids, right, "as the list has them");
    assert!(rows.iter().all(|row| row.get("title").is_none_or(|title| title != "Of somebody else")));
}
