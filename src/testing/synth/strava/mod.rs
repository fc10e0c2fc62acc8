//! Workouts as Strava tells them: list entries, whole activities and streams, with the
//! quirks that real bodies have.

mod object;
mod streams;

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

pub use streams::streams;

use object::Object;

use super::exports::serial_of;
use super::{Home, Person, Recording, Workout};
use crate::model::polyline;

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// The deprecated `type` of a `sport_type`.
fn old_type(sport: &str) -> &str {
    match sport {
        "TrailRun" => "Run",
        "MountainBikeRide" | "GravelRide" => "Ride",
        "EMountainBikeRide" => "EBikeRide",
        "VirtualRow" => "Rowing",
        "Badminton"
        | "Basketball"
        | "Cricket"
        | "Dance"
        | "HighIntensityIntervalTraining"
        | "Padel"
        | "PhysicalTherapy"
        | "Pickleball"
        | "Pilates"
        | "Racquetball"
        | "Squash"
        | "TableTennis"
        | "Tennis"
        | "Volleyball" => "Workout",
        other => other,
    }
}

/// `(GMT-05:00) America/New_York`: the zone behind its *standard* offset.
fn timezone(home: Home, workout: &Workout) -> String {
    let zone = TimeZone::get(home.zone).expect("the zone is bundled");
    let year = zone.to_datetime(workout.start).year();
    let offset = |month: i8| {
        let date = jiff::civil::date(year, month, 1);
        date.to_zoned(zone.clone()).map_or(Offset::UTC, |z| z.offset())
    };
    let standard = offset(1).min(offset(7)).seconds();
    let (sign, minutes) = (if standard < 0 { '-' } else { '+' }, standard.abs() / 60);
    // Old phones name the abbreviation.
    let name = if workout.seed % 97 == 0 && home.zone == "America/New_York" { "EST" } else { home.zone };
    format!("(GMT{sign}{:02}:{:02}) {name}", minutes / 60, minutes % 60)
}

fn local(workout: &Workout) -> Timestamp {
    workout.start + SignedDuration::from_secs(i64::from(workout.utc_offset_s))
}

/// An entry of `GET /athlete/activities`.
pub fn summary(person: &Person, workout: &Workout) -> String {
    fields(person, workout, 2).end()
}

/// The body of `GET /activities/{id}`.
/// A page of the list.
pub fn page<'a>(person: &Person, workouts: impl IntoIterator<Item = &'a Workout>) -> String {
    let entries: Vec<String> = workouts.into_iter().map(|workout| summary(person, workout)).collect();
    format!("[{}]", entries.join(","))
}

