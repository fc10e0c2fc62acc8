//! Real bodies, served by the emulator and taken through the whole job.

use std::collections::HashMap;

use longrun::model::activity::Activity;
use longrun::model::columns::TableRow;
use longrun::testing::emulator::{Config, Recorded};
use serde_json::Value;

use crate::support::{Row, WIDE, World, fixtures, rows};

/// Fields of a body and the columns that keep them.
const COLUMNS: [(&str, &str); 41] = [
    ("external_id", "external_id"),
    ("name", "title"),
    ("description", "description"),
    ("elapsed_time", "elapsed_s"),
    ("moving_time", "moving_s"),
    ("distance", "distance_m"),
    ("total_elevation_gain", "elevation_gain_m"),
    ("elev_low", "elevation_low_m"),
    ("elev_high", "elevation_high_m"),
    ("average_speed", "avg_speed_mps"),
    ("max_speed", "max_speed_mps"),
    ("average_heartrate", "avg_heart_rate_bpm"),
    ("max_heartrate", "max_heart_rate_bpm"),
    ("average_cadence", "avg_cadence_rpm"),
    ("average_watts", "avg_power_w"),
    ("max_watts", "max_power_w"),
    ("weighted_average_watts", "weighted_power_w"),
    ("kilojoules", "work_kj"),
    ("device_watts", "device_watts"),
    ("calories", "calories_kcal"),
    ("average_temp", "temperature_c"),
    ("utc_offset", "utc_offset_s"),
    ("device_name", "device_name"),
    ("gear_id", "gear_id"),
    ("trainer", "trainer"),
    ("commute", "commute"),
    ("manual", "manual"),
    ("private", "private"),
    ("visibility", "visibility"),
    ("flagged", "flagged"),
    ("suffer_score", "suffer_score"),
    ("perceived_exertion", "perceived_exertion"),
    ("workout_type", "workout_type"),
    ("kudos_count", "kudos_count"),
    ("achievement_count", "achievement_count"),
    ("comment_count", "comment_count"),
    ("athlete_count", "athlete_count"),
    ("total_photo_count", "photo_count"),
    ("pr_count", "pr_count"),
    ("sport_type", "sport_raw"),
    ("upload_id_str", "upload_id"),
];

/// Fields that other columns tell, and that are looked at by themselves below.
const TOLD_OTHERWISE: [&str; 19] = [
    "id",
    "athlete",
    "resource_state",
    "map",
    "upload_id",
    "type",
    "timezone",
    "start_date",
    "start_date_local",
    "start_latlng",
    "end_latlng",
    "start_latitude",
    "start_longitude",
    "laps",
    "splits_metric",
    "splits_standard",
    "segment_efforts",
    "best_efforts",
    "guid",
];

fn has_value(value: &Value) -> bool {
    !value.is_null() && value != "" && value != &Value::Array(Vec::new())
}

fn assert_same(file: &str, field: &str, value: &Value, row: &Row, column: &str) {
    let Some(kept) = row.get(column) else { panic!("{file}: {field} is lost: {value}") };
    let is_same = match value {
        Value::Number(n) => n.as_f64() == kept.parse().ok(),
        Value::String(text) => text == kept,
        Value::Bool(flag) => kept.parse() == Ok(*flag),
        other => panic!("{file}: {field} is {other}"),
    };
    assert!(is_same, "{file}: {field} is {value}, {column} is {kept}");
}

