//! A packet's way over the lanes, read from the recording.

use pinhole::packet::{PacketId, Transport};
use pinhole::topology::Topology;
use pinhole::trace::{Cause, DropReason, Event, Fate, Place, Recording};
use pinhole::{Endpoint, Time};

use super::lanes::Lanes;
use super::words;
use crate::explain::message::{Message, Method, StunMessage};

/// A packet, from the lane it left to where it ended.
pub(super) struct Flight {
    pub(super) id: PacketId,
    pub(super) kind: Kind,
    /// Whether it travels wrapped between a TURN client and its server.
    pub(super) wrapped: bool,
    /// What it is, in words; and without its addresses and numbers.
    pub(super) label: String,
    pub(super) brief: String,
    pub(super) bytes: u32,
    /// Where it was: at its sender first. Never empty.
    pub(super) points: Vec<Point>,
    pub(super) end: End,
}

/// What a packet is for, which gives it its colour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    /// Between a client and a STUN or TURN server.
    Server,
    /// A connectivity check or its answer.
    Check,
    /// The call's data.
    Data,
    /// An ICMP error, or what nobody knows.
    Other,
}

/// A packet at a place.
pub(super) struct Point {
    pub(super) spot: Spot,
    pub(super) time: Time,
    /// The place among all records of a run: what came first of what happened at one time.
    pub(super) order: usize,
    /// The packet's addresses when it left, and whether they had been rewritten here.
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
    pub(super) new_source: bool,
    pub(super) new_destination: bool,
    /// What it changed here, in words.
    pub(super) note: Option<String>,
}

/// A place in the drawing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Spot {
    /// On a lane.
    Lane(usize),
    /// Off the lanes: out from this one, to the right (1) or to the left (-1).
    Beyond(usize, i8),
}

/// How a flight ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum End {
    /// A program on this lane took it.
    Delivered(usize),
    /// It went no further.
    Dropped {
        /// Who dropped it.
        place: String,
        /// In a word or two.
        brief: String,
        /// And with the state that decided.
        why: String,
    },
    /// It was still on its way when the recording ended.
    UnderWay,
}

impl Spot {
    /// The lane at or beside the place.
    pub(super) fn lane(self) -> usize {
        match self {
            Spot::Lane(lane) | Spot::Beyond(lane, _) => lane,
        }
    }
}

impl Point {
    /// Whether addresses were rewritten here.
    pub(super) fn is_translated(&self) -> bool {
        self.new_source || self.new_destination
    }
}

impl Flight {
    /// Whether it made a mapping or opened a pinhole.
    pub(super) fn leaves_a_mark(&self) -> bool {
        self.points.iter().any(|point| point.note.is_some())
    }

    /// When, and as which of all records, it was sent.
    pub(super) fn sent(&self) -> (Time, usize) {
        (self.points[0].time, self.points[0].order)
    }
}

/// Every packet of the recording, in the order of sending.
pub(super) fn read(recording: &Recording, lanes: &Lanes, topology: &Topology) -> Vec<Flight> {
    let mut readers: Vec<Option<Flight>> = Vec::new();
    readers.resize_with(recording.packets().len(), || None);
    for (order, record) in recording.records().iter().enumerate() {
        let slot = &mut readers[record.packet.index()];
        let flight = slot.get_or_insert_with(|| begin(recording, lanes, record.packet, order));
        let at = |spot| Point {
            spot,
            time: record.time,
            order,
            source: record.source,
            destination: record.destination,
            new_source: false,
            new_destination: false,
            note: None,
        };
        match record.event {
            Event::Departed { .. } => {}
            Event::Arrived { on } => {
                let (inner, outer) = topology.ends(on.link());
                let to = if on == on.link().forward() {
                    outer
                } else {
                    inner
                };
                if let Some(lane) = lanes.of_node(to) {
                    flight.points.push(at(Spot::Lane(lane)));
                }
            }
            Event::Translated {
                source_before,
                destination_before,
                ..
            } => {
                let here = flight.points.last_mut().expect("a NAT is on a lane");
                here.new_source |= record.source != source_before;
                here.new_destination |= record.destination != destination_before;
                (here.source, here.destination) = (record.source, record.destination);
            }
            Event::Mapped { .. } => note(flight, "new mapping".to_owned()),
            Event::Opened { by, remote, .. } => {
                note(flight, words::opened(topology, by, remote));
            }
            Event::Ended(fate) => {
                let last = flight.points.last().expect("a flight begins somewhere");
                let lane = last.spot.lane();
                match fate {
                    Fate::Delivered { host } => {
                        let to = lanes.of_node(host).unwrap_or(lane);
                        if flight.points.len() == 1 {
                            // From a host to itself.
                            flight.points.push(at(Spot::Lane(to)));
                        }
                        flight.end = End::Delivered(to);
                    }
                    // Its fragments fly on, each on its own.
                    Fate::Fragmented { .. } => flight.end = End::Delivered(lane),
                    Fate::Dropped(reason) => {
                        if !is_at(lanes, lane, &reason) {
                            let owner = lanes.owner(record.destination.address);
                            let right = match owner {
                                Some(owner) if owner != lane => owner > lane,
                                _ => lanes.inward(lane) > 0.0,
                            };
                            let way = if right { 1 } else { -1 };
                            flight.points.push(at(Spot::Beyond(lane, way)));
                        }
                        flight.end = End::Dropped {
                            place: words::place(topology, reason.place()),
                            brief: words::brief(&reason),
                            why: words::why(topology, lanes, &reason),
                        };
                    }
                }
            }
        }
    }
    readers.into_iter().flatten().collect()
}

