//! What goes wrong: one clear sentence, the right exit code, and nothing lost.

use std::path::Path;
use std::process::{Command, Stdio};

use longrun::testing::emulator::Config;
use longrun::testing::synth::Options;

use crate::support::{BINARY, Ended, SmallDisk, WIDE, World, parquet_files, rows, segments};

const PEOPLE: Options = Options { seed: 51, users: 2, activities: 30 };

fn world() -> World {
    World::of(PEOPLE, Config { limits: WIDE, ..Config::default() }).0
}

#[test]
fn bad_pages_are_kept_reported_and_asked_for_again() {
    let nested = format!("[{}{}]", "[".repeat(10_000), "]".repeat(10_000));
    let cut = r#"[{"id":1,"start_date":"2024-01-01T00:00:00Z","type":"Run"},{"id":2,"na"#;
    for (body, reason) in [
        ("maintenance".to_string(), "text that is not JSON"),
        ("<html><h1>Busy</h1></html>".to_string(), "an HTML page"),
        (String::new(), "found nothing"),
        (nested, "none of the 1 records on the page can be read"),
        (r#"{"message":"ok"}"#.to_string(), "found an object"),
    ] {
        let world = world();
        // For ever: the account is named, with the way out, and the other one is fetched.
        for _ in 0..3 {
            world.emulator.plant("per_page=200", 200, body.clone());
        }
        let ended = world.fetch(&["--concurrency", "1", "--user", "user-0000"]).expect(1);
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
        assert!(ended.stderr.contains("run the same command again later"), "{}", ended.stderr);
        assert!(ended.stderr.lines().filter(|l| l.starts_with("user ")).count() == 1, "{}", ended.stderr);
        let normalized = world.run(&["normalize", "--json"]).expect(3);
        assert_eq!(normalized.json()["rejects"], 3, "{}", normalized.stderr);
        // Later it is as if nothing had been.
        assert_eq!(world.fetch(&[]).expect(0).json()["activities"], 60);
        world.run(&["normalize"]).expect(0);
        assert_eq!(rows(&world.lake_folder(), "activities").len(), 60);
        let reject = &rows(&world.lake_folder(), "rejects")[0];
        assert!(reject["raw_ref"].starts_with("landing/strava/"), "{reject:?}");
    }
    // A page that is cut keeps what came before the cut; its walk goes on from there.
    let world = world();
    world.emulator.plant("per_page=200", 200, cut);
    world.fetch(&["--user", "user-0000"]).expect(3);
    world.run(&["normalize"]).expect(3);
    assert!(rows(&world.lake_folder(), "activities").iter().any(|row| row["source_id"] == "1"));
    assert!(rows(&world.lake_folder(), "rejects")[0]["reason"].contains("cut in the middle"));
}

#[test]
fn a_byte_that_a_disk_has_changed_costs_its_bucket_and_is_never_counted() {
    let world = world();
    world.fetch(&["--depth", "streams"]).expect(0);
    world.run(&["normalize"]).expect(0);
    world.run(&["dedupe"]).expect(0);
    let out = world.lake_folder().with_file_name("files");
    let to = out.to_str().unwrap();
    let whole = world.run(&["stats", "--by", "user", "--csv"]).expect(0).stdout;
    assert_eq!(whole.lines().count(), 3, "{whole}");
    let bucket = world.lake().bucket("user-0000").to_string();
    // The samples of the first user are for the export alone, the records and pairs for the report.
    for (dataset, counts, reports, exports) in [
        (format!("golden/{bucket}"), false, false, false),
        (format!("matches/{bucket}"), true, false, true),
        (format!("streams/strava-{bucket}"), true, true, false),
        (format!("activities/strava-{bucket}"), true, false, true),
    ] {
        let path = &parquet_files(&world.lake_folder(), &dataset)[0];
        let sound = std::fs::read(path).unwrap();
        // Every reader reads some pages, and `verify` all of them. A file without rows has none, and loses its end.
        let mut bytes = sound.clone();
        let footer = u32::from_le_bytes(*bytes[..bytes.len() - 4].last_chunk().unwrap()) as usize;
        let pages = bytes.len() - 8 - footer;
        (64..pages).step_by(64).for_each(|at| bytes[at] ^= 1);
        if bytes == sound {
            bytes.truncate(bytes.len() / 2);
        }
        std::fs::write(path, &bytes).unwrap();
        let named = path.file_name().unwrap().to_str().unwrap();
        let run = |args: &[&str], is_whole: bool| {
            let ended = world.run(args).expect(if is_whole { 0 } else { 1 });
            let is_said = ended.stderr.contains("left out:") && ended.stderr.contains(named);
            assert_eq!(is_said, !is_whole, "{dataset} {args:?}: {}", ended.stderr);
            ended
        };
        let lines = run(&["stats", "--by", "user", "--csv"], counts).stdout;
        let only_the_other = [whole.lines().next().unwrap(), whole.lines().last().unwrap()];
        assert!(if counts { lines == whole } else { lines.lines().eq(only_the_other) }, "{dataset}: {lines}");
        let figures = run(&["report", "--json"], reports).json();
        assert_eq!(figures["users"], if reports { 2 } else { 1 }, "{dataset}: {figures}");
        assert_eq!(figures["left_out"].as_array().unwrap().len(), usize::from(!reports));
        run(&["export", to], exports);
        assert!(out.join("user-0001/fit").is_dir(), "{dataset}");
        let verified = world.run(&["verify"]).expect(3);
        assert!(
            verified.stderr.contains(named) && verified.stderr.contains("delete it"),
            "{}",
            verified.stderr
        );
        std::fs::write(path, sound).unwrap();
    }
    world.run(&["verify"]).expect(0);
}

#[test]
fn one_bad_record_is_one_reject_and_its_neighbours_survive() {
    let world = world();
    let record = |id: &str, name: &[u8]| {
        let head =
            format!(r#"{{"id":{id},"start_date":"2024-01-01T00:00:{:02}Z","type":"Run","name":""#, id.len());
        [head.as_bytes(), name, b"\"}"].concat()
    };
    let mut records: Vec<Vec<u8>> = (0..200).map(|n| record(&(1000 + n).to_string(), b"fine")).collect();
    records[7] = record("7", b"not \xff UTF-8");
    records[8] = record("12345678901234567890", b"twenty digits");
    records[9] = br#"{"id":9,"start_date":"2024-01-01T00:00:00Z","type":"Run","distance":"far"}"#.to_vec();
    records[10] = br#"{"id":10,"type":"Run"}"#.to_vec();
    records[11] = br#"{"id":11,"start_date":"2024-01-01T00:00:00Z","type":"Run","map":{"summary_polyline":"_ibE_seK_seK_se"}}"#.to_vec();
    records[12] =
        br#"{"id":12,"start_date":"2024-01-01T00:00:00Z","type":"UnderwaterHockey","distance":1e999}"#
            .to_vec();
    let page = [b"[".to_vec(), records.join(b",".as_slice()), b"]".to_vec()].concat();
    world.emulator.plant("per_page=200", 200, page);
    world.emulator.plant("per_page=200", 200, "[]");
    world.fetch(&["--user", "user-0000"]).expect(3);
    let ended = world.run(&["normalize", "--json"]).expect(3);
    assert_eq!(ended.json()["rejects"], 5);
    let activities = rows(&world.lake_folder(), "activities");
    assert_eq!(activities.len(), 197);
    assert!(activities.iter().any(|row| row["source_id"] == "12345678901234567890"));
    // The activity with the cut line is there, without a line; nothing is made up.
    let cut = activities.iter().find(|row| row["source_id"] == "11").unwrap();
    assert!(!cut.contains_key("track_lat_e5"));
    let rejects = rows(&world.lake_folder(), "rejects");
    for (index, field, reason) in [
        (7, None, "invalid UTF-8 at byte"),
        (9, Some("distance"), "expected a number, found a string"),
        (10, Some("start_date"), "missing"),
        (11, Some("map.summary_polyline"), "cut in the middle of a value"),
        (12, None, ""),
    ] {
        let reject = rejects.iter().find(|row| row["raw_ref"].ends_with(&format!("#{index}"))).unwrap();
        assert!(reject["reason"].contains(reason), "{reject:?}");
        assert_eq!(reject.get("field").map(String::as_str).filter(|_| index != 12), field, "{reject:?}");
        assert_eq!(reject["record_kept"], matches!(index, 9 | 11).to_string());
    }
}

#[test]
fn servers_that_stumble_are_asked_again() {
    let world = world();
    for status in [500, 503, 597] {
        world.emulator.plant("/activities/", status, "<html>maintenance</html>");
    }
    let ended = world.fetch(&["--depth", "detail"]).expect(0);
    assert_eq!(ended.json()["details"], 60);
    assert_eq!(ended.json()["retries"], 3);
}

#[test]
fn an_application_that_is_switched_off_stops_the_run_with_the_way_out() {
    let world = world();
    let body =
        r#"{"message":"Forbidden","errors":[{"resource":"Application","field":"Status","code":"Inactive"}]}"#;
    world.emulator.plant("per_page=200", 403, body);
    let ended = world.fetch(&[]).expect(1);
    assert!(ended.stderr.contains("Application Status Inactive"), "{}", ended.stderr);
    assert!(ended.stderr.contains("https://www.strava.com/settings/api"), "{}", ended.stderr);
}

#[test]
fn what_is_gone_is_not_asked_for_again() {
    let world = world();
    world.emulator.plant("/activities/", 404, "");
    let ended = world.fetch(&["--depth", "detail"]).expect(0);
    assert_eq!((&ended.json()["details"], &ended.json()["gone"]), (&59.into(), &1.into()));
    assert_eq!(world.fetch(&["--depth", "detail"]).expect(0).json()["requests"], 0);
    world.run(&["normalize"]).expect(0);
    assert_eq!(rows(&world.lake_folder(), "activities").len(), 60);
}

fn longrun(lake: &Path, args: &[&str]) -> Ended {
    Ended::of(Command::new(BINARY).env("LONGRUN_LAKE", lake).args(args).output().unwrap())
}

#[test]
fn folders_that_are_no_lake_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ended = longrun(&folder.path().join("nowhere"), &["normalize"]).expect(2);
    assert!(ended.stderr.contains("there is no lake at"), "{}", ended.stderr);
    std::fs::write(folder.path().join("photo.jpg"), "").unwrap();
    let ended = longrun(folder.path(), &["accounts", "add", "/dev/null"]).expect(2);
    assert!(ended.stderr.contains("is not a lake"), "{}", ended.stderr);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    std::fs::write(folder.path().join("lake.toml"), "format = 3\n").unwrap();
    let ended = longrun(folder.path(), &["stats"]).expect(2);
    assert!(ended.stderr.contains("use a newer longrun"), "{}", ended.stderr);
    let file = folder.path().join("photo.jpg");
    let ended = longrun(&file, &["stats"]).expect(2);
    assert!(ended.stderr.contains("is not a lake"), "{}", ended.stderr);
}

#[test]
fn two_longruns_do_not_write_one_store() {
    let world = world();
    let landing = longrun::store::landing::Landing::open(&world.lake()).unwrap();
    let ended = world.fetch(&[]).expect(1);
    let process = format!("another longrun (process {})", std::process::id());
    assert!(ended.stderr.contains("the landing") && ended.stderr.contains(&process), "{}", ended.stderr);
    drop(landing);
    world.fetch(&[]).expect(0);
}

#[test]
fn damage_is_named_and_never_read_as_data() {
    let world = world();
    world.fetch(&[]).expect(0);
    world.run(&["normalize"]).expect(0);
    let lake = world.lake();
    let bucket = lake.bucket("user-0000");
    let dataset = lake.place(&lake.activities("strava", bucket));
    std::fs::write(&dataset, b"PAR1 no more PAR1").unwrap();
    let ended = world.run(&["normalize"]).expect(1);
    assert!(
        ended.stderr.contains("is damaged") && ended.stderr.contains("delete it and run"),
        "{}",
        ended.stderr
    );
    std::fs::remove_file(&dataset).unwrap();
    world.run(&["normalize"]).expect(0);
    assert_eq!(rows(&world.lake_folder(), "activities").len(), 60);

    let [landing] = &segments(&lake, "user-0000")[..] else { panic!("one run, one segment") };
    let whole = std::fs::read(landing).unwrap();
    std::fs::write(landing, &whole[..20]).unwrap();
    let ended = world.run(&["normalize"]).expect(1);
    assert!(
        ended.stderr.contains("ends at byte 20") && ended.stderr.contains("restore it"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_full_disk_and_a_read_only_one_lose_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (world, _) = World::of(
        Options { seed: 52, users: 2, activities: 800 },
        Config { limits: WIDE, ..Config::default() },
    );
    // The lake moves to the small disk, accounts and all.
    let lake = disk.path().join("lake");
    assert!(Command::new("cp").arg("-r").arg(world.lake_folder()).arg(&lake).status().unwrap().success());
    let run = |args: &[&str]| Ended::of(world.command(args).env("LONGRUN_LAKE", &lake).output().unwrap());
    let ended = run(&["fetch", "--per-second", "10000"]).expect(1);
    assert!(ended.stderr.contains("free some space and run the same command again"), "{}", ended.stderr);
    let asked = world.emulator.log().len();
    disk.remount("size=1200k");
    run(&["fetch", "--per-second", "10000"]).expect(0);
    let repeated = world.emulator.log().len() - 2 * 5;
    assert!(repeated <= 4 && asked < 10, "{repeated} of {asked} requests were repeated");
    disk.remount("size=1000k");
    let ended = run(&["normalize"]);
    if ended.code != Some(0) {
        let ended = ended.expect(1);
        assert!(ended.stderr.contains("free some space"), "{}", ended.stderr);
        disk.remount("size=4m");
        run(&["normalize"]).expect(0);
    }
    assert_eq!(rows(&lake, "activities").len(), 1600);

    disk.remount("size=4m,ro");
    for args in [["normalize"].as_slice(), &["fetch", "--max-age", "0s"]] {
        let ended = run(args).expect(1);
        assert!(ended.stderr.contains("choose a folder that can be written with --lake"), "{}", ended.stderr);
    }
    run(&["stats", "--told"]).expect(0);
}

/// A log that cannot be written any more, or that nobody reads, stops no work.
#[test]
fn nobody_listening_on_stderr_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str], stderr: Stdio| {
        let mut command = Command::new(BINARY);
        command.args(args).env("LONGRUN_LAKE", folder.path().join("lake")).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(stderr).status().unwrap().code()
    };
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let gone = || Stdio::from(std::io::pipe().unwrap().1);
    assert_eq!(run(&["synth", "landing", "--users", "2", "--activities", "9"], full()), Some(0));
    assert_eq!(run(&["normalize"], gone()), Some(0));
    assert_eq!(run(&["dedupe"], full()), Some(0));
    assert_eq!(run(&["dedupe", "--weights"], full()), Some(2), "what goes wrong is still told by the code");
}
