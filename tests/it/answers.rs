//! What people say about clocks: through the binary.

use crate::support::{Ended, Place};

fn dedupe(place: &Place) -> Ended {
    place.run(&["dedupe", "--json"]).expect(0)
}

const SETS: &str = "title,start_time,end_time,description,exercise_title,superset_id,exercise_notes,set_index,set_type,weight_kg,reps,distance_km,duration_seconds,rpe\n";

/// A watch's hour and a half in UTC, and the log of the sets by the clock on the wall in New York.
fn lifter() -> Place {
    let place = Place::new();
    let watch = r#"[{"logId":7,"activityName":"Weights","duration":5400000,"startTime":"03/04/24 22:10:00","calories":400}]"#;
    let watch = place.file("exercise-0.json", watch);
    let log = format!("{SETS}Legs,\"4 Mar 2024, 17:21\",\"4 Mar 2024, 18:19\",,Squat,,,0,normal,100,5,,,\n");
    let log = place.file("hevy.csv", log);
    place.run(&["import", "fitbit", &watch, "--user", "u"]).expect(0);
    place.run(&["import", "hevy", &log, "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(0);
    place
}

#[test]
fn a_zone_that_somebody_names_holds_for_its_days_and_can_be_taken_back() {
    let place = lifter();
    let workouts = || dedupe(&place).json()["golden"].as_u64();
    let decide = |zone: &[&str]| {
        place.run(&[&["dedupe", "decide", "--user", "u", "--zone", "hevy"], zone].concat()).expect(0)
    };
    dedupe(&place);
    assert_eq!(place.rows("golden").len(), 2, "nothing says where the log was written");

    decide(&["America/New_York"]);
    assert_eq!(workouts(), Some(1));
    let row = place.rows("matches").remove(0);
    let moved = ["a", "b"].into_iter().filter_map(|side| {
        let why = row.get(&format!("moved_{side}_why"))?;
        Some((why.as_str(), row[&format!("moved_{side}_s")].as_str()))
    });
    assert_eq!(moved.collect::<Vec<_>>(), [("answered", "18000")]);
    let names = ["a", "b"]
        .map(|side| format!("{}:{}", row[&format!("source_{side}")], row[&format!("source_id_{side}")]));
    let said = place.run(&["dedupe", "explain", &names[0], &names[1], "--user", "u"]).expect(0).stdout;
    assert!(said.contains("5 h 00 min later: somebody said in which zone its clock was"), "{said}");

    // The newest answer about a day holds: that spring it was with somebody in Berlin.
    decide(&["Europe/Berlin", "--from", "2024-03-01", "--to", "2024-03-31"]);
    assert_eq!(workouts(), Some(2));
    decide(&["Europe/Berlin", "--from", "2024-03-05"]);
    assert_eq!(dedupe(&place).json()["golden"], 2);
    decide(&["forget", "--from", "2024-03-01", "--to", "2024-03-04"]);
    dedupe(&place);
    assert_eq!(place.rows("golden").len(), 2, "what was said of that day and for good is taken back, too");
    decide(&["America/New_York", "--to", "2024-03-04"]);
    assert_eq!(workouts(), Some(1));

    for (args, says) in [
        (vec!["--user", "u", "--zone", "hevy", "Europe/Berlinn"], "is not a time zone"),
        (vec!["--user", "u", "--zone", "diary", "UTC"], "\"diary\" is not a source"),
        (vec!["--user", "u", "--zone", "garmin", "UTC"], "u has no activities of garmin"),
        (vec!["--user", "v", "--zone", "hevy", "UTC"], "v has no activities of hevy"),
        (vec!["--zone", "hevy", "UTC"], "--user"),
        (
            vec!["--user", "u", "--zone", "hevy", "UTC", "--from", "2024-05-01", "--to", "2024-04-01"],
            "is after the last",
        ),
    ] {
        let ended = place.run(&[&["dedupe", "decide"], args.as_slice()].concat()).expect(2);
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
}
