//! A TURN server (RFC 8656) over UDP, with long-term credentials.
//!
//! Authentication, allocations, permissions, channels and their lifetimes are `turn-server-proto`'s.
//! This program gives it sockets and time, and adds what it leaves out: quotas (486), peer rules
//! (403), EVEN-PORT, answers to retransmitted Allocate requests, Binding requests, and a watch over
//! channel numbers. What it doesn't do: reservation tokens (508), DONT-FRAGMENT, mobility, TCP
//! allocations (RFC 6062).
//!
//! ```text
//!   client ──datagram──▶ listener ──▶ inspected ──▶ crate ──▶ relay socket ──▶ peer
//!   client ◀──datagram── listener ◀──────────────── crate ◀── relay socket ◀── peer
//! ```
//!
//! A *listener* is one address that clients come to, with one instance of the crate's server behind
//! it. Users, quotas, rules and relay sockets are common to all listeners.

mod config;
mod counters;
mod icmp;
mod relay;
mod request;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use rustc_hash::FxHashMap;
use stun_types::attribute::ErrorCode;
use stun_types::message::{BINDING, Message, MessageClass, TransactionId};
use turn_server_proto::api::{SocketAllocateError, TurnServerApi, TurnServerPollRet};
use turn_server_proto::server::TurnServer as Core;
use turn_server_proto::stun::agent::Transmit;
use turn_server_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, SEND};
use turn_server_proto::types::prelude::DelayedTransmitBuild;
use turn_server_proto::types::{AddressFamily, Instant, TransportType};

use super::stun::{self, parse};
use crate::address::{Address, Endpoint, Family};
use crate::host::{BindError, Input, Io, Program};
use crate::time::Time;

pub use config::{PeerRules, TurnConfig, TurnConfigError};
pub use counters::{ClientTransport, Traffic, TurnCounters, TurnTraffic};
use request::{UserId, Users, Wishes, error_code};

/// How long the crate keeps a channel that isn't bound again (RFC 8656 §12).
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);

/// The crate may ask to be polled now, again and again, until time passes.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// A TURN server.
///
/// ```
/// use pinhole::server::{TurnConfig, TurnServer};
///
/// let config = TurnConfig::new("example.org").with_user("alice", "secret");
/// let server = TurnServer::new(config)?;
/// # fn takes(_: impl pinhole::Program) {}
/// # takes(server);
/// # Ok::<(), pinhole::server::TurnConfigError>(())
/// ```
#[derive(Debug)]
pub struct TurnServer {
    config: TurnConfig,
    users: Users,
    listeners: Vec<Listener>,
    /// Whose a relayed address is. Never iterated, so its order shows nowhere.
    relays: FxHashMap<Endpoint, ClientKey>,
    /// The clients that hold allocations. Never iterated either.
    sessions: FxHashMap<ClientKey, Session>,
    counters: TurnCounters,
    buffer: Vec<u8>,
    bind_error: Option<BindError>,
}

/// An address that clients come to.
#[derive(Debug)]
struct Listener {
    transport: ClientTransport,
    local: SocketAddr,
    /// Made when the first client comes: a key for each user takes microseconds.
    core: Option<Box<Core>>,
    sessions: u32,
    /// When the crate wants to be polled.
    deadline: Option<Time>,
}

impl Listener {
    fn core(&mut self, config: &TurnConfig) -> &mut Core {
        self.core.get_or_insert_with(|| {
            let transport = match self.transport {
                ClientTransport::Udp => TransportType::Udp,
            };
            let mut core = Core::new(transport, self.local, config.realm.clone());
            core.set_nonce_expiry_duration(config.nonce_lifetime);
            for (name, password) in &config.users {
                core.add_user(name.clone(), password.clone());
            }
            Box::new(core)
        })
    }
}

/// A client's 5-tuple: which listener, and the client's address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct ClientKey {
    listener: usize,
    client: Endpoint,
}

/// What is kept of a client with an allocation beside what the crate keeps.
#[derive(Debug)]
struct Session {
    user: UserId,
    relays: Vec<Endpoint>,
    /// Which Allocate request made it, and the response.
    transaction: TransactionId,
    response: Vec<u8>,
    channels: Vec<Channel>,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    number: u16,
    peer: SocketAddr,
    expires: Time,
}

