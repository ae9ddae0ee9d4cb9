//! Gathering candidates (RFC 8445 §5.1.1): the host's own addresses, what a STUN server sees of
//! them, and addresses on a TURN server. Everything goes over the virtual network.
//!
//! One socket serves all of it, as in the field: checks, STUN and TURN leave from the same port, so
//! that what a STUN server learns of a NAT's mapping is what peers will meet.
//!
//! TURN over TCP and TLS is for networks that let no UDP out. Each way to a server is tried only
//! when the one before has failed or been silent for [`PATIENCE`], in the manner of RFC 8305: UDP,
//! TCP, TLS. So where UDP works a call costs what it would without them, and the ICE stack has one
//! relayed candidate to check and not three. Browsers try all at once; they win half a second on
//! such networks, and pay on all others. What comes later also gets the lower local preference from
//! the stacks that look at the order (RFC 8445 §5.1.2.1), which is the order wanted.

mod relay;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pinhole::host::TcpSettings;
use pinhole::{Address, Datagram, Endpoint, Io, TcpEvent, TcpId, Time};

use self::relay::Relay;
pub use self::relay::{Relayed, StreamEnds, TurnConnection};
use super::servers::{Servers, TurnAccess, TurnTransport};
use crate::ice::{Candidate, CandidateType};
use crate::stun_client::{BindingOutcome, BindingRequest, Retransmission, StunTransaction};
use crate::turn_client::{PeerData, Received, TurnEvent};

/// How long a way to a TURN server may be silent before the next is tried too: the time after which
/// a first request over UDP is repeated (RFC 8489 §6.2.1).
pub const PATIENCE: Duration = Duration::from_millis(500);

/// The sockets of an endpoint, what it learns about them, and the relays it holds.
#[derive(Default)]
pub(crate) struct Gathering {
    port: u16,
    probes: Vec<Probe>,
    relays: Vec<Relay>,
    /// Addresses of the other side that were learned before there was a relay to permit them on.
    peers: Vec<IpAddr>,
    found: Vec<Candidate>,
    /// What came through connections.
    came: VecDeque<Relayed>,
}

/// A Binding transaction from one socket to one STUN server.
struct Probe {
    socket: SocketAddr,
    server: SocketAddr,
    transaction: StunTransaction,
    over: bool,
}

/// Whose a datagram was.
pub(crate) enum Taken<'a> {
    /// A server's answer: it is dealt with.
    Yes,
    /// Not a server's: it is for ICE, or it is data.
    No,
    /// It carried a peer's datagram over a relay.
    Relayed {
        /// The relayed address it was sent to.
        local: SocketAddr,
        /// The peer.
        remote: SocketAddr,
        /// What the TURN server had wrapped.
        data: PeerData<'a>,
    },
}

impl Gathering {
    /// Binds a socket to this port, 0 for any, on each of the host's addresses and asks every server
    /// that it can reach.
    pub(crate) fn begin(&mut self, now: Time, servers: &Servers, port: u16, io: &mut Io<'_>) {
        let streams = |turn: &TurnAccess| turn.transport != TurnTransport::Udp;
        if servers.turn.iter().any(streams) {
            // What is late is of no use: media doesn't wait for company (RFC 896).
            io.tcp_settings(TcpSettings {
                nagle: false,
                ..TcpSettings::default()
            });
        }
        let port = io
            .bind(port)
            .expect("an endpoint binds the first socket of its host");
        self.port = port;
        let addresses: Vec<_> = io.addresses().collect();
        for address in addresses {
            let socket = SocketAddr::from(Endpoint::new(address, port));
            self.found.push(Candidate {
                kind: CandidateType::Host,
                address: socket,
                base: socket,
            });
            let reachable = |server: &SocketAddr| server.is_ipv4() == socket.is_ipv4();
            for server in servers.stun.iter().copied().filter(reachable) {
                let request = BindingRequest::default();
                let patience = Retransmission::default();
                let transaction = StunTransaction::new(now, request, patience, io.random());
                self.probes.push(Probe {
                    socket,
                    server,
                    transaction,
                    over: false,
                });
            }
            for access in servers.turn.iter().filter(|turn| reachable(&turn.server)) {
                self.relays.push(Relay::new(socket, access));
            }
        }
        self.try_what_is_due(now, io);
        // Popped from the end: the first interface's candidate comes first.
        self.found.reverse();
    }

