//! Strava: what its API says, and what its account export holds.

pub mod api;
pub mod archive;
pub mod endpoints;
pub mod history;
pub mod scope;
pub mod streams;
pub mod walk;

use super::{Ranks, Spec};

/// What is true of this source.
pub const SPEC: Spec = Spec {
    name: "strava",
    help: "The account export (a zip or its folder)",
    fitglue: "SOURCE_STRAVA",
    ranks: Ranks { written: 10, measured: 30, sets: 30, sent: 10 },
    can_echo: true,
    gathers: true,
    app_key: None,
    only_sport: None,
    recognises: archive::recognises,
    read: archive::read,
};

/// As it stands in paths, columns and on the command line.
pub const SOURCE: &str = SPEC.name;
