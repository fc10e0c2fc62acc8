//! What other clients ask for besides lists, details and streams: made from an activity's detail, in Strava's shapes.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response, Uri, header};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admitted, Answer, Served, Shared, fault, find, not_found};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v3/activities/{id}/laps", get(laps))
        .route("/api/v3/activities/{id}/zones", get(zones))
        .route("/api/v3/activities/{id}/kudos", get(kudos))
        .route("/api/v3/activities/{id}/comments", get(comments))
        .route("/api/v3/activities/{id}/photos", get(photos))
        .route("/api/v3/athletes/{id}/stats", get(stats))
        .route("/api/v3/gear/{id}", get(gear))
        .route("/oauth/deauthorize", post(deauthorize))
        .route("/api/v3/oauth/deauthorize", post(deauthorize))
        .route("/oauth/revoke", post(revoke))
}

/// Answers with what is made from an activity's detail.
async fn of_activity(
    shared: &Shared,
    id: &str,
    uri: &Uri,
    headers: &HeaderMap,
    make: impl FnOnce(&Value) -> Value,
) -> Served {
    let Admitted { athlete, answer } = shared.admit(uri, headers).await?;
    let Some(index) = find(shared, athlete, id) else { return Ok(answer.with(404, not_found())) };
    let detail = serde_json::from_slice(&shared.history.detail(athlete, index)).unwrap_or_default();
    Ok(answer.with(200, make(&detail).to_string().into_bytes()))
}

type Shares = State<Arc<Shared>>;

async fn laps(State(shared): Shares, Path(id): Path<String>, uri: Uri, headers: HeaderMap) -> Served {
    of_activity(&shared, &id, &uri, &headers, |detail| match &detail["laps"] {
        Value::Array(laps) => Value::Array(laps.clone()),
        _ => json!([]),
    })
    .await
}

async fn zones(State(shared): Shares, Path(id): Path<String>, uri: Uri, headers: HeaderMap) -> Served {
    of_activity(&shared, &id, &uri, &headers, |detail| {
        if detail["has_heartrate"] != true && detail["average_heartrate"].is_null() {
            return json!([]);
        }
        let seconds = detail["moving_time"].as_i64().unwrap_or(0);
        let bucket = |min: i64, max: i64, share: i64| json!({"min": min, "max": max, "time": seconds * share / 10});
        json!([{
            "type": "heartrate", "resource_state": 3, "sensor_based": true, "points": 0, "custom_zones": false,
            "distribution_buckets": [
                bucket(0, 115, 2), bucket(115, 152, 4), bucket(152, 171, 3), bucket(171, 190, 1), bucket(190, -1, 0)
            ],
        }])
    })
    .await
}

/// Up to 30 of as many as a count says.
fn some(detail: &Value, count: &str, make: impl Fn(u64) -> Value) -> Value {
    let many = detail[count].as_u64().unwrap_or(0).min(30);
    Value::Array((0..many).map(make).collect())
}

