//! The samples of workouts: those of the best recording of each, or of its parts, one behind the other.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, Float64Array, Int32Array, PrimitiveArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Float64Type, Int32Type};
use jiff::Timestamp;

use crate::error::Result;
use crate::store::dataset::cells::Rows;
use crate::store::dataset::{Place, Places, Recordings, read_wanted};
use crate::store::lake::Lake;

/// Hands on the samples of those workouts that have any, by the workout's row.
pub fn each(
    lake: &Lake,
    places: &Places,
    workouts: &RecordBatch,
    on: &mut dyn FnMut(usize, &Samples) -> Result<()>,
) -> Result<()> {
    let cells = Rows(workouts);
    let found = |row| places.of_workout(&cells.text("user_id", row), &Recordings::of(&cells, row));
    let found: Vec<Vec<&Place>> = (0..workouts.num_rows()).map(found).collect();
    let wanted =
        found.iter().enumerate().flat_map(|(row, places)| places.iter().map(move |place| (*place, row)));
    // Of workouts in parts, those that were read before the last one.
    let mut begun: BTreeMap<usize, Vec<Samples>> = BTreeMap::new();
    let mut left: Vec<usize> = found.iter().map(Vec::len).collect();
    read_wanted(lake, wanted, &COLUMNS, &mut |rows, row, workout| {
        left[workout] -= 1;
        let parts = begun.entry(workout).or_default();
        parts.extend(Samples::of(rows, row));
        if left[workout] > 0 {
            return Ok(());
        }
        match Samples::joined(begun.remove(&workout).unwrap_or_default()) {
            Some(samples) => on(workout, &samples),
            None => Ok(()),
        }
    })
}

const COLUMNS: [&str; 12] = [
    "start_time",
    "samples",
    "time_s",
    "lat_e7",
    "lon_e7",
    "altitude_m",
    "distance_m",
    "speed_mps",
    "heart_rate_bpm",
    "cadence_rpm",
    "power_w",
    "temperature_c",
];

/// A series: a value, or none, for each sample. None at all where there was no such sensor.
pub type Series<T> = Option<PrimitiveArray<T>>;

/// The value of a sample.
pub fn value<T: ArrowPrimitiveType>(series: &Series<T>, at: usize) -> Option<T::Native> {
    series.as_ref().filter(|values| at < values.len() && values.is_valid(at)).map(|values| values.value(at))
}

/// The samples of one recording.
pub struct Samples {
    pub start: Timestamp,
    pub count: usize,
    pub time_s: Option<Int32Array>,
    pub lat_e7: Option<Int32Array>,
    pub lon_e7: Option<Int32Array>,
    pub altitude_m: Option<Float64Array>,
    pub distance_m: Option<Float64Array>,
    pub speed_mps: Option<Float64Array>,
    pub heart_rate_bpm: Option<Int32Array>,
    pub cadence_rpm: Option<Int32Array>,
    pub power_w: Option<Int32Array>,
    pub temperature_c: Option<Int32Array>,
}

impl Samples {
    /// Parts one behind the other. One that begins before the last one ended tells of the same time, and is left out.
    fn joined(mut parts: Vec<Samples>) -> Option<Samples> {
        parts.sort_by_key(|part| (part.start, std::cmp::Reverse(part.count)));
        let mut parts = parts.into_iter();
        let first = parts.next()?;
        Some(parts.fold(first, |all, part| if part.start >= all.end() { all.and(&part) } else { all }))
    }

    /// When the last sample was taken.
    fn end(&self) -> Timestamp {
        let last_s = self.time_s.as_ref().and_then(|times| times.iter().flatten().last()).unwrap_or(0);
        self.start.saturating_add(jiff::SignedDuration::from_secs(last_s.into())).unwrap_or(Timestamp::MAX)
    }

