//! Kills, odd records, broken files, and a browser.

use std::path::Path;
use std::process::Stdio;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{dedupe, invented};
use crate::support::{Ended, Place, files, parquet_files, python_with};

#[test]
fn dedupe_killed_anywhere_ends_in_the_same_lake() {
    let place = invented(24, 80);
    dedupe(&place, &[]);
    let (golden, matches) = (place.rows("golden"), place.rows("matches"));
    let mut dice = Pcg64Mcg::seed_from_u64(77);
    let mut killed = 0;
    for _ in 0..8 {
        for store in ["golden", "matches", "weights.toml"] {
            let path = place.lake().join(store);
            let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
        }
        for _ in 0..3 {
            let mut run =
                place.command(&["dedupe"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(dice.random_range(1..400)));
            killed += u32::from(run.try_wait().unwrap().is_none());
            let _ = run.kill();
            run.wait().unwrap();
        }
        dedupe(&place, &[]);
        assert!(place.rows("golden") == golden && place.rows("matches") == matches);
    }
    assert!(killed > 5, "{killed}");
}

#[test]
fn odd_records_are_matched_in_bounded_time_or_left_alone() {
    let place = Place::new();
    // Thousands in one second, a workout of years, one of nothing, times before 1970 and after 2200.
    let mut tables = String::from(
        "title,start_time,end_time,description,exercise_title,superset_id,exercise_notes,set_index,set_type,weight_kg,reps,distance_km,duration_seconds,rpe\n",
    );
    for n in 0..3000 {
        tables += &format!(
            "Session {n},\"1 Mar 2024, 18:00\",\"1 Mar 2024, 19:{:02}\",,Squat,,,0,normal,100,5,,,\n",
            n % 60
        );
    }
    tables += "Years,\"1 Jan 1975, 10:00\",\"1 Jan 2024, 10:00\",,Squat,,,0,normal,100,5,,,\n\
               Nothing,\"1 Mar 2024, 18:00\",\"1 Mar 2024, 18:00\",,Squat,,,0,normal,100,5,,,\n";
    let hevy = place.file("hevy.csv", tables);
    let exercises: Vec<String> = (0..3000)
        .map(|n| {
            format!(
                r#"{{"logId":{n},"activityName":"Weights","duration":3600000,"startTime":"03/01/24 18:00:{:02}","calories":100}}"#,
                n % 60
            )
        })
        .collect();
    let fitbit = place.file("exercise-0.json", format!("[{}]", exercises.join(",")));
    place.run(&["import", "hevy", &hevy, "--user", "u"]).expect(0);
    place.run(&["import", "fitbit", &fitbit, "--user", "u"]).expect(0);
    assert!([Some(0), Some(3)].contains(&place.run(&["normalize"]).code));
    let activities = place.rows("activities").len() as u64;
    assert!(activities > 5_000, "{activities}");
    let summary = dedupe(&place, &[]).json();
    assert_eq!(summary["activities"].as_u64(), Some(activities));
    assert!(summary["crowded"].as_u64().unwrap() > 1_000, "{summary}");
    assert!(summary["pairs"].as_u64().unwrap() <= 101 * activities, "{summary}");
    place.run(&["report"]).expect(0);
}

#[test]
fn what_cannot_be_done_is_said_in_a_sentence() {
    let place = invented(2, 20);
    let no_report = place.run(&["report"]).expect(2);
    assert!(no_report.stderr.contains("run `longrun dedupe` first"), "{}", no_report.stderr);
    for (args, says) in [
        (vec!["dedupe", "--match-odds=-3"], "more than 0"),
        (vec!["dedupe", "--match-odds", "many"], "odds are a number"),
        (vec!["dedupe", "--match-odds", "2", "--review-odds", "5"], "needs no look"),
        (vec!["dedupe", "--weights", "/nowhere.toml"], "nowhere.toml"),
    ] {
        let ended = place.run(&args);
        assert!(matches!(ended.code, Some(1 | 2)), "{args:?}");
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
    let half = place.file("half.toml", "prior = 0.1\n[time]\n");
    let ended = place.run(&["dedupe", "--weights", &half]).expect(2);
    assert!(ended.stderr.contains("same in [time] is missing"), "{}", ended.stderr);
    dedupe(&place, &[]);
    std::fs::write(place.lake().join("weights.toml"), "prior = 7").unwrap();
    let ended = place.run(&["dedupe"]).expect(1);
    assert!(ended.stderr.contains("dedupe --learn"), "{}", ended.stderr);
    dedupe(&place, &["--learn"]);
    let nobody = place.run(&["report", "--user", "nobody"]).expect(2);
    assert!(nobody.stderr.contains("\"nobody\""), "{}", nobody.stderr);
    // Rows of another schema, as an older longrun wrote them.
    let activities =
        longrun::store::local::below(&place.lake().join("activities"), "parquet").unwrap().remove(0);
    let sound = std::fs::read(&activities).unwrap();
    let reading = std::fs::File::open(&activities).unwrap();
    let reading = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(reading).unwrap();
    let two = parquet::arrow::ProjectionMask::columns(reading.parquet_schema(), ["user_id", "source_id"]);
    let batch = reading.with_projection(two).build().unwrap().next().unwrap().unwrap();
    let mut file = std::fs::File::create(&activities).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for command in ["dedupe", "report"] {
        let ended = place.run(&[command]).expect(1);
        assert!(ended.stderr.contains("run `longrun normalize`"), "{command}: {}", ended.stderr);
    }
    std::fs::write(&activities, sound).unwrap();
    let golden = longrun::store::local::below(&place.lake().join("golden"), "parquet").unwrap().remove(0);
    std::fs::write(&golden, b"PAR1 and no more").unwrap();
    let ended = place.run(&["report"]).expect(1);
    assert!(ended.stderr.contains("is damaged") && ended.stderr.contains("golden"), "{}", ended.stderr);
    let made_anew = dedupe(&place, &[]).json();
    assert!(made_anew["remade"][0].as_str().unwrap().ends_with(".parquet"), "{made_anew}");
    place.run(&["report"]).expect(0);
}

/// As somebody with a browser sees it: load, filter, open a pair, and nothing on the console.
#[test]
fn the_report_works_in_a_browser() {
    let Some(python) = python_with("selenium, axe_core_python") else { return };
    let place = invented(40, 700);
    dedupe(&place, &["--match-odds", "1000"]);
    let runs = r#"[{"user_id":"user-0007","id":"r1","source":"SOURCE_STRAVA","source_activity_id":"1","status":"synced"}]"#;
    let export = place.folder.path().join("runs.json");
    std::fs::write(&export, runs).unwrap();
    place.run(&["pipeline", "import", export.to_str().unwrap()]).expect(0);
    let page = place.folder.path().join("page.html");
    let overview = place.run(&["report", "--json", "--out", page.to_str().unwrap()]).expect(0).json();
    assert!(
        overview["shown_workouts"].as_u64() > Some(20_000) && overview["shown_pairs"] == 10_000,
        "{overview}"
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/report.py");
    let output = std::process::Command::new(python).arg(script).arg(&page).output().unwrap();
    let said = Ended::of(output);
    if said.code == Some(77) {
        eprintln!("skipped: {}", said.stdout.trim());
        return;
    }
    said.expect(0);
}

/// What a kill between the two files of a bucket would leave behind.
#[test]
fn matches_of_one_run_beside_golden_rows_of_another_are_made_anew() {
    let place = invented(6, 60);
    dedupe(&place, &[]);
    let (golden, matches) = (files(&place.lake().join("golden")), place.rows("matches"));
    dedupe(&place, &["--match-odds", "100000"]);
    assert!(place.rows("matches") != matches);
    for (path, bytes) in &golden {
        std::fs::write(path, bytes).unwrap();
    }
    dedupe(&place, &[]);
    assert!(place.rows("matches") == matches);
    // And of what has no activities any more, nothing is left.
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let gone = parquet_files(&place.lake(), "activities/strava");
    let bucket = name(&gone[0]).strip_prefix("strava-").unwrap().to_string();
    for path in parquet_files(&place.lake(), "activities") {
        if name(&path).ends_with(&bucket) {
            std::fs::remove_file(path).unwrap();
        }
    }
    dedupe(&place, &[]);
    assert!(!place.lake().join("golden").join(&bucket).exists());
    assert!(!place.lake().join("matches").join(&bucket).exists());
}
