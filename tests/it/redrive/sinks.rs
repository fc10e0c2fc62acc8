//! Sinks: one suite for all of them, and what happens when they behave badly.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};

use super::{FAST, athlete, check_sink, held, told_activities};
use crate::consumer::Consumer;
use crate::endpoint::{Does, Endpoint, HANGS_FOR};
use crate::support::{Ended, Place};

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

/// An address or a command that prints the newest export is asked every few seconds.
#[test]
fn a_run_is_waited_for_at_an_address_or_in_what_a_command_prints() {
    use std::io::{Read, Write};
    let wait = |from: &dyn Fn(&Path) -> String| {
        let place = Place::crowd(1, 2);
        let export = place.folder.path().join("status.jsonl");
        std::fs::write(&export, "").unwrap();
        let ids = place.dry_run(&[])["entries"].clone();
        let statuses: String = (0..2)
            .map(|n| json!({"user_id": "user-0000", "id": ids[n]["execution_id"], "source_activity_id": "x", "status": "synced"}))
            .map(|run| format!("{run}\n"))
            .collect();
        let file = export.clone();
        let endpoint = Endpoint::start(Box::new(move |_| {
            std::fs::write(&file, &statuses).unwrap();
            Does::Takes
        }));
        let sink = format!("cloudevents:{}", endpoint.url());
        let done = place.redrive(&sink, &["--wait-for-runs", &from(&export)]).expect(0).json();
        assert_eq!(done["runs"], json!({"synced": 2}), "{done}");
    };
    let address = |export: &Path| {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let export = export.to_path_buf();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]);
                let body = std::fs::read_to_string(&export).unwrap();
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
            }
        });
        format!("http://{address}/runs")
    };
    std::thread::scope(|scope| {
        scope.spawn(|| wait(&address));
        scope.spawn(|| wait(&|export| format!("command:cat '{}'", export.display())));
    });
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
