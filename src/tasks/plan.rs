//! What all tasks of a run go by, written once before the first of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::finish::check_done;
use super::work::Step;
use super::{orders, part_key, plan_key};
use crate::dedupe::weights::Weights;
use crate::dedupe::{self, Gone, Learn, Options, Thresholds};
use crate::error::{Error, Result};
use crate::model::activity::SCHEMA_VERSION;
use crate::model::policy::Policy;
use crate::model::sport::Rules;
use crate::normalize;
use crate::store::backend::{Backend, Key};
use crate::store::each::each_bucket;
use crate::store::lake::{Bucket, Lake};
use crate::store::local::Local;
use crate::store::names::{self, Charter};
use crate::store::state::answers::AllAnswers;
use crate::store::state::snapshot;

/// A bucket and what it weighs: bytes that are pending, and bytes of its activities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    pub bucket: u32,
    pub bytes: u64,
}

/// What the person who plans decides.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub id: Option<String>,
    pub thresholds: Thresholds,
    pub gone: Gone,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub id: String,
    pub made_at: Timestamp,
    pub longrun: String,
    /// Greater than that of every run that was planned before.
    pub order: u64,
    /// Of those, the runs whose tasks could still write.
    pub older: Vec<String>,
    /// Of rows, and of what dedupe does: every task has to be of the same.
    pub schema: i32,
    pub dedupe: u64,
    pub buckets: u32,
    /// Numbers as text, so that they come back to the bit.
    pub match_odds: String,
    pub review_odds: String,
    pub with_gone: bool,
    pub rules: Option<String>,
    pub policy: Option<String>,
    /// What pairs are scored with, where that was known before anything was normalized; else `learn` says it later.
    pub weights: Option<String>,
    /// Buckets that the state database says something of.
    pub states: Vec<u32>,
    /// Buckets that there is something to do in, or was.
    pub planned: Vec<Planned>,
    /// Of what lay in the landing of each bucket, by its listing: where nothing is another by the next plan, nothing of it
    /// has to be read to know that nothing is pending.
    pub landed: BTreeMap<u32, u64>,
}

impl Plan {
    pub fn read(lake: &Lake, id: &str) -> Result<Plan> {
        let key = check_id(id)?;
        let text = lake.text(&key)?.ok_or_else(|| {
            Error::Usage(format!("there is no run {id}; `longrun run plan` begins one and says its name"))
        })?;
        let plan: Plan = serde_json::from_str(&text).map_err(|e| Error::damaged(lake.place(&key), e))?;
        if (plan.schema, plan.dedupe, plan.longrun.as_str()) != VERSIONS {
            return Err(Error::Usage(format!(
                "run {id} was planned by longrun {} with rows of version {} and matching of version {}, and this is another; \
                 use that one, or plan anew",
                plan.longrun, plan.schema, plan.dedupe
            )));
        }
        if plan.buckets != lake.bucket_count() {
            return Err(Error::Usage(format!(
                "run {id} was planned for {} buckets, and the lake has {} now; plan anew",
                plan.buckets,
                lake.bucket_count()
            )));
        }
        Ok(plan)
    }

    pub fn options(&self) -> Result<Options> {
        let odds = |text: &str| {
            text.parse::<f64>()
                .map_err(|e| Error::damaged(plan_key(&self.id).as_str(), format!("{text:?}: {e}")))
        };
        let thresholds =
            Thresholds { match_odds: odds(&self.match_odds)?, review_odds: odds(&self.review_odds)? };
        let gone = if self.with_gone { Gone::Counted } else { Gone::LeftOut };
        Ok(Options { thresholds, gone, learn: Learn::Never, ..Options::default() })
    }

    /// What pairs are scored with, as text.
    pub fn weights(&self, lake: &Lake) -> Result<String> {
        if let Some(weights) = &self.weights {
            return Ok(weights.clone());
        }
        lake.text(&part_key(&self.id, WEIGHTS))?.ok_or_else(|| {
            let id = &self.id;
            Error::Usage(format!(
                "run {id} has no weights yet: run `longrun run learn {id}` when everything is normalized"
            ))
        })
    }

    /// Whether the run is over: what comes late then changes nothing any more. A run whose plan was taken away is.
    pub fn is_over(&self, lake: &Lake) -> Result<bool> {
        Ok(lake.backend().exists(&part_key(&self.id, DONE))?
            || !lake.backend().exists(&plan_key(&self.id))?)
    }

