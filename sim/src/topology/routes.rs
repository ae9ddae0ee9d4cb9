//! Routes by least delay.
//!
//! Addresses mean something only inside their *realm*: the part of the internet that can hear them.
//! A NAT ends a realm. For each IP version the nodes that forward become the vertices of a graph in
//! which a NAT that translates that version is two vertices, its inside and its outside, with
//! nothing between them; the graph's components are the realms.

use std::collections::HashMap;

use petgraph::algo::dijkstra;
use petgraph::graph::{NodeIndex, UnGraph};
use petgraph::unionfind::UnionFind;
use petgraph::visit::{EdgeFiltered, EdgeRef};
use rustc_hash::FxBuildHasher;

use super::{BuildError, Device, NodeKind, Topology};
use crate::address::{Address, Family, Prefix};
use crate::id::{DirectionId, LinkId, NodeId};

/// Where a node sends a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    /// Over this link.
    Via(DirectionId),
    /// Nowhere: the address would be here, and nobody has it, or nothing is known of it.
    Nowhere,
}

/// A node's routes.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteTable {
    few: Vec<(Address, DirectionId)>,
    many: HashMap<Address, DirectionId, FxBuildHasher>,
    local: Vec<Prefix>,
    default: Option<DirectionId>,
}

/// Up to this many routes are searched one by one, which is faster than hashing.
const FEW: usize = 8;

impl RouteTable {
    fn add(&mut self, address: Address, via: DirectionId) {
        if self.few.len() < FEW {
            self.few.push((address, via));
        } else {
            self.many.insert(address, via);
        }
    }

    /// The link toward exactly this address, if the table names it.
    #[inline]
    pub(crate) fn exact(&self, address: Address) -> Option<DirectionId> {
        let few = self
            .few
            .iter()
            .find(|(known, _)| *known == address)
            .map(|(_, via)| *via);
        if few.is_some() || self.many.is_empty() {
            few
        } else {
            self.many.get(&address).copied()
        }
    }

    /// Where a packet to this address goes.
    #[inline]
    pub(crate) fn route(&self, address: Address) -> Route {
        if let Some(via) = self.exact(address) {
            return Route::Via(via);
        }
        match self.default {
            Some(via) if !self.is_local(address) => Route::Via(via),
            _ => Route::Nowhere,
        }
    }

    /// The subnets that belong here.
    pub(crate) fn subnets(&self) -> &[Prefix] {
        &self.local
    }

    /// Whether the address lies in a subnet that belongs here.
    pub(crate) fn is_local(&self, address: Address) -> bool {
        self.local.iter().any(|prefix| prefix.contains(address))
    }
}

/// Vertices know their nodes.
type Vertices = UnGraph<NodeId, Hop>;

/// An edge between two vertices.
struct Hop {
    link: LinkId,
    inner: NodeId,
    cost: u64,
}

/// Something that can be reached: an address and where it is.
struct Destination {
    address: Address,
    owner: NodeId,
    vertex: NodeIndex,
    /// The last hop, from the vertex's node; none for a gateway's own addresses.
    exit: Option<DirectionId>,
}

struct Realms {
    graph: Vertices,
    /// For each node: the vertex of its inside, and that of its outside.
    sides: Vec<Option<(NodeIndex, NodeIndex)>>,
}

/// Computes every node's table.
pub(crate) fn compute(plan: &Topology) -> Result<Vec<RouteTable>, BuildError> {
    let mut tables: Vec<RouteTable> = plan.nodes().map(|node| local_table(plan, node)).collect();
    for family in [Family::V4, Family::V6] {
        let used = plan.graph.edge_weights().any(|link| {
            link.addresses
                .iter()
                .any(|address| address.family() == family)
        });
        if used {
            let realms = Realms::of(plan, family);
            let destinations = realms.destinations(plan, family);
            realms.refuse_duplicates(plan, &destinations)?;
            for node in plan.nodes() {
                realms.fill(plan, node, &destinations, &mut tables[node.index()]);
            }
        }
    }
    Ok(tables)
}

/// Subnets, and the way out.
fn local_table(plan: &Topology, node: NodeId) -> RouteTable {
    let (local, has_outside) = match &plan.plan(node).kind {
        NodeKind::Host => return RouteTable::default(),
        NodeKind::Router { local, .. } => (local.clone(), false),
        NodeKind::Gateway { local, .. } => (local.clone(), true),
    };
    let default = has_outside
        .then(|| uplink(plan, node))
        .flatten()
        .map(LinkId::forward);
    RouteTable {
        local,
        default,
        ..RouteTable::default()
    }
}

/// The link on which a node is the inner end.
fn uplink(plan: &Topology, node: NodeId) -> Option<LinkId> {
    let mut edges = plan.graph.edges(super::index(node));
    edges
        .find(|edge| edge.weight().inner == node)
        .map(|edge| LinkId(edge.id().index() as u32))
}

