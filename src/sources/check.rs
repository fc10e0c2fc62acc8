//! What cannot be, taken out of an activity field by field.

use jiff::{SignedDuration, Timestamp};

use super::formats::recording::settle_sums;
use super::formats::time::EARLIEST_S;
use super::{Fault, Parsed, bounds};
use crate::model::activity::Doubt;

/// Longer is no workout: an expedition, or a device that was never stopped.
const LONGEST_S: f64 = 60.0 * 86_400.0;

/// Takes out of an activity what cannot be, field by field, with a word each. What cannot be dated
/// is refused as a whole.
pub fn check(taken: &mut Parsed) -> Result<(), Fault> {
    let Parsed { activity: a, streams, faults } = taken;
    let latest = a.fetched_at.saturating_add(SignedDuration::from_hours(48)).unwrap_or(Timestamp::MAX);
    if a.start_time.as_second() < EARLIEST_S || a.start_time > latest {
        return Err(Fault::field("start_time", format!("{} cannot be", a.start_time)).of(Some(&a.source_id)));
    }
    let mut complain = |field: &str, value: f64, why: &str| {
        faults.push(Fault::field(field, format!("{value} {why}")).of(Some(&a.source_id)));
    };
    macro_rules! only {
        ($($column:ident in $range:expr, $why:literal;)*) => {$(
            if let Some(value) = a.$column
                && !($range).contains(&value)
            {
                complain(stringify!($column), value, $why);
                a.doubts.get_or_insert_default().push(Doubt {
                    field: stringify!($column).to_string(),
                    reason: format!("{value} {}", $why),
                });
                a.$column = None;
            }
        )*};
    }
    only! {
        elapsed_s in 0.0..=LONGEST_S, "s is no duration";
        moving_s in 0.0..=LONGEST_S, "s is no duration";
        distance_m in 0.0..=1e8, "m is no distance";
        elevation_gain_m in 0.0..=1e6, "m is no climb";
        elevation_loss_m in 0.0..=1e6, "m is no descent";
        elevation_low_m in -12_000.0..=100_000.0, "m is no elevation";
        elevation_high_m in -12_000.0..=100_000.0, "m is no elevation";
        avg_speed_mps in 0.0..=1_000.0, "m/s is no speed";
        max_speed_mps in 0.0..=1_000.0, "m/s is no speed";
        avg_heart_rate_bpm in 0.0..=400.0, "bpm is no heart rate";
        max_heart_rate_bpm in 0.0..=400.0, "bpm is no heart rate";
        avg_cadence_rpm in 0.0..=1_000.0, "rpm is no cadence";
        max_cadence_rpm in 0.0..=1_000.0, "rpm is no cadence";
        avg_power_w in 0.0..=10_000.0, "W is no power";
        max_power_w in 0.0..=100_000.0, "W is no power";
        weighted_power_w in 0.0..=10_000.0, "W is no power";
        work_kj in 0.0..=1e6, "kJ is no work";
        calories_kcal in 0.0..=1e6, "kcal are no calories";
        temperature_c in -100.0..=100.0, "degrees are no temperature";
        start_lat_deg in -90.0..=90.0, "degrees are not on the globe";
        end_lat_deg in -90.0..=90.0, "degrees are not on the globe";
        start_lon_deg in -180.0..=180.0, "degrees are not on the globe";
        end_lon_deg in -180.0..=180.0, "degrees are not on the globe";
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
