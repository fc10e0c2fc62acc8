//! A run in tasks: the stages that work on buckets, on as many machines as somebody has, over one store.
//!
//! ```text
//! plan ─▶ runs/<id>.json                  what all tasks go by: version, thresholds, rules, the buckets with their weight
//!         runs/<id>/state/017.jsonl       of the state database, what bucket 17 needs
//! normalize ─▶ runs/<id>/normalize/017.json      done, with a summary
//! learn ─▶ runs/<id>/weights.toml         once, before dedupe
//! dedupe ─▶ runs/<id>/dedupe/017.json
//! report ─▶ runs/<id>/report/<lists>/017.cbor.zst   what there is to say of a bucket; `run report` makes a page of all
//! finish ─▶ runs/<id>/done.json           sums, and the files that readers may take
//! ```
//!
//! A task takes a bucket's files into a folder of its own, runs there what one machine runs, and puts what has changed.
//! Two attempts at one bucket can overlap, be killed anywhere, or come hours late, and the landing may grow meanwhile.
//! What keeps that sound:
//!
//! 1. Every attempt goes by the plan, so from the same landing each makes the same bytes.
//! 2. It reads first what it will write, in the order in which that is written, and the landing last. So it knows all
//!    that those files were made from, and perhaps more.
//! 3. Every put asks for the version that was read, or for none where there was none. The file that says how far the
//!    bucket is comes last: activities, and golden.
//! 4. A refused put may be one's own, whose answer was lost: the same bytes are there, and that is success. Other bytes
//!    are somebody else's: the attempt starts over from 2, some times, and then ends with 75.
//! 5. Whoever is older never writes over who is newer (`orders`): a run that is planned ends those before it.
//!
//! There are no leases, and nothing is deleted: what is gone is replaced by a file without rows. Only a piece of samples
//! that has none, and in whose place a larger one stands, is removed by a later attempt: whoever puts it again puts what no
//! reader looks at, and what the next attempt takes into account.

mod commit;
#[cfg(test)]
mod faults;
mod finish;
#[cfg(test)]
mod order_model;
mod orders;
mod page;
mod plan;
#[cfg(test)]
mod protocol;
mod shards;
mod spool;
mod work;

pub use finish::{Finished, Listed, finish, progress};
pub use orders::newer;
pub use page::report;
pub use plan::{Learned, Plan, Planned, Wanted, learn, plan};
pub use shards::{Shard, shard};
pub use work::{Done, Scratch, Stats, Step, Task, Worked, run};

use crate::store::backend::Key;
use crate::store::names::RUNS;

/// What all tasks of a run go by.
pub fn plan_key(id: &str) -> Key {
    Key::new(format!("{RUNS}/{id}.json"))
}

/// A part of what a run keeps.
pub fn part_key(id: &str, part: &str) -> Key {
    Key::new(format!("{RUNS}/{id}/{part}"))
}
