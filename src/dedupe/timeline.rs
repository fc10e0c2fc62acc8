//! Where each record truly lies in time: the zone of a person's days and the clock of each device.
//!
//! Some sources write local time and call it UTC, some devices are hours or minutes off for a week, some
//! stamp the end as the start. What is off holds for a stretch of days, so it is found from the stretch:
//! for each channel (a device of a source) a path through time is sought along which its records agree best
//! with all others. Staying is free and changing costs, so a single pair never gets a shift that the days
//! around it contradict, and a stretch of some records always pays for its own.
//!
//! What a record can be shifted by:
//! nothing; the offset of that day, as the person's other records tell it (which follows trips and daylight
//! saving by itself), or twice as much, where it was taken off in the wrong direction; one fixed amount that
//! records without a partner agree on; its own length, where ends are stamped as starts.

use std::collections::BTreeMap;

use super::agreement::{LONGEST_OVERLAP_S, PARTNER_BITS, agreement};
use super::copies::Copies;
use super::placed::{Placed, Why};
use super::record::{Quality, Record};
use super::relation::{self, DAY_S};
use super::rollover;
use super::twins;
use super::zones::{self, Zones};
use crate::sources::Source;
use crate::store::state::zones::ZoneAnswers;

/// What a channel can be shifted by at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Told,
    LocalTime,
    /// Its zone was taken off in the wrong direction.
    Backwards,
    EndForStart,
    By(i64),
    /// Its starts are ends, and its clock is off as well.
    EndBy(i64),
}

impl State {
    fn shift_s(self, record: &Record, placed: &Placed) -> Option<i64> {
        match self {
            State::Told => Some(0),
            State::LocalTime => placed.offset_s.map(|offset_s| -offset_s),
            State::Backwards => placed.offset_s.map(|offset_s| -2 * offset_s),
            State::EndForStart => (placed.length_s > 0).then_some(-placed.length_s),
            State::By(shift_s) => Some(shift_s),
            State::EndBy(shift_s) => (placed.length_s > 0).then_some(shift_s - placed.length_s),
        }
        .filter(|_| record.quality != Quality::Hidden)
    }

    fn why(self) -> Why {
        match self {
            State::Told => Why::Told,
            State::LocalTime | State::Backwards => Why::LocalTime,
            State::EndForStart => Why::EndForStart,
            State::By(_) | State::EndBy(_) => Why::Clock,
        }
    }

    /// What it costs to begin in it, in bits.
    fn cost(self, is_local: bool) -> f64 {
        match (self, is_local) {
            (State::Told, false) | (State::LocalTime, true) => 0.0,
            (State::Told, true) => 1.0,
            (State::LocalTime, false) => 5.0,
            (State::Backwards, false) => 6.0,
            (State::By(_), true) => 4.0,
            (State::EndBy(_), _) => CHANGE_BITS + 2.0,
            _ => CHANGE_BITS,
        }
    }
}

/// What it costs to change the clock. Coming and going, a single record would have to pay for it twice.
const CHANGE_BITS: f64 = 7.5;
/// What begins within this after the one before is of one session with it.
const SESSION_S: i64 = 5_400;
/// A clock is off by any time, but what lies a day apart is the same again on the next day.
const FURTHEST_OFF_S: i64 = 22 * 3600;
/// So many records must agree on an amount, and on one by which ends are off that stand for starts.
const FEWEST_VOTES: usize = 2;
const FEWEST_ENDS: usize = 3;
const LEAST_OFF_OF_ENDS_S: i64 = 330;
/// Amounts that are tried for one channel.
const MOST_AMOUNTS: usize = 48;
/// Records of others that one is held against at a time.
const MOST_NEAR: usize = 24;

