//! The zone of each of a person's days, as their records tell it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::record::{Quality, Record};
use crate::sources::Source;
use crate::store::state::zones::ZoneAnswers;

/// One record that says where it was: when, the offset it gave, and the zone.
#[derive(Debug, Clone)]
struct Sight {
    at_s: i64,
    offset_s: i64,
    zone: Option<TimeZone>,
}

/// What a person's records tell of their zones, by time.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    sights: Vec<Sight>,
}

/// Apple writes the zone of the day of the export where it does not know that of the workout, so it is asked
/// only where nobody else says anything.
const LAST_ASKED: Source = Source::Apple;

impl Zones {
    /// Of records that are sorted by start, and what was said about them.
    pub fn of(records: &[Record], answers: &ZoneAnswers) -> Zones {
        let tells = |is_asked: &dyn Fn(&Record) -> bool| -> Vec<Sight> {
            let told = records.iter().filter(|r| is_asked(r));
            told.filter_map(|r| Some((r, r.utc_offset_s?)))
                .map(|(r, offset_s)| Sight {
                    at_s: r.start_s,
                    offset_s: i64::from(offset_s),
                    zone: r.zone.as_deref().and_then(|name| TimeZone::get(name).ok()),
                })
                .collect()
        };
        let mut sights = tells(&|r| r.source != LAST_ASKED || r.zone.is_some());
        if sights.is_empty() {
            sights = tells(&|_| true);
        }
        for record in records {
            if let Some((start_s, offset_s)) = answered(record, answers) {
                sights.push(Sight { at_s: start_s, offset_s, zone: zone_of(record, answers).cloned() });
            }
        }
        sights.sort_by_key(|sight| sight.at_s);
        Zones { sights }
    }

    /// What the person's clocks showed at a time, local minus UTC, by the nearest record that says so. Of a
    /// zone with a name, daylight saving is followed.
    pub fn offset_s(&self, at_s: i64) -> Option<i64> {
        let after = self.sights.partition_point(|sight| sight.at_s < at_s);
        let both = [after.checked_sub(1), Some(after)].into_iter().flatten();
        let sights = both.filter_map(|at| self.sights.get(at));
        let nearest = sights.min_by_key(|sight| (sight.at_s - at_s).abs())?;
        let of_zone = |zone: &TimeZone| {
            let time = Timestamp::from_second(at_s).ok()?;
            Some(i64::from(zone.to_offset(time).seconds()))
        };
        Some(nearest.zone.as_ref().and_then(of_zone).unwrap_or(nearest.offset_s))
    }
}

/// What a record's clock showed when it began, as if that were UTC.
fn clock_s(record: &Record) -> i64 {
    record.start_s + i64::from(record.utc_offset_s.unwrap_or(0))
}

fn zone_of<'a>(record: &Record, answers: &'a ZoneAnswers) -> Option<&'a TimeZone> {
    let zone = answers.of(record.source.name(), clock_s(record));
    zone.filter(|_| record.quality != Quality::Hidden)
}

/// When a record truly began by what somebody said of its clock, and what that was ahead of UTC.
pub fn answered(record: &Record, answers: &ZoneAnswers) -> Option<(i64, i64)> {
    let zone = zone_of(record, answers)?;
    let shown = Timestamp::from_second(clock_s(record)).ok()?.to_zoned(TimeZone::UTC).datetime();
    let start_s = zone.to_timestamp(shown).ok()?.as_second();
    Some((start_s, clock_s(record) - start_s))
}
