//! A NAT's state: mappings, found from inside and from outside, and what its filter remembers.
//!
//! Nothing happens when a lifetime ends. An entry past its time is treated as absent wherever it is
//! met, and cleared away a few at a time when new ones are made, oldest first.

use std::collections::{HashMap, VecDeque};

use rustc_hash::FxBuildHasher;

use crate::address::Endpoint;
use crate::time::Time;

/// A mapping between an internal and an external endpoint (RFC 4787 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MappingEntry {
    /// The internal endpoint, X:x.
    pub internal: Endpoint,
    /// The external endpoint, X1':x1'.
    pub external: Endpoint,
    /// The part of the remote endpoint that the mapping was made for; unspecified for
    /// endpoint-independent mapping.
    pub remote_key: Endpoint,
    /// When it dies, unless refreshed.
    pub expires: Time,
}

/// A key of the filter's memory: whose memory, and which remote endpoint.
pub(super) type PinholeKey = (Endpoint, Endpoint);

#[derive(Clone, Copy)]
enum Aging {
    /// A mapping's place, and the how manyth mapping in that place it is.
    Mapping(u32, u32),
    Pinhole(PinholeKey),
}

/// How many old entries are looked at whenever a new one is made: two keep the table from growing
/// beyond twice what is alive.
const CLEARED_PER_CREATION: usize = 2;

#[derive(Default)]
pub(super) struct Table {
    entries: Vec<MappingEntry>,
    /// For each place in `entries`: how many mappings it has held before.
    held: Vec<u32>,
    free: Vec<u32>,
    /// (internal endpoint, remote key) to mapping.
    from_inside: HashMap<(Endpoint, Endpoint), u32, FxBuildHasher>,
    /// External endpoint to mapping.
    from_outside: HashMap<Endpoint, u32, FxBuildHasher>,
    /// When each pinhole closes.
    pinholes: HashMap<PinholeKey, Time, FxBuildHasher>,
    aging: VecDeque<(Time, Aging)>,
}

impl Table {
    /// The live mapping that packets from `internal` to a remote endpoint with this key use.
    pub(super) fn outbound(
        &mut self,
        now: Time,
        internal: Endpoint,
        remote_key: Endpoint,
    ) -> Option<&mut MappingEntry> {
        let index = *self.from_inside.get(&(internal, remote_key))?;
        self.live(now, index)
    }

    /// The live mapping that packets to `external` belong to.
    pub(super) fn inbound(&mut self, now: Time, external: Endpoint) -> Option<&mut MappingEntry> {
        let index = *self.from_outside.get(&external)?;
        self.live(now, index)
    }

    fn live(&mut self, now: Time, index: u32) -> Option<&mut MappingEntry> {
        let entry = &mut self.entries[index as usize];
        (entry.expires > now).then_some(entry)
    }

    /// Whether no live mapping holds `external`.
    pub(super) fn is_free(&self, now: Time, external: Endpoint) -> bool {
        match self.from_outside.get(&external) {
            Some(index) => self.entries[*index as usize].expires <= now,
            None => true,
        }
    }

