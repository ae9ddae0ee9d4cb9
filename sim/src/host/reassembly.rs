//! Fragments that wait at their destination for the rest of their packet (RFC 791 §3.2,
//! RFC 8200 §4.5).
//!
//! They may come in any order. Ranges that overlap spoil the whole packet, and what still comes of
//! it (RFC 5722 §4, which hosts follow for IPv4 too); an exact repetition is no overlap. What waits
//! is bounded in bytes, and in time by virtual deadlines, of which only the earliest has an event.
//!
//! The identification has 32 bits for both families. So the packets of a fast sender are never
//! mixed up because 16 bits ran out, as RFC 4963 describes it of IPv4.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::address::{Address, Family};
use crate::id::NodeId;
use crate::packet::{Packet, PacketId, Protocol, Slot};
use crate::time::Time;
use crate::trace::DropReason;

/// Bytes that a host keeps of incomplete packets: what Linux keeps (`ipfrag_high_thresh`).
pub(crate) const MEMORY: u32 = 4 << 20;
/// What a fragment costs beside its bytes, so that many short ones are bounded too.
const OVERHEAD: u32 = 256;
/// The most bytes behind an IP header.
const LONGEST: u32 = 65_535;

/// How long the rest of a packet is waited for since its first fragment came: 60 s for IPv6
/// (RFC 8200 §4.5), and what Linux waits for IPv4, of which RFC 1122 §3.3.2 asks 60 to 120 s.
const fn patience(family: Family) -> Duration {
    match family {
        Family::V4 => Duration::from_secs(30),
        Family::V6 => Duration::from_secs(60),
    }
}

/// By what fragments of one packet are known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    source: Address,
    destination: Address,
    protocol: Protocol,
    identification: u32,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    start: u32,
    end: u32,
    slot: Slot,
}

#[derive(Debug)]
struct Incomplete {
    /// The fragment that came first.
    id: PacketId,
    /// In the order of their places.
    parts: Vec<Part>,
    /// Where the packet ends, once its last fragment is here.
    end: Option<u32>,
    deadline: Time,
    /// Bytes that count for it.
    held: u32,
    spoilt: bool,
}

/// What became of a fragment.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// It waits.
    Waits,
    /// Its packet is whole: the fragments, in order.
    Whole(Vec<Slot>),
    /// It is dropped.
    Dropped(DropReason),
    /// It is dropped, with all that waited of its packet.
    Spoilt(Vec<Slot>, DropReason),
}

/// A host's incomplete packets.
#[derive(Default)]
pub(crate) struct Reassembly {
    incomplete: BTreeMap<Key, Incomplete>,
    deadlines: BTreeSet<(Time, Key)>,
    held: u32,
    /// The earliest event in the queue; later ones are void.
    alarm: Option<Time>,
}

