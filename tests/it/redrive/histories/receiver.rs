//! The receiver of a random history: a sink that takes, loses, refuses and is cut off at random, and a model of what may
//! come, which says of each message that comes whether it may.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use longrun::error::{Error, Result};
use longrun::redrive::route::pipeline_of;
use longrun::redrive::sinks::{
    Capabilities, Carries, Message, Opening, Outcome, Pace, Place, Sending, Settings, Sink, Spec,
};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::Value;

const fn spec(name: &'static str, batch: usize, keeps_order: bool) -> Spec {
    Spec {
        name,
        usage: "fickle:NAME",
        capabilities: Capabilities {
            carries: Carries::Message,
            needs_account: false,
            reaches_pipeline: true,
            remembers: true,
            pace: Pace::Messages,
            batch,
            keeps_order,
        },
        place: |name| {
            let name = name.to_string();
            Ok(Place { target: name.clone(), shown: name.clone(), key: name, batch: None })
        },
        open,
    }
}

pub static SPECS: [Spec; 3] = [spec("one", 1, false), spec("batches", 3, false), spec("in order", 5, true)];

/// The receiver of each case that is under way, by the case's name.
pub static RECEIVERS: LazyLock<Mutex<BTreeMap<String, Arc<Mutex<Receiver>>>>> = LazyLock::new(Mutex::default);

fn open<'a>(place: &'a Place, _: &'a Settings) -> Opening<'a> {
    let receiver = RECEIVERS.lock().unwrap()[&place.target].clone();
    Box::pin(std::future::ready(Ok(Box::new(Fickle(receiver)) as Box<dyn Sink>)))
}

/// A user and an activity.
pub type Name = (u32, u64);

/// How far the messages of an activity came, as far as longrun can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    InDoubt,
    Delivered,
    Rejected,
}

#[derive(Debug, Clone, Default)]
pub struct Activity {
    pub start: Timestamp,
    pub edits: u32,
    pub is_gone: bool,
    /// The sink refuses it for good.
    pub is_poison: bool,
    /// The pipeline has a run of it that is no failure.
    pub is_there: bool,
    pub known: Option<Known>,
    /// It was delivered, and a newer export says that its run came to nothing.
    pub came_to_nothing: bool,
    /// The ids that it was taken under.
    pub ids: BTreeSet<String>,
    /// The id that it was refused under.
    pub refused_as: String,
}

impl Activity {
    pub fn is_owed(&self) -> bool {
        !self.is_gone && !self.is_there && (self.known != Some(Known::Delivered) || self.came_to_nothing)
    }
}

/// What is asked of a run.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub user: Option<u32>,
    pub since: Option<Timestamp>,
    pub limit: Option<u64>,
    pub retry_rejected: bool,
}

pub struct Receiver {
    pub rng: Pcg64Mcg,
    pub is_in_order: bool,
    pub activities: BTreeMap<Name, Activity>,
    pub asked: Asked,
    pub behaves: bool,
    /// Messages until longrun is cut off, as a kill would.
    pub until_cut: Option<u32>,
    /// Of this run.
    pub begun: BTreeSet<Name>,
    pub last_start: BTreeMap<u32, Timestamp>,
    pub taken: u64,
    pub faults: Vec<String>,
}

pub fn user_name(user: u32) -> String {
    format!("u{user}")
}

impl Receiver {
    pub fn new(seed: u64, is_in_order: bool) -> Receiver {
        Receiver {
            rng: Pcg64Mcg::seed_from_u64(seed),
            is_in_order,
            activities: BTreeMap::new(),
            asked: Asked::default(),
            behaves: false,
            until_cut: None,
            begun: BTreeSet::new(),
            last_start: BTreeMap::new(),
            taken: 0,
            faults: Vec::new(),
        }
    }

    pub fn begin(&mut self, asked: Asked, behaves: bool) {
        self.until_cut = (!behaves && self.rng.random_range(0..3) == 0).then(|| self.rng.random_range(0..8));
        (self.asked, self.behaves) = (asked, behaves);
        self.begun.clear();
        self.last_start.clear();
    }

