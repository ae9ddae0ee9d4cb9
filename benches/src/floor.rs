//! The floor that every whole call is compared to.
//!
//! A call costs what its two ICE agents cost, plus what the simulator adds. [`ping_pong`] is the
//! first part alone: the same agents with the same candidates and the same delays, but datagrams
//! are handed straight across. The difference to a simulated call is the price of the network.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use pinhole::Time;
use pinhole_scenarios::ice::{Candidate, CandidateType, IceAgent, IceEvent, Role, Stack, Transmit};

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
    /// Those of them that had somewhere to arrive.
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
    Pair::new([controlling, controlled], seed, Addresses::Translated).run()
}

/// The same with public addresses on both sides: host candidates only.
pub fn ping_pong_open(controlling: Stack, controlled: Stack, seed: u64) -> Option<Session> {
    Pair::new([controlling, controlled], seed, Addresses::Public).run()
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
}

struct Pair {
    addresses: Addresses,
    sides: [Side; 2],
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
        };
        Pair {
            addresses,
            sides: [side(0), side(1)],
            in_flight: VecDeque::with_capacity(16),
            sent: 0,
            delivered: 0,
            bytes: 0,
        }
    }

    /// Credentials and candidates are exchanged at once, as if signaling took no time.
    fn signal(&mut self) {
        for side in [0, 1] {
            let host = Candidate {
                kind: CandidateType::Host,
                address: base(side),
                base: base(side),
            };
            self.add(side, host);
            if let Addresses::Translated = self.addresses {
                let address = mapped(side);
                self.add(
                    side,
                    Candidate {
                        kind: CandidateType::ServerReflexive,
                        address,
                        ..host
                    },
                );
            }
        }
        for side in [0, 1] {
            let remote = self.sides[1 - side].agent.local_credentials();
            self.sides[side].agent.start(Time::ZERO, &remote);
            self.drain(side, Time::ZERO);
        }
    }

    fn add(&mut self, side: usize, candidate: Candidate) {
        if let Some(signaled) = self.sides[side]
            .agent
            .add_local_candidate(Time::ZERO, candidate)
        {
            self.sides[1 - side]
                .agent
                .add_remote_candidate(Time::ZERO, signaled);
        }
    }

    fn run(mut self) -> Option<Session> {
        self.signal();
        loop {
            let arrival = self.in_flight.front().map(|datagram| datagram.arrival);
            let timeouts = [self.sides[0].timeout, self.sides[1].timeout];
            let now = arrival
                .into_iter()
                .chain(timeouts.into_iter().flatten())
                .min()?;
            if now > PATIENCE {
                return None;
            }
            if arrival == Some(now) {
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
            self.delivered += 1;
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
                for run in [ping_pong, ping_pong_open] {
                    let session = run(a, b, 1).expect("a session");
                    assert_eq!(run(a, b, 1), Some(session), "{a} with {b}");
                }
            }
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
