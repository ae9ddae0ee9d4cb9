//! The event queue: what happens next, in one total order.

use std::cmp::Ordering;

use dary_heap::{PeekMut, QuaternaryHeap};

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

/// An event's place in the total order of a run: time, entity, counter, in one number that compares
/// in one step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Rank(u128);

impl Rank {
    pub(crate) fn new(time: Time, entity: Entity, counter: u64) -> Self {
        debug_assert!(counter < 1 << COUNTER_BITS);
        let tie = u64::from(entity.0) << COUNTER_BITS | counter;
        Rank(u128::from(time.as_nanos()) << 64 | u128::from(tie))
    }

    pub(crate) fn time(self) -> Time {
        Time::from_nanos((self.0 >> 64) as u64)
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
///
/// Most events put another one in their place: a packet goes onto its next link, an alarm is set
/// anew. So an event that is popped stays on top of the heap until the next is wanted, and the
/// first push overwrites it, which sifts once instead of twice.
pub(crate) struct EventQueue<T> {
    heap: QuaternaryHeap<Entry<T>>,
    /// The top of the heap was popped.
    top_is_gone: bool,
}

impl<T> Default for EventQueue<T> {
    fn default() -> Self {
        EventQueue {
            heap: QuaternaryHeap::new(),
            top_is_gone: false,
        }
    }
}

impl<T: Copy> EventQueue<T> {
    pub(crate) fn push(&mut self, rank: Rank, what: T) {
        let entry = Entry { rank, what };
        if self.top_is_gone
            && let Some(mut top) = self.heap.peek_mut()
        {
            *top = entry;
            self.top_is_gone = false;
        } else {
            self.heap.push(entry);
        }
    }

    fn settle(&mut self) {
        if self.top_is_gone {
            self.top_is_gone = false;
            if let Some(top) = self.heap.peek_mut() {
                PeekMut::pop(top);
            }
        }
    }

    /// When the next event happens.
    pub(crate) fn next_time(&mut self) -> Option<Time> {
        self.settle();
        self.heap.peek().map(|entry| entry.rank.time())
    }

    pub(crate) fn pop(&mut self) -> Option<(Rank, T)> {
        self.settle();
        let entry = self.heap.peek()?;
        self.top_is_gone = true;
        Some((entry.rank, entry.what))
    }

    pub(crate) fn clear(&mut self) {
        self.heap.clear();
        self.top_is_gone = false;
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
