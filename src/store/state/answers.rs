//! What people said about pairs, and about the zones of clocks: it overrides everything, and survives every run.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::LazyLock;

use arrow::array::AsArray;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::zones::{self, ZoneAnswers};
use crate::error::{Error, Result};
use crate::store::dataset;
use crate::store::lake::{Bucket, Lake};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Same,
    Different,
}

/// The two of a pair, as people write them (`strava:123`), in the order of the alphabet.
type Names = (String, String);

/// One person's answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    pairs: BTreeMap<Names, Answer>,
    pub zones: ZoneAnswers,
}

fn ordered(one: &str, other: &str) -> Names {
    if one <= other { (one.to_string(), other.to_string()) } else { (other.to_string(), one.to_string()) }
}

impl Answers {
    /// Whether nothing was said about any pair.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub fn of(&self, one: &str, other: &str) -> Option<Answer> {
        if self.pairs.is_empty() {
            return None;
        }
        self.pairs.get(&ordered(one, other)).copied()
    }

    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.keys().map(|(one, other)| (one.as_str(), other.as_str()))
    }

    pub fn add(&mut self, one: &str, other: &str, answer: Answer) {
        self.pairs.insert(ordered(one, other), answer);
    }
}

/// Everybody's, by user.
#[derive(Debug, Default)]
pub struct AllAnswers(BTreeMap<String, Answers>);

static NONE: LazyLock<Answers> = LazyLock::new(Answers::default);

impl AllAnswers {
    pub fn read(lake: &Lake) -> Result<AllAnswers> {
        let Some(state) = lake.state_if_there()? else { return Ok(AllAnswers::default()) };
        state.check(read(&state.db))
    }

    pub fn of(&self, user_id: &str) -> &Answers {
        self.0.get(user_id).unwrap_or(&NONE)
    }

    pub fn len(&self) -> u64 {
        self.0.values().map(|answers| (answers.pairs.len() + answers.zones.len()) as u64).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes when an answer about somebody of a bucket changes.
    pub fn digest(&self, lake: &Lake, bucket: Bucket) -> u64 {
        let of_bucket = self.0.iter().filter(|(user_id, _)| lake.bucket(user_id) == bucket);
        of_bucket.fold(0, |digest, (user_id, answers)| {
            XxHash64::oneshot(
                digest,
                format!("{user_id:?} {:?} {:?}", answers.pairs, answers.zones).as_bytes(),
            )
        })
    }
}

fn read(db: &Connection) -> rusqlite::Result<AllAnswers> {
    let mut all = AllAnswers::default();
    let mut statement = db.prepare("SELECT user_id, one, other, answer FROM answers")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let answer = if row.get::<_, String>(3)? == "same" { Answer::Same } else { Answer::Different };
        let answers = all.0.entry(row.get(0)?).or_default();
        answers.add(&row.get::<_, String>(1)?, &row.get::<_, String>(2)?, answer);
    }
    for (user_id, zone) in zones::read(db)? {
        all.0.entry(user_id).or_default().zones.add(zone);
    }
    Ok(all)
}

/// An answer as it is given: whose pair, which, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub user_id: String,
    pub one: String,
    pub other: String,
    /// None takes an answer back.
    pub answer: Option<Answer>,
}

/// What `same`, `different` and `forget` say. None for other words.
pub fn parse(word: &str) -> Option<Option<Answer>> {
    match word {
        "same" => Some(Some(Answer::Same)),
        "different" => Some(Some(Answer::Different)),
        "forget" => Some(None),
        _ => None,
    }
}

/// Reads a table of `user,a,b,answer`. A line that cannot be read fails the whole, so that nobody wonders
/// which half was taken.
pub fn read_file(path: &Path) -> Result<Vec<Given>> {
    let wrong = |line: u64, what: &str| Error::Usage(format!("{}, line {line}: {what}", path.display()));
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|e| Error::Usage(format!("{}: {e}", path.display())))?;
    let mut given = Vec::new();
    let head = reader.headers().map_err(|e| wrong(1, &e.to_string()))?;
    if head.iter().ne(["user", "a", "b", "answer"]) {
        return Err(wrong(1, "the columns are user,a,b,answer"));
    }
    for row in reader.records() {
        let row = row.map_err(|e| {
            wrong(e.position().map_or(0, csv::Position::line), "it has another number of cells")
        })?;
        let line = row.position().map_or(0, csv::Position::line);
        let answer = parse(&row[3])
            .ok_or_else(|| wrong(line, &format!("{:?} is no answer: same, different or forget", &row[3])))?;
        given.push(Given {
            user_id: row[0].to_string(),
            one: row[1].to_string(),
            other: row[2].to_string(),
            answer,
        });
    }
    Ok(given)
}

