//! What the pipeline uploaded itself.
//!
//! An activity that the pipeline itself wrote to a destination comes back from there like any
//! other. Here it is known again: by the destination's id of it, or, while an upload was pending
//! and has no id yet, by its start and, where both are known, its duration.

use std::collections::{BTreeMap, HashSet};

use twox_hash::XxHash64;

use super::export::Document;
use super::{destination_of, is_written_to, source_of};
use crate::error::Result;
use crate::store::lake::Lake;
use crate::store::state::exports::{Exports, UploadRow};

/// Two systems' starts of one activity differ by this much at most.
const SAME_START_S: u64 = 2;
const SAME_DURATION_S: f64 = 10.0;
const SAME_DURATION_SHARE: f64 = 0.02;

/// A document, in snake_case or lowerCamelCase; its key is given by itself or at the end of its path.
pub fn read(document: &Document) -> std::result::Result<UploadRow, String> {
    let user_id = document.user_id()?;
    let start_s = document.second(&["start_time", "startTime"])?;
    let key = document.key("uploaded_activities");
    let (by_key, id_by_key) = match key.as_deref().and_then(|key| key.split_once(':')) {
        Some(("pending", start)) => (None, Some(("pending", start.to_string()))),
        Some((destination, id)) => (Some(destination.to_string()), Some(("id", id.to_string()))),
        None => (None, None),
    };
    let pending_s = match &id_by_key {
        Some(("pending", start)) => {
            Some(start.parse::<i64>().map_err(|_| format!("pending:{start} names no second"))?)
        }
        _ => None,
    };
    // Its key is what the pipeline itself looks it up by.
    let destination = by_key.or_else(|| document.word(&["destination"])).map(|name| destination_of(&name));
    let destination_id = document.word(&["destination_id", "destinationId"]).or(match id_by_key {
        Some(("id", id)) => Some(id),
        _ => None,
    });
    let start_s = start_s.or(pending_s);
    if destination_id.is_none() && start_s.is_none() {
        return Err("neither a destination_id nor a start_time".to_string());
    }
    let named = key.unwrap_or_else(|| match (&destination, &destination_id) {
        (Some(destination), Some(id)) => format!("{destination}:{id}"),
        _ => format!("pending:{}", start_s.unwrap_or_default()),
    });
    let duration_s = document.number(&[
        "duration_s",
        "elapsed_time",
        "elapsedTime",
        "total_elapsed_time",
        "totalElapsedTime",
    ]);
    Ok(UploadRow {
        user_id,
        key: named,
        destination,
        destination_id,
        start_s,
        duration_s,
        source: document.word(&["source"]),
        external_id: document.word(&["external_id", "externalId"]),
        uploaded_at: document.word(&["uploaded_at", "uploadedAt"]),
    })
}

#[derive(Debug)]
struct Pending {
    destination: Option<String>,
    /// Where the pipeline had it from.
    source: Option<String>,
    start_s: i64,
    duration_s: Option<f64>,
}

/// Everybody's uploads, by user.
#[derive(Debug, Default)]
pub struct Uploads(BTreeMap<String, OfUser>);

#[derive(Debug, Default)]
struct OfUser {
    by_id: HashSet<(String, String)>,
    /// Uploads without an id.
    pending: Vec<Pending>,
    digest: u64,
}

impl Uploads {
    pub fn read(lake: &Lake) -> Result<Uploads> {
        let mut uploads = Uploads::default();
        Exports::open(lake)?.each_upload(|upload| uploads.add(&upload))?;
        Ok(uploads)
    }

    fn add(&mut self, upload: &UploadRow) {
        let of_user = self.0.entry(upload.user_id.clone()).or_default();
        let said = format!(
            "{:?}",
            (&upload.destination, &upload.destination_id, upload.start_s, upload.duration_s, &upload.source)
        );
        of_user.digest = XxHash64::oneshot(of_user.digest, said.as_bytes());
        match (&upload.destination, &upload.destination_id, upload.start_s) {
            (Some(destination), Some(id), _) => {
                of_user.by_id.insert((destination.clone(), id.clone()));
            }
            (destination, _, Some(start_s)) => of_user.pending.push(Pending {
                destination: destination.clone(),
                source: upload.source.as_deref().map(source_of),
                start_s,
                duration_s: upload.duration_s,
            }),
            _ => {}
        }
    }

