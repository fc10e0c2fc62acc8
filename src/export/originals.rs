//! What the lake got of a person, as it came: archives byte for byte, answers of the API as JSON lines.

use std::io::{Seek, SeekFrom, Write};

use super::Exported;
use super::places::{self, Place};
use crate::error::{Error, Result};
use crate::store::archives;
use crate::store::lake::{Bucket, Lake};
use crate::store::landing::{Frames, Piece, Position};

pub fn write(
    lake: &Lake,
    bucket: Bucket,
    user: &str,
    place: &mut dyn Place,
    exported: &mut Exported,
) -> Result<()> {
    let imports = archives::list(lake, bucket)?;
    exported.missing.extend(imports.damaged.into_iter().map(|(_, why)| why));
    for (number, import) in imports.imports.iter().filter(|(_, import)| import.user_id == user) {
        let name = format!("originals/{}/{number:03}-{}", import.source, places::file_name(&import.name));
        let found = archives::find(lake, bucket, import).and_then(|found| {
            if !found.path.is_dir() {
                let mut file = places::open(&found.path)?;
                place.put(&name, &mut file)?;
                return Ok((1, found.state.bytes));
            }
            folder(&found.path, &name, place)
        });
        match found {
            Ok((files, bytes)) => {
                exported.files += files;
                exported.bytes += bytes;
            }
            Err(e) if e.is_everywhere() => return Err(e),
            Err(e) => exported.missing.push(e.to_string()),
        }
    }
    answers(lake, bucket, user, place, exported)
}

/// An archive that was left in its place and is a folder.
fn folder(path: &std::path::Path, name: &str, place: &mut dyn Place) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
        let entry = entry.map_err(|e| Error::io("read", path)(e.into()))?;
        if !entry.file_type().is_file() {
            continue;
        }
        let below = entry.path().strip_prefix(path).expect("it was found below").to_string_lossy();
        let mut file = places::open(entry.path())?;
        place.put(&format!("{name}/{below}"), &mut file)?;
        files += 1;
        bytes += entry.metadata().map(|m| m.len()).unwrap_or(0);
    }
    Ok((files, bytes))
}

/// One answer a line, with the request.
fn answers(
    lake: &Lake,
    bucket: Bucket,
    user: &str,
    place: &mut dyn Place,
    exported: &mut Exported,
) -> Result<()> {
    let failed = |e| Error::io("write", std::env::temp_dir())(e);
    let mut staged = tempfile::tempfile().map_err(failed)?;
    let mut bytes = 0;
    for piece in Frames::open(lake, bucket, Position::default())? {
        let Piece::Frame(frame) = piece? else { continue };
        let Ok((header, body)) = frame.open() else { continue };
        if header.user_id != user {
            continue;
        }
        let body = match serde_json::from_slice::<Box<serde_json::value::RawValue>>(&body) {
            Ok(json) => serde_json::json!(json),
            Err(_) => serde_json::json!(String::from_utf8_lossy(&body)),
        };
        let line = serde_json::json!({ "asked": header, "answer": body }).to_string();
        writeln!(staged, "{line}").map_err(failed)?;
        bytes += line.len() as u64 + 1;
    }
    if bytes == 0 {
        return Ok(());
    }
    staged.seek(SeekFrom::Start(0)).map_err(failed)?;
    exported.files += 1;
    exported.bytes += bytes;
    place.put("originals/strava-api.jsonl", &mut staged)
}
