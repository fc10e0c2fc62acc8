//! A file of JSON lines, each an event to the byte. It has each event once, however often it is sent; an event is known
//! by its user and its id.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;
use std::sync::Mutex;

use serde::Deserialize;
use twox_hash::XxHash3_128;

use super::{Capabilities, Carries, Message, Opening, Outcome, Pace, Place, Sending, Settings, Sink, Spec};
use crate::error::{Error, Result};
use crate::store::local::{Appender, Lock};

pub const SPEC: Spec = Spec {
    name: "file",
    usage: "file:PATH",
    capabilities: Capabilities {
        carries: Carries::Message,
        needs_account: false,
        reaches_pipeline: false,
        remembers: true,
        pace: Pace::Messages,
        // One sync for all of them.
        batch: 1024,
        keeps_order: true,
    },
    place,
    open,
};

fn place(path: &str) -> Result<Place> {
    let shown = std::path::absolute(path).map_err(Error::io("find", path))?.display().to_string();
    Ok(Place { target: path.to_string(), key: shown.clone(), shown, batch: None })
}

fn open<'a>(place: &'a Place, _: &'a Settings) -> Opening<'a> {
    Box::pin(async { Ok(Box::new(FileSink::open(Path::new(&place.target))?) as Box<dyn Sink>) })
}

pub struct FileSink {
    inner: Mutex<Inner>,
    _lock: Lock,
}

struct Inner {
    appender: Appender,
    /// Of the events that are in it.
    events: HashSet<u128>,
}

/// Of one user's event. Two people may have the same id, where one was sent before ids had the user in them.
fn hash(user_id: &str, id: &str) -> u128 {
    XxHash3_128::oneshot(format!("{user_id}\0{id}").as_bytes())
}

impl FileSink {
    pub fn open(path: &Path) -> Result<FileSink> {
        let path = std::path::absolute(path).map_err(Error::io("find", path))?;
        if path.file_name().is_none() || path.is_dir() {
            return Err(Error::Usage(format!("{} is a folder; name a file in it", path.display())));
        }
        let lock = Lock::of_file(&path)?;
        let (length, events) = read(&path)?;
        Ok(FileSink {
            inner: Mutex::new(Inner { appender: Appender::open(&path, length)?, events }),
            _lock: lock,
        })
    }
}

/// Every message does.
const BEGINS: &[u8] = b"{\"specversion\":\"1.0\",\"id\":\"";

fn foreign(path: &Path, byte: u64, what: &str) -> Error {
    Error::Usage(format!(
        "{} is not a file that messages were written to ({what} at byte {byte}); name another one",
        path.display()
    ))
}

/// Where the last whole line ends, and which events are there. What a crash cut off behind is no line.
fn read(path: &Path) -> Result<(u64, HashSet<u128>)> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
        #[serde(borrow)]
        data: Payload<'a>,
    }
    #[derive(Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        user_id: Cow<'a, str>,
    }
    let mut events = HashSet::new();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok((0, events)),
        Err(e) => return Err(Error::io("read", path)(e)),
    };
    let mut reader = BufReader::new(file);
    let (mut length, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(Error::io("read", path))?;
        if line.last() != Some(&b'\n') {
            // What a crash cut off begins as a message does; anything else is somebody's own.
            let known = line.len().min(BEGINS.len());
            if line[..known] != BEGINS[..known] {
                return Err(foreign(path, length, "no message begins"));
            }
            return Ok((length, events));
        }
        if !line.starts_with(BEGINS) {
            return Err(foreign(path, length, "no message begins"));
        }
        let event: Event =
            serde_json::from_slice(&line).map_err(|e| foreign(path, length, &e.to_string()))?;
        events.insert(hash(&event.data.user_id, &event.id));
        length += read as u64;
    }
}

impl Sink for FileSink {
    fn send<'a>(&'a self, messages: &'a [Message]) -> Sending<'a> {
        let mut inner = self.inner.lock().expect("no thread panics while it holds this");
        let mut new = HashSet::new();
        let mut lines = Vec::with_capacity(messages.iter().map(|message| message.bytes.len() + 1).sum());
        for message in messages {
            let event = hash(&message.user_id, &message.execution_id);
            if !inner.events.contains(&event) && new.insert(event) {
                lines.extend_from_slice(&message.bytes);
                lines.push(b'\n');
            }
        }
        // All of them are durable together, or none is there.
        let sent = if lines.is_empty() { Ok(0) } else { inner.appender.append(&lines) };
        let sent = sent.map(|_| {
            inner.events.extend(new);
            vec![Outcome::Delivered; messages.len()]
        });
        Box::pin(std::future::ready(sent))
    }
}
