//! Kills over every sink, at any moment and between batches, with faulty answers beside them: each message that is owed
//! arrives, under its one id and in its user's order.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::Value;

use super::FAST;
use crate::consumer::Consumer;
use crate::endpoint::{Does, Endpoint};
use crate::support::{Ended, Place};

/// Redrives of a place to one sink.
pub struct Redrives<'a> {
    pub place: &'a Place,
    pub sink: String,
    pub more: &'a [&'a str],
    pub environment: Vec<(&'a str, String)>,
}

impl Redrives<'_> {
    fn command(&self, more: &[&str]) -> Command {
        let args =
            [&["redrive", "--apply", "--json", "--sink", &self.sink], &FAST[..], self.more, more].concat();
        let mut command = self.place.command(&args);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, more: &[&str]) -> Ended {
        Ended::of(self.command(more).output().unwrap())
    }

    /// Messages that were begun, and whose end is not written down.
    fn in_doubt(&self) -> u64 {
        let state = rusqlite::Connection::open(self.place.lake().join("state.db")).unwrap();
        let count = "SELECT count(*) FROM redrives WHERE state IN ('intended', 'unknown')";
        state.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
    }

    /// Begins redrives and kills them, at any moment or when `armed` says so, until so many have died; then lets them
    /// run to their end. How many were begun.
    pub fn kill(
        &self,
        rng: &mut Pcg64Mcg,
        kills: usize,
        armed: &dyn Fn(Option<u32>, &mut Pcg64Mcg),
    ) -> usize {
        // How long one takes that is left alone: as long as the last that was, for others use the machine, too.
        let begin = Instant::now();
        assert!(matches!(self.run(&["--limit", "1"]).code, Some(0 | 3)));
        let mut alone = begin.elapsed();
        let (mut killed, mut runs, mut left_in_doubt) = (0, 0, 0);
        while killed < kills {
            runs += 1;
            assert!(runs < 20 * kills + 20, "only {killed} of {runs} could be killed");
            let limit = rng.random_range(1..=6_u32).to_string();
            let mut child = self
                .command(&["--limit", &limit])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            armed(Some(child.id()), rng);
            // Most at a time when there is something to break.
            let (begin, delay) = (Instant::now(), alone.mul_f64(rng.random_range(0.3..1.2)));
            while begin.elapsed() < delay && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_micros(200));
            }
            let _ = child.kill();
            let status = child.wait().unwrap();
            armed(None, rng);
            assert!(status.signal() == Some(9) || matches!(status.code(), Some(0 | 1 | 3)), "{status}");
            if status.signal() == Some(9) {
                killed += 1;
                left_in_doubt += usize::from(self.in_doubt() > 0);
                alone = alone.max(begin.elapsed());
            } else {
                alone = begin.elapsed();
            }
        }
        println!("{}: {killed} kills in {runs} runs, {left_in_doubt} with messages in doubt", self.sink);
        // Some more, if the sink was out of reach for too long.
        let ended = (0..10).map(|_| self.run(&[])).find(|ended| ended.code != Some(1)).unwrap();
        assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
        runs
    }
}

pub fn nothing_armed(_: Option<u32>, _: &mut Pcg64Mcg) {}

/// What is planned of a crowd: execution ids, and each activity's start by user.
pub struct Planned {
    pub ids: BTreeSet<String>,
    starts: BTreeMap<String, i64>,
}

impl Planned {
    pub fn of(place: &Place) -> Planned {
        let plan = place.dry_run(&[]);
        let ready = |entry: &&Value| entry["is_ready"] == true;
        let entries: Vec<&Value> = plan["entries"].as_array().unwrap().iter().filter(ready).collect();
        let word = |entry: &&Value, name: &str| entry[name].as_str().unwrap().to_string();
        let start = |entry: &&Value| word(entry, "start").parse::<jiff::Timestamp>().unwrap().as_second();
        Planned {
            ids: entries.iter().map(|entry| word(entry, "execution_id")).collect(),
            starts: entries
                .iter()
                .map(|entry| (word(entry, "record").split_off("strava:".len()), start(entry)))
                .collect(),
        }
    }

    /// Every one under its one id, and in its user's order.
    #[track_caller]
    pub fn check(&self, events: &[Vec<u8>]) {
        let mut consumer = Consumer::new();
        events.iter().for_each(|event| consumer.take(event));
        consumer.check();
        let ids: BTreeSet<String> = consumer.runs.keys().map(|(_, id)| id.clone()).collect();
        assert_eq!(ids, self.ids);
    }
}

