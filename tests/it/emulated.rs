//! The emulated Strava answers as the real one does, also where longrun never asks.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use longrun::testing::emulator::Config;
use longrun::testing::synth::{Options, strava};
use serde_json::Value;

use crate::support::{BINARY, Ended, Place, WIDE, World};

const PEOPLE: Options = Options { seed: 97, users: 1, activities: 40 };

/// Status, headers and body of an answer.
fn ask(world: &World, method: &str, path: &str, body: &str) -> (u16, String, Value) {
    let token = world.emulator.accounts()[0].access_token.expose().to_string();
    let answer = answer(&world.emulator.base_url(), &token, method, path, body);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_string(), serde_json::from_str(body).unwrap_or_default())
}

fn answer(base: &str, token: &str, method: &str, path: &str, body: &str) -> String {
    let host = base.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    // One that breaks off is as long as what came of it.
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn a_code_is_good_once_and_a_refusal_says_what_is_wrong_with_it() {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    let page = "/oauth/authorize?client_id=longrun&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2F&scope=read%2Cactivity%3Aread_all&state=s";
    let (status, head, _) = ask(&world, "GET", page, "");
    assert_eq!(status, 302);
    let code = head.split("code=").nth(1).unwrap().split(['&', '\r']).next().unwrap().to_string();
    let exchange = |code: &str| {
        let form = format!(
            "client_id=longrun&client_secret=emulated-secret&grant_type=authorization_code&code={code}"
        );
        let (status, _, body) = ask(&world, "POST", "/oauth/token", &form);
        let error = &body["errors"][0];
        let word = |name: &str| error[name].as_str().unwrap_or_default().to_string();
        (status, word("resource"), word("code"))
    };
    assert_eq!(exchange(&code).0, 200);
    assert_eq!(exchange(&code), (400, "AuthorizationCode".to_string(), "expired".to_string()));
    assert_eq!(exchange("made-up"), (400, "AuthorizationCode".to_string(), "invalid".to_string()));
}

#[test]
fn lists_and_streams_come_as_they_are_asked_for() {
    let (world, people) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    let now_s = jiff::Timestamp::now().as_second();
    let (status, _, body) =
        ask(&world, "GET", &format!("/api/v3/athlete/activities?after={}", now_s + 86_400), "");
    assert_eq!((status, &body["errors"][0]["code"]), (400, &"future".into()));
    let (_, _, oldest_first) = ask(&world, "GET", "/api/v3/athlete/activities?after=0&per_page=5", "");
    let starts: Vec<&str> =
        oldest_first.as_array().unwrap().iter().map(|a| a["start_date"].as_str().unwrap()).collect();
    assert!(starts.len() == 5 && starts.is_sorted(), "{starts:?}");
    let person = &people[0];
    let length = |body: &str| {
        let all: Value = serde_json::from_str(body).unwrap();
        all["time"]["data"].as_array().map_or(0, Vec::len)
    };
    let longest =
        person.workouts.iter().filter_map(|workout| Some((strava::streams(person, workout)?, workout)));
    let (all, workout) = longest.max_by_key(|(body, _)| length(body)).unwrap();
    assert!(length(&all) > 1_000, "one is long enough to be thinned");
    let path = format!("/api/v3/activities/{}/streams", workout.id);
    let (_, _, keyed) =
        ask(&world, "GET", &format!("{path}?keys=time,distance&key_by_type=true&resolution=low"), "");
    let names: Vec<&String> = keyed.as_object().unwrap().keys().collect();
    assert_eq!(names, ["distance", "time"]);
    assert!((1..=100).contains(&keyed["time"]["data"].as_array().unwrap().len()));
    assert_eq!(keyed["time"]["resolution"], "low");
    let (_, _, listed) = ask(&world, "GET", &format!("{path}?keys=time"), "");
    assert!(listed.as_array().unwrap().iter().any(|stream| stream["type"] == "time"));
}

#[test]
fn what_nobody_serves_is_refused_as_json_and_counted() {
    let (world, _) = World::of(PEOPLE, Config { limits: WIDE, ..Config::default() });
    for (method, path, status, field) in [
        ("GET", "/api/v3/nothing", 404, "path"),
        ("DELETE", "/api/v3/activities/1", 404, "path"),
        ("GET", "/api/v3/athlete/activities?per_page=many", 400, "per_page"),
        ("GET", "/api/v3/athlete/activities?after=now&page=2", 400, "after"),
    ] {
        let before = world.emulator.log().len();
        let (got, head, body) = ask(&world, method, path, "");
        assert_eq!((got, &body["errors"][0]["field"]), (status, &field.into()), "{path}: {body}");
        assert!(head.to_lowercase().contains("x-readratelimit-usage: "), "{head}");
        assert_eq!(world.emulator.log().len(), before + 1, "{path}");
    }
    let last = "/api/v3/athlete/activities?page=18446744073709551615&per_page=200";
    assert_eq!(ask(&world, "GET", last, "").2, serde_json::json!([]));
    // Some clients put the form into the query, and some send what is no form.
    let token = world.emulator.accounts()[0].refresh_token.expose().to_string();
    let app = "client_id=longrun&client_secret=emulated-secret";
    let query = format!("/oauth/token?{app}&grant_type=refresh_token&refresh_token={token}");
    let renewed = answer(&world.emulator.base_url(), "", "POST", &query, "");
    assert!(
        renewed.starts_with("HTTP/1.1 200 ") && renewed.contains("\"token_type\":\"Bearer\""),
        "{renewed}"
    );
    let (status, _, body) = ask(&world, "POST", "/oauth/token", "{\"client_id\":");
    assert_eq!((status, body["message"].as_str()), (400, Some("Bad Request")));
}

/// The emulator as a command, and what it says to set.
struct Served {
    child: Child,
    set: HashMap<String, String>,
}

impl Served {
    fn with(args: &[&str]) -> Served {
        let mut child = Command::new(BINARY)
            .args(["emulate", "strava"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let set = |line: String| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_string(), value.to_string()))
        };
        Served { set: lines.filter_map(set).take(5).collect(), child }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SCENARIO: &str = r#"
seed = 5
old_tokens = "end_with_use"
live_per_hour = 36000
clock_offset_s = 5000

[scopes]
user-0001 = "read,activity:read"

[[fault]]
share = 0.1
status = 503
body = "<html>busy</html>"
times = 6

[[fault]]
path = "/streams"
status = 404
times = 2

[[fault]]
from_request = 12
to_request = 12
date_shift_s = 7200

[[fault]]
every = 25
cut = true

[[fault]]
path = "/oauth/token"
times = 1
status = 500

[[change]]
do = "edit"
after_requests = 60
share = 0.2
fields = { name = "Renamed" }

[[change]]
do = "crop"
after_requests = 60
user = "user-0000"
share = 0.2
keep = 0.5

[[change]]
do = "delete"
after_requests = 60
user = "user-0002"
share = 0.2

[[change]]
do = "upload"
after_requests = 60
user = "user-0002"
share = 0.3

[[change]]
do = "private"
after_requests = 60
user = "user-0001"
share = 0.2

[[change]]
do = "limits"
after_requests = 30
limits = [50000, 60000, 40000, 50000]
"#;

#[test]
fn a_scenario_is_played_and_a_fetch_comes_through_it() {
    let place = Place::new();
    let (scenario, accounts) = (place.file("scenario.toml", SCENARIO), place.file("accounts.jsonl", ""));
    let asked = place.file("asked.jsonl", "");
    let people = ["--users", "3", "--activities", "30", "--limits", "100000,100000,90000,90000"];
    let files = ["--scenario", &scenario, "--accounts-file", &accounts, "--requests-file", &asked];
    let served = Served::with(&[&people[..], &files, &["--token-lifetime", "3600"]].concat());
    let run = |args: &[&str]| Ended::of(place.command(args).envs(&served.set).output().unwrap());
    run(&["accounts", "add", &accounts]).expect(0);
    let fetch = ["fetch", "--depth", "streams", "--per-second", "10000", "--max-age", "0s", "--json"];
    run(&fetch).expect(0);
    run(&["normalize"]).expect(0);
    let before = by_id(&place);
    run(&[&fetch[..], &["--whole-list"]].concat()).expect(0);
    run(&["normalize"]).expect(0);
    let after = by_id(&place);

    let of = |rows: &HashMap<String, HashMap<String, String>>,
              what: &dyn Fn(&HashMap<String, String>) -> bool| {
        rows.values().filter(|row| what(row)).count()
    };
    let is_gone = |row: &HashMap<String, String>| row.contains_key("gone_at");
    let is_renamed = |row: &HashMap<String, String>| row.get("title").is_some_and(|title| title == "Renamed");
    let is_of = |user: &'static str| move |row: &HashMap<String, String>| row["user_id"] == user;
    assert!((5..=40).contains(&of(&after, &is_renamed)), "{}", of(&after, &is_renamed));
    assert!(of(&after, &|row| is_gone(row) && is_of("user-0002")(row)) > 0, "deleted");
    assert!(
        of(&after, &|row| is_gone(row) && is_of("user-0001")(row)) > 0,
        "private beyond what was granted"
    );
    assert_eq!(of(&after, &|row| is_gone(row) && is_of("user-0000")(row)), 0);
    assert_eq!((of(&after, &is_of("user-0002")), of(&after, &is_of("user-0000"))), (30, 30), "all were seen");
    let halved = after.iter().filter(|(id, row)| {
        let elapsed = |row: &HashMap<String, String>| row["elapsed_s"].parse::<f64>().unwrap();
        before
            .get(*id)
            .is_some_and(|old| (elapsed(row) - elapsed(old) / 2.0).abs() <= 1.0 && elapsed(old) > 10.0)
    });
    assert!(halved.count() >= 2, "cropped");

    let lines: Vec<Value> = std::fs::read_to_string(&asked)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let answered = |status: u16, part: &str| {
        let is_one =
            |line: &&Value| line["status"] == status && line["path"].as_str().unwrap().contains(part);
        lines.iter().filter(is_one).count()
    };
    assert_eq!(answered(503, "/api/v3"), 6);
    assert!(answered(404, "/streams") >= 2);
    assert_eq!(answered(429, ""), 0, "a wrong date costs no refused call");
    // Ten a second are somebody else's.
    let token: Value =
        serde_json::from_str(std::fs::read_to_string(&accounts).unwrap().lines().next().unwrap()).unwrap();
    let token = token["access_token"].as_str().unwrap();
    let head = answer(&served.set["LONGRUN_STRAVA_URL"], token, "GET", "/api/v3/athlete", "").to_lowercase();
    let used: u64 =
        head.split("x-ratelimit-usage: ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(used > lines.len() as u64, "{used} of {} asked here", lines.len());
    assert!(head.contains("x-ratelimit-limit: 50000,60000"), "{head}");
}

/// The rows of a lake by the ids that their source gave them.
fn by_id(place: &Place) -> HashMap<String, HashMap<String, String>> {
    let rows = place.rows("activities");
    rows.into_iter().map(|row| (row["source_id"].clone(), row.into_iter().collect())).collect()
}

#[test]
fn a_scenario_that_says_nothing_sensible_is_refused_with_where_and_why() {
    let place = Place::new();
    for (text, says) in [
        ("seed = 1\n[[fault]]\nstatsu = 503\n", "line 3: unknown field `statsu`"),
        ("[[fault]]\nstatus = 20\n", "fault 1: a status lies between 200 and 599"),
        ("[[fault]]\nheaders = { \"a b\" = \"c\" }\n", "fault 1: a b is no header"),
        ("live_per_hour = [1, 2]\n", "live_per_hour is a number, or 24 of them"),
        ("[scopes]\nnobody = \"read\"\n", "there is nobody of that name"),
        (
            "[[change]]\ndo = \"delete\"\n",
            "change 1 of the scenario: it needs ids, or a share between 0 and 1",
        ),
        ("[[change]]\ndo = \"delete\"\nids = [\"1\"]\n", "there is no activity 1"),
        ("[[change]]\ndo = \"crop\"\nshare = 1\n", "it needs keep, a share between 0 and 1"),
    ] {
        let file = place.file("scenario.toml", text);
        let said =
            place.run(&["emulate", "strava", "--users", "1", "--activities", "2", "--scenario", &file]);
        let said = said.expect(2).stderr;
        assert!(said.contains(says), "{text}: {said}");
    }
}
