//! Archives and files of every source, through the binary, compared with the truth.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::Stdio;
use std::time::Duration;

use longrun::sources::{Source, files};
use longrun::testing::emulator::Config;
use longrun::testing::synth::{Options, exports};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::support::{Place, Row, WIDE, World, fixtures, rows, timeless};

#[test]
fn thousands_of_archives_are_imported_by_a_manifest_and_every_bucket_is_written_once() {
    let place = Place::new();
    let manifest = place.exports(24, 40);
    let imported = place.run(&["import", "--manifest", &manifest, "--json"]).expect(0).json();
    let archives = std::fs::read_to_string(&manifest).unwrap().lines().count() - 1;
    assert_eq!(imported["imported"], archives);
    let done = place.run(&["normalize", "--json"]).expect(0).json();
    assert_eq!(done["archives"], archives);
    assert_eq!(done["rejects"], 0);
    let lake = longrun::store::lake::Lake::open(&place.lake()).unwrap();
    let buckets: BTreeSet<_> = (0..24).map(|n| lake.bucket(&format!("user-{n:04}"))).collect();
    assert_eq!(done["buckets_rewritten"], buckets.len());

    // Every record of the truth is there, under its id, and nothing else is.
    let mut truth = BTreeSet::new();
    let folder = place.folder.path().join("exports");
    for line in std::fs::read_to_string(folder.join("truth.jsonl")).unwrap().lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| record[name].as_str().unwrap().to_string();
        if word("source") != "strava" {
            truth.insert((word("user_id"), word("source"), word("source_id")));
        }
    }
    let rows = place.rows("activities");
    let found: BTreeSet<_> = rows
        .iter()
        .filter(|row| row["source"] != "strava")
        .map(|row| (row["user_id"].clone(), row["source"].clone(), row["source_id"].clone()))
        .collect();
    assert_eq!(found, truth);
    // Names of sports that are not told apart by anybody are none.
    let without_sport: BTreeSet<&str> =
        rows.iter().filter(|row| !row.contains_key("sport")).map(|row| row["sport_raw"].as_str()).collect();
    assert_eq!(without_sport, BTreeSet::from(["UnderwaterHockey"]));

    // Again, nothing is new.
    let again = place.run(&["import", "--manifest", &manifest, "--json"]).expect(0);
    assert_eq!(again.json()["known"], archives);
    assert!(again.stderr.contains("was imported before"), "{}", again.stderr);
    let nothing = place.run(&["normalize", "--json"]).expect(0).json();
    assert_eq!(
        (nothing["buckets_rewritten"].as_u64(), nothing["written_bytes"].as_u64()),
        (Some(0), Some(0))
    );
}

