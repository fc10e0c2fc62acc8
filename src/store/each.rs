//! Work on many buckets at once, of which one that fails never stops the others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread::available_parallelism;

use super::lake::Bucket;
use crate::error::{Error, Result};

/// Buckets that are open at a time, on however many cores: this bounds the memory by a total. More than two cores have
/// enough to do, because what is parallel within a bucket runs on all of them, and a worker that syncs a file waits for
/// the disk.
pub const WORKERS: usize = 4;
/// Files on their way at once: most are small, and a store answers after tens of milliseconds.
const FILES_AT_ONCE: usize = 12;

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

/// What was read of a lake, without the buckets that could not be read.
#[derive(Debug)]
pub struct Gathered<T> {
    pub of_rest: T,
    pub failed: Vec<Error>,
}

impl<T> Gathered<T> {
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Gathered<U> {
        Gathered { of_rest: make(self.of_rest), failed: self.failed }
    }

    /// For what is worth nothing without all of it.
    pub fn all(self) -> Result<T> {
        match self.failed.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(self.of_rest),
        }
    }
}

impl<T> From<Ended<T>> for Gathered<Vec<T>> {
    fn from(ended: Ended<T>) -> Self {
        let failed = ended.failed.into_iter().map(|(_, error)| error).collect();
        Gathered { of_rest: ended.done, failed }
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

/// Works on buckets in parallel, and hands over what comes of each in their order, until `take` wants no more. A worker
/// has tools of its own, and is at most two buckets ahead of what is taken. One that has no tools says so in place of
/// its first bucket, and nothing comes after that.
pub fn each_in_order<W, T: Send>(
    buckets: &[Bucket],
    tools: impl Fn() -> Result<W> + Sync,
    work: impl Fn(&W, Bucket) -> Result<T> + Sync,
    mut take: impl FnMut(Result<T>) -> bool,
) {
    let workers = available_parallelism().map_or(1, |cores| cores.get().min(WORKERS));
    let work_through = |first: usize, done: &mpsc::SyncSender<Result<T>>| {
        let own = buckets.iter().skip(first).step_by(workers);
        match tools() {
            // Nobody listens any more where enough was taken.
            Ok(tools) => drop(own.map(|bucket| work(&tools, *bucket)).all(|ended| done.send(ended).is_ok())),
            Err(e) => drop(done.send(Err(e))),
        }
    };
    std::thread::scope(|scope| {
        let start = |first| {
            let (done, ended) = mpsc::sync_channel(1);
            let work_through = &work_through;
            scope.spawn(move || work_through(first, &done));
            ended
        };
        let queues: Vec<_> = (0..workers.min(buckets.len())).map(start).collect();
        for at in 0..buckets.len() {
            let Ok(ended) = queues[at % workers].recv() else { return };
            if !take(ended) {
                return;
            }
        }
    });
}

/// Does the same to many things, some at once; the results are in their order.
pub fn at_once<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<R>)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..FILES_AT_ONCE.min(things.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(thing) = things.get(at) else { return };
                    let result = work(thing);
                    // One that fails ends the work.
                    if result.is_err() {
                        next.store(things.len(), Ordering::Relaxed);
                    }
                    results.lock().expect("no thread panics while it holds this").push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no thread panics while it holds this");
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_come_in_their_order_until_nobody_wants_more() {
        let buckets: Vec<Bucket> = (0..50).map(Bucket).collect();
        // The later ones of each round are done first.
        let work = |_: &(), bucket: Bucket| {
            std::thread::yield_now();
            if bucket == Bucket(40) { Err(Error::Usage("forty".to_string())) } else { Ok(bucket) }
        };
        let mut all = Vec::new();
        each_in_order(
            &buckets,
            || Ok(()),
            work,
            |ended| {
                all.push(ended.ok());
                true
            },
        );
        let expected: Vec<_> =
            buckets.iter().map(|bucket| Some(*bucket).filter(|b| *b != Bucket(40))).collect();
        assert_eq!(all, expected);
        let mut some = Vec::new();
        each_in_order(
            &buckets,
            || Ok(()),
            work,
            |ended| {
                some.push(ended.unwrap());
                some.len() < 7
            },
        );
        assert_eq!(some, buckets[..7]);
        let mut why = Vec::new();
        let nothing = || Err::<(), _>(Error::Usage("no tools".to_string()));
        each_in_order(&buckets, nothing, work, |ended| {
            why.push(ended.unwrap_err().to_string());
            false
        });
        assert_eq!(why.len(), 1);
    }
}
