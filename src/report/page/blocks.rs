//! The lists of a report as blocks: columns of JSON, gzipped, in base64.
//!
//! A block of columns says of every row what a list shows of it. Whatever else is known of a row lies in further
//! blocks, so many rows in each, and is unpacked when the row is opened.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use rayon::prelude::*;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::super::{Calendar, Cell, Comparison, Conflict, Overview, Pair, Person, Report, Side, Workout};

/// Rows whose details are in one block.
const CHUNK: usize = 250;
/// Lines of the map in one block, about.
const LINES: usize = 2_000;

/// What is drawn at once.
#[derive(serde::Serialize)]
pub struct Data<'a> {
    overview: &'a Overview,
    calendar: &'a Calendar,
    weights: &'a [Comparison],
    chunk: usize,
    tracks: u64,
    every: u64,
}

impl Data<'_> {
    pub fn of(report: &Report) -> Data<'_> {
        Data {
            overview: &report.overview,
            calendar: &report.calendar,
            weights: &report.weights,
            chunk: CHUNK,
            tracks: report.map.tracks,
            every: report.map.every,
        }
    }
}

/// JSON, gzipped.
pub fn pack(what: &impl Serialize) -> Vec<u8> {
    let mut packed = BufWriter::new(GzEncoder::new(Vec::new(), Compression::default()));
    serde_json::to_writer(&mut packed, what).expect("a report is plain");
    packed
        .into_inner()
        .map_err(IntoInnerError::into_error)
        .and_then(GzEncoder::finish)
        .expect("memory takes it")
}

/// Makes what lies in a block.
type Pack<'a> = Box<dyn Fn() -> Cow<'a, [u8]> + Sync + 'a>;

/// Writes all blocks as elements of the page. Few are in memory as JSON, and so many at a time packed.
pub fn all(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    const AT_ONCE: usize = 64;
    let blocks = of(report);
    for some in blocks.chunks(AT_ONCE) {
        let packed: Vec<Cow<[u8]>> = some.par_iter().map(|(_, pack)| pack()).collect();
        for ((name, _), packed) in some.iter().zip(packed) {
            let packed = STANDARD.encode(packed);
            writeln!(out, "<script type=\"application/gzip\" id=\"block-{name}\">{packed}</script>")?;
        }
    }
    Ok(())
}

/// All blocks and their names.
fn of(report: &Report) -> Vec<(String, Pack<'_>)> {
    fn block<'a, T: Serialize>(name: impl ToString, of: impl Fn() -> T + Sync + 'a) -> (String, Pack<'a>) {
        (name.to_string(), Box::new(move || pack(&of()).into()))
    }
    let mut blocks = vec![
        block(
            "names",
            || json!({ "users": report.users, "words": report.words, "field_sets": report.field_sets }),
        ),
        block("pairs", || pairs(&report.pairs)),
    ];
    let chunks = report.pairs.chunks(CHUNK).enumerate();
    blocks.extend(chunks.map(|(at, pairs)| block(format!("pairs-{at}"), move || pairs)));
    blocks.push(block("people", || people(&report.people)));
    for (at, person) in report.people.iter().enumerate() {
        blocks.push((format!("person-{at}"), Box::new(|| (&*person.page).into())));
    }
    blocks.push(block("workouts", || Workouts(&report.workouts)));
    let chunks = report.workouts.chunks(CHUNK).enumerate();
    let of_chunk = |workouts: &[Workout]| workouts.iter().map(details).collect::<Vec<Value>>();
    blocks.extend(chunks.map(|(at, rows)| block(format!("workouts-{at}"), move || of_chunk(rows))));
    let cells = &report.map.cells;
    let ranges = ranges(cells);
    for (number, range) in ranges.iter().cloned().enumerate() {
        let lines =
            move |at: usize| json!([at, column(&cells[at].lines, |line| (line.user, line.points.clone()))]);
        blocks.push(block(format!("map-{number}"), move || range.clone().map(lines).collect::<Vec<Value>>()));
    }
    blocks.push(block("map", move || {
        let of_block = |(number, range): (usize, &Range<usize>)| {
            cells[range.clone()].iter().map(move |c| place(c, number))
        };
        ranges.iter().enumerate().flat_map(of_block).collect::<Vec<Value>>()
    }));
    blocks
}

/// A column of JSON.
fn column<T, V: Serialize>(rows: &[T], of: impl Fn(&T) -> V) -> Value {
    rows.iter().map(|row| json!(of(row))).collect()
}

/// With one digit after the point: what is shown has no more.
fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn pairs(rows: &[Pair]) -> Value {
    let mut columns = json!({
        "user": column(rows, |p| p.user.clone()),
        "decision": column(rows, |p| p.decision.clone()),
        "reason": column(rows, |p| p.reason.clone()),
        "bits": column(rows, |p| tenth(f64::from(p.bits))),
    });
    for (which, is_b) in [("a", false), ("b", true)] {
        for (name, values) in [
            ("name", column(rows, |p| side(p, is_b).name.clone())),
            ("title", column(rows, |p| side(p, is_b).title.clone())),
            ("sport", column(rows, |p| side(p, is_b).sport.clone())),
            ("start_ms", column(rows, |p| side(p, is_b).start_ms)),
            ("utc_offset_s", column(rows, |p| side(p, is_b).utc_offset_s)),
        ] {
            columns[format!("{name}_{which}")] = values;
        }
    }
    columns
}

