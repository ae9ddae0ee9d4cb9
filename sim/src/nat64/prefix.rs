//! IPv4 addresses inside IPv6 ones (RFC 6052), and how a host finds out the prefix (RFC 7050).

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::address::{Address, Family, Prefix};

/// An IPv6 prefix under which every IPv4 address has an IPv6 one (RFC 6052 §2.2).
///
/// ```
/// use pinhole::nat64::Prefix64;
///
/// let prefix: Prefix64 = "64:ff9b::/96".parse()?;
/// let server = "192.0.2.33".parse()?;
/// assert_eq!(prefix.embed(server).to_string(), "64:ff9b::c000:221");
/// assert_eq!(prefix.extract(prefix.embed(server)), Some(server));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix64(Prefix);

/// The lengths that RFC 6052 allows, the usual one first.
const LENGTHS: [u8; 6] = [96, 64, 56, 48, 40, 32];

/// What `ipv4only.arpa` is in IPv4, whoever asks (RFC 7050 §2.2).
pub const IPV4_ONLY: [Address; 2] = [Address::v4(192, 0, 0, 170), Address::v4(192, 0, 0, 171)];

impl Prefix64 {
    /// The Well-Known Prefix, 64:ff9b::/96 (RFC 6052 §2.1).
    pub fn well_known() -> Self {
        let base = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
        Prefix64(Prefix::new(base.into(), 96))
    }

    /// The prefix as a block of addresses.
    pub const fn block(self) -> Prefix {
        self.0
    }

    /// Whether an address lies under the prefix.
    #[inline]
    pub fn contains(self, address: Address) -> bool {
        self.0.contains(address)
    }

    /// The IPv6 address that stands for an IPv4 one. An address that is IPv6 already stays what it
    /// is.
    pub fn embed(self, address: Address) -> Address {
        if address.family() == Family::V6 {
            return address;
        }
        let [high, low] = self.0.base().halves();
        let v4 = u64::from(bits(address));
        let (high, low) = match self.0.length() {
            96 => (high, low | v4),
            // What doesn't fit before bit 64 goes on behind the octet `u`, which stays zero.
            length => {
                let before = 64 - u32::from(length);
                let behind = 32 - before;
                let tail = v4 & ((1 << behind) - 1);
                (high | v4 >> behind, low | tail << (56 - behind))
            }
        };
        Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).into()
    }

    /// The IPv4 address that an IPv6 one stands for. `None` if it doesn't lie under the prefix, or
    /// isn't built as RFC 6052 §2.2 says.
    pub fn extract(self, address: Address) -> Option<Address> {
        if !self.contains(address) || address.family() == Family::V4 {
            return None;
        }
        let [high, low] = address.halves();
        let v4 = match self.0.length() {
            96 => low as u32,
            length => {
                let before = 64 - u32::from(length);
                let behind = 32 - before;
                let tail = low >> (56 - behind) & ((1 << behind) - 1);
                (high << behind | tail) as u32
            }
        };
        let [a, b, c, d] = v4.to_be_bytes();
        let v4 = Address::v4(a, b, c, d);
        (self.embed(v4) == address).then_some(v4)
    }

    /// Whether an IPv4 address may be written with this prefix: with the well-known one only such
    /// as mean the same everywhere (RFC 6052 §3.1).
    pub fn may_hold(self, address: Address) -> bool {
        self != Prefix64::well_known() || !means_nothing_elsewhere(address)
    }

    /// The prefix behind a network's answer for `ipv4only.arpa`, AAAA (RFC 7050 §3); `None` if the
    /// network synthesizes nothing.
    pub fn discover(answer: impl IntoIterator<Item = Address>) -> Option<Self> {
        let lengths = |address: Address| {
            LENGTHS.into_iter().find_map(move |length| {
                let prefix = Prefix64::try_from(Prefix::new(address, length)).ok()?;
                let held = prefix.extract(address)?;
                IPV4_ONLY.contains(&held).then_some(prefix)
            })
        };
        answer
            .into_iter()
            .filter(|address| address.family() == Family::V6)
            .find_map(lengths)
    }
}

/// The 32 bits of an IPv4 address.
fn bits(address: Address) -> u32 {
    address.halves()[1] as u32
}

/// Whether an IPv4 address is private, loopback, "this network" or nobody's: a translator must drop
/// what is sent to it under the Well-Known Prefix.
fn means_nothing_elsewhere(address: Address) -> bool {
    let [first, ..] = bits(address).to_be_bytes();
    address.is_private() || matches!(first, 0 | 127 | 224..)
}

