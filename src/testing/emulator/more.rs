//! What other clients ask for besides lists, details and streams: made from an activity's detail, in Strava's shapes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Uri};
use axum::routing::{MethodRouter, get};
use serde_json::{Value, json};

use super::activities::{Words, find, number};
use super::{Admitted, Served, Shared, fault, not_found};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v3/activities/{id}/laps", get(laps))
        .route("/api/v3/activities/{id}/zones", get(zones))
        .route("/api/v3/activities/{id}/kudos", paged("kudos_count", kudo))
        .route("/api/v3/activities/{id}/comments", paged("comment_count", comment))
        .route("/api/v3/activities/{id}/photos", paged("total_photo_count", photo))
        .route("/api/v3/athletes/{id}/stats", get(stats))
        .route("/api/v3/gear/{id}", get(gear))
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

/// A page of what other athletes left on an activity: as many as `count` says in its detail, up to 30, on the first
/// page, and nothing on those behind it.
fn paged(count: &'static str, make: fn(&Value, u64) -> Value) -> MethodRouter<Arc<Shared>> {
    get(
        async move |State(shared): Shares,
                    Path(id): Path<String>,
                    Query(asked): Query<Words>,
                    uri: Uri,
                    headers: HeaderMap| {
            let is_behind = asked.contains_key("after_cursor")
                || number::<u64>(&asked, "page").is_ok_and(|page| page.is_some_and(|page| page > 1));
            let page_of = |detail: &Value| {
                let many = detail[count].as_u64().filter(|_| !is_behind).unwrap_or(0).min(30);
                Value::Array((0..many).map(|n| make(detail, n)).collect())
            };
            of_activity(&shared, &id, &uri, &headers, page_of).await
        },
    )
}

fn kudo(_: &Value, n: u64) -> Value {
    json!({"resource_state": 2, "firstname": format!("Friend {n}"), "lastname": "E."})
}

fn comment(detail: &Value, n: u64) -> Value {
    json!({
        "id": n + 1, "activity_id": detail["id"], "post_id": null, "resource_state": 2,
        "text": format!("Well done {n}"), "mentions_metadata": null, "created_at": detail["start_date"],
        "athlete": {"resource_state": 2, "firstname": "Friend", "lastname": "E."}, "cursor": format!("cursor-{n}"),
    })
}

fn photo(detail: &Value, n: u64) -> Value {
    json!({
        "unique_id": format!("photo-{n}"), "activity_id": detail["id"], "athlete_id": 1, "resource_state": 2,
        "caption": "", "type": 1, "source": 1, "created_at": detail["start_date"],
        "created_at_local": detail["start_date_local"], "uploaded_at": detail["start_date"],
        "urls": {"0": "https://example.com/0.jpg"}, "sizes": {"0": [10, 10]}, "default_photo": n == 0,
    })
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
