//! A set of ports in which a free one is found without asking for each.

use std::ops::RangeInclusive;

/// Which ports will do (RFC 4787 §4.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Parity {
    Any,
    Even,
    Odd,
}

impl Parity {
    /// The parity of `port`.
    pub(super) fn of(port: u16) -> Self {
        if port.is_multiple_of(2) {
            Parity::Even
        } else {
            Parity::Odd
        }
    }

    pub(super) fn holds(self, port: u16) -> bool {
        self == Parity::Any || self == Parity::of(port)
    }

    /// From one port that will do to the next.
    pub(super) fn stride(self) -> u32 {
        if self == Parity::Any { 1 } else { 2 }
    }

    /// The first port of a range that will do.
    pub(super) fn first_in(self, range: RangeInclusive<u16>) -> Option<u16> {
        range.take(2).find(|port| self.holds(*port))
    }

    /// The ports of a word that will do.
    fn mask(self) -> u64 {
        match self {
            Parity::Any => u64::MAX,
            Parity::Even => 0x5555_5555_5555_5555,
            Parity::Odd => 0xaaaa_aaaa_aaaa_aaaa,
        }
    }
}

const WORDS: usize = 16;
/// Ports in a page.
const PAGE: usize = 64 * WORDS;

/// A thousand ports and a few. Kept only where one of them is taken: most NATs use few.
#[derive(Default)]
struct Page {
    words: [u64; WORDS],
    /// How many are taken: even ones, odd ones.
    taken: [u16; 2],
}

impl Page {
    fn free(&self, parity: Parity) -> u32 {
        let half = PAGE as u32 / 2;
        let [even, odd] = self.taken.map(|taken| half - u32::from(taken));
        match parity {
            Parity::Any => even + odd,
            Parity::Even => even,
            Parity::Odd => odd,
        }
    }
}

/// A set of ports.
#[derive(Default)]
pub(super) struct PortSet {
    pages: Vec<Option<Box<Page>>>,
}

impl PortSet {
    fn page(&self, port: usize) -> Option<&Page> {
        self.pages.get(port / PAGE)?.as_deref()
    }

    pub(super) fn contains(&self, port: u16) -> bool {
        let port = usize::from(port);
        self.page(port)
            .is_some_and(|page| page.words[port % PAGE / 64] >> (port % 64) & 1 != 0)
    }

    /// Adds a port. Returns whether it is new.
    pub(super) fn insert(&mut self, port: u16) -> bool {
        let place = usize::from(port) / PAGE;
        if self.pages.len() <= place {
            self.pages.resize_with(place + 1, || None);
        }
        let page = self.pages[place].get_or_insert_default();
        let (word, bit) = (usize::from(port) % PAGE / 64, 1u64 << (port % 64));
        let is_new = page.words[word] & bit == 0;
        page.words[word] |= bit;
        page.taken[usize::from(port % 2)] += u16::from(is_new);
        is_new
    }

    pub(super) fn remove(&mut self, port: u16) {
        if !self.contains(port) {
            return;
        }
        let page = self.pages[usize::from(port) / PAGE].as_mut();
        let page = page.expect("it holds the port");
        page.words[usize::from(port) % PAGE / 64] &= !(1u64 << (port % 64));
        page.taken[usize::from(port % 2)] -= 1;
    }

    /// The free ports of one word that lie in the range and have the parity.
    fn free_word(&self, word: usize, within: &Within) -> u64 {
        let page = self.page(word * 64);
        let taken = page.map_or(0, |page| page.words[word % WORDS]);
        let start = usize::from(*within.range.start());
        let end = usize::from(*within.range.end());
        let mut free = !taken & within.parity.mask();
        if word == start / 64 {
            free &= u64::MAX << (start % 64);
        }
        if word == end / 64 {
            free &= u64::MAX >> (63 - end % 64);
        }
        free
    }

