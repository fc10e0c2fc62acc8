//! Garmin's Training Center XML: activities with laps and track points, read by local names.

use jiff::Timestamp;
use quick_xml::events::BytesStart;

use super::recording::{Lost, Recording, Sample, room_for};
use super::time;
use super::xml::{self, Node};
use crate::model::activity::Lap;
use crate::sources::Fault;

/// Reads a file's activities. What was read before a document breaks is kept and marked partial.
pub fn read(document: &str) -> Result<Vec<Recording>, Fault> {
    let mut activities =
        Activities { room: room_for(document.len(), BYTES_OF_POINT), ..Activities::default() };
    let walked = xml::walk(document, |node| {
        match node {
            Node::Start(start) => activities.start(start),
            Node::End(name, text) => activities.end(name, text),
        }
        Ok(())
    });
    activities.close();
    let mut recordings: Vec<Recording> = std::mem::take(&mut activities.recordings)
        .into_iter()
        .filter(|a| !a.samples.is_empty() || a.activity.laps.is_some())
        .collect();
    if let Err(reason) = walked {
        let Some(last) = recordings.last_mut() else { return Err(Fault::record(reason)) };
        last.activity.partial = Some(reason);
    }
    if recordings.is_empty() {
        return Err(Fault::record(match (activities.is_tcx, activities.has_course) {
            (false, _) => "not a TCX document",
            (true, true) => "a course, not a recording",
            (true, false) => "no activity in it",
        }));
    }
    recordings.iter_mut().for_each(Recording::make_sense);
    Ok(recordings)
}

/// Few writers take less for a point.
const BYTES_OF_POINT: usize = 250;

#[derive(Default)]
struct Activities {
    /// Points that the first activity may have.
    room: usize,
    is_tcx: bool,
    has_course: bool,
    /// The elements that are open, those that mean something here.
    in_activity: bool,
    in_lap: bool,
    in_point: bool,
    in_creator: bool,
    value_of: Option<Value>,
    recordings: Vec<Recording>,
    lap: Lap,
    sums: Sums,
    sample: Sample,
    has_time: bool,
    /// Which stretch between pauses a point is in, and whether its lap has had one.
    stretch: u32,
    has_track: bool,
    /// What stands in the place of a name. It is the start with some, and with others the end, or a number.
    id: Option<Timestamp>,
}

/// The heart rates of a lap, whose number stands in a `Value` within.
#[derive(Clone, Copy)]
enum Value {
    Average,
    Maximum,
}

/// What the laps of one activity sum to.
#[derive(Default)]
struct Sums {
    moving_s: Option<f64>,
    distance_m: Option<f64>,
    calories_kcal: Option<f64>,
    max_speed_mps: Option<f64>,
    max_heart_rate_bpm: Option<f64>,
}

impl Activities {
    fn start(&mut self, start: &BytesStart<'_>) {
        // Of what a point holds, only the ends mean something.
        if self.in_point {
            return;
        }
        match xml::local(start) {
            "TrainingCenterDatabase" => self.is_tcx = true,
            "Course" => self.has_course = true,
            "Activity" => {
                self.close();
                self.in_activity = true;
                self.stretch = 0;
                self.id = None;
                let mut recording = Recording::default();
                recording.samples.reserve(std::mem::take(&mut self.room));
                recording.activity.sport_raw = xml::attribute(start, "Sport");
                self.recordings.push(recording);
            }
            "Lap" if self.in_activity => {
                self.in_lap = true;
                self.has_track = false;
                self.lap = Lap {
                    start_time: xml::attribute(start, "StartTime").as_deref().and_then(time::utc),
                    ..Lap::default()
                };
            }
            // A second one in a lap comes after a pause.
            "Track" if self.in_lap => {
                self.stretch += u32::from(self.has_track);
                self.has_track = true;
            }
            "Trackpoint" if self.in_lap => {
                self.in_point = true;
                self.has_time = false;
                self.sample = Sample { stretch: self.stretch, ..Sample::default() };
            }
            "Creator" if self.in_activity => self.in_creator = true,
            "AverageHeartRateBpm" => self.value_of = Some(Value::Average),
            "MaximumHeartRateBpm" => self.value_of = Some(Value::Maximum),
            _ => {}
        }
    }

