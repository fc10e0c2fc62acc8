//! A rehearsal: a consumer in this process that does with every message what the live pipeline would, and says what
//! would come of it. Nothing is sent, nothing is remembered, and each rehearsal starts anew.
//!
//! ```text
//! DIR/runs.jsonl     a line for each run that would be made
//! DIR/report.json    what each pipeline would do, what would vanish and why
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde::Serialize;
use twox_hash::XxHash3_128;

use super::{Capabilities, Carries, Message, Opening, Outcome, Pace, Place, Sending, Settings, Sink, Spec};
use crate::error::{Error, Result};
use crate::fitglue::enricher::{self, WouldRun};
use crate::fitglue::users::Users;
use crate::numbers::{self, count_of};
use crate::store::local::{self, Appender};

pub const SPEC: Spec = Spec {
    name: "rehearse",
    usage: "rehearse:DIR",
    capabilities: Capabilities {
        carries: Carries::Message,
        needs_account: false,
        reaches_pipeline: false,
        remembers: false,
        pace: Pace::None,
        batch: 1024,
        keeps_order: true,
    },
    place,
    open,
};

fn place(folder: &str) -> Result<Place> {
    let shown = std::path::absolute(folder).map_err(Error::io("find", folder))?.display().to_string();
    Ok(Place { target: folder.to_string(), key: shown.clone(), shown, batch: None })
}

fn open<'a>(place: &'a Place, settings: &'a Settings) -> Opening<'a> {
    Box::pin(async {
        let users = settings.users.clone().unwrap_or_default();
        Ok(Box::new(Rehearsal::open(Path::new(&place.target), users)?) as Box<dyn Sink>)
    })
}

/// What one pipeline of a user would do.
#[derive(Debug, Default, Serialize)]
struct OfPipeline {
    runs: u64,
    /// Runs that the tier would block.
    tier_blocked: u64,
    /// By destination.
    uploads: BTreeMap<String, u64>,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    messages: u64,
    runs: u64,
    /// Runs that were made before, and would be made over.
    repeated: u64,
    tier_blocked: u64,
    /// Messages that would vanish, by reason.
    dropped: BTreeMap<&'static str, u64>,
    /// Runs of activities that began before one that came earlier.
    out_of_order: u64,
    uploads: BTreeMap<String, u64>,
    /// By user and pipeline.
    pipelines: BTreeMap<String, BTreeMap<String, OfPipeline>>,
}

struct Rehearsal {
    folder: PathBuf,
    users: Arc<Users>,
    inner: Mutex<Inner>,
}

struct Inner {
    runs: Appender,
    seen: HashSet<u128>,
    last_start: HashMap<String, Timestamp>,
    syncs_left: HashMap<String, Option<u64>>,
    report: Report,
}

impl Rehearsal {
    fn open(folder: &Path, users: Arc<Users>) -> Result<Rehearsal> {
        let folder = std::path::absolute(folder).map_err(Error::io("find", folder))?;
        let runs = Appender::open(&folder.join("runs.jsonl"), 0)?;
        let inner = Inner {
            runs,
            seen: HashSet::new(),
            last_start: HashMap::new(),
            syncs_left: HashMap::new(),
            report: Report::default(),
        };
        Ok(Rehearsal { folder, users, inner: Mutex::new(inner) })
    }

    fn take(&self, messages: &[Message]) -> Result<()> {
        let mut inner = self.inner.lock().expect("no thread panics while it holds this");
        let mut lines = Vec::new();
        for message in messages {
            inner.report.messages += 1;
            match enricher::runs_of(&message.bytes, &self.users) {
                Ok(runs) => runs.into_iter().for_each(|run| lines.extend(inner.run(run, &self.users))),
                Err(why) => *inner.report.dropped.entry(why).or_default() += 1,
            }
        }
        inner.runs.append(&lines).map(drop)
    }
}

