//! Bytes of one source to activities: pure functions, one file per source.
//!
//! An API's bodies are read by [`strava`], one at a time, as they landed. Everything else
//! comes in archives, which [`read`] takes apart: [`formats::zip`] gives their files,
//! [`files`] recognises what a file is, and the readers in [`formats`] read what devices record.
//!
//! A new source is a file with a [`Spec`] and a line in the registry below. Its names for sports are a
//! column of `data/sports.csv`.

pub mod apple;
pub mod bounds;
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
pub use item::{ArchiveItem, Fault, Found, Gone, OnItem, Parsed, ReadFrom};
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

    /// A source as somebody would add it: this module would be its file.
    mod toy {
        use super::super::*;

        pub const SPEC: Spec = Spec {
            name: "toy",
            help: "Starts of walks, a line each",
            fitglue: "SOURCE_FILE_UPLOAD",
            ranks: Ranks { written: 80, measured: 80, sets: 80, sent: 80 },
            can_echo: false,
            gathers: true,
            app_key: None,
            only_sport: Some("walk"),
            recognises: |archive| archive.ending(".toy").next().is_some(),
            read,
        };

        fn read(archive: &Container, from: &ReadFrom, each: OnItem<'_>) -> Result<()> {
            for entry in archive.ending(".toy") {
                let at = format!("!{}", entry.name);
                let walk = archive.read(entry).map(|bytes| {
                    let mut activity = from.activity(&at);
                    activity.source_id = String::from_utf8_lossy(&bytes).trim().to_string();
                    Parsed { activity, ..Parsed::default() }
                });
                each(ArchiveItem::of("file", at, walk))?;
            }
            Ok(())
        }
    }

    /// And this its line.
    mod with_toy {
        use super::super::{Spec, files, spec};
        use super::toy;

        spec::registry! {
            Toy => toy,
            Files => files,
        }
    }

    #[test]
    fn a_source_is_a_file_with_a_spec_and_a_line_of_the_registry() {
        use clap::ValueEnum;
        let toy: with_toy::Source = "toy".parse().unwrap();
        assert_eq!((toy, toy.to_string()), (with_toy::Source::Toy, "toy".to_string()));
        assert_eq!(with_toy::Source::value_variants().len(), 2);
        let help = toy.to_possible_value().unwrap();
        assert_eq!(help.get_help().unwrap().to_string(), "Starts of walks, a line each");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toy");
        std::fs::write(&file, "walk-7\n").unwrap();
        let archive = Container::open(&file, "a.toy", folder.path()).unwrap();
        let known = with_toy::Source::ALL.into_iter().find(|source| (source.spec().recognises)(&archive));
        assert_eq!(known, Some(toy));
        let from = ReadFrom {
            user_id: "u".to_string(),
            source: Source::Files,
            account_id: None,
            fetched_at: jiff::Timestamp::UNIX_EPOCH,
            raw_ref: "r".to_string(),
            zone: None,
            only_counts: false,
        };
        let mut ids = Vec::new();
        (toy.spec().read)(&archive, &from, &mut |item| {
            if let Found::Activity(parsed) = item.found {
                ids.push(parsed.activity.source_id);
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(ids, ["walk-7"]);
    }

    #[test]
    fn no_other_module_keeps_a_list_of_sources() {
        let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for entry in walkdir::WalkDir::new(&src) {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(&src).unwrap().to_string_lossy().into_owned();
            // Invented people's exports are made source by source.
            let is_apart =
                ["sources/", "testing/", "cli/demo.rs"].iter().any(|apart| name.starts_with(apart));
            if is_apart || !name.ends_with(".rs") {
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).unwrap();
            // Examples in tests may be of any source.
            let text = text.split("#[cfg(test)]").next().unwrap();
            let named = |source: &&Source| text.contains(&format!("Source::{source:?}"));
            let all: Vec<Source> = Source::ALL.iter().filter(named).copied().collect();
            assert!(all.len() <= 2, "{name} names {all:?}: what is true of a source stands in its SPEC");
        }
    }
}
