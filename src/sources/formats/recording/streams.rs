//! Samples as lists.

use super::Sample;
use crate::model::activity::{Activity, Streams};

/// The samples as lists. A list that would hold nothing is not there.
pub fn streams(a: &Activity, samples: &[Sample]) -> Streams {
    let start_ms = a.start_time.as_millisecond();
    let since = |s: &Sample| i32::try_from((s.time_ms - start_ms).div_euclid(1000)).ok();
    fn column<T>(samples: &[Sample], value: impl Fn(&Sample) -> Option<T>) -> Option<Vec<Option<T>>> {
        samples.iter().any(|s| value(s).is_some()).then(|| samples.iter().map(value).collect())
    }
    Streams {
        start_time: a.start_time,
        samples: i32::try_from(samples.len()).unwrap_or(i32::MAX),
        time_s: column(samples, since),
        distance_m: column(samples, |s| s.distance_m),
        lat_e7: column(samples, |s| s.lat_e7),
        lon_e7: column(samples, |s| s.lon_e7),
        altitude_m: column(samples, |s| s.altitude_m),
        speed_mps: column(samples, |s| s.speed_mps),
        heart_rate_bpm: column(samples, |s| s.heart_rate_bpm),
        cadence_rpm: column(samples, |s| s.cadence_rpm),
        power_w: column(samples, |s| s.power_w),
        temperature_c: column(samples, |s| s.temperature_c),
        grade_percent: column(samples, |s| s.grade_percent),
        ..Streams::default()
    }
}
