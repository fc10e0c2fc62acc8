//! Strava's account export: `activities.csv`, and the files that were uploaded, which it names.
//!
//! The columns of the table have grown over the years, always before the last one, and its
//! header is written in the athlete's language; so columns are found by their English names or
//! else by their places. Five names stand twice: the first is for show, in the units of the
//! account, the second is what Strava computes with. Times are UTC, whatever the language.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use jiff::Timestamp;
use memchr::memmem;

use crate::error::Result;
use crate::model::activity::Activity;
use crate::model::extra;
use crate::sources::formats::csv::{self, FAILED, Quotes, Row, Table, cell, number};
use crate::sources::formats::json;
use crate::sources::formats::recording::Recording;
use crate::sources::formats::time::{self, Order};
use crate::sources::formats::zip::{ArchiveEntry, Container};
use crate::sources::{ArchiveItem, Fault, OnItem, Parsed, ReadFrom, files, in_parallel};

/// The header of 2026, in English. Those of other years are its beginning, with `Media` behind.
static COLUMNS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    include_str!("../../../data/strava_activities_header.csv").trim_end().split(',').collect()
});
/// From here on, a header in any language has its columns in the places above.
const FEWEST_BY_PLACE: usize = 86;
/// The header until June 2019. Distances are metres there, and kilometres a month later.
const LOWER_CASE: [&str; 10] =
    ["id", "date", "name", "type", "description", "elapsed_time", "distance", "commute", "gear", "filename"];

pub fn recognises(archive: &Container) -> bool {
    archive.ending("activities.csv").any(|entry| header_of(&csv::text(&archive.head(entry, 8192))).is_ok())
}

/// What a fetch has to know of an activity that an archive has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedEntry {
    pub id: String,
    pub start_s: i64,
    pub manual: bool,
    /// Whether the file that was recorded is in the archive.
    pub has_file: bool,
}

/// Reads ids and starts, and nothing else.
pub fn entries(archive: &Container) -> Vec<ArchivedEntry> {
    let mut found = Vec::new();
    for table_entry in archive.ending("activities.csv") {
        let Ok(bytes) = archive.read(table_entry) else { continue };
        let text = csv::text(&bytes);
        let Ok((table, columns)) = read_table(&text) else { continue };
        let files = by_name(archive, table_entry);
        for row in table.written.rows() {
            let file = cell(&row, columns.filename);
            let start = start_time(&row, &columns, table.order);
            let (Some(id), Ok(start)) = (cell(&row, columns.id).filter(|id| is_id(id)), start) else {
                continue;
            };
            found.push(ArchivedEntry {
                id: id.to_string(),
                start_s: start.as_second(),
                manual: columns
                    .filename
                    .and_then(|column| row.get(column))
                    .is_some_and(|f| f.trim().is_empty()),
                has_file: file.is_some_and(|file| find(&files, file).is_some()),
            });
        }
    }
    found
}

/// Reads the table and the files that it names.
pub fn read(archive: &Container, from: &ReadFrom, each: OnItem<'_>) -> Result<()> {
    for entry in archive.ending("activities.csv") {
        let failed = |fault: Fault| ArchiveItem::fault("file", format!("!{}", entry.name), fault);
        let bytes = match archive.read(entry) {
            Ok(bytes) => bytes,
            Err(fault) => {
                each(failed(fault))?;
                continue;
            }
        };
        let text = csv::text(&bytes);
        let (table, columns) = match read_table(&text) {
            Ok(read) => read,
            Err(fault) => {
                each(failed(fault))?;
                continue;
            }
        };
        let files = by_name(archive, entry);
        let file_of = |row: &Row<'_>| find(&files, cell(row, columns.filename)?);
        let numbers: Vec<usize> = (0..table.written.len()).collect();
        in_parallel(
            &numbers,
            |number| {
                let file = columns.filename.filter(|_| files.len() > 1);
                let name = file.and_then(|column| table.written.cell(*number, column));
                name.and_then(|name| find(&files, name.trim())).map_or(1, |file| file.weight())
            },
            |number| {
                let row = table.written.row(*number);
                let at = format!("!{}#{number}", entry.name);
                let taken = activity(&row, &table, &columns, from, &at);
                let taken = taken.map(|mut taken| {
                    if let Some(name) = cell(&row, columns.filename) {
                        add_file(&mut taken, name, archive, file_of(&row), from);
                    }
                    from.finish(taken)
                });
                vec![ArchiveItem::of("row", at, taken)]
            },
            &mut *each,
        )?;
    }
    Ok(())
}