    /// With a later part behind it: its times count on, and its metres.
    fn and(self, part: &Samples) -> Samples {
        fn join<T: ArrowPrimitiveType>(
            (one, count): (&Series<T>, usize),
            (other, more): (&Series<T>, usize),
            moved: impl Fn(T::Native) -> T::Native,
        ) -> Series<T> {
            let values = |series: &Series<T>, count: usize| -> Vec<Option<T::Native>> {
                (0..count).map(|at| value(series, at)).collect()
            };
            let later = values(other, more).into_iter().map(|value| value.map(&moved));
            let all = values(one, count).into_iter().chain(later);
            (one.is_some() || other.is_some()).then(|| all.collect::<PrimitiveArray<T>>())
        }
        let behind_s = i32::try_from(part.start.duration_since(self.start).as_secs()).unwrap_or(i32::MAX);
        let gone_m =
            self.distance_m.as_ref().and_then(|metres| metres.iter().flatten().last()).unwrap_or(0.0);
        let (counts, others) = (self.count, part.count);
        let whole = |of: fn(&Samples) -> &Series<Int32Type>, more: i32| {
            join((of(&self), counts), (of(part), others), |value| value.saturating_add(more))
        };
        let real = |of: fn(&Samples) -> &Series<Float64Type>, more: f64| {
            join((of(&self), counts), (of(part), others), |value| value + more)
        };
        Samples {
            start: self.start,
            count: counts + others,
            time_s: whole(|samples| &samples.time_s, behind_s),
            lat_e7: whole(|samples| &samples.lat_e7, 0),
            lon_e7: whole(|samples| &samples.lon_e7, 0),
            altitude_m: real(|samples| &samples.altitude_m, 0.0),
            distance_m: real(|samples| &samples.distance_m, gone_m),
            speed_mps: real(|samples| &samples.speed_mps, 0.0),
            heart_rate_bpm: whole(|samples| &samples.heart_rate_bpm, 0),
            cadence_rpm: whole(|samples| &samples.cadence_rpm, 0),
            power_w: whole(|samples| &samples.power_w, 0),
            temperature_c: whole(|samples| &samples.temperature_c, 0),
        }
    }

    fn of(rows: &Rows, row: usize) -> Option<Samples> {
        fn series<T: ArrowPrimitiveType>(rows: &Rows, column: &str, row: usize) -> Series<T> {
            let list = rows.list(column);
            list.is_valid(row).then(|| list.value(row).as_primitive::<T>().clone())
        }
        let whole = |column: &str| series::<Int32Type>(rows, column, row);
        let real = |column: &str| series::<Float64Type>(rows, column, row);
        Some(Samples {
            start: rows.time("start_time", row)?,
            count: usize::try_from(rows.whole("samples", row)?).ok()?,
            time_s: whole("time_s"),
            lat_e7: whole("lat_e7"),
            lon_e7: whole("lon_e7"),
            altitude_m: real("altitude_m"),
            distance_m: real("distance_m"),
            speed_mps: real("speed_mps"),
            heart_rate_bpm: whole("heart_rate_bpm"),
            cadence_rpm: whole("cadence_rpm"),
            power_w: whole("power_w"),
            temperature_c: whole("temperature_c"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(start_s: i64, times: &[i32], metres: Option<&[f64]>, bpm: Option<&[i32]>) -> Samples {
        Samples {
            start: Timestamp::from_second(start_s).unwrap(),
            count: times.len(),
            time_s: Some(times.to_vec().into()),
            lat_e7: None,
            lon_e7: None,
            altitude_m: None,
            distance_m: metres.map(|metres| metres.to_vec().into()),
            speed_mps: None,
            heart_rate_bpm: bpm.map(|bpm| bpm.to_vec().into()),
            cadence_rpm: None,
            power_w: None,
            temperature_c: None,
        }
    }

    #[test]
    fn parts_go_one_behind_the_other_and_what_tells_of_the_same_time_is_left_out() {
        let first = part(1_000, &[0, 10, 20], Some(&[0.0, 30.0, 60.0]), None);
        let beside = part(1_005, &[0, 10], Some(&[0.0, 30.0]), None);
        let second = part(1_100, &[0, 5], Some(&[0.0, 15.0]), Some(&[120, 121]));
        let all = Samples::joined(vec![second, beside, first]).unwrap();
        assert_eq!((all.start.as_second(), all.count), (1_000, 5));
        assert_eq!(all.time_s, Some(vec![0, 10, 20, 100, 105].into()));
        assert_eq!(all.distance_m, Some(vec![0.0, 30.0, 60.0, 60.0, 75.0].into()));
        assert_eq!(all.heart_rate_bpm, Some(vec![None, None, None, Some(120), Some(121)].into()));
        assert!(all.power_w.is_none() && Samples::joined(Vec::new()).is_none());
    }
}
