//! What dies when: the order in which a table's entries come to their ends.
//!
//! Nothing happens when a lifetime ends. An entry past its time is treated as absent wherever it is
//! met, and taken away before the next one is made. Lifetimes differ and are refreshed all the
//! time, so an entry waits here with the end that it had when it was put in; if it turns out to
//! live longer, it is put in again. Each entry costs as often as it is refreshed at most, and
//! nobody ever looks at all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Time;

/// Places in a table, each with the time at which to look at it.
#[derive(Default)]
pub(super) struct Aging(BinaryHeap<Reverse<(Time, u32)>>);

impl Aging {
    /// Looks at `place` at `due`.
    pub(super) fn push(&mut self, due: Time, place: u32) {
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(growth(self.0.len()));
        }
        self.0.push(Reverse((due, place)));
    }

    /// The next place to look at by `now`.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<u32> {
        let due = self.next_due()?;
        (due <= now).then(|| self.0.pop().expect("it has a next one").0.1)
    }

    /// The next place to look at, whenever that is.
    pub(super) fn pop(&mut self) -> Option<(Time, u32)> {
        self.0.pop().map(|Reverse(next)| next)
    }

    /// When the next place is to be looked at.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.0.peek().map(|Reverse((due, _))| *due)
    }

    /// Whether most of what waits here is about entries that are gone: there are only `live`.
    pub(super) fn is_stale(&self, live: usize) -> bool {
        self.0.len() > 2 * live + 64
    }

    /// Starts again with these.
    pub(super) fn refill(&mut self, entries: impl Iterator<Item = (Time, u32)>) {
        self.0.clear();
        self.0.extend(entries.map(Reverse));
    }
}

/// How many places a full vector of this length gets: a quarter more. Twice as many would be a
/// waste where there are a hundred thousand entries.
fn growth(length: usize) -> usize {
    (length / 4).max(4)
}

/// Adds to a vector that grows by a quarter.
pub(super) fn push_slowly<T>(vector: &mut Vec<T>, item: T) {
    if vector.len() == vector.capacity() {
        vector.reserve_exact(growth(vector.len()));
    }
    vector.push(item);
}
