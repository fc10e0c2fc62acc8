//! What a source's terms ask to be forgotten: said by itself, and forgotten where somebody asks for it.

use std::time::Duration;

use longrun::testing::emulator::Config;
use longrun::testing::synth::{Options, Person};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use crate::purge::is_named_anywhere;
use crate::support::{Row, WIDE, World, rows, timeless};

const PEOPLE: Options = Options { seed: 83, users: 3, activities: 40 };
const DAY_S: i64 = 86_400;
/// The title of the activity that its athlete deletes.
const SECRET: &str = "Zanzibar by night";
const RIDE: &str = r#"<gpx version="1.1"><trk><trkseg><trkpt lat="1" lon="2"><time>2024-01-01T00:00:00Z</time></trkpt><trkpt lat="1.001" lon="2"><time>2024-01-01T00:01:00Z</time></trkpt></trkseg></trk></gpx>"#;

/// A lake that was fetched eight days ago, with an archive beside it, and the id of the activity of that title.
fn world() -> (World, Vec<Person>, String) {
    let config = Config {
        limits: WIDE,
        clock_offset_s: -8 * DAY_S,
        token_lifetime: Duration::from_secs(30 * 86_400),
        ..Config::default()
    };
    let (world, people) = World::of(PEOPLE, config);
    let id = people[1].workouts[20].id.to_string();
    world.emulator.edit(&id, serde_json::json!({"name": SECRET}));
    world.fetch(&["--depth", "streams"]).expect(0);
    let file = world.folder.path().join("ride.gpx");
    std::fs::write(&file, RIDE).unwrap();
    world.run(&["import", "auto", file.to_str().unwrap(), "--user", &people[1].user_id]).expect(0);
    settle(&world);
    (world, people, id)
}

fn settle(world: &World) {
    for command in ["normalize", "dedupe", "report"] {
        world.run(&[command]).expect(0);
    }
}

/// What the rows tell, whenever it was fetched.
fn told(world: &World) -> Vec<Row> {
    let mut rows = timeless(activities(world));
    for row in &mut rows {
        ["earlier", "expires_at"].into_iter().for_each(|column| drop(row.remove(column)));
    }
    rows
}

fn activities(world: &World) -> Vec<Row> {
    rows(&world.lake_folder(), "activities")
}

#[test]
fn what_an_athlete_deleted_is_forgotten_to_the_byte_after_kills_at_any_instant_and_the_others_stay() {
    let seed = 20_261_126;
    println!("seed {seed}");
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let (world, _, id) = world();
    let mut before = told(&world);
    before.retain(|row| row["source_id"] != id);
    world.emulator.delete(&id);
    world.fetch(&["--max-age", "0s", "--sweep", "0s"]).expect(0);
    let policy = world.folder.path().join("terms.toml");
    std::fs::write(&policy, "[strava]\ngone_hours = 48\n").unwrap();
    world.run(&["normalize", "--policy", policy.to_str().unwrap()]).expect(0);
    let row = activities(&world).into_iter().find(|row| row["source_id"] == id).unwrap();
    let time = |name: &str| row[name].parse::<jiff::civil::DateTime>().unwrap();
    assert_eq!(time("expires_at"), time("gone_at") + jiff::SignedDuration::from_hours(48));
    assert!(activities(&world).iter().all(|row| row["source_id"] == id || !row.contains_key("expires_at")));

    let preview = world.run(&["purge", "--expired", "--json"]).expect(0).json();
    assert_eq!((&preview["activities"], &preview["responses"]), (&1.into(), &0.into()));
    assert!(is_named_anywhere(&world, SECRET).is_some(), "a preview removes nothing");
    let args = ["purge", "--expired", "--apply"];
    world.kill_often(&args, &mut rng);
    world.run(&args).expect(0);
    for needle in [SECRET, &id] {
        assert_eq!(is_named_anywhere(&world, needle), None, "{needle}");
    }
    settle(&world);
    assert_eq!(is_named_anywhere(&world, SECRET), None);
    assert!(told(&world) == before, "the others have what they had");
    world.run(&["verify"]).expect(0);
    // What was not fetched anew is there, and what was deleted is not asked for.
    assert_eq!(world.fetch(&["--depth", "streams", "--max-age", "720h"]).expect(0).json()["requests"], 0);
}

