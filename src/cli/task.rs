//! `--run`, `--shard`, `--bucket`: the stages as tasks of a run on many machines, and some buckets of a lake.

use std::path::PathBuf;

use super::output::say;
use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::store::lake::{Bucket, Lake};
use crate::tasks::{self, Plan, Planned, Scratch, Shard, Step, Task, Worked};

#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Tasks on many machines (docs/scale.md)")]
pub struct Args {
    /// Work as a task of this run, which `longrun run plan` began
    #[arg(long, env = "LONGRUN_RUN", value_name = "ID")]
    run: Option<String>,
    /// Only the buckets of this shard; of four, 0/4 to 3/4. In a task of Cloud Run, Batch, Kubernetes or Slurm the
    /// scheduler's own numbers count without it
    #[arg(long, value_name = "I/N", conflicts_with = "buckets")]
    shard: Option<Shard>,
    /// How many shards there are, where the scheduler tells a task only its index (Kubernetes)
    #[arg(long, env = "LONGRUN_SHARDS", value_name = "N", conflicts_with_all = ["shard", "buckets"])]
    shards: Option<u32>,
    /// Only these buckets
    #[arg(long = "bucket", value_name = "K,…", value_delimiter = ',')]
    buckets: Vec<u32>,
    /// Where a task works; memory by default
    #[arg(long, env = "LONGRUN_SCRATCH", value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// The most that a bucket of a task may take there; by default what is free
    #[arg(long, env = "LONGRUN_SCRATCH_MIB", value_name = "MIB")]
    scratch_mib: Option<u64>,
}

/// How schedulers tell a task which it is, and of how many; the last names the first index where that is not 0.
const SCHEDULERS: [(&str, Option<&str>, Option<&str>); 4] = [
    ("CLOUD_RUN_TASK_INDEX", Some("CLOUD_RUN_TASK_COUNT"), None),
    ("BATCH_TASK_INDEX", Some("BATCH_TASK_COUNT"), None),
    ("JOB_COMPLETION_INDEX", None, None),
    ("SLURM_ARRAY_TASK_ID", Some("SLURM_ARRAY_TASK_COUNT"), Some("SLURM_ARRAY_TASK_MIN")),
];

/// The shard that a scheduler's environment names. `count` is how many there are, where it does not say that.
fn scheduled(variable: impl Fn(&str) -> Option<String>, count: Option<u32>) -> Result<Option<Shard>> {
    let number = |name: &str| -> Result<Option<u32>> {
        let Some(text) = variable(name) else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| Error::Usage(format!("{name} is {text:?}, and no number")))
    };
    for (index, counted, first) in SCHEDULERS {
        let Some(index_of_task) = number(index)? else { continue };
        let first = first.map_or(Ok(None), number)?.unwrap_or(0);
        let Some(count) = count.map_or_else(|| counted.map_or(Ok(None), number), |count| Ok(Some(count)))?
        else {
            return Err(Error::Usage(format!(
                "{index} is set, and nothing says of how many: add --shards N"
            )));
        };
        let shard = Shard::new(index_of_task.saturating_sub(first), count).map_err(Error::Usage)?;
        return Ok(Some(shard));
    }
    match count {
        Some(_) => Err(Error::Usage(
            "--shards needs an index: JOB_COMPLETION_INDEX, or --shard I/N instead".to_string(),
        )),
        None => Ok(None),
    }
}

impl Args {
    /// Whether this is a task of a run.
    pub fn run_id(&self) -> Option<&str> {
        self.run.as_deref().filter(|id| !id.is_empty())
    }

    fn named(&self, lake: &Lake) -> Result<Vec<Bucket>> {
        match self.buckets.iter().find(|bucket| **bucket >= lake.bucket_count()) {
            Some(bucket) => Err(Error::Usage(format!(
                "there is no bucket {bucket}: the lake has {}, from 0 on",
                lake.bucket_count()
            ))),
            None => Ok(self.buckets.iter().copied().map(Bucket).collect()),
        }
    }

    /// The buckets of a lake that a command works on outside of a run; empty for all.
    pub fn some(&self, lake: &Lake) -> Result<Vec<Bucket>> {
        let Some(shard) = self.shard else { return self.named(lake) };
        let planned: Vec<Planned> =
            lake.buckets().map(|bucket| Planned { bucket: bucket.0, bytes: 1 }).collect();
        let own = tasks::shard(&planned, shard);
        if own.is_empty() {
            return Err(Error::Usage(format!("shard {}/{} has no bucket", shard.index, shard.count)));
        }
        Ok(own)
    }

