//! The hash of what is written, taken on the way.

use std::hash::Hasher;
use std::io::{self, Write};

use twox_hash::XxHash64;

/// Of all bytes, and how many those are.
pub type Hash = (u64, u64);

/// Hashes and counts what is written.
pub struct Hashing<W> {
    hash: XxHash64,
    bytes: u64,
    out: W,
}

impl<W> Hashing<W> {
    pub fn new(out: W) -> Hashing<W> {
        Hashing { hash: XxHash64::with_seed(0), bytes: 0, out }
    }

    /// Of what was written so far.
    pub fn said(&self) -> Hash {
        (self.hash.finish(), self.bytes)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.out.write(bytes)?;
        self.hash.write(&bytes[..length]);
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Of bytes that are there, as [`Hashing`] has it.
pub fn hash(bytes: &[u8]) -> Hash {
    (XxHash64::oneshot(0, bytes), bytes.len() as u64)
}
