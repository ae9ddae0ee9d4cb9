//! Reads a call's outcome off the wire: which way data went, what translated and relayed it, when
//! it arrived.
//!
//! Every stack is judged by this ruler, whatever it says of itself.
//!
//! What goes to a TURN server and back in a TCP connection can't be read off its segments: they are
//! cut anywhere, and under TLS nobody but the two ends knows what is in them. Such a leg is read
//! where data enters and leaves the connection, at the endpoint's socket: no stack has a say there
//! either, and the times are those of the segments.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use pinhole::packet::{Packet, PacketId, Transport};
use pinhole::trace::{Cause, Fate, Observer};
use pinhole::{NodeId, Time};

use super::data::{self, Data, Framing, Side};
use super::outcome::PathClass;
use super::roles::RoleConflict;
use crate::transport::StreamEnds;

/// One datagram's stretch of a route: between two sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leg {
    /// The host that sent it.
    pub origin: NodeId,
    /// How it carried the data.
    pub framing: Framing,
    /// Where it was sent to, as its sender addressed it.
    pub addressed_to: SocketAddr,
    /// Where it seemed to come from when it arrived.
    pub seen_from: SocketAddr,
    /// How many NATs translated it.
    pub translations: u8,
}

/// The way that data took from one side to the other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Route {
    /// From the sender's socket to the receiver's: one leg, or one more for each relay.
    pub legs: Vec<Leg>,
}

impl Route {
    /// Whether a TURN server stood in the way.
    pub fn is_relayed(&self) -> bool {
        self.legs.len() > 1
    }

    /// Whether any NAT translated it.
    pub fn is_translated(&self) -> bool {
        self.legs.iter().any(|leg| leg.translations > 0)
    }
}

/// What the wire showed of data in one direction.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Flow {
    /// When the first datagram reached the other side.
    pub first_arrival: Option<Time>,
    /// The way of the last one that did.
    pub route: Route,
    /// When the last one did.
    pub last_arrival: Option<Time>,
    /// Times without data that came to an end: when data had arrived last, and when it did again.
    pub gaps: Vec<(Time, Time)>,
    /// The class of the route, and since when it was so. Noted for [lasting](SharedWire::lasting)
    /// calls only.
    pub classes: Vec<(Time, PathClass)>,
}

/// A leg that data has behind it.
#[derive(Debug)]
struct Begun {
    data: Data,
    leg: Leg,
    /// Where it ended; unknown of a leg inside a connection.
    host: Option<NodeId>,
}

impl Flow {
    /// The class of its route at a time.
    pub fn class_at(&self, time: Time) -> Option<PathClass> {
        let before = self.classes.iter().rev().find(|(since, _)| *since <= time);
        before.map(|(_, class)| *class)
    }

    fn arrived(&mut self, time: Time, route: Vec<Leg>, lasting: bool) {
        self.first_arrival.get_or_insert(time);
        self.route.legs = route;
        let last = self.last_arrival.replace(time).unwrap_or(time);
        if !lasting {
            return;
        }
        if time - last > INTERRUPTION {
            self.gaps.push((last, time));
        }
        let class = PathClass::of(&self.route);
        if self.classes.last().map(|(_, class)| *class) != Some(class) {
            self.classes.push((time, class));
        }
    }
}

/// A time without data is an interruption if it is longer than this: three times the interval at
/// which data is sent, so that neither a lost datagram nor a longer way looks like one.
pub const INTERRUPTION: Duration = Duration::from_millis(300);

/// What the wire showed of a call.
#[derive(Debug, Default)]
pub struct Wire {
    /// Data by sender: A's, B's.
    pub flows: [Flow; 2],
    /// What it showed of roles, if that [was watched](SharedWire::watch_roles).
    pub roles: Option<RoleConflict>,
    /// Data on its way: sent, and not ended yet.
    under_way: Vec<(PacketId, Data, Leg)>,
    /// Legs that ended at a relay: beginnings of routes.
    begun: Vec<Begun>,
    hosts: [Option<NodeId>; 2],
    lasting: bool,
}

impl Wire {
    /// When the second of the two sides first got data: from then on the call is connected.
    pub fn connected_at(&self) -> Option<Time> {
        let [a, b] = &self.flows;
        Some(a.first_arrival?.max(b.first_arrival?))
    }

    /// Data went into a connection to a TURN server.
    fn went_in(&mut self, data: Data, through: StreamEnds) {
        if let Some(origin) = self.hosts[data.sender.index()] {
            let leg = Leg {
                origin,
                framing: Framing::Stream(through.transport),
                addressed_to: through.server,
                seen_from: through.socket,
                translations: 0,
            };
            let host = None;
            self.begun.push(Begun { data, leg, host });
        }
    }

