//! IP addresses, endpoints and prefixes, packed for the packet path.
//!
//! One type holds both families: an IPv4 address is kept as its IPv4-mapped IPv6 form (RFC 4291
//! §2.5.5.2), so that comparing and hashing are two integer operations and no code branches on a
//! family unless it means to. At the API's edge stand the standard library's types.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::str::FromStr;

/// An IPv4 or IPv6 address, in sixteen bytes.
///
/// ```
/// use pinhole::Address;
/// let home: Address = "192.168.1.2".parse()?;
/// assert!(home.is_ipv4() && home.is_private());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    high: u64,
    low: u64,
}

const MAPPED: u64 = 0xffff_0000_0000;

/// An IP version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Address {
    /// `::`, which is the address of nobody. Stands in keys for "any address".
    pub const UNSPECIFIED: Address = Address { high: 0, low: 0 };

    /// The IPv4 address `a.b.c.d`.
    pub const fn v4(a: u8, b: u8, c: u8, d: u8) -> Self {
        Address {
            high: 0,
            low: MAPPED | u32::from_be_bytes([a, b, c, d]) as u64,
        }
    }

    /// Whether this is `::` or `0.0.0.0`, which stand for "any address".
    pub fn is_unspecified(self) -> bool {
        self == Address::UNSPECIFIED || self == Address::v4(0, 0, 0, 0)
    }

    /// Whether this is an IPv4 address.
    pub const fn is_ipv4(self) -> bool {
        self.high == 0 && self.low >> 32 == 0xffff
    }

    /// The IP version.
    pub const fn family(self) -> Family {
        if self.is_ipv4() {
            Family::V4
        } else {
            Family::V6
        }
    }

    /// Whether the address means something only inside its own network: RFC 1918, the shared
    /// carrier space of RFC 6598, the IPv4 side of a CLAT (RFC 7335), unique local IPv6 (RFC 4193)
    /// and link-local addresses.
    pub fn is_private(self) -> bool {
        match IpAddr::from(self) {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                let clat = (a, b, c, d & 0xf8) == (192, 0, 0, 0);
                v4.is_private() || v4.is_link_local() || (a == 100 && b & 0xc0 == 64) || clat
            }
            IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
        }
    }

    /// The address `offset` after this one, in the same family's space.
    pub(crate) const fn plus(self, offset: u64) -> Self {
        Address {
            high: self.high,
            low: self.low + offset,
        }
    }

    /// The two halves, the one that is zero for IPv4 first.
    pub(crate) const fn halves(self) -> [u64; 2] {
        [self.high, self.low]
    }

    fn bits(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => v6.into(),
        }
    }
}

impl From<Ipv4Addr> for Address {
    #[inline]
    fn from(v4: Ipv4Addr) -> Self {
        Address {
            high: 0,
            low: MAPPED | u64::from(v4.to_bits()),
        }
    }
}

impl From<Ipv6Addr> for Address {
    #[inline]
    fn from(v6: Ipv6Addr) -> Self {
        let bits = v6.to_bits();
        Address {
            high: (bits >> 64) as u64,
            low: bits as u64,
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        if address.is_ipv4() {
            IpAddr::V4(Ipv4Addr::from_bits(address.low as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(address.bits()))
        }
    }
}

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<IpAddr>().map(Address::from)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        IpAddr::from(*self).fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A transport address: an [`Address`] and a port. RFC 4787's word for the X:x, X1':x1' and Y:y of
/// its figures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The IP address.
    pub address: Address,
    /// The port; 0 where the protocol has none.
    pub port: u16,
}

impl Hash for Endpoint {
    /// All of it in one word, which for IPv4 is all there is to know: the NAT's tables hash two
    /// endpoints for every packet.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Address { high, low } = self.address;
        // Ports lowest: the multiplication in the hasher carries upwards only.
        state.write_u64(low.rotate_left(16) ^ high.rotate_left(24) ^ u64::from(self.port));
    }
}

impl Endpoint {
    /// Nobody's endpoint. Stands in keys for "any endpoint".
    pub const UNSPECIFIED: Endpoint = Endpoint {
        address: Address::UNSPECIFIED,
        port: 0,
    };

    /// An endpoint.
    pub const fn new(address: Address, port: u16) -> Self {
        Endpoint { address, port }
    }

    /// The same address, without the port.
    pub const fn without_port(self) -> Self {
        Endpoint {
            address: self.address,
            port: 0,
        }
    }
}

// Both conversions stand on the packet path: once for each datagram sent, twice for each received.
impl From<SocketAddr> for Endpoint {
    #[inline]
    fn from(socket: SocketAddr) -> Self {
        match socket {
            SocketAddr::V4(v4) => Endpoint::new((*v4.ip()).into(), v4.port()),
            SocketAddr::V6(v6) => Endpoint::new((*v6.ip()).into(), v6.port()),
        }
    }
}

