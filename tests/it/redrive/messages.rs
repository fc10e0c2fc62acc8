//! The bytes of messages: the contract's own example, its definitions, and what is left out or put in.

use longrun::sources::strava::endpoints::STREAMS;
use longrun::store::landing::Ask;
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::{Value, json};

use super::{USER, athlete, detail, held, told_activities};
use crate::consumer::payload_definition;
use crate::support::Place;

/// What the contract gives as an example of a live event's activity.
const EXAMPLE: &str = r#""standardized_activity":{"source":"SOURCE_STRAVA","external_id":"123","user_id":"u1","start_time":"2026-01-05T08:00:00Z","name":"Morning Run","type":"ACTIVITY_TYPE_RUN","sessions":[{"start_time":"2026-01-05T08:00:00Z","total_elapsed_time":3,"total_distance":6,"laps":[{"start_time":"2026-01-05T08:00:00Z","total_elapsed_time":3,"total_distance":6,"records":[{"timestamp":"2026-01-05T08:00:00Z","heart_rate":120},{"timestamp":"2026-01-05T08:00:01Z","heart_rate":130,"distance":3}],"is_telemetry_container_only":true}],"avg_heart_rate":125,"max_heart_rate":130}],"description":"nice"}"#;

#[test]
fn messages_are_the_contracts_to_the_byte() {
    let place = told_activities();
    place.redrive(&place.out(), &[]).expect(0);
    let lines = place.lines();
    let golden = include_str!("../messages.jsonl");
    let told: String = lines.iter().map(|line| format!("{}\n", std::str::from_utf8(line).unwrap())).collect();
    assert_eq!(told, golden);
    assert!(golden.lines().next().unwrap().contains(EXAMPLE));
    // 32-bit floats, whatever the source wrote.
    assert!(golden.contains(r#""position_lat":51.50735092163086"#));
    assert!(golden.contains(r#""total_distance":24931.400390625"#));
    // What Strava said, verbatim, whether it came alone or in a list.
    let original = |at: usize| -> String {
        let event: Value = serde_json::from_slice(&lines[at]).unwrap();
        event["data"]["original_payload_json"].as_str().unwrap().to_string()
    };
    assert!(original(1).starts_with("{\n  \"id\": 124, \"name\": \"A <b>"));
    assert!(original(3).starts_with("{\"id\":126, \"name\":\"Listed only\""), "{}", original(3));
}

#[test]
fn a_broken_record_on_a_page_takes_no_original_but_its_own() {
    let record = |id: u32| {
        format!(
            r#"{{"id":{id}, "name":"Run", "sport_type":"Run", "start_date":"2026-01-0{id}T08:00:00Z", "elapsed_time":600}}"#
        )
    };
    let page = format!("\u{feff}[{},{{\"id\":2,\"name\":tru}}, {}]", record(1), record(3));
    let place = Place::new();
    place.land(USER, &[(Ask::List { scan: 1, until_s: None, before_s: None, page: 1 }, &page)]);
    // One reject.
    place.run(&["normalize"]).expect(3);
    place.run(&["dedupe"]).expect(0);
    place.import(&format!("{}\n", athlete(USER)));
    place.redrive(&place.out(), &[]).expect(0);
    let original = |line: &Vec<u8>| -> String {
        let event: Value = serde_json::from_slice(line).unwrap();
        event["data"]["original_payload_json"].as_str().unwrap().to_string()
    };
    assert_eq!(place.lines().iter().map(original).collect::<Vec<_>>(), [record(1), record(3)]);
}

/// `3` and `3.0` are one number.
fn with_plain_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(values) => values.into_iter().map(with_plain_numbers).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, v)| (key, with_plain_numbers(v))).collect(),
        other => other,
    }
}

#[test]
fn messages_decode_with_the_real_definitions_in_both_spellings() {
    let definition = payload_definition();
    for line in include_str!("../messages.jsonl").lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let decode = |data: &Value| DynamicMessage::deserialize(definition.clone(), data).unwrap();
        let message = decode(&event["data"]);
        // The same message with the other names of its fields, and numbers for its enums.
        let options = SerializeOptions::new().use_proto_field_name(false).use_enum_numbers(true);
        let other = message.serialize_with_options(serde_json::value::Serializer, &options).unwrap();
        assert!(other.get("standardizedActivity").is_some() && other["source"].is_number());
        assert_eq!(decode(&other), message);
        // And back to what was sent, so nothing in it is unknown or said twice.
        let options = SerializeOptions::new().use_proto_field_name(true);
        let again = message.serialize_with_options(serde_json::value::Serializer, &options).unwrap();
        assert_eq!(with_plain_numbers(again), with_plain_numbers(event["data"].clone()));
        assert_eq!(event["id"], event["data"]["pipeline_execution_id"]);
        assert_eq!(event["data"]["metadata"], json!({"backfill": "true"}));
    }
}

