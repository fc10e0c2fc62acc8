//! The runs that the pipeline made of activities.

use std::collections::HashMap;

use serde::Serialize;

use super::export::Document;
use super::{plain_name, source_of};
use crate::error::Result;
use crate::store::state::exports::{Exports, RunRow};

/// How far a run came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Running,
    Synced,
    /// Some destinations have it.
    Partial,
    Failed,
    /// It waits for the user.
    Pending,
    /// The user's own filter left it out.
    Skipped,
    Archived,
    TierBlocked,
    /// As the export says it.
    Unknown(String),
}

const NAMED: [(Status, &str); 8] = [
    (Status::Running, "running"),
    (Status::Synced, "synced"),
    (Status::Partial, "partial"),
    (Status::Failed, "failed"),
    (Status::Pending, "pending"),
    (Status::Skipped, "skipped"),
    (Status::Archived, "archived"),
    (Status::TierBlocked, "tier_blocked"),
];

impl Status {
    /// By its name in any spelling, or its number, which is its place in the enum.
    pub fn named(name: &str) -> Status {
        let plain = plain_name(name, &["pipeline_run_status_", "run_status_", "status_"], &[]);
        let squashed = plain.replace('_', "");
        let found = NAMED
            .iter()
            .enumerate()
            .find(|(at, (_, known))| known.replace('_', "") == squashed || plain == (at + 1).to_string());
        found.map_or_else(|| Status::Unknown(name.to_string()), |(_, (status, _))| status.clone())
    }

    pub fn name(&self) -> &str {
        match self {
            Status::Unknown(name) => name,
            known => NAMED.iter().find(|(status, _)| status == known).map_or("", |(_, name)| name),
        }
    }

    /// Whether nothing more will happen by itself.
    pub fn is_final(&self) -> bool {
        !matches!(self, Status::Running | Status::Unknown(_))
    }
}

/// One run of one pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub user_id: String,
    pub run_id: String,
    /// As the pipeline names sources, in lower case.
    pub source: Option<String>,
    pub source_activity_id: Option<String>,
    pub pipeline_id: Option<String>,
    pub status: Status,
    pub start_s: Option<i64>,
    pub updated_s: Option<i64>,
}

pub fn read(document: &Document) -> std::result::Result<Run, String> {
    let source_activity_id = document.word(&["source_activity_id", "sourceActivityId"]);
    let start_s = document.second(&["start_time", "startTime"])?;
    if source_activity_id.is_none() && start_s.is_none() {
        return Err("a run with neither a source_activity_id nor a start_time".to_string());
    }
    Ok(Run {
        user_id: document.user_id()?,
        run_id: document.key("pipeline_runs").ok_or("a run without an id")?,
        source: document.word(&["source"]).map(|name| source_of(&name)),
        source_activity_id,
        pipeline_id: document.word(&["pipeline_id", "pipelineId"]),
        status: Status::named(&document.word(&["status"]).ok_or("a run without a status")?),
        start_s,
        updated_s: document.second(&["updated_at", "updatedAt", "created_at", "createdAt"])?,
    })
}

impl Run {
    pub fn row(self) -> RunRow {
        RunRow {
            user_id: self.user_id,
            run_id: self.run_id,
            source: self.source,
            source_activity_id: self.source_activity_id,
            pipeline_id: self.pipeline_id,
            status: self.status.name().to_string(),
            start_s: self.start_s,
            updated_s: self.updated_s,
        }
    }

    fn of_row(row: RunRow) -> Run {
        Run {
            status: Status::named(&row.status),
            user_id: row.user_id,
            run_id: row.run_id,
            source: row.source,
            source_activity_id: row.source_activity_id,
            pipeline_id: row.pipeline_id,
            start_s: row.start_s,
            updated_s: row.updated_s,
        }
    }
}

/// One user's runs.
#[derive(Debug, Default)]
pub struct Runs {
    all: Vec<Run>,
    by_activity: HashMap<String, Vec<usize>>,
    /// Of those that say when their activity began, by then.
    by_start: Vec<(i64, usize)>,
}

