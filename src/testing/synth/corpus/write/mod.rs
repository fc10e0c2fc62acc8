//! Recordings in the formats that sources export, and the key that each is known by there.

mod apple;
mod hub;
mod services;
mod tables;

use jiff::Timestamp;

use super::record::Recording;
use super::sports;
use crate::sources::Source;
use crate::testing::synth::exports::device::{self, Device};
use crate::testing::synth::exports::gzip;
use crate::testing::synth::{self, Workout};

/// Names and bytes of files, and a key for each recording.
pub type Exported = (Vec<(String, Vec<u8>)>, Vec<String>);

pub fn export(source: Source, number: u32, own: &[&Recording]) -> Exported {
    match source {
        Source::Strava => services::strava(number, own),
        Source::Garmin => services::garmin(number, own),
        Source::Fitbit => tables::fitbit(number, own),
        Source::Hevy => tables::hevy(own),
        Source::Apple => apple::export(number, own),
        Source::HealthConnect => hub::export(number, own),
        Source::Files => files(own),
    }
}

/// A number of a recording that no other of the person and source has.
fn serial(number: u32, index: usize) -> u64 {
    1_000_000_000 + u64::from(number) * 100_000 + index as u64 * 7
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("people live in our century")
}

/// As the writers of device files want it.
fn workout(r: &Recording) -> Workout {
    let recording = match (r.is_manual, r.is_indoor) {
        (true, _) => synth::Recording::Manual,
        (_, true) => synth::Recording::Indoor,
        _ => synth::Recording::Outdoor,
    };
    Workout {
        id: 0,
        seed: 0,
        sport: r.sport,
        start: time(r.start_s),
        began: time(r.start_s),
        utc_offset_s: r.utc_offset_s,
        elapsed_s: r.elapsed_s as u32,
        moving_s: r.moving_s as u32,
        distance_m: (r.metres * 10.0).round() / 10.0,
        elevation_gain_m: (r.metres * 0.006).round(),
        recording,
        title: r.title.clone(),
        has_heart_rate: r.bpm.is_some(),
        has_power: false,
        hides_start: false,
        is_old_shape: false,
        scene: None,
    }
}

/// A device file, and the ending of its name.
fn device_file(r: &Recording, index: usize) -> (Vec<u8>, &'static str) {
    let (w, sport) = (workout(r), sports::named(r.sport));
    match index % 3 {
        0 if r.has_track() => (device::gpx_file(&w, &sport.gpx, &r.samples).into_bytes(), "gpx"),
        1 => (device::tcx_file(&w, &sport.tcx, &r.samples).into_bytes(), "tcx"),
        _ => (fit(r, Device::HEAD_UNIT), "fit"),
    }
}

fn fit(r: &Recording, device: Device) -> Vec<u8> {
    let sport = sports::named(r.sport);
    device::fit_file(&workout(r), (sport.fit, sport.fit_sub), &r.samples, device)
}

/// A folder of uploads. Nothing can be said in a file without a sample, so those are not there.
fn files(own: &[&Recording]) -> Exported {
    let mut files = Vec::new();
    let mut keys = Vec::new();
    for (index, r) in own.iter().enumerate() {
        let (bytes, ending) = device_file(r, index);
        let name = format!("ride-{index:04}.{ending}");
        keys.push(name.clone());
        if index % 4 == 0 {
            files.push((format!("{name}.gz"), gzip(&bytes)));
        } else {
            files.push((name, bytes));
        }
    }
    (files, keys)
}
