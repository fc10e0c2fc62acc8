//! `longrun verify`

use super::output::say;
use super::{Context, Exit, output, task};
use crate::error::{Error, Result};
use crate::fetch::verify::{Verified, refetch, verify, verify_some};
use crate::tasks::Step;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Let the next fetch ask again for responses that are damaged. Without this, nothing is changed
    #[arg(long)]
    refetch: bool,
    #[command(flatten)]
    task: task::Args,
}

pub fn run(context: &Context, args: &Args) -> Result<Exit> {
    if let Some(id) = args.task.run_id() {
        if args.refetch {
            return Err(Error::Usage(
                "--refetch is for the machine that fetches, and not for a task".to_string(),
            ));
        }
        return task::run(context, &args.task, id, &Step::Verify);
    }
    let lake = context.open()?;
    let verified = match args.task.some(&lake)?.as_slice() {
        [] => verify(&lake)?,
        some => verify_some(&lake, some)?,
    };
    if args.refetch {
        refetch(&lake, &verified)?;
    }
    if context.json {
        output::json(&verified)?;
    }
    describe(&verified);
    match (verified.can_be_refetched(), args.refetch) {
        (true, false) => {
            say!(
                "run `longrun verify --refetch`, and the next fetch asks again for the damaged responses, at its --depth"
            );
        }
        (true, true) => say!("the next fetch asks again for the damaged responses, at its --depth"),
        (false, _) if !verified.lost.is_empty() => {
            say!("run `longrun fetch` at the --depth of before: it asks again for what was lost");
        }
        (false, _) => {}
    }
    let is_sound = verified.damage.is_empty() && verified.gaps.is_empty();
    Ok(if is_sound { Exit::Done } else { Exit::DoneWithRejects })
}

fn describe(verified: &Verified) {
    let v = verified;
    say!(
        "sound: {}, {} and {} of datasets; {} rows",
        output::count_of(v.responses, "response", "responses"),
        output::count_of(v.archives, "archive", "archives"),
        output::count_of(v.files, "file", "files"),
        output::count_of(v.activities, "activity has", "activities have"),
    );
    if v.newer > 0 {
        say!("{} responses were written by a newer longrun, and are kept for it", output::count(v.newer));
    }
    if !v.damage.is_empty() {
        say!("damaged, in {} {}:", v.damage.len(), if v.damage.len() == 1 { "place" } else { "places" });
        output::complaints(&v.damage);
    }
    output::complaints(&v.lost);
    output::complaints(&v.gaps);
    if !v.made_good.is_empty() {
        let places = output::count_of(v.made_good.len() as u64, "place", "places");
        say!(
            "damaged, in {places} of landing, and made good: what was there was fetched again, or is owed still"
        );
        output::complaints(&v.made_good);
    }
}
