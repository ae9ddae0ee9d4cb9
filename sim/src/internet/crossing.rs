//! The way of a packet through a gateway, past its devices, and what those ask for beside: to hold
//! packets, to send some of their own, to be woken.

use super::icmp::{Came, by_custom};
use super::{Gateway, Held, Internet, Node, What};
use crate::address::{Address, Endpoint};
use crate::engine::{Entity, Rank};
use crate::id::{DirectionId, NodeId};
use crate::middlebox::{Middlebox, Passage, Request, Surroundings, Verdict, Way};
use crate::packet::{Packet, PacketId, Slot, Transport};
use crate::time::Time;
use crate::trace::{Cause, DropReason, Event, Trace};

impl Internet {
    /// A packet crosses the gateway that it has reached.
    pub(super) fn cross(&mut self, slot: Slot, came: Came) {
        let node = came.node;
        let mut crossing = self.crossing(node, slot);
        let onward = if came.over == crossing.gateway.uplink.reverse() {
            crossing.enter()
        } else {
            crossing.leave()
        };
        self.go_on(slot, onward, came);
        self.errands(node);
    }

    fn gateway(&mut self, node: NodeId) -> &mut Gateway {
        match &mut self.nodes[node.index()] {
            Node::Gateway(gateway) => gateway,
            Node::Host(_) | Node::Router(_) => unreachable!("only gateways have devices"),
        }
    }

    fn crossing(&mut self, node: NodeId, slot: Slot) -> Crossing<'_> {
        let Node::Gateway(gateway) = &mut self.nodes[node.index()] else {
            unreachable!("only gateways have devices")
        };
        Crossing {
            now: self.now,
            node,
            gateway,
            packet: self.arena.get_mut(slot),
            trace: &mut self.trace,
        }
    }

    fn go_on(&mut self, slot: Slot, onward: Result<DirectionId, Stop>, came: Came) {
        match onward {
            Ok(via) => {
                if let Err(mtu) = self.transmit(slot, via) {
                    self.too_long(slot, via, mtu, Some(came));
                }
            }
            Err(Stop::Drop(reason)) => self.turn_away(slot, reason, came),
            Err(Stop::Hold { place, way }) => {
                let id = self.arena.get(slot).id;
                let held = Held {
                    slot,
                    place,
                    way,
                    came,
                };
                self.gateway(came.node).held.insert(id, held);
            }
        }
    }

    /// Does what a gateway's devices ask for.
    pub(super) fn errands(&mut self, node: NodeId) {
        for place in 0..self.gateway(node).devices.len() {
            while let Some(request) = self.gateway(node).devices[place].poll_request() {
                self.errand(node, request);
            }
        }
    }

    fn errand(&mut self, node: NodeId, request: Request) {
        match request {
            Request::Send(packet, cause) => self.send_from_gateway(node, packet, cause),
            Request::Release(id) => self.release(node, id),
            Request::Discard(id, reason) => {
                if let Some(held) = self.gateway(node).held.remove(&id) {
                    self.drop(held.slot, reason);
                }
            }
            Request::WakeAt(time) => {
                let gateway = self.gateway(node);
                gateway.wakes += 1;
                let wakes = gateway.wakes;
                let time = time.max(self.now);
                let rank = Rank::new(time, Entity::node(node.index()), wakes);
                self.queue.push(rank, What::WakeGateway(node));
            }
        }
    }

    /// A packet that was held passes the device that held it once more, and goes on.
    fn release(&mut self, node: NodeId, id: PacketId) {
        let Some(held) = self.gateway(node).held.remove(&id) else {
            return;
        };
        let mut crossing = self.crossing(node, held.slot);
        let onward = match held.way {
            Way::Out => crossing.leave_from(held.place),
            Way::In => crossing.enter_from(held.place + 1),
        };
        self.go_on(held.slot, onward, held.came);
    }

    /// A gateway's own packet sets out.
    fn send_from_gateway(&mut self, node: NodeId, mut packet: Packet, cause: Cause) {
        packet.origin = node;
        let destination = packet.destination.address;
        if let Transport::IcmpError(_) = packet.transport {
            // From the side on which its reader is.
            let table = &self.gateway(node).table;
            let inside = table.exact(destination).is_some() || table.is_local(destination);
            let own = by_custom(table, destination.family());
            if let Some(own) = own.filter(|_| inside) {
                packet.source = Endpoint::new(own, 0);
            }
        }
        let slot = self.arena.insert(packet);
        self.number(slot, cause);
        let gateway = self.gateway(node);
        let via = match gateway.table.exact(destination) {
            Some(via) => via,
            None if gateway.table.is_local(destination) => {
                return self.drop(slot, DropReason::NoRoute { node, destination });
            }
            None => gateway.uplink,
        };
        if let Err(mtu) = self.transmit(slot, via) {
            self.drop(slot, DropReason::TooBig { on: via, mtu });
        }
    }

    /// A time that one of a gateway's devices asked for has come.
    pub(super) fn wake_gateway(&mut self, node: NodeId) {
        let now = self.now;
        let Gateway {
            devices, random, ..
        } = self.gateway(node);
        let mut around = Surroundings { now, node, random };
        for device in devices {
            device.wake(&mut around);
        }
        self.errands(node);
    }
}

