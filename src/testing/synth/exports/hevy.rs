//! Hevy's table: a row per set, wall clocks of whole minutes, pounds for some.

use std::fmt::Write;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::Exported;
use crate::sources::formats::time::Order;
use crate::sources::hevy::table_id;
use crate::testing::synth::records::Record;

const EXERCISES: [&str; 5] =
    ["Bench Press (Barbell)", "Squat (Barbell)", "Deadlift (Barbell)", "Pull Up", "Rowing Machine"];

pub fn export(own: &[&Record]) -> Exported {
    let is_in_pounds = own.first().is_some_and(|t| t.workout.seed % 2 == 0);
    let (weight, distance) =
        if is_in_pounds { ("weight_lbs", "distance_miles") } else { ("weight_kg", "distance_km") };
    let mut table = format!(
        "\u{feff}\"title\",\"start_time\",\"end_time\",\"description\",\"exercise_title\",\"superset_id\",\"exercise_notes\",\
         \"set_index\",\"set_type\",\"{weight}\",\"reps\",\"{distance}\",\"duration_seconds\",\"rpe\"\n"
    );
    let mut ids = Vec::new();
    for record in own {
        let w = &record.workout;
        let title = format!("Push Day {}", w.seed % 7);
        let offset = Offset::from_seconds(w.utc_offset_s).expect("an offset");
        let clock = |time: Timestamp| offset.to_datetime(time).strftime("%-d %b %Y, %H:%M").to_string();
        let start = clock(w.start);
        let end = clock(w.start + SignedDuration::from_secs(i64::from(w.elapsed_s)));
        for (number, exercise) in EXERCISES.iter().enumerate() {
            for set in 0..3_u64 {
                let weight = 40 + (w.seed >> (number * 4)) % 60 + set * 5;
                let kind = if set == 0 { "warmup" } else { "normal" };
                let values = match *exercise {
                    "Rowing Machine" => ",,0.5,120,".to_string(),
                    "Pull Up" => ",8,,,9.5".to_string(),
                    _ => format!("{weight},{},,,8", 12 - set * 2),
                };
                writeln!(
                    table,
                    "\"{title}\",\"{start}\",\"{end}\",\"\",\"{exercise}\",,\"\",{set},\"{kind}\",{values}"
                )
                .expect("memory");
            }
        }
        ids.push((table_id(&title, &start, &end, Order::DayFirst), 0));
    }
    (table.into_bytes(), ids)
}
