//! The floor that every whole call is compared to.
//!
//! A call costs what its two ICE agents cost, plus what the simulator adds. [`ping_pong`] is the
//! first part at its least: two agents that know everything from the start, and whose datagrams are
//! handed straight across. [`ping_pong_told`] tells the same agents the same things as a call does,
//! at the same times: offer, answer, trickled candidates. They send what they send in a call, and
//! the difference to one is the price of the network.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use pinhole::Time;
use pinhole_scenarios::ice::{
    Candidate, CandidateType, IceAgent, IceEvent, Role, SignaledCandidate, Stack, Transmit,
};

/// One way. Timers of a session fire as they would in a call with this delay.
const DELAY: Duration = Duration::from_millis(20);
/// Longer than any stack takes; past it the session counts as failed.
const PATIENCE: Time = Time::from_millis(60_000);
/// What each side sends on its selected pair. Not STUN: those begin with two zero bits.
const DATA: [u8; 4] = *b"ping";

/// What one session came to. Equal for equal seeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session {
    /// When the last of both sides received data on the other's selected pair.
    pub finished: Time,
    /// Datagrams sent, data included.
    pub sent: u32,
    /// Those of them that arrived.
    pub delivered: u32,
    /// Payload bytes sent.
    pub bytes: u64,
    /// What each side selected first: its own address and the peer's.
    pub selected: [(SocketAddr, SocketAddr); 2],
}

/// Two agents, each behind an ideal NAT: host and server-reflexive candidates, and only the latter
/// can be reached. Runs from nothing until each side has received data. `None` if that never comes.
///
/// ```
/// use pinhole_benches::ping_pong;
/// use pinhole_scenarios::ice::Stack;
///
/// let session = ping_pong(Stack::Is, Stack::Is, 1).expect("a session");
/// assert_eq!(session, ping_pong(Stack::Is, Stack::Is, 1).expect("the same"));
/// ```
pub fn ping_pong(controlling: Stack, controlled: Stack, seed: u64) -> Option<Session> {
    Pair::new([controlling, controlled], seed, Addresses::Translated).run(Told::AtOnce)
}

/// The same two agents, told what a call tells them when a call tells it: A's offer holds its host
/// candidate, B begins when it arrives, and each side's server-reflexive candidate follows when a
/// STUN server would have answered. Their NATs filter as `nat:eim/apdf` does.
pub fn ping_pong_told(controlling: Stack, controlled: Stack, seed: u64) -> Option<Session> {
    Pair::new([controlling, controlled], seed, Addresses::Translated).run(Told::AsInACall)
}

/// The same with public addresses on both sides: host candidates only.
pub fn ping_pong_open(controlling: Stack, controlled: Stack, seed: u64) -> Option<Session> {
    Pair::new([controlling, controlled], seed, Addresses::Public).run(Told::AtOnce)
}

/// What a signal takes, as in a call by default.
const SIGNALING: Duration = Duration::from_millis(50);
/// What a STUN server's answer takes: there and back.
const STUN: Duration = Duration::from_millis(40);

/// When the agents learn what they must know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    AtOnce,
    AsInACall,
}

/// Something that an agent is told.
#[derive(Clone, Copy)]
enum News {
    /// A candidate of its own.
    Local(Candidate),
    /// The other side's credentials.
    Credentials,
    /// A candidate of the other side.
    Remote(SignaledCandidate),
}

#[derive(Clone, Copy)]
enum Addresses {
    Public,
    Translated,
}

/// The address of `side`'s socket.
fn base(side: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, side as u8, 0, 2), 5000))
}

/// The address its NAT shows to everybody.
fn mapped(side: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(203, 0, 113, side as u8 + 1), 61000))
}

struct Datagram {
    arrival: Time,
    to: usize,
    source: SocketAddr,
    payload: Vec<u8>,
}

struct Side {
    agent: Box<dyn IceAgent>,
    timeout: Option<Time>,
    selected: Option<(SocketAddr, SocketAddr)>,
    received: bool,
    /// Whether it has sent to the other side's mapped address: its NAT lets answers in.
    open: bool,
}

