//! The same over servers: SeaweedFS, which speaks S3, and a double of Google's store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::cuts::Cuts;
use super::gcs::{BUCKET, Faults, Gcs};
use super::weed::{KEY, SECRET, Weed};
use super::{DATASETS, Shared, assert_same, datasets, demo_lake};
use crate::support::{Ended, files};

impl Weed {
    fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{}", self.port)),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .to_vec()
    }

    fn shared(&self, prefix: &str) -> Shared {
        Shared::over(tempfile::tempdir().unwrap(), format!("s3://{BUCKET}/{prefix}"), self.environment())
    }
}

impl Gcs {
    fn environment(&self) -> Vec<(String, String)> {
        vec![
            ("GOOGLE_SERVICE_ACCOUNT_KEY".to_string(), self.account()),
            ("GOOGLE_BASE_URL".to_string(), self.url()),
        ]
    }

    fn shared(&self, prefix: &str) -> Shared {
        let folder = tempfile::tempdir().unwrap();
        Shared::over(folder, format!("gs://{BUCKET}/{prefix}"), self.environment())
    }
}

#[test]
fn tasks_over_gcs_with_faults_make_what_one_machine_makes() {
    let gcs = Gcs::start(Faults { before: Some(7), after: Some(5) });
    for workers in [1, 2, 4] {
        let shared = gcs.shared(&format!("lake-{workers}"));
        shared.push();
        shared.whole("r", workers);
        assert_same(&shared.pulled(), &datasets(&demo_lake()));
    }
    let objects = gcs.objects();
    assert!(!objects.iter().any(|name| name.contains("state.db")), "{objects:?}");
}

/// A run over a network that loses one piece of an answer in twenty.
fn comes_through(shared: &Shared, cuts: &Cuts) {
    shared.push();
    shared.whole("r", 2);
    assert_same(&shared.pulled(), &datasets(&demo_lake()));
    println!("{} connections were cut", cuts.count());
    assert!(cuts.count() >= 5, "{}", cuts.count());
}

#[test]
fn tasks_over_a_network_that_loses_answers_make_what_one_machine_makes() {
    let mut gcs = Gcs::start(Faults::default());
    let cuts = Cuts::before(gcs.port, 20);
    gcs.port = cuts.port;
    comes_through(&gcs.shared("lake"), &cuts);
    let Some(mut weed) = Weed::start() else { return };
    let cuts = Cuts::before(weed.port, 20);
    weed.port = cuts.port;
    comes_through(&weed.shared("lake"), &cuts);
}

#[test]
fn tasks_over_s3_make_what_one_machine_makes() {
    let Some(weed) = Weed::start() else { return };
    for workers in [1, 2, 4] {
        let shared = weed.shared(&format!("lake-{workers}"));
        shared.push();
        shared.whole("r", workers);
        assert_same(&shared.pulled(), &datasets(&demo_lake()));
    }
}

#[test]
fn a_person_who_is_forgotten_in_a_store_leaves_nothing_there() {
    let gcs = Gcs::start(Faults::default());
    let shared = gcs.shared("lake");
    shared.push();
    shared.whole("r", 1);
    let preview = shared.run(&["purge", "--user", "nora"]).expect(0);
    assert!(preview.stderr.contains("stop every task first"), "{}", preview.stderr);
    let before = gcs.objects().len();
    let said = shared.run(&["purge", "--user", "nora", "--apply"]).expect(0).stderr;
    assert!(said.contains("lists nothing of nora"), "{said}");
    assert!(gcs.objects().len() < before);
    assert!(!gcs.objects().iter().any(|name| name.contains("/runs/")), "{:?}", gcs.objects());
    let back = shared.pulled();
    assert!(!back.values().any(|bytes| bytes.windows(4).any(|word| word == b"nora")));
    // The others are made anew by the next run.
    shared.whole("next", 1);
    let status = shared.run(&["status"]).expect(0);
    assert!(status.stdout.contains("run next") && status.stdout.contains("finished"), "{}", status.stdout);
}

fn ends_well(child: Child) {
    Ended::of(child.wait_with_output().unwrap()).expect(0);
}

/// What landed and was imported, without what each machine remembers of it.
fn landed(lake: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let kept = files(&lake.join("landing")).into_iter().filter(|(path, _)| !path.ends_with("walked.bin"));
    kept.map(|(path, bytes)| (path.strip_prefix(lake).unwrap().to_path_buf(), bytes)).collect()
}

#[test]
fn pushes_and_tasks_at_once_over_s3_come_to_what_one_machine_makes() {
    let Some(weed) = Weed::start() else { return };
    let shared = weed.shared("races");
    let begin =
        |args: &[&str]| shared.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Of one home and of its copy.
    let homes = ["home", "copy"].map(|name| shared.path(name).display().to_string());
    assert!(std::process::Command::new("cp").args(["-r", &homes[0], &homes[1]]).status().unwrap().success());
    let push = |home: &String| begin(&["--lake", home, "lake", "push", &shared.store]);
    homes.each_ref().map(push).into_iter().for_each(ends_well);
    shared.plan("r");
    for step in ["normalize", "dedupe"] {
        // Two tasks have every bucket, and what has landed goes up once more.
        let tasks = [shared.begin(step, "r", 0, 1), shared.begin(step, "r", 0, 1), push(&homes[0])];
        tasks.into_iter().for_each(ends_well);
        if step == "normalize" {
            shared.run(&["run", "learn", "r"]).expect(0);
        }
    }
    shared.finish("r");
    assert_same(&shared.pulled(), &datasets(&demo_lake()));
}

