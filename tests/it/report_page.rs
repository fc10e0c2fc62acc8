//! How much a report of a large lake holds, and how little of it a browser has to do when it opens it.

use longrun::model::polyline::{self, Track};
use longrun::report::{
    Calendar, Cell, Conflict, Given, Line, Map, Member, Month, Overview, Pair, Person, PersonPage, Report,
    Side, Totals, Workout, html, pack,
};

use crate::support::{Ended, python_with};

const WORKOUTS: usize = 100_000;
const PAIRS: usize = 10_000;
const PEOPLE: usize = 500;
const TRACKS: usize = 60_000;
const WORDS: [&str; 8] = ["strava", "garmin", "fitbit", "same", "fills", "run", "distance_m", "value"];

/// Numbers that look like chance, always the same: the constants are Knuth's for 64 bits.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }

    fn id(&mut self) -> String {
        format!("{}{:05}", 10_000 + self.below(80_000), self.below(100_000))
    }

    /// A walk from somewhere in a town.
    fn track(&mut self, points: usize, step: usize) -> String {
        let (mut lat, mut lon) = (480_000 + self.below(2_000) as i32, 20_000 + self.below(2_000) as i32);
        let mut track = Track::default();
        for _ in 0..points {
            lat += self.below(2 * step) as i32 - step as i32;
            lon += self.below(2 * step) as i32 - step as i32;
            track.lat_e5.push(lat);
            track.lon_e5.push(lon);
        }
        polyline::encode(&track)
    }
}

fn workout(chance: &mut Chance, number: usize) -> Workout {
    let members = (0..3).map(|source| Member { source, id: chance.id().into(), role: 3 }).collect();
    let conflict = |chance: &mut Chance| Conflict {
        field: 6,
        kind: 7,
        kept: format!("{}", 5_000 + chance.below(9_000)).into(),
        other: format!("{}", 5_000 + chance.below(9_000)).into(),
        member: 1,
    };
    Workout {
        user: (number * PEOPLE / WORKOUTS) as u32,
        title: Some(["Morning Run", "Lunch Ride", "Evening Swim"][chance.below(3)].into()),
        sport: Some(5),
        start_ms: 1_300_000_000_000 + (number % 200) as i64 * 150_000_000 + chance.below(80_000_000) as i64,
        utc_offset_s: Some(3600),
        distance_m: Some(3_000.0 + chance.below(20_000) as f64),
        moving_s: Some(900.0 + chance.below(9_000) as f64),
        members,
        lineage: (0..3).map(|member| Given { member, why: 4, fields: member as u32 }).collect(),
        conflicts: (0..number % 2).map(|_| conflict(chance)).collect(),
    }
}

fn pair(chance: &mut Chance, number: usize) -> Pair {
    let side = |source: &str, chance: &mut Chance| Side {
        name: format!("{source}:{}", chance.id()),
        title: Some("Morning Run".to_string()),
        sport: Some("run".to_string()),
        start_ms: 1_500_000_000_000 + chance.below(2_000_000_000) as i64 * 100,
        start_quality: "second".to_string(),
        distance_m: Some(chance.below(20_000) as f64),
        track: Some(chance.track(80, 40)),
        ..Side::default()
    };
    Pair {
        user: format!("user-{:04}", number % PEOPLE),
        a: side("strava", chance),
        b: side("garmin", chance),
        decision: "review".to_string(),
        reason: "weights".to_string(),
        bits: chance.below(200) as f32 / 10.0,
        probability: 0.5,
        weights: (0..9)
            .map(|n| (format!("level{n}"), Some("near".to_string()), chance.below(50) as f32))
            .collect(),
        ..Pair::default()
    }
}

