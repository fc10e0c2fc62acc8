//! Fitbit's Takeout: exercises a hundred a file, and a heart rate every ten seconds by day, all in
//! UTC without saying so.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use super::{Exported, Pack, serial};
use crate::testing::synth::records::Record;
use crate::testing::synth::{Person, Recording};

const FOLDER: &str = "Takeout/Fitbit/Global Export Data";

fn written(time: Timestamp) -> String {
    time.strftime("%m/%d/%y %H:%M:%S").to_string()
}

pub fn export(person: &Person, own: &[&Record]) -> Exported {
    let is_in_miles = person.home.zone == "America/New_York";
    let mut pack = Pack::new();
    let mut ids = Vec::new();
    let mut days: BTreeMap<String, BTreeMap<i64, i32>> = BTreeMap::new();
    let mut exercises = Vec::new();
    for record in own {
        let id = serial(record);
        exercises.push(exercise(record, id, is_in_miles));
        if record.has_heart_rate {
            for sample in record.samples(person.home) {
                let Some(bpm) = sample.heart_rate_bpm else { continue };
                let second = sample.time_ms / 1000;
                let time = Timestamp::from_second(second).expect("a time");
                days.entry(time.strftime("%Y-%m-%d").to_string()).or_default().insert(second, bpm);
            }
        }
        ids.push((id.to_string(), 0));
    }
    // Exercises that overlap share the rates of the time they share.
    let all: BTreeMap<i64, i32> = days.values().flatten().map(|(second, bpm)| (*second, *bpm)).collect();
    for (record, id) in own.iter().zip(&mut ids) {
        let start = record.workout.start.as_second();
        id.1 = all.range(start..=start + i64::from(record.workout.elapsed_s)).count();
    }
    for (number, some) in exercises.chunks(100).enumerate() {
        pack.add(&format!("{FOLDER}/exercise-{}.json", number * 100), json!(some).to_string().as_bytes());
    }
    for (day, rates) in days {
        let rates: Vec<_> = rates
            .into_iter()
            .map(|(second, bpm)| {
                let time = written(Timestamp::from_second(second).expect("a time"));
                json!({ "dateTime": time, "value": { "bpm": bpm, "confidence": 2 } })
            })
            .collect();
        pack.add(&format!("{FOLDER}/heart_rate-{day}.json"), json!(rates).to_string().as_bytes());
    }
    pack.add(&format!("{FOLDER}/sleep-2019-04-22.json"), b"[]");
    (pack.finish(), ids)
}

fn exercise(record: &Record, id: u64, is_in_miles: bool) -> serde_json::Value {
    let w = &record.workout;
    let is_manual = w.recording == Recording::Manual;
    let mut exercise = json!({
        "logId": id,
        "activityName": name(w.sport),
        "activityTypeId": 90_009,
        "calories": (f64::from(w.moving_s) * 0.18).round(),
        "duration": u64::from(w.elapsed_s) * 1000,
        "activeDuration": u64::from(w.moving_s) * 1000,
        "originalDuration": u64::from(w.elapsed_s) * 1000,
        "logType": if is_manual { "manual" } else { "tracker" },
        "startTime": written(w.start),
        "originalStartTime": written(w.start),
        "lastModified": written(w.start),
        "hasGps": false,
    });
    let fields = exercise.as_object_mut().expect("just made one");
    if w.distance_m > 0.0 {
        let (unit, metres) = if is_in_miles { ("Mile", 1609.344) } else { ("Kilometer", 1000.0) };
        fields.insert("distance".to_string(), json!(w.distance_m / metres));
        fields.insert("distanceUnit".to_string(), json!(unit));
    }
    if let Some(bpm) = record.heart_rate_bpm() {
        fields.insert("averageHeartRate".to_string(), json!(bpm));
    }
    if !is_manual {
        fields.insert("source".to_string(), json!({ "type": "tracker", "name": "Charge 5", "id": "1" }));
    }
    exercise
}

pub fn name(sport: &str) -> &'static str {
    match sport {
        "Run" | "TrailRun" | "VirtualRun" => "Run",
        "Ride" | "GravelRide" | "VirtualRide" => "Outdoor Bike",
        "MountainBikeRide" => "Mountain Biking",
        "Swim" => "Swim",
        "Walk" => "Walk",
        "Hike" => "Hike",
        "WeightTraining" => "Weights",
        "Yoga" => "Yoga",
        _ => "Workout",
    }
}
