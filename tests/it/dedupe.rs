//! Finding the same workouts: through the binary, on people whose truth is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::Stdio;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::support::{Ended, Place, Row, files, parquet_files, python_with};

/// A lake of invented people's activities, made without files in between.
fn invented(users: u32, activities: u32) -> Place {
    let place = Place::new();
    let truth = place.file("truth.jsonl", "");
    let (users, activities) = (users.to_string(), activities.to_string());
    let args =
        ["synth", "activities", "--seed", "31", "--users", &users, "--activities", &activities, &truth];
    place.run(&args).expect(0);
    place
}

fn dedupe(place: &Place, args: &[&str]) -> Ended {
    place.run(&[&["dedupe", "--json"], args].concat()).expect(0)
}

/// `source:id` of every member, by golden id.
fn groups(place: &Place) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut groups = BTreeMap::new();
    for row in place.rows("golden") {
        let members = members(&row);
        groups.insert((row["user_id"].clone(), row["golden_id"].clone()), members);
    }
    groups
}

/// As the printed list of structs has them: `{source: strava, source_id: 1, role: same}`.
fn members(row: &Row) -> BTreeSet<String> {
    row["members"]
        .split("source: ")
        .skip(1)
        .map(|member| {
            let (source, rest) = member.split_once(", source_id: ").unwrap();
            format!("{source}:{}", rest.split(',').next().unwrap())
        })
        .collect()
}

fn names(row: &Row) -> (String, String) {
    let name =
        |side: &str| format!("{}:{}", row[&format!("source_{side}")], row[&format!("source_id_{side}")]);
    (name("a"), name("b"))
}

#[test]
fn every_activity_is_kept_and_every_field_says_where_it_is_from() {
    let place = invented(8, 120);
    dedupe(&place, &[]);
    let activities = place.rows("activities");
    let golden = place.rows("golden");
    let told: BTreeSet<(String, String)> = activities
        .iter()
        .map(|row| (row["user_id"].clone(), format!("{}:{}", row["source"], row["source_id"])))
        .collect();
    let kept: BTreeSet<(String, String)> = golden
        .iter()
        .flat_map(|row| members(row).into_iter().map(|name| (row["user_id"].clone(), name)))
        .collect();
    assert_eq!(kept, told, "nothing is deleted");
    assert!(golden.len() < activities.len() / 2);
    let by_name: HashMap<(String, String), &Row> = activities
        .iter()
        .map(|row| ((row["user_id"].clone(), format!("{}:{}", row["source"], row["source_id"])), row))
        .collect();
    let mut filled = 0;
    let mut seen = BTreeSet::new();
    for row in golden.iter().filter(|row| members(row).len() > 1) {
        for entry in row["lineage"].split("{source: ").skip(1) {
            let (source, rest) = entry.split_once(", source_id: ").unwrap();
            let (id, rest) = rest.split_once(", why: ").unwrap();
            let (why, rest) = rest.split_once(", fields: [").unwrap();
            let giver = by_name[&(row["user_id"].clone(), format!("{source}:{id}"))];
            // What pieces say together, none of them says alone.
            for field in rest.split(']').next().unwrap().split(", ").filter(|_| why != "piece") {
                assert_eq!(row[field], giver[field], "{field} of {}", row["golden_id"]);
                seen.insert((why.to_string(), field.to_string()));
                let strava_has_it = members(row).iter().any(|name| {
                    name.starts_with("strava:")
                        && by_name[&(row["user_id"].clone(), name.clone())].contains_key(field)
                });
                filled += u32::from(field == "avg_heart_rate_bpm" && source != "strava" && !strava_has_it);
                // What tells of all of it and of nothing else comes before what tells of more or less.
                let mut of_strava = row["members"].split("{source: strava,").skip(1);
                let tells_all = |member: &str| member.split('}').next().unwrap().ends_with("role: same");
                let strava_tells = of_strava.clone().next().is_some() && of_strava.all(tells_all);
                assert!(field != "title" || source == "strava" || !strava_tells, "{row:?}");
            }
        }
    }
    assert!(filled > 10, "a heart rate that Strava lacks is filled from another");
    for (why, field) in [
        ("agreed_start", "start_time"),
        ("written", "title"),
        ("best_recording", "distance_m"),
        ("sport", "sport"),
    ] {
        assert!(seen.contains(&(why.to_string(), field.to_string())), "{why} {field}: {seen:?}");
    }
    let conflicts: String = golden.iter().map(|row| row["conflicts"].as_str()).collect();
    for kind in ["kind: zone", "kind: hidden", "kind: unit"] {
        assert!(conflicts.contains(kind), "{kind}");
    }
    // The weights of a pair are its score.
    for row in place.rows("matches").iter().take(500) {
        let bits = |name: &str| row[&format!("{name}bits")].parse::<f64>().unwrap();
        let sum: f64 = ["prior_", "time_", "distance_", "sport_", "track_", "identity_", "effort_"]
            .map(bits)
            .iter()
            .sum();
        assert!((sum - bits("")).abs() < 1e-3, "{row:?}");
    }
}

