//! From inside to outside: which mapping a packet gets (RFC 4787 §4), and whether there is one left.

use super::config::{
    Conflict, FilterMemory, PortAllocation, PortConflict, PortOverloading, WhenFull,
};
use super::memory::{Key, Topic};
use super::pool::{Pool, Refusal};
use super::table::{Entry, Kind, Outside};
use super::tcp::{Connection, Side};
use super::{Flow, Nat};
use crate::address::{Address, Endpoint};
use crate::behaviour::{Filtering, Mapping};
use crate::middlebox::{Passage, Surroundings};
use crate::packet::{Protocol, TcpFlags};
use crate::time::Time;
use crate::trace::DropReason;

impl Nat {
    /// Finds or makes the mapping for a flow from inside, refreshes it, and opens the filter for
    /// answers. Returns the external endpoint.
    pub(super) fn map(
        &mut self,
        flow: &Flow,
        around: &mut Surroundings<'_>,
    ) -> Result<(Endpoint, Passage), DropReason> {
        if let Some(place) = self.pool.own_place(flow.internal.address) {
            return self.map_static(flow, place, around);
        }
        if self.tracks_pairs() {
            return self.map_pair(flow, around);
        }
        let now = around.now;
        let (index, mapped) = match self.find(now, flow) {
            Some(index) => (index, false),
            None => {
                self.may_begin(flow, around)?;
                (self.create(flow, around)?, true)
            }
        };
        let entry = *self.table.get(index);
        let external = Endpoint::new(self.pool.address(entry.place), entry.external_port);
        let (owner, filtering) = (self.owner(&entry), self.filtering(&entry));
        let opened = if flow.protocol == Protocol::Tcp {
            self.follow(Side::Inside, flow, Some(index), around)?;
            self.open(now, flow, owner, filtering, mapped)
        } else {
            let expires = now + self.lifetime(flow.protocol, entry.answered);
            self.table.set_expires(index, expires);
            self.open(now, flow, owner, filtering, mapped)
        };
        if self.config.port_overloading == PortOverloading::Always {
            self.table.receive(index);
        }
        self.cancel_unsolicited(external, flow);
        Ok((external, Passage { mapped, opened }))
    }

    /// From an internal address that has an external one to itself: there is nothing to map.
    fn map_static(
        &mut self,
        flow: &Flow,
        place: u32,
        around: &mut Surroundings<'_>,
    ) -> Result<(Endpoint, Passage), DropReason> {
        if flow.protocol == Protocol::Tcp {
            self.follow(Side::Inside, flow, None, around)?;
        }
        let external = Endpoint::new(self.pool.address(place), flow.internal.port);
        let (filtering, mapped) = (self.config.filtering, false);
        let opened = self.open(around.now, flow, flow.internal, filtering, mapped);
        self.cancel_unsolicited(external, flow);
        Ok((external, Passage { mapped, opened }))
    }

    /// The live mapping that a flow from inside uses.
    #[inline]
    pub(super) fn find(&self, now: Time, flow: &Flow) -> Option<u32> {
        let Flow {
            protocol,
            internal,
            remote,
            ..
        } = *flow;
        let find = |mapping: Mapping| {
            self.table
                .outbound(now, protocol, internal, mapping.key(remote))
        };
        if self.tracks_pairs() {
            return find(Mapping::AddressAndPortDependent);
        }
        let known = find(self.mapping_of(protocol));
        match self.config.change_of_mind {
            Some(change) if known.is_none() => find(change.mapping),
            _ => known,
        }
    }

    /// The mapping behaviour is UDP's and TCP's. An ICMP query's mapping serves every destination
    /// (RFC 5508 §3.1).
    pub(super) fn mapping_of(&self, protocol: Protocol) -> Mapping {
        match protocol {
            Protocol::Udp | Protocol::Tcp => self.config.mapping,
            Protocol::Icmp => Mapping::EndpointIndependent,
        }
    }

