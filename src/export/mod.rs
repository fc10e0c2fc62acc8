//! Workouts as files that other tools open, for each person: CSV, GeoJSON, GeoParquet, GPX and FIT, in a folder or as
//! one zip with everything that the lake has of them.
//!
//! ```text
//! DIR/alice/workouts.csv                     DIR/alice.zip with the same, and
//!           workouts.geojson                     originals/garmin/000-export.zip    what was imported, as it came
//!           workouts.parquet                     originals/strava-api.jsonl         what Strava's API answered
//!           gpx/2024-05-02T073000Z-run.gpx
//!           fit/2024-05-02T073000Z-run.fit
//! ```
//!
//! Every workout counts once. Its columns are those of `golden` that hold one value; the track is a line, in WGS 84.

mod fit;
mod geo;
mod gpx;
mod originals;
mod places;
mod samples;
mod table;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::store::dataset::geometry::{self, Line};
use crate::store::dataset::{self, Places, cells::Rows};
use crate::store::lake::{Bucket, Lake, is_among};
use originals::Originals;
use places::{Folder, Packed, Place};
use samples::Samples;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Csv,
    Geojson,
    /// GeoParquet 1.1
    Geoparquet,
    /// One file for each workout with a track
    Gpx,
    /// One file for each workout
    Fit,
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
    /// Workouts of which FIT cannot tell the time: from before July 1998, or after January 2126.
    pub beyond_fit: u64,
    /// Originals that could not be read, with why.
    pub missing: Vec<String>,
    /// Why buckets, or what came last of a person, could not be read.
    pub left_out: Vec<String>,
}

impl Exported {
    /// Takes down what is damaged, and goes on without it.
    fn unless_damaged(&mut self, done: Result<()>) -> Result<()> {
        match done {
            Err(e) if !e.is_everywhere() => self.left_out.push(e.to_string()),
            done => return done,
        }
        Ok(())
    }
}