#[test]
fn what_is_older_than_the_terms_allow_is_said_and_forgotten_on_request_and_archives_stay() {
    let (world, people, _) = world();
    let all = activities(&world).len();
    let status = world.run(&["status"]).expect(0);
    assert!(status.stderr.contains("fetched anew or forgotten within 7 days"), "{}", status.stderr);
    assert!(status.stderr.contains("longrun purge --expired --policy strava-2026"), "{}", status.stderr);
    let ended = world.run(&["purge", "--expired", "--apply"]).expect(2);
    assert!(ended.stderr.contains("this lake has no policy"), "{}", ended.stderr);
    assert_eq!(activities(&world).len(), all, "nothing is forgotten by itself");
    let preview = world.run(&["purge", "--expired", "--policy", "strava-2026", "--json"]).expect(0).json();
    assert!(preview["responses"].as_u64() > Some(200), "{preview}");
    // What came before the clocks agreed is dated by this machine's: with no time at all, it is due as well.
    let policy = world.folder.path().join("terms.toml");
    std::fs::write(&policy, "[strava]\ncached_days = 0\n").unwrap();
    world.run(&["normalize", "--policy", policy.to_str().unwrap()]).expect(0);
    let expires = |row: &Row| row.get("expires_at").is_some_and(|at| !at.is_empty());
    assert!(activities(&world).iter().all(|row| (row["origin"] == "api") == expires(row)));
    world.run(&["purge", "--expired", "--apply"]).expect(0);
    assert_eq!(is_named_anywhere(&world, SECRET), None);
    settle(&world);
    let left = activities(&world);
    assert_eq!(left.len(), 1, "what came in an archive");
    assert_eq!(left[0]["user_id"], people[1].user_id);
    assert_eq!(rows(&world.lake_folder(), "streams").len(), 1);
    let status = world.run(&["status"]).expect(0);
    assert!(!status.stderr.contains("Strava's terms"), "{}", status.stderr);
}

/// Says in the lake that a refresh token was refused for so many days already.
fn refresh_refused_for(world: &World, days: i64) {
    let db = rusqlite::Connection::open(world.lake_folder().join("state.db")).unwrap();
    let since_s = jiff::Timestamp::now().as_second() - days * DAY_S;
    let sql = "UPDATE accounts SET refresh_refused_at_s = ?1 WHERE refresh_refused_at_s IS NOT NULL";
    assert_eq!(db.execute(sql, [since_s]).unwrap(), 1);
}

/// Says in the lake that access was refused for so many days already.
fn refused_for(world: &World, days: i64) {
    let db = rusqlite::Connection::open(world.lake_folder().join("state.db")).unwrap();
    let since_s = jiff::Timestamp::now().as_second() - days * DAY_S;
    let sql = "UPDATE accounts SET revoked_at_s = ?1 WHERE revoked_at_s IS NOT NULL";
    assert_eq!(db.execute(sql, [since_s]).unwrap(), 1);
}

#[test]
fn of_an_athlete_who_took_the_access_back_nothing_is_kept_for_thirty_days_but_archives() {
    let seed = 20_261_127;
    println!("seed {seed}");
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let config = Config { limits: WIDE, ..Config::default() };
    let (world, people) = World::of(PEOPLE, config);
    let user = people[1].user_id.as_str();
    world.emulator.edit(&people[1].workouts[20].id.to_string(), serde_json::json!({"name": SECRET}));
    world.fetch(&["--depth", "streams"]).expect(0);
    let file = world.folder.path().join("ride.gpx");
    std::fs::write(&file, RIDE).unwrap();
    world.run(&["import", "auto", file.to_str().unwrap(), "--user", user]).expect(0);
    settle(&world);
    let mut others = told(&world);
    others.retain(|row| row["user_id"] != user);

    // A wrong secret is the application's fault, and none of the athletes'.
    world.emulator.revoke_access();
    let wrong =
        world.command(&["fetch", "--max-age", "0s"]).env("LONGRUN_STRAVA_CLIENT_SECRET", "wrong").output();
    assert_ne!(wrong.unwrap().status.code(), Some(0));
    let since = |world: &World, what: &str| -> Vec<String> {
        let status = world.run(&["status", "--json"]).expect(0).json();
        let accounts = status["accounts"].as_array().unwrap().clone();
        let refused = accounts.iter().filter(|account| !account[what].is_null());
        refused.map(|account| account["user_id"].as_str().unwrap().to_string()).collect()
    };
    let nobody = Vec::<String>::new();
    assert_eq!(
        (since(&world, "refused_since"), since(&world, "refresh_refused_since")),
        (nobody.clone(), nobody.clone())
    );

    world.emulator.deauthorize(user);
    world.fetch(&["--max-age", "0s"]).expect(1);
    // That says nothing yet: the token may have been renewed elsewhere. So nothing is erased for it.
    assert_eq!(
        (since(&world, "refused_since"), since(&world, "refresh_refused_since")),
        (nobody, vec![user.to_string()])
    );
    let status = world.run(&["status"]).expect(0).stderr;
    for words in
        ["it is not the newest one", "or the athlete took the access back", "longrun accounts revoked"]
    {
        assert!(status.contains(words), "{status}");
    }
    refresh_refused_for(&world, 400);
    let args = ["purge", "--expired", "--policy", "strava-2026", "--apply", "--json"];
    assert_eq!(world.run(&args).expect(0).json()["accounts"], 0);
    assert!(is_named_anywhere(&world, SECRET).is_some());
    refresh_refused_for(&world, 0);
    world.run(&["accounts", "revoked", "nobody"]).expect(2);
    world.run(&["accounts", "revoked", user]).expect(0);
    assert_eq!(since(&world, "refused_since"), [user]);
    let status = world.run(&["status"]).expect(0).stderr;
    assert!(status.contains("the athlete took the access back on"), "{status}");
    assert!(
        status.contains("terms ask for everything that its API gave of them to be forgotten"),
        "{status}"
    );
    assert!(status.contains("longrun purge --expired --policy strava-2026"), "{status}");

    // Not before it is due, and then to the byte, whatever kills it meanwhile.
    let args = ["purge", "--expired", "--policy", "strava-2026", "--apply"];
    refused_for(&world, 28);
    assert_eq!(world.run(&[&args[..], &["--json"]].concat()).expect(0).json()["accounts"], 0);
    assert!(is_named_anywhere(&world, SECRET).is_some());
    refused_for(&world, 29);
    let preview = world.run(&[&args[..4], &["--json"]].concat()).expect(0).json();
    assert_eq!(preview["accounts"], 1, "{preview}");
    assert!(is_named_anywhere(&world, SECRET).is_some(), "a preview removes nothing");
    world.kill_often(&args, &mut rng);
    world.run(&args).expect(0);
    let athlete = people[1].athlete_id.to_string();
    for needle in [SECRET, &athlete, &people[1].workouts[7].id.to_string()] {
        assert_eq!(is_named_anywhere(&world, needle), None, "{needle}");
    }
    settle(&world);
    assert_eq!(is_named_anywhere(&world, SECRET), None);
    let (theirs, left): (Vec<Row>, Vec<Row>) =
        told(&world).into_iter().partition(|row| row["user_id"] == user);
    assert!(left == others, "the others have what they had");
    assert_eq!(theirs.len(), 1, "what they exported themselves is theirs");
    assert_eq!(world.run(&["status", "--json"]).expect(0).json()["accounts"].as_array().unwrap().len(), 2);
    world.run(&["verify"]).expect(0);
}