    /// Whether the pipeline put this activity there.
    pub fn has(
        &self,
        user_id: &str,
        source: &str,
        source_id: &str,
        start_s: i64,
        elapsed_s: Option<f64>,
    ) -> bool {
        let Some(of_user) = self.0.get(user_id) else { return false };
        if of_user.by_id.contains(&(source.to_string(), source_id.to_string())) {
            return true;
        }
        of_user.pending.iter().any(|pending| {
            let same_length = match (pending.duration_s, elapsed_s) {
                (Some(a), Some(b)) => (a - b).abs() <= SAME_DURATION_S.max(SAME_DURATION_SHARE * a),
                _ => true,
            };
            // What came from there is the original, and goes elsewhere; where it goes is not known yet, but never to
            // where the pipeline does not write.
            is_written_to(source)
                && pending.source.as_deref() != Some(source)
                && pending.destination.as_deref().is_none_or(|d| d == source)
                && pending.start_s.abs_diff(start_s) <= SAME_START_S
                && same_length
        })
    }

    /// Changes when an upload of a user of the bucket does.
    pub fn digest(&self, lake: &Lake, bucket: crate::store::lake::Bucket) -> u64 {
        let of_bucket = self.0.iter().filter(|(user_id, _)| lake.bucket(user_id) == bucket);
        of_bucket.fold(0, |digest, (user_id, of_user)| {
            XxHash64::oneshot(digest ^ of_user.digest, user_id.as_bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_in_every_spelling() {
        let lines = r#"{"path":"users/u1/uploaded_activities/strava:123","start_time":"2026-01-05T08:00:00Z"}
{"userId":"u1","destination":"DESTINATION_HEVY","destinationId":"abc","startTime":{"_seconds":1700000000}}
{"user_id":"u2","id":"pending:1700000500"}
{"user_id":"u2"}"#;
        let read: Vec<_> = lines
            .lines()
            .map(|line| {
                Document::of(serde_json::from_str(line).unwrap()).and_then(|document| read(&document))
            })
            .collect();
        let [Ok(first), Ok(second), Ok(pending), Err(empty)] = &read[..] else { panic!("{read:?}") };
        assert_eq!(first.destination.as_deref(), Some("strava"));
        assert_eq!(first.destination_id.as_deref(), Some("123"));
        assert_eq!(second.key, "hevy:abc");
        assert_eq!(pending.start_s, Some(1_700_000_500));
        assert!(empty.starts_with("neither"), "{empty}");
    }

    #[test]
    fn an_upload_is_known_by_its_id_or_while_pending_by_its_start_and_duration() {
        let mut uploads = Uploads::default();
        let base = UploadRow { user_id: "u".to_string(), ..UploadRow::default() };
        uploads.add(&UploadRow {
            destination: Some("strava".to_string()),
            destination_id: Some("7".to_string()),
            start_s: Some(500),
            ..base.clone()
        });
        uploads.add(&UploadRow { start_s: Some(1000), duration_s: Some(600.0), ..base.clone() });
        uploads.add(&UploadRow { start_s: Some(2000), source: Some("SOURCE_HEVY".to_string()), ..base });
        assert!(uploads.has("u", "strava", "7", 0, None));
        assert!(!uploads.has("u", "hevy", "7", 0, None));
        assert!(!uploads.has("u", "strava", "8", 500, None), "it has an id, and this is not it");
        assert!(uploads.has("u", "strava", "8", 1001, Some(605.0)));
        assert!(!uploads.has("u", "strava", "8", 1001, Some(900.0)));
        assert!(!uploads.has("u", "strava", "8", 1010, Some(600.0)));
        assert!(!uploads.has("v", "strava", "7", 0, None));
        assert!(uploads.has("u", "strava", "9", 2000, None));
        assert!(!uploads.has("u", "hevy", "9", 2000, None), "it came from there");
        assert!(!uploads.has("u", "file_upload", "9", 2000, None), "the pipeline does not write there");
    }
}