impl Inner {
    /// Makes a run, and returns its line.
    fn run(&mut self, run: WouldRun, users: &Users) -> Vec<u8> {
        let name = format!("{}\0{}", run.user_id, run.execution_id);
        if !self.seen.insert(XxHash3_128::oneshot(name.as_bytes())) {
            self.report.repeated += 1;
        }
        let last = self.last_start.entry(run.user_id.clone()).or_insert(run.start);
        self.report.out_of_order += u64::from(run.start < *last);
        *last = (*last).max(run.start);
        let of_user =
            || users.get(&run.user_id).and_then(|user| enricher::syncs_left(user, Timestamp::now()));
        let left = self.syncs_left.entry(run.user_id.clone()).or_insert_with(of_user);
        let cost = run.destinations.len() as u64;
        let is_blocked = left.is_some_and(|left| left < cost);
        if let Some(left) = left.as_mut().filter(|_| !is_blocked) {
            *left -= cost;
        }
        let of_user = self.report.pipelines.entry(run.user_id.clone()).or_default();
        let of_pipeline = of_user.entry(run.pipeline_id.clone()).or_default();
        of_pipeline.runs += 1;
        self.report.runs += 1;
        if is_blocked {
            of_pipeline.tier_blocked += 1;
            self.report.tier_blocked += 1;
        } else {
            for destination in &run.destinations {
                *of_pipeline.uploads.entry(destination.clone()).or_default() += 1;
                *self.report.uploads.entry(destination.clone()).or_default() += 1;
            }
        }
        let status = if is_blocked { "TIER_BLOCKED" } else { "SYNCED" };
        let document = serde_json::json!({
            "path": format!("users/{}/pipeline_runs/{}", run.user_id, run.execution_id),
            "pipeline_id": run.pipeline_id,
            "source_activity_id": run.source_activity_id,
            "start_time": run.start.to_string(),
            "status": format!("PIPELINE_RUN_STATUS_{status}"),
            "destinations": run.destinations,
        });
        format!("{document}\n").into_bytes()
    }
}

impl Report {
    /// In sentences.
    fn said(&self, path: &Path) -> String {
        let pipelines = self.pipelines.values().map(|of_user| of_user.len() as u64).sum();
        let uploads: Vec<String> =
            self.uploads.iter().map(|(to, count)| format!("{} to {to}", numbers::count(*count))).collect();
        let mut said = format!(
            "rehearsed: {} would make {} in {} of {}",
            count_of(self.messages, "message", "messages"),
            count_of(self.runs, "run", "runs"),
            count_of(pipelines, "pipeline", "pipelines"),
            count_of(self.pipelines.len() as u64, "user", "users"),
        );
        if !uploads.is_empty() {
            said += &format!(", with uploads: {}", uploads.join(", "));
        }
        if self.tier_blocked > 0 {
            said += &format!("; {} would be blocked by the tier", numbers::count(self.tier_blocked));
        }
        for (why, count) in &self.dropped {
            said += &format!("; {} would vanish, because {why}", count_of(*count, "message", "messages"));
        }
        said += &format!(
            "; {} out of order; {} lists it by user and pipeline",
            count_of(self.out_of_order, "run", "runs"),
            path.display()
        );
        said
    }
}

impl Sink for Rehearsal {
    fn send<'a>(&'a self, messages: &'a [Message]) -> Sending<'a> {
        let taken = self.take(messages).map(|()| vec![Outcome::Delivered; messages.len()]);
        Box::pin(std::future::ready(taken))
    }

    fn close(&self) -> Result<Option<String>> {
        let inner = self.inner.lock().expect("no thread panics while it holds this");
        let path = self.folder.join("report.json");
        local::replace(&path, |out| {
            serde_json::to_writer_pretty(&mut *out, &inner.report)?;
            out.write_all(b"\n")
        })?;
        Ok(Some(inner.report.said(&path)))
    }
}
