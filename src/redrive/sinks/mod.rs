//! Where messages go: a file, an endpoint that takes CloudEvents, one that takes Strava's webhook events, or a
//! topic of Pub/Sub. All keep one contract: what they say was delivered is there, and what they cannot tell they
//! call unknown.

mod file;
mod http;
#[cfg(feature = "pubsub")]
mod pubsub;

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use twox_hash::XxHash64;

use crate::error::{Error, Result};
use crate::http::shown;
use crate::model::secret::Secret;

/// One message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub user_id: String,
    pub execution_id: String,
    /// The id of the activity in its source, and of the athlete there.
    pub activity_id: String,
    pub account_id: Option<String>,
    pub start_s: i64,
    /// The event as it goes over the wire.
    pub bytes: Vec<u8>,
}

/// How an attempt ended. `Unknown` is not an error: the other side may have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// This message, for good.
    Rejected(String),
    Unknown {
        why: String,
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    fn unknown(why: impl Into<String>) -> Outcome {
        Outcome::Unknown { why: why.into(), retry_after: None }
    }
}

pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Outcome>> + Send + 'a>>;

/// Takes messages. An error means that it would take none: a wrong address, or no permission.
pub trait Sink: Send + Sync {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a>;
}

/// What a sink is told besides its address.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Sent to HTTP endpoints as a bearer token.
    pub token: Option<Secret>,
    /// Of the webhook events.
    pub subscription_id: u64,
    /// After which an answer is not waited for any more.
    pub timeout: Option<Duration>,
}

/// Which sink, as it is written on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    File(PathBuf),
    CloudEvents(Url),
    Webhook(Url),
    /// `projects/P/topics/T`
    PubSub(String),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address> {
        let url = |text: &str| -> Result<Url> {
            let url = crate::http::url(text)?;
            if !url.username().is_empty() || url.password().is_some() {
                return Err(Error::Usage(format!(
                    "{} has a password in its address; give a token in LONGRUN_SINK_TOKEN instead",
                    shown(&url)
                )));
            }
            Ok(url)
        };
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Address::File(PathBuf::from(path))),
            Some(("cloudevents", address)) => url(address).map(Address::CloudEvents),
            Some(("webhook", address)) => url(address).map(Address::Webhook),
            Some(("pubsub", topic)) => {
                let parts: Vec<&str> = topic.split('/').collect();
                match parts[..] {
                    ["projects", project, "topics", name] if !project.is_empty() && !name.is_empty() => {
                        Ok(Address::PubSub(topic.to_string()))
                    }
                    _ => Err(Error::Usage(format!(
                        "{topic:?} is no topic; it looks like projects/PROJECT/topics/TOPIC"
                    ))),
                }
            }
            _ => Err(Error::Usage(format!(
                "{:?} is no sink; they are file:PATH, cloudevents:URL, webhook:URL and pubsub:projects/PROJECT/topics/TOPIC",
                text.split_once(':').map_or(text, |(kind, _)| kind)
            ))),
        }
    }
}

impl Address {
    /// What the ledger knows the sink by: what is shown, and a mark of the query, which may be a secret.
    pub fn key(&self) -> String {
        match self {
            Address::CloudEvents(url) | Address::Webhook(url) => match url.query() {
                Some(query) => format!("{self}?{:08x}", XxHash64::oneshot(0, query.as_bytes()) as u32),
                None => self.to_string(),
            },
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::File(path) => {
                write!(f, "file:{}", std::path::absolute(path).as_ref().unwrap_or(path).display())
            }
            Address::CloudEvents(url) => write!(f, "cloudevents:{}", shown(url)),
            Address::Webhook(url) => write!(f, "webhook:{}", shown(url)),
            Address::PubSub(topic) => write!(f, "pubsub:{topic}"),
        }
    }
}

/// Opens a sink.
pub async fn open(address: &Address, settings: &Settings) -> Result<Box<dyn Sink>> {
    let timeout = settings.timeout.unwrap_or(Duration::from_secs(30));
    Ok(match address {
        Address::File(path) => Box::new(file::FileSink::open(path)?),
        Address::CloudEvents(url) => {
            Box::new(http::HttpSink::new(url, http::Shape::CloudEvent, settings.token.clone(), timeout)?)
        }
        Address::Webhook(url) => {
            let shape = http::Shape::Webhook { subscription_id: settings.subscription_id };
            Box::new(http::HttpSink::new(url, shape, settings.token.clone(), timeout)?)
        }
        #[cfg(feature = "pubsub")]
        Address::PubSub(topic) => Box::new(pubsub::PubSubSink::open(topic, timeout).await?),
        #[cfg(not(feature = "pubsub"))]
        Address::PubSub(_) => {
            return Err(Error::Usage(
                "this longrun was built without Pub/Sub; build it with `--features pubsub`".to_string(),
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_what_may_be_secret() {
        let shown = |text: &str| text.parse::<Address>().map(|a| a.to_string()).map_err(|e| e.to_string());
        assert_eq!(
            shown("cloudevents:https://example.org:8443/in?token=s3cret"),
            Ok("cloudevents:https://example.org:8443/in".to_string())
        );
        assert_eq!(shown("pubsub:projects/p/topics/t"), Ok("pubsub:projects/p/topics/t".to_string()));
        assert_eq!(shown("file:/tmp/x.jsonl"), Ok("file:/tmp/x.jsonl".to_string()));
        for (wrong, said) in [
            ("pubsub:topic-raw-activity", "projects/PROJECT/topics/TOPIC"),
            ("webhook:http://example.org/x", "must begin with https"),
            ("cloudevents:https://me:s3cret@example.org/", "has a password"),
            ("cloudevents:http://me:s3cret@example.org/?k=s3cret", "must begin with https"),
            ("webhook:s3cret", "is not a URL"),
            ("kafka:x", "is no sink"),
        ] {
            let error = shown(wrong).unwrap_err();
            assert!(error.contains(said) && !error.contains("s3cret"), "{error}");
        }
    }
}