/// The files beside a table, by the names it has for them.
fn by_name<'a>(archive: &'a Container, table: &ArchiveEntry) -> HashMap<String, &'a ArchiveEntry> {
    let folder = table.folder();
    let below = |entry: &'a ArchiveEntry| Some((entry.name.strip_prefix(folder)?.to_lowercase(), entry));
    archive.entries().iter().filter_map(below).collect()
}

/// The file of a name, also where people have unpacked or packed it since: `1.gpx` for `1.gpx.gz`.
fn find<'a>(files: &HashMap<String, &'a ArchiveEntry>, name: &str) -> Option<&'a ArchiveEntry> {
    let name = name.to_lowercase();
    let other = || match name.strip_suffix(".gz") {
        Some(plain) => files.get(plain),
        None => files.get(&format!("{name}.gz")),
    };
    files.get(&name).or_else(other).copied()
}

/// The table with English names, and how its dates are to be read.
struct Activities<'a> {
    header: Vec<String>,
    written: Table<'a>,
    /// Whether there are cells that the export failed to write.
    has_failures: bool,
    order: Order,
    is_in_metres: bool,
}

/// The places of the columns that have one here.
#[derive(Debug, Default)]
struct Columns {
    id: Option<usize>,
    date: Option<usize>,
    name: Option<usize>,
    sport: Option<usize>,
    description: Option<usize>,
    filename: Option<usize>,
    /// For show, in the units of the account; all there was in 2019.
    shown_elapsed: Option<usize>,
    shown_distance: Option<usize>,
    shown_commute: Option<usize>,
    elapsed: Option<usize>,
    distance: Option<usize>,
    commute: Option<usize>,
    /// The others, by their names.
    others: Vec<Other>,
}

/// A column that stands for one of ours, or goes to `extra`.
#[derive(Debug)]
struct Other {
    name: String,
    at: usize,
    meaning: Meaning,
}

#[derive(Debug, Clone, Copy)]
enum Meaning {
    Number(Number),
    Flagged,
    Unknown,
}

/// Where a number of an activity goes.
type Number = fn(&mut Activity) -> &mut Option<f64>;

const NUMBERS: [(&str, Number); 18] = [
    ("Moving Time", |a| &mut a.moving_s),
    ("Max Speed", |a| &mut a.max_speed_mps),
    ("Average Speed", |a| &mut a.avg_speed_mps),
    ("Elevation Gain", |a| &mut a.elevation_gain_m),
    ("Elevation Loss", |a| &mut a.elevation_loss_m),
    ("Elevation Low", |a| &mut a.elevation_low_m),
    ("Elevation High", |a| &mut a.elevation_high_m),
    ("Max Cadence", |a| &mut a.max_cadence_rpm),
    ("Average Cadence", |a| &mut a.avg_cadence_rpm),
    ("Max Heart Rate", |a| &mut a.max_heart_rate_bpm),
    ("Average Heart Rate", |a| &mut a.avg_heart_rate_bpm),
    ("Max Watts", |a| &mut a.max_power_w),
    ("Average Watts", |a| &mut a.avg_power_w),
    ("Weighted Average Power", |a| &mut a.weighted_power_w),
    ("Calories", |a| &mut a.calories_kcal),
    ("Average Temperature", |a| &mut a.temperature_c),
    ("Relative Effort", |a| &mut a.suffer_score),
    ("Perceived Exertion", |a| &mut a.perceived_exertion),
];

impl Meaning {
    fn of(name: &str) -> Meaning {
        let number = NUMBERS.iter().find(|(known, _)| *known == name);
        match number {
            Some((_, number)) => Meaning::Number(*number),
            None if name == "Flagged" => Meaning::Flagged,
            None => Meaning::Unknown,
        }
    }
}

/// Names of columns in English, and whether distances for show are metres.
type Header = (Vec<String>, bool);

fn header_of(text: &str) -> Result<Header, Fault> {
    let table = csv::table(text.lines().next().unwrap_or_default(), Quotes::Doubled)?;
    english(&table.header)
}

