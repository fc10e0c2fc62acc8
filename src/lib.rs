//! longrun exports athletes' whole history from Strava inside its rate limits, lands the raw
//! responses and normalizes them into Parquet.

pub mod activity;
pub mod dataset;
pub mod error;
pub mod files;
pub mod lake;
pub mod landing;
pub mod normalize;
pub mod polyline;
pub mod sources;
pub mod sport;
pub mod synth;
