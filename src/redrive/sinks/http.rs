//! Endpoints of HTTP: structured-mode CloudEvents, or the events that Strava's webhooks send.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Response, Url};
use serde::Serialize;

use super::{Message, Outcome, Sending, Sink};
use crate::error::{Error, Result};
use crate::http::{self, chain, shown};
use crate::model::secret::Secret;

/// What is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The message itself.
    CloudEvent,
    /// Only that there is an activity: the pipeline asks Strava for it, which takes two reads of the quota, and gives
    /// its run an id of its own.
    Webhook { subscription_id: u64 },
}

/// Bytes of an answer that are read for its words.
const MOST_ANSWER_BYTES: usize = 64 << 10;
const LONGEST_RETRY_AFTER_S: u64 = 300;

pub struct HttpSink {
    client: reqwest::Client,
    url: Url,
    shape: Shape,
    bearer: Option<HeaderValue>,
    /// What an endpoint may repeat in its answers, and nobody must read.
    secrets: Vec<String>,
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

impl HttpSink {
    pub fn new(url: &Url, shape: Shape, token: Option<Secret>, timeout: Duration) -> Result<HttpSink> {
        let mut secrets: Vec<String> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        secrets.extend(url.query().map(str::to_string));
        secrets.extend(
            url.query()
                .into_iter()
                .flat_map(|q| q.split('&'))
                .filter_map(|pair| Some(pair.split_once('=')?.1.to_string())),
        );
        secrets.extend(token.as_ref().map(|token| token.expose().to_string()));
        secrets.retain(|secret| !secret.is_empty());
        // The longest first, so that none is left in pieces.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let bearer = match token {
            Some(token) => {
                let mut bearer =
                    HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| {
                        Error::Usage("LONGRUN_SINK_TOKEN has characters that no header can carry".to_string())
                    })?;
                bearer.set_sensitive(true);
                Some(bearer)
            }
            None => None,
        };
        let client = http::client(std::slice::from_ref(url), timeout)?;
        Ok(HttpSink { client, url: url.clone(), shape, bearer, secrets })
    }

    /// What is posted for a message, or why it cannot be.
    fn body(&self, message: &Message) -> std::result::Result<(Vec<u8>, &'static str), String> {
        let Shape::Webhook { subscription_id } = self.shape else {
            return Ok((message.bytes.clone(), "application/cloudevents+json; charset=UTF-8"));
        };
        let number = |id: &str| id.parse().map_err(|_| format!("{id:?} is no number of Strava's"));
        let event = WebhookEvent {
            aspect_type: "create",
            event_time: message.start_s,
            object_id: number(&message.activity_id)?,
            object_type: "activity",
            owner_id: number(message.account_id.as_deref().unwrap_or_default())?,
            subscription_id,
            updates: serde_json::Map::new(),
        };
        Ok((serde_json::to_vec(&event).expect("an event is plain"), "application/json"))
    }

    async fn post(&self, message: &Message) -> Result<Outcome> {
        let (body, content_type) = match self.body(message) {
            Ok(body) => body,
            Err(why) => return Ok(Outcome::Rejected(why)),
        };
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, content_type).body(body);
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer.clone());
        }
        match request.send().await {
            Ok(response) => self.judge(response).await,
            Err(e) => Ok(Outcome::unknown(chain(&e.without_url()))),
        }
    }

    async fn judge(&self, response: Response) -> Result<Outcome> {
        let status = response.status();
        let after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after = after.map(|seconds: u64| Duration::from_secs(seconds.min(LONGEST_RETRY_AFTER_S)));
        let said = match http::body(response, MOST_ANSWER_BYTES).await {
            Ok(body) => words(&body, &self.secrets),
            // The status is what counts, and it has come.
            Err(_) => String::new(),
        };
        let told = format!("HTTP {}{said}", status.as_u16());
        let endpoint = shown(&self.url);
        match status.as_u16() {
            200..=299 => Ok(Outcome::Delivered),
            300..=399 => Err(Error::Remote(format!(
                "{endpoint} points elsewhere ({told}); messages are not sent after a redirect, name the right address"
            ))),
            401 | 403 => Err(Error::Remote(format!(
                "{endpoint} does not let longrun in ({told}); set LONGRUN_SINK_TOKEN to a token that it takes"
            ))),
            404 | 405 | 410 => Err(Error::Remote(format!(
                "nothing takes messages at {endpoint} ({told}); name the right address"
            ))),
            408 | 425 | 429 | 500..=599 => Ok(Outcome::Unknown { why: told, retry_after }),
            _ => Ok(Outcome::Rejected(told)),
        }
    }
}

/// The beginning of what an answer says, in one line.
fn words(body: &[u8], secrets: &[String]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for secret in secrets {
        text = text.replace(secret, "…");
    }
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

impl Sink for HttpSink {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.post(message))
    }
}
