//! One ICE-connected transport (RFC 8445): a stack, the sockets and relays that it sends through, and
//! what both ends have to tell each other about them.
//!
//! Sans-IO, as the stacks are: the holder hands in what happened, then lets it
//! [`advance`](IceTransport::advance) and [`flush`](IceTransport::flush), and takes what it has to
//! say. Between these two the holder's own packets go out.

mod nat64;
mod negotiation;
mod upkeep;

use std::collections::VecDeque;
use std::net::SocketAddr;

use pinhole::{Datagram, Io, TcpEvent, TcpId, Time};

pub use self::upkeep::DEAFNESS;
use super::config::TransportConfig;
use super::event::{Milestone, TransportEvent};
use super::gathering::{Relayed, StreamEnds, Taken, TurnConnection};
use super::signaling::Signal;
use super::sockets::{ANY_PORT, Sockets};
use crate::ice::{Guarded, IceAgent, SignaledCandidate};
use crate::turn_client::PeerData;

/// How an answer to a check begins (RFC 8489 §5).
const BINDING_SUCCESS: [u8; 2] = [1, 1];

/// The pair in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pair {
    local: SocketAddr,
    remote: SocketAddr,
    /// Whether it goes over a relay of this side's.
    relayed: bool,
}

impl Pair {
    fn addresses(self) -> (SocketAddr, SocketAddr) {
        (self.local, self.remote)
    }
}

/// One end of an ICE-connected transport.
pub struct IceTransport {
    config: TransportConfig,
    agent: Option<Guarded>,
    /// When the agent wants to be woken.
    agent_due: Option<Time>,
    sockets: Sockets,
    /// Candidates to be signaled with the description.
    untold: Vec<SignaledCandidate>,
    described: bool,
    /// It made an offer, or is about to, and has no answer yet.
    expects_answer: bool,
    /// A restart has become necessary before that answer.
    owes_restart: bool,
    /// It asked the other side for a restart, and has no offer yet.
    asked: bool,
    pair: Option<Pair>,
    was_connected: bool,
    /// When a check was last answered on the pair.
    consented: Time,
    /// Whether the other side's packets come.
    heard: bool,
    /// When it is to fall back on relays, if it hears nothing from the other side until then.
    falls_back: Option<Time>,
    /// Whether only relayed candidates count, after a pair turned out to be deaf.
    only_relays: bool,
    signals: VecDeque<Signal>,
    events: VecDeque<TransportEvent>,
}

/// What a datagram turned out to be.
pub(crate) enum Received<'a> {
    /// The application's.
    Application(Bytes<'a>),
    /// This transport's own business.
    Handled,
    /// Nobody's.
    Refused(&'static str),
}

/// A packet's bytes, as they are or out of TURN's wrapping.
pub(crate) enum Bytes<'a> {
    Bare(&'a [u8]),
    Relayed(PeerData<'a>),
}

impl Bytes<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Bytes::Bare(bytes) => bytes,
            Bytes::Relayed(data) => data.bytes(),
        }
    }
}

/// RFC 7983 §7: whether a datagram is RTP or RTCP.
fn is_media(payload: &[u8]) -> bool {
    matches!(payload.first(), Some(128..=191))
}

/// The same: whether it is STUN.
fn is_stun(payload: &[u8]) -> bool {
    matches!(payload.first(), Some(0..=3))
}

