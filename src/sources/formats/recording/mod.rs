//! A recording as a device file tells it: the samples, and the sums that the device wrote.
//!
//! Every format goes through here, so what is true of all of them stands here once: the times
//! agree (`anchor`), distances count from the start (`counter`), sums that contradict each
//! other or the samples are settled (`settle`), sums that are missing are computed where that
//! is honest (`sums`), and what could not be read is counted (`unread`).

mod anchor;
mod counter;
#[cfg(test)]
mod properties;
mod settle;
mod streams;
mod sums;
mod unread;

use std::ops::RangeInclusive;

use jiff::Timestamp;

use crate::model::activity::{Activity, Streams};

pub use anchor::Extent;
pub use counter::begin_counters_at;
pub use settle::settle_sums;
pub use sums::path_m;
pub use unread::{Lost, Unread};

/// Beats a minute that a heart can do. Devices write 0 and 255 where they know none.
pub const HEART_RATES_BPM: RangeInclusive<i32> = 1..=254;

/// One moment. Positions are whole 1e-7 degrees; both or none are there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// Since 1970.
    pub time_ms: i64,
    pub lat_e7: Option<i32>,
    pub lon_e7: Option<i32>,
    pub altitude_m: Option<f64>,
    /// Since the start of the recording.
    pub distance_m: Option<f64>,
    pub speed_mps: Option<f64>,
    pub heart_rate_bpm: Option<i32>,
    pub cadence_rpm: Option<i32>,
    pub power_w: Option<i32>,
    pub temperature_c: Option<i32>,
    pub grade_percent: Option<f64>,
    /// Which stretch between pauses it belongs to. What lies between two stretches was not recorded.
    pub stretch: u32,
}

/// How many samples there will be in so many bytes, roughly, to make room for all of them at once. It is not much room,
/// whatever the bytes turn out to be.
pub fn room_for(bytes: usize, bytes_of_one: usize) -> usize {
    const MOST: usize = 1 << 16;
    (bytes / bytes_of_one).min(MOST)
}

/// An activity in the making: whose it is, and where it came from, is for the caller to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    pub activity: Activity,
    pub samples: Vec<Sample>,
    /// When the file itself says that it was.
    pub stated: Extent,
    /// What could not be taken.
    pub unread: Unread,
    /// The sums and the samples are of one device, and not of different tellings.
    pub is_file: bool,
    /// The device's clock was never set: its times are right among themselves, and nowhere else.
    pub is_device_time: bool,
}

impl Sample {
    /// Whether another one of the same moment tells what this one does not, and of the rest the same.
    /// What several sensors write beside their own, such as the temperature, may differ.
    fn is_completed_by(&self, other: &Sample) -> bool {
        macro_rules! agree {
            ($($value:ident),*) => {
                true $(&& (self.$value.is_none() || other.$value.is_none() || self.$value == other.$value))*
            };
        }
        agree!(lat_e7, lon_e7, distance_m, speed_mps, heart_rate_bpm, power_w)
    }

    /// Takes what is absent here from another one.
    fn complete_with(&mut self, other: &Sample) {
        macro_rules! complete {
            ($($value:ident),*) => { $(self.$value = self.$value.or(other.$value);)* };
        }
        complete!(
            altitude_m,
            distance_m,
            speed_mps,
            heart_rate_bpm,
            cadence_rpm,
            power_w,
            temperature_c,
            grade_percent
        );
        if self.lat_e7.is_none() {
            (self.lat_e7, self.lon_e7) = (other.lat_e7, other.lon_e7);
        }
    }
}

impl Recording {
    pub fn new(activity: Activity, samples: Vec<Sample>) -> Recording {
        Recording { activity, samples, ..Recording::default() }
    }

    /// Moves everything to another start.
    pub fn begin_at(&mut self, start: Timestamp) {
        let by_ms = start.as_millisecond() - self.activity.start_time.as_millisecond();
        self.activity.start_time = start;
        self.samples.iter_mut().for_each(|sample| sample.time_ms += by_ms);
        let moved = |at: Timestamp| Timestamp::from_millisecond(at.as_millisecond() + by_ms).ok();
        for lap in self.activity.laps.iter_mut().flatten() {
            lap.start_time = lap.start_time.and_then(moved);
        }
        self.stated.end_ms = self.stated.end_ms.map(|end_ms| end_ms + by_ms);
    }