#[test]
fn no_workout_has_two_activities_of_one_source_but_by_a_rule() {
    let place = invented(16, 200);
    dedupe(&place, &[]);
    let mut by_rule: BTreeSet<(String, String)> = BTreeSet::new();
    for row in place.rows("matches").iter().filter(|row| row["decision"] == "match") {
        if ["copy", "part"].contains(&row["reason"].as_str()) {
            let (a, b) = names(row);
            by_rule.extend([(row["user_id"].clone(), a), (row["user_id"].clone(), b)]);
        }
    }
    let mut twice = 0;
    for ((user_id, id), members) in groups(&place) {
        let mut sources: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for name in &members {
            sources.entry(name.split(':').next().unwrap()).or_default().push(name);
        }
        for own in sources.values().filter(|own| own.len() > 1) {
            twice += 1;
            let ruled =
                own.iter().filter(|name| by_rule.contains(&(user_id.clone(), (**name).clone()))).count();
            assert!(ruled >= own.len() - 1, "{id}: {members:?}");
        }
    }
    assert!(twice > 20, "copies and parts came up");
    // And of two sources, everybody has one partner at most.
    let mut partners: HashMap<(String, String, String), BTreeSet<String>> = HashMap::new();
    for row in place.rows("matches") {
        if row["decision"] == "match" && row["reason"] == "weight" {
            let (a, b) = names(&row);
            for (one, other) in [(&a, &b), (&b, &a)] {
                let source = other.split(':').next().unwrap().to_string();
                let key = (row["user_id"].clone(), one.clone(), source);
                partners.entry(key).or_default().insert(other.clone());
            }
        }
    }
    assert!(partners.values().all(|own| own.len() == 1));
}

/// The result does not depend on how the rows lie in the files, or on who works.
#[test]
fn any_order_of_rows_and_any_number_of_threads_comes_to_the_same() {
    let place = invented(12, 150);
    let weights = place.file("weights.toml", place.run(&["dedupe", "weights"]).expect(0).stdout);
    dedupe(&place, &["--weights", &weights]);
    let (golden, matches) = (place.rows("golden"), place.rows("matches"));
    let lake = longrun::store::lake::Lake::open(&place.lake()).unwrap();
    let mut dice = Pcg64Mcg::seed_from_u64(8);
    for key in longrun::store::dataset::files(&lake, &lake.activities_folder()).unwrap() {
        let batches = longrun::store::dataset::read(&lake, &key, None).unwrap();
        let all = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        let mut order: Vec<u32> = (0..all.num_rows() as u32).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, dice.random_range(0..=at));
        }
        let shuffled =
            arrow::compute::take_record_batch(&all, &arrow::array::UInt32Array::from(order)).unwrap();
        longrun::store::dataset::write(
            &lake,
            &key,
            longrun::store::dataset::Table::Activities,
            &longrun::store::dataset::MadeFrom::default(),
            [shuffled],
        )
        .unwrap();
    }
    for threads in ["1", "3"] {
        std::fs::remove_dir_all(place.lake().join("golden")).unwrap();
        let ended = place.command(&["dedupe"]).env("RAYON_NUM_THREADS", threads).output().unwrap();
        Ended::of(ended).expect(0);
        assert!(place.rows("golden") == golden, "{threads} threads");
        assert!(place.rows("matches") == matches, "{threads} threads");
    }
}

