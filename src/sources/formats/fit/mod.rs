//! FIT files, as Garmin, Wahoo, COROS, Strava's own app and most other devices write them.
//!
//! A decoder that keeps what it could read: a broken tail, a wrong checksum or a header that
//! lies about the length cost what lies behind them and nothing before. One file may hold many
//! activities (several sessions, or several files in a chain), or none at all, settings and
//! monitoring for instance; and a recorder that died leaves samples without a session.
//!
//! Numbers of messages and fields are those of the public FIT profile. `decode` reads messages,
//! `part` gathers those of one file of a chain, `record` reads samples, `session` the sums,
//! and `legs` puts them together. `write` makes files, for whoever wants a workout as one.

mod decode;
mod developer;
mod heart_rates;
mod legs;
mod names;
mod part;
mod record;
mod session;
pub mod write;

use jiff::Timestamp;

use super::recording::Recording;
use crate::sources::Fault;
use part::Part;

pub use decode::crc;
pub use names::{numbers_of_sport, sport as sport_name};

/// 1989-12-31T00:00:00Z in unix seconds, where FIT counts from.
const EPOCH_S: i64 = 631_065_600;
/// Smaller values count from the device's own start, not from the epoch.
const FIRST_ABSOLUTE: i64 = 0x1000_0000;
/// What `file_id.type` says of a recorded activity.
pub const FILE_TYPE_ACTIVITY: i64 = 4;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Fit {
    pub recordings: Vec<Recording>,
    /// Parts of the chain that are settings, monitoring and the like.
    pub not_activities: usize,
    /// Why parts of the chain, beside the recordings, could not be read.
    pub faults: Vec<Fault>,
}

/// Whether the bytes begin as a FIT file does.
pub fn is_fit(bytes: &[u8]) -> bool {
    bytes.len() >= 12 && &bytes[8..12] == b".FIT"
}

/// Decodes a file, or several in a chain.
pub fn read(bytes: &[u8]) -> Result<Fit, Fault> {
    if !is_fit(bytes) {
        return Err(Fault::record(match bytes.len() {
            0 => "an empty file".to_string(),
            n if n < 12 => format!("a FIT header has 12 bytes, the file has {n}"),
            _ => "no FIT header".to_string(),
        }));
    }
    let mut fit = Fit::default();
    let mut faults = Vec::new();
    let mut rest = bytes;
    while is_fit(rest) {
        let mut part = Part::default();
        let read = part.read(rest);
        let is_damaged = part.partial.is_some();
        match part.file_type {
            Some(FILE_TYPE_ACTIVITY) | None => match part.into_recordings() {
                Ok(recordings) => fit.recordings.extend(recordings),
                Err(fault) => faults.push((fault, is_damaged)),
            },
            Some(_) => fit.not_activities += 1,
        }
        rest = &rest[read..];
    }
    if let [(only, _)] = faults.as_slice()
        && fit.recordings.is_empty()
        && fit.not_activities == 0
    {
        return Err(only.clone());
    }
    // A sound part without a workout, such as the heart rates of a strap, belongs to the one beside it.
    faults.retain(|(_, is_damaged)| *is_damaged || fit.recordings.is_empty());
    fit.faults = faults.into_iter().map(|(fault, _)| fault).collect();
    Ok(fit)
}

/// Times have 32 bits, whatever a file says of its fields.
fn is_time(fit_s: i64) -> bool {
    u32::try_from(fit_s).is_ok()
}

fn time(fit_s: i64) -> Timestamp {
    Timestamp::from_second(fit_s + EPOCH_S).unwrap_or_default()
}
