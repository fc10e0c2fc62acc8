//! Follows an export of runs that somebody keeps up to date, so that a user's next message waits for the run of the one
//! before. It is read on a thread of its own, and of a file that grows only what was added.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use twox_hash::XxHash64;

use crate::error::{Error, Result};
use crate::fitglue::runs::{self, Run, Status};
use crate::http;
use crate::redrive::options::{Watch, WatchFrom};

/// How often a file is looked at, which costs next to nothing.
pub const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often an address or a command is asked, which may cost somebody something.
const ASK_EVERY: Duration = Duration::from_secs(5);
const MOST_ANSWER_BYTES: usize = 1 << 30;
/// Of a file that was read before, to know that it has only grown.
const KNOWN_END_BYTES: u64 = 4096;

/// A run whose end is waited for.
pub struct Awaited {
    pub run_id: String,
    pub since: Instant,
}

/// What is known of runs; shared with the thread that reads.
#[derive(Default)]
struct Known {
    /// Of every run that the first reading had: a hash of what it said.
    before: HashMap<u64, u64>,
    /// Runs that say something else since.
    changed: HashMap<u64, Status>,
    failed: Option<Error>,
}

impl Known {
    fn take(&mut self, run: Run, is_first: bool) {
        let name = name(&run.user_id, &run.run_id);
        let said = XxHash64::oneshot(0, format!("{} {:?}", run.status.name(), run.updated_s).as_bytes());
        if is_first {
            self.before.insert(name, said);
        } else if self.before.get(&name) != Some(&said) {
            self.changed.insert(name, run.status);
        }
    }
}

fn name(user_id: &str, run_id: &str) -> u64 {
    XxHash64::oneshot(0, format!("{user_id}\0{run_id}").as_bytes())
}

/// Follows until it is dropped.
pub struct Follower {
    known: Arc<Mutex<Known>>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    pub longest: Duration,
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().expect("no thread panics while it holds this")
}

impl Follower {
    /// Reads what is there now, which is no answer to anything that is sent later, and starts to follow.
    pub fn start(watch: &Watch) -> Follower {
        let known = Arc::new(Mutex::new(Known::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut source = Source::of(watch.from.clone());
        let (shared, stopped) = (known.clone(), stop.clone());
        let (has_read, first_reading) = std::sync::mpsc::channel();
        // All readings are on this thread: whoever sends may not wait for the network in any other way than its own.
        let thread = std::thread::spawn(move || {
            // One that cannot be read yet has said nothing yet.
            drop(source.read(&mut |run| lock(&shared).take(run, true)));
            drop(has_read);
            while !stopped.load(Ordering::Relaxed) {
                if let Err(e) = source.read(&mut |run| lock(&shared).take(run, false)) {
                    lock(&shared).failed = Some(e);
                    return;
                }
                std::thread::park_timeout(source.every());
            }
        });
        // It ends when the thread lets go of the other side.
        first_reading.iter().for_each(|()| {});
        Follower { known, stop, thread: Some(thread), longest: watch.longest }
    }

    /// How a run ended, if it has.
    pub fn ended(&self, user_id: &str, run: &Awaited) -> Result<Option<Status>> {
        let mut known = lock(&self.known);
        if let Some(e) = known.failed.take() {
            return Err(e);
        }
        Ok(known.changed.get(&name(user_id, &run.run_id)).filter(|status| status.is_final()).cloned())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A reading under way ends with its time-out.
            drop(thread);
        }
    }
}

/// Where runs are read from.
enum Source {
    File(Growing),
    Url(reqwest::Url),
    Command(String),
}

impl Source {
    fn of(from: WatchFrom) -> Source {
        match from {
            WatchFrom::File(path) => Source::File(Growing { path, seen: None }),
            WatchFrom::Url(url) => Source::Url(url),
            WatchFrom::Command(command) => Source::Command(command),
        }
    }

    fn every(&self) -> Duration {
        match self {
            Source::File(_) => LOOK_EVERY,
            Source::Url(_) | Source::Command(_) => ASK_EVERY,
        }
    }

    fn read(&mut self, take: &mut dyn FnMut(Run)) -> Result<()> {
        match self {
            Source::File(file) => file.read(take),
            Source::Url(url) => runs::each(ask(url)?.as_slice(), take),
            Source::Command(command) => runs::each(output(command)?.as_slice(), take),
        }
    }
}

fn ask(url: &reqwest::Url) -> Result<Vec<u8>> {
    const TIMEOUT: Duration = Duration::from_secs(60);
    let failed =
        |why: String| Error::Remote(format!("failed to get the runs from {}: {why}", http::shown(url)));
    http::block_on(async {
        let client = http::client(std::slice::from_ref(url), TIMEOUT)?;
        let response = client.get(url.clone()).send().await;
        let response = response.map_err(|e| failed(http::chain(&e.without_url())))?;
        if !response.status().is_success() {
            return Err(failed(format!("HTTP {}", response.status().as_u16())));
        }
        http::body(response, MOST_ANSWER_BYTES).await.map_err(failed)
    })?
}

fn output(command: &str) -> Result<Vec<u8>> {
    let ended = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).output();
    let ended = ended.map_err(Error::io("run", "sh"))?;
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let said = said.lines().last().unwrap_or_default();
    Err(Error::Remote(format!("the command that prints the runs failed ({}): {said}", ended.status)))
}

