//! The sockets and relays of one end of a transport: those of now, and those from before the last
//! restart of ICE, over which packets go until there is another pair (RFC 8445 §9).

use std::net::SocketAddr;

use pinhole::{Address, Datagram, Io, TcpEvent, TcpId, Time};

use super::gathering::{Gathering, Relayed, StreamEnds, Taken};
use super::servers::Servers;

/// The port that leaves the choice to the host.
pub(crate) const ANY_PORT: u16 = 0;

/// What is gathered on now, and what was before.
#[derive(Default)]
pub(crate) struct Sockets {
    current: Gathering,
    retired: Option<Gathering>,
}

impl Sockets {
    /// Those of now: what new candidates come from.
    pub(crate) fn current_mut(&mut self) -> &mut Gathering {
        &mut self.current
    }

    /// Those of now, to be asked.
    pub(crate) fn current(&self) -> &Gathering {
        &self.current
    }

    /// Those that a pair with this local address goes over.
    pub(crate) fn under(&mut self, local: SocketAddr) -> &mut Gathering {
        match &mut self.retired {
            Some(retired) if retired.relays(local) => retired,
            _ => &mut self.current,
        }
    }

    /// Retires those of now, closes those of before, and gathers on new ones.
    pub(crate) fn renew(&mut self, now: Time, servers: &Servers, io: &mut Io<'_>) {
        let old = std::mem::take(&mut self.current);
        if let Some(older) = self.retired.replace(old) {
            older.close(io);
        }
        self.current.begin(now, servers, ANY_PORT, io);
    }

    fn all(&self) -> impl Iterator<Item = &Gathering> {
        [Some(&self.current), self.retired.as_ref()]
            .into_iter()
            .flatten()
    }

    /// Those of now, then those of before.
    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Gathering> {
        [Some(&mut self.current), self.retired.as_mut()]
            .into_iter()
            .flatten()
    }

    /// Their ports, once they are bound.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        let ports = self.all().map(Gathering::port);
        ports.filter(|port| *port != ANY_PORT)
    }

    /// Whether that is one of their connections to TURN servers.
    pub(crate) fn holds(&self, stream: TcpId) -> bool {
        self.all().any(|sockets| sockets.holds(stream))
    }

    /// The connection through which datagrams from this relayed address go, if it is one.
    pub(crate) fn stream_under(&self, relayed: SocketAddr) -> Option<StreamEnds> {
        self.all().find_map(|sockets| sockets.stream_under(relayed))
    }

    /// Whether that is the address of a relay of this side's.
    pub(crate) fn relays(&self, local: SocketAddr) -> bool {
        self.all().any(|sockets| sockets.relays(local))
    }

    /// The host has only these addresses left.
    pub(crate) fn keep(&mut self, addresses: &[Address]) {
        self.all_mut().for_each(|sockets| sockets.keep(addresses));
    }

    /// Takes a datagram that comes from one of the servers asked.
    pub(crate) fn handle_datagram<'a>(&mut self, now: Time, datagram: &Datagram<'a>) -> Taken<'a> {
        let taken = self.current.handle_datagram(now, datagram);
        if let (Taken::No, Some(retired)) = (&taken, &mut self.retired) {
            return retired.handle_datagram(now, datagram);
        }
        taken
    }

    /// Something happened to a connection to a TURN server.
    pub(crate) fn handle_tcp(&mut self, now: Time, stream: TcpId, event: TcpEvent<'_>) {
        for sockets in self.all_mut() {
            sockets.handle_tcp(now, stream, event);
        }
    }

    /// The next datagram that came through a connection.
    pub(crate) fn poll_relayed(&mut self) -> Option<Relayed> {
        self.all_mut().find_map(Gathering::poll_relayed)
    }

    /// ICMP says that nobody is at `remote`.
    pub(crate) fn handle_unreachable(&mut self, local: SocketAddr, remote: SocketAddr) {
        for sockets in self.all_mut() {
            sockets.handle_unreachable(local, remote);
        }
    }

    /// The time that [`poll_timeout`](Sockets::poll_timeout) named has come.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        for sockets in self.all_mut() {
            sockets.handle_timeout(now);
        }
    }

    /// Sends what servers are to be asked and told.
    pub(crate) fn transmit(&mut self, now: Time, io: &mut Io<'_>) {
        for sockets in self.all_mut() {
            sockets.transmit(now, io);
        }
    }

    /// When to call [`handle_timeout`](Sockets::handle_timeout) and then
    /// [`transmit`](Sockets::transmit).
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.all().filter_map(Gathering::poll_timeout).min()
    }
}
