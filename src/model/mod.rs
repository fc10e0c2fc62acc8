//! The nouns: what an activity is, its columns, sports and tracks. Nothing here reads or writes.

pub mod activity;
pub mod columns;
pub mod golden;
pub mod pair;
pub mod polyline;
pub mod sport;
