//! `longrun verify`

use super::output::say;
use super::{Context, Exit, output};
use crate::error::Result;
use crate::fetch::verify::{Verified, verify};

pub fn run(context: &Context) -> Result<Exit> {
    let verified = verify(&context.open()?)?;
    if context.json {
        output::json(&verified)?;
    }
    describe(&verified);
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
