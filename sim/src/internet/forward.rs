//! The way of a packet: from a socket over links and through nodes to another socket, or to the
//! place where it is dropped.

use super::icmp::Came;
use super::{Internet, Node, Router, What};
use crate::address::Endpoint;
use crate::engine::{BudgetExceeded, Entity, Rank};
use crate::host::{Datagram, Input, Io, Program, ProgramId};
use crate::id::{DirectionId, NodeId};
use crate::link::Admission;
use crate::packet::{IcmpErrorKind, PacketId, Payload, Protocol, Slot, Transport};
use crate::time::Time;
use crate::topology::Route;
use crate::trace::{Cause, DropReason, Event, Fate};

impl Internet {
    /// A host sends a packet: it gets its number and sets out.
    pub(super) fn launch(&mut self, slot: Slot, cause: Cause) {
        self.number(slot, cause);
        let packet = self.arena.get(slot);
        let (source, destination) = (packet.source.address, packet.destination.address);
        let node = packet.origin;
        let Node::Host(host) = &self.nodes[node.index()] else {
            unreachable!("hosts send packets; gateways only pass them on")
        };
        if host.interface(destination).is_some() {
            let rank = Rank::new(self.now, Entity::node(node.index()), packet.id.0);
            self.queue.push(rank, What::Loopback(node, slot));
            return;
        }
        match host.interface(source) {
            Some(interface) if source.family() == destination.family() => {
                if !packet.dont_fragment
                    && let Some(mtu) = host.path_mtu(self.now, destination)
                    && packet.wire_length() > usize::from(mtu)
                    && self.cut(slot, interface.out, mtu, true)
                {
                    return;
                }
                if let Err(mtu) = self.transmit(slot, interface.out) {
                    self.too_long(slot, interface.out, mtu, None);
                }
            }
            _ => self.drop(slot, DropReason::NoRoute { node, destination }),
        }
    }

    /// Gives a new packet its number and counts it.
    pub(super) fn number(&mut self, slot: Slot, cause: Cause) {
        let packet = self.arena.get_mut(slot);
        packet.id = PacketId(self.trace.packets());
        self.trace.sent(self.now, packet, cause);
        if self.faults.parts() {
            self.faults.number(packet, cause);
        }
        if self.trace.packets() > self.budget.packets {
            let limit = self.budget.packets;
            self.exceeded.get_or_insert(BudgetExceeded::Packets {
                limit,
                at: self.now,
            });
        }
    }

    /// Puts a packet onto a link, or says how long it may be.
    pub(super) fn transmit(&mut self, slot: Slot, on: DirectionId) -> Result<(), u16> {
        let packet = self.arena.get(slot);
        let direction = &mut self.directions[on.index()];
        if direction.down {
            self.drop(slot, DropReason::LinkDown { on });
            return Ok(());
        }
        if let Payload::Train(_) = packet.payload {
            return self.transmit_train(slot, on);
        }
        let conditions = self.plan.conditions(on);
        match direction
            .lane
            .admit(conditions, self.now, packet.wire_length())
        {
            Admission::Carried { arrival, copy } => {
                self.trace.event(self.now, packet, Event::Departed { on });
                self.enqueue(slot, on, arrival);
                if let Some(arrival) = copy {
                    self.duplicate(slot, on, arrival);
                }
            }
            Admission::Lost => {
                self.trace.event(self.now, packet, Event::Departed { on });
                self.drop(slot, DropReason::Lost { on });
            }
            Admission::QueueFull { queued, limit } => {
                self.drop(slot, DropReason::QueueFull { on, queued, limit });
            }
            Admission::TooBig { mtu } => return Err(mtu),
        }
        Ok(())
    }

    fn enqueue(&mut self, slot: Slot, on: DirectionId, arrival: Time) {
        let direction = &mut self.directions[on.index()];
        direction.counter += 1;
        let rank = Rank::new(arrival, Entity::direction(on.index()), direction.counter);
        if !self.plan.conditions(on).jitter.keeps_order() {
            self.queue.push(rank, What::Arrive(on, slot));
            return;
        }
        // Only the first packet of a direction waits in the queue, however many are under way.
        if direction.under_way.is_empty() {
            self.queue.push(rank, What::ArriveFirst(on));
        }
        direction.under_way.push_back((rank, slot));
    }

    fn duplicate(&mut self, slot: Slot, on: DirectionId, arrival: Time) {
        let original = self.arena.get(slot).clone();
        let id = original.id;
        let copy = self.arena.insert(original);
        self.number(copy, Cause::DuplicateOf(id));
        self.trace
            .event(self.now, self.arena.get(copy), Event::Departed { on });
        self.enqueue(copy, on, arrival);
    }

    /// A packet comes off a link.
    pub(super) fn arrive(&mut self, on: DirectionId, slot: Slot) {
        let node = self.directions[on.index()].to;
        let packet = self.arena.get_mut(slot);
        self.trace.event(self.now, packet, Event::Arrived { on });
        if self.faults.parts()
            && let Some(from) = self.faults.pass(packet.id, node)
        {
            return self.drop(slot, DropReason::Partitioned { node, from });
        }
        if let Node::Host(_) = self.nodes[node.index()] {
            return self.deliver(node, slot);
        }
        let came = Came {
            node,
            over: on,
            source: packet.source,
            destination: packet.destination,
        };
        if packet.hop_limit <= 1 {
            return self.turn_away(slot, DropReason::TtlExpired { node }, came);
        }
        packet.hop_limit -= 1;
        let destination = packet.destination.address;
        let onward = match &mut self.nodes[node.index()] {
            Node::Host(_) => unreachable!("hosts were dealt with"),
            Node::Gateway(_) => return self.cross(slot, came),
            Node::Router(router) => {
                let Router {
                    table, isolated, ..
                } = &**router;
                let neighbours =
                    table.is_local(packet.source.address) && table.is_local(destination);
                match table.route(destination) {
                    Route::Via(_) if *isolated && neighbours => {
                        Err(DropReason::LanIsolated { node })
                    }
                    Route::Via(via) => Ok(via),
                    Route::Nowhere => Err(DropReason::NoRoute { node, destination }),
                }
            }
        };
        match onward {
            Ok(via) => {
                if let Err(mtu) = self.transmit(slot, via) {
                    self.too_long(slot, via, mtu, Some(came));
                }
            }
            Err(reason) => self.turn_away(slot, reason, came),
        }
    }

