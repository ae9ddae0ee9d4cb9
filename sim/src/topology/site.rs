//! Sites: a home or an office of some [`Kind`], with its edges, its addresses and its hosts, in one
//! call.

use super::{AddressPlan, Device, Edge, Kind, Topology};
use crate::address::{Address, Family, Prefix};
use crate::behaviour::Filtering;
use crate::firewall::{FirewallConfig, Rules};
use crate::id::{LinkId, NodeId};
use crate::link::Link;
use crate::nat::{FilterMemory, Hairpinning, NatConfig};
use crate::nat64::{ClatConfig, Nat64Config, Prefix64};

/// What a site has beyond its kind.
#[derive(Clone, Debug)]
pub struct SiteOptions {
    /// The link between the outermost edge and what it is connected to.
    pub access: Link,
    /// The link between each host and the innermost edge, and between two edges in a row.
    pub lan: Link,
    /// Whether the site's NATs hairpin.
    pub hairpinning: Hairpinning,
    /// Whose past the site's NATs remember.
    pub filter_memory: FilterMemory,
    /// Whether the innermost edge keeps its hosts apart.
    pub isolated: bool,
    /// The private block of the innermost NAT's inside; `None` takes the plan's next one. Homes may
    /// share a block: real ones do.
    pub home: Option<Prefix>,
    /// Whether hosts have an IPv6 address too, which every edge forwards untranslated behind a
    /// stateful filter (RFC 6092); an edge that blocks UDP blocks it there too. Behind a NAT64 they
    /// have it whatever this says.
    pub ipv6: bool,
}

impl SiteOptions {
    /// A site at the end of this access link, with a quiet [local network](Link::lan) and nothing
    /// special.
    pub fn new(access: Link) -> Self {
        SiteOptions {
            access,
            lan: Link::lan(),
            hairpinning: Hairpinning::default(),
            filter_memory: FilterMemory::default(),
            isolated: false,
            home: None,
            ipv6: false,
        }
    }
}

/// A site of a topology.
#[derive(Clone, Debug)]
pub struct Site {
    name: String,
    edges: Vec<NodeId>,
    access: LinkId,
    lan: Link,
    inside: Space,
    block_v6: Option<Prefix>,
    hosts: u64,
    prefix64: Option<Prefix64>,
}

/// The first host of a block gets its second address: the first is the router's by custom.
const FIRST_HOST: u64 = 2;

impl Topology {
    /// Adds a site called `name` on the inside of `core`: one gateway for each of the kind's edges.
    /// They are called after what they are: `home.nat`, `home.firewall`, `home.router`; where
    /// several are the same, with a number, from the inside out: `home.nat1`, `home.nat2`.
    pub fn site(
        &mut self,
        name: &str,
        core: NodeId,
        kind: &Kind,
        options: &SiteOptions,
        plan: &mut AddressPlan,
    ) -> Site {
        let edges = kind.edges();
        let ipv6 = options.ipv6 || kind.is_behind_nat64();
        let block_v6 = ipv6.then(|| plan.site_v6());
        let mut prefix64 = None;
        // From the outside in: what an edge's outer side lives in is known when its turn comes.
        let mut outer = core;
        let mut space = Space::Public;
        let mut nodes = Vec::with_capacity(edges.len());
        let mut access = None;
        for (place, edge) in edges.iter().enumerate().rev() {
            let node = self.gateway(edge_name(name, edges, place));
            let link = if place + 1 == edges.len() {
                options.access
            } else {
                options.lan
            };
            let mut addresses = Vec::new();
            let mut clat = None;
            if let Edge::Nat64(_) = edge {
                addresses.extend(self.take(&mut space, plan));
                prefix64 = Some(Prefix64::well_known());
                space = Space::Ipv6Only;
            }
            if let Edge::Clat = edge {
                let source = Prefix::new(plan.site_v6().base(), 96);
                let source = Prefix64::try_from(source).expect("the plan's blocks end in zeros");
                self.subnet(node, CLAT_INSIDE);
                // Its own address, by the custom that the first one is the router's.
                addresses.push(source.embed(nth_host(CLAT_INSIDE, 0)));
                clat = Some(source);
            }
            if let Edge::Nat(..) = edge {
                addresses.extend(self.take(&mut space, plan));
                let innermost_nat = !edges[..place]
                    .iter()
                    .any(|edge| matches!(edge, Edge::Nat(..)));
                let block = match options.home {
                    _ if !innermost_nat => plan.carrier(),
                    Some(home) => home,
                    None => plan.home(),
                };
                self.subnet(node, block);
                space = Space::Block(block, 0);
            }
            for device in devices(*edge, options, clat) {
                self.install(node, device);
            }
            let uplink = self.connect(node, outer, link, &addresses);
            if let Some(source) = clat {
                space = Space::Clat {
                    source,
                    uplink,
                    taken: 0,
                };
            }
            access.get_or_insert(uplink);
            outer = node;
            nodes.push(node);
        }
        nodes.reverse();
        if options.isolated {
            self.isolate(nodes[0]);
        }
        Site {
            name: name.to_owned(),
            access: access.expect("a kind has at least one edge"),
            edges: nodes,
            lan: options.lan,
            inside: space,
            block_v6,
            hosts: 0,
            prefix64,
        }
    }

    /// Adds a host to a site, called `name`.
    pub fn host_at(
        &mut self,
        site: &mut Site,
        name: impl Into<String>,
        plan: &mut AddressPlan,
    ) -> NodeId {
        let addresses = self.next_addresses(site, plan);
        let host = self.host(name);
        self.connect(host, site.edges[0], site.lan, &addresses);
        host
    }

