//! The internet that a call happens on: two sites, a STUN server, a TURN server.

use pinhole::link::Link;
use pinhole::nat::{Hairpinning, NatConfig};
use pinhole::nat64::Prefix64;
use pinhole::topology::{AddressPlan, BuildError, Device, EdgePlan, Kind, Site, SiteOptions};
use pinhole::{Internet, NodeId, Topology};

use super::config::{CallConfig, Neighbourhood};
use super::data::Side;

/// Who is where.
#[derive(Clone, Debug)]
pub struct Scene {
    /// A's and B's hosts.
    pub hosts: [NodeId; 2],
    /// A's and B's edges, from the inside out, a carrier's among them; the same where they share a
    /// network.
    pub edges: [Vec<NodeId>; 2],
    /// How many of these both are behind: all of them on one local network, a carrier's, or none.
    pub shared: usize,
    /// The edges of the networks that A and B may roam to, from the inside out.
    pub roams_to: [Vec<NodeId>; 2],
    /// The prefix that the DNS64 of A's and B's network synthesizes with, if they have one.
    pub prefix64: [Option<Prefix64>; 2],
    /// The router in the middle.
    pub core: NodeId,
    /// The STUN server.
    pub stun: NodeId,
    /// The TURN server, if the service has one.
    pub turn: Option<NodeId>,
}

impl Scene {
    /// The edges that only this side is behind, from the inside out.
    pub fn own_edges(&self, side: Side) -> &[NodeId] {
        let edges = &self.edges[side.index()];
        &edges[..edges.len() - self.shared]
    }

    /// The edges that both sides are behind, from the inside out.
    pub fn shared_edges(&self) -> &[NodeId] {
        let edges = &self.edges[0];
        &edges[edges.len() - self.shared..]
    }
}

/// Plans the call's internet and makes it, in place of what `net` was before.
pub(super) fn set(net: &mut Internet, config: &CallConfig) -> Result<Scene, BuildError> {
    let mut plan = Topology::new();
    let mut addresses = AddressPlan::new();
    let core = plan.router("internet");
    plan.budget(config.budget);
    // Half the way between two edges lies on either side of the core.
    let half = config.delay / 2;
    let access = Link::with_delay(half);
    let access_of = |side: usize| match config.access[side] {
        None => access,
        Some(mut link) => {
            link.up.delay += half;
            link.down.delay += half;
            link
        }
    };
    let ipv6 = config.ipv6.contains(&true);
    let options = |side: usize| SiteOptions {
        hairpinning: if config.hairpinning {
            Hairpinning::ExternalSource
        } else {
            Hairpinning::Off
        },
        filter_memory: config.filter_memory,
        isolated: config.neighbourhood == Neighbourhood::IsolatedLan,
        ipv6: config.ipv6[side],
        ..SiteOptions::new(access_of(side))
    };
    let edges = |side: usize, options: &SiteOptions| {
        edges(&config.kinds[side], options, config.nats[side].as_ref())
    };
    let mut carrier = config.neighbourhood.carrier().map(|kind| {
        let carrier = SiteOptions {
            home: Some(addresses.carrier()),
            ipv6,
            ..options(0)
        };
        let carrier = SiteOptions { access, ..carrier };
        plan.site("carrier", core, kind, &carrier, &mut addresses)
    });
    let mut site = |plan: &mut Topology, addresses: &mut AddressPlan, side: usize, name: &str| {
        let mut own = options(side);
        match &mut carrier {
            None => plan.site_of(name, core, &edges(side, &own), &own, addresses),
            Some(carrier) => {
                // Half the way between two edges lies outside of the carrier.
                own.access = config.access[side].unwrap_or(own.lan);
                plan.site_behind(name, carrier, &edges(side, &own), &own, addresses)
            }
        }
    };
    let mut a = site(&mut plan, &mut addresses, 0, "a");
    let host_a = plan.host_at(&mut a, "a", &mut addresses);
    let (b, host_b) = if config.neighbourhood.is_one_lan() {
        let host_b = plan.host_at(&mut a, "b", &mut addresses);
        (a.clone(), host_b)
    } else {
        let mut b = site(&mut plan, &mut addresses, 1, "b");
        let host_b = plan.host_at(&mut b, "b", &mut addresses);
        (b, host_b)
    };
    let mut roams_to = [Vec::new(), Vec::new()];
    for (side, (name, host)) in [("a.mobile", host_a), ("b.mobile", host_b)]
        .into_iter()
        .enumerate()
    {
        if let Some(kind) = &config.roams_to[side] {
            let mut site = plan.site(name, core, kind, &options(side), &mut addresses);
            plan.standby_at(&mut site, host, &mut addresses);
            roams_to[side] = site.edges().to_vec();
        }
    }
    let stun = plan.server("stun", core, access, 1, ipv6, &mut addresses);
    let offers_turn = !config.turn.transports().is_empty();
    let turn = offers_turn.then(|| plan.server("turn", core, access, 1, ipv6, &mut addresses));
    net.rebuild(plan, config.seed)?;
    let around = carrier.as_ref().map_or(&[][..], Site::edges);
    let edges_of = |site: &Site| [site.edges(), around].concat();
    Ok(Scene {
        hosts: [host_a, host_b],
        edges: [edges_of(&a), edges_of(&b)],
        shared: if config.neighbourhood.is_one_lan() {
            a.edges().len()
        } else {
            around.len()
        },
        roams_to,
        prefix64: [a.prefix64(), b.prefix64()],
        core,
        stun,
        turn,
    })
}

/// The gateways of a site, from the inside out, its innermost NAT with what it is told beyond its
/// kind.
fn edges(kind: &Kind, options: &SiteOptions, told: Option<&NatConfig>) -> Vec<EdgePlan> {
    let mut edges = kind.plans(options);
    if let (Some(nat), Some(told)) = (innermost_nat(&mut edges), told) {
        *nat = NatConfig {
            mapping: nat.mapping,
            filtering: nat.filtering,
            filter_memory: nat.filter_memory,
            hairpinning: nat.hairpinning,
            ..told.clone()
        };
    }
    edges
}

/// The first NAT on the way out.
pub(super) fn innermost_nat(edges: &mut [EdgePlan]) -> Option<&mut NatConfig> {
    let mut devices = edges.iter_mut().flat_map(|edge| &mut edge.devices);
    devices.find_map(|device| match device {
        Device::Nat(config) => Some(config),
        _ => None,
    })
}
