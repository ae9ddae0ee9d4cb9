//! Mappings of one pair of endpoints each, as Linux connection tracking has them: the external port
//! is picked for the pair, and shared by pairs that differ in the remote endpoint.
//!
//! The port is, in this order: the one that the internal endpoint's newest mapping has, if the NAT
//! is to be endpoint-independent; the internal port, if ports are preserved; another. The first that
//! makes a pair that nobody has is taken. So a lone host reads as endpoint-independent, and a second
//! host with the same port gets another one and keeps it towards all destinations.
//!
//! A packet from outside that belongs to no pair may be the router's own: see [`RouterInput`].

use super::config::{NatConfig, PortAllocation, PortConflict, Refresh, RouterInput};
use super::connections::out_of_state;
use super::pool::{Pool, Refusal};
use super::ports::Wish;
use super::table::{Entry, Kind, Outside};
use super::tcp::{Connection, Side};
use super::{Flow, Nat};
use crate::address::Endpoint;
use crate::behaviour::Mapping;
use crate::engine::Stream;
use crate::middlebox::{Passage, Surroundings};
use crate::packet::{Protocol, TcpFlags};
use crate::time::Time;
use crate::trace::DropReason;

/// How many ports in a row are tried, first and when that was in vain. Linux gives up after as many
/// too, although there may be a free one.
const TRIES: [u32; 4] = [128, 64, 32, 16];

impl Nat {
    /// Finds or makes the mapping for a flow from inside.
    pub(super) fn map_pair(
        &mut self,
        flow: &Flow,
        around: &mut Surroundings<'_>,
    ) -> Result<(Endpoint, Passage), DropReason> {
        let found = self.find(around.now, flow);
        let index = match found {
            Some(index) => index,
            // What is in its middle is taken up there; an end isn't.
            None if Nat::is_reset(flow) => return Err(out_of_state(flow, around)),
            None => self.create_pair(flow, around)?,
        };
        self.refresh_pair(index, flow, Side::Inside, around.now);
        let entry = self.table.get(index);
        let external = Endpoint::new(self.pool.address(entry.place), entry.external_port);
        self.cancel_unsolicited(external, flow);
        let is_new = found.is_none();
        let passage = Passage {
            mapped: is_new,
            opened: is_new,
        };
        Ok((external, passage))
    }

    /// A packet of a pair has passed.
    fn refresh_pair(&mut self, index: u32, flow: &Flow, side: Side, now: Time) {
        let entry = *self.table.get(index);
        if flow.protocol == Protocol::Tcp {
            let (before, flags) = (entry.connection, flow.flags);
            let after = if before == Connection::default() && !flags.contains(TcpFlags::SYN) {
                Connection::PICKED_UP
            } else {
                before.after(side, flags)
            };
            let known = Some(entry.expires);
            let end = self.connection_end(now, side, flags, (before, known), after);
            self.table.get_mut(index).connection = after;
            self.table.set_expires(index, end);
            return;
        }
        if side == Side::Outside && !entry.answered {
            self.answered(index);
        }
        if side == Side::Inside || self.config.refresh != Refresh::Outbound {
            let answered = self.table.get(index).answered;
            let end = now + self.lifetime(flow.protocol, answered);
            self.table.set_expires(index, end);
        }
    }

    fn create_pair(
        &mut self,
        flow: &Flow,
        around: &mut Surroundings<'_>,
    ) -> Result<u32, DropReason> {
        let (internal, protocol) = (flow.internal, flow.protocol);
        self.forget(around.now);
        self.pool
            .refuse_subscriber(protocol, internal.address, self.config.subscriber_limit)
            .map_err(|refusal| Nat::refuse(refusal, internal, around))?;
        self.make_room(internal, around)?;
        let at = self
            .choose(flow, around)
            .ok_or_else(|| Nat::refuse(Refusal::NoPort, internal, around))?;
        self.pool.count(protocol, internal.address);
        let entry = self.entry(flow, at, Kind::Mapping, around.now);
        Ok(self.table.insert(entry))
    }

    fn entry(&self, flow: &Flow, at: Outside, kind: Kind, now: Time) -> Entry {
        Entry {
            internal_address: flow.internal.address,
            remote_address: flow.remote.address,
            expires: now + self.lifetime(flow.protocol, false),
            serial: 0,
            place: at.place,
            internal_port: flow.internal.port,
            remote_port: flow.remote.port,
            external_port: at.port,
            established: 0,
            connection: Connection::default(),
            protocol: flow.protocol,
            kind,
            answered: false,
        }
    }

