//! Files as devices write them: FIT, GPX and TCX.

use std::fmt::Write;

use jiff::Timestamp;
use ring::digest::{SHA256, digest};

use super::{Exported, Pack, gzip, serial};
use crate::model::hex;
use crate::sources::formats::fit::write::{
    ENUM, Message, UINT8, UINT32Z, Writer, semicircles, time as fit_time,
};
use crate::sources::formats::recording::Sample;
use crate::testing::synth::records::Record;
use crate::testing::synth::{Person, Recording, Workout};

/// A folder of uploads in all three formats, some gzipped.
pub fn export(person: &Person, own: &[&Record]) -> Exported {
    let mut pack = Pack::new();
    let mut ids = Vec::new();
    for record in own {
        let samples = record.samples(person.home);
        let extension = format(record);
        let bytes = match extension {
            "gpx" => gpx(record, &samples).into_bytes(),
            "tcx" => tcx(record, &samples).into_bytes(),
            _ => fit(record, &samples, Device::HEAD_UNIT),
        };
        ids.push((hex(digest(&SHA256, &bytes).as_ref())[..32].to_string(), samples.len()));
        let name = format!("uploads/{}.{extension}", serial(record));
        if record.workout.seed % 5 == 0 {
            pack.add(&format!("{name}.gz"), &gzip(&bytes));
        } else {
            pack.add(&name, &bytes);
        }
    }
    (pack.finish(), ids)
}

/// The ending of the file that an upload is. A second upload of a recording is in another format.
pub fn format(record: &Record) -> &'static str {
    ["gpx", "tcx", "fit"][((record.workout.seed + u64::from(record.is_copy)) % 3) as usize]
}

/// The sport as it stands in the file, for its reader.
pub fn sport_name(record: &Record) -> String {
    let w = &record.workout;
    let is_ride = w.sport.ends_with("Ride");
    match format(record) {
        "gpx" => if is_ride { "cycling" } else { "running" }.to_string(),
        "tcx" => if is_ride { "Biking" } else { "Running" }.to_string(),
        _ => {
            let (sport, sub_sport) = sport(w.sport, w.recording);
            let name =
                crate::sources::formats::fit::sport_name(Some(i64::from(sport)), Some(i64::from(sub_sport)));
            name.expect("there is a sport")
        }
    }
}

fn iso(time_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(time_ms).expect("a time")
}

/// The word for its sport in GPX and TCX, which know few.
fn word(w: &Workout, ride: &'static str, other: &'static str) -> &'static str {
    if w.sport.ends_with("Ride") { ride } else { other }
}

pub fn gpx(record: &Record, samples: &[Sample]) -> String {
    let w = &record.workout;
    gpx_file(w, word(w, "cycling", "running"), samples)
}

pub fn gpx_file(w: &Workout, sport: &str, samples: &[Sample]) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gpx creator=\"Some App\" version=\"1.1\" \
         xmlns=\"http://www.topografix.com/GPX/1/1\" xmlns:gpxtpx=\"http://www.garmin.com/xmlschemas/TrackPointExtension/v1\">\n",
    );
    let title = w.title.replace('&', "&amp;").replace('<', "&lt;");
    write!(out, " <trk>\n  <name>{title}</name>\n  <type>{sport}</type>\n  <trkseg>\n").expect("memory");
    for s in samples {
        // Where the receiver sees nothing, the track has no point, but apps write one all the same.
        let (lat, lon) = (s.lat_e7.unwrap_or(0), s.lon_e7.unwrap_or(0));
        let position = match s.lat_e7 {
            Some(_) => format!(" lat=\"{:.7}\" lon=\"{:.7}\"", f64::from(lat) / 1e7, f64::from(lon) / 1e7),
            None => String::new(),
        };
        write!(out, "   <trkpt{position}>").expect("memory");
        if let Some(altitude) = s.altitude_m {
            write!(out, "<ele>{altitude:.1}</ele>").expect("memory");
        }
        write!(out, "<time>{}</time>", iso(s.time_ms)).expect("memory");
        out.push_str("<extensions>");
        if let Some(metres) = s.distance_m {
            write!(out, "<distance>{metres}</distance>").expect("memory");
        }
        if let Some(bpm) = s.heart_rate_bpm {
            write!(
                out,
                "<gpxtpx:TrackPointExtension><gpxtpx:hr>{bpm}</gpxtpx:hr></gpxtpx:TrackPointExtension>"
            )
            .expect("memory");
        }
        out.push_str("</extensions></trkpt>\n");
    }
    out.push_str("  </trkseg>\n </trk>\n</gpx>\n");
    out
}

