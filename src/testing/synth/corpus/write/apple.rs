//! Apple Health's export.

use std::fmt::Write as _;

use jiff::tz::Offset;

use super::{Exported, Recording, time, workout};
use crate::testing::synth::corpus::sports;
use crate::testing::synth::exports::{Pack, device};

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE HealthData [\n<!ELEMENT HealthData ANY>\n]>\n\
<HealthData locale=\"en_GB\">\n <ExportDate value=\"2026-07-01 10:00:00 +0000\"/>\n";

pub fn export(number: u32, own: &[&Recording]) -> Exported {
    let mut pack = Pack::new();
    let mut document = HEAD.to_string();
    let mut keys = Vec::new();
    let is_old = number % 3 == 0;
    for (index, r) in own.iter().enumerate() {
        let app = if r.classes.contains("hub_copy") { "Sync App" } else { "Apple Watch" };
        let offset = Offset::from_seconds(r.utc_offset_s).expect("an offset");
        let clock = |second: i64| {
            time(second).to_zoned(offset.to_time_zone()).strftime("%Y-%m-%d %H:%M:%S %z").to_string()
        };
        let (from, to) = (clock(r.start_s), clock(r.end_s()));
        let minutes = r.moving_s as f64 / 60.0;
        write!(
            document,
            " <Workout workoutActivityType=\"HKWorkoutActivityType{}\" duration=\"{minutes}\" durationUnit=\"min\" \
             sourceName=\"{app} {}\" sourceVersion=\"{}\" creationDate=\"{to}\" startDate=\"{from}\" endDate=\"{to}\"",
            sports::named(r.sport).apple,
            index % 3,
            index % 5
        )
        .expect("memory");
        if is_old && r.metres > 0.0 {
            write!(document, " totalDistance=\"{}\" totalDistanceUnit=\"km\"", r.metres / 1000.0)
                .expect("memory");
        }
        document.push_str(">\n");
        let mut statistic = |kind: &str, values: String, unit: &str| {
            writeln!(
                document,
                "  <WorkoutStatistics type=\"HKQuantityTypeIdentifier{kind}\" startDate=\"{from}\" endDate=\"{to}\" {values} unit=\"{unit}\"/>"
            )
            .expect("memory");
        };
        if !is_old && r.metres > 0.0 {
            statistic("DistanceWalkingRunning", format!("sum=\"{}\"", r.metres / 1000.0), "km");
        }
        statistic("ActiveEnergyBurned", format!("sum=\"{}\"", r.kcal), "Cal");
        if let Some(bpm) = r.bpm {
            let values = format!("average=\"{bpm}\" minimum=\"{}\" maximum=\"{}\"", bpm - 20.0, bpm + 20.0);
            statistic("HeartRate", values, "count/min");
        }
        if r.has_track() {
            let name = format!("route_{index}.gpx");
            let seen: Vec<_> = r.samples.iter().filter(|s| s.lat_e7.is_some()).copied().collect();
            let file = device::gpx_file(&workout(r), "running", &seen);
            pack.add(&format!("apple_health_export/workout-routes/{name}"), file.as_bytes());
            writeln!(
                document,
                "  <WorkoutRoute sourceName=\"{app}\" startDate=\"{from}\" endDate=\"{to}\">\n   <FileReference path=\"/workout-routes/{name}\"/>\n  </WorkoutRoute>"
            )
            .expect("memory");
        }
        document.push_str(" </Workout>\n");
        keys.push(format!("{}/{}", time(r.start_s), time(r.end_s())));
    }
    document.push_str("</HealthData>\n");
    pack.add("apple_health_export/export.xml", document.as_bytes());
    (vec![("export.zip".to_string(), pack.finish())], keys)
}
