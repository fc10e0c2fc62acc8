//! The compared pairs: how two sources overlap, and the pairs that somebody should look at.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int32Type;
use serde::{Deserialize, Serialize};

use super::{
    Decisions, OFFSET_BINS, OFFSET_FIRST_S, OFFSET_STEP_S, Overview, Pair, Side, SourcePair, Words, clocks,
    tracks,
};
use crate::dedupe::clock::{Clock, Sighting};
use crate::dedupe::weights::COMPARISONS;
use crate::store::dataset::cells::Rows;

/// Sums over the pairs of some buckets.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Pairs {
    decisions: Decisions,
    between: BTreeMap<(String, String), Between>,
    clocks: clocks::Counting,
    /// Pairs that agree and differ alike, between the same two sources.
    patterns: Words,
    alike: Vec<Alike>,
    kept: Vec<Pair>,
    most: usize,
}

/// Of one pattern, the pairs to review, and those that somebody answered.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
struct Alike {
    review: u64,
    answered: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Between {
    figures: SourcePair,
    /// Matches by how much later `b` starts.
    offsets_s: BTreeMap<i32, u64>,
    drifts: Vec<f64>,
}

/// The sides of pairs that are still to be filled in, by user and record: which pair, and whether it is its second.
pub type Wanted = HashMap<(String, String), Vec<(usize, bool)>>;

impl Pairs {
    pub fn new(most: usize) -> Pairs {
        Pairs { most, ..Pairs::default() }
    }

    /// Counts the rows of `matches`. `reviews` is called with the user of each pair to review. Pairs that are worth a
    /// look are added to `pairs`.
    pub fn take(
        &mut self,
        rows: &Rows,
        is_wanted: &impl Fn(&str) -> bool,
        pairs: &mut Vec<Pair>,
        mut reviews: impl FnMut(&str),
    ) {
        let users = rows.words("user_id");
        let (decisions, reasons) = (rows.words("decision"), rows.words("reason"));
        let times = rows.words("time");
        let mut sightings: BTreeMap<(&str, String, String), Vec<Sighting>> = BTreeMap::new();
        for row in (0..rows.0.num_rows()).filter(|row| is_wanted(users.value(*row))) {
            let (decision, reason) = (decisions.value(row), reasons.value(row));
            self.clocks.take(rows, row);
            let counts = &mut self.decisions;
            counts.compared += 1;
            counts.matches += u64::from(decision == "match");
            counts.review += u64::from(decision == "review");
            counts.answered += u64::from(reason == "person");
            let (a, b) = (rows.text("source_a", row), rows.text("source_b", row));
            let between = self.between.entry((a.clone(), b.clone())).or_default();
            between.figures.review += u64::from(decision == "review");
            let (a_ms, b_ms) = (rows.time_ms("start_time_a", row), rows.time_ms("start_time_b", row));
            if decision == "match" {
                between.figures.matches += 1;
                let is_hidden = times.is_valid(row) && times.value(row).starts_with("day");
                let is_shifted = rows.whole("shift_s", row).unwrap_or(0) != 0;
                between.figures.hidden += u64::from(is_hidden);
                between.figures.shifted += u64::from(is_shifted);
                let ahead_s = (b_ms - a_ms).div_euclid(1000);
                if !is_hidden && !is_shifted && reason != "part" {
                    *between.offsets_s.entry(ahead_s as i32).or_insert(0) += 1;
                    sightings.entry((users.value(row), a, b)).or_default().push((a_ms / 1000, ahead_s));
                }
            }
            let (is_review, is_answered) = (decision == "review", reason == "person");
            if is_review {
                reviews(users.value(row));
            }
            // Clear decisions need no look.
            let is_close = rows.small("bits", row).abs() < CLEAR_BITS;
            if is_review || is_answered || is_close {
                let pair = pair(rows, row);
                let pattern = self.patterns.number(&pattern(&pair));
                let alike = self.alike(pattern);
                alike.review += u64::from(is_review);
                alike.answered += u64::from(is_answered);
                pairs.push(Pair { pattern, ..pair });
            }
        }
        for ((_, a, b), seen) in sightings {
            if a != b
                && let Some(drift) = Clock::new(seen).drift()
            {
                let between = self.between.entry((a, b)).or_default();
                between.figures.people_fitted += 1;
                between.drifts.extend(drift.is_sure().then_some(drift.s_per_day));
            }
        }
    }

    fn alike(&mut self, pattern: u32) -> &mut Alike {
        let at = pattern as usize;
        self.alike.resize(self.alike.len().max(at + 1), Alike::default());
        &mut self.alike[at]
    }

    /// Keeps the pairs of the bucket that was read, and returns which records they still lack.
    pub fn end_bucket(&mut self, pairs: Vec<Pair>) -> Wanted {
        self.clocks.end_bucket();
        self.kept = pairs;
        self.trim();
        let mut wanted = Wanted::new();
        for (at, pair) in self.kept.iter().enumerate() {
            for (side, is_b) in [(&pair.a, false), (&pair.b, true)] {
                wanted.entry((pair.user.clone(), side.name.clone())).or_default().push((at, is_b));
            }
        }
        wanted
    }

