//! What is owed, what is sent of it, and what is held.

use std::collections::BTreeMap;
use std::time::Duration;

use longrun::store::lake::Lake;
use serde_json::{Value, json};

use super::{FAST, USER, athlete, detail, held, hobbyist};
use crate::consumer::Consumer;
use crate::endpoint::{Does, Endpoint};
use crate::support::Place;

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
    assert!(ended.stderr.contains("have no runs of 1 user:"), "{}", ended.stderr);
    let strange = "{\"user_id\":\"u1\",\"id\":\"r1\",\"source_activity_id\":\"1\",\"status\":\"NEW_STATE\"}\n{\"user_id\":\"u1\",\"sta";
    refused(
        &["pipeline", "import", &place.file("cut.jsonl", strange)],
        "it is cut off or broken (line 2: EOF while parsing a string at line 1 column 20); nothing of it was taken",
    );
    let strange = "{\"user_id\":\"u1\",\"id\":\"r1\",\"source_activity_id\":\"1\",\"status\":\"NEW_STATE\"}\n{\"user_id\":\"u1\",\"sta\n";
    let ended = place.run(&["pipeline", "import", &place.file("strange.jsonl", strange)]).expect(3);
    assert!(ended.stderr.contains("line 2: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 run is in a state that this longrun does not know"), "{}", ended.stderr);
    assert_eq!(place.run(&["reconcile", "--json"]).expect(0).json()["totals"]["unclear"], 1);
    refused(&["reconcile", "--user", "nobody"], "there are no workouts of \"nobody\"");
    refused(&["redrive", "--sink", "pubsub:topic-raw-activity"], "projects/PROJECT/topics/TOPIC");
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
fn what_its_athlete_deleted_is_never_sent() {
    use longrun::sources::strava::endpoints::DETAIL;
    use longrun::store::landing::{Header, Landing};

    let place = Place::new();
    place.land_details(USER, &[detail(1, "2026-02-01T08:00:00Z"), detail(2, "2026-02-02T08:00:00Z")]);
    let header = Header {
        v: 1,
        source: "strava".to_string(),
        ask: DETAIL.ask("2", 0),
        user_id: USER.to_string(),
        account_id: "42".to_string(),
        request: "/activities/2".to_string(),
        fetched_at: "2026-11-21T00:00:00Z".parse().unwrap(),
        after: None,
        status: 404,
    };
    Landing::open(&Lake::open(&place.lake()).unwrap()).unwrap().append(&header, b"").unwrap();
    place.prepare(&[athlete(USER)]);
    assert_eq!(place.dry_run(&[])["send"], 1);
    place.run(&["dedupe", "--with-gone"]).expect(0);
    let plan = place.dry_run(&[]);
    assert_eq!((&plan["send"], held(&plan, "gone").0), (&json!(1), 1), "{plan}");
}

#[test]
fn what_is_for_review_is_held_whatever_its_other_half_is() {
    let place = Place::new();
    let demo = crate::words::demo().0.path().join("lake-demo");
    assert!(
        std::process::Command::new("cp").arg("-r").arg(demo).arg(place.lake()).status().unwrap().success()
    );
    let state = rusqlite::Connection::open(place.lake().join("state.db")).unwrap();
    let forget = || state.execute_batch("DELETE FROM runs; DELETE FROM uploads").unwrap();
    let held_for_review = |user: Option<&str>| -> Vec<Value> {
        let plan = place.dry_run(&user.map_or(vec![], |user| vec!["--user", user]));
        let entries = plan["entries"].as_array().unwrap().clone();
        entries.into_iter().filter(|entry| entry["held"]["reason"] == "for_review").collect()
    };
    forget();
    place.import("[]");
    // Where the pipeline has neither, the earlier one goes.
    let held = held_for_review(None).remove(0);
    let (user, one) = (held["user_id"].as_str().unwrap(), held["record"].as_str().unwrap());
    let why = held["held"]["why"].as_str().unwrap();
    let other = why.split("same as ").nth(1).unwrap().split(',').next().unwrap();
    let (source, id) = other.split_once(':').unwrap();
    let run = |status: &str| json!({"user_id": user, "id": "r", "source": source, "source_activity_id": id, "status": status});
    for half in [
        run("synced"),
        run("HALF_DONE"),
        json!({"path": format!("users/{user}/uploaded_activities/{other}"), "source": "SOURCE_HEVY"}),
    ] {
        forget();
        place.import(&format!("{half}\n"));
        let held = held_for_review(Some(user));
        assert!(held.iter().any(|entry| entry["record"] == one), "{half}: {held:?}");
    }
}
