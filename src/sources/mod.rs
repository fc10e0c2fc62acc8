//! Bytes of one source to activities: pure functions, one file per source.
//!
//! An API's bodies are read by [`strava`], one at a time, as they landed. Everything else
//! comes in archives, which [`read`] takes apart: [`formats::zip`] gives their files,
//! [`files`] recognises what a file is, and the readers in [`formats`] read what devices record.

pub mod apple;
pub mod files;
pub mod fitbit;
pub mod formats;
pub mod garmin;
pub mod health_connect;
pub mod hevy;
pub mod strava;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rayon::prelude::*;

use crate::error::Result as CrateResult;
use crate::model::activity::{Activity, Reject, SCHEMA_VERSION, Streams};
use formats::zip::{Container, Entry};
use formats::{json, time};

/// Who told.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    clap::ValueEnum,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The account export (a zip or its folder), or what the API said
    Strava,
    /// The account export, or bodies that the Activity API pushed
    Garmin,
    /// The Takeout folder or zip, or bodies of the Web API
    Fitbit,
    /// The CSV export, or bodies of the API
    Hevy,
    /// The Health app's export
    Apple,
    /// The SQLite export
    HealthConnect,
    /// FIT, GPX and TCX files of any device
    Files,
}

impl Source {
    pub const ALL: [Source; 7] = [
        Source::Strava,
        Source::Garmin,
        Source::Fitbit,
        Source::Hevy,
        Source::Apple,
        Source::HealthConnect,
        Source::Files,
    ];

