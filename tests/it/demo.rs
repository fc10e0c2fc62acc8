//! What a newcomer does first.

use std::process::Command;

use crate::consumer::Consumer;
use crate::support::{BINARY, Ended, files, parquet_files, rows};

#[test]
fn the_demo_does_the_whole_job_and_says_where_everything_is() {
    let folder = tempfile::tempdir().unwrap();
    let demo = || Ended::of(Command::new(BINARY).arg("demo").current_dir(&folder).output().unwrap());
    let ended = demo().expect(0);
    for said in
        ["3,200 activities", "waited", "imported", "of Parquet", "lake-demo/activities", "lake-demo/landing"]
    {
        assert!(ended.stderr.contains(said), "{said} is missing in {}", ended.stderr);
    }
    assert!(ended.stdout.contains("workouts_per_week") && ended.stdout.contains("2025"), "{}", ended.stdout);
    let lake = folder.path().join("lake-demo");
    assert_eq!(rows(&lake, "activities/strava").len(), 3200);
    assert!(rows(&lake, "activities/garmin").len() > 500, "Garmin's export was imported");
    assert!(rows(&lake, "activities/hevy").len() > 100, "Hevy's tables were imported");
    let size = |below: &str| files(&lake.join(below)).values().map(Vec::len).sum::<usize>();
    let landing = size("landing/strava");
    let dataset: u64 =
        parquet_files(&lake, "activities/strava").iter().map(|f| f.metadata().unwrap().len()).sum();
    // Five small files: a tenth of them is footers.
    assert!(dataset < landing as u64 * 11 / 10, "{dataset} bytes of Parquet from {landing} of landing");
    // What the pipeline missed stands in a file, and the pipeline would drop none of it.
    assert!(
        ended.stderr.contains("8. reconcile") && ended.stderr.contains("10. redrive"),
        "{}",
        ended.stderr
    );
    let messages = std::fs::read(lake.join("redrive/messages.jsonl")).unwrap();
    let mut consumer = Consumer::new();
    messages
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .for_each(|line| consumer.take(line));
    consumer.check();
    let delivered = ended.stderr.lines().find_map(|line| line.strip_prefix("delivered ")).unwrap();
    let delivered: usize = delivered.split(' ').next().unwrap().replace(',', "").parse().unwrap();
    assert!(delivered > 1_000 && delivered == consumer.runs.len(), "{}", ended.stderr);
    // Another one starts over, and does not mix with what is there.
    demo().expect(0);
    assert_eq!(rows(&lake, "activities/strava").len(), 3200);
}

#[test]
fn the_demo_clears_away_nothing_but_a_demo() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake-demo");
    let photo = lake.join("photo.jpg");
    std::fs::create_dir(&lake).unwrap();
    std::fs::write(&photo, b"holiday").unwrap();
    let demo = || Ended::of(Command::new(BINARY).arg("demo").current_dir(&folder).output().unwrap());
    let ended = demo().expect(2);
    assert!(ended.stderr.contains("is not a lake"), "{}", ended.stderr);
    assert!(photo.exists());
    // Nor a lake of somebody's own that happens to have the name.
    std::fs::remove_file(&photo).unwrap();
    longrun::store::lake::Lake::open_or_create(&lake).unwrap();
    let ended = demo().expect(2);
    assert!(ended.stderr.contains("is not a lake that a demo made"), "{}", ended.stderr);
    assert!(lake.join("lake.toml").exists());
}

#[test]
fn help_tells_a_newcomer_where_to_begin_and_what_exit_codes_mean() {
    let ended = Ended::of(Command::new(BINARY).arg("--help").output().unwrap()).expect(0);
    for said in ["longrun demo", "75  stopped at a quota", "3   done, with", "--lake"] {
        assert!(ended.stdout.contains(said), "{said} is missing in {}", ended.stdout);
    }
    Ended::of(Command::new(BINARY).arg("fetsch").output().unwrap()).expect(2);
}