/// Places one person's records, which are sorted by start. What people said of a clock holds, and is what others are
/// held against first.
pub fn place(records: &[Record], answers: &ZoneAnswers) -> Vec<Placed> {
    let zones = Zones::of(records, answers);
    let mut placed: Vec<Placed> = records.iter().map(|r| Placed::as_told(r, &zones)).collect();
    let answered = follow(records, answers, &mut placed);
    let copies = Copies::of(records);
    let all = channels(records, &placed);
    if all.len() < 2 && answered.is_empty() {
        local_times(records, &all, &mut placed);
        twins::bring_together(records, &copies, &mut placed);
        return placed;
    }
    rollover::set_right(records, &copies, &mut placed);
    let is_told = |own: &&Channel| !is_local(records, own);
    // Whoever knows its zone is held against by those that do not, and is asked last.
    let mut on_line: Vec<&Channel> = [&answered].into_iter().chain(all.iter().filter(is_told)).collect();
    let mut line = Line::of(&on_line, &placed);
    for may_be_off in [false, true] {
        for own in all.iter().rev() {
            let has_moved =
                settle(Ground { records, copies: &copies, line: &line }, own, may_be_off, &mut placed);
            let is_new = is_local(records, own) && !may_be_off;
            if is_new {
                on_line.push(own);
            }
            if is_new || has_moved {
                line = Line::of(&on_line, &placed);
            }
        }
    }
    put_back(Ground { records, copies: &copies, line: &line }, &mut placed);
    twins::bring_together(records, &copies, &mut placed);
    let line = Line::of(&on_line, &placed);
    for own in &on_line {
        mark_settled(Ground { records, copies: &copies, line: &line }, own, &mut placed);
    }
    placed
}

/// Puts records where somebody said their clocks were; which.
fn follow(records: &[Record], answers: &ZoneAnswers, placed: &mut [Placed]) -> Channel {
    let mut answered = Channel::new();
    for (at, record) in records.iter().enumerate() {
        if let Some((start_s, offset_s)) = zones::answered(record, answers) {
            placed[at].start_s = start_s;
            placed[at].offset_s = Some(offset_s);
            placed[at].why = Why::Answered;
            answered.push(at);
        }
    }
    answered
}

/// Records of one clock, by their places: those of one device of a source, or of one app that writes into a hub. What
/// people typed in has none.
type Channel = Vec<usize>;

/// The most trusted first: those that say when and where they were.
fn channels(records: &[Record], placed: &[Placed]) -> Vec<Channel> {
    const FEWEST: usize = 4;
    let mut by_device: BTreeMap<(Source, Option<u64>, Option<u64>), Channel> = BTreeMap::new();
    let is_open = |at: usize| !placed[at].is_by_hand && placed[at].why != Why::Answered;
    for (at, record) in records.iter().enumerate().filter(|(at, _)| is_open(*at)) {
        by_device.entry((record.source, record.device, record.app)).or_default().push(at);
    }
    let mut channels: Vec<Channel> = Vec::new();
    let mut small: BTreeMap<Source, Channel> = BTreeMap::new();
    for ((source, ..), own) in by_device {
        if own.len() < FEWEST {
            small.entry(source).or_default().extend(own);
        } else {
            channels.push(own);
        }
    }
    for mut own in small.into_values() {
        own.sort_unstable();
        channels.push(own);
    }
    let trust = |own: &Channel| {
        let share =
            |is: &dyn Fn(&Record) -> bool| own.iter().filter(|at| is(&records[**at])).count() * 4 / own.len();
        (share(&|r| r.quality != Quality::ZoneUnknown), share(&|r| r.utc_offset_s.is_some()), own.len())
    };
    channels.sort_by_key(|own| (std::cmp::Reverse(trust(own)), own[0]));
    channels
}

/// Whether a channel says itself that it does not know its zone.
fn is_local(records: &[Record], own: &Channel) -> bool {
    2 * own.iter().filter(|at| records[**at].quality == Quality::ZoneUnknown).count() > own.len()
}

/// Local times where nothing else is known are those of the person's zone.
fn local_times(records: &[Record], channels: &[Channel], placed: &mut [Placed]) {
    for own in channels.iter().filter(|own| is_local(records, own)) {
        for at in own {
            move_to(State::LocalTime, &records[*at], &mut placed[*at]);
        }
    }
}

/// Moves a recording with all of its copies, where nobody has yet. Whether one was.
fn move_all(state: State, at: usize, ground: Ground, placed: &mut [Placed]) -> bool {
    let Some(shift_s) = state.shift_s(&ground.records[at], &placed[at]).filter(|shift_s| *shift_s != 0)
    else {
        return false;
    };
    let mut has_moved = false;
    for copy in ground.copies.beside(at) {
        let record = &ground.records[*copy];
        if placed[*copy].why == Why::Told && record.quality != Quality::Hidden {
            placed[*copy].start_s = record.start_s + shift_s;
            placed[*copy].why = state.why();
            has_moved = true;
        }
    }
    has_moved
}

