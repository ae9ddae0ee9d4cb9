//! The topology of the cases (RFC 8867 §4.1): senders and receivers at two routers, a bottleneck
//! between them, and a meter on the wire.
//!
//! The bottleneck drops at its tail and holds 300 ms at the rate it has. Behind it the path jitters
//! by up to 30 ms, in order: three links of 10 ms each, so that what they make together has the bell
//! shape that RFC 8868 §4.5.3 wants (mean 15 ms, standard deviation 5 ms), and not the box of one.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use pinhole::internet::Fault;
use pinhole::link::{Bottleneck, Conditions, Jitter, Link};
use pinhole::packet::{Packet, PacketId};
use pinhole::trace::{Cause, Fate, Observer};
use pinhole::{Address, Endpoint, Internet, NodeId, Stream, Time, Topology};

use super::FlowSpec;
use super::case::Case;
use super::outcome::Counted;

/// How long a full queue takes to leave.
const QUEUE: Duration = Duration::from_millis(300);
/// The jitter of each of three links.
const JITTER: Duration = Duration::from_millis(10);
const JITTERY_LINKS: usize = 3;
const PORT: u16 = 5_000;

/// A case, laid out.
pub(super) struct Path {
    pub(super) net: Internet,
    pub(super) flows: Vec<FlowSpec>,
    pub(super) meter: Meter,
}

fn bottleneck(bps: u64) -> Bottleneck {
    let bytes = bps as f64 / 8.0 * QUEUE.as_secs_f64();
    let conditions = Conditions::new(Duration::ZERO).bottleneck(bps, bytes as u32);
    conditions.bottleneck.expect("it was just given")
}

impl Path {
    pub(super) fn lay_out(case: &Case, seed: u64) -> Path {
        let mut plan = Topology::new();
        let left = plan.router("left");
        let mut inner = left;
        let clean = Link::with_delay(Duration::ZERO);
        let mut narrow = clean;
        narrow.up.bottleneck = Some(bottleneck(case.capacity(false, Time::ZERO)));
        narrow.down.bottleneck = Some(bottleneck(case.capacity(true, Time::ZERO)));
        let middle = plan.router("middle");
        let narrow = plan.connect(inner, middle, narrow, &[]);
        inner = middle;
        for number in 1..=JITTERY_LINKS {
            let outer = plan.router(format!("jitter{number}"));
            let jittery = Conditions::new(Duration::ZERO).jitter(Jitter::InOrder(JITTER));
            plan.connect(inner, outer, Link::symmetric(jittery), &[]);
            inner = outer;
        }
        let right = inner;
        let mut flows = Vec::new();
        for (place, flow) in case.flows.iter().enumerate() {
            let number = place as u8 + 1;
            let (near, far) = if flow.backward {
                (right, left)
            } else {
                (left, right)
            };
            let mut host = |name: String, at, address, delay| {
                let host = plan.host(name);
                plan.connect(host, at, Link::with_delay(delay), &[address]);
                (host, SocketAddr::from(Endpoint::new(address, PORT)))
            };
            let sender = Address::v4(192, 0, 2, number);
            let receiver = Address::v4(198, 51, 100, number);
            let (sender, sender_at) = host(format!("sender{number}"), near, sender, flow.delay);
            let (receiver, receiver_at) =
                host(format!("receiver{number}"), far, receiver, Duration::ZERO);
            flows.push(FlowSpec {
                name: format!("flow {number}"),
                sender,
                receiver,
                sender_at,
                receiver_at,
                active: flow.active.clone(),
                seed: Stream::new(seed, &format!("flow {number}")).next_u64(),
            });
        }
        let mut net = Internet::new(plan, seed).expect("the cases' network makes sense");
        for backward in [false, true] {
            let direction = match backward {
                false => narrow.forward(),
                true => narrow.backward(),
            };
            for step in &case.steps(backward)[1..] {
                let fault = Fault::Bottleneck {
                    direction,
                    bottleneck: Some(bottleneck(step.bps)),
                };
                let scheduled = net.schedule_fault(step.at, fault);
                scheduled.expect("the bottleneck is a link of the network");
            }
        }
        let meter = Meter::of(&flows, case);
        net.observe(meter.clone());
        Path { net, flows, meter }
    }
}

/// Counts what senders send and what of it arrives.
#[derive(Clone)]
pub(super) struct Meter(Rc<RefCell<Counts>>);

struct Counts {
    /// By node: the flow that it is the sender of.
    flow_of: Vec<Option<usize>>,
    base: Vec<Duration>,
    counted: Vec<Counted>,
    under_way: Vec<(PacketId, Time)>,
}

impl Meter {
    fn of(flows: &[FlowSpec], case: &Case) -> Self {
        let most = flows.iter().map(|flow| flow.sender.index()).max();
        let mut flow_of = vec![None; most.map_or(0, |most| most + 1)];
        for (place, flow) in flows.iter().enumerate() {
            flow_of[flow.sender.index()] = Some(place);
        }
        Meter(Rc::new(RefCell::new(Counts {
            flow_of,
            base: case.flows.iter().map(|flow| flow.delay).collect(),
            counted: vec![Counted::default(); flows.len()],
            under_way: Vec::new(),
        })))
    }

    /// What was counted of a flow since the last time.
    pub(super) fn take(&self, flow: usize) -> Counted {
        std::mem::take(&mut self.0.borrow_mut().counted[flow])
    }
}

impl Counts {
    fn flow(&self, origin: NodeId) -> Option<usize> {
        *self.flow_of.get(origin.index())?
    }
}

impl Observer for Meter {
    fn sent(&mut self, time: Time, packet: &Packet, _: Cause) {
        let mut counts = self.0.borrow_mut();
        if let Some(flow) = counts.flow(packet.origin) {
            counts.counted[flow].sent_bytes += packet.wire_length() as u64;
            counts.under_way.push((packet.id, time));
        }
    }

    fn ended(&mut self, time: Time, packet: &Packet, fate: &Fate) {
        let counts = &mut *self.0.borrow_mut();
        let Some(flow) = counts.flow(packet.origin) else {
            return;
        };
        let mut known = counts.under_way.iter();
        let Some(place) = known.position(|(id, _)| *id == packet.id) else {
            return;
        };
        // In order, or nearly: the first ones are the oldest.
        let (_, sent) = counts.under_way.remove(place);
        let counted = &mut counts.counted[flow];
        match fate {
            Fate::Delivered { .. } => {
                let delay = time - sent;
                counted.received_bytes += packet.wire_length() as u64;
                counted.received += 1;
                counted.delay += delay;
                counted.queueing += delay.saturating_sub(counts.base[flow]);
            }
            Fate::Dropped(_) | Fate::Fragmented { .. } => counted.lost += 1,
        }
    }
}
