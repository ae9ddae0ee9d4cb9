//! `rtc-ice`, the sans-IO ICE agent of webrtc-rs (RFC 8445), a port of pion's.
//!
//! What it does its own way, seen from outside:
//! - No pacing and no retransmission timeouts: every 200 ms, and whenever a candidate was added, it
//!   sends a check on *each* pair that hasn't answered yet. A pair fails after eight checks: 1.4 s,
//!   and less when candidates trickle in. The controlling side never tries it again.
//! - It prunes nothing: a server-reflexive candidate is paired too, and its checks leave from the
//!   base like those of the host candidate (RFC 8445 §6.1.2.4 would have dropped the second pair).
//! - The controlling side waits before it nominates: 0.5 s, 1 s or 2 s from the start if the pair's
//!   worse candidate is server-reflexive, peer-reflexive or relayed. It nominates once.
//! - It fails for good 30 s after checks began, or after the selected pair fell silent. A restart
//!   while it is still checking doesn't set that clock back.
//! - It selects one pair, ever: it answers checks from a peer's new address, and goes on sending to
//!   the old one. Only a restart makes it select again.
//!
//! Transaction ids come from the operating system's entropy, through `rand`. Times, lengths and
//! the order of datagrams don't depend on them: two runs of one seed have the same shape, and
//! differ in bytes that nobody looks at.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use pinhole::Time;
use rtc_ice::agent::{Agent, Event, agent_config::AgentConfig};
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::candidate_peer_reflexive::CandidatePeerReflexiveConfig;
use rtc_ice::candidate::candidate_relay::CandidateRelayConfig;
use rtc_ice::candidate::candidate_server_reflexive::CandidateServerReflexiveConfig;
use rtc_ice::candidate::{Candidate as RtcCandidate, CandidateConfig};
use rtc_ice::mdns::MulticastDnsMode;
use rtc_ice::state::ConnectionState;
use rtc_shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use sansio::Protocol;

use super::crypto::SeededCrypto;
use super::{
    Candidate, CandidateType, Credentials, EPOCH, IceAgent, IceEvent, Role, SignaledCandidate,
    Transmit,
};

pub(super) struct Rtc {
    agent: Agent,
    role: Role,
    /// The pair reported last.
    selected: Option<(SocketAddr, SocketAddr)>,
    disconnected: bool,
}

impl Rtc {
    pub(super) fn new(now: Time, role: Role, seed: u64) -> Self {
        let config = AgentConfig {
            is_controlling: role == Role::Controlling,
            multicast_dns_mode: MulticastDnsMode::Disabled,
            // Never used, but left empty it costs a random UUID.
            multicast_dns_local_name: String::from("unused.local"),
            ..AgentConfig::default()
        };
        let crypto = Arc::new(SeededCrypto::new(seed));
        let agent = Agent::new(now.to_instant(*EPOCH), Arc::new(config), crypto)
            .expect("a configuration without servers or credentials is always accepted");
        Rtc {
            agent,
            role,
            selected: None,
            disconnected: false,
        }
    }

    fn state_changed(&mut self, state: ConnectionState) -> Option<IceEvent> {
        match state {
            ConnectionState::Disconnected => {
                self.disconnected = true;
                Some(IceEvent::Disconnected)
            }
            ConnectionState::Connected if self.disconnected => {
                self.disconnected = false;
                self.selected
                    .map(|(local, remote)| IceEvent::Selected { local, remote })
            }
            ConnectionState::Failed => {
                self.selected = None;
                Some(IceEvent::Failed)
            }
            _ => None,
        }
    }
}

/// Builds the stack's candidate; `priority` 0 means "compute it", `related` is its raddr.
fn candidate(
    kind: CandidateType,
    address: SocketAddr,
    priority: u32,
    related: Option<SocketAddr>,
) -> Option<RtcCandidate> {
    let base_config = CandidateConfig {
        // An id for its statistics. Left empty it costs 32 random characters.
        candidate_id: String::from(kind.token()),
        network: String::from("udp"),
        address: address.ip().to_string(),
        port: address.port(),
        component: 1,
        priority,
        foundation: String::new(),
    };
    let (rel_addr, rel_port) = related.map_or((String::new(), 0), |related| {
        (related.ip().to_string(), related.port())
    });
    let made = match kind {
        CandidateType::Host => CandidateHostConfig {
            base_config,
            ..Default::default()
        }
        .new_candidate_host(),
        CandidateType::ServerReflexive => CandidateServerReflexiveConfig {
            base_config,
            rel_addr,
            rel_port,
            url: None,
        }
        .new_candidate_server_reflexive(),
        CandidateType::PeerReflexive => CandidatePeerReflexiveConfig {
            base_config,
            rel_addr,
            rel_port,
        }
        .new_candidate_peer_reflexive(),
        CandidateType::Relayed => CandidateRelayConfig {
            base_config,
            rel_addr,
            rel_port,
            url: None,
        }
        .new_candidate_relay(),
    };
    made.ok()
}

