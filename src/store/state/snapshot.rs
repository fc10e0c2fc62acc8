//! What tasks on other machines need of the state database: rows of a few tables, as text, by bucket. No token is in it.
//!
//! ```text
//! {"table":"answers","row":["alice","hevy:1","strava:2","same",1700000000]}
//! ```
//!
//! A number that is not whole stands as text, so that it comes back to the bit.

use std::collections::BTreeMap;

use rusqlite::types::{Value, ValueRef};
use serde::{Deserialize, Serialize};

use super::State;
use crate::error::{Error, Result};
use crate::store::lake::{Bucket, Lake};

struct Table {
    name: &'static str,
    columns: &'static str,
    user: usize,
    /// What stands in the columns that stay at home.
    left_out: (&'static str, &'static str),
}

const TABLES: [Table; 4] = [
    Table {
        name: "answers",
        columns: "user_id, one, other, answer, answered_at_s",
        user: 0,
        left_out: ("", ""),
    },
    Table {
        name: "zones",
        columns: "user_id, source, from_day, to_day, zone, answered_at_s",
        user: 0,
        left_out: ("", ""),
    },
    Table {
        name: "uploads",
        columns: "user_id, entry, destination, destination_id, start_s, duration_s, source, external_id, uploaded_at",
        user: 0,
        left_out: ("", ""),
    },
    // Whose list is whose, and what each granted.
    Table {
        name: "accounts",
        columns: "source, account_id, user_id, scope",
        user: 2,
        left_out: (", access_token, refresh_token, expires_at_s", ", '', '', 0"),
    },
];

#[derive(Serialize, Deserialize)]
struct Line {
    table: String,
    row: Vec<Cell>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Cell {
    None,
    Whole(i64),
    Text(String),
    Real { real: String },
}

/// The rows of everybody, by bucket. Buckets without any have no entry.
pub fn take(lake: &Lake) -> Result<BTreeMap<Bucket, String>> {
    let mut buckets: BTreeMap<Bucket, String> = BTreeMap::new();
    let Some(state) = lake.state_if_there()? else { return Ok(buckets) };
    for table in &TABLES {
        state.check(read(&state, table, |user_id, line| {
            let text = buckets.entry(lake.bucket(user_id)).or_default();
            text.push_str(line);
            text.push('\n');
        }))?;
    }
    Ok(buckets)
}

fn read(state: &State, table: &Table, mut take: impl FnMut(&str, &str)) -> rusqlite::Result<()> {
    let Table { name, columns, user, .. } = table;
    let mut statement = state.db.prepare(&format!("SELECT {columns} FROM {name} ORDER BY {columns}"))?;
    let count = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let cell = |at: usize| {
            Ok::<_, rusqlite::Error>(match row.get_ref(at)? {
                ValueRef::Null => Cell::None,
                ValueRef::Integer(whole) => Cell::Whole(whole),
                ValueRef::Real(real) => Cell::Real { real: format!("{real:?}") },
                ValueRef::Text(text) | ValueRef::Blob(text) => {
                    Cell::Text(String::from_utf8_lossy(text).into())
                }
            })
        };
        let cells = (0..count).map(cell).collect::<rusqlite::Result<Vec<Cell>>>()?;
        let line = Line { table: (*name).to_string(), row: cells };
        take(&row.get::<_, String>(*user)?, &serde_json::to_string(&line).expect("it is plain"));
    }
    Ok(())
}

/// Puts such rows into a lake's state database.
pub fn give(lake: &Lake, text: &str) -> Result<()> {
    let damaged = |what: &dyn std::fmt::Display| {
        Error::Remote(format!("a run's snapshot of the state is damaged: {what}"))
    };
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>();
    let lines = lines.map_err(|e| damaged(&e))?;
    lake.state()?.write(|db| {
        for table in &TABLES {
            let Table { name, columns, left_out: (more, values), .. } = table;
            let places = vec!["?"; columns.split(',').count()].join(", ");
            let mut insert = db.prepare(&format!(
                "INSERT OR REPLACE INTO {name} ({columns}{more}) VALUES ({places}{values})"
            ))?;
            for line in lines.iter().filter(|line| line.table == *name) {
                insert.execute(rusqlite::params_from_iter(line.row.iter().map(value)))?;
            }
        }
        Ok(())
    })
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::None => Value::Null,
        Cell::Whole(whole) => Value::Integer(*whole),
        Cell::Text(text) => Value::Text(text.clone()),
        Cell::Real { real } => real.parse().map_or(Value::Null, Value::Real),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;
    use crate::store::state::accounts::{Account, Accounts, Replace};
    use crate::store::state::answers::{self, AllAnswers, Answer, Given};

    #[test]
    fn what_tasks_need_goes_along_and_no_token_does() {
        let (home, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let lake = Lake::open_or_create(home.path()).unwrap();
        let account = Account {
            source: "strava".to_string(),
            user_id: "alice".to_string(),
            account_id: "7".to_string(),
            access_token: Secret::new("acc3ss"),
            refresh_token: Secret::new("r3fresh"),
            expires_at: 1,
            scope: Some("read".to_string()),
        };
        Accounts::open_with(&lake, None).unwrap().add(&[account], Replace::Any).unwrap();
        let given = Given {
            user_id: "alice".to_string(),
            one: "hevy:1".to_string(),
            other: "strava:2".to_string(),
            answer: Some(Answer::Same),
        };
        answers::keep(&lake, &[given], jiff::Timestamp::UNIX_EPOCH).unwrap();
        let upload = "INSERT INTO uploads (user_id, entry, duration_s) VALUES ('alice', 'strava:1', 0.1)";
        lake.state().unwrap().write(|db| db.execute(upload, [])).unwrap();
        let taken = take(&lake).unwrap();
        let text = &taken[&lake.bucket("alice")];
        assert!(!text.contains("acc3ss") && !text.contains("r3fresh"), "{text}");
        let other = Lake::open_or_create(away.path()).unwrap();
        give(&other, text).unwrap();
        assert_eq!(take(&other).unwrap(), taken);
        let stored = Accounts::open_with(&other, None).unwrap().list_stored().unwrap();
        assert_eq!(stored[0].scope.as_deref(), Some("read"));
        let said = AllAnswers::read(&other).unwrap();
        assert_eq!(said.of("alice").of("strava:2", "hevy:1"), Some(Answer::Same));
    }
}
