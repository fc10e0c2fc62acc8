//! The report of a run: its parts, which tasks have collected bucket by bucket, added up.

use super::finish::owed;
use super::part_key;
use super::plan::Plan;
use crate::dedupe::weights::Weights;
use crate::error::{Error, Result};
use crate::report::{self, Part, Report};
use crate::store::backend::Key;
use crate::store::each::at_once;
use crate::store::lake::{Bucket, Lake};

/// The folder of a run that has the parts.
pub(super) const REPORT: &str = "report";
/// Parts that are in memory at a time.
const AT_ONCE: usize = 8;

pub(super) fn key(id: &str, bucket: Bucket) -> Key {
    part_key(id, &format!("{REPORT}/{bucket}.cbor.zst"))
}

/// A report is of workouts, so it waits for all of them.
pub(super) fn check_deduped(lake: &Lake, plan: &Plan) -> Result<()> {
    match owed(lake, plan, "dedupe")?.as_slice() {
        [] => Ok(()),
        owed => Err(Error::Usage(format!(
            "{} of {} buckets are not deduped in run {}; a report is of all of them",
            owed.len(),
            plan.planned.len(),
            plan.id
        ))),
    }
}

/// The page that one machine makes of the same lake, but for what only the state database knows: where the workouts
/// stand with the live pipeline. `progress` is told of buckets.
pub fn report(lake: &Lake, plan: &Plan, progress: impl Fn(u64)) -> Result<Report> {
    if let [first, ..] = owed(lake, plan, REPORT)?[..] {
        return Err(Error::Usage(format!(
            "bucket {first} has no part of the report of run {0} yet; run the tasks `longrun report --run {0}`, those that \
             are done end at once",
            plan.id
        )));
    }
    let buckets: Vec<Bucket> = plan.planned.iter().map(|planned| Bucket(planned.bucket)).collect();
    let mut all: Option<Part> = None;
    for some in buckets.chunks(AT_ONCE) {
        for (bucket, part) in some.iter().zip(at_once(some, |bucket| read(lake, plan, *bucket))?) {
            let all = all.get_or_insert_with(|| Part::new(part.most(), Bucket(0)));
            if part.most() != all.most() {
                return Err(Error::Usage(format!(
                    "bucket {bucket} was collected with other --workouts or --pairs than those before it; a page needs the \
                     same everywhere, in a new run"
                )));
            }
            all.add(part);
            progress(1);
        }
    }
    let all = all.ok_or_else(report::nothing_yet)?;
    let weights = Weights::parse(&plan.weights(lake)?, &lake.place(&lake.weights()))?;
    Ok(all.finish(report::comparisons(&weights), None))
}

fn read(lake: &Lake, plan: &Plan, bucket: Bucket) -> Result<Part> {
    let key = key(&plan.id, bucket);
    let damaged = |what: String| Error::damaged(lake.place(&key), what);
    let bytes = lake.backend().read(&key)?.ok_or_else(|| damaged("it is missing; plan anew".to_string()))?;
    Part::from_bytes(&bytes).map_err(|e| damaged(e.to_string()))
}
