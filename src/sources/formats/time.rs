//! Times as people's exports write them.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};

/// Before this nobody wore a recorder, and clocks that were never set begin.
pub const EARLIEST_S: i64 = 157_766_400; // 1975-01-01

/// A time of the kind of `2025-10-18T12:49:52Z`, with fractions, offsets and spaces in all the ways they
/// are written. One without a zone is taken for UTC, as GPX defines it.
pub fn utc(text: &str) -> Option<Timestamp> {
    let (civil_ms, offset_s) = parse(text)?;
    Timestamp::from_millisecond(civil_ms - i64::from(offset_s.unwrap_or(0)) * 1000).ok()
}

/// The same, in unix milliseconds: a recording has thousands of them.
pub fn utc_ms(text: &str) -> Option<i64> {
    let (civil_ms, offset_s) = parse(text)?;
    Some(civil_ms - i64::from(offset_s.unwrap_or(0)) * 1000)
        .filter(|ms| *ms <= Timestamp::MAX.as_millisecond())
}

/// The same, with the offset that was written, in seconds.
pub fn with_offset(text: &str) -> Option<(Timestamp, Option<i32>)> {
    let (civil_ms, offset_s) = parse(text)?;
    let time = Timestamp::from_millisecond(civil_ms - i64::from(offset_s.unwrap_or(0)) * 1000).ok()?;
    Some((time, offset_s))
}

/// Milliseconds of the wall clock as if it were UTC, and the offset that was written.
fn parse(text: &str) -> Option<(i64, Option<i32>)> {
    let bytes = text.trim().as_bytes();
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = bytes.get(range)?;
        digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    };
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let days = days_since_1970(number(0..4)?, number(5..7)?, number(8..10)?)?;
    if bytes.len() == 10 {
        return Some((days * 86_400_000, None));
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') || bytes.get(13) != Some(&b':') {
        return None;
    }
    let (hour, minute) = (number(11..13)?, number(14..16)?);
    let mut at = 16;
    let mut second = 0;
    if bytes.get(at) == Some(&b':') {
        second = number(at + 1..at + 3)?;
        at += 3;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut millisecond = 0;
    if matches!(bytes.get(at), Some(b'.' | b',')) {
        at += 1;
        let mut scale = 100;
        while let Some(digit) = bytes.get(at).filter(|b| b.is_ascii_digit()) {
            millisecond += i64::from(digit - b'0') * scale;
            scale /= 10;
            at += 1;
        }
    }
    while bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    let offset_s = match bytes.get(at) {
        None => None,
        // Some write it twice.
        Some(b'Z' | b'z') if bytes[at..].iter().all(|b| matches!(b, b'Z' | b'z')) => Some(0),
        Some(sign @ (b'+' | b'-')) => {
            let hours = number(at + 1..at + 3)?;
            let minutes = match bytes.len() - (at + 3) {
                0 => 0,
                2 => number(at + 3..at + 5)?,
                3 if bytes[at + 3] == b':' => number(at + 4..at + 6)?,
                _ => return None,
            };
            if hours > 18 || minutes > 59 {
                return None;
            }
            let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        Some(_) => return None,
    };
    let civil_s = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some((civil_s * 1000 + millisecond, offset_s))
}

fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) || !(1..=9999).contains(&year) {
        return None;
    }
    // Counted from 1 March, so that the leap day comes last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// The order of day and month in a date of numbers that does not show it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    DayFirst,
    MonthFirst,
}

impl Order {
    /// That of one writer's dates: the month comes first where a second number is above 12.
    pub fn of(dates: impl Iterator<Item = impl AsRef<str>>) -> Order {
        let mut dates = dates;
        let is_month_first = dates.any(|text| {
            let text = text.as_ref().trim();
            let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty());
            let (first, second) = (numbers.next(), numbers.next());
            let is_date_of_numbers = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('/');
            is_date_of_numbers
                && first.is_some_and(|n| n.len() < 3)
                && second.and_then(|n| n.parse().ok()).is_some_and(|n: u32| n > 12)
        });
        if is_month_first { Order::MonthFirst } else { Order::DayFirst }
    }
}

