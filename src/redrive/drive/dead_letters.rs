//! What a sink refused for good, with its answer: one JSON line each, for whoever finds out why.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::redrive::sinks::Message;
use crate::store::local::Appender;

#[derive(serde::Serialize)]
struct DeadLetter<'a> {
    refused_at: Timestamp,
    sink: &'a str,
    answer: &'a str,
    user_id: &'a str,
    execution_id: &'a str,
    activity_id: &'a str,
    /// Null where only an id goes.
    message: Option<&'a RawValue>,
}

/// The file, made by the first letter.
pub struct DeadLetters {
    pub path: PathBuf,
    pub sink: String,
    open: Option<Appender>,
}

impl DeadLetters {
    pub fn new(path: PathBuf, sink: String) -> DeadLetters {
        DeadLetters { path, sink, open: None }
    }

    /// Adds one. It is durable when this returns.
    pub fn add(&mut self, message: &Message, answer: &str, now: Timestamp) -> Result<()> {
        let letter = DeadLetter {
            refused_at: now,
            sink: &self.sink,
            answer,
            user_id: &message.user_id,
            execution_id: &message.execution_id,
            activity_id: &message.activity_id,
            message: serde_json::from_slice(&message.bytes).ok(),
        };
        let mut line = serde_json::to_vec(&letter).expect("a letter is plain");
        line.push(b'\n');
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let length = match std::fs::metadata(&self.path) {
                    Ok(metadata) => metadata.len(),
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
                    Err(e) => return Err(Error::io("read", &self.path)(e)),
                };
                self.open.insert(Appender::open(&self.path, length)?)
            }
        };
        open.append(&line).map(drop)
    }
}