    /// A lake in an empty folder with all that the plan says: rules, policy, and the state of some buckets.
    pub fn scratch_lake(&self, lake: &Lake, folder: &std::path::Path, buckets: &[u32]) -> Result<Lake> {
        let local = Local::new(folder);
        names::write_charter(&local, &Charter::new(self.buckets, lake.has_geometry()))?;
        let scratch = Lake::open(folder)?;
        for (key, text) in [(scratch.rules(), &self.rules), (scratch.policy(), &self.policy)] {
            if let Some(text) = text {
                scratch.put(&key, text.as_bytes())?;
            }
        }
        for bucket in self.states.iter().filter(|bucket| buckets.contains(bucket)) {
            let key = state_key(&self.id, Bucket(*bucket));
            let text = lake.text(&key)?;
            let text = text.ok_or_else(|| Error::damaged(lake.place(&key), "it is missing; plan anew"))?;
            snapshot::give(&scratch, &text)?;
        }
        Ok(scratch)
    }
}

const VERSIONS: (i32, u64, &str) = (SCHEMA_VERSION, dedupe::VERSION, env!("CARGO_PKG_VERSION"));
pub(super) const WEIGHTS: &str = "weights.toml";
pub(super) const DONE: &str = "done.json";

fn state_key(id: &str, bucket: Bucket) -> Key {
    part_key(id, &format!("state/{bucket}.jsonl"))
}

/// The key of a run's plan, if its name can be one.
fn check_id(id: &str) -> Result<Key> {
    let is_sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || id.len() > 64 || !id.chars().all(is_sound) {
        return Err(Error::Usage(format!("{id:?} is no name of a run: letters, digits, - and _")));
    }
    Ok(plan_key(id))
}

/// Plans a run. `home` is the lake on this machine whose answers, uploads and accounts count.
pub fn plan(lake: &Lake, home: Option<&Lake>, wanted: &Wanted, now: Timestamp) -> Result<Plan> {
    let id = wanted.id.clone().unwrap_or_else(|| now.strftime("%Y%m%dT%H%M%SZ").to_string());
    let key = check_id(&id)?;
    if lake.backend().exists(&key)? {
        return Err(Error::Usage(format!("there is a run {id} already; give another name with --id")));
    }
    let text = |key: &Key| lake.text(key);
    let (rules, policy) = (text(&lake.rules())?, text(&lake.policy())?);
    // What cannot be read would stop every task.
    if let Some(rules) = &rules {
        Rules::parse(rules).map_err(|e| Error::damaged(lake.place(&lake.rules()), e))?;
    }
    if let Some(policy) = &policy {
        Policy::parse(policy).map_err(|e| Error::damaged(lake.place(&lake.policy()), e))?;
    }
    let options = Options { thresholds: wanted.thresholds, gone: wanted.gone, ..Options::default() };
    let Weighed { planned, landed, pending_bytes } = weigh(lake)?;
    let weights = match dedupe::standing_weights(lake, &options)? {
        None if pending_bytes == 0 => {
            let answers = home.map_or(Ok(AllAnswers::default()), AllAnswers::read)?;
            dedupe::settled_weights(lake, &options, &answers)?
        }
        standing => standing,
    };
    let mut states = Vec::new();
    for (bucket, text) in home.map_or(Ok(Default::default()), snapshot::take)? {
        if put_once(lake.backend(), &state_key(&id, bucket), text.as_bytes())? == Once::Theirs {
            return Err(Error::Usage(format!(
                "there is a part of a run {id} already; give another name with --id"
            )));
        }
        states.push(bucket.0);
    }
    let order = orders::claim(lake, &id, now)?;
    let plan = Plan {
        older: orders::older(lake, order)?,
        id,
        made_at: now,
        order,
        longrun: VERSIONS.2.to_string(),
        schema: VERSIONS.0,
        dedupe: VERSIONS.1,
        buckets: lake.bucket_count(),
        match_odds: format!("{:?}", wanted.thresholds.match_odds),
        review_odds: format!("{:?}", wanted.thresholds.review_odds),
        with_gone: wanted.gone == Gone::Counted,
        rules,
        policy,
        weights: weights.map(|weights| weights.to_toml()),
        states,
        planned,
        landed,
    };
    let bytes = serde_json::to_vec_pretty(&plan).expect("a plan is plain");
    match put_once(lake.backend(), &key, &bytes)? {
        Once::Ours => Ok(plan),
        Once::Theirs => Err(Error::Usage(format!(
            "somebody else has planned a run {} now; give another name with --id",
            plan.id
        ))),
    }
}

