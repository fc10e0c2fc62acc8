//! Whether a lake holds what it says it holds: checksums of landing, archives and datasets, rows against landing, and
//! what is known but was never fetched. Nothing is changed, unless somebody wants what is damaged to be fetched again.

mod lost;

use compact_str::CompactString;
use rayon::prelude::*;
use serde::Serialize;

use self::lost::Told;
use crate::error::Result;
use crate::normalize;
use crate::sources::strava::{self, history};
use crate::store::backend::Key;
use crate::store::lake::{Bucket, Lake};
use crate::store::landing::{Frames, Piece, Position, Unopened};
use crate::store::state::accounts::{Account, Accounts};
use crate::store::{archives, dataset};

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verified {
    /// Responses and archives that are sound.
    pub responses: u64,
    pub archives: u64,
    pub activities: u64,
    /// Files of the datasets that are sound.
    pub files: u64,
    /// Responses that a newer longrun wrote.
    pub newer: u64,
    /// What is wrong, each with its place.
    pub damage: Vec<String>,
    /// What is missing and can be had by running a command again.
    pub gaps: Vec<String>,
    /// Places of landing that are damaged, and nothing is missing for it: it was fetched again, or nobody knew of it.
    pub made_good: Vec<String>,
    /// What is to be fetched again for what is damaged.
    pub lost: Vec<String>,
    /// Buckets in which responses are damaged that still count as fetched.
    #[serde(skip)]
    damaged: Vec<Bucket>,
}

impl Verified {
    fn add(&mut self, other: Verified) {
        self.responses += other.responses;
        self.archives += other.archives;
        self.activities += other.activities;
        self.files += other.files;
        self.newer += other.newer;
        self.damage.extend(other.damage);
        self.gaps.extend(other.gaps);
        self.made_good.extend(other.made_good);
        self.lost.extend(other.lost);
        self.damaged.extend(other.damaged);
    }

    /// Every page of these files; of one that was damaged for a reader of it, that is said already.
    fn pages<'a>(&mut self, lake: &Lake, files: impl Iterator<Item = &'a Key>) {
        for file in files {
            let place = lake.place(file).display().to_string();
            match dataset::check_pages(lake, file) {
                Ok(()) => self.files += 1,
                Err(_) if self.damage.iter().any(|damage| damage.starts_with(&place)) => {}
                Err(e) => self.damage.push(e.to_string()),
            }
        }
    }

    /// Whether a fetch can bring again what is damaged.
    pub fn can_be_refetched(&self) -> bool {
        !self.damaged.is_empty()
    }
}

/// Lets the next fetch ask again for responses that are damaged: what was once read of them counts no more.
pub fn refetch(lake: &Lake, verified: &Verified) -> Result<()> {
    verified.damaged.iter().try_for_each(|bucket| history::distrust(lake, *bucket))
}

/// Verifies every bucket.
pub fn verify(lake: &Lake) -> Result<Verified> {
    verify_some(lake, &lake.buckets().collect::<Vec<_>>())
}

/// Verifies some buckets; one that cannot be read is damage, and the others go on.
pub fn verify_some(lake: &Lake, buckets: &[Bucket]) -> Result<Verified> {
    let mut accounts = Accounts::open_to_read(lake)?.list_stored()?;
    accounts.retain(|account| account.source == strava::SOURCE);
    let files = dataset::all_files(lake)?;
    let found: Vec<Verified> = buckets
        .par_iter()
        .map(|bucket| {
            let bucket = *bucket;
            let of_bucket: Vec<Account> =
                accounts.iter().filter(|a| lake.bucket(&a.user_id) == bucket).cloned().collect();
            let mut found = Verified::default();
            let checks = [
                landed(lake, bucket, &of_bucket, &mut found),
                normalize::check_landing(lake, bucket),
                imports(lake, bucket, &mut found),
            ];
            let broken = checks.into_iter().filter_map(Result::err);
            found.damage.extend(broken.map(|e| e.to_string()));
            found.pages(lake, files.iter().filter(|(of, _)| *of == bucket).map(|(_, file)| file));
            found
        })
        .collect();
    let mut all = Verified::default();
    found.into_iter().for_each(|found| all.add(found));
    Ok(all)
}

/// Landing and rows, each against the other.
fn landed(lake: &Lake, bucket: Bucket, accounts: &[Account], found: &mut Verified) -> Result<()> {
    let mut damage = responses(lake, bucket, found)?;
    let told = match Told::read(lake, bucket) {
        Ok(told) => told,
        Err(e) => {
            found.damaged.extend((!damage.is_empty()).then_some(bucket));
            found.damage.append(&mut damage);
            return Err(e);
        }
    };
    damage.extend(told.gone(lake, bucket)?);
    if !damage.is_empty() {
        let sound = history::sound(lake, bucket)?;
        let lost = told.lost(&sound);
        if !sound.is_as_kept {
            found.damaged.push(bucket);
        }
        let is_made_good = sound.is_as_kept && lost.is_empty();
        if is_made_good { &mut found.made_good } else { &mut found.damage }.append(&mut damage);
        found.lost.extend(lost);
    }
    without_rows(lake, accounts, &told, found)
}

/// Opens every response. Returns the places of those that are damaged.
fn responses(lake: &Lake, bucket: Bucket, found: &mut Verified) -> Result<Vec<String>> {
    let mut damage = Vec::new();
    for piece in Frames::open(lake, bucket, Position::default())? {
        match piece? {
            Piece::Frame(frame) => match frame.open() {
                Ok(_) => found.responses += 1,
                Err(Unopened::Newer) => found.newer += 1,
                Err(e) => damage.push(format!("{}: {e}", frame.place())),
            },
            Piece::Damaged { segment, offset, bytes } => {
                damage.push(format!("{segment}@{offset}: {bytes} bytes are no response"));
            }
        }
    }
    Ok(damage)
}

fn imports(lake: &Lake, bucket: Bucket, found: &mut Verified) -> Result<()> {
    let imports = archives::list(lake, bucket)?;
    found.damage.extend(imports.damaged.into_iter().map(|(_, reason)| reason));
    for (_, import) in imports.imports {
        let place = match archives::find(lake, bucket, &import) {
            Ok(found) => found.path,
            Err(e) => {
                found.damage.push(format!("archive {} of user {}: {e}", import.name, import.user_id));
                continue;
            }
        };
        // A folder that was left in its place has no bytes of its own.
        if place.is_dir() {
            found.archives += 1;
            continue;
        }
        if archives::is_as_imported(&place, &import)? {
            found.archives += 1;
        } else {
            let what = "it is not what was imported";
            found.damage.push(format!("{}: {what}", place.display()));
        }
    }
    Ok(())
}

/// What the list has and no row.
fn without_rows(lake: &Lake, accounts: &[Account], told: &Told, found: &mut Verified) -> Result<()> {
    let there = &told.activities;
    found.activities += there.len() as u64;
    let history = history::read(lake, accounts, true)?;
    for account in accounts {
        let Some(progress) = history.progress.get(&account.account_id) else { continue };
        let is_missing = |id: &CompactString| !there.contains(&(account.user_id.clone(), id.to_string()));
        let missing = progress.ids().filter(is_missing).count();
        if missing > 0 {
            found.gaps.push(format!(
                "user {}: {missing} activities have landed and have no row; run `longrun normalize`, then look at the rejects",
                account.user_id
            ));
        }
    }
    Ok(())
}
