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

use pinhole::packet::{Packet, PacketId, Transport};
use pinhole::trace::{Cause, Fate, Observer};
use pinhole::{NodeId, Time};

use super::config::TurnTransport;
use super::data::{self, Data, Framing};

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
}

/// A leg that data has behind it.
#[derive(Debug)]
struct Begun {
    data: Data,
    leg: Leg,
    /// Where it ended; unknown of a leg inside a connection.
    host: Option<NodeId>,
}

/// What the wire showed of a call.
#[derive(Debug, Default)]
pub struct Wire {
    /// Data by sender: A's, B's.
    pub flows: [Flow; 2],
    /// Data on its way: sent, and not ended yet.
    under_way: Vec<(PacketId, Data, Leg)>,
    /// Legs that ended at a relay: beginnings of routes.
    begun: Vec<Begun>,
    hosts: [Option<NodeId>; 2],
}

impl Wire {
    /// When the second of the two sides first got data: from then on the call is connected.
    pub fn connected_at(&self) -> Option<Time> {
        let [a, b] = &self.flows;
        Some(a.first_arrival?.max(b.first_arrival?))
    }

    /// Data went into a connection to a TURN server.
    fn went_in(
        &mut self,
        data: Data,
        transport: TurnTransport,
        local: SocketAddr,
        server: SocketAddr,
    ) {
        if let Some(origin) = self.hosts[data.sender.index()] {
            let leg = Leg {
                origin,
                framing: Framing::Stream(transport),
                addressed_to: server,
                seen_from: local,
                translations: 0,
            };
            let host = None;
            self.begun.push(Begun { data, leg, host });
        }
    }

    /// Data came out of a connection from a TURN server.
    fn came_out(
        &mut self,
        time: Time,
        data: Data,
        transport: TurnTransport,
        local: SocketAddr,
        server: SocketAddr,
    ) {
        // The relay is where the leg before ended.
        let before = self.begun.iter().rfind(|begun| begun.data == data);
        let Some(origin) = before.and_then(|begun| begun.host) else {
            return;
        };
        let leg = Leg {
            origin,
            framing: Framing::Stream(transport),
            addressed_to: local,
            seen_from: server,
            translations: 0,
        };
        let host = None;
        self.begun.push(Begun { data, leg, host });
        self.arrived(time, data);
    }

    /// Data has reached the other side.
    fn arrived(&mut self, time: Time, data: Data) {
        let flow = &mut self.flows[data.sender.index()];
        flow.first_arrival.get_or_insert(time);
        let whole = self.begun.extract_if(.., |begun| begun.data == data);
        flow.route.legs = whole.map(|begun| begun.leg).collect();
    }

    fn sent(&mut self, packet: &Packet) {
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
    pub(super) fn went_in(
        &self,
        data: Data,
        transport: TurnTransport,
        local: SocketAddr,
        server: SocketAddr,
    ) {
        self.0.borrow_mut().went_in(data, transport, local, server);
    }

    /// Data came out of it, at the other endpoint.
    pub(super) fn came_out(
        &self,
        time: Time,
        data: Data,
        transport: TurnTransport,
        local: SocketAddr,
        server: SocketAddr,
    ) {
        let mut wire = self.0.borrow_mut();
        wire.came_out(time, data, transport, local, server);
    }

    /// Reads it.
    pub fn read<R>(&self, read: impl FnOnce(&Wire) -> R) -> R {
        read(&self.0.borrow())
    }
}

impl Observer for SharedWire {
    fn sent(&mut self, _: Time, packet: &Packet, cause: Cause) {
        // A copy that a link made is the same data once more, and takes the same way.
        if cause == Cause::Sent {
            self.0.borrow_mut().sent(packet);
        }
    }

    fn ended(&mut self, time: Time, packet: &Packet, fate: &Fate) {
        self.0.borrow_mut().ended(time, packet, fate);
    }
}
