//! What has landed, to rows: read piece by piece, and parsed on all cores.

use rayon::prelude::*;

use super::batch::{Batches, Collected};
use super::{Summary, Work};
use crate::error::Result;
use crate::model::activity::Reject;
use crate::sources::strava::endpoints::{self, Answer, Row};
use crate::sources::strava::history;
use crate::sources::strava::walk::may_tell_of_ends;
use crate::sources::{self, Fault, Source, strava};
use crate::store::dataset::MadeFrom;
use crate::store::landing::{self, Frame, Frames, Header, Unopened};

/// Lines that are parsed before the next are read.
const PIECE_BYTES: usize = 24 << 20;
/// Parsed by one core into one batch of rows. Columns have room for more rows than they get.
const GROUP_BYTES: usize = 512 << 10;

impl<P: Fn(u64) + Sync> Work<'_, P> {
    /// Takes the responses that have landed. The last of them are left in `rows`, so that archives join them.
    pub(super) fn take_landing(
        &self,
        rows: &mut Batches,
        made: &mut MadeFrom,
        summary: &mut Summary,
    ) -> Result<()> {
        let mut frames = Frames::open(self.lake, self.bucket, made.landing)?;
        loop {
            let piece = self.next_piece(&mut frames)?;
            if piece.is_damaged {
                history::distrust(self.lake, self.bucket)?;
            }
            if rows.bytes > 0 && rows.bytes + piece.rows.bytes > self.chunk_bytes {
                // A file says that it has what lies before this piece, and no more.
                self.commit(rows, made, summary)?;
            }
            made.landing = frames.position();
            rows.add(piece.rows);
            (self.progress)(piece.landed_bytes);
            if piece.is_last {
                return Ok(());
            }
        }
    }

    /// Parses some of the landing on all cores.
    fn next_piece(&self, frames: &mut Frames) -> Result<Piece> {
        let mut piece = Piece::default();
        let mut chunk = Vec::new();
        let mut line_bytes = 0;
        while line_bytes < PIECE_BYTES.min(self.chunk_bytes) {
            match frames.next().transpose()? {
                Some(landing::Piece::Frame(frame)) => {
                    line_bytes += frame.line_bytes();
                    piece.landed_bytes += frame.bytes.len() as u64;
                    chunk.push(frame);
                }
                Some(landing::Piece::Damaged { segment, offset, bytes }) => {
                    piece.landed_bytes += bytes;
                    piece.is_damaged = true;
                    let mut collected = Collected::default();
                    collected.reject(&damaged_frame(
                        format!("{segment}@{offset}"),
                        format!("{bytes} damaged bytes; what lies behind them was read"),
                    ));
                    piece.rows.add(collected.finish());
                }
                None => {
                    piece.is_last = true;
                    break;
                }
            }
        }
        let parsed: Vec<(Batches, bool)> = groups(chunk).into_par_iter().map(parse).collect();
        for (rows, is_damaged) in parsed {
            piece.is_damaged |= is_damaged;
            piece.rows.add(rows);
        }
        piece.rows.bytes = piece.rows.bytes.max(line_bytes);
        piece.rows.summary.landing_bytes += piece.landed_bytes;
        Ok(piece)
    }
}

/// Some of the landing, parsed.
#[derive(Default)]
struct Piece {
    rows: Batches,
    landed_bytes: u64,
    is_damaged: bool,
    /// Nothing lies behind it.
    is_last: bool,
}

/// A part of the landing that cannot be opened belongs to nobody that is known.
fn damaged_frame(raw_ref: String, reason: String) -> Reject {
    Reject {
        source: strava::SOURCE.to_string(),
        kind: "frame".to_string(),
        reason,
        raw_ref,
        ..Reject::default()
    }
}

