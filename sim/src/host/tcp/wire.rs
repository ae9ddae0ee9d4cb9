//! Between smoltcp's bytes and the packets that travel.

use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{
    IPV4_HEADER_LEN, IpAddress, IpEndpoint, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use crate::address::Endpoint;
use crate::id::NodeId;
use crate::packet::{Packet, PacketArena, Slot, TcpFlags, TcpOptions, TcpSegment, Transport};

/// This side of every connection, as smoltcp sees it: addresses that RFC 7335 sets aside for what
/// never leaves a host.
pub(super) const LOCAL: IpEndpoint = IpEndpoint::new(IpAddress::v4(192, 0, 0, 1), 1);
/// The other side.
pub(super) const REMOTE: IpEndpoint = IpEndpoint::new(IpAddress::v4(192, 0, 0, 2), 1);

/// The most that smoltcp's IPv4 packets hold.
const LARGEST_FRAME: usize = 65_535;

/// Memory that all connections share, one after the other.
#[derive(Default)]
pub(crate) struct Buffers {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Buffers {
    /// Writes an IPv4 packet that smoltcp reads as the segment. Returns false for segments that
    /// no IPv4 packet holds.
    pub(crate) fn receive(&mut self, segment: &TcpSegment, data: &[u8]) -> bool {
        let repr = repr(segment, data);
        let length = IPV4_HEADER_LEN + repr.buffer_len();
        if length > LARGEST_FRAME {
            return false;
        }
        self.incoming.clear();
        let [high, low] = (length as u16).to_be_bytes();
        self.incoming.extend_from_slice(&[
            0x45, 0, high, low, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 0, 2, 192, 0, 0, 1,
        ]);
        self.incoming.resize(length - data.len(), 0);
        self.incoming.extend_from_slice(data);
        let mut packet = TcpPacket::new_unchecked(&mut self.incoming[IPV4_HEADER_LEN..]);
        let checksums = ChecksumCapabilities::ignored();
        // The data stands there already; smoltcp's emission would copy it again.
        let header = TcpRepr {
            payload: &[],
            ..repr
        };
        header.emit(&mut packet, &REMOTE.addr, &LOCAL.addr, &checksums);
        true
    }
}

/// A segment's header and data, as smoltcp has them.
fn repr<'a>(segment: &TcpSegment, data: &'a [u8]) -> TcpRepr<'a> {
    let flags = segment.flags;
    let control = if flags.contains(TcpFlags::SYN) {
        TcpControl::Syn
    } else if flags.contains(TcpFlags::FIN) {
        TcpControl::Fin
    } else if flags.contains(TcpFlags::RST) {
        TcpControl::Rst
    } else if flags.contains(TcpFlags::PSH) {
        TcpControl::Psh
    } else {
        TcpControl::None
    };
    let acknowledges = flags.contains(TcpFlags::ACK);
    let number = |number: u32| TcpSeqNumber(number as i32);
    let options = &segment.options;
    TcpRepr {
        src_port: REMOTE.port,
        dst_port: LOCAL.port,
        control,
        seq_number: number(segment.sequence),
        ack_number: acknowledges.then(|| number(segment.acknowledgment)),
        window_len: segment.window,
        window_scale: options.window_scale,
        max_seg_size: options.max_segment_size,
        sack_permitted: options.sack_permitted,
        // smoltcp makes nothing of those that it receives.
        sack_ranges: [None; 3],
        timestamp: None,
        payload: data,
    }
}

/// What smoltcp has written, as a segment and its data.
fn read(frame: &[u8]) -> (TcpSegment, &[u8]) {
    let packet = TcpPacket::new_unchecked(&frame[IPV4_HEADER_LEN..]);
    let checksums = ChecksumCapabilities::ignored();
    let repr = TcpRepr::parse(&packet, &LOCAL.addr, &REMOTE.addr, &checksums)
        .expect("smoltcp reads what it writes");
    let mut flags = match repr.control {
        TcpControl::None => TcpFlags::default(),
        TcpControl::Psh => TcpFlags::PSH,
        TcpControl::Syn => TcpFlags::SYN,
        TcpControl::Fin => TcpFlags::FIN,
        TcpControl::Rst => TcpFlags::RST,
    };
    if repr.ack_number.is_some() {
        flags = flags | TcpFlags::ACK;
    }
    let segment = TcpSegment {
        sequence: repr.seq_number.0 as u32,
        acknowledgment: repr.ack_number.map_or(0, |number| number.0 as u32),
        flags,
        window: repr.window_len,
        options: TcpOptions {
            max_segment_size: repr.max_seg_size,
            window_scale: repr.window_scale,
            sack_permitted: repr.sack_permitted,
            sack: repr.sack_ranges,
        },
    };
    (segment, repr.payload)
}

