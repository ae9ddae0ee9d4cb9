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

/// One gateway of a site, as it is to be made: what an [`Edge`] stands for.
#[derive(Clone)]
pub struct EdgePlan {
    /// What it is called, behind its site's name: `nat`, `firewall`, `router`.
    pub word: &'static str,
    /// What stands in it, from the inside out.
    pub devices: Vec<Device>,
    /// How many external addresses it has. A gateway that translates has at least one; 0 for one
    /// that doesn't.
    pub addresses: usize,
    /// Whether it keeps the hosts on its inside apart.
    pub isolated: bool,
    /// What addresses hosts on its inside have.
    pub inside: Inside,
}

/// What addresses hosts on a gateway's inside have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Inside {
    /// Those of its outside: it translates nothing.
    Same,
    /// Private ones, which its NAT translates.
    Private,
    /// IPv6 only: a NAT64 leads into IPv4.
    Ipv6Only,
    /// A private IPv4 one beside IPv6: its CLAT, which the site puts in, translates into IPv6.
    Clat,
}

impl EdgePlan {
    /// A gateway with a NAT that has this many external addresses.
    pub fn nat(config: NatConfig, addresses: usize) -> Self {
        EdgePlan {
            word: "nat",
            devices: vec![Device::Nat(config)],
            addresses,
            isolated: false,
            inside: Inside::Private,
        }
    }

    /// A gateway that translates nothing, called by this word.
    pub fn transparent(word: &'static str, devices: Vec<Device>) -> Self {
        EdgePlan {
            word,
            devices,
            addresses: 0,
            isolated: false,
            inside: Inside::Same,
        }
    }

    /// Whether hosts on its inside have private addresses.
    pub fn translates(&self) -> bool {
        matches!(self.inside, Inside::Private | Inside::Clat)
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
    /// Adds a site called `name` on the inside of `core`: one gateway for each of the kind's edges,
    /// or several where an edge is a preset with several.
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
        self.site_of(name, core, &kind.plans(options), options, plan)
    }

    /// The same, of gateways as they are given, from the inside out. What the options say of NATs is
    /// for kinds, and isn't looked at here.
    ///
    /// # Panics
    ///
    /// There is no gateway.
    pub fn site_of(
        &mut self,
        name: &str,
        core: NodeId,
        edges: &[EdgePlan],
        options: &SiteOptions,
        plan: &mut AddressPlan,
    ) -> Site {
        self.site_in(name, core, &mut Space::Public, edges, options, plan)
    }

    /// The same, on the inside of another site's innermost gateway instead of a core: a home that
    /// shares a carrier's NAT with others. What the carrier's NAT lends its subscribers is up to the
    /// carrier: its [`home`](SiteOptions::home) is their block.
    ///
    /// # Panics
    ///
    /// There is no gateway.
    pub fn site_behind(
        &mut self,
        name: &str,
        carrier: &mut Site,
        edges: &[EdgePlan],
        options: &SiteOptions,
        plan: &mut AddressPlan,
    ) -> Site {
        let outer = carrier.edges[0];
        let mut site = self.site_in(name, outer, &mut carrier.inside, edges, options, plan);
        site.prefix64 = site.prefix64.or(carrier.prefix64);
        site
    }

