//! Tokens that were removed, replaced or repeated by the other side are nowhere to be found.

use std::sync::{Arc, OnceLock};

use longrun::testing::emulator::{Asked, Config, Twist};
use longrun::testing::synth::Options;

use crate::support::{Ended, WIDE, World, unpacked};

const PEOPLE: Options = Options { seed: 41, users: 3, activities: 30 };

/// Which of these texts stand in some file of the lake.
fn found<'a>(world: &World, texts: &'a [String]) -> Vec<&'a str> {
    let files = unpacked(&world.lake_folder());
    let is_there =
        |text: &&str| files.values().any(|bytes| bytes.windows(text.len()).any(|w| w == text.as_bytes()));
    texts.iter().map(String::as_str).filter(is_there).collect()
}

/// The tokens that a lake has of a user, or of everybody.
fn tokens(world: &World, user: &str) -> Vec<String> {
    let exported = world.run(&["accounts", "export"]).expect(0).stdout;
    let accounts = exported.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let theirs = accounts.filter(|account| account["user_id"].as_str().unwrap().starts_with(user));
    let both = |account: serde_json::Value| {
        ["access_token", "refresh_token"].map(|name| account[name].as_str().unwrap().to_string())
    };
    theirs.flat_map(both).collect()
}

#[test]
fn tokens_that_are_removed_or_replaced_leave_no_byte_in_the_lake() {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    let removed = tokens(&world, "user-0001");
    world.run(&["accounts", "remove", "user-0001"]).expect(0);
    assert_eq!(found(&world, &removed), [""; 0]);
    let replaced = tokens(&world, "user-");
    assert_eq!(found(&world, &replaced).len(), 4);
    world.emulator.revoke_access();
    world.fetch(&[]).expect(0);
    assert_eq!(found(&world, &replaced), [""; 0]);
    // A process that has the database open keeps the log of its writes.
    let other = rusqlite::Connection::open(world.lake_folder().join("state.db")).unwrap();
    other.pragma_update(None, "journal_mode", "WAL").unwrap();
    let file = world.folder.path().join("wal.jsonl");
    let line = r#"{"user_id":"wal","account_id":"7","access_token":"a-in-the-log","refresh_token":"r-in-the-log","expires_at":1}"#;
    std::fs::write(&file, line).unwrap();
    world.run(&["accounts", "add", file.to_str().unwrap()]).expect(0);
    let removed = tokens(&world, "wal");
    assert_eq!(found(&world, &removed).len(), 2);
    world.run(&["accounts", "remove", "wal"]).expect(0);
    assert_eq!(found(&world, &removed), [""; 0]);
}

#[test]
fn what_an_earlier_longrun_left_of_removed_tokens_goes_with_the_next_command_that_writes() {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    let removed = tokens(&world, "user-0001");
    let db = rusqlite::Connection::open(world.lake_folder().join("state.db")).unwrap();
    // As it was then.
    db.execute("ALTER TABLE accounts DROP COLUMN revoked_at_s", []).unwrap();
    db.pragma_update(None, "secure_delete", false).unwrap();
    db.execute("DELETE FROM accounts WHERE user_id = 'user-0001'", []).unwrap();
    db.pragma_update(None, "user_version", 11).unwrap();
    drop(db);
    world.run(&["accounts", "list"]).expect(0);
    assert_eq!(found(&world, &removed).len(), 2, "who only reads changes nothing");
    world.fetch(&[]).expect(0);
    assert_eq!(found(&world, &removed), [""; 0]);
}

#[test]
fn a_secret_that_the_other_side_repeats_is_neither_shown_nor_kept() {
    let known: Arc<OnceLock<Vec<String>>> = Arc::default();
    let told = known.clone();
    let script = move |request: &Asked| {
        let secrets = told.get()?.join(" ");
        let path = request.path_and_query;
        let (status, message) = match path.split('?').next()?.rsplit('/').next()? {
            "token" => (400, format!("bad refresh_token: {secrets}")),
            // Cut where it is too long, which leaves no piece of one either.
            "streams" => (403, format!("{}{secrets}", "-".repeat(180))),
            "activities" => return None,
            id if id.ends_with(['0', '2', '4', '6', '8']) => (404, format!("Record Not Found: {secrets}")),
            _ => (403, format!("Bearer {secrets} may not")),
        };
        let errors = serde_json::json!([{ "resource": secrets, "field": "refresh_token", "code": secrets }]);
        let body = serde_json::json!({ "message": message, "errors": errors }).to_string();
        Some(Twist { instead: Some((status, body.into_bytes())), ..Twist::default() })
    };
    let config = Config { limits: WIDE, script: Some(Box::new(script)), ..Config::default() };
    let (world, _) = World::of(Options { users: 1, ..PEOPLE }, config);
    let secrets = [tokens(&world, "user-"), vec!["emulated-secret".to_string()]].concat();
    known.set(secrets.clone()).unwrap();
    let log = world.lake_folder().join("log.jsonl");
    let run = |args: &[&str]| {
        let key = "S0VZS0VZS0VZS0VZS0VZS0VZS0VZS0VZS0VZS0VZS0U=";
        Ended::of(world.command(args).env("LONGRUN_KEY", key).output().unwrap())
    };
    run(&["accounts", "rekey"]).expect(0);
    let fetch = ["fetch", "--depth", "streams", "--per-second", "10000", "--log", log.to_str().unwrap()];
    let refused = run(&fetch).expect(3);
    assert!(
        refused.stderr.contains("Bearer … … … may not (… … … refresh_token … … …)"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("not there"), "{}", refused.stderr);
    world.emulator.revoke_access();
    let ended = run(&[&fetch[..], &["--max-age", "0s"]].concat()).expect(1);
    assert!(ended.stderr.contains("(HTTP 400: bad refresh_token: … … … (…"), "{}", ended.stderr);
    let status = run(&["status", "--json"]).expect(0);
    assert!(status.stdout.contains("Bearer … … … may not"), "{}", status.stdout);
    run(&["normalize"]);
    assert_eq!(found(&world, &secrets), [""; 0]);
    for ended in [refused, ended, status] {
        let shown = ended.stdout + &ended.stderr;
        assert!(!shown.contains("emulated-"), "{shown}");
    }
}