struct Pair {
    addresses: Addresses,
    sides: [Side; 2],
    /// What is to be told: when, to whom, what. In order.
    news: VecDeque<(Time, usize, News)>,
    told: Told,
    /// In order of arrival, because every datagram takes equally long.
    in_flight: VecDeque<Datagram>,
    sent: u32,
    delivered: u32,
    bytes: u64,
}

impl Pair {
    fn new(stacks: [Stack; 2], seed: u64, addresses: Addresses) -> Self {
        let roles = [Role::Controlling, Role::Controlled];
        let side = |side: usize| Side {
            agent: stacks[side].agent(
                Time::ZERO,
                roles[side],
                seed.wrapping_mul(2).wrapping_add(side as u64),
            ),
            timeout: None,
            selected: None,
            received: false,
            open: false,
        };
        Pair {
            addresses,
            sides: [side(0), side(1)],
            news: VecDeque::new(),
            told: Told::AtOnce,
            in_flight: VecDeque::with_capacity(16),
            sent: 0,
            delivered: 0,
            bytes: 0,
        }
    }

    /// Plans what is told when.
    fn plan(&mut self) {
        let begins = match self.told {
            Told::AtOnce => [Time::ZERO; 2],
            // B begins when A's offer arrives.
            Told::AsInACall => [Time::ZERO, Time::ZERO + SIGNALING],
        };
        for (side, begin) in begins.into_iter().enumerate() {
            let host = Candidate {
                kind: CandidateType::Host,
                address: base(side),
                base: base(side),
            };
            self.tell(begin, side, News::Local(host));
            if let Addresses::Translated = self.addresses {
                let reflexive = Candidate {
                    kind: CandidateType::ServerReflexive,
                    address: mapped(side),
                    ..host
                };
                let found = match self.told {
                    Told::AtOnce => begin,
                    Told::AsInACall => begin + STUN,
                };
                self.tell(found, side, News::Local(reflexive));
            }
        }
        match self.told {
            Told::AtOnce => {
                self.tell(Time::ZERO, 0, News::Credentials);
                self.tell(Time::ZERO, 1, News::Credentials);
            }
            Told::AsInACall => {
                self.tell(begins[1], 1, News::Credentials);
                self.tell(begins[1] + SIGNALING, 0, News::Credentials);
            }
        }
    }

    /// Puts something behind all that is told no later.
    fn tell(&mut self, at: Time, side: usize, news: News) {
        let place = self.news.partition_point(|(time, ..)| *time <= at);
        self.news.insert(place, (at, side, news));
    }

    fn hear(&mut self, now: Time, side: usize, news: News) {
        match news {
            News::Local(candidate) => {
                let agent = &mut self.sides[side].agent;
                if let Some(signaled) = agent.add_local_candidate(now, candidate) {
                    let arrival = match self.told {
                        Told::AtOnce => now,
                        Told::AsInACall => now + SIGNALING,
                    };
                    self.tell(arrival, 1 - side, News::Remote(signaled));
                }
            }
            News::Credentials => {
                let remote = self.sides[1 - side].agent.local_credentials();
                self.sides[side].agent.start(now, &remote);
            }
            News::Remote(candidate) => {
                self.sides[side].agent.add_remote_candidate(now, candidate);
            }
        }
        self.drain(side, now);
    }

    fn run(mut self, told: Told) -> Option<Session> {
        self.told = told;
        self.plan();
        loop {
            let news = self.news.front().map(|(time, ..)| *time);
            let arrival = self.in_flight.front().map(|datagram| datagram.arrival);
            let timeouts = [self.sides[0].timeout, self.sides[1].timeout];
            let now = arrival
                .into_iter()
                .chain(news)
                .chain(timeouts.into_iter().flatten())
                .min()?;
            if now > PATIENCE {
                return None;
            }
            if news == Some(now) {
                let (_, side, news) = self.news.pop_front().expect("it was just seen");
                self.hear(now, side, news);
            } else if arrival == Some(now) {
                let datagram = self.in_flight.pop_front().expect("it was just seen");
                self.receive(datagram, now);
                if self.sides[0].received && self.sides[1].received {
                    return self.finish(now);
                }
            } else {
                let side = usize::from(timeouts[0] != Some(now));
                self.sides[side].agent.handle_timeout(now);
                self.drain(side, now);
            }
        }
    }