    /// Whose memory decides about packets from outside to this mapping.
    #[inline]
    pub(super) fn owner(&self, entry: &Entry) -> Endpoint {
        match self.config.filter_memory {
            FilterMemory::InternalEndpoint => entry.internal(),
            // Nobody has an address like that.
            FilterMemory::Mapping => Endpoint::new(Address::UNSPECIFIED.plus(entry.serial), 0),
        }
    }

    #[inline]
    pub(super) fn filtering(&self, entry: &Entry) -> Filtering {
        match (entry.kind, self.config.change_of_mind) {
            (Kind::Changed, Some(change)) => change.filtering,
            _ => self.config.filtering,
        }
    }

    /// Opens or refreshes the pinhole for answers to a flow from inside. Returns whether it was
    /// closed before.
    #[inline]
    fn open(
        &mut self,
        now: Time,
        flow: &Flow,
        owner: Endpoint,
        filtering: Filtering,
        mapped: bool,
    ) -> bool {
        if filtering == Filtering::EndpointIndependent {
            // Open to all as long as there is a mapping: nothing to remember.
            return mapped;
        }
        let key = Key {
            topic: Topic::Pinhole(flow.protocol),
            owner,
            remote: filtering.key(flow.remote),
        };
        let opened = if flow.protocol == Protocol::Tcp {
            self.open_tcp(now, flow, key, filtering)
        } else {
            let answered = self.lifetime(flow.protocol, true);
            let unanswered = self.lifetime(flow.protocol, false);
            self.memory.remember(now, key, |has_answer, _| {
                now + if has_answer { answered } else { unanswered }
            })
        };
        if opened {
            self.forget(now);
        }
        opened
    }

    /// Clears away what is dead.
    pub(super) fn forget(&mut self, now: Time) {
        while let Some(dead) = self.memory.pop_dead(now) {
            self.connection_lost(now, &dead);
        }
        self.pool.wake_ports(now, &self.config);
        while let Some(dead) = self.table.pop_dead(now) {
            self.release(&dead, dead.expires);
        }
        // Those of them whose rest is over too.
        self.pool.wake_ports(now, &self.config);
    }

    /// Gives back what a mapping had that ended at `end`.
    pub(super) fn release(&mut self, entry: &Entry, end: Time) {
        if entry.kind == Kind::Claim {
            return;
        }
        self.pool.discount(entry.protocol, entry.internal_address);
        if self.config.port_overloading != PortOverloading::Never {
            return;
        }
        let at = Outside {
            protocol: entry.protocol,
            place: entry.place,
            port: entry.external_port,
        };
        let rest = self.config.port_rest;
        let rests_until = (!rest.is_zero()).then(|| end + rest);
        self.pool
            .give_back(at, entry.internal_address, rests_until, &self.config);
    }

    /// Makes room for an entry.
    pub(super) fn make_room(
        &mut self,
        internal: Endpoint,
        around: &Surroundings<'_>,
    ) -> Result<(), DropReason> {
        self.forget(around.now);
        let Some(capacity) = self.config.capacity else {
            return Ok(());
        };
        if self.table.len() < capacity.mappings as usize {
            return Ok(());
        }
        if capacity.when_full == WhenFull::EvictOldest
            && let Some(evicted) = self.table.pop_oldest()
        {
            self.release(&evicted, around.now);
            return Ok(());
        }
        Err(DropReason::TableFull {
            node: around.node,
            internal,
            limit: capacity.mappings,
        })
    }

    /// Says no.
    pub(super) fn refuse(
        refusal: Refusal,
        internal: Endpoint,
        around: &Surroundings<'_>,
    ) -> DropReason {
        let nat = around.node;
        match refusal {
            Refusal::NoPort => DropReason::NoFreePort { nat, internal },
            Refusal::Limit(limit) => DropReason::SubscriberLimit {
                nat,
                internal,
                limit,
            },
        }
    }

