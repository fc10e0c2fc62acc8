//! Health Connect's export: a SQLite database, alone or in a zip.
//!
//! Sessions have tables of their own; distance, energy and heart rate lie in others, and know
//! nothing of them: they are joined by time and by the app that wrote them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row};

use super::formats::recording::{HEART_RATES_BPM, Recording, Sample};
use super::formats::series::{Rate, Span, Windows, add_heart_rates, sum_of_spans};
use super::formats::zip::{ArchiveEntry, Container};
use super::{ArchiveItem, Fault, OnItem, Parsed, Ranks, ReadFrom, Spec, degrees_e7};
use crate::error::Result;
use crate::model::activity::{Activity, ExerciseSet, Lap};

/// What is true of this source.
pub const SPEC: Spec = Spec {
    name: "health-connect",
    help: "The SQLite export",
    fitglue: "SOURCE_HEALTH_CONNECT",
    ranks: Ranks { written: 60, measured: 50, sets: 60, sent: 50 },
    can_echo: false,
    gathers: true,
    app_key: Some("package_name"),
    only_sport: None,
    recognises,
    read,
};

/// Names of `android.health.connect.datatypes.ExerciseSessionType` and `ExerciseSegmentType`, by number.
static NAMES: LazyLock<HashMap<(&'static str, i64), &'static str>> = LazyLock::new(|| {
    let lines = include_str!("../../data/health_connect.csv").lines().skip(1);
    let cells = |line: &'static str| {
        let mut cells = line.split(',');
        let mut next = || cells.next().expect("the table has three columns");
        let (kind, number, name) = (next(), next(), next());
        ((kind, number.parse().expect("the second column is a number")), name)
    };
    lines.map(cells).collect()
});

/// The name of a number; one without a name is the name.
fn name_of(kind: &'static str, number: i64) -> String {
    NAMES.get(&(kind, number)).map_or_else(|| number.to_string(), |name| (*name).to_string())
}

/// The number of an exercise type.
pub fn exercise_number(name: &str) -> Option<usize> {
    let known = NAMES.iter().find(|((kind, _), known)| *kind == "session" && **known == name);
    known.and_then(|((_, number), _)| usize::try_from(*number).ok())
}

const SESSIONS: &str = "exercise_session_record_table";

pub fn recognises(archive: &Container) -> bool {
    archive.entries().iter().any(|entry| is_database(archive, entry))
}

fn is_database(archive: &Container, entry: &ArchiveEntry) -> bool {
    let name = entry.file_name().to_lowercase();
    let is_named_so = name.ends_with(".db") || name.ends_with(".sqlite") || archive.entries().len() == 1;
    let has_sessions = |head: &[u8]| head.windows(SESSIONS.len()).any(|w| w == SESSIONS.as_bytes());
    is_named_so
        && archive.head(entry, 16).starts_with(b"SQLite format 3\0")
        && (name.contains("health_connect") || has_sessions(&archive.head(entry, 4 << 20)))
}

pub fn read(archive: &Container, from: &ReadFrom, each: OnItem<'_>) -> Result<()> {
    for entry in archive.entries().iter().filter(|entry| is_database(archive, entry)) {
        let at = format!("!{}", entry.name);
        let read = archive.with_path(entry, |path| {
            sessions(path, from, &at)
                .map_err(|e| Fault::record(format!("not a sound export of Health Connect: {e}")))
        });
        match read? {
            Ok(items) => items.into_iter().try_for_each(&mut *each)?,
            Err(fault) => each(ArchiveItem::fault("file", at, fault))?,
        }
    }
    Ok(())
}

struct Session {
    row_id: i64,
    app: Option<i64>,
    activity: std::result::Result<Activity, Fault>,
    end_ms: i64,
    distance_m: Option<f64>,
    total_kcal: Option<f64>,
    active_kcal: Option<f64>,
    steps: Option<f64>,
    climb_m: Option<f64>,
    speeds: Vec<Reading>,
    powers: Vec<Reading>,
    cadences: Vec<Reading>,
    sets: Vec<ExerciseSet>,
    rates: Vec<Rate>,
    route: Vec<Sample>,
    laps: Vec<Lap>,
}