impl Runs {
    pub fn read(exports: &Exports, user_id: &str) -> Result<Runs> {
        Ok(Runs::of(exports.runs_of(user_id)?.into_iter().map(Run::of_row).collect()))
    }

    pub fn of(mut all: Vec<Run>) -> Runs {
        all.sort_by(|a, b| a.run_id.cmp(&b.run_id));
        let mut by_activity: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, run) in all.iter().enumerate() {
            if let Some(id) = &run.source_activity_id {
                by_activity.entry(id.clone()).or_default().push(at);
            }
        }
        let mut by_start: Vec<_> =
            all.iter().enumerate().filter_map(|(at, run)| Some((run.start_s?, at))).collect();
        by_start.sort_unstable();
        Runs { all, by_activity, by_start }
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The runs of a source's activity. A run that does not name its source is known by the id alone.
    pub fn of_activity(&self, source: &str, id: &str) -> impl Iterator<Item = &Run> {
        let of_id = self.by_activity.get(id).into_iter().flatten().map(|at| &self.all[*at]);
        of_id.filter(move |run| run.source.as_deref().is_none_or(|named| named == source))
    }

    /// Runs of a source whose ids are nobody else's, by when the activity began.
    pub fn that_began(&self, source: &str, start_s: i64, within_s: i64) -> impl Iterator<Item = &Run> {
        let first = self.by_start.partition_point(|(start, _)| *start < start_s.saturating_sub(within_s));
        let near = self.by_start[first..]
            .iter()
            .take_while(move |(start, _)| *start <= start_s.saturating_add(within_s));
        near.map(|(_, at)| &self.all[*at]).filter(move |run| run.source.as_deref() == Some(source))
    }

    pub fn with_id(&self, run_id: &str) -> Option<&Run> {
        let at = self.all.partition_point(|run| run.run_id.as_str() < run_id);
        self.all.get(at).filter(|run| run.run_id == run_id)
    }
}

/// The runs of an export that is read while it grows: what cannot be read yet is passed over.
pub fn each(input: impl std::io::BufRead, take: &mut dyn FnMut(Run)) -> Result<()> {
    let _cut = super::export::each(input, &mut |_, value| {
        if let Ok(super::Item::Run(run)) = value.and_then(|value| super::read_item(value, 0)) {
            take(run);
        }
        true
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_known_by_name_and_number() {
        for name in
            ["PIPELINE_RUN_STATUS_TIER_BLOCKED", "tier_blocked", "TierBlocked", "8", "STATUS_TIER_BLOCKED"]
        {
            assert_eq!(Status::named(name), Status::TierBlocked, "{name}");
        }
        assert_eq!(Status::named("2"), Status::Synced);
        assert_eq!(Status::named("9"), Status::Unknown("9".to_string()));
        assert_eq!(Status::named("UNSPECIFIED").name(), "UNSPECIFIED");
        for (status, name) in NAMED {
            assert_eq!(Status::named(status.name()), status, "{name}");
        }
    }

    #[test]
    fn a_run_belongs_to_an_activity_of_its_source() {
        let run = |id: &str, source: Option<&str>| Run {
            user_id: "u".to_string(),
            run_id: id.to_string(),
            source: source.map(str::to_string),
            source_activity_id: Some("7".to_string()),
            pipeline_id: None,
            status: Status::Synced,
            start_s: Some(100),
            updated_s: None,
        };
        let runs = Runs::of(vec![run("a", Some("strava")), run("b", Some("hevy")), run("c", None)]);
        let ids = |source: &str| -> Vec<&str> {
            runs.of_activity(source, "7").map(|r| r.run_id.as_str()).collect()
        };
        assert_eq!(ids("strava"), ["a", "c"]);
        assert_eq!(ids("fitbit"), ["c"]);
        assert_eq!(runs.that_began("hevy", 130, 60).count(), 1);
        assert_eq!(runs.that_began("hevy", 170, 60).count(), 0);
    }
}
