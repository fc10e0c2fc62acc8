//! A page per person: what each source has of them, when, and what is left to review.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, Counting};
use super::page::pack;
use super::{Totals, Words};
use crate::stats::calendar::Begin;

/// One line of the list of people, and their page.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Person {
    /// By their number among the users.
    pub user: u32,
    pub records: Totals,
    pub workouts: Totals,
    /// Pairs to review.
    pub review: u64,
    /// A [`PersonPage`], packed: pages are kept while other people's buckets are read.
    pub page: Bytes,
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

/// The people of some buckets, at most so many: those with most to review, then those with most records.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct People {
    pub all: u64,
    most: usize,
    kept: Vec<Person>,
}

/// What puts one person before another: pairs to review, then records.
pub type Rank = (u64, u64);

fn rank(review: u64, records: &Totals) -> Rank {
    (review, records.count)
}

impl People {
    pub fn new(most: usize) -> People {
        People { most, ..People::default() }
    }

    /// The lowest rank that is listed, where the list is full.
    pub fn lowest(&self) -> Option<Rank> {
        self.kept.get(self.most.wrapping_sub(1)).map(|last| rank(last.review, &last.records))
    }

    /// Takes the people of a bucket in, and adds up what they have by month and day. Nobody below the lowest rank will
    /// be listed, so no page of them is made.
    pub fn take(
        &mut self,
        of: BTreeMap<String, OfPerson>,
        users: &mut Words,
        everybody: &mut Counting,
        lowest: Option<Rank>,
    ) {
        let mut of_bucket = Vec::new();
        for (user, of) in of {
            everybody.add(&of.calendar);
            if of.records.count == 0 {
                continue;
            }
            self.all += 1;
            let rank = rank(of.review, &of.records);
            if lowest.is_none_or(|lowest| rank >= lowest) {
                of_bucket.push((Reverse(rank), users.number(&user), of));
            }
        }
        of_bucket.sort_by_key(|(rank, user, _)| (*rank, *user));
        of_bucket.truncate(self.most);
        for (_, user, of) in of_bucket {
            let page = pack(&PersonPage { sources: of.sources, calendar: of.calendar.finish() });
            let page = page.into_boxed_slice().into();
            let (records, workouts, review) = (of.records, of.workouts, of.review);
            self.kept.push(Person { user, records, workouts, review, page });
        }
    }

    /// Takes in those of another bucket, with their numbers here.
    pub fn add(&mut self, other: People, users: &[u32]) {
        self.all += other.all;
        let renamed =
            other.kept.into_iter().map(|person| Person { user: users[person.user as usize], ..person });
        self.kept.extend(renamed);
        self.kept.sort_by_key(|person| (Reverse(rank(person.review, &person.records)), person.user));
        self.kept.truncate(self.most);
    }

    pub fn finish(self) -> Vec<Person> {
        self.kept
    }
}
