//! Where packets stand while they are under way.

use super::{DEFAULT_HOP_LIMIT, Packet, Payload, Train, Transport};
use crate::address::Endpoint;
use crate::id::NodeId;

/// A packet's place in the arena while it is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot(u32);

/// Every packet under way, in slots that are used again, with payload buffers that are used again:
/// after the first few packets nothing on the packet path allocates, and no packet is moved.
#[derive(Default)]
pub(crate) struct PacketArena {
    /// Packets under way, and the remains of those that were.
    slots: Vec<Packet>,
    free: Vec<u32>,
    buffers: Vec<Vec<u8>>,
    #[expect(clippy::vec_box, reason = "the boxes are what is used again")]
    trains: Vec<Box<Train>>,
}

impl PacketArena {
    pub(crate) fn insert(&mut self, packet: Packet) -> Slot {
        match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = packet;
                Slot(index)
            }
            None => self.grow(packet),
        }
    }

    /// Adds a UDP packet that is not numbered yet. Writes field by field what stands in a used
    /// slot: a packet that is put together first and then moved costs a stall for each of its small
    /// fields, a tenth of its whole way.
    #[inline]
    pub(crate) fn insert_udp(
        &mut self,
        source: Endpoint,
        destination: Endpoint,
        payload: Payload,
        origin: NodeId,
    ) -> Slot {
        let Some(index) = self.free.pop() else {
            let packet = Packet::new(source, destination, Transport::Udp, payload, origin);
            return self.grow(packet);
        };
        let packet = &mut self.slots[index as usize];
        packet.source = source;
        packet.destination = destination;
        // What was removed owns nothing any more, and is of UDP: see `remove`.
        std::mem::forget(std::mem::replace(&mut packet.payload, payload));
        packet.origin = origin;
        packet.translations = 0;
        packet.hop_limit = DEFAULT_HOP_LIMIT;
        packet.dont_fragment = true;
        packet.fragment = None;
        Slot(index)
    }

    #[cold]
    fn grow(&mut self, packet: Packet) -> Slot {
        self.slots.push(packet);
        Slot(self.slots.len() as u32 - 1)
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> &Packet {
        &self.slots[slot.0 as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: Slot) -> &mut Packet {
        &mut self.slots[slot.0 as usize]
    }

    /// Frees a packet's slot and keeps its payload's buffer for the next packet.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let packet = self.get_mut(slot);
        if packet.transport != Transport::Udp {
            packet.transport = Transport::Udp;
        }
        let payload = std::mem::take(&mut packet.payload);
        self.recycle(payload);
        self.free.push(slot.0);
    }

    /// A payload that holds a copy of `bytes`, in a used buffer where there is one.
    pub(crate) fn payload(&mut self, bytes: &[u8]) -> Payload {
        let mut buffer = self.buffers.pop().unwrap_or_default();
        buffer.extend_from_slice(bytes);
        Payload::Bytes(buffer)
    }

    /// Keeps a payload's buffer for the next packet.
    pub(crate) fn recycle(&mut self, payload: Payload) {
        match payload {
            Payload::Bytes(mut buffer) if buffer.capacity() > 0 => {
                buffer.clear();
                self.buffers.push(buffer);
            }
            Payload::Train(mut train) => {
                train.clear();
                self.trains.push(train);
            }
            Payload::Bytes(_) | Payload::Sized { .. } => {}
        }
    }

    /// A payload that takes the cars of `train`, which is left empty, with room for as many.
    pub(crate) fn train(&mut self, train: &mut Train) -> Payload {
        let mut taken = self.trains.pop().unwrap_or_default();
        std::mem::swap(&mut *taken, train);
        Payload::Train(taken)
    }

    /// How many packets are under way, those of trains included.
    pub(crate) fn len(&self) -> usize {
        // What was removed has an empty payload.
        let others_of_trains = self.slots.iter().map(|packet| packet.count() - 1);
        self.slots.len() - self.free.len() + others_of_trains.sum::<usize>()
    }

    /// Drops every packet, keeps the memory.
    pub(crate) fn clear(&mut self) {
        while let Some(packet) = self.slots.pop() {
            self.recycle(packet.payload);
        }
        self.free.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: Payload) -> Packet {
        Packet::new(
            "192.0.2.1:1".parse().unwrap(),
            "192.0.2.2:2".parse().unwrap(),
            Transport::Udp,
            payload,
            NodeId(0),
        )
    }

    #[test]
    fn slots_and_buffers_are_used_again() {
        let mut arena = PacketArena::default();
        let payload = arena.payload(&[7; 1200]);
        let first = arena.insert(packet(payload));
        assert_eq!(arena.len(), 1);
        let address = arena.get(first).payload.bytes().as_ptr();
        arena.remove(first);
        assert_eq!(arena.len(), 0);
        let payload = arena.payload(&[8; 1200]);
        assert_eq!(payload.bytes().as_ptr(), address);
        assert_eq!(arena.insert(packet(payload)), first);
    }
}