/// Why a packet doesn't leave a gateway now.
enum Stop {
    /// It is dropped.
    Drop(DropReason),
    /// The device at this place holds it.
    Hold { place: usize, way: Way },
}

impl From<DropReason> for Stop {
    fn from(reason: DropReason) -> Self {
        Stop::Drop(reason)
    }
}

/// A packet on its way through a gateway.
struct Crossing<'a> {
    now: Time,
    node: NodeId,
    gateway: &'a mut Gateway,
    packet: &'a mut Packet,
    trace: &'a mut Trace,
}

impl Crossing<'_> {
    /// From the inside: to a neighbour, or out.
    fn leave(&mut self) -> Result<DirectionId, Stop> {
        let destination = self.packet.destination.address;
        let table = &self.gateway.table;
        if table.exact(destination).is_some() || table.is_local(destination) {
            if self.gateway.isolated {
                return Err(DropReason::LanIsolated { node: self.node }.into());
            }
            return self.inside(destination);
        }
        self.leave_from(0)
    }

    /// Out, past the device at `place` and those on the outside of it.
    fn leave_from(&mut self, place: usize) -> Result<DirectionId, Stop> {
        for place in place..self.gateway.devices.len() {
            match self.pass(place, Way::Out) {
                Verdict::Forward(_) => {}
                Verdict::Hairpin(_) => return self.enter_from(place),
                verdict => return Err(stop(verdict, place, Way::Out)),
            }
        }
        Ok(self.gateway.uplink)
    }

    /// From the outside: in.
    fn enter(&mut self) -> Result<DirectionId, Stop> {
        self.enter_from(self.gateway.devices.len())
    }

    /// In, past the devices on the inside of the one at `place`.
    fn enter_from(&mut self, place: usize) -> Result<DirectionId, Stop> {
        for place in (0..place).rev() {
            match self.pass(place, Way::In) {
                Verdict::Forward(_) | Verdict::Hairpin(_) => {}
                verdict => return Err(stop(verdict, place, Way::In)),
            }
        }
        self.inside(self.packet.destination.address)
    }

    fn inside(&self, destination: Address) -> Result<DirectionId, Stop> {
        let node = self.node;
        self.gateway
            .table
            .exact(destination)
            .ok_or(Stop::Drop(DropReason::NoRoute { node, destination }))
    }

    /// Past one device, with what it did put on record.
    fn pass(&mut self, place: usize, way: Way) -> Verdict {
        let Gateway {
            devices, random, ..
        } = &mut *self.gateway;
        let mut around = Surroundings {
            now: self.now,
            node: self.node,
            random,
        };
        let (source, destination) = (self.packet.source, self.packet.destination);
        let translations = self.packet.translations;
        let verdict = match way {
            Way::Out => devices[place].outbound(self.packet, &mut around),
            Way::In => devices[place].inbound(self.packet, &mut around),
        };
        if !self.trace.is_recording() {
            return verdict;
        }
        let (packet, by, internal) = (&*self.packet, self.node, source);
        // As the outside knows it: a NAT64 has put it into IPv4.
        let remote = match verdict {
            Verdict::Forward(_) => packet.destination,
            _ => destination,
        };
        let (passage, external) = match verdict {
            Verdict::Forward(passage) | Verdict::Hairpin(passage) => (passage, packet.source),
            Verdict::Refuse {
                passage, external, ..
            } => (passage, external),
            Verdict::Drop(_) | Verdict::Hold => (Passage::default(), packet.source),
        };
        if passage.mapped {
            let event = Event::Mapped {
                nat: by,
                internal,
                external,
            };
            self.trace.event(self.now, packet, event);
        }
        if passage.opened {
            let event = Event::Opened {
                by,
                internal,
                external,
                remote,
            };
            self.trace.event(self.now, packet, event);
        }
        if packet.translations != translations {
            let event = Event::Translated {
                nat: by,
                source_before: source,
                destination_before: destination,
            };
            self.trace.event(self.now, packet, event);
        }
        verdict
    }
}

/// What a verdict that lets a packet go no further means for it.
fn stop(verdict: Verdict, place: usize, way: Way) -> Stop {
    match verdict {
        Verdict::Drop(reason) | Verdict::Refuse { reason, .. } => Stop::Drop(reason),
        Verdict::Hold => Stop::Hold { place, way },
        Verdict::Forward(_) | Verdict::Hairpin(_) => unreachable!("it goes on"),
    }
}
