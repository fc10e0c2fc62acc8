//! Kills, faulty answers, edits and tokens that end, all at once and over and over: every activity ends up in the lake
//! once, and in its last version, and nobody has to give consent again.

use std::collections::{HashMap, HashSet};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longrun::store::landing::{Frames, Piece, Position};
use longrun::testing::emulator::{Asked, Config, OldTokens, Twist};
use longrun::testing::synth::Options;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::support::{WIDE, World, rows};

const CONCURRENCY: usize = 4;
/// One answer in five is none.
const FAULTY: u64 = 5;
/// Tokens that end so soon are renewed by every process.
const TOKENS: Duration = Duration::from_secs(30);

/// Faults of the API, and never of one thing: what fails again and again by itself waits for another day, so nothing
/// fails twice running.
#[derive(Default)]
struct Faults {
    failed: Mutex<HashSet<String>>,
}

impl Faults {
    fn of(&self, asked: &Asked) -> Option<Twist> {
        let mut failed = self.failed.lock().unwrap();
        let twist =
            faulty(asked).filter(|twist| twist.instead.is_none() || !failed.contains(asked.path_and_query));
        if twist.as_ref().is_some_and(|twist| twist.instead.is_some()) {
            failed.insert(asked.path_and_query.to_string());
        } else {
            failed.remove(asked.path_and_query);
        }
        twist
    }
}

fn faulty(asked: &Asked) -> Option<Twist> {
    // The token endpoint's requests have no numbers.
    let number = if asked.number > 0 { asked.number } else { asked.elapsed.as_micros() as u64 };
    // Spread over the numbers as if by chance, and the same for the same number.
    let dice = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    if !dice.is_multiple_of(FAULTY) {
        return None;
    }
    let twist = match dice / FAULTY % 4 {
        0 => Twist { instead: Some((503, b"busy".to_vec())), ..Twist::default() },
        1 => Twist { instead: Some((597, b"<html>maintenance</html>".to_vec())), ..Twist::default() },
        2 => Twist { date_shift_s: 7_200, ..Twist::default() },
        _ => Twist { delay: Duration::from_millis(30), ..Twist::default() },
    };
    Some(twist)
}

/// The process to kill, and when.
#[derive(Clone, Copy)]
struct Target {
    process: u32,
    at: At,
    delay: Duration,
}

#[derive(Clone, Copy)]
enum At {
    /// A request to the API, by its number.
    Request(u64),
    /// The next one for new tokens.
    Renewal,
}

/// Kills the process that this request was to be the last of.
fn strike(target: &Mutex<Option<Target>>, asked: &Asked) {
    let is_it = |target: &mut Target| match target.at {
        At::Request(number) => asked.number >= number,
        At::Renewal => asked.number == 0,
    };
    if let Some(Target { process, delay, .. }) = target.lock().unwrap().take_if(is_it) {
        std::thread::spawn(move || {
            std::thread::sleep(delay);
            // One that has ended by itself is no failure.
            let _ = Command::new("kill").args(["-9", &process.to_string()]).status();
        });
    }
}

/// Answers that landed.
fn landed(world: &World) -> usize {
    let lake = world.lake();
    let mut landed = 0;
    for bucket in lake.buckets() {
        for piece in Frames::open(&lake, bucket, Position::default()).unwrap() {
            landed += usize::from(matches!(piece.unwrap(), Piece::Frame(_)));
        }
    }
    landed
}

fn soak(kills: usize, activities: u32, seed: u64) {
    println!("seed {seed}");
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let target: Arc<Mutex<Option<Target>>> = Arc::default();
    let (armed, faults) = (target.clone(), Faults::default());
    let script = move |asked: &Asked| {
        strike(&armed, asked);
        faults.of(asked)
    };
    let config = Config {
        limits: WIDE,
        token_lifetime: TOKENS,
        old_tokens: OldTokens::EndWithUse,
        script: Some(Box::new(script)),
        ..Config::default()
    };
    let (world, people) = World::of(Options { seed, users: 3, activities }, config);
    let mut titles: HashMap<String, String> = HashMap::new();
    let args =
        ["fetch", "--depth", "streams", "--per-second", "10000", "--concurrency", "4", "--max-age", "0s"];
    let mut killed = 0;
    while killed < kills {
        let asked = world.emulator.log().len() as u64;
        let mut child = world.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let at = if killed % 4 == 3 { At::Renewal } else { At::Request(asked + rng.random_range(2..12)) };
        let delay = Duration::from_micros(rng.random_range(0..4_000));
        *target.lock().unwrap() = Some(Target { process: child.id(), at, delay });
        // A second one is turned away, or finds nobody there any more; it harms nothing either way.
        match killed % 50 {
            12 => drop(world.run(&["fetch", "--max-calls", "1"])),
            24 => drop(world.run(&["normalize"])),
            37 => drop(world.run(&["status"])),
            _ => {}
        }
        let ended = child.wait().unwrap();
        target.lock().unwrap().take();
        killed += usize::from(ended.code().is_none());
        if killed % 5 == 0 || ended.success() {
            let person = &people[rng.random_range(0..people.len())];
            let workout = &person.workouts[rng.random_range(0..person.workouts.len())];
            let title = format!("Edit {}", titles.len());
            world.emulator.edit(&workout.id.to_string(), serde_json::json!({"name": title}));
            titles.insert(workout.id.to_string(), title);
        }
    }
    // Edits of what is old are found by a walk of the whole list.
    world.run(&[&args[..], &["--whole-list"]].concat()).expect(0);
    let normalized = world.run(&["normalize"]);
    let rejects = rows(&world.lake_folder(), "rejects");
    assert!(rejects.is_empty(), "{} rejects, such as {:?}", rejects.len(), rejects.first());
    normalized.expect(0);
    let found = rows(&world.lake_folder(), "activities");
    assert_eq!(found.len(), 3 * activities as usize, "every activity once");
    for row in &found {
        assert!(row.contains_key("detail_at"), "{row:?}");
        if let Some(title) = titles.get(&row["source_id"]) {
            assert_eq!(&row["title"], title, "in its last version");
        }
    }
    let answered = world.emulator.log().iter().filter(|logged| logged.status == 200).count();
    let lost = answered - landed(&world);
    println!(
        "{killed} kills, {answered} sound answers, {lost} of them lost with a process, {} edits, tokens renewed {} times",
        titles.len(),
        world.emulator.renewals()
    );
    assert!(world.emulator.renewals() > killed as u64 / 2, "tokens ended all the time");
    assert!(lost <= killed * CONCURRENCY, "no more than were in flight");
    world.run(&["verify"]).expect(0);
    assert_eq!(world.fetch(&["--max-age", "1h", "--depth", "streams"]).expect(0).json()["requests"], 0);
}

#[test]
fn kills_faults_and_edits_end_in_the_same_lake() {
    soak(15, 30, 20_261_127);
}

/// `cargo test --release --test it soak -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes"]
fn five_hundred_kills_with_faults_and_edits_end_in_the_same_lake() {
    soak(500, 200, 20_261_128);
}
