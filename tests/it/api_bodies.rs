//! Bodies of APIs with fields that are not what they have to be: each costs itself and nothing else.

use jiff::Timestamp;
use longrun::sources::strava::{api, streams};
use longrun::sources::{Fault, Parsed, ReadFrom, Source, check};

use crate::support::Place;

fn from() -> ReadFrom {
    ReadFrom {
        user_id: "u".to_string(),
        source: Source::Strava,
        account_id: None,
        fetched_at: "2026-11-25T12:00:00Z".parse().unwrap(),
        raw_ref: "r".to_string(),
        zone: None,
        only_counts: false,
    }
}

/// The activities of a page, and the fields that were lost of each.
fn page(body: &str) -> Vec<Result<Box<Parsed>, Fault>> {
    let mut read = Vec::new();
    api::activity_list(body.as_bytes(), &from(), |_, parsed| read.push(parsed)).unwrap();
    read
}

#[test]
fn a_bad_field_costs_the_field_and_never_the_activity() {
    for (field, lost) in [
        (r#""start_latlng":[180,180]"#, Some("start_latlng")),
        (r#""start_latlng":[null,null]"#, None),
        (r#""workout_type":"race""#, Some("workout_type")),
        (r#""trainer":1"#, None),
        (r#""trainer":"indoors""#, Some("trainer")),
        (r#""utc_offset":3600.5"#, Some("utc_offset")),
        (r#""kudos_count":99999999999"#, Some("kudos_count")),
        (r#""moving_time":"an hour""#, Some("moving_time")),
        (r#""map":{"summary_polyline":"_ibE_seK_seK_se"}"#, Some("map.summary_polyline")),
        (r#""laps":[{"id":1,"distance":"far","elapsed_time":60}]"#, Some("laps[0].distance")),
        (r#""name":"half an emoji \ud83d""#, None),
    ] {
        let body = format!(
            r#"[{{"id":1,"start_date":"2024-05-04T07:00:00Z","start_date_local":"2024-05-04T08:00:00Z","distance":5000,{field}}}]"#
        );
        let mut read = page(&body);
        let parsed = read.remove(0).unwrap_or_else(|fault| panic!("{field}: {fault}"));
        let a = &parsed.activity;
        assert_eq!((a.source_id.as_str(), a.distance_m, a.utc_offset_s), ("1", Some(5000.0), Some(3600)));
        let names: Vec<Option<&str>> = parsed.faults.iter().map(|fault| fault.field.as_deref()).collect();
        assert_eq!(names, lost.map(Some).into_iter().collect::<Vec<_>>(), "{field}");
        assert!(parsed.faults.iter().all(|fault| fault.source_id.as_deref() == Some("1")));
        if field.contains("laps") {
            assert_eq!(a.laps.as_ref().unwrap()[0].elapsed_s, Some(60.0));
        }
    }
}

#[test]
fn what_the_api_says_passes_the_checks_of_archives() {
    let of = |fields: &str| {
        page(&format!(r#"[{{"id":1,{fields}}}]"#)).remove(0).map(|mut parsed| {
            check(&mut parsed);
            parsed
        })
    };
    for start in ["2099-01-01T00:00:00Z", "1970-01-01T00:00:00Z"] {
        let parsed = of(&format!(r#""start_date":"{start}","distance":5000"#)).unwrap();
        let a = parsed.activity;
        assert_eq!((a.start_time.to_string().as_str(), a.distance_m), (start, Some(5000.0)));
        let doubts = a.doubts.unwrap();
        assert!(doubts[0].field == "start_time" && doubts[0].reason.contains(start), "{doubts:?}");
        assert_eq!(parsed.faults, []);
    }
    let on_the_moon =
        of(r#""start_date":"2024-01-01T00:00:00Z","start_latitude":384400.0,"start_longitude":8.0"#);
    let a = on_the_moon.unwrap().activity;
    assert_eq!((a.start_lat_deg, a.start_lon_deg), (None, None));
    assert_eq!(a.doubts.unwrap()[0].field, "start_lat_deg");
    let parsed = of(r#""start_date":"2024-01-01T00:00:00Z","average_heartrate":9999"#).unwrap();
    assert_eq!((parsed.activity.avg_heart_rate_bpm, parsed.faults.len()), (None, 1));
    // A time that cannot be read is named with the activity it belongs to.
    let fault = of(r#""start_date":"yesterday""#).unwrap_err();
    assert_eq!((fault.source_id.as_deref(), fault.field.as_deref()), (Some("1"), Some("start_date")));
    assert!(fault.reason.contains("yesterday"), "{fault}");
}

#[test]
fn a_start_is_hidden_in_the_first_second_of_the_athletes_own_day_only() {
    let quality =
        |fields: &str| page(&format!(r#"[{{"id":1,{fields}}}]"#)).remove(0).unwrap().activity.start_quality;
    let cases = [
        (r#""start_date":"2024-05-03T22:00:01Z","start_date_local":"2024-05-04T00:00:01Z""#, "hidden"),
        (r#""start_date":"2024-05-03T22:00:01Z","utc_offset":7200.0"#, "hidden"),
        (r#""start_date":"2024-05-03T22:00:01Z","timezone":"(GMT+01:00) Europe/Berlin""#, "hidden"),
        (r#""start_date":"2024-05-04T00:00:01Z","start_date_local":"2024-05-04T02:00:01Z""#, "exact"),
        (r#""start_date":"2024-05-04T00:00:01Z","utc_offset":-18000"#, "exact"),
        (r#""start_date":"2024-05-04T00:00:01Z","utc_offset":0"#, "hidden"),
        (r#""start_date":"2024-05-04T00:00:01Z""#, "exact"),
    ];
    for (fields, expected) in cases {
        assert_eq!(quality(fields), expected, "{fields}");
    }
}

#[test]
fn one_bad_stream_costs_no_other_stream() {
    let read = |body: &str| {
        let start: Timestamp = "2024-05-04T07:00:00Z".parse().unwrap();
        streams::activity_streams(body.as_bytes(), "1", start, &from()).unwrap()
    };
    // A stream that is short.
    let (s, faults) =
        read(r#"{"time":{"data":[0,1,2]},"distance":{"data":[0.0,3.0,6.0]},"heartrate":{"data":[100,101]}}"#);
    assert_eq!((s.samples, s.time_s.unwrap().len(), s.heart_rate_bpm), (3, 3, None));
    assert_eq!(faults[0].field.as_deref(), Some("heartrate"));
    // Fractions where whole numbers are usual, and one bad value.
    let (s, faults) = read(
        r#"[{"type":"time","data":[0,1,2]},{"type":"cadence","data":[80.4,81.6,"x"]},{"type":"latlng","data":[[1,2],[180,180],null]}]"#,
    );
    assert_eq!(s.cadence_rpm, Some(vec![Some(80), Some(82), None]));
    assert_eq!(s.lat_e7, Some(vec![Some(10_000_000), None, None]));
    let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("1 of 3 values"), "{said:?}");
    // A stream that is no list, beside sound ones.
    let (s, faults) = read(r#"{"time":{"data":[0,1]},"watts":{"data":"none"}}"#);
    assert_eq!((s.samples, s.power_w, faults.len()), (2, None, 1));
}

#[test]
fn of_hevys_events_in_several_files_the_newest_counts_and_a_deletion_deletes() {
    let workout = |id: &str, title: &str, updated: &str| {
        format!(
            r#"{{"type":"updated","workout":{{"id":"{id}","title":"{title}","start_time":"2024-05-04T07:00:00Z","end_time":"2024-05-04T08:00:00Z","updated_at":"{updated}","exercises":[]}}}}"#
        )
    };
    let deleted = |id: &str, at: &str| format!(r#"{{"type":"deleted","id":"{id}","deleted_at":"{at}"}}"#);
    let events = |all: &[String]| format!(r#"{{"page":1,"page_count":1,"events":[{}]}}"#, all.join(","));
    let older = events(&[
        workout("a", "first", "2024-05-04T09:00:00Z"),
        workout("b", "first", "2024-05-04T09:00:00Z"),
        workout("c", "first", "2024-05-04T09:00:00Z"),
    ]);
    let newer = events(&[
        workout("a", "second", "2024-05-06T09:00:00Z"),
        deleted("b", "2024-05-06T09:00:00Z"),
        deleted("c", "2024-05-03T09:00:00Z"),
    ]);
    for (first, second) in [(&older, &newer), (&newer, &older)] {
        let place = Place::new();
        place.file("hevy/1.json", first);
        place.file("hevy/2.json", second);
        let folder = place.folder.path().join("hevy");
        place.run(&["import", "hevy", folder.to_str().unwrap(), "--user", "u"]).expect(0);
        place.run(&["normalize"]).expect(0);
        assert_eq!(titles(&place, "u"), [pair("a", "second"), pair("c", "first")]);
    }
    // Imported one after the other, in any order and with a normalize in between or without, it ends the same.
    for (first, second) in [(&older, &newer), (&newer, &older)] {
        for in_steps in [true, false] {
            let place = Place::new();
            for (name, body) in [("1.json", first), ("2.json", second)] {
                let file = place.file(name, body);
                place.run(&["import", "hevy", &file, "--user", "u"]).expect(0);
                // Somebody else has a workout of the same id, which stays.
                place.run(&["import", "hevy", &place.file("3.json", &older), "--user", "v"]).expect(0);
                if in_steps {
                    place.run(&["normalize"]).expect(0);
                }
            }
            place.run(&["normalize"]).expect(0);
            assert_eq!(
                titles(&place, "u"),
                [pair("a", "second"), pair("c", "first")],
                "in steps: {in_steps}"
            );
            assert_eq!(titles(&place, "v").len(), 3);
            // And made anew from the archives, as well.
            std::fs::remove_dir_all(place.lake().join("activities")).unwrap();
            std::fs::remove_dir_all(place.lake().join("origins")).unwrap();
            place.run(&["normalize"]).expect(0);
            assert_eq!(titles(&place, "u"), [pair("a", "second"), pair("c", "first")]);
            // A version that is newer than the deletion is a workout that came back.
            let back = events(&[workout("b", "back", "2024-05-08T09:00:00Z")]);
            place.run(&["import", "hevy", &place.file("4.json", back), "--user", "u"]).expect(0);
            place.run(&["normalize"]).expect(0);
            assert_eq!(titles(&place, "u")[1], pair("b", "back"));
        }
    }
}

fn pair(id: &str, title: &str) -> (String, String) {
    (id.to_string(), title.to_string())
}

/// Ids and titles of a person's activities.
fn titles(place: &Place, user: &str) -> Vec<(String, String)> {
    let rows = place.rows("activities").into_iter().filter(|row| row["user_id"] == user);
    let rows = rows.filter(|row| !row.contains_key("gone_at"));
    let mut titles: Vec<(String, String)> = rows.map(|row| pair(&row["source_id"], &row["title"])).collect();
    titles.sort();
    titles
}
