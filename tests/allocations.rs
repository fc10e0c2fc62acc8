//! How often memory is asked for, which no other work on the machine changes. It is a test binary of its own, because it
//! counts in the allocator.
#![expect(unsafe_code, reason = "an allocator is made of calls that only its caller can know to be sound")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use longrun::model::polyline::{self, Track};
use longrun::sources::strava::api::activity_list;
use longrun::testing::synth::{Options, Person, Workout, person, rows, strava};

struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What this thread asked for meanwhile.
fn counted(work: impl FnOnce()) -> u64 {
    let before = ASKED.get();
    work();
    ASKED.get() - before
}

fn somebody() -> Person {
    person(Options { seed: 1, users: 1, activities: 1_000 }, 0)
}

#[test]
fn a_line_is_decoded_into_two_pieces_of_memory_and_once_more_into_the_same() {
    let person = somebody();
    let workout = person.workouts.iter().find(|w| w.has_track()).expect("one is outdoors");
    let line = polyline::encode(&workout.track(person.home, workout.detail_points()));
    let mut track = Track::default();
    let mut decode = || counted(|| polyline::decode_into(line.as_bytes(), &mut track).expect("sound"));
    assert_eq!((decode(), decode()), (2, 0));
}

/// Without what the first page brings with it.
#[test]
fn an_activity_of_a_page_takes_few_pieces_of_memory_whatever_the_page() {
    /// 24.3 are taken: the texts of an activity, its track, and the JSON of what has no column.
    const MOST_PER_ACTIVITY: u64 = 25;
    const MOST_PER_PAGE: u64 = 8;
    let person = somebody();
    let workouts = &person.workouts[..200];
    let from = rows::read_from(&person, "landing/strava/000/000001-000.jsonl.zst@0");
    let of_page = |workouts: &[Workout]| {
        let page = strava::page(&person, workouts).into_bytes();
        let mut taken = 0;
        let asked = counted(|| {
            let each = |_, activity: Result<_, _>| taken += usize::from(activity.is_ok());
            activity_list(&page, &from, each).expect("a list");
        });
        assert_eq!(taken, workouts.len());
        asked
    };
    of_page(workouts);
    let whole = of_page(workouts);
    assert!(whole <= MOST_PER_ACTIVITY * 200, "{whole} allocations for 200 activities");
    let halves: u64 = workouts.chunks(100).map(of_page).sum();
    assert!(halves <= whole + MOST_PER_PAGE, "{whole} allocations for a page, {halves} for its halves");
}
