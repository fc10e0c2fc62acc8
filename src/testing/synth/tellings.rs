//! What each source tells of a workout, as dirty as life: wrong zones, drifting clocks, rounded
//! minutes, cropped tracks, two recordings of one workout and one of two. Each telling says what is
//! wrong with it, and which workouts it is of: the truth that matching is measured by.

use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::{Home, Options, Person, Recording, Scene, Workout, rng};
use crate::sources::Source;
use crate::sources::formats::recording::Sample;

/// What is wrong with a telling, or hard about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Local time that says it is UTC, or the other way: off by whole hours,
    ZoneHour,
    /// by an odd half,
    ZoneHalfHour,
    /// or by a quarter.
    ZoneQuarterHour,
    /// The device's clock loses a little every day.
    ClockDrift,
    MinuteRounding,
    HiddenStart,
    /// The first and the last metres of the track are left out.
    PrivacyCrop,
    /// Pauses are not counted.
    AutoPause,
    /// Kilometres taken for miles, or the other way.
    UnitSlip,
    GpsNoise,
    /// A sample every so often only.
    Sampling,
    /// One workout in two recordings.
    Split,
    /// Two workouts in one recording.
    Merged,
    /// The same recording in another format.
    ReEncoded,
    /// Typed in, with rounded values, beside a recording.
    ManualTwin,
    /// On a treadmill: no track, and a distance of its own.
    Treadmill,
    SportMislabelled,
    /// A strength session that four sources tell of.
    StrengthInFour,
}

/// One workout, or a part of one, or two, as one source tells it.
#[derive(Debug, Clone)]
pub struct Telling {
    pub source: Source,
    /// The true workouts, by their ids.
    pub of: Vec<u128>,
    /// How the source tells it: start, durations, distance, sport, title.
    pub told: Workout,
    pub classes: Vec<Class>,
    pub scene: Option<(Scene, u64)>,
    /// Which stretch of which workout's way the samples walk.
    pub stretches: Vec<(Workout, f64, f64)>,
    pub every_s: u32,
    pub noise_m: f64,
    /// Left out at both ends.
    pub crop_m: f64,
    pub has_heart_rate: bool,
    /// What this sensor is off by.
    pub off_bpm: i32,
    /// It was uploaded before, in another format.
    pub is_copy: bool,
}

/// The sources that a person has, besides Strava's API.
pub fn sources_of(number: u32) -> &'static [Source] {
    use Source::{Apple, Files, Fitbit, Garmin, HealthConnect, Hevy, Strava};
    match number % 8 {
        0 => &[Strava, Garmin, Fitbit, Hevy, Files],
        1 => &[Strava, Apple, Hevy],
        2 => &[Strava, Garmin, Files],
        3 => &[Garmin, Fitbit],
        4 => &[Strava, Fitbit, HealthConnect, Hevy],
        5 => &[Strava, Apple, Files],
        6 => &[Strava],
        _ => &[Strava, Garmin, Fitbit, Apple, Hevy],
    }
}

/// Everything that everybody's sources but Strava's API tell of them, oldest first by source.
pub fn of(person: &Person, number: u32, options: Options) -> Vec<Telling> {
    let mut all = Vec::new();
    for source in sources_of(number) {
        let mut teller = Teller { source: *source, person, number, options };
        all.extend(teller.tell());
    }
    all
}

/// What is hard about what Strava's API tells.
pub fn classes_of_api(w: &Workout) -> Vec<Class> {
    let mut classes = Vec::new();
    if w.hides_start {
        classes.push(Class::HiddenStart);
    }
    if w.recording == Recording::Manual {
        classes.push(Class::ManualTwin);
    }
    if w.recording == Recording::Indoor && w.distance_m > 0.0 && w.sport.ends_with("Run") {
        classes.push(Class::Treadmill);
    }
    if w.sport == "WeightTraining" {
        classes.push(Class::StrengthInFour);
    }
    classes
}

struct Teller<'a> {
    source: Source,
    person: &'a Person,
    number: u32,
    options: Options,
}

