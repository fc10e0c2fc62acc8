//! Apple Health's export: one XML file of everything the phone knows, gigabytes of it, and GPX
//! files of the routes.
//!
//! The file is read twice, piece by piece: first for the workouts, then for the heart rates
//! within them, and nothing else of it is held. Totals stood in attributes until iOS 15 and stand in children since; routes were
//! written within until iOS 12. There is no id of a workout, so one is made of what it is.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read};

use encoding_rs::UTF_8;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use quick_xml::events::BytesStart;
use ring::digest::{SHA256, digest};

use super::formats::recording::{HEART_RATES_BPM, Recording, Sample};
use super::formats::series::{Rate, Windows, add_heart_rates};
use super::formats::xml::{self, Node};
use super::formats::zip::{ArchiveEntry, Container};
use super::formats::{gpx, time};
use super::{ArchiveItem, Fault, OnItem, Parsed, Ranks, ReadFrom, Spec, degrees_e7, in_parallel};
use crate::error::Result;
use crate::model::activity::Activity;

/// What is true of this source.
pub const SPEC: Spec = Spec {
    name: "apple",
    help: "The Health app's export",
    fitglue: "SOURCE_APPLE_HEALTH",
    ranks: Ranks { written: 50, measured: 40, sets: 50, sent: 40 },
    can_echo: false,
    gathers: true,
    app_key: Some("sourceName"),
    only_sport: None,
    recognises,
    read,
};

pub fn recognises(archive: &Container) -> bool {
    archive.ending(".xml").take(100).any(|entry| is_export(archive, entry))
}

fn is_export(archive: &Container, entry: &ArchiveEntry) -> bool {
    let head = archive.head(entry, 64 << 10);
    let head = String::from_utf8_lossy(&head);
    head.contains("<HealthData")
}

pub fn read(archive: &Container, from: &ReadFrom, each: OnItem<'_>) -> Result<()> {
    for entry in archive.ending(".xml").filter(|entry| is_export(archive, entry)) {
        let mut workouts = Vec::new();
        let mut faults = Vec::new();
        let walked = walk(archive, entry, |node| reading_workouts(node, &mut workouts, &mut faults));
        if let Err(fault) = walked {
            each(ArchiveItem::fault("file", format!("!{}", entry.name), fault))?;
        }
        for (index, fault) in faults {
            each(ArchiveItem::fault("record", format!("!{}#{index}", entry.name), fault))?;
        }
        let windows = Windows::of(workouts.iter().map(|w: &Workout| &w.activity));
        let mut rates: Vec<Vec<Rate>> = vec![Vec::new(); workouts.len()];
        // Where the second reading breaks the first one broke, and said so.
        let _ = walk(archive, entry, |node| {
            if let Node::Start(start) = node
                && let Some(rate) = heart_rate(start)
            {
                windows.at(rate.0).for_each(|at| rates[at].push(rate));
            }
            Ok(())
        });
        let routes: HashMap<String, &ArchiveEntry> =
            archive.ending(".gpx").map(|route| (route.file_name().to_lowercase(), route)).collect();
        let whole: Vec<(Workout, Vec<Rate>)> = workouts.into_iter().zip(rates).collect();
        let bytes = |(workout, _): &(Workout, Vec<Rate>)| {
            workout.routes.iter().filter_map(|name| routes.get(name)).map(|route| route.weight()).sum()
        };
        in_parallel(
            &whole,
            bytes,
            |(workout, rates)| {
                let at = format!("!{}#{}", entry.name, workout.index);
                let taken = finish(workout, rates, &routes, archive, from, &at);
                vec![ArchiveItem::of("record", at, Ok(taken)).finished(from)]
            },
            &mut *each,
        )?;
    }
    Ok(())
}

