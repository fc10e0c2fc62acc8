//! Invented people's histories in every source's own export format, and the truth of which records
//! are the same workout.
//!
//! ```text
//! DIR/manifest.csv              user, source, path, timezone: for `longrun import --manifest`
//! DIR/truth.jsonl               one line per record: which workouts it is of, and what is wrong with it
//! DIR/user-0000/strava.zip      activities.csv and the uploaded files
//! DIR/user-0000/garmin.zip      summarizedActivities, FIT files in a zip within
//! DIR/user-0000/fitbit.zip      exercise-0.json, heart_rate-2019-04-22.json
//! DIR/user-0000/hevy.csv
//! DIR/user-0000/apple.zip       export.xml, workout-routes
//! DIR/user-0000/health-connect.zip
//! DIR/user-0000/files.zip       GPX, TCX and FIT
//! ```

pub mod apple;
pub mod device;
mod fitbit;
mod garmin;
pub mod health_connect;
mod hevy;
pub mod strava;

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;

use super::records::{self, Class, Record};
use super::{Options, Person, Scene, person, user_id};
use crate::error::{Error, Result};
use crate::sources::Source;
use crate::store::local;

pub use apple::write_large as write_large_apple_export;

/// One record of an export, and what it truly is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    pub user_id: String,
    pub source: Source,
    pub source_id: String,
    /// The workouts it tells of. Records that share one are the same workout.
    pub of: Vec<String>,
    pub classes: Vec<Class>,
    /// Records of one scene and different workouts are close, and not the same.
    pub scene: Option<(Scene, u64)>,
    pub samples: usize,
}

/// What was written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub exports: u64,
    pub records: u64,
    pub bytes: u64,
}

/// One export of one person.
pub struct Export {
    pub source: Source,
    /// Of the file, beside the others of the person.
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// Where wall clocks without a zone are from.
    pub timezone: Option<&'static str>,
    pub truth: Vec<Truth>,
}

/// Everything that a person's sources would export, Strava's API aside.
pub fn of(person: &Person, number: u32, options: Options, only: Option<&[Source]>) -> Vec<Export> {
    let wanted = |source: &Source| only.is_none_or(|only| only.contains(source));
    let own = records::of(person, number, options);
    records::sources_of(number)
        .iter()
        .filter(|source| wanted(source))
        .map(|source| {
            let own: Vec<&Record> = own.iter().filter(|record| record.source == *source).collect();
            let (name, (bytes, ids)) = match source {
                Source::Strava => ("strava.zip", strava::export(person, &own)),
                Source::Garmin => ("garmin.zip", garmin::export(person, &own)),
                Source::Fitbit => ("fitbit.zip", fitbit::export(person, &own)),
                Source::Hevy => ("hevy.csv", hevy::export(&own)),
                Source::Apple => ("apple.zip", apple::export(person, &own)),
                Source::HealthConnect => ("health-connect.zip", health_connect::export(person, &own)),
                Source::Files => ("files.zip", device::export(person, &own)),
            };
            let truth = own
                .iter()
                .zip(ids)
                .map(|(record, (source_id, samples))| Truth::of(person, record, source_id, samples));
            let timezone = (*source == Source::Hevy).then_some(person.home.zone);
            Export { source: *source, name, bytes, timezone, truth: truth.collect() }
        })
        .collect()
}

impl Truth {
    pub fn of(person: &Person, record: &Record, source_id: String, samples: usize) -> Truth {
        Truth {
            user_id: person.user_id.clone(),
            source: record.source,
            source_id,
            of: record.of.iter().map(u128::to_string).collect(),
            classes: record.classes.clone(),
            scene: record.scene,
            samples,
        }
    }
}

/// The sport as the source's export names it.
pub fn sport_name(record: &Record) -> String {
    let w = &record.workout;
    match record.source {
        Source::Strava => w.sport.to_string(),
        Source::Garmin => garmin::type_key(w.sport, w.recording).to_string(),
        Source::Fitbit => fitbit::name(w.sport).to_string(),
        Source::Hevy => "strength".to_string(),
        Source::Apple => apple::name(w.sport).to_string(),
        Source::HealthConnect => health_connect::name(w.sport).to_string(),
        Source::Files => device::sport_name(record),
    }
}

/// The bytes of an export, and the id and the number of samples of each record in it.
type Exported = (Vec<u8>, Vec<(String, usize)>);

/// The truth of what Strava's API tells.
pub fn truth_of_api(person: &Person) -> Vec<Truth> {
    let truth = |w: &super::Workout| Truth {
        user_id: person.user_id.clone(),
        source: Source::Strava,
        source_id: w.id.to_string(),
        of: vec![w.id.to_string()],
        classes: records::classes_of_api(w),
        scene: w.scene,
        samples: 0,
    };
    person.workouts.iter().map(truth).collect()
}

/// Writes everybody's exports below a folder.
pub fn write(folder: &Path, options: Options, only: Option<&[Source]>) -> Result<Written> {
    let folder = std::path::absolute(folder).map_err(Error::io("find", folder))?;
    let mut manifest = String::from("user,source,path,timezone\n");
    let mut truth = Vec::new();
    let mut written = Written::default();
    // A few people at a time, so that memory does not grow with their number.
    let numbers: Vec<u32> = (0..options.users).collect();
    for some in numbers.chunks(8) {
        let done: Vec<Result<(String, Vec<u8>, Written)>> =
            some.par_iter().map(|number| write_person(&folder, *number, options, only)).collect();
        for person in done {
            let (lines, records, of_person) = person?;
            manifest.push_str(&lines);
            truth.extend(records);
            written.exports += of_person.exports;
            written.records += of_person.records;
            written.bytes += of_person.bytes;
        }
    }
    local::replace(&folder.join("truth.jsonl"), |out| out.write_all(&truth))?;
    local::replace(&folder.join("manifest.csv"), |out| out.write_all(manifest.as_bytes()))?;
    Ok(written)
}

