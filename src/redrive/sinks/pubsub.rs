//! A topic of Google's Pub/Sub, through Google's own client; or of its emulator, where `PUBSUB_EMULATOR_HOST` says
//! one.

use std::time::Duration;

use google_cloud_auth::credentials::anonymous;
use google_cloud_gax::error::Error as RpcError;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_pubsub::client::Publisher;
use google_cloud_pubsub::error::PublishError;
use google_cloud_pubsub::model::Message as PubSubMessage;

use super::{Message, Outcome, Sending, Sink};
use crate::error::{Error, Result};
use crate::http;

pub struct PubSubSink {
    publisher: Publisher,
    topic: String,
    timeout: Duration,
}

impl PubSubSink {
    pub async fn open(topic: &str, timeout: Duration) -> Result<PubSubSink> {
        http::set_up_tls();
        // Another attempt is the ledger's business, so that it knows of each.
        // And a message by itself: what is wrong with one would be said of all that travel with it.
        let mut builder =
            Publisher::builder(topic).with_retry_policy(NeverRetry).set_message_count_threshold(1);
        if let Some(host) = std::env::var("PUBSUB_EMULATOR_HOST").ok().filter(|host| !host.is_empty()) {
            builder = builder
                .with_endpoint(format!("http://{host}"))
                .with_credentials(anonymous::Builder::new().build());
        }
        let publisher = builder.build().await.map_err(|e| {
            Error::Remote(format!(
                "failed to set up Pub/Sub: {}; `gcloud auth application-default login` gives credentials, \
                 PUBSUB_EMULATOR_HOST names an emulator",
                http::chain(&e)
            ))
        })?;
        Ok(PubSubSink { publisher, topic: topic.to_string(), timeout })
    }

    async fn publish(&self, message: &Message) -> Result<Outcome> {
        // No attributes and no ordering key, as the pipeline's own messages.
        let published = self.publisher.publish(PubSubMessage::new().set_data(message.bytes.clone()));
        match tokio::time::timeout(self.timeout, published).await {
            Ok(Ok(_)) => Ok(Outcome::Delivered),
            Ok(Err(PublishError::Rpc(error))) => self.judge(&error),
            Ok(Err(other)) => Ok(Outcome::unknown(other.to_string())),
            Err(_) => Ok(Outcome::unknown(format!("no answer within {} s", self.timeout.as_secs()))),
        }
    }

    fn judge(&self, error: &RpcError) -> Result<Outcome> {
        let topic = &self.topic;
        if error.is_authentication() {
            return Err(Error::Remote(format!(
                "there are no credentials for {topic} ({}); `gcloud auth application-default login` gives some",
                http::chain(error)
            )));
        }
        let Some(status) = error.status() else { return Ok(Outcome::unknown(http::chain(error))) };
        let said = &status.message;
        match status.code {
            Code::NotFound => {
                Err(Error::Remote(format!("there is no topic {topic} ({said}); name one that exists")))
            }
            Code::PermissionDenied | Code::Unauthenticated => Err(Error::Remote(format!(
                "these credentials may not publish to {topic} ({said}); they need the role pubsub.publisher"
            ))),
            Code::FailedPrecondition => Err(Error::Remote(format!(
                "{topic} takes no messages as it is set up ({said}); its owner can mend that"
            ))),
            Code::InvalidArgument | Code::OutOfRange => {
                Ok(Outcome::Rejected(format!("{:?}: {said}", status.code)))
            }
            code => Ok(Outcome::unknown(format!("{code:?}: {said}"))),
        }
    }
}

impl Sink for PubSubSink {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.publish(message))
    }
}
