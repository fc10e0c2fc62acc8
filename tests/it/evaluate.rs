//! Measuring on people with everything that goes wrong: through the binary, from exports to figures.

use std::path::Path;

use super::support::Place;

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