impl Teller<'_> {
    fn tell(&mut self) -> Vec<Telling> {
        let mut tellings = Vec::new();
        let mut is_merged = false;
        let workouts = &self.person.workouts;
        for (at, w) in workouts.iter().enumerate() {
            let mut dice = rng(self.options.seed ^ w.seed, self.source as u64 + (w.id as u64) * 31);
            if std::mem::take(&mut is_merged) {
                continue;
            }
            let next = workouts.get(at + 1);
            if let Some(told) = self.tell_one(w, next, &mut dice) {
                is_merged = told.first().is_some_and(|telling| telling.of.len() > 1);
                tellings.extend(told);
            }
        }
        tellings
    }

    /// None where the source was not there.
    fn tell_one(&self, w: &Workout, next: Option<&Workout>, dice: &mut Pcg64Mcg) -> Option<Vec<Telling>> {
        let is_strength = w.sport == "WeightTraining";
        let mut t = Telling {
            source: self.source,
            of: vec![w.id],
            told: Workout { start: w.began, hides_start: false, ..w.clone() },
            classes: Vec::new(),
            scene: w.scene,
            stretches: vec![(w.clone(), 0.0, 1.0)],
            every_s: 5,
            noise_m: 0.0,
            crop_m: 0.0,
            // What was typed in had a sensor all the same.
            has_heart_rate: w.has_heart_rate || w.recording == Recording::Manual,
            off_bpm: 0,
            is_copy: false,
        };
        if self.source != Source::Strava && w.recording == Recording::Manual {
            // What was typed into Strava was recorded somewhere else.
            t.told.recording = Recording::Indoor;
        }
        if t.told.recording == Recording::Indoor && w.distance_m > 0.0 && w.sport.ends_with("Run") {
            t.classes.push(Class::Treadmill);
            // The belt says one thing and the wrist another.
            if self.source != Source::Strava {
                t.told.distance_m *= dice.random_range(0.92..1.08);
            }
        }
        if is_strength {
            t.classes.push(Class::StrengthInFour);
        }
        let one_in = |dice: &mut Pcg64Mcg, n: u32| dice.random_range(0..n) == 0;
        match self.source {
            // The archive tells what the API tells, until it was made.
            Source::Strava => {
                t.told = w.clone();
                t.classes = classes_of_api(w);
                let last = self.person.workouts.last().map_or(w.start, |last| last.start);
                if last.duration_since(w.start) < SignedDuration::from_hours(24 * 60) {
                    return None;
                }
            }
            Source::Garmin => {
                if one_in(dice, 12) {
                    return None;
                }
                t.every_s = 1;
                match dice.random_range(0..24) {
                    0 => t.mislabel("Workout"),
                    1 => t.auto_pause(),
                    _ => {}
                }
            }
            Source::Fitbit => {
                if one_in(dice, 6) {
                    return None;
                }
                t.every_s = 10;
                t.jitter(dice, 45, 0.03);
                match dice.random_range(0..20) {
                    0 | 1 => t.shift_zone(),
                    2 => t.slip_units(dice),
                    3 => t.type_in(),
                    4 => t.round_minute(),
                    5 => t.auto_pause(),
                    6 => t.mislabel("Workout"),
                    7 => return Some(t.split(0.55)),
                    _ => t.drift(self.number),
                }
            }
            Source::Apple => {
                if one_in(dice, 8) {
                    return None;
                }
                t.every_s = 3;
                t.jitter(dice, 12, 0.015);
                match dice.random_range(0..16) {
                    0 => return Some(t.split(0.4)),
                    1 | 2 => {
                        if let Some(next) = next.filter(|next| next.scene.is_some() && next.scene == w.scene)
                            && matches!(w.scene, Some((Scene::BackToBack | Scene::WarmUp, _)))
                        {
                            t.merge(next);
                        }
                    }
                    3 | 4 => t.add_noise(12.0),
                    5 => t.auto_pause(),
                    _ => {}
                }
            }
            Source::HealthConnect => {
                if one_in(dice, 6) {
                    return None;
                }
                t.every_s = 15;
                t.jitter(dice, 20, 0.02);
                match dice.random_range(0..12) {
                    0 => t.shift_zone(),
                    1 => t.round_minute(),
                    2 => t.slip_units(dice),
                    _ => {}
                }
            }
            Source::Hevy => {
                if !is_strength {
                    return None;
                }
                t.round_minute();
                t.has_heart_rate = false;
                t.told.distance_m = 0.0;
            }
            Source::Files => {
                if t.told.recording != Recording::Outdoor || !w.has_track() || one_in(dice, 3) {
                    return None;
                }
                t.classes.push(Class::ReEncoded);
                match dice.random_range(0..10) {
                    0 => t.crop(250.0),
                    1 => t.sample(30),
                    2 => t.add_noise(8.0),
                    3 => t.shift_zone(),
                    4 => return Some(t.split(0.5)),
                    5 => return Some(t.twice()),
                    _ => {}
                }
            }
        }
        Some(vec![t])
    }
}

