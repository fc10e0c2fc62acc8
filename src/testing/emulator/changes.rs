//! What athletes change: deletions and edits, over a history that stays as it is.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

#[derive(Debug, Clone, Default)]
pub struct Changes {
    deleted: HashSet<String>,
    edits: HashMap<String, Value>,
}

impl Changes {
    pub fn delete(&mut self, id: &str) {
        self.deleted.insert(id.to_string());
    }

    pub fn restore(&mut self, id: &str) {
        self.deleted.remove(id);
    }

    /// `fields` is an object, whose values take the place of the body's.
    pub fn edit(&mut self, id: &str, fields: Value) {
        self.edits.insert(id.to_string(), fields);
    }

    pub fn is_deleted(&self, id: &str) -> bool {
        self.deleted.contains(id)
    }

    /// A body with what was edited.
    pub fn apply(&self, id: &str, body: Vec<u8>) -> Vec<u8> {
        let Some(Value::Object(fields)) = self.edits.get(id) else { return body };
        let Ok(Value::Object(mut activity)) = serde_json::from_slice(&body) else { return body };
        activity.extend(fields.clone());
        Value::Object(activity).to_string().into_bytes()
    }
}
