//! Ways in which something went that should not have gone, or did not go that should have.

use std::process::Stdio;

use serde_json::{Value, json};

use super::{FAST, USER, athlete, detail, held, hobbyist};
use crate::endpoint::{Does, Endpoint};
use crate::support::Place;

/// A user with some activities, one a day.
fn some(activities: u64) -> Place {
    let place = Place::new();
    let details: Vec<Value> =
        (1..=activities).map(|n| detail(n, &format!("2026-02-{n:02}T08:00:00Z"))).collect();
    place.land_details(USER, &details);
    place
}

#[test]
fn an_export_with_refused_lines_is_not_sent_by_until_somebody_has_looked() {
    let place = some(2);
    place.prepare(&[athlete(USER)]);
    let run = json!({"user_id": USER, "id": "r1", "source_activity_id": "1", "status": "synced"});
    let export = place.file("runs.jsonl", format!("{run}\n{{\"user_id\": \"u1\", \"id\"\n"));
    place.run(&["pipeline", "import", &export]).expect(3);
    let ended = place.redrive(&place.out(), &[]).expect(2);
    assert!(
        ended.stderr.contains("could not be read") && ended.stderr.contains("--accept-refusals"),
        "{ended:?}"
    );
    assert!(place.lines().is_empty());
    // A dry run still shows what would go, and says that it would not.
    let plan = place.dry_run(&[]);
    assert_eq!(plan["send"], 1);
    assert!(plan["why_not_to_send"].as_str().unwrap().contains("could not be read"), "{plan}");
    assert_eq!(place.redrive(&place.out(), &["--accept-refusals"]).expect(0).json()["delivered"], 1);
    // The same file, mended.
    let two = json!({"user_id": USER, "id": "r2", "source_activity_id": "2", "status": "synced"});
    place.run(&["pipeline", "import", &place.file("runs.jsonl", format!("{run}\n{two}\n"))]).expect(0);
    assert_eq!(place.redrive(&place.out(), &[]).expect(0).json()["attempts"], 0);
}

#[test]
fn one_refused_document_is_not_no_runs() {
    let place = some(1);
    place.run(&["normalize"]).expect(0);
    place.run(&["dedupe"]).expect(0);
    place.run(&["pipeline", "import", &place.file("runs.jsonl", "{\"status\": 2}\n")]).expect(3);
    let ended = place.redrive(&place.out(), &["--accept-refusals"]).expect(2);
    assert!(ended.stderr.contains("everything would seem to be missing"), "{}", ended.stderr);
}

#[test]
fn an_old_export_is_not_sent_by() {
    let place = some(1);
    place.prepare(&[athlete(USER)]);
    let state = rusqlite::Connection::open(place.lake().join("state.db")).unwrap();
    state.execute("UPDATE export_files SET written_s = written_s - 90000", []).unwrap();
    let ended = place.redrive(&place.out(), &[]).expect(2);
    assert!(ended.stderr.contains("25 hours old"), "{}", ended.stderr);
    assert_eq!(place.redrive(&place.out(), &["--max-export-age", "48h"]).expect(0).json()["delivered"], 1);
}

#[test]
fn a_pending_upload_makes_no_echo_of_a_source_that_the_pipeline_does_not_write_to() {
    let place = some(1);
    let gpx: String = (0..60)
        .map(|i| {
            format!(
                "<trkpt lat=\"51.{:04}\" lon=\"-0.1\"><time>2026-02-01T08:{:02}:{:02}Z</time></trkpt>",
                i * 5,
                i / 6,
                i % 6 * 10
            )
        })
        .collect();
    let gpx = format!(
        "<?xml version=\"1.0\"?><gpx version=\"1.1\" creator=\"x\" xmlns=\"http://www.topografix.com/GPX/1/1\"><trk><type>running</type><trkseg>{gpx}</trkseg></trk></gpx>"
    );
    place.run(&["import", "files", &place.file("run.gpx", gpx), "--user", USER]).expect(0);
    let start = "2026-02-01T08:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    let pending = json!({"path": format!("users/{USER}/uploaded_activities/pending:{start}"), "source": "SOURCE_STRAVA"});
    let failed = json!({"user_id": USER, "id": "r1", "source": "strava", "source_activity_id": "1", "status": "failed"});
    place.prepare(&[athlete(USER), pending, failed]);
    let totals = place.run(&["reconcile", "--json"]).expect(0).json()["totals"].clone();
    assert_eq!((&totals["failed"], &totals["loop"]), (&json!(1), &json!(0)), "{totals}");
}

