//! A TURN client (RFC 8656) as an ICE agent's holder needs it, on virtual time.
//!
//! The protocol is `turn-client-proto`'s. [`TurnClient`] drives it: it drains what the crate wants
//! done after every input, so that its holder has three queues to look at and one deadline, which
//! never lies in the past. The holder owns the socket. [`TurnStream`] is the same over TCP and TLS.
//!
//! It keeps to what agents in the field do. A permission is asked for as soon as a remote candidate
//! is known ([`permit`](TurnClient::permit)), and what is sent before the server granted it waits.
//! The selected pair gets a channel ([`bind_channel`](TurnClient::bind_channel)): 4 bytes of
//! overhead a packet instead of 36.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pinhole::Time;
use pinhole::nat64::Prefix64;
use stun_types::attribute::{ErrorCode, XorMappedAddress};
use stun_types::message::{Message, MessageClass, MessageHeader, TransactionId};
use turn_client_proto::api::{
    BindChannelError, CreatePermissionError, Transmit, TurnClientApi, TurnConfig, TurnPollRet,
    TurnRecvRet,
};
use turn_client_proto::prelude::DelayedTransmitBuild;
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::message::ALLOCATE;
use turn_client_proto::types::{AddressFamily, Instant, TransportType, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use crate::stun_client::Retransmission;

mod event;
mod stream;

pub use event::{PeerData, Received, TurnEvent};
pub use stream::{StreamEnd, TurnStream};

/// The time between two requests (RFC 8445 §14.2's Ta). The crate holds back what comes sooner, but
/// lets its retransmission timer run: so it is given the next request only when it will send it.
const PACE: Duration = Duration::from_millis(50);

/// The crate may ask to be polled now, again and again, until time passes.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Datagrams that wait for a permission; of more, the oldest is lost.
const LONGEST_QUEUE: usize = 16;

/// Requests that may be repeated at the same time, and more.
const LONGEST_MEMORY: usize = 64;

const LARGEST_DATAGRAM: usize = 65_507;

/// The crate's two clients. Over TCP it repeats no request: TCP does (RFC 8489 §6.2.2).
#[derive(Debug)]
enum Core {
    Udp(TurnClientUdp),
    Tcp(TurnClientTcp),
}

/// Does the same with either.
macro_rules! core {
    ($core:expr, $client:ident => $does:expr) => {
        match $core {
            Core::Udp($client) => $does,
            Core::Tcp($client) => $does,
        }
    };
}

/// A client of one TURN server, over UDP; within a [`TurnStream`], over TCP or TLS.
///
/// ```
/// use pinhole::Time;
/// use pinhole_scenarios::turn_client::TurnClient;
///
/// let local = "192.168.1.2:40000".parse()?;
/// let server = "192.0.2.1:3478".parse()?;
/// let mut client = TurnClient::new(local, server, "alice", "secret", Time::ZERO);
/// let allocate = client.poll_transmit().unwrap();
/// assert_eq!(allocate[..2], [0, 3]);
/// assert!(client.poll_timeout() > Some(Time::ZERO));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct TurnClient {
    core: Core,
    state: State,
    /// The last Allocate request sent, and whether an earlier one was.
    allocate: Option<TransactionId>,
    allocates: u32,
    /// The last requests, in the order in which they were first sent.
    requests: VecDeque<TransactionId>,
    mapped: Option<SocketAddr>,
    code: Option<u16>,
    /// Asked for, and not yet handed to the crate.
    wanted: VecDeque<Wanted>,
    /// Permissions and channels that were asked for and neither granted nor refused.
    pending: Vec<Wanted>,
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<TurnEvent>,
    last_request: Time,
    deadline: Option<Time>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Allocating,
    Allocated,
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    Permission(IpAddr),
    Channel(SocketAddr),
}

/// Whether a server that is reached at this address is on IPv4.
pub(crate) fn lends_ipv4(server: SocketAddr) -> bool {
    server.is_ipv4() || Prefix64::well_known().contains(server.ip().into())
}

impl TurnClient {
    /// Starts to allocate an address on `server`, of the family of the server's own address; behind
    /// a NAT64, where `server` stands for an IPv4 address, that is IPv4. The first request waits in [`poll_transmit`](TurnClient::poll_transmit).
    pub fn new(
        local: SocketAddr,
        server: SocketAddr,
        user: &str,
        password: &str,
        now: Time,
    ) -> Self {
        let config = TurnClient::config(server, user, password);
        TurnClient::of(
            Core::Udp(TurnClientUdp::allocate(local, server, config)),
            now,
        )
    }

