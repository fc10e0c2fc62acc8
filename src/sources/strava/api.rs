//! Strava API v3: bodies of the activity list, of one activity, and of its streams.
//!
//! Every field of Strava's schema is optional and may be null; lists from different years
//! differ in their types (whole numbers where others have fractions, `[]` or null for no
//! position). What has a column goes there, what can be derived from a column is dropped,
//! and everything else is kept as JSON in `extra`.

use std::hash::Hasher;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use twox_hash::XxHash64;

use super::SOURCE;
use crate::model::activity::{Activity, Lap, SCHEMA_VERSION, SegmentEffort, Split};
use crate::model::{polyline, sport};
use crate::sources::formats::json::{
    self, Value, fields, flag, id, is_absent, list, list_of_records, missing, number, text, time, whole,
};
use crate::sources::{Fault, Parsed, ReadFrom};

/// How much of an activity a body tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Summary,
    Detail,
}

/// Reads a page of `GET /athlete/activities`.
pub fn activity_list(
    body: &[u8],
    provenance: &ReadFrom,
    mut each: impl FnMut(usize, Result<Box<Parsed>, Fault>),
) -> Result<(), String> {
    json::for_each_element(body, |index, element| {
        let taken = element
            .map_err(Fault::record)
            .and_then(|value| activity(value, Level::Summary, provenance, index));
        each(index, taken);
    })
}

/// Reads a body of `GET /activities/{id}`.
pub fn activity_detail(body: &[u8], provenance: &ReadFrom) -> Result<Box<Parsed>, Fault> {
    json::with_document(body, |value| activity(value, Level::Detail, provenance, 0))
}

/// What a walk through the list has to know of an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    pub id: String,
    pub start_s: i64,
    pub manual: bool,
    /// Another one when something was edited: a hash of `EDITED`.
    pub print: u64,
}

/// What an athlete or an upload sets of a list's line. Counts of kudos, comments and photos, and what Strava works out
/// from others' activities, change by themselves and say nothing about the activity.
const EDITED: [&str; 24] = [
    "name",
    "sport_type",
    "type",
    "workout_type",
    "start_date",
    "start_date_local",
    "timezone",
    "distance",
    "moving_time",
    "elapsed_time",
    "total_elevation_gain",
    "gear_id",
    "device_name",
    "trainer",
    "commute",
    "manual",
    "private",
    "visibility",
    "flagged",
    "upload_id",
    "external_id",
    "start_latlng",
    "end_latlng",
    "map",
];

/// Reads ids and starts of a page of the list: `None` for a record that cannot be read. An
/// error says why the page is none.
pub fn list_entries(body: &[u8]) -> Result<Vec<Option<ListEntry>>, String> {
    let mut entries = Vec::new();
    json::for_each_element(body, |_, element| {
        let entry = element.ok().and_then(|value| {
            Some(ListEntry {
                id: id("id", value.get("id")?).ok()?,
                start_s: time("start_date", value.get("start_date")?).ok()?.as_second(),
                manual: value.get("manual").and_then(|v| v.as_bool()).unwrap_or(false),
                print: print(value),
            })
        });
        entries.push(entry);
    })?;
    Ok(entries)
}

/// The athletes whose activities are on a page of the list, each once.
pub fn athletes_of_list(body: &[u8]) -> Vec<String> {
    let mut athletes = Vec::new();
    // What cannot be read names nobody, and is complained of by who reads all of it.
    let _ = json::for_each_element(body, |_, element| {
        let athlete = element.ok().and_then(athlete);
        athletes.extend(athlete.filter(|athlete| !athletes.contains(athlete)));
    });
    athletes
}

/// The id of an activity; None where the body has none. An error says why it is no JSON.
pub fn id_of_detail(body: &[u8]) -> Result<Option<String>, String> {
    let read = json::with_document(body, |value| Ok(value.get("id").and_then(|value| id("id", value).ok())));
    read.map_err(|fault| fault.reason)
}

/// The athlete whose an activity is.
pub fn athlete_of_detail(body: &[u8]) -> Vec<String> {
    let named = json::with_document(body, |value| Ok(athlete(value)));
    named.ok().flatten().into_iter().collect()
}

