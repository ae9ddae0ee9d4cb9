//! What a TURN server is told: who may use it, how much, and to reach whom.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::address::{Address, Prefix};
use crate::host::TcpSettings;

/// How a [`TurnServer`](super::TurnServer) is set up.
///
/// ```
/// use pinhole::server::TurnConfig;
///
/// let mut config = TurnConfig::new("example.org").with_user("alice", "secret");
/// config.allocations_per_user = Some(4);
/// config.peers.deny("10.0.0.0/8".parse()?);
/// # Ok::<(), pinhole::address::ParsePrefixError>(())
/// ```
///
/// Lifetimes can't be set: the server grants an allocation between 600 and 3600 s as the client
/// asks (600 s where it doesn't), a permission 300 s and a channel 600 s, as RFC 8656 has them.
#[derive(Clone, Debug)]
pub struct TurnConfig {
    /// The realm of its users (RFC 8489 §9.2), at most 763 bytes.
    pub realm: String,
    /// Who may allocate, with their passwords: the long-term credentials.
    pub users: Vec<(String, String)>,
    /// The UDP port it listens on, on all addresses of its host; `None` for no UDP.
    pub udp_port: Option<u16>,
    /// The TCP port, likewise. TLS has a port of its own:
    /// [`TurnServer::with_tls`](super::TurnServer::with_tls).
    pub tcp_port: Option<u16>,
    /// How its host's TCP behaves. Small pieces don't wait (RFC 896 would hold media back), and
    /// not more than 64 KiB are on their way to a client that reads slowly.
    pub tcp: TcpSettings,
    /// The ports of relayed addresses. RFC 8656 §7.2 recommends the ephemeral ones.
    pub relay_ports: RangeInclusive<u16>,
    /// How many allocations one user may hold. One more is refused with 486 (Allocation Quota
    /// Reached).
    pub allocations_per_user: Option<u32>,
    /// How many allocations all users together may hold. One more is refused with 508
    /// (Insufficient Capacity).
    pub allocations: Option<u32>,
    /// Which peers clients may reach. Others are refused with 403 (Forbidden).
    pub peers: PeerRules,
    /// How long a nonce is good for; a request with an older one is refused with 438 (Stale
    /// Nonce). At least 30 s.
    pub nonce_lifetime: Duration,
}

impl TurnConfig {
    /// A server on UDP and TCP port 3478 without users or quotas, whose nonces live an hour.
    pub fn new(realm: &str) -> Self {
        TurnConfig {
            realm: realm.to_owned(),
            users: Vec::new(),
            udp_port: Some(3478),
            tcp_port: Some(3478),
            tcp: TcpSettings {
                nagle: false,
                send_buffer: 64 * 1024,
                receive_buffer: 64 * 1024,
                ..TcpSettings::default()
            },
            relay_ports: 49_152..=65_535,
            allocations_per_user: None,
            allocations: None,
            peers: PeerRules::default(),
            nonce_lifetime: Duration::from_secs(3600),
        }
    }

    /// The same, with one user more.
    #[must_use]
    pub fn with_user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    pub(super) fn check(&self) -> Result<(), TurnConfigError> {
        if self.realm.len() > 763 {
            return Err(TurnConfigError::RealmTooLong);
        }
        if let Some((name, _)) = self.users.iter().find(|(name, _)| name.len() > 513) {
            return Err(TurnConfigError::NameTooLong { name: name.clone() });
        }
        if self.relay_ports.is_empty() || *self.relay_ports.start() == 0 {
            return Err(TurnConfigError::NoRelayPorts {
                ports: self.relay_ports.clone(),
            });
        }
        if self.nonce_lifetime < SHORTEST_NONCE_LIFETIME {
            return Err(TurnConfigError::NonceTooShort {
                lifetime: self.nonce_lifetime,
            });
        }
        Ok(())
    }
}

/// The protocol crate panics below.
const SHORTEST_NONCE_LIFETIME: Duration = Duration::from_secs(30);

