//! The event queue: what happens next, in one total order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::time::Time;

/// Who an event belongs to. Ties in time are broken by entity, then by the entity's own counter, so
/// that the order in which unrelated things were put into the queue never shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Entity(u32);

const CLASS_BITS: u32 = 22;
const COUNTER_BITS: u32 = 40;

impl Entity {
    pub(crate) fn program(index: usize) -> Self {
        Entity::of_class(0, index)
    }

    pub(crate) fn direction(index: usize) -> Self {
        Entity::of_class(1, index)
    }

    pub(crate) fn node(index: usize) -> Self {
        Entity::of_class(2, index)
    }

    fn of_class(class: u32, index: usize) -> Self {
        assert!(
            index < 1 << CLASS_BITS,
            "an internet holds at most four million of anything"
        );
        Entity(class << CLASS_BITS | index as u32)
    }
}

/// An event's place in the total order of a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Rank {
    time: Time,
    tie: u64,
}

impl Rank {
    pub(crate) fn new(time: Time, entity: Entity, counter: u64) -> Self {
        debug_assert!(counter < 1 << COUNTER_BITS);
        Rank {
            time,
            tie: u64::from(entity.0) << COUNTER_BITS | counter,
        }
    }

    pub(crate) fn time(self) -> Time {
        self.time
    }
}

struct Entry<T> {
    rank: Rank,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    /// Reversed: the standard heap keeps its largest on top, and the earliest is wanted there.
    fn cmp(&self, other: &Self) -> Ordering {
        other.rank.cmp(&self.rank)
    }
}

/// Events in the order of their ranks.
pub(crate) struct EventQueue<T> {
    heap: BinaryHeap<Entry<T>>,
}

impl<T> Default for EventQueue<T> {
    fn default() -> Self {
        EventQueue {
            heap: BinaryHeap::new(),
        }
    }
}

impl<T> EventQueue<T> {
    pub(crate) fn push(&mut self, rank: Rank, what: T) {
        self.heap.push(Entry { rank, what });
    }

    /// When the next event happens.
    pub(crate) fn next_time(&self) -> Option<Time> {
        self.heap.peek().map(|entry| entry.rank.time)
    }

    pub(crate) fn pop(&mut self) -> Option<(Rank, T)> {
        self.heap.pop().map(|entry| (entry.rank, entry.what))
    }

    pub(crate) fn clear(&mut self) {
        self.heap.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_first_then_entity_then_its_counter() {
        let at = Time::from_millis;
        let mut queue = EventQueue::default();
        let ranks = [
            Rank::new(at(2), Entity::program(0), 0),
            Rank::new(at(1), Entity::direction(0), 0),
            Rank::new(at(1), Entity::program(1), 7),
            Rank::new(at(1), Entity::program(1), 3),
            Rank::new(at(1), Entity::program(0), 9),
        ];
        for (what, rank) in ranks.into_iter().enumerate() {
            queue.push(rank, what);
        }
        assert_eq!(queue.next_time(), Some(at(1)));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|(_, what)| what)
            .collect();
        assert_eq!(order, [4, 3, 2, 1, 0]);
    }
}
