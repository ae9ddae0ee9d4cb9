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

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pinhole::host::TcpSettings;
use pinhole::{Address, Datagram, Endpoint, Io, TcpEvent, TcpId, Time};

use super::config::TurnTransport;
use crate::ice::{Candidate, CandidateType};
use crate::stun_client::{BindingOutcome, BindingRequest, Retransmission, StunTransaction};
use crate::turn_client::{
    PeerData, Received, StreamEnd, TurnClient, TurnEvent, TurnStream, lends_ipv4,
};

/// How long a way to a TURN server may be silent before the next is tried too: the time after which
/// a first request over UDP is repeated (RFC 8489 §6.2.1).
pub const PATIENCE: Duration = Duration::from_millis(500);

/// The servers that an endpoint asks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Servers {
    /// STUN servers, at most one for each IP version, and behind a NAT64 the IPv4 one once more
    /// under its prefix.
    pub stun: Vec<SocketAddr>,
    /// Ways to TURN servers, to be asked for a relayed address: of those to one address, the
    /// first is tried first.
    pub turn: Vec<TurnAccess>,
}

/// A way to a TURN server, and the credentials for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TurnAccess {
    /// Over what.
    pub transport: TurnTransport,
    /// Where it listens for that.
    pub server: SocketAddr,
    /// The name that its certificate must have, where there is one.
    pub name: String,
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
}

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

/// What became of a way to a TURN server through a connection, for those who tell the story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TurnConnection {
    /// TCP, or TLS on it.
    pub transport: TurnTransport,
    /// The server.
    pub server: SocketAddr,
    /// When it was asked for.
    pub began: Time,
    /// When it stood.
    pub connected: Option<Time>,
    /// When TLS's handshake was over.
    pub secured: Option<Time>,
    /// The address that the server lent.
    pub relayed: Option<SocketAddr>,
    /// Why it ended, if it did.
    pub end: Option<StreamEnd>,
}

/// An allocation on a TURN server, or the wish for one.
struct Relay {
    socket: SocketAddr,
    access: TurnAccess,
    way: Way,
    relayed: Option<SocketAddr>,
    /// Whether the server has answered.
    answered: bool,
    settled: bool,
    connection: Option<TurnConnection>,
}

/// How far a relay is.
enum Way {
    /// Not tried: there is another way to the same server, and that is tried before.
    Waiting,
    /// Over UDP.
    Datagrams {
        client: Box<TurnClient>,
        since: Time,
    },
    /// Over TCP or TLS.
    Stream {
        id: TcpId,
        client: Box<TurnStream>,
        since: Time,
        open: bool,
    },
    /// There is none.
    Closed,
}

