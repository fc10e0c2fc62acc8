//! What athletes did: sums over any grouping, best efforts, streaks and Eddington numbers. Each workout counts once,
//! on the day that the athlete's own calendar said.

mod bests;
pub mod calendar;
mod days;
mod efforts;
mod load;
mod rows;
mod sheet;
mod sums;

pub use days::{eddington, streaks};
pub use efforts::efforts;
pub use load::Capacity;
pub use rows::{Counting, Filter};
pub use sheet::Sheet;
pub use sums::{Key, sums};
