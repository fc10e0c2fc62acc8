//! What readers take and give: where an archive comes from, the items in it, and what could not be read.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::formats::time;
use super::{Source, check};
use crate::error::Result as CrateResult;
use crate::model::activity::{Activity, Reject, SCHEMA_VERSION, Streams};

/// Why a record, or one field of it, could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", .field.as_ref().map(|f| format!("field `{f}`: ")).unwrap_or_default())]
pub struct Fault {
    pub source_id: Option<String>,
    pub field: Option<String>,
    pub reason: String,
}

impl Fault {
    pub fn record(reason: impl Into<String>) -> Fault {
        Fault { source_id: None, field: None, reason: reason.into() }
    }

    pub fn field(field: impl Into<String>, reason: impl Into<String>) -> Fault {
        Fault { source_id: None, field: Some(field.into()), reason: reason.into() }
    }

    /// The field holds text that is not what it has to be; the beginning of it is shown.
    pub fn expected(field: impl Into<String>, what: &str, found: &str) -> Fault {
        let found: String = found.chars().take(40).collect();
        Fault::field(field, format!("expected {what}, found {found:?}"))
    }

    pub fn of(mut self, source_id: Option<&str>) -> Fault {
        self.source_id = source_id.map(str::to_string);
        self
    }

    /// Of this record, where it does not say of which it is.
    pub fn or_of(self, source_id: &str) -> Fault {
        if self.source_id.is_some() { self } else { self.of(Some(source_id)) }
    }
}

/// Whose record it is, and where its bytes are.
#[derive(Debug, Clone)]
pub struct ReadFrom {
    pub user_id: String,
    pub source: Source,
    pub account_id: Option<String>,
    /// When the API said it, or when the archive was imported.
    pub fetched_at: Timestamp,
    /// Of the response or the archive; the place within is appended.
    pub raw_ref: String,
    /// The zone of wall clocks that come without one; UTC where nobody said.
    pub zone: Option<TimeZone>,
    /// Whether only the numbers of activities, samples and faults are asked for.
    pub only_counts: bool,
}

/// An activity, its samples, and the fields of it that could not be taken.
#[derive(Debug, Default)]
pub struct Parsed {
    pub activity: Activity,
    pub streams: Option<Streams>,
    pub faults: Vec<Fault>,
    /// Whether [`check`] was there: readers that work in parallel check where they read.
    pub is_checked: bool,
}

impl Parsed {
    pub fn new(activity: Activity, streams: Option<Streams>, faults: Vec<Fault>) -> Parsed {
        Parsed { activity, streams, faults, is_checked: false }
    }
}

/// What stands at one place of an archive.
#[derive(Debug)]
pub struct ArchiveItem {
    /// The kind of record, for the rejects.
    pub kind: &'static str,
    /// Below the archive: `!activities/1.fit#0`.
    pub at: String,
    pub found: Found,
}

#[derive(Debug)]
pub enum Found {
    Activity(Box<Parsed>),
    Fault(Fault),
    /// Sound, and nothing that is a workout: settings, monitoring, sleep.
    NoActivity,
    /// The source says that it no longer has a record.
    Gone(Gone),
}

/// A record that its source no longer has. Versions that are not newer go; a newer one is a record that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    pub source_id: String,
    pub at: Timestamp,
}

impl ArchiveItem {
    pub fn of(kind: &'static str, at: String, taken: Result<impl Into<Box<Parsed>>, Fault>) -> ArchiveItem {
        let found = match taken {
            Ok(taken) => Found::Activity(taken.into()),
            Err(fault) => Found::Fault(fault),
        };
        ArchiveItem { kind, at, found }
    }

    /// The same, where no other part of the archive adds to it; see [`ReadFrom::finish`].
    pub fn finished(self, from: &ReadFrom) -> ArchiveItem {
        match self.found {
            Found::Activity(taken) => ArchiveItem { found: Found::Activity(from.finish(taken)), ..self },
            _ => self,
        }
    }