/// Writes below `to`. `progress` is called with the number of buckets done.
pub fn export(lake: &Lake, to: &Path, options: &Options, progress: impl Fn(u64)) -> Result<Exported> {
    if dataset::files(lake, &lake.golden_folder())?.is_empty() {
        return Err(Error::Usage("nothing to export yet; run `longrun dedupe` first".to_string()));
    }
    let mut exported = Exported::default();
    for bucket in lake.buckets_of(&options.users) {
        let done = of_bucket(lake, bucket, to, options, &mut exported);
        exported.unless_damaged(done)?;
        progress(1);
    }
    if exported.users == 0 && exported.left_out.is_empty() && !options.users.is_empty() {
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
    let batches = dataset::read_checked(lake, &lake.golden(bucket), None, "dedupe")?;
    let Some(first) = batches.first() else { return Ok(()) };
    let all = concat_batches(&first.schema(), &batches).expect("batches of one file have one schema");
    let mut of_user: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let users = Rows(&all).words("user_id");
    for row in 0..all.num_rows() {
        of_user.entry(users.value(row)).or_default().push(row as u64);
    }
    of_user.retain(|user, _| is_among(&options.users, user));
    if of_user.is_empty() {
        return Ok(());
    }
    let recorded = match options.formats.iter().any(|format| matches!(format, Format::Gpx | Format::Fit)) {
        true => Places::of(lake, bucket)?,
        false => Places::default(),
    };
    let mut originals = match options.form {
        Form::Folder => None,
        Form::Zip => Some(Originals::of(lake, bucket, &of_user.keys().copied().collect(), exported)?),
    };
    for (user, rows) in of_user {
        let rows = take_record_batch(&all, &UInt64Array::from(rows)).expect("the rows are there");
        let name = places::file_name(user);
        let done = match &mut originals {
            None => write(lake, &rows, options, &recorded, &mut Folder::new(to.join(name)), exported),
            Some(originals) => Packed::new(&to.join(format!("{name}.zip"))).and_then(|mut place| {
                write(lake, &rows, options, &recorded, &mut place, exported)?;
                originals.write(user, &mut place, exported)?;
                place.finish()
            }),
        };
        exported.users += u64::from(done.is_ok());
        exported.unless_damaged(done)?;
    }
    Ok(())
}

/// The workouts of one person.
fn write(
    lake: &Lake,
    rows: &RecordBatch,
    options: &Options,
    recorded: &Places,
    place: &mut dyn Place,
    exported: &mut Exported,
) -> Result<()> {
    let (flat, lines) = (table::flat(rows), geometry::lines(rows));
    exported.workouts += rows.num_rows() as u64;
    exported.tracks += lines.iter().flatten().count() as u64;
    let wants = |format: Format| options.formats.contains(&format);
    if wants(Format::Csv) {
        put(place, "workouts.csv", &table::csv(&flat), exported)?;
    }
    if wants(Format::Geojson) {
        put(place, "workouts.geojson", &geo::json(&flat, &lines), exported)?;
    }
    if wants(Format::Geoparquet) {
        put(place, "workouts.parquet", &geo::parquet(&flat, &lines), exported)?;
    }
    one_by_one(lake, rows, &lines, options, recorded, place, exported)
}

/// The formats that have a file for each workout.
fn one_by_one(
    lake: &Lake,
    rows: &RecordBatch,
    lines: &[Option<Line>],
    options: &Options,
    recorded: &Places,
    place: &mut dyn Place,
    exported: &mut Exported,
) -> Result<()> {
    let [gpx, fit] = [Format::Gpx, Format::Fit].map(|format| options.formats.contains(&format));
    let cells = Rows(rows);
    let mut taken = HashSet::new();
    let names: Vec<String> = (0..rows.num_rows()).map(|row| name(&cells, row, &mut taken)).collect();
    // Whether the workout has that file.
    let (mut has_gpx, mut has_fit) = (vec![!gpx; rows.num_rows()], vec![!fit; rows.num_rows()]);
    let put_gpx = |place: &mut dyn Place, row: usize, points: &str, exported: &mut Exported| {
        let file = gpx::file(&cells, row, points);
        put(place, &format!("gpx/{}.gpx", names[row]), file.as_bytes(), exported)
    };
    let put_fit = |place: &mut dyn Place, row: usize, samples: Option<&Samples>, exported: &mut Exported| {
        match fit::file(&cells, row, samples) {
            Some(file) => put(place, &format!("fit/{}.fit", names[row]), &file, exported),
            None => {
                exported.beyond_fit += 1;
                Ok(())
            }
        }
    };
    if gpx || fit {
        samples::each(lake, recorded, rows, &mut |row, samples| {
            if !has_gpx[row]
                && let Some(points) = gpx::points(samples)
            {
                put_gpx(place, row, &points, exported)?;
                has_gpx[row] = true;
            }
            if !has_fit[row] {
                put_fit(place, row, Some(samples), exported)?;
                has_fit[row] = true;
            }
            Ok(())
        })?;
    }
    for (row, line) in lines.iter().enumerate() {
        if !has_gpx[row]
            && let Some(line) = line
        {
            put_gpx(place, row, &gpx::points_of_line(line), exported)?;
        }
        if !has_fit[row] {
            put_fit(place, row, None, exported)?;
        }
    }
    Ok(())
}

/// `2024-05-02T073000Z-run`
fn name(rows: &Rows, row: usize, taken: &mut HashSet<String>) -> String {
    let start = rows.time("start_time", row).unwrap_or(Timestamp::UNIX_EPOCH).strftime("%Y-%m-%dT%H%M%SZ");
    let sport = rows.word("sport", row).unwrap_or_else(|| "workout".to_string());
    let stem = format!("{start}-{}", places::file_name(&sport));
    let numbered = (2..).map(|n| format!("{stem}-{n}"));
    let name = std::iter::once(stem.clone()).chain(numbered).find(|name| !taken.contains(name));
    let name = name.expect("there are enough numbers");
    taken.insert(name.clone());
    name
}

fn put(place: &mut dyn Place, name: &str, bytes: &[u8], exported: &mut Exported) -> Result<()> {
    exported.files += 1;
    exported.bytes += bytes.len() as u64;
    place.put(name, &mut &*bytes)
}
