//! What a NAT64 remembers: the Binding Information Bases and the session tables of RFC 6146 §3.1.
//!
//! A binding is a mapping; it lives as long as one of its sessions does. Sessions run out by the
//! clock alone: before anything is looked up, whatever is due is cleared away, so that what is in
//! the tables is alive. That costs a logarithm of the sessions there are, once for each lifetime
//! that a session begins, and nothing else ever looks at more than one session.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use rustc_hash::FxBuildHasher;

use super::ports::PortSet;
use super::tcp::TcpState;
use crate::address::{Address, Endpoint};
use crate::behaviour::Filtering;
use crate::engine::Stream;
use crate::packet::Protocol;
use crate::time::Time;

/// A binding of an internal IPv6 endpoint to an external IPv4 one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Binding {
    /// Of which protocol. RFC 6146 keeps a table for each.
    pub protocol: Protocol,
    /// The IPv6 endpoint, (X', x).
    pub internal: Endpoint,
    /// The IPv4 endpoint, (T, t).
    pub external: Endpoint,
    /// How many sessions use it. Never 0.
    pub sessions: u32,
}

/// Whose session, and with whom: protocol, internal IPv6 endpoint, remote IPv4 endpoint.
type SessionKey = (Protocol, Endpoint, Endpoint);

/// A session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) tcp: Option<TcpState>,
    expires: Time,
    /// When it is looked at next. Other times that the queue has for it are stale.
    due: Time,
}

type Map<K, V> = HashMap<K, V, FxBuildHasher>;

/// The tables, and the external addresses they give away.
pub(super) struct Tables {
    filtering: Filtering,
    most_sessions: u32,
    bindings: Map<(Protocol, Endpoint), Binding>,
    from_outside: Map<(Protocol, Endpoint), Endpoint>,
    sessions: Map<SessionKey, Session>,
    /// How many sessions count for what the filter looks at.
    admitted: Map<SessionKey, u32>,
    due: BinaryHeap<Reverse<(Time, SessionKey)>>,
    pool: Vec<ExternalAddress>,
    /// The external address that an internal one has, and by how many bindings (RFC 6146
    /// §3.5.1.1: always the same).
    paired: Map<Address, (usize, u32)>,
    next_in_pool: usize,
}

struct ExternalAddress {
    address: Address,
    /// Of UDP, TCP, ICMP.
    ports: [PortSet; 3],
}

/// Why no session could be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    NoFreePort,
    TableFull,
}

const fn place(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Udp => 0,
        Protocol::Tcp => 1,
        Protocol::Icmp => 2,
    }
}

impl Tables {
    pub(super) fn new(
        filtering: Filtering,
        most_sessions: u32,
        pool: impl IntoIterator<Item = Address>,
    ) -> Self {
        let external = |address| ExternalAddress {
            address,
            ports: Default::default(),
        };
        Tables {
            filtering,
            most_sessions,
            bindings: HashMap::default(),
            from_outside: HashMap::default(),
            sessions: HashMap::default(),
            admitted: HashMap::default(),
            due: BinaryHeap::new(),
            pool: pool.into_iter().map(external).collect(),
            paired: HashMap::default(),
            next_in_pool: 0,
        }
    }

    pub(super) fn is_external(&self, address: Address) -> bool {
        self.pool.iter().any(|external| external.address == address)
    }

    /// Clears away what has run out by now.
    pub(super) fn expire(&mut self, now: Time) {
        while let Some(Reverse((due, key))) = self.due.peek().copied()
            && due <= now
        {
            self.due.pop();
            match self.sessions.get_mut(&key) {
                // Another entry of the queue stands for it, or it is gone and came back.
                None => {}
                Some(session) if session.due != due => {}
                Some(session) if session.expires > now => {
                    session.due = session.expires;
                    self.due.push(Reverse((session.due, key)));
                }
                Some(_) => self.remove(key),
            }
        }
    }

