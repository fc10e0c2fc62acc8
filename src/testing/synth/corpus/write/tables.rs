//! Fitbit's Takeout and Hevy's table.

use std::fmt::Write as _;

use jiff::tz::Offset;
use serde_json::json;

use super::{Exported, Recording, serial, time};
use crate::testing::synth::corpus::sports;
use crate::testing::synth::exports::Pack;

pub fn fitbit(number: u32, own: &[&Recording]) -> Exported {
    let mut pack = Pack::new();
    let mut keys = Vec::new();
    let mut exercises = Vec::new();
    let is_in_miles = number % 4 == 0;
    for (index, r) in own.iter().enumerate() {
        let id = serial(number, index);
        let written = time(r.start_s).strftime("%m/%d/%y %H:%M:%S").to_string();
        let mut exercise = json!({
            "logId": id,
            "activityName": sports::named(r.sport).fitbit,
            "calories": r.kcal.round(),
            "duration": r.elapsed_s * 1000,
            "activeDuration": r.moving_s * 1000,
            "originalDuration": r.elapsed_s * 1000,
            "logType": if r.is_manual { "manual" } else { "tracker" },
            "startTime": written,
            "originalStartTime": written,
            "lastModified": written,
            "hasGps": false,
        });
        let fields = exercise.as_object_mut().expect("just made one");
        if r.metres > 0.0 {
            let (unit, metres) = if is_in_miles { ("Mile", 1609.344) } else { ("Kilometer", 1000.0) };
            fields.insert("distance".to_string(), json!(r.metres / metres));
            fields.insert("distanceUnit".to_string(), json!(unit));
        }
        if let Some(bpm) = r.bpm {
            fields.insert("averageHeartRate".to_string(), json!(bpm.round() as i64));
        }
        exercises.push(exercise);
        keys.push(id.to_string());
    }
    for (number, some) in exercises.chunks(100).enumerate() {
        let name = format!("Takeout/Fitbit/Global Export Data/exercise-{}.json", number * 100);
        pack.add(&name, json!(some).to_string().as_bytes());
    }
    (vec![("takeout.zip".to_string(), pack.finish())], keys)
}

pub fn hevy(own: &[&Recording]) -> Exported {
    let mut table = String::from(
        "\"title\",\"start_time\",\"end_time\",\"description\",\"exercise_title\",\"superset_id\",\"exercise_notes\",\
         \"set_index\",\"set_type\",\"weight_kg\",\"reps\",\"distance_km\",\"duration_seconds\",\"rpe\"\n",
    );
    let mut keys = Vec::new();
    for (index, r) in own.iter().enumerate() {
        let offset = Offset::from_seconds(r.utc_offset_s).expect("an offset");
        let clock = |second: i64| offset.to_datetime(time(second));
        let written = |second: i64| clock(second).strftime("%-d %b %Y, %H:%M").to_string();
        let title = *["Push", "Pull", "Legs", "Full Body"].get(index % 4).expect("of four");
        for set in 0..4 {
            writeln!(
                table,
                "\"{title}\",\"{}\",\"{}\",\"\",\"Squat (Barbell)\",,\"\",{set},\"normal\",{},8,,,",
                written(r.start_s),
                written(r.end_s()),
                40 + index % 50
            )
            .expect("memory");
        }
        keys.push(clock(r.start_s).strftime("%Y-%m-%dT%H:%M").to_string());
    }
    (vec![("workouts.csv".to_string(), table.into_bytes())], keys)
}
