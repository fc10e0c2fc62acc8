//! A plan in a file, so that exactly what somebody looked at is sent: made by `--plan FILE`, sent by `--apply FILE`.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::Options;
use super::message::Content;
use super::plan::summary::Summary;
use crate::error::{Error, Result};
use crate::sources::Source;
use crate::store::dataset;
use crate::store::lake::Lake;
use crate::store::local;
use crate::store::state::exports::Exports;

const VERSION: u32 = 1;

/// What a plan was made from. Each changes when what it stands for does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Basis {
    records: String,
    workouts: String,
    exports: String,
}

/// One message of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Named {
    user_id: String,
    execution_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFile {
    version: u32,
    made_at: Timestamp,
    sink: String,
    users: Vec<String>,
    content: Content,
    basis: Basis,
    messages: Vec<Named>,
}

/// The messages that may be sent, of a plan that somebody looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only(HashSet<Named>);

impl Only {
    /// Messages.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, user_id: &str, execution_id: &str) -> bool {
        let named = Named { user_id: user_id.to_string(), execution_id: execution_id.to_string() };
        self.0.contains(&named)
    }
}

impl PlanFile {
    /// Of a summary that lists everything.
    pub fn of(lake: &Lake, options: &Options, summary: &Summary, now: Timestamp) -> Result<PlanFile> {
        let ready = summary.entries.iter().filter(|line| line.is_ready);
        let messages = ready
            .map(|line| Named { user_id: line.user_id.clone(), execution_id: line.execution_id.clone() });
        Ok(PlanFile {
            version: VERSION,
            made_at: now,
            sink: options.sink.key(),
            users: options.users.clone(),
            content: options.content,
            basis: Basis::of(lake, &options.users)?,
            messages: messages.collect(),
        })
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let path = std::path::absolute(path).map_err(Error::io("find", path))?;
        local::replace(&path, |out| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            out.write_all(b"\n")
        })
        .map(drop)
    }

    pub fn read(path: &Path) -> Result<PlanFile> {
        let text = std::fs::read(path).map_err(Error::io("read", path))?;
        let plan: PlanFile = serde_json::from_slice(&text).map_err(|e| {
            Error::Usage(format!("{} is not a plan of `redrive --plan`: {e}", path.display()))
        })?;
        if plan.version != VERSION {
            let what = format!(
                "{} is a plan of version {}, and this longrun knows {VERSION}",
                path.display(),
                plan.version
            );
            return Err(Error::Usage(what));
        }
        Ok(plan)
    }

    /// Options that send exactly this, unless something has changed since it was made.
    pub fn options(&self, lake: &Lake, options: Options) -> Result<Options> {
        if options.sink.key() != self.sink {
            return Err(Error::Usage(format!(
                "the plan is for {}, and --sink names {}",
                self.sink, options.sink
            )));
        }
        let now = Basis::of(lake, &self.users)?;
        let changed: Vec<&str> = [
            ("records", self.basis.records == now.records),
            ("workouts and answers", self.basis.workouts == now.workouts),
            ("the pipeline's exports", self.basis.exports == now.exports),
        ]
        .into_iter()
        .filter(|(_, is_same)| !is_same)
        .map(|(what, _)| what)
        .collect();
        if !changed.is_empty() {
            return Err(Error::Usage(format!(
                "since the plan was made ({}), something has changed: {}; make a new one with --plan",
                self.made_at,
                changed.join(", ")
            )));
        }
        let only = Some(Only(self.messages.iter().cloned().collect()));
        Ok(Options { users: self.users.clone(), content: self.content, only, ..options })
    }
}

impl Basis {
    fn of(lake: &Lake, users: &[String]) -> Result<Basis> {
        let (mut records, mut workouts) = (0, 0);
        let add = |sum: &mut u64, fingerprint: Option<u64>| {
            *sum = XxHash64::oneshot(*sum, format!("{fingerprint:?}").as_bytes());
        };
        for bucket in lake.buckets_of(users) {
            for source in Source::ALL {
                add(&mut records, dataset::fingerprint(lake, &lake.activities(source.name(), bucket))?);
            }
            add(&mut workouts, dataset::fingerprint(lake, &lake.golden(bucket))?);
            add(&mut workouts, dataset::fingerprint(lake, &lake.matches(bucket))?);
        }
        let imports = format!("{:?}", Exports::open(lake)?.imports()?);
        let exports = XxHash64::oneshot(0, imports.as_bytes());
        let shown = |digest: u64| format!("{digest:016x}");
        Ok(Basis { records: shown(records), workouts: shown(workouts), exports: shown(exports) })
    }
}
