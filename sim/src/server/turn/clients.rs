//! The clients of a server, each found by its 5-tuple.
//!
//! The protocol crate's server looks through all its clients for each packet. It is therefore given
//! one client only: every 5-tuple has an instance of its own, and the crate's scans are over one.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use rustc_hash::FxHashMap;
use stun_types::message::{Message, TransactionId};
use turn_server_proto::api::TurnServerApi;
use turn_server_proto::server::TurnServer as Core;
use turn_server_proto::types::TransportType;

use super::config::TurnConfig;
use super::request::{UserId, Users};
use crate::address::Endpoint;
use crate::time::Time;

/// Clients without an allocation that are remembered, with the nonces they were given. Of more, the
/// oldest has to ask for a nonce again.
const MOST_STRANGERS: usize = 4096;

/// A client's 5-tuple: which listener, and the client's address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct ClientKey {
    pub(super) listener: usize,
    pub(super) client: Endpoint,
}

/// What is kept of a client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) core: Core,
    /// Whose keys the crate was given: those the client claimed to be.
    users: Vec<UserId>,
    pub(super) session: Option<Session>,
    /// When the crate wants to be polled.
    deadline: Option<Time>,
    /// Since when it has no allocation.
    stranger_since: Time,
}

/// What is kept of a client with an allocation beside what the crate keeps.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: UserId,
    pub(super) relays: Vec<Endpoint>,
    /// Which Allocate request made it, and the response.
    pub(super) transaction: TransactionId,
    pub(super) response: Vec<u8>,
    pub(super) channels: Vec<Channel>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) number: u16,
    pub(super) peer: SocketAddr,
    pub(super) expires: Time,
}

/// Every client that has sent a request, by its 5-tuple.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// Never iterated, so its order shows nowhere.
    by_key: FxHashMap<ClientKey, Box<Client>>,
    deadlines: BTreeSet<(Time, ClientKey)>,
    /// Those who had no allocation at that time, in its order.
    strangers: VecDeque<(Time, ClientKey)>,
}

impl Clients {
    pub(super) fn get(&self, key: ClientKey) -> Option<&Client> {
        self.by_key.get(&key).map(|client| &**client)
    }

    pub(super) fn get_mut(&mut self, key: ClientKey) -> Option<&mut Client> {
        self.by_key.get_mut(&key).map(|client| &mut **client)
    }

    pub(super) fn session_mut(&mut self, key: ClientKey) -> Option<&mut Session> {
        self.get_mut(key)?.session.as_mut()
    }

    /// The client that sent this request, known from now on.
    pub(super) fn meet(
        &mut self,
        now: Time,
        key: ClientKey,
        local: SocketAddr,
        message: &Message<'_>,
        config: &TurnConfig,
        users: &Users,
    ) -> &mut Client {
        if !self.by_key.contains_key(&key) {
            self.forget_strangers(now, config);
            self.strangers.push_back((now, key));
        }
        let client = self.by_key.entry(key).or_insert_with(|| {
            // The crate is handed messages one by one, from streams too: those are cut before.
            let mut core = Core::new(TransportType::Udp, local, config.realm.clone());
            core.set_nonce_expiry_duration(config.nonce_lifetime);
            Box::new(Client {
                core,
                users: Vec::new(),
                session: None,
                deadline: None,
                stranger_since: now,
            })
        });
        if let Some(user) = users.claimed(message)
            && !client.users.contains(&user)
        {
            client.users.push(user);
            let (name, password) = &config.users[user.index()];
            client.core.add_user(name.clone(), password.clone());
        }
        client
    }

    /// What a nonce's lifetime has passed over is of no more use.
    fn forget_strangers(&mut self, now: Time, config: &TurnConfig) {
        while let Some((since, key)) = self.strangers.front().copied() {
            let stale = since + config.nonce_lifetime < now;
            if !stale && self.strangers.len() < MOST_STRANGERS {
                return;
            }
            self.strangers.pop_front();
            let gone = self
                .get(key)
                .is_some_and(|client| client.session.is_none() && client.stranger_since == since);
            if gone {
                self.remove(key);
            }
        }
    }

    /// A client's allocation has ended.
    pub(super) fn end_session(&mut self, now: Time, key: ClientKey) -> Option<Session> {
        let client = self.get_mut(key)?;
        let session = client.session.take()?;
        client.stranger_since = now;
        self.strangers.push_back((now, key));
        Some(session)
    }

    /// Forgets a client.
    pub(super) fn remove(&mut self, key: ClientKey) -> Option<Box<Client>> {
        self.set_deadline(key, None);
        self.by_key.remove(&key)
    }

    pub(super) fn deadline(&self, key: ClientKey) -> Option<Time> {
        self.get(key)?.deadline
    }

    pub(super) fn set_deadline(&mut self, key: ClientKey, deadline: Option<Time>) {
        let Some(client) = self.by_key.get_mut(&key) else {
            return;
        };
        if client.deadline == deadline {
            return;
        }
        if let Some(before) = std::mem::replace(&mut client.deadline, deadline) {
            self.deadlines.remove(&(before, key));
        }
        self.deadlines.extend(deadline.map(|when| (when, key)));
    }

    /// The client whose turn comes next, and when.
    pub(super) fn next_deadline(&self) -> Option<(Time, ClientKey)> {
        self.deadlines.first().copied()
    }
}
