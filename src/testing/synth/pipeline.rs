//! What a live pipeline would export of invented people: connected late, blind to what is typed in, stalled for a
//! while, and now and then failing.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::{Options, Person, Recording, person};
use crate::error::{Error, Result};
use crate::store::local;

/// Writes users, runs and uploads, a line each. Returns the bytes written.
pub fn write(path: &Path, options: Options) -> Result<u64> {
    let path = std::path::absolute(path).map_err(Error::io("find", path))?;
    local::replace(&path, |out| {
        (0..options.users)
            .try_for_each(|number| out.write_all(lines(&person(options, number), number).as_bytes()))
    })
}

/// One person's entries.
pub fn lines(person: &Person, number: u32) -> String {
    let user = &person.user_id;
    // Some pay, some do not; one of them sends to where Strava's app reads from, too.
    let tier = if number % 2 == 0 { "athlete" } else { "hobbyist" };
    let destinations: &[&str] = if number % 4 == 3 {
        &["DESTINATION_SHOWCASE", "DESTINATION_HEVY"]
    } else {
        &["DESTINATION_SHOWCASE"]
    };
    let pipeline = format!("pipeline-{number}");
    let boosters: &[&str] = match number % 3 {
        0 => &["ENRICHER_PROVIDER_WEATHER", "ENRICHER_PROVIDER_STREAK_TRACKER"],
        1 => &["ENRICHER_PROVIDER_USER_INPUT"],
        _ => &["ENRICHER_PROVIDER_GOAL_TRACKER"],
    };
    let boosters: Vec<_> = boosters.iter().map(|name| json!({"provider_type": name})).collect();
    let mut lines = vec![json!({
        "path": format!("users/{user}"),
        "tier": tier,
        "sync_count_this_month": 7,
        "pipelines": [
            {"id": pipeline, "source": "SOURCE_STRAVA", "enrichers": boosters, "destinations": destinations},
            {"id": format!("{pipeline}-hevy"), "source": "SOURCE_HEVY", "enrichers": [], "destinations": ["DESTINATION_SHOWCASE"]},
        ],
    })];
    let all = person.workouts.len();
    let (connected, stalled, mended) = (all * 6 / 10, all * 8 / 10, all * 83 / 100);
    for (at, workout) in person.workouts.iter().enumerate().skip(connected) {
        if workout.recording == Recording::Manual || (stalled..mended).contains(&at) {
            continue;
        }
        let start = workout.start.to_string();
        if at % 23 == 0 {
            lines.push(json!({
                "path": format!("users/{user}/uploaded_activities/strava:{}", workout.id),
                "source": "SOURCE_HEVY",
                "start_time": start,
            }));
            continue;
        }
        let status = match at {
            _ if at % 17 == 0 => "PIPELINE_RUN_STATUS_FAILED",
            _ if at % 13 == 0 && tier == "hobbyist" => "PIPELINE_RUN_STATUS_TIER_BLOCKED",
            _ if at % 29 == 0 => "PIPELINE_RUN_STATUS_SKIPPED",
            _ => "PIPELINE_RUN_STATUS_SYNCED",
        };
        lines.push(json!({
            "path": format!("users/{user}/pipeline_runs/run-{}-{pipeline}", workout.id),
            "pipeline_id": pipeline,
            "source": "SOURCE_STRAVA",
            "source_activity_id": workout.id.to_string(),
            "status": status,
            "start_time": start,
        }));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}
