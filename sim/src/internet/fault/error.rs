//! Faults that can't be.

use crate::address::{Address, Family};
use crate::time::Time;
use crate::topology::BuildError;

/// Why a fault can't be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// Its time has gone by.
    #[error("a fault at {at} comes too late: it is {now} already")]
    InThePast {
        /// When it was to strike.
        at: Time,
        /// The time.
        now: Time,
    },
    /// It is about a node of another internet.
    #[error("node {node} is none of this internet's, which has {count}")]
    NoSuchNode {
        /// The node's number.
        node: usize,
        /// How many nodes there are.
        count: usize,
    },
    /// It is about a link of another internet.
    #[error("link {link} is none of this internet's, which has {count}")]
    NoSuchLink {
        /// The link's number.
        link: usize,
        /// How many links there are.
        count: usize,
    },
    /// It is about a node of another kind.
    #[error("{node:?} is a {role}; only a {wanted} can {what}")]
    WrongKind {
        /// The node.
        node: String,
        /// What it is.
        role: &'static str,
        /// What it had to be.
        wanted: &'static str,
        /// What would happen to it.
        what: &'static str,
    },
    /// A host can't roam to a link of somebody else.
    #[error("{host:?} has no attachment over the link between {inner:?} and {outer:?}")]
    NotAttached {
        /// The host.
        host: String,
        /// One end of the link.
        inner: String,
        /// The other.
        outer: String,
    },
    /// A node can't be parted from itself.
    #[error("{node:?} can't be parted from itself; name two nodes")]
    FromItself {
        /// The node.
        node: String,
    },
    /// No program of the host can be made anew.
    #[error("{host:?} runs nothing that can be restarted; attach its program as a service")]
    NothingToRestart {
        /// The host.
        host: String,
    },
    /// The host never had addresses of that family.
    #[error("{host:?} has no {family:?} address to lose or to get back")]
    NoSuchFamily {
        /// The host.
        host: String,
        /// The family.
        family: Family,
    },
    /// A NAT must have external addresses of the families that it had.
    #[error("{nat:?} needs external addresses of the families it has now: {}", list(.now))]
    OtherFamilies {
        /// The NAT.
        nat: String,
        /// Its addresses.
        now: Vec<Address>,
    },
    /// Its new addresses make no sense in the network.
    #[error(transparent)]
    Addresses(#[from] BuildError),
}

fn list(addresses: &[Address]) -> String {
    let all: Vec<String> = addresses.iter().map(Address::to_string).collect();
    all.join(", ")
}
