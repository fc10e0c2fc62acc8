//! What people said about the zone that a source's clocks were in, for a stretch of days.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

use crate::error::{Error, Result};
use crate::store::lake::Lake;

/// One answer: from one day to another, both included, by the clocks themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneAnswer {
    pub source: String,
    pub from: Date,
    pub to: Date,
    pub zone: TimeZone,
}

/// One person's, the newest last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ZoneAnswers(Vec<ZoneAnswer>);

impl ZoneAnswers {
    pub fn add(&mut self, answer: ZoneAnswer) {
        self.0.push(answer);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The zone of a source's clock when it showed a time, given as if that were UTC; the newest answer holds.
    pub fn of(&self, source: &str, clock_s: i64) -> Option<&TimeZone> {
        if self.0.is_empty() {
            return None;
        }
        let clock = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_secs(clock_s)).ok()?;
        let day = clock.to_zoned(TimeZone::UTC).date();
        let is_meant = |a: &&ZoneAnswer| a.source == source && (a.from..=a.to).contains(&day);
        self.0.iter().rev().find(is_meant).map(|answer| &answer.zone)
    }
}

/// An answer as it is given. Without a zone it is taken back, for every stretch that shares a day with it.
#[derive(Debug, Clone)]
pub struct Given {
    pub user_id: String,
    pub source: String,
    pub from: Option<Date>,
    pub to: Option<Date>,
    pub zone: Option<String>,
}

/// Before the first day that anybody recorded, and after the last.
const EVER: [&str; 2] = ["0001-01-01", "9999-12-31"];

/// Refuses what is no name of a time zone.
pub fn check(zone: &str) -> Result<()> {
    let unknown = |_| Error::Usage(format!("{zone:?} is not a time zone, like Europe/Berlin or UTC"));
    TimeZone::get(zone).map(drop).map_err(unknown)
}

/// Everybody's, by user.
pub fn read(db: &Connection) -> rusqlite::Result<Vec<(String, ZoneAnswer)>> {
    let mut statement = db.prepare(
        "SELECT user_id, source, from_day, to_day, zone FROM zones ORDER BY answered_at_s, source, from_day",
    )?;
    let mut rows = statement.query([])?;
    let mut answers = Vec::new();
    while let Some(row) = rows.next()? {
        let day =
            |at: usize| -> rusqlite::Result<Option<Date>> { Ok(row.get::<_, String>(at)?.parse().ok()) };
        // A zone that this longrun no longer knows says nothing.
        let zone = TimeZone::get(&row.get::<_, String>(4)?).ok();
        if let (Some(from), Some(to), Some(zone)) = (day(2)?, day(3)?, zone) {
            answers.push((row.get(0)?, ZoneAnswer { source: row.get(1)?, from, to, zone }));
        }
    }
    Ok(answers)
}

/// Keeps an answer, or takes answers back; how many.
pub fn keep(lake: &Lake, given: &Given, now: Timestamp) -> Result<usize> {
    let day = |day: Option<Date>, ever: &str| day.map_or(ever.to_string(), |day| day.to_string());
    let (from, to) = (day(given.from, EVER[0]), day(given.to, EVER[1]));
    if from > to {
        return Err(Error::Usage(format!("the first day, {from}, is after the last, {to}")));
    }
    let Given { user_id, source, zone, .. } = given;
    zone.as_deref().map_or(Ok(()), check)?;
    lake.state()?.write(|db| match zone {
        Some(zone) => db.execute(
            "INSERT OR REPLACE INTO zones VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![user_id, source, from, to, zone, now.as_second()],
        ),
        None => db.execute(
            "DELETE FROM zones WHERE user_id = ?1 AND source = ?2 AND from_day <= ?4 AND to_day >= ?3",
            params![user_id, source, from, to],
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_answer_about_a_day_holds() {
        let answer = |from: &str, to: &str, zone: &str| ZoneAnswer {
            source: "hevy".to_string(),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            zone: TimeZone::get(zone).unwrap(),
        };
        let mut answers = ZoneAnswers::default();
        answers.add(answer(EVER[0], EVER[1], "Europe/Berlin"));
        answers.add(answer("2025-05-03", "2025-05-09", "America/New_York"));
        let zone = |source: &str, time: &str| {
            let clock_s = time.parse::<Timestamp>().unwrap().as_second();
            answers.of(source, clock_s).and_then(|zone| zone.iana_name()).map(str::to_string)
        };
        assert_eq!(zone("hevy", "2025-05-02T23:59:59Z").as_deref(), Some("Europe/Berlin"));
        assert_eq!(zone("hevy", "2025-05-03T00:00:00Z").as_deref(), Some("America/New_York"));
        assert_eq!(zone("hevy", "2025-05-09T23:59:59Z").as_deref(), Some("America/New_York"));
        assert_eq!(zone("hevy", "2025-05-10T00:00:00Z").as_deref(), Some("Europe/Berlin"));
        assert_eq!(zone("strava", "2025-05-10T00:00:00Z"), None);
    }
}
