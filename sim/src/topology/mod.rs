//! The plan of an internet: nodes, links, addresses and routes. [Building](Topology::build) it makes
//! an internet that runs.
//!
//! A topology is a graph (petgraph's) of three kinds of nodes. A *host* ends links and runs
//! programs. A *router* joins links and forwards by least delay. A *gateway* stands between an
//! inside and an outside, forwards between them, and passes what crosses through its
//! [middleboxes](crate::middlebox): a NAT, a firewall, a user's own.
//!
//! Links have an inner and an outer end. A gateway's outside is the link on which it is the inner
//! end; it has exactly one. Everything else hangs on its inside.

mod error;
mod kind;
mod names;
mod plan;
pub mod preset;
mod routes;
mod site;

pub use error::BuildError;
pub use kind::{Edge, Kind, ParseKindError};
pub use plan::AddressPlan;
pub(crate) use routes::{Route, RouteTable, compute as compute_routes};
pub use site::{EdgePlan, Inside, Site, SiteOptions};

use std::fmt::Write as _;
use std::sync::Arc;

use petgraph::graph::{NodeIndex, UnGraph};
use petgraph::visit::EdgeRef;

use crate::address::{Address, Prefix};
use crate::behaviour::{Filtering, Mapping};
use crate::engine::Budget;
use crate::firewall::{FirewallConfig, Rules};
use crate::id::{DirectionId, LinkId, NodeId};
use crate::link::{Conditions, Link};
use crate::middlebox::Middlebox;
use crate::nat::NatConfig;
use crate::nat64::{ClatConfig, Nat64Config};

/// A middlebox as it is planned: every build makes a fresh one.
#[derive(Clone)]
pub enum Device {
    /// A NAT, with the gateway's external addresses.
    Nat(NatConfig),
    /// A NAT64, with the gateway's external IPv4 addresses.
    Nat64(Nat64Config),
    /// The subscriber's side of 464XLAT.
    Clat(ClatConfig),
    /// A stateful firewall.
    Firewall(FirewallConfig),
    /// Stateless rules.
    Rules(Rules),
    /// A device of the user's own, made anew for each build.
    Custom(Arc<dyn Fn() -> Box<dyn Middlebox> + Send + Sync>),
}

/// What a node is.
#[derive(Clone)]
pub(crate) enum NodeKind {
    Host,
    Router {
        local: Vec<Prefix>,
        isolated: bool,
    },
    Gateway {
        devices: Vec<Device>,
        local: Vec<Prefix>,
        isolated: bool,
    },
}

#[derive(Clone)]
pub(crate) struct NodePlan {
    pub(crate) name: String,
    pub(crate) kind: NodeKind,
}

#[derive(Clone)]
pub(crate) struct LinkPlan {
    pub(crate) link: Link,
    pub(crate) inner: NodeId,
    pub(crate) outer: NodeId,
    /// The inner node's addresses on this link.
    pub(crate) addresses: Vec<Address>,
    /// The outer node's address, where the link is a cable between two hosts.
    pub(crate) far_address: Option<Address>,
    /// Whether it is there for a host to roam to, and carries nothing until then.
    pub(crate) standby: bool,
}

/// The plan of an internet.
///
/// ```
/// use pinhole::link::Link;
/// use pinhole::nat::NatConfig;
/// use pinhole::{Filtering, Mapping, Topology};
/// use std::time::Duration;
///
/// let mut plan = Topology::new();
/// let core = plan.router("internet");
/// let nat = NatConfig::new(Mapping::EndpointIndependent, Filtering::AddressAndPortDependent);
/// let home = plan.nat("home", nat);
/// let access = Link::with_delay(Duration::from_millis(10));
/// plan.connect(home, core, access, &["203.0.113.1".parse()?]);
/// let alice = plan.host("alice");
/// plan.connect(alice, home, Link::lan(), &["192.168.1.2".parse()?]);
/// let server = plan.host("server");
/// plan.connect(server, core, access, &["192.0.2.1".parse()?]);
///
/// let internet = plan.build(1)?;
/// assert_eq!(internet.name(alice), "alice");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Topology {
    pub(crate) graph: UnGraph<NodePlan, LinkPlan>,
    pub(crate) budget: Budget,
}

impl Topology {
    /// An empty plan.
    pub fn new() -> Self {
        Topology::default()
    }

