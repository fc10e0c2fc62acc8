//! Hevy: the CSV export, a row per set, and bodies of its API.
//!
//! The table has no id of a workout, so one is made of its title, start and end. Its times are
//! wall clocks of whole minutes, in the language of the phone; its units follow the account and
//! stand in the header.

use std::collections::HashMap;

use jiff::Timestamp;
use rayon::prelude::*;
use ring::digest::{SHA256, digest};

use super::formats::csv::{self, Quotes, Row, Table, cell};
use super::formats::json::{Value, fields, id, is_absent, list_of_records, missing, number, text, whole};
use super::formats::time::{self, Order};
use super::formats::zip::{ArchiveEntry, Container};
use super::{ArchiveItem, Fault, Found, Gone, OnItem, Parsed, Ranks, ReadFrom, Spec, in_parallel, records};
use crate::error::Result;
use crate::model::activity::ExerciseSet;

/// What is true of this source.
pub const SPEC: Spec = Spec {
    name: "hevy",
    help: "The CSV export, or bodies of the API",
    fitglue: "SOURCE_HEVY",
    ranks: Ranks { written: 20, measured: 70, sets: 10, sent: 20 },
    can_echo: true,
    gathers: false,
    app_key: None,
    only_sport: Some("weight_training"),
    recognises,
    read,
};

/// Bodies that are read at a time: a page of the API holds ten workouts.
const BODIES_AT_A_TIME: usize = 64;
const KG_PER_POUND: f64 = 0.453_592_37;

pub fn recognises(archive: &Container) -> bool {
    archive.entries().iter().take(1000).any(|entry| is_table(archive, entry) || is_body(archive, entry))
}

fn is_table(archive: &Container, entry: &ArchiveEntry) -> bool {
    entry.file_name().to_lowercase().ends_with(".csv") && {
        let head = csv::text(&archive.head(entry, 2048)).into_owned();
        head.contains("exercise_title") && head.contains("set_index")
    }
}

fn is_body(archive: &Container, entry: &ArchiveEntry) -> bool {
    entry.file_name().to_lowercase().ends_with(".json") && {
        let head = String::from_utf8_lossy(&archive.head(entry, 8192)).into_owned();
        head.contains("\"exercises\"") && head.contains("\"start_time\"")
            || head.contains("\"deleted_at\"") && head.contains("\"deleted\"")
    }
}

pub fn read(archive: &Container, from: &ReadFrom, each: OnItem<'_>) -> Result<()> {
    let (tables, others): (Vec<&ArchiveEntry>, Vec<&ArchiveEntry>) =
        archive.entries().iter().partition(|entry| is_table(archive, entry));
    let rows = |entry: &&ArchiveEntry| workouts_of_table(archive, entry, from);
    in_parallel(&tables, |entry| entry.weight(), rows, &mut *each)?;
    // Pages of the API overlap, and one page's workout is another's deletion.
    let mut newest = Newest::default();
    for some in others.chunks(BODIES_AT_A_TIME) {
        let read: Vec<_> = some.par_iter().map(|entry| versions_of_body(archive, entry, from)).collect();
        for (version, item) in read.into_iter().flatten() {
            match version {
                Some(version) => newest.add(version, item),
                None => each(item)?,
            }
        }
    }
    newest.all.into_iter().try_for_each(|(_, item)| each(item))
}

/// Of each workout, its newest version.
#[derive(Default)]
struct Newest {
    all: Vec<(Version, ArchiveItem)>,
    by_id: HashMap<String, usize>,
}

/// What a workout's record is a version of, and when the workout was changed or deleted.
struct Version {
    id: String,
    at: Option<Timestamp>,
}

impl Newest {
    /// Of two versions of one time the first counts, since the API gives the newest first.
    fn add(&mut self, version: Version, item: ArchiveItem) {
        match self.by_id.get(&version.id) {
            Some(known) if version.at <= self.all[*known].0.at => {}
            Some(known) => self.all[*known] = (version, item),
            None => {
                self.by_id.insert(version.id.clone(), self.all.len());
                self.all.push((version, item));
            }
        }
    }
}