fn is_at(lanes: &Lanes, lane: usize, reason: &DropReason) -> bool {
    reason.place() == Place::Node(lanes.lane(lane).node)
}

fn note(flight: &mut Flight, text: String) {
    let here = flight.points.last_mut().expect("a flight begins somewhere");
    here.note = Some(match here.note.take() {
        Some(before) => format!("{before}, {text}"),
        None => text,
    });
}

fn begin(recording: &Recording, lanes: &Lanes, id: PacketId, order: usize) -> Flight {
    let packet = recording.packet(id);
    let message = Message::read(recording.payload(id));
    let (kind, mut label, brief) = match &packet.transport {
        Transport::Udp => (kind(message.unwrapped()), message.label(), message.brief()),
        Transport::Tcp(segment) => {
            let payload = recording.payload(id);
            match (&message, words::tls(payload)) {
                (_, Some(words)) => (Kind::Server, words.to_owned(), words.to_owned()),
                (Message::Other { length }, None) => {
                    let words = match length {
                        0 => format!("TCP {}", segment.flags),
                        bytes => format!("TCP, {bytes} bytes"),
                    };
                    (Kind::Other, words.clone(), words)
                }
                // The segment begins with a TURN message.
                (message, None) => {
                    let label = format!("TCP: {}", message.label());
                    (kind(message.unwrapped()), label, message.brief())
                }
            }
        }
        Transport::IcmpEcho(echo) => {
            let words = if echo.is_reply {
                "echo reply"
            } else {
                "echo request"
            };
            (Kind::Other, format!("ICMP: {words}"), words.to_owned())
        }
        Transport::IcmpError(error) => {
            let words = format!("ICMP: {}", error.kind);
            (Kind::Other, words.clone(), words)
        }
    };
    if let Cause::DuplicateOf(_) = packet.cause {
        label += ", a copy that a link made";
    }
    // A gateway sends nothing of its own, and every host has a lane.
    let lane = lanes.of_node(packet.origin).unwrap_or(0);
    Flight {
        id,
        kind,
        wrapped: message.unwrapped() != &message,
        label,
        brief,
        bytes: packet.wire_length,
        points: vec![Point {
            spot: Spot::Lane(lane),
            time: packet.time,
            order,
            source: packet.source,
            destination: packet.destination,
            new_source: false,
            new_destination: false,
            note: None,
        }],
        end: End::UnderWay,
    }
}

fn kind(message: &Message) -> Kind {
    match message {
        Message::Data(_) => Kind::Data,
        Message::Stun(stun) if stun.is_ice() || is_keepalive(stun) => Kind::Check,
        Message::Stun(_) | Message::Channel { .. } => Kind::Server,
        Message::Other { .. } => Kind::Other,
    }
}

fn is_keepalive(stun: &StunMessage) -> bool {
    use crate::explain::message::Class;
    stun.method == Method::Binding && stun.class == Class::Indication
}
