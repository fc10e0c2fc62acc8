//! `GET /activities/{id}/streams`: the sample series of one activity, in full resolution.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Depth, Endpoint, News, Row, whole};
use crate::sources::strava::{api, streams};
use crate::store::landing::Ask;

const KEYS: &str =
    "time,distance,latlng,altitude,velocity_smooth,heartrate,cadence,watts,temp,moving,grade_smooth";

pub static ENDPOINT: Endpoint = Endpoint {
    kind: "streams",
    answer: "set of streams",
    answers: "streams",
    depth: Depth::Streams,
    // What was typed in has no samples.
    of_activity: Some(|about| !about.is_manual),
    path: |ask| {
        let id = super::id(ask);
        format!("/activities/{id}/streams?keys={KEYS}&key_by_type=true")
    },
    describe: |ask| format!("the streams of activity {}", super::id(ask)),
    is_the_activity: false,
    athletes: |_| Vec::new(),
    read,
    rows: |answer, from, on_row| {
        let (id, start_s) = super::activity(answer.ask).unwrap_or_default();
        let read = streams::activity_streams(answer.body, id, api::start_time(start_s), from);
        on_row(0, read.map(|(streams, faults)| Row::Streams(Box::new(streams), faults)));
    },
};

/// A set of streams has one with samples, by its name or in a list. Other JSON, such as a proxy's excuse, is no answer.
fn read(ask: &Ask, body: &[u8]) -> Result<News, String> {
    #[derive(Deserialize)]
    struct Stream {
        #[serde(rename = "data")]
        _data: IgnoredAny,
    }
    if whole(ask, body)? == News::Nothing {
        return Ok(News::Nothing);
    }
    let streams: Vec<&RawValue> = match body.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice(body).unwrap_or_default(),
        _ => serde_json::from_slice::<BTreeMap<Cow<str>, &RawValue>>(body)
            .unwrap_or_default()
            .into_values()
            .collect(),
    };
    let is_stream = |raw: &&RawValue| serde_json::from_str::<Stream>(raw.get()).is_ok();
    if streams.iter().any(is_stream) { Ok(News::Whole) } else { Err("it is no set of streams".to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_samples_is_a_set_of_streams() {
        let read = |body: &str| read(&ENDPOINT.ask("7", 5), body.as_bytes());
        for body in
            [r#"{"time":{"data":[1]}}"#, r#"[{"type":"time","data":[1]}]"#, r#"{"new":1,"time":{"data":[]}}"#]
        {
            assert_eq!(read(body), Ok(News::Whole), "{body}");
        }
        for body in ["{}", "[ ]"] {
            assert_eq!(read(body), Ok(News::Nothing), "{body}");
        }
        for body in
            ["null", "7", r#"{"message":"busy","errors":[]}"#, r#"["busy"]"#, r#"{"time":{"type":"time"}}"#]
        {
            assert!(read(body).is_err(), "{body}");
        }
    }
}