    /// Adds a mapping. What stood in its place is dead and goes.
    pub(super) fn insert(&mut self, now: Time, entry: MappingEntry) {
        let in_its_place = [
            self.from_outside.get(&entry.external).copied(),
            self.from_inside
                .get(&(entry.internal, entry.remote_key))
                .copied(),
        ];
        for old in in_its_place.into_iter().flatten() {
            self.remove(old);
        }
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                self.held[index as usize] = self.held[index as usize].wrapping_add(1);
                index
            }
            None => {
                self.entries.push(entry);
                self.held.push(0);
                self.entries.len() as u32 - 1
            }
        };
        self.from_inside
            .insert((entry.internal, entry.remote_key), index);
        self.from_outside.insert(entry.external, index);
        let aging = Aging::Mapping(index, self.held[index as usize]);
        self.aging.push_back((entry.expires, aging));
        self.clear_some(now);
    }

    /// Opens or refreshes a pinhole until `expires`. Returns whether it was closed before.
    pub(super) fn open(&mut self, now: Time, key: PinholeKey, expires: Time) -> bool {
        if let Some(known) = self.pinholes.get_mut(&key) {
            let was_closed = *known <= now;
            *known = expires;
            return was_closed;
        }
        self.pinholes.insert(key, expires);
        self.aging.push_back((expires, Aging::Pinhole(key)));
        self.clear_some(now);
        true
    }

    /// The open pinhole's closing time.
    pub(super) fn pinhole(&mut self, now: Time, key: PinholeKey) -> Option<&mut Time> {
        self.pinholes.get_mut(&key).filter(|closes| **closes > now)
    }

    /// The live mappings, in no particular order.
    pub(super) fn mappings(&self, now: Time) -> impl Iterator<Item = &MappingEntry> {
        self.from_outside
            .values()
            .map(|index| &self.entries[*index as usize])
            .filter(move |entry| entry.expires > now)
    }

    fn remove(&mut self, index: u32) {
        let entry = self.entries[index as usize];
        if self.from_outside.get(&entry.external) == Some(&index) {
            self.from_outside.remove(&entry.external);
        }
        if self.from_inside.get(&(entry.internal, entry.remote_key)) == Some(&index) {
            self.from_inside.remove(&(entry.internal, entry.remote_key));
            self.free.push(index);
        }
    }

    fn clear_some(&mut self, now: Time) {
        for _ in 0..CLEARED_PER_CREATION {
            match self.aging.front() {
                Some((due, _)) if *due <= now => {}
                _ => return,
            }
            let (_, aging) = self.aging.pop_front().expect("it has a front");
            match aging {
                // Another mapping has moved in, with an entry of its own in the queue.
                Aging::Mapping(index, nth) if self.held[index as usize] != nth => {}
                Aging::Mapping(index, _) => match self.entries[index as usize].expires {
                    expires if expires > now => self.aging.push_back((expires, aging)),
                    _ => self.remove(index),
                },
                Aging::Pinhole(key) => match self.pinholes.get(&key).copied() {
                    Some(expires) if expires > now => self.aging.push_back((expires, aging)),
                    _ => {
                        self.pinholes.remove(&key);
                    }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(internal: &str, external: &str, expires: u64) -> MappingEntry {
        MappingEntry {
            internal: internal.parse().unwrap(),
            external: external.parse().unwrap(),
            remote_key: Endpoint::UNSPECIFIED,
            expires: Time::from_millis(expires),
        }
    }

    #[test]
    fn a_mapping_is_found_from_both_sides_until_it_expires() {
        let mut table = Table::default();
        let mapping = entry("192.168.1.2:5000", "203.0.113.1:5000", 10);
        table.insert(Time::ZERO, mapping);
        let before = Time::from_nanos(9_999_999);
        let after = Time::from_millis(10);
        assert!(table.inbound(before, mapping.external).is_some());
        assert!(
            table
                .outbound(before, mapping.internal, Endpoint::UNSPECIFIED)
                .is_some()
        );
        assert!(!table.is_free(before, mapping.external));
        assert!(table.inbound(after, mapping.external).is_none());
        assert!(
            table
                .outbound(after, mapping.internal, Endpoint::UNSPECIFIED)
                .is_none()
        );
        assert!(table.is_free(after, mapping.external));
    }

    #[test]
    fn the_dead_are_cleared_away_as_new_ones_come() {
        let mut table = Table::default();
        let remote = |n: u64| {
            Endpoint::new(
                crate::Address::v4(198, 51, 100, 1),
                1000 + (n % 60_000) as u16,
            )
        };
        for n in 0..50_000u64 {
            let now = Time::from_millis(n);
            let internal = Endpoint::new(crate::Address::v4(10, 0, 0, 1), (n % 60_000) as u16);
            let external = Endpoint::new(crate::Address::v4(203, 0, 113, 1), (n % 60_000) as u16);
            let expires = Time::from_millis(n + 100);
            let remote_key = Endpoint::UNSPECIFIED;
            table.insert(
                now,
                MappingEntry {
                    internal,
                    external,
                    remote_key,
                    expires,
                },
            );
            table.open(now, (internal, remote(n)), expires);
        }
        // A hundred are alive.
        assert!(
            table.from_outside.len() <= 300,
            "{}",
            table.from_outside.len()
        );
        assert!(
            table.from_inside.len() <= 300,
            "{}",
            table.from_inside.len()
        );
        assert!(table.pinholes.len() <= 300, "{}", table.pinholes.len());
        assert!(table.entries.len() <= 300, "{}", table.entries.len());
    }

    #[test]
    fn a_mapping_made_anew_again_and_again_leaves_nothing_behind() {
        let mut table = Table::default();
        let mapping = entry("192.168.1.2:5000", "203.0.113.1:5000", 0);
        let remote = "192.0.2.1:9".parse().unwrap();
        for n in 0..10_000u64 {
            // Ten milliseconds alive, ten dead.
            let now = Time::from_millis(20 * n);
            let expires = Time::from_millis(20 * n + 10);
            table.insert(now, MappingEntry { expires, ..mapping });
            table.open(now, (mapping.internal, remote), expires);
        }
        assert_eq!((table.entries.len(), table.pinholes.len()), (1, 1));
        assert!(table.aging.len() <= 4, "{}", table.aging.len());
    }
}
