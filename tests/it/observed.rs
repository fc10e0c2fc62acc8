//! How a run is watched from outside: by Prometheus, and in a log.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use longrun::testing::emulator::Config;
use longrun::testing::synth::Options;

use crate::support::{Ended, WIDE, World};

const PEOPLE: Options = Options { seed: 95, users: 2, activities: 60 };
/// What tokens and the application's secret have in common.
const SECRETS: [&str; 3] = ["emulated-access", "emulated-refresh", "emulated-secret"];

fn scrape(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of a line of metrics.
fn value(page: &str, series: &str) -> Option<f64> {
    let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(value.parse().unwrap())
}

#[test]
fn a_run_tells_prometheus_and_its_log_how_it_goes_and_neither_a_secret() {
    let config = Config { limits: WIDE, latency: Duration::from_millis(20), ..Config::default() };
    let (world, _) = World::of(PEOPLE, config);
    world.emulator.revoke_access();
    let log = world.folder.path().join("log.jsonl");
    let args = ["fetch", "--depth", "detail", "--json", "--metrics", "0", "--log", log.to_str().unwrap()];
    let mut child = world.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("metrics at http://127.0.0.1:").expect(&line);
    let address = format!("127.0.0.1:{}", address.strip_suffix("/metrics").unwrap());
    assert!(scrape(&address, "/other").starts_with("HTTP/1.1 404"));
    let mut page = scrape(&address, "/metrics");
    // A run that has not begun yet has nothing to tell.
    while value(&page, "longrun_calls_total{kind=\"detail\"}").is_none_or(|calls| calls < 5.0) {
        page = scrape(&address, "/metrics");
    }
    assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
    assert_eq!(value(&page, "longrun_account_activities{user=\"user-0001\"}"), Some(60.0), "{page}");
    assert!(value(&page, "longrun_calls_owed") > Some(0.0));
    assert!(value(&page, "longrun_done_timestamp_seconds") > Some(1_700_000_000.0));
    assert_eq!(value(&page, "longrun_rate_limit{pair=\"read\",window=\"short\"}"), Some(1_000_000.0));
    let (_, body) = page.split_once("\r\n\r\n").unwrap();
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(series.starts_with("longrun_") && value.parse::<f64>().is_ok(), "{line}");
    }
    let ended = Ended::of(child.wait_with_output().unwrap()).expect(0);
    let summary = ended.json();

    let log = std::fs::read_to_string(log).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |message: &str| lines.iter().filter(|line| line["message"] == message).count() as u64;
    assert_eq!(Some(of("answered")), summary["requests"].as_u64());
    assert_eq!(Some(of("tokens renewed")), summary["token_refreshes"].as_u64());
    assert_eq!(of("ended"), 1);
    let answered = lines.iter().find(|line| line["message"] == "answered").unwrap();
    assert!(answered["path"].as_str().unwrap().starts_with("/athlete/activities"), "{answered}");
    assert!(lines.iter().all(|line| line["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok()));
    for secret in SECRETS {
        assert!(!page.contains(secret) && !log.contains(secret), "{secret}");
    }
}

#[test]
fn who_or_what_is_not_there_is_said() {
    let (world, people) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    for command in ["plan", "status", "fetch"] {
        let said = world.run(&[command, "--user", "nosuch"]).expect(2).stderr;
        assert!(said.contains("user nosuch has no account in this lake"), "{said}");
    }
    world.fetch(&[]).expect(0);
    let anew = ["--depth", "detail", "--refetch-before", "2100-01-01T00:00:00Z", "--id"];
    let there = people[0].workouts[0].id.to_string();
    let summary = world.fetch(&[&anew[..], &["999", "--id", &there]].concat()).expect(3);
    assert!(summary.stderr.contains("no list has 999; "), "{}", summary.stderr);
    assert_eq!(summary.json()["unknown"], serde_json::json!(["999"]));
}

#[test]
fn a_run_says_what_was_planned_beside_what_was_made() {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    let ended = world.fetch(&["--depth", "detail"]).expect(0);
    let summary = ended.json();
    assert_eq!(summary["planned"]["is_estimate"], true, "nobody knew how long the lists are");
    assert_eq!(summary["calls"]["list"], 4);
    assert_eq!(summary["calls"]["detail"], 120);
    assert!(ended.stderr.contains("made 124 of about "), "{}", ended.stderr);
    let plan = world.run(&["plan", "--depth", "streams", "--max-age", "24h", "--json"]).expect(0).json();
    let summary = world.fetch(&["--depth", "streams", "--max-age", "24h"]).expect(0).json();
    assert_eq!(summary["planned"]["calls"], plan["calls"]);
    let sum = |calls: &serde_json::Value| {
        calls.as_object().unwrap().values().filter_map(|n| n.as_u64()).sum::<u64>()
    };
    assert_eq!(
        (sum(&summary["calls"]), &summary["planned"]["is_estimate"]),
        (sum(&plan["calls"]), &false.into())
    );
}