#[test]
fn what_the_archive_told_is_one_row_with_what_the_api_told_and_is_not_asked_for_again() {
    let options = Options { seed: 21, users: 2, activities: 260 };
    let world = || {
        let (world, people) = World::of(options, Config { limits: WIDE, ..Config::default() });
        let path = world.folder.path().join("strava.zip");
        let export = exports::of(&people[0], 0, options, Some(&[Source::Strava])).remove(0);
        std::fs::write(&path, export.bytes).unwrap();
        (world, path.to_str().unwrap().to_string(), export.truth)
    };
    let (first, archive, truth) = world();
    let in_archive: BTreeSet<String> = truth.iter().map(|record| record.source_id.clone()).collect();
    let without_samples = truth.iter().filter(|record| record.samples == 0).count();
    first.run(&["import", "strava", &archive, "--user", "user-0000"]).expect(0);
    let fetched = first.fetch(&["--depth", "streams", "--user", "user-0000"]).expect(0).json();
    // The list, which tells what the archive does not, and the whole of what is newer than the archive.
    assert!(fetched["pages"].as_u64() <= Some(4), "{fetched}");
    assert_eq!(fetched["details"], 260 - in_archive.len());
    let asked = first.emulator.log();
    assert!(
        asked
            .iter()
            .all(|request| !in_archive.iter().any(|id| request.path_and_query.contains(&format!("/{id}/"))))
    );
    first.run(&["normalize"]).expect(0);
    let rows_of = |world: &World| rows(&world.lake_folder(), "activities");
    let all = rows_of(&first);
    assert_eq!(all.len(), 260);
    let count = |origin: &str| all.iter().filter(|row| row["origin"] == origin).count();
    let both = count("api+archive");
    assert_eq!((both, count("api")), (in_archive.len(), 260 - in_archive.len()));
    for row in all.iter().filter(|row| row["origin"] == "api+archive") {
        assert!(
            row["raw_ref"].starts_with("landing/strava/") && row["archive_ref"].contains("activities.csv#")
        );
        // From the API's line, and from the archive's table and file.
        assert!(row.contains_key("kudos_count") && row.contains_key("elevation_loss_m"), "{row:?}");
    }
    let streams = rows(&first.lake_folder(), "streams");
    let from_archive = streams.iter().filter(|row| row["origin"] == "archive").count();
    assert_eq!(from_archive, in_archive.len() - without_samples);

    // In any order and any number of steps, the rows are the same.
    let (second, archive, _) = world();
    second.fetch(&["--depth", "streams", "--user", "user-0000", "--max-requests", "7"]);
    second.run(&["normalize"]).expect(0);
    second.run(&["import", "auto", &archive, "--user", "user-0000"]).expect(0);
    second.run(&["normalize"]).expect(0);
    second.fetch(&["--depth", "streams", "--user", "user-0000"]).expect(0);
    second.run(&["normalize"]).expect(0);
    // The same lake, made anew from its landing and archives.
    let stepwise = rows_of(&second);
    std::fs::remove_dir_all(second.lake_folder().join("activities")).unwrap();
    std::fs::remove_dir_all(second.lake_folder().join("origins")).unwrap();
    second.run(&["normalize"]).expect(0);
    assert_eq!(rows_of(&second), stepwise);
    let ids = |rows: &[Row]| rows.iter().map(|row| row["source_id"].clone()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&stepwise), ids(&all));
    // All of it is fetched where somebody wants the segment efforts, too.
    let asked =
        second.fetch(&["--depth", "detail", "--user", "user-0000", "--ignore-archives"]).expect(0).json();
    assert!(asked["details"].as_u64() > Some(200), "{asked}");
}

#[test]
fn an_archive_that_changed_is_read_again_over_the_older_one() {
    let place = Place::new();
    let head = "title,start_time,end_time,description,exercise_title,superset_id,exercise_notes,set_index,set_type,weight_kg,reps,distance_km,duration_seconds,rpe\n";
    let set = |reps: u32| {
        format!("Legs,\"11 März 2026, 15:32\",\"11 März 2026, 16:30\",,Squat,,,0,normal,100,{reps},,,9\n")
    };
    let file = place.file("workouts.csv", format!("{head}{}", set(5)));
    place.run(&["import", "hevy", &file, "--user", "u", "--timezone", "Europe/Berlin"]).expect(0);
    place.run(&["normalize"]).expect(0);
    place.file("workouts.csv", format!("{head}{}{}", set(6), set(7).replace("Legs", "More legs")));
    place.run(&["import", "hevy", &file, "--user", "u", "--timezone", "Europe/Berlin"]).expect(0);
    place.run(&["normalize"]).expect(0);
    let rows = place.rows("activities");
    assert_eq!(rows.len(), 2);
    let legs = rows.iter().find(|row| row["title"] == "Legs").unwrap();
    assert!(
        legs["exercise_sets"].contains("reps: 6") && legs["exercise_sets"].contains("weight_kg: 100.0"),
        "{legs:?}"
    );
    assert_eq!(
        (legs["start_time"].as_str(), legs["start_quality"].as_str()),
        ("2026-03-11T14:32:00", "minute")
    );
    assert_eq!((legs["sport"].as_str(), legs["elapsed_s"].as_str()), ("weight_training", "3480.0"));
}

