//! Apple Health's export: everything the phone knows in one XML file, and routes beside it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::{Exported, Pack, device};
use crate::error::{Error, Result};
use crate::sources::apple::workout_id;
use crate::store::local;
use crate::testing::synth::records::Record;
use crate::testing::synth::{Options, Person, Recording, person};

/// As much of the document type as readers stumble over.
const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE HealthData [\n<!-- HealthKit Export Version: 14 -->\n\
<!ELEMENT HealthData (ExportDate,Me,(Record|Workout)*)>\n<!ATTLIST HealthData\n  locale CDATA #REQUIRED\n>\n]>\n\
<HealthData locale=\"en_US\">\n <ExportDate value=\"2026-01-01 10:00:00 +0000\"/>\n";
const SOURCE: &str = "Somebody’s Apple Watch";

pub fn export(person: &Person, own: &[&Record]) -> Exported {
    let mut pack = Pack::new();
    let mut ids = Vec::new();
    let mut records = String::new();
    let mut workouts = String::new();
    let mut rates = BTreeSet::new();
    let mut positions_at: Vec<BTreeSet<i64>> = Vec::new();
    for (number, record) in own.iter().enumerate() {
        let samples = record.samples(person.home);
        let w = &record.workout;
        let has_route = w.recording == Recording::Outdoor && samples.iter().any(|s| s.lat_e7.is_some());
        for sample in &samples {
            if let Some(bpm) = sample.heart_rate_bpm {
                rates.insert(sample.time_ms / 1000);
                let time =
                    clock(Timestamp::from_millisecond(sample.time_ms).expect("a time"), w.utc_offset_s);
                heart_rate(&mut records, &time, bpm);
            }
        }
        let seen = samples.iter().filter(|s| has_route && s.lat_e7.is_some());
        positions_at.push(seen.map(|s| s.time_ms / 1000).collect());
        let route = has_route.then(|| format!("route_{number}.gpx"));
        if let Some(name) = &route {
            let positions: Vec<_> = samples
                .iter()
                .filter(|s| s.lat_e7.is_some())
                .map(|s| crate::sources::formats::recording::Sample { heart_rate_bpm: None, ..*s })
                .collect();
            pack.add(
                &format!("apple_health_export/workout-routes/{name}"),
                device::gpx(record, &positions).as_bytes(),
            );
        }
        let id = workout(&mut workouts, record, route.as_deref(), is_old(record));
        ids.push((id, 0));
    }
    // Workouts that overlap share the rates of the time they share.
    for ((record, id), mut seconds) in own.iter().zip(&mut ids).zip(positions_at) {
        let start = record.workout.start.as_second();
        seconds.extend(rates.range(start..=start + i64::from(record.workout.elapsed_s)));
        id.1 = seconds.len();
    }
    let document = format!("{HEAD}{records}{workouts}</HealthData>\n");
    pack.add("apple_health_export/export.xml", document.as_bytes());
    pack.add("apple_health_export/export_cda.xml", b"<?xml version=\"1.0\"?><ClinicalDocument/>");
    (pack.finish(), ids)
}

fn clock(time: Timestamp, utc_offset_s: i32) -> String {
    let offset = Offset::from_seconds(utc_offset_s).expect("an offset");
    time.to_zoned(offset.to_time_zone()).strftime("%Y-%m-%d %H:%M:%S %z").to_string()
}

fn heart_rate(out: &mut String, time: &str, bpm: i32) {
    writeln!(
        out,
        " <Record type=\"HKQuantityTypeIdentifierHeartRate\" sourceName=\"{SOURCE}\" sourceVersion=\"10.1\" \
         device=\"&lt;&lt;HKDevice: 0x1&gt;, name:Apple Watch, manufacturer:Apple Inc., model:Watch, hardware:Watch6,1&gt;\" \
         unit=\"count/min\" creationDate=\"{time}\" startDate=\"{time}\" endDate=\"{time}\" value=\"{bpm}\">\n  \
         <MetadataEntry key=\"HKMetadataKeyHeartRateMotionContext\" value=\"2\"/>\n </Record>"
    )
    .expect("memory");
}

/// A workout, with its totals in attributes as until iOS 15, or in children as since.
fn workout(out: &mut String, record: &Record, route: Option<&str>, is_old: bool) -> String {
    let w = &record.workout;
    let kind = format!("HKWorkoutActivityType{}", name(w.sport));
    let end = w.start + SignedDuration::from_secs(i64::from(w.elapsed_s));
    let (from, to) = (clock(w.start, w.utc_offset_s), clock(end, w.utc_offset_s));
    let minutes = f64::from(w.moving_s) / 60.0;
    write!(
        out,
        " <Workout workoutActivityType=\"{kind}\" duration=\"{minutes}\" durationUnit=\"min\" sourceName=\"{SOURCE}\" \
         sourceVersion=\"10.1\" device=\"&lt;&lt;HKDevice: 0x1&gt;, name:Apple Watch, manufacturer:Apple Inc.&gt;\" \
         creationDate=\"{to}\" startDate=\"{from}\" endDate=\"{to}\""
    )
    .expect("memory");
    let (km, kcal) = (w.distance_m / 1000.0, f64::from(w.moving_s) * 0.16);
    if is_old && w.distance_m > 0.0 {
        write!(out, " totalDistance=\"{km}\" totalDistanceUnit=\"km\"").expect("memory");
    }
    out.push_str(">\n");
    if !is_old {
        if w.distance_m > 0.0 {
            writeln!(out, "  <WorkoutStatistics type=\"HKQuantityTypeIdentifierDistanceWalkingRunning\" startDate=\"{from}\" endDate=\"{to}\" sum=\"{km}\" unit=\"km\"/>").expect("memory");
        }
        writeln!(out, "  <WorkoutStatistics type=\"HKQuantityTypeIdentifierActiveEnergyBurned\" startDate=\"{from}\" endDate=\"{to}\" sum=\"{kcal}\" unit=\"Cal\"/>").expect("memory");
    }
    writeln!(
        out,
        "  <MetadataEntry key=\"HKIndoorWorkout\" value=\"{}\"/>",
        u8::from(w.recording == Recording::Indoor)
    )
    .expect("memory");
    if let Some(route) = route {
        writeln!(out, "  <WorkoutRoute sourceName=\"{SOURCE}\" startDate=\"{from}\" endDate=\"{to}\">\n   <FileReference path=\"/workout-routes/{route}\"/>\n  </WorkoutRoute>").expect("memory");
    }
    out.push_str(" </Workout>\n");
    workout_id(&kind, w.start, end, SOURCE)
}

/// Whether it is written in the form of the years before iOS 16.
pub fn is_old(record: &Record) -> bool {
    record.workout.seed % 2 == 0
}

pub fn name(sport: &str) -> &'static str {
    match sport {
        "Run" | "TrailRun" | "VirtualRun" => "Running",
        "Ride" | "GravelRide" | "VirtualRide" | "MountainBikeRide" => "Cycling",
        "Swim" => "Swimming",
        "Walk" => "Walking",
        "Hike" => "Hiking",
        "WeightTraining" => "TraditionalStrengthTraining",
        "Yoga" => "Yoga",
        _ => "Other",
    }
}

