//! `is`, the ICE agent of str0m (RFC 8445, always trickling: RFC 8838).
//!
//! What it does its own way, seen from outside:
//! - It answers a binding request and sends one check for each call of `handle_timeout`, paced at
//!   50 ms. str0m calls `handle_timeout` after every datagram it hands in, and so does this
//!   adapter: a controlled agent reports its nomination there, and an answered check lets the next
//!   one go at once.
//! - It never ends. A pair that stays unanswered is removed after nine requests, 18.75 s after the
//!   first; when none is left it is "disconnected" and waits for candidates. Where nothing was ever
//!   selected, that is reported as [`IceEvent::Failed`] here.
//! - It nominates the best pair that works, at once, and changes to a better one when that works
//!   later; to one that is as good only when the pair in use is gone.

use std::net::SocketAddr;

use ::is::stun::{StunMessage, StunPacket};
use ::is::{Candidate as IsCandidate, CandidateKind, IceAgentEvent, IceConnectionState, IceCreds};
use ::is::{IceAgent as Agent, Protocol};
use pinhole::Time;

use super::random::OwnRandom;
use super::{
    Candidate, CandidateType, Credentials, EPOCH, IceAgent, IceEvent, Role, SignaledCandidate,
    Transmit,
};

pub(super) struct Is {
    agent: Agent,
    random: OwnRandom,
    /// The pair reported last, for as long as it works.
    selected: Option<(SocketAddr, SocketAddr)>,
    ever_selected: bool,
}

impl Is {
    pub(super) fn new(role: Role, seed: u64) -> Self {
        let mut random = OwnRandom::new(seed);
        let mut agent = random.lend(|| Agent::new(IceCreds::new()));
        agent.set_controlling(role == Role::Controlling);
        Is {
            agent,
            random,
            selected: None,
            ever_selected: false,
        }
    }

    /// What a change of state means to somebody who only cares about the pair in use.
    fn state_changed(&mut self, state: IceConnectionState) -> Option<IceEvent> {
        match state {
            IceConnectionState::New
            | IceConnectionState::Connected
            | IceConnectionState::Completed => None,
            // Back to checking with a pair in use: that pair was removed, others are left.
            IceConnectionState::Checking => self.selected.take().map(|_| IceEvent::Disconnected),
            IceConnectionState::Disconnected if self.ever_selected => {
                self.selected.take().map(|_| IceEvent::Disconnected)
            }
            IceConnectionState::Disconnected => Some(IceEvent::Failed),
        }
    }
}

/// What `is`, and with it str0m, is given for a candidate. `None` for addresses nobody can send to:
/// unspecified, multicast, IPv4 link-local.
pub(crate) fn made(candidate: Candidate) -> Option<IsCandidate> {
    let Candidate {
        kind,
        address,
        base,
    } = candidate;
    let made = match kind {
        CandidateType::Host => IsCandidate::host(address, Protocol::Udp),
        CandidateType::ServerReflexive => {
            IsCandidate::server_reflexive(address, base, Protocol::Udp)
        }
        CandidateType::Relayed => IsCandidate::relayed(address, base, Protocol::Udp),
        // The agent finds its own peer-reflexive candidates, in the answers to its checks.
        CandidateType::PeerReflexive => return None,
    };
    made.ok()
}

impl IceAgent for Is {
    fn local_credentials(&self) -> Credentials {
        let own = self.agent.local_credentials();
        Credentials {
            ufrag: own.ufrag.clone(),
            password: own.pass.clone(),
        }
    }

    fn start(&mut self, now: Time, remote: &Credentials) {
        self.agent.set_remote_credentials(IceCreds {
            ufrag: remote.ufrag.clone(),
            pass: remote.password.clone(),
        });
        // Until this is called once, the agent knows no time and asks for no timeout.
        self.handle_timeout(now);
    }

    fn restart(&mut self, _now: Time) {
        self.random
            .lend(|| self.agent.ice_restart(IceCreds::new(), false));
        self.selected = None;
        self.ever_selected = false;
    }

    fn selected_pair(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.selected
    }

    fn add_local_candidate(
        &mut self,
        _now: Time,
        candidate: Candidate,
    ) -> Option<SignaledCandidate> {
        let made = made(candidate)?;
        let added = self.random.lend(|| self.agent.add_local_candidate(made))?;
        Some(SignaledCandidate {
            kind: candidate.kind,
            address: candidate.address,
            priority: added.prio(),
        })
    }

    fn add_remote_candidate(&mut self, _now: Time, candidate: SignaledCandidate) {
        let kind = match candidate.kind {
            CandidateType::Host => CandidateKind::Host,
            CandidateType::ServerReflexive => CandidateKind::ServerReflexive,
            CandidateType::PeerReflexive => CandidateKind::PeerReflexive,
            CandidateType::Relayed => CandidateKind::Relayed,
        };
        let candidate = IsCandidate::from_parts(
            // Foundations order the frozen pairs of several streams; there is one stream.
            String::from("1"),
            1,
            Protocol::Udp,
            candidate.priority,
            candidate.address,
            kind,
            None,
            None,
            None,
        );
        self.random
            .lend(|| self.agent.add_remote_candidate(candidate));
    }

    fn handle_datagram(
        &mut self,
        now: Time,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
    ) {
        let Ok(message) = StunMessage::parse(payload) else {
            return;
        };
        let packet = StunPacket {
            proto: Protocol::Udp,
            source: remote,
            destination: local,
            message,
        };
        let instant = now.to_instant(*EPOCH);
        self.random.lend(|| {
            self.agent.handle_packet(instant, packet);
            self.agent.handle_timeout(instant);
        });
    }

    fn handle_timeout(&mut self, now: Time) {
        let instant = now.to_instant(*EPOCH);
        self.random.lend(|| self.agent.handle_timeout(instant));
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.agent.poll_transmit()?;
        Some(Transmit {
            source: transmit.source,
            destination: transmit.destination,
            payload: transmit.contents.into(),
        })
    }

    fn poll_event(&mut self) -> Option<IceEvent> {
        while let Some(event) = self.agent.poll_event() {
            let event = match event {
                IceAgentEvent::NominatedSend {
                    source,
                    destination,
                    ..
                } => {
                    self.ever_selected = true;
                    let pair = (source, destination);
                    // A pair of higher priority between the same two addresses is nothing new.
                    (self.selected.replace(pair) != Some(pair)).then_some(IceEvent::Selected {
                        local: source,
                        remote: destination,
                    })
                }
                IceAgentEvent::IceConnectionStateChange(state) => self.state_changed(state),
                IceAgentEvent::IceRestart(_) | IceAgentEvent::DiscoveredRecv { .. } => None,
            };
            if event.is_some() {
                return event;
            }
        }
        None
    }

    fn poll_timeout(&mut self, now: Time) -> Option<Time> {
        // Counts from the last `handle_timeout`, so it may lie in the past after new candidates.
        let due = self.agent.poll_timeout()?;
        Some(Time::from_instant(due, *EPOCH).max(now))
    }
}