    fn end(&mut self, name: &str, text: &str) {
        if self.in_point {
            return self.end_in_point(name, text);
        }
        match name {
            "AverageHeartRateBpm" | "MaximumHeartRateBpm" => self.value_of = None,
            "Creator" => self.in_creator = false,
            "Activity" => {
                self.close();
                self.in_activity = false;
            }
            _ => {}
        }
        let Some(recording) = self.recordings.last_mut().filter(|_| self.in_activity) else { return };
        let Recording { activity: a, unread, .. } = recording;
        if self.in_lap {
            let lap = &mut self.lap;
            let mut number = || unread.number(text, Lost::Sum);
            match name {
                "TotalTimeSeconds" => lap.moving_s = number(),
                "DistanceMeters" => lap.distance_m = number(),
                "MaximumSpeed" => lap.max_speed_mps = number(),
                "AvgSpeed" => lap.avg_speed_mps = number(),
                "Calories" => self.sums.calories_kcal = added(self.sums.calories_kcal, number()),
                "Value" => match self.value_of {
                    Some(Value::Average) => lap.avg_heart_rate_bpm = number(),
                    Some(Value::Maximum) => lap.max_heart_rate_bpm = number(),
                    None => {}
                },
                "Cadence" | "AvgRunCadence" => lap.avg_cadence_rpm = number(),
                "AvgWatts" => lap.avg_power_w = number(),
                "Lap" => {
                    self.in_lap = false;
                    let sums = &mut self.sums;
                    sums.moving_s = added(sums.moving_s, lap.moving_s);
                    sums.distance_m = added(sums.distance_m, lap.distance_m);
                    sums.max_speed_mps =
                        sums.max_speed_mps.into_iter().chain(lap.max_speed_mps).reduce(f64::max);
                    sums.max_heart_rate_bpm =
                        sums.max_heart_rate_bpm.into_iter().chain(lap.max_heart_rate_bpm).reduce(f64::max);
                    let laps = a.laps.get_or_insert_default();
                    lap.lap_index = i32::try_from(laps.len() + 1).ok();
                    laps.push(std::mem::take(lap));
                }
                _ => {}
            }
            return;
        }
        match name {
            "Id" if !self.in_creator => self.id = time::utc(text),
            "Notes" => a.description = Some(text.to_string()).filter(|t| !t.is_empty()),
            "Name" if self.in_creator => a.device_name = Some(text.to_string()).filter(|t| !t.is_empty()),
            "UnitId" if self.in_creator => {
                a.device_serial = Some(text.to_string()).filter(|t| !t.is_empty() && t != "0");
            }
            _ => {}
        }
    }

    /// What ends within a point, or the point itself.
    fn end_in_point(&mut self, name: &str, text: &str) {
        let Some(Recording { unread, samples, .. }) = self.recordings.last_mut() else { return };
        let sample = &mut self.sample;
        match name {
            "Time" => {
                if let Some(time_ms) = time::utc_ms(text) {
                    sample.time_ms = time_ms;
                    self.has_time = true;
                }
            }
            "LatitudeDegrees" => sample.lat_e7 = unread.degrees_e7(text, 90.0),
            "LongitudeDegrees" => sample.lon_e7 = unread.degrees_e7(text, 180.0),
            "AltitudeMeters" => sample.altitude_m = unread.number(text, Lost::Altitude),
            "DistanceMeters" => sample.distance_m = unread.number(text, Lost::Distance),
            "Value" => {
                sample.heart_rate_bpm = unread.whole(text, Lost::HeartRate).filter(|bpm| *bpm != 0);
            }
            "Cadence" | "RunCadence" => sample.cadence_rpm = unread.whole(text, Lost::Cadence),
            "Speed" => sample.speed_mps = unread.number(text, Lost::Speed),
            "Watts" => sample.power_w = unread.whole(text, Lost::Power),
            "Trackpoint" => {
                self.in_point = false;
                if sample.lat_e7.is_none() || sample.lon_e7.is_none() {
                    (sample.lat_e7, sample.lon_e7) = (None, None);
                }
                if self.has_time {
                    samples.push(*sample);
                } else {
                    unread.add(Lost::UntimedPoint, 1);
                }
            }
            _ => {}
        }
    }

    /// Gives the last activity its start and its sums.
    fn close(&mut self) {
        let sums = std::mem::take(&mut self.sums);
        let Some(recording) = self.recordings.last_mut().filter(|_| self.in_activity) else { return };
        // A lap that the document broke off in.
        if self.in_lap {
            self.in_lap = false;
            recording.activity.laps.get_or_insert_default().push(std::mem::take(&mut self.lap));
        }
        let a = &mut recording.activity;
        let starts = a.laps.iter().flatten().filter_map(|lap| lap.start_time);
        recording.stated.starts_ms = starts.map(|start| start.as_millisecond()).collect();
        recording.stated.starts_ms.sort_unstable();
        if let Some(id) =
            self.id.filter(|_| recording.samples.is_empty() && recording.stated.starts_ms.is_empty())
        {
            recording.stated.starts_ms.push(id.as_millisecond());
            a.doubt("start_time", "only the name of the activity tells it");
        }
        a.moving_s = a.moving_s.or(sums.moving_s);
        a.distance_m = a.distance_m.or(sums.distance_m);
        a.calories_kcal = a.calories_kcal.or(sums.calories_kcal.filter(|kcal| *kcal > 0.0));
        a.max_speed_mps = a.max_speed_mps.or(sums.max_speed_mps);
        a.max_heart_rate_bpm = a.max_heart_rate_bpm.or(sums.max_heart_rate_bpm);
        if recording.samples.is_empty() {
            a.elapsed_s = a.elapsed_s.or(a.moving_s);
        }
    }
}

fn added(sum: Option<f64>, value: Option<f64>) -> Option<f64> {
    match (sum, value) {
        (Some(sum), Some(value)) => Some(sum + value),
        (sum, value) => sum.or(value),
    }
}
