//! Measuring on people with everything that goes wrong: through the binary, from exports to figures.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::support::{Place, Row};

fn corpus(place: &Place, seed: &str) -> String {
    let folder = place.lake().parent().unwrap().join("corpus").to_string_lossy().into_owned();
    let people = ["--seed", seed, "--users", "10", "--activities", "40"];
    place.run(&[&["synth", "corpus", "--out", &folder][..], &people].concat()).expect(0);
    folder
}

fn count(value: &serde_json::Value, path: &str) -> u64 {
    value.pointer(path).and_then(serde_json::Value::as_u64).unwrap_or_else(|| panic!("{path} in {value}"))
}

#[test]
fn a_corpus_goes_through_import_and_normalize_and_none_of_its_records_is_lost() {
    let place = Place::new();
    let folder = corpus(&place, "7004");
    let e = place.run(&["dedupe", "evaluate", "--json", "--corpus", &folder]).expect(0).json();
    assert_eq!(e["lost"].as_array().unwrap().len(), 0, "{}", e["lost"]);
    assert_eq!(e["baselines"].as_array().unwrap().len(), 12);
    let rows = std::fs::read_to_string(Path::new(&folder).join("truth.csv")).unwrap();
    assert!(count(&e, "/records") > 500 && count(&e, "/records") < rows.lines().count() as u64);
    let classes = e["classes"].as_array().unwrap();
    assert!(classes.len() > 30, "{classes:?}");
    let pairs: u64 = classes.iter().map(|class| count(class, "/pairs")).sum();
    assert!(pairs >= count(&e, "/pairs/right") + count(&e, "/pairs/missed"));
    let compared: u64 = e["reliability"].as_array().unwrap().iter().map(|bin| count(bin, "/pairs")).sum();
    assert_eq!(compared, count(&e, "/compared"));
    assert!(e["pairs"]["precision"]["value"].as_f64().unwrap() > 0.9, "{}", e["pairs"]);
}

#[test]
fn a_record_that_is_not_in_the_lake_is_missed_and_named() {
    let place = Place::new();
    let folder = corpus(&place, "3");
    let table = Path::new(&folder).join("truth.csv");
    let before = place.run(&["dedupe", "evaluate", "--json", "--corpus", &folder]).expect(0).json();
    let mut rows = std::fs::read_to_string(&table).unwrap();
    let first: Vec<String> = rows.lines().nth(1).unwrap().split(',').map(str::to_string).collect();
    let refused = format!("{},strava,no-such-id,{},cropped,part\n", first[0], first[3]);
    rows += &refused;
    std::fs::write(&table, &rows).unwrap();
    let after = place.run(&["dedupe", "evaluate", "--json", "--corpus", &folder]).expect(0).json();
    assert_eq!(after["lost"][0], format!("{} strava:no-such-id", first[0]));
    assert!(count(&after, "/pairs/missed") > count(&before, "/pairs/missed"));
    assert_eq!(count(&after, "/pairs/right"), count(&before, "/pairs/right"));
}

#[test]
fn what_went_wrong_is_shown_of_people_for_tuning_only() {
    let place = Place::new();
    let file = place.file("mistakes.jsonl", "");
    let refused = |seed: &str| {
        let people = ["--seed", seed, "--users", "2", "--activities", "10", "--mistakes", &file];
        place.run(&[&["dedupe", "evaluate"][..], &people].concat())
    };
    refused("1000").expect(2);
    refused("999").expect(0);
    let folder = corpus(&place, "7004");
    let ended = place.run(&["dedupe", "evaluate", "--corpus", &folder, "--mistakes", &file]).expect(2);
    assert!(ended.stderr.contains("below 1000"), "{}", ended.stderr);
}

/// The members of a golden row: source and id, and role.
fn members(row: &Row) -> Vec<(String, String)> {
    let of = |member: &str| {
        let (source, rest) = member.split_once(", source_id: ").unwrap();
        let (id, rest) = rest.split_once(", role: ").unwrap();
        (format!("{source}:{id}"), rest.split('}').next().unwrap().to_string())
    };
    row["members"].split("{source: ").skip(1).map(of).collect()
}

#[test]
fn golden_rows_count_each_outing_once_and_no_part_lowers_a_whole() {
    let place = Place::new();
    let folder = corpus(&place, "7005");
    let lake = place.lake().to_string_lossy().into_owned();
    place.run(&["dedupe", "evaluate", "--corpus", &folder, "--into", &lake]).expect(0);
    let activities = place.rows("activities");
    let by_name: HashMap<(&str, String), &Row> = activities
        .iter()
        .map(|row| ((row["user_id"].as_str(), format!("{}:{}", row["source"], row["source_id"])), row))
        .collect();
    let mut told: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    let golden = place.rows("golden");
    let (mut with_parts, mut of_pieces) = (0, 0);
    for row in &golden {
        let user = row["user_id"].as_str();
        let members = members(row);
        with_parts += u32::from(members.iter().any(|(_, role)| role == "part"));
        for (name, role) in &members {
            told.entry((user, name.clone())).or_default().push(role.clone());
        }
        for field in ["distance_m", "elapsed_s", "moving_s", "elevation_gain_m", "calories_kcal"] {
            let number = |row: &Row| row.get(field).map(|value| value.parse::<f64>().unwrap());
            let wholes = members.iter().filter(|(_, role)| role == "same");
            let least = wholes.filter_map(|(name, _)| number(by_name[&(user, name.clone())]));
            let least = least.fold(f64::INFINITY, f64::min);
            assert!(!number(row).is_some_and(|value| value < least && least.is_finite()), "{field}: {row:?}");
        }
        for field in ["distance_m", "elapsed_s", "avg_heart_rate_bpm", "avg_power_w", "calories_kcal"] {
            let value = row.get(field).map(|value| value.parse::<f64>().unwrap());
            assert_ne!(value, Some(0.0), "0 is no value: {field} of {row:?}");
        }
        // The track of pieces: one behind the other, in the order of time.
        let entries = row["lineage"].split("{source: ").skip(1);
        let mut pieces: Vec<&Row> = Vec::new();
        for entry in entries.filter(|entry| entry.contains("why: piece")) {
            let fields = entry.split_once("fields: [").unwrap().1.split(']').next().unwrap();
            if fields.split(", ").any(|field| field == "track_lat_e5") {
                let (source, rest) = entry.split_once(", source_id: ").unwrap();
                let name = format!("{source}:{}", rest.split(',').next().unwrap());
                pieces.push(by_name[&(user, name)]);
            }
        }
        if !pieces.is_empty() {
            pieces.sort_by_key(|piece| piece["start_time"].clone());
            let points =
                |row: &Row| row.get("track_lat_e5").map(|track| track.trim_matches(['[', ']']).to_string());
            let joined: Vec<String> = pieces.into_iter().filter_map(points).collect();
            assert_eq!(points(row), Some(joined.join(", ")), "{}", row["golden_id"]);
            of_pieces += 1;
        }
    }
    for (name, row) in &by_name {
        let roles = told.get(name).unwrap_or_else(|| panic!("{name:?} is in no row: {row:?}"));
        assert!(roles.len() == 1 || roles.iter().all(|role| role == "whole"), "{name:?}: {roles:?}");
    }
    assert!(with_parts > 10 && of_pieces > 0, "{with_parts} rows with parts, {of_pieces} with pieces");
}
