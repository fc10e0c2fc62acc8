//! Reading many files or rows of an archive at once, in bounded memory and in their order.

use rayon::prelude::*;

use super::formats::json;
use super::formats::zip::{ArchiveEntry, Container};
use super::{ArchiveItem, Fault, OnItem, Parsed};
use crate::error::Result as CrateResult;

/// Things that are read at a time, by all cores together: what bounds the memory.
const BATCH_BYTES: u64 = 32 << 20;
const BATCH_THINGS: usize = 256;

/// Reads things in parallel, some at a time, and hands on what they held in their order.
pub fn in_parallel<T: Sync>(
    things: &[T],
    bytes: impl Fn(&T) -> u64,
    read: impl Fn(&T) -> Vec<ArchiveItem> + Sync,
    each: OnItem<'_>,
) -> CrateResult<()> {
    let mut rest = things;
    while !rest.is_empty() {
        let mut weight = 0;
        let many = rest.iter().take(BATCH_THINGS).take_while(|thing| {
            let begins = weight == 0;
            weight += bytes(thing).max(1);
            begins || weight <= BATCH_BYTES
        });
        let (batch, behind) = rest.split_at(many.count());
        let items: Vec<Vec<ArchiveItem>> = batch.par_iter().map(&read).collect();
        for item in items.into_iter().flatten() {
            each(item)?;
        }
        rest = behind;
    }
    Ok(())
}

/// The records of a JSON file, each read by itself: the value, whether it stood under `key`, and its place.
/// `id_field` names its id, for the rejects; what is read as None is no activity.
pub(super) fn records(
    archive: &Container,
    entry: &ArchiveEntry,
    key: &str,
    id_field: &str,
    mut read: impl FnMut(json::Value<'_, '_>, bool, &str) -> Option<Result<Parsed, Fault>>,
) -> Vec<ArchiveItem> {
    let at = format!("!{}", entry.name);
    let bytes = match archive.read(entry) {
        Ok(bytes) => bytes,
        Err(fault) => return vec![ArchiveItem::fault("file", at, fault)],
    };
    let mut items = Vec::new();
    let walked = json::records(&bytes, key, |index, is_under_key, element| {
        let at = format!("{at}#{index}");
        items.push(match element {
            Err(reason) => ArchiveItem::fault("record", at, Fault::record(reason)),
            Ok(value) => match read(value, is_under_key, &at) {
                None => ArchiveItem::nothing("record", at),
                Some(taken) => {
                    let id = value.get(id_field).and_then(|v| json::id(id_field, v).ok());
                    let named = |fault: Fault| {
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
