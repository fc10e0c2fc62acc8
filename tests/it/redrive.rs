//! What the pipeline missed, given to it: through the binary, into files and endpoints that behave badly.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use longrun::store::lake::Lake;
use longrun::store::landing::{Ask, Header, Landing};
use prost_reflect::{DynamicMessage, SerializeOptions};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};

use crate::consumer::{Consumer, payload_definition};
use crate::endpoint::{Does, Endpoint, HANGS_FOR};
use crate::support::{Ended, Place};

const USER: &str = "u1";
pub const FAST: [&str; 6] = ["--per-second", "100000", "--per-user", "0s", "--leave-syncs", "0"];

/// A user who pays, with one pipeline.
fn athlete(user: &str) -> Value {
    json!({"user_id": user, "tier": "USER_TIER_ATHLETE",
        "pipelines": [{"id": "p1", "source": "SOURCE_STRAVA", "destinations": ["DESTINATION_SHOWCASE"]}]})
}

fn hobbyist(user: &str, used: u64, destinations: &[&str]) -> Value {
    json!({"path": format!("users/{user}"), "tier": "hobbyist", "sync_count_this_month": used,
        "pipelines": [{"id": "p1", "source": "SOURCE_STRAVA", "destinations": destinations}]})
}

/// An activity as Strava's API tells it.
fn detail(id: u64, start: &str) -> Value {
    json!({"id": id, "name": "Morning Run", "sport_type": "Run", "start_date": start, "start_date_local": start,
        "elapsed_time": 600, "moving_time": 590, "distance": 2000.5, "timezone": "(GMT+00:00) Europe/London"})
}

impl Place {
    fn land(&self, user: &str, bodies: &[(Ask, &str)]) {
        let mut landing = Landing::open(&Lake::open_or_create(&self.lake()).unwrap()).unwrap();
        for (ask, body) in bodies {
            let header = Header {
                v: 1,
                source: "strava".to_string(),
                ask: ask.clone(),
                user_id: user.to_string(),
                account_id: "42".to_string(),
                request: "/activities".to_string(),
                fetched_at: "2026-11-20T00:00:00Z".parse().unwrap(),
                status: 200,
            };
            landing.append(&header, body.as_bytes()).unwrap();
        }
    }

    fn land_details(&self, user: &str, details: &[Value]) {
        let asks: Vec<(Ask, String)> = details
            .iter()
            .map(|d| (Ask::Detail { id: d["id"].to_string(), start_s: 0 }, d.to_string()))
            .collect();
        let asks: Vec<(Ask, &str)> = asks.iter().map(|(ask, body)| (ask.clone(), body.as_str())).collect();
        self.land(user, &asks);
    }

    /// Takes in what the pipeline has, and finds the workouts.
    fn prepare(&self, entries: &[Value]) {
        let lines: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
        self.run(&["normalize"]).expect(0);
        self.run(&["dedupe"]).expect(0);
        self.import(&lines);
    }

    /// An export, and that there are no more runs than in it.
    fn import(&self, lines: &str) {
        let files = [self.file("pipeline.jsonl", lines), self.file("none.json", "[]")];
        self.run(&["pipeline", "import", &files[0], &files[1]]).expect(0);
    }

    fn redrive(&self, sink: &str, more: &[&str]) -> Ended {
        self.run(&[&["redrive", "--apply", "--json", "--sink", sink], &FAST[..], more].concat())
    }

    fn dry_run(&self, more: &[&str]) -> Value {
        self.run(&[&["redrive", "--json", "--sink", "file:none.jsonl"], &FAST[..], more].concat())
            .expect(0)
            .json()
    }

    fn out(&self) -> String {
        format!("file:{}", self.folder.path().join("out.jsonl").display())
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        let bytes = std::fs::read(self.folder.path().join("out.jsonl")).unwrap_or_default();
        bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
    }

    /// Many activities of some users, of which the pipeline knows nothing.
    pub fn crowd(users: u32, activities: u32) -> Place {
        let place = Place::new();
        let (n, each) = (users.to_string(), activities.to_string());
        place.run(&["synth", "landing", "--seed", "77", "--users", &n, "--activities", &each]).expect(0);
        let entries: Vec<Value> = (0..users).map(|n| athlete(&format!("user-{n:04}"))).collect();
        place.prepare(&entries);
        place
    }
}

fn held<'a>(summary: &'a Value, reason: &str) -> (u64, &'a str) {
    let figures = &summary["held"][reason];
    (figures["count"].as_u64().unwrap_or(0), figures["why"].as_str().unwrap_or_default())
}

