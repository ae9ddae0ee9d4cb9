//! External addresses and their ports, and which internal address gets what of them (RFC 4787
//! REQ-2, RFC 6888 REQ-4, RFC 7857 §4).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::ops::RangeInclusive;

use rustc_hash::FxBuildHasher;

use super::blocks::{Block, Blocks};
use super::config::{NatConfig, Pooling};
use super::ports::{Ports, WELL_KNOWN, Wish};
use super::portset::Parity;
use super::table::Outside;
use crate::address::{Address, Endpoint, Family};
use crate::engine::Stream;
use crate::packet::Protocol;
use crate::time::Time;

/// Why a mapping gets no port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// There is none.
    NoPort,
    /// The subscriber has all that it may have.
    Limit(u32),
}

/// One external address.
struct Place {
    address: Address,
    /// Whom it belongs to, if that is one internal address alone.
    owner: Option<Address>,
    /// By protocol.
    ports: [Ports; 3],
    blocks: Blocks,
}

/// What is kept about an internal address.
struct Subscriber {
    place: u32,
    /// How many mappings it has, by protocol.
    mappings: [u32; 3],
    blocks: Vec<Block>,
}

/// A port that rests, and whose it was.
type Resting = (Time, u32, u16, Protocol, Address);

pub(super) struct Pool {
    places: Vec<Place>,
    /// Places by address, where there are several.
    by_address: HashMap<Address, u32, FxBuildHasher>,
    /// Internal addresses that have a place to themselves.
    owners: HashMap<Address, u32, FxBuildHasher>,
    /// The places that all others share, by family.
    shared: [Vec<u32>; 2],
    /// How many internal addresses were given a place so far, by family.
    turns: [usize; 2],
    subscribers: HashMap<Address, Subscriber, FxBuildHasher>,
    /// Whether anything is to be remembered of subscribers.
    has_subscribers: bool,
    resting: BinaryHeap<Reverse<Resting>>,
}

