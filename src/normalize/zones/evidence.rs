//! What a person's records say of the zone of a day: plain values in, a plain value out.
//!
//! A record says it by the name of its zone, by its offset, or by where it began, where other records of the same
//! person have said the zone of that place. All records of a day that say it have to agree.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const DAY_S: i64 = 86_400;
/// An offset without the name of its zone holds for a place this long: clocks change twice a year.
const NEAR_S: i64 = 14 * DAY_S;

/// What one record says.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    pub source: String,
    pub source_id: String,
    /// In UTC.
    pub start_s: i64,
    pub offset_s: Option<i32>,
    pub zone: Option<String>,
    pub place: Option<(f64, f64)>,
}

/// The offset that is proposed for a start, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    pub offset_s: i32,
    /// `strava 123: timezone Europe/Berlin`
    pub from: String,
}

/// A square degree or so: about a hundred kilometres.
type Square = (i32, i32);

/// What is known of one person.
#[derive(Debug, Default)]
pub struct Person {
    /// Wall clocks without a zone, in days since 1970.
    wanted: BTreeSet<i64>,
    evidence: Vec<Evidence>,
    /// Records that say their zone themselves, by where they began, in the order of their starts.
    by_place: BTreeMap<Square, Vec<usize>>,
}

/// How a record says it; the first is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Zone,
    Offset,
    Position,
}

impl Person {
    /// Notes a start without a zone: the seconds of the wall clock as if it were UTC.
    pub fn asks_for(&mut self, wall_s: i64) {
        self.wanted.insert(wall_s.div_euclid(DAY_S));
    }

    pub fn add(&mut self, one: Evidence) {
        if one.offset_s.is_some() || one.zone.is_some() || one.place.is_some() {
            self.evidence.push(one);
        }
    }

    /// Puts everything in order, once all is there.
    pub fn sort(&mut self) {
        if self.wanted.is_empty() {
            self.evidence.clear();
            return;
        }
        let key = |one: &Evidence| (one.start_s, one.source.clone(), one.source_id.clone());
        self.evidence.sort_by_cached_key(key);
        for (at, one) in self.evidence.iter().enumerate().filter(|(_, one)| one.says_itself()) {
            if let Some(place) = one.place {
                self.by_place.entry(square(place)).or_default().push(at);
            }
        }
    }

    /// What the records of the day of a wall clock say together; nothing where none says it or two disagree.
    pub fn guess(&self, wall_s: i64) -> Option<Guess> {
        let day = wall_s.div_euclid(DAY_S);
        // Zones reach from 12 hours behind UTC to 14 before it.
        let near = self.evidence.partition_point(|one| one.start_s < (day - 1) * DAY_S);
        let near = self.evidence[near..].iter().take_while(|one| one.start_s < (day + 2) * DAY_S);
        let of_day = near.filter_map(|one| {
            let (by, zone, offset_s) = self.said(one)?;
            let local_s = one.start_s + i64::from(offset_s);
            let offset_s = zone.as_ref().and_then(|zone| offset_of_wall(zone, wall_s)).unwrap_or(offset_s);
            (local_s.div_euclid(DAY_S) == day).then(|| (by, (local_s - wall_s).abs(), one, offset_s))
        });
        let of_day: Vec<(By, i64, &Evidence, i32)> = of_day.collect();
        let (by, _, one, offset_s) =
            of_day.iter().min_by_key(|(by, apart_s, one, _)| (*by, *apart_s, &one.source, &one.source_id))?;
        if of_day.iter().any(|(.., other_s)| other_s != offset_s) {
            return None;
        }
        let said = match by {
            By::Zone => format!("timezone {}", one.zone.as_deref().unwrap_or_default()),
            By::Offset => "utc_offset_s".to_string(),
            By::Position => "start position".to_string(),
        };
        Some(Guess { offset_s: *offset_s, from: format!("{} {}: {said}", one.source, one.source_id) })
    }

    /// The zone and the offset that a record says, and how.
    fn said(&self, one: &Evidence) -> Option<(By, Option<TimeZone>, i32)> {
        if let Some((zone, offset_s)) = one.itself() {
            let by = if zone.is_some() { By::Zone } else { By::Offset };
            return Some((by, zone, offset_s));
        }
        let (row, column) = square(one.place?);
        let squares = (row - 1..=row + 1).flat_map(|row| (column - 1..=column + 1).map(move |c| (row, c)));
        let neighbours = squares.filter_map(|square| self.nearest(self.by_place.get(&square)?, one.start_s));
        let nearest = neighbours.min_by_key(|other| {
            ((other.start_s - one.start_s).abs(), other.source.clone(), other.source_id.clone())
        })?;
        match nearest.itself()? {
            (Some(zone), _) => {
                let offset_s = offset_at(&zone, one.start_s)?;
                Some((By::Position, Some(zone), offset_s))
            }
            (None, offset_s) => {
                ((nearest.start_s - one.start_s).abs() <= NEAR_S).then_some((By::Position, None, offset_s))
            }
        }
    }

    /// Of records in the order of their starts, the one that began nearest to a time.
    fn nearest(&self, ordered: &[usize], start_s: i64) -> Option<&Evidence> {
        let behind = ordered.partition_point(|at| self.evidence[*at].start_s < start_s);
        let around = [behind.checked_sub(1), Some(behind)].into_iter().flatten();
        let one = around.filter_map(|at| Some(&self.evidence[*ordered.get(at)?]));
        one.min_by_key(|one| (one.start_s - start_s).abs())
    }
}

impl Evidence {
    fn says_itself(&self) -> bool {
        self.itself().is_some()
    }

