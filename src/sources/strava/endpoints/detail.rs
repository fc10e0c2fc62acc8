//! `GET /activities/{id}`: the whole of one activity, with laps and segment efforts.

use super::{Depth, Endpoint, News, Row, is_empty};
use crate::sources::Fault;
use crate::sources::strava::api;
use crate::store::landing::Ask;

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
    read,
    rows: |answer, from, on_row| {
        let asked = super::id(answer.ask);
        let taken = api::activity_detail(answer.body, from).and_then(|taken| {
            let is_it = is_the_asked(asked, &taken.activity.source_id);
            is_it.map(|()| Row::of(taken)).map_err(Fault::record)
        });
        on_row(0, taken.map_err(|fault| fault.or_of(asked)));
    },
};

fn read(ask: &Ask, body: &[u8]) -> Result<News, String> {
    if is_empty(body) {
        return Ok(News::Nothing);
    }
    let id = api::id_of_detail(body)?.ok_or("the answer does not say of which activity it is")?;
    is_the_asked(super::id(ask), &id)?;
    Ok(News::Whole)
}

/// An answer about another activity, such as a proxy's that mixed two up, is no answer to what was asked.
fn is_the_asked(asked: &str, answered: &str) -> Result<(), String> {
    if asked == answered {
        return Ok(());
    }
    Err(format!("asked for activity {asked}, answered with activity {answered}"))
}
