//! More inputs of the kinds that people have reported in public (`project#number`), made by hand, each read
//! through the binary to what is right, or to a word.

use std::fmt::Write;

use longrun::sources::formats::fit::crc;

use crate::reported_files::{Read, known, read_path, series};
use crate::support::{Place, Row};

/// 07:00:00 and so many seconds.
pub fn clock(second: usize) -> String {
    format!("2024-05-04T07:{:02}:{:02}Z", second / 60, second % 60)
}

/// Degrees north of a start, as many metres away.
pub fn latitude(metres: f64) -> f64 {
    52.0 + metres / 111_195.08
}

pub fn gpx(points: &str) -> String {
    format!("<gpx><trk><type>running</type><trkseg>{points}</trkseg></trk></gpx>")
}

pub fn point(metres: f64, time: &str, extensions: &str) -> String {
    format!(
        "<trkpt lat=\"{:.7}\" lon=\"13\"><ele>40</ele><time>{time}</time><extensions>{extensions}</extensions></trkpt>",
        latitude(metres)
    )
}

/// An activity of one lap that says how long it took and how far it went.
pub fn tcx(seconds: u32, metres: f64, points: &str) -> String {
    format!(
        "<TrainingCenterDatabase><Activities><Activity Sport=\"Running\"><Lap StartTime=\"{}\">\
         <TotalTimeSeconds>{seconds}</TotalTimeSeconds><DistanceMeters>{metres}</DistanceMeters>\
         <Track>{points}</Track></Lap></Activity></Activities></TrainingCenterDatabase>",
        clock(0)
    )
}

pub fn trackpoint(time: &str, body: &str) -> String {
    format!("<Trackpoint><Time>{time}</Time>{body}</Trackpoint>")
}

pub fn position(metres: f64) -> String {
    format!(
        "<Position><LatitudeDegrees>{:.7}</LatitudeDegrees><LongitudeDegrees>13</LongitudeDegrees></Position>",
        latitude(metres)
    )
}

pub fn counter(metres: f64) -> String {
    format!("<DistanceMeters>{metres}</DistanceMeters>")
}

pub fn heart_rate(bpm: u32) -> String {
    format!("<HeartRateBpm><Value>{bpm}</Value></HeartRateBpm>")
}

/// Five minutes of seconds, each as it is written.
pub fn five_minutes(each: impl Fn(usize) -> String) -> String {
    (0..=300).map(each).collect()
}

pub fn read(name: &str, bytes: impl AsRef<[u8]>) -> Read {
    let place = Place::new();
    let file = place.file(name, bytes);
    read_path(file.as_ref())
}

/// A FIT file of such messages.
pub fn fit(messages: &[Vec<u8>]) -> Vec<u8> {
    let data = messages.concat();
    let mut file = vec![14, 0x20, 0, 0];
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(b".FIT\0\0");
    file.extend(data);
    let crc = crc(&file);
    file.extend(crc.to_le_bytes());
    file
}

/// A definition: the number of the message, and its fields by number, size and type.
pub fn definition(local: u8, message: u16, fields: &[[u8; 3]]) -> Vec<u8> {
    let [low, high] = message.to_le_bytes();
    [vec![0x40 | local, 0, 0, low, high, fields.len() as u8], fields.concat()].concat()
}

pub const FIT_START: u32 = 1_083_740_400;
pub const TIME: [u8; 3] = [253, 4, 0x86];

pub fn time(second: u32) -> Vec<u8> {
    (FIT_START + second).to_le_bytes().to_vec()
}

#[test]
fn points_of_one_second_are_a_way_and_no_speed() {
    // Open-GPX-Tracker#324, PHP-GPX-Ingest#6: three points in every tenth second.
    let points = five_minutes(|second| {
        let many = if second % 10 == 0 { 3 } else { 1 };
        (0..many).map(|n| point((3 * second + n) as f64, &clock(second), "")).collect()
    });
    let read = read("a.gpx", gpx(&points));
    read.is(&[("elapsed_s", 300.0), ("moving_s", 300.0), ("distance_m", 902.0), ("avg_speed_mps", 3.0)]);
    assert!(!read.only().contains_key("max_speed_mps"), "{:?}", read.only());
}

