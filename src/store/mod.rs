//! Where things lie. Everything that a lake keeps goes through one [`backend`]: keys above it, paths below.
//!
//! ```text
//! backend        what a lake is kept on: a few operations on named objects
//! place          what `--lake` names
//! local          a folder of this machine as a backend, and the one door to its disk
//! turn           conditional puts in a folder, one at a time; a process that stalls is passed
//! object         a bucket of an object store as a backend (feature `cloud`)
//! lake           the layout, and which bucket a user falls in
//! names          what is called what in it
//! landing        the API's answers, as they came        archives   what was imported
//! dataset        rows in Parquet                        state      what cannot be made anew, in SQLite
//! mirror         a lake copied to another place        each       work on many things at once
//! migrate        older formats                         purge      forgetting a person
//! rebucket       another number of buckets             geometry   tracks as lines, or not
//! hashing        the hash of what is written           forgotten  who was, so that no copy brings them back
//! ```

pub mod archives;
pub mod backend;
#[cfg(test)]
mod contract;
pub mod dataset;
pub mod each;
pub mod forgotten;
pub mod geometry;
pub mod hashing;
pub mod lake;
pub mod landing;
pub mod local;
mod migrate;
pub mod mirror;
pub mod names;
#[cfg(feature = "cloud")]
pub mod object;
pub mod place;
pub mod purge;
pub mod rebucket;
pub mod state;
mod turn;