/// Writes an export of one person that is at least this long: the workouts, and heart rates and steps of
/// years around them.
pub fn write_large(path: &Path, options: Options, bytes: u64) -> Result<u64> {
    let person = person(options, 1);
    let own = crate::testing::synth::records::of(&person, 1, options);
    let own: Vec<&Record> = own.iter().filter(|t| t.source == crate::sources::Source::Apple).collect();
    let mut workouts = String::new();
    for record in own {
        workout(&mut workouts, record, None, false);
    }
    let path = std::path::absolute(path).map_err(Error::io("find", path))?;
    local::replace(&path, |out| {
        let mut out = Counted { out, written: 0 };
        out.write_all(HEAD.as_bytes())?;
        let mut time_s = 1_325_400_000_i64;
        let mut records = String::new();
        while out.written + (workouts.len() as u64) < bytes {
            records.clear();
            for _ in 0..1000 {
                let time = clock(Timestamp::from_second(time_s).expect("a time"), 0);
                heart_rate(&mut records, &time, 60 + (time_s % 97) as i32);
                time_s += 5;
            }
            out.write_all(records.as_bytes())?;
        }
        out.write_all(workouts.as_bytes())?;
        out.write_all(b"</HealthData>\n")
    })
}

struct Counted<'a, W> {
    out: &'a mut W,
    written: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
