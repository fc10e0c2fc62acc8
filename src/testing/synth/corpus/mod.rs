//! Labelled people: what a few hundred people's services would export, with everything that people report to go
//! wrong, and the truth of which records are the same workout.
//!
//! ```text
//! DIR/corpus.toml               of an invented corpus only: its seed
//! DIR/truth.csv                 user, source, key, workout, class, relation
//! DIR/<user>/<source>/…         files as the person would import them
//! ```
//!
//! `<source>` is a source as `longrun import` names it. If everything in its folder is a zip, each zip is an export of
//! its own; else the folder is one.
//!
//! `truth.csv` has a row for every record and workout that it is of: a record of two workouts has two rows, and two
//! records are a true pair where they share a workout. `class` says what is hard about the record, several words
//! with `|` between them, or nothing; `relation` is `same`, `part` or `whole`, or nothing. `key` is how the record is
//! known in its source; the first of these that fits a record of that user and source is taken:
//!
//! 1. its id in the source,
//! 2. the name of its file, without folders; `name#2` is the second activity in it; the ending `.gz` does not count,
//! 3. its start, `2025-12-22T08:00:00Z`, or as a wall clock without a zone as it stands in the export,
//!    `2025-12-22T08:00`; seconds that are not there are not compared,
//! 4. its start and end with a `/` between them.
//!
//! Where several records fit one key, each row takes one of them, in the order of the rows. A row that no record fits
//! is of a record that was refused: its pairs count as missed, and it is listed.
//!
//! What goes wrong is drawn from public reports, several things on one record where chance has it, and each person,
//! device and account is wrong in its own way. It is written without looking at how matching works, so that it does
//! not know what matching expects. Seeds below [`TUNING_BELOW`] are for tuning.

mod chance;
mod diary;
mod neighbours;
mod person;
mod record;
mod scenes;
mod sports;
mod troubles;
mod world;
mod write;

use std::io::Write as _;
use std::path::Path;

use rayon::prelude::*;

use super::Options;
use crate::error::{Error, Result};
use crate::store::local;
use chance::Dice;
use diary::Diary;
use person::Person;

pub use troubles::TROUBLES;

/// Whoever tunes a matcher may look at people of these seeds, and of no others.
pub const TUNING_BELOW: u64 = 1000;

/// The names of what lies close and is not the same.
pub fn neighbours() -> Vec<&'static str> {
    neighbours::NEIGHBOURS.iter().map(|(name, _, _)| *name).collect()
}

/// What was written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub records: u64,
    pub workouts: u64,
    pub bytes: u64,
}

/// Writes a corpus into a new folder.
pub fn write(folder: &Path, options: Options) -> Result<Written> {
    let folder = std::path::absolute(folder).map_err(Error::io("find", folder))?;
    if folder.join("truth.csv").exists() {
        return Err(Error::Usage(format!("{} has a corpus in it already", folder.display())));
    }
    let numbers: Vec<u32> = (0..options.users).collect();
    let of_people: Vec<Result<(String, Written)>> =
        numbers.into_par_iter().map(|number| write_person(&folder, options, number)).collect();
    let mut truth = String::from("user,source,key,workout,class,relation\n");
    let mut written = Written::default();
    for of_person in of_people {
        let (rows, own) = of_person?;
        truth += &rows;
        written.records += own.records;
        written.workouts += own.workouts;
        written.bytes += own.bytes;
    }
    let about =
        format!("seed = {}\nusers = {}\nactivities = {}\n", options.seed, options.users, options.activities);
    local::replace(&folder.join("corpus.toml"), |out| out.write_all(about.as_bytes()))?;
    written.bytes += local::replace(&folder.join("truth.csv"), |out| out.write_all(truth.as_bytes()))?;
    Ok(written)
}

/// A person's history, day after day.
fn live(person: &Person, options: Options, number: u32) -> Diary<'_> {
    let mut diary = Diary::new(person, options.seed, number);
    let mut dice = Dice::of(options.seed, (u64::from(number) << 20) + 9);
    let scenes: Vec<_> = repeated(scenes::SCENES.iter().map(|(scene, often)| (*scene, *often)));
    let beside: Vec<_> = repeated(neighbours::NEIGHBOURS.iter().map(|scene| (*scene, scene.2)));
    while diary.workouts() < options.activities {
        diary.next_day();
        match dice.unit() {
            share if share < 0.5 => dice.pick(&scenes)(&mut diary),
            share if share < 0.68 => neighbours::play(&mut diary, dice.pick(&beside)),
            _ => {
                let (sport, seconds) = (diary.sport(), diary.usual_seconds());
                let outing = diary.outing(sport, seconds);
                diary.carry(&outing);
            }
        }
    }
    diary
}

fn repeated<T: Copy>(some: impl Iterator<Item = (T, u32)>) -> Vec<T> {
    some.flat_map(|(one, often)| std::iter::repeat_n(one, often as usize)).collect()
}

fn write_person(folder: &Path, options: Options, number: u32) -> Result<(String, Written)> {
    let person = Person::draw(options.seed, number);
    let diary = live(&person, options, number);
    let mut rows = String::new();
    let mut written = Written { workouts: u64::from(diary.workouts()), ..Written::default() };
    for (index, account) in person.accounts.iter().enumerate() {
        let own: Vec<_> = diary.kept.iter().filter(|(of, _)| *of == index).map(|(_, r)| r).collect();
        if own.is_empty() {
            continue;
        }
        let (files, keys) = write::export(account.source, number, &own);
        let source = account.source.name();
        for (name, bytes) in files {
            let path = folder.join(&person.user_id).join(source).join(name);
            written.bytes += local::replace(&path, |out| out.write_all(&bytes))?;
        }
        for (r, key) in own.iter().zip(keys) {
            let class = r.classes.iter().copied().collect::<Vec<_>>().join("|");
            written.records += 1;
            for workout in &r.workouts {
                rows += &format!("{},{source},{key},{workout},{class},{}\n", person.user_id, r.relation);
            }
        }
    }
    Ok((rows, written))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_trouble_and_every_neighbour_comes_up() {
        let options = Options { seed: 5, users: 150, activities: 60 };
        let mut seen = BTreeSet::new();
        for number in 0..options.users {
            let person = Person::draw(options.seed, number);
            seen.extend(live(&person, options, number).kept.iter().flat_map(|(_, r)| r.classes.clone()));
        }
        let wanted: BTreeSet<&str> = TROUBLES.into_iter().chain(neighbours()).collect();
        assert_eq!(seen, wanted);
    }

    #[test]
    fn the_same_seed_gives_the_same_people_and_another_gives_others() {
        let truth = |seed| {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), Options { seed, users: 3, activities: 12 }).unwrap();
            std::fs::read_to_string(folder.path().join("truth.csv")).unwrap()
        };
        assert_eq!(truth(3), truth(3));
        assert_ne!(truth(3), truth(4));
    }
}