    fn receive(&mut self, datagram: Datagram, now: Time) {
        let Datagram {
            to,
            source,
            payload,
            ..
        } = datagram;
        if self.told == Told::AsInACall && !self.sides[to].open {
            return;
        }
        self.delivered += 1;
        if payload == DATA {
            self.sides[to].received = true;
        } else {
            self.sides[to]
                .agent
                .handle_datagram(now, base(to), source, &payload);
            self.drain(to, now);
        }
    }

    fn drain(&mut self, side: usize, now: Time) {
        while let Some(transmit) = self.sides[side].agent.poll_transmit() {
            self.send(side, transmit, now);
        }
        while let Some(event) = self.sides[side].agent.poll_event() {
            if let IceEvent::Selected { local, remote } = event
                && self.sides[side].selected.is_none()
            {
                self.sides[side].selected = Some((local, remote));
                let data = Transmit {
                    source: local,
                    destination: remote,
                    payload: DATA.into(),
                };
                self.send(side, data, now);
            }
        }
        self.sides[side].timeout = self.sides[side].agent.poll_timeout(now);
    }

    fn send(&mut self, from: usize, transmit: Transmit, now: Time) {
        self.sent += 1;
        self.bytes += transmit.payload.len() as u64;
        let to = 1 - from;
        let (source, reachable) = match self.addresses {
            Addresses::Public => (transmit.source, base(to)),
            Addresses::Translated => (mapped(from), mapped(to)),
        };
        if transmit.destination == reachable {
            self.sides[from].open = true;
            let arrival = now + DELAY;
            self.in_flight.push_back(Datagram {
                arrival,
                to,
                source,
                payload: transmit.payload,
            });
        }
    }

    fn finish(self, finished: Time) -> Option<Session> {
        let [a, b] = self.sides;
        Some(Session {
            finished,
            sent: self.sent,
            delivered: self.delivered,
            bytes: self.bytes,
            selected: [a.selected?, b.selected?],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_gets_through_and_repeats() {
        for a in Stack::ALL {
            for b in Stack::ALL {
                for run in [ping_pong, ping_pong_told, ping_pong_open] {
                    let session = run(a, b, 1).expect("a session");
                    assert_eq!(run(a, b, 1), Some(session), "{a} with {b}");
                }
            }
        }
    }

    /// What makes `ping_pong_told` the floor of a call: the agents send as many datagrams.
    #[test]
    fn agents_that_are_told_the_same_send_what_they_send_in_a_call() {
        use pinhole_scenarios::call::{CallConfig, Caller, Side, TurnOffer};

        let home = || "nat:eim/apdf".parse().expect("a kind");
        let mut caller = Caller::recording();
        for seed in 1..20 {
            let config = CallConfig {
                seed,
                turn: TurnOffer::OFF,
                ..CallConfig::new(home(), home())
            };
            let call = caller.call(&config).expect("a call");
            let recording = call.net.trace().recording().expect("a recording");
            let of_ice = recording.ids().filter(|id| {
                let packet = recording.packet(*id);
                let is_peer = call.scene.hosts.contains(&packet.origin);
                let to_server = packet.destination.port == 3478;
                let is_data =
                    pinhole_scenarios::call::Data::from_bytes(recording.payload(*id)).is_some();
                is_peer && !to_server && !is_data
            });
            let sides = Side::BOTH.len() as u32;
            let floor = ping_pong_told(Stack::Is, Stack::Is, seed).expect("a session");
            // What the floor sends beyond that is one datagram of data from each side.
            assert_eq!(of_ice.count() as u32, floor.sent - sides, "seed {seed}");
        }
    }

    #[test]
    fn behind_nats_the_pair_is_of_base_and_mapped_address() {
        let session = ping_pong(Stack::Is, Stack::Rtc, 1).expect("a session");
        assert_eq!(
            session.selected,
            [(base(0), mapped(1)), (base(1), mapped(0))]
        );
    }
}
