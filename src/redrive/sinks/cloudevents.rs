//! An endpoint that takes structured-mode CloudEvents, one in each request.

use super::http::HttpSink;
use super::{Capabilities, Carries, Message, Opening, Pace, Place, Settings, Sink, Spec, address::url_place};

pub const SPEC: Spec = Spec {
    name: "cloudevents",
    usage: "cloudevents:URL",
    capabilities: Capabilities {
        carries: Carries::Message,
        needs_account: false,
        reaches_pipeline: true,
        remembers: true,
        pace: Pace::Messages,
        batch: 1,
        keeps_order: false,
    },
    place: url_place,
    open,
};

fn open<'a>(place: &'a Place, settings: &'a Settings) -> Opening<'a> {
    Box::pin(async { Ok(Box::new(HttpSink::new(place, body, settings)?) as Box<dyn Sink>) })
}

fn body(message: &Message, _: &Settings) -> Result<(Vec<u8>, &'static str), String> {
    Ok((message.bytes.clone(), "application/cloudevents+json; charset=UTF-8"))
}