fn seconds(s: i64) -> SignedDuration {
    SignedDuration::from_secs(s)
}

impl Telling {
    /// Another device on another wrist: it begins a little later or earlier, and measures a little more or
    /// less.
    fn jitter(&mut self, dice: &mut Pcg64Mcg, start_s: i64, share: f64) {
        let later = dice.random_range(-start_s..=start_s);
        self.told.start += seconds(later);
        let longer = dice.random_range(-20..=20_i64).clamp(-i64::from(self.told.elapsed_s / 4), 20);
        self.told.elapsed_s = self.told.elapsed_s.saturating_add_signed(longer as i32);
        self.told.moving_s = self.told.moving_s.min(self.told.elapsed_s);
        self.told.distance_m *= 1.0 + dice.random_range(-share..share);
        self.off_bpm = dice.random_range(-3..=3);
    }

    fn shift_zone(&mut self) {
        let offset_s = self.told.utc_offset_s;
        self.classes.push(match offset_s.rem_euclid(3600) {
            0 if offset_s == 0 => return,
            0 => Class::ZoneHour,
            1800 => Class::ZoneHalfHour,
            _ => Class::ZoneQuarterHour,
        });
        self.told.start += seconds(i64::from(offset_s));
    }

    /// Half a second a day since it was set.
    fn drift(&mut self, number: u32) {
        if number % 3 != 0 {
            return;
        }
        let days = (self.told.start.as_second() - 1_325_400_000) / 86_400 % 400;
        if days >= 4 {
            self.told.start += seconds(days / 2);
            self.classes.push(Class::ClockDrift);
        }
    }

    fn round_minute(&mut self) {
        let rounded = self.told.start.as_second().div_euclid(60) * 60;
        self.told.start = Timestamp::from_second(rounded).expect("a time");
        self.told.elapsed_s = (self.told.elapsed_s / 60).max(1) * 60;
        self.classes.push(Class::MinuteRounding);
    }

    fn type_in(&mut self) {
        let w = &mut self.told;
        w.start = Timestamp::from_second(w.start.as_second().div_euclid(300) * 300).expect("a time");
        w.elapsed_s = (w.elapsed_s / 300).max(1) * 300;
        w.moving_s = w.elapsed_s;
        w.distance_m = (w.distance_m / 500.0).round() * 500.0;
        w.recording = Recording::Manual;
        self.has_heart_rate = false;
        self.classes.push(Class::ManualTwin);
    }

    fn auto_pause(&mut self) {
        self.told.elapsed_s = self.told.moving_s;
        self.classes.push(Class::AutoPause);
    }

    fn slip_units(&mut self, dice: &mut Pcg64Mcg) {
        if self.told.distance_m > 0.0 {
            self.told.distance_m *= if dice.random_range(0..2) == 0 { 1.609_344 } else { 1.0 / 1.609_344 };
            self.classes.push(Class::UnitSlip);
        }
    }

    fn mislabel(&mut self, sport: &'static str) {
        if self.told.sport != sport {
            self.told.sport = sport;
            self.classes.push(Class::SportMislabelled);
        }
    }

    fn add_noise(&mut self, metres: f64) {
        self.noise_m = metres;
        self.classes.push(Class::GpsNoise);
    }

    fn crop(&mut self, metres: f64) {
        self.crop_m = metres;
        self.classes.push(Class::PrivacyCrop);
    }

    fn sample(&mut self, every_s: u32) {
        self.every_s = every_s;
        self.classes.push(Class::Sampling);
    }

