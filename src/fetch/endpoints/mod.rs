//! What can be asked of the API: a file for each endpoint, and its line in [`ALL`].
//!
//! A file says everything about its endpoint: path, how deep a fetch has to be to want it, of which activities it is
//! owed, and what an answer tells. Nothing else in `fetch` knows one endpoint from another.

mod detail;
pub mod list;
mod streams;

use super::walk::{Depth, Known};
use crate::sources::strava::api::ListEntry;
use crate::store::landing::Ask;

/// In the order in which they are asked for: lists before details before streams.
pub static ALL: [&Endpoint; 3] = [&list::ENDPOINT, &detail::ENDPOINT, &streams::ENDPOINT];

/// Those that are asked once for each activity.
pub const OF_ACTIVITIES: usize = ALL.len() - 1;

pub struct Endpoint {
    /// As landing frames name it.
    pub kind: &'static str,
    /// What a summary calls its answers.
    pub answers: &'static str,
    /// A fetch of this depth wants it.
    pub depth: Depth,
    /// What is asked of one activity; None for the list, whose pages follow from each other.
    pub of_activity: Option<OfActivity>,
    /// Path and query of a request.
    pub path: fn(&Ask) -> String,
    /// What a request was for, for a person.
    pub describe: fn(&Ask) -> String,
    /// What an answer of status 200 tells. An error says why it tells nothing.
    pub read: fn(&[u8]) -> Result<Told, String>,
}

pub struct OfActivity {
    /// Whether an activity can have it at all.
    pub can_be_had: fn(&Known) -> bool,
    /// The request, from an id and a start in unix seconds.
    pub ask: fn(String, i64) -> Ask,
}

/// What an answer tells a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A page of the list; None stands for a record that cannot be read.
    Page(Vec<Option<ListEntry>>),
    /// What was asked of an activity is there.
    Whole,
    /// It is not there, or not yet.
    Nothing,
}

/// Where the endpoint of a request stands in [`ALL`].
pub fn index(ask: &Ask) -> usize {
    match ask {
        Ask::List { .. } => 0,
        Ask::Detail { .. } => 1,
        Ask::Streams { .. } => 2,
    }
}

/// The endpoint of a request.
pub fn of(ask: &Ask) -> &'static Endpoint {
    ALL[index(ask)]
}

/// Path and query of a request.
pub fn path(ask: &Ask) -> String {
    (of(ask).path)(ask)
}

/// The activity that a request is for, and its start in unix seconds.
pub fn activity(ask: &Ask) -> Option<(&str, i64)> {
    match ask {
        Ask::List { .. } => None,
        Ask::Detail { id, start_s } | Ask::Streams { id, start_s } => Some((id, *start_s)),
    }
}

fn id(ask: &Ask) -> &str {
    activity(ask).unwrap_or_default().0
}

/// The endpoint of activities at this place of [`ALL`], not counting the list.
pub fn of_activities(index: usize) -> (&'static Endpoint, &'static OfActivity) {
    let endpoint = ALL[index + 1];
    (endpoint, endpoint.of_activity.as_ref().expect("all but the first are of activities"))
}

/// What a landed answer tells.
pub fn read(ask: &Ask, status: u16, body: &[u8]) -> Result<Told, String> {
    if status == 200 { (of(ask).read)(body) } else { Ok(Told::Nothing) }
}

/// JSON, and whether there is anything in it: `{}` is what a fresh upload has.
fn whole(body: &[u8]) -> Result<Told, String> {
    let read = serde_json::from_slice::<serde::de::IgnoredAny>(body);
    read.map_err(|e| format!("not valid JSON: {e}"))?;
    let has_nothing = matches!(body.trim_ascii(), [b'{', inner @ .., b'}'] | [b'[', inner @ .., b']'] if inner.trim_ascii().is_empty());
    Ok(if has_nothing { Told::Nothing } else { Told::Whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_is_nothing_yet() {
        assert_eq!(whole(b" {\n} "), Ok(Told::Nothing));
        assert_eq!(whole(b"{\"id\":1}"), Ok(Told::Whole));
        assert!(whole(b"{\"id\":").is_err());
    }

    #[test]
    fn every_endpoint_stands_at_its_own_place() {
        for (at, endpoint) in ALL.iter().enumerate().skip(1) {
            let ask = (endpoint.of_activity.as_ref().unwrap().ask)("7".to_string(), 5);
            assert_eq!(index(&ask), at);
            assert_eq!(activity(&ask), Some(("7", 5)));
            assert!((endpoint.path)(&ask).starts_with("/activities/7"));
        }
    }
}
