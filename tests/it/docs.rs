//! Each page of `docs/` begins with an example, and that works as printed.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::support::{BINARY, Ended, python_with};
use crate::words::demo;

/// The first block of commands on a page.
fn first_example(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once("```sh\n").unwrap();
    rest.split_once("```").unwrap().0.to_string()
}

/// Runs it as somebody would who has longrun on the path, in an empty folder. A demo that it begins with has run
/// already.
#[track_caller]
fn works(page: &str, python: Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bin");
    std::fs::create_dir(&path).unwrap();
    symlink(BINARY, path.join("longrun")).unwrap();
    if let Some(python) = python {
        std::fs::write(path.join("python3"), format!("#!/bin/sh\nexec '{python}' \"$@\"\n")).unwrap();
        Command::new("chmod").arg("+x").arg(path.join("python3")).status().unwrap();
    }
    let mut example = first_example(page);
    if let Some(after_demo) = example.strip_prefix("longrun demo\n") {
        let lake = demo().0.path().join("lake-demo");
        let copied = Command::new("cp").arg("-r").arg(lake).arg(folder.path()).status().unwrap();
        assert!(copied.success());
        example = after_demo.to_string();
    }
    let output = Command::new("bash")
        .args(["-euc", &example])
        .current_dir(&folder)
        .env("PATH", format!("{}:{}", path.display(), std::env::var("PATH").unwrap()))
        .env_remove("LONGRUN_LAKE")
        .output()
        .unwrap();
    let ended = Ended::of(output).expect(0);
    assert!(!ended.stderr.is_empty() || !ended.stdout.is_empty());
}

#[test]
fn the_example_of_fetching_works_as_printed() {
    works("fetch.md", None);
}

#[test]
fn the_example_of_scale_works_as_printed() {
    works("scale.md", None);
}

#[test]
fn the_example_of_the_sources_works_as_printed() {
    works("sources.md", None);
}

#[test]
fn the_example_of_matching_works_as_printed() {
    works("matching.md", None);
}

#[test]
fn the_example_of_redriving_works_as_printed() {
    works("redrive.md", None);
}

#[test]
fn the_example_of_the_lake_works_as_printed() {
    let Some(python) = python_with("duckdb") else { return };
    works("lake.md", Some(python));
}

#[test]
fn the_example_of_running_it_works_as_printed() {
    works("running.md", None);
}

#[test]
fn the_example_of_the_benchmarks_works_as_printed() {
    works("benchmarks.md", None);
}
