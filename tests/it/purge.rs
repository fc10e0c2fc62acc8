//! Forgetting a person, whatever ends the purge in between.

use std::path::{Path, PathBuf};

use longrun::testing::emulator::Config;
use longrun::testing::synth::Options;
use memchr::memmem;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use crate::support::{Place, Row, WIDE, World, files, rows, segments, timeless};

const PEOPLE: Options = Options { seed: 81, users: 3, activities: 40 };
const THEIRS: &str = "user-0001";

pub fn is_named_anywhere(world: &World, user: &str) -> Option<String> {
    naming(&world.lake_folder(), user).into_iter().next()
}

/// Where a text stands in a lake: in which files, as a text or a number, within what is compressed, or in which datasets.
pub fn naming(lake: &Path, user: &str) -> Vec<String> {
    let number = user.parse::<u64>().map(u64::to_le_bytes);
    let holds = |bytes: &[u8]| {
        let has = |what: &[u8]| memmem::find(bytes, what).is_some();
        has(user.as_bytes()) || number.as_ref().is_ok_and(|number| has(number))
    };
    let mut found = Vec::new();
    for (path, bytes) in files(lake) {
        let is_segment = path.extension().is_some_and(|e| e == "zst");
        if holds(&bytes) || (is_segment && holds(&zstd::stream::decode_all(bytes.as_slice()).unwrap())) {
            found.push(path.strip_prefix(lake).unwrap().display().to_string());
        }
    }
    for dataset in ["activities", "streams", "rejects", "origins", "matches", "golden"] {
        let is_named = |row: &Row| row.values().any(|value| value.contains(user));
        if rows(lake, dataset).iter().any(is_named) {
            found.push(format!("{dataset}/"));
        }
    }
    found
}

fn world() -> World {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    world.fetch(&["--depth", "streams"]).expect(0);
    let gpx = r#"<gpx version="1.1"><trk><trkseg><trkpt lat="1" lon="2"><time>2024-01-01T00:00:00Z</time></trkpt><trkpt lat="1.001" lon="2"><time>2024-01-01T00:01:00Z</time></trkpt></trkseg></trk></gpx>"#;
    let file = world.folder.path().join("ride.gpx");
    std::fs::write(&file, gpx).unwrap();
    for user in [THEIRS, "user-0002"] {
        world.run(&["import", "auto", file.to_str().unwrap(), "--user", user]).expect(0);
    }
    world.run(&["normalize"]).expect(0);
    world.run(&["dedupe"]).expect(0);
    world.run(&["report"]).expect(0);
    world
}

fn others(world: &World) -> Vec<Row> {
    let mut rows = timeless(rows(&world.lake_folder(), "activities"));
    rows.retain(|row| row["user_id"] != THEIRS);
    rows
}

#[test]
fn nothing_of_a_purged_person_is_left_after_kills_at_any_instant_and_others_keep_everything() {
    let seed = 20_261_125;
    println!("seed {seed}");
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let world = world();
    let before = others(&world);
    let args = ["purge", "--user", THEIRS, "--apply"];
    world.run(&["purge", "--user", THEIRS]).expect(0);
    assert!(is_named_anywhere(&world, THEIRS).is_some(), "a dry run removes nothing");
    world.kill_often(&args, &mut rng);
    world.run(&args).expect(0);
    assert_eq!(is_named_anywhere(&world, THEIRS), None);
    world.run(&["normalize"]).expect(0);
    world.run(&["dedupe"]).expect(0);
    assert_eq!(is_named_anywhere(&world, THEIRS), None);
    assert!(others(&world) == before, "the others have what they had");
    world.run(&["verify"]).expect(0);
}

#[test]
fn access_is_taken_back_at_the_source_first() {
    let world = world();
    world.run(&["purge", "--user", THEIRS, "--revoke", "--apply"]).expect(0);
    assert_eq!(world.emulator.tokens_of(THEIRS), 0);
    assert!(world.emulator.tokens_of("user-0000") > 0);
}

#[test]
fn verify_names_damage_and_gaps_with_their_places() {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    world.fetch(&[]).expect(0);
    let ended = world.run(&["verify"]).expect(3);
    assert!(
        ended.stderr.contains("have landed and have no row; run `longrun normalize`"),
        "{}",
        ended.stderr
    );
    world.run(&["normalize"]).expect(0);
    let ended = world.run(&["verify"]).expect(0);
    assert!(ended.stderr.contains("120 activities have rows"), "{}", ended.stderr);
    let segment =
        files(&world.lake_folder()).into_keys().find(|path| path.extension().is_some_and(|e| e == "zst"));
    let segment = segment.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x55;
    std::fs::write(&segment, bytes).unwrap();
    let ended = world.run(&["verify"]).expect(3);
    assert!(ended.stderr.contains("damaged, in 1 place"), "{}", ended.stderr);
    assert!(ended.stderr.contains("landing/strava/"), "{}", ended.stderr);
}

