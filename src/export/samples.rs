//! The samples of workouts: those of the best recording of each.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray, Float64Array, Int32Array, PrimitiveArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Float64Type, Int32Type};
use jiff::Timestamp;

use crate::error::Result;
use crate::store::backend::Key;
use crate::store::dataset;
use crate::store::dataset::cells::{Rows, field, structs};
use crate::store::lake::{Bucket, Lake};

/// Samples are read so many rows at a time.
const AT_A_TIME: usize = 64;

/// Where the samples of a bucket's records are: by user, source and id, the file and the row.
#[derive(Default)]
pub struct Recordings {
    files: Vec<Key>,
    rows: HashMap<(String, String, String), (usize, usize)>,
}

impl Recordings {
    pub fn of(lake: &Lake, bucket: Bucket) -> Result<Recordings> {
        let mut all = Recordings::default();
        for source in dataset::sources(lake, bucket)? {
            for year in dataset::years(lake, &source, bucket)? {
                let file = lake.streams(&source, bucket, year);
                let mut row = 0;
                for batch in dataset::batches(lake, &file, Some(&["user_id", "source_id"]), 1024)? {
                    let batch = batch?;
                    let cells = Rows(&batch);
                    for at in 0..batch.num_rows() {
                        let key = (cells.text("user_id", at), source.clone(), cells.text("source_id", at));
                        all.rows.insert(key, (all.files.len(), row));
                        row += 1;
                    }
                }
                all.files.push(file);
            }
        }
        Ok(all)
    }

    /// Hands on the samples of those workouts that have any, by the workout's row.
    pub fn each(
        &self,
        lake: &Lake,
        workouts: &RecordBatch,
        on: &mut dyn FnMut(usize, &Samples) -> Result<()>,
    ) -> Result<()> {
        let cells = Rows(workouts);
        // By file, the rows of samples with the workouts that they are of.
        let mut wanted: BTreeMap<usize, BTreeMap<usize, usize>> = BTreeMap::new();
        for row in 0..workouts.num_rows() {
            let found = recording(&cells, row)
                .and_then(|(source, id)| self.rows.get(&(cells.text("user_id", row), source, id)));
            if let Some((file, at)) = found {
                wanted.entry(*file).or_default().insert(*at, row);
            }
        }
        for (file, of_file) in wanted {
            let of_file: Vec<(usize, usize)> = of_file.into_iter().collect();
            for some in of_file.chunks(AT_A_TIME) {
                let at: Vec<usize> = some.iter().map(|(at, _)| *at).collect();
                let mut workouts = some.iter().map(|(_, workout)| *workout);
                for batch in dataset::read_rows(lake, &self.files[file], &COLUMNS, &at)? {
                    for at in 0..batch.num_rows() {
                        let Some(workout) = workouts.next() else { break };
                        if let Some(samples) = Samples::of(&Rows(&batch), at) {
                            on(workout, &samples)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
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

const COLUMNS: [&str; 13] = [
    "start_time",
    "source_id",
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