    /// What is wrong with a message that comes now.
    fn look_at(&mut self, name: Name, message: &Message) {
        let Some(activity) = self.activities.get(&name) else {
            self.faults.push(format!("{name:?} is nobody's"));
            return;
        };
        let mut wrong = Vec::new();
        let is_again = self.begun.contains(&name);
        if !is_again && !activity.is_owed() {
            wrong.push(format!("it is not owed: {activity:?}"));
        }
        let is_refused =
            activity.known == Some(Known::Rejected) && activity.refused_as == message.execution_id;
        if !is_again && is_refused && !self.asked.retry_rejected {
            wrong.push("it was refused before".to_string());
        }
        if self.asked.user.is_some_and(|user| user != name.0) {
            wrong.push("another user was asked for".to_string());
        }
        if self.asked.since.is_some_and(|since| activity.start < since) {
            wrong.push("later ones were asked for".to_string());
        }
        let all = self.begun.len() as u64 + u64::from(!is_again);
        if self.asked.limit.is_some_and(|limit| all > limit) {
            wrong.push(format!("it is the {all}th"));
        }
        // What may have arrived goes before everything later, as long as it can go.
        let before = self.activities.iter().find(|((user, _), other)| {
            *user == name.0
                && other.start < activity.start
                && other.known == Some(Known::InDoubt)
                && other.is_owed()
        });
        // Within one call, a sink that keeps the order may have taken it.
        let is_of_call = |before: &Name| self.is_in_order && self.begun.contains(before);
        if let Some((before, _)) = before.filter(|(before, _)| !is_again && !is_of_call(before)) {
            wrong.push(format!("{before:?} before it is in doubt"));
        }
        if pipeline_of(&message.execution_id).is_empty() {
            wrong.push(format!("{} names no pipeline", message.execution_id));
        }
        let event: Value = serde_json::from_slice(&message.bytes).unwrap();
        let title = format!("Run {}", activity.edits);
        if event["data"]["standardized_activity"]["name"] != title.as_str() {
            wrong.push(format!(
                "it is called {}, and not {title}",
                event["data"]["standardized_activity"]["name"]
            ));
        }
        self.faults.extend(wrong.into_iter().map(|wrong| format!("{name:?}: {wrong}")));
    }

    fn take(&mut self, name: Name, message: &Message) {
        self.taken += 1;
        let activity = self.activities.get_mut(&name).unwrap();
        let (start, last) = (activity.start, self.last_start.entry(name.0).or_insert(activity.start));
        if start < *last && !self.begun.contains(&name) {
            self.faults.push(format!("{name:?} came after a later one"));
        }
        *last = start.max(*last);
        activity.ids.insert(message.execution_id.clone());
    }

    fn send(&mut self, messages: &[Message]) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        let mut stopped = BTreeSet::new();
        let mut cut = false;
        for message in messages {
            let user: u32 = message.user_id[1..].parse().unwrap();
            let name = (user, message.activity_id.parse().unwrap());
            self.look_at(name, message);
            if !self.activities.contains_key(&name) {
                outcomes.push(Outcome::Delivered);
                continue;
            }
            cut |= self.until_cut == Some(0);
            self.until_cut = self.until_cut.map(|left| left.saturating_sub(1));
            let roll = if self.behaves { 0 } else { self.rng.random_range(0..10) };
            let outcome = match roll {
                _ if self.activities[&name].is_poison && !stopped.contains(&user) => {
                    Outcome::Rejected("HTTP 422".to_string())
                }
                _ if self.is_in_order && stopped.contains(&user) => {
                    Outcome::unknown("one before it did not arrive")
                }
                0..=6 => {
                    self.take(name, message);
                    Outcome::Delivered
                }
                7 => {
                    self.take(name, message);
                    Outcome::unknown("the answer was lost")
                }
                8 => Outcome::Unknown {
                    why: "HTTP 429".to_string(),
                    retry_after: Some(Duration::from_millis(1)),
                },
                _ => Outcome::unknown("HTTP 503"),
            };
            if matches!(outcome, Outcome::Unknown { .. }) && roll != 7 {
                stopped.insert(user);
            }
            self.begun.insert(name);
            let activity = self.activities.get_mut(&name).unwrap();
            // Nobody hears of what was cut off.
            activity.known = Some(match &outcome {
                _ if cut => Known::InDoubt,
                Outcome::Delivered => Known::Delivered,
                Outcome::Rejected(_) => Known::Rejected,
                Outcome::Unknown { .. } => Known::InDoubt,
            });
            activity.came_to_nothing &= activity.known == Some(Known::InDoubt);
            activity.refused_as.clone_from(&message.execution_id);
            outcomes.push(outcome);
        }
        if cut {
            // All of the call's ends are unknown.
            for message in messages {
                let name = (message.user_id[1..].parse().unwrap(), message.activity_id.parse().unwrap());
                if let Some(activity) = self.activities.get_mut(&name) {
                    activity.known = Some(Known::InDoubt);
                }
            }
            return Err(Error::Remote("cut off".to_string()));
        }
        Ok(outcomes)
    }
}

struct Fickle(Arc<Mutex<Receiver>>);

impl Sink for Fickle {
    fn send<'a>(&'a self, messages: &'a [Message]) -> Sending<'a> {
        let sent = self.0.lock().unwrap().send(messages);
        Box::pin(std::future::ready(sent))
    }
}
