//! Streams: every sample of a workout.

use super::round;
use crate::testing::synth::{Person, Recording, Workout};

/// The body of `GET /activities/{id}/streams?key_by_type=true`, one sample a second; None where
/// there was no recording. Every seventh comes as a list instead of an object.
pub fn streams(person: &Person, w: &Workout) -> Option<String> {
    if w.recording == Recording::Manual {
        return None;
    }
    let samples = w.moving_s as usize;
    let share = |i: usize| i as f64 / samples as f64;
    let join = |value: &dyn Fn(usize) -> String| (0..samples).map(value).collect::<Vec<_>>().join(",");
    let mut all = vec![
        ("time", join(&|i| i.to_string())),
        ("distance", join(&|i| format!("{:?}", round(w.distance_m * share(i), 1)))),
        ("moving", join(&|i| (i % 600 != 0).to_string())),
        (
            "velocity_smooth",
            join(&|i| format!("{:?}", round(w.distance_m / samples as f64, 1) + (i % 7) as f64 / 10.0)),
        ),
    ];
    if w.has_track() {
        all.push((
            "latlng",
            join(&|i| {
                let (lat, lon) = w.position(person.home, share(i));
                format!("[{:?},{:?}]", round(lat, 6), round(lon, 6))
            }),
        ));
        all.push(("altitude", join(&|i| format!("{:?}", round(20.0 + 15.0 * (share(i) * 12.0).sin(), 1)))));
        all.push(("grade_smooth", join(&|i| format!("{:?}", ((i % 41) as f64 - 20.0) / 10.0))));
    }
    if w.has_heart_rate {
        all.push(("heartrate", join(&|i| (110 + (i / 60) % 50).to_string())));
    }
    if w.has_power {
        all.push((
            "watts",
            join(&|i| if i % 333 == 0 { "null".to_string() } else { (150 + i % 90).to_string() }),
        ));
    }
    if w.seed % 3 > 0 {
        all.push(("temp", join(&|_| "18".to_string())));
    }
    let tail = |name: &str| {
        let size = samples;
        format!(
            "\"series_type\":\"{}\",\"original_size\":{size},\"resolution\":\"high\"",
            if name == "time" { "time" } else { "distance" }
        )
    };
    Some(if w.seed % 7 == 0 {
        let list: Vec<String> = all
            .iter()
            .map(|(name, data)| format!("{{\"type\":\"{name}\",\"data\":[{data}],{}}}", tail(name)))
            .collect();
        format!("[{}]", list.join(","))
    } else {
        let object: Vec<String> = all
            .iter()
            .map(|(name, data)| format!("\"{name}\":{{\"data\":[{data}],{}}}", tail(name)))
            .collect();
        format!("{{{}}}", object.join(","))
    })
}