/// The id of a workout of the table. Of its times themselves, and not of their text: another export may
/// be in another language.
pub fn table_id(title: &str, start: &str, end: &str, order: Order) -> String {
    let plain = |text: &str| time::civil(text, order).map_or_else(|| text.to_string(), |t| t.to_string());
    let (start, end) = (plain(start), plain(end));
    let hash = digest(&SHA256, format!("{title}\n{start}\n{end}").as_bytes());
    format!("csv-{}", &crate::model::hex(hash.as_ref())[..24])
}

/// The columns of the table, and what a unit of theirs is.
struct Columns {
    title: usize,
    start: usize,
    end: Option<usize>,
    exercise: Option<usize>,
    weight: Option<(usize, f64)>,
    distance: Option<(usize, f64)>,
    /// How dates of numbers are to be read: a table that went through a spreadsheet may have them.
    order: Order,
}

impl Columns {
    fn of(table: &Table<'_>) -> Result<Columns, Fault> {
        let missing = |name: &str| Fault::record(format!("the table has no column {name}"));
        let unit = |names: [(&str, f64); 2]| {
            names.into_iter().find_map(|(name, scale)| Some((table.column(&[name])?, scale)))
        };
        let start = table.column(&["start_time"]).ok_or_else(|| missing("start_time"))?;
        Ok(Columns {
            title: table.column(&["title"]).ok_or_else(|| missing("title"))?,
            start,
            order: Order::of((0..table.len()).filter_map(|number| table.cell(number, start))),
            end: table.column(&["end_time"]),
            exercise: table.column(&["exercise_title"]),
            weight: unit([("weight_kg", 1.0), ("weight_lbs", KG_PER_POUND)]),
            distance: unit([("distance_km", 1000.0), ("distance_miles", 1609.344)]),
        })
    }
}

fn workouts_of_table(archive: &Container, entry: &ArchiveEntry, from: &ReadFrom) -> Vec<ArchiveItem> {
    let at = format!("!{}", entry.name);
    let bytes = match archive.read(entry) {
        Ok(bytes) => bytes,
        Err(fault) => return vec![ArchiveItem::fault("file", at, fault)],
    };
    let text = csv::text(&bytes);
    let read = csv::table(&text, Quotes::Doubled);
    let read = read.and_then(|table| Columns::of(&table).map(|columns| (table, columns)));
    let (table, columns) = match read {
        Ok(read) => read,
        Err(fault) => return vec![ArchiveItem::fault("file", at, fault)],
    };
    let all: Vec<Row<'_>> = table.rows().collect();
    // Rows of one workout stand together; one that comes again is the same.
    let mut order = Vec::new();
    let mut groups: HashMap<[&str; 3], Vec<usize>> = HashMap::new();
    for (number, row) in all.iter().enumerate() {
        let word = |column: Option<usize>| cell(row, column).unwrap_or_default();
        let key = [word(Some(columns.title)), word(Some(columns.start)), word(columns.end)];
        groups.entry(key).or_insert_with(|| {
            order.push(key);
            Vec::new()
        });
        groups.get_mut(&key).expect("just put there").push(number);
    }
    order
        .into_iter()
        .map(|key| {
            let rows = &groups[&key];
            let at = format!("{at}#{}", rows[0]);
            let rows: Vec<&Row<'_>> = rows.iter().map(|number| &all[*number]).collect();
            ArchiveItem::of("row", at.clone(), workout_of_rows(&table, &columns, key, &rows, from, &at))
        })
        .collect()
}

