//! What is true of a column, said once: at the column.
//!
//! `record!` reads the `#[col(…)]` of a field into a [`Column`]. Merging, golden rows, checks and the writer of
//! Parquet files all ask this table, so a new column needs no line anywhere else.

use std::ops::RangeInclusive;

/// What the attributes of a column are written with.
pub mod attributes {
    pub use super::{Column, Encoding::*, Giver::*, Parts::*};
}

/// One column of a table, and how the stages treat it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: &'static str,
    /// Only the whole of an activity carries it, not its line in a list.
    pub is_detail: bool,
    /// Which record of a workout gives it to the golden row.
    pub golden: Giver,
    /// What the parts of a workout say of it together.
    pub parts: Parts,
    /// It describes the track, so it is known wherever the track is.
    pub is_of_track: bool,
    /// Sources write 0 where they know nothing. Such a 0 becomes null.
    pub zero_is_absent: bool,
    /// What can be. A number outside is taken out and reported.
    pub range: Option<RangeInclusive<f64>>,
    /// The column that this one only makes sense beside: merging takes both from the same version.
    pub with: Option<&'static str>,
    pub encoding: Encoding,
    /// Whether files say the lowest and highest value of each row group. People look rows up by few columns,
    /// and the footers of small files would be mostly statistics if all had them.
    pub has_statistics: bool,
}

/// Which record of a workout gives a column to the golden row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Giver {
    /// The record whose start most others agree with.
    Start,
    /// The source where people write: titles, descriptions, gear, privacy.
    Written,
    /// The record that names the sport best.
    Sport,
    /// The source where people log exercise sets.
    Sets,
    /// The best recording; the default, because most columns are measured.
    Measured,
    /// None: it belongs to a record and not to a workout.
    Nobody,
}

/// What the parts of a workout say of it together, where no record of the whole says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    Nothing,
    /// What the first part that has it says.
    First,
    Last,
    Sum,
    /// Weighted by how long the parts took.
    Mean,
    Least,
    Most,
    /// Their lists, one behind the other.
    Joined,
}

/// How the values of a column are packed in a Parquet file, before Zstandard compresses them. What each column has is what
/// was smallest of all that its type allows, over 13,000 activities in six files (`benches/peers/encodings.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Each distinct value once: what repeats, or is mostly null.
    Dictionary,
    /// As they are: numbers with many zero bits, and words without order. A dictionary of them is larger than they.
    Plain,
    /// First bytes with first bytes, last with last: numbers that are all different, and all of one size.
    BytesApart,
    /// Whole numbers that differ little from their neighbours: points of a track, times of samples.
    Differences,
    /// The same, of the points of tracks, which are most of a file. Their differences are bits without a pattern, so
    /// Zstandard does not look at them.
    Steps,
    /// Text that shares most of its characters with the text before: ids and places, in order.
    Prefixes,
}

/// Each method is an attribute: `#[col(detail, range = 0.0..=1e8)]` calls `detail()` and `range(0.0..=1e8)`.
impl Column {
    pub const fn named(name: &'static str) -> Column {
        Column {
            name,
            is_detail: false,
            golden: Giver::Measured,
            parts: Parts::First,
            is_of_track: false,
            zero_is_absent: false,
            range: None,
            with: None,
            encoding: Encoding::Dictionary,
            has_statistics: false,
        }
    }

    pub const fn detail(mut self) -> Column {
        self.is_detail = true;
        self
    }

    pub const fn golden(mut self, giver: Giver) -> Column {
        self.golden = giver;
        self
    }

    pub const fn parts(mut self, parts: Parts) -> Column {
        self.parts = parts;
        self
    }

    pub const fn of_track(mut self) -> Column {
        self.is_of_track = true;
        self
    }

    pub const fn zero_is_absent(mut self) -> Column {
        self.zero_is_absent = true;
        self
    }

    pub const fn range(mut self, range: RangeInclusive<f64>) -> Column {
        self.range = Some(range);
        self
    }

    pub const fn with(mut self, other: &'static str) -> Column {
        self.with = Some(other);
        self
    }

    /// Why a number is taken out.
    pub fn refusal(&self, number: f64) -> String {
        match &self.range {
            Some(range) => format!("{number} is not between {} and {}", range.start(), range.end()),
            None => format!("{number} is not allowed"),
        }
    }

    pub const fn encoding(mut self, encoding: Encoding) -> Column {
        self.encoding = encoding;
        self
    }

    pub const fn statistics(mut self) -> Column {
        self.has_statistics = true;
        self
    }
}
