//! The pipeline's users: their tiers, what they have used of them, and their pipelines.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::boosters::booster_of;
use super::export::Document;
use super::{destination_of, is_written_to, plain_name, source_of};
use crate::error::Result;
use crate::store::state::exports::{Exports, PipelineRow, UserRow};

/// What a user pays for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// So many syncs a calendar month, one for each upload to a destination.
    Hobbyist,
    Athlete,
}

/// Syncs of a hobbyist in a calendar month.
pub const HOBBYIST_SYNCS: u64 = 25;

impl Tier {
    fn named(name: &str) -> Option<Tier> {
        match plain_name(name, &["user_tier_", "tier_"], &[]).as_str() {
            "hobbyist" | "free" | "1" => Some(Tier::Hobbyist),
            "athlete" | "2" => Some(Tier::Athlete),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Tier::Hobbyist => "hobbyist",
            Tier::Athlete => "athlete",
        }
    }

    pub fn syncs_a_month(self) -> Option<u64> {
        match self {
            Tier::Hobbyist => Some(HOBBYIST_SYNCS),
            Tier::Athlete => None,
        }
    }
}

/// One of a user's pipelines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pipeline {
    pub id: String,
    /// As the pipeline names sources, in lower case.
    pub source: String,
    pub destinations: Vec<String>,
    pub is_disabled: bool,
    /// By name, in their order. None where the export does not say.
    pub boosters: Option<Vec<String>>,
}

impl Pipeline {
    /// A destination that is a source, too: what is sent there comes back.
    pub fn writes_back_to(&self) -> Option<&str> {
        self.destinations.iter().map(String::as_str).find(|name| is_written_to(name))
    }
}

/// What is known of a user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// None where exports had the user's pipelines only.
    pub tier: Option<Tier>,
    /// In the month of `written_s`.
    pub syncs_used: u64,
    /// When the export was written, as far as its file says, unix seconds.
    pub written_s: i64,
    pub pipelines: Vec<Pipeline>,
}

/// A user's own document.
pub fn read(document: &Document, written_s: i64) -> std::result::Result<UserRow, String> {
    let tier = match document.word(&["tier"]) {
        Some(name) => Some(Tier::named(&name).ok_or_else(|| format!("tier {name:?} is not known"))?),
        None => None,
    };
    let syncs = document.number(&["sync_count_this_month", "syncCountThisMonth"]);
    let user_id = document.user_id().or_else(|e| document.word(&["id"]).ok_or(e))?;
    let pipelines: std::result::Result<Vec<_>, _> =
        document.within("pipelines").iter().map(|within| pipeline(within, &user_id)).collect();
    Ok(UserRow {
        tier: tier.map(|tier| tier.name().to_string()),
        syncs_used: syncs.map(|syncs| syncs.max(0.0) as u64),
        written_s,
        pipelines: document.has(&["pipelines"]).then_some(pipelines?),
        user_id,
    })
}

/// A pipeline's document, by itself or within its user's.
pub fn pipeline(document: &Document, user_id: &str) -> std::result::Result<PipelineRow, String> {
    let source = document.word(&["source"]).ok_or("a pipeline without a source")?;
    let destinations = document.words(&["destinations"]);
    let listed = document.get(&["destinations"]).and_then(Value::as_array).map_or(0, Vec::len);
    if listed != destinations.len() {
        return Err("a pipeline with destinations that are neither names nor numbers".to_string());
    }
    let is_disabled = match document.get(&["disabled", "is_disabled", "isDisabled"]) {
        None => false,
        Some(Value::Bool(is_disabled)) => *is_disabled,
        Some(other) => return Err(format!("a pipeline whose `disabled` is {other}")),
    };
    // FitGlue's own documents call them enrichers.
    const BOOSTERS: [&str; 2] = ["enrichers", "boosters"];
    let boosters = |list: &str| -> Vec<String> {
        let within = document.within(list);
        let kinds = within.iter().filter_map(|one| one.word(&["provider_type", "providerType", "type"]));
        kinds.chain(document.words(&[list])).map(|name| booster_of(&name)).collect()
    };
    let list = BOOSTERS.into_iter().find(|list| document.has(&[list]));
    Ok(PipelineRow {
        boosters: list.map(boosters),
        user_id: user_id.to_string(),
        pipeline_id: document.key("pipelines").ok_or("a pipeline without an id")?,
        source: source_of(&source),
        destinations: destinations.iter().map(|name| destination_of(name)).collect(),
        is_disabled,
    })
}

/// Everybody's, by user.
#[derive(Debug, Default)]
pub struct Users(BTreeMap<String, User>);

impl Users {
    pub fn read(exports: &Exports) -> Result<Users> {
        let mut users: BTreeMap<String, User> = BTreeMap::new();
        for known in exports.users()? {
            let user = User {
                tier: known.tier.as_deref().and_then(Tier::named),
                syncs_used: known.syncs_used,
                written_s: known.written_s,
                pipelines: Vec::new(),
            };
            users.insert(known.user_id, user);
        }
        for row in exports.pipelines()? {
            let pipeline = Pipeline {
                id: row.pipeline_id,
                source: row.source,
                destinations: row.destinations,
                is_disabled: row.is_disabled,
                boosters: row.boosters,
            };
            let nobody = || User { tier: None, syncs_used: 0, written_s: 0, pipelines: Vec::new() };
            users.entry(row.user_id).or_insert_with(nobody).pipelines.push(pipeline);
        }
        Ok(Users(users))
    }

    pub fn of(users: impl IntoIterator<Item = (String, User)>) -> Users {
        Users(users.into_iter().collect())
    }

    pub fn get(&self, user_id: &str) -> Option<&User> {
        self.0.get(user_id)
    }
}
