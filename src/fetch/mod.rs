//! The Strava API to the landing: every account's list, activities and streams, inside the rate
//! limits, resumable at any instant.

pub mod budget;
pub mod client;
mod driver;
pub mod history;
pub mod walk;

pub use driver::*;
