//! One number for a whole run: two runs with the same digest did the same.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::fate::{Fate, Place};
use crate::address::Endpoint;
use crate::packet::Packet;
use crate::time::Time;

/// A hash over the sequence (time, place, source, destination, length, fate) of every packet.
///
/// Contents are left out on purpose: transaction ids and nonces of real stacks may differ where
/// nothing that a network can see does. Shown as sixteen hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Digest(u64);

impl Digest {
    /// Adds another run's digest: the digest of a sequence of runs, in their order.
    pub fn fold(&mut self, other: Digest) {
        self.0 = xxh3_64_with_seed(&other.0.to_le_bytes(), self.0);
    }

    /// The digest as a number.
    pub const fn value(self) -> u64 {
        self.0
    }

    pub(super) fn record(&mut self, time: Time, packet: &Packet, fate: &Fate) {
        let (number, place) = match fate {
            Fate::Delivered { host } => (0, Place::Node(*host)),
            Fate::Dropped(drop) => (drop.number(), drop.place()),
        };
        let place = match place {
            Place::Node(node) => u64::from(node.0),
            Place::Direction(direction) => 1 << 32 | u64::from(direction.0),
        };
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&time.as_nanos().to_le_bytes());
        bytes[8..16].copy_from_slice(&place.to_le_bytes());
        bytes[16..20].copy_from_slice(&(packet.wire_length() as u32).to_le_bytes());
        bytes[20] = number;
        write_endpoint(&mut bytes[24..44], packet.source);
        write_endpoint(&mut bytes[44..64], packet.destination);
        self.0 = xxh3_64_with_seed(&bytes, self.0);
    }
}

fn write_endpoint(bytes: &mut [u8], endpoint: Endpoint) {
    bytes[..16].copy_from_slice(&endpoint.address.to_bytes());
    bytes[16..18].copy_from_slice(&endpoint.port.to_le_bytes());
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
