//! The order of runs: each has a number that is greater than those of all runs that were planned before it, and whoever
//! is older never writes over who is newer.
//!
//! ```text
//! runs/order/001790000000        the name of the run that has this number
//! ```
//!
//! What a run puts has its number in it (`store/dataset/stamp.rs`). An attempt that reads a file of a newer run ends. One
//! that has read before the newer run put asks for what it has read, and that is there no more. Only of a file that the
//! newer run leaves as it was could it be: so where an older run is not done with a bucket, the newer one puts all files of
//! the bucket anew, with its own number. Where every older run is done there, its attempts would put what is there.

use jiff::Timestamp;

use super::plan::{DONE, Once, Plan, put_once};
use super::{finish::Finished, part_key, plan_key};
use crate::error::{Error, Result};
use crate::store::backend::Key;
use crate::store::lake::Lake;
use crate::store::names::RUNS;

/// Names of runs that can have claimed a number at the same time.
const ATTEMPTS: u32 = 100;

fn folder() -> Key {
    Key::new(format!("{RUNS}/order"))
}

fn key(order: u64) -> Key {
    folder().join(&format!("{order:012}"))
}

/// The numbers from one on, and their runs.
fn from(lake: &Lake, first: u64) -> Result<Vec<(u64, String)>> {
    let names = lake.backend().names(&folder())?;
    let orders = names.iter().filter_map(|name| name.parse().ok()).filter(|order| *order >= first);
    orders.map(|order| Ok((order, lake.text(&key(order))?.unwrap_or_default()))).collect()
}

fn last(lake: &Lake) -> Result<u64> {
    let names = lake.backend().names(&folder())?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).max().unwrap_or(0))
}

/// A number for a run: seconds, so that one is greater than all before even where what lies of them was removed.
pub fn claim(lake: &Lake, id: &str, now: Timestamp) -> Result<u64> {
    let mut order = now.as_second().unsigned_abs();
    for _ in 0..ATTEMPTS {
        order = order.max(last(lake)? + 1);
        let is_ours = put_once(lake.backend(), &key(order), id.as_bytes())? == Once::Ours;
        // Somebody may have claimed a greater one meanwhile, who does not know of this one.
        if is_ours && last(lake)? == order {
            return Ok(order);
        }
        order += 1;
    }
    Err(Error::Usage("many runs are being planned at once; try it again".to_string()))
}

/// The runs before this one whose tasks could still write: those since the last that was finished with its workouts.
pub fn older(lake: &Lake, order: u64) -> Result<Vec<String>> {
    let mut older = Vec::new();
    for (_, id) in from(lake, 0)?.into_iter().rev().filter(|(other, _)| *other < order) {
        let done = lake.text(&part_key(&id, DONE))?;
        let is_through = done.as_deref().is_some_and(|text| {
            serde_json::from_str::<Finished>(text).is_ok_and(|finished| finished.is_deduped)
        });
        if is_through {
            break;
        }
        older.push(id);
    }
    Ok(older)
}

/// The plan of the last run whose buckets are all normalized, if this longrun can go by it.
pub fn last_finished(lake: &Lake) -> Result<Option<Plan>> {
    for (_, id) in from(lake, 0)?.into_iter().rev() {
        if lake.backend().exists(&part_key(&id, DONE))? {
            return Ok(Plan::read(lake, &id).ok());
        }
    }
    Ok(None)
}

/// A run that was planned after this one. A number whose run was never planned counts for nothing.
pub fn newer(lake: &Lake, plan: &Plan) -> Result<Option<String>> {
    for (_, id) in from(lake, plan.order + 1)?.into_iter().rev() {
        if id != plan.id && lake.backend().exists(&plan_key(&id))? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}