    /// Gives a host one more attachment at another site, [to roam to](Topology::standby).
    ///
    /// # Panics
    ///
    /// `host` is no host.
    pub fn standby_at(&mut self, site: &mut Site, host: NodeId, plan: &mut AddressPlan) -> LinkId {
        let addresses = self.next_addresses(site, plan);
        self.standby(host, site.edges[0], site.lan, &addresses)
    }

    /// The addresses of a site's next host.
    fn next_addresses(&mut self, site: &mut Site, plan: &mut AddressPlan) -> Vec<Address> {
        let mut addresses = Vec::with_capacity(2);
        addresses.extend(self.take(&mut site.inside, plan));
        addresses.extend(site.block_v6.map(|block| nth_host(block, site.hosts)));
        site.hosts += 1;
        addresses
    }

    /// The next IPv4 address of a space, if it has any.
    fn take(&mut self, space: &mut Space, plan: &mut AddressPlan) -> Option<Address> {
        match space {
            Space::Public => Some(plan.edge()),
            Space::Block(block, taken) => {
                *taken += 1;
                Some(nth_host(*block, *taken - 1))
            }
            Space::Clat {
                source,
                uplink,
                taken,
            } => {
                let address = nth_host(CLAT_INSIDE, *taken);
                // The first one's way back is there already.
                if *taken > 0 {
                    self.give(*uplink, source.embed(address));
                }
                *taken += 1;
                Some(address)
            }
            Space::Ipv6Only => None,
        }
    }

    /// Adds a server called `name` on the inside of `core`, with this many public IPv4 addresses
    /// and, if asked, as many IPv6 ones.
    pub fn server(
        &mut self,
        name: impl Into<String>,
        core: NodeId,
        link: Link,
        addresses: usize,
        ipv6: bool,
        plan: &mut AddressPlan,
    ) -> NodeId {
        let mut all: Vec<Address> = (0..addresses).map(|_| plan.server()).collect();
        if ipv6 {
            let block = plan.site_v6();
            all.extend((0..addresses as u64).map(|n| nth_host(block, n)));
        }
        let host = self.host(name);
        self.connect(host, core, link, &all);
        host
    }
}

impl Site {
    /// The site's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The edges' gateways, from the inside out.
    pub fn edges(&self) -> &[NodeId] {
        &self.edges
    }

    /// The link between the outermost edge and the core.
    pub fn access(&self) -> LinkId {
        self.access
    }

    /// The prefix under which the IPv4 internet lies for the site's hosts, which is what its DNS64
    /// synthesizes with; `None` where the site has no NAT64.
    pub fn prefix64(&self) -> Option<Prefix64> {
        self.prefix64
    }
}

/// The IPv4 space that the outside of the next edge inward lives in, or the site's hosts.
#[derive(Clone, Debug)]
enum Space {
    /// Public: behind open edges and firewalls, addresses one by one.
    Public,
    /// A block, and how many of its addresses are taken.
    Block(Prefix, u64),
    /// Inside of a CLAT: each address has one in IPv6, on the CLAT's outside.
    Clat {
        source: Prefix64,
        uplink: LinkId,
        taken: u64,
    },
    /// Nobody has an IPv4 address.
    Ipv6Only,
}

/// What hosts behind a CLAT have (RFC 7335): room for six.
const CLAT_INSIDE: Prefix = Prefix::v4([192, 0, 0, 0], 29);

fn nth_host(block: Prefix, n: u64) -> Address {
    block
        .nth(FIRST_HOST + n)
        .expect("a site has as many hosts as its block has addresses")
}

/// `clat` is where the edge's hosts lie in IPv6, if it is a CLAT.
fn devices(edge: Edge, options: &SiteOptions, clat: Option<Prefix64>) -> Vec<Device> {
    let mut devices = match edge {
        Edge::Open => Vec::new(),
        Edge::Firewall(filtering) => return vec![Device::Firewall(FirewallConfig::new(filtering))],
        Edge::UdpBlocked => vec![Device::Rules(Rules::udp_blocked())],
        Edge::Tcp443Only => vec![Device::Rules(Rules::tcp_443_only())],
        Edge::Nat(mapping, filtering) => vec![Device::Nat(NatConfig {
            hairpinning: options.hairpinning,
            filter_memory: options.filter_memory,
            ..NatConfig::new(mapping, filtering)
        })],
        Edge::Nat64(filtering) => vec![Device::Nat64(Nat64Config::new(filtering))],
        Edge::Clat => clat
            .map(|source| {
                let destination = Prefix64::well_known();
                Device::Clat(ClatConfig {
                    source,
                    destination,
                })
            })
            .into_iter()
            .collect(),
    };
    if matches!(edge, Edge::Nat64(_)) || (options.ipv6 && matches!(edge, Edge::Nat(..))) {
        // RFC 6092 §3.2: endpoint-independent filtering would do; what routers ship is this.
        let filter = FirewallConfig::new(Filtering::AddressAndPortDependent);
        devices.push(Device::Firewall(FirewallConfig {
            family: Some(Family::V6),
            ..filter
        }));
    }
    devices
}

fn edge_name(site: &str, edges: &[Edge], place: usize) -> String {
    let word = |edge: &Edge| match edge {
        Edge::Open => "router",
        Edge::Firewall(_) | Edge::UdpBlocked | Edge::Tcp443Only => "firewall",
        Edge::Nat(..) => "nat",
        Edge::Nat64(_) => "nat64",
        Edge::Clat => "clat",
    };
    let mine = word(&edges[place]);
    let before = edges[..place]
        .iter()
        .filter(|edge| word(edge) == mine)
        .count();
    let after = edges[place + 1..]
        .iter()
        .filter(|edge| word(edge) == mine)
        .count();
    if before + after == 0 {
        format!("{site}.{mine}")
    } else {
        format!("{site}.{mine}{}", before + 1)
    }
}
