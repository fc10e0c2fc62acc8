//! Garmin: the account export, and the bodies that the Activity API pushes.
//!
//! The export has units of its own: milliseconds, centimetres, centimetres per millisecond, and
//! kilojoules where the API has kilocalories. Its summaries and its FIT files do not name each
//! other reliably, so they are joined by their starts. Most of the FIT files are not activities.

use std::collections::HashMap;

use jiff::Timestamp;
use memchr::memmem;
use rayon::prelude::*;

use super::formats::json::{
    Value, fields, flag, id, is_absent, list_of_records, missing, number, text, whole,
};
use super::formats::recording::{Recording, Sample};
use super::formats::zip::{ArchiveEntry, Container};
use super::{
    ArchiveItem, Fault, Found, OnItem, Parsed, Ranks, ReadFrom, Spec, degrees_e7, files, in_parallel, records,
};
use crate::error::Result;
use crate::model::activity::{Activity, ExerciseSet, Lap};
use crate::model::extra;

/// What is true of this source.
pub const SPEC: Spec = Spec {
    name: "garmin",
    help: "The account export, or bodies that the Activity API pushed",
    fitglue: "SOURCE_FILE_UPLOAD",
    ranks: Ranks { written: 30, measured: 10, sets: 20, sent: 60 },
    can_echo: false,
    gathers: false,
    app_key: None,
    only_sport: None,
    recognises,
    read,
};

const SUMMARIES: &str = "summarizedactivities.json";
/// The lists that a push holds, and whether their elements have samples.
const PUSHED: [(&str, bool); 4] = [
    ("activityDetails", true),
    ("activities", false),
    ("manuallyUpdatedActivities", false),
    ("moveIQActivities", false),
];
/// A file and a summary of the same recording begin this close together.
const SAME_START_S: i64 = 60;
const KCAL_PER_KJ: f64 = 1.0 / 4.184;

pub fn recognises(archive: &Container) -> bool {
    archive.ending(SUMMARIES).next().is_some()
        || archive.entries().iter().any(|entry| entry.name.contains("DI_CONNECT/"))
        || archive.ending(".json").take(100).any(|entry| pushed_list(&archive.head(entry, 2048)).is_some())
}

fn pushed_list(head: &[u8]) -> Option<(&'static str, bool)> {
    let head = String::from_utf8_lossy(head);
    let is_garmins = head.contains("summaryId") || head.contains("startTimeInSeconds");
    PUSHED.into_iter().find(|(key, _)| is_garmins && head.contains(&format!("\"{key}\"")))
}

pub fn read(archive: &Container, from: &ReadFrom, each: OnItem<'_>) -> Result<()> {
    let tables: Vec<&ArchiveEntry> = archive.ending(SUMMARIES).collect();
    let others: Vec<&ArchiveEntry> =
        archive.ending(".json").filter(|e| !e.name.to_lowercase().ends_with(SUMMARIES)).collect();
    let recorded: Vec<&ArchiveEntry> =
        archive.entries().iter().filter(|e| files::is_device_file(&e.name)).collect();
    let bytes = |entry: &&ArchiveEntry| entry.weight();
    let finish = |taken| from.finish(taken);
    // Where there is nothing to join, nothing waits.
    if recorded.is_empty() && are_distinct(archive, &tables) {
        in_parallel(&others, bytes, |entry| pushes(archive, entry, from), &mut *each)?;
        return in_parallel(&tables, bytes, |entry| summaries(archive, entry, from, finish), each);
    }
    let mut waiting = Waiting::default();
    let unfinished = |taken| taken;
    in_parallel(&tables, bytes, |entry| summaries(archive, entry, from, unfinished), &mut |item| match item
        .found
    {
        Found::Activity(taken) => {
            waiting.add(item.at, taken);
            Ok(())
        }
        _ => each(item),
    })?;
    in_parallel(&others, bytes, |entry| pushes(archive, entry, from), &mut *each)?;
    waiting.sort();
    in_parallel(
        &recorded,
        bytes,
        |entry| files::items(archive, entry, from),
        &mut |item| match item.found {
            Found::Activity(taken) => each(waiting.join(item.at, taken)),
            _ => each(item),
        },
    )?;
    for (at, taken) in waiting.left() {
        each(ArchiveItem { kind: "record", at, found: Found::Activity(taken) })?;
    }
    Ok(())
}