/// `strava:123` as a source and an id.
fn split(name: &str) -> Result<(&str, &str)> {
    let wrong = || Error::Usage(format!("{name:?} is no SOURCE:ID, like strava:123"));
    name.split_once(':').ok_or_else(wrong)
}

/// Who has an activity of that name, by user.
fn owners(lake: &Lake, names: &HashSet<&str>) -> Result<HashMap<String, HashSet<String>>> {
    let mut sources: HashMap<&str, HashSet<&str>> = HashMap::new();
    for name in names {
        let (source, id) = split(name)?;
        sources.entry(source).or_default().insert(id);
    }
    let mut owners: HashMap<String, HashSet<String>> = HashMap::new();
    for bucket in lake.buckets() {
        let there = dataset::sources(lake, bucket)?;
        for (source, ids) in sources.iter().filter(|(source, _)| there.iter().any(|name| name == *source)) {
            let key = lake.activities(source, bucket);
            for batch in dataset::read(lake, &key, Some(&["user_id", "source_id"]))? {
                let words =
                    |name: &str| batch.column_by_name(name).expect("it was asked for").as_string::<i32>();
                let (users, own) = (words("user_id"), words("source_id"));
                for row in (0..batch.num_rows()).filter(|row| ids.contains(own.value(*row))) {
                    let name = format!("{source}:{}", own.value(row));
                    owners.entry(name).or_default().insert(users.value(row).to_string());
                }
            }
        }
    }
    Ok(owners)
}

/// The one user who has both activities.
pub fn owner(lake: &Lake, one: &str, other: &str) -> Result<String> {
    let owners = owners(lake, &[one, other].into())?;
    let of = |name: &str| {
        owners.get(name).ok_or_else(|| Error::Usage(format!("there is no activity {name} in the lake")))
    };
    let mut both: Vec<&String> = of(one)?.intersection(of(other)?).collect();
    both.sort();
    match both.as_slice() {
        [user_id] => Ok((*user_id).clone()),
        [] => Err(Error::Usage(format!("{one} and {other} are of different people"))),
        many => Err(Error::Usage(format!("{} people have both; name one with --user", many.len()))),
    }
}

/// Refuses answers about what is not there, or is no pair.
pub fn check(lake: &Lake, given: &[Given]) -> Result<()> {
    let names: HashSet<&str> = given.iter().flat_map(|g| [g.one.as_str(), g.other.as_str()]).collect();
    let owners = owners(lake, &names)?;
    for g in given {
        if g.one == g.other {
            return Err(Error::Usage(format!("{} is one activity, and no pair", g.one)));
        }
        for name in [&g.one, &g.other] {
            // An answer about what is gone can still be taken back.
            if g.answer.is_some() && !owners.get(name).is_some_and(|users| users.contains(&g.user_id)) {
                return Err(Error::Usage(format!("{} has no activity {name}", g.user_id)));
            }
        }
    }
    Ok(())
}

/// Keeps answers; a later one about the same pair replaces the earlier.
pub fn keep(lake: &Lake, given: &[Given], now: Timestamp) -> Result<()> {
    lake.state()?.write(|db| {
        given.iter().try_for_each(|Given { user_id, one, other, answer }| {
            let (one, other) = ordered(one, other);
            match answer {
                Some(answer) => db.execute(
                    "INSERT OR REPLACE INTO answers VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        user_id,
                        one,
                        other,
                        if *answer == Answer::Same { "same" } else { "different" },
                        now.as_second()
                    ],
                ),
                None => db.execute(
                    "DELETE FROM answers WHERE user_id = ?1 AND one = ?2 AND other = ?3",
                    params![user_id, one, other],
                ),
            }
            .map(drop)
        })
    })
}