fn assert_nothing_lost(file: &str, body: &Value, row: &Row) {
    let columns: HashMap<&str, &str> = COLUMNS.into_iter().collect();
    let extra: Value = row.get("extra").map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
    for (field, value) in body.as_object().unwrap().iter().filter(|(_, value)| has_value(value)) {
        if let Some(column) = columns.get(field.as_str()) {
            // A 0 is no value where the column says so.
            let is_nothing = Activity::COLUMNS.iter().any(|c| c.name == *column && c.zero_is_absent);
            if is_nothing && value.as_f64() == Some(0.0) {
                assert_eq!(row.get(*column), None, "{file}: {field}");
                continue;
            }
            assert_same(file, field, value, row, column);
        } else if !TOLD_OTHERWISE.contains(&field.as_str()) || field == "guid" {
            assert_eq!(&extra[field], value, "{file}: {field}");
        }
    }
    let start: jiff::Timestamp = body["start_date"].as_str().unwrap().parse().unwrap();
    assert!(row["start_time"].starts_with(&start.strftime("%Y-%m-%dT%H:%M:%S").to_string()), "{file}");
    if body.get("sport_type").is_none() {
        assert_same(file, "type", &body["type"], row, "sport_raw");
    }
    if has_value(&body["timezone"]) {
        assert!(body["timezone"].as_str().unwrap().ends_with(&row["timezone"]), "{file}");
    }
    for (field, columns) in
        [("start_latlng", ["start_lat_deg", "start_lon_deg"]), ("end_latlng", ["end_lat_deg", "end_lon_deg"])]
    {
        if has_value(&body[field]) {
            for (at, column) in columns.iter().enumerate() {
                assert_same(file, field, &body[field][at], row, column);
            }
        }
    }
    let line =
        ["polyline", "summary_polyline"].iter().map(|key| &body["map"][key]).find(|line| has_value(line));
    assert_eq!(row.contains_key("track_lat_e5"), line.is_some(), "{file}: map");
    for nested in ["laps", "splits_metric", "splits_standard", "segment_efforts", "best_efforts"] {
        let Some(expected) = body[nested].as_array().filter(|list| !list.is_empty()) else { continue };
        // Every element is a struct, printed with the name of its first field.
        let first = format!(
            "{{{}: ",
            match nested {
                "laps" => "lap_id",
                "splits_metric" | "splits_standard" => "split",
                _ => "effort_id",
            }
        );
        assert_eq!(row[nested].matches(&first).count(), expected.len(), "{file}: {nested}");
    }
}

#[test]
fn every_recorded_body_comes_through_the_job_without_losing_a_field() {
    let Some(folder) = fixtures("strava_api") else { return };
    let recorded = Recorded::open(&folder).unwrap();
    let world = World::new(Config { limits: WIDE, ..Config::default() }, Box::new(recorded));
    world.fetch(&["--depth", "streams"]).expect(0);
    let normalized = world.run(&["normalize", "--json"]).expect(0).json();
    assert_eq!(normalized["rejects"], 0);
    let stats = world.run(&["stats", "--told"]).expect(0).stdout;
    assert!(stats.contains("2013") && stats.contains("hike"), "{stats}");

    let activities = rows(&world.lake_folder(), "activities");
    let mut compared = 0;
    for row in &activities {
        let file = row["user_id"].replacen('-', "/", 1);
        let path = [&file, &row["user_id"]].map(|name| folder.join(format!("{name}.json")));
        let path = path.iter().find(|path| path.exists()).unwrap();
        // As text first: ids are longer than serde_json's numbers.
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(&row["source_id"]), "{file}");
        let body: Value = serde_json::from_str(&text).unwrap();
        let bodies = match body {
            Value::Array(list) => list,
            one => vec![one],
        };
        let same = |body: &&Value| body["id"].as_u64() == row["source_id"].parse().ok();
        assert_nothing_lost(&file, bodies.iter().find(same).unwrap(), row);
        compared += 1;
    }
    println!("{compared} recorded bodies compared");
    assert!(compared >= 10, "{compared}");

    // The documented example has an upload id beyond 64 bits.
    assert!(
        activities.iter().any(|row| row.get("upload_id").is_some_and(|id| id == "987654321234567891234"))
    );
    let streams = rows(&world.lake_folder(), "streams");
    let mut samples: Vec<usize> = streams.iter().map(|row| row["samples"].parse().unwrap()).collect();
    samples.sort_unstable();
    assert!(samples.len() >= 2 && samples.last() == Some(&13_129), "{samples:?}");
}

#[test]
fn real_polylines_decode_as_others_decode_them() {
    use longrun::model::polyline;
    let Some(folder) = fixtures("polyline") else { return };
    let vectors: Value =
        serde_json::from_slice(&std::fs::read(folder.join("vectors.json")).unwrap()).unwrap();
    let mut compared = 0;
    for vector in vectors.as_array().unwrap() {
        // Points as numbers are compared for precision 5; the format is the same for all, and
        // where the points are on this globe at 5, encoding gives the text back.
        let Some(text) = vector["encoded"].as_str() else { continue };
        let Ok(track) = polyline::decode(text.as_bytes()) else { continue };
        assert_eq!(polyline::encode(&track), text);
        if let (Some(5), Some(points)) = (vector["precision"].as_u64(), vector["latlng"].as_array()) {
            let e5 = |at: usize| {
                points.iter().map(|p| (p[at].as_f64().unwrap() * 1e5).round() as i32).collect::<Vec<_>>()
            };
            assert_eq!((track.lat_e5, track.lon_e5), (e5(0), e5(1)), "{text}");
        }
        compared += 1;
    }
    println!("{compared} vectors compared");
    assert!(compared >= 5, "{compared}");
}
