//! Which run on many machines put a file: a few bytes that a store's copy has before its footer, and a lake at home has not.
//!
//! Everything in a Parquet file lies where its footer says, so readers see nothing of them; and without them the file is
//! what one machine writes, byte for byte. They are there because stores tell versions apart by a hash of the bytes: a
//! file that goes from one content to another and back would be the same version again, and who read it first would
//! write over it.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Result};

const MARK: &[u8] = b"longrun run ";
/// The mark, and twelve digits.
pub const LENGTH: u64 = 24;
/// Behind the footer come its length and the name of the format.
const TAIL: u64 = 8;

/// Where the footer of such a file begins, by its last eight bytes; None of a file that is none.
fn footer(tail: &[u8], length: u64) -> Option<u64> {
    let bytes = u32::from_le_bytes(*tail.first_chunk()?);
    (tail.len() as u64 == TAIL && &tail[4..] == b"PAR1")
        .then(|| length.checked_sub(TAIL + u64::from(bytes)))
        .flatten()
}

/// The order that these bytes are the stamp of.
pub(super) fn parse(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.strip_prefix(MARK)?;
    (bytes.len() as u64 == LENGTH && digits.iter().all(u8::is_ascii_digit))
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())
        .flatten()
}

/// The same file with the stamp of a run; one of order 0, and what is no Parquet, has none.
pub fn put_in(mut bytes: Vec<u8>, order: u64) -> Vec<u8> {
    let length = bytes.len();
    let at = footer(&bytes[length.saturating_sub(TAIL as usize)..], length as u64);
    if let Some(at) = at.filter(|_| order > 0) {
        let stamp = [MARK, format!("{order:012}").as_bytes()].concat();
        assert_eq!(stamp.len() as u64, LENGTH, "an order has twelve digits");
        let at = at as usize;
        bytes.splice(at..at, stamp);
    }
    bytes
}

/// Takes the stamp out of a file of this machine. Returns the order of the run that put it, 0 where it has none.
pub fn take_out(path: &Path) -> Result<u64> {
    let work = || -> std::io::Result<u64> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        let mut tail = [0; TAIL as usize];
        if length < TAIL + LENGTH {
            return Ok(0);
        }
        file.seek(SeekFrom::Start(length - TAIL))?;
        file.read_exact(&mut tail)?;
        let Some(at) = footer(&tail, length).and_then(|at| at.checked_sub(LENGTH)) else { return Ok(0) };
        file.seek(SeekFrom::Start(at))?;
        let mut rest = Vec::new();
        file.read_to_end(&mut rest)?;
        let (stamp, footer) = rest.split_at(LENGTH as usize);
        let Some(order) = parse(stamp) else { return Ok(0) };
        file.seek(SeekFrom::Start(at))?;
        file.write_all(footer)?;
        file.set_len(length - LENGTH)?;
        Ok(order)
    };
    work().map_err(Error::io("read", path))
}

/// Before the number of the run that put a text.
const TEXT_MARK: &str = "# run ";

/// A text of TOML with the number of the run that puts it.
pub fn mark(text: &str, order: u64) -> String {
    format!("{text}{TEXT_MARK}{order:012}\n")
}

/// The text without that number.
pub fn unmark(text: &[u8]) -> &[u8] {
    let length = TEXT_MARK.len() + 13;
    match text.split_at_checked(text.len().saturating_sub(length)) {
        Some((before, mark)) if mark.starts_with(TEXT_MARK.as_bytes()) => before,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dataset::{self, MadeFrom, Table};
    use crate::store::lake::{Bucket, Lake};

    #[test]
    fn a_stamped_file_reads_like_any_and_comes_back_to_the_byte() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open_or_create(folder.path()).unwrap();
        let key = lake.golden(Bucket(3));
        dataset::write(&lake, &key, Table::Golden, &MadeFrom::default(), []).unwrap();
        let plain = lake.backend().read(&key).unwrap().unwrap();
        let print = dataset::fingerprint(&lake, &key).unwrap();
        let stamped = put_in(plain.to_vec(), 1_790_000_000);
        assert_eq!(stamped.len() as u64, plain.len() as u64 + LENGTH);
        lake.put(&key, &stamped).unwrap();
        assert_eq!(dataset::made_from(&lake, &key).unwrap(), Some(MadeFrom::default()));
        assert_eq!(dataset::read(&lake, &key, None).unwrap().len(), 0);
        assert_eq!(dataset::fingerprint(&lake, &key).unwrap(), print);
        let path = lake.place(&key);
        assert_eq!(take_out(&path).unwrap(), 1_790_000_000);
        assert!(std::fs::read(&path).unwrap() == plain);
        assert_eq!(take_out(&path).unwrap(), 0);
        assert_eq!(put_in(plain.to_vec(), 0), plain);
        std::fs::write(&path, b"no Parquet").unwrap();
        assert_eq!(take_out(&path).unwrap(), 0);
    }
}
