//! Garmin's account export: summaries in units of their own, and FIT files in a zip within.

use serde_json::json;

use super::{Exported, Pack, device, serial};
use crate::testing::synth::records::Record;
use crate::testing::synth::{Person, Recording};

/// Summaries in one file.
const AT_A_TIME: usize = 1000;

pub fn export(person: &Person, own: &[&Record]) -> Exported {
    let mut pack = Pack::new();
    let mut inner = Pack::new();
    let mut ids = Vec::new();
    let mut summaries = Vec::new();
    for record in own {
        let id = serial(record);
        let samples = record.samples(person.home);
        summaries.push(summary(record, id, person));
        inner.add(
            &format!("somebody@example.com_{id}.fit"),
            &device::fit(record, &samples, device::Device::WATCH),
        );
        // Most of what a device writes is no activity.
        let settings = device::fit_settings(device::Device::WATCH, record.workout.start.as_second());
        inner.add(&format!("somebody@example.com_{}.fit", id + 1), &settings);
        ids.push((id.to_string(), samples.len()));
    }
    for (number, some) in summaries.chunks(AT_A_TIME).enumerate() {
        let offset = if number == 0 { 0 } else { number * AT_A_TIME + 1 };
        let name =
            format!("DI_CONNECT/DI-Connect-Fitness/somebody@example.com_{offset}_summarizedActivities.json");
        let body = json!([{ "summarizedActivitiesExport": some }]);
        pack.add(&name, body.to_string().as_bytes());
    }
    pack.add("DI_CONNECT/DI-Connect-Uploaded-Files/UploadedFiles_0-_Part1.zip", &inner.finish());
    pack.add("customer_data/customer.json", b"{}");
    (pack.finish(), ids)
}

fn summary(record: &Record, id: u64, person: &Person) -> serde_json::Value {
    let w = &record.workout;
    let start_ms = w.start.as_millisecond();
    let mut summary = json!({
        "activityId": id,
        "uuidMsb": -1_234_567_890_123_i64,
        "name": w.title,
        "activityType": type_key(w.sport, w.recording),
        "userProfileId": person.athlete_id,
        "beginTimestamp": start_ms,
        "startTimeGmt": start_ms as f64,
        "startTimeLocal": (start_ms + i64::from(w.utc_offset_s) * 1000) as f64,
        "duration": f64::from(w.moving_s) * 1000.0,
        "elapsedDuration": f64::from(w.elapsed_s) * 1000.0,
        "movingDuration": f64::from(w.moving_s) * 1000.0,
        "calories": f64::from(w.moving_s) * 0.17 * 4.184,
        "deviceId": device::Device::WATCH.serial,
        "parent": false,
        "favorite": false,
    });
    let fields = summary.as_object_mut().expect("just made one");
    if w.distance_m > 0.0 {
        fields.insert("distance".to_string(), json!(w.distance_m * 100.0));
        fields.insert("avgSpeed".to_string(), json!(w.distance_m / f64::from(w.moving_s.max(1)) / 10.0));
        fields.insert("elevationGain".to_string(), json!(w.elevation_gain_m * 100.0));
    }
    if let Some(bpm) = record.heart_rate_bpm() {
        fields.insert("avgHr".to_string(), json!(f64::from(bpm)));
        fields.insert("maxHr".to_string(), json!(f64::from(bpm + 12)));
    }
    summary
}

pub fn type_key(sport: &str, recording: Recording) -> &'static str {
    let is_indoor = recording == Recording::Indoor;
    match sport {
        "Run" if is_indoor => "treadmill_running",
        "Run" => "running",
        "TrailRun" => "trail_running",
        "VirtualRun" => "virtual_run",
        "Ride" if is_indoor => "indoor_cycling",
        "Ride" => "road_biking",
        "GravelRide" => "gravel_cycling",
        "MountainBikeRide" => "mountain_biking",
        "VirtualRide" => "virtual_ride",
        "Swim" => "lap_swimming",
        "Walk" => "walking",
        "Hike" => "hiking",
        "WeightTraining" => "strength_training",
        "Yoga" => "yoga",
        "Rowing" => "rowing",
        _ => "indoor_cardio",
    }
}
