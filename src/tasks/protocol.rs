//! The protocol of the module above as a model, small enough for every interleaving: two attempts at one bucket, each
//! with its own view of a landing that grows, killed or refused at any step, with answers that are lost.
//!
//! A file is what it says it was made from and what it holds, both as a number of frames: `activities` says how far the
//! landing was taken, `streams` and `part` hold rows of it. A part is made anew from the activities where those say
//! that there is only one origin, which is what a file that is merely merged would not show.

use std::collections::HashSet;

/// What the store has: content and version; version 0 is no file.
type File = (u8, u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Store {
    landing: u8,
    streams: File,
    part: File,
    activities: File,
}

/// Where an attempt stands, and what it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Attempt {
    at: u8,
    streams: File,
    part: File,
    activities: File,
    landing: u8,
    tries: u8,
}

const NEW: Attempt =
    Attempt { at: 0, streams: (0, 0), part: (0, 0), activities: (0, 0), landing: 0, tries: 0 };
/// From a put to the look at what is there after it was refused.
const COMPARES: u8 = 10;
const COMPARING: u8 = 4 + COMPARES;
const COMPARED: u8 = 7 + COMPARES;
const DONE: u8 = 20;
const DEAD: u8 = 21;
const GAVE_UP: u8 = 22;
const TRIES: u8 = 4;

/// The order in which an attempt reads: 0 streams, 1 part, 2 activities, 3 landing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rules {
    reads: [u8; 4],
    /// The order in which it puts: 0 streams, 1 part, 2 activities.
    puts: [u8; 3],
    is_conditional: bool,
}

const PROTOCOL: Rules = Rules { reads: [0, 1, 2, 3], puts: [0, 1, 2], is_conditional: true };

fn file(store: &mut Store, which: u8) -> &mut File {
    match which {
        0 => &mut store.streams,
        1 => &mut store.part,
        _ => &mut store.activities,
    }
}

/// What an attempt would put. From what the activities say they were made from, it takes the landing on.
fn made(attempt: &Attempt, which: u8) -> u8 {
    match which {
        // Merged: nothing that is there is lost.
        0 => attempt.streams.0.max(attempt.landing),
        // Of the first two frames there was one origin, and the part is made of the activities alone.
        1 if attempt.activities.0 < 2 => attempt.activities.0.max(attempt.landing),
        1 => attempt.part.0.max(attempt.landing),
        _ => attempt.activities.0.max(attempt.landing),
    }
}

/// Everything that one step of an attempt can come to.
fn steps(rules: Rules, store: Store, attempt: Attempt) -> Vec<(Store, Attempt)> {
    let mut next = Vec::new();
    let mut put = |store: Store, attempt: Attempt| next.push((store, attempt));
    match attempt.at {
        at @ 0..4 => {
            let mut read = Attempt { at: at + 1, ..attempt };
            match rules.reads[usize::from(at)] {
                0 => read.streams = store.streams,
                1 => read.part = store.part,
                2 => read.activities = store.activities,
                _ => read.landing = store.landing,
            }
            put(store, read);
        }
        at @ 4..7 => {
            let which = rules.puts[usize::from(at - 4)];
            let read = [attempt.streams, attempt.part, attempt.activities][usize::from(which)];
            let content = made(&attempt, which);
            let on = Attempt { at: behind(at), ..attempt };
            // Refused, perhaps because it is in, and the answer was lost and it was sent again.
            let refused = Attempt { at: at + COMPARES, ..attempt };
            if content == read.0 && read.1 > 0 {
                // It is as it would come out.
                put(store, on);
                return next;
            }
            let there = *file(&mut store.clone(), which);
            if !rules.is_conditional || there.1 == read.1 {
                let mut after = store;
                *file(&mut after, which) = (content, there.1 + 1);
                put(after, on);
                put(after, refused);
            } else {
                put(store, refused);
            }
        }
        at @ COMPARING..COMPARED => {
            let which = rules.puts[usize::from(at - COMPARING)];
            let is_same = file(&mut store.clone(), which).0 == made(&attempt, which);
            put(
                store,
                if is_same { Attempt { at: behind(at - COMPARES), ..attempt } } else { again(attempt) },
            );
        }
        _ => return next,
    }
    // Killed before the step.
    next.push((store, Attempt { at: DEAD, ..NEW }));
    next
}

/// The step behind a put.
fn behind(put: u8) -> u8 {
    if put == 6 { DONE } else { put + 1 }
}

fn again(attempt: Attempt) -> Attempt {
    let tries = attempt.tries + 1;
    if tries == TRIES { Attempt { at: GAVE_UP, ..NEW } } else { Attempt { tries, ..NEW } }
}

/// Frames that land in all.
const LANDING: u8 = 4;

/// Every state that two attempts come to; fails with the first wrong one.
fn explore(rules: Rules) -> Result<usize, String> {
    let begin = Store { landing: 1, streams: (0, 0), part: (0, 0), activities: (0, 0) };
    let mut seen = HashSet::new();
    let mut open = vec![(begin, [NEW, NEW])];
    while let Some((store, attempts)) = open.pop() {
        if !seen.insert((store, attempts)) {
            continue;
        }
        check(&store)?;
        if attempts.iter().all(|attempt| attempt.at >= DONE) {
            check(&alone(rules, store))?;
            let after = alone(rules, store);
            if [after.streams.0, after.part.0, after.activities.0] != [after.landing; 3] {
                return Err(format!("rows are lost for good: {store:?} becomes {after:?}"));
            }
            continue;
        }
        if store.landing < LANDING {
            open.push((Store { landing: store.landing + 1, ..store }, attempts));
        }
        for which in 0..2 {
            for (store, attempt) in steps(rules, store, attempts[which]) {
                let mut next = attempts;
                next[which] = attempt;
                open.push((store, next));
            }
        }
    }
    Ok(seen.len())
}

/// What the file that comes last says is there in the others.
fn check(store: &Store) -> Result<(), String> {
    let says = store.activities.0;
    let is_right = store.streams.0 >= says && store.part.0 >= says && store.landing >= says;
    if is_right { Ok(()) } else { Err(format!("the activities say {says}, and it is not there: {store:?}")) }
}

/// The next attempt, undisturbed.
fn alone(rules: Rules, mut store: Store) -> Store {
    let mut attempt = NEW;
    while attempt.at < DONE {
        // The first thing that can happen is that all is well.
        (store, attempt) = steps(rules, store, attempt)[0];
    }
    store
}

#[test]
fn two_attempts_lose_nothing_however_they_meet() {
    let states = explore(PROTOCOL).unwrap();
    println!("{states} states, none wrong");
    assert!(states > 5_000, "{states}");
}

#[test]
fn the_model_finds_what_is_wrong_with_other_protocols() {
    let landing_first = Rules { reads: [3, 0, 1, 2], ..PROTOCOL };
    let activities_first = Rules { puts: [2, 0, 1], ..PROTOCOL };
    let plain = Rules { is_conditional: false, ..PROTOCOL };
    for (name, rules) in
        [("landing first", landing_first), ("activities put first", activities_first), ("plain puts", plain)]
    {
        let wrong = explore(rules).unwrap_err();
        println!("{name}: {wrong}");
    }
}
