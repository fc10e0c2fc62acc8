//! `longrun report`

use std::path::{Path, PathBuf};

use super::output::say;
use super::{Context, Exit, output, task};
use crate::error::{Error, Result};
use crate::report::{self, Most, Options, Overview, Report};
use crate::store::backend::Key;
use crate::store::lake::Lake;
use crate::store::{local, names};
use crate::tasks::Step;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to write the page [default: reports/report.html in the lake]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only this user's records
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    #[command(flatten)]
    lists: Lists,
    #[command(flatten)]
    task: task::Args,
}

#[derive(Debug, clap::Args)]
pub struct Lists {
    /// How many workouts the page lists
    #[arg(long, default_value_t = Most::default().workouts, value_name = "N")]
    workouts: usize,
    /// How many pairs the page lists
    #[arg(long, default_value_t = Most::default().pairs, value_name = "N")]
    pairs: usize,
}

impl Lists {
    pub fn most(&self) -> Most {
        Most { workouts: self.workouts, pairs: self.pairs, ..Most::default() }
    }
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let most = args.lists.most();
    if let Some(id) = args.task.run_id() {
        if args.user.is_some() || args.out.is_some() {
            return Err(Error::Usage(format!(
                "a task collects what there is to say of its buckets; `longrun run report {id}` writes the page of all people, \
                 with --out where you like"
            )));
        }
        return task::run(context, &args.task, id, &Step::Report(most));
    }
    let lake = context.open()?;
    let buckets = args.task.some(&lake)?;
    if !buckets.is_empty() && args.out.is_none() {
        return Err(Error::Usage("a page of some buckets is none of the lake; add --out FILE".to_string()));
    }
    let options = Options { user: args.user, buckets, most };
    let (path, overview) = write(&lake, &options, args.out)?;
    tell(context, &path, &overview)
}

/// Says where the page is, and its main figures.
pub fn tell(context: &Context, path: &Path, overview: &Overview) -> Result<Exit> {
    if context.json {
        output::json(overview)?;
    }
    describe(overview);
    say!("open {} in a browser", path.display());
    Ok(Exit::of(overview.left_out.is_empty()))
}

/// Writes the page. Returns its path and its figures.
pub fn write(lake: &Lake, options: &Options, out: Option<PathBuf>) -> Result<(PathBuf, Overview)> {
    let bar = output::bar(lake.buckets().count() as u64, "  report {bar:30} {pos}/{len} buckets, {eta} left");
    let report = report::of_lake(lake, options, |done| bar.inc(done));
    bar.finish_and_clear();
    keep(lake, report?, out, &names::own_page())
}

/// Keeps a page where somebody wants it, or under this key in the lake.
pub fn keep(lake: &Lake, report: Report, out: Option<PathBuf>, key: &Key) -> Result<(PathBuf, Overview)> {
    let path = match out {
        Some(path) => {
            let path = std::path::absolute(&path).map_err(Error::io("find", &path))?;
            local::replace(&path, |file| report::write(&report, file))?;
            path
        }
        None => {
            lake.backend().put(key, &mut |out| report::write(&report, out))?;
            lake.place(key)
        }
    };
    Ok((path, report.overview))
}

/// Prints the main figures.
pub fn describe(o: &Overview) {
    let whole = |number: f64| output::count(number.round() as u64);
    say!(
        "{} → {} ({})",
        output::count_of(o.activities.count, "record", "records"),
        output::count_of(o.workouts.count, "workout", "workouts"),
        output::count_of(o.users, "person", "people"),
    );
    say!(
        "total {} km in {} h ({} km in {} h before removing duplicates)",
        whole(o.workouts.distance_km),
        whole(o.workouts.time_h),
        whole(o.activities.distance_km),
        whole(o.activities.time_h)
    );
    if o.not_deduped > 0 {
        say!("{}", output::not_deduped(o.not_deduped));
    }
    say!("{} to review", output::count_of(o.pairs.review, "pair", "pairs"));
    output::left_out(&o.left_out);
}
