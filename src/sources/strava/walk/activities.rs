//! What is known of each activity of an account. What was kept stays as the bytes it was read as until something of it
//! changes: at most starts most accounts owe nothing yet, or their turn comes much later.

use std::collections::BTreeMap;

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;

use super::{Had, Known, Wanted, packed};
use crate::sources::strava::endpoints::OF_ACTIVITIES;

/// By id.
#[derive(Debug, Clone)]
pub(super) struct Activities(Form);

#[derive(Debug, Clone)]
enum Form {
    /// Ids lie in their nodes, and nodes are full where they came in order.
    Open(BTreeMap<CompactString, Known>),
    /// One after another, in order.
    Packed { bytes: Bytes, counted: Counted },
}

/// What going through activities once finds.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    all: usize,
    gone: usize,
    newest_s: Option<i64>,
    endpoints: [OfEndpoint; OF_ACTIVITIES],
}

/// How many have what an endpoint gives, how many owe it, and when the first of the others will.
#[derive(Debug, Clone, Copy)]
struct OfEndpoint {
    had: usize,
    owed: usize,
    later_s: i64,
}

impl Default for OfEndpoint {
    fn default() -> OfEndpoint {
        OfEndpoint { had: 0, owed: 0, later_s: i64::MAX }
    }
}

impl Counted {
    fn of(activities: impl Iterator<Item = (CompactString, Known)>) -> Counted {
        let mut counted = Counted::default();
        for (id, known) in activities {
            counted.all += 1;
            counted.gone += usize::from(known.gone.is_some());
            counted.newest_s = counted.newest_s.max(Some(known.start_s));
            for (index, of) in counted.endpoints.iter_mut().enumerate() {
                match known.owed_at_s(index, &id, None) {
                    Some(i64::MIN) => of.owed += 1,
                    Some(at_s) => of.later_s = of.later_s.min(at_s),
                    None => of.had += usize::from(matches!(known.had[index], Had::Whole { .. })),
                }
            }
        }
        counted
    }
}

impl Default for Activities {
    fn default() -> Activities {
        Activities(Form::Open(BTreeMap::new()))
    }
}

impl PartialEq for Activities {
    fn eq(&self, other: &Activities) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Activities {
    /// Reads over so many of them. Returns what is behind; None where they are not as they were packed.
    pub fn packed(bytes: Bytes, count: usize) -> Option<(Activities, Bytes)> {
        let mut each = packed::Each(&bytes);
        let counted = Counted::of(each.by_ref().take(count));
        let length = bytes.len() - each.0.len();
        let rest = bytes.slice(length..);
        let form = Form::Packed { bytes: bytes.slice(..length), counted };
        (counted.all == count).then_some((Activities(form), rest))
    }

    /// Them as they were packed, if nothing has changed since.
    pub fn as_packed(&self) -> Option<&Bytes> {
        match &self.0 {
            Form::Packed { bytes, .. } => Some(bytes),
            Form::Open(_) => None,
        }
    }

    /// To change them.
    pub fn open(&mut self) -> &mut BTreeMap<CompactString, Known> {
        if let Form::Packed { bytes, .. } = &self.0 {
            self.0 = Form::Open(packed::Each(bytes).collect());
        }
        match &mut self.0 {
            Form::Open(known) => known,
            Form::Packed { .. } => unreachable!("it was opened"),
        }
    }

    pub fn iter(&self) -> Box<dyn Iterator<Item = (CompactString, Known)> + '_> {
        match &self.0 {
            Form::Open(known) => Box::new(known.iter().map(|(id, known)| (id.clone(), *known))),
            Form::Packed { bytes, .. } => Box::new(packed::Each(bytes)),
        }
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Open(known) => known.len(),
            Form::Packed { counted, .. } => counted.all,
        }
    }

    fn counted(&self) -> Counted {
        match &self.0 {
            Form::Open(_) => Counted::of(self.iter()),
            Form::Packed { counted, .. } => *counted,
        }
    }

    pub fn gone_count(&self) -> usize {
        self.counted().gone
    }

    /// How many have what an endpoint gives, in the version that the list tells of.
    pub fn had_count(&self, index: usize) -> usize {
        self.counted().endpoints[index].had
    }

    /// The newest start up to a second.
    pub fn newest_s(&self, latest_s: i64) -> Option<i64> {
        match &self.0 {
            Form::Packed { counted: Counted { newest_s: Some(newest_s), .. }, .. }
                if *newest_s <= latest_s =>
            {
                Some(*newest_s)
            }
            _ => self.iter().map(|(_, known)| known.start_s).filter(|start_s| *start_s <= latest_s).max(),
        }
    }

    /// What is owed at an endpoint.
    pub fn owed(
        &self,
        index: usize,
        wanted: &Wanted,
        now: Timestamp,
    ) -> impl Iterator<Item = (CompactString, Known)> {
        self.iter().filter(move |(id, known)| {
            let at_s = known.owed_at_s(index, id, wanted.anew.as_ref());
            at_s.is_some_and(|at_s| at_s <= now.as_second())
        })
    }

    /// How much that is.
    pub fn owed_count(&self, index: usize, wanted: &Wanted, now: Timestamp) -> usize {
        match &self.0 {
            Form::Packed { counted, .. }
                if wanted.anew.is_none() && counted.endpoints[index].later_s > now.as_second() =>
            {
                counted.endpoints[index].owed
            }
            _ => self.owed(index, wanted, now).count(),
        }
    }
}
