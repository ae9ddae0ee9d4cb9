//! What a firewall remembers, each with the time at which it is forgotten.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use rustc_hash::FxBuildHasher;

use crate::time::Time;

/// Values that are forgotten. Costs as much for the ten-thousandth as for the first: nothing is
/// ever scanned.
pub(super) struct Memory<K, V> {
    table: HashMap<K, (Time, V), FxBuildHasher>,
    /// In the order in which they were put there, each with a time before which there is no need
    /// to look at it.
    aging: VecDeque<(Time, K)>,
}

impl<K: Copy + Eq + Hash, V> Memory<K, V> {
    pub(super) fn new() -> Self {
        Memory {
            table: HashMap::default(),
            aging: VecDeque::new(),
        }
    }

    /// What is remembered, and when it is forgotten.
    pub(super) fn get_mut(&mut self, now: Time, key: &K) -> Option<&mut (Time, V)> {
        self.table.get_mut(key).filter(|(until, _)| *until > now)
    }

    pub(super) fn holds(&self, now: Time, key: &K) -> bool {
        self.table.get(key).is_some_and(|(until, _)| *until > now)
    }

    /// Remembers a value in place of what was there. Returns whether nothing was.
    pub(super) fn remember(&mut self, now: Time, key: K, until: Time, value: V) -> bool {
        if let Some(known) = self.table.get_mut(&key) {
            let was_forgotten = known.0 <= now;
            *known = (until, value);
            return was_forgotten;
        }
        self.table.insert(key, (until, value));
        self.aging.push_back((until, key));
        self.clear_some(now);
        true
    }

    /// Clears away up to two values that are forgotten, oldest first.
    fn clear_some(&mut self, now: Time) {
        for _ in 0..2 {
            let Some((due, key)) = self.aging.front().copied() else {
                return;
            };
            if due > now {
                return;
            }
            self.aging.pop_front();
            match self.table.get(&key) {
                Some((until, _)) if *until > now => self.aging.push_back((*until, key)),
                _ => {
                    self.table.remove(&key);
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.len().max(self.aging.len())
    }
}
