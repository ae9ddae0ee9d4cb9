//! What is wrong at the moment: links that are down, addresses that are lost, nodes that are parted.
//!
//! A partition knows which packets under way have been at one of its nodes, so that it can stop them
//! at the other. Nothing is kept, and nothing looked up, while no two nodes are parted.

use rustc_hash::FxHashSet;

use super::{Fault, Inflicted};
use crate::address::{Address, Family};
use crate::id::{LinkId, NodeId};
use crate::packet::{Packet, PacketId};
use crate::trace::Cause;

/// What is wrong at the moment, and what is still to come.
#[derive(Default)]
pub(in crate::internet) struct Faults {
    pub(super) scheduled: Vec<Fault>,
    pub(super) inflicted: Vec<Inflicted>,
    /// Links that are cut.
    pub(super) cut: Vec<LinkId>,
    /// Attachments that their hosts don't use.
    pub(in crate::internet) detached: Vec<LinkId>,
    /// Families that hosts have lost.
    pub(super) lost: Vec<(NodeId, Family)>,
    pub(super) partitions: Vec<Partition>,
    /// External addresses that gateways will have.
    pub(super) promised: Vec<(NodeId, Address)>,
}

pub(super) struct Partition {
    pub(super) between: [NodeId; 2],
    /// Packets under way that have been at the one, and at the other, while the two were parted.
    been_at: [FxHashSet<PacketId>; 2],
    /// Whether it is over, but for those packets.
    pub(super) healed: bool,
}

impl Partition {
    pub(super) fn new(between: [NodeId; 2]) -> Self {
        Partition {
            between,
            been_at: Default::default(),
            healed: false,
        }
    }

    fn is_drained(&self) -> bool {
        self.been_at.iter().all(FxHashSet::is_empty)
    }
}

impl Faults {
    /// Whether any two nodes are parted.
    #[inline]
    pub(in crate::internet) fn parts(&self) -> bool {
        !self.partitions.is_empty()
    }

    /// A packet begins: at its origin, or where the packet was that it is made from.
    pub(in crate::internet) fn number(&mut self, packet: &Packet, cause: Cause) {
        for partition in &mut self.partitions {
            let Partition {
                between,
                been_at,
                healed,
            } = partition;
            for (node, packets) in between.iter().zip(been_at) {
                let goes_on = match cause {
                    Cause::DuplicateOf(before) | Cause::FragmentOf(before) => {
                        packets.contains(&before)
                    }
                    Cause::Sent | Cause::ErrorAbout(_) => !*healed && packet.origin == *node,
                };
                if goes_on {
                    packets.insert(packet.id);
                }
            }
        }
    }

    /// A packet comes to a node. Returns the node that this one is parted from, if it was there.
    pub(in crate::internet) fn pass(&mut self, packet: PacketId, at: NodeId) -> Option<NodeId> {
        for partition in &mut self.partitions {
            let Partition {
                between,
                been_at,
                healed,
            } = partition;
            let Some(side) = between.iter().position(|node| *node == at) else {
                continue;
            };
            if been_at[1 - side].contains(&packet) {
                return Some(between[1 - side]);
            }
            if !*healed {
                been_at[side].insert(packet);
            }
        }
        None
    }

    /// A packet's life has ended.
    pub(in crate::internet) fn forget(&mut self, packet: PacketId) {
        for Partition { been_at, .. } in &mut self.partitions {
            for packets in been_at {
                packets.remove(&packet);
            }
        }
        self.partitions
            .retain(|partition| !(partition.healed && partition.is_drained()));
    }
}
