//! GPX 1.0 and 1.1: the tracks of a file, one recording each. Names are matched without their
//! prefixes, because every writer has its own for the same extensions. Routes and tracks
//! without times are no recordings.

use super::recording::{Lost, Recording, Sample, room_for};
use super::time;
use super::xml::{self, Node};
use crate::sources::Fault;

/// Reads a file's tracks. What was read before a document breaks is kept and marked partial.
pub fn read(document: &str) -> Result<Vec<Recording>, Fault> {
    let mut tracks = Tracks { room: room_for(document.len(), BYTES_OF_POINT), ..Tracks::default() };
    let walked = xml::walk(document, |node| {
        match node {
            Node::Start(start) => tracks.start(start),
            Node::End(name, text) => tracks.end(name, text),
        }
        Ok(())
    });
    tracks.close();
    let (mut recordings, routes): (Vec<Recording>, Vec<Recording>) =
        tracks.recordings.into_iter().partition(|track| !track.samples.is_empty());
    let Some(last) = recordings.last_mut() else {
        let untimed: usize = routes.iter().map(|track| track.unread.count(Lost::UntimedPoint)).sum();
        return Err(match (walked, tracks.is_gpx, untimed + tracks.off_track) {
            (Err(reason), _, _) => Fault::record(reason),
            (Ok(()), false, _) => Fault::record("not a GPX document"),
            (Ok(()), true, 0) => Fault::record("no track in it"),
            (Ok(()), true, n) => {
                Fault::field("time", format!("none of the {n} points has one: a route, not a recording"))
            }
        });
    };
    last.activity.partial = walked.err();
    routes.iter().for_each(|track| last.unread.add_all(&track.unread));
    recordings.iter_mut().for_each(Recording::make_sense);
    Ok(recordings)
}

/// Few writers take less for a point.
const BYTES_OF_POINT: usize = 120;

#[derive(Default)]
struct Tracks {
    /// Points that the first track may have.
    room: usize,
    is_gpx: bool,
    in_track: bool,
    in_point: bool,
    /// Elements that are open within the track and outside of its points: a link has a `type` of its own.
    depth: usize,
    recordings: Vec<Recording>,
    sample: Sample,
    has_time: bool,
    /// Points of routes, and waypoints.
    off_track: usize,
    /// Which segment of its track a point is in.
    segment: u32,
    creator: Option<String>,
}

impl Tracks {
    fn start(&mut self, start: &quick_xml::events::BytesStart<'_>) {
        if self.in_track && !self.in_point {
            self.depth += 1;
        }
        match xml::local(start) {
            "gpx" => {
                self.is_gpx = true;
                self.creator = xml::attribute(start, "creator");
            }
            "trk" => {
                self.in_track = true;
                self.depth = 0;
                self.segment = 0;
                let mut track = Recording::default();
                track.samples.reserve(std::mem::take(&mut self.room));
                self.recordings.push(track);
            }
            "trkseg" => self.segment += 1,
            "trkpt" if self.in_track => {
                self.in_point = true;
                self.has_time = false;
                self.sample = Sample { stretch: self.segment, ..Sample::default() };
                let unread = &mut self.recordings.last_mut().expect("in a track").unread;
                for attribute in start.attributes().with_checks(false).flatten() {
                    let text = attribute.value.trim();
                    match attribute.key.into_inner() {
                        "lat" => self.sample.lat_e7 = unread.degrees_e7(text, 90.0),
                        "lon" => self.sample.lon_e7 = unread.degrees_e7(text, 180.0),
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
            self.depth = self.depth.saturating_sub(1);
            let slot = match name {
                _ if self.depth > 0 => return,
                "name" => &mut track.activity.title,
                "desc" => &mut track.activity.description,
                "type" => &mut track.activity.sport_raw,
                _ => return,
            };
            *slot = Some(text.to_string()).filter(|text| !text.is_empty());
            return;
        }
        let sample = &mut self.sample;
        let unread = &mut track.unread;
        match name {
            "ele" => sample.altitude_m = unread.number(text, Lost::Altitude),
            "time" => {
                if let Some(time_ms) = time::utc_ms(text) {
                    sample.time_ms = time_ms;
                    self.has_time = true;
                }
            }
            "hr" | "heartrate" | "HeartRate" | "heartRate" | "bpm" => {
                sample.heart_rate_bpm = unread.whole(text, Lost::HeartRate).filter(|bpm| *bpm != 0);
            }
            "cad" | "cadence" => sample.cadence_rpm = unread.whole(text, Lost::Cadence),
            "atemp" | "temp" => sample.temperature_c = unread.whole(text, Lost::Temperature),
            "power" | "watts" | "PowerInWatts" => sample.power_w = unread.whole(text, Lost::Power),
            "speed" => sample.speed_mps = unread.number(text, Lost::Speed),
            "distance" => sample.distance_m = unread.number(text, Lost::Distance),
            "trkpt" => {
                self.in_point = false;
                self.depth = self.depth.saturating_sub(1);
                if sample.lat_e7.is_none() || sample.lon_e7.is_none() {
                    (sample.lat_e7, sample.lon_e7) = (None, None);
                }
                if self.has_time {
                    track.samples.push(*sample);
                } else {
                    unread.add(Lost::UntimedPoint, 1);
                }
            }
            _ => {}
        }
    }

    /// Gives the last track the name of what wrote it.
    fn close(&mut self) {
        let Some(track) = self.recordings.last_mut() else { return };
        if track.activity.device_name.is_none() {
            track.activity.device_name = self.creator.clone().filter(|c| !c.is_empty());
        }
    }
}
