//! The emulated Strava answers as the real one does, also where longrun never asks.

use std::io::{Read, Write};
use std::net::TcpStream;

use longrun::testing::emulator::Config;
use longrun::testing::synth::{Options, strava};
use serde_json::Value;

use crate::support::{WIDE, World};

const PEOPLE: Options = Options { seed: 97, users: 1, activities: 40 };

/// Status, headers and body of an answer.
fn ask(world: &World, method: &str, path: &str, body: &str) -> (u16, String, Value) {
    let base = world.emulator.base_url();
    let host = base.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let token = world.emulator.accounts()[0].access_token.expose().to_string();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_string(), serde_json::from_str(body).unwrap_or_default())
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
