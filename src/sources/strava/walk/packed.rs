//! What is known of accounts as bytes, so that a start reads ids and hashes, and not every body that ever landed.
//!
//! It follows from the landing and from nothing else, and names the segments that it was made from. Where it is
//! missing, damaged, of another version, or one of those segments has changed, the bodies are read again.

use std::collections::HashMap;

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use twox_hash::XxHash64;

use super::activities::Activities;
use super::ends::End;
use super::{At, Doubt, Gone, GoneWhy, Had, Known, Progress, Walk};
use crate::sources::strava::endpoints::{self, OF_ACTIVITIES};
use crate::store::landing::Position;

/// Raised when answers are read in another way: other fields of a list's line that count as edits, for instance.
const VERSION: u32 = 4;
const MAGIC: &[u8; 4] = b"LRWK";
/// The magic, and the length of the head.
const FIRST_BYTES: u64 = 8;
/// Behind everything else: a hash of it.
const SUM_BYTES: usize = 8;
/// A user and one of their accounts.
pub type Owner = (String, String);

const IS_NUMBER: u8 = 1;
const IS_MANUAL: u8 = 2;
/// It came to be when it began.
const IS_SINCE_START: u8 = 4;
const IS_NOT_FOUND: u8 = 8;
const IS_NOT_LISTED: u8 = 16;

/// As they are numbered in the bytes.
const ENDS: [End; 4] = [End::Ahead, End::Again, End::LookForOldest, End::LookForMissing];

/// What it was made from: these segments, up to a position in the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeFrom {
    pub segments: Vec<Covered>,
    pub position: Position,
}

/// A segment as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    pub run: u32,
    pub number: u32,
    /// As its store has it: another one once the segment was changed.
    pub version: String,
}

/// Everything that is known of a bucket, and what it was made from.
pub fn pack(all: &HashMap<Owner, Progress>, made_from: &MadeFrom) -> Vec<u8> {
    let mut head = Out(Vec::new());
    head.made_from(made_from);
    let mut out = Out(MAGIC.to_vec());
    out.u32(head.0.len() as u32);
    out.0.extend(head.0);
    out.u32(all.len() as u32);
    for ((user_id, account_id), progress) in all {
        out.text(user_id);
        out.text(account_id);
        out.progress(progress);
    }
    let sum = XxHash64::oneshot(0, &out.0);
    out.u64(sum);
    out.0
}

/// None where it is damaged, or another longrun's.
pub fn unpack(whole: &Bytes) -> Option<(HashMap<Owner, Progress>, MadeFrom)> {
    let (bytes, sum) = whole.split_at_checked(whole.len().checked_sub(SUM_BYTES)?)?;
    if XxHash64::oneshot(0, bytes).to_le_bytes() != sum {
        return None;
    }
    let mut from = From(bytes.strip_prefix(MAGIC)?);
    from.u32()?;
    let made_from = from.made_from()?;
    let mut all = HashMap::new();
    for _ in 0..from.u32()? {
        let owner = (from.text()?.to_string(), from.text()?.to_string());
        all.insert(owner, from.progress(whole)?);
    }
    from.0.is_empty().then_some((all, made_from))
}

/// Activities, one after another, until there are no more.
pub(super) struct Each<'a>(pub &'a [u8]);

impl Iterator for Each<'_> {
    type Item = (CompactString, Known);

    fn next(&mut self) -> Option<Self::Item> {
        let mut from = From(self.0);
        let known = from.known()?;
        self.0 = from.0;
        Some(known)
    }
}

/// What it was made from, without the rest. `range` gives so many of the first bytes.
pub fn made_from<E>(range: impl Fn(u64) -> Result<Bytes, E>) -> Result<Option<MadeFrom>, E> {
    let first = range(FIRST_BYTES)?;
    let length = first.strip_prefix(MAGIC).and_then(|rest| From(rest).u32());
    let Some(length) = length else { return Ok(None) };
    let head = range(FIRST_BYTES + u64::from(length))?;
    Ok(From(&head[first.len()..]).made_from())
}

/// What an endpoint gave stands at the endpoint's place.
fn kinds() -> String {
    let kinds: Vec<&str> = endpoints::ALL.iter().map(|endpoint| endpoint.kind).collect();
    kinds.join(" ")
}

