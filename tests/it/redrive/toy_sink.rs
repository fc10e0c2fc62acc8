//! A sink of one file: what somebody writes who adds one. It is registered by its `SPEC` alone.

use std::sync::Mutex;

use longrun::redrive::sinks::{
    Address, Capabilities, Carries, Message, Opening, Outcome, Pace, Place, Sending, Settings, Sink, Spec,
};
use longrun::redrive::{self, Options};
use longrun::store::lake::Lake;

use crate::consumer::Consumer;

static SPEC: Spec = Spec {
    name: "toy",
    usage: "toy:NAME",
    capabilities: Capabilities {
        carries: Carries::Message,
        needs_account: false,
        reaches_pipeline: false,
        remembers: true,
        pace: Pace::Messages,
        batch: 7,
        keeps_order: true,
    },
    place,
    open,
};

fn place(name: &str) -> longrun::error::Result<Place> {
    Ok(Place { target: name.to_string(), shown: name.to_string(), key: name.to_string(), batch: None })
}

fn open<'a>(_: &'a Place, _: &'a Settings) -> Opening<'a> {
    Box::pin(std::future::ready(Ok(Box::new(Toy) as Box<dyn Sink>)))
}

/// What arrived, call by call.
static ARRIVED: Mutex<Vec<Vec<Message>>> = Mutex::new(Vec::new());

struct Toy;

impl Sink for Toy {
    fn send<'a>(&'a self, messages: &'a [Message]) -> Sending<'a> {
        ARRIVED.lock().unwrap().push(messages.to_vec());
        Box::pin(std::future::ready(Ok(vec![Outcome::Delivered; messages.len()])))
    }
}

#[test]
fn a_sink_is_one_file_and_gets_what_its_capabilities_say() {
    let place = crate::support::Place::crowd(3, 10);
    let mut options = Options::to(Address::new(&SPEC, "box").unwrap());
    options.per_user = std::time::Duration::ZERO;
    options.per_second = std::num::NonZeroU32::new(100_000).unwrap();
    let lake = Lake::open(&place.lake()).unwrap();
    let (driven, ended) = redrive::run(&lake, &options, &Settings::default(), &mut |_| ()).unwrap();
    ended.unwrap();
    assert_eq!((driven.delivered, driven.sink.as_str()), (30, "toy:box"));
    let calls = ARRIVED.lock().unwrap();
    assert!(calls.iter().all(|call| call.len() <= 7), "no more than it takes at once");
    assert!(calls.iter().any(|call| call.len() > 1), "several at once");
    let mut consumer = Consumer::new();
    calls.iter().flatten().for_each(|message| consumer.take(&message.bytes));
    consumer.check();
    assert_eq!(consumer.runs.len(), 30);
}
