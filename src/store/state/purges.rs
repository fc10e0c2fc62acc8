//! Who is being forgotten, and forgetting them in the database itself.

use rusqlite::params;

use super::State;
use crate::error::Result;

impl State {
    /// Writes down who is to be forgotten, before anything is.
    pub fn begin_purge(&self, users: &[String]) -> Result<()> {
        self.write(|db| {
            users.iter().try_for_each(|user| {
                db.execute("INSERT OR IGNORE INTO purges (user_id) VALUES (?1)", params![user]).map(drop)
            })
        })
    }

    pub fn pending_purges(&self) -> Result<Vec<String>> {
        let mut statement = self.check(self.db.prepare("SELECT user_id FROM purges ORDER BY user_id"))?;
        let rows = statement.query_map([], |row| row.get(0)).and_then(Iterator::collect);
        self.check(rows)
    }

    /// Removes every row that names a user, whatever table it is in. Returns how many there were.
    pub fn forget(&self, user_id: &str) -> Result<usize> {
        self.write(|db| {
            let mut rows = db.execute(
                "DELETE FROM parked WHERE account_id IN (SELECT account_id FROM accounts WHERE user_id = ?1)",
                params![user_id],
            )?;
            let tables: Vec<String> = db
                .prepare(
                    "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'user_id'
                     WHERE m.type = 'table' AND m.name <> 'purges'",
                )?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for table in tables {
                rows += db.execute(&format!("DELETE FROM {table} WHERE user_id = ?1"), params![user_id])?;
            }
            Ok(rows)
        })
    }

    /// Strikes off who was forgotten, and frees the pages that their rows stood in.
    pub fn end_purge(&self, user_id: &str) -> Result<()> {
        self.check(self.db.execute("DELETE FROM purges WHERE user_id = ?1", params![user_id]))?;
        self.check(self.db.execute_batch("VACUUM"))
    }
}