#[test]
fn what_the_tier_blocked_after_its_delivery_goes_again_under_its_id() {
    let place = some(2);
    place.prepare(&[athlete(USER)]);
    place.redrive(&place.out(), &[]).expect(0);
    let event: Value = serde_json::from_slice(&place.lines()[0]).unwrap();
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let run = |status: &str, at: jiff::Timestamp| {
        json!({"user_id": USER, "id": event["id"], "source": "strava", "source_activity_id": "1", "status": status,
            "updated_at": at.to_string()})
    };
    // A run of before says nothing of the delivery.
    place.import(&format!("{}\n", run("failed", jiff::Timestamp::UNIX_EPOCH)));
    assert_eq!(place.redrive(&place.out(), &[]).expect(0).json()["attempts"], 0);
    place.import(&format!("{}\n", run("tier_blocked", later)));
    let plan =
        place.run(&[&["redrive", "--json", "--sink", &place.out()], &FAST[..]].concat()).expect(0).json();
    assert_eq!((&plan["send"], &plan["entries"][0]["execution_id"]), (&json!(1), &event["id"]), "{plan}");
}

/// Delivers the only activity of a place, and tells that its run has failed since.
fn deliver_and_fail(place: &Place, sink: &str) {
    place.prepare(&[athlete(USER)]);
    assert_eq!(place.redrive(sink, &[]).expect(0).json()["delivered"], 1);
    let state = rusqlite::Connection::open(place.lake().join("state.db")).unwrap();
    let id: String = state.query_row("SELECT execution_id FROM redrives", [], |row| row.get(0)).unwrap();
    // That was a minute ago.
    state.execute("UPDATE redrives SET changed_s = changed_s - 60", []).unwrap();
    let since = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(30);
    let run = json!({"user_id": USER, "id": id, "source": "strava", "source_activity_id": "1", "status": "failed",
        "updated_at": since.to_string()});
    place.import(&format!("{run}\n"));
}

#[test]
fn a_failed_run_settles_no_message_that_was_sent_after_it_and_may_have_arrived() {
    let place = some(1);
    let endpoint = Endpoint::start(Box::new(|n| if n == 2 { Does::TakesAndCuts } else { Does::Takes }));
    let sink = format!("cloudevents:{}", endpoint.url());
    deliver_and_fail(&place, &sink);
    let done = place.redrive(&sink, &["--patience", "0s"]).expect(1).json();
    assert_eq!((&done["attempts"], &done["unknown"]), (&json!(1), &json!(1)), "{done}");
    let done = place.redrive(&sink, &[]).expect(0).json();
    assert_eq!((&done["delivered"], &done["sent_again"]), (&json!(1), &json!(1)), "{done}");
    let done = place.redrive(&sink, &[]).expect(0).json();
    assert_eq!((&done["attempts"], &done["delivered_before"]), (&json!(0), &json!(1)), "{done}");
    let ids = endpoint
        .events()
        .into_iter()
        .map(|event| serde_json::from_slice::<Value>(&event).unwrap()["id"].as_str().unwrap().to_string());
    assert_eq!(ids.collect::<std::collections::BTreeSet<_>>().len(), 1, "all under one id");
}

#[test]
fn what_failed_in_a_pipeline_that_was_renamed_since_goes_to_the_new_one_once() {
    let place = some(1);
    let endpoint = Endpoint::start(Box::new(|_| Does::Takes));
    let sink = format!("cloudevents:{}", endpoint.url());
    deliver_and_fail(&place, &sink);
    let renamed = json!({"user_id": USER, "tier": "athlete", "pipelines": [
        {"id": "renamed", "source": "SOURCE_STRAVA", "destinations": ["DESTINATION_SHOWCASE"]}]});
    place.import(&format!("{renamed}\n"));
    let attempts = [1, 0, 0].map(|expected| {
        let done = place.redrive(&sink, &[]).expect(0).json();
        assert_eq!(done["attempts"], expected, "{done}");
        done["delivered"].as_u64()
    });
    assert_eq!(attempts, [Some(1), Some(0), Some(0)]);
    let last: Value = serde_json::from_slice(endpoint.events().last().unwrap()).unwrap();
    assert_eq!(last["data"]["pipeline_id"], "renamed");
}

