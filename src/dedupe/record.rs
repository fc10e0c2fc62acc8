//! What matching looks at: one activity of one source, reduced to what can be compared.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, Float64Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int32Type};
use twox_hash::XxHash64;

use super::footprint::Footprint;
use super::titles::given;
use crate::model::columns::{TimeType, second_of};
use crate::model::sport::{self, RIDE, Sport};
use crate::sources::Source;

/// How far a start can be trusted, as the rows say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    Exact,
    Minute,
    /// Only the day is known.
    Hidden,
    ZoneUnknown,
}

impl Quality {
    fn named(name: &str) -> Quality {
        match name {
            "minute" => Quality::Minute,
            "hidden" => Quality::Hidden,
            "zone_unknown" => Quality::ZoneUnknown,
            _ => Quality::Exact,
        }
    }
}

/// A source, and the device in it, or the app that writes into it.
pub type Recorder = (Source, Option<u64>, Option<u64>);

/// One activity of one source. Numbers that say nothing (zero metres, zero seconds) are absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub source: Source,
    pub source_id: String,
    pub start_s: i64,
    pub quality: Quality,
    pub utc_offset_s: Option<i32>,
    pub elapsed_s: Option<f64>,
    pub moving_s: Option<f64>,
    pub distance_m: Option<f64>,
    pub sport: Option<Sport>,
    pub footprint: Footprint,
    pub heart_rate_bpm: Option<f64>,
    pub calories_kcal: Option<f64>,
    /// Hash of the file's own hash, which is the same wherever the same bytes went.
    pub file: Option<u64>,
    /// Hash of the name it was uploaded under, where that is nobody else's.
    pub upload: Option<u64>,
    /// The id in another source that this one says it came from.
    pub came_from: Option<(Source, String)>,
    pub serial: Option<u64>,
    /// Hash of the device's number or name: what has a clock of its own.
    pub device: Option<u64>,
    /// Hash of its name.
    pub model: Option<u64>,
    /// Hash of the app that wrote it into a hub, which may write all of its times wrong.
    pub app: Option<u64>,
    /// What somebody called it, in small letters; None where its name is one that apps give: `Morning Run`.
    pub title: Option<u64>,
    /// As the source names it: an IANA zone, where it gives one.
    pub zone: Option<Box<str>>,
    /// On a trainer or in a game: where its track lies is no place.
    pub is_virtual: bool,
    pub is_manual: bool,
    /// A multisport event whose legs have rows of their own, and are what sums count.
    pub is_parent: bool,
}

impl Record {
    /// Whether a person seems to have typed it in: it says so, or it has round sizes, a round start and
    /// nothing that a device would have measured.
    pub fn is_by_hand(&self) -> bool {
        let is_round = |value: Option<f64>, step: f64| value.is_none_or(|value| value % step == 0.0);
        let is_measured = self.heart_rate_bpm.is_some()
            || !self.footprint.is_empty()
            || self.file.is_some()
            || self.device.is_some();
        self.is_manual
            || self.quality == Quality::Hidden
            || (!is_measured
                && self.source != Source::Hevy
                && self.start_s % 900 == 0
                && is_round(self.elapsed_s, 300.0)
                && is_round(self.distance_m, 100.0))
    }

    /// Whether it says what nobody types in. In an archive without its files every entry looks as if it had been typed in.
    fn was_recorded(&self) -> bool {
        self.start_s % 60 != 0 && (self.heart_rate_bpm.is_some() || self.has_paused())
    }

    /// Whether it says that it stood still for a while.
    pub fn has_paused(&self) -> bool {
        self.elapsed_s.zip(self.moving_s).is_some_and(|(all, moving)| moving < all - 1.0)
    }

    /// Whether one device, or one app in a hub, made both, as far as they say: whatever records does one thing at a
    /// time.
    pub fn is_of_one_recorder_with(&self, other: &Record) -> bool {
        self.recorder() == other.recorder()
    }

    /// Whether it says what made it: an account that names no device may hold what several recorded.
    pub fn names_recorder(&self) -> bool {
        self.device.is_some() || self.app.is_some()
    }

    /// Whether a body was measured, and not only the time.
    pub fn measures(&self) -> bool {
        self.heart_rate_bpm.is_some() || self.distance_m.is_some() || !self.footprint.is_empty()
    }

    /// Whether both are of one account, or of one app's records in a hub.
    pub fn is_of_one_account_with(&self, other: &Record) -> bool {
        self.source == other.source && !(self.source.spec().is_hub() && self.app != other.app)
    }

    /// Whether it was ridden on a trainer: it says so, or its device's file knows how far it went, and not where.
    pub fn is_on_trainer(&self) -> bool {
        let is_ride = self.sport.is_some_and(|sport| sport.family == RIDE);
        self.is_virtual
            || (is_ride && self.file.is_some() && self.footprint.is_empty() && self.distance_m.is_some())
    }

