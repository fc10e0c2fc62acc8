//! The report, collected in tasks: a page that is to the byte what one machine makes of the same lake.

use longrun::report::{Most, Options, Part, html, of_lake, part};
use longrun::store::lake::{Bucket, Lake};

use super::{Shared, demo_lake};
use crate::support::files;

#[test]
fn a_page_collected_by_any_number_of_workers_is_that_of_one_machine() {
    let shared = Shared::folder();
    shared.push();
    shared.plan("early");
    let refused = shared.run(&["report", "--run", "early"]).expect(2);
    assert!(
        refused.stderr.contains("5 of 5 buckets are not done with dedupe in run early"),
        "{}",
        refused.stderr
    );
    let mut pages = Vec::new();
    for workers in [1, 2, 4] {
        let id = format!("r{workers}");
        shared.whole(&id, workers);
        let refused = shared.run(&["run", "report", &id]).expect(2);
        assert!(refused.stderr.contains(&format!("longrun report --run {id}")), "{}", refused.stderr);
        let worked = shared.step("report", &id, workers);
        let files: u64 = worked.iter().map(|task| task["files"].as_u64().unwrap()).sum();
        assert_eq!(files, 5);
        let said = shared.run(&["run", "progress", &id]).expect(0).stderr;
        assert!(said.contains("report: 5 of 5 buckets"), "{said}");
        shared.run(&["run", "report", &id]).expect(0);
        pages.push(std::fs::read(shared.path(&format!("store/reports/run-{id}.html"))).unwrap());
    }
    shared.pulled();
    let (back, one) = (shared.path("back"), shared.path("one.html"));
    let page = |args: &[&str]| {
        let args =
            [&["--lake", back.to_str().unwrap(), "report", "--out", one.to_str().unwrap()], args].concat();
        shared.run(&args).expect(0);
        std::fs::read(&one).unwrap()
    };
    let whole = page(&[]);
    assert!(pages.iter().all(|page| *page == whole), "another page");
    assert_ne!(page(&["--shard", "0/2"]), whole);
    // A page of some of them is not that of the lake.
    let some = shared.run(&["--lake", back.to_str().unwrap(), "report", "--bucket", "3"]).expect(2);
    assert!(some.stderr.contains("add --out FILE"), "{}", some.stderr);
    assert_eq!(std::fs::read(back.join("reports/run-r4.html")).unwrap(), whole);
}

#[test]
fn a_pull_brings_the_page_of_the_run_and_leaves_the_reports_of_home() {
    let shared = Shared::folder();
    let home = shared.path("home");
    shared.push();
    shared.whole("r", 1);
    shared.step("report", "r", 1);
    shared.run(&["run", "report", "r"]).expect(0);
    let own = home.join("reports/report.html");
    std::fs::create_dir_all(home.join("reports")).unwrap();
    std::fs::write(&own, "with the live pipeline").unwrap();
    std::fs::write(home.join("reports/figures.json"), "{}").unwrap();
    let pull = || shared.run(&["--lake", home.to_str().unwrap(), "lake", "pull", &shared.store]).expect(0);
    assert!(pull().stderr.contains("reports/report.html is of what was there before"));
    let page = std::fs::read(shared.path("store/reports/run-r.html")).unwrap();
    let is_as_it_should_be = || {
        assert_eq!(std::fs::read(home.join("reports/run-r.html")).unwrap(), page);
        assert_eq!(std::fs::read(&own).unwrap(), b"with the live pipeline");
        assert_eq!(std::fs::read(home.join("reports/figures.json")).unwrap(), b"{}");
    };
    is_as_it_should_be();
    // Nothing new came, so nothing is out of date; and the page of a run stays where the store no longer has it.
    std::fs::remove_file(shared.path("store/reports/run-r.html")).unwrap();
    assert!(!pull().stderr.contains("of what was there before"));
    is_as_it_should_be();
}

