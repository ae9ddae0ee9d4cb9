//! What a NAT's filter remembers (RFC 4787 §5), and the TCP connections that it follows.

use std::hash::{Hash, Hasher};

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use super::aging::{Aging, push_slowly};
use super::tcp::Connection;
use crate::address::{Address, Endpoint};
use crate::packet::Protocol;
use crate::time::Time;

/// What is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Topic {
    /// Nothing: the place is free.
    Nothing,
    /// That somebody sent to a remote endpoint.
    Pinhole(Protocol),
    /// A TCP connection.
    Connection,
}

/// What is remembered, of whom and about which remote endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub(super) topic: Topic,
    /// The internal endpoint, or what stands for a mapping.
    pub(super) owner: Endpoint,
    pub(super) remote: Endpoint,
}

impl Key {
    #[inline]
    fn hash(&self) -> u64 {
        let mut hasher = FxHasher::default();
        let topic = match self.topic {
            Topic::Pinhole(protocol) => protocol as u8,
            Topic::Connection => 8,
            Topic::Nothing => 9,
        };
        hasher.write_u8(topic);
        self.owner.hash(&mut hasher);
        self.remote.hash(&mut hasher);
        hasher.finish()
    }
}

/// Something that is remembered, packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remembered {
    owner: Address,
    remote: Address,
    pub(super) expires: Time,
    owner_port: u16,
    remote_port: u16,
    topic: Topic,
    /// Whether anything has come back.
    pub(super) answered: bool,
    /// The connection's state.
    pub(super) connection: Connection,
}

const _: () = assert!(size_of::<Remembered>() == 48);

impl Remembered {
    pub(super) fn key(&self) -> Key {
        Key {
            topic: self.topic,
            owner: Endpoint::new(self.owner, self.owner_port),
            remote: Endpoint::new(self.remote, self.remote_port),
        }
    }
}

/// A NAT's memory, the mappings apart.
#[derive(Default)]
pub(super) struct Memory {
    entries: Vec<Remembered>,
    free: Vec<u32>,
    index: HashTable<u32>,
    aging: Aging,
}

impl Memory {
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: u32) -> &mut Remembered {
        &mut self.entries[place as usize]
    }

    /// What is remembered, dead or alive.
    #[inline]
    fn find(&self, key: Key) -> Option<u32> {
        let same = |place: &u32| self.entries[*place as usize].key() == key;
        self.index.find(key.hash(), same).copied()
    }

    /// What is remembered and alive.
    #[inline]
    pub(super) fn alive(&self, now: Time, key: Key) -> Option<u32> {
        self.find(key)
            .filter(|place| self.entries[*place as usize].expires > now)
    }

    /// Remembers it until `until` says. That is told whether there was an answer, and until when it
    /// was remembered before. Returns whether it is new.
    #[inline]
    pub(super) fn remember(
        &mut self,
        now: Time,
        key: Key,
        until: impl Fn(bool, Time) -> Time,
    ) -> bool {
        let Some(place) = self.find(key) else {
            let expires = until(false, Time::ZERO);
            self.add(key, expires, Connection::default());
            return true;
        };
        let known = self.get_mut(place);
        let is_new = known.expires <= now;
        known.answered &= !is_new;
        let before = if is_new { Time::ZERO } else { known.expires };
        let expires = until(known.answered, before);
        self.set_expires(place, expires);
        is_new
    }

    /// Begins to follow a connection of which nothing is known, or no longer anything alive.
    pub(super) fn follow(&mut self, key: Key, expires: Time, connection: Connection) {
        match self.find(key) {
            None => self.add(key, expires, connection),
            Some(place) => {
                self.get_mut(place).connection = connection;
                self.set_expires(place, expires);
            }
        }
    }

    fn add(&mut self, key: Key, expires: Time, connection: Connection) {
        let entry = Remembered {
            owner: key.owner.address,
            remote: key.remote.address,
            expires,
            owner_port: key.owner.port,
            remote_port: key.remote.port,
            topic: key.topic,
            answered: false,
            connection,
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place as usize] = entry;
                place
            }
            None => {
                push_slowly(&mut self.entries, entry);
                self.entries.len() as u32 - 1
            }
        };
        let entries = &self.entries;
        let rehash = |place: &u32| entries[*place as usize].key().hash();
        self.index.insert_unique(key.hash(), place, rehash);
        self.age(expires, place);
    }

    /// Sets when it is forgotten.
    #[inline]
    pub(super) fn set_expires(&mut self, place: u32, expires: Time) {
        let entry = self.get_mut(place);
        let shortened = expires < entry.expires;
        entry.expires = expires;
        if shortened {
            self.age(expires, place);
        }
    }

    fn age(&mut self, due: Time, place: u32) {
        self.aging.push(due, place);
        if self.aging.is_stale(self.len()) {
            let places = self.entries.iter().enumerate();
            let alive = places.filter(|(_, entry)| entry.topic != Topic::Nothing);
            self.aging
                .refill(alive.map(|(place, entry)| (entry.expires, place as u32)));
        }
    }

    /// Forgets something that nobody needs any more, if there is such a thing, and returns it.
    pub(super) fn pop_dead(&mut self, now: Time) -> Option<Remembered> {
        while let Some(place) = self.aging.pop_due(now) {
            let entry = self.entries[place as usize];
            if entry.topic == Topic::Nothing {
                continue;
            }
            if entry.expires > now {
                self.aging.push(entry.expires, place);
                continue;
            }
            let found = self
                .index
                .find_entry(entry.key().hash(), |other| *other == place);
            if let Ok(found) = found {
                found.remove();
            }
            self.entries[place as usize].topic = Topic::Nothing;
            push_slowly(&mut self.free, place);
            return Some(entry);
        }
        None
    }
}
