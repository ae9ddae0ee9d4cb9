//! A host: its interfaces, its UDP sockets, and its TCP once it is used.

use crate::address::{Address, Endpoint};
use crate::engine::Stream;
use crate::host::ProgramId;
use crate::host::network_layer::NetworkLayer;
use crate::host::tcp::Tcp;
use crate::id::{DirectionId, NodeId};
use crate::link::ETHERNET_MTU;
use crate::time::Time;

/// The ephemeral ports (RFC 6335 §6).
pub(crate) const EPHEMERAL: std::ops::RangeInclusive<u16> = 49_152..=65_535;

/// Why a socket could not be bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket has that port.
    #[error("port {port} is taken by another socket of this host; bind to 0 for any free port")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// Every ephemeral port is bound.
    #[error("every ephemeral port (49152 to 65535) of this host is taken")]
    NoFreePort,
    /// The address belongs to another host.
    #[error("{address} is not an address of this host")]
    NotMine {
        /// The address.
        address: Address,
    },
    /// The host has no address that a connection to there could come from.
    #[error("this host has no address of the same IP version as {remote}")]
    NoAddress {
        /// Where to.
        remote: Endpoint,
    },
    /// Nothing can be connected to there.
    #[error("{remote} can't be connected to: it needs an address and a port from 1 to 65535")]
    NoSuchRemote {
        /// Where to.
        remote: Endpoint,
    },
}

/// An address of a host, and the link that leads away from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interface {
    pub(crate) address: Address,
    pub(crate) out: DirectionId,
    /// The longest IP packet that the link carries.
    pub(crate) mtu: u16,
}

#[derive(Clone, Copy, Debug)]
struct Socket {
    port: u16,
    /// `None`: every address of the host.
    address: Option<Address>,
    owner: ProgramId,
}

/// A host.
pub(crate) struct Host {
    node: NodeId,
    interfaces: Vec<Interface>,
    /// Sorted by port.
    sockets: Vec<Socket>,
    /// Who gets every packet, if somebody asked for that.
    raw: Option<ProgramId>,
    random: Stream,
    /// Most hosts never use it.
    tcp: Option<Box<Tcp>>,
    network_layer: Option<Box<NetworkLayer>>,
}

impl Host {
    /// A host without interfaces.
    pub(crate) fn new(node: NodeId, random: Stream) -> Self {
        Host {
            node,
            interfaces: Vec::new(),
            sockets: Vec::new(),
            raw: None,
            random,
            tcp: None,
            network_layer: None,
        }
    }

    /// Adds an interface.
    pub(crate) fn connect(&mut self, address: Address, out: DirectionId, mtu: u16) {
        // One is what most hosts have.
        self.interfaces.reserve_exact(1);
        self.interfaces.push(Interface { address, out, mtu });
    }

    /// The host's TCP, if a program has used it.
    pub(crate) fn tcp(&mut self) -> Option<&mut Tcp> {
        self.tcp.as_deref_mut()
    }

    /// The host's TCP.
    pub(crate) fn use_tcp(&mut self) -> &mut Tcp {
        let random = &mut self.random;
        self.tcp
            .get_or_insert_with(|| Box::new(Tcp::new(Stream::from_key(random.next_u64(), 0))))
    }

    /// The longest TCP packet that leaves from an address: what the link carries. Where the plan
    /// says nothing, the interface is an Ethernet's.
    pub(crate) fn tcp_mtu(&self, address: Address) -> u16 {
        match self.interface(address) {
            Some(interface) if interface.mtu < u16::MAX => interface.mtu,
            _ => ETHERNET_MTU,
        }
    }

    /// Puts these interfaces in place of those it has. Sockets stay bound: one that is bound to an
    /// address that went sends and receives nothing until the address is back.
    pub(crate) fn reconnect(&mut self, interfaces: impl IntoIterator<Item = Interface>) {
        self.interfaces.clear();
        self.interfaces.extend(interfaces);
    }

    /// Closes every socket of a program, and forgets its TCP connections without a word to their
    /// other ends.
    pub(crate) fn close_all(&mut self, owner: ProgramId) {
        self.sockets.retain(|socket| socket.owner != owner);
        if let Some(tcp) = self.tcp() {
            tcp.forget(owner);
        }
    }

    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    pub(crate) fn random(&mut self) -> &mut Stream {
        &mut self.random
    }

    /// The network layer, made where it is needed first.
    pub(crate) fn network_layer(&mut self) -> &mut NetworkLayer {
        self.network_layer.get_or_insert_default()
    }

    /// How long packets to `destination` may be, if something was heard of it.
    pub(crate) fn path_mtu(&self, now: Time, destination: Address) -> Option<u16> {
        self.network_layer.as_ref()?.path_mtus.get(now, destination)
    }

    /// Who pings with that identifier.
    pub(crate) fn pinger(&self, identifier: u16) -> Option<ProgramId> {
        self.network_layer.as_ref()?.pinger(identifier)
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.interfaces.iter().map(|interface| interface.address)
    }

    /// The interface that has this address.
    pub(crate) fn interface(&self, address: Address) -> Option<Interface> {
        self.interfaces
            .iter()
            .copied()
            .find(|interface| interface.address == address)
    }

    /// Gives this program every packet from now on.
    pub(crate) fn open_raw(&mut self, program: ProgramId) {
        self.raw = Some(program);
    }