    /// The buckets of a task.
    fn of_run(&self, lake: &Lake, plan: &Plan) -> Result<Vec<Bucket>> {
        if !self.buckets.is_empty() {
            return self.named(lake);
        }
        let shard = match self.shard {
            Some(shard) => Some(shard),
            None => scheduled(|name| std::env::var(name).ok(), self.shards)?,
        };
        Ok(tasks::shard(&plan.planned, shard.unwrap_or(Shard { index: 0, count: 1 })))
    }

    fn scratch(&self) -> Result<Scratch> {
        let folder = self.scratch.clone().unwrap_or_else(Scratch::default_folder);
        if !folder.is_dir() {
            return Err(Error::Usage(format!("{} is no folder; --scratch names one", folder.display())));
        }
        Ok(Scratch { folder, most_bytes: self.scratch_mib.map(|mib| mib << 20) })
    }
}

/// Works as a task of a run.
pub fn run(context: &Context, args: &Args, id: &str, step: &Step) -> Result<Exit> {
    let lake = context.open_anywhere()?;
    let plan = Plan::read(&lake, id)?;
    let task =
        Task { lake: &lake, plan: &plan, buckets: args.of_run(&lake, &plan)?, scratch: args.scratch()? };
    let worked = tasks::run(&task, step)?;
    if context.json {
        output::json(&worked)?;
    }
    describe(&worked);
    Ok(match &worked {
        worked if !worked.failed.is_empty() => Exit::Incomplete,
        worked if !worked.given_up.is_empty() => Exit::StoppedAtQuota,
        _ => Exit::Done,
    })
}

fn describe(worked: &Worked) {
    output::complaints(&worked.failed);
    if worked.is_over {
        say!("run {} is finished; nothing was changed", worked.run);
    }
    if let Some(newer) = &worked.newer_run {
        say!(
            "run {} is over: run {newer} was planned after it, and its tasks do this; nothing was written over",
            worked.run
        );
    }
    if !worked.given_up.is_empty() {
        let buckets = output::count_of(worked.given_up.len() as u64, "bucket was", "buckets were");
        say!("{buckets} written by others again and again; run the same task again later");
    }
    let t = &worked.traffic;
    say!(
        "{} {}: {} done, {} before, {} written, {}; {:.1} s, {:.1} s of CPU, {} of memory; {}, {}, {}; {} read, {} written",
        worked.run,
        worked.step,
        output::count_of(worked.buckets, "bucket", "buckets"),
        output::count(worked.done_before),
        output::count_of(worked.files, "file", "files"),
        output::count_of(worked.rejects, "reject", "rejects"),
        worked.seconds,
        worked.cpu_seconds,
        output::bytes(worked.most_memory_bytes),
        output::count_of(t.gets, "get", "gets"),
        output::count_of(t.puts, "put", "puts"),
        output::count_of(t.lists, "list", "lists"),
        output::bytes(t.read_bytes),
        output::bytes(t.written_bytes),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(set: &'static [(&'static str, &'static str)], count: Option<u32>) -> Result<Option<Shard>> {
        scheduled(
            |name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_string()),
            count,
        )
    }

    #[test]
    fn a_task_knows_its_shard_by_what_its_scheduler_says() {
        let shard = |index, count| Some(Shard { index, count });
        assert_eq!(
            of(&[("CLOUD_RUN_TASK_INDEX", "3"), ("CLOUD_RUN_TASK_COUNT", "8")], None).unwrap(),
            shard(3, 8)
        );
        assert_eq!(of(&[("BATCH_TASK_INDEX", "0"), ("BATCH_TASK_COUNT", "2")], None).unwrap(), shard(0, 2));
        assert_eq!(of(&[("JOB_COMPLETION_INDEX", "1")], Some(4)).unwrap(), shard(1, 4));
        let slurm =
            [("SLURM_ARRAY_TASK_ID", "4"), ("SLURM_ARRAY_TASK_COUNT", "4"), ("SLURM_ARRAY_TASK_MIN", "1")];
        assert_eq!(of(Box::leak(Box::new(slurm)), None).unwrap(), shard(3, 4));
        assert_eq!(of(&[], None).unwrap(), None);
        assert!(of(&[("JOB_COMPLETION_INDEX", "1")], None).unwrap_err().to_string().contains("--shards"));
        assert!(of(&[("BATCH_TASK_INDEX", "x")], Some(2)).is_err());
        assert!(of(&[], Some(2)).is_err());
    }
}