    /// Makes sense of what a file says, for its reader: the times agree, the samples hold what can
    /// be, and the distances count from the start.
    pub fn make_sense(&mut self) {
        self.is_file = true;
        self.anchor();
        self.samples.iter_mut().for_each(|sample| drop_impossible(sample, &mut self.unread));
        drop_altitudes_before_the_fix(&mut self.samples);
        drop_holes_in_altitudes(&mut self.samples, &mut self.unread);
        self.count_from_start();
        let partial = [self.activity.partial.take(), Some(self.unread.to_string())];
        let partial: Vec<String> = partial.into_iter().flatten().filter(|word| !word.is_empty()).collect();
        self.activity.partial = Some(partial.join("; ")).filter(|words| !words.is_empty());
    }

    /// Settles the sums that contradict each other, fills those that are missing, and gives the
    /// samples as a row of `streams`.
    pub fn finish(mut self) -> (Activity, Option<Streams>) {
        // Null Island is what receivers say before they know.
        for sample in self.samples.iter_mut().filter(|s| (s.lat_e7, s.lon_e7) == (Some(0), Some(0))) {
            (sample.lat_e7, sample.lon_e7) = (None, None);
        }
        settle::settle(&mut self);
        if self.samples.is_empty() {
            return (self.activity, None);
        }
        sums::fill(&mut self.activity, &self.samples);
        settle::settle_computed(&mut self.activity);
        let streams = streams::streams(&self.activity, &self.samples);
        (self.activity, Some(streams))
    }
}

/// 255 is what devices write where they know none, and nobody turns faster.
const HIGHEST_CADENCE_RPM: i32 = 254;

/// What no sensor says of a person who moves.
fn drop_impossible(sample: &mut Sample, unread: &mut Unread) {
    unread.keep(&mut sample.altitude_m, -12_000.0..=100_000.0, Lost::Altitude);
    unread.keep(&mut sample.speed_mps, 0.0..=1_000.0, Lost::Speed);
    unread.keep(&mut sample.heart_rate_bpm, 0..=*HEART_RATES_BPM.end(), Lost::HeartRate);
    unread.keep(&mut sample.cadence_rpm, 0..=HIGHEST_CADENCE_RPM, Lost::Cadence);
    unread.keep(&mut sample.power_w, 0..=10_000, Lost::Power);
    unread.keep(&mut sample.temperature_c, -100..=100, Lost::Temperature);
}

/// No ground falls so far at once.
const JUMP_M: f64 = 30.0;

/// Some write 0 for an altitude that they do not know. Among others it is none where nobody falls or climbs so fast,
/// neither to it nor from it.
fn drop_holes_in_altitudes(samples: &mut [Sample], unread: &mut Unread) {
    const FASTEST_MPS: f64 = 5.0;
    let is_leap = |known: (i64, f64), time_ms: i64| {
        let seconds = (time_ms - known.0).abs() as f64 / 1000.0;
        known.1.abs() > JUMP_M.max(FASTEST_MPS * seconds)
    };
    let mut before: Option<(i64, f64)> = None;
    let mut at = 0;
    while at < samples.len() {
        let known = |sample: &Sample| Some((sample.time_ms, sample.altitude_m?));
        let Some(here) = known(&samples[at]) else {
            at += 1;
            continue;
        };
        if here.1 != 0.0 || !before.is_some_and(|before| is_leap(before, here.0)) {
            before = Some(here);
            at += 1;
            continue;
        }
        let zeros =
            samples[at..].iter().take_while(|s| s.altitude_m.is_none_or(|altitude| altitude == 0.0)).count();
        let end = at + zeros;
        let behind = samples.get(end).and_then(known);
        if behind.is_some_and(|behind| is_leap(behind, samples[end - 1].time_ms)) {
            let lost = samples[at..end].iter_mut().filter_map(|sample| sample.altitude_m.take()).count();
            unread.add(Lost::Altitude, lost);
        } else {
            before = Some((samples[end - 1].time_ms, 0.0));
        }
        at = end;
    }
}

