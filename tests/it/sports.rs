//! The sport's name: Strava's languages, other services' words in device files, and what nobody knows.

use crate::support::{Place, Row};

fn sport_of<'a>(rows: &'a [Row], raw: &str) -> Option<&'a str> {
    let row = rows.iter().find(|row| row["sport_raw"] == raw).unwrap_or_else(|| panic!("no {raw}"));
    row.get("sport").map(String::as_str)
}

/// Strava's table with an activity of each of these types.
fn strava_table(types: &[&str]) -> String {
    let mut table = "Activity ID,Activity Date,Activity Name,Activity Type\n".to_string();
    for (number, name) in types.iter().enumerate() {
        table.push_str(&format!("{},2024-05-04 07:{number:02}:00,x,\"{name}\"\n", 100 + number));
    }
    table
}

#[test]
fn stravas_archive_may_be_written_in_any_of_its_languages() {
    let cases = [
        ("Radfahrt", "ride"),
        ("Course à pied", "run"),
        ("Entrenamiento con pesas", "weight_training"),
        ("Giro in mountain bike", "mountain_bike_ride"),
        ("Pedalada virtual", "virtual_ride"),
        ("Hardloopsessie", "run"),
        ("Längdskidåkning", "nordic_ski"),
        ("Sykkeltur", "ride"),
        ("Gåtur", "walk"),
        ("Narciarstwo biegowe", "nordic_ski"),
        ("Jízda na kole", "ride"),
        ("Yüzme", "swim"),
        ("Забег", "run"),
        ("ランニング", "run"),
        ("하이킹", "hike"),
        ("游泳", "swim"),
        ("Jalan Kaki", "walk"),
    ];
    let place = Place::new();
    let file = place.file("activities.csv", strava_table(&cases.map(|(raw, _)| raw)));
    place.run(&["import", "strava", &file, "--user", "u"]).expect(0);
    let done = place.run(&["normalize", "--json"]).expect(0);
    assert_eq!(done.json()["unnamed_sports"], serde_json::json!([]));
    assert!(!done.stderr.contains("without a name"), "{}", done.stderr);
    let rows = place.rows("activities");
    for (raw, sport) in cases {
        assert_eq!(sport_of(&rows, raw), Some(sport), "{raw}");
    }
}

#[test]
fn sports_that_nobody_knows_stay_raw_and_are_counted_with_the_most_frequent_first() {
    let place = Place::new();
    let types = ["Hopscotch", "Run", "Curling", "Curling", "Bell\u{7}", "a", "b", "c", "d"];
    let file = place.file("activities.csv", strava_table(&types));
    place.run(&["import", "strava", &file, "--user", "u"]).expect(0);
    let done = place.run(&["normalize", "--json"]).expect(0);
    let line = done.stderr.lines().find(|line| line.contains("without a name")).expect("a line about sports");
    assert!(
        line.starts_with("7 sports without a name here: strava Curling (2), strava Bell\\u{7} (1)"),
        "{line}"
    );
    assert!(line.ends_with(", 2 more"), "{line}");
    let json = done.json();
    let sports = json["unnamed_sports"].as_array().unwrap();
    assert_eq!(sports.len(), 7);
    assert_eq!(sports[0], serde_json::json!({"source": "strava", "name": "Curling", "records": 2}));
    let rows = place.rows("activities");
    assert_eq!(sport_of(&rows, "Curling"), None);

    // An athlete's own rule names them, so there is nothing left to say of those.
    let rules = place.file("rules.json", r#"[{"substring": "x", "target_type": "Workout"}]"#);
    let ruled = place.run(&["normalize", "--rules", &rules, "--json"]).expect(0).json();
    assert_eq!((&ruled["unnamed_sports"], &ruled["activities"]), (&serde_json::json!([]), &9.into()));
}

#[test]
fn a_device_file_may_name_its_sport_as_any_exporter_does() {
    let cases = [
        ("lap_swimming", "swim"),
        ("17", "virtual_ride"),
        ("Lauf", "run"),
        ("resort_skiing_ws", "alpine_ski"),
    ];
    let place = Place::new();
    let folder = place.folder.path().join("files");
    std::fs::create_dir(&folder).unwrap();
    for (number, (raw, _)) in cases.iter().enumerate() {
        let point = |second: usize| {
            format!(
                "<trkpt lat=\"52.000{second:02}\" lon=\"13\"><time>2024-05-0{}T07:00:{second:02}Z</time></trkpt>",
                number + 1
            )
        };
        let points: String = (0..30).map(point).collect();
        let gpx = format!("<gpx><trk><type>{raw}</type><trkseg>{points}</trkseg></trk></gpx>");
        std::fs::write(folder.join(format!("{number}.gpx")), gpx).unwrap();
    }
    place.run(&["import", "files", folder.to_str().unwrap(), "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(0);
    let rows = place.rows("activities");
    for (raw, sport) in cases {
        assert_eq!(sport_of(&rows, raw), Some(sport), "{raw}");
    }
}

#[test]
fn the_type_of_a_link_is_no_sport() {
    let point = |second: usize| {
        format!(
            "<trkpt lat=\"52.000{second:02}\" lon=\"13\"><time>2024-05-04T07:00:{second:02}Z</time></trkpt>"
        )
    };
    let points: String = (0..30).map(point).collect();
    let link = "<link href=\"https://example.org\"><text>elsewhere</text><type>trackOnWeb</type></link>";
    let gpx =
        format!("<gpx><trk><name>Own</name><type>hiking</type>{link}<trkseg>{points}</trkseg></trk></gpx>");
    let place = Place::new();
    let file = place.file("a.gpx", gpx);
    place.run(&["import", "files", &file, "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(0);
    let row = place.rows("activities").remove(0);
    assert_eq!(
        (row["sport_raw"].as_str(), row["sport"].as_str(), row["title"].as_str()),
        ("hiking", "hike", "Own")
    );
}
