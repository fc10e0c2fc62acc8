//! What of a recording could not be taken, counted by kind.

use std::fmt;

use crate::sources::degrees_e7;
use crate::sources::formats::decimal;

/// A kind of thing that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// No time, or none that can be read.
    UntimedPoint,
    /// Its time does not fit between those of its neighbours.
    StraySample,
    /// Before the start, or long after the end.
    OutsideSample,
    Position,
    Altitude,
    Distance,
    Speed,
    HeartRate,
    Cadence,
    Power,
    Temperature,
    /// Of a lap or of the whole.
    Sum,
}

/// One, many, and what is wrong with them; in the order of [`Lost`].
const WORDS: [(&str, &str, &str); 12] = [
    ("point", "points", "without a readable time"),
    ("sample", "samples", "whose time does not fit its neighbours"),
    ("sample", "samples", "outside the recording"),
    ("position", "positions", "that cannot be read"),
    ("altitude", "altitudes", "that cannot be read"),
    ("distance", "distances", "that cannot be read"),
    ("speed", "speeds", "that cannot be read"),
    ("heart rate", "heart rates", "that cannot be read"),
    ("cadence", "cadences", "that cannot be read"),
    ("power value", "power values", "that cannot be read"),
    ("temperature", "temperatures", "that cannot be read"),
    ("total", "totals", "that cannot be read"),
];

/// How many of each kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unread([usize; WORDS.len()]);

impl Unread {
    pub fn add(&mut self, lost: Lost, many: usize) {
        self.0[lost as usize] += many;
    }

    pub fn add_all(&mut self, other: &Unread) {
        self.0.iter_mut().zip(&other.0).for_each(|(many, more)| *many += more);
    }

    pub fn count(&self, lost: Lost) -> usize {
        self.0[lost as usize]
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|many| *many == 0)
    }

    /// A number that somebody wrote, with a point or a comma. Nothing is none; what cannot be read
    /// is none, and counted.
    pub fn number(&mut self, text: &str, lost: Lost) -> Option<f64> {
        if text.is_empty() {
            return None;
        }
        if let Some(number) = decimal::plain(text) {
            return Some(number);
        }
        let number = text.parse().ok().or_else(|| with_comma(text)).filter(|number: &f64| number.is_finite());
        if number.is_none() {
            self.add(lost, 1);
        }
        number
    }

    /// The same, rounded to a whole number.
    pub fn whole(&mut self, text: &str, lost: Lost) -> Option<i32> {
        Some(self.number(text, lost)?.round() as i32)
    }

    /// Degrees as whole 1e-7 degrees, where they are on the globe.
    pub fn degrees_e7(&mut self, text: &str, limit: f64) -> Option<i32> {
        let degrees = self.number(text, Lost::Position)?;
        let degrees_e7 = degrees_e7(degrees, limit);
        if degrees_e7.is_none() {
            self.add(Lost::Position, 1);
        }
        degrees_e7
    }

    /// Takes the value where it is within the range, and counts it where it is not.
    pub fn keep<T: PartialOrd>(
        &mut self,
        value: &mut Option<T>,
        range: std::ops::RangeInclusive<T>,
        lost: Lost,
    ) {
        if value.as_ref().is_some_and(|value| !range.contains(value)) {
            *value = None;
            self.add(lost, 1);
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (many, (one, several, why)) in self.0.iter().zip(WORDS).filter(|(many, _)| **many > 0) {
            let noun = if *many == 1 { one } else { several };
            write!(f, "{separator}{many} {noun} {why}")?;
            separator = "; ";
        }
        Ok(())
    }
}

/// `48,137`, as some languages write it.
fn with_comma(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once(',')?;
    let is_plain = !text.contains('.') && fraction.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| format!("{whole}.{fraction}").parse().ok()).flatten()
}