impl IceAgent for Rtc {
    fn local_credentials(&self) -> Credentials {
        let own = self.agent.get_local_credentials();
        Credentials {
            ufrag: own.ufrag.clone(),
            password: own.pwd.clone(),
        }
    }

    fn start(&mut self, now: Time, remote: &Credentials) {
        // Refuses empty credentials, and then stays silent: nothing was started.
        let _ = self.agent.start_connectivity_checks(
            now.to_instant(*EPOCH),
            self.role == Role::Controlling,
            remote.ufrag.clone(),
            remote.password.clone(),
        );
    }

    fn restart(&mut self, now: Time) {
        // Refuses credentials that are too short only; these are its own.
        let _ = self
            .agent
            .restart(now.to_instant(*EPOCH), String::new(), String::new(), false);
        self.selected = None;
        self.disconnected = false;
    }

    fn selected_pair(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.selected
    }

    fn add_local_candidate(&mut self, _now: Time, local: Candidate) -> Option<SignaledCandidate> {
        let Candidate {
            kind,
            address,
            base,
        } = local;
        // The stack sends for a reflexive candidate from the address it is told as related, and
        // takes what arrives on a related address for that candidate. A relayed candidate must
        // not name the host's socket there: it would be mistaken for it.
        let related = (kind == CandidateType::ServerReflexive).then_some(base);
        let made = candidate(kind, address, 0, related)?;
        let priority = made.priority();
        let added = self.agent.add_local_candidate(made).unwrap_or(false);
        added.then_some(SignaledCandidate {
            kind,
            address,
            priority,
        })
    }

    fn add_remote_candidate(&mut self, _now: Time, remote: SignaledCandidate) {
        if let Some(made) = candidate(remote.kind, remote.address, remote.priority, None) {
            // Errors concern mDNS names only.
            let _ = self.agent.add_remote_candidate(made);
        }
    }

    fn handle_datagram(
        &mut self,
        now: Time,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
    ) {
        let transport = TransportContext {
            local_addr: local,
            peer_addr: remote,
            transport_protocol: TransportProtocol::UDP,
            ecn: None,
        };
        let message = BytesMut::from(payload);
        // What isn't a check, or isn't authentic, is an error to the stack and nothing to us.
        let _ = self.agent.handle_read(TaggedBytesMut {
            now: now.to_instant(*EPOCH),
            transport,
            message,
        });
    }

    fn handle_timeout(&mut self, now: Time) {
        // Never fails: its errors would be the mDNS socket's.
        let _ = self.agent.handle_timeout(now.to_instant(*EPOCH));
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let out = self.agent.poll_write()?;
        Some(Transmit {
            source: out.transport.local_addr,
            destination: out.transport.peer_addr,
            payload: out.message.into(),
        })
    }

    fn poll_event(&mut self) -> Option<IceEvent> {
        while let Some(tagged) = self.agent.poll_event() {
            let event = match tagged.event {
                Event::SelectedCandidatePairChange(local, remote) => {
                    let pair = (local.base_addr(), remote.addr());
                    (self.selected.replace(pair) != Some(pair)).then_some(IceEvent::Selected {
                        local: pair.0,
                        remote: pair.1,
                    })
                }
                Event::ConnectionStateChange(state) => self.state_changed(state),
                // `start` would set it back otherwise, now and after a restart.
                Event::RoleChange(controlling) => {
                    self.role = if controlling {
                        Role::Controlling
                    } else {
                        Role::Controlled
                    };
                    None
                }
                _ => None,
            };
            if event.is_some() {
                return event;
            }
        }
        None
    }

    fn poll_timeout(&mut self, now: Time) -> Option<Time> {
        // "At once" is told as the time of the last round of checks, which lies in the past. A
        // round always moves that time to its own `now`, so the holder can't be kept at one moment.
        let due = self.agent.poll_timeout()?;
        Some(Time::from_instant(due, *EPOCH).max(now))
    }
}
