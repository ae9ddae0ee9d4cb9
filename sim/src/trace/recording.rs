//! A full record of a run: every packet, every hop, every translation and every pinhole. What the
//! story of a call, its ladder and its pcapng file are made from.

use super::fate::Fate;
use crate::address::Endpoint;
use crate::id::{DirectionId, NodeId};
use crate::packet::{ByteRange, Fragment, IcmpError, Packet, PacketId, Payload, Transport};
use crate::time::Time;

/// Where a packet came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// A program sent it, or a host of itself: the answer to a ping.
    Sent,
    /// A link duplicated that packet.
    DuplicateOf(PacketId),
    /// It is an ICMP error about that packet.
    ErrorAbout(PacketId),
    /// It is a fragment of that packet.
    FragmentOf(PacketId),
}

/// A packet as it was when it was sent.
#[derive(Clone, Debug)]
pub struct PacketRecord {
    /// When.
    pub time: Time,
    /// Who sent it.
    pub origin: NodeId,
    /// From where, before any translation.
    pub source: Endpoint,
    /// To where, before any translation.
    pub destination: Endpoint,
    /// What stood between the IP header and the payload.
    pub transport: Transport,
    /// Whether nobody on the way was allowed to fragment it.
    pub dont_fragment: bool,
    /// Which part of a larger packet it was, if it was a fragment.
    pub fragment: Option<Fragment>,
    /// Why it exists.
    pub cause: Cause,
    /// Bytes on the wire, IP header included.
    pub wire_length: u32,
    /// Bytes of payload, real or claimed.
    pub payload_length: u32,
    payload: ByteRange,
}

/// Something that happened to a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It left a node onto a link.
    Departed {
        /// The direction of the link.
        on: DirectionId,
    },
    /// It came off a link into a node.
    Arrived {
        /// The direction of the link.
        on: DirectionId,
    },
    /// A NAT rewrote its source (going out), its destination (coming in) or both (hairpinning).
    Translated {
        /// The NAT.
        nat: NodeId,
        /// Source before.
        source_before: Endpoint,
        /// Destination before.
        destination_before: Endpoint,
    },
    /// Going out, it made a NAT create a mapping.
    Mapped {
        /// The NAT.
        nat: NodeId,
        /// Who sent it.
        internal: Endpoint,
        /// What the NAT chose for it.
        external: Endpoint,
    },
    /// Going out, it made a NAT or firewall let answers from `remote` in: it left a pinhole.
    Opened {
        /// The NAT or firewall.
        by: NodeId,
        /// Who sent it.
        internal: Endpoint,
        /// Where answers are sent to: the mapping's external endpoint, or `internal` where nothing
        /// translates.
        external: Endpoint,
        /// Who may answer. How much of it counts depends on the filtering behaviour.
        remote: Endpoint,
    },
    /// Its life ended.
    Ended(Fate),
}

/// An [`Event`], with the packet's addresses right after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// When.
    pub time: Time,
    /// Which packet.
    pub packet: PacketId,
    /// What.
    pub event: Event,
    /// The packet's source by then.
    pub source: Endpoint,
    /// The packet's destination by then.
    pub destination: Endpoint,
    /// The hops it may still take by then.
    pub hop_limit: u8,
}

/// Everything that happened to every packet of a run, in order. The cars of a
/// [train](crate::packet::train) are packets of their own here, and what happened to them has their
/// times: a few milliseconds may go back from one record to the next.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    packets: Vec<PacketRecord>,
    records: Vec<Record>,
    /// For each record of an ICMP error: its place, and what the error quoted by then.
    errors: Vec<(usize, IcmpError)>,
    bytes: Vec<u8>,
}

impl Recording {
    /// Every record, in the order of events.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Every packet, in the order of sending: a [`PacketId`] is its index.
    pub fn packets(&self) -> &[PacketRecord] {
        &self.packets
    }

    /// Every packet's number, in the order of sending.
    pub fn ids(&self) -> impl Iterator<Item = PacketId> + use<> {
        (0..self.packets.len() as u64).map(PacketId)
    }

    /// One packet as it was when it was sent.
    pub fn packet(&self, id: PacketId) -> &PacketRecord {
        &self.packets[id.index()]
    }

    /// A packet's payload; empty where the packet has only a size.
    pub fn payload(&self, id: PacketId) -> &[u8] {
        &self.bytes[self.packet(id).payload.clone()]
    }

    /// What the packet of the record at this place quoted by then, if it is an ICMP error: NATs
    /// translate the quote too.
    pub fn icmp_error(&self, place: usize) -> Option<&IcmpError> {
        let found = self.errors.binary_search_by_key(&place, |(at, _)| *at);
        found.ok().map(|found| &self.errors[found].1)
    }

    pub(super) fn sent(&mut self, time: Time, packet: &Packet, cause: Cause) {
        debug_assert_eq!(
            packet.id.index(),
            self.packets.len(),
            "recording starts with the run"
        );
        let Payload::Train(train) = &packet.payload else {
            let lengths = (packet.wire_length(), packet.payload.len());
            return self.add(time, packet, cause, lengths, packet.payload.bytes());
        };
        let headers = packet.wire_length() - packet.payload.len();
        for car in train.cars() {
            let length = usize::from(car.length);
            let lengths = (headers / train.len() + length, length);
            self.add(car.at, packet, cause, lengths, car.head());
        }
    }

    fn add(
        &mut self,
        time: Time,
        packet: &Packet,
        cause: Cause,
        (wire_length, payload_length): (usize, usize),
        payload: &[u8],
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        self.packets.push(PacketRecord {
            time,
            origin: packet.origin,
            source: packet.source,
            destination: packet.destination,
            transport: packet.transport.clone(),
            dont_fragment: packet.dont_fragment,
            fragment: packet.fragment,
            cause,
            wire_length: wire_length as u32,
            payload_length: payload_length as u32,
            payload: start..self.bytes.len(),
        });
    }

    pub(super) fn push(&mut self, time: Time, packet: &Packet, event: Event) {
        if let Transport::IcmpError(error) = &packet.transport {
            self.errors.push((self.records.len(), **error));
        }
        let record = Record {
            time,
            packet: packet.id,
            event,
            source: packet.source,
            destination: packet.destination,
            hop_limit: packet.hop_limit,
        };
        match &packet.payload {
            Payload::Train(train) => {
                let of_cars = train.cars().iter().map(|car| Record {
                    time: car.at,
                    packet: packet.id_of(car),
                    ..record
                });
                self.records.extend(of_cars);
            }
            Payload::Bytes(_) | Payload::Sized { .. } => self.records.push(record),
        }
    }
}
