//! Network address translation, in RFC 4787's own words: mapping, filtering, port allocation,
//! lifetimes, hairpinning, each independent of the others.
//!
//! A NAT translates the address family of its external addresses and lets the other pass. It knows
//! UDP and ICMP errors about UDP. It doesn't look into payloads.

mod config;
mod ports;
mod table;

pub use config::{
    Capacity, ChangeOfMind, Conflict, FilterMemory, Fragments, Hairpinning, IcmpErrors, NatConfig,
    Pooling, PortAllocation, PortBlocks, PortConflict, PortOverloading, Refresh, RouterInput,
    TooBig, UnsolicitedSyn, WhenFull,
};
pub use table::MappingEntry;

use ports::PortPicker;
use table::Table;

use crate::address::{Address, Endpoint};
use crate::middlebox::{Middlebox, Passage, Surroundings, Verdict};
use crate::packet::{Packet, Transport};
use crate::time::Time;
use crate::trace::DropReason;

/// A NAT at work.
pub struct Nat {
    config: NatConfig,
    /// External addresses, each with its port picker.
    pool: Vec<(Address, PortPicker)>,
    /// Which external address each internal address uses: paired pooling (REQ-2).
    paired: Vec<(Address, usize)>,
    table: Table,
}

impl Nat {
    /// A NAT with these external addresses.
    pub fn new(config: NatConfig, external: impl IntoIterator<Item = Address>) -> Self {
        let picker = || PortPicker::new(config.ports, config.port_range.clone());
        let pool = external
            .into_iter()
            .map(|address| (address, picker()))
            .collect();
        Nat {
            config,
            pool,
            paired: Vec::new(),
            table: Table::default(),
        }
    }

    /// What it was told to do.
    pub fn config(&self) -> &NatConfig {
        &self.config
    }

    /// The mappings alive at `now`, in no particular order.
    pub fn mappings(&self, now: Time) -> impl Iterator<Item = &MappingEntry> {
        self.table.mappings(now)
    }

    fn is_external(&self, address: Address) -> bool {
        self.pool.iter().any(|(external, _)| *external == address)
    }

    /// Whether packets from this internal address are translated: those of the pool's family are.
    fn translates(&self, address: Address) -> bool {
        self.pool
            .iter()
            .any(|(external, _)| external.family() == address.family())
    }

    /// Whose memory decides about packets from outside to this mapping.
    fn memory(&self, mapping: &MappingEntry) -> Endpoint {
        match self.config.filter_memory {
            FilterMemory::InternalEndpoint => mapping.internal,
            FilterMemory::Mapping => mapping.external,
        }
    }

    /// Finds or makes the mapping for a packet from `internal` to `remote`, refreshes it, and opens
    /// the filter for answers.
    fn map(
        &mut self,
        internal: Endpoint,
        remote: Endpoint,
        around: &mut Surroundings<'_>,
    ) -> Result<(Endpoint, Passage), DropReason> {
        let now = around.now;
        let expires = now + self.config.lifetimes.udp;
        let remote_key = self.config.mapping.key(remote);
        let (mapping, mapped) = match self.table.outbound(now, internal, remote_key) {
            Some(mapping) => {
                mapping.expires = expires;
                (*mapping, false)
            }
            None => {
                let external = self.allocate(internal, around)?;
                let mapping = MappingEntry {
                    internal,
                    external,
                    remote_key,
                    expires,
                };
                self.table.insert(now, mapping);
                (mapping, true)
            }
        };
        let key = (self.memory(&mapping), self.config.filtering.key(remote));
        let opened = self.table.open(now, key, expires);
        Ok((mapping.external, Passage { mapped, opened }))
    }

    fn allocate(
        &mut self,
        internal: Endpoint,
        around: &mut Surroundings<'_>,
    ) -> Result<Endpoint, DropReason> {
        let place = self.paired_with(internal.address);
        let (address, picker) = &mut self.pool[place];
        let is_free = |port| {
            self.table
                .is_free(around.now, Endpoint::new(*address, port))
        };
        match picker.pick(internal.port, around.random, is_free) {
            Some(port) => Ok(Endpoint::new(*address, port)),
            None => Err(DropReason::NoFreePort {
                nat: around.node,
                internal,
            }),
        }
    }

