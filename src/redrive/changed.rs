//! Records that say something else now than the message that was delivered of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::message::content;
use super::route::{execution_id, pipeline_of};
use super::workouts::Workouts;
use crate::error::Result;
use crate::fitglue::uploads::Uploads;
use crate::store::each::each_bucket;
use crate::store::lake::{Bucket, Lake};
use crate::store::state::deliveries::{self, DeliveredContent};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    #[serde(skip)]
    pub sink: String,
    pub user_id: String,
    /// `strava:123`, as `--again` takes it.
    pub record: String,
    pub delivered_at: Option<Timestamp>,
}

/// All of them, by user and record; and why buckets could not be looked at.
pub fn changed(lake: &Lake) -> Result<(Vec<Changed>, Vec<String>)> {
    let delivered = deliveries::delivered_contents(lake)?;
    let uploads = Uploads::read(lake)?;
    let mut by_bucket: BTreeMap<Bucket, Vec<String>> = BTreeMap::new();
    for user_id in delivered.keys() {
        by_bucket.entry(lake.bucket(user_id)).or_default().push(user_id.clone());
    }
    let buckets: Vec<Bucket> = by_bucket.keys().copied().collect();
    let of_buckets = each_bucket(&buckets, |bucket| {
        let read = || -> Result<Vec<Changed>> {
            let workouts = Workouts::read(lake, bucket, &uploads, &by_bucket[&bucket])?;
            let of_user = |user_id: &String| of_user(user_id, &workouts, &delivered[user_id]);
            Ok(workouts.by_user.keys().flat_map(of_user).collect())
        };
        super::damage_apart(read())
    })?
    .all()?;
    let (mut changed, mut damaged) = (Vec::new(), Vec::new());
    for of_bucket in of_buckets {
        match of_bucket {
            Ok(of_bucket) => changed.extend(of_bucket),
            Err(damage) => damaged.push(damage),
        }
    }
    changed.sort_by(|a: &Changed, b: &Changed| (&a.user_id, &a.record).cmp(&(&b.user_id, &b.record)));
    Ok((changed, damaged))
}

fn of_user(user_id: &str, workouts: &Workouts, delivered: &[DeliveredContent]) -> Vec<Changed> {
    let mut by_id: BTreeMap<&str, Vec<&DeliveredContent>> = BTreeMap::new();
    for content in delivered {
        by_id.entry(&content.execution_id).or_default().push(content);
    }
    let pipelines: BTreeSet<&str> =
        delivered.iter().map(|delivered| pipeline_of(&delivered.execution_id)).collect();
    let mut changed = Vec::new();
    for member in workouts.by_user[user_id].iter().flat_map(|workout| &workout.members) {
        for pipeline in &pipelines {
            let id = execution_id(user_id, member.source, &member.source_id, pipeline);
            let Some(delivered) = by_id.get(id.as_str()) else { continue };
            let (rows, row) = member.rows(&workouts.batches);
            let now = content(rows, row);
            changed.extend(delivered.iter().filter(|delivered| delivered.content != now).map(|delivered| {
                Changed {
                    sink: delivered.sink.clone(),
                    user_id: user_id.to_string(),
                    record: member.name(),
                    delivered_at: Timestamp::from_second(delivered.delivered_s).ok(),
                }
            }));
        }
    }
    changed
}
