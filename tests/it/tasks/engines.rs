//! The files of `cluster/`: as the engines' schemas have them, and by doubles of the engines to what one machine makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Shared, assert_same, datasets, demo_lake};
use crate::support::{BINARY, Ended, files, python_with};

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cluster.py")
}

fn python() -> Option<String> {
    python_with("googleapiclient, kubernetes_validate, yaml")
}

/// What a command of a script makes of the demo's lake, beside what one machine makes.
fn comes_to_the_same(shared: &Shared, python: &str, script: &Path, args: &[&str]) {
    shared.push();
    let path = Path::new(BINARY).parent().unwrap();
    let mut command = Command::new(python);
    command
        .arg(script)
        .args(args)
        .env("LONGRUN_LAKE", &shared.store)
        .env("LONGRUN_STATE", shared.path("home"));
    command.env("LONGRUN_IMAGE", "longrun").env("LONGRUN_SCRATCH", shared.folder.path());
    // Else a worker of Spark is whatever `python3` is on the path.
    command.env("PYSPARK_PYTHON", python);
    command.env("PATH", format!("{}:{}", path.display(), std::env::var("PATH").unwrap()));
    Ended::of(command.output().unwrap()).expect(0);
    assert_same(&shared.pulled(), &datasets(&demo_lake()));
    let page = shared.path("page.html");
    shared
        .run(&["--lake", shared.path("back").to_str().unwrap(), "report", "--out", page.to_str().unwrap()])
        .expect(0);
    let of_run = files(&shared.path("back/reports"));
    let of_run: Vec<&Vec<u8>> = of_run
        .iter()
        .filter(|(path, _)| path.to_str().unwrap().contains("/run-"))
        .map(|(_, bytes)| bytes)
        .collect();
    assert!(of_run == [&std::fs::read(page).unwrap()], "another page");
}

#[test]
fn the_files_of_the_engines_are_as_their_schemas_have_them() {
    let Some(python) = python() else { return };
    Ended::of(Command::new(python).arg(script()).arg("schemas").output().unwrap()).expect(0);
}

#[test]
fn each_engine_comes_to_what_one_machine_makes() {
    let Some(python) = python() else { return };
    for (engine, tasks) in [("cloud-run", "4"), ("kubernetes", "3"), ("batch", "2"), ("slurm", "4")] {
        comes_to_the_same(&Shared::folder(), &python, &script(), &["run", engine, tasks]);
    }
}

fn spark(python: &str, script: &str) {
    let shared = Shared::folder();
    let (home, store) = (shared.path("home"), shared.store.clone());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let args = ["--lake", &store, "--state", home.to_str().unwrap(), "--longrun", BINARY, "--ship"];
    comes_to_the_same(&shared, python, &script, &args);
}

/// Needs Java and `pip install pyspark`: `cargo test --release --test it -- --ignored tasks::engines`.
#[test]
#[ignore = "pyspark is 300 MB, and needs Java"]
fn spark_comes_to_what_one_machine_makes() {
    let Some(python) = python_with("pyspark, pyarrow, pandas") else { return };
    spark(&python, "cluster/spark.py");
}

/// Needs Java and `pip install "pyspark[connect]"`: `cargo test --release --test it -- --ignored tasks::engines`.
#[test]
#[ignore = "pyspark is 300 MB, and needs Java"]
fn spark_connect_with_a_worker_killed_comes_to_what_one_machine_makes() {
    let Some(python) = python_with("pyspark.sql.connect.session, pyarrow, pandas, grpc") else { return };
    spark(&python, "tests/it/spark.py");
}
