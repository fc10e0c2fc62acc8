//! GPX 1.0 and 1.1: the tracks of a file, one recording each. Names are matched without their
//! prefixes, because every writer has its own for the same extensions. Routes and tracks
//! without times are no recordings.

use super::recording::{Recording, Sample, first_time};
use super::time;
use super::xml::{self, Node};
use crate::sources::{Fault, degrees_e7};

/// Reads a file's tracks. What was read before a document breaks is kept and marked partial.
pub fn read(document: &str) -> Result<Vec<Recording>, Fault> {
    let mut tracks = Tracks::default();
    let walked = xml::walk(document, |node| {
        match node {
            Node::Start(start) => tracks.start(start),
            Node::End(name, text) => tracks.end(name, text),
        }
        Ok(())
    });
    tracks.close();
    let (untimed, off_track) = (tracks.untimed, tracks.off_track);
    let mut recordings: Vec<Recording> =
        tracks.recordings.into_iter().filter(|track| !track.samples.is_empty()).collect();
    if let Err(reason) = walked {
        let Some(last) = recordings.last_mut() else { return Err(Fault::record(reason)) };
        last.activity.partial = Some(reason);
    } else if let Some(last) = recordings.last_mut().filter(|_| untimed > 0) {
        last.activity.partial = Some(format!("{untimed} points have no time"));
    }
    if recordings.is_empty() {
        return Err(match (tracks.is_gpx, untimed + off_track) {
            (false, _) => Fault::record("not a GPX document"),
            (true, 0) => Fault::record("no track in it"),
            (true, n) => {
                Fault::field("time", format!("none of the {n} points has one: a route, not a recording"))
            }
        });
    }
    Ok(recordings)
}

#[derive(Default)]
struct Tracks {
    is_gpx: bool,
    in_track: bool,
    in_point: bool,
    recordings: Vec<Recording>,
    sample: Sample,
    has_time: bool,
    /// Points of tracks without a time, and points of routes and waypoints.
    untimed: usize,
    off_track: usize,
    creator: Option<String>,
}

impl Tracks {
    fn start(&mut self, start: &quick_xml::events::BytesStart<'_>) {
        match xml::local(start) {
            "gpx" => {
                self.is_gpx = true;
                self.creator = xml::attribute(start, "creator");
            }
            "trk" => {
                self.in_track = true;
                self.recordings.push(Recording::default());
            }
            "trkpt" if self.in_track => {
                self.in_point = true;
                self.has_time = false;
                self.sample = Sample::default();
                for attribute in start.attributes().with_checks(false).flatten() {
                    let degrees = attribute.value.trim().parse::<f64>().ok();
                    match attribute.key.into_inner() {
                        "lat" => self.sample.lat_e7 = degrees.and_then(|d| degrees_e7(d, 90.0)),
                        "lon" => self.sample.lon_e7 = degrees.and_then(|d| degrees_e7(d, 180.0)),
                        _ => {}
                    }
                }
            }
            "rtept" | "wpt" => self.off_track += 1,
            _ => {}
        }
    }

    fn end(&mut self, name: &str, text: &str) {
        if name == "trk" {
            self.in_track = false;
            self.close();
        }
        let Some(track) = self.recordings.last_mut().filter(|_| self.in_track) else { return };
        if !self.in_point {
            let slot = match name {
                "name" => &mut track.activity.title,
                "desc" => &mut track.activity.description,
                "type" => &mut track.activity.sport_raw,
                _ => return,
            };
            *slot = Some(text.to_string()).filter(|text| !text.is_empty());
            return;
        }
        let sample = &mut self.sample;
        let number = || text.parse::<f64>().ok().filter(|n| n.is_finite());
        let whole = || number().map(|n| n.round() as i32);
        match name {
            "ele" => sample.altitude_m = number(),
            "time" => {
                if let Some(time) = time::utc(text) {
                    sample.time_ms = time.as_millisecond();
                    self.has_time = true;
                }
            }
            "hr" | "heartrate" => sample.heart_rate_bpm = whole().filter(|bpm| *bpm > 0),
            "cad" | "cadence" => sample.cadence_rpm = whole(),
            "atemp" | "temp" => sample.temperature_c = whole(),
            "power" | "watts" | "PowerInWatts" => sample.power_w = whole(),
            "speed" => sample.speed_mps = number(),
            "distance" => sample.distance_m = number(),
            "trkpt" => {
                self.in_point = false;
                if sample.lat_e7.is_none() || sample.lon_e7.is_none() {
                    (sample.lat_e7, sample.lon_e7) = (None, None);
                }
                if self.has_time {
                    track.samples.push(*sample);
                } else {
                    self.untimed += 1;
                }
            }
            _ => {}
        }
    }

    /// Gives the last track its start.
    fn close(&mut self) {
        let Some(track) = self.recordings.last_mut() else { return };
        if let Some(start) = first_time(&track.samples) {
            track.activity.start_time = start;
        }
        if track.activity.device_name.is_none() {
            track.activity.device_name = self.creator.clone().filter(|c| !c.is_empty());
        }
    }
}