    /// As it stands in paths, columns and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Source::Strava => strava::SOURCE,
            Source::Garmin => "garmin",
            Source::Fitbit => "fitbit",
            Source::Hevy => "hevy",
            Source::Apple => "apple",
            Source::HealthConnect => "health-connect",
            Source::Files => "files",
        }
    }

    pub fn named(name: &str) -> Option<Source> {
        Source::ALL.into_iter().find(|source| source.name() == name)
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a record, or one field of it, could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", .field.as_ref().map(|f| format!("field `{f}`: ")).unwrap_or_default())]
pub struct Fault {
    pub source_id: Option<String>,
    pub field: Option<String>,
    pub reason: String,
}

impl Fault {
    pub fn record(reason: impl Into<String>) -> Fault {
        Fault { source_id: None, field: None, reason: reason.into() }
    }

    pub fn field(field: impl Into<String>, reason: impl Into<String>) -> Fault {
        Fault { source_id: None, field: Some(field.into()), reason: reason.into() }
    }

    /// The field holds text that is not what it has to be; the beginning of it is shown.
    pub fn expected(field: impl Into<String>, what: &str, found: &str) -> Fault {
        let found: String = found.chars().take(40).collect();
        Fault::field(field, format!("expected {what}, found {found:?}"))
    }

    pub fn of(mut self, source_id: Option<&str>) -> Fault {
        self.source_id = source_id.map(str::to_string);
        self
    }
}

/// Whose record it is, and where its bytes are.
#[derive(Debug, Clone)]
pub struct Provenance {
    pub user_id: String,
    pub source: Source,
    pub account_id: Option<String>,
    /// When the API said it, or when the archive was imported.
    pub fetched_at: Timestamp,
    /// Of the response or the archive; the place within is appended.
    pub raw_ref: String,
    /// The zone of wall clocks that come without one; UTC where nobody said.
    pub zone: Option<TimeZone>,
}

/// An activity, its samples, and the fields of it that could not be taken.
#[derive(Debug, Default)]
pub struct Taken {
    pub activity: Activity,
    pub streams: Option<Streams>,
    pub faults: Vec<Fault>,
}

/// What stands at one place of an archive.
#[derive(Debug)]
pub struct Item {
    /// The kind of record, for the rejects.
    pub kind: &'static str,
    /// Below the archive: `!activities/1.fit#0`.
    pub at: String,
    pub found: Found,
}

#[derive(Debug)]
pub enum Found {
    Activity(Box<Taken>),
    Fault(Fault),
    /// Sound, and nothing that is a workout: settings, monitoring, sleep.
    NoActivity,
}

impl Item {
    pub fn of(kind: &'static str, at: String, taken: Result<Taken, Fault>) -> Item {
        let found = match taken {
            Ok(taken) => Found::Activity(Box::new(taken)),
            Err(fault) => Found::Fault(fault),
        };
        Item { kind, at, found }
    }

    pub fn fault(kind: &'static str, at: String, fault: Fault) -> Item {
        Item { kind, at, found: Found::Fault(fault) }
    }

    pub fn nothing(kind: &'static str, at: String) -> Item {
        Item { kind, at, found: Found::NoActivity }
    }
}

/// Takes the items of an archive, in order. It may fail, for instance on a full disk.
pub type Each<'a> = &'a mut dyn FnMut(Item) -> CrateResult<()>;

/// Reads an archive of a source.
pub fn read(source: Source, archive: &Container, from: &Provenance, each: Each<'_>) -> CrateResult<()> {
    for (name, fault) in archive.faults() {
        each(Item::fault("file", format!("!{name}"), fault.clone()))?;
    }
    match source {
        Source::Strava => strava::archive::read(archive, from, each),
        Source::Garmin => garmin::read(archive, from, each),
        Source::Fitbit => fitbit::read(archive, from, each),
        Source::Hevy => hevy::read(archive, from, each),
        Source::Apple => apple::read(archive, from, each),
        Source::HealthConnect => health_connect::read(archive, from, each),
        Source::Files => files::read(archive, from, each),
    }
}

/// The source whose export this looks like. Files of devices come last: other exports have some, too.
pub fn recognise(archive: &Container) -> Option<Source> {
    Source::ALL.into_iter().find(|source| recognises(*source, archive))
}

/// Whether an archive looks like one of this source.
pub fn recognises(source: Source, archive: &Container) -> bool {
    match source {
        Source::Strava => strava::archive::recognises(archive),
        Source::Garmin => garmin::recognises(archive),
        Source::Fitbit => fitbit::recognises(archive),
        Source::Hevy => hevy::recognises(archive),
        Source::Apple => apple::recognises(archive),
        Source::HealthConnect => health_connect::recognises(archive),
        Source::Files => files::recognises(archive),
    }
}

/// Things that are read at a time, by all cores together: what bounds the memory.
const BATCH_BYTES: u64 = 32 << 20;
const BATCH_THINGS: usize = 256;

/// Reads things in parallel, some at a time, and hands on what they held in their order.
pub fn in_parallel<T: Sync>(
    things: &[T],
    bytes: impl Fn(&T) -> u64,
    read: impl Fn(&T) -> Vec<Item> + Sync,
    each: Each<'_>,
) -> CrateResult<()> {
    let mut rest = things;
    while !rest.is_empty() {
        let mut weight = 0;
        let many = rest.iter().take(BATCH_THINGS).take_while(|thing| {
            let begins = weight == 0;
            weight += bytes(thing).max(1);
            begins || weight <= BATCH_BYTES
        });
        let (batch, behind) = rest.split_at(many.count());
        let items: Vec<Vec<Item>> = batch.par_iter().map(&read).collect();
        for item in items.into_iter().flatten() {
            each(item)?;
        }
        rest = behind;
    }
    Ok(())
}

/// The records of a JSON file, each read by itself: the value, whether it stood under `key`, and its place.
/// `id_field` names its id, for the rejects; what is read as None is no activity.
fn records(
    archive: &Container,
    entry: &Entry,
    key: &str,
    id_field: &str,
    mut read: impl FnMut(json::Value<'_, '_>, bool, &str) -> Option<Result<Taken, Fault>>,
) -> Vec<Item> {
    let at = format!("!{}", entry.name);
    let bytes = match archive.read(entry) {
        Ok(bytes) => bytes,
        Err(fault) => return vec![Item::fault("file", at, fault)],
    };
    let mut items = Vec::new();
    let walked = json::records(&bytes, key, |index, is_under_key, element| {
        let at = format!("{at}#{index}");
        items.push(match element {
            Err(reason) => Item::fault("record", at, Fault::record(reason)),
            Ok(value) => match read(value, is_under_key, &at) {
                None => Item::nothing("record", at),
                Some(taken) => {
                    let id = value.get(id_field).and_then(|v| json::id(id_field, v).ok());
                    let named = |fault: Fault| {
                        if fault.source_id.is_some() { fault } else { fault.of(id.as_deref()) }
                    };
                    Item::of("record", at, taken.map_err(named))
                }
            },
        });
    });
    if let Err(reason) = walked {
        items.push(Item::fault("file", at, Fault::record(reason)));
    }
    items
}

impl Provenance {
    /// An activity that says whose it is and where it stands.
    pub fn activity(&self, at: &str) -> Activity {
        self.adopt(Activity::default(), at)
    }

    /// Makes an activity that of the user, told at a place.
    pub fn adopt(&self, told: Activity, at: &str) -> Activity {
        Activity {
            user_id: self.user_id.clone(),
            source: self.source.name().to_string(),
            source_account_id: self.account_id.clone(),
            start_quality: "exact".to_string(),
            origin: "archive".to_string(),
            fetched_at: self.fetched_at,
            detail_at: Some(self.fetched_at),
            raw_ref: format!("{}{at}", self.raw_ref),
            schema_version: SCHEMA_VERSION,
            ..told
        }
    }

    /// Makes streams those of an activity.
    pub fn streams(&self, streams: Streams, activity: &Activity) -> Streams {
        Streams {
            user_id: self.user_id.clone(),
            source: self.source.name().to_string(),
            source_id: activity.source_id.clone(),
            origin: activity.origin.clone(),
            fetched_at: self.fetched_at,
            raw_ref: activity.raw_ref.clone(),
            schema_version: SCHEMA_VERSION,
            ..streams
        }
    }

    /// What could not be taken, and where it stands.
    pub fn reject(&self, kind: &str, at: &str, fault: &Fault, record_kept: bool) -> Reject {
        Reject {
            user_id: self.user_id.clone(),
            source: self.source.name().to_string(),
            kind: kind.to_string(),
            source_id: fault.source_id.clone(),
            field: fault.field.clone(),
            reason: fault.reason.clone(),
            record_kept,
            raw_ref: format!("{}{at}", self.raw_ref),
            fetched_at: self.fetched_at,
        }
    }

    /// A wall clock without a zone as a time, and how good it is.
    pub fn local(&self, civil: jiff::civil::DateTime) -> Option<(Timestamp, Option<i32>, &'static str)> {
        match &self.zone {
            Some(zone) => {
                let zoned = civil.to_zoned(zone.clone()).ok()?;
                Some((zoned.timestamp(), Some(zoned.offset().seconds()), "exact"))
            }
            None => Some((time::as_utc(civil)?, None, "zone_unknown")),
        }
    }
}

/// Before this nobody wore a recorder, and clocks that were never set begin.
const EARLIEST_S: i64 = 157_766_400; // 1975-01-01
/// Longer is no workout: an expedition, or a device that was never stopped.
const LONGEST_S: f64 = 60.0 * 86_400.0;

/// Takes out of an activity what cannot be, field by field, with a word each. What cannot be dated
/// is refused as a whole.
pub fn check(taken: &mut Taken) -> Result<(), Fault> {
    let Taken { activity: a, streams, faults } = taken;
    let latest = a.fetched_at.saturating_add(SignedDuration::from_hours(48)).unwrap_or(Timestamp::MAX);
    if a.start_time.as_second() < EARLIEST_S || a.start_time > latest {
        return Err(Fault::field("start_time", format!("{} cannot be", a.start_time)).of(Some(&a.source_id)));
    }
    let mut complain = |field: &str, value: f64, why: &str| {
        faults.push(Fault::field(field, format!("{value} {why}")).of(Some(&a.source_id)));
    };
    macro_rules! only {
        ($($column:ident in $range:expr, $why:literal;)*) => {$(
            if let Some(value) = a.$column
                && !($range).contains(&value)
            {
                complain(stringify!($column), value, $why);
                a.$column = None;
            }
        )*};
    }
    only! {
        elapsed_s in 0.0..=LONGEST_S, "s is no duration";
        moving_s in 0.0..=LONGEST_S, "s is no duration";
        distance_m in 0.0..=1e8, "m is no distance";
        elevation_gain_m in 0.0..=1e6, "m is no climb";
        elevation_loss_m in 0.0..=1e6, "m is no descent";
        elevation_low_m in -12_000.0..=100_000.0, "m is no elevation";
        elevation_high_m in -12_000.0..=100_000.0, "m is no elevation";
        avg_speed_mps in 0.0..=1_000.0, "m/s is no speed";
        max_speed_mps in 0.0..=1_000.0, "m/s is no speed";
        avg_heart_rate_bpm in 0.0..=400.0, "bpm is no heart rate";
        max_heart_rate_bpm in 0.0..=400.0, "bpm is no heart rate";
        avg_cadence_rpm in 0.0..=1_000.0, "rpm is no cadence";
        max_cadence_rpm in 0.0..=1_000.0, "rpm is no cadence";
        avg_power_w in 0.0..=10_000.0, "W is no power";
        max_power_w in 0.0..=100_000.0, "W is no power";
        weighted_power_w in 0.0..=10_000.0, "W is no power";
        work_kj in 0.0..=1e6, "kJ is no work";
        calories_kcal in 0.0..=1e6, "kcal are no calories";
        temperature_c in -100.0..=100.0, "degrees are no temperature";
        start_lat_deg in -90.0..=90.0, "degrees are not on the globe";
        end_lat_deg in -90.0..=90.0, "degrees are not on the globe";
        start_lon_deg in -180.0..=180.0, "degrees are not on the globe";
        end_lon_deg in -180.0..=180.0, "degrees are not on the globe";
    }
    if a.start_lat_deg.is_none() || a.start_lon_deg.is_none() {
        (a.start_lat_deg, a.start_lon_deg) = (None, None);
    }
    if a.end_lat_deg.is_none() || a.end_lon_deg.is_none() {
        (a.end_lat_deg, a.end_lon_deg) = (None, None);
    }
    // Null Island is what receivers say before they know.
    if (a.start_lat_deg, a.start_lon_deg) == (Some(0.0), Some(0.0)) {
        (a.start_lat_deg, a.start_lon_deg) = (None, None);
    }
    if let Some(streams) = streams
        && let Some(speeds) = &mut streams.speed_mps
    {
        for speed in speeds.iter_mut().filter(|s| s.is_some_and(|s| !s.is_finite() || s < 0.0)) {
            *speed = None;
        }
    }
    Ok(())
}

/// Numbers without a column, as a JSON object.
pub fn extra(values: &[(&str, f64)]) -> Option<String> {
    let entries: Vec<String> = values
        .iter()
        .filter(|(_, value)| value.is_finite())
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    (!entries.is_empty()).then(|| format!("{{{}}}", entries.join(",")))
}

/// Whole 1e-7 degrees, where the number is on the globe.
pub fn degrees_e7(degrees: f64, limit: f64) -> Option<i32> {
    (degrees.abs() <= limit).then(|| (degrees * 1e7).round() as i32)
}

/// Whole 1e-7 degrees of a full turn cut into 2^32.
pub fn degrees_e7_of_semicircles(semicircles: i64, limit: f64) -> Option<i32> {
    degrees_e7(semicircles as f64 * (180.0 / 2_147_483_648.0), limit)
}
