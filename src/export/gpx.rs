//! GPX 1.1 (<https://www.topografix.com/GPX/1/1/>), one file for each workout with a track.
//!
//! Where the samples of its best recording are there, points have times, altitude, heart rate, cadence (as Garmin's
//! TrackPointExtension has them, which most tools read) and power; elsewhere they have only their place.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

use arrow::array::{Array, AsArray, PrimitiveArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Float64Type, Int32Type};
use jiff::{SignedDuration, Timestamp};
use quick_xml::escape::escape;

use super::geo::Line;
use super::places::Place;
use super::{Exported, put};
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

pub fn write(
    lake: &Lake,
    rows: &RecordBatch,
    lines: &[Option<Line>],
    recordings: &Recordings,
    place: &mut dyn Place,
    exported: &mut Exported,
) -> Result<()> {
    let cells = Rows(rows);
    let mut taken = HashSet::new();
    let names: Vec<String> = (0..rows.num_rows()).map(|row| name(&cells, row, &mut taken)).collect();
    // By file, the rows of samples with the workouts that they are of.
    let mut wanted: BTreeMap<usize, BTreeMap<usize, usize>> = BTreeMap::new();
    for row in 0..rows.num_rows() {
        let found = recording(&cells, row)
            .and_then(|(source, id)| recordings.rows.get(&(cells.text("user_id", row), source, id)));
        if let Some((file, at)) = found {
            wanted.entry(*file).or_default().insert(*at, row);
        }
    }
    let mut written = vec![false; rows.num_rows()];
    for (file, of_file) in wanted {
        let of_file: Vec<(usize, usize)> = of_file.into_iter().collect();
        for some in of_file.chunks(AT_A_TIME) {
            let at: Vec<usize> = some.iter().map(|(at, _)| *at).collect();
            let mut workouts = some.iter().map(|(_, workout)| *workout);
            for batch in dataset::read_rows(lake, &recordings.files[file], &COLUMNS, &at)? {
                for at in 0..batch.num_rows() {
                    let Some(workout) = workouts.next() else { break };
                    let Some(points) = with_samples(&Rows(&batch), at) else { continue };
                    put(place, &names[workout], whole(&cells, workout, &points).as_bytes(), exported)?;
                    written[workout] = true;
                }
            }
        }
    }
    for (row, line) in lines.iter().enumerate().filter(|(row, _)| !written[*row]) {
        let Some(line) = line else { continue };
        let mut points = String::new();
        for (lon, lat) in line {
            _ = writeln!(points, "<trkpt lat=\"{lat:.5}\" lon=\"{lon:.5}\"/>");
        }
        put(place, &names[row], whole(&cells, row, &points).as_bytes(), exported)?;
    }
    Ok(())
}

/// `gpx/2024-05-02T073000Z-run.gpx`
fn name(rows: &Rows, row: usize, taken: &mut HashSet<String>) -> String {
    let start = rows.time("start_time", row).unwrap_or(Timestamp::UNIX_EPOCH).strftime("%Y-%m-%dT%H%M%SZ");
    let sport = rows.word("sport", row).unwrap_or_else(|| "workout".to_string());
    let stem = format!("gpx/{start}-{}", super::places::file_name(&sport));
    let numbered = (2..).map(|n| format!("{stem}-{n}.gpx"));
    let name = std::iter::once(format!("{stem}.gpx")).chain(numbered).find(|name| !taken.contains(name));
    let name = name.expect("there are enough numbers");
    taken.insert(name.clone());
    name
}

