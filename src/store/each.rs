//! Work on many buckets at once, of which one that fails never stops the others.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::lake::Bucket;
use crate::error::{Error, Result};

/// Buckets that are open at a time, on however many cores: this bounds the memory by a total. More than two cores have
/// enough to do, because what is parallel within a bucket runs on all of them, and a worker that syncs a file waits for
/// the disk.
const WORKERS: usize = 4;

/// What came of the buckets: of each that succeeded, in their order; and why the others did not.
#[derive(Debug)]
pub struct Ended<T> {
    pub done: Vec<T>,
    pub failed: Vec<(Bucket, Error)>,
}

impl<T> Ended<T> {
    /// For work that is worth nothing without all of it.
    pub fn all(self) -> Result<Vec<T>> {
        match self.failed.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(self.done),
        }
    }
}

/// What a run did, and the buckets that it left as they were.
#[derive(Debug, Default, serde::Serialize)]
pub struct Run<S> {
    #[serde(flatten)]
    pub summary: S,
    /// What stopped the work on some buckets, a sentence each.
    pub failed: Vec<String>,
}

impl<S: std::ops::AddAssign> Run<S> {
    /// Adds what was done to a summary.
    pub fn of(summary: S, ended: Ended<S>) -> Run<S> {
        let sentence =
            |(bucket, error): (Bucket, Error)| format!("bucket {bucket} is left as it was: {error}");
        let mut run = Run { summary, failed: ended.failed.into_iter().map(sentence).collect() };
        ended.done.into_iter().for_each(|done| run.summary += done);
        run
    }
}

/// Works on buckets in parallel. Few are open at a time; what is parallel within one runs on rayon's threads, and those
/// must not start on another bucket while they wait. A full disk and a lake that somebody else writes fail everywhere,
/// so they end the work at once.
pub fn each_bucket<T: Send>(
    buckets: &[Bucket],
    work: impl Fn(Bucket) -> Result<T> + Sync,
) -> Result<Ended<T>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(Bucket, Result<T>)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS.min(buckets.len()) {
            scope.spawn(|| {
                while let Some(bucket) = buckets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = work(*bucket);
                    let is_everywhere = result.as_ref().is_err_and(Error::is_everywhere);
                    results.lock().expect("no thread panics while it holds this").push((*bucket, result));
                    if is_everywhere {
                        next.store(buckets.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no thread panics while it holds this");
    results.sort_by_key(|(bucket, _)| *bucket);
    let mut ended = Ended { done: Vec::new(), failed: Vec::new() };
    for (bucket, result) in results {
        match result {
            Ok(done) => ended.done.push(done),
            Err(e) if e.is_everywhere() => return Err(e),
            Err(e) => ended.failed.push((bucket, e)),
        }
    }
    Ok(ended)
}
