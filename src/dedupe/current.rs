//! Whether what was made of a bucket is of the records, answers and rules that there are now.

use std::collections::HashSet;

use arrow::array::{Array, RecordBatch};
use twox_hash::XxHash64;

use super::weights::Weights;
use super::{Options, VERSION};
use crate::error::{Error, Result};
use crate::sources::Source;
use crate::store::dataset;
use crate::store::dataset::cells::{Rows, field, structs};
use crate::store::each::each_bucket;
use crate::store::lake::{Bucket, Lake, is_among};
use crate::store::state::answers::AllAnswers;

/// Whether a bucket's workouts are as a run would make them.
pub fn is_settled(
    lake: &Lake,
    bucket: Bucket,
    weights: &Weights,
    options: &Options,
    answers: &AllAnswers,
) -> Result<bool> {
    let made_of = (inputs(lake, bucket, answers)?, rules(weights, options));
    Ok(Made::of(lake, bucket)?.are_all_of(made_of))
}

/// What both files of a bucket were made of: inputs and rules; None where there is none, or it cannot be read.
pub(super) struct Made {
    of: [Option<(u64, u64)>; 2],
    /// Files that cannot be read. Nothing is in them that could not be made anew.
    pub damaged: Vec<String>,
}

impl Made {
    pub fn of(lake: &Lake, bucket: Bucket) -> Result<Made> {
        let mut made = Made { of: [None; 2], damaged: Vec::new() };
        for (at, key) in [lake.golden(bucket), lake.matches(bucket)].iter().enumerate() {
            match dataset::made_from(lake, key) {
                Ok(from) => made.of[at] = from.map(|from| (from.datasets, from.annotations)),
                Err(Error::Damaged { path, .. }) => made.damaged.push(path.display().to_string()),
                Err(e) => return Err(e),
            }
        }
        Ok(made)
    }

    pub fn are_all_of(&self, made_of: (u64, u64)) -> bool {
        self.of.iter().all(|of| *of == Some(made_of))
    }
}

/// What the last run does not know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// Activities that came after it.
    pub activities: u64,
    /// Whether records or answers are others than those that it was made of.
    pub is_stale: bool,
}

/// How far the workouts of these users, of everybody where none are named, are behind. Rows are read only where
/// something has changed.
pub fn behind(lake: &Lake, users: &[String]) -> Result<Behind> {
    let answers = AllAnswers::read(lake)?;
    let of_buckets = each_bucket(&lake.buckets_of(users), |bucket| {
        let of_bucket = || {
            let is_stale = !is_current(lake, bucket, &answers)?;
            let activities = if is_stale { not_deduped_of(lake, bucket, users)? } else { 0 };
            Ok(Behind { activities, is_stale })
        };
        match of_bucket() {
            // Whoever reads the bucket's workouts says so.
            Err(Error::Damaged { .. }) => Ok(Behind { activities: 0, is_stale: false }),
            behind => behind,
        }
    })?
    .all()?;
    Ok(Behind {
        activities: of_buckets.iter().map(|behind| behind.activities).sum(),
        is_stale: of_buckets.iter().any(|behind| behind.is_stale),
    })
}

fn not_deduped_of(lake: &Lake, bucket: Bucket, users: &[String]) -> Result<u64> {
    let mut known: HashSet<(String, String, String)> = HashSet::new();
    let golden = lake.golden(bucket);
    for batch in dataset::read_checked(lake, &golden, Some(&["user_id", "members"]), "dedupe")? {
        let rows = Rows(&batch);
        let members = rows.list("members");
        for row in (0..batch.num_rows()).filter(|row| is_among(users, rows.words("user_id").value(*row))) {
            let of = structs(members, row);
            let member =
                |at| (rows.text("user_id", row), field(&of, "source", at), field(&of, "source_id", at));
            known.extend((0..of.len()).map(member));
        }
    }
    let is_new = |rows: &Rows, row: usize| {
        is_among(users, rows.words("user_id").value(row))
            && rows.column("gone_at").is_null(row)
            && !known.contains(&rows.activity(row))
    };
    let columns = ["user_id", "source", "source_id", "gone_at"];
    let batches = dataset::activities(lake, bucket, Some(&columns))?;
    let new =
        |batch: &RecordBatch| (0..batch.num_rows()).filter(|row| is_new(&Rows(batch), *row)).count() as u64;
    Ok(batches.iter().map(new).sum::<u64>())
}

/// Of what a bucket's result is made of: its records and the answers about them.
pub(super) fn inputs(lake: &Lake, bucket: Bucket, answers: &AllAnswers) -> Result<u64> {
    let mut inputs = answers.digest(lake, bucket).to_string();
    for source in Source::ALL {
        let fingerprint = dataset::fingerprint(lake, &lake.activities(source.name(), bucket))?;
        inputs.push_str(&format!(" {source} {fingerprint:?}"));
    }
    Ok(XxHash64::oneshot(0, inputs.as_bytes()))
}

/// Of how it is made of that.
pub(super) fn rules(weights: &Weights, options: &Options) -> u64 {
    let (thresholds, gone) = (options.thresholds, options.gone);
    XxHash64::oneshot(0, format!("{VERSION} {thresholds:?} {gone:?} {}", weights.to_toml()).as_bytes())
}

/// Whether a bucket's workouts are of the records and answers that there are now.
pub(super) fn is_current(lake: &Lake, bucket: Bucket, answers: &AllAnswers) -> Result<bool> {
    let Some(golden) = dataset::made_from(lake, &lake.golden(bucket))? else {
        return Ok(dataset::activities(lake, bucket, Some(&["user_id"]))?.is_empty());
    };
    Ok(golden.datasets == inputs(lake, bucket, answers)?)
}
