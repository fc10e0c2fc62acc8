//! Serves a folder of recorded bodies, to the byte but for the athlete's number, which is that of the account.
//!
//! Every JSON file below the folder that holds an activity, or a list of them, becomes the
//! history of one athlete, named after the file. Bodies of streams do not say whose they are:
//! in the order of their names they go to the recorded activities, whole ones that were not
//! typed in first. Other
//! files are left alone.

use std::path::{Path, PathBuf};

use serde_json::Value;
use serde_json::value::RawValue;

use super::{Athlete, Entry, History};
use crate::error::{Error, Result};
use crate::store::local;

pub struct Recorded {
    athletes: Vec<(Athlete, Vec<Entry>, Vec<Body>)>,
    /// Files that hold nothing to serve.
    pub skipped: Vec<PathBuf>,
}

struct Body {
    activity: Vec<u8>,
    streams: Option<Vec<u8>>,
    is_recorded: bool,
}

impl Recorded {
    pub fn open(folder: &Path) -> Result<Recorded> {
        let mut recorded = Recorded { athletes: Vec::new(), skipped: Vec::new() };
        let mut streams = Vec::new();
        for path in local::below(folder, "json")? {
            let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
            let activities = activities(&bytes);
            if !activities.is_empty() {
                let name = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
                let user_id = name.to_string_lossy().replace(['/', '\\'], "-");
                recorded.add(user_id, activities);
            } else if is_streams(&bytes) {
                streams.push(bytes);
            } else {
                recorded.skipped.push(path);
            }
        }
        if recorded.athletes.is_empty() {
            return Err(Error::Usage(format!("{} holds no recorded activity", folder.display())));
        }
        let bodies = recorded.athletes.iter_mut().flat_map(|(_, _, bodies)| bodies);
        let (whole, rest): (Vec<_>, Vec<_>) = bodies.partition(|body| body.is_recorded);
        for (body, streams) in whole.into_iter().chain(rest).zip(streams) {
            body.streams = Some(streams);
        }
        Ok(recorded)
    }

    fn add(&mut self, user_id: String, mut activities: Vec<(Entry, Vec<u8>, bool)>) {
        activities.sort_by_key(|(entry, ..)| std::cmp::Reverse(entry.start_s));
        let athlete = Athlete { id: 1 + self.athletes.len() as u64, user_id };
        let (entries, bodies) = activities
            .into_iter()
            .map(|(entry, activity, is_recorded)| {
                let activity = with_athlete(activity, athlete.id);
                (entry, Body { activity, streams: None, is_recorded })
            })
            .unzip();
        self.athletes.push((athlete, entries, bodies));
    }
}

/// The same activity as another athlete's.
fn with_athlete(activity: Vec<u8>, number: u64) -> Vec<u8> {
    #[derive(serde::Deserialize)]
    struct Owned<'a> {
        #[serde(borrow)]
        athlete: Numbered<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Numbered<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    let Ok(Owned { athlete }) = serde_json::from_slice::<Owned>(&activity) else { return activity };
    let told = athlete.id.get();
    let at = told.as_ptr() as usize - activity.as_ptr() as usize;
    [&activity[..at], number.to_string().as_bytes(), &activity[at + told.len()..]].concat()
}

/// The activities of a body, each with its bytes and whether it is a whole, recorded one.
fn activities(bytes: &[u8]) -> Vec<(Entry, Vec<u8>, bool)> {
    let list: Vec<&RawValue> = match serde_json::from_slice::<Vec<&RawValue>>(bytes) {
        Ok(list) => list,
        Err(_) => serde_json::from_slice::<&RawValue>(bytes).into_iter().collect(),
    };
    list.into_iter().filter_map(|raw| activity(raw.get())).collect()
}

fn activity(text: &str) -> Option<(Entry, Vec<u8>, bool)> {
    #[derive(serde::Deserialize)]
    struct Shape<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
        start_date: jiff::Timestamp,
        r#type: Option<serde::de::IgnoredAny>,
        sport_type: Option<serde::de::IgnoredAny>,
        resource_state: Option<i64>,
        manual: Option<bool>,
    }
    let shape: Shape = serde_json::from_str(text).ok()?;
    // Laps and efforts have an id and a start, too, but no sport.
    shape.r#type.or(shape.sport_type)?;
    let entry = Entry { id: shape.id.get().to_string(), start_s: shape.start_date.as_second() };
    Some((entry, text.as_bytes().to_vec(), shape.resource_state == Some(3) && shape.manual != Some(true)))
}

fn is_streams(bytes: &[u8]) -> bool {
    let has_data = |value: &Value| value.get("data").is_some_and(Value::is_array);
    match serde_json::from_slice(bytes) {
        Ok(Value::Array(list)) => {
            !list.is_empty() && list.iter().all(|v| has_data(v) && v.get("type").is_some())
        }
        Ok(Value::Object(object)) => !object.is_empty() && object.values().all(has_data),
        _ => false,
    }
}

impl History for Recorded {
    fn athletes(&self) -> Vec<Athlete> {
        self.athletes.iter().map(|(athlete, _, _)| athlete.clone()).collect()
    }

    fn entries(&self, athlete: usize) -> &[Entry] {
        &self.athletes[athlete].1
    }

    fn summary(&self, athlete: usize, index: usize) -> Vec<u8> {
        self.detail(athlete, index)
    }

    fn detail(&self, athlete: usize, index: usize) -> Vec<u8> {
        self.athletes[athlete].2[index].activity.clone()
    }

    fn streams(&self, athlete: usize, index: usize) -> Option<Vec<u8>> {
        self.athletes[athlete].2[index].streams.clone()
    }
}
