//! Where things lie: the lake and its stores.

pub mod archives;
pub mod dataset;
pub mod lake;
pub mod landing;
pub mod local;
pub mod state;
