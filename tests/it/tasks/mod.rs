//! The stages as tasks of a run: over a store that all tasks share, whatever becomes of them, the lake is that of one
//! machine to the byte.

mod ages;
#[cfg(feature = "cloud")]
mod cuts;
mod engines;
#[cfg(feature = "cloud")]
mod gcs;
mod people;
mod report;
#[cfg(feature = "cloud")]
mod servers;
#[cfg(feature = "cloud")]
mod weed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tempfile::TempDir;

use crate::support::{BINARY, Ended, files};
use crate::words::demo;

const DATASETS: [&str; 7] =
    ["activities", "streams", "rejects", "origins", "matches", "golden", "weights.toml"];

/// The demo's lake as it was fetched and imported, and a store that tasks share.
pub struct Shared {
    folder: TempDir,
    store: String,
    environment: Vec<(String, String)>,
}

impl Shared {
    /// Over a folder that all tasks reach.
    fn folder() -> Shared {
        let folder = tempfile::tempdir().unwrap();
        let store = format!("file://{}", folder.path().join("store").display());
        Shared::over(folder, store, Vec::new())
    }

    fn over(folder: TempDir, store: String, environment: Vec<(String, String)>) -> Shared {
        let copied = Command::new("cp").arg("-r").arg(demo_lake()).arg(folder.path().join("home")).status();
        assert!(copied.unwrap().success());
        for dataset in DATASETS {
            let path = folder.path().join("home").join(dataset);
            let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
        }
        Shared { folder, store, environment }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env("LONGRUN_LAKE", &self.store).stdin(Stdio::null());
        command.envs(self.environment.iter().cloned()).env("LONGRUN_SCRATCH", self.folder.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    fn push(&self) -> Ended {
        let home = self.path("home");
        self.run(&["--lake", home.to_str().unwrap(), "lake", "push", &self.store]).expect(0)
    }

    fn plan(&self, id: &str) {
        let home = self.path("home");
        let planned = self.run(&["run", "plan", "--id", id, "--state", home.to_str().unwrap()]).expect(0);
        assert_eq!(planned.stdout, format!("{id}\n"));
    }

    fn begin(&self, step: &str, id: &str, shard: u32, of: u32) -> Child {
        let mut command = self.command(&[step, "--run", id, "--shard", &format!("{shard}/{of}"), "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// All shards of a step at once; the sum of what they counted under a name.
    fn step(&self, step: &str, id: &str, of: u32) -> Vec<serde_json::Value> {
        let tasks: Vec<Child> = (0..of).map(|shard| self.begin(step, id, shard, of)).collect();
        tasks.into_iter().map(|task| Ended::of(task.wait_with_output().unwrap()).expect(0).json()).collect()
    }

    /// A whole run by so many workers at a time.
    fn whole(&self, id: &str, workers: u32) {
        self.plan(id);
        self.step("normalize", id, workers);
        self.run(&["run", "learn", id]).expect(0);
        self.step("dedupe", id, workers);
        self.finish(id);
    }

    /// The last step, and what it lists.
    fn finish(&self, id: &str) -> serde_json::Value {
        let finished = self.run(&["run", "finish", id, "--json"]);
        let listed = finished.json();
        let is_sound = listed["rejects"] == 0;
        finished.expect(if is_sound { 0 } else { 3 });
        listed
    }

    /// What lies in the store, brought back.
    fn pulled(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let back = self.path("back");
        let _ = std::fs::remove_dir_all(&back);
        self.run(&["--lake", back.to_str().unwrap(), "lake", "pull", &self.store]).expect(0);
        datasets(&back)
    }
}

fn demo_lake() -> PathBuf {
    demo().0.path().join("lake-demo")
}

/// The files that normalizing and deduping makes, with their bytes.
fn datasets(lake: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let is_dataset = |path: &Path| DATASETS.iter().any(|dataset| path.starts_with(dataset));
    let below = |(path, bytes): (PathBuf, Vec<u8>)| (path.strip_prefix(lake).unwrap().to_path_buf(), bytes);
    files(lake).into_iter().map(below).filter(|(path, _)| is_dataset(path)).collect()
}

#[track_caller]
fn assert_same(tasks: &BTreeMap<PathBuf, Vec<u8>>, one_machine: &BTreeMap<PathBuf, Vec<u8>>) {
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(tasks), names(one_machine));
    assert!(tasks.len() > 20, "the demo has more files");
    let other: Vec<&PathBuf> = tasks.keys().filter(|path| tasks[*path] != one_machine[*path]).collect();
    assert!(other.is_empty(), "other bytes in {other:?}");
}

#[test]
fn tasks_make_what_one_machine_makes() {
    let shared = Shared::folder();
    shared.push();
    shared.whole("first", 2);
    assert_same(&shared.pulled(), &datasets(&demo_lake()));
    // A run that finds nothing writes nothing.
    shared.plan("second");
    for step in ["normalize", "dedupe"] {
        for worked in shared.step(step, "second", 2) {
            assert_eq!((&worked["files"], &worked["overtaken"]), (&0.into(), &0.into()), "{worked}");
        }
    }
    let listed = shared.finish("second");
    assert_eq!(listed["files"].as_array().unwrap().len(), datasets(&demo_lake()).len() - 1);
    // What was pushed before is not pushed again, and the datasets that tasks have made stay.
    let again = shared.push();
    assert!(again.stderr.contains("pushed 0 files"), "{}", again.stderr);
    assert!(datasets(&shared.path("store")).len() > 20);
}

#[test]
fn a_person_with_most_of_the_data_changes_nothing() {
    let shared = Shared::folder();
    let home = shared.path("home").display().to_string();
    let export = shared.path("export.xml").display().to_string();
    shared.run(&["synth", "apple-export", "--seed", "5", "--bytes", "70000000", &export]).expect(0);
    shared.run(&["--lake", &home, "import", "auto", &export, "--user", "giant"]).expect(0);
    let one = shared.path("one").display().to_string();
    assert!(Command::new("cp").args(["-r", &home, &one]).status().unwrap().success());
    shared.run(&["--lake", &one, "normalize"]);
    shared.run(&["--lake", &one, "dedupe"]).expect(0);
    shared.push();
    let planned = shared.run(&["run", "plan", "--id", "r", "--state", &home, "--json"]).expect(0).json();
    assert!(planned["largest_bytes"].as_u64() > planned["bytes"].as_u64().map(|all| all / 2), "{planned}");
    let tasks = shared.step("normalize", "r", 4);
    let buckets: Vec<u64> = tasks.iter().map(|task| task["buckets"].as_u64().unwrap()).collect();
    assert!(buckets.contains(&1) && buckets.iter().sum::<u64>() == planned["buckets"], "{buckets:?}");
    shared.run(&["run", "learn", "r"]).expect(0);
    shared.step("dedupe", "r", 4);
    shared.finish("r");
    assert_same(&shared.pulled(), &datasets(Path::new(&one)));
}

#[test]
fn killed_tasks_and_twins_come_to_what_one_machine_makes() {
    let shared = Shared::folder();
    shared.push();
    shared.plan("r");
    let mut rng = Pcg64Mcg::seed_from_u64(7);
    let mut disturbed = |step: &str| {
        for _ in 0..6 {
            let mut twins = [shared.begin(step, "r", 0, 1), shared.begin(step, "r", 0, 1)];
            std::thread::sleep(Duration::from_millis(rng.random_range(20..1500)));
            for twin in &mut twins {
                // One that has ended by itself is no failure.
                let _ = twin.kill();
                twin.wait().unwrap();
            }
        }
        let twins = [shared.begin(step, "r", 0, 1), shared.begin(step, "r", 0, 1)];
        for twin in twins {
            Ended::of(twin.wait_with_output().unwrap()).expect(0);
        }
    };
    disturbed("normalize");
    shared.run(&["run", "learn", "r"]).expect(0);
    disturbed("dedupe");
    shared.finish("r");
    assert_same(&shared.pulled(), &datasets(&demo_lake()));
}

#[test]
fn a_run_that_is_not_through_is_not_finished_and_says_what_is_owed() {
    let shared = Shared::folder();
    shared.push();
    shared.plan("r");
    let refused = shared.run(&["dedupe", "--run", "r"]).expect(2);
    assert!(refused.stderr.contains("run learn r"), "{}", refused.stderr);
    shared.run(&["normalize", "--run", "r", "--shard", "0/5"]).expect(0);
    let refused = shared.run(&["run", "finish", "r"]).expect(2);
    assert!(refused.stderr.contains("4 of 5 buckets are not done with normalize"), "{}", refused.stderr);
    let refused = shared.run(&["run", "learn", "r"]).expect(2);
    assert!(refused.stderr.contains("4 of 5 buckets are not done with normalize"), "{}", refused.stderr);
    let said = shared.run(&["run", "progress", "r"]).expect(0).stderr;
    assert!(said.contains("normalize: 1 of 5 buckets"), "{said}");
    // A task takes its number from its scheduler.
    let of_scheduler = |set: &[(&str, &str)]| {
        let mut command = shared.command(&["normalize", "--run", "r", "--json"]);
        Ended::of(command.envs(set.iter().copied()).output().unwrap())
    };
    let worked =
        of_scheduler(&[("CLOUD_RUN_TASK_INDEX", "1"), ("CLOUD_RUN_TASK_COUNT", "5")]).expect(0).json();
    assert_eq!(worked["buckets"], 1);
    let again = of_scheduler(&[("JOB_COMPLETION_INDEX", "1"), ("LONGRUN_SHARDS", "5")]).expect(0).json();
    assert_eq!((&again["buckets"], &again["done_before"]), (&0.into(), &1.into()));
    let little = shared.run(&["normalize", "--run", "r", "--scratch-mib", "1"]).expect(2);
    assert!(little.stderr.contains("of scratch") && little.stderr.contains("--scratch"), "{}", little.stderr);
}

#[test]
fn a_late_task_of_a_finished_run_changes_nothing() {
    let shared = Shared::folder();
    shared.push();
    shared.whole("r", 1);
    let store = datasets(&shared.path("store"));
    // As if it had been overtaken before it was done.
    let marks = shared.path("store/runs/r/normalize");
    std::fs::remove_dir_all(marks).unwrap();
    let late = shared.run(&["normalize", "--run", "r"]).expect(0);
    assert!(late.stderr.contains("run r is finished; nothing was changed"), "{}", late.stderr);
    assert_same(&datasets(&shared.path("store")), &store);
}

#[test]
fn some_buckets_of_a_lake_are_normalized_and_the_rest_by_the_next_command() {
    let shared = Shared::folder();
    let home = shared.path("home");
    let lake = ["--lake", home.to_str().unwrap()];
    let run = |args: &[&str]| shared.run(&[&lake[..], args].concat());
    run(&["normalize", "--shard", "0/2"]);
    let half = datasets(&home).len();
    assert!(half > 0 && half < 100);
    run(&["normalize", "--shard", "1/2"]);
    run(&["dedupe"]).expect(0);
    assert_same(&datasets(&home), &datasets(&demo_lake()));
    let refused = run(&["normalize", "--bucket", "128"]).expect(2);
    assert!(refused.stderr.contains("the lake has 128, from 0 on"), "{}", refused.stderr);
}

#[test]
fn tables_of_people_are_made_in_tasks_and_are_those_of_one_machine() {
    let shared = Shared::folder();
    shared.push();
    shared.whole("r", 2);
    let refused = shared.run(&["stats", "--run", "r"]).expect(2);
    assert!(refused.stderr.contains("add user to --by"), "{}", refused.stderr);
    for shard in ["0/2", "1/2"] {
        shared.run(&["stats", "--by", "user,year", "--run", "r", "--shard", shard]).expect(0);
    }
    let lake = demo_lake();
    let whole = shared.path("whole/all.parquet");
    std::fs::create_dir(shared.path("whole")).unwrap();
    let args = ["--lake", lake.to_str().unwrap(), "stats", "--by", "user,year", "--parquet"];
    shared.run(&[&args[..], &[whole.to_str().unwrap()]].concat()).expect(0);
    let tasks = crate::support::rows(&shared.path("store/runs/r"), "stats");
    assert!(tasks == crate::support::rows(&shared.path(""), "whole"), "other lines");
    assert!(tasks.len() > 10);
    for worked in shared.step("verify", "r", 2) {
        assert_eq!(worked["failed"], serde_json::json!([]), "{worked}");
    }
}

#[test]
fn another_number_of_buckets_keeps_every_byte_and_a_kill_anywhere_is_carried_on() {
    let shared = Shared::folder();
    let home = shared.path("home");
    let lake = ["--lake", home.to_str().unwrap()];
    let run = |args: &[&str]| shared.run(&[&lake[..], args].concat());
    let mut rng = Pcg64Mcg::seed_from_u64(3);
    let landing = |lake: &Path| -> BTreeMap<PathBuf, Vec<u8>> {
        let kept = files(&lake.join("landing")).into_iter().filter(|(path, _)| !path.ends_with("walked.bin"));
        kept.map(|(path, bytes)| (path.strip_prefix(lake).unwrap().to_path_buf(), bytes)).collect()
    };
    for buckets in ["3", "128"] {
        for _ in 0..8 {
            let mut command = shared.command(&[&lake[..], &["lake", "rebucket", buckets]].concat());
            let mut child = command.stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(rng.random_range(1..150)));
            // One that has ended by itself is no failure.
            let _ = child.kill();
            child.wait().unwrap();
        }
        run(&["lake", "rebucket", buckets]).expect(0);
        assert!(run(&["lake", "rebucket", buckets]).expect(0).stderr.contains("already"));
        run(&["normalize"]);
        run(&["dedupe"]).expect(0);
        let workouts = crate::support::rows(&home, "golden").len();
        assert_eq!(workouts, crate::support::rows(&demo_lake(), "golden").len(), "with {buckets} buckets");
    }
    // There and back, it is what it was.
    assert!(landing(&home) == landing(&demo_lake()), "the landing has other bytes");
    assert_same(&datasets(&home), &datasets(&demo_lake()));
    assert!(!home.join("rebucket").exists());
    let new = shared.path("new");
    let made = shared.run(&["--lake", new.to_str().unwrap(), "lake", "new", "--buckets", "4096"]).expect(0);
    assert!(made.stderr.contains("4,096 buckets"), "{}", made.stderr);
    let charter = std::fs::read_to_string(new.join("lake.toml")).unwrap();
    assert!(charter.contains("buckets = 4096"), "{charter}");
}

#[cfg(not(feature = "cloud"))]
#[test]
fn a_url_without_object_stores_says_how_to_build_them() {
    let place = crate::support::Place::new();
    for args in [
        ["--lake", "s3://people/lake", "run", "progress", "r"],
        ["--lake", "gs://people", "run", "progress", "r"],
    ] {
        let refused = place.run(&args).expect(2);
        assert!(refused.stderr.contains("--features cloud"), "{}", refused.stderr);
    }
}

#[test]
fn commands_that_write_on_one_machine_say_so_of_a_url() {
    let place = crate::support::Place::new();
    for args in [
        &["fetch"][..],
        &["import", "auto", "x", "--user", "a"],
        &["report"],
        &["export", "x", "--user", "a"],
        &["dedupe"],
    ] {
        let refused = place.run(&[&["--lake", "s3://people/lake"], args].concat()).expect(2);
        assert!(refused.stderr.contains("lake pull s3://people/lake"), "{args:?}: {}", refused.stderr);
    }
}
