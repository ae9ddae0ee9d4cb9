//! Who gets which address.
//!
//! Public addresses come from the blocks that are set aside for documentation and benchmarks, so
//! that nothing in a trace can be mistaken for somebody's real address. They are handed out in the
//! order in which they are asked for.

use crate::address::{Address, Prefix};

/// Hands out addresses that nobody else in the plan has.
#[derive(Clone, Debug, Default)]
pub struct AddressPlan {
    servers: u64,
    edges: u64,
    homes: u64,
    carriers: u64,
    sites_v6: u64,
}

/// TEST-NET-1 (RFC 5737): servers.
const SERVERS: Address = Address::v4(192, 0, 2, 0);
/// TEST-NET-3 and TEST-NET-2 (RFC 5737): the first 508 edges.
const EDGES: [Address; 2] = [Address::v4(203, 0, 113, 0), Address::v4(198, 51, 100, 0)];
/// The benchmarking block (RFC 2544): the 130,000 edges after those.
const MORE_EDGES: Address = Address::v4(198, 18, 0, 0);
/// Home networks, one /24 each (RFC 1918); from the 255th home on 10.0.0.0/8, one /24 each.
const HOMES: Address = Address::v4(192, 168, 0, 0);
const MORE_HOMES: Address = Address::v4(10, 0, 0, 0);
/// Behind carrier NATs, one /24 each (RFC 6598).
const CARRIERS: Address = Address::v4(100, 64, 0, 0);

/// Addresses of a /24 that hosts use: all but the network's and the broadcast address.
const HOSTS_IN_24: u64 = 254;

impl AddressPlan {
    /// A plan that has given nothing away.
    pub fn new() -> Self {
        AddressPlan::default()
    }

    /// A public address for a server: 192.0.2.1 and up.
    ///
    /// # Panics
    ///
    /// After 254 servers.
    pub fn server(&mut self) -> Address {
        self.servers += 1;
        assert!(
            self.servers <= HOSTS_IN_24,
            "the plan has addresses for 254 servers"
        );
        SERVERS.plus(self.servers)
    }

    /// A public address for the outside of an edge: 203.0.113.1 and up.
    ///
    /// # Panics
    ///
    /// After 131,000 edges.
    pub fn edge(&mut self) -> Address {
        self.edges += 1;
        let (block, offset) = (
            (self.edges - 1) / HOSTS_IN_24,
            (self.edges - 1) % HOSTS_IN_24 + 1,
        );
        match EDGES.get(block as usize) {
            Some(base) => base.plus(offset),
            None => {
                let beyond = self.edges - 2 * HOSTS_IN_24;
                assert!(
                    beyond < 1 << 17,
                    "the plan has public addresses for 131,000 edges"
                );
                MORE_EDGES.plus(beyond)
            }
        }
    }

    /// A private /24 for a home: 192.168.1.0/24 and up.
    ///
    /// # Panics
    ///
    /// After 65,000 homes; homes may also be given the same block each, which is what real ones
    /// have.
    pub fn home(&mut self) -> Prefix {
        self.homes += 1;
        let base = match self.homes {
            few if few <= HOSTS_IN_24 => HOMES.plus(few << 8),
            many => {
                let beyond = many - HOSTS_IN_24;
                assert!(
                    beyond < 1 << 16,
                    "the plan has private blocks for 65,000 homes"
                );
                MORE_HOMES.plus(beyond << 8)
            }
        };
        Prefix::new(base, 24)
    }

    /// A /24 between a carrier's NAT and its subscribers: 100.64.0.0/24 and up.
    ///
    /// # Panics
    ///
    /// After 16,384 carriers.
    pub fn carrier(&mut self) -> Prefix {
        assert!(
            self.carriers < 1 << 14,
            "the plan has shared space for 16,384 carriers"
        );
        self.carriers += 1;
        Prefix::new(CARRIERS.plus((self.carriers - 1) << 8), 24)
    }

    /// An IPv6 /64 for a site, or a server: 2001:db8:0:1::/64 and up (RFC 3849).
    pub fn site_v6(&mut self) -> Prefix {
        self.sites_v6 += 1;
        let base = std::net::Ipv6Addr::from_bits(
            0x2001_0db8_u128 << 96 | u128::from(self.sites_v6 & 0xffff_ffff) << 64,
        );
        Prefix::new(base.into(), 64)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_address_is_given_twice() {
        let mut plan = AddressPlan::new();
        let mut seen = BTreeSet::new();
        for _ in 0..254 {
            assert!(seen.insert(plan.server()));
        }
        for _ in 0..20_000 {
            let edge = plan.edge();
            assert!(!edge.is_private() && seen.insert(edge), "{edge}");
            let home = plan.home().nth(2).unwrap();
            assert!(home.is_private() && seen.insert(home), "{home}");
            assert!(seen.insert(plan.site_v6().nth(2).unwrap()));
        }
        for _ in 0..16_384 {
            let carrier = plan.carrier().nth(2).unwrap();
            assert!(carrier.is_private() && seen.insert(carrier), "{carrier}");
        }
    }
}
