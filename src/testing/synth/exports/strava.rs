//! Strava's account export, in two languages and with its oddities: ids that are not the names of
//! files, times in UTC, spaces before XML, and headers that nobody agrees on.

use std::fmt::Write;

use super::{Exported, Pack, device, gzip};
use crate::testing::synth::records::Record;
use crate::testing::synth::{Person, Recording};

/// The columns up to 2024, without the last one.
pub const ENGLISH: &str = "Activity ID,Activity Date,Activity Name,Activity Type,Activity Description,Elapsed Time,Distance,\
Max Heart Rate,Relative Effort,Commute,Activity Private Note,Activity Gear,Filename,Athlete Weight,Bike Weight,\
Elapsed Time,Moving Time,Distance,Max Speed,Average Speed,Elevation Gain,Elevation Loss,Elevation Low,Elevation High,\
Max Grade,Average Grade,Average Positive Grade,Average Negative Grade,Max Cadence,Average Cadence,Max Heart Rate,\
Average Heart Rate,Max Watts,Average Watts,Calories";
/// The first of them in German; the others count by their places.
const GERMAN: &str = "Aktivitäts-ID,Aktivitätsdatum,Name der Aktivität,Aktivitätsart,Aktivitätsbeschreibung,\
Verstrichene Zeit,Distanz,Max. Herzfrequenz,Relative Leistung,Pendeln,Privat,Ausrüstung,Dateiname";
pub const COLUMNS: usize = 94;

pub fn export(person: &Person, own: &[&Record]) -> Exported {
    let is_german = person.home.zone == "Europe/Berlin";
    let named = if is_german { GERMAN } else { ENGLISH };
    let mut table = named.to_string();
    for column in named.split(',').count()..COLUMNS - 1 {
        if is_german { write!(table, ",Spalte {column}") } else { write!(table, ",Weather {column}") }
            .expect("memory");
    }
    table.push_str(if is_german { ",Medien\n" } else { ",Media\n" });
    let mut pack = Pack::new();
    let mut ids = Vec::new();
    for record in own {
        let w = &record.workout;
        let mut samples = Vec::new();
        let mut file = String::new();
        if w.recording != Recording::Manual {
            samples = record.samples(person.home);
            // Uploads have a number of their own; recordings of the app that of the activity.
            let upload = w.id + 1_083_000_000;
            let (name, bytes) = match w.seed % 4 {
                0 => (format!("activities/{}.gpx", w.id), device::gpx(record, &samples).into_bytes()),
                1 => {
                    let spaced = format!("          {}", device::tcx(record, &samples));
                    (format!("activities/{upload}.tcx.gz"), gzip(spaced.as_bytes()))
                }
                _ => (
                    format!("activities/{upload}.fit.gz"),
                    gzip(&device::fit(record, &samples, device::Device::WATCH)),
                ),
            };
            pack.add(&format!("export_{}/{name}", person.athlete_id), &bytes);
            file = name;
        }
        table.push_str(&row(record, &file, is_german));
        ids.push((w.id.to_string(), samples.len()));
    }
    let folder = format!("export_{}", person.athlete_id);
    pack.add(&format!("{folder}/activities.csv"), table.as_bytes());
    pack.add(&format!("{folder}/bikes.csv"), b"Bike Name,Bike Brand,Bike Model,Bike Default Sport Types\n");
    (pack.finish(), ids)
}

pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn row(record: &Record, file: &str, is_german: bool) -> String {
    let w = &record.workout;
    let format = if is_german { "%d.%m.%Y, %H:%M:%S" } else { "%b %-d, %Y, %-I:%M:%S %p" };
    let date = w.start.strftime(format).to_string();
    // For show: kilometres, with the mark of the language.
    let shown = format!("{:.2}", w.distance_m / 1000.0);
    let shown = if is_german { quoted(&shown.replace('.', ",")) } else { shown };
    // A float of 32 bits, written as one of 64, as the table has them.
    let raw = |value: f64| format!("{:?}", f64::from(value as f32));
    let mut cells = vec![String::new(); COLUMNS];
    cells[0] = w.id.to_string();
    cells[1] = quoted(&date);
    cells[2] = quoted(&w.title);
    cells[3] = w.sport.to_string();
    cells[4] =
        if w.seed % 3 == 0 { quoted("Felt good.\nSecond line, \"quoted\"") } else { "\"\"".to_string() };
    cells[5] = w.elapsed_s.to_string();
    cells[6] = shown;
    cells[9] = "false".to_string();
    cells[12] = file.to_string();
    cells[15] = raw(f64::from(w.elapsed_s));
    cells[16] = raw(f64::from(w.moving_s));
    cells[17] = raw(w.distance_m);
    cells[20] = raw(w.elevation_gain_m);
    cells[21] = raw(w.elevation_gain_m);
    cells[34] = raw(f64::from(w.moving_s) * 0.17);
    cells[50] = "0.0".to_string();
    format!("{}\n", cells.join(","))
}
