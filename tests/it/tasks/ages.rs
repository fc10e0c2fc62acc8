//! Two runs open at once: who is older never writes over who is newer.

use std::process::Command;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{Shared, assert_same, datasets, demo_lake};
use crate::support::Ended;

/// Stops a process, or lets it go on.
fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

/// A run in which nothing matches.
fn plan_strictly(shared: &Shared, id: &str) -> Ended {
    let home = shared.path("home");
    let odds = ["--match-odds", "1e300", "--review-odds", "1e299"];
    let plan = ["run", "plan", "--id", id, "--state", home.to_str().unwrap()];
    shared.run(&[&plan[..], &odds].concat()).expect(0)
}

#[test]
fn a_task_of_an_older_run_that_stood_still_writes_nothing_over_a_newer_run() {
    let seed = 16;
    println!("seed {seed}");
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let shared = Shared::folder();
    shared.push();
    let one_machine = datasets(&demo_lake());
    for round in 0..5 {
        let (old, new) = (format!("old-{round}"), format!("new-{round}"));
        plan_strictly(&shared, &old);
        shared.step("normalize", &old, 2);
        shared.run(&["run", "learn", &old]).expect(0);
        let task = shared.begin("dedupe", &old, 0, 1);
        std::thread::sleep(Duration::from_millis(rng.random_range(5..600)));
        signal("-STOP", task.id());
        shared.whole(&new, 1);
        assert_same(&shared.pulled(), &one_machine);
        signal("-CONT", task.id());
        let ended = Ended::of(task.wait_with_output().unwrap()).expect(0);
        println!("round {round}: {}", ended.stderr.trim_end());
        assert_same(&shared.pulled(), &one_machine);
    }
}

#[test]
fn a_run_ends_those_that_were_planned_before_it_and_they_say_so() {
    let shared = Shared::folder();
    shared.push();
    plan_strictly(&shared, "old");
    shared.step("normalize", "old", 1);
    shared.run(&["run", "learn", "old"]).expect(0);
    shared.run(&["dedupe", "--run", "old", "--shard", "0/2"]).expect(0);
    let home = shared.path("home");
    let planned = shared.run(&["run", "plan", "--id", "new", "--state", home.to_str().unwrap()]).expect(0);
    assert!(planned.stderr.contains("this ends old"), "{}", planned.stderr);
    let over = "run old is over: run new was planned after it";
    let late = shared.run(&["dedupe", "--run", "old", "--shard", "1/2"]).expect(0);
    assert!(late.stderr.contains(over), "{}", late.stderr);
    let refused = shared.run(&["run", "finish", "old"]).expect(2);
    assert!(refused.stderr.contains(over), "{}", refused.stderr);
    let progress = shared.run(&["run", "progress", "old"]).expect(0);
    assert!(progress.stderr.contains(over), "{}", progress.stderr);
    for step in ["normalize", "dedupe"] {
        shared.step(step, "new", 2);
        if step == "normalize" {
            shared.run(&["run", "learn", "new"]).expect(0);
        }
    }
    shared.finish("new");
    assert_same(&shared.pulled(), &datasets(&demo_lake()));
    // A run is over for those that come after it, and costs them nothing.
    let next = shared.run(&["run", "plan", "--id", "next", "--state", home.to_str().unwrap()]).expect(0);
    assert!(!next.stderr.contains("this ends"), "{}", next.stderr);
}