#[test]
fn only_what_has_changed_is_done_again() {
    let place = Place::new();
    let manifest = place.exports(8, 30);
    place.run(&["import", "--manifest", &manifest]).expect(0);
    place.run(&["normalize"]).expect(0);
    let first = dedupe(&place, &[]).json();
    assert!(first["buckets_rewritten"].as_u64().unwrap() >= 5);
    assert!(first["learned_from"].as_u64().unwrap() > 100);
    let again = dedupe(&place, &[]);
    assert_eq!(again.json()["buckets_rewritten"], 0);
    assert!(again.stderr.contains("nothing has changed"), "{}", again.stderr);
    let before = files(&place.lake().join("golden"));
    // A small import touches the bucket of its user, and no other.
    let table = "title,start_time,end_time,description,exercise_title,superset_id,exercise_notes,set_index,set_type,weight_kg,reps,distance_km,duration_seconds,rpe\n\
                 Extra,\"22 Mar 2011, 18:00\",\"22 Mar 2011, 19:00\",,Squat,,,0,normal,100,5,,,\n";
    let table = place.file("extra.csv", table);
    place.run(&["import", "hevy", &table, "--user", "user-0003"]).expect(0);
    place.run(&["normalize"]).expect(0);
    let early = place.run(&["report", "--json"]).expect(0);
    assert_eq!(early.json()["not_deduped"], 1);
    assert!(early.stderr.contains("came after the last `longrun dedupe`"), "{}", early.stderr);
    let third = dedupe(&place, &[]).json();
    assert_eq!(third["buckets_rewritten"], 1);
    assert_eq!(third["learned_from"], 0, "the weights stay, or everything would change");
    let after = files(&place.lake().join("golden"));
    assert_eq!(before.iter().filter(|(path, bytes)| after.get(*path) != Some(bytes)).count(), 1);
    // Other odds, and other weights, are another result.
    assert!(dedupe(&place, &["--match-odds", "1000"]).json()["buckets_rewritten"].as_u64().unwrap() >= 5);
    assert!(dedupe(&place, &["--learn"]).json()["learned_from"].as_u64().unwrap() > 100);
}

