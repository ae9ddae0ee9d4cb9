//! A plan drawn with a broad pen: one core router, sites and servers around it, and addresses that
//! nobody has to think about.

use std::net::SocketAddr;
use std::time::Duration;

use crate::address::{Address, Endpoint};
use crate::id::NodeId;
use crate::internet::Internet;
use crate::link::Link;
use crate::topology::{AddressPlan, Kind, Site, SiteOptions, Topology};

/// The quickest way to an internet: name the hosts and the networks they sit in.
///
/// ```
/// use pinhole::Sketch;
///
/// let mut world = Sketch::new();
/// let alice = world.host("alice", "nat:eim/apdf");
/// let server = world.server("server");
/// assert_eq!(world.public(alice, 5000).to_string(), "203.0.113.1:5000");
/// assert_eq!(world.public(server, 3478).to_string(), "192.0.2.1:3478");
/// let net = world.build(1);
/// assert_eq!(net.address(alice).to_string(), "192.168.1.2");
/// ```
///
/// It builds nothing that a [`Topology`] can't: [`into_topology`](Sketch::into_topology) goes on
/// where a sketch ends.
#[derive(Clone)]
pub struct Sketch {
    topology: Topology,
    core: NodeId,
    plan: AddressPlan,
    options: SiteOptions,
    /// The address that the internet knows each host by.
    public: Vec<(NodeId, Address)>,
}

/// One way, for every site and server: two of them are 20 ms apart, and so 40 ms there and back,
/// about what two homes in neighbouring countries are.
const ACCESS_DELAY: Duration = Duration::from_millis(10);

impl Default for Sketch {
    fn default() -> Self {
        Sketch::new()
    }
}

impl Sketch {
    /// A core router called `internet` with nothing around it. Sites and servers will be 10 ms away
    /// from it each way, over links that lose nothing.
    pub fn new() -> Self {
        Sketch::with(SiteOptions::new(Link::with_delay(ACCESS_DELAY)))
    }

    /// The same, for sites like this. Servers keep the quick links.
    pub fn with(options: SiteOptions) -> Self {
        let mut topology = Topology::new();
        Sketch {
            core: topology.router("internet"),
            topology,
            plan: AddressPlan::new(),
            options,
            public: Vec::new(),
        }
    }

    /// Adds a host in a network of its own, of some [`Kind`]: `"nat:eim/apdf"`, `"open"`.
    ///
    /// # Panics
    ///
    /// No kind is called that; the message lists those that there are.
    pub fn host(&mut self, name: &str, kind: &str) -> NodeId {
        let mut site = self.site(name, kind);
        self.host_at(&mut site, name)
    }

    /// Adds a network for several hosts, still empty.
    ///
    /// # Panics
    ///
    /// No kind is called that; the message lists those that there are.
    pub fn site(&mut self, name: &str, kind: &str) -> Site {
        let kind: Kind = kind.parse().unwrap_or_else(|error| panic!("{error}"));
        let (topology, plan) = (&mut self.topology, &mut self.plan);
        topology.site(name, self.core, &kind, &self.options, plan)
    }

    /// Adds a host to a network.
    pub fn host_at(&mut self, site: &mut Site, name: &str) -> NodeId {
        let host = self.topology.host_at(site, name, &mut self.plan);
        // The outermost NAT's address is the one that is seen outside.
        let mut outside_in = site.edges().iter().rev();
        let seen = outside_in
            .find(|edge| {
                let topology = &self.topology;
                topology.nat_config(**edge).is_some() || topology.nat64_config(**edge).is_some()
            })
            .copied()
            .unwrap_or(host);
        let address = self.topology.addresses(seen).next();
        self.public
            .push((host, address.expect("sites get their addresses at once")));
        host
    }

    /// Adds a server with one public address.
    pub fn server(&mut self, name: &str) -> NodeId {
        let link = Link::with_delay(ACCESS_DELAY);
        let (topology, plan) = (&mut self.topology, &mut self.plan);
        let server = topology.server(name, self.core, link, 1, false, plan);
        let address = topology.addresses(server).next();
        self.public
            .push((server, address.expect("it was given one")));
        server
    }

    /// The host's address as the internet knows it (its outermost NAT's, or its own), with this
    /// port. Behind a NAT that preserves ports that is where a socket bound to `port` is found.
    ///
    /// # Panics
    ///
    /// The node is no host of this sketch.
    pub fn public(&self, host: NodeId, port: u16) -> SocketAddr {
        let known = self.public.iter().find(|(node, _)| *node == host);
        let (_, address) = known.expect("the node is a host or server of this sketch");
        Endpoint::new(*address, port).into()
    }

    /// The plan, to be refined.
    pub fn into_topology(self) -> Topology {
        self.topology
    }

    /// Makes the internet, for a run with this seed.
    ///
    /// # Panics
    ///
    /// Two nodes have the same name.
    pub fn build(self, seed: u64) -> Internet {
        self.topology
            .build(seed)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_nat_is_what_the_internet_sees() {
        let mut world = Sketch::new();
        let open = world.host("open", "open");
        assert_eq!(world.public(open, 1).to_string(), "203.0.113.1:1");
        let walled = world.host("walled", "firewall:apdf");
        assert_eq!(world.public(walled, 1).to_string(), "203.0.113.2:1");
        // A carrier NAT outside a home NAT, and a firewall outside of that.
        let deep = world.host("deep", "nat:eim/apdf>nat:eim/eif>firewall:adf");
        assert_eq!(world.public(deep, 1).to_string(), "203.0.113.3:1");
        // Inside of a NAT64 there is only IPv6.
        let mobile = world.host("mobile", "464xlat:eim/apdf");
        assert_eq!(world.public(mobile, 1).to_string(), "203.0.113.4:1");
        let net = world.build(1);
        assert_eq!(net.address(open).to_string(), "203.0.113.1");
        assert_eq!(net.address(walled).to_string(), "203.0.113.2");
        assert!(net.address(deep).is_private());
    }

    #[test]
    fn hosts_of_one_site_share_their_public_address() {
        let mut world = Sketch::new();
        let mut home = world.site("home", "nat:eim/apdf");
        let first = world.host_at(&mut home, "first");
        let second = world.host_at(&mut home, "second");
        assert_eq!(world.public(first, 7), world.public(second, 7));
        let net = world.build(1);
        assert_ne!(net.address(first), net.address(second));
    }

    #[test]
    #[should_panic(expected = "no kind of network is called \"cone\"; there are open,")]
    fn an_unknown_kind_is_refused_with_the_known_ones() {
        Sketch::new().host("alice", "cone");
    }

    #[test]
    #[should_panic(expected = "two nodes are called \"alice\"")]
    fn a_name_given_twice_is_refused() {
        let mut world = Sketch::new();
        world.server("alice");
        world.host("alice", "open");
        world.build(1);
    }
}