/// Little-endian bytes.
struct Out(Vec<u8>);

impl Out {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn maybe(&mut self, value: Option<i64>) {
        self.u8(u8::from(value.is_some()));
        self.i64(value.unwrap_or(0));
    }

    fn time(&mut self, time: Option<Timestamp>) {
        self.maybe(time.map(Timestamp::as_microsecond));
    }

    fn made_from(&mut self, made_from: &MadeFrom) {
        self.u32(VERSION);
        self.text(&kinds());
        let Position { run, number, offset } = made_from.position;
        self.u32(run);
        self.u32(number);
        self.u64(offset);
        self.u32(made_from.segments.len() as u32);
        for Covered { run, number, version } in &made_from.segments {
            self.u32(*run);
            self.u32(*number);
            self.text(version);
        }
    }

    fn progress(&mut self, progress: &Progress) {
        let Progress { walk, scans, walked_at, whole_at, doubt, known, oldest, newest, gone: _ } = progress;
        match walk {
            Walk::NotBegun => self.u8(0),
            Walk::Ended => self.u8(1),
            Walk::At(at) => {
                self.u8(2);
                self.walk(at);
            }
        }
        self.u32(*scans);
        [*walked_at, *whole_at, *oldest, *newest].into_iter().for_each(|time| self.time(time));
        self.time(doubt.as_ref().map(|doubt| doubt.at));
        // No activity has an empty id.
        self.text(doubt.as_ref().and_then(|doubt| doubt.id.as_deref()).unwrap_or_default());
        self.u32(known.len() as u32);
        match known.as_packed() {
            Some(bytes) => self.0.extend_from_slice(bytes),
            None => known.iter().for_each(|(id, known)| self.known(&id, &known)),
        }
    }

    fn walk(&mut self, at: &At) {
        let At { until_s, before_s, page, began_at, page_at, oldest_s, .. } = at;
        self.maybe(*until_s);
        self.maybe(*before_s);
        self.u32(*page);
        self.time(Some(*began_at));
        self.time(Some(*page_at));
        self.i64(*oldest_s);
        self.u32(at.length);
        for flag in [at.is_ordered, at.has_hole, at.has_had_holes, at.is_spread, at.has_unread] {
            self.u8(u8::from(flag));
        }
        let ends = ENDS.iter().position(|end| *end == at.end);
        self.u8(ends.expect("every end is listed") as u8);
    }

    fn known(&mut self, id: &str, known: &Known) {
        // A number with a leading zero or sign would come back as another text.
        let number = id.parse::<u64>().ok().filter(|number| number.to_string() == id);
        let gone = match known.gone.map(|gone| gone.why) {
            None => 0,
            Some(GoneWhy::NotFound) => IS_NOT_FOUND,
            Some(GoneWhy::NotListed) => IS_NOT_LISTED,
        };
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        self.u8(flag(number.is_some(), IS_NUMBER)
            | flag(known.manual, IS_MANUAL)
            | flag(known.since_s == known.start_s, IS_SINCE_START)
            | gone);
        match number {
            Some(number) => self.u64(number),
            None => self.text(id),
        }
        self.i64(known.start_s);
        self.u64(known.print);
        self.u32(known.scan);
        if known.since_s != known.start_s {
            self.i64(known.since_s);
        }
        if let Some(gone) = known.gone {
            self.i64(gone.at_s);
        }
        for had in &known.had {
            match *had {
                Had::NotAsked => self.u8(0),
                Had::Whole { print, at_s } => {
                    self.u8(1);
                    self.u64(print);
                    self.i64(at_s);
                }
                Had::Nothing { print, at_s, times } => {
                    self.u8(2);
                    self.u64(print);
                    self.i64(at_s);
                    self.u8(times);
                }
            }
        }
    }
}

/// What is left to be read.
struct From<'a>(&'a [u8]);

