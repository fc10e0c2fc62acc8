//! A device that watches a body, and what it keeps.

use std::collections::BTreeSet;

use super::chance::Dice;
use super::world::{Outing, moved};
use crate::sources::formats::recording::Sample;

/// A thing with a clock and sensors, which is wrong in its own way.
#[derive(Debug, Clone)]
pub struct Device {
    pub every_s: i64,
    pub gps_m: f64,
    /// What its metres are to real ones, outdoors and indoors.
    pub scale: f64,
    pub indoor_scale: f64,
    /// What its heart rate is off by; None without a sensor.
    pub bpm_off: Option<f64>,
    /// Spread of the seconds by which it is started late and stopped late.
    pub slack_s: f64,
    /// Pauses are left out of its times.
    pub pauses_itself: bool,
    /// Stretches in which its clock is off: from, to, seconds.
    pub wrong_clock: Vec<(i64, i64, i64)>,
}

impl Device {
    pub fn draw(dice: &mut Dice, years: (i64, i64)) -> Device {
        let mut wrong_clock = Vec::new();
        while dice.chance(0.3) {
            let from = dice.whole(years.0, years.1);
            let days = dice.around(6.0, 1.0).clamp(1.0, 120.0);
            let off_s = match dice.whole(0, 3) {
                0 => dice.around(180.0, 1.2) as i64,
                1 => 3600 * dice.whole(1, 11),
                2 => 60 * dice.whole(2, 90),
                _ => dice.whole(600, 40_000),
            };
            let sign = if dice.chance(0.5) { 1 } else { -1 };
            wrong_clock.push((from, from + (days * 86_400.0) as i64, sign * off_s));
        }
        Device {
            every_s: dice.pick(&[1, 1, 2, 4, 5, 7, 10, 15, 30]),
            gps_m: dice.around(4.0, 0.6),
            scale: 1.0 + 0.012 * dice.normal(),
            indoor_scale: dice.around(1.0, 0.13),
            bpm_off: (!dice.chance(0.2)).then(|| 2.5 * dice.normal()),
            slack_s: dice.around(9.0, 1.0),
            pauses_itself: dice.chance(0.25),
            wrong_clock,
        }
    }
}

/// What a device or a person kept of what happened.
#[derive(Debug, Clone)]
pub struct Recording {
    pub workouts: BTreeSet<u32>,
    /// `same`, `part` or `whole`.
    pub relation: &'static str,
    pub classes: BTreeSet<&'static str>,
    pub sport: &'static str,
    pub title: String,
    pub start_s: i64,
    pub utc_offset_s: i32,
    pub elapsed_s: i64,
    pub moving_s: i64,
    pub metres: f64,
    pub bpm: Option<f64>,
    pub kcal: f64,
    pub samples: Vec<Sample>,
    pub is_indoor: bool,
    pub is_manual: bool,
    pub is_on_trip: bool,
    pub is_after_switch: bool,
}

/// As many as a reader needs to see the way.
const MOST_SAMPLES: i64 = 160;

impl Recording {
    /// What a device keeps between two seconds of some outings that follow each other.
    pub fn of(outings: &[&Outing], from_s: i64, to_s: i64, device: &Device, dice: &mut Dice) -> Recording {
        let to_s = to_s.max(from_s + 20);
        let elapsed_s = to_s - from_s;
        let first = outings[0];
        let is_indoor = outings.iter().all(|o| o.way.is_none());
        let scale = if is_indoor { device.indoor_scale } else { device.scale };
        let metres_at = |time_s: i64| -> f64 { outings.iter().map(|o| o.at(time_s).metres).sum() };
        let moving_s: f64 = outings
            .iter()
            .map(|o| {
                o.moving_before((to_s - o.start_s) as f64) - o.moving_before((from_s - o.start_s) as f64)
            })
            .sum();
        let begun_m = metres_at(from_s);
        let every_s = device.every_s.max(elapsed_s / MOST_SAMPLES).max(1);
        let (mut north, mut east, mut rates) = (0.0, 0.0, Vec::new());
        let mut samples = Vec::new();
        let mut time_s = from_s;
        while time_s <= to_s {
            let now = outings.iter().rev().find(|o| o.start_s <= time_s).unwrap_or(&first);
            let moment = now.at(time_s);
            north = 0.8 * north + 0.6 * device.gps_m * dice.normal();
            east = 0.8 * east + 0.6 * device.gps_m * dice.normal();
            let seen = moment.position.map(|position| moved(position, north, east));
            let bpm = device.bpm_off.map(|off| (moment.bpm + off + 1.5 * dice.normal()).round());
            rates.extend(bpm);
            samples.push(Sample {
                time_ms: time_s * 1000,
                lat_e7: seen.map(|(lat, _)| (lat * 1e7).round() as i32),
                lon_e7: seen.map(|(_, lon)| (lon * 1e7).round() as i32),
                altitude_m: seen.map(|_| (moment.altitude_m * 5.0).round() / 5.0),
                distance_m: (first.metres > 0.0)
                    .then(|| ((metres_at(time_s) - begun_m) * scale * 100.0).round() / 100.0),
                heart_rate_bpm: bpm.map(|bpm| bpm as i32),
                ..Sample::default()
            });
            time_s += every_s;
        }
        Recording {
            workouts: outings.iter().map(|o| o.workout).collect(),
            relation: "same",
            classes: BTreeSet::new(),
            sport: first.sport,
            title: first.sport.to_string(),
            start_s: from_s,
            utc_offset_s: first.utc_offset_s,
            elapsed_s,
            moving_s: (moving_s as i64).clamp(10, elapsed_s),
            metres: (metres_at(to_s) - begun_m) * scale,
            bpm: (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64),
            kcal: moving_s * dice.around(0.16, 0.2),
            samples,
            is_indoor,
            is_manual: false,
            is_on_trip: first.is_on_trip,
            is_after_switch: first.is_after_switch,
        }
    }

    pub fn end_s(&self) -> i64 {
        self.start_s + self.elapsed_s
    }

    pub fn shift(&mut self, seconds: i64) {
        self.start_s += seconds;
        self.samples.iter_mut().for_each(|s| s.time_ms += seconds * 1000);
    }

    pub fn scale(&mut self, factor: f64) {
        self.metres *= factor;
        for sample in &mut self.samples {
            sample.distance_m = sample.distance_m.map(|metres| (metres * factor * 100.0).round() / 100.0);
        }
    }

    pub fn forget_samples(&mut self) {
        self.samples.clear();
    }

    pub fn forget_track(&mut self) {
        for sample in &mut self.samples {
            (sample.lat_e7, sample.lon_e7, sample.altitude_m) = (None, None, None);
        }
    }

    pub fn has_track(&self) -> bool {
        self.samples.iter().any(|s| s.lat_e7.is_some())
    }
}