fn whole(rows: &Rows, row: usize, points: &str) -> String {
    let text = |column: &str| rows.word(column, row).map(|text| escape_text(&text));
    let tag = |tag: &str, text: Option<String>| {
        text.map_or(String::new(), |text| format!("<{tag}>{text}</{tag}>\n"))
    };
    let start = rows.time("start_time", row).map(|time| time.to_string());
    [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <gpx version=\"1.1\" creator=\"longrun\" xmlns=\"http://www.topografix.com/GPX/1/1\" \
         xmlns:tpx=\"http://www.garmin.com/xmlschemas/TrackPointExtension/v1\">\n<metadata>",
        &tag("time", start),
        "</metadata>\n<trk>\n",
        &tag("name", text("title")),
        &tag("desc", text("description")),
        &tag("type", text("sport")),
        "<trkseg>\n",
        points,
        "</trkseg>\n</trk>\n</gpx>\n",
    ]
    .concat()
}

/// Without the characters that no XML may have.
fn escape_text(text: &str) -> String {
    let is_sound = |c: &char| !c.is_control() || matches!(c, '\n' | '\t' | '\r');
    let sound: String =
        text.chars().filter(is_sound).filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}')).collect();
    escape(&sound).into_owned()
}

const COLUMNS: [&str; 10] = [
    "start_time",
    "source_id",
    "time_s",
    "lat_e7",
    "lon_e7",
    "altitude_m",
    "heart_rate_bpm",
    "cadence_rpm",
    "power_w",
    "temperature_c",
];

/// The points of a recording; None where it has fewer than two.
fn with_samples(rows: &Rows, row: usize) -> Option<String> {
    let (lats, lons) = (values::<Int32Type>(rows, "lat_e7", row)?, values::<Int32Type>(rows, "lon_e7", row)?);
    let start = rows.time("start_time", row)?;
    let times = values::<Int32Type>(rows, "time_s", row);
    let altitudes = values::<Float64Type>(rows, "altitude_m", row);
    let [bpm, rpm, watts, celsius] = ["heart_rate_bpm", "cadence_rpm", "power_w", "temperature_c"]
        .map(|column| values::<Int32Type>(rows, column, row));
    let whole = |values: &Option<PrimitiveArray<Int32Type>>, at: usize| {
        values.as_ref().filter(|values| values.is_valid(at)).map(|values| values.value(at))
    };
    let (mut points, mut count) = (String::new(), 0);
    for at in (0..lats.len().min(lons.len())).filter(|at| lats.is_valid(*at) && lons.is_valid(*at)) {
        let [lat, lon] = [&lats, &lons].map(|values| f64::from(values.value(at)) / 1e7);
        _ = write!(points, "<trkpt lat=\"{lat:.7}\" lon=\"{lon:.7}\">");
        if let Some(metres) = altitudes.as_ref().filter(|values| values.is_valid(at)) {
            _ = write!(points, "<ele>{:.1}</ele>", metres.value(at));
        }
        let time =
            whole(&times, at).and_then(|s| start.checked_add(SignedDuration::from_secs(s.into())).ok());
        if let Some(time) = time {
            _ = write!(points, "<time>{time}</time>");
        }
        let mut more = String::new();
        for (tag, value) in
            [("atemp", whole(&celsius, at)), ("hr", whole(&bpm, at)), ("cad", whole(&rpm, at))]
        {
            if let Some(value) = value {
                _ = write!(more, "<tpx:{tag}>{value}</tpx:{tag}>");
            }
        }
        let watts = whole(&watts, at).map_or(String::new(), |watts| format!("<power>{watts}</power>"));
        if !more.is_empty() {
            more = format!("<tpx:TrackPointExtension>{more}</tpx:TrackPointExtension>");
        }
        if !more.is_empty() || !watts.is_empty() {
            _ = write!(points, "<extensions>{watts}{more}</extensions>");
        }
        points.push_str("</trkpt>\n");
        count += 1;
    }
    (count > 1).then_some(points)
}

fn values<T: ArrowPrimitiveType>(rows: &Rows, column: &str, row: usize) -> Option<PrimitiveArray<T>> {
    let list = rows.list(column);
    list.is_valid(row).then(|| list.value(row).as_primitive::<T>().clone())
}
