//! Health Connect's export.

use rusqlite::{Connection, params};

use super::{Exported, Recording, serial};
use crate::model::hex;
use crate::sources::health_connect::exercise_number;
use crate::testing::synth::corpus::sports;
use crate::testing::synth::exports::Pack;
use crate::testing::synth::exports::health_connect::TABLES;

pub fn export(number: u32, own: &[&Recording]) -> Exported {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("health_connect_export.db");
    let keys = write(&path, number, own).expect("a new database takes it");
    let mut pack = Pack::new();
    pack.add("health_connect_export.db", &std::fs::read(&path).expect("it was just written"));
    (vec![("health-connect.zip".to_string(), pack.finish())], keys)
}

fn write(path: &std::path::Path, number: u32, own: &[&Recording]) -> rusqlite::Result<Vec<String>> {
    let mut db = Connection::open(path)?;
    db.execute_batch(TABLES)?;
    db.execute_batch("INSERT INTO application_info_table VALUES (3, 'com.sync.app', 'Sync')")?;
    let db = db.transaction()?;
    let mut keys = Vec::new();
    for (index, r) in own.iter().enumerate() {
        let mut uuid = [7_u8; 16];
        uuid[..8].copy_from_slice(&serial(number, index).to_be_bytes());
        let (start, end) = (r.start_s * 1000, r.end_s() * 1000);
        let app = if r.classes.contains("hub_copy") { 3 } else { 1 };
        let kind = exercise_number(&sports::named(r.sport).health_connect).unwrap_or(0) as i64;
        db.execute(
            "INSERT INTO exercise_session_record_table VALUES (NULL, ?1, ?8, 1, NULL, ?2, ?3, ?4, ?3, 0, ?5, ?6, NULL, ?7)",
            params![uuid, start, r.utc_offset_s, end, kind, r.title, r.has_track(), app],
        )?;
        let session = db.last_insert_rowid();
        if r.metres > 0.0 {
            db.execute(
                "INSERT INTO distance_record_table VALUES (NULL, ?1, ?2, ?3, ?4)",
                params![app, start, end, r.metres],
            )?;
        }
        db.execute(
            "INSERT INTO total_calories_burned_record_table VALUES (NULL, ?1, ?2, ?3, ?4)",
            params![app, start, end, r.kcal * 1000.0],
        )?;
        db.execute(
            "INSERT INTO heart_rate_record_table VALUES (NULL, ?1, ?2, ?3)",
            params![app, start, end],
        )?;
        let series = db.last_insert_rowid();
        for s in &r.samples {
            if let Some(bpm) = s.heart_rate_bpm {
                db.execute(
                    "INSERT INTO heart_rate_record_series_table VALUES (?1, ?2, ?3)",
                    params![series, bpm, s.time_ms],
                )?;
            }
            if let (Some(lat), Some(lon)) = (s.lat_e7, s.lon_e7) {
                db.execute(
                    "INSERT INTO exercise_route_table VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![session, s.time_ms, f64::from(lat) / 1e7, f64::from(lon) / 1e7, s.altitude_m],
                )?;
            }
        }
        keys.push(hex(&uuid));
    }
    db.commit()?;
    Ok(keys)
}