    /// Fills in a record of the pairs that lack it.
    pub fn fill(&mut self, wanted: &Wanted, key: &(String, String), rows: &Rows, row: usize) {
        for (at, is_b) in wanted.get(key).into_iter().flatten() {
            let pair = &mut self.kept[*at];
            let to = if *is_b { &mut pair.b } else { &mut pair.a };
            *to = side(rows, row, key.1.clone());
        }
    }

    /// Takes in those of another bucket.
    pub fn add(&mut self, other: Pairs) {
        self.decisions.add(other.decisions);
        for (sources, more) in other.between {
            self.between.entry(sources).or_default().add(more);
        }
        self.clocks.add(other.clocks);
        let patterns = self.patterns.add(other.patterns);
        for (pattern, more) in patterns.iter().zip(other.alike) {
            let alike = self.alike(*pattern);
            alike.review += more.review;
            alike.answered += more.answered;
        }
        let renamed =
            other.kept.into_iter().map(|pair| Pair { pattern: patterns[pair.pattern as usize], ..pair });
        self.kept.extend(renamed);
        // Sorted now and then.
        if self.kept.len() > 2 * self.most {
            self.trim();
        }
    }

    /// Gives up what will not be listed.
    fn trim(&mut self) {
        self.kept.sort_by(|x, y| urgency(x).cmp(&urgency(y)).then_with(|| closer(x, y)));
        self.kept.truncate(self.most);
    }

    /// Completes the overview, and returns the pairs to list, the most useful first.
    pub fn finish(mut self, overview: &mut Overview) -> Vec<Pair> {
        self.trim();
        overview.pairs = self.decisions;
        let finished = self.between.into_iter().map(|((a, b), between)| between.finish(a, b));
        overview.source_pairs = finished.filter(|pair| pair.matches + pair.review > 0).collect();
        overview.source_pairs.sort_by_key(|pair| std::cmp::Reverse(pair.matches));
        (overview.clocks, overview.answered_odds) = self.clocks.clocks();
        most_useful_first(self.kept, &self.alike)
    }
}

/// Pairs with more bits than this either way are clear.
const CLEAR_BITS: f32 = 12.0;

/// What answers teach: the comparisons with their levels, as weights are learned from them, and the two sources.
fn pattern(pair: &Pair) -> String {
    let source = |side: &Side| side.name.split(':').next().unwrap_or_default().to_string();
    let mut pattern = format!("{} {}", source(&pair.a), source(&pair.b));
    for (_, level, _) in &pair.weights {
        pattern.push(' ');
        pattern.push_str(level.as_deref().unwrap_or("-"));
    }
    pattern
}

/// Those to review come first, then those that were answered, then the closest decisions.
fn urgency(pair: &Pair) -> u8 {
    match (pair.decision.as_str(), pair.reason.as_str()) {
        (_, "person") => 1,
        ("review", _) => 0,
        _ => 2,
    }
}

fn closer(x: &Pair, y: &Pair) -> std::cmp::Ordering {
    let names = |pair: &Pair| (pair.user.clone(), pair.a.name.clone(), pair.b.name.clone());
    x.bits.abs().total_cmp(&y.bits.abs()).then_with(|| names(x).cmp(&names(y)))
}

/// Sorts the pairs to review, which come first, by what an answer teaches. That is how open the pair is (its entropy,
/// in bits) times how many pairs to review are alike, and less with each answer about such pairs: the kth makes the
/// share of matches among them surer by 1/k − 1/(k + 1).
fn most_useful_first(mut pairs: Vec<Pair>, alike: &[Alike]) -> Vec<Pair> {
    let open = pairs.partition_point(|pair| urgency(pair) == 0);
    let mut asked: HashMap<u32, u64> = HashMap::new();
    // They are sorted, so that of those alike the most open one is asked first.
    for pair in &mut pairs {
        let of = alike[pair.pattern as usize];
        (pair.alike, pair.alike_answered) = (of.review, of.answered);
        let kth = asked.entry(pair.pattern).or_insert(of.answered);
        *kth += 1;
        let k = *kth as f64;
        pair.teaches = (entropy(f64::from(pair.probability)) * of.review as f64 / (k * (k + 1.0))) as f32;
    }
    pairs[..open].sort_by(|x, y| y.teaches.total_cmp(&x.teaches).then_with(|| closer(x, y)));
    pairs
}

/// In bits: one where nobody can tell, none where it is certain.
fn entropy(probability: f64) -> f64 {
    let part = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    part(probability) + part(1.0 - probability)
}

impl Between {
    fn add(&mut self, other: Between) {
        let (to, more) = (&mut self.figures, other.figures);
        to.matches += more.matches;
        to.review += more.review;
        to.shifted += more.shifted;
        to.hidden += more.hidden;
        to.people_fitted += more.people_fitted;
        for (ahead_s, matches) in other.offsets_s {
            *self.offsets_s.entry(ahead_s).or_insert(0) += matches;
        }
        self.drifts.extend(other.drifts);
    }