/// What each bucket weighs, without those that have nothing; and how much is pending.
struct Weighed {
    planned: Vec<Planned>,
    landed: BTreeMap<u32, u64>,
    pending_bytes: u64,
}

fn weigh(lake: &Lake) -> Result<Weighed> {
    let activities = lake.backend().list(&lake.activities_folder())?;
    let stored = lake.backend().list(&Key::new(names::LANDING))?;
    let before = orders::last_finished(lake)?;
    let buckets: Vec<Bucket> = lake.buckets().collect();
    let mut landed = BTreeMap::new();
    let mut pending: BTreeMap<u32, u64> = BTreeMap::new();
    let mut rows: BTreeMap<u32, u64> = BTreeMap::new();
    let mut unknown = Vec::new();
    for bucket in buckets {
        let suffix = format!("-{bucket}.parquet");
        let of_rows = activities.iter().filter(|(key, _)| key.as_str().ends_with(&suffix));
        rows.insert(bucket.0, of_rows.map(|(_, bytes)| bytes).sum());
        let (mut listing, mut bytes) = (String::new(), 0);
        for folder in [names::segments_of(bucket), names::archives_of(bucket)] {
            let folder = format!("{folder}/");
            let from = stored.partition_point(|(key, _)| key.as_str() < folder.as_str());
            let of_folder = stored[from..].iter().take_while(|(key, _)| key.as_str().starts_with(&folder));
            for (key, length) in of_folder.filter(|(key, _)| *key != names::walked_key(bucket)) {
                writeln!(listing, "{key} {length}").expect("memory");
                bytes += length;
            }
        }
        if listing.is_empty() {
            continue;
        }
        let hash = XxHash64::oneshot(0, listing.as_bytes());
        landed.insert(bucket.0, hash);
        match &before {
            // Nothing was ever made of it.
            _ if rows[&bucket.0] == 0 => drop(pending.insert(bucket.0, bytes)),
            Some(before) if before.landed.get(&bucket.0) == Some(&hash) => {}
            _ => unknown.push(bucket),
        }
    }
    let read = each_bucket(&unknown, |bucket| normalize::pending_of(lake, bucket))?.all()?;
    pending.extend(unknown.iter().map(|bucket| bucket.0).zip(read));
    let planned = rows
        .iter()
        .filter(|(bucket, rows)| **rows > 0 || landed.contains_key(*bucket))
        .map(|(bucket, rows)| Planned { bucket: *bucket, bytes: rows + pending.get(bucket).unwrap_or(&0) });
    Ok(Weighed { planned: planned.collect(), pending_bytes: pending.values().sum(), landed })
}

/// How a put of what is written once ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Once {
    Ours,
    /// Other bytes were there.
    Theirs,
}

/// Puts what is written once. Where the same bytes are there they are ours.
pub(super) fn put_once(backend: &dyn Backend, key: &Key, bytes: &[u8]) -> Result<Once> {
    Ok(if backend.put_over(key, None, bytes)? { Once::Ours } else { Once::Theirs })
}

/// What `learn` came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Learned {
    /// Pairs that the weights were learned from; None where somebody wrote them.
    pub pairs: Option<u64>,
    /// Whether the run had its weights before.
    pub was_known: bool,
}

/// Learns what pairs are scored with, once for the whole run.
pub fn learn(lake: &Lake, plan: &Plan) -> Result<Learned> {
    let pairs = |text: &str| Weights::from_toml(text).map(|weights| weights.learned_from);
    if let Ok(text) = plan.weights(lake) {
        return Ok(Learned { pairs: pairs(&text)?, was_known: true });
    }
    check_done(lake, plan, &Step::Normalize)?;
    let folder = tempfile::tempdir().map_err(Error::io("make", std::env::temp_dir()))?;
    let home = plan.scratch_lake(lake, folder.path(), &plan.states)?;
    let options = Options { learn: Learn::IfNeeded, ..plan.options()? };
    let learned = dedupe::settled_weights(lake, &options, &AllAnswers::read(&home)?)?.unwrap_or_default();
    let text = learned.to_toml();
    match put_once(lake.backend(), &part_key(&plan.id, WEIGHTS), text.as_bytes())? {
        Once::Ours => Ok(Learned { pairs: learned.learned_from, was_known: false }),
        // Somebody learned them at the same time, and theirs count.
        Once::Theirs => Ok(Learned { pairs: pairs(&plan.weights(lake)?)?, was_known: true }),
    }
}
