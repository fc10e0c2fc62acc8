//! Invented histories in bulk, without a server: for benchmarks, and for whoever needs a large
//! lake.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use rayon::prelude::*;

use super::{Options, Person, Workout, person, strava};
use crate::error::{Error, Result};
use crate::sources::strava::endpoints::{self, list::PER_PAGE};
use crate::store::lake::{Bucket, Lake};
use crate::store::landing::{Ask, Header, frame};
use crate::store::local;
use crate::store::names;

/// People that are in memory at a time.
const AT_A_TIME: usize = 64;

/// Lands everybody's list as a fetch would have, in a lake where nothing has landed. Returns the
/// bytes written.
pub fn land(lake: &Lake, options: Options) -> Result<u64> {
    let mut buckets: BTreeMap<Bucket, Vec<u32>> = BTreeMap::new();
    for number in 0..options.users {
        buckets.entry(lake.bucket(&super::user_id(number))).or_default().push(number);
    }
    if !lake.backend().list(&names::landing_folder())?.is_empty() {
        return Err(Error::Usage(format!("something has landed in {} already", lake.root().display())));
    }
    buckets
        .into_par_iter()
        .map(|(bucket, numbers)| {
            lake.backend().put(&names::segment_key(bucket, 1, 0), &mut |out| {
                numbers.iter().try_for_each(|number| {
                    pages(&person(options, *number)).iter().try_for_each(|page| out.write_all(page))
                })
            })
        })
        .sum()
}

/// The frames of a walk through a person's list.
pub fn pages(person: &Person) -> Vec<Vec<u8>> {
    let newest_first: Vec<&Workout> = person.workouts.iter().rev().collect();
    let mut before_s = None;
    let mut frames = Vec::new();
    let page = |before_s: Option<i64>, body: String| {
        let ask = Ask::List { scan: 1, until_s: None, before_s, page: 1 };
        let header = Header {
            v: 1,
            source: crate::sources::strava::SOURCE.to_string(),
            request: endpoints::path(&ask),
            ask,
            user_id: person.user_id.clone(),
            account_id: person.athlete_id.to_string(),
            fetched_at: Timestamp::from_second(1_790_000_000).expect("a time"),
            after: None,
            status: 200,
        };
        frame(&header, body.as_bytes())
    };
    for (number, chunk) in newest_first.chunks(PER_PAGE as usize).enumerate() {
        frames.push(page(before_s, strava::page(person, chunk.iter().copied())));
        let last = person.workouts.len() - (number * PER_PAGE as usize + chunk.len());
        before_s = Some(person.workouts[last].start.as_second());
    }
    frames.push(page(before_s, "[]".to_string()));
    frames
}

/// Writes everybody's list entries, one a line.
pub fn ndjson(path: &Path, options: Options) -> Result<u64> {
    let path = std::path::absolute(path).map_err(Error::io("find", path))?;
    local::replace(&path, |out| {
        let numbers: Vec<u32> = (0..options.users).collect();
        for some in numbers.chunks(AT_A_TIME) {
            let lines: Vec<String> = some
                .par_iter()
                .map(|number| {
                    let person = person(options, *number);
                    person.workouts.iter().map(|w| strava::summary(&person, w) + "\n").collect()
                })
                .collect();
            lines.iter().try_for_each(|lines| out.write_all(lines.as_bytes()))?;
        }
        Ok(())
    })
}