fn workout_of_rows(
    table: &Table<'_>,
    columns: &Columns,
    [title, start, end]: [&str; 3],
    rows: &[&Row<'_>],
    from: &ReadFrom,
    at: &str,
) -> Result<Parsed, Fault> {
    let mut a = from.activity(at);
    let mut faults = Vec::new();
    a.source_id = table_id(title, start, end, columns.order);
    a.title = Some(title.to_string()).filter(|title| !title.is_empty());
    let clock = |field: &str, text: &str| {
        let civil = time::civil(text, columns.order);
        let time = civil.and_then(|civil| from.local(civil));
        time.ok_or_else(|| Fault::expected(field, "a date", text).of(Some(&a.source_id)))
    };
    let (begin, offset_s, _) = clock("start_time", start)?;
    match clock("end_time", end) {
        Ok((end, _, _)) => a.elapsed_s = Some(end.duration_since(begin).as_secs_f64()),
        Err(_) if end.is_empty() => {}
        Err(fault) => faults.push(fault),
    }
    a.start_time = begin;
    a.utc_offset_s = offset_s;
    a.start_quality = if offset_s.is_some() { "minute" } else { "zone_unknown" }.to_string();
    a.description = cell(rows[0], table.column(&["description"])).map(str::to_string);
    let mut sets = Vec::with_capacity(rows.len());
    let mut exercise_index = 0;
    for row in rows {
        let word = |name: &str| cell(row, table.column(&[name])).map(str::to_string);
        let id = &a.source_id;
        let mut value = |name: &str, column: Option<usize>, scale: f64| {
            let text = cell(row, column)?;
            csv::number(name, text).map_err(|fault| faults.push(fault.of(Some(id)))).ok().map(|n| n * scale)
        };
        let exercise_name = cell(row, columns.exercise).map(str::to_string);
        let set_index = value("set_index", table.column(&["set_index"]), 1.0).map(|n| n as i32);
        // The same exercise may come again right behind itself: its sets are then counted anew.
        if let Some(before) = sets.last() as Option<&ExerciseSet>
            && (before.exercise_name != exercise_name
                || before.set_index.zip(set_index).is_some_and(|(before, this)| this <= before))
        {
            exercise_index += 1;
        }
        sets.push(ExerciseSet {
            exercise_name,
            exercise_index: Some(exercise_index),
            superset_id: word("superset_id"),
            set_index,
            set_type: word("set_type"),
            reps: value("reps", table.column(&["reps"]), 1.0).map(|n| n as i32),
            weight_kg: columns.weight.and_then(|(column, scale)| value("weight", Some(column), scale)),
            distance_m: columns.distance.and_then(|(column, scale)| value("distance", Some(column), scale)),
            duration_s: value("duration_seconds", table.column(&["duration_seconds"]), 1.0),
            perceived_exertion: value("rpe", table.column(&["rpe"]), 1.0),
            notes: word("exercise_notes"),
        });
    }
    a.exercise_sets = Some(sets);
    Ok(Parsed::new(a, None, faults))
}

/// The records of a body, and of which workout each is a version.
fn versions_of_body(
    archive: &Container,
    entry: &ArchiveEntry,
    from: &ReadFrom,
) -> Vec<(Option<Version>, ArchiveItem)> {
    if !is_body(archive, entry) {
        return vec![(None, ArchiveItem::nothing("file", format!("!{}", entry.name)))];
    }
    let head = archive.head(entry, 8192);
    let key = if head.windows(8).any(|w| w == b"\"events\"") { "events" } else { "workouts" };
    let mut versions = HashMap::new();
    let items = records(archive, entry, key, "id", |value, _, at| {
        let workout = value.get("workout").unwrap_or(value);
        let known = workout.get("id").or_else(|| value.get("id")).and_then(|v| id("id", v).ok());
        let changed = |field: &str, value: Value<'_, '_>| instant(field, value.get(field)?).ok();
        let deleted = changed("deleted_at", value);
        if let Some(id) = &known {
            let version = Version { id: id.clone(), at: deleted.or_else(|| changed("updated_at", workout)) };
            versions.insert(at.to_string(), version);
        }
        if value.get("deleted_at").is_some() {
            return None;
        }
        Some(workout_of_body(workout, from, at).map_err(|fault| fault.of(known.as_deref())))
    });
    let paired = items.into_iter().map(|item| match (versions.remove(&item.at), item.found) {
        (Some(version), Found::NoActivity) => {
            // A deletion that is not dated is as old as the export that tells of it.
            let at = version.at.unwrap_or(from.fetched_at);
            let gone = Gone { source_id: version.id.clone(), at };
            (Some(version), ArchiveItem::gone(item.kind, item.at, gone))
        }
        (version, found) => (version, ArchiveItem { found, ..item }),
    });
    paired.collect()
}

fn instant(field: &str, value: Value<'_, '_>) -> Result<Timestamp, Fault> {
    let found = text(field, value)?;
    time::utc(&found).ok_or_else(|| Fault::expected(field, "a time", &found))
}

fn workout_of_body(value: Value<'_, '_>, from: &ReadFrom, at: &str) -> Result<Parsed, Fault> {
    let mut a = from.activity(at);
    a.origin = "api".to_string();
    let (mut start, mut end, mut changed) = (None, None, None);
    let mut sets = Vec::new();
    let mut faults = Vec::new();
    a.extra = fields(value, &mut faults, |key, v, faults| {
        match key {
            "id" => a.source_id = id(key, v)?,
            "title" => a.title = Some(text(key, v)?),
            "description" => a.description = Some(text(key, v)?),
            "start_time" => start = Some(instant(key, v)?),
            "end_time" => end = Some(instant(key, v)?),
            "updated_at" => {
                changed = instant(key, v).ok();
                return Ok(false);
            }
            "exercises" => {
                for (index, of_exercise) in list_of_records(key, v, faults, exercise)?.into_iter().enumerate()
                {
                    let numbered = of_exercise
                        .into_iter()
                        .map(|set| ExerciseSet { exercise_index: i32::try_from(index).ok(), ..set });
                    sets.extend(numbered);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if a.source_id.is_empty() {
        return Err(missing("id", &faults));
    }
    a.start_time = start.ok_or_else(|| missing("start_time", &faults))?;
    a.elapsed_s = end.map(|end| end.duration_since(a.start_time).as_secs_f64());
    a.exercise_sets = Some(sets);
    // Hevy's own time of this version: whichever way the versions come in, the newest is the newest.
    if let Some(changed) = changed {
        a.fetched_at = changed.max(a.start_time).min(from.fetched_at);
        a.detail_at = Some(a.fetched_at);
    }
    let faults = faults.into_iter().map(|fault| fault.of(Some(&a.source_id))).collect();
    Ok(Parsed::new(a, None, faults))
}

fn exercise(value: Value<'_, '_>, faults: &mut Vec<Fault>) -> Result<Vec<ExerciseSet>, Fault> {
    let word = |names: &[&str]| {
        let found = names.iter().find_map(|name| value.get(name).filter(|v| !is_absent(*v)))?;
        id("superset_id", found).ok()
    };
    let title = word(&["title"]);
    let superset = word(&["superset_id", "supersets_id"]);
    let notes = word(&["notes"]);
    let Some(sets) = value.get("sets").filter(|v| !is_absent(*v)) else { return Ok(Vec::new()) };
    list_of_records("sets", sets, faults, |set, faults| {
        let mut read = ExerciseSet {
            exercise_name: title.clone(),
            superset_id: superset.clone(),
            notes: notes.clone(),
            ..ExerciseSet::default()
        };
        fields(set, faults, |key, v, _| {
            match key {
                "index" => read.set_index = Some(whole(key, v)?),
                "type" => read.set_type = Some(text(key, v)?),
                "weight_kg" => read.weight_kg = Some(number(key, v)?),
                "reps" => read.reps = Some(number(key, v)? as i32),
                "distance_meters" => read.distance_m = Some(number(key, v)?),
                "duration_seconds" => read.duration_s = Some(number(key, v)?),
                "rpe" => read.perceived_exertion = Some(number(key, v)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(read)
    })
}
