//! A property over random histories: lakes, exports, edits, deletions, answers of the sink and crashes, over several
//! runs. What is owed is accepted at least once, under one id, in its user's order, and nothing else is sent.
//!
//! Planning, driving and the ledger are the real ones; the sink is in this process, and a model beside it says what may
//! come. `LONGRUN_CASES=5000 LONGRUN_SEED=1 cargo test --release --test it histories` looks longer.

mod receiver;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use longrun::dedupe::{self, Gone};
use longrun::error::Error;
use longrun::redrive::route::pipeline_of;
use longrun::redrive::sinks::{Address, Settings, Spec};
use longrun::redrive::{self, Options};
use longrun::sources::strava::endpoints::DETAIL;
use longrun::store::lake::Lake;
use longrun::store::landing::{Header, Landing};
use longrun::{fitglue, normalize};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};

use super::detail;
use receiver::{Activity, Asked, Known, Name, RECEIVERS, Receiver, SPECS, user_name};

struct Case {
    name: String,
    rng: Pcg64Mcg,
    lake: Lake,
    spec: &'static Spec,
    receiver: Arc<Mutex<Receiver>>,
    users: u32,
    pipeline: u32,
    gone: Gone,
    next_id: u64,
    /// When the newest answer came.
    clock: Timestamp,
    /// What happened, for whoever looks at a failure.
    history: Vec<String>,
}

impl Case {
    fn new(folder: &Path, seed: u64) -> Case {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let spec = &SPECS[rng.random_range(0..SPECS.len())];
        let receiver = Receiver::new(seed ^ 1, spec.capabilities.keeps_order);
        let name = format!("case-{seed}");
        let receiver = Arc::new(Mutex::new(receiver));
        RECEIVERS.lock().unwrap().insert(name.clone(), receiver.clone());
        let mut case = Case {
            name,
            users: rng.random_range(1..=3),
            gone: if rng.random() { Gone::LeftOut } else { Gone::Counted },
            rng,
            lake: Lake::open_or_create(folder).unwrap(),
            spec,
            receiver,
            pipeline: 0,
            next_id: 1,
            clock: Timestamp::now() - SignedDuration::from_hours(1),
            history: Vec::new(),
        };
        for user in 0..case.users {
            (0..case.rng.random_range(1..=7)).for_each(|_| case.add(user));
        }
        case.settle();
        case.import_users();
        case.import(&[], "none.json");
        case
    }

    /// Each answer comes in a second of its own: within one, nobody could say which came first.
    fn land(&mut self, user: u32, id: u64, status: u16, body: &str) {
        self.clock += SignedDuration::from_secs(1);
        let header = Header {
            v: 1,
            source: "strava".to_string(),
            ask: DETAIL.ask(&id.to_string(), 0),
            user_id: user_name(user),
            account_id: "42".to_string(),
            request: format!("/activities/{id}"),
            fetched_at: self.clock,
            after: None,
            status,
        };
        Landing::open(&self.lake).unwrap().append(&header, body.as_bytes()).unwrap();
    }

    fn land_activity(&mut self, (user, id): Name) {
        let receiver = self.receiver.lock().unwrap();
        let activity = &receiver.activities[&(user, id)];
        let mut body = detail(id, &activity.start.to_string());
        body["name"] = json!(format!("Run {}", activity.edits));
        drop(receiver);
        self.land(user, id, 200, &body.to_string());
    }

    /// One more activity, on a day of its own.
    fn add(&mut self, user: u32) {
        let first: Timestamp = "2024-01-01T08:00:00Z".parse().unwrap();
        let mut receiver = self.receiver.lock().unwrap();
        let start = loop {
            let start = first + SignedDuration::from_hours(24 * self.rng.random_range(0..400_i64));
            if receiver.activities.iter().all(|((other, _), a)| *other != user || a.start != start) {
                break start;
            }
        };
        let id = self.next_id;
        self.next_id += 1;
        let is_poison = self.rng.random_range(0..12) == 0;
        receiver.activities.insert((user, id), Activity { start, is_poison, ..Activity::default() });
        drop(receiver);
        self.land_activity((user, id));
    }