/// Why a block is no [`Prefix64`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} can hold no IPv4 addresses: write an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits \
     whose bits 64 to 71 are zero (RFC 6052 §2.2), such as 64:ff9b::/96"
)]
pub struct NoPrefix64 {
    text: String,
}

impl TryFrom<Prefix> for Prefix64 {
    type Error = NoPrefix64;

    fn try_from(block: Prefix) -> Result<Self, NoPrefix64> {
        let [_, low] = block.base().halves();
        let fits = block.base().family() == Family::V6
            && block != Prefix::ANY
            && LENGTHS.contains(&block.length())
            && low >> 56 == 0;
        fits.then_some(Prefix64(block)).ok_or_else(|| NoPrefix64 {
            text: block.to_string(),
        })
    }
}

impl FromStr for Prefix64 {
    type Err = NoPrefix64;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let block: Option<Prefix> = text.parse().ok();
        block
            .and_then(|block| block.try_into().ok())
            .ok_or_else(|| NoPrefix64 {
                text: text.to_owned(),
            })
    }
}

impl fmt::Display for Prefix64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Prefix64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    /// The examples of RFC 6052 §2.4.
    #[test]
    fn addresses_are_built_as_the_rfc_shows() {
        for (prefix, expected) in [
            ("2001:db8::/32", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
        ] {
            let prefix: Prefix64 = prefix.parse().unwrap();
            let v4 = address("192.0.2.33");
            assert_eq!(prefix.embed(v4), address(expected), "{prefix}");
            assert_eq!(prefix.extract(address(expected)), Some(v4), "{prefix}");
        }
    }

    #[test]
    fn what_is_not_built_so_stands_for_nothing() {
        let prefix: Prefix64 = "2001:db8:122:344::/64".parse().unwrap();
        for text in [
            // The octet u, the suffix, another prefix, another family.
            "2001:db8:122:344:1c0:2:2100::",
            "2001:db8:122:344:c0:2:2100:1",
            "2001:db8:122:345:c0:2:2100::",
            "192.0.2.33",
        ] {
            assert_eq!(prefix.extract(address(text)), None, "{text}");
        }
    }

    #[test]
    fn prefixes_that_cannot_be_are_refused_with_what_can() {
        for text in [
            "64:ff9b::/95",
            "2001:db8:0:0:100::/96",
            "192.0.2.0/24",
            "::/0",
            "64:ff9b::",
            "nonsense",
        ] {
            let error = text.parse::<Prefix64>().unwrap_err().to_string();
            assert!(error.contains("64:ff9b::/96"), "{text}: {error}");
        }
    }

    #[test]
    fn the_well_known_prefix_holds_nothing_private() {
        let own: Prefix64 = "2001:db8:64::/96".parse().unwrap();
        for text in [
            "10.0.0.1",
            "192.168.1.2",
            "192.0.0.2",
            "127.0.0.1",
            "100.64.0.1",
        ] {
            assert!(!Prefix64::well_known().may_hold(address(text)), "{text}");
            assert!(own.may_hold(address(text)), "{text}");
        }
        assert!(Prefix64::well_known().may_hold(address("203.0.113.1")));
    }

    fn any_prefix() -> impl Strategy<Value = Prefix64> {
        (any::<u64>(), 0..LENGTHS.len()).prop_map(|(high, place)| {
            // From 2000::/3, where no IPv4-mapped address lies.
            let high = high >> 3 | 0x2000_0000_0000_0000;
            let base = Ipv6Addr::from_bits(u128::from(high) << 64);
            Prefix::new(base.into(), LENGTHS[place]).try_into().unwrap()
        })
    }

    proptest! {
        #[test]
        fn any_ipv4_address_goes_in_and_comes_back(v4: [u8; 4], prefix in any_prefix()) {
            let [a, b, c, d] = v4;
            let v4 = Address::v4(a, b, c, d);
            let v6 = prefix.embed(v4);
            prop_assert!(prefix.contains(v6));
            prop_assert_eq!(prefix.extract(v6), Some(v4));
        }

        #[test]
        fn the_prefix_is_found_from_the_answer(prefix in any_prefix(), first: bool) {
            let answer = prefix.embed(IPV4_ONLY[usize::from(!first)]);
            prop_assert_eq!(Prefix64::discover([answer]), Some(prefix));
        }

        #[test]
        fn no_address_is_read_wrongly(bits: u128, prefix in any_prefix()) {
            let address = Address::from(Ipv6Addr::from_bits(bits));
            if let Some(v4) = prefix.extract(address) {
                prop_assert_eq!(prefix.embed(v4), address);
            }
        }
    }
}
