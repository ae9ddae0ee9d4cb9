//! A TURN server (RFC 8656) over UDP, TCP and TLS, with long-term credentials.
//!
//! Authentication, allocations, permissions, channels and their lifetimes are `turn-server-proto`'s.
//! This program gives it sockets and time, and adds what it leaves out: quotas (486), peer rules
//! (403), EVEN-PORT, answers to retransmitted Allocate requests, Binding requests, a watch over
//! channel numbers, and streams. What it doesn't do: reservation tokens (508), DONT-FRAGMENT,
//! mobility, TCP allocations (RFC 6062), DTLS.
//!
//! ```text
//!   client ──datagram──▶ listener ────────────────▶ inspected ──▶ crate ──▶ relay socket ──▶ peer
//!          ──stream────▶ listener ─[TLS]─▶ framing ──▶ ⏶
//!   client ◀──datagram or stream── listener ◀──────────────────── crate ◀── relay socket ◀── peer
//! ```
//!
//! A *listener* is one address and transport that clients come to. Users, quotas, rules and relay
//! sockets are common to all listeners. Every client, which is a 5-tuple, has an instance of the
//! crate's server of its own: see [`clients`].
//!
//! Over a stream the connection is part of the 5-tuple: when it ends, so does the allocation. A
//! client that reads slowly loses data, not control; one that allocates nothing for 30 s is cut
//! off; bytes that are no TURN message end the connection, for the next message can't be found.

mod allocation;
mod clients;
mod config;
mod connection;
mod counters;
mod framing;
mod icmp;
mod relay;
mod request;
mod security;
mod streams;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use rustc_hash::FxHashMap;
use stun_types::attribute::ErrorCode;
use stun_types::message::{BINDING, Message, MessageClass};
use turn_server_proto::api::{TurnServerApi, TurnServerPollRet};
use turn_server_proto::stun::agent::Transmit;
use turn_server_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, SEND};
use turn_server_proto::types::prelude::DelayedTransmitBuild;
use turn_server_proto::types::{Instant, TransportType};

use super::stun::{self, parse};
use crate::address::Endpoint;
use crate::host::{BindError, Input, Io, Program};
use crate::time::Time;

pub use config::{PeerRules, TurnConfig, TurnConfigError};
pub use counters::{ClientTransport, Traffic, TurnCounters, TurnTraffic};
pub use framing::{LostFraming, StreamFraming};
pub use security::{SecureServer, SecurityFailure, StreamSecurity};

use clients::{ClientKey, Clients};
use connection::Room;
use request::{Users, Wishes, error_code};
use streams::Streams;

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
    tls: Option<(u16, Box<dyn SecureServer>)>,
    users: Users,
    listeners: Vec<Listener>,
    /// Whose a relayed address is. Never iterated, so its order shows nowhere.
    relays: FxHashMap<Endpoint, ClientKey>,
    clients: Clients,
    streams: Streams,
    counters: TurnCounters,
    buffer: Vec<u8>,
    bind_error: Option<BindError>,
}

/// An address that clients come to.
#[derive(Debug)]
struct Listener {
    transport: ClientTransport,
    local: SocketAddr,
}

