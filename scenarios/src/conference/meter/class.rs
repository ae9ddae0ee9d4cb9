//! What a packet is, told from its bytes.

use pinhole::packet::{Packet, Protocol};

use super::Dialect;
use crate::overhead;

/// What a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// RTP, for the first time.
    Media,
    /// RTP, once more.
    Rtx,
    /// RTCP.
    Rtcp,
    /// STUN between peers, or with a STUN server.
    Stun,
    /// DTLS.
    Dtls,
    /// What TURN needs beside what it carries.
    Turn,
}

impl Class {
    /// How many there are.
    pub(super) const COUNT: usize = 6;

    /// Whether it is media, new or once more.
    pub(super) const fn is_media(self) -> bool {
        matches!(self, Class::Media | Class::Rtx)
    }

    /// Whether each such packet is encrypted by its sender and decrypted by its receiver.
    pub(super) const fn is_secured(self) -> bool {
        matches!(self, Class::Media | Class::Rtx | Class::Rtcp)
    }
}

/// A packet's bytes, by what they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Portions {
    /// What it is, inside.
    pub(super) class: Class,
    /// Bytes of that, with the headers it would have without TURN.
    pub(super) inner: usize,
    /// Bytes that TURN adds.
    pub(super) around: usize,
}

/// The header of STUN (RFC 8489 §5).
const STUN_HEADER: usize = 20;
/// Send and Data indications (RFC 8656 §18.1).
const SEND_INDICATION: [u8; 2] = [0x00, 0x16];
const DATA_INDICATION: [u8; 2] = [0x00, 0x17];
/// The attribute with the data (RFC 8656 §18.4).
const DATA: u16 = 0x0013;

/// A packet's portions; `is_turn` says whether one of its ends is a TURN server.
pub(super) fn portions(packet: &Packet, is_turn: bool, dialect: Dialect) -> Portions {
    let length = packet.wire_length();
    let whole = |class| Portions {
        class,
        inner: length,
        around: 0,
    };
    if packet.transport.protocol() != Protocol::Udp {
        // Only TURN uses TCP here; ICMP errors are about it or about checks.
        let is_tcp = packet.transport.protocol() == Protocol::Tcp;
        return whole(if is_tcp { Class::Turn } else { Class::Stun });
    }
    let payload = packet.payload.bytes();
    let carried = is_turn.then(|| carried(payload)).flatten();
    match carried {
        Some(datagram) => {
            let around = payload.len() - datagram.len();
            Portions {
                class: of_datagram(datagram, dialect),
                inner: length - around,
                around,
            }
        }
        None => match of_datagram(payload, dialect) {
            Class::Stun if is_turn => whole(Class::Turn),
            class => whole(class),
        },
    }
}

/// What TURN carries in a datagram between client and server.
fn carried(payload: &[u8]) -> Option<&[u8]> {
    match *payload.get(..4)? {
        [0x40..=0x4f, _, high, low] => {
            let length = usize::from(u16::from_be_bytes([high, low]));
            payload.get(overhead::CHANNEL_DATA..overhead::CHANNEL_DATA + length)
        }
        [first, second, ..] if [SEND_INDICATION, DATA_INDICATION].contains(&[first, second]) => {
            data_attribute(payload.get(STUN_HEADER..)?)
        }
        _ => None,
    }
}

fn data_attribute(mut attributes: &[u8]) -> Option<&[u8]> {
    loop {
        let [kind @ .., high, low] = *attributes.first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let value = attributes.get(4..4 + length)?;
        if u16::from_be_bytes(kind) == DATA {
            return Some(value);
        }
        attributes = attributes.get(4 + length.next_multiple_of(4)..)?;
    }
}

/// What a datagram is by its first bytes (RFC 7983 §7, RFC 5761 §4).
pub(super) fn of_datagram(datagram: &[u8], dialect: Dialect) -> Class {
    match *datagram {
        [0x80..=0xbf, 192..=223, ..] => Class::Rtcp,
        [0x80..=0xbf, second, ..] if (dialect.is_rtx)(second & 0x7f) => Class::Rtx,
        [0x80..=0xbf, ..] => Class::Media,
        [20..=63, ..] => Class::Dtls,
        _ => Class::Stun,
    }
}

#[cfg(test)]
mod tests {
    use pinhole::packet::{Payload, Transport};
    use pinhole::{NodeId, Sketch};

    use super::*;

    const DIALECT: Dialect = Dialect {
        is_rtx: |payload_type| payload_type == 97,
    };

    fn node() -> NodeId {
        Sketch::new().host("a", "open")
    }

    fn packet(payload: Vec<u8>) -> Packet {
        let [source, destination] = ["192.0.2.1:1", "192.0.2.2:2"].map(|it| it.parse().unwrap());
        let payload = Payload::Bytes(payload);
        Packet::new(source, destination, Transport::Udp, payload, node())
    }

    #[test]
    fn first_bytes_tell_what_it_is() {
        let cases = [
            (vec![0x80, 96, 0, 0], Class::Media),
            (vec![0x90, 96 | 0x80, 0, 0], Class::Media),
            (vec![0x80, 97, 0, 0], Class::Rtx),
            (vec![0x81, 205, 0, 0], Class::Rtcp),
            (vec![0, 1, 0, 0], Class::Stun),
            (vec![22, 254, 253], Class::Dtls),
        ];
        for (bytes, class) in cases {
            assert_eq!(of_datagram(&bytes, DIALECT), class, "{bytes:?}");
        }
    }

    #[test]
    fn turn_counts_for_what_it_adds() {
        let mut bytes = vec![0x40, 0, 0, 100];
        bytes.extend([0x80, 96]);
        bytes.resize(104, 0);
        let seen = portions(&packet(bytes.clone()), true, DIALECT);
        assert_eq!(seen.class, Class::Media);
        assert_eq!((seen.inner, seen.around), (128, 4));

        let mut indication = vec![0x00, 0x16, 0, 120];
        indication.resize(20, 0);
        indication.extend([0x00, 0x12, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        indication.extend([0x00, 0x13, 0, 101]);
        indication.extend(&bytes[4..104]);
        indication.extend([0x80, 0, 0, 0]);
        let seen = portions(&packet(indication), true, DIALECT);
        assert_eq!(seen.class, Class::Media);
        assert_eq!((seen.inner, seen.around), (28 + 101, 20 + 12 + 4 + 3));

        let allocate = portions(&packet(vec![0, 3, 0, 0, 0]), true, DIALECT);
        assert_eq!(allocate.class, Class::Turn);
    }
}
