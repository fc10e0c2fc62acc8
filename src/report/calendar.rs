//! When: the records of each source by month and the workouts by day, in the athletes' own calendars.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::calendar::{self, Begin};

/// The months and days that have something.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Calendar {
    pub months: Vec<Month>,
    /// Days since 1970, with their workouts and hours.
    pub days: Vec<(i64, u64, f64)>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Month {
    /// Such as `2024-05`.
    pub month: String,
    /// Records by source.
    pub records: BTreeMap<String, u64>,
    /// Before and after removing duplicates.
    pub km_before: f64,
    pub km_after: f64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Counting {
    months: BTreeMap<String, Month>,
    days: BTreeMap<i64, (u64, f64)>,
}

impl Counting {
    pub fn record(&mut self, begin: Begin, source: &str, km: f64) {
        let month = self.month(begin.day());
        *month.records.entry(source.to_string()).or_insert(0) += 1;
        month.km_before += km;
    }

    pub fn workout(&mut self, begin: Begin, km: f64, hours: f64) {
        let day = begin.day();
        self.month(day).km_after += km;
        let (count, sum) = self.days.entry(day).or_insert((0, 0.0));
        *count += 1;
        *sum += hours;
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: &Counting) {
        for (name, more) in &other.months {
            let month = self
                .months
                .entry(name.clone())
                .or_insert_with(|| Month { month: name.clone(), ..Month::default() });
            month.km_before += more.km_before;
            month.km_after += more.km_after;
            for (source, records) in &more.records {
                *month.records.entry(source.clone()).or_insert(0) += records;
            }
        }
        for (day, (more, hours)) in &other.days {
            let (count, sum) = self.days.entry(*day).or_insert((0, 0.0));
            *count += more;
            *sum += hours;
        }
    }

    fn month(&mut self, day: i64) -> &mut Month {
        let name = calendar::month(day);
        self.months.entry(name.clone()).or_insert_with(|| Month { month: name, ..Month::default() })
    }

    pub fn finish(self) -> Calendar {
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        let rounded = |m: Month| Month { km_before: tenth(m.km_before), km_after: tenth(m.km_after), ..m };
        Calendar {
            months: self.months.into_values().map(rounded).collect(),
            days: self.days.into_iter().map(|(day, (count, hours))| (day, count, tenth(hours))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_run_after_midnight_in_paris_is_of_that_day() {
        let begin = |time: &str, utc_offset_s| Begin {
            start_ms: time.parse::<Timestamp>().unwrap().as_millisecond(),
            utc_offset_s,
        };
        let mut counting = Counting::default();
        counting.record(begin("2024-04-30T22:30:00Z", Some(7_200)), "strava", 10.0);
        counting.record(begin("2024-04-30T22:30:20Z", None), "fitbit", 10.1);
        counting.workout(begin("2024-04-30T22:30:00Z", Some(7_200)), 10.0, 0.96);
        let mut everybody = Counting::default();
        everybody.record(begin("2024-05-02T10:00:00Z", None), "strava", 5.0);
        everybody.add(&counting);
        let all = everybody.finish();
        assert_eq!((all.months[1].records["strava"], all.months[1].km_before), (2, 15.0));
        assert_eq!(all.days, [(19_844, 1, 1.0)]);
        let calendar = counting.finish();
        let [april, may] = &calendar.months[..] else { panic!("{calendar:?}") };
        assert_eq!((april.month.as_str(), april.km_before, april.km_after), ("2024-04", 10.1, 0.0));
        assert_eq!((may.month.as_str(), may.km_before, may.km_after), ("2024-05", 10.0, 10.0));
        assert_eq!(may.records, BTreeMap::from([("strava".to_string(), 1)]));
        // 2024-05-01 is 19,844 days after 1970-01-01.
        assert_eq!(calendar.days, [(19_844, 1, 1.0)]);
    }
}