/// One of each shape: with samples, with laps, with what has to be escaped.
pub fn told_activities() -> Place {
    let place = Place::new();
    let first = r#"{"id":123,"name":"Morning Run","sport_type":"Run","start_date":"2026-01-05T08:00:00Z","start_date_local":"2026-01-05T08:00:00Z","elapsed_time":3,"moving_time":3,"distance":6.0,"description":"nice"}"#;
    let streams = r#"{"time":{"data":[0,1]},"heartrate":{"data":[120,130]},"distance":{"data":[0.0,3.0]}}"#;
    let escaped = "{\n  \"id\": 124, \"name\": \"A <b>trail</b> & \\\"more\\\" \\u2028 \u{2029}\\ud83c\\udfc3\", \"sport_type\": \"TrailRun\",\n  \"start_date\": \"2026-01-06T08:00:00Z\", \"start_date_local\": \"2026-01-06T08:00:00Z\", \"elapsed_time\": 2, \"moving_time\": 2, \"distance\": 24931.4,\n  \"calories\": 870.2, \"description\": null}";
    let all = r#"{"time":{"data":[0,1,2]},"heartrate":{"data":[0,150,151]},"latlng":{"data":[[51.50735,-0.12776],[51.50736,-0.12777],[0.0,0.0]]},"altitude":{"data":[35.4,35.6,-1.2]},"velocity_smooth":{"data":[0.0,2.9,3.1]},"cadence":{"data":[0,82,83]},"watts":{"data":[0,210,null]},"temp":{"data":[-3,0,21]},"distance":{"data":[0.0,2.9,6.0]}}"#;
    let laps = r#"{"id":125,"name":"Intervals","sport_type":"GravelRide","start_date":"2026-01-07T08:00:00Z","start_date_local":"2026-01-07T08:00:00Z","elapsed_time":1200,"moving_time":1200,"distance":5000.1,"laps":[{"start_date":"2026-01-07T08:00:00Z","elapsed_time":600,"distance":2500.0},{"start_date":"2026-01-07T08:10:00Z","elapsed_time":600,"distance":2500.1}]}"#;
    let list = r#"[{"id":127,"name":"Later","sport_type":"Padel","start_date":"2026-01-09T08:00:00Z","start_date_local":"2026-01-09T08:00:00Z","elapsed_time":3600,"moving_time":3600,"distance":0.0}, {"id":126, "name":"Listed only","sport_type":"Yoga","start_date":"2026-01-08T08:00:00Z","start_date_local":"2026-01-08T08:00:00Z","elapsed_time":1800,"moving_time":1800,"distance":0.0}]"#;
    let of = |id: &str, start: &str| (id.to_string(), start.parse::<Timestamp>().unwrap().as_second());
    let detail = |(id, start_s): (String, i64)| Ask::Detail { id, start_s };
    let samples = |(id, start_s): (String, i64)| Ask::Streams { id, start_s };
    let (one, two, three) = (
        of("123", "2026-01-05T08:00:00Z"),
        of("124", "2026-01-06T08:00:00Z"),
        of("125", "2026-01-07T08:00:00Z"),
    );
    place.land(
        USER,
        &[
            (detail(two.clone()), escaped),
            (samples(two), all),
            (detail(one.clone()), first),
            (samples(one), streams),
            (detail(three), laps),
            (Ask::List { scan: 1, until_s: None, before_s: None, page: 1 }, list),
        ],
    );
    place.prepare(&[athlete(USER)]);
    place
}

/// What the contract gives as an example of a live event's activity.
const EXAMPLE: &str = r#""standardized_activity":{"source":"SOURCE_STRAVA","external_id":"123","user_id":"u1","start_time":"2026-01-05T08:00:00Z","name":"Morning Run","type":"ACTIVITY_TYPE_RUN","sessions":[{"start_time":"2026-01-05T08:00:00Z","total_elapsed_time":3,"total_distance":6,"laps":[{"start_time":"2026-01-05T08:00:00Z","total_elapsed_time":3,"total_distance":6,"records":[{"timestamp":"2026-01-05T08:00:00Z","heart_rate":120},{"timestamp":"2026-01-05T08:00:01Z","heart_rate":130,"distance":3}],"is_telemetry_container_only":true}],"avg_heart_rate":125,"max_heart_rate":130}],"description":"nice"}"#;