#[test]
fn what_is_too_long_is_held_back_or_thinned() {
    let place = Place::new();
    place.land_details(USER, &[detail(1, "2026-02-01T08:00:00Z")]);
    let n = 60_000;
    let list = |of: &dyn Fn(usize) -> String| (0..n).map(of).collect::<Vec<_>>().join(",");
    let streams = format!(
        r#"{{"time":{{"data":[{}]}},"heartrate":{{"data":[{}]}},"latlng":{{"data":[{}]}},"distance":{{"data":[{}]}},"altitude":{{"data":[{}]}}}}"#,
        list(&|i| i.to_string()),
        list(&|i| (100 + i % 60).to_string()),
        list(&|i| format!("[51.{:06},-0.{:06}]", i * 7, i * 3 + 1)),
        list(&|i| format!("{}.3", i * 3)),
        list(&|i| format!("{}.7", i % 90))
    );
    place.land(USER, &[(STREAMS.ask("1", 1_769_932_800), &streams)]);
    place.prepare(&[athlete(USER)]);
    let plan = place.dry_run(&[]);
    assert!(held(&plan, "too_large").1.contains("--thin"), "{plan}");
    place.redrive(&place.out(), &["--thin"]).expect(0);
    let line = place.lines().remove(0);
    assert!(line.len().div_ceil(3) * 4 <= 10_000_000 && line.len() > 2_000_000);
    let event: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(event["data"]["metadata"]["longrun_thinned_to_every"], "2");
    let session = &event["data"]["standardized_activity"]["sessions"][0];
    let records = session["laps"][0]["records"].as_array().unwrap();
    assert_eq!(records.len(), 30_001, "every second, and the last");
    // Its figures are of all that was recorded.
    assert_eq!(session["max_heart_rate"], 159);
}

#[test]
fn other_sources_are_merged_in_only_when_asked_for_and_marked() {
    let place = Place::new();
    place.land_details(USER, &[detail(1, "2026-02-07T08:00:00Z")]);
    let tcx: String = (0..60)
        .map(|i| format!("<Trackpoint><Time>2026-02-07T08:{:02}:{:02}Z</Time><HeartRateBpm><Value>{}</Value></HeartRateBpm></Trackpoint>", i / 6, i % 6 * 10, 120 + i))
        .collect();
    let tcx = format!(
        "<?xml version=\"1.0\"?><TrainingCenterDatabase xmlns=\"http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2\"><Activities><Activity Sport=\"Running\"><Id>2026-02-07T08:00:00Z</Id><Lap StartTime=\"2026-02-07T08:00:00Z\"><TotalTimeSeconds>600</TotalTimeSeconds><DistanceMeters>2000</DistanceMeters><Track>{tcx}</Track></Lap></Activity></Activities></TrainingCenterDatabase>"
    );
    place.run(&["import", "files", &place.file("run.tcx", tcx), "--user", USER]).expect(0);
    place.prepare(&[athlete(USER)]);
    assert_eq!(place.dry_run(&[])["owed"], 1, "one workout");
    place.redrive(&place.out(), &[]).expect(0);
    assert!(!String::from_utf8_lossy(&place.lines()[0]).contains("heart_rate\""));
    let merged = format!("file:{}", place.folder.path().join("merged.jsonl").display());
    place.redrive(&merged, &["--merged"]).expect(0);
    let event: Value =
        serde_json::from_slice(&std::fs::read(place.folder.path().join("merged.jsonl")).unwrap()).unwrap();
    let marked = event["data"]["metadata"]["longrun_merged_heart_rate"].as_str().unwrap();
    assert!(marked.starts_with("files:"), "{marked}");
    let session = &event["data"]["standardized_activity"]["sessions"][0];
    assert_eq!(session["laps"][0]["records"].as_array().unwrap().len(), 60);
    assert_eq!(
        (session["avg_heart_rate"].as_i64(), session["max_heart_rate"].as_i64()),
        (Some(149), Some(179))
    );
}