fn side(pair: &Pair, is_b: bool) -> &Side {
    if is_b { &pair.b } else { &pair.a }
}

fn people(rows: &[Person]) -> Value {
    json!({
        "user": column(rows, |p| p.user),
        "review": column(rows, |p| p.review),
        "records_count": column(rows, |p| p.records.count),
        "records_km": column(rows, |p| tenth(p.records.distance_km)),
        "records_h": column(rows, |p| tenth(p.records.time_h)),
        "workouts_count": column(rows, |p| p.workouts.count),
        "workouts_km": column(rows, |p| tenth(p.workouts.distance_km)),
        "workouts_h": column(rows, |p| tenth(p.workouts.time_h)),
    })
}

/// A column that is written as it is made: of a hundred thousand rows the whole table would be the most that is in memory.
fn written<'a, T, V: Serialize>(rows: &'a [T], of: impl Fn(&'a T) -> V) -> impl Serialize {
    Column(rows, of)
}

struct Column<'a, T, F>(&'a [T], F);

impl<'a, T, V: Serialize, F: Fn(&'a T) -> V> Serialize for Column<'a, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

struct Workouts<'a>(&'a [Workout]);

impl Serialize for Workouts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.0;
        let (mut sets, mut kinds) = (Numbers::default(), Numbers::default());
        let sources = |w: &Workout| json!(w.members.iter().map(|m| m.source).collect::<BTreeSet<u32>>());
        let sources: Vec<usize> = rows.iter().map(|w| sets.of(&sources(w))).collect();
        let mut of_conflict = |c: &Conflict| kinds.of(&json!([c.field, c.kind]));
        let kinds_of: Vec<BTreeSet<usize>> =
            rows.iter().map(|w| w.conflicts.iter().map(&mut of_conflict).collect()).collect();
        let mut before = 0;
        let since = |w: &Workout| {
            let start_s = w.start_ms.div_euclid(1000);
            start_s - std::mem::replace(&mut before, start_s)
        };
        let starts: Vec<i64> = rows.iter().map(since).collect();
        let mut columns = serializer.serialize_map(None)?;
        columns.serialize_entry("user", &written(rows, |w| w.user))?;
        columns.serialize_entry("title", &written(rows, |w| &w.title))?;
        columns.serialize_entry("sport", &written(rows, |w| w.sport))?;
        // Seconds since the start before.
        columns.serialize_entry("start_s", &starts)?;
        columns.serialize_entry("utc_offset_s", &written(rows, |w| w.utc_offset_s))?;
        columns.serialize_entry("distance_m", &written(rows, |w| w.distance_m.map(|m| m.round() as i64)))?;
        columns.serialize_entry("moving_s", &written(rows, |w| w.moving_s.map(|s| s.round() as i64)))?;
        columns.serialize_entry("ids", &written(rows, |w| written(&w.members, |m| &m.id)))?;
        columns.serialize_entry("sources", &sources)?;
        columns.serialize_entry("source_sets", &sets.all)?;
        columns.serialize_entry("conflicts", &written(rows, |w| w.conflicts.len()))?;
        columns.serialize_entry("kinds_of", &kinds_of)?;
        columns.serialize_entry("kinds", &kinds.all)?;
        columns.end()
    }
}

/// What is shown of a workout that was opened: source and role of its members, which fields each gave, conflicts.
fn details(w: &Workout) -> Value {
    json!([
        column(&w.members, |m| (m.source, m.role)),
        column(&w.lineage, |g| (g.member, g.why, g.fields)),
        column(&w.conflicts, |c| (c.field, c.kind, c.kept.clone(), c.other.clone(), c.member)),
    ])
}

/// What the map's index has of a cell: where it is, its lines, the block that these are in, and whose they are.
fn place(cell: &Cell, block: usize) -> Value {
    let users: BTreeSet<u32> = cell.lines.iter().map(|line| line.user).collect();
    json!([cell.lat_e5, cell.lon_e5, cell.lines.len(), block, users])
}

/// Cells that share a block.
fn ranges(cells: &[Cell]) -> Vec<Range<usize>> {
    let (mut ranges, mut begin, mut held) = (Vec::new(), 0, 0);
    for (at, cell) in cells.iter().enumerate() {
        held += cell.lines.len();
        if held >= LINES || at + 1 == cells.len() {
            ranges.push(begin..at + 1);
            (begin, held) = (at + 1, 0);
        }
    }
    ranges
}

/// Values by the number of their first appearance.
#[derive(Default)]
struct Numbers {
    numbers: HashMap<String, usize>,
    all: Vec<Value>,
}

impl Numbers {
    fn of(&mut self, value: &Value) -> usize {
        let next = self.all.len();
        let number = *self.numbers.entry(value.to_string()).or_insert(next);
        if number == next {
            self.all.push(value.clone());
        }
        number
    }
}
