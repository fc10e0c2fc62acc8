//! The lake itself: a format 1 that is brought over, damage in the landing, names that are no text.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use longrun::sources::strava::endpoints::STREAMS;
use longrun::store::lake::Lake;
use longrun::store::landing::{Header, Landing};
use longrun::testing::emulator::Config;
use longrun::testing::synth::Options;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::support::{BINARY, Ended, Place, WIDE, World, files, rows, segments, timeless};

fn world() -> World {
    World::of(Options { seed: 5, users: 3, activities: 60 }, Config { limits: WIDE, ..Config::default() }).0
}

/// Makes a lake what it would be in format 1: one file of frames, one log of imports and one folder of archives a
/// bucket, with `bucket=` in their names; datasets of another schema, and locks between them.
fn to_format_1(lake: &Path) {
    let landing = lake.join("landing/strava");
    for bucket in std::fs::read_dir(&landing).unwrap().map(|entry| entry.unwrap().path()) {
        let name = bucket.file_name().unwrap().to_string_lossy().into_owned();
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "zst");
        let segments = files(&bucket).into_iter().filter(|(path, _)| is_segment(path));
        let frames: Vec<u8> = segments.flat_map(|(_, bytes)| bytes).collect();
        std::fs::write(landing.join(format!("bucket={name}.jsonl.zst")), frames).unwrap();
        std::fs::remove_dir_all(&bucket).unwrap();
    }
    let archives = lake.join("landing/archives");
    for bucket in std::fs::read_dir(&archives).unwrap().map(|entry| entry.unwrap().path()) {
        let name = bucket.file_name().unwrap().to_string_lossy().into_owned();
        let folder = archives.join(format!("bucket={name}"));
        std::fs::create_dir_all(&folder).unwrap();
        let mut log = Vec::new();
        for (path, bytes) in files(&bucket) {
            if path.extension().is_some_and(|end| end == "json") {
                log.extend(bytes);
            } else {
                std::fs::rename(&path, folder.join(path.file_name().unwrap())).unwrap();
            }
        }
        // A line that a crash cut short.
        log.extend(b"{\"v\":1,\"user_id\":\"nob");
        std::fs::write(archives.join(format!("bucket={name}.jsonl")), log).unwrap();
        std::fs::remove_dir_all(&bucket).unwrap();
    }
    for dataset in ["activities", "streams", "rejects", "matches", "golden", "origins"] {
        let folder = lake.join(dataset);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("source=strava")).unwrap();
        std::fs::write(folder.join("source=strava/bucket=001.parquet"), b"PAR1 of another schema PAR1")
            .unwrap();
        std::fs::write(folder.join(".lock"), b"process 1").unwrap();
    }
    std::fs::write(landing.join(".lock"), b"process 1").unwrap();
    std::fs::create_dir_all(lake.join("redrive")).unwrap();
    std::fs::write(lake.join("redrive/.lock"), b"process 1").unwrap();
    let _ = std::fs::remove_dir_all(lake.join("locks"));
    let _ = std::fs::remove_dir_all(lake.join("tmp"));
    let charter = std::fs::read_to_string(lake.join("lake.toml")).unwrap();
    std::fs::write(lake.join("lake.toml"), charter.replace("format = 2", "format = 1")).unwrap();
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, bytes).unwrap();
    }
}

/// Every frame and every archive of a lake, whatever they are called.
fn kept(lake: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut kept = BTreeMap::new();
    for (path, bytes) in files(&lake.join("landing")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".zst") {
            let lines = zstd::stream::decode_all(bytes.as_slice()).unwrap();
            kept.entry("frames".to_string()).or_insert_with(Vec::new).extend(lines);
        } else if name.len() == 64 {
            kept.insert(name, bytes);
        }
    }
    let mut frames: Vec<Vec<u8>> = kept["frames"].split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    frames.sort();
    kept.insert("frames".to_string(), frames.concat());
    kept
}