#[test]
fn a_renamed_pipeline_or_another_spelling_of_the_address_sends_nothing_again() {
    let place = some(3);
    place.prepare(&[athlete(USER)]);
    let endpoint = Endpoint::start(Box::new(|_| Does::Takes));
    let sink = format!("cloudevents:{}", endpoint.url());
    assert_eq!(place.redrive(&format!("{sink}?token=one"), &[]).expect(0).json()["delivered"], 3);
    for spelling in [format!("{sink}?token=two"), format!("{sink}/"), sink.clone()] {
        assert_eq!(place.redrive(&spelling, &[]).expect(0).json()["attempts"], 0, "{spelling}");
    }
    let renamed = json!({"user_id": USER, "tier": "athlete", "pipelines": [
        {"id": "renamed", "source": "SOURCE_STRAVA", "destinations": ["DESTINATION_SHOWCASE"]}]});
    place.import(&format!("{renamed}\n"));
    let done = place.redrive(&sink, &[]).expect(0).json();
    assert_eq!((&done["attempts"], &done["delivered_before"]), (&json!(0), &json!(3)), "{done}");
    // Only what is named goes once more.
    let done = place.redrive(&sink, &["--again", "strava:2"]).expect(0).json();
    assert_eq!((&done["delivered"], &done["delivered_before"]), (&json!(1), &json!(2)), "{done}");
}

#[test]
fn deliveries_of_before_are_known_by_their_old_ids_and_addresses() {
    let place = some(1);
    let endpoint = Endpoint::start(Box::new(|_| Does::Takes));
    let sink = format!("cloudevents:{}", endpoint.url());
    // A database of before the change that knows addresses by their place.
    let path = place.lake().join("state.db");
    assert!(!path.exists(), "nothing has needed one yet");
    let state = rusqlite::Connection::open(path).unwrap();
    state.execute_batch(include_str!("../../../src/store/state/001.sql")).unwrap();
    state.execute_batch(include_str!("../../../src/store/state/002.sql")).unwrap();
    state.pragma_update(None, "user_version", 2).unwrap();
    let old = "INSERT INTO redrives VALUES (?1, 'u1', '773ae23f-aef9-5c64-bb83-7486c2f73dc8-p1', 'g', 0, 1, 'delivered', NULL, 1, 0)";
    state.execute(old, [format!("{sink}?1a2b3c4d")]).unwrap();
    drop(state);
    place.prepare(&[athlete(USER)]);
    let done = place.redrive(&sink, &[]).expect(0).json();
    assert_eq!((&done["attempts"], &done["delivered_before"]), (&json!(0), &json!(1)), "{done}");
}

#[test]
fn one_messages_404_is_that_messages_and_stands_with_its_answer() {
    let place = some(5);
    place.prepare(&[athlete(USER)]);
    let endpoint = Endpoint::start(Box::new(|n| if n == 2 { Does::Answers(404) } else { Does::Takes }));
    let sink = format!("cloudevents:{}", endpoint.url());
    let done = place.redrive(&sink, &[]).expect(3).json();
    assert_eq!((&done["delivered"], &done["rejected"]), (&json!(4), &json!(1)), "{done}");
    let letters = std::fs::read_to_string(done["dead_letters"].as_str().unwrap()).unwrap();
    let letter: Value = serde_json::from_str(letters.trim()).unwrap();
    assert!(letter["answer"].as_str().unwrap().starts_with("HTTP 404"), "{letter}");
    assert_eq!(letter["message"]["data"]["activity_id"], "2");
}

#[test]
fn two_people_with_the_same_record_are_two_messages_in_every_sink() {
    let place = Place::new();
    for user in ["u1", "u2"] {
        place.land_details(user, &[detail(7, "2026-02-01T08:00:00Z")]);
    }
    place.prepare(&[athlete("u1"), athlete("u2")]);
    assert_eq!(place.redrive(&place.out(), &[]).expect(0).json()["delivered"], 2);
    let endpoint = Endpoint::start(Box::new(|_| Does::Takes));
    place.redrive(&format!("cloudevents:{}", endpoint.url()), &[]).expect(0);
    let batched = Endpoint::start(Box::new(|_| Does::Takes));
    place.redrive(&format!("cloudevents:{}#batch=10", batched.url()), &[]).expect(0);
    for messages in [place.lines(), endpoint.events(), batched.events()] {
        let ids: Vec<String> = messages
            .iter()
            .map(|message| serde_json::from_slice::<Value>(message).unwrap()["id"].to_string())
            .collect();
        assert_eq!(ids.len(), 2);
        assert_ne!(ids[0], ids[1]);
    }
}

