//! Tellings as rows of the dataset, without the files in between: for lakes of a size that writing and
//! reading exports would take too long for. What matching looks at is as the exports' readers find it; a test
//! holds the two beside each other.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use rayon::prelude::*;
use ring::digest::{SHA256, digest};

use super::exports::{self, Truth, serial};
use super::records::{self, Record};
use super::{Home, Options, Person, Recording, person, strava};
use crate::error::{Error, Result};
use crate::model::activity::{Activity, SCHEMA_VERSION};
use crate::model::columns::Columns;
use crate::model::hex;
use crate::model::polyline::Track;
use crate::model::sport;
use crate::sources::Source;
use crate::sources::{self, strava::api::activity_list};
use crate::store::dataset::{self, MadeFrom, Table};
use crate::store::each::{Ended, each_bucket};
use crate::store::lake::{Bucket, Lake};
use crate::store::local;

/// Points of a row's track: enough for the ways that people here take.
const POINTS: u32 = 400;

/// A row, and the truth about it.
pub type Row = (Activity, Truth);

/// Everything that a person's sources, Strava's API among them, tell.
pub fn of(person: &Person, number: u32, options: Options) -> Vec<Row> {
    let mut own = of_api(person);
    let others = records::of(person, number, options);
    let others = others.iter().filter(|record| record.source != Source::Strava);
    own.extend(others.map(|record| {
        let activity = row(person, record);
        let truth = Truth::of(person, record, activity.source_id.clone(), 0);
        (activity, truth)
    }));
    own
}

/// Where bodies of a person's account come from.
pub fn read_from(person: &Person, raw_ref: &str) -> sources::ReadFrom {
    sources::ReadFrom {
        user_id: person.user_id.clone(),
        source: Source::Strava,
        account_id: Some(person.athlete_id.to_string()),
        fetched_at: fetched_at(),
        raw_ref: raw_ref.to_string(),
        zone: None,
        only_counts: false,
    }
}

/// As the API's list would be read.
fn of_api(person: &Person) -> Vec<Row> {
    let from = read_from(person, "");
    let mut own = Vec::with_capacity(person.workouts.len());
    for (w, truth) in person.workouts.iter().zip(exports::truth_of_api(person)) {
        let page = strava::page(person, [w]).into_bytes();
        let taken = activity_list(&page, &from, |_, taken| {
            let mut activity = taken.expect("the record is sound").activity;
            activity.sport = activity
                .sport_raw
                .as_deref()
                .and_then(|raw| sport::canonical(Source::Strava.name(), raw))
                .map(str::to_string);
            own.push((activity, truth.clone()));
        });
        taken.expect("the page is a list");
    }
    own
}

fn fetched_at() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

fn row(person: &Person, record: &Record) -> Activity {
    let w = &record.workout;
    let source = record.source;
    let id = serial(record);
    let raw = exports::sport_name(record);
    let is_manual = w.recording == Recording::Manual;
    let mut a = Activity {
        user_id: person.user_id.clone(),
        source: source.name().to_string(),
        source_id: id.to_string(),
        title: Some(w.title.clone()).filter(|_| source != Source::Apple),
        sport: sport::canonical(source.name(), &raw).map(str::to_string),
        sport_raw: Some(raw),
        start_time: w.start,
        start_quality: "exact".to_string(),
        utc_offset_s: Some(w.utc_offset_s),
        elapsed_s: Some(f64::from(w.elapsed_s)),
        moving_s: Some(f64::from(w.moving_s)),
        distance_m: Some(w.distance_m).filter(|metres| *metres > 0.0),
        origin: "archive".to_string(),
        fetched_at: fetched_at(),
        schema_version: SCHEMA_VERSION,
        ..Activity::default()
    };
    if let Some(bpm) = record.heart_rate_bpm() {
        a.avg_heart_rate_bpm = Some(f64::from(bpm));
        a.max_heart_rate_bpm = Some(f64::from(bpm + 12));
    }
    let moving = f64::from(w.moving_s);
    match source {
        Source::Strava => unreachable!("its rows are those of the API"),
        Source::Garmin => {
            a.external_id = Some(format!("somebody@example.com_{id}.fit"));
            a.device_name = Some("Garmin 3869".to_string());
            a.device_serial = Some("3401222111".to_string());
            a.file_sha256 = Some(invented_hash(source, id));
            a.calories_kcal = Some(moving * 0.17);
        }
        Source::Fitbit => {
            a.utc_offset_s = None;
            a.manual = Some(is_manual);
            a.device_name = (!is_manual).then(|| "Charge 5".to_string());
            a.calories_kcal = Some((moving * 0.18).round());
        }
        Source::Hevy => {
            a.start_quality = "minute".to_string();
            a.sport = Some("weight_training".to_string());
            a.moving_s = None;
        }
        Source::Apple => {
            a.device_name = Some("Apple Watch".to_string());
            a.calories_kcal = (!exports::apple::is_old(record)).then_some(moving * 0.16);
        }
        Source::HealthConnect => {
            a.device_name = Some("Google Pixel Watch".to_string());
            a.moving_s = None;
            a.calories_kcal = Some(moving * 0.17);
        }
        Source::Files => {
            let hash = invented_hash(source, id);
            a.source_id = hash[..32].to_string();
            a.file_sha256 = Some(hash);
            let format = exports::device::format(record);
            a.external_id = Some(format!("{id}.{format}"));
            a.origin = "file".to_string();
            a.calories_kcal = match format {
                "gpx" => None,
                "tcx" => Some(f64::from(w.moving_s / 6)),
                _ => Some((moving * 0.17).round()),
            };
            if format != "fit" {
                a.utc_offset_s = None;
            } else {
                a.device_serial = Some("77001".to_string());
            }
        }
    }
    if has_route(record) {
        set_track(&mut a, record, person.home);
    }
    a
}

