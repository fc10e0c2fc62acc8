//! Attempts that are disturbed at every put, over a backend that fails as stores do, compared with one machine byte for
//! byte.

#![cfg(feature = "testing")]

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::{Plan, Scratch, Step, Task, Wanted, Worked};
use crate::dedupe::{self, Thresholds};
use crate::error::{Error, Result};
use crate::normalize;
use crate::sources::Source;
use crate::store::archives::{self, Archives};
use crate::store::backend::{Append, Backend, Guard, Key, Opened, Put, Stat, Version};
use crate::store::dataset::stamp;
use crate::store::lake::{Bucket, Lake};
use crate::store::local::Local;
use crate::store::mirror::{Take, mirror};
use crate::store::names;
use crate::testing::synth::{self, Options};

/// What happens at one put.
enum Fault {
    /// The store refuses for longer than anybody asks again.
    Refused,
    /// It is in, and the store says it is not for as long.
    Unanswered,
    /// It is in, the answer is lost, and the same put, sent again, is refused.
    Lost,
    /// The process ends before the put, or right behind it.
    KilledBefore,
    KilledBehind,
    /// The process stands still, and meanwhile something else is done.
    Meanwhile(Box<dyn FnOnce() + Send>),
}

/// A backend of which one put goes wrong.
struct Faulty {
    inner: Arc<dyn Backend>,
    puts: AtomicU64,
    fault: Mutex<Option<(u64, Fault)>>,
    is_dead: AtomicBool,
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faulty")
    }
}

impl Faulty {
    fn alive(&self) -> Result<&dyn Backend> {
        if self.is_dead.load(Ordering::Relaxed) { Err(gone()) } else { Ok(&*self.inner) }
    }

    /// Whether this put goes wrong, and how.
    fn due(&self) -> Option<Fault> {
        let number = self.puts.fetch_add(1, Ordering::Relaxed);
        let mut fault = self.fault.lock().unwrap();
        if fault.as_ref().is_some_and(|(at, _)| *at == number) {
            fault.take().map(|(_, fault)| fault)
        } else {
            None
        }
    }

    /// One put, as it goes.
    fn disturbed<T>(
        &self,
        put: impl FnOnce() -> Result<T>,
        refused: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.alive()?;
        match self.due() {
            None => put(),
            Some(Fault::Meanwhile(work)) => {
                work();
                put()
            }
            Some(Fault::Refused) => Err(gone()),
            Some(Fault::Unanswered) => put().and_then(|_| Err(gone())),
            Some(Fault::Lost) => put().and_then(|_| refused()),
            Some(Fault::KilledBefore) => {
                self.is_dead.store(true, Ordering::Relaxed);
                Err(gone())
            }
            Some(Fault::KilledBehind) => {
                put()?;
                self.is_dead.store(true, Ordering::Relaxed);
                Err(gone())
            }
        }
    }
}

fn gone() -> Error {
    Error::Remote("503".to_string())
}

impl Backend for Faulty {
    fn open(&self, key: &Key) -> Result<Option<Opened>> {
        self.alive()?.open(key)
    }

    fn list(&self, folder: &Key) -> Result<Vec<(Key, u64)>> {
        self.alive()?.list(folder)
    }

    fn versions(&self, folder: &Key) -> Result<Vec<(Key, Stat)>> {
        self.alive()?.versions(folder)
    }

    fn names(&self, folder: &Key) -> Result<Vec<String>> {
        self.alive()?.names(folder)
    }

    fn put(
        &self,
        key: &Key,
        write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<()>,
    ) -> Result<u64> {
        self.disturbed(|| self.inner.put(key, write), || Ok(0))
    }

    fn put_if(&self, key: &Key, expected: Option<&Version>, bytes: &[u8]) -> Result<Put> {
        self.disturbed(|| self.inner.put_if(key, expected, bytes), || Ok(Put::Changed))
    }

    fn put_file(&self, key: &Key, file: tempfile::NamedTempFile) -> Result<()> {
        self.alive()?.put_file(key, file)
    }

    fn append(&self, key: &Key) -> Result<Box<dyn Append>> {
        self.alive()?.append(key)
    }

    fn remove(&self, key: &Key) -> Result<()> {
        self.alive()?.remove(key)
    }

    fn lock(&self, name: &str, what: &str) -> Result<Box<dyn Guard>> {
        self.alive()?.lock(name, what)
    }

    fn scratch(&self) -> Result<PathBuf> {
        self.inner.scratch()
    }

    fn path(&self, key: &Key) -> Result<Option<PathBuf>> {
        self.alive()?.path(key)
    }

    fn place(&self, key: &Key) -> PathBuf {
        self.inner.place(key)
    }
}

const ID: Options = Options { seed: 6, users: 2, activities: 5 };