    /// The zone where it has a name, and the offset at the start.
    fn itself(&self) -> Option<(Option<TimeZone>, i32)> {
        let zone = self.zone.as_deref().and_then(|name| TimeZone::get(name).ok());
        let of_zone = || offset_at(zone.as_ref()?, self.start_s);
        let offset_s = self.offset_s.or_else(of_zone)?;
        // A device that has moved on says the zone of its home and the offset of where it is.
        let zone = zone.filter(|zone| offset_at(zone, self.start_s) == Some(offset_s));
        Some((zone, offset_s))
    }
}

fn square((lat, lon): (f64, f64)) -> Square {
    (lat.floor() as i32, lon.floor() as i32)
}

fn offset_at(zone: &TimeZone, start_s: i64) -> Option<i32> {
    Some(zone.to_offset(Timestamp::from_second(start_s).ok()?).seconds())
}

/// The offset of a wall clock, given as if it were UTC, in a zone.
fn offset_of_wall(zone: &TimeZone, wall_s: i64) -> Option<i32> {
    let wall: DateTime = Timestamp::from_second(wall_s).ok()?.to_zoned(TimeZone::UTC).datetime();
    Some(zone.to_zoned(wall).ok()?.offset().seconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: (f64, f64) = (52.5, 13.4);

    fn second(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    fn one(id: &str, start: &str) -> Evidence {
        let source = "strava".to_string();
        let start_s = second(start);
        Evidence { source, source_id: id.to_string(), start_s, offset_s: None, zone: None, place: None }
    }

    fn guess(wall: &str, all: &[Evidence]) -> Option<(i32, String)> {
        let both_ways: Vec<Option<Guess>> = [false, true]
            .into_iter()
            .map(|reversed| {
                let mut person = Person::default();
                let mut all = all.to_vec();
                if reversed {
                    all.reverse();
                }
                all.into_iter().for_each(|one| person.add(one));
                person.asks_for(second(wall));
                person.sort();
                person.guess(second(wall))
            })
            .collect();
        assert_eq!(both_ways[0], both_ways[1], "whatever comes first");
        both_ways[0].clone().map(|guess| (guess.offset_s, guess.from))
    }

    #[test]
    fn a_record_of_the_same_local_day_says_the_zone_by_its_name_or_its_offset() {
        let by_offset = Evidence { offset_s: Some(7200), ..one("1", "2024-05-04T16:00:00Z") };
        let by_zone =
            Evidence { zone: Some("Europe/Berlin".to_string()), ..one("2", "2024-05-04T17:00:00Z") };
        let both = [by_offset.clone(), by_zone];
        assert_eq!(
            guess("2024-05-04T18:30:00Z", &both),
            Some((7200, "strava 2: timezone Europe/Berlin".to_string()))
        );
        let said = Some((7200, "strava 1: utc_offset_s".to_string()));
        assert_eq!(guess("2024-05-04T00:10:00Z", &both[..1]), said);
        assert_eq!(guess("2024-05-05T00:10:00Z", &both), None, "another day");
        // Just after midnight over there, and the day before in UTC.
        let early = [Evidence { offset_s: Some(36_000), ..one("3", "2024-05-03T15:00:00Z") }];
        assert!(guess("2024-05-04T20:00:00Z", &early).is_some());
    }

    #[test]
    fn records_that_disagree_say_nothing() {
        let flight = [
            Evidence { offset_s: Some(7200), ..one("1", "2024-05-04T06:00:00Z") },
            Evidence { offset_s: Some(-14_400), ..one("2", "2024-05-04T20:00:00Z") },
        ];
        assert_eq!(guess("2024-05-04T18:30:00Z", &flight), None);
    }

    #[test]
    fn on_the_day_when_clocks_change_the_zone_says_which_offset_it_is() {
        let berlin =
            |id: &str, start: &str| Evidence { zone: Some("Europe/Berlin".to_string()), ..one(id, start) };
        let day = [berlin("1", "2024-03-31T00:10:00Z"), berlin("2", "2024-03-31T10:00:00Z")];
        assert_eq!(guess("2024-03-31T01:15:00Z", &day).map(|(offset_s, _)| offset_s), Some(3600));
        assert_eq!(guess("2024-03-31T12:00:00Z", &day).map(|(offset_s, _)| offset_s), Some(7200));
    }

    #[test]
    fn a_place_that_is_known_says_the_zone_of_a_record_that_began_there() {
        let known = Evidence {
            zone: Some("Europe/Berlin".to_string()),
            place: Some(BERLIN),
            ..one("1", "2023-01-04T06:00:00Z")
        };
        let near = Evidence { place: Some((52.9, 14.1)), ..one("2", "2024-07-04T06:00:00Z") };
        let far = Evidence { place: Some((48.1, 11.5)), ..near.clone() };
        let said = Some((7200, "strava 2: start position".to_string()));
        assert_eq!(guess("2024-07-04T18:00:00Z", &[known.clone(), near.clone()]), said);
        assert_eq!(guess("2024-07-04T18:00:00Z", &[known.clone(), far]), None);
        // An offset alone holds for a fortnight.
        let winter = Evidence { zone: None, offset_s: Some(3600), ..known.clone() };
        assert_eq!(guess("2024-07-04T18:00:00Z", &[winter, near.clone()]), None);
        let summer =
            Evidence { zone: None, offset_s: Some(7200), start_s: near.start_s - 5 * DAY_S, ..known };
        assert_eq!(guess("2024-07-04T18:00:00Z", &[summer, near]), said);
    }
}
