//! A laboratory for boxes between an inside and an outside. An experiment sends single datagrams
//! and looks at what arrives where, and from whom it seems to come. It never looks into the box.
//!
//! ```text
//!   X1 192.168.1.2 ──1 ms──┐                             ┌──10 ms── Y1 192.0.2.1
//!                         box ──10 ms── core router ─────┤
//!   X2 192.168.1.3 ──1 ms──┘ 203.0.113.1, .2, …          └──10 ms── Y2 192.0.2.2
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use pinhole::link::Link;
use pinhole::nat::NatConfig;
use pinhole::packet::{Packet, Transport};
use pinhole::trace::{DropReason, Fate, Observer};
use pinhole::{
    Address, Endpoint, Filtering, Input, Internet, Io, Mapping, NodeId, Program, ProgramId, Time,
    Topology,
};

/// From a host inside to the box.
pub const TO_BOX: Duration = Duration::from_millis(1);
/// From a server to the box.
pub const FROM_SERVER_TO_BOX: Duration = Duration::from_millis(20);
/// How long an experiment waits for a datagram: more than the 42 ms that the longest way between
/// two hosts of the laboratory takes, and little beside any lifetime.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// Y1:1000, and so on.
pub fn y(server: u8, port: u16) -> SocketAddr {
    Endpoint::new(Address::v4(192, 0, 2, server), port).into()
}

/// A datagram that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// The host that it arrived at.
    pub host: NodeId,
    /// The address and port there.
    pub local: SocketAddr,
    /// Where it seemed to come from.
    pub remote: SocketAddr,
    /// When.
    pub time: Time,
}

/// A laboratory.
pub struct Lab {
    /// The internet, for what an experiment does beyond sending.
    pub net: Internet,
    hosts: BTreeMap<NodeId, ProgramId>,
    fates: Rc<RefCell<Vec<(u32, Ended)>>>,
    sent: u32,
}

#[derive(Clone, Copy)]
struct Ended {
    time: Time,
    source: SocketAddr,
    destination: SocketAddr,
    fate: Fate,
}

/// Runs on every host: takes what comes.
#[derive(Default)]
struct Socket {
    errors: Vec<(SocketAddr, SocketAddr)>,
    last_error: Option<Time>,
}

impl Program for Socket {
    fn handle_input(&mut self, now: Time, input: Input<'_>, _: &mut Io<'_>) {
        if let Input::Unreachable { local, remote, .. } = input {
            self.last_error = Some(now);
            self.errors.push((local, remote));
        }
    }
}

/// Notes the fate of every probe, by the number that it carries.
struct Watcher(Rc<RefCell<Vec<(u32, Ended)>>>);

impl Observer for Watcher {
    fn ended(&mut self, time: Time, packet: &Packet, fate: &Fate) {
        if packet.transport != Transport::Udp {
            return;
        }
        let number = packet
            .payload
            .bytes()
            .try_into()
            .expect("probes are numbers");
        let ended = Ended {
            time,
            source: packet.source.into(),
            destination: packet.destination.into(),
            fate: *fate,
        };
        self.0
            .borrow_mut()
            .push((u32::from_be_bytes(number), ended));
    }
}

impl Lab {
    /// A laboratory in any internet: on each of its hosts datagrams can be sent and received.
    pub fn new(topology: Topology, seed: u64) -> Self {
        let mut net = topology.build(seed).unwrap();
        let fates = Rc::default();
        net.observe(Watcher(Rc::clone(&fates)));
        let is_host = |node: &NodeId| net.topology().role(*node) == "host";
        let nodes: Vec<_> = net.topology().nodes().filter(is_host).collect();
        let attach = |node| (node, net.attach(node, Socket::default()));
        let hosts = nodes.into_iter().map(attach).collect();
        Lab {
            net,
            hosts,
            fates,
            sent: 0,
        }
    }

    /// The laboratory drawn above, with a NAT as its box that has so many external addresses.
    pub fn with_nat(config: NatConfig, externals: u8, seed: u64) -> Self {
        Lab::new(around(externals, |plan| plan.nat("box", config)), seed)
    }

    /// A node, by name.
    pub fn node(&self, name: &str) -> NodeId {
        let node = self.net.topology().find(name);
        node.unwrap_or_else(|| panic!("no node is called {name}"))
    }

    /// Opens a socket.
    pub fn open(&mut self, host: &str, port: u16) {
        let id = self.hosts[&self.node(host)];
        self.net
            .act(id, |_: &mut Socket, io| io.bind(port).unwrap());
    }

    /// Closes a socket.
    pub fn close(&mut self, host: &str, port: u16) {
        let id = self.hosts[&self.node(host)];
        self.net.act(id, |_: &mut Socket, io| {
            let addresses: Vec<_> = io.addresses().collect();
            io.close(Endpoint::new(addresses[0], port).into());
        });
    }

    /// Sends a datagram and waits: where it arrived, or why not. The receiving port is opened if it
    /// isn't; whoever wants it closed uses [`knock`](Lab::knock).
    pub fn probe(&mut self, host: &str, port: u16, to: SocketAddr) -> Result<Arrival, DropReason> {
        for id in self.hosts.values() {
            // Already open is as good.
            self.net
                .act(*id, |_: &mut Socket, io| io.bind(to.port()).ok());
        }
        self.knock(host, port, to)
    }

