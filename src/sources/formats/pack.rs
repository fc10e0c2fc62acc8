//! A folder as one zip, without compression and with nothing in it but names and bytes, so that the same folder is the
//! same archive whenever it is packed.

use std::fs::File;
use std::io;
use std::path::Path;

use zip::write::SimpleFileOptions;

use super::zip::Container;
use crate::error::{Error, Result};
use crate::store::local::making_in;

const CHUNK_BYTES: usize = 1 << 20;

/// Packs what a container of a folder lists into a new file in `scratch`.
pub fn pack(folder: &Path, container: &Container, scratch: &Path) -> Result<tempfile::NamedTempFile> {
    let staged = making_in(scratch)?;
    let failed = |e: zip::result::ZipError| Error::io("pack", folder)(e.into());
    let mut zip = zip::ZipWriter::new(io::BufWriter::with_capacity(CHUNK_BYTES, staged.as_file()));
    for entry in container.entries() {
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .large_file(entry.bytes >= u64::from(u32::MAX));
        let path = entry.path().expect("it was listed in a folder");
        let mut file = File::open(path).map_err(Error::io("read", path))?;
        zip.start_file(&*entry.name, options).map_err(failed)?;
        io::copy(&mut file, &mut zip).map_err(Error::io("pack", path))?;
    }
    zip.finish().map_err(failed)?.into_inner().map_err(|e| Error::io("pack", folder)(e.into_error()))?;
    Ok(staged)
}
