//! Days, weeks, months and years, as the athlete's own calendar has them.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

const DAY_S: i64 = 86_400;
const EPOCH: Date = Date::constant(1970, 1, 1);

/// When something began: milliseconds since 1970, and the offset that the athlete's clock had then. Where that is not
/// known, UTC decides which day it was.
#[derive(Debug, Clone, Copy)]
pub struct Begin {
    pub start_ms: i64,
    pub utc_offset_s: Option<i32>,
}

impl Begin {
    /// Days since 1970.
    pub fn day(self) -> i64 {
        (self.start_ms + 1000 * i64::from(self.utc_offset_s.unwrap_or(0))).div_euclid(1000 * DAY_S)
    }
}

/// The offset of a zone that a source named, at a time.
pub fn offset_s(zone: &str, at: Timestamp) -> Option<i32> {
    Some(jiff::tz::TimeZone::get(zone).ok()?.to_offset(at).seconds())
}

pub fn date(day: i64) -> Date {
    EPOCH.checked_add(SignedDuration::from_secs(day.saturating_mul(DAY_S))).unwrap_or(EPOCH)
}

/// Days since 1970.
pub fn day_of(date: Date) -> i64 {
    date.duration_since(EPOCH).as_secs() / DAY_S
}

/// `2024-W05`, by ISO 8601: a week belongs to the year that has its Thursday.
pub fn week(day: i64) -> String {
    let week = date(day).iso_week_date();
    format!("{:04}-W{:02}", week.year(), week.week())
}

/// Weeks since the one of 1970-01-01; they begin on Mondays.
pub fn week_number(day: i64) -> i64 {
    (day + 3).div_euclid(7)
}

/// `2024-05`.
pub fn month(day: i64) -> String {
    date(day).strftime("%Y-%m").to_string()
}

pub fn year(day: i64) -> String {
    date(day).strftime("%Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_week_month_and_year_of_the_calendar() {
        // 2024-12-30 is a Monday of the first week of 2025.
        let day = day_of(Date::constant(2024, 12, 30));
        assert_eq!(
            (week(day).as_str(), month(day).as_str(), year(day).as_str()),
            ("2025-W01", "2024-12", "2024")
        );
        assert_eq!(week_number(day), week_number(day - 1) + 1);
        assert_eq!(week_number(day), week_number(day + 6));
        assert_eq!(date(day), Date::constant(2024, 12, 30));
        assert_eq!(date(-1), Date::constant(1969, 12, 31));
    }
}
