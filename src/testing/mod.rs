//! The test doubles, usable by anyone: an emulated Strava, invented people, and how good the matching is on them.

pub mod emulator;
pub mod evaluate;
pub mod simulation;
pub mod synth;