/// Fifteen years of a few sources.
fn calendar(chance: &mut Chance) -> Calendar {
    let month = |n: usize, chance: &mut Chance| Month {
        month: format!("{}-{:02}", 2010 + n / 12, 1 + n % 12),
        records: WORDS[..3].iter().map(|s| (s.to_string(), 1 + chance.below(40) as u64)).collect(),
        km_before: chance.below(9_000) as f64,
        km_after: chance.below(3_000) as f64,
    };
    Calendar {
        months: (0..180).map(|n| month(n, chance)).collect(),
        days: (0..1_500).map(|day| (15_000 + 3 * day, 1 + chance.below(3) as u64, 1.5)).collect(),
    }
}

fn large() -> Report {
    let mut chance = Chance(7);
    let totals = |count: usize| Totals { count: count as u64, distance_km: 1e6, time_h: 1e5 };
    let line =
        |chance: &mut Chance| Line { user: chance.below(PEOPLE) as u32, points: chance.track(40, 9).into() };
    let cell = |at: i32, chance: &mut Chance| Cell {
        lat_e5: 4_812_500,
        lon_e5: 212_500 + 25_000 * at,
        lines: (0..TRACKS / 20).map(|_| line(chance)).collect(),
    };
    let person = |user: usize, chance: &mut Chance| Person {
        user: user as u32,
        records: totals(600),
        workouts: totals(200),
        review: 20,
        page: pack(&PersonPage { calendar: calendar(chance), ..PersonPage::default() }).into(),
    };
    Report {
        overview: Overview {
            users: PEOPLE as u64,
            activities: totals(3 * WORKOUTS),
            workouts: totals(WORKOUTS),
            shown_workouts: WORKOUTS as u64,
            shown_pairs: PAIRS as u64,
            ..Overview::default()
        },
        calendar: calendar(&mut chance),
        people: (0..PEOPLE).map(|user| person(user, &mut chance)).collect(),
        map: Map {
            cells: (0..20).map(|at| cell(at, &mut chance)).collect(),
            tracks: TRACKS as u64,
            every: 1,
        },
        pairs: (0..PAIRS).map(|number| pair(&mut chance, number)).collect(),
        workouts: (0..WORKOUTS).map(|number| workout(&mut chance, number)).collect(),
        users: (0..PEOPLE).map(|user| format!("user-{user:04}")).collect(),
        words: WORDS.map(str::to_string).to_vec(),
        field_sets: vec![vec!["distance_m".to_string()], vec!["title".to_string()], vec!["sets".to_string()]],
        ..Report::default()
    }
}

/// Guards by counts what `docs/benchmarks.md` says in seconds.
#[test]
fn a_page_of_100_000_workouts_is_small_and_draws_only_what_is_looked_at() {
    const MOST_BYTES: usize = 20 << 20;
    const MOST_AT_ONCE: usize = 200 << 10;
    const MOST_NODES: u64 = 2_000;
    let page = html(&large());
    assert!(page.len() < MOST_BYTES, "{} bytes", page.len());
    let at_once = page.find("id=\"block-").expect("the page has blocks");
    assert!(at_once < MOST_AT_ONCE, "{at_once} bytes before the first block");
    let Some(python) = python_with("selenium, axe_core_python") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    std::fs::write(&path, &page).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/report.py");
    let output = std::process::Command::new(python).args([script, "--open"]).arg(&path).output().unwrap();
    let ended = Ended::of(output);
    if ended.code == Some(77) {
        eprintln!("skipped: {}", ended.stdout.trim());
        return;
    }
    let seen = ended.expect(0).json();
    let blocks = (page.matches("id=\"block-").count() as u64, seen["blocks_left"].as_u64().unwrap());
    let nodes = seen["nodes"].as_u64().unwrap() - blocks.1;
    assert!(nodes < MOST_NODES, "{seen}");
    // The lists are there; of what they open, and of the map, at most what is in sight was unpacked.
    assert!(blocks.0 - blocks.1 < 40, "{blocks:?}");
    let listed: Vec<&str> = seen["listed"].as_array().unwrap().iter().filter_map(|l| l.as_str()).collect();
    for all in ["100,000 of 100,000", "10,000 of 10,000", "500 of 500"] {
        assert!(listed.contains(&all), "{seen}");
    }
}
