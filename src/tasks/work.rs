//! One task: its buckets, some at a time, each until it is committed or somebody says stop.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::commit::{Committed, OfRun, commit};
use super::finish::check_done;
use super::page::{self, REPORT};
use super::plan::Plan;
pub use super::spool::Scratch;
use super::spool::{Needs, Spool};
use super::{orders, part_key};
use crate::dedupe;
use crate::dedupe::weights::Weights;
use crate::error::{Error, Result};
use crate::fetch::verify::{self, Verified};
use crate::normalize::{self, Annotations};
use crate::report::{self, Most};
use crate::stats::Sheet;
use crate::store::backend::{Key, Traffic};
use crate::store::lake::{Bucket, Lake};
use crate::store::state::answers::AllAnswers;

/// Buckets that a task has open: while one waits for the store, the other computes. This and the size of a bucket bound
/// its memory and its scratch.
const AT_ONCE: usize = 2;
/// So often a bucket is begun that others overtake.
const ATTEMPTS: u32 = 5;

/// What a task does with each bucket.
pub enum Step<'a> {
    Normalize,
    Dedupe,
    Verify,
    Stats(Stats<'a>),
    /// What there is to say of a bucket, with lists of at most so many.
    Report(Most),
}

/// As its tasks are called, with the lists that it has where they are not those of a page.
impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let Step::Report(most) = self {
            let usual = Most::default();
            for (name, wanted, usual) in
                [("workouts", most.workouts, usual.workouts), ("pairs", most.pairs, usual.pairs)]
            {
                if wanted != usual {
                    write!(f, " --{name} {wanted}")?;
                }
            }
        }
        Ok(())
    }
}

/// A table of a bucket's people, and the name of its folder.
pub struct Stats<'a> {
    pub name: &'static str,
    pub sheet: &'a (dyn Fn(&Lake) -> Result<Sheet> + Sync),
}

impl Step<'_> {
    pub fn name(&self) -> &'static str {
        match self {
            Step::Normalize => "normalize",
            Step::Dedupe => "dedupe",
            Step::Verify => "verify",
            Step::Stats(stats) => stats.name,
            Step::Report(_) => REPORT,
        }
    }

    /// Where the signs of it lie, below a run.
    pub(super) fn folder(&self) -> String {
        match self {
            Step::Report(most) => page::folder(*most),
            step => step.name().to_string(),
        }
    }

    /// The datasets that it writes.
    fn writes(&self) -> &'static [&'static str] {
        match self {
            Step::Normalize => &["streams", "rejects", "origins", "activities"],
            Step::Dedupe => &["matches", "golden"],
            Step::Verify | Step::Stats(_) | Step::Report(_) => &[],
        }
    }
}

/// Which buckets of a run, where, and with what.
pub struct Task<'a> {
    pub lake: &'a Lake,
    pub plan: &'a Plan,
    pub buckets: Vec<Bucket>,
    pub scratch: Scratch,
}

/// What a bucket came to; it lies in the store as the sign that the bucket is done.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Done {
    pub bucket: u32,
    /// Files that were put; none where everything was as it would have come out.
    pub files: u64,
    pub rejects: u64,
    /// Damage and gaps that were found, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<String>,
    /// Of the step, as one machine says it.
    pub summary: serde_json::Value,
}

