//! What each source has of a workout, as dirty as life: wrong zones, drifting clocks, rounded minutes, cropped
//! tracks, two recordings of one workout and one of two. Each record says what is wrong with it, and which
//! workouts it is of: the truth that matching is measured by.

mod samples;
mod troubles;

use jiff::SignedDuration;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::{Options, Person, Recording, Scene, Workout, rng};
use crate::sources::Source;

/// What is wrong with a record, or hard about it.
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
pub struct Record {
    pub source: Source,
    /// The true workouts, by their ids.
    pub of: Vec<u128>,
    /// How the source tells it: start, durations, distance, sport, title.
    pub workout: Workout,
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
pub fn of(person: &Person, number: u32, options: Options) -> Vec<Record> {
    let mut all = Vec::new();
    for source in sources_of(number) {
        let mut recorder = Recorder { source: *source, person, number, options };
        all.extend(recorder.records());
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

struct Recorder<'a> {
    source: Source,
    person: &'a Person,
    number: u32,
    options: Options,
}

impl Recorder<'_> {
    fn records(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        let mut is_merged = false;
        let workouts = &self.person.workouts;
        for (at, w) in workouts.iter().enumerate() {
            let mut dice = rng(self.options.seed ^ w.seed, self.source as u64 + (w.id as u64) * 31);
            if std::mem::take(&mut is_merged) {
                continue;
            }
            let next = workouts.get(at + 1);
            if let Some(own) = self.one(w, next, &mut dice) {
                is_merged = own.first().is_some_and(|record| record.of.len() > 1);
                records.extend(own);
            }
        }
        records
    }

    /// None where the source was not there.
    fn one(&self, w: &Workout, next: Option<&Workout>, dice: &mut Pcg64Mcg) -> Option<Vec<Record>> {
        let is_strength = w.sport == "WeightTraining";
        let mut t = Record {
            source: self.source,
            of: vec![w.id],
            workout: Workout { start: w.began, hides_start: false, ..w.clone() },
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
            t.workout.recording = Recording::Indoor;
        }
        if t.workout.recording == Recording::Indoor && w.distance_m > 0.0 && w.sport.ends_with("Run") {
            t.classes.push(Class::Treadmill);
            // The belt says one thing and the wrist another.
            if self.source != Source::Strava {
                t.workout.distance_m *= dice.random_range(0.92..1.08);
            }
        }
        if is_strength {
            t.classes.push(Class::StrengthInFour);
        }
        let one_in = |dice: &mut Pcg64Mcg, n: u32| dice.random_range(0..n) == 0;
        match self.source {
            // The archive tells what the API tells, until it was made.
            Source::Strava => {
                t.workout = w.clone();
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
                t.workout.distance_m = 0.0;
            }
            Source::Files => {
                if t.workout.recording != Recording::Outdoor || !w.has_track() || one_in(dice, 3) {
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
            for record in of(&person(options, number), number, options) {
                sources.insert(record.source);
                classes.extend(record.classes.clone());
                assert!(!record.of.is_empty());
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
        let garmin = all.iter().find(|t| t.source == Source::Garmin && t.workout.has_track()).unwrap();
        let samples = garmin.samples(person.home);
        assert_eq!(samples.len(), garmin.workout.elapsed_s as usize + 1);
        assert!(samples.iter().all(|s| s.lat_e7.is_some()));
        assert_eq!(
            samples.last().unwrap().distance_m,
            Some((garmin.workout.distance_m * 100.0).round() / 100.0)
        );
    }
}
