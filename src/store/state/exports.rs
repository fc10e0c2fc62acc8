//! What the live pipeline's exports said: its users and their pipelines, the runs that it made of activities, and
//! what it uploaded to destinations. Rows here are plain words; what they mean is `fitglue`'s.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{State, rows};
use crate::error::Result;
use crate::store::lake::Lake;

/// One run of one pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    pub user_id: String,
    pub run_id: String,
    pub source: Option<String>,
    pub source_activity_id: Option<String>,
    pub pipeline_id: Option<String>,
    pub status: String,
    pub start_s: Option<i64>,
    pub updated_s: Option<i64>,
}

/// An activity that the pipeline uploaded, or was uploading.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UploadRow {
    pub user_id: String,
    /// The pipeline's own key: `strava:123`, `pending:1700000000`.
    pub key: String,
    /// None while the upload was pending.
    pub destination: Option<String>,
    pub destination_id: Option<String>,
    pub start_s: Option<i64>,
    pub duration_s: Option<f64>,
    pub source: Option<String>,
    pub external_id: Option<String>,
    pub uploaded_at: Option<String>,
}

/// A user, as far as an export says: what is None stays as an earlier export had it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserRow {
    pub user_id: String,
    pub tier: Option<String>,
    pub syncs_used: Option<u64>,
    /// When the export was written, unix seconds.
    pub written_s: i64,
    /// All of the user's pipelines, where the export has them with the user.
    pub pipelines: Option<Vec<PipelineRow>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineRow {
    pub user_id: String,
    pub pipeline_id: String,
    pub source: String,
    pub destinations: Vec<String>,
    pub is_disabled: bool,
    /// None where the export does not say.
    pub boosters: Option<Vec<String>>,
}

/// A row of whichever kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Row {
    Run(RunRow),
    Upload(UploadRow),
    User(UserRow),
    Pipeline(PipelineRow),
}

/// A user as the state database has it.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownUser {
    pub user_id: String,
    pub tier: Option<String>,
    pub syncs_used: u64,
    /// When the export was written that `syncs_used` is from, unix seconds.
    pub written_s: i64,
}

/// A file that was imported to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    pub file: String,
    /// Unix seconds.
    pub imported_s: i64,
    /// When the file was written, unix seconds.
    pub written_s: i64,
    pub entries: u64,
    pub runs: u64,
    /// Documents that could not be read.
    pub refused: u64,
}

/// The exports, open for reading. A lake without a state database has none.
pub struct Exports(Option<State>);

impl Exports {
    pub fn open(lake: &Lake) -> Result<Exports> {
        lake.state_if_there().map(Exports)
    }

