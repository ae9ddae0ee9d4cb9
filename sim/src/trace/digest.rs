//! One number for a whole run: two runs with the same digest did the same.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::fate::{Fate, Place};
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
        let [source_high, source_low] = packet.source.address.halves();
        let [destination_high, destination_low] = packet.destination.address.halves();
        let ports = u64::from(packet.source.port) << 16 | u64::from(packet.destination.port);
        let words = [
            time.as_nanos(),
            place,
            (packet.wire_length() as u64) << 8 | u64::from(number),
            ports,
            source_high,
            source_low,
            destination_high,
            destination_low,
        ];
        let mut bytes = [0; 64];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        self.0 = xxh3_64_with_seed(&bytes, self.0);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