fn groups(frames: Vec<Frame>) -> Vec<Vec<Frame>> {
    let mut groups = Vec::new();
    let mut group = Vec::new();
    let mut bytes = 0;
    for frame in frames {
        bytes += frame.line_bytes();
        group.push(frame);
        if bytes >= GROUP_BYTES {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
    }
    groups.push(group);
    groups
}

/// What frames hold, and whether one of them is damaged.
fn parse(frames: Vec<Frame>) -> (Batches, bool) {
    let mut is_damaged = false;
    let mut collected = Collected::again();
    let mut line = Vec::new();
    for frame in frames {
        let raw_ref = frame.place();
        collected.summary.responses += 1;
        collected.summary.json_bytes += frame.line_bytes() as u64;
        match frame.open_into(&mut line) {
            Ok((header, body)) => take(&mut collected, header, &line[body], raw_ref),
            Err(why) => {
                is_damaged |= why != Unopened::Newer;
                collected.reject(&damaged_frame(raw_ref, why.to_string()));
            }
        }
    }
    (collected.finish(), is_damaged)
}

/// Takes what a response says.
fn take(collected: &mut Collected, header: Header, body: &[u8], raw_ref: String) {
    collected.tells_of_ends |= may_tell_of_ends(&header.ask, header.status);
    if header.status != 200 {
        collected.summary.gone += 1;
        return;
    }
    let fetched_at = header.told_at();
    let from = sources::ReadFrom {
        user_id: header.user_id,
        source: Source::Strava,
        account_id: Some(header.account_id),
        fetched_at,
        raw_ref,
        zone: None,
        only_counts: false,
    };
    let Some(endpoint) = endpoints::of(&header.ask) else {
        let fault =
            Fault::record("a newer longrun asked for it; it is kept, and read by that one".to_string());
        collected.reject(&from.reject("frame", "", &fault, false));
        return;
    };
    let answer = Answer { ask: &header.ask, body };
    (endpoint.rows)(answer, &from, &mut |index, row| {
        let reject =
            |fault: &Fault, is_kept| from.reject(endpoint.kind, &format!("#{index}"), fault, is_kept);
        match row {
            Ok(Row::Activity(taken)) => collected.parsed(taken, reject),
            Ok(Row::Streams(streams, faults)) => {
                faults.iter().for_each(|fault| collected.reject(&reject(fault, true)));
                collected.streams(*streams);
            }
            Err(fault) => collected.reject(&reject(&fault, false)),
        }
    });
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::normalize::room::Room;
    use crate::normalize::{Annotations, Stored, Work};
    use crate::sources::Source;
    use crate::store::dataset;
    use crate::store::lake::Lake;
    use crate::testing::synth::{Options, bulk};

    /// Normalizes a bucket, writing after each response, until `pieces` of them were taken.
    fn normalize(lake: &Lake, pieces: usize) -> bool {
        let bucket = lake.buckets().find(|b| !Stored::of(lake, *b).unwrap().segments.is_empty()).unwrap();
        let taken = AtomicUsize::new(0);
        let progress = |_| assert!(taken.fetch_add(1, Ordering::Relaxed) < pieces, "killed");
        let (annotations, room) = (Annotations::default(), Room::new(1));
        let source = Source::Strava;
        let work = Work {
            lake,
            bucket,
            source,
            annotations: &annotations,
            room: &room,
            chunk_bytes: 1,
            progress: &progress,
        };
        let ended = catch_unwind(AssertUnwindSafe(|| work.run(&Stored::of(lake, bucket).unwrap()).unwrap()));
        assert_eq!(ended.is_ok(), pieces == usize::MAX);
        let key = lake.activities(source.name(), bucket);
        dataset::row_count(lake, &key).unwrap() == 1000
    }

    #[test]
    fn a_run_killed_between_the_pieces_of_a_bucket_loses_nothing_of_it() {
        for pieces in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let lake = Lake::open_or_create(dir.path()).unwrap();
            bulk::land(&lake, Options { seed: 1, users: 1, activities: 1000 }).unwrap();
            assert!(!normalize(&lake, pieces));
            assert!(normalize(&lake, usize::MAX), "killed after {pieces} pieces");
        }
    }
}
