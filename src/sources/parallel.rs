//! Reading many files or rows of an archive at once, in bounded memory and in their order.

use rayon::prelude::*;

use super::formats::json;
use super::formats::zip::{ArchiveEntry, Container};
use super::{ArchiveItem, Fault, OnItem, Parsed};
use crate::error::Result as CrateResult;

/// Things that are read at a time: what bounds the memory.
const BATCH_BYTES: u64 = 32 << 20;
const BATCH_THINGS: usize = 1024;
/// Each core gets so many or so much at a time, where that is less: memory that is used again at once stays warm.
const THINGS_PER_CORE: usize = 4;
const BYTES_PER_CORE: u64 = 1 << 20;

/// Reads things in parallel, some at a time, and hands on what they held in their order. While some are handed
/// on, the next ones are read.
pub fn in_parallel<T: Sync>(
    things: &[T],
    bytes: impl Fn(&T) -> u64,
    read: impl Fn(&T) -> Vec<ArchiveItem> + Sync,
    each: OnItem<'_>,
) -> CrateResult<()> {
    let mut rest = things;
    let mut items: Vec<Vec<ArchiveItem>> = Vec::new();
    while !rest.is_empty() {
        let (batch, behind) = rest.split_at(batch_length(rest, &bytes));
        let mut next = Vec::new();
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| next = batch.par_iter().map(&read).collect());
            std::mem::take(&mut items).into_iter().flatten().try_for_each(&mut *each)
        })?;
        items = next;
        rest = behind;
    }
    items.into_iter().flatten().try_for_each(each)
}

/// How many of the things, the next ones first, are read at a time.
fn batch_length<T>(things: &[T], bytes: impl Fn(&T) -> u64) -> usize {
    let cores = rayon::current_num_threads();
    let mut weight = 0_u64;
    let fits = |(many, thing): &(usize, &T)| {
        weight = weight.saturating_add(bytes(thing).max(1));
        let is_enough = *many >= THINGS_PER_CORE * cores && weight > BYTES_PER_CORE * cores as u64;
        *many == 0 || (weight <= BATCH_BYTES && !is_enough)
    };
    things.iter().take(BATCH_THINGS).enumerate().take_while(fits).count()
}

/// The records of a JSON file, each read by itself: the value, whether it stood under `key`, and its place.
/// `id_field` names its id, for the rejects; what is read as None is no activity.
pub(super) fn records<P: Into<Box<Parsed>>>(
    archive: &Container,
    entry: &ArchiveEntry,
    key: &str,
    id_field: &str,
    mut read: impl FnMut(json::Value<'_, '_>, bool, &str) -> Option<Result<P, Fault>>,
) -> Vec<ArchiveItem> {
    let at = format!("!{}", entry.name);
    let bytes = match archive.read(entry) {
        Ok(bytes) => bytes,
        Err(fault) => return vec![ArchiveItem::fault("file", at, fault)],
    };
    let mut items = Vec::new();
    let walked = json::records(&bytes, key, |index, is_under_key, element| {
        let at = [at.as_str(), "#", itoa::Buffer::new().format(index)].concat();
        items.push(match element {
            Err(reason) => ArchiveItem::fault("record", at, Fault::record(reason)),
            Ok(value) => match read(value, is_under_key, &at) {
                None => ArchiveItem::nothing("record", at),
                Some(taken) => {
                    let named = |fault: Fault| {
                        let id = value.get(id_field).and_then(|v| json::id(id_field, v).ok());
                        if fault.source_id.is_some() { fault } else { fault.of(id.as_deref()) }
                    };
                    ArchiveItem::of("record", at, taken.map_err(named))
                }
            },
        });
    });
    if let Err(reason) = walked {
        items.push(ArchiveItem::fault("file", at, Fault::record(reason)));
    }
    items
}