    /// The same over a connection that stands. It takes and gives whole messages: the holder cuts
    /// the stream, and pads what needs padding.
    fn in_stream(
        local: SocketAddr,
        server: SocketAddr,
        user: &str,
        password: &str,
        now: Time,
    ) -> Self {
        let config = TurnClient::config(server, user, password);
        TurnClient::of(
            Core::Tcp(TurnClientTcp::allocate(local, server, config)),
            now,
        )
    }

    fn config(server: SocketAddr, user: &str, password: &str) -> TurnConfig {
        let mut config = TurnConfig::new(TurnCredentials::new(user, password));
        // Its own default waits 8 ms for an answer to the last request, not 16 times 500 ms.
        let Retransmission { rto, count, last } = Retransmission::default();
        config.set_request_retransmits(rto, Duration::MAX, count, rto * last);
        if !lends_ipv4(server) {
            config.set_address_family(AddressFamily::IPV6);
        }
        config
    }

    fn of(core: Core, now: Time) -> Self {
        let mut client = TurnClient {
            core,
            state: State::Allocating,
            allocate: None,
            allocates: 0,
            requests: VecDeque::new(),
            mapped: None,
            code: None,
            wanted: VecDeque::new(),
            pending: Vec::new(),
            waiting: VecDeque::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            last_request: now,
            deadline: None,
        };
        client.drive(now);
        client
    }

    /// The server's address.
    pub fn server(&self) -> SocketAddr {
        core!(&self.core, core => core.remote_addr())
    }

    /// The relayed address, while there is one.
    pub fn relayed(&self) -> Option<SocketAddr> {
        core!(&self.core, core => Some(core.relayed_addresses().next()?.1))
    }

