//! What can be asked of the API: a file for each endpoint, and its line in [`ALL`].
//!
//! A file says everything about its endpoint: path, how deep a fetch has to be to want it, of which activities it is
//! owed, what an answer tells a walk, and what rows are in it. Nothing elsewhere knows one endpoint of activities from
//! another.

mod detail;
pub mod list;
mod streams;
#[cfg(test)]
mod toy;

pub use self::detail::ENDPOINT as DETAIL;
pub use self::streams::ENDPOINT as STREAMS;
use super::api::ListEntry;
use crate::model::activity::Streams;
use crate::sources::{Fault, Parsed, ReadFrom};
use crate::store::landing::Ask;

/// In the order in which they are asked for: lists before details before streams.
pub static ALL: &[&Endpoint] = &[
    &list::ENDPOINT,
    &detail::ENDPOINT,
    &streams::ENDPOINT,
    #[cfg(test)]
    &toy::ENDPOINT,
];

/// Those that are asked once for each activity.
pub const OF_ACTIVITIES: usize = ALL.len() - 1;

/// How much is fetched of every activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// The list's line: one request for 200 activities
    List,
    /// And the whole of it, with laps and efforts: one request each
    Detail,
    /// And its samples: two requests each
    Streams,
}

pub struct Endpoint {
    /// As landing frames name it.
    pub kind: &'static str,
    /// What a summary calls one of its answers, and several.
    pub answer: &'static str,
    pub answers: &'static str,
    /// A fetch of this depth wants it.
    pub depth: Depth,
    /// Whether an activity can have it; None for the list, whose pages follow from each other.
    pub of_activity: Option<fn(&About) -> bool>,
    /// Path and query of a request.
    pub path: fn(&Ask) -> String,
    /// What a request was for, for a person.
    pub describe: fn(&Ask) -> String,
    /// Whether this is the activity itself: where it is not found, the activity is gone.
    pub is_the_activity: bool,
    /// The athletes that an answer of status 200 names as those whose it is, each once.
    pub athletes: fn(&[u8]) -> Vec<String>,
    /// What an answer of status 200 tells a walk. An error says why it tells nothing.
    pub read: fn(&Ask, &[u8]) -> Result<News, String>,
    /// The rows that are in an answer of status 200.
    pub rows: fn(Answer, &ReadFrom, OnRow),
}

/// What is known of an activity before anything is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub id: &'a str,
    /// Typed in, not recorded.
    pub is_manual: bool,
}

/// What an answer tells a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A page of the list; None stands for a record that cannot be read.
    Page(Vec<Option<ListEntry>>),
    /// What was asked of an activity is there.
    Whole,
    /// There is nothing of it, or not yet.
    Nothing,
    /// The source does not find it (HTTP 404 or 410).
    NotFound,
}

/// An answer that is read for its rows.
pub struct Answer<'a> {
    pub ask: &'a Ask,
    pub body: &'a [u8],
}

/// What one place of an answer holds.
pub enum Row {
    Activity(Box<Parsed>),
    /// Samples, and what could not be read of them.
    Streams(Box<Streams>, Vec<Fault>),
}

impl Row {
    fn of(taken: Box<Parsed>) -> Row {
        Row::Activity(taken)
    }
}

/// Takes what stands at each place of an answer.
pub type OnRow<'a> = &'a mut dyn FnMut(usize, Result<Row, Fault>);

/// Where the endpoint of a request stands in [`ALL`]; None where a newer longrun asked for it.
pub fn index(ask: &Ask) -> Option<usize> {
    match ask {
        Ask::List { .. } => Some(0),
        Ask::OfActivity { kind, .. } => ALL.iter().position(|endpoint| endpoint.kind == kind),
    }
}

/// The endpoint of a request.
pub fn of(ask: &Ask) -> Option<&'static Endpoint> {
    index(ask).map(|index| ALL[index])
}

fn of_this_run(ask: &Ask) -> &'static Endpoint {
    of(ask).expect("what is asked for here has an endpoint here")
}

/// What landing frames call a request of this run.
pub fn kind(ask: &Ask) -> &'static str {
    of_this_run(ask).kind
}

/// Path and query of a request of this run.
pub fn path(ask: &Ask) -> String {
    (of_this_run(ask).path)(ask)
}

/// What a request of this run was for, for a person.
pub fn describe(ask: &Ask) -> String {
    (of_this_run(ask).describe)(ask)
}

/// What a summary calls the answers to a request of this run.
pub fn answers(ask: &Ask) -> &'static str {
    of_this_run(ask).answers
}

/// The activity that a request is for, and its start in unix seconds.
pub fn activity(ask: &Ask) -> Option<(&str, i64)> {
    match ask {
        Ask::List { .. } => None,
        Ask::OfActivity { id, start_s, .. } => Some((id, *start_s)),
    }
}

