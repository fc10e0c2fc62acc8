//! Endpoints that take batches of CloudEvents, and the ways in which they refuse them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{FAST, check_sink, held};
use crate::consumer::Consumer;
use crate::endpoint::{Does, Endpoint, Taken};
use crate::support::{Ended, Place};

fn sink(endpoint: &Endpoint, batch: usize) -> String {
    format!("cloudevents:{}#batch={batch}", endpoint.url())
}

/// The third activity that would be sent, as every message of it names it.
fn third(place: &Place) -> String {
    let plan = place.dry_run(&[]);
    let record = plan["entries"][2]["record"].as_str().unwrap();
    format!("\"activity_id\":\"{}\"", record.strip_prefix("strava:").unwrap())
}

fn has(taken: &Taken, words: &str) -> bool {
    String::from_utf8_lossy(&taken.body).contains(words)
}

#[test]
fn batches_pass_the_suite_and_hold_one_message_of_a_user_at_a_time() {
    let place = Place::crowd(6, 20);
    let endpoint = Endpoint::start(Box::new(|_| Does::TakesLate));
    check_sink(&place, &|more| place.redrive(&sink(&endpoint, 4), more), &|| endpoint.events());
    assert_eq!(endpoint.most_of_a_user(), 1);
    let taken = endpoint.taken();
    assert!(taken.iter().all(|taken| taken.events().len() <= 4), "no more than the receiver chose");
    assert!(taken.iter().any(|taken| taken.is_batch() && taken.events().len() > 1), "several at once");
    assert!(
        taken.iter().all(|taken| taken.users().len() == taken.users().iter().collect::<BTreeSet<_>>().len())
    );
    assert!(taken.len() < 100, "{} requests for 120 messages", taken.len());
    assert!(endpoint.connections() <= 16, "connections are kept: {}", endpoint.connections());
    // The same place without batches: what was delivered stays delivered.
    let single = format!("cloudevents:{}", endpoint.url());
    assert_eq!(place.redrive(&single, &[]).expect(0).json()["attempts"], 0);
}

#[test]
fn a_message_that_is_refused_is_found_by_halves_and_alone_refused() {
    let place = Place::crowd(8, 6);
    let poison = third(&place);
    let words = poison.clone();
    let endpoint = Endpoint::start_reading(Box::new(move |_, taken| match has(taken, &words) {
        true => Does::Answers(422),
        false => Does::Takes,
    }));
    let done = place.redrive(&sink(&endpoint, 8), &[]).expect(3).json();
    assert_eq!((done["delivered"].as_u64(), done["rejected"].as_u64()), (Some(47), Some(1)), "{done}");
    assert_eq!(done["unknown"], 0);
    assert_eq!(endpoint.events().len(), 47, "each of the others once");
    let letters = std::fs::read_to_string(done["dead_letters"].as_str().unwrap()).unwrap();
    assert!(letters.lines().count() == 1 && letters.contains(&poison), "{letters}");
    let mut consumer = Consumer::new();
    endpoint.events().iter().for_each(|event| consumer.take(event));
    consumer.check();
    let again = place.redrive(&sink(&endpoint, 8), &[]).expect(3).json();
    assert_eq!((&again["attempts"], held(&again, "rejected_before").0), (&Value::from(0), 1), "{again}");
}

#[test]
fn an_endpoint_that_takes_no_batches_gets_each_message_by_itself() {
    let place = Place::crowd(6, 10);
    let endpoint = Endpoint::start_reading(Box::new(|_, taken| match taken.is_batch() {
        true => Does::Answers(415),
        false => Does::Takes,
    }));
    check_sink(&place, &|more| place.redrive(&sink(&endpoint, 6), more), &|| endpoint.events());
    // Those that were on their way when it said so for the first time.
    assert!((1..=16).contains(&endpoint.batches()), "{} batches", endpoint.batches());
    assert_eq!(endpoint.most_of_a_user(), 1);
}

#[test]
fn a_batch_that_is_too_long_or_taken_in_part_goes_again_in_halves() {
    let place = Place::crowd(8, 6);
    for status in [413, 207] {
        let endpoint = Endpoint::start_reading(Box::new(move |_, taken| match taken.events().len() > 2 {
            true => Does::Answers(status),
            false => Does::Takes,
        }));
        let done = place.redrive(&sink(&endpoint, 8), &[]).expect(0).json();
        assert_eq!((done["delivered"].as_u64(), done["rejected"].as_u64()), (Some(48), Some(0)), "{done}");
        assert_eq!(endpoint.events().len(), 48);
        assert!(endpoint.taken().iter().any(|taken| taken.events().len() == 2));
    }
}

/// A 500 is no refusal, so halves would say nothing: what fails again and again goes alone.
#[test]
fn a_message_that_an_endpoint_stumbles_over_keeps_only_its_own_user_back() {
    let place = Place::crowd(8, 6);
    let poison = third(&place);
    let endpoint = Endpoint::start_reading(Box::new(move |_, taken| match has(taken, &poison) {
        true => Does::Answers(500),
        false => Does::Takes,
    }));
    let done = place.redrive(&sink(&endpoint, 8), &["--patience", "3s"]).expect(1).json();
    assert_eq!((done["unknown"].as_u64(), done["rejected"].as_u64()), (Some(1), Some(0)), "{done}");
    // Its user has two before it and three behind it.
    assert_eq!((done["delivered"].as_u64(), done["left"].as_u64()), (Some(44), Some(3)), "{done}");
}

/// Where the endpoint offers HTTP/2, all requests go over one connection, side by side.
#[test]
fn an_endpoint_that_speaks_http_2_is_spoken_to_over_one_connection() {
    let place = Place::crowd(6, 10);
    let folder = place.folder.path();
    let (program, authority) = (folder.join("h2"), folder.join("authority.pem"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/h2/main.go");
    let built =
        Command::new("go").args(["build", "-o"]).arg(&program).arg(source).env("GO111MODULE", "off").output();
    if !built.as_ref().is_ok_and(|built| built.status.success()) {
        assert!(std::env::var("CI").is_err(), "the endpoint does not build: {built:?}");
        eprintln!("skipped: no endpoint of HTTP/2 (apt-get install golang-go)");
        return;
    }
    let mut server =
        Command::new(&program).arg(&authority).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let sink = format!("cloudevents:https://{}/events#batch=2", said.next().unwrap());
    let args = [&["redrive", "--apply", "--json", "--sink", &sink], &FAST[..]].concat();
    let output = place.command(&args).env("SSL_CERT_FILE", &authority).output().unwrap();
    let done = Ended::of(output).expect(0).json();
    assert_eq!(done["delivered"], 60, "{done}");
    drop(server.stdin.take());
    let requests: Vec<String> = said.collect();
    server.wait().unwrap();
    let protocols: BTreeSet<&str> = requests.iter().map(|line| line.split(' ').next().unwrap()).collect();
    let connections: BTreeSet<&str> = requests.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!((protocols, connections.len()), (BTreeSet::from(["HTTP/2.0"]), 1), "{requests:?}");
    assert!(requests.iter().any(|line| line.contains("application/cloudevents-batch+json")), "{requests:?}");
}