fn athlete(activity: Value<'_, '_>) -> Option<String> {
    id("id", activity.get("athlete")?.get("id")?).ok()
}

/// A hash of what was edited, whatever order the fields come in.
fn print(line: Value<'_, '_>) -> u64 {
    let mut hash = XxHash64::with_seed(0);
    for field in EDITED {
        hash.write(field.as_bytes());
        match (field, line.get(field)) {
            // Its polyline; its id and state say nothing.
            ("map", Some(map)) => add(&mut hash, map.get("summary_polyline")),
            (_, value) => add(&mut hash, value),
        }
    }
    hash.finish()
}

/// An absent field and a null are the same.
fn add(hash: &mut XxHash64, value: Option<Value<'_, '_>>) {
    let Some(value) = value.filter(|value| !value.is_null()) else { return hash.write_u8(0) };
    if let Some(text) = value.as_str() {
        hash.write(text.as_bytes());
    } else if let Some(flag) = value.as_bool() {
        hash.write_u8(2 + u8::from(flag));
    } else if let Some(number) = value.as_f64() {
        hash.write_u64(number.to_bits());
    } else if let Some(elements) = value.elements() {
        elements.for_each(|element| add(hash, Some(element)));
    }
}

/// An activity stays where it is read: it is thousands of bytes.
fn activity(value: Value<'_, '_>, level: Level, from: &ReadFrom, index: usize) -> Result<Box<Parsed>, Fault> {
    let mut taken = Box::<Parsed>::default();
    match read_activity(value, level, from, index, &mut taken) {
        Ok(()) => Ok(taken),
        Err(fault) => {
            let source_id = value.get("id").and_then(|v| id("id", v).ok());
            Err(fault.of(source_id.as_deref()))
        }
    }
}

