//! What came of a conference, read from the wire and from what viewers saw.
//!
//! [`Meter`] watches every packet and sorts it by what it is (RFC 7983 tells RTP, STUN, DTLS and
//! ChannelData apart by the first byte). [`Screens`] are told by the simulators of media that
//! arrived: nobody else can know what a viewer was shown. Together they make the
//! [outcome](ConferenceOutcome).

mod class;
mod screens;

use std::cell::{Ref, RefCell, RefMut};
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::time::Duration;

use pinhole::packet::{Packet, Payload};
use pinhole::trace::{Cause, Fate, Observer};
use pinhole::{Address, Endpoint, Internet, NodeId, Time};
use rustc_hash::FxHashMap;

use self::class::{Class, Portions};
use super::config::{Fidelity, Topology};
use super::outcome::{
    ConferenceOutcome, ParticipantOutcome, Rates, Second, ServerOutcome, TurnOutcome,
};
use super::plan::{Place, Plan};
use super::scene::Scene;

pub use screens::{Screens, Shown};

/// What a simulator's packets look like, as far as the first bytes don't tell.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// Whether RTP packets of that payload type are retransmissions (RFC 4588).
    pub is_rtx: fn(payload_type: u8) -> bool,
}

/// What a node is in the conference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Place(usize),
    Turn,
    Other,
}

/// Bytes and packets that left or reached a place.
#[derive(Clone, Debug, Default)]
struct Tally {
    bytes: [u64; Class::COUNT],
    packets: u64,
    media_packets: u64,
    /// Media packets that are no retransmissions.
    new_media: u64,
    secured: u64,
}

impl Tally {
    fn add(&mut self, portions: &Portions) {
        self.bytes[portions.class as usize] += portions.inner as u64;
        self.bytes[Class::Turn as usize] += portions.around as u64;
        self.packets += 1;
        self.media_packets += u64::from(portions.class.is_media());
        self.new_media += u64::from(portions.class == Class::Media);
        self.secured += u64::from(portions.class.is_secured());
    }

    fn add_all(&mut self, other: &Tally) {
        for (sum, more) in self.bytes.iter_mut().zip(other.bytes) {
            *sum += more;
        }
        self.packets += other.packets;
        self.media_packets += other.media_packets;
        self.new_media += other.new_media;
        self.secured += other.secured;
    }

    fn rates(&self, seconds: f64) -> Rates {
        let kbps = |class: Class| self.bytes[class as usize] as f64 * 8.0 / 1_000.0 / seconds;
        Rates {
            media: kbps(Class::Media),
            rtx: kbps(Class::Rtx),
            fec: 0.0,
            rtcp: kbps(Class::Rtcp),
            stun: kbps(Class::Stun),
            dtls: kbps(Class::Dtls),
            turn: kbps(Class::Turn),
        }
    }
}

/// A place's tallies: what left it, what reached it.
#[derive(Clone, Debug, Default)]
struct Ledger {
    up: Tally,
    down: Tally,
    /// Bytes up and down by second, from the beginning.
    seconds: Vec<[u32; 2]>,
    /// Media packets that it sent first, and how many of them were lost on their first leg.
    first_leg: [u64; 2],
    /// The same of those sent to it, on their last leg.
    last_leg: [u64; 2],
}

/// A packet or a train of media that is under way.
#[derive(Clone, Copy, Debug)]
struct Journey {
    flow: u32,
    /// Its packets whose fate isn't known.
    left: u32,
}

/// Media packets between two sockets.
#[derive(Clone, Copy, Debug)]
struct Flow {
    from: Role,
    /// Where they arrive: known once one has.
    to: Option<Role>,
    /// Of those whose fate is known.
    ended: u64,
    lost: u64,
}