/// A wall clock in one of the ways that languages write it: `May 29, 2022, 3:53:35 PM`,
/// `29 mai 2022 à 15:53`, `29.05.2022, 15:53:35`, `2022年5月29日 15:53:35`.
pub fn civil(text: &str, order: Order) -> Option<DateTime> {
    let mut numbers: Vec<(i32, usize)> = Vec::new();
    let mut month = None;
    let mut half = None;
    let mut separator = None;
    let lower = text.to_lowercase();
    let mut rest = lower.as_str();
    while let Some(first) = rest.chars().next() {
        let is_digit = |c: char| c.is_ascii_digit();
        let length = if is_digit(first) {
            let length = rest.find(|c| !is_digit(c)).unwrap_or(rest.len());
            numbers.push((rest[..length].parse().ok()?, length));
            length
        } else if first.is_alphabetic() {
            let length = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
            let word = &rest[..length];
            let follows_m =
                || rest[length..].trim_start_matches(['.', ' ', '\u{a0}', '\u{202f}']).starts_with('m');
            match word {
                "am" | "上午" | "午前" | "오전" => half = Some(0),
                "pm" | "下午" | "午後" | "오후" => half = Some(12),
                "a" if numbers.len() >= 4 && follows_m() => half = Some(0),
                "p" if numbers.len() >= 4 && follows_m() => half = Some(12),
                // Numbers that count years, months and days in Chinese and Japanese follow them.
                _ if numbers.len() < 3 => month = month.or_else(|| month_of(word)),
                _ => {}
            }
            length
        } else {
            if numbers.len() == 1 && separator.is_none() && !first.is_whitespace() {
                separator = Some(first);
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    let number = |at: usize| numbers.get(at).map(|(n, _)| *n);
    let (year, month, day, used) = match month {
        Some(month) => match (numbers.first()?, numbers.get(1)?) {
            ((year, 4), (day, _)) | ((day, _), (year, 4)) => (*year, month, *day, 2),
            _ => return None,
        },
        None => {
            let (a, b, c) = (number(0)?, number(1)?, number(2)?);
            if numbers[0].1 == 4 {
                (a, b, c, 3)
            } else {
                let year = if numbers[2].1 == 2 { 2000 + c } else { c };
                let is_month_first =
                    b > 12 || (separator != Some('.') && order == Order::MonthFirst && a <= 12);
                if is_month_first { (year, a, b, 3) } else { (year, b, a, 3) }
            }
        }
    };
    let date =
        Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let hour = number(used).unwrap_or(0);
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    let (minute, second) = (number(used + 1).unwrap_or(0), number(used + 2).unwrap_or(0));
    let time = Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, 0);
    Some(date.to_datetime(time.ok()?))
}

/// A wall clock as if it were UTC.
pub fn as_utc(civil: DateTime) -> Option<Timestamp> {
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Beginnings of the months' names in every language that Strava's archives and Hevy's tables are written in.
const MONTHS: &str = include_str!("../../../data/months.csv");

/// By their first bytes.
static BEGINNINGS: LazyLock<Vec<(&'static str, i32)>> = LazyLock::new(|| {
    let lines = MONTHS.lines().skip(1).zip(1..);
    let of_month = |(line, month): (&'static str, i32)| {
        let (_, beginnings) = line.split_once(',').expect("the table has two columns");
        beginnings.split('|').map(move |beginning| (beginning, month))
    };
    let mut beginnings: Vec<(&'static str, i32)> = lines.flat_map(of_month).collect();
    beginnings.sort_by_key(|(beginning, _)| beginning.as_bytes()[0]);
    beginnings
});

/// The month that a word means, in lower case.
fn month_of(word: &str) -> Option<i32> {
    let first = word.as_bytes().first()?;
    let from = BEGINNINGS.partition_point(|(beginning, _)| beginning.as_bytes()[0] < *first);
    let of_the_first =
        BEGINNINGS[from..].iter().take_while(|(beginning, _)| beginning.as_bytes()[0] == *first);
    let known = of_the_first.filter(|(beginning, _)| word.starts_with(beginning));
    known.max_by_key(|(beginning, _)| beginning.len()).map(|(_, month)| *month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_every_kind_of_zone_are_read_as_jiff_reads_them() {
        for text in ["2025-10-18T12:49:52Z", "2016-02-29T23:59:59.125-04:00", "1999-12-31T00:00:00+05:45"] {
            assert_eq!(utc(text), Some(text.parse().unwrap()), "{text}");
        }
        let same: Timestamp = "2016-11-14T14:25:41Z".parse().unwrap();
        for text in [
            "2016-11-14 07:25:41 -0700",
            "2016-11-14T14:25:41",
            " 2016-11-14T14:25:41.000Z\n",
            "2016-11-14 14:25:41",
        ] {
            assert_eq!(utc(text), Some(same), "{text}");
        }
        for text in [
            "",
            "2023-02-29T00:00:00Z",
            "2023-13-01",
            "2023-1-1T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:00:00Q",
            "2023-01-01T00:00:00+",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!((utc(text), utc_ms(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn every_day_is_the_one_that_jiff_counts() {
        for day in (-100_000..100_000).step_by(37) {
            let date = Timestamp::from_second(day * 86_400).unwrap();
            let text = date.to_string();
            assert_eq!(utc(&text), Some(date), "{text}");
            assert_eq!(utc_ms(&text), Some(date.as_millisecond()), "{text}");
        }
    }

    #[test]
    fn wall_clocks_are_read_in_many_languages() {
        let expected: DateTime = "2022-05-29T15:53:35".parse().unwrap();
        for text in [
            "May 29, 2022, 3:53:35 PM",
            "May 29, 2022, 3:53:35\u{202f}PM",
            "29 May 2022, 15:53:35",
            "29.05.2022, 15:53:35",
            "29. Mai 2022 um 15:53:35",
            "29 mai 2022 à 15:53:35",
            "29 may 2022, 3:53:35 p. m.",
            "29 maj 2022, 15:53:35",
            "29/05/2022, 15:53:35",
            "2022-05-29 15:53:35",
            "2022年5月29日 15:53:35",
            "2022/05/29 15:53:35",
            "2022年5月29日 下午3:53:35",
            "2022. 5. 29. 오후 3:53:35",
        ] {
            assert_eq!(civil(text, Order::DayFirst), Some(expected), "{text}");
        }
        assert_eq!(civil("5/29/2022 15:53:35", Order::DayFirst), Some(expected), "no 29th month");
        assert_eq!(civil("05/06/2022 0:00", Order::MonthFirst), "2022-05-06T00:00:00".parse().ok());
        for (text, month) in [
            ("18 Sept. 2026, 16:01", 9),
            ("11 März 2026, 15:32", 3),
            ("1 Juni 2026, 17:18", 6),
            ("3 juil. 2026", 7),
        ] {
            assert_eq!(civil(text, Order::DayFirst).unwrap().month(), month, "{text}");
        }
        assert_eq!(civil("Jan 1, 2024, 12:00 AM", Order::DayFirst), "2024-01-01T00:00:00".parse().ok());
        for text in ["", "Feb 30, 2022, 1:00:00 PM", "May 29", "#error#", "99.99.9999", "31.02.2022, 10:00"] {
            assert_eq!(civil(text, Order::DayFirst), None, "{text}");
        }
    }
}
