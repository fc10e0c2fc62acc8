//! Tokens: refreshed, rotated, refused, and never shown.

use longrun::testing::emulator::{Asked, Config};
use longrun::testing::synth::Options;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Ended, Place, WIDE, World, files, rows, unpacked};

const PEOPLE: Options = Options { seed: 41, users: 3, activities: 30 };

/// No file but the accounts store, and nothing that was printed, holds a token or the secret.
fn assert_nothing_leaked(world: &World, ended: &[&Ended]) {
    let is_secret = |text: &[u8]| {
        ["emulated-access", "emulated-refresh", "emulated-secret", "Bearer"]
            .iter()
            .find(|secret| text.windows(secret.len()).any(|w| w == secret.as_bytes()))
            .copied()
    };
    for (path, bytes) in unpacked(&world.lake_folder()) {
        let is_store = path.file_name().unwrap().to_string_lossy().starts_with("state.db");
        assert_eq!(is_secret(&bytes).is_some(), is_store, "{}: {:?}", path.display(), is_secret(&bytes));
    }
    for ended in ended {
        assert_eq!(is_secret(ended.stdout.as_bytes()), None, "{}", ended.stdout);
        assert_eq!(is_secret(ended.stderr.as_bytes()), None, "{}", ended.stderr);
    }
}

#[test]
fn a_token_that_ends_is_refreshed_and_the_rotated_one_is_kept() {
    // Every token is within its last minute, so each one that is stored has to be refreshed before it is used.
    let config = Config { limits: WIDE, token_lifetime: Duration::from_secs(30), ..Config::default() };
    let (world, _) = World::of(PEOPLE, config);
    let first = world.fetch(&[]).expect(0);
    let (refreshes, requests) = (first.json()["token_refreshes"].clone(), first.json()["requests"].clone());
    assert!(refreshes.as_u64().unwrap() >= 3);
    assert!(refreshes.as_u64() < requests.as_u64(), "{refreshes} refreshes for {requests} calls");
    // The refresh tokens from the beginning have ended long since: only the kept ones work.
    let second = world.fetch(&["--max-age", "0s"]).expect(0);
    let normalized = world.run(&["normalize"]).expect(0);
    assert_nothing_leaked(&world, &[&first, &second, &normalized]);
}

#[test]
fn an_access_token_that_is_refused_is_refreshed_once() {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    world.emulator.revoke_access();
    let ended = world.fetch(&["--depth", "detail"]).expect(0);
    assert_eq!(ended.json()["token_refreshes"], 3);
    assert_eq!(ended.json()["activities"], 90);
    assert_nothing_leaked(&world, &[&ended]);
}

#[test]
fn an_athlete_who_disconnected_is_named_with_the_way_out_and_the_others_go_on() {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    world.emulator.revoke_access();
    world.emulator.revoke_refresh();
    let ended = world.fetch(&[]).expect(1);
    for user in ["user-0000", "user-0001", "user-0002"] {
        assert!(
            ended
                .stderr
                .contains(&format!("user {user}: strava refuses the refresh token (HTTP 400: Bad Request"))
        );
        assert!(
            ended.stderr.contains(&format!("`longrun connect strava --user {user}`")),
            "{}",
            ended.stderr
        );
    }
    assert_nothing_leaked(&world, &[&ended]);

    // Without the application's secret there is no refresh, and that is said, too.
    let mut command = world.command(&["fetch"]);
    let ended = Ended::of(command.env_remove("LONGRUN_STRAVA_CLIENT_SECRET").output().unwrap()).expect(1);
    assert!(ended.stderr.contains("HTTP 401: Authorization Error"), "{}", ended.stderr);
    assert_nothing_leaked(&world, &[&ended]);
}

