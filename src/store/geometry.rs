//! Adds geometry to a lake's files, or removes it.

use rayon::prelude::*;
use serde::Serialize;

use super::backend::Key;
use super::dataset::{self, Table};
use super::lake::Lake;
use super::local::Local;
use super::names::{Charter, write_charter};
use super::purge::lock_all;
use crate::error::Result;

/// What was done.
#[derive(Debug, Default, Serialize)]
pub struct Rewritten {
    pub files: u64,
    pub bytes: u64,
    pub bytes_before: u64,
}

/// Says in the charter what is wanted and writes the files that are there anew. Whoever calls this again after a kill has
/// it carried on.
pub fn set(lake: &Lake, wanted: bool) -> Result<Rewritten> {
    let _locks = lock_all(lake)?;
    write_charter(&Local::new(lake.root()), &Charter::new(lake.bucket_count(), wanted))?;
    let lake = Lake::open(lake.root())?;
    let of = |table: Table, folder: Key| -> Result<Vec<(Table, Key)>> {
        Ok(dataset::files(&lake, &folder)?.into_iter().map(|key| (table, key)).collect())
    };
    let files =
        [of(Table::Activities, lake.activities_folder())?, of(Table::Golden, lake.golden_folder())?].concat();
    let rewritten: Vec<Result<Rewritten>> =
        files.par_iter().map(|(table, key)| rewrite(&lake, *table, key)).collect();
    // One that cannot be read stops none of the others.
    let mut sum = Rewritten::default();
    for one in rewritten {
        let one = one?;
        sum.files += one.files;
        sum.bytes += one.bytes;
        sum.bytes_before += one.bytes_before;
    }
    Ok(sum)
}

/// Files of another longrun are left to what makes them anew.
fn rewrite(lake: &Lake, table: Table, key: &Key) -> Result<Rewritten> {
    let Some(made_from) = dataset::made_from(lake, key)? else { return Ok(Rewritten::default()) };
    if dataset::has_geometry(lake, key)? == lake.has_geometry() {
        return Ok(Rewritten::default());
    }
    let bytes_before = lake.backend().open(key)?.map_or(0, |file| file.stat.bytes);
    let rows = dataset::read(lake, key, None)?;
    let bytes = dataset::write(lake, key, table, &made_from, rows)?;
    Ok(Rewritten { files: 1, bytes, bytes_before })
}
