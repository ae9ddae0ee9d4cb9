//! The event queue: what happens next, in one total order.

use std::cmp::Ordering;
use std::collections::VecDeque;

use dary_heap::QuaternaryHeap;

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

    /// A host's TCP.
    pub(crate) fn tcp(index: usize) -> Self {
        Entity::of_class(3, index)
    }

    /// Faults come after everything else of their moment.
    pub(crate) fn fault() -> Self {
        Entity::of_class((1 << (u32::BITS - CLASS_BITS)) - 1, 0)
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
/// Links keep their packets to themselves but for the first of each direction, so most internets
/// have a handful of events to come, and a new one mostly belongs behind all of them: up to [`FEW`]
/// stand in a line, in order. More than that go to a heap, until it has run empty.
pub(crate) struct EventQueue<T> {
    line: VecDeque<Entry<T>>,
    heap: QuaternaryHeap<Entry<T>>,
}

/// How many events stand in line.
const FEW: usize = 24;

impl<T> Default for EventQueue<T> {
    fn default() -> Self {
        EventQueue {
            line: VecDeque::new(),
            heap: QuaternaryHeap::new(),
        }
    }
}

impl<T> EventQueue<T> {
    #[inline]
    pub(crate) fn push(&mut self, rank: Rank, what: T) {
        let entry = Entry { rank, what };
        if !self.heap.is_empty() {
            return self.heap.push(entry);
        }
        if self.line.len() == FEW {
            self.heap.extend(self.line.drain(..));
            return self.heap.push(entry);
        }
        let later = self.line.iter().rev().take_while(|other| other.rank > rank);
        let place = self.line.len() - later.count();
        self.line.insert(place, entry);
    }

    /// When the next event happens.
    #[inline]
    pub(crate) fn next_time(&self) -> Option<Time> {
        let next = self.line.front().or_else(|| self.heap.peek());
        next.map(|entry| entry.rank.time())
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(Rank, T)> {
        let next = self.line.pop_front().or_else(|| self.heap.pop());
        next.map(|entry| (entry.rank, entry.what))
    }

    pub(crate) fn clear(&mut self) {
        self.line.clear();
        self.heap.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        /// However pushes and pops alternate, and wherever the line gives way to the heap, events
        /// come out as a sorted list would give them.
        #[test]
        fn line_and_heap_keep_one_order(
            steps in proptest::collection::vec((any::<bool>(), 0u64..50), 0..400),
        ) {
            let mut queue = EventQueue::default();
            let mut sorted = std::collections::BTreeMap::new();
            for (counter, (pops, time)) in steps.into_iter().enumerate() {
                if pops && counter % 3 > 0 {
                    let expected = sorted.pop_first();
                    prop_assert_eq!(queue.pop(), expected);
                } else {
                    let entity = Entity::program((time % 7) as usize);
                    let rank = Rank::new(Time::from_nanos(time), entity, counter as u64);
                    queue.push(rank, counter);
                    sorted.insert(rank, counter);
                }
                prop_assert_eq!(queue.next_time(), sorted.keys().next().map(|rank| rank.time()));
            }
            while let Some(expected) = sorted.pop_first() {
                prop_assert_eq!(queue.pop(), Some(expected));
            }
            prop_assert_eq!(queue.pop(), None);
        }
    }
}
