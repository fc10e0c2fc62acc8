//! What cannot be, taken out of an activity field by field.

use jiff::{SignedDuration, Timestamp};

use super::formats::recording::settle_sums;
use super::formats::time::EARLIEST_S;
use super::{Fault, Parsed, bounds};
use crate::model::activity::Doubt;

/// Takes out of an activity the values that cannot be, and reports each of them. One that cannot be dated is refused
/// as a whole. What is plausible stands at the columns.
pub fn check(taken: &mut Parsed) -> Result<(), Fault> {
    let Parsed { activity: a, streams, faults } = taken;
    let latest = a.fetched_at.saturating_add(SignedDuration::from_hours(48)).unwrap_or(Timestamp::MAX);
    if a.start_time.as_second() < EARLIEST_S || a.start_time > latest {
        return Err(Fault::field("start_time", format!("{} cannot be", a.start_time)).of(Some(&a.source_id)));
    }
    for (column, value) in a.take_implausible() {
        let reason = column.refusal(value);
        a.doubts
            .get_or_insert_default()
            .push(Doubt { field: column.name.to_string(), reason: reason.clone() });
        faults.push(Fault::field(column.name, reason).of(Some(&a.source_id)));
    }
    if a.start_lat_deg.is_none() || a.start_lon_deg.is_none() {
        (a.start_lat_deg, a.start_lon_deg) = (None, None);
    }
    if a.end_lat_deg.is_none() || a.end_lon_deg.is_none() {
        (a.end_lat_deg, a.end_lon_deg) = (None, None);
    }
    // Null Island is what receivers say before they know.
    if (a.start_lat_deg, a.start_lon_deg) == (Some(0.0), Some(0.0)) {
        (a.start_lat_deg, a.start_lon_deg) = (None, None);
    }
    if let Some(streams) = streams
        && let Some(speeds) = &mut streams.speed_mps
    {
        for speed in speeds.iter_mut().filter(|s| s.is_some_and(|s| !s.is_finite() || s < 0.0)) {
            *speed = None;
        }
    }
    settle_sums(a);
    bounds::settle(a, streams.as_ref());
    Ok(())
}
