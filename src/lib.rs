//! longrun exports athletes' whole training history from Strava within its rate limits, adds their history from
//! other sources, turns it all into Parquet with each workout counted once, and sends the live pipeline what it
//! missed.
//!
//! ```text
//!  strava api ── fetch ──▶ LANDING ─┐
//!  (rate-limited, resumable)  raw,   ├─ normalize ─▶ ACTIVITIES, STREAMS, REJECTS ──▶ stats
//!  archives & files ── import ───────┘                           │
//!                                                              dedupe
//!                                                                ▼
//!                                                         MATCHES, GOLDEN ──▶ report
//!                                                                │
//!  the pipeline's exports ── pipeline import ─────────────▶ reconcile ─▶ redrive ──▶ live pipeline
//! ```
//!
//! Stages meet only on disk. Each reads one store and writes the next; stopping between any two, or in the middle of
//! one, is normal. After a kill at any instant, running the same command again ends in the same lake and repeats at
//! most the requests that were in flight. What is owed is computed from what has landed, so there is no cursor that
//! could disagree with it. Decisions are pure functions of plain values; time and the network come in as arguments.
//!
//! # Modules, in the order of the flow
//!
//! - [`model`]: the nouns: an activity, its columns, sports, tracks
//! - [`store`]: everything on disk: the lake, landing, archives, datasets, the state database
//! - [`sources`]: one folder or file per source: bytes to activities
//! - [`fetch`]: the API to the landing
//! - [`normalize`]: landing and archives to datasets, in parallel
//! - [`dedupe`]: which records are the same workout, and one row per workout
//! - [`fitglue`]: the live pipeline's contract and its exports: users, runs, uploads
//! - [`redrive`]: what the live pipeline lacks, and sending it
//! - [`stats`]: sums, best efforts and streaks
//! - [`report`]: the report page
//! - [`tasks`]: the stages that work on buckets, on as many machines as somebody has
//! - [`export`]: workouts as files that other tools open
//! - [`cli`]: one file per command: its flags and its summary
//! - [`http`]: the one door to the network
//! - [`numbers`]: numbers as people read them
//! - [`signals`]: how a command is asked to end
//! - [`error`]: errors, by what the reader can do about them
//! - `testing`: an emulated Strava, invented people, and how good the matching is on them; a cargo feature, on by
//!   default, that only commands, tests and benches use
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | record | one activity as one source describes it: a row of `activities` |
//! | workout | what really happened: a row of `golden`, made of one or more records |
//! | pair | two records of one person that were compared |
//! | candidate | a pair that is worth comparing |
//! | match, review, no match | the decision on a pair: one workout, a person should look, two workouts |
//! | part | a record that covers a piece of a workout |
//! | copy | the same recording, delivered twice |
//! | lake | the folder that holds all data |
//! | landing frame | one API answer, as it came |
//! | archive | what a person imported: an account export, a folder, a file |
//! | bucket | all data of some people: a stable hash of the user id, modulo the bucket count |
//! | reject | a record or field that was not taken, with the reason and the place of its bytes |
//! | owed | the live pipeline should have it and does not |
//! | routed | owed, and it is clear which of the user's pipelines takes it |
//! | held | not sent, for a reason that is printed |
//! | delivered | the sink has taken the message |
//! | unsettled | a message was sent, and nobody knows whether it arrived |
//! | gone | the source no longer has it |
//!
//! FitGlue's things keep FitGlue's names: pipeline, run, upload, destination, booster, tier, sync.

pub mod cli;
pub mod dedupe;
pub mod error;
pub mod export;
pub mod fetch;
pub mod fitglue;
pub mod http;
pub mod model;
pub mod normalize;
pub mod numbers;
pub mod redrive;
pub mod report;
pub mod signals;
pub mod sources;
pub mod stats;
pub mod store;
pub mod tasks;
#[cfg(feature = "testing")]
pub mod testing;