#[test]
fn what_somebody_said_overrides_and_is_remembered() {
    let place = invented(4, 60);
    dedupe(&place, &[]);
    let matches = place.rows("matches");
    let sure = matches.iter().find(|row| row["decision"] == "match" && row["reason"] == "weight").unwrap();
    let (a, b) = names(sure);
    let golden = groups(&place);
    let together = |place: &Place, a: &String, b: &String| {
        groups(place).values().any(|members| members.contains(a) && members.contains(b))
    };
    assert!(together(&place, &a, &b));
    // Two of one person that were never even compared.
    let own: Vec<String> = golden
        .iter()
        .filter(|((user, _), members)| *user == sure["user_id"] && !members.contains(&a))
        .filter_map(|(_, members)| members.iter().find(|name| !name.starts_with("strava:")).cloned())
        .collect();
    let (c, d) = (own[0].clone(), own[own.len() - 1].clone());
    assert!(!together(&place, &c, &d));

    place.run(&["dedupe", "decide", "--pair", &a, &b, "different"]).expect(0);
    let table = place.file("answers.csv", format!("user,a,b,answer\n{},{d},{c},same\n", sure["user_id"]));
    place.run(&["dedupe", "decide", "--file", &table]).expect(0);
    for _ in 0..2 {
        let summary = dedupe(&place, &[]).json();
        assert!(summary["buckets_rewritten"] == 0 || summary["answered"] == 2, "{summary}");
        assert!(!together(&place, &a, &b), "{a} and {b} are different");
        assert!(together(&place, &c, &d), "{c} and {d} are the same");
    }
    assert_eq!(place.rows("matches").iter().filter(|row| row["reason"] == "person").count(), 2);
    let report = place.run(&["report", "--json"]).expect(0).json();
    assert_eq!(report["pairs"]["answered"], 2);
    // Learning anew changes nothing about it, and taking it back does.
    dedupe(&place, &["--learn"]);
    assert!(!together(&place, &a, &b) && together(&place, &c, &d));
    place.run(&["dedupe", "decide", "--pair", &b, &a, "forget"]).expect(0);
    place.run(&["dedupe", "decide", "--pair", &c, &d, "forget"]).expect(0);
    dedupe(&place, &[]);
    assert!(together(&place, &a, &b) && !together(&place, &c, &d));

    for (args, says) in [
        (vec!["--pair", &a, "garmin:1", "same"], "there is no activity garmin:1"),
        (vec!["--pair", &a, "elsewhere:1", "same"], "there is no activity elsewhere:1"),
        (vec!["--pair", &a, "../x=1:1", "same"], "there is no activity"),
        (vec!["--pair", &a, "elsewhere", "same"], "is no SOURCE:ID"),
        (vec!["--pair", &a, &a, "same"], "is one activity, and no pair"),
        (vec!["--user", "nobody", "--pair", &a, &b, "same"], "nobody has no activity"),
        (vec!["--pair", &a, &b, "perhaps"], "perhaps"),
        (vec![], "required"),
    ] {
        let ended = place.run(&[&["dedupe", "decide"], args.as_slice()].concat()).expect(2);
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
    for (table, says) in [
        ("user,a,b,answer\nu,strava:1,garmin:2\n", "line 2"),
        ("user,a,b,answer\nu,strava:1,garmin:2,maybe\n", "\"maybe\" is no answer"),
        ("who,a,b,answer\n", "the columns are user,a,b,answer"),
        ("", "the columns are"),
    ] {
        let file = place.file("bad.csv", table);
        let ended = place.run(&["dedupe", "decide", "--file", &file]).expect(2);
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
}

/// The rows that evaluation is done on are what the exports' readers find.
#[test]
fn rows_that_are_made_directly_are_those_that_exports_are_read_to() {
    let by_files = Place::new();
    let manifest = by_files.exports(8, 60);
    let args = ["synth", "landing", "--seed", "21", "--users", "8", "--activities", "60"];
    by_files.run(&args).expect(0);
    by_files.run(&["import", "--manifest", &manifest]).expect(0);
    by_files.run(&["normalize"]).expect(0);
    let weights = by_files.file("weights.toml", by_files.run(&["dedupe", "weights"]).expect(0).stdout);
    dedupe(&by_files, &["--weights", &weights]);
    let direct = Place::new();
    let truth = direct.file("truth.jsonl", "");
    let args = ["synth", "activities", "--seed", "21", "--users", "8", "--activities", "60", &truth];
    direct.run(&args).expect(0);
    dedupe(&direct, &["--weights", &weights]);
    // Their names differ where they are made from bytes; what was decided at which second does not.
    let decided = |place: &Place| -> BTreeSet<String> {
        place
            .rows("matches")
            .iter()
            .filter(|row| row["decision"] == "match")
            .map(|row| {
                let column = |name: &str| row.get(name).cloned().unwrap_or_default();
                [
                    "user_id",
                    "source_a",
                    "start_time_a",
                    "source_b",
                    "start_time_b",
                    "time",
                    "distance",
                    "sport",
                    "track",
                ]
                .map(column)
                .join(" ")
            })
            .collect()
    };
    let (one, other) = (decided(&by_files), decided(&direct));
    let apart: Vec<&String> = one.symmetric_difference(&other).collect();
    assert!(one.len() > 800, "{}", one.len());
    assert!(apart.len() * 100 <= one.len(), "{} of {}: {apart:#?}", apart.len(), one.len());
    // And so it is measured the same, on the lake with the file of the truth.
    let truth = format!("{}/truth.jsonl", manifest.trim_end_matches("/manifest.csv"));
    dedupe(&by_files, &["--learn"]);
    let measured = by_files.run(&["dedupe", "evaluate", "--json", "--truth", &truth]).expect(0).json();
    assert!(measured["pairs"]["f1"]["value"].as_f64().unwrap() > 0.99, "{}", measured["pairs"]);
}

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
fn a_pair_is_explained_in_sentences_with_what_would_change_it() {
    let place = invented(8, 120);
    dedupe(&place, &[]);
    let matches = place.rows("matches");
    let row = |decision: &str| matches.iter().find(|row| row["decision"] == decision).unwrap();
    for (decision, says) in [("match", "are one workout"), ("no_match", "are two workouts")] {
        let (a, b) = names(row(decision));
        let user = &row(decision)["user_id"];
        let said = place.run(&["dedupe", "explain", &a, &b, "--user", user]).expect(0).stdout;
        assert!(said.starts_with(&format!("{a} and {b} {says}")), "{said}");
        let bits = format!("{:+.1} bits  together", row(decision)["bits"].parse::<f64>().unwrap());
        assert!(said.contains(&bits), "{bits}: {said}");
        assert!(said.contains("To decide otherwise: longrun dedupe decide --pair"), "{said}");
    }
    let (a, _) = names(row("match"));
    let user = &row("match")["user_id"];
    for (b, says) in [(a.as_str(), "is one activity, and no pair"), ("strava:1", "has no activity strava:1")]
    {
        let ended = place.run(&["dedupe", "explain", &a, b, "--user", user]).expect(2);
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
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
        overview["shown_workouts"] == 10_000 && overview["shown_pairs"].as_u64() > Some(50),
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

/// A device that recorded all week into one file has written as many workouts.
#[test]
fn sessions_of_one_file_are_workouts_of_their_own() {
    let place = Place::new();
    let run = |day: u32, km: u32| {
        let points: String = (0..=20)
            .map(|n| {
                format!(
                    "<Trackpoint><Time>2024-05-{day:02}T07:{:02}:00Z</Time><DistanceMeters>{}</DistanceMeters></Trackpoint>",
                    n * 2,
                    km * 50 * n
                )
            })
            .collect();
        format!(
            "<Activity Sport=\"Running\"><Id>2024-05-{day:02}T07:00:00Z</Id><Lap StartTime=\"2024-05-{day:02}T07:00:00Z\">\
             <TotalTimeSeconds>2400</TotalTimeSeconds><DistanceMeters>{}</DistanceMeters><Track>{points}</Track></Lap></Activity>",
            km * 1000
        )
    };
    let file = format!(
        "<?xml version=\"1.0\"?><TrainingCenterDatabase xmlns=\"http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2\">\
         <Activities>{}{}{}</Activities></TrainingCenterDatabase>",
        run(1, 5),
        run(7, 8),
        run(14, 12)
    );
    let file = place.file("week.tcx", file);
    place.run(&["import", "files", &file, "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(0);
    let summary = dedupe(&place, &[]).json();
    assert_eq!((&summary["activities"], &summary["golden"]), (&3.into(), &3.into()), "{summary}");
    // Of single records, nothing was counted twice.
    for what in ["distance", "time"] {
        let unit = if what == "time" { "s" } else { "m" };
        let side = |when: &str| summary[&format!("{what}_{when}_{unit}")].as_f64().unwrap();
        assert!((side("before") - side("after")).abs() < 1e-6, "{summary}");
    }
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

#[test]
fn somebody_may_say_that_two_of_one_source_are_the_same_and_that_two_parts_are_not() {
    let place = invented(8, 120);
    dedupe(&place, &[]);
    let matches = place.rows("matches");
    // Two of Strava with one of another source.
    let pair = matches
        .iter()
        .find(|r| r["decision"] == "match" && r["source_a"] == "strava" && r["reason"] == "weight");
    let pair = pair.unwrap();
    let (strava, other) = names(pair);
    let second = groups(&place)
        .into_iter()
        .filter(|((user, _), members)| *user == pair["user_id"] && !members.contains(&strava))
        .find_map(|(_, members)| members.into_iter().find(|name| name.starts_with("strava:")))
        .unwrap();
    let user = &pair["user_id"];
    let mut answers =
        format!("user,a,b,answer\n{user},{strava},{other},same\n{user},{second},{other},same\n");
    // And the two parts of one whole.
    let mut parts: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for row in matches.iter().filter(|row| row["reason"] == "part" && row["user_id"] != *user) {
        let (a, b) = names(row);
        for (whole, part) in [(&a, &b), (&b, &a)] {
            let source = part.split(':').next().unwrap().to_string();
            parts.entry((row["user_id"].clone(), whole.clone(), source)).or_default().push(part.clone());
        }
    }
    let ((owner, _, _), both) = parts.into_iter().find(|(_, parts)| parts.len() == 2).unwrap();
    answers += &format!("{owner},{},{},different\n", both[0], both[1]);
    let file = place.file("answers.csv", answers);
    place.run(&["dedupe", "decide", "--file", &file]).expect(0);
    let summary = dedupe(&place, &[]).json();
    assert_eq!(summary["answered"], 3, "{summary}");
    let groups = groups(&place);
    assert!(groups.values().any(|m| [&strava, &other, &second].iter().all(|name| m.contains(*name))));
    assert!(!groups.values().any(|m| both.iter().all(|name| m.contains(name))), "{both:?}");
}
