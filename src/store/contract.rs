//! What every backend promises, as one suite that each of them passes.

use std::io::{self, Read};

use super::backend::{Backend, Key, Put};
use super::local::Local;

fn key(name: &str) -> Key {
    Key::new(name)
}

fn put(backend: &dyn Backend, name: &str, bytes: &[u8]) {
    backend.put(&key(name), &mut |out| out.write_all(bytes)).unwrap();
}

fn read(backend: &dyn Backend, name: &str) -> Option<Vec<u8>> {
    backend.read(&key(name)).unwrap().map(|bytes| bytes.to_vec())
}

type Case = fn(&dyn Backend);

/// Runs the suite on new, empty backends.
fn suite(new: impl Fn() -> (tempfile::TempDir, Box<dyn Backend>)) {
    let cases: [(&str, Case); 10] = [
        ("what is not there is none, everywhere", nothing),
        ("an object is replaced whole", replaced),
        ("a replacement that fails leaves the old bytes", failed),
        ("an opened object stays the version it was", pinned),
        ("ranges are cut at the end", ranges),
        ("a conditional put takes the first and no other", conditional),
        ("a segment only grows, and is created once", segments),
        ("folders list what lies in them, in order", listed),
        ("files go up and come down as they are", copied),
        ("a lock keeps others out until it is dropped", locked),
    ];
    for (name, case) in cases {
        println!("{name}");
        let (_dir, backend) = new();
        case(&*backend);
    }
}

fn nothing(backend: &dyn Backend) {
    assert_eq!(read(backend, "a/b"), None);
    assert!(!backend.exists(&key("a/b")).unwrap());
    assert!(backend.path(&key("a/b")).unwrap().is_none());
    assert_eq!(backend.read_range(&key("a/b"), 0..4).unwrap(), None);
    assert_eq!(backend.list(&key("a")).unwrap(), []);
    assert_eq!(backend.names(&key("a")).unwrap(), Vec::<String>::new());
    backend.remove(&key("a/b")).unwrap();
}

fn replaced(backend: &dyn Backend) {
    assert_eq!(backend.put(&key("a/b"), &mut |out| out.write_all(b"old")).unwrap(), 3);
    put(backend, "a/b", b"newer");
    assert_eq!(read(backend, "a/b").unwrap(), b"newer");
    backend.remove(&key("a/b")).unwrap();
    assert_eq!(read(backend, "a/b"), None);
}

fn failed(backend: &dyn Backend) {
    put(backend, "a", b"old");
    let failed = backend.put(&key("a"), &mut |out| {
        out.write_all(b"new")?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    });
    assert!(failed.unwrap_err().to_string().contains("free some space"));
    assert_eq!(read(backend, "a").unwrap(), b"old");
    let left = std::fs::read_dir(backend.scratch().unwrap()).unwrap().count();
    assert_eq!(left, 0, "nothing is left in the making");
}

fn pinned(backend: &dyn Backend) {
    put(backend, "a", b"0123456789");
    let opened = backend.open(&key("a")).unwrap().unwrap();
    put(backend, "a", b"x");
    assert_eq!(opened.range(2..5).unwrap(), b"234"[..]);
    let mut rest = Vec::new();
    opened.from(7).read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"789");
    assert_ne!(opened.stat.version, backend.open(&key("a")).unwrap().unwrap().stat.version);
}

fn ranges(backend: &dyn Backend) {
    put(backend, "a", b"0123456789");
    for (range, bytes) in [(0..3, &b"012"[..]), (8..99, b"89"), (10..12, b""), (99..100, b"")] {
        assert_eq!(backend.read_range(&key("a"), range.clone()).unwrap().unwrap(), *bytes, "{range:?}");
    }
}