/// A database as the export wrote it; nothing in it is run.
struct Export {
    db: Connection,
    columns: HashMap<String, Vec<String>>,
}

impl Export {
    fn open(path: &Path) -> rusqlite::Result<Export> {
        // Nobody writes to it, and no files may appear beside it.
        let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let db = Connection::open_with_flags(
            format!("file:{escaped}?immutable=1"),
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        db.pragma_update(None, "trusted_schema", false)?;
        db.pragma_update(None, "cell_size_check", true)?;
        let mut export = Export { db, columns: HashMap::new() };
        let mut names = Vec::new();
        {
            let mut statement = export.db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                names.push(row.get::<_, String>(0)?);
            }
        }
        for name in names {
            let mut statement = export.db.prepare("SELECT name FROM pragma_table_info(?1)")?;
            let columns = statement.query_map([&name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            drop(statement);
            export.columns.insert(name, columns);
        }
        Ok(export)
    }

    /// Rows of a table with these columns; a column that is not there is null. No table, no rows.
    fn each(
        &self,
        table: &str,
        columns: &[&str],
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let Some(known) = self.columns.get(table) else { return Ok(()) };
        let wanted: Vec<String> = columns
            .iter()
            .map(
                |name| {
                    if known.iter().any(|k| k == name) { format!("\"{name}\"") } else { "NULL".to_string() }
                },
            )
            .collect();
        let mut statement =
            self.db.prepare(&format!("SELECT {} FROM \"{table}\" ORDER BY rowid", wanted.join(",")))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }
}

fn number(row: &Row<'_>, column: usize) -> Option<f64> {
    use rusqlite::types::ValueRef;
    match row.get_ref(column).ok()? {
        ValueRef::Integer(n) => Some(n as f64),
        // The smallest double says that nothing was recorded.
        ValueRef::Real(n) => Some(n).filter(|n| n.is_finite() && *n != 5e-324),
        _ => None,
    }
}

fn whole(row: &Row<'_>, column: usize) -> Option<i64> {
    number(row, column).map(|n| n as i64)
}

fn words(row: &Row<'_>, column: usize) -> Option<String> {
    let text = row.get_ref(column).ok()?.as_bytes().ok()?;
    Some(String::from_utf8_lossy(text).into_owned()).filter(|text| !text.is_empty())
}

fn sessions(path: &Path, from: &ReadFrom, at: &str) -> rusqlite::Result<Vec<ArchiveItem>> {
    let export = Export::open(path)?;
    let mut apps = HashMap::new();
    export.each("application_info_table", &["row_id", "package_name"], |row| {
        apps.extend(whole(row, 0).zip(words(row, 1)));
        Ok(())
    })?;
    let mut devices = HashMap::new();
    export.each("device_info_table", &["row_id", "manufacturer", "model"], |row| {
        let name = [words(row, 1), words(row, 2)].into_iter().flatten().collect::<Vec<_>>().join(" ");
        devices.extend(whole(row, 0).map(|id| (id, name)));
        Ok(())
    })?;
    let mut found: Vec<Session> = Vec::new();
    let columns = [
        "row_id",
        "uuid",
        "start_time",
        "start_zone_offset",
        "end_time",
        "exercise_type",
        "title",
        "notes",
        "app_info_id",
        "device_info_id",
        "client_record_id",
        "recording_method",
    ];
    export.each(SESSIONS, &columns, |row| {
        let row_id = whole(row, 0).unwrap_or(found.len() as i64);
        let (activity, end_ms) = session(row, &apps, &devices);
        found.push(Session {
            row_id,
            app: whole(row, 8),
            activity,
            end_ms,
            distance_m: None,
            total_kcal: None,
            active_kcal: None,
            steps: None,
            climb_m: None,
            speeds: Vec::new(),
            powers: Vec::new(),
            cadences: Vec::new(),
            sets: Vec::new(),
            rates: Vec::new(),
            route: Vec::new(),
            laps: Vec::new(),
        });
        Ok(())
    })?;
    join(&export, &mut found)?;
    let items = found.into_iter().map(|session| {
        let at = format!("{at}#{}", session.row_id);
        let taken = session.activity.map(|mut a| {
            a.distance_m = session.distance_m;
            a.calories_kcal = session.total_kcal.or(session.active_kcal);
            a.elevation_gain_m = session.climb_m;
            (a.avg_speed_mps, a.max_speed_mps) = average_and_maximum(&session.speeds);
            (a.avg_power_w, a.max_power_w) = average_and_maximum(&session.powers);
            (a.avg_cadence_rpm, a.max_cadence_rpm) = average_and_maximum(&session.cadences);
            if !session.sets.is_empty() {
                a.exercise_sets = Some(session.sets);
            }
            if !session.laps.is_empty() {
                a.laps = Some(session.laps);
            }
            if let Some(steps) = session.steps {
                let mut extra: serde_json::Map<String, serde_json::Value> =
                    a.extra.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
                extra.insert("steps".to_string(), steps.into());
                a.extra = Some(serde_json::Value::Object(extra).to_string());
            }
            let mut samples = session.route;
            samples.sort_by_key(|sample| sample.time_ms);
            add_heart_rates(&mut samples, &session.rates);
            add_readings(&mut samples, &session.speeds, |sample, mps| sample.speed_mps = Some(mps));
            add_readings(&mut samples, &session.powers, |sample, w| sample.power_w = Some(w.round() as i32));
            add_readings(&mut samples, &session.cadences, |sample, rpm| {
                sample.cadence_rpm = Some(rpm.round() as i32);
            });
            let (activity, streams) = Recording::new(from.adopt(a, &at), samples).finish();
            let streams = streams.map(|streams| from.streams(streams, &activity));
            Parsed::new(activity, streams, Vec::new())
        });
        ArchiveItem::of("record", at, taken)
    });
    Ok(items.collect())
}

fn session(
    row: &Row<'_>,
    apps: &HashMap<i64, String>,
    devices: &HashMap<i64, String>,
) -> (std::result::Result<Activity, Fault>, i64) {
    let id = match row.get_ref(1).ok().and_then(|v| v.as_blob().ok()) {
        Some(blob) if !blob.is_empty() => Some(crate::model::hex(blob)),
        _ => words(row, 1).or_else(|| whole(row, 0).map(|id| format!("row-{id}"))),
    };
    let missing = |field: &str| Fault::field(field, "missing or no number").of(id.as_deref());
    let (start_ms, end_ms) = (whole(row, 2), whole(row, 4));
    let read = || {
        let start_ms = start_ms.ok_or_else(|| missing("start_time"))?;
        let start = Timestamp::from_millisecond(start_ms).map_err(|_| missing("start_time"))?;
        let mut extra = serde_json::Map::new();
        if let Some(app) = whole(row, 8).and_then(|app| apps.get(&app)) {
            extra.insert("package_name".to_string(), app.as_str().into());
        }
        Ok(Activity {
            source_id: id.clone().ok_or_else(|| missing("uuid"))?,
            start_time: start,
            utc_offset_s: whole(row, 3).and_then(|s| i32::try_from(s).ok()),
            elapsed_s: end_ms.map(|end| end.saturating_sub(start_ms) as f64 / 1000.0),
            sport_raw: whole(row, 5).map(|number| name_of("session", number)),
            // 1 and 2 say that a device recorded it, 3 that a person typed it in.
            manual: whole(row, 11).filter(|method| (1..=3).contains(method)).map(|method| method == 3),
            title: words(row, 6),
            description: words(row, 7),
            device_name: whole(row, 9)
                .and_then(|id| devices.get(&id).cloned())
                .filter(|name| !name.is_empty()),
            external_id: words(row, 10),
            extra: (!extra.is_empty()).then(|| serde_json::Value::Object(extra).to_string()),
            ..Activity::default()
        })
    };
    (read(), end_ms.unwrap_or(0))
}

/// A value of a series, and its unix milliseconds.
type Reading = (i64, f64);

fn average_and_maximum(readings: &[Reading]) -> (Option<f64>, Option<f64>) {
    let values = || readings.iter().map(|(_, value)| *value);
    let average = (!readings.is_empty()).then(|| values().sum::<f64>() / readings.len() as f64);
    (average, values().reduce(f64::max))
}

/// Puts values into the samples of their seconds, or into samples of their own.
fn add_readings(samples: &mut Vec<Sample>, readings: &[Reading], set: impl Fn(&mut Sample, f64)) {
    let second = |time_ms: i64| time_ms.div_euclid(1000);
    let by_second: HashMap<i64, usize> =
        samples.iter().enumerate().map(|(at, sample)| (second(sample.time_ms), at)).collect();
    for (time_ms, value) in readings {
        match by_second.get(&second(*time_ms)) {
            Some(at) => set(&mut samples[*at], *value),
            None => {
                let mut sample = Sample { time_ms: *time_ms, ..Sample::default() };
                set(&mut sample, *value);
                samples.push(sample);
            }
        }
    }
    samples.sort_by_key(|sample| sample.time_ms);
}

/// Gives the sessions what other tables tell of their time.
fn join(export: &Export, found: &mut [Session]) -> rusqlite::Result<()> {
    let nobody = Activity::default();
    let windows = Windows::of(found.iter().map(|s| s.activity.as_ref().unwrap_or(&nobody)));
    let apps: Vec<Option<i64>> = found.iter().map(|s| s.app).collect();
    let ends: Vec<i64> = found.iter().map(|s| s.end_ms).collect();
    type Slot = fn(&mut Session) -> &mut Option<f64>;
    let sums: [(&str, &str, f64, Slot); 5] = [
        ("distance_record_table", "distance", 1.0, |s| &mut s.distance_m),
        // Calories, a thousandth of what people call so.
        ("total_calories_burned_record_table", "energy", 1e-3, |s| &mut s.total_kcal),
        ("active_calories_burned_record_table", "energy", 1e-3, |s| &mut s.active_kcal),
        ("steps_record_table", "count", 1.0, |s| &mut s.steps),
        ("elevation_gained_record_table", "elevation", 1.0, |s| &mut s.climb_m),
    ];
    for (table, column, scale, slot) in sums {
        let mut spans: Vec<Vec<Span>> = vec![Vec::new(); found.len()];
        export.each(table, &["start_time", "end_time", "app_info_id", column], |row| {
            let (Some(start), Some(end), Some(value)) = (whole(row, 0), whole(row, 1), number(row, 3)) else {
                return Ok(());
            };
            // Only what lies within: an hour's steps around a run are not the run's.
            for (begin, _, at) in windows.within(start, end) {
                if start >= begin && end <= ends[at] && apps[at] == whole(row, 2) {
                    spans[at].push((start, end, value * scale));
                }
            }
            Ok(())
        })?;
        found.iter_mut().zip(spans).for_each(|(session, spans)| *slot(session) = sum_of_spans(spans));
    }
    let mut of_app = HashMap::new();
    export.each("heart_rate_record_table", &["row_id", "app_info_id"], |row| {
        of_app.extend(whole(row, 0).zip(whole(row, 1)));
        Ok(())
    })?;
    export.each(
        "heart_rate_record_series_table",
        &["parent_key", "beats_per_minute", "epoch_millis"],
        |row| {
            let (Some(bpm), Some(time_ms)) = (whole(row, 1), whole(row, 2)) else { return Ok(()) };
            let app = whole(row, 0).and_then(|parent| of_app.get(&parent).copied());
            let Some(bpm) = i32::try_from(bpm).ok().filter(|bpm| HEART_RATES_BPM.contains(bpm)) else {
                return Ok(());
            };
            for at in windows.at(time_ms).filter(|at| apps[*at] == app) {
                found[at].rates.push((time_ms, bpm));
            }
            Ok(())
        },
    )?;
    type Series = fn(&mut Session) -> &mut Vec<Reading>;
    // Of each series the table that says which app wrote it, the table of its values, and their column.
    let series: [(&str, &str, &str, f64, Series); 3] = [
        ("SpeedRecordTable", "speed_record_table", "speed", 100.0, |s| &mut s.speeds),
        ("PowerRecordTable", "power_record_table", "power", 10_000.0, |s| &mut s.powers),
        (
            "CyclingPedalingCadenceRecordTable",
            "cycling_pedaling_cadence_record_table",
            "revolutions_per_minute",
            1_000.0,
            |s| &mut s.cadences,
        ),
    ];
    for (parents, table, column, most, slot) in series {
        let mut of_app = HashMap::new();
        export.each(parents, &["row_id", "app_info_id"], |row| {
            of_app.extend(whole(row, 0).zip(whole(row, 1)));
            Ok(())
        })?;
        export.each(table, &["parent_key", column, "epoch_millis"], |row| {
            let app = whole(row, 0).and_then(|parent| of_app.get(&parent).copied());
            let value = number(row, 1).filter(|value| (0.0..=most).contains(value));
            if let (Some(value), Some(time_ms)) = (value, whole(row, 2)) {
                for at in windows.at(time_ms).filter(|at| apps[*at] == app) {
                    slot(&mut found[at]).push((time_ms, value));
                }
            }
            Ok(())
        })?;
    }
    let by_row: HashMap<i64, usize> = found.iter().enumerate().map(|(at, s)| (s.row_id, at)).collect();
    let columns = ["parent_key", "timestamp_millis", "latitude", "longitude", "altitude"];
    export.each("exercise_route_table", &columns, |row| {
        let at = whole(row, 0).and_then(|parent| by_row.get(&parent).copied());
        let (Some(at), Some(time_ms)) = (at, whole(row, 1)) else { return Ok(()) };
        let lat_e7 = number(row, 2).and_then(|d| degrees_e7(d, 90.0));
        let lon_e7 = number(row, 3).and_then(|d| degrees_e7(d, 180.0));
        if lat_e7.is_some() && lon_e7.is_some() {
            let altitude_m = number(row, 4);
            found[at].route.push(Sample { time_ms, lat_e7, lon_e7, altitude_m, ..Sample::default() });
        }
        Ok(())
    })?;
    let columns = [
        "parent_key",
        "segment_type",
        "segment_start_time",
        "segment_end_time",
        "repetitions_count",
        "weight_grams",
        "set_index",
        "rate_of_perceived_exertion",
    ];
    export.each("exercise_segments_table", &columns, |row| {
        let at = whole(row, 0).and_then(|parent| by_row.get(&parent).copied());
        let reps = whole(row, 4).and_then(|n| i32::try_from(n).ok()).filter(|reps| *reps > 0);
        // Segments without repetitions are rests, or stretches of a run.
        let (Some(at), Some(kind), Some(reps)) = (at, whole(row, 1), reps) else { return Ok(()) };
        let sets = &mut found[at].sets;
        let exercise_name = Some(name_of("segment", kind));
        let exercise_index = sets.last().map_or(0, |last: &ExerciseSet| {
            let is_next = i32::from(last.exercise_name != exercise_name);
            last.exercise_index.unwrap_or(0) + is_next
        });
        sets.push(ExerciseSet {
            exercise_name,
            exercise_index: Some(exercise_index),
            set_index: whole(row, 6).and_then(|n| i32::try_from(n).ok()),
            reps: Some(reps),
            weight_kg: number(row, 5).filter(|grams| *grams > 0.0).map(|grams| grams / 1000.0),
            duration_s: whole(row, 2)
                .zip(whole(row, 3))
                .map(|(from, to)| to.saturating_sub(from) as f64 / 1000.0),
            perceived_exertion: number(row, 7),
            ..ExerciseSet::default()
        });
        Ok(())
    })?;
    export.each(
        "exercise_laps_table",
        &["parent_key", "lap_start_time", "lap_end_time", "lap_length"],
        |row| {
            let at = whole(row, 0).and_then(|parent| by_row.get(&parent).copied());
            let (Some(at), Some(start), Some(end)) = (at, whole(row, 1), whole(row, 2)) else {
                return Ok(());
            };
            let laps = &mut found[at].laps;
            laps.push(Lap {
                lap_index: i32::try_from(laps.len() + 1).ok(),
                start_time: Timestamp::from_millisecond(start).ok(),
                elapsed_s: Some(end.saturating_sub(start) as f64 / 1000.0),
                distance_m: number(row, 3),
                ..Lap::default()
            });
            Ok(())
        },
    )
}
