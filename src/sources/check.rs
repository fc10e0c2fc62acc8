//! What cannot be, taken out of an activity field by field.

use jiff::{SignedDuration, Timestamp};

use super::formats::recording::settle_sums;
use super::formats::time::EARLIEST_S;
use super::{Fault, Parsed, bounds};

/// Clocks of phones and servers differ, and zones are taken for one another, by no more than this.
const AHEAD: SignedDuration = SignedDuration::from_hours(48);

/// Takes out of an activity the values that cannot be, and reports each of them. What is plausible stands at the
/// columns. A start that cannot be is kept, because the rest is dated by it, and doubted.
pub fn check(taken: &mut Parsed) {
    let Parsed { activity: a, streams, faults, is_checked } = taken;
    if std::mem::replace(is_checked, true) {
        return;
    }
    let latest = a.fetched_at.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
    if a.start_time.as_second() < EARLIEST_S {
        a.doubt("start_time", format!("{} is before anybody wore a recorder", a.start_time));
    } else if a.start_time > latest {
        a.doubt("start_time", format!("{} is after it was read", a.start_time));
    }
    for (column, value) in a.take_implausible() {
        let reason = column.refusal(value);
        a.doubt(column.name, reason.clone());
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
}
