//! What speaks for two records being one if one of them lay elsewhere in time.

use super::compare;
use super::footprint::Footprint;
use super::placed::Placed;
use super::record::Record;
use super::relation;

/// With less, a record has no partner where it lies.
pub const PARTNER_BITS: f64 = 3.0;
/// What began longer ago is not looked at.
pub const LONGEST_OVERLAP_S: i64 = 6 * 3600;
/// What two tracks of one way say.
const ONE_WAY_BITS: f64 = 3.0;

/// What speaks for two records being one, in bits, before their tracks are asked.
pub struct Agreement<'a> {
    bits: f64,
    /// None where they have no say.
    tracks: Option<[&'a Footprint; 2]>,
}

impl Agreement<'_> {
    const NONE: Self = Agreement { bits: 0.0, tracks: None };

    /// The most that it can be: to ask tracks takes longer than all else.
    pub fn at_most(&self) -> f64 {
        self.bits + self.tracks.map_or(0.0, |_| ONE_WAY_BITS)
    }

    /// None where nothing speaks for it.
    pub fn bits(&self) -> f64 {
        let Some([one, other]) = self.tracks else { return self.bits.max(0.0) };
        let (of_one, of_other) = one.shares(other);
        match of_one.max(of_other) {
            share if share >= 0.75 => self.bits + ONE_WAY_BITS,
            share if share >= 0.25 => self.bits,
            _ => 0.0,
        }
    }
}

/// What speaks for two records being one if the first began at `start_s`.
pub fn agreement<'a>(
    records: &'a [Record],
    placed: &[Placed],
    (at, start_s): (usize, i64),
    other: usize,
) -> Agreement<'a> {
    let (r, q) = (&records[at], &records[other]);
    let (of_r, of_q) = (placed[at].length_s, placed[other].length_s);
    let q_start_s = placed[other].start_s;
    let shared_s = relation::overlap_s((start_s, start_s + of_r), (q_start_s, q_start_s + of_q));
    let shorter_s = of_r.min(of_q).max(1);
    if 2 * shared_s < shorter_s || compare::are_of_other_sports(r, q) {
        return Agreement::NONE;
    }
    let mut bits = if 5 * shared_s >= 4 * shorter_s { 1.0 } else { 0.5 };
    let ends_off_s = (start_s + of_r - q_start_s - of_q).abs();
    bits += match (start_s - q_start_s).abs().min(ends_off_s + 16) {
        0..=15 => 2.5,
        16..=90 => 1.5,
        91..=330 => 0.5,
        _ => 0.0,
    };
    bits += match relation::apart(r, q) {
        Some((s, share)) if s <= 5.0 || share <= 0.005 => 3.0,
        Some((_, share)) if share <= 0.03 => 1.5,
        Some((_, share)) if share <= 0.1 => 0.5,
        _ => 0.0,
    };
    // A part goes less far.
    let is_part = 4 * shorter_s < 3 * of_r.max(of_q);
    if let Some((one, two)) = r.distance_m.zip(q.distance_m).filter(|_| !is_part) {
        bits += match (one - two).abs() / one.max(two) {
            share if share <= 0.015 => 2.0,
            share if share <= 0.05 => 1.0,
            share if share <= 0.3 => 0.0,
            _ => -1.0,
        };
    }
    let tells = |r: &Record| !r.is_virtual && !r.footprint.is_one_place;
    // What lies where it says needs no other witness.
    let are_asked = start_s != r.start_s && bits >= PARTNER_BITS && tells(r) && tells(q);
    Agreement { bits, tracks: are_asked.then_some([&r.footprint, &q.footprint]) }
}
