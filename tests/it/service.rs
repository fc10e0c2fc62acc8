//! `longrun run`: everything that is due, by one command.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use longrun::testing::emulator::Config;
use longrun::testing::synth::Options;

use crate::support::{Place, WIDE, World};

const HEVY: &str = "\
title,start_time,end_time,description,exercise_title,superset_id,exercise_notes,set_index,set_type,weight_kg,reps,distance_km,duration_seconds,rpe
Legs,\"1 May 2024, 18:30\",\"1 May 2024, 19:30\",,Squat,,,0,normal,100,5,,,
";
const GPX: &str = "<gpx><trk><type>running</type><trkseg>\
    <trkpt lat=\"52.0\" lon=\"13\"><time>2024-05-02T07:00:00Z</time></trkpt>\
    <trkpt lat=\"52.01\" lon=\"13\"><time>2024-05-02T07:06:00Z</time></trkpt></trkseg></trk></gpx>";

fn exists(place: &Place, name: &str) -> bool {
    place.folder.path().join(name).exists()
}

#[test]
fn the_inbox_is_imported_and_put_away_and_what_is_no_export_is_refused_with_the_reason() {
    let place = Place::new();
    place.file("inbox/alice/hevy.csv", HEVY);
    place.file("inbox/alice/notes.txt", "no export");
    place.file("inbox/alice/big.zip.part", "half of");
    place.file("inbox/bob/run.gpx", GPX);
    let inbox = place.folder.path().join("inbox");
    let run = ["run", "--inbox", inbox.to_str().unwrap(), "--timezone", "Europe/Berlin"];

    let early = place.run(&run).expect(0);
    assert!(early.stderr.contains("3 still being written"), "{}", early.stderr);
    assert!(exists(&place, "inbox/alice/hevy.csv"));

    let settled = [&run[..], &["--settle", "0s"]].concat();
    let ended = place.run(&settled).expect(3);
    assert!(ended.stderr.contains("2 archives imported, 1 refused"), "{}", ended.stderr);
    for name in ["done/alice/hevy.csv", "done/bob/run.gpx", "refused/alice/notes.txt", "alice/big.zip.part"] {
        assert!(exists(&place, &format!("inbox/{name}")), "{name}");
    }
    let why = std::fs::read_to_string(inbox.join("refused/alice/notes.txt.why.txt")).unwrap();
    assert!(why.contains("is not an export that longrun knows"), "{why}");
    assert_eq!(place.rows("golden").len(), 2);
    assert!(exists(&place, "lake/reports/report.html"));

    // The same once more, as after a kill between importing and moving, and another.
    place.file("inbox/alice/hevy.csv", HEVY);
    place.file("inbox/bob/later.gpx", GPX.replace("05-02", "05-03"));
    let ended = place.run(&settled).expect(0);
    assert!(ended.stderr.contains("1 archive imported, 1 imported before"), "{}", ended.stderr);
    assert!(exists(&place, "inbox/done/alice/hevy.csv (2)"));
    let said = ended.stderr.lines().find(|line| line.starts_with("since ")).expect("what has changed");
    assert!(said.ends_with("+1 record, +1 workout, +1 km"), "{said}");
    let again = place.run(&settled).expect(0);
    assert!(again.stderr.contains("nothing has changed since"), "{}", again.stderr);
}

#[test]
fn an_inbox_takes_no_lake_follows_no_link_and_waits_for_no_pipe() {
    let place = Place::new();
    place.file("inbox/alice/run.gpx", GPX);
    place.file("elsewhere/ride.gpx", GPX.replace("05-02", "05-04"));
    let at = |name: &str| place.folder.path().join(name);
    std::os::unix::fs::symlink(at("elsewhere"), at("inbox/mallory")).unwrap();
    std::os::unix::fs::symlink(at("elsewhere/ride.gpx"), at("inbox/alice/link.gpx")).unwrap();
    let pipe = Command::new("mkfifo").arg(at("inbox/alice/pipe.fit")).status().unwrap();
    assert!(pipe.success());
    let run = |inbox: &str| {
        let inbox = at(inbox);
        place.run(&["run", "--inbox", inbox.to_str().unwrap(), "--settle", "0s", "--until", "import"])
    };
    let said = run("inbox").stderr;
    assert!(said.contains("mallory is a symbolic link"), "{said}");
    assert!(exists(&place, "elsewhere/ride.gpx"), "what lies behind a link was moved");
    for (name, reason) in [("link.gpx", "a symbolic link"), ("pipe.fit", "neither a file nor a folder")] {
        let why = std::fs::read_to_string(at(&format!("inbox/refused/alice/{name}.why.txt"))).unwrap();
        assert!(why.contains(reason), "{why}");
    }
    // The folder that the lake lies in.
    let refused = run("").expect(1);
    assert!(refused.stderr.contains("one lies in the other"), "{}", refused.stderr);
    place.run(&["verify"]).expect(0);
}