    /// Sends a datagram from a host and port, which is opened if it isn't, and waits.
    pub fn knock(&mut self, host: &str, port: u16, to: SocketAddr) -> Result<Arrival, DropReason> {
        let number = self.send(host, port, to);
        self.net.run_for(PATIENCE).unwrap();
        self.fate(number)
    }

    /// Sends a datagram and doesn't wait. Returns its number.
    pub fn send(&mut self, host: &str, port: u16, to: SocketAddr) -> u32 {
        self.sent += 1;
        let number = self.sent;
        let id = self.hosts[&self.node(host)];
        self.net.act(id, |_: &mut Socket, io| {
            io.bind(port).ok();
            io.send_from(port, to, &number.to_be_bytes());
        });
        number
    }

    /// What became of a datagram.
    pub fn fate(&self, number: u32) -> Result<Arrival, DropReason> {
        let fates = self.fates.borrow();
        let mut mine = fates.iter().filter(|(other, _)| *other == number);
        let (_, ended) = mine
            .next()
            .expect("nothing is under way longer than PATIENCE");
        assert!(mine.next().is_none(), "a packet has one fate");
        match ended.fate {
            Fate::Dropped(reason) => Err(reason),
            Fate::Fragmented { .. } => unreachable!("probes are short"),
            Fate::Delivered { host } => Ok(Arrival {
                host,
                local: ended.destination,
                remote: ended.source,
                time: ended.time,
            }),
        }
    }

    /// When the last datagram met its fate.
    pub fn last_end(&self) -> Time {
        let fates = self.fates.borrow();
        fates.last().expect("a datagram was sent").1.time
    }

    /// The source that a server sees of a datagram from inside, which must arrive.
    pub fn seen(&mut self, host: &str, port: u16, server: SocketAddr) -> SocketAddr {
        let arrival = self.probe(host, port, server);
        arrival.unwrap_or_else(|drop| panic!("{drop:?}")).remote
    }

    /// The drop reason's name, of a datagram that must not arrive.
    pub fn refused(&mut self, host: &str, port: u16, to: SocketAddr) -> &'static str {
        match self.probe(host, port, to) {
            Ok(arrival) => panic!("it arrived: {arrival:?}"),
            Err(drop) => drop.code(),
        }
    }

    /// The ICMP errors that a host was told of since it was asked last: from which of its sockets,
    /// and to whom, a datagram could not be delivered.
    pub fn errors(&mut self, host: &str) -> Vec<(SocketAddr, SocketAddr)> {
        let id = self.hosts[&self.node(host)];
        let take = |socket: &mut Socket, _: &mut Io<'_>| std::mem::take(&mut socket.errors);
        self.net.act(id, take)
    }

    /// When a host was told of an ICMP error last.
    pub fn last_error(&self, host: &str) -> Time {
        let id = self.hosts[&self.node(host)];
        let socket: &Socket = self.net.program(id);
        socket.last_error.expect("the host was told of one")
    }

    /// Lets time pass until so long after the start.
    pub fn until(&mut self, since_start: Duration) {
        let time = Time::ZERO + since_start;
        assert!(self.net.now() <= time, "that moment has passed");
        self.net.run_until(time).unwrap();
    }

    /// A box's mapping and filtering behaviour, found from outside as RFC 5780 §4 does it, for the
    /// sockets `port` and `port + 1` of a host, of which nothing has been sent yet.
    pub fn discover(&mut self, host: &str, port: u16) -> (Mapping, Filtering) {
        let first = self.seen(host, port, y(1, 1000));
        let same_address = self.seen(host, port, y(1, 1001));
        let other_address = self.seen(host, port, y(2, 1000));
        let mapping = if other_address == first {
            Mapping::EndpointIndependent
        } else if same_address == first {
            Mapping::AddressDependent
        } else {
            Mapping::AddressAndPortDependent
        };
        let fresh = self.seen(host, port + 1, y(1, 1000));
        let filtering = if self.probe("Y2", 1000, fresh).is_ok() {
            Filtering::EndpointIndependent
        } else if self.probe("Y1", 1001, fresh).is_ok() {
            Filtering::AddressDependent
        } else {
            Filtering::AddressAndPortDependent
        };
        (mapping, filtering)
    }
}

/// The plan drawn above, around a box that is made by the closure.
pub fn around(externals: u8, make: impl FnOnce(&mut Topology) -> NodeId) -> Topology {
    let mut plan = Topology::new();
    let core = plan.router("core");
    let middle = make(&mut plan);
    let far = Link::with_delay(Duration::from_millis(10));
    let external: Vec<_> = (1..=externals)
        .map(|n| Address::v4(203, 0, 113, n))
        .collect();
    plan.connect(middle, core, far, &external);
    for n in 1..=2 {
        let host = plan.host(format!("X{n}"));
        let address = Address::v4(192, 168, 1, n + 1);
        plan.connect(host, middle, Link::with_delay(TO_BOX), &[address]);
        let server = plan.host(format!("Y{n}"));
        plan.connect(server, core, far, &[Address::v4(192, 0, 2, n)]);
    }
    plan
}
