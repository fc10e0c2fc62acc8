//! Sums, best efforts and streaks, beside the rows that they are of.

use std::fmt::Write;

use longrun::testing::emulator::Config;
use longrun::testing::synth::Options;
use serde_json::Value;

use crate::support::{Place, Row, WIDE, World, rows};

fn lines(json: &Value) -> &Vec<Value> {
    json.as_array().expect("a list of lines")
}

fn total(lines: &[Value], field: &str) -> f64 {
    lines.iter().map(|line| line[field].as_f64().unwrap_or(0.0)).sum()
}

fn number(row: &Row, column: &str) -> f64 {
    row.get(column).map_or(0.0, |value| value.parse().unwrap())
}

#[test]
fn sums_by_any_key_come_to_the_workouts_counted_once() {
    let options = Options { seed: 31, users: 3, activities: 60 };
    let (world, _) = World::of(options, Config { limits: WIDE, ..Config::default() });
    world.fetch(&[]).expect(0);
    world.run(&["normalize"]).expect(0);
    let early = world.run(&["stats"]).expect(2);
    assert!(early.stderr.contains("run `longrun dedupe` first"), "{}", early.stderr);
    world.run(&["dedupe"]).expect(0);

    let golden = rows(&world.lake_folder(), "golden");
    let (count, km) =
        (golden.len() as f64, golden.iter().map(|row| number(row, "distance_m")).sum::<f64>() / 1000.0);
    let keys = ["week", "month", "year", "sport", "source", "user", "gear", "device", "year,sport,user"];
    for by in keys {
        let sums = world.run(&["stats", "--by", by, "--json"]).expect(0).json();
        assert_eq!(total(lines(&sums), "workouts"), count, "by {by}");
        let summed = total(lines(&sums), "km");
        assert!((summed - km).abs() < 0.001 * lines(&sums).len() as f64, "by {by}: {summed} km of {km}");
        let csv = world.run(&["stats", "--by", by, "--csv"]).expect(0).stdout;
        assert_eq!(csv.lines().count(), lines(&sums).len() + 1);
    }
    let users: Vec<&str> = golden.iter().map(|row| row["user_id"].as_str()).collect();
    let one = world.run(&["stats", "--user", users[0], "--by", "user", "--json"]).expect(0).json();
    let own = users.iter().filter(|user| **user == users[0]).count();
    assert_eq!((lines(&one).len(), lines(&one)[0]["workouts"].as_u64()), (1, Some(own as u64)));

    let told = world.run(&["stats", "--told", "--by", "source", "--json"]).expect(0).json();
    assert_eq!(total(lines(&told), "workouts"), rows(&world.lake_folder(), "activities").len() as f64);

    let file = world.folder.path().join("sums.parquet");
    world.run(&["stats", "--by", "month", "--parquet", file.to_str().unwrap()]).expect(0);
    assert!(file.is_file());
    // Nothing has the columns of something, and a key that is named twice is one.
    let nothing = ["stats", "--by", "user,user,year", "--since", "2100-01-01"];
    let csv = world.run(&[&nothing[..], &["--csv"]].concat()).expect(0).stdout;
    assert!(csv.starts_with("user,year,workouts,km,") && csv.lines().count() == 1, "{csv}");
    world.run(&[&nothing[..], &["--parquet", file.to_str().unwrap()]].concat()).expect(0);
    assert!(file.is_file());
}

/// Three workouts of an hour on the gym's clock in Paris, from half past midnight.
const PARIS: &str = "\
title,start_time,end_time,description,exercise_title,superset_id,exercise_notes,set_index,set_type,weight_kg,reps,distance_km,duration_seconds,rpe
Night,\"1 May 2024, 00:30\",\"1 May 2024, 01:30\",,Squat,,,0,normal,100,5,,,
Night,\"2 May 2024, 00:30\",\"2 May 2024, 01:30\",,Squat,,,0,normal,100,5,,,
Night,\"3 May 2024, 00:30\",\"3 May 2024, 01:30\",,Squat,,,0,normal,100,5,,,
Night,\"31 Dec 2024, 00:30\",\"31 Dec 2024, 01:30\",,Squat,,,0,normal,100,5,,,
";

