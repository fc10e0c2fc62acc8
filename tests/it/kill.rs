//! SIGKILL at seeded moments, over and over: the lake must not know.

use std::collections::HashMap;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longrun::store::landing::{Frames, Position};
use longrun::testing::emulator::{Config, Logged};
use longrun::testing::synth::Options;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::support::{WIDE, World, rows, timeless};

const SEED: u64 = 20_261_123;
const CONCURRENCY: usize = 4;
const KILLS_OF_FETCH: usize = 30;
const KILLS_OF_NORMALIZE: usize = 30;
const OPTIONS: Options = Options { seed: 11, users: 3, activities: 60 };

/// The process to kill at a request.
#[derive(Default)]
struct Target {
    process: Option<u32>,
    at_request: u64,
    delay: Duration,
}

fn kill(process: u32) {
    // One that has ended by itself is no failure.
    let _ = Command::new("kill").args(["-9", &process.to_string()]).status();
}

fn is_killed(mut child: Child) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let status = child.wait().unwrap();
    assert!(status.signal() == Some(9) || status.success(), "{status}");
    status.signal() == Some(9)
}

fn landed(world: &World) -> usize {
    let lake = world.lake();
    let frames = |bucket| Frames::open(&lake, bucket, Position::default()).unwrap();
    lake.buckets().map(|bucket| frames(bucket).count()).sum()
}

#[test]
fn a_run_killed_anywhere_resumes_to_the_same_lake_and_repeats_only_what_was_in_flight() {
    println!("seed {SEED}");
    let mut rng = Pcg64Mcg::seed_from_u64(SEED);
    let (unbroken, _) = World::of(OPTIONS, Config { limits: WIDE, ..Config::default() });
    unbroken.fetch(&["--depth", "streams"]).expect(0);
    unbroken.run(&["normalize"]).expect(0);
    let needed = unbroken.emulator.log().len();

    let target = Arc::new(Mutex::new(Target::default()));
    let armed = target.clone();
    let hook = move |number: u64, _: &str| {
        let mut target = armed.lock().unwrap();
        if number >= target.at_request
            && let Some(process) = target.process.take()
        {
            // Before the answer, while it travels, or while it is being landed.
            let delay = target.delay;
            std::thread::spawn(move || {
                std::thread::sleep(delay);
                kill(process);
            });
        }
    };
    let (world, _) =
        World::of(OPTIONS, Config { limits: WIDE, hook: Some(Box::new(hook)), ..Config::default() });

    let (mut fetch_kills, mut normalize_kills) = (0, 0);
    loop {
        // On average the kills are spread over the whole of the fetch.
        let step = rng.random_range(1..=2 * needed / KILLS_OF_FETCH);
        *target.lock().unwrap() = Target {
            process: None,
            at_request: (world.emulator.log().len() + step) as u64,
            delay: Duration::from_micros(rng.random_range(0..4_000)),
        };
        let concurrency = CONCURRENCY.to_string();
        let args = ["fetch", "--depth", "streams", "--per-second", "10000", "--concurrency", &concurrency];
        let child = world.command(&args).stderr(std::process::Stdio::null()).spawn().unwrap();
        target.lock().unwrap().process = Some(child.id());
        let killed = is_killed(child);
        target.lock().unwrap().process = None;
        fetch_kills += usize::from(killed);
        if normalize_kills < KILLS_OF_NORMALIZE {
            let child = world.command(&["normalize"]).stderr(std::process::Stdio::null()).spawn().unwrap();
            let process = child.id();
            let delay = Duration::from_micros(rng.random_range(0..25_000));
            let killer = std::thread::spawn(move || {
                std::thread::sleep(delay);
                kill(process);
            });
            normalize_kills += usize::from(is_killed(child));
            killer.join().unwrap();
        }
        if !killed {
            break;
        }
    }
    // What is left of the kills goes to a normalize that has everything to do.
    while fetch_kills + normalize_kills < 50 || normalize_kills < KILLS_OF_NORMALIZE / 2 {
        let _ = std::fs::remove_dir_all(world.lake_folder().join("activities"));
        let child = world.command(&["normalize"]).stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(rng.random_range(0..25_000)));
        kill(child.id());
        normalize_kills += usize::from(is_killed(child));
    }
    world.run(&["normalize"]).expect(0);

    let mut asked: HashMap<Logged, usize> = HashMap::new();
    for request in world.emulator.log() {
        *asked.entry(request).or_default() += 1;
    }
    let repeated: usize = asked.values().map(|times| times - 1).sum();
    println!(
        "{fetch_kills} kills of fetch, {normalize_kills} of normalize; {needed} requests needed, {repeated} repeated, \
         {CONCURRENCY} in flight at most"
    );
    assert!(fetch_kills + normalize_kills >= 50);
    assert_eq!(asked.len(), needed);
    // What had landed was never asked for again, so what was repeated was in flight.
    assert_eq!(landed(&world), needed);
    assert!(repeated <= fetch_kills * CONCURRENCY);
    for dataset in ["activities", "streams"] {
        assert_eq!(
            timeless(rows(&world.lake_folder(), dataset)),
            timeless(rows(&unbroken.lake_folder(), dataset)),
            "{dataset}"
        );
    }
}