fn move_to(state: State, record: &Record, placed: &mut Placed) {
    let shift_s = state.shift_s(record, placed).unwrap_or(0);
    placed.start_s = record.start_s + shift_s;
    placed.why = if shift_s == 0 { Why::Told } else { state.why() };
}

/// Records that were placed, by where.
#[derive(Debug, Default)]
struct Line {
    /// Start and record, sorted.
    starts: Vec<(i64, usize)>,
}

impl Line {
    fn of(channels: &[&Channel], placed: &[Placed]) -> Line {
        let mut starts: Vec<(i64, usize)> =
            channels.iter().flat_map(|own| own.iter()).map(|at| (placed[*at].start_s, *at)).collect();
        starts.sort_unstable();
        Line { starts }
    }

    /// Those that start between two times.
    fn between(&self, from_s: i64, to_s: i64) -> impl Iterator<Item = usize> {
        let from = self.starts.partition_point(|(start_s, _)| *start_s < from_s);
        self.starts[from..].iter().take_while(move |(start_s, _)| *start_s <= to_s).map(|(_, at)| *at)
    }
}

/// What a record is held against.
#[derive(Clone, Copy)]
struct Ground<'a> {
    records: &'a [Record],
    copies: &'a Copies,
    line: &'a Line,
}

/// The best partner on the line of a record that began at a time: how good, and which. Its copies are wrong with it,
/// and what its own device recorded is another thing.
fn best(ground: Ground, placed: &[Placed], at: usize, start_s: i64) -> (f64, Option<usize>) {
    best_among(ground, placed, (at, start_s), |_| true)
}

/// The same, of those that may be asked.
fn best_among(
    ground: Ground,
    placed: &[Placed],
    (at, start_s): (usize, i64),
    may_ask: impl Fn(usize) -> bool,
) -> (f64, Option<usize>) {
    let near = ground.line.between(start_s - LONGEST_OVERLAP_S, start_s + placed[at].length_s);
    let mut most = (0.0, None);
    for other in near.take(MOST_NEAR).filter(|other| *other != at) {
        let agreement = agreement(ground.records, placed, (at, start_s), other);
        if agreement.at_most() > most.0
            && may_ask(other)
            && ground.copies.are_apart(ground.records, at, other)
        {
            let bits = agreement.bits();
            if bits > most.0 {
                most = (bits, Some(other));
            }
        }
    }
    most
}

/// Finds the path of one channel along the line of those that are placed. What explains itself is asked first; that a
/// clock is off by any amount is believed of what is left. Whether a record was moved.
fn settle(ground: Ground, own: &Channel, may_be_off: bool, placed: &mut [Placed]) -> bool {
    let records = ground.records;
    let is_local = is_local(records, own);
    if is_local && may_be_off {
        return false;
    }
    let plain = if is_local { State::LocalTime } else { State::Told };
    let mut has_partner = vec![false; own.len()];
    let mut is_taken = vec![false; records.len()];
    for (n, at) in own.iter().enumerate() {
        let Some(shift_s) = plain.shift_s(&records[*at], &placed[*at]) else { continue };
        let (bits, other) = best(ground, placed, *at, records[*at].start_s + shift_s);
        has_partner[n] = bits >= PARTNER_BITS;
        if let Some(other) = other.filter(|_| has_partner[n]) {
            is_taken[other] = true;
        }
    }
    if !is_local && has_partner.iter().all(|has| *has) {
        return false;
    }
    let votes =
        |base: State, fewest: usize| amounts(ground, own, placed, (&has_partner, &is_taken), (base, fewest));
    let mut states = vec![State::Told, State::LocalTime];
    // A path costs most where it looks at records that have a partner, so only those without are asked whether to.
    let gains = |(at, has_partner): (&usize, &bool)| {
        let shift_s = State::Backwards.shift_s(&records[*at], &placed[*at]).filter(|_| !has_partner);
        shift_s.is_some_and(|s| best(ground, placed, *at, records[*at].start_s + s).0 >= PARTNER_BITS)
    };
    if !is_local && own.iter().zip(&has_partner).any(gains) {
        states.push(State::Backwards);
    }
    if may_be_off {
        // An hour in the gym and an hour of summer time look alike.
        states.push(State::EndForStart);
        // Whoever presses the button a minute late is no clock.
        let ends =
            votes(State::EndForStart, FEWEST_ENDS).into_iter().filter(|s| s.abs() > LEAST_OFF_OF_ENDS_S);
        states.extend(ends.take(MOST_AMOUNTS / 4).map(State::EndBy));
    }
    if is_local || may_be_off {
        states.extend(votes(State::Told, FEWEST_VOTES).into_iter().map(State::By));
    }
    if is_local {
        // Whole hours and the odd halves, for a person of whom nobody knows where.
        let hours = (-12..=14).map(|hour| hour * 3600);
        let odd = [12_600, 16_200, 19_800, 20_700, 23_400, 34_200, 37_800, -12_600];
        states.extend(hours.chain(odd).filter(|shift_s| *shift_s != 0).map(|shift_s| State::By(-shift_s)));
    }
    let path = path(ground, (own, &has_partner), placed, &states, is_local);
    let mut has_moved = false;
    for (at, state) in own.iter().zip(path) {
        has_moved |= move_all(states[state], *at, ground, placed);
    }
    has_moved
}

