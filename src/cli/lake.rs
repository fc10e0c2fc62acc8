//! `longrun lake`: bringing a lake to an object store and back.

use clap::Subcommand;

use super::output::say;
use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::store::lake::{Lake, remote};
use crate::store::local::Local;
use crate::store::mirror::{Mirrored, mirror};
use crate::store::place::Place;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Copy this lake to a bucket or a folder, for tasks on other machines
    ///
    /// Landing, archives, datasets, rules, policy and weights; what is there already is left alone, and what arrives is
    /// read back and compared. Accounts, tokens, answers and deliveries stay on this machine.
    Push {
        /// gs://bucket/prefix, s3://bucket/prefix or a folder
        to: Place,
    },
    /// Copy a lake from a bucket or a folder into this one
    Pull {
        /// gs://bucket/prefix, s3://bucket/prefix or a folder
        from: Place,
    },
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let mirrored = match &args.action {
        Action::Push { to } => push(context, to)?,
        Action::Pull { from } => pull(context, from)?,
    };
    if context.json {
        output::json(&mirrored)?;
    }
    let m = mirrored;
    let (one, two) = match &args.action {
        Action::Push { to } => ("pushed", to),
        Action::Pull { from } => ("pulled", from),
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

fn copy(from: &Lake, to: &Place) -> Result<Mirrored> {
    let bar = output::bar(0, "  copy {bytes}, {bytes_per_sec}");
    let mirrored = match to {
        Place::Folder(folder) => mirror(from, &Local::new(folder), |bytes| bar.inc(bytes)),
        Place::Url(url) => mirror(from, &*remote(url)?, |bytes| bar.inc(bytes)),
    };
    bar.finish_and_clear();
    mirrored
}

/// The lake at a place, if there is one.
fn there(place: &Place) -> Result<Option<Lake>> {
    match Lake::open_at(place) {
        Ok(lake) => Ok(Some(lake)),
        Err(Error::Usage(why)) if why.contains("there is no lake at") => Ok(None),
        Err(e) => Err(e),
    }
}

fn push(context: &Context, to: &Place) -> Result<Mirrored> {
    let lake = context.open()?;
    // Nobody fetches, imports or normalizes meanwhile.
    let _locks = crate::store::purge::lock_all(&lake)?;
    check_buckets(&lake, there(to)?.as_ref(), to)?;
    copy(&lake, to)
}

fn pull(context: &Context, from: &Place) -> Result<Mirrored> {
    let there_lake = Lake::open_at(from)?;
    let folder = context.folder()?;
    let own = there(&context.lake)?;
    check_buckets(&there_lake, own.as_ref(), &context.lake)?;
    let _locks = own.as_ref().map(crate::store::purge::lock_all).transpose()?;
    copy(&there_lake, &Place::Folder(folder.to_path_buf()))
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