fn conditional(backend: &dyn Backend) {
    let done = |put: Put| match put {
        Put::Done(version) => version,
        Put::Changed => panic!("it was as expected"),
    };
    let first = done(backend.put_if(&key("a"), None, b"1").unwrap());
    assert_eq!(backend.put_if(&key("a"), None, b"2").unwrap(), Put::Changed);
    let second = done(backend.put_if(&key("a"), Some(&first), b"2").unwrap());
    assert_eq!(backend.put_if(&key("a"), Some(&first), b"3").unwrap(), Put::Changed);
    assert_eq!(read(backend, "a").unwrap(), b"2");
    backend.remove(&key("a")).unwrap();
    assert_eq!(backend.put_if(&key("a"), Some(&second), b"3").unwrap(), Put::Changed);
    // Of many at once, each update is somebody's: none is lost.
    put(backend, "count", b"0");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut won = 0;
                while won < 10 {
                    let opened = backend.open(&key("count")).unwrap().unwrap();
                    let count: u32 =
                        String::from_utf8(opened.all().unwrap().into()).unwrap().parse().unwrap();
                    let next = (count + 1).to_string();
                    let put =
                        backend.put_if(&key("count"), Some(&opened.stat.version), next.as_bytes()).unwrap();
                    won += u32::from(put != Put::Changed);
                }
            });
        }
    });
    assert_eq!(read(backend, "count").unwrap(), b"40");
}

fn segments(backend: &dyn Backend) {
    let mut segment = backend.append(&key("s/1")).unwrap();
    assert_eq!(segment.append(b"one").unwrap(), 0);
    assert_eq!(segment.append(b"two").unwrap(), 3);
    assert_eq!(read(backend, "s/1").unwrap(), b"onetwo");
    assert!(backend.append(&key("s/1")).is_err(), "it is somebody's");
    assert_eq!(read(backend, "s/1").unwrap(), b"onetwo");
}

fn listed(backend: &dyn Backend) {
    for name in ["a/2", "a/1", "a/b/3", "c"] {
        put(backend, name, name.as_bytes());
    }
    let keys: Vec<String> =
        backend.list(&key("a")).unwrap().into_iter().map(|(key, bytes)| format!("{key} {bytes}")).collect();
    assert_eq!(keys, ["a/1 3", "a/2 3", "a/b/3 5"]);
    assert_eq!(backend.names(&key("a")).unwrap(), ["1", "2"]);
    let versions = backend.versions(&key("a")).unwrap();
    assert_eq!(
        versions.iter().map(|(key, stat)| (key.as_str(), stat.bytes)).collect::<Vec<_>>(),
        [("a/1", 3), ("a/2", 3), ("a/b/3", 5)]
    );
    for name in [
        "d/hevy-017",
        "d/strava-016-2024",
        "d/strava-017-2023",
        "d/strava-017-2024",
        "d/strava-0170-1",
        "d/strava-018-1",
    ] {
        put(backend, name, b"");
    }
    assert_eq!(backend.names_from(&key("d"), "strava-017-").unwrap(), ["strava-017-2023", "strava-017-2024"]);
    assert_eq!(backend.names_from(&key("d"), "none").unwrap(), Vec::<String>::new());
    assert_eq!(read(backend, "d/hevy-017").unwrap(), b"", "an empty object is one");
}

fn copied(backend: &dyn Backend) {
    let scratch = backend.scratch().unwrap();
    let bytes: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let file = tempfile::NamedTempFile::new_in(&scratch).unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    backend.upload(&key("a/up"), file.path()).unwrap();
    backend.put_file(&key("a/moved"), file).unwrap();
    for name in ["a/up", "a/moved"] {
        let mut down = Vec::new();
        let stat = backend.download(&key(name), &mut down).unwrap().unwrap();
        assert!(down == bytes && stat.bytes == bytes.len() as u64);
        assert_eq!(stat, backend.open(&key(name)).unwrap().unwrap().stat);
        assert!(std::fs::read(backend.path(&key(name)).unwrap().unwrap()).unwrap() == bytes);
        let opened = backend.open(&key(name)).unwrap().unwrap();
        for (from, to) in
            [(299_990, 300_000), (150_000, 150_010), (0, 10), (60_000, 90_000), (70_000, 299_999)]
        {
            assert!(opened.range(from..to).unwrap() == bytes[from as usize..to as usize], "{from}..{to}");
        }
    }
    assert!(backend.download(&key("a/none"), &mut Vec::new()).unwrap().is_none());
}