#[test]
fn verify_sees_that_landing_is_lost_which_rows_were_made_from() {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    world.fetch(&[]).expect(0);
    world.run(&["normalize"]).expect(0);
    let segment =
        files(&world.lake_folder()).into_keys().find(|path| path.extension().is_some_and(|e| e == "zst"));
    let segment = segment.unwrap();
    let whole = std::fs::read(&segment).unwrap();
    for left in [Some(whole.len() - 30), Some(whole.len() / 2), None] {
        match left {
            Some(bytes) => std::fs::write(&segment, &whole[..bytes]).unwrap(),
            None => std::fs::remove_file(&segment).unwrap(),
        }
        let said = world.run(&["verify"]).expect(3).stderr;
        assert!(said.contains("but the activities were made from") && said.contains("or delete"), "{said}");
        let said = world.run(&["normalize"]).expect(1).stderr;
        assert!(said.contains("but the activities were made from") && said.contains("or delete"), "{said}");
    }
    std::fs::write(&segment, &whole).unwrap();
    world.run(&["verify"]).expect(0);
}

#[test]
fn damage_is_said_until_what_was_lost_is_fetched_again() {
    let (world, _) = World::of(Options { users: 1, ..PEOPLE }, Config { limits: WIDE, ..Config::default() });
    let fetch = ["--depth", "streams", "--max-age", "24h"];
    world.fetch(&fetch).expect(0);
    world.run(&["normalize"]).expect(0);
    let before = timeless(rows(&world.lake_folder(), "activities"));
    let segment = segments(&world.lake(), "user-0000").remove(0);
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let bytes = std::fs::read(&segment).unwrap();
    let frames: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..at + 4] == magic).collect();
    // The list, a detail, and samples.
    for (nth, at) in [frames[0], frames[5], frames[frames.len() - 1]].into_iter().enumerate() {
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[at + 14] ^= 0xff;
        std::fs::write(&segment, bytes).unwrap();
        world.run(&["verify"]).expect(3);
        world.run(&["verify", "--refetch"]).expect(3);
        let said = world.run(&["verify"]).expect(3).stderr;
        assert!(said.contains("run `longrun fetch`") && said.contains("landing has no more"), "{said}");
        assert!(world.fetch(&fetch).expect(0).json()["requests"].as_u64() > Some(0));
        world.run(&["normalize"]).expect(0);
        let ended = world.run(&["verify", "--json"]).expect(0);
        assert_eq!(ended.json()["made_good"].as_array().unwrap().len(), nth + 1, "{}", ended.stderr);
        assert!(!ended.stderr.contains("run `longrun"), "{}", ended.stderr);
    }
    assert_eq!(timeless(rows(&world.lake_folder(), "activities")), before);
}

#[test]
fn a_segment_that_is_gone_from_the_middle_is_missed_until_it_was_fetched_again() {
    let (world, _) = World::of(Options { users: 1, ..PEOPLE }, Config { limits: WIDE, ..Config::default() });
    for depth in ["detail", "streams"] {
        world.fetch(&["--depth", depth, "--max-age", "24h"]).expect(0);
    }
    world.run(&["normalize"]).expect(0);
    let segments = segments(&world.lake(), "user-0000");
    assert_eq!(segments.len(), 2);
    std::fs::remove_file(&segments[0]).unwrap();
    let said = world.run(&["verify"]).expect(3).stderr;
    assert!(said.contains("it is gone, and rows were made from it"), "{said}");
    world.fetch(&["--depth", "streams"]).expect(0);
    world.run(&["normalize"]).expect(0);
    world.run(&["verify"]).expect(0);
}

#[test]
fn an_archive_that_is_damaged_is_not_counted_among_the_sound() {
    let place = Place::new();
    let manifest = place.exports(2, 6);
    place.run(&["import", "--manifest", &manifest]).expect(0);
    let archives = files(&place.lake().join("landing/archives"));
    let is_copy = |path: &&PathBuf| path.extension().is_none_or(|e| e != "json");
    let (path, bytes) = archives.iter().find(|(path, bytes)| is_copy(path) && bytes.len() > 100).unwrap();
    let sound = place.run(&["verify", "--json"]).json()["archives"].as_u64().unwrap();
    let mut bytes = bytes.clone();
    bytes[50] ^= 0x55;
    std::fs::write(path, bytes).unwrap();
    let verified = place.run(&["verify", "--json"]).expect(3).json();
    assert_eq!(verified["damage"].as_array().unwrap().len(), 1);
    assert_eq!(verified["archives"], sound - 1, "of {sound}");
}