/// The activity that a request is for, and where its endpoint stands among those of activities.
pub fn place(ask: &Ask) -> Option<(usize, &str)> {
    let (id, _) = activity(ask)?;
    Some((index(ask)?.checked_sub(1)?, id))
}

/// The endpoint at this place of [`ALL`], not counting the list.
pub fn of_activities(index: usize) -> &'static Endpoint {
    ALL[index + 1]
}

impl Endpoint {
    /// Whether an activity can have what this gives.
    pub fn can_be_had(&self, about: &About) -> bool {
        self.of_activity.is_some_and(|can_be_had| can_be_had(about))
    }

    /// The request for what this gives of an activity.
    pub fn ask(&self, id: &str, start_s: i64) -> Ask {
        Ask::OfActivity { kind: self.kind.to_string(), id: id.to_string(), start_s }
    }
}

/// What a landed answer tells a walk.
pub fn read(ask: &Ask, status: u16, body: &[u8]) -> Result<News, String> {
    match of(ask) {
        Some(endpoint) if status == 200 => (endpoint.read)(ask, body),
        Some(_) => Ok(News::NotFound),
        None => Ok(News::Nothing),
    }
}

/// The athletes that an answer names as those whose it is, each once.
pub fn athletes(ask: &Ask, status: u16, body: &[u8]) -> Vec<String> {
    of(ask).filter(|_| status == 200).map_or_else(Vec::new, |endpoint| (endpoint.athletes)(body))
}

fn id(ask: &Ask) -> &str {
    activity(ask).unwrap_or_default().0
}

/// JSON, and whether there is anything in it.
fn whole(_: &Ask, body: &[u8]) -> Result<News, String> {
    let read = serde_json::from_slice::<serde::de::IgnoredAny>(body);
    read.map_err(|e| format!("not valid JSON: {e}"))?;
    Ok(if is_empty(body) { News::Nothing } else { News::Whole })
}

/// `{}` is what a fresh upload has.
fn is_empty(body: &[u8]) -> bool {
    matches!(body.trim_ascii(), [b'{', inner @ .., b'}'] | [b'[', inner @ .., b']'] if inner.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_is_nothing_yet() {
        let ask = STREAMS.ask("1", 5);
        assert_eq!(whole(&ask, b" {\n} "), Ok(News::Nothing));
        assert_eq!(whole(&ask, b"{\"id\":1}"), Ok(News::Whole));
        assert!(whole(&ask, b"{\"id\":").is_err());
    }

    #[test]
    fn an_activity_is_the_one_that_was_asked_for() {
        let ask = DETAIL.ask("7", 5);
        assert_eq!(read(&ask, 200, br#"{"id":7}"#), Ok(News::Whole));
        assert_eq!(read(&ask, 200, b"{}"), Ok(News::Nothing));
        for (body, why) in [
            (
                r#"{"id":8,"name":"Walk","sport_type":"Walk","start_date":"2024-05-01T06:00:00Z"}"#,
                "asked for activity 7, answered with activity 8",
            ),
            (r#"{"message":"welcome"}"#, "does not say of which activity"),
        ] {
            let reason = read(&ask, 200, body.as_bytes()).unwrap_err();
            assert!(reason.contains(why), "{reason}");
            let mut faults = Vec::new();
            let from = ReadFrom {
                user_id: "u".to_string(),
                source: crate::sources::Source::Strava,
                account_id: None,
                fetched_at: jiff::Timestamp::UNIX_EPOCH,
                raw_ref: "r".to_string(),
                zone: None,
                only_counts: false,
            };
            (DETAIL.rows)(Answer { ask: &ask, body: body.as_bytes() }, &from, &mut |_, row| {
                faults.extend(row.err());
            });
            assert_eq!(faults.len(), 1, "{body} gives no row");
        }
    }

    #[test]
    fn every_endpoint_stands_at_its_own_place() {
        for (at, endpoint) in ALL.iter().enumerate().skip(1) {
            let ask = endpoint.ask("7", 5);
            assert_eq!(index(&ask), Some(at));
            assert_eq!(activity(&ask), Some(("7", 5)));
            assert!((endpoint.path)(&ask).starts_with("/activities/7"));
        }
    }

    #[test]
    fn frames_say_what_was_asked_as_they_always_did() {
        let list = r#"{"kind":"list","scan":1,"until_s":null,"before_s":9,"page":2}"#;
        for json in [list, r#"{"kind":"detail","id":"7","start_s":5}"#] {
            let ask: Ask = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&ask).unwrap(), json);
        }
    }

    #[test]
    fn what_a_newer_longrun_asked_for_tells_nothing_here() {
        let ask: Ask = serde_json::from_str(r#"{"kind":"aurora","id":"7","start_s":5}"#).unwrap();
        assert_eq!((index(&ask), read(&ask, 200, b"{")), (None, Ok(News::Nothing)));
    }
}
