//! `GET /activities/{id}`: the whole of one activity, with laps and segment efforts.

use super::{Depth, Endpoint, Row, whole};
use crate::sources::strava::api;

pub static ENDPOINT: Endpoint = Endpoint {
    kind: "detail",
    answer: "detail",
    answers: "details",
    depth: Depth::Detail,
    of_activity: Some(|_| true),
    path: |ask| format!("/activities/{}?include_all_efforts=true", super::id(ask)),
    describe: |ask| format!("activity {}", super::id(ask)),
    is_the_activity: true,
    athletes: api::athlete_of_detail,
    read: whole,
    rows: |answer, from, on_row| {
        let taken = api::activity_detail(answer.body, from);
        on_row(0, taken.map(Row::of).map_err(|fault| fault.or_of(super::id(answer.ask))));
    },
};
