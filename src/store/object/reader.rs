//! Reads one version of an object by ranges, a few of them ahead.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::{FIRST_BYTES, Shared};
use crate::store::backend::{Key, ReadAt, Stat};

/// What is read ahead grows up to this, for as long as an object is read from front to back.
const LONGEST_BYTES: u64 = 8 << 20;

#[derive(Debug)]
pub(super) struct Reader {
    shared: Arc<Shared>,
    key: Key,
    stat: Stat,
    /// The beginning, which came with the opening.
    first: Bytes,
    held: Mutex<Held>,
}

/// What was read last, and where it begins.
#[derive(Debug, Default)]
struct Held {
    begin: u64,
    bytes: Bytes,
}

impl Held {
    fn end(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }

    fn slice(&self, range: &Range<u64>) -> Option<&[u8]> {
        let at = usize::try_from(range.start.checked_sub(self.begin)?).ok()?;
        self.bytes.get(at..at + usize::try_from(range.end - range.start).ok()?)
    }
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, key: Key, stat: Stat, first: Bytes) -> Reader {
        let held = Mutex::new(Held { begin: 0, bytes: first.clone() });
        Reader { shared, key, stat, first, held }
    }
}

/// What to get so that a range is there: more than was asked for where more will be.
fn ahead(asked: &Range<u64>, held: (u64, u64), length: u64) -> Range<u64> {
    let (held_end, held_bytes) = held;
    if asked.start == held_end {
        let more = (2 * held_bytes).clamp(FIRST_BYTES, LONGEST_BYTES);
        return asked.start..asked.end.max(asked.start + more).min(length);
    }
    // The end of a Parquet file says where its parts are: what lies before the last bytes is asked for next.
    let begin =
        if asked.end == length { asked.start.min(length.saturating_sub(FIRST_BYTES)) } else { asked.start };
    begin..asked.end.max(begin + FIRST_BYTES).min(length)
}

impl ReadAt for Reader {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        let asked = offset..offset + buffer.len() as u64;
        if asked.end > self.stat.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(bytes) = (Held { begin: 0, bytes: self.first.clone() }).slice(&asked) {
            buffer.copy_from_slice(bytes);
            return Ok(());
        }
        let mut held = self.held.lock().expect("no thread panics while it holds this");
        if held.slice(&asked).is_none() {
            let wanted = ahead(&asked, (held.end(), held.bytes.len() as u64), self.stat.bytes);
            let got = self.shared.range(&self.key, &self.stat.version, wanted.clone());
            let bytes = got.map_err(|e| self.shared.unread(&e))?;
            *held = Held { begin: wanted.start, bytes };
        }
        let bytes = held.slice(&asked).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_on_is_read_ahead_and_the_end_comes_with_what_lies_before_it() {
        let kib = 1 << 10;
        assert_eq!(ahead(&(64 * kib..65 * kib), (64 * kib, 64 * kib), 1 << 20), 64 * kib..192 * kib);
        assert_eq!(ahead(&(900 * kib..901 * kib), (900 * kib, 1 << 30), 1 << 20), 900 * kib..1 << 20);
        assert_eq!(ahead(&((1 << 20) - 8..1 << 20), (64 * kib, 64 * kib), 1 << 20), 960 * kib..1 << 20);
        assert_eq!(ahead(&(100 * kib..300 * kib), (64 * kib, 64 * kib), 1 << 20), 100 * kib..300 * kib);
    }
}
