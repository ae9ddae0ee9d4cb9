//! What the DNS answers on a network, with DNS64 (RFC 6147) where the network has only IPv6.
//!
//! There are no DNS messages here. What matters to everything above is the answer: which addresses
//! a name has *for a host of this network*. On a network with DNS64 a name without IPv6 addresses
//! gets some that lead through the NAT64.

use std::collections::BTreeMap;

use super::{IPV4_ONLY, Prefix64};
use crate::address::{Address, Family};

/// The name that has IPv4 addresses only, by which hosts discover the prefix (RFC 7050).
pub const IPV4_ONLY_NAME: &str = "ipv4only.arpa";

/// The names of the whole internet, and their addresses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Zone(BTreeMap<String, Vec<Address>>);

/// A network's resolver.
///
/// ```
/// use pinhole::nat64::{Prefix64, Resolver, Zone};
///
/// let mut zone = Zone::default();
/// zone.add("stun.example", "192.0.2.1".parse()?);
/// let mobile = Resolver { zone: &zone, dns64: Some(Prefix64::well_known()) };
/// assert_eq!(mobile.aaaa("stun.example"), ["64:ff9b::c000:201".parse()?]);
/// assert_eq!(mobile.discover_prefix(), Some(Prefix64::well_known()));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Resolver<'a> {
    /// The names.
    pub zone: &'a Zone,
    /// The prefix that answers are synthesized with, if the network does that.
    pub dns64: Option<Prefix64>,
}

impl Zone {
    /// Gives a name one more address, of either family. Upper and lower case are the same
    /// (RFC 4343).
    pub fn add(&mut self, name: &str, address: Address) {
        let addresses = self.0.entry(name.to_ascii_lowercase()).or_default();
        addresses.push(address);
    }

    fn find(&self, name: &str, family: Family) -> Vec<Address> {
        if name.eq_ignore_ascii_case(IPV4_ONLY_NAME) && family == Family::V4 {
            return IPV4_ONLY.to_vec();
        }
        let addresses = self.0.get(&name.to_ascii_lowercase());
        let addresses = addresses.into_iter().flatten().copied();
        addresses
            .filter(|address| address.family() == family)
            .collect()
    }
}

impl Resolver<'_> {
    /// The name's IPv4 addresses (A records).
    pub fn a(&self, name: &str) -> Vec<Address> {
        self.zone.find(name, Family::V4)
    }

    /// The name's IPv6 addresses (AAAA records): its own, or if it has none, synthesized ones
    /// (RFC 6147 §5.1.6 and §5.1.7).
    pub fn aaaa(&self, name: &str) -> Vec<Address> {
        let own = self.zone.find(name, Family::V6);
        match self.dns64 {
            Some(prefix) if own.is_empty() => {
                let v4 = self.zone.find(name, Family::V4).into_iter();
                // RFC 6052 §3.1: nothing private under the Well-Known Prefix.
                v4.filter(|address| prefix.may_hold(*address) || IPV4_ONLY.contains(address))
                    .map(|address| prefix.embed(address))
                    .collect()
            }
            _ => own,
        }
    }

    /// The prefix that the network synthesizes with, asked for as a host does that knows nothing of
    /// it (RFC 7050 §3).
    pub fn discover_prefix(&self) -> Option<Prefix64> {
        Prefix64::discover(self.aaaa(IPV4_ONLY_NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(addresses: Vec<Address>) -> Vec<String> {
        addresses.iter().map(Address::to_string).collect()
    }

    fn zone() -> Zone {
        let mut zone = Zone::default();
        zone.add("four.example", "192.0.2.1".parse().unwrap());
        zone.add("both.example", "192.0.2.2".parse().unwrap());
        zone.add("both.example", "2001:db8::2".parse().unwrap());
        zone.add("home.example", "192.168.1.2".parse().unwrap());
        zone
    }

    #[test]
    fn only_names_without_ipv6_are_synthesized() {
        let zone = zone();
        let resolver = Resolver {
            zone: &zone,
            dns64: Some(Prefix64::well_known()),
        };
        assert_eq!(texts(resolver.aaaa("four.example")), ["64:ff9b::c000:201"]);
        assert_eq!(texts(resolver.aaaa("FOUR.example")), ["64:ff9b::c000:201"]);
        assert_eq!(texts(resolver.aaaa("both.example")), ["2001:db8::2"]);
        assert_eq!(texts(resolver.a("both.example")), ["192.0.2.2"]);
        assert!(resolver.aaaa("home.example").is_empty());
        assert!(resolver.aaaa("nobody.example").is_empty());
    }

    #[test]
    fn without_dns64_there_is_no_prefix_to_discover() {
        let zone = zone();
        let plain = Resolver {
            zone: &zone,
            dns64: None,
        };
        assert!(plain.aaaa("four.example").is_empty());
        assert_eq!(plain.discover_prefix(), None);
        let own: Prefix64 = "2001:db8:64::/48".parse().unwrap();
        let dns64 = Some(own);
        assert_eq!(Resolver { dns64, ..plain }.discover_prefix(), Some(own));
    }
}
