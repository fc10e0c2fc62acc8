//! The athlete, lists, activities and streams.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Uri};
use axum::routing::get;
use serde_json::{Value, json};

use super::{Admitted, Entry, Served, Shared, athlete_body, fault, not_found};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v3/athlete", get(athlete))
        .route("/api/v3/athlete/activities", get(list))
        .route("/api/v3/activities/{id}", get(detail))
        .route("/api/v3/activities/{id}/streams", get(streams))
}

async fn athlete(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Served {
    let Admitted { athlete, answer } = shared.admit(&uri, &headers).await?;
    Ok(answer.with(200, athlete_body(&shared.athletes[athlete]).to_string().into_bytes()))
}

/// A query as it came.
pub(super) type Words = HashMap<String, String>;

/// A number of a query; an error is the name of what is none.
pub(super) fn number<T: FromStr>(asked: &Words, name: &'static str) -> Result<Option<T>, &'static str> {
    asked.get(name).filter(|text| !text.is_empty()).map(|text| text.parse().map_err(|_| name)).transpose()
}

struct ListRequest {
    before: Option<i64>,
    after: Option<i64>,
    page: Option<usize>,
    per_page: Option<usize>,
}

impl ListRequest {
    fn of(asked: &Words) -> Result<ListRequest, &'static str> {
        Ok(ListRequest {
            before: number(asked, "before")?,
            after: number(asked, "after")?,
            page: number(asked, "page")?,
            per_page: number(asked, "per_page")?,
        })
    }
}

async fn list(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Words>,
    uri: Uri,
    headers: HeaderMap,
) -> Served {
    let Admitted { athlete, answer } = shared.admit(&uri, &headers).await?;
    let request = match ListRequest::of(&asked) {
        Ok(request) => request,
        Err(field) => return Ok(answer.with(400, fault("Bad Request", "Application", field, "invalid"))),
    };
    let mut per_page = request.per_page.unwrap_or(30).clamp(1, 200);
    if shared.config.short_pages {
        per_page = (per_page * 3).div_ceil(5);
    }
    let page = request.page.unwrap_or(1).max(1);
    if request.after.is_some_and(|after| after > shared.now_s()) {
        return Ok(answer.with(400, fault("Bad Request", "Application", "after", "future")));
    }
    let (changes, sees_private) = shared.lock().shown_to(athlete);
    let wanted = |(_, entry): &(usize, &Entry)| {
        changes.is_shown(&entry.id, sees_private)
            && request.before.is_none_or(|before| entry.start_s < before)
            && request.after.is_none_or(|after| entry.start_s > after)
    };
    let mut indexes: Vec<usize> =
        shared.history.entries(athlete).iter().enumerate().filter(wanted).map(|(index, _)| index).collect();
    if request.after.is_some() {
        indexes.reverse();
    }
    let begin = (page - 1).saturating_mul(per_page).min(indexes.len());
    let end = (begin + per_page).min(indexes.len());
    let mut body = vec![b'['];
    for index in &indexes[begin..end] {
        if body.len() > 1 {
            body.push(b',');
        }
        let id = &shared.history.entries(athlete)[*index].id;
        body.extend(changes.apply(id, shared.history.summary(athlete, *index)));
    }
    body.push(b']');
    Ok(answer.with(200, body))
}

/// Where an activity of an athlete is in their list.
pub(super) fn find(shared: &Shared, athlete: usize, id: &str) -> Option<usize> {
    let at = shared.history.entries(athlete).iter().position(|entry| entry.id == id);
    let (changes, sees_private) = shared.lock().shown_to(athlete);
    at.filter(|_| changes.is_shown(id, sees_private))
}

async fn detail(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Served {
    let Admitted { athlete, answer } = shared.admit(&uri, &headers).await?;
    Ok(match find(&shared, athlete, &id) {
        Some(index) => {
            let changes = shared.lock().changes.clone();
            answer.with(200, changes.apply(&id, shared.history.detail(athlete, index)))
        }
        None => answer.with(404, not_found()),
    })
}

async fn streams(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(asked): Query<Words>,
    uri: Uri,
    headers: HeaderMap,
) -> Served {
    let Admitted { athlete, mut answer } = shared.admit(&uri, &headers).await?;
    let index = find(&shared, athlete, &id);
    // Some answers come without rate headers.
    if index.is_some_and(|index| index % 4 == 0) {
        answer.rate = None;
    }
    Ok(match index.and_then(|index| shared.history.streams(athlete, index)) {
        Some(body) => {
            let body = shared.lock().changes.apply_to_streams(&id, body);
            answer.with(200, reduced(body, &StreamsAsked::of(asked)))
        }
        // With nothing in it, as Strava does.
        None => answer.with(404, Vec::new()),
    })
}

/// The streams that were asked for, in the shape and the resolution that were asked for.
fn reduced(body: Vec<u8>, asked: &StreamsAsked) -> Vec<u8> {
    let mut is_keyed = true;
    let all = match serde_json::from_slice(&body) {
        Ok(Value::Object(all)) => all,
        // As it comes where nobody asks for keys.
        Ok(Value::Array(list)) if asked.is_keyed() => {
            let named = |stream: Value| Some((stream["type"].as_str()?.to_string(), stream));
            is_keyed = false;
            list.into_iter().filter_map(named).collect()
        }
        _ => return body,
    };
    let keys: Option<Vec<&str>> = asked.keys.as_deref().map(|keys| keys.split(',').collect());
    let is_wanted = |name: &str| keys.as_ref().is_none_or(|keys| name == "distance" || keys.contains(&name));
    let most = match asked.resolution.as_deref() {
        Some("low") => Some(100),
        Some("medium") => Some(1_000),
        Some("high") => Some(10_000),
        _ => None,
    };
    if all.keys().all(|name| is_wanted(name)) && most.is_none() && asked.is_keyed() && is_keyed {
        return body;
    }
    let mut streams: Vec<(String, Value)> = all.into_iter().filter(|(name, _)| is_wanted(name)).collect();
    for (_, stream) in &mut streams {
        let Some(data) = stream["data"].as_array() else { continue };
        let step = most.map_or(1, |most| data.len().div_ceil(most).max(1));
        if step > 1 {
            stream["data"] = data.iter().step_by(step).cloned().collect();
            stream["resolution"] = json!(asked.resolution);
        }
    }
    let whole = if asked.is_keyed() {
        Value::Object(streams.into_iter().collect())
    } else {
        let named = streams.into_iter().map(|(name, mut stream)| {
            stream["type"] = json!(name);
            stream
        });
        named.collect()
    };
    whole.to_string().into_bytes()
}

struct StreamsAsked {
    keys: Option<String>,
    /// `true`, or `True` as Python has it.
    key_by_type: Option<String>,
    resolution: Option<String>,
}

impl StreamsAsked {
    fn of(mut asked: Words) -> StreamsAsked {
        StreamsAsked {
            keys: asked.remove("keys"),
            key_by_type: asked.remove("key_by_type"),
            resolution: asked.remove("resolution"),
        }
    }

    fn is_keyed(&self) -> bool {
        self.key_by_type.as_ref().is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_come_as_they_are_asked_for() {
        let body =
            br#"{"time":{"data":[1,2,3],"resolution":"high"},"watts":{"data":[5,6,7],"resolution":"high"}}"#;
        let asked = |keys: Option<&str>, key_by_type: Option<&str>| StreamsAsked {
            keys: keys.map(String::from),
            key_by_type: key_by_type.map(String::from),
            resolution: None,
        };
        let read = |asked: &StreamsAsked| -> Value {
            serde_json::from_slice(&reduced(body.to_vec(), asked)).unwrap()
        };
        assert_eq!(reduced(body.to_vec(), &asked(Some("time,watts"), Some("true"))), body);
        assert_eq!(read(&asked(Some("time"), Some("true"))).as_object().unwrap().len(), 1);
        assert_eq!(read(&asked(None, None))[1]["type"], "watts");
    }
}