impl IceTransport {
    /// A transport that waits for [`begin`](IceTransport::begin), or for an offer.
    pub fn new(config: TransportConfig) -> Self {
        IceTransport {
            config,
            agent: None,
            agent_due: None,
            sockets: Sockets::default(),
            untold: Vec::new(),
            described: false,
            expects_answer: false,
            owes_restart: false,
            asked: false,
            pair: None,
            was_connected: false,
            consented: Time::ZERO,
            heard: false,
            falls_back: None,
            only_relays: false,
            signals: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Makes its stack and gathers candidates. It makes an offer, or answers the one that it heard.
    pub fn begin(&mut self, now: Time, io: &mut Io<'_>) {
        self.reached(Milestone::Began);
        let agent = (self.config.stack).agent(now, self.config.role, self.config.seed);
        self.agent = Some(Guarded::new(agent));
        self.expects_answer = self.config.offers;
        let port = self.config.port.unwrap_or(ANY_PORT);
        let sockets = self.sockets.current_mut();
        sockets.begin(now, &self.config.servers, port, io);
        self.take_candidates(now);
    }

    /// What the stack said when it panicked, if it did.
    pub fn panic(&self) -> Option<&str> {
        self.agent.as_ref()?.panic()
    }

    /// Whether packets can be sent now.
    pub fn is_connected(&self) -> bool {
        self.pair.is_some()
    }

    /// Whether they go over a TURN server of this side's.
    pub fn is_relayed(&self) -> bool {
        self.pair.is_some_and(|pair| pair.relayed)
    }

    /// From where to where packets go that need no wrapping: unless over a relay of this side's.
    pub fn direct(&self) -> Option<(SocketAddr, SocketAddr)> {
        let pair = self.pair.filter(|pair| !pair.relayed)?;
        Some(pair.addresses())
    }

    /// Whether an address is one that a TURN server lent to this side.
    pub fn relays(&self, local: SocketAddr) -> bool {
        self.sockets.relays(local)
    }

    /// The connection to a TURN server that packets go through, if they go over TCP or TLS.
    pub fn streams_through(&self) -> Option<StreamEnds> {
        let pair = self.pair.filter(|pair| pair.relayed)?;
        self.sockets.stream_under(pair.local)
    }

    /// The connections to TURN servers that were asked for since the last restart.
    pub fn turn_connections(&self) -> impl Iterator<Item = &TurnConnection> {
        self.sockets.current().connections()
    }

    /// The ports of its sockets: of now, and of before the last restart.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        self.sockets.ports()
    }

    /// Whether that is one of its connections to TURN servers.
    pub(super) fn holds(&self, stream: TcpId) -> bool {
        self.sockets.holds(stream)
    }

    /// The next thing to tell the other side.
    pub fn poll_signal(&mut self) -> Option<Signal> {
        self.signals.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        self.events.pop_front()
    }

    /// Sends a packet on the pair in use; over a relay it leaves when it is next
    /// [flushed](IceTransport::flush). Returns whether there was a pair.
    pub fn send(&mut self, now: Time, payload: &[u8], io: &mut Io<'_>) -> bool {
        let Some(pair) = self.pair else {
            return false;
        };
        if pair.relayed {
            let under = self.sockets.under(pair.local);
            under.send(now, pair.local, pair.remote, payload, io);
        } else {
            io.send(pair.local, pair.remote, payload);
        }
        true
    }

    /// A datagram came in on one of its ports.
    pub(crate) fn receive<'a>(&mut self, now: Time, datagram: &Datagram<'a>) -> Received<'a> {
        // The path of almost every packet.
        if is_media(datagram.payload) {
            return Received::Application(Bytes::Bare(datagram.payload));
        }
        match self.sockets.handle_datagram(now, datagram) {
            Taken::Yes => Received::Handled,
            Taken::No => self.take_stun(now, datagram.local, datagram.remote, datagram.payload),
            Taken::Relayed {
                local,
                remote,
                data,
            } => {
                if is_media(data.bytes()) {
                    return Received::Application(Bytes::Relayed(data));
                }
                self.take_stun(now, local, remote, data.bytes())
            }
        }
    }

    fn take_stun(
        &mut self,
        now: Time,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
    ) -> Received<'static> {
        if !is_stun(payload) {
            return Received::Refused("neither STUN nor TURN nor media (RFC 7983)");
        }
        let in_use = self.pair.map(Pair::addresses) == Some((local, remote));
        if in_use && payload.starts_with(&BINDING_SUCCESS) {
            self.consented = now;
        }
        match &mut self.agent {
            Some(agent) => {
                agent.handle_datagram(now, local, remote, payload);
                Received::Handled
            }
            None => Received::Refused("STUN before the call began"),
        }
    }

    /// Media came for it, which its holder has taken for the other side's: the pair isn't deaf.
    pub fn hear_media(&mut self) {
        self.heard = true;
    }

    /// Something happened to a connection. What came through it is to be
    /// [polled](IceTransport::poll_streamed).
    pub fn handle_tcp(&mut self, now: Time, stream: TcpId, event: TcpEvent<'_>) {
        self.sockets.handle_tcp(now, stream, event);
    }

    /// The next packet of the application's that came through a connection to a TURN server.
    pub fn poll_streamed(&mut self, now: Time) -> Option<Relayed> {
        while let Some(relayed) = self.sockets.poll_relayed() {
            if is_media(&relayed.payload) {
                return Some(relayed);
            }
            // There is no datagram to refuse.
            self.take_stun(now, relayed.local, relayed.remote, &relayed.payload);
        }
        None
    }

    /// ICMP says that nobody is at `remote`.
    pub fn handle_unreachable(&mut self, local: SocketAddr, remote: SocketAddr) {
        self.sockets.handle_unreachable(local, remote);
    }

    /// The time that [`poll_timeout`](IceTransport::poll_timeout) named has come, or another that
    /// the holder wanted to be woken at.
    pub fn handle_timeout(&mut self, now: Time) {
        self.sockets.handle_timeout(now);
        // Not for the sake of data or of a server: a stack may act on a wake of its own only.
        if let Some(agent) = &mut self.agent
            && self.agent_due.is_some_and(|due| due <= now)
        {
            agent.handle_timeout(now);
        }
    }

    /// Lets the servers' clients and the stack do what has become due, after anything has happened,
    /// and draws the consequences. To be followed by [`flush`](IceTransport::flush).
    pub fn advance(&mut self, now: Time, io: &mut Io<'_>) {
        // What the servers granted first: it may be a candidate.
        self.sockets.current_mut().transmit(now, io);
        self.take_candidates(now);
        if let Some(agent) = &mut self.agent {
            let sockets = self.sockets.current_mut();
            while let Some(transmit) = agent.poll_transmit() {
                let (source, destination) = (transmit.source, transmit.destination);
                sockets.send(now, source, destination, &transmit.payload, io);
            }
        }
        self.take_events(now, io);
        self.mind_consent(now);
        self.mind_deafness(now, io);
    }

    /// Sends what waits for its way to a server, and asks the stack when it wants to be woken.
    pub fn flush(&mut self, now: Time, io: &mut Io<'_>) {
        self.transmit(now, io);
        self.agent_due = self.agent.as_mut().and_then(|it| it.poll_timeout(now));
    }

    /// Sends what waits for its way to a server.
    pub(super) fn transmit(&mut self, now: Time, io: &mut Io<'_>) {
        self.sockets.transmit(now, io);
    }

    /// When to call [`handle_timeout`](IceTransport::handle_timeout), and then
    /// [`advance`](IceTransport::advance).
    pub fn poll_timeout(&self) -> Option<Time> {
        let times = [self.agent_due, self.sockets.poll_timeout(), self.falls_back];
        times.into_iter().flatten().min()
    }

    fn reached(&mut self, milestone: Milestone) {
        self.events.push_back(TransportEvent::Reached(milestone));
    }
}
