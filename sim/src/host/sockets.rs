//! A host: its interfaces and its UDP sockets.

use crate::address::{Address, Endpoint};
use crate::engine::Stream;
use crate::host::ProgramId;
use crate::id::{DirectionId, NodeId};

/// The ephemeral ports (RFC 6335 §6).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 49_152..=65_535;

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
}

/// An address of a host, and the link that leads away from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interface {
    pub(crate) address: Address,
    pub(crate) out: DirectionId,
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
        }
    }

    /// Adds an interface.
    pub(crate) fn connect(&mut self, address: Address, out: DirectionId) {
        // One is what most hosts have.
        self.interfaces.reserve_exact(1);
        self.interfaces.push(Interface { address, out });
    }

    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    pub(crate) fn random(&mut self) -> &mut Stream {
        &mut self.random
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
        if !is_unspecified(local.address) {
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
        let address = address.filter(|address| !is_unspecified(*address));
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

fn is_unspecified(address: Address) -> bool {
    address == Address::UNSPECIFIED || address == Address::v4(0, 0, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: ProgramId = ProgramId(0);

    fn host() -> Host {
        let mut host = Host::new(NodeId(0), Stream::new(1, "host"));
        for address in ["192.0.2.1", "2001:db8::1"] {
            host.connect(address.parse().unwrap(), DirectionId(0));
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
