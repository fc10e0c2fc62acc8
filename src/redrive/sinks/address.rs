//! Addresses of sinks, as they are written on the command line: `NAME:PLACE`.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

use super::{ALL, Capabilities, Opening, Settings, Spec};
use crate::error::{Error, Result};
use crate::http::shown;

/// Where in its sink an address points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What the sink opens. It may hold a secret.
    pub target: String,
    /// The same for people, without secrets.
    pub shown: String,
    /// What deliveries are remembered by: the same for every spelling of one place, whatever token is in it.
    pub key: String,
    /// Messages in one call at most, where the address says so.
    pub batch: Option<usize>,
}

/// One place of one sink.
#[derive(Clone)]
pub struct Address {
    spec: &'static Spec,
    place: Place,
    capabilities: Capabilities,
}

impl Address {
    pub fn new(spec: &'static Spec, place: &str) -> Result<Address> {
        let place = (spec.place)(place)?;
        let batch = place.batch.unwrap_or(spec.capabilities.batch);
        Ok(Address { spec, place, capabilities: Capabilities { batch, ..spec.capabilities } })
    }

    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// What deliveries are remembered by.
    pub fn key(&self) -> String {
        format!("{}:{}", self.spec.name, self.place.key)
    }

    pub fn open<'a>(&'a self, settings: &'a Settings) -> Opening<'a> {
        (self.spec.open)(&self.place, settings)
    }
}

/// Whether messages to the sink of a key spend syncs of the pipeline. One that is not known may.
pub fn reaches_pipeline(key: &str) -> bool {
    let name = key.split_once(':').map_or(key, |(name, _)| name);
    ALL.iter().find(|spec| spec.name == name).is_none_or(|spec| spec.capabilities.reaches_pipeline)
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address> {
        // What is behind the colon may be a secret.
        let (name, place) = text.split_once(':').unwrap_or((text, ""));
        match ALL.iter().find(|spec| spec.name == name && !place.is_empty()) {
            Some(spec) => Address::new(spec, place),
            None => {
                let usages: Vec<&str> = ALL.iter().map(|spec| spec.usage).collect();
                Err(Error::Usage(format!("{name:?} is no sink; sinks are {}", usages.join(", "))))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.spec.name, self.place.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Address) -> bool {
        self.spec.name == other.spec.name && self.place == other.place
    }
}

/// A place that is a URL.
pub fn url_place(text: &str) -> Result<Place> {
    let url = crate::http::url(text)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Usage(format!(
            "{} has a password in its address; give a token in LONGRUN_SINK_TOKEN instead",
            shown(&url)
        )));
    }
    Ok(Place { shown: shown(&url), key: key(&url), target: url.to_string(), batch: None })
}

/// Without the query, which may be a token, and without slashes at the end.
fn key(url: &Url) -> String {
    shown(url).trim_end_matches('/').to_string()
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
            ("file:", "is no sink"),
        ] {
            let error = shown(wrong).unwrap_err();
            assert!(error.contains(said) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn one_place_has_one_key_however_it_is_spelled() {
        let key = |text: &str| text.parse::<Address>().unwrap().key();
        for same in
            ["cloudevents:https://Example.org/in/", "cloudevents:https://example.org:443/in?token=new"]
        {
            assert_eq!(key(same), "cloudevents:https://example.org/in");
        }
        assert_ne!(key("cloudevents:https://example.org/out"), key("cloudevents:https://example.org/in"));
    }

    #[test]
    fn syncs_are_spent_where_the_pipeline_is_reached() {
        assert!(reaches_pipeline("pubsub:projects/p/topics/t") && reaches_pipeline("of-a-newer-longrun:x"));
        assert!(!reaches_pipeline("file:/tmp/x"));
    }
}