/// A request under way through the crate.
struct Pending<'a> {
    key: ClientKey,
    message: &'a Message<'a>,
    wishes: &'a Wishes,
}

impl TurnServer {
    /// A server set up as `config` says.
    ///
    /// # Errors
    ///
    /// The configuration holds something that the protocol can't carry.
    pub fn new(config: TurnConfig) -> Result<Self, TurnConfigError> {
        config.check()?;
        Ok(TurnServer {
            users: Users::new(&config),
            config,
            listeners: Vec::new(),
            relays: FxHashMap::default(),
            sessions: FxHashMap::default(),
            counters: TurnCounters::default(),
            buffer: Vec::new(),
            bind_error: None,
        })
    }

    /// What it did so far.
    pub fn counters(&self) -> &TurnCounters {
        &self.counters
    }

    /// Why it could not listen, if it could not.
    pub fn bind_error(&self) -> Option<BindError> {
        self.bind_error
    }

    fn start(&mut self, io: &mut Io<'_>) {
        if let Err(error) = io.bind(self.config.port) {
            self.bind_error = Some(error);
            return;
        }
        for address in io.addresses() {
            let local = SocketAddr::new(address.into(), self.config.port);
            let transport = ClientTransport::Udp;
            self.listeners.push(Listener {
                transport,
                local,
                core: None,
                sessions: 0,
                deadline: None,
            });
        }
    }

