//! Workouts as files that other tools open, for each person: CSV, GeoJSON, GeoParquet and GPX, in a folder or as one
//! zip with everything that the lake has of them.
//!
//! ```text
//! DIR/alice/workouts.csv                     DIR/alice.zip with the same, and
//!           workouts.geojson                     originals/garmin/000-export.zip    what was imported, as it came
//!           workouts.parquet                     originals/strava-api.jsonl         what Strava's API answered
//!           gpx/2024-05-02T073000Z-run.gpx
//! ```
//!
//! Every workout counts once. Its columns are those of `golden` that hold one value; the track is a line, in WGS 84.

mod geo;
mod gpx;
mod originals;
mod places;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};

use crate::error::{Error, Result};
use crate::store::dataset::{self, cells::Rows};
use crate::store::lake::{Bucket, Lake};
use gpx::Recordings;
use places::{Folder, Packed, Place};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Csv,
    Geojson,
    /// GeoParquet 1.1
    Geoparquet,
    /// One file for each workout with a track
    Gpx,
}

/// What is written for each person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Folder,
    /// One file, with the originals.
    Zip,
}

#[derive(Debug, Clone)]
pub struct Options {
    /// Only theirs.
    pub users: Vec<String>,
    pub formats: Vec<Format>,
    pub form: Form,
}

#[derive(Debug, Default, serde::Serialize)]
pub struct Exported {
    pub users: u64,
    pub workouts: u64,
    /// Of these, with a track.
    pub tracks: u64,
    pub files: u64,
    pub bytes: u64,
    /// Originals that could not be read, with why.
    pub missing: Vec<String>,
}

/// Writes below `to`. `progress` is called with the number of buckets done.
pub fn export(lake: &Lake, to: &Path, options: &Options, progress: impl Fn(u64)) -> Result<Exported> {
    if dataset::files(lake, &lake.golden_folder())?.is_empty() {
        return Err(Error::Usage("nothing to export yet; run `longrun dedupe` first".to_string()));
    }
    let mut exported = Exported::default();
    for bucket in lake.buckets_of(&options.users) {
        of_bucket(lake, bucket, to, options, &mut exported)?;
        progress(1);
    }
    if exported.users == 0 && !options.users.is_empty() {
        return Err(Error::Usage(format!("no workouts of {} in the lake", options.users.join(", "))));
    }
    Ok(exported)
}

fn of_bucket(
    lake: &Lake,
    bucket: Bucket,
    to: &Path,
    options: &Options,
    exported: &mut Exported,
) -> Result<()> {
    let golden = lake.golden(bucket);
    dataset::check_schema(lake, &golden, "dedupe")?;
    let batches = dataset::read(lake, &golden, None)?;
    let Some(first) = batches.first() else { return Ok(()) };
    let all = concat_batches(&first.schema(), &batches).expect("batches of one file have one schema");
    let mut of_user: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let users = Rows(&all).words("user_id");
    for row in 0..all.num_rows() {
        of_user.entry(users.value(row)).or_default().push(row as u64);
    }
    of_user.retain(|user, _| options.users.is_empty() || options.users.iter().any(|wanted| wanted == user));
    let recordings = match options.formats.contains(&Format::Gpx) && !of_user.is_empty() {
        true => Recordings::of(lake, bucket)?,
        false => Recordings::default(),
    };
    for (user, rows) in of_user {
        let rows = take_record_batch(&all, &UInt64Array::from(rows)).expect("the rows are there");
        let name = places::file_name(user);
        match options.form {
            Form::Folder => {
                let mut place = Folder::new(to.join(name));
                write(lake, &rows, options, &recordings, &mut place, exported)?;
            }
            Form::Zip => {
                let mut place = Packed::new(&to.join(format!("{name}.zip")))?;
                write(lake, &rows, options, &recordings, &mut place, exported)?;
                originals::write(lake, bucket, user, &mut place, exported)?;
                place.finish()?;
            }
        }
        exported.users += 1;
    }
    Ok(())
}

/// The workouts of one person.
fn write(
    lake: &Lake,
    rows: &RecordBatch,
    options: &Options,
    recordings: &Recordings,
    place: &mut dyn Place,
    exported: &mut Exported,
) -> Result<()> {
    let (flat, lines) = (table::flat(rows), geo::lines(rows));
    exported.workouts += rows.num_rows() as u64;
    exported.tracks += lines.iter().flatten().count() as u64;
    for format in [Format::Csv, Format::Geojson, Format::Geoparquet, Format::Gpx] {
        if !options.formats.contains(&format) {
            continue;
        }
        let file = match format {
            Format::Csv => ("workouts.csv", table::csv(&flat)),
            Format::Geojson => ("workouts.geojson", geo::json(&flat, &lines)),
            Format::Geoparquet => ("workouts.parquet", geo::parquet(&flat, &lines)),
            Format::Gpx => {
                gpx::write(lake, rows, &lines, recordings, place, exported)?;
                continue;
            }
        };
        put(place, file.0, &file.1, exported)?;
    }
    Ok(())
}

fn put(place: &mut dyn Place, name: &str, bytes: &[u8], exported: &mut Exported) -> Result<()> {
    exported.files += 1;
    exported.bytes += bytes.len() as u64;
    place.put(name, &mut &*bytes)
}