    /// Data came out of a connection from a TURN server.
    fn came_out(&mut self, time: Time, data: Data, through: StreamEnds) {
        // The relay is where the leg before ended.
        let before = self.begun.iter().rfind(|begun| begun.data == data);
        let Some(origin) = before.and_then(|begun| begun.host) else {
            return;
        };
        let leg = Leg {
            origin,
            framing: Framing::Stream(through.transport),
            addressed_to: through.socket,
            seen_from: through.server,
            translations: 0,
        };
        let host = None;
        self.begun.push(Begun { data, leg, host });
        self.arrived(time, data);
    }

    /// Data has reached the other side.
    fn arrived(&mut self, time: Time, data: Data) {
        let flow = &mut self.flows[data.sender.index()];
        let whole = self.begun.extract_if(.., |begun| begun.data == data);
        let route = whole.map(|begun| begun.leg).collect();
        flow.arrived(time, route, self.lasting);
    }

    fn sent(&mut self, time: Time, packet: &Packet) {
        if let (Some(roles), Transport::Udp) = (&mut self.roles, &packet.transport) {
            let from = |side: &Side| self.hosts[side.index()] == Some(packet.origin);
            if let Some(side) = Side::BOTH.into_iter().find(from) {
                roles.sent(time, side, packet.payload.bytes());
            }
        }
        let Some((data, framing)) = carried(packet) else {
            return;
        };
        let leg = Leg {
            origin: packet.origin,
            framing,
            addressed_to: packet.destination.into(),
            seen_from: packet.source.into(),
            translations: 0,
        };
        self.under_way.push((packet.id, data, leg));
    }

    fn ended(&mut self, time: Time, packet: &Packet, fate: &Fate) {
        let Some(place) = self.under_way.iter().position(|(id, ..)| *id == packet.id) else {
            return;
        };
        let (_, data, mut leg) = self.under_way.swap_remove(place);
        let Fate::Delivered { host } = *fate else {
            return;
        };
        leg.seen_from = packet.source.into();
        leg.translations = packet.translations;
        self.begun.push(Begun {
            data,
            leg,
            host: Some(host),
        });
        if Some(host) == self.hosts[data.sender.other().index()] {
            self.arrived(time, data);
        }
    }
}

fn carried(packet: &Packet) -> Option<(Data, Framing)> {
    match packet.transport {
        Transport::Udp => data::on_the_wire(packet.payload.bytes()),
        _ => None,
    }
}

/// A [`Wire`] that two hands hold: the internet, which fills it, and the call, which reads it.
#[derive(Clone, Debug, Default)]
pub struct SharedWire(Rc<RefCell<Wire>>);

impl SharedWire {
    /// Watches for data between these two hosts.
    pub fn between(a: NodeId, b: NodeId) -> Self {
        let wire = Wire {
            hosts: [Some(a), Some(b)],
            ..Wire::default()
        };
        SharedWire(Rc::new(RefCell::new(wire)))
    }

    /// Data goes into an endpoint's connection to its TURN server.
    pub(super) fn went_in(&self, data: Data, through: StreamEnds) {
        self.0.borrow_mut().went_in(data, through);
    }

    /// Data came out of it, at the other endpoint.
    pub(super) fn came_out(&self, time: Time, data: Data, through: StreamEnds) {
        self.0.borrow_mut().came_out(time, data, through);
    }

    /// The same for a call that goes on: its interruptions and its changes of route are noted too.
    pub fn lasting(a: NodeId, b: NodeId) -> Self {
        let wire = SharedWire::between(a, b);
        wire.0.borrow_mut().lasting = true;
        wire
    }

    /// Watches who claims to control, too.
    pub fn watch_roles(&self) {
        self.0.borrow_mut().roles = Some(RoleConflict::default());
    }

    /// Reads it.
    pub fn read<R>(&self, read: impl FnOnce(&Wire) -> R) -> R {
        read(&self.0.borrow())
    }
}

impl Observer for SharedWire {
    fn sent(&mut self, time: Time, packet: &Packet, cause: Cause) {
        // A copy that a link made is the same data once more, and takes the same way.
        if cause == Cause::Sent {
            self.0.borrow_mut().sent(time, packet);
        }
    }

    fn ended(&mut self, time: Time, packet: &Packet, fate: &Fate) {
        self.0.borrow_mut().ended(time, packet, fate);
    }
}
