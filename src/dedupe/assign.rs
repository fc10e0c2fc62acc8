//! Who goes with whom, where everybody has one partner at most: the assignment with the greatest sum.

use std::collections::BTreeMap;

/// An edge between a left and a right one, and what it is worth; more than nothing.
pub type Edge = (usize, usize, f64);

/// Larger tangles than this take the best edges first instead.
const MOST: usize = 200;

/// The edges of an assignment of the greatest sum, in the order of `edges`. The same for any order of
/// equal edges that are sorted by their ends.
pub fn best(edges: &[Edge]) -> Vec<Edge> {
    let mut taken = Vec::new();
    for component in components(edges) {
        let rows: BTreeMap<usize, usize> = numbered(component.iter().map(|e| e.0));
        let columns: BTreeMap<usize, usize> = numbered(component.iter().map(|e| e.1));
        if let [edge] = component.as_slice() {
            taken.push(*edge);
        } else if rows.len().max(columns.len()) > MOST {
            taken.extend(greedy(component));
        } else {
            taken.extend(hungarian(&component, &rows, &columns));
        }
    }
    taken.sort_by_key(|(a, b, _)| (*a, *b));
    taken
}

fn numbered(ends: impl Iterator<Item = usize>) -> BTreeMap<usize, usize> {
    let mut numbers: BTreeMap<usize, usize> = ends.map(|end| (end, 0)).collect();
    numbers.values_mut().enumerate().for_each(|(number, slot)| *slot = number);
    numbers
}

/// Edges that hang together.
fn components(edges: &[Edge]) -> Vec<Vec<Edge>> {
    // Left ends are even and right ends odd.
    let mut parent: BTreeMap<usize, usize> = BTreeMap::new();
    fn root(parent: &mut BTreeMap<usize, usize>, of: usize) -> usize {
        let mut at = of;
        while let Some(&up) = parent.get(&at).filter(|up| **up != at) {
            at = up;
        }
        parent.insert(of, at);
        at
    }
    for (a, b, _) in edges {
        let (one, other) = (root(&mut parent, a * 2), root(&mut parent, b * 2 + 1));
        parent.insert(one.max(other), one.min(other));
    }
    let mut components: BTreeMap<usize, Vec<Edge>> = BTreeMap::new();
    for edge in edges {
        components.entry(root(&mut parent, edge.0 * 2)).or_default().push(*edge);
    }
    components.into_values().collect()
}

fn greedy(mut edges: Vec<Edge>) -> Vec<Edge> {
    edges.sort_by(|x, y| y.2.total_cmp(&x.2).then((x.0, x.1).cmp(&(y.0, y.1))));
    let (mut left, mut right) = (std::collections::HashSet::new(), std::collections::HashSet::new());
    edges.retain(|(a, b, _)| {
        let is_free = !left.contains(a) && !right.contains(b);
        if is_free {
            left.insert(*a);
            right.insert(*b);
        }
        is_free
    });
    edges
}

/// The Hungarian method with potentials, on costs that are the worth negated; to have no partner costs
/// nothing. O(n³) of the larger side.
fn hungarian(edges: &[Edge], rows: &BTreeMap<usize, usize>, columns: &BTreeMap<usize, usize>) -> Vec<Edge> {
    // Besides the real columns every row has one of its own, for having no partner.
    let (n, m) = (rows.len(), columns.len() + rows.len());
    let mut cost = vec![vec![0.0_f64; m + 1]; n + 1];
    for (a, b, worth) in edges {
        cost[rows[a] + 1][columns[b] + 1] = -worth;
    }
    let (mut of_row, mut of_column) = (vec![0.0; n + 1], vec![0.0; m + 1]);
    let mut row_of = vec![0_usize; m + 1];
    let mut way = vec![0_usize; m + 1];
    for row in 1..=n {
        row_of[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; m + 1];
        let mut is_used = vec![false; m + 1];
        while row_of[column] != 0 {
            is_used[column] = true;
            let here = row_of[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for other in 1..=m {
                if is_used[other] {
                    continue;
                }
                let reduced = cost[here][other] - of_row[here] - of_column[other];
                if reduced < least[other] {
                    least[other] = reduced;
                    way[other] = column;
                }
                if least[other] < step {
                    step = least[other];
                    next = other;
                }
            }
            for other in 0..=m {
                if is_used[other] {
                    of_row[row_of[other]] += step;
                    of_column[other] -= step;
                } else {
                    least[other] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[way[column]];
            column = way[column];
        }
    }
    edges.iter().filter(|(a, b, _)| row_of[columns[b] + 1] == rows[a] + 1).copied().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By trying everything.
    fn most(edges: &[Edge]) -> f64 {
        let Some(((a, b, worth), rest)) = edges.split_first() else { return 0.0 };
        let apart: Vec<Edge> = rest.iter().filter(|e| e.0 != *a && e.1 != *b).copied().collect();
        most(rest).max(worth + most(&apart))
    }

    proptest! {
        #[test]
        fn no_other_assignment_is_worth_more(
            edges in prop::collection::btree_map((0..5_usize, 0..5_usize), 1..100_u32, 0..12)
        ) {
            let edges: Vec<Edge> = edges.into_iter().map(|((a, b), w)| (a, b, f64::from(w))).collect();
            let taken = best(&edges);
            for (at, x) in taken.iter().enumerate() {
                prop_assert!(taken[at + 1..].iter().all(|y| x.0 != y.0 && x.1 != y.1), "{taken:?}");
            }
            let sum: f64 = taken.iter().map(|e| e.2).sum();
            prop_assert!((sum - most(&edges)).abs() < 1e-9, "{sum} of {}", most(&edges));
        }
    }

    #[test]
    fn the_first_to_come_does_not_take_what_another_needs() {
        // Greedy would take 10 and leave the other two alone.
        assert_eq!(best(&[(0, 0, 9.0), (0, 1, 10.0), (1, 1, 9.0)]), [(0, 0, 9.0), (1, 1, 9.0)]);
        let line: Vec<Edge> = (0..900).flat_map(|i| [(i, i, 5.0), (i, i + 1, 4.0)]).collect();
        assert_eq!(best(&line).len(), 900, "a tangle that is too large is solved all the same");
    }
}