fn write_person(
    folder: &Path,
    number: u32,
    options: Options,
    only: Option<&[Source]>,
) -> Result<(String, Vec<u8>, Written)> {
    let person = person(options, number);
    let mut manifest = String::new();
    let mut truth = Vec::new();
    let mut written = Written::default();
    let mut records = truth_of_api(&person);
    for export in of(&person, number, options, only) {
        let path = PathBuf::from(user_id(number)).join(export.name);
        written.bytes += local::replace(&folder.join(&path), |out| out.write_all(&export.bytes))?;
        written.exports += 1;
        written.records += export.truth.len() as u64;
        manifest.push_str(&format!(
            "{},{},{},{}\n",
            person.user_id,
            export.source,
            path.display(),
            export.timezone.unwrap_or_default()
        ));
        // The archive's rows are those of the API.
        if export.source != Source::Strava {
            records.extend(export.truth);
        }
    }
    for record in &records {
        serde_json::to_writer(&mut truth, record).expect("a record is plain");
        truth.push(b'\n');
    }
    Ok((manifest, truth, written))
}

/// A zip in the making, in memory.
pub(super) struct Pack(zip::ZipWriter<Cursor<Vec<u8>>>);

impl Pack {
    pub fn new() -> Pack {
        Pack(zip::ZipWriter::new(Cursor::new(Vec::new())))
    }

    pub fn add(&mut self, name: &str, bytes: &[u8]) {
        let is_packed = [".gz", ".zip"].iter().any(|end| name.ends_with(end));
        let method =
            if is_packed { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .compression_level((!is_packed).then_some(1));
        self.0.start_file(name, options).expect("memory takes it");
        self.0.write_all(bytes).expect("memory takes it");
    }

    pub fn finish(self) -> Vec<u8> {
        self.0.finish().expect("memory takes it").into_inner()
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A number of a record that no other record of the person has.
pub fn serial(record: &Record) -> u64 {
    let is_second = record.stretches[0].1 > 0.0;
    serial_of(record.of[0], u64::from(is_second) + 2 * u64::from(record.is_copy))
}

/// The number of a workout's recording in one piece.
pub fn serial_of(workout: u128, recording: u64) -> u64 {
    (workout as u64).wrapping_mul(4).wrapping_add(recording) % 90_000_000_000
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;
    use crate::sources::formats::zip::Container;
    use crate::sources::{self, Found, ReadFrom};
    use jiff::Timestamp;

    #[test]
    fn every_export_is_recognised_and_read_to_its_truth() {
        let options = Options { seed: 9, users: 8, activities: 60 };
        let folder = tempfile::tempdir().unwrap();
        let mut seen = HashSet::new();
        for number in 0..options.users {
            let person = person(options, number);
            for export in of(&person, number, options, None) {
                seen.insert(export.source);
                let path = folder.path().join(export.name);
                std::fs::write(&path, &export.bytes).unwrap();
                let archive = Container::open(&path, export.name, folder.path()).unwrap();
                assert_eq!(sources::recognise(&archive), Some(export.source));
                let from = ReadFrom {
                    user_id: person.user_id.clone(),
                    source: export.source,
                    account_id: None,
                    fetched_at: Timestamp::from_second(1_800_000_000).unwrap(),
                    raw_ref: String::new(),
                    zone: export.timezone.map(|zone| jiff::tz::TimeZone::get(zone).unwrap()),
                    only_counts: false,
                };
                let mut read = BTreeMap::new();
                sources::read(export.source, &archive, &from, &mut |item| {
                    match item.found {
                        Found::Activity(mut taken) => {
                            sources::check(&mut taken);
                            assert_eq!(taken.faults, [], "{}", item.at);
                            let samples = taken.streams.map_or(0, |s| s.samples as usize);
                            let a = taken.activity;
                            read.insert(a.source_id.clone(), (a, samples));
                        }
                        Found::Fault(fault) => panic!("{} {}: {fault}", export.source, item.at),
                        Found::NoActivity | Found::Gone(_) => {}
                    }
                    Ok(())
                })
                .unwrap();
                let own = records::of(&person, number, options);
                let own: Vec<&Record> = own.iter().filter(|t| t.source == export.source).collect();
                assert_eq!(read.len(), own.len(), "{}", export.source);
                for (truth, record) in export.truth.iter().zip(own) {
                    let (a, samples) = &read[&truth.source_id];
                    let what = format!("{} {} {:?}", export.source, truth.source_id, record.classes);
                    assert_eq!(*samples, truth.samples, "{what}");
                    let away_s = (a.start_time.as_second() - record.workout.start.as_second()).abs();
                    assert_eq!(away_s, 0, "{what}");
                    let elapsed_s = a.elapsed_s.unwrap();
                    assert!(
                        (elapsed_s - f64::from(record.workout.elapsed_s)).abs() <= 1.0,
                        "{what} {elapsed_s}"
                    );
                    if export.source != Source::Hevy && record.workout.distance_m > 0.0 {
                        let off = (a.distance_m.unwrap() - record.workout.distance_m).abs();
                        assert!(off < 1.0 + record.workout.distance_m * 1e-4, "{what} {off}");
                    }
                }
            }
        }
        assert_eq!(seen.len(), Source::ALL.len());
    }
}
