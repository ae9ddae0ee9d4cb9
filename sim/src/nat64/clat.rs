//! The stateless translator on the subscriber's side of 464XLAT (RFC 6877 §6, RFC 7915): hosts and
//! programs that know only IPv4 go on working on a network that has only IPv6.

use super::{ClatConfig, header};
use crate::address::{Address, Endpoint, Family};
use crate::middlebox::{Middlebox, Surroundings, Verdict};
use crate::packet::{Packet, Transport};
use crate::trace::DropReason;

/// A CLAT at work. It remembers nothing.
pub struct Clat {
    config: ClatConfig,
}

impl Clat {
    /// A CLAT.
    pub fn new(config: ClatConfig) -> Self {
        Clat { config }
    }

    /// What it was told to do.
    pub fn config(&self) -> &ClatConfig {
        &self.config
    }

    /// Both endpoints of a packet from inside, or of one that an error from outside quotes, in IPv6.
    fn in_ipv6(&self, own: Endpoint, remote: Endpoint) -> (Endpoint, Endpoint) {
        let ClatConfig {
            source,
            destination,
        } = self.config;
        let in_ipv6 = |prefix: super::Prefix64, endpoint: Endpoint| {
            Endpoint::new(prefix.embed(endpoint.address), endpoint.port)
        };
        (in_ipv6(source, own), in_ipv6(destination, remote))
    }

    fn in_ipv4(&self, own: Endpoint, remote: Endpoint) -> Option<(Endpoint, Endpoint)> {
        let own_address = self.config.source.extract(own.address)?;
        let remote_address = self.config.destination.extract(remote.address)?;
        let own = Endpoint::new(own_address, own.port);
        Some((own, Endpoint::new(remote_address, remote.port)))
    }

    fn refuse(around: &Surroundings<'_>, destination: Address) -> Verdict {
        Verdict::Drop(DropReason::NotTranslatable {
            nat: around.node,
            destination,
        })
    }
}

impl Middlebox for Clat {
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        if packet.source.address.family() == Family::V6 {
            return Verdict::PASS;
        }
        let destination = packet.destination.address;
        if !self.config.destination.may_hold(destination) {
            return Clat::refuse(around, destination);
        }
        if let Transport::IcmpError(error) = &mut packet.transport {
            let (own, remote) = self.in_ipv6(error.quoted_destination, error.quoted_source);
            (error.quoted_destination, error.quoted_source) = (own, remote);
        }
        (packet.source, packet.destination) = self.in_ipv6(packet.source, packet.destination);
        packet.translations = packet.translations.saturating_add(1);
        header::to_ipv6(packet);
        Verdict::PASS
    }

    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        let destination = packet.destination.address;
        if !self.config.source.contains(destination) {
            return Verdict::PASS;
        }
        // An IPv6 host that writes to a CLAT's address has none in IPv4.
        let Some((own, remote)) = self.in_ipv4(packet.destination, packet.source) else {
            return Clat::refuse(around, destination);
        };
        if let Transport::IcmpError(error) = &mut packet.transport {
            let Some(quoted) = self.in_ipv4(error.quoted_source, error.quoted_destination) else {
                return Clat::refuse(around, destination);
            };
            (error.quoted_source, error.quoted_destination) = quoted;
        }
        (packet.destination, packet.source) = (own, remote);
        packet.translations = packet.translations.saturating_add(1);
        header::to_ipv4(packet);
        Verdict::PASS
    }
}
