//! What is to be sent, and how.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use super::message::Content;
use super::plan_file::Only;
use super::reconcile::Standing;
use super::sinks;
use super::workouts::Workout;
use crate::error::{Error, Result};

#[derive(Debug, Clone)]
pub struct Options {
    pub sink: sinks::Address,
    /// Only these; everybody where none are named.
    pub users: Vec<String>,
    /// Workouts that began at this time or later.
    pub since: Option<Timestamp>,
    /// Workouts that began before this time.
    pub until: Option<Timestamp>,
    /// Canonical sports; all where none are named.
    pub sports: Vec<String>,
    pub standings: Vec<Standing>,
    /// Only these messages, of a plan that was looked at before.
    pub only: Option<Only>,
    /// Messages at most.
    pub limit: Option<u64>,
    /// The one pipeline that gets them.
    pub pipeline: Option<String>,
    pub content: Content,
    pub allow_write_back: bool,
    /// Whether what a sink has rejected is sent once more.
    pub retry_rejected: bool,
    /// Workouts (by their golden id) or records (`strava:123`) that go once more although they were delivered.
    pub again: Vec<String>,
    /// Syncs of a tier that are left to the live pipeline.
    pub leave_syncs: u64,
    /// How old the newest export of runs may be, for anything to be sent by it.
    pub max_export_age: Duration,
    /// Whether something is sent although documents of an export could not be read.
    pub accept_refusals: bool,
    pub per_second: NonZeroU32,
    /// From one message of a user to the next.
    pub per_user: Duration,
    /// From one message to the next, to a sink each of whose messages spends the source's request quota.
    pub request_period: Duration,
    /// Users that are sent for at a time.
    pub concurrency: usize,
    /// Whether messages of one user may be on their way at the same time.
    pub unordered: bool,
    /// How long a sink may be out of reach.
    pub patience: Duration,
    /// An export of runs that is kept up to date, to wait for each run's outcome.
    pub watch: Option<Watch>,
}

#[derive(Debug, Clone)]
pub struct Watch {
    pub from: WatchFrom,
    /// A run is waited for so long at most.
    pub longest: Duration,
}

/// Where an export of runs comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchFrom {
    File(PathBuf),
    Url(reqwest::Url),
    /// A shell command that prints the newest export.
    Command(String),
}

impl FromStr for WatchFrom {
    type Err = Error;

    fn from_str(text: &str) -> Result<WatchFrom> {
        match text.strip_prefix("command:") {
            Some(command) => Ok(WatchFrom::Command(command.to_string())),
            None if text.starts_with("https://") || text.starts_with("http://") => {
                crate::http::url(text).map(WatchFrom::Url)
            }
            None => Ok(WatchFrom::File(PathBuf::from(text))),
        }
    }
}

impl Options {
    /// Everything that is owed, to a sink, at an easy pace.
    pub fn to(sink: sinks::Address) -> Options {
        Options {
            sink,
            users: Vec::new(),
            since: None,
            until: None,
            sports: Vec::new(),
            standings: Standing::OWED.to_vec(),
            only: None,
            limit: None,
            pipeline: None,
            content: Content::default(),
            allow_write_back: false,
            retry_rejected: false,
            again: Vec::new(),
            leave_syncs: 5,
            max_export_age: Duration::from_secs(86_400),
            accept_refusals: false,
            per_second: NonZeroU32::new(10).expect("not zero"),
            per_user: Duration::from_secs(1),
            request_period: Duration::from_secs(20),
            concurrency: 16,
            unordered: false,
            patience: Duration::from_secs(120),
            watch: None,
        }
    }

    /// Whether a workout is among those that were asked for.
    pub fn wants(&self, workout: &Workout, standing: Standing) -> bool {
        self.standings.contains(&standing)
            && self.since.is_none_or(|since| workout.start >= since)
            && self.until.is_none_or(|until| workout.start < until)
            && (self.sports.is_empty()
                || workout.sport.as_ref().is_some_and(|sport| self.sports.contains(sport)))
    }

    /// Whether a workout was named to go once more.
    pub fn goes_again(&self, workout: &Workout) -> bool {
        !self.again.is_empty()
            && (self.again.contains(&workout.golden_id)
                || workout.members.iter().any(|member| self.again.contains(&member.name())))
    }
}