    /// A packet has reached a host.
    pub(super) fn deliver(&mut self, host: NodeId, slot: Slot) {
        let packet = self.arena.get(slot);
        let Node::Host(at) = &self.nodes[host.index()] else {
            unreachable!("packets are delivered to hosts")
        };
        if at.interface(packet.destination.address).is_none() {
            let destination = packet.destination.address;
            return self.drop(slot, DropReason::WrongHost { host, destination });
        }
        if let Some(program) = at.raw() {
            return self.deliver_raw(host, program, slot);
        }
        if packet.fragment.is_some() {
            if let Some(whole) = self.reassemble(host, slot) {
                self.deliver(host, whole);
            }
            return;
        }
        match &packet.transport {
            Transport::Tcp(segment) => {
                let segment = *segment;
                return self.deliver_segment(host, slot, segment);
            }
            Transport::IcmpError(error) if error.quoted_protocol == Protocol::Tcp => {
                let error = **error;
                return self.deliver_tcp_error(host, slot, error);
            }
            _ => {}
        }
        if packet.transport.protocol() == Protocol::Icmp {
            return self.deliver_icmp(host, slot);
        }
        let Some(program) = at.owner(packet.destination) else {
            return self.refuse(host, slot);
        };
        if let Payload::Train(_) = packet.payload {
            return self.hand_over_train(host, slot, program);
        }
        let (addresses, id) = ((packet.source, packet.destination), packet.id);
        self.hand_over(host, slot, program, |payload| {
            datagram_input(id, addresses, payload)
        });
    }

    /// Gives a packet that has reached a host to a program there, as that input.
    #[inline]
    pub(super) fn hand_over(
        &mut self,
        host: NodeId,
        slot: Slot,
        program: ProgramId,
        input: impl for<'a> FnOnce(&'a Payload) -> Input<'a>,
    ) {
        let now = self.now;
        self.hand_over_by(host, slot, program, |program, payload, io| {
            program.handle_input(now, input(payload), io);
        });
    }

    /// The same, in whatever way.
    #[inline]
    pub(super) fn hand_over_by(
        &mut self,
        host: NodeId,
        slot: Slot,
        program: ProgramId,
        give: impl FnOnce(&mut dyn Program, &Payload, &mut Io<'_>),
    ) {
        // Out of the packet while the program looks at it, for the program may send.
        let payload = std::mem::take(&mut self.arena.get_mut(slot).payload);
        let (rejected, ()) = self.with_program(program, |program, io| give(program, &payload, io));
        let fate = match rejected {
            None => Fate::Delivered { host },
            Some(why) => Fate::Dropped(DropReason::Rejected { host, why }),
        };
        self.arena.get_mut(slot).payload = payload;
        self.end(slot, fate);
        self.carry_out(program);
    }

    /// A packet has reached a host whose raw socket is open.
    #[cold]
    fn deliver_raw(&mut self, host: NodeId, program: ProgramId, slot: Slot) {
        // The arena's own may move while the program sends.
        let packet = self.arena.get(slot).clone();
        let now = self.now;
        let (rejected, ()) = self.with_program(program, |program, io| {
            program.handle_packet(now, &packet, io);
        });
        let fate = match rejected {
            None => Fate::Delivered { host },
            Some(why) => Fate::Dropped(DropReason::Rejected { host, why }),
        };
        self.end(slot, fate);
        self.carry_out(program);
    }

    /// Nobody listens: the packet ends, and its sender is told.
    fn refuse(&mut self, host: NodeId, slot: Slot) {
        let about = self.offending(slot);
        let packet = self.arena.get(slot);
        if packet.transport != Transport::Udp {
            let why = "a TCP segment to a host that knows no TCP";
            return self.drop(slot, DropReason::Rejected { host, why });
        }
        let endpoint = packet.destination;
        self.drop(slot, DropReason::PortUnreachable { host, endpoint });
        self.tell_from(host, about, IcmpErrorKind::PortUnreachable);
    }

    pub(super) fn drop(&mut self, slot: Slot, reason: DropReason) {
        self.end(slot, Fate::Dropped(reason));
    }

    /// A packet's life ends.
    pub(super) fn end(&mut self, slot: Slot, fate: Fate) {
        self.trace.ended(self.now, self.arena.get(slot), fate);
        if self.faults.parts() {
            self.faults.forget(self.arena.get(slot).id);
        }
        self.arena.remove(slot);
    }
}

fn datagram_input(
    id: PacketId,
    (source, destination): (Endpoint, Endpoint),
    payload: &Payload,
) -> Input<'_> {
    Input::Datagram(Datagram {
        id,
        local: destination.into(),
        remote: source.into(),
        payload: payload.bytes(),
        length: payload.len(),
        tag: match payload {
            Payload::Sized { tag, .. } => *tag,
            Payload::Bytes(_) | Payload::Train(_) => 0,
        },
    })
}
