//! From a plan to its internet, or to the reason why it can't be.

use petgraph::graph::{EdgeIndex, NodeIndex};
use petgraph::unionfind::UnionFind;
use petgraph::visit::EdgeRef;

use super::icmp::RateLimit;
use super::{DeviceAtWork, Direction, Gateway, Internet, Node, Router};
use crate::address::Address;
use crate::engine::Stream;
use crate::engine::random::{name_key, pair_key};
use crate::firewall::{Firewall, RulesAtWork};
use crate::host::Host;
use crate::id::{LinkId, NodeId};
use crate::link::Lane;
use crate::nat::Nat;
use crate::nat64::{Clat, Nat64};
use crate::topology::{
    BuildError, Device, LinkPlan, NodeKind, RouteTable, Topology, compute_routes,
};

/// Of plans with more nodes than this, memory that was reserved and is not needed is given back.
const LARGE: usize = 1024;

/// Fills an empty internet.
pub(super) fn fill(
    internet: &mut Internet,
    mut plan: Topology,
    seed: u64,
) -> Result<(), BuildError> {
    let uplinks = refuse_nonsense(&plan)?;
    let tables = compute_routes(&plan)?;
    let keys: Vec<u64> = plan
        .graph
        .node_weights()
        .map(|node| name_key(&node.name))
        .collect();
    internet.nodes.reserve_exact(plan.graph.node_count());
    internet
        .directions
        .reserve_exact(2 * plan.graph.edge_count());
    for ((node, table), uplink) in plan.nodes().zip(tables).zip(uplinks) {
        let random = Stream::from_key(seed, keys[node.index()]);
        let at_work = at_work(&plan, node, table, uplink.first, random);
        internet.nodes.push(at_work);
    }
    for (index, link) in plan.graph.edge_weights().enumerate() {
        let id = LinkId(index as u32);
        connect(internet, id, link);
        let (inner, outer) = (keys[link.inner.index()], keys[link.outer.index()]);
        let ordinal = 2 * siblings_before(&plan, id, link);
        let up = Stream::from_key(seed, pair_key(inner, outer, ordinal));
        let down = Stream::from_key(seed, pair_key(outer, inner, ordinal + 1));
        direct(
            internet,
            Lane::new(&link.link.up, up),
            link.outer,
            link.standby,
        );
        direct(
            internet,
            Lane::new(&link.link.down, down),
            link.inner,
            link.standby,
        );
    }
    if plan.graph.node_count() > LARGE {
        plan.graph.shrink_to_fit();
    }
    internet.budget = plan.budget;
    internet.plan = plan;
    Ok(())
}

/// How many links between the same two nodes were made before this one.
fn siblings_before(plan: &Topology, id: LinkId, link: &LinkPlan) -> u64 {
    let edges = plan.graph.edges(NodeIndex::new(link.inner.index()));
    let siblings = edges.filter(|edge| {
        let other = edge.weight();
        edge.id().index() < id.index() && (other.inner, other.outer) == (link.inner, link.outer)
    });
    siblings.count() as u64
}

/// Adds a direction, in the memory of one that was there in the last run.
fn direct(internet: &mut Internet, lane: Lane, to: NodeId, down: bool) {
    let under_way = internet.spare_queues.pop().unwrap_or_default();
    internet.directions.push(Direction {
        lane,
        to,
        under_way,
        counter: 0,
        down,
    });
}

/// Gives the hosts at the ends of a link their interfaces.
fn connect(internet: &mut Internet, id: LinkId, link: &LinkPlan) {
    if link.standby {
        return internet.faults.detached.push(id);
    }
    if let Node::Host(host) = &mut internet.nodes[link.inner.index()] {
        for address in &link.addresses {
            host.connect(*address, id.forward(), link.link.up.mtu);
        }
    }
    if let Some(address) = link.far_address
        && let Node::Host(host) = &mut internet.nodes[link.outer.index()]
    {
        host.connect(address, id.backward(), link.link.down.mtu);
    }
}

fn at_work(
    plan: &Topology,
    node: NodeId,
    table: RouteTable,
    uplink: Option<LinkId>,
    random: Stream,
) -> Node {
    match &plan.plan(node).kind {
        NodeKind::Host => Node::Host(Host::new(node, random)),
        NodeKind::Router { isolated, .. } => Node::Router(Box::new(Router {
            table,
            isolated: *isolated,
            errors: RateLimit::default(),
        })),
        NodeKind::Gateway {
            devices, isolated, ..
        } => {
            let uplink = uplink.expect("a gateway has an outside");
            let external = &plan.graph[EdgeIndex::new(uplink.index())].addresses;
            let new = |device: &Device| DeviceAtWork::new(device, external);
            Node::Gateway(Box::new(Gateway {
                table,
                uplink: uplink.forward(),
                isolated: *isolated,
                devices: devices.iter().map(new).collect(),
                random,
                errors: RateLimit::default(),
                held: Default::default(),
                wakes: 0,
            }))
        }
    }
}

impl DeviceAtWork {
    /// A device as it is when it was just switched on.
    pub(super) fn new(device: &Device, external: &[Address]) -> Self {
        match device {
            Device::Nat(config) => {
                DeviceAtWork::Nat(Box::new(Nat::new(config.clone(), external.iter().copied())))
            }
            Device::Nat64(config) => {
                let nat64 = Nat64::new(config.clone(), external.iter().copied());
                DeviceAtWork::Nat64(Box::new(nat64))
            }
            Device::Clat(config) => DeviceAtWork::Clat(Clat::new(*config)),
            Device::Firewall(config) => DeviceAtWork::Firewall(Firewall::new(*config)),
            Device::Rules(rules) => DeviceAtWork::Rules(RulesAtWork::new(rules.clone())),
            Device::Custom(make) => DeviceAtWork::Custom(make()),
        }
    }
}

