//! A file of JSON lines, each an event to the byte. It has each event once, however often it is sent.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;
use std::sync::Mutex;

use serde::Deserialize;
use twox_hash::XxHash3_128;

use super::{Message, Outcome, Sending, Sink};
use crate::error::{Error, Result};
use crate::store::local::{Appender, Lock};

pub struct FileSink {
    inner: Mutex<Inner>,
    _lock: Lock,
}

struct Inner {
    appender: Appender,
    /// Of the ids that are in it.
    ids: HashSet<u128>,
}

fn hash(id: &str) -> u128 {
    XxHash3_128::oneshot(id.as_bytes())
}

impl FileSink {
    pub fn open(path: &Path) -> Result<FileSink> {
        let path = std::path::absolute(path).map_err(Error::io("find", path))?;
        if path.file_name().is_none() || path.is_dir() {
            return Err(Error::Usage(format!("{} is a folder; name a file in it", path.display())));
        }
        let lock = Lock::of_file(&path)?;
        let (length, ids) = read(&path)?;
        Ok(FileSink {
            inner: Mutex::new(Inner { appender: Appender::open(&path, length)?, ids }),
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
        id: std::borrow::Cow<'a, str>,
    }
    let mut ids = HashSet::new();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok((0, ids)),
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
            return Ok((length, ids));
        }
        if !line.starts_with(BEGINS) {
            return Err(foreign(path, length, "no message begins"));
        }
        let event: Event =
            serde_json::from_slice(&line).map_err(|e| foreign(path, length, &e.to_string()))?;
        ids.insert(hash(&event.id));
        length += read as u64;
    }
}

impl Sink for FileSink {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        let mut inner = self.inner.lock().expect("no thread panics while it holds this");
        let id = hash(&message.execution_id);
        let sent = if inner.ids.contains(&id) {
            Ok(Outcome::Delivered)
        } else {
            let line = [message.bytes.as_slice(), b"\n"].concat();
            inner.appender.append(&line).map(|_| {
                inner.ids.insert(id);
                Outcome::Delivered
            })
        };
        Box::pin(std::future::ready(sent))
    }
}
