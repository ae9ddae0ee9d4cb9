//! Picking external ports.

use std::ops::RangeInclusive;

use super::config::PortAllocation;
use crate::engine::Stream;

const WELL_KNOWN: RangeInclusive<u16> = 1..=1023;

/// Picks ports for one external address.
#[derive(Debug)]
pub(super) struct PortPicker {
    allocation: PortAllocation,
    range: RangeInclusive<u16>,
    next: u16,
}

impl PortPicker {
    pub(super) fn new(allocation: PortAllocation, range: RangeInclusive<u16>) -> Self {
        let next = *range.start();
        PortPicker {
            allocation,
            range,
            next,
        }
    }

    /// A free external port for a mapping of `internal`, or `None` if all are taken.
    pub(super) fn pick(
        &mut self,
        internal: u16,
        random: &mut Stream,
        is_free: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        // REQ-3a: a well-known port says "privileged program", and stays in its range.
        let well_known = WELL_KNOWN.contains(&internal);
        let range = if well_known {
            WELL_KNOWN
        } else {
            self.range.clone()
        };
        let first = match self.allocation {
            PortAllocation::Preserving { .. } if range.contains(&internal) => internal,
            PortAllocation::Preserving { .. } => *range.start(),
            PortAllocation::Sequential { .. } if range.contains(&self.next) => self.next,
            PortAllocation::Sequential { .. } => *range.start(),
            PortAllocation::Random => *range.start() + random.below(range.len() as u64) as u16,
        };
        let port = (first..=*range.end())
            .chain(*range.start()..first)
            .find(|port| is_free(*port))?;
        if matches!(self.allocation, PortAllocation::Sequential { .. }) && !well_known {
            self.next = if port == *range.end() {
                *range.start()
            } else {
                port + 1
            };
        }
        Some(port)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn picker(allocation: PortAllocation, range: RangeInclusive<u16>) -> PortPicker {
        PortPicker::new(allocation, range)
    }

    #[test]
    fn preserving_keeps_the_port_and_steps_past_a_taken_one() {
        let mut random = Stream::new(1, "nat");
        let mut picker = picker(PortAllocation::PRESERVING, 1024..=65535);
        assert_eq!(picker.pick(5000, &mut random, |_| true), Some(5000));
        assert_eq!(
            picker.pick(5000, &mut random, |port| port != 5000),
            Some(5001)
        );
        assert_eq!(
            picker.pick(65535, &mut random, |port| port != 65535),
            Some(1024)
        );
    }

    #[test]
    fn sequential_counts_on_and_wraps() {
        let mut random = Stream::new(1, "nat");
        let mut picker = picker(PortAllocation::SEQUENTIAL, 2000..=2002);
        let ports: Vec<_> = (0..4)
            .map(|_| picker.pick(5000, &mut random, |_| true))
            .collect();
        assert_eq!(ports, [Some(2000), Some(2001), Some(2002), Some(2000)]);
    }

    proptest! {
        /// Every port of the range is handed out once, then none; well-known ports stay well known.
        #[test]
        fn the_whole_range_is_used_and_nothing_else(
            allocation in prop_oneof![
                Just(PortAllocation::PRESERVING),
                Just(PortAllocation::SEQUENTIAL),
                Just(PortAllocation::Random),
            ],
            start in 1024u16..60_000,
            size in 1u16..200,
            internal in 1u16..,
            seed: u64,
        ) {
            let range = start..=start + (size - 1);
            let mut random = Stream::new(seed, "nat");
            let mut picker = picker(allocation, range.clone());
            let expected = if internal < 1024 { 1..=1023 } else { range };
            let mut taken = BTreeSet::new();
            while let Some(port) = picker.pick(internal, &mut random, |port| !taken.contains(&port)) {
                prop_assert!(expected.contains(&port));
                prop_assert!(taken.insert(port));
            }
            prop_assert_eq!(taken.len(), expected.len());
        }
    }
}
