//! What people report of duplicates, as small persons made by hand: each class of trouble is found, and each
//! neighbour stays apart, whatever the weights were learned from.

mod accounts;
mod clocks;
mod crowds;
mod devices;
mod neighbours;
mod outings;
mod sessions;
mod strays;
mod troubles;

use std::collections::BTreeSet;

use super::Thresholds;
use super::explain;
use super::footprint::Footprint;
use super::link::{self, Linked};
use super::record::{self, Quality, Record};
use super::scored::{Decision, Scored};
use super::titles;
use super::weights::Weights;
use crate::model::sport;
use crate::sources::Source::{self, Hevy};
use crate::store::state::answers::Answers;

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 86_400;
/// Monday, 6 January 2025, midnight UTC.
const MONDAY_S: i64 = 1_736_121_600;

/// One person's records, as they are made.
#[derive(Default)]
struct Person(Vec<Record>);

/// `start_s` since [`MONDAY_S`]; minutes long, as far as the number says.
fn record(source: Source, name: &str, sport: &str, start_s: i64, minutes: f64, km: f64) -> Record {
    Record {
        source,
        source_id: name.to_string(),
        start_s: MONDAY_S + start_s,
        quality: if source == Hevy { Quality::Minute } else { Quality::Exact },
        utc_offset_s: None,
        elapsed_s: (minutes > 0.0).then_some(minutes * 60.0),
        moving_s: None,
        distance_m: (km > 0.0).then_some(km * 1000.0),
        sport: sport::named(sport),
        footprint: Footprint::default(),
        heart_rate_bpm: None,
        calories_kcal: None,
        file: None,
        upload: None,
        came_from: None,
        serial: None,
        device: None,
        model: None,
        app: None,
        title: None,
        zone: None,
        is_virtual: sport.starts_with("virtual"),
        is_manual: false,
        is_parent: false,
    }
}

/// A way of so many kilometres north, from a place that is `place` kilometres east of another.
fn way(place: f64, from_km: f64, to_km: f64) -> Footprint {
    let points = 0..=((to_km - from_km) * 20.0) as i32;
    let lat: Vec<i32> =
        points.clone().map(|n| 5_000_000 + ((from_km + f64::from(n) / 20.0) * 900.0) as i32).collect();
    let lon: Vec<i32> = points.map(|_| 1_000_000 + (place * 1_400.0) as i32).collect();
    Footprint::of(&lat, &lon)
}

impl Person {
    fn add(&mut self, record: Record) -> &mut Record {
        self.0.push(record);
        self.0.last_mut().expect("it was pushed")
    }

    fn link(mut self) -> Found {
        self.0.sort_by(|a, b| (a.start_s, a.source, &a.source_id).cmp(&(b.start_s, b.source, &b.source_id)));
        record::name_devices(&mut self.0);
        let linked = link::link(&self.0, &Weights::default(), Thresholds::default(), &Answers::default());
        Found { records: self.0, linked }
    }
}

struct Found {
    records: Vec<Record>,
    linked: Linked,
}

impl Found {
    fn groups_of(&self, name: &str) -> BTreeSet<usize> {
        let groups = self.linked.groups.iter().enumerate();
        let has = |at: &usize| self.records[*at].source_id == name;
        groups.filter(|(_, g)| g.members.iter().any(|(at, _)| has(at))).map(|(n, _)| n).collect()
    }

    fn told(&self, one: &str, other: &str) -> String {
        let of = |at: usize| self.records[at].source_id.as_str();
        let pair = |s: &&Scored| {
            [(of(s.pair.a), of(s.pair.b)), (of(s.pair.b), of(s.pair.a))].contains(&(one, other))
        };
        format!(
            "{one} and {other}: {:?}, placed {:?}",
            self.linked.pairs.iter().find(pair),
            self.linked.placed
        )
    }

    fn explained(&self, one: &str, other: &str) -> String {
        let place = |name: &str| self.records.iter().position(|r| r.source_id == name).expect("it was added");
        let both = (place(one), place(other));
        explain::explain(&self.records, &self.linked, both, &Weights::default(), Thresholds::default())
    }

    #[track_caller]
    fn are_one(&self, names: &[&str]) {
        for (at, one) in names.iter().enumerate() {
            for other in &names[at + 1..] {
                let shared = !self.groups_of(one).is_disjoint(&self.groups_of(other));
                assert!(shared, "{}", self.told(one, other));
            }
        }
    }

    #[track_caller]
    fn are_two(&self, one: &str, other: &str) {
        assert!(self.groups_of(one).is_disjoint(&self.groups_of(other)), "{}", self.told(one, other));
    }

    #[track_caller]
    fn is_for_review(&self, one: &str, other: &str) {
        self.are_two(one, other);
        let of = |at: usize| self.records[at].source_id.as_str();
        let reviewed = self.linked.pairs.iter().filter(|s| s.decision == Decision::Review);
        let names: Vec<(&str, &str)> = reviewed.map(|s| (of(s.pair.a), of(s.pair.b))).collect();
        assert!(names.contains(&(one, other)) || names.contains(&(other, one)), "{}", self.told(one, other));
    }
}

/// Two records of one workout and nothing else.
fn two(a: Record, b: Record) -> Found {
    let mut person = Person::default();
    person.add(a);
    person.add(b);
    person.link()
}