struct Inner {
    roles: Vec<Role>,
    ledgers: Vec<Ledger>,
    turn_out: u64,
    flows: Vec<Flow>,
    by_ends: FxHashMap<(NodeId, Endpoint, Endpoint), u32>,
    under_way: FxHashMap<u64, Journey>,
    /// Whether any media ever got lost, measured or not.
    lost_media: bool,
    dialect: Dialect,
    from: Time,
    until: Time,
    turn_addresses: Vec<Address>,
    screens: Screens,
    estimates: Vec<Vec<Option<f32>>>,
}

/// Watches a conference. Clones watch together.
#[derive(Clone)]
pub struct Meter(Rc<RefCell<Inner>>);

impl Meter {
    /// A meter for a conference that is about to begin. Have the internet
    /// [observed](Internet::observe) by a clone of it.
    pub fn new(plan: &Plan, scene: &Scene, net: &Internet, dialect: Dialect) -> Self {
        let mut roles = Vec::new();
        let mut set = |node: NodeId, role| {
            let index = node.index();
            if roles.len() <= index {
                roles.resize(index + 1, Role::Other);
            }
            roles[index] = role;
        };
        let places = scene.hosts.iter().chain(&scene.servers);
        for (place, node) in places.enumerate() {
            set(*node, Role::Place(place));
        }
        for node in &scene.turn {
            set(*node, Role::Turn);
        }
        let turn = scene.turn.iter();
        let turn_addresses = turn
            .flat_map(|node| net.topology().addresses(*node))
            .collect();
        let participants = plan.participants().len();
        let warmup = Time::ZERO + plan.config.warmup;
        Meter(Rc::new(RefCell::new(Inner {
            roles,
            ledgers: vec![Ledger::default(); participants + plan.servers.len()],
            turn_out: 0,
            flows: Vec::new(),
            by_ends: FxHashMap::default(),
            under_way: FxHashMap::default(),
            lost_media: false,
            dialect,
            from: warmup,
            until: plan.config.until(),
            turn_addresses,
            screens: Screens::new(plan, warmup),
            estimates: vec![Vec::new(); participants],
        })))
    }

    /// What viewers saw so far.
    pub fn screens(&self) -> Ref<'_, Screens> {
        Ref::map(self.0.borrow(), |inner| &inner.screens)
    }

    /// To tell what viewers see.
    pub fn screens_mut(&self) -> RefMut<'_, Screens> {
        RefMut::map(self.0.borrow_mut(), |inner| &mut inner.screens)
    }

    /// What a participant thinks it can send altogether, in kbit/s.
    pub fn estimated(&self, now: Time, participant: usize, kbps: f64) {
        let mut inner = self.0.borrow_mut();
        let estimates = &mut inner.estimates[participant];
        let second = second(now);
        if estimates.len() <= second {
            estimates.resize(second + 1, None);
        }
        estimates[second] = Some(kbps as f32);
    }

    /// A datagram of so many bytes went into (`is_up`) or came out of a TCP connection between a
    /// participant and its TURN server: what it is can't be seen on the wire. Its bytes count as
    /// what they are, and only the rest of the connection's as TURN's.
    pub fn through_stream(&self, now: Time, place: Place, is_up: bool, datagram: &[u8]) {
        let mut inner = self.0.borrow_mut();
        if now < inner.from || now >= inner.until {
            return;
        }
        let class = class::of_datagram(datagram, inner.dialect);
        let place = inner.index(place);
        let ledger = &mut inner.ledgers[place];
        let tally = if is_up {
            &mut ledger.up
        } else {
            &mut ledger.down
        };
        let turn = &mut tally.bytes[Class::Turn as usize];
        *turn = turn.saturating_sub(datagram.len() as u64);
        tally.bytes[class as usize] += datagram.len() as u64;
        tally.media_packets += u64::from(class.is_media());
        tally.secured += u64::from(class.is_secured());
    }

    /// What came of it, of which so much was measured. `relayed` says how many connections go over TURN.
    pub fn outcome(
        &self,
        plan: &Plan,
        measured: Duration,
        net: &Internet,
        fidelity: Fidelity,
        relayed: usize,
        findings: Vec<String>,
    ) -> ConferenceOutcome {
        let mut inner = self.0.borrow_mut();
        inner.until = inner.from + measured;
        inner.close_flows();
        let seconds = measured.as_secs_f64();
        let participants = (0..plan.participants().len())
            .map(|number| inner.participant(plan, number, seconds))
            .collect();
        let servers = (0..plan.servers.len())
            .map(|number| inner.server(plan, number, seconds))
            .collect();
        let trace = net.trace();
        ConferenceOutcome {
            topology: plan.config.topology,
            fidelity,
            connections: plan.connections.len(),
            measured,
            participants,
            servers,
            turn: TurnOutcome {
                relayed_share: relayed as f64 / plan.connections.len().max(1) as f64,
                relayed_kbps: inner.turn_out as f64 * 8.0 / 1_000.0 / seconds,
            },
            all_seen: inner.screens.all_seen(),
            gaps: inner.screens.gaps(inner.until),
            roams: inner.screens.roams(),
            findings,
            packets: trace.counts(),
            digest: trace.digest(),
            repeats: fidelity != Fidelity::Full || !inner.lost_media,
        }
    }
}

