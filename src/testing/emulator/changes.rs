//! What athletes change: deletions and edits, over a history that stays as it is.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::model::polyline;

#[derive(Debug, Clone, Default)]
pub struct Changes {
    deleted: HashSet<String>,
    /// Seen by nobody but their athletes.
    private: HashSet<String>,
    edits: HashMap<String, Value>,
    /// Cropped at the end: the share that is kept.
    crops: HashMap<String, f64>,
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

    pub fn crop(&mut self, id: &str, keep: f64) {
        self.crops.insert(id.to_string(), keep);
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
        let keep = self.crops.get(id);
        if fields.is_empty() && keep.is_none() {
            return body;
        }
        // What was not edited stays as it is, to the byte: some ids are longer than any number here.
        let Ok(mut activity) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(&body) else {
            return body;
        };
        let raw = |value: &Value| to_raw_value(value).expect("a value is JSON");
        if let Some(keep) = keep {
            let value_of = |name: &str| {
                activity.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(Value::Null)
            };
            let cropped = cropped(value_of, *keep);
            activity.extend(cropped.into_iter().map(|(name, value)| (name.to_string(), raw(&value))));
        }
        activity.extend(fields.iter().map(|(name, value)| (name.clone(), raw(value))));
        serde_json::to_vec(&activity).expect("it was JSON")
    }

    /// The streams of an activity, as long as what is left of it.
    pub fn apply_to_streams(&self, id: &str, body: Vec<u8>) -> Vec<u8> {
        let Some(keep) = self.crops.get(id) else { return body };
        let Ok(mut streams) = serde_json::from_slice::<Value>(&body) else { return body };
        let all: Vec<&mut Value> = match &mut streams {
            Value::Object(keyed) => keyed.values_mut().collect(),
            Value::Array(listed) => listed.iter_mut().collect(),
            _ => return body,
        };
        for stream in all {
            if let Some(data) = stream["data"].as_array_mut() {
                data.truncate(share_of(data.len(), *keep));
                stream["original_size"] = data.len().into();
            }
        }
        streams.to_string().into_bytes()
    }
}

fn share_of(many: usize, keep: f64) -> usize {
    (many as f64 * keep).ceil() as usize
}

/// The fields that are others once only this share of an activity is kept.
fn cropped(value_of: impl Fn(&str) -> Value, keep: f64) -> Vec<(&'static str, Value)> {
    let mut fields = Vec::new();
    for name in ["elapsed_time", "moving_time"] {
        if let Some(seconds) = value_of(name).as_u64() {
            fields.push((name, (seconds as f64 * keep).round().into()));
        }
    }
    if let Some(distance) = value_of("distance").as_f64() {
        fields.push(("distance", (distance * keep).into()));
    }
    let mut map = value_of("map");
    for name in ["polyline", "summary_polyline"] {
        let Some(Ok(mut track)) = map[name].as_str().map(|text| polyline::decode(text.as_bytes())) else {
            continue;
        };
        let kept = share_of(track.len(), keep);
        track.lat_e5.truncate(kept);
        track.lon_e5.truncate(kept);
        map[name] = polyline::encode(&track).into();
        if let Some((lat, lon)) = track.lat_e5.last().zip(track.lon_e5.last()) {
            fields.push(("end_latlng", json!([f64::from(*lat) / 1e5, f64::from(*lon) / 1e5])));
        }
    }
    if map.is_object() {
        fields.push(("map", map));
    }
    fields
}