    /// Who gets every packet, as it is.
    #[inline]
    pub(crate) fn raw(&self) -> Option<ProgramId> {
        self.raw
    }

    /// The address that a packet to `remote` is sent from.
    pub(crate) fn source_for(&self, local: Endpoint, remote: Endpoint) -> Endpoint {
        if !local.address.is_unspecified() {
            return local;
        }
        let family = remote.address.family();
        let address = self.addresses().find(|address| address.family() == family);
        Endpoint::new(address.unwrap_or(local.address), local.port)
    }

    pub(crate) fn bind(
        &mut self,
        owner: ProgramId,
        address: Option<Address>,
        port: u16,
    ) -> Result<u16, BindError> {
        let address = address.filter(|address| !address.is_unspecified());
        if let Some(address) = address
            && self.interface(address).is_none()
        {
            return Err(BindError::NotMine { address });
        }
        let port = match port {
            0 => self.ephemeral(address).ok_or(BindError::NoFreePort)?,
            port if self.is_free(address, port) => port,
            port => return Err(BindError::PortTaken { port }),
        };
        let place = self.sockets.partition_point(|socket| socket.port < port);
        self.sockets.insert(
            place,
            Socket {
                port,
                address,
                owner,
            },
        );
        Ok(port)
    }

    /// A free ephemeral port: the first at or after a random one.
    fn ephemeral(&mut self, address: Option<Address>) -> Option<u16> {
        let first = *EPHEMERAL.start();
        let count = EPHEMERAL.len() as u16;
        let start = self.random.below(u64::from(count)) as u16;
        (0..count)
            .map(|step| {
                first + (u32::from(start) + u32::from(step)).rem_euclid(count.into()) as u16
            })
            .find(|port| self.is_free(address, *port))
    }

    fn is_free(&self, address: Option<Address>, port: u16) -> bool {
        self.at(port).iter().all(|socket| {
            matches!((socket.address, address), (Some(taken), Some(wanted)) if taken != wanted)
        })
    }

    /// The sockets with that port.
    fn at(&self, port: u16) -> &[Socket] {
        let start = self.sockets.partition_point(|socket| socket.port < port);
        let same = self.sockets[start..]
            .iter()
            .take_while(|socket| socket.port == port)
            .count();
        &self.sockets[start..start + same]
    }

    pub(crate) fn close(&mut self, owner: ProgramId, local: Endpoint) {
        self.sockets.retain(|socket| {
            let named = match socket.address {
                Some(address) => address == local.address,
                None => true,
            };
            !(socket.port == local.port && socket.owner == owner && named)
        });
    }

    /// Whose socket a packet to `destination` belongs to.
    pub(crate) fn owner(&self, destination: Endpoint) -> Option<ProgramId> {
        self.at(destination.port)
            .iter()
            .find(|socket| {
                socket
                    .address
                    .is_none_or(|address| address == destination.address)
            })
            .map(|socket| socket.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: ProgramId = ProgramId(0);

    fn host() -> Host {
        let mut host = Host::new(NodeId(0), Stream::new(1, "host"));
        for address in ["192.0.2.1", "2001:db8::1"] {
            host.connect(address.parse().unwrap(), DirectionId(0), 1500);
        }
        host
    }

    #[test]
    fn a_port_is_bound_once() {
        let mut host = host();
        assert_eq!(host.bind(PROGRAM, None, 7), Ok(7));
        assert_eq!(
            host.bind(PROGRAM, None, 7),
            Err(BindError::PortTaken { port: 7 })
        );
        let address = "192.0.2.1".parse().unwrap();
        assert_eq!(
            host.bind(PROGRAM, Some(address), 7),
            Err(BindError::PortTaken { port: 7 })
        );
        host.close(PROGRAM, Endpoint::new(address, 7));
        assert_eq!(host.bind(PROGRAM, Some(address), 7), Ok(7));
        let other = "2001:db8::1".parse().unwrap();
        assert_eq!(host.bind(PROGRAM, Some(other), 7), Ok(7));
        assert_eq!(
            host.bind(PROGRAM, None, 7),
            Err(BindError::PortTaken { port: 7 })
        );
    }

    #[test]
    fn a_foreign_address_is_refused() {
        let address = "192.0.2.2".parse().unwrap();
        assert_eq!(
            host().bind(PROGRAM, Some(address), 7),
            Err(BindError::NotMine { address })
        );
    }

    #[test]
    fn ephemeral_ports_run_out_with_an_error() {
        let mut host = host();
        let mut seen = std::collections::BTreeSet::new();
        for _ in EPHEMERAL {
            let port = host.bind(PROGRAM, None, 0).unwrap();
            assert!(EPHEMERAL.contains(&port) && seen.insert(port));
        }
        assert_eq!(host.bind(PROGRAM, None, 0), Err(BindError::NoFreePort));
    }

    #[test]
    fn an_unspecified_source_becomes_one_of_the_right_family() {
        let host = host();
        let any = Endpoint::new(Address::v4(0, 0, 0, 0), 5);
        let to_v6 = host.source_for(any, "[2001:db8::2]:9".parse().unwrap());
        assert_eq!(to_v6.to_string(), "[2001:db8::1]:5");
        let to_v4 = host.source_for(any, "192.0.2.9:9".parse().unwrap());
        assert_eq!(to_v4.to_string(), "192.0.2.1:5");
    }
}