fn second(now: Time) -> usize {
    (now.as_nanos() / 1_000_000_000) as usize
}

impl Inner {
    fn index(&self, place: Place) -> usize {
        match place {
            Place::Participant(number) => number,
            Place::Server(number) => self.estimates.len() + number,
        }
    }

    fn role(&self, node: NodeId) -> Role {
        self.roles.get(node.index()).copied().unwrap_or(Role::Other)
    }

    fn is_measured(&self, now: Time) -> bool {
        self.from <= now && now < self.until
    }

    /// What a packet, or each of a train, adds to a tally.
    fn weigh(&self, packet: &Packet) -> Tally {
        let mut tally = Tally::default();
        if let Payload::Train(train) = &packet.payload {
            let headers = (packet.wire_length() - packet.payload.len()) / train.len().max(1);
            for car in train.cars() {
                tally.add(&Portions {
                    class: class::of_datagram(car.head(), self.dialect),
                    inner: usize::from(car.length) + headers,
                    around: 0,
                });
            }
            return tally;
        }
        let ends = [packet.source.address, packet.destination.address];
        let is_turn = ends.iter().any(|end| self.turn_addresses.contains(end));
        tally.add(&class::portions(packet, is_turn, self.dialect));
        tally
    }

    fn sent(&mut self, now: Time, packet: &Packet) {
        let role = self.role(packet.origin);
        let tally = self.weigh(packet);
        let bytes = packet.wire_length() as u32;
        let is_measured = self.is_measured(now);
        match role {
            Role::Place(place) => {
                let ledger = &mut self.ledgers[place];
                let seconds = &mut ledger.seconds;
                let second = second(now);
                if seconds.len() <= second {
                    seconds.resize(second + 1, [0; 2]);
                }
                seconds[second][0] += bytes;
                if is_measured {
                    ledger.up.add_all(&tally);
                }
            }
            Role::Turn if is_measured => self.turn_out += u64::from(bytes),
            Role::Turn | Role::Other => {}
        }
        if is_measured && tally.new_media > 0 && role != Role::Other {
            let ends = (packet.origin, packet.source, packet.destination);
            let next = self.flows.len() as u32;
            let flow = *self.by_ends.entry(ends).or_insert(next);
            if flow == next {
                self.flows.push(Flow {
                    from: role,
                    to: None,
                    ended: 0,
                    lost: 0,
                });
            }
            let left = tally.new_media as u32;
            let journey = Journey { flow, left };
            self.under_way.insert(packet.id.index() as u64, journey);
        }
    }