    fn split(mut self, share: f64) -> Vec<Telling> {
        self.classes.push(Class::Split);
        let part = |from: f64, to: f64| {
            let mut t = self.clone();
            let w = &mut t.told;
            w.start += seconds((f64::from(self.told.elapsed_s) * from) as i64);
            w.elapsed_s = (f64::from(self.told.elapsed_s) * (to - from)) as u32;
            w.moving_s = (f64::from(self.told.moving_s) * (to - from)) as u32;
            w.distance_m = self.told.distance_m * (to - from);
            t.stretches = vec![(self.stretches[0].0.clone(), from, to)];
            t
        };
        vec![part(0.0, share), part(share, 1.0)]
    }

    fn merge(&mut self, next: &Workout) {
        self.of.push(next.id);
        let end = next.began + seconds(i64::from(next.elapsed_s));
        self.told.elapsed_s = end.duration_since(self.told.start).as_secs().max(1) as u32;
        self.told.moving_s += next.moving_s;
        self.told.distance_m += next.distance_m;
        self.stretches.push((next.clone(), 0.0, 1.0));
        self.classes.push(Class::Merged);
    }

    /// The same recording, uploaded once more.
    fn twice(self) -> Vec<Telling> {
        let copy = Telling { is_copy: true, ..self.clone() };
        vec![self, copy]
    }

    /// The average, where there is a sensor.
    pub fn heart_rate_bpm(&self) -> Option<i32> {
        self.has_heart_rate.then(|| 110 + (self.told.seed % 55) as i32 + self.off_bpm)
    }

    /// The samples of it. There are none of what was typed in.
    pub fn samples(&self, home: Home) -> Vec<Sample> {
        self.samples_every(home, self.every_s.max(1))
    }

    /// The same, more of them or fewer.
    pub fn samples_every(&self, home: Home, every_s: u32) -> Vec<Sample> {
        if self.told.recording == Recording::Manual {
            return Vec::new();
        }
        let begin_ms = self.told.start.as_millisecond();
        let total_s: f64 =
            self.stretches.iter().map(|(w, from, to)| f64::from(w.elapsed_s) * (to - from)).sum();
        let mut dice = rng(self.told.seed, self.source as u64);
        let mut samples = Vec::new();
        // One every so often, and one at the very end.
        let all = (0..self.told.elapsed_s).step_by(every_s as usize).chain([self.told.elapsed_s]);
        for second in all {
            let share = f64::from(second) / f64::from(self.told.elapsed_s.max(1));
            let mut walked_s = share * total_s;
            let mut sample = Sample {
                time_ms: begin_ms + i64::from(second) * 1000,
                altitude_m: None,
                distance_m: (self.told.distance_m > 0.0)
                    .then(|| (self.told.distance_m * share * 100.0).round() / 100.0),
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
        if self.told.recording == Recording::Outdoor && w.distance_m > 0.0 && !is_cropped {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::synth::person;

    #[test]
    fn every_class_and_every_source_comes_up() {
        let options = Options { seed: 5, users: 8, activities: 400 };
        let mut classes = BTreeSet::new();
        let mut sources = BTreeSet::new();
        for number in 0..options.users {
            for telling in of(&person(options, number), number, options) {
                sources.insert(telling.source);
                classes.extend(telling.classes.clone());
                assert!(!telling.of.is_empty());
            }
        }
        assert_eq!(sources.len(), Source::ALL.len());
        assert_eq!(classes.len(), 18, "{classes:?}");
    }

    #[test]
    fn samples_walk_the_way_of_the_workout() {
        let options = Options { seed: 5, users: 1, activities: 60 };
        let person = person(options, 0);
        let all = of(&person, 0, options);
        let garmin = all.iter().find(|t| t.source == Source::Garmin && t.told.has_track()).unwrap();
        let samples = garmin.samples(person.home);
        assert_eq!(samples.len(), garmin.told.elapsed_s as usize + 1);
        assert!(samples.iter().all(|s| s.lat_e7.is_some()));
        assert_eq!(
            samples.last().unwrap().distance_m,
            Some((garmin.told.distance_m * 100.0).round() / 100.0)
        );
    }
}
