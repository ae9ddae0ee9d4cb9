//! Allocations come and go: quotas, relay sockets, channel numbers.

use std::net::SocketAddr;
use std::time::Duration;

use turn_server_proto::api::{SocketAllocateError, TurnServerApi};
use turn_server_proto::types::{AddressFamily, TransportType};

use super::clients::{Channel, ClientKey, Session};
use super::request::Wishes;
use super::{Pending, TurnServer, instant};
use crate::address::{Address, Endpoint, Family};
use crate::host::Io;
use crate::time::Time;

/// How long the crate keeps a channel that isn't bound again (RFC 8656 §12).
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);

impl TurnServer {
    /// Answers the crate's request for relay sockets. Returns whether the user's quota forbids it.
    pub(super) fn allocate(
        &mut self,
        now: Time,
        key: ClientKey,
        pending: &Pending<'_>,
        families: &[AddressFamily],
        io: &mut Io<'_>,
    ) -> bool {
        let Pending { message, wishes } = *pending;
        let user = self.users.claimed(message);
        let held = user.map_or(0, |user| *self.users.allocations(user));
        let quota_reached = self
            .config
            .allocations_per_user
            .is_some_and(|quota| held >= quota);
        let full = self
            .config
            .allocations
            .is_some_and(|quota| self.counters.active >= quota);
        let refused = user.is_none() || quota_reached || full || wishes.reservation;
        let mut sockets: Vec<_> = families
            .iter()
            .map(|family| {
                let socket = if refused {
                    Err(SocketAllocateError::InsufficientCapacity)
                } else {
                    self.bind_relay(key.listener, *family, wishes.even_port, io)
                };
                (*family, socket)
            })
            .collect();
        // Of two families, the crate keeps both or none of the sockets as it is told of the last.
        sockets.sort_by_key(|(_, socket)| socket.is_ok());
        let relays: Vec<Endpoint> = sockets
            .iter()
            .filter_map(|(_, socket)| Some((*socket).ok()?.into()))
            .collect();
        let local = self.listeners[key.listener].local;
        let Some(client) = self.clients.get_mut(key) else {
            return quota_reached;
        };
        for (family, socket) in sockets {
            client.core.allocated_socket(
                TransportType::Udp,
                local,
                key.client.into(),
                TransportType::Udp,
                family,
                socket,
                instant(now),
            );
        }
        if let (Some(user), false) = (user, relays.is_empty()) {
            client.session = Some(Session {
                user,
                relays: relays.clone(),
                transaction: message.transaction_id(),
                response: Vec::new(),
                channels: Vec::new(),
            });
            *self.users.allocations(user) += 1;
            self.counters.allocations += 1;
            self.counters.active += 1;
            self.relays.extend(relays.iter().map(|relay| (*relay, key)));
            self.streams.trust(key);
        }
        quota_reached
    }

    /// Binds a relay socket to a random free port of the range. Its address is the one that the
    /// client came to, where that is of the right family.
    fn bind_relay(
        &self,
        listener: usize,
        family: AddressFamily,
        even: bool,
        io: &mut Io<'_>,
    ) -> Result<SocketAddr, SocketAllocateError> {
        let family = match family {
            AddressFamily::IPV4 => Family::V4,
            AddressFamily::IPV6 => Family::V6,
        };
        let local = Address::from(self.listeners[listener].local.ip());
        let address = if local.family() == family {
            Some(local)
        } else {
            io.address(family)
        };
        let address = address.ok_or(SocketAllocateError::AddressFamilyNotSupported)?;
        let first = u64::from(*self.config.relay_ports.start());
        let count = self.config.relay_ports.len() as u64;
        let start = io.random().below(count);
        (0..count)
            .map(|step| (first + (start + step) % count) as u16)
            .filter(|port| !even || port % 2 == 0)
            .find_map(|port| io.bind_to(SocketAddr::new(address.into(), port)).ok())
            .ok_or(SocketAllocateError::InsufficientCapacity)
    }

    pub(super) fn close_relay(&mut self, now: Time, relay: Endpoint, io: &mut Io<'_>) {
        io.close(relay.into());
        let Some(key) = self.relays.remove(&relay) else {
            return;
        };
        let Some(session) = self.clients.session_mut(key) else {
            return;
        };
        session.relays.retain(|other| *other != relay);
        if session.relays.is_empty()
            && let Some(session) = self.clients.end_session(now, key)
        {
            self.settle_account(&session);
            self.streams.distrust(now, key);
        }
    }

    /// A client is gone, and with it its allocation.
    pub(super) fn forget_client(&mut self, key: ClientKey, io: &mut Io<'_>) {
        let Some(client) = self.clients.remove(key) else {
            return;
        };
        let Some(session) = client.session else {
            return;
        };
        for relay in &session.relays {
            io.close((*relay).into());
            self.relays.remove(relay);
        }
        self.settle_account(&session);
    }

    fn settle_account(&mut self, session: &Session) {
        *self.users.allocations(session.user) -= 1;
        self.counters.active -= 1;
    }

    /// RFC 8656 §12.2: a channel number that is bound to another peer can't be bound. The crate
    /// checks only the other way round, and would send one peer's data to the other.
    pub(super) fn channel_is_taken(&self, now: Time, key: ClientKey, wishes: &Wishes) -> bool {
        let session = self
            .clients
            .get(key)
            .and_then(|client| client.session.as_ref());
        let Some(session) = session else {
            return false;
        };
        session.channels.iter().any(|channel| {
            Some(channel.number) == wishes.channel
                && wishes.peers.last() != Some(&channel.peer)
                && channel.expires >= now
        })
    }

    pub(super) fn note_channel(&mut self, now: Time, key: ClientKey, wishes: &Wishes) {
        let (Some(session), Some(number), Some(peer)) = (
            self.clients.session_mut(key),
            wishes.channel,
            wishes.peers.last(),
        ) else {
            return;
        };
        session
            .channels
            .retain(|channel| channel.number != number && channel.expires >= now);
        let expires = now + CHANNEL_LIFETIME;
        session.channels.push(Channel {
            number,
            peer: *peer,
            expires,
        });
    }
}
