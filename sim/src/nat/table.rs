//! A NAT's mappings, found from inside and from outside.
//!
//! An entry is one cache line; the indexes hold only places, so that ten thousand subscribers'
//! mappings fit into memory.

use std::hash::{Hash, Hasher};

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use super::aging::{Aging, push_slowly};
use super::tcp::Connection;
use crate::address::{Address, Endpoint};
use crate::packet::Protocol;
use crate::time::Time;

/// What an entry of the table is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Nothing: its place is free.
    Nothing,
    /// A mapping as the NAT is configured.
    Mapping,
    /// A mapping of the other kind, made after the NAT changed its mind.
    Changed,
    /// A pair of endpoints that the router has taken for itself. Nobody inside has to do with it.
    Claim,
}

/// A mapping between an internal and an external endpoint, packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) internal_address: Address,
    /// With the port: the part of the remote endpoint that the mapping was made for.
    pub(super) remote_address: Address,
    pub(super) expires: Time,
    /// Given to no other mapping of this NAT.
    pub(super) serial: u64,
    /// The external address' place in the pool.
    pub(super) place: u32,
    pub(super) internal_port: u16,
    pub(super) remote_port: u16,
    pub(super) external_port: u16,
    /// How many established TCP connections go through it.
    pub(super) established: u16,
    /// Where the mapping is of one pair of endpoints only: the TCP connection.
    pub(super) connection: Connection,
    pub(super) protocol: Protocol,
    pub(super) kind: Kind,
    /// Whether anything has come back.
    pub(super) answered: bool,
}

// A cache line.
const _: () = assert!(size_of::<Entry>() == 64);

impl Entry {
    pub(super) fn internal(&self) -> Endpoint {
        Endpoint::new(self.internal_address, self.internal_port)
    }

    pub(super) fn remote_key(&self) -> Endpoint {
        Endpoint::new(self.remote_address, self.remote_port)
    }
}

/// Where a packet from outside goes to: a port of the address at this place in the pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Outside {
    pub(super) protocol: Protocol,
    pub(super) place: u32,
    pub(super) port: u16,
}

impl Outside {
    fn of(entry: &Entry) -> Self {
        Outside {
            protocol: entry.protocol,
            place: entry.place,
            port: entry.external_port,
        }
    }
}

pub(super) struct Table {
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// By protocol, internal endpoint and remote key.
    from_inside: HashTable<u32>,
    /// By protocol and external endpoint, and by the remote one if `pairs`.
    from_outside: HashTable<u32>,
    aging: Aging,
    serials: u64,
    /// Of mappings that are of one pair of endpoints each: which there are of an internal endpoint,
    /// and of an external one, the newest first.
    pairs: Option<Box<[Chains; 2]>>,
}

