//! Who was forgotten, so that neither `lake push` nor `lake pull` brings them back from where they were not.
//!
//! ```text
//! forgotten/9f86d081….json       when, by a hash of the user's id; in the lake at home and in the store
//! ```
//!
//! No id is in it. What the two sides do not both know is looked up: where the other side still has somebody of that hash,
//! nothing is copied, in either direction, until they are forgotten there as well.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::archives;
use super::backend::{Backend, Key};
use super::dataset::{self, cells::Rows};
use super::lake::{Bucket, Lake};
use super::landing::{Frames, Piece, Position};
use super::names::FORGOTTEN as FOLDER;
use crate::error::{Error, Result};
use crate::model::hex;

const SUFFIX: &str = ".json";

/// One purge of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    pub at: Timestamp,
    /// Whether it was carried out to its end.
    pub is_done: bool,
    /// Where they were, of how many buckets.
    bucket: u32,
    buckets: u32,
}

fn hash(user: &str) -> String {
    hex::encode(digest(&SHA256, format!("longrun forgot {user}").as_bytes()).as_ref())
}

/// Writes down that a person is forgotten: before anything of them goes, and when all is gone.
pub fn note(lake: &Lake, user: &str, at: Timestamp, is_done: bool) -> Result<()> {
    let forgotten = Forgotten { at, is_done, bucket: lake.bucket(user).0, buckets: lake.bucket_count() };
    let key = Key::new(format!("{FOLDER}/{}{SUFFIX}", hash(user)));
    lake.put(&key, &serde_json::to_vec(&forgotten).expect("it is plain"))
}

type All = BTreeMap<String, Forgotten>;

fn all(backend: &dyn Backend) -> Result<All> {
    let mut all = All::new();
    for name in backend.names(&Key::new(FOLDER))? {
        let key = Key::new(format!("{FOLDER}/{name}"));
        let Some(bytes) = backend.read(&key)? else { continue };
        let read = serde_json::from_slice(&bytes).map_err(|e| Error::damaged(backend.place(&key), e))?;
        all.insert(name.trim_end_matches(SUFFIX).to_string(), read);
    }
    Ok(all)
}

/// Refuses a copy between two lakes where one was asked to forget somebody whom the other still has. Then both know the
/// same.
pub fn agree(one: &Lake, other: &Lake) -> Result<()> {
    let (of_one, of_other) = (all(one.backend())?, all(other.backend())?);
    for (lake, all) in [(one, &of_one), (other, &of_other)] {
        if all.values().any(|forgotten| !forgotten.is_done) {
            return Err(Error::Usage(format!(
                "a purge in {} was cut off; run it again first (`longrun purge --user ID --apply`)",
                lake.root().display()
            )));
        }
    }
    for (lake, own, others) in [(one, &of_one, &of_other), (other, &of_other, &of_one)] {
        let behind: All = others
            .iter()
            .filter(|(hash, theirs)| own.get(*hash).is_none_or(|own| own.at < theirs.at))
            .map(|(hash, theirs)| (hash.clone(), *theirs))
            .collect();
        let left = still_there(lake, &behind)?;
        if !left.is_empty() {
            let users: Vec<String> = left.iter().map(|user| format!("--user {user}")).collect();
            return Err(Error::Usage(format!(
                "{} has people who were forgotten in the other lake; forget them here as well: \
                 `longrun --lake {0} purge {} --apply`",
                lake.root().display(),
                users.join(" ")
            )));
        }
        write(lake.backend(), &behind)?;
    }
    Ok(())
}

/// The same for a lake that is about to be made: it knows what the other knows.
pub fn begin(from: &Lake, to: &dyn Backend) -> Result<()> {
    let all = all(from.backend())?;
    if all.values().any(|forgotten| !forgotten.is_done) {
        return Err(Error::Usage(format!(
            "a purge in {} was cut off; run it again first (`longrun purge --user ID --apply`)",
            from.root().display()
        )));
    }
    write(to, &all)
}

fn write(to: &dyn Backend, all: &All) -> Result<()> {
    for (hash, forgotten) in all {
        let bytes = serde_json::to_vec(forgotten).expect("it is plain");
        to.put(&Key::new(format!("{FOLDER}/{hash}{SUFFIX}")), &mut |out| out.write_all(&bytes))?;
    }
    Ok(())
}

/// Who of these is in a lake, in landing, archives or datasets.
fn still_there(lake: &Lake, forgotten: &All) -> Result<BTreeSet<String>> {
    let mut buckets: BTreeSet<Bucket> = BTreeSet::new();
    for forgotten in forgotten.values() {
        if forgotten.buckets == lake.bucket_count() {
            buckets.insert(Bucket(forgotten.bucket));
        } else {
            buckets.extend(lake.buckets());
        }
    }
    let mut users = BTreeSet::new();
    for bucket in buckets {
        users.extend(archives::list(lake, bucket)?.imports.into_iter().map(|(_, import)| import.user_id));
        for piece in Frames::open(lake, bucket, Position::default())? {
            if let Piece::Frame(frame) = piece?
                && let Ok((header, _)) = frame.open()
            {
                users.insert(header.user_id);
            }
        }
        let mut batches = dataset::activities(lake, bucket, Some(&["user_id"]))?;
        batches.extend(dataset::read(lake, &lake.golden(bucket), Some(&["user_id"]))?);
        for batch in &batches {
            let words = Rows(batch).words("user_id");
            users.extend((0..batch.num_rows()).map(|row| words.value(row).to_string()));
        }
    }
    users.retain(|user| forgotten.contains_key(&hash(user)));
    Ok(users)
}