#[test]
fn a_wrong_secret_of_the_application_is_said_once_and_blames_no_account() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let script = move |request: &Asked| {
        counted.fetch_add(usize::from(request.path_and_query == "/oauth/token"), Ordering::Relaxed);
        None
    };
    // Every token is within its last minute.
    let token_lifetime = Duration::from_secs(30);
    let config = Config { limits: WIDE, token_lifetime, script: Some(Box::new(script)), ..Config::default() };
    let (world, _) = World::of(Options { users: 12, ..PEOPLE }, config);
    for name in ["LONGRUN_STRAVA_CLIENT_ID", "LONGRUN_STRAVA_CLIENT_SECRET"] {
        let before = asked.load(Ordering::Relaxed);
        let mut command = world.command(&["fetch"]);
        let ended = Ended::of(command.env(name, "wrong").output().unwrap()).expect(1);
        let calls = asked.load(Ordering::Relaxed) - before;
        assert!((1..=4).contains(&calls), "{calls} calls, where those in flight were enough");
        assert_eq!(
            ended.stderr.matches("strava does not know the application").count(),
            1,
            "{}",
            ended.stderr
        );
        assert!(
            !ended.stderr.contains("user user-") && !ended.stderr.contains("consent"),
            "{}",
            ended.stderr
        );
        assert_nothing_leaked(&world, &[&ended]);
        let status = world.run(&["status", "--json"]).expect(0).json();
        let accounts = status["accounts"].as_array().unwrap();
        assert!(accounts.iter().all(|account| account["refused_since"].is_null()));
    }
    world.fetch(&[]).expect(0);
}

#[test]
fn one_athlete_with_a_bad_token_does_not_stop_the_others() {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    let line = r#"{"user_id":"gone","account_id":"7","access_token":"x","refresh_token":"y","expires_at":9999999999}"#;
    let file = world.folder.path().join("gone.jsonl");
    std::fs::write(&file, line).unwrap();
    world.run(&["accounts", "add", file.to_str().unwrap()]).expect(0);
    let ended = world.fetch(&[]).expect(1);
    assert_eq!(ended.json()["activities"], 90);
    assert_eq!(ended.json()["failures"][0]["user_id"], "gone");
}

#[test]
fn accounts_go_in_and_out_in_bulk_and_are_listed_without_their_tokens() {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    let list = world.run(&["accounts", "list"]).expect(0);
    assert!(list.stdout.contains("user-0002"));
    assert_nothing_leaked(&world, &[&list, &world.run(&["accounts", "list", "--json"])]);
    let exported = world.run(&["accounts", "export"]).expect(0).stdout;
    assert_eq!(exported.lines().count(), 3);
    world.run(&["accounts", "remove", "user-0001"]).expect(0);
    world.run(&["accounts", "remove", "user-0001"]).expect(2);
    assert_eq!(world.run(&["accounts", "export"]).stdout.lines().count(), 2);
    let file = world.folder.path().join("export.jsonl");
    std::fs::write(&file, &exported).unwrap();
    world.run(&["accounts", "add", file.to_str().unwrap()]).expect(0);
    assert_eq!(world.run(&["accounts", "export"]).stdout, exported);
    // A line that is not one names itself, and takes none of the others along.
    std::fs::write(&file, exported.replace("user-0000", "somebody") + "{}").unwrap();
    let ended = world.run(&["accounts", "add", file.to_str().unwrap()]).expect(2);
    assert!(ended.stderr.contains("line 4: missing field"), "{}", ended.stderr);
    std::fs::write(&file, exported.replace("user-0000", "somebody")).unwrap();
    let ended = world.run(&["accounts", "add", file.to_str().unwrap()]).expect(2);
    assert!(ended.stderr.contains("belongs to user user-0000"), "{}", ended.stderr);
}