    fn settle(&self) {
        normalize::run(&self.lake, |_| ()).unwrap();
        dedupe::run(&self.lake, &dedupe::Options { gone: self.gone, ..dedupe::Options::default() }, |_| ())
            .unwrap();
    }

    fn import(&self, documents: &[Value], file: &str) {
        let text = Value::from(documents.to_vec()).to_string();
        let now = Timestamp::now();
        fitglue::import(&self.lake, file, text.as_bytes(), now, now).unwrap().unwrap();
    }

    fn import_users(&self) {
        let id = format!("p{}", self.pipeline);
        let pipelines =
            json!([{"id": id, "source": "SOURCE_STRAVA", "destinations": ["DESTINATION_SHOWCASE"]}]);
        let user = |user| json!({"user_id": user_name(user), "tier": "athlete", "pipelines": pipelines});
        self.import(&(0..self.users).map(user).collect::<Vec<_>>(), "users.json");
    }

    /// The pipeline's runs, of some of what arrived and of some that it had by itself.
    fn import_runs(&mut self) {
        // What was delivered was delivered some time ago.
        let state = rusqlite::Connection::open(self.lake.root().join("state.db")).unwrap();
        state
            .execute_batch(
                "UPDATE redrives SET changed_s = changed_s - 60; UPDATE runs SET updated_s = updated_s - 60",
            )
            .unwrap();
        drop(state);
        let updated = Timestamp::now() - SignedDuration::from_secs(30);
        let mut receiver = self.receiver.lock().unwrap();
        let mut runs = Vec::new();
        for ((user, id), activity) in &mut receiver.activities {
            let mut run = |run_id: &str, status: &str| {
                runs.push(json!({"user_id": user_name(*user), "id": run_id, "source": "strava",
                    "source_activity_id": id.to_string(), "status": status, "updated_at": updated.to_string()}));
            };
            if activity.ids.is_empty() {
                if self.rng.random_range(0..8) == 0 && activity.known.is_none() {
                    run(&format!("own-{id}"), "synced");
                    activity.is_there = true;
                }
                continue;
            }
            if activity.is_there || self.rng.random_range(0..10) >= 6 {
                continue;
            }
            let status =
                ["synced", "synced", "synced", "failed", "tier_blocked"][self.rng.random_range(0..5)];
            activity.ids.iter().for_each(|id| run(id, status));
            self.history.push(format!("{user}, {id} {status}"));
            activity.is_there = status == "synced";
            activity.came_to_nothing = status != "synced";
            activity.known = Some(Known::Delivered);
        }
        drop(receiver);
        self.import(&runs, "runs.json");
    }

    /// Something that happens between two runs.
    fn happen(&mut self) {
        let names: Vec<Name> = self.receiver.lock().unwrap().activities.keys().copied().collect();
        let name = names[self.rng.random_range(0..names.len())];
        let what = self.rng.random_range(0..8);
        self.history.push(format!("{what} happens to {name:?}"));
        match what {
            0..=2 => self.import_runs(),
            3 | 4 => {
                let is_gone = {
                    let mut receiver = self.receiver.lock().unwrap();
                    let activity = receiver.activities.get_mut(&name).unwrap();
                    activity.edits += u32::from(!activity.is_gone);
                    activity.is_gone
                };
                if !is_gone {
                    self.land_activity(name);
                    self.settle();
                }
            }
            5 => {
                let user = self.rng.random_range(0..self.users);
                self.add(user);
                self.settle();
            }
            6 => {
                self.receiver.lock().unwrap().activities.get_mut(&name).unwrap().is_gone = true;
                self.land(name.0, name.1, 404, "");
                self.settle();
            }
            _ => {
                // A message in doubt would go another way under another id, where its pipeline is gone.
                let is_in_doubt = |activity: &Activity| activity.known == Some(Known::InDoubt);
                if !self.receiver.lock().unwrap().activities.values().any(is_in_doubt) {
                    self.pipeline += 1;
                    self.import_users();
                }
            }
        }
    }

