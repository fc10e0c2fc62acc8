//! Repetitions that somebody saved one by one: many, short, some of them of one length, with rests between them.
//!
//! Each is a workout of its own, whatever else recorded them all in one, and so is what was saved before and after them to
//! warm up and to cool down. A recorder that died and was started again leaves a few pieces of any length, and laps that a
//! device cuts by itself have no rest between them.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::Clusters;
use crate::model::sport::{ANY_FAMILY, SNOW};

/// So many of one length are no crashes.
const FEWEST_OF_ONE_LENGTH: usize = 3;
const LONGEST_S: i64 = 15 * 60;
/// The longest of one length by the shortest.
const ONE_LENGTH: f64 = 1.35;
/// To warm up and to cool down.
const LONGEST_BESIDE_S: i64 = 30 * 60;
/// On average.
const SHORTEST_REST_S: i64 = 15;
/// Not every one may be told by itself.
const LONGEST_REST_S: i64 = 15 * 60;
/// Whoever presses late makes two touch.
const SLIP_S: i64 = 60;

/// The clusters that are repetitions.
#[derive(Debug, Default)]
pub struct Repetitions(BTreeSet<usize>);

/// A cluster, how long it took, and how long nothing was recorded before it.
type Short = (usize, i64, i64);
/// From when to when, in seconds, and a cluster.
type Spanned = ((i64, i64), usize);

impl Repetitions {
    pub fn of(clusters: &Clusters) -> Repetitions {
        let mut by_family: BTreeMap<&str, Vec<Spanned>> = BTreeMap::new();
        for (cluster, members) in clusters.members.iter().enumerate().filter(|(_, own)| !own.is_empty()) {
            let placed = &clusters.placed[clusters.typical(cluster)];
            let family =
                members.iter().filter_map(|at| clusters.records[*at].sport).map(|sport| sport.family);
            let family = family.into_iter().find(|family| ![ANY_FAMILY, SNOW].contains(family));
            if let Some(family) = family.filter(|_| (1..=LONGEST_BESIDE_S).contains(&placed.length_s)) {
                by_family.entry(family).or_default().push((placed.span(), cluster));
            }
        }
        let mut found = Repetitions::default();
        for mut own in by_family.into_values() {
            // What holds several of them ends after the first.
            own.sort_unstable_by_key(|(span, cluster)| (span.1, span.0, *cluster));
            let mut session: Vec<Short> = Vec::new();
            let mut end_s = i64::MIN;
            for (span, cluster) in own {
                let rest_s = span.0.saturating_sub(end_s);
                // The same told otherwise.
                if rest_s < -SLIP_S {
                    continue;
                }
                if rest_s > LONGEST_REST_S {
                    found.add(std::mem::take(&mut session));
                }
                session.push((cluster, span.1 - span.0, rest_s));
                end_s = span.1;
            }
            found.add(session);
        }
        found
    }

    /// What was done in one session, if enough of it is of one length.
    fn add(&mut self, session: Vec<Short>) {
        let mut lengths: Vec<i64> = session
            .iter()
            .map(|(_, length_s, _)| *length_s)
            .filter(|length_s| *length_s <= LONGEST_S)
            .collect();
        lengths.sort_unstable();
        let is_one = |ends: &[i64]| ends[ends.len() - 1] as f64 <= ONE_LENGTH * ends[0] as f64;
        let rests_s: i64 = session.iter().skip(1).map(|(_, _, rest_s)| rest_s).sum();
        if lengths.windows(FEWEST_OF_ONE_LENGTH).any(is_one)
            && rests_s >= SHORTEST_REST_S * (session.len() as i64 - 1)
        {
            self.0.extend(session.into_iter().map(|(cluster, ..)| cluster));
        }
    }

    /// Whether one of these is.
    pub fn are_among(&self, clusters: &[usize]) -> bool {
        clusters.iter().any(|cluster| self.0.contains(cluster))
    }
}