    /// The live bindings at `now`, in no particular order.
    pub(super) fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.values()
    }

    pub(super) fn binding(&self, protocol: Protocol, internal: Endpoint) -> Option<&Binding> {
        self.bindings.get(&(protocol, internal))
    }

    /// Whose external endpoint this is.
    pub(super) fn internal(&self, protocol: Protocol, external: Endpoint) -> Option<Endpoint> {
        self.from_outside.get(&(protocol, external)).copied()
    }

    pub(super) fn session(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(&key)
    }

    /// Whether the filter lets a remote endpoint in to an internal one that has a binding.
    pub(super) fn admits(&self, (protocol, internal, remote): SessionKey) -> bool {
        self.filtering == Filtering::EndpointIndependent
            || self
                .admitted
                .contains_key(&(protocol, internal, self.filtering.key(remote)))
    }

    /// Prolongs or shortens a session's life; `None` leaves it.
    pub(super) fn refresh(&mut self, key: SessionKey, expires: Option<Time>) {
        let (Some(session), Some(expires)) = (self.sessions.get_mut(&key), expires) else {
            return;
        };
        session.expires = expires;
        if expires < session.due {
            session.due = expires;
            self.due.push(Reverse((expires, key)));
        }
    }

    /// Makes a session, and the binding for it where there is none. Returns the external endpoint
    /// and whether the binding is new.
    pub(super) fn open(
        &mut self,
        key: SessionKey,
        tcp: Option<TcpState>,
        expires: Time,
        random: &mut Stream,
    ) -> Result<(Endpoint, bool), Refused> {
        let (protocol, internal, remote) = key;
        if self.sessions.len() >= self.most_sessions as usize {
            return Err(Refused::TableFull);
        }
        let known = self.bindings.get_mut(&(protocol, internal));
        let (external, is_new) = match known {
            Some(binding) => {
                binding.sessions += 1;
                (binding.external, false)
            }
            None => (self.bind(protocol, internal, random)?, true),
        };
        let session = Session {
            tcp,
            expires,
            due: expires,
        };
        self.sessions.insert(key, session);
        self.due.push(Reverse((expires, key)));
        let looked_at = (protocol, internal, self.filtering.key(remote));
        *self.admitted.entry(looked_at).or_insert(0) += 1;
        Ok((external, is_new))
    }

    fn bind(
        &mut self,
        protocol: Protocol,
        internal: Endpoint,
        random: &mut Stream,
    ) -> Result<Endpoint, Refused> {
        let known = self.paired.get(&internal.address);
        let pool = match known {
            Some((pool, _)) => *pool,
            None => self.next_in_pool,
        };
        let from = self.pool.get_mut(pool).ok_or(Refused::NoFreePort)?;
        let ports = &mut from.ports[place(protocol)];
        let port = ports
            .take(internal.port, random.next_u64())
            .ok_or(Refused::NoFreePort)?;
        let external = Endpoint::new(from.address, port);
        if known.is_none() {
            self.next_in_pool = (pool + 1) % self.pool.len();
        }
        self.paired.entry(internal.address).or_insert((pool, 0)).1 += 1;
        self.from_outside.insert((protocol, external), internal);
        let binding = Binding {
            protocol,
            internal,
            external,
            sessions: 1,
        };
        self.bindings.insert((protocol, internal), binding);
        Ok(external)
    }

    fn remove(&mut self, key: SessionKey) {
        let (protocol, internal, remote) = key;
        self.sessions.remove(&key);
        let looked_at = (protocol, internal, self.filtering.key(remote));
        if let Some(count) = self.admitted.get_mut(&looked_at) {
            *count -= 1;
            if *count == 0 {
                self.admitted.remove(&looked_at);
            }
        }
        let Some(binding) = self.bindings.get_mut(&(protocol, internal)) else {
            return;
        };
        binding.sessions -= 1;
        if binding.sessions > 0 {
            return;
        }
        let external = binding.external;
        self.bindings.remove(&(protocol, internal));
        self.from_outside.remove(&(protocol, external));
        let Some((pool, count)) = self.paired.get_mut(&internal.address) else {
            return;
        };
        self.pool[*pool].ports[place(protocol)].free(external.port);
        *count -= 1;
        if *count == 0 {
            self.paired.remove(&internal.address);
        }
    }

    /// How many entries all tables hold, the queue's stale ones included.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.bindings.len()
            + self.from_outside.len()
            + self.sessions.len()
            + self.admitted.len()
            + self.due.len()
            + self.paired.len()
    }
}