#[test]
fn a_push_and_a_pull_that_are_killed_anywhere_are_carried_on_to_the_same_bytes() {
    let Some(weed) = Weed::start() else { return };
    let shared = weed.shared("cut");
    let seed = 161;
    println!("seed {seed}");
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut cut = |lake: &str, verb: &str| {
        let mut killed = 0;
        for _ in 0..8 {
            let args = ["--lake", lake, "lake", verb, &shared.store];
            let mut child = shared.command(&args).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(rng.random_range(5..700)));
            let _ = child.kill();
            killed += u32::from(!child.wait().unwrap().success());
        }
        println!("{killed} of 8 were killed while they worked ({verb})");
        shared.run(&["--lake", lake, "lake", verb, &shared.store]).expect(0);
    };
    let (home, back) = (shared.path("home"), shared.path("back"));
    cut(home.to_str().unwrap(), "push");
    shared.whole("r", 2);
    cut(back.to_str().unwrap(), "pull");
    assert_same(&datasets(&back), &datasets(&demo_lake()));
    assert!(landed(&back) == landed(&home), "what landed has other bytes");
}

/// Whether a word stands in any file, or in what is compressed in it.
fn holds(files: &BTreeMap<PathBuf, Vec<u8>>, word: &str) -> Option<PathBuf> {
    let has = |bytes: &[u8]| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    let is_named = |path: &Path, bytes: &[u8]| {
        let is_segment = path.extension().is_some_and(|extension| extension == "zst");
        has(bytes) || is_segment && has(&zstd::stream::decode_all(bytes).unwrap())
    };
    files.iter().find(|(path, bytes)| is_named(path, bytes)).map(|(path, _)| path.clone())
}

#[test]
fn a_person_who_is_forgotten_on_one_side_comes_back_from_neither() {
    let gcs = Gcs::start(Faults::default());
    for first in ["home", "store"] {
        let shared = gcs.shared(&format!("forgotten-{first}"));
        let home = shared.path("home").display().to_string();
        shared.push();
        shared.whole("r", 1);
        let side = |lake: &str, args: &[&str]| shared.run(&[&["--lake", lake], args].concat());
        let forget = ["purge", "--user", "nora", "--apply"];
        let (asked, other) = if first == "home" { (&home, &shared.store) } else { (&shared.store, &home) };
        assert!(holds(&files(&shared.path("home")), "nora").is_some());
        side(asked, &forget).expect(0);
        // Neither way, and it says what to do.
        let (push, pull) = (["lake", "push", &shared.store], ["lake", "pull", &shared.store]);
        for copy in [push, pull] {
            let refused = side(&home, &copy).expect(2).stderr;
            let says = format!("`longrun --lake {other} purge --user nora --apply`");
            assert!(refused.contains(&says), "{refused}");
        }
        side(other, &forget).expect(0);
        side(&home, &push).expect(0);
        shared.whole("next", 1);
        side(&home, &pull).expect(0);
        shared.pulled();
        for folder in ["home", "back"] {
            let mut own = files(&shared.path(folder));
            // What the demo invented and sent is copied by neither.
            let home = shared.path("home");
            own.retain(|path, _| {
                *path != home.join("pipeline.jsonl") && !path.starts_with(home.join("redrive"))
            });
            assert_eq!(holds(&own, "nora"), None, "{folder}");
            for dataset in DATASETS.iter().filter(|dataset| !dataset.contains('.')) {
                let rows = crate::support::rows(&shared.path(folder), dataset);
                assert!(
                    !rows.iter().any(|row| row.values().any(|value| value.contains("nora"))),
                    "{dataset}"
                );
            }
        }
        let listed =
            gcs.contents().into_iter().filter(|(name, _)| name.starts_with(&format!("forgotten-{first}/")));
        let listed = listed.map(|(name, bytes)| (PathBuf::from(name), bytes)).collect();
        assert_eq!(holds(&listed, "nora"), None);
    }
}

#[test]
fn what_is_wrong_with_a_store_is_said_in_one_sentence_without_its_secrets() {
    let gcs = Gcs::start(Faults::default());
    let status = |url: &str, environment: &[(String, String)]| {
        let place = crate::support::Place::new();
        let mut command = place.command(&["--lake", url, "status"]);
        Ended::of(command.envs(environment.iter().cloned()).output().unwrap())
    };
    let gone = vec![
        ("AWS_ENDPOINT_URL".to_string(), "http://127.0.0.1:1".to_string()),
        ("AWS_ACCESS_KEY_ID".to_string(), KEY.to_string()),
        ("AWS_SECRET_ACCESS_KEY".to_string(), SECRET.to_string()),
    ];
    for (url, environment, says) in [
        ("gs://nobody/lake", gcs.environment(), "no bucket nobody"),
        ("gs://people/lake", gcs.environment(), "there is no lake at gs://people/lake"),
        ("s3://people/lake", gone, "cannot be reached"),
    ] {
        let said = status(url, &environment);
        assert_ne!(said.code, Some(0));
        assert!(said.stderr.contains(says) && said.stderr.trim_end().lines().count() == 1, "{}", said.stderr);
        assert!(!format!("{}{}", said.stdout, said.stderr).contains(SECRET), "{}", said.stderr);
    }
}