    /// The same, on the inside of `outer`, where IPv4 addresses come from `around`.
    fn site_in(
        &mut self,
        name: &str,
        outer: NodeId,
        around: &mut Space,
        edges: &[EdgePlan],
        options: &SiteOptions,
        plan: &mut AddressPlan,
    ) -> Site {
        let is_ipv6_only = |edge: &EdgePlan| matches!(edge.inside, Inside::Ipv6Only);
        let behind_nat64 = matches!(around, Space::Ipv6Only);
        let ipv6 = options.ipv6 || behind_nat64 || edges.iter().any(is_ipv6_only);
        let block_v6 = ipv6.then(|| plan.site_v6());
        let mut prefix64 = None;
        // From the outside in: what an edge's outer side lives in is known when its turn comes.
        let mut outer = outer;
        // The space between two of the edges; the outermost one's addresses are from `around`.
        let mut between: Option<Space> = None;
        let mut nodes = Vec::with_capacity(edges.len());
        let mut access = None;
        for (place, edge) in edges.iter().enumerate().rev() {
            let node = self.gateway(edge_name(name, edges, place));
            let link = if place + 1 == edges.len() {
                options.access
            } else {
                options.lan
            };
            let mut addresses: Vec<Address> = Vec::with_capacity(edge.addresses);
            for _ in 0..edge.addresses {
                let space = between.as_mut().unwrap_or(around);
                addresses.extend(self.take(space, plan));
            }
            let mut clat = None;
            if let Inside::Ipv6Only = edge.inside {
                prefix64 = Some(Prefix64::well_known());
                between = Some(Space::Ipv6Only);
            }
            if let Inside::Clat = edge.inside {
                let source = Prefix::new(plan.site_v6().base(), 96);
                let source = Prefix64::try_from(source).expect("the plan's blocks end in zeros");
                self.subnet(node, CLAT_INSIDE);
                // Its own address, by the custom that the first one is the router's.
                addresses.push(source.embed(nth_host(CLAT_INSIDE, 0)));
                clat = Some(source);
                self.install(
                    node,
                    Device::Clat(ClatConfig {
                        source,
                        destination: Prefix64::well_known(),
                    }),
                );
            }
            if let Inside::Private = edge.inside {
                let is_nat = |edge: &EdgePlan| matches!(edge.inside, Inside::Private);
                let innermost_nat = !edges[..place].iter().any(is_nat);
                let block = match options.home {
                    _ if !innermost_nat => plan.carrier(),
                    Some(home) => home,
                    None => plan.home(),
                };
                self.subnet(node, block);
                between = Some(Space::Block(block, 0));
            }
            for device in &edge.devices {
                self.install(node, device.clone());
            }
            let guards_ipv6 = match edge.inside {
                Inside::Private => options.ipv6,
                Inside::Ipv6Only => true,
                Inside::Same | Inside::Clat => false,
            };
            if guards_ipv6 {
                // RFC 6092 §3.2: endpoint-independent filtering would do; what routers ship is this.
                let filter = FirewallConfig::new(Filtering::AddressAndPortDependent);
                let filter = FirewallConfig {
                    family: Some(Family::V6),
                    ..filter
                };
                self.install(node, Device::Firewall(filter));
            }
            if edge.isolated {
                self.isolate(node);
            }
            let uplink = self.connect(node, outer, link, &addresses);
            if let Some(source) = clat {
                between = Some(Space::Clat {
                    source,
                    uplink,
                    taken: 0,
                });
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
            access: access.expect("a site has at least one gateway"),
            edges: nodes,
            lan: options.lan,
            inside: between.unwrap_or_else(|| around.lend()),
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

impl Space {
    /// How many addresses a site behind another that translates nothing has room for.
    const LENT: u64 = 16;

    /// A part of it for a site that translates nothing: nobody else takes from there.
    fn lend(&mut self) -> Space {
        let lent = self.clone();
        match self {
            Space::Block(_, taken) => *taken += Space::LENT,
            // There is no more.
            Space::Clat { taken, .. } => *taken += 1,
            Space::Public | Space::Ipv6Only => {}
        }
        lent
    }
}

/// What hosts behind a CLAT have (RFC 7335): room for six.
const CLAT_INSIDE: Prefix = Prefix::v4([192, 0, 0, 0], 29);

fn nth_host(block: Prefix, n: u64) -> Address {
    block
        .nth(FIRST_HOST + n)
        .expect("a site has as many hosts as its block has addresses")
}

impl Kind {
    /// The gateways that a site of this kind has, from the inside out. Presets say everything
    /// themselves; what the options say of NATs is for those that a kind names by mapping and
    /// filtering only.
    pub fn plans(&self, options: &SiteOptions) -> Vec<EdgePlan> {
        let plans = self.edges().iter().flat_map(|edge| match *edge {
            Edge::Open => vec![EdgePlan::transparent("router", Vec::new())],
            Edge::Firewall(filtering) => {
                let firewall = Device::Firewall(FirewallConfig::new(filtering));
                vec![EdgePlan::transparent("firewall", vec![firewall])]
            }
            Edge::UdpBlocked => {
                let rules = Device::Rules(Rules::udp_blocked());
                vec![EdgePlan::transparent("firewall", vec![rules])]
            }
            Edge::Nat(mapping, filtering) => {
                let config = NatConfig {
                    hairpinning: options.hairpinning,
                    filter_memory: options.filter_memory,
                    ..NatConfig::new(mapping, filtering)
                };
                vec![EdgePlan::nat(config, 1)]
            }
            Edge::Nat64(filtering) => vec![EdgePlan {
                word: "nat64",
                devices: vec![Device::Nat64(Nat64Config::new(filtering))],
                addresses: 1,
                isolated: false,
                inside: Inside::Ipv6Only,
            }],
            Edge::Clat => vec![EdgePlan {
                inside: Inside::Clat,
                ..EdgePlan::transparent("clat", Vec::new())
            }],
            Edge::Preset(preset) => preset.edges(),
        });
        plans.collect()
    }
}

fn edge_name(site: &str, edges: &[EdgePlan], place: usize) -> String {
    let mine = edges[place].word;
    let same = |edge: &&EdgePlan| edge.word == mine;
    let before = edges[..place].iter().filter(same).count();
    let after = edges[place + 1..].iter().filter(same).count();
    if before + after == 0 {
        format!("{site}.{mine}")
    } else {
        format!("{site}.{mine}{}", before + 1)
    }
}