    /// What made it, as far as it says.
    pub fn recorder(&self) -> Recorder {
        (self.source, self.device, self.app)
    }

    /// The second after the last, where it is known how long it took.
    pub fn end_s(&self) -> i64 {
        self.start_s.saturating_add(self.elapsed_s.unwrap_or(0.0) as i64)
    }

    /// As people write it: `strava:123`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.source, self.source_id)
    }
}

/// The columns that records are made of.
pub const COLUMNS: [&str; 26] = [
    "user_id",
    "source",
    "source_id",
    "title",
    "external_id",
    "upload_id",
    "sport",
    "start_time",
    "utc_offset_s",
    "start_quality",
    "elapsed_s",
    "moving_s",
    "distance_m",
    "avg_heart_rate_bpm",
    "calories_kcal",
    "track_lat_e5",
    "track_lon_e5",
    "device_serial",
    "device_name",
    "timezone",
    "trainer",
    "file_sha256",
    "manual",
    "is_parent",
    "extra",
    "gone_at",
];

/// The records of a batch of activities, in its order. Rows of a source that is not known have none.
pub fn of_batch(batch: &RecordBatch) -> Vec<Option<Record>> {
    let column = |name: &str| batch.column_by_name(name).expect("activities have it");
    let words = |name: &str| column(name).as_string::<i32>();
    let numbers = |name: &str| column(name).as_primitive::<Float64Type>();
    let positive = |values: &Float64Array, row: usize| -> Option<f64> {
        let value = values.is_valid(row).then(|| values.value(row))?;
        (value.is_finite() && value > 0.0).then_some(value)
    };
    let (lat, lon) = (column("track_lat_e5").as_list::<i32>(), column("track_lon_e5").as_list::<i32>());
    // The points stay where they are: records share them with the batch.
    let points = |list: &ListArray, row: usize| {
        let (ends, values) = (list.value_offsets(), list.values().as_primitive::<Int32Type>().values());
        values.slice(ends[row] as usize, (ends[row + 1] - ends[row]) as usize)
    };
    let starts = column("start_time").as_primitive::<TimeType>();
    let offsets = column("utc_offset_s").as_primitive::<Int32Type>();
    let (manual, trainer) = (column("manual").as_boolean(), column("trainer").as_boolean());
    let parents = column("is_parent").as_boolean();
    // A column is looked for among a hundred names, so once for all rows.
    let (sources, ids, qualities) = (words("source"), words("source_id"), words("start_quality"));
    let (sports, titles, zones, extras) = (words("sport"), words("title"), words("timezone"), words("extra"));
    let (externals, files) = (words("external_id"), words("file_sha256"));
    let (serials, devices) = (words("device_serial"), words("device_name"));
    let (elapsed, moving, distances) = (numbers("elapsed_s"), numbers("moving_s"), numbers("distance_m"));
    let (heart_rates, calories) = (numbers("avg_heart_rate_bpm"), numbers("calories_kcal"));
    // Most are called as others are.
    let mut names: HashMap<&str, Option<u64>> = HashMap::new();
    let mut name = |title| *names.entry(title).or_insert_with(|| given(title));
    let record = |row: usize| {
        let source = Source::named(sources.value(row))?;
        let source_id = ids.value(row).to_string();
        // Zero is no device's number: it stands where something was typed in or written by an app.
        let serial = word(serials, row).filter(|number| *number != "0");
        let model = word(devices, row).map(hash);
        let footprint = if lat.is_valid(row) && lon.is_valid(row) {
            Footprint::along(points(lat, row), points(lon, row))
        } else {
            Footprint::default()
        };
        let sport = word(sports, row).and_then(sport::named);
        let in_a_game = sport.is_some_and(|sport| sport.name.starts_with("virtual_"));
        let external_id = word(externals, row);
        let of_record = Record {
            source,
            start_s: second_of(starts.value(row)),
            quality: Quality::named(qualities.value(row)),
            utc_offset_s: offsets.is_valid(row).then(|| offsets.value(row)),
            elapsed_s: positive(elapsed, row),
            moving_s: positive(moving, row),
            distance_m: positive(distances, row),
            sport,
            footprint,
            heart_rate_bpm: positive(heart_rates, row),
            calories_kcal: positive(calories, row),
            file: word(files, row).map(hash),
            upload: external_id.and_then(upload),
            came_from: external_id.and_then(|id| came_from(source, id)),
            serial: serial.map(hash),
            device: serial.map(hash).or(model),
            model,
            app: source.spec().app_key.zip(word(extras, row)).and_then(|(key, extra)| app(key, extra)),
            title: word(titles, row).and_then(&mut name),
            zone: word(zones, row).map(zone_name),
            is_virtual: in_a_game || (trainer.is_valid(row) && trainer.value(row)),
            is_manual: manual.is_valid(row) && manual.value(row),
            is_parent: parents.is_valid(row) && parents.value(row),
            source_id,
        };
        let is_manual = of_record.is_manual && !of_record.was_recorded();
        Some(Record { is_manual, ..of_record })
    };
    (0..batch.num_rows()).map(record).collect()
}