fn english(header: &[String]) -> Result<Header, Fault> {
    if header.iter().any(|name| name == "Activity ID") {
        return Ok((header.to_vec(), false));
    }
    if header.iter().any(|name| name == "id")
        && header.iter().any(|name| name == "filename" || name == "date")
    {
        const NAMES: [usize; 10] = [0, 1, 2, 3, 4, 5, 6, 9, 11, 12];
        let old = |name: &String| {
            let known = LOWER_CASE.iter().position(|old| old == name);
            known.map_or_else(|| name.clone(), |at| COLUMNS[NAMES[at]].to_string())
        };
        return Ok((header.iter().map(old).collect(), true));
    }
    if header.len() >= FEWEST_BY_PLACE {
        let last = header.len() - 1;
        let by_place = |at: usize| match COLUMNS.get(at) {
            _ if at == last => "Media".to_string(),
            Some(known) => (*known).to_string(),
            None => header[at].clone(),
        };
        return Ok(((0..header.len()).map(by_place).collect(), false));
    }
    Err(Fault::record(format!(
        "{} columns, named in a language that is not known; English or 86 and more are",
        header.len()
    )))
}

fn read_table(text: &str) -> Result<(Activities<'_>, Columns), Fault> {
    let mut table = csv::table(text, Quotes::Doubled)?;
    // Older exports escape quotes with a backslash. What reads better is what was meant.
    if text.contains("\\\"") {
        let escaped = csv::table(text, Quotes::Escaped)?;
        let broken = |table: &Table<'_>| {
            table.rows().filter(|r| r.len() != table.header.len() || !r.get(0).is_some_and(is_id)).count()
        };
        if broken(&escaped) < broken(&table) {
            table = escaped;
        }
    }
    let (header, is_in_metres) = english(&table.header)?;
    let mut columns = Columns::default();
    let mut others = BTreeMap::new();
    for (at, name) in header.iter().enumerate() {
        let slot = match name.as_str() {
            "" => continue,
            "Activity ID" => &mut columns.id,
            "Activity Date" => &mut columns.date,
            "Activity Name" => &mut columns.name,
            "Activity Type" => &mut columns.sport,
            "Activity Description" => &mut columns.description,
            "Filename" => &mut columns.filename,
            "Elapsed Time" if columns.shown_elapsed.is_none() => &mut columns.shown_elapsed,
            "Elapsed Time" => &mut columns.elapsed,
            "Distance" if columns.shown_distance.is_none() => &mut columns.shown_distance,
            "Distance" => &mut columns.distance,
            "Commute" if columns.shown_commute.is_none() => &mut columns.shown_commute,
            "Commute" => &mut columns.commute,
            // Of the others that stand twice, the last one is meant.
            _ => {
                others.insert(name.clone(), at);
                continue;
            }
        };
        *slot = Some(at);
    }
    if columns.id.is_none() || columns.date.is_none() {
        return Err(Fault::record("the table has no column for the id or the date of an activity"));
    }
    let others = others.into_iter();
    columns.others = others.map(|(name, at)| Other { meaning: Meaning::of(&name), name, at }).collect();
    let order = order(&table, columns.date);
    let has_failures = memmem::find(text.as_bytes(), FAILED.as_bytes()).is_some();
    Ok((Activities { header, written: table, has_failures, order, is_in_metres }, columns))
}

/// How the dates of a table are to be read.
fn order(table: &Table<'_>, date: Option<usize>) -> Order {
    Order::of((0..table.len()).filter_map(|number| table.cell(number, date?)))
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 30 && text.bytes().all(|b| b.is_ascii_digit())
}

fn start_time(row: &Row<'_>, columns: &Columns, order: Order) -> Result<Timestamp, Fault> {
    let text = cell(row, columns.date).ok_or_else(|| Fault::field("Activity Date", "missing"))?;
    let time = time::civil(text, order).and_then(time::as_utc).or_else(|| time::utc(text));
    time.ok_or_else(|| Fault::expected("Activity Date", "a date", text))
}

