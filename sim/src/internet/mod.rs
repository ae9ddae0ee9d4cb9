//! A topology at work: the running internet.
//!
//! [`build`](crate::Topology::build) makes one from a plan. Programs are attached to its hosts, time
//! is let pass, and the trace tells what became of every packet. Nothing moves between calls.
//!
//! # What the network says about packets that go no further
//!
//! A packet that is too long for the next link, and must not be cut, is reported by ICMP by the node
//! before that link; hops that ran out, by the node where they did; a public address that nobody
//! has, by the router or gateway that knows no way to it. Packets to private and other special
//! addresses vanish in silence, as at the edges of real providers: a check that an ICE agent sends to
//! its peer's private address is not answered. So do those that a firewall or a NAT's filter refuses,
//! and those between stations that are kept apart. What a NAT reports is in its
//! [configuration](crate::nat::NatConfig). Routers, which have no address in a plan, report from
//! 192.0.0.8 (RFC 7600 §4.8) or `100::c000:8`; a gateway has its external address, and inside the
//! first one of its subnet. Each of them sends 1000 errors a second at most, and 50 at once.
//! Hosts answer pings by themselves; routers and gateways don't.

mod build;
mod crossing;
mod fault;
mod forward;
mod fragment;
mod icmp;
mod run;
mod tcp;
mod tell;
mod train;

use fault::Faults;
pub use fault::{Fault, FaultError, Inflicted};

use std::any::Any;
use std::collections::{HashMap, VecDeque};

use rustc_hash::FxBuildHasher;

use crate::address::Address;
use crate::engine::{Budget, BudgetExceeded, EventQueue, Rank, Stream};
use crate::firewall::{Firewall, RulesAtWork};
use crate::host::tcp::{Buffers, Place};
use crate::host::{Alarm, Host, Io, Post, Program, ProgramId, Sending};
use crate::id::{DirectionId, NodeId};
use crate::link::Lane;
use crate::middlebox::{Middlebox, Request, Surroundings, Verdict, Way};
use crate::nat::Nat;
use crate::nat64::{Binding, Clat, Nat64};
use crate::packet::{Packet, PacketArena, PacketId, Slot};
use crate::time::Time;
use crate::topology::{BuildError, RouteTable, Topology};
use crate::trace::{Observer, Trace};

/// An internet that runs. The default one is empty, until it is [rebuilt](Internet::rebuild).
#[derive(Default)]
pub struct Internet {
    plan: Topology,
    budget: Budget,
    now: Time,
    queue: EventQueue<What>,
    arena: PacketArena,
    directions: Vec<Direction>,
    /// Memory of the last run's directions.
    spare_queues: Vec<VecDeque<(Rank, Slot)>>,
    nodes: Vec<Node>,
    programs: Vec<Running>,
    messages: Messages,
    trace: Trace,
    events: u64,
    exceeded: Option<BudgetExceeded>,
    faults: Faults,
    /// Scratch: what the program being run has sent and posted.
    outbox: Vec<Slot>,
    posts: Vec<Post>,
    /// Scratch: TCP connections that have something to do, the segment that one of them looks at,
    /// and the bytes that its program is given.
    tcp_busy: Vec<(NodeId, Place)>,
    tcp_buffers: Buffers,
    tcp_data: Vec<u8>,
}

/// What an event does.
#[derive(Clone, Copy, Debug)]
enum What {
    /// A program gets its first input.
    Start(ProgramId),
    /// A program's alarm.
    Wake(ProgramId),
    /// The first packet of an orderly direction arrives.
    ArriveFirst(DirectionId),
    /// This packet arrives, on a direction that may reorder.
    Arrive(DirectionId, Slot),
    /// A packet that a host sent to itself arrives.
    Loopback(NodeId, Slot),
    /// A TCP connection's alarm.
    WakeTcp(NodeId, Place),
    /// A host waits no longer for some fragments.
    GiveUp(NodeId),
    /// A message arrives out of band.
    Deliver(u32),
    /// A time that a gateway's middlebox asked for.
    WakeGateway(NodeId),
    /// A fault strikes.
    Fault(u32),
}