    pub fn fault(kind: &'static str, at: String, fault: Fault) -> ArchiveItem {
        ArchiveItem { kind, at, found: Found::Fault(fault) }
    }

    pub fn gone(kind: &'static str, at: String, gone: Gone) -> ArchiveItem {
        ArchiveItem { kind, at, found: Found::Gone(gone) }
    }

    pub fn nothing(kind: &'static str, at: String) -> ArchiveItem {
        ArchiveItem { kind, at, found: Found::NoActivity }
    }
}

/// Takes the items of an archive, in order. It may fail, for instance on a full disk.
pub type OnItem<'a> = &'a mut dyn FnMut(ArchiveItem) -> CrateResult<()>;

impl ReadFrom {
    /// An activity that says whose it is and where it stands.
    pub fn activity(&self, at: &str) -> Activity {
        self.adopt(Activity::default(), at)
    }

    /// The same, where it stays: an activity is two thousand bytes, and archives have a hundred thousand of them.
    pub fn parsed(&self, at: &str) -> Box<Parsed> {
        let mut taken = Box::<Parsed>::default();
        self.own(&mut taken.activity, at);
        taken
    }

    /// Makes an activity the user's, from a place of an archive.
    pub fn adopt(&self, mut stated: Activity, at: &str) -> Activity {
        self.own(&mut stated, at);
        stated
    }

    fn own(&self, a: &mut Activity, at: &str) {
        a.user_id.clone_from(&self.user_id);
        a.source = self.source.name().to_string();
        a.source_account_id.clone_from(&self.account_id);
        a.start_quality = "exact".to_string();
        a.origin = "archive".to_string();
        a.fetched_at = self.fetched_at;
        a.detail_at = Some(self.fetched_at);
        a.raw_ref = [self.raw_ref.as_str(), at].concat();
        a.schema_version = SCHEMA_VERSION;
    }

    /// What a reader does last with an activity that no other part of the archive adds to: it checks it, on its own
    /// thread, and lets go of what nobody asks for while it is at hand.
    pub fn finish(&self, mut taken: Box<Parsed>) -> Box<Parsed> {
        check(&mut taken);
        if self.only_counts {
            taken.activity = Activity::default();
            let samples = taken.streams.as_ref().map(|streams| streams.samples);
            taken.streams = samples.map(|samples| Streams { samples, ..Streams::default() });
        }
        taken
    }

    /// Makes streams those of an activity.
    pub fn streams(&self, streams: Streams, activity: &Activity) -> Streams {
        Streams {
            user_id: self.user_id.clone(),
            source: self.source.name().to_string(),
            source_id: activity.source_id.clone(),
            origin: activity.origin.clone(),
            fetched_at: self.fetched_at,
            raw_ref: activity.raw_ref.clone(),
            schema_version: SCHEMA_VERSION,
            ..streams
        }
    }

    /// What could not be taken, and where it stands.
    pub fn reject(&self, kind: &str, at: &str, fault: &Fault, record_kept: bool) -> Reject {
        Reject {
            user_id: self.user_id.clone(),
            source: self.source.name().to_string(),
            kind: kind.to_string(),
            source_id: fault.source_id.clone(),
            field: fault.field.clone(),
            reason: fault.reason.clone(),
            record_kept,
            raw_ref: format!("{}{at}", self.raw_ref),
            fetched_at: self.fetched_at,
        }
    }

    /// A wall clock without a zone as a time, and how good it is.
    pub fn local(&self, civil: jiff::civil::DateTime) -> Option<(Timestamp, Option<i32>, &'static str)> {
        match &self.zone {
            Some(zone) => {
                let zoned = civil.to_zoned(zone.clone()).ok()?;
                Some((zoned.timestamp(), Some(zoned.offset().seconds()), "exact"))
            }
            None => Some((time::as_utc(civil)?, None, "zone_unknown")),
        }
    }
}