pub fn detail(person: &Person, workout: &Workout) -> String {
    let mut o = fields(person, workout, 3);
    let w = workout;
    match w.seed % 3 {
        0 => o.text(
            "description",
            &format!("Felt good.\nSecond line, \"quoted\" & <b>bold</b> {}", w.seed % 1000),
        ),
        1 => o.null("description"),
        _ => o.text("description", ""),
    };
    o.float("calories", round(f64::from(w.moving_s) * 0.17, 1));
    if w.recording != Recording::Manual {
        o.text("device_name", device(w));
        o.text("embed_token", &format!("{:016x}", w.seed));
        o.raw("laps", format_args!("[{}]", laps(person, w)));
        if w.sport.ends_with("Run") {
            o.raw("splits_metric", format_args!("[{}]", splits(w, 1000.0)));
            o.raw("splits_standard", format_args!("[{}]", splits(w, 1609.344)));
            o.raw("best_efforts", format_args!("[{}]", effort(person, w, "1k", None)));
        }
        let on_segment = w.has_track() && w.seed % 4 == 0;
        let effort = on_segment.then(|| effort(person, w, "Bridge sprint", Some(229_781)));
        o.raw("segment_efforts", format_args!("[{}]", effort.unwrap_or_default()));
    }
    o.raw("photos", r#"{"primary":null,"count":0}"#);
    o.raw("stats_visibility", r#"[{"type":"heart_rate","visibility":"everyone"}]"#);
    o.raw("hide_from_home", false);
    if w.seed % 5 == 0 {
        o.raw("perceived_exertion", w.seed % 10 + 1);
    }
    o.end()
}

fn fields(person: &Person, w: &Workout, resource_state: u8) -> Object {
    let mut o = Object::new();
    let old = w.is_old_shape;
    o.raw("resource_state", resource_state);
    o.raw("athlete", format_args!("{{\"id\":{},\"resource_state\":1}}", person.athlete_id));
    o.text("name", &w.title);
    if w.distance_m == 0.0 && old {
        o.raw("distance", 0)
    } else {
        o.float("distance", w.distance_m)
    };
    o.raw("moving_time", w.moving_s).raw("elapsed_time", w.elapsed_s);
    // Whole numbers where others have fractions: readers must take both.
    if w.elevation_gain_m == 0.0 {
        o.raw("total_elevation_gain", 0);
    } else {
        o.float("total_elevation_gain", w.elevation_gain_m);
    }
    o.text("type", old_type(w.sport));
    // Recordings from before mid-2022 have only the older name, which must then tell it all.
    if !(old && old_type(w.sport) == w.sport) {
        o.text("sport_type", w.sport);
    }
    match w.seed % 10 {
        0..=3 => {}
        4 => drop(o.null("workout_type")),
        5 => drop(o.raw("workout_type", if w.sport.ends_with("Ski") { 30 } else { 1 })),
        _ => drop(o.raw("workout_type", 0)),
    }
    o.raw("id", w.id);
    o.text("start_date", &w.start.to_string()).text("start_date_local", &local(w).to_string());
    o.text("timezone", &timezone(person.home, w));
    if old {
        o.raw("utc_offset", w.utc_offset_s)
    } else {
        o.float("utc_offset", f64::from(w.utc_offset_s))
    };
    if old {
        o.text("location_city", "Somewhere").text("location_state", "").null("location_country");
    } else {
        o.null("location_city").null("location_state").null("location_country");
    }
    let likes = w.seed % 40;
    o.raw("achievement_count", likes / 8).raw("kudos_count", likes).raw("comment_count", likes / 12);
    o.raw("athlete_count", 1 + likes / 20).raw("photo_count", 0);
    map(&mut o, person, w, resource_state);
    o.raw("trainer", w.recording == Recording::Indoor && w.distance_m > 0.0);
    o.raw("commute", w.seed % 11 == 0).raw("manual", w.recording == Recording::Manual);
    o.raw("private", w.seed % 50 == 0);
    if !old {
        let visibility = match w.seed % 50 {
            0 => "only_me",
            1..=5 => "followers_only",
            _ => "everyone",
        };
        o.text("visibility", visibility);
    }
    o.raw("flagged", false);
    if w.seed % 5 == 0 {
        o.null("gear_id")
    } else {
        o.text("gear_id", &format!("g{}", person.athlete_id % 9973))
    };
    positions(&mut o, person, w);
    let speed = if w.moving_s > 0 { round(w.distance_m / f64::from(w.moving_s), 3) } else { 0.0 };
    o.float("average_speed", speed);
    if speed == 0.0 {
        o.raw("max_speed", 0)
    } else {
        o.float("max_speed", round(speed * 1.7, 3))
    };
    if w.recording != Recording::Manual {
        sensors(&mut o, w);
    }
    upload(&mut o, w);
    o.raw("from_accepted_tag", false).raw("pr_count", likes / 13).raw("total_photo_count", likes / 15);
    o.raw("has_kudoed", false);
    if w.start.as_second() > 1_760_000_000 && w.recording != Recording::Manual && resource_state == 2 {
        o.text("device_name", device(w));
    }
    o
}

fn device(w: &Workout) -> &'static str {
    ["Garmin Forerunner 265", "Wahoo ELEMNT BOLT", "Strava iPhone App", "COROS PACE 3"][w.seed as usize % 4]
}

/// No track is `""`, null, or no field at all.
fn map(o: &mut Object, person: &Person, w: &Workout, resource_state: u8) {
    let mut map = Object::new();
    map.raw("id", format_args!("\"a{}\"", w.id));
    let line = |points| polyline::encode(&w.track(person.home, points));
    match (w.has_track(), w.seed % 8) {
        (true, _) => {
            if resource_state == 3 {
                map.text("polyline", &line(w.detail_points()));
            }
            map.text("summary_polyline", &line(w.summary_points()));
        }
        (false, 0) => drop(map.null("summary_polyline")),
        (false, 1) => {}
        (false, _) => drop(map.text("summary_polyline", "")),
    }
    map.raw("resource_state", resource_state);
    o.raw("map", map.end());
}

/// No position is `[]`, null, or no field at all.
fn positions(o: &mut Object, person: &Person, w: &Workout) {
    let pair = |share: f64| {
        let (lat, lon) = w.position(person.home, share);
        format!("[{:?},{:?}]", round(lat, 6), round(lon, 6))
    };
    match (w.has_track(), w.seed % 8) {
        (true, _) => {
            o.raw("start_latlng", pair(0.0)).raw("end_latlng", pair(1.0));
            if w.is_old_shape {
                let (lat, lon) = w.position(person.home, 0.0);
                o.float("start_latitude", round(lat, 6)).float("start_longitude", round(lon, 6));
            }
        }
        (false, 0) => drop(o.null("start_latlng").null("end_latlng")),
        (false, 1) => {}
        (false, _) => drop(o.raw("start_latlng", "[]").raw("end_latlng", "[]")),
    }
}

fn sensors(o: &mut Object, w: &Workout) {
    if w.sport.ends_with("Run") {
        o.float("average_cadence", 70.0 + (w.seed % 200) as f64 / 10.0);
    }
    if w.seed % 3 > 0 {
        o.raw("average_temp", (w.seed % 35) as i64 - 5);
    }
    if w.has_power {
        let watts = 120 + w.seed % 150;
        o.float("average_watts", watts as f64 + 0.3).raw("weighted_average_watts", watts + 12);
        o.raw("max_watts", watts * 3).raw("device_watts", w.seed % 2 == 0);
        o.float("kilojoules", round(watts as f64 * f64::from(w.moving_s) / 1000.0, 1));
    }
    o.raw("has_heartrate", w.has_heart_rate);
    if w.has_heart_rate {
        let bpm = 110 + w.seed % 55;
        o.float("average_heartrate", bpm as f64 + 0.6).float("max_heartrate", (bpm + 21) as f64);
        if w.seed % 30 == 0 {
            o.null("suffer_score")
        } else {
            o.float("suffer_score", (w.seed % 480) as f64)
        };
    }
    o.raw("heartrate_opt_out", false).raw("display_hide_heartrate_option", true);
    if w.has_track() {
        o.float("elev_high", round(48.2 + w.elevation_gain_m / 2.0, 1)).float("elev_low", -3.4);
    }
}

fn upload(o: &mut Object, w: &Workout) {
    if w.recording == Recording::Manual {
        o.null("upload_id").null("external_id");
        return;
    }
    // Longer than 64 bits now and then, as in Strava's documented example.
    let upload_id =
        if w.seed % 101 == 0 { 987_654_321_234_567_891_000 + w.id % 1000 } else { w.id + 1_083_000_000 };
    o.raw("upload_id", upload_id).raw("upload_id_str", format_args!("\"{upload_id}\""));
    // Ways are walked again, file names do not come again.
    let n = (w.seed ^ (w.id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)) % 1_000_000_000;
    let external_id = match (w.seed % 6, w.start.as_second() < 1_660_600_000) {
        (0 | 1, true) => format!("garmin_push_{}", serial_of(w.id, 0)),
        (0 | 1, false) => format!("garmin_ping_{n}"),
        (2, _) => format!("{:08x}-{:04x}-activity.fit", n, w.seed % 65_536),
        (3, _) => format!("{n}.tcx"),
        (4, _) => format!("{}.fit", local(w).strftime("%Y-%m-%d-%H-%M-%S")),
        _ => format!("{}_ACTIVITY.fit", serial_of(w.id, 0)),
    };
    o.text("external_id", &external_id);
}

fn ids(o: &mut Object, person: &Person, w: &Workout) {
    o.raw("activity", format_args!("{{\"id\":{},\"resource_state\":1}}", w.id));
    o.raw("athlete", format_args!("{{\"id\":{},\"resource_state\":1}}", person.athlete_id));
}

fn laps(person: &Person, w: &Workout) -> String {
    let count = (w.elapsed_s / 1200).max(1);
    let seconds = w.elapsed_s / count;
    let lap = |n: u32| {
        let mut o = Object::new();
        o.raw("id", w.id * 100 + u128::from(n))
            .raw("resource_state", 2)
            .text("name", &format!("Lap {}", n + 1));
        ids(&mut o, person, w);
        o.raw("elapsed_time", seconds).raw("moving_time", w.moving_s / count);
        let start = w.start + SignedDuration::from_secs(i64::from(n * seconds));
        o.text("start_date", &start.to_string()).text("start_date_local", &start.to_string());
        o.float("distance", round(w.distance_m / f64::from(count), 1));
        o.float("average_speed", round(w.distance_m / f64::from(w.moving_s.max(1)), 2));
        o.raw("lap_index", n + 1).raw("split", n + 1);
        o.raw("start_index", n * seconds).raw("end_index", (n + 1) * seconds - 1);
        o.raw("total_elevation_gain", 0).raw("device_watts", w.has_power);
        if w.has_heart_rate {
            o.float("average_heartrate", 131.4).float("max_heartrate", 150.0);
        }
        o.end()
    };
    (0..count).map(lap).collect::<Vec<_>>().join(",")
}

fn splits(w: &Workout, length_m: f64) -> String {
    let count = (w.distance_m / length_m).ceil() as u32;
    let split = |n: u32| {
        let distance = (w.distance_m - f64::from(n) * length_m).min(length_m);
        let seconds = f64::from(w.moving_s) * distance / w.distance_m;
        let mut o = Object::new();
        o.float("distance", round(distance, 1))
            .raw("elapsed_time", seconds as u32)
            .raw("moving_time", seconds as u32);
        o.float("elevation_difference", -1.2).raw("split", n + 1).float("average_speed", 2.91);
        o.null("average_grade_adjusted_speed").float("average_heartrate", 146.123_456_789_012_34);
        o.raw("pace_zone", n % 5);
        o.end()
    };
    (0..count).map(split).collect::<Vec<_>>().join(",")
}

fn effort(person: &Person, w: &Workout, name: &str, segment_id: Option<u32>) -> String {
    let mut o = Object::new();
    // Beyond what a double can hold.
    o.raw("id", 2_693_271_924_383_944_000 + w.id % 1000).raw("resource_state", 2).text("name", name);
    ids(&mut o, person, w);
    o.raw("elapsed_time", 240).raw("moving_time", 238).float("distance", 1000.0);
    o.text("start_date", &w.start.to_string()).text("start_date_local", &local(w).to_string());
    o.raw("start_index", 0).raw("end_index", 239).null("kom_rank").raw("pr_rank", w.seed % 3 + 1);
    o.raw("achievements", "[]").raw("device_watts", false).raw("hidden", false);
    if let Some(id) = segment_id {
        o.raw("segment", format_args!("{{\"id\":{id},\"name\":\"{name}\",\"activity_type\":\"Ride\",\"distance\":1000.0,\"average_grade\":1.3,\"city\":null,\"private\":false}}"));
    }
    o.end()
}

/// What a reader of the lists of one person must come to.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Totals {
    pub user_id: String,
    pub athlete_id: u64,
    pub activities: u64,
    pub elapsed_s: u64,
    pub distance_m: f64,
    /// Of the lines that lists show.
    pub points: u64,
    /// Of the lines that whole activities show.
    pub detail_points: u64,
}

