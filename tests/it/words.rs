//! All that people read, in one place: `snapshots/` holds the help of every command, a day with a small lake, the
//! demo, and every sentence of an error. What differs from run to run (ports, paths, durations, sizes) is replaced.
//!
//! `LONGRUN_RENEW=1 cargo test --release --test it words` writes them again, and the demo's lines in the README.

mod day;
mod errors;

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use clap::CommandFactory;
use longrun::cli::Cli;
use tempfile::TempDir;

use crate::support::BINARY;

const RENEW: &str = "LONGRUN_RENEW=1 cargo test --release --test it words";

fn project(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

fn is_renewing() -> bool {
    std::env::var_os("LONGRUN_RENEW").is_some()
}

/// The folder that a demo ran in, and what it printed. It runs once for all tests.
pub fn demo() -> &'static (TempDir, String) {
    static DEMO: LazyLock<(TempDir, String)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let (printed, code) = as_on_a_terminal(Command::new(BINARY).arg("demo").current_dir(&folder));
        assert_eq!(code, Some(0), "{printed}");
        (folder, printed)
    });
    &DEMO
}

/// Compares with a snapshot, or writes it.
#[track_caller]
fn check(name: &str, text: &str) {
    let path = project("tests/it/snapshots").join(name);
    if is_renewing() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{name} has changed; if it reads well, run {RENEW}\n{}", difference(&kept, text));
}

/// Runs it, and gives both of its outputs in the order they came, and its exit code.
pub fn as_on_a_terminal(command: &mut Command) -> (String, Option<i32>) {
    let mut both = tempfile::tempfile().unwrap();
    command.stdout(both.try_clone().unwrap()).stderr(both.try_clone().unwrap());
    let code = command.status().unwrap().code();
    let mut printed = String::new();
    both.rewind().unwrap();
    both.read_to_string(&mut printed).unwrap();
    (printed, code)
}

/// What has changed: `-` was, `+` is, with two lines around each.
fn difference(was: &str, is: &str) -> String {
    const AROUND: usize = 2;
    let (was, is): (Vec<&str>, Vec<&str>) = (was.lines().collect(), is.lines().collect());
    // How many lines the rests from here on have in common, in order.
    let mut common = vec![vec![0_u32; is.len() + 1]; was.len() + 1];
    for a in (0..was.len()).rev() {
        for b in (0..is.len()).rev() {
            let either = common[a + 1][b].max(common[a][b + 1]);
            common[a][b] = if was[a] == is[b] { common[a + 1][b + 1] + 1 } else { either };
        }
    }
    let (mut a, mut b, mut lines) = (0, 0, Vec::new());
    while a < was.len() || b < is.len() {
        if a < was.len() && b < is.len() && was[a] == is[b] {
            lines.push((' ', was[a]));
            (a, b) = (a + 1, b + 1);
        } else if b == is.len() || (a < was.len() && common[a + 1][b] >= common[a][b + 1]) {
            lines.push(('-', was[a]));
            a += 1;
        } else {
            lines.push(('+', is[b]));
            b += 1;
        }
    }
    let is_near = |at: usize| {
        lines[at.saturating_sub(AROUND)..lines.len().min(at + AROUND + 1)]
            .iter()
            .any(|(mark, _)| *mark != ' ')
    };
    let shown = (0..lines.len()).filter(|at| is_near(*at));
    shown.map(|at| format!("{} {}\n", lines[at].0, lines[at].1)).collect()
}

#[test]
fn a_difference_shows_what_changed_and_little_else() {
    let shown = difference("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nD\ne\nf\ng\n");
    assert_eq!(shown, "  b\n  c\n- d\n+ D\n  e\n  f\n+ g\n");
}

/// Every command with its own help, such as `dedupe decide`.
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = [path, &[sub.get_name().to_string()]].concat();
            found.push(path.clone());
            walk(sub, &path, found);
        }
    }
    let mut found = Vec::new();
    walk(&Cli::command(), &[], &mut found);
    found
}

