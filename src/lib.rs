//! longrun exports athletes' whole history from Strava inside its rate limits, brings in what other
//! sources have of it, normalizes it all into Parquet, finds the activities that are the same workout,
//! and gives the live pipeline what it missed.
//!
//! ```text
//!  strava api ── fetch ──▶ LANDING ─┐
//!  (rate-limited, resumable)  raw,   ├─ normalize ─▶ ACTIVITIES, STREAMS, REJECTS ── stats
//!  archives & files ── import ───────┘                (Parquet by source and bucket)  (polars)
//!  (strava, garmin, fitbit, hevy, apple, health connect, fit/gpx/tcx)    │
//!                                                                      dedupe
//!                                                                        ▼
//!                                     report ◀──────────── MATCHES, GOLDEN (a row per workout)
//!                                                                        │
//!  the pipeline's own exports ── pipeline import ──▶ runs, uploads ─▶ reconcile ─▶ redrive ─▶ sink
//!  (users, runs, uploads)                                             (dry run unless --apply)
//! ```
//!
//! Stages meet only on disk. Each reads one store and writes the next; stopping between any two,
//! or in the middle of one, is normal: after a kill at any instant, running the same command
//! again ends in the same lake, and repeats at most the requests that were in flight. What is
//! owed is recomputed from what has landed, so there is no cursor that could disagree with it.
//! Decisions are pure functions of plain values; time and the network come in as arguments.
//!
//! In the order of the flow:
//!
//! - [`model`]: the nouns: an activity, its columns, sports, tracks
//! - [`store`]: where things lie: the lake, landing, archives, datasets, the state database
//! - [`sources`]: bytes of one source to activities
//! - [`fetch`]: the API to the landing
//! - [`normalize`]: landing and archives to datasets, in parallel
//! - [`dedupe`]: which activities are the same workout, and one row for each workout
//! - [`fitglue`]: what the live pipeline says of itself: users, runs, uploads
//! - [`redrive`]: what the live pipeline never saw, and giving it to it
//! - [`report`]: what people look at
//! - [`cli`]: one file per command, its flags and its summary
//! - [`http`]: the one door to the network
//! - [`error`]: errors, cut by what the reader can do about them
//! - `testing`: an emulated Strava, invented people, and how good the matching is on them; a cargo feature, on by
//!   default, that no other module but the commands over it uses

pub mod cli;
pub mod dedupe;
pub mod error;
pub mod fetch;
pub mod fitglue;
pub mod http;
pub mod model;
pub mod normalize;
pub mod redrive;
pub mod report;
pub mod sources;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