    /// Adds a host.
    pub fn host(&mut self, name: impl Into<String>) -> NodeId {
        self.add(name, NodeKind::Host)
    }

    /// Adds a router.
    pub fn router(&mut self, name: impl Into<String>) -> NodeId {
        self.add(
            name,
            NodeKind::Router {
                local: Vec::new(),
                isolated: false,
            },
        )
    }

    /// Adds a gateway that lets everything pass, until it is given [devices](Topology::install).
    pub fn gateway(&mut self, name: impl Into<String>) -> NodeId {
        let (devices, local) = (Vec::new(), Vec::new());
        self.add(
            name,
            NodeKind::Gateway {
                devices,
                local,
                isolated: false,
            },
        )
    }

    /// Adds a gateway with a NAT.
    pub fn nat(&mut self, name: impl Into<String>, config: NatConfig) -> NodeId {
        let node = self.gateway(name);
        self.install(node, Device::Nat(config));
        node
    }

    /// Adds a gateway with a stateful firewall.
    pub fn firewall(&mut self, name: impl Into<String>, config: FirewallConfig) -> NodeId {
        let node = self.gateway(name);
        self.install(node, Device::Firewall(config));
        node
    }

    /// Adds a gateway with a NAT64. Its external IPv4 addresses are those of its outside link; its
    /// inside may have IPv6 addresses only.
    pub fn nat64(&mut self, name: impl Into<String>, config: Nat64Config) -> NodeId {
        let node = self.gateway(name);
        self.install(node, Device::Nat64(config));
        node
    }

    /// Adds a gateway with a CLAT. On its outside link it needs, in IPv6, the address of each IPv4
    /// host on its inside.
    pub fn clat(&mut self, name: impl Into<String>, config: ClatConfig) -> NodeId {
        let node = self.gateway(name);
        self.install(node, Device::Clat(config));
        node
    }

    fn add(&mut self, name: impl Into<String>, kind: NodeKind) -> NodeId {
        NodeId(
            self.graph
                .add_node(NodePlan {
                    name: name.into(),
                    kind,
                })
                .index() as u32,
        )
    }

    /// Adds a device to a gateway, outside of those that it has.
    ///
    /// # Panics
    ///
    /// `gateway` is a host or a router.
    pub fn install(&mut self, gateway: NodeId, device: Device) {
        match &mut self.plan_mut(gateway).kind {
            NodeKind::Gateway { devices, .. } => devices.push(device),
            NodeKind::Host | NodeKind::Router { .. } => {
                panic!(
                    "{} is no gateway: devices stand between an inside and an outside",
                    self.name(gateway)
                )
            }
        }
    }

    /// Declares that every address of `prefix` lies on the inside of a gateway or beside a router:
    /// a packet to one that no host has goes nowhere, instead of out to the internet.
    ///
    /// # Panics
    ///
    /// `node` is a host.
    pub fn subnet(&mut self, node: NodeId, prefix: Prefix) {
        match &mut self.plan_mut(node).kind {
            NodeKind::Gateway { local, .. } | NodeKind::Router { local, .. } => local.push(prefix),
            NodeKind::Host => panic!("{} is a host: a subnet needs a router", self.name(node)),
        }
    }

    /// Keeps the hosts on a gateway's inside, or around a router, from reaching each other
    /// directly: client isolation, as guest networks have it.
    ///
    /// # Panics
    ///
    /// `node` is a host.
    pub fn isolate(&mut self, node: NodeId) {
        match &mut self.plan_mut(node).kind {
            NodeKind::Gateway { isolated, .. } | NodeKind::Router { isolated, .. } => {
                *isolated = true;
            }
            NodeKind::Host => panic!("{} is a host: isolation needs a router", self.name(node)),
        }
    }

    /// Links two nodes. `addresses` are the inner node's on this link: a host's own addresses, a
    /// NAT's external ones.
    pub fn connect(
        &mut self,
        inner: NodeId,
        outer: NodeId,
        link: Link,
        addresses: &[Address],
    ) -> LinkId {
        self.link(inner, outer, link, addresses.to_vec(), None)
    }

