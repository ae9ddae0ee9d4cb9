//! One number for a whole run: two runs with the same digest did the same.

use std::fmt;
use std::hash::{BuildHasher, Hasher};

use foldhash::quality::{FixedState, FoldHasher};

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
        let mut hasher = start();
        hasher.write_u64(self.0);
        hasher.write_u64(other.0);
        self.0 = hasher.finish();
    }

    /// The digest that was shown as this number.
    pub const fn from_value(value: u64) -> Self {
        Digest(value)
    }

    /// The digest as a number.
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// A digest in the making.
#[derive(Clone)]
pub(super) struct Digester(FoldHasher<'static>);

impl Default for Digester {
    fn default() -> Self {
        Digester(start())
    }
}

fn start() -> FoldHasher<'static> {
    FixedState::with_seed(0).build_hasher()
}

impl Digester {
    #[inline]
    pub(super) fn record(&mut self, time: Time, packet: &Packet, fate: &Fate) {
        let (number, place) = match fate {
            Fate::Delivered { host } => (0, Place::Node(*host)),
            Fate::Fragmented { node } => (255, Place::Node(*node)),
            Fate::Dropped(drop) => (drop.number(), drop.place()),
        };
        let place = match place {
            Place::Node(node) => u64::from(node.0),
            Place::Direction(direction) => 1 << 32 | u64::from(direction.0),
        };
        let ports = u64::from(packet.source.port) << 16 | u64::from(packet.destination.port);
        let [source_high, source_low] = packet.source.address.halves();
        let [destination_high, destination_low] = packet.destination.address.halves();
        self.0.write_u64(time.as_nanos());
        self.0
            .write_u64((packet.wire_length() as u64) << 8 | u64::from(number));
        self.0.write_u64(ports << 32 ^ place);
        self.0.write_u64(source_low);
        self.0.write_u64(destination_low);
        self.0
            .write_u64(source_high ^ destination_high.rotate_left(32));
    }

    pub(super) fn digest(&self) -> Digest {
        Digest(self.0.finish())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
