//! What was sent, and what became of it by the newest export of the pipeline.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::changed::{Changed, changed};
use super::sinks;
use crate::error::Result;
use crate::fitglue::runs::Status;
use crate::store::lake::Lake;
use crate::store::state::deliveries::{self, Sent};

/// One sink's messages.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OfSink {
    pub sink: String,
    pub delivered: u64,
    pub rejected: u64,
    /// May have arrived or not; the same redrive sends them again.
    pub unsettled: u64,
    pub users: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// How the runs of what was delivered stand, by status; None where the sink does not reach the pipeline.
    pub runs: Option<BTreeMap<String, u64>>,
    /// Delivered, and in no export yet.
    pub not_seen: u64,
    /// Delivered, and their records say something else since.
    pub changed_since: Vec<Changed>,
}

/// Every sink's, and why buckets could not be looked at.
pub fn status(lake: &Lake) -> Result<(Vec<OfSink>, Vec<String>)> {
    let mut sinks: BTreeMap<String, OfSink> = BTreeMap::new();
    for sent in deliveries::overview(lake)? {
        let reaches = sinks::reaches_pipeline(&sent.sink);
        let of_sink = sinks.entry(sent.sink.clone()).or_insert_with(|| OfSink {
            sink: sent.sink.clone(),
            runs: reaches.then(BTreeMap::new),
            ..OfSink::default()
        });
        of_sink.add(&sent);
    }
    for (sink, users) in deliveries::users_by_sink(lake)? {
        if let Some(of_sink) = sinks.get_mut(&sink) {
            of_sink.users = users;
        }
    }
    let (changed, damaged) = changed(lake)?;
    for changed in changed {
        if let Some(of_sink) = sinks.get_mut(&changed.sink) {
            of_sink.changed_since.push(changed);
        }
    }
    Ok((sinks.into_values().collect(), damaged))
}

impl OfSink {
    fn add(&mut self, sent: &Sent) {
        let time = |second| Timestamp::from_second(second).ok();
        let (first, last) = (time(sent.first_s), time(sent.last_s));
        self.first = self.first.into_iter().chain(first).min();
        self.last = self.last.into_iter().chain(last).max();
        match sent.state.as_str() {
            "delivered" => {
                self.delivered += sent.count;
                match (&mut self.runs, &sent.run_status) {
                    (Some(runs), Some(status)) => {
                        let status = Status::named(status);
                        *runs.entry(status.name().to_string()).or_default() += sent.count;
                    }
                    (Some(_), None) => self.not_seen += sent.count,
                    (None, _) => {}
                }
            }
            "rejected" => self.rejected += sent.count,
            _ => self.unsettled += sent.count,
        }
    }
}