/// Whether every summary of these tables surely is in one of them only, once: so many exports are that no file came
/// with, and reading their ids alone takes next to nothing.
fn are_distinct(archive: &Container, tables: &[&ArchiveEntry]) -> bool {
    let read = tables.par_iter().map(|entry| plain_ids(&archive.read(entry).ok()?));
    let Some(mut ids) = read.collect::<Option<Vec<_>>>().map(|ids| ids.concat()) else { return false };
    ids.par_sort_unstable();
    ids.windows(2).all(|two| two[0] != two[1])
}

/// The numbers behind every `activityId`; None where one of them is written in another way.
fn plain_ids(bytes: &[u8]) -> Option<Vec<u64>> {
    const KEY: &[u8] = b"\"activityId\"";
    let id = |at: usize| {
        let rest = bytes[at + KEY.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let length = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        let is_whole = matches!(rest[length], b',' | b'}') || rest[length].is_ascii_whitespace();
        std::str::from_utf8(&rest[..length]).ok().filter(|_| is_whole)?.parse().ok()
    };
    memmem::find_iter(bytes, KEY).map(id).collect()
}

/// Summaries that wait for their files.
#[derive(Default)]
struct Waiting {
    all: Vec<Option<(String, Box<Parsed>)>>,
    /// Starts in unix seconds, in their order, once all are there.
    by_start: Vec<(i64, usize)>,
    by_id: HashMap<String, usize>,
}

impl Waiting {
    fn add(&mut self, at: String, taken: Box<Parsed>) {
        // Of one that is in two files of the export, there is one.
        if let Some(index) = self.by_id.get(&taken.activity.source_id)
            && let Some((_, first)) = &mut self.all[*index]
        {
            return first.activity.complete_with(taken.activity);
        }
        let index = self.all.len();
        self.by_start.push((taken.activity.start_time.as_second(), index));
        self.by_id.insert(taken.activity.source_id.clone(), index);
        self.all.push(Some((at, taken)));
    }

    /// What comes before the files are joined.
    fn sort(&mut self) {
        self.by_start.sort_unstable();
    }

    /// A recording with the summary of it, if there is one.
    fn join(&mut self, at: String, mut file: Box<Parsed>) -> ArchiveItem {
        let start_s = file.activity.start_time.as_second();
        // A file of several sessions is that of their parent, by its name; each of them has its own summary.
        let is_one_of_many = file.activity.source_id.contains('-');
        let named = file.activity.external_id.as_deref().filter(|_| !is_one_of_many).and_then(|name| {
            let stem = name.split('.').next()?;
            self.by_id.get(stem.rsplit('_').next()?).copied()
        });
        let begins = |index: usize| {
            let (_, taken) = self.all[index].as_ref()?;
            Some((taken.activity.start_time.as_second() - start_s).abs())
        };
        let named = named.filter(|index| begins(*index).is_some_and(|s| s <= 86_400));
        let near = || {
            let from = self.by_start.partition_point(|(begin, _)| *begin < start_s - SAME_START_S);
            let near = self.by_start[from..].iter().take_while(|(begin, _)| *begin <= start_s + SAME_START_S);
            let near = near.map(|(_, index)| *index);
            let elapsed = file.activity.elapsed_s.unwrap_or(0.0);
            let away = |index: &usize| {
                let other = self.all[*index].as_ref().and_then(|(_, t)| t.activity.elapsed_s).unwrap_or(0.0);
                ((other - elapsed).abs() as i64, begins(*index).unwrap_or(i64::MAX), *index)
            };
            near.filter(|index| self.all[*index].is_some()).min_by_key(away)
        };
        let Some((place, mut taken)) = named.or_else(near).and_then(|index| self.all[index].take()) else {
            file.activity.origin = "archive".to_string();
            return ArchiveItem { kind: "file", at, found: Found::Activity(file) };
        };
        let a = &mut taken.activity;
        let device = file.activity.extra.take();
        a.complete_with(Activity { sport_raw: None, title: None, ..file.activity });
        a.extra = extra::joined(a.extra.take(), "device", device);
        taken.streams = file.streams.map(|mut streams| {
            streams.source_id.clone_from(&a.source_id);
            streams.origin.clone_from(&a.origin);
            streams
        });
        ArchiveItem { kind: "record", at: place, found: Found::Activity(taken) }
    }

    fn left(self) -> impl Iterator<Item = (String, Box<Parsed>)> {
        self.all.into_iter().flatten()
    }
}

/// The summaries of one file of the export, each with what is done with it last.
fn summaries(
    archive: &Container,
    entry: &ArchiveEntry,
    from: &ReadFrom,
    last: impl Fn(Box<Parsed>) -> Box<Parsed>,
) -> Vec<ArchiveItem> {
    let key = "summarizedActivitiesExport";
    records(archive, entry, key, "activityId", |value, _, at| Some(summary(value, from, at).map(&last)))
}

fn epoch_ms(field: &str, value: Value<'_, '_>) -> Result<Timestamp, Fault> {
    let ms = number(field, value)?;
    Timestamp::from_millisecond(ms as i64).map_err(|_| Fault::field(field, format!("{ms} ms is no time")))
}

/// The typeKey, which some exports nest.
fn type_key(field: &str, value: Value<'_, '_>) -> Result<String, Fault> {
    text(field, value.get("typeKey").unwrap_or(value))
}

fn summary(value: Value<'_, '_>, from: &ReadFrom, at: &str) -> Result<Box<Parsed>, Fault> {
    let mut taken = from.parsed(at);
    let a = &mut taken.activity;
    let (mut begin, mut gmt, mut local) = (None, None, None);
    let (mut older_sport, mut duration_s) = (None, None);
    let mut faults = Vec::new();
    let extra = fields(value, &mut faults, |key, v, faults| {
        let scaled = |scale: f64| number(key, v).map(|n| Some(n * scale));
        match key {
            "activityId" => a.source_id = id(key, v)?,
            "name" | "activityName" => a.title = Some(text(key, v)?),
            "description" => a.description = Some(text(key, v)?),
            "activityType" => a.sport_raw = Some(type_key(key, v)?),
            "sportType" => older_sport = Some(type_key(key, v)?),
            "beginTimestamp" => begin = Some(epoch_ms(key, v)?),
            "startTimeGmt" => gmt = Some(epoch_ms(key, v)?),
            "startTimeLocal" => local = Some(epoch_ms(key, v)?),
            "elapsedDuration" => a.elapsed_s = scaled(1e-3)?,
            // Without the pauses. It stays among the fields that have no column, too.
            "duration" => {
                duration_s = v.as_f64().map(|ms| ms / 1000.0);
                return Ok(false);
            }
            "movingDuration" => a.moving_s = scaled(1e-3)?,
            "distance" => a.distance_m = scaled(1e-2)?,
            "elevationGain" => a.elevation_gain_m = scaled(1e-2)?,
            "elevationLoss" => a.elevation_loss_m = scaled(1e-2)?,
            "minElevation" => a.elevation_low_m = scaled(1e-2)?,
            "maxElevation" => a.elevation_high_m = scaled(1e-2)?,
            "avgSpeed" => a.avg_speed_mps = scaled(10.0)?,
            "maxSpeed" => a.max_speed_mps = scaled(10.0)?,
            "avgHr" => a.avg_heart_rate_bpm = scaled(1.0)?,
            "maxHr" => a.max_heart_rate_bpm = scaled(1.0)?,
            "avgRunCadence" | "avgBikeCadence" => a.avg_cadence_rpm = scaled(1.0)?,
            "maxRunCadence" | "maxBikeCadence" => a.max_cadence_rpm = scaled(1.0)?,
            "avgPower" => a.avg_power_w = scaled(1.0)?,
            "maxPower" => a.max_power_w = scaled(1.0)?,
            "normPower" => a.weighted_power_w = scaled(1.0)?,
            "calories" => a.calories_kcal = scaled(KCAL_PER_KJ)?,
            "avgTemperature" => a.temperature_c = scaled(1.0)?,
            "startLatitude" => a.start_lat_deg = scaled(1.0)?,
            "startLongitude" => a.start_lon_deg = scaled(1.0)?,
            "endLatitude" => a.end_lat_deg = scaled(1.0)?,
            "endLongitude" => a.end_lon_deg = scaled(1.0)?,
            "deviceId" => a.device_serial = Some(id(key, v)?),
            "userProfileId" => a.source_account_id = Some(id(key, v)?),
            "parent" => a.is_parent = Some(flag(key, v)?).filter(|is_parent| *is_parent),
            "parentId" => a.parent_id = Some(id(key, v)?),
            "workoutRpe" => a.perceived_exertion = scaled(0.1)?,
            "summarizedExerciseSets" => {
                a.exercise_sets = Some(sets(key, v, faults)?);
                return Ok(false);
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if a.source_id.is_empty() {
        return Err(missing("activityId", &faults));
    }
    a.start_time = gmt.or(begin).ok_or_else(|| missing("startTimeGmt", &faults))?;
    // Without a track nothing moved, says Garmin: that is no time.
    a.moving_s = a.moving_s.filter(|s| *s > 0.0).or(duration_s);
    a.elapsed_s = a.elapsed_s.or(duration_s);
    a.sport_raw = a.sport_raw.take().or(older_sport);
    if let Some(local) = local {
        let offset = local.duration_since(a.start_time).as_secs();
        a.utc_offset_s = i32::try_from(offset).ok().filter(|s| s.abs() <= 86_400);
    }
    a.extra = extra;
    taken.faults = faults.into_iter().map(|fault| fault.of(Some(&a.source_id))).collect();
    Ok(taken)
}

/// Sums of sets by exercise: the repetitions of all of them, and the heaviest weight, in grams.
fn sets(field: &str, value: Value<'_, '_>, faults: &mut Vec<Fault>) -> Result<Vec<ExerciseSet>, Fault> {
    list_of_records(field, value, faults, |set, _| {
        let number = |name: &str| set.get(name).and_then(|v| v.as_f64()).filter(|n| n.is_finite());
        let word = |name: &str| set.get(name).and_then(|v| v.as_str()).filter(|w| !w.is_empty());
        Ok(ExerciseSet {
            exercise_name: word("subCategory").or(word("category")).map(str::to_string),
            set_type: Some("summary".to_string()),
            reps: number("reps").map(|n| n as i32),
            weight_kg: number("maxWeight").map(|grams| grams / 1000.0),
            duration_s: number("duration").map(|ms| ms / 1000.0),
            notes: number("sets").map(|n| format!("{n} sets")),
            ..ExerciseSet::default()
        })
    })
}

/// The activities of a body that was pushed.
fn pushes(archive: &Container, entry: &ArchiveEntry, from: &ReadFrom) -> Vec<ArchiveItem> {
    let Some((key, has_samples)) = pushed_list(&archive.head(entry, 2048)) else {
        return vec![ArchiveItem::nothing("file", format!("!{}", entry.name))];
    };
    // One body may tell of many athletes; an import is of one.
    let mut whose = None;
    records(archive, entry, key, "activityId", |value, _, at| {
        let user = value.get("userId").and_then(|v| v.as_str()).map(str::to_string);
        if whose.get_or_insert_with(|| user.clone()) != &user {
            let reason = "is another athlete than that of the first record, and an import is of one";
            return Some(Err(Fault::field("userId", reason)));
        }
        Some(pushed(value, has_samples, from, at))
    })
}

fn pushed(value: Value<'_, '_>, has_samples: bool, from: &ReadFrom, at: &str) -> Result<Parsed, Fault> {
    let mut a = from.activity(at);
    a.origin = "api".to_string();
    // Without samples it is a summary, and does not replace a whole one.
    a.detail_at = a.detail_at.filter(|_| has_samples);
    let summary = if has_samples { value.get("summary").unwrap_or(value) } else { value };
    let (mut start_s, mut summary_id, mut steps) = (None, None, None);
    let mut run_cadence = (None, None);
    let mut read = |key: &str, v: Value<'_, '_>, _: &mut Vec<Fault>| -> Result<bool, Fault> {
        let given = || number(key, v).map(Some);
        match key {
            "activityId" => a.source_id = id(key, v)?,
            "summaryId" => summary_id = Some(id(key, v)?.trim_end_matches("-detail").to_string()),
            "userId" => a.source_account_id = Some(id(key, v)?),
            // Old bodies carry the athlete's token, and pings a link that stands for one: they go nowhere.
            "userAccessToken" | "callbackURL" => {}
            "activityName" => a.title = Some(text(key, v)?),
            "activityDescription" => a.description = Some(text(key, v)?),
            "activityType" => a.sport_raw = Some(text(key, v)?),
            "startTimeInSeconds" => start_s = Some(number(key, v)?),
            "startTimeOffsetInSeconds" | "offsetInSeconds" => a.utc_offset_s = Some(whole(key, v)?),
            "durationInSeconds" => a.elapsed_s = given()?,
            "movingDurationInSeconds" => a.moving_s = given()?,
            "distanceInMeters" => a.distance_m = given()?,
            "averageSpeedInMetersPerSecond" => a.avg_speed_mps = given()?,
            "maxSpeedInMetersPerSecond" => a.max_speed_mps = given()?,
            "averageHeartRateInBeatsPerMinute" => a.avg_heart_rate_bpm = given()?,
            "maxHeartRateInBeatsPerMinute" => a.max_heart_rate_bpm = given()?,
            "averageBikeCadenceInRoundsPerMinute" => a.avg_cadence_rpm = given()?,
            "maxBikeCadenceInRoundsPerMinute" => a.max_cadence_rpm = given()?,
            "averageRunCadenceInStepsPerMinute" => run_cadence.0 = given()?,
            "maxRunCadenceInStepsPerMinute" => run_cadence.1 = given()?,
            "steps" => {
                steps = given()?;
                return Ok(false);
            }
            "activeKilocalories" => a.calories_kcal = given()?,
            "totalElevationGainInMeters" => a.elevation_gain_m = given()?,
            "totalElevationLossInMeters" => a.elevation_loss_m = given()?,
            "startingLatitudeInDegree" => a.start_lat_deg = given()?,
            "startingLongitudeInDegree" => a.start_lon_deg = given()?,
            "deviceName" => a.device_name = Some(text(key, v)?).filter(|name| name != "unknown"),
            "manual" => a.manual = Some(flag(key, v)?),
            "isParent" => a.is_parent = Some(flag(key, v)?).filter(|is_parent| *is_parent),
            "parentSummaryId" => a.parent_id = Some(id(key, v)?),
            "summary" | "samples" | "laps" if has_samples => {}
            _ => return Ok(false),
        }
        Ok(true)
    };
    let mut faults = Vec::new();
    let mut extra = fields(value, &mut faults, &mut read)?;
    if has_samples {
        extra = fields(summary, &mut faults, &mut read)?.or(extra);
    }
    a.extra = extra;
    // Steps of both legs by their name; some senders count those of one, as the number of steps shows.
    let per_minute = steps.zip(a.elapsed_s.filter(|s| *s > 0.0)).map(|(steps, s)| steps / s * 60.0);
    let is_of_one_leg = run_cadence
        .0
        .zip(per_minute)
        .is_some_and(|(given, both)| given * 2.0 < both * 1.25 && given < both * 0.75);
    let legs = if is_of_one_leg { 1.0 } else { 2.0 };
    a.avg_cadence_rpm = a.avg_cadence_rpm.or(run_cadence.0.map(|spm| spm / legs));
    a.max_cadence_rpm = a.max_cadence_rpm.or(run_cadence.1.map(|spm| spm / legs));
    if a.source_id.is_empty() {
        a.source_id = summary_id.ok_or_else(|| Fault::field("summaryId", "missing"))?;
    }
    let start_s = start_s.ok_or_else(|| missing("startTimeInSeconds", &faults).of(Some(&a.source_id)))?;
    a.start_time = Timestamp::from_second(start_s as i64).map_err(|_| {
        Fault::field("startTimeInSeconds", format!("{start_s} s is no time")).of(Some(&a.source_id))
    })?;
    let named = |faults: Vec<Fault>, id: &str| faults.into_iter().map(|fault| fault.of(Some(id))).collect();
    if !has_samples {
        let faults = named(faults, &a.source_id);
        return Ok(Parsed::new(a, None, faults));
    }
    if let Some(laps) = value.get("laps").filter(|v| !is_absent(*v)) {
        let start =
            |lap: Value<'_, '_>, _: &mut _| Ok(lap.get("startTimeInSeconds").and_then(|v| v.as_f64()));
        let starts = list_of_records("laps", laps, &mut faults, start);
        let starts = starts.map_err(|fault| faults.push(fault)).unwrap_or_default();
        let lap = |(index, start): (usize, Option<f64>)| Lap {
            lap_index: i32::try_from(index + 1).ok(),
            start_time: start.and_then(|s| Timestamp::from_second(s as i64).ok()),
            ..Lap::default()
        };
        a.laps = Some(starts.into_iter().enumerate().map(lap).collect());
    }
    let samples = match value.get("samples").filter(|v| !is_absent(*v)) {
        Some(samples) => list_of_records("samples", samples, &mut faults, sample)
            .map_err(|fault| faults.push(fault))
            .unwrap_or_default(),
        None => Vec::new(),
    };
    let (activity, streams) = Recording::new(a, samples).finish();
    let streams = streams.map(|streams| from.streams(streams, &activity));
    let faults = named(faults, &activity.source_id);
    Ok(Parsed::new(activity, streams, faults))
}

fn sample(value: Value<'_, '_>, faults: &mut Vec<Fault>) -> Result<Sample, Fault> {
    let mut sample = Sample::default();
    let mut time_ms = None;
    fields(value, faults, |key, v, _| {
        let given = || number(key, v).map(Some);
        let rounded = || number(key, v).map(|n| Some(n.round() as i32));
        match key {
            "startTimeInSeconds" => {
                let time = Timestamp::from_second(number(key, v)? as i64);
                time_ms = Some(time.map_err(|_| Fault::field(key, "is no time"))?.as_millisecond());
            }
            "latitudeInDegree" => sample.lat_e7 = degrees_e7(number(key, v)?, 90.0),
            "longitudeInDegree" => sample.lon_e7 = degrees_e7(number(key, v)?, 180.0),
            "elevationInMeters" => sample.altitude_m = given()?,
            "airTemperatureCelcius" => sample.temperature_c = rounded()?,
            "heartRate" => sample.heart_rate_bpm = rounded()?.filter(|bpm| *bpm > 0),
            "speedMetersPerSecond" => sample.speed_mps = given()?,
            "stepsPerMinute" => sample.cadence_rpm = Some((number(key, v)? / 2.0).round() as i32),
            "bikeCadenceInRPM" => sample.cadence_rpm = rounded()?,
            "totalDistanceInMeters" => sample.distance_m = given()?,
            "powerInWatts" => sample.power_w = rounded()?,
            _ => {}
        }
        Ok(true)
    })?;
    sample.time_ms = time_ms.ok_or_else(|| missing("startTimeInSeconds", faults))?;
    if sample.lat_e7.is_none() || sample.lon_e7.is_none() {
        (sample.lat_e7, sample.lon_e7) = (None, None);
    }
    Ok(sample)
}