    /// A datagram came from the server, or a message over its stream.
    pub fn handle_datagram<'a>(&mut self, now: Time, payload: &'a [u8]) -> Received<'a> {
        if self.state == State::Closed {
            return Received::Ignored;
        }
        // RFC 8489 §5: the length in the header is the message's. The crate would read attributes
        // on into what follows it.
        if let Ok(header) = MessageHeader::from_bytes(payload) {
            let length = usize::from(header.data_length());
            if length % 4 != 0 || length + MessageHeader::LENGTH != payload.len() {
                return Received::Ignored;
            }
            if self.state == State::Allocating
                && header.get_type().method() == ALLOCATE
                && self.look_at_response(payload)
            {
                self.close();
                return Received::Handled;
            }
        }
        let received = core!(&mut self.core, core => {
            let (local, server) = (core.local_addr(), core.remote_addr());
            let transmit = Transmit::new(payload, core.transport(), server, local);
            core.recv(transmit, instant(now))
        });
        match received {
            TurnRecvRet::Handled => {
                self.drive(now);
                Received::Handled
            }
            TurnRecvRet::PeerData(data) => Received::Peer(PeerData(data)),
            TurnRecvRet::PeerIcmp { peer, .. } => Received::PeerUnreachable(peer),
            TurnRecvRet::Ignored(_) => Received::Ignored,
        }
    }

    /// Notes what the crate doesn't report of a response to Allocate: the mapped address, the code
    /// of an error. Returns whether it says that the credentials are wrong (RFC 8489 §9.2.5): a 401
    /// to a request that carried them. The crate ignores that one, for it is not signed, and would
    /// repeat the request for 39.5 s.
    fn look_at_response(&mut self, payload: &[u8]) -> bool {
        let Ok(message) = Message::from_bytes(payload) else {
            return false;
        };
        match message.class() {
            MessageClass::Success => {
                let mapped = message.attribute::<XorMappedAddress>().ok();
                self.mapped = mapped.map(|mapped| mapped.addr(message.transaction_id()));
                false
            }
            MessageClass::Error => {
                let code = message
                    .attribute::<ErrorCode>()
                    .ok()
                    .map(|error| error.code());
                self.code = code;
                code == Some(ErrorCode::UNAUTHORIZED)
                    && self.allocates > 1
                    && self.allocate == Some(message.transaction_id())
            }
            MessageClass::Request | MessageClass::Indication => false,
        }
    }

    /// ICMP reported that the server isn't there.
    pub fn handle_unreachable(&mut self) {
        self.close();
    }

    /// The time that [`poll_timeout`](TurnClient::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.drive(now);
        }
    }

    /// Asks for a permission for `peer`, and keeps it alive. Before there is an allocation, the wish
    /// is kept. Asking twice asks once.
    pub fn permit(&mut self, peer: IpAddr, now: Time) {
        if !core!(&self.core, core => core.have_permission(TransportType::Udp, peer)) {
            self.want(Wanted::Permission(peer), now);
        }
    }

    /// Asks for a channel to `peer`, and keeps it alive. Asking twice asks once.
    pub fn bind_channel(&mut self, peer: SocketAddr, now: Time) {
        self.want(Wanted::Channel(peer), now);
    }

    fn want(&mut self, wanted: Wanted, now: Time) {
        // The crate would bind a second channel to a peer whose first is not confirmed yet.
        if self.state != State::Closed && !self.pending.contains(&wanted) {
            self.pending.push(wanted);
            self.wanted.push_back(wanted);
            self.drive(now);
        }
    }

    /// Sends `bytes` to `peer` through the relay. Where the permission for it is still to be
    /// granted, or even to be asked for, that happens first, and `bytes` wait.
    pub fn send_to(&mut self, peer: SocketAddr, bytes: &[u8], now: Time) {
        if self.state == State::Closed {
            return;
        }
        let udp = TransportType::Udp;
        match core!(&mut self.core, core => core.send_to(udp, peer, bytes, instant(now))) {
            Ok(Some(transmit)) if transmit.data.len() <= LARGEST_DATAGRAM => {
                self.transmits.push_back(transmit.data.build());
            }
            // No datagram can hold it.
            Ok(_) => {}
            Err(_) => {
                if self.waiting.len() == LONGEST_QUEUE {
                    self.waiting.pop_front();
                }
                self.waiting.push_back((peer, bytes.to_vec()));
                self.permit(peer.ip(), now);
            }
        }
    }

    /// Gives the allocation back (RFC 8656 §8: a Refresh with lifetime 0). What the server answers
    /// is reported as [`TurnEvent::Closed`].
    pub fn delete(&mut self, now: Time) {
        self.wanted.clear();
        self.waiting.clear();
        match core!(&mut self.core, core => core.delete(instant(now))) {
            Ok(()) => self.drive(now),
            Err(_) => self.close(),
        }
    }

    /// The next datagram for the server.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// The next thing to report.
    pub fn poll_event(&mut self) -> Option<TurnEvent> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](TurnClient::handle_timeout). Later than the last call that
    /// was given a time.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.deadline
    }

    fn close(&mut self) {
        match self.state {
            State::Allocating => {
                self.events
                    .push_back(TurnEvent::AllocationFailed { code: self.code });
            }
            State::Allocated => self.events.push_back(TurnEvent::Closed),
            State::Closed => return,
        }
        self.state = State::Closed;
        self.deadline = None;
        self.wanted.clear();
        self.waiting.clear();
        self.pending.clear();
    }

    /// Lets the crate do all that it can do now, and finds out when it can do more.
    fn drive(&mut self, now: Time) {
        let mut before = None;
        // Two or three rounds are the rule; an end there must be.
        for _ in 0..32 {
            let idle = !self.drain(now);
            if self.state == State::Closed {
                return;
            }
            self.ask_for_what_is_wanted(now);
            let wait = match core!(&mut self.core, core => core.poll(instant(now))) {
                TurnPollRet::WaitUntil(wait) => wait,
                TurnPollRet::Closed => {
                    self.drain(now);
                    return self.close();
                }
                // These come of TCP allocations (RFC 6062), which aren't asked for.
                TurnPollRet::AllocateTcpSocket { .. } | TurnPollRet::TcpClose { .. } => continue,
            };
            let wait = Time::from_nanos(u64::try_from(wait.as_nanos()).unwrap_or(0));
            let next_ask = self.next_ask().unwrap_or(Time::MAX);
            self.deadline = Some(wait.min(next_ask).max(now + SHORTEST_WAIT));
            // A poll that gives up one request forgets when the others are to be repeated: only
            // one that changed nothing tells the time.
            if idle && wait > now && before == Some(wait) {
                return;
            }
            before = Some(wait);
        }
    }

    /// Takes what the crate has to send and to report. Returns whether it had anything.
    fn drain(&mut self, now: Time) -> bool {
        let before = self.transmits.len();
        while let Some(transmit) = core!(&mut self.core, core => core.poll_transmit(instant(now))) {
            self.last_request = now;
            self.note_request(&transmit.data);
            self.transmits.push_back(transmit.data.to_vec());
        }
        let mut any = self.transmits.len() > before;
        if self.transmits.len() > before + 1 {
            // Requests that are repeated at the same time come in the order of their ids, which
            // are random: one seed would no longer mean one run.
            let requests = &self.requests;
            self.transmits.make_contiguous()[before..].sort_by_key(|bytes| {
                requests
                    .iter()
                    .position(|id| Some(*id) == transaction(bytes))
            });
        }
        while let Some(event) = core!(&mut self.core, core => core.poll_event()) {
            any = true;
            self.handle_event(event, now);
        }
        any
    }

    fn note_request(&mut self, bytes: &[u8]) {
        let Ok(header) = MessageHeader::from_bytes(bytes) else {
            return;
        };
        let id = header.transaction_id();
        if self.requests.contains(&id) {
            return;
        }
        if self.requests.len() == LONGEST_MEMORY {
            self.requests.pop_front();
        }
        self.requests.push_back(id);
        if header.get_type().method() == ALLOCATE {
            self.allocate = Some(id);
            self.allocates += 1;
        }
    }

    fn handle_event(&mut self, event: turn_client_proto::api::TurnEvent, now: Time) {
        use turn_client_proto::api::TurnEvent as Theirs;
        let event = match event {
            Theirs::AllocationCreated(_, relayed) => {
                self.state = State::Allocated;
                TurnEvent::Allocated {
                    relayed,
                    mapped: self.mapped,
                }
            }
            Theirs::AllocationCreateFailed(_) => return self.close(),
            Theirs::PermissionCreated(_, peer) => {
                self.settled(Wanted::Permission(peer));
                self.send_what_waited(peer, now);
                TurnEvent::PermissionCreated { peer }
            }
            Theirs::PermissionCreateFailed(_, peer) => return self.permission_failed(peer),
            Theirs::ChannelCreated(_, peer) => {
                self.settled(Wanted::Channel(peer));
                TurnEvent::ChannelBound { peer }
            }
            Theirs::ChannelCreateFailed(_, peer) => return self.channel_failed(peer),
            Theirs::TcpConnected(_) | Theirs::TcpConnectFailed(_) => return,
        };
        self.events.push_back(event);
    }

    fn settled(&mut self, wanted: Wanted) {
        self.pending.retain(|pending| *pending != wanted);
    }

    fn permission_failed(&mut self, peer: IpAddr) {
        self.settled(Wanted::Permission(peer));
        self.waiting.retain(|(waiting, _)| waiting.ip() != peer);
        self.events.push_back(TurnEvent::PermissionFailed { peer });
    }

    fn channel_failed(&mut self, peer: SocketAddr) {
        self.settled(Wanted::Channel(peer));
        self.events.push_back(TurnEvent::ChannelFailed { peer });
    }

    fn send_what_waited(&mut self, peer: IpAddr, now: Time) {
        let (ready, rest) = self.waiting.drain(..).partition(|(to, _)| to.ip() == peer);
        self.waiting = rest;
        let ready: VecDeque<_> = ready;
        for (to, bytes) in ready {
            self.send_to(to, &bytes, now);
        }
    }

    /// When the next of the wishes may be asked for.
    fn next_ask(&self) -> Option<Time> {
        let asks = self.state == State::Allocated && !self.wanted.is_empty();
        asks.then(|| self.last_request + PACE)
    }

    fn ask_for_what_is_wanted(&mut self, now: Time) {
        while self.next_ask().is_some_and(|next| next <= now) {
            let Some(wanted) = self.wanted.pop_front() else {
                return;
            };
            self.ask_for(wanted, now);
            self.drain(now);
        }
    }

    fn ask_for(&mut self, wanted: Wanted, now: Time) {
        let udp = TransportType::Udp;
        match wanted {
            Wanted::Permission(peer) => {
                match core!(&mut self.core, core => core.create_permission(udp, peer, instant(now)))
                {
                    Ok(()) => {}
                    Err(CreatePermissionError::AlreadyExists) => self.settled(wanted),
                    // The peer's address is of the other family.
                    Err(_) => self.permission_failed(peer),
                }
            }
            Wanted::Channel(peer) => {
                match core!(&mut self.core, core => core.bind_channel(udp, peer, instant(now))) {
                    Ok(()) => {}
                    Err(BindChannelError::AlreadyExists) => self.settled(wanted),
                    // The other family, or the channel ran out less than five minutes ago (RFC 8656 §12).
                    Err(_) => self.channel_failed(peer),
                }
            }
        }
    }
}

fn transaction(bytes: &[u8]) -> Option<TransactionId> {
    MessageHeader::from_bytes(bytes)
        .ok()
        .map(|header| header.transaction_id())
}

/// The crate's clock. Its end is 292 years after the start; it panics where a sum goes beyond.
fn instant(now: Time) -> Instant {
    const LATEST: u64 = i64::MAX as u64 / 2;
    Instant::from_nanos(now.as_nanos().min(LATEST) as i64)
}

#[cfg(test)]
mod tests;