impl Table {
    /// An empty table. Where `pairs`, entries are told apart by both their endpoints, and may share
    /// the external one.
    pub(super) fn new(pairs: bool) -> Self {
        Table {
            entries: Vec::new(),
            free: Vec::new(),
            from_inside: HashTable::new(),
            from_outside: HashTable::new(),
            aging: Aging::default(),
            serials: 0,
            pairs: pairs.then(Box::default),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> &Entry {
        &self.entries[index as usize]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> &mut Entry {
        &mut self.entries[index as usize]
    }

    /// The live mapping that packets from `internal` to a remote endpoint with this key use.
    #[inline]
    pub(super) fn outbound(
        &self,
        now: Time,
        protocol: Protocol,
        internal: Endpoint,
        remote_key: Endpoint,
    ) -> Option<u32> {
        let hash = inside_hash(protocol, internal, remote_key);
        let found = self.from_inside.find(hash, |index| {
            let entry = self.get(*index);
            entry.internal() == internal
                && entry.remote_key() == remote_key
                && entry.protocol == protocol
        });
        found
            .copied()
            .filter(|index| self.get(*index).expires > now)
    }

    /// The live entry that packets from `remote` to `outside` belong to.
    #[inline]
    pub(super) fn inbound(&self, now: Time, outside: Outside, remote: Endpoint) -> Option<u32> {
        let remote = self.outside_remote(remote);
        let hash = outside_hash(outside, remote);
        let found = self.from_outside.find(hash, |index| {
            let entry = self.get(*index);
            Outside::of(entry) == outside && self.outside_remote(entry.remote_key()) == remote
        });
        found
            .copied()
            .filter(|index| self.get(*index).expires > now)
    }

    fn outside_remote(&self, remote: Endpoint) -> Endpoint {
        match self.pairs {
            Some(_) => remote,
            None => Endpoint::UNSPECIFIED,
        }
    }

    /// Where entries are told apart by both endpoints: the newest mapping of an internal endpoint.
    pub(super) fn newest_of(&self, protocol: Protocol, internal: Endpoint) -> Option<u32> {
        let hash = inside_hash(protocol, internal, Endpoint::UNSPECIFIED);
        let [sources, _] = &**self.pairs.as_ref()?;
        sources.first(hash, |index| {
            let entry = self.get(index);
            entry.internal() == internal && entry.protocol == protocol
        })
    }

    /// The same, of an external endpoint.
    pub(super) fn newest_at(&self, outside: Outside) -> Option<u32> {
        let hash = outside_hash(outside, Endpoint::UNSPECIFIED);
        let [_, ports] = &**self.pairs.as_ref()?;
        ports.first(hash, |index| Outside::of(self.get(index)) == outside)
    }

    /// Adds an entry. No live one has the same keys, unless packets from outside are to go to this
    /// one from now on.
    pub(super) fn insert(&mut self, mut entry: Entry) -> u32 {
        self.serials += 1;
        entry.serial = self.serials;
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                index
            }
            None => {
                push_slowly(&mut self.entries, entry);
                self.entries.len() as u32 - 1
            }
        };
        self.receive(index);
        let entries = &self.entries;
        if entry.kind != Kind::Claim {
            let hash = inside_hash(entry.protocol, entry.internal(), entry.remote_key());
            self.from_inside
                .insert_unique(hash, index, |index| hash_inside(&entries[*index as usize]));
        }
        if let Some(pairs) = &mut self.pairs {
            let [sources, ports] = &mut **pairs;
            if entry.kind != Kind::Claim {
                sources.push(
                    index,
                    |index| source_hash(&entries[index as usize]),
                    |other| {
                        let other = &entries[other as usize];
                        other.internal() == entry.internal() && other.protocol == entry.protocol
                    },
                );
            }
            ports.push(
                index,
                |index| port_hash(&entries[index as usize]),
                |other| Outside::of(&entries[other as usize]) == Outside::of(&entry),
            );
        }
        self.age(entry.expires, index);
        index
    }

    /// From now on packets from outside go to this entry, whoever else has its external endpoint.
    pub(super) fn receive(&mut self, index: u32) {
        let entry = *self.get(index);
        let (outside, remote) = (Outside::of(&entry), self.outside_remote(entry.remote_key()));
        let (entries, pairs) = (&self.entries, self.pairs.is_some());
        let remote_of = |entry: &Entry| match pairs {
            true => entry.remote_key(),
            false => Endpoint::UNSPECIFIED,
        };
        let same = |other: &u32| {
            let other = &entries[*other as usize];
            Outside::of(other) == outside && remote_of(other) == remote
        };
        let rehash = |other: &u32| {
            let other = &entries[*other as usize];
            outside_hash(Outside::of(other), remote_of(other))
        };
        let hash = outside_hash(outside, remote);
        match self.from_outside.find_mut(hash, same) {
            Some(known) => *known = index,
            None => {
                self.from_outside.insert_unique(hash, index, rehash);
            }
        }
    }

    /// Sets the end of an entry's life.
    #[inline]
    pub(super) fn set_expires(&mut self, index: u32, expires: Time) {
        let entry = self.get_mut(index);
        let shortened = expires < entry.expires;
        entry.expires = expires;
        if shortened {
            // It waits for its old end, which is too late.
            self.age(expires, index);
        }
    }

    fn age(&mut self, due: Time, index: u32) {
        self.aging.push(due, index);
        if self.aging.is_stale(self.len()) {
            let places = self.entries.iter().enumerate();
            let alive = places.filter(|(_, entry)| entry.kind != Kind::Nothing);
            self.aging
                .refill(alive.map(|(index, entry)| (entry.expires, index as u32)));
        }
    }

    /// Takes away an entry that has died by now, if there is one.
    pub(super) fn pop_dead(&mut self, now: Time) -> Option<Entry> {
        while let Some(index) = self.aging.pop_due(now) {
            let entry = *self.get(index);
            match entry.kind {
                Kind::Nothing => {}
                _ if entry.expires > now => self.aging.push(entry.expires, index),
                _ => return Some(self.remove(index)),
            }
        }
        None
    }

    /// Takes away the entry that would have died first.
    pub(super) fn pop_oldest(&mut self) -> Option<Entry> {
        while let Some((due, index)) = self.aging.pop() {
            let entry = *self.get(index);
            match entry.kind {
                Kind::Nothing => {}
                _ if entry.expires > due => self.aging.push(entry.expires, index),
                _ => return Some(self.remove(index)),
            }
        }
        None
    }

    /// Takes away an entry.
    pub(super) fn remove(&mut self, index: u32) -> Entry {
        let entry = *self.get(index);
        let same = |other: &u32| *other == index;
        let inside = inside_hash(entry.protocol, entry.internal(), entry.remote_key());
        if let Ok(found) = self.from_inside.find_entry(inside, same) {
            found.remove();
        }
        let outside = outside_hash(Outside::of(&entry), self.outside_remote(entry.remote_key()));
        if let Ok(found) = self.from_outside.find_entry(outside, same) {
            found.remove();
        }
        if let Some(pairs) = &mut self.pairs {
            let [sources, ports] = &mut **pairs;
            if entry.kind != Kind::Claim {
                sources.remove(index, source_hash(&entry));
            }
            ports.remove(index, port_hash(&entry));
        }
        self.get_mut(index).kind = Kind::Nothing;
        push_slowly(&mut self.free, index);
        entry
    }

    /// The live mappings, in no particular order.
    pub(super) fn alive(&self, now: Time) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| {
            matches!(entry.kind, Kind::Mapping | Kind::Changed) && entry.expires > now
        })
    }
}