impl<'a> From<'a> {
    fn some<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (some, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*some)
    }

    fn u8(&mut self) -> Option<u8> {
        self.some().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.some().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.some().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.some().map(i64::from_le_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.u8()? != 0)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.u32()? as usize;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    /// None only where the bytes end.
    fn maybe(&mut self) -> Option<Option<i64>> {
        let is_some = self.flag()?;
        let value = self.i64()?;
        Some(is_some.then_some(value))
    }

    fn time(&mut self) -> Option<Option<Timestamp>> {
        let microsecond = self.maybe()?;
        microsecond.map(Timestamp::from_microsecond).transpose().ok()
    }

    fn made_from(&mut self) -> Option<MadeFrom> {
        if self.u32()? != VERSION || self.text()? != kinds() {
            return None;
        }
        let position = Position { run: self.u32()?, number: self.u32()?, offset: self.u64()? };
        let count = self.u32()?;
        let covered = |from: &mut Self| {
            Some(Covered { run: from.u32()?, number: from.u32()?, version: from.text()?.to_string() })
        };
        let segments = (0..count).map(|_| covered(self)).collect::<Option<_>>()?;
        Some(MadeFrom { segments, position })
    }

    /// What is left lies in `whole`, and the activities stay there.
    fn progress(&mut self, whole: &Bytes) -> Option<Progress> {
        let walk = match self.u8()? {
            0 => Walk::NotBegun,
            1 => Walk::Ended,
            _ => Walk::At(self.walk()?),
        };
        let scans = self.u32()?;
        let (walked_at, whole_at) = (self.time()?, self.time()?);
        let (oldest, newest) = (self.time()?, self.time()?);
        let (doubted_at, id) = (self.time()?, self.text()?);
        let doubt = doubted_at.map(|at| Doubt { at, id: Some(id.to_string()).filter(|id| !id.is_empty()) });
        let count = self.u32()? as usize;
        let (known, rest) = Activities::packed(whole.slice_ref(self.0), count)?;
        self.0 = &self.0[self.0.len() - rest.len()..];
        let gone = known.gone_count();
        Some(Progress { walk, scans, walked_at, whole_at, doubt, known, oldest, newest, gone })
    }

    fn walk(&mut self) -> Option<At> {
        Some(At {
            until_s: self.maybe()?,
            before_s: self.maybe()?,
            page: self.u32()?,
            began_at: self.time()??,
            page_at: self.time()??,
            oldest_s: self.i64()?,
            length: self.u32()?,
            is_ordered: self.flag()?,
            has_hole: self.flag()?,
            has_had_holes: self.flag()?,
            is_spread: self.flag()?,
            has_unread: self.flag()?,
            end: *ENDS.get(usize::from(self.u8()?))?,
        })
    }

    fn known(&mut self) -> Option<(CompactString, Known)> {
        let flags = self.u8()?;
        let has = |flag: u8| flags & flag != 0;
        let id: CompactString =
            if has(IS_NUMBER) { itoa::Buffer::new().format(self.u64()?).into() } else { self.text()?.into() };
        let (start_s, print, scan) = (self.i64()?, self.u64()?, self.u32()?);
        let since_s = if has(IS_SINCE_START) { start_s } else { self.i64()? };
        let gone = match (has(IS_NOT_FOUND), has(IS_NOT_LISTED)) {
            (false, false) => None,
            (true, _) => Some(Gone { at_s: self.i64()?, why: GoneWhy::NotFound }),
            (_, true) => Some(Gone { at_s: self.i64()?, why: GoneWhy::NotListed }),
        };
        let mut had = [Had::NotAsked; OF_ACTIVITIES];
        for had in &mut had {
            *had = match self.u8()? {
                0 => Had::NotAsked,
                1 => Had::Whole { print: self.u64()?, at_s: self.i64()? },
                _ => Had::Nothing { print: self.u64()?, at_s: self.i64()?, times: self.u8()? },
            };
        }
        Some((id, Known { start_s, manual: has(IS_MANUAL), print, scan, since_s, gone, had }))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::sources::strava::api;
    use crate::sources::strava::endpoints::{Depth, News};
    use crate::sources::strava::walk::{Anew, Wanted};
    use crate::store::landing::Ask;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_counts_as_an_edit_is_of_this_version() {
        let line = br#"[{"id":7,"name":"Run","start_date":"2024-05-01T06:00:00Z","distance":5000.1,"kudos_count":3,"map":{"id":"a7","summary_polyline":"ab"},"start_latlng":[1.5,2.5],"private":false}]"#;
        let entry = api::list_entries(line).unwrap().remove(0).unwrap();
        assert_eq!((VERSION, entry.print), (4, PRINT), "raise the version with it");
    }

    const PRINT: u64 = 14_658_928_590_863_086_013;

    proptest! {
        #[test]
        fn what_is_packed_comes_back_and_a_broken_byte_is_seen(
            ids in prop::collection::vec(("[0-9]{1,19}|x[a-z]{0,5}|007", 0_i64..2_000_000_000, any::<u64>()), 0..40),
            asked in prop::collection::vec((0_usize..40, 0_usize..OF_ACTIVITIES, 0_u8..3), 0..60),
            pages in 1_u32..4,
            broken in any::<prop::sample::Index>(),
        ) {
            let mut progress = Progress::default();
            for page in 1..=pages {
                let entries = ids.iter().skip(page as usize - 1).map(|(id, start_s, print)| {
                    Some(api::ListEntry { id: id.clone(), start_s: *start_s, manual: print % 3 == 0, print: *print })
                });
                let ask = Ask::List { scan: page, until_s: None, before_s: None, page: 1 };
                progress.take(&ask, News::Page(entries.collect()), at(i64::from(page) * 1_000));
                let end = Ask::List { scan: page, until_s: None, before_s: None, page: 2 };
                progress.take(&end, News::Page(Vec::new()), at(i64::from(page) * 1_000 + 1));
            }
            for (which, endpoint, news) in asked {
                let Some((id, start_s, _)) = ids.get(which) else { continue };
                let ask = endpoints::of_activities(endpoint).ask(id, *start_s);
                let news = [News::Whole, News::Nothing, News::NotFound][usize::from(news)].clone();
                progress.take(&ask, news, at(3_000_000_000));
            }
            let covered = |run| Covered { run, number: 1, version: format!("v{run}") };
            let position = Position { run: 3, number: 1, offset: 77 };
            let from = MadeFrom { segments: (1..4).map(covered).collect(), position };
            let all = HashMap::from([(("u".to_string(), "7".to_string()), progress)]);
            let mut bytes = pack(&all, &from);
            let range = |end: u64| Ok::<_, ()>(Bytes::copy_from_slice(&bytes[..bytes.len().min(end as usize)]));
            prop_assert_eq!(made_from(range), Ok(Some(from.clone())));
            let unpacked = unpack(&bytes.clone().into());
            prop_assert_eq!(&unpacked, &Some((all, from.clone())));
            let (mut packed, _) = unpacked.unwrap();
            prop_assert_eq!(unpack(&pack(&packed, &from).into()), Some((packed.clone(), from)), "as they are");
            let packed = packed.values_mut().next().unwrap();
            let mut opened = packed.clone();
            opened.known.open();
            let fresh = Wanted::new(Depth::Streams, Timestamp::MIN, SignedDuration::ZERO, None);
            let anew = Anew { fetched_before: at(2_900_000_000), started_since: at(1_000_000_000), ids: Vec::new() };
            let anew = Wanted { anew: Some(anew), ..fresh.clone() };
            for wanted in [fresh, anew] {
                for now in [at(0), at(1_500_000_000), at(3_000_000_001), at(3_000_000_000 + 3 * 3_600), at(4_000_000_000)] {
                    prop_assert_eq!(packed.next_page(&wanted, now), opened.next_page(&wanted, now));
                    for index in 0..OF_ACTIVITIES {
                        let owed = opened.owed(index, &wanted, now);
                        prop_assert_eq!(packed.owed_count(index, &wanted, now), owed.len());
                        prop_assert_eq!(opened.owed_count(index, &wanted, now), owed.len());
                        prop_assert_eq!(packed.owed(index, &wanted, now), owed);
                        prop_assert_eq!(packed.had(index), opened.had(index));
                    }
                }
            }
            prop_assert!(packed.ids().eq(opened.ids()) && packed.gone().eq(opened.gone()));
            prop_assert_eq!((packed.activities(), packed.gone_count()), (opened.activities(), opened.gone().count()));
            prop_assert_eq!(unpack(&Bytes::copy_from_slice(&bytes[..broken.index(bytes.len())])), None);
            let place = broken.index(bytes.len());
            bytes[place] ^= 0x10;
            prop_assert_eq!(unpack(&bytes.into()), None);
        }
    }
}