#[test]
fn a_lake_of_format_1_is_brought_over_whatever_kills_it_meanwhile() {
    const SEED: u64 = 20_261_125;
    println!("seed {SEED}");
    let world = world();
    world.fetch(&["--depth", "streams"]).expect(0);
    let table = "title,start_time,end_time,description,exercise_title,superset_id,exercise_notes,set_index,set_type,\
                 weight_kg,reps,distance_km,duration_seconds,rpe\n\
                 Legs,\"11 Mar 2026, 15:32\",\"11 Mar 2026, 16:30\",,Squat,,,0,normal,100,5,,,9\n";
    let file = world.folder.path().join("workouts.csv");
    std::fs::write(&file, table).unwrap();
    world.run(&["import", "hevy", file.to_str().unwrap(), "--user", "user-0001"]).expect(0);
    world.run(&["normalize"]).expect(0);
    let (whole, before) = (rows(&world.lake_folder(), "activities"), kept(&world.lake_folder()));
    let tokens = world.run(&["accounts", "export"]).expect(0).stdout;
    to_format_1(&world.lake_folder());
    let old = world.folder.path().join("old");
    copy(&world.lake_folder(), &old);

    let mut rng = Pcg64Mcg::seed_from_u64(SEED);
    let mut kills = 0;
    for round in 0..12_u64 {
        let lake = world.folder.path().join(format!("copy-{round}"));
        copy(&old, &lake);
        let longest = Duration::from_micros(800 + 1_500 * round);
        loop {
            let mut child = Command::new(BINARY)
                .args(["stats", "--told", "--lake"])
                .arg(&lake)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(longest.mul_f64(rng.random_range(0.5..1.0)));
            let _ = child.kill();
            let ended = child.wait().unwrap();
            kills += u32::from(!ended.success());
            let charter = std::fs::read_to_string(lake.join("lake.toml")).unwrap();
            if ended.success() || charter.contains("format = 2") || kills > 40 * (round as u32 + 1) {
                break;
            }
        }
        let run = |args: &[&str]| {
            Ended::of(Command::new(BINARY).args(args).arg("--lake").arg(&lake).output().unwrap()).expect(0)
        };
        run(&["normalize"]);
        assert!(kept(&lake) == before, "landing and archives are kept to the byte");
        assert_eq!(timeless(rows(&lake, "activities")), timeless(whole.clone()), "round {round}");
        assert_eq!(run(&["accounts", "export"]).stdout, tokens);
        let odd: Vec<PathBuf> =
            files(&lake).into_keys().filter(|path| path.to_string_lossy().contains('=')).collect();
        assert_eq!(odd, Vec::<PathBuf>::new(), "no name has a `=` in it");
    }
    assert!(kills > 12, "{kills} kills hit");
}

