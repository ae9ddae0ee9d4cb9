//! What a host was told of how wide the way to others is (RFC 8201).
//!
//! Needed by programs that let their host cut IPv6 packets, which nobody else may do. It is
//! forgotten after ten minutes (RFC 8201 §4), and never below 1,280 bytes, whatever is claimed. For
//! IPv4 nothing is kept: who forbids fragments is told each time, and who allows them needn't know.

use std::collections::VecDeque;
use std::time::Duration;

use crate::address::Address;
use crate::time::Time;

/// What every IPv6 link carries (RFC 8200 §5).
const LEAST: u16 = 1280;
const LIFETIME: Duration = Duration::from_secs(600);
/// So many destinations are known at once; then the one that was learned of first is forgotten.
const MOST: usize = 64;

#[derive(Default)]
pub(crate) struct PathMtus(VecDeque<(Address, u16, Time)>);

impl PathMtus {
    /// ICMP says that packets to `destination` may be `mtu` bytes long.
    pub(crate) fn learn(&mut self, now: Time, destination: Address, mtu: u16) {
        let mtu = mtu.max(LEAST);
        let known = self.get(now, destination);
        // No report makes the way wider (RFC 8201 §4).
        if known.is_some_and(|known| known <= mtu) {
            return;
        }
        self.0.retain(|(other, ..)| *other != destination);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((destination, mtu, now + LIFETIME));
    }

    /// How long packets to `destination` may be, if something is known of it.
    pub(crate) fn get(&self, now: Time, destination: Address) -> Option<u16> {
        let mut known = self.0.iter();
        let (_, mtu, until) = known.find(|(other, ..)| *other == destination)?;
        (*until > now).then_some(*mtu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_narrows_and_is_forgotten() {
        let mut known = PathMtus::default();
        let far = "2001:db8::1".parse().unwrap();
        assert_eq!(known.get(Time::ZERO, far), None);
        known.learn(Time::ZERO, far, 1400);
        known.learn(Time::from_millis(1), far, 9000);
        assert_eq!(known.get(Time::from_millis(599_999), far), Some(1400));
        assert_eq!(known.get(Time::from_millis(600_000), far), None);
        known.learn(Time::from_millis(700_000), far, 0);
        assert_eq!(known.get(Time::from_millis(700_000), far), Some(1280));
    }

    #[test]
    fn many_destinations_cost_no_more_than_some() {
        let mut known = PathMtus::default();
        let at = |n: u16| Address::from(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n));
        for n in 0..1000 {
            known.learn(Time::ZERO, at(n), 1300);
        }
        assert_eq!(known.0.len(), MOST);
        assert_eq!(known.get(Time::ZERO, at(935)), None);
        assert_eq!(known.get(Time::ZERO, at(936)), Some(1300));
    }
}
