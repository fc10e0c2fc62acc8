//! Fetch, land and normalize, compared with the truth.

use std::collections::HashMap;

use longrun::store::landing::{Frames, Position};
use longrun::testing::emulator::{Config, Synthetic};
use longrun::testing::synth::{Options, Person, people, strava};

use crate::support::{Row, WIDE, World, files, rows, segments, timeless};

fn sum(rows: &[Row], user: &str, value: impl Fn(&Row) -> f64) -> f64 {
    rows.iter().filter(|row| row["user_id"] == user).map(value).sum()
}

fn number(row: &Row, column: &str) -> f64 {
    row.get(column).map_or(0.0, |value| value.parse().unwrap())
}

fn points(row: &Row) -> f64 {
    row.get("track_lat_e5").map_or(0.0, |list| list.split(',').count() as f64)
}

fn assert_truth(rows: &[Row], people: &[Person], is_detail: bool) {
    for person in people {
        let truth = strava::totals(person);
        let expected = if is_detail { truth.detail_points } else { truth.points };
        assert_eq!(sum(rows, &person.user_id, |_| 1.0), truth.activities as f64);
        assert_eq!(sum(rows, &person.user_id, |row| number(row, "elapsed_s")), truth.elapsed_s as f64);
        assert_eq!(sum(rows, &person.user_id, points), expected as f64);
        let distance_m = sum(rows, &person.user_id, |row| number(row, "distance_m"));
        assert!((distance_m - truth.distance_m).abs() < 1e-3, "{distance_m} {}", truth.distance_m);
    }
}

#[test]
fn every_depth_comes_to_the_truth() {
    let options = Options { seed: 3, users: 3, activities: 90 };
    let (world, people) = World::of(options, Config { limits: WIDE, ..Config::default() });
    world.fetch(&[]).expect(0);
    world.run(&["normalize"]).expect(0);
    assert_truth(&rows(&world.lake_folder(), "activities"), &people, false);

    let fetched = world.fetch(&["--depth", "streams"]).expect(0).json();
    assert_eq!(fetched["pages"], 0, "the list is known");
    assert_eq!(fetched["details"], 270);
    world.run(&["normalize"]).expect(0);
    let activities = rows(&world.lake_folder(), "activities");
    assert_truth(&activities, &people, true);
    assert!(activities.iter().filter(|row| row.contains_key("laps")).count() > 200);
    assert!(activities.iter().any(|row| row.contains_key("segment_efforts")));

    let streams = rows(&world.lake_folder(), "streams");
    let recorded =
        people.iter().flat_map(|p| &p.workouts).filter(|w| strava::streams(&people[0], w).is_some());
    let samples: HashMap<String, u32> = recorded.map(|w| (w.id.to_string(), w.moving_s)).collect();
    assert_eq!(streams.len(), samples.len());
    for row in &streams {
        assert_eq!(row["samples"], samples[&row["source_id"]].to_string());
        assert_eq!(row["time_s"].split(',').count(), row["samples"].parse::<usize>().unwrap());
    }
}

#[test]
fn short_pages_lose_nothing_and_a_page_is_never_asked_for_twice() {
    let options = Options { seed: 4, users: 2, activities: 700 };
    let (world, people) = World::of(options, Config { limits: WIDE, short_pages: true, ..Config::default() });
    world.fetch(&[]).expect(0);
    world.run(&["normalize"]).expect(0);
    assert_truth(&rows(&world.lake_folder(), "activities"), &people, false);
    let mut asked = world.emulator.log();
    let total = asked.len();
    asked.sort_by(|a, b| (a.athlete, &a.path_and_query).cmp(&(b.athlete, &b.path_and_query)));
    asked.dedup();
    assert_eq!(asked.len(), total);
}

#[test]
fn more_activities_of_one_second_than_fit_on_a_page_are_all_found() {
    let mut people = people(Options { seed: 5, users: 1, activities: 600 });
    let start = people[0].workouts[200].start;
    for workout in &mut people[0].workouts[200..500] {
        workout.start = start;
    }
    let config = Config { limits: WIDE, ..Config::default() };
    let world = World::new(config, Box::new(Synthetic::new(people.clone())));
    world.fetch(&[]).expect(0);
    world.run(&["normalize"]).expect(0);
    assert_truth(&rows(&world.lake_folder(), "activities"), &people, false);
}

