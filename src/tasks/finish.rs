//! The end of a run: what its tasks came to, and the files that readers may take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::{DONE, Once, Plan, put_once};
use super::work::{Done, Step};
use super::{orders, page, part_key};
use crate::error::{Error, Result};
use crate::report::Most;
use crate::store::backend::Key;
use crate::store::dataset::{self, stamp};
use crate::store::each::at_once;
use crate::store::lake::{Bucket, Lake};
use crate::store::names::DATASETS;

/// A file of a finished run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub key: String,
    pub bytes: u64,
    /// As the store tells versions apart: an ETag on most.
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    pub run: String,
    /// Whether the workouts are of this run, or its tasks only normalized.
    pub is_deduped: bool,
    pub rejects: u64,
    pub activities: u64,
    pub workouts: u64,
    /// What verifying found, a sentence each.
    pub found: Vec<String>,
    pub files: Vec<Listed>,
}

/// The planned buckets that are not done with a step.
fn owed(lake: &Lake, plan: &Plan, step: &Step) -> Result<Vec<Bucket>> {
    let done = lake.backend().names(&part_key(&plan.id, &step.folder()))?;
    let is_owed = |bucket: &Bucket| done.binary_search(&format!("{bucket}.json")).is_err();
    Ok(plan.planned.iter().map(|planned| Bucket(planned.bucket)).filter(is_owed).collect())
}

/// Refuses what needs every bucket to be done with a step.
pub(super) fn check_done(lake: &Lake, plan: &Plan, step: &Step) -> Result<()> {
    let owed = owed(lake, plan, step)?;
    let Some(first) = owed.first() else { return Ok(()) };
    let (of, id) = (plan.planned.len(), &plan.id);
    Err(Error::Usage(format!(
        "{} of {of} buckets are not done with {step} in run {id}, the first is {first}; run the tasks `longrun {step} \
         --run {id}`, those that are done end at once",
        owed.len()
    )))
}

/// Ends a run: checks that every bucket is done, sums, keeps the weights, and lists the files. Running it again says
/// the same.
pub fn finish(lake: &Lake, plan: &Plan) -> Result<Finished> {
    let key = part_key(&plan.id, DONE);
    if let Some(text) = lake.text(&key)? {
        return serde_json::from_str(&text).map_err(|e| Error::damaged(lake.place(&key), e));
    }
    if let Some(newer) = orders::newer(lake, plan)? {
        return Err(Error::Usage(format!(
            "run {} is over: run {newer} was planned after it; finish that one",
            plan.id
        )));
    }
    let is_deduped = !lake.backend().names(&part_key(&plan.id, "dedupe"))?.is_empty();
    for step in [Step::Normalize, Step::Dedupe].iter().take(1 + usize::from(is_deduped)) {
        check_done(lake, plan, step)?;
    }
    let files = files(lake)?;
    let rows = |folder: &str| -> Result<u64> {
        let keys: Vec<Key> = files
            .iter()
            .filter(|file| file.key.starts_with(folder))
            .map(|file| Key::new(&*file.key))
            .collect();
        Ok(at_once(&keys, |key| dataset::row_count(lake, key))?.into_iter().sum())
    };
    let finished = Finished {
        run: plan.id.clone(),
        is_deduped,
        rejects: rows("rejects/")?,
        activities: rows("activities/")?,
        workouts: rows("golden/")?,
        found: found(lake, plan)?,
        files,
    };
    if is_deduped {
        keep_weights(lake, plan)?;
    }
    let bytes = serde_json::to_vec_pretty(&finished).expect("it is plain");
    match put_once(lake.backend(), &key, &bytes)? {
        Once::Ours => Ok(finished),
        Once::Theirs => finish(lake, plan),
    }
}

/// Keeps the weights of the run in the lake, with its number. Those of a run that was planned meanwhile are left alone.
fn keep_weights(lake: &Lake, plan: &Plan) -> Result<()> {
    /// Each time that it is not through, somebody else is.
    const ATTEMPTS: u32 = 10;
    let text = stamp::mark(&plan.weights(lake)?, plan.order);
    let key = lake.weights();
    for _ in 0..ATTEMPTS {
        let there = lake.backend().open(&key)?.map(|opened| opened.stat.version);
        if orders::newer(lake, plan)?.is_some() {
            return Ok(());
        }
        if lake.backend().put_over(&key, there.as_ref(), text.as_bytes())? {
            return Ok(());
        }
    }
    Err(Error::Remote(format!(
        "{} is written again and again by others; run this again",
        lake.place(&key).display()
    )))
}

/// Every file of the datasets.
fn files(lake: &Lake) -> Result<Vec<Listed>> {
    let mut files = Vec::new();
    for folder in DATASETS {
        let listed = lake.backend().versions(&Key::new(folder))?;
        files.extend(listed.into_iter().map(|(key, stat)| Listed {
            key: key.to_string(),
            bytes: stat.bytes,
            version: stat.version.as_str().trim().to_string(),
        }));
    }
    Ok(files)
}

fn found(lake: &Lake, plan: &Plan) -> Result<Vec<String>> {
    let folder = part_key(&plan.id, "verify");
    let names = lake.backend().names(&folder)?;
    let keys: Vec<Key> =
        names.iter().filter(|name| name.ends_with(".json")).map(|name| folder.join(name)).collect();
    let found = at_once(&keys, |key| {
        let text = lake.text(key)?.unwrap_or_default();
        let done: Done = serde_json::from_str(&text).map_err(|e| Error::damaged(lake.place(key), e))?;
        Ok(done.found)
    })?;
    Ok(found.concat())
}

/// How far a run is: of each step, how many buckets are done.
pub fn progress(lake: &Lake, plan: &Plan) -> Result<BTreeMap<String, usize>> {
    let mut lists = page::begun(lake, plan)?;
    lists.insert(Most::default());
    let steps = [Step::Normalize, Step::Dedupe, Step::Verify].into_iter();
    let done = |step: Step| Ok((step.to_string(), plan.planned.len() - owed(lake, plan, &step)?.len()));
    steps.chain(lists.into_iter().map(Step::Report)).map(done).collect()
}
