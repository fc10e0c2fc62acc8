//! Messages of the live pipeline's format.

mod builder;
pub mod originals;
pub mod payload;
pub mod samples;

pub use builder::*;
