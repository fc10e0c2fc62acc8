//! The samples of workouts: those of the best recording of each.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, Float64Array, Int32Array, PrimitiveArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Float64Type, Int32Type};
use jiff::Timestamp;

use crate::error::Result;
use crate::store::backend::Key;
use crate::store::dataset::cells::{Rows, field, structs};
use crate::store::dataset::{Place, Places, read_places};
use crate::store::lake::Lake;

/// Samples are read so many rows at a time.
const AT_A_TIME: usize = 64;

/// Hands on the samples of those workouts that have any, by the workout's row.
pub fn each(
    lake: &Lake,
    places: &Places,
    workouts: &RecordBatch,
    on: &mut dyn FnMut(usize, &Samples) -> Result<()>,
) -> Result<()> {
    let cells = Rows(workouts);
    // By file, the places of samples with the workouts that they are of, in the order of their rows.
    let mut wanted: BTreeMap<&Key, BTreeMap<usize, (&Place, usize)>> = BTreeMap::new();
    for row in 0..workouts.num_rows() {
        let found = recording(&cells, row)
            .and_then(|(source, id)| places.get(&source, &cells.text("user_id", row), &id));
        if let Some(place) = found {
            wanted.entry(&place.file).or_default().insert(place.row, (place, row));
        }
    }
    for of_file in wanted.into_values() {
        let of_file: Vec<(&Place, usize)> = of_file.into_values().collect();
        for some in of_file.chunks(AT_A_TIME) {
            let (at, workouts): (Vec<&Place>, Vec<usize>) = some.iter().copied().unzip();
            let mut workouts = workouts.into_iter();
            read_places(lake, &at, &COLUMNS, &mut |rows, row| match workouts
                .next()
                .zip(Samples::of(rows, row))
            {
                Some((workout, samples)) => on(workout, &samples),
                None => Ok(()),
            })?;
        }
    }
    Ok(())
}

/// The record whose samples are the workout's: its best recording, or the only one.
fn recording(rows: &Rows, row: usize) -> Option<(String, String)> {
    let named = |list: &str, at: usize| {
        let of = structs(rows.list(list), row);
        (field(&of, "source", at), field(&of, "source_id", at))
    };
    let lineage = structs(rows.list("lineage"), row);
    let best = (0..lineage.len()).find(|at| field(&lineage, "why", *at) == "best_recording");
    match best {
        Some(at) => Some(named("lineage", at)),
        None => (structs(rows.list("members"), row).len() == 1).then(|| named("members", 0)),
    }
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