#[test]
fn an_athlete_connects_through_the_browser() {
    use std::io::{BufRead, BufReader, Read, Write};
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    world.run(&["accounts", "remove", "user-0000"]).expect(0);
    let mut child = world
        .command(&["connect", "strava", "--user", "newcomer"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut page = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut page).unwrap();
    // What a browser does: it asks for the page, and goes where that sends it.
    let get = |url: &str| {
        let (host, path) = url.trim().strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let sent_on = get(&page);
    let location = sent_on.lines().find_map(|l| l.strip_prefix("location: ")).unwrap().to_string();
    let (callback, _) = location.split_once('?').unwrap();
    assert!(get(&format!("{callback}favicon.ico")).contains("404"));
    assert!(get(&format!("{callback}?state=forged&code=stolen")).contains("404"));
    assert!(get(&location).contains("Connected"));
    let ended = Ended::of(child.wait_with_output().unwrap()).expect(0);
    assert!(ended.stderr.contains("as user newcomer"), "{}", ended.stderr);
    assert_nothing_leaked(&world, &[&ended]);
    world.fetch(&["--user", "newcomer"]).expect(0);
}

fn lines(accounts: &[(&str, &str, i64)]) -> String {
    let line = |(user, token, end_s): &(&str, &str, i64)| {
        format!(
            r#"{{"user_id":"{user}","account_id":"7","access_token":"a-{token}","refresh_token":"r-{token}","expires_at":{end_s}}}"#
        ) + "\n"
    };
    accounts.iter().map(line).collect()
}

#[test]
fn older_tokens_never_take_the_place_of_newer_ones() {
    let place = Place::new();
    let add = |text: &str, more: &[&str]| {
        let file = place.file("tokens.jsonl", text);
        place.run(&[&["accounts", "add", &file], more].concat())
    };
    let stored = || place.run(&["accounts", "export"]).expect(0).stdout;
    add(&lines(&[("u", "new", 2_000)]), &[]).expect(0);
    // The same file once more, or one from before: the tokens that work stay.
    let ended = add(&lines(&[("u", "old", 1_000)]), &[]).expect(0);
    assert!(ended.stderr.contains("left out older tokens of 1 account"), "{}", ended.stderr);
    assert!(stored().contains("r-new"));
    // In one file, too, whatever the order of its lines.
    add(&lines(&[("u", "newest", 4_000), ("u", "newer", 3_000)]), &[]).expect(0);
    assert!(stored().contains("r-newest"));
    add(&lines(&[("u", "old", 1_000)]), &["--replace"]).expect(0);
    assert!(stored().contains("r-old"));
}

#[test]
fn one_account_under_two_users_is_refused_with_both_named() {
    let place = Place::new();
    let file = place.file("tokens.jsonl", lines(&[("alice", "1", 10), ("bob", "2", 20)]));
    let ended = place.run(&["accounts", "add", &file]).expect(2);
    assert!(ended.stderr.contains("account 7 is given to two users, alice and bob"), "{}", ended.stderr);
    assert_eq!(place.run(&["accounts", "export"]).stdout, "");
}

#[test]
fn an_account_that_moved_to_another_user_is_fetched_for_that_user() {
    let (world, people) = World::of(
        Options { seed: 42, users: 1, activities: 20 },
        Config { limits: WIDE, ..Config::default() },
    );
    world.fetch(&[]).expect(0);
    let exported = world.run(&["accounts", "export"]).expect(0).stdout;
    let user = &people[0].user_id;
    let lake = world.lake();
    // Worst where both users lie in one bucket.
    let other =
        (0..).map(|n| format!("heir-{n}")).find(|other| lake.bucket(other) == lake.bucket(user)).unwrap();
    world.run(&["accounts", "remove", user]).expect(0);
    let file = world.folder.path().join("moved.jsonl");
    std::fs::write(&file, exported.replace(user.as_str(), &other)).unwrap();
    world.run(&["accounts", "add", file.to_str().unwrap()]).expect(0);
    world.fetch(&[]).expect(0);
    world.run(&["normalize"]).expect(0);
    let of = |user: &str| {
        rows(&world.lake_folder(), "activities").iter().filter(|row| row["user_id"] == user).count()
    };
    assert_eq!((of(user), of(&other)), (20, 20));
}

#[test]
fn a_copied_lake_gives_nobody_a_sealed_token() {
    let key = KEY;
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    let with = |key: &str, args: &[&str]| with(&world, key, args);
    let plain = world.run(&["accounts", "export"]).expect(0).stdout;
    let ended = with(key, &["accounts", "rekey"]).expect(0);
    assert!(ended.stderr.contains("sealed the tokens of 3 accounts"), "{}", ended.stderr);
    let holds_token = || {
        files(&world.lake_folder()).into_values().any(|bytes| {
            ["emulated-access", "emulated-refresh"]
                .iter()
                .any(|token| bytes.windows(token.len()).any(|w| w == token.as_bytes()))
        })
    };
    assert!(!holds_token(), "no byte of a token is left in the lake");
    let ended = world.fetch(&[]).expect(2);
    assert!(ended.stderr.contains("sealed") && ended.stderr.contains("LONGRUN_KEY"), "{}", ended.stderr);
    with(&key.replace('S', "T"), &["fetch"]).expect(2);
    // Tokens that a refresh gives are sealed, too.
    world.emulator.revoke_access();
    assert_eq!(with(key, &["fetch", "--json"]).expect(0).json()["token_refreshes"], 3);
    assert!(!holds_token());
    let opened = with(key, &["accounts", "export"]).expect(0).stdout;
    assert!(opened.contains("emulated-refresh") && opened != plain);
    // Another key takes the place of this one, and in the end none.
    let file = world.folder.path().join("old.key");
    std::fs::write(&file, key).unwrap();
    let other = key.replace('S', "T");
    with(&other, &["accounts", "rekey", "--old-key-file", file.to_str().unwrap()]).expect(0);
    with(key, &["accounts", "export"]).expect(2);
    world.run(&["accounts", "revoked", "user-0001"]).expect(0);
    with(&other, &["accounts", "rekey", "--plain"]).expect(0);
    let status = world.run(&["status", "--user", "user-0001", "--json"]).expect(0).json();
    assert!(!status["accounts"][0]["refused_since"].is_null(), "another key is no consent");
    assert_eq!(world.run(&["accounts", "export"]).expect(0).stdout, opened);
    world.run(&["accounts", "list"]).expect(0);
}

const KEY: &str = "S0VZS0VZS0VZS0VZS0VZS0VZS0VZS0VZS0VZS0VZS0U=";
const OTHER_KEY: &str = "T0VZT0VZT0VZT0VZT0VZT0VZT0VZT0VZT0VZT0VZT0U=";

/// A world whose tokens are sealed with [`KEY`].
fn sealed() -> World {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    with(&world, KEY, &["accounts", "rekey"]).expect(0);
    world
}

fn with(world: &World, key: &str, args: &[&str]) -> Ended {
    Ended::of(world.command(args).env("LONGRUN_KEY", key).output().unwrap())
}

/// Changes the state database, as versions before this one could.
fn change(world: &World, sql: &str) {
    rusqlite::Connection::open(world.lake_folder().join("state.db")).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_sealed_lake_takes_tokens_under_its_own_key_only() {
    let world = sealed();
    let exported = with(&world, KEY, &["accounts", "export"]).expect(0).stdout;
    let file = world.folder.path().join("again.jsonl");
    std::fs::write(
        &file,
        exported.replace("user-0000", "newcomer").replace(r#""account_id":""#, r#""account_id":"9"#),
    )
    .unwrap();
    let add = ["accounts", "add", file.to_str().unwrap(), "--replace"];
    let before = files(&world.lake_folder());
    for ended in [
        world.run(&add),
        with(&world, OTHER_KEY, &add),
        world.run(&["connect", "strava", "--user", "u"]),
        with(&world, OTHER_KEY, &["connect", "strava", "--user", "u"]),
    ] {
        let ended = ended.expect(2);
        assert!(ended.stderr.contains("the tokens of this lake are sealed"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "", "nobody is asked for a consent");
    }
    assert!(files(&world.lake_folder()) == before, "nothing was changed");
    let line = exported.lines().next().unwrap().to_string();
    std::fs::write(&file, line).unwrap();
    with(&world, KEY, &add).expect(0);
    assert_eq!(with(&world, KEY, &["accounts", "export"]).expect(0).stdout, exported);
}

#[test]
fn a_token_in_clear_in_a_sealed_lake_is_renewed_with_its_key_only() {
    let world = sealed();
    change(
        &world,
        "UPDATE accounts SET access_token = 'ended', refresh_token = 'plain' WHERE user_id = 'user-0001'",
    );
    let before = world.emulator.renewals();
    let ended = world.fetch(&[]).expect(1);
    let failures = ended.json()["failures"].as_array().unwrap().clone();
    assert!(failures.iter().all(|failure| failure["reason"].as_str().unwrap().contains("LONGRUN_KEY")));
    assert_eq!((failures.len(), world.emulator.renewals()), (3, before), "no token was asked for");
    let doctor = with(&world, KEY, &["doctor", "--offline"]);
    assert!(doctor.stderr.contains("1 have tokens that are not sealed"), "{}", doctor.stderr);
}

#[test]
fn an_account_whose_tokens_do_not_open_is_left_out_alone() {
    let world = sealed();
    let file = world.folder.path().join("accounts.jsonl");
    let exported = with(&world, KEY, &["accounts", "export"]).expect(0).stdout;
    std::fs::write(&file, exported.lines().nth(1).unwrap()).unwrap();
    // Somebody gave one account its tokens under another key.
    let elsewhere = world.folder.path().join("elsewhere");
    let add = ["--lake", elsewhere.to_str().unwrap(), "accounts", "add", file.to_str().unwrap()];
    with(&world, OTHER_KEY, &add).expect(0);
    let mix = format!(
        "ATTACH '{}' AS other; INSERT OR REPLACE INTO accounts SELECT * FROM other.accounts",
        elsewhere.join("state.db").display()
    );
    change(&world, &mix);
    let ended = with(&world, KEY, &["fetch", "--json"]).expect(1).json();
    assert_eq!((&ended["activities"], &ended["failures"][0]["user_id"]), (&60.into(), &"user-0001".into()));
    assert_eq!(ended["failures"].as_array().unwrap().len(), 1);
    with(&world, KEY, &["fetch", "--user", "user-0001"]).expect(2);
    let export = with(&world, KEY, &["accounts", "export"]).expect(1);
    assert_eq!(export.stdout.lines().count(), 2);
    assert!(export.stderr.contains("user-0001"), "{}", export.stderr);
    // Its tokens anew, or both keys at once, and it is back.
    let other = world.folder.path().join("other.key");
    std::fs::write(&other, OTHER_KEY).unwrap();
    with(&world, KEY, &["accounts", "rekey"]).expect(2);
    with(&world, KEY, &["accounts", "rekey", "--old-key-file", other.to_str().unwrap()]).expect(0);
    assert_eq!(with(&world, KEY, &["fetch", "--json"]).expect(0).json()["activities"], 90);
    change(&world, &mix);
    with(&world, KEY, &["accounts", "add", file.to_str().unwrap(), "--replace"]).expect(0);
    assert_eq!(with(&world, KEY, &["fetch", "--json"]).expect(0).json()["activities"], 90);
}

#[test]
fn a_key_is_changed_while_nobody_fetches() {
    let world = sealed();
    let held = longrun::store::landing::Landing::open(&world.lake()).unwrap();
    let file = world.folder.path().join("old.key");
    std::fs::write(&file, KEY).unwrap();
    let rekey = ["accounts", "rekey", "--old-key-file", file.to_str().unwrap()];
    let ended = with(&world, OTHER_KEY, &rekey);
    assert!(ended.code != Some(0) && ended.stderr.contains("the landing"), "{}", ended.stderr);
    drop(held);
    with(&world, OTHER_KEY, &rekey).expect(0);
}