/// Lands the list of a person, and imports what their other sources have.
fn land(lake: &Lake, number: u32) {
    let person = synth::person(ID, number);
    let frames = synth::bulk::pages(&person).concat();
    lake.put(&names::segment_key(Bucket(0), number + 1, 0), &frames).unwrap();
    let mut archives = Archives::open(lake).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let only = [Source::Strava, Source::Hevy];
    for export in synth::exports::of(&person, number, ID, Some(&only)) {
        let path = folder.path().join(export.name);
        std::fs::write(&path, &export.bytes).unwrap();
        let wanted = archives::Wanted {
            user_id: person.user_id.clone(),
            source: export.source.name().to_string(),
            name: export.name.to_string(),
            zone: export.timezone.map(str::to_string),
        };
        archives.copy(&wanted, &path, Timestamp::from_second(1_790_000_000).unwrap()).unwrap();
    }
}

/// What the datasets hold, whichever run put it.
fn datasets(backend: &dyn Backend) -> BTreeMap<Key, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in names::DATASETS {
        for (key, _) in backend.list(&Key::new(folder)).unwrap() {
            let mut file = tempfile::NamedTempFile::new_in(Scratch::default_folder()).unwrap();
            file.write_all(&backend.read(&key).unwrap().unwrap()).unwrap();
            stamp::take_out(file.path()).unwrap();
            found.insert(key, std::fs::read(file.path()).unwrap());
        }
    }
    found
}

struct World {
    /// What one person's data come to on one machine, and that of both.
    half: BTreeMap<Key, Vec<u8>>,
    /// What the first come to where nothing matches.
    strict: BTreeMap<Key, Vec<u8>>,
    whole: BTreeMap<Key, Vec<u8>>,
    /// Lakes with only the landing of one, and of both.
    landed: Lake,
    grown: Lake,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir_in(Scratch::default_folder()).unwrap();
        let lake = |name: &str, people: u32| {
            let lake = Lake::open_or_create_of(&folder.path().join(name), Some(1)).unwrap();
            (0..people).for_each(|number| land(&lake, number));
            lake
        };
        let local = lake("local", 1);
        let made = |thresholds: Thresholds| {
            normalize::run(&local, |_| {}).unwrap();
            let options = dedupe::Options { thresholds, ..dedupe::Options::default() };
            dedupe::run(&local, &options, |_| {}).unwrap();
            datasets(local.backend())
        };
        let half = made(Thresholds::default());
        let strict = made(STRICT);
        assert!(strict != half, "no pair matches");
        land(&local, 1);
        let whole = made(Thresholds::default());
        assert!(half.len() > 6 && whole.len() >= half.len(), "{:?}", whole.keys());
        World { half, strict, whole, landed: lake("landed", 1), grown: lake("grown", 2), _folder: folder }
    }

    /// A new store with what one person landed.
    fn store(&self, new: &dyn Fn() -> Arc<dyn Backend>) -> Arc<dyn Backend> {
        let store = new();
        mirror(&self.landed, &*store, Take::Everything, |_| {}).unwrap();
        store
    }

    /// The other one's data come in, as a push brings them.
    fn grow(&self, store: &dyn Backend) {
        for (key, _) in self.grown.backend().list(&Key::new("landing")).unwrap() {
            let bytes = self.grown.backend().read(&key).unwrap().unwrap();
            store.put(&key, &mut |out| out.write_all(&bytes)).unwrap();
        }
    }
}

fn over(backend: Arc<dyn Backend>) -> Lake {
    Lake::on(backend, "store").unwrap()
}

/// One task of all buckets.
fn attempt(lake: &Lake, id: &str, step: &Step) -> Result<Worked> {
    let plan = Plan::read(lake, id)?;
    let scratch = Scratch { folder: Scratch::default_folder(), most_bytes: None };
    super::run(&Task { lake, plan: &plan, buckets: vec![Bucket(0)], scratch }, step)
}

fn plan(lake: &Lake, id: &str) {
    let wanted = Wanted { id: Some(id.to_string()), ..Wanted::default() };
    super::plan(lake, None, &wanted, Timestamp::now()).unwrap();
}

/// Nothing matches.
const STRICT: Thresholds = Thresholds { match_odds: 1e300, review_odds: 1e299 };

fn strictly(lake: &Lake, id: &str) {
    let wanted = Wanted { id: Some(id.to_string()), thresholds: STRICT, ..Wanted::default() };
    super::plan(lake, None, &wanted, Timestamp::now()).unwrap();
}

fn undisturbed(lake: &Lake, id: &str, step: &Step) {
    let worked = attempt(lake, id, step).unwrap();
    assert!(worked.failed.is_empty() && worked.given_up.is_empty(), "{worked:?}");
}