#[test]
fn nothing_but_parquet_lies_in_the_folders_of_datasets_even_while_they_are_written() {
    let world = world();
    world.fetch(&["--depth", "streams"]).expect(0);
    let mut child =
        world.command(&["normalize"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    loop {
        for dataset in ["activities", "streams", "rejects"] {
            let Ok(entries) = std::fs::read_dir(world.lake_folder().join(dataset)) else { continue };
            for name in entries.map(|entry| entry.unwrap().file_name()) {
                assert!(name.to_string_lossy().ends_with(".parquet"), "{dataset}/{name:?}");
            }
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
    }
    assert_eq!(std::fs::read_dir(world.lake_folder().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_broken_frame_costs_itself_and_neither_what_follows_nor_what_comes_later() {
    let world = world();
    world.fetch(&["--depth", "detail"]).expect(0);
    let lake = world.lake();
    let [segment] = &segments(&lake, "user-0000")[..] else { panic!("one run, one segment") };
    let whole = std::fs::read(segment).unwrap();
    // The header of the first block of the third frame.
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let frames: Vec<usize> = (0..whole.len() - 4).filter(|at| whole[*at..at + 4] == magic).collect();
    let mut broken = whole.clone();
    broken[frames[2] + 14] ^= 0xff;
    std::fs::write(segment, &broken).unwrap();
    world.run(&["normalize"]).expect(3);
    let rejects = rows(&world.lake_folder(), "rejects");
    assert_eq!(rejects.len(), 1, "{rejects:?}");
    assert!(rejects[0]["raw_ref"].contains(&format!("@{}", frames[2])), "{rejects:?}");
    let detailed =
        |rows: &[crate::support::Row]| rows.iter().filter(|row| row.contains_key("detail_at")).count();
    let activities = rows(&world.lake_folder(), "activities");
    assert!(detailed(&activities) >= 178, "{} of 180", detailed(&activities));
    // The next fetch asks for what was lost, adds a segment of its own, and leaves the damaged one as it is.
    world.fetch(&["--depth", "detail"]).expect(0);
    assert_eq!(std::fs::read(segment).unwrap(), broken);
    world.run(&["normalize"]).expect(0);
    assert_eq!(detailed(&rows(&world.lake_folder(), "activities")), 180);
}

/// The files beside the segments that say what was read of them.
fn walked(lake: &Path) -> Vec<PathBuf> {
    let mut found = files(&lake.join("landing/strava"));
    found.retain(|path, _| path.ends_with("walked.bin"));
    found.into_keys().collect()
}

#[test]
fn a_start_reads_what_was_read_before_only_while_every_segment_is_as_it_was() {
    let world = world();
    world.fetch(&["--depth", "detail"]).expect(0);
    let kept = walked(&world.lake_folder());
    assert!(!kept.is_empty(), "a fetch keeps what it knows");
    let known = world.run(&["status", "--json"]).expect(0).json();
    let accounts = |known: &serde_json::Value| known["accounts"].clone();
    // Bodies that cannot be read any more, while the segments look as they did: what was kept is enough.
    let lake = world.lake();
    let [segment] = &segments(&lake, "user-0000")[..] else { panic!("one run, one segment") };
    let whole = std::fs::read(segment).unwrap();
    let modified = std::fs::metadata(segment).unwrap().modified().unwrap();
    let write = |bytes: &[u8], time: std::time::SystemTime| {
        std::fs::write(segment, bytes).unwrap();
        std::fs::File::options().write(true).open(segment).unwrap().set_modified(time).unwrap();
    };
    write(&vec![0; whole.len()], modified);
    assert_eq!(accounts(&world.run(&["status", "--json"]).expect(0).json()), accounts(&known));
    // Anything else about them, and they are read again.
    write(&vec![0; whole.len()], modified + Duration::from_secs(1));
    assert_ne!(accounts(&world.run(&["status", "--json"]).expect(0).json()), accounts(&known));
    write(&whole, modified);
    assert_eq!(accounts(&world.run(&["status", "--json"]).expect(0).json()), accounts(&known));
    // What was kept may be cut, foreign, or gone.
    for path in &kept {
        let bytes = std::fs::read(path).unwrap();
        for bytes in [&bytes[..bytes.len() / 2], &bytes[..7], b"", b"another longrun's altogether"] {
            std::fs::write(path, bytes).unwrap();
            assert_eq!(accounts(&world.run(&["status", "--json"]).expect(0).json()), accounts(&known));
        }
    }
    // A start with nothing to fetch mends it all the same.
    assert_eq!(world.fetch(&["--depth", "detail", "--max-age", "24h"]).expect(0).json()["requests"], 0);
    write(&vec![0; whole.len()], modified);
    assert_eq!(accounts(&world.run(&["status", "--json"]).expect(0).json()), accounts(&known));
}

#[test]
fn damage_that_came_later_and_left_no_trace_is_fetched_again_once_somebody_met_it() {
    for meets_it in [&["verify", "--refetch"][..], &["normalize"]] {
        let world = world();
        world.fetch(&["--depth", "detail"]).expect(0);
        let lake = world.lake();
        let [segment] = &segments(&lake, "user-0000")[..] else { panic!("one run, one segment") };
        let mut bytes = std::fs::read(segment).unwrap();
        let modified = std::fs::metadata(segment).unwrap().modified().unwrap();
        let magic = [0x28, 0xb5, 0x2f, 0xfd];
        let third = (0..bytes.len() - 4).filter(|at| bytes[*at..at + 4] == magic).nth(2).unwrap();
        bytes[third + 14] ^= 0xff;
        std::fs::write(segment, bytes).unwrap();
        std::fs::File::options().write(true).open(segment).unwrap().set_modified(modified).unwrap();
        assert_eq!(world.fetch(&["--depth", "detail", "--max-age", "24h"]).expect(0).json()["requests"], 0);
        // Who only looks changes nothing.
        let before = files(&world.lake_folder());
        let said = world.run(&["verify"]).expect(3).stderr;
        assert!(said.contains("verify --refetch"), "{said}");
        world.run(&["status"]).expect(0);
        world.run(&["plan"]).expect(0);
        assert_eq!(files(&world.lake_folder()), before);
        let ended = world.run(meets_it);
        assert_ne!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(world.fetch(&["--depth", "detail", "--max-age", "24h"]).expect(0).json()["details"], 1);
    }
}

#[test]
fn one_damaged_bucket_is_reported_and_the_others_go_on_in_every_stage() {
    let world = world();
    world.fetch(&["--depth", "detail"]).expect(0);
    world.run(&["normalize"]).expect(0);
    world.run(&["dedupe"]).expect(0);
    let lake = world.lake();
    let (hurt, sound) = (lake.bucket("user-0000"), lake.bucket("user-0001"));
    assert_ne!(hurt, sound);
    let dataset = lake.place(&lake.activities("strava", hurt));
    std::fs::write(&dataset, b"PAR1 no more PAR1").unwrap();
    std::fs::remove_file(lake.place(&lake.activities("strava", sound))).unwrap();
    std::fs::remove_file(lake.place(&lake.golden(sound))).unwrap();
    for args in [["normalize"], ["dedupe"]] {
        let ended = world.run(&args).expect(1);
        assert!(
            ended.stderr.contains(&format!("bucket {hurt}")) && ended.stderr.contains("is damaged"),
            "{}",
            ended.stderr
        );
    }
    assert!(lake.place(&lake.activities("strava", sound)).exists(), "the other bucket was normalized");
    assert!(lake.place(&lake.golden(sound)).exists(), "the other bucket was deduped");
    world.fetch(&["--depth", "detail", "--max-age", "0s"]).expect(0);
}

#[test]
fn a_folder_that_contains_the_lake_is_imported_without_it() {
    let place = Place::new();
    let gpx = "<gpx><trk><trkseg><trkpt lat=\"52\" lon=\"13\"><time>2024-05-01T08:00:00Z</time></trkpt></trkseg></trk></gpx>";
    place.file("rides/a.gpx", gpx);
    let folder = place.folder.path().to_str().unwrap().to_string();
    Lake::open_or_create(&place.lake()).unwrap().state().unwrap();
    let ended = place.run(&["import", "files", &folder, "--user", "u"]).expect(3);
    assert!(ended.stderr.contains("the lake itself"), "{}", ended.stderr);
    let again = place.run(&["import", "files", &folder, "--user", "u"]);
    assert!(again.stderr.contains("imported before"), "its own output is no news: {}", again.stderr);
    place.run(&["normalize"]).expect(0);
    assert_eq!(place.rows("activities").len(), 1);
    let archives: Vec<PathBuf> = files(&place.lake().join("landing/archives"))
        .into_keys()
        .filter(|p| p.extension().is_none())
        .collect();
    for archive in &archives {
        let bytes = std::fs::read(archive).unwrap();
        let holds = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
        assert!(!holds(b"lake.toml") && !holds(b"state.db"), "{} holds the lake", archive.display());
    }
    let ended =
        place.run(&["import", "files", place.lake().join("landing").to_str().unwrap(), "--user", "u"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

#[test]
fn paths_that_are_no_text_work() {
    let place = Place::new();
    let gpx = |lat: u32| {
        format!(
            "<gpx><trk><trkseg><trkpt lat=\"{lat}\" lon=\"13\"><time>2024-05-0{}T08:00:00Z</time></trkpt></trkseg></trk></gpx>",
            lat % 9 + 1
        )
    };
    let folder = place.folder.path().join(std::ffi::OsStr::from_bytes(b"r\xefdes"));
    std::fs::create_dir_all(&folder).unwrap();
    for (number, name) in [&b"a\xff.gpx"[..], b"a\xfe.gpx", b"plain.gpx"].iter().enumerate() {
        std::fs::write(folder.join(std::ffi::OsStr::from_bytes(name)), gpx(50 + number as u32)).unwrap();
    }
    let import = |path: &Path, more: &[&str]| {
        Ended::of(
            place.command(&["import", "files"]).arg(path).args(["--user", "u"]).args(more).output().unwrap(),
        )
        .expect(0);
    };
    import(&folder, &[]);
    place.run(&["normalize"]).expect(0);
    assert_eq!(place.rows("activities").len(), 3, "two names that differ in a byte are two files");
    let single = place.folder.path().join(std::ffi::OsStr::from_bytes(b"one\xff.gpx"));
    std::fs::write(&single, gpx(58)).unwrap();
    import(&single, &["--in-place"]);
    place.run(&["normalize"]).expect(0);
    assert_eq!(place.rows("activities").len(), 4);
    // And a lake under such a name.
    let lake = place.folder.path().join(std::ffi::OsStr::from_bytes(b"l\xe4ke"));
    let run = |args: &[&str]| {
        Ended::of(Command::new(BINARY).args(args).arg("--lake").arg(&lake).output().unwrap()).expect(0)
    };
    Lake::open_or_create(&lake).unwrap();
    run(&["normalize"]);
    run(&["stats"]);
}

#[test]
fn samples_of_a_record_whose_start_moved_to_another_year_stand_in_one_year() {
    let place = Place::new();
    let lake = Lake::open_or_create(&place.lake()).unwrap();
    let land = |id: &str, start: &str, fetched: &str, body: &str| {
        let start: jiff::Timestamp = start.parse().unwrap();
        let mut landing = Landing::open(&lake).unwrap();
        let header = Header {
            v: 1,
            source: "strava".to_string(),
            ask: STREAMS.ask(id, start.as_second()),
            user_id: "u".to_string(),
            account_id: "1".to_string(),
            request: format!("/activities/{id}/streams"),
            fetched_at: fetched.parse().unwrap(),
            after: None,
            status: 200,
        };
        landing.append(&header, body.as_bytes()).unwrap();
        landing.close().unwrap();
        place.run(&["normalize"]).expect(0);
    };
    let series = |values: &str| {
        format!("[{{\"type\":\"time\",\"data\":[0,1,2]}},{{\"type\":\"heartrate\",\"data\":{values}}}]")
    };
    land("7", "2023-12-31T23:59:50Z", "2024-02-01T00:00:00Z", &series("[100,101,102]"));
    land("8", "2023-12-31T10:00:00Z", "2024-02-01T00:00:00Z", &series("[90,91,92]"));
    land("7", "2024-01-01T00:59:50Z", "2024-03-01T00:00:00Z", &series("[110,111,112]"));
    let of_year = |year: u32| {
        let rows = rows(&place.lake(), "streams");
        rows.into_iter().filter(|row| row["start_time"].starts_with(&year.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(rows(&place.lake(), "streams").len(), 2);
    assert_eq!((of_year(2023).len(), of_year(2024).len()), (1, 1));
    assert_eq!(of_year(2023)[0]["source_id"], "8");
    assert!(of_year(2024)[0]["heart_rate_bpm"].contains("110"), "{:?}", of_year(2024));
}
