//! longrun exports athletes' whole history from Strava inside its rate limits, lands the raw
//! responses and normalizes them into Parquet.

pub mod activity;
pub mod cli;
pub mod dataset;
pub mod emulator;
pub mod error;
pub mod fetch;
pub mod files;
pub mod lake;
pub mod landing;
pub mod normalize;
pub mod polyline;
pub mod sources;
pub mod sport;
pub mod stats;
pub mod synth;