fn read_activity(
    value: Value<'_, '_>,
    level: Level,
    from: &ReadFrom,
    index: usize,
    taken: &mut Parsed,
) -> Result<(), Fault> {
    let Parsed { activity: a, faults, .. } = taken;
    a.user_id.clone_from(&from.user_id);
    a.source = SOURCE.to_string();
    a.source_account_id.clone_from(&from.account_id);
    a.origin = "api".to_string();
    a.fetched_at = from.fetched_at;
    a.detail_at = (level == Level::Detail).then_some(from.fetched_at);
    a.raw_ref = [&from.raw_ref, "#", itoa::Buffer::new().format(index)].concat();
    a.schema_version = SCHEMA_VERSION;
    let mut start = None;
    let mut start_local = None;
    let mut old_type = None;
    let mut old_start = (None, None);
    let mut track = None;
    let extra = fields(value, faults, |key, v, faults| {
        // By their lengths first, so that a name is compared with few others.
        match (key.len(), key) {
            (2, "id") => a.source_id = id(key, v)?,
            (11, "external_id") => a.external_id = Some(text(key, v)?),
            // The string is the safe one of the two, so it wins wherever it stands.
            (13, "upload_id_str") => a.upload_id = Some(text(key, v)?),
            (9, "upload_id") => {
                let number = id(key, v)?;
                a.upload_id.get_or_insert(number);
            }
            (4, "name") => a.title = Some(text(key, v)?),
            (11, "description") => a.description = Some(text(key, v)?),
            (10, "sport_type") => a.sport_raw = Some(text(key, v)?),
            (4, "type") => old_type = Some(text(key, v)?),
            (10, "start_date") => start = Some(time(key, v)?),
            // The local wall clock, with a `Z` that is not true.
            (16, "start_date_local") => start_local = Some(time(key, v)?),
            (10, "utc_offset") => a.utc_offset_s = Some(whole(key, v)?),
            (8, "timezone") => a.timezone = Some(zone_name(&text(key, v)?).to_string()),
            (12, "elapsed_time") => a.elapsed_s = Some(number(key, v)?),
            (11, "moving_time") => a.moving_s = Some(number(key, v)?),
            (8, "distance") => a.distance_m = Some(number(key, v)?),
            (20, "total_elevation_gain") => a.elevation_gain_m = Some(number(key, v)?),
            (8, "elev_low") => a.elevation_low_m = Some(number(key, v)?),
            (9, "elev_high") => a.elevation_high_m = Some(number(key, v)?),
            (13, "average_speed") => a.avg_speed_mps = Some(number(key, v)?),
            (9, "max_speed") => a.max_speed_mps = Some(number(key, v)?),
            (17, "average_heartrate") => a.avg_heart_rate_bpm = Some(number(key, v)?),
            (13, "max_heartrate") => a.max_heart_rate_bpm = Some(number(key, v)?),
            (15, "average_cadence") => a.avg_cadence_rpm = Some(number(key, v)?),
            (13, "average_watts") => a.avg_power_w = Some(number(key, v)?),
            (9, "max_watts") => a.max_power_w = Some(number(key, v)?),
            (22, "weighted_average_watts") => a.weighted_power_w = Some(number(key, v)?),
            (10, "kilojoules") => a.work_kj = Some(number(key, v)?),
            (12, "device_watts") => a.device_watts = Some(flag(key, v)?),
            (8, "calories") => a.calories_kcal = Some(number(key, v)?),
            (12, "average_temp") => a.temperature_c = Some(number(key, v)?),
            (12, "start_latlng") => (a.start_lat_deg, a.start_lon_deg) = position(key, v)?,
            (10, "end_latlng") => (a.end_lat_deg, a.end_lon_deg) = position(key, v)?,
            (14, "start_latitude") => old_start.0 = Some(number(key, v)?),
            (15, "start_longitude") => old_start.1 = Some(number(key, v)?),
            (3, "map") => track = read_map(v)?,
            (4, "laps") => a.laps = Some(list_of_records(key, v, faults, lap)?),
            (13, "splits_metric") => a.splits_metric = Some(list_of_records(key, v, faults, split)?),
            (15, "splits_standard") => a.splits_standard = Some(list_of_records(key, v, faults, split)?),
            (15, "segment_efforts") => a.segment_efforts = Some(list_of_records(key, v, faults, effort)?),
            (12, "best_efforts") => a.best_efforts = Some(list_of_records(key, v, faults, effort)?),
            (11, "device_name") => a.device_name = Some(text(key, v)?),
            (7, "gear_id") => a.gear_id = Some(text(key, v)?),
            (7, "trainer") => a.trainer = Some(flag(key, v)?),
            (7, "commute") => a.commute = Some(flag(key, v)?),
            (6, "manual") => a.manual = Some(flag(key, v)?),
            (7, "private") => a.private = Some(flag(key, v)?),
            (10, "visibility") => a.visibility = Some(text(key, v)?),
            (7, "flagged") => a.flagged = Some(flag(key, v)?),
            (12, "suffer_score") => a.suffer_score = Some(number(key, v)?),
            (18, "perceived_exertion") => a.perceived_exertion = Some(number(key, v)?),
            (12, "workout_type") => a.workout_type = Some(whole(key, v)?),
            (11, "kudos_count") => a.kudos_count = Some(whole(key, v)?),
            (17, "achievement_count") => a.achievement_count = Some(whole(key, v)?),
            (13, "comment_count") => a.comment_count = Some(whole(key, v)?),
            (13, "athlete_count") => a.athlete_count = Some(whole(key, v)?),
            (17, "total_photo_count") => a.photo_count = Some(whole(key, v)?),
            (8, "pr_count") => a.pr_count = Some(whole(key, v)?),
            // Both follow from what is kept: the account, and whether detail_at is there.
            (7, "athlete") | (14, "resource_state") => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if a.source_id.is_empty() {
        return Err(missing("id", faults));
    }
    a.start_time = start.ok_or_else(|| missing("start_date", faults))?;
    a.extra = extra;
    a.start_lat_deg = a.start_lat_deg.or(old_start.0);
    a.start_lon_deg = a.start_lon_deg.or(old_start.1);
    if let Some(local) = start_local {
        let offset = local.duration_since(a.start_time).as_secs();
        a.utc_offset_s = a.utc_offset_s.or(i32::try_from(offset).ok().filter(|s| s.abs() <= 86_400));
    }
    let local = start_local.or_else(|| local_start(a));
    a.start_quality = start_quality(a.start_time, local, a.manual == Some(true)).to_string();
    // `type` follows from `sport_type` where both are there.
    a.sport_raw = a.sport_raw.take().or(old_type);
    a.sport = a.sport_raw.as_deref().and_then(|raw| sport::canonical(SOURCE, raw)).map(str::to_string);
    if let Some(track) = track {
        a.set_track(track);
    }
    *faults = std::mem::take(faults).into_iter().map(|fault| fault.of(Some(&a.source_id))).collect();
    Ok(())
}

/// The track of a `map`: its full polyline where there is one, else the summary's.
fn read_map(map: Value<'_, '_>) -> Result<Option<polyline::Track>, Fault> {
    for key in ["polyline", "summary_polyline"] {
        let Some(value) = map.get(key).filter(|v| !is_absent(*v)) else { continue };
        let field = format!("map.{key}");
        let Some(text) = value.as_str() else {
            return Err(Fault::field(field, format!("expected a string, found {}", json::kind(value))));
        };
        let track = polyline::decode(text.as_bytes()).map_err(|e| Fault::field(field, e.to_string()))?;
        return Ok(Some(track));
    }
    Ok(None)
}

/// `(GMT-05:00) America/New_York` names the zone behind its standard offset, which is not
/// the offset of the start: that is `utc_offset`.
fn zone_name(timezone: &str) -> &str {
    match timezone.strip_prefix("(GMT").and_then(|rest| rest.split_once(") ")) {
        Some((_, name)) => name,
        None => timezone,
    }
}

/// The local wall clock as if it were UTC, from the offset or the zone.
fn local_start(a: &Activity) -> Option<Timestamp> {
    let offset_s = a.utc_offset_s.or_else(|| {
        let zone = TimeZone::get(a.timezone.as_deref()?).ok()?;
        Some(zone.to_offset(a.start_time).seconds())
    });
    a.start_time.checked_add(SignedDuration::from_secs(offset_s?.into())).ok()
}

/// A start that the athlete hides comes as the first second of the athlete's own day; the same second of UTC is as good
/// as any other. What was entered by hand is known to the minute.
fn start_quality(start: Timestamp, local: Option<Timestamp>, manual: bool) -> &'static str {
    if local.is_some_and(|local| local.as_second().rem_euclid(86_400) == 1) {
        "hidden"
    } else if manual && start.as_second() % 60 == 0 {
        "minute"
    } else {
        "exact"
    }
}

pub(super) fn position(field: &str, value: Value<'_, '_>) -> Result<(Option<f64>, Option<f64>), Fault> {
    if value.elements().is_some_and(|mut both| both.all(Value::is_null)) {
        return Ok((None, None));
    }
    let both = list(field, value, |v| number(field, v))?;
    match both[..] {
        [lat, lon] if lat.abs() <= 90.0 && lon.abs() <= 180.0 => Ok((Some(lat), Some(lon))),
        [lat, lon] => Err(Fault::field(field, format!("{lat}, {lon} is not on the globe"))),
        _ => {
            Err(Fault::field(field, format!("expected latitude and longitude, found {} numbers", both.len())))
        }
    }
}

fn lap(value: Value<'_, '_>, faults: &mut Vec<Fault>) -> Result<Lap, Fault> {
    let mut lap = Lap::default();
    lap.extra = fields(value, faults, |key, v, _| {
        match key {
            "id" => lap.lap_id = Some(id(key, v)?),
            "name" => lap.name = Some(text(key, v)?),
            "lap_index" => lap.lap_index = Some(whole(key, v)?),
            "split" => lap.split = Some(whole(key, v)?),
            "start_date" => lap.start_time = Some(time(key, v)?),
            "elapsed_time" => lap.elapsed_s = Some(number(key, v)?),
            "moving_time" => lap.moving_s = Some(number(key, v)?),
            "distance" => lap.distance_m = Some(number(key, v)?),
            "total_elevation_gain" => lap.elevation_gain_m = Some(number(key, v)?),
            "average_speed" => lap.avg_speed_mps = Some(number(key, v)?),
            "max_speed" => lap.max_speed_mps = Some(number(key, v)?),
            "average_heartrate" => lap.avg_heart_rate_bpm = Some(number(key, v)?),
            "max_heartrate" => lap.max_heart_rate_bpm = Some(number(key, v)?),
            "average_cadence" => lap.avg_cadence_rpm = Some(number(key, v)?),
            "average_watts" => lap.avg_power_w = Some(number(key, v)?),
            "device_watts" => lap.device_watts = Some(flag(key, v)?),
            "pace_zone" => lap.pace_zone = Some(whole(key, v)?),
            "start_index" => lap.start_index = Some(whole(key, v)?),
            "end_index" => lap.end_index = Some(whole(key, v)?),
            "athlete" | "activity" | "resource_state" | "start_date_local" => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(lap)
}

fn split(value: Value<'_, '_>, faults: &mut Vec<Fault>) -> Result<Split, Fault> {
    let mut split = Split::default();
    split.extra = fields(value, faults, |key, v, _| {
        match key {
            "split" => split.split = Some(whole(key, v)?),
            "elapsed_time" => split.elapsed_s = Some(number(key, v)?),
            "moving_time" => split.moving_s = Some(number(key, v)?),
            "distance" => split.distance_m = Some(number(key, v)?),
            "elevation_difference" => split.elevation_difference_m = Some(number(key, v)?),
            "average_speed" => split.avg_speed_mps = Some(number(key, v)?),
            "average_grade_adjusted_speed" => split.avg_grade_adjusted_speed_mps = Some(number(key, v)?),
            "average_heartrate" => split.avg_heart_rate_bpm = Some(number(key, v)?),
            "pace_zone" => split.pace_zone = Some(whole(key, v)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(split)
}

fn effort(value: Value<'_, '_>, faults: &mut Vec<Fault>) -> Result<SegmentEffort, Fault> {
    let mut effort = SegmentEffort::default();
    effort.extra = fields(value, faults, |key, v, _| {
        match key {
            "id" => effort.effort_id = Some(id(key, v)?),
            "name" => effort.name = Some(text(key, v)?),
            "start_date" => effort.start_time = Some(time(key, v)?),
            "elapsed_time" => effort.elapsed_s = Some(number(key, v)?),
            "moving_time" => effort.moving_s = Some(number(key, v)?),
            "distance" => effort.distance_m = Some(number(key, v)?),
            "average_heartrate" => effort.avg_heart_rate_bpm = Some(number(key, v)?),
            "max_heartrate" => effort.max_heart_rate_bpm = Some(number(key, v)?),
            "average_cadence" => effort.avg_cadence_rpm = Some(number(key, v)?),
            "average_watts" => effort.avg_power_w = Some(number(key, v)?),
            "device_watts" => effort.device_watts = Some(flag(key, v)?),
            "start_index" => effort.start_index = Some(whole(key, v)?),
            "end_index" => effort.end_index = Some(whole(key, v)?),
            "kom_rank" => effort.kom_rank = Some(whole(key, v)?),
            "pr_rank" => effort.pr_rank = Some(whole(key, v)?),
            "hidden" => effort.hidden = Some(flag(key, v)?),
            // The segment's own description stays in `extra`, its id is what joins.
            "segment" => {
                effort.segment_id =
                    v.get("id").filter(|v| !is_absent(*v)).map(|v| id("segment.id", v)).transpose()?;
                return Ok(false);
            }
            "athlete" | "activity" | "resource_state" | "start_date_local" => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(effort)
}

/// The start of an activity from the unix seconds it was asked for with.
pub fn start_time(start_s: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_secs(start_s)).expect("a duration saturates")
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_fields_stand_beside_their_own_lengths() {
        let arms = include_str!("api.rs").split("=>").flat_map(|arm| arm.split('|'));
        let named = |arm: &'static str| {
            let (length, name) = arm.trim_end().strip_suffix("\")")?.rsplit_once(", \"")?;
            Some((length.rsplit_once('(')?.1.parse::<usize>().ok()?, name))
        };
        let all: Vec<(usize, &str)> = arms.filter_map(named).collect();
        assert!(all.len() > 50, "{all:?}");
        all.iter().for_each(|(length, name)| assert_eq!(*length, name.len(), "{name}"));
    }
}