/// An endpoint that answers badly now and then, and kills who asks when it is armed.
struct Killer {
    endpoint: Endpoint,
    target: Arc<Mutex<Option<(u32, usize)>>>,
}

impl Killer {
    fn start(seed: u64) -> Killer {
        let target: Arc<Mutex<Option<(u32, usize)>>> = Arc::default();
        let (armed, rng) = (target.clone(), Mutex::new(Pcg64Mcg::seed_from_u64(seed)));
        let script = move |number: usize| {
            let mut target = armed.lock().unwrap();
            if let Some((process, _)) = target.take_if(|(_, at)| number >= *at) {
                // Dead before it is taken, after it, or while the answer travels.
                let _ = Command::new("kill").args(["-9", &process.to_string()]).status();
            }
            match rng.lock().unwrap().random_range(0..20) {
                0 => Does::Answers(503),
                1 => Does::Answers(429),
                2 => Does::Cuts,
                3 => Does::TakesAndCuts,
                4 => Does::TakesLate,
                _ => Does::Takes,
            }
        };
        Killer { endpoint: Endpoint::start(Box::new(script)), target }
    }

    fn arm(&self, process: Option<u32>, rng: &mut Pcg64Mcg) {
        let at = self.endpoint.requests() + rng.random_range(1..=6_usize);
        *self.target.lock().unwrap() = process.map(|process| (process, at));
    }
}

/// The suite of kills, over every sink that needs nothing but this machine.
fn kill_over_every_sink(seed: u64, kills: usize) {
    println!("seed {seed}");
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let place = Place::crowd(5, 12 + 2 * u32::try_from(kills).unwrap().min(100));
    let planned = Planned::of(&place);
    let of = |sink: String| Redrives { place: &place, sink, more: &[], environment: vec![] };

    of(place.out()).kill(&mut rng, kills, &nothing_armed);
    assert_eq!(place.lines().len(), planned.ids.len(), "a file has each once");
    planned.check(&place.lines());

    for batch in ["", "#batch=3"] {
        let killer = Killer::start(seed + batch.len() as u64);
        let sink = format!("cloudevents:{}/{}{batch}", killer.endpoint.url(), batch.len());
        of(sink).kill(&mut rng, kills, &|process, rng| killer.arm(process, rng));
        planned.check(&killer.endpoint.events());
        assert_eq!(killer.endpoint.batches() > 0, !batch.is_empty());
    }

    let killer = Killer::start(seed + 100);
    let webhook =
        Redrives { more: &["--webhook-every", "0s"], ..of(format!("webhook:{}", killer.endpoint.url())) };
    webhook.kill(&mut rng, kills, &|process, rng| killer.arm(process, rng));
    let mut seen: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    let mut last: BTreeMap<u64, i64> = BTreeMap::new();
    for event in killer.endpoint.events() {
        let event: Value = serde_json::from_slice(&event).unwrap();
        let (owner, start_s) = (event["owner_id"].as_u64().unwrap(), event["event_time"].as_i64().unwrap());
        let is_first = seen.insert(event["object_id"].to_string(), (owner, start_s)).is_none();
        let last = last.entry(owner).or_insert(start_s);
        assert!(!is_first || start_s >= *last, "{event} came after a later one");
        *last = start_s.max(*last);
    }
    let starts: BTreeMap<String, i64> = seen.into_iter().map(|(id, (_, start_s))| (id, start_s)).collect();
    assert_eq!(starts, planned.starts);

    let folder = place.folder.path().join("rehearsal");
    let sent = of(String::new()).in_doubt();
    of(format!("rehearse:{}", folder.display())).kill(&mut rng, kills, &nothing_armed);
    let report: Value = serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["runs"].as_u64(), Some(planned.ids.len() as u64), "{report}");
    assert_eq!(
        (&report["out_of_order"], &report["repeated"]),
        (&Value::from(0), &Value::from(0)),
        "{report}"
    );
    assert_eq!(of(String::new()).in_doubt(), sent, "a rehearsal leaves nothing behind");
}

#[test]
fn kills_over_every_sink_lose_nothing_and_keep_the_order() {
    kill_over_every_sink(15, 12);
}

/// `cargo test --release --test it kills::five_hundred -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes"]
fn five_hundred_kills_over_every_sink() {
    let seed = std::env::var("LONGRUN_SEED").map_or(20_261_126, |seed| seed.parse().unwrap());
    kill_over_every_sink(seed, 100);
}