#[test]
fn a_day_that_no_month_has_costs_its_point_and_is_counted() {
    // gpx.studio#180
    let points = five_minutes(|second| {
        let time =
            if matches!(second, 100 | 200) { "2024-05-00T07:01:40Z".to_string() } else { clock(second) };
        point(3.0 * second as f64, &time, "")
    });
    let read = read("a.gpx", gpx(&points));
    read.is(&[("elapsed_s", 300.0), ("distance_m", 900.0)]);
    read.is_partial("2 points without a readable time");
}

#[test]
fn clocks_that_step_back_by_a_little_keep_the_order_of_the_way() {
    // GPXLab#29
    let points = five_minutes(|second| {
        let back_s = if second % 7 == 3 { 1.05 } else { 0.0 };
        let at_s = (second as f64 - back_s).max(0.0);
        let time = format!("2024-05-04T07:{:02}:{:09.6}Z", (at_s / 60.0) as u32, at_s % 60.0);
        point(3.0 * second as f64, &time, "")
    });
    let read = read("a.gpx", gpx(&points));
    read.is(&[("elapsed_s", 300.0), ("distance_m", 900.0)]);
    let times = read.series("time_s");
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn a_way_that_was_written_into_one_second_says_so() {
    // osmeditor4android#2196, GPXSee#320
    let in_1970 = read("a.gpx", gpx(&five_minutes(|s| point(3.0 * s as f64, "1970-01-01T00:00:00Z", ""))));
    in_1970.doubts("start_time");
    in_1970.doubts("elapsed_s");
    let one_second = read("b.gpx", gpx(&five_minutes(|second| point(3.0 * second as f64, &clock(0), ""))));
    one_second.is(&[("distance_m", 900.0)]);
    one_second.doubts("elapsed_s");
    assert!(!one_second.only().contains_key("elapsed_s"), "{:?}", one_second.only());
}

#[test]
fn a_leg_of_a_multisport_day_counts_from_its_own_start_in_tcx_too() {
    // fit-dashboard#29: the counter is that of the whole day.
    let points: String = (0..295)
        .map(|second| {
            let metres = 0.45 * second as f64;
            trackpoint(&clock(second), &(position(metres) + &counter(40_330.8 + metres)))
        })
        .collect();
    let read = read("a.tcx", tcx(294, 132.35, &points));
    read.is(&[("distance_m", 132.35), ("elapsed_s", 294.0)]);
    let counted = read.series("distance_m");
    assert_eq!((counted[0], counted[294].map(f64::round)), (Some(0.0), Some(132.0)));
}

#[test]
fn points_that_repeat_a_time_and_say_nothing_do_not_dilute_an_average() {
    // Runalyze#1929
    let points = five_minutes(|second| {
        let rate = if second % 5 == 0 { heart_rate(145) } else { String::new() };
        let empty = trackpoint(&clock(second), "");
        format!("{empty}{empty}{}", trackpoint(&clock(second), &(rate + &position(3.0 * second as f64))))
    });
    let read = read("a.tcx", tcx(300, 900.0, &points));
    read.is(&[("avg_heart_rate_bpm", 145.0), ("distance_m", 900.0), ("elapsed_s", 300.0)]);
}

#[test]
fn distances_far_below_zero_are_left_out_and_named() {
    // ttwatch#190
    let points = five_minutes(|second| {
        let metres = if matches!(second, 0 | 50 | 51) { -9.2e18 } else { 3.0 * second as f64 };
        trackpoint(&clock(second), &counter(metres))
    });
    let read = read("a.tcx", tcx(300, -9.2e18, &points));
    read.is(&[("distance_m", 900.0), ("moving_s", 300.0)]);
    read.doubts("distance_m");
    read.is_partial("3 distances that cannot be read");
}

#[test]
fn what_a_device_writes_for_nothing_is_nothing_in_every_format() {
    // TrackMyIndoorWorkout#363, #364, quantified-self#225: a minute of the numbers that mean nothing in FIT.
    let nothing = "<hr>255</hr><cad>255</cad><atemp>127</atemp><power>65535</power>";
    let points = five_minutes(|second| {
        let told = if second < 60 {
            nothing
        } else {
            "<hr>140</hr><cad>80</cad><atemp>20</atemp><power>200</power>"
        };
        point(3.0 * second as f64, &clock(second), told)
    });
    let of_gpx = read("a.gpx", gpx(&points));
    of_gpx.is(&[
        ("avg_heart_rate_bpm", 140.0),
        ("max_heart_rate_bpm", 140.0),
        ("avg_cadence_rpm", 80.0),
        ("temperature_c", 20.0),
        ("avg_power_w", 200.0),
    ]);
    for what in ["heart rates", "cadences", "temperatures", "power values"] {
        of_gpx.is_partial(&format!("60 {what} that cannot be read"));
    }
    let points = five_minutes(|second| {
        let bpm = if second < 60 { 255 } else { 140 };
        trackpoint(&clock(second), &(counter(3.0 * second as f64) + &heart_rate(bpm)))
    });
    let of_tcx = read("a.tcx", tcx(300, 900.0, &points));
    of_tcx.is(&[("avg_heart_rate_bpm", 140.0), ("max_heart_rate_bpm", 140.0)]);
    assert_eq!(known(&of_tcx.series("heart_rate_bpm")), 241);
}

#[test]
fn heart_rates_of_255_are_none_in_a_summary_and_are_named() {
    let place = Place::new();
    let summary = r#"[{"summarizedActivitiesExport":[{"activityId":1,"activityType":"running","startTimeGmt":1714806000000,
        "duration":1800000,"distance":500000,"avgHr":255,"maxHr":255}]}]"#;
    let file = place.file("x_0_summarizedActivities.json", summary);
    place.run(&["import", "garmin", &file, "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(3);
    let row = &place.rows("activities")[0];
    assert!(!row.contains_key("avg_heart_rate_bpm") && !row.contains_key("max_heart_rate_bpm"), "{row:?}");
    assert!(row["doubts"].contains("field: avg_heart_rate_bpm,"), "{row:?}");
}

#[test]
fn calories_of_65534_are_none_and_are_named() {
    // TrackMyIndoorWorkout#416
    let mut messages = vec![definition(1, 20, &[TIME, [5, 4, 0x86]])];
    messages.extend((0..=300).map(|s: u32| [vec![1], time(s), (300 * s).to_le_bytes().to_vec()].concat()));
    messages.push(definition(2, 18, &[TIME, [2, 4, 0x86], [7, 4, 0x86], [5, 1, 0], [11, 2, 0x84]]));
    let elapsed = 300_000_u32.to_le_bytes().to_vec();
    messages
        .push([vec![2], time(300), time(0), elapsed, vec![1], 65_534_u16.to_le_bytes().to_vec()].concat());
    let read = read("a.fit", fit(&messages));
    read.is(&[("distance_m", 900.0), ("elapsed_s", 300.0)]);
    assert!(!read.only().contains_key("calories_kcal"), "{:?}", read.only());
    read.doubts("calories_kcal");
}

#[test]
fn speed_and_distance_in_three_bytes_are_read_whatever_the_bytes_are() {
    // python-fitparse#7: the counter starts over at 256 m, and at 2.55 m/s the first byte is 255.
    let mut messages = vec![definition(1, 20, &[TIME, [8, 3, 13]])];
    messages.extend((0..=300_u32).map(|second| {
        let counter = (second * 255 * 16 / 100) % 4096;
        [vec![1], time(second), vec![255, (counter & 0xf) as u8 * 16, (counter >> 4) as u8]].concat()
    }));
    let read = read("a.fit", fit(&messages));
    read.is(&[("distance_m", 765.0), ("moving_s", 300.0), ("max_speed_mps", 2.55)]);
    assert_eq!(known(&read.series("speed_mps")), 301);
}

#[test]
fn times_in_the_headers_of_records_are_read() {
    // fit-swift-sdk#8
    let mut messages = vec![definition(1, 20, &[TIME, [5, 4, 0x86]])];
    messages.push([vec![1], time(0), 0_u32.to_le_bytes().to_vec()].concat());
    messages.push(definition(2, 20, &[[5, 4, 0x86]]));
    messages.extend((1..=300_u32).map(|second| {
        let header = 0x80 | 2 << 5 | ((FIT_START + second) & 31) as u8;
        [vec![header], (300 * second).to_le_bytes().to_vec()].concat()
    }));
    let read = read("a.fit", fit(&messages));
    read.is(&[("elapsed_s", 300.0), ("distance_m", 900.0), ("avg_speed_mps", 3.0)]);
}

#[test]
fn a_counter_of_kilometres_is_read_as_such_and_named() {
    // Runalyze#1905
    let points: String = (0..=600)
        .map(|second| {
            let metres = 3.0 * second as f64;
            trackpoint(&clock(second), &(position(metres) + &counter((metres / 10.0).round() / 100.0)))
        })
        .collect();
    let read = read("a.tcx", tcx(600, 1800.0, &points));
    read.is(&[("distance_m", 1800.0), ("avg_speed_mps", 3.0)]);
    read.doubts("distance_m");
    assert_eq!(read.series("distance_m")[600], Some(1800.0));
}

#[test]
fn elements_with_nothing_in_them_say_nothing() {
    // runnerup#1161
    let empty =
        "<Position><LatitudeDegrees></LatitudeDegrees><LongitudeDegrees/></Position><AltitudeMeters/>";
    let points = five_minutes(|s| trackpoint(&clock(s), &(empty.to_string() + &counter(3.0 * s as f64))));
    let read = read("a.tcx", tcx(300, 900.0, &points));
    read.is(&[("distance_m", 900.0)]);
    assert!(!read.only().contains_key("partial"), "{:?}", read.only());
    assert_eq!(known(&series(&read.streams[0], "lat_e7")), 0);
}

#[test]
fn an_export_of_apple_that_is_no_sound_xml_is_read() {
    // openradar-mirror#821: names with spaces; Simple-Apple-Health-XML-to-CSV#3: a definition that does not
    // end, and a character that XML does not have.
    let mut export = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE HealthData [\n");
    export
        .push_str("<!ELEMENT HealthData (ExportDate|Workout)*>\n<!ATTLIST Vision\n  type CDATA #REQUIRED\n");
    export.push_str("<!ELEMENT RightEye EMPTY>\n]>\n<HealthData locale=\"en_US\">\n");
    writeln!(
        export,
        " <Workout workoutActivityType=\"HKWorkoutActivityTypeRunning\" Device Model Name=\"Watch 6\" duration=\"30\" \
         durationUnit=\"min\" totalDistance=\"5\" totalDistanceUnit=\"km\" totalEnergyBurned=\"1255.2\" \
         totalEnergyBurnedUnit=\"kJ\" sourceName=\"My\u{b}Watch\" startDate=\"2024-05-04 09:00:00 +0200\" \
         endDate=\"2024-05-04 09:30:00 +0200\"/>"
    )
    .unwrap();
    export.push_str(
        " <Record type=\"HKQuantityTypeIdentifierHeartRate\" HK Device Name=\"x y\" unit=\"count/min\" \
         startDate=\"2024-05-04 09:10:00 +0200\" endDate=\"2024-05-04 09:10:00 +0200\" value=\"150\"/>\n</HealthData>\n",
    );
    let row = only("apple", "export.xml", &export);
    for (column, right) in [
        ("elapsed_s", 1800.0),
        ("distance_m", 5000.0),
        ("calories_kcal", 300.0),
        ("avg_heart_rate_bpm", 150.0),
        ("utc_offset_s", 7200.0),
    ] {
        assert!((row[column].parse::<f64>().unwrap() - right).abs() < 1e-6, "{column}: {row:?}");
    }
}

/// The only activity of an export.
pub fn only(source: &str, name: &str, text: &str) -> Row {
    let place = Place::new();
    let file = place.file(name, text);
    place.run(&["import", source, &file, "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(0);
    let mut rows = place.rows("activities");
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

#[test]
fn miles_of_fitbit_are_miles() {
    // open-wearables#1138
    let exercise = r#"[{"logId":1,"activityName":"Run","startTime":"05/04/24 07:00:00","duration":1800000,
        "activeDuration":1800000,"distance":3.1,"distanceUnit":"Mile","logType":"mobile_run"}]"#;
    let row = only("fitbit", "exercise-0.json", exercise);
    assert!((row["distance_m"].parse::<f64>().unwrap() - 4988.9664).abs() < 1e-6, "{row:?}");
}

#[test]
fn one_date_of_a_table_tells_the_order_of_all() {
    // homebox#106: a spreadsheet writes dates anew.
    let place = Place::new();
    let head = "title,start_time,end_time,exercise_title,set_index,set_type,weight_kg,reps\n";
    let rows = "Pull,5/4/2024 7:00,5/4/2024 8:00,Row,0,normal,60,10\nPush,5/13/2024 7:00,5/13/2024 8:00,Press,0,normal,60,10\n";
    let file = place.file("workouts.csv", format!("{head}{rows}"));
    place.run(&["import", "hevy", &file, "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(0);
    let mut starts: Vec<String> =
        place.rows("activities").into_iter().map(|row| row["start_time"].clone()).collect();
    starts.sort();
    assert_eq!(starts, ["2024-05-04T07:00:00", "2024-05-13T07:00:00"]);
}
