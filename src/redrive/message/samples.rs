//! The sample series that payloads need, read some at a time.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int32Type};

use super::payload::Samples;
use crate::error::Result;
use crate::store::dataset::cells::Rows;
use crate::store::dataset::{Place, read_places};
use crate::store::lake::Lake;

const COLUMNS: [&str; 10] = [
    "time_s",
    "distance_m",
    "lat_e7",
    "lon_e7",
    "altitude_m",
    "speed_mps",
    "heart_rate_bpm",
    "cadence_rpm",
    "power_w",
    "temperature_c",
];

/// Reads the samples at some places of one file, in the order of their rows.
pub fn read(lake: &Lake, places: &[&Place]) -> Result<Vec<Samples>> {
    let mut read = Vec::with_capacity(places.len());
    read_places(lake, places, &COLUMNS, &mut |rows, row| {
        read.push(of_row(rows, row));
        Ok(())
    })?;
    Ok(read)
}

fn of_row(rows: &Rows, row: usize) -> Samples {
    let list = |name: &str| {
        let list = rows.list(name);
        list.is_valid(row).then(|| list.value(row))
    };
    let Some(times) = list("time_s") else { return Samples::default() };
    let times = times.as_primitive::<Int32Type>();
    // A sample of no time is nowhere.
    let kept: Option<Vec<usize>> =
        (times.null_count() > 0).then(|| (0..times.len()).filter(|at| times.is_valid(*at)).collect());
    fn pick<T: Copy>(all: Vec<T>, kept: Option<&Vec<usize>>) -> Vec<T> {
        match kept {
            Some(kept) => kept.iter().map(|at| all[*at]).collect(),
            None => all,
        }
    }
    let wholes = |name: &str| -> Option<Vec<i32>> {
        let values = list(name)?;
        let all = values.as_primitive::<Int32Type>().iter().map(Option::unwrap_or_default).collect();
        Some(pick(all, kept.as_ref()))
    };
    let numbers = |name: &str| -> Option<Vec<f64>> {
        let values = list(name)?;
        let all = values.as_primitive::<Float64Type>().iter().map(Option::unwrap_or_default).collect();
        Some(pick(all, kept.as_ref()))
    };
    let degrees = |name: &str| Some(wholes(name)?.into_iter().map(|e7| f64::from(e7) / 1e7).collect());
    Samples {
        time_s: pick(times.iter().map(Option::unwrap_or_default).collect(), kept.as_ref()),
        heart_rate_bpm: wholes("heart_rate_bpm"),
        power_w: wholes("power_w"),
        cadence_rpm: wholes("cadence_rpm"),
        speed_mps: numbers("speed_mps"),
        altitude_m: numbers("altitude_m"),
        lat_deg: degrees("lat_e7"),
        lon_deg: degrees("lon_e7"),
        distance_m: numbers("distance_m"),
        temperature_c: list("temperature_c")
            .map(|values| pick(values.as_primitive::<Int32Type>().iter().collect(), kept.as_ref())),
        every: 0,
    }
}

/// Gives what another recording of the same workout says of the heart: to each sample, what was measured nearest
/// to it, within some seconds. Both count from the second that `ahead_s` puts them apart.
pub fn with_heart_rate_of(own: Option<Samples>, other: &Samples, ahead_s: i64) -> Option<Samples> {
    const WITHIN_S: i64 = 5;
    let rates = other.heart_rate_bpm.as_ref()?;
    let mut beats: Vec<(i64, i32)> = other
        .time_s
        .iter()
        .zip(rates)
        .filter(|(_, rate)| **rate > 0)
        .map(|(time, rate)| (i64::from(*time) + ahead_s, *rate))
        .collect();
    beats.sort_unstable();
    if beats.is_empty() {
        return None;
    }
    let Some(mut own) = own.filter(|own| !own.time_s.is_empty()) else {
        // Nothing was recorded but the heart: its samples are the record.
        let beats: Vec<_> =
            beats.into_iter().filter_map(|(time, rate)| Some((i32::try_from(time).ok()?, rate))).collect();
        return Some(Samples {
            time_s: beats.iter().map(|(time, _)| *time).collect(),
            heart_rate_bpm: Some(beats.iter().map(|(_, rate)| *rate).collect()),
            ..Samples::default()
        });
    };
    let nearest = |time: i32| {
        let time = i64::from(time);
        let at = beats.partition_point(|(beat, _)| *beat < time);
        let around = [at.checked_sub(1).and_then(|before| beats.get(before)), beats.get(at)];
        let nearest = around.into_iter().flatten().min_by_key(|(beat, _)| beat.abs_diff(time))?;
        (nearest.0.abs_diff(time) <= WITHIN_S.unsigned_abs()).then_some(nearest.1)
    };
    own.heart_rate_bpm = Some(own.time_s.iter().map(|time| nearest(*time).unwrap_or(0)).collect());
    Some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heart_rate_is_taken_from_the_nearest_beat_of_the_other_recording() {
        let own = Samples { time_s: vec![0, 10, 60], ..Samples::default() };
        let other = Samples {
            time_s: vec![2, 9, 13, 40],
            heart_rate_bpm: Some(vec![100, 110, 0, 120]),
            ..Samples::default()
        };
        let merged = with_heart_rate_of(Some(own), &other, 0).unwrap();
        assert_eq!(merged.heart_rate_bpm, Some(vec![100, 110, 0]));
        let alone = with_heart_rate_of(None, &other, -2).unwrap();
        assert_eq!((alone.time_s, alone.heart_rate_bpm), (vec![0, 7, 38], Some(vec![100, 110, 120])));
        assert_eq!(with_heart_rate_of(None, &Samples::default(), 0), None);
    }
}
