//! What has landed of each account, or was imported of it, read from the stores themselves: there is no cursor beside
//! them that could disagree. What was read once is kept beside the segments ([`packed`]) with their versions, so that a
//! start reads only what has landed since, and everything where anything has changed.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::archive::{self as strava_archive, ArchivedEntry};
use super::endpoints;
use super::walk::packed::{self, Covered, MadeFrom};
use super::walk::{Gone, Progress};
use crate::error::{Error, Result};
use crate::sources::Source;
use crate::sources::formats::zip::Container;
use crate::store::archives;
use crate::store::lake::{Bucket, Lake};
use crate::store::landing::{self, Frames, Piece, Segment};
use crate::store::names;
use crate::store::state::accounts::Account;

/// What has landed.
#[derive(Debug, Default)]
pub struct History {
    /// Of each account, by its id. Accounts of which nothing landed are left out.
    pub progress: HashMap<String, Progress>,
    /// Buckets that could not be read, and why.
    pub unreadable: BTreeMap<Bucket, String>,
}

/// Reads what has landed of accounts. What archives have counts as fetched, unless they are to be ignored. Nothing is
/// changed.
pub fn read(lake: &Lake, accounts: &[Account], ignore_archives: bool) -> Result<History> {
    of_accounts(lake, accounts, ignore_archives, false)
}

/// The same, and keeps what took long to read for the next start. Whoever calls this holds the landing.
pub fn read_and_keep(lake: &Lake, accounts: &[Account], ignore_archives: bool) -> Result<History> {
    of_accounts(lake, accounts, ignore_archives, true)
}

fn of_accounts(lake: &Lake, accounts: &[Account], ignore_archives: bool, keeps: bool) -> Result<History> {
    let mut by_bucket: BTreeMap<Bucket, HashMap<&str, &str>> = BTreeMap::new();
    for account in accounts {
        let users = by_bucket.entry(lake.bucket(&account.user_id)).or_default();
        users.insert(&account.account_id, &account.user_id);
    }
    let buckets: Vec<(Bucket, Result<HashMap<String, Progress>>)> = by_bucket
        .par_iter()
        .map(|(bucket, wanted)| (*bucket, read_bucket(lake, *bucket, wanted, ignore_archives, keeps)))
        .collect();
    let mut history = History::default();
    for (bucket, read) in buckets {
        match read {
            Ok(progress) => history.progress.extend(progress),
            Err(e) => drop(history.unreadable.insert(bucket, e.to_string())),
        }
    }
    Ok(history)
}

/// What has landed of each account of each user of a bucket. What landed for another user, who had the account
/// before, is theirs.
#[derive(Default)]
struct Landed {
    of: HashMap<packed::Owner, Progress>,
    made_from: MadeFrom,
    /// Bytes of frames that were read for it, and of what was kept before.
    read_bytes: u64,
    kept_bytes: u64,
}

impl Landed {
    /// Goes on from what was kept, where every segment that it was made from is as it was.
    fn read(lake: &Lake, bucket: Bucket) -> Result<Landed> {
        let bytes = lake.backend().read(&names::walked_key(bucket))?.unwrap_or_default();
        let segments = landing::segments(lake, bucket)?;
        match packed::unpack(&bytes) {
            Some((of, made_from)) if is_of(lake, &segments, &made_from)? => {
                let kept_bytes = bytes.len() as u64;
                Landed { of, made_from, kept_bytes, read_bytes: 0 }.go_on(lake, bucket)
            }
            _ => Landed::default().go_on(lake, bucket),
        }
    }

    /// Takes what has landed since.
    fn go_on(mut self, lake: &Lake, bucket: Bucket) -> Result<Landed> {
        let landed = &mut self;
        let mut frames = Frames::open(lake, bucket, landed.made_from.position)?;
        while let Some(piece) = frames.next().transpose()? {
            // What is damaged is normalize's to report; what it held is asked for again.
            let Piece::Frame(frame) = piece else { continue };
            landed.read_bytes += frame.bytes.len() as u64;
            let Ok((header, body)) = frame.open() else { continue };
            // An answer that cannot be read does not bring the account on.
            if let Ok(news) = endpoints::read(&header.ask, header.status, &body) {
                let progress = landed.of.entry((header.user_id, header.account_id)).or_default();
                progress.take(&header.ask, news, header.fetched_at);
            }
        }
        landed.made_from.position = frames.position();
        Ok(self)
    }

    /// Keeps what was read, where that is much beside what was kept before. Whoever calls this holds the landing, so
    /// the segments are as they were read.
    fn keep(&mut self, lake: &Lake, bucket: Bucket) -> Result<()> {
        if is_much(self.read_bytes, self.kept_bytes) {
            let segments = landing::segments(lake, bucket)?;
            self.made_from.segments = segments
                .iter()
                .filter_map(|segment| covered(lake, segment).transpose())
                .collect::<Result<_>>()?;
            lake.put(&names::walked_key(bucket), &packed::pack(&self.of, &self.made_from))?;
        }
        Ok(())
    }
}

/// A segment as it is now; None where it is gone.
fn covered(lake: &Lake, segment: &Segment) -> Result<Option<Covered>> {
    let opened = lake.backend().open(&segment.key)?;
    Ok(opened.map(|opened| Covered {
        run: segment.run,
        number: segment.number,
        version: opened.stat.version.as_str().to_string(),
    }))
}