fn family(address: Address) -> usize {
    match address.family() {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

impl Pool {
    pub(super) fn new(config: &NatConfig, external: impl IntoIterator<Item = Address>) -> Self {
        let owner = |address| {
            let mut pairs = config.static_addresses.iter();
            pairs
                .find(|(_, external)| *external == address)
                .map(|pair| pair.0)
        };
        let places: Vec<_> = external
            .into_iter()
            .map(|address| Place {
                address,
                owner: owner(address),
                ports: Default::default(),
                blocks: Blocks::default(),
            })
            .collect();
        let mut pool = Pool {
            by_address: HashMap::default(),
            owners: HashMap::default(),
            shared: Default::default(),
            turns: [0; 2],
            subscribers: HashMap::default(),
            has_subscribers: places.len() > 1
                || config.subscriber_limit.is_some()
                || config.port_blocks.is_some(),
            resting: BinaryHeap::new(),
            places,
        };
        for (index, place) in pool.places.iter().enumerate() {
            let index = index as u32;
            if pool.places.len() > 1 {
                pool.by_address.insert(place.address, index);
            }
            match place.owner {
                Some(owner) => drop(pool.owners.insert(owner, index)),
                None => pool.shared[family(place.address)].push(index),
            }
        }
        pool
    }

    /// The external addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.places.iter().map(|place| place.address)
    }

    pub(super) fn address(&self, place: u32) -> Address {
        self.places[place as usize].address
    }

    /// The place of an external address.
    #[inline]
    pub(super) fn place_of(&self, address: Address) -> Option<u32> {
        if let [only] = &*self.places {
            return (only.address == address).then_some(0);
        }
        self.by_address.get(&address).copied()
    }

    /// Whether packets from this internal address are translated: those of the pool's families are.
    #[inline]
    pub(super) fn translates(&self, address: Address) -> bool {
        match &*self.places {
            [only] => only.address.family() == address.family(),
            _ => !self.shared[family(address)].is_empty() || self.owners.contains_key(&address),
        }
    }

    /// The place that an internal address has to itself.
    #[inline]
    pub(super) fn own_place(&self, internal: Address) -> Option<u32> {
        if self.owners.is_empty() {
            return None;
        }
        self.owners.get(&internal).copied()
    }

    /// The internal address that has a place to itself.
    #[inline]
    pub(super) fn owner(&self, place: u32) -> Option<Address> {
        self.places[place as usize].owner
    }

    /// The place that serves an internal address: paired, the shared ones of its family in turn, as
    /// internal addresses show up; arbitrary, any.
    pub(super) fn place_for(
        &mut self,
        internal: Address,
        pooling: Pooling,
        random: &mut Stream,
    ) -> Option<u32> {
        let family = family(internal);
        let shared = &self.shared[family];
        if !self.has_subscribers {
            return shared.first().copied();
        }
        if shared.is_empty() {
            return None;
        }
        let subscriber = self.subscribers.entry(internal).or_insert_with(|| {
            let turn = self.turns[family];
            self.turns[family] += 1;
            Subscriber {
                place: shared[turn % shared.len()],
                mappings: [0; 3],
                blocks: Vec::new(),
            }
        });
        match pooling {
            Pooling::Paired => Some(subscriber.place),
            Pooling::Arbitrary => {
                let drawn = random.below(shared.len() as u64);
                Some(shared[drawn as usize])
            }
        }
    }

    /// The shared places of a family after this one, which comes last: where else a mapping may
    /// find a port.
    fn others(&self, internal: Address, place: u32) -> impl Iterator<Item = u32> + use<> {
        let shared = self.shared[family(internal)].clone();
        let at = shared.iter().position(|other| *other == place).unwrap_or(0);
        (1..shared.len()).map(move |n| shared[(at + n) % shared.len()])
    }

    /// Whether an internal address may have one more mapping.
    pub(super) fn refuse_subscriber(
        &self,
        protocol: Protocol,
        internal: Address,
        limit: Option<u32>,
    ) -> Result<(), Refusal> {
        let Some(limit) = limit else { return Ok(()) };
        let has = self
            .subscribers
            .get(&internal)
            .map_or(0, |subscriber| subscriber.mappings[protocol as usize]);
        match has < limit {
            true => Ok(()),
            false => Err(Refusal::Limit(limit)),
        }
    }

    /// Whether a port is free.
    pub(super) fn is_free(&self, at: Outside) -> bool {
        let place = &self.places[at.place as usize];
        !place.ports[at.protocol as usize].taken.contains(at.port)
    }

    /// The ports that may be given out for an internal one.
    pub(super) fn range(
        config: &NatConfig,
        protocol: Protocol,
        internal: u16,
    ) -> RangeInclusive<u16> {
        match protocol {
            // Identifiers know no ranges.
            Protocol::Icmp => 0..=u16::MAX,
            _ if WELL_KNOWN.contains(&internal) => WELL_KNOWN,
            _ => config.port_range.clone(),
        }
    }

    pub(super) fn wish(config: &NatConfig, range: RangeInclusive<u16>, internal: u16) -> Wish {
        Wish {
            internal,
            counts: range != WELL_KNOWN,
            range,
            parity: match config.port_parity {
                true => Parity::of(internal),
                false => Parity::Any,
            },
        }
    }

    /// Gives out a port of a place, or of another one if any will do.
    pub(super) fn take(
        &mut self,
        config: &NatConfig,
        protocol: Protocol,
        internal: Endpoint,
        place: u32,
        random: &mut Stream,
    ) -> Result<Outside, Refusal> {
        let first = self.take_at(config, protocol, internal, place, random);
        if first.is_ok() || config.pooling == Pooling::Paired {
            return first;
        }
        for other in self.others(internal.address, place) {
            let next = self.take_at(config, protocol, internal, other, random);
            if next.is_ok() {
                return next;
            }
        }
        first
    }

    fn take_at(
        &mut self,
        config: &NatConfig,
        protocol: Protocol,
        internal: Endpoint,
        place: u32,
        random: &mut Stream,
    ) -> Result<Outside, Refusal> {
        if config.port_blocks.is_some() {
            return self.take_of_blocks(config, protocol, internal, place, random);
        }
        let range = Pool::range(config, protocol, internal.port);
        let wish = Pool::wish(config, range, internal.port);
        let ports = &mut self.places[place as usize].ports[protocol as usize];
        let port = ports.pick(config.ports, &wish, random);
        let port = port.ok_or(Refusal::NoPort)?;
        let at = Outside {
            protocol,
            place,
            port,
        };
        self.hold(at);
        Ok(at)
    }

    /// The blocks that the subscriber has come first, then a new one.
    fn take_of_blocks(
        &mut self,
        config: &NatConfig,
        protocol: Protocol,
        internal: Endpoint,
        place: u32,
        random: &mut Stream,
    ) -> Result<Outside, Refusal> {
        let blocks = config.port_blocks.expect("ports are given out in blocks");
        let subscriber = self.subscribers.get_mut(&internal.address);
        let subscriber = subscriber.expect("it was given a place");
        let mut number = 0;
        let port = loop {
            if number == subscriber.blocks.len() {
                if number >= usize::from(blocks.most) {
                    let most = u32::from(blocks.most) * u32::from(blocks.size);
                    return Err(Refusal::Limit(most));
                }
                let new = &mut self.places[place as usize].blocks;
                let new = new.take(place, blocks, &config.port_range);
                subscriber.blocks.push(new.ok_or(Refusal::NoPort)?);
            }
            let block = &mut subscriber.blocks[number];
            let range = block.ports(blocks, &config.port_range);
            let wish = Pool::wish(config, range, internal.port);
            let ports = &mut self.places[block.place as usize].ports[protocol as usize];
            if let Some(port) = ports.pick(config.ports, &wish, random) {
                block.used += 1;
                break Outside {
                    protocol,
                    place: block.place,
                    port,
                };
            }
            number += 1;
        };
        self.hold(port);
        Ok(port)
    }

    /// Gives out a port that is known to be free and, where there are blocks, to lie in one of the
    /// subscriber's. Returns whether it was given out.
    pub(super) fn take_this(
        &mut self,
        config: &NatConfig,
        internal: Address,
        range: &RangeInclusive<u16>,
        at: Outside,
    ) -> bool {
        if !self.is_free(at) {
            return false;
        }
        if let Some(blocks) = config.port_blocks {
            let subscriber = self.subscribers.get_mut(&internal);
            let mut own = subscriber.into_iter().flat_map(|one| &mut one.blocks);
            let holds = |block: &&mut Block| {
                block.place == at.place
                    && block.ports(blocks, &config.port_range).contains(&at.port)
            };
            let Some(block) = own.find(holds) else {
                return false;
            };
            block.used += 1;
        } else if !range.contains(&at.port) {
            return false;
        }
        self.hold(at);
        true
    }

    fn hold(&mut self, at: Outside) {
        let ports = &mut self.places[at.place as usize].ports[at.protocol as usize];
        ports.taken.insert(at.port);
    }

    /// Counts a mapping.
    pub(super) fn count(&mut self, protocol: Protocol, internal: Address) {
        if let Some(subscriber) = self.subscribers.get_mut(&internal) {
            subscriber.mappings[protocol as usize] += 1;
        }
    }

    /// A mapping is gone.
    pub(super) fn discount(&mut self, protocol: Protocol, internal: Address) {
        if let Some(subscriber) = self.subscribers.get_mut(&internal) {
            subscriber.mappings[protocol as usize] -= 1;
        }
    }

    /// Takes a port back, at once or after its rest.
    pub(super) fn give_back(
        &mut self,
        at: Outside,
        internal: Address,
        rests_until: Option<Time>,
        config: &NatConfig,
    ) {
        let Outside {
            protocol,
            place,
            port,
        } = at;
        if let Some(until) = rests_until {
            let resting = (until, place, port, protocol, internal);
            self.resting.push(Reverse(resting));
            return;
        }
        let ports = &mut self.places[place as usize].ports[protocol as usize];
        ports.taken.remove(port);
        self.leave_block(at, internal, config);
    }

    /// Takes back what has rested by now.
    pub(super) fn wake_ports(&mut self, now: Time, config: &NatConfig) {
        while let Some(Reverse((until, place, port, protocol, internal))) = self.resting.peek() {
            if *until > now {
                break;
            }
            let at = Outside {
                protocol: *protocol,
                place: *place,
                port: *port,
            };
            let internal = *internal;
            self.resting.pop();
            self.give_back(at, internal, None, config);
        }
    }

    /// A port of a subscriber's block is free again; the block, too, if it was the last.
    fn leave_block(&mut self, at: Outside, internal: Address, config: &NatConfig) {
        let Some(blocks) = config.port_blocks else {
            return;
        };
        let Some(subscriber) = self.subscribers.get_mut(&internal) else {
            return;
        };
        let holds = |block: &Block| {
            block.place == at.place && block.ports(blocks, &config.port_range).contains(&at.port)
        };
        let Some(number) = subscriber.blocks.iter().position(holds) else {
            return;
        };
        let block = &mut subscriber.blocks[number];
        block.used -= 1;
        if block.used == 0 {
            let block = subscriber.blocks.remove(number);
            self.places[block.place as usize].blocks.free(block);
        }
    }
}
