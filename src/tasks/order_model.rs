//! Runs of different ages over one bucket as a model: whoever is older never writes over who is newer, in every
//! interleaving of attempts of both, with kills, lost answers, and stores that tell versions apart by the bytes alone.
//!
//! A bucket has two files, put one after the other. The older run makes 1 of both. The newer one makes `newer`, which can be
//! what was there before, so that it has nothing to put, or puts back what an attempt of the older one has read.

use std::collections::HashSet;

/// What a file holds, and the run that put it: 0 for none that is known. With a hash for a version, this is the version.
type File = (u8, u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Store {
    files: [File; 2],
    /// Whether each run says of the bucket that it is done.
    is_done: [bool; 2],
    is_planned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Attempt {
    at: At,
    read: [File; 2],
    /// Whether the older run may still write, as it was when the attempt looked.
    is_contested: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    /// Whether a newer run is planned, or an older one is open.
    Look,
    Read(u8),
    Put(u8),
    /// After a put that was refused.
    Compare(u8),
    Mark,
    Ended,
}

const NEW: Attempt = Attempt { at: At::Look, read: [(0, 0); 2], is_contested: false };
const ENDED: Attempt = Attempt { at: At::Ended, ..NEW };

#[derive(Debug, Clone, Copy)]
struct Rules {
    /// Whether files say which run put them.
    is_stamped: bool,
    /// Whether what an older run may still change is put anew where it is as it was.
    puts_anew: bool,
}

const PROTOCOL: Rules = Rules { is_stamped: true, puts_anew: true };

/// Everything that one step of an attempt of run 1 or 2 can come to. `makes` is what that run makes of a bucket.
fn steps(rules: Rules, run: u8, makes: u8, store: Store, attempt: Attempt) -> Vec<(Store, Attempt)> {
    let to = |at: At| Attempt { at, ..attempt };
    let own = (makes, if rules.is_stamped { run } else { 0 });
    let after_put = |file: u8| if file == 1 { At::Mark } else { At::Put(file + 1) };
    let mut next = match attempt.at {
        At::Ended => return Vec::new(),
        At::Look if run == 1 && store.is_planned => vec![(store, ENDED)],
        At::Look if store.is_done[usize::from(run - 1)] => vec![(store, ENDED)],
        At::Look => {
            let is_contested = run == 2 && !store.is_done[0];
            vec![(store, Attempt { at: At::Read(0), is_contested, ..attempt })]
        }
        At::Read(file) => {
            let mut read = to(if file == 1 { At::Put(0) } else { At::Read(file + 1) });
            read.read[usize::from(file)] = store.files[usize::from(file)];
            let is_newer = rules.is_stamped && store.files[usize::from(file)].1 > run;
            vec![(store, if is_newer { ENDED } else { read })]
        }
        At::Put(file) => {
            let before = attempt.read[usize::from(file)];
            let must = rules.puts_anew && attempt.is_contested && before.1 != own.1;
            if before.0 == makes && !must {
                vec![(store, to(after_put(file)))]
            } else if store.files[usize::from(file)] == before {
                let mut after = store;
                after.files[usize::from(file)] = own;
                // Its answer may be lost.
                vec![(after, to(after_put(file))), (after, to(At::Compare(file)))]
            } else {
                vec![(store, to(At::Compare(file)))]
            }
        }
        At::Compare(file) if store.files[usize::from(file)] == own => vec![(store, to(after_put(file)))],
        At::Compare(_) => vec![(store, NEW)],
        At::Mark => {
            let mut after = store;
            after.is_done[usize::from(run - 1)] = true;
            vec![(after, ENDED)]
        }
    };
    // Killed before the step.
    next.push((store, ENDED));
    next
}

/// Every state that two attempts of the older run and two of the newer come to; fails with the first wrong one.
fn explore(rules: Rules, newer: u8) -> Result<usize, String> {
    let begin = Store { files: [(0, 0); 2], is_done: [false; 2], is_planned: false };
    let mut seen = HashSet::new();
    let mut open = vec![(begin, [NEW; 4])];
    while let Some((store, attempts)) = open.pop() {
        if !seen.insert((store, attempts)) {
            continue;
        }
        if store.is_done[1] && store.files.iter().any(|(content, _)| *content != newer) {
            return Err(format!("the newer run has made {newer} of it, and there is {:?}", store.files));
        }
        if !store.is_planned {
            open.push((Store { is_planned: true, ..store }, attempts));
        }
        for (which, run) in [1, 1, 2, 2].into_iter().enumerate() {
            if run == 2 && !store.is_planned {
                continue;
            }
            let makes = if run == 1 { 1 } else { newer };
            for (store, attempt) in steps(rules, run, makes, store, attempts[which]) {
                let mut next = attempts;
                next[which] = attempt;
                open.push((store, next));
            }
        }
    }
    Ok(seen.len())
}

#[test]
fn who_is_older_never_writes_over_who_is_newer() {
    for newer in [0, 1, 2] {
        let states = explore(PROTOCOL, newer).unwrap();
        println!("the newer run makes {newer}: {states} states, none wrong");
        assert!(states > 1_000, "{states}");
    }
}

#[test]
fn the_model_finds_what_is_wrong_where_files_do_not_say_who_put_them_or_stay_as_they_were() {
    let unstamped = Rules { is_stamped: false, ..PROTOCOL };
    let left_alone = Rules { puts_anew: false, ..PROTOCOL };
    for rules in [unstamped, left_alone] {
        // What was there before comes back, or stays.
        println!("{rules:?}: {}", explore(rules, 0).unwrap_err());
    }
}
