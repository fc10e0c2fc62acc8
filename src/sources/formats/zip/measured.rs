//! How much may be read: what inflates without measure, or is longer than a file may be, is cut short.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sources::Fault;

/// What is read into memory as a whole is at most this long.
pub const MAX_FILE_BYTES: u64 = 256 << 20;
/// Deflate cannot do better than about 1000 to 1; no export comes near.
pub const MAX_RATIO: u64 = 1000;
pub const ALWAYS_ALLOWED_BYTES: u64 = 1 << 30;

/// Reads to the end, and refuses what is longer than a file may be.
pub fn read_whole(input: &mut dyn Read, bytes: &mut Vec<u8>) -> Result<(), Fault> {
    input
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(bytes)
        .map_err(|e| Fault::record(format!("cannot be read: {e}")))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Fault::record(format!("longer than {MAX_FILE_BYTES} bytes")));
    }
    Ok(())
}

/// A reader that ends in an error where an archive inflates without measure.
pub struct Measured<'a> {
    pub input: &'a mut dyn Read,
    pub inflated: &'a AtomicU64,
    pub may_inflate: u64,
}

impl Read for Measured<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        if self.inflated.fetch_add(read as u64, Ordering::Relaxed) > self.may_inflate {
            return Err(io::Error::other("the archive inflates to more than a thousand times its size"));
        }
        Ok(read)
    }
}

/// Whether an error is of the disk that is written to, and not of the archive that is read.
pub fn is_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem | PermissionDenied)
}