    /// Picks an external endpoint that makes a pair with the remote one that nobody has.
    fn choose(&mut self, flow: &Flow, around: &mut Surroundings<'_>) -> Option<Outside> {
        let Flow {
            protocol,
            internal,
            remote,
            ..
        } = *flow;
        let now = around.now;
        if self.config.mapping == Mapping::EndpointIndependent
            && let Some(newest) = self.table.newest_of(protocol, internal)
        {
            let newest = self.table.get(newest);
            let at = Outside {
                protocol,
                place: newest.place,
                port: newest.external_port,
            };
            if self.table.inbound(now, at, remote).is_none() {
                return Some(at);
            }
        }
        let pooling = self.config.pooling;
        let place = self
            .pool
            .place_for(internal.address, pooling, around.random)?;
        let range = Pool::range(&self.config, protocol, internal.port);
        let wish = Pool::wish(&self.config, range, internal.port);
        let table = &self.table;
        let is_free = |port| {
            let at = Outside {
                protocol,
                place,
                port,
            };
            table.inbound(now, at, remote).is_none()
        };
        let next = &mut self.next_pair_port;
        let port = search(&self.config, &wish, next, around.random, is_free)?;
        Some(Outside {
            protocol,
            place,
            port,
        })
    }

    /// Finds the pair of a packet from outside, if it has one.
    pub(super) fn admit_pair(
        &mut self,
        at: Outside,
        external: Endpoint,
        mut flow: Flow,
        asks: bool,
        around: &mut Surroundings<'_>,
    ) -> Result<Endpoint, DropReason> {
        let (now, nat, remote) = (around.now, around.node, flow.remote);
        let claimed = DropReason::ClaimedByRouter {
            nat,
            external,
            remote,
        };
        if let Some(index) = self.table.inbound(now, at, remote) {
            let entry = *self.table.get(index);
            if entry.kind == Kind::Claim {
                let end = now + self.lifetime(flow.protocol, false);
                self.table.set_expires(index, end);
                return Err(claimed);
            }
            if !asks {
                flow.internal = entry.internal();
                self.refresh_pair(index, &flow, Side::Outside, now);
                return Ok(flow.internal);
            }
        }
        if self.config.router_input == RouterInput::Accept && !asks {
            self.make_room(external, around)?;
            let entry = self.entry(&flow, at, Kind::Claim, now);
            self.table.insert(entry);
            return Err(claimed);
        }
        let holder = self.table.newest_at(at).map(|index| *self.table.get(index));
        Err(match holder {
            Some(holder) if holder.expires > now && holder.kind != Kind::Claim => {
                DropReason::FilteredByNat {
                    nat,
                    internal: holder.internal(),
                    external,
                    remote,
                    filtering: self.config.filtering,
                }
            }
            _ => DropReason::NoMapping {
                nat,
                external,
                remote,
            },
        })
    }
}

/// Looks for a port that `is_free`, here and there.
fn search(
    config: &NatConfig,
    wish: &Wish,
    next: &mut u16,
    random: &mut Stream,
    is_free: impl Fn(u16) -> bool,
) -> Option<u16> {
    let (internal, range, parity) = (wish.internal, &wish.range, wish.parity);
    let first = parity.first_in(range.clone())?;
    let stride = parity.stride();
    let count = u32::from(range.end() - first) / stride + 1;
    // Ports by number, counted from the first that will do.
    let port = |number: u32| first + ((number % count) * stride) as u16;
    let number = |port: u16| u32::from(port.saturating_sub(first)) / stride;
    let drawn = |random: &mut Stream| random.below(u64::from(count)) as u32;
    let counter = if range.contains(next) { *next } else { first };
    let mut start = match config.ports {
        PortAllocation::Preserving { on_conflict } => {
            let fits = range.contains(&internal) && parity.holds(internal);
            if fits && is_free(internal) {
                return Some(internal);
            }
            match on_conflict {
                PortConflict::NextFree | PortConflict::Takeover if fits => number(internal),
                PortConflict::NextFree | PortConflict::Takeover => 0,
                PortConflict::Sequential => number(counter),
                PortConflict::Random => drawn(random),
            }
        }
        PortAllocation::Sequential { .. } => number(counter),
        PortAllocation::Random => drawn(random),
    };
    for tries in TRIES {
        let mut tried = (start..start + tries.min(count)).map(port);
        if let Some(found) = tried.find(|port| is_free(*port)) {
            let step = match config.ports {
                PortAllocation::Sequential { step } => step,
                _ => 1,
            };
            if wish.counts {
                let ahead = u32::from(found - range.start()) + u32::from(step);
                *next = range.start() + (ahead % range.len() as u32) as u16;
            }
            return Some(found);
        }
        if tries >= count {
            return None;
        }
        start = drawn(random);
    }
    None
}
