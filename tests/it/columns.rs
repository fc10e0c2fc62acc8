//! What becomes of a column between the sources and the golden rows.

use std::io::Read;

use longrun::sources::Source;
use longrun::testing::synth::{self, Options, exports};

use crate::support::{Place, Row};

/// The whole export of an invented person, and its table of activities alone.
fn strava_export() -> (Vec<u8>, Vec<u8>) {
    let options = Options { seed: 21, users: 1, activities: 120 };
    let people = synth::people(options);
    let export = exports::of(&people[0], 0, options, Some(&[Source::Strava])).remove(0);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&export.bytes)).unwrap();
    let mut names = archive.file_names().map(|name| name.unwrap().to_string());
    let name = names.find(|name| name.ends_with("activities.csv")).unwrap();
    drop(names);
    let mut table = Vec::new();
    archive.by_name(&name).unwrap().read_to_end(&mut table).unwrap();
    (export.bytes, table)
}

/// The columns that say when and from where a row was last read.
const OF_READING: [&str; 5] = ["fetched_at", "detail_at", "raw_ref", "earlier", "computed"];

fn without_reading(mut rows: Vec<Row>) -> Vec<Row> {
    for row in &mut rows {
        OF_READING.iter().for_each(|column| drop(row.remove(*column)));
    }
    rows
}

#[test]
fn the_table_alone_after_the_whole_export_empties_nothing() {
    let (whole, table) = strava_export();
    let place = Place::new();
    let whole = place.file("export.zip", whole);
    place.run(&["import", "strava", &whole, "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(0);
    let (before, streams) = (place.rows("activities"), place.rows("streams"));
    let with = |rows: &[Row], column: &str| rows.iter().filter(|row| row.contains_key(column)).count();
    for column in ["track_lat_e5", "laps", "device_name", "file_sha256", "computed"] {
        assert!(with(&before, column) > 10, "{column}");
    }

    let table = place.file("later/activities.csv", table);
    place.run(&["import", "strava", &table, "--user", "u"]).expect(0);
    // The table names files that are not there.
    place.run(&["normalize"]).expect(3);
    let after = place.rows("activities");
    assert_eq!(with(&after, "computed"), with(&before, "computed"));
    assert!(with(&after, "earlier") > 10, "a row says which values are older than itself");
    assert!(before.iter().zip(&after).all(|(before, after)| before["fetched_at"] < after["fetched_at"]));
    assert_eq!(without_reading(after), without_reading(before));
    assert_eq!(place.rows("streams"), streams);
}

/// An hour on a trainer that knows no distance and says 0.
fn trainer() -> String {
    let points: Vec<String> = (0..=60)
        .map(|minute| {
            let time = format!("2022-05-29T{:02}:{:02}:35Z", 15 + (53 + minute) / 60, (53 + minute) % 60);
            format!(
                "<Trackpoint><Time>{time}</Time><DistanceMeters>0</DistanceMeters>\
                 <HeartRateBpm><Value>{}</Value></HeartRateBpm></Trackpoint>",
                130 + minute % 9
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\"?><TrainingCenterDatabase xmlns=\"http://www.garmin.com/xmlschemas/\
         TrainingCenterDatabase/v2\"><Activities><Activity Sport=\"Biking\"><Id>2022-05-29T15:53:35Z</Id>\
         <Lap StartTime=\"2022-05-29T15:53:35Z\"><TotalTimeSeconds>3600</TotalTimeSeconds>\
         <DistanceMeters>0</DistanceMeters><MaximumSpeed>0</MaximumSpeed><Calories>0</Calories>\
         <Track>{}</Track></Lap></Activity></Activities></TrainingCenterDatabase>",
        points.concat()
    )
}

#[test]
fn a_distance_of_0_is_none_and_does_not_beat_one_that_is_known() {
    let place = Place::new();
    let file = place.file("trainer.tcx", trainer());
    let table = place.file(
        "activities.csv",
        "Activity ID,Activity Date,Activity Name,Activity Type,Activity Description,Elapsed Time,Distance,\
         Max Heart Rate,Relative Effort,Commute,Activity Private Note,Activity Gear,Filename,Athlete Weight,\
         Bike Weight,Elapsed Time,Moving Time,Distance\n\
         77,\"May 29, 2022, 3:53:35 PM\",Watopia,Ride,,3600,30.00,,,false,,,,,,3600.0,3600.0,30000.0\n",
    );
    place.run(&["import", "files", &file, "--user", "u"]).expect(0);
    place.run(&["import", "strava", &table, "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(0);
    let rows = place.rows("activities");
    let trainer = rows.iter().find(|row| row["source"] == "files").unwrap();
    for column in ["distance_m", "avg_speed_mps", "max_speed_mps", "calories_kcal"] {
        assert_eq!(trainer.get(column), None, "{column}");
    }
    place.run(&["dedupe"]).expect(0);
    let golden = place.rows("golden");
    assert_eq!(golden.len(), 1, "{golden:?}");
    assert_eq!((golden[0]["distance_m"].as_str(), golden[0]["conflicts"].as_str()), ("30000.0", "[]"));
    assert!(golden[0].contains_key("avg_heart_rate_bpm"), "the trainer's own values stay");
}
