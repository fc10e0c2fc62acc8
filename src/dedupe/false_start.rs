//! A recording that was ended at once and begun anew: whoever pressed the wrong button, or saw that it had no signal.
//!
//! Both tell of one outing. Nothing in the two says so; but where another record tells of both, that they are two
//! things one after the other does not speak against it.

use std::collections::BTreeMap;

use super::placed::Placed;
use super::record::Record;
use crate::model::sport::ANY_FAMILY;
use crate::sources::Source;

/// A false start takes no longer.
const LONGEST_S: i64 = 5 * 60;
/// What comes after it takes so many times as long at least,
const SHARE: i64 = 6;
/// and is begun so soon.
const SOON_S: i64 = 3 * 60;
/// Minutes that are rounded overlap by as much.
const SLIP_S: i64 = 60;
/// What comes so soon after something else does not begin anything: a repetition before the way home.
const BREAK_S: i64 = 30 * 60;

/// The records that may be false starts, by their numbers.
#[derive(Debug)]
pub struct FalseStarts(Vec<bool>);

impl FalseStarts {
    pub fn of(records: &[Record], placed: &[Placed]) -> FalseStarts {
        let mut ends: BTreeMap<Source, Vec<(i64, i64)>> = BTreeMap::new();
        for (record, placed) in records.iter().zip(placed) {
            ends.entry(record.source).or_default().push((placed.end_s(), placed.start_s));
        }
        ends.values_mut().for_each(|ends| ends.sort_unstable());
        let begins = |source: Source, start_s: i64| {
            let ends = &ends[&source];
            let from = ends.partition_point(|(end_s, _)| *end_s <= start_s - BREAK_S);
            let mut near = ends[from..].iter().take_while(|(end_s, _)| *end_s <= start_s + SLIP_S);
            near.all(|(_, other_s)| *other_s >= start_s - SLIP_S)
        };
        let may_be = |(record, placed): (&Record, &Placed)| {
            (1..=LONGEST_S).contains(&placed.length_s)
                && !placed.is_by_hand
                && begins(record.source, placed.start_s)
        };
        FalseStarts(records.iter().zip(placed).map(may_be).collect())
    }

    /// Whether one may be the false start of the other.
    pub fn are_one(&self, records: &[Record], placed: &[Placed], x: usize, y: usize) -> bool {
        let (first, then) = if placed[x].start_s <= placed[y].start_s { (x, y) } else { (y, x) };
        let pause_s = placed[then].start_s - placed[first].end_s();
        let families = [first, then].map(|at| records[at].sport.map_or(ANY_FAMILY, |sport| sport.family));
        self.0[first]
            && (-SLIP_S..=SOON_S).contains(&pause_s)
            && SHARE * placed[first].length_s <= placed[then].length_s
            && (families[0] == families[1] || families.contains(&ANY_FAMILY))
    }
}