/// Walks the export as text, whatever bytes are in it.
fn walk(
    archive: &Container,
    entry: &ArchiveEntry,
    each: impl FnMut(Node<'_>) -> std::result::Result<(), String>,
) -> std::result::Result<(), Fault> {
    archive.stream(entry, |input| xml::walk_stream(Utf8::new(input), each).map_err(Fault::record))
}

#[derive(Debug, Default, Clone)]
struct Workout {
    /// In the order of the file.
    index: usize,
    activity: Activity,
    sums: BTreeMap<String, Sum>,
    metadata: serde_json::Map<String, serde_json::Value>,
    /// File names of its routes, in lower case.
    routes: Vec<String>,
    /// Of the routes that were written within.
    samples: Vec<Sample>,
    /// When it was paused (true) and resumed (false), in the order of the file.
    pauses: Vec<(Timestamp, bool)>,
    /// Open elements, the workout's own among them; 0 behind its end.
    depth: usize,
}

/// What `WorkoutStatistics` of one type say together.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    sum: Option<f64>,
    maximum: Option<f64>,
    /// Averages times their seconds, and the seconds.
    weighted: f64,
    seconds: f64,
}

fn reading_workouts(
    node: Node<'_>,
    workouts: &mut Vec<Workout>,
    faults: &mut Vec<(usize, Fault)>,
) -> std::result::Result<(), String> {
    match node {
        Node::Start(start) => {
            let name = xml::local(start);
            if name == "Workout" {
                let index = workouts.len() + faults.len();
                match workout(start, index) {
                    Ok(workout) => workouts.push(workout),
                    Err(fault) => faults.push((index, fault)),
                }
                return Ok(());
            }
            let Some(workout) = workouts.last_mut().filter(|w| w.depth > 0) else { return Ok(()) };
            workout.depth += 1;
            // The parts of a workout have totals and notes of their own, which are not to be added.
            let is_its_own = workout.depth == 2;
            match name {
                "MetadataEntry" if is_its_own => {
                    if let (Some(key), Some(value)) =
                        (xml::attribute(start, "key"), xml::attribute(start, "value"))
                    {
                        workout.metadata.insert(key, value.into());
                    }
                }
                "WorkoutStatistics" if is_its_own => workout.add_statistics(start),
                "WorkoutEvent" if is_its_own => workout.add_event(start),
                "FileReference" => {
                    let path = xml::attribute(start, "path").unwrap_or_default();
                    workout.routes.push(path.rsplit('/').next().unwrap_or_default().to_lowercase());
                }
                "Location" => workout.samples.extend(location(start)),
                _ => {}
            }
        }
        Node::End(..) => {
            if let Some(workout) = workouts.last_mut() {
                workout.depth = workout.depth.saturating_sub(1);
            }
        }
    }
    Ok(())
}

fn number(start: &BytesStart<'_>, name: &str) -> Option<f64> {
    xml::attribute(start, name)?.trim().parse::<f64>().ok().filter(|n| n.is_finite())
}

/// How many base units a unit is: metres, kilocalories, seconds, metres per second.
fn per_unit(unit: &str) -> Option<f64> {
    Some(match unit {
        "km" => 1000.0,
        "m" | "s" | "sec" | "kcal" | "Cal" | "m/s" | "count/min" | "count" | "W" | "bpm" => 1.0,
        "mi" => 1609.344,
        "ft" => 0.3048,
        "yd" => 0.9144,
        "cm" => 0.01,
        "min" => 60.0,
        "hr" | "h" => 3600.0,
        "ms" => 0.001,
        "kJ" => 1.0 / 4.184,
        "cal" => 0.001,
        "km/hr" | "km/h" => 1.0 / 3.6,
        "mi/hr" | "mph" => 0.447_04,
        _ => return None,
    })
}

fn scaled(start: &BytesStart<'_>, name: &str, unit: &str) -> Option<f64> {
    let unit = xml::attribute(start, unit).unwrap_or_default();
    number(start, name).zip(per_unit(&unit)).map(|(value, scale)| value * scale)
}