struct Message {
    from: ProgramId,
    to: ProgramId,
    content: Box<dyn Any>,
}

/// Messages under way, in places that are used again.
#[derive(Default)]
struct Messages {
    places: Vec<Option<Message>>,
    free: Vec<u32>,
}

impl Messages {
    fn insert(&mut self, message: Message) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        self.places[place as usize] = Some(message);
        place
    }

    fn remove(&mut self, place: u32) -> Message {
        self.free.push(place);
        self.places[place as usize]
            .take()
            .expect("a message is delivered once")
    }
}

/// One direction of a link, at work.
struct Direction {
    lane: Lane,
    to: NodeId,
    /// Packets under way, for lanes that keep order. Only the first has an event in the queue.
    under_way: VecDeque<(Rank, Slot)>,
    counter: u64,
    /// Whether it takes no packets.
    down: bool,
}

/// A program at work.
struct Running {
    program: Box<dyn Program>,
    host: NodeId,
    alarm: Alarm,
    sending: Sending,
    counter: u64,
    /// Whether it got its first input.
    started: bool,
    /// How it is made anew, where its host may be restarted.
    make: Option<Make>,
}

/// Makes a program.
type Make = Box<dyn Fn() -> Box<dyn Program>>;

/// Hosts are many, and stand here as they are; the others are boxed.
enum Node {
    Host(Host),
    Router(Box<Router>),
    Gateway(Box<Gateway>),
}

struct Router {
    table: RouteTable,
    isolated: bool,
    errors: icmp::RateLimit,
}

struct Gateway {
    table: RouteTable,
    /// The direction that leads outside.
    uplink: DirectionId,
    isolated: bool,
    /// From the inside out.
    devices: Vec<DeviceAtWork>,
    random: Stream,
    errors: icmp::RateLimit,
    /// Packets that devices hold: never gone over, only looked up.
    held: HashMap<PacketId, Held, FxBuildHasher>,
    wakes: u64,
}

/// A packet that waits in a gateway.
struct Held {
    slot: Slot,
    /// The device that holds it, and which way the packet was passing it.
    place: usize,
    way: Way,
    came: icmp::Came,
}

enum DeviceAtWork {
    /// Boxed, for it is large.
    Nat(Box<Nat>),
    Nat64(Box<Nat64>),
    Clat(Clat),
    Firewall(Firewall),
    Rules(RulesAtWork),
    Custom(Box<dyn Middlebox>),
}

impl Middlebox for DeviceAtWork {
    #[inline]
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        match self {
            DeviceAtWork::Nat(nat) => nat.outbound(packet, around),
            DeviceAtWork::Nat64(nat64) => nat64.outbound(packet, around),
            DeviceAtWork::Clat(clat) => clat.outbound(packet, around),
            DeviceAtWork::Firewall(firewall) => firewall.outbound(packet, around),
            DeviceAtWork::Rules(rules) => rules.outbound(packet, around),
            DeviceAtWork::Custom(custom) => custom.outbound(packet, around),
        }
    }

    #[inline]
    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        match self {
            DeviceAtWork::Nat(nat) => nat.inbound(packet, around),
            DeviceAtWork::Nat64(nat64) => nat64.inbound(packet, around),
            DeviceAtWork::Clat(clat) => clat.inbound(packet, around),
            DeviceAtWork::Firewall(firewall) => firewall.inbound(packet, around),
            DeviceAtWork::Rules(rules) => rules.inbound(packet, around),
            DeviceAtWork::Custom(custom) => custom.inbound(packet, around),
        }
    }

    fn wake(&mut self, around: &mut Surroundings<'_>) {
        match self {
            DeviceAtWork::Nat(nat) => nat.wake(around),
            DeviceAtWork::Nat64(nat64) => nat64.wake(around),
            DeviceAtWork::Clat(clat) => clat.wake(around),
            DeviceAtWork::Firewall(firewall) => firewall.wake(around),
            DeviceAtWork::Rules(rules) => rules.wake(around),
            DeviceAtWork::Custom(custom) => custom.wake(around),
        }
    }

    #[inline]
    fn poll_request(&mut self) -> Option<Request> {
        match self {
            DeviceAtWork::Nat(nat) => nat.poll_request(),
            DeviceAtWork::Nat64(nat64) => nat64.poll_request(),
            DeviceAtWork::Clat(clat) => clat.poll_request(),
            DeviceAtWork::Firewall(firewall) => firewall.poll_request(),
            DeviceAtWork::Rules(rules) => rules.poll_request(),
            DeviceAtWork::Custom(custom) => custom.poll_request(),
        }
    }
}

