//! `longrun lake`: making one of so many buckets, and bringing it to an object store and back.

use clap::Subcommand;

use super::output::say;
use super::{Context, Exit, output, place};
use crate::error::{Error, Result};
use crate::store::backend::{Backend, Key};
use crate::store::dataset;
use crate::store::forgotten;
use crate::store::geometry;
use crate::store::lake::{Lake, Patience, remote};
use crate::store::local::Local;
use crate::store::mirror::{Mirrored, Take, mirror};
use crate::store::names::{self, BUCKETS, CHARTER, MOST_BUCKETS};
use crate::store::place::Place;
use crate::store::rebucket;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an empty lake, with as many buckets as it will need
    ///
    /// A lake that is not made like this has 128 buckets, which is enough for tens of millions of activities; for a
    /// billion take 4,096 where tasks work on a disk, and 32,768 where they work in memory.
    New {
        /// How many buckets
        #[arg(long, value_name = "N", default_value_t = BUCKETS, value_parser = buckets)]
        buckets: u32,
    },
    /// Change how many buckets a lake has; it can be killed, and carried on by the same command
    ///
    /// Landing and archives are dealt out anew, byte for byte, which takes as much room again as the landing; the datasets
    /// are dropped, and `normalize` and `dedupe` make them anew.
    Rebucket {
        /// How many buckets
        #[arg(value_name = "N", value_parser = buckets)]
        buckets: u32,
    },
    /// Add a geometry column to `activities` and `golden`, for tools that read GeoParquet, or remove it
    ///
    /// With the columns `geometry` and `bbox` both are GeoParquet 1.1: GeoPandas and DuckDB open them as they are. They take
    /// about five times the space. What is there is written anew at once. If this is killed, some files have the columns and
    /// some have not, which other tools refuse: run it again.
    Geometry {
        #[arg(value_name = "on|off", value_parser = on_or_off, action = clap::ArgAction::Set)]
        wanted: bool,
    },
    /// Copy this lake to a bucket or a folder, for tasks on other machines
    ///
    /// Landing, archives, rules and policy, and where there are none yet the datasets and weights. What is there already is
    /// left alone, and what arrives is read back and compared. Accounts, tokens, answers and deliveries stay on this
    /// machine.
    Push {
        /// gs://bucket/prefix, s3://bucket/prefix or a folder
        #[arg(value_parser = place())]
        to: Place,
        /// Replace the datasets there by those of this lake; without this, datasets go along only where there are none
        #[arg(long)]
        datasets: bool,
    },
    /// Copy a lake from a bucket or a folder into this one: its datasets, and whatever else this one does not have
    ///
    /// Pages of runs come along as reports/run-ID.html; the reports that this lake has of its own stay.
    Pull {
        /// gs://bucket/prefix, s3://bucket/prefix or a folder
        #[arg(value_parser = place())]
        from: Place,
    },
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let mirrored = match &args.action {
        Action::New { buckets } => return new(context, *buckets),
        Action::Rebucket { buckets } => return rebucket(context, *buckets),
        Action::Geometry { wanted } => return keep_geometry(context, *wanted),
        Action::Push { to, datasets } => push(context, to, *datasets)?,
        Action::Pull { from } => pull(context, from)?,
    };
    if context.json {
        output::json(&mirrored)?;
    }
    let m = mirrored;
    let (one, two) = match &args.action {
        Action::Pull { from } => ("pulled", from.to_string()),
        Action::Push { to, .. } => ("pushed", to.to_string()),
        _ => unreachable!("the others have returned"),
    };
    say!(
        "{one} {} ({}), {} there already: {two}",
        output::count_of(m.files, "file", "files"),
        output::bytes(m.bytes),
        output::count(m.same)
    );
    if m.out_of_reach > 0 {
        let archives = output::count_of(m.out_of_reach, "archive", "archives");
        say!("{archives} left in their place cannot be read there, or have changed since; import them anew");
        return Ok(Exit::Incomplete);
    }
    Ok(Exit::Done)
}

fn buckets(text: &str) -> std::result::Result<u32, String> {
    let wrong = || format!("a lake has 1 to {MOST_BUCKETS} buckets");
    text.parse().ok().filter(|buckets| (1..=MOST_BUCKETS).contains(buckets)).ok_or_else(wrong)
}

fn on_or_off(text: &str) -> std::result::Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("say on or off".to_string()),
    }
}

fn keep_geometry(context: &Context, wanted: bool) -> Result<Exit> {
    let lake = Lake::open(context.folder()?)?;
    let done = geometry::set(&lake, wanted)?;
    if context.json {
        output::json(&done)?;
    }
    let has = if wanted { "has" } else { "has no" };
    if done.files == 0 {
        say!("the lake {has} geometry; there was nothing to write");
    } else {
        say!(
            "the lake {has} geometry now: {} written, {} instead of {}; the next `longrun dedupe` compares everything once more",
            output::count_of(done.files, "file", "files"),
            output::bytes(done.bytes),
            output::bytes(done.bytes_before)
        );
    }
    Ok(Exit::Done)
}