    /// The host has only these addresses left: what was asked or held from others is lost.
    pub(crate) fn keep(&mut self, addresses: &[Address]) {
        let stays = |socket: &SocketAddr| addresses.contains(&socket.ip().into());
        self.probes.retain(|probe| stays(&probe.socket));
        self.relays.retain(|relay| stays(&relay.socket));
    }

    /// The port of its sockets; 0 before it began.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether that is one of its connections to TURN servers.
    pub(crate) fn holds(&self, stream: TcpId) -> bool {
        self.relays.iter().any(|relay| relay.holds(stream))
    }

    /// Closes the socket. Allocations expire by themselves.
    pub(crate) fn close(self, io: &mut Io<'_>) {
        io.close(Endpoint::new(Address::UNSPECIFIED, self.port).into());
    }

    /// Whether that is the address of a relay of this one's.
    pub(crate) fn relays(&self, local: SocketAddr) -> bool {
        self.relays.iter().any(|relay| relay.relayed == Some(local))
    }

    /// The next candidate that was found.
    pub(crate) fn poll_candidate(&mut self) -> Option<Candidate> {
        self.found.pop()
    }

    /// Whether nothing more is to be found.
    pub(crate) fn is_complete(&self) -> bool {
        let waits = |place| self.is_spared(place);
        let mut relays = self.relays.iter().enumerate();
        self.probes.iter().all(|probe| probe.over)
            && relays.all(|(place, relay)| relay.settled || waits(place))
    }

