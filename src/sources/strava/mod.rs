//! Strava: what its API says, and what its account export holds.

pub mod api;
pub mod archive;

/// As it stands in paths, columns and on the command line.
pub const SOURCE: &str = "strava";
