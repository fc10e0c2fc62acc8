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
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stravalib_client.py");
    let mut command = Command::new(python);
    command.arg(script).arg(emulator.base_url()).arg(account.access_token.expose());
    let output = command.env("no_proxy", "127.0.0.1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();

    let person = &people[0];
    assert_eq!(told["athlete"], person.athlete_id);
    let activities = told["activities"].as_object().unwrap();
    // stravalib stops at a page that is shorter than it asked for, and the emulator's are not.
    assert_eq!(activities.len(), person.workouts.len());
    for workout in &person.workouts {
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
    assert_eq!((&told["absent"], &told["after"]), (&"not found".into(), &"refused".into()));
    // Its own limiter works from our headers.
    assert!(told["rates"].as_u64().unwrap() > 20, "{}", told["rates"]);
    assert_eq!(told["last_rate"][2], 100, "{}", told["last_rate"]);
}
