//! What the lake got of people, as it came: archives byte for byte, answers of the API as JSON lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use serde_json::value::{RawValue, to_raw_value};

use super::Exported;
use super::places::{self, Place};
use crate::error::{Error, Result};
use crate::numbers::count_of;
use crate::store::archives::{self, Import};
use crate::store::lake::{Bucket, Lake};
use crate::store::landing::{Frames, Header, Piece, Position, Unopened};

/// The originals of some people of a bucket. The landing is read once for all of them.
pub struct Originals<'a> {
    lake: &'a Lake,
    bucket: Bucket,
    imports: Vec<(u32, Import)>,
    /// Everybody's answers, one a line, in the order they came.
    answers: File,
    /// Where whose lie.
    of_user: BTreeMap<String, Vec<Range<u64>>>,
}

impl<'a> Originals<'a> {
    /// What is damaged is named once, whoever it is of: that is not always known.
    pub fn of(
        lake: &'a Lake,
        bucket: Bucket,
        users: &BTreeSet<&str>,
        exported: &mut Exported,
    ) -> Result<Originals<'a>> {
        let listed = archives::list(lake, bucket)?;
        exported.missing.extend(listed.damaged.into_iter().map(|(_, why)| why));
        let mut imports = listed.imports;
        imports.retain(|(_, import)| users.contains(import.user_id.as_str()));
        let staged = tempfile::tempfile().map_err(failed)?;
        let mut out = BufWriter::new(staged);
        let mut at = 0;
        let (mut damaged, mut newer): (Vec<String>, Vec<String>) = Default::default();
        let mut of_user: BTreeMap<String, Vec<Range<u64>>> = BTreeMap::new();
        for piece in Frames::open(lake, bucket, Position::default())? {
            let frame = match piece? {
                Piece::Frame(frame) => frame,
                Piece::Damaged { segment, offset, .. } => {
                    damaged.push(format!("{segment}@{offset}"));
                    continue;
                }
            };
            let (header, body) = match frame.open() {
                Ok(opened) => opened,
                Err(Unopened::Newer) => {
                    newer.push(frame.place());
                    continue;
                }
                Err(Unopened::Damaged(_)) => {
                    damaged.push(frame.place());
                    continue;
                }
            };
            if !users.contains(header.user_id.as_str()) {
                continue;
            }
            let line = line(&header, &body);
            writeln!(out, "{line}").map_err(failed)?;
            let end = at + line.len() as u64 + 1;
            of_user.entry(header.user_id).or_default().push(at..end);
            at = end;
        }
        if let Some(first) = damaged.first() {
            let places = count_of(damaged.len() as u64, "place", "places");
            exported.missing.push(format!(
                "the landing is damaged at {places} ({first}): an answer of somebody is missing at each; `longrun \
                 verify --refetch` names them, and lets `longrun fetch` ask again"
            ));
        }
        if let Some(first) = newer.first() {
            let answers = count_of(newer.len() as u64, "answer", "answers");
            exported.missing.push(format!(
                "{answers} ({first}) came with a newer longrun and cannot be read by this one; export with that one"
            ));
        }
        let answers = out.into_inner().map_err(|e| failed(e.into_error()))?;
        Ok(Originals { lake, bucket, imports, answers, of_user })
    }

    /// Those of one person.
    pub fn write(&mut self, user: &str, place: &mut dyn Place, exported: &mut Exported) -> Result<()> {
        for (number, import) in self.imports.iter().filter(|(_, import)| import.user_id == user) {
            let name = format!("originals/{}/{number:03}-{}", import.source, places::file_name(&import.name));
            let found = archives::find(self.lake, self.bucket, import).and_then(|found| {
                if !found.path.is_dir() {
                    if !archives::is_as_imported(&found.path, import)? {
                        let what = "it is not what was imported, and goes out as it is now";
                        exported.missing.push(format!("{}: {what}", found.path.display()));
                    }
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
        let Some(ranges) = self.of_user.get(user) else { return Ok(()) };
        exported.files += 1;
        exported.bytes += ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        let mut lines = Lines { file: &self.answers, rest: ranges.iter(), left: 0 };
        place.put("originals/strava-api.jsonl", &mut lines)
    }
}

/// An answer as a line of JSON, to the digit: some ids are longer than any number here.
fn line(asked: &Header, body: &[u8]) -> String {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        asked: &'a Header,
        answer: &'a RawValue,
    }
    let answer = match serde_json::from_slice::<&RawValue>(body) {
        // Between the tokens of JSON, the end of a line is a space.
        Ok(json) => RawValue::from_string(json.get().replace(['\n', '\r'], " ")),
        Err(_) => to_raw_value(&String::from_utf8_lossy(body)),
    };
    let answer = answer.expect("it is JSON");
    serde_json::to_string(&Line { asked, answer: &answer }).expect("it is JSON")
}

/// Parts of a file, one behind the other.
struct Lines<'a> {
    file: &'a File,
    rest: std::slice::Iter<'a, Range<u64>>,
    left: u64,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let Some(range) = self.rest.next() else { return Ok(0) };
            self.file.seek(SeekFrom::Start(range.start))?;
            self.left = range.end - range.start;
        }
        let read = (&mut self.file).take(self.left).read(buffer)?;
        self.left -= read as u64;
        Ok(read)
    }
}

fn failed(error: io::Error) -> Error {
    Error::io("write", std::env::temp_dir())(error)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::landing::Ask;

    #[test]
    fn an_answer_is_one_line_and_keeps_its_numbers_to_the_digit() {
        let asked = Header {
            v: 1,
            source: "strava".to_string(),
            request: "/activities/1".to_string(),
            ask: Ask::OfActivity { kind: "detail".to_string(), id: "1".to_string(), start_s: 0 },
            user_id: "alice".to_string(),
            account_id: "7".to_string(),
            fetched_at: jiff::Timestamp::UNIX_EPOCH,
            after: None,
            status: 200,
        };
        let written = line(&asked, b"{\"upload_id\":\r\n 987654321234567891000, \"distance\": 5000.10}");
        assert!(written.contains("987654321234567891000, \"distance\": 5000.10}"), "{written}");
        assert_eq!(written.lines().count(), 1);
        let page = line(&asked, b"<html>\nbusy");
        assert!(page.ends_with("\"answer\":\"<html>\\nbusy\"}"), "{page}");
    }
}