/// What a task came to.
#[derive(Debug, Default, Serialize)]
pub struct Worked {
    pub run: String,
    pub step: &'static str,
    pub buckets: u64,
    /// Done by an earlier attempt.
    pub done_before: u64,
    pub files: u64,
    pub rejects: u64,
    /// Begun again because somebody else was faster.
    pub overtaken: u64,
    /// Others were faster again and again; run the task again later.
    pub given_up: Vec<u32>,
    /// Whether the run is over, so that nothing was done.
    pub is_over: bool,
    /// The run that was planned since, which ends this one.
    pub newer_run: Option<String>,
    pub failed: Vec<String>,
    pub seconds: f64,
    pub cpu_seconds: f64,
    pub most_memory_bytes: u64,
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// How one bucket ended.
enum Ended {
    Done(Done),
    Before,
    GivenUp,
    Over,
    /// This run was planned since, and has what this one would write over.
    Newer(String),
}

/// How one attempt ended.
enum Attempt {
    Done(Done),
    Overtaken,
    /// A file that it read is of a newer run.
    Newer,
}

/// Works through the buckets. One that fails does not stop the others, unless all would fail of the same.
pub fn run(task: &Task, step: &Step) -> Result<Worked> {
    let begin = Instant::now();
    let before = task.lake.backend().traffic();
    let weights = if matches!(step, Step::Dedupe) { Some(task.plan.weights(task.lake)?) } else { None };
    if matches!(step, Step::Report(_)) {
        // A report is of workouts, so it waits for all of them.
        check_done(task.lake, task.plan, &Step::Dedupe)?;
    }
    let next = AtomicUsize::new(0);
    let overtaken = AtomicUsize::new(0);
    let ended: Mutex<Vec<(Bucket, Result<Ended>)>> = Mutex::default();
    let work = || {
        while let Some(bucket) = task.buckets.get(next.fetch_add(1, Ordering::Relaxed)) {
            let of_bucket = OfBucket { task, step, weights: weights.as_deref(), bucket: *bucket };
            let result = of_bucket.run(&overtaken);
            let ends_all = matches!(&result, Ok(Ended::Over | Ended::Newer(_)))
                || result.as_ref().is_err_and(Error::is_everywhere);
            ended.lock().expect("no thread panics while it holds this").push((*bucket, result));
            if ends_all {
                next.store(task.buckets.len(), Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(task.buckets.len()) {
            scope.spawn(work);
        }
    });
    let mut worked = Worked { run: task.plan.id.clone(), step: step.name(), ..Worked::default() };
    let mut ended = ended.into_inner().expect("no thread panics while it holds this");
    ended.sort_by_key(|(bucket, _)| *bucket);
    for (bucket, ended) in ended {
        match ended {
            Ok(Ended::Done(done)) => {
                worked.buckets += 1;
                worked.files += done.files;
                worked.rejects += done.rejects;
            }
            Ok(Ended::Before) => worked.done_before += 1,
            Ok(Ended::GivenUp) => worked.given_up.push(bucket.0),
            Ok(Ended::Over) => worked.is_over = true,
            Ok(Ended::Newer(run)) => worked.newer_run = Some(run),
            Err(e) if e.is_everywhere() => return Err(e),
            Err(e) => worked.failed.push(format!("bucket {bucket}: {e}")),
        }
    }
    worked.overtaken = overtaken.into_inner() as u64;
    worked.seconds = begin.elapsed().as_secs_f64();
    (worked.cpu_seconds, worked.most_memory_bytes) = used();
    worked.traffic = task.lake.backend().traffic().since(before);
    Ok(worked)
}

/// Seconds of computing, and the most memory, of this process so far.
fn used() -> (f64, u64) {
    let text = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    // Behind the name, which may have spaces in it, the 12th and 13th number are hundredths of a second.
    let stat = text("stat");
    let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let cpu_s = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0;
    let status = text("status");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    (cpu_s, peak.unwrap_or(0) << 10)
}

/// The sign that a bucket is done with a step.
fn done_key(id: &str, step: &Step, bucket: Bucket) -> Key {
    part_key(id, &format!("{}/{bucket}.json", step.folder()))
}

struct OfBucket<'a, 'b> {
    task: &'a Task<'a>,
    step: &'a Step<'b>,
    weights: Option<&'a str>,
    bucket: Bucket,
}

impl OfBucket<'_, '_> {
    fn run(&self, overtaken: &AtomicUsize) -> Result<Ended> {
        let Task { lake, plan, .. } = self.task;
        let key = done_key(&plan.id, self.step, self.bucket);
        if lake.backend().exists(&key)? {
            return Ok(Ended::Before);
        }
        let contested = self.contested()?;
        for _ in 0..ATTEMPTS {
            // Reading goes on: tables are made of what a run came to.
            if !self.step.writes().is_empty() {
                if plan.is_over(lake)? {
                    return Ok(Ended::Over);
                }
                if let Some(newer) = orders::newer(lake, plan)? {
                    return Ok(Ended::Newer(newer));
                }
            }
            match self.once(contested)? {
                Attempt::Done(done) => {
                    lake.put(&key, &serde_json::to_vec_pretty(&done).expect("it is plain"))?;
                    return Ok(Ended::Done(done));
                }
                Attempt::Overtaken => overtaken.fetch_add(1, Ordering::Relaxed),
                Attempt::Newer => {
                    let newer = orders::newer(lake, plan)?;
                    return Ok(Ended::Newer(
                        newer.unwrap_or_else(|| "that is not there any more".to_string()),
                    ));
                }
            };
        }
        Ok(Ended::GivenUp)
    }

    /// The datasets that an older run may still write in this bucket.
    fn contested(&self) -> Result<&'static [&'static str]> {
        let Task { lake, plan, .. } = self.task;
        for older in &plan.older {
            if !lake.backend().exists(&done_key(older, self.step, self.bucket))? {
                return Ok(self.step.writes());
            }
        }
        Ok(&[])
    }

    fn once(&self, contested: &[&str]) -> Result<Attempt> {
        let Task { lake, plan, scratch, .. } = self.task;
        let mut spool = Spool::new(lake, plan, self.bucket, scratch)?;
        let mut done = Done { bucket: self.bucket.0, ..Done::default() };
        match self.step {
            Step::Normalize => {
                let annotations = Annotations::read(&spool.lake)?;
                if contested.is_empty() && normalize::is_settled(lake, self.bucket, &annotations)? {
                    return Ok(Attempt::Done(done));
                }
                let needs = Needs { beside_activities: true, landing: true, ..Needs::default() };
                spool.fill(lake, needs, scratch)?;
                let run = normalize::run_some(&spool.lake, &[self.bucket], |_| {})?;
                // What it did of other sources is committed before that is said.
                done.found = run.failed;
                done.rejects = run.summary.rejects;
                done.summary = serde_json::to_value(&run.summary).expect("it is plain");
            }
            Step::Dedupe => {
                let text = self.weights.expect("they were read for this step");
                spool.lake.put(&spool.lake.weights(), text.as_bytes())?;
                let weights = Weights::parse(text, &spool.lake.place(&spool.lake.weights()))?;
                let (options, answers) = (plan.options()?, AllAnswers::read(&spool.lake)?);
                if contested.is_empty()
                    && dedupe::is_settled(lake, self.bucket, &weights, &options, &answers)?
                {
                    return Ok(Attempt::Done(done));
                }
                spool.fill(lake, Needs { workouts: true, ..Needs::default() }, scratch)?;
                let run = dedupe::run(&spool.lake, &options, |_| {})?;
                done.found = run.failed;
                done.summary = serde_json::to_value(run.summary).expect("it is plain");
            }
            Step::Verify => {
                let needs =
                    Needs { landing: true, workouts: true, beside_activities: true, ..Needs::default() };
                spool.fill(lake, needs, scratch)?;
                let verified = verify::verify_some(&spool.lake, &[self.bucket])?;
                done.summary = serde_json::to_value(&verified).expect("it is plain");
                let Verified { damage, gaps, .. } = verified;
                done.found = damage.into_iter().chain(gaps).collect();
                return Ok(Attempt::Done(done));
            }
            Step::Stats(stats) => {
                let needs = Needs { workouts: true, beside_activities: true, ..Needs::default() };
                spool.fill(lake, needs, scratch)?;
                let sheet = (stats.sheet)(&spool.lake)?;
                let made = tempfile::NamedTempFile::new_in(&scratch.folder)
                    .map_err(Error::io("write in", &scratch.folder))?;
                sheet.write_parquet(made.path())?;
                let name = format!("{}/{}.parquet", stats.name, self.bucket);
                lake.backend().upload(&part_key(&plan.id, &name), made.path())?;
                done.files = 1;
                done.summary = serde_json::json!({ "lines": sheet.len() });
                return Ok(Attempt::Done(done));
            }
            Step::Report(most) => {
                let needs = Needs { workouts: true, rejects: true, ..Needs::default() };
                spool.fill(lake, needs, scratch)?;
                // Rows of a newer run do not fit the golden rows of this one.
                if spool.newest > plan.order {
                    return Ok(Attempt::Newer);
                }
                let part = report::part(&spool.lake, self.bucket, None, *most, None)?;
                let bytes = part.to_bytes().map_err(Error::io("pack", &scratch.folder))?;
                lake.put(&page::key(&plan.id, *most, self.bucket), &bytes)?;
                done.files = 1;
                done.summary = serde_json::json!({ "records": part.records(), "bytes": bytes.len() });
                return Ok(Attempt::Done(done));
            }
        }
        // Whoever is newer has put that, and may know more.
        if spool.newest > plan.order {
            return Ok(Attempt::Newer);
        }
        match commit(&spool, OfRun { order: plan.order, contested }, lake.backend())? {
            Committed::Done(files) if done.found.is_empty() => Ok(Attempt::Done(Done { files, ..done })),
            // A source that cannot be read stays owed.
            Committed::Done(_) => Err(Error::damaged(lake.root(), done.found.join("; "))),
            Committed::Overtaken => Ok(Attempt::Overtaken),
        }
    }
}