    fn ended(&mut self, now: Time, packet: &Packet, fate: &Fate) {
        let to = match fate {
            Fate::Delivered { host } => Some(self.role(*host)),
            _ => None,
        };
        let tally = self.weigh(packet);
        self.lost_media |= to.is_none() && tally.media_packets > 0;
        if let Some(Role::Place(place)) = to {
            let is_measured = self.is_measured(now);
            let ledger = &mut self.ledgers[place];
            let seconds = &mut ledger.seconds;
            let second = second(now);
            if seconds.len() <= second {
                seconds.resize(second + 1, [0; 2]);
            }
            seconds[second][1] += packet.wire_length() as u32;
            if is_measured {
                ledger.down.add_all(&tally);
            }
        }
        // The parts of a train have its number.
        if let Entry::Occupied(mut entry) = self.under_way.entry(packet.id.index() as u64) {
            let journey = entry.get_mut();
            let flow = &mut self.flows[journey.flow as usize];
            flow.to = flow.to.or(to);
            flow.ended += tally.new_media;
            flow.lost += if to.is_none() { tally.new_media } else { 0 };
            journey.left = journey.left.saturating_sub(tally.new_media as u32);
            if journey.left == 0 {
                entry.remove();
            }
        }
    }

    /// Says whose first and last legs the flows are.
    fn close_flows(&mut self) {
        for flow in std::mem::take(&mut self.flows) {
            let sums = [flow.ended, flow.lost];
            if let Role::Place(place) = flow.from {
                add(&mut self.ledgers[place].first_leg, sums);
            }
            if let Some(Role::Place(place)) = flow.to {
                add(&mut self.ledgers[place].last_leg, sums);
            }
        }
    }

    fn participant(&self, plan: &Plan, number: usize, seconds: f64) -> ParticipantOutcome {
        let ledger = &self.ledgers[number];
        let until = second(self.until);
        let by_second = (0..until).map(|second| {
            let [up, down] = ledger.seconds.get(second).copied().unwrap_or_default();
            let kbps = |bytes: u32| f64::from(bytes) * 8.0 / 1_000.0;
            let estimate = self.estimates[number].get(second).copied().flatten();
            Second {
                up_kbps: kbps(up),
                down_kbps: kbps(down),
                estimate_kbps: estimate.map(f64::from),
            }
        });
        let share = |[all, lost]: [u64; 2]| {
            if all == 0 {
                0.0
            } else {
                lost as f64 / all as f64
            }
        };
        let (delay, queueing) = self.screens.delays(number);
        ParticipantOutcome {
            name: plan.participants()[number].name.clone(),
            up: ledger.up.rates(seconds),
            down: ledger.down.rates(seconds),
            loss: share(ledger.last_leg),
            up_loss: share(ledger.first_leg),
            delay,
            queueing,
            received: self.screens.received(plan, number, seconds),
            seconds: by_second.collect(),
        }
    }

    fn server(&self, plan: &Plan, number: usize, seconds: f64) -> ServerOutcome {
        let ledger = &self.ledgers[plan.participants().len() + number];
        let per_second = |count: u64| count as f64 / seconds;
        let mixes = plan.config.topology == Topology::Mcu;
        let (streams_in, streams_out) = plan.streams(number);
        let (decoded_per_s, encoded_per_s) = plan.mixed_frames();
        ServerOutcome {
            name: plan.servers[number].name.clone(),
            region: plan.servers[number].region,
            into: ledger.down.rates(seconds),
            out: ledger.up.rates(seconds),
            packets_in_per_s: per_second(ledger.down.packets),
            packets_out_per_s: per_second(ledger.up.packets),
            streams_in,
            streams_out,
            forwarded_per_s: if mixes {
                0.0
            } else {
                per_second(ledger.up.media_packets)
            },
            crypto_per_s: per_second(ledger.up.secured + ledger.down.secured),
            decoded_per_s,
            encoded_per_s,
        }
    }
}

fn add(sums: &mut [u64; 2], more: [u64; 2]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += more;
    }
}

impl Observer for Meter {
    fn sent(&mut self, time: Time, packet: &Packet, cause: Cause) {
        // Copies that a link makes were not sent by anybody.
        if cause == Cause::Sent {
            self.0.borrow_mut().sent(time, packet);
        }
    }

    fn ended(&mut self, time: Time, packet: &Packet, fate: &Fate) {
        self.0.borrow_mut().ended(time, packet, fate);
    }
}
