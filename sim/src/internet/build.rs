//! From a plan to its internet, or to the reason why it can't be.

use petgraph::unionfind::UnionFind;

use super::{DeviceAtWork, Direction, Gateway, Internet, Node};
use crate::engine::Stream;
use crate::engine::random::{name_key, pair_key};
use crate::firewall::Firewall;
use crate::host::{Host, Interface};
use crate::id::{LinkId, NodeId};
use crate::link::Lane;
use crate::nat::Nat;
use crate::topology::{
    BuildError, Device, LinkPlan, NodeKind, NodePlan, RouteTable, Topology, compute_routes,
};

/// Fills an empty internet.
pub(super) fn fill(internet: &mut Internet, plan: Topology, seed: u64) -> Result<(), BuildError> {
    refuse_nonsense(&plan)?;
    let tables = compute_routes(&plan)?;
    let keys: Vec<u64> = plan
        .graph
        .node_weights()
        .map(|node| name_key(&node.name))
        .collect();
    let mut siblings: Vec<(NodeId, NodeId)> = Vec::new();
    for link in plan.graph.edge_weights() {
        let ends = (link.inner, link.outer);
        let ordinal = siblings.iter().filter(|other| **other == ends).count() as u64;
        siblings.push(ends);
        let (inner, outer) = (keys[link.inner.index()], keys[link.outer.index()]);
        let up = Stream::from_key(seed, pair_key(inner, outer, 2 * ordinal));
        let down = Stream::from_key(seed, pair_key(outer, inner, 2 * ordinal + 1));
        internet
            .directions
            .push(direction(Lane::new(link.link.up, up), link.outer));
        internet
            .directions
            .push(direction(Lane::new(link.link.down, down), link.inner));
    }
    for (node, table) in plan.nodes().zip(tables) {
        let random = Stream::from_key(seed, keys[node.index()]);
        internet.nodes.push(at_work(&plan, node, table, random));
    }
    internet.budget = plan.budget;
    internet.plan = plan;
    Ok(())
}

fn direction(lane: Lane, to: NodeId) -> Direction {
    Direction {
        lane,
        to,
        under_way: Default::default(),
        counter: 0,
    }
}

fn at_work(plan: &Topology, node: NodeId, table: RouteTable, random: Stream) -> Node {
    match &plan.plan(node).kind {
        NodeKind::Host => {
            let mut interfaces = Vec::new();
            for (index, link) in plan.graph.edge_weights().enumerate() {
                let id = LinkId(index as u32);
                if link.inner == node {
                    let out = id.forward();
                    let own = link.addresses.iter();
                    interfaces.extend(own.map(|address| Interface {
                        address: *address,
                        out,
                    }));
                }
                let far = link.far_address.filter(|_| link.outer == node);
                interfaces.extend(far.map(|address| Interface {
                    address,
                    out: id.backward(),
                }));
            }
            Node::Host(Host::new(node, interfaces, random))
        }
        NodeKind::Router { isolated, .. } => Node::Router {
            table,
            isolated: *isolated,
        },
        NodeKind::Gateway {
            devices, isolated, ..
        } => {
            let (uplink, _) = links_of(plan, node)
                .next()
                .expect("a gateway has an outside");
            let at_work = |device: &Device| match device {
                Device::Nat(config) => {
                    DeviceAtWork::Nat(Nat::new(config.clone(), plan.addresses(node)))
                }
                Device::Firewall(config) => DeviceAtWork::Firewall(Firewall::new(*config)),
                Device::Rules(rules) => DeviceAtWork::Rules(rules.clone()),
                Device::Custom(make) => DeviceAtWork::Custom(make()),
            };
            Node::Gateway(Gateway {
                table,
                uplink: uplink.forward(),
                isolated: *isolated,
                devices: devices.iter().map(at_work).collect(),
                random,
            })
        }
    }
}

/// The links on which `node` is the inner end, in building order.
fn links_of(plan: &Topology, node: NodeId) -> impl Iterator<Item = (LinkId, &LinkPlan)> {
    (plan.graph.edge_weights().enumerate())
        .filter(move |(_, link)| link.inner == node)
        .map(|(index, link)| (LinkId(index as u32), link))
}

fn refuse_nonsense(plan: &Topology) -> Result<(), BuildError> {
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
    let mut inner_links: Vec<Vec<LinkId>> = vec![Vec::new(); plan.graph.node_count()];
    for (index, link) in plan.graph.edge_weights().enumerate() {
        refuse_link(plan, link)?;
        parts.union(link.inner.index(), link.outer.index());
        inner_links[link.inner.index()].push(LinkId(index as u32));
        if link.far_address.is_some() {
            inner_links[link.outer.index()].push(LinkId(index as u32));
        }
    }
    for node in plan.nodes() {
        refuse_node(plan, plan.plan(node), &inner_links[node.index()])?;
        if parts.find(node.index()) != parts.find(0) {
            let (one, other) = (NodeId(0), node);
            let name = |node| plan.name(node).to_owned();
            return Err(BuildError::Apart {
                one: name(one),
                other: name(other),
            });
        }
    }
    Ok(())
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

fn refuse_node(plan: &Topology, node: &NodePlan, links: &[LinkId]) -> Result<(), BuildError> {
    let name = || node.name.clone();
    let NodeKind::Gateway { devices, .. } = &node.kind else {
        return match node.kind {
            NodeKind::Host if links.is_empty() => Err(BuildError::HostWithoutLink { host: name() }),
            _ => Ok(()),
        };
    };
    let outside = match links {
        [] => return Err(BuildError::NoOutside { gateway: name() }),
        [outside] => *outside,
        [first, second, ..] => {
            let outer = |link: &LinkId| plan.name(plan.ends(*link).1).to_owned();
            let (first, second) = (outer(first), outer(second));
            return Err(BuildError::TwoOutsides {
                gateway: name(),
                first,
                second,
            });
        }
    };
    for device in devices {
        let Device::Nat(config) = device else {
            continue;
        };
        if plan.addresses(plan.ends(outside).0).next().is_none() {
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
    }
    Ok(())
}