#[test]
fn what_a_newer_run_has_made_is_in_no_report_of_an_older_one() {
    let shared = Shared::folder();
    shared.push();
    shared.whole("old", 1);
    let home = shared.path("home").display().to_string();
    let user = crate::support::rows(&demo_lake(), "golden")[0]["user_id"].clone();
    let export = shared.path("export.xml").display().to_string();
    shared.run(&["synth", "apple-export", "--seed", "5", "--bytes", "300000", &export]).expect(0);
    shared.run(&["--lake", &home, "import", "auto", &export, "--user", &user]).expect(0);
    shared.push();
    shared.plan("new");
    shared.step("normalize", "new", 1);
    let worked = shared.run(&["report", "--run", "old"]).expect(0);
    assert!(worked.stderr.contains("run old is over: run new was planned after it"), "{}", worked.stderr);
    let refused = shared.run(&["run", "report", "old"]).expect(2);
    assert!(refused.stderr.contains("buckets are not done with report in run old"), "{}", refused.stderr);
}

#[test]
fn parts_with_lists_of_other_lengths_lie_beside_each_other() {
    let shared = Shared::folder();
    shared.push();
    shared.whole("r", 1);
    let parts = || files(&shared.path("store/runs/r/report"));
    shared.run(&["report", "--run", "r"]).expect(0);
    let before = parts();
    // A late twin that was begun with other lists.
    shared.run(&["report", "--run", "r", "--workouts", "7", "--shard", "0/5"]).expect(0);
    let both = parts();
    assert!(before.iter().all(|(path, part)| both.get(path) == Some(part)) && both.len() == before.len() + 2);
    let refused = shared.run(&["run", "report", "r", "--workouts", "7"]).expect(2);
    let owed = "4 of 5 buckets are not done with report --workouts 7 in run r";
    assert!(refused.stderr.contains(owed), "{}", refused.stderr);
    assert!(refused.stderr.contains("`longrun report --workouts 7 --run r`"), "{}", refused.stderr);
    let said = shared.run(&["run", "progress", "r"]).expect(0).stderr;
    assert!(said.contains("report: 5 of 5") && said.contains("report --workouts 7: 1 of 5"), "{said}");
    shared.run(&["report", "--run", "r", "--workouts", "7"]).expect(0);
    let page = |args: &[&str]| {
        let out = shared.path("page.html");
        shared.run(&[args, &["--out", out.to_str().unwrap()]].concat()).expect(0);
        std::fs::read(out).unwrap()
    };
    let store = shared.path("store").display().to_string();
    for lists in [&[][..], &["--workouts", "7"]] {
        let parts = page(&[&["run", "report", "r"], lists].concat());
        assert!(
            parts == page(&[&["--lake", &store, "report"], lists].concat()),
            "another page with {lists:?}"
        );
    }
    let refused = shared.run(&["report", "--run", "r", "--user", "alice"]).expect(2);
    assert!(refused.stderr.contains("longrun run report r"), "{}", refused.stderr);
}

#[test]
fn lists_that_are_cut_short_come_out_the_same_in_parts() {
    let lake = Lake::open(&demo_lake()).unwrap();
    for most in [
        Most { workouts: 50, pairs: 10, people: 2, tracks: 40 },
        Most { workouts: 3, pairs: 1, people: 1, tracks: 1 },
        Most { workouts: 0, pairs: 0, people: 0, tracks: 0 },
    ] {
        let one = of_lake(&lake, &Options { most, ..Options::default() }, |_| {}).unwrap();
        assert_eq!(
            (one.workouts.len(), one.pairs.len(), one.people.len()),
            (most.workouts, most.pairs, most.people)
        );
        assert!(one.map.cells.iter().map(|cell| cell.lines.len()).sum::<usize>() <= most.tracks);
        let mut all = Part::new(most, Bucket(0));
        for bucket in lake.buckets() {
            let bytes = part(&lake, bucket, None, most, None).unwrap().to_bytes().unwrap();
            all.add(Part::from_bytes(&bytes).unwrap());
        }
        let parts = all.finish(one.weights.clone(), one.overview.pipeline.clone());
        assert!(html(&parts) == html(&one), "another page with {most:?}");
    }
}