#[test]
fn the_help_of_every_command_reads_as_in_the_snapshot() {
    let mut text = String::new();
    for command in [vec![Vec::new()], commands()].concat() {
        let output =
            Command::new(BINARY).args(&command).arg("--help").env("COLUMNS", "100").output().unwrap();
        assert!(output.status.success(), "{command:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        text +=
            &format!("$ longrun {}\n{}\n", [command, vec!["--help".to_string()]].concat().join(" "), help);
    }
    check("help.txt", &text);
}

#[test]
fn a_day_with_a_small_lake_reads_as_in_the_snapshot() {
    let day = day::spent();
    let missing: Vec<String> = commands()
        .into_iter()
        .filter(|path| !day.seen.iter().any(|seen| seen == path || seen.starts_with(path)))
        .map(|path| path.join(" "))
        // The first is read in its own snapshot, the second prints a script for a shell, the third installs from PyPI.
        .filter(|path| !["demo", "completions", "bench"].contains(&path.as_str()))
        .collect();
    assert!(missing.is_empty(), "the day has no run of {missing:?}");
    check("day.txt", &day.text);
}

#[test]
fn the_demo_reads_as_in_the_snapshot_and_in_the_readme() {
    let (folder, printed) = demo();
    let printed = printed.replace(&format!("{}/", folder.path().canonicalize().unwrap().display()), "");
    // Its figures come from invented people and from this machine: the words are what is kept.
    let words = figureless(&printed);
    // How often it has to wait for a window, and how long anything takes, depends on how fast this machine is.
    let is_wait = |line: &&str| line.starts_with("the read window is spent") || line.starts_with("waited #");
    let words = words.replace(" # minutes\n", " # s\n");
    let mut once: Vec<&str> = words.lines().filter(|line| !is_wait(line)).collect();
    once.dedup();
    check("demo.txt", &(once.join("\n") + "\n"));
    let readme_path = project("README.md");
    let readme = std::fs::read_to_string(&readme_path).unwrap();
    let (before, rest) = readme.split_once("tests/it/words.rs -->\n```text\n").unwrap();
    let (shown, after) = rest.split_once("\n```").unwrap();
    let shown_in_demo =
        |line: &&str| line.contains('…') || is_wait(line) || once.contains(&figureless_line(line).as_str());
    if is_renewing() {
        let renewed = format!("{before}tests/it/words.rs -->\n```text\n{}\n```{after}", excerpt(&printed));
        std::fs::write(&readme_path, renewed).unwrap();
    } else if let Some(line) = shown.lines().find(|line| !shown_in_demo(line)) {
        panic!("the README shows a line that the demo does not print: {line:?}; renew it with {RENEW}");
    }
}

/// The demo's lines without its tables and reasons.
fn excerpt(printed: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in printed.lines() {
        let is_row = line.starts_with("  ")
            && !line.trim_start().starts_with("lake-demo/")
            && !line.contains("longrun");
        let shown = if is_row || line.starts_with("held back") { "  …" } else { line };
        let is_repeated = lines.last().is_some_and(|last| figureless_line(last) == figureless_line(shown));
        if !is_repeated {
            lines.push(shown);
        }
    }
    lines.join("\n")
}

/// Every number replaced, and what aligned it.
fn figureless(text: &str) -> String {
    text.lines().map(|line| figureless_line(line) + "\n").collect()
}

fn figureless_line(line: &str) -> String {
    let mut text = String::new();
    let mut is_in_number = false;
    for c in line.chars() {
        let is_number = c.is_ascii_digit() || (is_in_number && matches!(c, '.' | ',' | ':' | '-' | 'e'));
        if is_number && !is_in_number {
            text.push('#');
        } else if !is_number {
            text.push(c);
        }
        is_in_number = is_number;
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("-#", "#").replace("+#", "#")
}
