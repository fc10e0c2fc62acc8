//! `GET /activities/{id}`: the whole of one activity, with laps and segment efforts.

use super::{Endpoint, OfActivity, whole};
use crate::fetch::walk::Depth;
use crate::store::landing::Ask;

pub static ENDPOINT: Endpoint = Endpoint {
    kind: "detail",
    answers: "details",
    depth: Depth::Detail,
    of_activity: Some(OfActivity { can_be_had: |_| true, ask: |id, start_s| Ask::Detail { id, start_s } }),
    path: |ask| format!("/activities/{}?include_all_efforts=true", super::id(ask)),
    describe: |ask| format!("activity {}", super::id(ask)),
    read: whole,
};
