//! Who is being forgotten, and forgetting them in the database itself.

use rusqlite::params;

use super::{State, rows};
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

    /// Writes down which activities of Strava are to be forgotten, by user and id, before anything is.
    pub fn begin_forgetting(&self, activities: &[(String, String)]) -> Result<()> {
        self.write(|db| {
            let mut insert =
                db.prepare("INSERT OR IGNORE INTO forgetting (user_id, source_id) VALUES (?1, ?2)")?;
            activities.iter().try_for_each(|(user, id)| insert.execute(params![user, id]).map(drop))
        })
    }

    /// What is being forgotten, by user and id.
    pub fn forgetting(&self) -> Result<Vec<(String, String)>> {
        let sql = "SELECT user_id, source_id FROM forgetting ORDER BY user_id, source_id";
        self.check(rows(&self.db, sql, [], |row| Ok((row.get(0)?, row.get(1)?))))
    }

    /// Removes what is known of activities that are being forgotten, and strikes them off. What was delivered of them
    /// stays known by its number, so that nothing is ever sent twice.
    pub fn end_forgetting(&self) -> Result<usize> {
        let removed = self.write(|db| {
            let parked = db.execute(
                "DELETE FROM parked WHERE source = 'strava' AND EXISTS (SELECT 1 FROM forgetting f
                   JOIN accounts a ON a.user_id = f.user_id
                   WHERE a.account_id = parked.account_id AND f.source_id = parked.id)",
                [],
            )?;
            let answers = db.execute(
                "DELETE FROM answers WHERE EXISTS (SELECT 1 FROM forgetting f WHERE f.user_id = answers.user_id
                   AND 'strava:' || f.source_id IN (answers.one, answers.other))",
                [],
            )?;
            let struck = db.execute("DELETE FROM forgetting", [])?;
            Ok((parked + answers, struck))
        })?;
        if removed != (0, 0) {
            self.shrink()?;
        }
        Ok(removed.0)
    }

    /// Accounts of Strava that it has refused, or whose access was taken back, before this second, each with its user.
    pub fn refused_before(&self, second: i64) -> Result<Vec<(String, String)>> {
        let sql = "SELECT user_id, account_id FROM accounts WHERE source = 'strava' AND coalesce(revoked_at_s, refused_at_s) < ?1
                   ORDER BY user_id, account_id";
        self.check(rows(&self.db, sql, [second], |row| Ok((row.get(0)?, row.get(1)?))))
    }

    /// Removes accounts, with what is known of them and what people answered about their records. What was delivered
    /// stays known by its number, so that nothing is ever sent twice.
    pub fn forget_accounts(&self, accounts: &[(String, String)]) -> Result<usize> {
        if accounts.is_empty() {
            return Ok(0);
        }
        let removed = self.write(|db| {
            let mut removed = 0;
            for (user_id, account_id) in accounts {
                removed += db.execute(
                    "DELETE FROM parked WHERE source = 'strava' AND account_id = ?1",
                    params![account_id],
                )?;
                removed += db.execute(
                    "DELETE FROM answers WHERE user_id = ?1 AND (one LIKE 'strava:%' OR other LIKE 'strava:%')",
                    params![user_id],
                )?;
                removed += db.execute(
                    "DELETE FROM accounts WHERE source = 'strava' AND account_id = ?1",
                    params![account_id],
                )?;
            }
            Ok(removed)
        })?;
        self.shrink()?;
        Ok(removed)
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
        self.shrink()
    }
}
