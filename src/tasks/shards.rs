//! Which buckets are whose.

use std::str::FromStr;

use super::plan::Planned;
use crate::store::lake::Bucket;

/// One of so many parts of a run; the first is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    pub index: u32,
    pub count: u32,
}

impl Shard {
    pub fn new(index: u32, count: u32) -> Result<Shard, String> {
        if index >= count {
            return Err(format!(
                "{index}/{count} is no shard: of {count} the first is 0, the last {}",
                count.max(1) - 1
            ));
        }
        Ok(Shard { index, count })
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let parse = || {
            let (index, count) = text.split_once('/')?;
            Some((index.trim().parse().ok()?, count.trim().parse().ok()?))
        };
        let (index, count) = parse().ok_or_else(|| format!("{text:?} is no shard, like 0/4"))?;
        Shard::new(index, count)
    }
}

/// The buckets of a shard, the largest first. Each goes to the shard that has the least so far, so whoever has the same
/// list comes to the same shards.
pub fn shard(planned: &[Planned], shard: Shard) -> Vec<Bucket> {
    let mut by_size: Vec<&Planned> = planned.iter().collect();
    by_size.sort_by_key(|planned| (std::cmp::Reverse(planned.bytes), planned.bucket));
    let mut loads = vec![(0u64, 0u32); shard.count as usize];
    let mut own = Vec::new();
    for planned in by_size {
        let least = (0..loads.len()).min_by_key(|at| loads[*at]).expect("a shard is one of some");
        loads[least].0 += planned.bytes;
        loads[least].1 += 1;
        if least == shard.index as usize {
            own.push(Bucket(planned.bucket));
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_is_in_one_shard_and_the_loads_are_even() {
        let planned: Vec<Planned> =
            (0..128).map(|bucket| Planned { bucket, bytes: 1_000_000 / u64::from(bucket + 1) }).collect();
        for count in [1, 2, 4, 7, 200] {
            let shards: Vec<Vec<Bucket>> =
                (0..count).map(|index| shard(&planned, Shard { index, count })).collect();
            let mut all: Vec<Bucket> = shards.concat();
            all.sort_unstable();
            assert_eq!(all, (0..128).map(Bucket).collect::<Vec<_>>(), "{count}");
            let load = |own: &Vec<Bucket>| own.iter().map(|b| planned[b.0 as usize].bytes).sum::<u64>();
            let (least, most) =
                (shards.iter().map(load).min().unwrap(), shards.iter().map(load).max().unwrap());
            assert!(most <= (least + 20_000).max(1_000_000), "{count}: {least} to {most}");
        }
    }

    #[test]
    fn a_bucket_with_most_of_the_data_has_a_shard_to_itself_and_the_others_are_even() {
        let mut planned: Vec<Planned> =
            (0..60).map(|bucket| Planned { bucket, bytes: 1_000 + u64::from(bucket) }).collect();
        planned[17].bytes = 10_000_000;
        let shards: Vec<Vec<Bucket>> =
            (0..4).map(|index| shard(&planned, Shard { index, count: 4 })).collect();
        assert_eq!(shards[0], [Bucket(17)]);
        let mut counts: Vec<usize> = shards[1..].iter().map(Vec::len).collect();
        counts.sort_unstable();
        assert_eq!(counts, [19, 20, 20]);
    }

    #[test]
    fn shards_are_written_as_index_and_count() {
        assert_eq!("3/4".parse(), Ok(Shard { index: 3, count: 4 }));
        for wrong in ["4/4", "0/0", "1", "a/b", "-1/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