impl Realms {
    fn of(plan: &Topology, family: Family) -> Self {
        let mut graph = Vertices::default();
        let sides: Vec<_> = plan
            .nodes()
            .map(|node| {
                let splits = match &plan.plan(node).kind {
                    NodeKind::Host => return None,
                    NodeKind::Router { .. } => false,
                    NodeKind::Gateway { devices, .. } => {
                        let has_external = || {
                            plan.addresses(node)
                                .any(|address| address.family() == family)
                        };
                        devices.iter().any(|device| match device {
                            Device::Nat(_) => has_external(),
                            // Only IPv6 goes on as it came.
                            Device::Nat64(_) | Device::Clat(_) => family == Family::V4,
                            _ => false,
                        })
                    }
                };
                let inside = graph.add_node(node);
                let outside = if splits { graph.add_node(node) } else { inside };
                Some((inside, outside))
            })
            .collect();
        for edge in plan.graph.edge_references() {
            let link = edge.weight();
            let (inner, outer) = (sides[link.inner.index()], sides[link.outer.index()]);
            if let (Some((_, outside)), Some((inside, _))) = (inner, outer) {
                // One more than the delay, so that of two ways without delay the shorter wins.
                let cost = link.link.up.delay.as_nanos() as u64 + 1;
                let hop = Hop {
                    link: LinkId(edge.id().index() as u32),
                    inner: link.inner,
                    cost,
                };
                graph.add_edge(outside, inside, hop);
            }
        }
        Realms { graph, sides }
    }

    fn destinations(&self, plan: &Topology, family: Family) -> Vec<Destination> {
        let mut destinations = Vec::new();
        for edge in plan.graph.edge_references() {
            let link = edge.weight();
            let Some((inside, _)) = self.sides[link.outer.index()] else {
                continue;
            };
            let (vertex, exit) = match self.sides[link.inner.index()] {
                // A host, reached over the link's backward direction.
                None => (inside, Some(LinkId(edge.id().index() as u32).backward())),
                Some((_, outside)) => (outside, None),
            };
            let of_family = link
                .addresses
                .iter()
                .filter(|address| address.family() == family);
            destinations.extend(of_family.map(|address| Destination {
                address: *address,
                owner: link.inner,
                vertex,
                exit,
            }));
        }
        destinations
    }

    fn refuse_duplicates(
        &self,
        plan: &Topology,
        destinations: &[Destination],
    ) -> Result<(), BuildError> {
        let mut realms = UnionFind::new(self.graph.node_count());
        for edge in self.graph.edge_references() {
            realms.union(edge.source().index(), edge.target().index());
        }
        let mut places: Vec<_> = destinations
            .iter()
            .map(|there| {
                (
                    there.address,
                    realms.find(there.vertex.index()),
                    there.owner,
                )
            })
            .collect();
        places.sort_unstable();
        match places
            .windows(2)
            .find(|pair| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1))
        {
            None => Ok(()),
            Some(pair) => Err(BuildError::AddressTwice {
                address: pair[0].0,
                first: plan.name(pair[0].2).to_owned(),
                second: plan.name(pair[1].2).to_owned(),
            }),
        }
    }

    /// Fills a node's table with everything it doesn't reach by default.
    fn fill(
        &self,
        plan: &Topology,
        node: NodeId,
        destinations: &[Destination],
        table: &mut RouteTable,
    ) {
        let Some((inside, _)) = self.sides[node.index()] else {
            return;
        };
        // A gateway sends whatever isn't inside to its outside, and so looks only inside.
        let is_gateway = matches!(plan.plan(node).kind, NodeKind::Gateway { .. });
        let inner_neighbours = self
            .graph
            .edges(inside)
            .filter(|edge| !is_gateway || edge.weight().inner != node)
            .count();
        if inner_neighbours == 0 {
            for there in destinations.iter().filter(|there| there.vertex == inside) {
                if let Some(exit) = there.exit {
                    table.add(there.address, exit);
                }
            }
            return;
        }
        let looked_at = EdgeFiltered::from_fn(&self.graph, |edge| {
            !is_gateway || edge.weight().inner != node
        });
        let mut costs = vec![None; self.graph.node_count()];
        for (vertex, cost) in dijkstra(&looked_at, inside, None, |edge| edge.weight().cost) {
            costs[vertex.index()] = Some(cost);
        }
        let first_hops = self.first_hops(node, inside, is_gateway, &costs);
        for there in destinations {
            let via = match there.exit {
                Some(exit) if there.vertex == inside => Some(exit),
                _ => first_hops.get(&there.vertex).copied(),
            };
            if let Some(via) = via {
                table.add(there.address, via);
            }
        }
    }

    /// For every vertex that `start` reaches: the direction in which a packet sets out for it. Of
    /// two ways that cost the same, the one whose last vertex was added first.
    fn first_hops(
        &self,
        node: NodeId,
        start: NodeIndex,
        is_gateway: bool,
        costs: &[Option<u64>],
    ) -> HashMap<NodeIndex, DirectionId, FxBuildHasher> {
        let mut order: Vec<(u64, NodeIndex)> = (costs.iter().enumerate())
            .filter_map(|(index, cost)| Some(((*cost)?, NodeIndex::new(index))))
            .collect();
        order.sort_unstable();
        let mut first_hops = HashMap::default();
        for (cost, vertex) in order {
            let previous = self
                .graph
                .edges(vertex)
                .filter(|edge| !is_gateway || edge.weight().inner != node)
                .filter_map(|edge| {
                    let before = if edge.source() == vertex {
                        edge.target()
                    } else {
                        edge.source()
                    };
                    let lies_on_the_way = costs[before.index()]? + edge.weight().cost == cost;
                    lies_on_the_way.then_some((before, edge.weight()))
                })
                .min_by_key(|(before, hop)| (*before, hop.link));
            let Some((before, hop)) = previous else {
                continue;
            };
            let via = if before == start {
                if hop.inner == node {
                    hop.link.forward()
                } else {
                    hop.link.backward()
                }
            } else {
                first_hops[&before]
            };
            first_hops.insert(vertex, via);
        }
        first_hops
    }
}
