//! Strava's and Garmin's account exports.

use std::fmt::Write as _;

use serde_json::json;

use super::{Exported, Recording, device_file, fit, serial, time};
use crate::testing::synth::corpus::sports;
use crate::testing::synth::exports::device::Device;
use crate::testing::synth::exports::strava::{COLUMNS, ENGLISH, quoted};
use crate::testing::synth::exports::{Pack, gzip};

pub fn strava(number: u32, own: &[&Recording]) -> Exported {
    let mut pack = Pack::new();
    let mut table = ENGLISH.to_string();
    for column in ENGLISH.split(',').count()..COLUMNS - 1 {
        write!(table, ",Weather {column}").expect("memory");
    }
    table.push_str(",Media\n");
    let mut keys = Vec::new();
    for (index, r) in own.iter().enumerate() {
        let id = serial(number, index);
        let mut file = String::new();
        if !r.samples.is_empty() {
            let (bytes, ending) = device_file(r, index);
            file = format!("activities/{}.{ending}.gz", id + 500_000_000);
            pack.add(&file, &gzip(&bytes));
        }
        let mut cells = vec![String::new(); COLUMNS];
        cells[0] = id.to_string();
        cells[1] = quoted(&time(r.start_s).strftime("%b %-d, %Y, %-I:%M:%S %p").to_string());
        cells[2] = quoted(&r.title);
        cells[3] = r.sport.to_string();
        cells[5] = r.elapsed_s.to_string();
        cells[6] = format!("{:.2}", r.metres / 1000.0);
        cells[12] = file;
        cells[15] = format!("{:?}", r.elapsed_s as f64);
        cells[16] = format!("{:?}", r.moving_s as f64);
        cells[17] = format!("{:?}", f64::from(r.metres as f32));
        cells[31] = r.bpm.map(|bpm| format!("{bpm:.1}")).unwrap_or_default();
        cells[34] = format!("{:.1}", r.kcal);
        writeln!(table, "{}", cells.join(",")).expect("memory");
        keys.push(id.to_string());
    }
    pack.add("activities.csv", table.as_bytes());
    (vec![("export.zip".to_string(), pack.finish())], keys)
}

pub fn garmin(number: u32, own: &[&Recording]) -> Exported {
    let (mut pack, mut inner) = (Pack::new(), Pack::new());
    let mut keys = Vec::new();
    let mut summaries = Vec::new();
    for (index, r) in own.iter().enumerate() {
        let id = serial(number, index);
        let start_ms = r.start_s * 1000;
        let mut summary = json!({
            "activityId": id,
            "name": r.title,
            "activityType": sports::named(r.sport).garmin,
            "beginTimestamp": start_ms,
            "startTimeGmt": start_ms as f64,
            "startTimeLocal": (start_ms + i64::from(r.utc_offset_s) * 1000) as f64,
            "duration": r.moving_s as f64 * 1000.0,
            "elapsedDuration": r.elapsed_s as f64 * 1000.0,
            "movingDuration": r.moving_s as f64 * 1000.0,
            "calories": r.kcal * 4.184,
            "parent": false,
        });
        let fields = summary.as_object_mut().expect("just made one");
        if r.metres > 0.0 {
            fields.insert("distance".to_string(), json!(r.metres * 100.0));
        }
        if let Some(bpm) = r.bpm {
            fields.insert("avgHr".to_string(), json!(bpm.round()));
        }
        summaries.push(summary);
        if !r.samples.is_empty() {
            inner.add(&format!("me@example.com_{id}.fit"), &fit(r, Device::WATCH));
        }
        keys.push(id.to_string());
    }
    let body = json!([{ "summarizedActivitiesExport": summaries }]).to_string();
    pack.add("DI_CONNECT/DI-Connect-Fitness/me@example.com_0_summarizedActivities.json", body.as_bytes());
    pack.add("DI_CONNECT/DI-Connect-Uploaded-Files/UploadedFiles_0-_Part1.zip", &inner.finish());
    (vec![("garmin.zip".to_string(), pack.finish())], keys)
}
