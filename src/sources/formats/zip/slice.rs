//! A part of a file that reads like a file of its own: a zip that lies unpacked within another one.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A part of a file, with a position of its own.
#[derive(Debug, Clone)]
pub struct Slice {
    file: Arc<File>,
    offset: u64,
    length: u64,
    at: u64,
}

impl Slice {
    pub fn whole(file: Arc<File>, length: u64) -> Slice {
        Slice { file, offset: 0, length, at: 0 }
    }

    /// A part of this part; it ends where this one does, at the latest.
    pub fn part(&self, start: u64, length: u64) -> Slice {
        let length = length.min(self.length.saturating_sub(start));
        Slice { file: self.file.clone(), offset: self.offset + start, length, at: 0 }
    }
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..wanted], self.offset + self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Slice {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