    /// Takes a datagram that comes from one of the servers asked.
    pub(crate) fn handle_datagram<'a>(&mut self, now: Time, datagram: &Datagram<'a>) -> Taken<'a> {
        let (local, remote) = (datagram.local, datagram.remote);
        for probe in self
            .probes
            .iter_mut()
            .filter(|probe| probe.server == remote)
        {
            if !probe.transaction.handle_datagram(remote, datagram.payload) {
                continue;
            }
            probe.over = true;
            if let Some(BindingOutcome::Success(response)) = probe.transaction.outcome() {
                self.found.push(Candidate {
                    kind: CandidateType::ServerReflexive,
                    address: response.mapped,
                    base: probe.socket,
                });
            }
            return Taken::Yes;
        }
        let mut relays = self.relays.iter_mut();
        let Some(relay) = relays.find(|relay| relay.takes(local, remote)) else {
            return Taken::No;
        };
        match relay.handle_datagram(now, datagram.payload) {
            Received::Peer(data) => Taken::Relayed {
                local: relay.relayed.unwrap_or(local),
                remote: data.peer(),
                data,
            },
            Received::Handled | Received::PeerUnreachable(_) => {
                relay.answered = true;
                Taken::Yes
            }
            Received::Ignored => Taken::No,
        }
    }

    /// Something happened to a connection to a TURN server.
    pub(crate) fn handle_tcp(&mut self, now: Time, stream: TcpId, event: TcpEvent<'_>) {
        let mut relays = self.relays.iter_mut();
        if let Some(relay) = relays.find(|relay| relay.holds(stream)) {
            relay.handle_tcp(now, event, &mut self.came);
        }
    }

    /// The connections to TURN servers that were asked for.
    pub(crate) fn connections(&self) -> impl Iterator<Item = &TurnConnection> {
        self.relays
            .iter()
            .filter_map(|relay| relay.connection.as_ref())
    }

    /// The next datagram that came through a connection.
    pub(crate) fn poll_relayed(&mut self) -> Option<Relayed> {
        self.came.pop_front()
    }

    /// The connection through which datagrams from this relayed address go, if it is one.
    pub(crate) fn stream_under(&self, relayed: SocketAddr) -> Option<StreamEnds> {
        let mut relays = self.relays.iter();
        let relay = relays.find(|relay| relay.relayed == Some(relayed))?;
        relay.stream_ends()
    }

    /// Whether a way is never tried, because the server has answered on one before it: the one just
    /// before, or one before that, for the sake of which that one isn't tried either.
    fn is_spared(&self, place: usize) -> bool {
        let mut place = place;
        while let Some(before) = self.place_before(place) {
            if self.relays[before].answered {
                return true;
            }
            if !self.relays[before].waits() {
                return false;
            }
            place = before;
        }
        false
    }

    /// The way to the same server that is tried before this one.
    fn place_before(&self, place: usize) -> Option<usize> {
        let this = &self.relays[place];
        let same = |other: &&Relay| {
            other.access.server.ip() == this.access.server.ip()
                && other.socket.ip() == this.socket.ip()
        };
        self.relays[..place].iter().rposition(|other| same(&other))
    }

    /// When a way that waits is to be tried. `None`: it isn't, or not yet known.
    fn due(&self, place: usize) -> Option<Time> {
        if !self.relays[place].waits() {
            return None;
        }
        match self.place_before(place) {
            Some(before) => self.relays[before].gives_way(),
            None => Some(Time::ZERO),
        }
    }

    fn try_what_is_due(&mut self, now: Time, io: &mut Io<'_>) {
        for place in 0..self.relays.len() {
            if self.due(place).is_some_and(|due| due <= now) {
                self.relays[place].begin(now, io);
            }
        }
    }

    /// ICMP says that nobody is at `remote`.
    pub(crate) fn handle_unreachable(&mut self, local: SocketAddr, remote: SocketAddr) {
        for probe in &mut self.probes {
            if probe.server == remote && probe.socket == local {
                probe.transaction.handle_unreachable();
                probe.over = true;
            }
        }
        for relay in &mut self.relays {
            relay.handle_unreachable(local, remote);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        for probe in self.probes.iter_mut().filter(|probe| !probe.over) {
            probe.transaction.handle_timeout(now);
            probe.over = probe.transaction.outcome().is_some();
        }
        for relay in &mut self.relays {
            relay.handle_timeout(now);
        }
    }

    /// Lets datagrams from this address come in over relays.
    pub(crate) fn permit(&mut self, now: Time, peer: IpAddr) {
        if self.relays.is_empty() || self.peers.contains(&peer) {
            return;
        }
        self.peers.push(peer);
        for relay in &mut self.relays {
            relay.permit(now, peer);
        }
    }

    /// This pair is used from now on: if it is a relay's, it gets a channel.
    pub(crate) fn prefer(&mut self, now: Time, local: SocketAddr, remote: SocketAddr) {
        if let Some(relay) = self.relay_of(local) {
            relay.prefer(now, remote);
        }
    }

    fn relay_of(&mut self, relayed: SocketAddr) -> Option<&mut Relay> {
        self.relays
            .iter_mut()
            .find(|relay| relay.relayed == Some(relayed))
    }

    /// Sends a datagram: from a host address as it is, from a relayed one over its relay.
    pub(crate) fn send(
        &mut self,
        now: Time,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
        io: &mut Io<'_>,
    ) {
        match self.relay_of(local) {
            Some(relay) => relay.send(now, remote, payload),
            None => io.send(local, remote, payload),
        }
    }

    /// Sends what servers are to be asked and told, and takes what they have granted.
    pub(crate) fn transmit(&mut self, now: Time, io: &mut Io<'_>) {
        for probe in &mut self.probes {
            if let Some(request) = probe.transaction.poll_transmit() {
                io.send(probe.socket, probe.server, request);
            }
        }
        for relay in &mut self.relays {
            while let Some(event) = relay.poll_event() {
                match event {
                    TurnEvent::Allocated { relayed, .. } => {
                        relay.relayed = Some(relayed);
                        relay.settled = true;
                        self.found.push(Candidate {
                            kind: CandidateType::Relayed,
                            address: relayed,
                            base: relayed,
                        });
                        for peer in &self.peers {
                            relay.permit(now, *peer);
                        }
                    }
                    TurnEvent::AllocationFailed { .. } | TurnEvent::Closed => relay.settled = true,
                    TurnEvent::PermissionCreated { .. }
                    | TurnEvent::PermissionFailed { .. }
                    | TurnEvent::ChannelBound { .. }
                    | TurnEvent::ChannelFailed { .. } => {}
                }
            }
            relay.transmit(io);
        }
        self.try_what_is_due(now, io);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let probes = self.probes.iter().filter(|probe| !probe.over);
        let probes = probes.filter_map(|probe| probe.transaction.poll_timeout());
        let relays = self.relays.iter().filter_map(Relay::poll_timeout);
        let due = (0..self.relays.len()).filter_map(|place| self.due(place));
        probes.chain(relays).chain(due).min()
    }
}
