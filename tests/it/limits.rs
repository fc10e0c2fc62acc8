//! The rate windows, as the server counts them.

use longrun::testing::emulator::{Config, Limits};
use longrun::testing::synth::Options;

use crate::support::{WIDE, World};

const PEOPLE: Options = Options { seed: 21, users: 4, activities: 12 };

/// Short windows that a run of [`PEOPLE`] has to wait for.
fn tight() -> Limits {
    Limits { overall_short: 40, read_short: 25, short_window_s: 1, ..WIDE }
}

fn refused(world: &World) -> usize {
    world.emulator.log().iter().filter(|request| request.status == 429).count()
}

#[test]
fn windows_are_waited_for_and_no_request_is_ever_refused() {
    for clock_offset_s in [0, 18_017, -4_000] {
        let (world, _) = World::of(PEOPLE, Config { limits: tight(), clock_offset_s, ..Config::default() });
        let summary = world.fetch(&["--depth", "detail"]).expect(0).json();
        assert!(summary["waits"].as_u64().unwrap() >= 1, "{summary}");
        assert_eq!(summary["details"], 48);
        assert_eq!(refused(&world), 0, "with a clock {clock_offset_s} s ahead");
    }
}

#[test]
fn the_overall_pair_is_honoured_where_it_is_the_narrower_one() {
    let limits = Limits { overall_short: 20, read_short: 500, ..tight() };
    let (world, _) = World::of(PEOPLE, Config { limits, ..Config::default() });
    let summary = world.fetch(&["--depth", "detail"]).expect(0).json();
    assert!(summary["waits"].as_u64().unwrap() >= 1, "{summary}");
    assert_eq!(refused(&world), 0);
}

#[test]
fn a_spent_day_ends_the_run_with_75_and_the_next_process_knows_of_it() {
    let limits = Limits { read_day: 30, day_s: 86_400, short_window_s: 900, ..WIDE };
    let (world, _) = World::of(PEOPLE, Config { limits, ..Config::default() });
    let ended = world.fetch(&["--depth", "detail", "--max-wait", "1s", "--reserve", "0"]).expect(75);
    assert!(ended.stderr.contains("the read day window is spent"), "{}", ended.stderr);
    assert_eq!(ended.json()["requests"], 30);
    let again = world.fetch(&["--depth", "detail", "--max-wait", "1s", "--reserve", "0"]).expect(75);
    assert_eq!(again.json()["requests"], 0, "nothing is spent that is not there");
    assert_eq!(refused(&world), 0);
}

#[test]
fn the_reserve_is_left_to_the_live_pipeline() {
    let limits = Limits { read_short: 40, short_window_s: 3_600, ..WIDE };
    let (world, _) = World::of(PEOPLE, Config { limits, ..Config::default() });
    let ended = world.fetch(&["--depth", "detail", "--max-wait", "0s", "--reserve", "0.5"]).expect(75);
    let requests = ended.json()["requests"].as_u64().unwrap();
    // Half of 40 at the beginning of the hour, none at its end.
    let into_hour = (jiff::Timestamp::now().as_second() % 3_600) as f64 / 3_600.0;
    let expected = 40.0 - 20.0 * (1.0 - into_hour);
    assert!((requests as f64 - expected).abs() <= 2.0, "{requests} requests, {into_hour} into the hour");
}

#[test]
fn a_429_that_others_cause_stops_the_window_at_once() {
    let limits = Limits { short_window_s: 2, read_short: 60, ..WIDE };
    let (world, _) = World::of(PEOPLE, Config { limits, ..Config::default() });
    let body = br#"{"message":"Rate Limit Exceeded","errors":[{"resource":"Application","field":"rate limit","code":"exceeded"}]}"#;
    world.emulator.plant("/activities/", 429, body.as_slice());
    let summary = world.fetch(&["--depth", "detail"]).expect(0).json();
    assert_eq!(summary["details"], 48, "what was refused is asked for again");
    assert!(summary["waits"].as_u64().unwrap() >= 1, "{summary}");
    assert_eq!(refused(&world), 1, "nothing followed it into its window");
}

#[test]
fn live_traffic_that_eats_the_window_is_seen() {
    let limits = Limits { short_window_s: 3_600, read_short: 100, ..WIDE };
    let (world, _) = World::of(PEOPLE, Config { limits, ..Config::default() });
    world.emulator.spend(93);
    let ended = world.fetch(&["--depth", "detail", "--max-wait", "0s", "--reserve", "0"]).expect(75);
    assert_eq!(ended.json()["requests"], 7);
    assert_eq!(refused(&world), 0);
}
