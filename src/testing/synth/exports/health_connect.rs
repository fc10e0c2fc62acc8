//! Health Connect's export: a SQLite database in a zip, with as many of its tables as matter.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::{Exported, Pack, serial};
use crate::model::hex;
use crate::sources::health_connect::exercise_number;
use crate::testing::synth::records::Record;
use crate::testing::synth::{Person, Recording};

pub const TABLES: &str = "
CREATE TABLE application_info_table (row_id INTEGER PRIMARY KEY, package_name TEXT, app_name TEXT);
CREATE TABLE device_info_table (row_id INTEGER PRIMARY KEY, manufacturer TEXT, model TEXT, device_type INTEGER);
CREATE TABLE exercise_session_record_table (row_id INTEGER PRIMARY KEY, uuid BLOB, app_info_id INTEGER,
    device_info_id INTEGER, client_record_id TEXT, start_time INTEGER, start_zone_offset INTEGER, end_time INTEGER,
    end_zone_offset INTEGER, local_date INTEGER, exercise_type INTEGER, title TEXT, notes TEXT, has_route INTEGER);
CREATE TABLE distance_record_table (row_id INTEGER PRIMARY KEY, app_info_id INTEGER, start_time INTEGER,
    end_time INTEGER, distance REAL);
CREATE TABLE total_calories_burned_record_table (row_id INTEGER PRIMARY KEY, app_info_id INTEGER, start_time INTEGER,
    end_time INTEGER, energy REAL);
CREATE TABLE heart_rate_record_table (row_id INTEGER PRIMARY KEY, app_info_id INTEGER, start_time INTEGER, end_time INTEGER);
CREATE TABLE heart_rate_record_series_table (parent_key INTEGER, beats_per_minute INTEGER, epoch_millis INTEGER);
CREATE TABLE exercise_route_table (parent_key INTEGER, timestamp_millis INTEGER, latitude REAL, longitude REAL, altitude REAL);
INSERT INTO application_info_table VALUES (1, 'com.fitbit.FitbitMobile', 'Fitbit'), (2, 'com.other.app', 'Other');
INSERT INTO device_info_table VALUES (1, 'Google', 'Pixel Watch', 1);
";

pub fn export(person: &Person, own: &[&Record]) -> Exported {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("health_connect_export.db");
    let ids = write(&path, person, own).expect("a new database takes it");
    let mut pack = Pack::new();
    pack.add("health_connect_export.db", &std::fs::read(&path).expect("it was just written"));
    (pack.finish(), ids)
}

fn write(path: &std::path::Path, person: &Person, own: &[&Record]) -> rusqlite::Result<Vec<(String, usize)>> {
    let mut db = Connection::open(path)?;
    db.execute_batch(TABLES)?;
    let db = db.transaction()?;
    let mut ids = Vec::new();
    let mut rates = BTreeSet::new();
    let mut seen: Vec<BTreeSet<i64>> = Vec::new();
    for record in own {
        let w = &record.workout;
        let mut uuid = [0_u8; 16];
        uuid[..8].copy_from_slice(&serial(record).to_be_bytes());
        uuid[8..].copy_from_slice(&w.seed.to_be_bytes());
        let start = w.start.as_millisecond();
        let end = start + i64::from(w.elapsed_s) * 1000;
        let samples = record.samples(person.home);
        let has_route = w.recording == Recording::Outdoor && samples.iter().any(|s| s.lat_e7.is_some());
        db.execute(
            "INSERT INTO exercise_session_record_table VALUES (NULL, ?1, 1, 1, NULL, ?2, ?3, ?4, ?3, 0, ?5, ?6, NULL, ?7)",
            params![uuid, start, w.utc_offset_s, end, exercise_number(name(w.sport)).unwrap_or(0) as i64, w.title, has_route],
        )?;
        let session = db.last_insert_rowid();
        if w.distance_m > 0.0 {
            // In two stretches, as apps write them; and another app's, which is not to be counted.
            let middle = (start + end) / 2;
            for (app, from, to, metres) in [
                (1, start, middle, w.distance_m / 2.0),
                (1, middle, end, w.distance_m / 2.0),
                (2, start, end, 9_999.0),
            ] {
                db.execute(
                    "INSERT INTO distance_record_table VALUES (NULL, ?1, ?2, ?3, ?4)",
                    params![app, from, to, metres],
                )?;
            }
        }
        db.execute(
            "INSERT INTO total_calories_burned_record_table VALUES (NULL, 1, ?1, ?2, ?3)",
            params![start, end, f64::from(w.moving_s) * 170.0],
        )?;
        db.execute("INSERT INTO heart_rate_record_table VALUES (NULL, 1, ?1, ?2)", params![start, end])?;
        let parent = db.last_insert_rowid();
        for sample in &samples {
            if let Some(bpm) = sample.heart_rate_bpm {
                db.execute(
                    "INSERT INTO heart_rate_record_series_table VALUES (?1, ?2, ?3)",
                    params![parent, bpm, sample.time_ms],
                )?;
            }
            if let (true, Some(lat), Some(lon)) = (has_route, sample.lat_e7, sample.lon_e7) {
                db.execute(
                    "INSERT INTO exercise_route_table VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        session,
                        sample.time_ms,
                        f64::from(lat) / 1e7,
                        f64::from(lon) / 1e7,
                        sample.altitude_m
                    ],
                )?;
            }
        }
        rates.extend(samples.iter().filter(|s| s.heart_rate_bpm.is_some()).map(|s| s.time_ms));
        seen.push(samples.iter().filter(|s| has_route && s.lat_e7.is_some()).map(|s| s.time_ms).collect());
        ids.push((hex(&uuid), 0));
    }
    // Sessions that overlap share the rates of the time they share.
    for ((record, id), mut times) in own.iter().zip(&mut ids).zip(seen) {
        let start_ms = record.workout.start.as_millisecond();
        times.extend(rates.range(start_ms..=start_ms + i64::from(record.workout.elapsed_s) * 1000));
        id.1 = times.len();
    }
    db.commit()?;
    Ok(ids)
}

pub fn name(sport: &str) -> &'static str {
    match sport {
        "Run" | "TrailRun" | "VirtualRun" => "running",
        "Ride" | "GravelRide" | "MountainBikeRide" | "VirtualRide" => "biking",
        "Swim" => "swimming_pool",
        "Walk" => "walking",
        "Hike" => "hiking",
        "WeightTraining" => "strength_training",
        "Yoga" => "yoga",
        _ => "other_workout",
    }
}
