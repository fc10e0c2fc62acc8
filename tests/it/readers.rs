//! Other people's readers open the dataset as a Hive table and come to the emulator's truth.

use std::path::Path;
use std::process::Command;

use longrun::testing::emulator::Config;
use longrun::testing::synth::{Options, strava};

use crate::support::{WIDE, World, python_with};

#[test]
fn duckdb_polars_and_pyarrow_agree_with_the_truth() {
    let Some(python) = python_with("duckdb, polars, pyarrow") else { return };
    let (world, people) = World::of(
        Options { seed: 31, users: 6, activities: 150 },
        Config { limits: WIDE, ..Config::default() },
    );
    world.fetch(&["--user", "user-0000", "--user", "user-0001", "--depth", "detail"]).expect(0);
    world.fetch(&[]).expect(0);
    world.run(&["normalize"]).expect(0);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/readers.py");
    for reader in ["duckdb", "polars", "pyarrow"] {
        let output =
            Command::new(&python).arg(&script).arg(reader).arg(world.lake_folder()).output().unwrap();
        assert!(output.status.success(), "{reader}: {}", String::from_utf8_lossy(&output.stderr));
        let sums: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(sums.as_object().unwrap().len(), people.len());
        for (number, person) in people.iter().enumerate() {
            let (truth, sum) = (strava::totals(person), &sums[&person.user_id]);
            let points = if number < 2 { truth.detail_points } else { truth.points };
            assert_eq!(sum["source"], "strava");
            assert_eq!(sum["activities"], truth.activities, "{reader}");
            assert_eq!(sum["elapsed_s"], truth.elapsed_s as f64, "{reader}");
            assert_eq!((&sum["points"], &sum["lon_points"]), (&points.into(), &points.into()), "{reader}");
            let distance_m = sum["distance_m"].as_f64().unwrap();
            assert!((distance_m - truth.distance_m).abs() < 1e-3, "{reader}: {distance_m}");
        }
    }
}