/// A request under way through the crate.
struct Pending<'a> {
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
            tls: None,
            listeners: Vec::new(),
            relays: FxHashMap::default(),
            clients: Clients::default(),
            streams: Streams::default(),
            counters: TurnCounters::default(),
            buffer: Vec::new(),
            bind_error: None,
        })
    }

    /// The same, listening for TLS on this TCP port too: 443 where only the web's ports are open,
    /// 5349 by the book (RFC 8656 §6). Goes before the server is attached.
    #[must_use]
    pub fn with_tls(mut self, port: u16, security: impl SecureServer + 'static) -> Self {
        self.tls = Some((port, Box::new(security)));
        self
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
        if self.config.tcp_port.is_some() || self.tls.is_some() {
            io.tcp_settings(self.config.tcp);
        }
        let tls = self.tls.as_ref().map(|(port, _)| *port);
        let ports = [self.config.udp_port, self.config.tcp_port, tls];
        for (transport, port) in ClientTransport::ALL.into_iter().zip(ports) {
            let Some(port) = port else { continue };
            let bound = match transport {
                ClientTransport::Udp => io.bind(port),
                ClientTransport::Tcp | ClientTransport::Tls => io.tcp_listen(port),
            };
            if let Err(error) = bound {
                self.bind_error = Some(error);
                continue;
            }
            for address in io.addresses() {
                let local = SocketAddr::new(address.into(), port);
                self.listeners.push(Listener { transport, local });
            }
        }
    }

    /// The listener at an address: the one for datagrams, or the one for streams.
    fn listener(&self, local: SocketAddr, datagrams: bool) -> Option<usize> {
        self.listeners.iter().position(|listener| {
            listener.local == local && (listener.transport == ClientTransport::Udp) == datagrams
        })
    }

    /// A datagram from a client, or a message from its stream.
    fn client_message(
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
        self.settle(now, key, None, io);
        if message.method() == ALLOCATE
            && let Some(session) = self.clients.session_mut(key)
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

    /// Hands a request to the crate.
    fn ask(
        &mut self,
        now: Time,
        key: ClientKey,
        message: &Message<'_>,
        bytes: &[u8],
    ) -> Option<Vec<u8>> {
        let local = self.listeners[key.listener].local;
        let (config, users) = (&self.config, &self.users);
        let client = self.clients.meet(now, key, local, message, config, users);
        let transmit = Transmit::new(bytes, TransportType::Udp, key.client.into(), local);
        let answer = client.core.recv(transmit, instant(now))?;
        Some(answer.data.build())
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
        let probe = signing.probe(message);
        match self.ask(now, key, message, &probe) {
            // 400: the sender is in order, and asked for nothing. A taken channel deserves that
            // (RFC 8656 §12.2), a denied peer 403 (§10.2, §12.2).
            Some(response) if denied && error_code(&response) == Some(ErrorCode::BAD_REQUEST) => {
                Verdict::Answer(signing.error(message, ErrorCode::FORBIDDEN))
            }
            Some(response) => Verdict::Answer(response),
            None => Verdict::Pass,
        }
    }

    /// Hands a request to the crate, sends what it answers and does what it wants done.
    fn run(
        &mut self,
        now: Time,
        key: ClientKey,
        message: &Message<'_>,
        bytes: &[u8],
        wishes: &Wishes,
        io: &mut Io<'_>,
    ) {
        if let Some(response) = self.ask(now, key, message, bytes) {
            if message.method() == CHANNEL_BIND && error_code(&response).is_none() {
                self.note_channel(now, key, wishes);
            }
            self.send_to_client(key, &response, io);
        }
        self.settle(now, key, Some(Pending { message, wishes }), io);
    }

    /// Does what the crate asks for: opens and closes relay sockets, sends its answers.
    fn settle(&mut self, now: Time, key: ClientKey, pending: Option<Pending<'_>>, io: &mut Io<'_>) {
        let due = self.clients.deadline(key).is_some_and(|when| when <= now);
        if pending.is_none() && !due {
            return;
        }
        let mut families = Vec::new();
        let mut quota_reached = false;
        let wait = loop {
            let Some(client) = self.clients.get_mut(key) else {
                return;
            };
            match client.core.poll(instant(now)) {
                TurnServerPollRet::AllocateSocket { family, .. } => families.push(family),
                TurnServerPollRet::SocketClose { listen_addr, .. } => {
                    self.close_relay(now, listen_addr.into(), io);
                }
                // These come of TCP allocations (RFC 6062), which are refused.
                TurnServerPollRet::TcpConnect { .. } | TurnServerPollRet::TcpClose { .. } => {}
                TurnServerPollRet::WaitUntil(until) => match &pending {
                    Some(pending) if !families.is_empty() => {
                        let asked = std::mem::take(&mut families);
                        quota_reached |= self.allocate(now, key, pending, &asked, io);
                    }
                    _ => break until,
                },
            }
        };
        while let Some(client) = self.clients.get_mut(key)
            && let Some(transmit) = client.core.poll_transmit(instant(now))
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
            if let Some(session) = self.clients.session_mut(key) {
                session.response.clone_from(&response);
            }
            self.send_to_client(key, &response, io);
        }
        // Without an allocation nothing can expire, and an idle server must not keep a run alive.
        let until = Time::from_nanos(u64::try_from(wait.as_nanos()).unwrap_or(0));
        let allocated = self.clients.session_mut(key).is_some();
        let deadline = allocated.then(|| until.max(now + SHORTEST_WAIT));
        self.clients.set_deadline(key, deadline);
    }

    /// Sends what isn't a peer's data: it is never dropped for want of room.
    fn send_to_client(&mut self, key: ClientKey, bytes: &[u8], io: &mut Io<'_>) {
        if let Some(code) = error_code(bytes) {
            *self.counters.errors.entry(code).or_default() += 1;
        }
        if self.transmit(key, bytes, io) == Room::Enough {
            self.traffic(key.listener).client_out.count(bytes.len());
        }
    }

    /// Sends a message to a client, over what it came by.
    fn transmit(&mut self, key: ClientKey, bytes: &[u8], io: &mut Io<'_>) -> Room {
        let listener = &self.listeners[key.listener];
        match listener.transport {
            ClientTransport::Udp => {
                io.send(listener.local, key.client.into(), bytes);
                Room::Enough
            }
            ClientTransport::Tcp | ClientTransport::Tls => self.streams.send(key, bytes, io),
        }
    }

    fn traffic(&mut self, listener: usize) -> &mut TurnTraffic {
        self.counters
            .traffic_mut(self.listeners[listener].transport)
    }

    /// Lets those clients have their turn whose time has come.
    fn wake(&mut self, now: Time, io: &mut Io<'_>) {
        while let Some((when, key)) = self.clients.next_deadline()
            && when <= now
        {
            self.settle(now, key, None, io);
        }
        while let Some(key) = self.streams.out_of_patience(now) {
            self.hang_up(now, key, io);
        }
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
                } else if let Some(listener) = self.listener(datagram.local, true) {
                    let key = ClientKey { listener, client };
                    self.client_message(now, key, datagram.payload, io)
                } else {
                    Err("no TURN socket")
                };
                if let Err(why) = result {
                    self.counters.rejected += 1;
                    io.reject(why);
                }
            }
            Input::Tcp { stream, event } => self.stream_event(now, stream, event, io),
            Input::Wake => self.wake(now, io),
            Input::Unreachable {
                local,
                remote,
                kind,
                ..
            } => {
                self.unreachable(now, local.into(), remote.into(), kind, io);
            }
            Input::Message { .. } | Input::EchoReply(_) | Input::NetworkChanged => {}
        }
        let client = self.clients.next_deadline().map(|(when, _)| when);
        let stream = self.streams.next_deadline();
        io.wake_at(client.into_iter().chain(stream).min());
    }
}

/// The crate's clock. Its end is 292 years after the start; it panics where a sum goes beyond.
fn instant(now: Time) -> Instant {
    const LATEST: u64 = i64::MAX as u64 / 2;
    Instant::from_nanos(now.as_nanos().min(LATEST) as i64)
}