fn workout(start: &BytesStart<'_>, index: usize) -> std::result::Result<Workout, Fault> {
    let required = |name: &str| xml::attribute(start, name).ok_or_else(|| Fault::field(name, "missing"));
    let (kind, begin, end) = (required("workoutActivityType")?, required("startDate")?, required("endDate")?);
    let source = xml::attribute(start, "sourceName").unwrap_or_default();
    let instant = |field: &str, text: &str| {
        time::with_offset(text).ok_or_else(|| Fault::expected(field, "a time", text))
    };
    let (begins, offset_s) = instant("startDate", &begin)?;
    let (ends, _) = instant("endDate", &end)?;
    let mut a = Activity {
        // The times themselves and not their text: another export may be written in another zone.
        source_id: workout_id(&kind, begins, ends, &source),
        sport_raw: Some(kind.trim_start_matches("HKWorkoutActivityType").to_string()),
        start_time: begins,
        // Of the phone when it exported, which is the best there is where no zone is named.
        utc_offset_s: offset_s,
        elapsed_s: Some(ends.duration_since(begins).as_secs_f64()),
        moving_s: scaled(start, "duration", "durationUnit"),
        distance_m: scaled(start, "totalDistance", "totalDistanceUnit").filter(|m| *m > 0.0),
        calories_kcal: scaled(start, "totalEnergyBurned", "totalEnergyBurnedUnit").filter(|kcal| *kcal > 0.0),
        ..Activity::default()
    };
    a.device_name = xml::attribute(start, "device").and_then(|device| {
        let word = |name: &str| {
            let rest = device.split_once(name)?.1;
            Some(rest[..rest.find([',', '>']).unwrap_or(rest.len())].trim().to_string())
        };
        Some(word(" name:").or_else(|| word("name:"))?).filter(|name| !name.is_empty())
    });
    let mut metadata = serde_json::Map::new();
    if !source.is_empty() {
        metadata.insert("sourceName".to_string(), source.into());
    }
    if let Some(version) = xml::attribute(start, "sourceVersion") {
        metadata.insert("sourceVersion".to_string(), version.into());
    }
    Ok(Workout { index, activity: a, metadata, depth: 1, ..Workout::default() })
}

/// The id of a workout.
pub fn workout_id(kind: &str, begin: Timestamp, end: Timestamp, source: &str) -> String {
    let hash = digest(&SHA256, format!("{kind}\n{begin}\n{end}\n{source}").as_bytes());
    crate::model::hex(hash.as_ref())[..32].to_string()
}

fn location(start: &BytesStart<'_>) -> Option<Sample> {
    let time = xml::attribute(start, "date").as_deref().and_then(time::utc)?;
    Some(Sample {
        time_ms: time.as_millisecond(),
        lat_e7: number(start, "latitude").and_then(|d| degrees_e7(d, 90.0)),
        lon_e7: number(start, "longitude").and_then(|d| degrees_e7(d, 180.0)),
        altitude_m: number(start, "altitude"),
        speed_mps: number(start, "speed").filter(|mps| *mps >= 0.0),
        ..Sample::default()
    })
}

/// A heart rate, if a record is one.
fn heart_rate(start: &BytesStart<'_>) -> Option<Rate> {
    if xml::local(start) != "Record"
        || !start.attributes_raw().contains("\"HKQuantityTypeIdentifierHeartRate\"")
    {
        return None;
    }
    let time = xml::attribute(start, "startDate").as_deref().and_then(time::utc)?;
    let bpm = number(start, "value").filter(|bpm| HEART_RATES_BPM.contains(&(bpm.ceil() as i32)))?;
    Some((time.as_millisecond(), bpm.round() as i32))
}

impl Workout {
    /// Pauses, whether the person made them or the watch.
    fn add_event(&mut self, start: &BytesStart<'_>) {
        let kind = xml::attribute(start, "type").unwrap_or_default();
        let is_pause = match kind.trim_start_matches("HKWorkoutEventType") {
            "Pause" | "MotionPaused" => true,
            "Resume" | "MotionResumed" => false,
            _ => return,
        };
        let time = xml::attribute(start, "date").as_deref().and_then(time::utc);
        self.pauses.extend(time.map(|time| (time, is_pause)));
    }