/// Before a receiver knows the altitude it says one that never changes, and then another.
fn drop_altitudes_before_the_fix(samples: &mut [Sample]) {
    let Some(first) = samples.iter().find_map(|s| s.altitude_m).filter(|first| *first == 0.0) else { return };
    let known = samples.iter().position(|s| s.altitude_m.is_some_and(|altitude| altitude != first));
    let Some(known) = known.filter(|at| samples[*at].altitude_m.is_some_and(|a| (a - first).abs() > JUMP_M))
    else {
        return;
    };
    samples[..known].iter_mut().for_each(|sample| sample.altitude_m = None);
}

#[cfg(test)]
mod tests {
    use super::sums::climbs;
    use super::*;

    fn at(second: i64, altitude_m: f64, metres_north: f64) -> Sample {
        Sample {
            time_ms: 1_700_000_000_000 + second * 1000,
            lat_e7: Some(520_000_000 + (metres_north * 89.932) as i32),
            lon_e7: Some(130_000_000),
            altitude_m: Some(altitude_m),
            heart_rate_bpm: Some(120 + second as i32 % 2),
            ..Sample::default()
        }
    }

    #[test]
    fn sums_come_from_the_samples_and_say_so() {
        // A minute at 3 m/s, a minute standing, a minute back down.
        let samples: Vec<Sample> = (0..=180)
            .map(|s| match s {
                0..=60 => at(s, s as f64 / 3.0, s as f64 * 3.0),
                61..=120 => at(s, 20.0 + (s % 2) as f64, 180.0),
                _ => at(s, 20.0 - (s - 120) as f64 / 3.0, 180.0 + (s - 120) as f64 * 3.0),
            })
            .collect();
        let start = Timestamp::from_millisecond(samples[0].time_ms).unwrap();
        let activity = Activity { start_time: start, max_heart_rate_bpm: Some(150.0), ..Activity::default() };
        let (a, streams) = Recording::new(activity, samples).finish();
        assert_eq!(a.elapsed_s, Some(180.0));
        assert_eq!(a.moving_s, Some(120.0));
        assert!((a.distance_m.unwrap() - 360.0).abs() < 2.0, "{:?}", a.distance_m);
        assert_eq!(a.elevation_gain_m.map(f64::round), Some(21.0));
        assert_eq!(a.elevation_loss_m.map(f64::round), Some(21.0));
        assert_eq!(a.max_heart_rate_bpm, Some(150.0), "what the device said stays");
        let computed = a.computed.unwrap();
        assert!(computed.contains(&"elevation_loss_m".to_string()));
        assert!(!computed.contains(&"max_heart_rate_bpm".to_string()));
        assert_eq!(streams.unwrap().samples, 181);
    }

    #[test]
    fn a_hole_is_moved_through_for_as_long_as_its_way_takes() {
        // Points a minute and a half apart, at 3 m/s: a track that was thinned out.
        let sparse: Vec<Sample> = (0..10).map(|n| at(n * 90, 0.0, n as f64 * 270.0)).collect();
        assert_eq!(sums::moving_s(&sparse).map(f64::round), Some(810.0));
        // A minute at 3 m/s, an hour's stop in which 30 m were walked, and another minute.
        let mut stop: Vec<Sample> = (0..=60).map(|s| at(s, 0.0, s as f64 * 3.0)).collect();
        stop.extend((0..=60).map(|s| at(3660 + s, 0.0, 210.0 + s as f64 * 3.0)));
        assert_eq!(sums::moving_s(&stop).map(f64::round), Some(130.0));
    }

    #[test]
    fn noise_is_no_climb() {
        let samples: Vec<Sample> = (0..600).map(|s| at(s, 100.0 + (s % 3) as f64, 0.0)).collect();
        assert_eq!(climbs(&samples), Some((0.0, 0.0)));
    }
}
