//! `GET /activities/{id}/streams`: the sample series of one activity, in full resolution.

use super::{Depth, Endpoint, Row, whole};
use crate::sources::strava::{api, streams};

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
    read: whole,
    rows: |answer, from, on_row| {
        let (id, start_s) = super::activity(answer.ask).unwrap_or_default();
        let read = streams::activity_streams(answer.body, id, api::start_time(start_s), from);
        on_row(0, read.map(|(streams, faults)| Row::Streams(Box::new(streams), faults)));
    },
};