pub fn totals(person: &Person) -> Totals {
    let all = &person.workouts;
    Totals {
        user_id: person.user_id.clone(),
        athlete_id: person.athlete_id,
        activities: all.len() as u64,
        elapsed_s: all.iter().map(|w| u64::from(w.elapsed_s)).sum(),
        distance_m: all.iter().map(|w| w.distance_m).sum(),
        points: all.iter().map(|w| w.summary_points() as u64).sum(),
        detail_points: all.iter().map(|w| w.detail_points() as u64).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{ReadFrom, Source, strava as source};
    use crate::testing::synth::{Options, people};

    #[test]
    fn every_body_is_what_the_parser_takes_and_says_what_happened() {
        let provenance = ReadFrom {
            user_id: "u".to_string(),
            source: Source::Strava,
            account_id: Some("1".to_string()),
            fetched_at: Timestamp::UNIX_EPOCH,
            raw_ref: "r".to_string(),
            zone: None,
            only_counts: false,
        };
        for person in people(Options { seed: 7, users: 3, activities: 200 }) {
            for w in &person.workouts {
                let body = format!("[{}]", summary(&person, w));
                let mut taken = Vec::new();
                source::api::activity_list(body.as_bytes(), &provenance, |_, t| {
                    taken.push(t.unwrap());
                })
                .unwrap();
                let a = &taken[0].activity;
                assert!(taken[0].faults.is_empty());
                assert_eq!((a.start_time, a.elapsed_s), (w.start, Some(f64::from(w.elapsed_s))));
                assert_eq!(a.utc_offset_s, Some(w.utc_offset_s));
                assert_eq!(a.sport_raw.as_deref(), Some(w.sport));
                assert_eq!(a.start_quality == "hidden", w.hides_start, "{body}");
                assert_eq!(a.track_lat_e5.as_ref().map_or(0, Vec::len), w.summary_points());

                let body = detail(&person, w);
                let taken = source::api::activity_detail(body.as_bytes(), &provenance).unwrap();
                assert_eq!(taken.activity.track_lat_e5.map_or(0, |t| t.len()), w.detail_points());

                if let Some(body) = streams(&person, w) {
                    let (s, _) =
                        source::streams::activity_streams(body.as_bytes(), "1", w.start, &provenance)
                            .unwrap();
                    assert_eq!(s.samples as u32, w.moving_s);
                }
            }
        }
    }
}