impl Internet {
    /// Makes the internet of `plan`, for a run with `seed`.
    ///
    /// # Errors
    ///
    /// The plan makes no sense; the error names the nodes.
    pub fn new(plan: Topology, seed: u64) -> Result<Self, BuildError> {
        let mut internet = Internet::default();
        internet.rebuild(plan, seed)?;
        Ok(internet)
    }

    /// Forgets the run and starts anew with another plan. Buffers are kept, which is what makes a
    /// million small internets cheap.
    ///
    /// # Errors
    ///
    /// The plan makes no sense. The internet is empty then.
    pub fn rebuild(&mut self, plan: Topology, seed: u64) -> Result<(), BuildError> {
        self.clear();
        build::fill(self, plan, seed)
    }

    fn clear(&mut self) {
        self.plan = Topology::new();
        self.now = Time::ZERO;
        self.queue.clear();
        self.arena.clear();
        let queues = self
            .directions
            .drain(..)
            .map(|direction| direction.under_way);
        self.spare_queues.extend(queues.map(|mut queue| {
            queue.clear();
            queue
        }));
        self.nodes.clear();
        self.programs.clear();
        self.messages = Messages::default();
        self.trace.clear();
        self.events = 0;
        self.exceeded = None;
        self.faults = Faults::default();
        // Not empty where a program panicked.
        self.outbox.clear();
        self.posts.clear();
        self.tcp_busy.clear();
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The plan.
    pub fn topology(&self) -> &Topology {
        &self.plan
    }

    /// A node's name.
    pub fn name(&self, node: NodeId) -> &str {
        self.plan.name(node)
    }

    /// A host's or gateway's first address.
    ///
    /// # Panics
    ///
    /// The node is a router, which has none.
    pub fn address(&self, node: NodeId) -> Address {
        let address = self.plan.addresses(node).next();
        address.unwrap_or_else(|| panic!("{} has no address", self.name(node)))
    }

    /// How many packets are under way right now, counted where they are kept. The trace counts
    /// them too, as what was sent and hasn't ended: the two must agree.
    pub fn packets_under_way(&self) -> usize {
        self.arena.len()
    }

    /// What happened so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Keeps a full record of the run from here on. See [`Trace::recording`].
    ///
    /// # Panics
    ///
    /// Packets were sent already: a recording is of a whole run.
    pub fn record(&mut self) {
        assert_eq!(
            self.trace.packets(),
            0,
            "recording must begin before the first packet is sent"
        );
        self.trace.record_all();
    }

    /// Lets `observer` watch the run from here on, in place of one that watched before.
    pub fn observe(&mut self, observer: impl Observer + 'static) {
        self.trace.observe(Box::new(observer));
    }

    /// The NAT in a gateway, if it has one.
    pub fn nat(&self, gateway: NodeId) -> Option<&Nat> {
        let Node::Gateway(gateway) = &self.nodes[gateway.index()] else {
            return None;
        };
        gateway.devices.iter().find_map(|device| match device {
            DeviceAtWork::Nat(nat) => Some(&**nat),
            _ => None,
        })
    }

    /// The bindings of the NAT64 in a gateway that are alive now; none if it has no NAT64.
    pub fn nat64_bindings(&mut self, gateway: NodeId) -> Vec<Binding> {
        let now = self.now;
        let Node::Gateway(gateway) = &mut self.nodes[gateway.index()] else {
            return Vec::new();
        };
        let devices = gateway.devices.iter_mut();
        let mut nat64s = devices.filter_map(|device| match device {
            DeviceAtWork::Nat64(nat64) => Some(nat64),
            _ => None,
        });
        let nat64 = nat64s.next();
        nat64.map_or(Vec::new(), |nat64| nat64.bindings(now).copied().collect())
    }

    /// Runs a program on a host. It gets [`Input::Start`](crate::Input::Start) at the current time,
    /// once the run goes on.
    ///
    /// # Panics
    ///
    /// The node is no host.
    pub fn attach(&mut self, host: NodeId, program: impl Program) -> ProgramId {
        self.attach_boxed(host, Box::new(program))
    }

    /// The same for a program that is in a box already.
    ///
    /// # Panics
    ///
    /// The node is no host.
    pub fn attach_boxed(&mut self, host: NodeId, program: Box<dyn Program>) -> ProgramId {
        assert!(
            matches!(self.nodes[host.index()], Node::Host(_)),
            "{} is no host: programs run on hosts",
            self.name(host)
        );
        let id = ProgramId(self.programs.len() as u32);
        self.programs.push(Running {
            program,
            host,
            alarm: Alarm::default(),
            sending: Sending::default(),
            counter: 0,
            started: false,
            make: None,
        });
        self.schedule(id, self.now, What::Start(id));
        id
    }

    /// Runs a program that `make` makes, and makes anew when the host is
    /// [restarted](Fault::Restart).
    ///
    /// # Panics
    ///
    /// The node is no host.
    pub fn attach_service<P: Program>(
        &mut self,
        host: NodeId,
        make: impl Fn() -> P + 'static,
    ) -> ProgramId {
        let id = self.attach(host, make());
        self.programs[id.0 as usize].make = Some(Box::new(move || Box::new(make())));
        id
    }

    /// [`attach`](Internet::attach) for a closure, whose argument types need not be spelled out here.
    ///
    /// # Panics
    ///
    /// The node is no host.
    pub fn attach_fn<F>(&mut self, host: NodeId, program: F) -> ProgramId
    where
        F: FnMut(Time, crate::Input<'_>, &mut Io<'_>) + 'static,
    {
        self.attach(host, program)
    }

    /// A program, to be looked at.
    ///
    /// # Panics
    ///
    /// The program is of another type.
    pub fn program<P: Program>(&self, id: ProgramId) -> &P {
        let program: &dyn Any = &*self.programs[id.0 as usize].program;
        program
            .downcast_ref()
            .unwrap_or_else(|| panic!("{}", wrong_type::<P>(id)))
    }

    /// The host that a program runs on.
    pub fn host_of(&self, id: ProgramId) -> NodeId {
        self.programs[id.0 as usize].host
    }

    /// Does something with a program now, as if it had decided to: what `act` asks of the [`Io`] is
    /// done.
    ///
    /// # Panics
    ///
    /// The program is of another type.
    pub fn act<P: Program, R>(
        &mut self,
        id: ProgramId,
        act: impl FnOnce(&mut P, &mut Io<'_>) -> R,
    ) -> R {
        let (_, result) = self.with_program(id, |program, io| {
            let program: &mut dyn Any = program;
            let program = program
                .downcast_mut()
                .unwrap_or_else(|| panic!("{}", wrong_type::<P>(id)));
            act(program, io)
        });
        self.carry_out(id);
        result
    }
}

fn wrong_type<P>(id: ProgramId) -> String {
    format!("program {} is no {}", id.0, std::any::type_name::<P>())
}
