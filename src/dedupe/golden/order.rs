//! Which record of a workout is asked first.

use super::{Giver, Group, Record, Role};
use crate::dedupe::record::Quality;
use crate::model::sport::ANY_FAMILY;

/// Starts that differ by less say the same.
const SAME_START_S: i64 = 120;

/// The members in the order in which a giver asks them: all of the workout before a part of it, and never a part
/// while there is a record of the whole.
pub fn asked(group: &Group, records: &[Record], giver: Giver) -> Vec<usize> {
    let mut members = group.members.clone();
    let votes = |record: &Record| {
        let agree = group.members.iter().filter(|(other, _)| {
            records[*other].quality != Quality::Hidden
                && (records[*other].start_s - record.start_s).abs() <= SAME_START_S
        });
        agree.count()
    };
    members.sort_by_key(|(at, role)| {
        let r = &records[*at];
        let ranks = r.source.spec().ranks;
        let measured = (r.is_manual, r.file.is_none(), usize::from(ranks.measured));
        let first = match giver {
            Giver::Start => {
                let doubt = match r.quality {
                    Quality::Exact => 0,
                    Quality::Minute => 1,
                    Quality::ZoneUnknown => 2,
                    Quality::Hidden => 3,
                };
                (usize::from(doubt == 3), usize::MAX - votes(r), doubt, usize::from(r.utc_offset_s.is_none()))
            }
            Giver::Written => (usize::from(ranks.written), 0, 0, 0),
            Giver::Sport => {
                let is_vague = r.sport.is_none_or(|sport| sport.family == ANY_FAMILY);
                (usize::from(is_vague), usize::from(ranks.written), 0, 0)
            }
            Giver::Sets => (usize::from(ranks.sets), 0, 0, 0),
            Giver::Measured | Giver::Nobody => (0, 0, 0, 0),
        };
        (*role, first, measured, *at)
    });
    if members.iter().any(|(_, role)| *role == Role::Same) {
        members.retain(|(_, role)| *role == Role::Same);
    }
    members.into_iter().map(|(at, _)| at).collect()
}
