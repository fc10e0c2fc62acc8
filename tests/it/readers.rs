//! Other people's readers open the folders of a lake as they are, and come to the emulator's truth.

use std::path::Path;
use std::process::Command;

use longrun::testing::emulator::Config;
use longrun::testing::synth::{Options, strava};

use crate::support::{WIDE, World, python_with, rows};

/// What a reader prints of a lake with these people, the first two of them in detail.
fn agrees(python: &str, reader: &str) {
    let (world, people) = World::of(
        Options { seed: 31, users: 6, activities: 150 },
        Config { limits: WIDE, ..Config::default() },
    );
    world.fetch(&["--user", "user-0000", "--user", "user-0001", "--depth", "streams"]).expect(0);
    world.fetch(&[]).expect(0);
    world.run(&["normalize"]).expect(0);
    world.run(&["dedupe"]).expect(0);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/readers.py");
    let output = Command::new(python).arg(&script).arg(reader).arg(world.lake_folder()).output().unwrap();
    assert!(output.status.success(), "{reader}: {}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for dataset in ["activities", "streams", "matches", "golden"] {
        let count = rows(&world.lake_folder(), dataset).len();
        assert_eq!(told["rows"][dataset], count, "{reader}: {dataset}");
    }
    let sums = &told["users"];
    assert_eq!(sums.as_object().unwrap().len(), people.len());
    for (number, person) in people.iter().enumerate() {
        let (truth, sum) = (strava::totals(person), &sums[&person.user_id]);
        let points = if number < 2 { truth.detail_points } else { truth.points };
        let number = |name: &str| sum[name].as_f64().unwrap();
        assert_eq!(sum["source"], "strava");
        assert_eq!(number("activities"), truth.activities as f64, "{reader}");
        assert_eq!(number("elapsed_s"), truth.elapsed_s as f64, "{reader}");
        assert_eq!((number("points"), number("lon_points")), (points as f64, points as f64), "{reader}");
        assert!((number("distance_m") - truth.distance_m).abs() < 1e-3, "{reader}: {sum}");
    }
}

#[test]
fn duckdb_polars_pyarrow_pandas_and_datafusion_open_every_folder_as_it_is() {
    let Some(python) = python_with("duckdb, polars, pyarrow, pandas, datafusion") else { return };
    for reader in ["duckdb", "polars", "pyarrow", "pandas", "datafusion"] {
        agrees(&python, reader);
    }
}

/// Needs Java and `pip install pyspark`: `cargo test --release --test it -- --ignored spark`.
#[test]
#[ignore = "pyspark is 300 MB, and needs Java"]
fn spark_opens_every_folder_as_it_is() {
    let Some(python) = python_with("pyspark") else { return };
    agrees(&python, "spark");
}
