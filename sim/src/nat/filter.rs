//! From outside to inside: whose a packet is, and whether it may come in (RFC 4787 §5).

use super::config::Refresh;
use super::memory::{Key, Topic};
use super::table::Outside;
use super::tcp::Side;
use super::{Flow, Nat, flags_of, tcp};
use crate::address::Endpoint;
use crate::behaviour::Filtering;
use crate::middlebox::Surroundings;
use crate::packet::{Packet, Protocol, Transport};
use crate::trace::DropReason;

impl Nat {
    /// Finds the mapping for a packet from `remote` to the external address at `place`, and asks
    /// the filter. Returns the internal endpoint.
    pub(super) fn admit(
        &mut self,
        packet: &Packet,
        place: u32,
        remote: Endpoint,
        around: &mut Surroundings<'_>,
    ) -> Result<Endpoint, DropReason> {
        let external = packet.destination;
        let protocol = packet.transport.protocol();
        let flags = flags_of(&packet.transport);
        if protocol == Protocol::Tcp
            && let Some(why) = tcp::malformed(flags)
        {
            let node = around.node;
            return Err(DropReason::Malformed { node, why });
        }
        let mut flow = Flow {
            protocol,
            internal: external,
            remote,
            flags,
        };
        if let Some(owner) = self.pool.owner(place) {
            flow.internal.address = owner;
            return self.admit_static(&flow, external, around);
        }
        let outside = Outside {
            protocol,
            place,
            port: external.port,
        };
        // An echo request asks the NAT itself, and has no identifier of its in that place.
        let asks = matches!(&packet.transport, Transport::IcmpEcho(echo) if !echo.is_reply);
        if self.tracks_pairs() {
            return self.admit_pair(outside, external, flow, asks, around);
        }
        let now = around.now;
        let found = self.table.inbound(now, outside, remote).filter(|_| !asks);
        let Some(index) = found else {
            return Err(DropReason::NoMapping {
                nat: around.node,
                external,
                remote,
            });
        };
        let entry = *self.table.get(index);
        flow.internal = entry.internal();
        let (owner, filtering) = (self.owner(&entry), self.filtering(&entry));
        let refreshes = self.config.refresh != Refresh::Outbound;
        if !self.passes(&flow, owner, filtering, around) {
            if self.config.refresh == Refresh::RefusedToo {
                let expires = now + self.lifetime(protocol, entry.answered);
                self.table.set_expires(index, expires.max(entry.expires));
            }
            return Err(DropReason::FilteredByNat {
                nat: around.node,
                internal: flow.internal,
                external,
                remote,
                filtering,
            });
        }
        if protocol == Protocol::Tcp {
            self.follow(Side::Outside, &flow, Some(index), around)?;
        } else {
            if !entry.answered {
                self.answered(index);
            }
            if refreshes {
                let expires = now + self.lifetime(protocol, true);
                self.table.set_expires(index, expires);
            }
        }
        if entry.remote_key() != self.mapping_of(protocol).key(remote) {
            self.strangers.note(&flow, outside);
        }
        Ok(flow.internal)
    }

    fn admit_static(
        &mut self,
        flow: &Flow,
        external: Endpoint,
        around: &mut Surroundings<'_>,
    ) -> Result<Endpoint, DropReason> {
        let filtering = self.config.filtering;
        if !self.passes(flow, flow.internal, filtering, around) {
            return Err(DropReason::FilteredByNat {
                nat: around.node,
                internal: flow.internal,
                external,
                remote: flow.remote,
                filtering,
            });
        }
        if flow.protocol == Protocol::Tcp {
            self.follow(Side::Outside, flow, None, around)?;
        }
        Ok(flow.internal)
    }

    /// Whether the filter lets a packet from outside in. Refreshes what the filter remembers, if
    /// packets from outside do that.
    #[inline]
    fn passes(
        &mut self,
        flow: &Flow,
        owner: Endpoint,
        filtering: Filtering,
        around: &Surroundings<'_>,
    ) -> bool {
        if filtering == Filtering::EndpointIndependent {
            return true;
        }
        let key = Key {
            topic: Topic::Pinhole(flow.protocol),
            owner,
            remote: filtering.key(flow.remote),
        };
        let Some(place) = self.memory.alive(around.now, key) else {
            return false;
        };
        if flow.protocol == Protocol::Tcp {
            return true;
        }
        let mut expires = self.memory.get_mut(place).expires;
        if !std::mem::replace(&mut self.memory.get_mut(place).answered, true) {
            expires += self.longer_if_answered(flow.protocol);
        }
        if self.config.refresh != Refresh::Outbound {
            expires = around.now + self.lifetime(flow.protocol, true);
        }
        self.memory.set_expires(place, expires);
        true
    }

    /// The first packet has come back through a mapping.
    pub(super) fn answered(&mut self, index: u32) {
        let longer = self.longer_if_answered(self.table.get(index).protocol);
        let entry = self.table.get_mut(index);
        entry.answered = true;
        entry.expires += longer;
    }

    /// How much longer than others those live that were answered.
    fn longer_if_answered(&self, protocol: Protocol) -> std::time::Duration {
        let (unanswered, answered) = (
            self.lifetime(protocol, false),
            self.lifetime(protocol, true),
        );
        answered.saturating_sub(unanswered)
    }
}
