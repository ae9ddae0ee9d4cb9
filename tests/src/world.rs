//! Random internets with random traffic, for what must hold on all of them.
//!
//! A world is made from two numbers: a seed, and a size, by which a failing one is made smaller.
//! It is as odd as the plan allows: meshes of routers, chains of NATs and firewalls whose insides
//! all use the same private block, hosts with several links, lossy, slow, reordering and
//! duplicating links, loops; programs that write to and ping everybody, to closed ports, to addresses that
//! nobody has and from addresses that aren't theirs.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pinhole::firewall::{Action, FirewallConfig, Protocol, Rule, Rules};
use pinhole::link::{Conditions, GilbertElliott, Jitter, Link, Loss};
use pinhole::middlebox::{Middlebox, PacketFilter, Way};
use pinhole::nat::{FilterMemory, Hairpinning, NatConfig, PortAllocation, Refresh};
use pinhole::packet::{Packet, Train};
use pinhole::topology::Device;
use pinhole::{
    Address, Endpoint, Filtering, Input, Internet, Io, Lifetimes, Mapping, NodeId, Program, Stream,
    Time, Topology,
};

/// The port that every program of a world opens.
const OPEN: u16 = 4000;
/// The first external port of every NAT.
const FIRST_EXTERNAL: u16 = 2000;

/// A random internet, planned.
pub struct World {
    /// The plan.
    pub plan: Topology,
    hosts: Vec<NodeId>,
    targets: Rc<Vec<SocketAddr>>,
    size: u64,
}

/// Things that have nothing to do with the rest of a world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bystanders {
    /// There are none.
    None,
    /// A host and a server that talk to each other and to themselves, planned and attached before
    /// everything else.
    First,
    /// The same, after everything else.
    Last,
}

/// What bystanders are called.
pub const BYSTANDERS: [&str; 2] = ["bystander", "bystanders' server"];

struct Builder {
    random: Stream,
    plan: Topology,
    public: u64,
    hosts: Vec<NodeId>,
    targets: Vec<SocketAddr>,
}

/// The realm that the inside of the next edge lives in.
#[derive(Clone, Copy)]
enum Realm {
    Public,
    /// Inside of a NAT, and how many addresses are taken there.
    Private(u64),
}

impl World {
    /// The world of that seed and size (from 1).
    pub fn new(seed: u64, size: u64, bystanders: Bystanders) -> World {
        let mut builder = Builder {
            random: Stream::new(seed, "world"),
            plan: Topology::new(),
            public: 0,
            hosts: Vec::new(),
            targets: Vec::new(),
        };
        let far = (bystanders == Bystanders::First).then(|| builder.bystanders());
        let routers = builder.routers(size);
        for site in 0..1 + builder.random.below(size) {
            let at = *builder.pick(&routers);
            builder.site(site, at, &routers);
        }
        if builder.random.chance(0.3) {
            builder.endless_loop(routers[0]);
        }
        builder.nowhere();
        let last = (bystanders == Bystanders::Last).then(|| builder.bystanders());
        if let Some(far) = far.or(last) {
            // The plan must hang together; nothing ever takes this way.
            builder.plan.connect(far, routers[0], Link::lan(), &[]);
        }
        World {
            plan: builder.plan,
            hosts: builder.hosts,
            targets: Rc::new(builder.targets),
            size,
        }
    }

    /// The world at work, with its programs attached.
    pub fn start(self, seed: u64) -> Internet {
        let mut net = self.plan.clone().build(seed).expect("worlds are possible");
        self.attach(&mut net);
        net
    }

    /// Attaches the world's programs to an internet that was built from its plan.
    pub fn attach(&self, net: &mut Internet) {
        // Bystanders that were planned first are attached first.
        let mut bystanders = Vec::new();
        for name in BYSTANDERS {
            bystanders.extend(self.plan.find(name));
        }
        let first = bystanders.first() < self.hosts.first();
        if first {
            attach_bystanders(net, &bystanders);
        }
        for host in &self.hosts {
            let left = 1 + self.size;
            let targets = Rc::clone(&self.targets);
            net.attach(*host, Chatter { targets, left });
        }
        if !first {
            attach_bystanders(net, &bystanders);
        }
    }
}