#[test]
fn imports_and_normalize_killed_anywhere_end_in_the_same_lake() {
    const SEED: u64 = 20_261_124;
    println!("seed {SEED}");
    let mut rng = Pcg64Mcg::seed_from_u64(SEED);
    let unbroken = Place::new();
    let manifest = unbroken.exports(8, 40);
    unbroken.run(&["import", "--manifest", &manifest]).expect(0);
    unbroken.run(&["normalize"]).expect(0);
    let place = Place::new();
    let (mut kills, mut runs) = (0, 0);
    // Kills come later and later, so that every part of the work is hit and the end is reached.
    for args in [["import", "--manifest", &manifest].as_slice(), &["normalize"]] {
        let mut longest_us = 2_000;
        loop {
            let mut child = place.command(args).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
            let delay = Duration::from_micros(rng.random_range(longest_us / 2..longest_us));
            std::thread::sleep(delay);
            let _ = child.kill();
            runs += 1;
            let status = child.wait().unwrap();
            if status.success() {
                break;
            }
            kills += 1;
            longest_us = longest_us * 5 / 4;
            assert!(runs < 300, "it does not come to an end");
        }
    }
    println!("{kills} kills in {runs} runs");
    assert!(kills >= 20, "{kills}");
    assert_eq!(place.run(&["import", "--manifest", &manifest, "--json"]).expect(0).json()["imported"], 0);
    place.run(&["normalize"]).expect(0);
    for dataset in ["activities", "streams"] {
        assert_eq!(timeless(place.rows(dataset)), timeless(unbroken.rows(dataset)), "{dataset}");
    }
}

