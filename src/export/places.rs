//! Where a person's files go: a folder or a zip.

use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::error::{Error, Result};
use crate::store::local;

pub trait Place {
    /// Puts a file there. In its name, `/` parts folders.
    fn put(&mut self, name: &str, from: &mut dyn Read) -> Result<()>;
}

pub struct Folder(PathBuf);

impl Folder {
    pub fn new(path: PathBuf) -> Folder {
        Folder(path)
    }
}

impl Place for Folder {
    fn put(&mut self, name: &str, from: &mut dyn Read) -> Result<()> {
        local::replace(&self.0.join(name), |file| io::copy(from, file).map(drop)).map(drop)
    }
}

/// A zip in the making. It has its name once it is whole.
pub struct Packed {
    path: PathBuf,
    zip: ZipWriter<BufWriter<tempfile::NamedTempFile>>,
}

impl Packed {
    pub fn new(path: &Path) -> Result<Packed> {
        let folder = path.parent().expect("a file lies in a folder");
        local::create_folder(folder)?;
        let staged = local::staged_in(folder)?;
        Ok(Packed { path: path.to_path_buf(), zip: ZipWriter::new(BufWriter::new(staged)) })
    }

    pub fn finish(self) -> Result<()> {
        let failed = Error::io("write", &self.path);
        let staged = self.zip.finish().map_err(io::Error::from).and_then(|file| {
            let staged = file.into_inner();
            staged.map_err(io::IntoInnerError::into_error)
        });
        local::persist(staged.map_err(failed)?, &self.path)
    }
}

impl Place for Packed {
    fn put(&mut self, name: &str, from: &mut dyn Read) -> Result<()> {
        // How long it will be is not known, and what was imported is packed already.
        let is_packed = name.starts_with("originals/") && !name.ends_with(".jsonl");
        let method = if is_packed { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default().compression_method(method).large_file(true);
        self.zip.start_file(name, options).map_err(|e| Error::io("write", &self.path)(e.into()))?;
        io::copy(from, &mut self.zip).map(drop).map_err(Error::io("write", &self.path))
    }
}

/// A name for a file that any system takes, and that no two ids share.
pub fn file_name(id: &str) -> String {
    let mut name = String::new();
    for (at, byte) in id.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_@+".contains(&byte) || (byte == b'.' && at > 0);
        match is_plain {
            true => name.push(char::from(byte)),
            false => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

/// Opens a file that may be anywhere.
pub fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(Error::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_leaves_the_folder_or_shares_a_name() {
        assert_eq!(file_name("alice@example.org"), "alice@example.org");
        assert_eq!(file_name("../../etc"), "%2E.%2F..%2Fetc");
        assert_eq!(file_name("a/b"), "a%2Fb");
        assert_ne!(file_name("a%2Fb"), file_name("a/b"));
        assert_eq!(file_name("Jürgen"), "J%C3%BCrgen");
    }
}
