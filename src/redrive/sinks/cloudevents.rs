//! An endpoint that takes structured-mode CloudEvents, one in each request; or, where its address says that it takes
//! them (`#batch=100`), batches of them, in the batched mode of the HTTP binding (§3.3). That asks for batches only
//! where the receiver wants them and chooses how long they may be, so it is part of the address.
//!
//! An answer is for the whole batch. One that is refused goes again in halves, until what is wrong with it is alone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::http::{Answer, HttpSink};
use super::{
    Capabilities, Carries, Message, Opening, Outcome, Pace, Place, Sending, Settings, Sink, Spec, url_place,
};
use crate::error::{Error, Result};

pub const SPEC: Spec = Spec {
    name: "cloudevents",
    usage: "cloudevents:URL[#batch=N]",
    capabilities: Capabilities {
        carries: Carries::Message,
        needs_account: false,
        reaches_pipeline: true,
        remembers: true,
        pace: Pace::Messages,
        batch: 1,
        keeps_order: false,
    },
    place,
    open,
};

const ONE: &str = "application/cloudevents+json; charset=UTF-8";
const BATCH: &str = "application/cloudevents-batch+json; charset=UTF-8";

/// Where `#batch` says no number.
const USUAL_BATCH: usize = 100;
const LONGEST_BATCH: usize = 1024;
/// Of a batch of more than one message.
const MOST_BATCH_BYTES: usize = 8 << 20;
/// Requests at a time, where an endpoint turns out to take no batches.
const AT_A_TIME: usize = 16;

/// What stands behind `#` never goes over the wire.
fn place(text: &str) -> Result<Place> {
    let (url, options) = text.split_once('#').unwrap_or((text, ""));
    let batch = match options.split_once('=').unwrap_or((options, "")) {
        ("", "") => None,
        ("batch", "") => Some(USUAL_BATCH),
        ("batch", number) => number.parse().ok().filter(|number| (1..=LONGEST_BATCH).contains(number)),
        _ => Some(0),
    };
    if batch == Some(0) || (batch.is_none() && !options.is_empty()) {
        return Err(Error::Usage(format!(
            "behind `#` a cloudevents address takes batch=N only, with N from 1 to {LONGEST_BATCH}: the events that the \
             endpoint takes in one request"
        )));
    }
    Ok(Place { batch, ..url_place(url)? })
}

fn open<'a>(place: &'a Place, settings: &'a Settings) -> Opening<'a> {
    Box::pin(async {
        let http = HttpSink::new(place, one, settings)?;
        Ok(match place.batch {
            None | Some(1) => Box::new(http) as Box<dyn Sink>,
            Some(_) => Box::new(BatchSink { http: Arc::new(http), takes_batches: AtomicBool::new(true) }),
        })
    })
}

fn one(message: &Message, _: &Settings) -> Result<(Vec<u8>, &'static str), String> {
    Ok((message.bytes.clone(), ONE))
}

/// A JSON array of events.
fn array(messages: &[Message]) -> Vec<u8> {
    let bytes = messages.iter().map(|message| message.bytes.len() + 1).sum::<usize>();
    let mut array = Vec::with_capacity(bytes + 1);
    for message in messages {
        array.push(if array.is_empty() { b'[' } else { b',' });
        array.extend_from_slice(&message.bytes);
    }
    array.push(b']');
    array
}

/// How many of the first messages fit into a batch: one at least.
fn fitting(messages: &[Message]) -> usize {
    let mut bytes = 0;
    let fit = messages.iter().take_while(|message| {
        bytes += message.bytes.len() + 1;
        bytes <= MOST_BATCH_BYTES
    });
    fit.count().max(1)
}

struct BatchSink {
    http: Arc<HttpSink>,
    /// Until the endpoint says that it does not.
    takes_batches: AtomicBool,
}

impl BatchSink {
    async fn send_all(&self, messages: &[Message]) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut parts = VecDeque::new();
        let mut rest = messages;
        while !rest.is_empty() {
            let (part, others) = rest.split_at(fitting(rest));
            parts.push_back(part);
            rest = others;
        }
        // Always the part that is first in order, so that the outcomes come in order, too.
        while let Some(part) = parts.pop_front() {
            if part.len() == 1 || !self.takes_batches.load(Ordering::Relaxed) {
                outcomes.extend(self.send_each(part).await?);
                continue;
            }
            let Answer { status, outcome } = self.http.post(array(part), BATCH).await?;
            match (status, outcome) {
                // It has looked no further than at the media type.
                (Some(415), _) => {
                    self.takes_batches.store(false, Ordering::Relaxed);
                    parts.push_front(part);
                }
                // A part of it was taken (207), or none.
                (Some(207), _) | (_, Outcome::Rejected(_)) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push_front(second);
                    parts.push_front(first);
                }
                (_, outcome) => outcomes.extend(std::iter::repeat_n(outcome, part.len())),
            }
        }
        Ok(outcomes)
    }

    /// Each in a request of its own.
    async fn send_each(&self, messages: &[Message]) -> Result<Vec<Outcome>> {
        let mut outcomes = vec![Outcome::unknown("it was not sent"); messages.len()];
        for (group, messages) in messages.chunks(AT_A_TIME).enumerate() {
            let mut sends = JoinSet::new();
            for (at, message) in messages.iter().cloned().enumerate() {
                let http = self.http.clone();
                sends.spawn(async move { (group * AT_A_TIME + at, http.send_one(&message).await) });
            }
            while let Some(sent) = sends.join_next().await {
                let (at, outcome) = sent.map_err(|e| Error::Remote(format!("a send was cut off: {e}")))?;
                outcomes[at] = outcome?;
            }
        }
        Ok(outcomes)
    }
}

impl Sink for BatchSink {
    fn send<'a>(&'a self, messages: &'a [Message]) -> Sending<'a> {
        Box::pin(self.send_all(messages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_long_batches_may_be() {
        let batch = |text: &str| place(text).map(|place| place.batch).map_err(|e| e.to_string());
        assert_eq!(batch("https://example.org/in"), Ok(None));
        assert_eq!(batch("https://example.org/in#batch"), Ok(Some(100)));
        assert_eq!(batch("https://example.org/in?k=v#batch=7"), Ok(Some(7)));
        for wrong in ["batch=0", "batch=5000", "batch=many", "bulk", "s3cret=1"] {
            let error = batch(&format!("https://example.org/in#{wrong}")).unwrap_err();
            assert!(error.contains("takes batch=N only") && !error.contains("s3cret"), "{error}");
        }
        let (plain, batched) = (place("https://example.org/in"), place("https://example.org/in#batch=7"));
        assert_eq!(plain.unwrap().key, batched.unwrap().key, "what was delivered stays delivered");
    }
}