/// Takes devices of one person by their names where one name stands beside many numbers: nobody wears so many watches
/// of one make, and what changes from one recording to the next is the number of a file.
pub fn name_devices(records: &mut [Record]) {
    const MOST_OF_ONE_NAME: usize = 5;
    let mut numbers: HashMap<(Source, u64), Vec<u64>> = HashMap::new();
    for record in records.iter() {
        if let (Some(model), Some(serial)) = (record.model, record.serial) {
            let own = numbers.entry((record.source, model)).or_default();
            if own.len() <= MOST_OF_ONE_NAME && !own.contains(&serial) {
                own.push(serial);
            }
        }
    }
    numbers.retain(|_, own| own.len() > MOST_OF_ONE_NAME);
    if !numbers.is_empty() {
        for record in records {
            if record.model.is_some_and(|model| numbers.contains_key(&(record.source, model))) {
                record.device = record.model;
            }
        }
    }
}

fn word(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row)).filter(|word| !word.is_empty())
}

/// The name behind Strava's `(GMT+01:00) `.
fn zone_name(text: &str) -> Box<str> {
    text.rsplit(") ").next().unwrap_or(text).into()
}

fn hash(text: &str) -> u64 {
    XxHash64::oneshot(0, text.as_bytes())
}

fn app(key: &str, extra: &str) -> Option<u64> {
    let extra: serde_json::Map<String, serde_json::Value> = serde_json::from_str(extra).ok()?;
    extra.get(key)?.as_str().filter(|name| !name.is_empty()).map(hash)
}

/// `activity.fit` is everybody's; a name with a long number in it is one file's.
fn upload(external_id: &str) -> Option<u64> {
    let name = external_id.trim_end_matches(".gz");
    (name.bytes().filter(u8::is_ascii_digit).count() >= 8).then(|| hash(name))
}

/// The number that Garmin gave it, where an upload to somewhere else still names it. The number
/// behind `garmin_ping_` is that of a notification, and of no activity.
fn came_from(source: Source, external_id: &str) -> Option<(Source, String)> {
    let number = external_id
        .strip_prefix("garmin_push_")
        .or_else(|| external_id.trim_end_matches(".gz").strip_suffix("_ACTIVITY.fit"))?;
    // For some weeks of 2015 a time stood there.
    let is_id = number.len() >= 6 && number.bytes().all(|b| b.is_ascii_digit());
    (source != Source::Garmin && is_id).then(|| (Source::Garmin, number.to_string()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::activity::{Activity, ActivityColumns};
    use crate::model::columns::Columns;
    use crate::store::dataset::batch;

    #[test]
    fn what_nobody_types_in_was_recorded_though_an_archive_has_no_file_of_it() {
        let mut columns = ActivityColumns::default();
        for (start_s, heart_rate_bpm, moving_s) in [
            (1_700_000_407, Some(141.0), None),
            (1_700_000_407, None, Some(3_100.0)),
            (1_700_000_407, None, Some(3_300.0)),
            (1_700_000_400, Some(141.0), Some(3_100.0)),
        ] {
            columns.push(&Activity {
                user_id: "u".to_string(),
                source: "strava".to_string(),
                source_id: "1".to_string(),
                start_time: Timestamp::from_second(start_s).unwrap(),
                start_quality: "exact".to_string(),
                elapsed_s: Some(3_300.0),
                avg_heart_rate_bpm: heart_rate_bpm,
                moving_s,
                manual: Some(true),
                ..Activity::default()
            });
        }
        let records = of_batch(&batch::<Activity>(&mut columns)).into_iter().map(Option::unwrap);
        assert_eq!(records.map(|r| r.is_manual).collect::<Vec<_>>(), [false, false, true, true]);
    }

    #[test]
    fn numbers_of_garmin_are_known_in_what_was_uploaded_elsewhere() {
        let garmin = |id: &str| Some((Source::Garmin, id.to_string()));
        assert_eq!(came_from(Source::Strava, "garmin_push_8153566593"), garmin("8153566593"));
        assert_eq!(came_from(Source::Strava, "8153566593_ACTIVITY.fit.gz"), garmin("8153566593"));
        assert_eq!(came_from(Source::Strava, "garmin_ping_249338423423"), None);
        assert_eq!(came_from(Source::Strava, "garmin_push_2015-11-29T10:00:00"), None);
        assert_eq!(came_from(Source::Strava, "activity.fit"), None);
        assert_eq!(upload("activity.fit"), None);
        assert_eq!(upload("2020-07-24-06-58-30.fit.gz"), upload("2020-07-24-06-58-30.fit"));
        assert!(upload("17900304917.tcx").is_some());
    }
}
