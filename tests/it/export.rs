//! What `export` writes, as other people's tools read it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use longrun::testing::emulator::Config;
use longrun::testing::synth::Options;

use crate::support::{WIDE, World, python_with, rows};

/// Two people, one of them with samples.
fn world() -> World {
    let (world, _) = World::of(
        Options { seed: 31, users: 2, activities: 60 },
        Config { limits: WIDE, ..Config::default() },
    );
    world.fetch(&["--user", "user-0000", "--depth", "streams"]).expect(0);
    world.fetch(&[]).expect(0);
    world.run(&["normalize"]).expect(0);
    world.run(&["dedupe"]).expect(0);
    world
}

#[test]
fn geopandas_duckdb_and_gpxpy_read_what_is_exported() {
    let Some(python) = python_with("duckdb, geopandas, gpxpy, pyarrow") else { return };
    let world = world();
    let to = world.lake_folder().join("../files");
    let said = world.run(&["--json", "export", to.to_str().unwrap()]).expect(0).json();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/export.py");
    let output = Command::new(python).arg(&script).arg(&to).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let golden = rows(&world.lake_folder(), "golden");
    let (mut tracks, mut km) = (BTreeMap::<&str, u64>::new(), 0.0);
    for row in &golden {
        let points = row.get("track_lat_e5").map_or(0, |list| list.matches(',').count() + 1);
        *tracks.entry(row["user_id"].as_str()).or_insert(0) += u64::from(points > 1);
        km += row.get("distance_m").map_or(0.0, |m| m.parse().unwrap()) / 1000.0;
    }
    assert_eq!((said["users"].as_u64(), said["workouts"].as_u64()), (Some(2), Some(golden.len() as u64)));
    assert_eq!(said["tracks"].as_u64(), Some(tracks.values().sum()));
    for (user, tracks) in tracks {
        let of = &read[user];
        assert!(tracks > 10 && of["parquet"] == tracks && of["geojson"] == tracks, "{user}: {of}");
        assert_eq!(of["gpx"], tracks, "{user}: {of}");
        // Samples have times, heart rate and altitude; where only a line is known there are none.
        assert_eq!(of["gpx_times"].as_u64() > Some(0), user == "user-0000", "{user}: {of}");
        assert!(of["furthest_m"].as_f64() < Some(2.0), "a track is somewhere else: {of}");
    }
    let sums = [&read["duckdb_km"], &read["csv_km"]].map(|km| km.as_f64().unwrap());
    assert!(sums.iter().all(|sum| (sum - km).abs() < 0.01), "{sums:?} and not {km}");
}

#[test]
fn a_zip_has_all_of_one_user_as_it_came_and_nothing_of_another() {
    let world = world();
    let to = world.lake_folder().join("../zips");
    let nobody = world.run(&["export", to.to_str().unwrap(), "--user", "nobody"]).expect(2);
    assert!(nobody.stderr.contains("no workouts of nobody"), "{}", nobody.stderr);
    let original = world.lake_folder().join("../ride.gpx");
    let point =
        |n: usize| format!("<trkpt lat=\"48.{n}\" lon=\"2.3\"><time>2019-05-02T07:3{n}:00Z</time></trkpt>");
    let gpx = format!("<gpx><trk><trkseg>{}{}{}</trkseg></trk></gpx>", point(1), point(2), point(3));
    std::fs::write(&original, &gpx).unwrap();
    world.run(&["import", "auto", original.to_str().unwrap(), "--user", "user-0001"]).expect(0);
    world.run(&["normalize"]).expect(0);
    world.run(&["dedupe"]).expect(0);
    world.run(&["export", to.to_str().unwrap(), "--zip", "--user", "user-0001"]).expect(0);
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 1);
    let mut zip = zip::ZipArchive::new(File::open(to.join("user-0001.zip")).unwrap()).unwrap();
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    for name in ["workouts.csv", "workouts.geojson", "workouts.parquet", "originals/strava-api.jsonl"] {
        assert!(names.iter().any(|n| n == name), "{name} is not in {names:?}");
    }
    assert!(names.iter().filter(|name| name.starts_with("gpx/")).count() > 10, "{names:?}");
    let name = names.iter().find(|name| name.starts_with("originals/files/")).unwrap().clone();
    let mut text = |name: &str| {
        let mut text = Vec::new();
        zip.by_name(name).unwrap().read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    assert_eq!(text(&name), gpx);
    let answers = text("originals/strava-api.jsonl");
    assert!(answers.lines().count() > 0);
    for line in answers.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["asked"]["user_id"], "user-0001");
        assert!(line["answer"].is_array() || line["answer"].is_object(), "{line}");
    }
}
