//! Bytes of one source to activities: pure functions, one file per source.
//!
//! An API's bodies are read by [`strava`], one at a time, as they landed. Everything else
//! comes in archives, which [`read`] takes apart: [`formats::zip`] gives their files,
//! [`files`] recognises what a file is, and the readers in [`formats`] read what devices record.
//!
//! A new source is a file with a [`Spec`] and a line in the registry below. Its names for sports are a
//! column of `data/sports.csv`.

pub mod apple;
mod bounds;
mod check;
pub mod files;
pub mod fitbit;
pub mod formats;
pub mod garmin;
pub mod health_connect;
pub mod hevy;
mod item;
mod parallel;
mod spec;
pub mod strava;
mod units;

use crate::error::Result;
use formats::zip::Container;
use parallel::{in_parallel, records};

pub use check::check;
pub use item::{ArchiveItem, Fault, Found, OnItem, Parsed, ReadFrom};
pub use spec::{Ranks, Spec};
pub use units::{degrees_e7, degrees_e7_of_semicircles, extra};

// Files of devices come last: other exports hold some, too.
spec::registry! {
    Strava => strava,
    Garmin => garmin,
    Fitbit => fitbit,
    Hevy => hevy,
    Apple => apple,
    HealthConnect => health_connect,
    Files => files,
}

/// Reads an archive of a source.
pub fn read(source: Source, archive: &Container, from: &ReadFrom, each: OnItem<'_>) -> Result<()> {
    for (name, fault) in archive.faults() {
        each(ArchiveItem::fault("file", format!("!{name}"), fault.clone()))?;
    }
    (source.spec().read)(archive, from, each)
}

/// The source whose export this looks like.
pub fn recognise(archive: &Container) -> Option<Source> {
    Source::ALL.into_iter().find(|source| recognises(*source, archive))
}

/// Whether an archive looks like one of this source.
pub fn recognises(source: Source, archive: &Container) -> bool {
    (source.spec().recognises)(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_sources_have_the_same_name_or_rank() {
        let ranks = Source::ALL.map(|source| {
            let Ranks { written, measured, sets, sent } = source.spec().ranks;
            [written, measured, sets, sent]
        });
        for order in 0..4 {
            let different: std::collections::BTreeSet<u8> = ranks.iter().map(|ranks| ranks[order]).collect();
            assert_eq!(different.len(), Source::ALL.len(), "order {order}: {ranks:?}");
        }
        for source in Source::ALL {
            assert_eq!(source.name().parse(), Ok(source));
            assert_eq!(serde_json::to_value(source).unwrap(), source.name());
            assert!(source.spec().fitglue.starts_with("SOURCE_"));
        }
        assert!("parkrun".parse::<Source>().unwrap_err().contains("health-connect"));
    }
}