    /// Makes a mapping.
    fn create(&mut self, flow: &Flow, around: &mut Surroundings<'_>) -> Result<u32, DropReason> {
        let (internal, protocol) = (flow.internal, flow.protocol);
        self.forget(around.now);
        self.pool
            .refuse_subscriber(protocol, internal.address, self.config.subscriber_limit)
            .map_err(|refusal| Nat::refuse(refusal, internal, around))?;
        self.make_room(internal, around)?;
        let place = self
            .pool
            .place_for(internal.address, self.config.pooling, around.random)
            .ok_or_else(|| Nat::refuse(Refusal::NoPort, internal, around))?;
        let changed = self.changes_its_mind(flow, place);
        let at = self
            .allocate(flow, place, around)
            .map_err(|refusal| Nat::refuse(refusal, internal, around))?;
        self.pool.count(protocol, internal.address);
        let mapping = match self.config.change_of_mind {
            Some(change) if changed => change.mapping,
            _ => self.mapping_of(protocol),
        };
        let remote_key = mapping.key(flow.remote);
        let expires = around.now + self.lifetime(protocol, false);
        Ok(self.table.insert(Entry {
            internal_address: internal.address,
            remote_address: remote_key.address,
            expires,
            serial: 0,
            place: at.place,
            internal_port: internal.port,
            remote_port: remote_key.port,
            external_port: at.port,
            established: 0,
            connection: Connection::default(),
            protocol,
            kind: if changed {
                Kind::Changed
            } else {
                Kind::Mapping
            },
            answered: false,
        }))
    }

    /// Whether a new mapping is of the other kind (RFC 4787 REQ-11 broken).
    fn changes_its_mind(&self, flow: &Flow, place: u32) -> bool {
        let Some(change) = self.config.change_of_mind else {
            return false;
        };
        if flow.protocol == Protocol::Icmp {
            return false;
        }
        match change.when {
            Conflict::Mappings(most) => self.table.len() >= most as usize,
            Conflict::PortTaken => {
                let wanted = Outside {
                    protocol: flow.protocol,
                    place,
                    port: flow.internal.port,
                };
                !self.pool.is_free(wanted)
            }
        }
    }

    fn allocate(
        &mut self,
        flow: &Flow,
        place: u32,
        around: &mut Surroundings<'_>,
    ) -> Result<Outside, Refusal> {
        let Flow {
            protocol, internal, ..
        } = *flow;
        let wanted = Outside {
            protocol,
            place,
            port: internal.port,
        };
        if self.config.port_overloading == PortOverloading::Always {
            return Ok(wanted);
        }
        if self.config.port_contiguity
            && let Some(next) = self.next_to_its_neighbour(flow, around.now)
        {
            let range = Pool::range(&self.config, protocol, internal.port);
            if self
                .pool
                .take_this(&self.config, internal.address, &range, next)
            {
                return Ok(next);
            }
        }
        let takeover = PortAllocation::Preserving {
            on_conflict: PortConflict::Takeover,
        };
        if self.config.ports == takeover
            && Pool::range(&self.config, protocol, internal.port).contains(&internal.port)
            && let Some(holder) = self
                .table
                .inbound(around.now, wanted, Endpoint::UNSPECIFIED)
        {
            let robbed = self.table.remove(holder);
            self.pool.discount(protocol, robbed.internal_address);
            // It doesn't rest: that is the fault.
            self.pool
                .give_back(wanted, robbed.internal_address, None, &self.config);
        }
        self.pool
            .take(&self.config, protocol, internal, place, around.random)
    }

    /// The external port that follows the one of the internal port before this one.
    fn next_to_its_neighbour(&self, flow: &Flow, now: Time) -> Option<Outside> {
        let before = Flow {
            internal: Endpoint::new(flow.internal.address, flow.internal.port.checked_sub(1)?),
            ..*flow
        };
        let neighbour = self.table.get(self.find(now, &before)?);
        Some(Outside {
            protocol: flow.protocol,
            place: neighbour.place,
            port: neighbour.external_port.checked_add(1)?,
        })
    }

    /// Whether a reset that goes out: it refreshes nothing (RFC 7857 §7.1).
    pub(super) fn is_reset(flow: &Flow) -> bool {
        flow.flags.contains(TcpFlags::RST)
    }
}
