//! Plans that make no sense.

use crate::address::Address;
use crate::firewall::RuleError;
use crate::nat::NatConfigError;

/// Why a plan could not be built. Every variant names the nodes to look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two nodes have the same name.
    #[error(
        "two nodes are called {name:?}; random streams and results go by name, so give each its own"
    )]
    NameTwice {
        /// The name.
        name: String,
    },
    /// Two nodes that can hear each other have the same address.
    #[error("{address} is used twice in one network: by {first:?} and by {second:?}")]
    AddressTwice {
        /// The address.
        address: Address,
        /// Who had it first.
        first: String,
        /// Who has it too.
        second: String,
    },
    /// A gateway leads nowhere.
    #[error(
        "gateway {gateway:?} has no outside: connect it to something as the inner end of a link"
    )]
    NoOutside {
        /// The gateway.
        gateway: String,
    },
    /// A gateway leads to two places.
    #[error(
        "gateway {gateway:?} has more than one outside: toward {first:?} and toward {second:?}"
    )]
    TwoOutsides {
        /// The gateway.
        gateway: String,
        /// One outer end.
        first: String,
        /// The other.
        second: String,
    },
    /// A NAT has nothing to translate to.
    #[error("NAT {nat:?} has no external address: name one where it is connected to its outside")]
    NoExternalAddress {
        /// The NAT.
        nat: String,
    },
    /// A translator between IPv6 and IPv4 has no address in the IP version of its outside.
    #[error("{translator:?} has no {needs}: name one where it is connected to its outside")]
    NothingToTranslateTo {
        /// The NAT64 or CLAT.
        translator: String,
        /// What it needs.
        needs: &'static str,
    },
    /// A NAT has no port to give out.
    #[error("NAT {nat:?} has an empty port range ({start} to {end})")]
    EmptyPortRange {
        /// The NAT.
        nat: String,
        /// Where the range starts.
        start: u16,
        /// Where it ends.
        end: u16,
    },
    /// A firewall's rules make no sense.
    #[error("firewall {firewall:?}: {error}")]
    Rules {
        /// The gateway.
        firewall: String,
        /// What is wrong with which rule.
        error: RuleError,
    },
    /// A NAT is told what contradicts itself.
    #[error("NAT {nat:?}: {error}")]
    Nat {
        /// The NAT.
        nat: String,
        /// Which fields contradict each other, and how.
        error: NatConfigError,
    },
    /// A host has no link.
    #[error("host {host:?} is connected to nothing")]
    HostWithoutLink {
        /// The host.
        host: String,
    },
    /// A host has a link, but no address on it.
    #[error("host {host:?} has no address on its link to {outer:?}")]
    HostWithoutAddress {
        /// The host.
        host: String,
        /// The link's outer end.
        outer: String,
    },
    /// A cable has an end that is no host.
    #[error("the cable between {one:?} and {other:?} needs a host at each end")]
    CableWithoutHost {
        /// One end.
        one: String,
        /// The other.
        other: String,
    },
    /// Something hangs on a host.
    #[error(
        "{inner:?} is connected to the inside of {host:?}, which is a host and forwards nothing"
    )]
    BehindHost {
        /// The inner end.
        inner: String,
        /// The host.
        host: String,
    },
    /// A node is linked to itself.
    #[error("{node:?} is linked to itself")]
    LinkedToItself {
        /// The node.
        node: String,
    },
    /// The plan falls apart.
    #[error("no path leads from {one:?} to {other:?}: the topology falls apart")]
    Apart {
        /// A node of one part.
        one: String,
        /// A node of another part.
        other: String,
    },
    /// A router that is to forward an address doesn't have it in its table because addresses were
    /// given to it: routers have none.
    #[error(
        "router {router:?} was given the address {address}; only hosts and gateways have addresses"
    )]
    RouterWithAddress {
        /// The router.
        router: String,
        /// The address.
        address: Address,
    },
}