impl Builder {
    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.random.below(from.len() as u64) as usize]
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_micros(self.random.below(1000 * most + 1))
    }

    fn public(&mut self) -> Address {
        self.public += 1;
        let [.., high, low] = self.public.to_be_bytes();
        Address::v4(198, 18, high, low)
    }

    fn routers(&mut self, size: u64) -> Vec<NodeId> {
        let count = 1 + self.random.below(size.min(6));
        let routers: Vec<NodeId> = (0..count)
            .map(|n| self.plan.router(format!("router{n}")))
            .collect();
        // A tree, then a few links more.
        for n in 1..routers.len() {
            let outer = routers[self.random.below(n as u64) as usize];
            self.link(routers[n], outer, &[]);
        }
        for _ in 0..self.random.below(4) {
            let (one, other) = (*self.pick(&routers), *self.pick(&routers));
            if one != other {
                self.link(one, other, &[]);
            }
        }
        routers
    }

    fn link(&mut self, inner: NodeId, outer: NodeId, addresses: &[Address]) {
        let (up, down) = (self.conditions(), self.conditions());
        self.plan
            .connect(inner, outer, Link { up, down }, addresses);
    }

    fn conditions(&mut self) -> Conditions {
        let mut conditions = Conditions::new(self.millis(20));
        if self.random.chance(0.2) {
            conditions.delay = Duration::ZERO;
        }
        let most = self.millis(10);
        conditions.jitter = match self.random.below(4) {
            0 => Jitter::InOrder(most),
            1 => Jitter::Reordering(most),
            _ => Jitter::None,
        };
        conditions.loss = match self.random.below(4) {
            0 => Loss::Independent(0.1 * self.random.unit()),
            1 => Loss::GilbertElliott(GilbertElliott::bursts(0.1, 3.0)),
            _ => Loss::None,
        };
        if self.random.chance(0.3) {
            conditions.duplication = 0.3 * self.random.unit();
        }
        if self.random.chance(0.3) {
            let queue = self.random.below(20_000) as u32;
            conditions = conditions.bottleneck(100_000 << self.random.below(8), queue);
        }
        if self.random.chance(0.2) {
            conditions.mtu = 100 + self.random.below(1400) as u16;
        }
        conditions
    }

    /// A chain of edges and some hosts behind it.
    fn site(&mut self, number: u64, at: NodeId, routers: &[NodeId]) {
        let (mut outer, mut realm) = (at, Realm::Public);
        for edge in 0..self.random.below(4) {
            let gateway = self.plan.gateway(format!("edge{number}.{edge}"));
            let mut addresses = Vec::new();
            let kind = self.random.below(5);
            if kind < 2 {
                let config = self.nat();
                let inside = realm.is_private();
                addresses = (0..1 + self.random.below(3))
                    .map(|_| self.address(&mut realm))
                    .collect();
                for address in addresses.iter().filter(|_| !inside) {
                    for port in FIRST_EXTERNAL..FIRST_EXTERNAL + 4 {
                        self.targets.push(Endpoint::new(*address, port).into());
                    }
                }
                self.plan.install(gateway, Device::Nat(config));
                if self.random.chance(0.5) {
                    self.plan.subnet(gateway, "192.168.0.0/16".parse().unwrap());
                }
                realm = Realm::Private(0);
            } else if kind < 4 {
                let device = self.filter();
                self.plan.install(gateway, device);
            }
            if self.random.chance(0.2) {
                self.plan.isolate(gateway);
            }
            self.link(gateway, outer, &addresses);
            outer = gateway;
        }
        for host in 0..1 + self.random.below(3) {
            let node = self.plan.host(format!("host{number}.{host}"));
            let mut addresses = vec![self.address(&mut realm)];
            if self.random.chance(0.4) {
                self.public += 1;
                let v6 = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, self.public as u16);
                addresses.push(v6.into());
            }
            self.link(node, outer, &addresses);
            if self.random.chance(0.2) {
                let (second, router) = (self.public(), *self.pick(routers));
                self.link(node, router, &[second]);
                addresses.push(second);
            }
            self.hosts.push(node);
            for address in addresses {
                for port in [OPEN, OPEN, 9] {
                    self.targets.push(Endpoint::new(address, port).into());
                }
            }
        }
    }

    fn address(&mut self, realm: &mut Realm) -> Address {
        match realm {
            Realm::Public => self.public(),
            Realm::Private(taken) => {
                *taken += 1;
                Address::v4(192, 168, 1, *taken as u8)
            }
        }
    }

    fn nat(&mut self) -> NatConfig {
        let (mapping, filtering) = (*self.pick(&Mapping::ALL), *self.pick(&Filtering::ALL));
        let memories = [FilterMemory::InternalEndpoint, FilterMemory::Mapping];
        let allocations = [
            PortAllocation::PRESERVING,
            PortAllocation::SEQUENTIAL,
            PortAllocation::Random,
        ];
        NatConfig {
            filter_memory: *self.pick(&memories),
            ports: *self.pick(&allocations),
            port_range: FIRST_EXTERNAL..=FIRST_EXTERNAL + self.random.below(8) as u16,
            lifetimes: Lifetimes {
                udp: Duration::from_millis(10) + self.millis(300),
                ..Lifetimes::STANDARD
            },
            refresh: *self.pick(&[Refresh::Outbound, Refresh::BothWays]),
            hairpinning: *self.pick(&[Hairpinning::Off, Hairpinning::ExternalSource]),
            ..NatConfig::new(mapping, filtering)
        }
    }

    fn filter(&mut self) -> Device {
        match self.random.below(5) {
            0 => Device::Rules(Rules::new(vec![Rule::deny_udp()])),
            1 => {
                let rule = Rule {
                    way: Some(*self.pick(&[Way::In, Way::Out])),
                    protocol: Some(*self.pick(&[Protocol::Udp, Protocol::Icmp])),
                    ..Rule::new(*self.pick(&[Action::Allow, Action::Deny]))
                };
                Device::Rules(Rules::new(vec![rule]))
            }
            2 => Device::Custom(Arc::new(|| {
                let judge = |_: Way, packet: &Packet| match packet.wire_length() {
                    0..600 => Ok(()),
                    _ => Err("too long for the tunnel"),
                };
                Box::new(PacketFilter(judge)) as Box<dyn Middlebox>
            })),
            _ => {
                let mut config = FirewallConfig::new(*self.pick(&Filtering::ALL));
                config.lifetimes.udp = self.millis(300);
                Device::Firewall(config)
            }
        }
    }

    /// Two gateways that send each other whatever they don't know, and a host behind them.
    fn endless_loop(&mut self, router: NodeId) {
        let link = Link::with_delay(self.millis(2));
        let [one, other] = ["loop0", "loop1"].map(|name| self.plan.gateway(name));
        self.plan.connect(one, other, link, &[]);
        self.plan.connect(other, one, link, &[]);
        let host = self.plan.host("lost");
        let address = self.public();
        self.plan.connect(host, one, link, &[address]);
        // So that the plan hangs together.
        let second = self.public();
        self.plan.connect(host, router, link, &[second]);
        self.hosts.push(host);
        for address in [address, second] {
            self.targets.push(Endpoint::new(address, OPEN).into());
        }
    }

    /// Targets that nobody is.
    fn nowhere(&mut self) {
        for text in [
            "198.51.100.1:4000",
            "192.168.1.77:4000",
            "127.0.0.1:4000",
            "0.0.0.0:0",
            "[2001:db8::ffff]:4000",
            "[::]:1",
        ] {
            self.targets.push(text.parse().unwrap());
        }
    }

    fn bystanders(&mut self) -> NodeId {
        let far = self.plan.router("bystanders' router");
        for (name, last) in BYSTANDERS.iter().zip(1..) {
            let host = self.plan.host(*name);
            let (up, down) = (self.lossy(), self.lossy());
            let address = Address::v4(192, 0, 2, last);
            self.plan.connect(host, far, Link { up, down }, &[address]);
        }
        far
    }

    fn lossy(&self) -> Conditions {
        Conditions::new(Duration::from_millis(3))
            .independent_loss(0.1)
            .jitter(Jitter::Reordering(Duration::from_millis(5)))
            .duplication(0.1)
    }
}