fn locked(backend: &dyn Backend) {
    let held = backend.lock("store", "the store").unwrap();
    let refused = backend.lock("store", "the store").unwrap_err().to_string();
    assert!(refused.contains("another longrun") && refused.contains("the store"), "{refused}");
    backend.lock("other", "the other").unwrap();
    drop(held);
    backend.lock("store", "the store").unwrap();
}

#[cfg(feature = "cloud")]
#[test]
fn a_bucket_keeps_the_contract() {
    use super::object::Object;
    for prefix in ["", "people/lake"] {
        suite(|| {
            let dir = tempfile::tempdir().unwrap();
            let store = std::sync::Arc::new(object_store::memory::InMemory::new());
            // The folder beside it is known by the URL.
            let url = format!("mem://{}/{prefix}", dir.path().display());
            (dir, Box::new(Object::on(store, &url, prefix.to_string(), std::time::Duration::ZERO).unwrap()))
        });
    }
}

#[cfg(all(feature = "cloud", feature = "testing"))]
#[path = "../../tests/it/tasks/gcs.rs"]
mod gcs;
#[cfg(all(feature = "cloud", feature = "testing"))]
#[path = "../../tests/it/tasks/weed.rs"]
mod weed;

/// The same over a network, against the servers of the tests of tasks.
#[cfg(all(feature = "cloud", feature = "testing"))]
mod servers {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use object_store::aws::AmazonS3Builder;
    use object_store::gcp::GoogleCloudStorageBuilder;
    use object_store::{ClientOptions, ObjectStore};

    use super::{gcs, suite, weed};
    use crate::http::set_up_tls;
    use crate::store::object::Object;

    /// New backends in a bucket of a server, each below a prefix of its own.
    fn check(store: impl ObjectStore) {
        let store = Arc::new(store);
        let number = AtomicU32::new(0);
        suite(|| {
            let dir = tempfile::tempdir().unwrap();
            let prefix = format!("contract/{}", number.fetch_add(1, Ordering::Relaxed));
            let url = format!("mem://{}/{prefix}", dir.path().display());
            (dir, Box::new(Object::on(store.clone(), &url, prefix, std::time::Duration::ZERO).unwrap()))
        });
    }

    #[test]
    fn seaweedfs_keeps_the_contract() {
        let Some(weed) = weed::Weed::start() else { return };
        set_up_tls();
        let store = AmazonS3Builder::new()
            .with_bucket_name(gcs::BUCKET)
            .with_region("us-east-1")
            .with_access_key_id(weed::KEY)
            .with_secret_access_key(weed::SECRET)
            .with_endpoint(format!("http://127.0.0.1:{}", weed.port))
            .with_allow_http(true);
        check(store.build().unwrap());
    }

    #[test]
    fn the_double_of_googles_store_keeps_the_contract() {
        let gcs = gcs::Gcs::start(gcs::Faults::default());
        set_up_tls();
        let store = GoogleCloudStorageBuilder::new()
            .with_bucket_name(gcs::BUCKET)
            .with_service_account_key(gcs.account())
            .with_client_options(ClientOptions::new().with_allow_http(true));
        check(store.build().unwrap());
        assert!(gcs.objects().iter().any(|name| name.starts_with("contract/")), "it went there");
    }
}

#[test]
fn a_folder_keeps_the_contract() {
    suite(|| {
        let dir = tempfile::tempdir().unwrap();
        let backend = Box::new(Local::new(dir.path()));
        (dir, backend)
    });
}

#[test]
fn names_that_lead_out_or_look_like_partitions_are_no_keys() {
    for name in ["", "a//b", "../a", "a/./b", "bucket=017/a", "a\\b", "/a"] {
        assert_eq!(Key::parse(name), None, "{name:?}");
    }
}

#[test]
fn what_a_killed_process_left_in_the_making_is_gone_when_the_next_one_takes_a_lock() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Local::new(dir.path());
    let scratch = backend.scratch().unwrap();
    std::fs::write(scratch.join("dead"), b"bytes").unwrap();
    let alive = std::fs::File::create(scratch.join("alive")).unwrap();
    alive.lock().unwrap();
    drop(backend.lock("any", "any store").unwrap());
    let left: Vec<_> = std::fs::read_dir(&scratch).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["alive"]);
}
