//! Whole runs of the real binary, against the emulator, from printed seeds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod api_bodies;
mod bad_input;
mod columns;
mod consumer;
mod dedupe;
mod demo;
mod docs;
mod emulated;
mod endpoint;
mod evaluate;
mod export;
mod faults;
mod fuzz;
mod garmin;
mod geometry;
mod gone;
mod hostile;
mod imports;
mod install;
mod job;
mod kill;
mod lake;
mod leaks;
mod limits;
mod mixed;
mod observed;
mod opens;
#[cfg(feature = "pubsub")]
mod pubsub;
mod purge;
mod readers;
mod reads_only;
mod recorded;
mod redrive;
mod report_page;
mod reported_files;
mod reported_further;
mod reported_more;
mod reported_sources;
mod retention;
mod secrets;
mod service;
mod sizes;
mod soak;
mod sports;
mod stats;
mod stravalib;
mod support;
mod tasks;
mod tokens;
mod words;
mod zones;