#[test]
fn the_athletes_rules_decide_before_the_table_and_say_so() {
    let place = Place::new();
    let gpx = |title: &str| {
        format!(
            "<gpx><trk><name>{title}</name><type>running</type><trkseg>\
             <trkpt lat=\"52\" lon=\"13\"><time>2024-05-01T08:00:00Z</time></trkpt>\
             <trkpt lat=\"52.001\" lon=\"13\"><time>2024-05-01T08:01:00Z</time></trkpt></trkseg></trk></gpx>"
        )
    };
    place.file("in/a.gpx", gpx("Saturday Parkrun"));
    place.file("in/b.gpx", gpx("Hills"));
    let folder = place.folder.path().join("in");
    place.run(&["import", "files", folder.to_str().unwrap(), "--user", "u"]).expect(0);
    let rules = place.file("rules.json", r#"[{"substring":"PARKRUN","target_type":"TrailRun"}]"#);
    let sports = || {
        let rows = place.rows("activities");
        let of = |title: &str| rows.iter().find(|row| row["title"] == title).unwrap().clone();
        let parkrun = of("Saturday Parkrun");
        (parkrun["sport"].clone(), parkrun.get("sport_rule").cloned(), of("Hills")["sport"].clone())
    };
    let plain = ("run".to_string(), None, "run".to_string());
    place.run(&["normalize"]).expect(0);
    assert_eq!(sports(), plain);
    // Rules that come later reach what was there before, and stay.
    place.run(&["normalize", "--rules", &rules]).expect(0);
    let ruled = ("trail_run".to_string(), Some("parkrun".to_string()), "run".to_string());
    assert_eq!(sports(), ruled);
    assert_eq!(place.run(&["normalize", "--json"]).expect(0).json()["buckets_rewritten"], 0);
    assert_eq!(sports(), ruled);
    place.run(&["normalize", "--no-rules"]).expect(0);
    assert_eq!(sports(), plain);
    let bad = place.file("bad.json", r#"[{"substring":"x","target_type":"Chess"}]"#);
    let ended = place.run(&["normalize", "--rules", &bad]).expect(2);
    assert!(ended.stderr.contains("rule 1: \"Chess\" is no sport"), "{}", ended.stderr);
}

#[test]
fn what_the_pipeline_uploaded_itself_is_flagged_and_stays() {
    let options = Options { seed: 21, users: 1, activities: 60 };
    let (world, people) = World::of(options, Config { limits: WIDE, ..Config::default() });
    world.fetch(&[]).expect(0);
    world.run(&["normalize"]).expect(0);
    let (uploaded, pending) = (&people[0].workouts[5], &people[0].workouts[9]);
    let ledger = world.folder.path().join("ledger.jsonl");
    let lines = format!(
        "{{\"path\":\"users/user-0000/uploaded_activities/strava:{}\",\"source\":\"SOURCE_HEVY\"}}\n\
         {{\"user_id\":\"user-0000\",\"id\":\"pending:{}\",\"elapsed_time\":{}}}\n\
         {{\"user_id\":\"user-0000\",\"destination\":\"strava\",\"destination_id\":\"77\"}}\n\
         {{\"destination\":\"strava\"}}\n",
        uploaded.id,
        pending.start.as_second(),
        pending.elapsed_s
    );
    std::fs::write(&ledger, lines).unwrap();
    let ended = world.run(&["pipeline", "import", ledger.to_str().unwrap()]).expect(3);
    assert!(ended.stderr.contains("line 4: no user_id"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("imported 0 runs, 3 uploads, 0 users and 0 pipelines (3 new)"),
        "{}",
        ended.stderr
    );
    world.run(&["normalize"]).expect(0);
    let all = rows(&world.lake_folder(), "activities");
    assert_eq!(all.len(), 60);
    let flagged: BTreeSet<&str> = all
        .iter()
        .filter(|row| row.get("uploaded_by_pipeline").is_some_and(|flag| flag == "true"))
        .map(|row| row["source_id"].as_str())
        .collect();
    assert_eq!(flagged, BTreeSet::from([uploaded.id.to_string().as_str(), pending.id.to_string().as_str()]));
    assert_eq!(world.run(&["normalize", "--json"]).expect(0).json()["buckets_rewritten"], 0);
}

/// Activities and samples that `--dry-run` finds.
fn contents(path: &std::path::Path) -> (String, u64, u64, usize) {
    let place = Place::new();
    let ended = place.run(&["import", "auto", path.to_str().unwrap(), "--dry-run", "--json"]);
    let found = ended.json();
    let number = |name: &str| found[name].as_u64().unwrap();
    let rejects = found["rejects"].as_array().unwrap().len();
    assert!(!place.lake().exists(), "a dry run leaves nothing behind");
    (found["source"].as_str().unwrap().to_string(), number("activities"), number("samples"), rejects)
}

#[test]
fn real_exports_are_recognised_and_read() {
    for (folder, source, activities, samples, rejects) in [
        ("fit", "files", 36, 73_772, 4),
        ("gpx", "files", 8, 4_584, 5),
        ("tcx", "files", 6, 2_017, 0),
        ("strava_export", "strava", 1, 326, 0),
        ("garmin_api", "garmin", 3, 2, 1),
        ("fitbit", "fitbit", 7, 0, 0),
        ("hevy", "hevy", 2, 0, 0),
        ("apple_health", "apple", 2, 5, 0),
    ] {
        let Some(path) = fixtures(folder) else { return };
        assert_eq!(contents(&path), (source.to_string(), activities, samples, rejects), "{folder}");
    }
}

#[test]
fn sessions_of_real_fit_files_are_those_that_another_decoder_finds() {
    let Some(folder) = fixtures("fit") else { return };
    let oracle = std::fs::read_to_string(folder.join("golden_sessions_fitparse.json")).unwrap();
    let oracle: BTreeMap<String, Vec<HashMap<String, Option<String>>>> =
        serde_json::from_str(&oracle).unwrap();
    let (mut compared, mut moved) = (0, 0);
    for (name, sessions) in oracle {
        let Ok(bytes) = std::fs::read(folder.join(&name)) else { continue };
        let found = files::decode(bytes).unwrap().recordings;
        assert_eq!(found.len(), sessions.len(), "{name}");
        for (recording, session) in found.iter().zip(&sessions) {
            let a = &recording.activity;
            let number = |key: &str| session[key].as_ref().map(|text| text.parse::<f64>().unwrap());
            let start = session["start_time"].as_ref().unwrap().replace(' ', "T") + "Z";
            // One session names a start that its end, its length and its samples contradict.
            if a.start_time != start.parse().unwrap() {
                let doubts = a.doubts.as_ref().unwrap();
                assert!(doubts.iter().any(|doubt| doubt.field == "start_time"), "{name}");
                moved += 1;
            }
            assert_eq!(a.elapsed_s, number("total_elapsed_time"), "{name}");
            assert_eq!(a.moving_s, number("total_timer_time"), "{name}");
            assert_eq!(a.distance_m, number("total_distance"), "{name}");
            assert_eq!(a.calories_kcal, number("total_calories"), "{name}");
            compared += 1;
        }
    }
    assert!(compared >= 14 && moved == 1, "{compared} sessions, {moved} of them moved");
}

#[test]
fn records_of_real_fit_files_are_those_of_their_csv_dumps() {
    let Some(folder) = fixtures("fit") else { return };
    for (name, samples) in [
        ("garmin-edge-500-activity", 10_686),
        ("garmin-edge-820-bike", 15),
        ("garmin-fenix-5-bike", 19),
        ("garmin-fenix-5-walk", 17),
    ] {
        let found = files::decode(std::fs::read(folder.join(format!("valid/{name}.fit"))).unwrap()).unwrap();
        let recording = &found.recordings[0];
        let dump = std::fs::read_to_string(folder.join(format!("golden_csv/{name}-records.csv"))).unwrap();
        let rows: Vec<Vec<&str>> = dump.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert_eq!((recording.samples.len(), rows.len()), (samples, samples), "{name}");
        let mut positions = 0;
        for (sample, row) in recording.samples.iter().zip(rows) {
            let number = |column: usize| row[column].parse::<f64>().ok();
            assert_eq!(sample.heart_rate_bpm.map(f64::from), number(1).filter(|bpm| *bpm > 0.0), "{row:?}");
            assert_eq!(sample.speed_mps, number(3), "{row:?}");
            assert_eq!(sample.distance_m, number(4), "{row:?}");
            let degrees = |column: usize| number(column).map(|n| (n * 180.0 / 2_147_483_648.0 * 1e7).round());
            // The dump repeats the last position where the device had none.
            if sample.lat_e7.is_some() {
                assert_eq!(sample.lat_e7.map(f64::from), degrees(5), "{row:?}");
                assert_eq!(sample.lon_e7.map(f64::from), degrees(6), "{row:?}");
                positions += 1;
            }
            let near = |a: Option<f64>, b: Option<f64>| a.zip(b).is_none_or(|(a, b)| (a - b).abs() < 1e-9);
            assert!(near(sample.altitude_m, number(7)), "{row:?}");
        }
        assert!(positions * 10 >= samples * 9, "{name}");
    }
}

#[test]
fn the_parts_of_an_apple_workout_are_not_added_to_it() {
    let place = Place::new();
    let times = "startDate=\"2024-05-01 08:00:00 +0200\" endDate=\"2024-05-01 09:00:00 +0200\"";
    let statistics = |kind: &str, sum: &str, unit: &str| {
        format!(
            "<WorkoutStatistics type=\"HKQuantityTypeIdentifier{kind}\" {times} sum=\"{sum}\" unit=\"{unit}\"/>"
        )
    };
    let totals = statistics("DistanceWalkingRunning", "8.61", "km")
        + &statistics("DistanceCycling", "0.5", "km")
        + &statistics("ActiveEnergyBurned", "512", "kcal");
    let export = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE HealthData [<!ELEMENT HealthData (Workout*)>]><HealthData locale=\"de_DE\">\
         <Workout workoutActivityType=\"HKWorkoutActivityTypeRunning\" duration=\"58\" durationUnit=\"min\" sourceName=\"Watch\" {times}>\
         <WorkoutActivity uuid=\"1\" {times}>{totals}<MetadataEntry key=\"HKIndoorWorkout\" value=\"1\"/></WorkoutActivity>\
         <MetadataEntry key=\"HKTimeZone\" value=\"Europe/Berlin\"/>{totals}</Workout></HealthData>"
    );
    let file = place.file("apple_health_export/Exportación.xml", export);
    place.run(&["import", "auto", &file, "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(0);
    let row = &place.rows("activities")[0];
    assert_eq!((row["distance_m"].as_str(), row["calories_kcal"].as_str()), ("8610.0", "512.0"));
    assert_eq!((row["start_time"].as_str(), row["utc_offset_s"].as_str()), ("2024-05-01T06:00:00", "7200"));
    assert!(!row.contains_key("trainer") && row["moving_s"] == "3480.0", "{row:?}");
}

#[test]
fn a_fitbit_exercise_that_takeout_has_twice_is_one() {
    let place = Place::new();
    let list = r#"[{"logId":77,"activityName":"Run","startTime":"01/03/18 18:25:35","duration":1800000,"distance":5.0,"distanceUnit":"Kilometer"}]"#;
    let table = "exercise_id,exercise_start,exercise_end,utc_offset,activity_name,tracker_total_calories,tracker_total_distance_mm,tracker_avg_heart_rate\n\
                 900,2018-01-03 18:25:36+0000,2018-01-03 18:55:36+0000,-05:00,Run,301,0,151\n\
                 901,2018-01-04 18:00:00+0000,2018-01-04 18:30:00+0000,-05:00,Run,299,5100000,0\n";
    place.file("Takeout/Fitbit/Global Export Data/exercise-0.json", list);
    place.file("Takeout/Fitbit/Health Fitness Data/UserExercises_2018-01-01.csv", table);
    place
        .run(&["import", "auto", place.folder.path().join("Takeout").to_str().unwrap(), "--user", "u"])
        .expect(0);
    place.run(&["normalize"]).expect(0);
    let rows = place.rows("activities");
    assert_eq!(rows.len(), 2);
    let both = rows.iter().find(|row| row["source_id"] == "77").unwrap();
    assert_eq!((both["avg_heart_rate_bpm"].as_str(), both["distance_m"].as_str()), ("151.0", "5000.0"));
    let alone = rows.iter().find(|row| row["source_id"] == "901").unwrap();
    assert!(!alone.contains_key("avg_heart_rate_bpm") && alone["distance_m"] == "5100.0", "{alone:?}");
}

#[test]
fn an_archive_left_in_its_place_is_read_again_when_it_changes_and_when_it_is_back() {
    let place = Place::new();
    let gpx = |name: &str| {
        format!(
            "<gpx><trk><name>{name}</name><trkseg><trkpt lat=\"52\" lon=\"13\"><time>2024-05-01T08:00:00Z</time></trkpt></trkseg></trk></gpx>"
        )
    };
    let moved = place.file("moved.gpx", gpx("first"));
    let other = place.file("other.gpx", gpx("other"));
    place.run(&["import", "files", &moved, "--user", "u", "--in-place"]).expect(0);
    place.run(&["import", "files", &other, "--user", "u", "--in-place"]).expect(0);
    std::fs::remove_file(&moved).unwrap();
    place.run(&["normalize"]).expect(3);
    let titles = || -> Vec<String> {
        let mut titles: Vec<String> =
            place.rows("activities").iter().map(|row| row["title"].clone()).collect();
        titles.sort();
        titles
    };
    assert_eq!(titles(), ["other"], "what is out of reach stops nothing else");
    assert!(place.rows("rejects")[0]["reason"].contains("moved.gpx"), "{:?}", place.rows("rejects"));
    // It is back, as a drive that was not mounted: it is read, and nothing is said against it any more.
    place.file("moved.gpx", gpx("first"));
    place.run(&["normalize"]).expect(0);
    assert_eq!(titles(), ["first", "other"]);
    assert_eq!(place.rows("rejects"), []);
    // A changed one is read as it is now.
    place.file("moved.gpx", gpx("second, and longer"));
    place.run(&["normalize"]).expect(0);
    assert!(titles().contains(&"second, and longer".to_string()), "{:?}", titles());
    let before = crate::support::files(&place.lake().join("activities"));
    place.run(&["normalize"]).expect(0);
    assert_eq!(crate::support::files(&place.lake().join("activities")), before, "nothing came since");
}

#[test]
fn the_table_of_every_year_and_language_is_read() {
    let Some(folder) = fixtures("strava_export") else { return };
    let headers = std::fs::read_to_string(folder.join("known_headers.json")).unwrap();
    let headers: BTreeMap<String, Vec<String>> = serde_json::from_str(&headers).unwrap();
    assert!(headers.len() >= 6);
    for (name, header) in headers {
        let mut cells = vec![String::new(); header.len()];
        let is_old = header.len() == 10;
        cells[0] = "123".to_string();
        cells[1] = match name.as_str() {
            name if name.starts_with("de") => "\"29.05.2022, 15:53:35\"".to_string(),
            name if name.contains("lowercase") => "2022-05-29 15:53:35".to_string(),
            _ => "\"May 29, 2022, 3:53:35 PM\"".to_string(),
        };
        cells[3] = if name.starts_with("de") { "Lauf" } else { "Run" }.to_string();
        if is_old {
            // Metres until June 2019, kilometres since.
            (cells[5], cells[6]) =
                ("1428".to_string(), if name.contains("lowercase") { "3320" } else { "3.32" }.to_string());
        } else {
            (cells[5], cells[6]) = ("1".to_string(), "\"9,44\"".to_string());
            (cells[15], cells[17], cells[21]) =
                ("1428.0".to_string(), "3320.0".to_string(), "86.0".to_string());
        }
        let place = Place::new();
        let quoted: Vec<String> = header.iter().map(|name| format!("\"{name}\"")).collect();
        let file = place.file("activities.csv", format!("{}\n{}\n", quoted.join(","), cells.join(",")));
        place.run(&["import", "auto", &file, "--user", "u"]).expect(0);
        place.run(&["normalize"]).expect(0);
        let rows = place.rows("activities");
        let row = &rows[0];
        let told = |column: &str| row.get(column).map(String::as_str);
        assert_eq!(told("start_time"), Some("2022-05-29T15:53:35"), "{name}");
        assert_eq!(told("distance_m"), Some("3320.0"), "{name}");
        assert_eq!((told("elapsed_s"), told("sport")), (Some("1428.0"), Some("run")), "{name}");
        assert_eq!(told("elevation_loss_m"), (!is_old).then_some("86.0"), "{name}");
    }
}

#[test]
fn tokens_in_pushed_bodies_reach_no_row() {
    let Some(folder) = fixtures("garmin_api") else { return };
    let place = Place::new();
    place.run(&["import", "garmin", folder.to_str().unwrap(), "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(3);
    for dataset in ["activities", "streams", "rejects"] {
        let rows = format!("{:?}", place.rows(dataset));
        assert!(!rows.contains("token") && !rows.contains("AccessToken"), "{dataset}");
    }
    assert_eq!(place.rows("activities").len(), 2);
}