impl Realm {
    fn is_private(self) -> bool {
        matches!(self, Realm::Private(_))
    }
}

/// Writes to anybody for a while, and answers what it gets a few times.
struct Chatter {
    targets: Rc<Vec<SocketAddr>>,
    left: u64,
}

impl Program for Chatter {
    fn handle_input(&mut self, _: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                io.bind(OPEN).unwrap();
                let cuts = io.random().chance(0.5);
                io.allow_fragmentation(cuts);
                let pause = io.random().below(20);
                io.wake_after(Duration::from_millis(pause));
            }
            Input::Wake => {
                for _ in 0..1 + io.random().below(4) {
                    self.write(io);
                }
                self.left -= 1;
                if self.left > 0 {
                    let pause = io.random().below(40);
                    io.wake_after(Duration::from_millis(pause));
                }
            }
            Input::Datagram(datagram) => {
                if io.random().chance(0.1) {
                    return io.reject("not today");
                }
                // The first byte counts the answers that are still to come.
                if let Some(more @ 1..) = datagram.payload.first() {
                    io.send(datagram.local, datagram.remote, &[more - 1]);
                } else if datagram.tag > 0 {
                    let (length, tag) = (datagram.length, datagram.tag - 1);
                    io.send_sized(datagram.local, datagram.remote, length, tag);
                }
            }
            _ => {}
        }
    }
}

