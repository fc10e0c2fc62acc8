//! Commands that only read: the lake stays as it is, to the byte and the second, and need not be writable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use longrun::testing::emulator::Config;
use longrun::testing::synth::Options;

use crate::support::{Ended, SmallDisk, WIDE, World, files};

const READERS: [&[&str]; 8] = [
    &["status"],
    &["status", "--json"],
    &["plan"],
    &["verify"],
    &["accounts", "list"],
    &["redrive", "status"],
    &["stats"],
    &["purge", "--expired", "--policy", "strava-2026"],
];

/// A lake with tokens, details, workouts, and deliveries, which are written in another way than the rest.
fn world() -> World {
    let options = Options { seed: 94, users: 2, activities: 6 };
    let (world, _) = World::of(options, Config { limits: WIDE, ..Config::default() });
    world.fetch(&["--depth", "detail"]).expect(0);
    world.run(&["normalize"]).expect(0);
    world.run(&["dedupe"]).expect(0);
    let sent = world.folder.path().join("sent.jsonl");
    world.run(&["redrive", "--apply", "--sink", &format!("file:{}", sent.display())]);
    world
}

/// Every file with its bytes and when it was changed.
fn state(lake: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let with_time = |(path, bytes): (PathBuf, Vec<u8>)| {
        let changed = std::fs::metadata(&path).unwrap().modified().unwrap();
        (path, (bytes, changed))
    };
    files(lake).into_iter().map(with_time).collect()
}

#[track_caller]
fn all_read(world: &World, lake: &Path) {
    // The page is written where it is asked for.
    let page = world.folder.path().join("page.html");
    let report = ["report", "--json", "--out", page.to_str().unwrap()];
    for args in READERS.into_iter().chain([&report[..]]) {
        let ended = Ended::of(world.command(args).env("LONGRUN_LAKE", lake).output().unwrap());
        assert!(matches!(ended.code, Some(0 | 3)), "{args:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("failed to"), "{args:?}: {}", ended.stderr);
    }
    let args = ["doctor", "--offline", "--json", "--free", "0"];
    let found = Ended::of(world.command(&args).env("LONGRUN_LAKE", lake).output().unwrap()).json();
    let accounts = found.as_array().unwrap().iter().find(|finding| finding["what"] == "accounts").unwrap();
    assert!(accounts["said"].as_str().unwrap().starts_with("2 accounts"), "{accounts}");
}

#[test]
fn what_only_reads_changes_no_file_and_makes_none() {
    let world = world();
    let lake = world.lake_folder();
    let before = state(&lake);
    all_read(&world, &lake);
    assert!(state(&lake) == before, "a file has changed");
    // Nor does it make a database where there is none.
    for (path, _) in files(&lake).into_iter().filter(|(path, _)| path.ends_with("state.db")) {
        std::fs::remove_file(path).unwrap();
    }
    let status = world.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["accounts"], serde_json::json!([]));
    assert!(!lake.join("state.db").exists());
}

#[test]
fn what_only_reads_needs_no_lake_that_can_be_written_and_no_room() {
    let Some(disk) = SmallDisk::of("8m") else { return };
    let world = world();
    let lake = disk.path().join("lake");
    assert!(Command::new("cp").arg("-rp").arg(world.lake_folder()).arg(&lake).status().unwrap().success());
    let before = state(&lake);
    disk.remount("ro");
    all_read(&world, &lake);
    disk.remount("rw");
    // All that is left is taken.
    let ballast = disk.path().join("ballast");
    let _ =
        Command::new("dd").arg("if=/dev/zero").arg(format!("of={}", ballast.display())).arg("bs=4k").output();
    all_read(&world, &lake);
    assert!(state(&lake) == before, "a file has changed");
}