#[inline]
fn inside_hash(protocol: Protocol, internal: Endpoint, remote_key: Endpoint) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u8(protocol as u8);
    internal.hash(&mut hasher);
    remote_key.hash(&mut hasher);
    hasher.finish()
}

#[inline]
fn outside_hash(outside: Outside, remote: Endpoint) -> u64 {
    let mut hasher = FxHasher::default();
    let place = u64::from(outside.place) << 24 | u64::from(outside.port);
    hasher.write_u64(place << 8 | outside.protocol as u64);
    remote.hash(&mut hasher);
    hasher.finish()
}

fn hash_inside(entry: &Entry) -> u64 {
    inside_hash(entry.protocol, entry.internal(), entry.remote_key())
}

fn source_hash(entry: &Entry) -> u64 {
    inside_hash(entry.protocol, entry.internal(), Endpoint::UNSPECIFIED)
}

fn port_hash(entry: &Entry) -> u64 {
    outside_hash(Outside::of(entry), Endpoint::UNSPECIFIED)
}

/// No entry.
const NONE: u32 = u32::MAX;

/// Entries that have something in common, chained: the newest of each chain is found by hash.
#[derive(Default)]
struct Chains {
    newest: HashTable<u32>,
    /// For each entry: the one after it and the one before it, in its chain.
    links: Vec<[u32; 2]>,
}

impl Chains {
    fn first(&self, hash: u64, is_of_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.newest.find(hash, |index| is_of_it(*index)).copied()
    }

    fn push(&mut self, index: u32, hash: impl Fn(u32) -> u64, is_of_it: impl Fn(u32) -> bool) {
        while self.links.len() <= index as usize {
            push_slowly(&mut self.links, [NONE; 2]);
        }
        let same = |other: &u32| is_of_it(*other);
        let after = match self.newest.find_mut(hash(index), same) {
            Some(newest) => std::mem::replace(newest, index),
            None => {
                self.newest
                    .insert_unique(hash(index), index, |other| hash(*other));
                NONE
            }
        };
        self.links[index as usize] = [after, NONE];
        if after != NONE {
            self.links[after as usize][1] = index;
        }
    }

    fn remove(&mut self, index: u32, hash: u64) {
        let [after, before] = self.links[index as usize];
        if after != NONE {
            self.links[after as usize][1] = before;
        }
        if before != NONE {
            self.links[before as usize][0] = after;
            return;
        }
        if let Ok(mut newest) = self.newest.find_entry(hash, |other| *other == index) {
            match after {
                NONE => drop(newest.remove()),
                after => *newest.get_mut() = after,
            }
        }
    }
}
