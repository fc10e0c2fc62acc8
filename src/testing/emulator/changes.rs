//! What athletes change: deletions and edits, over a history that stays as it is.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

#[derive(Debug, Clone, Default)]
pub struct Changes {
    deleted: HashSet<String>,
    /// Seen by nobody but their athletes.
    private: HashSet<String>,
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

    pub fn set_private(&mut self, id: &str, is_private: bool) {
        if is_private {
            self.private.insert(id.to_string());
        } else {
            self.private.remove(id);
        }
    }

    /// Whether an activity is there for who sees what is private, or does not.
    pub fn is_shown(&self, id: &str, sees_private: bool) -> bool {
        !self.deleted.contains(id) && (sees_private || !self.private.contains(id))
    }

    /// A body with what was edited.
    pub fn apply(&self, id: &str, body: Vec<u8>) -> Vec<u8> {
        let mut fields = match self.edits.get(id) {
            Some(Value::Object(fields)) => fields.clone(),
            _ => serde_json::Map::new(),
        };
        if self.private.contains(id) {
            fields.insert("private".to_string(), true.into());
            fields.insert("visibility".to_string(), "only_me".into());
        }
        if fields.is_empty() {
            return body;
        }
        // What was not edited stays as it is, to the byte: some ids are longer than any number here.
        let Ok(mut activity) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(&body) else {
            return body;
        };
        let raw = |value: &Value| to_raw_value(value).expect("a value is JSON");
        activity.extend(fields.iter().map(|(name, value)| (name.clone(), raw(value))));
        serde_json::to_vec(&activity).expect("it was JSON")
    }
}