    /// The seconds between start and end without the pauses; none where there were none.
    fn unpaused_s(&self) -> Option<f64> {
        let a = &self.activity;
        let elapsed_s = a.elapsed_s?;
        let mut events = self.pauses.clone();
        events.sort_unstable();
        let second = |time: Timestamp| time.duration_since(a.start_time).as_secs_f64().clamp(0.0, elapsed_s);
        let (mut paused_s, mut since) = (0.0, None);
        for (time, is_pause) in events {
            match (is_pause, since) {
                (true, None) => since = Some(second(time)),
                (false, Some(begin)) => {
                    paused_s += second(time) - begin;
                    since = None;
                }
                _ => {}
            }
        }
        paused_s += since.map_or(0.0, |begin| elapsed_s - begin);
        (paused_s > 0.0 && paused_s < elapsed_s).then_some(elapsed_s - paused_s)
    }

    /// Several statistics of one type split the workout in time.
    fn add_statistics(&mut self, start: &BytesStart<'_>) {
        let Some(kind) = xml::attribute(start, "type") else { return };
        let scale = xml::attribute(start, "unit").as_deref().and_then(per_unit).unwrap_or(f64::NAN);
        let value = |name: &str| number(start, name).map(|n| n * scale).filter(|n| n.is_finite());
        let time = |name: &str| xml::attribute(start, name).as_deref().and_then(time::utc);
        let seconds =
            time("startDate").zip(time("endDate")).map_or(1.0, |(b, e)| e.duration_since(b).as_secs_f64());
        let sum =
            self.sums.entry(kind.trim_start_matches("HKQuantityTypeIdentifier").to_string()).or_default();
        sum.sum = value("sum").map(|more| sum.sum.unwrap_or(0.0) + more).or(sum.sum);
        sum.maximum = sum.maximum.into_iter().chain(value("maximum")).reduce(f64::max);
        if let Some(average) = value("average") {
            sum.weighted += average * seconds.max(1.0);
            sum.seconds += seconds.max(1.0);
        }
    }

    /// The distance of the kind that the sport goes; of several sports, all of them.
    fn distance_m(&self) -> Option<f64> {
        let sport = self.activity.sport_raw.as_deref().unwrap_or_default();
        let of = |kind: &str| self.sums.get(&format!("Distance{kind}")).and_then(|sum| sum.sum);
        let all =
            self.sums.iter().filter(|(kind, _)| kind.starts_with("Distance")).filter_map(|(_, sum)| sum.sum);
        match sport {
            "SwimBikeRun" => all.reduce(|a, b| a + b),
            _ if sport.contains("Cycling") => of("Cycling").or(all.reduce(f64::max)),
            _ if sport.contains("Swimming") => of("Swimming").or(all.reduce(f64::max)),
            "Running" | "Walking" | "Hiking" => of("WalkingRunning").or(all.reduce(f64::max)),
            _ => all.reduce(f64::max),
        }
    }

