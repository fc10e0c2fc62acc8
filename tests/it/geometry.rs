//! Tracks as lines in the lake itself, as tools of maps read them.

use std::path::Path;
use std::process::Command;

use longrun::testing::emulator::Config;
use longrun::testing::synth::Options;

use crate::export::spatial_python;
use crate::support::{Row, WIDE, World, python_with, rows};

const POINTS: [&str; 2] = ["48.1", "48.2"];

fn read(python: &str, script: &str, world: &World) -> serde_json::Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(script);
    let output = Command::new(python).arg(&script).arg(world.lake_folder()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How many rows have a track of two points or more.
fn lines_of(rows: &[Row]) -> usize {
    rows.iter().filter_map(|row| row.get("track_lat_e5")).filter(|points| points.contains(',')).count()
}

fn lines(world: &World, dataset: &str) -> usize {
    lines_of(&rows(&world.lake_folder(), dataset))
}

#[test]
fn a_lake_with_geometry_is_geoparquet_that_geopandas_and_duckdb_open_and_longrun_goes_on_with() {
    let (world, _) = World::of(
        Options { seed: 32, users: 3, activities: 60 },
        Config { limits: WIDE, ..Config::default() },
    );
    let longrun = |args: &[&str]| world.run(args).expect(0);
    longrun(&["fetch"]);
    longrun(&["normalize"]);
    longrun(&["dedupe"]);
    let stats = || longrun(&["--json", "stats", "--by", "user"]).stdout;
    let (plain, sums) = (rows(&world.lake_folder(), "golden"), stats());
    assert_eq!(longrun(&["--json", "lake", "geometry", "off"]).json()["files"], 0, "it has none");
    let done = longrun(&["--json", "lake", "geometry", "on"]).json();
    let before = done["bytes_before"].as_u64().unwrap();
    assert!(done["files"].as_u64() >= Some(2) && done["bytes"].as_u64() > Some(2 * before), "{done}");
    assert_eq!(longrun(&["--json", "lake", "geometry", "on"]).json()["files"], 0, "it is done");
    // The next runs write it as well: of what was there, and of what is new.
    longrun(&["dedupe"]);
    let mut now = rows(&world.lake_folder(), "golden");
    now.iter_mut().for_each(|row| row.retain(|column, _| !["geometry", "bbox"].contains(&column.as_str())));
    assert_eq!((now, stats()), (plain.clone(), sums), "nothing else has changed");
    let point = |lat: &str| {
        format!("<trkpt lat=\"{lat}\" lon=\"2.3\"><time>2019-05-02T07:3{}:00Z</time></trkpt>", &lat[3..])
    };
    let gpx = world.lake_folder().join("../ride.gpx");
    std::fs::write(&gpx, format!("<gpx><trk><trkseg>{}</trkseg></trk></gpx>", POINTS.map(point).concat()))
        .unwrap();
    longrun(&["import", "auto", gpx.to_str().unwrap(), "--user", "user-0001"]);
    longrun(&["normalize"]);
    longrun(&["dedupe"]);
    let (of_activities, of_golden) = (lines(&world, "activities"), lines(&world, "golden"));
    assert_eq!(of_golden, lines_of(&plain) + 1);
    if let Some(python) = python_with("geopandas, pyarrow") {
        let read = read(&python, "geometry.py", &world);
        assert_eq!(
            (read["activities"].as_u64(), read["golden"].as_u64()),
            (Some(of_activities as u64), Some(of_golden as u64))
        );
        assert_eq!(read["in_the_box"], 1, "{read}");
    }
    if let Some(python) = spatial_python() {
        let read = read(&python, "geometry_duckdb.py", &world);
        assert_eq!(read["kind"], "GEOMETRY('OGC:CRS84')");
        assert_eq!(
            (read["activities"].as_u64(), read["golden"].as_u64()),
            (Some(of_activities as u64), Some(of_golden as u64))
        );
        assert_eq!(read["in_the_box"], 1, "{read}");
    }
    longrun(&["purge", "--user", "user-0001", "--apply"]);
    longrun(&["lake", "rebucket", "4"]);
    longrun(&["normalize"]);
    longrun(&["dedupe"]);
    let kept = plain.iter().filter(|row| row["user_id"] != "user-0001").cloned().collect::<Vec<_>>();
    assert_eq!(lines(&world, "golden"), lines_of(&kept));
    assert!(
        longrun(&["--json", "lake", "geometry", "off"]).json()["files"].as_u64() >= Some(2),
        "kept by rebucket"
    );
}
