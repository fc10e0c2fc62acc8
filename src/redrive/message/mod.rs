//! Messages of the live pipeline's format: `builder` makes one of a record, [`payload`] writes its bytes.

mod builder;
mod json;
pub mod originals;
pub mod payload;
pub mod samples;

pub use builder::*;
