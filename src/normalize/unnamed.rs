//! Sports that sources have a name for and longrun has none: counted, so that somebody can add them to the tables.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::Serialize;
use serde::ser::SerializeSeq;

/// Different names that are counted. An archive may make up a name per record.
const MOST_NAMES: usize = 1000;
/// Names that are given to machines, the most frequent ones.
const MOST_GIVEN: usize = 100;
/// A longer name is no name; its beginning stands for it.
const LONGEST_CHARS: usize = 60;

/// How many activities have a sport without a canonical name, by source and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnnamedSports {
    records: BTreeMap<(&'static str, String), u64>,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UnnamedSport<'a> {
    pub source: &'static str,
    /// As the source writes it.
    pub name: &'a str,
    pub records: u64,
}

impl UnnamedSports {
    pub fn add(&mut self, source: &'static str, name: &str, records: u64) {
        let name: String = name.chars().take(LONGEST_CHARS).collect();
        let key = (source, name);
        if self.records.len() < MOST_NAMES || self.records.contains_key(&key) {
            *self.records.entry(key).or_default() += records;
        }
    }

    /// The most frequent first; of equally frequent ones, by source and name.
    pub fn all(&self) -> Vec<UnnamedSport<'_>> {
        let records = self.records.iter();
        let mut all: Vec<UnnamedSport> = records
            .map(|((source, name), records)| UnnamedSport { source, name, records: *records })
            .collect();
        all.sort_by_key(|sport| std::cmp::Reverse(sport.records));
        all
    }
}

impl AddAssign for UnnamedSports {
    fn add_assign(&mut self, other: UnnamedSports) {
        for ((source, name), records) in other.records {
            self.add(source, &name, records);
        }
    }
}

impl Serialize for UnnamedSports {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(None)?;
        self.all().iter().take(MOST_GIVEN).try_for_each(|sport| list.serialize_element(sport))?;
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_names_come_first_and_there_is_an_end_to_them() {
        let mut sports = UnnamedSports::default();
        sports.add("files", "flying", 1);
        sports.add("files", "driving", 2);
        let mut more = UnnamedSports::default();
        more.add("strava", "flying", 1);
        more.add("files", "flying", 4);
        sports += more;
        let order: Vec<_> = sports.all().iter().map(|s| (s.source, s.name, s.records)).collect();
        assert_eq!(order, [("files", "flying", 5), ("files", "driving", 2), ("strava", "flying", 1)]);
        for number in 0..2 * MOST_NAMES {
            sports.add("files", &format!("made up {number} {}", "x".repeat(1000)), 1);
        }
        sports.add("files", "flying", 1);
        assert_eq!(sports.all().len(), MOST_NAMES);
        assert_eq!(sports.all()[0].records, 6);
        let given = serde_json::to_value(&sports).unwrap();
        assert_eq!(given.as_array().unwrap().len(), MOST_GIVEN);
        assert!(given[99]["name"].as_str().unwrap().len() <= LONGEST_CHARS);
    }
}
