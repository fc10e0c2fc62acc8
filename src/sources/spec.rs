//! What is true of a source, said once in its own file, and the macro that lists the sources.

use super::OnItem;
use super::ReadFrom;
use super::formats::zip::Container;
use crate::error::Result;

/// What is true of one source. Every other part of longrun asks here and keeps no list of sources of its own.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// As it stands in paths, columns and on the command line; also the name of its column in `data/sports.csv`.
    pub name: &'static str,
    /// What can be imported, for the help.
    pub help: &'static str,
    /// The live pipeline's name of it. It has none for Garmin and calls it a file that was uploaded.
    pub fitglue: &'static str,
    pub ranks: Ranks,
    /// Whether the live pipeline uploads there, so that a record of it may be what the pipeline itself made.
    pub can_echo: bool,
    /// Whether recordings of many devices and apps come together there. Elsewhere one device records one thing at a
    /// time.
    pub gathers: bool,
    /// The key in `extra` of the app that wrote a record there, where that is said.
    pub app_key: Option<&'static str>,
    /// The canonical sport of all of its records, where it has only one.
    pub only_sport: Option<&'static str>,
    /// Whether an archive looks like one of this source.
    pub recognises: fn(&Container) -> bool,
    /// Reads an archive and hands on what is in it, in order.
    pub read: fn(&Container, &ReadFrom, OnItem<'_>) -> Result<()>,
}

impl Spec {
    /// Whether it takes over what was recorded elsewhere, as a health hub or a folder of files does. To a service where
    /// the pipeline uploads, people post themselves.
    pub fn is_hub(&self) -> bool {
        self.gathers && !self.can_echo
    }
}

/// Where a source stands among the others: the lowest is asked first. The numbers leave room for new sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranks {
    /// For what people write: title, description, gear, privacy.
    pub written: u8,
    /// For what was measured.
    pub measured: u8,
    /// For exercise sets.
    pub sets: u8,
    /// For which record of a workout the live pipeline is sent.
    pub sent: u8,
}

/// Makes the enum of sources from one line for each: its variant and the module that holds its `SPEC`.
/// An archive is offered to them in this order.
macro_rules! registry {
    ($($(#[$doc:meta])* $variant:ident => $module:ident,)+) => {
        /// Which service or app a record comes from.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Source {
            $($(#[$doc])* $variant,)+
        }

        impl Source {
            pub const ALL: [Source; [$(Source::$variant),+].len()] = [$(Source::$variant),+];

            /// What is true of this source.
            pub const fn spec(self) -> &'static Spec {
                match self {
                    $(Source::$variant => &$module::SPEC,)+
                }
            }

            /// As it stands in paths, columns and on the command line.
            pub const fn name(self) -> &'static str {
                self.spec().name
            }

            pub fn named(name: &str) -> Option<Source> {
                Source::ALL.into_iter().find(|source| source.name() == name)
            }
        }

        impl std::fmt::Display for Source {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for Source {
            type Err = String;

            fn from_str(name: &str) -> Result<Source, String> {
                Source::named(name).ok_or_else(|| {
                    let names = Source::ALL.map(Source::name).join(", ");
                    format!("{name:?} is not a source; the sources are {names}")
                })
            }
        }

        impl serde::Serialize for Source {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for Source {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Source, D::Error> {
                let name = <std::borrow::Cow<'_, str> as serde::Deserialize>::deserialize(from)?;
                name.parse().map_err(serde::de::Error::custom)
            }
        }

        impl clap::ValueEnum for Source {
            fn value_variants<'a>() -> &'a [Source] {
                &Source::ALL
            }

            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                Some(clap::builder::PossibleValue::new(self.name()).help(self.spec().help))
            }
        }
    };
}

pub(super) use registry;
