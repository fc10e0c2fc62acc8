//! Where messages go. A sink is one file here and one line in [`ALL`]: its file says how its address is written, what
//! it can do, and how it is opened. Nothing outside this folder asks which sink it is; it asks for capabilities.
//!
//! All sinks keep one contract: a sink reports [`Outcome::Delivered`] only when the message is durable,
//! [`Outcome::Rejected`] only when this message will never be taken, and [`Outcome::Unknown`] when it cannot tell.

mod address;
mod cloudevents;
mod file;
mod http;
mod pubsub;
mod rehearse;
mod webhook;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use address::{Address, Place, reaches_pipeline, url_place};

use crate::error::Result;
use crate::fitglue::users::Users;
use crate::model::secret::Secret;
use crate::sources::Source;

/// The sinks that there are.
pub const ALL: [&Spec; 5] = [&file::SPEC, &cloudevents::SPEC, &webhook::SPEC, &pubsub::SPEC, &rehearse::SPEC];

/// What is true of a sink.
pub struct Spec {
    /// What its addresses begin with.
    pub name: &'static str,
    /// How an address is written, for people.
    pub usage: &'static str,
    pub capabilities: Capabilities,
    /// Reads what stands behind `name:`.
    pub place: fn(&str) -> Result<Place>,
    pub open: for<'a> fn(&'a Place, &'a Settings) -> Opening<'a>,
}

/// What a sink can do. Planning and sending follow this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// What arrives of a message.
    pub carries: Carries,
    /// Whether it needs to know whose account at the source the activity is from.
    pub needs_account: bool,
    /// Whether what it takes reaches the live pipeline, and spends the users' syncs there.
    pub reaches_pipeline: bool,
    /// Whether what it took is delivered for good. A rehearsal takes everything anew each time.
    pub remembers: bool,
    pub pace: Pace,
    /// Messages in one call at most, where the address says no other number.
    pub batch: usize,
    /// Whether several messages of one user in one call arrive in their order, and none behind one that did not.
    pub keeps_order: bool,
}

/// What arrives of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// All of it: it goes to one pipeline, under our own execution id.
    Message,
    /// Only the id of an activity, which the pipeline then asks this source for. It goes to all pipelines of the
    /// source, as runs with ids of their own.
    IdOf(Source),
}

/// Which of the operator's paces holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// So many messages a second.
    Messages,
    /// None: as fast as it goes.
    None,
    /// One message in a while, because each spends the source's request quota.
    Requests,
}

/// One message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub user_id: String,
    pub execution_id: String,
    /// The id of the activity at its source, and of the athlete's account there.
    pub activity_id: String,
    pub account_id: Option<String>,
    pub start_s: i64,
    /// The event as it goes over the wire; empty where only an id goes.
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
    pub fn unknown(why: impl Into<String>) -> Outcome {
        Outcome::Unknown { why: why.into(), retry_after: None }
    }
}

pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Sink>>> + 'a>>;
/// An outcome for each message, in their order.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Vec<Outcome>>> + Send + 'a>>;

/// Takes messages. An error means that it would take none: a wrong address, or no permission.
pub trait Sink: Send + Sync {
    /// Sends up to [`Capabilities::batch`] messages, those of one user in their order.
    fn send<'a>(&'a self, messages: &'a [Message]) -> Sending<'a>;

    /// When nothing more comes. What it returns is for people.
    fn close(&self) -> Result<Option<String>> {
        Ok(None)
    }
}

/// What a sink is given besides its address.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Sent to HTTP endpoints as a bearer token.
    pub token: Option<Secret>,
    /// Of the webhook events.
    pub subscription_id: u64,
    /// After which an answer is not waited for any more.
    pub timeout: Option<Duration>,
    /// The pipeline's users, for a rehearsal.
    pub users: Option<Arc<Users>>,
    /// Whether the sink has taken a message before, so that its address is right.
    pub has_taken: bool,
}

impl Settings {
    fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(30))
    }
}
