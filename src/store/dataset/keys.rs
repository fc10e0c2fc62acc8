//! The names of the datasets' files. All files of a dataset lie side by side in its folder.

use super::pieces::Piece;
use crate::error::Result;
use crate::store::backend::Key;
use crate::store::lake::{Bucket, Lake};

pub(super) const SUFFIX: &str = ".parquet";

impl Lake {
    pub fn activities_folder(&self) -> Key {
        Key::new("activities")
    }

    pub fn activities(&self, source: &str, bucket: Bucket) -> Key {
        self.activities_folder().join(&format!("{source}-{bucket}{SUFFIX}"))
    }

    /// The rows as the API or the archives have them, where both do and `activities` has them together.
    pub fn origins(&self, source: &str, origin: &str, bucket: Bucket) -> Key {
        self.origins_folder().join(&format!("{source}-{origin}-{bucket}{SUFFIX}"))
    }

    fn origins_folder(&self) -> Key {
        Key::new("origins")
    }

    pub fn streams_folder(&self) -> Key {
        Key::new("streams")
    }

    pub fn streams(&self, source: &str, bucket: Bucket, piece: Piece) -> Key {
        self.streams_folder().join(&format!("{source}-{bucket}-{piece}{SUFFIX}"))
    }

    pub fn rejects_folder(&self) -> Key {
        Key::new("rejects")
    }

    pub fn rejects(&self, source: &str, bucket: Bucket) -> Key {
        self.rejects_folder().join(&format!("{source}-{bucket}{SUFFIX}"))
    }

    pub fn matches_folder(&self) -> Key {
        Key::new("matches")
    }

    pub fn matches(&self, bucket: Bucket) -> Key {
        self.matches_folder().join(&format!("{bucket}{SUFFIX}"))
    }

    pub fn golden_folder(&self) -> Key {
        Key::new("golden")
    }

    pub fn golden(&self, bucket: Bucket) -> Key {
        self.golden_folder().join(&format!("{bucket}{SUFFIX}"))
    }
}

/// The activities that a file of samples or rejects was written with.
pub fn activities_beside(lake: &Lake, key: &Key) -> Option<Key> {
    if !key.is_below(&lake.streams_folder()) && !key.is_below(&lake.rejects_folder()) {
        return None;
    }
    // `garmin-017-2024.0003.parquet` or `garmin-017.parquet`; a source may have such a stroke in its name, too.
    let stem = key.stem();
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (before, last) = stem.rsplit_once('-').filter(|(_, last)| is_number(last))?;
    let (source, bucket) =
        before.rsplit_once('-').filter(|(_, part)| is_number(part)).unwrap_or((before, last));
    Some(lake.activities(source, Bucket(bucket.parse().ok()?)))
}

/// The files of a dataset's folder, in order.
pub fn files(lake: &Lake, folder: &Key) -> Result<Vec<Key>> {
    let names = lake.backend().names(folder)?;
    Ok(names.iter().filter(|name| name.ends_with(SUFFIX)).map(|name| folder.join(name)).collect())
}

/// The files of all datasets, each with its bucket.
pub fn all_files(lake: &Lake) -> Result<Vec<(Bucket, Key)>> {
    let folders = [
        lake.activities_folder(),
        lake.origins_folder(),
        lake.streams_folder(),
        lake.rejects_folder(),
        lake.matches_folder(),
        lake.golden_folder(),
    ];
    let mut all = Vec::new();
    for folder in &folders {
        let keys = files(lake, folder)?.into_iter();
        all.extend(keys.filter_map(|key| Some((bucket_of(lake, &key)?, key))));
    }
    Ok(all)
}

/// A name ends with the bucket, or with the year after that.
fn bucket_of(lake: &Lake, key: &Key) -> Option<Bucket> {
    let activities = activities_beside(lake, key);
    let stem = activities.as_ref().unwrap_or(key).file_name().strip_suffix(SUFFIX)?;
    Some(Bucket(stem.rsplit_once('-').map_or(stem, |(_, bucket)| bucket).parse().ok()?))
}

/// The source and the bucket of a file of activities.
fn parse(name: &str) -> Option<(&str, Bucket)> {
    let (source, bucket) = name.strip_suffix(SUFFIX)?.rsplit_once('-')?;
    Some((source, Bucket(bucket.parse().ok()?)))
}

/// The buckets that have activities.
pub fn used_buckets(lake: &Lake) -> Result<Vec<Bucket>> {
    let names = lake.backend().names(&lake.activities_folder())?;
    let mut buckets: Vec<Bucket> =
        names.iter().filter_map(|name| parse(name)).map(|(_, bucket)| bucket).collect();
    buckets.sort_unstable();
    buckets.dedup();
    Ok(buckets)
}

/// The sources that a bucket has activities of, in the order of their names.
pub fn sources(lake: &Lake, bucket: Bucket) -> Result<Vec<String>> {
    let names = lake.backend().names(&lake.activities_folder())?;
    let of_bucket = names.iter().filter_map(|name| parse(name)).filter(|(_, of)| *of == bucket);
    Ok(of_bucket.map(|(source, _)| source.to_string()).collect())
}
