//! Serves people made from a seed.

use super::{Athlete, Entry, History};
use crate::testing::synth::{Person, strava};

pub struct Synthetic {
    people: Vec<Person>,
    entries: Vec<Vec<Entry>>,
}

impl Synthetic {
    pub fn new(people: Vec<Person>) -> Synthetic {
        let entries = |person: &Person| {
            let entry = |w: &crate::testing::synth::Workout| Entry {
                id: w.id.to_string(),
                start_s: w.start.as_second(),
            };
            person.workouts.iter().rev().map(entry).collect()
        };
        Synthetic { entries: people.iter().map(entries).collect(), people }
    }

    fn at(&self, athlete: usize, index: usize) -> (&Person, &crate::testing::synth::Workout) {
        let person = &self.people[athlete];
        (person, &person.workouts[person.workouts.len() - 1 - index])
    }
}

impl History for Synthetic {
    fn athletes(&self) -> Vec<Athlete> {
        self.people.iter().map(|p| Athlete { id: p.athlete_id, user_id: p.user_id.clone() }).collect()
    }

    fn entries(&self, athlete: usize) -> &[Entry] {
        &self.entries[athlete]
    }

    fn summary(&self, athlete: usize, index: usize) -> Vec<u8> {
        let (person, workout) = self.at(athlete, index);
        strava::summary(person, workout).into_bytes()
    }

    fn detail(&self, athlete: usize, index: usize) -> Vec<u8> {
        let (person, workout) = self.at(athlete, index);
        strava::detail(person, workout).into_bytes()
    }

    fn streams(&self, athlete: usize, index: usize) -> Option<Vec<u8>> {
        let (person, workout) = self.at(athlete, index);
        strava::streams(person, workout).map(String::into_bytes)
    }
}
