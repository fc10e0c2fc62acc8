//! `longrun verify`

use super::output::say;
use super::{Context, Exit, output};
use crate::error::Result;
use crate::fetch::verify::{Verified, refetch, verify};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Let the next fetch ask again for responses that are damaged. Without this, nothing is changed
    #[arg(long)]
    refetch: bool,
}

pub fn run(context: &Context, args: &Args) -> Result<Exit> {
    let lake = context.open()?;
    let verified = verify(&lake)?;
    if args.refetch {
        refetch(&lake, &verified)?;
    }
    if context.json {
        output::json(&verified)?;
    }
    describe(&verified);
    if verified.can_be_refetched() {
        say!(
            "{}",
            if args.refetch {
                "the next fetch asks again for the damaged responses"
            } else {
                "run `longrun verify --refetch`, and the next fetch asks again for the damaged responses"
            }
        );
    }
    let is_sound = verified.damage.is_empty() && verified.gaps.is_empty();
    Ok(if is_sound { Exit::Done } else { Exit::DoneWithRejects })
}

fn describe(verified: &Verified) {
    let v = verified;
    say!(
        "{} responses and {} archives are sound; {} activities have rows",
        output::count(v.responses),
        output::count(v.archives),
        output::count(v.activities)
    );
    if v.newer > 0 {
        say!("{} responses were written by a newer longrun, and are kept for it", output::count(v.newer));
    }
    if !v.damage.is_empty() {
        say!("damaged, in {} {}:", v.damage.len(), if v.damage.len() == 1 { "place" } else { "places" });
        output::complaints(&v.damage);
    }
    output::complaints(&v.gaps);
}
