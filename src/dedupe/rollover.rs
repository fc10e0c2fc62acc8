//! Weeks that rolled over: GPS counts them in ten bits, and a receiver that was not told of it goes back 1,024 weeks.
//!
//! Such records lie years before all others of a person, and where they are put right they lie beside others.

use super::agreement::{LONGEST_OVERLAP_S, PARTNER_BITS, agreement};
use super::copies::Copies;
use super::placed::{Placed, Why};
use super::record::{Quality, Record};
use super::relation::DAY_S;

const ROLLOVER_S: i64 = 1024 * 7 * DAY_S;
/// Nobody pauses for longer and goes on with the same accounts.
const LONGEST_PAUSE_S: i64 = 8 * 365 * DAY_S;
/// Whoever recorded alone may have done so before or after the others.
const AROUND_S: i64 = 30 * DAY_S;
/// Records that one is held against.
const MOST_NEAR: usize = 24;

/// Puts records of one person, sorted by start, where they belong, if most of them then lie beside others.
pub fn set_right(records: &[Record], copies: &Copies, placed: &mut [Placed]) {
    let pause = records.windows(2).rposition(|two| two[1].start_s - two[0].start_s > LONGEST_PAUSE_S);
    let Some(late) = pause.map(|at| at + 1) else { return };
    let (from_s, to_s) = (records[late].start_s - AROUND_S, records[records.len() - 1].start_s + AROUND_S);
    let may_be_off = |at: &usize| {
        let start_s = records[*at].start_s + ROLLOVER_S;
        records[*at].quality != Quality::Hidden
            && placed[*at].why == Why::Told
            && (from_s..to_s).contains(&start_s)
    };
    let off: Vec<usize> = (0..late).filter(may_be_off).collect();
    let mut recordings: Vec<(usize, f64)> = Vec::new();
    for at in &off {
        let first = copies.beside(*at)[0];
        let bits = beside(records, placed, *at, late);
        match recordings.iter_mut().find(|(of, _)| *of == first) {
            Some((_, most)) => *most = most.max(bits),
            None => recordings.push((first, bits)),
        }
    }
    let lie_beside = recordings.iter().filter(|(_, bits)| *bits > 0.0).count();
    let is_sure = recordings.iter().any(|(_, bits)| *bits >= PARTNER_BITS) || lie_beside > 1;
    if is_sure && 2 * lie_beside >= recordings.len() {
        for at in off {
            placed[at].start_s = records[at].start_s + ROLLOVER_S;
            placed[at].why = Why::Clock;
        }
    }
}

/// What speaks most for one and a record from `late` on being one, once it is put right.
fn beside(records: &[Record], placed: &[Placed], at: usize, late: usize) -> f64 {
    let start_s = records[at].start_s + ROLLOVER_S;
    let from = records.partition_point(|r| r.start_s < start_s - LONGEST_OVERLAP_S).max(late);
    let near =
        (from..records.len()).take_while(|other| records[*other].start_s <= start_s + placed[at].length_s);
    near.take(MOST_NEAR)
        .map(|other| agreement(records, placed, (at, start_s), other).bits())
        .fold(0.0, f64::max)
}