impl From<Endpoint> for SocketAddr {
    #[inline]
    fn from(Endpoint { address, port }: Endpoint) -> Self {
        if address.is_ipv4() {
            let v4 = Ipv4Addr::from_bits(address.low as u32);
            SocketAddr::V4(SocketAddrV4::new(v4, port))
        } else {
            let v6 = Ipv6Addr::from_bits(address.bits());
            SocketAddr::V6(SocketAddrV6::new(v6, port, 0, 0))
        }
    }
}

impl FromStr for Endpoint {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<SocketAddr>().map(Endpoint::from)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::from(*self).fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address block such as `192.168.1.0/24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    base: Address,
    /// Of the 128 bits of the packed form: an IPv4 /24 is 120.
    packed_length: u8,
}

impl Prefix {
    /// Every address of both families.
    pub const ANY: Prefix = Prefix {
        base: Address::UNSPECIFIED,
        packed_length: 0,
    };

    /// The block of `length` leading bits that holds `address`; `length` is cut to the family's
    /// 32 or 128.
    pub fn new(address: Address, length: u8) -> Self {
        let packed_length = match address.family() {
            Family::V4 => 96 + length.min(32),
            Family::V6 => length.min(128),
        };
        let bits = address.bits() & mask(packed_length);
        let base = Address {
            high: (bits >> 64) as u64,
            low: bits as u64,
        };
        Prefix {
            base,
            packed_length,
        }
    }

    /// An IPv4 block, for constants; host bits must be zero.
    pub(crate) const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Self {
        Prefix {
            base: Address::v4(a, b, c, d),
            packed_length: 96 + length,
        }
    }

    /// Whether `address` lies in this block.
    pub fn contains(self, address: Address) -> bool {
        address.bits() & mask(self.packed_length) == self.base.bits()
    }

    /// The block's first address.
    pub const fn base(self) -> Address {
        self.base
    }

    /// The number of leading bits, as written after the slash.
    pub fn length(self) -> u8 {
        if self.base.is_ipv4() {
            self.packed_length - 96
        } else {
            self.packed_length
        }
    }

    /// How many addresses the block holds; saturates at `u64::MAX`.
    pub fn size(self) -> u64 {
        1u64.checked_shl(u32::from(128 - self.packed_length))
            .unwrap_or(u64::MAX)
    }

    /// The `n`th address of the block, counted from its base, if it has so many.
    pub fn nth(self, n: u64) -> Option<Address> {
        (n < self.size()).then(|| self.base.plus(n))
    }

    /// Whether the two blocks share an address.
    pub fn overlaps(self, other: Prefix) -> bool {
        self.contains(other.base) || other.contains(self.base)
    }
}

fn mask(packed_length: u8) -> u128 {
    u128::MAX
        .checked_shl(128 - u32::from(packed_length))
        .unwrap_or(0)
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Prefix::ANY {
            return f.write_str("any");
        }
        write!(f, "{}/{}", self.base, self.length())
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no [`Prefix`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address block; write it as 192.168.1.0/24 or 2001:db8::/32")]
pub struct ParsePrefixError {
    text: String,
}

impl FromStr for Prefix {
    type Err = ParsePrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (address, length) = text.split_once('/')?;
            let address: Address = address.parse().ok()?;
            let length: u8 = length.parse().ok()?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let prefix = Prefix::new(address, length);
            (length <= longest && prefix.base == address).then_some(prefix)
        };
        parse().ok_or_else(|| ParsePrefixError {
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_to_the_standard_library_and_back() {
        for text in [
            "0.0.0.0",
            "192.0.2.1",
            "255.255.255.255",
            "::1",
            "2001:db8::7",
            "fd00::2",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(Address::from(IpAddr::from(address)), address);
        }
    }

    #[test]
    fn carrier_space_is_private_and_documentation_space_is_not() {
        for (text, private) in [
            ("100.64.0.1", true),
            ("100.127.255.254", true),
            ("100.128.0.1", false),
            ("172.16.0.1", true),
            ("192.0.0.7", true),
            ("192.0.0.8", false),
            ("203.0.113.9", false),
            ("fd12::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(
                text.parse::<Address>().unwrap().is_private(),
                private,
                "{text}"
            );
        }
    }

    #[test]
    fn prefixes_contain_what_they_should() {
        let home: Prefix = "192.168.1.0/24".parse().unwrap();
        assert!(home.contains("192.168.1.255".parse().unwrap()));
        assert!(!home.contains("192.168.2.1".parse().unwrap()));
        assert!(!home.contains("::1".parse().unwrap()));
        assert_eq!(home.size(), 256);
        assert_eq!(home.nth(1).unwrap().to_string(), "192.168.1.1");
        assert_eq!(home.nth(256), None);
        assert!(Prefix::ANY.contains("2001:db8::1".parse().unwrap()));
        assert!(Prefix::ANY.contains("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_prefix_with_host_bits_or_a_wild_length_is_refused() {
        for text in [
            "192.168.1.1/24",
            "10.0.0.0/33",
            "2001:db8::/129",
            "10.0.0.0",
            "home/24",
        ] {
            let error = text.parse::<Prefix>().unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
