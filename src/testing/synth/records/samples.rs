//! The samples of a record: a walk along the way of its workout, as its device saw it.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::Record;
use crate::sources::Source;
use crate::sources::formats::recording::Sample;
use crate::testing::synth::{Home, Recording, Workout, rng};

impl Record {
    /// The average, where there is a sensor.
    pub fn heart_rate_bpm(&self) -> Option<i32> {
        self.has_heart_rate.then(|| 110 + (self.workout.seed % 55) as i32 + self.off_bpm)
    }

    /// The samples of it. There are none of what was typed in.
    pub fn samples(&self, home: Home) -> Vec<Sample> {
        self.samples_every(home, self.every_s.max(1))
    }

    /// The same, more of them or fewer.
    pub fn samples_every(&self, home: Home, every_s: u32) -> Vec<Sample> {
        if self.workout.recording == Recording::Manual {
            return Vec::new();
        }
        let begin_ms = self.workout.start.as_millisecond();
        let total_s: f64 =
            self.stretches.iter().map(|(w, from, to)| f64::from(w.elapsed_s) * (to - from)).sum();
        let mut dice = rng(self.workout.seed, self.source as u64);
        let mut samples = Vec::new();
        // One every so often, and one at the very end.
        let all = (0..self.workout.elapsed_s).step_by(every_s as usize).chain([self.workout.elapsed_s]);
        for second in all {
            let share = f64::from(second) / f64::from(self.workout.elapsed_s.max(1));
            let mut walked_s = share * total_s;
            let mut sample = Sample {
                time_ms: begin_ms + i64::from(second) * 1000,
                altitude_m: None,
                distance_m: (self.workout.distance_m > 0.0)
                    .then(|| (self.workout.distance_m * share * 100.0).round() / 100.0),
                ..Sample::default()
            };
            let last = self.stretches.len() - 1;
            for (at, (w, from, to)) in self.stretches.iter().enumerate() {
                let length_s = f64::from(w.elapsed_s) * (to - from);
                if walked_s > length_s && at != last {
                    walked_s -= length_s;
                    continue;
                }
                let along = from + (walked_s / f64::from(w.elapsed_s.max(1))).min(to - from);
                self.fill(&mut sample, w, home, along, &mut dice);
                break;
            }
            samples.push(sample);
        }
        samples
    }

    fn fill(&self, sample: &mut Sample, w: &Workout, home: Home, along: f64, dice: &mut Pcg64Mcg) {
        let walked_m = along * w.distance_m;
        let is_cropped = walked_m < self.crop_m || w.distance_m - walked_m < self.crop_m;
        if self.workout.recording == Recording::Outdoor && w.distance_m > 0.0 && !is_cropped {
            let (lat, lon) = w.position(home, along);
            let mut off = || {
                if self.noise_m > 0.0 {
                    dice.random_range(-self.noise_m..self.noise_m) / 111_195.0
                } else {
                    0.0
                }
            };
            sample.lat_e7 = Some(((lat + off()) * 1e7).round() as i32);
            sample.lon_e7 = Some(((lon + off()) * 1e7).round() as i32);
            sample.altitude_m = Some(
                ((20.0 + w.elevation_gain_m.max(8.0) / 2.0 * (1.0 - (along * std::f64::consts::TAU).cos()))
                    * 5.0)
                    .round()
                    / 5.0,
            );
        }
        if let Some(average) = self.heart_rate_bpm() {
            sample.heart_rate_bpm = Some(average + ((along * 40.0).sin() * 12.0) as i32);
        }
        if w.has_power && self.source == Source::Garmin {
            sample.power_w = Some(120 + (w.seed % 150) as i32 + ((along * 90.0).sin() * 40.0) as i32);
        }
        if w.sport.ends_with("Run") && self.source == Source::Garmin {
            sample.cadence_rpm = Some(70 + (w.seed % 20) as i32);
        }
        if w.distance_m > 0.0 && self.source == Source::Garmin {
            sample.speed_mps = Some((w.distance_m / f64::from(w.moving_s.max(1)) * 1000.0).round() / 1000.0);
        }
    }
}