/// A peer's datagram that came through a connection to a TURN server.
pub(crate) struct Relayed {
    /// The relayed address it was sent to.
    pub(crate) local: SocketAddr,
    /// The peer.
    pub(crate) remote: SocketAddr,
    /// What the connection runs over, from where to where.
    pub(crate) transport: TurnTransport,
    pub(crate) socket: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) payload: Vec<u8>,
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
                self.relays.push(Relay {
                    socket,
                    access: access.clone(),
                    way: Way::Waiting,
                    relayed: None,
                    answered: false,
                    settled: false,
                    connection: None,
                });
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
        let ours = |relay: &Relay| matches!(relay.way, Way::Stream { id, .. } if id == stream);
        self.relays.iter().any(ours)
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
        let relay = self.relays.iter_mut().find(|relay| {
            relay.access.server == remote && relay.socket == local && relay.is_datagrams()
        });
        let Some(relay) = relay else {
            return Taken::No;
        };
        let Way::Datagrams { client, .. } = &mut relay.way else {
            return Taken::No;
        };
        match client.handle_datagram(now, datagram.payload) {
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
        let ours = |relay: &&mut Relay| matches!(relay.way, Way::Stream { id, .. } if id == stream);
        let Some(relay) = self.relays.iter_mut().find(ours) else {
            return;
        };
        let Way::Stream { client, open, .. } = &mut relay.way else {
            return;
        };
        match event {
            TcpEvent::Connected { local, .. } => {
                relay.answered = true;
                relay.socket = local;
            }
            TcpEvent::Ended(_) => *open = false,
            _ => {}
        }
        client.handle_event(now, event);
        if let Some(told) = &mut relay.connection {
            told.connected = client.connected_at();
            told.secured = client.secured_at();
            told.relayed = client.relayed().or(told.relayed);
            told.end = client.end().cloned();
        }
        while let Some((remote, payload)) = client.poll_data() {
            self.came.extend(relay.relayed.map(|local| Relayed {
                local,
                remote,
                transport: relay.access.transport,
                socket: relay.socket,
                server: relay.access.server,
                payload,
            }));
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

    /// The connection through which datagrams from this relayed address go, if it is one: over
    /// what, from where and to where.
    pub(crate) fn stream_under(
        &mut self,
        relayed: SocketAddr,
    ) -> Option<(TurnTransport, SocketAddr, SocketAddr)> {
        let relay = self.relay_of(relayed)?;
        let stream = matches!(relay.way, Way::Stream { .. });
        stream.then_some((relay.access.transport, relay.socket, relay.access.server))
    }

    /// Whether a way is never tried, because the server has answered on one before it: the one just
    /// before, or one before that, for the sake of which that one isn't tried either.
    fn is_spared(&self, place: usize) -> bool {
        let mut place = place;
        while let Some(before) = self.place_before(place) {
            if self.relays[before].answered {
                return true;
            }
            if !matches!(self.relays[before].way, Way::Waiting) {
                return false;
            }
            place = before;
        }
        false
    }

    /// The way to the same server that is tried before this one.
    fn way_before(&self, place: usize) -> Option<&Relay> {
        Some(&self.relays[self.place_before(place)?])
    }

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
        if !matches!(self.relays[place].way, Way::Waiting) {
            return None;
        }
        let Some(before) = self.way_before(place) else {
            return Some(Time::ZERO);
        };
        match before.way {
            Way::Waiting => None,
            // A server that refuses refuses on every way.
            _ if before.answered => None,
            Way::Closed => Some(Time::ZERO),
            Way::Datagrams { since, .. } | Way::Stream { since, .. } => Some(since + PATIENCE),
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
            if let Way::Datagrams { client, .. } = &mut relay.way
                && client.server() == remote
                && relay.socket == local
            {
                client.handle_unreachable();
            }
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        for probe in self.probes.iter_mut().filter(|probe| !probe.over) {
            probe.transaction.handle_timeout(now);
            probe.over = probe.transaction.outcome().is_some();
        }
        for relay in &mut self.relays {
            match &mut relay.way {
                Way::Datagrams { client, .. } => client.handle_timeout(now),
                Way::Stream { client, .. } => client.handle_timeout(now),
                Way::Waiting | Way::Closed => {}
            }
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
            match &mut relay.way {
                Way::Datagrams { client, .. } => client.bind_channel(remote, now),
                Way::Stream { client, .. } => client.bind_channel(remote, now),
                Way::Waiting | Way::Closed => {}
            }
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
            Some(relay) => match &mut relay.way {
                Way::Datagrams { client, .. } => client.send_to(remote, payload, now),
                Way::Stream { client, .. } => client.send_to(remote, payload, now),
                Way::Waiting | Way::Closed => {}
            },
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
        let relays = self.relays.iter().filter_map(|relay| match &relay.way {
            Way::Datagrams { client, .. } => client.poll_timeout(),
            Way::Stream { client, .. } => client.poll_timeout(),
            Way::Waiting | Way::Closed => None,
        });
        let due = (0..self.relays.len()).filter_map(|place| self.due(place));
        probes.chain(relays).chain(due).min()
    }
}

impl Relay {
    fn is_datagrams(&self) -> bool {
        matches!(self.way, Way::Datagrams { .. })
    }

    /// Tries this way.
    fn begin(&mut self, now: Time, io: &mut Io<'_>) {
        let TurnAccess {
            transport,
            server,
            name,
            user,
            password,
        } = &self.access;
        let stream = match transport {
            TurnTransport::Udp => {
                let client = TurnClient::new(self.socket, *server, user, password, now);
                let client = Box::new(client);
                let since = now;
                self.way = Way::Datagrams { client, since };
                return;
            }
            TurnTransport::Tcp => TurnStream::tcp(*server, user, password),
            TurnTransport::Tls => TurnStream::tls(*server, name, user, password),
        };
        self.connection = Some(TurnConnection {
            transport: *transport,
            server: *server,
            began: now,
            connected: None,
            secured: None,
            relayed: None,
            end: None,
        });
        // From any port: UDP's is not TCP's.
        let local = SocketAddr::new(self.socket.ip(), 0);
        self.way = match io.tcp_connect(local, *server) {
            Ok(id) => Way::Stream {
                id,
                client: Box::new(stream),
                since: now,
                open: true,
            },
            Err(_) => {
                self.settled = true;
                Way::Closed
            }
        };
    }

    fn poll_event(&mut self) -> Option<TurnEvent> {
        match &mut self.way {
            Way::Datagrams { client, .. } => client.poll_event(),
            Way::Stream { client, .. } => client.poll_event(),
            Way::Waiting | Way::Closed => None,
        }
    }

    /// Sends what the client has to say to its server.
    fn transmit(&mut self, io: &mut Io<'_>) {
        match &mut self.way {
            Way::Datagrams { client, .. } => {
                while let Some(payload) = client.poll_transmit() {
                    io.send(self.socket, client.server(), &payload);
                }
                if self.settled && self.relayed.is_none() {
                    self.way = Way::Closed;
                }
            }
            Way::Stream {
                id, client, open, ..
            } => {
                let outgoing = client.outgoing();
                if *open && !outgoing.is_empty() {
                    let taken = io.tcp_send(*id, outgoing);
                    client.written(taken);
                }
                if client.end().is_some() {
                    if *open {
                        io.tcp_close(*id);
                    }
                    self.settled = true;
                    self.way = Way::Closed;
                }
            }
            Way::Waiting | Way::Closed => {}
        }
    }

    /// A relay reaches addresses of its own family only.
    fn permit(&mut self, now: Time, peer: IpAddr) {
        if peer.is_ipv4() == lends_ipv4(self.access.server) {
            match &mut self.way {
                Way::Datagrams { client, .. } => client.permit(peer, now),
                Way::Stream { client, .. } => client.permit(peer, now),
                Way::Waiting | Way::Closed => {}
            }
        }
    }
}
