//! Which external ports are taken, and the next one that is free.

/// The ports of one external address and one protocol: a bit for each that is taken.
pub(super) struct PortSet {
    taken: Box<[u64; WORDS]>,
}

const WORDS: usize = 1024;
/// Ports below this are of a range of their own (RFC 6146 §3.5.1.1).
const WELL_KNOWN: u32 = 1024;

impl Default for PortSet {
    fn default() -> Self {
        let mut taken = Box::new([0; WORDS]);
        // Port 0 is nobody's.
        taken[0] = 1;
        PortSet { taken }
    }
}

impl PortSet {
    /// Takes a port for an internal one: the same if it is free; else, from a random place on, the
    /// next of the same parity and on the same side of 1024. `None` if there is no such port left.
    pub(super) fn take(&mut self, internal: u16, random: u64) -> Option<u16> {
        let port = if internal != 0 && !self.is_taken(internal) {
            internal
        } else {
            self.next_free(internal, random)?
        };
        self.taken[usize::from(port) / 64] |= 1 << (port % 64);
        Some(port)
    }

    pub(super) fn free(&mut self, port: u16) {
        self.taken[usize::from(port) / 64] &= !(1 << (port % 64));
    }

    fn is_taken(&self, port: u16) -> bool {
        self.taken[usize::from(port) / 64] & 1 << (port % 64) != 0
    }

    fn next_free(&self, internal: u16, random: u64) -> Option<u16> {
        let (first, count) = if u32::from(internal) < WELL_KNOWN && internal != 0 {
            (0, WELL_KNOWN)
        } else {
            (WELL_KNOWN, 65_536 - WELL_KNOWN)
        };
        let parity: u64 = if internal.is_multiple_of(2) {
            0x5555_5555_5555_5555
        } else {
            0xaaaa_aaaa_aaaa_aaaa
        };
        let (first_word, words) = (first as usize / 64, count as usize / 64);
        let start = random as usize % count as usize;
        // The word of the random place is looked at twice: above the place, and at the end below.
        (0..=words).find_map(|step| {
            let word = first_word + (start / 64 + step) % words;
            let mut free = !self.taken[word] & parity;
            if step == 0 {
                free &= u64::MAX << (start % 64);
            }
            (free != 0).then(|| (word * 64) as u16 + free.trailing_zeros() as u16)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_used_up_to_its_last_port_and_no_further() {
        for (internal, expected) in [(1000, 511), (1001, 512), (5000, 32_256), (5001, 32_256)] {
            let mut ports = PortSet::default();
            let mut taken = 0;
            while let Some(port) = ports.take(internal, 77_777) {
                assert_eq!(port % 2, internal % 2);
                assert_eq!(port < 1024, internal < 1024);
                taken += 1;
            }
            assert_eq!(taken, expected, "{internal}");
            ports.free(internal);
            assert_eq!(ports.take(internal, 0), Some(internal));
        }
    }

    proptest! {
        #[test]
        fn no_port_is_given_twice(wishes: Vec<(u16, u64)>) {
            let mut ports = PortSet::default();
            let mut seen = std::collections::BTreeSet::new();
            for (internal, random) in wishes {
                let port = ports.take(internal, random).unwrap();
                prop_assert!(port != 0 && seen.insert(port));
                prop_assert!(internal == 0 || port % 2 == internal % 2);
            }
        }
    }
}