    /// The place in the pool of the external address that serves this internal address: the pool's
    /// addresses of its family in turn, as internal addresses show up.
    fn paired_with(&mut self, internal: Address) -> usize {
        if self.pool.len() == 1 {
            return 0;
        }
        if let Some((_, place)) = self.paired.iter().find(|(known, _)| *known == internal) {
            return *place;
        }
        let family = internal.family();
        let in_use = |(known, _): &&(Address, usize)| known.family() == family;
        let turn = self.paired.iter().filter(in_use).count();
        let places = || {
            let pool = self.pool.iter().enumerate();
            pool.filter(|(_, (address, _))| address.family() == family)
        };
        let (place, _) = places()
            .nth(turn % places().count())
            .expect("only packets of the pool's families are translated");
        self.paired.push((internal, place));
        place
    }

    /// Finds the mapping for a packet from `remote` to `external` and asks the filter. Returns the
    /// internal endpoint.
    fn admit(
        &mut self,
        external: Endpoint,
        remote: Endpoint,
        around: &Surroundings<'_>,
    ) -> Result<Endpoint, DropReason> {
        let (now, nat) = (around.now, around.node);
        let Some(mapping) = self.table.inbound(now, external).copied() else {
            return Err(DropReason::NoMapping {
                nat,
                external,
                remote,
            });
        };
        let filtering = self.config.filtering;
        let key = (self.memory(&mapping), filtering.key(remote));
        let expires = now + self.config.lifetimes.udp;
        let refreshes = self.config.refresh == Refresh::BothWays;
        match self.table.pinhole(now, key) {
            Some(closes) if refreshes => *closes = expires,
            Some(_) => {}
            None if filtering == crate::Filtering::EndpointIndependent => {}
            None => {
                let internal = mapping.internal;
                return Err(DropReason::FilteredByNat {
                    nat,
                    internal,
                    external,
                    remote,
                    filtering,
                });
            }
        }
        if refreshes && let Some(mapping) = self.table.inbound(now, external) {
            mapping.expires = expires;
        }
        Ok(mapping.internal)
    }

    /// An ICMP error that goes out, about a packet that came in: the quoted destination is the
    /// internal endpoint, and what the outside knows is its external one. Refreshes nothing
    /// (RFC 7857 §7).
    fn error_outbound(&mut self, packet: &mut Packet, around: &Surroundings<'_>) -> Verdict {
        let Transport::IcmpError(error) = &mut packet.transport else {
            return Verdict::PASS;
        };
        let internal = error.quoted_destination;
        let remote_key = self.config.mapping.key(error.quoted_source);
        let Some(mapping) = self.table.outbound(around.now, internal, remote_key) else {
            let (external, remote) = (internal, error.quoted_source);
            return Verdict::Drop(DropReason::NoMapping {
                nat: around.node,
                external,
                remote,
            });
        };
        error.quoted_destination = mapping.external;
        packet.source = mapping.external.without_port();
        packet.translations += 1;
        if !self.is_external(packet.destination.address) {
            return Verdict::PASS;
        }
        // About a packet that was hairpinned: the error is too (RFC 5508 REQ-7).
        match self.error_inbound(packet, around) {
            Verdict::Forward(passage) => Verdict::Hairpin(passage),
            other => other,
        }
    }

    /// An ICMP error that comes in, about a packet that went out. It passes whoever sent it
    /// (REQ-12), if the mapping it speaks of exists, and ends or refreshes nothing.
    fn error_inbound(&mut self, packet: &mut Packet, around: &Surroundings<'_>) -> Verdict {
        let remote = packet.source;
        let Transport::IcmpError(error) = &mut packet.transport else {
            return Verdict::PASS;
        };
        let external = error.quoted_source;
        let Some(mapping) = self.table.inbound(around.now, external) else {
            return Verdict::Drop(DropReason::NoMapping {
                nat: around.node,
                external,
                remote,
            });
        };
        error.quoted_source = mapping.internal;
        packet.destination = mapping.internal.without_port();
        packet.translations += 1;
        Verdict::PASS
    }