    /// What the statistics and the metadata tell of the activity.
    fn summed(&self) -> Activity {
        let mut a = self.activity.clone();
        let total = |kind: &str| self.sums.get(kind).and_then(|s| s.sum);
        let average =
            |kind: &str| self.sums.get(kind).filter(|s| s.seconds > 0.0).map(|s| s.weighted / s.seconds);
        let maximum = |kind: &str| self.sums.get(kind).and_then(|s| s.maximum);
        a.distance_m = a.distance_m.or_else(|| self.distance_m());
        a.calories_kcal = a.calories_kcal.or(total("ActiveEnergyBurned"));
        a.avg_heart_rate_bpm = average("HeartRate");
        a.max_heart_rate_bpm = maximum("HeartRate");
        a.avg_power_w = average("RunningPower").or(average("CyclingPower"));
        a.max_power_w = maximum("RunningPower").or(maximum("CyclingPower"));
        a.avg_speed_mps = average("RunningSpeed").or(average("CyclingSpeed"));
        a.max_speed_mps = maximum("RunningSpeed").or(maximum("CyclingSpeed"));
        a.avg_cadence_rpm = average("CyclingCadence");
        a.max_cadence_rpm = maximum("CyclingCadence");
        a.moving_s = a.moving_s.or_else(|| self.unpaused_s());
        let mut extra = self.metadata.clone();
        if let Some(steps) = total("StepCount") {
            extra.insert("StepCount".to_string(), steps.into());
        }
        let word = |key: &str| self.metadata.get(key).and_then(|v| v.as_str());
        if let Some(name) = word("HKTimeZone") {
            a.timezone = Some(name.to_string());
            if let Ok(zone) = TimeZone::get(name) {
                a.utc_offset_s = Some(zone.to_offset(a.start_time).seconds());
            }
        }
        a.external_id = word("HKExternalUUID").map(str::to_string);
        a.trainer = word("HKIndoorWorkout").map(|flag| flag == "1");
        a.manual = word("HKWasUserEntered").map(|flag| flag == "1");
        a.elevation_gain_m = word("HKElevationAscended").and_then(|text| {
            let (value, unit) = text.trim().split_once(' ')?;
            Some(value.parse::<f64>().ok()? * per_unit(unit)?)
        });
        a.extra = (!extra.is_empty()).then(|| serde_json::Value::Object(extra).to_string());
        a
    }
}

fn finish(
    workout: &Workout,
    rates: &[Rate],
    routes: &HashMap<String, &ArchiveEntry>,
    archive: &Container,
    from: &ReadFrom,
    at: &str,
) -> Parsed {
    let mut faults = Vec::new();
    let mut samples = workout.samples.clone();
    for name in &workout.routes {
        let read = match routes.get(name) {
            Some(entry) => archive.read(entry).and_then(|bytes| gpx::read(&xml::text(&bytes))),
            None => Err(Fault::record("not in the archive")),
        };
        match read {
            Ok(tracks) => samples.extend(tracks.into_iter().flat_map(|track| track.samples)),
            Err(fault) => faults.push(
                Fault::field("WorkoutRoute", format!("{name}: {fault}"))
                    .of(Some(&workout.activity.source_id)),
            ),
        }
    }
    samples.sort_by_key(|sample| sample.time_ms);
    add_heart_rates(&mut samples, rates);
    let activity = from.adopt(workout.summed(), at);
    let (activity, streams) = Recording::new(activity, samples).finish();
    let streams = streams.map(|streams| from.streams(streams, &activity));
    Parsed::new(activity, streams, faults)
}

/// Bytes as UTF-8, with what is none of it replaced, and control characters made spaces.
struct Utf8<'a> {
    input: BufReader<&'a mut dyn Read>,
    decoder: encoding_rs::Decoder,
    text: Vec<u8>,
    at: usize,
    is_at_end: bool,
}

const CHUNK_BYTES: usize = 256 << 10;

impl<'a> Utf8<'a> {
    fn new(input: &'a mut dyn Read) -> Utf8<'a> {
        Utf8 {
            input: BufReader::with_capacity(CHUNK_BYTES, input),
            decoder: UTF_8.new_decoder(),
            text: Vec::new(),
            at: 0,
            is_at_end: false,
        }
    }
}

impl Read for Utf8<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let text = self.fill_buf()?;
        let length = text.len().min(buffer.len());
        buffer[..length].copy_from_slice(&text[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Utf8<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        while self.at == self.text.len() && !self.is_at_end {
            let raw = self.input.fill_buf()?;
            self.is_at_end = raw.is_empty();
            let room = self.decoder.max_utf8_buffer_length(raw.len()).expect("a chunk is small");
            self.text.resize(room, 0);
            let (_, read, written, _) = self.decoder.decode_to_utf8(raw, &mut self.text, self.is_at_end);
            self.input.consume(read);
            self.text.truncate(written);
            for byte in &mut self.text {
                if *byte < 0x20 && !matches!(*byte, b'\t' | b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
            self.at = 0;
        }
        Ok(&self.text[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}