    /// A datagram from a client.
    fn client_datagram(
        &mut self,
        now: Time,
        key: ClientKey,
        payload: &[u8],
        io: &mut Io<'_>,
    ) -> Result<(), &'static str> {
        // RFC 8656 §12: the first two bits tell STUN from ChannelData.
        match payload.first() {
            Some(0x00..=0x3f) => {
                let message = parse(payload)?;
                match (message.class(), message.method()) {
                    (MessageClass::Request, BINDING) => self.handle_binding(key, &message, io),
                    (MessageClass::Request, _) => self.handle_request(now, key, &message, io),
                    (MessageClass::Indication, BINDING) => {}
                    (MessageClass::Indication, SEND) => {
                        return self.relay_to_peer(now, key, payload, io);
                    }
                    _ => return Err("STUN message that a TURN server has no use for"),
                }
            }
            Some(0x40..=0x7f) => return self.relay_to_peer(now, key, payload, io),
            _ => return Err("neither STUN nor ChannelData"),
        }
        self.traffic(key.listener).client_in.count(payload.len());
        Ok(())
    }

    /// The crate answers Binding requests to its own address, so they are answered here.
    fn handle_binding(&mut self, key: ClientKey, message: &Message<'_>, io: &mut Io<'_>) {
        let mut reply = stun::Reply::new();
        let bytes = reply.plain(message, key.client.into());
        self.send_to_client(key, bytes, io);
    }

    fn handle_request(
        &mut self,
        now: Time,
        key: ClientKey,
        message: &Message<'_>,
        io: &mut Io<'_>,
    ) {
        // The crate forgets what has expired only when polled.
        self.settle(now, key.listener, None, io);
        if message.method() == ALLOCATE
            && let Some(session) = self.sessions.get(&key)
            && session.transaction == message.transaction_id()
        {
            // RFC 8656 §7.2: the response got lost. The crate would answer 437.
            let response = session.response.clone();
            return self.send_to_client(key, &response, io);
        }
        let wishes = Wishes::read(message);
        match self.judge(now, key, message, &wishes) {
            Verdict::Pass => self.run(now, key, message, message.as_bytes(), &wishes, io),
            Verdict::Answer(response) => self.send_to_client(key, &response, io),
        }
    }

    /// Looks for what the crate would grant and must not.
    fn judge(
        &mut self,
        now: Time,
        key: ClientKey,
        message: &Message<'_>,
        wishes: &Wishes,
    ) -> Verdict {
        let asks_for_peers = matches!(message.method(), CREATE_PERMISSION | CHANNEL_BIND);
        let denied = asks_for_peers && wishes.peers.iter().any(|peer| !self.may_reach(*peer));
        let taken = message.method() == CHANNEL_BIND && self.channel_is_taken(now, key, wishes);
        if !denied && !taken {
            return Verdict::Pass;
        }
        let signing = self
            .users
            .claimed(message)
            .map(|user| self.users.key(user, message));
        let Some(signing) = signing.filter(|signing| signing.verifies(message)) else {
            // The crate finds the same, and answers 401.
            return Verdict::Pass;
        };
        let local = self.listeners[key.listener].local;
        let probe = signing.probe(message);
        let transmit = Transmit::new(&probe[..], TransportType::Udp, key.client.into(), local);
        let answer = self.listeners[key.listener]
            .core(&self.config)
            .recv(transmit, instant(now));
        match answer.map(|answer| answer.data.build()) {
            // 400: the sender is in order, and asked for nothing. A taken channel deserves that
            // (RFC 8656 §12.2), a denied peer 403 (§10.2, §12.2).
            Some(response) if denied && error_code(&response) == Some(ErrorCode::BAD_REQUEST) => {
                Verdict::Answer(signing.error(message, ErrorCode::FORBIDDEN))
            }
            Some(response) => Verdict::Answer(response),
            None => Verdict::Pass,
        }
    }

    /// Hands a request to the crate and sends what it answers.
    fn run(
        &mut self,
        now: Time,
        key: ClientKey,
        message: &Message<'_>,
        bytes: &[u8],
        wishes: &Wishes,
        io: &mut Io<'_>,
    ) {
        let local = self.listeners[key.listener].local;
        let transmit = Transmit::new(bytes, TransportType::Udp, key.client.into(), local);
        let answer = self.listeners[key.listener]
            .core(&self.config)
            .recv(transmit, instant(now));
        if let Some(answer) = answer {
            let response = answer.data.build();
            if message.method() == CHANNEL_BIND && error_code(&response).is_none() {
                self.note_channel(now, key, wishes);
            }
            self.send_to_client(key, &response, io);
        }
        self.settle(
            now,
            key.listener,
            Some(Pending {
                key,
                message,
                wishes,
            }),
            io,
        );
    }

    /// Does what the crate asks for: opens and closes relay sockets, sends its answers.
    fn settle(&mut self, now: Time, index: usize, pending: Option<Pending<'_>>, io: &mut Io<'_>) {
        let due = self.listeners[index]
            .deadline
            .is_some_and(|deadline| deadline <= now);
        if pending.is_none() && !due {
            return;
        }
        let mut families = Vec::new();
        let mut quota_reached = false;
        let wait = loop {
            match self.listeners[index].core(&self.config).poll(instant(now)) {
                TurnServerPollRet::AllocateSocket { family, .. } => families.push(family),
                TurnServerPollRet::SocketClose { listen_addr, .. } => {
                    self.close_relay(listen_addr.into(), io);
                }
                // These come of TCP allocations (RFC 6062), which are refused over UDP.
                TurnServerPollRet::TcpConnect { .. } | TurnServerPollRet::TcpClose { .. } => {}
                TurnServerPollRet::WaitUntil(until) => match &pending {
                    Some(pending) if !families.is_empty() => {
                        let asked = std::mem::take(&mut families);
                        quota_reached |= self.allocate(now, pending, &asked, io);
                    }
                    _ => break until,
                },
            }
        };
        while let Some(transmit) = self.listeners[index]
            .core(&self.config)
            .poll_transmit(instant(now))
        {
            let Some(pending) = &pending else { continue };
            let mut response = transmit.data;
            if quota_reached && error_code(&response) == Some(ErrorCode::INSUFFICIENT_CAPACITY) {
                // The crate knows no 486.
                if let Some(user) = self.users.claimed(pending.message) {
                    let signing = self.users.key(user, pending.message);
                    let code = ErrorCode::ALLOCATION_QUOTA_REACHED;
                    response = signing.error(pending.message, code);
                }
            }
            if let Some(session) = self.sessions.get_mut(&pending.key) {
                session.response.clone_from(&response);
            }
            self.send_to_client(pending.key, &response, io);
        }
        // Without allocations nothing can expire, and an idle server must not keep a run alive.
        let until = Time::from_nanos(u64::try_from(wait.as_nanos()).unwrap_or(0));
        let listener = &mut self.listeners[index];
        listener.deadline = (listener.sessions > 0).then(|| until.max(now + SHORTEST_WAIT));
    }

    /// Answers the crate's request for relay sockets. Returns whether the user's quota forbids it.
    fn allocate(
        &mut self,
        now: Time,
        pending: &Pending<'_>,
        families: &[AddressFamily],
        io: &mut Io<'_>,
    ) -> bool {
        let Pending {
            key,
            message,
            wishes,
        } = *pending;
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
        let listener = &mut self.listeners[key.listener];
        let local = listener.local;
        for (family, socket) in sockets {
            listener.core(&self.config).allocated_socket(
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
            listener.sessions += 1;
            *self.users.allocations(user) += 1;
            self.counters.allocations += 1;
            self.counters.active += 1;
            self.relays.extend(relays.iter().map(|relay| (*relay, key)));
            let session = Session {
                user,
                relays,
                transaction: message.transaction_id(),
                response: Vec::new(),
                channels: Vec::new(),
            };
            self.sessions.insert(key, session);
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

    fn close_relay(&mut self, relay: Endpoint, io: &mut Io<'_>) {
        io.close(relay.into());
        let Some(key) = self.relays.remove(&relay) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        session.relays.retain(|other| *other != relay);
        if session.relays.is_empty() {
            let user = session.user;
            self.sessions.remove(&key);
            self.listeners[key.listener].sessions -= 1;
            *self.users.allocations(user) -= 1;
            self.counters.active -= 1;
        }
    }

    fn send_to_client(&mut self, key: ClientKey, bytes: &[u8], io: &mut Io<'_>) {
        if let Some(code) = error_code(bytes) {
            *self.counters.errors.entry(code).or_default() += 1;
        }
        io.send(self.listeners[key.listener].local, key.client.into(), bytes);
        self.traffic(key.listener).client_out.count(bytes.len());
    }

    fn traffic(&mut self, listener: usize) -> &mut TurnTraffic {
        self.counters
            .traffic_mut(self.listeners[listener].transport)
    }

    /// RFC 8656 §12.2: a channel number that is bound to another peer can't be bound. The crate
    /// checks only the other way round, and would send one peer's data to the other.
    fn channel_is_taken(&self, now: Time, key: ClientKey, wishes: &Wishes) -> bool {
        let Some(session) = self.sessions.get(&key) else {
            return false;
        };
        session.channels.iter().any(|channel| {
            Some(channel.number) == wishes.channel
                && wishes.peers.last() != Some(&channel.peer)
                && channel.expires >= now
        })
    }

    fn note_channel(&mut self, now: Time, key: ClientKey, wishes: &Wishes) {
        let (Some(session), Some(number), Some(peer)) = (
            self.sessions.get_mut(&key),
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

/// What to do with a request.
enum Verdict {
    /// The crate's business.
    Pass,
    /// Not granted: this is the answer.
    Answer(Vec<u8>),
}

impl Program for TurnServer {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => self.start(io),
            Input::Datagram(datagram) => {
                let local = Endpoint::from(datagram.local);
                let client = Endpoint::from(datagram.remote);
                let result = if datagram.length != datagram.payload.len() {
                    Err("a size without bytes can't be relayed")
                } else if let Some(key) = self.relays.get(&local).copied() {
                    let (relay, peer) = (datagram.local, datagram.remote);
                    self.peer_datagram(now, key, relay, peer, datagram.payload, io)
                } else if let Some(listener) = self
                    .listeners
                    .iter()
                    .position(|listener| listener.local == datagram.local)
                {
                    let key = ClientKey { listener, client };
                    self.client_datagram(now, key, datagram.payload, io)
                } else {
                    Err("no TURN socket")
                };
                if let Err(why) = result {
                    self.counters.rejected += 1;
                    io.reject(why);
                }
            }
            Input::Wake => {
                for index in 0..self.listeners.len() {
                    self.settle(now, index, None, io);
                }
            }
            Input::Unreachable {
                local,
                remote,
                kind,
            } => {
                self.unreachable(now, local.into(), remote.into(), kind, io);
            }
            Input::Message { .. } | Input::NetworkChanged => {}
        }
        io.wake_at(
            self.listeners
                .iter()
                .filter_map(|listener| listener.deadline)
                .min(),
        );
    }
}

/// The crate's clock. Its end is 292 years after the start; it panics where a sum goes beyond.
fn instant(now: Time) -> Instant {
    const LATEST: u64 = i64::MAX as u64 / 2;
    Instant::from_nanos(now.as_nanos().min(LATEST) as i64)
}