/// The links on which a node is the inner end, or an end of a cable: more than two don't matter.
#[derive(Clone, Copy, Default)]
struct Uplinks {
    first: Option<LinkId>,
    second: Option<LinkId>,
}

impl Uplinks {
    fn add(&mut self, link: LinkId) {
        match self.first {
            None => self.first = Some(link),
            Some(_) => self.second = self.second.or(Some(link)),
        }
    }
}

fn refuse_nonsense(plan: &Topology) -> Result<Vec<Uplinks>, BuildError> {
    let mut names: Vec<&str> = plan
        .graph
        .node_weights()
        .map(|node| node.name.as_str())
        .collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(BuildError::NameTwice {
            name: pair[0].to_owned(),
        });
    }
    let mut parts = UnionFind::<usize>::new(plan.graph.node_count());
    let mut uplinks = vec![Uplinks::default(); plan.graph.node_count()];
    for (index, link) in plan.graph.edge_weights().enumerate() {
        refuse_link(plan, link)?;
        parts.union(link.inner.index(), link.outer.index());
        uplinks[link.inner.index()].add(LinkId(index as u32));
        if link.far_address.is_some() {
            uplinks[link.outer.index()].add(LinkId(index as u32));
        }
    }
    for node in plan.nodes() {
        refuse_node(plan, node, uplinks[node.index()])?;
        if parts.find(node.index()) != parts.find(0) {
            let (one, other) = (NodeId(0), node);
            let name = |node| plan.name(node).to_owned();
            return Err(BuildError::Apart {
                one: name(one),
                other: name(other),
            });
        }
    }
    Ok(uplinks)
}

fn refuse_link(plan: &Topology, link: &LinkPlan) -> Result<(), BuildError> {
    let name = |node| plan.name(node).to_owned();
    if link.inner == link.outer {
        return Err(BuildError::LinkedToItself {
            node: name(link.inner),
        });
    }
    let is_host = |node| matches!(plan.plan(node).kind, NodeKind::Host);
    if link.far_address.is_some() {
        if is_host(link.inner) && is_host(link.outer) {
            return Ok(());
        }
        let (one, other) = (name(link.inner), name(link.outer));
        return Err(BuildError::CableWithoutHost { one, other });
    }
    if is_host(link.outer) {
        return Err(BuildError::BehindHost {
            inner: name(link.inner),
            host: name(link.outer),
        });
    }
    match (&plan.plan(link.inner).kind, link.addresses.first()) {
        (NodeKind::Router { .. }, Some(address)) => Err(BuildError::RouterWithAddress {
            router: name(link.inner),
            address: *address,
        }),
        (NodeKind::Host, None) => Err(BuildError::HostWithoutAddress {
            host: name(link.inner),
            outer: name(link.outer),
        }),
        _ => Ok(()),
    }
}

fn refuse_node(plan: &Topology, node: NodeId, links: Uplinks) -> Result<(), BuildError> {
    let name = || plan.name(node).to_owned();
    let NodeKind::Gateway { devices, .. } = &plan.plan(node).kind else {
        let is_host = matches!(plan.plan(node).kind, NodeKind::Host);
        return match links.first {
            None if is_host => Err(BuildError::HostWithoutLink { host: name() }),
            _ => Ok(()),
        };
    };
    let outside = match (links.first, links.second) {
        (None, _) => return Err(BuildError::NoOutside { gateway: name() }),
        (Some(outside), None) => outside,
        (Some(first), Some(second)) => {
            let outer = |link| plan.name(plan.ends(link).1).to_owned();
            let (first, second) = (outer(first), outer(second));
            return Err(BuildError::TwoOutsides {
                gateway: name(),
                first,
                second,
            });
        }
    };
    let external = &plan.graph[EdgeIndex::new(outside.index())].addresses;
    for device in devices {
        let config = match device {
            Device::Nat(config) => config,
            Device::Rules(rules) => {
                let firewall = name();
                rules
                    .check()
                    .map_err(|error| BuildError::Rules { firewall, error })?;
                continue;
            }
            Device::Nat64(_) if external.iter().any(|own| own.is_ipv4()) => continue,
            Device::Nat64(_) => {
                return Err(BuildError::NothingToTranslateTo {
                    translator: name(),
                    needs: "IPv4 address",
                });
            }
            Device::Clat(clat) if external.iter().any(|own| clat.source.contains(*own)) => continue,
            Device::Clat(_) => {
                return Err(BuildError::NothingToTranslateTo {
                    translator: name(),
                    needs: "IPv6 address under its source prefix",
                });
            }
            Device::Firewall(_) | Device::Custom(_) => continue,
        };
        if external.is_empty() {
            return Err(BuildError::NoExternalAddress { nat: name() });
        }
        if config.port_range.is_empty() || config.port_range.contains(&0) {
            let (start, end) = (*config.port_range.start(), *config.port_range.end());
            return Err(BuildError::EmptyPortRange {
                nat: name(),
                start,
                end,
            });
        }
        config
            .check_with(external)
            .map_err(|error| BuildError::Nat { nat: name(), error })?;
    }
    Ok(())
}

impl Topology {
    /// Makes the internet of this plan, for a run with this seed.
    ///
    /// # Errors
    ///
    /// The plan makes no sense; the error names the nodes.
    pub fn build(self, seed: u64) -> Result<Internet, BuildError> {
        Internet::new(self, seed)
    }
}