/// Everything of a run that is planned.
fn through(lake: &Lake, id: &str) {
    undisturbed(lake, id, &Step::Normalize);
    super::learn(lake, &Plan::read(lake, id).unwrap()).unwrap();
    undisturbed(lake, id, &Step::Dedupe);
    super::finish(lake, &Plan::read(lake, id).unwrap()).unwrap();
}

#[track_caller]
fn assert_same(store: &dyn Backend, expected: &BTreeMap<Key, Vec<u8>>, what: &str) {
    let found = datasets(store);
    assert!(found.keys().eq(expected.keys()), "{what}: {:?}", found.keys());
    for (key, bytes) in &found {
        assert!(*bytes == expected[key], "{what}: {key} has other bytes");
    }
}

/// Disturbs each put of a step in each way, and runs on; then everybody's data land, and another run takes them.
fn disturbed(new: &dyn Fn() -> Arc<dyn Backend>) {
    let world = Arc::new(World::new());
    for step in [Step::Normalize, Step::Dedupe] {
        let mut at = 0;
        loop {
            let mut is_through = false;
            // Each put is lost, and killed before and behind; the others take turns.
            for kind in [2, 3, 4, 8, [0, 1, 5, 6, 7][at as usize % 5]] {
                let what = format!("{} put {at}, kind {kind}", step.name());
                let store = world.store(new);
                let calm = over(store.clone());
                plan(&calm, "r");
                if matches!(step, Step::Dedupe) {
                    undisturbed(&calm, "r", &Step::Normalize);
                    super::learn(&calm, &Plan::read(&calm, "r").unwrap()).unwrap();
                }
                let (twin, home) = (over(store.clone()), world.clone());
                let fault = match kind {
                    0 => Fault::Refused,
                    1 => Fault::Unanswered,
                    2 => Fault::Lost,
                    3 => Fault::KilledBefore,
                    4 => Fault::KilledBehind,
                    // A twin that is faster.
                    5 if matches!(step, Step::Normalize) => {
                        Fault::Meanwhile(Box::new(move || undisturbed(&twin, "r", &Step::Normalize)))
                    }
                    5 => Fault::Meanwhile(Box::new(move || undisturbed(&twin, "r", &Step::Dedupe))),
                    // The landing grows.
                    6 => Fault::Meanwhile(Box::new(move || home.grow(twin.backend()))),
                    // It is of a run that another one has ended, which makes less matches of the same.
                    8 => Fault::Meanwhile(Box::new(move || {
                        strictly(&twin, "stricter");
                        through(&twin, "stricter");
                        assert_same(twin.backend(), &home.strict, "a stricter run");
                    })),
                    // It comes so late that the run is over, and another one as well, which had more.
                    _ => Fault::Meanwhile(Box::new(move || {
                        through(&twin, "r");
                        home.grow(twin.backend());
                        plan(&twin, "later");
                        through(&twin, "later");
                        assert_same(twin.backend(), &home.whole, "another run");
                    })),
                };
                let faulty = Arc::new(Faulty {
                    inner: store.clone(),
                    puts: AtomicU64::new(0),
                    fault: Mutex::new(Some((at, fault))),
                    is_dead: AtomicBool::new(false),
                });
                // However it ends.
                let _ = attempt(&over(faulty.clone()), "r", &step);
                if faulty.fault.lock().unwrap().is_some() {
                    is_through = true;
                    break;
                }
                if kind >= 7 {
                    let expected = if kind == 7 { &world.whole } else { &world.strict };
                    assert_same(&*store, expected, &what);
                    continue;
                }
                through(&calm, "r");
                if kind < 6 {
                    assert_same(&*store, &world.half, &what);
                }
                world.grow(&*store);
                plan(&calm, "next");
                through(&calm, "next");
                assert_same(&*store, &world.whole, &what);
            }
            if is_through {
                break;
            }
            at += 1;
        }
        // The files of the bucket, and the sign that it is done.
        assert!(at >= 3, "{} puts of {}", at, step.name());
    }
}

#[test]
fn an_attempt_disturbed_at_any_put_comes_to_what_one_machine_makes() {
    // In memory: hundreds of stores are made, and none has to last.
    let folder = tempfile::tempdir_in(Scratch::default_folder()).unwrap();
    let number = AtomicU64::new(0);
    let new = || -> Arc<dyn Backend> {
        let name = number.fetch_add(1, Ordering::Relaxed).to_string();
        Arc::new(Local::new(&folder.path().join(name)))
    };
    disturbed(&new);
}

#[cfg(feature = "cloud")]
#[test]
fn an_attempt_over_a_bucket_disturbed_at_any_put_comes_to_what_one_machine_makes() {
    use crate::store::object::Object;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("mem://{}", folder.path().display());
    let new = || -> Arc<dyn Backend> {
        let store = Arc::new(object_store::memory::InMemory::new());
        Arc::new(Object::on(store, &url, "lake".to_string(), std::time::Duration::ZERO).unwrap())
    };
    disturbed(&new);
}
