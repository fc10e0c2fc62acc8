//! Finding the same workouts: through the binary, on people whose truth is known.

mod answers;
mod hard;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::support::{Ended, Place, Row, files};

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
    // One in a hundred; a pair that is decided at another level stands on both sides.
    assert!(apart.len() * 50 <= one.len(), "{} of {}: {apart:#?}", apart.len(), one.len());
    // And so it is measured the same, on the lake with the file of the truth.
    let truth = format!("{}/truth.jsonl", manifest.trim_end_matches("/manifest.csv"));
    dedupe(&by_files, &["--learn"]);
    let measured = by_files.run(&["dedupe", "evaluate", "--json", "--truth", &truth]).expect(0).json();
    assert!(measured["pairs"]["f1"]["value"].as_f64().unwrap() > 0.99, "{}", measured["pairs"]);
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