/// A file of runs, read up to the end of its last whole line.
struct Growing {
    path: PathBuf,
    seen: Option<Seen>,
}

struct Seen {
    modified: SystemTime,
    length: u64,
    /// Lines were read up to here; None where the file is no lines, and is read whole.
    offset: Option<u64>,
    /// What stood before the offset.
    end: Vec<u8>,
}

impl Growing {
    fn read(&mut self, take: &mut dyn FnMut(Run)) -> Result<()> {
        let failed = |e| Error::io("read", &self.path)(e);
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failed(e)),
        };
        let metadata = file.metadata().map_err(failed)?;
        let (modified, length) = (metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len());
        if self.seen.as_ref().is_some_and(|seen| seen.modified == modified && seen.length == length) {
            return Ok(());
        }
        let from = match &self.seen {
            Some(Seen { offset: Some(offset), end, .. })
                if *offset <= length && before(&mut file, *offset).map_err(failed)? == *end =>
            {
                *offset
            }
            _ => 0,
        };
        let (offset, end) = if from == 0 && !is_lines(&mut file).map_err(failed)? {
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            runs::each(BufReader::new(&file), take)?;
            (None, Vec::new())
        } else {
            let offset = read_lines(&mut file, from, &self.path, take)?;
            (Some(offset), before(&mut file, offset).map_err(failed)?)
        };
        self.seen = Some(Seen { modified, length, offset, end });
        Ok(())
    }
}

/// Whether the file has an entry in each line, and no array around them or object over many lines.
fn is_lines(file: &mut File) -> std::io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut first = String::new();
    BufReader::new(file).take(1 << 20).read_line(&mut first)?;
    let first = first.trim_start_matches('\u{feff}').trim();
    let is_wrapper = first.starts_with("{\"") && serde_json::from_str::<serde_json::Value>(first).is_err();
    Ok(first.starts_with('{') && first != "{" && !is_wrapper)
}

/// The last bytes before an offset.
fn before(file: &mut File, offset: u64) -> std::io::Result<Vec<u8>> {
    let from = offset.saturating_sub(KNOWN_END_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(offset - from).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads whole lines from an offset on, and returns where they end.
fn read_lines(file: &mut File, from: u64, path: &Path, take: &mut dyn FnMut(Run)) -> Result<u64> {
    let failed = |e| Error::io("read", path)(e);
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut reader = BufReader::new(file);
    let (mut offset, mut line) = (from, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(failed)?;
        if line.last() != Some(&b'\n') {
            return Ok(offset);
        }
        offset += read as u64;
        runs::each(line.as_slice(), take)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn line(id: u32, status: &str) -> String {
        format!(
            "{{\"user_id\":\"u\",\"id\":\"r{id}\",\"source_activity_id\":\"{id}\",\"status\":\"{status}\"}}\n"
        )
    }

    fn ids(growing: &mut Growing) -> Vec<String> {
        let mut ids = Vec::new();
        growing.read(&mut |run| ids.push(format!("{} {}", run.run_id, run.status.name()))).unwrap();
        ids
    }

    #[test]
    fn of_a_growing_file_only_what_was_added_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runs.jsonl");
        let mut growing = Growing { path: path.clone(), seen: None };
        assert!(ids(&mut growing).is_empty(), "it is not there yet");
        let mut file = File::create(&path).unwrap();
        file.write_all((line(1, "synced") + &line(2, "running") + "{\"user_id\":\"u\",\"id\"").as_bytes())
            .unwrap();
        assert_eq!(ids(&mut growing), ["r1 synced", "r2 running"], "the last line is not whole");
        file.write_all(b":\"r3\",\"source_activity_id\":\"3\",\"status\":\"failed\"}\n").unwrap();
        file.write_all(line(2, "synced").as_bytes()).unwrap();
        assert_eq!(ids(&mut growing), ["r3 failed", "r2 synced"]);
        // Somebody wrote it anew: all of it is read, however long it is.
        std::fs::write(&path, line(9, "synced").repeat(20)).unwrap();
        assert_eq!(ids(&mut growing).len(), 20);
        std::fs::write(&path, format!("[{}]", line(7, "synced").trim())).unwrap();
        assert_eq!(ids(&mut growing), ["r7 synced"], "an array is read whole");
    }
}
