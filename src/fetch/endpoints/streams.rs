//! `GET /activities/{id}/streams`: the sample series of one activity, in full resolution.

use super::{Endpoint, OfActivity, whole};
use crate::fetch::walk::Depth;
use crate::store::landing::Ask;

const KEYS: &str =
    "time,distance,latlng,altitude,velocity_smooth,heartrate,cadence,watts,temp,moving,grade_smooth";

pub static ENDPOINT: Endpoint = Endpoint {
    kind: "streams",
    answers: "streams",
    depth: Depth::Streams,
    // What was typed in has no samples.
    of_activity: Some(OfActivity {
        can_be_had: |known| !known.manual,
        ask: |id, start_s| Ask::Streams { id, start_s },
    }),
    path: |ask| {
        let id = super::id(ask);
        format!("/activities/{id}/streams?keys={KEYS}&key_by_type=true")
    },
    describe: |ask| format!("the streams of activity {}", super::id(ask)),
    read: whole,
};