fn activity(
    row: &Row<'_>,
    table: &Activities<'_>,
    columns: &Columns,
    from: &ReadFrom,
    at: &str,
) -> Result<Box<Parsed>, Fault> {
    let id = cell(row, columns.id).ok_or_else(|| Fault::field("Activity ID", "missing"))?;
    if !is_id(id) {
        return Err(Fault::expected("Activity ID", "a whole number", id));
    }
    let mut faults = Vec::new();
    if row.len() != table.header.len() {
        let reason = format!("{} cells in a table of {} columns", row.len(), table.header.len());
        // With cells missing in the middle, the rest would be read into the wrong columns.
        return Err(Fault::record(reason).of(Some(id)));
    }
    let mut taken = from.parsed(at);
    let a = &mut taken.activity;
    a.source_id = id.to_string();
    a.start_time = start_time(row, columns, table.order).map_err(|fault| fault.of(Some(id)))?;
    let text = |column: Option<usize>| cell(row, column).map(str::to_string);
    a.title = text(columns.name);
    a.description = text(columns.description);
    a.sport_raw = text(columns.sport);
    // What the export failed to write is marked so, and says nothing.
    let failed =
        table.header.iter().zip(row.iter()).filter(|(_, text)| table.has_failures && text.trim() == FAILED);
    for (name, _) in failed {
        faults.push(Fault::field(name.as_str(), "the export failed to write it").of(Some(id)));
    }
    let file = columns.filename.and_then(|column| row.get(column)).map(str::trim);
    a.manual = file.filter(|file| *file != FAILED).map(str::is_empty);
    if a.manual == Some(true) && a.start_time.as_second() % 60 == 0 {
        a.start_quality = "minute".to_string();
    }
    let mut value = |field: &str, column: Option<usize>| -> Option<f64> {
        number(field, cell(row, column)?).map_err(|fault| faults.push(fault.of(Some(id)))).ok()
    };
    a.elapsed_s =
        value("Elapsed Time", columns.elapsed).or_else(|| value("Elapsed Time", columns.shown_elapsed));
    a.distance_m = match columns.distance {
        Some(_) => value("Distance", columns.distance),
        None => {
            let is_metres =
                table.is_in_metres || a.sport_raw.as_deref().is_some_and(|s| matches!(s, "Swim" | "Rowing"));
            value("Distance", columns.shown_distance).map(|d| if is_metres { d } else { d * 1000.0 })
        }
    };
    let flag = |text: &str| match text {
        "1.0" | "1" | "true" | "TRUE" => Some(true),
        "0.0" | "0" | "false" | "FALSE" => Some(false),
        _ => None,
    };
    a.commute = cell(row, columns.commute).or(cell(row, columns.shown_commute)).and_then(flag);
    let mut extra = String::new();
    for Other { name, at, meaning } in &columns.others {
        let Some(text) = cell(row, Some(*at)) else { continue };
        match meaning {
            Meaning::Number(number) => *number(a) = value(name, Some(*at)),
            Meaning::Flagged => a.flagged = flag(text),
            Meaning::Unknown => json::push_field(&mut extra, name, |out| json::push_text(out, text)),
        }
    }
    a.extra = json::closed(extra);
    taken.faults = faults;
    Ok(taken)
}

/// Adds what the uploaded file tells and the table does not.
fn add_file(
    taken: &mut Parsed,
    name: &str,
    archive: &Container,
    entry: Option<&ArchiveEntry>,
    from: &ReadFrom,
) {
    let id = taken.activity.source_id.clone();
    let stem = name.rsplit('/').next().unwrap_or(name).split('.').next().unwrap_or_default();
    // Uploaded files go by the number of their upload, those of Strava's own app by that of the activity.
    if is_id(stem) && stem != id {
        taken.activity.upload_id = Some(stem.to_string());
    }
    let read = match entry {
        Some(entry) => files::open(archive, entry),
        None => Err(Fault::record("not in the archive")),
    };
    let complain = |reason: String| Fault::field("Filename", format!("{name}: {reason}")).of(Some(&id));
    match read {
        Err(fault) => taken.faults.push(complain(fault.to_string())),
        Ok(file) => {
            let start = taken.activity.start_time;
            let away = |r: &Recording| r.activity.start_time.duration_since(start).abs();
            // Of several sessions in a file, each is an activity of its own to Strava.
            let Some(mut recording) = file.recordings.into_iter().min_by_key(away) else {
                return taken.faults.push(complain("no recording in it".to_string()));
            };
            if recording.is_device_time {
                recording.begin_at(start);
            }
            if let Some(partial) = &recording.activity.partial {
                taken.faults.push(complain(partial.clone()));
            }
            let mut whole = std::mem::take(&mut taken.activity);
            whole.file_sha256 = Some(file.sha256);
            // What the table says stands; then what the device says; the rest is computed.
            let device = recording.activity.extra.take();
            whole.fill_from(Activity { sport_raw: None, title: None, ..recording.activity });
            whole.extra = extra::joined(whole.extra.take(), "device", device);
            let (whole, streams) = Recording::new(whole, recording.samples).finish();
            taken.activity = whole;
            let a = &taken.activity;
            taken.streams = streams.map(|streams| from.streams(streams, a));
        }
    }
}