    fn read<T: Default>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let Some(state) = &self.0 else { return Ok(T::default()) };
        state.check(read(&state.db))
    }

    /// A user's runs, in the order of their ids.
    pub fn runs_of(&self, user_id: &str) -> Result<Vec<RunRow>> {
        self.read(|db| {
            rows(
                db,
                "SELECT run_id, source, source_activity_id, pipeline_id, status, start_s, updated_s
                 FROM runs WHERE user_id = ?1 ORDER BY run_id",
                [user_id],
                |row| {
                    Ok(RunRow {
                        user_id: user_id.to_string(),
                        run_id: row.get(0)?,
                        source: row.get(1)?,
                        source_activity_id: row.get(2)?,
                        pipeline_id: row.get(3)?,
                        status: row.get(4)?,
                        start_s: row.get(5)?,
                        updated_s: row.get(6)?,
                    })
                },
            )
        })
    }

    /// Hands over every upload, by user and key.
    pub fn each_upload(&self, mut take: impl FnMut(UploadRow)) -> Result<()> {
        self.read(|db| {
            let mut statement = db.prepare(
                "SELECT user_id, entry, destination, destination_id, start_s, duration_s, source, external_id, uploaded_at
                 FROM uploads ORDER BY user_id, entry",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                take(UploadRow {
                    user_id: row.get(0)?,
                    key: row.get(1)?,
                    destination: row.get(2)?,
                    destination_id: row.get(3)?,
                    start_s: row.get(4)?,
                    duration_s: row.get(5)?,
                    source: row.get(6)?,
                    external_id: row.get(7)?,
                    uploaded_at: row.get(8)?,
                });
            }
            Ok(())
        })
    }

    pub fn users(&self) -> Result<Vec<KnownUser>> {
        self.read(|db| {
            rows(db, "SELECT user_id, tier, syncs_used, written_s FROM pipeline_users", [], |row| {
                Ok(KnownUser {
                    user_id: row.get(0)?,
                    tier: row.get(1)?,
                    syncs_used: row.get::<_, i64>(2)?.unsigned_abs(),
                    written_s: row.get(3)?,
                })
            })
        })
    }

    /// Everybody's pipelines, by user and id.
    pub fn pipelines(&self) -> Result<Vec<PipelineRow>> {
        self.read(|db| {
            let sql = "SELECT user_id, pipeline_id, source, destinations, disabled, boosters FROM pipelines
                       ORDER BY user_id, pipeline_id";
            rows(db, sql, [], |row| {
                let list = |text: String| -> Vec<String> {
                    text.split(',').filter(|name| !name.is_empty()).map(str::to_string).collect()
                };
                Ok(PipelineRow {
                    user_id: row.get(0)?,
                    pipeline_id: row.get(1)?,
                    source: row.get(2)?,
                    destinations: list(row.get(3)?),
                    is_disabled: row.get(4)?,
                    boosters: row.get::<_, Option<String>>(5)?.map(list),
                })
            })
        })
    }

    /// Every file that was imported to its end, in that order.
    pub fn imports(&self) -> Result<Vec<Import>> {
        // As earlier longruns kept them: without what was refused.
        let mut imports: Vec<Import> = self.read(|db| {
            rows(db, "SELECT taken_in_s, entries, runs FROM pipeline_exports ORDER BY rowid", [], |row| {
                let imported_s = row.get(0)?;
                let (entries, runs) =
                    (row.get::<_, i64>(1)?.unsigned_abs(), row.get::<_, i64>(2)?.unsigned_abs());
                Ok(Import { imported_s, written_s: imported_s, entries, runs, ..Import::default() })
            })
        })?;
        imports.extend(self.read(|db| {
            let mut statement = db.prepare(
                "SELECT file, imported_s, written_s, entries, runs, refused FROM export_files ORDER BY rowid",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Import {
                    file: row.get(0)?,
                    imported_s: row.get(1)?,
                    written_s: row.get(2)?,
                    entries: row.get::<_, i64>(3)?.unsigned_abs(),
                    runs: row.get::<_, i64>(4)?.unsigned_abs(),
                    refused: row.get::<_, i64>(5)?.unsigned_abs(),
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?);
        Ok(imports)
    }
}

/// The exports, open for writing.
pub struct ExportsWriter(State);

impl ExportsWriter {
    pub fn open(lake: &Lake) -> Result<ExportsWriter> {
        lake.state().map(ExportsWriter)
    }

    /// Writes some rows in one short transaction. Call it with what has been read already: other processes wait
    /// for it, and one of them may hold a token that must not be lost.
    pub fn write(&self, rows: &[Row], now_s: i64) -> Result<()> {
        self.0.write(|db| {
            rows.iter().try_for_each(|row| match row {
                Row::Run(run) => insert_run(db, run),
                Row::Upload(upload) => insert_upload(db, upload),
                Row::User(user) => insert_user(db, user, now_s),
                Row::Pipeline(pipeline) => insert_pipeline(db, pipeline),
            })
        })
    }

    /// Notes that a file was imported to its end.
    pub fn finish(&self, import: &Import) -> Result<()> {
        let number = |number: u64| number.cast_signed();
        let inserted = self.0.db.execute(
            "INSERT INTO export_files (file, imported_s, written_s, entries, runs, refused)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                import.file,
                import.imported_s,
                import.written_s,
                number(import.entries),
                number(import.runs),
                number(import.refused)
            ],
        );
        self.0.check(inserted).map(drop)
    }

    /// Rows of all kinds.
    pub fn count(&self) -> Result<u64> {
        let all = "SELECT (SELECT count(*) FROM uploads) + (SELECT count(*) FROM runs)
                   + (SELECT count(*) FROM pipeline_users) + (SELECT count(*) FROM pipelines)";
        let count = self.0.db.query_row(all, [], |row| row.get::<_, i64>(0));
        self.0.check(count).map(i64::unsigned_abs)
    }
}

fn insert_run(db: &Connection, run: &RunRow) -> rusqlite::Result<()> {
    // An older export does not take back what a newer one said.
    const UPSERT: &str = "INSERT INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT DO UPDATE SET source = excluded.source, source_activity_id = excluded.source_activity_id,
          pipeline_id = excluded.pipeline_id, status = excluded.status, start_s = excluded.start_s,
          updated_s = excluded.updated_s
        WHERE updated_s IS NULL OR excluded.updated_s IS NULL OR excluded.updated_s >= updated_s";
    db.prepare_cached(UPSERT)?
        .execute(params![
            run.user_id,
            run.run_id,
            run.source,
            run.source_activity_id,
            run.pipeline_id,
            run.status,
            run.start_s,
            run.updated_s
        ])
        .map(drop)
}

fn insert_upload(db: &Connection, upload: &UploadRow) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO uploads VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
        .execute(params![
            upload.user_id,
            upload.key,
            upload.destination,
            upload.destination_id,
            upload.start_s,
            upload.duration_s,
            upload.source,
            upload.external_id,
            upload.uploaded_at
        ])
        .map(drop)
}

fn insert_user(db: &Connection, user: &UserRow, now_s: i64) -> rusqlite::Result<()> {
    const UPSERT: &str = "INSERT INTO pipeline_users VALUES (?1, ?2, coalesce(?3, 0), ?4, ?5)
        ON CONFLICT DO UPDATE SET tier = coalesce(excluded.tier, tier), syncs_used = coalesce(?3, syncs_used),
          told_s = iif(?3 IS NULL, told_s, excluded.told_s), written_s = iif(?3 IS NULL, written_s, excluded.written_s)";
    db.prepare_cached(UPSERT)?.execute(params![
        user.user_id,
        user.tier,
        user.syncs_used.map(u64::cast_signed),
        now_s,
        user.written_s.min(now_s)
    ])?;
    let Some(pipelines) = &user.pipelines else { return Ok(()) };
    // All of them are there: one that is not is gone.
    db.prepare_cached("DELETE FROM pipelines WHERE user_id = ?1")?.execute([&user.user_id])?;
    pipelines.iter().try_for_each(|pipeline| insert_pipeline(db, pipeline))
}

fn insert_pipeline(db: &Connection, pipeline: &PipelineRow) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO pipelines VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            pipeline.user_id,
            pipeline.pipeline_id,
            pipeline.source,
            pipeline.destinations.join(","),
            pipeline.is_disabled,
            pipeline.boosters.as_ref().map(|boosters| boosters.join(","))
        ])
        .map(drop)
}
