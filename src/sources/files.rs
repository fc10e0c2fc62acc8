//! Files of any device: FIT, GPX and TCX, plain or gzipped, alone or by the hundred thousand.
//!
//! A file is known by the hash of what it holds, so that the same recording under another name,
//! or gzipped, is the same activity.

use flate2::read::MultiGzDecoder;
use ring::digest::{SHA256, digest};

use super::formats::recording::Recording;
use super::formats::zip::{ArchiveEntry, Container, read_whole};
use super::formats::{fit, gpx, tcx, xml};
use super::{ArchiveItem, Fault, OnItem, Parsed, Ranks, ReadFrom, Spec, in_parallel};
use crate::error::Result;
use crate::model::hex;

/// What is true of this source.
pub const SPEC: Spec = Spec {
    name: "files",
    help: "FIT, GPX and TCX files of any device",
    fitglue: "SOURCE_FILE_UPLOAD",
    ranks: Ranks { written: 70, measured: 20, sets: 70, sent: 70 },
    can_echo: false,
    gathers: true,
    app_key: None,
    only_sport: None,
    recognises,
    read,
};

/// The formats that devices write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Fit,
    Gpx,
    Tcx,
}

/// What a device file held.
#[derive(Debug, Default)]
pub struct DeviceFile {
    pub recordings: Vec<Recording>,
    /// Why other parts of it could not be read.
    pub faults: Vec<Fault>,
    /// Of its bytes, not gzipped, in hexadecimal.
    pub sha256: String,
}

/// Whether a name is one of a file that could hold recordings.
pub fn is_device_file(name: &str) -> bool {
    let name = name.to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".fit", ".gpx", ".tcx"].iter().any(|end| name.ends_with(end))
}

pub fn recognises(archive: &Container) -> bool {
    archive.entries().iter().take(10_000).any(|entry| is_device_file(&entry.name))
        || matches!(archive.entries(), [only] if format(&archive.head(only, 4096)).is_some())
}

/// Reads every device file of an archive. Other files are passed over.
pub fn read(archive: &Container, from: &ReadFrom, each: OnItem<'_>) -> Result<()> {
    let entries: Vec<&ArchiveEntry> = match archive.entries() {
        // A single file is meant, whatever it is called.
        [only] => vec![only],
        all => all.iter().filter(|entry| is_device_file(&entry.name)).collect(),
    };
    in_parallel(
        &entries,
        |entry| entry.weight(),
        |entry| items(archive, entry, from).into_iter().map(|item| item.finished(from)).collect(),
        each,
    )
}

/// The activities of one file, each an item.
pub fn items(archive: &Container, entry: &ArchiveEntry, from: &ReadFrom) -> Vec<ArchiveItem> {
    let at = format!("!{}", entry.name);
    match open(archive, entry) {
        Ok(file) if file.recordings.is_empty() && file.faults.is_empty() => {
            vec![ArchiveItem::nothing("file", at)]
        }
        Ok(file) => {
            let many = file.recordings.len();
            let recordings = file.recordings.into_iter().enumerate();
            let faults = file.faults.into_iter().map(|fault| ArchiveItem::fault("file", at.clone(), fault));
            let found = recordings.map(|(index, recording)| {
                let at = format!("{at}#{index}");
                if recording.is_device_time {
                    let reason = "counts from the device's own start: its clock was never set";
                    return ArchiveItem::fault("file", at, Fault::field("start_time", reason));
                }
                let (stated, streams) = recording.finish();
                let mut activity = from.adopt(stated, &at);
                activity.source_id = match many {
                    1 => file.sha256[..32].to_string(),
                    _ => format!("{}-{}", &file.sha256[..32], index + 1),
                };
                activity.origin = "file".to_string();
                activity.external_id = Some(entry.file_name().to_string());
                activity.file_sha256 = Some(file.sha256.clone());
                let streams = streams.map(|streams| from.streams(streams, &activity));
                ArchiveItem::of("file", at, Ok(Parsed::new(activity, streams, Vec::new())))
            });
            found.chain(faults.collect::<Vec<_>>()).collect()
        }
        Err(fault) => vec![ArchiveItem::fault("file", at, fault)],
    }
}

/// Reads one file of an archive.
pub fn open(archive: &Container, entry: &ArchiveEntry) -> Result<DeviceFile, Fault> {
    decode(archive.read(entry)?)
}

/// Recordings out of the bytes of a file, gzipped or not.
pub fn decode(bytes: Vec<u8>) -> Result<DeviceFile, Fault> {
    let (bytes, cut) = inflated(bytes)?;
    if bytes.is_empty() {
        return Err(Fault::record("an empty file"));
    }
    let sha256 = hex(digest(&SHA256, &bytes).as_ref());
    let read = match format(&bytes) {
        Some(Format::Fit) => fit::read(&bytes).map(|fit| (fit.recordings, fit.faults)),
        Some(Format::Gpx) => gpx::read(&xml::text(&bytes)).map(|tracks| (tracks, Vec::new())),
        Some(Format::Tcx) => tcx::read(&xml::text(&bytes)).map(|activities| (activities, Vec::new())),
        None => Err(Fault::record("neither FIT nor GPX nor TCX")),
    };
    let (mut recordings, faults) = read.map_err(|fault| match &cut {
        Some(cut) => Fault { reason: format!("{}; {cut}", fault.reason), ..fault },
        None => fault,
    })?;
    if let (Some(cut), Some(last)) = (cut, recordings.last_mut()) {
        last.activity.partial.get_or_insert(cut);
    }
    Ok(DeviceFile { recordings, faults, sha256 })
}

/// Without gzip; what could be read of a broken one, and why that is not all.
fn inflated(bytes: Vec<u8>) -> Result<(Vec<u8>, Option<String>), Fault> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok((bytes, None));
    }
    let mut plain = Vec::new();
    match read_whole(&mut MultiGzDecoder::new(bytes.as_slice()), &mut plain) {
        Err(fault) if plain.is_empty() || fault.reason.starts_with("longer") => Err(fault),
        Err(fault) => Ok((plain, Some(format!("gzip {}", fault.reason)))),
        Ok(()) => Ok((plain, None)),
    }
}

/// What the bytes are, whatever the file is called.
pub fn format(bytes: &[u8]) -> Option<Format> {
    if fit::is_fit(bytes) {
        return Some(Format::Fit);
    }
    let head = xml::text(&bytes[..bytes.len().min(4096)]);
    let begins = |tag: &str| head.contains(&format!("<{tag}")) || head.contains(&format!(":{tag}"));
    if begins("TrainingCenterDatabase") {
        Some(Format::Tcx)
    } else if begins("gpx") {
        Some(Format::Gpx)
    } else {
        None
    }
}
