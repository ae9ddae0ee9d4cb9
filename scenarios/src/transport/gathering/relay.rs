//! One way to a TURN server (RFC 8656): over UDP, TCP or TLS, tried or not, with the relayed address
//! that it has led to.

use std::net::{IpAddr, SocketAddr};

use pinhole::{Io, TcpEvent, TcpId, Time};

use super::PATIENCE;
use crate::transport::servers::{TurnAccess, TurnTransport};
use crate::turn_client::{Received, StreamEnd, TurnClient, TurnEvent, TurnStream, lends_ipv4};

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

/// The two ends of a connection to a TURN server, and what it runs over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamEnds {
    /// TCP, or TLS on it.
    pub transport: TurnTransport,
    /// This side's.
    pub socket: SocketAddr,
    /// The server's.
    pub server: SocketAddr,
}

/// A peer's datagram that came through a connection to a TURN server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relayed {
    /// The relayed address it was sent to.
    pub local: SocketAddr,
    /// The peer.
    pub remote: SocketAddr,
    /// The connection.
    pub through: StreamEnds,
    /// What the peer sent.
    pub payload: Vec<u8>,
}

/// An allocation on a TURN server, or the wish for one.
pub(super) struct Relay {
    pub(super) socket: SocketAddr,
    pub(super) access: TurnAccess,
    way: Way,
    pub(super) relayed: Option<SocketAddr>,
    /// Whether the server has answered.
    pub(super) answered: bool,
    pub(super) settled: bool,
    pub(super) connection: Option<TurnConnection>,
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

impl Relay {
    /// A way that is not tried yet.
    pub(super) fn new(socket: SocketAddr, access: &TurnAccess) -> Self {
        Relay {
            socket,
            access: access.clone(),
            way: Way::Waiting,
            relayed: None,
            answered: false,
            settled: false,
            connection: None,
        }
    }

    /// Tries this way.
    pub(super) fn begin(&mut self, now: Time, io: &mut Io<'_>) {
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

    /// Whether it is not tried yet.
    pub(super) fn waits(&self) -> bool {
        matches!(self.way, Way::Waiting)
    }

    /// When the way after this one is to be tried, going by this one. `None`: it isn't, or that is
    /// not yet known.
    pub(super) fn gives_way(&self) -> Option<Time> {
        match self.way {
            Way::Waiting => None,
            // A server that refuses refuses on every way.
            _ if self.answered => None,
            Way::Closed => Some(Time::ZERO),
            Way::Datagrams { since, .. } | Way::Stream { since, .. } => Some(since + PATIENCE),
        }
    }

    /// Whether that is its connection.
    pub(super) fn holds(&self, stream: TcpId) -> bool {
        matches!(self.way, Way::Stream { id, .. } if id == stream)
    }

    /// Its connection's ends, if it has one.
    pub(super) fn stream_ends(&self) -> Option<StreamEnds> {
        matches!(self.way, Way::Stream { .. }).then_some(StreamEnds {
            transport: self.access.transport,
            socket: self.socket,
            server: self.access.server,
        })
    }

    /// Whether a datagram from `server` to `socket` is for its client.
    pub(super) fn takes(&self, socket: SocketAddr, server: SocketAddr) -> bool {
        matches!(self.way, Way::Datagrams { .. })
            && self.access.server == server
            && self.socket == socket
    }

    /// A datagram that it [takes](Relay::takes).
    pub(super) fn handle_datagram<'a>(&mut self, now: Time, payload: &'a [u8]) -> Received<'a> {
        match &mut self.way {
            Way::Datagrams { client, .. } => client.handle_datagram(now, payload),
            _ => Received::Ignored,
        }
    }

    /// Something happened to its connection. What peers sent through it goes to `came`.
    pub(super) fn handle_tcp(
        &mut self,
        now: Time,
        event: TcpEvent<'_>,
        came: &mut impl Extend<Relayed>,
    ) {
        if let TcpEvent::Connected { local, .. } = event {
            self.answered = true;
            self.socket = local;
        }
        let through = self.stream_ends();
        let (Some(through), Way::Stream { client, open, .. }) = (through, &mut self.way) else {
            return;
        };
        if let TcpEvent::Ended(_) = event {
            *open = false;
        }
        client.handle_event(now, event);
        if let Some(told) = &mut self.connection {
            told.connected = client.connected_at();
            told.secured = client.secured_at();
            told.relayed = client.relayed().or(told.relayed);
            told.end = client.end().cloned();
        }
        while let Some((remote, payload)) = client.poll_data() {
            came.extend(self.relayed.map(|local| Relayed {
                local,
                remote,
                through,
                payload,
            }));
        }
    }

    /// ICMP says that nobody is at the server's address.
    pub(super) fn handle_unreachable(&mut self, local: SocketAddr, remote: SocketAddr) {
        if let Way::Datagrams { client, .. } = &mut self.way
            && client.server() == remote
            && self.socket == local
        {
            client.handle_unreachable();
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        match &mut self.way {
            Way::Datagrams { client, .. } => client.handle_timeout(now),
            Way::Stream { client, .. } => client.handle_timeout(now),
            Way::Waiting | Way::Closed => {}
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match &self.way {
            Way::Datagrams { client, .. } => client.poll_timeout(),
            Way::Stream { client, .. } => client.poll_timeout(),
            Way::Waiting | Way::Closed => None,
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<TurnEvent> {
        match &mut self.way {
            Way::Datagrams { client, .. } => client.poll_event(),
            Way::Stream { client, .. } => client.poll_event(),
            Way::Waiting | Way::Closed => None,
        }
    }

    /// Gives the client a datagram for a peer.
    pub(super) fn send(&mut self, now: Time, remote: SocketAddr, payload: &[u8]) {
        match &mut self.way {
            Way::Datagrams { client, .. } => client.send_to(remote, payload, now),
            Way::Stream { client, .. } => client.send_to(remote, payload, now),
            Way::Waiting | Way::Closed => {}
        }
    }

    /// Sends what the client has to say to its server.
    pub(super) fn transmit(&mut self, io: &mut Io<'_>) {
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

    /// Lets datagrams from this address come in. A relay reaches addresses of its own family only.
    pub(super) fn permit(&mut self, now: Time, peer: IpAddr) {
        if peer.is_ipv4() == lends_ipv4(self.access.server) {
            match &mut self.way {
                Way::Datagrams { client, .. } => client.permit(peer, now),
                Way::Stream { client, .. } => client.permit(peer, now),
                Way::Waiting | Way::Closed => {}
            }
        }
    }

    /// Gives a peer a channel.
    pub(super) fn prefer(&mut self, now: Time, remote: SocketAddr) {
        match &mut self.way {
            Way::Datagrams { client, .. } => client.bind_channel(remote, now),
            Way::Stream { client, .. } => client.bind_channel(remote, now),
            Way::Waiting | Way::Closed => {}
        }
    }
}