    /// The middle one of the offsets.
    fn median_offset_s(&self) -> Option<i64> {
        let half = self.offsets_s.values().sum::<u64>() / 2;
        let mut before = 0;
        let mut reached = self.offsets_s.iter().filter(|(_, matches)| {
            before += **matches;
            before > half
        });
        reached.next().map(|(ahead_s, _)| i64::from(*ahead_s))
    }

    fn finish(mut self, a: String, b: String) -> SourcePair {
        let mut bins = vec![0_u64; OFFSET_BINS + 2];
        for (ahead_s, matches) in &self.offsets_s {
            let bin = (i64::from(*ahead_s) - OFFSET_FIRST_S).div_euclid(OFFSET_STEP_S) + 1;
            bins[bin.clamp(0, OFFSET_BINS as i64 + 1) as usize] += matches;
        }
        self.drifts.sort_by(f64::total_cmp);
        SourcePair {
            a,
            b,
            offsets: bins,
            median_offset_s: self.median_offset_s(),
            drift_s_per_day: self.drifts.get(self.drifts.len() / 2).copied(),
            people_with_drift: self.drifts.len() as u64,
            ..self.figures
        }
    }
}

/// What the pair's own row holds. Its two records follow when their rows are read.
fn pair(rows: &Rows, row: usize) -> Pair {
    let side = |which: &str| Side {
        name: format!(
            "{}:{}",
            rows.text(&format!("source_{which}"), row),
            rows.text(&format!("source_id_{which}"), row)
        ),
        start_ms: rows.time_ms(&format!("start_time_{which}"), row),
        ..Side::default()
    };
    let mut weights = vec![("prior".to_string(), None, rows.small("prior_bits", row))];
    for comparison in &COMPARISONS {
        let level = rows.word(comparison.name, row);
        weights.push((
            comparison.name.to_string(),
            level,
            rows.small(&format!("{}_bits", comparison.name), row),
        ));
    }
    Pair {
        user: rows.text("user_id", row),
        a: side("a"),
        b: side("b"),
        decision: rows.text("decision", row),
        reason: rows.text("reason", row),
        bits: rows.small("bits", row),
        probability: rows.small("probability", row),
        clock_s: rows.whole("clock_s", row).unwrap_or(0),
        shift_s: rows.whole("shift_s", row).unwrap_or(0),
        weights,
        ..Pair::default()
    }
}

fn side(rows: &Rows, row: usize, name: String) -> Side {
    let points = |name: &str| {
        let list = rows.list(name);
        list.is_valid(row).then(|| list.value(row)).map(|v| v.as_primitive::<Int32Type>().values().to_vec())
    };
    let track = points("track_lat_e5").zip(points("track_lon_e5"));
    Side {
        name,
        title: rows.word("title", row),
        sport: rows.word("sport", row).or_else(|| rows.word("sport_raw", row)),
        start_ms: rows.time_ms("start_time", row),
        start_quality: rows.text("start_quality", row),
        utc_offset_s: rows.whole("utc_offset_s", row),
        elapsed_s: rows.number("elapsed_s", row),
        moving_s: rows.number("moving_s", row),
        distance_m: rows.number("distance_m", row),
        heart_rate_bpm: rows.number("avg_heart_rate_bpm", row),
        calories_kcal: rows.number("calories_kcal", row),
        device: rows.word("device_name", row),
        track: track.and_then(|(lat, lon)| tracks::thinned(&lat, &lon)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_review(name: &str, pattern: u32, probability: f32) -> Pair {
        let bits = (probability / (1.0 - probability)).log2();
        let a = Side { name: name.to_string(), ..Side::default() };
        Pair { a, decision: "review".to_string(), pattern, probability, bits, ..Pair::default() }
    }

    #[test]
    fn what_many_pairs_share_is_asked_first_and_then_what_was_not_asked_yet() {
        let mut pairs: Vec<Pair> = (0..4).map(|n| to_review(&format!("many{n}"), 0, 0.5)).collect();
        pairs.push(to_review("clearer", 1, 0.9));
        pairs.push(to_review("open", 2, 0.5));
        pairs.push(to_review("answered", 3, 0.5));
        let alike = [(4, 0), (1, 0), (1, 0), (2, 9)].map(|(review, answered)| Alike { review, answered });
        let pairs = most_useful_first(pairs, &alike);
        let names: Vec<&str> = pairs.iter().map(|pair| pair.a.name.as_str()).collect();
        assert_eq!(names, ["many0", "many1", "open", "many2", "clearer", "many3", "answered"]);
        assert_eq!((pairs[0].alike, pairs[6].alike_answered), (4, 9));
    }

    #[test]
    fn an_answer_teaches_most_where_nobody_can_tell() {
        assert_eq!((entropy(0.0), entropy(0.5), entropy(1.0)), (0.0, 1.0, 0.0));
        assert!(entropy(0.9) < entropy(0.6));
    }
}
