//! The smallest network there is: two agents, one delay, and a function that says where a datagram
//! comes out, if anywhere.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use pinhole::Time;

use crate::ice::{Candidate, CandidateType, IceAgent, IceEvent, Role, Stack, Transmit};

/// One way, so that a round trip takes 40 ms.
pub(super) const DELAY: Duration = Duration::from_millis(20);

/// `(sender, source, destination)` to `(local, remote)` as the receiver sees them; `None` is loss.
pub(super) type Path = fn(usize, SocketAddr, SocketAddr) -> Option<(SocketAddr, SocketAddr)>;

/// Everything arrives, and nothing is translated.
pub(super) fn open(
    _: usize,
    source: SocketAddr,
    destination: SocketAddr,
) -> Option<(SocketAddr, SocketAddr)> {
    Some((destination, source))
}

/// Nothing arrives.
pub(super) fn cut(_: usize, _: SocketAddr, _: SocketAddr) -> Option<(SocketAddr, SocketAddr)> {
    None
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(super) fn host(text: &str) -> Candidate {
    let address = address(text);
    Candidate {
        kind: CandidateType::Host,
        address,
        base: address,
    }
}

pub(super) fn relayed(text: &str) -> Candidate {
    Candidate {
        kind: CandidateType::Relayed,
        ..host(text)
    }
}

pub(super) fn reflexive(text: &str, base: &str) -> Candidate {
    Candidate {
        kind: CandidateType::ServerReflexive,
        address: address(text),
        base: address(base),
    }
}

/// A datagram as it was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    pub(super) time: Time,
    pub(super) side: usize,
    pub(super) transmit: Transmit,
}

struct InFlight {
    arrival: Time,
    to: usize,
    local: SocketAddr,
    remote: SocketAddr,
    payload: Vec<u8>,
}

pub(super) struct Cable {
    pub(super) now: Time,
    pub(super) agents: [Box<dyn IceAgent>; 2],
    pub(super) path: Path,
    pub(super) events: [Vec<(Time, IceEvent)>; 2],
    pub(super) sent: Vec<Sent>,
    in_flight: VecDeque<InFlight>,
    calls_at_now: u32,
}

impl Cable {
    /// Side 0 controls.
    pub(super) fn new(stacks: [Stack; 2], seed: u64, path: Path) -> Self {
        Self::with_roles(stacks, [Role::Controlling, Role::Controlled], seed, path)
    }

    pub(super) fn starting_at(now: Time, stacks: [Stack; 2], seed: u64, path: Path) -> Self {
        Self::build(
            now,
            stacks,
            [Role::Controlling, Role::Controlled],
            seed,
            path,
        )
    }

    pub(super) fn with_roles(stacks: [Stack; 2], roles: [Role; 2], seed: u64, path: Path) -> Self {
        Self::build(Time::ZERO, stacks, roles, seed, path)
    }

    fn build(now: Time, stacks: [Stack; 2], roles: [Role; 2], seed: u64, path: Path) -> Self {
        let agent =
            |side: usize| stacks[side].agent(now, roles[side], seed.wrapping_mul(2) + side as u64);
        Cable {
            now,
            agents: [agent(0), agent(1)],
            path,
            events: [vec![], vec![]],
            sent: vec![],
            in_flight: VecDeque::new(),
            calls_at_now: 0,
        }
    }

    /// Exchanges credentials and lets both begin.
    pub(super) fn start(&mut self) {
        self.start_side(0);
        self.start_side(1);
    }

    pub(super) fn start_side(&mut self, side: usize) {
        let remote = self.agents[1 - side].local_credentials();
        self.agents[side].start(self.now, &remote);
        self.drain(side);
    }

    /// Gathers a candidate and signals it, at once.
    pub(super) fn trickle(&mut self, side: usize, candidate: Candidate) {
        let signaled = self.agents[side]
            .add_local_candidate(self.now, candidate)
            .expect("a useful candidate");
        assert_eq!(
            (signaled.kind, signaled.address),
            (candidate.kind, candidate.address)
        );
        self.drain(side);
        self.agents[1 - side].add_remote_candidate(self.now, signaled);
        self.drain(1 - side);
    }

    /// Hands a datagram to an agent, as if it had come from the network.
    pub(super) fn inject(
        &mut self,
        side: usize,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
    ) {
        self.agents[side].handle_datagram(self.now, local, remote, payload);
        self.drain(side);
    }

    fn drain(&mut self, side: usize) {
        while let Some(transmit) = self.agents[side].poll_transmit() {
            if let Some((local, remote)) = (self.path)(side, transmit.source, transmit.destination)
            {
                self.in_flight.push_back(InFlight {
                    arrival: self.now + DELAY,
                    to: 1 - side,
                    local,
                    remote,
                    payload: transmit.payload.clone(),
                });
            }
            self.sent.push(Sent {
                time: self.now,
                side,
                transmit,
            });
        }
        while let Some(event) = self.agents[side].poll_event() {
            self.events[side].push((self.now, event));
        }
    }

    /// Does what comes next; false if that lies beyond `end`, or nothing ever comes.
    fn step(&mut self, end: Time) -> bool {
        let arrival = self.in_flight.front().map(|datagram| datagram.arrival);
        let timeouts = [0, 1].map(|side| self.agents[side].poll_timeout(self.now));
        let Some(next) = arrival
            .into_iter()
            .chain(timeouts.into_iter().flatten())
            .min()
        else {
            return false;
        };
        assert!(next >= self.now, "{next} is in the past of {}", self.now);
        if next > end {
            return false;
        }
        if next == self.now {
            self.calls_at_now += 1;
            assert!(self.calls_at_now < 1000, "stuck at {next}");
        } else {
            self.calls_at_now = 0;
            self.now = next;
        }
        if arrival == Some(next) {
            let datagram = self.in_flight.pop_front().expect("one is in flight");
            self.inject(
                datagram.to,
                datagram.local,
                datagram.remote,
                &datagram.payload,
            );
        } else {
            let side = timeouts
                .iter()
                .position(|&timeout| timeout == Some(next))
                .expect("one");
            self.agents[side].handle_timeout(next);
            self.drain(side);
        }
        true
    }

    /// Runs until `done`, or until `end`; tells whether it was `done`.
    pub(super) fn run(&mut self, end: Time, done: impl Fn(&Cable) -> bool) -> bool {
        while !done(self) {
            if !self.step(end) {
                self.now = end;
                return false;
            }
        }
        true
    }

    /// The pair `side` uses now.
    pub(super) fn selected(&self, side: usize) -> Option<(SocketAddr, SocketAddr)> {
        match self.events[side].last()?.1 {
            IceEvent::Selected { local, remote } => Some((local, remote)),
            IceEvent::Disconnected | IceEvent::Failed => None,
        }
    }

    pub(super) fn both_selected(&self) -> bool {
        self.selected(0).is_some() && self.selected(1).is_some()
    }
}
