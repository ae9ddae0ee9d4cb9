//! Picking external ports (RFC 4787 §4.2).

use std::ops::RangeInclusive;

use super::config::{PortAllocation, PortConflict};
use super::portset::{Parity, PortSet};
use crate::engine::Stream;

/// Ports that say "privileged program" (RFC 4787 REQ-3a).
pub(super) const WELL_KNOWN: RangeInclusive<u16> = 1..=1023;

/// What is asked of a port.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// The internal port.
    pub(super) internal: u16,
    /// Where the external one must lie.
    pub(super) range: RangeInclusive<u16>,
    /// Which of them will do.
    pub(super) parity: Parity,
    /// Whether counters count on: not for those that are given out beside the range.
    pub(super) counts: bool,
}

/// The ports of one external address for one protocol.
#[derive(Default)]
pub(super) struct Ports {
    /// Those that are given out, or rest.
    pub(super) taken: PortSet,
    /// Where counting goes on.
    next: u16,
}

impl Ports {
    /// A free port, or `None` if all are taken. It is still free afterwards.
    pub(super) fn pick(
        &mut self,
        allocation: PortAllocation,
        wish: &Wish,
        random: &mut Stream,
    ) -> Option<u16> {
        let Wish {
            internal,
            range,
            parity,
            ..
        } = wish;
        let start = *range.start();
        match allocation {
            PortAllocation::Preserving { on_conflict } => {
                let preserved = range.contains(internal) && parity.holds(*internal);
                if preserved && !self.taken.contains(*internal) {
                    return Some(*internal);
                }
                match on_conflict {
                    PortConflict::NextFree | PortConflict::Takeover => {
                        let from = if preserved { *internal } else { start };
                        self.taken.next_free(from, range.clone(), *parity)
                    }
                    PortConflict::Sequential => self.count(1, wish),
                    PortConflict::Random => self.draw(wish, random),
                }
            }
            PortAllocation::Sequential { step } => self.count(step, wish),
            PortAllocation::Random => self.draw(wish, random),
        }
    }

    /// The first free port from where counting goes on.
    fn count(&mut self, step: u16, wish: &Wish) -> Option<u16> {
        let (start, length) = (*wish.range.start(), wish.range.len() as u32);
        let from = if wish.counts && wish.range.contains(&self.next) {
            self.next
        } else {
            start
        };
        let port = self
            .taken
            .next_free(from, wish.range.clone(), wish.parity)?;
        if wish.counts {
            let ahead = (u32::from(port - start) + u32::from(step)) % length;
            self.next = start + ahead as u16;
        }
        Some(port)
    }

    /// Any free port, each as likely: any port, and if that is taken any of those that aren't.
    fn draw(&mut self, wish: &Wish, random: &mut Stream) -> Option<u16> {
        let (range, parity) = (&wish.range, wish.parity);
        let first = parity.first_in(range.clone())?;
        let stride = parity.stride();
        let candidates = u32::from(range.end() - first) / stride + 1;
        let drawn = first + (random.below(u64::from(candidates)) as u32 * stride) as u16;
        if !self.taken.contains(drawn) {
            return Some(drawn);
        }
        match self.taken.free_in(range.clone(), parity) {
            0 => None,
            free => {
                let nth = random.below(u64::from(free)) as u32;
                self.taken.nth_free(nth, range.clone(), parity)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn wish(internal: u16, range: RangeInclusive<u16>) -> Wish {
        Wish {
            internal,
            range,
            parity: Parity::Any,
            counts: true,
        }
    }

    fn take(
        ports: &mut Ports,
        allocation: PortAllocation,
        wish: &Wish,
        random: &mut Stream,
    ) -> Option<u16> {
        let port = ports.pick(allocation, wish, random)?;
        assert!(ports.taken.insert(port), "{port} was taken");
        Some(port)
    }

    #[test]
    fn preserving_keeps_the_port_and_deals_with_a_taken_one_as_told() {
        let expected = [
            (PortConflict::NextFree, 5001),
            (PortConflict::Takeover, 5001),
            (PortConflict::Sequential, 1024),
        ];
        for (on_conflict, second) in expected {
            let mut random = Stream::new(1, "nat");
            let mut ports = Ports::default();
            let allocation = PortAllocation::Preserving { on_conflict };
            let wish = wish(5000, 1024..=65535);
            let mut next = || take(&mut ports, allocation, &wish, &mut random);
            assert_eq!((next(), next()), (Some(5000), Some(second)));
        }
    }

    #[test]
    fn the_next_free_port_above_the_last_is_the_first() {
        let mut random = Stream::new(1, "nat");
        let mut ports = Ports::default();
        let mut next = |internal| {
            let wish = wish(internal, 1024..=65535);
            take(&mut ports, PortAllocation::PRESERVING, &wish, &mut random)
        };
        assert_eq!((next(65535), next(65535)), (Some(65535), Some(1024)));
    }

    #[test]
    fn sequential_counts_on_by_its_step_and_wraps() {
        for (step, expected) in [
            (1, [2000, 2001, 2002, 2003, 2004]),
            (2, [2000, 2002, 2004, 2001, 2003]),
            (3, [2000, 2003, 2001, 2004, 2002]),
        ] {
            let mut random = Stream::new(1, "nat");
            let mut ports = Ports::default();
            let allocation = PortAllocation::Sequential { step };
            let wish = wish(7000, 2000..=2004);
            let given = [(); 5].map(|()| take(&mut ports, allocation, &wish, &mut random).unwrap());
            assert_eq!(given, expected);
        }
    }

    #[test]
    fn drawn_ports_are_each_as_likely_however_many_are_taken() {
        // The upper half of a hundred ports is taken: a draw that went on to the next free one
        // would give the lowest port half of the time.
        let mut ports = Ports::default();
        for port in 2050..2100 {
            ports.taken.insert(port);
        }
        let mut random = Stream::new(1, "nat");
        let wish = wish(7000, 2000..=2099);
        let drawn = (0..10_000)
            .map(|_| ports.pick(PortAllocation::Random, &wish, &mut random))
            .filter(|port| *port == Some(2000));
        // 200 on average; five standard deviations of 14.
        assert!((130..270).contains(&drawn.count()));
    }

    proptest! {
        /// Every port of the range and parity is handed out once, then none.
        #[test]
        fn the_whole_range_is_used_and_nothing_else(
            allocation in prop_oneof![
                Just(PortAllocation::PRESERVING),
                Just(PortAllocation::Preserving { on_conflict: PortConflict::Sequential }),
                Just(PortAllocation::Preserving { on_conflict: PortConflict::Random }),
                Just(PortAllocation::SEQUENTIAL),
                (1u16..500).prop_map(|step| PortAllocation::Sequential { step }),
                Just(PortAllocation::Random),
            ],
            start in 1u16..65_000,
            size in 1u16..500,
            internal: u16,
            keeps_parity: bool,
            seed: u64,
        ) {
            let range = start..=start + (size - 1);
            let mut random = Stream::new(seed, "nat");
            let mut ports = Ports::default();
            let mut wish = wish(internal, range.clone());
            if keeps_parity {
                wish.parity = Parity::of(internal);
            }
            let fits = |port: &u16| !keeps_parity || port % 2 == internal % 2;
            let expected: BTreeSet<u16> = range.filter(fits).collect();
            let mut given = BTreeSet::new();
            while let Some(port) = take(&mut ports, allocation, &wish, &mut random) {
                given.insert(port);
            }
            prop_assert_eq!(given, expected);
        }
    }
}