/// Puts back what fits no worse where it says itself that it lies, now that all others are placed.
fn put_back(ground: Ground, placed: &mut [Placed]) {
    let records = ground.records;
    for group in ground.copies.groups() {
        let is_local = |at: &&usize| records[**at].quality == Quality::ZoneUnknown;
        let at = group.iter().find(is_local).unwrap_or(&group[0]);
        let plain = if is_local(&at) { State::LocalTime } else { State::Told };
        let Some(shift_s) = plain.shift_s(&records[*at], &placed[*at]) else { continue };
        if placed[*at].why == Why::Answered || placed[*at].start_s == records[*at].start_s + shift_s {
            continue;
        }
        let bits = |by: &dyn Fn(usize) -> i64| {
            group.iter().map(|at| best(ground, placed, *at, by(*at)).0).fold(0.0, f64::max)
        };
        let of_plain = bits(&|at| records[at].start_s + shift_s);
        let of_moved = bits(&|at| placed[at].start_s);
        if of_plain > of_moved || (of_plain > 0.0 && of_plain == of_moved) {
            for at in group {
                placed[*at].start_s = records[*at].start_s + shift_s;
                placed[*at].why = if shift_s == 0 { Why::Told } else { plain.why() };
            }
        }
    }
}

/// Fixed amounts that records without a partner would agree on with others without one, most votes first.
fn amounts(
    ground: Ground,
    own: &Channel,
    placed: &[Placed],
    (has_partner, is_taken): (&[bool], &[bool]),
    (base, fewest): (State, usize),
) -> Vec<i64> {
    const CELL_S: i64 = 60;
    const VOTER_BITS: f64 = 5.0;
    let Ground { records, copies, line } = ground;
    let mut votes: BTreeMap<i64, Vec<(usize, i64)>> = BTreeMap::new();
    for (at, _) in own.iter().zip(has_partner).filter(|(_, has)| !**has) {
        let Some(base_s) = base.shift_s(&records[*at], &placed[*at]) else { continue };
        let start_s = records[*at].start_s + base_s;
        let near = line.between(start_s - FURTHEST_OFF_S, start_s + FURTHEST_OFF_S);
        for other in near.filter(|other| !is_taken[*other]).take(2 * MOST_NEAR) {
            let ahead_s = placed[other].start_s - start_s;
            // The sizes must agree, and so the overlap is whole once it is shifted.
            let agreement = agreement(records, placed, (*at, placed[other].start_s), other);
            let may_vote = ahead_s.abs() > 5 && agreement.at_most() >= VOTER_BITS;
            if may_vote && copies.are_apart(records, *at, other) && agreement.bits() >= VOTER_BITS {
                votes.entry(ahead_s.div_euclid(CELL_S)).or_default().push((*at, ahead_s));
            }
        }
    }
    let mut found: Vec<(usize, i64)> = Vec::new();
    for (cell, own) in &votes {
        let both = own.iter().chain(votes.get(&(cell + 1)).into_iter().flatten());
        let mut shifts: Vec<i64> = both.clone().map(|(_, shift_s)| *shift_s).collect();
        let mut voters: Vec<usize> = both.map(|(at, _)| *at).collect();
        voters.sort_unstable();
        voters.dedup();
        let start_s = |at: &usize| records[*at].start_s;
        voters.dedup_by(|later, before| start_s(later) - start_s(before) <= SESSION_S);
        shifts.sort_unstable();
        if voters.len() >= fewest {
            found.push((voters.len(), shifts[shifts.len() / 2]));
        }
    }
    found.sort_by_key(|(voters, shift_s)| (std::cmp::Reverse(*voters), shift_s.abs(), *shift_s));
    found.into_iter().map(|(_, shift_s)| shift_s).take(MOST_AMOUNTS).collect()
}

