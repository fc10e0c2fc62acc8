//! What the sinks that are HTTP endpoints share: how a message is posted, and what an answer means.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Response, Url};

use super::{Message, Outcome, Place, Sending, Settings, Sink};
use crate::error::{Error, Result};
use crate::http::{self, chain, shown};
use crate::model::secret::{Secret, Secrets};

/// What is posted for a message and of which content type, or why it cannot be.
pub type Body = fn(&Message, &Settings) -> Result<(Vec<u8>, &'static str), String>;

/// Bytes of an answer that are read for its words.
const MOST_ANSWER_BYTES: usize = 64 << 10;
const LONGEST_RETRY_AFTER_S: u64 = 300;

/// What came back of a request.
pub struct Answer {
    /// None where no answer came.
    pub status: Option<u16>,
    pub outcome: Outcome,
}

pub struct HttpSink {
    client: reqwest::Client,
    url: Url,
    body: Body,
    settings: Settings,
    bearer: Option<HeaderValue>,
    secrets: Secrets,
    has_taken: AtomicBool,
}

impl HttpSink {
    pub fn new(place: &Place, body: Body, settings: &Settings) -> Result<HttpSink> {
        let url = http::url(&place.target)?;
        let token = settings.token.as_ref();
        let mut secrets: Vec<String> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        secrets.extend(url.query().map(str::to_string));
        secrets.extend(
            url.query()
                .into_iter()
                .flat_map(|q| q.split('&'))
                .filter_map(|pair| Some(pair.split_once('=')?.1.to_string())),
        );
        let secrets = Secrets::of(secrets.into_iter().map(Secret::new).chain(token.cloned()));
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
        let client = http::client(std::slice::from_ref(&url), settings.timeout())?;
        let (settings, has_taken) = (settings.clone(), AtomicBool::new(settings.has_taken));
        Ok(HttpSink { client, url, body, settings, bearer, secrets, has_taken })
    }

    pub async fn send_one(&self, message: &Message) -> Result<Outcome> {
        match (self.body)(message, &self.settings) {
            Ok((body, content_type)) => Ok(self.post(body, content_type).await?.outcome),
            Err(why) => Ok(Outcome::Rejected(why)),
        }
    }

    /// Posts one body, of one message or several.
    pub async fn post(&self, body: Vec<u8>, content_type: &'static str) -> Result<Answer> {
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, content_type).body(body);
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer.clone());
        }
        match request.send().await {
            Ok(response) => {
                let status = Some(response.status().as_u16());
                Ok(Answer { status, outcome: self.judge(response).await? })
            }
            Err(e) => Ok(Answer { status: None, outcome: Outcome::unknown(chain(&e.without_url())) }),
        }
    }

    async fn judge(&self, response: Response) -> Result<Outcome> {
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = after.and_then(|value| retry_after(value, Timestamp::now()));
        // Where it does not arrive, the status is what counts, and that has come.
        let body = http::body(response, MOST_ANSWER_BYTES).await.unwrap_or_default();
        let said = words(&body, &self.secrets);
        let answer = format!("HTTP {}{said}", status.as_u16());
        let endpoint = shown(&self.url);
        match status.as_u16() {
            200..=299 if is_page(&body) => Err(Error::Remote(format!(
                "{endpoint} shows a web page ({answer}), as a login page or a proxy does, and nothing says that it took the message; name the address that takes messages"
            ))),
            200..=299 => {
                self.has_taken.store(true, Ordering::Relaxed);
                Ok(Outcome::Delivered)
            }
            300..=399 => Err(Error::Remote(format!(
                "{endpoint} points elsewhere ({answer}); messages are not sent after a redirect, name the right address"
            ))),
            401 | 403 => Err(Error::Remote(format!(
                "{endpoint} does not let longrun in ({answer}); set LONGRUN_SINK_TOKEN to a token that it takes"
            ))),
            // Where others were taken, the address is right, and this is about the message.
            404 | 405 | 410 if !self.has_taken.load(Ordering::Relaxed) => Err(Error::Remote(format!(
                "nothing takes messages at {endpoint} ({answer}); name the right address"
            ))),
            408 | 425 | 429 | 500..=599 => Ok(Outcome::Unknown { why: answer, retry_after }),
            _ => Ok(Outcome::Rejected(answer)),
        }
    }
}

/// How long to wait, by a `Retry-After`: seconds, or a date.
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            u64::try_from(at.as_second() - now.as_second()).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds.min(LONGEST_RETRY_AFTER_S)))
}

/// A page for people. Who takes messages has nothing to show.
fn is_page(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    let begins = |with: &str| body.get(..with.len()).is_some_and(|b| b.eq_ignore_ascii_case(with.as_bytes()));
    begins("<!doctype html") || begins("<html")
}

/// The beginning of what an answer says, in one line.
fn words(body: &[u8], secrets: &Secrets) -> String {
    let text = secrets.struck_from(&String::from_utf8_lossy(body));
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

impl Sink for HttpSink {
    fn send<'a>(&'a self, messages: &'a [Message]) -> Sending<'a> {
        Box::pin(async move {
            let mut outcomes = Vec::with_capacity(messages.len());
            for message in messages {
                outcomes.push(self.send_one(message).await?);
            }
            Ok(outcomes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_for_ever() {
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        let wait = |value: &str| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("Wed, 25 Nov 2026 12:01:30 GMT"), Some(90));
        assert_eq!(wait("Wed, 25 Nov 2026 11:00:00 GMT"), Some(0));
        assert_eq!(wait("Thu, 25 Nov 2027 12:00:00 GMT"), Some(LONGEST_RETRY_AFTER_S));
        assert_eq!(wait("soon"), None);
    }
}
