//! Where a record truly lies in time, and why there.

use super::record::Record;
use super::zones::Zones;

/// Longer ones are errors, and would be beside everything.
const LONGEST_S: i64 = 48 * 3600;

/// Where one record was found to lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placed {
    pub start_s: i64,
    pub length_s: i64,
    /// Local minus UTC on that day, as far as the person's records tell.
    pub offset_s: Option<i64>,
    /// Whether records around it agree with others where they were placed.
    pub is_settled: bool,
    /// Whether it was typed in: its start is hardly one.
    pub is_by_hand: bool,
    pub why: Why,
}

impl Placed {
    /// Where it says itself.
    pub fn as_told(record: &Record, zones: &Zones) -> Placed {
        let length_s = record.elapsed_s.or(record.moving_s).unwrap_or(0.0) as i64;
        let offset_s = match record.utc_offset_s {
            Some(offset_s) => Some(i64::from(offset_s)),
            None => zones.offset_s(record.start_s),
        };
        let length_s = length_s.min(LONGEST_S);
        Placed {
            start_s: record.start_s,
            length_s,
            offset_s,
            is_settled: false,
            is_by_hand: record.is_by_hand(),
            why: Why::Told,
        }
    }

    pub fn end_s(&self) -> i64 {
        self.start_s + self.length_s
    }

    pub fn span(&self) -> (i64, i64) {
        (self.start_s, self.end_s())
    }

    /// Whether it says from when to when it was: what is typed in is at no time.
    pub fn is_timed(&self) -> bool {
        self.length_s > 0 && !self.is_by_hand
    }
}

/// Why a record lies elsewhere than it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It does not.
    Told,
    /// It gave local time as UTC, or took its zone off in the wrong direction.
    LocalTime,
    /// Its clock was off for a stretch of days.
    Clock,
    /// It is a copy of what lies there.
    Copy,
    /// Its starts are ends.
    EndForStart,
    /// Somebody said in which zone its clock was.
    Answered,
}

impl Why {
    pub fn name(self) -> &'static str {
        match self {
            Why::Told => "told",
            Why::LocalTime => "local_time",
            Why::Clock => "clock",
            Why::Copy => "copy",
            Why::EndForStart => "end_for_start",
            Why::Answered => "answered",
        }
    }
}
