use super::*;

const WINDOW: Window = Window { limit: 100, used: 0, length_s: 900, index: 1 };

/// The most that can have been used of the second window for a request to fit in a minute after its beginning.
fn most_used(seen_ms: i64) -> u32 {
    let now_ms = 960_000;
    let fits = |used: &u32| {
        let window = Window { used: *used, ..WINDOW };
        window.free_at(seen_ms, now_ms, 0, &Reserve::Guess(0.5)) == now_ms
    };
    (0..100).rev().find(fits).unwrap()
}

#[test]
fn what_others_call_unseen_is_kept_since_the_window_began_or_was_last_seen() {
    assert_eq!(most_used(900_000), most_used(-5_000_000), "at its beginning nothing was used of it");
    assert!(most_used(900_000) < most_used(930_000) && most_used(930_000) < most_used(960_000));
    assert_eq!(most_used(960_000), most_used(970_000));
}

#[test]
fn a_window_that_has_ended_is_whole_again() {
    let window = Window { used: 40, ..WINDOW };
    assert_eq!((window.left_at(950), window.left_at(1_799), window.left_at(1_800)), (60, 60, 100));
}

#[test]
fn what_is_not_said_is_counted_in_the_window_it_was_made_in() {
    let mut window = Window { used: 40, ..WINDOW };
    window.count(950);
    assert_eq!((window.index, window.used), (1, 41));
    window.count(850);
    assert_eq!((window.index, window.used), (1, 41), "that one is over");
    window.count(1_800);
    assert_eq!((window.index, window.used), (2, 1));
}