impl Reassembly {
    /// Takes a fragment that came to `host`.
    pub(crate) fn take(&mut self, now: Time, host: NodeId, packet: &Packet, slot: Slot) -> Kept {
        let part = packet.fragment.expect("only fragments are kept");
        let malformed = |why| DropReason::Malformed { node: host, why };
        let start = u32::from(part.offset);
        let length = (packet.transport_header() + packet.payload.len()) as u32;
        let Some(end) = start.checked_add(length).filter(|end| *end <= LONGEST) else {
            return Kept::Dropped(malformed("a fragment beyond the longest packet's end"));
        };
        if length == 0 {
            return Kept::Dropped(malformed("a fragment without a byte"));
        }
        if !part.offset.is_multiple_of(8) || part.more && !length.is_multiple_of(8) {
            return Kept::Dropped(malformed(
                "a fragment that begins or ends beside a multiple of eight bytes",
            ));
        }
        if part.is_first() && !part.more {
            // The whole packet in one fragment: nothing else is looked at (RFC 6946 §4).
            return Kept::Whole(vec![slot]);
        }
        let key = Key {
            source: packet.source.address,
            destination: packet.destination.address,
            protocol: packet.transport.protocol(),
            identification: part.identification,
        };
        let cost = OVERHEAD + packet.wire_length() as u32;
        let is_full = self.held.saturating_add(cost) > MEMORY;
        let full = Kept::Dropped(DropReason::FragmentsFull {
            node: host,
            limit: MEMORY,
        });
        let part = (Part { start, end, slot }, part.more);
        if !self.incomplete.contains_key(&key) {
            if is_full {
                return full;
            }
            let deadline = now + patience(key.source.family());
            self.deadlines.insert((deadline, key));
            let empty = Incomplete {
                id: packet.id,
                parts: Vec::new(),
                end: None,
                deadline,
                held: 0,
                spoilt: false,
            };
            self.incomplete.insert(key, empty);
        }
        let packet = self.incomplete.get_mut(&key).expect("it is here by now");
        let overlap = malformed("fragments that overlap");
        match packet.place(part) {
            Place::Again => Kept::Dropped(DropReason::Rejected {
                host,
                why: "a fragment that is here already",
            }),
            Place::Overlaps if packet.spoilt => Kept::Dropped(overlap),
            Place::Overlaps => {
                packet.spoilt = true;
                self.held -= packet.held;
                // What is known of it still counts.
                packet.held = OVERHEAD;
                self.held += OVERHEAD;
                let parts = std::mem::take(&mut packet.parts);
                let slots = parts.iter().map(|part| part.slot).chain([slot]);
                Kept::Spoilt(slots.collect(), overlap)
            }
            Place::Free(_) if is_full => full,
            Place::Free(at) => {
                let (part, more) = part;
                packet.parts.insert(at, part);
                packet.held += cost;
                self.held += cost;
                if !more {
                    packet.end = Some(part.end);
                }
                if !packet.is_whole() {
                    return Kept::Waits;
                }
                let packet = self.incomplete.remove(&key).expect("it was just here");
                self.deadlines.remove(&(packet.deadline, key));
                self.held -= packet.held;
                Kept::Whole(packet.parts.iter().map(|part| part.slot).collect())
            }
        }
    }

    /// When the next event must be, if it isn't in the queue yet, and a number for its rank.
    pub(crate) fn set_alarm(&mut self) -> Option<(Time, PacketId)> {
        let (next, key) = *self.deadlines.first()?;
        if self.alarm.is_some_and(|queued| queued <= next) {
            return None;
        }
        self.alarm = Some(next);
        Some((next, self.incomplete[&key].id))
    }

    /// An event's time has come. Returns whether it is one that counts.
    pub(crate) fn is_due(&mut self, now: Time) -> bool {
        let due = self.alarm == Some(now);
        if due {
            self.alarm = None;
        }
        due
    }

    /// Gives up one packet whose time is over: its fragments, in order. None are left of one that
    /// was spoilt.
    pub(crate) fn give_up(&mut self, now: Time) -> Option<Vec<Slot>> {
        let (_, key) = *self.deadlines.first().filter(|(due, _)| *due <= now)?;
        self.deadlines.pop_first();
        let packet = self.incomplete.remove(&key)?;
        self.held -= packet.held;
        Some(packet.parts.iter().map(|part| part.slot).collect())
    }
}

/// Where a fragment belongs among those that are here.
enum Place {
    /// There.
    Free(usize),
    /// It is here already.
    Again,
    /// On others, or beyond the packet's end.
    Overlaps,
}

impl Incomplete {
    fn place(&self, (part, more): (Part, bool)) -> Place {
        if self.spoilt {
            return Place::Overlaps;
        }
        let at = self.parts.partition_point(|other| other.start < part.start);
        if let Some(next) = self.parts.get(at) {
            let ends_it = self.end == Some(next.end);
            if (next.start, next.end) == (part.start, part.end) && ends_it != more {
                return Place::Again;
            }
            // The last one has nothing behind it.
            if next.start < part.end || !more {
                return Place::Overlaps;
            }
        }
        let before = at.checked_sub(1).map(|before| self.parts[before]);
        let into_it = before.is_some_and(|before| before.end > part.start);
        let beyond = self.end.is_some_and(|end| part.end > end || !more);
        if into_it || beyond {
            return Place::Overlaps;
        }
        Place::Free(at)
    }

    fn is_whole(&self) -> bool {
        let lengths = self.parts.iter().map(|part| part.end - part.start);
        // Nothing overlaps.
        self.end == Some(lengths.sum())
    }
}

#[cfg(test)]
mod tests;
