//! What `export` writes, as other people's tools read it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use longrun::store::lake::Lake;
use longrun::testing::emulator::Config;
use longrun::testing::synth::Options;

use crate::support::{Row, WIDE, World, python_with, rows};

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
fn geopandas_duckdb_gpxpy_and_fitdecode_read_what_is_exported() {
    let Some(python) = python_with("duckdb, fitdecode, geopandas, gpxpy, pyarrow") else { return };
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
        assert!(of["fit"] == of["workouts"] && of["fit"].as_u64() > Some(10), "{user}: {of}");
        assert_eq!(of["fit_records"].as_u64() > Some(1000), user == "user-0000", "{user}: {of}");
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

/// A Python that has DuckDB's spatial functions; None, with a word, where there is none.
pub fn spatial_python() -> Option<String> {
    let python = std::env::var("LONGRUN_SPATIAL_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let has = Command::new(&python).args(["-c", "import duckdb, duckdb_extensions"]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(std::env::var("CI").is_err(), "{python} has not DuckDB's spatial functions");
    eprintln!(
        "skipped: {python} has not DuckDB's spatial functions (pip install -r tests/requirements-spatial.txt, LONGRUN_SPATIAL_PYTHON)"
    );
    None
}

#[test]
fn duckdbs_spatial_functions_take_the_export_and_the_lists_of_the_lake() {
    let Some(python) = spatial_python() else { return };
    let world = world();
    let to = world.lake_folder().join("../files");
    world.run(&["export", to.to_str().unwrap(), "--format", "geoparquet"]).expect(0);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/spatial.py");
    let golden = world.lake_folder().join("golden");
    let output = Command::new(python).arg(&script).arg(&to).arg(&golden).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["kind"], "GEOMETRY('OGC:CRS84')");
    let tracks = rows(&world.lake_folder(), "golden").into_iter();
    let (mut lines, mut metres) = (0, 0.0);
    for row in tracks.filter(|row| row.contains_key("track_length_m")) {
        lines += 1;
        metres += row["track_length_m"].parse::<f64>().unwrap();
    }
    assert_eq!((read["lines"].as_u64(), read["of_lake"][0].as_u64()), (Some(lines), Some(lines)));
    // On an ellipsoid, and not on a sphere.
    for length in [&read["metres"], &read["of_lake"][1]] {
        assert!((length.as_f64().unwrap() / metres - 1.0).abs() < 0.005, "{length} and not {metres}");
    }
    assert!(read["near"].as_u64() > Some(0) && read["far"] == 0, "{read}");
}

#[test]
fn what_is_exported_as_fit_says_the_same_when_it_is_imported() {
    let world = world();
    let to = world.lake_folder().join("../files");
    world.run(&["export", to.to_str().unwrap(), "--format", "fit", "--user", "user-0000"]).expect(0);
    let files = to.join("user-0000/fit");
    let again = world.lake_folder().join("../again");
    let again_name = again.to_str().unwrap();
    let run = |args: &[&str]| world.run(&[&["--lake", again_name], args].concat()).expect(0);
    run(&["import", "auto", files.to_str().unwrap(), "--user", "user-0000"]);
    run(&["normalize"]);
    let mut golden = rows(&world.lake_folder(), "golden");
    golden.retain(|row| row["user_id"] == "user-0000");
    let read = rows(&again, "activities");
    assert_eq!(read.len(), golden.len());
    let mut with_samples = 0;
    for row in &golden {
        let what = |of: &Row| (of["start_time"].clone(), of.get("sport").cloned());
        let back = read.iter().find(|read| what(read) == what(row));
        let back = back.unwrap_or_else(|| panic!("no activity of {:?}", what(row)));
        for (column, within) in [("distance_m", 0.01), ("elapsed_s", 0.01), ("avg_heart_rate_bpm", 0.5)] {
            let [was, is] = [row, back].map(|row| row.get(column).map(|n| n.parse::<f64>().unwrap()));
            let Some(was) = was else { continue };
            let is = is.unwrap_or_else(|| panic!("{column} of {} is lost", row["start_time"]));
            assert!((was - is).abs() <= within, "{column} of {}: {was} and {is}", row["start_time"]);
        }
        with_samples += usize::from(back.contains_key("track_lat_e5"));
    }
    assert!(with_samples > 10, "{with_samples} with a track");
}

#[test]
fn damage_is_named_once_for_all_people_of_a_bucket() {
    let world = world();
    let bucket_of = |user: &str| Lake::open(&world.lake_folder()).unwrap().bucket(user);
    let bucket = bucket_of("user-0000");
    let others = (0..).map(|n| format!("friend-{n}")).filter(|name| bucket_of(name) == bucket);
    let original = world.lake_folder().join("../ride.gpx");
    let points: String = (1..4)
        .map(|n| format!("<trkpt lat=\"48.{n}\" lon=\"2.3\"><time>2019-05-02T07:3{n}:00Z</time></trkpt>"))
        .collect();
    std::fs::write(&original, format!("<gpx><trk><trkseg>{points}</trkseg></trk></gpx>")).unwrap();
    for user in others.take(2) {
        world.run(&["import", "auto", original.to_str().unwrap(), "--user", &user]).expect(0);
    }
    world.run(&["normalize"]).expect(0);
    world.run(&["dedupe"]).expect(0);
    let folder = world.lake_folder().join(format!("landing/strava/{bucket}"));
    let segments = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let segment = segments.filter(|path| path.extension().is_some_and(|end| end == "zst")).min().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4].iter_mut().for_each(|byte| *byte ^= 0xff);
    std::fs::write(&segment, bytes).unwrap();
    let to = world.lake_folder().join("../zips");
    let ended = world.run(&["export", to.to_str().unwrap(), "--zip"]).expect(1);
    assert_eq!(ended.stderr.matches("the landing is damaged at 1 place").count(), 1, "{}", ended.stderr);
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 4);
}