#[test]
fn a_webhook_holds_what_only_an_archive_had_and_sends_the_others() {
    let place = some(2);
    let csv = "Activity ID,Activity Date,Activity Name,Activity Type,Activity Description,Elapsed Time,Distance\n\
               3,\"Feb 3, 2026, 8:00:00 AM\",Archived,Run,,600,2.00\n";
    place
        .run(&[
            "import",
            "strava",
            &place.file("export/activities.csv", csv).replace("/activities.csv", ""),
            "--user",
            USER,
        ])
        .expect(0);
    place.prepare(&[athlete(USER)]);
    let endpoint = Endpoint::start(Box::new(|_| Does::Takes));
    let sink = format!("webhook:{}", endpoint.url());
    let done = place.redrive(&sink, &["--webhook-every", "0s"]).expect(3).json();
    assert_eq!((&done["delivered"], held(&done, "no_account").0), (&json!(2), 1), "{done}");
}

#[test]
fn a_damaged_bucket_is_said_and_the_others_go_on() {
    let place = Place::crowd(3, 4);
    let golden = longrun::store::local::below(&place.lake().join("golden"), "parquet").unwrap();
    let bytes = std::fs::read(&golden[0]).unwrap();
    std::fs::write(&golden[0], &bytes[..bytes.len() / 2]).unwrap();
    let reconciled = place.run(&["reconcile", "--json"]).expect(1).json();
    assert_eq!(reconciled["users"].as_array().unwrap().len(), 2, "{reconciled}");
    assert!(reconciled["damaged"][0].as_str().unwrap().contains("is damaged"), "{reconciled}");
    let done = place.redrive(&place.out(), &[]).expect(1).json();
    assert_eq!((&done["delivered"], done["damaged"].as_array().unwrap().len()), (&json!(8), 1), "{done}");
}

#[test]
fn a_slow_export_keeps_nobody_from_the_state_database() {
    use std::io::Write;
    let place = some(1);
    place.prepare(&[athlete(USER)]);
    let fifo = place.folder.path().join("slow.jsonl");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut import = place.command(&["pipeline", "import", fifo.to_str().unwrap()]);
    let mut import = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut slow = std::fs::File::options().write(true).open(&fifo).unwrap();
    let run =
        |id: u32| json!({"user_id": USER, "id": format!("r{id}"), "source_activity_id": "1", "status": 2});
    // More than a pipe holds, so that it has been read in part when this goes on.
    for id in 0..2_000 {
        writeln!(slow, "{}", run(id)).unwrap();
    }
    let state = rusqlite::Connection::open(place.lake().join("state.db")).unwrap();
    state.busy_timeout(std::time::Duration::ZERO).unwrap();
    state.execute("UPDATE accounts SET access_token = 'new'", []).unwrap();
    writeln!(slow, "{}", run(9_999)).unwrap();
    drop(slow);
    assert!(import.wait().unwrap().success());
    let runs = state.query_row("SELECT count(*) FROM runs", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(runs, 2_001);
}

#[test]
fn a_limit_shows_and_sends_the_same_ones() {
    let place = Place::crowd(3, 8);
    let plan =
        place.run(&[&["redrive", "--json", "--sink", &place.out(), "--limit", "10"], &FAST[..]].concat());
    let shown: Vec<String> = plan.expect(0).json()["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["execution_id"].as_str().unwrap().to_string())
        .collect();
    place.redrive(&place.out(), &["--limit", "10"]).expect(0);
    let mut sent: Vec<String> = place
        .lines()
        .iter()
        .map(|line| serde_json::from_slice::<Value>(line).unwrap()["id"].as_str().unwrap().to_string())
        .collect();
    let mut expected = shown.clone();
    sent.sort();
    expected.sort();
    assert_eq!((sent, shown.len()), (expected, 10));
}

#[test]
fn a_users_export_of_another_month_spends_nothing_of_this_one() {
    let place = some(3);
    place.prepare(&[hobbyist(USER, 25, &["showcase"])]);
    assert_eq!(held(&place.dry_run(&[]), "tier_budget").0, 3);
    // It was written some months ago, and imported today.
    let export = place.file("users.jsonl", hobbyist(USER, 25, &["showcase"]).to_string());
    let written = std::time::SystemTime::now() - std::time::Duration::from_secs(70 * 86_400);
    std::fs::File::options().append(true).open(&export).unwrap().set_modified(written).unwrap();
    place.run(&["pipeline", "import", &export]).expect(0);
    assert_eq!(place.dry_run(&[])["send"], 3);
}
