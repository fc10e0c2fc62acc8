//! An endpoint that takes the events of Strava's webhooks. They only say that there is an activity: the pipeline asks
//! Strava for it, which takes two requests of the quota that the live pipeline lives on, and gives its runs ids of its
//! own.

use serde::Serialize;

use super::http::HttpSink;
use super::{Capabilities, Carries, Message, Opening, Pace, Place, Settings, Sink, Spec, address::url_place};
use crate::sources::Source;

pub const SPEC: Spec = Spec {
    name: "webhook",
    usage: "webhook:URL",
    capabilities: Capabilities {
        carries: Carries::IdOf(Source::Strava),
        needs_account: true,
        reaches_pipeline: true,
        remembers: true,
        pace: Pace::Requests,
        batch: 1,
        keeps_order: false,
    },
    place: url_place,
    open,
};

fn open<'a>(place: &'a Place, settings: &'a Settings) -> Opening<'a> {
    Box::pin(async { Ok(Box::new(HttpSink::new(place, body, settings)?) as Box<dyn Sink>) })
}

/// As Strava posts it.
#[derive(Serialize)]
struct WebhookEvent<'a> {
    aspect_type: &'a str,
    event_time: i64,
    object_id: u128,
    object_type: &'a str,
    owner_id: u128,
    subscription_id: u64,
    updates: serde_json::Map<String, serde_json::Value>,
}

fn body(message: &Message, settings: &Settings) -> Result<(Vec<u8>, &'static str), String> {
    let number = |id: &str| id.parse().map_err(|_| format!("{id:?} is not a number of Strava's"));
    let event = WebhookEvent {
        aspect_type: "create",
        event_time: message.start_s,
        object_id: number(&message.activity_id)?,
        object_type: "activity",
        owner_id: number(message.account_id.as_deref().unwrap_or_default())?,
        subscription_id: settings.subscription_id,
        updates: serde_json::Map::new(),
    };
    Ok((serde_json::to_vec(&event).expect("an event is plain"), "application/json"))
}
