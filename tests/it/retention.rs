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
