//! What the live pipeline would do with a message: the rules of its splitter, enricher and tiers, as far as they are
//! known. It acknowledges what it drops, so nobody else says so.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::source_of;
use super::users::{Pipeline, User, Users};

/// What the splitter can publish again, encoded in base64.
const MAX_ENCODED_BYTES: usize = 10_000_000;

/// A run that a message would make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WouldRun {
    pub user_id: String,
    pub pipeline_id: String,
    pub execution_id: String,
    pub source_activity_id: String,
    pub start: Timestamp,
    pub destinations: Vec<String>,
}

#[derive(Deserialize)]
struct Event {
    data: Payload,
}

#[derive(Deserialize)]
struct Payload {
    source: Option<String>,
    user_id: Option<String>,
    pipeline_id: Option<String>,
    pipeline_execution_id: Option<String>,
    standardized_activity: Option<Activity>,
}

#[derive(Deserialize)]
struct Activity {
    #[serde(default)]
    external_id: String,
    #[serde(default)]
    sessions: Vec<Session>,
}

#[derive(Deserialize)]
struct Session {
    start_time: Option<Timestamp>,
    #[serde(default)]
    total_elapsed_time: f64,
}

/// The runs of a message, or why it would vanish.
pub fn runs_of(event: &[u8], users: &Users) -> Result<Vec<WouldRun>, &'static str> {
    let Event { data } = serde_json::from_slice(event).map_err(|_| "it is no event")?;
    if event.len().div_ceil(3) * 4 > MAX_ENCODED_BYTES {
        return Err("it is too long for the splitter to publish again");
    }
    let user_id =
        data.user_id.filter(|id| !id.is_empty()).ok_or("it names no user: retried until it expires")?;
    let user = users.get(&user_id).ok_or("the user is not known")?;
    let pipelines = pipelines(user, data.pipeline_id.as_deref(), data.source.as_deref())?;
    let activity = data.standardized_activity.ok_or("it has no standardized activity")?;
    let [session] = &activity.sessions[..] else { return Err("it does not have exactly one session") };
    if session.total_elapsed_time == 0.0 {
        return Err("its session took no time");
    }
    let start = session.start_time.ok_or("its session has no start")?;
    let is_split = data.pipeline_id.is_none();
    let run = |pipeline: &Pipeline| {
        let base = data.pipeline_execution_id.clone().unwrap_or_default();
        WouldRun {
            user_id: user_id.clone(),
            pipeline_id: pipeline.id.clone(),
            execution_id: if is_split { format!("{base}-{}", pipeline.id) } else { base },
            source_activity_id: activity.external_id.clone(),
            start,
            destinations: pipeline.destinations.clone(),
        }
    };
    Ok(pipelines.into_iter().map(run).collect())
}

/// The pipeline that a message names, or all enabled ones of its source.
fn pipelines<'a>(
    user: &'a User,
    named: Option<&str>,
    source: Option<&str>,
) -> Result<Vec<&'a Pipeline>, &'static str> {
    if let Some(id) = named.filter(|id| !id.is_empty()) {
        let pipeline = user.pipelines.iter().find(|pipeline| pipeline.id == id);
        let pipeline = pipeline.ok_or("its pipeline is not known")?;
        return if pipeline.is_disabled { Err("its pipeline is disabled") } else { Ok(vec![pipeline]) };
    }
    let source = source_of(source.unwrap_or_default());
    let taking: Vec<_> = user.pipelines.iter().filter(|p| !p.is_disabled && p.source == source).collect();
    if taking.is_empty() { Err("no pipeline takes its source") } else { Ok(taking) }
}

/// Syncs that a user has left in the month of `now`; None where the tier has no limit.
pub fn syncs_left(user: &User, now: Timestamp) -> Option<u64> {
    let month = |time: Timestamp| time.to_zoned(TimeZone::UTC).date().first_of_month();
    let written = Timestamp::from_second(user.written_s).unwrap_or_default();
    let used = if month(written) == month(now) { user.syncs_used } else { 0 };
    Some(user.tier?.syncs_a_month()?.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitglue::users::Tier;

    #[test]
    fn what_the_live_pipeline_drops_is_named() {
        let pipeline = |id: &str, is_disabled| Pipeline {
            id: id.to_string(),
            source: "strava".to_string(),
            destinations: vec!["showcase".to_string()],
            is_disabled,
            boosters: None,
        };
        let user = User {
            tier: Some(Tier::Hobbyist),
            syncs_used: 20,
            written_s: 1_700_000_000,
            pipelines: vec![pipeline("p1", false), pipeline("p2", true), pipeline("p3", false)],
        };
        let users = Users::of([("u".to_string(), user.clone())]);
        let sound = r#"{"data":{"source":"SOURCE_STRAVA","user_id":"u","standardized_activity":{"external_id":"7","sessions":[{"start_time":"2026-01-05T08:00:00Z","total_elapsed_time":3}]},"pipeline_execution_id":"x","pipeline_id":"p1"}}"#;
        let runs = |event: &str| {
            runs_of(event.as_bytes(), &users)
                .map(|runs| runs.into_iter().map(|run| run.execution_id).collect::<Vec<_>>())
        };
        assert_eq!(runs(sound), Ok(vec!["x".to_string()]));
        assert_eq!(
            runs(&sound.replace(r#","pipeline_id":"p1""#, "")),
            Ok(vec!["x-p1".to_string(), "x-p3".to_string()])
        );
        for (from, to, why) in [
            (r#""p1""#, r#""p2""#, "disabled"),
            (r#""p1""#, r#""p9""#, "not known"),
            (r#""user_id":"u","#, "", "no user"),
            (r#":3}"#, r#":0}"#, "no time"),
            (r#""start_time":"2026-01-05T08:00:00Z","#, "", "no start"),
            (r#"}],"#.trim_end_matches(','), r#"},{}]"#, "one session"),
        ] {
            let event = sound.replace(from, to);
            assert!(event != sound && runs(&event).unwrap_err().contains(why), "{event}");
        }
        let november: Timestamp = "2023-11-20T00:00:00Z".parse().unwrap();
        assert_eq!(syncs_left(&user, november), Some(5));
        assert_eq!(syncs_left(&user, "2023-12-20T00:00:00Z".parse().unwrap()), Some(25));
    }
}
