//! Blocks of ports that subscribers are given (RFC 7422, RFC 6888 §4).

use std::ops::RangeInclusive;

use super::config::PortBlocks;
use super::portset::{Parity, PortSet};

/// A block that a subscriber has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Block {
    /// The external address' place in the pool.
    pub(super) place: u32,
    /// The block's number on that address.
    number: u16,
    /// How many of its ports are in use, of all protocols.
    pub(super) used: u32,
}

impl Block {
    /// Its ports.
    pub(super) fn ports(
        &self,
        blocks: PortBlocks,
        range: &RangeInclusive<u16>,
    ) -> RangeInclusive<u16> {
        let start = range.start() + self.number * blocks.size;
        start..=start + (blocks.size - 1)
    }
}

/// Which blocks of an external address are given out.
#[derive(Default)]
pub(super) struct Blocks(PortSet);

impl Blocks {
    /// Gives out the lowest free block. What is left of the range behind the last whole block is
    /// never used.
    pub(super) fn take(
        &mut self,
        place: u32,
        blocks: PortBlocks,
        range: &RangeInclusive<u16>,
    ) -> Option<Block> {
        let count = range.len() as u16 / blocks.size;
        let number = self.0.nth_free(0, 0..=count.checked_sub(1)?, Parity::Any)?;
        self.0.insert(number);
        Some(Block {
            place,
            number,
            used: 0,
        })
    }

    /// Takes a block back.
    pub(super) fn free(&mut self, block: Block) {
        self.0.remove(block.number);
    }
}