/// Whether the source's export has the way that was walked.
fn has_route(record: &Record) -> bool {
    record.workout.recording == Recording::Outdoor
        && record.workout.distance_m > 0.0
        && !matches!(record.source, Source::Fitbit | Source::Hevy)
}

fn set_track(a: &mut Activity, record: &Record, home: Home) {
    let every_s = record.every_s.max(record.workout.elapsed_s / POINTS);
    let mut track = Track::default();
    for sample in record.samples_every(home, every_s) {
        if let (Some(lat), Some(lon)) = (sample.lat_e7, sample.lon_e7) {
            track.lat_e5.push((f64::from(lat) / 100.0).round() as i32);
            track.lon_e5.push((f64::from(lon) / 100.0).round() as i32);
        }
    }
    if !track.is_empty() {
        a.set_track(track);
    }
}

fn invented_hash(source: Source, id: u64) -> String {
    hex(digest(&SHA256, format!("{source} {id}").as_bytes()).as_ref())
}

/// Writes everybody's rows into a lake without activities, and the truth about them into a file. Returns
/// the bytes and the rows written.
pub fn write(lake: &Lake, options: Options, truth: &Path) -> Result<(u64, u64)> {
    if !dataset::used_buckets(lake)?.is_empty() {
        return Err(Error::Usage(format!("there are activities in {} already", lake.root().display())));
    }
    let truth = std::path::absolute(truth).map_err(Error::io("find", truth))?;
    let mut buckets: BTreeMap<Bucket, Vec<u32>> = BTreeMap::new();
    for number in 0..options.users {
        buckets.entry(lake.bucket(&super::user_id(number))).or_default().push(number);
    }
    let used: Vec<Bucket> = buckets.keys().copied().collect();
    let mut sum = (0, 0);
    local::replace(&truth, |out| {
        // The truth of some buckets is in memory at a time.
        for some in used.chunks(8) {
            let written = each_bucket(some, |bucket| write_bucket(lake, bucket, &buckets[&bucket], options));
            let written = written.and_then(Ended::all).map_err(std::io::Error::other)?;
            for (bytes, rows, lines) in written {
                sum.0 += bytes;
                sum.1 += rows;
                out.write_all(&lines)?;
            }
        }
        Ok(())
    })?;
    Ok(sum)
}

fn write_bucket(
    lake: &Lake,
    bucket: Bucket,
    numbers: &[u32],
    options: Options,
) -> Result<(u64, u64, Vec<u8>)> {
    let own: Vec<Vec<Row>> =
        numbers.par_iter().map(|number| of(&person(options, *number), *number, options)).collect();
    let mut lines = Vec::new();
    let mut columns: BTreeMap<&str, crate::model::activity::ActivityColumns> = BTreeMap::new();
    let mut rows = 0;
    for (activity, truth) in own.iter().flatten() {
        serde_json::to_writer(&mut lines, truth).expect("a record is plain");
        lines.push(b'\n');
        columns.entry(truth.source.name()).or_default().push(activity);
        rows += 1;
    }
    let mut bytes = 0;
    for (source, mut columns) in columns {
        let batch = dataset::batch::<Activity>(&mut columns);
        let key = lake.activities(source, bucket);
        bytes += dataset::write(lake, &key, Table::Activities, &MadeFrom::default(), [batch])?;
    }
    Ok((bytes, rows, lines))
}