/// Why a [`TurnConfig`] can't be served.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TurnConfigError {
    /// The realm doesn't fit its attribute.
    #[error("the realm is longer than the 763 bytes that RFC 8489 §14.9 allows")]
    RealmTooLong,
    /// A user's name doesn't fit its attribute.
    #[error("the user name {name:?} is longer than the 513 bytes that RFC 8489 §14.3 allows")]
    NameTooLong {
        /// The name.
        name: String,
    },
    /// No port to relay from.
    #[error("{ports:?} holds no port to relay from; the usual range is 49152..=65535")]
    NoRelayPorts {
        /// What was given.
        ports: RangeInclusive<u16>,
    },
    /// A nonce that would go stale under the client's hands.
    #[error("nonces live {lifetime:?}; they must live 30 s at least")]
    NonceTooShort {
        /// What was given.
        lifetime: Duration,
    },
}

/// An ordered list of address blocks that clients may or may not exchange data with. The first
/// block that holds a peer's address decides.
///
/// Behind every list stand these denials, as every server that is run with care has them: `0.0.0.0/8`
/// and `127.0.0.0/8`, `::` and `::1` (the server's own inside), multicast and limited broadcast,
/// which would be amplified. Everything else is allowed. In particular the server's own public
/// addresses are: two clients of one server reach each other from relayed address to relayed
/// address. To allow one of the denied blocks, name it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PeerRules(Vec<(Prefix, bool)>);

impl PeerRules {
    /// Appends: addresses in `block` are denied, unless an earlier rule allows them.
    pub fn deny(&mut self, block: Prefix) -> &mut Self {
        self.0.push((block, false));
        self
    }

    /// Appends: addresses in `block` are allowed, unless an earlier rule denies them.
    pub fn allow(&mut self, block: Prefix) -> &mut Self {
        self.0.push((block, true));
        self
    }

    /// Whether clients may exchange data with `peer`.
    pub fn allows(&self, peer: Address) -> bool {
        let rule = self.0.iter().find(|(block, _)| block.contains(peer));
        rule.map_or_else(|| !denied_everywhere(peer), |(_, allowed)| *allowed)
    }
}

fn denied_everywhere(peer: Address) -> bool {
    match std::net::IpAddr::from(peer) {
        std::net::IpAddr::V4(v4) => {
            v4.octets()[0] == 0 || v4.is_loopback() || v4.is_multicast() || v4.is_broadcast()
        }
        std::net::IpAddr::V6(v6) => v6.is_unspecified() || v6.is_loopback() || v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let mut rules = PeerRules::default();
        rules
            .allow("10.1.0.0/16".parse().unwrap())
            .deny("10.0.0.0/8".parse().unwrap());
        rules.allow("127.0.0.2/32".parse().unwrap());
        for (peer, allowed) in [
            ("10.1.2.3", true),
            ("10.2.3.4", false),
            ("192.168.1.1", true),
            ("127.0.0.1", false),
            ("127.0.0.2", true),
            ("0.1.2.3", false),
            ("224.0.0.251", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("ff02::1", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(rules.allows(peer.parse().unwrap()), allowed, "{peer}");
        }
    }

    #[test]
    fn what_could_not_be_served_is_refused_at_once() {
        let good = TurnConfig::new("realm").with_user("alice", "secret");
        assert_eq!(good.check(), Ok(()));
        let bad: [fn(&mut TurnConfig); 5] = [
            |config| config.realm = "x".repeat(764),
            |config| config.users.push(("x".repeat(514), String::new())),
            |config| config.relay_ports = RangeInclusive::new(2, 1),
            |config| config.relay_ports = 0..=10,
            |config| config.nonce_lifetime = Duration::from_secs(29),
        ];
        for spoil in bad {
            let mut config = good.clone();
            spoil(&mut config);
            assert!(config.check().is_err());
        }
    }
}
