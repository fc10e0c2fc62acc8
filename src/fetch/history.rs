//! What has landed of each account, read from the landing itself: there is no cursor beside it
//! that could disagree.

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;

use super::accounts::Account;
use super::plan::Progress;
use crate::error::Result;
use crate::lake::{Bucket, Lake};
use crate::landing::Frames;

/// The progress of each account, by its id. Accounts of which nothing landed are left out.
pub fn read(lake: &Lake, accounts: &[Account]) -> Result<HashMap<String, Progress>> {
    let mut by_bucket: BTreeMap<Bucket, HashSet<&str>> = BTreeMap::new();
    for account in accounts {
        by_bucket.entry(lake.bucket(&account.user_id)).or_default().insert(&account.account_id);
    }
    let buckets: Vec<Result<HashMap<String, Progress>>> =
        by_bucket.par_iter().map(|(bucket, wanted)| read_bucket(lake, *bucket, wanted)).collect();
    let mut all = HashMap::new();
    for bucket in buckets {
        all.extend(bucket?);
    }
    Ok(all)
}

fn read_bucket(lake: &Lake, bucket: Bucket, wanted: &HashSet<&str>) -> Result<HashMap<String, Progress>> {
    let mut progress: HashMap<String, Progress> = HashMap::new();
    for frame in Frames::open(&lake.landing(bucket), 0)? {
        // A frame that cannot be opened is normalize's to report; what it held is asked for again.
        let Ok((header, body)) = frame?.open() else { continue };
        if wanted.contains(header.account_id.as_str()) {
            let account = progress.entry(header.account_id.clone()).or_default();
            // An answer that cannot be read does not bring the account on.
            let _ = account.landed(&header, &body);
        }
    }
    Ok(progress)
}
