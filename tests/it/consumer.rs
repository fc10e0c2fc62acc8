//! A pipeline in small: takes messages as the live one's splitter and enricher do, drops what they drop without a
//! word, and keeps a document of each run.

use std::collections::BTreeMap;

use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;

/// The messages' own definitions.
pub fn payload_definition() -> MessageDescriptor {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let files = protox::compile(["fitglue.proto"], [folder]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
    pool.get_message_by_name("fitglue.ActivityPayload").unwrap()
}

/// `users/{uid}/pipeline_runs/{id}`
#[derive(Debug, Clone, PartialEq)]
pub struct RunDocument {
    pub source_activity_id: String,
    pub start_time: String,
    pub pipeline_id: String,
    /// When it was first written, in messages.
    pub first: usize,
    /// How often it was written.
    pub times: usize,
}

pub struct Consumer {
    definition: MessageDescriptor,
    pub runs: BTreeMap<(String, String), RunDocument>,
    /// What vanished, and why.
    pub dropped: Vec<String>,
    pub taken: usize,
}

impl Consumer {
    pub fn new() -> Consumer {
        Consumer { definition: payload_definition(), runs: BTreeMap::new(), dropped: Vec::new(), taken: 0 }
    }

    /// Takes a message, as it comes off the topic.
    pub fn take(&mut self, event: &[u8]) {
        self.taken += 1;
        if let Err(why) = self.process(event) {
            self.dropped.push(why.to_string());
        }
    }

    fn process(&mut self, event: &[u8]) -> Result<(), &'static str> {
        let event: Value = serde_json::from_slice(event).map_err(|_| "no JSON")?;
        if event["specversion"] != "1.0" || event["datacontenttype"] != "application/json" {
            return Err("no CloudEvent");
        }
        // The splitter encodes it once more.
        let payload =
            DynamicMessage::deserialize(self.definition.clone(), &event["data"]).map_err(|_| "no payload")?;
        if event["data"].to_string().len().div_ceil(3) * 4 > 10_000_000 || payload.encoded_len() == 0 {
            return Err("longer than a message may be");
        }
        let data = &event["data"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_string();
        if word(&data["pipeline_id"]).is_empty() {
            return Err("no pipeline");
        }
        let user_id = word(&data["user_id"]);
        if user_id.is_empty() {
            return Err("no user: retried until it expires");
        }
        let activity = data["standardized_activity"].as_object().ok_or("no activity")?;
        let [session] = activity["sessions"].as_array().ok_or("no session")?.as_slice() else {
            return Err("not one session");
        };
        if session["total_elapsed_time"].as_f64().unwrap_or(0.0) == 0.0 {
            return Err("no duration");
        }
        let start_time = word(&session["start_time"]);
        if start_time.is_empty() {
            return Err("no start");
        }
        let id = word(&data["pipeline_execution_id"]);
        let document = RunDocument {
            source_activity_id: word(&activity["external_id"]),
            start_time,
            pipeline_id: word(&data["pipeline_id"]),
            first: self.taken,
            times: 0,
        };
        self.runs.entry((user_id, id)).or_insert(document).times += 1;
        Ok(())
    }

    /// One user's runs in the order in which they were first made.
    pub fn of_user(&self, user_id: &str) -> Vec<&RunDocument> {
        let mut runs: Vec<&RunDocument> =
            self.runs.iter().filter(|((user, _), _)| user == user_id).map(|(_, run)| run).collect();
        runs.sort_by_key(|run| run.first);
        runs
    }

    /// Nothing vanished, one run for each activity, and everybody's in the order of their starts.
    #[track_caller]
    pub fn check(&self) {
        assert_eq!(self.dropped, Vec::<String>::new());
        let users: std::collections::BTreeSet<&String> = self.runs.keys().map(|(user, _)| user).collect();
        for user in users {
            let runs = self.of_user(user);
            let starts: Vec<&str> = runs.iter().map(|run| run.start_time.as_str()).collect();
            assert!(starts.is_sorted(), "{user}: {starts:?}");
            let mut activities: Vec<&str> = runs.iter().map(|run| run.source_activity_id.as_str()).collect();
            activities.sort_unstable();
            let all = activities.len();
            activities.dedup();
            assert_eq!(activities.len(), all, "an activity of {user} has two runs");
        }
    }
}
