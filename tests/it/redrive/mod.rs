//! What the pipeline missed, given to it: through the binary, into files and endpoints that behave badly.

mod batches;
mod faults;
mod histories;
pub mod kills;
mod messages;
mod plan;
mod rehearsal;
mod sinks;
mod strange;
mod toy_sink;

use std::collections::BTreeSet;

use jiff::Timestamp;
use longrun::sources::strava::endpoints::{DETAIL, STREAMS};
use longrun::store::lake::Lake;
use longrun::store::landing::{Ask, Header, Landing};
use serde_json::{Value, json};

use crate::consumer::Consumer;
use crate::support::{Ended, Place};

pub const USER: &str = "u1";
pub const FAST: [&str; 6] = ["--per-second", "100000", "--per-user", "0s", "--leave-syncs", "0"];

/// A user who pays, with one pipeline.
pub fn athlete(user: &str) -> Value {
    json!({"user_id": user, "tier": "USER_TIER_ATHLETE",
        "pipelines": [{"id": "p1", "source": "SOURCE_STRAVA", "destinations": ["DESTINATION_SHOWCASE"]}]})
}

pub fn hobbyist(user: &str, used: u64, destinations: &[&str]) -> Value {
    json!({"path": format!("users/{user}"), "tier": "hobbyist", "sync_count_this_month": used,
        "pipelines": [{"id": "p1", "source": "SOURCE_STRAVA", "destinations": destinations}]})
}

/// An activity as Strava's API tells it.
pub fn detail(id: u64, start: &str) -> Value {
    json!({"id": id, "name": "Morning Run", "sport_type": "Run", "start_date": start, "start_date_local": start,
        "elapsed_time": 600, "moving_time": 590, "distance": 2000.5, "timezone": "(GMT+00:00) Europe/London"})
}

impl Place {
    pub fn land(&self, user: &str, bodies: &[(Ask, &str)]) {
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
                after: None,
                status: 200,
            };
            landing.append(&header, body.as_bytes()).unwrap();
        }
    }

    pub fn land_details(&self, user: &str, details: &[Value]) {
        let asks: Vec<(Ask, String)> =
            details.iter().map(|d| (DETAIL.ask(&d["id"].to_string(), 0), d.to_string())).collect();
        let asks: Vec<(Ask, &str)> = asks.iter().map(|(ask, body)| (ask.clone(), body.as_str())).collect();
        self.land(user, &asks);
    }

    /// Takes in what the pipeline has, and finds the workouts.
    pub fn prepare(&self, entries: &[Value]) {
        let lines: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
        self.run(&["normalize"]).expect(0);
        self.run(&["dedupe"]).expect(0);
        self.import(&lines);
    }

    /// An export, and that there are no more runs than in it.
    pub fn import(&self, lines: &str) {
        let files = [self.file("pipeline.jsonl", lines), self.file("none.json", "[]")];
        self.run(&["pipeline", "import", &files[0], &files[1]]).expect(0);
    }

    pub fn redrive(&self, sink: &str, more: &[&str]) -> Ended {
        self.run(&[&["redrive", "--apply", "--json", "--sink", sink], &FAST[..], more].concat())
    }

    pub fn dry_run(&self, more: &[&str]) -> Value {
        self.run(&[&["redrive", "--json", "--sink", "file:none.jsonl"], &FAST[..], more].concat())
            .expect(0)
            .json()
    }

    pub fn out(&self) -> String {
        format!("file:{}", self.folder.path().join("out.jsonl").display())
    }

    pub fn lines(&self) -> Vec<Vec<u8>> {
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

pub fn held<'a>(summary: &'a Value, reason: &str) -> (u64, &'a str) {
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
    let detail = |(id, start_s): (String, i64)| DETAIL.ask(&id, start_s);
    let samples = |(id, start_s): (String, i64)| STREAMS.ask(&id, start_s);
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
