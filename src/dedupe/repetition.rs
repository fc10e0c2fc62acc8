//! Repetitions that somebody saved one by one: many, short, of one length, with a rest between two.
//!
//! Each is a workout of its own, whatever else recorded them all in one. A recorder that died and was started again
//! leaves a few pieces of any length, and laps that a device cuts by itself have no rest between them.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::Clusters;
use crate::model::sport::{ANY_FAMILY, SNOW};

/// So many of one length are no crashes.
const FEWEST_OF_ONE_LENGTH: usize = 3;
const LONGEST_S: i64 = 15 * 60;
/// How far from the middle one they are, as a share of it.
const ONE_LENGTH: f64 = 0.15;
const SHORTEST_REST_S: i64 = 15;
/// Not every one may be told by itself.
const LONGEST_REST_S: i64 = 15 * 60;
/// Whoever presses late makes two touch.
const SLIP_S: i64 = 60;

/// The clusters that are repetitions.
#[derive(Debug, Default)]
pub struct Repetitions(BTreeSet<usize>);

/// A cluster and how long it took.
type Short = (usize, i64);
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
            if let Some(family) = family.filter(|_| (1..=LONGEST_S).contains(&placed.length_s)) {
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
                if !(SHORTEST_REST_S..=LONGEST_REST_S).contains(&rest_s) {
                    found.add(std::mem::take(&mut session));
                }
                session.push((cluster, span.1 - span.0));
                end_s = span.1;
            }
            found.add(session);
        }
        found
    }

    /// Those of one length among what was done in one session.
    fn add(&mut self, session: Vec<Short>) {
        if session.len() < FEWEST_OF_ONE_LENGTH {
            return;
        }
        let mut lengths: Vec<i64> = session.iter().map(|(_, length_s)| *length_s).collect();
        lengths.sort_unstable();
        let middle_s = lengths[lengths.len() / 2];
        let is_one = |length_s: i64| (length_s - middle_s).abs() as f64 <= ONE_LENGTH * middle_s as f64;
        let alike: Vec<usize> = session
            .into_iter()
            .filter(|(_, length_s)| is_one(*length_s))
            .map(|(cluster, _)| cluster)
            .collect();
        if alike.len() >= FEWEST_OF_ONE_LENGTH {
            self.0.extend(alike);
        }
    }

    /// Whether one of these is.
    pub fn are_among(&self, clusters: &[usize]) -> bool {
        clusters.iter().any(|cluster| self.0.contains(cluster))
    }
}