    /// One run. How many messages were begun.
    fn run(&mut self, asked: Asked, behaves: bool) -> u64 {
        self.history.push(format!("run, {asked:?}"));
        self.receiver.lock().unwrap().begin(asked.clone(), behaves);
        let mut options = Options::to(Address::new(self.spec, &self.name).unwrap());
        options.users = asked.user.map(user_name).into_iter().collect();
        (options.since, options.limit) = (asked.since, asked.limit);
        options.retry_rejected = asked.retry_rejected;
        options.per_user = Duration::ZERO;
        options.per_second = NonZeroU32::new(1_000_000).unwrap();
        options.patience = Duration::from_millis(5);
        let (driven, ended) = match redrive::run(&self.lake, &options, &Settings::default(), &mut |_| ()) {
            // The one who was asked for has no workouts any more.
            Err(Error::Usage(_)) if asked.user.is_some() => return 0,
            ran => ran.unwrap(),
        };
        assert!(!behaves || ended.is_ok(), "{ended:?}");
        self.history.push(format!("{driven:?}"));
        driven.attempts
    }

    fn asked(&mut self) -> Asked {
        let starts: Vec<Timestamp> =
            self.receiver.lock().unwrap().activities.values().map(|activity| activity.start).collect();
        let sometimes = |rng: &mut Pcg64Mcg| rng.random_range(0..4) == 0;
        Asked {
            user: sometimes(&mut self.rng).then(|| self.rng.random_range(0..self.users)),
            since: sometimes(&mut self.rng).then(|| starts[self.rng.random_range(0..starts.len())]),
            limit: sometimes(&mut self.rng).then(|| self.rng.random_range(1..5)),
            retry_rejected: sometimes(&mut self.rng),
        }
    }

    fn live(&mut self) {
        for _ in 0..self.rng.random_range(2..=5) {
            let asked = self.asked();
            self.run(asked, false);
            self.happen();
        }
        // In the end the sink behaves, and everything is asked for.
        assert_eq!(
            (0..4).find(|_| self.run(Asked::default(), true) == 0).map(|_| ()),
            Some(()),
            "it comes to an end"
        );
        let receiver = self.receiver.lock().unwrap();
        assert_eq!(receiver.faults, Vec::<String>::new(), "after {:#?}", self.history);
        for (name, activity) in &receiver.activities {
            let is_done = match activity.is_poison {
                true => activity.known == Some(Known::Rejected),
                false => activity.known == Some(Known::Delivered) && !activity.ids.is_empty(),
            };
            assert!(
                !activity.is_owed() || is_done,
                "{name:?} is owed: {activity:?} after {:#?}, of {:#?}",
                self.history,
                receiver.activities
            );
            let pipelines: BTreeSet<&str> = activity.ids.iter().map(|id| pipeline_of(id)).collect();
            assert_eq!(pipelines.len(), activity.ids.len(), "{name:?} has one id: {activity:?}");
        }
    }
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn in_random_histories_each_owed_workout_is_accepted_in_order_and_nothing_else_is_sent() {
    let (seed, cases) = (number("LONGRUN_SEED", 20_261_126), number("LONGRUN_CASES", 100));
    println!("seeds {seed} to {}", seed + cases - 1);
    // Hundreds of small lakes: in memory, where the system has it.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let (next, taken) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cases {
                        return;
                    }
                    let lake = folder.path().join(number.to_string());
                    let mut case = Case::new(&lake, seed + number);
                    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.live()));
                    assert!(ended.is_ok(), "with LONGRUN_SEED={} LONGRUN_CASES=1", seed + number);
                    taken.fetch_add(case.receiver.lock().unwrap().taken, Ordering::Relaxed);
                    RECEIVERS.lock().unwrap().remove(&case.name);
                    std::fs::remove_dir_all(&lake).unwrap();
                }
            });
        }
    });
    println!("{cases} histories, {} messages taken", taken.into_inner());
}
