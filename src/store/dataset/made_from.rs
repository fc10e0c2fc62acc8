//! What a file of a dataset says it was made from, in its own metadata: so rows and progress commit together.

use std::collections::BTreeMap;

use parquet::file::metadata::{KeyValue, ParquetMetaData};
use serde::{Deserialize, Serialize};

use super::metadata;
use crate::error::Result;
use crate::model::activity::SCHEMA_VERSION;
use crate::store::backend::Key;
use crate::store::lake::Lake;
use crate::store::landing::{self, Position};

/// What a file was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeFrom {
    /// The landing was read up to here.
    pub landing: Position,
    pub archives: ArchivesRead,
    /// Where the rows came from.
    pub origins: Origins,
    /// A digest of the rules and uploads that the rows were marked with.
    pub annotations: u64,
    /// A digest of the files that it was made from, where it was made from other datasets.
    pub datasets: u64,
}

/// Which imported archives were read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivesRead {
    /// All imports below this number, but for those in `left_in_place`.
    pub below: u32,
    /// Of the archives that were left where they are, by number, the state in which each was read; null where it was
    /// out of reach.
    pub left_in_place: BTreeMap<u32, Option<FileState>>,
}

/// What tells whether a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    pub bytes: u64,
    /// When it was last changed, in unix milliseconds.
    pub modified_ms: i64,
}

/// Where the rows of a file came from: the API, archives, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origins {
    pub api: bool,
    pub archive: bool,
}

const LANDING_KEY: &str = "longrun.landing";
const ARCHIVES_KEY: &str = "longrun.archives";
const ORIGINS_KEY: &str = "longrun.origins";
const ANNOTATIONS_KEY: &str = "longrun.annotations";
const DATASETS_KEY: &str = "longrun.datasets";
const SCHEMA_KEY: &str = "longrun.schema_version";
/// A longrun that reads newer frames reads the landing anew for them.
const FRAMES_KEY: &str = "longrun.frame_version";

impl MadeFrom {
    /// Whether something came since, or is marked anew.
    pub fn is_further_than(&self, before: &MadeFrom) -> bool {
        let MadeFrom { landing, archives, annotations, .. } = self;
        (landing, archives, annotations) != (&before.landing, &before.archives, &before.annotations)
    }

    pub(super) fn metadata(&self) -> Vec<KeyValue> {
        let entry = |key: &str, value: String| KeyValue::new(key.to_string(), value);
        vec![
            entry(SCHEMA_KEY, SCHEMA_VERSION.to_string()),
            entry(FRAMES_KEY, landing::VERSION.to_string()),
            entry(LANDING_KEY, self.landing.to_string()),
            entry(ARCHIVES_KEY, serde_json::to_string(&self.archives).expect("it is plain")),
            entry(ORIGINS_KEY, self.origins.number().to_string()),
            entry(ANNOTATIONS_KEY, self.annotations.to_string()),
            entry(DATASETS_KEY, self.datasets.to_string()),
        ]
    }

    /// None where the file is of another schema.
    pub(super) fn of(metadata: &ParquetMetaData) -> Option<MadeFrom> {
        MadeFrom::read(metadata.file_metadata().key_value_metadata()?)
    }

    fn read(entries: &[KeyValue]) -> Option<MadeFrom> {
        let value = |key: &str| entries.iter().find(|entry| entry.key == key)?.value.as_deref();
        let number = |key: &str| -> Option<u64> { value(key)?.parse().ok() };
        if number(SCHEMA_KEY)? != SCHEMA_VERSION as u64 || number(FRAMES_KEY)? != u64::from(landing::VERSION)
        {
            return None;
        }
        Some(MadeFrom {
            landing: value(LANDING_KEY)?.parse().ok()?,
            archives: serde_json::from_str(value(ARCHIVES_KEY)?).ok()?,
            origins: Origins::of_number(number(ORIGINS_KEY)?),
            annotations: number(ANNOTATIONS_KEY)?,
            datasets: number(DATASETS_KEY)?,
        })
    }
}

impl Origins {
    fn number(self) -> u64 {
        u64::from(self.api) | u64::from(self.archive) << 1
    }

    fn of_number(number: u64) -> Origins {
        Origins { api: number & 1 == 1, archive: number & 2 == 2 }
    }

    pub fn are_both(self) -> bool {
        self.api && self.archive
    }
}

/// What a file says it was made from; None where there is no file, or one of another schema, whose rows are made anew.
pub fn made_from(lake: &Lake, key: &Key) -> Result<Option<MadeFrom>> {
    let Some(metadata) = metadata(lake, key)? else { return Ok(None) };
    Ok(MadeFrom::of(metadata.metadata()))
}