#[test]
fn who_took_the_access_back_is_asked_for_nothing_until_there_are_new_tokens() {
    let (world, people) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    let user = people[1].user_id.as_str();
    let file = world.folder.path().join("again.jsonl");
    let lines: Vec<String> =
        world.emulator.accounts().iter().map(|a| serde_json::to_string(a).unwrap() + "\n").collect();
    std::fs::write(&file, lines.concat()).unwrap();
    let add = ["accounts", "add", file.to_str().unwrap()];
    world.run(&add).expect(0);
    world.run(&["accounts", "revoked", user]).expect(0);
    // The tokens of before are no consent.
    world.run(&add).expect(0);

    // Strava would still answer.
    assert_eq!(world.fetch(&["--max-age", "0s"]).expect(0).json()["activities"], 80);
    let refused = world.fetch(&["--max-age", "0s", "--user", user]).expect(2).stderr;
    assert!(refused.contains("the athlete took the access back"), "{refused}");
    let others = ["--max-age", "0s", "--user", user, "--user", &people[0].user_id];
    let failures = world.fetch(&others).expect(1).json()["failures"].clone();
    assert_eq!((failures.as_array().unwrap().len(), &failures[0]["user_id"]), (1, &user.into()));
    let status = world.run(&["status", "--json"]).expect(0).json();
    let theirs = |account: &&serde_json::Value| account["user_id"] == user;
    let theirs = status["accounts"].as_array().unwrap().iter().find(theirs).unwrap();
    assert!(!theirs["refused_since"].is_null() && theirs["activities"] == 0, "{theirs}");
    assert_eq!(world.run(&["plan", "--user", user, "--json"]).expect(0).json()["calls_owed"], 0);

    world.add_accounts();
    assert_eq!(world.fetch(&["--max-age", "0s"]).expect(0).json()["activities"], 120);
}

#[test]
fn who_gives_consent_again_is_refused_no_longer() {
    let (world, people) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    world.emulator.deauthorize(&people[1].user_id);
    world.fetch(&[]).expect(1);
    let refused = |world: &World| {
        let status = world.run(&["status", "--json"]).expect(0).json();
        let accounts = status["accounts"].as_array().unwrap().clone();
        accounts.iter().filter(|account| !account["refresh_refused_since"].is_null()).count()
    };
    assert_eq!(refused(&world), 1);
    world.add_accounts();
    assert_eq!(refused(&world), 0);
    assert_eq!(world.fetch(&["--max-age", "0s"]).expect(0).json()["activities"], 120);
}
