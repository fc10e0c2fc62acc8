//! A topic of Google's Pub/Sub, through Google's own client; or of its emulator, where `PUBSUB_EMULATOR_HOST` says
//! one. Each user's messages have the user as their ordering key, so that a subscription with ordering gets them in
//! their order; the client puts those of one user into batches by itself. The pipeline's own messages have no key, and
//! its consumers ask for none.

use super::{Capabilities, Carries, Pace, Place, Spec};
use crate::error::{Error, Result};

pub const SPEC: Spec = Spec {
    name: "pubsub",
    usage: "pubsub:projects/PROJECT/topics/TOPIC",
    capabilities: Capabilities {
        carries: Carries::Message,
        needs_account: false,
        reaches_pipeline: true,
        remembers: true,
        pace: Pace::Messages,
        batch: 1024,
        keeps_order: true,
    },
    place,
    open,
};

fn place(topic: &str) -> Result<Place> {
    let parts: Vec<&str> = topic.split('/').collect();
    match parts[..] {
        ["projects", project, "topics", name] if !project.is_empty() && !name.is_empty() => {
            let name = topic.to_string();
            Ok(Place { target: name.clone(), shown: name.clone(), key: name, batch: None })
        }
        _ => Err(Error::Usage(format!("{topic:?} is no topic; it looks like projects/PROJECT/topics/TOPIC"))),
    }
}

#[cfg(feature = "pubsub")]
use client::open;

#[cfg(not(feature = "pubsub"))]
fn open<'a>(_: &'a Place, _: &'a super::Settings) -> super::Opening<'a> {
    let missing = "this longrun was built without Pub/Sub; build it with `--features pubsub`";
    Box::pin(std::future::ready(Err(Error::Usage(missing.to_string()))))
}

#[cfg(feature = "pubsub")]
mod client {
    use std::collections::HashMap;
    use std::time::Duration;

    use google_cloud_auth::credentials::anonymous;
    use google_cloud_gax::error::Error as RpcError;
    use google_cloud_gax::error::rpc::Code;
    use google_cloud_gax::retry_policy::NeverRetry;
    use google_cloud_pubsub::client::Publisher;
    use google_cloud_pubsub::error::PublishError;
    use google_cloud_pubsub::model::Message as PubSubMessage;

    use crate::error::{Error, Result};
    use crate::http;
    use crate::redrive::sinks::{Message, Opening, Outcome, Place, Sending, Settings, Sink};

    pub fn open<'a>(place: &'a Place, settings: &'a Settings) -> Opening<'a> {
        Box::pin(async {
            let sink = PubSubSink::open(&place.target, settings.timeout()).await?;
            Ok(Box::new(sink) as Box<dyn Sink>)
        })
    }

    struct PubSubSink {
        publisher: Publisher,
        topic: String,
        timeout: Duration,
    }

    impl PubSubSink {
        async fn open(topic: &str, timeout: Duration) -> Result<PubSubSink> {
            http::set_up_tls();
            // Another attempt is for whoever keeps the deliveries, so that each is known.
            let mut builder = Publisher::builder(topic)
                .with_retry_policy(NeverRetry)
                // A user's messages of one call come all at once: to wait for more would be in vain.
                .set_delay_threshold(Duration::from_millis(1));
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

        fn publish(
            &self,
            message: &Message,
        ) -> impl Future<Output = Result<Result<String, PublishError>, tokio::time::error::Elapsed>> + use<>
        {
            let message = PubSubMessage::new()
                .set_data(message.bytes.clone())
                .set_ordering_key(message.user_id.clone());
            tokio::time::timeout(self.timeout, self.publisher.publish(message))
        }

        /// All at once; the client keeps each user's in order.
        async fn publish_all(&self, messages: &[Message]) -> Result<Vec<Outcome>> {
            let published: Vec<_> = messages.iter().map(|message| self.publish(message)).collect();
            let mut outcomes = Vec::with_capacity(messages.len());
            let mut paused: HashMap<&str, Vec<usize>> = HashMap::new();
            for (at, published) in published.into_iter().enumerate() {
                let outcome = self.outcome(published.await)?;
                if outcome != Outcome::Delivered {
                    paused.entry(&messages[at].user_id).or_default().push(at);
                }
                outcomes.push(outcome);
            }
            for (user, at) in paused {
                self.publisher.resume_publish(user);
                // An answer is for a batch: what is wrong with one was said of all that were with it.
                if at.len() > 1 && at.iter().any(|at| matches!(outcomes[*at], Outcome::Rejected(_))) {
                    self.publish_one_by_one(messages, &at, &mut outcomes).await?;
                }
            }
            Ok(outcomes)
        }

        /// In order, up to the first whose end is not known.
        async fn publish_one_by_one(
            &self,
            messages: &[Message],
            at: &[usize],
            outcomes: &mut [Outcome],
        ) -> Result<()> {
            let mut is_open = true;
            for at in at {
                if !is_open {
                    outcomes[*at] = Outcome::unknown("one before it may not have arrived");
                    continue;
                }
                outcomes[*at] = self.outcome(self.publish(&messages[*at]).await)?;
                if outcomes[*at] != Outcome::Delivered {
                    self.publisher.resume_publish(messages[*at].user_id.as_str());
                }
                is_open = !matches!(outcomes[*at], Outcome::Unknown { .. });
            }
            Ok(())
        }

        fn outcome(
            &self,
            published: Result<Result<String, PublishError>, tokio::time::error::Elapsed>,
        ) -> Result<Outcome> {
            match published {
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
        fn send<'a>(&'a self, messages: &'a [Message]) -> Sending<'a> {
            Box::pin(self.publish_all(messages))
        }
    }
}
