//! A recording as a pcapng file, as if `tcpdump` had run at every network interface of every node
//! at once.
//!
//! Each *capture point*, a node's end of a link, is one interface of the file. A packet that goes
//! through a NAT is in it four times: leaving the host, at the NAT's inside, at its outside with
//! its address translated, and at the next router. An IPv4 packet's identification is its number in
//! the run, by which one packet is followed through all of them. Where a dropped packet was seen
//! last, a comment says who dropped it and why. Wireshark filters by `ip.id`, by
//! `frame.interface_name` and by `frame.comment`.
//!
//! Timestamps are virtual nanoseconds since the start of the run; a dissector that wants a date
//! shows the first seconds of 1970. A packet that has only a size is cut behind its headers, with
//! its claimed length as the original one. What a host sends to itself passes no link and is in no
//! file.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, Endianness, PcapError};
use rustc_hash::FxBuildHasher;

use super::recording::{Cause, Event, Record, Recording};
use super::wire::Wire;
use super::words::Names;
use super::{DropReason, Fate};
use crate::address::Endpoint;
use crate::id::{DirectionId, LinkId};
use crate::packet::PacketId;

/// `if_tsresol`: timestamps are in units of 10⁻⁹ s.
const NANOSECONDS: u8 = 9;
/// `epb_flags`: the packet came in, or went out.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// Which end of a link.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum End {
    Inner,
    Outer,
}

/// A capture point: a node's end of a link.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Point {
    link: LinkId,
    end: End,
}

/// A packet, seen at a capture point.
struct Capture<'a> {
    /// The record's place in the recording.
    place: usize,
    record: &'a Record,
    point: Point,
    flags: u32,
    /// Why it was dropped, where nobody saw it after that.
    drop: Option<DropReason>,
}

/// Where an event is seen by somebody who watches the interfaces, and whether the packet came in
/// or went out there.
fn seen(event: &Event) -> Option<(Point, u32)> {
    let (on, flags) = match event {
        Event::Departed { on } => (*on, OUTBOUND),
        Event::Arrived { on } => (*on, INBOUND),
        _ => return None,
    };
    let end = if (flags == OUTBOUND) == is_forward(on) {
        End::Inner
    } else {
        End::Outer
    };
    let link = on.link();
    Some((Point { link, end }, flags))
}

fn is_forward(on: DirectionId) -> bool {
    on == on.link().forward()
}

/// Writes `recording` as a pcapng file.
///
/// # Errors
///
/// `out` can't be written to.
pub fn write(recording: &Recording, names: &impl Names, out: impl Write) -> io::Result<()> {
    let section = SectionHeaderBlock {
        endianness: Endianness::Little,
        options: vec![SectionHeaderOption::UserApplication("Pinhole".into())],
        ..SectionHeaderBlock::default()
    };
    let mut file = PcapNgWriter::with_section_header(out, section).map_err(into_io)?;
    let (captures, last_hops) = captures(recording);
    let mut interfaces: HashMap<Point, u32, FxBuildHasher> = HashMap::default();
    for capture in &captures {
        let next = interfaces.len() as u32;
        let number = *interfaces.entry(capture.point).or_insert(next);
        if number == next {
            let block = interface(capture.point, names).into_block();
            file.write_block(&block).map_err(into_io)?;
        }
        let block = packet(recording, capture, number, names, &last_hops).into_block();
        file.write_block(&block).map_err(into_io)?;
    }
    Ok(())
}

