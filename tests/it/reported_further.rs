//! Further kinds of inputs that people have reported in public (`project#number`), made by hand, each read through
//! the binary to what is right, or to a word.

use crate::reported_files::known;
use crate::reported_more::{
    FIT_START, TIME, clock, counter, definition, fit, five_minutes, gpx, heart_rate, latitude, point,
    position, read, tcx, time, trackpoint,
};
use crate::support::Place;

const UINT_16: u8 = 0x84;
const UINT_32: u8 = 0x86;

fn word(value: u32) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

/// The only session of a file: its start, elapsed time and way, and other fields of four bytes.
fn session(seconds: u32, metres: u32, others: &[(u8, u32)]) -> Vec<Vec<u8>> {
    let mut fields = vec![TIME, [2, 4, UINT_32], [7, 4, UINT_32], [9, 4, UINT_32], [5, 1, 0]];
    fields.extend(others.iter().map(|(number, _)| [*number, 4, UINT_32]));
    let sums = [vec![3], time(seconds), time(0), word(seconds * 1000), word(metres * 100), vec![2]].concat();
    let others = others.iter().flat_map(|(_, value)| word(*value));
    vec![definition(3, 18, &fields), sums.into_iter().chain(others).collect()]
}

#[test]
fn zeros_among_altitudes_are_none_and_are_counted() {
    // qmapshack#343: every tenth altitude of a ride at 400 m is 0.
    let points = five_minutes(|second| {
        let altitude_m = if second % 10 == 9 { 0.0 } else { 400.0 + second as f64 / 10.0 };
        point(3.0 * second as f64, &clock(second), "").replace("<ele>40<", &format!("<ele>{altitude_m}<"))
    });
    let read = read("a.gpx", gpx(&points));
    read.is(&[("elevation_low_m", 400.0), ("elevation_gain_m", 30.0), ("elevation_loss_m", 0.0)]);
    read.is_partial("30 altitudes that cannot be read");
}

#[test]
fn a_beach_is_at_zero() {
    let points = five_minutes(|second| {
        let altitude_m = (second as f64 - 150.0).abs().floor() - 20.0;
        point(3.0 * second as f64, &clock(second), "")
            .replace("<ele>40<", &format!("<ele>{}<", altitude_m.max(0.0)))
    });
    let read = read("a.gpx", gpx(&points));
    read.is(&[("elevation_low_m", 0.0), ("elevation_gain_m", 130.0)]);
    assert!(!read.only().contains_key("partial"), "{:?}", read.only());
}

#[test]
fn no_speed_of_two_bytes_is_none_in_four() {
    // muktihari/fit#397: 65535 in the fields that newer devices fill.
    let mut messages = vec![definition(1, 20, &[TIME, [5, 4, UINT_32], [73, 4, UINT_32], [78, 4, UINT_32]])];
    messages.extend(
        (0..=300_u32).map(|s| [vec![1], time(s), word(800 * s), word(65_535), word(65_535)].concat()),
    );
    messages.extend(session(300, 2400, &[(124, 65_535), (125, 65_535)]));
    let read = read("a.fit", fit(&messages));
    read.is(&[("distance_m", 2400.0), ("avg_speed_mps", 8.0)]);
    for column in ["max_speed_mps", "elevation_high_m", "doubts"] {
        assert!(!read.only().contains_key(column), "{column}: {:?}", read.only());
    }
}

#[test]
fn fields_of_an_application_that_says_nothing_of_itself_are_read() {
    // python-fitparse#124: a field_description without the developer_data_id that it belongs to.
    let mut messages = vec![
        definition(1, 206, &[[0, 1, 2], [1, 1, 2], [2, 1, 2], [14, 2, UINT_16], [15, 1, 2]]),
        vec![1, 0, 7, 0x84, 20, 0, 7],
    ];
    let mut records = definition(2, 20, &[TIME]);
    records[0] |= 0x20;
    messages.push([records, vec![1, 7, 2, 0]].concat());
    messages.extend((0..=300_u32).map(|s| [vec![2], time(s), vec![251, 0]].concat()));
    let read = read("a.fit", fit(&messages));
    read.is(&[("avg_power_w", 251.0), ("elapsed_s", 300.0)]);
    assert_eq!(known(&read.series("power_w")), 301);
}

#[test]
fn a_counter_that_stands_while_somebody_moves_is_none() {
    // GoldenCheetah#118: an indoor ride with speeds and a counter of 0.
    let extension = "<Extensions><TPX><Speed>8</Speed></TPX></Extensions>";
    let points = five_minutes(|s| trackpoint(&clock(s), &(counter(0.0) + extension)));
    let read = read("a.tcx", tcx(300, 2400.0, &points));
    read.is(&[("distance_m", 2400.0), ("avg_speed_mps", 8.0), ("max_speed_mps", 8.0)]);
    read.is_partial("301 distances that cannot be read");
    assert_eq!(known(&read.series("distance_m")), 0);
}

