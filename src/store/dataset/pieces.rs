//! The files that a source's samples of one bucket and year stand in.
//!
//! The first batch of a year makes the year's file, `strava-017-2024.parquet`. Each later batch has a number, and makes a
//! piece beside it, `strava-017-2024.0017.parquet`. A batch whose number is a multiple of sixteen takes the pieces of the
//! fifteen before it along, `strava-017-2024.0001-0016.parquet`; of 256, those of the 255 before it, and so on. So a row
//! is written once for each power of sixteen that there are batches, and of each size there are at most fifteen pieces.
//!
//! A name says which batches a file holds. One that holds those of another stands in its place from the moment that it
//! is there, whether the other one was removed already or not.

use std::fmt;

use super::keys::SUFFIX;
use crate::error::Result;
use crate::store::backend::Key;
use crate::store::lake::{Bucket, Lake};

/// Pieces of one size that become one of the next.
const TOGETHER: u32 = 16;

/// Which batches of a year a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    pub year: i16,
    /// 0 is the year's file.
    first: u32,
    last: u32,
}

impl Piece {
    /// What the next batch of a year makes.
    pub fn next(year: i16, there: &[Piece]) -> Piece {
        let of_year = there.iter().filter(|piece| piece.year == year);
        let last = of_year.map(|piece| piece.last + 1).max().unwrap_or(0);
        let mut batches = 1;
        while last > 0 && last.is_multiple_of(batches * TOGETHER) {
            batches *= TOGETHER;
        }
        Piece { year, first: (last + 1).saturating_sub(batches), last }
    }

    /// Whether it stands in another one's place.
    pub fn replaces(&self, other: &Piece) -> bool {
        self != other && self.year == other.year && self.first <= other.first && other.last <= self.last
    }

    /// The source and bucket of a file, as its name has them, and the piece that it is.
    fn of_name(name: &str) -> Option<(&str, Piece)> {
        let name = name.strip_suffix(SUFFIX)?;
        let (begin, _) = name.split('.').next()?.rsplit_once('-')?;
        Some((begin, Piece::parse(&name[begin.len() + 1..])?))
    }

    fn parse(text: &str) -> Option<Piece> {
        let Some((year, batches)) = text.split_once('.') else {
            return Some(Piece { year: text.parse().ok()?, first: 0, last: 0 });
        };
        let (first, last) = batches.split_once('-').unwrap_or((batches, batches));
        Some(Piece { year: year.parse().ok()?, first: first.parse().ok()?, last: last.parse().ok()? })
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Piece { year, first, last } = self;
        match (first, last) {
            (0, _) => write!(f, "{year}"),
            (first, last) if first == last => write!(f, "{year}.{first:04}"),
            (first, last) => write!(f, "{year}.{first:04}-{last:04}"),
        }
    }
}

/// The pieces that a source has in a bucket.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    pub standing: Vec<Piece>,
    /// Those in whose place others stand: a run was killed before it removed them.
    pub left_over: Vec<Piece>,
}

impl Pieces {
    fn of(all: Vec<Piece>) -> Pieces {
        let is_replaced = |piece: &Piece| all.iter().any(|other| other.replaces(piece));
        let (left_over, standing) = all.iter().partition(|piece| is_replaced(piece));
        Pieces { standing, left_over }
    }

    pub fn list(lake: &Lake, source: &str, bucket: Bucket) -> Result<Pieces> {
        let wanted = format!("{source}-{bucket}");
        let names = lake.backend().names_from(&lake.streams_folder(), &wanted)?;
        let all = names.iter().filter_map(|name| Piece::of_name(name));
        Ok(Pieces::of(all.filter(|(begin, _)| *begin == wanted).map(|(_, piece)| piece).collect()))
    }
}

/// Whether the samples of a file stand in another of these files.
pub fn is_left_over(lake: &Lake, key: &Key, files: &[Key]) -> bool {
    let of = |key: &'_ Key| {
        let (begin, piece) = Piece::of_name(key.file_name())?;
        key.is_below(&lake.streams_folder()).then(|| (begin.to_string(), piece))
    };
    let Some((begin, piece)) = of(key) else { return false };
    files.iter().filter_map(of).any(|(other_begin, other)| other_begin == begin && other.replaces(&piece))
}

/// The files that have the samples of a source in a bucket: each record's row stands in one of them.
pub fn streams(lake: &Lake, source: &str, bucket: Bucket) -> Result<Vec<Key>> {
    let standing = Pieces::list(lake, source, bucket)?.standing;
    Ok(standing.into_iter().map(|piece| lake.streams(source, bucket, piece)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files after so many batches, and how often a batch was written on average.
    fn after(batches: u32) -> (Vec<String>, f64) {
        let (mut there, mut written) = (Vec::new(), 0);
        for _ in 0..batches {
            let next = Piece::next(2024, &there);
            there.retain(|piece| !next.replaces(piece));
            written += next.last - next.first + 1;
            there.push(next);
        }
        let names: Vec<String> = there.iter().map(Piece::to_string).collect();
        let parsed: Vec<Piece> = names.iter().map(|name| Piece::parse(name).unwrap()).collect();
        assert_eq!(parsed, there);
        (names, f64::from(written) / f64::from(batches))
    }

    #[test]
    fn pieces_become_larger_ones_and_stay_few() {
        assert_eq!(after(3).0, ["2024", "2024.0001", "2024.0002"]);
        assert_eq!(after(18).0, ["2024", "2024.0001-0016", "2024.0017"]);
        assert_eq!(after(258).0, ["2024", "2024.0001-0256", "2024.0257"]);
        for batches in [1, 40, 255, 365, 1000, 4000] {
            let (names, times) = after(batches);
            assert!(names.len() <= 46 && times < 3.0, "{batches} batches: {} files, {times}", names.len());
        }
        let most = (1..=365).map(|batches| after(batches).0.len()).max();
        assert_eq!(most, Some(31));
    }

    #[test]
    fn a_piece_replaces_those_whose_batches_it_holds_and_no_others() {
        let piece = |text: &str| Piece::parse(text).unwrap();
        let pieces = Pieces::of(
            ["2024", "2024.0001-0016", "2024.0016", "2024.0017", "2023.0002", "2024.0003"]
                .map(piece)
                .to_vec(),
        );
        assert_eq!(pieces.left_over, ["2024.0016", "2024.0003"].map(piece));
        assert_eq!(pieces.standing.len(), 4);
        assert_eq!(Piece::parse("2024.x"), None);
    }
}