fn new(context: &Context, buckets: u32) -> Result<Exit> {
    let lake = Lake::open_or_create_of(context.folder()?, Some(buckets))?;
    say!(
        "{} is a lake of {}",
        lake.root().display(),
        output::count_of(u64::from(buckets), "bucket", "buckets")
    );
    Ok(Exit::Done)
}

fn rebucket(context: &Context, buckets: u32) -> Result<Exit> {
    let lake = Lake::open_as_it_is(context.folder()?)?;
    if let Some(other) = rebucket::cut_off(lake.root()).filter(|other| *other != buckets) {
        return Err(Error::Usage(format!("a change to {other} buckets was cut off; carry that on first")));
    }
    let is_done = lake.bucket_count() == buckets && rebucket::cut_off(lake.root()).is_none();
    let done = rebucket::rebucket(&lake, buckets)?;
    if is_done {
        say!("the lake has {} already", output::count_of(u64::from(buckets), "bucket", "buckets"));
        return Ok(Exit::Done);
    }
    if context.json {
        output::json(&done)?;
    }
    say!(
        "the lake has {} now; run `longrun normalize` and `longrun dedupe` to make the datasets anew",
        output::count_of(u64::from(buckets), "bucket", "buckets")
    );
    Ok(Exit::Done)
}

fn copy(from: &Lake, to: &Place, take: Take) -> Result<Mirrored> {
    let bar = output::bar(0, "  copy {bytes}, {bytes_per_sec}");
    let mirrored = match to {
        Place::Folder(folder) => {
            let there = Local::new(folder);
            mirror(from, &there, take, |bytes| bar.inc(bytes)).and_then(|mirrored| {
                there.remove(&Key::new(COPYING))?;
                Ok(mirrored)
            })
        }
        Place::Url(url) => mirror(from, &*remote(url, Patience::Minutes)?, take, |bytes| bar.inc(bytes)),
    };
    bar.finish_and_clear();
    mirrored
}

/// Stands in a folder that is becoming a lake, until it is one: a copy that was cut off there is carried on.
const COPYING: &str = "copying";

/// Who was forgotten goes to a lake that is made.
fn begin_at(from: &Lake, to: &Place) -> Result<()> {
    match to {
        Place::Folder(folder) => {
            let there = Local::new(folder);
            there.put(&Key::new(COPYING), &mut |_| Ok(()))?;
            forgotten::begin(from, &there)
        }
        Place::Url(url) => forgotten::begin(from, &*remote(url, Patience::Minutes)?),
    }
}

/// The lake at a place, if there is one.
fn there(place: &Place) -> Result<Option<Lake>> {
    if let Place::Folder(folder) = place
        && folder.join(COPYING).exists()
        && !folder.join(CHARTER).exists()
    {
        return Ok(None);
    }
    match Lake::open_at(place) {
        Ok(lake) => Ok(Some(lake)),
        Err(Error::Usage(why)) if why.contains("there is no lake at") => Ok(None),
        Err(e) => Err(e),
    }
}

fn push(context: &Context, to: &Place, datasets: bool) -> Result<Mirrored> {
    let lake = context.open()?;
    // Nobody fetches, imports or normalizes meanwhile.
    let _locks = crate::store::purge::lock_all(&lake)?;
    let other = there(to)?;
    check_buckets(&lake, other.as_ref(), to)?;
    match &other {
        Some(other) => forgotten::agree(&lake, other)?,
        None => begin_at(&lake, to)?,
    }
    let has_datasets = match &other {
        Some(other) => !dataset::files(other, &other.activities_folder())?.is_empty(),
        None => false,
    };
    copy(&lake, to, if has_datasets && !datasets { Take::Landed } else { Take::Everything })
}

fn pull(context: &Context, from: &Place) -> Result<Mirrored> {
    let there_lake = Lake::open_at(from)?;
    let folder = context.folder()?;
    let own = there(&context.lake)?;
    check_buckets(&there_lake, own.as_ref(), &context.lake)?;
    let _locks = own.as_ref().map(crate::store::purge::lock_all).transpose()?;
    match &own {
        Some(own) => forgotten::agree(own, &there_lake)?,
        None => begin_at(&there_lake, &context.lake)?,
    }
    let pulled = copy(&there_lake, &Place::Folder(folder.to_path_buf()), Take::Back)?;
    if own.is_some() && pulled.files + pulled.removed > 0 && Local::new(folder).exists(&names::own_page())? {
        say!("{} is of what was there before; `longrun report` makes it anew", names::own_page());
    }
    let is_kept = there_lake.has_geometry();
    if own.is_some_and(|own| own.has_geometry() != is_kept) {
        let (has, other) = if is_kept { ("with", "off") } else { ("without", "on") };
        say!("the datasets came {has} geometry; `longrun lake geometry {other}` changes that");
    }
    Ok(pulled)
}

fn check_buckets(from: &Lake, to: Option<&Lake>, place: &Place) -> Result<()> {
    match to {
        Some(to) if to.bucket_count() != from.bucket_count() => Err(Error::Usage(format!(
            "{place} has {} buckets, and {} has {}; a lake is copied to one of as many",
            to.bucket_count(),
            from.root().display(),
            from.bucket_count()
        ))),
        _ => Ok(()),
    }
}