#[test]
fn one_command_fetches_and_does_all_that_follows_up_to_a_stage() {
    let options = Options { seed: 41, users: 2, activities: 30 };
    let (world, _) = World::of(options, Config { limits: WIDE, ..Config::default() });
    world.add_accounts();
    world.run(&["run", "--until", "normalize"]).expect(0);
    assert!(!world.lake_folder().join("golden").exists());
    let ended = world.run(&["run", "--json"]).expect(0);
    assert_eq!(ended.json()["figures"]["workouts"], 60);
    assert!(ended.json()["figures"]["owed"].is_null(), "nothing is known of a pipeline");
}

/// A stage that cannot do its work is said, and the others do theirs.
#[test]
fn a_stage_that_fails_does_not_stop_the_others() {
    let place = Place::new();
    let file = place.file("hevy.csv", HEVY);
    place.run(&["import", "hevy", &file, "--user", "alice"]).expect(0);
    let nowhere = place.folder.path().join("nowhere");
    let ended = place.run(&["run", "--inbox", nowhere.to_str().unwrap()]).expect(1);
    assert!(ended.stderr.contains("import: failed to read"), "{}", ended.stderr);
    assert_eq!(place.rows("golden").len(), 1);
}

#[cfg(unix)]
#[test]
fn a_service_runs_again_and_again_and_stops_cleanly_when_asked() {
    let place = Place::new();
    place.file("inbox/alice/hevy.csv", HEVY);
    let inbox = place.folder.path().join("inbox");
    let args = ["run", "--inbox", inbox.to_str().unwrap(), "--settle", "0s", "--every", "1s"];
    let mut service = place.command(&args).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(service.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut wait_for = |what: &str| {
        said.by_ref().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what} was never said"))
    };
    wait_for("the next run begins in");
    place.file("inbox/bob/run.gpx", GPX);
    wait_for("+1 record, +1 workout");
    let asked = Command::new("kill").args(["-TERM", &service.id().to_string()]).status().unwrap();
    assert!(asked.success());
    wait_for("stopped");
    assert_eq!(service.wait().unwrap().code(), Some(0));
}

fn states(ended: &crate::support::Ended) -> Vec<(String, String)> {
    let findings = ended.json();
    let of = |finding: &serde_json::Value, field: &str| finding[field].as_str().unwrap().to_string();
    findings.as_array().unwrap().iter().map(|finding| (of(finding, "what"), of(finding, "state"))).collect()
}

#[cfg(unix)]
#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let options = Options { seed: 43, users: 1, activities: 5 };
    let (world, _) = World::of(options, Config { limits: WIDE, ..Config::default() });
    let good = |what: &str| (what.to_string(), "good".to_string());
    let note = |what: &str| (what.to_string(), "note".to_string());
    let sound = world.run(&["doctor", "--json", "--free", "0"]).expect(0);
    let found = states(&sound);
    let expected =
        [good("disk"), good("lake"), note("accounts"), good("pipeline"), good("network"), good("clock")];
    assert_eq!(found, expected, "{}", sound.stdout);
    assert!(sound.stdout.contains("set LONGRUN_KEY"), "{}", sound.stdout);
    assert_eq!(world.emulator.log().len(), 0, "no call of the budget was spent");

    let full = world.run(&["doctor", "--offline", "--free", "1000000000"]).expect(1);
    assert!(full.stderr.contains("BAD   disk"), "{}", full.stderr);

    for name in ["weights.toml", "policy.toml", "rules.json"] {
        let path = world.lake_folder().join(name);
        std::fs::write(&path, "this is = no [toml").unwrap();
        let damaged = world.run(&["doctor", "--offline", "--free", "0"]).expect(1);
        assert!(damaged.stderr.contains("BAD   lake") && damaged.stderr.contains(name), "{}", damaged.stderr);
        std::fs::remove_file(&path).unwrap();
    }

    let place = Place::new();
    let nowhere = place.run(&["doctor", "--base-url", "http://127.0.0.1:9/api"]).expect(1);
    assert!(nowhere.stderr.contains("does not answer"), "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("there is no lake"), "{}", nowhere.stderr);
}
