//! Starts without a zone: what the same person's other records say of that day is proposed beside them.

use crate::support::{Place, Row};

/// A workout of Hevy's table: wall clocks, and no zone.
const HEVY: &str = "title,start_time,end_time,description,exercise_title,superset_id,exercise_notes,set_index,set_type,\
                    weight_kg,reps,distance_km,duration_seconds,rpe\n\
                    \"Push\",\"4 May 2024, 18:30\",\"4 May 2024, 19:30\",\"\",\"Bench\",,\"\",0,\"normal\",60,8,,,\n";

/// A body of Garmin's pushes: a run at noon of the same day, in UTC, with its offset.
fn garmin(offset_s: i32) -> String {
    format!(
        r#"{{"activities":[{{"userId":"x","summaryId":"{0}","activityId":{0},"startTimeInSeconds":1714816800,"startTimeOffsetInSeconds":{offset_s},"durationInSeconds":1800,"activityType":"RUNNING","distanceInMeters":5000.0}}]}}"#,
        1000 + offset_s
    )
}

fn import(place: &Place, source: &str, name: &str, bytes: &str, user: &str) {
    let file = place.file(name, bytes);
    place.run(&["import", source, &file, "--user", user]).expect(0);
}

fn hevy(place: &Place) -> Row {
    let rows = place.rows("activities");
    rows.into_iter().find(|row| row["source"] == "hevy").expect("Hevy's workout is there")
}

fn proposed(row: &Row) -> (Option<&str>, Option<&str>) {
    (row.get("utc_offset_guess_s").map(String::as_str), row.get("guess_from").map(String::as_str))
}

#[test]
fn a_start_without_a_zone_gets_a_proposal_whatever_is_imported_first_and_is_not_moved() {
    let expected = (Some("7200"), Some("garmin 8200: utc_offset_s"));
    for garmin_first in [true, false] {
        let place = Place::new();
        let mut imports = [("hevy", "w.csv", HEVY.to_string()), ("garmin", "g.json", garmin(7200))];
        if garmin_first {
            imports.reverse();
        }
        for (source, name, bytes) in &imports {
            import(&place, source, name, bytes, "u");
            place.run(&["normalize"]).expect(0);
        }
        let row = hevy(&place);
        assert_eq!(proposed(&row), expected, "garmin first: {garmin_first}");
        assert_eq!(
            (row["start_time"].as_str(), row["start_quality"].as_str()),
            ("2024-05-04T18:30:00", "zone_unknown")
        );
        assert!(!row.contains_key("utc_offset_s") && !row.contains_key("earlier"), "{row:?}");
        // Nothing new: nothing is written.
        let again = place.run(&["normalize", "--json"]).expect(0).json();
        assert_eq!(again["written_bytes"], 0);
    }
}

#[test]
fn a_later_import_takes_a_proposal_back_and_somebody_elses_records_say_nothing() {
    let place = Place::new();
    import(&place, "hevy", "w.csv", HEVY, "u");
    // Another person's run of that day, in the same bucket for one of them at least.
    for other in 0..64 {
        import(&place, "garmin", "other.json", &garmin(3600), &format!("other-{other}"));
    }
    place.run(&["normalize"]).expect(0);
    assert_eq!(proposed(&hevy(&place)), (None, None));
    import(&place, "garmin", "one.json", &garmin(7200), "u");
    place.run(&["normalize"]).expect(0);
    assert_eq!(proposed(&hevy(&place)).0, Some("7200"));
    // Rules are applied anew, and what was proposed stays.
    let rules = place.file("rules.json", r#"[{"substring": "push", "target_type": "Crossfit"}]"#);
    place.run(&["normalize", "--rules", &rules]).expect(0);
    let row = hevy(&place);
    assert_eq!((proposed(&row).0, row["sport"].as_str()), (Some("7200"), "crossfit"));
    // A second record of the day is of another zone, so there is no saying.
    import(&place, "garmin", "two.json", &garmin(-14400), "u");
    place.run(&["normalize"]).expect(0);
    assert_eq!(proposed(&hevy(&place)), (None, None));
}

#[test]
fn a_run_that_ended_before_it_proposed_is_made_good_by_the_next_one() {
    let place = Place::new();
    import(&place, "garmin", "g.json", &garmin(7200), "u");
    import(&place, "hevy", "w.csv", HEVY, "u");
    place.run(&["normalize"]).expect(0);
    let path = crate::support::parquet_files(&place.lake(), "activities")
        .into_iter()
        .find(|path| path.to_str().unwrap().contains("hevy"))
        .unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    place.run(&["normalize"]).expect(0);
    assert_eq!(proposed(&hevy(&place)).0, Some("7200"));
    assert_eq!(std::fs::read(&path).unwrap(), whole, "made anew, it is the same to the byte");
    // The evidence goes: so does the proposal.
    for path in crate::support::parquet_files(&place.lake(), "activities") {
        if path.to_str().unwrap().contains("garmin") {
            std::fs::remove_file(path).unwrap();
        }
    }
    for entry in walkdir::WalkDir::new(place.lake().join("landing/archives")) {
        let entry = entry.unwrap();
        let is_garmins =
            || std::fs::read_to_string(entry.path()).is_ok_and(|text| text.contains("\"source\":\"garmin\""));
        if entry.file_type().is_file()
            && entry.path().extension().is_some_and(|end| end == "json")
            && is_garmins()
        {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    place.run(&["normalize"]).expect(0);
    assert_eq!(proposed(&hevy(&place)), (None, None));
}

#[test]
fn a_file_with_starts_without_a_zone_is_written_once_per_change() {
    let place = Place::new();
    import(&place, "garmin", "g.json", &garmin(7200), "u");
    place.run(&["normalize"]).expect(0);
    for (name, table) in [("w.csv", HEVY.to_string()), ("v.csv", HEVY.replace("Push", "Pull"))] {
        import(&place, "hevy", name, &table, "u");
        let written = place.run(&["normalize", "--json"]).expect(0).json()["written_bytes"].as_u64().unwrap();
        assert_eq!(proposed(&hevy(&place)).0, Some("7200"));
        let files = crate::support::parquet_files(&place.lake(), "activities");
        let file = files.iter().find(|path| path.to_str().unwrap().contains("hevy")).unwrap();
        assert_eq!(written, std::fs::metadata(file).unwrap().len(), "{name}");
    }
}