/// smoltcp's network device, for one connection at one moment: what it sends becomes packets that
/// are ready to be launched.
pub(crate) struct Wire<'a> {
    pub(crate) buffers: &'a mut Buffers,
    pub(crate) arena: &'a mut PacketArena,
    pub(crate) outbox: &'a mut Vec<Slot>,
    pub(crate) node: NodeId,
    /// Source and destination of what is sent.
    pub(crate) ends: (Endpoint, Endpoint),
    /// Whether the segment in the buffers is still to be received.
    pub(crate) arrived: bool,
}

/// What is received.
pub(crate) struct Arrived<'t>(&'t [u8]);

impl RxToken for Arrived<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// Room for what is sent.
pub(crate) struct Departing<'t> {
    frame: &'t mut Vec<u8>,
    arena: &'t mut PacketArena,
    outbox: &'t mut Vec<Slot>,
    node: NodeId,
    ends: (Endpoint, Endpoint),
}

impl TxToken for Departing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        if self.frame.len() < length {
            self.frame.resize(length, 0);
        }
        let frame = &mut self.frame[..length];
        let result = write(frame);
        let (segment, data) = read(frame);
        let payload = self.arena.payload(data);
        let (source, destination) = self.ends;
        let transport = Transport::Tcp(segment);
        let packet = Packet::new(source, destination, transport, payload, self.node);
        self.outbox.push(self.arena.insert(packet));
        result
    }
}

impl Device for Wire<'_> {
    type RxToken<'t>
        = Arrived<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Departing<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Arrived<'_>, Departing<'_>)> {
        if !std::mem::take(&mut self.arrived) {
            return None;
        }
        let departing = Departing {
            frame: &mut self.buffers.outgoing,
            arena: self.arena,
            outbox: self.outbox,
            node: self.node,
            ends: self.ends,
        };
        Some((Arrived(&self.buffers.incoming), departing))
    }

    fn transmit(&mut self, _: Instant) -> Option<Departing<'_>> {
        Some(Departing {
            frame: &mut self.buffers.outgoing,
            arena: self.arena,
            outbox: self.outbox,
            node: self.node,
            ends: self.ends,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        // An interface asks for them once, when it is made, and then of a `Plug`.
        DeviceCapabilities::default()
    }
}

/// A device that only says what it could do: what an interface is made from.
pub(super) struct Plug {
    pub(super) mtu: u16,
}

impl Device for Plug {
    type RxToken<'t> = Arrived<'t>;
    type TxToken<'t> = Departing<'t>;

    fn receive(&mut self, _: Instant) -> Option<(Arrived<'_>, Departing<'_>)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<Departing<'_>> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu.into();
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What smoltcp can say about a segment stays as it is on the way to it and back.
        #[test]
        fn a_segment_survives_the_way_through_bytes(
            (sequence, acknowledgment, window) in any::<(u32, u32, u16)>(),
            flags in proptest::sample::select(vec![
                TcpFlags::SYN,
                TcpFlags::SYN | TcpFlags::ACK,
                TcpFlags::ACK,
                TcpFlags::ACK | TcpFlags::PSH,
                TcpFlags::ACK | TcpFlags::FIN,
                TcpFlags::RST,
                TcpFlags::RST | TcpFlags::ACK,
            ]),
            max_segment_size in any::<Option<u16>>(),
            window_scale in proptest::option::of(0u8..=14),
            sack_permitted in any::<bool>(),
            data in proptest::collection::vec(any::<u8>(), 0..1500),
        ) {
            let acknowledgment = if flags.contains(TcpFlags::ACK) { acknowledgment } else { 0 };
            let segment = TcpSegment {
                sequence,
                acknowledgment,
                flags,
                window,
                options: TcpOptions {
                    max_segment_size,
                    window_scale,
                    sack_permitted,
                    sack: [None; 3],
                },
            };
            let mut buffers = Buffers::default();
            // What was there before doesn't shine through.
            prop_assert!(buffers.receive(&segment, &[0xff; 2000]));
            prop_assert!(buffers.receive(&segment, &data));
            prop_assert_eq!(read(&buffers.incoming), (segment, &data[..]));
        }
    }

    #[test]
    fn what_no_packet_holds_is_not_written() {
        let mut buffers = Buffers::default();
        let segment = TcpSegment::default();
        assert!(buffers.receive(&segment, &[0; 65_535 - 40]));
        assert!(!buffers.receive(&segment, &[0; 65_535 - 39]));
    }
}