#[test]
fn a_workout_after_midnight_in_paris_is_of_that_day_whether_the_zone_is_known_or_not() {
    for zone in [&["--timezone", "Europe/Paris"][..], &[]] {
        let place = Place::new();
        let file = place.file("hevy.csv", PARIS);
        place.run(&[&["import", "hevy", &file, "--user", "u"], zone].concat()).expect(0);
        place.run(&["normalize"]).expect(0);
        place.run(&["dedupe"]).expect(0);
        let sums = place.run(&["stats", "--by", "month", "--json"]).expect(0).json();
        let months: Vec<_> = lines(&sums)
            .iter()
            .map(|line| (line["month"].as_str().unwrap(), line["workouts"].as_u64().unwrap()))
            .collect();
        assert_eq!(months, [("2024-05", 3), ("2024-12", 1)], "{zone:?}");
        assert_eq!(lines(&sums)[0]["first_day"], "2024-05-01");
        let weeks = place.run(&["stats", "--by", "week", "--json"]).expect(0).json();
        assert_eq!(lines(&weeks)[1]["week"], "2025-W01");
        let some =
            place.run(&["stats", "--by", "user", "--since", "2024-05-02", "--until", "2024-05-03", "--json"]);
        assert_eq!(lines(&some.expect(0).json())[0]["workouts"], 2);
        let streaks = place.run(&["stats", "streaks", "--json"]).expect(0).json();
        let line = &lines(&streaks)[0];
        let said =
            ["active_days", "longest_days", "latest_days", "longest_weeks"].map(|field| line[field].as_u64());
        assert_eq!(said, [Some(4), Some(3), Some(1), Some(1)]);
        assert_eq!((&line["longest_from"], &line["latest_to"]), (&"2024-05-01".into(), &"2024-12-31".into()));
        let gym = place.run(&["stats", "--sport", "gym", "--by", "sport", "--json"]).expect(0).json();
        assert_eq!(lines(&gym)[0]["workouts"], 4);
        place.run(&["stats", "--sport", "run"]).expect(0);
    }
}

/// A run due north at 3 m/s, of which some metres are at 5 m/s.
fn run(day: u32, fast: std::ops::Range<u32>, metres: u32) -> String {
    let (mut points, mut second, mut at) = (String::new(), 0, 0);
    while at <= metres {
        let latitude = 52.0 + f64::from(at) / 111_195.08;
        write!(
            points,
            "<trkpt lat=\"{latitude:.8}\" lon=\"13\"><time>2024-05-{day:02}T07:{:02}:{:02}Z</time></trkpt>",
            second / 60,
            second % 60
        )
        .unwrap();
        at += if fast.contains(&at) { 5 } else { 3 };
        second += 1;
    }
    format!("<gpx><trk><type>running</type><trkseg>{points}</trkseg></trk></gpx>")
}

#[test]
fn the_fastest_kilometre_is_found_where_it_was_run() {
    let place = Place::new();
    place.file("runs/slow.gpx", run(4, 0..0, 6_000));
    place.file("runs/fast.gpx", run(5, 600..1_700, 5_500));
    let folder = place.folder.path().join("runs");
    place.run(&["import", "files", folder.to_str().unwrap(), "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(0);
    place.run(&["dedupe"]).expect(0);
    let efforts = place.run(&["stats", "efforts", "--json"]).expect(0).json();
    let effort = |name: &str| {
        let found = lines(&efforts).iter().find(|line| line["effort"] == name);
        found.unwrap_or_else(|| panic!("{name} in {efforts}"))
    };
    for (name, seconds, day) in [
        ("400 m", 80.0, "2024-05-05"),
        ("1 km", 200.0, "2024-05-05"),
        // 1,100 m at 5 m/s and the rest at 3.
        ("5 km", 220.0 + 3_900.0 / 3.0, "2024-05-05"),
    ] {
        let line = effort(name);
        let found = line["seconds"].as_f64().unwrap();
        assert!((found - seconds).abs() < 1.0, "{name}: {found} s for {seconds}");
        assert_eq!((line["day"].as_str(), line["family"].as_str()), (Some(day), Some("run")));
    }
    assert_eq!(effort("12 minutes")["day"], "2024-05-05");
    let metres = effort("12 minutes")["metres"].as_f64().unwrap();
    assert!((metres - (1_100.0 + 500.0 * 3.0)).abs() < 6.0, "{metres}");
    assert!(lines(&efforts).iter().all(|line| line["effort"] != "10 km"), "nobody ran that far");

    let eddington = place.run(&["stats", "eddington", "--json"]).expect(0).json();
    let line = &lines(&eddington)[0];
    assert_eq!((&line["eddington_km"], &line["days_to_next_km"]), (&2.into(), &1.into()));
}