    /// Gives a host one more attachment, for it to roam to
    /// ([`Fault::Roam`](crate::internet::Fault::Roam)). Until then the link carries nothing, and the
    /// host doesn't have its addresses.
    ///
    /// # Panics
    ///
    /// `host` is no host.
    pub fn standby(
        &mut self,
        host: NodeId,
        outer: NodeId,
        link: Link,
        addresses: &[Address],
    ) -> LinkId {
        assert!(
            matches!(self.plan(host).kind, NodeKind::Host),
            "{} is no host: hosts roam",
            self.name(host)
        );
        let link = self.connect(host, outer, link, addresses);
        self.link_mut(link).standby = true;
        link
    }

    /// Joins two hosts by a cable, with nothing between them. `link`'s upward direction is the one
    /// in which the first host sends.
    pub fn cable(
        &mut self,
        (one, its_address): (NodeId, Address),
        (other, other_address): (NodeId, Address),
        link: Link,
    ) -> LinkId {
        self.link(one, other, link, vec![its_address], Some(other_address))
    }

    fn link(
        &mut self,
        inner: NodeId,
        outer: NodeId,
        link: Link,
        addresses: Vec<Address>,
        far_address: Option<Address>,
    ) -> LinkId {
        let plan = LinkPlan {
            link,
            inner,
            outer,
            addresses,
            far_address,
            standby: false,
        };
        LinkId(
            self.graph
                .add_edge(index(inner), index(outer), plan)
                .index() as u32,
        )
    }

    /// Gives a link's inner node one more address on it.
    fn give(&mut self, link: LinkId, address: Address) {
        let link = petgraph::graph::EdgeIndex::new(link.index());
        self.graph[link].addresses.push(address);
    }

    /// Bounds what a run may spend.
    pub fn budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// A node's name.
    pub fn name(&self, node: NodeId) -> &str {
        &self.plan(node).name
    }

