//! What goes wrong with a record, one by one.

use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::{Class, Record};
use crate::testing::synth::{Recording, Workout};

fn seconds(s: i64) -> SignedDuration {
    SignedDuration::from_secs(s)
}

impl Record {
    /// Another device on another wrist: it begins a little later or earlier, and measures a little more or
    /// less.
    pub(super) fn jitter(&mut self, dice: &mut Pcg64Mcg, start_s: i64, share: f64) {
        let later = dice.random_range(-start_s..=start_s);
        self.workout.start += seconds(later);
        let longer = dice.random_range(-20..=20_i64).clamp(-i64::from(self.workout.elapsed_s / 4), 20);
        self.workout.elapsed_s = self.workout.elapsed_s.saturating_add_signed(longer as i32);
        self.workout.moving_s = self.workout.moving_s.min(self.workout.elapsed_s);
        self.workout.distance_m *= 1.0 + dice.random_range(-share..share);
        self.off_bpm = dice.random_range(-3..=3);
    }

    pub(super) fn shift_zone(&mut self) {
        let offset_s = self.workout.utc_offset_s;
        self.classes.push(match offset_s.rem_euclid(3600) {
            0 if offset_s == 0 => return,
            0 => Class::ZoneHour,
            1800 => Class::ZoneHalfHour,
            _ => Class::ZoneQuarterHour,
        });
        self.workout.start += seconds(i64::from(offset_s));
    }

    /// Half a second a day since it was set.
    pub(super) fn drift(&mut self, number: u32) {
        if number % 3 != 0 {
            return;
        }
        let days = (self.workout.start.as_second() - 1_325_400_000) / 86_400 % 400;
        if days >= 4 {
            self.workout.start += seconds(days / 2);
            self.classes.push(Class::ClockDrift);
        }
    }

    pub(super) fn round_minute(&mut self) {
        let rounded = self.workout.start.as_second().div_euclid(60) * 60;
        self.workout.start = Timestamp::from_second(rounded).expect("a time");
        self.workout.elapsed_s = (self.workout.elapsed_s / 60).max(1) * 60;
        self.classes.push(Class::MinuteRounding);
    }

    pub(super) fn type_in(&mut self) {
        let w = &mut self.workout;
        w.start = Timestamp::from_second(w.start.as_second().div_euclid(300) * 300).expect("a time");
        w.elapsed_s = (w.elapsed_s / 300).max(1) * 300;
        w.moving_s = w.elapsed_s;
        w.distance_m = (w.distance_m / 500.0).round() * 500.0;
        w.recording = Recording::Manual;
        self.has_heart_rate = false;
        self.classes.push(Class::ManualTwin);
    }

    pub(super) fn auto_pause(&mut self) {
        self.workout.elapsed_s = self.workout.moving_s;
        self.classes.push(Class::AutoPause);
    }

    pub(super) fn slip_units(&mut self, dice: &mut Pcg64Mcg) {
        if self.workout.distance_m > 0.0 {
            self.workout.distance_m *= if dice.random_range(0..2) == 0 { 1.609_344 } else { 1.0 / 1.609_344 };
            self.classes.push(Class::UnitSlip);
        }
    }

    pub(super) fn mislabel(&mut self, sport: &'static str) {
        if self.workout.sport != sport {
            self.workout.sport = sport;
            self.classes.push(Class::SportMislabelled);
        }
    }

    pub(super) fn add_noise(&mut self, metres: f64) {
        self.noise_m = metres;
        self.classes.push(Class::GpsNoise);
    }

    pub(super) fn crop(&mut self, metres: f64) {
        self.crop_m = metres;
        self.classes.push(Class::PrivacyCrop);
    }

    pub(super) fn sample(&mut self, every_s: u32) {
        self.every_s = every_s;
        self.classes.push(Class::Sampling);
    }

    pub(super) fn split(mut self, share: f64) -> Vec<Record> {
        self.classes.push(Class::Split);
        let part = |from: f64, to: f64| {
            let mut t = self.clone();
            let w = &mut t.workout;
            w.start += seconds((f64::from(self.workout.elapsed_s) * from) as i64);
            w.elapsed_s = (f64::from(self.workout.elapsed_s) * (to - from)) as u32;
            w.moving_s = (f64::from(self.workout.moving_s) * (to - from)) as u32;
            w.distance_m = self.workout.distance_m * (to - from);
            t.stretches = vec![(self.stretches[0].0.clone(), from, to)];
            t
        };
        vec![part(0.0, share), part(share, 1.0)]
    }

    pub(super) fn merge(&mut self, next: &Workout) {
        self.of.push(next.id);
        let end = next.began + seconds(i64::from(next.elapsed_s));
        self.workout.elapsed_s = end.duration_since(self.workout.start).as_secs().max(1) as u32;
        self.workout.moving_s += next.moving_s;
        self.workout.distance_m += next.distance_m;
        self.stretches.push((next.clone(), 0.0, 1.0));
        self.classes.push(Class::Merged);
    }

    /// The same recording, uploaded once more.
    pub(super) fn twice(self) -> Vec<Record> {
        let copy = Record { is_copy: true, ..self.clone() };
        vec![self, copy]
    }
}
