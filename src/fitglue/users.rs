//! The pipeline's users: their tiers, what they have used of them, and their pipelines.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::Value;

use super::export::Entry;
use super::{destination_of, plain_name, read_state, source_of};
use crate::error::Result;
use crate::store::lake::Lake;

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

    fn name(self) -> &'static str {
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
}

impl Pipeline {
    /// A destination that sources are read from, too: what is sent there comes back.
    pub fn writes_back_to(&self) -> Option<&str> {
        self.destinations.iter().map(String::as_str).find(|name| matches!(*name, "strava" | "hevy"))
    }
}

/// An entry of a user, as it is exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    user_id: String,
    tier: Option<Tier>,
    syncs_this_month: Option<u64>,
    /// All of them, where they are told here.
    pub pipelines: Option<Vec<Pipeline>>,
}

/// What is known of a user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// None where only pipelines were told.
    pub tier: Option<Tier>,
    /// In the month of `told_s`.
    pub syncs_used: u64,
    /// When the export was taken in, unix seconds.
    pub told_s: i64,
    /// When it was written, as far as its file says.
    pub written_s: i64,
    pub pipelines: Vec<Pipeline>,
}

pub fn read(entry: &Entry) -> std::result::Result<Told, String> {
    let tier = match entry.word(&["tier"]) {
        Some(name) => Some(Tier::named(&name).ok_or_else(|| format!("tier {name:?} is not known"))?),
        None => None,
    };
    let syncs = entry.number(&["sync_count_this_month", "syncCountThisMonth"]);
    let pipelines: std::result::Result<Vec<_>, _> = entry.within("pipelines").iter().map(pipeline).collect();
    Ok(Told {
        user_id: entry.user_id().or_else(|e| entry.word(&["id"]).ok_or(e))?,
        tier,
        syncs_this_month: syncs.map(|syncs| syncs.max(0.0) as u64),
        pipelines: entry.has(&["pipelines"]).then_some(pipelines?),
    })
}

pub fn pipeline(entry: &Entry) -> std::result::Result<Pipeline, String> {
    let source = entry.word(&["source"]).ok_or("a pipeline without a source")?;
    let destinations = entry.words(&["destinations"]);
    let told = entry.get(&["destinations"]).and_then(Value::as_array).map_or(0, Vec::len);
    if told != destinations.len() {
        return Err("a pipeline with destinations that are neither names nor numbers".to_string());
    }
    let is_disabled = match entry.get(&["disabled", "is_disabled", "isDisabled"]) {
        None => false,
        Some(Value::Bool(is_disabled)) => *is_disabled,
        Some(other) => return Err(format!("a pipeline whose `disabled` is {other}")),
    };
    Ok(Pipeline {
        id: entry.key("pipelines").ok_or("a pipeline without an id")?,
        source: source_of(&source),
        destinations: destinations.iter().map(|name| destination_of(name)).collect(),
        is_disabled,
    })
}

pub fn insert(db: &Connection, user: &Told, written: Timestamp, now: Timestamp) -> rusqlite::Result<()> {
    // What an entry does not tell stays as it was told before.
    const UPSERT: &str = "INSERT INTO pipeline_users VALUES (?1, ?2, coalesce(?3, 0), ?4, ?5)
        ON CONFLICT DO UPDATE SET tier = coalesce(excluded.tier, tier), syncs_used = coalesce(?3, syncs_used),
          told_s = iif(?3 IS NULL, told_s, excluded.told_s), written_s = iif(?3 IS NULL, written_s, excluded.written_s)";
    db.prepare_cached(UPSERT)?.execute(params![
        user.user_id,
        user.tier.map(Tier::name),
        user.syncs_this_month.map(u64::cast_signed),
        now.as_second(),
        written.min(now).as_second()
    ])?;
    let Some(pipelines) = &user.pipelines else { return Ok(()) };
    // The whole list is told at once: what is not in it any more is gone.
    db.prepare_cached("DELETE FROM pipelines WHERE user_id = ?1")?.execute([&user.user_id])?;
    pipelines.iter().try_for_each(|pipeline| insert_pipeline(db, &user.user_id, pipeline))
}

pub fn insert_pipeline(db: &Connection, user_id: &str, pipeline: &Pipeline) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO pipelines VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            user_id,
            pipeline.id,
            pipeline.source,
            pipeline.destinations.join(","),
            pipeline.is_disabled
        ])
        .map(drop)
}

/// Everybody's, by user.
#[derive(Debug, Default)]
pub struct Users(BTreeMap<String, User>);

impl Users {
    pub fn read(lake: &Lake) -> Result<Users> {
        let mut users = read_state(lake, |db| {
            let mut statement =
                db.prepare("SELECT user_id, tier, syncs_used, told_s, written_s FROM pipeline_users")?;
            let read = statement.query_map([], |row| {
                let tier: Option<String> = row.get(1)?;
                let user = User {
                    tier: tier.as_deref().and_then(Tier::named),
                    syncs_used: row.get::<_, i64>(2)?.unsigned_abs(),
                    told_s: row.get(3)?,
                    written_s: row.get(4)?,
                    pipelines: Vec::new(),
                };
                Ok((row.get::<_, String>(0)?, user))
            })?;
            read.collect::<rusqlite::Result<BTreeMap<_, _>>>()
        })?;
        let pipelines = read_state(lake, |db| {
            let mut statement = db.prepare(
                "SELECT user_id, pipeline_id, source, destinations, disabled FROM pipelines ORDER BY user_id, pipeline_id",
            )?;
            let read = statement.query_map([], |row| {
                let destinations: String = row.get(3)?;
                let pipeline = Pipeline {
                    id: row.get(1)?,
                    source: row.get(2)?,
                    destinations: destinations
                        .split(',')
                        .filter(|d| !d.is_empty())
                        .map(str::to_string)
                        .collect(),
                    is_disabled: row.get(4)?,
                };
                Ok((row.get::<_, String>(0)?, pipeline))
            })?;
            read.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for (user_id, pipeline) in pipelines {
            let nobody =
                || User { tier: None, syncs_used: 0, told_s: 0, written_s: 0, pipelines: Vec::new() };
            users.entry(user_id).or_insert_with(nobody).pipelines.push(pipeline);
        }
        Ok(Users(users))
    }

    pub fn get(&self, user_id: &str) -> Option<&User> {
        self.0.get(user_id)
    }
}