#[test]
fn messages_are_the_contracts_to_the_byte() {
    let place = told_activities();
    place.redrive(&place.out(), &[]).expect(0);
    let lines = place.lines();
    let golden = include_str!("messages.jsonl");
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
    for line in include_str!("messages.jsonl").lines() {
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
fn reconciling_says_where_every_workout_stands() {
    let place = Place::new();
    let mut details: Vec<Value> = (1..=7).map(|n| detail(n, &format!("2026-02-0{n}T08:00:00Z"))).collect();
    (details[6]["sport_type"], details[6]["distance"]) = (json!("WeightTraining"), json!(0.0));
    place.land_details(USER, &details);
    let hevy = "title,start_time,end_time,description,exercise_title,superset_id,exercise_notes,set_index,set_type,weight_kg,reps,distance_km,duration_seconds,rpe\n\
                \"Morning Run\",\"7 Feb 2026, 08:00\",\"7 Feb 2026, 08:10\",\"\",\"Treadmill\",,\"\",0,\"normal\",,,2,600,\n";
    place
        .run(&["import", "hevy", &place.file("workouts.csv", hevy), "--user", USER, "--timezone", "UTC"])
        .expect(0);
    let run = |id: &str, status: Value| json!({"userId": USER, "id": format!("r{id}"), "sourceActivityId": id, "source": 6, "status": status});
    let typed = json!({"name": format!("projects/p/databases/(default)/documents/users/{USER}/pipeline_runs/r5"),
        "fields": {"source_activity_id": {"stringValue": "5"}, "status": {"integerValue": "8"}}});
    let mut entries = vec![athlete(USER), typed];
    for (id, status) in
        [("1", json!("PIPELINE_RUN_STATUS_SYNCED")), ("2", json!(4)), ("3", json!("HALF_DONE"))]
    {
        let mut run = run(id, status);
        run.as_object_mut().unwrap().remove("source");
        entries.push(run);
    }
    entries.push(json!({"path": format!("users/{USER}/uploaded_activities/strava:4")}));
    place.prepare(&entries);
    let reconciled = place.run(&["reconcile", "--json"]).expect(0).json();
    let user = &reconciled["users"][0];
    let told: Vec<u64> = ["there", "failed", "unclear", "loop", "tier_blocked", "missing", "duplicate"]
        .iter()
        .map(|name| user[*name].as_u64().unwrap())
        .collect();
    // The seventh is Hevy's, too, and nobody has it.
    assert_eq!(told, [1, 1, 1, 1, 1, 2, 0], "{reconciled}");
    assert_eq!(user["first_owed"], "2026-02-02T08:00:00Z");
    let hevy_id = crate::support::rows(&place.lake(), "activities/hevy")[0]["source_id"].clone();
    let through_hevy = json!({"user_id": USER, "id": "rh", "source": "SOURCE_HEVY", "source_activity_id": hevy_id, "status": "synced"});
    place.run(&["pipeline", "import", &place.file("more.json", format!("[{through_hevy}]"))]).expect(0);
    let ended = place.run(&["reconcile"]).expect(0);
    let line = ended.stdout.lines().find(|line| line.contains(USER)).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells, [USER, "7", "1", "1", "1", "1", "1", "1", "1", "2026-02-02"], "{}", ended.stdout);
    // The report says the same; one made before the pipeline told of anything has no such part.
    let told = place.run(&["reconcile", "--json"]).expect(0).json();
    for of_user in [&[][..], &["--user", USER]] {
        let overview = place.run(&[&["report", "--json"][..], of_user].concat()).expect(0).json();
        assert_eq!(overview["pipeline"]["totals"], told["totals"]);
        assert_eq!(overview["pipeline"]["users"], told["users"]);
    }
    let untold = Place::new();
    untold.land_details(USER, &[detail(1, "2026-02-01T08:00:00Z")]);
    untold.run(&["normalize"]).expect(0);
    untold.run(&["dedupe"]).expect(0);
    let overview = untold.run(&["report", "--json"]).expect(0).json();
    assert_eq!((&overview["pipeline"], overview["workouts"]["count"].as_u64()), (&Value::Null, Some(1)));
    // Only what is owed is sent, and nothing else can be asked for.
    let plan = place.dry_run(&[]);
    assert_eq!((plan["owed"].as_u64(), plan["send"].as_u64()), (Some(3), Some(3)), "{plan}");
    let ended = place.run(&["redrive", "--sink", "file:x", "--status", "loop"]).expect(2);
    assert!(ended.stderr.contains("are never sent"), "{}", ended.stderr);
}

/// What is not yet known to be whose workout could be older than what would go out, or the same.
#[test]
fn activities_that_came_after_the_last_dedupe_come_first() {
    let place = Place::crowd(2, 5);
    place.land_details("user-0001", &[detail(9, "2001-02-01T08:00:00Z")]);
    place.run(&["normalize"]).expect(0);
    let ended = place.run(&["reconcile", "--json"]).expect(0);
    assert_eq!((&ended.json()["totals"]["missing"], &ended.json()["not_deduped"]), (&json!(10), &json!(1)));
    assert!(ended.stderr.contains("1 record came after the last `longrun dedupe`"), "{}", ended.stderr);
    for apply in [&["--apply"][..], &[]] {
        let ended = place.run(&[&["redrive", "--sink", &place.out()], apply].concat()).expect(2);
        assert!(ended.stderr.contains("run it first"), "{}", ended.stderr);
    }
    assert!(place.lines().is_empty());
    assert_eq!(place.redrive(&place.out(), &["--user", "user-0000"]).expect(0).json()["delivered"], 5);
    place.run(&["dedupe"]).expect(0);
    assert_eq!(place.redrive(&place.out(), &[]).expect(0).json()["delivered"], 6);
    assert!(String::from_utf8_lossy(&place.lines()[5]).contains("2001-02-01T08:00:00Z"));
}

#[test]
fn a_dry_run_sends_nothing_and_filters_choose() {
    let place = Place::crowd(2, 60);
    let plan = place.dry_run(&[]);
    assert_eq!(plan["send"], 120);
    assert_eq!(plan["syncs"], json!({"showcase": 120}));
    assert!(!place.folder.path().join("none.jsonl").exists());
    let starts = |plan: &Value| -> Vec<String> {
        plan["entries"].as_array().unwrap().iter().map(|e| e["start"].as_str().unwrap().to_string()).collect()
    };
    let one = place.dry_run(&["--user", "user-0001", "--since", "2015-01-01", "--until", "2019-01-01"]);
    let all = starts(&one);
    assert!(
        all.len() > 5 && all.iter().all(|start| ("2015".."2019").contains(&&start[..4])) && all.is_sorted()
    );
    assert!(one["entries"].as_array().unwrap().iter().all(|e| e["user_id"] == "user-0001"));
    let runs = place.dry_run(&["--sport", "run", "--limit", "3"]);
    assert_eq!(runs["send"], 3);
    assert!(runs["beyond_limit"].as_u64().unwrap() > 3);
    assert!(runs["entries"].as_array().unwrap().iter().all(|e| e["sport"] == "run"));
    // At a second each of one user, and ten a second of all.
    let paced = place.run(&["redrive", "--json", "--sink", "file:none.jsonl"]).expect(0).json();
    assert_eq!(paced["takes_s"], 60.0);
    place.run(&["redrive", "--sink", "file:x", "--sport", "chess"]).expect(2);
    let done = place.redrive(&place.out(), &["--limit", "7"]).expect(0).json();
    assert_eq!((done["delivered"].as_u64(), done["beyond_limit"].as_u64()), (Some(7), Some(113)));
    assert_eq!(place.lines().len(), 7);
}

#[test]
fn what_would_vanish_or_come_back_is_held_back_with_a_reason() {
    let place = Place::new();
    let mut details: Vec<Value> = (1..=3).map(|n| detail(n, &format!("2026-02-0{n}T08:00:00Z"))).collect();
    details[1]["elapsed_time"] = json!(0);
    place.land_details(USER, &details);
    place.land_details("u2", &[detail(21, "2026-02-01T08:00:00Z")]);
    place.land_details("u3", &[detail(31, "2026-02-01T08:00:00Z")]);
    place.land_details("u4", &[detail(41, "2026-02-01T08:00:00Z")]);
    place.land_details("u5", &[detail(51, "2026-02-01T08:00:00Z")]);
    let two = json!({"user_id": "u4", "tier": 2, "pipelines": [
        {"id": "p1", "source": "SOURCE_STRAVA", "destinations": [2]}, {"id": "p2", "source": "SOURCE_STRAVA", "destinations": []}]});
    let disabled = json!({"user_id": "u5", "tier": 2, "pipelines": [
        {"id": "p1", "source": "SOURCE_STRAVA", "destinations": [2], "disabled": true}]});
    place.prepare(&[athlete(USER), hobbyist("u3", 0, &["DESTINATION_HEVY"]), two, disabled]);
    let plan = place.dry_run(&[]);
    assert_eq!(plan["send"], 2);
    assert!(held(&plan, "no_duration").1.contains("enricher drops"), "{plan}");
    assert!(held(&plan, "unknown_user").1.contains("pipeline import"), "{plan}");
    assert!(held(&plan, "writes_back").1.contains("--allow-write-back"), "{plan}");
    assert_eq!(held(&plan, "no_pipeline").0, 2);
    assert_eq!(place.dry_run(&["--pipeline", "p2", "--user", "u4"])["send"], 1);
    let named = place.dry_run(&["--pipeline", "p1", "--user", "u5"]);
    assert!(held(&named, "no_pipeline").1.contains("would vanish"), "{named}");
    assert_eq!(place.dry_run(&["--allow-write-back", "--user", "u3"])["send"], 1);
    // What Strava said of it is purged.
    let landing = longrun::store::local::below(&place.lake().join("landing/strava"), "zst").unwrap();
    landing.iter().for_each(|path| std::fs::write(path, b"").unwrap());
    let purged = place.dry_run(&["--user", USER]);
    assert_eq!(held(&purged, "original_gone").0, 2);
    assert!(held(&purged, "original_gone").1.contains("it was purged"), "{purged}");
    let done = place.redrive(&place.out(), &["--user", USER, "--without-original"]).expect(3).json();
    assert_eq!(done["delivered"], 2);
    assert!(
        !place.lines().iter().any(|line| String::from_utf8_lossy(line).contains("original_payload_json"))
    );
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
    place.land(USER, &[(Ask::Streams { id: "1".to_string(), start_s: 1_769_932_800 }, &streams)]);
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

#[test]
fn a_tier_is_never_overdrawn() {
    let place = Place::new();
    let details: Vec<Value> = (1..=20).map(|n| detail(n, &format!("2026-02-{n:02}T08:00:00Z"))).collect();
    place.land_details(USER, &details);
    place.prepare(&[hobbyist(USER, 10, &["showcase", "github"])]);
    // 25 a month, 10 used, 3 left to the live pipeline: 12, two at a time.
    let plan = place.run(&["redrive", "--json", "--sink", "file:x", "--leave-syncs", "3"]).expect(0).json();
    assert_eq!((plan["send"].as_u64(), held(&plan, "tier_budget").0), (Some(6), 14));
    assert_eq!(plan["syncs"], json!({"showcase": 6, "github": 6}));
    let done = place.redrive(&place.out(), &[]).expect(75).json();
    assert_eq!((done["delivered"].as_u64(), held(&done, "tier_budget").0), (Some(7), 13));
    let again = place.redrive(&place.out(), &[]).expect(75).json();
    assert_eq!((again["attempts"].as_u64(), again["delivered_before"].as_u64()), (Some(0), Some(7)));
    // An export that is taken in now, and was written before: what was sent since is not in it.
    let export = place.file("pipeline.jsonl", hobbyist(USER, 10, &["showcase", "github"]).to_string());
    let written = std::time::SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options().append(true).open(&export).unwrap().set_modified(written).unwrap();
    let state = rusqlite::Connection::open(place.lake().join("state.db")).unwrap();
    assert_eq!(state.execute("UPDATE redrives SET changed_s = changed_s - 600", []).unwrap(), 7);
    place.run(&["pipeline", "import", &export]).expect(0);
    let again = place.redrive(&place.out(), &[]).expect(75).json();
    assert_eq!((again["attempts"].as_u64(), held(&again, "tier_budget").0), (Some(0), 13));
    let mut consumer = Consumer::new();
    place.lines().iter().for_each(|line| consumer.take(line));
    consumer.check();
    let ids: Vec<&str> = consumer.of_user(USER).iter().map(|run| run.source_activity_id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6", "7"], "the oldest");
}

/// The suite of every sink that takes what it is given: what arrives is what was planned, to the byte, in order,
/// once. `redrive` sends to it.
pub fn check_sink(place: &Place, redrive: &dyn Fn(&[&str]) -> Ended, arrived: &dyn Fn() -> Vec<Vec<u8>>) {
    place.redrive(&place.out(), &[]).expect(0);
    let expected = place.lines();
    let done = redrive(&[]).expect(0).json();
    let all = Some(expected.len() as u64);
    assert_eq!((done["delivered"].as_u64(), done["attempts"].as_u64()), (all, all));
    let messages = arrived();
    let sorted = |all: &[Vec<u8>]| all.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(messages.len(), expected.len());
    assert_eq!(sorted(&messages), sorted(&expected), "the same bytes in every sink");
    let mut consumer = Consumer::new();
    messages.iter().for_each(|message| consumer.take(message));
    consumer.check();
    assert_eq!(consumer.runs.len(), expected.len());
    let again = redrive(&[]).expect(0).json();
    assert_eq!((again["attempts"].as_u64(), again["delivered_before"].as_u64()), (Some(0), all));
    assert_eq!(arrived().len(), expected.len(), "nothing is delivered twice");
}

#[test]
fn a_cloudevents_endpoint_passes_the_suite_and_never_sees_two_of_a_user() {
    let place = Place::crowd(3, 40);
    let endpoint = Endpoint::start(Box::new(|_| Does::TakesLate));
    let sink = format!("cloudevents:{}", endpoint.url());
    check_sink(&place, &|more| place.redrive(&sink, more), &|| {
        endpoint.taken().into_iter().map(|taken| taken.body).collect()
    });
    assert_eq!(endpoint.most_of_a_user(), 1);
    let head = endpoint.taken()[0].head.to_lowercase();
    assert!(head.contains("content-type: application/cloudevents+json"), "{head}");
    // Unless that is allowed.
    let other = Endpoint::start(Box::new(|_| Does::TakesLate));
    place.redrive(&format!("cloudevents:{}", other.url()), &["--unordered"]).expect(0);
    assert!(other.most_of_a_user() > 1);
    assert_eq!(other.taken().len(), 120);
}

#[test]
fn a_file_passes_the_suite_and_keeps_each_message_once() {
    let place = Place::crowd(3, 40);
    let path = place.folder.path().join("other.jsonl");
    let lines = || {
        let bytes = std::fs::read(&path).unwrap();
        bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let sink = format!("file:{}", path.display());
    check_sink(&place, &|more| place.redrive(&sink, more), &lines);
    // Another lake's state, the same file with a torn end: what is there is not written again.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 100);
    std::fs::write(&path, &bytes).unwrap();
    std::fs::remove_file(place.lake().join("state.db")).unwrap();
    let entries: String = (0..3).map(|n| format!("{}\n", athlete(&format!("user-{n:04}")))).collect();
    place.import(&entries);
    place.redrive(&format!("file:{}", path.display()), &[]).expect(0);
    assert_eq!(lines().len(), 120);
    let photo = place.file("photo.jpg", [0xff, 0xd8, b'\n']);
    let ended = place.redrive(&format!("file:{photo}"), &[]).expect(2);
    assert!(ended.stderr.contains("is not a file that messages were written to"), "{}", ended.stderr);
    assert_eq!(std::fs::read(photo).unwrap(), [0xff, 0xd8, b'\n']);
}

#[test]
fn webhook_events_are_shaped_as_stravas_are() {
    let place = told_activities();
    let endpoint = Endpoint::start(Box::new(|_| Does::Takes));
    let sink = format!("webhook:{}", endpoint.url());
    place.redrive(&sink, &["--subscription-id", "120475", "--webhook-every", "0s"]).expect(0);
    let taken = endpoint.taken();
    assert_eq!(taken.len(), 5);
    assert_eq!(
        std::str::from_utf8(&taken[0].body).unwrap(),
        r#"{"aspect_type":"create","event_time":1767600000,"object_id":123,"object_type":"activity","owner_id":42,"subscription_id":120475,"updates":{}}"#
    );
    let ids: Vec<Value> = taken
        .iter()
        .map(|t| serde_json::from_slice::<Value>(&t.body).unwrap()["object_id"].clone())
        .collect();
    assert_eq!(ids, [123, 124, 125, 126, 127]);
    assert_eq!(place.redrive(&sink, &[]).expect(0).json()["attempts"], 0);
}

#[test]
fn a_sink_that_behaves_badly_gets_everything_once_it_behaves() {
    const SEED: u64 = 8;
    println!("seed {SEED}");
    let place = Place::crowd(3, 40);
    let rng = Mutex::new(Pcg64Mcg::seed_from_u64(SEED));
    let script = move |_: usize| match rng.lock().unwrap().random_range(0..20) {
        0 | 1 => Does::Answers(503),
        2 => Does::Answers(429),
        3 => Does::TakesAndHangs,
        4 | 5 => Does::TakesLate,
        6 | 7 => Does::TakesAndCuts,
        8 => Does::Cuts,
        _ => Does::Takes,
    };
    let endpoint = Endpoint::start(Box::new(script));
    let sink = format!("cloudevents:{}", endpoint.url());
    let timeout_ms = HANGS_FOR.as_millis() / 3;
    let timeout = format!("{timeout_ms}ms");
    let done = place.redrive(&sink, &["--timeout", &timeout]).expect(0).json();
    assert_eq!((done["delivered"].as_u64(), done["unknown"].as_u64()), (Some(120), Some(0)), "{done}");
    assert!(done["sent_again"].as_u64().unwrap() > 10, "{done}");
    let mut consumer = Consumer::new();
    endpoint.taken().iter().for_each(|taken| consumer.take(&taken.body));
    consumer.check();
    assert_eq!(consumer.runs.len(), 120);
    assert!(endpoint.taken().len() > 120, "some came twice, under one id");
    // One that refuses a message for good does not stop the others.
    let place = Place::crowd(1, 20);
    let endpoint = Endpoint::start(Box::new(|n| if n == 3 { Does::Answers(422) } else { Does::Takes }));
    let sink = format!("cloudevents:{}", endpoint.url());
    let done = place.redrive(&sink, &[]).expect(3).json();
    assert_eq!((done["delivered"].as_u64(), done["rejected"].as_u64()), (Some(19), Some(1)));
    let again = place.redrive(&sink, &[]).expect(3).json();
    assert!(held(&again, "rejected_before").1.contains("HTTP 422"), "{again}");
    assert_eq!(again["attempts"], 0);
}

#[test]
fn three_hundred_kills_lose_nothing_and_keep_the_order() {
    const SEED: u64 = 20_261_124;
    const KILLS: usize = 300;
    println!("seed {SEED}");
    let place = Place::crowd(3, 210);
    let planned: BTreeSet<String> = place.dry_run(&[])["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["execution_id"].as_str().unwrap().to_string())
        .collect();
    #[derive(Default)]
    struct Target {
        process: Option<u32>,
        at_request: usize,
        does: Option<Does>,
    }
    let target = Arc::new(Mutex::new(Target::default()));
    let armed = target.clone();
    let script = move |number: usize| {
        let mut target = armed.lock().unwrap();
        if number < target.at_request {
            return Does::Takes;
        }
        let Some(process) = target.process.take() else { return Does::Takes };
        // Dead before it is taken, after it, or while the answer travels.
        let _ = std::process::Command::new("kill").args(["-9", &process.to_string()]).status();
        target.does.unwrap_or(Does::Takes)
    };
    let endpoint = Endpoint::start(Box::new(script));
    let sink = format!("cloudevents:{}", endpoint.url());
    let mut rng = Pcg64Mcg::seed_from_u64(SEED);
    let (mut kills, mut runs) = (0, 0);
    loop {
        let at_request = endpoint.requests() + rng.random_range(1..=4_usize);
        let does = [Does::Takes, Does::TakesAndCuts, Does::Cuts, Does::TakesLate][rng.random_range(0..4)];
        *target.lock().unwrap() = Target { process: None, at_request, does: Some(does) };
        let args = [&["redrive", "--apply", "--sink", &sink], &FAST[..]].concat();
        let mut child = place.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let process = child.id();
        if kills < KILLS {
            target.lock().unwrap().process = Some(process);
        }
        // Some die at any moment, between messages and before the first.
        let killer = (kills < KILLS && rng.random_range(0..4) == 0).then(|| {
            let delay = Duration::from_micros(rng.random_range(0..60_000));
            std::thread::spawn(move || {
                std::thread::sleep(delay);
                let _ = std::process::Command::new("kill").args(["-9", &process.to_string()]).status();
            })
        });
        use std::os::unix::process::ExitStatusExt;
        let status = child.wait().unwrap();
        killer.into_iter().for_each(|killer| killer.join().unwrap());
        target.lock().unwrap().process = None;
        runs += 1;
        let killed = status.signal() == Some(9);
        assert!(killed || status.success(), "{status}");
        kills += usize::from(killed);
        if !killed && kills >= KILLS {
            break;
        }
        // Everything arrived before enough of them were killed: what is done stays done.
        if !killed && place.redrive(&sink, &[]).expect(0).json()["attempts"] == 0 && kills < KILLS {
            panic!("only {kills} kills fit in {runs} runs; make the crowd larger");
        }
    }
    let mut consumer = Consumer::new();
    let taken = endpoint.taken();
    taken.iter().for_each(|taken| consumer.take(&taken.body));
    consumer.check();
    let ids: BTreeSet<String> = consumer.runs.keys().map(|(_, id)| id.clone()).collect();
    assert_eq!(ids, planned, "every one that is owed, under its one id");
    let repeated = taken.len() - ids.len();
    println!("{kills} kills in {runs} runs; {} messages, {repeated} of them came again", ids.len());
    // Three users were under way at a time, so a kill repeats three at most.
    assert!(repeated <= kills * 3);
    assert_eq!(place.redrive(&sink, &[]).expect(0).json()["attempts"], 0);
}

#[test]
fn a_sink_that_is_gone_stops_the_run_and_nothing_is_lost() {
    let place = Place::crowd(2, 10);
    // Nobody listens there any more.
    let gone = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let sink = format!("cloudevents:http://{gone}/events");
    let ended = place.redrive(&sink, &["--patience", "300ms"]).expect(1);
    assert!(ended.stderr.contains("nothing is lost, run the same command again"), "{}", ended.stderr);
    let done = ended.json();
    assert_eq!(done["delivered"], 0);
    assert_eq!(done["unknown"].as_u64().unwrap() + done["left"].as_u64().unwrap(), 20, "{done}");
    // It comes back where it was.
    let listener = std::net::TcpListener::bind(gone);
    if let Ok(listener) = listener {
        drop(listener);
        let plan = place.run(&[&["redrive", "--json", "--sink", &sink], &FAST[..]].concat()).expect(0).json();
        assert_eq!((plan["send"].as_u64(), plan["send_again"].as_u64()), (Some(20), Some(2)), "{plan}");
    }
}

#[test]
fn an_endpoint_that_takes_nothing_is_named_once_and_secrets_never() {
    let place = Place::crowd(1, 10);
    for (status, said) in [
        (404, "nothing takes messages"),
        (401, "LONGRUN_SINK_TOKEN"),
        (403, "does not let"),
        (302, "points elsewhere"),
    ] {
        let endpoint = Endpoint::start(Box::new(move |_| Does::Answers(status)));
        let sink = format!("cloudevents:{}?key=s3cret-query", endpoint.url());
        let args = [&["redrive", "--apply", "--json", "--sink", &sink], &FAST[..]].concat();
        let ended =
            Ended::of(place.command(&args).env("LONGRUN_SINK_TOKEN", "s3cret-token").output().unwrap())
                .expect(1);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("error:").count(), 1);
        assert!(!ended.stderr.contains("s3cret") && !ended.stdout.contains("s3cret"), "{}", ended.stderr);
        assert_eq!(endpoint.requests(), 1, "nobody is asked again");
    }
    let endpoint = Endpoint::start(Box::new(|n| if n < 3 { Does::Answers(500) } else { Does::Takes }));
    let sink = format!("cloudevents:{}?key=s3cret-query", endpoint.url());
    let args = [&["redrive", "--apply", "--json", "--sink", &sink], &FAST[..]].concat();
    let ended =
        Ended::of(place.command(&args).env("LONGRUN_SINK_TOKEN", "s3cret-token").output().unwrap()).expect(0);
    assert!(!ended.stderr.contains("s3cret") && !ended.stdout.contains("s3cret"), "{}", ended.stderr);
    assert!(endpoint.taken()[0].head.contains("Bearer s3cret-token"));
    for (path, bytes) in crate::support::files(&place.lake()) {
        assert!(!bytes.windows(6).any(|w| w == b"s3cret"), "{}", path.display());
    }
}

#[test]
fn a_run_is_waited_for_where_the_pipeline_tells_of_it() {
    let place = Place::crowd(1, 3);
    let export = place.folder.path().join("status.jsonl");
    let (path, order) = (export.clone(), Arc::new(Mutex::new(Vec::new())));
    let told = order.clone();
    // The pipeline: it tells of each run a moment after its message, the last one blocked.
    let script = move |number: usize| {
        let told = told.clone();
        let path = path.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            told.lock().unwrap().push(number);
            drop(path);
        });
        Does::Takes
    };
    let endpoint = Arc::new(Endpoint::start(Box::new(script)));
    let sink = format!("cloudevents:{}", endpoint.url());
    let (watched, file) = (endpoint.clone(), export.clone());
    let pipeline = std::thread::spawn(move || {
        let mut statuses = String::new();
        for number in 1..=2 {
            while watched.taken().len() < number {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(watched.taken().len(), number, "the next one waits for the run");
            let event: Value = serde_json::from_slice(&watched.taken()[number - 1].body).unwrap();
            let status = ["PIPELINE_RUN_STATUS_SYNCED", "PIPELINE_RUN_STATUS_TIER_BLOCKED"][number - 1];
            let run = json!({"user_id": "user-0000", "id": event["id"], "source_activity_id": "x", "status": status});
            statuses.push_str(&format!("{run}\n"));
            std::fs::write(&file, &statuses).unwrap();
        }
    });
    let done = place.redrive(&sink, &["--wait-for-runs", export.to_str().unwrap()]).expect(75);
    pipeline.join().unwrap();
    let done = done.json();
    assert_eq!(done["runs"], json!({"synced": 1, "tier_blocked": 1}));
    assert_eq!((done["delivered"].as_u64(), held(&done, "tier_budget").0), (Some(2), 1), "{done}");
    // Without such an export it says that it does not know.
    let other = place.redrive(&place.out(), &[]).expect(0);
    assert!(other.stderr.contains("what became of their runs is not known"), "{}", other.stderr);
}

#[test]
fn exports_that_are_empty_cut_or_strange_are_told_in_a_sentence() {
    let place = Place::new();
    place.land_details(USER, &[detail(1, "2026-02-01T08:00:00Z")]);
    place.run(&["normalize"]).expect(0);
    let refused = |args: &[&str], said: &str| {
        let ended = place.run(args).expect(2);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    };
    refused(&["reconcile"], "run `longrun dedupe` first");
    place.run(&["dedupe"]).expect(0);
    refused(&["reconcile"], "everything would seem to be missing");
    refused(&["redrive", "--apply", "--sink", "file:x"], "everything would seem to be missing");
    refused(
        &["pipeline", "import", &place.file("empty.json", "")],
        "it is empty; an export of nothing is `[]`",
    );
    let cut =
        r#"[{"user_id":"u1","id":"r1","source_activity_id":"1","status":2},{"user_id":"u1","id":"r2","sou"#;
    refused(&["pipeline", "import", &place.file("cut.json", cut)], "cut off or broken");
    refused(&["reconcile"], "everything would seem to be missing");
    // Users alone are no runs.
    place.run(&["pipeline", "import", &place.file("users.json", format!("[{}]", athlete(USER)))]).expect(0);
    refused(&["reconcile"], "everything would seem to be missing");
    place.run(&["pipeline", "import", &place.file("none.json", "[]")]).expect(0);
    let ended = place.run(&["reconcile"]).expect(0);
    assert!(ended.stderr.contains("told of no run at all of 1 users"), "{}", ended.stderr);
    let strange = "{\"user_id\":\"u1\",\"id\":\"r1\",\"source_activity_id\":\"1\",\"status\":\"NEW_STATE\"}\n{\"user_id\":\"u1\",\"sta";
    refused(
        &["pipeline", "import", &place.file("cut.jsonl", strange)],
        "it is cut off or broken (line 2: EOF while parsing a string at line 1 column 20); nothing of it was taken",
    );
    let strange = "{\"user_id\":\"u1\",\"id\":\"r1\",\"source_activity_id\":\"1\",\"status\":\"NEW_STATE\"}\n{\"user_id\":\"u1\",\"sta\n";
    let ended = place.run(&["pipeline", "import", &place.file("strange.jsonl", strange)]).expect(3);
    assert!(ended.stderr.contains("line 2: "), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("1 runs are in a state that this longrun does not know"),
        "{}",
        ended.stderr
    );
    assert_eq!(place.run(&["reconcile", "--json"]).expect(0).json()["totals"]["unclear"], 1);
    refused(&["reconcile", "--user", "nobody"], "there are no workouts of \"nobody\"");
    refused(&["redrive", "--sink", "pubsub:topic-raw-activity"], "projects/PROJECT/topics/TOPIC");
}

#[test]
fn one_redrive_at_a_time_and_sports_of_the_whole_table() {
    let place = Place::crowd(1, 120);
    place.redrive(&place.out(), &[]).expect(0);
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    for line in place.lines() {
        let event: Value = serde_json::from_slice(&line).unwrap();
        let original: Value =
            serde_json::from_str(event["data"]["original_payload_json"].as_str().unwrap()).unwrap();
        let told = event["data"]["standardized_activity"]["type"].as_str().unwrap_or_default().to_string();
        types
            .insert(original["sport_type"].as_str().or(original["type"].as_str()).unwrap().to_string(), told);
    }
    assert_eq!(types["TrailRun"], "ACTIVITY_TYPE_TRAIL_RUN", "which the live pipeline does not know");
    assert_eq!(types["GravelRide"], "ACTIVITY_TYPE_GRAVEL_RIDE");
    let lake = Lake::open(&place.lake()).unwrap();
    let _guard = lake.backend().lock("redrive", "the redrive").unwrap();
    let ended = place.redrive(&place.out(), &[]).expect(1);
    assert!(ended.stderr.contains("another longrun"), "{}", ended.stderr);
}

#[test]
fn what_was_delivered_is_never_sent_again_whoever_tells_of_it_later() {
    let place = Place::new();
    place.land_details(USER, &[detail(1, "2026-02-07T08:00:00Z"), detail(2, "2026-02-08T08:00:00Z")]);
    let two = json!({"user_id": USER, "tier": "athlete", "pipelines": [
        {"id": "p1", "source": "SOURCE_STRAVA", "destinations": ["SHOWCASE"]},
        {"id": "p2", "source": 6, "destinations": ["github"]}]});
    place.prepare(&[two]);
    place.redrive(&place.out(), &["--pipeline", "p1", "--limit", "1"]).expect(0);
    // Through the other pipeline it would be another run.
    let done = place.redrive(&place.out(), &["--pipeline", "p2"]).expect(0).json();
    assert_eq!((done["attempts"].as_u64(), done["delivered_before"].as_u64()), (Some(1), Some(1)), "{done}");
    // Its run failed, as a newer export tells: it is named, and not sent.
    let event: Value = serde_json::from_slice(&place.lines()[0]).unwrap();
    let run = json!({"user_id": USER, "id": event["id"], "source": "Strava", "source_activity_id": "1", "status": "failed"});
    place.import(&format!("{run}\n"));
    let done = place.redrive(&place.out(), &["--pipeline", "p1"]).expect(3).json();
    assert_eq!(done["attempts"], 0);
    assert!(held(&done, "delivered_before").1.contains("is failed"), "{done}");
}

#[test]
fn what_may_have_arrived_keeps_back_what_came_later_until_it_is_settled() {
    let place = Place::crowd(1, 12);
    let plan = place.dry_run(&[]);
    let start = |at: usize| plan["entries"][at]["start"].as_str().unwrap()[..10].to_string();
    // The third is taken, and nobody hears of it.
    let endpoint = Endpoint::start(Box::new(|n| if n >= 3 { Does::TakesAndCuts } else { Does::Takes }));
    let sink = format!("cloudevents:{}", endpoint.url());
    let done = place.redrive(&sink, &["--patience", "100ms"]).expect(1).json();
    assert_eq!(
        (done["delivered"].as_u64(), done["unknown"].as_u64(), done["left"].as_u64()),
        (Some(2), Some(1), Some(9))
    );
    let dry = |more: &[&str]| {
        let args = [&["redrive", "--json", "--sink", &sink], &FAST[..], more].concat();
        place.run(&args).expect(0).json()
    };
    let later = dry(&["--since", &start(6)]);
    assert_eq!((later["send"].as_u64(), held(&later, "unsettled_before").0), (Some(0), 6), "{later}");
    let all = dry(&[]);
    assert_eq!((all["send"].as_u64(), all["send_again"].as_u64()), (Some(10), Some(1)));
    // The pipeline tells of its run: that settles it.
    let event: Value = serde_json::from_slice(&endpoint.taken()[2].body).unwrap();
    let run = json!({"user_id": "user-0000", "id": event["id"], "source": "strava",
        "source_activity_id": event["data"]["activity_id"], "status": "synced"});
    place.import(&format!("{run}\n"));
    assert_eq!(dry(&["--since", &start(6)])["send"], 6);
    let all = dry(&[]);
    assert_eq!((all["owed"].as_u64(), all["send_again"].as_u64()), (Some(11), Some(0)), "{all}");
}

#[test]
fn an_endpoint_that_refuses_everything_stops_the_run_and_can_be_tried_again() {
    let place = Place::crowd(1, 60);
    let endpoint = Endpoint::start(Box::new(|n| if n <= 20 { Does::Answers(400) } else { Does::Takes }));
    let sink = format!("cloudevents:{}", endpoint.url());
    let done = place.redrive(&sink, &[]).expect(1).json();
    assert_eq!((done["rejected"].as_u64(), done["left"].as_u64()), (Some(20), Some(40)), "{done}");
    let done = place.redrive(&sink, &["--retry-rejected"]).expect(0).json();
    assert_eq!(done["delivered"], 60);
    let mut consumer = Consumer::new();
    endpoint.taken().iter().for_each(|taken| consumer.take(&taken.body));
    consumer.check();
}
