//! Who gets a lane, and where it stands.

use pinhole::nat64::Prefix64;
use pinhole::topology::Topology;
use pinhole::trace::{Event, Fate, Place, Recording};
use pinhole::{Address, NodeId};

use crate::call::{Scene, Side};

/// Everyone who has a lane, from left to right.
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    hosts: [usize; 2],
    /// Where the first lane stands, and how far apart they are.
    first: f64,
    gap: f64,
}

/// One lane.
pub(super) struct Lane {
    pub(super) node: NodeId,
    /// What stands at its head, line by line.
    pub(super) name: String,
    pub(super) role: String,
    pub(super) addresses: Vec<Address>,
}

/// Room at the left for the time.
const FIRST_LANE: f64 = 150.0;

impl Lanes {
    /// From a's host outward over the servers to b's host. Edges that the two share, on one local
    /// network or behind one carrier, stand between them, and the servers then stand at the right.
    pub(super) fn of(scene: &Scene, topology: &Topology, recording: &Recording) -> Self {
        let [host_a, host_b] = scene.hosts;
        let [own_a, own_b] = Side::BOTH.map(|side| scene.own_edges(side));
        let around = scene.shared_edges();
        let shared = !around.is_empty();
        // A router that only passes things on says nothing, unless it drops something, or is all
        // that stands between the two.
        let telling = |edge: &&NodeId| {
            around.contains(edge)
                || topology.role(**edge) != "router"
                || drops_at(recording, **edge)
        };
        let mut nodes = vec![host_a];
        nodes.extend(own_a.iter().chain(around).filter(telling));
        nodes.extend(scene.roams_to[0].iter().filter(telling));
        if shared {
            nodes.extend(own_b.iter().rev().filter(telling));
            nodes.push(host_b);
        }
        nodes.push(scene.stun);
        nodes.extend(scene.turn);
        if !shared {
            nodes.extend(scene.roams_to[1].iter().rev().filter(telling));
            nodes.extend(own_b.iter().rev().filter(telling));
            nodes.push(host_b);
        }
        let lanes: Vec<Lane> = nodes
            .into_iter()
            .map(|node| Lane {
                node,
                name: name(node, scene, topology),
                role: role(node, topology),
                addresses: topology.addresses(node).collect(),
            })
            .collect();
        let at = |node| {
            let place = lanes.iter().position(|lane| lane.node == node);
            place.expect("both hosts have lanes")
        };
        Lanes {
            hosts: [at(host_a), at(host_b)],
            lanes,
            first: FIRST_LANE,
            gap: 200.0,
        }
    }

    /// Puts the lanes this far apart.
    pub(super) fn spread(&mut self, gap: f64) {
        self.gap = gap;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Lane)> {
        self.lanes.iter().enumerate()
    }

    pub(super) fn lane(&self, lane: usize) -> &Lane {
        &self.lanes[lane]
    }

    /// The lane of a side's host.
    pub(super) fn host(&self, side: Side) -> usize {
        self.hosts[side.index()]
    }

    /// A node's lane, if it has one.
    pub(super) fn of_node(&self, node: NodeId) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.node == node)
    }

    /// The lane that has this address.
    pub(super) fn owner(&self, address: Address) -> Option<usize> {
        // On its way to a NAT64, what is sent to a lane's IPv4 address has one that stands for it.
        let stands_for = Prefix64::well_known().extract(address);
        let address = stands_for.unwrap_or(address);
        self.lanes
            .iter()
            .position(|lane| lane.addresses.contains(&address))
    }

    /// Where a lane stands.
    pub(super) fn x(&self, lane: usize) -> f64 {
        self.first + self.gap * lane as f64
    }

    /// How far apart lanes are.
    pub(super) fn distance(&self) -> f64 {
        self.gap
    }

    /// Where the last lane stands.
    pub(super) fn last_x(&self) -> f64 {
        self.x(self.lanes.len() - 1)
    }

    /// The way to the middle of the drawing: 1 is to the right.
    pub(super) fn inward(&self, lane: usize) -> f64 {
        if 2 * lane < self.lanes.len() {
            1.0
        } else {
            -1.0
        }
    }
}

fn drops_at(recording: &Recording, node: NodeId) -> bool {
    recording.records().iter().any(|record| {
        matches!(record.event, Event::Ended(Fate::Dropped(reason))
            if reason.place() == Place::Node(node))
    })
}

fn name(node: NodeId, scene: &Scene, topology: &Topology) -> String {
    let name = topology.name(node);
    if scene.hosts.contains(&node) {
        return format!("host {name}");
    }
    if node == scene.stun || Some(node) == scene.turn {
        return format!("{} server", name.to_uppercase());
    }
    name.to_owned()
}

fn role(node: NodeId, topology: &Topology) -> String {
    if let Some((mapping, filtering)) = topology.nat_behaviour(node) {
        return format!("NAT {mapping}/{filtering}");
    }
    if let Some(config) = topology.nat64_config(node) {
        return format!("NAT64 eim/{}", config.filtering);
    }
    match (topology.role(node), topology.firewall_config(node)) {
        ("firewall", Some(config)) => format!("firewall {}", config.filtering),
        ("firewall", None) => "firewall with rules".to_owned(),
        ("host", _) => String::new(),
        (role, _) => role.to_owned(),
    }
}