#[test]
fn heart_rates_have_many_names() {
    // sportstracker#131: a Holux writes bpm, others the whole word.
    for name in ["bpm", "hr", "gpxdata:hr", "ns3:hr", "HeartRate", "heartrate"] {
        let points = five_minutes(|s| point(s as f64, &clock(s), &format!("<{name}>90</{name}>")));
        read("a.gpx", gpx(&points)).is(&[("avg_heart_rate_bpm", 90.0)]);
    }
}

#[test]
fn pauses_at_null_island_are_no_way() {
    // unBand#65: latitude and longitude 0 at both ends and in every pause.
    let points = five_minutes(|second| match second {
        0 | 100..=104 | 200 | 300 => {
            format!("<trkpt lat=\"0\" lon=\"0\"><time>{}</time></trkpt>", clock(second))
        }
        _ => point(3.0 * second as f64, &clock(second), ""),
    });
    let read = read("a.gpx", gpx(&points));
    read.is(&[("distance_m", 894.0), ("avg_speed_mps", 3.0), ("elapsed_s", 300.0)]);
    assert_eq!(known(&read.series("lat_e7")), 293);
}

#[test]
fn a_track_without_points_is_named() {
    // garmin-connect-export#47, geo-activity-playground#380: indoors there is no place, and an empty segment.
    let place = Place::new();
    let indoor = "<gpx><trk><name>Indoor Cycling</name><type>indoor_cycling</type><trkseg/></trk></gpx>";
    let file = place.file("a.gpx", indoor);
    place.run(&["import", "files", &file, "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(3);
    let rejects = place.rows("rejects");
    assert_eq!(rejects.len(), 1, "{rejects:?}");
    assert!(rejects[0]["reason"].contains("no track in it"), "{rejects:?}");
}

#[test]
fn points_indoors_have_times_and_rates_and_no_place() {
    // geo-activity-playground#380
    for attributes in ["", " lat=\"\" lon=\"\"", " lat=\"NaN\" lon=\"NaN\""] {
        let points = five_minutes(|s| {
            format!("<trkpt{attributes}><time>{}</time><hr>{}</hr></trkpt>", clock(s), 100 + s % 2)
        });
        let read = read("a.gpx", gpx(&points));
        read.is(&[("elapsed_s", 300.0), ("avg_heart_rate_bpm", 100.5)]);
        assert!(!read.only().contains_key("distance_m"), "{:?}", read.only());
        if attributes.contains("NaN") {
            read.is_partial("602 positions that cannot be read");
        }
    }
}

#[test]
fn points_without_times_at_both_ends_are_counted_and_cost_nothing_else() {
    // gpx-animator#202: a Sigma writes its first point and its last one twice, once without a time.
    let bare =
        |metres: f64| format!("<trkpt lat=\"{:.7}\" lon=\"13\"><ele>40</ele></trkpt>", latitude(metres));
    let points = five_minutes(|s| point(3.0 * s as f64, &clock(s), ""));
    let read = read("a.gpx", gpx(&(bare(0.0) + &points + &bare(900.0))));
    read.is(&[("distance_m", 900.0), ("elapsed_s", 300.0), ("avg_speed_mps", 3.0)]);
    read.is_partial("2 points without a readable time");
}

#[test]
fn times_that_say_null_are_counted() {
    // OpenTracks#1236, organicmaps#9365
    let points = five_minutes(|s| {
        let time = if s % 100 == 50 { "null".to_string() } else { clock(s) };
        point(3.0 * s as f64, &time, "")
    });
    let read = read("a.gpx", gpx(&points));
    read.is(&[("distance_m", 900.0), ("moving_s", 300.0)]);
    read.is_partial("3 points without a readable time");
}

#[test]
fn a_counter_that_falls_by_a_little_counts_no_way_twice() {
    // GoldenCheetah#2446: a Wahoo goes back by some metres now and then.
    let mut messages = vec![definition(1, 20, &[TIME, [5, 4, UINT_32]])];
    messages.extend((0..=300_u32).map(|s| {
        let back = if s % 50 == 49 { 900 } else { 0 };
        [vec![1], time(s), word(800 * s - back)].concat()
    }));
    let read = read("a.fit", fit(&messages));
    read.is(&[("distance_m", 2400.0), ("avg_speed_mps", 8.0), ("elapsed_s", 300.0)]);
}

#[test]
fn offsets_and_numbers_of_any_length_are_read() {
    // GPXSee#187, Runalyze#1946
    let points: String = (0..=300)
        .map(|s| {
            let lat = format!("{:.27}", latitude(3.0 * f64::from(s)));
            let time = format!("2024-05-04T15:{:02}:{:02}+08:00", s / 60, s % 60);
            format!("<trkpt lat=\"{lat}\" lon=\"13.000000000000000000000000001\"><ele>251.1999969482421875</ele><time>{time}</time></trkpt>")
        })
        .collect();
    let read = read("a.gpx", gpx(&points));
    read.is(&[("distance_m", 900.0), ("elevation_low_m", 251.2)]);
    assert_eq!(read.only()["start_time"], "2024-05-04T07:00:00");
}

#[test]
fn a_swim_without_samples_keeps_what_its_session_says() {
    // GoldenCheetah#1966, mytourbook#1517: lengths of a pool, and no record has a distance.
    let mut messages = vec![definition(1, 20, &[TIME, [3, 1, 2]])];
    messages.extend((0..=1800_u32).step_by(10).map(|s| [vec![1], time(s), vec![120]].concat()));
    messages.push(definition(2, 101, &[TIME, [2, 4, UINT_32], [12, 1, 0]]));
    messages.extend((0..72_u32).map(|n| [vec![2], time(25 * (n + 1)), time(25 * n), vec![1]].concat()));
    messages.extend(session(1800, 1800, &[(44, 2500)]));
    let read = read("a.fit", fit(&messages));
    read.is(&[("distance_m", 1800.0), ("avg_speed_mps", 1.0), ("avg_heart_rate_bpm", 120.0)]);
    assert!(read.only()["extra"].contains("\"pool_length_m\":25"), "{:?}", read.only());
}

#[test]
fn rates_alone_after_the_last_place_belong_to_the_recording() {
    // mytourbook#729: places and rates are not of the same moments.
    let points = five_minutes(|s| {
        let body =
            if s % 5 == 0 { position(3.0 * s as f64) + &counter(3.0 * s as f64) } else { heart_rate(140) };
        trackpoint(&clock(s), &body)
    });
    let read = read("a.tcx", tcx(300, 900.0, &points));
    read.is(&[("avg_heart_rate_bpm", 140.0), ("distance_m", 900.0), ("moving_s", 300.0)]);
    assert_eq!((known(&read.series("heart_rate_bpm")), known(&read.series("lat_e7"))), (240, 61));
}

/// Health Connect's database of one session of half an hour, with such rows of distances: app, begin and end in
/// minutes, metres.
fn health_connect(distances: &[(u32, u32, u32, f64)]) -> Place {
    let place = Place::new();
    let path = place.file("health_connect_export.db", "");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(
        "CREATE TABLE application_info_table (row_id INTEGER PRIMARY KEY, package_name TEXT, app_name TEXT);
         CREATE TABLE exercise_session_record_table (row_id INTEGER PRIMARY KEY, uuid BLOB, app_info_id INTEGER,
            start_time INTEGER, end_time INTEGER, exercise_type INTEGER, title TEXT);
         CREATE TABLE distance_record_table (row_id INTEGER PRIMARY KEY, app_info_id INTEGER, start_time INTEGER,
            end_time INTEGER, distance REAL);
         INSERT INTO application_info_table VALUES (1, 'com.sec.android.app.shealth', 'Samsung Health');
         INSERT INTO exercise_session_record_table VALUES (1, x'01', 1, 1714806000000, 1714807800000, 56, 'Run');",
    )
    .unwrap();
    let minute = |minute: &u32| (u64::from(FIT_START + 631_065_600) + u64::from(*minute) * 60) * 1000;
    for (app, begin, end, metres) in distances {
        db.execute(
            "INSERT INTO distance_record_table (app_info_id, start_time, end_time, distance) VALUES (?1, ?2, ?3, ?4)",
            (app, minute(begin) as i64, minute(end) as i64, metres),
        )
        .unwrap();
    }
    drop(db);
    place.run(&["import", "health-connect", &path, "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(0);
    place
}

#[test]
fn what_an_app_tells_twice_is_counted_once() {
    // home-assistant/android#7510, carp-health-flutter#524: a watch and a phone, minutes and the whole, another app.
    let minutes: Vec<(u32, u32, u32, f64)> = (0..30).map(|n| (1, n, n + 1, 200.0)).collect();
    let whole = [(1, 0, 30, 6000.0)];
    let other = [(2, 0, 30, 6100.0)];
    for distances in [
        minutes.clone(),
        [minutes.clone(), whole.to_vec()].concat(),
        [minutes.clone(), minutes.clone()].concat(),
        [minutes.clone(), other.to_vec()].concat(),
    ] {
        let rows = health_connect(&distances).rows("activities");
        assert_eq!(rows[0]["distance_m"].parse::<f64>().unwrap(), 6000.0, "{distances:?}");
    }
}
