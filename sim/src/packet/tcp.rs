//! TCP segments (RFC 9293), as far as anybody on the way can see them.

use std::fmt;
use std::ops::BitOr;

/// The header of a TCP segment, without its ports: those stand in the packet's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TcpSegment {
    /// The sequence number of the first byte, or of SYN.
    pub sequence: u32,
    /// The next byte that the sender expects; says nothing without [`TcpFlags::ACK`].
    pub acknowledgment: u32,
    /// SYN, ACK, FIN, RST, PSH.
    pub flags: TcpFlags,
    /// Bytes that the sender has room for, unscaled.
    pub window: u16,
    /// What follows the fixed header.
    pub options: TcpOptions,
}

/// Bytes of a TCP header without options.
const FIXED_HEADER: usize = 20;

impl TcpSegment {
    /// Bytes of the header with its options, padded to whole words.
    pub fn header_length(&self) -> usize {
        FIXED_HEADER + self.options.length().next_multiple_of(4)
    }

    /// Whether it asks for a connection: SYN without ACK.
    pub const fn is_opening(&self) -> bool {
        self.flags.contains(TcpFlags::SYN) && !self.flags.contains(TcpFlags::ACK)
    }
}

/// The flags of a TCP header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: TcpFlags = TcpFlags(0x01);
    /// Synchronises sequence numbers.
    pub const SYN: TcpFlags = TcpFlags(0x02);
    /// Ends the connection at once.
    pub const RST: TcpFlags = TcpFlags(0x04);
    /// Hand the data up now.
    pub const PSH: TcpFlags = TcpFlags(0x08);
    /// The acknowledgment number counts.
    pub const ACK: TcpFlags = TcpFlags(0x10);

    /// Whether every flag of `other` is set.
    pub const fn contains(self, other: TcpFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags as they stand in the header.
    pub const fn bits(self) -> u8 {
        self.0
    }

    const NAMES: [(TcpFlags, &str); 5] = [
        (TcpFlags::SYN, "SYN"),
        (TcpFlags::FIN, "FIN"),
        (TcpFlags::RST, "RST"),
        (TcpFlags::PSH, "PSH"),
        (TcpFlags::ACK, "ACK"),
    ];
}

impl BitOr for TcpFlags {
    type Output = TcpFlags;

    fn bitor(self, other: TcpFlags) -> TcpFlags {
        TcpFlags(self.0 | other.0)
    }
}

impl fmt::Display for TcpFlags {
    /// `SYN, ACK`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = TcpFlags::NAMES
            .iter()
            .filter(|(flag, _)| self.contains(*flag));
        for (place, (_, name)) in set.enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Debug for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpFlags({self})")
    }
}

/// What follows the fixed part of a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TcpOptions {
    /// The most data that the sender takes in one segment (with SYN).
    pub max_segment_size: Option<u16>,
    /// How far the sender's windows are to be shifted (RFC 7323; with SYN).
    pub window_scale: Option<u8>,
    /// Whether the sender understands selective acknowledgments (RFC 2018; with SYN).
    pub sack_permitted: bool,
    /// Data that arrived beyond a gap, from and to.
    pub sack: [Option<(u32, u32)>; 3],
}

impl TcpOptions {
    /// Bytes, without padding.
    fn length(&self) -> usize {
        let ranges = self.sack.iter().flatten().count();
        let mut length = 0;
        length += if self.max_segment_size.is_some() {
            4
        } else {
            0
        };
        length += if self.window_scale.is_some() { 3 } else { 0 };
        length += if self.sack_permitted { 2 } else { 0 };
        length += if ranges > 0 { 2 + 8 * ranges } else { 0 };
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_lengthen_the_header_by_whole_words() {
        let mut segment = TcpSegment {
            flags: TcpFlags::SYN,
            ..TcpSegment::default()
        };
        assert_eq!(segment.header_length(), 20);
        segment.options.max_segment_size = Some(1460);
        assert_eq!(segment.header_length(), 24);
        segment.options.window_scale = Some(7);
        assert_eq!(segment.header_length(), 28);
        segment.options.sack_permitted = true;
        assert_eq!(segment.header_length(), 32);
        segment.options = TcpOptions {
            sack: [Some((1, 2)), Some((3, 4)), None],
            ..TcpOptions::default()
        };
        assert_eq!(segment.header_length(), 40);
    }

    #[test]
    fn flags_are_told_apart_and_named() {
        let answer = TcpFlags::SYN | TcpFlags::ACK;
        assert!(answer.contains(TcpFlags::SYN) && !answer.contains(TcpFlags::FIN));
        assert_eq!(answer.to_string(), "SYN, ACK");
        assert_eq!(format!("{:?}", TcpFlags::RST), "TcpFlags(RST)");
        let opening = |flags| {
            TcpSegment {
                flags,
                ..TcpSegment::default()
            }
            .is_opening()
        };
        assert!(opening(TcpFlags::SYN) && !opening(answer));
    }
}