impl Chatter {
    fn write(&self, io: &mut Io<'_>) {
        let to = self.targets[io.random().below(self.targets.len() as u64) as usize];
        let local = match io.random().below(10) {
            // Somebody else's address, or another family's.
            0 => self.targets[io.random().below(self.targets.len() as u64) as usize],
            // A port that isn't open.
            1 => "0.0.0.0:5999".parse().unwrap(),
            _ => SocketAddr::from(([0, 0, 0, 0], OPEN)),
        };
        if io.random().chance(0.1) {
            let sequence = io.random().below(3) as u16;
            return io.ping(local.ip(), to.ip(), OPEN, sequence, &[0; 40]);
        }
        if io.random().chance(0.2) {
            return write_train(local, to, io);
        }
        let magnitude = io.random().below(12);
        let length = io.random().below(1 << magnitude) as usize;
        if io.random().chance(0.3) {
            io.send_sized(local, to, length * 40, 3);
        } else {
            io.send(local, to, &vec![3; length]);
        }
    }
}

/// Up to twelve datagrams as a train, some of them longer than most links take.
fn write_train(local: SocketAddr, to: SocketAddr, io: &mut Io<'_>) {
    let mut train = Train::default();
    let mut at = io.now().as_nanos().saturating_sub(3_000_000);
    for _ in 0..1 + io.random().below(12) {
        at += io.random().below(400_000);
        let length = io.random().below(1_700) as u16;
        let answers = io.random().below(3) as u8;
        train.push(Time::from_nanos(at).min(io.now()), length, &[answers; 30]);
    }
    io.send_train(local, to, &mut train);
}

fn attach_bystanders(net: &mut Internet, nodes: &[NodeId]) {
    let addresses: Vec<Address> = nodes.iter().map(|node| net.address(*node)).collect();
    for node in nodes {
        let to: Vec<SocketAddr> = (addresses.iter())
            .map(|address| Endpoint::new(*address, OPEN).into())
            .collect();
        let mut left = 200;
        net.attach_fn(*node, move |_, input, io| match input {
            Input::Start => {
                io.bind(OPEN).unwrap();
                io.wake_at(io.now());
            }
            Input::Wake => {
                // To the other one, to itself, and to a closed port.
                for to in &to {
                    io.send_from(OPEN, *to, b"nice weather");
                }
                io.send_from(OPEN, SocketAddr::new(to[0].ip(), 9), b"");
                left -= 1;
                if left > 0 {
                    io.wake_after(Duration::from_millis(1));
                }
            }
            _ => {}
        });
    }
}