fn into_io(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

/// Every capture in the order of events, and the hops that each packet was still allowed in the
/// end: what an ICMP error about it quotes.
fn captures(recording: &Recording) -> (Vec<Capture<'_>>, Vec<u8>) {
    let count = recording.packets().len();
    let mut captures: Vec<Capture<'_>> = Vec::new();
    let mut last: Vec<Option<usize>> = vec![None; count];
    let mut last_hops = vec![0; count];
    // A link makes copies beyond the sender's interface: they are seen from the far end on.
    let mut unseen_departure: Vec<bool> = (recording.packets().iter())
        .map(|packet| matches!(packet.cause, Cause::DuplicateOf(_)))
        .collect();
    for (place, record) in recording.records().iter().enumerate() {
        let packet = record.packet.index();
        last_hops[packet] = record.hop_limit;
        if let Some((point, flags)) = seen(&record.event) {
            if std::mem::take(&mut unseen_departure[packet]) {
                continue;
            }
            last[packet] = Some(captures.len());
            captures.push(Capture {
                place,
                record,
                point,
                flags,
                drop: None,
            });
        }
        if let (Event::Ended(Fate::Dropped(reason)), Some(last)) = (&record.event, last[packet]) {
            captures[last].drop = Some(*reason);
        }
    }
    (captures, last_hops)
}

/// The block that declares a capture point.
fn interface(point: Point, names: &impl Names) -> InterfaceDescriptionBlock<'static> {
    let (inner, outer) = names.ends(point.link);
    let (here, there) = match point.end {
        End::Inner => (inner, outer),
        End::Outer => (outer, inner),
    };
    let name = format!("{} to {}", names.node(here), names.node(there));
    let about = names.about(here, point.link);
    InterfaceDescriptionBlock {
        linktype: DataLink::RAW,
        snaplen: 0,
        options: vec![
            InterfaceDescriptionOption::IfName(name.into()),
            InterfaceDescriptionOption::IfDescription(about.into()),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ],
    }
}

/// The block of a captured packet.
fn packet(
    recording: &Recording,
    capture: &Capture<'_>,
    interface_id: u32,
    names: &impl Names,
    last_hops: &[u8],
) -> EnhancedPacketBlock<'static> {
    let record = capture.record;
    let mut options = vec![EnhancedPacketOption::Flags(capture.flags)];
    if let Some(reason) = capture.drop {
        options.push(EnhancedPacketOption::Comment(reason.sentence(names).into()));
    }
    let original_len = recording.packet(record.packet).wire_length;
    EnhancedPacketBlock {
        interface_id,
        timestamp: Duration::from_nanos(record.time.as_nanos()),
        original_len,
        data: bytes(recording, capture, last_hops).into(),
        options,
    }
}

/// The bytes on the wire, as they were at that moment.
fn bytes(recording: &Recording, capture: &Capture<'_>, last_hops: &[u8]) -> Vec<u8> {
    let record = capture.record;
    let ends = (record.source, record.destination);
    let packet = wire(recording, record.packet, ends, record.hop_limit);
    let Some(error) = recording.icmp_error(capture.place) else {
        let mut bytes = packet.bytes(None);
        if packet.payload.len() < packet.length {
            let claimed = packet.excerpt.unwrap_or(packet.length);
            bytes.truncate(bytes.len() - claimed);
        }
        return bytes;
    };
    let Cause::ErrorAbout(offending) = recording.packet(packet.id).cause else {
        unreachable!("an ICMP error is about a packet");
    };
    let ends = (error.quoted_source, error.quoted_destination);
    let quoted = wire(recording, offending, ends, last_hops[offending.index()]);
    packet.bytes(Some(&quoted))
}

/// A packet of the recording, between these endpoints and with these hops to go.
fn wire(
    recording: &Recording,
    id: PacketId,
    (source, destination): (Endpoint, Endpoint),
    hop_limit: u8,
) -> Wire<'_> {
    let packet = recording.packet(id);
    let is_first = packet.fragment.is_some_and(|part| part.is_first());
    let content = if is_first { whole(recording, id) } else { id };
    Wire {
        id: original(recording, id),
        source,
        destination,
        hop_limit,
        dont_fragment: packet.dont_fragment,
        fragment: packet.fragment,
        transport: &packet.transport,
        payload: recording.payload(content),
        length: recording.packet(content).payload_length as usize,
        excerpt: (content != id).then_some(packet.payload_length as usize),
    }
}

/// The packet that this fragment was cut from, by whomever.
fn whole(recording: &Recording, mut id: PacketId) -> PacketId {
    while recording.packet(id).fragment.is_some()
        && let Cause::FragmentOf(before) | Cause::DuplicateOf(before) = recording.packet(id).cause
    {
        id = before;
    }
    id
}

/// The packet that was sent, where `id` is a link's copy of it.
fn original(recording: &Recording, mut id: PacketId) -> PacketId {
    while let Cause::DuplicateOf(original) = recording.packet(id).cause {
        id = original;
    }
    id
}
