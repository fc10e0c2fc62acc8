//! The report of a run: its parts, which tasks have collected bucket by bucket, added up.
//!
//! What a part depends on beside the run is in the name of its folder: how it is written, and how long its lists are. So
//! of tasks with other lists none writes over what another made, and parts of an older kind are made anew.

use std::collections::BTreeSet;

use super::finish::check_done;
use super::part_key;
use super::plan::Plan;
use super::work::Step;
use crate::dedupe::weights::Weights;
use crate::error::{Error, Result};
use crate::report::{self, Most, PART_VERSION, Part, Report};
use crate::store::backend::Key;
use crate::store::each::at_once;
use crate::store::lake::{Bucket, Lake};

/// The step, and the folder of a run that has its folders.
pub(super) const REPORT: &str = "report";
/// Parts that are fetched at a time, packed as they are. They are unpacked one by one.
const AT_ONCE: usize = 8;

/// Where parts with lists of at most so many lie, below a run.
pub(super) fn folder(most: Most) -> String {
    let Most { workouts, pairs, people, tracks } = most;
    format!("{REPORT}/v{PART_VERSION}-{workouts}-{pairs}-{people}-{tracks}")
}

pub(super) fn key(id: &str, most: Most, bucket: Bucket) -> Key {
    part_key(id, &format!("{}/{bucket}.cbor.zst", folder(most)))
}

/// The lists that tasks of a run have begun to collect.
pub(super) fn begun(lake: &Lake, plan: &Plan) -> Result<BTreeSet<Most>> {
    let parsed = |key: &Key| {
        let names = key.as_str().rsplit('/').nth(1)?.strip_prefix(&format!("v{PART_VERSION}-"))?.split('-');
        let most: Vec<usize> = names.map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
        let [workouts, pairs, people, tracks] = most[..] else { return None };
        Some(Most { workouts, pairs, people, tracks })
    };
    let keys = lake.backend().list(&part_key(&plan.id, REPORT))?;
    Ok(keys.iter().filter_map(|(key, _)| parsed(key)).collect())
}

/// The page that one machine makes of the same lake, but for what only the state database knows: where the workouts
/// stand with the live pipeline. `progress` is told of buckets.
pub fn report(lake: &Lake, plan: &Plan, most: Most, progress: impl Fn(u64)) -> Result<Report> {
    check_done(lake, plan, &Step::Report(most))?;
    let buckets: Vec<Bucket> = plan.planned.iter().map(|planned| Bucket(planned.bucket)).collect();
    if buckets.is_empty() {
        return Err(report::nothing_yet());
    }
    let mut all = Part::new(most, Bucket(0));
    for some in buckets.chunks(AT_ONCE) {
        let keys: Vec<Key> = some.iter().map(|bucket| key(&plan.id, most, *bucket)).collect();
        let fetched = at_once(&keys, |key| lake.backend().read(key))?;
        for (key, bytes) in keys.iter().zip(fetched) {
            let damaged = |what: String| Error::damaged(lake.place(key), what);
            let bytes = bytes.ok_or_else(|| damaged("it is missing; plan anew".to_string()))?;
            all.add(Part::from_bytes(&bytes).map_err(|e| damaged(e.to_string()))?);
            progress(1);
        }
    }
    let weights = Weights::parse(&plan.weights(lake)?, &lake.place(&lake.weights()))?;
    Ok(all.finish(report::comparisons(&weights), None))
}