pub fn tcx(record: &Record, samples: &[Sample]) -> String {
    let w = &record.workout;
    tcx_file(w, word(w, "Biking", "Running"), samples)
}

pub fn tcx_file(w: &Workout, sport: &str, samples: &[Sample]) -> String {
    let start = w.start;
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<TrainingCenterDatabase xmlns=\"http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2\">\n\
         <Activities><Activity Sport=\"{sport}\"><Id>{start}</Id><Lap StartTime=\"{start}\"><TotalTimeSeconds>{}</TotalTimeSeconds>\
         <DistanceMeters>{}</DistanceMeters><Calories>{}</Calories><Track>\n",
        w.moving_s,
        w.distance_m,
        w.moving_s / 6
    );
    for s in samples {
        write!(out, "<Trackpoint><Time>{}</Time>", iso(s.time_ms)).expect("memory");
        if let (Some(lat), Some(lon)) = (s.lat_e7, s.lon_e7) {
            let (lat, lon) = (f64::from(lat) / 1e7, f64::from(lon) / 1e7);
            write!(
                out,
                "<Position><LatitudeDegrees>{lat:.7}</LatitudeDegrees><LongitudeDegrees>{lon:.7}</LongitudeDegrees></Position>"
            )
            .expect("memory");
        }
        if let Some(altitude) = s.altitude_m {
            write!(out, "<AltitudeMeters>{altitude:.1}</AltitudeMeters>").expect("memory");
        }
        if let Some(metres) = s.distance_m {
            write!(out, "<DistanceMeters>{metres}</DistanceMeters>").expect("memory");
        }
        if let Some(bpm) = s.heart_rate_bpm {
            write!(out, "<HeartRateBpm><Value>{bpm}</Value></HeartRateBpm>").expect("memory");
        }
        out.push_str("</Trackpoint>\n");
    }
    out.push_str("</Track></Lap><Creator><Name>Some Watch</Name></Creator></Activity></Activities></TrainingCenterDatabase>\n");
    out
}

/// Who wrote a FIT file.
#[derive(Debug, Clone, Copy)]
pub struct Device {
    pub manufacturer: u16,
    pub product: u16,
    pub serial: u32,
}

impl Device {
    pub const WATCH: Device = Device { manufacturer: 1, product: 3869, serial: 3_401_222_111 };
    pub const HEAD_UNIT: Device = Device { manufacturer: 32, product: 31, serial: 77_001 };
}

fn file_id(kind: u8, device: Device, created_s: i64) -> Message {
    Message::new()
        .u8(0, ENUM, Some(kind))
        .u16(1, Some(f64::from(device.manufacturer)))
        .u16(2, Some(f64::from(device.product)))
        .add(3, UINT32Z, &device.serial.to_le_bytes())
        .u32(4, Some(fit_time(created_s)))
}

/// Settings, as most of the FIT files of an account are no activities.
pub fn fit_settings(device: Device, created_s: i64) -> Vec<u8> {
    let mut fit = Writer::default();
    fit.both(0, 0, &file_id(2, device, created_s));
    fit.both(1, 3, &Message::new().u8(1, ENUM, Some(1)).u8(2, UINT8, Some(34)));
    fit.finish()
}