/// Whether the first of these segments are the ones that something was made from, as they were.
fn is_of(lake: &Lake, segments: &[Segment], made_from: &MadeFrom) -> Result<bool> {
    if segments.len() < made_from.segments.len() {
        return Ok(false);
    }
    for (segment, before) in segments.iter().zip(&made_from.segments) {
        if covered(lake, segment)?.as_ref() != Some(before) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is kept is written whole, so it is written again only when that has become worth it.
fn is_much(read_bytes: u64, kept_bytes: u64) -> bool {
    const LEAST_BYTES: u64 = 4 << 10;
    read_bytes > (kept_bytes / 32).max(LEAST_BYTES)
}

/// Reads what has landed since it was last kept, and keeps it for the next start. Whoever calls this holds the landing.
pub fn keep(lake: &Lake) -> Result<()> {
    let buckets: Vec<Bucket> = lake.buckets().collect();
    buckets.into_par_iter().try_for_each(|bucket| {
        let key = names::walked_key(bucket);
        let (mut position, mut kept_bytes) = Default::default();
        if let Some(kept) = lake.backend().open(&key)? {
            let made_from = packed::made_from(|end| kept.range(0..end));
            if let Some(made_from) = made_from.map_err(Error::io("read", lake.place(&key)))? {
                (position, kept_bytes) = (made_from.position, kept.stat.bytes);
            }
        }
        let behind_bytes = position.bytes_behind(&landing::segments(lake, bucket)?);
        if is_much(behind_bytes, kept_bytes) {
            Landed::read(lake, bucket)?.keep(lake, bucket)
        } else {
            Ok(())
        }
    })
}

/// Damage was met in a bucket's landing, perhaps in what was read soundly before: everything is read again.
pub fn distrust(lake: &Lake, bucket: Bucket) -> Result<()> {
    lake.backend().remove(&names::walked_key(bucket))
}

/// What is sound of a bucket's landing, with what archives have, whatever was read of it before it was damaged.
#[derive(Debug)]
pub struct Sound {
    pub of: HashMap<packed::Owner, Progress>,
    /// Whether what a fetch goes on from says the same.
    pub is_as_kept: bool,
}

/// Reads all of a bucket's landing.
pub fn sound(lake: &Lake, bucket: Bucket) -> Result<Sound> {
    let mut of = Landed::default().go_on(lake, bucket)?.of;
    let is_as_kept = Landed::read(lake, bucket)?.of == of;
    let owners: Vec<packed::Owner> = of.keys().cloned().collect();
    let wanted = owners.iter().map(|(user, account)| (account.as_str(), user.as_str())).collect();
    with_archives(lake, bucket, &wanted, |user, account, entries| {
        of.entry((user.to_string(), account.to_string())).or_default().archived(entries);
    })?;
    Ok(Sound { of, is_as_kept })
}

/// An activity that Strava had and has no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub user_id: String,
    pub account_id: String,
    pub id: String,
    pub gone: Gone,
}

/// What has gone of everybody in a bucket.
pub fn missing(lake: &Lake, bucket: Bucket) -> Result<Vec<Missing>> {
    let mut missing = Vec::new();
    for ((user_id, account_id), progress) in Landed::read(lake, bucket)?.of {
        missing.extend(progress.gone().map(|(id, gone)| Missing {
            user_id: user_id.clone(),
            account_id: account_id.clone(),
            id: id.to_string(),
            gone,
        }));
    }
    Ok(missing)
}

/// `wanted` gives the user of each account.
fn read_bucket(
    lake: &Lake,
    bucket: Bucket,
    wanted: &HashMap<&str, &str>,
    ignore_archives: bool,
    keeps: bool,
) -> Result<HashMap<String, Progress>> {
    let is_wanted = |user: &str, account: &str| wanted.get(account).is_some_and(|of| *of == user);
    let mut landed = Landed::read(lake, bucket)?;
    if keeps {
        landed.keep(lake, bucket)?;
    }
    let mut progress: HashMap<String, Progress> = landed
        .of
        .into_iter()
        .filter(|((user, account), _)| is_wanted(user, account))
        .map(|((_, account), progress)| (account, progress))
        .collect();
    if !ignore_archives {
        with_archives(lake, bucket, wanted, |_, account, entries| {
            progress.entry(account.to_string()).or_default().archived(entries);
        })?;
    }
    Ok(progress)
}

/// Gives what each archive of Strava has to the account that it is of. `wanted` gives the user of each account.
fn with_archives(
    lake: &Lake,
    bucket: Bucket,
    wanted: &HashMap<&str, &str>,
    mut take: impl FnMut(&str, &str, &[ArchivedEntry]),
) -> Result<()> {
    for (_, import) in archives::list(lake, bucket)?.imports {
        let accounts: Vec<&str> =
            wanted.iter().filter(|(_, user)| **user == import.user_id).map(|(account, _)| *account).collect();
        // Of two accounts, nobody knows whose archive it is.
        let [account] = accounts[..] else { continue };
        if import.source != Source::Strava.name() {
            continue;
        }
        // One that is gone from its place tells nothing; normalize says so.
        let Ok(found) = archives::find(lake, bucket, &import) else { continue };
        // Who only reads may not be able to write in the lake.
        let scratch = lake.backend().scratch().unwrap_or_else(|_| std::env::temp_dir());
        let Ok(archive) = Container::open(&found.path, &import.name, &scratch) else { continue };
        take(&import.user_id, account, &strava_archive::entries(&archive));
    }
    Ok(())
}
