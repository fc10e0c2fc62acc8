use super::*;

const WINDOW: Window = Window { limit: 100, used: 0, length_s: 900, index: 1 };

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