/// A recorded activity: records, a lap every twenty minutes, a session.
pub fn fit(record: &Record, samples: &[Sample], device: Device) -> Vec<u8> {
    let w = &record.workout;
    fit_file(w, sport(w.sport, w.recording), samples, device)
}

pub fn fit_file(w: &Workout, (sport, sub_sport): (u8, u8), samples: &[Sample], device: Device) -> Vec<u8> {
    let start_s = w.start.as_second();
    let end_s = start_s + i64::from(w.elapsed_s);
    let mut fit = Writer::default();
    fit.both(0, 0, &file_id(4, device, start_s));
    for (index, s) in samples.iter().enumerate() {
        let record = Message::new()
            .u32(253, Some(fit_time(s.time_ms / 1000)))
            .i32(0, semicircles(s.lat_e7))
            .i32(1, semicircles(s.lon_e7))
            .u32(5, s.distance_m.map(|m| m * 100.0))
            .u16(2, s.altitude_m.map(|m| (m + 500.0) * 5.0))
            .u16(6, s.speed_mps.map(|mps| mps * 1000.0))
            .u16(7, s.power_w.map(f64::from))
            .u8(3, UINT8, s.heart_rate_bpm.map(|bpm| bpm as u8))
            .u8(4, UINT8, s.cadence_rpm.map(|rpm| rpm as u8));
        if index == 0 {
            fit.define(1, 20, &record);
        }
        fit.push(1, &record);
    }
    let laps = (w.elapsed_s / 1200).max(1);
    for lap in 0..laps {
        let share = 1.0 / f64::from(laps);
        let begin = start_s + i64::from(w.elapsed_s * lap / laps);
        let message = Message::new()
            .u32(253, Some(fit_time(begin + i64::from(w.elapsed_s / laps))))
            .u32(2, Some(fit_time(begin)))
            .u32(7, Some(f64::from(w.elapsed_s) * 1000.0 * share))
            .u32(8, Some(f64::from(w.moving_s) * 1000.0 * share))
            .u32(9, Some(w.distance_m * 100.0 * share));
        if lap == 0 {
            fit.define(2, 19, &message);
        }
        fit.push(2, &message);
    }
    let has_distance = w.distance_m > 0.0;
    let session = Message::new()
        .u32(253, Some(fit_time(end_s)))
        .u32(2, Some(fit_time(start_s)))
        .u8(5, ENUM, Some(sport))
        .u8(6, ENUM, Some(sub_sport))
        .u32(7, Some(f64::from(w.elapsed_s) * 1000.0))
        .u32(8, Some(f64::from(w.moving_s) * 1000.0))
        .u32(9, has_distance.then_some(w.distance_m * 100.0))
        .u16(11, Some(f64::from(w.moving_s) * 0.17))
        .u16(22, has_distance.then_some(w.elevation_gain_m));
    fit.both(3, 18, &session);
    let activity = Message::new()
        .u32(253, Some(fit_time(end_s)))
        .u32(0, Some(f64::from(w.moving_s) * 1000.0))
        .u16(1, Some(1.0))
        .u32(5, Some(fit_time(end_s + i64::from(w.utc_offset_s))));
    fit.both(4, 34, &activity);
    fit.finish()
}

/// The numbers of FIT's sports.
pub fn sport(strava: &str, recording: Recording) -> (u8, u8) {
    let is_indoor = recording == Recording::Indoor;
    match strava {
        "Run" if is_indoor => (1, 1),
        "Run" => (1, 0),
        "TrailRun" => (1, 3),
        "VirtualRun" => (1, 58),
        "Ride" if is_indoor => (2, 6),
        "Ride" => (2, 7),
        "GravelRide" => (2, 46),
        "MountainBikeRide" => (2, 8),
        "VirtualRide" => (2, 58),
        "EBikeRide" => (21, 28),
        "Swim" => (5, 17),
        "Walk" => (11, 0),
        "Hike" => (17, 0),
        "WeightTraining" => (10, 20),
        "Yoga" => (10, 43),
        _ => (10, 26),
    }
}