/// The path of states that explains the channel best (Viterbi): for each record the number of its state. A copy at
/// another hour does not say which of the two is right: a recording that has a partner stays, and its copy moves.
fn path(
    ground: Ground,
    (own, has_partner): (&Channel, &[bool]),
    placed: &[Placed],
    states: &[State],
    is_local: bool,
) -> Vec<usize> {
    let records = ground.records;
    let plain = if is_local { State::LocalTime } else { State::Told };
    let is_as_long = |at: usize, other: usize| {
        relation::apart(&records[at], &records[other]).is_some_and(|(off_s, _)| off_s <= 1.0)
    };
    let shares = shares(records, own);
    let mut worth: Vec<f64> = states.iter().map(|state| -state.cost(is_local)).collect();
    let mut came_from: Vec<Vec<u8>> = Vec::with_capacity(own.len());
    let mut before_s = None;
    for ((at, share), has_partner) in own.iter().zip(shares).zip(has_partner) {
        let record = &records[*at];
        let (mut top, mut top_worth) = (0, f64::NEG_INFINITY);
        for (state, worth) in worth.iter().enumerate() {
            if *worth > top_worth {
                (top, top_worth) = (state, *worth);
            }
        }
        // After a long time a clock may have been set, or another one bought.
        let is_long_ago = before_s.is_some_and(|before_s| record.start_s - before_s > 60 * DAY_S);
        // And a zone changes more easily than a clock.
        let change = if is_long_ago || is_local { CHANGE_BITS / 2.0 } else { CHANGE_BITS };
        let mut from: Vec<u8> = (0..states.len() as u8).collect();
        for (state, worth) in worth.iter_mut().enumerate() {
            if top_worth - change > *worth {
                (*worth, from[state]) = (top_worth - change, top as u8);
            }
            if let Some(shift_s) = states[state].shift_s(record, &placed[*at]) {
                let may_ask = |other| !*has_partner || states[state] == plain || !is_as_long(*at, other);
                let bits = best_among(ground, placed, (*at, record.start_s + shift_s), may_ask).0;
                if is_local || states[state] == plain || bits >= PARTNER_BITS {
                    *worth += share * bits;
                }
            }
        }
        came_from.push(from);
        before_s = Some(record.start_s);
    }
    let mut state = 0;
    for (at, of) in worth.iter().enumerate() {
        if *of > worth[state] {
            state = at;
        }
    }
    let mut path = vec![0; own.len()];
    for (at, from) in came_from.iter().enumerate().rev() {
        path[at] = state;
        state = usize::from(from[state]);
    }
    path
}

/// What each record of a channel counts. Repetitions and laps are as regular as a clock that is off: those of one
/// session count as one.
fn shares(records: &[Record], own: &Channel) -> Vec<f64> {
    let is_later = |x: &usize, y: &usize| records[*y].start_s - records[*x].start_s <= SESSION_S;
    own.chunk_by(is_later).flat_map(|session| vec![1.0 / session.len() as f64; session.len()]).collect()
}

/// Marks the records whose neighbours in time have partners where they were placed.
fn mark_settled(ground: Ground, own: &Channel, placed: &mut [Placed]) {
    const AROUND_S: i64 = 5 * DAY_S;
    const ENOUGH: usize = 2;
    let found = |at: &usize| best(ground, placed, *at, placed[*at].start_s).0 >= PARTNER_BITS;
    let starts: Vec<i64> = own.iter().filter(|at| found(at)).map(|at| placed[*at].start_s).collect();
    for at in own {
        let start_s = placed[*at].start_s;
        let from = starts.partition_point(|s| *s < start_s - AROUND_S);
        let around = starts[from..].iter().take_while(|s| **s <= start_s + AROUND_S);
        placed[*at].is_settled = around.filter(|s| **s != start_s).take(ENOUGH).count() == ENOUGH;
    }
}