    /// The free ports of the words `words` that lie in the range and have the parity.
    fn free_words(&self, words: &RangeInclusive<usize>, within: &Within) -> u32 {
        let (first, last) = (*words.start(), *words.end());
        let (start, end) = (first * 64, last * 64 + 63);
        let whole = last - first == WORDS - 1
            && start >= usize::from(*within.range.start())
            && end <= usize::from(*within.range.end());
        if whole {
            return match self.page(start) {
                Some(page) => page.free(within.parity),
                None => PAGE as u32 / within.parity.stride(),
            };
        }
        let each = words.clone().map(|word| self.free_word(word, within));
        each.map(u64::count_ones).sum()
    }

    /// How many ports are free.
    pub(super) fn free_in(&self, range: RangeInclusive<u16>, parity: Parity) -> u32 {
        let within = Within { range, parity };
        let pages = within.pages();
        pages.map(|words| self.free_words(&words, &within)).sum()
    }

    /// The `n`th free port, counted from 0.
    pub(super) fn nth_free(
        &self,
        mut n: u32,
        range: RangeInclusive<u16>,
        parity: Parity,
    ) -> Option<u16> {
        let within = Within { range, parity };
        for words in within.pages() {
            let free = self.free_words(&words, &within);
            if n >= free {
                n -= free;
                continue;
            }
            for word in words {
                let mut free = self.free_word(word, &within);
                if n >= free.count_ones() {
                    n -= free.count_ones();
                    continue;
                }
                for _ in 0..n {
                    free &= free - 1;
                }
                return Some((word * 64) as u16 + free.trailing_zeros() as u16);
            }
        }
        None
    }

    /// The first free port from `from` on; behind the end of the range follows its start.
    pub(super) fn next_free(
        &self,
        from: u16,
        range: RangeInclusive<u16>,
        parity: Parity,
    ) -> Option<u16> {
        let above = self.nth_free(0, from..=*range.end(), parity);
        above.or_else(|| match from {
            from if from > *range.start() => self.nth_free(0, *range.start()..=from - 1, parity),
            _ => None,
        })
    }
}

/// Where a port is looked for.
struct Within {
    range: RangeInclusive<u16>,
    parity: Parity,
}

impl Within {
    /// The words of each page that the range touches.
    fn pages(&self) -> impl Iterator<Item = RangeInclusive<usize>> + use<> {
        let first = usize::from(*self.range.start()) / 64;
        let last = usize::from(*self.range.end()) / 64;
        (first / WORDS..=last / WORDS)
            .map(move |page| (page * WORDS).max(first)..=(page * WORDS + WORDS - 1).min(last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It answers as a sorted set does that is asked for each port.
        #[test]
        fn it_is_a_set_of_ports(
            ports in proptest::collection::vec((any::<u16>(), 1u16..3000), 0..8),
            removed in proptest::collection::vec(any::<u16>(), 0..50),
            ends: (u16, u16),
            from: u16,
            n in 0u32..5000,
            parity in prop_oneof![Just(Parity::Any), Just(Parity::Even), Just(Parity::Odd)],
        ) {
            let (mut set, mut known) = (PortSet::default(), BTreeSet::new());
            for (start, length) in ports {
                for port in start..=start.saturating_add(length) {
                    prop_assert_eq!(set.insert(port), known.insert(port));
                }
            }
            for port in removed {
                set.remove(port);
                known.remove(&port);
                prop_assert!(!set.contains(port));
            }
            let range = ends.0.min(ends.1)..=ends.0.max(ends.1);
            let free: Vec<u16> = range
                .clone()
                .filter(|port| parity.holds(*port) && !known.contains(port))
                .collect();
            prop_assert_eq!(set.free_in(range.clone(), parity) as usize, free.len());
            prop_assert_eq!(set.nth_free(n, range.clone(), parity), free.get(n as usize).copied());
            let from = from.clamp(*range.start(), *range.end());
            let next = free.iter().find(|port| **port >= from).or(free.first());
            prop_assert_eq!(set.next_free(from, range, parity), next.copied());
        }
    }
}