    fn hairpin(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        if self.config.hairpinning == Hairpinning::Off {
            let external = packet.destination;
            return Verdict::Drop(DropReason::HairpinningOff {
                nat: around.node,
                external,
            });
        }
        let turned = self
            .map(packet.source, packet.destination, around)
            .and_then(|(source, passage)| {
                let internal = self.admit(packet.destination, source, around)?;
                Ok((source, internal, passage))
            });
        match turned {
            Ok((source, internal, passage)) => {
                packet.source = source;
                packet.destination = internal;
                packet.translations += 1;
                Verdict::Hairpin(passage)
            }
            Err(drop) => Verdict::Drop(drop),
        }
    }
}

impl Middlebox for Nat {
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        if !self.translates(packet.source.address) {
            return Verdict::PASS;
        }
        if packet.transport != Transport::Udp {
            return self.error_outbound(packet, around);
        }
        if self.is_external(packet.destination.address) {
            return self.hairpin(packet, around);
        }
        match self.map(packet.source, packet.destination, around) {
            Ok((external, passage)) => {
                packet.source = external;
                packet.translations += 1;
                Verdict::Forward(passage)
            }
            Err(drop) => Verdict::Drop(drop),
        }
    }

    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        if !self.is_external(packet.destination.address) {
            return Verdict::PASS;
        }
        if packet.transport != Transport::Udp {
            return self.error_inbound(packet, around);
        }
        match self.admit(packet.destination, packet.source, around) {
            Ok(internal) => {
                packet.destination = internal;
                packet.translations += 1;
                Verdict::PASS
            }
            Err(drop) => Verdict::Drop(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Stream;
    use crate::id::NodeId;
    use crate::packet::Payload;
    use crate::{Family, Filtering, Mapping};

    fn nat(external: &[&str]) -> Nat {
        let config = NatConfig::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
        Nat::new(config, external.iter().map(|text| text.parse().unwrap()))
    }

    fn packet(source: &str, destination: &str) -> Packet {
        let payload = Payload::Bytes(Vec::new());
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        Packet::new(source, destination, Transport::Udp, payload, NodeId(0))
    }

    /// The packet as it leaves the NAT, if it does.
    fn out(nat: &mut Nat, mut packet: Packet) -> Option<Packet> {
        let mut around = Surroundings {
            now: Time::ZERO,
            node: NodeId(1),
            random: &mut Stream::new(1, "nat"),
        };
        match nat.outbound(&mut packet, &mut around) {
            Verdict::Forward(_) => Some(packet),
            _ => None,
        }
    }

    #[test]
    fn a_pool_of_both_families_never_mixes_them() {
        let mut nat = nat(&["203.0.113.1", "2001:db8::1", "203.0.113.2"]);
        let mut seen = Vec::new();
        for n in 2..6 {
            let v4 = packet(&format!("192.168.1.{n}:5000"), "192.0.2.1:9");
            seen.push(out(&mut nat, v4).unwrap().source.to_string());
            let v6 = packet(&format!("[fd00::{n}]:5000"), "[2001:db8:1::1]:9");
            let source = out(&mut nat, v6).unwrap().source;
            assert_eq!(source.address.family(), Family::V6);
        }
        let (one, two) = ("203.0.113.1", "203.0.113.2");
        let expected = [
            format!("{one}:5000"),
            format!("{two}:5000"),
            format!("{one}:5001"),
            format!("{two}:5001"),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_family_that_the_nat_has_no_address_of_passes_untranslated() {
        let mut nat = nat(&["203.0.113.1"]);
        let v6 = packet("[2001:db8:1::2]:5000", "[2001:db8:2::1]:9");
        let left = out(&mut nat, v6).unwrap();
        assert_eq!(left.source.to_string(), "[2001:db8:1::2]:5000");
        assert_eq!(left.translations, 0);
        assert_eq!(nat.mappings(Time::ZERO).count(), 0);
    }

    #[test]
    fn translation_is_counted_and_nothing_but_the_source_changes() {
        let mut nat = nat(&["203.0.113.1"]);
        let sent = packet("192.168.1.2:5000", "192.0.2.1:9");
        let left = out(&mut nat, sent.clone()).unwrap();
        assert_eq!(left.source.to_string(), "203.0.113.1:5000");
        assert_eq!((left.destination, left.translations), (sent.destination, 1));
        assert_eq!(left.hop_limit, sent.hop_limit, "that is the router's part");
    }
}
