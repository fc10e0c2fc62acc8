//! The most used client of Strava's API, from PyPI, against the emulator: what it parses is the truth.

use std::path::Path;
use std::process::Command;

use longrun::testing::emulator::{Config, Emulator, Synthetic};
use longrun::testing::synth::{Options, people, strava};

use crate::support::python_with;

#[test]
fn stravalib_reads_the_emulator_and_comes_to_the_truth() {
    let Some(python) = python_with("stravalib") else { return };
    let people = people(Options { seed: 71, users: 2, activities: 230 });
    let emulator = Emulator::start(Config::default(), Box::new(Synthetic::new(people.clone()))).unwrap();
    let account = &emulator.accounts()[0];
    let person = &people[0];
    // Older than the first few, of which everything is asked.
    let mut older = person.workouts.iter().rev().skip(10);
    let mut next = || older.next().unwrap().id.to_string();
    let (deleted, edited, busy, full, hidden) = (next(), next(), next(), next(), next());
    let sampled = older.find(|workout| strava::streams(person, workout).is_some()).unwrap();
    let not_yet = sampled.id.to_string();
    emulator.delete(&deleted);
    emulator.edit(&edited, serde_json::json!({"name": "Renamed"}));
    emulator.set_private(&hidden, true);
    emulator.grant(&person.user_id, "read,activity:read");
    let error = r#"{"message":"Rate Limit Exceeded","errors":[]}"#;
    emulator.plant(&format!("/activities/{busy}"), 503, "<html>busy</html>");
    emulator.plant(&format!("/activities/{full}"), 429, error);
    emulator.plant(
        &format!("/activities/{not_yet}/streams"),
        404,
        r#"{"message":"Record Not Found","errors":[]}"#,
    );
    let told_about: serde_json::Map<String, serde_json::Value> = [
        ("deleted", &deleted),
        ("edited", &edited),
        ("not_yet", &not_yet),
        ("busy", &busy),
        ("full", &full),
        ("hidden", &hidden),
    ]
    .into_iter()
    .map(|(name, id)| (name.to_string(), id.parse::<u64>().unwrap().into()))
    .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stravalib_client.py");
    let mut command = Command::new(python);
    command.arg(script).args([emulator.base_url(), emulator.oauth_url()]);
    command.arg(account.access_token.expose()).arg(serde_json::Value::Object(told_about).to_string());
    let output = command.env("no_proxy", "127.0.0.1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();

    assert_eq!(told["athlete"], person.athlete_id);
    let activities = told["activities"].as_object().unwrap();
    // stravalib stops at a page that is shorter than it asked for, and the emulator's are not.
    assert_eq!(activities.len(), person.workouts.len() - 2, "one is deleted, and one hidden");
    let is_as_it_was = |id: u128| ![&deleted, &edited, &hidden].contains(&&id.to_string());
    for workout in person.workouts.iter().filter(|workout| is_as_it_was(workout.id)) {
        let detail: serde_json::Value = serde_json::from_str(&strava::detail(person, workout)).unwrap();
        let parsed = &activities[&workout.id.to_string()];
        assert_eq!(parsed["name"], detail["name"]);
        assert_eq!(parsed["elapsed_s"], detail["elapsed_time"]);
        assert_eq!(parsed["distance_m"].as_f64(), detail["distance"].as_f64());
        let start: jiff::Timestamp = parsed["start"].as_str().unwrap().parse().unwrap();
        assert_eq!(start.as_second(), workout.start.as_second());
    }
    for more in told["more"].as_array().unwrap() {
        let workout = person.workouts.iter().find(|w| more["id"] == w.id.to_string()).unwrap();
        let detail: serde_json::Value = serde_json::from_str(&strava::detail(person, workout)).unwrap();
        let many = |field: &str| detail[field].as_u64().unwrap_or(0).min(30);
        assert_eq!(more["laps"], detail["laps"].as_array().map_or(0, Vec::len));
        assert_eq!(
            (&more["kudos"], &more["comments"]),
            (&many("kudos_count").into(), &many("comment_count").into())
        );
        assert_eq!(more["photos"], many("total_photo_count"));
        let samples = strava::streams(person, workout).map_or(0, |_| workout.moving_s);
        assert_eq!(more["samples"], samples);
    }
    assert!(told["rides"].as_u64().unwrap() > 0);
    let expected = serde_json::json!({
        "absent": "not found", "deleted": "not found", "edited": "Renamed", "not_yet": "not found",
        "then": sampled.moving_s, "busy": "HTTP 503", "full": "HTTP 429", "ahead": "HTTP 400", "since": true,
        "code_again": "HTTP 400", "rotates": true, "refresh_again": "HTTP 400", "renewed": person.athlete_id,
        "hidden": false, "revoked": [200, "refused"], "after": "refused",
    });
    for (what, expected) in expected.as_object().unwrap() {
        assert_eq!(&told[what], expected, "{what}");
    }
    assert!(told["coarse"][1].as_u64().unwrap() <= 100, "{}", told["coarse"]);
    assert!(told["coarse"][0].as_array().unwrap().contains(&"time".into()), "{}", told["coarse"]);
    // What was refused was counted, too.
    assert!(emulator.log().iter().filter(|logged| logged.status != 200).count() >= 3);
    // Its own limiter works from our headers.
    assert!(told["rates"].as_u64().unwrap() > 20, "{}", told["rates"]);
    assert_eq!(told["last_rate"][2], 100, "{}", told["last_rate"]);
}
