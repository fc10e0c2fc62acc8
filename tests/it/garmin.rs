//! Garmin's export as a whole.

use crate::support::{Place, Row, timeless};

#[test]
fn summaries_are_the_same_with_files_beside_them_and_without() {
    let summary = |id: u64, name: &str| {
        let ms = 1_714_806_000_000 + id * 86_400_000;
        format!(
            "{{\"activityId\":{id},\"name\":\"{name}\",\"startTimeGmt\":{ms},\"duration\":600000,\"distance\":180000}}"
        )
    };
    let table =
        |summaries: &[String]| format!("[{{\"summarizedActivitiesExport\":[{}]}}]", summaries.join(","));
    let rows = |tables: [Vec<String>; 2], has_file: bool| {
        let place = Place::new();
        for (number, summaries) in tables.iter().enumerate() {
            place.file(&format!("export/{number}_summarizedActivities.json"), table(summaries));
        }
        if has_file {
            place.file("export/of_another_day.gpx", "<gpx><trk><trkseg><trkpt lat=\"1\" lon=\"1\"><time>2020-01-01T00:00:00Z</time></trkpt></trkseg></trk></gpx>");
        }
        let folder = place.folder.path().join("export");
        place.run(&["import", "garmin", folder.to_str().unwrap(), "--user", "u"]).expect(0);
        place.run(&["normalize"]).expect(0);
        let mut rows: Vec<Row> = timeless(place.rows("activities"));
        rows.retain(|row| row["start_time"].as_str() > "2021");
        rows
    };
    let first: Vec<String> = (1..30).map(|id| summary(id, "a")).collect();
    let second: Vec<String> = (30..60).map(|id| summary(id, "b")).collect();
    let apart = rows([first.clone(), second.clone()], false);
    assert_eq!(apart.len(), 59);
    assert_eq!(apart, rows([first.clone(), second.clone()], true));
    // Of one that is in two tables, there is one.
    let shared = [second, vec![summary(7, "c")]].concat();
    let twice = rows([first.clone(), shared.clone()], false);
    assert_eq!(twice.len(), 59);
    assert_eq!(twice, rows([first, shared], true));
}