#[test]
fn normalizing_again_changes_no_byte_and_from_scratch_makes_the_same_files() {
    let options = Options { seed: 6, users: 2, activities: 80 };
    let (world, _) = World::of(options, Config { limits: WIDE, ..Config::default() });
    let datasets = || {
        let mut all = files(&world.lake_folder());
        all.retain(|path, _| path.extension().is_some_and(|e| e == "parquet"));
        all
    };
    world.fetch(&["--depth", "streams"]).expect(0);
    world.run(&["normalize"]).expect(0);
    let before = datasets();
    assert!(before.len() > 10);
    let again = world.run(&["normalize"]).expect(0);
    assert!(again.stderr.contains("nothing new"), "{}", again.stderr);
    // Not with assert_eq: the bytes of a file help nobody.
    assert!(datasets() == before);
    for dataset in ["activities", "streams"] {
        std::fs::remove_dir_all(world.lake_folder().join(dataset)).unwrap();
    }
    world.run(&["normalize"]).expect(0);
    assert!(datasets() == before);
}

#[test]
fn normalizing_in_steps_ends_where_normalizing_at_once_does() {
    let options = Options { seed: 7, users: 3, activities: 60 };
    let config = || Config { limits: WIDE, ..Config::default() };
    let (at_once, _) = World::of(options, config());
    at_once.fetch(&["--depth", "streams"]).expect(0);
    at_once.run(&["normalize"]).expect(0);
    let (stepwise, _) = World::of(options, config());
    loop {
        let ended = stepwise.fetch(&["--depth", "streams", "--max-requests", "37"]);
        stepwise.run(&["normalize"]).expect(0);
        if ended.code == Some(0) {
            break;
        }
        ended.expect(75);
    }
    for dataset in ["activities", "streams"] {
        assert_eq!(
            timeless(rows(&stepwise.lake_folder(), dataset)),
            timeless(rows(&at_once.lake_folder(), dataset))
        );
    }
}

#[test]
fn new_activities_are_added_by_one_request_and_old_rows_stay() {
    let options = Options { seed: 8, users: 1, activities: 300 };
    let mut people = people(options);
    let newest = people[0].workouts.split_off(295);
    let config = || Config { limits: WIDE, ..Config::default() };
    let world = World::new(config(), Box::new(Synthetic::new(people.clone())));
    world.fetch(&["--depth", "list"]).expect(0);
    world.run(&["normalize"]).expect(0);
    people[0].workouts.extend(newest);
    let later = World {
        folder: world.folder,
        emulator: longrun::testing::emulator::Emulator::start(
            config(),
            Box::new(Synthetic::new(people.clone())),
        )
        .unwrap(),
        windows: world.windows,
    };
    later.add_accounts();
    assert_eq!(later.fetch(&[]).expect(0).json()["requests"], 0, "the list is an hour fresh");
    assert_eq!(later.fetch(&["--max-age", "0s"]).expect(0).json()["requests"], 1);
    let normalized = later.run(&["normalize", "--json"]).expect(0).json();
    assert_eq!(normalized["activities_added"], 5);
    assert_truth(&rows(&later.lake_folder(), "activities"), &people, false);
}

#[test]
fn anybody_can_read_the_landing() {
    let (world, people) = World::of(
        Options { seed: 9, users: 1, activities: 250 },
        Config { limits: WIDE, ..Config::default() },
    );
    world.fetch(&[]).expect(0);
    let lake = world.lake();
    let [path] = &segments(&lake, &people[0].user_id)[..] else { panic!("one run, one segment") };
    // As `zstdcat | jq` would: one stream, a JSON object on every line.
    let text = zstd::stream::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    let lines: Vec<serde_json::Value> = text
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    let bucket = lake.bucket(&people[0].user_id);
    assert_eq!(lines.len(), Frames::open(&lake, bucket, Position::default()).unwrap().count());
    assert_eq!(lines[0]["body"].as_array().unwrap().len(), 200);
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[0]["request"], "/athlete/activities?per_page=200");
    let [oldest] = &lines.last().unwrap()["body"].as_array().unwrap()[..] else { panic!("{}", lines.len()) };
    assert_eq!(*oldest, lines[1]["body"][49], "the walk ends on a page with nothing but the oldest activity");
}
