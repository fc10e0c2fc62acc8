//! Forgetting a person in a lake that has everything a lake can have.

use longrun::store::purge::{Holds, places};

use super::Shared;
use crate::purge::naming;

/// No word of anybody else has it in it.
const THEIRS: &str = "ellie";

#[test]
fn everything_that_names_a_person_lies_in_the_places_of_a_purge_and_goes() {
    // What the demo landed, sent and rehearsed, and a run in tasks with its report.
    let shared = Shared::folder();
    let home = shared.path("home");
    let run = |args: &[&str]| shared.run(&[&["--lake", home.to_str().unwrap()], args].concat());
    run(&["run", "plan", "--id", "r"]).expect(0);
    run(&["normalize", "--run", "r"]).expect(0);
    run(&["run", "learn", "r"]).expect(0);
    run(&["dedupe", "--run", "r"]).expect(0);
    run(&["report", "--run", "r"]).expect(0);
    run(&["run", "report", "r"]).expect(0);
    let named = naming(&home, THEIRS);
    let place = |path: &String| places().find(|(folder, _)| path.starts_with(&format!("{folder}/")));
    let elsewhere: Vec<&String> = named.iter().filter(|path| place(path).is_none()).collect();
    assert_eq!(elsewhere, ["state.db"]);
    for holds in [Holds::Answers, Holds::Imports, Holds::Buckets, Holds::Everybody, Holds::Lines] {
        assert!(named.iter().filter_map(place).any(|(_, found)| found == holds), "{holds:?} of {named:?}");
    }
    let lines = || std::fs::read_to_string(home.join("redrive/messages.jsonl")).unwrap();
    let of_others: Vec<String> =
        lines().lines().filter(|line| !line.contains(THEIRS)).map(str::to_string).collect();
    assert!(of_others.len() > 100 && of_others.len() < lines().lines().count());
    run(&["purge", "--user", THEIRS, "--apply"]).expect(0);
    assert_eq!(naming(&home, THEIRS), Vec::<String>::new());
    assert_eq!(lines().lines().collect::<Vec<_>>(), of_others);
    assert!(!home.join("reports/report.html").exists());
}