async fn kudos(
    State(shared): Shares,
    Path(id): Path<String>,
    Query(page): Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Served {
    of_activity(&shared, &id, &uri, &headers, |detail| {
        if page.is_behind_the_first() {
            return json!([]);
        }
        some(
            detail,
            "kudos_count",
            |n| json!({"resource_state": 2, "firstname": format!("Friend {n}"), "lastname": "E."}),
        )
    })
    .await
}

#[derive(Deserialize)]
struct Page {
    page: Option<u64>,
    after_cursor: Option<String>,
}

impl Page {
    fn is_behind_the_first(&self) -> bool {
        self.page.is_some_and(|page| page > 1) || self.after_cursor.is_some()
    }
}

async fn comments(
    State(shared): Shares,
    Path(id): Path<String>,
    Query(page): Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Served {
    of_activity(&shared, &id, &uri, &headers, |detail| {
        if page.is_behind_the_first() {
            return json!([]);
        }
        some(detail, "comment_count", |n| {
            json!({
                "id": n + 1, "activity_id": detail["id"], "post_id": null, "resource_state": 2,
                "text": format!("Well done {n}"), "mentions_metadata": null, "created_at": detail["start_date"],
                "athlete": {"resource_state": 2, "firstname": "Friend", "lastname": "E."},
                "cursor": format!("cursor-{n}"),
            })
        })
    })
    .await
}

async fn photos(
    State(shared): Shares,
    Path(id): Path<String>,
    Query(page): Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Served {
    of_activity(&shared, &id, &uri, &headers, |detail| {
        if page.is_behind_the_first() {
            return json!([]);
        }
        some(detail, "total_photo_count", |n| {
            json!({
                "unique_id": format!("photo-{n}"), "activity_id": detail["id"], "athlete_id": 1, "resource_state": 2,
                "caption": "", "type": 1, "source": 1, "created_at": detail["start_date"],
                "created_at_local": detail["start_date_local"], "uploaded_at": detail["start_date"],
                "urls": {"0": "https://example.com/0.jpg"}, "sizes": {"0": [10, 10]}, "default_photo": n == 0,
            })
        })
    })
    .await
}

async fn stats(State(shared): Shares, Path(id): Path<String>, uri: Uri, headers: HeaderMap) -> Served {
    let Admitted { athlete, answer } = shared.admit(&uri, &headers).await?;
    if id != shared.athletes[athlete].id.to_string() {
        return Ok(answer.with(403, fault("Forbidden", "Athlete", "id", "invalid")));
    }
    let mut stats = serde_json::Map::new();
    for sport in ["ride", "run", "swim"] {
        let (mut count, mut distance, mut moving, mut elapsed, mut climb) = (0, 0.0, 0, 0, 0.0);
        for index in 0..shared.history.entries(athlete).len() {
            let summary: Value =
                serde_json::from_slice(&shared.history.summary(athlete, index)).unwrap_or_default();
            let is_it = summary["type"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(sport));
            if is_it {
                count += 1;
                distance += summary["distance"].as_f64().unwrap_or(0.0);
                moving += summary["moving_time"].as_i64().unwrap_or(0);
                elapsed += summary["elapsed_time"].as_i64().unwrap_or(0);
                climb += summary["total_elevation_gain"].as_f64().unwrap_or(0.0);
            }
        }
        let total = json!({
            "count": count, "distance": distance, "moving_time": moving, "elapsed_time": elapsed,
            "elevation_gain": climb,
        });
        for span in ["recent", "ytd", "all"] {
            stats.insert(format!("{span}_{sport}_totals"), total.clone());
        }
    }
    Ok(answer.with(200, Value::Object(stats).to_string().into_bytes()))
}

async fn gear(State(shared): Shares, Path(id): Path<String>, uri: Uri, headers: HeaderMap) -> Served {
    let Admitted { answer, .. } = shared.admit(&uri, &headers).await?;
    if !id.starts_with(['b', 'g']) {
        return Ok(answer.with(404, fault("Record Not Found", "Gear", "id", "not found")));
    }
    let gear = json!({
        "id": id, "primary": false, "name": format!("Gear {id}"), "nickname": null, "resource_state": 3,
        "retired": false, "distance": 1_000, "converted_distance": 1.0, "brand_name": "Emulated",
        "model_name": "One", "description": "",
    });
    Ok(answer.with(200, gear.to_string().into_bytes()))
}

/// A field of a form.
fn field(form: &str, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(&format!("http://form/?{form}")).ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The old way: the access token that ends, in the header or the form.
async fn deauthorize(State(shared): Shares, headers: HeaderMap, form: String) -> Response<Body> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).map(String::from);
    let token = bearer.or_else(|| field(&form, "access_token")).unwrap_or_default();
    let is_known = shared.lock().revoke(&token);
    plain(&shared, if is_known { 200 } else { 401 }, json!({"access_token": token}).to_string())
}

/// The new way: the application names itself, and a token in the form.
async fn revoke(State(shared): Shares, headers: HeaderMap, form: String) -> Response<Body> {
    let config = &shared.config;
    let expected =
        format!("Basic {}", BASE64.encode(format!("{}:{}", config.client_id, config.client_secret)));
    let is_app =
        headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == expected.as_bytes());
    if is_app {
        shared.lock().revoke(&field(&form, "token").unwrap_or_default());
    }
    plain(&shared, if is_app { 200 } else { 401 }, String::new())
}

/// Without rate headers, as all of the token endpoint.
fn plain(shared: &Shared, status: u16, body: String) -> Response<Body> {
    let answer = Answer { date_s: shared.now_s(), rate: None, headers: Vec::new() };
    answer.with(status, body.into_bytes())
}

/// The streams that were asked for, in the shape and the resolution that were asked for.
pub fn reduced(body: Vec<u8>, asked: &StreamsAsked) -> Vec<u8> {
    let all = match serde_json::from_slice(&body) {
        Ok(Value::Object(all)) => all,
        // As it comes where nobody asks for keys.
        Ok(Value::Array(list)) if asked.is_keyed() => {
            let named = |stream: Value| Some((stream["type"].as_str()?.to_string(), stream));
            let keyed: serde_json::Map<String, Value> = list.into_iter().filter_map(named).collect();
            return Value::Object(keyed).to_string().into_bytes();
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
    if all.keys().all(|name| is_wanted(name)) && most.is_none() && asked.is_keyed() {
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

#[derive(Debug, Default, Deserialize)]
pub struct StreamsAsked {
    keys: Option<String>,
    /// `true`, or `True` as Python has it.
    key_by_type: Option<String>,
    resolution: Option<String>,
}

impl StreamsAsked {
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
