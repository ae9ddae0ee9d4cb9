//! The data of a call: datagrams that stand for media, and that the wire can be read by.
//!
//! A data datagram begins like RTP does (RFC 7983 §7: first byte 128 to 191), so that nothing takes
//! it for STUN, and names its sender. Wherever these bytes travel, wrapped by TURN or not, is where
//! the call's media would.

use std::time::Duration;

use crate::transport::TurnTransport;

/// One of the two endpoints of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// The caller, who controls (RFC 8445 §6.1.1).
    A,
    /// The callee.
    B,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::A, Side::B];

    /// The other one.
    pub const fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }

    /// 0 for A, 1 for B.
    pub const fn index(self) -> usize {
        match self {
            Side::A => 0,
            Side::B => 1,
        }
    }

    /// The side's name in results: `a`, `b`.
    pub const fn name(self) -> &'static str {
        match self {
            Side::A => "a",
            Side::B => "b",
        }
    }
}

/// How often a side sends data once it has a path: often enough to see when data begins to flow,
/// seldom enough to cost nothing.
pub(super) const DATA_INTERVAL: Duration = Duration::from_millis(100);

/// The first bytes of every data datagram.
const MARK: [u8; 15] = *b"\x80pinhole-media-";

/// Bytes of a data datagram: the mark, the side, a sequence number.
pub(super) const DATA_LENGTH: usize = MARK.len() + 1 + 4;

/// One datagram's worth of a call's data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Data {
    /// Who sent it.
    pub sender: Side,
    /// Its place among the data of that side.
    pub sequence: u32,
}

impl Data {
    /// The datagram that carries it.
    pub fn to_bytes(self) -> [u8; DATA_LENGTH] {
        let mut bytes = [0; DATA_LENGTH];
        let (mark, rest) = bytes.split_at_mut(MARK.len());
        mark.copy_from_slice(&MARK);
        rest[0] = self.sender.name().as_bytes()[0];
        rest[1..].copy_from_slice(&self.sequence.to_be_bytes());
        bytes
    }

    /// What `payload` carries, if it is data.
    pub fn from_bytes(payload: &[u8]) -> Option<Data> {
        let rest: [u8; 5] = payload.strip_prefix(&MARK)?.try_into().ok()?;
        let [side, sequence @ ..] = rest;
        let sender = Side::BOTH
            .into_iter()
            .find(|known| known.name().as_bytes()[0] == side)?;
        Some(Data {
            sender,
            sequence: u32::from_be_bytes(sequence),
        })
    }
}

/// How data was found in a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// As it is: between two peers, or between a peer and a relayed address.
    Bare,
    /// In ChannelData or in a Send or Data indication (RFC 8656): between a client and its TURN
    /// server.
    Turn,
    /// The same in a TCP connection, cut into segments as TCP likes, under TLS unreadable.
    Stream(TurnTransport),
}

impl Framing {
    /// How the client of the TURN server on this leg reaches it; `None` where there is none.
    pub const fn transport(self) -> Option<TurnTransport> {
        match self {
            Framing::Bare => None,
            Framing::Turn => Some(TurnTransport::Udp),
            Framing::Stream(transport) => Some(transport),
        }
    }
}

/// The longest TURN framing around data: an indication with its header, an address and little else.
const LONGEST_FRAMED: usize = DATA_LENGTH + 100;

/// What data a datagram on the wire carries, and how, if it carries data.
pub(super) fn on_the_wire(payload: &[u8]) -> Option<(Data, Framing)> {
    match payload.first()? {
        0x80 => Data::from_bytes(payload).map(|data| (data, Framing::Bare)),
        // ChannelData begins with a channel number from 0x4000 up; a Send indication is 0x0016,
        // a Data indication 0x0017.
        0x40..=0x4f => framed(payload),
        0x00 if matches!(payload.get(1), Some(0x16 | 0x17)) => framed(payload),
        _ => None,
    }
}

fn framed(payload: &[u8]) -> Option<(Data, Framing)> {
    if payload.len() > LONGEST_FRAMED {
        return None;
    }
    let data = payload.windows(DATA_LENGTH).find_map(Data::from_bytes)?;
    Some((data, Framing::Turn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_known_bare_and_framed_and_nothing_else_is() {
        for sender in Side::BOTH {
            let data = Data {
                sender,
                sequence: 70_000,
            };
            let bare = data.to_bytes();
            assert_eq!(on_the_wire(&bare), Some((data, Framing::Bare)));
            let mut channel = vec![0x40, 0x01, 0, DATA_LENGTH as u8];
            channel.extend(bare);
            assert_eq!(on_the_wire(&channel), Some((data, Framing::Turn)));
            assert_eq!(on_the_wire(&bare[1..]), None);
            assert_eq!(on_the_wire(&bare[..19]), None);
        }
        assert_eq!(on_the_wire(&[]), None);
        assert_eq!(on_the_wire(&[0x40]), None);
        assert_eq!(on_the_wire(&[0x80; 20]), None);
    }
}
