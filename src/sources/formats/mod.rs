//! Readers of file formats, whatever source they come from.

pub mod csv;
mod decimal;
pub mod fit;
pub mod gpx;
pub mod json;
pub mod pack;
pub mod recording;
pub mod series;
pub mod tcx;
pub mod time;
pub mod xml;
pub mod zip;
