//! An internet in one process: hosts, NATs, firewalls, STUN and TURN servers on virtual time, for
//! protocols that do no I/O of their own.
//!
//! Nothing here reads a clock, opens a socket or draws from the operating system's randomness. One
//! seed, one plan, one build: one run, to the nanosecond.
//!
//! # The smallest whole example
//!
//! Two hosts at home, each behind a NAT that lets in only those whom it has seen written to. Each
//! greeting is lost on the other's NAT or leaves a pinhole for the other; together they meet.
//!
//! ```
//! use std::time::Duration;
//! use pinhole::{Input, Sketch};
//!
//! let mut world = Sketch::new();
//! let alice = world.host("alice", "nat:eim/apdf");
//! let bob = world.host("bob", "nat:eim/apdf");
//! let peers = [(alice, world.public(bob, 5000)), (bob, world.public(alice, 5000))];
//! let mut net = world.build(1);
//! for (host, peer) in peers {
//!     net.attach_fn(host, move |_now, input, io| if let Input::Start = input {
//!         io.bind(5000).unwrap();
//!         io.send_from(5000, peer, b"hello");
//!     });
//! }
//! net.run_for(Duration::from_secs(1))?;
//! assert_eq!(net.trace().counts().delivered, 2);
//! # Ok::<(), pinhole::BudgetExceeded>(())
//! ```
//!
//! # The map
//!
//! Start with [`Sketch`] and [`check`]; drop to [`Topology`] when you outgrow them.
//!
//! | room | holds |
//! |---|---|
//! | [`Sketch`] | the quickest way to an internet: name hosts and the networks they sit in |
//! | [`check`] | runs a scenario with several seeds, and says how to repeat a failure |
//! | [`topology`] | the plan: nodes, links, addresses, routes, kinds of network |
//! | [`internet`] | a plan at work: attach programs, let time pass, let things go wrong |
//! | [`host`] | interfaces, UDP sockets, TCP, sans-IO [programs](Program) |
//! | [`nat`] | RFC 4787: mapping, filtering, ports, lifetimes, hairpinning |
//! | [`nat64`] | between IPv6 and IPv4: NAT64, DNS64, 464XLAT |
//! | [`firewall`] | ordered rules, stateful pinholes |
//! | [`middlebox`] | the one point at which NATs, firewalls and your own devices are attached |
//! | [`link`] | delay, jitter, rate and queue, loss, duplication, MTU; access links by name |
//! | [`server`] | STUN (RFC 8489, RFC 5780) and TURN (RFC 8656) as programs |
//! | [`trace`] | what became of every packet: fates, counts, digest, recording, pcapng |
//! | [`engine`] | event queue, budgets, random streams |
//! | [`address`], [`behaviour`], [`id`], [`packet`], [`time`] | the words that all rooms share |

#![warn(missing_docs)]

pub mod address;
pub mod behaviour;
mod check;
pub mod engine;
pub mod firewall;
pub mod host;
pub mod id;
pub mod internet;
pub mod link;
pub mod middlebox;
pub mod nat;
pub mod nat64;
pub mod packet;
pub mod server;
mod sketch;
pub mod time;
pub mod topology;
pub mod trace;

pub use address::{Address, Endpoint, Family, Prefix};
pub use behaviour::{Filtering, Lifetimes, Mapping};
pub use check::check;
pub use engine::{Budget, BudgetExceeded, Stream};
pub use host::{
    ArrivedTrain, Datagram, EchoReply, Input, Io, Program, ProgramId, TcpEnd, TcpEvent, TcpId,
};
pub use id::{DirectionId, LinkId, NodeId};
pub use internet::Internet;
pub use sketch::Sketch;
pub use time::Time;
pub use topology::Topology;
