//! Room for the buckets that are open at a time: each takes its share of a total before it is read, and waits where
//! others have it.

use std::sync::{Condvar, Mutex};

pub struct Room {
    free: Mutex<usize>,
    freed: Condvar,
    total: usize,
}

/// A share, until it is dropped.
pub struct Share<'a> {
    room: &'a Room,
    bytes: usize,
}

impl Room {
    pub fn new(total: usize) -> Room {
        Room { free: Mutex::new(total), freed: Condvar::new(), total }
    }

    /// Waits for a share. Half of the total is enough for all that are not larger than it, so that one bucket can be
    /// read while another one is written; one that is larger has all of it.
    pub fn take(&self, bytes: usize) -> Share<'_> {
        let bytes = if bytes < self.total { bytes.min(self.total / 2) } else { self.total };
        let free = self.free.lock().expect("no thread panics while it holds this");
        let lacks = |free: &mut usize| *free < bytes;
        let mut free = self.freed.wait_while(free, lacks).expect("no thread panics while it holds this");
        *free -= bytes;
        Share { room: self, bytes }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.room.free.lock().expect("no thread panics while it holds this") += self.bytes;
        self.room.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_is_open_than_there_is_room_for_and_everybody_comes_in() {
        let room = Room::new(10);
        let (open, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for bytes in [3, 4, 25, 10, 1, 0, 6, 3] {
                let (room, open, most, done) = (&room, &open, &most, &done);
                scope.spawn(move || {
                    let share = room.take(bytes);
                    most.fetch_max(
                        open.fetch_add(share.bytes, Ordering::SeqCst) + share.bytes,
                        Ordering::SeqCst,
                    );
                    std::thread::yield_now();
                    open.fetch_sub(share.bytes, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!((done.into_inner(), most.into_inner()), (8, 10));
    }
}
