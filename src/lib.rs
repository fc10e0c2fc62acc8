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
//! - [`cli`]: one file per command, its flags and its summary
//! - [`activity`]: the noun: one activity as one source tells it
//! - [`sport`]: canonical sports, every source's names for them, and the athletes' own rules
//! - [`polyline`]: encoded polylines as integer tracks
//! - [`fetch`]: the API to the landing: accounts, plan, budget, client
//! - [`landing`]: the store of raw responses
//! - [`archives`]: the store of imported archives
//! - [`sources`]: bytes of one source to activities
//! - [`pipeline`]: what the live pipeline says of itself: users, runs, uploads
//! - [`normalize`]: landing and archives to dataset, in parallel
//! - [`dataset`]: the store of rows: columns, merge, write, read
//! - [`dedupe`]: which activities are the same workout, and one row for each workout
//! - [`redrive`]: what the live pipeline never saw, and giving it to it
//! - [`report`]: what people look at
//! - [`stats`]: sums per source, sport and year
//! - [`lake`]: where the stores lie, buckets, the state database
//! - [`files`]: the one door to the disk
//! - [`http`]: the one door to the network
//! - [`error`]: errors, cut by what the reader can do about them
//! - [`synth`]: people and their workouts from a seed, in every source's own format
//! - [`emulator`]: a Strava that behaves like Strava

pub mod activity;
pub mod archives;
pub mod cli;
pub mod dataset;
pub mod dedupe;
pub mod emulator;
pub mod error;
pub mod fetch;
pub mod files;
pub mod http;
pub mod lake;
pub mod landing;
pub mod normalize;
pub mod pipeline;
pub mod polyline;
pub mod redrive;
pub mod report;
pub mod sources;
pub mod sport;
pub mod stats;
pub mod synth;