    /// The node of that name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.nodes().find(|node| self.name(*node) == name)
    }

    /// Every node, in the order in which they were added.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.graph.node_count() as u32).map(NodeId)
    }

    /// A link's two ends: inner, outer.
    pub fn ends(&self, link: LinkId) -> (NodeId, NodeId) {
        let plan = &self.graph[petgraph::graph::EdgeIndex::new(link.index())];
        (plan.inner, plan.outer)
    }

    /// What a link does to packets, in both directions.
    pub fn link_of(&self, link: LinkId) -> &Link {
        &self.link_plan(link).link
    }

    /// The number of links.
    pub fn link_count(&self) -> usize {
        self.graph.edge_count()
    }

    /// Whether a node is a host, a router, or a gateway and with what in it: one word for people.
    pub fn role(&self, node: NodeId) -> &'static str {
        match &self.plan(node).kind {
            NodeKind::Host => "host",
            NodeKind::Router { .. } => "router",
            NodeKind::Gateway { devices, .. } => {
                if devices
                    .iter()
                    .any(|device| matches!(device, Device::Nat(_)))
                {
                    "NAT"
                } else if devices
                    .iter()
                    .any(|device| matches!(device, Device::Nat64(_)))
                {
                    "NAT64"
                } else if devices
                    .iter()
                    .any(|device| matches!(device, Device::Clat(_)))
                {
                    "CLAT"
                } else if devices.is_empty() {
                    "router"
                } else {
                    "firewall"
                }
            }
        }
    }

    /// What stands in a gateway, from the inside out; nothing, in a host or a router.
    pub fn devices(&self, node: NodeId) -> &[Device] {
        match &self.plan(node).kind {
            NodeKind::Gateway { devices, .. } => devices,
            NodeKind::Host | NodeKind::Router { .. } => &[],
        }
    }

    /// The mapping and filtering behaviour of a gateway's NAT, if it has one.
    pub fn nat_behaviour(&self, node: NodeId) -> Option<(Mapping, Filtering)> {
        self.nat_config(node)
            .map(|config| (config.mapping, config.filtering))
    }

    /// What a gateway's NAT is told to do, if it has one.
    pub fn nat_config(&self, node: NodeId) -> Option<&NatConfig> {
        self.devices(node).iter().find_map(|device| match device {
            Device::Nat(config) => Some(config),
            _ => None,
        })
    }

    /// What a gateway's NAT64 is told to do, if it has one.
    pub fn nat64_config(&self, node: NodeId) -> Option<&Nat64Config> {
        self.devices(node).iter().find_map(|device| match device {
            Device::Nat64(config) => Some(config),
            _ => None,
        })
    }

    /// What a gateway's stateful firewall is told to do, if it has one.
    pub fn firewall_config(&self, node: NodeId) -> Option<&FirewallConfig> {
        let NodeKind::Gateway { devices, .. } = &self.plan(node).kind else {
            return None;
        };
        devices.iter().find_map(|device| match device {
            Device::Firewall(config) => Some(config),
            _ => None,
        })
    }

    /// A node's own addresses, in the order in which its links were made.
    pub fn addresses(&self, node: NodeId) -> impl Iterator<Item = Address> + '_ {
        // A node's own edges, not all there are: a plan may hold ten thousand homes.
        let mut links: Vec<_> = self
            .graph
            .edges(index(node))
            .filter(|edge| edge.weight().inner == node || edge.weight().far_address.is_some())
            .map(|edge| edge.id())
            .collect();
        links.sort_unstable();
        links.into_iter().flat_map(move |link| {
            let plan = &self.graph[link];
            let is_inner = plan.inner == node;
            let near: &[Address] = if is_inner { &plan.addresses } else { &[] };
            let far = plan.far_address.filter(|_| !is_inner);
            near.iter().copied().chain(far)
        })
    }

    /// The plan as a drawing in Graphviz' DOT language.
    pub fn to_dot(&self) -> String {
        let mut dot =
            String::from("graph internet {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n");
        for node in self.nodes() {
            let shape = match &self.plan(node).kind {
                NodeKind::Host => "box",
                NodeKind::Router { .. } => "circle",
                NodeKind::Gateway { .. } => "house",
            };
            let mut label = self.name(node).to_owned();
            if let Some((mapping, filtering)) = self.nat_behaviour(node) {
                let _ = write!(label, "\n{mapping}/{filtering}");
            }
            if let Some(config) = self.nat64_config(node) {
                let _ = write!(label, "\nNAT64 eim/{}", config.filtering);
            }
            for address in self.addresses(node) {
                let _ = write!(label, "\n{address}");
            }
            let _ = writeln!(dot, "  n{} [shape={shape}, label={label:?}];", node.index());
        }
        for edge in self.graph.edge_references() {
            let delay = edge.weight().link.up.delay.as_secs_f64() * 1000.0;
            let (inner, outer) = (edge.source().index(), edge.target().index());
            let _ = writeln!(dot, "  n{inner} -- n{outer} [label=\"{delay} ms\"];");
        }
        dot.push_str("}\n");
        dot
    }

    /// What one direction of a link does to packets.
    #[inline]
    pub(crate) fn conditions(&self, on: DirectionId) -> &Conditions {
        let link = &self.graph.raw_edges()[on.link().index()].weight.link;
        if on == on.link().forward() {
            &link.up
        } else {
            &link.down
        }
    }

    pub(crate) fn conditions_mut(&mut self, on: DirectionId) -> &mut Conditions {
        let link = &mut self.link_mut(on.link()).link;
        if on == on.link().forward() {
            &mut link.up
        } else {
            &mut link.down
        }
    }

    pub(crate) fn plan(&self, node: NodeId) -> &NodePlan {
        &self.graph[index(node)]
    }

    pub(crate) fn link_plan(&self, link: LinkId) -> &LinkPlan {
        &self.graph[petgraph::graph::EdgeIndex::new(link.index())]
    }

    pub(crate) fn link_mut(&mut self, link: LinkId) -> &mut LinkPlan {
        &mut self.graph[petgraph::graph::EdgeIndex::new(link.index())]
    }

    /// The links between two nodes, in the order in which they were made.
    pub fn links_between(&self, one: NodeId, other: NodeId) -> Vec<LinkId> {
        let edges = self.graph.edges_connecting(index(one), index(other));
        let mut links: Vec<LinkId> = edges.map(|edge| LinkId(edge.id().index() as u32)).collect();
        links.sort_unstable();
        links
    }

    /// The links of a node, in the order in which they were made.
    pub fn links(&self, node: NodeId) -> Vec<LinkId> {
        let edges = self.graph.edges(index(node));
        let mut links: Vec<LinkId> = edges.map(|edge| LinkId(edge.id().index() as u32)).collect();
        links.sort_unstable();
        links
    }

    fn plan_mut(&mut self, node: NodeId) -> &mut NodePlan {
        &mut self.graph[index(node)]
    }
}

fn index(node: NodeId) -> NodeIndex {
    NodeIndex::new(node.index())
}

#[cfg(test)]
mod tests;
