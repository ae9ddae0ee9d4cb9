//! Gathering candidates (RFC 8445 §5.1.1): the host's own addresses, what a STUN server sees of
//! them, and addresses on a TURN server. Everything goes over the virtual network.

use std::net::{IpAddr, SocketAddr};

use pinhole::{Datagram, Endpoint, Io, Time};

use super::peer::{PeerConfig, host_candidate};
use crate::ice::{Candidate, CandidateType};
use crate::stun_client::{BindingOutcome, BindingRequest, Retransmission, StunTransaction};

/// The sockets of an endpoint, and what it learns about them.
#[derive(Default)]
pub(super) struct Gathering {
    probes: Vec<Probe>,
    found: Vec<Candidate>,
}

/// A Binding transaction from one socket to one STUN server.
struct Probe {
    socket: SocketAddr,
    server: SocketAddr,
    transaction: StunTransaction,
    over: bool,
}

impl Gathering {
    /// Binds a socket on each of the host's addresses and asks every server that it can reach.
    pub(super) fn begin(&mut self, now: Time, config: &PeerConfig, io: &mut Io<'_>) {
        let port = io
            .bind(0)
            .expect("an endpoint binds the first socket of its host");
        let addresses: Vec<_> = io.addresses().collect();
        for address in addresses {
            let socket = Endpoint::new(address, port);
            self.found.push(host_candidate(socket));
            let socket = SocketAddr::from(socket);
            for server in &config.stun {
                if server.is_ipv4() == socket.is_ipv4() {
                    let request = BindingRequest::default();
                    let patience = Retransmission::default();
                    let transaction = StunTransaction::new(now, request, patience, io.random());
                    self.probes.push(Probe {
                        socket,
                        server: *server,
                        transaction,
                        over: false,
                    });
                }
            }
        }
        self.transmit(now, io);
        self.found.reverse();
    }

    /// The next candidate that was found.
    pub(super) fn poll_candidate(&mut self) -> Option<Candidate> {
        self.found.pop()
    }

    /// Whether nothing more is to be found.
    pub(super) fn is_complete(&self) -> bool {
        self.probes.iter().all(|probe| probe.over)
    }

    /// Takes a datagram that answers one of the questions asked. Returns whether it did.
    pub(super) fn handle_datagram(&mut self, _now: Time, datagram: &Datagram<'_>) -> bool {
        let answered = self.probes.iter_mut().find_map(|probe| {
            (probe.server == datagram.remote
                && probe
                    .transaction
                    .handle_datagram(datagram.remote, datagram.payload))
            .then_some(probe)
        });
        let Some(probe) = answered else { return false };
        probe.over = true;
        if let Some(BindingOutcome::Success(response)) = probe.transaction.outcome() {
            self.found.push(Candidate {
                kind: CandidateType::ServerReflexive,
                address: response.mapped,
                base: probe.socket,
            });
        }
        true
    }

    /// ICMP says that nobody is at `remote`.
    pub(super) fn handle_unreachable(&mut self, local: SocketAddr, remote: SocketAddr) {
        for probe in &mut self.probes {
            if probe.server == remote && probe.socket == local {
                probe.transaction.handle_unreachable();
                probe.over = true;
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        for probe in self.probes.iter_mut().filter(|probe| !probe.over) {
            probe.transaction.handle_timeout(now);
            probe.over = probe.transaction.outcome().is_some();
        }
    }

    /// Lets datagrams from this address come in over relays.
    pub(super) fn permit(&mut self, _now: Time, _peer: IpAddr) {}

    /// This pair is used from now on.
    pub(super) fn prefer(&mut self, _now: Time, _local: SocketAddr, _remote: SocketAddr) {}

    /// Sends a datagram from a host address as it is, from a relayed one over its relay.
    pub(super) fn send(
        &mut self,
        _now: Time,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
        io: &mut Io<'_>,
    ) {
        io.send(local, remote, payload);
    }

    /// A datagram that came over a relay: local (relayed) address, remote address, payload.
    pub(super) fn poll_received(
        &mut self,
        _now: Time,
    ) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
        None
    }

    /// Sends what the questions need sent.
    pub(super) fn transmit(&mut self, _now: Time, io: &mut Io<'_>) {
        for probe in &mut self.probes {
            if let Some(request) = probe.transaction.poll_transmit() {
                io.send(probe.socket, probe.server, request);
            }
        }
    }

    pub(super) fn poll_timeout(&mut self, _now: Time) -> Option<Time> {
        let open = self.probes.iter().filter(|probe| !probe.over);
        open.filter_map(|probe| probe.transaction.poll_timeout())
            .min()
    }
}
