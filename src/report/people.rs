//! A page per person: what each source has of them, when, and what is left to review.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::calendar::{Calendar, Counting};
use super::page::pack;
use super::{Totals, Words};
use crate::stats::calendar::Begin;

/// One line of the list of people, and their page.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// By their number among the users.
    pub user: u32,
    pub records: Totals,
    pub workouts: Totals,
    /// Pairs to review.
    pub review: u64,
    /// A [`PersonPage`], packed: pages are kept while other people's buckets are read.
    pub page: Vec<u8>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct PersonPage {
    /// By source, what it recorded.
    pub sources: BTreeMap<String, Totals>,
    pub calendar: Calendar,
}

/// Counts of one person while their bucket is read.
#[derive(Debug, Default)]
pub struct OfPerson {
    pub workouts: Totals,
    pub review: u64,
    records: Totals,
    sources: BTreeMap<String, Totals>,
    calendar: Counting,
}

impl OfPerson {
    pub fn record(&mut self, begin: Begin, source: &str, km: f64, hours: f64) {
        self.records.add(km, hours);
        self.sources.entry(source.to_string()).or_default().add(km, hours);
        self.calendar.record(begin, source, km);
    }

    pub fn workout(&mut self, begin: Begin, km: f64, hours: f64) {
        self.workouts.add(km, hours);
        self.calendar.workout(begin, km, hours);
    }
}

/// The people of all buckets so far, at most so many: those with most to review, then those with most records.
#[derive(Debug, Default)]
pub struct People {
    pub all: u64,
    kept: Vec<Person>,
}

impl People {
    /// Takes the people of a bucket in, and adds up what they have by month and day.
    pub fn take(
        &mut self,
        of: BTreeMap<String, OfPerson>,
        users: &mut Words,
        everybody: &mut Counting,
        most: usize,
    ) {
        for (user, of) in of {
            everybody.add(&of.calendar);
            if of.records.count == 0 {
                continue;
            }
            self.all += 1;
            let rank = |review: u64, records: &Totals| (review, records.count);
            let last = self.kept.get(most.wrapping_sub(1)).map(|last| rank(last.review, &last.records));
            if most == 0 || last.is_some_and(|last| rank(of.review, &of.records) < last) {
                continue;
            }
            let page = pack(&PersonPage { sources: of.sources, calendar: of.calendar.finish() });
            let (records, workouts, review) = (of.records, of.workouts, of.review);
            self.kept.push(Person { user: users.number(&user), records, workouts, review, page });
        }
        self.kept.sort_by_key(|person| (Reverse((person.review, person.records.count)), person.user));
        self.kept.truncate(most);
    }

    pub fn finish(self) -> Vec<Person> {
        self.kept
    }
}
